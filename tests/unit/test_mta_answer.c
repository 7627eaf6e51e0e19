/* What Postfix is told of every ruling, in the shortest and in the longest case. */
#include <string.h>

#include "guard_rig.h"
#include "policy_answer.h"

static struct catalogue *catalogue;
static struct submission submission;
static char answer[POLICY_ANSWER_SIZE];

static void begin(void)
{
    arena = arena_new();
    catalogue = rig_catalogue();
    submission = rig_submission("id");
}

static void end(void)
{
    catalogue_free(&catalogue);
    arena_free(&arena);
}

static struct verdict verdict_of(enum ruling ruling)
{
    return (struct verdict){.ruling = ruling, .now_ms = NOW, .submission = &submission,
                            .decision = 1, .retries_before_restart = 10,
                            .status_url = "https://mail.example.test/sending/status?t=TOKEN"};
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
    policy_answer(arena, catalogue, verdict, answer);
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
#define LINK "Details: https://mail.example.test/sending/status?t=TOKEN"

START_TEST(test_admitted)
{
    struct verdict verdict = verdict_of(RULING_ADMIT);
    ck_assert_str_eq(told(&verdict), "action=DUNNO\n\n");
}
END_TEST

START_TEST(test_no_store)
{
    struct verdict verdict = verdict_of(RULING_NO_STORE);
    rig_check_begins(told(&verdict), "action=451 4.7.1 Sending is not possible for a moment");
}
END_TEST

START_TEST(test_of_one_message)
{
    struct verdict verdict = verdict_of(RULING_MESSAGE);
    add_reason(&verdict, "901 recipients in all; the limit for one message is 900. Remove 1.");
    ck_assert_str_eq(told(&verdict),
                     "action=REJECT 5.7.1 The message was not sent. 901 recipients in all; the "
                     "limit for one message is 900. Remove 1. " LINK " (reference "
                     "0000-0000-0001)\n\n");
}
END_TEST

START_TEST(test_over_time)
{
    struct verdict verdict = verdict_of(RULING_OVER_TIME);
    add_reason(&verdict, "This would be message 31 of the last hour; the limit is 30.");
    verdict.retry_at_ms = NOW + 61 * MINUTE_MS + 1;
    ck_assert_str_eq(told(&verdict),
                     "action=DEFER_IF_PERMIT 4.7.1 The message was not sent. It can be sent from "
                     "2025-11-22 06:42 UTC on. This would be message 31 of the last hour; the "
                     "limit is 30. " LINK " (reference 0000-0000-0001)\n\n");
    /* to come again does not help: a mail server must not try for days */
    verdict.retry_at_ms = 0;
    rig_check_begins(told(&verdict), "action=REJECT 5.7.1 The message was not sent. This would");
}
END_TEST

START_TEST(test_suspended)
{
    struct verdict verdict = verdict_of(RULING_SUSPENDED);
    verdict.suspension = (struct suspension){.id = 1, .cause = CAUSE_VOLUME, .since_ms = NOW,
                                             .until_ms = NOW + DAY_MS};
    rig_check_begins(told(&verdict), "action=REJECT 5.7.1 " VOLUME " Sending is paused until ");
    rig_check_has(answer, " " LINK " (reference 0000-0000-0001)\n\n");
    verdict.suspension.until_ms = UNTIL_LIFTED;
    rig_check_has(told(&verdict), "Sending is stopped");
    verdict.suspension.cause = CAUSE_TERMS;
    rig_check_begins(told(&verdict),
                     "action=REJECT 5.7.1 The message was rejected for the following reason: "
                     "Permanent Failure: Your account has been suspended for a violation");
}
END_TEST

/* Reasons go first, then the link, and the reference last of all. */
START_TEST(test_too_long)
{
    static const struct {
        int reasons, url_bytes;
        bool has_reasons, has_link;
    } cases[] = {{1, 60, true, true},  {40, 60, false, true}, {1, 140, false, true},
                 {1, 2000, true, false}, {40, 2000, false, false}};
    typeof(cases[0]) *one = &cases[_i % 5];
    struct verdict verdict = verdict_of(_i < 5 ? RULING_SUSPENDED : RULING_MESSAGE);
    char url[2100] = "https://mail.example.test/";
    memset(url + strlen(url), 'x', (size_t)one->url_bytes);
    verdict.status_url = url;
    verdict.suspension =
        (struct suspension){.id = 1, .cause = CAUSE_VOLUME, .until_ms = UNTIL_LIFTED};
    for (int i = 0; i < one->reasons; i++)
        add_reason(&verdict, "57 recipients at outside.test; limit 50.");
    told(&verdict);
    rig_check_has(answer, _i < 5 ? VOLUME : "The message was not sent.");
    rig_check_has(answer, "(reference 0000-0000-0001)\n\n");
    ck_assert_int_eq(strstr(answer, "Details: https://") != NULL, one->has_link);
    if (_i < 5)
        ck_assert_int_eq(strstr(answer, "57 recipients") != NULL, one->has_reasons);
}
END_TEST

/* The link of a suspension with a common base and a token as long as they are. */
START_TEST(test_link_stands_for_the_reference)
{
    struct verdict verdict = verdict_of(RULING_SUSPENDED);
    char token[143] = "";
    memset(token, 'x', sizeof token - 1);
    const char *url = arena_printf(arena, "https://webmail.provider.example.test/sending/status?t=%s"
                                          "&d=0000-0000-0001", token);
    verdict.suspension = (struct suspension){.id = 1, .cause = CAUSE_VOLUME, .until_ms = NOW};
    verdict.status_url = url;
    ck_assert_str_eq(told(&verdict),
                     arena_printf(arena, "action=REJECT 5.7.1 " VOLUME " Details: %s\n\n", url));
}
END_TEST

/* Texts of operators and reasons with other letters. */
START_TEST(test_other_letters)
{
    struct verdict verdict = verdict_of(RULING_MESSAGE);
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
    tcase_add_test(cases, test_suspended);
    tcase_add_loop_test(cases, test_too_long, 0, 10);
    tcase_add_test(cases, test_link_stands_for_the_reference);
    tcase_add_test(cases, test_other_letters);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
