/* What of a message is on the block lists. All its subjects are looked up in memory; only where one
 * may be blocked, the entries that it can have are read. */
#include <string.h>

#include "guard/block_list.h"
#include "guard/guard.h"
#include "guard/judgement.h"
#include "guard/spf_block.h"
#include "guard/verdict_text.h"

enum {
    SENDERS = 2 + BLOCK_NETWORK_LENGTHS, /* the mailbox, its domain, the networks */
    SCOPES = 2,                          /* all, its sender domain */
    READ_AT_ONCE = 512,
    PROBES_MAX = 512, /* of one message; recipients beyond them are let through */
    CLAIM_ATTEMPTS = 20,
    HASH_YEARS = 2,
};

/* What may be blocked, and where the entry is looked for. */
struct blockable {
    enum block_kind kind;
    const char *text;   /* NULL: none, or of a domain: as the one before */
    const char *reason; /* once it was found */
    const char *advice; /* with it: that of its entry */
    int64_t until_ms;   /* of a reason of Sendguard's own; else 0 */
};

struct looking {
    struct judgement *judgement;
    struct blockable *of; /* two for each recipient, address and domain; then SENDERS; then, where
                             hashes are looked for, HASH_YEARS for each recipient */
    size_t count, recipients;
    const size_t *whose; /* of each recipient: its number in the submission; those behind the
                            submission's own are where some of them may lead */
    uint64_t message; /* which one this is, as entries name a probe */
    int64_t now_ms;
    const char *group; /* the sender domain */
};

/* ---- subjects ------------------------------------------------------------------------------- */

static const char *target_of(const struct judgement *judgement, size_t number)
{
    const struct submission *submission = judgement->submission;
    const struct recipient_classes classes = guard_recipient_classes(judgement->settings);
    return recipient_target(judgement->arena, submission->recipients[number].address,
                            submission->domain, &classes);
}

static bool any_domain(const void *context, const char *mailbox_domain, const char *domain)
{
    (void)context, (void)mailbox_domain, (void)domain;
    return true;
}

/* Any domain may be a name or an address of the mail server itself that no setting tells:
 * bob%x.test@[127.0.0.1] reaches bob@x.test. Where a recipient leads then; NULL: nowhere else than
 * to its target. */
static const char *further_target(const struct judgement *judgement, size_t number,
                                  const char *target)
{
    static const struct recipient_classes any = {.own_domain = any_domain};
    const struct submission *submission = judgement->submission;
    const char *address = submission->recipients[number].address;
    if (strcspn(address, "%!@") == (size_t)(strrchr(address, '@') - address))
        return NULL;
    const char *further = recipient_target(judgement->arena, address, submission->domain, &any);
    return strcmp(further, target) != 0 && !settings_exempt_recipient(judgement->settings, target)
               ? further
               : NULL;
}

/* Where each of the recipients leads, and behind them where some lead further. */
static const char **find_targets(struct looking *looking)
{
    const struct judgement *judgement = looking->judgement;
    size_t given = judgement->submission->recipient_count;
    const char **targets = arena_alloc(judgement->arena, 2 * given * sizeof *targets);
    size_t *whose = arena_alloc(judgement->arena, 2 * given * sizeof *whose);
    looking->whose = whose;
    looking->recipients = given;
    for (size_t i = 0; i < given; i++) {
        targets[i] = target_of(judgement, i);
        const char *further = further_target(judgement, i, targets[i]);
        whose[i] = i;
        if (further == NULL)
            continue;
        targets[looking->recipients] = further;
        whose[looking->recipients++] = i;
    }
    return targets;
}

/* An exempt one has none. */
static void add_recipient(struct looking *looking, size_t number, const char *target,
                          const char **domain)
{
    if (settings_exempt_recipient(looking->judgement->settings, target))
        return;
    const char *at = strrchr(target, '@') + 1;
    struct blockable *own = &looking->of[2 * number];
    own[0] = (struct blockable){BLOCK_RECIPIENT, target, NULL, NULL, 0};
    if (*domain == NULL || strcmp(*domain, at) != 0)
        own[1] = (struct blockable){BLOCK_DOMAIN, at, NULL, NULL, 0};
    *domain = at;
}

static void add_senders(struct looking *looking)
{
    const struct submission *submission = looking->judgement->submission;
    struct arena *arena = looking->judgement->arena;
    struct blockable *of = &looking->of[2 * looking->recipients];
    *of++ = (struct blockable){BLOCK_SENDER, submission->mailbox, NULL, NULL, 0};
    *of++ = (struct blockable){BLOCK_SENDER, arena_printf(arena, "@%s", submission->domain), NULL,
                                NULL, 0};
    char(*networks)[BLOCK_NETWORK_SIZE] = arena_alloc(arena, SENDERS * sizeof *networks);
    size_t count =
        submission->ip != NULL ? block_list_networks_of(submission->ip, networks) : 0;
    for (size_t i = 0; i < count; i++)
        *of++ = (struct blockable){BLOCK_SENDER, networks[i], NULL, NULL, 0};
}

static struct blockable *hashes_of(const struct looking *looking, size_t number)
{
    return &looking->of[2 * looking->recipients + SENDERS + HASH_YEARS * number];
}

/* A hash of the year, and for a month of the year before. */
static void add_hashes(struct looking *looking, struct keyed_hash_keys *keys)
{
    const int64_t before_ms = looking->now_ms - KEYED_HASH_LOOKS_BACK_MS;
    const struct submission *submission = looking->judgement->submission;
    struct arena *arena = looking->judgement->arena;
    const int64_t moments[HASH_YEARS] = {looking->now_ms, before_ms};
    int years = keyed_hash_same_year(keys, looking->now_ms, before_ms) ? 1 : HASH_YEARS;
    looking->count += HASH_YEARS * looking->recipients;
    for (size_t i = 0; i < looking->recipients; i++) {
        const char *address = looking->of[2 * i].text;
        struct blockable *hashes = hashes_of(looking, i);
        for (int year = 0; year < years && address != NULL; year++) {
            char *text = arena_alloc(arena, BLOCK_SUBJECT_HASH_SIZE);
            block_list_hashed(keyed_hash_recipient(keys, address, moments[year]), text);
            hashes[year] = (struct blockable){BLOCK_RECIPIENT, text, NULL, NULL, 0};
        }
    }
    looking->message = keyed_hash_recipient(
        keys, arena_printf(arena, "%s\n%s", submission->mailbox, submission->id), before_ms);
}

static struct looking begin(struct judgement *judgement, struct judgement_lists *lists,
                            int64_t now_ms)
{
    struct looking looking = {.judgement = judgement, .now_ms = now_ms,
                              .group = settings_sender_domain(judgement->settings,
                                                              judgement->submission->domain)};
    const char *const *targets = find_targets(&looking);
    size_t recipients = looking.recipients;
    bool hashes = lists->has_hashed;
    looking.count = 2 * recipients + SENDERS;
    looking.of = arena_alloc(judgement->arena,
                             (looking.count + (hashes ? HASH_YEARS * recipients : 0)) *
                                 sizeof *looking.of);
    const char *domain = NULL;
    for (size_t i = 0; i < recipients; i++)
        add_recipient(&looking, i, targets[i], &domain);
    add_senders(&looking);
    if (hashes)
        add_hashes(&looking, &lists->keys);
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

static bool is_same(const struct block_entry *one, const struct block_entry *other)
{
    return one->kind == other->kind && strcmp(one->subject, other->subject) == 0 &&
           strcmp(one->scope, other->scope) == 0;
}

/* A message that names a recipient twice tries it once. */
static void add_probe(struct looking *looking, const struct block_entry *entry, uint32_t version)
{
    struct judgement *judgement = looking->judgement;
    if (judgement->probes == NULL)
        judgement->probes = arena_alloc(judgement->arena, PROBES_MAX * sizeof *judgement->probes);
    for (size_t i = 0; i < judgement->probe_count; i++)
        if (is_same(&judgement->probes[i].entry, entry))
            return;
    if (judgement->probe_count == PROBES_MAX)
        return;
    struct block_probe *probe = &judgement->probes[judgement->probe_count++];
    *probe = (struct block_probe){*entry, version};
    probe->entry.probe_ms = looking->now_ms;
    probe->entry.probe_of = looking->message;
}

/* Behind its end one message passes, and others wait for what becomes of it. What comes from the
 * webmail's host was judged before. */
static void take_entry(struct looking *looking, struct blockable *whose,
                       const struct block_entry *entry, uint32_t version)
{
    int64_t probe_until_ms = entry->probe_ms + BLOCK_PROBE_WAITS_MS;
    int64_t ahead_ms = looking->now_ms + BLOCK_AHEAD_MS;
    if (block_list_is_hashed(entry) && entry->since_ms > ahead_ms)
        return;
    if (!block_list_is_hashed(entry) || looking->now_ms < entry->until_ms) {
        whose->reason = entry->reason;
        whose->advice = entry->advice;
        whose->until_ms = block_list_is_hashed(entry) ? entry->until_ms : 0;
    } else if (looking->judgement->submission->webmail_host) {
        return;
    } else if (entry->probe_ms == 0 || entry->probe_ms > ahead_ms) {
        add_probe(looking, entry, version);
    } else if (looking->now_ms < probe_until_ms && entry->probe_of != looking->message) {
        whose->reason = BLOCK_PROBE;
        whose->until_ms = probe_until_ms;
    }
}

static int read_entries(struct looking *looking, struct store *store, struct entries_asked *reading)
{
    struct arena *arena = looking->judgement->arena;
    if (reading->count > 0 &&
        store_values_get(store, arena, reading->values, reading->count, looking->now_ms) <
            0)
        return -1;
    for (size_t i = 0; i < reading->count; i++) {
        struct block_entry entry;
        if (reading->values[i].version != 0 && reading->whose[i]->reason == NULL &&
            block_list_read(arena, &reading->values[i], &entry) > 0)
            take_entry(looking, reading->whose[i], &entry, reading->values[i].version);
    }
    reading->count = 0;
    return 1;
}

/* Sets the reasons of those that are on a list. 1 or -1. */
static int find_listed(struct looking *looking, struct block_filter *filter, struct store *store)
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
            read_entries(looking, store, reading) < 0)
            return -1;
    }
    return read_entries(looking, store, reading);
}

/* What was found by its hash is found. */
static void take_hashed(struct looking *looking)
{
    for (size_t i = 0; i < looking->recipients; i++)
        for (int year = 0; year < HASH_YEARS; year++) {
            const struct blockable *hash = &hashes_of(looking, i)[year];
            if (looking->of[2 * i].reason != NULL || hash->reason == NULL)
                continue;
            looking->of[2 * i].reason = hash->reason;
            looking->of[2 * i].until_ms = hash->until_ms;
        }
}

/* ---- objections ----------------------------------------------------------------------------- */

/* What may lead further counts only where nobody could say whither. */
static void find_unroutable(struct looking *looking)
{
    const struct judgement *judgement = looking->judgement;
    for (size_t i = 0; i < looking->recipients; i++) {
        struct blockable *domain = &looking->of[2 * i + 1];
        bool further = i >= judgement->submission->recipient_count;
        if (domain->text != NULL && domain->reason == NULL &&
            (!further || strcmp(domain->text, RECIPIENT_TOO_FAR) == 0) &&
            settings_unroutable(judgement->settings, judgement->submission->domain, domain->text))
            domain->reason = BLOCK_UNROUTABLE;
    }
}

/* An answer of the mail server has little room. */
static const char *no_spf_sentence(const struct judgement *judgement, const char *advice)
{
    const char *lang = judgement->submission->lang;
    if (judgement->submission->channel != CHANNEL_WEBMAIL)
        return spf_block_short_sentence(judgement->arena, judgement->catalogue, advice);
    return spf_block_sentence(judgement->arena, judgement->catalogue,
                              catalogue_language(judgement->catalogue, lang), advice);
}

/* Adds what is told of the reason. A sentence of staff's own is the reason "staff". */
static struct objection with_reason(const struct looking *looking, struct objection objection,
                                    const struct blockable *blocked)
{
    const char *reason = blocked->reason;
    objection.count = 1;
    if (blocked->until_ms != 0 && block_list_known_reason(reason)) {
        const struct judgement *judgement = looking->judgement;
        objection.reason = reason;
        if (blocked->until_ms != UNTIL_LIFTED)
            objection.until = verdict_moment_text(judgement->arena, judgement->catalogue,
                                                  judgement->submission, looking->now_ms,
                                                  blocked->until_ms);
        return objection;
    }
    objection.reason = reason;
    if (strcmp(reason, BLOCK_UNROUTABLE) == 0)
        return objection;
    if (blocked->advice != NULL) {
        objection.sentence = no_spf_sentence(looking->judgement, blocked->advice);
        return objection;
    }
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
                                     const struct blockable *blocked)
{
    const struct submission *submission = looking->judgement->submission;
    const struct recipient *recipient = &submission->recipients[looking->whose[number]];
    bool has_fields = submission->channel == CHANNEL_WEBMAIL;
    return with_reason(looking,
                       (struct objection){.rule = RULE_RECIPIENT_BLOCKED,
                                          .field = has_fields ? (int)recipient->field : -1,
                                          .domain = strrchr(looking->of[2 * number].text, '@') + 1,
                                          .recipient = recipient->address},
                       blocked);
}

/* Of a recipient that the mail server names several times, one. */
static bool is_told(const struct objection *before, const struct objection *objection)
{
    return before->recipient != NULL && before->field == objection->field &&
           strcmp(before->recipient, objection->recipient) == 0;
}

static size_t object_to_senders(const struct looking *looking, struct objection *list)
{
    for (size_t i = 2 * looking->recipients; i < 2 * looking->recipients + SENDERS; i++)
        if (looking->of[i].reason != NULL) {
            list[0] = with_reason(looking,
                                  (struct objection){.rule = RULE_SENDER_BLOCKED, .field = -1},
                                  &looking->of[i]);
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
    const struct blockable *of_domain = NULL;
    if (count > 0)
        memcpy(list, judgement->objections, count * sizeof *list);
    count += object_to_senders(looking, list + count);
    for (size_t i = 0; i < looking->recipients; i++) {
        const struct blockable *own = &looking->of[2 * i];
        if (own[1].text != NULL)
            of_domain = &own[1];
        const struct blockable *blocked = own[0].reason != NULL ? &own[0] : of_domain;
        if (own[0].text == NULL || blocked == NULL || blocked->reason == NULL)
            continue;
        list[count] = objection_to(looking, i, blocked);
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

int judgement_find_blocked(struct judgement *judgement, struct judgement_lists *lists,
                           int64_t now_ms)
{
    if (judgement->limits.exempt || judgement->submission->channel == CHANNEL_FORWARDING)
        return 1;
    struct looking looking = begin(judgement, lists, now_ms);
    if (!block_filter_is_empty(lists->filter) &&
        find_listed(&looking, lists->filter, lists->store) < 0)
        return -1;
    if (looking.count > 2 * looking.recipients + SENDERS)
        take_hashed(&looking);
    find_unroutable(&looking);
    if (found_any(&looking))
        object(&looking);
    return 1;
}

/* ---- probes --------------------------------------------------------------------------------- */

/* 1 and each probe has its new version; 0: an entry was changed meanwhile; -1. */
static int change_probes(struct judgement *judgement, struct store *store, int64_t now_ms)
{
    struct arena *arena = judgement->arena;
    struct value_change *changes = arena_alloc(arena, PROBES_MAX * sizeof *changes);
    struct values_done *done = arena_alloc(arena, sizeof *done);
    for (size_t i = 0; i < judgement->probe_count; i++)
        changes[i] = (struct value_change){
            .value = block_list_value(arena, &judgement->probes[i].entry),
            .replaces = judgement->probes[i].version};
    int result = store_values_change(
        store,
        &(struct values_step){.changes = changes, .count = judgement->probe_count,
                              .now_ms = now_ms},
        done);
    for (size_t i = 0; i < judgement->probe_count && result > 0; i++)
        judgement->probes[i].version = done->versions[i];
    return result;
}

int judgement_claim_probes(struct judgement *judgement, struct judgement_lists *lists,
                           int64_t now_ms)
{
    for (int attempt = 0; attempt < CLAIM_ATTEMPTS; attempt++) {
        if (judgement->probe_count == 0 || judgement_is_rejected(judgement))
            return 1;
        int result = change_probes(judgement, lists->store, now_ms);
        judgement->probing = result > 0;
        if (result != 0)
            return result;
        judgement->probe_count = 0;
        if (judgement_find_blocked(judgement, lists, now_ms) < 0)
            return -1;
    }
    return -1;
}

void judgement_return_probes(struct judgement *judgement, struct store *store, int64_t now_ms)
{
    for (size_t i = 0; i < judgement->probe_count; i++)
        judgement->probes[i].entry.probe_ms = 0;
    (void)!change_probes(judgement, store, now_ms); /* else the others wait for some days */
    judgement->probing = false;
}
