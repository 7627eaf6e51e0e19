/* What a URL of the store says. What else is wrong with a URL: tests/unit/settings. */
#include <check.h>
#include <string.h>
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

START_TEST(test_sentinels)
{
    freed_by(store_url_free) struct store_url url = {0};
    ck_assert_ptr_null(store_url_read("redis+sentinel://a.b,[::1]:7,10.0.0.3:26380/my-master.1/4",
                                      &url));
    ck_assert_int_eq(url.kind, STORE_REDIS_SENTINEL);
    ck_assert_ptr_null(url.host);
    ck_assert_str_eq(url.master, "my-master.1");
    ck_assert_int_eq(url.database, 4);
    ck_assert(!url.tls);
    ck_assert_uint_eq(url.sentinel_count, 3);
    ck_assert_str_eq(url.sentinels[0].host, "a.b");
    ck_assert_int_eq(url.sentinels[0].port, 26379);
    ck_assert_str_eq(url.sentinels[1].host, "::1");
    ck_assert_int_eq(url.sentinels[1].port, 7);
    ck_assert_str_eq(url.sentinels[2].host, "10.0.0.3");
    ck_assert_int_eq(url.sentinels[2].port, 26380);
    store_url_free(&url);
    ck_assert_ptr_null(store_url_read("rediss+sentinel://a/m", &url));
    ck_assert(url.tls);
    ck_assert_int_eq(url.database, 0);
    ck_assert_uint_eq(url.sentinel_count, 1);
}
END_TEST

static const struct {
    const char *url;
    bool may_hold_password;
} password_cases[] = {
    {"redis+sentinel://a:1,b:2,[::1]:3/m/0", false},
    {"redis+sentinel://a,b/m", false},
    {"redis+sentinel://a:1,b:secret/m", true},
    {"redis+sentinel://u:secret@a,b/m", true},
    {"redis+sentinel://:secret/m", true},
    {"redis://[::1]:6379/0", false},
    {"redis://[::1", false},
    {"rediss://h/0?password=secret", true},
};

START_TEST(test_an_address_without_brackets)
{
    struct store_url url;
    static const char *const urls[] = {"redis://::1", "rediss://fe80::1:6379/0",
                                       "redis+sentinel://::1:26379,::2:26379/m/0"};
    for (size_t i = 0; i < countof(urls); i++)
        ck_assert_ptr_nonnull(strstr(store_url_read(urls[i], &url), "brackets"));
    ck_assert_ptr_nonnull(strstr(store_url_read("redis://a:b:c@d", &url), "password"));
}
END_TEST

START_TEST(test_may_hold_password)
{
    ck_assert_int_eq(store_url_may_hold_password(password_cases[_i].url),
                     password_cases[_i].may_hold_password);
}
END_TEST

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
    tcase_add_test(tests, test_sentinels);
    tcase_add_test(tests, test_an_address_without_brackets);
    tcase_add_loop_test(tests, test_may_hold_password, 0, countof(password_cases));
    tcase_add_loop_test(tests, test_read, 0, countof(read_cases));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
