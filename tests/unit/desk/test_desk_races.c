/* Staff actions of several people at the same moment; apart from test_desk_act.c, so that the
 * thread sanitizer runs these alone. */
#include <pthread.h>
#include <stdio.h>

#include "base/json.h"
#include "tests/unit/desk/desk_rig.h"

enum { SUPPORTERS = 8 };
struct giver {
    pthread_t thread;
    pthread_barrier_t *begin;
    struct desk desk;
    char words[200];
    int result;
};

static void *give(void *context)
{
    struct giver *giver = context;
    freed_by(json_put) struct json_object *words = json_read(giver->words), *view = NULL;
    struct problem problem;
    pthread_barrier_wait(giver->begin);
    giver->result = desk_act(&giver->desk, &supporter, words, false, NOW, &view, &problem);
    return NULL;
}

/* Each alone is within the caps, two together are not; each works with a guard of its own, as on
 * another machine. */
START_TEST(caps_hold_at_the_same_moment)
{
    struct giver givers[SUPPORTERS];
    struct guard *guards[SUPPORTERS];
    pthread_barrier_t begin;
    int given = 0;
    rig_begin(_i, WITH(SMALL, "desk.max_extra=10"));
    pthread_barrier_init(&begin, NULL, SUPPORTERS);
    for (size_t i = 0; i < SUPPORTERS; i++) {
        guards[i] = guard_new(store, token_key, rig_settings(WITH(SMALL, "desk.max_extra=10")),
                              rig_catalogue());
        givers[i] = (struct giver){.begin = &begin, .desk = {store, guards[i]}, .result = -7};
        snprintf(givers[i].words, sizeof givers[i].words,
                 "{\"act\":\"extra\",\"subject\":\"%s\",\"note\":\"n\",\"messages\":6}",
                 i % 2 == 0 ? "@example.test" : ALICE);
        ck_assert_int_eq(pthread_create(&givers[i].thread, NULL, give, &givers[i]), 0);
    }
    for (size_t i = 0; i < SUPPORTERS; i++) {
        pthread_join(givers[i].thread, NULL);
        ck_assert_int_ge(givers[i].result, 0);
        given += givers[i].result;
    }
    struct policy_limits limits;
    guard_outdate_limits(guard);
    ck_assert_int_eq(guard_limits(guard, DOOR_WEBMAIL, ALICE, "example.test", NOW, &limits), 1);
    ck_assert_int_eq(limits.limits.of[RULE_MESSAGES_PER_DAY], 11);
    ck_assert_int_ge(given, 1);
    for (size_t i = 0; i < SUPPORTERS; i++)
        guard_free(&guards[i]);
    pthread_barrier_destroy(&begin);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk races");
    TCase *cases = desk_case(suite, "both rooms");
    tcase_add_loop_test(cases, caps_hold_at_the_same_moment, 0, ROOM_KINDS);
    return rooms_run(suite);
}
