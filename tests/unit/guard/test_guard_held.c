/* Mail at an unusual rate that waits or is deferred: what becomes of it in both channels, what is
 * listed, and what the postmaster's answers change. */
#include <string.h>

#include "guard/held.h"
#include "rules/profile.h"
#include "store/records.h"
#include "tests/unit/guard/guard_rig.h"

#define HOLD "unusual.mode=hold", "unusual.new_recipients=3", "unusual.factor=1", \
             "mta.webmail_hosts=127.0.0.0/8"
#define HOME "192.0.2.1"
#define ABROAD "203.0.113.9"

/* As the policy service knows a message of a mail program. */
static struct submission *by_smtp(const char *queue_id, const char *ip, int count, const char *who)
{
    struct submission *submission = arena_alloc(arena, sizeof *submission);
    struct problem problem;
    *submission = rig_submission(arena_printf(arena, "%s/instance", queue_id));
    submission->channel = CHANNEL_SMTP;
    ck_assert_int_eq(submission_set_ip(submission, ip, strlen(ip), &problem), 1);
    rig_add_many(submission, count, who, "x.test");
    return submission;
}

static struct verdict send(const char *queue_id, const char *ip, int count, const char *who,
                           int64_t now_ms)
{
    return rig_judge(by_smtp(queue_id, ip, count, who), now_ms);
}

/* Of a mailbox that is known for eight days, and wrote to "friend0" and "friend1" from HOME. */
static void begin_known(int backend, const char *const *overrides)
{
    rig_begin(backend, overrides);
    ck_assert_int_eq(send("4begin", HOME, 2, "friend", NOW - 8 * DAY_MS).kind, VERDICT_ADMIT);
    ck_assert_int_eq(send("4again", HOME, 2, "friend", NOW - DAY_MS).kind, VERDICT_ADMIT);
}

static struct held_mailbox listed(int64_t now_ms)
{
    struct held_mailbox held;
    ck_assert_int_eq(held_read(store, arena, ALICE, now_ms, &held), 1);
    return held;
}

static int answer(const struct held_mailbox *held, enum held_answer answer, int64_t now_ms)
{
    const struct action action = {now_ms, "postmaster", "asked her"};
    const struct audited audited = {.action = &action, .name = "note", .subject = ALICE, .detail = "{}"};
    return held_answer(store, held, answer, &audited, now_ms);
}

START_TEST(test_held)
{
    begin_known(_i, WITH(HOLD));
    struct verdict verdict = send("4one", ABROAD, 4, "stranger", NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert(verdict_waits(&verdict) && verdict.unusual.first);
    ck_assert_int_eq(verdict_label(&verdict), LABEL_HELD);
    rig_check_begins(verdict.message, "Your message was taken, and waits");
    rig_check_has(verdict.message, "wrote to 4 people");
    ck_assert_int_eq(rig_outcome(&verdict, NOW), OUTCOME_ADMITTED);
    struct record record;
    ck_assert_int_eq(store_record(store, arena, verdict.decision, NOW, &record), 1);
    ck_assert_int_eq(record.unusual.action, UNUSUAL_HOLD);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW), 1);
    /* asked again, and another message, from home too; one to known recipients passes */
    verdict = send("4one", ABROAD, 4, "stranger", NOW + 1);
    ck_assert(verdict.repeated && verdict_waits(&verdict));
    verdict = send("4two", HOME, 1, "other", NOW + DAY_MS - 1);
    ck_assert(verdict_waits(&verdict) && !verdict.unusual.first);
    rig_check_has(verdict.message, "Far more mail than usual went from this mailbox");
    verdict = send("4three", ABROAD, 2, "friend", NOW + DAY_MS - 1);
    ck_assert(!verdict_waits(&verdict));
    ck_assert_str_eq(verdict.message, "");
    struct held_mailbox held = listed(NOW + 90 * DAY_MS); /* nothing ends it by itself */
    ck_assert_int_eq(held.held.action, UNUSUAL_HOLD);
    ck_assert_int_eq(held.held.since_ms, NOW);
    ck_assert_int_eq(held.held.last_ms, NOW + DAY_MS - 1);
    ck_assert_uint_eq(held.held.most, 4);
    ck_assert_uint_eq(held.held.count, 2);
    ck_assert_uint_eq(held.held.listed, 2);
    ck_assert_str_eq(held.held.messages[0].queue_id, "4one");
    ck_assert_uint_eq(held.held.messages[0].recipients, 4);
    ck_assert_uint_eq(held.held.messages[0].decision, record.decision);
    ck_assert_str_eq(held.held.messages[1].queue_id, "4two");
}
END_TEST

/* A dry run foretells it, and changes nothing. */
START_TEST(test_foretold)
{
    begin_known(_i, WITH(HOLD));
    struct verdict verdict = rig_ask(by_smtp("4one", ABROAD, 4, "stranger"), NOW);
    ck_assert(verdict_waits(&verdict) && verdict.unusual.network_new);
    rig_check_begins(verdict.message, "The message would wait");
    rig_check_has(verdict.message, "wrote to 4 people");
    verdict = rig_ask(by_smtp("4one", ABROAD, 3, "stranger"), NOW);
    ck_assert(!verdict_waits(&verdict) && !unusual_is(&verdict.unusual));
    struct held_mailbox held;
    ck_assert_int_eq(held_read(store, arena, ALICE, NOW, &held), 0);
    ck_assert_int_eq(send("4three", ABROAD, 3, "stranger", NOW).kind, VERDICT_ADMIT);
    ck_assert_int_eq(held_read(store, arena, ALICE, NOW, &held), 0);
    rig_reload(WITH("unusual.mode=defer", "unusual.new_recipients=3", "unusual.factor=1"));
    verdict = rig_ask(by_smtp("4two", ABROAD, 1, "other"), NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_UNUSUAL);
}
END_TEST

/* The webmail's message waits in the mail server, which is told by the ticket. */
START_TEST(test_tickets)
{
    begin_known(_i, WITH(HOLD));
    struct submission submission = rig_submission("<1>");
    struct problem problem;
    ck_assert_int_eq(submission_set_ip(&submission, ABROAD, strlen(ABROAD), &problem), 1);
    rig_add_many(&submission, 4, "stranger", "x.test");
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert(verdict_waits(&verdict));
    ck_assert_uint_eq(listed(NOW).held.count, 0);
    struct submission *from_host = by_smtp("4web", "127.0.0.1", 0, "");
    from_host->webmail_host = true;
    from_host->unnamed = 4;
    verdict = rig_judge(from_host, NOW + 1);
    ck_assert(verdict.redeemed && verdict_waits(&verdict));
    ck_assert_int_eq(verdict_label(&verdict), LABEL_HELD);
    struct held_mailbox held = listed(NOW + 1);
    ck_assert_uint_eq(held.held.count, 1);
    ck_assert_str_eq(held.held.messages[0].queue_id, "4web");
    ck_assert_uint_eq(held.held.messages[0].recipients, 4);
    ck_assert_uint_eq(held.held.messages[0].decision, verdict.decision);
    ck_assert_uint_eq(held.held.most, 4);
    /* where the policy service looks for no ticket nobody could make it wait */
    rig_reload(WITH("unusual.mode=hold", "unusual.new_recipients=3", "unusual.factor=1"));
    submission = rig_submission("<2>");
    rig_add_many(&submission, 1, "nobody", "x.test");
    ck_assert_int_eq(rig_judge(&submission, NOW + 2).kind, VERDICT_UNUSUAL);
}
END_TEST

/* What the webmail endpoint saw of another message lets no strangers pass: its ticket is for as many. */
START_TEST(test_ticket_of_another)
{
    struct problem problem;
    begin_known(_i, WITH(HOLD));
    send("4one", ABROAD, 4, "stranger", NOW);
    for (int i = 0; i < 2; i++) {
        struct submission submission = rig_submission(i == 0 ? "<friends>" : "<strangers>");
        ck_assert_int_eq(submission_set_ip(&submission, ABROAD, strlen(ABROAD), &problem), 1);
        rig_add_many(&submission, 2, i == 0 ? "friend" : "late", "x.test");
        struct verdict verdict = rig_judge(&submission, NOW + 1 + i);
        ck_assert_int_eq(verdict_waits(&verdict), i == 1);
    }
    struct submission *first = by_smtp("4late", "127.0.0.1", 2, "late");
    first->webmail_host = true;
    struct verdict verdict = rig_judge(first, NOW + 3);
    ck_assert(verdict.redeemed && verdict_waits(&verdict));
    struct held_mailbox held = listed(NOW + 3);
    ck_assert_str_eq(held.held.messages[held.held.listed - 1].queue_id, "4late");
}
END_TEST

/* A ticket of a message that never came holds none after the postmaster's answer. */
START_TEST(test_ticket_after_the_answer)
{
    struct problem problem;
    begin_known(_i, WITH(HOLD));
    struct submission submission = rig_submission("<1>");
    ck_assert_int_eq(submission_set_ip(&submission, ABROAD, strlen(ABROAD), &problem), 1);
    rig_add_many(&submission, 4, "stranger", "x.test");
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert(verdict_waits(&verdict));
    struct held_mailbox held = listed(NOW);
    ck_assert_int_eq(answer(&held, HELD_WAS_USER, NOW + 1), 1);
    struct submission *late = by_smtp("4late", "127.0.0.1", 4, "stranger");
    late->webmail_host = true;
    verdict = rig_judge(late, NOW + 2);
    ck_assert(verdict.redeemed && !verdict_waits(&verdict));
    ck_assert_int_eq(held_read(store, arena, ALICE, NOW + 2, &held), 0);
}
END_TEST

/* Recipients of which the policy service has forgotten the names are strangers. */
START_TEST(test_unnamed)
{
    begin_known(_i, WITH(HOLD));
    struct submission *submission = by_smtp("4one", ABROAD, 0, "");
    submission->unnamed = submission->accepted = 4;
    struct verdict verdict = rig_judge(submission, NOW);
    ck_assert(verdict_waits(&verdict));
    ck_assert_uint_eq(verdict.unusual.new_recipients, 4);
    ck_assert_uint_eq(verdict.unusual.new_domains, 4);
    verdict = rig_judge(submission, NOW + 1);
    ck_assert(verdict.repeated && verdict_waits(&verdict));
    submission = by_smtp("4two", HOME, 1, "friend");
    submission->unnamed = 1;
    submission->accepted = 2;
    verdict = rig_judge(submission, NOW + 2);
    ck_assert(verdict_waits(&verdict));
    ck_assert_uint_eq(verdict.unusual.new_recipients, 5);
}
END_TEST

/* It was them: so many in an hour, and their network, are usual for a week. */
START_TEST(test_was_user)
{
    begin_known(_i, WITH(HOLD, "unusual.new_domains=100"));
    send("4one", ABROAD, 4, "stranger", NOW);
    struct held_mailbox before = listed(NOW);
    send("4two", ABROAD, 1, "late", NOW + 1);
    ck_assert_int_eq(answer(&before, HELD_WAS_USER, NOW + 2), 0); /* one has come since */
    struct held_mailbox held = listed(NOW + 2);
    ck_assert_uint_eq(held.held.most, 5);
    ck_assert_int_eq(answer(&held, HELD_WAS_USER, NOW + 2), 1);
    ck_assert_int_eq(held_read(store, arena, ALICE, NOW + 3, &held), 0);
    ck_assert_int_eq(answer(&held, HELD_WAS_USER, NOW + 3), 0); /* it was answered */
    struct verdict verdict = send("4three", ABROAD, 10, "more", NOW + 4);
    ck_assert(!verdict_waits(&verdict) && !unusual_is(&verdict.unusual));
    verdict = send("4four", "203.0.113.77", 1, "more-still", NOW + 5); /* 16 > 5 */
    ck_assert(verdict_waits(&verdict));
    held = listed(NOW + 5);
    ck_assert_int_eq(answer(&held, HELD_WAS_USER, NOW + 6), 1);
    verdict = send("4five", "203.0.113.88", 16, "week", NOW + 6 + PROFILE_USUAL_MS);
    ck_assert_uint_eq(verdict.unusual.busiest, 15);
}
END_TEST

/* It was not: what waited is forgotten, and the network is as new as before. */
START_TEST(test_was_other)
{
    begin_known(_i, WITH(HOLD, "unusual.new_domains=100"));
    struct verdict verdict = send("4zero", ABROAD, 3, "first", NOW);
    ck_assert(!verdict_waits(&verdict));
    send("4one", ABROAD, 4, "stranger", NOW + 1);
    struct held_mailbox held = listed(NOW + 1);
    ck_assert_uint_eq(held.held.most, 7);
    const uint64_t first = held.held.messages[0].decision;
    struct held_rejected rejected;
    ck_assert_int_eq(held_rejected(store, arena, ALICE, NOW + 1, &rejected), 0);
    ck_assert_int_eq(answer(&held, HELD_WAS_OTHER, NOW + 2), 1);
    verdict = send("4two", HOME, 1, "mine", NOW + 3); /* three of before and one */
    ck_assert(!verdict_waits(&verdict) && !unusual_is(&verdict.unusual));
    verdict = send("4three", ABROAD, 5, "stranger", NOW + DAY_MS + 4);
    ck_assert(verdict_waits(&verdict) && verdict.unusual.network_new);
    ck_assert_uint_eq(verdict.unusual.new_recipients, 5);
    send("4four", ABROAD, 1, "late", NOW + DAY_MS + 5);
    held = listed(NOW + DAY_MS + 5);
    ck_assert_int_eq(answer(&held, HELD_WAS_OTHER, NOW + DAY_MS + 6), 1);
    int64_t last_ms = NOW + DAY_MS + 5 + HELD_REJECTED_MS;
    ck_assert_int_eq(held_rejected(store, arena, ALICE, last_ms, &rejected), 1);
    ck_assert_int_eq(rejected.at_ms, NOW + DAY_MS + 6);
    ck_assert_uint_eq(rejected.count, 2);
    ck_assert_uint_eq(rejected.decision_count, 3);
    ck_assert_uint_eq(rejected.decisions[0], first);
    ck_assert_uint_eq(rejected.decisions[2], held.held.messages[1].decision);
    ck_assert_int_eq(held_rejected(store, arena, ALICE, last_ms + 1, &rejected), 0);
}
END_TEST

/* It is refused for the time being, and counts nothing: it passes when the hour is another one, or the
 * postmaster has answered. */
START_TEST(test_deferred)
{
    begin_known(_i, WITH("unusual.mode=defer", "unusual.new_recipients=3", "unusual.factor=1"));
    ck_assert_int_eq(send("4zero", ABROAD, 3, "first", NOW).kind, VERDICT_ADMIT);
    uint64_t used = rig_used(RULE_MESSAGES_PER_DAY, NOW);
    struct verdict verdict = send("4one", ABROAD, 2, "stranger", NOW + 1);
    ck_assert_int_eq(verdict.kind, VERDICT_UNUSUAL);
    ck_assert_int_eq(rig_outcome(&verdict, NOW + 1), OUTCOME_UNUSUAL);
    ck_assert_int_eq(verdict.retry_at_ms, NOW + 1 + HOUR_MS);
    rig_check_has(verdict.message, "wrote to 5 people");
    rig_check_has(verdict.message, "Try again in an hour");
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW + 1), used);
    ck_assert_int_eq(send("4friend", ABROAD, 2, "friend", NOW + 1).kind, VERDICT_ADMIT);
    verdict = send("4one", ABROAD, 2, "stranger", NOW + 2);
    ck_assert(verdict.kind == VERDICT_UNUSUAL && !verdict.unusual.first);
    struct held_mailbox held = listed(NOW + 2);
    ck_assert_int_eq(held.held.action, UNUSUAL_DEFER);
    ck_assert_uint_eq(held.held.count, 1);
    ck_assert_int_eq(send("4two", ABROAD, 3, "stranger", NOW + 2).kind, VERDICT_UNUSUAL);
    held = listed(NOW + 2);
    ck_assert_uint_eq(held.held.count, 2);
    ck_assert_uint_eq(held.held.listed, 0);
    ck_assert_int_eq(send("4one", ABROAD, 2, "stranger", NOW + HOUR_MS).kind, VERDICT_ADMIT);
    ck_assert_int_eq(send("4two", ABROAD, 2, "second", NOW + HOUR_MS).kind, VERDICT_UNUSUAL);
    held = listed(NOW + HOUR_MS);
    ck_assert_int_eq(answer(&held, HELD_WAS_USER, NOW + HOUR_MS), 1);
    ck_assert_int_eq(send("4two", ABROAD, 2, "second", NOW + HOUR_MS).kind, VERDICT_ADMIT);
}
END_TEST

/* However long it is tried, its network does not become known by that, but by mail that passes. */
START_TEST(test_deferred_for_a_day)
{
    begin_known(_i, WITH("unusual.mode=defer", "unusual.new_recipients=3", "unusual.factor=1"));
    for (int hour = 0; hour <= 25; hour++)
        ck_assert_int_eq(send("4one", ABROAD, 4, "stranger", NOW + hour * HOUR_MS).kind,
                         VERDICT_UNUSUAL);
    struct held_mailbox held = listed(NOW + 25 * HOUR_MS);
    ck_assert_uint_eq(held.held.count, 1);
    ck_assert_int_eq(held.held.last_ms, NOW + 25 * HOUR_MS);
    ck_assert_int_eq(send("4friend", ABROAD, 2, "friend", NOW + 26 * HOUR_MS).kind, VERDICT_ADMIT);
    ck_assert_int_eq(send("4one", ABROAD, 4, "stranger", NOW + 27 * HOUR_MS).kind, VERDICT_UNUSUAL);
    ck_assert_int_eq(send("4one", ABROAD, 4, "stranger", NOW + 50 * HOUR_MS).kind, VERDICT_ADMIT);
}
END_TEST

/* Nobody is held on the day of installation, nor in observe mode; what was noted is listed for a
 * week. */
START_TEST(test_noted)
{
    rig_begin(_i, WITH(HOLD));
    struct verdict verdict = send("4one", ABROAD, 9, "stranger", NOW);
    ck_assert(unusual_is(&verdict.unusual) && !verdict_waits(&verdict));
    struct held_mailbox held = listed(NOW + 7 * DAY_MS - 1);
    ck_assert_int_eq(held.held.action, UNUSUAL_NOTE);
    ck_assert_uint_eq(held.held.count, 1);
    ck_assert_int_eq(held_read(store, arena, ALICE, NOW + 7 * DAY_MS, &held), 0);
    rig_end();
    begin_known(_i, WITH(HOLD, "guard.mode=observe"));
    verdict = send("4one", ABROAD, 9, "stranger", NOW);
    ck_assert(unusual_is(&verdict.unusual) && !verdict_waits(&verdict));
    struct held_mailbox list[3];
    struct store_page page = {.max = 3};
    ck_assert_int_eq(held_list(store, arena, "", NOW, list, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_str_eq(list[0].mailbox, ALICE);
    ck_assert_uint_eq(list[0].held.unusual.new_recipients, 9);
}
END_TEST

/* The mode is another one again: what waits goes on waiting, and is answered. */
START_TEST(test_mode_changed)
{
    static const char *const modes[] = {"unusual.mode=note", "unusual.mode=off"};
    for (size_t i = 0; i < countof(modes); i++) {
        begin_known(_i, WITH(HOLD));
        send("4one", ABROAD, 4, "stranger", NOW);
        rig_reload(WITH("unusual.new_recipients=3", "unusual.factor=1", modes[i]));
        struct verdict verdict = send("4two", ABROAD, 4, "other", NOW + 1);
        ck_assert(!verdict_waits(&verdict));
        struct held_mailbox held = listed(NOW + 2);
        ck_assert_int_eq(held.held.action, UNUSUAL_HOLD);
        ck_assert_uint_eq(held.held.listed, 1);
        ck_assert_int_eq(answer(&held, i == 0 ? HELD_WAS_USER : HELD_WAS_OTHER, NOW + 3), 1);
        ck_assert_int_eq(held_read(store, arena, ALICE, NOW + 4, &held), 0);
        rig_end();
    }
    rig_begin(_i, WITH(HOLD));
}
END_TEST

/* More than are listed are counted. */
START_TEST(test_many)
{
    begin_known(_i, WITH(HOLD, "limits.smtp.messages_per_day=off", "limits.smtp.messages_per_hour=off",
                         "limits.smtp.off_domain_per_day=off"));
    send("4one", ABROAD, 4, "stranger", NOW);
    for (int i = 1; i <= HELD_LISTED_MAX; i++)
        send(arena_printf(arena, "4q%d", i), ABROAD, 1, "other", NOW + i);
    struct held_mailbox held = listed(NOW + HOUR_MS);
    ck_assert_uint_eq(held.held.count, HELD_LISTED_MAX + 1);
    ck_assert_uint_eq(held.held.listed, HELD_LISTED_MAX);
    ck_assert_str_eq(held.held.messages[HELD_LISTED_MAX - 1].queue_id, "4q999");
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("guard held");
    TCase *cases = rig_case(suite, "held");
    tcase_add_loop_test(cases, test_held, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_foretold, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_tickets, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_ticket_of_another, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_ticket_after_the_answer, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_unnamed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_was_user, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_was_other, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_deferred, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_deferred_for_a_day, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_noted, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_mode_changed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
