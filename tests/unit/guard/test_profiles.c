/* The profiles that are installed: what each does to a message, on every backend. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "rules/failure_window.h"
#include "tests/unit/guard/guard_rig.h"

/* A guard with a file of settings that includes the profile and says no more. */
static void begin(int backend, const char *profile)
{
    rig_begin(backend, DEFAULTS);
    const char *path = arena_printf(arena, "%s/sendguard.conf", folder);
    freed_by(free_string) char *tree = realpath(".", NULL);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "include = %s/contrib/profiles/%s.conf\n", tree, profile);
    fclose(file);
    struct settings *settings = NULL;
    struct problem problem = {0};
    ck_assert_msg(settings_read(path, NULL, 0, &settings, &problem) == 1, "%s: %s", problem.where,
                  problem.text);
    guard_reload(guard, settings, rig_catalogue());
}

START_TEST(test_webmail)
{
    begin(_i, "webmail");
    struct submission submission = rig_message("50", 50);
    ck_assert_int_eq(rig_judge(&submission, NOW).kind, VERDICT_ADMIT);
    submission = rig_message("51", 51);
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_str_eq(rig_reasons(&verdict), "recipients_per_domain");
    ck_assert_int_eq(rig_window(&verdict, RULE_MESSAGES_PER_DAY)->limit, 600);
    ck_assert_int_eq(rig_window(&verdict, RULE_OFF_DOMAIN_PER_DAY)->limit, 1000);
    ck_assert_int_eq(rig_window(&verdict, RULE_OFF_DOMAIN_PER_HOUR_PER_IP)->limit, 500);
}
END_TEST

/* 300 an hour, be they of one mailbox or of two, and as many in the next. */
START_TEST(test_relay)
{
    begin(_i, "relay");
    rig_send_from(BOB, "192.0.2.2", 1, NOW);
    rig_send("a", 299, NOW, 1);
    struct submission submission = rig_message("over", 1);
    struct verdict verdict = rig_judge(&submission, NOW + 299);
    ck_assert_str_eq(rig_reasons(&verdict), "messages_per_hour_per_domain");
    ck_assert_ptr_null(rig_window(&verdict, RULE_MESSAGES_PER_DAY));
    ck_assert_int_eq(rig_judge(&submission, NOW + HOUR_MS + 299).kind, VERDICT_ADMIT);
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(guard);
    ck_assert_int_eq(snapshot_settings(snapshot)->spf_mode, SPF_MODE_BLOCK);
    ck_assert_str_eq(settings_block_reason(snapshot_settings(snapshot), "marketing"),
                     "Advertising may not be sent through this server.");
}
END_TEST

/* Five recipients of one message that failed. */
static int64_t breaks_at(const struct failure_settings *settings)
{
    struct failure_window window = {0};
    for (uint64_t i = 1; i <= 5; i++) {
        const struct failure_outcome failed = {
            .unit = i, .message = 1, .mailbox = ALICE, .site = "x.test", .first = true,
            .came = FAILURE_FAILED, .kind = FAILURE_ADDRESS_UNKNOWN, .class = 3,
            .admitted_ms = NOW, .at_ms = NOW, .read_ms = NOW};
        failure_window_take(&window, settings, &failed);
    }
    int64_t breaks = failure_window_breaks_at(&window, settings);
    failure_window_free(&window);
    return breaks;
}

START_TEST(test_failures)
{
    static const struct failure_settings defaults = FAILURE_DEFAULTS;
    begin(_i, "failures");
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(guard);
    ck_assert_int_eq(breaks_at(&snapshot_settings(snapshot)->failures), NOW);
    ck_assert_int_eq(breaks_at(&defaults), FAILURE_NEVER);
}
END_TEST

START_TEST(test_accounts)
{
    struct problem problem;
    begin(_i, "accounts");
    struct submission submission = rig_message("as another", 1);
    ck_assert_int_eq(submission_set_from(&submission, "x@y.test", 8, &problem), 1);
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_str_eq(rig_reasons(&verdict), "from_foreign");
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(guard);
    ck_assert(settings_enforces_logins(snapshot_settings(snapshot)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profiles");
    TCase *cases = rig_case(suite, "profiles");
    tcase_add_loop_test(cases, test_webmail, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_relay, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_failures, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_accounts, 0, BACKEND_KINDS);
    return backends_run(suite);
}
