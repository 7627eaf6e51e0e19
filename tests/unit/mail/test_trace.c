/* What became of a message at its recipients, and the form in which it is kept. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "mail/trace.h"

#define DAY_NUMBER INT64_C(20785) /* 2026-11-28 */
#define NOON (DAY_NUMBER * DAY_MS + 12 * 60 * MINUTE_MS)

static struct arena *arena;
static struct trace_message message;

static void begin(void)
{
    arena = arena_new();
    message = (struct trace_message){.decision = decision_floor(NOON) + 77, .queue_id = "868E3A74626"};
}

static void end(void)
{
    free(message.recipients);
    arena_free(&arena);
}

static struct trace_recipient before;

static struct trace_recipient *outcome(uint64_t recipient, enum delivery delivery, bool attempted,
                                    bool expanded, int64_t at_ms)
{
    const struct trace_outcome taken = {
        .recipient = recipient, .delivery = delivery, .attempted = attempted, .expanded = expanded,
        .class = delivery == DELIVERY_DELIVERED ? REPLY_OTHER : REPLY_ADDRESS_UNKNOWN,
        .at_ms = at_ms, .reply = (uint64_t)delivery + 100};
    return trace_take_outcome(&message, &taken, &before);
}

/* ---- outcomes --------------------------------------------------------------------------------- */

START_TEST(test_deferred_then_delivered)
{
    struct trace_recipient *one = outcome(1, DELIVERY_DEFERRED, true, false, NOON + 1000);
    ck_assert_int_eq(before.delivery, DELIVERY_PENDING);
    ck_assert_int_eq(one->delivery, DELIVERY_DEFERRED);
    one = outcome(1, DELIVERY_DEFERRED, false, false, NOON + 2000);
    ck_assert_uint_eq(one->attempts, 1);
    one = outcome(1, DELIVERY_DELIVERED, true, false, NOON + 61000);
    ck_assert_int_eq(before.delivery, DELIVERY_DEFERRED);
    ck_assert_uint_eq(before.reply, 100 + DELIVERY_DEFERRED);
    ck_assert_int_eq(one->delivery, DELIVERY_DELIVERED);
    ck_assert_int_eq(one->class, REPLY_ADDRESS_UNKNOWN); /* of what it was before */
    ck_assert_uint_eq(one->attempts, 2);
    ck_assert_int_eq(one->first_ms, NOON + 1000);
    ck_assert_int_eq(one->last_ms, NOON + 61000);
    ck_assert_uint_eq(message.recipient_count, 1);
}
END_TEST

/* Outcomes of one recipient in the order of the log, and what it is known as then: d deferred, f
 * failed, + delivered; upper case: of one of several addresses that it stands for. */
static const struct {
    const char *outcomes;
    enum delivery known;
} orders[] = {
    {"d", DELIVERY_DEFERRED},   {"f", DELIVERY_FAILED},     {"+", DELIVERY_DELIVERED},
    {"df", DELIVERY_FAILED},    {"d+", DELIVERY_DELIVERED}, {"+f", DELIVERY_DELIVERED},
    {"+d", DELIVERY_DELIVERED}, {"f+", DELIVERY_DELIVERED}, {"DF", DELIVERY_DEFERRED},
    {"FD", DELIVERY_DEFERRED},  {"F*", DELIVERY_DELIVERED}, {"*F", DELIVERY_DELIVERED},
    {"D*F", DELIVERY_DELIVERED}, {"FF", DELIVERY_FAILED},   {"ddd", DELIVERY_DEFERRED},
};

START_TEST(test_the_best_counts)
{
    const struct trace_recipient *known = NULL;
    int64_t at_ms = NOON;
    for (const char *next = orders[_i].outcomes; *next != '\0'; next++)
        known = outcome(1,
                     strchr("dD", *next) ? DELIVERY_DEFERRED
                     : strchr("fF", *next) ? DELIVERY_FAILED : DELIVERY_DELIVERED,
                     true, strchr("DF*", *next) != NULL, at_ms += 1000);
    ck_assert_int_eq(known->delivery, orders[_i].known);
    ck_assert_uint_eq(known->attempts, strlen(orders[_i].outcomes));
}
END_TEST

static int changes;

static void count_change(void *context, const struct trace_recipient *was,
                         const struct trace_recipient *is)
{
    ck_assert_ptr_eq(context, &changes);
    ck_assert_int_eq(was->delivery, DELIVERY_DEFERRED);
    ck_assert_int_ne(is->delivery, DELIVERY_DEFERRED);
    changes++;
}

START_TEST(test_given_up)
{
    changes = 0;
    outcome(1, DELIVERY_DEFERRED, true, false, NOON);
    outcome(2, DELIVERY_DELIVERED, true, false, NOON);
    outcome(3, DELIVERY_FAILED, true, false, NOON);
    outcome(4, DELIVERY_DEFERRED, false, false, NOON);
    trace_give_up(&message, DELIVERY_EXPIRED, NOON + DAY_MS, count_change, &changes);
    ck_assert_int_eq(changes, 2);
    ck_assert_int_eq(message.recipients[0].delivery, DELIVERY_EXPIRED);
    ck_assert_int_eq(message.recipients[0].class, REPLY_EXPIRED);
    ck_assert_int_eq(message.recipients[0].last_ms, NOON + DAY_MS);
    ck_assert_int_eq(message.recipients[1].delivery, DELIVERY_DELIVERED);
    ck_assert_int_eq(message.recipients[2].delivery, DELIVERY_FAILED);
    ck_assert_int_eq(message.recipients[3].delivery, DELIVERY_EXPIRED);
}
END_TEST

START_TEST(test_unknown_recipients)
{
    ck_assert_uint_eq(trace_unknown(&message), 0);
    message.expected = 2;
    ck_assert_uint_eq(trace_unknown(&message), 2);
    for (uint64_t i = 0; i < 3; i++) /* an address may stand for more than it was queued for */
        outcome(i, DELIVERY_DELIVERED, true, false, NOON);
    ck_assert_uint_eq(trace_unknown(&message), 0);
}
END_TEST

START_TEST(test_most_recipients)
{
    for (uint64_t i = 0; i < TRACE_RECIPIENTS_MAX; i++)
        ck_assert_ptr_nonnull(outcome(i, DELIVERY_DELIVERED, true, false, NOON));
    ck_assert_ptr_null(outcome(TRACE_RECIPIENTS_MAX, DELIVERY_FAILED, true, false, NOON));
    ck_assert_ptr_nonnull(outcome(0, DELIVERY_FAILED, true, false, NOON));
    ck_assert_uint_eq(message.recipient_count, TRACE_RECIPIENTS_MAX);
}
END_TEST

/* ---- the packed form ------------------------------------------------------------------------------ */

static const char *const queue_ids[] = {"868E3A74626", "4jbqC64kngz1bf1c", "", "no id of Postfix"};

static void check_same(const struct trace_message *read, const struct trace_message *was)
{
    ck_assert_uint_eq(read->decision, was->decision);
    ck_assert_str_eq(read->queue_id, was->queue_id);
    ck_assert_uint_eq(read->message_id, was->message_id);
    ck_assert_uint_eq(read->expected, was->expected);
    ck_assert_int_eq(read->refunded, was->refunded);
    ck_assert_int_eq(read->ended, was->ended);
    ck_assert_int_eq(read->silent, was->silent);
    ck_assert_uint_eq(read->recipient_count, was->recipient_count);
    for (size_t i = 0; i < was->recipient_count; i++)
        ck_assert_int_eq(memcmp(&read->recipients[i], &was->recipients[i],
                                sizeof read->recipients[i]), 0);
}

/* With everything that can be known; seconds are whole as they are kept. */
static void fill(int which)
{
    strcpy(message.queue_id, queue_ids[which]);
    message.message_id = which % 2 == 0 ? 0 : 0xFEDCBA98;
    message.expected = 300;
    message.refunded = which == 0;
    message.ended = which != 2;
    message.silent = which == 3;
    for (uint64_t i = 0; i < 300; i++) {
        outcome(i * UINT64_C(0x9E3779B97F4A7C15), (enum delivery)(1 + i % 3), true, false,
             NOON + (int64_t)i * 1000);
        message.recipients[i].attempts = (uint32_t)(i * i);
        message.recipients[i].last_ms = message.recipients[i].first_ms + (int64_t)i * 400000;
        message.recipients[i].reply = i == 0 ? 0 : i * UINT64_C(938249922368);
    }
}

START_TEST(test_there_and_back)
{
    struct trace_message *read, other = {.decision = decision_floor(DAY_NUMBER * DAY_MS)};
    freed_by(text_free) struct text packed = {0};
    size_t count;
    fill(_i);
    trace_add(&packed, DAY_NUMBER, &message);
    trace_add(&packed, DAY_NUMBER, &other);
    ck_assert_uint_le(packed.length, 1 + trace_bytes(&message) + trace_bytes(&other));
    ck_assert_int_eq(trace_read(arena, DAY_NUMBER, packed.data, packed.length, &read, &count), 1);
    ck_assert_uint_eq(count, 2);
    check_same(&read[0], &message);
    check_same(&read[1], &other);
    ck_assert_int_eq(trace_day(read[0].decision), DAY_NUMBER);
}
END_TEST

/* Each beginning of it, and each byte changed, is read or refused, but nothing else happens. */
START_TEST(test_damage)
{
    struct trace_message *read;
    freed_by(text_free) struct text packed = {0};
    size_t count;
    fill(1);
    message.recipient_count = 3;
    trace_add(&packed, DAY_NUMBER, &message);
    for (size_t length = 1; length < packed.length; length++)
        ck_assert_int_eq(trace_read(arena, DAY_NUMBER, arena_strndup(arena, packed.data, length),
                                    length, &read, &count), length == 1);
    for (size_t i = 0; i < packed.length; i++)
        for (int value = 0; value < 256; value++) {
            char *changed = arena_strndup(arena, packed.data, packed.length);
            changed[i] = (char)value;
            if (trace_read(arena, DAY_NUMBER, changed, packed.length, &read, &count) && count > 0)
                ck_assert_uint_le(read[0].recipient_count, TRACE_RECIPIENTS_MAX);
        }
}
END_TEST

/* What a message with one recipient takes that was delivered at once, and each further one. */
START_TEST(test_how_many_bytes)
{
    freed_by(text_free) struct text one = {0}, two = {0};
    strcpy(message.queue_id, "4jbqC64kngz1bf1c");
    int64_t time_us;
    ck_assert_int_eq(queue_id_time(message.queue_id, strlen(message.queue_id), &time_us), 1);
    int64_t at_ms = time_us / 1000 + 20;
    message.decision = decision_floor(at_ms) + 99999;
    message.message_id = 0x12345678;
    message.expected = 1;
    outcome(1, DELIVERY_DELIVERED, true, false, at_ms + 2000);
    trace_add(&one, trace_day(message.decision), &message);
    outcome(2, DELIVERY_DEFERRED, true, false, at_ms + 2000);
    outcome(2, DELIVERY_FAILED, true, false, at_ms + DAY_MS);
    trace_add(&two, trace_day(message.decision), &message);
    ck_assert_uint_le(one.length, 1 + 22 + 18);
    ck_assert_uint_le(two.length - one.length, 21);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace");
    TCase *cases = tcase_create("trace");
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, test_deferred_then_delivered);
    tcase_add_loop_test(cases, test_the_best_counts, 0, (int)countof(orders));
    tcase_add_test(cases, test_given_up);
    tcase_add_test(cases, test_unknown_recipients);
    tcase_add_test(cases, test_most_recipients);
    tcase_add_loop_test(cases, test_there_and_back, 0, (int)countof(queue_ids));
    tcase_add_test(cases, test_damage);
    tcase_add_test(cases, test_how_many_bytes);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
