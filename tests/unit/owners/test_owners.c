/* Whose an address is: files, a socketmap server, postmap of Postfix. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/owner_source.h"
#include "base/text.h"
#include "owners/owners.h"
#include "owners/owners_file.h"
#include "owners/owners_socketmap.h"
#include "tests/unit/store/servers.h"

#define ALICE "alice@example.test"
#define BOB "bob@example.test"

enum { PLENTY_MS = 20000 }; /* for an answer, on a machine that has much else to do */

static char folder[FOLDER_SIZE];
static char *socket_path, *table, *questions;
static struct owners *owners;
static struct arena *arena;
static int64_t now_ms = 1000000; /* monotonic, as the test has it */
static pid_t server;
static int keeps_alive = -1;

static void write_file(const char *path, const char *text)
{
    freed_by(free_string) char *whole = xasprintf("%s.new", path);
    FILE *file = fopen(whole, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(rename(whole, path), 0);
}

static void set_up(void)
{
    folder_make(folder);
    socket_path = xasprintf("%s/map.sock", folder);
    table = xasprintf("%s/table", folder);
    questions = xasprintf("%s/questions", folder);
    arena = arena_new();
}

static void stop_server(void)
{
    if (server == 0)
        return;
    close(keeps_alive);
    waitpid(server, NULL, 0);
    unlink(socket_path);
    server = 0;
}

static void tear_down(void)
{
    stop_server();
    owners_release(&owners);
    arena_free(&arena);
    folder_remove(folder);
    free_string(&socket_path);
    free_string(&table);
    free_string(&questions);
}

static void start_server(void)
{
    int in[2], out[2];
    char ready[16];
    ck_assert(pipe(in) == 0 && pipe(out) == 0);
    server = fork();
    if (server == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        execl("/usr/bin/python3", "python3", "tests/socketmap_server.py", socket_path, table,
              questions, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    keeps_alive = in[1];
    ck_assert_int_gt(read(out[0], ready, sizeof ready), 0);
    close(out[0]);
}

/* So many the server was asked. */
static int asked(void)
{
    FILE *file = fopen(questions, "r");
    int lines = 0, byte;
    while (file != NULL && (byte = fgetc(file)) != EOF)
        lines += byte == '\n';
    if (file != NULL)
        fclose(file);
    return lines;
}

static void open_for(int timeout_ms, bool sole, const char *one, const char *other)
{
    char *sources[] = {arena_strdup(arena, one), other != NULL ? arena_strdup(arena, other) : NULL};
    owners_release(&owners);
    owners = owners_new(sources, other != NULL ? 2 : 1, sole, timeout_ms);
}

static void open_owners(bool sole, const char *one, const char *other)
{
    open_for(PLENTY_MS, sole, one, other);
}

static int ask(const char *key, const char *mailbox)
{
    return owners_ask(owners, key, mailbox, now_ms);
}

static const char *file_source(void) { return arena_printf(arena, "file:%s", table); }
static const char *socket_source(void)
{
    return arena_printf(arena, "socketmap:unix:%s:senders", socket_path);
}

/* ---- how sources are named ------------------------------------------------------------------- */

START_TEST(test_sources)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"file:/etc/sendguard/owners", true},
        {"file:owners", false},
        {"file:", false},
        {"socketmap:unix:/run/map.sock:senders", true},
        {"socketmap:unix:run/map.sock:senders", false},
        {"socketmap:unix:/run/map.sock", false},
        {"socketmap:unix:/run/map.sock:", false},
        {"socketmap:inet:localhost:9999:senders", true},
        {"socketmap:inet:[2001:db8::1]:9999:senders", true},
        {"socketmap:inet:[2001:db8::1:9999:senders", false},
        {"socketmap:inet:localhost:0:senders", false},
        {"socketmap:inet:localhost:65536:senders", false},
        {"socketmap:inet:localhost:99x:senders", false},
        {"socketmap:inet:localhost:9999", false},
        {"socketmap:inet::9999:senders", false},
        {"postmap:hash:/etc/postfix/virtual", true},
        {"postmap:proxy:mysql:/etc/postfix/senders.cf", true},
        {"postmap:hash:", false},
        {"postmap:/etc/postfix/virtual", false},
        {"postmap:ha sh:/x", false},
        {"ldap:/x", false},
        {"", false},
    };
    struct owner_source source;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *fault = owner_source_read(rows[i].text, strlen(rows[i].text), &source);
        ck_assert_msg((fault == NULL) == rows[i].good, "%s: %s", rows[i].text, fault);
    }
    const char *last = "socketmap:inet:[2001:db8::1]:9999:send:ers";
    ck_assert_ptr_null(owner_source_read(last, strlen(last), &source));
    ck_assert_str_eq(source.host, "2001:db8::1");
    ck_assert_int_eq(source.port, 9999);
    ck_assert_str_eq(source.name, "send:ers");
    char *far = arena_alloc(arena, 2000);
    memset(far, 'a', 1999);
    memcpy(far, "socketmap:unix:/", 16);
    ck_assert_ptr_nonnull(owner_source_read(far, 1999, &source));
    memcpy(far + 140, ":map", 5);
    ck_assert_ptr_nonnull(owner_source_read(far, strlen(far), &source));
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

START_TEST(test_file)
{
    write_file(table, "# who may write as what\n"
                      "Sales@Example.test alice@EXAMPLE.test, bob@example.test\r\n"
                      "example.test  anything\n"
                      "postmaster bob@example.test\n"
                      "\n"
                      "team@example.test\n"
                      "  alice@example.test\n"
                      "# in between\n"
                      "\tcarol@example.test\n"
                      "@alias.test alice@example.test\n"
                      "hook@example.test |/usr/bin/x alice@example.test\n"
                      "info@b\xc3\xbc" "cher.test alice@example.test");
    open_owners(false, file_source(), NULL);
    ck_assert_int_eq(ask("sales@example.test", ALICE), 1);
    ck_assert_int_eq(ask("sales@example.test", BOB), 1);
    ck_assert_int_eq(ask("sales@example.test", "carol@example.test"), 0);
    ck_assert_int_eq(ask("team@example.test", "carol@example.test"), 1);
    ck_assert_int_eq(ask("postmaster", BOB), 0);
    ck_assert_int_eq(ask("@alias.test", ALICE), 1);
    ck_assert_int_eq(ask("x@alias.test", ALICE), 0);
    ck_assert_int_eq(ask("hook@example.test", ALICE), 1);
    ck_assert_int_eq(ask("info@xn--bcher-kva.test", ALICE), 1);
    ck_assert(owners_know_domain(owners, "alias.test"));
    ck_assert(owners_know_domain(owners, "xn--bcher-kva.test"));
    ck_assert(!owners_know_domain(owners, "bcher.test"));
    const char *addresses[8];
    ck_assert_uint_eq(owners_addresses(owners, arena, ALICE, countof(addresses), addresses), 4);
    ck_assert_str_eq(addresses[0], "hook@example.test");
    ck_assert_str_eq(addresses[3], "team@example.test");
    ck_assert_uint_eq(owners_addresses(owners, arena, ALICE, 2, addresses), 2);
    ck_assert_uint_eq(owners_addresses(owners, arena, "nobody@example.test", 8, addresses), 0);
    open_owners(true, file_source(), NULL);
    ck_assert_int_eq(ask("sales@example.test", ALICE), 0);
    ck_assert_int_eq(ask("hook@example.test", ALICE), 0);
    ck_assert_int_eq(ask("@alias.test", ALICE), 1);
    ck_assert_uint_eq(owners_addresses(owners, arena, ALICE, countof(addresses), addresses), 1);
    ck_assert_str_eq(addresses[0], "info@xn--bcher-kva.test");
}
END_TEST

START_TEST(test_file_faults)
{
    static const struct {
        const char *text;
        int line;
        const char *part;
    } rows[] = {
        {"sales@example.test alice@example.test\n\nteam@example.test\n", 3, "expected an address"},
        {"  alice@example.test\n", 1, "goes on"},
        {"# x\nsales@@example.test alice@example.test\n", 2, "sales@@example.test"},
        {"@ex_ample..test alice@example.test\n", 1, "@ex_ample..test"},
        {"sales@example.test \xff\n", 1, "UTF-8"},
    };
    struct problem problem;
    for (size_t i = 0; i < countof(rows); i++) {
        write_file(table, rows[i].text);
        ck_assert_int_eq(owners_check(file_source(), &problem), 0);
        ck_assert_str_eq(problem.where, arena_printf(arena, "%s:%d", table, rows[i].line));
        ck_assert_msg(strstr(problem.text, rows[i].part) != NULL, "%s", problem.text);
    }
    unlink(table);
    ck_assert_int_eq(owners_check(file_source(), &problem), 0);
    ck_assert_str_eq(problem.text, "No such file or directory");
    ck_assert_int_eq(owners_check(arena_printf(arena, "file:%s", folder), &problem), 0);
    ck_assert_str_eq(problem.text, "it is no file");
    write_file(table, "sales@example.test alice@example.test\n");
    ck_assert_int_eq(owners_check(file_source(), &problem), 1);
}
END_TEST

/* As large as it may be, and one byte or one owner more. */
START_TEST(test_file_limits)
{
    struct problem problem;
    FILE *file = fopen(table, "w");
    for (int i = 0; i < OWNERS_FILE_MAX_PAIRS; i++)
        fprintf(file, "a%d@x.test b@x\n", i);
    fclose(file);
    ck_assert_int_eq(owners_check(file_source(), &problem), 1);
    file = fopen(table, "a");
    fputs("a@x.test b@x\n", file);
    fclose(file);
    ck_assert_int_eq(owners_check(file_source(), &problem), 0);
    ck_assert_str_eq(problem.text, "it has more than 500000 owners of addresses");
    write_file(table, "#");
    ck_assert_int_eq(truncate(table, OWNERS_FILE_MAX_BYTES + 1), 0);
    ck_assert_int_eq(owners_check(file_source(), &problem), 0);
    ck_assert_str_eq(problem.text, "it has more than 16 MiB");
}
END_TEST

START_TEST(test_file_changes)
{
    open_owners(false, file_source(), NULL);
    ck_assert_int_eq(ask("sales@example.test", ALICE), -1);
    write_file(table, "sales@example.test bob@example.test\n");
    ck_assert_int_eq(ask("sales@example.test", BOB), -1); /* looked at a moment ago */
    now_ms += OWNERS_FILE_FRESH_MS;
    ck_assert_int_eq(ask("sales@example.test", BOB), 1);
    write_file(table, "sales@example.test alice@example.test\n");
    now_ms += OWNERS_FILE_FRESH_MS - 1;
    ck_assert_int_eq(ask("sales@example.test", ALICE), 0);
    now_ms++;
    ck_assert_int_eq(ask("sales@example.test", ALICE), 1);
    ck_assert_int_eq(ask("sales@example.test", BOB), 0);
    write_file(table, "sales@example.test\n"); /* damaged: as it was */
    now_ms += OWNERS_FILE_FRESH_MS;
    ck_assert_int_eq(ask("sales@example.test", ALICE), 1);
    unlink(table);
    now_ms += OWNERS_FILE_FRESH_MS;
    ck_assert_int_eq(ask("sales@example.test", ALICE), 1);
}
END_TEST

/* ---- a socketmap server ---------------------------------------------------------------------- */

START_TEST(test_socketmap)
{
    write_file(table, "senders sales@example.test alice@example.test, bob@example.test\n"
                      "senders @alias.test Alice@example.test\n"
                      "other team@example.test alice@example.test\n");
    start_server();
    open_owners(false, socket_source(), NULL);
    ck_assert_int_eq(ask("sales@example.test", ALICE), 1);
    ck_assert_int_eq(ask("@alias.test", ALICE), 1);
    ck_assert_int_eq(ask("team@example.test", ALICE), 0);
    ck_assert_int_eq(ask("sales@example.test", "carol@example.test"), 0);
    ck_assert_int_eq(asked(), 4);
    ck_assert(owners_know_domain(owners, "example.test"));
    ck_assert(!owners_know_domain(owners, "else.test"));
    open_owners(true, socket_source(), NULL);
    ck_assert_int_eq(ask("sales@example.test", ALICE), 0);
    ck_assert_int_eq(ask("@alias.test", ALICE), 1);
}
END_TEST

/* A yes for an hour, a no for a minute, to the millisecond. */
START_TEST(test_kept)
{
    write_file(table, "senders sales@example.test alice@example.test\n");
    start_server();
    open_owners(false, socket_source(), NULL);
    ck_assert_int_eq(ask("sales@example.test", ALICE), 1);
    ck_assert_int_eq(ask("sales@example.test", BOB), 0);
    write_file(table, "senders sales@example.test bob@example.test\n");
    now_ms += OWNERS_NO_KEPT_MS - 1;
    ck_assert_int_eq(ask("sales@example.test", BOB), 0);
    ck_assert_int_eq(asked(), 2);
    now_ms++;
    ck_assert_int_eq(ask("sales@example.test", BOB), 1);
    now_ms += OWNERS_YES_KEPT_MS - OWNERS_NO_KEPT_MS - 1;
    ck_assert_int_eq(ask("sales@example.test", ALICE), 1);
    ck_assert_int_eq(asked(), 3);
    now_ms++;
    ck_assert_int_eq(ask("sales@example.test", ALICE), 0);
    ck_assert_int_eq(asked(), 4);
}
END_TEST

/* One that does not answer holds up one question, and the others pass until it is asked again. */
START_TEST(test_silent)
{
    static const char *const answers[] = {"!hang", "!temp", "!close", "!noise", "!long"};
    write_file(table, "senders x@example.test alice@example.test\n");
    start_server();
    for (size_t i = 0; i < countof(answers); i++) {
        write_file(table, arena_printf(arena, "senders x@example.test alice@example.test\n"
                                              "senders y@example.test %s\n", answers[i]));
        bool hangs = strcmp(answers[i], "!hang") == 0;
        open_for(hangs ? OWNERS_TIMEOUT_MS : PLENTY_MS, false, socket_source(), NULL);
        int before = asked();
        int64_t began_ms = clock_monotonic_ms();
        ck_assert_int_eq(ask("y@example.test", ALICE), -1);
        int64_t took_ms = clock_monotonic_ms() - began_ms;
        ck_assert_msg(!hangs || took_ms >= OWNERS_TIMEOUT_MS, "%lld", (long long)took_ms);
        int tries = asked() - before;
        ck_assert_msg(tries == 1 || (hangs && tries == 0), "%s: %d", answers[i], tries);
        now_ms += OWNERS_AWAY_MS - 1;
        ck_assert_int_eq(ask("x@example.test", ALICE), -1);
        ck_assert(asked() - before <= 1);
        now_ms++;
        if (hangs)
            open_owners(false, socket_source(), NULL);
        ck_assert_int_eq(ask("x@example.test", ALICE), 1);
    }
}
END_TEST

/* A server that was started anew is connected to anew, without a message that passes. */
START_TEST(test_restart)
{
    write_file(table, "senders x@example.test alice@example.test\n");
    open_owners(false, socket_source(), NULL);
    ck_assert_int_eq(ask("x@example.test", ALICE), -1); /* there is none */
    now_ms += OWNERS_AWAY_MS;
    start_server();
    ck_assert_int_eq(ask("x@example.test", ALICE), 1);
    stop_server();
    start_server();
    ck_assert_int_eq(ask("x@example.test", BOB), 0);
}
END_TEST

static void *ask_in_thread(void *key)
{
    return (void *)(intptr_t)ask(key, ALICE);
}

/* Two at once; a third waits for one of them, and passes when neither ends in time. */
START_TEST(test_at_once)
{
    pthread_t threads[OWNERS_AT_ONCE + 1];
    char *const keys[] = {(char[]){"a@example.test"}, (char[]){"b@example.test"},
                          (char[]){"c@example.test"}};
    write_file(table, "senders a@example.test !hang\nsenders b@example.test !hang\n"
                      "senders c@example.test !hang\n");
    start_server();
    open_for(OWNERS_TIMEOUT_MS, false, socket_source(), NULL);
    for (size_t i = 0; i < countof(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_in_thread, keys[i]), 0);
    for (size_t i = 0; i < countof(threads); i++) {
        void *answer;
        pthread_join(threads[i], &answer);
        ck_assert_int_eq((intptr_t)answer, -1);
    }
    ck_assert_int_le(asked(), OWNERS_AT_ONCE);
}
END_TEST

START_TEST(test_frames)
{
    static const struct {
        const char *bytes;
        int expected;
    } rows[] = {{"", 0},      {"3", 0},     {"3:", 0},   {"3:abc", 0}, {"3:abc,", 1},  {"0:,", 1},
                {"3:abcd", -1}, {"3:abc,x", -1}, {":abc,", -1}, {"x", -1}, {"-1:", -1},
                {"9999999:", -1}, {"16384:", 0}, {"16385:", -1}, {"003:abc,", 1}};
    size_t begin, end;
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_msg(owners_socketmap_frame(rows[i].bytes, strlen(rows[i].bytes), &begin, &end) ==
                          rows[i].expected, "%s", rows[i].bytes);
}
END_TEST

/* ---- postmap --------------------------------------------------------------------------------- */

START_TEST(test_postmap)
{
    const char *source = arena_printf(arena, "postmap:texthash:%s", table);
    write_file(table, "sales@example.test alice@example.test, bob@example.test\n");
    open_owners(false, source, NULL);
    ck_assert_int_eq(ask("sales@example.test", ALICE), 1);
    ck_assert_int_eq(ask("-q@example.test", ALICE), 0);
    ck_assert_int_eq(ask("@example.test", ALICE), 0);
    ck_assert_int_eq(ask("sales@example.test", "carol@example.test"), 0);
    open_owners(false, arena_printf(arena, "postmap:texthash:%s/absent", folder), NULL);
    ck_assert_int_eq(ask("sales@example.test", ALICE), -1);
}
END_TEST

/* One that waits for what never comes is ended, and leaves no process. */
START_TEST(test_postmap_hangs)
{
    freed_by(free_string) char *pipe_path = xasprintf("%s/pipe", folder);
    ck_assert_int_eq(mkfifo(pipe_path, 0600), 0);
    open_for(OWNERS_TIMEOUT_MS, false, arena_printf(arena, "postmap:texthash:%s", pipe_path), NULL);
    int64_t began_ms = clock_monotonic_ms();
    ck_assert_int_eq(ask("sales@example.test", ALICE), -1);
    ck_assert_int_ge(clock_monotonic_ms() - began_ms, OWNERS_TIMEOUT_MS);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* there is no child */
}
END_TEST

/* ---- several --------------------------------------------------------------------------------- */

START_TEST(test_several)
{
    freed_by(free_string) char *list = xasprintf("%s/owners", folder);
    write_file(list, "sales@example.test alice@example.test\n");
    write_file(table, "senders sales@example.test bob@example.test\n"
                      "senders team@example.test alice@example.test\n");
    start_server();
    const char *file = arena_printf(arena, "file:%s", list);
    open_owners(false, file, socket_source());
    ck_assert_int_eq(ask("sales@example.test", ALICE), 1);
    ck_assert_int_eq(asked(), 0); /* the file was enough */
    ck_assert_int_eq(ask("sales@example.test", BOB), 1);
    ck_assert_int_eq(ask("team@example.test", ALICE), 1);
    open_owners(true, file, socket_source());
    ck_assert_int_eq(ask("sales@example.test", ALICE), 0);
    ck_assert_int_eq(ask("team@example.test", ALICE), 1);
    stop_server();
    open_owners(false, file, socket_source());
    ck_assert_int_eq(ask("sales@example.test", ALICE), 1);
    ck_assert_int_eq(ask("team@example.test", ALICE), -1);
    open_owners(true, file, socket_source());
    ck_assert_int_eq(ask("sales@example.test", ALICE), 1);
    ck_assert_int_eq(ask("sales@example.test", BOB), 0); /* known without the other source */
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("owners");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_socketmap);
    tcase_add_test(tcase, test_kept);
    tcase_add_test(tcase, test_silent);
    tcase_add_test(tcase, test_restart);
    tcase_add_test(tcase, test_at_once);
    tcase_add_test(tcase, test_frames);
    tcase_add_test(tcase, test_several);
    TCase *files = tcase_create("files and postmap");
    tcase_set_tags(files, "one_thread");
    tcase_set_timeout(files, 120);
    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_add_test(files, test_sources);
    tcase_add_test(files, test_file);
    tcase_add_test(files, test_file_faults);
    tcase_add_test(files, test_file_limits);
    tcase_add_test(files, test_file_changes);
    tcase_add_test(files, test_postmap);
    tcase_add_test(files, test_postmap_hangs);
    Suite *suite = suite_create("owners");
    suite_add_tcase(suite, tcase);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
