/* What doveadm answers, and what it does not. The real one: tests/blackbox/test_lock.py. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "doveadm/doveadm.h"

#define RESPONSE "[\"doveadmResponse\",[{\"result\":\"alice@example.test\"}],\"0\"]"
#define NONE "[\"error\",{\"type\":\"exitCode\", \"exitCode\":68},\"1\"]"
#define OF_24(count) "[\"doveadmResponse\",[{\"count\":\"" count "\"}],\"0\"]"

static bool ended[3];
static struct problem problem;

static int answer(const char *text, size_t count)
{
    memset(ended, 1, sizeof ended);
    problem.text[0] = '\0';
    return doveadm_read_answer(text, count, ended, &problem);
}

START_TEST(test_answers)
{
    ck_assert_int_eq(answer("[]", 0), 1);
    ck_assert_int_eq(answer("[" RESPONSE "," NONE "," RESPONSE "]", 3), 1);
    ck_assert(ended[0] && !ended[1] && ended[2]);
    ck_assert_int_eq(answer("[" OF_24("1") "," OF_24("0") "," OF_24("12") "]", 3), 1);
    ck_assert(ended[0] && !ended[1] && ended[2]);
}
END_TEST

/* As for a name that the shell of doveadm does not take (EX_USAGE). */
START_TEST(test_a_command_fails)
{
    ck_assert_int_eq(
        answer("[" RESPONSE ",[\"error\",{\"type\":\"exitCode\", \"exitCode\":64},\"1\"]]", 2), -1);
    ck_assert_str_eq(problem.where, "dovecot.doveadm_url");
    ck_assert_str_eq(problem.text, "command 2 fails: exitCode, exit code 64");
    ck_assert_int_eq(answer("[[\"error\",{\"type\":\"unknownMethod\", \"exitCode\":0},\"0\"]]", 1),
                     -1);
}
END_TEST

static const char *const others[] = {
    "",
    "no JSON",
    "{}",
    "null",
    "[]",
    "[1]",
    "[null]",
    "[[]]",
    "[[\"error\"]]",
    "[[null,null,null]]",
    "[[\"error\",68,\"0\"]]",
    "[[\"error\",null,\"0\"]]",
    "[[\"somethingElse\",{\"exitCode\":68},\"0\"]]",
    "[" RESPONSE "," NONE "]",
    "[" RESPONSE,
};
START_TEST(test_other_answers)
{
    ck_assert_int_eq(answer(others[_i], 1), -1);
    ck_assert_str_eq(problem.text, "answers otherwise than doveadm does");
}
END_TEST

START_TEST(test_names)
{
    ck_assert(doveadm_may_name("alice+tag@example.test"));
    ck_assert(!doveadm_may_name("*@example.test"));
    ck_assert(!doveadm_may_name("a?ice@example.test"));
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("answers");
    tcase_add_test(cases, test_answers);
    tcase_add_test(cases, test_a_command_fails);
    tcase_add_loop_test(cases, test_other_answers, 0, countof(others));
    tcase_add_test(cases, test_names);
    Suite *suite = suite_create("doveadm");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
