/* What Postfix is told of every kind, in the shortest and in the longest case. */
#include <stdio.h>
#include <string.h>

#include "store/suspensions.h"
#include "tests/unit/guard/guard_rig.h"
#include "mta/policy_answer.h"

static struct catalogue *catalogue;
static struct submission submission;
static char answer[POLICY_ANSWER_SIZE];
static const char *contact;

static void begin(void)
{
    arena = arena_new();
    catalogue = rig_catalogue();
    submission = rig_submission("id");
    contact = "support@example.test";
}

static void end(void)
{
    catalogue_free(&catalogue);
    arena_free(&arena);
}

static struct verdict verdict_of(enum verdict_kind kind)
{
    return (struct verdict){.kind = kind, .now_ms = NOW, .submission = &submission,
                            .decision = 1, .retries_before_restart = 10,
                            .status_url = "https://mail.example.test/sending/r/0000-0000-0001"};
}

static void add_reason(struct verdict *verdict, const char *text)
{
    struct reason *reasons =
        arena_alloc(arena, (verdict->reason_count + 1) * sizeof *verdict->reasons);
    if (verdict->reason_count > 0)
        memcpy(reasons, verdict->reasons, verdict->reason_count * sizeof *reasons);
    reasons[verdict->reason_count++] = (struct reason){.text = text};
    verdict->reasons = reasons;
}

/* One line of printable ASCII with an empty line behind it, within the limits. */
static const char *told(const struct verdict *verdict)
{
    policy_answer(arena, catalogue, verdict, contact, answer);
    size_t length = strlen(answer);
    ck_assert_uint_le(length, 512);
    rig_check_begins(answer, "action=");
    ck_assert_str_eq(answer + length - 2, "\n\n");
    for (size_t i = 0; i < length - 2; i++)
        ck_assert_msg(answer[i] >= ' ' && answer[i] <= '~', "byte %zu is %d", i, answer[i]);
    const char *text = strstr(answer, ".7.1 ");
    if (text != NULL) /* what Postfix puts before it, and CR LF, fit into an SMTP line too */
        ck_assert_uint_le(strlen("554 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: ") +
                              strlen(text + 5) - 2 + 2, 512);
    return answer;
}

#define VOLUME                                                                                   \
    "The message was rejected for the following reason: Permanent Failure: Your ability to "     \
    "send new mail has been suspended as a high volume of suspicious mail has been sent from "   \
    "your account recently. Please contact your IT administrator."
#define LINK "Details: https://mail.example.test/sending/r/0000-0000-0001"
#define ASK "Questions: support@example.test"
#define REFERENCE "(reference 0000-0000-0001)"

START_TEST(test_admitted)
{
    struct verdict verdict = verdict_of(VERDICT_ADMIT);
    ck_assert_str_eq(told(&verdict), "action=DUNNO\n\n");
}
END_TEST

START_TEST(test_no_store)
{
    struct verdict verdict = verdict_of(VERDICT_NO_STORE);
    rig_check_begins(told(&verdict), "action=451 4.7.1 Sending is not possible for a moment");
}
END_TEST

START_TEST(test_of_one_message)
{
    struct verdict verdict = verdict_of(VERDICT_MESSAGE);
    add_reason(&verdict, "901 recipients in all; the limit for one message is 900. Remove 1.");
    ck_assert_str_eq(told(&verdict),
                     "action=REJECT 5.7.1 " NOT_SENT " 901 recipients in all; the limit for one "
                     "message is 900. Remove 1. " ASK " " REFERENCE " " LINK "\n\n");
    contact = "";
    rig_check_has_not(told(&verdict), "Questions");
}
END_TEST

START_TEST(test_over_time)
{
    struct verdict verdict = verdict_of(VERDICT_OVER_TIME);
    add_reason(&verdict, "This would be message 31 of the last hour; the limit is 30.");
    verdict.retry_at_ms = NOW + 61 * MINUTE_MS + 1;
    ck_assert_str_eq(told(&verdict),
                     "action=DEFER_IF_PERMIT 4.7.1 The message was not sent now. It can be sent "
                     "from 2025-11-22 06:42 UTC on. This would be message 31 of the last hour; the limit is 30. "
                     ASK " " REFERENCE " " LINK "\n\n");
    /* to come again does not help: a mail server must not try for days */
    verdict.retry_at_ms = 0;
    rig_check_begins(told(&verdict), "action=REJECT 5.7.1 " NOT_SENT " This would");
}
END_TEST

/* It comes again by itself, and must not be taken for one that waits in our queue. */
START_TEST(test_unusual)
{
    struct verdict verdict = verdict_of(VERDICT_UNUSUAL);
    verdict.unusual = (struct unusual){.new_recipients = 41, .action = UNUSUAL_DEFER};
    verdict.retry_at_ms = NOW + HOUR_MS;
    ck_assert_str_eq(told(&verdict),
                     "action=451 4.7.1 The message was not sent now. Far more mail than usual goes "
                     "to people this mailbox had not written to before: 41 in an hour. Try again "
                     "later, or ask support. " ASK " " REFERENCE " " LINK "\n\n");
    verdict.kind = VERDICT_ADMIT;
    verdict.unusual.action = UNUSUAL_HOLD;
    ck_assert_str_eq(told(&verdict),
                     "action=HOLD Held until the postmaster has looked: mail at an unusual rate, 41 "
                     "new recipients in an hour. " REFERENCE "\n\n");
    verdict.unusual.new_recipients = 0;
    ck_assert_str_eq(told(&verdict),
                     "action=HOLD Held until the postmaster has looked: mail at an unusual rate. "
                     REFERENCE "\n\n");
}
END_TEST

/* What users search for stands first. */
START_TEST(test_blocked)
{
    struct verdict verdict = verdict_of(VERDICT_BLOCKED);
    verdict.block = (struct verdict_block){
        .in_force = {.from_ms = NOW, .until_ms = NOW + HOUR_MS, .bad = 12, .all = 20},
        .domain = "d.test", .text = "Some."};
    verdict.sentence = "Domain d.test has exceeded the max defers and failures per hour allowed";
    verdict.retry_at_ms = NOW + HOUR_MS;
    ck_assert_str_eq(told(&verdict),
                     "action=REJECT 5.7.1 Domain d.test has exceeded the max defers and failures "
                     "per hour allowed. Paused until 2025-11-22 06:40 UTC. Failed or delayed: 12 of "
                     "20 recipients. " ASK " " REFERENCE " Not sent, and will not be sent later by "
                     "itself. " LINK "\n\n");
}
END_TEST

static struct verdict suspended(enum cause cause, const char *by, const char *note)
{
    struct verdict verdict = verdict_of(VERDICT_SUSPENDED);
    verdict.suspensions.of[0] = (struct suspension){.id = 1, .cause = cause, .since_ms = NOW,
                                             .until_ms = NOW + DAY_MS};
    snprintf(verdict.suspensions.of[0].by, sizeof verdict.suspensions.of[0].by, "%s", by);
    snprintf(verdict.suspensions.of[0].note, sizeof verdict.suspensions.of[0].note, "%s", note);
    return verdict;
}

/* All that a user needs fits behind the longer of the provider's sentences. */
START_TEST(test_suspended)
{
    struct verdict verdict = suspended(CAUSE_VOLUME, "guard", "messages_per_day");
    add_reason(&verdict, "This would be message 601 of the last 24 hours; the limit is 600.");
    verdict.reasons[0].objection =
        (struct objection){.rule = RULE_MESSAGES_PER_DAY, .count = 601, .limit = 600};
    ck_assert_str_eq(told(&verdict),
                     "action=REJECT 5.7.1 " VOLUME " Paused until 2025-11-23 05:40 UTC. Messages "
                     "in 24 hours: 601, limit 600. " ASK " Not sent, and will not be sent later "
                     "by itself. " LINK "\n\n");
    /* a later message was not looked at: what its window holds */
    verdict.reason_count = 0;
    verdict.window_count = 1;
    verdict.windows[0] =
        (struct verdict_window){.rule = RULE_MESSAGES_PER_DAY, .limit = 600, .used = 600};
    rig_check_has(told(&verdict), " UTC. Messages in 24 hours: 600, limit 600. " ASK);
    verdict.suspensions.of[0].until_ms = UNTIL_LIFTED;
    rig_check_has(told(&verdict), ". Stopped until support lifts it. Messages");
    verdict.windows[0].used = 0; /* as it is a day later, or after a reset */
    rig_check_has_not(told(&verdict), "Messages in 24 hours");
}
END_TEST

#define TERMS                                                                                    \
    "The message was rejected for the following reason: Permanent Failure: Your account has "    \
    "been suspended for a violation of the terms of usage. Please contact your system "          \
    "administrator."

/* Every cause but two has the sentence of the terms; a lock by the user himself has none. */
START_TEST(test_sentence_of_each_cause)
{
    for (enum cause cause = 0; cause < CAUSE_COUNT; cause++) {
        struct verdict verdict = suspended(cause, "ada", "because");
        rig_check_begins(told(&verdict), cause == CAUSE_VOLUME ? "action=REJECT 5.7.1 " VOLUME
                                                               : "action=REJECT 5.7.1 " TERMS);
    }
    struct verdict verdict = suspended(CAUSE_COMPROMISED, "user", "That wasn't me.");
    verdict.suspensions.of[0].until_ms = UNTIL_LIFTED;
    ck_assert_str_eq(told(&verdict),
                     "action=REJECT 5.7.1 Sending from this mailbox was stopped by its own user "
                     "(\"That wasn't me\") at 2025-11-22 05:40 UTC. Stopped until the password "
                     "was changed and the mailbox opened again. " ASK " " REFERENCE " Not sent, and will not be sent later by itself. "
                     LINK "\n\n");
}
END_TEST

/* The other suspensions, in the order of their ends, where there is room beside the link. */
START_TEST(test_several_suspensions)
{
    struct verdict verdict = suspended(CAUSE_TERMS, "ada", "because");
    verdict.suspensions.of[0].until_ms = UNTIL_LIFTED;
    verdict.suspensions.count = 3;
    verdict.suspensions.of[1] = (struct suspension){
        .id = 2, .cause = CAUSE_COMPROMISED, .until_ms = UNTIL_LIFTED, .by = "user"};
    verdict.suspensions.of[2] = (struct suspension){
        .id = 3, .cause = CAUSE_VOLUME, .until_ms = NOW + DAY_MS, .by = "guard"};
    verdict.status_url = NULL;
    rig_check_begins(told(&verdict),
                     "action=REJECT 5.7.1 " TERMS " Stopped until support lifts it. Also stopped "
                     "until support lifts it (stopped with \"That wasn't me\"). Also paused until "
                     "2025-11-23 05:40 UTC (too much mail). " ASK);
    verdict.suspensions.count = 2;
    verdict.suspensions.of[1] = verdict.suspensions.of[2];
    char url[400] = "https://";
    for (size_t length = strlen(url); length + 1 < sizeof url; length++) {
        url[length] = 'x';
        url[length + 1] = '\0';
        verdict.status_url = url;
        told(&verdict);
        bool link = strstr(answer, "Details: https://") != NULL;
        ck_assert(link || strstr(answer, REFERENCE) != NULL);
        ck_assert_ptr_nonnull(strstr(answer, "Not sent, and"));
        ck_assert(link || strstr(answer, "Also paused until 2025-11-23 05:40 UTC (too") != NULL);
        ck_assert_uint_le(strlen(answer), strlen("action=REJECT 5.7.1 ") + POLICY_TEXT_MAX_BYTES + 2);
    }
}
END_TEST

/* What goes first: the link, in whose place the reference comes, then a long contact. */
START_TEST(test_too_long)
{
    static const struct {
        int url_bytes, contact_bytes;
        bool link, rule, not_later, contact;
    } cases[] = {{60, 20, true, true, true, true},    {60, 160, true, true, true, false},
                 {85, 20, false, true, true, true},   {110, 20, false, true, true, true},
                 {170, 160, false, true, true, false}, {210, 20, false, true, true, true},
                 {1000, 160, false, true, true, false}};
    typeof(cases[0]) *one = &cases[_i];
    struct verdict verdict = suspended(CAUSE_VOLUME, "guard", "messages_per_day");
    char url[1100] = "https://", whom[200] = "";
    memset(url + strlen(url), 'x', (size_t)one->url_bytes - strlen(url));
    memset(whom, 'w', (size_t)one->contact_bytes);
    verdict.status_url = url;
    contact = whom;
    verdict.window_count = 1;
    verdict.windows[0] =
        (struct verdict_window){.rule = RULE_MESSAGES_PER_DAY, .limit = 600, .used = 600};
    told(&verdict);
    rig_check_has(answer, VOLUME " Paused until 2025-11-23 05:40 UTC.");
    ck_assert_int_eq(strstr(answer, "Details: https://") != NULL, one->link);
    ck_assert(one->link || strstr(answer, REFERENCE) != NULL);
    ck_assert_int_eq(strstr(answer, "limit 600") != NULL, one->rule);
    ck_assert_int_eq(strstr(answer, "Not sent, and") != NULL, one->not_later);
    ck_assert_int_eq(strstr(answer, "Questions: ww") != NULL, one->contact);
}
END_TEST

/* Rules of a message beyond all measure leave room for the rest. */
START_TEST(test_many_reasons)
{
    struct verdict verdict = verdict_of(VERDICT_MESSAGE);
    for (int i = 0; i < 40; i++)
        add_reason(&verdict, "57 recipients at outside.test; limit 50.");
    rig_check_begins(told(&verdict), "action=REJECT 5.7.1 " NOT_SENT " 57 recipients");
    rig_check_has(answer, LINK "\n\n");
}
END_TEST

/* Texts of operators and reasons with other letters. */
START_TEST(test_other_letters)
{
    struct verdict verdict = verdict_of(VERDICT_MESSAGE);
    add_reason(&verdict, "Zu viele Empf\xC3\xA4nger \xE2\x80\x93 bitte k\xC3\xBCrzen\r\naction=OK");
    told(&verdict);
    rig_check_has(answer, "Empfanger");
    rig_check_has_not(answer, "\naction=OK");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mta answer");
    TCase *cases = tcase_create("mta answer");
    tcase_add_checked_fixture(cases, begin, end);
    suite_add_tcase(suite, cases);
    tcase_add_test(cases, test_admitted);
    tcase_add_test(cases, test_no_store);
    tcase_add_test(cases, test_of_one_message);
    tcase_add_test(cases, test_over_time);
    tcase_add_test(cases, test_unusual);
    tcase_add_test(cases, test_blocked);
    tcase_add_test(cases, test_suspended);
    tcase_add_test(cases, test_sentence_of_each_cause);
    tcase_add_test(cases, test_several_suspensions);
    tcase_add_loop_test(cases, test_too_long, 0, 7);
    tcase_add_test(cases, test_many_reasons);
    tcase_add_test(cases, test_other_letters);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
