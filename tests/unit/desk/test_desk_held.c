/* The list of mailboxes whose messages wait. */
#include "base/json.h"
#include "rules/held.h"
#include "store/values.h"
#include "tests/unit/desk/desk_rig.h"

static void wait_since(const char *mailbox, enum unusual_action action, int64_t since_ms)
{
    const struct held_message message = {.decision = 1, .recipients = 2, .queue_id = "4one"};
    const struct unusual unusual = {.new_recipients = 41, .action = action};
    freed_by(text_free) struct text bytes = {0};
    held_add(&bytes, &unusual, since_ms, &message, 0);
    const struct value_change change = {
        .value = {.kind = VALUE_HELD, .key = mailbox, .bytes = bytes.data, .length = bytes.length,
                  .until_ms = held_until(action, NOW)}};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = NOW};
    struct values_done *done = arena_alloc(arena, sizeof *done);
    ck_assert_int_eq(store_values_change(store, &step, done), 1);
}

/* Of more than are shown those that wait the longest are, whatever their names. */
START_TEST(test_the_oldest_are_shown)
{
    enum { MORE = 5, MANY = DESK_HELD_MAX + MORE };
    rig_begin(_i, WITH(SMALL));
    for (int i = 0; i < MANY; i++)
        wait_since(arena_printf(arena, "m%03d@example.test", i), UNUSUAL_HOLD, NOW - i * SECOND_MS);
    wait_since("noted@example.test", UNUSUAL_NOTE, NOW - DAY_MS);
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
        wait_since(arena_printf(arena, "m%03d@example.test", i), UNUSUAL_NOTE, NOW - i * SECOND_MS);
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
    wait_since(ALICE, UNUSUAL_HOLD, NOW);
    ck_assert_int_eq(desk_held_act(rig_desk(), &supporter, ALICE,
                                   words_of("{'action':'release','note':'x','by_hand':true}"),
                                   false, NOW, &view, &problem), 0);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_str_eq(problem.where, "seen");
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("desk held");
    TCase *cases = desk_case(suite, "held");
    tcase_add_loop_test(cases, test_the_oldest_are_shown, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_the_newest_of_lately, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_by_hand_wants_what_was_seen, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
