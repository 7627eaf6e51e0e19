/* Which file a URL of the store names. What else is wrong with a URL: tests/unit/settings. */
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

int main(void)
{
    Suite *suite = suite_create("store URL");
    TCase *tests = tcase_create("store URL");
    tcase_add_loop_test(tests, test_sqlite_path, 0, countof(cases));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
