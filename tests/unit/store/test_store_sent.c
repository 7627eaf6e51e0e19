/* Messages that were sent before the store is told of them, in both backends: they count as of the
 * moment at which they were sent, as far as nothing of their mailbox or IP counts as of a later
 * one. */
#include <string.h>

#include "base/decision.h"
#include "store/records.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"
#define BOB "bob@example.test"

static struct message sent_at(const char *id, int64_t sent_ms, int64_t now_ms)
{
    struct message message = message_of(ALICE, id, now_ms);
    message.request.sent_ms = sent_ms;
    message.request.decision = decision_new(sent_ms);
    message.request.observe = true;
    return message;
}

/* All windows, to the millisecond. */
START_TEST(test_counts_as_of_then)
{
    backend_begin(_i);
    struct message message = sent_at("a", NOW, NOW + 30 * MINUTE_MS);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_int_eq(message.result.at_ms, NOW);
    ck_assert_int_eq(message.result.ahead_ms, 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_HOUR, NOW + HOUR_MS - 1), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + HOUR_MS - 1), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_HOUR, NOW + HOUR_MS), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + HOUR_MS), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + DAY_MS - 1), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + DAY_MS), 0);
}
END_TEST

/* What has left the shorter windows counts in the longer ones alone. */
START_TEST(test_hours_later)
{
    backend_begin(_i);
    struct message message = sent_at("a", NOW, NOW + 23 * HOUR_MS);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_HOUR, NOW + 23 * HOUR_MS), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 23 * HOUR_MS), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 23 * HOUR_MS), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + DAY_MS), 0);
}
END_TEST

/* Nor is what was counted later taken for a clock's that was wrong. */
START_TEST(test_not_before_the_newest)
{
    backend_begin(_i);
    send_messages(ALICE, "live", 1, NOW + 2 * HOUR_MS, 0);
    struct message message = sent_at("a", NOW, NOW + 2 * HOUR_MS + MINUTE_MS);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_int_eq(message.result.at_ms, NOW + 2 * HOUR_MS);
    ck_assert_int_eq(message.result.ahead_ms, 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_HOUR, NOW + 3 * HOUR_MS - 1), 2);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_HOUR, NOW + 3 * HOUR_MS), 0);
    struct record record;
    ck_assert_int_eq(store_record(store, arena, message.result.decision, NOW + 3 * HOUR_MS,
                                  &record), 1);
    ck_assert_int_eq(record.at_ms, NOW + 2 * HOUR_MS);
}
END_TEST

START_TEST(test_once)
{
    backend_begin(_i);
    for (int i = 0; i < 3; i++) {
        struct message message = sent_at("a", NOW, NOW + HOUR_MS + i);
        ck_assert_int_eq(judge(&message), i == 0 ? OUTCOME_ADMITTED : OUTCOME_REPEATED);
    }
    struct message live = message_of(ALICE, "a", NOW + HOUR_MS + 3);
    ck_assert_int_eq(judge(&live), OUTCOME_REPEATED);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 2 * HOUR_MS), 1);
}
END_TEST

/* Beside others in one step, each has its record where it is looked for: by its decision, and in
 * the list of its mailbox. */
START_TEST(test_records)
{
    enum { LATER = 20 * MINUTE_MS };
    backend_begin(_i);
    send_messages(BOB, "before", 1, NOW + LATER, 0);
    struct message messages[] = {
        sent_at("a", NOW, NOW + LATER), message_of(BOB, "b", NOW + LATER),
        sent_at("c", NOW + 1, NOW + LATER), message_of(BOB, "d", NOW + LATER)};
    int answers[countof(messages)];
    for (size_t i = 0; i < countof(messages); i++)
        messages[i].request.ip = NULL; /* each counts as of its own moment */
    judge_all(store, messages, answers, countof(messages));
    for (size_t i = 0; i < countof(messages); i++) {
        struct record record;
        int64_t at_ms = i % 2 == 1 ? NOW + LATER : NOW + (int64_t)i / 2;
        ck_assert_int_eq(answers[i], 1);
        ck_assert_int_eq(messages[i].result.at_ms, at_ms);
        ck_assert_int_eq(decision_time(messages[i].result.decision), at_ms);
        ck_assert_int_eq(store_record(store, arena, messages[i].result.decision, NOW + LATER,
                                      &record), 1);
        ck_assert_int_eq(record.at_ms, at_ms);
        ck_assert_int_eq(record.outcome, OUTCOME_ADMITTED);
    }
    struct record records[4];
    struct store_page page = {.max = countof(records)};
    ck_assert_int_eq(store_decisions(store, arena, ALICE, UINT64_MAX, NOW + LATER, records, &page),
                     1);
    ck_assert_uint_eq(page.count, 2);
    ck_assert_int_eq(records[0].at_ms, NOW + 1);
    ck_assert_int_eq(records[1].at_ms, NOW);
    struct message next = message_of(BOB, "e", NOW + LATER);
    judge(&next);
    ck_assert_int_eq(decision_time(next.result.decision), NOW + LATER);
}
END_TEST

START_TEST(test_refund)
{
    backend_begin(_i);
    send_messages(BOB, "live", 1, NOW, 0); /* from the same IP */
    struct message message = sent_at("a", NOW, NOW + 30 * MINUTE_MS);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 30 * MINUTE_MS), 2);
    ck_assert_int_eq(store_refund(store, ALICE, "a", NOW + 31 * MINUTE_MS), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "a", NOW + 31 * MINUTE_MS), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 31 * MINUTE_MS), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 31 * MINUTE_MS), 1);
}
END_TEST

/* A ticket holds from the moment at which the store is told. */
START_TEST(test_tickets)
{
    static const struct {
        int64_t after_ms;
        bool sent;
        enum outcome outcome;
    } cases[] = {{0, true, OUTCOME_REDEEMED},
                 {TICKET_MS - 1, true, OUTCOME_REDEEMED},
                 {TICKET_MS - 1, false, OUTCOME_REDEEMED},
                 {TICKET_MS, true, OUTCOME_ADMITTED},
                 {TICKET_MS, false, OUTCOME_ADMITTED}};
    for (size_t i = 0; i < countof(cases); i++) {
        int64_t told_ms = NOW + 3 * HOUR_MS, asked_ms = told_ms + cases[i].after_ms;
        if (i > 0)
            backend_end();
        backend_begin(_i);
        struct message leaves = sent_at("a", NOW, told_ms);
        leaves.request.ticket = 3;
        ck_assert_int_eq(judge(&leaves), OUTCOME_ADMITTED);
        struct message redeems = cases[i].sent ? sent_at("q", NOW + 1, asked_ms)
                                               : message_of(ALICE, "q", asked_ms);
        redeems.request.redeem = 3;
        ck_assert_int_eq(judge(&redeems), cases[i].outcome);
    }
}
END_TEST

static uint64_t used_to(uint64_t recipient, int64_t now_ms)
{
    struct message message = message_of(ALICE, "never sent", now_ms);
    message.request.dry_run = true;
    message.request.recipients = &recipient;
    message.request.recipient_count = 1;
    message.request.windows[message.request.window_count++] =
        (struct judge_window){.rule = RULE_MESSAGES_PER_DAY_PER_RECIPIENT, .limit = 10};
    judge(&message);
    return seen_of(&message, RULE_MESSAGES_PER_DAY_PER_RECIPIENT)->used_before;
}

START_TEST(test_recipients)
{
    const uint64_t recipient = 4711;
    backend_begin(_i);
    for (int i = 0; i < 2; i++) {
        struct message message = sent_at(i == 0 ? "a" : "b", NOW + i, NOW + 23 * HOUR_MS);
        message.request.recipients = &recipient;
        message.request.recipient_count = 1;
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    }
    ck_assert_uint_eq(used_to(recipient, NOW + DAY_MS - 1), 2);
    ck_assert_uint_eq(used_to(recipient, NOW + DAY_MS), 1);
    ck_assert_uint_eq(used_to(recipient, NOW + DAY_MS + 1), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store sent");
    TCase *cases = backends_case(suite, "sent");
    tcase_add_loop_test(cases, test_counts_as_of_then, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hours_later, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_not_before_the_newest, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_once, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_records, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refund, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_tickets, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_recipients, 0, BACKEND_KINDS);
    return backends_run(suite);
}
