/* Judging and counting in SQLite: all messages that wait together in one
 * transaction, each as store/judge.h says. */
#include <string.h>

#include "base/clock.h"
#include "base/decision.h"
#include "store/lifetimes.h"
#include "store/packed_record.h"
#include "store/sqlite/sqlite_history.h"
#include "store/sqlite/sqlite_pair.h"

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---- judging ------------------------------------------------------------------------ */

struct judging {
    struct sqlite_backend *backend;
    const struct judge_request *request;
    struct judge_result *result;
    uint32_t id_hash;
    uint32_t redeemed_hash; /* of the message whose ticket was redeemed */
    bool replaces; /* another message was counted under this id, at `place` */
    struct place place;
    char names[SUBJECT_COUNT][HISTORY_NAME_SIZE]; /* of the histories, where not the key itself */
    struct sqlite_history stored[SUBJECT_COUNT];
    struct record_totals totals[RECORD_SUBJECTS]; /* before the message, for its record */
    struct pair_told recipient; /* whose window is told */
    bool redeemed_waits; /* the message whose ticket was redeemed is to wait */
};

enum { NO_ID = 0 };

/* 1 when this very submission was counted before, 0 when not, -1. */
static int counted_before(struct judging *judging)
{
    const struct judge_request *request = judging->request;
    const struct judge_result *result = judging->result;
    struct sqlite_history *stored = &judging->stored[SUBJECT_MAILBOX];
    judging->id_hash = identity_of_id(judging->backend->hash_key, request->id);
    int found = sqlite_history_find_id(stored, judging->id_hash, &judging->place);
    if (found < 1)
        return found;
    const struct counted *counted = sqlite_place_counted(stored, &judging->place);
    uint16_t fingerprint = identity_of_recipients(judging->backend->hash_key, request->fingerprint);
    bool same = counted->fingerprint == fingerprint &&
                window_holds(counted->entry.time_ms, COUNTED_KNOWN_MS, result->at_ms);
    judging->replaces = !same;
    return same;
}

/* The older message stays counted, but has no id any longer. */
static int forget_id(struct judging *judging)
{
    struct sqlite_history *stored = &judging->stored[SUBJECT_MAILBOX];
    sqlite_place_counted(stored, &judging->place)->id_hash = NO_ID;
    return sqlite_place_save(stored, &judging->place);
}

static void keep_totals(const struct sqlite_history *stored, struct record_totals *totals_r)
{
    const struct packed_history *history = &stored->history;
    totals_r->count = stored->key == NULL                      ? 0
                      : history->span_count < RECORD_SPANS_MAX ? history->span_count
                                                               : RECORD_SPANS_MAX;
    for (size_t i = 0; i < totals_r->count; i++) {
        struct span_totals totals =
            packed_history_totals(&history->spans[history->span_count - 1 - i]);
        totals_r->of[i].messages = totals.messages;
        totals_r->of[i].off_domain = totals.off_domain;
    }
}

/* Totals of nothing where others stand behind them. */
static void fill_totals(struct judging *judging)
{
    bool followed = judging->totals[SUBJECT_RECIPIENT].count > 0;
    for (int subject = SUBJECT_COUNT - 1; subject > SUBJECT_MAILBOX; subject--) {
        struct record_totals *totals = &judging->totals[subject];
        if (followed && totals->count == 0)
            *totals = (struct record_totals){.count = rule_spans((enum subject)subject).count};
        followed = followed || totals->count > 0;
    }
}

static uint64_t measured(struct span_totals totals, enum measure measure)
{
    return measure == MEASURE_MESSAGES ? totals.messages : totals.off_domain;
}

/* Of recipients it is filled with them. */
static void fill_window(const struct judging *judging, struct outcome_window *window)
{
    const struct judge_request *request = judging->request;
    const struct rule_info *rule = &rule_table[window->rule];
    if (rule->subject == SUBJECT_RECIPIENT)
        return;
    const struct sqlite_history *stored = &judging->stored[rule->subject];
    const struct span *span = packed_history_span(&stored->history, rule->window_ms);
    window->used_before = measured(packed_history_totals(span), rule->measure);
    window->used_by_channel =
        measured(packed_history_totals_of(&stored->history, span, request->channel), rule->measure);
    window->over = stored->key != NULL && outcome_window_over(window, request->off_domain);
}

/* The windows of its recipients. 1 or -1. */
static int look_at_recipients(struct judging *judging)
{
    struct judge_result *result = judging->result;
    struct record_totals *totals = &judging->totals[SUBJECT_RECIPIENT];
    const struct outcome_window *window = packed_pair_window(result);
    if (sqlite_pairs_look(judging->backend, judging->stored[SUBJECT_MAILBOX].id, judging->request,
                          result, &judging->recipient) < 0)
        return -1;
    *totals = (struct record_totals){.count = window != NULL &&
                                              judging->request->recipient_count > 0};
    if (totals->count > 0)
        totals->of[0].messages = window->used_before;
    return 1;
}

/* Loads the histories up to the message's moment and fills its windows. */
static int look(struct judging *judging)
{
    const struct judge_request *request = judging->request;
    struct judge_result *result = judging->result;
    const char *keys[SUBJECT_COUNT] = {[SUBJECT_MAILBOX] = request->mailbox,
                                       [SUBJECT_IP] = request->ip,
                                       [SUBJECT_DOMAIN] = request->group};
    result->at_ms = judge_moment(request);
    result->ahead_ms = 0;
    for (int subject = 0; subject < SUBJECT_COUNT; subject++) {
        int64_t ahead_ms = 0;
        if (sqlite_history_load(judging->backend, (enum subject)subject,
                                history_name((enum subject)subject, request->channel, keys[subject],
                                             judging->names[subject]),
                                &judging->stored[subject]) < 0 ||
            sqlite_history_mend(&judging->stored[subject], request->now_ms, !request->dry_run,
                                &ahead_ms) < 0)
            return -1;
        result->ahead_ms = later(result->ahead_ms, ahead_ms);
        result->at_ms =
            later(result->at_ms, judging->stored[subject].history.newest_ms);
    }
    for (int subject = 0; subject < SUBJECT_COUNT; subject++) {
        if (sqlite_history_advance(&judging->stored[subject], result->at_ms) < 0)
            return -1;
        keep_totals(&judging->stored[subject], &judging->totals[subject]);
    }
    if (look_at_recipients(judging) < 0)
        return -1;
    fill_totals(judging);
    for (size_t i = 0; i < result->window_count; i++)
        fill_window(judging, &result->windows[i]);
    return 1;
}

/* ---- attempts while suspended -------------------------------------------------------- */

enum { ATTEMPT_HALVES = 2, ATTEMPT_BYTES = 8 };

/* What a suspension remembers of the messages that were refused since it began. */
struct tried {
    int64_t lasts_ms;
    size_t count;
    uint32_t known[ATTEMPTS_KNOWN][ATTEMPT_HALVES];
};
_Static_assert(sizeof ((struct tried *)0)->known[0] == ATTEMPT_BYTES, "kept as they are");

/* Keyed by the database, so that nobody can look for the recipients. */
static void attempt_of(const struct judging *judging, uint32_t halves_r[ATTEMPT_HALVES])
{
    identity_of_attempt(judging->backend->hash_key, judging->request->attempt,
                        (uint8_t *)halves_r);
}

static int read_tried(struct judging *judging, int64_t id, struct tried *tried_r)
{
    sqlite3_stmt *get = sqlite_take(judging->backend, SQL_SUSPENSION_TRIED);
    sqlite3_bind_int64(get, 1, id);
    tried_r->lasts_ms = 0;
    tried_r->count = 0;
    int found = sqlite_row(judging->backend, get);
    if (found < 1)
        return found;
    tried_r->lasts_ms = sqlite3_column_int64(get, 0);
    const void *bytes = sqlite3_column_blob(get, 1);
    size_t count = (size_t)sqlite3_column_bytes(get, 1) / ATTEMPT_BYTES;
    tried_r->count = count < ATTEMPTS_KNOWN ? count : ATTEMPTS_KNOWN;
    if (tried_r->count > 0)
        memcpy(tried_r->known, bytes, tried_r->count * ATTEMPT_BYTES);
    sqlite3_reset(get);
    return 1;
}

static bool is_known(const struct tried *tried, const uint32_t halves[ATTEMPT_HALVES])
{
    for (size_t i = 0; i < tried->count; i++)
        if (tried->known[i][0] == halves[0] || tried->known[i][1] == halves[1])
            return true;
    return false;
}

/* Remembers this message as tried, while there is room, and keeps the suspension. */
static int save_attempt(struct judging *judging, const struct suspension *suspension,
                        struct tried *tried)
{
    if (judging->request->attempt != 0 && tried->count < ATTEMPTS_KNOWN)
        attempt_of(judging, tried->known[tried->count++]);
    sqlite3_stmt *update = sqlite_take(judging->backend, SQL_SUSPENSION_ATTEMPT);
    sqlite3_bind_int64(update, 1, suspension->id);
    sqlite3_bind_int64(update, 2, suspension->attempts);
    sqlite3_bind_int64(update, 3, suspension->until_ms);
    sqlite3_bind_blob(update, 4, tried->known, (int)(tried->count * ATTEMPT_BYTES),
                      SQLITE_STATIC);
    int result = sqlite_do(judging->backend, update);
    sqlite3_clear_bindings(update); /* `tried` is its caller's */
    return result;
}

/* As a day when an earlier version moved its end, which did not keep how long it lasted first. */
static int64_t length_of(const struct suspension *suspension, const struct tried *tried)
{
    int64_t lasts_ms = suspension->until_ms - suspension->since_ms;
    if (tried->lasts_ms > 0)
        return tried->lasts_ms;
    return lasts_ms < SUSPENSION_UNKNOWN_LENGTH_MS ? lasts_ms : SUSPENSION_UNKNOWN_LENGTH_MS;
}

/* Of one suspension. 1 or -1. */
static int count_attempt(struct judging *judging, struct suspension *suspension)
{
    const struct judge_request *request = judging->request;
    struct tried tried;
    uint32_t halves[ATTEMPT_HALVES];
    if (read_tried(judging, suspension->id, &tried) < 0)
        return -1;
    attempt_of(judging, halves);
    if (request->attempt != 0 && is_known(&tried, halves))
        return 1;
    suspension->attempts++;
    if (suspension->cause == CAUSE_VOLUME && suspension->until_ms != UNTIL_LIFTED &&
        suspension->attempts >= request->retries_before_restart && tried.count < ATTEMPTS_KNOWN)
        suspension->until_ms =
            later(suspension->until_ms, request->now_ms + length_of(suspension, &tried));
    return save_attempt(judging, suspension, &tried);
}

/* Each suspension knows its own attempts, and the end of one may move behind that of another. */
static int count_attempts(struct judging *judging)
{
    const struct suspensions held = judging->result->suspensions;
    for (size_t i = 0; i < held.count; i++) {
        struct suspension one = held.of[i];
        if (count_attempt(judging, &one) < 0)
            return -1;
        suspension_put(&judging->result->suspensions, &one);
    }
    return 1;
}

static int bring_suspension(struct judging *judging, enum rule over)
{
    const struct judge_request *request = judging->request;
    struct judge_result *result = judging->result;
    const struct action action = {result->at_ms, SUSPENSION_BY_GUARD, rule_table[over].name};
    if (sqlite_make_suspension(judging->backend, request->mailbox, CAUSE_VOLUME, &request->volume,
                               NULL, &action, &result->suspensions) < 0)
        return -1;
    struct tried tried = {.count = 0}; /* this message is no attempt when it is tried again */
    return save_attempt(judging, suspension_find(&result->suspensions, CAUSE_VOLUME), &tried);
}

static int count_message(struct judging *judging)
{
    const struct judge_request *request = judging->request;
    const struct judge_result *result = judging->result;
    struct sqlite_history *mailbox = &judging->stored[SUBJECT_MAILBOX];
    struct sqlite_history *ip = &judging->stored[SUBJECT_IP];
    struct sqlite_history *domain = &judging->stored[SUBJECT_DOMAIN];
    struct counted counted = {
        .entry = {result->at_ms, request->off_domain, request->channel},
        .id_hash = judging->id_hash,
        .fingerprint = identity_of_recipients(judging->backend->hash_key, request->fingerprint),
        .decision = result->decision,
    };
    if (judging->replaces && forget_id(judging) < 0)
        return -1;
    if ((ip->key != NULL && sqlite_history_add(ip, &counted) < 0) ||
        (domain->key != NULL && sqlite_history_add(domain, &counted) < 0) ||
        sqlite_history_add(mailbox, &counted) < 0 ||
        sqlite_pairs_count(judging->backend, mailbox->id, request, &counted) < 0)
        return -1;
    return request->ticket > 0
               ? sqlite_leave_ticket(judging->backend, mailbox->id, request,
                                     result->unusual.action == UNUSUAL_HOLD,
                                     later(result->at_ms, request->now_ms))
               : 1;
}

static int keep_record(struct judging *judging)
{
    const struct judge_request *request = judging->request;
    const struct judge_result *result = judging->result;
    struct sqlite_backend *backend = judging->backend;
    struct text *record = &backend->record;
    bool admitted = outcome_passes(result->outcome);
    char link[RECORD_LINK_SIZE];
    char names[RECORD_NAMES_SIZE];
    const char *ip_name = packed_record_names(judging->stored[SUBJECT_IP].key,
                                              judging->stored[SUBJECT_DOMAIN].key, names);
    if (result->outcome == OUTCOME_REDEEMED) {
        packed_record_link(judging->redeemed_hash, link);
        ip_name = link;
    } else if (result->outcome == OUTCOME_BLOCKED) {
        packed_record_block(&result->block, link);
        ip_name = link;
    }
    text_clear(record);
    packed_record_put(record, request, result->outcome, result->at_ms, judging->totals,
                      ip_name, &result->unusual);
    sqlite3_stmt *put = sqlite_take(backend, admitted ? SQL_ADMITTED_PUT : SQL_REFUSED_PUT);
    sqlite3_bind_int64(put, 1, (sqlite3_int64)result->decision);
    sqlite3_bind_blob(put, 2, record->data, (int)record->length, SQLITE_STATIC);
    if (!admitted)
        sqlite_bind_string(put, 3, request->mailbox);
    return sqlite_do(backend, put);
}

/* Keeps what was read of suspensions that a wrong clock stamped. */
static int mend_suspensions(struct judging *judging)
{
    sqlite3_stmt *mend = sqlite_take(judging->backend, SQL_SUSPENSION_MEND);
    sqlite_bind_string(mend, 1, judging->request->mailbox);
    sqlite3_bind_int64(mend, 2, judging->request->now_ms);
    return sqlite_do(judging->backend, mend);
}

static int take_effect(struct judging *judging, const struct outcome_judged *judged)
{
    const struct judge_request *request = judging->request;
    const struct judge_result *result = judging->result;
    if (request->dry_run)
        return 1;
    if (result->suspensions.count > 0 && mend_suspensions(judging) < 0)
        return -1;
    if (judged->suspends &&
        bring_suspension(judging, result->windows[judged->window].rule) < 0)
        return -1;
    if (judged->attempt && count_attempts(judging) < 0)
        return -1;
    if (judged->counts && count_message(judging) < 0)
        return -1;
    return keep_record(judging);
}

static bool counts_for(const struct judging *judging, enum subject subject)
{
    return subject == SUBJECT_RECIPIENT ? judging->request->recipient_count > 0
                                        : judging->stored[subject].key != NULL;
}

/* Whether a window is over, or held others before and has no room for one more after this
 * message. */
static bool fills_a_window(const struct judging *judging)
{
    const struct judge_request *request = judging->request;
    struct judge_result *result = judging->result;
    for (size_t i = 0; i < result->window_count; i++) {
        const struct outcome_window *window = &result->windows[i];
        bool has_key = counts_for(judging, rule_table[window->rule].subject);
        uint64_t cost = outcome_cost(window->rule, request->off_domain);
        if (window->over || (has_key && window->used_before > 0 &&
                             !window_fits(window->used_before, cost + 1, window->limit)))
            return true;
    }
    return false;
}

/* Of a refused message, a dry run and a window without room the caller makes a forecast. */
static int fill_histories(struct judging *judging)
{
    const struct judge_request *request = judging->request;
    struct judge_result *result = judging->result;
    bool wanted = request->dry_run || !outcome_passes(result->outcome) ||
                  (!request->observe && fills_a_window(judging));
    for (int subject = 0; subject < SUBJECT_COUNT; subject++) {
        result->histories[subject] = (struct history){0};
        if (wanted && judging->stored[subject].key != NULL &&
            sqlite_history_entries(&judging->stored[subject], request->arena, result->at_ms,
                                   &result->histories[subject]) < 0)
            return -1;
    }
    return wanted ? sqlite_pairs_told(judging->backend, judging->stored[SUBJECT_MAILBOX].id,
                                      request, result, &judging->recipient)
                  : 1;
}

/* The charge whose ticket was redeemed gets no refund any longer. A reset may have forgotten it.
 * The history is loaded anew: the one that was judged by has let go of what is past, which must
 * not be saved without a message counted at that moment. */
static int mark_redeemed(struct sqlite_backend *backend, const char *mailbox, uint32_t id_hash)
{
    struct sqlite_history stored;
    struct place place;
    if (sqlite_history_load(backend, SUBJECT_MAILBOX, mailbox, &stored) < 0)
        return -1;
    int found = sqlite_history_find_id(&stored, id_hash, &place);
    if (found < 1)
        return found < 0 ? -1 : 1;
    sqlite_place_counted(&stored, &place)->redeemed = true;
    return sqlite_place_save(&stored, &place);
}

/* 1 a ticket stands for it, and is taken away; 0; -1. */
static int redeem(struct judging *judging)
{
    const struct judge_request *request = judging->request;
    if (request->redeem == 0)
        return 0;
    int redeemed = sqlite_redeem_ticket(judging->backend, judging->stored[SUBJECT_MAILBOX].id,
                                        request, later(judging->result->at_ms, request->now_ms),
                                        &judging->redeemed_hash, &judging->redeemed_waits);
    if (redeemed < 1 || request->dry_run)
        return redeemed;
    return mark_redeemed(judging->backend, request->mailbox, judging->redeemed_hash);
}

/* 1 or -1. */
static int look_for_block(const struct judging *judging)
{
    const struct judge_request *request = judging->request;
    struct judge_result *result = judging->result;
    struct failure_in_force of_mailbox;
    int found = 0;
    result->block = (struct failure_in_force){0};
    result->block_damaged = false;
    if (request->domain == NULL)
        return 1;
    if (sqlite_values_block(judging->backend, request->domain, request->now_ms, &result->block,
                            &result->block_damaged) < 0)
        return -1;
    if (request->mailbox_blocks)
        found = sqlite_values_block(judging->backend, request->mailbox, request->now_ms,
                                    &of_mailbox, &result->block_damaged);
    if (found > 0 && of_mailbox.until_ms > result->block.until_ms) {
        result->block = of_mailbox;
        result->block.of_mailbox = true;
    }
    return found < 0 ? -1 : 1;
}

/* All that the judgement depends on: the histories, suspensions, a block, a ticket. 1, -1. */
static int see(struct judging *judging, struct outcome_seen *seen_r)
{
    const struct judge_request *request = judging->request;
    struct judge_result *result = judging->result;
    if (look(judging) < 0 ||
        sqlite_suspensions_held(judging->backend, request->mailbox, request->now_ms,
                                &result->suspensions) < 0 ||
        look_for_block(judging) < 0)
        return -1;
    int repeated = counted_before(judging);
    *seen_r = (struct outcome_seen){
        .counted_before = repeated > 0,
        .suspended = result->suspensions.count > 0,
        .blocked = result->block.until_ms != 0,
        .rejected = request->rejected,
        .observe = request->observe,
        .dry_run = request->dry_run,
        .no_attempt = request->no_attempt,
        .off_domain = request->off_domain,
        .windows = result->windows,
        .window_count = result->window_count,
    };
    int redeemed = repeated == 0 && outcome_wants_ticket(seen_r) ? redeem(judging) : 0;
    seen_r->ticket = redeemed > 0;
    return repeated < 0 || redeemed < 0 ? -1 : 1;
}

/* Whether it is unusual, which may change what becomes of it. Of one that was judged before, whether
 * it waits. 1 or -1. */
static int look_at_profile(struct judging *judging, struct outcome_seen *seen,
                           struct outcome_judged *judged)
{
    const struct judge_request *request = judging->request;
    struct unusual *unusual = &judging->result->unusual;
    int64_t at_ms = judging->result->at_ms;
    int waits = judged->redeems && judging->redeemed_waits;
    *unusual = (struct unusual){0};
    judging->result->profile = (struct profile_told){0};
    if (request->profile != NULL && !request->dry_run &&
        (judged->outcome == OUTCOME_REPEATED || judged->redeems))
        waits = sqlite_values_holds(judging->backend, request, waits > 0);
    if (waits < 0 ||
        (request->profile != NULL && judged->outcome == OUTCOME_ADMITTED &&
         sqlite_values_profile(judging->backend, request, judging->result) < 0))
        return -1;
    if (waits > 0)
        unusual->action = UNUSUAL_HOLD;
    seen->deferred = unusual->action == UNUSUAL_DEFER;
    if (seen->deferred)
        *judged = outcome_decide(seen);
    return unusual_is_told(unusual) && judged->outcome != OUTCOME_REPEATED && !request->dry_run
               ? sqlite_values_list_unusual(judging->backend, request, unusual, at_ms)
               : 1;
}

/* Of a message of an earlier moment: by that which it counts as of, where it is looked for. */
static uint64_t decision_of(const struct judge_request *request, int64_t at_ms)
{
    uint64_t number = request->decision & ((1 << COUNTED_ID_BITS) - 1);
    return request->sent_ms == 0 ? request->decision : decision_floor(at_ms) | number;
}

static int judge_one(struct sqlite_backend *backend, const struct judge_task *task)
{
    struct judging judging; /* not zeroed: its parts are big, and filled in turn */
    struct outcome_seen seen;
    judging.backend = backend;
    judging.request = task->request;
    judging.result = task->result_r;
    judging.replaces = false;
    judging.redeemed_hash = NO_ID;
    judging.redeemed_waits = false;
    if (see(&judging, &seen) < 0)
        return -1;
    struct outcome_judged judged = outcome_decide(&seen);
    if (look_at_profile(&judging, &seen, &judged) < 0)
        return -1;
    task->result_r->outcome = judged.outcome;
    task->result_r->brought = judged.brought;
    task->result_r->decision = decision_of(task->request, task->result_r->at_ms);
    if (take_effect(&judging, &judged) < 0)
        return -1;
    return fill_histories(&judging);
}

/* A little sweeping with every so many messages: more than they added, and some histories in any
 * case. */
enum { JUDGED_BETWEEN_SWEEPS = 128, SWEPT_ANYWAY = 32 };

static int sweep_now_and_then(struct sqlite_backend *backend, int64_t now_ms, size_t judged)
{
    backend->judged_since_sweep += judged;
    if (backend->judged_since_sweep < JUDGED_BETWEEN_SWEEPS)
        return 1;
    size_t histories = 2 * backend->histories_since_sweep + SWEPT_ANYWAY;
    size_t pairs = 2 * backend->pairs_since_sweep + SWEPT_ANYWAY;
    backend->judged_since_sweep = backend->histories_since_sweep = backend->pairs_since_sweep = 0;
    return sqlite_sweep_some(backend, now_ms, 2 * JUDGED_BETWEEN_SWEEPS, histories) < 0 ||
                   sqlite_pairs_sweep(backend, now_ms - PAIR_WINDOW_MS - MINUTE_MS, pairs) < 0
               ? -1
               : 1;
}

enum { AGAIN = 0 }; /* an answer while the message is still to be judged */

/* All that are to be judged, in one transaction: 1; or -1, with the answer of the message that
 * failed, and nothing done. */
static int judge_together(struct sqlite_backend *backend, struct judge_task *tasks, size_t count)
{
    int64_t now_ms = 0;
    size_t judged = 0;
    int result = sqlite_begin(backend, true);
    if (result < 0)
        return -1;
    for (size_t i = 0; i < count && result > 0; i++) {
        if (tasks[i].answer != AGAIN)
            continue;
        result = judge_one(backend, &tasks[i]);
        now_ms = later(now_ms, tasks[i].request->now_ms);
        judged++;
        if (result < 0)
            tasks[i].answer = -1;
    }
    if (result > 0 && judged > 0)
        result = sweep_now_and_then(backend, now_ms, judged);
    return sqlite_end(backend, result);
}

static size_t count_waiting(const struct judge_task *tasks, size_t count)
{
    size_t waiting = 0;
    for (size_t i = 0; i < count; i++)
        waiting += tasks[i].answer == AGAIN;
    return waiting;
}

/* A message whose rows are damaged costs no other one its answer: those are judged again without
 * it, while there is time. */
static void judge(struct backend *backend, struct judge_task *tasks, size_t count)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    int64_t until_us = clock_monotonic_us() + backend->timeout_ms * INT64_C(1000);
    int result = -1;
    size_t waiting = count, before = count + 1;
    for (size_t i = 0; i < count; i++)
        tasks[i].answer = AGAIN;
    while (result < 0 && waiting > 0 && waiting < before && clock_monotonic_us() < until_us) {
        result = judge_together(self, tasks, count);
        before = waiting;
        waiting = count_waiting(tasks, count);
    }
    for (size_t i = 0; i < count; i++)
        if (tasks[i].answer == AGAIN)
            tasks[i].answer = result;
}

/* ---- refunds ----------------------------------------------------------------------- */

/* The names of the histories of IP and domain that the message counted in: 1; 0 none, or its record
 * is past; -1. */
static int find_names(struct sqlite_backend *backend, struct arena *arena, uint64_t decision,
                      const char **ip_name_r, const char **domain_name_r)
{
    struct record record;
    const char *names;
    int64_t until_ms;
    sqlite3_stmt *get = sqlite_take(backend, SQL_ADMITTED_GET);
    sqlite3_bind_int64(get, 1, (sqlite3_int64)decision);
    int found = sqlite_row(backend, get);
    if (found < 1)
        return found;
    found = packed_record_get(arena, sqlite3_column_blob(get, 0),
                              (size_t)sqlite3_column_bytes(get, 0), &record, &until_ms, &names);
    sqlite3_reset(get);
    if (found < 1)
        return found;
    char *cut = arena_strdup(arena, names);
    *domain_name_r = packed_record_cut_names(cut);
    *ip_name_r = cut;
    return 1;
}

/* A message in the history of its IP, or of its domain. */
struct charged {
    struct sqlite_history stored;
    struct place place;
    bool counts; /* not when it has left the hour there */
};

/* Where a message counts. */
struct charge {
    struct sqlite_history mailbox;
    struct place in_mailbox;
    struct charged ip, domain;
    struct text recipients; /* hashes */
};

/* loaded: 1 the history is there; 0; -1. 1 or -1. */
static int find_charged(struct charged *charged, int loaded, const struct entry *entry)
{
    int found = loaded;
    if (found > 0)
        found = sqlite_history_find_entry(&charged->stored, entry, &charged->place);
    charged->counts = found > 0;
    return found < 0 ? -1 : 1;
}

static int load_named(struct sqlite_backend *backend, enum subject subject, const char *name,
                      struct sqlite_history *stored_r)
{
    return name == NULL || *name == '\0' ? 0
                                         : sqlite_history_load(backend, subject, name, stored_r);
}

/* In the histories beside the mailbox's. 1 or -1. */
static int find_others(struct sqlite_backend *backend, struct arena *arena,
                       const struct counted *counted, struct charge *charge)
{
    const char *ip_name = NULL, *domain_name = NULL;
    int64_t row = (int64_t)(counted->decision & ~COUNTED_HAS_IP_ROW);
    bool has_row = counted->decision != (uint64_t)row;
    if (!has_row && find_names(backend, arena, counted->decision, &ip_name, &domain_name) < 0)
        return -1;
    int loaded = has_row ? sqlite_history_load_row(backend, SUBJECT_IP, row, &charge->ip.stored)
                         : load_named(backend, SUBJECT_IP, ip_name, &charge->ip.stored);
    if (find_charged(&charge->ip, loaded, &counted->entry) < 0)
        return -1;
    loaded = load_named(backend, SUBJECT_DOMAIN, domain_name, &charge->domain.stored);
    return find_charged(&charge->domain, loaded, &counted->entry);
}

/* 1, with keys in `arena`; 0 there is nothing to refund; -1. The ticket goes. */
static int find_charge(struct sqlite_backend *backend, struct arena *arena,
                       const struct value_refund *refund, int64_t now_ms, struct charge *charge,
                       bool *damaged_r)
{
    bool redeemed = refund->id == NULL;
    if (sqlite_history_load(backend, SUBJECT_MAILBOX, refund->mailbox, &charge->mailbox) < 0 ||
        (!redeemed && sqlite_drop_ticket(backend, charge->mailbox.id, refund->id) < 0))
        return -1;
    int found = sqlite_history_find_id(
        &charge->mailbox,
        redeemed ? refund->redeemed : identity_of_id(backend->hash_key, refund->id),
        &charge->in_mailbox);
    if (found < 1)
        return found;
    const struct counted *counted = sqlite_place_counted(&charge->mailbox, &charge->in_mailbox);
    if (counted->redeemed != redeemed || !window_holds(counted->entry.time_ms, COUNTED_KNOWN_MS, now_ms))
        return 0;
    return sqlite_pairs_find(backend, charge->mailbox.id, counted, &charge->recipients,
                             damaged_r) < 0
               ? -1
               : find_others(backend, arena, counted, charge);
}

static int refund_charged(struct charged *charged)
{
    return charged->counts ? sqlite_place_refund(&charged->stored, &charged->place) : 1;
}

/* 1 or -1. */
static int take_out(struct sqlite_backend *backend, struct charge *charge)
{
    const struct counted counted = *sqlite_place_counted(&charge->mailbox, &charge->in_mailbox);
    return sqlite_place_refund(&charge->mailbox, &charge->in_mailbox) < 0 ||
                   refund_charged(&charge->ip) < 0 || refund_charged(&charge->domain) < 0 ||
                   sqlite_pairs_refund(backend, charge->mailbox.id, &counted,
                                       &charge->recipients) < 0
               ? -1
               : 1;
}

int sqlite_refund(struct sqlite_backend *backend, const struct value_refund *refund,
                  int64_t now_ms, bool *damaged_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct charge charge; /* not zeroed: its parts are big */
    charge.mailbox.damaged = charge.ip.stored.damaged = charge.domain.stored.damaged = false;
    charge.recipients = (struct text){0};
    *damaged_r = false;
    int found = find_charge(backend, arena, refund, now_ms, &charge, damaged_r);
    *damaged_r = *damaged_r || charge.mailbox.damaged || charge.ip.stored.damaged ||
                 charge.domain.stored.damaged;
    if (found > 0)
        found = take_out(backend, &charge);
    text_free(&charge.recipients);
    return found;
}

static int refund(struct backend *backend, const char *mailbox, const char *id, int64_t now_ms)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    const struct value_refund one = {.mailbox = mailbox, .id = id};
    bool damaged;
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, sqlite_refund(self, &one, now_ms, &damaged));
}

const struct judge_operations sqlite_judge = {
    .judge = judge,
    .refund = refund,
};
