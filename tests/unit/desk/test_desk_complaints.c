/* Complaints at the desk and on the user's page: why one counts or not, reports that wait, and what
 * staff makes of them, over both stores. */
#include <string.h>

#include "base/json.h"
#include "guard/complaint_step.h"
#include "guard/keyed_hash.h"
#include "tests/unit/desk/desk_rig.h"

static struct problem problem;

#define USUAL WITH("complaints.loops=loop.test", "exempt.mailbox=free@example.test")

static void make(const struct complaint_step *step)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(guard);
    enum complaint_made made;
    ck_assert_int_eq(complaint_step_make(store, snapshot_settings(snapshot), step, NOW, &made), 1);
}

static void complain(const char *mailbox, uint64_t message, const char *reporter,
                     enum complaint_source source)
{
    const struct complaint complaint = {
        .message = message, .reporter = keyed_hash_reporter(&hash_keys, reporter),
        .decision = message, .admitted_ms = NOW - DAY_MS + (int64_t)message,
        .at_ms = NOW - HOUR_MS + (int64_t)message, .incidents = 1, .source = source};
    make(&(struct complaint_step){.mailbox = mailbox, .complaint = &complaint});
}

static void wait_for_staff(uint64_t id, const char *mailbox)
{
    const struct waiting_report report = {
        .id = id, .at_ms = NOW - MINUTE_MS, .type = REPORT_FRAUD, .mailbox = mailbox,
        .queue_id = mailbox[0] != '\0' ? "4jbqC64kngz1bf1c" : "", .domain = "",
        .admitted_ms = mailbox[0] != '\0' ? NOW - DAY_MS : 0};
    make(&(struct complaint_step){.waits = &report});
}

/* To be put. */
static struct json_object *complaints_of(const char *mailbox)
{
    struct json_object *view = NULL;
    ck_assert_int_eq(desk_complaints(rig_desk(), mailbox, NOW, &view, &problem), 1);
    return view;
}

static bool is_suspended(const char *mailbox)
{
    struct account account;
    ck_assert_int_eq(store_account(store, arena, mailbox, NOW, &account), 1);
    return suspension_find(&account.suspensions, CAUSE_COMPLAINTS) != NULL;
}

/* 1, or 0 with the problem. *view_r: to be put. */
static int answer(const char *report, const char *text, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *request = rig_json(text, strlen(text));
    *view_r = NULL;
    return desk_complaints_answer(rig_desk(), "ada", report, request, NOW, view_r, &problem);
}

START_TEST(test_of_a_mailbox)
{
    rig_begin(_i, USUAL);
    complain(ALICE, 1, "loop.test", COMPLAINT_OF_LOOP);
    complain(ALICE, 2, "gone.test", COMPLAINT_OF_LOOP); /* no loop of the settings any more */
    complain(ALICE, 2, "other.test", COMPLAINT_OF_DOMAIN);
    wait_for_staff(7, ALICE);
    wait_for_staff(8, "");
    freed_by(json_put) struct json_object *view = complaints_of("Alice@Example.test");
    ck_assert_str_eq(rig_text(view, "number"), "0"); /* the suspension has used them up */
    ck_assert_str_eq(rig_text(view, "count"), "3");
    ck_assert_uint_eq(json_object_array_length(json_member(view, "complaints")), 4);
    ck_assert_str_eq(rig_text(view, "complaints.0.why"), "unknown_reporter");
    ck_assert_str_eq(rig_text(view, "complaints.0.source"), "unknown");
    ck_assert_str_eq(rig_text(view, "complaints.0.type"), "fraud");
    ck_assert_str_eq(rig_text(view, "complaints.0.report"), "0000000000000007");
    ck_assert_str_eq(rig_text(view, "complaints.3.loop"), "loop.test");
    ck_assert_str_eq(rig_text(view, "complaints.3.source"), "loop");
    ck_assert(is_suspended(ALICE));
    ck_assert_str_eq(rig_text(view, "complaints.3.counted"), "false"); /* it is used up */
    ck_assert_str_eq(rig_text(view, "complaints.3.why"), "before_suspension_ended");
}
END_TEST

START_TEST(test_why_not)
{
    rig_begin(_i, USUAL);
    complain(BOB, 1, "a.test", COMPLAINT_OF_DOMAIN);
    complain(BOB, 1, "b.test", COMPLAINT_OF_DOMAIN);
    complain("free@example.test", 1, "loop.test", COMPLAINT_OF_LOOP);
    freed_by(json_put) struct json_object *view = complaints_of(BOB);
    ck_assert_str_eq(rig_text(view, "complaints.1.source"), "authenticated");
    ck_assert_str_eq(rig_text(view, "complaints.0.counted"), "false");
    ck_assert_str_eq(rig_text(view, "complaints.0.why"), "same_message");
    ck_assert_str_eq(rig_text(view, "complaints.1.why"), "null");
    freed_by(json_put) struct json_object *exempt = complaints_of("free@example.test");
    ck_assert_str_eq(rig_text(exempt, "complaints.0.why"), "exempt");
    struct json_object *none = NULL;
    ck_assert_int_eq(desk_complaints(rig_desk(), "nobody", NOW, &none, &problem), 0);
    ck_assert_int_eq(problem.status, 400);
}
END_TEST

/* Its user reads how many and about what; nobody is named. */
START_TEST(test_own)
{
    freed_by(json_put) struct json_object *view = NULL, *nothing = NULL;
    rig_begin(_i, USUAL);
    ck_assert_int_eq(desk_status(rig_desk(), BOB, 0, NULL, NOW, &nothing), 1);
    ck_assert_str_eq(rig_text(nothing, "complaints"), "null");
    complain(ALICE, 1, "loop.test", COMPLAINT_OF_LOOP);
    complain(ALICE, 1, "other.test", COMPLAINT_OF_DOMAIN);
    complain(ALICE, 2, "other.test", COMPLAINT_OF_DOMAIN);
    ck_assert_int_eq(desk_status(rig_desk(), ALICE, 0, NULL, NOW, &view), 1);
    ck_assert_uint_eq(json_object_array_length(rig_member(view, "complaints.messages")), 2);
    ck_assert_str_eq(rig_text(view, "complaints.count"), "3");
    ck_assert_str_eq(rig_text(view, "complaints.days"), "7");
    ck_assert_str_eq(rig_text(view, "complaints.messages.0.by_loops"), "1");
    ck_assert_str_eq(rig_text(view, "complaints.messages.0.by_others"), "1");
    rig_check_has_not(json_object_to_json_string(view), "loop.test");
    rig_check_has_not(json_object_to_json_string(view), "other.test");
}
END_TEST

START_TEST(test_count_and_drop)
{
    struct json_object *view;
    rig_begin(_i, USUAL);
    for (uint64_t id = 1; id <= 3; id++)
        wait_for_staff(id, id < 3 ? arena_printf(arena, "user%d@example.test", (int)id) : "");
    static const struct {
        const char *report, *request;
        int status;
    } wrong[] = {
        {"0000000000000001", "{\"action\":\"count\"}", 400},
        {"0000000000000001", "{\"action\":\"suspend\",\"note\":\"x\"}", 400},
        {"0000000000000009", "{\"action\":\"drop\",\"note\":\"x\"}", 404},
        {"1x", "{\"action\":\"drop\",\"note\":\"x\"}", 404},
        {"0000000000000003", "{\"action\":\"count\",\"note\":\"x\"}", 400},
        {"0000000000000003",
         "{\"action\":\"count\",\"note\":\"x\",\"mailbox\":\"" ALICE "\",\"message\":\"?\"}", 400},
    };
    for (size_t i = 0; i < countof(wrong); i++) {
        ck_assert_int_eq(answer(wrong[i].report, wrong[i].request, &view), 0);
        ck_assert_int_eq(problem.status, wrong[i].status);
    }
    ck_assert_int_eq(answer("0000000000000002", "{\"action\":\"drop\",\"note\":\"spam\"}", &view), 1);
    json_put(&view);
    ck_assert_int_eq(answer("0000000000000001", "{\"action\":\"count\",\"note\":\"seen\"}", &view), 1);
    ck_assert_str_eq(rig_text(view, "mailbox"), "user1@example.test");
    json_put(&view);
    ck_assert_int_eq(answer("0000000000000001", "{\"action\":\"count\",\"note\":\"seen\"}", &view), 0);
    freed_by(json_put) struct json_object *counted = complaints_of("user1@example.test");
    ck_assert_str_eq(rig_text(counted, "complaints.0.source"), "staff");
    ck_assert_str_eq(rig_text(counted, "complaints.0.counted"), "true");
    freed_by(json_put) struct json_object *waiting = NULL;
    ck_assert_int_eq(desk_complaints_waiting(rig_desk(), NOW, &waiting), 1);
    ck_assert_uint_eq(json_object_array_length(json_member(waiting, "reports")), 1);
    ck_assert_str_eq(rig_text(waiting, "reports.0.why"), "unknown_message");
    struct audit entries[5];
    struct store_page page = {.max = 5};
    ck_assert_int_eq(store_audit_newest(store, NULL, INT64_MAX, entries, &page), 1);
    ck_assert_uint_eq(page.count, 2);
    ck_assert_str_eq(entries[0].action, "complaint_count");
    ck_assert_str_eq(entries[0].by, "ada");
    ck_assert_str_eq(entries[1].action, "complaint_drop");
    ck_assert_str_eq(entries[1].subject, "user2@example.test");
}
END_TEST

/* What staff counts is believed. */
START_TEST(test_staff_suspends)
{
    struct json_object *view;
    rig_begin(_i, USUAL);
    for (int id = 1; id <= 3; id++) {
        wait_for_staff((uint64_t)id, "");
        ck_assert_int_eq(
            answer(arena_printf(arena, "%016d", id),
                   "{\"action\":\"count\",\"note\":\"seen\",\"mailbox\":\"" ALICE "\"}", &view),
            1);
        ck_assert_str_eq(rig_text(view, "suspended"), id == 3 ? "true" : "false");
        json_put(&view);
    }
    ck_assert(is_suspended(ALICE));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk complaints");
    TCase *tcase = desk_case(suite, "desk complaints");
    tcase_add_loop_test(tcase, test_of_a_mailbox, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_why_not, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_own, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_count_and_drop, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_staff_suspends, 0, BACKEND_KINDS);
    return backends_run(suite);
}
