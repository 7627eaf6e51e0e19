/* Shadow rules are counted beside the judgement, refuse nothing, and change nothing that anybody but
 * staff is told. */
#include <string.h>

#include "guard/recorder.h"
#include "guard/shadow.h"
#include "tests/unit/guard/guard_rig.h"

static const char *shadow_of(const char *id, int64_t now_ms)
{
    struct submission submission = rig_message(id, 1);
    struct verdict verdict = rig_judge(&submission, now_ms);
    return verdict_shadow(&verdict);
}

/* What the shadow rule would refuse is admitted as if there were none. */
START_TEST(test_refuses_nothing)
{
    rig_begin(_i, WITH("shadow.messages_per_day=1", "limits.webmail.messages_per_day=3",
                       "on_limit.messages_per_day=refuse"));
    ck_assert_ptr_null(shadow_of("a", NOW));
    struct submission submission = rig_message("b", 1);
    struct verdict verdict = rig_judge(&submission, NOW + 1);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert(!verdict.observed);
    ck_assert_uint_eq(verdict.reason_count, 0);
    ck_assert_str_eq(verdict_shadow(&verdict), "messages_per_day");
    ck_assert(!verdict.shadow_over[RULE_OFF_DOMAIN_PER_DAY - RULE_FIRST_OVER_TIME]);
    ck_assert_int_eq(rig_window(&verdict, RULE_MESSAGES_PER_DAY)->limit, 3);
    ck_assert_ptr_null(shadow_of("b", NOW + 2)); /* counted before */
    ck_assert_str_eq(shadow_of("c", NOW + 3), "messages_per_day");
    submission = rig_message("d", 1);
    verdict = rig_judge(&submission, NOW + 4);
    ck_assert_int_eq(verdict.kind, VERDICT_OVER_TIME); /* the real one refuses it */
    ck_assert_ptr_null(verdict_shadow(&verdict));
    ck_assert_ptr_null(shadow_of("e", NOW + DAY_MS + 3)); /* all have left the window */
}
END_TEST

/* Where the real rule is off the window is looked at, and told to nobody. */
START_TEST(test_beside_no_limit)
{
    rig_begin(_i, WITH("shadow.messages_per_hour=1", "shadow.off_domain_per_day=2"));
    struct submission submission = rig_message("a", 2);
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_ptr_null(verdict_shadow(&verdict));
    ck_assert_uint_eq(verdict.window_count, 3);
    submission = rig_message("b", 1);
    verdict = rig_judge(&submission, NOW + 1);
    ck_assert_uint_eq(verdict.window_count, 3);
    ck_assert_ptr_null(rig_window(&verdict, RULE_MESSAGES_PER_HOUR));
    ck_assert(verdict.shadow_over[RULE_MESSAGES_PER_HOUR - RULE_FIRST_OVER_TIME]);
    ck_assert(verdict.shadow_over[RULE_OFF_DOMAIN_PER_DAY - RULE_FIRST_OVER_TIME]);
    submission = rig_message("c", 1);
    verdict = rig_judge(&submission, NOW + HOUR_MS + 1);
    ck_assert(!verdict.shadow_over[RULE_MESSAGES_PER_HOUR - RULE_FIRST_OVER_TIME]);
    ck_assert(verdict.shadow_over[RULE_OFF_DOMAIN_PER_DAY - RULE_FIRST_OVER_TIME]);
}
END_TEST

/* It would take the place of the settings' limit: where that does not hold, it would not either. */
START_TEST(test_whose)
{
    rig_begin(_i, WITH("shadow.messages_per_day=0", "exempt.mailbox=" BOB));
    static const struct action action = {NOW, "anna", "agreed"};
    struct adjustment extra = {.subject = ALICE, .rule = RULE_MESSAGES_PER_DAY,
                               .kind = ADJUST_EXTRA, .value = 1, .until_ms = UNTIL_LIFTED};
    struct adjustment limit = {.subject = ALICE, .rule = RULE_MESSAGES_PER_DAY,
                               .kind = ADJUST_LIMIT, .value = 600, .until_ms = UNTIL_LIFTED};
    struct submission submission = rig_message("of bob", 1);
    rig_mailbox(&submission, BOB);
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_ptr_null(verdict_shadow(&verdict)); /* exempt */
    submission = rig_message("forwarded", 1);
    submission.channel = CHANNEL_FORWARDING;
    verdict = rig_judge(&submission, NOW);
    ck_assert_ptr_null(verdict_shadow(&verdict));
    ck_assert_int_eq(store_adjust(store, &extra, &action), 1);
    guard_outdate_limits(guard);
    ck_assert_ptr_null(shadow_of("a", NOW));
    ck_assert_ptr_nonnull(shadow_of("b", NOW));
    ck_assert_int_eq(store_adjust(store, &limit, &action), 1);
    guard_outdate_limits(guard);
    ck_assert_ptr_null(shadow_of("c", NOW));
}
END_TEST

START_TEST(test_counted)
{
    rig_begin(_i, WITH("shadow.messages_per_day=0"));
    struct recorder *recorder = recorder_start(store);
    struct submission submission = rig_message("a", 1);
    struct verdict verdict = rig_ask(&submission, NOW);
    recorder_judged(recorder, &verdict, 1, 1);
    verdict = rig_judge(&submission, NOW);
    recorder_judged(recorder, &verdict, 1, 1);
    ck_assert_int_eq(recorder_flush(recorder, NOW), 1);
    recorder_stop(&recorder);
    struct counter counters[64];
    struct store_page page = {.max = countof(counters)};
    ck_assert_int_eq(store_counters(store, "shadow", counters, &page), 1);
    ck_assert_uint_ge(page.count, 1);
    ck_assert_str_eq(counters[0].name, "shadow channel=webmail rule=messages_per_day");
    ck_assert_uint_eq(counters[0].value, 1); /* the dry run is none */
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("shadow");
    TCase *cases = rig_case(suite, "shadow rules");
    tcase_add_loop_test(cases, test_refuses_nothing, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_beside_no_limit, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_whose, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_counted, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
