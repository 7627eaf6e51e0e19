/* Staff actions of several people at the same moment; apart from test_desk_action.c, so that the
 * thread sanitizer runs these alone. */
#include <pthread.h>
#include <stdio.h>

#include "base/json.h"
#include "store/audit.h"
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
    giver->result = desk_action(&giver->desk, &supporter, words, false, NOW, &view, &problem);
    return NULL;
}

/* Half of them action on the domain, half on a mailbox of it, each with a guard of its own, as on
 * another machine. givers[i].result is 1 or 0; how many are 1. */
static int give_at_once(struct giver givers[SUPPORTERS], const char *to_domain,
                        const char *to_mailbox)
{
    struct guard *guards[SUPPORTERS];
    pthread_barrier_t begin;
    int given = 0;
    pthread_barrier_init(&begin, NULL, SUPPORTERS);
    for (size_t i = 0; i < SUPPORTERS; i++) {
        guards[i] = guard_new(store, token_key, rig_settings(WITH(SMALL, "desk.max_extra=10")),
                              rig_catalogue());
        givers[i] = (struct giver){.begin = &begin, .desk = {store, guards[i]}, .result = -7};
        snprintf(givers[i].words, sizeof givers[i].words,
                 "{\"action\":\"extra\",\"subject\":\"%s\",\"note\":\"n\",%s}",
                 i % 2 == 0 ? "@example.test" : ALICE, i % 2 == 0 ? to_domain : to_mailbox);
        ck_assert_int_eq(pthread_create(&givers[i].thread, NULL, give, &givers[i]), 0);
    }
    for (size_t i = 0; i < SUPPORTERS; i++) {
        pthread_join(givers[i].thread, NULL);
        ck_assert_int_ge(givers[i].result, 0);
        given += givers[i].result;
        guard_free(&guards[i]);
    }
    pthread_barrier_destroy(&begin);
    return given;
}

/* Each alone is within the caps, two together are not. */
START_TEST(caps_hold_at_the_same_moment)
{
    struct giver givers[SUPPORTERS];
    struct effective_limits limits;
    rig_begin(_i, WITH(SMALL, "desk.max_extra=10"));
    ck_assert_int_ge(give_at_once(givers, "\"messages\":6", "\"messages\":6"), 1);
    guard_outdate_limits(guard);
    ck_assert_int_eq(guard_limits(guard, CHANNEL_WEBMAIL, ALICE, "example.test", NOW, &limits), 1);
    ck_assert_int_eq(limits.limits.of[RULE_MESSAGES_PER_DAY], 11);
}
END_TEST

/* Who is refused for one change has not made the other. */
START_TEST(nothing_is_done_by_halves)
{
    struct giver givers[SUPPORTERS];
    struct audit audit[2 * SUPPORTERS];
    struct store_page page = {.max = countof(audit)};
    size_t expected = 0;
    rig_begin(_i, WITH(SMALL, "desk.max_extra=10"));
    give_at_once(givers, "\"off_domain\":6", "\"messages\":6,\"off_domain\":6");
    for (size_t i = 0; i < SUPPORTERS; i++)
        expected += (size_t)givers[i].result * (i % 2 == 0 ? 1 : 2);
    ck_assert_int_eq(store_audit(store, 0, audit, &page), 1);
    ck_assert_uint_eq(page.count, expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk races");
    TCase *cases = desk_case(suite, "both backends");
    tcase_add_loop_test(cases, caps_hold_at_the_same_moment, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, nothing_is_done_by_halves, 0, BACKEND_KINDS);
    return backends_run(suite);
}
