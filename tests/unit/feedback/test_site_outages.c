/* What is remembered of a site's outages. */
#include <check.h>
#include <stdlib.h>

#include "feedback/site_outages.h"

#define NOON (INT64_C(20000) * DAY_MS + 12 * HOUR_MS)

static struct site_outages outages;

static void begin(void) { outages = (struct site_outages){0}; }

START_TEST(test_covers)
{
    ck_assert(site_outages_note(&outages, NOON));
    ck_assert(!site_outages_note(&outages, NOON + MINUTE_MS - 1));
    ck_assert(site_outages_note(&outages, NOON + MINUTE_MS));
    ck_assert_uint_eq(outages.count, 1);
    ck_assert(site_outages_cover(&outages, NOON - HOUR_MS));
    ck_assert(!site_outages_cover(&outages, NOON - HOUR_MS - 1));
    ck_assert(site_outages_cover(&outages, NOON + MINUTE_MS));
    ck_assert(!site_outages_cover(&outages, NOON + MINUTE_MS + 1));
}
END_TEST

/* A clock that was a day ahead for a while hides no outage of the day. */
START_TEST(test_clock_set_back)
{
    ck_assert(site_outages_note(&outages, NOON - 2 * HOUR_MS));
    ck_assert(site_outages_note(&outages, NOON + DAY_MS));
    site_outages_forget(&outages, NOON);
    ck_assert(site_outages_note(&outages, NOON));
    ck_assert_uint_eq(outages.count, 2);
    ck_assert(site_outages_cover(&outages, NOON));
    ck_assert(site_outages_cover(&outages, NOON - 2 * HOUR_MS));
    ck_assert(!site_outages_cover(&outages, NOON + DAY_MS));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("site_outages");
    TCase *tcase = tcase_create("site_outages");
    tcase_add_checked_fixture(tcase, begin, NULL);
    tcase_add_test(tcase, test_covers);
    tcase_add_test(tcase, test_clock_set_back);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
