/* SQLite's write-ahead log at full load: it is copied back, stays bounded, and
 * nobody waits for it; with readers that stay, and on a disk that is full. */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "store/records.h"
#include "tests/unit/store/backends.h"

enum { THREADS = 16, MESSAGES = 20000, MAILBOXES = 5000, MEGABYTE = 1 << 20 };
/* The default of store.timeout; a sanitizer's build shows faults, not speed. */
enum { ANSWER_MS = SANITIZED ? 10000 : 250, MANY = SANITIZED ? MESSAGES : 2 * MESSAGES };
/* What docs/store.md says of a disk of usual speed; and more where syncs are slowed down. */
enum { LOG_END = 25 * MEGABYTE, LOG_END_SLOWLY = 32 * MEGABYTE,
       LOG_END_STALLING = 64 * MEGABYTE };

/* ---- what goes to the disk ---------------------------------------------------- */

/* Each takes so long; every third one of the database file longer. */
static _Atomic int syncs, database_syncs, sync_ms, stall_ms;

static bool is_log(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    return length >= 4 && memcmp(path + length - 4, "-wal", 4) == 0;
}

static void take_as_long_as_a_slow_disk(int fd)
{
    int ms = sync_ms;
    atomic_fetch_add(&syncs, 1);
    if (stall_ms > 0 && !is_log(fd) && atomic_fetch_add(&database_syncs, 1) % 3 == 1)
        ms = stall_ms;
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

/* In the place of the C library's: SQLite calls these. */
int fsync(int fd)
{
    take_as_long_as_a_slow_disk(fd);
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    take_as_long_as_a_slow_disk(fd);
    return (int)syscall(SYS_fdatasync, fd);
}

static int64_t size_of(struct arena *own, const char *suffix)
{
    struct stat file;
    const char *path = arena_printf(own, "%s%s", backend_url() + strlen("sqlite://"), suffix);
    return stat(path, &file) == 0 ? (int64_t)file.st_size : 0;
}

/* ---- full load ------------------------------------------------------------------ */

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct load {
    const char *prefix;
    int messages, threads;
    struct store *other; /* as another program would have it: every second thread's */
    _Atomic int next, admitted, started;
    _Atomic int64_t slowest_us, longest_log;
};

static void keep_greatest(_Atomic int64_t *greatest, int64_t number)
{
    int64_t before = *greatest;
    while (number > before && !atomic_compare_exchange_weak(greatest, &before, number))
        ;
}

static void *send_load(void *context)
{
    struct load *load = context;
    struct arena *own = arena_new();
    bool second = atomic_fetch_add(&load->started, 1) % 2 == 1;
    struct store *to = second && load->other != NULL ? load->other : store;
    int number;
    while ((number = atomic_fetch_add(&load->next, 1)) < load->messages) {
        struct message message =
            message_of(arena_printf(own, "user%d@example.test", number * 7919 % MAILBOXES),
                       arena_printf(own, "%s-%d", load->prefix, number), NOW + number);
        message.request.arena = own;
        message.request.ip = arena_printf(own, "192.0.2.%d", number % 250);
        message.request.windows[2].limit = LIMIT_OFF;
        int64_t began_us = now_us();
        if (store_judge(to, &message.request,
                        &message.result) > 0 && message.result.outcome == OUTCOME_ADMITTED)
            atomic_fetch_add(&load->admitted, 1);
        keep_greatest(&load->slowest_us, now_us() - began_us);
        if (number % 16 == 0)
            keep_greatest(&load->longest_log, size_of(own, "-wal"));
        arena_reset(own);
    }
    arena_free(&own);
    return NULL;
}

static void run_load(struct load *load)
{
    pthread_t threads[THREADS];
    int64_t began_us = now_us();
    syncs = 0;
    for (int i = 0; i < load->threads; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, send_load, load), 0);
    for (int i = 0; i < load->threads; i++)
        pthread_join(threads[i], NULL);
    printf("%d of %d messages in %d ms, the slowest %d ms, log %lld KB, database %lld KB, "
           "%d syncs\n", load->admitted, load->messages, (int)((now_us() - began_us) / 1000),
           (int)(load->slowest_us / 1000), (long long)load->longest_log / 1024,
           (long long)size_of(arena, "") / 1024, syncs);
    fflush(stdout);
}

/* Other programs share the disk and the processors: of ten loads, each on a new database, one must
 * be free of them. With `programs` 2, each copies the log back, and both commit to it. */
static void assert_nobody_waits(struct load load, int programs, int64_t log_end)
{
    bool held = false;
    for (int run = 0; run < 10 && !held; run++) {
        struct load again = load;
        if (run > 0)
            backend_end();
        backend_begin(BACKEND_SQLITE);
        if (programs == 2)
            again.other = backend_open(backend_url(), TEST_TIMEOUT_MS);
        run_load(&again);
        store_free(&again.other);
        ck_assert_int_eq(again.admitted, load.messages);
        ck_assert_int_gt(syncs, SANITIZED ? 0 : 6);
        ck_assert_int_gt(size_of(arena, ""), MEGABYTE);
        held = again.slowest_us < ANSWER_MS * 1000 && again.longest_log < log_end;
    }
    ck_assert(held);
}

START_TEST(test_copied_back)
{
    assert_nobody_waits((struct load){.prefix = "a", .messages = MESSAGES, .threads = THREADS}, 1,
                        LOG_END);
}
END_TEST

START_TEST(test_two_programs)
{
    assert_nobody_waits((struct load){.prefix = "b", .messages = MESSAGES / 2, .threads = THREADS},
                        2, LOG_END);
}
END_TEST

START_TEST(test_slow_disk)
{
    sync_ms = 20;
    assert_nobody_waits((struct load){.prefix = "c", .messages = MANY, .threads = THREADS},
                        1, LOG_END_SLOWLY);
    sync_ms = 0;
}
END_TEST

/* A disk that is quick but stalls, as when other programs write, makes nobody wait as long. */
START_TEST(test_stalling_disk)
{
    stall_ms = 2 * ANSWER_MS;
    assert_nobody_waits((struct load){.prefix = "i", .messages = MANY, .threads = THREADS},
                        1, LOG_END_STALLING);
    stall_ms = 0;
}
END_TEST

/* While somebody reads an old state, the log keeps what came since, and nobody waits; then it
 * begins anew and gives its space back. */
START_TEST(test_reader_that_stays)
{
    struct load load = {.prefix = "d", .messages = MANY, .threads = THREADS};
    sqlite3 *reader;
    backend_begin(BACKEND_SQLITE);
    send_messages("reader@example.test", "r", 1, NOW, 0);
    ck_assert_int_eq(sqlite3_open(backend_url() + strlen("sqlite://"), &reader), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM history_head", NULL, NULL, NULL),
                     SQLITE_OK);
    run_load(&load);
    ck_assert_int_eq(load.admitted, load.messages);
    ck_assert_int_lt(load.slowest_us, TEST_TIMEOUT_MS * 1000 / 2); /* far from a wait for the reader */
    ck_assert_int_gt(load.longest_log, (SANITIZED ? 16 : 32) * MEGABYTE);
    ck_assert_int_eq(sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(reader);
    int64_t until_us = now_us() + 20000000;
    for (int i = 0; (size_of(arena, "-wal") > 30 * MEGABYTE || size_of(arena, "") <= MEGABYTE) &&
                    now_us() < until_us; i++)
        send_messages("reader@example.test", arena_printf(arena, "r%d", i % 500), 1,
                      NOW + i * DAY_MS, 0);
    ck_assert_int_le(size_of(arena, "-wal"), 30 * MEGABYTE);
    ck_assert_int_gt(size_of(arena, ""), MEGABYTE);
}
END_TEST

static void *run_load_beside(void *load)
{
    run_load(load);
    return NULL;
}

/* A copy made in the way that the documents say, under load: it ends, and is a store. */
START_TEST(test_backup)
{
    struct load load = {.prefix = "h", .messages = MESSAGES / 2, .threads = THREADS};
    pthread_t beside;
    sqlite3 *db;
    backend_begin(BACKEND_SQLITE);
    send_messages("backup@example.test", "b", 3, NOW, 0);
    const char *url = arena_printf(arena, "%s.copy", backend_url());
    const char *sql = arena_printf(arena, "VACUUM INTO '%s'", url + strlen("sqlite://"));
    ck_assert_int_eq(pthread_create(&beside, NULL, run_load_beside, &load), 0);
    while (load.next < load.messages / 4)
        sched_yield();
    ck_assert_int_eq(sqlite3_open(backend_url() + strlen("sqlite://"), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    pthread_join(beside, NULL);
    ck_assert_int_eq(load.admitted, load.messages);
    store_free(&store);
    store = backend_open(url, TEST_TIMEOUT_MS);
    ck_assert_uint_eq(used_of("backup@example.test", RULE_MESSAGES_PER_DAY, NOW), 3);
    send_messages("backup@example.test", "c", 1, NOW, 0);
}
END_TEST

/* ---- a full disk ------------------------------------------------------------------ */

/* A small one of this test's own at `folder`; false where that is not allowed. */
static bool mount_small(const char *at, const char *size)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", at, "tmpfs", 0, size) == 0;
}

static void fill_disk(const char *path)
{
    static char bytes[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    while (write(fd, bytes, sizeof bytes) > 0)
        ;
    close(fd);
}

static uint64_t count_all(const char *prefix, int64_t at_ms)
{
    uint64_t all = 0;
    for (int i = 0; i < MAILBOXES; i++) {
        struct account account;
        ck_assert_int_eq(store_account(store, arena,
                                       arena_printf(arena, "%s%d@example.test", prefix, i), at_ms,
                                       &account), 1);
        all += account.history.count;
        arena_reset(arena);
    }
    return all;
}

/* 24 MB take more messages than their log is long; what is refused while nothing is left is
 * taken when there is space again, and nothing that was answered is lost. */
START_TEST(test_full_disk)
{
    struct load load = {.prefix = "e", .messages = 6000, .threads = 2};
    struct load full = {.prefix = "f", .messages = 6000, .threads = 2};
    struct load after = {.prefix = "g", .messages = 6000, .threads = 2};
    if (!mount_small(folder, "size=24m")) {
        printf("skipped: no mounts of one's own here\n");
        return;
    }
    backend_begin(BACKEND_SQLITE);
    char ballast[FOLDER_SIZE + 16];
    snprintf(ballast, sizeof ballast, "%s/ballast", folder);
    run_load(&load);
    ck_assert_int_eq(load.admitted, load.messages);
    fill_disk(ballast);
    run_load(&full);
    ck_assert_int_lt(full.admitted, full.messages);
    ck_assert_msg(strstr(store_error(store), "full") != NULL || store_error(store)[0] == '\0',
                  "%s", store_error(store));
    ck_assert_int_eq(unlink(ballast), 0);
    run_load(&after);
    ck_assert_int_eq(after.admitted, after.messages);
    ck_assert_int_lt(after.longest_log, 20 * MEGABYTE);
    ck_assert_uint_eq(count_all("user", NOW + after.messages),
                      (uint64_t)load.admitted + (uint64_t)full.admitted +
                          (uint64_t)after.admitted);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store log");
    TCase *cases = backends_case(suite, "log");
    tcase_add_test(cases, test_copied_back);
    tcase_add_test(cases, test_two_programs);
    tcase_add_test(cases, test_slow_disk);
    tcase_add_test(cases, test_stalling_disk);
    tcase_add_test(cases, test_reader_that_stays);
    tcase_add_test(cases, test_backup);
    tcase_add_test(cases, test_full_disk);
    return suite;
}

int main(void) { return backends_run(suite()); }
