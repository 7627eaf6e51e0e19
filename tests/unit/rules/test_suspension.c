/* Which suspension of a mailbox is told, and when a new one ends. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "rules/suspension.h"

/* Whether they are told in that order: by the end, the beginning, the id. */
static bool in_order(const struct suspension *one, const struct suspension *next)
{
    if (one->until_ms != next->until_ms)
        return one->until_ms > next->until_ms;
    return one->since_ms != next->since_ms ? one->since_ms < next->since_ms : one->id < next->id;
}

/* Every order of coming, of ends and beginnings that are often the same, and of repeats: at most one
 * of a cause, the newest, and all in order. */
START_TEST(test_put_in_order)
{
    srand(12);
    for (int run = 0; run < 20000; run++) {
        struct suspensions held = {0};
        struct suspension newest[CAUSE_COUNT] = {{0}};
        size_t count = 0;
        for (int64_t id = 1; id <= rand() % 14; id++) {
            struct suspension one = {.id = id, .cause = (enum cause)(rand() % CAUSE_COUNT),
                                     .since_ms = rand() % 3,
                                     .until_ms = rand() % 3 == 0 ? UNTIL_LIFTED : 10 + rand() % 3};
            if (rand() % 4 == 0) {
                ck_assert_int_eq(suspension_drop(&held, one.cause), newest[one.cause].id != 0);
                one.id = 0;
            } else {
                suspension_put(&held, &one);
            }
            newest[one.cause] = one;
        }
        for (int cause = 0; cause < CAUSE_COUNT; cause++) {
            const struct suspension *found = suspension_find(&held, (enum cause)cause);
            ck_assert_int_eq(found != NULL ? found->id : 0, newest[cause].id);
            count += newest[cause].id != 0;
        }
        ck_assert_uint_eq(held.count, count);
        ck_assert(count > 0 || held.of[0].id == 0);
        for (size_t i = 1; i < count; i++)
            ck_assert(in_order(&held.of[i - 1], &held.of[i]));
    }
}
END_TEST

/* One that moved its end takes its new place. */
START_TEST(test_put_one_of_them)
{
    struct suspensions held = {0};
    suspension_put(&held, &(struct suspension){.id = 1, .cause = CAUSE_VOLUME, .until_ms = 5});
    suspension_put(&held, &(struct suspension){.id = 2, .cause = CAUSE_TERMS, .until_ms = 7});
    ck_assert_int_eq(held.of[0].cause, CAUSE_TERMS);
    held.of[1].until_ms = 9;
    suspension_put(&held, &held.of[1]);
    ck_assert_uint_eq(held.count, 2);
    ck_assert_int_eq(held.of[0].cause, CAUSE_VOLUME);
    ck_assert_int_eq(held.of[0].until_ms, 9);
    ck_assert_int_eq(held.of[1].cause, CAUSE_TERMS);
    suspension_clear(&held);
    ck_assert_uint_eq(held.count, 0);
    ck_assert_int_eq(held.of[0].id, 0);
}
END_TEST

static const struct {
    uint32_t offence;
    int64_t replaced_ms, until_ms; /* 0: none is replaced */
} ends[] = {
    {1, 0, 1010},
    {2, 0, 1020},
    {3, 0, UNTIL_LIFTED},
    {9, 0, UNTIL_LIFTED},
    {1, 1009, 1010},
    {1, 1010, 1010},
    {1, 1011, 1011},
    {2, 1011, 1020},
    {1, UNTIL_LIFTED, UNTIL_LIFTED},
    {3, 1011, UNTIL_LIFTED},
};

START_TEST(test_end)
{
    static const struct durations durations = {.count = 3, .ms = {10, 20, UNTIL_LIFTED}};
    const struct suspension replaced = {.id = 1, .until_ms = ends[_i].replaced_ms};
    ck_assert_int_eq(suspension_until(&durations, ends[_i].offence, 1000,
                                      ends[_i].replaced_ms != 0 ? &replaced : NULL),
                     ends[_i].until_ms);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("suspension");
    TCase *cases = tcase_create("suspension");
    tcase_add_test(cases, test_put_in_order);
    tcase_add_test(cases, test_put_one_of_them);
    tcase_add_loop_test(cases, test_end, 0, countof(ends));
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
