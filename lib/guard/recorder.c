#include "guard/recorder.h"

#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

/* Observations wait in memory: mailboxes with the network they sent from, windows near their limit,
 * counts. The flushing thread takes a batch of them and keeps it until the store has it, so that
 * judging never waits for a store.
 *
 * A store that hangs may carry out later what it did not answer. So after a failure a question is
 * asked first, and the batch is sent again only when that is answered: counts may be too high by one
 * batch for each time the store hangs, and never too low. */

enum {
    ROOM_NEAR = 4 * 1024,
    REMEMBERED = 2 * RECORDER_CAPACITY, /* a power of two */
    OTHER_COUNTERS = 8,
    IP_SIZE = 48,
};
#define NEAR_AGAIN_MS MINUTE_MS

struct sender_seen {
    char mailbox[ADDRESS_MAX_BYTES + 1];
    char ip[IP_SIZE]; /* "" for unknown */
    int64_t at_ms;
};

/* Counters of other names than those of the table. */
struct other_counts {
    struct counter list[OTHER_COUNTERS];
    size_t count;
};

/* What is on its way to the store. */
struct batch {
    struct sender_seen seen[OBSERVATIONS_MAX];
    struct observed_sender senders[OBSERVATIONS_MAX];
    struct near_limit nears[OBSERVATIONS_MAX];
    struct counter counters[OBSERVATIONS_MAX];
    struct observations observations; /* the counts of those in use */
    bool failed;              /* sent once, and the store did not answer */
};

struct recorder {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t lock; /* of all down to `stopping` */
    pthread_cond_t wake;
    struct sender_seen *seen;
    size_t seen_count;
    struct near_limit *nears;
    size_t near_count;
    struct counts counts;
    struct other_counts others;
    bool counted; /* some of both is not 0 */
    /* What was noted lately, by hash: a slot holds the last that fell on it. One that
     * was pushed out is sent twice, which does no harm. */
    uint64_t *remembered;
    unsigned char hash_key[crypto_shorthash_KEYBYTES];
    struct text to_hash;
    bool stopping;

    pthread_mutex_t flushing; /* of the batch; taken before `lock` */
    struct batch batch;
};

/* ---- noting: with the lock held ------------------------------------------------------- */

/* Where what is to be remembered has its slot, and the value that stands for it there. */
static uint64_t *slot_of(struct recorder *recorder, const char *kind, const char *key,
                         const char *more, int64_t period, uint64_t *hash_r)
{
    struct text *whole = &recorder->to_hash;
    unsigned char hash[crypto_shorthash_BYTES];
    text_clear(whole);
    text_add(whole, kind);
    text_add_char(whole, '\n');
    text_add(whole, key);
    text_add_char(whole, '\n');
    text_add(whole, more);
    text_add_char(whole, '\n');
    text_add_int(whole, period);
    crypto_shorthash(hash, (const unsigned char *)whole->data, whole->length, recorder->hash_key);
    memcpy(hash_r, hash, sizeof *hash_r);
    return &recorder->remembered[*hash_r % REMEMBERED];
}

/* A webmail's host is where nobody is. */
static const char *sender_ip(const struct submission *submission)
{
    return submission->webmail_host ? NULL : submission->ip;
}

static void note_sender(struct recorder *recorder, const struct verdict *verdict)
{
    if (!channel_is_its_users(verdict->submission->channel))
        return; /* its user sent nothing, and was nowhere */
    const char *mailbox = verdict->submission->mailbox, *ip = sender_ip(verdict->submission);
    uint64_t hash, *slot = slot_of(recorder, "sender", mailbox, ip != NULL ? ip : "",
                                   verdict->now_ms / HOUR_MS, &hash);
    if (*slot == hash || recorder->seen_count == RECORDER_CAPACITY)
        return;
    *slot = hash;
    struct sender_seen *seen = &recorder->seen[recorder->seen_count++];
    snprintf(seen->mailbox, sizeof seen->mailbox, "%s", mailbox);
    snprintf(seen->ip, sizeof seen->ip, "%s", ip != NULL ? ip : "");
    seen->at_ms = verdict->now_ms;
}

static bool is_near(const struct verdict_window *window)
{
    return window->limit > 0 && window->used * 100 >= UINT64_C(80) * (uint64_t)window->limit;
}

static void note_near(struct recorder *recorder, enum rule rule, const char *key, int64_t now_ms)
{
    uint64_t hash, *slot =
                       slot_of(recorder, "near", key, rule_table[rule].name, now_ms / NEAR_AGAIN_MS,
                               &hash);
    if (*slot == hash || recorder->near_count == ROOM_NEAR)
        return;
    *slot = hash;
    struct near_limit *near = &recorder->nears[recorder->near_count++];
    near->rule = rule;
    near->at_ms = now_ms;
    snprintf(near->key, sizeof near->key, "%s", key);
}

/* NULL: none. The name of a very long domain is not known (history_domain_key). */
static const char *key_of(const struct verdict *verdict, enum subject subject)
{
    if (subject == SUBJECT_DOMAIN)
        return verdict->domain_key != NULL && verdict->domain_key[1] != '#' ? verdict->domain_key
                                                                            : NULL;
    return subject == SUBJECT_IP ? sender_ip(verdict->submission)
                                 : verdict->submission->mailbox;
}

static void note_windows(struct recorder *recorder, const struct verdict *verdict)
{
    for (size_t i = 0; i < verdict->window_count; i++) {
        const struct verdict_window *window = &verdict->windows[i];
        enum subject subject = rule_table[window->rule].subject;
        char text[HISTORY_NAME_SIZE];
        const char *name = history_name(subject, verdict->submission->channel,
                                        key_of(verdict, subject), text);
        if (name != NULL && is_near(window))
            note_near(recorder, window->rule, name, verdict->now_ms);
    }
}

static void count_time(struct counts *counts, enum channel channel, int64_t took_us)
{
    int64_t took = took_us < 0 ? 0 : took_us;
    for (size_t i = 0; i < JUDGE_BOUNDS; i++)
        counts->judge_us_le[channel][i] += took <= counters_bounds_us[i];
    counts->judge_us_le[channel][JUDGE_BOUNDS]++;
    counts->judge_us_sum[channel] += (uint64_t)took;
}

/* A refusal may name one rule several times, for several fields or domains. */
static void count_refusal(uint64_t refusals[RULE_NAMED_COUNT], const struct verdict *verdict)
{
    bool named[RULE_NAMED_COUNT] = {false};
    for (size_t i = 0; i < verdict->reason_count; i++)
        named[verdict->reasons[i].objection.rule] = true;
    for (size_t rule = 0; rule < RULE_NAMED_COUNT; rule++)
        refusals[rule] += named[rule];
}

static void count_other(struct other_counts *others, const char *name)
{
    size_t i = 0;
    while (i < others->count && strcmp(others->list[i].name, name) != 0)
        i++;
    if (i == OTHER_COUNTERS)
        return;
    if (i == others->count) {
        others->count++;
        snprintf(others->list[i].name, sizeof others->list[i].name, "%s", name);
    }
    others->list[i].value++;
}

static void count_bypassed(struct recorder *recorder, const struct verdict *verdict)
{
    char name[COUNTER_NAME_SIZE];
    counters_bypassed_name(verdict->now_ms, name);
    recorder->counts.bypassed[verdict->submission->channel]++;
    count_other(&recorder->others, name);
}

void recorder_judged(struct recorder *recorder, const struct verdict *verdict, int answered,
                     int64_t took_us)
{
    struct counts *counts = &recorder->counts;
    enum channel channel = verdict->submission->channel;
    if (verdict->dry_run)
        return;
    pthread_mutex_lock(&recorder->lock);
    counts->decisions[channel][verdict_label(verdict)]++;
    counts->store_failures[channel] += answered < 0;
    count_time(counts, channel, took_us);
    if (unusual_is(&verdict->unusual) && verdict->unusual.action == UNUSUAL_NOTE)
        counts->unusual[channel]++;
    for (size_t i = 0; i < OVER_TIME_COUNT; i++)
        counts->shadow[channel][i] += verdict->shadow_over[i];
    if (verdict->bypassed)
        count_bypassed(recorder, verdict);
    counts->from_unknown[channel] += verdict->from_unknown;
    if (verdict->kind != VERDICT_ADMIT)
        count_refusal(counts->refusals[channel], verdict);
    if (verdict->kind == VERDICT_SUSPENDED && verdict->brought)
        counts->suspensions[verdict->suspensions.of[0].cause]++;
    recorder->counted = true;
    note_sender(recorder, verdict);
    note_windows(recorder, verdict);
    pthread_mutex_unlock(&recorder->lock);
}

/* `counter` is of its counts. */
static void count_one(struct recorder *recorder, uint64_t *counter)
{
    pthread_mutex_lock(&recorder->lock);
    ++*counter;
    recorder->counted = true;
    pthread_mutex_unlock(&recorder->lock);
}

void recorder_told(struct recorder *recorder, uint64_t count)
{
    pthread_mutex_lock(&recorder->lock);
    recorder->counts.told += count;
    recorder->counted = true;
    pthread_mutex_unlock(&recorder->lock);
}

void recorder_recipient_blocked(struct recorder *recorder, enum channel channel)
{
    count_one(recorder, &recorder->counts.refusals[channel][RULE_RECIPIENT_BLOCKED]);
}

void recorder_user_locked(struct recorder *recorder)
{
    count_one(recorder, &recorder->counts.user_locks);
}

void recorder_login_blocked(struct recorder *recorder, enum login_rule rule)
{
    count_one(recorder, &recorder->counts.login_blocks[rule]);
}

void recorder_login_refused(struct recorder *recorder)
{
    count_one(recorder, &recorder->counts.login_refusals);
}

void recorder_login_alarm(struct recorder *recorder)
{
    count_one(recorder, &recorder->counts.login_alarm_seconds);
}

void recorder_login_asked(struct recorder *recorder, bool after)
{
    count_one(recorder, &recorder->counts.login_questions[after]);
}

void recorder_guard_locked(struct recorder *recorder)
{
    count_one(recorder, &recorder->counts.login_locks[LOCK_BY_GUARD]);
}

void recorder_lock_refused(struct recorder *recorder)
{
    count_one(recorder, &recorder->counts.login_lock_refusals);
}

void recorder_kicked(struct recorder *recorder, enum kick_result result)
{
    count_one(recorder, &recorder->counts.kicks[result]);
}

void recorder_notified(struct recorder *recorder, enum notify_way way, enum notify_result result,
                       uint64_t count)
{
    pthread_mutex_lock(&recorder->lock);
    recorder->counts.notifications[way][result] += count;
    recorder->counted = true;
    pthread_mutex_unlock(&recorder->lock);
}

void recorder_reported(struct recorder *recorder, enum report_result result)
{
    pthread_mutex_lock(&recorder->lock);
    recorder->counts.reports[result]++;
    if (result == REPORT_SUSPENDED)
        recorder->counts.suspensions[CAUSE_COMPLAINTS]++;
    recorder->counted = true;
    pthread_mutex_unlock(&recorder->lock);
}

/* ---- flushing: with `flushing` held ------------------------------------------------------ */

/* Those that are not 0. */
static void take_counts(struct recorder *recorder, struct batch *batch)
{
    size_t count = 0;
    for (size_t i = 0; i < COUNTER_ROWS; i++) {
        const struct counter_row *row = &counters_table[i];
        const uint64_t *values = counters_of(&recorder->counts, row);
        for (size_t number = 0; number < counters_values(row); number++)
            if (values[number] > 0) {
                counters_name(row, number, batch->counters[count].name);
                batch->counters[count++].value = values[number];
            }
    }
    for (size_t i = 0; i < recorder->others.count; i++)
        batch->counters[count++] = recorder->others.list[i];
    batch->observations.counter_count = count;
    recorder->counts = (struct counts){0};
    recorder->others.count = 0;
    recorder->counted = false;
}

_Static_assert(sizeof(struct counts) / sizeof(uint64_t) + OTHER_COUNTERS <= OBSERVATIONS_MAX,
               "all counters fit into one batch");

/* The newest `max` of those that wait leave: so its first pages stay the ones in use. */
static size_t take_off(size_t *count, size_t max)
{
    size_t taken = *count < max ? *count : max;
    *count -= taken;
    return taken;
}

static void take_senders(struct recorder *recorder, struct batch *batch)
{
    size_t count = take_off(&recorder->seen_count, OBSERVATIONS_MAX);
    memcpy(batch->seen, recorder->seen + recorder->seen_count, count * sizeof *batch->seen);
    for (size_t i = 0; i < count; i++) {
        const struct sender_seen *seen = &batch->seen[i];
        const char *at = strrchr(seen->mailbox, '@');
        batch->senders[i] = (struct observed_sender){
            .mailbox = seen->mailbox,
            .domain = at != NULL ? at + 1 : "",
            .ip = seen->ip[0] != '\0' ? seen->ip : NULL,
            .at_ms = seen->at_ms,
        };
    }
    batch->observations.sender_count = count;
}

/* true: there is something to flush. */
static bool fill_batch(struct recorder *recorder)
{
    struct batch *batch = &recorder->batch;
    batch->observations = (struct observations){
        .senders = batch->senders, .nears = batch->nears, .counters = batch->counters};
    pthread_mutex_lock(&recorder->lock);
    take_senders(recorder, batch);
    batch->observations.near_count = take_off(&recorder->near_count, OBSERVATIONS_MAX);
    memcpy(batch->nears, recorder->nears + recorder->near_count,
           batch->observations.near_count * sizeof *batch->nears);
    if (recorder->counted)
        take_counts(recorder, batch);
    pthread_mutex_unlock(&recorder->lock);
    const struct observations *observations = &batch->observations;
    return observations->sender_count + observations->near_count + observations->counter_count > 0;
}

static int store_answers(struct store *store)
{
    struct counter counter;
    struct store_page page = {.max = 1};
    return store_counters(store, "", &counter, &page);
}

int recorder_flush(struct recorder *recorder, int64_t now_ms)
{
    struct batch *batch = &recorder->batch;
    int answer = 1;
    pthread_mutex_lock(&recorder->flushing);
    if (batch->failed)
        answer = store_answers(recorder->store);
    while (answer > 0 && (batch->failed || fill_batch(recorder))) {
        answer = store_observe(recorder->store, &batch->observations, now_ms);
        batch->failed = answer < 1;
    }
    pthread_mutex_unlock(&recorder->flushing);
    return answer > 0 ? 1 : -1;
}

/* ---- the thread ------------------------------------------------------------------------- */

/* A second, or until the end; true: go on. */
static bool wait_a_second(struct recorder *recorder)
{
    int64_t until_us = clock_monotonic_us() + 1000000;
    pthread_mutex_lock(&recorder->lock);
    while (!recorder->stopping && clock_condition_wait(&recorder->wake, &recorder->lock, until_us))
        ;
    bool goes_on = !recorder->stopping;
    pthread_mutex_unlock(&recorder->lock);
    return goes_on;
}

static void *run(void *argument)
{
    struct recorder *recorder = argument;
    bool goes_on = true;
    while (goes_on) {
        goes_on = wait_a_second(recorder);
        int flushed = recorder_flush(recorder, clock_wall_ms());
        (void)flushed; /* judging logs that the store does not answer; the next second tries again */
    }
    return NULL;
}

struct recorder *recorder_start(struct store *store)
{
    struct recorder *recorder = xcalloc(1, sizeof *recorder);
    sigset_t all, before;
    recorder->store = store;
    recorder->seen = xcalloc(RECORDER_CAPACITY, sizeof *recorder->seen);
    recorder->nears = xcalloc(ROOM_NEAR, sizeof *recorder->nears);
    recorder->remembered = xcalloc(REMEMBERED, sizeof *recorder->remembered);
    crypto_shorthash_keygen(recorder->hash_key);
    pthread_mutex_init(&recorder->lock, NULL);
    pthread_mutex_init(&recorder->flushing, NULL);
    clock_condition_init(&recorder->wake);
    sigfillset(&all); /* signals are the program's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&recorder->thread, NULL, run, recorder) != 0)
        abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return recorder;
}

void recorder_stop(struct recorder **recorder)
{
    struct recorder *ending = *recorder;
    if (ending == NULL)
        return;
    pthread_mutex_lock(&ending->lock);
    ending->stopping = true;
    pthread_cond_signal(&ending->wake);
    pthread_mutex_unlock(&ending->lock);
    pthread_join(ending->thread, NULL);
    pthread_cond_destroy(&ending->wake);
    pthread_mutex_destroy(&ending->flushing);
    pthread_mutex_destroy(&ending->lock);
    text_free(&ending->to_hash);
    free(ending->remembered);
    free(ending->nears);
    free(ending->seen);
    free(ending);
    *recorder = NULL;
}
