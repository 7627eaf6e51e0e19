/* One message by its header, over both stores: what is read of it, and what a refusal takes back.
 * */
#include <stdlib.h>
#include <string.h>

#include "store/records.h"
#include "tests/unit/guard/guard_rig.h"
#include "milter/header_message.h"

static struct header_service service;
static struct smtp_reply_lines lines;
static const struct header_sender alice = {ALICE, "192.0.2.7", "<" ALICE ">"};
#define THREE WITH("limits.smtp.recipients_per_field=3", "milter.listen=127.0.0.1:9405", \
                   "support.contact=help@example.test")

static void begin_service(int backend, const char *const *overrides)
{
    rig_begin(backend, overrides);
    log_set_level(LOG_ERROR_LEVEL + 1);
    service = (struct header_service){.guard = guard, .store = store};
}

/* What the policy service makes of a message to `count` recipients at d.test. */
static void count_message(const char *id, int count, int64_t now_ms)
{
    struct submission submission = rig_submission(id);
    submission.channel = CHANNEL_SMTP;
    rig_add_many(&submission, count, "p", "d.test");
    ck_assert_int_eq(rig_judge(&submission, now_ms).kind, VERDICT_ADMIT);
}

static struct header_message *begun_by(const struct header_sender *sender, int64_t now_ms)
{
    struct header_message *message = NULL;
    ck_assert_int_eq(header_message_begin(&service, sender, now_ms, &message), 1);
    return message;
}

/* To is the header's field alone. */
static enum header_answer judge_to(const char *to, const char *queue_id, int64_t began_ms,
                                   int64_t now_ms)
{
    freed_by(header_message_free) struct header_message *message = begun_by(&alice, began_ms);
    header_message_add_field(message, "To", to);
    enum header_answer answer =
        header_message_judge(&service, message, queue_id, now_ms, &lines);
    if (answer == HEADER_REFUSE)
        lines = (struct smtp_reply_lines){arena_strdup(arena, lines.text),
                                          arena_strdup(arena, lines.place)};
    return answer;
}

#define FOUR "a@x.test, b@x.test, c@x.test, d@x.test"

START_TEST(test_two_lines)
{
    begin_service(_i, THREE);
    ck_assert_int_eq(judge_to(FOUR, "Q", NOW, NOW), HEADER_REFUSE);
    ck_assert_str_eq(lines.text, NOT_SENT " 4 recipients in To; the limit for one field is 3. "
                                          "Remove 1. Questions: help@example.test");
    rig_check_begins(lines.place, "Details: http");
    ck_assert_int_eq(judge_to("a@x.test b@x.test", "Q", NOW, NOW), HEADER_REFUSE);
    rig_check_begins(lines.text, NOT_SENT " Its header cannot be read: to[0]: ");
    ck_assert_str_eq(lines.place, "Questions: help@example.test");
}
END_TEST

/* The message is in the store under the mailbox, its queue id and the instance of its connection.
 * */
START_TEST(test_taken_back_by_its_queue_id)
{
    begin_service(_i, THREE);
    count_message("Q1/186d.1.0", 4, NOW);
    count_message("Q12/186d.2.0", 5, NOW + 1);
    count_message("Q1/186d.3.0", 6, NOW + HOUR_MS); /* a short id that came again */
    ck_assert_int_eq(judge_to(FOUR, "Q1", NOW + HOUR_MS - 1000, NOW + HOUR_MS + 10), HEADER_REFUSE);
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_DAY, NOW + HOUR_MS + 20), 9);
    ck_assert_int_eq(judge_to(FOUR, "Q1", NOW + HOUR_MS - 1000, NOW + HOUR_MS + 30), HEADER_REFUSE);
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_DAY, NOW + HOUR_MS + 40), 9);
    ck_assert_int_eq(judge_to(FOUR, "Q3", NOW, NOW + HOUR_MS + 50), HEADER_REFUSE);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW + HOUR_MS + 60), 2);
}
END_TEST

/* Hundreds of messages came between MAIL and the end of the header. */
START_TEST(test_found_behind_many)
{
    begin_service(_i, THREE);
    count_message("Q/1", 4, NOW);
    for (int i = 0; i < 250; i++)
        count_message(arena_printf(arena, "R%d/1", i), 1, NOW + 1 + i);
    ck_assert_int_eq(judge_to(FOUR, "Q", NOW - MINUTE_MS, NOW + MINUTE_MS), HEADER_REFUSE);
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_DAY, NOW + MINUTE_MS), 250);
}
END_TEST

START_TEST(test_who_is_read)
{
    static const struct {
        const char *name;
        struct header_sender sender;
        const char *setting;
        int read;
    } rows[] = {
        {"signed in", {ALICE, "192.0.2.7", "<" ALICE ">"}, "guard.mode=enforce", 1},
        {"observed", {ALICE, "192.0.2.7", "<" ALICE ">"}, "guard.mode=observe", 1},
        {"nobody", {"", "192.0.2.7", "<" ALICE ">"}, "guard.mode=enforce", 0},
        {"no mailbox", {"alice", "192.0.2.7", "<" ALICE ">"}, "guard.mode=enforce", 0},
        {"no client", {ALICE, "", "<" ALICE ">"}, "mta.exempt_networks=192.0.2.0/24", 1},
        {"exempt client", {ALICE, "192.0.2.7", "<>"}, "mta.exempt_networks=192.0.2.0/24", 0},
        {"null sender", {ALICE, "192.0.2.7", "<>"}, "mta.null_sender=judge", 1},
        {"null sender passes", {ALICE, "192.0.2.7", "<>"}, "mta.null_sender=pass", 0},
        {"exempt mailbox", {ALICE, "192.0.2.7", "<" ALICE ">"}, "exempt.mailbox=" ALICE, 0},
        {"no limit", {ALICE, "192.0.2.7", "<" ALICE ">"}, "limits.smtp.recipients_per_field=off", 0},
        {"of the webmail", {ALICE, "192.0.2.7", "<" ALICE ">"}, "mta.webmail_hosts=192.0.2.7", 1},
    };
    begin_service(_i, THREE);
    for (size_t i = 0; i < countof(rows); i++) {
        freed_by(header_message_free) struct header_message *message = NULL;
        rig_reload(WITH("limits.smtp.recipients_per_field=3", rows[i].setting));
        ck_assert_msg(header_message_begin(&service, &rows[i].sender, NOW, &message) ==
                          rows[i].read, "%s", rows[i].name);
    }
}
END_TEST

START_TEST(test_fields_and_folds)
{
    static const struct {
        const char *name, *value;
        enum header_answer answer;
    } rows[] = {
        {"To", "a@x.test,\r\n b@x.test,\n\tc@x.test", HEADER_PASS},
        {"tO", FOUR, HEADER_REFUSE},
        {"CC", FOUR, HEADER_REFUSE},
        {"Bcc", FOUR, HEADER_PASS}, /* Postfix removes it, and the envelope says the same */
        {"Resent-To", FOUR, HEADER_PASS},
        {"To", "", HEADER_PASS},
        {"To", "\r\n", HEADER_REFUSE}, /* folds nothing */
        {"To", "a@x.test,\r b@x.test", HEADER_REFUSE},
        {"To", " ", HEADER_PASS},
    };
    begin_service(_i, THREE);
    for (size_t i = 0; i < countof(rows); i++) {
        freed_by(header_message_free) struct header_message *message = begun_by(&alice, NOW);
        char *value = strdup(rows[i].value);
        header_message_add_field(message, rows[i].name, value);
        free(value);
        enum header_answer answer = header_message_judge(&service, message, "Q", NOW, &lines);
        ck_assert_msg(answer == rows[i].answer, "%zu: %s: %s", i, rows[i].name, rows[i].value);
    }
}
END_TEST

/* Postfix writes a From where there is none: the name of its daemon for a message without a sender. */
START_TEST(test_from_of_postfix)
{
    static const struct {
        const char *sender, *from;
        enum header_answer answer;
    } rows[] = {
        {"<>", "MAILER-DAEMON", HEADER_PASS},
        {"<>", " MAILER-DAEMON", HEADER_PASS},
        {"<>", "MAILER-DAEMON@else.test", HEADER_REFUSE},
        {"<>", "root", HEADER_REFUSE},
        {"<>", ALICE, HEADER_PASS},
        {"<" ALICE ">", "MAILER-DAEMON", HEADER_REFUSE},
    };
    begin_service(_i, WITH("identity.mode=enforce", "milter.listen=127.0.0.1:9405",
                           "on_limit.from_foreign=refuse"));
    for (size_t i = 0; i < countof(rows); i++) {
        const struct header_sender sender = {ALICE, "192.0.2.7", rows[i].sender};
        freed_by(header_message_free) struct header_message *message = begun_by(&sender, NOW);
        header_message_add_field(message, "From", rows[i].from);
        ck_assert_msg(header_message_judge(&service, message, "Q", NOW, &lines) == rows[i].answer,
                      "%s %s", rows[i].sender, rows[i].from);
    }
}
END_TEST

START_TEST(test_blind_copies)
{
    static const char *const envelope[] = {"<a@x.test>", "<B@X.TEST>", "<\"c\"@x.test>", "<root>",
                                           "<>", "", "<d@x.test>", "<e@x.test>", "<f@x.test>"};
    begin_service(_i, THREE);
    for (int more = 0; more < 2; more++) {
        freed_by(header_message_free) struct header_message *message = begun_by(&alice, NOW);
        header_message_add_field(message, "To", "a@x.test, b@x.test");
        header_message_add_field(message, "Cc", "c@x.test");
        for (size_t i = 0; i < countof(envelope); i++)
            header_message_add_recipient(message, envelope[i]);
        for (int i = 0; i < more; i++)
            header_message_add_recipient(message, "<g@x.test>");
        ck_assert_int_eq(header_message_judge(&service, message, "Q", NOW, &lines),
                         more ? HEADER_REFUSE : HEADER_PASS);
        if (more)
            rig_check_begins(lines.text, NOT_SENT " 4 recipients in Bcc;");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("header message");
    TCase *cases = rig_case(suite, "header message");
    tcase_add_loop_test(cases, test_two_lines, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_taken_back_by_its_queue_id, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_found_behind_many, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_who_is_read, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_fields_and_folds, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_from_of_postfix, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_blind_copies, 0, BACKEND_KINDS);
    return backends_run(suite);
}
