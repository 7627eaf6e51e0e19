/* What of a message is on the block lists. All its subjects are looked up in memory; only where one
 * may be blocked, the entries that it can have are read. */
#include <string.h>

#include "guard/block_list.h"
#include "guard/guard.h"
#include "guard/judgement.h"

enum {
    SENDERS = 2 + BLOCK_NETWORK_LENGTHS, /* the mailbox, its domain, the networks */
    SCOPES = 2,                          /* all, its sender domain */
    READ_AT_ONCE = 512,
};

/* What may be blocked, and where the entry is looked for. */
struct blockable {
    enum block_kind kind;
    const char *text;   /* NULL: none, or of a domain: as the one before */
    const char *reason; /* once it was found */
};

struct looking {
    struct judgement *judgement;
    struct blockable *of; /* two for each recipient, address and domain; then SENDERS */
    size_t count, recipients;
    const char *group; /* the sender domain */
};

/* ---- subjects ------------------------------------------------------------------------------- */

/* An exempt one has none. */
static void add_recipient(struct looking *looking, size_t number, const char **domain)
{
    const struct judgement *judgement = looking->judgement;
    const struct submission *submission = judgement->submission;
    const struct recipient_classes classes = guard_recipient_classes(judgement->settings);
    const char *target = recipient_target(
        judgement->arena, submission->recipients[number].address, submission->domain, &classes);
    if (settings_exempt_recipient(judgement->settings, target))
        return;
    const char *at = strrchr(target, '@') + 1;
    struct blockable *own = &looking->of[2 * number];
    own[0] = (struct blockable){BLOCK_RECIPIENT, target, NULL};
    if (*domain == NULL || strcmp(*domain, at) != 0)
        own[1] = (struct blockable){BLOCK_DOMAIN, at, NULL};
    *domain = at;
}

static void add_senders(struct looking *looking)
{
    const struct submission *submission = looking->judgement->submission;
    struct arena *arena = looking->judgement->arena;
    struct blockable *of = &looking->of[2 * looking->recipients];
    *of++ = (struct blockable){BLOCK_SENDER, submission->mailbox, NULL};
    *of++ = (struct blockable){BLOCK_SENDER, arena_printf(arena, "@%s", submission->domain), NULL};
    char(*networks)[BLOCK_NETWORK_SIZE] = arena_alloc(arena, SENDERS * sizeof *networks);
    size_t count =
        submission->ip != NULL ? block_list_networks_of(submission->ip, networks) : 0;
    for (size_t i = 0; i < count; i++)
        *of++ = (struct blockable){BLOCK_SENDER, networks[i], NULL};
}

static struct looking begin(struct judgement *judgement)
{
    size_t recipients = judgement->submission->recipient_count;
    struct looking looking = {.judgement = judgement, .count = 2 * recipients + SENDERS,
                              .recipients = recipients,
                              .group = settings_sender_domain(judgement->settings,
                                                              judgement->submission->domain)};
    looking.of = arena_alloc(judgement->arena, looking.count * sizeof *looking.of);
    const char *domain = NULL;
    for (size_t i = 0; i < recipients; i++)
        add_recipient(&looking, i, &domain);
    add_senders(&looking);
    return looking;
}

/* ---- the lists ------------------------------------------------------------------------------ */

/* Entries to be read, and whose they are. */
struct entries_asked {
    struct value values[READ_AT_ONCE];
    struct blockable *whose[READ_AT_ONCE];
    size_t count;
};

static void add_key(struct looking *looking, struct entries_asked *reading,
                    struct blockable *subject, enum block_kind kind, const char *scope)
{
    const struct block_entry entry = {.kind = kind, .subject = subject->text, .scope = scope};
    const char *key = block_list_key(looking->judgement->arena, &entry);
    if (strlen(key) > VALUE_KEY_MAX)
        return; /* no entry is so long */
    reading->values[reading->count] = (struct value){.kind = VALUE_BLOCKED, .key = key};
    reading->whose[reading->count++] = subject;
}

static void add_keys(struct looking *looking, struct entries_asked *reading,
                     struct blockable *subject)
{
    add_key(looking, reading, subject, subject->kind, BLOCK_SCOPE_ALL);
    if (subject->kind == BLOCK_SENDER)
        return;
    add_key(looking, reading, subject, subject->kind, looking->group);
    if (subject->kind == BLOCK_RECIPIENT)
        add_key(looking, reading, subject, BLOCK_PAIR, looking->judgement->submission->mailbox);
}

static int read_entries(struct looking *looking, struct store *store, struct entries_asked *reading,
                        int64_t now_ms)
{
    struct arena *arena = looking->judgement->arena;
    if (reading->count > 0 &&
        store_values_get(store, arena, reading->values, reading->count, now_ms) < 0)
        return -1;
    for (size_t i = 0; i < reading->count; i++) {
        struct block_entry entry;
        if (reading->values[i].version != 0 && reading->whose[i]->reason == NULL &&
            block_list_read(arena, &reading->values[i], &entry) > 0)
            reading->whose[i]->reason = entry.reason;
    }
    reading->count = 0;
    return 1;
}

/* Sets the reasons of those that are on a list. 1 or -1. */
static int find_listed(struct looking *looking, struct block_filter *filter, struct store *store,
                       int64_t now_ms)
{
    struct arena *arena = looking->judgement->arena;
    const char **texts = arena_alloc(arena, looking->count * sizeof *texts);
    bool *hits = arena_alloc(arena, looking->count * sizeof *hits);
    for (size_t i = 0; i < looking->count; i++)
        texts[i] = looking->of[i].text;
    if (block_filter_hits(filter, texts, looking->count, hits) == 0)
        return 1;
    struct entries_asked *reading = arena_alloc(arena, sizeof *reading);
    for (size_t i = 0; i < looking->count; i++) {
        if (hits[i])
            add_keys(looking, reading, &looking->of[i]);
        if (reading->count > READ_AT_ONCE - SCOPES - 1 &&
            read_entries(looking, store, reading, now_ms) < 0)
            return -1;
    }
    return read_entries(looking, store, reading, now_ms);
}

/* ---- objections ----------------------------------------------------------------------------- */

static void find_unroutable(struct looking *looking)
{
    const struct judgement *judgement = looking->judgement;
    for (size_t i = 0; i < looking->recipients; i++) {
        struct blockable *domain = &looking->of[2 * i + 1];
        if (domain->text != NULL && domain->reason == NULL &&
            settings_unroutable(judgement->settings, judgement->submission->domain, domain->text))
            domain->reason = BLOCK_UNROUTABLE;
    }
}

/* Adds what is told of the reason. A sentence of staff's own is the reason "staff". */
static struct objection with_reason(const struct looking *looking, struct objection objection,
                                    const char *reason)
{
    objection.count = 1;
    objection.reason = reason;
    if (strcmp(reason, BLOCK_UNROUTABLE) == 0)
        return objection;
    const char *sentence = settings_block_reason(looking->judgement->settings, reason);
    if (sentence == reason)
        objection.reason = BLOCK_BY_STAFF;
    bool ends = sentence[0] != '\0' && strchr(".!?", sentence[strlen(sentence) - 1]) != NULL;
    objection.sentence = ends ? sentence
                              : arena_printf(looking->judgement->arena, "%s.", sentence);
    return objection;
}

/* The mail server knows no fields. */
static struct objection objection_to(const struct looking *looking, size_t number,
                                     const char *reason)
{
    const struct submission *submission = looking->judgement->submission;
    const struct recipient *recipient = &submission->recipients[number];
    bool has_fields = submission->channel == CHANNEL_WEBMAIL;
    return with_reason(looking,
                       (struct objection){.rule = RULE_RECIPIENT_BLOCKED,
                                          .field = has_fields ? (int)recipient->field : -1,
                                          .domain = strrchr(looking->of[2 * number].text, '@') + 1,
                                          .recipient = recipient->address},
                       reason);
}

/* Of a recipient that the mail server names several times, one. */
static bool is_told(const struct objection *before, const struct objection *objection)
{
    return before->recipient != NULL && before->field == objection->field &&
           strcmp(before->recipient, objection->recipient) == 0;
}

static size_t object_to_senders(const struct looking *looking, struct objection *list)
{
    for (size_t i = 2 * looking->recipients; i < looking->count; i++)
        if (looking->of[i].reason != NULL) {
            list[0] = with_reason(looking,
                                  (struct objection){.rule = RULE_SENDER_BLOCKED, .field = -1},
                                  looking->of[i].reason);
            return 1;
        }
    return 0;
}

static void object(struct looking *looking)
{
    struct judgement *judgement = looking->judgement;
    size_t count = judgement->objection_count;
    struct objection *list =
        arena_alloc(judgement->arena, (count + 1 + looking->recipients) * sizeof *list);
    const char *of_domain = NULL;
    if (count > 0)
        memcpy(list, judgement->objections, count * sizeof *list);
    count += object_to_senders(looking, list + count);
    for (size_t i = 0; i < looking->recipients; i++) {
        const struct blockable *own = &looking->of[2 * i];
        if (own[1].text != NULL)
            of_domain = own[1].reason;
        if (own[0].text == NULL || (own[0].reason == NULL && of_domain == NULL))
            continue;
        list[count] = objection_to(looking, i, own[0].reason != NULL ? own[0].reason : of_domain);
        count += count == 0 || !is_told(&list[count - 1], &list[count]);
    }
    judgement->objections = list;
    judgement->objection_count = count;
}

static bool found_any(const struct looking *looking)
{
    for (size_t i = 0; i < looking->count; i++)
        if (looking->of[i].reason != NULL)
            return true;
    return false;
}

int judgement_find_blocked(struct judgement *judgement, struct block_filter *filter,
                           struct store *store, int64_t now_ms)
{
    if (judgement->limits.exempt || judgement->submission->channel == CHANNEL_FORWARDING)
        return 1;
    struct looking looking = begin(judgement);
    if (!block_filter_is_empty(filter) && find_listed(&looking, filter, store, now_ms) < 0)
        return -1;
    find_unroutable(&looking);
    if (found_any(&looking))
        object(&looking);
    return 1;
}
