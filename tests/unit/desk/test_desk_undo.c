/* What was lifted or changed is put back, by whom, until when, and not over what came since. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "store/audit.h"
#include "store/suspensions.h"
#include "tests/unit/desk/desk_rig.h"

#define ON(action) "{'action':'" action "','subject':'" ALICE "','note':'asked by telephone'"
#define LIMIT(value) ON("limit") ",'rule':'messages_per_day','value':" value "}"

static const struct person other = {"zoe", ROLE_SUPPORT};

static struct audit newest(void)
{
    struct audit entry = {0};
    struct store_page page = {.max = 1};
    ck_assert_int_eq(store_audit_newest(store, NULL, INT64_MAX, &entry, &page), 1);
    return entry;
}

static struct json_object *undo(const struct person *person, int64_t number, const char *words,
                                bool preview, int64_t now_ms)
{
    return VIEW(desk_undo(rig_desk(), person, arena_printf(arena, "%lld", (long long)number),
                          words_of(words), preview, now_ms, &made, &fault));
}

/* Refused with that status; the text begins so. */
static void refused(const struct person *person, int64_t number, const char *words, bool preview,
                    int64_t now_ms, int status, const char *text)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    int64_t before = newest().number;
    ck_assert_int_eq(desk_undo(rig_desk(), person, arena_printf(arena, "%lld", (long long)number),
                               words_of(words), preview, now_ms, &view, &problem), 0);
    ck_assert_int_eq(problem.status, status);
    ck_assert_msg(strncmp(problem.text, text, strlen(text)) == 0, "%s", problem.text);
    ck_assert_int_eq(newest().number, before);
}

static int32_t limit_of(enum rule rule, int64_t now_ms)
{
    struct effective_limits limits;
    ck_assert_int_eq(guard_limits(guard, CHANNEL_WEBMAIL, ALICE, "example.test", now_ms, &limits),
                     1);
    return limits.limits.of[rule];
}

/* ---- a lift ---------------------------------------------------------------------------------- */

/* Suspended by the guard, and lifted by a supporter: the number of the lift. */
static int64_t lifted(int64_t now_ms)
{
    for (int i = 0; i < 6; i++)
        send_one(arena_printf(arena, "m%d", i), 1, now_ms + i);
    do_action(&supporter, ON("lift") "}", now_ms + MINUTE_MS);
    return newest().number;
}

START_TEST(puts_a_suspension_back)
{
    rig_begin(_i, WITH(SMALL));
    int64_t number = lifted(NOW), at_ms = NOW + 2 * MINUTE_MS;
    struct json_object *preview = undo(&supporter, number, "{}", true, at_ms);
    check_member(preview, "done", "false");
    check_member(preview, "before.state", "full");
    check_member(preview, "after.state", "paused");
    check_member(view_mailbox(ALICE, at_ms), "suspension", "null");
    struct json_object *done = undo(&supporter, number, "{'note':'it was another mailbox'}", false,
                                    at_ms);
    check_member(done, "done", "true");
    check_member(done, "count", "1");
    check_member(done, "undone.0.after.cause", "volume");
    check_member(done, "after.state", "paused");
    struct json_object *view = view_mailbox(ALICE, at_ms);
    check_member(view, "state", "paused");
    check_member(view, "suspension.by", "guard");
    check_member(view, "suspension.offence", "1");
    struct audit entry = newest();
    ck_assert_str_eq(entry.action, "undo");
    ck_assert_str_eq(entry.by, supporter.name);
    ck_assert_str_eq(entry.note, "it was another mailbox");
    struct json_object *detail = keep_view(json_read(entry.detail));
    ck_assert_int_eq(json_int(detail, "of", 0), number);
    check_member(detail, "after.cause", "volume");
    refused(&supporter, number, "{}", false, at_ms, 409, "sam has undone it already, at ");
    struct json_object *past =
        VIEW(desk_past(rig_desk(), ALICE, "2025-11-22T05:42:30Z", NULL, 0, at_ms + HOUR_MS, &made,
                       &fault));
    check_member(past, "suspension.cause", "volume");
    check_member(past, "suspension.by", "guard");
    struct json_object *call = VIEW(desk_call(rig_desk(), ALICE, at_ms, &made, &fault));
    check_member(call, "lifted", "null");
}
END_TEST

START_TEST(ten_minutes_and_no_longer)
{
    rig_begin(_i, WITH(SMALL));
    int64_t number = lifted(NOW), at_ms = NOW + MINUTE_MS;
    refused(&supporter, number, "{}", true, at_ms + UNDO_MS + 1, 409, "it was done more than 10");
    refused(&supporter, number, "{}", false, at_ms + UNDO_MS + 1, 409, "it was done more than");
    undo(&supporter, number, "{}", false, at_ms + UNDO_MS);
    check_member(view_mailbox(ALICE, at_ms + UNDO_MS), "state", "paused");
}
END_TEST

START_TEST(who_may)
{
    rig_begin(_i, WITH(SMALL));
    int64_t number = lifted(NOW), at_ms = NOW + 2 * MINUTE_MS;
    refused(&viewer, number, "{}", true, at_ms, 403, "your role may look");
    refused(&other, number, "{}", false, at_ms, 403, "sam did it");
    refused(&admin, number + 100, "{}", false, at_ms, 404, "there is no such entry");
    refused(&admin, 0, "{}", false, at_ms, 400, "");
    refused(&admin, number, "{'all':true}", false, at_ms, 409, "it was done alone");
    refused(&admin, number, "{'of':'1'}", false, at_ms, 400, "there is no such member");
    undo(&admin, number, "{}", false, at_ms);
    ck_assert_str_eq(newest().note, arena_printf(arena, "undo of entry %lld", (long long)number));
}
END_TEST

START_TEST(not_over_what_came_since)
{
    rig_begin(_i, WITH(SMALL));
    int64_t number = lifted(NOW), at_ms = NOW + 2 * MINUTE_MS;
    do_action(&other, ON("note") "}", at_ms); /* changes nothing */
    undo(&supporter, number, "{}", true, at_ms);
    send_one("one more", 1, at_ms); /* suspends again */
    for (int preview = 0; preview < 2; preview++)
        refused(&supporter, number, "{}", preview > 0, at_ms, 409,
                "guard has suspended it for volume again since, at 2025-11-22T05:42:00Z");
    do_action(&other, ON("lift") "}", at_ms + 1);
    refused(&supporter, number, "{}", false, at_ms + 2, 409, "zoe has changed it since, at ");
    undo(&other, newest().number, "{}", false, at_ms + 3);
    check_member(view_mailbox(ALICE, at_ms + 3), "suspension.offence", "2");
}
END_TEST

/* What has ended meanwhile is not put back; what belongs to a lock is none of undo's. */
START_TEST(what_is_not_put_back)
{
    rig_begin(_i, WITH(SMALL));
    do_action(&admin, ON("suspend") ",'for':'5m'}", NOW);
    do_action(&admin, ON("lift") "}", NOW + MINUTE_MS);
    int64_t number = newest().number;
    for (int preview = 0; preview < 2; preview++)
        refused(&admin, number, "{}", preview > 0, NOW + 5 * MINUTE_MS, 409,
                "the suspension would have ended by itself meanwhile, at 2025-11-22T05:45:00Z");
    refused(&admin, number - 1, "{}", false, NOW + MINUTE_MS, 409, "what this entry did cannot");
    do_action(&admin, ON("suspend") ",'cause':'compromised'}", NOW + 6 * MINUTE_MS);
    do_action(&admin, ON("lift") "}", NOW + 7 * MINUTE_MS);
    refused(&admin, newest().number, "{}", false, NOW + 7 * MINUTE_MS, 409, "it belongs to a lock");
}
END_TEST

/* ---- what was adjusted ----------------------------------------------------------------------- */

START_TEST(puts_a_limit_back)
{
    const int64_t first_end = NOW + 123 + HOUR_MS;
    rig_begin(_i, WITH(SMALL));
    do_action(&admin, ON("limit") ",'rule':'messages_per_day','value':50,'for':'1h'}", NOW + 123);
    int64_t first = newest().number;
    do_action(&admin, LIMIT("'off'"), NOW + 200);
    int64_t number = newest().number;
    do_action(&admin, ON("limit") ",'rule':'off_domain_per_day','value':3}", NOW + 300);
    refused(&admin, first, "{}", false, NOW + 400, 409, "ada has changed it since, at ");
    struct json_object *done = undo(&admin, number, "{}", false, NOW + 400);
    check_member(done, "undone.0.rule", "messages_per_day");
    check_member(done, "undone.0.before.value", "null");
    check_member(done, "undone.0.after.value", "50");
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY, first_end - 1), 50);
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY, first_end), 5); /* to the millisecond */
    ck_assert_int_eq(limit_of(RULE_OFF_DOMAIN_PER_DAY, NOW + 400), 3);
    struct json_object *past =
        VIEW(desk_past(rig_desk(), ALICE, "2025-11-22T05:40:30Z", NULL, 0, NOW + HOUR_MS, &made,
                       &fault));
    check_member(past, "windows.0.limit", "50");
    refused(&admin, first, "{}", false, NOW + 500, 409, "ada has changed it since, at ");
}
END_TEST

/* An extra of two numbers is one action; where nothing was before, nothing is again, nor where that
 * has ended meanwhile. */
START_TEST(puts_nothing_back)
{
    rig_begin(_i, WITH(SMALL, "desk.max_extra=50"));
    do_action(&supporter, ON("extra") ",'messages':7,'off_domain':9,'for':'1m'}", NOW);
    do_action(&supporter, ON("extra") ",'messages':8,'off_domain':10}", NOW + 1);
    int64_t number = newest().number;
    ck_assert_int_eq(limit_of(RULE_OFF_DOMAIN_PER_DAY, NOW + 2), 30);
    struct json_object *done = undo(&supporter, number, "{}", false, NOW + MINUTE_MS);
    check_member(done, "count", "2");
    check_member(done, "undone.0.after", "null");
    ck_assert_int_eq(limit_of(RULE_OFF_DOMAIN_PER_DAY, NOW + MINUTE_MS), 20);
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY, NOW + MINUTE_MS), 5);
    refused(&supporter, number - 1, "{}", false, NOW + MINUTE_MS, 409, "sam has undone it already");
    do_action(&admin, ON("exempt") "}", NOW + 2 * MINUTE_MS);
    undo(&admin, newest().number, "{}", false, NOW + 3 * MINUTE_MS);
    check_member(view_mailbox(ALICE, NOW + 3 * MINUTE_MS), "exempt", "null");
    do_action(&admin, "{'action':'exempt','subject':'@example.test','note':'n'}",
              NOW + 4 * MINUTE_MS);
    struct json_object *of_domain = undo(&admin, newest().number, "{}", false, NOW + 5 * MINUTE_MS);
    check_member(of_domain, "subject", "@example.test");
    check_member(view_mailbox(ALICE, NOW + 5 * MINUTE_MS), "exempt", "null");
}
END_TEST

START_TEST(a_plan)
{
    rig_begin(_i, WITH(SMALL, "plan.school.messages_per_day=9", "plan.free.messages_per_day=2"));
    do_action(&admin, ON("plan") ",'value':'school'}", NOW);
    int64_t first = newest().number;
    do_action(&admin, ON("plan") ",'value':'free','for':'1h'}", NOW + 1);
    int64_t number = newest().number;
    refused(&admin, first, "{}", false, NOW + 2, 409, "ada has changed it since");
    refused(&supporter, number, "{}", false, NOW + 2, 403, "");
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY, NOW + 2), 2);
    undo(&admin, number, "{}", false, NOW + 3);
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY, NOW + 4), 9);
    check_member(view_mailbox(ALICE, NOW + 4), "plan",
                 "{'name':'school','of':'mailbox','lost':false,'until':null}");
}
END_TEST

/* ---- many ------------------------------------------------------------------------------------ */

#define EXTRA(subject, messages)                                                            \
    "{'action':'extra','subject':'" subject "','messages':" messages ",'note':'n'}"

/* What one person alone, or one of that role, could not do in the end, undo does not do either. */
START_TEST(no_way_round_others)
{
    rig_begin(_i, WITH(SMALL, "desk.second_approval=yes", "desk.max_extra=10"));
    do_action(&admin, EXTRA(ALICE, "40"), NOW);
    do_action(&admin, EXTRA(ALICE, "1"), NOW + 1);
    int64_t lowered = newest().number;
    do_action(&admin, EXTRA("@example.test", "44"), NOW + 2); /* to ten times the limit */
    refused(&admin, lowered, "{}", true, NOW + 3, 409, "limits were changed since");
    refused(&admin, lowered, "{}", false, NOW + 3, 409, "limits were changed since");
    do_action(&admin, EXTRA("@example.test", "1"), NOW + 4);
    undo(&admin, lowered, "{}", false, NOW + 5);
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY, NOW + 6), 46);

    const int64_t day_ms = NOW + 2 * DAY_MS;
    do_action(&supporter, ON("limit") ",'rule':'messages_per_day','value':15,'for':'1h'}", day_ms);
    do_action(&supporter, LIMIT("'default'"), day_ms + 1);
    lowered = newest().number;
    do_action(&admin, EXTRA("@example.test", "1"), day_ms + 2);
    refused(&supporter, lowered, "{}", false, day_ms + 3, 403, "with what was given already");
}
END_TEST

/* What two have agreed on comes back after a slip. */
START_TEST(what_two_agreed_on)
{
    static const struct adjustment agreed = {.subject = ALICE, .rule = RULE_MESSAGES_PER_DAY,
                                             .kind = ADJUST_LIMIT, .value = 500,
                                             .until_ms = UNTIL_LIFTED};
    rig_begin(_i, WITH(SMALL, "desk.second_approval=yes"));
    ck_assert_int_eq(store_adjust(store, &agreed, &(struct action){NOW, "ada", "n"}), 1);
    guard_outdate_limits(guard);
    do_action(&admin, LIMIT("50"), NOW + 1);
    undo(&admin, newest().number, "{}", false, NOW + 2);
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY, NOW + 3), 500);
}
END_TEST

START_TEST(undoes_a_batch)
{
    rig_begin(_i, WITH(SMALL));
    static const char *const mailboxes[] = {"u1@example.test", "u2@example.test",
                                            "u3@example.test"};
    for (size_t i = 0; i < countof(mailboxes); i++)
        do_action(&admin, arena_printf(arena, "{'action':'suspend','subject':'%s','note':'n'}",
                                       mailboxes[i]), NOW);
    struct json_object *many =
        VIEW(desk_lift_many(rig_desk(), &supporter,
                            words_of("{'suspensions':['u1@example.test','u2@example.test',"
                                     "'u3@example.test'],'note':'a mistake'}"),
                            false, NOW + 1, &made, &fault));
    check_member(many, "lifted", "3");
    int64_t number = newest().number;
    do_action(&admin, "{'action':'suspend','subject':'u2@example.test','note':'n'}", NOW + 2);
    struct json_object *preview = undo(&supporter, number, "{'all':true}", true, NOW + 3);
    struct json_object *done = undo(&supporter, number, "{'all':true}", false, NOW + 3);
    for (int i = 0; i < 2; i++) {
        struct json_object *view = i == 0 ? preview : done;
        check_member(view, "batch", rig_text(many, "batch"));
        check_member(view, "count", "2");
        check_member(view, "not_undone", "1");
        check_member(view, "undone.1.subject", "u2@example.test");
        ck_assert_ptr_nonnull(strstr(rig_text(view, "undone.1.why"), "ada has changed it since"));
    }
    check_member(view_mailbox("u1@example.test", NOW + 4), "state", "paused");
    check_member(view_mailbox("u3@example.test", NOW + 4), "state", "paused");
    struct json_object *again = undo(&supporter, number, "{'all':true}", false, NOW + 5);
    check_member(again, "count", "0");
    check_member(again, "not_undone", "3");
}
END_TEST

/* ---- marks ----------------------------------------------------------------------------------- */

static size_t marked(const struct person *person, int64_t now_ms)
{
    struct json_object *view = VIEW(desk_audit(rig_desk(), NULL, NULL, &made, &fault));
    size_t count = 0;
    desk_undo_mark(person, json_member(view, "actions"), now_ms);
    for (size_t i = 0; i < length_of(view, "actions"); i++)
        count += json_member(json_object_array_get_idx(json_member(view, "actions"), i),
                             "undo") != NULL;
    return count;
}

START_TEST(marks_what_can_be_undone)
{
    rig_begin(_i, WITH(SMALL));
    int64_t number = lifted(NOW), at_ms = NOW + MINUTE_MS;
    do_action(&admin, LIMIT("9"), at_ms);
    ck_assert_uint_eq(marked(&admin, at_ms + UNDO_MS), 2);
    ck_assert_uint_eq(marked(&supporter, at_ms + UNDO_MS), 1);
    ck_assert_uint_eq(marked(&other, at_ms), 0);
    ck_assert_uint_eq(marked(&viewer, at_ms), 0);
    ck_assert_uint_eq(marked(&admin, at_ms + UNDO_MS + 1), 0);
    undo(&supporter, number, "{}", false, at_ms + 1);
    ck_assert_uint_eq(marked(&supporter, at_ms + 1), 0);
}
END_TEST

/* ---- at the same moment ---------------------------------------------------------------------- */

enum { PEOPLE = 8 };
struct undoer {
    pthread_t thread;
    pthread_barrier_t *begin;
    struct desk desk;
    const char *number;
    bool suspends;
    int result;
};

static void *undo_at_once(void *context)
{
    struct undoer *undoer = context;
    freed_by(json_put) struct json_object *view = NULL, *words = json_object_new_object();
    struct problem problem;
    if (undoer->suspends) {
        json_add_string(words, "action", "suspend");
        json_add_string(words, "subject", ALICE);
        json_add_string(words, "cause", "volume");
        json_add_string(words, "note", "n");
    }
    pthread_barrier_wait(undoer->begin);
    undoer->result = undoer->suspends ? desk_action(&undoer->desk, &admin, words, false,
                                                    NOW + 2 * MINUTE_MS, &view, &problem)
                                      : desk_undo(&undoer->desk, &admin, undoer->number, words,
                                                  false, NOW + 2 * MINUTE_MS, &view, &problem);
    return NULL;
}

/* How many undid it. */
static int at_once(int64_t number, bool one_suspends)
{
    struct undoer undoers[PEOPLE];
    struct guard *guards[PEOPLE];
    pthread_barrier_t begin;
    int done = 0;
    const char *text = arena_printf(arena, "%lld", (long long)number);
    pthread_barrier_init(&begin, NULL, PEOPLE);
    for (size_t i = 0; i < PEOPLE; i++) {
        guards[i] = guard_new(store, token_key, rig_settings(WITH(SMALL)), rig_catalogue());
        undoers[i] = (struct undoer){.begin = &begin, .number = text, .result = -7,
                                     .desk = {.store = store, .guard = guards[i]},
                                     .suspends = one_suspends && i == PEOPLE / 2};
        ck_assert_int_eq(pthread_create(&undoers[i].thread, NULL, undo_at_once, &undoers[i]), 0);
    }
    for (size_t i = 0; i < PEOPLE; i++) {
        pthread_join(undoers[i].thread, NULL);
        ck_assert_int_ge(undoers[i].result, 0);
        ck_assert(!undoers[i].suspends || undoers[i].result == 1);
        done += undoers[i].suspends ? 0 : undoers[i].result;
        guard_free(&guards[i]);
    }
    pthread_barrier_destroy(&begin);
    return done;
}

START_TEST(one_of_many_undoes_it)
{
    rig_begin(_i, WITH(SMALL));
    int64_t number = lifted(NOW);
    ck_assert_int_eq(at_once(number, false), 1);
    ck_assert_int_eq(newest().number, number + 1);
    do_action(&admin, LIMIT("9"), NOW + 2 * MINUTE_MS);
    number = newest().number;
    ck_assert_int_eq(at_once(number, false), 1);
    ck_assert_int_eq(newest().number, number + 1);
}
END_TEST

/* Beside a new suspension: that one holds in the end, whichever was first. */
START_TEST(beside_a_new_suspension)
{
    rig_begin(_i, WITH(SMALL));
    ck_assert_int_le(at_once(lifted(NOW), true), 1);
    struct json_object *view = view_mailbox(ALICE, NOW + 3 * MINUTE_MS);
    ck_assert_uint_eq(length_of(view, "suspensions"), 1);
    check_member(view, "suspension.by", "ada");
    check_member(view, "suspension.offence", "2");
}
END_TEST

/* ---- the block lists ------------------------------------------------------------------------- */

static struct json_object *block(const char *words, int64_t now_ms)
{
    return VIEW(desk_block(rig_desk(), &supporter, words_of(words), false, now_ms, &made, &fault));
}

START_TEST(puts_an_entry_back)
{
    static const char unblock[] = "{'action':'unblock','subject':'bob@x.test','note':'n'}";
    rig_begin(_i, WITH(SMALL));
    block("{'action':'block','subject':'bob@x.test','reason':'They asked.','for':'30d','note':'a'}",
          NOW);
    struct json_object *before = VIEW(desk_blocks(rig_desk(), "bob", "", NOW, &made));
    block(unblock, NOW + 1);
    int64_t number = newest().number, end_ms = NOW + 1 + UNDO_MS;
    refused(&other, number, "{}", false, NOW + 2, 403, "sam did it");
    check_member(undo(&supporter, number, "{}", true, end_ms), "undone.0.after.kind", "recipient");
    ck_assert_uint_eq(marked(&supporter, end_ms), 1);
    refused(&supporter, number, "{}", false, end_ms + 1, 409, "it was done more than");
    undo(&supporter, number, "{}", false, end_ms);
    struct json_object *after = VIEW(desk_blocks(rig_desk(), "bob", "", end_ms, &made));
    ck_assert_str_eq(rig_text(after, "blocks"), rig_text(before, "blocks"));
    ck_assert_str_eq(newest().action, "undo");
    refused(&supporter, number, "{}", false, end_ms, 409, "sam has undone it already");
    block(unblock, end_ms + 1);
    number = newest().number;
    block("{'action':'block','subject':'bob@x.test','reason':'No.','note':'b'}", end_ms + 2);
    refused(&supporter, number, "{}", false, end_ms + 3, 409, "sam has changed it since");
    block(unblock, end_ms + 4);
    ck_assert_int_eq(at_once(newest().number, false), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk undo");
    TCase *cases = desk_case(suite, "undo");
    tcase_add_loop_test(cases, puts_a_suspension_back, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, ten_minutes_and_no_longer, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, who_may, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, not_over_what_came_since, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, what_is_not_put_back, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, puts_a_limit_back, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, puts_nothing_back, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, a_plan, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, no_way_round_others, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, what_two_agreed_on, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, undoes_a_batch, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, marks_what_can_be_undone, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, one_of_many_undoes_it, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, puts_an_entry_back, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, beside_a_new_suspension, 0, BACKEND_KINDS);
    return backends_run(suite);
}
