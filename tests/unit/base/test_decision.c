/* Decision ids: new ones, their text, and what people type. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"

#define EPOCH_MS INT64_C(1577836800000)
#define NOW_MS INT64_C(1795356300123) /* 2026-11-22 */

START_TEST(test_format)
{
    static const struct {
        uint64_t decision;
        const char *text;
    } cases[] = {
        {0, "0000-0000-0000"},
        {1, "0000-0000-0001"},
        {31, "0000-0000-000Z"},
        {UINT64_C(1) << 20, "0000-0001-0000"},
        {UINT64_C(1) << 59, "G000-0000-0000"},
        {(UINT64_C(1) << 60) - 1, "ZZZZ-ZZZZ-ZZZZ"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        char text[DECISION_TEXT_SIZE];
        uint64_t back = 1234;
        decision_format(cases[i].decision, text);
        ck_assert_str_eq(text, cases[i].text);
        ck_assert_int_eq(decision_parse(text, &back), 1);
        ck_assert_uint_eq(back, cases[i].decision);
    }
}
END_TEST

START_TEST(test_parse_what_people_type)
{
    static const char *const spellings[] = {
        "7K3M-Q2XD-9F41", "7k3mq2xd9f41",     "7k3m q2xd 9f41",    " 7K3M-Q2XD-9F4I ",
        "7k3m-q2xd-9f4l", "7K3M\xE2\x80\x93Q2XD\xE2\x88\x92" "9F41", "7K-3M-Q2-XD-9F-41",
        "7K3M\xC2\xA0Q2XD\xE2\x80\x91" "9F4i",
    };
    uint64_t first = 0;
    ck_assert_int_eq(decision_parse(spellings[0], &first), 1);
    for (size_t i = 1; i < countof(spellings); i++) {
        uint64_t decision = 0;
        ck_assert_msg(decision_parse(spellings[i], &decision) == 1, "%s", spellings[i]);
        ck_assert_uint_eq(decision, first);
    }
    uint64_t zero = 0, oh = 0;
    ck_assert_int_eq(decision_parse("0000-0000-0000", &zero), 1);
    ck_assert_int_eq(decision_parse("oOoO-OOOO-oooo", &oh), 1);
    ck_assert_uint_eq(zero, oh);
}
END_TEST

START_TEST(test_parse_refuses)
{
    static const char *const wrong[] = {
        "",  "-", "7K3M-Q2XD-9F4",  "7K3M-Q2XD-9F412", "7K3M-Q2XD-9F4U", "7K3M_Q2XD_9F41",
        "7K3M-Q2XD-9F4\xC3\xA9", "7K3M-Q2XD-9F41!", "7K3M\xE2\x80\x96Q2XD9F41",
        "7K3MQ2XD9F41\xE2\x80", "7K3MQ2XD9F41\xC2", "000000000000000000000000",
    };
    for (size_t i = 0; i < countof(wrong); i++) {
        uint64_t decision = 77;
        size_t size = strlen(wrong[i]) + 1;
        char *exact = memcpy(malloc(size), wrong[i], size);
        ck_assert_msg(decision_parse(exact, &decision) == 0, "%s", wrong[i]);
        ck_assert_uint_eq(decision, 77);
        free(exact);
    }
}
END_TEST

START_TEST(test_ids_rise_with_time)
{
    uint64_t earlier = decision_new(NOW_MS), later = decision_new(NOW_MS + 1);
    ck_assert_uint_lt(earlier, later);
    ck_assert_uint_ge(earlier, decision_floor(NOW_MS));
    ck_assert_uint_lt(earlier, decision_floor(NOW_MS + 1));
    ck_assert_uint_ge(later, decision_floor(NOW_MS + 1));
}
END_TEST

START_TEST(test_floor_at_the_ends_of_time)
{
    ck_assert_uint_eq(decision_floor(EPOCH_MS), 0);
    ck_assert_uint_eq(decision_floor(EPOCH_MS + 1), 1 << 20);
    ck_assert_uint_eq(decision_floor(0), 0);
    ck_assert_uint_eq(decision_floor(INT64_MIN), 0);
    uint64_t last = ((UINT64_C(1) << 40) - 1) << 20;
    ck_assert_uint_eq(decision_floor(EPOCH_MS + (INT64_C(1) << 40)), last);
    ck_assert_uint_eq(decision_floor(INT64_MAX), last);
}
END_TEST

enum { THREADS = 4, IDS = 5000 };

static void *make_ids(void *ids)
{
    for (size_t i = 0; i < IDS; i++)
        ((uint64_t *)ids)[i] = decision_new(NOW_MS);
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

START_TEST(test_ids_of_one_moment_differ)
{
    uint64_t *ids = calloc(THREADS * IDS, sizeof *ids);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, make_ids, ids + i * IDS), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    qsort(ids, THREADS * IDS, sizeof *ids, compare_ids);
    for (size_t i = 1; i < THREADS * IDS; i++)
        ck_assert_uint_lt(ids[i - 1], ids[i]);
    free(ids);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decision");
    TCase *cases = tcase_create("decision");
    tcase_add_test(cases, test_format);
    tcase_add_test(cases, test_parse_what_people_type);
    tcase_add_test(cases, test_parse_refuses);
    tcase_add_test(cases, test_ids_rise_with_time);
    tcase_add_test(cases, test_floor_at_the_ends_of_time);
    tcase_add_test(cases, test_ids_of_one_moment_differ);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
