/* Redis with replicas: what was answered is on so many of them as the store was told; where they do
 * not acknowledge, the answer is "don't know", and nothing counts twice. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/adjustments.h"
#include "store/kept.h"
#include "store/observations.h"
#include "store/records.h"
#include "store/suspensions.h"
#include "store/values.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"
#define BOB "bob@example.test"
#define CAROL "carol@example.test"

enum { REPLICAS = 2, TIMEOUT_MS = 400, THREADS = 4, BATCH = 8 };

/* ---- a server and its replicas ----------------------------------------------------- */

static struct redis_server server, replicas[REPLICAS];
static char folders[1 + REPLICAS][FOLDER_SIZE];
static char port[16];

static struct store *open_with(const char *url, int timeout_ms, int replica_count)
{
    struct store *opened = NULL;
    struct problem problem;
    const struct store_options options = {.timeout_ms = timeout_ms, .replicas = replica_count};
    ck_assert_msg(store_open(url, &options, &opened, &problem) == 1, "%s", problem.text);
    return opened;
}

static void start_servers(void)
{
    for (int i = 0; i < 1 + REPLICAS; i++)
        folder_make(folders[i]);
    snprintf(port, sizeof port, "%d", free_port());
    redis_server_start(&server, folders[0], "--port", port);
    /* it looks so often whether a wait is over: more of TIMEOUT_MS is left for a busy machine */
    redis_server_ask(&server, (const char *const[]){"CONFIG", "SET", "hz", "100"}, 4);
    for (int i = 0; i < REPLICAS; i++) {
        redis_server_start(&replicas[i], folders[1 + i], NULL, NULL);
        redis_server_follow(&replicas[i], 1 + i, &server, port);
    }
    arena = arena_new();
    store = open_with(server.url, TEST_TIMEOUT_MS, REPLICAS);
}

static void stop_servers(void)
{
    store_free(&store);
    arena_free(&arena);
    redis_server_stop(&server);
    for (int i = 0; i < REPLICAS; i++)
        redis_server_stop(&replicas[i]);
    for (int i = 0; i < 1 + REPLICAS; i++)
        folder_remove(folders[i]);
}

/* As another program sees it. */
static struct account account_at(const char *url, const char *mailbox)
{
    struct account account;
    struct store *other = open_with(url, TEST_TIMEOUT_MS, 0);
    ck_assert_msg(store_account(other, arena, mailbox, NOW + 1, &account) == 1, "%s",
                  store_error(other));
    store_free(&other);
    return account;
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- one operation each --------------------------------------------------------------- */

static int act_judge(void)
{
    struct message message = message_of(ALICE, "judged", NOW);
    return store_judge(store, &message.request, &message.result);
}

static int act_refund(void) { return store_refund(store, BOB, "sent-0", NOW); }

static int act_suspend(void)
{
    struct suspension suspension;
    const struct durations durations = {.count = 1, .ms = {DAY_MS}};
    const struct action action = action_at(NOW);
    return store_suspend(store, ALICE, CAUSE_STAFF, &durations, &action, &suspension);
}

static int act_lift(void)
{
    const struct action action = action_at(NOW);
    return store_lift(store, CAROL, CAUSE_STAFF, &action);
}

static int act_reset(void)
{
    const struct action action = action_at(NOW);
    return store_reset(store, CAROL, &action);
}

static int act_adjust(void)
{
    const struct action action = action_at(NOW);
    const struct adjustment adjustment = {.subject = ALICE, .rule = RULE_MESSAGES_PER_DAY,
                                          .kind = ADJUST_EXTRA, .value = 5,
                                          .until_ms = NOW + DAY_MS};
    return store_adjust(store, &adjustment, &action);
}

static int act_keep(void)
{
    const struct kept kept = {.key = "agnes", .value = "account", .until_ms = NOW + DAY_MS};
    return store_keep_new(store, KEPT_STAFF, &kept, NOW, NULL);
}

static int act_forget(void) { return store_forget(store, KEPT_STAFF, "former", NOW, NULL); }

static int act_write_audit(void)
{
    const struct action action = action_at(NOW);
    return store_write_audit(store, &(struct audited){.name = "note", .subject = ALICE,
                                                      .detail = "{}", .action = &action});
}

static int act_change(void)
{
    static struct values_done done;
    const struct value_change change = {
        .value = {.kind = VALUE_CURSOR, .key = "log", .bytes = "1", .length = 1,
                  .until_ms = NOW + DAY_MS},
        .replaces = 0};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = NOW};
    return store_values_change(store, &step, &done);
}

/* What an operation answers at first, and when it was done already. */
static const struct {
    const char *name;
    int (*act)(void);
    int again;
} acts[] = {
    {"judge", act_judge, 1},   {"refund", act_refund, 0}, {"suspend", act_suspend, 1},
    {"lift", act_lift, 0},     {"reset", act_reset, 1},   {"adjust", act_adjust, 1},
    {"keep", act_keep, 0},     {"forget", act_forget, 0}, {"write_audit", act_write_audit, 1},
    {"change", act_change, 0},
};

/* What the acts need. */
static void prepare(void)
{
    struct suspension suspension;
    const struct durations durations = {.count = 1, .ms = {DAY_MS}};
    const struct action action = action_at(NOW);
    const struct kept kept = {.key = "former", .value = "account", .until_ms = NOW + DAY_MS};
    send_messages(BOB, "sent", 2, NOW, 0);
    send_messages(CAROL, "sent", 1, NOW, 0);
    ck_assert_int_eq(store_suspend(store, CAROL, CAUSE_STAFF, &durations, &action, &suspension), 1);
    ck_assert_int_eq(store_keep_new(store, KEPT_STAFF, &kept, NOW, NULL), 1);
}

/* All acts took effect, each once (write_audit as often as it was asked for). */
static void assert_done(const char *url)
{
    const struct account alice = account_at(url, ALICE), carol = account_at(url, CAROL);
    ck_assert_uint_eq(alice.history.count, 1);
    ck_assert_int_ne(alice.suspensions.of[0].id, 0);
    ck_assert_uint_eq(account_at(url, BOB).history.count, 1);
    ck_assert_uint_eq(carol.history.count, 0);
    ck_assert_int_eq(carol.suspensions.of[0].id, 0);
    struct value value;
    struct store *other = open_with(url, TEST_TIMEOUT_MS, 0);
    ck_assert_int_eq(store_value(other, arena, VALUE_CURSOR, "log", NOW, &value), 1);
    store_free(&other);
}

START_TEST(test_answered_is_there)
{
    prepare();
    for (size_t i = 0; i < countof(acts); i++)
        ck_assert_msg(acts[i].act() == 1, "%s: %s", acts[i].name, store_error(store));
    for (int i = 0; i < REPLICAS; i++)
        assert_done(replicas[i].url);
}
END_TEST

/* ---- a replica that says nothing -------------------------------------------------------- */

/* On a busy machine the server itself may be too late; then it is asked again. */
static void assert_unknown(int (*act)(void), const char *name)
{
    int tries = 0;
    do {
        int64_t began_ms = monotonic_ms();
        int answer = act();
        int64_t took_ms = monotonic_ms() - began_ms;
        ck_assert_msg(answer == -1, "%s: %d", name, answer);
        ck_assert_msg(took_ms < 10 * TIMEOUT_MS, "%s took %d ms", name, (int)took_ms);
        ck_assert_msg(tries++ < 20, "%s: \"%s\"", name, store_error(store));
    } while (strstr(store_error(store), "1 of 2 replicas") == NULL);
}

/* Twice: an operation that finds all done changes nothing, and still rests on what was done. */
START_TEST(test_stopped)
{
    prepare();
    store_free(&store);
    store = open_with(server.url, TIMEOUT_MS, REPLICAS);
    redis_server_freeze(&replicas[1]);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < countof(acts); i++)
            assert_unknown(acts[i].act, acts[i].name);
    assert_done(server.url);
    redis_server_thaw(&replicas[1]);
    store_free(&store);
    store = open_with(server.url, TEST_TIMEOUT_MS, REPLICAS);
    for (size_t i = 0; i < countof(acts); i++)
        ck_assert_msg(acts[i].act() == acts[i].again, "%s: %s", acts[i].name, store_error(store));
    assert_done(replicas[1].url);
    struct message again = message_of(ALICE, "judged", NOW);
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
}
END_TEST

/* What changes nothing, and what is only observed, waits for no replica. */
START_TEST(test_stopped_and_asked)
{
    struct message message = message_of(ALICE, "forecast", NOW);
    struct account account;
    const struct counter counter = {.name = "messages", .value = 1};
    const struct observations observations = {.counters = &counter, .counter_count = 1};
    prepare();
    redis_server_freeze(&replicas[0]);
    redis_server_freeze(&replicas[1]);
    message.request.dry_run = true;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_int_eq(store_account(store, arena, BOB, NOW, &account), 1);
    ck_assert_int_eq(store_observe(store, &observations, NOW), 1);
    redis_server_thaw(&replicas[0]);
    redis_server_thaw(&replicas[1]);
}
END_TEST

START_TEST(test_batch)
{
    struct message messages[BATCH];
    int answers[BATCH];
    store_free(&store);
    store = open_with(server.url, TIMEOUT_MS, REPLICAS);
    for (int i = 0; i < BATCH; i++)
        messages[i] = message_of(ALICE, arena_printf(arena, "%d", i), NOW);
    messages[3].request.dry_run = true;
    redis_server_freeze(&replicas[1]);
    do { /* again where a busy server answered too late */
        judge_all(store, messages, answers, BATCH);
        for (int i = 0; i < BATCH; i++)
            ck_assert(i == 3 || answers[i] == -1);
    } while (answers[3] != 1);
    redis_server_thaw(&replicas[1]);
    store_free(&store);
    store = open_with(server.url, TEST_TIMEOUT_MS, REPLICAS);
    judge_all(store, messages, answers, BATCH);
    for (int i = 0; i < BATCH; i++) {
        ck_assert_int_eq(answers[i], 1);
        ck_assert_int_eq(messages[i].result.outcome, i == 3 ? OUTCOME_ADMITTED : OUTCOME_REPEATED);
    }
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), BATCH - 1);
}
END_TEST

/* A server that is told so itself refuses what changes something, before it counts. */
START_TEST(test_server_refuses)
{
    struct message message = message_of(ALICE, "a", NOW);
    redis_server_ask(&server, (const char *const[]){"CONFIG", "SET", "min-replicas-to-write", "3"},
                     4);
    ck_assert_int_eq(store_judge(store, &message.request, &message.result), -1);
    ck_assert_msg(strstr(store_error(store), "NOREPLICAS") != NULL, "%s", store_error(store));
    ck_assert_uint_eq(account_at(server.url, ALICE).history.count, 0);
    redis_server_ask(&server, (const char *const[]){"CONFIG", "SET", "min-replicas-to-write", "2"},
                     4);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
}
END_TEST

/* A server that has forgotten the scripts is given them again. */
START_TEST(test_without_scripts)
{
    send_messages(ALICE, "a", 1, NOW, 0);
    redis_server_ask(&server, (const char *const[]){"SCRIPT", "FLUSH"}, 2);
    send_messages(ALICE, "b", 1, NOW, 0);
    redis_server_ask(&server, (const char *const[]){"SCRIPT", "FLUSH"}, 2);
    ck_assert_int_eq(store_refund(store, ALICE, "a-0", NOW), 1);
    ck_assert_uint_eq(account_at(replicas[1].url, ALICE).history.count, 1);
}
END_TEST

/* ---- failover ------------------------------------------------------------------------------ */

static void follow_nobody(const struct redis_server *replica)
{
    redis_server_ask(replica, (const char *const[]){"REPLICAOF", "127.0.0.1", "1"}, 3);
}

static void promote(const struct redis_server *replica)
{
    redis_server_ask(replica, (const char *const[]){"REPLICAOF", "NO", "ONE"}, 3);
}

/* What the next test looks for is found where nobody waits for a replica. */
START_TEST(test_failover_without)
{
    send_messages(ALICE, "a", 1, NOW, 0);
    store_free(&store);
    store = open_with(server.url, TEST_TIMEOUT_MS, 0);
    follow_nobody(&replicas[0]);
    send_messages(ALICE, "b", 1, NOW, 0);
    redis_server_stop(&server);
    promote(&replicas[0]);
    ck_assert_uint_eq(account_at(replicas[0].url, ALICE).history.count, 1);
}
END_TEST

struct load {
    pthread_t thread;
    int number;
    bool *answered; /* by message */
};
enum { SENT_MAX = 4000 };
static _Atomic int answered_in_all, unknown_in_all;
static _Atomic bool no_server;

/* Until there is no answer any longer, and no server. */
static void *send_until_end(void *context)
{
    struct load *self = context;
    struct arena *own = arena_new();
    for (int i = 0; i < SENT_MAX; i++) {
        struct message message = message_of(
            arena_printf(own, "user-%d-%d@example.test", self->number, i % 20),
            arena_printf(own, "%d", i), NOW + i);
        message.request.arena = own;
        message.request.ip = NULL;
        self->answered[i] = store_judge(store, &message.request, &message.result) == 1;
        atomic_fetch_add(self->answered[i] ? &answered_in_all : &unknown_in_all, 1);
        if (!self->answered[i] && no_server)
            break;
        arena_reset(own);
    }
    arena_free(&own);
    return NULL;
}

static void await(const _Atomic int *number, int count)
{
    while (*number < count)
        sched_yield();
}

static void assert_all_known(const struct load *sender)
{
    for (int i = 0; i < SENT_MAX; i++) {
        struct message message = message_of(
            arena_printf(arena, "user-%d-%d@example.test", sender->number, i % 20),
            arena_printf(arena, "%d", i), NOW + i);
        message.request.ip = NULL;
        message.request.dry_run = true;
        if (sender->answered[i])
            ck_assert_msg(judge(&message) == OUTCOME_REPEATED, "message %d of %d is lost", i,
                          sender->number);
        arena_reset(arena);
    }
}

/* The server dies at work. Before that, its only replica lost it and came back a few times; the
 * last time it does not. */
START_TEST(test_failover)
{
    static bool answered[THREADS][SENT_MAX];
    struct load senders[THREADS];
    follow_nobody(&replicas[1]);
    store_free(&store);
    store = open_with(server.url, TIMEOUT_MS, 1);
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct load){.number = i, .answered = answered[i]};
        ck_assert_int_eq(pthread_create(&senders[i].thread, NULL, send_until_end, &senders[i]), 0);
    }
    for (int round = 1; round < 4; round++) {
        await(&answered_in_all, round * 300);
        follow_nobody(&replicas[0]);
        await(&unknown_in_all, unknown_in_all + 1);
        redis_server_follow(&replicas[0], 1, &server, port);
    }
    await(&answered_in_all, answered_in_all + 100);
    follow_nobody(&replicas[0]);
    await(&unknown_in_all, unknown_in_all + THREADS);
    redis_server_stop(&server);
    no_server = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(senders[i].thread, NULL);
    promote(&replicas[0]);
    store_free(&store);
    store = open_with(replicas[0].url, TEST_TIMEOUT_MS, 0);
    for (int i = 0; i < THREADS; i++)
        assert_all_known(&senders[i]);
    ck_assert_int_ge(answered_in_all, 1000);
}
END_TEST

/* ---- settings ------------------------------------------------------------------------------- */

START_TEST(test_not_of_this_database)
{
    struct store *opened = NULL;
    struct problem problem;
    const char *file = arena_printf(arena, "sqlite://%s/s.db", folders[0]);
    const struct store_options two = {.timeout_ms = TIMEOUT_MS, .replicas = 2};
    const struct store_options full = {.timeout_ms = TIMEOUT_MS, .full_durability = true};
    ck_assert_int_eq(store_open(file, &two, &opened, &problem), 0);
    ck_assert_str_eq(problem.where, "store.replicas");
    ck_assert_ptr_nonnull(strstr(problem.text, "expected 0 with SQLite, found 2"));
    ck_assert_int_eq(store_check(file, &two, &problem), 0);
    ck_assert_int_eq(store_open(server.url, &full, &opened, &problem), 0);
    ck_assert_str_eq(problem.where, "store.durability");
    ck_assert_ptr_nonnull(strstr(problem.text, "expected normal with Redis, found full"));
}
END_TEST

START_TEST(test_fewer_than_wanted)
{
    bool made;
    struct problem problem;
    const struct store_options options = {.timeout_ms = 4 * TIMEOUT_MS, .replicas = 3};
    struct store *three = open_with(server.url, 4 * TIMEOUT_MS, 3);
    ck_assert_int_eq(store_examine(store, &made), 1);
    ck_assert_int_eq(store_examine(three, &made), -1);
    ck_assert_ptr_nonnull(strstr(store_error(three), "2 of 3 replicas"));
    ck_assert_int_eq(store_check(server.url, &options, &problem), -1);
    ck_assert_ptr_nonnull(strstr(problem.text, "2 of 3 replicas"));
    store_free(&three);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store replicas");
    TCase *cases = tcase_create("replicas");
    tcase_add_checked_fixture(cases, start_servers, stop_servers);
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, test_answered_is_there);
    tcase_add_test(cases, test_stopped);
    tcase_add_test(cases, test_stopped_and_asked);
    tcase_add_test(cases, test_batch);
    tcase_add_test(cases, test_server_refuses);
    tcase_add_test(cases, test_without_scripts);
    tcase_add_test(cases, test_failover_without);
    tcase_add_test(cases, test_failover);
    tcase_add_test(cases, test_not_of_this_database);
    tcase_add_test(cases, test_fewer_than_wanted);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void) { return backends_run(suite()); }
