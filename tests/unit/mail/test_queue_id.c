/* Queue ids: what is one, the time of a long one, the packed form. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mail/queue_id.h"

/* The bytes in a heap block of exactly their size, so that sanitizers see overreads. */
static char *exact(const char *text)
{
    size_t length = strlen(text);
    char *copy = malloc(length > 0 ? length : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, length);
    return copy;
}

static bool is_id(const char *text)
{
    char *copy = exact(text);
    bool is = queue_id_is(copy, strlen(text));
    free(copy);
    return is;
}

START_TEST(test_forms)
{
    static const char *const good[] = {
        "868E3A74626",  "000001",           "F423FFFFFFFFFFFFFFFFF", "F423F0",
        "0123456789AB", "4jbqC64kngz1bf1c", "0000000zzzz0",          "zzzzzz0000z1",
        "BCDFGH1KLMzN", "4jbqC64kngzyyyyyyyyyyy",
    };
    static const char *const bad[] = {
        "",                         "NOQUEUE",           "warning",           "00000",
        "F42400",                   "868e3a74626",       "868E3A7462G",
        "F423FFFFFFFFFFFFFFFFFF",
        "4jbqC64kngz",              "4jbqC64kngy1bf1c",  "4jbqC64kngz1zf1c",  "4jbqC64kngz1af1c",
        "4jbqC6zzzzz1bf1c",         "4jbqCa4kngz1bf1c",  "4jbqC64kngz1bf1c:", "4jbqC64kngz 1bf1c",
        "4jbqC64kngzyyyyyyyyyyyyy", "statistics", "4jbqC64kngzyyyyyyyyyyyy",
    };
    for (size_t i = 0; i < countof(good); i++)
        ck_assert_msg(is_id(good[i]), "%s", good[i]);
    for (size_t i = 0; i < countof(bad); i++)
        ck_assert_msg(!is_id(bad[i]), "%s", bad[i]);
    ck_assert(!queue_id_is("86\0E3A74626", 11));
}
END_TEST

START_TEST(test_time)
{
    int64_t time_us = 7;
    ck_assert_int_eq(queue_id_time("4jbqC64kngz1bf1c", 16, &time_us), 1);
    ck_assert_int_eq(time_us, INT64_C(1795821618667351)); /* 2026-11-27 23:20:18.667351 */
    ck_assert_int_eq(queue_id_time("0000010001z1", 12, &time_us), 1);
    ck_assert_int_eq(time_us, 1000001);
    ck_assert_int_eq(queue_id_time("868E3A74626", 11, &time_us), 0);
    ck_assert_int_eq(time_us, 1000001);
}
END_TEST

/* What the packed form gives back; NULL when it does not pack. */
static const char *there_and_back(const char *id, int64_t moment_ms, size_t *length_r)
{
    static char text[QUEUE_ID_MAX + 1];
    uint8_t packed[QUEUE_ID_PACKED_MAX];
    *length_r = queue_id_pack(id, strlen(id), moment_ms, packed);
    if (*length_r == 0)
        return NULL;
    uint8_t *copy = malloc(*length_r);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, packed, *length_r);
    size_t length = queue_id_unpack(copy, *length_r, moment_ms, text);
    free(copy);
    ck_assert_uint_eq(length, strlen(text));
    return text;
}

START_TEST(test_packed)
{
    static const int64_t time_ms = INT64_C(1795821618667), reach_ms = INT32_MAX / 1000;
    static const struct {
        const char *id;
        int64_t moment_ms;
        size_t length;
    } cases[] = {
        {"4jbqC64kngz1bf1c", time_ms, 8},
        {"4jbqC64kngz1bf1c", time_ms + 1500, 8},
        {"4jbqC64kngz1bf1c", time_ms - 1500, 8},
        {"4jbqC64kngz1bf1c", time_ms + reach_ms, 8},
        {"4jbqC64kngz1bf1c", time_ms - reach_ms + 1, 8},
        {"4jbqC64kngz0", time_ms, 5},
        {"4jbqC64kngz51", time_ms, 6},
        {"4jbqC64kngz4y", time_ms, 5},
    };
    size_t length;
    for (size_t i = 0; i < countof(cases); i++) {
        const char *text = there_and_back(cases[i].id, cases[i].moment_ms, &length);
        ck_assert_msg(text != NULL, "%s", cases[i].id);
        ck_assert_str_eq(text, cases[i].id);
    }
    ck_assert_ptr_null(there_and_back("4jbqC64kngz1bf1c", time_ms + reach_ms + 2, &length));
    ck_assert_ptr_null(there_and_back("4jbqC64kngz1bf1c", time_ms - reach_ms - 2, &length));
    ck_assert_ptr_null(there_and_back("4jbqC64kngz1bf1c", INT64_MAX, &length));
    ck_assert_ptr_null(there_and_back("4jbqC64kngz1bf1c", INT64_MIN, &length));
    ck_assert_ptr_null(there_and_back("4jbqC64kngz01bf1c", time_ms, &length));
    ck_assert_ptr_null(there_and_back("868E3A74626", time_ms, &length));
}
END_TEST

START_TEST(test_packed_faults)
{
    static const uint8_t bytes[QUEUE_ID_PACKED_MAX + 1] = {0xFF, 0xFF, 0xFF, 0xFF, 1};
    char text[QUEUE_ID_MAX + 1];
    for (size_t length = 0; length <= 4; length++)
        ck_assert_uint_eq(queue_id_unpack(bytes, length, 1000, text), 0);
    ck_assert_uint_eq(queue_id_unpack(bytes, sizeof bytes, 1000, text), 0);
    ck_assert_uint_eq(queue_id_unpack(bytes, 5, 0, text), 0); /* before 1970 */
    ck_assert_uint_eq(queue_id_unpack(bytes, 5, INT64_MAX, text), 0);
    /* Seconds that 6 characters do not hold. */
    ck_assert_uint_eq(queue_id_unpack(bytes, 5, INT64_C(30000000000000), text), 0);
    ck_assert_uint_eq(queue_id_unpack(bytes, 5, 1, text), 12);
    ck_assert_str_eq(text, "00000000MCz1");
}
END_TEST

START_TEST(test_packed_at_random)
{
    char id[QUEUE_ID_MAX + 1], text[QUEUE_ID_MAX + 1];
    uint8_t bytes[QUEUE_ID_PACKED_MAX], again[QUEUE_ID_PACKED_MAX];
    srand(1);
    for (int round = 0; round < 100000; round++) {
        int64_t moment_ms = INT64_C(1700000000000) + rand();
        size_t length = 5 + (size_t)rand() % 8;
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)rand();
        if (bytes[4] == 0 && length > 5)
            bytes[4] = 1;
        size_t id_length = queue_id_unpack(bytes, length, moment_ms, id);
        ck_assert(queue_id_is(id, id_length));
        ck_assert_uint_eq(queue_id_pack(id, id_length, moment_ms, again), length);
        ck_assert_mem_eq(again, bytes, length);
        ck_assert_uint_eq(queue_id_unpack(again, length, moment_ms, text), id_length);
        ck_assert_str_eq(text, id);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("queue_id");
    tcase_add_test(tests, test_forms);
    tcase_add_test(tests, test_time);
    tcase_add_test(tests, test_packed);
    tcase_add_test(tests, test_packed_faults);
    tcase_add_test(tests, test_packed_at_random);
    Suite *suite = suite_create("queue_id");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
