#include "guard/guard.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/decision.h"
#include "base/log.h"
#include "guard/emergency.h"
#include "guard/judgement.h"
#include "guard/message_search.h"
#include "guard/packing.h"
#include "guard/spf_block.h"
#include "guard/terms.h"
#include "guard/verdict_shown.h"
#include "guard/verdict_text.h"

struct guard {
    struct store *store;
    const struct token_key *key;
    pthread_mutex_t hashing; /* guards `keys` */
    struct keyed_hash_keys keys; /* of this year and the one before, once they were needed */
    struct effective *effective;
    struct block_filter *filter;
    struct terms *terms;
    struct emergency *emergency;
    pthread_rwlock_t lock; /* guards which settings are current, and the owners that they name */
    struct snapshot *current;
    struct owners *owners;
    _Atomic int64_t told_lost_plan_ms; /* of log_is_due */
};

struct snapshot *guard_snapshot(struct guard *guard)
{
    pthread_rwlock_rdlock(&guard->lock);
    struct snapshot *snapshot = snapshot_share(guard->current);
    pthread_rwlock_unlock(&guard->lock);
    return snapshot;
}

static struct owners *owners_of(const struct settings *settings)
{
    return owners_new(settings->identity_owners.items, settings->identity_owners.count,
                      settings->identity_owner == IDENTITY_OWNER_SOLE, OWNERS_TIMEOUT_MS);
}

struct guard *guard_new(struct store *store, const struct token_key *key,
                        struct settings *settings, struct catalogue *catalogue)
{
    struct guard *guard = xcalloc(1, sizeof *guard);
    guard->store = store;
    guard->key = guard->keys.key = key;
    pthread_mutex_init(&guard->hashing, NULL);
    guard->effective = effective_new();
    guard->filter = block_filter_new();
    guard->terms = terms_new();
    guard->emergency = emergency_new();
    guard->owners = owners_of(settings);
    guard->current = snapshot_new(settings, catalogue);
    pthread_rwlock_init(&guard->lock, NULL);
    return guard;
}

void guard_free(struct guard **guard)
{
    if (*guard == NULL)
        return;
    effective_free(&(*guard)->effective);
    block_filter_free(&(*guard)->filter);
    terms_free(&(*guard)->terms);
    emergency_free(&(*guard)->emergency);
    snapshot_release(&(*guard)->current);
    owners_release(&(*guard)->owners);
    pthread_rwlock_destroy(&(*guard)->lock);
    pthread_mutex_destroy(&(*guard)->hashing);
    keyed_hash_forget(&(*guard)->keys);
    free(*guard);
    *guard = NULL;
}

void guard_hash_by(struct guard *guard, const struct token_key *key) { guard->keys.key = key; }

void guard_reload(struct guard *guard, struct settings *settings, struct catalogue *catalogue)
{
    struct owners *owners = owners_of(settings), *old_owners = guard->owners;
    struct snapshot *fresh = snapshot_new(settings, catalogue);
    pthread_rwlock_wrlock(&guard->lock);
    struct snapshot *old = guard->current;
    guard->current = fresh;
    guard->owners = owners;
    pthread_rwlock_unlock(&guard->lock);
    snapshot_release(&old);
    owners_release(&old_owners);
}

struct effective_limits guard_limits_by(struct effective *effective,
                                        const struct settings *settings, enum channel channel,
                                        const char *mailbox, const char *domain,
                                        const struct adjustment *changes, size_t count,
                                        int64_t now_ms)
{
    struct effective_limits limits = effective_limits_if(effective, settings, channel, mailbox,
                                                         domain, changes, count, now_ms);
    limits.exempt = limits.exempt || settings_exempt_mailbox(settings, mailbox);
    if (limits.exempt)
        for (int rule = 0; rule < RULE_COUNT; rule++)
            limits.limits.of[rule] = LIMIT_OFF;
    return limits;
}

/* By what is known of the fields: a message of SMTP without its header is not judged by them, and its
 * header by nothing else. */
static void leave_rules(struct limits *limits, const struct settings *settings,
                        const struct submission *submission)
{
    bool has_milter = settings->milter_listen[0] != '\0';
    if (submission->channel != CHANNEL_SMTP)
        return;
    if (submission->by_header) {
        for (int rule = 0; rule < RULE_FIRST_OVER_TIME; rule++)
            if (rule != RULE_RECIPIENTS_PER_FIELD && rule != RULE_HEADER_CHARS_PER_DOMAIN)
                limits->of[rule] = LIMIT_OFF;
        return;
    }
    if (submission->webmail_host || has_milter)
        limits->of[RULE_RECIPIENTS_PER_FIELD] = LIMIT_OFF;
    if (has_milter)
        limits->of[RULE_HEADER_CHARS_PER_DOMAIN] = LIMIT_OFF;
}

static void tell_lost_plan(struct guard *guard, const struct effective_plan *plan,
                           const struct submission *submission, int64_t now_ms)
{
    if (plan->is_lost && log_is_due(&guard->told_lost_plan_ms, now_ms))
        log_line(LOG_WARNING_LEVEL,
                 "a plan that was given is not in the settings, whose limits hold", "plan",
                 plan->name, "mailbox", submission->mailbox, NULL);
}

/* What comes from a webmail host is the webmail's. */
static struct effective_limits limits_for(struct guard *guard, const struct settings *settings,
                                          const struct submission *submission, int64_t now_ms)
{
    enum channel channel = submission->webmail_host ? CHANNEL_WEBMAIL : submission->channel;
    struct effective_limits limits =
        guard_limits_by(guard->effective, settings, channel, submission->mailbox,
                        submission->domain, NULL, 0, now_ms);
    leave_rules(&limits.limits, settings, submission);
    tell_lost_plan(guard, &limits.plan, submission, now_ms);
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
        guard_limits_by(guard->effective, snapshot_settings(snapshot), channel, mailbox, domain,
                        changes, count, now_ms);
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

/* How long the link to the status page holds: as long as the suspension and a day, or as set. */
static struct status_link link_of(const struct judgement *judgement, int64_t now_ms)
{
    const struct suspension *suspension = &judgement->verdict->suspensions.of[0];
    struct status_link link = {
        .mailbox = judgement->submission->mailbox,
        .made_ms = now_ms,
        .expires_ms = now_ms + judgement->settings->status_link_lifetime_ms,
        .while_suspended = suspension->id != 0,
        .tells_password = judgement->submission->password_changed,
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

static struct judgement judgement_of(struct guard *guard, const struct snapshot *snapshot,
                                     const struct submission *submission, int64_t now_ms)
{
    return (struct judgement){
        .settings = snapshot_settings(snapshot),
        .catalogue = snapshot_catalogue(snapshot),
        .submission = submission,
        .arena = submission->arena,
        .limits = limits_for(guard, snapshot_settings(snapshot), submission, now_ms),
    };
}

/* All that is known before the store is asked. */
static void begin_judgement(struct judgement *judgement, struct guard *guard,
                            const struct snapshot *snapshot,
                            const struct submission *submission, bool dry_run, int64_t now_ms,
                            struct verdict *verdict)
{
    *judgement = judgement_of(guard, snapshot, submission, now_ms);
    judgement->verdict = verdict;
    judgement_begin_verdict(judgement, dry_run, now_ms);
    count_and_check(judgement);
}

/* What passes since the store is silent needs room in the emergency budget, and waits to be counted.
 * Exempt mailboxes have no limit, and not this one. */
static void admit_without_store(struct judgement *judgement, struct guard *guard,
                                struct judgement_lists *lists)
{
    struct verdict *verdict = judgement->verdict;
    const struct settings *settings = judgement->settings;
    if (verdict->kind != VERDICT_ADMIT || verdict->dry_run ||
        settings->guard_mode == MODE_OBSERVE || judgement->limits.exempt)
        return;
    judgement->terms = terms_id_alone(&judgement->limits, false);
    judgement_prepare(judgement, lists, false, verdict->now_ms);
    if (emergency_admit(guard->emergency, &judgement->request,
                        (uint32_t)settings->store_emergency))
        return;
    verdict->kind = VERDICT_NO_STORE;
    verdict->unjudged = false;
    verdict->used_up = true;
}

/* `result`: what the store answered. */
static void end_judgement(struct judgement *judgement, struct guard *guard,
                          struct judgement_lists *lists, int result)
{
    struct verdict *verdict = judgement->verdict;
    if (result > 0) {
        verdict->unjudged = false;
        judgement_note_from(judgement, guard->store);
        judgement_fill_verdict(judgement);
    } else {
        judgement_without_store(judgement);
        admit_without_store(judgement, guard, lists);
    }
    if (verdict->kind != VERDICT_ADMIT || verdict->dry_run || verdict_waits(verdict))
        verdict->status_url = status_url(guard, judgement, verdict->now_ms);
    verdict->message = verdict_message(judgement->arena, judgement->catalogue, verdict,
                                       judgement->settings->support_contact);
    if (judgement->submission->zone != NULL && verdict->kind != VERDICT_NO_STORE &&
        !verdict->unjudged && (verdict->kind != VERDICT_ADMIT || verdict->dry_run))
        verdict->shown = verdict_shown(judgement->arena, judgement->catalogue, verdict,
                                       judgement->settings->support_contact);
}

/* The store keeps what the record will name: 1 or -1. */
static int find_terms(struct judgement *judgement, struct guard *guard, int64_t now_ms)
{
    const struct settings *settings = judgement->settings;
    int64_t keep_ms = settings->keep_admitted_ms > settings->keep_refused_ms
                          ? settings->keep_admitted_ms
                          : settings->keep_refused_ms;
    return terms_id(guard->terms, guard->store, &judgement->limits,
                    settings->guard_mode == MODE_OBSERVE, now_ms, keep_ms, &judgement->terms);
}

/* What is kept in memory becomes as fresh as it has to be: 1 or -1. */
static int refresh(struct guard *guard, int64_t now_ms)
{
    int64_t monotonic_ms = clock_monotonic_ms();
    return effective_refresh(guard->effective, guard->store, monotonic_ms) > 0
               ? block_filter_refresh(guard->filter, guard->store, now_ms, monotonic_ms)
               : -1;
}

static void forget_lists(struct judgement_lists *lists)
{
    keyed_hash_forget(&lists->keys);
    owners_release(&lists->owners);
}

/* The keys are made once, those of a year with the year, and each judgement has a copy. */
static struct judgement_lists lists_of(struct guard *guard, int64_t now_ms)
{
    struct judgement_lists lists = {.filter = guard->filter, .store = guard->store};
    pthread_rwlock_rdlock(&guard->lock);
    lists.owners = owners_share(guard->owners);
    pthread_rwlock_unlock(&guard->lock);
    if (guard->keys.key == NULL)
        return lists;
    lists.has_hashed = block_filter_has_hashed(guard->filter);
    pthread_mutex_lock(&guard->hashing);
    if (lists.has_hashed) {
        keyed_hash_recipient(&guard->keys, "", now_ms - KEYED_HASH_LOOKS_BACK_MS);
        keyed_hash_recipient(&guard->keys, "", now_ms);
    }
    keyed_hash_counted(&guard->keys, "");
    keyed_hash_profiled_network(&guard->keys, "");
    lists.keys = guard->keys;
    pthread_mutex_unlock(&guard->hashing);
    return lists;
}

/* What needs to look somewhere: From, then the block lists. 1 or -1. */
static int find_objections(struct judgement *judgement, struct judgement_lists *lists, bool dry_run,
                        int64_t now_ms)
{
    int result = judgement_find_from(judgement, lists, now_ms);
    if (result > 0)
        result = judgement_find_blocked(judgement, lists, now_ms);
    return result > 0 && !dry_run ? judgement_claim_probes(judgement, lists, now_ms) : result;
}

/* The judgements stand in their submissions' arenas, since many are too much for a stack. */
void guard_judge_all(struct guard *guard, const struct submission *const *submissions,
                     const bool *dry_runs, struct verdict *verdicts_r, int *results_r,
                     size_t count, int64_t now_ms)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(guard);
    struct judgement *judgements[JUDGE_MAX];
    struct judge_task tasks[JUDGE_MAX];
    int ready = refresh(guard, now_ms);
    freed_by(forget_lists) struct judgement_lists lists = lists_of(guard, now_ms);
    for (size_t i = 0; i < count; i++) {
        bool dry_run = dry_runs != NULL && dry_runs[i];
        judgements[i] = arena_alloc(submissions[i]->arena, sizeof *judgements[i]);
        begin_judgement(judgements[i], guard, snapshot, submissions[i], dry_run, now_ms,
                        &verdicts_r[i]);
        tasks[i] = (struct judge_task){&judgements[i]->request, &judgements[i]->result, -1};
        if (ready > 0)
            ready = find_objections(judgements[i], &lists, dry_run, now_ms);
        if (ready > 0 && !dry_run)
            ready = find_terms(judgements[i], guard, now_ms);
        if (ready > 0)
            judgement_prepare(judgements[i], &lists, dry_run, now_ms);
    }
    if (ready > 0)
        store_judge_all(guard->store, tasks, count);
    for (size_t i = 0; i < count; i++) {
        results_r[i] = tasks[i].answer;
        end_judgement(judgements[i], guard, &lists, tasks[i].answer);
        if (judgements[i]->probing && verdicts_r[i].kind != VERDICT_ADMIT)
            judgement_return_probes(judgements[i], guard->store, now_ms);
    }
}

int guard_judge(struct guard *guard, const struct submission *submission, bool dry_run,
                int64_t now_ms, struct verdict *verdict_r)
{
    int result;
    guard_judge_all(guard, &submission, &dry_run, verdict_r, &result, 1, now_ms);
    return result;
}

/* ---- what was admitted without the store --------------------------------------------------- */

int guard_tell(struct guard *guard, int64_t now_ms, struct emergency_told *told_r)
{
    return emergency_tell(guard->emergency, guard->store, now_ms, told_r);
}

size_t guard_untold(struct guard *guard) { return emergency_waiting(guard->emergency); }

/* ---- the header of a message that was counted ----------------------------------------- */

struct header_matters guard_header_matters(struct guard *guard,
                                           const struct submission *submission, int64_t now_ms)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(guard);
    int unimportant = effective_refresh(guard->effective, guard->store, clock_monotonic_ms());
    (void)unimportant; /* silent: by the limits that were read last */
    const struct settings *settings = snapshot_settings(snapshot);
    const struct effective_limits limits = limits_for(guard, settings, submission, now_ms);
    bool from = settings->identity_mode != IDENTITY_MODE_OFF && !limits.exempt;
    return (struct header_matters){
        .fields = limits.limits.of[RULE_RECIPIENTS_PER_FIELD] != LIMIT_OFF ||
                  limits.limits.of[RULE_HEADER_CHARS_PER_DOMAIN] != LIMIT_OFF,
        .from = from,
        .from_refuses = from && settings->identity_mode == IDENTITY_MODE_ENFORCE};
}

/* What was counted for a ticket is not among what counts for the mailbox. */
static int find_passed(struct guard *guard, const struct submission *submission,
                       const struct mail_transaction *transaction, int64_t now_ms,
                       struct record *record_r)
{
    const struct message_search search = {.store = guard->store, .arena = submission->arena,
                                          .now_ms = now_ms};
    int found = message_search_counted(&search, submission->mailbox, transaction->queue_id,
                                       transaction->began_ms, record_r);
    return found == 0 && submission->webmail_host
               ? message_search_record(&search, transaction->queue_id, transaction->began_ms,
                                       record_r)
               : found;
}

/* What the webmail endpoint had counted, for a ticket that was redeemed. 1, 0 it was before, -1. */
static int take_redeemed_back(struct guard *guard, struct arena *arena, const char *mailbox,
                              uint32_t redeemed, int64_t now_ms)
{
    const struct value_refund refund = {.mailbox = mailbox, .redeemed = redeemed};
    const struct values_step step = {.refunds = &refund, .refund_count = 1, .now_ms = now_ms};
    struct values_done *done = arena_alloc(arena, sizeof *done);
    if (redeemed == 0)
        return 0;
    return store_values_change(guard->store, &step, done) < 1 ? -1 : done->refunded[0] > 0;
}

/* The same of any message that came by SMTP. */
static int take_record_back(struct guard *guard, struct arena *arena, const char *mailbox,
                            const struct record *record, int64_t now_ms)
{
    struct packed_identity identity;
    if (record->outcome == OUTCOME_REDEEMED)
        return take_redeemed_back(guard, arena, mailbox, record->redeemed, now_ms);
    if (!packing_identity(arena, record, &identity))
        return 0;
    return store_refund(guard->store, mailbox, guard_counted_id(arena, CHANNEL_SMTP, identity.id),
                        now_ms);
}

int guard_take_back(struct guard *guard, const struct submission *submission,
                    const struct mail_transaction *transaction, bool ticket_excuses,
                    int64_t now_ms)
{
    struct record record;
    int found = find_passed(guard, submission, transaction, now_ms, &record);
    if (found < 1)
        return found < 0 ? -1 : 1;
    if (record.outcome == OUTCOME_REDEEMED && ticket_excuses)
        return 0;
    return take_record_back(guard, submission->arena, submission->mailbox, &record, now_ms) < 0
               ? -1
               : 1;
}

int guard_refund_decision(struct guard *guard, struct arena *arena, const char *mailbox,
                          uint64_t decision, int64_t now_ms)
{
    struct record record;
    int found = store_record(guard->store, arena, decision, now_ms, &record);
    return found < 1 ? found : take_record_back(guard, arena, mailbox, &record, now_ms);
}

/* Refused: what was counted is taken back first, so that no record tells of a refusal that counts.
 * 1; 0 the webmail endpoint has admitted it; -1. */
static int refuse_by_header(struct judgement *judgement, struct guard *guard,
                            const struct mail_transaction *transaction, int64_t now_ms)
{
    struct judgement_lists none = {0};
    int taken = guard_take_back(guard, judgement->submission, transaction,
                                !judgement_refuses_from(judgement), now_ms);
    if (taken < 1)
        return taken;
    if (find_terms(judgement, guard, now_ms) < 0)
        return -1;
    judgement_prepare(judgement, &none, false, now_ms);
    return store_judge(guard->store, &judgement->request, &judgement->result);
}

int guard_judge_header(struct guard *guard, const struct submission *submission,
                       const struct mail_transaction *transaction, int64_t now_ms,
                       struct verdict *verdict_r)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(guard);
    struct judgement *judgement = arena_alloc(submission->arena, sizeof *judgement);
    int result = effective_refresh(guard->effective, guard->store, clock_monotonic_ms());
    begin_judgement(judgement, guard, snapshot, submission, false, now_ms, verdict_r);
    freed_by(forget_lists) struct judgement_lists lists = lists_of(guard, now_ms);
    if (judgement_find_from(judgement, &lists, now_ms) < 0)
        result = -1; /* nobody is refused from ignorance */
    judgement->request.observe = judgement->settings->guard_mode == MODE_OBSERVE;
    bool refuses = judgement_is_rejected(judgement) && !judgement->request.observe;
    if (refuses && result > 0)
        result = refuse_by_header(judgement, guard, transaction, now_ms);
    if (refuses && result != 0) {
        end_judgement(judgement, guard, &lists, result);
        return result;
    }
    judgement->result.outcome = refuses ? OUTCOME_REDEEMED : OUTCOME_ADMITTED;
    judgement_fill_verdict(judgement);
    verdict_r->unjudged = false;
    verdict_r->message = "";
    return 1;
}

/* ---- what is blocked ---------------------------------------------------------------------- */

/* Nothing but the lists is asked: a recipient is refused from memory, or the message is judged at its
 * end. *objection_r: the first one of that rule, and *text_r says it. 1; 0 there is none; -1. */
static int find_objection(struct guard *guard, const struct submission *submission, enum rule rule,
                          int64_t now_ms, struct objection *objection_r, const char **text_r)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(guard);
    if (block_filter_refresh(guard->filter, guard->store, now_ms, clock_monotonic_ms()) < 0)
        return -1;
    freed_by(forget_lists) struct judgement_lists lists = lists_of(guard, now_ms);
    struct judgement judgement = judgement_of(guard, snapshot, submission, now_ms);
    if (judgement_find_blocked(&judgement, &lists, now_ms) < 0)
        return -1;
    for (size_t i = 0; i < judgement.objection_count; i++)
        if (judgement.objections[i].rule == rule) {
            *objection_r = judgement.objections[i];
            *text_r = judgement_reason_text(&judgement, objection_r);
            if (objection_r->sentence != NULL)
                objection_r->sentence = arena_strdup(submission->arena, objection_r->sentence);
            objection_r->reason = arena_strdup(submission->arena, objection_r->reason);
            return 1;
        }
    return 0;
}

int guard_recipient_blocked(struct guard *guard, const struct submission *submission,
                            int64_t now_ms, const char **reason_r, const char **text_r)
{
    struct objection objection;
    int found = find_objection(guard, submission, RULE_RECIPIENT_BLOCKED, now_ms, &objection,
                               text_r);
    if (found > 0)
        *reason_r = objection.reason;
    return found;
}

int guard_sender_blocked(struct guard *guard, const struct submission *submission, int64_t now_ms,
                         const char **sentence_r)
{
    struct objection objection;
    const char *text;
    int found = find_objection(guard, submission, RULE_SENDER_BLOCKED, now_ms, &objection, &text);
    if (found > 0)
        *sentence_r = strcmp(objection.reason, SPF_BLOCK_REASON) == 0 ? NULL : objection.sentence;
    return found;
}

void guard_outdate_blocks(struct guard *guard) { block_filter_outdate(guard->filter); }

struct json_object *guard_read_record(struct guard *guard, struct arena *arena,
                                      const struct record *record, int64_t now_ms)
{
    return packing_read(record, terms_text(guard->terms, guard->store, arena,
                                           packing_terms(record), now_ms));
}

int guard_refund(struct guard *guard, const char *mailbox, const char *id, int64_t now_ms)
{
    if (strchr(id, '\n') != NULL)
        return 0;
    bool waited = emergency_refund(guard->emergency, mailbox, id);
    int answer = store_refund(guard->store, mailbox, id, now_ms); /* also of a lost answer */
    return waited ? 1 : answer;
}
