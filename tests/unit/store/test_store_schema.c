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
#include "tests/unit/store/schema_4.h"

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

/* What version 1 knew of it. */
static const char copy[] =
    "INSERT INTO hash_key SELECT * FROM four.hash_key;"
    "INSERT INTO history SELECT * FROM four.history; INSERT INTO chunk SELECT * FROM four.chunk;"
    "INSERT INTO chunk_ids SELECT * FROM four.chunk_ids;"
    "INSERT INTO admitted SELECT * FROM four.admitted;"
    "INSERT INTO refused SELECT id, at_ms, outcome, used, facts, keep_ms FROM four.refused;"
    "INSERT INTO suspension SELECT id, mailbox, cause, since_ms, until_ms, attempts, offence, \"by\","
    " note, ended_ms FROM four.suspension;"
    "INSERT INTO adjustment SELECT * FROM four.adjustment;"
    "INSERT INTO audit SELECT * FROM four.audit; INSERT INTO hand SELECT * FROM four.hand;";

static const struct store_options test_options = {.timeout_ms = TEST_TIMEOUT_MS};
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

/* What the earlier versions had not. */
static const char back_to_10[] =
    "DROP INDEX value_listed; CREATE INDEX value_listed ON value (kind, key)"
    " WHERE kind IN (0, 1, 7, 9, 11, 12, 13, 14, 15, 16, 17, 18, 25); PRAGMA user_version = 10;";
static const char back_to_9[] =
    "DROP INDEX value_listed; CREATE INDEX value_listed ON value (kind, key)"
    " WHERE kind IN (0, 1, 7, 9, 11, 12, 13, 14, 15, 16, 17, 18); PRAGMA user_version = 9;";
static const char back_to_8[] = "DROP TABLE pair; PRAGMA user_version = 8;";
static const char back_to_7[] =
    "DROP INDEX value_listed; CREATE INDEX value_listed ON value (kind, key) WHERE kind <= 1;"
    "PRAGMA user_version = 7;";
static const char back_to_6[] =
    "DROP TABLE value; PRAGMA user_version = 6;";
static const char back_to_5[] =
    "DROP TABLE head_log; ALTER TABLE history_head RENAME TO history; PRAGMA user_version = 5;";
static const char back_to_3[] =
    "ALTER TABLE suspension DROP COLUMN lasts_ms; ALTER TABLE suspension DROP COLUMN tried;"
    "PRAGMA user_version = 3;";
static const char back_to_2[] = "DROP TABLE ticket; PRAGMA user_version = 2;";

/* The database of schema_4.h, as that version would have left it, is at old_url; no store is
 * open. */
static void make_old(int version)
{
    backend_begin(BACKEND_SQLITE);
    store_free(&store);
    snprintf(old_path, sizeof old_path, "%s.%d", backend_url() + strlen("sqlite://"), version);
    snprintf(old_url, sizeof old_url, "sqlite://%s", old_path);
    if (version == 1) {
        const char *four = arena_printf(arena, "%s.four", old_path);
        run_sql(four, schema_4);
        run_sql(old_path, version_1);
        run_sql(old_path, arena_printf(arena, "ATTACH '%s' AS four; %s", four, copy));
        return;
    }
    run_sql(old_path, schema_4);
    if (version > 4) {
        store = backend_open(old_url, TEST_TIMEOUT_MS);
        store_free(&store);
        run_sql(old_path, version == 10 ? back_to_10 : back_to_9);
        if (version < 9)
            run_sql(old_path, back_to_8);
        if (version < 8)
            run_sql(old_path, version == 7 ? back_to_7 : back_to_6);
    }
    if (version == 5)
        run_sql(old_path, back_to_5);
    if (version < 4)
        run_sql(old_path, back_to_3);
    if (version < 3)
        run_sql(old_path, back_to_2);
}

enum { VERSION = 11, OLD_VERSIONS = 10, LATER_MS = 60000 };
enum { FORWARDED = 26, REFUSED = 27, NAMELESS = 28, BROKEN = 29 };

/* The ids of schema_4.h: message i of alice's, the late one and the others by their number. */
static uint64_t id_of(int second, int number)
{
    return UINT64_C(194986062643200000) + (uint64_t)second * 1048576000 + (uint64_t)number;
}

static void assert_records_of_alice(uint64_t newest)
{
    struct record records[32];
    struct store_page page = {.max = countof(records)};
    size_t at = 0;
    ck_assert_int_eq(
        store_decisions(store, arena, ALICE, UINT64_MAX, NOW + LATER_MS, records, &page), 1);
    ck_assert_uint_eq(page.count, newest != 0 ? 28 : 27);
    if (newest != 0)
        ck_assert_uint_eq(records[at++].decision, newest);
    ck_assert_uint_eq(records[at++].decision, id_of(25, REFUSED));
    ck_assert_uint_eq(records[at++].decision, id_of(24, FORWARDED));
    for (int i = 23; i >= 0; i--) {
        if (i == 18)
            ck_assert_uint_eq(records[at++].decision, id_of(18, 25)); /* the late one */
        ck_assert_uint_eq(records[at].decision, id_of(i, i + 1));
        ck_assert_int_eq(records[at].at_ms, NOW + i * 1000);
        ck_assert_int_eq(records[at].outcome, OUTCOME_ADMITTED);
        ck_assert_int_eq(records[at].windows[1].rule, RULE_OFF_DOMAIN_PER_DAY);
        ck_assert_uint_eq(records[at].windows[1].used_before, (uint64_t)(2 * i));
        ck_assert_ptr_nonnull(strstr(records[at++].facts, arena_printf(arena, "\"a-%d\"", i)));
    }
    page.max = 2; /* and a page of them */
    ck_assert_int_eq(store_decisions(store, arena, ALICE, id_of(18, 25), NOW + LATER_MS, records,
                                     &page), 1);
    ck_assert_uint_eq(page.count, 2);
    ck_assert(page.more);
    ck_assert_uint_eq(records[0].decision, id_of(18, 19));
}

static uint64_t used_of_ip(enum channel channel, const char *ip)
{
    struct message message = message_of("dave@example.test", "dry", NOW + LATER_MS);
    message.request.channel = channel;
    message.request.ip = ip;
    message.request.dry_run = true;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    return seen_of(&message, RULE_OFF_DOMAIN_PER_HOUR_PER_IP)->used_before;
}

START_TEST(test_records_are_kept)
{
    struct record records[8];
    struct store_page page = {.max = countof(records)};
    int version = _i + 1;
    make_old(version);
    store = backend_open(old_url, TEST_TIMEOUT_MS);
    ck_assert_int_eq(backend_sqlite_number(old_path, "PRAGMA user_version"), VERSION);
    assert_records_of_alice(0);
    struct message more = message_of(ALICE, "more", NOW + LATER_MS);
    ck_assert_int_eq(judge(&more), OUTCOME_ADMITTED);
    assert_records_of_alice(more.request.decision);
    ck_assert_int_eq(store_record(store, arena, id_of(26, NAMELESS), NOW + LATER_MS, records), 1);
    ck_assert_int_eq(store_record(store, arena, id_of(27, BROKEN), NOW + LATER_MS, records), 1);
    ck_assert_str_eq(records[0].facts, "no JSON");
    ck_assert_uint_eq(records[0].facts_length, 7);
    ck_assert_int_eq(records[0].outcome, OUTCOME_REJECTED);
    ck_assert_int_eq(
        store_decisions(store, arena, BOB, UINT64_MAX, NOW + LATER_MS, records, &page), 1);
    ck_assert_uint_eq(page.count, version == 1 ? 0 : 2); /* their facts name nobody */
    ck_assert_int_eq(
        store_decisions(store, arena, NULL, UINT64_MAX, NOW + LATER_MS, records, &page), 1);
    ck_assert_uint_eq(page.count, countof(records));
    ck_assert_uint_eq(records[0].decision, more.request.decision);
    ck_assert_uint_eq(records[2].decision, id_of(27, BROKEN));
    ck_assert_int_eq(
        store_passed(store, arena, id_of(23, 24), NOW + LATER_MS, records, &page), 1);
    ck_assert_uint_eq(records[0].decision, id_of(24, FORWARDED));
    ck_assert_uint_eq(records[page.count - 1].decision, more.request.decision);
    ck_assert(!page.more);
}
END_TEST

/* Each record goes at its own end. */
START_TEST(test_old_records_go)
{
    struct record record;
    make_old(_i + 1);
    store = backend_open(old_url, TEST_TIMEOUT_MS);
    int64_t admitted_ms = NOW + 2 * DAY_MS, refused_ms = NOW + 25000 + 30 * DAY_MS;
    ck_assert_int_eq(store_record(store, arena, id_of(0, 1), admitted_ms - 1, &record), 1);
    ck_assert_int_eq(store_record(store, arena, id_of(0, 1), admitted_ms, &record), 0);
    ck_assert_int_eq(store_sweep(store, admitted_ms), 1);
    ck_assert_int_eq(backend_sqlite_number(old_path, "SELECT count(*) FROM older_admitted"), 26);
    ck_assert_int_eq(store_sweep(store, refused_ms), 1);
    ck_assert_int_eq(backend_sqlite_number(old_path, "SELECT count(*) FROM older_admitted"), 0);
    ck_assert_int_eq(backend_sqlite_number(old_path, "SELECT count(*) FROM older_refused"), 2);
}
END_TEST

START_TEST(test_counts_are_kept)
{
    make_old(_i + 1);
    store = backend_open(old_url, TEST_TIMEOUT_MS);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + LATER_MS), 25);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW + LATER_MS), 50);
    ck_assert_uint_eq(used_of_ip(CHANNEL_WEBMAIL, "192.0.2.1"), 26);
    ck_assert_uint_eq(used_of_ip(CHANNEL_SMTP, "192.0.2.1"), 2);
    struct message again = message_of(ALICE, "a-3", NOW + LATER_MS); /* of the chunk */
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    again = message_of(ALICE, "late", NOW + LATER_MS);
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    ck_assert_int_eq(store_refund(store, ALICE, "a-2", NOW + LATER_MS), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "a-23", NOW + LATER_MS), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "a-1", NOW + LATER_MS), 1); /* without an IP */
    ck_assert_int_eq(store_refund(store, ALICE, "a-2", NOW + LATER_MS), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + LATER_MS), 22);
    ck_assert_uint_eq(used_of_ip(CHANNEL_WEBMAIL, "192.0.2.1"), 24);
    again = message_of(ALICE, "a-4", NOW + LATER_MS);
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + DAY_MS + 22999), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + DAY_MS + 23000), 0);
}
END_TEST

START_TEST(test_all_else_is_kept)
{
    struct audit log[8];
    struct adjustment adjustment;
    struct account account;
    struct store_page page = {.max = 1};
    make_old(_i + 1);
    store = backend_open(old_url, TEST_TIMEOUT_MS);
    ck_assert_int_eq(store_account(store, arena, BOB, NOW + 300, &account), 1);
    ck_assert_int_eq(account.suspensions.of[0].id, 1);
    ck_assert_int_eq(account.suspensions.of[0].cause, CAUSE_TERMS);
    ck_assert_int_eq(store_adjustments(store, 0, &adjustment, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_int_eq(adjustment.value, 5);
    page.max = 8;
    ck_assert_int_eq(store_audit_newest(store, BOB, INT64_MAX, log, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_str_eq(log[0].action, "suspend");
}
END_TEST

/* A ticket had a longer id. */
START_TEST(test_tickets_are_kept)
{
    static const char carol[] = "carol@example.test";
    make_old(4);
    store = backend_open(old_url, TEST_TIMEOUT_MS);
    struct message asked = message_of(carol, "asked", NOW + LATER_MS);
    asked.request.redeem = 4;
    ck_assert_int_eq(judge(&asked), OUTCOME_REDEEMED);
    ck_assert_int_eq(store_refund(store, carol, "ticketed", NOW + LATER_MS), 0);
    backend_end();
    ck_assert_int_eq(unlink(old_path), 0);
    make_old(4);
    store = backend_open(old_url, TEST_TIMEOUT_MS);
    ck_assert_int_eq(store_refund(store, carol, "ticketed", NOW + LATER_MS), 1);
    asked = message_of(carol, "asked", NOW + LATER_MS);
    asked.request.redeem = 4;
    ck_assert_int_eq(judge(&asked), OUTCOME_ADMITTED);
}
END_TEST

/* The log stays append-only, under whatever version. */
START_TEST(test_audit_log_stays)
{
    sqlite3 *db;
    make_old(1);
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
    make_old(1);
    run_sql(old_path, "CREATE TABLE counter (in_the_way)");
    store = backend_open(old_url, TEST_TIMEOUT_MS);
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW + LATER_MS, &account), -1);
    ck_assert_ptr_nonnull(strstr(store_error(store), "counter"));
    ck_assert_int_eq(backend_sqlite_number(old_path, "PRAGMA user_version"), 1);
    ck_assert_int_eq(backend_sqlite_number(old_path, "SELECT count(*) FROM pragma_table_info('refused')"
                                         " WHERE name = 'mailbox'"),
                     0);
    run_sql(old_path, "DROP TABLE counter");
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW + LATER_MS, &account), 1);
    ck_assert_uint_eq(account.history.count, 25);
    ck_assert_int_eq(backend_sqlite_number(old_path, "PRAGMA user_version"), VERSION);
}
END_TEST

static void *open_and_look(void *count_r)
{
    struct account account;
    struct arena *own = arena_new();
    struct problem problem;
    struct store *opened = NULL;
    if (store_open(old_url, &test_options, &opened, &problem) == 1 &&
        store_account(opened, own, ALICE, NOW + LATER_MS, &account) == 1)
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
    make_old(1);
    for (size_t i = 0; i < countof(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_look, &counts[i]), 0);
    for (size_t i = 0; i < countof(threads); i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < countof(threads); i++)
        ck_assert_uint_eq(counts[i], 25);
}
END_TEST

/* An admitted message pays for no index: that is the hot path. */
START_TEST(test_no_index_on_admitted)
{
    backend_begin(BACKEND_SQLITE);
    const char *path = backend_url() + strlen("sqlite://");
    ck_assert_int_eq(backend_sqlite_number(path, "SELECT count(*) FROM sqlite_schema WHERE type = 'index'"
                                     " AND tbl_name = 'admitted'"),
                     0);
}
END_TEST

/* Version 2 had no tickets. */
START_TEST(test_version_2_gets_tickets)
{
    make_old(2);
    store = backend_open(old_url, TEST_TIMEOUT_MS);
    struct message message = message_of(ALICE, "ticketed", NOW + LATER_MS);
    message.request.ticket = 4;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    struct message asked = message_of(ALICE, "asked", NOW + LATER_MS);
    asked.request.redeem = 4;
    ck_assert_int_eq(judge(&asked), OUTCOME_REDEEMED);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + LATER_MS), 26);
}
END_TEST

/* Version 3 knew neither how long a suspension lasted first nor which messages were tried. */
START_TEST(test_version_3_gets_attempts)
{
    static const struct {
        const char *mailbox;
        unsigned attempts;
        int64_t lasts_ms, moved_by_ms;
    } volumes[] = {{"short@example.test", 3, HOUR_MS, HOUR_MS},
                   {"long@example.test", 3, 2 * DAY_MS, 2 * DAY_MS},
                   {"moved@example.test", 12, 2 * DAY_MS, DAY_MS}};
    make_old(3);
    for (size_t i = 0; i < countof(volumes); i++)
        run_sql(old_path,
                arena_printf(arena,
                             "INSERT INTO suspension (mailbox, cause, since_ms, until_ms, attempts,"
                             " offence, \"by\", note)"
                             " VALUES ('%s', 'volume', %lld, %lld, %u, 1, 'agnes', '')",
                             volumes[i].mailbox, (long long)NOW,
                             (long long)(NOW + volumes[i].lasts_ms), volumes[i].attempts));
    store = backend_open(old_url, TEST_TIMEOUT_MS);
    for (size_t i = 0; i < countof(volumes); i++) {
        struct message message = message_of(volumes[i].mailbox, "x", NOW + HOUR_MS - 1);
        message.request.retries_before_restart = 1;
        message.request.attempt = 1;
        ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
        ck_assert_uint_eq(message.result.suspensions.of[0].attempts, volumes[i].attempts + 1);
        int64_t moved_ms = message.request.now_ms + volumes[i].moved_by_ms;
        ck_assert_int_eq(message.result.suspensions.of[0].until_ms,
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
    ck_assert_int_eq(store_check(backend_url(), &test_options, &why), 1); /* beside the log */
    ck_assert_str_eq(why.text, "");
    backend_end();
    make_old(1);
    ck_assert_int_eq(chmod(old_path, 0644), 0);
    ck_assert_int_eq(store_check(old_url, &test_options, &why), 1);
    ck_assert_ptr_nonnull(strstr(why.text, "an earlier version"));
    ck_assert_int_eq(stat(old_path, &file), 0);
    ck_assert_uint_eq(file.st_mode & 0777, 0644);
    ck_assert_int_eq(backend_sqlite_number(old_path, "PRAGMA user_version"), 1);
    run_sql(old_path, "PRAGMA user_version = 99");
    ck_assert_int_eq(store_check(old_url, &test_options, &why), 0);
    ck_assert_str_eq(why.where, "store.url");
    ck_assert_ptr_nonnull(strstr(why.text, "newer sendguard"));
    ck_assert_int_eq(unlink(old_path), 0);
    ck_assert_int_eq(store_check(old_url, &test_options, &why), 1);
    ck_assert_int_ne(access(old_path, F_OK), 0);
    store = backend_open(backend_url(), TEST_TIMEOUT_MS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store schema");
    TCase *cases = backends_case(suite, "schema");
    tcase_add_loop_test(cases, test_records_are_kept, 0, OLD_VERSIONS);
    tcase_add_loop_test(cases, test_old_records_go, 0, OLD_VERSIONS);
    tcase_add_loop_test(cases, test_counts_are_kept, 0, OLD_VERSIONS);
    tcase_add_loop_test(cases, test_all_else_is_kept, 0, OLD_VERSIONS);
    tcase_add_test(cases, test_tickets_are_kept);
    tcase_add_test(cases, test_check_leaves_all_as_it_is);
    tcase_add_test(cases, test_audit_log_stays);
    tcase_add_test(cases, test_all_or_nothing);
    tcase_add_test(cases, test_opened_by_many);
    tcase_add_test(cases, test_no_index_on_admitted);
    tcase_add_test(cases, test_version_2_gets_tickets);
    tcase_add_test(cases, test_version_3_gets_attempts);
    return backends_run(suite);
}
