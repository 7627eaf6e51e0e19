/* Messages that passed, as a program follows them: in order of id, from any of them on, each once;
 * both backends. */
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "store/records.h"
#include "tests/unit/store/backends.h"
#include "tests/unit/store/chance.h"

enum { MOST = 1500 };
static uint64_t ids[MOST]; /* of what passed */
static size_t count;

static void send(const char *mailbox, int64_t now_ms, bool refused, int64_t keep_ms)
{
    static int numbers;
    struct message message = message_of(mailbox, arena_printf(arena, "%d", numbers++), now_ms);
    message.request.rejected = refused;
    message.request.ip = NULL;
    message.request.keep_admitted_ms = keep_ms;
    message.request.facts = facts_of(arena_printf(arena, "{\"at\":%lld}", (long long)now_ms));
    for (size_t i = 0; i < message.request.window_count; i++)
        message.request.windows[i].limit = LIMIT_OFF;
    ck_assert_int_eq(judge(&message), refused ? OUTCOME_REJECTED : OUTCOME_ADMITTED);
    if (!refused)
        ids[count++] = message.result.decision;
}

static int by_number(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return a > b ? 1 : a < b ? -1 : 0;
}

/* Reads on from `after` in pages of `size`, and expects the ids from number `first` on. */
static void check_all(uint64_t after, size_t first, size_t size, int64_t now_ms)
{
    static struct record records[MOST];
    struct store_page page = {.more = true};
    while (page.more) {
        struct arena *own = arena_new();
        page.max = size;
        ck_assert_msg(store_passed(store, own, after, now_ms, records, &page) == 1, "%s",
                      store_error(store));
        ck_assert_uint_le(page.count, size);
        for (size_t i = 0; i < page.count; i++, first++) {
            ck_assert_uint_lt(first, count);
            ck_assert_uint_eq(records[i].decision, ids[first]);
            ck_assert_int_eq(records[i].outcome, OUTCOME_ADMITTED);
            ck_assert_uint_eq(strlen(records[i].facts), records[i].facts_length);
            after = records[i].decision;
        }
        ck_assert(page.count == size || !page.more);
        arena_free(&own);
    }
    ck_assert_uint_eq(first, count);
}

static void begin(int backend)
{
    backend_begin(backend);
    count = 0;
}

START_TEST(in_order_from_any_on)
{
    begin(_i);
    check_all(0, 0, 4, NOW);
    chance_state = 11;
    for (int i = 0; i < 700; i++) /* clocks differ a little, some are wrong by hours */
        send(arena_printf(arena, "user%d@example.test", below(40)),
             NOW + i * 100 + below(3000) + (percent(3) ? (1 + below(9)) * HOUR_MS : 0), percent(30),
             DAY_MS);
    qsort(ids, count, sizeof ids[0], by_number);
    int64_t now_ms = NOW + 2 * HOUR_MS;
    static const size_t sizes[] = {1, 7, 255, 256, 257, MOST};
    for (size_t i = 0; i < countof(sizes); i++)
        check_all(0, 0, sizes[i], now_ms);
    for (size_t first = 0; first < count; first += 37) {
        check_all(ids[first], first + 1, 100, now_ms);
        check_all(ids[first] - 1, first, 100, now_ms);
    }
    check_all(UINT64_MAX, count, 3, now_ms);
}
END_TEST

/* More than one look takes of a moment. */
START_TEST(many_of_a_moment)
{
    begin(_i);
    for (int i = 0; i < 800; i++)
        send(arena_printf(arena, "user%d@example.test", i), NOW + (i >= 700), false, DAY_MS);
    qsort(ids, count, sizeof ids[0], by_number);
    check_all(0, 0, 3, NOW + 10);
    check_all(ids[100], 101, 300, NOW + 10);
}
END_TEST

/* Each clock is behind those before: in Redis all streams are used, and the last one takes what
 * is more. */
START_TEST(as_many_clocks_as_streams)
{
    begin(_i);
    for (int i = 40; i >= 0; i--)
        for (int k = 0; k < 5; k++)
            send(arena_printf(arena, "user%d@example.test", i), NOW + i * HOUR_MS + k, k == 2,
                 DAY_MS);
    qsort(ids, count, sizeof ids[0], by_number);
    check_all(0, 0, 9, NOW + 10);
    check_all(ids[50], 51, MOST, NOW + 10);
}
END_TEST

/* What is past its time is passed over, also where all of a look is. */
START_TEST(past_records_are_passed_over)
{
    begin(_i);
    for (int i = 0; i < 600; i++)
        send("short@example.test", NOW + i, false, HOUR_MS);
    count = 0;
    send("long@example.test", NOW + 700, false, DAY_MS);
    send("short@example.test", NOW + 800, false, HOUR_MS);
    send("long@example.test", NOW + 900, false, DAY_MS);
    check_all(decision_floor(NOW + 650), 0, 8, NOW + HOUR_MS + 799);
    ids[1] = ids[2];
    count = 2;
    check_all(0, 0, 1, NOW + HOUR_MS + 800);
    check_all(0, 0, 8, NOW + HOUR_MS + 800);
}
END_TEST

/* A message that comes again and one that redeems a ticket passed too. */
START_TEST(repeated_and_redeemed_passed)
{
    static const enum outcome expected[] = {OUTCOME_ADMITTED, OUTCOME_REPEATED, OUTCOME_REDEEMED};
    struct record records[4];
    struct store_page page = {.max = countof(records)};
    begin(_i);
    for (int i = 0; i < 3; i++) {
        struct message message =
            message_of("alice@example.test", i < 2 ? "same" : "asked", NOW + i);
        message.request.ticket = i == 0 ? 2 : 0;
        message.request.redeem = i == 2 ? 2 : 0;
        ck_assert_int_eq(judge(&message), expected[i]);
    }
    ck_assert_int_eq(store_passed(store, arena, 0, NOW + 5, records, &page), 1);
    ck_assert_uint_eq(page.count, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(records[i].outcome, expected[i]);
        ck_assert_int_eq(records[i].at_ms, NOW + i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store passed");
    TCase *cases = backends_case(suite, "passed");
    tcase_add_loop_test(cases, in_order_from_any_on, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, many_of_a_moment, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, as_many_clocks_as_streams, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, past_records_are_passed_over, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, repeated_and_redeemed_passed, 0, BACKEND_KINDS);
    return backends_run(suite);
}
