#include "guard/recorder.h"

#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Between noting and telling stand three heaps: sightings, windows near their
 * limit, counts. The teller takes a handful of them (struct hand), and keeps it
 * in hand until the store has it, so that who notes never waits for a store.
 *
 * A store that hangs may carry out later what it did not answer. So after a
 * failure a question is asked first, and the hand is told again only when that
 * is answered: counts may be too high by one hand for each time the store
 * hangs, and never too low. */

enum {
    ROOM_NEAR = 4 * 1024,
    REMEMBERED = 2 * RECORDER_CAPACITY, /* a power of two */
    OTHER_COUNTERS = 32,
    IP_SIZE = 48,
};
#define NEAR_AGAIN_MS MINUTE_MS

const int32_t recorder_bounds_us[RECORDER_BOUNDS] = {250,   500,   1000,   2500,   5000,
                                                     10000, 25000, 100000, 250000, 1000000};

struct seen {
    char mailbox[ADDRESS_MAX_BYTES + 1];
    char ip[IP_SIZE]; /* "" for unknown */
    int64_t at_ms;
};

/* Counts of one channel. */
struct channel_counts {
    uint64_t decisions[VERDICT_LABELS];
    uint64_t refusals[RULE_COUNT];
    uint64_t judge_le[RECORDER_BOUNDS + 1]; /* the last: all */
    uint64_t judge_sum_us;
    uint64_t store_failures;
    uint64_t bypassed;
};

struct counts {
    struct channel_counts channels[CHANNEL_COUNT];
    uint64_t suspensions[CAUSE_COUNT];
    struct counter others[OTHER_COUNTERS];
    size_t other_count;
};

/* What is on its way to the store. */
struct hand {
    struct seen seen[OBSERVATIONS_MAX];
    struct sighting sightings[OBSERVATIONS_MAX];
    struct near_limit nears[OBSERVATIONS_MAX];
    struct counter counters[OBSERVATIONS_MAX];
    struct observations told; /* the counts of those in use */
    bool failed;              /* told once, and the store did not answer */
};

struct recorder {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t lock; /* of all down to `stopping` */
    pthread_cond_t wake;
    struct seen *seen;
    size_t seen_count;
    struct near_limit *nears;
    size_t near_count;
    struct counts counts;
    bool counted; /* some of `counts` is not 0 */
    /* What was noted lately, by hash: a slot holds the last that fell on it. One that
     * was pushed out is told twice, which does no harm. */
    uint64_t *remembered;
    unsigned char hash_key[crypto_shorthash_KEYBYTES];
    bool stopping;

    pthread_mutex_t telling; /* of the hand; taken before `lock` */
    struct hand hand;
};

/* ---- noting: with the lock held ------------------------------------------------------- */

/* Where what is to be remembered has its slot, and the value that stands for it there. */
static uint64_t *slot_of(struct recorder *recorder, const char *kind, const char *key,
                         const char *more, int64_t period, uint64_t *hash_r)
{
    char whole[ADDRESS_MAX_BYTES + IP_SIZE + 64];
    int length = snprintf(whole, sizeof whole, "%s\n%s\n%s\n%lld", kind, key, more,
                          (long long)period);
    unsigned char hash[crypto_shorthash_BYTES];
    crypto_shorthash(hash, (const unsigned char *)whole, (unsigned long long)length,
                     recorder->hash_key);
    memcpy(hash_r, hash, sizeof *hash_r);
    return &recorder->remembered[*hash_r % REMEMBERED];
}

/* A webmail's host is where nobody is. */
static const char *sender_ip(const struct submission *submission)
{
    return submission->webmail_host ? NULL : submission->ip;
}

static void note_sighting(struct recorder *recorder, const struct verdict *verdict)
{
    if (!channel_is_its_users(verdict->submission->channel))
        return; /* its user sent nothing, and was nowhere */
    const char *mailbox = verdict->submission->mailbox, *ip = sender_ip(verdict->submission);
    uint64_t hash, *slot = slot_of(recorder, "sighting", mailbox, ip != NULL ? ip : "",
                                   verdict->now_ms / HOUR_MS, &hash);
    if (*slot == hash || recorder->seen_count == RECORDER_CAPACITY)
        return;
    *slot = hash;
    struct seen *seen = &recorder->seen[recorder->seen_count++];
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

static void note_windows(struct recorder *recorder, const struct verdict *verdict)
{
    for (size_t i = 0; i < verdict->window_count; i++) {
        const struct verdict_window *window = &verdict->windows[i];
        enum subject subject = rule_table[window->rule].subject;
        char text[HISTORY_NAME_SIZE];
        const char *name = history_name(subject, verdict->submission->channel,
                                        subject == SUBJECT_MAILBOX
                                            ? verdict->submission->mailbox
                                            : sender_ip(verdict->submission),
                                        text);
        if (name != NULL && is_near(window))
            note_near(recorder, window->rule, name, verdict->now_ms);
    }
}

static void count_time(struct channel_counts *counts, int64_t took_us)
{
    int64_t took = took_us < 0 ? 0 : took_us;
    for (size_t i = 0; i < RECORDER_BOUNDS; i++)
        counts->judge_le[i] += took <= recorder_bounds_us[i];
    counts->judge_le[RECORDER_BOUNDS]++;
    counts->judge_sum_us += (uint64_t)took;
}

/* A refusal may name one rule several times, for several fields or domains. */
static void count_refusal(struct channel_counts *counts, const struct verdict *verdict)
{
    bool named[RULE_COUNT] = {false};
    for (size_t i = 0; i < verdict->reason_count; i++)
        named[verdict->reasons[i].objection.rule] = true;
    for (size_t rule = 0; rule < RULE_COUNT; rule++)
        counts->refusals[rule] += named[rule];
}

static void count_other(struct counts *counts, const char *name, uint64_t more)
{
    size_t i = 0;
    while (i < counts->other_count && strcmp(counts->others[i].name, name) != 0)
        i++;
    if (i == OTHER_COUNTERS)
        return;
    if (i == counts->other_count) {
        counts->other_count++;
        snprintf(counts->others[i].name, sizeof counts->others[i].name, "%s", name);
    }
    counts->others[i].value += more;
}

void recorder_bypassed_name(int64_t now_ms, char name_r[COUNTER_NAME_SIZE])
{
    struct tm day = {0};
    time_t seconds = (time_t)(now_ms / SECOND_MS);
    gmtime_r(&seconds, &day);
    strftime(name_r, COUNTER_NAME_SIZE, "bypassed day=%Y-%m-%d", &day);
}

static void count_bypassed(struct recorder *recorder, const struct verdict *verdict)
{
    char name[COUNTER_NAME_SIZE];
    recorder_bypassed_name(verdict->now_ms, name);
    recorder->counts.channels[verdict->submission->channel].bypassed++;
    count_other(&recorder->counts, name, 1);
}

void recorder_judged(struct recorder *recorder, const struct verdict *verdict, int answered,
                     int64_t took_us)
{
    struct channel_counts *counts = &recorder->counts.channels[verdict->submission->channel];
    if (verdict->dry_run)
        return;
    pthread_mutex_lock(&recorder->lock);
    counts->decisions[verdict_label(verdict)]++;
    counts->store_failures += answered < 0;
    count_time(counts, took_us);
    if (verdict->bypassed)
        count_bypassed(recorder, verdict);
    if (verdict->kind != VERDICT_ADMIT)
        count_refusal(counts, verdict);
    if (verdict->kind == VERDICT_SUSPENDED && verdict->brought)
        recorder->counts.suspensions[verdict->suspension.cause]++;
    recorder->counted = true;
    note_sighting(recorder, verdict);
    note_windows(recorder, verdict);
    pthread_mutex_unlock(&recorder->lock);
}

void recorder_count(struct recorder *recorder, const char *name, uint64_t more)
{
    pthread_mutex_lock(&recorder->lock);
    count_other(&recorder->counts, name, more);
    recorder->counted = true;
    pthread_mutex_unlock(&recorder->lock);
}

/* ---- counts as counters --------------------------------------------------------------- */

static void add_counter(struct hand *hand, uint64_t value, const char *format, ...)
    printf_like(3, 4);

static void add_counter(struct hand *hand, uint64_t value, const char *format, ...)
{
    va_list arguments;
    if (value == 0 || hand->told.counter_count == OBSERVATIONS_MAX)
        return;
    struct counter *counter = &hand->counters[hand->told.counter_count++];
    va_start(arguments, format);
    vsnprintf(counter->name, sizeof counter->name, format, arguments);
    va_end(arguments);
    counter->value = value;
}

static void add_channel(struct hand *hand, const char *channel, const struct channel_counts *counts)
{
    for (size_t i = 0; i < VERDICT_LABELS; i++)
        add_counter(hand, counts->decisions[i], "decisions channel=%s verdict=%s", channel,
                    verdict_labels[i]);
    for (size_t rule = 0; rule < RULE_COUNT; rule++)
        add_counter(hand, counts->refusals[rule], "refusals channel=%s rule=%s", channel,
                    rule_table[rule].name);
    for (size_t i = 0; i < RECORDER_BOUNDS; i++)
        add_counter(hand, counts->judge_le[i], "judge_us_le channel=%s le=%d", channel,
                    recorder_bounds_us[i]);
    add_counter(hand, counts->judge_le[RECORDER_BOUNDS], "judge_us_le channel=%s le=inf", channel);
    add_counter(hand, counts->judge_sum_us, "judge_us_sum channel=%s", channel);
    add_counter(hand, counts->store_failures, "store_failures channel=%s", channel);
    add_counter(hand, counts->bypassed, "bypassed channel=%s", channel);
}

/* Cast to int: clang 19 warns when two enum types are added. */
_Static_assert((int)CHANNEL_COUNT * ((int)VERDICT_LABELS + (int)RULE_COUNT + RECORDER_BOUNDS + 4) +
                       (int)CAUSE_COUNT + OTHER_COUNTERS <=
                   OBSERVATIONS_MAX,
               "all counters fit into one hand");

static void add_counts(struct hand *hand, const struct counts *counts)
{
    for (size_t channel = 0; channel < CHANNEL_COUNT; channel++)
        add_channel(hand, channel_names[channel], &counts->channels[channel]);
    for (size_t cause = 0; cause < CAUSE_COUNT; cause++)
        add_counter(hand, counts->suspensions[cause], "suspensions cause=%s", cause_names[cause]);
    for (size_t i = 0; i < counts->other_count; i++)
        add_counter(hand, counts->others[i].value, "%s", counts->others[i].name);
}

/* ---- telling: with `telling` held ------------------------------------------------------ */

/* The newest `max` of a heap leave it: so its first pages stay the ones in use. */
static size_t take_off(size_t *count, size_t max)
{
    size_t taken = *count < max ? *count : max;
    *count -= taken;
    return taken;
}

static void take_sightings(struct recorder *recorder, struct hand *hand)
{
    size_t count = take_off(&recorder->seen_count, OBSERVATIONS_MAX);
    memcpy(hand->seen, recorder->seen + recorder->seen_count, count * sizeof *hand->seen);
    for (size_t i = 0; i < count; i++) {
        const struct seen *seen = &hand->seen[i];
        const char *at = strrchr(seen->mailbox, '@');
        hand->sightings[i] = (struct sighting){
            .mailbox = seen->mailbox,
            .domain = at != NULL ? at + 1 : "",
            .ip = seen->ip[0] != '\0' ? seen->ip : NULL,
            .at_ms = seen->at_ms,
        };
    }
    hand->told.sighting_count = count;
}

/* true: the hand holds something. */
static bool fill_hand(struct recorder *recorder)
{
    struct hand *hand = &recorder->hand;
    hand->told = (struct observations){
        .sightings = hand->sightings, .nears = hand->nears, .counters = hand->counters};
    pthread_mutex_lock(&recorder->lock);
    take_sightings(recorder, hand);
    hand->told.near_count = take_off(&recorder->near_count, OBSERVATIONS_MAX);
    memcpy(hand->nears, recorder->nears + recorder->near_count,
           hand->told.near_count * sizeof *hand->nears);
    if (recorder->counted) {
        add_counts(hand, &recorder->counts);
        memset(&recorder->counts, 0, sizeof recorder->counts);
        recorder->counted = false;
    }
    pthread_mutex_unlock(&recorder->lock);
    return hand->told.sighting_count + hand->told.near_count + hand->told.counter_count > 0;
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int store_answers(struct store *store)
{
    struct counter counter;
    size_t count;
    return store_counters(store, "", &counter, 1, &count);
}

int recorder_flush(struct recorder *recorder)
{
    struct hand *hand = &recorder->hand;
    int answer = 1;
    pthread_mutex_lock(&recorder->telling);
    if (hand->failed)
        answer = store_answers(recorder->store);
    while (answer > 0 && (hand->failed || fill_hand(recorder))) {
        answer = store_observe(recorder->store, &hand->told, wall_ms());
        hand->failed = answer < 1;
    }
    pthread_mutex_unlock(&recorder->telling);
    return answer > 0 ? 1 : -1;
}

/* ---- the thread ------------------------------------------------------------------------- */

/* A second, or until the end; true: go on. */
static bool wait_a_second(struct recorder *recorder)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&recorder->lock);
    while (!recorder->stopping &&
           pthread_cond_timedwait(&recorder->wake, &recorder->lock, &until) == 0)
        ;
    bool goes_on = !recorder->stopping;
    pthread_mutex_unlock(&recorder->lock);
    return goes_on;
}

static void *run(void *argument)
{
    struct recorder *recorder = argument;
    bool goes_on = true, told = true;
    /* who judges logs that the store is away; here it is tried again */
    while (goes_on) {
        goes_on = wait_a_second(recorder);
        told = recorder_flush(recorder) > 0;
    }
    (void)told;
    return NULL;
}

struct recorder *recorder_start(struct store *store)
{
    struct recorder *recorder = xcalloc(1, sizeof *recorder);
    pthread_condattr_t monotonic;
    sigset_t all, before;
    recorder->store = store;
    recorder->seen = xcalloc(RECORDER_CAPACITY, sizeof *recorder->seen);
    recorder->nears = xcalloc(ROOM_NEAR, sizeof *recorder->nears);
    recorder->remembered = xcalloc(REMEMBERED, sizeof *recorder->remembered);
    crypto_shorthash_keygen(recorder->hash_key);
    pthread_mutex_init(&recorder->lock, NULL);
    pthread_mutex_init(&recorder->telling, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&recorder->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
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
    pthread_mutex_destroy(&ending->telling);
    pthread_mutex_destroy(&ending->lock);
    free(ending->remembered);
    free(ending->nears);
    free(ending->seen);
    free(ending);
    *recorder = NULL;
}
