/* Which domains a field Authentication-Results says passed. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mail/authentication.h"

static const struct {
    const char *field, *domains; /* with blanks between */
} fields[] = {
    {"mx.host.test; dkim=pass header.d=Yahoo.test", "yahoo.test"},
    {"mx.host.test 1; dkim=pass header.d=yahoo.test", "yahoo.test"},
    {"MX.host.test; dkim = pass header.d = yahoo.test", "yahoo.test"},
    {"mx.host.test; dkim=pass (1024-bit key; secure) header.d=yahoo.test header.i=@yahoo.test", "yahoo.test"},
    {"mx.host.test; dkim=pass header.i=fbl@sub.yahoo.test header.b=abc", "sub.yahoo.test"},
    {"mx.host.test; spf=pass smtp.mailfrom=staff@hotmail.test", "hotmail.test"},
    {"mx.host.test; spf=pass smtp.mailfrom=hotmail.test smtp.helo=out.hotmail.test", "hotmail.test"},
    {"mx.host.test; dmarc=pass (p=none dis=none) header.from=comcast.test", "comcast.test"},
    {"mx.host.test; dkim=pass header.d=a.test; spf=pass smtp.mailfrom=b.test; dkim=pass header.d=a.test", "a.test b.test"},
    {"mx.host.test (Postfix (here)); dkim=pass reason=\"good; dkim=pass header.d=c.test\" header.d=a.test", "a.test"},
    {"mx.host.test; dkim=pass reason=\"a \\\" b\" header.d=a.test", "a.test"},
    {"mx.host.test; none", ""},
    {"mx.host.test", ""},
    {"", ""},
    {";;;", ""},
    {"mx.host.test; dkim=fail header.d=a.test; spf=softfail smtp.mailfrom=a.test", ""},
    {"mx.host.test; dkim=passed header.d=a.test", ""},
    {"mx.host.test; xdkim=pass header.d=a.test", ""},
    {"mx.host.test; dkim=pass (header.d=a.test)", ""},
    {"mx.host.test; dkim=pass", ""},
    {"mx.host.test; dkim=pass header.d=", ""},
    {"mx.host.test; dkim=pass header.d=localhost", ""},
    {"mx.host.test; dkim=pass header.d=a..test; dkim=pass header.d=.test; dkim=pass header.d=test.", ""},
    {"mx.host.test; dkim=pass header.d=\"a.test b\"", ""},
    {"mx.host.test; spf=pass smtp.helo=a.test", ""},
    {"mx.host.test; iprev=pass policy.iprev=192.0.2.1", ""},
    {"mx.elsewhere.test; dkim=pass header.d=a.test", ""},
    {"mx.host.test.elsewhere.test; dkim=pass header.d=a.test", ""},
    {"\"mx.host.test; dkim=pass header.d=a.test", ""},
    {"mx.host.test (; dkim=pass header.d=a.test", ""},
    /* What a rule of the mail server that removes our name may not see. */
    {"(x) mx.host.test; dkim=pass header.d=a.test", ""},
    {"\"mx.host.test\"; dkim=pass header.d=a.test", ""},
    {"mx.host.(x)test; dkim=pass header.d=a.test", ""},
    {"mx.host.(x)test (y); dkim=pass header.d=a.test", ""},
    {"mx.host.test\"\"; dkim=pass header.d=a.test", ""},
    {"  mx.host.test\t; dkim=pass header.d=a.test", "a.test"},
    {"mx.host.test; dkim=pass header.d=a.test", "a.test"},
};

START_TEST(test_field)
{
    struct arena *arena = arena_new();
    const char *domains[4];
    size_t count = 0;
    char said[200] = "";
    authentication_domains(arena, fields[_i].field, "mx.host.test", domains, 4, &count);
    for (size_t i = 0; i < count; i++) {
        strcat(said, i > 0 ? " " : "");
        strcat(said, domains[i]);
    }
    ck_assert_msg(strcmp(said, fields[_i].domains) == 0, "%s: %s", fields[_i].field, said);
    arena_free(&arena);
}
END_TEST

START_TEST(test_at_most_so_many)
{
    struct arena *arena = arena_new();
    const char *domains[2];
    size_t count = 0;
    for (int i = 0; i < 5; i++)
        authentication_domains(arena,
                               arena_printf(arena, "mx.test; dkim=pass header.d=d%d.test", i),
                               "mx.test", domains, 2, &count);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(domains[1], "d1.test");
    arena_free(&arena);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("authentication");
    tcase_add_loop_test(tests, test_field, 0, (int)countof(fields));
    tcase_add_test(tests, test_at_most_so_many);
    Suite *suite = suite_create("authentication");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
