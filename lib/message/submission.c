#include "message/submission.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/zone.h"
#include "message/address.h"

enum { LANG_MAX_BYTES = 35, FIRST_ROOM = 16 };

const char *const field_names[FIELD_COUNT] = {"to", "cc", "bcc"};

void submission_init(struct submission *submission, struct arena *arena, enum channel channel)
{
    *submission = (struct submission){.arena = arena, .channel = channel, .lang = "en"};
}

static void set_where(struct problem *problem, const char *where)
{
    snprintf(problem->where, sizeof problem->where, "%s", where);
}

int submission_set_id(struct submission *submission, const char *text, size_t length,
                      struct problem *problem)
{
    if (length == 0)
        return problem_set(problem, 400, "id", "expected a message's id, but it is empty");
    if (length > SUBMISSION_MAX_ID_BYTES)
        return problem_set(problem, 413, "id", "an id has at most %d bytes, this one %zu",
                           SUBMISSION_MAX_ID_BYTES, length);
    const char *fault = address_text_fault(text, length);
    if (fault != NULL)
        return problem_set(problem, 400, "id", "expected a message's id, but %s", fault);
    submission->id = arena_strndup(submission->arena, text, length);
    return 1;
}

void submission_make_id(struct submission *submission)
{
    unsigned char random[12];
    char id[2 * sizeof random + 1];
    randombytes_buf(random, sizeof random);
    sodium_bin2hex(id, sizeof id, random, sizeof random);
    submission->id = arena_strdup(submission->arena, id);
}

int submission_set_mailbox(struct submission *submission, const char *text, size_t length,
                           struct problem *problem)
{
    const char *key = NULL;
    if (!address_key(submission->arena, text, length, &key, problem)) {
        set_where(problem, "mailbox");
        return 0;
    }
    submission->mailbox = key;
    submission->domain = strrchr(key, '@') + 1;
    return 1;
}

/* One customer has a /64 (RFC 6177). */
static const char *network_key(struct arena *arena, struct in6_addr *address)
{
    char text[INET6_ADDRSTRLEN];
    memset(address->s6_addr + 8, 0, 8);
    inet_ntop(AF_INET6, address, text, sizeof text);
    return arena_printf(arena, "%s/64", text);
}

int submission_set_ip(struct submission *submission, const char *text, size_t length,
                      struct problem *problem)
{
    char copy[INET6_ADDRSTRLEN + 1] = "", canonical[INET_ADDRSTRLEN];
    struct in_addr four;
    struct in6_addr six;
    if (length <= INET6_ADDRSTRLEN && memchr(text, '\0', length) == NULL)
        memcpy(copy, text, length);
    bool is_four = inet_pton(AF_INET, copy, &four) == 1;
    bool is_six = !is_four && inet_pton(AF_INET6, copy, &six) == 1;
    if (!is_four && !is_six)
        return problem_set(problem, 400, "ip",
                           "expected an IPv4 or IPv6 address without port, zone or brackets");
    if (is_four) /* inet_pton takes the one form that inet_ntop makes */
        submission->ip = arena_strndup(submission->arena, text, length);
    else if (IN6_IS_ADDR_V4MAPPED(&six))
        submission->ip = arena_strdup(submission->arena, inet_ntop(AF_INET, six.s6_addr + 12,
                                                                   canonical, sizeof canonical));
    else
        submission->ip = network_key(submission->arena, &six);
    return 1;
}

static int refuse_entry(struct problem *problem, const char *where, struct address_entry entry,
                        const char *fault)
{
    char quoted[ADDRESS_QUOTE_SIZE];
    return problem_set(problem, 400, where, "%s is no address: %s", address_quote(quoted, entry),
                       fault);
}

int submission_set_from(struct submission *submission, const char *text, size_t length,
                        struct problem *problem)
{
    const char *fault = address_text_fault(text, length);
    if (fault != NULL)
        return problem_set(problem, 400, "from", "expected an address, but %s", fault);
    struct address_list list = {.text = text, .length = length};
    struct address_entry entry;
    int found = address_list_next(&list, &entry, &fault);
    if (found < 0)
        return refuse_entry(problem, "from", entry, fault);
    if (found == 0 || (entry.length == 2 && memcmp(entry.text, "<>", 2) == 0)) {
        submission->from = NULL;
        return 1;
    }
    if (list.in_group || list.at <= length) /* a separator follows */
        return problem_set(problem, 400, "from", "expected one address alone");
    struct address address;
    uint32_t written_chars = 0;
    if ((fault = address_entry_read(entry, &address, &written_chars)) != NULL)
        return refuse_entry(problem, "from", entry, fault);
    submission->from = arena_strndup(submission->arena, address.text, address.length);
    return 1;
}

static int keep_from(struct submission *submission, const char *address, struct problem *problem)
{
    size_t count = submission->further_from_count;
    if (submission->from == NULL) {
        submission->from = address;
        return 1;
    }
    if (count + 1 == SUBMISSION_MAX_FROM)
        return problem_set(problem, 413, "from", "a message has at most %d addresses in From",
                           SUBMISSION_MAX_FROM);
    const char **all = arena_alloc(submission->arena, (count + 1) * sizeof *all);
    if (count > 0)
        memcpy(all, submission->further_from, count * sizeof *all);
    all[count] = address;
    submission->further_from = all;
    submission->further_from_count++;
    return 1;
}

int submission_add_from(struct submission *submission, const char *text, size_t length,
                        struct problem *problem)
{
    struct address_list list = {.text = text, .length = length};
    struct address_entry entry;
    const char *fault = address_text_fault(text, length);
    int found, kept = 1;
    if (fault != NULL)
        return problem_set(problem, 400, "from", "expected addresses, but %s", fault);
    while (kept && (found = address_list_next(&list, &entry, &fault)) != 0) {
        struct address address;
        uint32_t unused = 0;
        if (found > 0)
            fault = address_entry_read(entry, &address, &unused);
        if (fault != NULL)
            return refuse_entry(problem, "from", entry, fault);
        kept = keep_from(submission,
                         arena_strndup(submission->arena, address.text, address.length), problem);
    }
    return kept;
}

int submission_set_lang(struct submission *submission, const char *text, size_t length,
                        struct problem *problem)
{
    bool fits = length > 0 && length <= LANG_MAX_BYTES;
    for (size_t i = 0; fits && i < length; i++)
        fits = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
               (text[i] >= '0' && text[i] <= '9') || text[i] == '-';
    if (!fits)
        return problem_set(problem, 400, "lang",
                           "expected a language tag such as de or pt-BR, at most %d letters, "
                           "digits and hyphens",
                           LANG_MAX_BYTES);
    submission->lang = arena_strndup(submission->arena, text, length);
    submission->lang_set = true;
    return 1;
}

int submission_set_zone(struct submission *submission, const char *text, size_t length,
                        struct problem *problem)
{
    if (length == 0 || length > ZONE_NAME_MAX || memchr(text, '\0', length) != NULL)
        return problem_set(problem, 400, "tz", "expected a time zone such as Europe/Berlin, at "
                                               "most %d bytes", ZONE_NAME_MAX);
    submission->zone = arena_strndup(submission->arena, text, length);
    if (!zone_exists(submission->zone))
        submission->zone = "UTC";
    return 1;
}

static struct recipient *new_recipient(struct submission *submission)
{
    if (submission->recipient_count == submission->recipient_room) {
        size_t room = submission->recipient_room > 0 ? submission->recipient_room * 2 : FIRST_ROOM;
        struct recipient *more = arena_alloc(submission->arena, room * sizeof *more);
        if (submission->recipient_count > 0)
            memcpy(more, submission->recipients, submission->recipient_count * sizeof *more);
        submission->recipients = more;
        submission->recipient_room = room;
    }
    return &submission->recipients[submission->recipient_count++];
}

/* "to[3]": the place of the next recipient of the field. */
static void entry_place(const struct submission *submission, enum field field, char place_r[32])
{
    size_t before = 0;
    for (size_t i = 0; i < submission->recipient_count; i++)
        before += submission->recipients[i].field == field;
    snprintf(place_r, 32, "%s[%zu]", field_names[field], before);
}

static uint32_t count_characters(const char *text)
{
    uint32_t count = 0;
    for (; *text != '\0'; text++)
        count += (*text & 0xC0) != 0x80;
    return count;
}

static int add_address(struct submission *submission, enum field field,
                       const struct address *address, uint32_t written_chars,
                       struct problem *problem)
{
    if (submission->recipient_count >= SUBMISSION_MAX_RECIPIENTS)
        return problem_set(problem, 413, field_names[field], "a message has at most %d recipients",
                           SUBMISSION_MAX_RECIPIENTS);
    char *key = arena_strndup(submission->arena, address->text, address->length);
    *new_recipient(submission) = (struct recipient){
        .address = key,
        .domain = key + address->domain_at,
        .written_chars = written_chars,
        .form = address->form,
        .field = field,
    };
    return 1;
}

int submission_add_key(struct submission *submission, enum field field, const char *key,
                       struct problem *problem)
{
    struct address address = {.length = strlen(key)};
    memcpy(address.text, key, address.length + 1);
    address.domain_at = (size_t)(strrchr(key, '@') + 1 - key);
    return add_address(submission, field, &address, count_characters(key), problem);
}

static int add_entry(struct submission *submission, enum field field, struct address_entry entry,
                     struct problem *problem)
{
    struct address address;
    uint32_t written_chars = 0;
    const char *fault = address_entry_read(entry, &address, &written_chars);
    if (fault != NULL) {
        char place[32];
        entry_place(submission, field, place);
        return refuse_entry(problem, place, entry, fault);
    }
    return add_address(submission, field, &address, written_chars, problem);
}

static int add_entries(struct submission *submission, enum field field, const char *text,
                       size_t length, struct problem *problem)
{
    struct address_list list = {.text = text, .length = length, .form = submission->form};
    struct address_entry entry;
    const char *fault = NULL;
    int found, added = 1;
    while (added && (found = address_list_next(&list, &entry, &fault)) != 0) {
        if (found < 0) {
            char place[32];
            entry_place(submission, field, place);
            return refuse_entry(problem, place, entry, fault);
        }
        added = add_entry(submission, field, entry, problem);
    }
    return added;
}

int submission_add_recipients(struct submission *submission, enum field field, const char *text,
                              size_t length, struct problem *problem)
{
    if (length > SUBMISSION_MAX_ADDRESS_BYTES - submission->address_bytes)
        return problem_set(problem, 413, field_names[field],
                           "the recipients of a message have at most %d bytes",
                           SUBMISSION_MAX_ADDRESS_BYTES);
    const char *fault = address_text_fault(text, length);
    if (fault != NULL)
        return problem_set(problem, 400, field_names[field], "expected addresses, but %s", fault);
    size_t count = submission->recipient_count;
    if (!add_entries(submission, field, text, length, problem)) {
        submission->recipient_count = count;
        return 0;
    }
    submission->address_bytes += length;
    return 1;
}

int submission_add_recipient(struct submission *submission, enum field field, const char *text,
                             size_t length, struct problem *problem)
{
    size_t count = submission->recipient_count;
    if (!submission_add_recipients(submission, field, text, length, problem))
        return 0;
    if (submission->recipient_count <= count + 1)
        return 1;
    submission->recipient_count = count;
    submission->address_bytes -= length;
    char place[32], quoted[ADDRESS_QUOTE_SIZE];
    entry_place(submission, field, place);
    return problem_set(problem, 400, place, "%s holds more than one recipient",
                       address_quote(quoted, (struct address_entry){text, length}));
}

void submission_pass_over(struct submission *submission, enum field field, size_t entry,
                          const char *text, size_t length)
{
    char quoted[ADDRESS_QUOTE_SIZE];
    if (submission->unread == NULL)
        submission->unread = arena_alloc(submission->arena,
                                         SUBMISSION_MAX_UNREAD * sizeof *submission->unread);
    if (submission->unread_count == SUBMISSION_MAX_UNREAD)
        return;
    address_quote(quoted, (struct address_entry){text, length});
    submission->unread[submission->unread_count++] = (struct unread_recipient){
        .field = field, .entry = entry, .quoted = arena_strdup(submission->arena, quoted)};
}
