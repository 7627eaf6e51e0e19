#include "mail/report.h"

#include <gmime/gmime.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mail/authentication.h"
#include "message/address.h"

const char *const report_type_names[REPORT_TYPES] = {
    [REPORT_ABUSE] = "abuse",       [REPORT_FRAUD] = "fraud",
    [REPORT_VIRUS] = "virus",       [REPORT_OPT_OUT] = "opt-out",
    [REPORT_OTHER] = "other",       [REPORT_NOT_SPAM] = "not-spam",
    [REPORT_AUTH_FAILURE] = "auth-failure",
};

struct report_reading {
    struct arena *arena;
    const char *reference_header;
    struct report *report;
    size_t parts;
    bool has_report, has_original, too_much;
};

/* ---- fields -------------------------------------------------------------------------------------- */

/* The field's words: unfolded, without blanks around them. */
static char *value_of(struct report_reading *reading, GMimeHeader *field)
{
    const char *raw = g_mime_header_get_raw_value(field);
    char *value = arena_strdup(reading->arena, raw != NULL ? raw : "");
    for (char *at = value; *at != '\0'; at++)
        if (*at == '\r' || *at == '\n' || *at == '\t')
            *at = ' ';
    return g_strstrip(value);
}

/* The first address in angle brackets, or the word itself. */
static const char *bare(struct report_reading *reading, const char *value)
{
    const char *open = strchr(value, '<'), *close = open != NULL ? strchr(open, '>') : NULL;
    if (close == NULL)
        return value[0] != '\0' && strchr(value, ' ') == NULL ? value : NULL;
    return close > open + 1 ? arena_strndup(reading->arena, open + 1, (size_t)(close - open - 1))
                            : NULL;
}

/* `from … by HOST (…) with … id ID for …; …`: the words behind "by" and "id", not in comments. */
static void take_received(struct report_reading *reading, char *value)
{
    struct report_original *original = &reading->report->original;
    const char *host = NULL, *id = NULL, *before = "";
    char *rest = value, *word;
    int depth = 0;
    while ((word = strsep(&rest, " ;")) != NULL && (host == NULL || id == NULL)) {
        if (depth == 0 && host == NULL && strcasecmp(before, "by") == 0)
            host = word;
        else if (depth == 0 && id == NULL && strcasecmp(before, "id") == 0)
            id = word;
        for (const char *at = word; *at != '\0'; at++)
            depth += *at == '(' ? 1 : *at == ')' && depth > 0 ? -1 : 0;
        if (*word != '\0')
            before = word;
    }
    if (host != NULL && id != NULL && original->trace_count < REPORT_TRACES_MAX)
        original->traces[original->trace_count++] = (struct report_trace){host, id};
}

static void take_original_field(struct report_reading *reading, GMimeHeader *field)
{
    struct report_original *original = &reading->report->original;
    const char *name = g_mime_header_get_name(field);
    char *value = value_of(reading, field);
    if (strcasecmp(name, reading->reference_header) == 0) {
        if (original->reference_count < REPORT_REFERENCES_MAX)
            original->references[original->reference_count++] = value;
    } else if (strcasecmp(name, "Received") == 0) {
        take_received(reading, value);
    } else if (strcasecmp(name, "Message-ID") == 0 && original->message_id == NULL) {
        original->message_id = bare(reading, value);
    } else if (strcasecmp(name, "From") == 0 && original->from == NULL) {
        original->from = bare(reading, value);
    } else if (strcasecmp(name, "X-HmXmrOriginalRecipient") == 0) {
        reading->has_report = true; /* Microsoft's form has no other sign */
    }
}

static enum report_type type_of(const char *value)
{
    for (enum report_type type = 0; type < REPORT_TYPES; type++)
        if (strcasecmp(value, report_type_names[type]) == 0)
            return type;
    return REPORT_OTHER;
}

/* 1 where it is no number from 1 on. */
static uint32_t incidents_of(const char *value)
{
    char *end;
    unsigned long number = strtoul(value, &end, 10);
    if (end == value || *end != '\0' || value[0] == '-' || number == 0)
        return 1;
    return number < REPORT_INCIDENTS_MAX ? (uint32_t)number : REPORT_INCIDENTS_MAX;
}

static void take_report_field(struct report_reading *reading, GMimeHeader *field)
{
    const char *name = g_mime_header_get_name(field);
    const char *value = value_of(reading, field);
    if (strcasecmp(name, "Feedback-Type") == 0)
        reading->report->type = type_of(value);
    else if (strcasecmp(name, "Incidents") == 0)
        reading->report->incidents = incidents_of(value);
    else if (strcasecmp(name, "Original-Envelope-Id") == 0)
        reading->report->envelope_id = value;
}

typedef void field_taker(struct report_reading *reading, GMimeHeader *field);

static void take_fields(struct report_reading *reading, GMimeObject *of, field_taker *take_one)
{
    GMimeHeaderList *fields = g_mime_object_get_header_list(of);
    for (int i = 0; i < g_mime_header_list_get_count(fields); i++)
        take_one(reading, g_mime_header_list_get_header_at(fields, i));
}

/* ---- parts --------------------------------------------------------------------------------------- */

/* NULL: there is nothing. */
static GMimeMessage *parse(const char *bytes, size_t length)
{
    if (length == 0)
        return NULL;
    GMimeStream *stream = g_mime_stream_mem_new_with_buffer(bytes, length);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
    g_object_unref(parser);
    g_object_unref(stream);
    return message;
}

/* A part whose content is a block of fields. */
static void take_block(struct report_reading *reading, GMimePart *part, field_taker *take_one)
{
    GMimeDataWrapper *content = g_mime_part_get_content(part);
    if (content == NULL)
        return;
    GMimeStream *decoded = g_mime_stream_mem_new();
    g_mime_data_wrapper_write_to_stream(content, decoded);
    const GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(decoded));
    GMimeMessage *block = parse((const char *)bytes->data, bytes->len);
    if (block != NULL) {
        take_fields(reading, GMIME_OBJECT(block), take_one);
        g_object_unref(block);
    }
    g_object_unref(decoded);
}

static void take_original(struct report_reading *reading, GMimeObject *message)
{
    if (reading->has_original)
        return;
    reading->has_original = true;
    take_fields(reading, message, take_original_field);
}

static void take_part(struct report_reading *reading, GMimeObject *part)
{
    GMimeContentType *type = g_mime_object_get_content_type(part);
    if (type == NULL)
        return;
    if (GMIME_IS_MESSAGE_PART(part)) {
        GMimeMessage *message = g_mime_message_part_get_message(GMIME_MESSAGE_PART(part));
        if (message != NULL)
            take_original(reading, GMIME_OBJECT(message));
    } else if (!GMIME_IS_PART(part)) {
        return;
    } else if (g_mime_content_type_is_type(type, "message", "feedback-report")) {
        reading->has_report = true;
        take_block(reading, GMIME_PART(part), take_report_field);
    } else if ((g_mime_content_type_is_type(type, "text", "rfc822-headers") ||
                g_mime_content_type_is_type(type, "text", "rfc822-header")) && /* some write */
               !reading->has_original) {
        reading->has_original = true;
        take_block(reading, GMIME_PART(part), take_original_field);
    }
}

/* Multiparts within multiparts, but nothing of the message that is complained about. */
static void take_parts(struct report_reading *reading, GMimeObject *part, int depth)
{
    if (++reading->parts > REPORT_PARTS_MAX || depth > REPORT_DEPTH_MAX) {
        reading->too_much = true;
        return;
    }
    if (!GMIME_IS_MULTIPART(part)) {
        take_part(reading, part);
        return;
    }
    int count = g_mime_multipart_get_count(GMIME_MULTIPART(part));
    for (int i = 0; i < count && !reading->too_much; i++)
        take_parts(reading, g_mime_multipart_get_part(GMIME_MULTIPART(part), i), depth + 1);
}

/* ---- the whole ------------------------------------------------------------------------------------ */

/* Some reports have lines that end with CR alone. */
static char *with_line_feeds(struct arena *arena, const char *bytes, size_t length)
{
    char *copy = arena_strndup(arena, bytes, length);
    if (memchr(bytes, '\n', length) == NULL)
        for (size_t i = 0; i < length; i++)
            if (copy[i] == '\r')
                copy[i] = '\n';
    return copy;
}

/* NULL: it is not exactly one address. */
static const char *only_address(struct report_reading *reading, const char *value)
{
    struct address_list list = {.text = value, .length = strlen(value)};
    struct address_entry entry, more;
    struct address address;
    uint32_t chars;
    const char *fault = address_text_fault(value, list.length);
    if (fault != NULL || address_list_next(&list, &entry, &fault) < 1 ||
        address_entry_read(entry, &address, &chars) != NULL ||
        address_list_next(&list, &more, &fault) != 0)
        return NULL;
    return arena_strndup(reading->arena, address.text, address.length);
}

/* "Name:", without a blank in between, which rules of mail servers do not expect. */
static bool is_named(GMimeHeader *field, const char *name)
{
    return strcasecmp(g_mime_header_get_raw_name(field), name) == 0;
}

/* Of the report itself: who sent it. */
static void take_sender(struct report_reading *reading, GMimeObject *message,
                        const char *authserv_id)
{
    struct report *report = reading->report;
    GMimeHeaderList *fields = g_mime_object_get_header_list(message);
    int froms = 0;
    for (int i = 0; i < g_mime_header_list_get_count(fields); i++) {
        GMimeHeader *field = g_mime_header_list_get_header_at(fields, i);
        if (is_named(field, "Authentication-Results") && authserv_id != NULL)
            authentication_domains(reading->arena, value_of(reading, field), authserv_id,
                                   report->domains, REPORT_DOMAINS_MAX, &report->domain_count);
        else if (strcasecmp(g_mime_header_get_name(field), "From") == 0)
            report->sender = froms++ == 0 ? only_address(reading, value_of(reading, field)) : NULL;
    }
}

static enum report_read answer(const struct report_reading *reading)
{
    const struct report_original *original = &reading->report->original;
    if (!reading->has_report)
        return REPORT_NONE;
    return original->reference_count > 0 || original->trace_count > 0 ||
                   original->message_id != NULL || original->from != NULL ||
                   reading->report->envelope_id != NULL
               ? REPORT_READ
               : REPORT_NO_MESSAGE;
}

enum report_read report_read(struct arena *arena, const char *bytes, size_t length,
                             const char *authserv_id, const char *reference_header,
                             struct report *report_r)
{
    struct report_reading reading = {
        .arena = arena, .reference_header = reference_header, .report = report_r};
    *report_r = (struct report){.type = REPORT_ABUSE, .incidents = 1};
    address_init();
    size_t read_length = length < REPORT_BYTES_MAX ? length : REPORT_BYTES_MAX;
    GMimeMessage *message = parse(with_line_feeds(arena, bytes, read_length), read_length);
    if (message == NULL)
        return REPORT_NONE;
    take_sender(&reading, GMIME_OBJECT(message), authserv_id);
    if (g_mime_message_get_mime_part(message) != NULL)
        take_parts(&reading, g_mime_message_get_mime_part(message), 0);
    g_object_unref(message);
    enum report_read read = answer(&reading);
    bool cut = read_length < length && read != REPORT_READ;
    return reading.too_much || cut ? REPORT_TOO_MUCH : read;
}
