/* What is kept of a decision for explaining it: complete, valid JSON whatever
 * the submission holds, and without any recipient. */
#include <stdio.h>
#include <string.h>

#include "base/decision.h"
#include "store/adjustments.h"
#include "store/audit.h"
#include "store/records.h"
#include "tests/unit/guard/guard_rig.h"

static struct record record_of(const struct verdict *verdict, int64_t now_ms)
{
    struct record record;
    ck_assert_int_eq(store_record(store, arena, verdict->decision, now_ms, &record), 1);
    return record;
}

static void check(struct json_object *facts, const char *path, const char *value)
{
    ck_assert_msg(strcmp(rig_text(facts, path), value) == 0, "%s is %s", path,
                  rig_text(facts, path));
}

START_TEST(test_facts)
{
    rig_begin(_i, DEFAULTS);
    struct submission submission = rig_submission("<1@webmail.example.test>");
    struct problem problem;
    ck_assert_int_eq(submission_set_from(&submission, "Alice <alias@example.test>", 26, &problem),
                     1);
    rig_add(&submission, FIELD_TO, "Zoe <zoe@x.test>, yan@x.test, bob@example.test, yan@x.test");
    rig_add(&submission, FIELD_CC, "zoe@x.test");
    rig_add(&submission, FIELD_BCC, "max@y.test");
    struct verdict verdict = rig_judge(&submission, NOW);
    struct json_object *facts = rig_facts(verdict.decision, NOW);
    static const char *const members[][2] = {
        {"channel", "webmail"},
        {"mailbox", ALICE},
        {"ip", "192.0.2.1"},
        {"id", "<1@webmail.example.test>"},
        {"from", "alias@example.test"},
        {"to", "3"},
        {"cc", "1"},
        {"bcc", "1"},
        {"recipients", "5"},
        {"off_domain", "3"},
        {"most_in_domain", "2"},
        {"most_chars_in_domain", "52"},
        {"limits", "{\"recipients_per_message\":300,\"recipients_per_field\":100,"
                   "\"recipients_per_domain\":50,\"header_chars_per_domain\":2000,"
                   "\"messages_per_day\":600,\"off_domain_per_day\":1000,"
                   "\"off_domain_per_hour_per_ip\":500,\"messages_per_hour\":null,"
                   "\"messages_per_hour_per_domain\":null,"
                   "\"messages_per_day_per_recipient\":null}"},
        {"mode", "enforce"},
    };
    for (size_t i = 0; i < countof(members); i++)
        check(facts, members[i][0], members[i][1]);
    ck_assert_int_eq(json_object_object_length(facts), (int)countof(members));
    json_object_put(facts);
}
END_TEST

/* Every local part of a recipient is looked for in all that is kept. */
START_TEST(test_no_recipient)
{
    rig_begin(_i, WITH("limits.webmail.recipients_per_message=3",
                       "limits.webmail.header_chars_per_domain=20"));
    struct submission submission = rig_submission("x");
    rig_add(&submission, FIELD_TO, "Quentin <quentin@x.test>, rosalind@y.test");
    rig_add(&submission, FIELD_CC, "\"Un Named\"@z.test");
    rig_add(&submission, FIELD_BCC, "Xaver <xaver@x.test>, wendelin@example.test");
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_MESSAGE);
    struct record record = record_of(&verdict, NOW);
    static const char *const locals[] = {"quentin", "rosalind", "un named", "xaver", "wendelin"};
    for (size_t i = 0; i < countof(locals); i++)
        ck_assert_msg(memmem(record.facts, record.facts_length, locals[i], strlen(locals[i])) == NULL,
                      "%s", locals[i]);
    ck_assert_ptr_nonnull(memmem(record.facts, record.facts_length, "x.test", 6));
}
END_TEST

START_TEST(test_broken_rules)
{
    rig_begin(_i, WITH("limits.webmail.recipients_per_message=3",
                       "limits.webmail.recipients_per_field=3",
                       "limits.webmail.recipients_per_domain=2"));
    struct submission submission = rig_submission("x");
    rig_add(&submission, FIELD_CC, "a@x.test, b@x.test, c@x.test, d@y.test");
    struct verdict verdict = rig_judge(&submission, NOW);
    struct json_object *facts = rig_facts(verdict.decision, NOW);
    check(facts, "broken",
          "[{\"rule\":\"recipients_per_message\",\"count\":4},"
          "{\"rule\":\"recipients_per_field\",\"count\":4,\"field\":\"cc\"},"
          "{\"rule\":\"recipients_per_domain\",\"count\":3,\"domain\":\"x.test\"}]");
    json_object_put(facts);
    submission = rig_message("y", 1);
    verdict = rig_judge(&submission, NOW);
    facts = rig_facts(verdict.decision, NOW);
    ck_assert(!rig_has(facts, "broken"));
    ck_assert(!rig_has(facts, "adjusted"));
    json_object_put(facts);
}
END_TEST

static void adjust(const char *subject, enum rule rule, enum adjust_kind kind, int32_t value)
{
    struct adjustment adjustment = {
        .rule = rule, .kind = kind, .value = value, .until_ms = UNTIL_LIFTED};
    struct action action = action_at(NOW);
    snprintf(adjustment.subject, sizeof adjustment.subject, "%s", subject);
    ck_assert_int_eq(store_adjust(store, &adjustment, &action), 1);
}

/* The limits in force then, and where they come from. */
START_TEST(test_limits_and_their_sources)
{
    rig_begin(_i, WITH("limits.webmail.recipients_per_field=off"));
    adjust(ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 50);
    adjust("@example.test", RULE_RECIPIENTS_PER_DOMAIN, ADJUST_LIMIT, LIMIT_OFF);
    adjust("@example.test", RULE_OFF_DOMAIN_PER_DAY, ADJUST_EXTRA, 200);
    struct submission submission = rig_message("x", 60);
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    rig_reload(DEFAULTS); /* later changes leave the record as it is */
    struct json_object *facts = rig_facts(verdict.decision, NOW);
    check(facts, "limits.messages_per_day", "50");
    check(facts, "limits.recipients_per_domain", "null");
    check(facts, "limits.recipients_per_field", "null");
    check(facts, "limits.off_domain_per_day", "1200");
    check(facts, "adjusted",
          "{\"recipients_per_domain\":{\"limit_of\":\"domain\",\"extra\":0},"
          "\"messages_per_day\":{\"limit_of\":\"mailbox\",\"extra\":0},"
          "\"off_domain_per_day\":{\"limit_of\":\"settings\",\"extra\":200}}");
    json_object_put(facts);
}
END_TEST

static struct json_object *facts_with_domains(int domains)
{
    struct submission submission = rig_submission(arena_printf(arena, "%d", domains));
    for (int i = 0; i < domains; i++)
        rig_add(&submission, FIELD_TO, arena_printf(arena, "r@d%02d.test", i));
    struct verdict verdict = rig_judge(&submission, NOW);
    return rig_facts(verdict.decision, NOW);
}

START_TEST(test_many_domains)
{
    rig_begin(_i, WITH("limits.webmail.recipients_per_message=0"));
    struct json_object *facts = facts_with_domains(20);
    ck_assert_uint_eq(json_object_array_length(rig_member(facts, "domains")), 20);
    ck_assert(!rig_has(facts, "more_domains"));
    json_object_put(facts);
    facts = facts_with_domains(90);
    ck_assert_uint_eq(json_object_array_length(rig_member(facts, "domains")), 20);
    check(facts, "domains.19.0", "d19.test");
    check(facts, "more_domains", "70");
    check(facts, "to", "90");
    json_object_put(facts);
}
END_TEST

/* A domain each that is too much, more than a record names: the rest is counted. */
START_TEST(test_many_broken)
{
    rig_begin(_i, WITH("limits.webmail.recipients_per_domain=0"));
    struct json_object *facts = facts_with_domains(90);
    ck_assert_uint_eq(json_object_array_length(rig_member(facts, "broken")), 20);
    check(facts, "more_broken", "70");
    json_object_put(facts);
}
END_TEST

/* What an id may hold, and what may be absent. */
START_TEST(test_hostile_and_absent)
{
    static const char id[] = "\"},{\\\t\xC3\xBC\xE2\x80\xA8</script>";
    rig_begin(_i, WITH("guard.mode=observe"));
    struct submission submission = rig_message("x", 1);
    struct problem problem;
    submission.id = id;
    submission.ip = NULL;
    ck_assert_int_eq(submission_set_from(&submission, "<>", 2, &problem), 1);
    struct verdict verdict = rig_judge(&submission, NOW);
    struct json_object *facts = rig_facts(verdict.decision, NOW);
    check(facts, "id", id);
    check(facts, "ip", "null");
    check(facts, "from", "null");
    check(facts, "mode", "observe");
    json_object_put(facts);
}
END_TEST

/* Beside the facts: the outcome, the moment, and the windows as they were found. */
START_TEST(test_outcome_and_windows)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=2", "log.keep_refused=2h",
                       "log.keep_admitted=36h"));
    rig_send("a", 1, NOW, 0);
    struct submission submission = rig_message("x", 3);
    struct verdict admitted = rig_judge(&submission, NOW + 1);
    struct record record = record_of(&admitted, NOW + 1);
    ck_assert_uint_eq(record.decision, admitted.decision);
    ck_assert_int_eq(record.at_ms, NOW + 1);
    ck_assert_int_eq(record.outcome, OUTCOME_ADMITTED);
    ck_assert_uint_eq(record.window_count, 3);
    ck_assert_int_eq(record.windows[1].rule, RULE_OFF_DOMAIN_PER_DAY);
    ck_assert_uint_eq(record.windows[1].used_before, 1);
    submission.id = "y";
    struct verdict refused = rig_judge(&submission, NOW + 2);
    record = record_of(&refused, NOW + 2);
    ck_assert_int_eq(record.outcome, OUTCOME_SUSPENDED);
    ck_assert_uint_eq(record.windows[0].used_before, 2);
    ck_assert_uint_gt(refused.decision, admitted.decision);
    ck_assert_int_eq(
        store_record(store, arena, refused.decision, NOW + 2 + 2 * HOUR_MS - 1, &record), 1);
    ck_assert_int_eq(store_record(store, arena, refused.decision, NOW + 2 + 2 * HOUR_MS, &record),
                     0);
    ck_assert_int_eq(
        store_record(store, arena, admitted.decision, NOW + 1 + 36 * HOUR_MS - 1, &record), 1);
    ck_assert_int_eq(
        store_record(store, arena, admitted.decision, NOW + 1 + 36 * HOUR_MS, &record), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard record");
    TCase *cases = rig_case(suite, "record");
    tcase_add_loop_test(cases, test_facts, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_no_recipient, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_broken_rules, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_limits_and_their_sources, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many_domains, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many_broken, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hostile_and_absent, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_outcome_and_windows, 0, BACKEND_KINDS);
    return backends_run(suite);
}
