/* The front of the store: a pool of connections with group commit.
 *
 * A backend is one connection to the database, used by one thread at a time. SQLite has one, since
 * it has one writer; Redis has a few, so that the server works while answers travel. A thread that
 * finds no idle backend waits in a queue, first come, first served, until its deadline.
 *
 * Messages are judged in groups. The thread that gets a backend is the leader: it takes the tasks
 * of all threads that wait with some (the members of its group), has the backend judge them
 * together in one transaction or one pipeline, and hands each member its answers. Under load a
 * group shares the cost of one commit or round trip; without load no thread waits for a group to
 * fill. An operation other than judging joins no group: its thread uses a backend alone. */
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

#include "base/clock.h"
#include "base/store_url.h"
#include "store/adjustments.h"
#include "store/audit.h"
#include "store/backend.h"
#include "store/judge.h"
#include "store/kept.h"
#include "store/observations.h"
#include "store/profile_memory.h"
#include "store/records.h"
#include "store/suspensions.h"
#include "store/values.h"

const char *const adjust_kind_names[ADJUST_KIND_COUNT] = {"limit", "extra", "exempt",
                                                             "plan"};
const char *const kept_kind_names[KEPT_KIND_COUNT] = {"staff", "token", "session", "block",
                                                      "tries", "known", "terms", "looked",
                                                      "approval"};

const char *const value_kind_names[VALUE_KIND_COUNT] = {
    [VALUE_CURSOR] = "cursor", [VALUE_OPEN] = "open",     [VALUE_TRACE] = "trace",
    [VALUE_KNOWN] = "known",   [VALUE_DOMAIN] = "domain", [VALUE_REPLY] = "reply",
    [VALUE_FAILURES] = "failures", [VALUE_OUTAGE] = "outage", [VALUE_DAY] = "day",
    [VALUE_BLOCK] = "block",   [VALUE_REACHED] = "reached", [VALUE_COMPLAINTS] = "complaints",
    [VALUE_REPORT] = "report", [VALUE_APPEAL] = "appeal",   [VALUE_SPF] = "spf",
    [VALUE_BLOCKED] = "blocked", [VALUE_ADDED] = "added",
    [VALUE_LOGINS] = "logins", [VALUE_LOGIN_NETWORK] = "loginnetwork",
    [VALUE_LOGIN_NEWS] = "loginnews", [VALUE_RECIPIENT] = "recipient", [VALUE_SITE] = "site",
    [VALUE_PERMISSIONS] = "permissions", [VALUE_IDENTITY] = "identity",
    [VALUE_PROFILE] = "profile",  [VALUE_HELD] = "held",     [VALUE_NOTIFY] = "notify",
    [VALUE_PARKED] = "parked", [VALUE_UNDO] = "undo",     [VALUE_REJECTED] = "rejected"};

/* One group's tasks are at most what one caller may bring. A leader goes on with a next group for
 * LEADER_ROUNDS rounds or LEADER_MAX_US at most. */
enum { GROUP_MAX = JUDGE_MAX, LEADER_ROUNDS = 16, LEADER_MAX_US = 10000, BACKENDS_MAX = 2 };

/* A thread that uses a backend or waits for one: with tasks to be judged, or with none for another
 * operation. While QUEUED the store's lock guards it. The leader that takes it out of the queue
 * owns it until it posts `woken`, and does not touch it after that. */
struct member {
    struct judge_task *tasks;
    size_t count;
    struct member *next; /* in the queue */
    sem_t woken;
    _Atomic enum { QUEUED, IN_GROUP, LEADS, DONE } state;
    struct backend *backend; /* LEADS: the one that it uses */
    char error[BACKEND_ERROR_SIZE];
};

struct store {
    struct backend *backends[BACKENDS_MAX];
    size_t backend_count;
    struct profile_memory *profiles;
    int timeout_ms;
    pthread_mutex_t lock; /* guards what follows */
    struct backend *idle[BACKENDS_MAX];
    size_t idle_count;
    struct member *first, **last; /* the queue */
};

static _Thread_local char thread_error[BACKEND_ERROR_SIZE];

const char *store_error(const struct store *store)
{
    (void)store;
    return thread_error;
}

static int printf_like(1, 2) fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(thread_error, sizeof thread_error, format, arguments);
    va_end(arguments);
    return -1;
}

int store_fail(struct store *store, const char *why)
{
    (void)store;
    return fail("%s", why);
}

/* ---- the queue ----------------------------------------------------------------- */

/* The thread sanitizer of Debian 12 does not know sem_clockwait, and reports races that do not
 * exist; sem_timedwait differs from it only when the clock is set. */
#ifdef __SANITIZE_THREAD__
#define sem_clockwait(woken, clock, deadline) sem_timedwait(woken, deadline)
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

/* Takes the member at *place out of the queue. */
static void unqueue(struct store *store, struct member **place)
{
    struct member *gone = *place;
    *place = gone->next;
    if (store->last == &gone->next)
        store->last = place;
}

/* At the deadline: true, out of the queue; false when a leader took us or a backend is ours. */
static bool gives_up(struct store *store, struct member *self)
{
    pthread_mutex_lock(&store->lock);
    bool queued = self->state == QUEUED;
    if (queued) {
        struct member **place = &store->first;
        while (*place != self)
            place = &(*place)->next;
        unqueue(store, place);
    }
    pthread_mutex_unlock(&store->lock);
    return queued;
}

/* 1 woken, 0 not before the deadline. */
static int wait_until(sem_t *woken, const struct timespec *deadline)
{
    int result;
    while ((result = sem_clockwait(woken, WAIT_CLOCK, deadline)) != 0 && errno == EINTR)
        ;
    return result == 0;
}

static void wait_woken(sem_t *woken)
{
    while (sem_wait(woken) != 0 && errno == EINTR)
        ;
}

/* Gets a backend or joins a group: 1 with self->state LEADS (the caller uses self->backend, then
 * calls leave) or DONE (a leader had our tasks judged). -1 at the deadline, nothing done. */
static int enter(struct store *store, struct member *self)
{
    pthread_mutex_lock(&store->lock);
    if (store->idle_count > 0) {
        self->backend = store->idle[--store->idle_count];
        self->state = LEADS;
        pthread_mutex_unlock(&store->lock);
        return 1;
    }
    sem_init(&self->woken, 0, 0);
    *store->last = self;
    store->last = &self->next;
    pthread_mutex_unlock(&store->lock);

    struct timespec deadline = deadline_in(store->timeout_ms);
    bool woken = wait_until(&self->woken, &deadline);
    bool gave_up = !woken && gives_up(store, self);
    if (!woken && !gave_up) /* taken at the last moment; the backend's timeout bounds it */
        wait_woken(&self->woken);
    sem_destroy(&self->woken);
    if (gave_up)
        snprintf(thread_error, sizeof thread_error, "the store was busy for %d ms",
                 store->timeout_ms);
    return gave_up ? -1 : 1;
}

/* The queue's first thread has the backend next; without one it is idle. */
static void leave(struct store *store, struct backend *backend)
{
    pthread_mutex_lock(&store->lock);
    struct member *next = store->first;
    if (next != NULL) {
        unqueue(store, &store->first);
        next->state = LEADS;
        next->backend = backend;
    } else {
        store->idle[store->idle_count++] = backend;
    }
    pthread_mutex_unlock(&store->lock);
    if (next != NULL)
        sem_post(&next->woken);
}

/* ---- group commit ---------------------------------------------------------------- */

struct group {
    struct member *members[GROUP_MAX];
    size_t count, task_count;
};

static void join(struct group *group, struct member *member)
{
    group->members[group->count++] = member;
    group->task_count += member->count;
}

/* Takes members with tasks from the queue, each with all its tasks, while the group has room. */
static void gather(struct store *store, struct group *group)
{
    pthread_mutex_lock(&store->lock);
    for (struct member **place = &store->first;
         *place != NULL && group->task_count < GROUP_MAX;) {
        struct member *member = *place;
        if (member->count == 0 || member->count > GROUP_MAX - group->task_count) {
            place = &member->next;
            continue;
        }
        unqueue(store, place);
        member->state = IN_GROUP;
        join(group, member);
    }
    pthread_mutex_unlock(&store->lock);
}

/* Hands the member the answers to its tasks, and wakes it. */
static void answer_member(struct member *member, const struct backend *backend,
                          const struct judge_task *answered)
{
    bool waits = member->state == IN_GROUP;
    for (size_t i = 0; i < member->count; i++) {
        member->tasks[i].answer = answered[i].answer;
        if (answered[i].answer < 0)
            memcpy(member->error, backend->error, sizeof member->error);
    }
    member->state = DONE;
    if (waits)
        sem_post(&member->woken);
}

/* Judges the tasks of all members. Whether the database answered. */
static bool commit_group(struct backend *backend, const struct group *group)
{
    struct judge_task tasks[GROUP_MAX];
    size_t count = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct member *member = group->members[i];
        memcpy(tasks + count, member->tasks, member->count * sizeof *tasks);
        count += member->count;
    }
    backend->operations->judge->judge(backend, tasks, count);
    const struct judge_task *next = tasks;
    for (size_t i = 0; i < group->count; i++) {
        size_t own = group->members[i]->count; /* a member that was woken may be gone */
        answer_member(group->members[i], backend, next);
        next += own;
    }
    return tasks[0].answer > 0;
}

/* The leader's own tasks and those that wait beside them, then groups of those that came
 * meanwhile: that costs less than to wake the next leader. But the leader's caller waits too, so
 * not for long. */
static void lead(struct store *store, struct member *self)
{
    int64_t until_us = clock_monotonic_us() + LEADER_MAX_US;
    struct group group;
    group.count = group.task_count = 0;
    join(&group, self);
    gather(store, &group);
    for (int round = 1; commit_group(self->backend, &group) && round < LEADER_ROUNDS &&
                        clock_monotonic_us() < until_us; round++) {
        group.count = group.task_count = 0;
        gather(store, &group);
        if (group.count == 0)
            break;
    }
}

static void begin_task(const struct store *store, struct judge_task *task)
{
    const struct judge_request *request = task->request;
    struct judge_result *result = task->result_r;
    task->answer = -1;
    result->window_count = request->window_count;
    result->over = NULL;
    result->over_count = 0;
    result->of_recipient = (struct history){0};
    result->usual_in = profile_memory_look(store->profiles, request);
    result->profile = (struct profile_told){0};
    for (size_t i = 0; i < request->window_count && i < OVER_TIME_COUNT; i++)
        result->windows[i] = (struct outcome_window){.rule = request->windows[i].rule,
                                                     .limit = request->windows[i].limit,
                                                     .suspends = request->windows[i].suspends};
}

void store_judge_all(struct store *store, struct judge_task *tasks, size_t count)
{
    struct member self = {.tasks = tasks, .count = count};
    bool failed = false;
    assert(count >= 1 && count <= JUDGE_MAX);
    for (size_t i = 0; i < count; i++)
        begin_task(store, &tasks[i]);
    if (enter(store, &self) < 0)
        return;
    if (self.state == LEADS) {
        lead(store, &self);
        leave(store, self.backend);
    }
    for (size_t i = 0; i < count; i++) {
        failed = failed || tasks[i].answer < 0;
        if (tasks[i].answer > 0 && !tasks[i].request->dry_run)
            profile_memory_learn(store->profiles, tasks[i].request, &tasks[i].result_r->profile);
    }
    if (failed)
        memcpy(thread_error, self.error, sizeof thread_error);
}

int store_judge(struct store *store, const struct judge_request *request,
                struct judge_result *result_r)
{
    struct judge_task task = {.request = request, .result_r = result_r};
    store_judge_all(store, &task, 1);
    return task.answer;
}

/* ---- the other operations -------------------------------------------------------- */

/* Gives the backend back. Returns the result; of -1 the thread remembers why. */
static int leave_with(struct store *store, struct backend *backend, int result)
{
    if (result < 0)
        memcpy(thread_error, backend->error, sizeof thread_error);
    leave(store, backend);
    return result;
}

/* Returns what the backend's operation does: ALONE(store, TABLE->NAME, ARGUMENTS…). */
#define ALONE(store, operation, ...)                                                        \
    do {                                                                                    \
        struct member self = {.count = 0};                                                  \
        if (enter(store, &self) < 0)                                                        \
            return -1;                                                                      \
        const struct backend_operations *operations = self.backend->operations;             \
        return leave_with(store, self.backend, operations->operation(self.backend, __VA_ARGS__)); \
    } while (0)

int store_refund(struct store *store, const char *mailbox, const char *id, int64_t now_ms)
{
    ALONE(store, judge->refund, mailbox, id, now_ms);
}

int store_suspend(struct store *store, const char *mailbox, enum cause cause,
                  const struct durations *durations, const struct action *action,
                  struct suspension *suspension_r)
{
    ALONE(store, suspensions->suspend, mailbox, cause, durations, action, suspension_r);
}

int store_lift(struct store *store, const char *mailbox, enum cause cause,
               const struct action *action)
{
    ALONE(store, suspensions->lift, mailbox, cause, action);
}

int store_unlift(struct store *store, enum cause cause, int64_t id, int64_t newest,
                 const struct audited *audited, enum unlift *why_r)
{
    ALONE(store, suspensions->unlift, cause, id, newest, audited, why_r);
}

int store_reset(struct store *store, const char *name, const struct action *action)
{
    ALONE(store, records->reset, name, action);
}

int store_adjust(struct store *store, const struct adjustment *adjustment,
                 const struct action *action)
{
    ALONE(store, adjustments->adjust, adjustment, 1, INT64_MAX, action, NULL);
}

int store_adjust_after(struct store *store, const struct adjustment *adjustments, size_t count,
                       int64_t newest, const struct action *action)
{
    assert(count >= 1 && count <= ADJUST_MAX);
    ALONE(store, adjustments->adjust, adjustments, count, newest, action, NULL);
}

int store_adjust_back(struct store *store, const struct adjustment *adjustments, size_t count,
                      int64_t newest, const struct audited *audited)
{
    assert(count >= 1 && count <= ADJUST_MAX);
    ALONE(store, adjustments->adjust, adjustments, count, newest, audited->action, audited);
}

int store_adjustments(struct store *store, int64_t after, struct adjustment *adjustments_r,
                      struct store_page *page)
{
    ALONE(store, adjustments->adjustments, after, adjustments_r, page);
}

int store_account(struct store *store, struct arena *arena, const char *mailbox, int64_t now_ms,
                  struct account *account_r)
{
    ALONE(store, records->account, arena, mailbox, now_ms, account_r);
}

int store_suspended(struct store *store, const char *after, int64_t now_ms,
                    struct suspended *suspended_r, struct store_page *page)
{
    ALONE(store, suspensions->suspended, after, now_ms, suspended_r, page);
}

int store_offences(struct store *store, const char *mailbox, enum cause cause, int64_t now_ms,
                   uint32_t *count_r)
{
    ALONE(store, suspensions->offences, mailbox, cause, now_ms, count_r);
}

int store_record(struct store *store, struct arena *arena, uint64_t decision, int64_t now_ms,
                 struct record *record_r)
{
    ALONE(store, records->record, arena, decision, now_ms, record_r);
}

int store_audit(struct store *store, int64_t after, struct audit *audit_r,
                struct store_page *page)
{
    ALONE(store, audit->audit, after, audit_r, page);
}

int store_decisions(struct store *store, struct arena *arena, const char *mailbox,
                    uint64_t before, int64_t now_ms, struct record *records_r,
                    struct store_page *page)
{
    ALONE(store, records->decisions, arena, mailbox, before, now_ms, records_r, page);
}

int store_passed(struct store *store, struct arena *arena, uint64_t after, int64_t now_ms,
                 struct record *records_r, struct store_page *page)
{
    ALONE(store, records->passed, arena, after, now_ms, records_r, page);
}

int store_history(struct store *store, struct arena *arena, enum subject subject,
                  const char *key, int64_t now_ms, struct history *history_r)
{
    ALONE(store, records->history, arena, subject, key, now_ms, history_r);
}

int store_audit_newest(struct store *store, const char *subject, int64_t before,
                       struct audit *audit_r, struct store_page *page)
{
    ALONE(store, audit->audit_newest, subject, before, audit_r, page);
}

int store_write_audit(struct store *store, const struct audited *audited)
{
    ALONE(store, audit->write_audit, audited);
}

int store_keep(struct store *store, enum kept_kind kind, const struct kept *kept, int64_t now_ms,
               const struct audited *audited)
{
    ALONE(store, kept->keep, kind, kept, KEEP_ANY, NULL, now_ms, audited);
}

int store_keep_new(struct store *store, enum kept_kind kind, const struct kept *kept,
                   int64_t now_ms, const struct audited *audited)
{
    ALONE(store, kept->keep, kind, kept, KEEP_NEW, NULL, now_ms, audited);
}

int store_keep_over(struct store *store, enum kept_kind kind, const struct kept *kept,
                    const char *before, int64_t now_ms, const struct audited *audited)
{
    ALONE(store, kept->keep, kind, kept, KEEP_OVER, before, now_ms, audited);
}

int store_kept(struct store *store, struct arena *arena, enum kept_kind kind, const char *key,
               int64_t now_ms, struct kept *kept_r)
{
    ALONE(store, kept->read, arena, kind, key, now_ms, kept_r);
}

int store_forget(struct store *store, enum kept_kind kind, const char *key, int64_t now_ms,
                 const struct audited *audited)
{
    ALONE(store, kept->forget, kind, key, now_ms, audited);
}

int store_kept_list(struct store *store, struct arena *arena, enum kept_kind kind,
                    const char *after, int64_t now_ms, struct kept *kept_r,
                    struct store_page *page)
{
    ALONE(store, kept->list, arena, kind, after, now_ms, kept_r, page);
}

int store_try(struct store *store, const char *key, int64_t now_ms, int64_t span_ms, uint32_t max,
              uint32_t *count_r, int64_t *free_at_r)
{
    ALONE(store, kept->try_once, key, now_ms, span_ms, max, count_r, free_at_r);
}

/* ---- values ---- */

static int check_key(const struct value *value)
{
    size_t length = strlen(value->key);
    assert((int)value->kind >= 0 && value->kind < VALUE_KIND_COUNT);
    if (length >= 1 && length <= VALUE_KEY_MAX)
        return 1;
    return fail("the key of a value has %zu bytes; expected 1 to %d", length, VALUE_KEY_MAX);
}

static int compare_places(const void *one, const void *other)
{
    const struct value *a = *(const struct value *const *)one;
    const struct value *b = *(const struct value *const *)other;
    return a->kind != b->kind ? (a->kind > b->kind) - (a->kind < b->kind) : strcmp(a->key, b->key);
}

/* A change of a value that another one of the step makes could not see it. */
static int check_each_once(const struct values_step *step)
{
    const struct value *places[VALUES_AT_ONCE];
    for (size_t i = 0; i < step->count; i++)
        places[i] = &step->changes[i].value;
    if (step->count > 0)
        qsort(places, step->count, sizeof places[0], compare_places);
    for (size_t i = 1; i < step->count; i++)
        if (compare_places(&places[i - 1], &places[i]) == 0)
            return fail("a step changes the value %s %s twice; expected once",
                        value_kind_names[places[i]->kind], places[i]->key);
    return 1;
}

bool store_values_listed(enum value_kind kind)
{
    return kind == VALUE_CURSOR || kind == VALUE_OPEN || kind == VALUE_OUTAGE ||
           kind == VALUE_BLOCK || kind == VALUE_COMPLAINTS || kind == VALUE_REPORT ||
           kind == VALUE_APPEAL || kind == VALUE_SPF || kind == VALUE_BLOCKED ||
           kind == VALUE_ADDED || kind == VALUE_LOGINS || kind == VALUE_LOGIN_NETWORK ||
           kind == VALUE_HELD || kind == VALUE_PARKED;
}

static int check_step(const struct values_step *step)
{
    size_t bytes = 0;
    if (step->count > VALUES_AT_ONCE || step->refund_count > VALUES_REFUNDS_MAX)
        return fail("a step has %zu changes and %zu refunds; expected at most %d and %d",
                    step->count, step->refund_count, VALUES_AT_ONCE, VALUES_REFUNDS_MAX);
    if (step->suspension_count > VALUES_SUSPENSIONS_MAX ||
        step->audited_count > VALUES_AUDITED_MAX)
        return fail("a step has %zu suspensions and %zu entries of the audit log; expected at most "
                    "%d and %d", step->suspension_count, step->audited_count,
                    VALUES_SUSPENSIONS_MAX, VALUES_AUDITED_MAX);
    for (size_t i = 0; i < step->count; i++) {
        const struct value *value = &step->changes[i].value;
        if (check_key(value) < 0)
            return -1;
        if (value->length > VALUE_MAX_BYTES)
            return fail("a value has %zu bytes; expected at most %d", value->length,
                        VALUE_MAX_BYTES);
        bytes += value->length;
    }
    if (bytes > VALUES_STEP_MAX_BYTES)
        return fail("the values of a step have %zu bytes; expected at most %d", bytes,
                    VALUES_STEP_MAX_BYTES);
    return check_each_once(step);
}

static void free_done(struct values_done **done) { free(*done); }

int store_values_change(struct store *store, const struct values_step *step,
                        struct values_done *done_r)
{
    freed_by(free_done) struct values_done *unwanted = NULL;
    if (done_r == NULL)
        done_r = unwanted = xcalloc(1, sizeof *unwanted);
    if (check_step(step) < 0)
        return -1;
    ALONE(store, values->change, step, 1 + randombytes_uniform(VALUE_ANY - 1), done_r);
}

int store_values_get(struct store *store, struct arena *arena, struct value *values, size_t count,
                     int64_t now_ms)
{
    if (count > VALUES_AT_ONCE)
        return fail("%zu values are read at once; expected at most %d", count,
                    VALUES_AT_ONCE);
    for (size_t i = 0; i < count; i++)
        if (check_key(&values[i]) < 0)
            return -1;
    ALONE(store, values->get, arena, values, count, now_ms);
}

int store_value(struct store *store, struct arena *arena, enum value_kind kind, const char *key,
                int64_t now_ms, struct value *value_r)
{
    struct value value = {.kind = kind, .key = key};
    int result = store_values_get(store, arena, &value, 1, now_ms);
    if (result < 1 || value.version == 0)
        return result < 0 ? -1 : 0;
    value.key = arena_strdup(arena, key);
    *value_r = value;
    return 1;
}

int store_values(struct store *store, struct arena *arena, enum value_kind kind, const char *after,
                 int64_t now_ms, struct value *values_r, struct store_page *page)
{
    assert(store_values_listed(kind));
    ALONE(store, values->list, arena, kind, after, now_ms, values_r, page);
}

int store_observe(struct store *store, const struct observations *observations, int64_t now_ms)
{
    ALONE(store, observations->observe, observations, now_ms);
}

int store_senders(struct store *store, enum sender_of of, const char *key, const char *after,
                  int64_t now_ms, struct sender *senders_r, struct store_page *page)
{
    ALONE(store, observations->senders, of, key, after, now_ms, senders_r, page);
}

int store_near(struct store *store, int64_t now_ms, struct near_limit *near_r,
               struct store_page *page)
{
    ALONE(store, observations->near, now_ms, near_r, page);
}

int store_counters(struct store *store, const char *after, struct counter *counters_r,
                   struct store_page *page)
{
    ALONE(store, observations->counters, after, counters_r, page);
}

int store_sweep(struct store *store, int64_t now_ms)
{
    ALONE(store, sweep, now_ms);
}

/* Not ALONE: of a file nobody asks. */
int store_server(struct store *store, struct store_server *server_r)
{
    struct member self = {.count = 0};
    if (enter(store, &self) < 0)
        return -1;
    const struct backend_operations *operations = self.backend->operations;
    return leave_with(store, self.backend,
                      operations->server != NULL ? operations->server(self.backend, server_r) : 0);
}

/* ---- opening ---------------------------------------------------------------- */

int store_examine(struct store *store, bool *made_r)
{
    struct member self = {.count = 0};
    if (enter(store, &self) < 0)
        return -1;
    int result = self.backend->operations->examine(self.backend, made_r);
    if (result < 1)
        memcpy(thread_error, self.backend->error, sizeof thread_error);
    leave(store, self.backend);
    return result;
}

/* The database's place, which has to take the options: 1, or 0 with *problem. */
static int read_place(const char *url, const struct store_options *options,
                      struct store_url *where_r, struct problem *problem)
{
    if (!backend_read_url(url, where_r, problem))
        return 0;
    if (where_r->kind != STORE_SQLITE && options->full_durability)
        return problem_set(problem, 0, "store.durability",
                           "expected normal with Redis, found full: store.replicas, and "
                           "appendfsync of redis-server, say what survives there");
    if (where_r->kind == STORE_SQLITE && options->replicas > 0)
        return problem_set(problem, 0, "store.replicas",
                           "expected 0 with SQLite, found %d: its file has no replicas",
                           options->replicas);
    return 1;
}

static int open_store(const char *url, const struct store_options *options, bool may_make,
                      struct store **store_r, struct problem *problem)
{
    freed_by(store_url_free) struct store_url where = {0};
    if (!read_place(url, options, &where, problem))
        return 0;
    struct store *store = xcalloc(1, sizeof *store);
    store->backend_count = where.kind == STORE_SQLITE ? 1 : BACKENDS_MAX;
    for (size_t i = 0; i < store->backend_count; i++)
        store->backends[i] = store->idle[i] = backend_new(&where, options, may_make);
    store->idle_count = store->backend_count;
    store->profiles = profile_memory_new();
    store->timeout_ms = options->timeout_ms;
    store->last = &store->first;
    pthread_mutex_init(&store->lock, NULL);
    *store_r = store;
    return 1;
}

int store_open(const char *url, const struct store_options *options, struct store **store_r,
               struct problem *problem)
{
    return open_store(url, options, true, store_r, problem);
}

int store_open_existing(const char *url, const struct store_options *options,
                        struct store **store_r, struct problem *problem)
{
    return open_store(url, options, false, store_r, problem);
}

static int check_redis(const struct store_url *where, const struct store_options *options,
                       char error_r[BACKEND_ERROR_SIZE])
{
    bool made;
    struct backend *backend = backend_new(where, options, false);
    int answer = backend->operations->examine(backend, &made);
    snprintf(error_r, BACKEND_ERROR_SIZE, "%s", backend->error);
    backend->operations->free(backend);
    return answer;
}

int store_check(const char *url, const struct store_options *options, struct problem *problem)
{
    freed_by(store_url_free) struct store_url where = {0};
    char error[BACKEND_ERROR_SIZE] = "";
    if (!read_place(url, options, &where, problem))
        return 0;
    int answer = where.kind == STORE_SQLITE ? sqlite_backend_check(where.path, options, error)
                                            : check_redis(&where, options, error);
    problem_set(problem, 0, "store.url", "%s", error);
    return answer;
}

int store_check_earlier(const char *url, const struct store_options *options,
                        struct problem *problem)
{
    freed_by(store_url_free) struct store_url where = {0};
    char error[BACKEND_ERROR_SIZE];
    if (!read_place(url, options, &where, problem))
        return 0;
    if (where.kind != STORE_SQLITE || sqlite_backend_check_earlier(where.path, options, error) > 0)
        return 1;
    return problem_set(problem, 0, "store.url", "%s", error);
}

void store_free(struct store **store)
{
    if (*store == NULL)
        return;
    for (size_t i = 0; i < (*store)->backend_count; i++)
        (*store)->backends[i]->operations->free((*store)->backends[i]);
    profile_memory_free(&(*store)->profiles);
    pthread_mutex_destroy(&(*store)->lock);
    free(*store);
    *store = NULL;
}
