/* Times on a clock on somebody's wall, as moments. */
#include "base/zone.h"

#include <check.h>
#include <stdlib.h>

static const struct {
    const char *zone, *text, *moment; /* moment NULL: it is none */
} locals[] = {
    {"Europe/Berlin", "2026-11-29T14:05", "2026-11-29T13:05:00Z"},
    {"Europe/Berlin", "2026-07-01T14:05:09", "2026-07-01T12:05:09Z"},
    {"Asia/Kolkata", "2026-11-29T00:00", "2026-11-28T18:30:00Z"},
    {"UTC", "2026-11-29T14:05", "2026-11-29T14:05:00Z"},
    {"no such zone", "2026-11-29T14:05", "2026-11-29T14:05:00Z"},
    {"Europe/Berlin", "2026-11-29", NULL},
    {"Europe/Berlin", "2026-11-29 14:05", NULL},
    {"Europe/Berlin", "2026-13-29T14:05", NULL},
    {"Europe/Berlin", "2026-11-29T14:05Z", NULL},
    {"Europe/Berlin", "", NULL},
    {"Europe/Berlin", "0123456789T12345", NULL},
};

START_TEST(test_local)
{
    freed_by(zone_free) struct zone *zone = zone_open(locals[_i].zone);
    int64_t time_ms, expected_ms;
    int read = zone_local_read(zone, locals[_i].text, &time_ms);
    ck_assert_int_eq(read, locals[_i].moment != NULL);
    if (!read)
        return;
    ck_assert_int_eq(zone_moment_read(locals[_i].moment, &expected_ms), 1);
    ck_assert_int_eq(time_ms, expected_ms);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("zone");
    TCase *cases = tcase_create("zone");
    tcase_add_loop_test(cases, test_local, 0, countof(locals));
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
