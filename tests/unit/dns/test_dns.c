/* Look-ups by libunbound, at a server of the test's own. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "dns/dns.h"
#include "dns/dns_rdata.h"
#include "tests/unit/store/servers.h"

enum { PLENTY_MS = 20000 };

static char folder[FOLDER_SIZE];
static char *zone, *resolver;
static int keeps_alive = -1;
static pid_t server;
static struct arena *arena;
static struct dns *dns;

static void write_zone(const char *text)
{
    freed_by(free_string) char *whole = xasprintf("%s.new", zone);
    FILE *file = fopen(whole, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(rename(whole, zone), 0);
}

static void start_server(void)
{
    int in[2], out[2];
    char port[16] = "";
    ck_assert(pipe(in) == 0 && pipe(out) == 0);
    server = fork();
    if (server == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        execl("/usr/bin/python3", "python3", "tests/dns_server.py", zone, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    keeps_alive = in[1];
    ck_assert_int_gt(read(out[0], port, sizeof port - 1), 0);
    close(out[0]);
    resolver = xasprintf("127.0.0.1@%d", atoi(port));
}

static void set_up(void)
{
    struct problem problem;
    folder_make(folder);
    zone = xasprintf("%s/zone", folder);
    start_server();
    arena = arena_new();
    ck_assert_int_eq(dns_new(&resolver, 1, &dns, &problem), 1);
    dns_begin(dns, PLENTY_MS);
}

static void tear_down(void)
{
    dns_free(&dns);
    arena_free(&arena);
    close(keeps_alive);
    waitpid(server, NULL, 0);
    folder_remove(folder);
    free(zone);
    free(resolver);
}

static enum spf_lookup look_up(const char *name, enum spf_type type, struct spf_found *found_r)
{
    *found_r = (struct spf_found){0};
    return dns_look_up(dns, arena, name, type, found_r);
}

static bool has(const struct spf_found *found, const char *text)
{
    bool has_it = false;
    for (size_t i = 0; i < found->count; i++)
        has_it = has_it || mail_view_is(found->of[i], text);
    return has_it;
}

START_TEST(test_types)
{
    struct spf_found found;
    write_zone("a.test 300 TXT \"v=spf1 ip4:192.0.2.1\", \" -all\"\n"
               "a.test 300 TXT \"other\"\n"
               "a.test 300 MX mail.a.test\n"
               "a.test 300 A 192.0.2.1\n"
               "a.test 300 AAAA 2001:db8::1\n"
               "null.test 300 MX .\n"
               "1.2.0.192.in-addr.arpa 300 PTR mail.a.test\n"
               "alias.test 40 CNAME alias2.test\n"
               "alias2.test 300 CNAME a.test\n");
    ck_assert_int_eq(look_up("a.test", SPF_TYPE_TXT, &found), SPF_LOOKUP_FOUND);
    ck_assert_uint_eq(found.count, 2);
    ck_assert(has(&found, "v=spf1 ip4:192.0.2.1 -all") && has(&found, "other"));
    ck_assert_int_eq(look_up("a.test", SPF_TYPE_MX, &found), SPF_LOOKUP_FOUND);
    ck_assert(found.count == 1 && has(&found, "mail.a.test"));
    ck_assert_int_eq(look_up("null.test", SPF_TYPE_MX, &found), SPF_LOOKUP_FOUND);
    ck_assert(found.count == 1 && found.of[0].length == 0);
    ck_assert_int_eq(look_up("A.test", SPF_TYPE_A, &found), SPF_LOOKUP_FOUND);
    ck_assert(found.count == 1 && found.of[0].length == 4);
    ck_assert_int_eq(memcmp(found.of[0].text, "\xc0\x00\x02\x01", 4), 0);
    ck_assert_int_eq(look_up("a.test", SPF_TYPE_AAAA, &found), SPF_LOOKUP_FOUND);
    ck_assert(found.count == 1 && found.of[0].length == 16);
    ck_assert_int_eq(look_up("1.2.0.192.in-addr.arpa", SPF_TYPE_PTR, &found), SPF_LOOKUP_FOUND);
    ck_assert(found.count == 1 && has(&found, "mail.a.test"));
    ck_assert_int_eq(dns_ttl_ms(dns), 300 * SECOND_MS);
    ck_assert_int_eq(look_up("alias.test", SPF_TYPE_A, &found), SPF_LOOKUP_FOUND);
    ck_assert(found.count == 1 && found.of[0].length == 4);
    ck_assert_int_le(dns_ttl_ms(dns), 40 * SECOND_MS);
}
END_TEST

START_TEST(test_nothing_there)
{
    struct spf_found found;
    write_zone("a.test 300 A 192.0.2.1\n"
               "a\\b.test 300 A 192.0.2.1\n"
               "away.test 300 CNAME nothere.test\n"
               "broken.test 300 SERVFAIL\n");
    ck_assert_int_eq(dns_ttl_ms(dns), INT64_MAX);
    ck_assert_int_eq(look_up("a.test", SPF_TYPE_TXT, &found), SPF_LOOKUP_VOID);
    ck_assert_int_eq(look_up("nothere.test", SPF_TYPE_A, &found), SPF_LOOKUP_VOID);
    ck_assert_int_eq(look_up("away.test", SPF_TYPE_A, &found), SPF_LOOKUP_VOID);
    ck_assert_int_le(dns_ttl_ms(dns), 60 * SECOND_MS);
    ck_assert_int_eq(look_up("a\\b.test", SPF_TYPE_A, &found), SPF_LOOKUP_FOUND);
    ck_assert_int_eq(look_up("broken.test", SPF_TYPE_A, &found), SPF_LOOKUP_FAILED);
}
END_TEST

/* By TCP, since it is too long for a packet. */
START_TEST(test_long_answer)
{
    struct spf_found found;
    freed_by(free_string) char *text = xasprintf(
        "a.test 300 TXT \"%0200d\", \"%0200d\", \"%0200d\", \"%0200d\"\n", 1, 2, 3, 4);
    write_zone(text);
    ck_assert_int_eq(look_up("a.test", SPF_TYPE_TXT, &found), SPF_LOOKUP_FOUND);
    ck_assert(found.count == 1 && found.of[0].length == 800);
}
END_TEST

START_TEST(test_nobody_answers)
{
    struct spf_found found;
    enum { SHORT_MS = 300 };
    int64_t began_ms = clock_monotonic_ms();
    dns_begin(dns, SHORT_MS);
    ck_assert_int_eq(look_up("a.test", SPF_TYPE_A, &found), SPF_LOOKUP_FAILED);
    ck_assert_int_ge(clock_monotonic_ms(), began_ms + SHORT_MS);
    int64_t late_ms = clock_monotonic_ms();
    for (int i = 0; i < 10; i++) /* each without a wait of its own */
        ck_assert_int_eq(look_up("b.test", SPF_TYPE_A, &found), SPF_LOOKUP_FAILED);
    ck_assert_int_lt(clock_monotonic_ms() - late_ms, 9 * SHORT_MS);
    ck_assert_int_lt(clock_monotonic_ms() - began_ms, 30 * SHORT_MS);
    ck_assert_int_eq(dns_ttl_ms(dns), INT64_MAX);
    write_zone("a.test 300 A 192.0.2.1\n");
    dns_begin(dns, PLENTY_MS);
    ck_assert_int_eq(look_up("a.test", SPF_TYPE_A, &found), SPF_LOOKUP_FOUND);
}
END_TEST

START_TEST(test_wrong_resolver)
{
    struct problem problem;
    struct dns *other = NULL;
    char *const wrong[] = {(char *)(uintptr_t)"no address"};
    ck_assert_int_eq(dns_new(wrong, 1, &other, &problem), 0);
    ck_assert_str_eq(problem.where, "no address");
    ck_assert_ptr_null(other);
    ck_assert_int_eq(dns_new(NULL, 0, &other, &problem), 1);
    dns_free(&other);
}
END_TEST

static const struct {
    enum spf_type type;
    const char *bytes;
    size_t length;
    const char *read; /* NULL: no such record */
} rdata[] = {
    {SPF_TYPE_A, "\x01\x02\x03\x04", 4, "\x01\x02\x03\x04"},
    {SPF_TYPE_A, "\x01\x02\x03", 3, NULL},
    {SPF_TYPE_AAAA, "\x01\x02\x03\x04", 4, NULL},
    {SPF_TYPE_PTR, "\x01" "a" "\x04" "test", 8, "a.test"},
    {SPF_TYPE_PTR, "\x01" "a" "\x04" "test", 7, NULL},
    {SPF_TYPE_PTR, "\x01" "a" "\x04" "test\0x", 9, NULL},
    {SPF_TYPE_PTR, "\x01" "a\xc0\x0c", 4, NULL},
    {SPF_TYPE_PTR, "\x03" "a.b" "\x04" "test", 10, NULL},
    {SPF_TYPE_PTR, "\x03" "a b" "\x04" "test", 10, NULL},
    {SPF_TYPE_PTR, "\x03" "a\0b" "\x04" "test", 10, NULL},
    {SPF_TYPE_PTR, "", 0, NULL},
    {SPF_TYPE_PTR, "\0", 1, ""},
    {SPF_TYPE_MX, "\0\x0a\x01" "a\0", 5, "a"},
    {SPF_TYPE_MX, "\0\x0a", 2, NULL},
    {SPF_TYPE_TXT, "\x02" "ab\0\x01" "c", 6, "abc"},
    {SPF_TYPE_TXT, "\x02" "ab\x02" "c", 5, NULL},
    {SPF_TYPE_TXT, "", 0, ""},
};

START_TEST(test_rdata)
{
    struct arena *own = arena_new();
    struct mail_view record;
    char *bytes = malloc(rdata[_i].length > 0 ? rdata[_i].length : 1);
    memcpy(bytes, rdata[_i].bytes, rdata[_i].length);
    int answer = dns_rdata_read(own, rdata[_i].type, (struct mail_view){bytes, rdata[_i].length},
                                &record);
    free(bytes);
    ck_assert_int_eq(answer, rdata[_i].read != NULL);
    ck_assert(answer == 0 || mail_view_is(record, rdata[_i].read));
    arena_free(&own);
}
END_TEST

int main(void)
{
    TCase *served = tcase_create("served");
    tcase_set_timeout(served, 60);
    tcase_add_checked_fixture(served, set_up, tear_down);
    tcase_add_test(served, test_types);
    tcase_add_test(served, test_nothing_there);
    tcase_add_test(served, test_long_answer);
    tcase_add_test(served, test_nobody_answers);
    TCase *alone = tcase_create("alone");
    tcase_add_test(alone, test_wrong_resolver);
    tcase_add_loop_test(alone, test_rdata, 0, countof(rdata));
    Suite *suite = suite_create("dns");
    suite_add_tcase(suite, served);
    suite_add_tcase(suite, alone);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
