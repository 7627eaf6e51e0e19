/* What a webmail may do with a refused message: park it until a moment, or split it. */
#include "tests/unit/guard/guard_rig.h"

static void suspend_for(enum cause cause, int64_t duration_ms, int64_t now_ms)
{
    const struct durations durations = {1, {duration_ms}};
    const struct action action = {now_ms, "ada", "for the test"};
    struct suspension suspension;
    ck_assert_int_eq(store_suspend(store, ALICE, cause, &durations, &action, &suspension), 1);
}

static struct verdict ask_one(int64_t now_ms)
{
    struct submission submission = rig_message("x", 1);
    return rig_ask(&submission, now_ms);
}

START_TEST(a_limit_over_time_is_waited_for)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_hour=2"));
    rig_send("a", 2, NOW, 0);
    struct submission submission = rig_message("x", 1);
    struct verdict verdict = rig_judge(&submission, NOW + 1);
    ck_assert_int_eq(verdict.park_at_ms, NOW + HOUR_MS);
    ck_assert_int_eq(verdict.can_split, 0);
    freed_by(text_free) struct text out = {0};
    struct json_writer writer = json_write_text(&out);
    verdict_write(&writer, &verdict);
    rig_check_has(text_string(&out), "\"park_at\":\"2025-11-22T06:40:00Z\"");
    rig_check_has_not(text_string(&out), "can_split");
    ck_assert_int_eq(ask_one(NOW + HOUR_MS).park_at_ms, 0);
    rig_reload(WITH("limits.webmail.messages_per_hour=2", "parked.per_mailbox=0"));
    ck_assert_int_eq(ask_one(NOW + 1).park_at_ms, 0);
}
END_TEST

START_TEST(what_has_no_end_is_not_waited_for)
{
    rig_begin(_i, WITH("limits.webmail.off_domain_per_day=5"));
    struct submission large = rig_message("x", 6);
    ck_assert_int_eq(rig_judge(&large, NOW).park_at_ms, 0);
    suspend_for(CAUSE_TERMS, UNTIL_LIFTED, NOW);
    ck_assert_int_eq(ask_one(NOW).park_at_ms, 0);
}
END_TEST

START_TEST(a_suspension_is_waited_for_and_a_lock_is_not)
{
    rig_begin(_i, DEFAULTS);
    suspend_for(CAUSE_VOLUME, DAY_MS, NOW);
    ck_assert_int_eq(ask_one(NOW).park_at_ms, NOW + DAY_MS);
    suspend_for(CAUSE_TERMS, 21 * DAY_MS + 1, NOW);
    ck_assert_int_eq(ask_one(NOW).park_at_ms, 0);
    ck_assert_int_eq(ask_one(NOW + 1).park_at_ms, NOW + 21 * DAY_MS + 1);
    suspend_for(CAUSE_BREACHED, HOUR_MS, NOW + 1);
    ck_assert_int_eq(ask_one(NOW + 1).park_at_ms, 0);
    ck_assert_int_eq(ask_one(NOW + 1 + HOUR_MS).park_at_ms, NOW + 21 * DAY_MS + 1);
    suspend_for(CAUSE_COMPROMISED, HOUR_MS, NOW + HOUR_MS + 2);
    ck_assert_int_eq(ask_one(NOW + HOUR_MS + 2).park_at_ms, 0);
}
END_TEST

START_TEST(a_block_is_waited_for)
{
    rig_begin(_i, DEFAULTS);
    rig_block("example.test", FAILURE_HINT_LIST);
    ck_assert_int_eq(ask_one(NOW + 1).park_at_ms, NOW + HOUR_MS);
}
END_TEST

static int32_t splits(int recipients, const char *domain, int64_t now_ms)
{
    struct submission submission = rig_submission("x");
    rig_add_many(&submission, recipients, "r", domain);
    return rig_ask(&submission, now_ms).can_split;
}

/* Into no more than the day has messages left, and only when all of it fits into each window. */
START_TEST(too_many_recipients_are_split)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=10",
                       "limits.webmail.off_domain_per_day=100"));
    ck_assert_int_eq(splits(50, "x.test", NOW), 0);
    ck_assert_int_eq(splits(51, "x.test", NOW), 10);
    ck_assert_int_eq(splits(100, "x.test", NOW), 10);
    ck_assert_int_eq(splits(101, "x.test", NOW), 0);
    ck_assert_int_eq(splits(301, "example.test", NOW), 10);
    rig_send("a", 8, NOW, 0);
    ck_assert_int_eq(splits(92, "x.test", NOW), 2);
    ck_assert_int_eq(splits(93, "x.test", NOW), 0);
    rig_send("b", 1, NOW, 0);
    ck_assert_int_eq(splits(51, "x.test", NOW), 0); /* one message does not help */
}
END_TEST

START_TEST(what_else_is_wrong_is_not_split)
{
    rig_begin(_i, WITH("limits.webmail.off_domain_per_day=off",
                       "limits.webmail.messages_per_day=off",
                       "limits.webmail.off_domain_per_hour_per_ip=off"));
    ck_assert_int_eq(splits(1001, "x.test", NOW), 50);
    struct submission submission = rig_submission("x");
    rig_add_many(&submission, 51, "r", "x.test");
    rig_add(&submission, FIELD_TO, "a@localhost");
    struct verdict verdict = rig_ask(&submission, NOW);
    ck_assert_str_eq(rig_reasons(&verdict), "recipients_per_domain recipient_blocked");
    ck_assert_int_eq(verdict.can_split, 0);
    suspend_for(CAUSE_VOLUME, DAY_MS, NOW);
    ck_assert_int_eq(splits(51, "x.test", NOW), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard later");
    TCase *cases = rig_case(suite, "later");
    const TTest *const tests[] = {a_limit_over_time_is_waited_for,
                                  what_has_no_end_is_not_waited_for,
                                  a_suspension_is_waited_for_and_a_lock_is_not,
                                  a_block_is_waited_for, too_many_recipients_are_split,
                                  what_else_is_wrong_is_not_split};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    return backends_run(suite);
}
