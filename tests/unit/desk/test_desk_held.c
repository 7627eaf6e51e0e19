/* The list of mailboxes whose messages wait. */
#include "base/json.h"
#include "tests/unit/desk/desk_rig.h"

/* Of more than are shown those that wait the longest are, whatever their names. */
START_TEST(test_the_oldest_are_shown)
{
    enum { MORE = 5, MANY = DESK_HELD_MAX + MORE };
    rig_begin(_i, WITH(SMALL));
    for (int i = 0; i < MANY; i++)
        rig_wait_since(arena_printf(arena, "m%03d@example.test", i), UNUSUAL_HOLD, NOW - i * SECOND_MS);
    rig_wait_since("noted@example.test", UNUSUAL_NOTE, NOW - DAY_MS);
    struct json_object *view = VIEW(desk_held(rig_desk(), NOW, &made));
    ck_assert_uint_eq(length_of(view, "held"), DESK_HELD_MAX);
    check_member(view, "held.0.mailbox", "m104@example.test");
    check_member(view, "held.99.mailbox", "m005@example.test");
    check_member(view, "mailboxes", "105");
    check_member(view, "messages", "105");
    ck_assert_uint_eq(length_of(view, "lately"), 1);
    check_member(view, "lately.0.mailbox", "noted@example.test");
}
END_TEST

/* Of more than are shown of the others those that came last are. */
START_TEST(test_the_newest_of_lately)
{
    enum { MANY = DESK_HELD_MAX + 5 };
    rig_begin(_i, WITH(SMALL));
    for (int i = 0; i < MANY; i++)
        rig_wait_since(arena_printf(arena, "m%03d@example.test", i), UNUSUAL_NOTE, NOW - i * SECOND_MS);
    struct json_object *view = VIEW(desk_held(rig_desk(), NOW, &made));
    ck_assert_uint_eq(length_of(view, "lately"), DESK_HELD_MAX);
    check_member(view, "lately.0.mailbox", "m000@example.test");
    check_member(view, "lately.99.mailbox", "m099@example.test");
}
END_TEST

/* Who says that it is done has seen which messages. */
START_TEST(test_by_hand_wants_what_was_seen)
{
    struct problem problem = {0};
    struct json_object *view = NULL;
    rig_begin(_i, WITH(SMALL));
    rig_wait_since(ALICE, UNUSUAL_HOLD, NOW);
    ck_assert_int_eq(desk_held_act(rig_desk(), &supporter, ALICE,
                                   words_of("{'action':'release','note':'x','by_hand':true}"),
                                   false, NOW, &view, &problem), 0);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_str_eq(problem.where, "seen");
}
END_TEST

/* What was noted or deferred is answered without Postfix: nothing is released, nor deleted. */
START_TEST(test_what_does_not_wait)
{
    const char *const mailboxes[] = {ALICE, BOB};
    struct problem problem = {0};
    rig_begin(_i, WITH("postqueue.socket=/nowhere/postqueue.sock"));
    rig_wait_since(ALICE, UNUSUAL_NOTE, NOW);
    rig_wait_since(BOB, UNUSUAL_DEFER, NOW);
    struct json_object *view = VIEW(desk_held(rig_desk(), NOW, &made));
    check_member(view, "lately.0.unlisted", "0");
    for (size_t i = 0; i < countof(mailboxes); i++) {
        struct json_object *words = words_of(i == 0 ? "{'action':'release','note':'x'}"
                                                    : "{'action':'reject','note':'x'}");
        view = VIEW(desk_held_act(rig_desk(), &supporter, mailboxes[i], words, true, NOW, &made,
                                  &problem));
        check_member(view, "was", i == 0 ? "note" : "defer");
        check_member(view, "helper", "ready");
        view = VIEW(desk_held_act(rig_desk(), &supporter, mailboxes[i], words, false, NOW, &made,
                                  &problem));
        check_member(view, "done", "true");
        check_member(view, "unlisted", "0");
    }
    view = VIEW(desk_held(rig_desk(), NOW, &made));
    ck_assert_uint_eq(length_of(view, "lately"), 0);
    struct json_object *second = NULL;
    ck_assert_int_eq(desk_held_act(rig_desk(), &admin, ALICE,
                                   words_of("{'action':'reject','note':'x'}"), false, NOW, &second,
                                   &problem), 0);
    ck_assert_str_eq(problem.text, "no message of it waits for an answer: sam has answered that it "
                                   "was its user");
    check_member(view_mailbox(BOB, NOW), "suspension.cause", "compromised");
}
END_TEST

/* Who is shown what the next message would meet reads that it would wait. */
START_TEST(test_other_actions_say_that_mail_waits)
{
    rig_begin(_i, WITH(SMALL));
    rig_wait_since(ALICE, UNUSUAL_HOLD, NOW);
    rig_wait_since(BOB, UNUSUAL_NOTE, NOW);
    check_member(preview_action(&supporter, "{'action':'note','subject':'" ALICE "','note':'x'}", NOW),
                 "held", "true");
    check_member(preview_action(&supporter, "{'action':'note','subject':'" BOB "','note':'x'}", NOW),
                 "held", "false");
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("desk held");
    TCase *cases = desk_case(suite, "held");
    tcase_add_loop_test(cases, test_the_oldest_are_shown, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_the_newest_of_lately, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_by_hand_wants_what_was_seen, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_what_does_not_wait, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_other_actions_say_that_mail_waits, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
