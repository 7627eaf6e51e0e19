/* The webmail endpoint and the policy service, one message at both: counted once
 * with a ticket, judged as the webmail's and told of without one. */
#include <stdlib.h>
#include <string.h>

#include "store/judge.h"
#include "store/store.h"
#include "tests/unit/guard/guard_rig.h"

#define HOSTS "mta.webmail_hosts=127.0.0.0/8"

/* As the policy service knows a message of the webmail's host: recipients by number alone. */
static struct submission from_host(const char *id, uint32_t recipients)
{
    struct submission submission = rig_submission(id);
    struct problem problem;
    submission.channel = CHANNEL_SMTP;
    submission.webmail_host = true;
    submission.unnamed = recipients;
    ck_assert_int_eq(submission_set_ip(&submission, "127.0.0.1", 9, &problem), 1);
    return submission;
}

static struct verdict ask_host(const char *id, uint32_t recipients, int64_t now_ms)
{
    struct submission *submission = arena_alloc(arena, sizeof *submission); /* verdicts point to it */
    *submission = from_host(id, recipients);
    return rig_judge(submission, now_ms);
}

static void send_webmail(const char *id, const char *to, int64_t now_ms)
{
    struct submission submission = rig_submission(id);
    rig_add(&submission, FIELD_TO, to);
    struct verdict verdict = rig_judge(&submission, now_ms);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert(!verdict.redeemed && !verdict.bypassed);
}

static bool has(const struct verdict *verdict, const char *member)
{
    struct json_writer writer = json_write_tree();
    verdict_write(&writer, verdict);
    bool there = rig_has(writer.tree[0], member);
    json_object_put(writer.tree[0]);
    return there;
}

START_TEST(test_counted_once)
{
    rig_begin(_i, WITH(HOSTS));
    send_webmail("<1>", "a@x.test, b@x.test, c@example.test", NOW);
    struct verdict verdict = ask_host("smtp-1", 3, NOW + 30);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert(verdict.redeemed && !verdict.bypassed && !verdict.repeated && !verdict.observed);
    ck_assert_int_eq(verdict_label(&verdict), LABEL_REDEEMED);
    ck_assert_str_eq(verdict_labels[LABEL_REDEEMED], "redeemed");
    ck_assert_str_eq(verdict.message, "");
    ck_assert_int_eq(rig_outcome(&verdict, NOW), OUTCOME_REDEEMED);
    ck_assert_uint_eq(rig_window(&verdict, RULE_MESSAGES_PER_DAY)->used, 1);
    ck_assert_uint_eq(rig_window(&verdict, RULE_OFF_DOMAIN_PER_DAY)->used, 2);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW + 30), 1);
    ck_assert(has(&verdict, "redeemed") && !has(&verdict, "bypassed"));
}
END_TEST

START_TEST(test_without_ticket)
{
    rig_begin(_i, WITH(HOSTS));
    struct verdict verdict = ask_host("smtp-1", 2, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert(verdict.bypassed && !verdict.redeemed);
    ck_assert_int_eq(verdict_label(&verdict), LABEL_ADMIT);
    ck_assert(has(&verdict, "bypassed") && !has(&verdict, "redeemed"));
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW), 1);
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_DAY, NOW), 2);
    struct json_object *facts = rig_facts(verdict.decision, NOW);
    ck_assert_str_eq(rig_text(facts, "channel"), "smtp");
    ck_assert_str_eq(rig_text(facts, "webmail_host"), "true");
    ck_assert_str_eq(rig_text(facts, "to"), "2");
    ck_assert_str_eq(rig_text(facts, "recipients"), "2");
    ck_assert_str_eq(rig_text(facts, "off_domain"), "2");
    json_object_put(facts);
    /* asked again, it is the same message */
    verdict = ask_host("smtp-1", 2, NOW + 1);
    ck_assert(verdict.repeated && !verdict.bypassed);
    /* of another number of recipients it is another */
    ck_assert(!ask_host("smtp-1", 3, NOW + 2).repeated);
}
END_TEST

/* From elsewhere it is nobody's business whether there is a ticket. */
START_TEST(test_from_elsewhere)
{
    rig_begin(_i, WITH(HOSTS));
    send_webmail("<1>", "a@x.test", NOW);
    struct submission submission = from_host("smtp-1", 1);
    submission.webmail_host = false;
    struct verdict verdict = rig_judge(&submission, NOW + 1);
    ck_assert(!verdict.redeemed && !verdict.bypassed);
    ck_assert_int_eq(rig_window(&verdict, RULE_OFF_DOMAIN_PER_DAY)->limit, 900);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW + 1), 2);
    ck_assert(ask_host("smtp-2", 1, NOW + 2).redeemed);
}
END_TEST

START_TEST(test_no_tickets_by_default)
{
    rig_begin(_i, DEFAULTS);
    send_webmail("<1>", "a@x.test", NOW);
    ck_assert(!ask_host("smtp-1", 1, NOW + 1).redeemed);
    rig_reload(WITH(HOSTS));
    send_webmail("<2>", "a@x.test", NOW + 2);
    ck_assert(ask_host("smtp-2", 1, NOW + 3).redeemed);
}
END_TEST

/* Limits of the webmail, with the fields off and without the host's address. */
START_TEST(test_limits_without_ticket)
{
    rig_begin(_i, WITH(HOSTS));
    struct verdict verdict = ask_host("smtp-1", 300, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert_int_eq(rig_window(&verdict, RULE_OFF_DOMAIN_PER_DAY)->limit, 1000);
    ck_assert_ptr_null(rig_window(&verdict, RULE_OFF_DOMAIN_PER_HOUR_PER_IP));
    verdict = ask_host("smtp-2", 301, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_MESSAGE);
    ck_assert_str_eq(rig_reasons(&verdict), "recipients_per_message");
    ck_assert(verdict.bypassed);
    struct submission named = from_host("smtp-3", 0);
    rig_add_many(&named, 51, "r", "x.test");
    verdict = rig_judge(&named, NOW);
    ck_assert_str_eq(rig_reasons(&verdict), "recipients_per_domain");
    verdict = ask_host("smtp-4", 300, NOW);
    verdict = ask_host("smtp-5", 300, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    verdict = ask_host("smtp-6", 101, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_SUSPENDED);
    ck_assert(verdict.brought && verdict.bypassed);
    /* now nobody looks for a ticket any longer */
    verdict = ask_host("smtp-7", 1, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_SUSPENDED);
    ck_assert(!verdict.bypassed);
    ck_assert_uint_eq(used_of(BOB, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW), 0);
}
END_TEST

/* 601 messages past the plugin meet the limit that they would have met there. */
START_TEST(test_601_without_plugin)
{
    int bypassed = 0;
    rig_begin(_i, WITH(HOSTS));
    for (int i = 0; i < 600; i++) {
        struct verdict verdict = ask_host(arena_printf(arena, "smtp-%d", i), 1, NOW + i);
        ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
        bypassed += verdict.bypassed;
    }
    struct verdict last = ask_host("smtp-601", 1, NOW + 600);
    ck_assert_int_eq(last.kind, VERDICT_SUSPENDED);
    ck_assert_str_eq(rig_reasons(&last), "messages_per_day");
    ck_assert_int_eq(bypassed + last.bypassed, 601);
}
END_TEST

/* The ticket is for what the mail server will be given. */
START_TEST(test_recipients_of_ticket)
{
    static const struct {
        const char *to, *cc, *bcc;
        uint32_t count;
    } messages[] = {
        {"a@x.test", "a@x.test", "a@x.test, b@x.test", 2},
        {"Al <a@x.test>, a@x.test", "", "\"A\" <a@x.test>", 1},
        {"a@x.test, A@x.test", "", "a@X.test", 3}, /* one to us, three to a mail server */
        {"postmaster@x.test, a@news.test", "c@example.test", "", 3}, /* the exempt too */
        {"undisclosed-recipients:;", "", "z@x.test", 1},
        {"friends: a@x.test, b@x.test;", "b@x.test", "", 2},
        {"\"odd one\"@x.test, zo\xC3\xA9@b\xC3\xBC" "cher.test", "", "", 2},
    };
    rig_begin(_i,
              WITH(HOSTS, "exempt.recipient=postmaster@x.test", "exempt.recipient=@news.test"));
    for (size_t i = 0; i < countof(messages); i++) {
        struct submission submission = rig_submission(arena_printf(arena, "<%zu>", i));
        int64_t at_ms = NOW + (int64_t)i * TICKET_MS;
        rig_add(&submission, FIELD_TO, messages[i].to);
        rig_add(&submission, FIELD_CC, messages[i].cc);
        rig_add(&submission, FIELD_BCC, messages[i].bcc);
        ck_assert_int_eq(rig_judge(&submission, at_ms).kind, VERDICT_ADMIT);
        for (uint32_t count = 1; count <= 4; count++) {
            struct submission asked = from_host("asked", count);
            ck_assert_msg(rig_ask(&asked, at_ms).redeemed == (count == messages[i].count),
                          "message %zu: a ticket for %u", i, count);
        }
    }
}
END_TEST

/* Some recipients by name, some by number. */
START_TEST(test_named_and_unnamed)
{
    rig_begin(_i, WITH(HOSTS));
    send_webmail("<1>", "a@x.test, b@x.test, C@x.test, c@x.test, d@example.test", NOW);
    struct submission submission = from_host("smtp-1", 2);
    rig_add(&submission, FIELD_TO, "C@x.test, c@x.test, d@example.test");
    ck_assert(rig_ask(&submission, NOW).redeemed);
    submission.unnamed = 1;
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert(verdict.bypassed);
    struct json_object *facts = rig_facts(verdict.decision, NOW);
    ck_assert_str_eq(rig_text(facts, "to"), "4"); /* c twice, d and one more */
    ck_assert_str_eq(rig_text(facts, "off_domain"), "3");
    json_object_put(facts);
}
END_TEST

/* A mail server's names are in key form, its number counts spellings: the number decides. */
START_TEST(test_accepted_number)
{
    rig_begin(_i, WITH(HOSTS));
    send_webmail("<1>", "a@x.test, A@X.test", NOW);
    struct submission submission = from_host("smtp-1", 0);
    rig_add(&submission, FIELD_TO, "a@x.test");
    submission.accepted = 2;
    ck_assert(rig_judge(&submission, NOW + 1).redeemed);
}
END_TEST

START_TEST(test_exempt_mailbox)
{
    rig_begin(_i, WITH(HOSTS, "exempt.mailbox=" ALICE));
    send_webmail("<1>", "a@x.test", NOW);
    ck_assert(ask_host("smtp-1", 1, NOW + 1).redeemed);
    struct verdict verdict = ask_host("smtp-2", 100000, NOW + 2);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT); /* more than a store counts in one message */
    ck_assert(verdict.bypassed);
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_DAY, NOW + 2), 1 + SUBMISSION_MAX_RECIPIENTS);
}
END_TEST

START_TEST(test_impossible_number)
{
    rig_begin(_i, WITH(HOSTS));
    struct verdict verdict = ask_host("smtp-1", UINT32_MAX, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_MESSAGE);
    ck_assert_uint_gt(verdict.reasons[0].objection.count, SUBMISSION_MAX_RECIPIENTS);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW), 0);
}
END_TEST

START_TEST(test_refund)
{
    rig_begin(_i, WITH(HOSTS));
    send_webmail("<1>", "a@x.test", NOW);
    ck_assert_int_eq(guard_refund(guard, ALICE, "<1>", NOW + 1), 1);
    struct verdict verdict = ask_host("smtp-1", 1, NOW + 2);
    ck_assert(verdict.bypassed);
    send_webmail("<2>", "a@x.test", NOW + 3);
    ck_assert(ask_host("smtp-2", 1, NOW + 4).redeemed);
    ck_assert_int_eq(guard_refund(guard, ALICE, "<2>", NOW + 5), 0); /* Postfix has had it */
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW + 5), 2);
}
END_TEST

START_TEST(test_observe)
{
    rig_begin(_i, WITH(HOSTS, "guard.mode=observe", "limits.webmail.messages_per_day=1"));
    send_webmail("<1>", "a@x.test", NOW);
    send_webmail("<2>", "a@x.test", NOW);
    for (int i = 0; i < 2; i++) {
        struct verdict verdict = ask_host(arena_printf(arena, "smtp-%d", i), 1, NOW + 1);
        ck_assert(verdict.redeemed && !verdict.observed);
        ck_assert_uint_eq(verdict.reason_count, 0);
    }
    struct verdict verdict = ask_host("smtp-3", 1, NOW + 2);
    ck_assert(verdict.bypassed && verdict.observed);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW + 2), 3);
}
END_TEST

/* Who cannot ask does not accuse. */
START_TEST(test_store_away)
{
    rig_begin(BACKEND_SQLITE, WITH(HOSTS, "store.on_failure=allow"));
    struct store *nowhere = backend_open("sqlite:///nonexistent/folder/x.db", TEST_TIMEOUT_MS);
    struct guard *blind = guard_new(nowhere, token_key,
                                    rig_settings(WITH(HOSTS, "store.on_failure=allow")),
                                    rig_catalogue());
    struct submission submission = from_host("smtp-1", 1);
    struct verdict verdict;
    ck_assert_int_eq(guard_judge(blind, &submission, false, NOW, &verdict), -1);
    ck_assert(verdict.unjudged && !verdict.bypassed && !verdict.redeemed);
    guard_free(&blind);
    store_free(&nowhere);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard tickets");
    TCase *cases = rig_case(suite, "tickets");
    tcase_add_loop_test(cases, test_counted_once, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_without_ticket, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_from_elsewhere, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_no_tickets_by_default, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_limits_without_ticket, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_601_without_plugin, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_recipients_of_ticket, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_named_and_unnamed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_accepted_number, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_exempt_mailbox, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_impossible_number, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refund, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_observe, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_store_away);
    return backends_run(suite);
}
