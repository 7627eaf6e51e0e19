#include "guard/guard.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/decision.h"
#include "guard/effective.h"
#include "guard/sending_state.h"
#include "guard/verdict_shown.h"
#include "guard/verdict_text.h"
#include "store/judge.h"

enum { RECORD_DOMAINS = 20 }; /* a record names so many domains and rules, the rest is counted */

struct guard {
    struct store *store;
    const struct token_key *key;
    struct effective *effective;
    pthread_rwlock_t lock; /* guards which settings are current */
    struct snapshot *current;
};

struct snapshot *guard_snapshot(struct guard *guard)
{
    pthread_rwlock_rdlock(&guard->lock);
    struct snapshot *snapshot = snapshot_share(guard->current);
    pthread_rwlock_unlock(&guard->lock);
    return snapshot;
}

struct guard *guard_new(struct store *store, const struct token_key *key,
                        struct settings *settings, struct catalogue *catalogue)
{
    struct guard *guard = xcalloc(1, sizeof *guard);
    guard->store = store;
    guard->key = key;
    guard->effective = effective_new();
    guard->current = snapshot_new(settings, catalogue);
    pthread_rwlock_init(&guard->lock, NULL);
    return guard;
}

void guard_free(struct guard **guard)
{
    if (*guard == NULL)
        return;
    effective_free(&(*guard)->effective);
    snapshot_release(&(*guard)->current);
    pthread_rwlock_destroy(&(*guard)->lock);
    free(*guard);
    *guard = NULL;
}

void guard_reload(struct guard *guard, struct settings *settings, struct catalogue *catalogue)
{
    struct snapshot *fresh = snapshot_new(settings, catalogue);
    pthread_rwlock_wrlock(&guard->lock);
    struct snapshot *old = guard->current;
    guard->current = fresh;
    pthread_rwlock_unlock(&guard->lock);
    snapshot_release(&old);
}

static struct effective_limits limits_if(struct guard *guard, const struct settings *settings,
                                         enum channel channel, const char *mailbox, const char *domain,
                                         const struct adjustment *changes, size_t count,
                                         int64_t now_ms)
{
    struct effective_limits limits = effective_limits_if(guard->effective,
                                                         &settings->limits[channel],
                                                         mailbox,
                                                         domain, changes, count, now_ms);
    limits.exempt = limits.exempt || settings_exempt_mailbox(settings, mailbox);
    if (limits.exempt)
        for (int rule = 0; rule < RULE_COUNT; rule++)
            limits.limits.of[rule] = LIMIT_OFF;
    return limits;
}

/* What comes from a webmail host is the webmail's, but the mail server knows no fields of it. */
static struct effective_limits limits_for(struct guard *guard, const struct settings *settings,
                                          const struct submission *submission, int64_t now_ms)
{
    enum channel channel = submission->webmail_host ? CHANNEL_WEBMAIL : submission->channel;
    struct effective_limits limits = limits_if(guard, settings, channel, submission->mailbox,
                                               submission->domain, NULL, 0, now_ms);
    if (submission->webmail_host)
        limits.limits.of[RULE_RECIPIENTS_PER_FIELD] = LIMIT_OFF;
    return limits;
}

int guard_limits_if(struct guard *guard, enum channel channel, const char *mailbox,
                    const char *domain,
                    const struct adjustment *changes, size_t count, int64_t now_ms,
                    struct effective_limits *limits_r)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(guard);
    if (effective_refresh(guard->effective, guard->store, clock_monotonic_ms()) < 0)
        return -1;
    *limits_r =
        limits_if(guard, snapshot_settings(snapshot), channel, mailbox, domain, changes, count,
                  now_ms);
    return 1;
}

int guard_limits(struct guard *guard, enum channel channel, const char *mailbox, const char *domain,
                 int64_t now_ms, struct effective_limits *limits_r)
{
    return guard_limits_if(guard, channel, mailbox, domain, NULL, 0, now_ms, limits_r);
}

size_t guard_adjusted(struct guard *guard, struct arena *arena, const char *domain,
                      const char ***mailboxes_r)
{
    return effective_adjusted(guard->effective, arena, domain, mailboxes_r);
}

int guard_renew_limits(struct guard *guard, int64_t *newest_r)
{
    return effective_renew(guard->effective, guard->store, clock_monotonic_ms(), newest_r);
}

int guard_adjustment(struct guard *guard, const char *subject, enum rule rule,
                     enum adjust_kind kind, int64_t now_ms, struct adjustment *adjustment_r)
{
    return effective_adjustment(guard->effective, subject, rule, kind, now_ms, adjustment_r);
}

void guard_outdate_limits(struct guard *guard) { effective_outdate(guard->effective); }

/* ---- one judgement ------------------------------------------------------------- */

struct judgement {
    const struct settings *settings;
    const struct catalogue *catalogue;
    const struct submission *submission;
    struct arena *arena;
    struct effective_limits limits;
    struct facts facts;
    const struct objection *objections; /* of the rules of one message */
    size_t objection_count;
    struct judge_request request;
    struct judge_result result;
    struct verdict *verdict;
};

static bool own_domain(const void *settings, const char *mailbox_domain, const char *domain)
{
    return settings_own_domain(settings, mailbox_domain, domain);
}

static bool exempt_recipient(const void *settings, const char *address)
{
    return settings_exempt_recipient(settings, address);
}

struct recipient_classes guard_recipient_classes(const struct settings *settings)
{
    return (struct recipient_classes){own_domain, exempt_recipient, settings};
}

static void count_and_check(struct judgement *judgement)
{
    const struct recipient_classes classes = guard_recipient_classes(judgement->settings);
    judgement->facts = facts_count(judgement->arena, judgement->submission, &classes);
    judgement->objection_count = rules_check(judgement->arena, &judgement->limits.limits,
                                             &judgement->facts, &judgement->objections);
}

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

/* ---- the record ------------------------------------------------------------------ */

static void write_domains(struct json_writer *writer, const struct facts *facts)
{
    json_write_list(writer, "domains");
    for (size_t i = 0; i < facts->domain_count && i < RECORD_DOMAINS; i++) {
        json_write_list(writer, NULL);
        json_write_string(writer, NULL, facts->domains[i].domain);
        json_write_int(writer, NULL, facts->domains[i].recipients);
        json_write_int(writer, NULL, facts->domains[i].header_chars);
        if (facts->domains[i].own)
            json_write_int(writer, NULL, 1);
        json_write_end(writer);
    }
    json_write_end(writer);
    if (facts->domain_count > RECORD_DOMAINS)
        json_write_int(writer, "more_domains", (int64_t)(facts->domain_count - RECORD_DOMAINS));
}

static void write_limits(struct json_writer *writer, const struct effective_limits *limits)
{
    static const char *const sources[] = {"settings", "domain", "mailbox"};
    json_write_object(writer, "limits");
    for (int rule = 0; rule < RULE_COUNT; rule++)
        if (limits->limits.of[rule] == LIMIT_OFF)
            json_write_null(writer, rule_table[rule].name);
        else
            json_write_int(writer, rule_table[rule].name, limits->limits.of[rule]);
    json_write_end(writer);
    bool adjusted = false;
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        if (limits->source[rule] == LIMIT_OF_SETTINGS && limits->extra[rule] == 0)
            continue;
        if (!adjusted)
            json_write_object(writer, "adjusted");
        adjusted = true;
        json_write_object(writer, rule_table[rule].name);
        json_write_string(writer, "limit_of", sources[limits->source[rule]]);
        json_write_int(writer, "extra", limits->extra[rule]);
        json_write_end(writer);
    }
    if (adjusted)
        json_write_end(writer);
}

static void write_broken(struct json_writer *writer, const struct judgement *judgement)
{
    json_write_list(writer, "broken");
    for (size_t i = 0; i < judgement->objection_count && i < RECORD_DOMAINS; i++) {
        const struct objection *objection = &judgement->objections[i];
        json_write_object(writer, NULL);
        json_write_string(writer, "rule", rule_table[objection->rule].name);
        json_write_int(writer, "count", objection->count);
        if (objection->field >= 0)
            json_write_string(writer, "field", field_names[objection->field]);
        if (objection->domain != NULL)
            json_write_string(writer, "domain", objection->domain);
        json_write_end(writer);
    }
    json_write_end(writer);
    if (judgement->objection_count > RECORD_DOMAINS)
        json_write_int(writer, "more_broken",
                       (int64_t)(judgement->objection_count - RECORD_DOMAINS));
}

/* What can be told later of this message: counts and domains, no recipient. */
static const char *record_facts(const struct judgement *judgement)
{
    const struct submission *submission = judgement->submission;
    const struct facts *facts = &judgement->facts;
    freed_by(text_free) struct text text = {0};
    struct json_writer writer = json_write_text(&text);
    json_write_string(&writer, "channel", channel_names[submission->channel]);
    json_write_string(&writer, "mailbox", submission->mailbox);
    json_write_string(&writer, "ip", submission->ip);
    json_write_string(&writer, "id", submission->id);
    json_write_string(&writer, "from", submission->from);
    for (int field = 0; field < FIELD_COUNT; field++)
        json_write_int(&writer, field_names[field], facts->in_field[field]);
    json_write_int(&writer, "recipients", facts->recipients);
    json_write_int(&writer, "off_domain", facts->off_domain);
    write_domains(&writer, facts);
    write_limits(&writer, &judgement->limits);
    if (judgement->limits.exempt)
        json_write_bool(&writer, "exempt", true);
    if (submission->webmail_host)
        json_write_bool(&writer, "webmail_host", true);
    if (judgement->objection_count > 0)
        write_broken(&writer, judgement);
    json_write_string(&writer, "mode", judgement->request.observe ? "observe" : "enforce");
    json_write_end(&writer);
    return arena_strdup(judgement->arena, text_string(&text));
}

/* ---- asking the store -------------------------------------------------------------- */

/* The webmail chooses its ids, and asks for refunds by them. The mail server tells senders its own,
 * so these are others: no id of the webmail has a line feed. */
static const char *counted_id(const struct submission *submission)
{
    return submission->channel == CHANNEL_WEBMAIL
               ? submission->id
               : arena_printf(submission->arena, "%s\n%s", channel_names[submission->channel],
                              submission->id);
}

/* The webmail endpoint leaves a ticket for the mail server's, when that one will look for it. */
static void prepare_tickets(const struct judgement *judgement, struct judge_request *request)
{
    const struct submission *submission = judgement->submission;
    bool leaves = submission->channel == CHANNEL_WEBMAIL &&
                  judgement->settings->mta_webmail_hosts.count > 0;
    if (!leaves && !submission->webmail_host)
        return;
    uint32_t count = facts_handed_over(judgement->arena, submission);
    if (count > SUBMISSION_MAX_RECIPIENTS) /* no channel admits so many in one message */
        return;
    *(leaves ? &request->ticket : &request->redeem) = count;
}

/* Whose history of an IP it counts in; NULL for none. What an exempt mailbox sends leaves others
 * at its address their room, and the address of a webmail host is all its users'. */
static const char *counted_ip(const struct judgement *judgement)
{
    bool nobodys = judgement->limits.exempt || judgement->submission->webmail_host ||
                   history_marks[SUBJECT_IP][judgement->submission->channel] == NULL;
    return nobodys ? NULL : judgement->submission->ip;
}

static uint32_t counted_off_domain(const struct facts *facts)
{
    return facts->off_domain < SUBMISSION_MAX_RECIPIENTS ? facts->off_domain
                                                         : SUBMISSION_MAX_RECIPIENTS;
}

static void prepare_request(struct judgement *judgement, bool dry_run, int64_t now_ms)
{
    const struct settings *settings = judgement->settings;
    const struct submission *submission = judgement->submission;
    struct judge_request *request = &judgement->request;
    *request = (struct judge_request){
        .now_ms = now_ms,
        .mailbox = submission->mailbox,
        .channel = submission->channel,
        .ip = counted_ip(judgement),
        .id = counted_id(submission),
        .fingerprint = fingerprint(submission),
        .attempt = attempt(submission),
        .off_domain = counted_off_domain(&judgement->facts),
        .no_attempt = !channel_is_its_users(submission->channel),
        .rejected = judgement->objection_count > 0,
        .dry_run = dry_run,
        .observe = settings->guard_mode == MODE_OBSERVE,
        .decision = dry_run ? 0 : decision_new(now_ms),
        .keep_refused_ms = settings->keep_refused_ms,
        .keep_admitted_ms = settings->keep_admitted_ms,
        .retries_before_restart = (uint32_t)settings->retries_before_restart,
        .volume = settings->durations[CAUSE_VOLUME],
        .arena = judgement->arena,
    };
    for (int rule = RULE_FIRST_OVER_TIME; rule < RULE_COUNT; rule++) {
        int32_t limit = judgement->limits.limits.of[rule];
        bool has_subject = rule_table[rule].subject == SUBJECT_MAILBOX || request->ip != NULL;
        if (limit != LIMIT_OFF && has_subject)
            request->windows[request->window_count++] = (struct judge_window){
                .rule = (enum rule)rule,
                .limit = limit,
                .suspends =
                    channel_is_its_users(submission->channel) &&
                    settings->on_limit[rule - RULE_FIRST_OVER_TIME] == ON_LIMIT_SUSPEND,
            };
    }
    prepare_tickets(judgement, request);
    request->facts = dry_run ? "" : record_facts(judgement);
}

/* ---- the verdict --------------------------------------------------------------------- */

static uint32_t cost_of(const struct judgement *judgement, enum rule rule)
{
    return outcome_cost(rule, counted_off_domain(&judgement->facts));
}

static void add_reason(struct judgement *judgement, const struct objection *objection)
{
    judgement->verdict->reasons[judgement->verdict->reason_count++] = (struct reason){
        .objection = *objection,
        .text = verdict_reason_text(judgement->arena, judgement->catalogue,
                                    catalogue_language(judgement->catalogue,
                                                       judgement->submission->lang),
                                    objection),
    };
}

/* Reasons in order: rules of the message, then windows that are over. A rejected
 * message is told of its own faults alone; it would be judged anew once mended. */
static void fill_reasons(struct judgement *judgement)
{
    struct verdict *verdict = judgement->verdict;
    const struct judge_result *result = &judgement->result;
    verdict->reasons = arena_alloc(judgement->arena, (judgement->objection_count +
                                                      result->window_count) *
                                                         sizeof verdict->reasons[0]);
    for (size_t i = 0; i < judgement->objection_count; i++)
        add_reason(judgement, &judgement->objections[i]);
    if (judgement->objection_count > 0 && !judgement->request.observe)
        return;
    for (size_t i = 0; i < result->window_count; i++) {
        const struct outcome_window *window = &result->windows[i];
        uint32_t cost = cost_of(judgement, window->rule);
        bool never_fits = !window_fits(0, cost, window->limit);
        if (window->over)
            add_reason(judgement, &(struct objection){
                                      .rule = window->rule,
                                      .field = -1,
                                      .limit = (uint32_t)window->limit,
                                      .count = never_fits
                                                   ? cost
                                                   : (uint32_t)(window->used_before + cost),
                                      .never_fits = never_fits,
                                  });
    }
}

/* Step by step what comes back, or, where the store told no history, in one step: when all of it
 * will have come back. */
static void fill_windows(struct judgement *judgement)
{
    struct verdict *verdict = judgement->verdict;
    const struct judge_result *result = &judgement->result;
    for (size_t i = 0; i < result->window_count; i++) {
        const struct outcome_window *window = &result->windows[i];
        const struct rule_info *rule = &rule_table[window->rule];
        struct verdict_window *shown = &verdict->windows[verdict->window_count++];
        bool counted = result->outcome == OUTCOME_ADMITTED && !judgement->request.dry_run;
        *shown = (struct verdict_window){
            .rule = window->rule,
            .limit = window->limit,
            .used = window->used_before + (counted ? cost_of(judgement, window->rule) : 0),
        };
        if (result->histories[rule->subject].count > 0)
            shown->refill_count =
                window_refill(&result->histories[rule->subject], rule->measure, rule->window_ms,
                              result->at_ms, shown->refill, REFILL_STEPS);
        else if (shown->used > 0) {
            shown->refill[0] =
                (struct refill){.at_ms = result->at_ms + rule->window_ms, .count = shown->used};
            shown->refill_count = 1;
        }
    }
}

/* When the window takes one more; WINDOW_NEVER. Where no history came, the window holds this
 * message alone, or has room. */
static int64_t when_one_more(const struct judgement *judgement, size_t index)
{
    const struct judge_result *result = &judgement->result;
    const struct outcome_window *window = &result->windows[index];
    const struct rule_info *rule = &rule_table[window->rule];
    const struct history *history = &result->histories[rule->subject];
    if (window->limit == 0)
        return WINDOW_NEVER;
    return history->count > 0 ? window_when_fits(history, rule->measure, rule->window_ms,
                                                 window->limit, 1, result->at_ms)
                              : result->at_ms + rule->window_ms;
}

/* What the mailbox can send next, whatever became of this message. */
static void fill_can_send(struct judgement *judgement)
{
    struct verdict *verdict = judgement->verdict;
    const struct judge_result *result = &judgement->result;
    int64_t latest_ms = 0;
    if (judgement->request.observe)
        return;
    for (size_t i = 0; i < result->window_count; i++) {
        if (window_fits(verdict->windows[i].used, 1, result->windows[i].limit))
            continue;
        enum can_send can_send = sending_state_when_full(result->windows[i].rule);
        if (can_send > verdict->can_send)
            verdict->can_send = can_send;
        int64_t at_ms = when_one_more(judgement, i);
        if (at_ms > latest_ms)
            latest_ms = at_ms;
    }
    if (verdict->suspension.id != 0) {
        verdict->can_send = CAN_SEND_NONE;
        if (verdict->suspension.until_ms == UNTIL_LIFTED)
            latest_ms = WINDOW_NEVER;
        else if (verdict->suspension.until_ms > latest_ms)
            latest_ms = verdict->suspension.until_ms;
    }
    verdict->can_send_at_ms = latest_ms == WINDOW_NEVER ? 0 : latest_ms;
}

/* The first moment at which every window would take the message; 0 never. */
static int64_t when_fits(const struct judgement *judgement)
{
    const struct judge_result *result = &judgement->result;
    int64_t latest_ms = result->at_ms;
    for (size_t i = 0; i < result->window_count; i++) {
        const struct outcome_window *window = &result->windows[i];
        const struct rule_info *rule = &rule_table[window->rule];
        if (!window->over)
            continue;
        int64_t fits_ms = window_when_fits(
            &result->histories[rule->subject], rule->measure, rule->window_ms, window->limit,
            cost_of(judgement, window->rule), result->at_ms);
        if (fits_ms == WINDOW_NEVER)
            return 0;
        if (fits_ms > latest_ms)
            latest_ms = fits_ms;
    }
    return latest_ms;
}

/* When a suspended mailbox may send this message: a suspension can end before
 * the windows have room again. 0 never, or when staff says so. */
static int64_t when_passes(const struct judgement *judgement)
{
    const struct suspension *suspension = &judgement->verdict->suspension;
    int64_t fits_ms = when_fits(judgement);
    if (suspension->id == 0) /* a dry run: it would be suspended */
        return fits_ms;
    if (suspension->until_ms == UNTIL_LIFTED)
        return 0;
    return suspension->until_ms > fits_ms ? suspension->until_ms : fits_ms;
}

/* A message of a webmail host without a ticket was not judged by the webmail endpoint. Where the
 * mailbox was suspended before, nobody looked for one. */
static bool went_round(const struct judgement *judgement)
{
    const struct judge_result *result = &judgement->result;
    bool unknown = result->outcome == OUTCOME_REPEATED ||
                   (result->outcome == OUTCOME_SUSPENDED && !result->brought);
    return judgement->submission->webmail_host && result->outcome != OUTCOME_REDEEMED && !unknown;
}

static void fill_kind(struct judgement *judgement)
{
    struct verdict *verdict = judgement->verdict;
    const struct judge_result *result = &judgement->result;
    verdict->repeated = result->outcome == OUTCOME_REPEATED;
    verdict->redeemed = result->outcome == OUTCOME_REDEEMED;
    verdict->bypassed = went_round(judgement);
    switch (result->outcome) {
    case OUTCOME_REJECTED:
        verdict->kind = VERDICT_MESSAGE;
        break;
    case OUTCOME_OVER:
        verdict->kind = VERDICT_OVER_TIME;
        verdict->retry_at_ms = when_fits(judgement);
        break;
    case OUTCOME_SUSPENDED:
        verdict->kind = VERDICT_SUSPENDED;
        verdict->retry_at_ms = when_passes(judgement);
        break;
    default:
        verdict->kind = VERDICT_ADMIT;
        verdict->observed = !verdict->repeated && judgement->request.observe &&
                            (verdict->reason_count > 0 || result->suspension.id != 0);
    }
}

static void fill_verdict(struct judgement *judgement)
{
    struct verdict *verdict = judgement->verdict;
    const struct judge_result *result = &judgement->result;
    verdict->decision = judgement->request.decision;
    verdict->suspension = result->suspension;
    verdict->brought = result->brought;
    verdict->ahead_ms = result->ahead_ms;
    if (result->suspension.id != 0)
        verdict->sentence =
            verdict_provider_sentence(judgement->arena, judgement->catalogue, &result->suspension);
    if (result->outcome != OUTCOME_REPEATED && result->outcome != OUTCOME_REDEEMED)
        fill_reasons(judgement);
    fill_windows(judgement);
    fill_can_send(judgement);
    fill_kind(judgement);
}

/* What holds before the first word of the store, so that every early end is right. */
static void begin_verdict(struct judgement *judgement, bool dry_run, int64_t now_ms)
{
    bool allow = judgement->settings->store_on_failure == ON_FAILURE_ALLOW ||
                 judgement->settings->guard_mode == MODE_OBSERVE;
    *judgement->verdict = (struct verdict){
        .kind = allow ? VERDICT_ADMIT : VERDICT_NO_STORE,
        .unjudged = allow,
        .dry_run = dry_run,
        .now_ms = now_ms,
        .submission = judgement->submission,
        .retries_before_restart = (uint32_t)judgement->settings->retries_before_restart,
    };
}

/* The store is silent, but the rules of one message need no store. */
static void judge_without_store(struct judgement *judgement)
{
    const struct outcome_seen seen = {.rejected = judgement->objection_count > 0,
                                      .observe = judgement->settings->guard_mode == MODE_OBSERVE};
    if (!seen.rejected)
        return;
    judgement->result = (struct judge_result){0};
    fill_reasons(judgement);
    judgement->verdict->observed = seen.observe;
    if (outcome_decide(&seen).outcome == OUTCOME_REJECTED) {
        judgement->verdict->kind = VERDICT_MESSAGE;
        judgement->verdict->unjudged = false;
    }
}

/* How long the link to the status page holds: as long as the suspension and a day, or as set. */
static struct status_link link_of(const struct judgement *judgement, int64_t now_ms)
{
    const struct suspension *suspension = &judgement->verdict->suspension;
    struct status_link link = {
        .mailbox = judgement->submission->mailbox,
        .made_ms = now_ms,
        .expires_ms = now_ms + judgement->settings->status_link_lifetime_ms,
        .while_suspended = suspension->id != 0,
    };
    bool ends = suspension->id != 0 && suspension->until_ms != UNTIL_LIFTED;
    if (ends && suspension->until_ms + DAY_MS > link.expires_ms)
        link.expires_ms = suspension->until_ms + DAY_MS;
    return link;
}

/* What the mail server is told ends up in logs and bounces, which others read: no token is in it. */
static const char *reference_url(const struct judgement *judgement)
{
    char decision[DECISION_TEXT_SIZE];
    if (judgement->verdict->decision == 0)
        return NULL;
    decision_format(judgement->verdict->decision, decision);
    return arena_printf(judgement->arena, "%s/r/%s", judgement->settings->web_base_url, decision);
}

static const char *status_url(struct guard *guard, const struct judgement *judgement,
                              int64_t now_ms)
{
    char decision[DECISION_TEXT_SIZE] = "";
    if (judgement->submission->channel != CHANNEL_WEBMAIL)
        return reference_url(judgement);
    if (guard->key == NULL)
        return NULL;
    if (judgement->verdict->decision != 0)
        decision_format(judgement->verdict->decision, decision);
    const struct status_link link = link_of(judgement, now_ms);
    return arena_printf(judgement->arena, "%s/status?t=%s%s%s", judgement->settings->web_base_url,
                        token_make(guard->key, judgement->arena, &link),
                        decision[0] != '\0' ? "&d=" : "", decision);
}

/* All that is known before the store is asked. */
static void begin_judgement(struct judgement *judgement, struct guard *guard,
                            const struct snapshot *snapshot,
                            const struct submission *submission, bool dry_run, int64_t now_ms,
                            struct verdict *verdict)
{
    *judgement = (struct judgement){
        .settings = snapshot_settings(snapshot),
        .catalogue = snapshot_catalogue(snapshot),
        .submission = submission,
        .arena = submission->arena,
        .verdict = verdict,
    };
    begin_verdict(judgement, dry_run, now_ms);
    judgement->limits = limits_for(guard, snapshot_settings(snapshot), submission, now_ms);
    count_and_check(judgement);
}

/* `result`: what the store answered. */
static void end_judgement(struct judgement *judgement, struct guard *guard, int result)
{
    struct verdict *verdict = judgement->verdict;
    if (result > 0) {
        verdict->unjudged = false;
        fill_verdict(judgement);
    } else {
        judge_without_store(judgement);
    }
    if (verdict->kind != VERDICT_ADMIT || verdict->dry_run)
        verdict->status_url = status_url(guard, judgement, verdict->now_ms);
    verdict->message = verdict_message(judgement->arena, judgement->catalogue, verdict,
                                       judgement->settings->support_contact);
    if (judgement->submission->zone != NULL && verdict->kind != VERDICT_NO_STORE &&
        !verdict->unjudged && (verdict->kind != VERDICT_ADMIT || verdict->dry_run))
        verdict->shown = verdict_shown(judgement->arena, judgement->catalogue, verdict,
                                       judgement->settings->support_contact);
}

/* The judgements stand in their submissions' arenas, since many are too much for a stack. */
static void judge_all(struct guard *guard, const struct submission *const *submissions,
                      bool dry_run, struct verdict *verdicts_r, int *results_r, size_t count,
                      int64_t now_ms)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(guard);
    struct judgement *judgements[JUDGE_MAX];
    struct judge_task tasks[JUDGE_MAX];
    int refreshed = effective_refresh(guard->effective, guard->store, clock_monotonic_ms());
    for (size_t i = 0; i < count; i++) {
        judgements[i] = arena_alloc(submissions[i]->arena, sizeof *judgements[i]);
        begin_judgement(judgements[i], guard, snapshot, submissions[i], dry_run, now_ms,
                        &verdicts_r[i]);
        tasks[i] = (struct judge_task){&judgements[i]->request, &judgements[i]->result, -1};
        if (refreshed > 0)
            prepare_request(judgements[i], dry_run, now_ms);
    }
    if (refreshed > 0)
        store_judge_all(guard->store, tasks, count);
    for (size_t i = 0; i < count; i++) {
        results_r[i] = tasks[i].answer;
        end_judgement(judgements[i], guard, tasks[i].answer);
    }
}

int guard_judge(struct guard *guard, const struct submission *submission, bool dry_run,
                int64_t now_ms, struct verdict *verdict_r)
{
    int result;
    judge_all(guard, &submission, dry_run, verdict_r, &result, 1, now_ms);
    return result;
}

void guard_judge_all(struct guard *guard, const struct submission *const *submissions,
                     struct verdict *verdicts_r, int *results_r, size_t count, int64_t now_ms)
{
    judge_all(guard, submissions, false, verdicts_r, results_r, count, now_ms);
}

int guard_refund(struct guard *guard, const char *mailbox, const char *id, int64_t now_ms)
{
    return strchr(id, '\n') == NULL ? store_refund(guard->store, mailbox, id, now_ms) : 0;
}
