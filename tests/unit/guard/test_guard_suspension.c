/* Suspensions as the guard brings, keeps and tells of them, and what counts a
 * message once, not at all, or in spite of all; over both backends. */
#include <string.h>

#include "store/audit.h"
#include "store/records.h"
#include "store/suspensions.h"
#include "tests/unit/guard/guard_rig.h"

#define VOLUME_SENTENCE                                                                          \
    "The message was rejected for the following reason: Permanent Failure: Your ability to "     \
    "send new mail has been suspended as a high volume of suspicious mail has been sent from "   \
    "your account recently. Please contact your IT administrator"
#define TERMS_SENTENCE                                                                           \
    "The message was rejected for the following reason: Permanent Failure: Your account has "    \
    "been suspended for a violation of the terms of usage. Please contact your system "          \
    "administrator."

/* ---- suspension ---------------------------------------------------------------- */

START_TEST(test_suspension_brought)
{
    bool off_domain = _i / BACKEND_KINDS == 1;
    rig_begin(_i % BACKEND_KINDS, WITH(off_domain ? "limits.webmail.off_domain_per_day=3"
                                               : "limits.webmail.messages_per_day=2"));
    rig_send("a", 2, NOW, 1);
    struct submission submission = rig_message("x", 2);
    struct verdict verdict = rig_judge(&submission, NOW + 2);
    ck_assert_int_eq(verdict.kind, VERDICT_SUSPENDED);
    ck_assert(verdict.brought);
    ck_assert_int_gt(verdict.suspensions.of[0].id, 0);
    ck_assert_int_eq(verdict.suspensions.of[0].cause, CAUSE_VOLUME);
    ck_assert_int_eq(verdict.suspensions.of[0].since_ms, NOW + 2);
    ck_assert_int_eq(verdict.suspensions.of[0].until_ms, NOW + 2 + DAY_MS);
    ck_assert_uint_eq(verdict.suspensions.of[0].attempts, 0);
    ck_assert_uint_eq(verdict.suspensions.of[0].offence, 1);
    ck_assert_str_eq(verdict.suspensions.of[0].by, "guard");
    const char *rule = off_domain ? "off_domain_per_day" : "messages_per_day";
    ck_assert_str_eq(verdict.suspensions.of[0].note, rule);
    ck_assert_str_eq(rig_reasons(&verdict), rule);
    ck_assert_int_eq(verdict.retry_at_ms, verdict.suspensions.of[0].until_ms);
    rig_check_begins(verdict.message, "Sending is paused until ");
    rig_check_has(verdict.message, "\xE2\x80\x9C" VOLUME_SENTENCE ".\xE2\x80\x9D");
    ck_assert_int_eq(verdict.can_send, CAN_SEND_NONE);
    ck_assert_int_eq(verdict.can_send_at_ms, verdict.suspensions.of[0].until_ms);
    rig_check_has(verdict.message, verdict.reasons[0].text);
    rig_check_has(verdict.message, "Sending is paused until 2025-11-23 ");
    rig_check_has(verdict.message, "Receiving and reading mail go on.");
    rig_check_has(verdict.message, verdict.status_url);
    ck_assert_int_eq(rig_outcome(&verdict, NOW + 2), OUTCOME_SUSPENDED);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW + 2), 2);
}
END_TEST

/* Each attempt is counted and told of, and what the next one brings is told before it does. */
START_TEST(test_attempts)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=1",
                       "suspension.retries_before_restart=3"));
    rig_send("a", 1, NOW, 0);
    struct submission submission = rig_message("x", 1);
    int64_t until_ms = rig_judge(&submission, NOW + 1).suspensions.of[0].until_ms;
    ck_assert_int_eq(until_ms, NOW + 1 + DAY_MS);
    for (int attempt = 1; attempt <= 4; attempt++) {
        int64_t now_ms = NOW + attempt * HOUR_MS;
        struct submission other = rig_message(arena_printf(arena, "%d", attempt), attempt + 1);
        struct verdict verdict = rig_judge(&other, now_ms);
        ck_assert_int_eq(verdict.kind, VERDICT_SUSPENDED);
        ck_assert(!verdict.brought);
        ck_assert_uint_eq(verdict.suspensions.of[0].attempts, (unsigned)attempt);
        if (attempt >= 3)
            until_ms = now_ms + DAY_MS;
        ck_assert_int_eq(verdict.suspensions.of[0].until_ms, until_ms);
        ck_assert_int_eq(verdict.retry_at_ms, until_ms);
        rig_check_has(verdict.message, VOLUME_SENTENCE);
        rig_check_has(verdict.message,
                  arena_printf(arena, "Attempts to send other messages meanwhile: %d; from "
                                      "attempt 3 on each one starts the pause anew.", attempt));
    }
    ck_assert_int_eq(rig_ask(&submission, until_ms - 1).kind, VERDICT_SUSPENDED);
    ck_assert_uint_eq(rig_ask(&submission, until_ms - 1).suspensions.of[0].attempts, 4);
    ck_assert_int_eq(rig_judge(&submission, until_ms).kind, VERDICT_ADMIT);
}
END_TEST

/* Attempts as the store counts them after each of these is refused. */
static void check_attempts(const struct submission *submission, uint32_t attempts)
{
    ck_assert_uint_eq(rig_judge(submission, NOW + 2).suspensions.of[0].attempts, attempts);
}

static struct submission smtp_message(const char *id, const char *first, const char *second,
                                      uint64_t size)
{
    struct submission submission = rig_submission(id);
    submission.channel = CHANNEL_SMTP;
    rig_add(&submission, FIELD_TO, first);
    rig_add(&submission, FIELD_TO, second);
    submission.accepted = 2;
    submission.size = size;
    return submission;
}

/* By what a message that is tried again is known. */
START_TEST(test_same_attempt)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=1", "limits.smtp.messages_per_day=1"));
    rig_send("a", 1, NOW, 0);
    struct submission first = rig_message("x", 3);
    ck_assert(rig_judge(&first, NOW + 1).brought);
    check_attempts(&first, 0);
    struct submission same_id = rig_message("x", 4), same_recipients = rig_submission("y");
    check_attempts(&same_id, 0);
    rig_add(&same_recipients, FIELD_BCC, "r2@x.test, R0@x.test");
    rig_add(&same_recipients, FIELD_CC, "r1@X.test, r0@x.test");
    check_attempts(&same_recipients, 0);
    struct submission other = rig_message("z", 2);
    check_attempts(&other, 1);
    check_attempts(&other, 1);
    for (int i = 0; i < 50; i++) { /* an outbox: each time another id of the mail server's */
        struct submission outbox = smtp_message(arena_printf(arena, "q%d", i), "r@x.test",
                                                "s@x.test", 4711);
        check_attempts(&outbox, 2);
    }
    struct submission order = smtp_message("q50", "s@x.test", "r@x.test", 4711);
    check_attempts(&order, 2);
    struct submission longer = smtp_message("q51", "s@x.test", "r@x.test", 4712);
    check_attempts(&longer, 3);
    struct submission others = smtp_message("q52", "s@x.test", "t@x.test", 4711);
    check_attempts(&others, 4);
}
END_TEST

static const char *const sentences[CAUSE_COUNT] = {
    [CAUSE_VOLUME] = VOLUME_SENTENCE,      [CAUSE_FAILURES] = TERMS_SENTENCE,
    [CAUSE_COMPLAINTS] = TERMS_SENTENCE,   [CAUSE_TERMS] = TERMS_SENTENCE,
    [CAUSE_COMPROMISED] = TERMS_SENTENCE,  [CAUSE_STAFF] = TERMS_SENTENCE,
    [CAUSE_BREACHED] = TERMS_SENTENCE,     [CAUSE_IDENTITY] = TERMS_SENTENCE,
};

static void suspend(const char *mailbox, enum cause cause, int64_t for_ms)
{
    struct durations durations = {.count = 1, .ms = {for_ms}};
    struct suspension suspension;
    struct action action = action_at(NOW);
    ck_assert_int_eq(store_suspend(store, mailbox, cause, &durations, &action, &suspension), 1);
}

START_TEST(test_causes)
{
    enum cause cause = (enum cause)(_i / BACKEND_KINDS);
    rig_begin(_i % BACKEND_KINDS, DEFAULTS);
    suspend(ALICE, cause, HOUR_MS);
    struct submission submission = rig_message("x", 1);
    struct verdict verdict = rig_judge(&submission, NOW + 1);
    ck_assert_int_eq(verdict.kind, VERDICT_SUSPENDED);
    ck_assert_int_eq(verdict.suspensions.of[0].cause, cause);
    ck_assert(!verdict.brought);
    ck_assert_uint_eq(verdict.reason_count, 0);
    rig_check_has(verdict.message, sentences[cause]);
    rig_check_has_not(verdict.message, "asked by telephone"); /* the note is for staff */
    ck_assert_int_eq(verdict.retry_at_ms, NOW + HOUR_MS);
    ck_assert_int_eq(rig_judge(&submission, NOW + HOUR_MS - 1).kind, VERDICT_SUSPENDED);
    ck_assert_int_eq(rig_judge(&submission, NOW + HOUR_MS).kind, VERDICT_ADMIT);
}
END_TEST

START_TEST(test_until_lifted)
{
    struct action action = action_at(NOW + 2);
    rig_begin(_i, DEFAULTS);
    rig_send("a", 2, NOW, 0);
    suspend(ALICE, CAUSE_COMPROMISED, UNTIL_LIFTED);
    struct submission submission = rig_message("x", 51); /* suspended comes before rejected */
    struct verdict verdict = rig_judge(&submission, NOW + 1);
    ck_assert_int_eq(verdict.kind, VERDICT_SUSPENDED);
    ck_assert_int_eq(verdict.retry_at_ms, 0);
    rig_check_has(verdict.message, "Sending is stopped until our support has talked to you.");
    rig_check_has_not(verdict.message, "starts the pause anew");
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_COMPROMISED, &action), 1);
    submission = rig_message("x", 1);
    verdict = rig_judge(&submission, NOW + 3);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert_uint_eq(rig_window(&verdict, RULE_MESSAGES_PER_DAY)->used, 3); /* counts are kept */
}
END_TEST

/* A suspension that is shorter than the windows: its end is not yet when the message passes. */
START_TEST(test_suspension_ends_before_the_message_fits)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=2", "suspension.volume=1h"));
    rig_send("a", 2, NOW, 5);
    struct submission submission = rig_message("x", 1);
    struct verdict verdict = rig_judge(&submission, NOW + 9);
    ck_assert_int_eq(verdict.kind, VERDICT_SUSPENDED);
    ck_assert_int_eq(verdict.suspensions.of[0].until_ms, NOW + 9 + HOUR_MS);
    ck_assert_int_eq(verdict.retry_at_ms, NOW + DAY_MS);
    rig_check_has(verdict.message, "Sending is paused until 2025-11-22 ");
    rig_check_has(verdict.message, "This message can be sent from 2025-11-23 ");
    ck_assert_int_eq(rig_ask(&submission, NOW + DAY_MS - 1).kind, VERDICT_SUSPENDED);
    ck_assert_int_eq(rig_judge(&submission, NOW + DAY_MS).kind, VERDICT_ADMIT);
}
END_TEST

/* ---- counted once, refunded, only asked, only observed ----------------------- */

START_TEST(test_repeated)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=2"));
    rig_send("a", 1, NOW, 0);
    struct submission submission = rig_message("x", 2);
    struct verdict first = rig_judge(&submission, NOW + 1);
    ck_assert(!first.repeated);
    for (int i = 0; i < 3; i++) {
        struct verdict again = rig_judge(&submission, NOW + 2 + i);
        ck_assert_int_eq(again.kind, VERDICT_ADMIT);
        ck_assert(again.repeated);
        ck_assert_uint_eq(again.reason_count, 0);
        ck_assert_uint_ne(again.decision, first.decision);
        ck_assert_int_eq(rig_outcome(&again, NOW + 2), OUTCOME_REPEATED);
        ck_assert_uint_eq(rig_window(&again, RULE_MESSAGES_PER_DAY)->used, 2);
    }
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_DAY, NOW + 5), 3);
    rig_add(&submission, FIELD_TO, "other@x.test"); /* the same id for others is no repetition */
    ck_assert_int_eq(rig_judge(&submission, NOW + 6).kind, VERDICT_SUSPENDED);
}
END_TEST

START_TEST(test_refund)
{
    rig_begin(_i, DEFAULTS);
    rig_send("a", 1, NOW, 0);
    struct submission submission = rig_message("x", 7);
    ck_assert_int_eq(rig_judge(&submission, NOW + 1).kind, VERDICT_ADMIT);
    ck_assert_int_eq(guard_refund(guard, BOB, "x", NOW + 2), 0);
    ck_assert_int_eq(guard_refund(guard, ALICE, "y", NOW + 2), 0);
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_DAY, NOW + 2), 8);
    ck_assert_int_eq(guard_refund(guard, ALICE, "x", NOW + 2), 1);
    ck_assert_int_eq(guard_refund(guard, ALICE, "x", NOW + 2), 0);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW + 2), 1);
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_DAY, NOW + 2), 1);
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 2), 1);
    struct verdict verdict = rig_judge(&submission, NOW + 3);
    ck_assert(!verdict.repeated);
    ck_assert_uint_eq(rig_window(&verdict, RULE_OFF_DOMAIN_PER_DAY)->used, 8);
}
END_TEST

/* All that a store may show of a message: its history, a suspension, the audit log. */
static void check_no_trace(uint64_t messages)
{
    struct account account;
    struct suspended suspended;
    struct store_page page = {.max = 1};
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW + 9, &account), 1);
    ck_assert_uint_eq(account.history.count, messages);
    ck_assert_int_eq(account.suspensions.of[0].id, 0);
    ck_assert_int_eq(store_suspended(store, "", NOW + 9, &suspended, &page), 1);
    ck_assert_uint_eq(page.count, 0);
}

START_TEST(test_dry_run)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=2"));
    struct submission submission = rig_message("x", 1), rejected = rig_message("y", 51);
    for (int sent = 0; sent <= 2; sent++) {
        struct verdict verdict = rig_ask(&submission, NOW + 9);
        ck_assert_int_eq(verdict.kind, sent < 2 ? VERDICT_ADMIT : VERDICT_SUSPENDED);
        ck_assert(verdict.dry_run);
        ck_assert_uint_eq(verdict.decision, 0);
        ck_assert_uint_eq(rig_window(&verdict, RULE_MESSAGES_PER_DAY)->used, (unsigned)sent);
        ck_assert_ptr_nonnull(verdict.status_url);
        ck_assert_int_eq(rig_ask(&rejected, NOW + 9).kind, VERDICT_MESSAGE);
        check_no_trace((unsigned)sent);
        if (sent < 2)
            rig_send(arena_printf(arena, "s%d", sent), 1, NOW, 0);
    }
    struct verdict verdict = rig_ask(&submission, NOW + 9);
    rig_check_begins(verdict.message, "This message would not be sent, and sending would be ");
    ck_assert_str_eq(rig_reasons(&verdict), "messages_per_day");
    /* there is no suspension to tell of, and waiting would do */
    ck_assert_int_eq(verdict.suspensions.of[0].id, 0);
    ck_assert_int_eq(verdict.retry_at_ms, NOW + DAY_MS);
    suspend(ALICE, CAUSE_STAFF, HOUR_MS);
    verdict = rig_ask(&submission, NOW + 9);
    ck_assert_int_eq(verdict.suspensions.of[0].cause, CAUSE_STAFF);
    ck_assert_uint_eq(rig_ask(&submission, NOW + 9).suspensions.of[0].attempts, 0);
}
END_TEST

START_TEST(test_observe)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=2", "guard.mode=observe"));
    struct submission submission = rig_message("rejected", 51);
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert(verdict.observed);
    ck_assert_str_eq(rig_reasons(&verdict), "recipients_per_domain");
    ck_assert_str_eq(verdict.message, "");
    ck_assert_int_eq(rig_outcome(&verdict, NOW), OUTCOME_ADMITTED);
    submission = rig_message("fine", 1);
    ck_assert(!rig_judge(&submission, NOW + 1).observed);
    for (int i = 0; i < 2; i++) {
        submission = rig_message(arena_printf(arena, "over%d", i), 1);
        verdict = rig_judge(&submission, NOW + 2);
        ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
        ck_assert(verdict.observed);
        ck_assert_str_eq(rig_reasons(&verdict), "messages_per_day");
        ck_assert_int_eq(verdict.suspensions.of[0].id, 0);
        ck_assert(!rig_judge(&submission, NOW + 2).observed); /* a repetition breaks nothing */
    }
    check_no_trace(4); /* all counted, nobody suspended */
    suspend(ALICE, CAUSE_TERMS, HOUR_MS);
    submission = rig_message("suspended", 1);
    verdict = rig_judge(&submission, NOW + 3);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert(verdict.observed);
    ck_assert_int_eq(verdict.suspensions.of[0].cause, CAUSE_TERMS);
    ck_assert_uint_eq(verdict.suspensions.of[0].attempts, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard suspensions");
    TCase *cases = rig_case(suite, "suspensions");
    tcase_add_loop_test(cases, test_suspension_brought, 0, 2 * BACKEND_KINDS);
    tcase_add_loop_test(cases, test_attempts, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_same_attempt, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_causes, 0, BACKEND_KINDS * (int)CAUSE_COUNT);
    tcase_add_loop_test(cases, test_until_lifted, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspension_ends_before_the_message_fits, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_repeated, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refund, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_dry_run, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_observe, 0, BACKEND_KINDS);
    return backends_run(suite);
}
