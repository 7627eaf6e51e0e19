/* What the store is asked: by what the message is known again, in whose histories it counts. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "guard/guard.h"
#include "guard/judgement.h"
#include "guard/packing.h"
#include "guard/shadow.h"
#include "rules/history.h"

/* ---- known again ---------------------------------------------------------------------- */

/* By what a repetition is known: the recipients as they came. Of the mail server only their number
 * always comes, since names are forgotten; that is enough, as it gives an id to one message only. */
static uint64_t fingerprint(const struct submission *submission)
{
    uint64_t fingerprint;
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, crypto_generichash_BYTES_MIN);
    if (submission->accepted > 0)
        crypto_generichash_update(&state, (const unsigned char *)&submission->accepted,
                                  sizeof submission->accepted);
    for (size_t i = 0; i < submission->recipient_count && submission->accepted == 0; i++) {
        const char *address = submission->recipients[i].address;
        crypto_generichash_update(&state, (const unsigned char *)address, strlen(address) + 1);
    }
    if (submission->unnamed > 0 && submission->accepted == 0)
        crypto_generichash_update(&state, (const unsigned char *)&submission->unnamed,
                                  sizeof submission->unnamed);
    unsigned char hash[crypto_generichash_BYTES_MIN];
    crypto_generichash_final(&state, hash, sizeof hash);
    memcpy(&fingerprint, hash, sizeof fingerprint);
    return fingerprint;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void hash_string(crypto_generichash_state *state, const char *string)
{
    crypto_generichash_update(state, (const unsigned char *)string, strlen(string) + 1);
}

/* The recipients, whatever their order and fields; of the mail server also their number, since
 * names are forgotten, and the size. */
static uint64_t hash_of_recipients(const struct submission *submission)
{
    const uint64_t numbers[] = {submission->accepted, submission->unnamed, submission->size};
    size_t count = submission->recipient_count;
    const char **addresses = arena_alloc(submission->arena, (count + 1) * sizeof *addresses);
    unsigned char hash[crypto_generichash_BYTES_MIN];
    uint64_t number;
    crypto_generichash_state state;
    for (size_t i = 0; i < count; i++)
        addresses[i] = submission->recipients[i].address;
    qsort(addresses, count, sizeof *addresses, compare_strings);
    crypto_generichash_init(&state, NULL, 0, sizeof hash);
    crypto_generichash_update(&state, (const unsigned char *)numbers, sizeof numbers);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(addresses[i - 1], addresses[i]) != 0)
            hash_string(&state, addresses[i]);
    crypto_generichash_final(&state, hash, sizeof hash);
    memcpy(&number, hash, sizeof number);
    return number;
}

static uint64_t hash_of_id(const struct submission *submission)
{
    unsigned char hash[crypto_generichash_BYTES_MIN];
    uint64_t number;
    crypto_generichash(hash, sizeof hash, (const unsigned char *)submission->id,
                       strlen(submission->id), NULL, 0);
    memcpy(&number, hash, sizeof number);
    return number;
}

/* By what a message that is tried again while its mailbox is suspended is known: in the webmail by
 * its id or its recipients. A mail server gives every try an id of its own. */
static uint64_t attempt(const struct submission *submission)
{
    uint64_t recipients = hash_of_recipients(submission);
    uint64_t attempt = submission->channel == CHANNEL_WEBMAIL
                           ? hash_of_id(submission) << 32 | (uint32_t)recipients
                           : recipients;
    return attempt != 0 ? attempt : 1;
}

/* ---- the request ------------------------------------------------------------------------ */

/* The webmail chooses its ids, and asks for refunds by them. The mail server tells senders its own,
 * so these are others: no id of the webmail has a line feed. */
const char *guard_counted_id(struct arena *arena, enum channel channel, const char *id)
{
    return channel == CHANNEL_WEBMAIL ? id
                                      : arena_printf(arena, "%s\n%s", channel_names[channel], id);
}

/* The webmail endpoint leaves a ticket for the mail server's, when that one will look for it. */
static void prepare_tickets(const struct judgement *judgement, struct judge_request *request)
{
    const struct submission *submission = judgement->submission;
    bool leaves = submission->channel == CHANNEL_WEBMAIL &&
                  judgement->settings->mta_webmail_hosts.count > 0;
    if (!leaves && (!submission->webmail_host || submission->by_header ||
                    judgement_refuses_from(judgement)))
        return;
    uint32_t count = facts_handed_over(judgement->arena, submission);
    if (count > SUBMISSION_MAX_RECIPIENTS) /* no channel admits so many in one message */
        return;
    *(leaves ? &request->ticket : &request->redeem) = count;
}

static bool limits_a(enum subject subject, const struct limits *limits)
{
    for (int rule = RULE_FIRST_OVER_TIME; rule < RULE_COUNT; rule++)
        if (rule_table[rule].subject == subject && limits->of[rule] != LIMIT_OFF)
            return true;
    return false;
}

/* Whose history of an IP it counts in; NULL for none, also where no rule asks. What an exempt
 * mailbox sends leaves others at its address their room, and the address of a webmail host is all
 * its users'. */
static const char *counted_ip(const struct judgement *judgement)
{
    bool nobodys = !limits_a(SUBJECT_IP, &judgement->limits.limits) ||
                   judgement->submission->webmail_host ||
                   history_marks[SUBJECT_IP][judgement->submission->channel] == NULL;
    return nobodys ? NULL : judgement->submission->ip;
}

/* The key of the sender domain that it counts for; NULL for none, also where no rule asks. */
static const char *counted_domain(const struct judgement *judgement)
{
    const struct submission *submission = judgement->submission;
    if (judgement->limits.exempt || history_marks[SUBJECT_DOMAIN][submission->channel] == NULL ||
        !limits_a(SUBJECT_DOMAIN, &judgement->limits.limits))
        return NULL;
    char *key = arena_alloc(judgement->arena, DOMAIN_KEY_SIZE);
    history_domain_key(settings_sender_domain(judgement->settings, submission->domain), key);
    return key;
}

/* Whether it counts for each of its recipients: where a rule asks, of its channel or of another one that
 * counts with it, for each has a limit of its own for the one total. */
static bool counts_for_recipients(const struct judgement *judgement)
{
    const struct settings *settings = judgement->settings;
    const enum rule rule = RULE_MESSAGES_PER_DAY_PER_RECIPIENT;
    enum channel own = judgement->submission->channel;
    bool counts = limits_a(SUBJECT_RECIPIENT, &judgement->limits.limits);
    if (judgement->limits.exempt || history_marks[SUBJECT_RECIPIENT][own] == NULL)
        return false;
    for (int channel = 0; channel < CHANNEL_COUNT && !counts; channel++)
        counts = history_is_shared(SUBJECT_RECIPIENT, own, (enum channel)channel) &&
                 settings->limits[channel].of[rule] != LIMIT_OFF;
    return counts;
}

static int compare_addresses(const void *a, const void *b)
{
    const struct recipient *const *one = a, *const *other = b;
    int order = strcmp((*one)->address, (*other)->address);
    return order != 0 ? order : (int)(*one)->field - (int)(*other)->field;
}

static int compare_places(const void *a, const void *b)
{
    const struct recipient *const *one = a, *const *other = b;
    return *one < *other ? -1 : *one > *other;
}

/* Its recipients, each once in the order of the submission, and their hashes. An exempt one does not count, nor does one of which the
 * mail server told no name. */
static void prepare_recipients(struct judgement *judgement, struct judgement_lists *lists,
                               struct judge_request *request)
{
    const struct submission *submission = judgement->submission;
    const struct recipient_classes classes = guard_recipient_classes(judgement->settings);
    struct arena *arena = judgement->arena;
    size_t count = submission->recipient_count, kept = 0;
    if (lists->keys.key == NULL || count == 0 || !counts_for_recipients(judgement))
        return;
    const struct recipient **of = arena_alloc(arena, count * sizeof of[0]);
    for (size_t i = 0; i < count; i++)
        of[i] = &submission->recipients[i];
    qsort(of, count, sizeof of[0], compare_addresses);
    for (size_t i = 0; i < count; i++) {
        const char *address = of[i]->address;
        if ((kept > 0 && strcmp(of[kept - 1]->address, address) == 0) ||
            settings_exempt_recipient(judgement->settings,
                                      recipient_target(arena, address, submission->domain,
                                                       &classes)))
            continue;
        of[kept++] = of[i];
    }
    if (kept == 0)
        return;
    qsort(of, kept, sizeof of[0], compare_places);
    uint64_t *hashes = arena_alloc(arena, kept * sizeof hashes[0]);
    for (size_t i = 0; i < kept; i++)
        hashes[i] = keyed_hash_counted(&lists->keys, of[i]->address);
    judgement->recipients = of;
    request->recipients = hashes;
    request->recipient_count = kept;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

static uint32_t recipients_in_all(const struct submission *submission)
{
    size_t count = submission->recipient_count + submission->unnamed;
    return count < SUBMISSION_MAX_RECIPIENTS ? (uint32_t)count : SUBMISSION_MAX_RECIPIENTS;
}

/* Recipients of which only the number is known are new ones, each at a domain of its own: who has
 * their names forgotten gains nothing. The same message has the same. Of a webmail host all were
 * known to the webmail endpoint. */
static size_t add_unnamed(const struct judgement *judgement, struct judgement_lists *lists,
                          uint64_t *hashes, size_t count)
{
    const struct submission *submission = judgement->submission;
    uint32_t unnamed = submission->webmail_host ? 0 : submission->unnamed;
    for (uint32_t i = 0; i < unnamed && count < SUBMISSION_MAX_RECIPIENTS; i++)
        hashes[count++] = keyed_hash_profiled(
            &lists->keys, arena_printf(judgement->arena, "%s@ %u", submission->id, (unsigned)i));
    return count;
}

/* Of each off-domain recipient once, rising. */
static uint64_t *profiled_recipients(const struct judgement *judgement,
                                     struct judgement_lists *lists, size_t *count_r)
{
    const struct submission *submission = judgement->submission;
    const struct recipient_classes classes = guard_recipient_classes(judgement->settings);
    uint64_t *hashes = arena_alloc(judgement->arena,
                                   (recipients_in_all(submission) + 1) * sizeof hashes[0]);
    size_t count = 0;
    for (size_t i = 0; i < submission->recipient_count; i++) {
        const char *target = recipient_target(judgement->arena, submission->recipients[i].address,
                                              submission->domain, &classes);
        if (!settings_own_domain(judgement->settings, submission->domain,
                                 strrchr(target, '@') + 1) &&
            !settings_exempt_recipient(judgement->settings, target))
            hashes[count++] = keyed_hash_profiled(&lists->keys, target);
    }
    count = add_unnamed(judgement, lists, hashes, count);
    qsort(hashes, count, sizeof hashes[0], compare_numbers);
    *count_r = 0;
    for (size_t i = 0; i < count; i++)
        if (*count_r == 0 || hashes[*count_r - 1] != hashes[i])
            hashes[(*count_r)++] = hashes[i];
    return hashes;
}

/* What becomes of a message that is unusual. What the webmail sends waits in the mail server, which is
 * told by the ticket; where it does not look for tickets, the message cannot wait, and is deferred. */
static enum unusual_action unusual_action(const struct settings *settings, enum channel channel)
{
    bool no_ticket = channel == CHANNEL_WEBMAIL && settings->mta_webmail_hosts.count == 0;
    if (settings->guard_mode == MODE_OBSERVE)
        return UNUSUAL_NOTE;
    switch (settings->unusual_mode) {
    case UNUSUAL_MODE_HOLD: return no_ticket ? UNUSUAL_DEFER : UNUSUAL_HOLD;
    case UNUSUAL_MODE_DEFER: return UNUSUAL_DEFER;
    default: return UNUSUAL_NOTE;
    }
}

/* By which a message that is deferred is known when it is tried again: its recipients, as elsewhere. */
static uint64_t hash_of_hashes(const uint64_t *hashes, size_t count)
{
    unsigned char hash[crypto_generichash_BYTES_MIN];
    uint64_t number;
    crypto_generichash(hash, sizeof hash, (const unsigned char *)hashes, count * sizeof hashes[0],
                       NULL, 0);
    memcpy(&number, hash, sizeof number);
    return number & ((UINT64_C(1) << PROFILE_HASH_BITS) - 1);
}

/* What enters the profile of its mailbox. The address of a webmail host is all its users'. */
static void prepare_profile(struct judgement *judgement, struct judgement_lists *lists,
                            struct judge_request *request)
{
    const struct settings *settings = judgement->settings;
    const struct submission *submission = judgement->submission;
    if (settings->unusual_mode == UNUSUAL_MODE_OFF || judgement->limits.exempt ||
        lists->keys.key == NULL ||
        !channel_is_its_users(submission->channel))
        return;
    struct judge_profile *profile = arena_alloc(judgement->arena, sizeof *profile);
    *profile = (struct judge_profile){
        .network = submission->ip != NULL && !submission->webmail_host
                       ? keyed_hash_profiled_network(&lists->keys, submission->ip)
                       : 0,
        .limits = {.new_recipients = (uint32_t)settings->unusual_new_recipients,
                   .factor = (uint32_t)settings->unusual_factor,
                   .new_domains = (uint32_t)settings->unusual_new_domains},
        .action = unusual_action(settings, submission->channel),
    };
    profile->recipients = profiled_recipients(judgement, lists, &profile->recipient_count);
    if (profile->action == UNUSUAL_DEFER)
        profile->tried = hash_of_hashes(profile->recipients, profile->recipient_count);
    request->profile = profile;
}

/* Under which the mail server has it: an id of it is QUEUE-ID/INSTANCE. NULL: it is another's. */
static const char *queue_id(const struct submission *submission)
{
    const char *end = strchr(submission->id, '/');
    if (submission->channel != CHANNEL_SMTP)
        return NULL;
    return end != NULL ? arena_strndup(submission->arena, submission->id,
                                       (size_t)(end - submission->id))
                       : "";
}

/* Whether the message counts where a rule over time looks. */
static bool has_subject(const struct judge_request *request, enum rule rule)
{
    switch (rule_table[rule].subject) {
    case SUBJECT_IP: return request->ip != NULL;
    case SUBJECT_DOMAIN: return request->group != NULL;
    case SUBJECT_RECIPIENT: return request->recipient_count > 0;
    default: return true;
    }
}

static int32_t held_limit(const struct judgement *judgement, enum rule rule)
{
    int32_t limit = judgement->limits.limits.of[rule];
    return rule_table[rule].subject == SUBJECT_RECIPIENT && limit > PAIR_MESSAGES_MAX
               ? PAIR_MESSAGES_MAX
               : limit;
}

/* The windows that it is held against. */
static void prepare_windows(const struct judgement *judgement, struct judge_request *request)
{
    const struct settings *settings = judgement->settings;
    for (int rule = RULE_FIRST_OVER_TIME; rule < RULE_COUNT; rule++) {
        int32_t limit = held_limit(judgement, (enum rule)rule);
        if (limit != LIMIT_OFF && has_subject(request, (enum rule)rule))
            request->windows[request->window_count++] = (struct judge_window){
                .rule = (enum rule)rule,
                .limit = limit,
                .suspends =
                    channel_is_its_users(judgement->submission->channel) &&
                    settings->on_limit[rule - RULE_FIRST_OVER_TIME] == ON_LIMIT_SUSPEND,
            };
    }
}

/* Behind them the windows that a shadow rule alone looks at, which are not checked. */
static void prepare_shadow(struct judgement *judgement, struct judge_request *request)
{
    judgement->held_windows = request->window_count;
    for (int rule = RULE_FIRST_OVER_TIME; rule < RULE_COUNT; rule++)
        if (judgement->limits.limits.of[rule] == LIMIT_OFF &&
            shadow_limit(judgement->settings, &judgement->limits, judgement->submission->channel,
                         (enum rule)rule) != LIMIT_OFF)
            request->windows[request->window_count++] =
                (struct judge_window){.rule = (enum rule)rule, .limit = LIMIT_OFF};
}

/* Whose block concerns the message; NULL: nobody's. */
static const char *blocked_domain(const struct judgement *judgement)
{
    const struct settings *settings = judgement->settings;
    const struct submission *submission = judgement->submission;
    bool meets_none = settings->failures.percent == LIMIT_OFF || judgement->limits.exempt ||
                      !channel_is_its_users(submission->channel);
    return meets_none ? NULL : settings_sender_domain(settings, submission->domain);
}

static void prepare_record(const struct judgement *judgement, struct judge_request *request)
{
    request->facts = packing_facts(&(struct packed_message){
        .submission = judgement->submission,
        .facts = &judgement->facts,
        .objections = judgement->objections,
        .objection_count = judgement->objection_count,
        .exempt = judgement->limits.exempt,
        .keeps_lang = judgement->settings->notify_user_languages[0] != '\0',
        .terms = judgement->terms,
    });
}

uint32_t judgement_off_domain(const struct judgement *judgement)
{
    uint32_t off_domain = judgement->facts.off_domain;
    return off_domain < SUBMISSION_MAX_RECIPIENTS ? off_domain : SUBMISSION_MAX_RECIPIENTS;
}

void judgement_prepare(struct judgement *judgement, struct judgement_lists *lists, bool dry_run,
                       int64_t now_ms)
{
    const struct settings *settings = judgement->settings;
    const struct submission *submission = judgement->submission;
    struct judge_request *request = &judgement->request;
    *request = (struct judge_request){
        .now_ms = now_ms,
        .mailbox = submission->mailbox,
        .channel = submission->channel,
        .ip = counted_ip(judgement),
        .group = counted_domain(judgement),
        .domain = blocked_domain(judgement),
        .mailbox_blocks = settings->failures.blocks == FAILURE_BLOCKS_MAILBOX,
        .id = guard_counted_id(submission->arena, submission->channel, submission->id),
        .fingerprint = fingerprint(submission),
        .attempt = attempt(submission),
        .queue_id = queue_id(submission),
        .recipients_in_all = recipients_in_all(submission),
        .off_domain = judgement_off_domain(judgement),
        .no_attempt = !channel_is_its_users(submission->channel),
        .rejected = judgement_is_rejected(judgement),
        .dry_run = dry_run,
        .observe = settings->guard_mode == MODE_OBSERVE,
        .decision = dry_run ? 0 : decision_new(now_ms),
        .keep_refused_ms = settings->keep_refused_ms,
        .keep_admitted_ms = settings->keep_admitted_ms,
        .retries_before_restart = (uint32_t)settings->retries_before_restart,
        .volume = settings->durations[CAUSE_VOLUME],
        .arena = judgement->arena,
    };
    prepare_recipients(judgement, lists, request);
    prepare_profile(judgement, lists, request);
    prepare_windows(judgement, request);
    prepare_shadow(judgement, request);
    prepare_tickets(judgement, request);
    if (!dry_run)
        prepare_record(judgement, request);
}
