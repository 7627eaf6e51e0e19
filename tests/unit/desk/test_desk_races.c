/* Staff actions of several people at the same moment; apart from test_desk_action.c, so that the
 * thread sanitizer runs these alone. */
#include <pthread.h>
#include <stdio.h>

#include "base/json.h"
#include "guard/block_values.h"
#include "store/audit.h"
#include "tests/unit/desk/desk_rig.h"

#define SETTINGS WITH(SMALL, "desk.max_extra=10", "desk.second_approval=yes")

enum { SUPPORTERS = 8 };
struct giver {
    pthread_t thread;
    pthread_barrier_t *begin;
    const struct person *person;
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
    giver->result = desk_action(&giver->desk, giver->person, words, false, NOW, &view, &problem);
    return NULL;
}

/* Half of them action on the domain, half on a mailbox of it, each with a guard of its own, as on
 * another machine. givers[i].result is 1 or 0; how many are 1. */
static int give_at_once(struct giver givers[SUPPORTERS], const struct person *person,
                        const char *to_domain, const char *to_mailbox)
{
    struct guard *guards[SUPPORTERS];
    pthread_barrier_t begin;
    int given = 0;
    pthread_barrier_init(&begin, NULL, SUPPORTERS);
    for (size_t i = 0; i < SUPPORTERS; i++) {
        guards[i] = guard_new(store, token_key, rig_settings(SETTINGS), rig_catalogue());
        givers[i] = (struct giver){.begin = &begin, .person = person,
                                   .desk = {.store = store, .guard = guards[i]}, .result = -7};
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
    rig_begin(_i, SETTINGS);
    ck_assert_int_ge(give_at_once(givers, &supporter, "\"messages\":6", "\"messages\":6"), 1);
    guard_outdate_limits(guard);
    ck_assert_int_eq(guard_limits(guard, CHANNEL_WEBMAIL, ALICE, "example.test", NOW, &limits), 1);
    ck_assert_int_eq(limits.limits.of[RULE_MESSAGES_PER_DAY], 11);
}
END_TEST

/* Each alone needs nobody else, two together come above ten times the limit. */
START_TEST(two_people_at_the_same_moment)
{
    struct giver givers[SUPPORTERS];
    struct effective_limits limits;
    rig_begin(_i, SETTINGS);
    ck_assert_int_ge(give_at_once(givers, &admin, "\"messages\":30", "\"messages\":30"), 1);
    guard_outdate_limits(guard);
    ck_assert_int_eq(guard_limits(guard, CHANNEL_WEBMAIL, ALICE, "example.test", NOW, &limits), 1);
    ck_assert_int_eq(limits.limits.of[RULE_MESSAGES_PER_DAY], 35);
}
END_TEST

/* Who is refused for one change has not made the other. */
START_TEST(nothing_is_done_by_halves)
{
    struct giver givers[SUPPORTERS];
    struct audit audit[2 * SUPPORTERS];
    struct store_page page = {.max = countof(audit)};
    size_t expected = 0;
    rig_begin(_i, SETTINGS);
    give_at_once(givers, &supporter, "\"off_domain\":6", "\"messages\":6,\"off_domain\":6");
    for (size_t i = 0; i < SUPPORTERS; i++)
        expected += (size_t)givers[i].result * (i % 2 == 0 ? 1 : 2);
    ck_assert_int_eq(store_audit(store, 0, audit, &page), 1);
    ck_assert_uint_eq(page.count, expected);
}
END_TEST

/* ---- a lift beside a follower of a log ---------------------------------------------------------- */

enum { STEPS = 40 };
static const struct failure_settings failing = FAILURE_DEFAULTS;

/* One outcome, written as the follower does it. 1 or 0, it was changed meanwhile. */
static int follow(struct arena *memory, const struct failure_outcome *outcome)
{
    struct value value = {.kind = VALUE_FAILURES, .key = "example.test"};
    freed_by(failure_window_free) struct failure_window window = {0};
    freed_by(text_free) struct text packed = {0};
    freed_by(block_values_free) struct block_values before = {0}, after = {0};
    struct values_done *done = arena_alloc(memory, sizeof *done);
    struct value_change changes[8];
    ck_assert_int_eq(store_values_get(store, memory, &value, 1, NOW), 1);
    if (value.length > 0)
        ck_assert_int_eq(failure_window_read(value.bytes, value.length, &window), 1);
    block_values_of(&window, &failing, value.key, &before);
    failure_window_take(&window, &failing, outcome);
    failure_window_pass(&window, &failing, outcome->at_ms + 1);
    block_values_of(&window, &failing, value.key, &after);
    failure_window_add(&packed, &window);
    changes[0] = (struct value_change){
        .value = {.kind = VALUE_FAILURES, .key = value.key, .bytes = packed.data,
                  .length = packed.length, .until_ms = NOW + DAY_MS},
        .replaces = value.version};
    size_t count = block_values_changes(&before, &after, changes + 1, countof(changes) - 1);
    int answer = store_values_change(store, &(struct values_step){.changes = changes,
                                                                  .count = count + 1,
                                                                  .now_ms = NOW}, done);
    ck_assert_int_ge(answer, 0);
    return answer;
}

static struct failure_outcome outcome_of(uint64_t number, enum failure_came came, int64_t at_ms)
{
    return (struct failure_outcome){.unit = number, .message = number, .mailbox = ALICE,
                                    .site = "x.test", .first = true, .came = came,
                                    .admitted_ms = at_ms, .at_ms = at_ms, .read_ms = at_ms};
}

/* Goes on with mail that arrives. */
static void *follow_on(void *context)
{
    freed_by(arena_free) struct arena *memory = arena_new();
    pthread_barrier_wait(context);
    for (uint64_t i = 0; i < STEPS; i++) {
        struct failure_outcome outcome = outcome_of(1000 + i, FAILURE_DELIVERED, NOW);
        outcome.admitted_ms = NOW + 2 * HOUR_MS; /* of before the block's end none enters */
        while (follow(memory, &outcome) == 0)
            arena_reset(memory);
        arena_reset(memory);
    }
    return NULL;
}

/* The follower here writes without a pause, so that one try may not do. */
static void lift_in_the_end(void)
{
    int result = 0;
    struct json_object *words =
        words_of("{'action':'lift','subject':'@example.test','note':'n'}"), *view = NULL;
    for (int i = 0; i <= STEPS && result == 0; i++) {
        struct problem problem = {0};
        result = desk_action(rig_desk(), &supporter, words, false, NOW, &view, &problem);
        ck_assert_int_eq(problem.status, result == 0 ? 409 : 0);
    }
    ck_assert_int_eq(result, 1);
    json_put(&view);
}

/* Neither loses what the other has written. */
START_TEST(lift_beside_a_follower)
{
    struct value value;
    struct failure_window window;
    struct audit audit[4];
    struct store_page page = {.max = countof(audit)};
    pthread_t follower;
    pthread_barrier_t both;
    rig_begin(_i, WITH(SMALL));
    for (uint64_t i = 1; i <= 10; i++) {
        const struct failure_outcome outcome = outcome_of(i, FAILURE_FAILED, NOW - MINUTE_MS);
        ck_assert_int_eq(follow(arena, &outcome), 1);
    }
    pthread_barrier_init(&both, NULL, 2);
    ck_assert_int_eq(pthread_create(&follower, NULL, follow_on, &both), 0);
    pthread_barrier_wait(&both);
    lift_in_the_end();
    pthread_join(follower, NULL);
    pthread_barrier_destroy(&both);
    ck_assert_int_eq(store_value(store, arena, VALUE_FAILURES, "example.test", NOW, &value), 1);
    ck_assert_int_eq(failure_window_read(value.bytes, value.length, &window), 1);
    ck_assert_uint_eq(window.block_count, 1);
    ck_assert_uint_eq(window.blocks[0].ended, FAILURE_LIFTED);
    ck_assert_uint_eq(window.decided.count, STEPS);
    failure_window_free(&window);
    ck_assert_int_eq(store_value(store, arena, VALUE_BLOCK, "example.test", NOW, &value), 0);
    ck_assert_int_eq(store_audit(store, 0, audit, &page), 1);
    ck_assert_uint_eq(page.count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk races");
    TCase *cases = desk_case(suite, "both backends");
    tcase_add_loop_test(cases, caps_hold_at_the_same_moment, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, two_people_at_the_same_moment, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, nothing_is_done_by_halves, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, lift_beside_a_follower, 0, BACKEND_KINDS);
    return backends_run(suite);
}
