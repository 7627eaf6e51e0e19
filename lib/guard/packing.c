#include "guard/packing.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/json.h"
#include "base/packed.h"
#include "base/text.h"

enum { FORMAT = 1 }; /* JSON, as earlier versions kept, begins with another byte */
enum {
    FLAG_FROM = 1,         /* From is kept … */
    FLAG_FROM_MAILBOX = 2, /* … or is the mailbox; neither: there is none */
    FLAG_EXEMPT = 4,
    FLAG_WEBMAIL_HOST = 8,
    IP_SHIFT = 4, /* two bits: the form of the IP */
    FLAG_BY_HEADER = 64,
    FLAG_LANG = 128,
    IP_MASK = 3,
};
enum ip_form { IP_NONE, IP_TEXT, IP_V4, IP_V6_64 };
enum { V4_BYTES = 4, V6_BYTES = 16, V6_64_BYTES = 8, IP_TEXT_SIZE = INET6_ADDRSTRLEN + 4 };

/* format, terms, flags, channel */
enum { FIXED_BYTES = 1 + sizeof(uint64_t) + 2 };
enum { WITHOUT_LIMIT = 1000 }; /* from there on, rules without a limit by their number behind RULE_COUNT */
enum { DOMAINS_MAX = 20 }; /* a record names so many domains and rules, the rest is counted */

/* ---- writing ---------------------------------------------------------------------------- */

static void format_v6_64(const uint8_t bytes[V6_64_BYTES], char text_r[IP_TEXT_SIZE])
{
    uint8_t address[V6_BYTES] = {0};
    memcpy(address, bytes, V6_64_BYTES);
    inet_ntop(AF_INET6, address, text_r, INET6_ADDRSTRLEN);
    strcat(text_r, "/64");
}

/* The form in which an IP can be kept so that it is read as it is now. */
static enum ip_form pack_ip(const char *ip, uint8_t bytes_r[V6_BYTES])
{
    char text[IP_TEXT_SIZE];
    if (ip == NULL)
        return IP_NONE;
    if (inet_pton(AF_INET, ip, bytes_r) == 1) /* which takes the one form that inet_ntop makes */
        return IP_V4;
    size_t length = strcspn(ip, "/");
    if (length >= INET6_ADDRSTRLEN)
        return IP_TEXT;
    memcpy(text, ip, length);
    text[length] = '\0';
    if (inet_pton(AF_INET6, text, bytes_r) != 1)
        return IP_TEXT;
    format_v6_64(bytes_r, text);
    return strcmp(text, ip) == 0 ? IP_V6_64 : IP_TEXT;
}

static void put_head(struct text *out, const struct packed_message *message)
{
    const struct submission *submission = message->submission;
    uint8_t ip[V6_BYTES];
    enum ip_form form = pack_ip(submission->ip, ip);
    bool has_from = submission->from != NULL;
    bool from_mailbox = has_from && strcmp(submission->from, submission->mailbox) == 0;
    bool has_lang = message->keeps_lang && submission->lang_set;
    text_add_char(out, FORMAT);
    text_add_bytes(out, (const char *)&message->terms, sizeof message->terms);
    text_add_char(out, (char)((has_from && !from_mailbox ? FLAG_FROM : 0) |
                              (from_mailbox ? FLAG_FROM_MAILBOX : 0) |
                              (message->exempt ? FLAG_EXEMPT : 0) |
                              (submission->webmail_host ? FLAG_WEBMAIL_HOST : 0) |
                              (submission->by_header ? FLAG_BY_HEADER : 0) |
                              (has_lang ? FLAG_LANG : 0) |
                              form << IP_SHIFT));
    text_add_char(out, (char)submission->channel);
    packed_add_string(out, submission->mailbox);
    if (form == IP_TEXT)
        packed_add_string(out, submission->ip);
    else if (form != IP_NONE)
        text_add_bytes(out, (const char *)ip, form == IP_V4 ? V4_BYTES : V6_64_BYTES);
    packed_add_string(out, submission->id);
    if (has_from && !from_mailbox)
        packed_add_string(out, submission->from);
    if (has_lang)
        packed_add_string(out, submission->lang);
}

/* The most of one domain that is not an own one: what shows how near the limits of a domain were. */
static void put_counts(struct text *out, const struct facts *facts)
{
    uint32_t recipients = 0, chars = 0;
    for (size_t i = 0; i < facts->domain_count; i++) {
        const struct domain_facts *domain = &facts->domains[i];
        if (domain->own)
            continue;
        recipients = domain->recipients > recipients ? domain->recipients : recipients;
        chars = domain->header_chars > chars ? domain->header_chars : chars;
    }
    for (int field = 0; field < FIELD_COUNT; field++)
        packed_add_number(out, facts->in_field[field]);
    packed_add_number(out, facts->off_domain);
    packed_add_number(out, recipients);
    packed_add_number(out, chars);
}

static size_t named(size_t count) { return count < DOMAINS_MAX ? count : DOMAINS_MAX; }

static void put_domains(struct text *out, const struct facts *facts)
{
    packed_add_number(out, named(facts->domain_count));
    packed_add_number(out, facts->domain_count - named(facts->domain_count));
    for (size_t i = 0; i < named(facts->domain_count); i++) {
        packed_add_string(out, facts->domains[i].domain);
        packed_add_number(out, facts->domains[i].recipients);
        packed_add_number(out, facts->domains[i].header_chars);
        packed_add_number(out, facts->domains[i].own);
    }
}

static void put_broken(struct text *out, const struct packed_message *message)
{
    packed_add_number(out, named(message->objection_count));
    packed_add_number(out, message->objection_count - named(message->objection_count));
    for (size_t i = 0; i < named(message->objection_count); i++) {
        const struct objection *objection = &message->objections[i];
        packed_add_number(out, objection->rule < RULE_COUNT
                                   ? objection->rule
                                   : (unsigned)(WITHOUT_LIMIT + objection->rule - RULE_COUNT));
        packed_add_number(out, objection_refuses(objection) ? objection->count : 0);
        packed_add_number(out, (uint64_t)(objection->field + 1)); /* 0: of no field */
        packed_add_string(out, objection->domain != NULL ? objection->domain : ""); /* "": of none */
    }
}

struct record_facts packing_facts(const struct packed_message *message)
{
    freed_by(text_free) struct text out = {0};
    put_head(&out, message);
    put_counts(&out, message->facts);
    /* while observing, a message passes that broke rules */
    size_t admitted_length = message->objection_count > 0 ? SIZE_MAX : out.length;
    put_domains(&out, message->facts);
    put_broken(&out, message);
    char *bytes = arena_alloc(message->submission->arena, out.length);
    memcpy(bytes, out.data, out.length);
    return (struct record_facts){bytes, out.length,
                                 admitted_length < out.length ? admitted_length : out.length};
}

/* ---- reading ------------------------------------------------------------------------------ */

/* A string as JSON, "" in the place of one that cannot be read. */
static struct json_object *get_string(struct packed_rest *unread)
{
    size_t length = packed_number(unread);
    const uint8_t *bytes = packed_bytes(unread, length);
    return json_object_new_string_len(bytes != NULL ? (const char *)bytes : "",
                                      bytes != NULL ? (int)length : 0);
}

static void read_ip(struct packed_rest *unread, enum ip_form form, struct json_object *facts)
{
    char text[IP_TEXT_SIZE] = "";
    const uint8_t *bytes = form == IP_V4 || form == IP_V6_64
                               ? packed_bytes(unread, form == IP_V4 ? V4_BYTES : V6_64_BYTES)
                               : NULL;
    if (form == IP_TEXT) {
        json_add(facts, "ip", get_string(unread));
        return;
    }
    if (bytes != NULL && form == IP_V4)
        inet_ntop(AF_INET, bytes, text, sizeof text);
    else if (bytes != NULL)
        format_v6_64(bytes, text);
    json_add_string(facts, "ip", bytes != NULL ? text : NULL);
}

static void read_head(struct packed_rest *unread, struct json_object *facts)
{
    const uint8_t *head = packed_bytes(unread, FIXED_BYTES);
    if (head == NULL)
        return;
    uint8_t flags = head[FIXED_BYTES - 2], channel = head[FIXED_BYTES - 1];
    json_add_string(facts, "channel", channel < CHANNEL_COUNT ? channel_names[channel] : NULL);
    struct json_object *mailbox = get_string(unread);
    json_add(facts, "mailbox", mailbox);
    read_ip(unread, (enum ip_form)(flags >> IP_SHIFT & IP_MASK), facts);
    json_add(facts, "id", get_string(unread));
    if ((flags & FLAG_FROM) != 0)
        json_add(facts, "from", get_string(unread));
    else if ((flags & FLAG_FROM_MAILBOX) != 0)
        json_add(facts, "from", json_object_get(mailbox));
    else
        json_add_null(facts, "from");
    if ((flags & FLAG_LANG) != 0)
        json_add(facts, "lang", get_string(unread));
    if ((flags & FLAG_EXEMPT) != 0)
        json_add_bool(facts, "exempt", true);
    if ((flags & FLAG_WEBMAIL_HOST) != 0)
        json_add_bool(facts, "webmail_host", true);
    if ((flags & FLAG_BY_HEADER) != 0)
        json_add_bool(facts, "by_header", true);
}

static void read_counts(struct packed_rest *unread, struct json_object *facts)
{
    int64_t recipients = 0;
    for (int field = 0; field < FIELD_COUNT; field++) {
        int64_t count = (int64_t)packed_number(unread);
        json_add_int(facts, field_names[field], count);
        recipients += count;
    }
    json_add_int(facts, "recipients", recipients);
    json_add_int(facts, "off_domain", (int64_t)packed_number(unread));
    json_add_int(facts, "most_in_domain", (int64_t)packed_number(unread));
    json_add_int(facts, "most_chars_in_domain", (int64_t)packed_number(unread));
}

static void read_domains(struct packed_rest *unread, struct json_object *facts)
{
    uint64_t count = packed_number(unread), more = packed_number(unread);
    struct json_object *domains = json_add_list(facts, "domains");
    for (uint64_t i = 0; i < count && unread->next != NULL; i++) {
        struct json_object *domain = json_object_new_array();
        json_object_array_add(domain, get_string(unread));
        json_object_array_add(domain, json_object_new_int64((int64_t)packed_number(unread)));
        json_object_array_add(domain, json_object_new_int64((int64_t)packed_number(unread)));
        if (packed_number(unread) != 0)
            json_object_array_add(domain, json_object_new_int(1));
        json_object_array_add(domains, domain);
    }
    if (more > 0)
        json_add_int(facts, "more_domains", (int64_t)more);
}

/* The rule at that place in the terms, or without a limit; NULL for none. */
static const char *rule_at(struct json_object *facts, uint64_t place)
{
    struct json_object *limits = json_member(facts, "limits");
    if (place >= WITHOUT_LIMIT)
        return place - WITHOUT_LIMIT < RULE_NAMED_COUNT - RULE_COUNT
                   ? rule_table[RULE_COUNT + (place - WITHOUT_LIMIT)].name
                   : NULL;
    if (!json_object_is_type(limits, json_type_object))
        return NULL;
    json_object_object_foreach(limits, name, limit)
    {
        (void)limit;
        if (place-- == 0)
            return name;
    }
    return NULL;
}

static void read_broken(struct packed_rest *unread, struct json_object *facts)
{
    uint64_t count = packed_number(unread), more = packed_number(unread);
    if (count == 0)
        return;
    struct json_object *broken = json_add_list(facts, "broken");
    for (uint64_t i = 0; i < count && unread->next != NULL; i++) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "rule", rule_at(facts, packed_number(unread)));
        json_add_int(one, "count", (int64_t)packed_number(unread));
        uint64_t field = packed_number(unread);
        if (field > 0 && field <= FIELD_COUNT)
            json_add_string(one, "field", field_names[field - 1]);
        struct json_object *domain = get_string(unread);
        if (json_object_get_string_len(domain) > 0)
            json_add(one, "domain", json_object_get(domain));
        json_object_put(domain);
        json_object_array_add(broken, one);
    }
    if (more > 0)
        json_add_int(facts, "more_broken", (int64_t)more);
}

/* Versions before 0.2 named the channel "door". */
static struct json_object *read_json(const char *text)
{
    struct json_object *facts = json_read(text);
    if (!json_object_is_type(facts, json_type_object)) {
        json_put(&facts);
        return json_object_new_object();
    }
    const char *door = json_string(facts, "door", NULL);
    if (door != NULL && json_member(facts, "channel") == NULL)
        json_add_string(facts, "channel", door);
    return facts;
}

static bool is_packed(const struct record *record)
{
    return record->facts_length >= FIXED_BYTES && record->facts[0] == FORMAT;
}

uint64_t packing_terms(const struct record *record)
{
    uint64_t terms = 0;
    if (is_packed(record))
        memcpy(&terms, record->facts + 1, sizeof terms);
    return terms;
}

int packing_identity(struct arena *arena, const struct record *record,
                     struct packed_identity *identity_r)
{
    struct packed_rest unread = {(const uint8_t *)record->facts,
                                 (const uint8_t *)record->facts + record->facts_length};
    if (!is_packed(record))
        return 0;
    packed_bytes(&unread, 1 + sizeof(uint64_t));
    uint64_t flags = packed_fixed(&unread, 1), channel = packed_fixed(&unread, 1);
    const char *mailbox = packed_string(&unread, arena);
    enum ip_form form = (enum ip_form)(flags >> IP_SHIFT & IP_MASK);
    if (form == IP_TEXT)
        packed_string(&unread, arena);
    else if (form != IP_NONE)
        packed_bytes(&unread, form == IP_V4 ? V4_BYTES : V6_64_BYTES);
    const char *id = packed_string(&unread, arena);
    if (mailbox == NULL || id == NULL || channel >= CHANNEL_COUNT)
        return 0;
    if ((flags & FLAG_FROM) != 0)
        packed_string(&unread, arena);
    if ((flags & FLAG_LANG) != 0)
        packed_string(&unread, arena);
    for (int field = 0; field < FIELD_COUNT; field++)
        packed_number(&unread);
    *identity_r = (struct packed_identity){(enum channel)channel, (flags & FLAG_EXEMPT) != 0,
                                           mailbox, id, (uint32_t)packed_number(&unread)};
    return 1;
}

struct json_object *packing_read(const struct record *record, const char *terms)
{
    struct packed_rest unread = {(const uint8_t *)record->facts,
                            (const uint8_t *)record->facts + record->facts_length};
    if (!is_packed(record))
        return read_json(record->facts);
    struct json_object *facts = read_json(terms != NULL ? terms : "{}");
    read_head(&unread, facts);
    read_counts(&unread, facts);
    if (unread.next != NULL && unread.next < unread.end) {
        read_domains(&unread, facts);
        read_broken(&unread, facts);
    }
    return facts;
}
