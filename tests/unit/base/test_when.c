/* Moments as people type them. */
#include <check.h>
#include <stdlib.h>

#include "base/when.h"

static int64_t read_in(const char *name, const char *text, const char *now)
{
    freed_by(zone_free) struct zone *zone = zone_open(name);
    int64_t now_ms, time_ms;
    ck_assert_int_eq(zone_moment_read(now, &now_ms), 1);
    return when_read(text, zone, now_ms, &time_ms) ? time_ms : -1;
}

static int64_t moment(const char *text)
{
    int64_t time_ms;
    ck_assert_int_eq(zone_moment_read(text, &time_ms), 1);
    return time_ms;
}

#define NOW_TEXT "2026-11-29T16:05:00Z"
static const struct {
    const char *zone, *text, *now, *moment; /* moment NULL: it is none */
} rows[] = {
    {"UTC", "14:00", NOW_TEXT, "2026-11-29T14:00:00Z"},
    {"UTC", " today 14:00\t", NOW_TEXT, "2026-11-29T14:00:00Z"},
    {"UTC", "yesterday 14:00", NOW_TEXT, "2026-11-28T14:00:00Z"},
    {"Europe/Berlin", "yesterday 14:00", NOW_TEXT, "2026-11-28T13:00:00Z"},
    {"Pacific/Auckland", "yesterday 14:00", NOW_TEXT, "2026-11-29T01:00:00Z"},
    {"Europe/Berlin", "2026-07-01 00:30", NOW_TEXT, "2026-06-30T22:30:00Z"},
    {"Europe/Berlin", "2026-07-01T00:30", NOW_TEXT, "2026-06-30T22:30:00Z"},
    {"Europe/Berlin", "2026-07-01T00:30:00Z", NOW_TEXT, "2026-07-01T00:30:00Z"},
    {"Europe/Berlin", "2026-07-01T00:30:00+01:00", NOW_TEXT, "2026-06-30T23:30:00Z"},
    {"UTC", "yesterday 23:59", "2027-01-01T00:00:00Z", "2026-12-31T23:59:00Z"},
    {"Europe/Berlin", "yesterday 12:00", "2026-03-29T21:59:00Z", "2026-03-28T11:00:00Z"},
    {"Europe/Berlin", "yesterday 12:00", "2026-10-25T22:59:00Z", "2026-10-24T10:00:00Z"},
    {"Europe/Berlin", "2026-10-25 02:30", NOW_TEXT, "2026-10-25T00:30:00Z"}, /* comes twice */
    {"Europe/Berlin", "2026-03-29 02:30", NOW_TEXT, NULL},                   /* never */
    {"UTC", "", NOW_TEXT, NULL},
    {"UTC", "14", NOW_TEXT, NULL},
    {"UTC", "24:00", NOW_TEXT, NULL},
    {"UTC", "12:60", NOW_TEXT, NULL},
    {"UTC", "9:00", NOW_TEXT, NULL},
    {"UTC", "yesterday", NOW_TEXT, NULL},
    {"UTC", "yesterday  14:00", NOW_TEXT, NULL},
    {"UTC", "tomorrow 14:00", NOW_TEXT, NULL},
    {"UTC", "2026-02-29 14:00", NOW_TEXT, NULL},
    {"UTC", "2026-13-01 14:00", NOW_TEXT, NULL},
    {"UTC", "2026-11-22 14:00 x", NOW_TEXT, NULL},
    {"UTC", "2026-11-22T14:00:00", NOW_TEXT, NULL}, /* in no zone */
    {"UTC", "-1:00", NOW_TEXT, NULL},
    {"UTC", "2026-11-22 14:00 and much more text than any moment has", NOW_TEXT, NULL},
};

START_TEST(test_rows)
{
    int64_t read = read_in(rows[_i].zone, rows[_i].text, rows[_i].now);
    ck_assert_int_eq(read, rows[_i].moment != NULL ? moment(rows[_i].moment) : -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("when");
    TCase *cases = tcase_create("moments");
    tcase_add_loop_test(cases, test_rows, 0, (int)countof(rows));
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
