/* Recipients of messages under way: gathered, told once, forgotten in time and within bounds. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "mta/collector.h"

#define NOW INT64_C(1763790000000)
#define PLENTY ((size_t)64 << 20)

static struct collector *collector;
static struct arena *arena;
static const struct transaction first = {"1.0", "alice@example.test"};

static void begin(void)
{
    collector = collector_new(PLENTY);
    arena = arena_new();
}

static void end(void)
{
    collector_free(&collector);
    arena_free(&arena);
}

static struct collected look(const struct transaction *transaction, int64_t now_ms)
{
    struct collected collected;
    collector_look(collector, transaction, arena, now_ms, &collected);
    return collected;
}

START_TEST(test_each_once_in_order)
{
    static const char *const asked[] = {"b@x.test", "a@x.test", "b@x.test", NULL,
                                        "c@y.test", "a@x.test", "b@x.test"};
    for (size_t i = 0; i < countof(asked); i++)
        collector_add(collector, &first, asked[i], NOW);
    struct collected collected = look(&first, NOW);
    ck_assert_uint_eq(collected.count, 3);
    ck_assert_str_eq(collected.recipients[0], "b@x.test");
    ck_assert_str_eq(collected.recipients[1], "a@x.test");
    ck_assert_str_eq(collected.recipients[2], "c@y.test");
    ck_assert_uint_eq(collected.times[0], 3);
    ck_assert_uint_eq(collected.times[1], 2);
    ck_assert_uint_eq(collected.times[2], 1);
    ck_assert_uint_eq(collected.asked, 6);
    ck_assert_uint_eq(collected.unread, 1);
}
END_TEST

START_TEST(test_whose)
{
    static const struct transaction others[] = {
        {"1.1", "alice@example.test"}, {"1.0", "bob@example.test"},
        {"1.0a", "lice@example.test"}, {"", "1.0alice@example.test"},
    };
    collector_add(collector, &first, "b@x.test", NOW);
    for (size_t i = 0; i < countof(others); i++)
        ck_assert_uint_eq(look(&others[i], NOW).count, 0);
    collector_add(collector, &others[0], "c@x.test", NOW);
    ck_assert_uint_eq(look(&first, NOW).count, 1);
    collector_forget(collector, &first);
    ck_assert_uint_eq(look(&first, NOW).count, 0);
    ck_assert_str_eq(look(&others[0], NOW).recipients[0], "c@x.test");
}
END_TEST

START_TEST(test_ten_minutes)
{
    static const struct transaction second = {"2.0", "alice@example.test"};
    collector_add(collector, &first, "a@x.test", NOW);
    collector_add(collector, &second, "a@x.test", NOW + 1);
    ck_assert_uint_eq(look(&first, NOW + 10 * MINUTE_MS - 1).count, 1);
    ck_assert_uint_eq(look(&second, NOW + 10 * MINUTE_MS).count, 1);
    ck_assert_uint_eq(look(&first, NOW + 10 * MINUTE_MS).count, 0);
    ck_assert_uint_eq(collector_count(collector), 1);
    /* who goes on is not forgotten */
    collector_add(collector, &second, "b@x.test", NOW + 9 * MINUTE_MS);
    ck_assert_uint_eq(look(&second, NOW + 19 * MINUTE_MS - 1).count, 2);
    ck_assert_uint_eq(look(&second, NOW + 19 * MINUTE_MS).count, 0);
    ck_assert_uint_eq(collector_bytes(collector), 0);
}
END_TEST

START_TEST(test_very_many_recipients)
{
    for (int i = 0; i < COLLECTOR_MAX_RECIPIENTS + 5; i++)
        collector_add(collector, &first, arena_printf(arena, "r%d@x.test", i), NOW);
    struct collected collected = look(&first, NOW);
    ck_assert_uint_eq(collected.count, COLLECTOR_MAX_RECIPIENTS);
    ck_assert_uint_eq(collected.unread, 5);
    ck_assert_str_eq(collected.recipients[9999], "r9999@x.test");
    collector_add(collector, &first, "r0@x.test", NOW); /* known, so no more of them */
    ck_assert_uint_eq(look(&first, NOW).unread, 5);
}
END_TEST

/* Of many the oldest go, and memory stays within its bound. */
START_TEST(test_memory_is_bounded)
{
    struct collector *small = collector_new(64 * 1024);
    struct collected collected;
    ck_assert_int_eq(collector_overflowed(small), 0);
    for (int i = 0; i < 5000; i++) {
        struct transaction one = {arena_printf(arena, "%d", i), "alice@example.test"};
        collector_add(small, &one, "somebody@outside.test", NOW + i / 100);
        ck_assert_uint_le(collector_bytes(small), 64 * 1024);
    }
    ck_assert_int_eq(collector_overflowed(small), 1);
    ck_assert_int_eq(collector_overflowed(small), 0);
    ck_assert_uint_lt(collector_count(small), 1000);
    /* it stays full, which was told */
    for (int i = 0; i < 100; i++) {
        struct transaction one = {arena_printf(arena, "more-%d", i), "alice@example.test"};
        collector_add(small, &one, "somebody@outside.test", NOW + 60);
    }
    ck_assert_int_eq(collector_overflowed(small), 0);
    collector_look(small, &(struct transaction){"4999", "alice@example.test"}, arena, NOW, &collected);
    ck_assert_uint_eq(collected.count, 1);
    collector_look(small, &(struct transaction){"0", "alice@example.test"}, arena, NOW, &collected);
    ck_assert_uint_eq(collected.count, 0);
    /* one alone may be larger than the bound: it is being written */
    for (int i = 0; i < 9000; i++)
        collector_add(small, &first, arena_printf(arena, "r%d@x.test", i), NOW);
    ck_assert_uint_eq(collector_count(small), 1);
    collector_look(small, &first, arena, NOW, &collected);
    ck_assert_uint_eq(collected.count, 9000);
    /* empty, and full once more */
    collector_forget(small, &first);
    for (int i = 0; i < 5000; i++)
        collector_add(small, &(struct transaction){arena_printf(arena, "%d", i), "b@example.test"},
                      NULL, NOW);
    ck_assert_int_eq(collector_overflowed(small), 1);
    collector_free(&small);
    ck_assert_ptr_null(small);
}
END_TEST

enum { THREADS = 4, EACH = 500 };

static void *gather(void *number)
{
    struct arena *own = arena_new();
    for (int i = 0; i < EACH; i++) {
        struct transaction one = {arena_printf(own, "%d", i), "alice@example.test"};
        collector_add(collector, &one, arena_printf(own, "r%d@x.test", *(int *)number), NOW);
    }
    arena_free(&own);
    return NULL;
}

START_TEST(test_many_threads)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, gather, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(collector_count(collector), EACH);
    for (int i = 0; i < EACH; i++) {
        struct transaction one = {arena_printf(arena, "%d", i), "alice@example.test"};
        ck_assert_uint_eq(look(&one, NOW).count, THREADS);
        collector_forget(collector, &one);
    }
    ck_assert_uint_eq(collector_bytes(collector), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mta collector");
    TCase *cases = tcase_create("mta collector");
    tcase_add_checked_fixture(cases, begin, end);
    suite_add_tcase(suite, cases);
    tcase_add_test(cases, test_each_once_in_order);
    tcase_add_test(cases, test_whose);
    tcase_add_test(cases, test_ten_minutes);
    tcase_add_test(cases, test_very_many_recipients);
    tcase_add_test(cases, test_memory_is_bounded);
    tcase_add_test(cases, test_many_threads);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
