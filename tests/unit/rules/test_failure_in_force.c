/* What judging reads of a block. */
#include <check.h>
#include <string.h>

#include "rules/failure_in_force.h"

static const struct failure_in_force block = {
    .from_ms = INT64_C(1764400000123), .until_ms = INT64_C(1764403600123), .block = 70000,
    .bad = 12, .all = 20, .messages = 3, .hint = FAILURE_HINT_LIST};

START_TEST(test_packed)
{
    uint8_t bytes[FAILURE_IN_FORCE_BYTES];
    struct failure_in_force read;
    failure_in_force_put(bytes, &block);
    ck_assert_int_eq(failure_in_force_read(bytes, sizeof bytes, &read), 1);
    ck_assert_int_eq(read.from_ms, block.from_ms);
    ck_assert_int_eq(read.until_ms, block.until_ms);
    ck_assert_uint_eq(read.block, block.block);
    ck_assert_uint_eq(read.bad, block.bad);
    ck_assert_uint_eq(read.all, block.all);
    ck_assert_uint_eq(read.messages, block.messages);
    ck_assert_int_eq(read.hint, block.hint);
}
END_TEST

START_TEST(test_damaged)
{
    uint8_t bytes[FAILURE_IN_FORCE_BYTES];
    struct failure_in_force read;
    failure_in_force_put(bytes, &block);
    ck_assert_int_eq(failure_in_force_read(bytes, sizeof bytes - 1, &read), 0);
    bytes[sizeof bytes - 1] = FAILURE_HINT_COUNT;
    ck_assert_int_eq(failure_in_force_read(bytes, sizeof bytes, &read), 0);
    ck_assert_int_eq(read.until_ms, 0);
    bytes[sizeof bytes - 1] = 0;
    bytes[0]++;
    ck_assert_int_eq(failure_in_force_read(bytes, sizeof bytes, &read), 0);
}
END_TEST

START_TEST(test_when)
{
    ck_assert(!failure_in_force_holds(&block, block.from_ms - 1));
    ck_assert(failure_in_force_holds(&block, block.from_ms));
    ck_assert(failure_in_force_holds(&block, block.until_ms - 1));
    ck_assert(!failure_in_force_holds(&block, block.until_ms));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("failure in force");
    tcase_add_test(tcase, test_packed);
    tcase_add_test(tcase, test_damaged);
    tcase_add_test(tcase, test_when);
    Suite *suite = suite_create("failure in force");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
