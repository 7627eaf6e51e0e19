#include "dns/dns_records.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { STRING_MAX_BYTES = 255, WORDS_MAX = 512, ALIASES_MAX = 8, WHERE_NAME_MAX = 48 };

struct dns_record {
    const char *name;
    enum spf_type type;
    struct mail_view content; /* as mail/spf.h has it */
    const char *alias;        /* of a CNAME, which has no type and content */
    struct dns_record *next;
};
struct dns_records {
    struct dns_record *first, **end;
    size_t count;
};

struct word {
    struct mail_view text;
    bool quoted;
};
struct zone_reader {
    struct arena *arena;
    const char *file;
    char *next, *end; /* of the text, in which words lose their escapes */
    int line;
    const char *origin, *owner; /* without the root's dot; owner NULL: none yet */
    struct dns_records *records;
    struct problem *problem;
    /* Words up to the end of a line, or of the line where the last parenthesis is closed. */
    int entry_line;
    bool has_owner; /* it does not begin with a blank */
    struct word words[WORDS_MAX];
    size_t count;
};

static int fault(struct zone_reader *reader, const char *expected)
{
    char where[sizeof reader->problem->where];
    snprintf(where, sizeof where, "%.*s:%d", WHERE_NAME_MAX, reader->file, reader->entry_line);
    return problem_set(reader->problem, 0, where, "%s", expected);
}

/* ---- words ------------------------------------------------------------------------------- */

/* "\X" is X, "\DDD" the byte of that number. */
static char read_sign(struct zone_reader *reader)
{
    const char *at = reader->next;
    if (*at != '\\' || at + 1 == reader->end) {
        reader->next++;
        return *at;
    }
    bool number = reader->end - at > 3;
    for (int i = 1; i <= 3 && number; i++)
        number = isdigit((unsigned char)at[i]) != 0;
    reader->next += number ? 4 : 2;
    return number ? (char)((at[1] - '0') * 100 + (at[2] - '0') * 10 + (at[3] - '0')) : at[1];
}

static bool ends_word(char sign)
{
    return sign == '\0' || strchr(" \t\r\n;()\"", sign) != NULL;
}

/* The word that begins here. */
static int read_word(struct zone_reader *reader)
{
    bool quoted = *reader->next == '"';
    reader->next += quoted;
    char *text = reader->next;
    size_t length = 0;
    while (reader->next < reader->end && *reader->next != '\n' &&
           (quoted ? *reader->next != '"' : !ends_word(*reader->next)))
        text[length++] = read_sign(reader);
    if (quoted && (reader->next == reader->end || *reader->next != '"'))
        return fault(reader, "expected a quotation mark at the end of the string");
    reader->next += quoted;
    if (reader->count == WORDS_MAX)
        return fault(reader, "expected at most 512 words");
    reader->words[reader->count++] = (struct word){{text, length}, quoted};
    return 1;
}

/* The words of a line, and of the next ones while a parenthesis is open. */
static int read_words(struct zone_reader *reader)
{
    int open = 0;
    while (reader->next < reader->end) {
        char sign = *reader->next;
        if (sign == ';') {
            while (reader->next < reader->end && *reader->next != '\n')
                reader->next++;
            continue;
        }
        if (sign == '"' || !ends_word(sign)) {
            if (!read_word(reader))
                return 0;
            continue;
        }
        reader->next++;
        open += (sign == '(') - (sign == ')');
        if (open < 0)
            return fault(reader, "expected \"(\" before \")\"");
        reader->line += sign == '\n';
        if (sign == '\n' && open == 0)
            return 1;
    }
    return open == 0 || fault(reader, "expected \")\"");
}

/* ---- records ----------------------------------------------------------------------------- */

static const char *string_of(struct zone_reader *reader, const struct word *word)
{
    return arena_strndup(reader->arena, word->text.text, word->text.length);
}

static bool is_word(const struct word *word, const char *text)
{
    return !word->quoted && word->text.length == strlen(text) &&
           strncasecmp(word->text.text, text, word->text.length) == 0;
}

/* A whole name, without the root's dot. */
static const char *name_of(struct zone_reader *reader, const struct word *word)
{
    const char *name = string_of(reader, word);
    size_t length = strlen(name);
    if (is_word(word, "@"))
        return reader->origin;
    if (length > 0 && name[length - 1] == '.')
        return arena_strndup(reader->arena, name, length - 1);
    return reader->origin[0] == '\0'
               ? name
               : arena_printf(reader->arena, "%s.%s", name, reader->origin);
}

/* "3600", "1h": a TTL says nothing here. */
static bool is_ttl(const struct word *word)
{
    if (word->quoted || word->text.length == 0 || !isdigit((unsigned char)word->text.text[0]))
        return false;
    for (size_t i = 0; i < word->text.length; i++)
        if (strchr("0123456789smhdwSMHDW", word->text.text[i]) == NULL ||
            word->text.text[i] == '\0')
            return false;
    return true;
}

static int add(struct zone_reader *reader, struct dns_record record)
{
    struct dns_record *added = arena_alloc(reader->arena, sizeof *added);
    *added = record;
    added->name = reader->owner;
    *reader->records->end = added;
    reader->records->end = &added->next;
    reader->records->count++;
    return 1;
}

static int add_address(struct zone_reader *reader, enum spf_type type, const struct word *words,
                       size_t count)
{
    size_t length = type == SPF_TYPE_A ? 4 : 16;
    char *address = arena_alloc(reader->arena, length);
    if (count != 1 || inet_pton(type == SPF_TYPE_A ? AF_INET : AF_INET6,
                                string_of(reader, words), address) != 1)
        return fault(reader, type == SPF_TYPE_A ? "expected an IPv4 address behind A"
                                                : "expected an IPv6 address behind AAAA");
    return add(reader, (struct dns_record){.type = type, .content = {address, length}});
}

static int add_name(struct zone_reader *reader, enum spf_type type, const struct word *words,
                    size_t count)
{
    if (type == SPF_TYPE_MX && (count != 2 || !is_ttl(words)))
        return fault(reader, "expected a number and a name behind MX");
    if (type != SPF_TYPE_MX && count != 1)
        return fault(reader, "expected a name behind PTR");
    const char *name = name_of(reader, &words[count - 1]);
    return add(reader, (struct dns_record){.type = type, .content = {name, strlen(name)}});
}

static int add_text(struct zone_reader *reader, const struct word *words, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        if (!words[i].quoted && count > 1)
            return fault(reader, "expected the text behind TXT in quotation marks");
        if (words[i].text.length > STRING_MAX_BYTES)
            return fault(reader, "expected strings of 255 bytes at most behind TXT");
        length += words[i].text.length;
    }
    if (count == 0)
        return fault(reader, "expected a text behind TXT");
    char *text = arena_alloc(reader->arena, length + 1);
    length = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(text + length, words[i].text.text, words[i].text.length);
        length += words[i].text.length;
    }
    return add(reader, (struct dns_record){.type = SPF_TYPE_TXT, .content = {text, length}});
}

static int add_alias(struct zone_reader *reader, const struct word *words, size_t count)
{
    if (count != 1)
        return fault(reader, "expected a name behind CNAME");
    return add(reader, (struct dns_record){.alias = name_of(reader, words)});
}

/* `words` begin with the type. */
static int read_record(struct zone_reader *reader, const struct word *words, size_t count)
{
    static const char *const others[] = {"NS", "SOA", "SRV", "CAA", "SPF", "TLSA", "SSHFP", "DS",
                                         "NAPTR", "HINFO", "LOC", "HTTPS", "SVCB", "DNSKEY",
                                         "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "CDS", "CDNSKEY"};
    if (is_word(words, "A"))
        return add_address(reader, SPF_TYPE_A, words + 1, count - 1);
    if (is_word(words, "AAAA"))
        return add_address(reader, SPF_TYPE_AAAA, words + 1, count - 1);
    if (is_word(words, "MX"))
        return add_name(reader, SPF_TYPE_MX, words + 1, count - 1);
    if (is_word(words, "PTR"))
        return add_name(reader, SPF_TYPE_PTR, words + 1, count - 1);
    if (is_word(words, "TXT"))
        return add_text(reader, words + 1, count - 1);
    if (is_word(words, "CNAME"))
        return add_alias(reader, words + 1, count - 1);
    for (size_t i = 0; i < countof(others); i++)
        if (is_word(words, others[i]))
            return 1;
    return fault(reader, "expected the type of a record, such as A, MX or TXT");
}

static int read_directive(struct zone_reader *reader)
{
    if (is_word(&reader->words[0], "$TTL"))
        return 1;
    if (!is_word(&reader->words[0], "$ORIGIN") || reader->count != 2)
        return fault(reader, "expected $TTL, or $ORIGIN with a name");
    reader->origin = name_of(reader, &reader->words[1]);
    return 1;
}

static int read_entry(struct zone_reader *reader)
{
    size_t next = 0;
    if (reader->has_owner && mail_view_begins(reader->words[0].text, "$"))
        return read_directive(reader);
    if (reader->has_owner)
        reader->owner = name_of(reader, &reader->words[next++]);
    if (reader->owner == NULL)
        return fault(reader, "expected a name at the begin of the line");
    while (next < reader->count &&
           (is_ttl(&reader->words[next]) || is_word(&reader->words[next], "IN")))
        next++;
    if (next == reader->count)
        return fault(reader, "expected a type behind the name, such as A, MX or TXT");
    return read_record(reader, reader->words + next, reader->count - next);
}

int dns_records_read(struct arena *arena, const char *file, struct mail_view text,
                     struct dns_records **records_r, struct problem *problem)
{
    struct zone_reader *reader = arena_alloc(arena, sizeof *reader);
    struct dns_records *records = arena_alloc(arena, sizeof *records);
    records->end = &records->first;
    *reader = (struct zone_reader){.arena = arena, .file = file, .line = 1, .origin = "",
                              .records = records, .problem = problem};
    reader->next = arena_strndup(arena, text.text, text.length);
    reader->end = reader->next + text.length;
    while (reader->next < reader->end) {
        reader->entry_line = reader->line;
        reader->has_owner = !isspace((unsigned char)*reader->next);
        reader->count = 0;
        if (!read_words(reader) || (reader->count > 0 && !read_entry(reader)))
            return 0;
    }
    *records_r = records;
    return 1;
}

/* ---- looking up -------------------------------------------------------------------------- */

enum spf_lookup dns_records_look_up(void *self, struct arena *arena, const char *name,
                                    enum spf_type type, struct spf_found *found_r)
{
    const struct dns_records *records = self;
    const char *alias = name;
    *found_r = (struct spf_found){.of = arena_alloc(arena, (records->count + 1) *
                                                               sizeof *found_r->of)};
    for (int i = 0; i < ALIASES_MAX && alias != NULL && found_r->count == 0; i++) {
        name = alias;
        alias = NULL;
        for (const struct dns_record *one = records->first; one != NULL; one = one->next) {
            if (strcasecmp(one->name, name) != 0)
                continue;
            if (one->alias != NULL)
                alias = one->alias;
            else if (one->type == type)
                found_r->of[found_r->count++] = one->content;
        }
    }
    return found_r->count > 0 ? SPF_LOOKUP_FOUND
           : alias != NULL    ? SPF_LOOKUP_FAILED
                              : SPF_LOOKUP_VOID;
}
