/* Explores everything that can happen to a few processes that follow reservations.c: each next call
 * arrives, arrives late, or never; its answer arrives or is lost; the process dies; time passes. In
 * every state that this leads to the invariants hold. With a fault planted one of them does not:
 * that shows that the checker would find it. What happened until then is printed with V=1. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tests/unit/rules/reservations.h"

enum invariant {
    HOLD_ALL,
    OVER_LIMIT,            /* no window holds more than its limit of what was admitted */
    FORGOTTEN,             /* what was admitted is in its mailbox and in every window */
    NEVER_ENDS,            /* reservations end: then what has room passes, whoever died */
    REFUSED_WITHOUT_CAUSE, /* the window is full, or a reservation is undecided */
};
static const char *const invariant_names[] = {"all hold", "a window is over its limit",
                                              "an admitted message is forgotten",
                                              "a reservation does not end",
                                              "refused although there is room"};

struct event {
    const char *what;
    int place;
    struct call call;
    enum answer answer;
};

enum { EVENTS_MAX = 128 };
static struct {
    uint64_t *seen; /* hashes of the states; 0: free */
    size_t size, count;
    struct event events[EVENTS_MAX];
    int event_count;
    enum invariant wanted, broken; /* wanted: HOLD_ALL looks at all */
    bool ended; /* `events` lead to what is broken */
    bool answered[CALL_KINDS][ANSWERS];
} exploration;

/* ---- what was seen ------------------------------------------------------------------- */

static uint64_t hash_of(const struct state *state)
{
    uint64_t words[sizeof *state / 8 + 1] = {0}, hash = 1;
    memcpy(words, state, sizeof *state);
    for (size_t i = 0; i < countof(words); i++) {
        hash = (hash ^ words[i]) * UINT64_C(0x9FB21C651E98DF25);
        hash ^= hash >> 32;
    }
    return hash != 0 ? hash : 1;
}

static bool put_hash(uint64_t *seen, size_t size, uint64_t hash)
{
    size_t place = (size_t)hash & (size - 1);
    while (seen[place] != 0 && seen[place] != hash)
        place = (place + 1) & (size - 1);
    bool is_new = seen[place] == 0;
    seen[place] = hash;
    return is_new;
}

static bool is_new(const struct state *state)
{
    if (2 * exploration.count >= exploration.size) {
        size_t size = exploration.size != 0 ? 2 * exploration.size : 1 << 16;
        uint64_t *seen = calloc(size, sizeof *seen);
        ck_assert_ptr_nonnull(seen);
        for (size_t i = 0; i < exploration.size; i++)
            if (exploration.seen[i] != 0)
                put_hash(seen, size, exploration.seen[i]);
        free(exploration.seen);
        exploration.seen = seen;
        exploration.size = size;
    }
    if (!put_hash(exploration.seen, exploration.size, hash_of(state)))
        return false;
    exploration.count++;
    return true;
}

static void broken(enum invariant invariant)
{
    if (exploration.broken == HOLD_ALL &&
        (exploration.wanted == HOLD_ALL || exploration.wanted == invariant))
        exploration.broken = invariant;
}

/* ---- the invariants -------------------------------------------------------------------- */

/* What the messages that passed hold of a window that ends at that moment. */
static int really_used(const struct state *state, const struct setup *setup, int window, int at)
{
    int sum = 0;
    for (int i = 0; i < setup->tasks; i++)
        if (state->passed[i] && state->stamp[window][i] <= at &&
            state->stamp[window][i] > at - setup->length)
            sum += setup->task[i].weight;
    return sum;
}

static void check_limits(const struct state *state, const struct setup *setup)
{
    for (int w = 0; w < setup->windows; w++)
        for (int i = 0; i < setup->tasks; i++)
            if (state->passed[i] &&
                really_used(state, setup, w, state->stamp[w][i]) > setup->limit)
                broken(OVER_LIMIT);
}

static bool submission_passed(const struct state *state, const struct setup *setup, int place)
{
    for (int i = 0; i < setup->tasks; i++)
        if (setup->task[i].submission == setup->task[place].submission &&
            (state->passed[i] || state->refunded[i]))
            return true;
    return false;
}

static void check_memory(const struct state *state, const struct setup *setup)
{
    for (int i = 0; i < setup->tasks; i++) {
        if (state->process[i].told == TOLD_SENT && !submission_passed(state, setup, i))
            broken(FORGOTTEN);
        for (int w = 0; w < setup->windows; w++)
            if (state->passed[i] && !state->window[w][i].there)
                broken(FORGOTTEN);
    }
}

/* Everybody is dead and every end has passed: a message that just fits into what is really free is
 * admitted, with nobody's help but its own. */
static void check_ends(struct state state, struct setup setup)
{
    int place = setup.tasks, room = setup.limit;
    struct process *process = &state.process[place];
    struct call calls[WINDOWS_MAX];
    for (int w = 0; w < setup.windows; w++)
        for (int i = 0; i < setup.tasks; i++)
            if (state.window[w][i].end > state.now)
                state.now = state.window[w][i].end;
    for (int w = 0; w < setup.windows; w++) {
        int at = state.now;
        for (int i = 0; i < setup.tasks; i++)
            at = state.passed[i] && state.stamp[w][i] > at ? state.stamp[w][i] : at;
        int left = setup.limit - really_used(&state, &setup, w, at);
        room = left < room ? left : room;
    }
    if (room <= 0)
        return;
    setup.task[setup.tasks++] = (struct task){.mailbox = 9, .submission = 9,
                                              .weight = (int8_t)room};
    process_begins(&state, &setup, place);
    while (process_calls(&state, &setup, place, calls) > 0)
        process_hears(&state, &setup, &calls[0], slot_receives(&state, &setup, &calls[0]));
    if (process->told != TOLD_SENT)
        broken(NEVER_ENDS);
}

/* Full is what passed; undecided may be what passed, too. */
static void check_refusal(const struct state *state, const struct setup *setup,
                          const struct call *call, enum answer answer)
{
    if (call->kind != RESERVE || answer == GRANTED)
        return;
    const struct reserved *all = state->window[call->window];
    int at = call->now, undecided = 0, perhaps = 0;
    for (int i = 0; i < setup->tasks; i++)
        at = all[i].time > at ? all[i].time : at;
    for (int i = 0; i < setup->tasks; i++)
        if (all[i].by != 0 && all[i].time > at - setup->length) {
            undecided++;
            perhaps += state->passed[i] ? 0 : all[i].weight;
        }
    int with = really_used(state, setup, call->window, at) + setup->task[call->message].weight;
    if (answer == FULL ? with <= setup->limit : undecided == 0 || with + perhaps <= setup->limit)
        broken(REFUSED_WITHOUT_CAUSE);
}

/* ---- the exploration ---------------------------------------------------------------------- */

static void explore(const struct state *state, const struct setup *setup);

/* What makes no difference any more: what a process that has ended knew; when a message came that
 * did not pass. */
static void forget(struct state *state)
{
    for (int i = 0; i < TASKS_MAX; i++) {
        struct process *process = &state->process[i];
        if (process->step == OVER_AND_OUT)
            *process = (struct process){.step = OVER_AND_OUT,
                                        .told = process->told == TOLD_SENT ? TOLD_SENT : 0};
        for (int w = 0; w < WINDOWS_MAX; w++)
            if (!state->passed[i] && !state->window[w][i].there)
                state->stamp[w][i] = 0;
    }
}

static void go_on(struct state *next, const struct setup *setup, struct event event)
{
    forget(next);
    if (exploration.ended || (exploration.broken == HOLD_ALL && !is_new(next)))
        return;
    if (exploration.event_count == EVENTS_MAX) /* each ck_assert writes into a file */
        ck_abort_msg("more events than the checker has room for");
    exploration.events[exploration.event_count++] = event;
    check_limits(next, setup);
    check_memory(next, setup);
    check_ends(*next, *setup);
    exploration.ended = exploration.broken != HOLD_ALL;
    if (!exploration.ended)
        explore(next, setup);
    if (!exploration.ended)
        exploration.event_count--;
}

static enum answer arrive(struct state *state, const struct setup *setup, const struct call *call)
{
    enum answer answer = slot_receives(state, setup, call);
    exploration.answered[call->kind][answer] = true;
    check_refusal(state, setup, call, answer);
    return answer;
}

/* A call that nobody waits for any more. The order of those does not matter. */
static bool put_late(struct state *state, const struct call *call)
{
    struct call given = *call;
    for (int i = 0; i < LATE_CALLS_MAX; i++) {
        if (memcmp(&given, &state->late[i], sizeof given) > 0) {
            struct call other = state->late[i];
            state->late[i] = given;
            given = other;
        }
    }
    return given.kind == 0;
}

static void deliver(const struct state *state, const struct setup *setup, struct event event)
{
    struct state next = *state;
    event.what = "is answered";
    event.answer = arrive(&next, setup, &event.call);
    process_hears(&next, setup, &event.call, event.answer);
    go_on(&next, setup, event);
}

static void lose_answer(const struct state *state, const struct setup *setup, struct event event)
{
    struct state next = *state;
    next.troubles--;
    event.what = "does not get the answer";
    event.answer = arrive(&next, setup, &event.call);
    process_hears(&next, setup, &event.call, NO_ANSWER);
    go_on(&next, setup, event);
}

static void delay(const struct state *state, const struct setup *setup, struct event event,
                  bool dies)
{
    struct state next = *state;
    next.troubles--;
    event.what = dies ? "dies, the call is on its way" : "gives up, the call is on its way";
    bool fits = put_late(&next, &event.call);
    if (dies)
        next.process[event.place].step = OVER_AND_OUT;
    else
        process_hears(&next, setup, &event.call, NO_ANSWER);
    if (fits)
        go_on(&next, setup, event);
}

static void die(const struct state *state, const struct setup *setup, int place)
{
    struct state next = *state;
    next.troubles--;
    next.process[place].step = OVER_AND_OUT;
    go_on(&next, setup, (struct event){.what = "dies", .place = place});
}

static void explore_process(const struct state *state, const struct setup *setup, int place)
{
    struct call calls[WINDOWS_MAX];
    struct state next = *state;
    if (next.process[place].step == BEGINNING)
        process_begins(&next, setup, place);
    state = &next;
    int count = process_calls(state, setup, place, calls);
    for (int i = 0; i < count; i++) {
        struct event event = {.place = place, .call = calls[i]};
        deliver(state, setup, event);
        if (state->troubles == 0)
            continue;
        lose_answer(state, setup, event);
        delay(state, setup, event, false);
        delay(state, setup, event, true);
    }
    if (count > 0 && state->troubles > 0)
        die(state, setup, place);
}

static void explore(const struct state *state, const struct setup *setup)
{
    struct state next;
    for (int place = 0; place < setup->tasks; place++)
        explore_process(state, setup, place);
    for (int i = 0; i < LATE_CALLS_MAX && state->late[i].kind != 0; i++) {
        struct event event = {"arrives late", state->late[i].from, state->late[i], NO_ANSWER};
        next = *state;
        for (int j = i; j < LATE_CALLS_MAX; j++)
            next.late[j] = j + 1 < LATE_CALLS_MAX ? state->late[j + 1] : (struct call){0};
        event.answer = arrive(&next, setup, &event.call);
        go_on(&next, setup, event);
    }
    if (setup->resets && !state->reset) {
        next = *state;
        mailbox_reset(&next, setup);
        go_on(&next, setup, (struct event){.what = "mailbox 0 is reset", .place = -1});
    }
    if (state->now < setup->last_moment) {
        next = *state;
        next.now++;
        go_on(&next, setup, (struct event){.what = "time passes", .place = -1});
    }
}

static void print_events(const struct setup *setup)
{
    static const char *const kinds[CALL_KINDS] = {"", "RESERVE", "SETTLE", "DOUBT", "JUDGE",
                                                  "ASK", "FIND", "TAKE_OUT"};
    static const char *const answers[ANSWERS] = {
        "-", "", "done", "not there", "late", "granted", "full", "undecided", "counted", "never",
        "not yet", "admitted", "repeated", "refused", "over"};
    if (getenv("V") == NULL)
        return;
    printf("%s, fault %d: %s\n", setup->name, setup->fault, invariant_names[exploration.broken]);
    for (int i = 0; i < exploration.event_count; i++) {
        const struct event *event = &exploration.events[i];
        if (event->place >= 0)
            printf("  process %d %s", event->place, event->what);
        else
            printf("  %s", event->what);
        if (event->call.kind != 0)
            printf(": %s window %d message %d: %s", kinds[event->call.kind], event->call.window,
                   event->call.message, answers[event->answer]);
        printf("\n");
    }
}

/* Which invariant is broken first, of all or of the one that is `wanted`. */
static enum invariant explore_all(const struct setup *setup, enum invariant wanted)
{
    struct state state = {.troubles = setup->troubles};
    exploration.wanted = wanted;
    exploration.broken = HOLD_ALL;
    exploration.ended = false;
    exploration.event_count = 0;
    explore(&state, setup);
    if (exploration.broken != HOLD_ALL)
        print_events(setup);
    if (getenv("V") != NULL)
        printf("%s, fault %d: %zu states\n", setup->name, setup->fault, exploration.count);
    free(exploration.seen);
    exploration.seen = NULL;
    exploration.size = exploration.count = 0;
    return exploration.broken;
}

/* ---- the tests ------------------------------------------------------------------------------ */

/* Of a task: mailbox, submission, weight, by how much its clock is ahead, whether it refunds. */
enum { NETWORK, NETWORK_AND_DOMAIN, AGAIN, REFUND, TWO_REFUNDS };
static const struct setup setups[] = {
    [NETWORK] = {.name = "three messages of one network", .windows = 1, .limit = 2, .length = 2,
                 .mailbox_limit = 1, .patience = 1, .last_moment = 3, .troubles = 2, .tasks = 3,
                 .task = {{0, 0, 2, 0, false}, {1, 1, 1, 1, false}, {1, 2, 1, 0, false}}},
    [NETWORK_AND_DOMAIN] = {.name = "a network and a domain", .windows = 2, .limit = 2,
                            .length = 3, .mailbox_limit = 1, .patience = 2, .last_moment = 3,
                            .troubles = 1, .tasks = 2,
                            .task = {{0, 0, 2, 0, false}, {1, 1, 1, 1, false}}},
    [AGAIN] = {.name = "a submission is sent again", .windows = 1, .limit = 2, .length = 3,
               .mailbox_limit = 2, .patience = 1, .last_moment = 3, .troubles = 1, .tasks = 3,
               .task = {{0, 0, 1, 0, false}, {0, 0, 1, 0, false}, {1, 1, 1, 0, false}}},
    [REFUND] = {.name = "a refund", .windows = 1, .limit = 2, .length = 3, .mailbox_limit = 1,
                .patience = 1, .last_moment = 3, .troubles = 1, .resets = true, .tasks = 3,
                .task = {{0, 0, 2, 0, false}, {0, 0, 0, 0, true}, {1, 1, 1, 1, false}}},
    [TWO_REFUNDS] = {.name = "two refunds", .windows = 1, .limit = 2, .length = 6,
                     .mailbox_limit = 1, .patience = 2, .last_moment = 4, .tasks = 4,
                     .task = {{0, 0, 2, 0, false},
                              {0, 0, 0, 0, true},
                              {0, 0, 0, 0, true},
                              {1, 1, 1, 0, false}}},
};

/* `tests/run --long` looks at one trouble more in each. */
START_TEST(test_invariants_hold)
{
    for (size_t i = 0; i < countof(setups); i++) {
        struct setup setup = setups[i];
        if (getenv("SENDGUARD_LONG") != NULL)
            setup.troubles++;
        enum invariant found = explore_all(&setup, HOLD_ALL);
        ck_assert_msg(found == HOLD_ALL, "%s: %s (V=1 CK_FORK=no prints how)", setup.name,
                      invariant_names[found]);
    }
    static const enum answer expected[CALL_KINDS][8] = {
        [RESERVE] = {GRANTED, FULL, UNDECIDED},
        [SETTLE] = {DONE, NOT_THERE},
        [DOUBT] = {DONE, NOT_THERE},
        [JUDGE] = {ADMITTED, REPEATED, REFUSED, OVER, LATE},
        [ASK] = {COUNTED, NEVER, NOT_YET},
        [FIND] = {DONE, NOT_THERE},
        [TAKE_OUT] = {DONE, NOT_THERE, LATE}};
    for (int kind = RESERVE; kind < CALL_KINDS; kind++)
        for (int i = 0; expected[kind][i] != NO_ANSWER; i++)
            ck_assert_msg(exploration.answered[kind][expected[kind][i]],
                          "call %d was never answered by %d", kind, expected[kind][i]);
}
END_TEST

static const struct {
    enum fault fault;
    int setup;
    enum invariant breaks;
} planted[] = {
    {FAULT_STEP_AFTER_END, NETWORK, OVER_LIMIT},
    {FAULT_STEP_AFTER_END, NETWORK_AND_DOMAIN, OVER_LIMIT},
    {FAULT_STEP_AFTER_END, NETWORK, FORGOTTEN},
    {FAULT_STEP_AFTER_END, REFUND, NEVER_ENDS},
    {FAULT_ENDS_BY_OTHER_CLOCK, NETWORK, OVER_LIMIT},
    {FAULT_ENDS_BY_OTHER_CLOCK, NETWORK, FORGOTTEN},
    {FAULT_END_IS_REFUND, NETWORK, OVER_LIMIT},
    {FAULT_END_IS_REFUND, AGAIN, FORGOTTEN},
    {FAULT_END_IS_CONFIRM, NETWORK, NEVER_ENDS},
    {FAULT_END_IS_CONFIRM, NETWORK, REFUSED_WITHOUT_CAUSE},
    {FAULT_NO_ANSWER_IS_REFUND, NETWORK, OVER_LIMIT},
    {FAULT_NO_ANSWER_IS_REFUND, AGAIN, FORGOTTEN},
    {FAULT_REFUND_TWICE, NETWORK, OVER_LIMIT},
    {FAULT_REFUND_TWICE, AGAIN, FORGOTTEN},
    {FAULT_UNDECIDED_IS_FREE, NETWORK, OVER_LIMIT},
    {FAULT_UNDECIDED_IS_FULL, NETWORK, REFUSED_WITHOUT_CAUSE},
    {FAULT_NOBODY_ASKS, NETWORK, NEVER_ENDS},
    {FAULT_TOLD_TOO_EARLY, NETWORK, FORGOTTEN},
    {FAULT_SETTLED_BY_ANYBODY, REFUND, NEVER_ENDS},
    {FAULT_REFUND_WITHOUT_DOUBT, REFUND, REFUSED_WITHOUT_CAUSE},
    {FAULT_DOUBT_SHORTENS, TWO_REFUNDS, NEVER_ENDS},
    {FAULT_RESET_FORGETS, REFUND, OVER_LIMIT},
    {FAULT_RESET_FORGETS, REFUND, FORGOTTEN},
};

START_TEST(test_planted_fault_is_found)
{
    struct setup setup = setups[planted[_i].setup];
    setup.fault = planted[_i].fault;
    ck_assert_str_eq(invariant_names[explore_all(&setup, planted[_i].breaks)],
                     invariant_names[planted[_i].breaks]);
}
END_TEST

START_TEST(test_every_fault_is_planted)
{
    bool is_planted[FAULT_COUNT] = {[FAULT_NONE] = true};
    for (size_t i = 0; i < countof(planted); i++)
        is_planted[planted[i].fault] = true;
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        ck_assert_msg(is_planted[fault], "fault %d is not planted", fault);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reservations");
    TCase *cases = tcase_create("model");
    tcase_set_timeout(cases, getenv("SENDGUARD_LONG") != NULL ? 600 : 60);
    tcase_add_test(cases, test_invariants_hold);
    tcase_add_loop_test(cases, test_planted_fault_is_found, 0, countof(planted));
    tcase_add_test(cases, test_every_fault_is_planted);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
