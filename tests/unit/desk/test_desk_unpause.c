/* A user ends the pause of the own mailbox, once. */
#include <pthread.h>
#include <stdlib.h>

#include "base/json.h"
#include "store/audit.h"
#include "store/kept.h"
#include "tests/unit/desk/desk_rig.h"

#define ALLOWED SMALL, "suspension.unpause_messages=2"

/* Five messages fill the day; the sixth brings the pause, at NOW + 6. */
static void pause_alice(void)
{
    rig_send("sent", 5, NOW, 1);
    ck_assert(send_one("over", 1, NOW + 6).brought);
}

static int end_pause(int64_t now_ms)
{
    struct problem problem = {0};
    int result = desk_unpause(rig_desk(), ALICE, now_ms, &problem);
    ck_assert(result != 0 || problem.status == 409);
    return result;
}

START_TEST(once_with_a_little_room)
{
    struct audit actions[9];
    struct store_page page = {.max = 9};
    rig_begin(_i, WITH(ALLOWED));
    pause_alice();
    check_member(view_status(ALICE, 0, NOW + 7), "can_unpause", "true");
    check_member(view_status(ALICE, 0, NOW + 7), "unpause_messages", "2");
    ck_assert_int_eq(end_pause(NOW + 7), 1);
    check_member(view_status(ALICE, 0, NOW + 8), "suspension", "null");
    check_member(view_status(ALICE, 0, NOW + 8), "can_unpause", "false");
    ck_assert_int_eq(end_pause(NOW + 8), 0);
    ck_assert_int_eq(store_audit(store, 0, actions, &page), 1);
    ck_assert_uint_eq(page.count, 3);
    ck_assert_str_eq(actions[0].action, "extra");
    ck_assert_str_eq(actions[2].action, "lift");
    ck_assert_str_eq(actions[2].by, "user");
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(send_one(i == 0 ? "6" : "7", 1, NOW + 9 + i).kind, VERDICT_ADMIT);
    ck_assert(send_one("8", 1, NOW + 11).brought);
    check_member(view_status(ALICE, 0, NOW + 12), "suspension.offence", "2");
    check_member(view_status(ALICE, 0, NOW + 12), "can_unpause", "false");
    ck_assert_int_eq(end_pause(NOW + 12), 0);
}
END_TEST

/* What a limit has not brought, what is not alone, and what staff helps with already. */
START_TEST(what_no_user_ends)
{
    rig_begin(_i, WITH(SMALL));
    pause_alice();
    check_member(view_status(ALICE, 0, NOW + 7), "can_unpause", "false");
    ck_assert_int_eq(end_pause(NOW + 7), 0); /* the operator does not let users */
    rig_reload(WITH(ALLOWED));
    do_action(&admin, "{'action':'suspend','subject':'" ALICE "','cause':'terms','for':'1h',"
                      "'note':'n'}", NOW + 7);
    ck_assert_int_eq(end_pause(NOW + 8), 0);
    do_action(&admin, "{'action':'lift','subject':'" ALICE "','cause':'terms','note':'n'}", NOW + 8);
    do_action(&admin, "{'action':'extra','subject':'" ALICE "','messages':1,'for':'1h','note':'n'}",
              NOW + 8);
    ck_assert_int_eq(end_pause(NOW + 9), 0);
    ck_assert_int_eq(end_pause(NOW + 9 + HOUR_MS), 1); /* that has ended */
}
END_TEST

START_TEST(what_staff_set)
{
    rig_begin(_i, WITH(ALLOWED));
    ck_assert_int_eq(end_pause(NOW), 0);
    do_action(&admin, "{'action':'suspend','subject':'" ALICE "','cause':'volume','for':'1h',"
                      "'note':'n'}", NOW);
    ck_assert_int_eq(end_pause(NOW + 1), 0);
}
END_TEST

enum { PRESSES = 20 };
struct presser {
    pthread_t thread;
    pthread_barrier_t *begin;
    struct desk desk;
    int result;
};

static void *press(void *context)
{
    struct presser *presser = context;
    struct problem problem;
    pthread_barrier_wait(presser->begin);
    presser->result = desk_unpause(&presser->desk, ALICE, NOW + 7, &problem);
    return NULL;
}

/* Each with a guard of its own, as on another machine. */
START_TEST(twenty_at_the_same_moment)
{
    static struct presser pressers[PRESSES];
    struct guard *guards[PRESSES];
    pthread_barrier_t begin;
    int ended = 0;
    rig_begin(_i, WITH(ALLOWED));
    pause_alice();
    pthread_barrier_init(&begin, NULL, PRESSES);
    for (size_t i = 0; i < PRESSES; i++) {
        guards[i] = guard_new(store, token_key, rig_settings(WITH(ALLOWED)), rig_catalogue());
        pressers[i] = (struct presser){.begin = &begin,
                                       .desk = {.store = store, .guard = guards[i]}};
        ck_assert_int_eq(pthread_create(&pressers[i].thread, NULL, press, &pressers[i]), 0);
    }
    for (size_t i = 0; i < PRESSES; i++) {
        pthread_join(pressers[i].thread, NULL);
        ck_assert_int_ge(pressers[i].result, 0);
        ended += pressers[i].result;
        guard_free(&guards[i]);
    }
    pthread_barrier_destroy(&begin);
    ck_assert_int_eq(ended, 1);
    struct effective_limits limits;
    guard_outdate_limits(guard);
    ck_assert_int_eq(guard_limits(guard, CHANNEL_WEBMAIL, ALICE, "example.test", NOW + 8, &limits), 1);
    ck_assert_int_eq(limits.limits.of[RULE_MESSAGES_PER_DAY], 7);
    ck_assert_int_eq(limits.limits.of[RULE_OFF_DOMAIN_PER_DAY], 22);
}
END_TEST

/* It had begun when it was killed: with its claim alone, and with room as well. Whose that is it leaves
 * alone. */
static void leave_half_done(bool with_room, int64_t now_ms)
{
    int64_t id = atoll(rig_text(view_status(ALICE, 0, now_ms), "suspension.id"));
    const struct kept claim = {.key = "unpause:" ALICE,
                               .value = arena_printf(arena, "%lld %lld", (long long)id,
                                                     (long long)now_ms),
                               .until_ms = now_ms + OFFENCES_REMEMBERED_MS};
    ck_assert_int_eq(store_keep_new(store, KEPT_TRIES, &claim, now_ms, NULL), 1);
    if (with_room)
        do_action(&admin, "{'action':'extra','subject':'" ALICE "','messages':2,'off_domain':2,"
                          "'for':'24h','note':'n'}", now_ms);
}

START_TEST(a_kill_between_its_steps)
{
    for (int with_room = 0; with_room < 2; with_room++) {
        rig_begin(_i, WITH(ALLOWED));
        pause_alice();
        leave_half_done(with_room, NOW + 7);
        check_member(view_status(ALICE, 0, NOW + 7 + MINUTE_MS - 1), "can_unpause", "false");
        ck_assert_int_eq(end_pause(NOW + 7 + MINUTE_MS - 1), 0); /* it may be alive */
        check_member(view_status(ALICE, 0, NOW + 7 + MINUTE_MS), "can_unpause", "true");
        ck_assert_int_eq(end_pause(NOW + 7 + MINUTE_MS), 1);
        check_member(view_status(ALICE, 0, NOW + 8 + MINUTE_MS), "suspension", "null");
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(send_one(i == 0 ? "6" : "7", 1, NOW + 9 + MINUTE_MS).kind,
                             VERDICT_ADMIT);
        ck_assert(send_one("8", 1, NOW + 10 + MINUTE_MS).brought);
        ck_assert_int_eq(end_pause(NOW + 11 + 2 * MINUTE_MS), 0);
    }
}
END_TEST

/* Staff puts the same pause back. */
START_TEST(undone_by_staff)
{
    struct audit lift;
    struct store_page page = {.max = 1};
    rig_begin(_i, WITH(ALLOWED));
    pause_alice();
    ck_assert_int_eq(end_pause(NOW + 7), 1);
    ck_assert_int_eq(store_audit_newest(store, ALICE, INT64_MAX, &lift, &page), 1);
    const char *number = arena_printf(arena, "%lld", (long long)lift.number);
    check_member(VIEW(desk_undo(rig_desk(), &admin, number, words_of("{}"), false, NOW + 8, &made,
                                &fault)), "done", "true");
    check_member(view_status(ALICE, 0, NOW + HOUR_MS), "suspension.offence", "1");
    check_member(view_status(ALICE, 0, NOW + HOUR_MS), "can_unpause", "false");
    ck_assert_int_eq(end_pause(NOW + HOUR_MS), 0);
}
END_TEST

/* The pause is the first in 30 days again, but its user has ended one since: no button is offered
 * that does nothing. */
START_TEST(once_in_30_days_from_then)
{
    const int64_t later_ms = NOW + OFFENCES_REMEMBERED_MS + HOUR_MS;
    rig_begin(_i, WITH(ALLOWED, "suspension.volume=2d"));
    pause_alice();
    ck_assert_int_eq(end_pause(NOW + DAY_MS + HOUR_MS), 1);
    rig_send("later", 5, later_ms, 1);
    ck_assert(send_one("over again", 1, later_ms + 6).brought);
    check_member(view_status(ALICE, 0, later_ms + 7), "suspension.offence", "1");
    check_member(view_status(ALICE, 0, later_ms + 7), "can_unpause", "false");
    ck_assert_int_eq(end_pause(later_ms + 7), 0);
    check_member(view_status(ALICE, 0, later_ms + DAY_MS), "can_unpause", "true");
    ck_assert_int_eq(end_pause(later_ms + DAY_MS), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk unpause");
    TCase *cases = desk_case(suite, "both backends");
    tcase_add_loop_test(cases, once_with_a_little_room, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, what_no_user_ends, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, what_staff_set, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, twenty_at_the_same_moment, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, a_kill_between_its_steps, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, undone_by_staff, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, once_in_30_days_from_then, 0, BACKEND_KINDS);
    return backends_run(suite);
}
