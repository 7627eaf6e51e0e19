/* A SQLite database of an earlier version is brought up to date when it is
 * opened: all of it or nothing, and nothing is lost. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/adjustments.h"
#include "store/records.h"
#include "store/suspensions.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"
#define BOB "bob@example.test"

/* The schema of version 1. */
static const char version_1[] =
    "PRAGMA page_size = 2048; PRAGMA journal_mode = WAL;"
    "CREATE TABLE hash_key (value BLOB NOT NULL);"
    "CREATE TABLE history (id INTEGER PRIMARY KEY, key TEXT NOT NULL, data BLOB NOT NULL);"
    "CREATE TABLE chunk (history INTEGER NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL,"
    " PRIMARY KEY (history, number)) WITHOUT ROWID;"
    "CREATE TABLE chunk_ids (history INTEGER PRIMARY KEY, first INTEGER NOT NULL,"
    " hashes BLOB NOT NULL);"
    "CREATE TABLE admitted (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL,"
    " outcome TEXT NOT NULL, used TEXT NOT NULL, facts TEXT NOT NULL, keep_ms INTEGER NOT NULL);"
    "CREATE TABLE refused (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL,"
    " outcome TEXT NOT NULL, used TEXT NOT NULL, facts TEXT NOT NULL, keep_ms INTEGER NOT NULL);"
    "CREATE VIEW decision AS SELECT id, at_ms, outcome, used, facts, keep_ms FROM admitted"
    " UNION ALL SELECT id, at_ms, outcome, used, facts, keep_ms FROM refused;"
    "CREATE TABLE suspension (id INTEGER PRIMARY KEY AUTOINCREMENT, mailbox TEXT NOT NULL,"
    " cause TEXT NOT NULL, since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, offence INTEGER NOT NULL, \"by\" TEXT NOT NULL,"
    " note TEXT NOT NULL, ended_ms INTEGER);"
    "CREATE INDEX suspension_mailbox ON suspension (mailbox);"
    "CREATE TABLE adjustment (change INTEGER PRIMARY KEY, subject TEXT NOT NULL,"
    " rule TEXT NOT NULL, kind INTEGER NOT NULL, removed INTEGER NOT NULL,"
    " value INTEGER NOT NULL, until_ms INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
    " UNIQUE (subject, rule, kind));"
    "CREATE TABLE audit (number INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL,"
    " \"by\" TEXT NOT NULL, act TEXT NOT NULL, subject TEXT NOT NULL, note TEXT NOT NULL,"
    " detail TEXT NOT NULL);"
    "CREATE TRIGGER audit_keeps BEFORE UPDATE ON audit"
    " BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;"
    "CREATE TRIGGER audit_stays BEFORE DELETE ON audit"
    " BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;"
    "CREATE TABLE hand (id INTEGER PRIMARY KEY, position INTEGER NOT NULL);"
    "PRAGMA user_version = 1;";

/* What version 1 knew of a store. */
static const char copy[] =
    "INSERT INTO hash_key SELECT * FROM now.hash_key; INSERT INTO history SELECT * FROM now.history;"
    "INSERT INTO chunk SELECT * FROM now.chunk; INSERT INTO chunk_ids SELECT * FROM now.chunk_ids;"
    "INSERT INTO admitted SELECT * FROM now.admitted;"
    "INSERT INTO refused SELECT id, at_ms, outcome, used, facts, keep_ms FROM now.refused;"
    "INSERT INTO suspension SELECT id, mailbox, cause, since_ms, until_ms, attempts, offence, \"by\","
    " note, ended_ms FROM now.suspension;"
    "INSERT INTO adjustment SELECT * FROM now.adjustment;"
    "INSERT INTO audit SELECT * FROM now.audit; INSERT INTO hand SELECT * FROM now.hand;";

static char old_path[FOLDER_SIZE + 64], old_url[FOLDER_SIZE + 96];

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    char *error = NULL;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, sql, NULL, NULL, &error);
    ck_assert_msg(error == NULL, "%.60s: %s", sql, error);
    sqlite3_close(db);
}

static int64_t number_of(const char *path, const char *sql)
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

/* The store in `store`, as version 1 would have written it; `store` is closed. */
static void become_version_1(void)
{
    const char *path = backend_url() + strlen("sqlite://");
    store_free(&store);
    snprintf(old_path, sizeof old_path, "%s.old", path);
    snprintf(old_url, sizeof old_url, "sqlite://%s", old_path);
    run_sql(old_path, version_1);
    run_sql(old_path, arena_printf(arena, "ATTACH '%s' AS now; %s", path, copy));
}

static struct message message_with_facts(const char *mailbox, const char *id, int64_t now_ms)
{
    struct message message = message_of(mailbox, id, now_ms);
    message.request.facts =
        facts_of(arena_printf(arena, "{\"mailbox\":\"%s\",\"id\":\"%s\"}", mailbox, id));
    return message;
}

static uint64_t refuse(const char *mailbox, const char *facts, int64_t now_ms)
{
    struct message message = message_of(mailbox, "refused", now_ms);
    message.request.rejected = true;
    message.request.facts = facts_of(facts);
    ck_assert_int_ne(judge(&message), OUTCOME_ADMITTED);
    return message.request.decision;
}

static const struct durations a_day = {.count = 1, .ms = {DAY_MS}};

START_TEST(test_everything_is_kept)
{
    struct record records[8];
    struct audit log[8];
    struct adjustment adjustment = {.subject = "@example.test", .rule = RULE_MESSAGES_PER_DAY,
                                    .kind = ADJUST_EXTRA, .value = 5, .until_ms = UNTIL_LIFTED};
    struct action action = action_at(NOW + 200);
    struct suspension suspension;
    struct account account;
    struct store_page page = {.max = 1};
    backend_begin(BACKEND_SQLITE);
    send_messages(ALICE, "a", 50, NOW, 1);
    struct message newest = message_with_facts(ALICE, "newest", NOW + 100);
    ck_assert_int_eq(judge(&newest), OUTCOME_ADMITTED);
    uint64_t refused = refuse(ALICE, "{\"mailbox\":\"" ALICE "\"}", NOW + 101);
    uint64_t nameless = refuse(BOB, "{}", NOW + 102);
    uint64_t broken = refuse(BOB, "no JSON", NOW + 103);
    ck_assert_int_eq(store_suspend(store, BOB, CAUSE_TERMS, &a_day, &action, &suspension), 1);
    ck_assert_int_eq(store_adjust(store, &adjustment, &action), 1);
    become_version_1();

    store = backend_open(old_url, TEST_TIMEOUT_MS);
    ck_assert_int_eq(number_of(old_path, "PRAGMA user_version"), 4);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 300), 51);
    struct message again = message_of(ALICE, "a-3", NOW + 300);
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    ck_assert_int_eq(store_account(store, arena, BOB, NOW + 300, &account), 1);
    ck_assert_int_eq(account.suspension.id, suspension.id);
    ck_assert_int_eq(store_adjustments(store, 0, &adjustment, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_int_eq(adjustment.value, 5);
    page.max = 8;
    ck_assert_int_eq(store_audit_newest(store, BOB, INT64_MAX, log, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_str_eq(log[0].action, "suspend");
    ck_assert_int_eq(
        store_decisions(store, arena, ALICE, UINT64_MAX, NOW + 300, records, &page), 1);
    ck_assert_uint_eq(page.count, 2); /* the facts of the first fifty name nobody */
    ck_assert_uint_eq(records[0].decision, refused);
    ck_assert_uint_eq(records[1].decision, newest.request.decision);
    ck_assert_int_eq(store_record(store, arena, nameless, NOW + 300, records), 1);
    ck_assert_int_eq(store_record(store, arena, broken, NOW + 300, records), 1);
    ck_assert_str_eq(records[0].facts, "no JSON");
}
END_TEST

/* The log stays append-only, under whatever version. */
START_TEST(test_audit_log_stays)
{
    struct action action = action_at(NOW);
    sqlite3 *db;
    backend_begin(BACKEND_SQLITE);
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    become_version_1();
    store = backend_open(old_url, TEST_TIMEOUT_MS);
    ck_assert_int_eq(sqlite3_open(old_path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "DELETE FROM audit", NULL, NULL, NULL), SQLITE_CONSTRAINT);
    ck_assert_int_eq(sqlite3_exec(db, "UPDATE audit SET \"by\" = 'x'", NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    sqlite3_close(db);
}
END_TEST

/* What stops it half way leaves the file as it was; without it, it is done at the next action. */
START_TEST(test_all_or_nothing)
{
    struct account account;
    backend_begin(BACKEND_SQLITE);
    send_messages(ALICE, "a", 3, NOW, 1);
    become_version_1();
    run_sql(old_path, "CREATE TABLE counter (in_the_way)");
    store = backend_open(old_url, TEST_TIMEOUT_MS);
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW + 3, &account), -1);
    ck_assert_ptr_nonnull(strstr(store_error(store), "counter"));
    ck_assert_int_eq(number_of(old_path, "PRAGMA user_version"), 1);
    ck_assert_int_eq(number_of(old_path, "SELECT count(*) FROM pragma_table_info('refused')"
                                         " WHERE name = 'mailbox'"),
                     0);
    run_sql(old_path, "DROP TABLE counter");
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW + 3, &account), 1);
    ck_assert_uint_eq(account.history.count, 3);
    ck_assert_int_eq(number_of(old_path, "PRAGMA user_version"), 4);
}
END_TEST

static void *open_and_look(void *count_r)
{
    struct account account;
    struct arena *own = arena_new();
    struct problem problem;
    struct store *opened = NULL;
    if (store_open(old_url, TEST_TIMEOUT_MS, &opened, &problem) == 1 &&
        store_account(opened, own, ALICE, NOW + 3, &account) == 1)
        *(size_t *)count_r = account.history.count;
    store_free(&opened);
    arena_free(&own);
    return NULL;
}

/* All programs of a machine start at the same moment. */
START_TEST(test_opened_by_many)
{
    pthread_t threads[8];
    size_t counts[countof(threads)] = {0};
    backend_begin(BACKEND_SQLITE);
    send_messages(ALICE, "a", 3, NOW, 1);
    become_version_1();
    for (size_t i = 0; i < countof(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_look, &counts[i]), 0);
    for (size_t i = 0; i < countof(threads); i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < countof(threads); i++)
        ck_assert_uint_eq(counts[i], 3);
}
END_TEST

/* An admitted message pays for no index: that is the hot path. */
START_TEST(test_no_index_on_admitted)
{
    backend_begin(BACKEND_SQLITE);
    const char *path = backend_url() + strlen("sqlite://");
    ck_assert_int_eq(number_of(path, "SELECT count(*) FROM sqlite_schema WHERE type = 'index'"
                                     " AND tbl_name = 'admitted'"),
                     0);
}
END_TEST

/* Version 2 had no tickets. */
START_TEST(test_version_2_gets_tickets)
{
    backend_begin(BACKEND_SQLITE);
    const char *path = backend_url() + strlen("sqlite://");
    send_messages(ALICE, "sent", 20, NOW, 1);
    uint64_t refused = refuse(ALICE, "{\"mailbox\":\"" ALICE "\"}", NOW + 20);
    store_free(&store);
    run_sql(path, "DROP TABLE ticket; ALTER TABLE suspension DROP COLUMN lasts_ms;"
                  "ALTER TABLE suspension DROP COLUMN tried; PRAGMA user_version = 2;");
    store = backend_open(backend_url(), TEST_TIMEOUT_MS);
    ck_assert_int_eq(number_of(path, "PRAGMA user_version"), 4);
    struct message message = message_of(ALICE, "ticketed", NOW + 30);
    message.request.ticket = 4;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    struct message asked = message_of(ALICE, "asked", NOW + 31);
    asked.request.redeem = 4;
    ck_assert_int_eq(judge(&asked), OUTCOME_REDEEMED);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 32), 21);
    struct record record;
    ck_assert_int_eq(store_record(store, arena, refused, NOW + 32, &record), 1);
    ck_assert_int_eq(record.outcome, OUTCOME_REJECTED);
}
END_TEST

/* Version 3 knew neither how long a suspension lasted first nor which messages were tried. */
START_TEST(test_version_3_gets_attempts)
{
    static const struct durations an_hour = {.count = 1, .ms = {HOUR_MS}};
    static const struct durations two_days = {.count = 1, .ms = {2 * DAY_MS}};
    static const struct {
        const char *mailbox;
        unsigned attempts;
        int64_t lasts_ms;
    } volumes[] = {{"short@example.test", 3, HOUR_MS}, {"long@example.test", 3, 2 * DAY_MS},
                   {"moved@example.test", 12, DAY_MS}};
    struct suspension suspension;
    struct action action = action_at(NOW);
    backend_begin(BACKEND_SQLITE);
    const char *path = backend_url() + strlen("sqlite://");
    for (size_t i = 0; i < countof(volumes); i++) {
        ck_assert_int_eq(store_suspend(store, volumes[i].mailbox, CAUSE_VOLUME,
                                       i == 0 ? &an_hour : &two_days, &action, &suspension), 1);
        run_sql(path, arena_printf(arena, "UPDATE suspension SET attempts = %u WHERE mailbox = '%s'",
                                   volumes[i].attempts, volumes[i].mailbox));
    }
    store_free(&store);
    run_sql(path, "ALTER TABLE suspension DROP COLUMN lasts_ms;"
                  "ALTER TABLE suspension DROP COLUMN tried; PRAGMA user_version = 3;");
    store = backend_open(backend_url(), TEST_TIMEOUT_MS);
    for (size_t i = 0; i < countof(volumes); i++) {
        struct message message = message_of(volumes[i].mailbox, "x", NOW + HOUR_MS - 1);
        message.request.retries_before_restart = 1;
        message.request.attempt = 1;
        ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
        ck_assert_uint_eq(message.result.suspension.attempts, volumes[i].attempts + 1);
        int64_t moved_ms = message.request.now_ms + volumes[i].lasts_ms;
        ck_assert_int_eq(message.result.suspension.until_ms,
                         i == 2 ? NOW + 2 * DAY_MS : moved_ms);
    }
}
END_TEST

/* Who only asks changes nothing: neither the schema nor the mode, nor makes a file. */
START_TEST(test_check_leaves_all_as_it_is)
{
    struct problem why;
    struct stat file;
    backend_begin(BACKEND_SQLITE);
    send_messages(ALICE, "a", 3, NOW, 1);
    ck_assert_int_eq(store_check(backend_url(), TEST_TIMEOUT_MS, &why), 1); /* beside the log */
    become_version_1();
    ck_assert_int_eq(chmod(old_path, 0644), 0);
    ck_assert_int_eq(store_check(old_url, TEST_TIMEOUT_MS, &why), 1);
    ck_assert_int_eq(stat(old_path, &file), 0);
    ck_assert_uint_eq(file.st_mode & 0777, 0644);
    ck_assert_int_eq(number_of(old_path, "PRAGMA user_version"), 1);
    run_sql(old_path, "PRAGMA user_version = 99");
    ck_assert_int_eq(store_check(old_url, TEST_TIMEOUT_MS, &why), 0);
    ck_assert_str_eq(why.where, "store.url");
    ck_assert_ptr_nonnull(strstr(why.text, "newer sendguard"));
    ck_assert_int_eq(unlink(old_path), 0);
    ck_assert_int_eq(store_check(old_url, TEST_TIMEOUT_MS, &why), 1);
    ck_assert_int_ne(access(old_path, F_OK), 0);
    store = backend_open(backend_url(), TEST_TIMEOUT_MS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store schema");
    TCase *cases = backends_case(suite, "schema");
    tcase_add_test(cases, test_everything_is_kept);
    tcase_add_test(cases, test_check_leaves_all_as_it_is);
    tcase_add_test(cases, test_audit_log_stays);
    tcase_add_test(cases, test_all_or_nothing);
    tcase_add_test(cases, test_opened_by_many);
    tcase_add_test(cases, test_no_index_on_admitted);
    tcase_add_test(cases, test_version_2_gets_tickets);
    tcase_add_test(cases, test_version_3_gets_attempts);
    return backends_run(suite);
}
