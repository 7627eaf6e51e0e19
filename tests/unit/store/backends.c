#include "tests/unit/store/backends.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/decision.h"

struct store *store;
struct arena *arena;
struct redis_server redis;
char folder[FOLDER_SIZE];
static char sqlite_url[FOLDER_SIZE + 64];
static int backend_now, replica_count;
static struct redis_server replica;
static char replica_folder[FOLDER_SIZE];

void backends_start(void)
{
    folder_make(folder);
    redis_server_start(&redis, folder, NULL, NULL);
}

void backends_start_with_replica(void)
{
    char port[16];
    snprintf(port, sizeof port, "%d", free_port());
    folder_make(folder);
    folder_make(replica_folder);
    redis_server_start(&redis, folder, "--port", port);
    redis_server_start(&replica, replica_folder, NULL, NULL);
    redis_server_follow(&replica, 1, &redis, port);
    replica_count = 1;
}

void backends_stop(void)
{
    redis_server_stop(&redis);
    folder_remove(folder);
    if (replica_count == 0)
        return;
    redis_server_stop(&replica);
    folder_remove(replica_folder);
    replica_count = 0;
}

struct store *backend_open(const char *url, int timeout_ms)
{
    struct store *opened = NULL;
    struct problem problem = {0};
    const struct store_options options = {
        .timeout_ms = timeout_ms,
        .replicas = strncmp(url, "redis", strlen("redis")) == 0 ? replica_count : 0};
    ck_assert_msg(store_open(url, &options, &opened, &problem) == 1, "%s", problem.text);
    return opened;
}

const char *backend_url(void) { return backend_now == BACKEND_SQLITE ? sqlite_url : redis.url; }

int64_t backend_sqlite_number(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return number;
}

void backend_end(void)
{
    store_free(&store);
    arena_free(&arena);
}

void backend_begin(int backend)
{
    static int stores; /* a file for each, when tests share a process */
    backend_end(); /* of one that began in this test before */
    backend_now = backend;
    snprintf(sqlite_url, sizeof sqlite_url, "sqlite://%s/%d-%d.db", folder, (int)getpid(),
             stores++);
    if (backend == BACKEND_REDIS)
        redis_server_ask(&redis, (const char *const[]){"FLUSHALL"}, 1);
    arena = arena_new();
    store = backend_open(backend_url(), TEST_TIMEOUT_MS);
}

TCase *backends_case(Suite *suite, const char *name)
{
    TCase *cases = tcase_create(name);
    tcase_add_unchecked_fixture(cases, backends_start, backends_stop);
    tcase_add_checked_fixture(cases, NULL, backend_end);
    tcase_set_timeout(cases, 120);
    suite_add_tcase(suite, cases);
    return cases;
}

static int run_as(Suite *suite, enum fork_status status)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, status);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int backends_run(Suite *suite) { return run_as(suite, CK_FORK_GETENV); }
int backends_run_apart(Suite *suite) { return run_as(suite, CK_FORK); }

struct record_facts facts_of(const char *text)
{
    return (struct record_facts){text, strlen(text), strlen(text)};
}

struct message message_of(const char *mailbox, const char *id, int64_t now_ms)
{
    const struct judge_request request = {
        .now_ms = now_ms,
        .mailbox = mailbox,
        .ip = "192.0.2.1",
        .id = id,
        .fingerprint = UINT64_C(0xFEDCBA9876543210),
        .off_domain = 1,
        .decision = decision_new(now_ms),
        .facts = facts_of("{\"recipients\":1}"),
        .keep_refused_ms = 30 * DAY_MS,
        .keep_admitted_ms = 2 * DAY_MS,
        .retries_before_restart = 10,
        .volume = {.count = 1, .ms = {DAY_MS}},
        .windows = {{.rule = RULE_MESSAGES_PER_DAY, .limit = 600, .suspends = true},
                    {.rule = RULE_OFF_DOMAIN_PER_DAY, .limit = 1000, .suspends = true},
                    {.rule = RULE_OFF_DOMAIN_PER_HOUR_PER_IP, .limit = 500},
                    {.rule = RULE_MESSAGES_PER_HOUR, .limit = LIMIT_OFF}},
        .window_count = 4,
        .arena = arena,
    };
    return (struct message){.request = request};
}

struct judge_window *window_of(struct message *message, enum rule rule)
{
    for (size_t i = 0; i < message->request.window_count; i++)
        if (message->request.windows[i].rule == rule)
            return &message->request.windows[i];
    ck_abort_msg("the message has no window %s", rule_table[rule].name);
}

const struct outcome_window *seen_of(const struct message *message, enum rule rule)
{
    for (size_t i = 0; i < message->result.window_count; i++)
        if (message->result.windows[i].rule == rule)
            return &message->result.windows[i];
    ck_abort_msg("the result has no window %s", rule_table[rule].name);
}

enum outcome judge(struct message *message)
{
    ck_assert_msg(store_judge(store, &message->request, &message->result) == 1, "%s",
                  store_error(store));
    return message->result.outcome;
}

void judge_all(struct store *by, struct message *messages, int *answers_r, size_t count)
{
    struct judge_task tasks[JUDGE_MAX];
    for (size_t i = 0; i < count; i++)
        tasks[i] = (struct judge_task){&messages[i].request, &messages[i].result, 0};
    store_judge_all(by, tasks, count);
    for (size_t i = 0; i < count; i++)
        answers_r[i] = tasks[i].answer;
}

void send_messages(const char *mailbox, const char *prefix, int count, int64_t from_ms,
                   int64_t step_ms)
{
    for (int i = 0; i < count; i++) {
        const char *id = arena_printf(arena, "%s-%d", prefix, i);
        struct message message = message_of(mailbox, id, from_ms + i * step_ms);
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    }
}

uint64_t used_of(const char *mailbox, enum rule rule, int64_t now_ms)
{
    struct message message = message_of(mailbox, "never sent", now_ms);
    message.request.dry_run = true;
    judge(&message);
    return seen_of(&message, rule)->used_before;
}

struct action action_at(int64_t now_ms)
{
    return (struct action){.now_ms = now_ms, .by = "agnes", .note = "asked by telephone"};
}
