/* Both backends of the store, for tests that hold each to the same contract: a
 * loop test's index is the backend. Every test begins with an empty store. */
#ifndef SENDGUARD_TESTS_BACKENDS_H
#define SENDGUARD_TESTS_BACKENDS_H

#include <check.h>

#include "store/audit.h"
#include "store/judge.h"
#include "store/store.h"
#include "tests/unit/store/servers.h"

enum backend_kind { BACKEND_SQLITE, BACKEND_REDIS, BACKEND_KINDS };

/* For what has to answer, on a machine that has much else to do. */
enum { TEST_TIMEOUT_MS = 20000 };
#define NOW INT64_C(1763790000000) /* 2025-11-22T05:40:00Z */

/* Of the running test; set by backend_begin. */
extern struct store *store;
extern struct arena *arena;
extern struct redis_server redis;
extern char folder[FOLDER_SIZE];

/* Fixtures of a test case: the server and folder once, the store for each test. */
void backends_start(void);
/* The same with a replica of the server, which stores wait for. */
void backends_start_with_replica(void);
void backends_stop(void);
void backend_end(void);
/* A suite of one case with these fixtures. */
TCase *backends_case(Suite *suite, const char *name);
int backends_run(Suite *suite);
/* The same with a process for each test whatever CK_FORK says: what they change would stay. */
int backends_run_apart(Suite *suite);

/* An empty store, opened. */
void backend_begin(int backend);
/* Where it is, for another struct store. */
const char *backend_url(void);
struct store *backend_open(const char *url, int timeout_ms);
/* The number that a statement yields in the SQLite file, as another program reads it. */
int64_t backend_sqlite_number(const char *path, const char *sql);

/* A message of one off-domain recipient from 192.0.2.1, with all windows at the
 * usual limits, a decision of its own and a suspension of 24 h. */
struct message {
    struct judge_request request;
    struct judge_result result;
};
/* Facts that are a text. */
struct record_facts facts_of(const char *text);
struct message message_of(const char *mailbox, const char *id, int64_t now_ms);
/* The request's window of that rule, to be changed; what the result says of it. */
struct judge_window *window_of(struct message *message, enum rule rule);
const struct outcome_window *seen_of(const struct message *message, enum rule rule);

/* Judges, and fails the test when the store does not answer. */
enum outcome judge(struct message *message);
/* Judges several at once; answers_r as store_judge returns them. */
void judge_all(struct store *by, struct message *messages, int *answers_r, size_t count);
/* Judges `count` messages that must be admitted, ids "PREFIX-0" …, `step_ms` apart. */
void send_messages(const char *mailbox, const char *prefix, int count, int64_t from_ms,
                   int64_t step_ms);
/* What the windows of a mailbox (and IP 192.0.2.1) count, without a trace. */
uint64_t used_of(const char *mailbox, enum rule rule, int64_t now_ms);

struct action action_at(int64_t now_ms);

#endif
