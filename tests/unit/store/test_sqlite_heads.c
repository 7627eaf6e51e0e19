/* Heads of histories, written behind: several programs on one file against a map of what was put,
 * whoever commits, rolls back, stops, or writes back, and whatever state of the file is restored. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/sqlite/sqlite.h"
#include "tests/unit/store/backends.h"
#include "tests/unit/store/chance.h"

/* More heads than a transaction writes back, and several rounds of writing. */
enum { PROGRAMS = 3, IDS = 6 * HEADS_WRITTEN_AT_ONCE, IDS_MAX = 120 * HEADS_WRITTEN_AT_ONCE, STEPS = 2000, LENGTH_MAX = 3000,
       LONG = 19000, TIMEOUT_MS = 10000 };

static char home[FOLDER_SIZE], path[FOLDER_SIZE + 8], backup_path[FOLDER_SIZE + 16];
static struct sqlite_backend *programs[PROGRAMS];

/* What is true: the length of each head (0: none) and the byte that it is filled with. */
struct truth {
    size_t length[IDS_MAX];
    uint8_t byte[IDS_MAX];
};
static struct truth truth, backed_up;

static struct sqlite_backend *opened(void)
{
    const struct store_options options = {.timeout_ms = TIMEOUT_MS};
    struct sqlite_backend *backend =
        sqlite_backend(sqlite_backend_new(path, &options, true));
    ck_assert_ptr_nonnull(backend->db);
    return backend;
}

static void stop(int program)
{
    struct backend *backend = &programs[program]->base;
    backend->operations->free(backend);
    programs[program] = NULL;
}

static void set_up(void)
{
    folder_make(home);
    snprintf(path, sizeof path, "%s/db", home);
    snprintf(backup_path, sizeof backup_path, "%s.backup", path);
    truth = (struct truth){0};
    for (int i = 0; i < PROGRAMS; i++)
        programs[i] = opened();
}

static void tear_down(void)
{
    for (int i = 0; i < PROGRAMS; i++)
        if (programs[i] != NULL)
            stop(i);
    ck_assert_int_eq(unlink(path), 0);
    unlink(backup_path);
    ck_assert_int_eq(rmdir(home), 0);
}

/* ---- what is there -------------------------------------------------------------- */

static void assert_head(const struct head *head, int id, const struct truth *expected)
{
    char key[16];
    snprintf(key, sizeof key, "key %d", id);
    ck_assert_uint_eq(head->key_length, strlen(key));
    ck_assert_mem_eq(head->key, key, strlen(key));
    ck_assert_uint_eq(head->length, expected->length[id]);
    for (size_t i = 0; i < head->length; i++)
        if (head->data[i] != expected->byte[id])
            ck_abort_msg("head %d has another's data", id);
}

static void assert_one(struct sqlite_backend *backend, int id, const struct truth *expected)
{
    struct head head;
    int found = sqlite_heads_get(backend, id + 1, &head);
    ck_assert_int_eq(found, expected->length[id] > 0);
    if (found > 0)
        assert_head(&head, id, expected);
}

static void assert_all(struct sqlite_backend *backend)
{
    ck_assert_int_eq(sqlite_begin(backend, false), 1);
    for (int id = 0; id < IDS || (id < IDS_MAX && truth.length[id] > 0); id++)
        assert_one(backend, id, &truth);
    ck_assert_int_eq(sqlite_end(backend, 1), 1);
}

static int64_t log_bytes(void)
{
    return backend_sqlite_number(path, "SELECT sum(length(data)) FROM head_log");
}

/* ---- steps ---------------------------------------------------------------------- */

static void put(struct sqlite_backend *backend, struct truth *now, int id, size_t length)
{
    static uint8_t data[LONG];
    char key[16];
    int key_length = snprintf(key, sizeof key, "key %d", id);
    now->length[id] = length;
    now->byte[id] = (uint8_t)chance();
    memset(data, now->byte[id], length);
    const struct head head = {key, (size_t)key_length, data, length};
    ck_assert_int_eq(sqlite_heads_put(backend, id + 1, length > 0 ? &head : NULL), 1);
}

/* Several heads, read and put; now and then it does not take place, and the program reads the log
 * anew. */
static void change(struct sqlite_backend *backend)
{
    struct truth now = truth;
    bool takes_place = below(400) != 0;
    ck_assert_int_eq(sqlite_begin(backend, true), 1);
    for (int i = 1 + below(12); i > 0; i--) {
        assert_one(backend, below(IDS), &now);
        put(backend, &now, below(IDS), percent(10) ? 0 : 1 + (size_t)below(LENGTH_MAX));
    }
    assert_one(backend, below(IDS), &now);
    ck_assert_int_eq(sqlite_end(backend, takes_place ? 1 : -1), takes_place ? 1 : -1);
    if (takes_place)
        truth = now;
}

static void write_all(struct sqlite_backend *backend)
{
    ck_assert_int_eq(sqlite_begin(backend, true), 1);
    ck_assert_int_eq(sqlite_heads_write_all(backend), 1);
    ck_assert_int_eq(sqlite_end(backend, 1), 1);
    ck_assert_int_eq(log_bytes(), 0);
}

/* ---- tests ---------------------------------------------------------------------- */

START_TEST(test_against_a_map)
{
    chance_state = 20261128 + (uint64_t)_i;
    int64_t longest = 0;
    for (int step = 0; step < STEPS; step++) {
        int program = _i == 0 ? 0 : below(PROGRAMS);
        change(programs[program]);
        if (percent(5))
            assert_all(programs[below(PROGRAMS)]);
        if (below(400) == 0) {
            stop(program);
            programs[program] = opened();
        }
        if (step == STEPS / 2)
            write_all(programs[program]);
        if (step % 5 == 0 && log_bytes() > longest)
            longest = log_bytes();
    }
    /* it was written back all the while */
    ck_assert_int_gt(longest, HEADS_LOG_BYTES);
    ck_assert_int_lt(longest, 2 * HEADS_LOG_BYTES);
    write_all(programs[0]);
    for (int i = 0; i < PROGRAMS; i++)
        assert_all(programs[i]);
}
END_TEST

/* One mailbox that sends all the time is written once a round. */
START_TEST(test_one_head)
{
    int64_t longest = 0;
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(sqlite_begin(programs[0], true), 1);
        put(programs[0], &truth, 7, LONG);
        ck_assert_int_eq(sqlite_end(programs[0], 1), 1);
        int64_t bytes = log_bytes();
        ck_assert_int_lt(bytes, HEADS_LOG_BYTES + 2 * LONG);
        if (i > 500 && bytes > longest)
            longest = bytes;
    }
    ck_assert_int_ge(longest, HEADS_LOG_BYTES); /* no round begins before it is time */
    assert_all(programs[1]);
}
END_TEST

/* What a program begins to write back, others end, however short each one lives. */
START_TEST(test_short_programs)
{
    enum { FILL = 8 * HEADS_WRITTEN_AT_ONCE, BYTES = 1100 };
    for (int id = 0; id < FILL; id += HEADS_WRITTEN_AT_ONCE) {
        ck_assert_int_eq(sqlite_begin(programs[1], true), 1);
        for (int i = 0; i < HEADS_WRITTEN_AT_ONCE; i++)
            put(programs[1], &truth, id + i, BYTES);
        ck_assert_int_eq(sqlite_end(programs[1], 1), 1);
    }
    ck_assert_int_gt(log_bytes(), HEADS_LOG_BYTES);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(sqlite_begin(programs[0], true), 1);
        put(programs[0], &truth, i, BYTES);
        ck_assert_int_eq(sqlite_end(programs[0], 1), 1);
        stop(0);
        programs[0] = opened();
    }
    ck_assert_int_lt(log_bytes(), HEADS_LOG_BYTES / 2);
    assert_all(programs[1]);
}
END_TEST

/* Transactions that append more heads than are written at once, each of another mailbox, of several
 * programs by turns: the log becomes no longer. */
START_TEST(test_long_transactions)
{
    enum { EACH = 2 * HEADS_WRITTEN_AT_ONCE, BYTES = 300 };
    for (int id = 0; id < IDS_MAX; id += EACH) {
        struct sqlite_backend *backend = programs[id / EACH % PROGRAMS];
        ck_assert_int_eq(sqlite_begin(backend, true), 1);
        for (int i = 0; i < EACH; i++)
            put(backend, &truth, id + i, BYTES);
        ck_assert_int_eq(sqlite_end(backend, 1), 1);
        ck_assert_int_lt(log_bytes(), 2 * HEADS_LOG_BYTES);
    }
    for (int i = 0; i < PROGRAMS; i++)
        assert_all(programs[i]);
}
END_TEST

static void copy_database(const char *from, const char *to)
{
    sqlite3 *source, *target;
    ck_assert_int_eq(sqlite3_open(from, &source), SQLITE_OK);
    ck_assert_int_eq(sqlite3_open(to, &target), SQLITE_OK);
    sqlite3_busy_timeout(target, TIMEOUT_MS); /* programs copy their log back */
    sqlite3_backup *copying = sqlite3_backup_init(target, "main", source, "main");
    ck_assert_ptr_nonnull(copying);
    int done;
    while ((done = sqlite3_backup_step(copying, -1)) == SQLITE_BUSY)
        ;
    ck_assert_int_eq(done, SQLITE_DONE);
    ck_assert_int_eq(sqlite3_backup_finish(copying), SQLITE_OK);
    sqlite3_close(source);
    sqlite3_close(target);
}

/* sqlite3's `.restore` gives the file an earlier state while programs have it open: none of them
 * counts on what it knows of a later one. */
START_TEST(test_restored)
{
    chance_state = 20261129 + (uint64_t)_i;
    for (int step = 0; step < STEPS / 2; step++) {
        change(programs[below(PROGRAMS)]);
        if (step == 0 || below(60) == 0) {
            copy_database(path, backup_path);
            backed_up = truth;
        } else if (below(30) == 0) {
            copy_database(backup_path, path);
            truth = backed_up;
        }
        if (percent(5))
            assert_all(programs[below(PROGRAMS)]);
    }
    for (int i = 0; i < PROGRAMS; i++)
        assert_all(programs[i]);
}
END_TEST

/* As `cp` would have made it: the schema has the same number. */
static void keep_schema_version(void)
{
    char sql[64];
    sqlite3 *db;
    snprintf(sql, sizeof sql, "PRAGMA schema_version = %lld",
             (long long)backend_sqlite_number(path, "PRAGMA schema_version"));
    ck_assert_int_eq(sqlite3_open(backup_path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* Another file comes in the place of the one that they have open. */
START_TEST(test_replaced)
{
    char old_log[80];
    snprintf(old_log, sizeof old_log, "%s-wal", path);
    for (int i = 0; i < 2 * PROGRAMS; i++) {
        if (i == PROGRAMS) {
            copy_database(path, backup_path);
            keep_schema_version();
            backed_up = truth;
        }
        change(programs[i % PROGRAMS]);
    }
    ck_assert_int_eq(unlink(old_log), 0);
    snprintf(old_log, sizeof old_log, "%s-shm", path);
    ck_assert_int_eq(unlink(old_log), 0);
    ck_assert_int_eq(rename(backup_path, path), 0);
    truth = backed_up;
    for (int i = 0; i < PROGRAMS; i++)
        assert_all(programs[i]);
    for (int i = 0; i < PROGRAMS; i++)
        change(programs[i]);
    assert_all(programs[0]);
}
END_TEST

static void give_pages(struct sqlite_backend *backend, int count)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %d", count);
    ck_assert_int_eq(sqlite3_exec(backend->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* On a disk that is full now and then: a transaction without room leaves nothing, wherever a round of
 * writing back is, and the connection goes on with what it knows. */
START_TEST(test_no_room)
{
    int full = 0;
    chance_state = 20261129;
    for (int step = 0; step < 600; step++) {
        for (int i = below(3); i > 0; i--)
            change(programs[below(PROGRAMS)]);
        assert_all(programs[0]);
        struct truth before = truth;
        give_pages(programs[0], 10);
        sqlite3 *db = programs[0]->db;
        ck_assert_int_eq(sqlite_begin(programs[0], true), 1);
        for (int i = 1 + below(12); i > 0; i--)
            put(programs[0], &truth, below(IDS), percent(10) ? 0 : 1 + (size_t)below(LENGTH_MAX));
        if (sqlite_end(programs[0], 1) < 0) {
            ck_assert_ptr_nonnull(strstr(programs[0]->base.error, "full"));
            ck_assert_ptr_eq(programs[0]->db, db);
            truth = before;
            full++;
        }
        give_pages(programs[0], 1000000);
        if (step % 20 == 0)
            assert_all(programs[below(PROGRAMS)]);
    }
    ck_assert_int_gt(full, 200);
    for (int i = 0; i < PROGRAMS; i++)
        assert_all(programs[i]);
    write_all(programs[0]);
    assert_all(programs[1]);
}
END_TEST

/* A row of the log that says less or more than it holds is no head; nothing is guessed. */
START_TEST(test_damaged_log)
{
    static const char *const rows[] = {"x'00'", "x'0000000000000001000400ff6b'",
                                       "x'000000000000000100010001616200'"};
    change(programs[0]);
    char sql[128];
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    snprintf(sql, sizeof sql, "INSERT INTO head_log VALUES (1000, %s, 0, -1)", rows[_i]);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    struct head head;
    ck_assert_int_eq(sqlite_begin(programs[1], false), 1);
    ck_assert_int_eq(sqlite_heads_get(programs[1], 1, &head), -1);
    ck_assert_int_eq(sqlite_end(programs[1], -1), -1);
    ck_assert_ptr_nonnull(strstr(programs[1]->base.error, "head_log 1000 is damaged"));
    ck_assert_int_eq(sqlite3_exec(db, "DELETE FROM head_log WHERE id = 1000", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    assert_all(programs[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite_heads");
    TCase *cases = tcase_create("heads");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_loop_test(cases, test_against_a_map, 0, 2);
    tcase_add_test(cases, test_one_head);
    tcase_add_test(cases, test_short_programs);
    tcase_add_test(cases, test_long_transactions);
    tcase_add_loop_test(cases, test_restored, 0, 2);
    tcase_add_test(cases, test_replaced);
    tcase_add_test(cases, test_no_room);
    tcase_add_loop_test(cases, test_damaged_log, 0, 3);
    tcase_set_timeout(cases, 60);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
