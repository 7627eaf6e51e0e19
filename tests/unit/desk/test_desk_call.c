/* What support needs while somebody is on the phone. */
#include <string.h>

#include "base/json.h"
#include "tests/unit/desk/desk_rig.h"

static struct json_object *call_of(const char *mailbox, int64_t now_ms)
{
    return VIEW(desk_call(rig_desk(), mailbox, now_ms, &made, &fault));
}

static void send_from(const char *ip, int64_t at_ms)
{
    static int number;
    struct problem problem;
    struct submission submission = rig_message(arena_printf(arena, "<%d@x>", number++), 1);
    ck_assert_int_eq(submission_set_ip(&submission, ip, strlen(ip), &problem), 1);
    rig_judge(&submission, at_ms);
}

START_TEST(nothing_is_known)
{
    struct json_object *view = NULL;
    struct problem problem;
    rig_begin(_i, WITH(SMALL));
    view = call_of(BOB, NOW);
    check_member(view, "before", "[]");
    check_member(view, "lifted", "null");
    check_member(view, "back", "null");
    check_member(view, "usual", "null");
    check_member(view, "from", "[]");
    ck_assert_int_eq(desk_call(rig_desk(), "bob", NOW, &view, &problem), 0);
    ck_assert_int_eq(problem.status, 400);
}
END_TEST

/* Lifted without a reset: the next message brings it back. */
START_TEST(it_is_back)
{
    rig_begin(_i, WITH(SMALL));
    for (int i = 0; i < 6; i++)
        send_from("203.0.113.7", NOW + i);
    struct json_object *view = call_of(ALICE, NOW + 10);
    check_member(view, "before", "[{'cause':'volume','count':1}]");
    check_member(view, "lifted", "null");
    do_action(&supporter, "{'action':'lift','subject':'" ALICE "','note':'talked'}",
              NOW + SECOND_MS);
    view = call_of(ALICE, NOW + 2 * SECOND_MS);
    check_member(view, "lifted.by", "sam");
    check_member(view, "lifted.note", "talked");
    check_member(view, "lifted.reset", "false");
    check_member(view, "back", "null");
    send_from("203.0.113.7", NOW + 3 * SECOND_MS);
    view = call_of(ALICE, NOW + 4 * SECOND_MS);
    check_member(view, "back.cause", "volume");
    check_member(view, "back.since", "2025-11-22T05:40:03Z");
    check_member(view, "before", "[{'cause':'volume','count':2}]");
    do_action(&supporter, "{'action':'reset','subject':'" ALICE "','note':'n'}",
              NOW + 5 * SECOND_MS);
    check_member(call_of(ALICE, NOW + 6 * SECOND_MS), "lifted.reset", "true");
    check_member(call_of(ALICE, NOW + 31 * DAY_MS), "before", "[]");
    check_member(call_of(ALICE, NOW + 31 * DAY_MS), "lifted", "null");
}
END_TEST

START_TEST(compared_with_usual)
{
    const int64_t later = NOW + 30 * HOUR_MS;
    rig_begin(_i, WITH(SMALL));
    send_from("203.0.113.7", NOW);
    send_from("203.0.113.7", later);
    send_from("198.51.100.9", later + 1000);
    struct json_object *view = call_of(ALICE, later + HOUR_MS);
    check_member(view, "usual.known_since", "2025-11-22T05:40:00Z");
    check_member(view, "usual.days", "1");
    check_member(view, "usual.networks", "2");
    check_member(view, "from.0.ip", "198.51.100.9");
    check_member(view, "from.0.usual", "false");
    check_member(view, "from.0.messages", "1");
    check_member(view, "from.0.first_at", "2025-11-23T11:40:01Z");
    check_member(view, "from.1.ip", "203.0.113.7");
    check_member(view, "from.1.usual", "true");
    check_member(view, "from.1.first_at", "2025-11-22T05:40:00Z");
    check_member(view, "from.1.signed_in", "false");
}
END_TEST

START_TEST(five_addresses)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=5"));
    for (int i = 0; i < 9; i++)
        send_from(arena_printf(arena, "192.0.2.%d", i), NOW + i);
    struct json_object *view = call_of(ALICE, NOW + 10);
    ck_assert_uint_eq(length_of(view, "from"), 5);
    check_member(view, "from.0.ip", "192.0.2.8");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk call");
    TCase *cases = desk_case(suite, "both backends");
    const TTest *const tests[] = {nothing_is_known, it_is_back, compared_with_usual,
                                  five_addresses};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    return backends_run(suite);
}
