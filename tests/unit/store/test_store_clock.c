/* A clock that once ran ahead, in both backends: up to five minutes it is another machine's, beyond that
 * it was wrong, and what it stamped counts from now on. */
#include <string.h>

#include "store/records.h"
#include "store/suspensions.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"

enum { DAYS_AHEAD = 400 };
#define FUTURE (NOW + DAYS_AHEAD * DAY_MS)

static void check(struct message *message, int64_t at_ms, int64_t ahead_ms, uint64_t used)
{
    judge(message);
    ck_assert_int_eq(message->result.at_ms, at_ms);
    ck_assert_int_eq(message->result.ahead_ms, ahead_ms);
    ck_assert_uint_eq(seen_of(message, RULE_MESSAGES_PER_DAY)->used_before, used);
    ck_assert_uint_eq(seen_of(message, RULE_OFF_DOMAIN_PER_HOUR_PER_IP)->used_before, used);
}

/* To the millisecond. */
START_TEST(test_five_minutes)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW + CLOCK_AHEAD_MS, 0);
    struct message message = message_of(ALICE, "b", NOW);
    check(&message, NOW + CLOCK_AHEAD_MS, 0, 1);
    struct message earlier = message_of(ALICE, "c", NOW - 1);
    check(&earlier, NOW - 1, CLOCK_AHEAD_MS + 1, 2);
    struct message next = message_of(ALICE, "d", NOW - 1);
    check(&next, NOW - 1, 0, 3);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW - 2 + DAY_MS), 4);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW - 1 + DAY_MS), 0);
}
END_TEST

/* More than a chunk, with right ones before them; nothing is lost and nothing stays for ever. */
START_TEST(test_counted_from_now)
{
    static const struct {
        int64_t right_ms, mended_ms; /* beside NOW */
    } cases[] = {{-MINUTE_MS, 0}, {2 * MINUTE_MS, 2 * MINUTE_MS}, {CLOCK_AHEAD_MS, CLOCK_AHEAD_MS}};
    for (size_t i = 0; i < countof(cases); i++) {
        if (i > 0)
            backend_end();
        backend_begin(_i);
        int64_t at_ms = NOW + cases[i].mended_ms;
        send_messages(ALICE, "right", 25, NOW + cases[i].right_ms, 0);
        send_messages(ALICE, "wrong", 90, NOW + CLOCK_AHEAD_MS + 1, 1);
        struct message dry = message_of(ALICE, "dry", NOW);
        dry.request.dry_run = true;
        check(&dry, at_ms, CLOCK_AHEAD_MS + 90, 115);
        const struct history *history = &dry.result.histories[SUBJECT_MAILBOX];
        ck_assert_uint_eq(history->count, 115);
        ck_assert_int_eq(history->entries[24].time_ms, NOW + cases[i].right_ms);
        ck_assert_int_le(history->entries[114].time_ms, at_ms);
        struct account account;
        ck_assert_int_eq(store_account(store, arena, ALICE, NOW, &account), 1);
        ck_assert_uint_eq(account.history.count, 115);
        ck_assert_int_le(account.history.entries[25].time_ms, at_ms);
        struct message message = message_of(ALICE, "x", NOW);
        check(&message, at_ms, CLOCK_AHEAD_MS + 90, 115);
        ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, at_ms + DAY_MS - 1),
                          cases[i].right_ms < cases[i].mended_ms ? 91 : 116);
        ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, at_ms + HOUR_MS), 0);
        ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, at_ms + DAY_MS), 0);
    }
}
END_TEST

/* What had left the window by a clock that was wrong twice does not come back into the entries:
 * they and the totals say the same. */
START_TEST(test_wrong_twice)
{
    backend_begin(_i);
    send_messages(ALICE, "first", 1, NOW + 100 * DAY_MS, 0);
    send_messages(ALICE, "second", 1, FUTURE, 0);
    struct message message = message_of(ALICE, "x", NOW);
    message.request.dry_run = true;
    check(&message, NOW, FUTURE - NOW, 1);
    ck_assert_uint_eq(message.result.histories[SUBJECT_MAILBOX].count, 1);
    struct account account;
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW, &account), 1);
    ck_assert_uint_eq(account.history.count, 1);
}
END_TEST

START_TEST(test_days_ahead)
{
    backend_begin(_i);
    send_messages(ALICE, "wrong", 45, FUTURE, 0);
    struct message message = message_of(ALICE, "x", NOW);
    check(&message, NOW, FUTURE - NOW, 45);
    send_messages(ALICE, "y", 1, NOW + 1, 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + DAY_MS - 1), 47);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + DAY_MS), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "y-0", NOW + 2), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + DAY_MS), 0);
    ck_assert_int_eq(store_refund(store, ALICE, "wrong-7", NOW + 2), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "wrong-7", NOW + 2), 0);
    struct message dry = message_of(ALICE, "dry", NOW + 3);
    dry.request.dry_run = true;
    ck_assert_int_eq(judge(&dry), OUTCOME_ADMITTED);
    ck_assert_uint_eq(seen_of(&dry, RULE_MESSAGES_PER_DAY)->used_before, 45);
    /* SQLite finds the IP in the decision, which a history has for messages of its own moment */
    ck_assert_uint_eq(seen_of(&dry, RULE_OFF_DOMAIN_PER_HOUR_PER_IP)->used_before,
                      _i == BACKEND_SQLITE ? 46 : 45);
}
END_TEST

/* It holds for its own length from the first message at the right time on. */
START_TEST(test_suspension_of_the_future)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 1, FUTURE, 0);
    struct message over = message_of(ALICE, "over", FUTURE);
    over.request.windows[0].limit = 1;
    ck_assert_int_eq(judge(&over), OUTCOME_SUSPENDED);
    struct account account;
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW, &account), 1);
    ck_assert_int_eq(account.suspensions.of[0].since_ms, NOW);
    ck_assert_int_eq(account.suspensions.of[0].until_ms, NOW + DAY_MS);
    for (int hour = 0; hour < 3; hour++) {
        struct message refused = message_of(ALICE, "x", NOW + hour * HOUR_MS);
        ck_assert_int_eq(judge(&refused), OUTCOME_SUSPENDED);
        ck_assert_int_eq(refused.result.suspensions.of[0].since_ms, NOW);
        ck_assert_int_eq(refused.result.suspensions.of[0].until_ms, NOW + DAY_MS);
    }
    struct suspended page[2];
    struct store_page told = {.max = 2};
    ck_assert_int_eq(store_suspended(store, "", NOW + DAY_MS - 1, page, &told), 1);
    ck_assert_uint_eq(told.count, 1);
    ck_assert_int_eq(page[0].suspensions.of[0].until_ms, NOW + DAY_MS);
    ck_assert_int_eq(store_suspended(store, "", NOW + DAY_MS, page, &told), 1);
    ck_assert_uint_eq(told.count, 0);
    send_messages(ALICE, "free", 1, NOW + DAY_MS, 0);
}
END_TEST

START_TEST(test_suspension_at_the_edge)
{
    static const struct durations a_day = {.count = 1, .ms = {DAY_MS}};
    struct action action = action_at(NOW + CLOCK_AHEAD_MS);
    struct suspension made;
    struct account account;
    backend_begin(_i);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_STAFF, &a_day, &action, &made), 1);
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW, &account), 1);
    ck_assert_int_eq(account.suspensions.of[0].until_ms, NOW + CLOCK_AHEAD_MS + DAY_MS);
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW - 1, &account), 1);
    ck_assert_int_eq(account.suspensions.of[0].until_ms, NOW - 1 + DAY_MS);
}
END_TEST

/* An attempt at the wrong time moved the end. */
START_TEST(test_end_of_the_future)
{
    static const struct durations a_month = {.count = 1, .ms = {30 * DAY_MS}};
    struct action action = action_at(NOW);
    struct suspension made;
    backend_begin(_i);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_VOLUME, &a_month, &action, &made), 1);
    struct message wrong = message_of(ALICE, "x", NOW + 20 * DAY_MS);
    wrong.request.retries_before_restart = 1;
    ck_assert_int_eq(judge(&wrong), OUTCOME_SUSPENDED);
    ck_assert_int_eq(wrong.result.suspensions.of[0].until_ms, NOW + 50 * DAY_MS);
    for (int hour = 1; hour < 3; hour++) {
        struct message right = message_of(ALICE, "y", NOW + hour * HOUR_MS);
        ck_assert_int_eq(judge(&right), OUTCOME_SUSPENDED);
        ck_assert_int_eq(right.result.suspensions.of[0].since_ms, NOW);
        ck_assert_int_eq(right.result.suspensions.of[0].until_ms, NOW + HOUR_MS + 30 * DAY_MS);
    }
}
END_TEST

START_TEST(test_until_lifted_of_the_future)
{
    static const struct durations for_good = {.count = 1, .ms = {UNTIL_LIFTED}};
    struct action action = action_at(FUTURE);
    struct suspension made;
    backend_begin(_i);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_STAFF, &for_good, &action, &made), 1);
    struct message refused = message_of(ALICE, "x", NOW);
    ck_assert_int_eq(judge(&refused), OUTCOME_SUSPENDED);
    ck_assert_int_eq(refused.result.suspensions.of[0].since_ms, NOW);
    ck_assert_int_eq(refused.result.suspensions.of[0].until_ms, UNTIL_LIFTED);
}
END_TEST

START_TEST(test_ticket_of_the_future)
{
    backend_begin(_i);
    struct message edge = message_of(ALICE, "edge", NOW + CLOCK_AHEAD_MS);
    edge.request.ticket = 3;
    ck_assert_int_eq(judge(&edge), OUTCOME_ADMITTED);
    struct message taken = message_of(ALICE, "q1", NOW);
    taken.request.redeem = 3;
    ck_assert_int_eq(judge(&taken), OUTCOME_REDEEMED);
    struct message wrong = message_of(ALICE, "wrong", FUTURE);
    wrong.request.ticket = 3;
    ck_assert_int_eq(judge(&wrong), OUTCOME_ADMITTED);
    struct message asked = message_of(ALICE, "q2", NOW + 1);
    asked.request.redeem = 3;
    ck_assert_int_eq(judge(&asked), OUTCOME_ADMITTED);
}
END_TEST

/* Each by itself: of two that hold, a wrong clock stamped one. What is done to the other does not
 * make it begin: a message does. */
START_TEST(test_one_of_the_future)
{
    static const struct durations a_day = {.count = 1, .ms = {DAY_MS}};
    static const struct durations a_week = {.count = 1, .ms = {7 * DAY_MS}};
    struct action wrong = action_at(FUTURE), right = action_at(NOW);
    struct suspension made;
    struct account account;
    backend_begin(_i);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_TERMS, &a_day, &wrong, &made), 1);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_STAFF, &a_week, &right, &made), 1);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_FAILURES, &a_day, &right, &made), 1);
    right.now_ms = NOW + HOUR_MS;
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_FAILURES, &right), 1);
    for (int hour = 2; hour < 5; hour++) {
        int64_t now_ms = NOW + hour * HOUR_MS;
        if (hour == 4) {
            struct message refused = message_of(ALICE, "x", now_ms - HOUR_MS);
            ck_assert_int_eq(judge(&refused), OUTCOME_SUSPENDED);
        }
        ck_assert_int_eq(store_account(store, arena, ALICE, now_ms, &account), 1);
        ck_assert_uint_eq(account.suspensions.count, 2);
        ck_assert_int_eq(account.suspensions.of[0].cause, CAUSE_STAFF);
        ck_assert_int_eq(account.suspensions.of[0].since_ms, NOW);
        ck_assert_int_eq(account.suspensions.of[0].until_ms, NOW + 7 * DAY_MS);
        int64_t since_ms = hour == 4 ? now_ms - HOUR_MS : now_ms;
        ck_assert_int_eq(account.suspensions.of[1].since_ms, since_ms);
        ck_assert_int_eq(account.suspensions.of[1].until_ms, since_ms + DAY_MS);
    }
}
END_TEST

/* A beginning that is not far ahead stays, also where the attempt that moved the end is. */
START_TEST(test_beginning_stays)
{
    static const struct durations a_day = {.count = 1, .ms = {DAY_MS}};
    struct action action = action_at(NOW + MINUTE_MS);
    struct suspension made;
    struct account account;
    backend_begin(_i);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_VOLUME, &a_day, &action, &made), 1);
    struct message wrong = message_of(ALICE, "x", NOW + HOUR_MS);
    wrong.request.retries_before_restart = 1;
    ck_assert_int_eq(judge(&wrong), OUTCOME_SUSPENDED);
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW, &account), 1);
    ck_assert_int_eq(account.suspensions.of[0].since_ms, NOW + MINUTE_MS);
    ck_assert_int_eq(account.suspensions.of[0].until_ms, NOW + DAY_MS);
}
END_TEST

/* A clock that goes back in two steps: when the beginning is found to be ahead, the end that was
 * mended before goes back with it. */
START_TEST(test_end_goes_with_the_beginning)
{
    static const struct durations an_hour = {.count = 1, .ms = {HOUR_MS}};
    const int64_t began_ms = NOW + CLOCK_AHEAD_MS + SECOND_MS;
    const int64_t attempts_ms[] = {began_ms + 9 * SECOND_MS, NOW + 5 * SECOND_MS};
    struct action action = action_at(began_ms);
    struct suspension made;
    struct account account;
    backend_begin(_i);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_VOLUME, &an_hour, &action, &made), 1);
    for (size_t i = 0; i < countof(attempts_ms); i++) {
        struct message tried = message_of(ALICE, arena_printf(arena, "%zu", i),
                                                attempts_ms[i]);
        tried.request.retries_before_restart = 1;
        ck_assert_int_eq(judge(&tried), OUTCOME_SUSPENDED);
        ck_assert_int_eq(tried.result.suspensions.of[0].since_ms, began_ms);
        ck_assert_int_eq(tried.result.suspensions.of[0].until_ms, attempts_ms[i] + HOUR_MS);
    }
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW, &account), 1);
    ck_assert_int_eq(account.suspensions.of[0].since_ms, NOW);
    ck_assert_int_eq(account.suspensions.of[0].until_ms, NOW + HOUR_MS);
}
END_TEST

/* One that was over by the wrong clock, and then replaced, does not come back with the right one. */
START_TEST(test_replaced_at_the_wrong_time)
{
    static const struct durations a_day = {.count = 1, .ms = {DAY_MS}};
    static const struct durations an_hour = {.count = 1, .ms = {HOUR_MS}};
    struct action first = action_at(NOW), second = action_at(NOW + 2 * DAY_MS);
    struct suspension made;
    backend_begin(_i);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_STAFF, &a_day, &first, &made), 1);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_STAFF, &an_hour, &second, &made), 1);
    struct message refused = message_of(ALICE, "x", NOW + 1);
    ck_assert_int_eq(judge(&refused), OUTCOME_SUSPENDED);
    ck_assert_int_eq(refused.result.suspensions.of[0].until_ms, NOW + 1 + HOUR_MS);
    send_messages(ALICE, "free", 1, NOW + 1 + HOUR_MS, 0);
}
END_TEST

/* An offence of the future is one of now from the next on, and is forgotten after thirty days. */
START_TEST(test_offence_of_the_future)
{
    static const struct durations an_hour = {.count = 1, .ms = {HOUR_MS}};
    static const int64_t days[] = {DAYS_AHEAD, 0, 31};
    static const uint32_t offences[] = {1, 2, 1};
    backend_begin(_i);
    for (size_t i = 0; i < countof(days); i++) {
        struct action action = action_at(NOW + days[i] * DAY_MS);
        struct suspension made;
        ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_STAFF, &an_hour, &action, &made), 1);
        ck_assert_uint_eq(made.offence, offences[i]);
        ck_assert_int_eq(store_lift(store, ALICE, CAUSE_STAFF, &action), 1);
    }
}
END_TEST

/* What has left an hour by the wrong clock is not taken out of it again. */
START_TEST(test_refund_of_what_has_left)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW, 0);
    send_messages(ALICE, "wrong", 1, NOW + HOUR_MS, 0);
    send_messages(ALICE, "b", 1, NOW + 1, 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 2), 2);
    ck_assert_int_eq(store_refund(store, ALICE, "a-0", NOW + 2), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 2), 2);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_HOUR, NOW + 2), 2);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 2), 2);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store clock");
    TCase *cases = backends_case(suite, "clock");
    tcase_add_loop_test(cases, test_five_minutes, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_counted_from_now, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_wrong_twice, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_days_ahead, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspension_of_the_future, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspension_at_the_edge, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_end_of_the_future, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_until_lifted_of_the_future, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_one_of_the_future, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_beginning_stays, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_end_goes_with_the_beginning, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_replaced_at_the_wrong_time, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_offence_of_the_future, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refund_of_what_has_left, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_ticket_of_the_future, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
