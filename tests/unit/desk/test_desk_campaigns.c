/* The suspended by what they have in common, and the lift of many at once. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "store/suspensions.h"
#include "tests/unit/desk/desk_rig.h"

static struct json_object *found_by(const struct suspended_filter *filter, int64_t now_ms)
{
    return VIEW(desk_campaigns(rig_desk(), filter, now_ms, &made, &fault));
}

static void suspend(const char *mailbox, const char *cause, int64_t at_ms)
{
    do_action(&admin, arena_printf(arena, "{'action':'suspend','subject':'%s','cause':'%s',"
                                          "'for':'7d','note':'n'}", mailbox, cause), at_ms);
}

/* Two of one campaign, which the guard stopped, and two that staff did, later. */
static void suspend_four(int kind)
{
    rig_begin(kind, WITH(SMALL));
    for (int i = 0; i < 6; i++) {
        rig_send_from("user1@example.test", "203.0.113.7", 1, NOW + i);
        rig_send_from("user22@example.test", "203.0.113.7", 1, NOW + i);
    }
    rig_send_from("carol@example.test", "203.0.113.99", 1, NOW);
    suspend("carol@example.test", "terms", NOW + 3 * HOUR_MS);
    suspend("dave@x.test", "terms", NOW + 3 * HOUR_MS);
}

/* ---- which, and what they have in common ------------------------------------------------------- */

START_TEST(groups)
{
    const int64_t now = NOW + 4 * HOUR_MS;
    suspend_four(_i);
    struct json_object *view = found_by(&(struct suspended_filter){0}, now);
    ck_assert_uint_eq(length_of(view, "suspended"), 4);
    check_member(view, "suspended.0.mailbox", "carol@example.test");
    check_member(view, "suspended.0.network", "203.0.113.99");
    check_member(view, "suspended.1.mailbox", "dave@x.test");
    check_member(view, "suspended.1.network", "null");
    check_member(view, "suspended.2.network", "203.0.113.7");
    check_member(view, "more", "false");
    check_member(view, "networks", "[{'network':'203.0.113.7','count':2}]");
    check_member(view, "names", "[{'name':'user#@example.test','count':2}]");
    check_member(view, "times", "[{'since':'2025-11-22T05:00:00Z','count':2},"
                                "{'since':'2025-11-22T08:00:00Z','count':2}]");
    check_member(view, "causes", "[{'cause':'terms','count':2},{'cause':'volume','count':2}]");
    check_member(view, "bys", "[{'by':'ada','count':2},{'by':'guard','count':2}]");
}
END_TEST

START_TEST(filters)
{
    static const struct {
        struct suspended_filter filter;
        size_t found;
    } cases[] = {
        {{.cause = "volume"}, 2},
        {{.cause = "staff"}, 0},
        {{.by = "ada"}, 2},
        {{.by = "ad"}, 0},
        {{.network = "203.0.113.7"}, 2},
        {{.network = "203.0.113."}, 3},
        {{.network = "203.0.113.0/24", .cause = "terms"}, 1},
        {{.network = "2001:db8::/32"}, 0},
        {{.name = "user#@example.test"}, 2},
        {{.name = "user"}, 2},
        {{.name = "x.test"}, 1},
        {{.name = "r#@example.test"}, 0},
        {{.last = "2h"}, 2},
        {{.last = "1d"}, 4},
        {{.began = "2025-11-22T05:00:00Z"}, 2},
        {{.began = "2025-11-22T08:00:00Z", .last = "1h"}, 0},
        {{.cause = "", .by = "", .network = "", .name = "", .last = "", .began = ""}, 4},
    };
    suspend_four(_i);
    for (size_t i = 0; i < countof(cases); i++) {
        struct json_object *view = found_by(&cases[i].filter, NOW + 4 * HOUR_MS + 2 * MINUTE_MS);
        ck_assert_msg(length_of(view, "suspended") == cases[i].found, "%zu: %s", i,
                      json_object_to_json_string(view));
    }
}
END_TEST

START_TEST(bounds)
{
    struct suspension made;
    const struct durations week = {1, {7 * DAY_MS}};
    rig_begin(_i, WITH(SMALL));
    for (int i = 0; i < 520; i++)
        ck_assert_int_eq(store_suspend(store, arena_printf(arena, "u%d@example.test", i),
                                       CAUSE_STAFF, &week, &(struct action){NOW + i, "ada", "n"},
                                       &made), 1);
    struct json_object *view = found_by(&(struct suspended_filter){0}, NOW + 1000);
    ck_assert_uint_eq(length_of(view, "suspended"), 500);
    check_member(view, "suspended.0.mailbox", "u519@example.test");
    check_member(view, "more", "true");
    check_member(view, "names", "[{'name':'u#@example.test','count':500}]");
    view = found_by(&(struct suspended_filter){.name = "u51"}, NOW + 1000);
    ck_assert_uint_eq(length_of(view, "suspended"), 11);
    check_member(view, "more", "false");
}
END_TEST

/* ---- lifts --------------------------------------------------------------------------------------- */

static struct json_object *lift(const char *words, bool preview, int64_t now_ms)
{
    return VIEW(desk_lift_many(rig_desk(), &supporter, words_of(words), preview, now_ms, &made,
                               &fault));
}

static void refuse(const struct person *person, const char *words, int status, const char *where)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    ck_assert_int_eq(desk_lift_many(rig_desk(), person, words_of(words), false, NOW, &view,
                                    &problem), 0);
    ck_assert_msg(problem.status == status && strcmp(problem.where, where) == 0, "%d %s: %s",
                  problem.status, problem.where, problem.text);
}

START_TEST(lift_many)
{
    static const char all[] =
        "{'suspensions':['user1@example.test volume','user22@example.test volume',"
        "'Carol@EXAMPLE.test','dave@x.test terms','dave@x.test staff','erin@x.test'],"
        "'note':'an outage'}";
    const int64_t now = NOW + 4 * HOUR_MS;
    suspend_four(_i);
    suspend("dave@x.test", "staff", NOW + 3 * HOUR_MS);
    do_action(&admin, "{'action':'reset','subject':'user1@example.test','note':'n'}", now);
    struct json_object *view = lift(all, true, now);
    check_member(view, "done", "false");
    check_member(view, "batch", "null");
    check_member(view, "lifted", "4");
    check_member(view, "ok", "3");
    check_member(view, "full", "1");
    check_member(view, "not_lifted", "1");
    check_member(view, "mailboxes.1",
                 "{'mailbox':'dave@x.test','causes':[{'cause':'terms'},{'cause':'staff'}],"
                 "'why':null,'state':'ok'}"); /* both together */
    check_member(view, "mailboxes.2",
                 "{'mailbox':'erin@x.test','causes':[],'why':'gone','state':null}");
    check_member(view, "mailboxes.4.state", "full");
    ck_assert_uint_eq(length_of(found_by(&(struct suspended_filter){0}, now), "suspended"), 5);

    view = lift(all, false, now);
    check_member(view, "done", "true");
    check_member(view, "lifted", "4");
    check_member(view, "full", "1");
    const char *batch = rig_text(view, "batch");
    ck_assert_uint_eq(length_of(found_by(&(struct suspended_filter){0}, now), "suspended"), 0);
    struct json_object *log = VIEW(desk_audit(rig_desk(), NULL, NULL, &made, &fault));
    for (int i = 0; i < 5; i++) {
        check_member(log, arena_printf(arena, "actions.%d.action", i), "lift");
        check_member(log, arena_printf(arena, "actions.%d.note", i),
                     arena_printf(arena, "an outage [batch %s]", batch));
    }
    check_member(log, "actions.5.action", "reset");
    check_member(lift(all, false, now + 1), "lifted", "0"); /* again: nothing is left */
}
END_TEST

START_TEST(what_stays)
{
    rig_begin(_i, WITH(SMALL));
    suspend(ALICE, "terms", NOW);
    suspend(ALICE, "staff", NOW);
    struct json_object *view = lift("{'suspensions':['" ALICE "'],'note':'n'}", false, NOW + 1);
    check_member(view, "mailboxes.0.why", "several");
    check_member(view, "lifted", "0");
    view = lift("{'suspensions':['" ALICE " staff','" ALICE " volume'],'note':'n'}", false, NOW + 1);
    check_member(view, "mailboxes.0.causes", "[{'cause':'staff'}]");
    check_member(view, "still_suspended", "1");
    check_member(VIEW(desk_lock_act(rig_desk(), &supporter, BOB,
                                    words_of("{'action':'lock','note':'n'}"), false, NOW, &made,
                                    &fault)), "phase", "locked");
    view = lift("{'suspensions':['" BOB " compromised'],'note':'n'}", false, NOW + 1);
    check_member(view, "mailboxes.0.why", "locked");
    check_member(view_mailbox(BOB, NOW + 2), "suspension.cause", "compromised");
}
END_TEST

#define NAME "\\'a volume\\'@x.test" /* in words */

START_TEST(blanks_in_a_name)
{
    rig_begin(_i, WITH(SMALL));
    suspend(NAME, "terms", NOW);
    check_member(lift("{'suspensions':['" NAME "'],'note':'n'}", false, NOW), "lifted", "1");
    suspend(NAME, "terms", NOW);
    check_member(lift("{'suspensions':['" NAME " terms'],'note':'n'}", false, NOW), "lifted", "1");
}
END_TEST

START_TEST(wrong_words)
{
    rig_begin(_i, WITH(SMALL));
    const char *many = "";
    refuse(&viewer, "{'suspensions':['a@b.test'],'note':'n'}", 403, "");
    refuse(&supporter, "{'note':'n'}", 400, "suspensions");
    refuse(&supporter, "{'suspensions':'a@b.test','note':'n'}", 400, "suspensions");
    refuse(&supporter, "{'suspensions':['a@b.test fate'],'note':'n'}", 400, "suspensions");
    refuse(&supporter, "{'suspensions':['a@b.test',7],'note':'n'}", 400, "suspensions");
    refuse(&supporter, "{'suspensions':['a@b.test']}", 400, "note");
    refuse(&supporter, "{'suspensions':['a@b.test'],'note':'n','for':'1h'}", 400, "for");
    for (int i = 0; i < DESK_LIFTS_MAX; i++)
        many = arena_printf(arena, "%s'a@b.test',", many);
    check_member(lift(arena_printf(arena, "{'suspensions':[%.*s],'note':'n'}",
                                   (int)strlen(many) - 1, many), true, NOW), "not_lifted", "1");
    refuse(&supporter, arena_printf(arena, "{'suspensions':[%s'a@b.test'],'note':'n'}", many), 400,
           "suspensions");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk campaigns");
    TCase *cases = desk_case(suite, "both backends");
    const TTest *const tests[] = {groups, filters, bounds, lift_many, what_stays,
                                  blanks_in_a_name, wrong_words};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    return backends_run(suite);
}
