/* What a URL of the store says. What else is wrong with a URL: tests/unit/settings. */
#include <check.h>
#include <stdlib.h>

#include "base/store_url.h"

static const struct {
    const char *url, *path; /* NULL: no file */
} cases[] = {
    {"sqlite:///var/lib/sendguard/sendguard.db", "/var/lib/sendguard/sendguard.db"},
    {"sqlite:///tmp/a=b.db", "/tmp/a=b.db"},
    {"sqlite://relative.db", NULL},
    {"sqlite:///", NULL},
    {"sqlite:///x.db?mode=ro", NULL},
    {"redis+unix:///run/redis.sock", NULL}, /* a path, but no database file */
    {"redis://127.0.0.1:6379/0", NULL},
    {"/var/lib/sendguard/sendguard.db", NULL},
    {"", NULL},
};

START_TEST(test_sqlite_path)
{
    freed_by(free_string) char *path = store_url_sqlite_path(cases[_i].url);
    if (cases[_i].path == NULL)
        ck_assert_ptr_null(path);
    else
        ck_assert_str_eq(path, cases[_i].path);
}
END_TEST

static const struct {
    const char *url, *host, *path;
    enum store_kind kind;
    int port, database;
    bool tls;
} read_cases[] = {
    {"redis://h", "h", NULL, STORE_REDIS, 6379, 0, false},
    {"redis://h:1/2", "h", NULL, STORE_REDIS, 1, 2, false},
    {"redis://[::1]:7000/", "::1", NULL, STORE_REDIS, 7000, 0, false},
    {"rediss://a.b-c_d:6380/15", "a.b-c_d", NULL, STORE_REDIS, 6380, 15, true},
    {"rediss://10.0.0.1", "10.0.0.1", NULL, STORE_REDIS, 6379, 0, true},
    {"redis+unix:///run/r.sock?db=3", NULL, "/run/r.sock", STORE_REDIS_UNIX, 0, 3, false},
};

START_TEST(test_read)
{
    freed_by(store_url_free) struct store_url url = {0};
    ck_assert_ptr_null(store_url_read(read_cases[_i].url, &url));
    ck_assert_int_eq(url.kind, read_cases[_i].kind);
    ck_assert_pstr_eq(url.host, read_cases[_i].host);
    ck_assert_pstr_eq(url.path, read_cases[_i].path);
    ck_assert_int_eq(url.port, read_cases[_i].port);
    ck_assert_int_eq(url.database, read_cases[_i].database);
    ck_assert_int_eq(url.tls, read_cases[_i].tls);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store URL");
    TCase *tests = tcase_create("store URL");
    tcase_add_loop_test(tests, test_sqlite_path, 0, countof(cases));
    tcase_add_loop_test(tests, test_read, 0, countof(read_cases));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
