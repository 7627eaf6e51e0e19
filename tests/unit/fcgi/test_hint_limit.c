/* How many hints a mailbox gets while its user writes. */
#include <check.h>
#include <stdlib.h>

#include "fcgi/hint_limit.h"

#define ALICE "alice@example.test"
enum { START_MS = 1000000 };

static struct hint_limit limit;

static void begin(void) { hint_limit_init(&limit); }

static int taken(const char *mailbox, int64_t now_ms)
{
    int count = 0;
    while (hint_limit_take(&limit, mailbox, now_ms))
        count++;
    return count;
}

START_TEST(test_each_mailbox_has_its_own)
{
    ck_assert_int_eq(taken(ALICE, START_MS), HINTS_AT_ONCE);
    ck_assert_int_eq(taken("bob@example.test", START_MS), HINTS_AT_ONCE);
    ck_assert(!hint_limit_take(&limit, ALICE, START_MS));
}
END_TEST

START_TEST(test_one_more_each_second)
{
    int64_t now_ms = START_MS;
    ck_assert_int_eq(taken(ALICE, now_ms), HINTS_AT_ONCE);
    ck_assert_int_eq(taken(ALICE, now_ms += HINTS_EACH_MS - 1), 0);
    ck_assert_int_eq(taken(ALICE, now_ms += 1), 1);
    ck_assert_int_eq(taken(ALICE, now_ms += 7 * HINTS_EACH_MS), 7);
    ck_assert_int_eq(taken(ALICE, now_ms += INT64_C(1000) * HINTS_EACH_MS), HINTS_AT_ONCE);
}
END_TEST

/* Further identities are asked about one by one when a window is opened, and half a second is quiet
 * before a question about what was typed, which itself takes 50 ms. */
START_TEST(test_three_windows_and_typing)
{
    enum { QUESTIONS_OF_A_WINDOW = 21, TYPING_MS = 550 };
    for (int i = 0; i < 3 * QUESTIONS_OF_A_WINDOW; i++)
        ck_assert(hint_limit_take(&limit, ALICE, START_MS));
    for (int64_t ms = TYPING_MS; ms <= 85 * SECOND_MS; ms += TYPING_MS)
        ck_assert(hint_limit_take(&limit, ALICE, START_MS + ms));
}
END_TEST

START_TEST(test_a_clock_that_was_set_back)
{
    ck_assert_int_eq(taken(ALICE, START_MS), HINTS_AT_ONCE);
    ck_assert_int_eq(taken(ALICE, START_MS - 1), HINTS_AT_ONCE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hint limit");
    TCase *cases = tcase_create("hint limit");
    tcase_add_checked_fixture(cases, begin, NULL);
    tcase_add_test(cases, test_three_windows_and_typing);
    tcase_add_test(cases, test_each_mailbox_has_its_own);
    tcase_add_test(cases, test_one_more_each_second);
    tcase_add_test(cases, test_a_clock_that_was_set_back);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
