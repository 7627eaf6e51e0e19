#include "parked/draft.h"

#include <gmime/gmime.h>
#include <string.h>
#include <strings.h>

enum { HEADER_MAX = 2 * 1024 * 1024 };

/* A field as it stands there, with the lines that continue it. */
struct header_field {
    const char *text;
    size_t length, name_length;
};

struct reading {
    struct submission *submission;
    struct draft *draft;
    struct problem *problem;
    const char **to;
    size_t to_count, to_room, from_count;
};

void draft_free(struct draft *draft)
{
    text_free(&draft->sent);
    text_free(&draft->handed);
}

/* ---- the header, field by field --------------------------------------------------------- */

/* The length of the line that begins there with its CRLF; 0: it does not end so. */
static size_t line_length(const char *text, size_t length)
{
    const char *end = memchr(text, '\n', length);
    size_t line = end != NULL ? (size_t)(end - text) + 1 : 0;
    bool whole = line >= 2 && text[line - 2] == '\r' && memchr(text, '\r', line - 2) == NULL &&
                 memchr(text, '\0', line) == NULL;
    return whole ? line : 0;
}

static size_t name_length(const char *line, size_t length)
{
    size_t name = 0;
    while (name < length && line[name] > ' ' && line[name] <= '~' && line[name] != ':')
        name++;
    return name < length && line[name] == ':' ? name : 0;
}

/* The field at *at, which moves behind it. 1; 0: the header ends there; -1: it is none. */
static int next_field(const char *bytes, size_t length, size_t *at, struct header_field *field_r)
{
    size_t line = line_length(bytes + *at, length - *at);
    size_t name = name_length(bytes + *at, line);
    if (line == 2 || name == 0)
        return line == 2 ? 0 : -1;
    *field_r = (struct header_field){bytes + *at, 0, name};
    do {
        field_r->length += line;
        *at += line;
        line = line_length(bytes + *at, length - *at);
    } while (line > 2 && (bytes[*at] == ' ' || bytes[*at] == '\t'));
    return line > 0 ? 1 : -1;
}

static bool is_named(const struct header_field *field, const char *name)
{
    return field->name_length == strlen(name) &&
           strncasecmp(field->text, name, field->name_length) == 0;
}

/* Without the line breaks. */
static const char *value_of(const struct header_field *field, struct arena *arena)
{
    char *value = arena_strndup(arena, field->text + field->name_length + 1,
                                field->length - field->name_length - 1);
    size_t length = 0;
    for (const char *from = value; *from != '\0'; from++)
        if (*from != '\r' && *from != '\n')
            value[length++] = *from;
    value[length] = '\0';
    return value;
}

/* ---- addresses -------------------------------------------------------------------------- */

static bool is_plain(const char *address)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "!#$%&'*+-/=?^_`{|}~.@";
    return address[0] != '\0' && address[strspn(address, plain)] == '\0';
}

static int refuse_addresses(const struct reading *reading, const char *where)
{
    return problem_set(reading->problem, 400, where, "expected addresses that are plain ASCII");
}

/* What is judged and what is handed over are the same: the other reader's next addresses. */
static bool agrees(const struct reading *reading, const char *address)
{
    const struct submission *submission = reading->submission;
    const char *key;
    struct problem problem;
    return reading->to_count < submission->recipient_count &&
           address_key(submission->arena, address, strlen(address), &key, &problem) == 1 &&
           strcmp(key, submission->recipients[reading->to_count].address) == 0;
}

static int add_addresses(struct reading *reading, InternetAddressList *list, const char *where)
{
    for (int i = 0; i < internet_address_list_length(list); i++) {
        InternetAddress *one = internet_address_list_get_address(list, i);
        if (INTERNET_ADDRESS_IS_GROUP(one)) {
            InternetAddressList *members =
                internet_address_group_get_members(INTERNET_ADDRESS_GROUP(one));
            if (members != NULL && add_addresses(reading, members, where) < 1)
                return 0;
            continue;
        }
        const char *address =
            internet_address_mailbox_get_idn_addr(INTERNET_ADDRESS_MAILBOX(one));
        if (address == NULL || !is_plain(address) || !agrees(reading, address))
            return refuse_addresses(reading, where);
        reading->to[reading->to_count++] = arena_strdup(reading->submission->arena, address);
    }
    return 1;
}

static void unref_list(InternetAddressList **list)
{
    if (*list != NULL)
        g_object_unref(*list);
}

/* Room for as many as the other reader has found. */
static void make_room(struct reading *reading)
{
    const struct submission *submission = reading->submission;
    if (submission->recipient_count <= reading->to_room)
        return;
    size_t room = 2 * submission->recipient_count;
    const char **to = arena_alloc(submission->arena, room * sizeof to[0]);
    if (reading->to_count > 0)
        memcpy(to, reading->to, reading->to_count * sizeof to[0]);
    reading->to = to;
    reading->to_room = room;
}

static int read_recipients(struct reading *reading, enum field field, const char *value)
{
    struct submission *submission = reading->submission;
    const char *where = field_names[field];
    if (submission_add_recipients(submission, field, value, strlen(value), reading->problem) < 1)
        return 0;
    make_room(reading);
    freed_by(unref_list) InternetAddressList *list = internet_address_list_parse(NULL, value);
    if (list != NULL && add_addresses(reading, list, where) < 1)
        return 0;
    return reading->to_count == submission->recipient_count || refuse_addresses(reading, where);
}

static int read_from(struct reading *reading, const char *value)
{
    struct submission *submission = reading->submission;
    if (reading->from_count++ > 0)
        return problem_set(reading->problem, 400, "from", "it is there twice");
    if (submission_set_from(submission, value, strlen(value), reading->problem) < 1)
        return 0;
    if (submission->from == NULL || !is_plain(submission->from))
        return refuse_addresses(reading, "from");
    reading->draft->from = submission->from;
    return 1;
}

/* The mail server counts each as often as it is given. */
static void keep_each_once(struct reading *reading)
{
    const struct recipient *recipients = reading->submission->recipients;
    size_t kept = 0;
    for (size_t i = 0; i < reading->to_count; i++) {
        size_t same = 0;
        while (same < i && (recipients[same].form != recipients[i].form ||
                            strcmp(recipients[same].address, recipients[i].address) != 0))
            same++;
        if (same == i)
            reading->to[kept++] = reading->to[i];
    }
    reading->draft->to = reading->to;
    reading->draft->to_count = kept;
}

/* ---- the whole -------------------------------------------------------------------------- */

static int read_field(struct reading *reading, const struct header_field *field)
{
    static const char *const of_drafts[] = {"X-Sendguard-Parked", "X-Draft-Info", "Date"};
    struct draft *draft = reading->draft;
    bool hidden = is_named(field, field_names[FIELD_BCC]);
    const char *value = value_of(field, reading->submission->arena);
    for (size_t i = 0; i < countof(of_drafts); i++)
        if (is_named(field, of_drafts[i]))
            return 1;
    for (int i = 0; i < FIELD_COUNT; i++)
        if (is_named(field, field_names[i]) &&
            read_recipients(reading, (enum field)i, value) < 1)
            return 0;
    if (is_named(field, "From") && read_from(reading, value) < 1)
        return 0;
    text_add_bytes(&draft->sent, field->text, field->length);
    if (!hidden)
        text_add_bytes(&draft->handed, field->text, field->length);
    return 1;
}

/* What is no line to one reader of SMTP is one to another, who then reads commands in it. */
static bool has_whole_lines(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\0' || (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) ||
            (text[i] == '\r' && (i + 1 == length || text[i + 1] != '\n')))
            return false;
    return true;
}

/* `rest` begins with the empty line. */
static void end_text(struct text *text, int64_t now_ms, const char *rest, size_t length)
{
    text_add(text, "Date: ");
    text_add_mail_date(text, now_ms);
    text_add(text, "\r\n");
    text_add_bytes(text, rest, length);
}

int draft_read(const char *bytes, size_t length, int64_t now_ms, struct submission *submission,
               struct draft *draft_r, struct problem *problem)
{
    struct header_field field;
    size_t at = 0;
    int found;
    *draft_r = (struct draft){0};
    struct reading reading = {.submission = submission, .draft = draft_r, .problem = problem};
    while ((found = next_field(bytes, length, &at, &field)) > 0) {
        if (at > HEADER_MAX)
            return problem_set(problem, 413, "header", "it is longer than %d bytes", HEADER_MAX);
        if (read_field(&reading, &field) < 1)
            return 0;
    }
    if (found < 0)
        return problem_set(problem, 400, "header", "expected fields and an empty line behind them");
    if (draft_r->from == NULL || reading.to_count == 0)
        return problem_set(problem, 400, "header", "expected From and recipients");
    if (!has_whole_lines(bytes + at, length - at))
        return problem_set(problem, 400, "body", "expected lines that end with CRLF, without NUL");
    keep_each_once(&reading);
    text_addf(&draft_r->sent, "X-Sendguard-Sent: %s\r\n", submission->id);
    end_text(&draft_r->sent, now_ms, bytes + at, length - at);
    end_text(&draft_r->handed, now_ms, bytes + at, length - at);
    return 1;
}
