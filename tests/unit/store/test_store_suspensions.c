/* Suspensions, by a message and by staff, in both backends. */
#include <stdlib.h>
#include <string.h>

#include "store/records.h"
#include "store/suspensions.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"
#define BOB "bob@example.test"

static const struct durations a_day = {.count = 1, .ms = {DAY_MS}};
static const struct durations until_lifted = {.count = 1, .ms = {UNTIL_LIFTED}};

static struct suspension suspend(const char *mailbox, enum cause cause,
                                 const struct durations *durations, int64_t now_ms)
{
    struct suspension suspension;
    struct action action = action_at(now_ms);
    ck_assert_msg(store_suspend(store, mailbox, cause, durations, &action, &suspension) == 1, "%s",
                  store_error(store));
    return suspension;
}

static struct account account_of(const char *mailbox, int64_t now_ms)
{
    struct account account;
    ck_assert_msg(store_account(store, arena, mailbox, now_ms, &account) == 1, "%s",
                  store_error(store));
    return account;
}

/* ---- suspensions that a message brings ------------------------------------------- */

static void bring_suspension(struct message *message_r, int64_t now_ms)
{
    *message_r = message_of(ALICE, arena_printf(arena, "over %lld", (long long)now_ms), now_ms);
    message_r->request.windows[0].limit = 1;
    ck_assert_int_eq(judge(message_r), OUTCOME_SUSPENDED);
    ck_assert(message_r->result.brought);
}

START_TEST(test_suspension_brought)
{
    struct message message;
    struct record record;
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW, 0);
    bring_suspension(&message, NOW + 10);
    const struct suspension *suspension = &message.result.suspension;
    ck_assert_int_gt(suspension->id, 0);
    ck_assert_int_eq(suspension->cause, CAUSE_VOLUME);
    ck_assert_int_eq(suspension->since_ms, NOW + 10);
    ck_assert_int_eq(suspension->until_ms, NOW + 10 + DAY_MS);
    ck_assert_uint_eq(suspension->attempts, 0);
    ck_assert_uint_eq(suspension->offence, 1);
    ck_assert_str_eq(suspension->by, "guard");
    ck_assert_str_eq(suspension->note, "messages_per_day");
    ck_assert_uint_eq(message.result.histories[SUBJECT_MAILBOX].count, 1);
    ck_assert_int_eq(store_record(store, arena, message.request.decision, NOW + 10, &record), 1);
    ck_assert_int_eq(record.outcome, OUTCOME_SUSPENDED);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 10), 1);
    struct message last = message_of(ALICE, "last", NOW + 10 + DAY_MS - 1);
    ck_assert_int_eq(judge(&last), OUTCOME_SUSPENDED);
    ck_assert(!last.result.brought);
    ck_assert_int_eq(last.result.suspension.id, suspension->id);
    ck_assert_uint_eq(last.result.suspension.attempts, 1);
    struct message after = message_of(ALICE, "after", NOW + 10 + DAY_MS);
    ck_assert_int_eq(judge(&after), OUTCOME_ADMITTED);
    ck_assert_int_eq(after.result.suspension.id, 0);
}
END_TEST

/* Refused, with the attempts and the end that the suspension has then. */
static void refused(uint64_t attempt, int64_t now_ms, uint32_t attempts, int64_t until_ms)
{
    struct message message = message_of(ALICE, "tried", now_ms);
    message.request.attempt = attempt;
    ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
    ck_assert_uint_eq(message.result.suspension.attempts, attempts);
    ck_assert_int_eq(message.result.suspension.until_ms, until_ms);
    struct suspension kept = account_of(ALICE, now_ms).suspension;
    ck_assert_uint_eq(kept.attempts, attempts);
    ck_assert_int_eq(kept.until_ms, until_ms);
}

static uint64_t mark(uint32_t first, uint32_t second) { return (uint64_t)first << 32 | second; }

START_TEST(test_attempts_move_the_end)
{
    struct message message;
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW, 0);
    bring_suspension(&message, NOW);
    for (unsigned attempt = 1; attempt <= 12; attempt++)
        refused(attempt % 2 == 0 ? 0 : mark(attempt, attempt), NOW + attempt, attempt,
                NOW + DAY_MS + (attempt >= 10 ? attempt : 0));
    /* an earlier moment, as of another machine's clock, does not make it end earlier */
    refused(mark(13, 13), NOW + 5, 13, NOW + DAY_MS + 12);
}
END_TEST

/* What is tried again, by itself or by hand, is the same attempt; so is the message that brought
 * the suspension. */
START_TEST(test_same_attempt)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW, 0);
    struct message message = message_of(ALICE, "x", NOW);
    message.request.windows[0].limit = 1;
    message.request.attempt = mark(7, 8);
    ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
    for (int i = 0; i < 50; i++)
        refused(mark(7, 8), NOW + i, 0, NOW + DAY_MS);
    refused(mark(7, 1), NOW + 50, 0, NOW + DAY_MS); /* its id, other recipients */
    refused(mark(1, 8), NOW + 50, 0, NOW + DAY_MS); /* its recipients, another id */
    refused(mark(8, 7), NOW + 50, 1, NOW + DAY_MS);
    refused(mark(8, 7), NOW + 51, 1, NOW + DAY_MS);
    for (unsigned i = 2; i <= 10; i++)
        refused(mark(10 + i, 10 + i), NOW + 60, i, NOW + DAY_MS + (i == 10 ? 60 : 0));
    for (unsigned i = 2; i <= 10; i++)
        refused(mark(10 + i, 10 + i), NOW + 70, 10, NOW + DAY_MS + 60);
    /* a dry run is none */
    struct message dry = message_of(ALICE, "dry", NOW + 80);
    dry.request.attempt = mark(99, 99);
    dry.request.dry_run = true;
    ck_assert_int_eq(judge(&dry), OUTCOME_SUSPENDED);
    refused(mark(99, 99), NOW + 80, 11, NOW + DAY_MS + 80);
}
END_TEST

/* To its own length, and only the guard's own cause. */
START_TEST(test_own_length)
{
    static const struct durations an_hour = {.count = 1, .ms = {HOUR_MS}};
    struct action action = action_at(NOW + 100);
    backend_begin(_i);
    suspend(ALICE, CAUSE_STAFF, &an_hour, NOW);
    for (unsigned i = 1; i <= 20; i++)
        refused(mark(i, i), NOW + i, i, NOW + HOUR_MS);
    ck_assert_int_eq(store_lift(store, ALICE, &action), 1);
    suspend(ALICE, CAUSE_VOLUME, &an_hour, NOW + 100);
    /* what was tried before is another attempt at this one */
    for (unsigned i = 1; i <= 20; i++)
        refused(mark(i, i), NOW + 100 + i, i, NOW + 100 + HOUR_MS + (i >= 10 ? i : 0));
    for (unsigned i = 1; i <= 20; i++)
        refused(mark(i, i), NOW + 200, 20, NOW + 100 + HOUR_MS + 20);
}
END_TEST

/* A thousand are known; what comes beyond is counted, and moves nothing. */
START_TEST(test_many_attempts)
{
    struct message message;
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW, 0);
    bring_suspension(&message, NOW);
    for (unsigned i = 1; i < ATTEMPTS_KNOWN; i++) {
        struct message other = message_of(ALICE, "x", NOW + i);
        other.request.attempt = mark(i, i);
        ck_assert_int_eq(judge(&other), OUTCOME_SUSPENDED);
    }
    refused(mark(ATTEMPTS_KNOWN, ATTEMPTS_KNOWN), NOW + 2000, ATTEMPTS_KNOWN,
            NOW + DAY_MS + 2000);
    refused(mark(ATTEMPTS_KNOWN, ATTEMPTS_KNOWN), NOW + 2001, ATTEMPTS_KNOWN,
            NOW + DAY_MS + 2000);
    refused(mark(5000, 5000), NOW + 2002, ATTEMPTS_KNOWN + 1, NOW + DAY_MS + 2000);
    refused(mark(5000, 5000), NOW + 2003, ATTEMPTS_KNOWN + 2, NOW + DAY_MS + 2000);
    refused(mark(1, 1), NOW + 2004, ATTEMPTS_KNOWN + 2, NOW + DAY_MS + 2000);
}
END_TEST

START_TEST(test_attempts_while_until_lifted)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW, 0);
    struct message message = message_of(ALICE, "x", NOW + 1);
    message.request.windows[0].limit = 1;
    message.request.volume = (struct durations){.count = 1, .ms = {UNTIL_LIFTED}};
    message.request.retries_before_restart = 1;
    for (unsigned attempt = 0; attempt < 3; attempt++) {
        message.request.now_ms = NOW + 1 + attempt * 400 * DAY_MS;
        ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
        ck_assert_int_eq(message.result.suspension.until_ms, UNTIL_LIFTED);
        ck_assert_uint_eq(message.result.suspension.attempts, attempt);
    }
}
END_TEST

START_TEST(test_offences_escalate)
{
    static const int64_t lasts_ms[] = {HOUR_MS, 2 * HOUR_MS, 4 * HOUR_MS, 4 * HOUR_MS};
    struct message message;
    backend_begin(_i);
    for (size_t i = 0; i < countof(lasts_ms); i++) {
        int64_t now_ms = NOW + (int64_t)i * 2 * DAY_MS;
        send_messages(ALICE, arena_printf(arena, "%zu", i), 1, now_ms, 0);
        message = message_of(ALICE, arena_printf(arena, "over %zu", i), now_ms + 1);
        message.request.windows[0].limit = 1;
        message.request.volume = (struct durations){.count = 3, .ms = {HOUR_MS, 2 * HOUR_MS,
                                                            4 * HOUR_MS}};
        ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
        ck_assert_uint_eq(message.result.suspension.offence, i + 1);
        ck_assert_int_eq(message.result.suspension.until_ms, now_ms + 1 + lasts_ms[i]);
    }
}
END_TEST

START_TEST(test_never_fits)
{
    backend_begin(_i);
    struct message message = message_of(ALICE, "1", NOW);
    message.request.off_domain = 1001;
    ck_assert_int_eq(judge(&message), OUTCOME_OVER);
    ck_assert(seen_of(&message, RULE_OFF_DOMAIN_PER_DAY)->over);
    ck_assert_int_eq(message.result.suspension.id, 0);
    message.request.off_domain = 1;
    window_of(&message, RULE_MESSAGES_PER_DAY)->limit = 0;
    ck_assert_int_eq(judge(&message), OUTCOME_OVER);
    window_of(&message, RULE_MESSAGES_PER_DAY)->limit = 600;
    message.request.off_domain = 500;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
}
END_TEST

/* Two windows are over; the one that suspends names the suspension. */
START_TEST(test_window_that_suspends)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 2, NOW, 1);
    struct message message = message_of(ALICE, "x", NOW + 2);
    message.request.windows[0] = (struct judge_window){.rule = RULE_MESSAGES_PER_DAY, .limit = 2};
    message.request.windows[1].limit = 2;
    ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
    ck_assert(message.result.windows[0].over && message.result.windows[1].over);
    ck_assert_str_eq(message.result.suspension.note, "off_domain_per_day");
}
END_TEST

/* ---- suspend and lift --------------------------------------------------------- */

START_TEST(test_suspend)
{
    backend_begin(_i);
    struct suspension made = suspend(ALICE, CAUSE_COMPLAINTS, &a_day, NOW);
    ck_assert_int_gt(made.id, 0);
    ck_assert_int_eq(made.cause, CAUSE_COMPLAINTS);
    ck_assert_int_eq(made.since_ms, NOW);
    ck_assert_int_eq(made.until_ms, NOW + DAY_MS);
    ck_assert_uint_eq(made.offence, 1);
    ck_assert_str_eq(made.by, "agnes");
    ck_assert_str_eq(made.note, "asked by telephone");
    struct suspension read = account_of(ALICE, NOW + DAY_MS - 1).suspension;
    ck_assert_int_eq(read.id, made.id);
    ck_assert_int_eq(read.until_ms, made.until_ms);
    ck_assert_str_eq(read.note, made.note);
    ck_assert_int_eq(account_of(ALICE, NOW + DAY_MS).suspension.id, 0);
    ck_assert_int_eq(account_of(BOB, NOW).suspension.id, 0);
    struct message message = message_of(ALICE, "1", NOW + 1);
    ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
    ck_assert_int_eq(message.result.suspension.cause, CAUSE_COMPLAINTS);
}
END_TEST

/* The newer one holds, be it shorter or longer; nothing of the older comes back. */
START_TEST(test_suspend_replaces)
{
    static const struct durations an_hour = {.count = 1, .ms = {HOUR_MS}};
    backend_begin(_i);
    struct suspension first = suspend(ALICE, CAUSE_TERMS, &until_lifted, NOW);
    ck_assert_int_eq(first.until_ms, UNTIL_LIFTED);
    struct suspension second = suspend(ALICE, CAUSE_STAFF, &an_hour, NOW + 1);
    ck_assert_int_gt(second.id, first.id);
    ck_assert_int_eq(account_of(ALICE, NOW + 2).suspension.id, second.id);
    ck_assert_int_eq(account_of(ALICE, NOW + 1 + HOUR_MS).suspension.id, 0);
    struct suspension third = suspend(ALICE, CAUSE_STAFF, &until_lifted, NOW + 2 * HOUR_MS);
    ck_assert_int_eq(account_of(ALICE, NOW + 400 * DAY_MS).suspension.id, third.id);
    struct action action = action_at(NOW + 401 * DAY_MS);
    ck_assert_int_eq(store_lift(store, ALICE, &action), 1);
    ck_assert_int_eq(account_of(ALICE, NOW + 401 * DAY_MS).suspension.id, 0);
}
END_TEST

START_TEST(test_lift)
{
    struct action action = action_at(NOW + 5);
    backend_begin(_i);
    send_messages(ALICE, "a", 3, NOW, 1);
    ck_assert_int_eq(store_lift(store, ALICE, &action), 0);
    suspend(ALICE, CAUSE_TERMS, &until_lifted, NOW + 4);
    ck_assert_int_eq(store_lift(store, ALICE, &action), 1);
    ck_assert_int_eq(store_lift(store, ALICE, &action), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 5), 3);
    struct message message = message_of(ALICE, "x", NOW + 6);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    suspend(ALICE, CAUSE_TERMS, &a_day, NOW + 7);
    struct action too_late = action_at(NOW + 7 + DAY_MS);
    ck_assert_int_eq(store_lift(store, ALICE, &too_late), 0);
}
END_TEST

START_TEST(test_offences)
{
    static const struct durations steps = {.count = 3, .ms = {DAY_MS, 3 * DAY_MS, UNTIL_LIFTED}};
    struct action action = action_at(NOW + 3);
    backend_begin(_i);
    ck_assert_int_eq(suspend(ALICE, CAUSE_COMPLAINTS, &steps, NOW).until_ms, NOW + DAY_MS);
    ck_assert_uint_eq(suspend(ALICE, CAUSE_TERMS, &steps, NOW + 1).offence, 1);
    ck_assert_uint_eq(suspend(BOB, CAUSE_COMPLAINTS, &steps, NOW + 1).offence, 1);
    ck_assert_int_eq(store_lift(store, ALICE, &action), 1); /* a lifted one stays an offence */
    struct suspension second = suspend(ALICE, CAUSE_COMPLAINTS, &steps, NOW + 10 * DAY_MS);
    ck_assert_uint_eq(second.offence, 2);
    ck_assert_int_eq(second.until_ms, NOW + 13 * DAY_MS);
    struct suspension third = suspend(ALICE, CAUSE_COMPLAINTS, &steps, NOW + 30 * DAY_MS - 1);
    ck_assert_uint_eq(third.offence, 3);
    ck_assert_int_eq(third.until_ms, UNTIL_LIFTED);
    /* thirty days after the first two of the three are remembered */
    static const struct {
        int64_t at_ms;
        uint32_t count;
    } counts[] = {{NOW + 10, 3}, {NOW + 30 * DAY_MS, 2}, {NOW + 90 * DAY_MS, 0}};
    for (size_t i = 0; i < countof(counts); i++) {
        uint32_t count = 99;
        ck_assert_int_eq(
            store_offences(store, ALICE, CAUSE_COMPLAINTS, counts[i].at_ms, &count), 1);
        ck_assert_uint_eq(count, counts[i].count);
    }
    ck_assert_uint_eq(suspend(ALICE, CAUSE_COMPLAINTS, &steps, NOW + 30 * DAY_MS).offence, 3);
    ck_assert_uint_eq(suspend(ALICE, CAUSE_COMPLAINTS, &steps, NOW + 90 * DAY_MS).offence, 1);
}
END_TEST

START_TEST(test_suspended_list)
{
    static const char *const mailboxes[] = {"a@x.test", "b@x.test", "c@x.test", "d@x.test",
                                            "e@x.test"};
    struct suspended page[2];
    struct store_page told = {.max = 2};
    struct action action = action_at(NOW + 1);
    backend_begin(_i);
    ck_assert_int_eq(store_suspended(store, "", NOW, page, &told), 1);
    ck_assert_uint_eq(told.count, 0);
    for (size_t i = countof(mailboxes); i-- > 0;)
        suspend(mailboxes[i], CAUSE_TERMS, i == 1 ? &until_lifted : &a_day, NOW);
    ck_assert_int_eq(store_lift(store, "c@x.test", &action), 1);
    ck_assert_int_eq(store_suspended(store, "", NOW + 1, page, &told), 1);
    ck_assert_uint_eq(told.count, 2);
    ck_assert_str_eq(page[0].mailbox, "a@x.test");
    ck_assert_str_eq(page[1].mailbox, "b@x.test");
    ck_assert_int_eq(page[0].suspension.until_ms, NOW + DAY_MS);
    ck_assert_int_eq(page[1].suspension.until_ms, UNTIL_LIFTED);
    ck_assert_int_eq(store_suspended(store, "b@x.test", NOW + 1, page, &told), 1);
    ck_assert_uint_eq(told.count, 2);
    ck_assert_str_eq(page[0].mailbox, "d@x.test");
    ck_assert_int_eq(store_suspended(store, "e@x.test", NOW + 1, page, &told), 1);
    ck_assert_uint_eq(told.count, 0);
    ck_assert_int_eq(store_suspended(store, "", NOW + DAY_MS, page, &told), 1);
    ck_assert_uint_eq(told.count, 1);
    ck_assert_str_eq(page[0].mailbox, "b@x.test");
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store suspensions");
    TCase *cases = backends_case(suite, "suspensions");
    tcase_add_loop_test(cases, test_suspension_brought, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_attempts_move_the_end, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_same_attempt, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_own_length, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many_attempts, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_attempts_while_until_lifted, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_offences_escalate, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_never_fits, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_window_that_suspends, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspend, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspend_replaces, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lift, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_offences, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspended_list, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
