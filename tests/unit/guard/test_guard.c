/* The guard's kinds, over both backends: what is refused and why, from when on
 * it passes, and what comes back when. */
#include <string.h>

#include "base/decision.h"
#include "tests/unit/guard/guard_rig.h"

/* ---- admitted ------------------------------------------------------------------ */

START_TEST(test_admitted)
{
    rig_begin(_i, DEFAULTS);
    rig_send("a", 2, NOW, 1);
    struct submission submission = rig_message("x", 3);
    rig_add(&submission, FIELD_TO, BOB);
    struct verdict verdict = rig_judge(&submission, NOW + 2);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert_uint_eq(verdict.reason_count, 0);
    ck_assert(!verdict.observed && !verdict.dry_run && !verdict.repeated && !verdict.unjudged);
    ck_assert_int_eq(verdict.suspensions.of[0].id, 0);
    ck_assert_int_eq(verdict.retry_at_ms, 0);
    ck_assert_str_eq(verdict.message, "");
    ck_assert_ptr_null(verdict.status_url);
    ck_assert_int_eq(rig_outcome(&verdict, NOW + 2), OUTCOME_ADMITTED);
    static const struct {
        enum rule rule;
        int32_t limit;
        uint64_t used;
    } windows[] = {{RULE_MESSAGES_PER_DAY, 600, 3},
                   {RULE_OFF_DOMAIN_PER_DAY, 1000, 5},
                   {RULE_OFF_DOMAIN_PER_HOUR_PER_IP, 500, 5}};
    ck_assert_uint_eq(verdict.window_count, countof(windows));
    for (size_t i = 0; i < countof(windows); i++) {
        const struct verdict_window *window = rig_window(&verdict, windows[i].rule);
        ck_assert_ptr_nonnull(window);
        ck_assert_int_eq(window->limit, windows[i].limit);
        ck_assert_uint_eq(window->used, windows[i].used); /* with this message */
        ck_assert_uint_eq(window->refill_count, 1);
        ck_assert_uint_eq(window->refill[0].count, window->used);
        ck_assert_int_eq(window->refill[0].at_ms,
                         NOW + 2 + rule_table[windows[i].rule].window_ms);
    }
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_DAY, NOW + 2), 5);
}
END_TEST

/* ---- one message --------------------------------------------------------------- */

START_TEST(test_rules_of_one_message)
{
    rig_begin(_i, DEFAULTS);
    struct submission submission = rig_message("x", 51);
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_MESSAGE);
    ck_assert_str_eq(rig_reasons(&verdict), "recipients_per_domain");
    ck_assert_uint_eq(verdict.reasons[0].objection.count, 51);
    ck_assert_uint_eq(verdict.reasons[0].objection.limit, 50);
    ck_assert_str_eq(verdict.reasons[0].objection.domain, "x.test");
    rig_check_begins(verdict.message,
                 NOT_SENT " 51 recipients at x.test; the limit is 50. Remove 1.");
    rig_check_has(verdict.message, verdict.status_url);
    ck_assert_int_eq(verdict.retry_at_ms, 0);
    ck_assert_int_eq(verdict.suspensions.of[0].id, 0);
    ck_assert_int_eq(rig_outcome(&verdict, NOW), OUTCOME_REJECTED);
    ck_assert_uint_eq(rig_window(&verdict, RULE_OFF_DOMAIN_PER_DAY)->used, 0);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW), 0);
    submission = rig_message("x", 50); /* mended */
    verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert(!verdict.repeated);
}
END_TEST

START_TEST(test_all_rules_of_one_message_at_once)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=1", "limits.webmail.off_domain_per_day=2"));
    rig_send("a", 1, NOW, 0);
    struct submission submission = rig_submission("x");
    for (int domain = 0; domain < 7; domain++) /* 301, and no domain has over 50 */
        rig_add_many(&submission, 43, "r", arena_printf(arena, "d%d.test", domain));
    rig_add_many(&submission, 60, "long-local-part-of-a-recipient-", "x.test");
    struct verdict verdict = rig_judge(&submission, NOW + 1);
    ck_assert_int_eq(verdict.kind, VERDICT_MESSAGE);
    /* windows that are over too are not named: once mended it is judged anew */
    ck_assert_str_eq(rig_reasons(&verdict),
                     "recipients_per_message recipients_per_field recipients_per_field "
                     "recipients_per_field recipients_per_domain header_chars_per_domain");
    for (size_t i = 0; i < verdict.reason_count; i++)
        rig_check_has(verdict.message, verdict.reasons[i].text);
    ck_assert_int_eq(verdict.suspensions.of[0].id, 0);
}
END_TEST

/* Reasons and message come in the language that the submission asks for. */
START_TEST(test_language)
{
    rig_begin(_i, DEFAULTS);
    struct problem problem;
    struct submission submission = rig_message("x", 51);
    ck_assert_int_eq(submission_set_lang(&submission, "de-AT", 5, &problem), 1);
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_MESSAGE);
    ck_assert_str_eq(verdict.reasons[0].text,
                     "51 Empfänger bei x.test; das Limit ist 50. Bitte 1 entfernen.");
    rig_check_begins(verdict.message, "Die Nachricht wurde nicht gesendet und wird auch später "
                                      "nicht von selbst gesendet. 51 Empfänger bei");
    rig_check_has(verdict.message, " Einzelheiten: http");
}
END_TEST

START_TEST(test_channels_share_a_history)
{
    rig_begin(_i, WITH("limits.smtp.messages_per_day=2", "on_limit.messages_per_day=refuse"));
    struct submission submission = rig_message("x", 301);
    submission.channel = CHANNEL_SMTP;
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT); /* 900 in a message, off for a domain */
    ck_assert_int_eq(rig_window(&verdict, RULE_OFF_DOMAIN_PER_DAY)->limit, 900);
    ck_assert_ptr_null(rig_window(&verdict, RULE_OFF_DOMAIN_PER_HOUR_PER_IP));
    struct submission webmail = rig_message("y", 1);
    verdict = rig_judge(&webmail, NOW);
    ck_assert_uint_eq(rig_window(&verdict, RULE_OFF_DOMAIN_PER_DAY)->used, 302);
    ck_assert_int_eq(rig_window(&verdict, RULE_OFF_DOMAIN_PER_DAY)->limit, 1000);
    submission.id = "z";
    verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_OVER_TIME);
    ck_assert_uint_eq(rig_window(&verdict, RULE_MESSAGES_PER_DAY)->used, 2);
}
END_TEST

START_TEST(test_own_domains_and_exemptions)
{
    rig_begin(_i, WITH("domains.own_domains=example.test example.net",
                       "exempt.recipient=postmaster@x.test", "exempt.recipient=@news.test",
                       "exempt.mailbox=" BOB, "limits.webmail.messages_per_day=1",
                       "limits.webmail.recipients_per_domain=2"));
    struct submission submission = rig_submission("x");
    rig_add_many(&submission, 9, "r", "example.net");
    rig_add_many(&submission, 9, "r", "news.test");
    rig_add(&submission, FIELD_TO, "postmaster@x.test, a@x.test, b@x.test");
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert_uint_eq(rig_window(&verdict, RULE_OFF_DOMAIN_PER_DAY)->used, 2);
    rig_add(&submission, FIELD_CC, "c@x.test"); /* the rest is still judged */
    verdict = rig_judge(&submission, NOW);
    ck_assert_str_eq(rig_reasons(&verdict), "recipients_per_domain");
    rig_mailbox(&submission, BOB);
    for (int i = 0; i < 3; i++) {
        submission.id = arena_printf(arena, "%d", i);
        verdict = rig_judge(&submission, NOW);
        ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
        ck_assert_uint_eq(verdict.window_count, 0);
    }
    /* nor does what it sends take the room of others at its address */
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW), 2);
}
END_TEST

START_TEST(test_without_ip)
{
    rig_begin(_i, WITH("limits.webmail.off_domain_per_hour_per_ip=1"));
    for (int i = 0; i < 3; i++) {
        struct submission submission = rig_message(arena_printf(arena, "%d", i), 1);
        submission.ip = NULL;
        struct verdict verdict = rig_judge(&submission, NOW);
        ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
        ck_assert_uint_eq(rig_window(&verdict, RULE_OFF_DOMAIN_PER_DAY)->used, (unsigned)i + 1);
        ck_assert_ptr_null(rig_window(&verdict, RULE_OFF_DOMAIN_PER_HOUR_PER_IP));
    }
}
END_TEST

/* ---- over time ----------------------------------------------------------------- */

/* Eight messages, at moments of no pattern, of 1, 2, 3, 1, … off-domain recipients: 15 in all. */
enum { HISTORY_COUNT = 8 };
static const int64_t sent_after_ms[HISTORY_COUNT] = {0,     1,     20000, 20000,
                                                     20001, 95000, 95777, 1200000};
#define HISTORY_END (NOW + sent_after_ms[HISTORY_COUNT - 1] + 1)

static void send_history(void)
{
    for (int i = 0; i < HISTORY_COUNT; i++) {
        struct submission submission = rig_message(arena_printf(arena, "h%d", i), i % 3 + 1);
        ck_assert_int_eq(rig_judge(&submission, NOW + sent_after_ms[i]).kind, VERDICT_ADMIT);
    }
}

static const struct {
    enum rule rule;
    const char *limit;
    int waits_for; /* the entry of the history that must leave for a message of 5 */
    const char *text;
} over_time[] = {
    {RULE_MESSAGES_PER_DAY, "limits.webmail.messages_per_day=8", 0,
     "This would be message 9 of the last 24 hours; the limit is 8."},
    {RULE_OFF_DOMAIN_PER_DAY, "limits.webmail.off_domain_per_day=16", 2,
     "This would make 20 recipients outside your domain in the last 24 hours; the limit is 16."},
    {RULE_OFF_DOMAIN_PER_HOUR_PER_IP, "limits.webmail.off_domain_per_hour_per_ip=15", 2,
     "This would make 20 recipients outside your domain from your network address in the last "
     "hour; the limit is 15."},
    {RULE_MESSAGES_PER_HOUR, "limits.webmail.messages_per_hour=8", 0,
     "This would be message 9 of the last hour; the limit is 8."},
};

static void check_refused_until(const struct verdict *verdict, int64_t at_ms)
{
    ck_assert_int_eq(verdict->kind, VERDICT_OVER_TIME);
    ck_assert_int_eq(verdict->retry_at_ms, at_ms);
    ck_assert_int_eq(verdict->suspensions.of[0].id, 0);
    ck_assert_uint_ge(verdict->reason_count, 1);
    ck_assert(!verdict->reasons[0].objection.never_fits);
    rig_check_has(verdict->message, " It can be sent from 2025-11-2");
}

START_TEST(test_first_moment_that_passes)
{
    typeof(over_time[0]) *one = &over_time[_i / BACKEND_KINDS];
    rig_begin(_i % BACKEND_KINDS, WITH(one->limit, "on_limit.messages_per_day=refuse",
                                       "on_limit.off_domain_per_day=refuse"));
    send_history();
    int64_t retry_ms = NOW + sent_after_ms[one->waits_for] + rule_table[one->rule].window_ms;
    struct submission submission = rig_message("x", 5);
    struct verdict verdict = rig_judge(&submission, HISTORY_END);
    check_refused_until(&verdict, retry_ms);
    ck_assert_str_eq(rig_reasons(&verdict), rule_table[one->rule].name);
    ck_assert_str_eq(verdict.reasons[0].text, one->text);
    ck_assert_int_eq(rig_outcome(&verdict, HISTORY_END), OUTCOME_OVER);
    verdict = rig_judge(&submission, retry_ms - 1);
    check_refused_until(&verdict, retry_ms);
    verdict = rig_ask(&submission, retry_ms - 1);
    check_refused_until(&verdict, retry_ms);
    ck_assert_int_eq(rig_ask(&submission, retry_ms).kind, VERDICT_ADMIT);
    verdict = rig_judge(&submission, retry_ms);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert(!verdict.repeated);
}
END_TEST

/* Several windows over: the latest of their moments, and all of them as reasons. */
START_TEST(test_several_windows_over)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_hour=8",
                       "limits.webmail.off_domain_per_day=16",
                       "limits.webmail.off_domain_per_hour_per_ip=15",
                       "on_limit.off_domain_per_day=refuse"));
    send_history();
    struct submission submission = rig_message("x", 5);
    struct verdict verdict = rig_judge(&submission, HISTORY_END);
    int64_t retry_ms = NOW + sent_after_ms[2] + DAY_MS;
    check_refused_until(&verdict, retry_ms);
    ck_assert_str_eq(rig_reasons(&verdict),
                     "off_domain_per_day off_domain_per_hour_per_ip messages_per_hour");
    for (size_t i = 0; i < verdict.reason_count; i++)
        rig_check_has(verdict.message, verdict.reasons[i].text);
    ck_assert_int_eq(rig_judge(&submission, retry_ms - 1).kind, VERDICT_OVER_TIME);
    ck_assert_int_eq(rig_judge(&submission, retry_ms).kind, VERDICT_ADMIT);
}
END_TEST

/* Another mailbox behind the same address is refused for what the first one sent. */
START_TEST(test_ip_of_several_mailboxes)
{
    rig_begin(_i, WITH("limits.webmail.off_domain_per_hour_per_ip=3"));
    rig_send("a", 3, NOW, 10);
    struct submission submission = rig_message("x", 1);
    rig_mailbox(&submission, BOB);
    struct verdict verdict = rig_judge(&submission, NOW + 40);
    check_refused_until(&verdict, NOW + HOUR_MS);
    ck_assert_int_eq(rig_judge(&submission, NOW + HOUR_MS).kind, VERDICT_ADMIT);
}
END_TEST

/* All mailboxes of a domain count together, to the millisecond; what is given back makes room. */
START_TEST(test_mailboxes_of_a_domain)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_hour_per_domain=3"));
    rig_send("a", 1, NOW, 10);
    struct submission other = rig_message("b", 0);
    rig_mailbox(&other, BOB);
    ck_assert_int_eq(rig_judge(&other, NOW + 20).kind, VERDICT_ADMIT);
    rig_send("c", 1, NOW + 30, 0);
    struct submission submission = rig_message("x", 1);
    rig_mailbox(&submission, BOB);
    int64_t first_ms = NOW + 10;
    struct verdict verdict = rig_judge(&submission, NOW + 40);
    ck_assert_str_eq(rig_reasons(&verdict), "messages_per_hour_per_domain");
    int64_t retry_ms = verdict.retry_at_ms;
    ck_assert(retry_ms == first_ms + HOUR_MS || retry_ms == NOW + HOUR_MS);
    ck_assert_int_eq(rig_judge(&submission, retry_ms - 1).kind, VERDICT_OVER_TIME);
    ck_assert_int_eq(store_refund(store, BOB, "b", NOW + 50), 1);
    ck_assert_int_eq(rig_judge(&submission, NOW + 60).kind, VERDICT_ADMIT);
    struct submission next = rig_message("y", 1);
    ck_assert_int_eq(rig_judge(&next, retry_ms - 1).kind, VERDICT_OVER_TIME);
    ck_assert_int_eq(rig_judge(&next, retry_ms).kind, VERDICT_ADMIT);
}
END_TEST

/* While the rule is off nothing is kept for it. */
START_TEST(test_domain_without_the_rule)
{
    struct history history;
    rig_begin(_i, DEFAULTS);
    rig_send("a", 1, NOW, 0);
    ck_assert_int_eq(store_history(store, arena, SUBJECT_DOMAIN, "@example.test", NOW + 1,
                                   &history), 1);
    ck_assert_uint_eq(history.count, 0);
}
END_TEST

#define PER_RECIPIENT "messages_per_day_per_recipient"

static struct submission to(const char *id, const char *list)
{
    struct submission submission = rig_submission(id);
    rig_add(&submission, FIELD_TO, list);
    return submission;
}

static enum verdict_kind kind_of(const char *id, const char *list, int64_t now_ms)
{
    struct submission submission = to(id, list);
    return rig_judge(&submission, now_ms).kind;
}

/* Each recipient by itself, also inside the own domain, to the millisecond; the refusal names it and
 * its field, and others can be written to. */
START_TEST(test_recipients_by_themselves)
{
    rig_begin(_i, WITH("limits.webmail." PER_RECIPIENT "=2"));
    ck_assert_int_eq(kind_of("1", "boss@example.test, r@x.test", NOW), VERDICT_ADMIT);
    ck_assert_int_eq(kind_of("2", "BOSS <boss@EXAMPLE.test>", NOW + 10), VERDICT_ADMIT);
    struct submission third = to("3", "r@x.test, boss@example.test");
    struct verdict verdict = rig_judge(&third, NOW + 20);
    ck_assert_int_eq(verdict.kind, VERDICT_OVER_TIME);
    ck_assert_str_eq(rig_reasons(&verdict), PER_RECIPIENT);
    ck_assert_str_eq(verdict.reasons[0].text,
                     "This would be message 3 to boss@example.test (To) within 24 hours; the limit "
                     "for one recipient is 2.");
    ck_assert_int_eq(verdict.retry_at_ms, NOW + DAY_MS);
    ck_assert_int_eq(verdict.can_send, CAN_SEND_ALL);
    ck_assert_uint_eq(verdict.suspensions.count, 0);
    ck_assert_uint_eq(rig_window(&verdict, RULE_MESSAGES_PER_DAY_PER_RECIPIENT)->used, 2);
    ck_assert_int_eq(kind_of("4", "r@x.test", NOW + 30), VERDICT_ADMIT);
    ck_assert_int_eq(kind_of("3", "boss@example.test", NOW + DAY_MS - 1), VERDICT_OVER_TIME);
    ck_assert_int_eq(kind_of("3", "boss@example.test", NOW + DAY_MS), VERDICT_ADMIT);
    ck_assert_int_eq(rig_outcome(&verdict, NOW + 40), OUTCOME_OVER);
}
END_TEST

/* All that have no room, in their order and with their moments. */
START_TEST(test_several_recipients_over)
{
    rig_begin(_i, WITH("limits.webmail." PER_RECIPIENT "=1"));
    ck_assert_int_eq(kind_of("1", "z@x.test", NOW), VERDICT_ADMIT);
    ck_assert_int_eq(kind_of("2", "a@x.test", NOW + HOUR_MS), VERDICT_ADMIT);
    struct submission both = to("3", "new@x.test, z@x.test");
    rig_add(&both, FIELD_BCC, "a@x.test, z@x.test");
    struct verdict verdict = rig_judge(&both, NOW + 2 * HOUR_MS);
    ck_assert_uint_eq(verdict.reason_count, 2);
    ck_assert_str_eq(verdict.reasons[0].text,
                     "This would be message 2 to z@x.test (To) within 24 hours; the limit for one "
                     "recipient is 1. One more passes from 2025-11-23 05:40 UTC.");
    ck_assert_str_eq(verdict.reasons[1].text,
                     "This would be message 2 to a@x.test (Bcc) within 24 hours; the limit for one "
                     "recipient is 1. One more passes from 2025-11-23 06:40 UTC.");
    ck_assert_int_eq(verdict.retry_at_ms, NOW + HOUR_MS + DAY_MS);
    ck_assert_int_eq(kind_of("4", "new@x.test", NOW + 2 * HOUR_MS), VERDICT_ADMIT);
}
END_TEST

/* One total of webmail and SMTP, also where one of them has no limit; the mail server knows no fields.
 * A copy counts once, and what is exempt, forwarded or given back not at all. */
START_TEST(test_recipients_of_channels)
{
    rig_begin(_i, WITH("limits.webmail." PER_RECIPIENT "=3", "exempt.recipient=free@x.test"));
    struct submission smtp = to("1", "r@x.test, r@x.test, free@x.test");
    smtp.channel = CHANNEL_SMTP;
    ck_assert_int_eq(rig_judge(&smtp, NOW).kind, VERDICT_ADMIT);
    ck_assert_int_eq(kind_of("2", "r@x.test, free@x.test", NOW), VERDICT_ADMIT);
    struct submission forwarded = to("3", "r@x.test");
    forwarded.channel = CHANNEL_FORWARDING;
    ck_assert_int_eq(rig_judge(&forwarded, NOW).kind, VERDICT_ADMIT);
    ck_assert_int_eq(kind_of("4", "r@x.test, free@x.test", NOW), VERDICT_ADMIT);
    ck_assert_int_eq(kind_of("5", "r@x.test", NOW), VERDICT_OVER_TIME);
    ck_assert_int_eq(kind_of("6", "free@x.test", NOW), VERDICT_ADMIT);
    ck_assert_int_eq(store_refund(store, ALICE, "2", NOW + 1), 1);
    ck_assert_int_eq(kind_of("5", "r@x.test", NOW + 2), VERDICT_ADMIT);
    rig_reload(WITH("limits.smtp." PER_RECIPIENT "=1"));
    smtp = to("7", "r@x.test");
    smtp.channel = CHANNEL_SMTP;
    struct verdict verdict = rig_judge(&smtp, NOW + 3);
    ck_assert_str_eq(verdict.reasons[0].text, "This would be message 4 to r@x.test within 24 hours; "
                                              "the limit for one recipient is 1.");
    ck_assert_int_eq(kind_of("8", "r@x.test", NOW + 4), VERDICT_ADMIT); /* the webmail has none now */
    rig_reload(DEFAULTS);
    ck_assert_int_eq(kind_of("9", "other@x.test", NOW + 5), VERDICT_ADMIT);
    rig_reload(WITH("limits.webmail." PER_RECIPIENT "=1")); /* what came while it was off does not count */
    ck_assert_int_eq(kind_of("10", "other@x.test", NOW + 6), VERDICT_ADMIT);
}
END_TEST

/* As many as the mail server takes in one message; and nobody without the secret. */
START_TEST(test_many_recipients_over)
{
    rig_begin(_i, WITH("limits.smtp." PER_RECIPIENT "=1", "limits.smtp.off_domain_per_day=off"));
    struct submission all = rig_submission("1");
    rig_add_many(&all, 900, "p", "x.test");
    all.channel = CHANNEL_SMTP;
    ck_assert_int_eq(rig_judge(&all, NOW).kind, VERDICT_ADMIT);
    struct submission again = rig_submission("2");
    rig_add_many(&again, 10, "p", "x.test");
    again.channel = CHANNEL_SMTP;
    struct verdict verdict = rig_judge(&again, NOW + 1);
    ck_assert_uint_eq(verdict.reason_count, 10);
    ck_assert_int_eq(verdict.retry_at_ms, NOW + DAY_MS);
    guard_hash_by(guard, NULL);
    verdict = rig_judge(&again, NOW + 2);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert_ptr_null(rig_window(&verdict, RULE_MESSAGES_PER_DAY_PER_RECIPIENT));
}
END_TEST

/* 0 forbids; a limit above what is kept of one recipient is that. */
START_TEST(test_ends_of_a_recipients_limit)
{
    rig_begin(_i, WITH("limits.webmail." PER_RECIPIENT "=0",
                       "on_limit." PER_RECIPIENT "=suspend"));
    struct submission submission = to("1", "r@x.test");
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_OVER_TIME);
    ck_assert_str_eq(verdict.reasons[0].text, "This mailbox is not allowed to send.");
    ck_assert_int_eq(verdict.can_send, CAN_SEND_NONE);
    rig_reload(WITH("limits.webmail." PER_RECIPIENT "=1000000"));
    verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(rig_window(&verdict, RULE_MESSAGES_PER_DAY_PER_RECIPIENT)->limit,
                     PAIR_MESSAGES_MAX);
    rig_reload(WITH("limits.webmail." PER_RECIPIENT "=1", "on_limit." PER_RECIPIENT "=suspend"));
    submission = to("2", "r@x.test");
    verdict = rig_judge(&submission, NOW + 1);
    ck_assert_int_eq(verdict.kind, VERDICT_SUSPENDED);
    ck_assert(verdict.brought);
}
END_TEST

START_TEST(test_never_fits)
{
    rig_begin(_i, WITH("limits.webmail.off_domain_per_day=5", /* suspends, by default */
                       "limits.webmail.messages_per_hour=2"));
    rig_send("a", 1, NOW, 0);
    struct submission submission = rig_message("x", 6);
    struct verdict verdict = rig_judge(&submission, NOW + 1);
    ck_assert_int_eq(verdict.kind, VERDICT_OVER_TIME);
    ck_assert_str_eq(rig_reasons(&verdict), "off_domain_per_day");
    ck_assert(verdict.reasons[0].objection.never_fits);
    rig_check_begins(verdict.reasons[0].text, "This message alone has 6 recipients ");
    ck_assert_uint_eq(verdict.reasons[0].objection.count, 6); /* without what was sent before */
    ck_assert_int_eq(verdict.retry_at_ms, 0);
    rig_check_has_not(verdict.message, "It can be sent from");
    ck_assert_int_eq(verdict.suspensions.of[0].id, 0);
    rig_send("b", 1, NOW + 2, 0);
    /* nor does it when another window will fit later */
    verdict = rig_judge(&submission, NOW + 3);
    ck_assert_str_eq(rig_reasons(&verdict), "off_domain_per_day messages_per_hour");
    ck_assert_int_eq(verdict.retry_at_ms, 0);
}
END_TEST

START_TEST(test_zero_forbids)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=0"));
    struct submission submission = rig_message("x", 1);
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_OVER_TIME);
    ck_assert_str_eq(verdict.reasons[0].text, "This mailbox is not allowed to send.");
    ck_assert_int_eq(verdict.retry_at_ms, 0);
    ck_assert_int_eq(verdict.suspensions.of[0].id, 0);
    rig_reload(WITH("limits.webmail.off_domain_per_day=0"));
    verdict = rig_judge(&submission, NOW);
    ck_assert_str_eq(verdict.reasons[0].text,
                     "This mailbox is not allowed to send outside its own domain.");
    submission = rig_submission("y");
    rig_add(&submission, FIELD_TO, BOB);
    ck_assert_int_eq(rig_judge(&submission, NOW).kind, VERDICT_ADMIT);
}
END_TEST

/* ---- what comes back when ------------------------------------------------------ */

static void check_refill(const struct verdict_window *window, int64_t now_ms)
{
    uint64_t returned = 0;
    ck_assert_uint_ge(window->refill_count, 1);
    ck_assert_uint_le(window->refill_count, REFILL_STEPS);
    for (size_t i = 0; i < window->refill_count; i++) {
        const struct refill *step = &window->refill[i];
        ck_assert_int_gt(step->at_ms, i == 0 ? now_ms : window->refill[i - 1].at_ms);
        ck_assert_uint_gt(step->count, 0);
        returned += step->count;
        ck_assert_uint_le(returned, window->used);
        ck_assert_uint_le(rig_used(window->rule, step->at_ms), window->used - returned);
    }
    ck_assert_uint_eq(returned, window->used);
}

START_TEST(test_refill)
{
    enum { MANY = 40 }; /* more moments than steps */
    rig_begin(_i, WITH("limits.webmail.messages_per_hour=40"));
    for (int i = 0; i < MANY; i++) {
        struct submission submission = rig_message(arena_printf(arena, "%d", i), i % 5 + 1);
        ck_assert_int_eq(rig_judge(&submission, NOW + i * i * 1000).kind, VERDICT_ADMIT);
    }
    int64_t now_ms = NOW + MANY * MANY * 1000;
    struct submission submission = rig_message("x", 1);
    struct verdict refused = rig_judge(&submission, now_ms);
    ck_assert_int_eq(refused.kind, VERDICT_OVER_TIME);
    ck_assert_uint_eq(refused.window_count, 4);
    for (size_t i = 0; i < refused.window_count; i++) {
        ck_assert_uint_eq(refused.windows[i].refill_count, REFILL_STEPS);
        check_refill(&refused.windows[i], now_ms);
    }
    rig_reload(DEFAULTS);
    struct verdict asked = rig_ask(&submission, now_ms);
    ck_assert_int_eq(asked.kind, VERDICT_ADMIT);
    for (size_t i = 0; i < asked.window_count; i++)
        check_refill(&asked.windows[i], now_ms);
    struct verdict admitted = rig_judge(&submission, now_ms);
    for (size_t i = 0; i < admitted.window_count; i++)
        check_refill(&admitted.windows[i], now_ms);
}
END_TEST

/* ---- when one more passes ------------------------------------------------------- */

static void check_next(const struct verdict *verdict, enum can_send can_send, int64_t at_ms)
{
    ck_assert_int_eq(verdict->kind, VERDICT_ADMIT);
    ck_assert_int_eq(verdict->can_send, can_send);
    ck_assert_int_eq(verdict->can_send_at_ms, at_ms);
}

/* A message that costs the full window nothing: inside the own domain, repeated, redeemed. */
START_TEST(test_one_more_after_a_message_that_costs_nothing)
{
    int64_t now_ms = NOW + 5 * HOUR_MS, free_ms = NOW + DAY_MS;
    rig_begin(_i, WITH("limits.webmail.off_domain_per_day=3",
                       "mta.webmail_hosts=192.0.2.200"));
    rig_send("m", 3, NOW, HOUR_MS);
    struct submission inside = rig_submission("inside");
    rig_add(&inside, FIELD_TO, BOB);
    struct verdict verdict = rig_judge(&inside, now_ms);
    check_next(&verdict, CAN_SEND_OWN, free_ms);
    verdict = rig_judge(&inside, now_ms);
    ck_assert(verdict.repeated);
    check_next(&verdict, CAN_SEND_OWN, free_ms);
    inside.channel = CHANNEL_SMTP; /* the mail server's message, whose ticket the webmail endpoint left */
    inside.webmail_host = true;
    inside.id = "of the mail server";
    verdict = rig_judge(&inside, now_ms);
    ck_assert(verdict.redeemed);
    check_next(&verdict, CAN_SEND_OWN, free_ms);
}
END_TEST

/* The message that fills a window waits for the oldest one, not for itself. */
START_TEST(test_one_more_after_the_message_that_fills)
{
    int64_t now_ms = NOW + DAY_MS - 10 * MINUTE_MS;
    rig_begin(_i, WITH("limits.webmail.messages_per_day=4"));
    rig_send("m", 3, NOW, HOUR_MS);
    struct submission last = rig_message("last", 1);
    struct verdict verdict = rig_judge(&last, now_ms);
    check_next(&verdict, CAN_SEND_NONE, NOW + DAY_MS);
    check_refill(rig_window(&verdict, RULE_MESSAGES_PER_DAY), now_ms);
    /* one that fills it alone, and needs more than the older one leaves */
    rig_reload(WITH("limits.webmail.off_domain_per_day=5"));
    struct submission alone = rig_message("alone", 5);
    rig_mailbox(&alone, BOB);
    verdict = rig_judge(&alone, NOW);
    check_next(&verdict, CAN_SEND_OWN, NOW + DAY_MS);
    struct submission inside = rig_submission("inside");
    rig_mailbox(&inside, BOB);
    rig_add(&inside, FIELD_TO, ALICE);
    verdict = rig_judge(&inside, now_ms);
    check_next(&verdict, CAN_SEND_OWN, NOW + DAY_MS);
}
END_TEST

/* The window of the IP, which others fill too. */
START_TEST(test_one_more_of_an_ip)
{
    rig_begin(_i, WITH("limits.webmail.off_domain_per_hour_per_ip=3"));
    struct submission other = rig_message("other", 2);
    rig_mailbox(&other, BOB);
    struct verdict verdict = rig_judge(&other, NOW);
    check_next(&verdict, CAN_SEND_ALL, 0); /* now */
    struct submission last = rig_message("last", 1);
    verdict = rig_judge(&last, NOW + 30 * MINUTE_MS);
    check_next(&verdict, CAN_SEND_OWN, NOW + HOUR_MS);
}
END_TEST

/* ---- links --------------------------------------------------------------------- */

START_TEST(test_status_link)
{
    struct status_link link;
    rig_begin(_i, WITH("web.base_url=https://mail.example.test/sending",
                       "status.link_lifetime=2h", "support.contact=support@example.test"));
    struct submission submission = rig_message("x", 51);
    struct verdict verdict = rig_judge(&submission, NOW);
    static const char begins[] = "https://mail.example.test/sending/status?t=";
    rig_check_begins(verdict.status_url, begins);
    char *token = arena_strdup(arena, verdict.status_url + strlen(begins));
    char *behind = strstr(token, "&d=");
    char decision[DECISION_TEXT_SIZE];
    decision_format(verdict.decision, decision);
    ck_assert_ptr_nonnull(behind);
    ck_assert_str_eq(behind + strlen("&d="), decision);
    *behind = '\0';
    ck_assert_int_eq(token_read(token_key, arena, token, NOW + 2 * HOUR_MS - 1, &link), 1);
    ck_assert_str_eq(link.mailbox, ALICE);
    ck_assert_int_eq(link.made_ms, NOW);
    ck_assert_int_eq(token_read(token_key, arena, token, NOW + 2 * HOUR_MS, &link), 0);
    rig_check_has(verdict.message, " Questions: support@example.test");
    verdict = rig_ask(&submission, NOW); /* of no decision: nothing was kept */
    rig_check_begins(verdict.status_url, begins);
    rig_check_has_not(verdict.status_url, "&d=");
}
END_TEST

/* ---- several at once ------------------------------------------------------------------ */

START_TEST(test_several_at_once)
{
    enum { ADMITTED, OF_BOB, TOO_MANY, REPEATED, ASKED, SUSPENDS, COUNT };
    struct submission messages[COUNT];
    const struct submission *all[COUNT];
    struct verdict verdicts[COUNT];
    int results[COUNT];
    rig_begin(_i, WITH("limits.webmail.messages_per_day=1"));
    for (int i = 0; i < COUNT; i++) {
        messages[i] = rig_message(arena_printf(arena, "<%d>", i), i == TOO_MANY ? 51 : 1);
        all[i] = &messages[i];
    }
    messages[REPEATED].id = messages[ADMITTED].id;
    rig_mailbox(&messages[OF_BOB], BOB);
    guard_judge_all(guard, all, (const bool[COUNT]){[ASKED] = true}, verdicts, results, COUNT,
                    NOW);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(results[i], 1);
        ck_assert_ptr_eq(verdicts[i].submission, all[i]);
        ck_assert(!verdicts[i].unjudged);
        for (int j = 0; j < i; j++)
            ck_assert_uint_ne(verdicts[i].decision, verdicts[j].decision);
    }
    ck_assert_int_eq(verdicts[ADMITTED].kind, VERDICT_ADMIT);
    ck_assert_int_eq(verdicts[OF_BOB].kind, VERDICT_ADMIT);
    ck_assert_int_eq(verdicts[TOO_MANY].kind, VERDICT_MESSAGE);
    ck_assert(verdicts[REPEATED].repeated);
    ck_assert(verdicts[ASKED].dry_run); /* what the next one brings, it only tells of */
    ck_assert_uint_eq(verdicts[ASKED].decision, 0);
    ck_assert_int_ne(verdicts[ASKED].kind, VERDICT_ADMIT);
    ck_assert_int_eq(verdicts[SUSPENDS].kind, VERDICT_SUSPENDED);
    ck_assert(verdicts[SUSPENDS].brought);
    ck_assert_str_ne(verdicts[SUSPENDS].message, "");
    ck_assert_str_ne(verdicts[SUSPENDS].status_url, "");
    ck_assert_int_eq(rig_outcome(&verdicts[TOO_MANY], NOW), OUTCOME_REJECTED);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW), 1);
}
END_TEST

/* No message pays for a window that nobody asks about. */
START_TEST(test_an_ip_is_counted_where_a_rule_asks)
{
    struct history history;
    rig_begin(_i, DEFAULTS);
    for (int on = 0; on < 2; on++) {
        struct submission submission = rig_message(on ? "on" : "off", 1);
        submission.channel = CHANNEL_SMTP;
        ck_assert_int_eq(rig_judge(&submission, NOW + on).kind, VERDICT_ADMIT);
        ck_assert_int_eq(
            store_history(store, arena, SUBJECT_IP, "192.0.2.1 smtp", NOW + 2, &history), 1);
        ck_assert_uint_eq(history.count, (size_t)on);
        rig_reload(WITH("limits.smtp.off_domain_per_hour_per_ip=5"));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard");
    TCase *cases = rig_case(suite, "guard");
    tcase_add_loop_test(cases, test_admitted, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_rules_of_one_message, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_all_rules_of_one_message_at_once, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_language, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_channels_share_a_history, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_own_domains_and_exemptions, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_without_ip, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_first_moment_that_passes, 0,
                        BACKEND_KINDS * (int)countof(over_time));
    tcase_add_loop_test(cases, test_several_windows_over, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_ip_of_several_mailboxes, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_mailboxes_of_a_domain, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_domain_without_the_rule, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_recipients_by_themselves, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_several_recipients_over, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_recipients_of_channels, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many_recipients_over, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_ends_of_a_recipients_limit, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_never_fits, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_zero_forbids, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refill, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_one_more_after_a_message_that_costs_nothing, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_one_more_after_the_message_that_fills, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_one_more_of_an_ip, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_status_link, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_several_at_once, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_an_ip_is_counted_where_a_rule_asks, 0, BACKEND_KINDS);
    return backends_run(suite);
}
