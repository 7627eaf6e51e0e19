/* Blocks for mail that failed, as messages meet them and as their senders are told: over both
 * backends. What holds when is in tests/unit/store/test_store_outcomes.c. */
#include <string.h>

#include "base/json.h"
#include "store/suspensions.h"
#include "tests/unit/guard/guard_rig.h"

#define SENTENCE "Domain example.test has exceeded the max defers and failures per hour allowed"

static struct verdict send_from(const char *mailbox, const char *id, enum channel channel)
{
    struct submission *submission = arena_alloc(arena, sizeof *submission); /* verdicts point to it */
    *submission = rig_message(id, 1);
    submission->channel = channel;
    rig_mailbox(submission, mailbox);
    return rig_judge(submission, NOW + 1);
}

static struct json_object *answer(const struct verdict *verdict)
{
    struct json_writer writer = json_write_tree();
    verdict_write(&writer, verdict);
    return writer.tree[0];
}

START_TEST(test_refused)
{
    rig_begin(_i, DEFAULTS);
    rig_block("example.test", FAILURE_HINT_LIST);
    struct verdict verdict = send_from(ALICE, "a", CHANNEL_WEBMAIL);
    ck_assert_int_eq(verdict.kind, VERDICT_BLOCKED);
    ck_assert_int_eq(verdict_label(&verdict), LABEL_BLOCKED);
    ck_assert_str_eq(verdict_rule(&verdict), "domain_failures");
    ck_assert_int_eq(verdict.retry_at_ms, NOW + HOUR_MS);
    ck_assert_int_eq(verdict.can_send, CAN_SEND_NONE);
    ck_assert_int_eq(verdict.can_send_at_ms, NOW + HOUR_MS);
    ck_assert_int_eq(rig_outcome(&verdict, NOW + 1), OUTCOME_BLOCKED);
    rig_check_begins(verdict.message, "Sending is paused until 2025-11-22 06:40 UTC. Mail from "
                                      "example.test to 12 of 20 recipients failed or was delayed "
                                      "lately; this holds for all mailboxes of example.test. "
                                      NOT_SENT " Most of these addresses take no mail.");
    rig_check_has(verdict.message, "remove the addresses that do not exist");
    rig_check_has(verdict.message, " Perhaps none of it was yours: ");
    rig_check_has(verdict.message, "\xE2\x80\x9C" SENTENCE "\xE2\x80\x9D");
    freed_by(json_put) struct json_object *told = answer(&verdict);
    ck_assert_str_eq(rig_text(told, "verdict"), "refuse");
    ck_assert_str_eq(rig_text(told, "reasons.0.rule"), "domain_failures");
    ck_assert_str_eq(rig_text(told, "reasons.0.of"), "domain");
    ck_assert_str_eq(rig_text(told, "reasons.0.domain"), "example.test");
    ck_assert_str_eq(rig_text(told, "reasons.0.count"), "12");
    ck_assert_str_eq(rig_text(told, "reasons.0.all"), "20");
    ck_assert_str_eq(rig_text(told, "reasons.0.percent"), "50");
    ck_assert_str_eq(rig_text(told, "reasons.0.hint"), "list");
    ck_assert_str_eq(rig_text(told, "reasons.0.until"), "2025-11-22T06:40:00Z");
    ck_assert_str_eq(rig_text(told, "suspension"), "null");
    /* it is no attempt of anything, and counts nowhere */
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW + HOUR_MS), 0);
    ck_assert_int_eq(send_from(BOB, "b", CHANNEL_SMTP).kind, VERDICT_BLOCKED);
    ck_assert_int_eq(send_from("a@sub.example.test", "c", CHANNEL_SMTP).kind, VERDICT_ADMIT);
    ck_assert_int_eq(send_from(ALICE, "d", CHANNEL_FORWARDING).kind, VERDICT_ADMIT);
}
END_TEST

/* A message with faults of its own is told of both; what the day holds says when it fits. */
START_TEST(test_with_other_reasons)
{
    rig_begin(_i, WITH("limits.webmail.recipients_per_message=5",
                       "limits.webmail.messages_per_day=2", "on_limit.messages_per_day=refuse"));
    rig_send("a", 2, NOW - 2 * HOUR_MS, 1);
    rig_block("example.test", FAILURE_HINT_NONE);
    struct submission submission = rig_message("x", 6);
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_BLOCKED);
    ck_assert_str_eq(rig_reasons(&verdict), "recipients_per_message");
    rig_check_has(verdict.message, "Remove 1.");
    submission = rig_message("y", 1);
    verdict = rig_ask(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_BLOCKED);
    ck_assert_int_eq(verdict.retry_at_ms, NOW - 2 * HOUR_MS + DAY_MS);
    rig_check_has(verdict.message, "talk to our support if you do not know the reason");
    /* a suspension is told before it */
    static const struct durations long_one = {.count = 1, .ms = {30 * MINUTE_MS}};
    struct suspension suspension;
    const struct action action = {NOW, "staff:ann", "asked"};
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_STAFF, &long_one, &action, &suspension), 1);
    verdict = rig_ask(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_SUSPENDED);
    rig_check_has(verdict.message, "12 of 20");
}
END_TEST

static const struct concern {
    const char *settings[3], *blocked, *mailbox;
    bool refused;
} concerned[] = {
    {{NULL}, "example.test", ALICE, true},
    {{NULL}, ALICE, ALICE, false},
    {{"failures.blocks=mailbox"}, ALICE, ALICE, true},
    {{"failures.blocks=mailbox"}, ALICE, BOB, false},
    {{"failures.blocks=mailbox"}, "example.test", BOB, true},
    {{"failures.percent=off"}, "example.test", ALICE, false},
    {{"failures.percent=off", "failures.blocks=mailbox"}, ALICE, ALICE, false},
    {{"exempt.mailbox=" ALICE}, "example.test", ALICE, false},
    {{"exempt.mailbox=" ALICE}, "example.test", BOB, true},
    {{"domains.own_domains=example.test a.test"}, "a.test", ALICE, true},
    {{"domains.own_domains=example.test a.test"}, "example.test", ALICE, false},
    {{"guard.mode=observe"}, "example.test", ALICE, false},
};

START_TEST(test_whom_it_concerns)
{
    const struct concern *one = &concerned[_i / BACKEND_KINDS];
    rig_begin(_i % BACKEND_KINDS, one->settings);
    rig_block(one->blocked, FAILURE_HINT_FORM);
    struct verdict verdict = send_from(one->mailbox, "x", CHANNEL_WEBMAIL);
    ck_assert_int_eq(verdict.kind, one->refused ? VERDICT_BLOCKED : VERDICT_ADMIT);
    bool observed = one->settings[0] != NULL && strstr(one->settings[0], "observe");
    ck_assert_int_eq(verdict.observed, observed);
    ck_assert_int_eq(verdict.block.text != NULL, one->refused || observed);
    bool of_others = verdict.message != NULL && strstr(verdict.message, "Perhaps none of it");
    ck_assert_int_eq(of_others, one->refused && strchr(one->blocked, '@') == NULL);
}
END_TEST

/* What was admitted a moment ago goes on. */
START_TEST(test_known_already)
{
    rig_begin(_i, WITH("mta.webmail_hosts=127.0.0.0/8"));
    struct submission submission = rig_message("a", 1);
    ck_assert_int_eq(rig_judge(&submission, NOW - 1).kind, VERDICT_ADMIT);
    rig_block("example.test", FAILURE_HINT_PASSWORD);
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert(verdict.repeated && verdict.block.text == NULL);
    struct submission from_host = rig_submission("smtp-1");
    from_host.channel = CHANNEL_SMTP;
    from_host.webmail_host = true;
    from_host.unnamed = 1;
    ck_assert(rig_judge(&from_host, NOW).redeemed);
    from_host.id = "smtp-2";
    verdict = rig_judge(&from_host, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_BLOCKED);
    rig_check_has(verdict.message, "Change the password of this mailbox");
}
END_TEST

START_TEST(test_shown)
{
    static const struct {
        const char *language, *headline;
    } cases[] = {
        {"en", "Sending is paused until "},
        {"de", "Senden ist pausiert bis "},
        {"es", "El env\xC3\xADo est\xC3\xA1 "},
        {"fr", "L\xE2\x80\x99" "envoi est "},
    };
    rig_begin(_i, DEFAULTS);
    rig_block("example.test", FAILURE_HINT_FORM);
    for (size_t i = 0; i < countof(cases); i++) {
        struct submission submission = rig_message("x", 1);
        struct problem problem;
        submission.lang = cases[i].language;
        ck_assert_int_eq(submission_set_zone(&submission, "UTC", 3, &problem), 1);
        struct verdict verdict = rig_ask(&submission, NOW);
        freed_by(json_put) struct json_object *shown = rig_json(verdict.shown, strlen(verdict.shown));
        rig_check_begins(rig_text(shown, "headline"), cases[i].headline);
        ck_assert_str_eq(rig_text(shown, "state"), "blocked");
        ck_assert_str_eq(rig_text(shown, "reasons.0"), verdict.block.text);
        ck_assert_str_eq(rig_text(shown, "sentence"), SENTENCE);
        for (int line = 0; line < 3; line++)
            ck_assert_str_ne(rig_text(shown, arena_printf(arena, "lines.%d", line)), "");
        rig_check_has(verdict.block.text, "12");
        rig_check_has(verdict.block.text, "20");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard blocks");
    TCase *cases = rig_case(suite, "blocks");
    tcase_add_loop_test(cases, test_refused, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_with_other_reasons, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_whom_it_concerns, 0,
                        (int)countof(concerned) * BACKEND_KINDS);
    tcase_add_loop_test(cases, test_known_already, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_shown, 0, BACKEND_KINDS);
    return backends_run(suite);
}
