/* What staff ask of the block lists, as forms, API, command line and imported files bring it. */
#include "desk/blocked.h"

#include <string.h>

#include "base/json.h"
#include "base/names.h"
#include "desk/input.h"
#include "guard/keyed_hash.h"
#include "guard/spf_block.h"
#include "message/address.h"

enum word { WORD_ACTION, WORD_KIND, WORD_SUBJECT, WORD_SCOPE, WORD_REASON, WORD_FOR, WORD_NOTE,
            WORD_COUNT };
static const char *const word_names[WORD_COUNT] = {"action", "kind", "subject", "scope",
                                                   "reason", "for",  "note"};

/* ---- an entry ------------------------------------------------------------------------------- */

struct json_object *blocked_view(const struct context *context, const struct block_entry *entry)
{
    struct json_object *view = json_object_new_object();
    bool own = block_list_is_hashed(entry) || entry->advice != NULL ||
               strcmp(entry->reason, BLOCK_UNROUTABLE) == 0;
    const char *text = settings_block_reason(context->settings, entry->reason);
    json_add_string(view, "kind", block_kind_names[entry->kind]);
    json_add_string(view, "subject", block_list_name(context->arena, entry));
    json_add_string(view, "hash", block_list_is_hashed(entry) ? entry->subject : NULL);
    json_add_string(view, "scope",
                    strcmp(entry->scope, BLOCK_SCOPE_ALL) != 0 ? entry->scope : NULL);
    json_add_string(view, "reason",
                    text != entry->reason || own ? entry->reason : BLOCK_BY_STAFF);
    json_add_string(view, "text", entry->advice == NULL ? text : NULL);
    if (entry->advice != NULL)
        json_add_string(view, "advice", entry->advice);
    json_add_moment(view, "since", entry->since_ms);
    json_add_moment(view, "until", entry->until_ms);
    json_add_string(view, "by", entry->by);
    json_add_string(view, "note", entry->note);
    return view;
}

bool blocked_for_all(const struct block_entry *entry)
{
    return entry->kind != BLOCK_SENDER && strcmp(entry->scope, BLOCK_SCOPE_ALL) == 0;
}

const char *blocked_senders_of(const struct block_entry *entry, enum sender_of *of_r)
{
    *of_r = SENDERS_OF_DOMAIN;
    if (entry->kind == BLOCK_SENDER && entry->subject[0] == '@')
        return entry->subject + 1;
    if (entry->kind == BLOCK_SENDER && strchr(entry->subject, '@') == NULL) {
        *of_r = SENDERS_OF_IP;
        return entry->subject;
    }
    return entry->kind == BLOCK_SENDER || entry->kind == BLOCK_PAIR || blocked_for_all(entry)
               ? NULL
               : entry->scope;
}

/* "2026-12-29T10:30:00Z" as sentences have it. */
static const char *minute_of(struct arena *arena, const char *moment)
{
    enum { DAY = 10, MINUTE = 16 };
    if (moment == NULL || strlen(moment) < MINUTE)
        return NULL;
    return arena_printf(arena, "%.*s %.*s UTC", DAY, moment, MINUTE - DAY - 1, moment + DAY + 1);
}

/* What the sender reads of a recipient whom Sendguard blocked, but for who it is. */
static const char *hashed_sentence(struct json_object *entry, const struct catalogue *catalogue,
                                   struct arena *arena, const char *language)
{
    const char *subject = json_string(entry, "subject", ""), *at = strstr(subject, " at ");
    freed_by(json_put) struct json_object *view = json_object_new_object();
    json_add_string(view, "recipient", subject);
    json_add_string(view, "domain", at != NULL ? at + strlen(" at ") : subject);
    json_add_string(view, "until", minute_of(arena, json_string(entry, "until", NULL)));
    return catalogue_text(catalogue, arena, language,
                          arena_printf(arena, "reason.blocked_%s",
                                       json_string(entry, "reason", "")), view);
}

/* The same of a domain that takes no mail. */
static const char *domain_sentence(struct json_object *entry, const struct catalogue *catalogue,
                                   struct arena *arena, const char *language)
{
    const char *domain = json_string(entry, "subject", "");
    freed_by(json_put) struct json_object *view = json_object_new_object();
    json_add_string(view, "recipient", arena_printf(arena, "*@%s", domain));
    json_add_string(view, "domain", domain);
    return catalogue_text(catalogue, arena, language, "reason.recipient_blocked", view);
}

static void add_words(struct json_object *entry, const struct catalogue *catalogue,
                      struct arena *arena, const char *language)
{
    const char *advice = json_string(entry, "advice", NULL);
    if (json_string(entry, "hash", NULL) != NULL &&
        block_list_known_reason(json_string(entry, "reason", "")))
        json_add_string(entry, "text", hashed_sentence(entry, catalogue, arena, language));
    if (strcmp(json_string(entry, "reason", ""), BLOCK_UNROUTABLE) == 0)
        json_add_string(entry, "text", domain_sentence(entry, catalogue, arena, language));
    if (advice == NULL)
        return;
    json_add_string(entry, "text", spf_block_sentence(arena, catalogue, language, advice));
    json_object_object_del(entry, "advice");
}

void desk_blocks_add_words(struct json_object *view, const struct catalogue *catalogue,
                           struct arena *arena, const char *language)
{
    struct json_object *blocks = json_member(view, "blocks");
    for (size_t i = 0; blocks != NULL && i < json_object_array_length(blocks); i++)
        add_words(json_object_array_get_idx(blocks, i), catalogue, arena, language);
    add_words(json_member(view, "before"), catalogue, arena, language);
    add_words(json_member(view, "after"), catalogue, arena, language);
}

/* ---- words ---------------------------------------------------------------------------------- */

static int read_word(const struct context *context, const char *name, struct json_object *value,
                     const char **word_r, struct problem *problem)
{
    if (value != NULL && !json_object_is_type(value, json_type_string))
        return problem_set(problem, 400, name, "expected a string");
    return input_word(context, value, name, word_r, problem);
}

static int read_words(const struct context *context, struct json_object *object,
                      const char *words_r[WORD_COUNT], struct problem *problem)
{
    if (!json_object_is_type(object, json_type_object))
        return problem_set(problem, 400, "body", "expected an object");
    json_object_object_foreach(object, name, value)
    {
        int word = names_find(word_names, WORD_COUNT, name);
        if (word < 0)
            return problem_set(problem, 400, "body", "expected action, kind, subject, scope, "
                                                     "reason, for and note alone");
        if (!read_word(context, name, value, &words_r[word], problem))
            return 0;
    }
    return 1;
}

/* ---- what is blocked ------------------------------------------------------------------------ */

static int read_sender(const struct context *context, const char *text, struct block_entry *entry,
                       struct problem *problem)
{
    char network[BLOCK_NETWORK_SIZE];
    if (text[0] == '@') {
        const char *domain;
        if (!input_domain(context, text, "subject", &domain, problem))
            return 0;
        entry->subject = arena_printf(context->arena, "@%s", domain);
        return 1;
    }
    if (strchr(text, '@') != NULL)
        return input_mailbox(context, text, "subject", &entry->subject, problem);
    if (!block_list_network(text, network))
        return problem_set(problem, 400, "subject",
                           "expected a mailbox, @DOMAIN, or a network: an address, or one with /8, "
                           "/16, /24 or /32 (IPv6: /32, /48, /56 or /64)");
    entry->subject = arena_strdup(context->arena, network);
    return 1;
}

/* Whose mail: all, a sender domain, or one mailbox, which makes a recipient a pair. */
static int read_scope(const struct context *context, const char *scope, struct block_entry *entry,
                      struct problem *problem)
{
    const char *at = scope != NULL ? strchr(scope, '@') : NULL, *domain;
    entry->scope = BLOCK_SCOPE_ALL;
    if (entry->kind == BLOCK_PAIR && (at == NULL || at == scope))
        return problem_set(problem, 400, "scope", "expected the mailbox of the pair");
    if (scope == NULL || strcmp(scope, BLOCK_SCOPE_ALL) == 0)
        return 1;
    if (entry->kind == BLOCK_SENDER)
        return problem_set(problem, 400, "scope", "all mail of a sender is refused: expected none");
    if (at == NULL || at == scope) {
        if (!input_domain(context, scope, "scope", &domain, problem))
            return 0;
        entry->scope = settings_sender_domain(context->settings, domain);
        return 1;
    }
    if (entry->kind == BLOCK_DOMAIN)
        return problem_set(problem, 400, "scope",
                           "expected a domain; one mailbox can be kept from one recipient alone");
    entry->kind = BLOCK_PAIR;
    return input_mailbox(context, scope, "scope", &entry->scope, problem);
}

int blocked_subject_read(const struct context *context, const char *kind, const char *subject,
                         const char *scope, struct block_entry *entry, struct problem *problem)
{
    const char *at = subject != NULL ? strchr(subject, '@') : NULL;
    int number = kind == NULL ? (at == NULL || at == subject ? BLOCK_DOMAIN : BLOCK_RECIPIENT)
                              : names_find(block_kind_names, BLOCK_KIND_COUNT, kind);
    if (number < 0)
        return problem_set(problem, 400, "kind", "expected recipient, pair, domain or sender");
    if (subject == NULL)
        return problem_set(problem, 400, "subject", "expected what is to be blocked");
    entry->kind = (enum block_kind)number;
    int good = entry->kind == BLOCK_SENDER   ? read_sender(context, subject, entry, problem)
               : entry->kind == BLOCK_DOMAIN ? input_domain(context, subject, "subject",
                                                            &entry->subject, problem)
                                             : input_mailbox(context, subject, "subject",
                                                             &entry->subject, problem);
    if (!good || !read_scope(context, scope, entry, problem))
        return 0;
    return strlen(block_list_key(context->arena, entry)) <= VALUE_KEY_MAX ||
           problem_set(problem, 400, "subject", "it is too long together with its scope");
}

int blocked_reason_read(const struct context *context, const char *reason, bool sentence,
                        struct block_entry *entry, struct problem *problem)
{
    if (reason == NULL)
        return problem_set(problem, 400, "reason",
                           "expected a name of [blocks] reasons, or the sentence that the sender "
                           "reads");
    if (strlen(reason) > BLOCK_REASON_MAX_BYTES)
        return problem_set(problem, 400, "reason", "it has at most %d bytes",
                           BLOCK_REASON_MAX_BYTES);
    if (!sentence && settings_lacks_block_reason(context->settings, reason))
        return problem_set(problem, 400, "reason",
                           "[blocks] reasons has no such name; a sentence has more than one word");
    entry->reason = reason;
    return 1;
}

/* ---- recipients that are known by their hash ---- */

size_t blocked_hashes(const struct context *context, const char *address,
                      char hashes_r[BLOCKED_HASHES][BLOCK_SUBJECT_HASH_SIZE])
{
    freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = context->desk->key};
    const char *at = strchr(address, '@');
    if (keys.key == NULL || at == NULL || at == address)
        return 0;
    uint64_t now = keyed_hash_recipient(&keys, address, context->now_ms);
    uint64_t before =
        keyed_hash_recipient(&keys, address, context->now_ms - KEYED_HASH_LOOKS_BACK_MS);
    block_list_hashed(now, hashes_r[0]);
    block_list_hashed(before, hashes_r[1]);
    return now == before ? 1 : BLOCKED_HASHES;
}

/* By its hash an entry can be removed, no more. */
static int read_hash(const struct context *context, const char *const words[WORD_COUNT],
                     struct block_entry *entry, struct problem *problem)
{
    const char *kind = words[WORD_KIND];
    bool pair = kind != NULL && strcmp(kind, block_kind_names[BLOCK_PAIR]) == 0;
    if (kind != NULL && !pair && strcmp(kind, block_kind_names[BLOCK_RECIPIENT]) != 0)
        return problem_set(problem, 400, "kind", "expected recipient or pair");
    entry->kind = pair ? BLOCK_PAIR : BLOCK_RECIPIENT;
    entry->subject = words[WORD_SUBJECT];
    return read_scope(context, words[WORD_SCOPE], entry, problem);
}

/* The sender domain that the scope names, where settings_sender_domain is another. */
static const char *domain_of_scope(const struct context *context, const char *scope,
                                   const struct block_entry *entry)
{
    struct problem unimportant;
    const char *domain;
    bool is_domain = scope != NULL && strcmp(entry->scope, BLOCK_SCOPE_ALL) != 0 &&
                     strchr(entry->scope, '@') == NULL &&
                     input_domain(context, scope, "scope", &domain, &unimportant) > 0;
    return is_domain && strcmp(domain, entry->scope) != 0 ? domain : NULL;
}

static int read_subject(const struct context *context, const char *const words[WORD_COUNT],
                        bool removes, struct block_entry *entry, struct problem *problem)
{
    if (removes && words[WORD_SUBJECT] != NULL && block_list_is_hash(words[WORD_SUBJECT]))
        return read_hash(context, words, entry, problem);
    return blocked_subject_read(context, words[WORD_KIND], words[WORD_SUBJECT], words[WORD_SCOPE],
                                entry, problem);
}

/* ---- an action ------------------------------------------------------------------------------ */

static int read_until(const struct context *context, const char *text, struct block_entry *entry,
                      struct problem *problem)
{
    int64_t for_ms = UNTIL_LIFTED;
    if (text != NULL && !settings_duration_read(text, &for_ms))
        return problem_set(problem, 400, "for",
                           "expected 1s to 3650d, such as 30m, 24h or 7d, or permanent");
    entry->until_ms = for_ms == UNTIL_LIFTED ? UNTIL_LIFTED : context->now_ms + for_ms;
    return 1;
}

int blocked_request_read(const struct context *context, struct json_object *object,
                         const struct person *person, struct blocked_request *request_r,
                         struct problem *problem)
{
    const char *words[WORD_COUNT] = {NULL};
    struct blocked_request request = {.entry = {.by = person->name, .since_ms = context->now_ms}};
    if (!read_words(context, object, words, problem))
        return 0;
    request.removes = words[WORD_ACTION] != NULL && strcmp(words[WORD_ACTION], "unblock") == 0;
    if (!request.removes &&
        (words[WORD_ACTION] == NULL || strcmp(words[WORD_ACTION], "block") != 0))
        return problem_set(problem, 400, "action", "expected block or unblock");
    if (request.removes && (words[WORD_REASON] != NULL || words[WORD_FOR] != NULL))
        return problem_set(problem, 400, words[WORD_REASON] != NULL ? "reason" : "for",
                           "unblock does not take it");
    if (!read_subject(context, words, request.removes, &request.entry, problem))
        return 0;
    request.domain = domain_of_scope(context, words[WORD_SCOPE], &request.entry);
    if (!request.removes &&
        (!blocked_reason_read(context, words[WORD_REASON], false, &request.entry, problem) ||
         !read_until(context, words[WORD_FOR], &request.entry, problem)))
        return 0;
    request.note = request.entry.note = words[WORD_NOTE];
    if (request.note == NULL)
        return problem_set(problem, 400, "note", "expected why this is done, for the audit log");
    if (strlen(request.note) > BLOCKED_NOTE_MAX_BYTES)
        return problem_set(problem, 400, "note", "it has at most %d bytes", BLOCKED_NOTE_MAX_BYTES);
    *request_r = request;
    return 1;
}
