/* The store's front: opens the backends that a URL names, and lets one thread at a
 * time into each. SQLite has one backend, since it has one writer; Redis has a few,
 * each with a connection of its own, so that the server has work while answers
 * travel. Who finds all backends busy queues up; the first of the queue goes in next
 * and takes all messages that wait there with it. Under load a transaction or a
 * round trip is so shared by many messages, none waits for others. */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/store_url.h"
#include "store/adjustments.h"
#include "store/audit.h"
#include "store/backend.h"
#include "store/judge.h"
#include "store/kept.h"
#include "store/observations.h"
#include "store/records.h"
#include "store/suspensions.h"

const char *const adjust_kind_names[ADJUST_KIND_COUNT] = {"limit", "extra", "exempt"};
const char *const kept_kind_names[KEPT_KIND_COUNT] = {"staff", "token", "session", "block",
                                                      "tries", "known"};

/* what one caller brings goes in together */
enum { TOGETHER_MAX = JUDGE_MAX, ROUNDS_MAX = 16, LEAD_MAX_US = 10000, BACKENDS_MAX = 2 };

/* Somebody who waits: with messages, or (none) for a backend to himself. While
 * QUEUED the store's lock guards it; whoever takes it out of the queue owns it
 * until `called` is posted, and touches it no more. */
struct waiting {
    struct store_message *const *messages;
    int *results; /* of each message; -1 before */
    size_t count;
    struct waiting *next;
    sem_t called;
    _Atomic enum { QUEUED, TAKEN, LEADS, DONE } state;
    struct backend *backend; /* LEADS: which one is ours */
    char error[BACKEND_ERROR_SIZE];
};

struct store {
    struct backend *backends[BACKENDS_MAX];
    size_t backend_count;
    int timeout_ms;
    pthread_mutex_t lock; /* guards what follows */
    struct backend *empty[BACKENDS_MAX]; /* backends with nobody in them */
    size_t empty_count;
    struct waiting *first, **last;
};

static _Thread_local char thread_error[BACKEND_ERROR_SIZE];

const char *store_error(const struct store *store)
{
    (void)store;
    return thread_error;
}

int store_fail(struct store *store, const char *why)
{
    (void)store;
    snprintf(thread_error, sizeof thread_error, "%s", why);
    return -1;
}

int backend_fail(struct backend *backend, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(backend->error, sizeof backend->error, format, arguments);
    va_end(arguments);
    return -1;
}

/* ---- the queue ----------------------------------------------------------- */

/* The thread sanitizer of Debian 12 does not know sem_clockwait, and sees races
 * where there are none; what it knows is as good but for steps of the clock. */
#ifdef __SANITIZE_THREAD__
#define sem_clockwait(called, clock, deadline) sem_timedwait(called, deadline)
#define WAIT_CLOCK CLOCK_REALTIME
#else
#define WAIT_CLOCK CLOCK_MONOTONIC
#endif

static struct timespec deadline_in(int timeout_ms)
{
    struct timespec at;
    clock_gettime(WAIT_CLOCK, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

static void unlink_waiting(struct store *store, struct waiting **place)
{
    struct waiting *gone = *place;
    *place = gone->next;
    if (store->last == &gone->next)
        store->last = place;
}

/* Out of the queue again, when nobody took us in time: true. */
static bool gave_up_waiting(struct store *store, struct waiting *self)
{
    pthread_mutex_lock(&store->lock);
    bool queued = self->state == QUEUED;
    if (queued) {
        struct waiting **place = &store->first;
        while (*place != self)
            place = &(*place)->next;
        unlink_waiting(store, place);
    }
    pthread_mutex_unlock(&store->lock);
    return queued;
}

static void wait_until_called(sem_t *called)
{
    while (sem_wait(called) != 0 && errno == EINTR)
        ;
}

/* In: 1, with self->state LEADS (self->backend is ours) or DONE (somebody judged our
 * message with theirs). -1 when our turn did not come in time. */
static int enter(struct store *store, struct waiting *self)
{
    pthread_mutex_lock(&store->lock);
    if (store->empty_count > 0) {
        self->backend = store->empty[--store->empty_count];
        self->state = LEADS;
        pthread_mutex_unlock(&store->lock);
        return 1;
    }
    sem_init(&self->called, 0, 0);
    *store->last = self;
    store->last = &self->next;
    pthread_mutex_unlock(&store->lock);

    struct timespec deadline = deadline_in(store->timeout_ms);
    int called;
    while ((called = sem_clockwait(&self->called, WAIT_CLOCK, &deadline)) != 0 &&
           errno == EINTR)
        ;
    bool gave_up = called != 0 && gave_up_waiting(store, self);
    if (called != 0 && !gave_up) /* taken at the last moment; the backend's timeout bounds it */
        wait_until_called(&self->called);
    sem_destroy(&self->called);
    if (gave_up)
        snprintf(thread_error, sizeof thread_error, "the store was busy for %d ms",
                 store->timeout_ms);
    return gave_up ? -1 : 1;
}

/* Out: the next one has the backend, or nobody. */
static void leave(struct store *store, struct backend *backend)
{
    pthread_mutex_lock(&store->lock);
    struct waiting *next = store->first;
    if (next != NULL) {
        unlink_waiting(store, &store->first);
        next->state = LEADS;
        next->backend = backend;
    } else {
        store->empty[store->empty_count++] = backend;
    }
    pthread_mutex_unlock(&store->lock);
    if (next != NULL)
        sem_post(&next->called);
}

/* Those who go in together, and how many messages they have. */
struct group {
    struct waiting *members[TOGETHER_MAX];
    size_t count, message_count;
};

static void join(struct group *group, struct waiting *member)
{
    group->members[group->count++] = member;
    group->message_count += member->count;
}

/* Takes those who wait with messages, as far as there is room for all that one has. */
static void take_waiting(struct store *store, struct group *group)
{
    pthread_mutex_lock(&store->lock);
    for (struct waiting **place = &store->first;
         *place != NULL && group->message_count < TOGETHER_MAX;) {
        struct waiting *other = *place;
        if (other->count == 0 || other->count > TOGETHER_MAX - group->message_count) {
            place = &other->next;
            continue;
        }
        unlink_waiting(store, place);
        other->state = TAKEN;
        join(group, other);
    }
    pthread_mutex_unlock(&store->lock);
}

/* Hands out the results of its messages, and calls who waits for them. */
static void tell_member(struct waiting *member, const struct backend *backend, const int *results)
{
    bool waits = member->state == TAKEN;
    memcpy(member->results, results, member->count * sizeof *results);
    for (size_t i = 0; i < member->count; i++)
        if (results[i] < 0)
            memcpy(member->error, backend->error, sizeof member->error);
    member->state = DONE;
    if (waits)
        sem_post(&member->called);
}

/* Judges all that they have. Whether the database answered. */
static bool judge_together(struct backend *backend, const struct group *group)
{
    struct store_message *messages[TOGETHER_MAX];
    int results[TOGETHER_MAX];
    size_t count = 0;
    for (size_t i = 0; i < group->count; i++)
        for (size_t j = 0; j < group->members[i]->count; j++)
            messages[count++] = group->members[i]->messages[j];
    backend->operations->judge(backend, messages, results, count);
    const int *next = results;
    for (size_t i = 0; i < group->count; i++) {
        size_t own = group->members[i]->count; /* after it is told, it may be gone */
        tell_member(group->members[i], backend, next);
        next += own;
    }
    return results[0] > 0;
}

static int64_t monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Our own messages and what waits beside them, then what has come meanwhile. To
 * go on costs less than to wake the next one, whose messages are judged all the
 * same; but our caller waits too, so not for long. */
static void lead_group(struct store *store, struct waiting *self)
{
    int64_t until_us = monotonic_us() + LEAD_MAX_US;
    struct group group;
    group.count = group.message_count = 0;
    join(&group, self);
    take_waiting(store, &group);
    for (int round = 1; judge_together(self->backend, &group) && round < ROUNDS_MAX &&
                        monotonic_us() < until_us; round++) {
        group.count = group.message_count = 0;
        take_waiting(store, &group);
        if (group.count == 0)
            break;
    }
}

void store_judge_all(struct store *store, struct store_message *const *messages, int *results_r,
                     size_t count)
{
    struct waiting self = {.messages = messages, .results = results_r, .count = count};
    bool failed = false;
    for (size_t i = 0; i < count; i++)
        results_r[i] = -1;
    if (enter(store, &self) < 0)
        return;
    if (self.state == LEADS) {
        lead_group(store, &self);
        leave(store, self.backend);
    }
    for (size_t i = 0; i < count; i++)
        failed = failed || results_r[i] < 0;
    if (failed)
        memcpy(thread_error, self.error, sizeof thread_error);
}

int store_judge(struct store *store, struct store_message *message)
{
    int result;
    store_judge_all(store, &message, &result, 1);
    return result;
}

/* The other operations go in alone. */
#define ALONE(store, operation)                                                    \
    do {                                                                     \
        struct waiting self = {.count = 0};                                  \
        if (enter(store, &self) < 0)                                         \
            return -1;                                                       \
        struct backend *backend = self.backend;                                       \
        int result = backend->operations->operation;                                        \
        if (result < 0)                                                      \
            memcpy(thread_error, backend->error, sizeof thread_error);          \
        leave(store, backend);                                                  \
        return result;                                                       \
    } while (0)

int store_refund(struct store *store, const char *mailbox, const char *id, int64_t now_ms)
{
    ALONE(store, refund(backend, mailbox, id, now_ms));
}

int store_suspend(struct store *store, const char *mailbox, enum cause cause,
                  const struct durations *durations, const struct action *action,
                  struct suspension *suspension_r)
{
    ALONE(store, suspend(backend, mailbox, cause, durations, action,
                                            suspension_r));
}

int store_lift(struct store *store, const char *mailbox, const struct action *action)
{
    ALONE(store, lift(backend, mailbox, action));
}

int store_reset(struct store *store, const char *mailbox, const struct action *action)
{
    ALONE(store, reset(backend, mailbox, action));
}

int store_adjust(struct store *store, const struct adjustment *adjustment,
                 const struct action *action)
{
    ALONE(store, adjust(backend, adjustment, 1, INT64_MAX, action));
}

int store_adjust_after(struct store *store, const struct adjustment *adjustments, size_t count,
                       int64_t newest, const struct action *action)
{
    assert(count >= 1 && count <= ADJUST_MAX);
    ALONE(store, adjust(backend, adjustments, count, newest, action));
}

int store_adjustments(struct store *store, int64_t after, struct adjustment *adjustments_r,
                      size_t max, size_t *count_r)
{
    ALONE(store, adjustments(backend, after, adjustments_r, max, count_r));
}

int store_account(struct store *store, struct arena *arena, const char *mailbox, int64_t now_ms,
                  struct account *account_r)
{
    ALONE(store, account(backend, arena, mailbox, now_ms, account_r));
}

int store_suspended(struct store *store, const char *after, int64_t now_ms,
                    struct suspended *suspended_r, size_t max, size_t *count_r)
{
    ALONE(store, suspended(backend, after, now_ms, suspended_r, max,
                                              count_r));
}

int store_offences(struct store *store, const char *mailbox, enum cause cause, int64_t now_ms,
                   uint32_t *count_r)
{
    ALONE(store, offences(backend, mailbox, cause, now_ms, count_r));
}

int store_record(struct store *store, struct arena *arena, uint64_t decision, int64_t now_ms,
                 struct record *record_r)
{
    ALONE(store, record(backend, arena, decision, now_ms, record_r));
}

int store_audit(struct store *store, int64_t after, struct audit *audit_r, size_t max,
                size_t *count_r)
{
    ALONE(store, audit(backend, after, audit_r, max, count_r));
}

int store_decisions(struct store *store, struct arena *arena, const char *mailbox,
                    uint64_t before, int64_t now_ms, struct record *records_r, size_t max,
                    size_t *count_r)
{
    ALONE(store, decisions(backend, arena, mailbox, before, now_ms, records_r, max, count_r));
}

int store_history(struct store *store, struct arena *arena, enum subject subject,
                  const char *key, int64_t now_ms, struct history *history_r)
{
    ALONE(store, history(backend, arena, subject, key, now_ms, history_r));
}

int store_audit_newest(struct store *store, const char *subject, int64_t before,
                       struct audit *audit_r, size_t max, size_t *count_r)
{
    ALONE(store, audit_newest(backend, subject, before, audit_r, max, count_r));
}

int store_write_audit(struct store *store, const struct audited *audited)
{
    ALONE(store, write_audit(backend, audited));
}

int store_keep(struct store *store, enum kept_kind kind, const struct kept *kept, int64_t now_ms,
               const struct audited *audited)
{
    ALONE(store, keep(backend, kind, kept, false, NULL, now_ms, audited));
}

int store_keep_new(struct store *store, enum kept_kind kind, const struct kept *kept,
                   int64_t now_ms, const struct audited *audited)
{
    ALONE(store, keep(backend, kind, kept, true, NULL, now_ms, audited));
}

int store_keep_over(struct store *store, enum kept_kind kind, const struct kept *kept,
                    const char *before, int64_t now_ms, const struct audited *audited)
{
    ALONE(store, keep(backend, kind, kept, false, before, now_ms, audited));
}

int store_kept(struct store *store, struct arena *arena, enum kept_kind kind, const char *key,
               int64_t now_ms, struct kept *kept_r)
{
    ALONE(store, kept(backend, arena, kind, key, now_ms, kept_r));
}

int store_forget(struct store *store, enum kept_kind kind, const char *key, int64_t now_ms,
                 const struct audited *audited)
{
    ALONE(store, forget(backend, kind, key, now_ms, audited));
}

int store_kept_list(struct store *store, struct arena *arena, enum kept_kind kind,
                    const char *after, int64_t now_ms, struct kept *kept_r, size_t max,
                    size_t *count_r)
{
    ALONE(store, kept_list(backend, arena, kind, after, now_ms, kept_r, max, count_r));
}

int store_try(struct store *store, const char *key, int64_t now_ms, int64_t span_ms, uint32_t max,
              uint32_t *count_r, int64_t *free_at_r)
{
    ALONE(store, try_once(backend, key, now_ms, span_ms, max, count_r, free_at_r));
}

int store_observe(struct store *store, const struct observations *observations, int64_t now_ms)
{
    ALONE(store, observe(backend, observations, now_ms));
}

int store_senders(struct store *store, enum sender_of of, const char *key, const char *after,
                  int64_t now_ms, struct sender *senders_r, size_t max, size_t *count_r)
{
    ALONE(store, senders(backend, of, key, after, now_ms, senders_r, max, count_r));
}

int store_near(struct store *store, int64_t now_ms, struct near_limit *near_r, size_t max,
               size_t *count_r)
{
    ALONE(store, near(backend, now_ms, near_r, max, count_r));
}

int store_counters(struct store *store, const char *after, struct counter *counters_r, size_t max,
                   size_t *count_r)
{
    ALONE(store, counters(backend, after, counters_r, max, count_r));
}

int store_sweep(struct store *store, int64_t now_ms)
{
    ALONE(store, sweep(backend, now_ms));
}

/* ---- opening ---------------------------------------------------------------- */

int store_examine(struct store *store, bool *made_r)
{
    struct waiting self = {.count = 0};
    if (enter(store, &self) < 0)
        return -1;
    int result = self.backend->operations->examine(self.backend, made_r);
    if (result < 1)
        memcpy(thread_error, self.backend->error, sizeof thread_error);
    leave(store, self.backend);
    return result;
}

static struct backend *open_backend(const struct store_url *url, int timeout_ms, bool may_make)
{
    return url->kind == STORE_SQLITE
               ? backend_sqlite_new(url->path, timeout_ms, may_make)
               : backend_redis_new(url->host, url->port, url->path, url->database, timeout_ms);
}

static int read_url(const char *url, struct store_url *where_r, struct problem *problem)
{
    const char *fault = store_url_read(url, where_r);
    if (fault == NULL)
        return 1;
    bool hidden = store_url_may_hold_password(url);
    return problem_set(problem, 0, "store.url", "\"%.*s%s\" %s; expected " STORE_URL_FORMS,
                       hidden ? (int)store_url_scheme_length(url) : 200, url, hidden ? "…" : "", fault);
}

static int open_store(const char *url, int timeout_ms, bool may_make, struct store **store_r,
                      struct problem *problem)
{
    freed_by(store_url_free) struct store_url where = {0};
    if (!read_url(url, &where, problem))
        return 0;
    struct store *store = xcalloc(1, sizeof *store);
    store->backend_count = where.kind == STORE_SQLITE ? 1 : BACKENDS_MAX;
    for (size_t i = 0; i < store->backend_count; i++)
        store->backends[i] = store->empty[i] = open_backend(&where, timeout_ms, may_make);
    store->empty_count = store->backend_count;
    store->timeout_ms = timeout_ms;
    store->last = &store->first;
    pthread_mutex_init(&store->lock, NULL);
    *store_r = store;
    return 1;
}

int store_open(const char *url, int timeout_ms, struct store **store_r, struct problem *problem)
{
    return open_store(url, timeout_ms, true, store_r, problem);
}

int store_open_existing(const char *url, int timeout_ms, struct store **store_r,
                        struct problem *problem)
{
    return open_store(url, timeout_ms, false, store_r, problem);
}

static int check_redis(const struct store_url *where, int timeout_ms,
                       char error_r[BACKEND_ERROR_SIZE])
{
    bool made;
    struct backend *backend = open_backend(where, timeout_ms, false);
    int answer = backend->operations->examine(backend, &made);
    snprintf(error_r, BACKEND_ERROR_SIZE, "%s", backend->error);
    backend->operations->free(backend);
    return answer;
}

int store_check(const char *url, int timeout_ms, struct problem *problem)
{
    freed_by(store_url_free) struct store_url where = {0};
    char error[BACKEND_ERROR_SIZE] = "";
    if (!read_url(url, &where, problem))
        return 0;
    int answer = where.kind == STORE_SQLITE ? backend_sqlite_check(where.path, timeout_ms, error)
                                            : check_redis(&where, timeout_ms, error);
    if (answer < 1)
        problem_set(problem, 0, "store.url", "%s", error);
    return answer;
}

void store_free(struct store **store)
{
    if (*store == NULL)
        return;
    for (size_t i = 0; i < (*store)->backend_count; i++)
        (*store)->backends[i]->operations->free((*store)->backends[i]);
    pthread_mutex_destroy(&(*store)->lock);
    free(*store);
    *store = NULL;
}

/* ---- what both backends need ------------------------------------------------------ */

void charge_key(const char *mailbox, const char *id, uint8_t key_r[CHARGE_KEY_SIZE])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, CHARGE_KEY_SIZE);
    crypto_generichash_update(&state, (const unsigned char *)mailbox, strlen(mailbox) + 1);
    crypto_generichash_update(&state, (const unsigned char *)id, strlen(id));
    crypto_generichash_final(&state, key_r, CHARGE_KEY_SIZE);
}
