/* What of the audit log and of the decisions fits a filter, and how far one page looks. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "store/audit.h"
#include "tests/unit/desk/desk_rig.h"

static struct json_object *audit_by(const struct audit_words *words, const char *before)
{
    struct audit_filter filter;
    struct problem problem = {0};
    must_come(desk_audit_filter_read(rig_desk(), words, &filter, &problem), &problem);
    return VIEW(desk_audit_found(rig_desk(), &filter, before, &made, &fault));
}

static struct json_object *decisions_by(const struct decision_words *words, const char *before)
{
    return VIEW(desk_decisions_found(rig_desk(), words, before, NOW + DAY_MS / 2, &made, &fault));
}

static void note(const char *subject, const char *by, const char *text, int64_t at_ms)
{
    const struct action action = {at_ms, by, text};
    ck_assert_int_eq(store_write_audit(store, &(struct audited){"note", subject, "{}", &action}),
                     1);
}

START_TEST(audit_filters)
{
    static const struct {
        struct audit_words words;
        size_t found;
    } cases[] = {
        {{0}, 4},
        {{.subject = "Alice@EXAMPLE.test"}, 3},
        {{.by = "ada"}, 3},
        {{.by = "ad"}, 0},
        {{.action = "suspend"}, 1},
        {{.text = "CHOIR"}, 2},
        {{.text = "bob@"}, 1},
        {{.text = "batch"}, 0},
        {{.subject = ALICE, .by = "ada", .text = "choir"}, 1},
        {{.from = "2025-11-22T05:41:00Z"}, 3},
        {{.until = "2025-11-22T05:41:00Z"}, 1},
        {{.from = "2025-11-22T05:41:00Z", .until = "2025-11-22T07:42:00+01:00"}, 3},
        {{.from = "2025-11-22T06:41:00+01:00", .until = "2025-11-22T05:41:01Z"}, 1},
        {{.subject = "", .by = "", .action = "", .text = "", .from = "", .until = ""}, 4},
    };
    struct audit_filter filter;
    struct problem problem;
    rig_begin(_i, WITH(SMALL));
    note(ALICE, "ada", "the choir festival", NOW);
    note(ALICE, "sam", "they called", NOW + MINUTE_MS);
    note(BOB, "ada", "of the choir too", NOW + 2 * MINUTE_MS);
    do_action(&admin, "{'action':'suspend','subject':'" ALICE "','note':'n'}", NOW + 3 * MINUTE_MS);
    for (size_t i = 0; i < countof(cases); i++) {
        struct json_object *view = audit_by(&cases[i].words, NULL);
        ck_assert_msg(length_of(view, "actions") == cases[i].found, "%zu: %s", i,
                      json_object_to_json_string(view));
        check_member(view, "next", "null");
        check_member(view, "partial", "false");
    }
    ck_assert_int_eq(desk_audit_filter_read(rig_desk(), &(struct audit_words){.from = "now"},
                                            &filter, &problem), 0);
    ck_assert_str_eq(problem.where, "from");
}
END_TEST

/* A page looks at 5,000 entries; the next one goes on behind them. */
START_TEST(audit_far_back)
{
    rig_begin(_i, WITH(SMALL));
    note(BOB, "ada", "the first of all", NOW);
    for (int i = 0; i < 5000; i++)
        note(ALICE, "ada", "one of many", NOW + i);
    struct json_object *view = audit_by(&(struct audit_words){.text = "first of all"}, NULL);
    ck_assert_uint_eq(length_of(view, "actions"), 0);
    check_member(view, "partial", "true");
    view = audit_by(&(struct audit_words){.text = "first of all"}, rig_text(view, "next"));
    check_member(view, "actions.0.subject", BOB);
    check_member(view, "partial", "false");
    check_member(view, "next", "null");
    view = audit_by(&(struct audit_words){.subject = BOB}, NULL); /* by the index */
    ck_assert_uint_eq(length_of(view, "actions"), 1);
    view = audit_by(&(struct audit_words){.text = "many"}, NULL);
    ck_assert_uint_eq(length_of(view, "actions"), DESK_PAGE);
    check_member(view, "partial", "false");
}
END_TEST

START_TEST(decision_filters)
{
    static const struct {
        struct decision_words words;
        size_t found;
    } cases[] = {
        {{0}, 8},
        {{.mailbox = ALICE}, 6},
        {{.outcome = "admitted"}, 6},
        {{.outcome = "suspended"}, 1},
        {{.outcome = "rejected"}, 1},
        {{.rule = "recipients_per_domain"}, 1},
        {{.rule = "messages_per_day"}, 1},
        {{.channel = "webmail"}, 8},
        {{.channel = "smtp"}, 0},
        {{.network = "203.0.113.7"}, 6},
        {{.network = "198.51.100.0/24"}, 2},
        {{.network = "198.51.100.0/24", .outcome = "rejected"}, 1},
        {{.from = "2025-11-22T06:40:00Z"}, 2},
        {{.until = "2025-11-22T06:40:00Z"}, 6},
        {{.from = "2025-11-22T06:40:00Z", .until = "2025-11-22T06:40:00Z"}, 0},
    };
    rig_begin(_i, WITH(SMALL));
    for (int i = 0; i < 6; i++)
        rig_send_from(ALICE, "203.0.113.7", 1, NOW + i);
    rig_send_from(BOB, "198.51.100.9", 1, NOW + HOUR_MS);
    rig_send_from(BOB, "198.51.100.9", 60, NOW + HOUR_MS);
    for (size_t i = 0; i < countof(cases); i++) {
        struct json_object *view = decisions_by(&cases[i].words, NULL);
        ck_assert_msg(length_of(view, "decisions") == cases[i].found, "%zu: %s", i,
                      json_object_to_json_string(view));
        check_member(view, "older", "null");
        check_member(view, "partial", "false");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk filters");
    TCase *cases = desk_case(suite, "both backends");
    const TTest *const tests[] = {audit_filters, audit_far_back, decision_filters};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    return backends_run(suite);
}
