/* The recipients that a mailbox knows: the last 1,000 of 90 days, by hashes that change with the
 * year. Compared with a plain list of everything that happened. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mail/known_recipients.h"

#define DAY_NUMBER INT64_C(20785) /* 2026-11-28 */

static struct known_recipients known;

static void begin(void) { known.count = 0; }

/* By the keys of a year and of the year before. */
static struct recipient_hashes hashes_of(uint64_t recipient, uint64_t year)
{
    return (struct recipient_hashes){
        .now = (recipient * 31 + year) * UINT64_C(0x9E3779B97F4A7C15),
        .last_year = (recipient * 31 + year - 1) * UINT64_C(0x9E3779B97F4A7C15)};
}

static const struct known_recipient *find(uint64_t recipient, int64_t day)
{
    struct recipient_hashes hashes = hashes_of(recipient, 26);
    return known_recipients_find(&known, &hashes, day);
}

static void touch(uint64_t recipient, int64_t day, bool delivered)
{
    struct recipient_hashes hashes = hashes_of(recipient, 26);
    known_recipients_touch(&known, &hashes, day, delivered);
}

START_TEST(test_written_and_delivered)
{
    touch(1, DAY_NUMBER, false);
    ck_assert_int_eq(find(1, DAY_NUMBER)->written, DAY_NUMBER);
    ck_assert_int_eq(find(1, DAY_NUMBER)->delivered, 0);
    touch(1, DAY_NUMBER + 1, true);
    touch(1, DAY_NUMBER + 2, false);
    touch(1, DAY_NUMBER, true); /* a line that is read late */
    ck_assert_int_eq(find(1, DAY_NUMBER)->written, DAY_NUMBER + 2);
    ck_assert_int_eq(find(1, DAY_NUMBER)->delivered, DAY_NUMBER + 1);
    ck_assert_ptr_null(find(2, DAY_NUMBER));
    ck_assert_uint_eq(known.count, 1);
}
END_TEST

START_TEST(test_90_days)
{
    touch(1, DAY_NUMBER, true);
    ck_assert_ptr_nonnull(find(1, DAY_NUMBER + 89));
    ck_assert_ptr_null(find(1, DAY_NUMBER + 90));
    touch(2, DAY_NUMBER + 90, false);
    ck_assert_uint_eq(known.count, 1);
}
END_TEST

START_TEST(test_the_last_1000)
{
    for (uint64_t i = 0; i < KNOWN_RECIPIENTS_MAX; i++)
        touch(i, DAY_NUMBER + (int64_t)(i % 7), false);
    touch(5000, DAY_NUMBER + 8, false);
    ck_assert_uint_eq(known.count, KNOWN_RECIPIENTS_MAX);
    ck_assert_ptr_null(find(0, DAY_NUMBER + 8)); /* one of the oldest day */
    ck_assert_ptr_nonnull(find(5000, DAY_NUMBER + 8));
    ck_assert_ptr_nonnull(find(6, DAY_NUMBER + 8));
}
END_TEST

/* A recipient of last year is known in this one, once, and has this year's hash when it was
 * written to again. */
START_TEST(test_a_new_year)
{
    struct recipient_hashes last = hashes_of(1, 26), next = hashes_of(1, 27);
    known_recipients_touch(&known, &last, DAY_NUMBER, true);
    ck_assert_ptr_nonnull(known_recipients_find(&known, &next, DAY_NUMBER + 40));
    known_recipients_touch(&known, &next, DAY_NUMBER + 40, false);
    ck_assert_uint_eq(known.count, 1);
    ck_assert_uint_eq(known.of[0].hash, next.now >> 16);
    ck_assert_int_eq(known.of[0].delivered, DAY_NUMBER);
}
END_TEST

START_TEST(test_against_a_list)
{
    enum { RECIPIENTS = 40, STEPS = 3000 };
    int64_t written[RECIPIENTS] = {0}, delivered[RECIPIENTS] = {0}, day = DAY_NUMBER;
    srand((unsigned)_i);
    for (int step = 0; step < STEPS; step++) {
        int recipient = rand() % RECIPIENTS;
        bool arrived = rand() % 2;
        day += rand() % 8 == 0 ? rand() % 30 : 0;
        if (day - written[recipient] >= KNOWN_DAYS)
            delivered[recipient] = 0; /* forgotten */
        touch((uint64_t)recipient, day, arrived);
        written[recipient] = day;
        delivered[recipient] = arrived ? day : delivered[recipient];
        for (int i = 0; i < RECIPIENTS; i++) {
            const struct known_recipient *found = find((uint64_t)i, day);
            bool is_known = written[i] > day - KNOWN_DAYS;
            ck_assert_int_eq(found != NULL, is_known);
            ck_assert(!is_known || found->written == written[i]);
            ck_assert(!is_known || found->delivered == delivered[i]);
        }
    }
}
END_TEST

START_TEST(test_there_and_back)
{
    struct known_recipients read;
    freed_by(text_free) struct text packed = {0};
    for (int i = 0; i < _i; i++)
        touch((uint64_t)i, DAY_NUMBER - i % 80, i % 3 == 0);
    known_recipients_add(&packed, &known);
    ck_assert_uint_eq(packed.length, 1 + 10 * (size_t)_i);
    ck_assert_int_eq(known_recipients_read(packed.data, packed.length, &read), 1);
    ck_assert_uint_eq(read.count, known.count);
    ck_assert_int_eq(memcmp(read.of, known.of, known.count * sizeof known.of[0]), 0);
    if (_i > 0)
        ck_assert_int_eq(known_recipients_read(packed.data, packed.length - 1, &read), 0);
    packed.data[0]++;
    ck_assert_int_eq(known_recipients_read(packed.data, packed.length, &read), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("known recipients");
    TCase *cases = tcase_create("known recipients");
    tcase_add_checked_fixture(cases, begin, NULL);
    tcase_add_test(cases, test_written_and_delivered);
    tcase_add_test(cases, test_90_days);
    tcase_add_test(cases, test_the_last_1000);
    tcase_add_test(cases, test_a_new_year);
    tcase_add_loop_test(cases, test_against_a_list, 0, 5);
    tcase_add_loop_test(cases, test_there_and_back, 0, 3);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
