/* Many at once, and a database that is away, stopped, full or not ours. */
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "store/adjustments.h"
#include "store/records.h"
#include "store/suspensions.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"

/* The short timeout is for what must not answer; IN_TIME_MS is far from both timeouts. */
enum { THREADS = 16, SHORT_TIMEOUT_MS = 400, IN_TIME_MS = 10 * SHORT_TIMEOUT_MS };

/* ---- many at once ----------------------------------------------------------- */

struct worker {
    pthread_t thread;
    pthread_barrier_t *barrier;
    int number, rounds;
    _Atomic int *admitted; /* a counter a round */
    bool failed;
};

/* One window of one place a round, all at the same moment. */
static void *race(void *context)
{
    struct worker *worker = context;
    struct arena *own = arena_new();
    for (int round = 0; round < worker->rounds; round++) {
        const char *mailbox = arena_printf(own, "user%d@example.test", round);
        struct message message =
            message_of(mailbox, arena_printf(own, "%d", worker->number), NOW + round);
        message.request.arena = own;
        message.request.ip = NULL;
        message.request.windows[0] = (struct judge_window){.rule = RULE_MESSAGES_PER_DAY,
                                                           .limit = 1};
        pthread_barrier_wait(worker->barrier);
        if (store_judge(store, &message.request, &message.result) < 0)
            worker->failed = true;
        else if (message.result.outcome == OUTCOME_ADMITTED)
            atomic_fetch_add(&worker->admitted[round], 1);
    }
    arena_free(&own);
    return NULL;
}

static void run_workers(void *(*work)(void *), int rounds, _Atomic int *admitted)
{
    pthread_barrier_t barrier;
    struct worker workers[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.barrier = &barrier, .number = i, .rounds = rounds,
                                     .admitted = admitted};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < THREADS; i++)
        ck_assert_msg(!workers[i].failed, "thread %d got no answer", i);
    pthread_barrier_destroy(&barrier);
}

START_TEST(test_last_place)
{
    enum { ROUNDS = 100 };
    static _Atomic int admitted[ROUNDS];
    backend_begin(_i);
    run_workers(race, ROUNDS, admitted);
    for (int round = 0; round < ROUNDS; round++)
        ck_assert_int_eq(admitted[round], 1);
}
END_TEST

enum { MAILBOXES = 5 };

/* Everybody sends from some mailbox and gives every fourth message back. */
static void *send_and_refund(void *context)
{
    struct worker *worker = context;
    struct arena *own = arena_new();
    unsigned seed = (unsigned)worker->number + 1;
    for (int round = 0; round < worker->rounds; round++) {
        int which = rand_r(&seed) % MAILBOXES;
        const char *mailbox = arena_printf(own, "user%d@example.test", which);
        const char *id = arena_printf(own, "%d-%d", worker->number, round);
        struct message message = message_of(mailbox, id, NOW + rand_r(&seed) % 1000);
        message.request.arena = own;
        if (store_judge(store, &message.request,
                        &message.result) < 0 || message.result.outcome != OUTCOME_ADMITTED)
            worker->failed = true;
        else if (round % 4 == 3)
            worker->failed |= store_refund(store, mailbox, id, NOW + 1000) != 1;
        else
            atomic_fetch_add(&worker->admitted[which], 1);
    }
    arena_free(&own);
    return NULL;
}

START_TEST(test_totals)
{
    static _Atomic int admitted[MAILBOXES];
    uint64_t all = 0;
    backend_begin(_i);
    run_workers(send_and_refund, 24, admitted);
    for (int i = 0; i < MAILBOXES; i++) {
        const char *mailbox = arena_printf(arena, "user%d@example.test", i);
        uint64_t used = used_of(mailbox, RULE_MESSAGES_PER_DAY, NOW + 1000);
        ck_assert_int_eq((int)used, admitted[i]);
        ck_assert_uint_eq(used_of(mailbox, RULE_MESSAGES_PER_HOUR, NOW + 1000), used);
        all += used;
    }
    ck_assert_uint_eq(all, THREADS * 24 * 3 / 4);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 1000), all);
}
END_TEST

/* ---- away, and back ------------------------------------------------------------ */

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum { ACTIONS = 12 };

/* One action of each kind; what it would answer does not matter here. */
static int try_action(int number)
{
    struct action action = action_at(NOW);
    struct suspension suspension;
    struct durations durations = {.count = 1, .ms = {DAY_MS}};
    struct adjustment adjustment = {.subject = ALICE, .until_ms = UNTIL_LIFTED,
                                    .rule = RULE_MESSAGES_PER_DAY};
    struct account account;
    struct suspended suspended;
    struct audit entry;
    struct record record;
    struct store_page page = {.max = 1};
    struct message message = message_of(ALICE, "unanswered", NOW);
    switch (number) {
    case 0: return store_judge(store, &message.request, &message.result);
    case 1: return store_refund(store, ALICE, "a-0", NOW);
    case 2: return store_suspend(store, ALICE, CAUSE_TERMS, &durations, &action, &suspension);
    case 3: return store_lift(store, ALICE, CAUSE_TERMS, &action);
    case 4: return store_reset(store, ALICE, &action);
    case 5: return store_adjust(store, &adjustment, &action);
    case 6: return store_adjustments(store, 0, &adjustment, &page);
    case 7: return store_account(store, arena, ALICE, NOW, &account);
    case 8: return store_suspended(store, "", NOW, &suspended, &page);
    case 9: return store_record(store, arena, 1, NOW, &record);
    case 10: return store_audit(store, 0, &entry, &page);
    default: return store_sweep(store, NOW);
    }
}

/* While there is no answer: -1 with a reason, and in time. */
static void assert_no_answer(int number, const char *reason)
{
    int64_t began_ms = monotonic_ms();
    int result = try_action(number);
    int64_t took_ms = monotonic_ms() - began_ms;
    ck_assert_msg(result == -1, "action %d answered %d", number, result);
    ck_assert_msg(strstr(store_error(store), reason) != NULL, "action %d: \"%s\"", number,
                  store_error(store));
    ck_assert_msg(took_ms < IN_TIME_MS, "action %d took %d ms", number, (int)took_ms);
}

/* Until a database that is back answers, which on a busy machine may take it
 * longer than the short timeout. */
static void await_answer(void)
{
    struct account account;
    for (int attempt = 0; attempt < 100; attempt++)
        if (store_account(store, arena, ALICE, NOW + 1, &account) == 1)
            return;
    ck_abort_msg("%s", store_error(store));
}

/* Nothing but what was answered before: two messages, no suspension, no change.
 * Another store looks, one that has time. */
static void assert_unchanged_at(const char *url)
{
    struct account account;
    struct audit log[2];
    struct adjustment adjustment;
    struct store_page page = {.max = 2};
    struct store *witness = backend_open(url, TEST_TIMEOUT_MS);
    ck_assert_msg(store_account(witness, arena, ALICE, NOW + 1, &account) == 1, "%s",
                  store_error(witness));
    ck_assert_uint_eq(account.history.count, 2);
    ck_assert_int_eq(account.suspensions.of[0].id, 0);
    ck_assert_int_eq(store_audit(witness, 0, log, &page), 1);
    ck_assert_uint_eq(page.count, 0);
    page.max = 1;
    ck_assert_int_eq(store_adjustments(witness, 0, &adjustment, &page), 1);
    ck_assert_uint_eq(page.count, 0);
    store_free(&witness);
}

static void assert_unchanged(void)
{
    assert_unchanged_at(backend_url());
    await_answer();
}

static void reopen(const char *url, int timeout_ms)
{
    store_free(&store);
    store = backend_open(url, timeout_ms);
}

/* A server of this test alone, since it is stopped. */
static void own_server(struct redis_server *server, char own_folder[FOLDER_SIZE],
                       const char *option, const char *value)
{
    backend_begin(BACKEND_REDIS);
    folder_make(own_folder);
    redis_server_start(server, own_folder, option, value);
    reopen(server->url, TEST_TIMEOUT_MS);
}

START_TEST(test_redis_away_and_back)
{
    char own_folder[FOLDER_SIZE];
    struct redis_server server;
    own_server(&server, own_folder, NULL, NULL);
    send_messages(ALICE, "a", 2, NOW, 0);
    redis_server_stop(&server);
    for (int number = 0; number < ACTIONS; number++)
        assert_no_answer(number, "redis at");
    redis_server_start(&server, own_folder, NULL, NULL);
    send_messages(ALICE, "b", 2, NOW, 0);
    assert_unchanged_at(server.url);
    /* an end that nobody noticed yet costs no message */
    redis_server_stop(&server);
    redis_server_start(&server, own_folder, NULL, NULL);
    send_messages(ALICE, "c", 2, NOW, 0);
    redis_server_stop(&server);
    folder_remove(own_folder);
}
END_TEST

/* What waits in the socket of a stopped server is read when it goes on: too late
 * to change anything, whichever action it is. */
START_TEST(test_redis_stopped)
{
    char own_folder[FOLDER_SIZE];
    struct redis_server server;
    own_server(&server, own_folder, NULL, NULL);
    send_messages(ALICE, "a", 2, NOW, 0);
    reopen(server.url, SHORT_TIMEOUT_MS);
    for (int number = 0; number < ACTIONS; number++) {
        await_answer(); /* so that there is a connection for the request to wait in */
        redis_server_freeze(&server);
        assert_no_answer(number, "no answer within");
        redis_server_thaw(&server);
        assert_unchanged_at(server.url);
    }
    reopen(server.url, TEST_TIMEOUT_MS);
    struct message again = message_of(ALICE, "unanswered", NOW + 1);
    ck_assert_int_eq(judge(&again), OUTCOME_ADMITTED);
    ck_assert_uint_eq(seen_of(&again, RULE_MESSAGES_PER_DAY)->used_before, 2);
    ck_assert_uint_eq(seen_of(&again, RULE_OFF_DOMAIN_PER_HOUR_PER_IP)->used_before, 2);
    redis_server_stop(&server);
    folder_remove(own_folder);
}
END_TEST

/* A server that forgot the scripts is given them again, and no message is lost. */
START_TEST(test_redis_without_scripts)
{
    struct record record;
    backend_begin(BACKEND_REDIS);
    send_messages(ALICE, "a", 1, NOW, 0);
    redis_server_ask(&redis, (const char *const[]){"SCRIPT", "FLUSH"}, 2);
    send_messages(ALICE, "b", 1, NOW, 0);
    redis_server_ask(&redis, (const char *const[]){"SCRIPT", "FLUSH"}, 2);
    ck_assert_int_eq(store_refund(store, ALICE, "a-0", NOW), 1);
    redis_server_ask(&redis, (const char *const[]){"SCRIPT", "FLUSH"}, 2);
    ck_assert_int_eq(store_record(store, arena, 1, NOW, &record), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), 1);
}
END_TEST

/* The server's reason is ours, and the connection stays. */
START_TEST(test_redis_errors)
{
    backend_begin(BACKEND_REDIS);
    send_messages(ALICE, "a", 2, NOW, 0);
    struct message message = message_of(ALICE, "x", NOW);
    redis_server_ask(&redis, (const char *const[]){"CONFIG", "SET", "maxmemory", "1"}, 4);
    ck_assert_int_eq(store_judge(store, &message.request, &message.result), -1);
    ck_assert_msg(strstr(store_error(store), "OOM") != NULL, "%s", store_error(store));
    assert_unchanged(); /* reading goes on */
    redis_server_ask(&redis, (const char *const[]){"CONFIG", "SET", "maxmemory", "0"}, 4);
    assert_unchanged();
    redis_server_ask(&redis, (const char *const[]){"REPLICAOF", "127.0.0.1", "1"}, 3);
    ck_assert_int_eq(store_judge(store, &message.request, &message.result), -1);
    ck_assert_msg(strstr(store_error(store), "READONLY") != NULL, "%s", store_error(store));
    assert_unchanged();
    redis_server_ask(&redis, (const char *const[]){"REPLICAOF", "NO", "ONE"}, 3);
    assert_unchanged();
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
}
END_TEST

/* It counts for @eve.test too. */
static struct message message_of_domain(const char *mailbox, const char *id)
{
    struct message message = message_of(mailbox, id, NOW);
    message.request.group = "@eve.test";
    message.request.windows[message.request.window_count++] =
        (struct judge_window){.rule = RULE_MESSAGES_PER_HOUR_PER_DOMAIN, .limit = LIMIT_OFF};
    return message;
}

/* A key that is damaged costs its own message alone, also among others. */
START_TEST(test_redis_damage)
{
    static const char *const keys[] = {"sg:mailbox:bob@example.test", "sg:network:192.0.2.1",
                                       "sg:suspension:bob@example.test",
                                       "sg:domain:@bob.test"};
    struct message messages[3];
    int answers[3];
    for (size_t i = 0; i < countof(keys); i++) {
        if (i > 0)
            backend_end();
        backend_begin(BACKEND_REDIS);
        send_messages(ALICE, "a", 2, NOW, 0);
        redis_server_ask(&redis, (const char *const[]){"DEL", keys[i]}, 2);
        redis_server_ask(&redis, (const char *const[]){"SETRANGE", keys[i], "0", "x"}, 4);
        for (int k = 0; k < 3; k++) {
            messages[k] = message_of(k == 1 ? "bob@example.test" : ALICE,
                                     arena_printf(arena, "%d", k), NOW);
            if (k != 1)
                messages[k].request.ip = NULL;
            messages[k].request.group = k == 1 ? "@bob.test" : "@others.test";
            messages[k].request.windows[messages[k].request.window_count++] =
                (struct judge_window){.rule = RULE_MESSAGES_PER_HOUR_PER_DOMAIN,
                                      .limit = LIMIT_OFF};
        }
        judge_all(store, messages, answers, 3);
        ck_assert_int_eq(answers[1], -1);
        ck_assert_int_eq(answers[0], 1);
        ck_assert_int_eq(answers[2], 1);
        ck_assert_uint_eq(seen_of(&messages[2], RULE_MESSAGES_PER_DAY)->used_before, 3);
        ck_assert_msg(i == 2 || strstr(store_error(store), "damaged") != NULL, "%s",
                      store_error(store));
    }
}
END_TEST

/* The same in SQLite, where they share a transaction. */
START_TEST(test_sqlite_damage)
{
    enum { DAMAGED = 3, COUNT = 7 };
    struct message messages[COUNT];
    int answers[COUNT];
    sqlite3 *db;
    backend_begin(BACKEND_SQLITE);
    send_messages("bob@example.test", "b", 1, NOW, 0);
    send_messages("carol@example.test", "c", 1, NOW, 0);
    send_messages(ALICE, "a", 2, NOW, 0);
    struct message of_domain = message_of_domain("eve@eve.test", "e");
    ck_assert_int_eq(judge(&of_domain), OUTCOME_ADMITTED);
    ck_assert_int_eq(store_sweep(store, NOW), 1); /* the rows are written behind */
    ck_assert_int_eq(sqlite3_open(backend_url() + strlen("sqlite://"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "UPDATE history_head SET data = x'ff' WHERE key LIKE 'bob@%'"
                                  " OR key LIKE 'carol@%' OR key = '@eve.test'", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_changes(db), DAMAGED);
    sqlite3_close(db);
    for (int i = 0; i < COUNT - 1; i++)
        messages[i] = message_of(i == 1   ? "bob@example.test"
                                 : i == 4 ? "carol@example.test" : ALICE,
                                 arena_printf(arena, "%d", i), NOW);
    messages[COUNT - 1] = message_of_domain("other@eve.test", "f");
    judge_all(store, messages, answers, COUNT);
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(answers[i], i == 1 || i == 4 || i == COUNT - 1 ? -1 : 1);
    ck_assert_msg(strstr(store_error(store), "damaged") != NULL, "%s", store_error(store));
    ck_assert_uint_eq(seen_of(&messages[5], RULE_MESSAGES_PER_DAY)->used_before, 5);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), 6);
}
END_TEST

START_TEST(test_redis_with_password)
{
    char own_folder[FOLDER_SIZE];
    struct redis_server server;
    own_server(&server, own_folder, "--requirepass", "secret");
    for (int number = 0; number < ACTIONS; number++)
        assert_no_answer(number, "NOAUTH");
    redis_server_stop(&server);
    folder_remove(own_folder);
}
END_TEST

static long long memory_of(const char *key)
{
    return redis_server_ask(&redis, (const char *const[]){"MEMORY", "USAGE", key}, 3);
}

/* A full day costs at most 40 bytes a message, of which the server keeps up to a half to grow into. */
START_TEST(test_redis_memory)
{
    backend_begin(BACKEND_REDIS);
    send_messages(ALICE, "a", 1000, NOW, DAY_MS / 600);
    long long bytes = memory_of("sg:mailbox:" ALICE);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 999 * DAY_MS / 600), 600);
    ck_assert_int_le(bytes, 600 * 40);
}
END_TEST

/* Every key of a message has an end, however its history came about. */
START_TEST(test_redis_expiry)
{
    backend_begin(BACKEND_REDIS);
    send_messages(ALICE, "a", 2, NOW, 1);
    ck_assert_int_eq(store_refund(store, ALICE, "a-0", NOW + 1), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "a-1", NOW + 1), 1);
    send_messages(ALICE, "b", 1, NOW + 2, 0);
    struct action action = action_at(NOW + 3);
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    send_messages(ALICE, "c", 1, NOW + 4, 0);
    static const char *const keys[] = {"sg:mailbox:" ALICE, "sg:network:192.0.2.1"};
    for (size_t i = 0; i < countof(keys); i++) {
        long long left_ms = redis_server_ask(&redis, (const char *const[]){"PTTL", keys[i]}, 2);
        int64_t window_ms = i < 1 ? DAY_MS : HOUR_MS;
        ck_assert_msg(left_ms > window_ms - MINUTE_MS && left_ms < 2 * window_ms, "%s: %lld",
                      keys[i], left_ms);
    }
}
END_TEST

START_TEST(test_redis_by_tcp)
{
    char own_folder[FOLDER_SIZE];
    struct redis_server server;
    char port[16];
    snprintf(port, sizeof port, "%d", free_port());
    own_server(&server, own_folder, "--port", port);
    const char *url = arena_printf(arena, "redis://127.0.0.1:%s/2", port);
    reopen(url, TEST_TIMEOUT_MS);
    send_messages(ALICE, "a", 2, NOW, 0);
    assert_unchanged_at(url);
    redis_server_stop(&server);
    for (int number = 0; number < ACTIONS; number++)
        assert_no_answer(number, "redis at 127.0.0.1");
    redis_server_start(&server, own_folder, "--port", port);
    send_messages(ALICE, "b", 2, NOW, 0);
    assert_unchanged_at(url);
    redis_server_stop(&server);
    folder_remove(own_folder);
}
END_TEST

/* Databases of one server are stores of their own. */
START_TEST(test_redis_databases)
{
    backend_begin(BACKEND_REDIS);
    send_messages(ALICE, "a", 2, NOW, 0);
    reopen(arena_printf(arena, "%s?db=3", redis.url), TEST_TIMEOUT_MS);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), 0);
    reopen(arena_printf(arena, "%s?db=99", redis.url), TEST_TIMEOUT_MS);
    struct account account;
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW, &account), -1);
    ck_assert_msg(strstr(store_error(store), "out of range") != NULL, "%s", store_error(store));
}
END_TEST

/* A time that packed entries cannot hold is refused, not cut. */
START_TEST(test_bad_times)
{
    static const int64_t times_ms[] = {-1, INT64_MIN, INT64_MAX};
    backend_begin(BACKEND_REDIS);
    for (size_t i = 0; i < countof(times_ms); i++) {
        struct message message = message_of(ALICE, "x", NOW);
        struct action action = action_at(times_ms[i]);
        message.request.now_ms = times_ms[i];
        ck_assert_int_eq(store_judge(store, &message.request, &message.result), -1);
        ck_assert_msg(strstr(store_error(store), "time") != NULL, "%s", store_error(store));
        ck_assert_int_eq(store_reset(store, ALICE, &action), -1);
    }
}
END_TEST

/* A lock that another process holds: no answer in time, and none of it stays. */
START_TEST(test_sqlite_locked)
{
    backend_begin(BACKEND_SQLITE);
    send_messages(ALICE, "a", 2, NOW, 0);
    reopen(backend_url(), SHORT_TIMEOUT_MS);
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(backend_url() + strlen("sqlite://"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct message message = message_of(ALICE, "x", NOW);
    int64_t began_ms = monotonic_ms();
    ck_assert_int_eq(store_judge(store, &message.request, &message.result), -1);
    ck_assert_int_lt(monotonic_ms() - began_ms, IN_TIME_MS);
    ck_assert_msg(strstr(store_error(store), "locked") != NULL, "%s", store_error(store));
    ck_assert_int_eq(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    reopen(backend_url(), TEST_TIMEOUT_MS);
    assert_unchanged();
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
}
END_TEST

/* On a busy machine a sleep takes much longer than it should, and waiting ends in time all the
 * same. */
START_TEST(test_sqlite_locked_and_slow)
{
    backend_begin(BACKEND_SQLITE);
    send_messages(ALICE, "a", 2, NOW, 0);
    reopen(backend_url(), SHORT_TIMEOUT_MS);
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(backend_url() + strlen("sqlite://"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct message message = message_of(ALICE, "x", NOW);
    ck_assert_int_eq(prctl(PR_SET_TIMERSLACK, 20000000L), 0);
    int64_t began_ms = monotonic_ms();
    ck_assert_int_eq(store_judge(store, &message.request, &message.result), -1);
    ck_assert_int_lt(monotonic_ms() - began_ms, IN_TIME_MS);
    ck_assert_int_eq(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}
END_TEST

/* A file that has gone is no empty store. */
START_TEST(test_sqlite_gone)
{
    backend_begin(BACKEND_SQLITE);
    send_messages(ALICE, "a", 2, NOW, 0);
    const char *path = backend_url() + strlen("sqlite://");
    char *aside = arena_printf(arena, "%s.aside", path);
    assert_unchanged();
    ck_assert_int_eq(rename(path, aside), 0);
    for (int number = 0; number < ACTIONS; number++)
        assert_no_answer(number, "No such file");
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_eq(rename(aside, path), 0);
    assert_unchanged();
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store trouble");
    TCase *cases = backends_case(suite, "trouble");
    tcase_add_loop_test(cases, test_last_place, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_totals, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_redis_away_and_back);
    tcase_add_test(cases, test_redis_stopped);
    tcase_add_test(cases, test_redis_without_scripts);
    tcase_add_test(cases, test_redis_errors);
    tcase_add_test(cases, test_redis_damage);
    tcase_add_test(cases, test_sqlite_damage);
    tcase_add_test(cases, test_redis_with_password);
    tcase_add_test(cases, test_redis_memory);
    tcase_add_test(cases, test_redis_expiry);
    tcase_add_test(cases, test_redis_by_tcp);
    tcase_add_test(cases, test_redis_databases);
    tcase_add_test(cases, test_bad_times);
    tcase_add_test(cases, test_sqlite_locked);
    tcase_add_test(cases, test_sqlite_locked_and_slow);
    tcase_add_test(cases, test_sqlite_gone);
    return suite;
}

int main(void) { return backends_run(suite()); }
