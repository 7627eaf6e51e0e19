/* Rolling windows: named cases at their edges, then random histories against
 * a count made anew for every question. */
#include <check.h>
#include <stdlib.h>

#include "rules/window.h"

#define T0 INT64_C(1795356300000)

/* ---- named cases ------------------------------------------------------------- */

static struct entry three[] = {
    {.time_ms = T0, .off_domain = 10},
    {.time_ms = T0 + 100},
    {.time_ms = T0 + 200, .off_domain = 5},
};
static const struct history history_of_three = {three, countof(three)};
static const struct history empty = {NULL, 0};

START_TEST(test_used_at_the_edges)
{
    static const struct {
        int64_t now_ms;
        uint64_t messages, off_domain;
    } cases[] = {
        {T0 - 50, 3, 15}, /* later ones count too: clocks of machines differ */
        {T0, 3, 15},          {T0 + 200, 3, 15}, {T0 + 999, 3, 15}, {T0 + 1000, 2, 5},
        {T0 + 1099, 2, 5},    {T0 + 1100, 1, 5}, {T0 + 1199, 1, 5}, {T0 + 1200, 0, 0},
        {T0 + 100000, 0, 0},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        ck_assert_uint_eq(window_used(&history_of_three, MEASURE_MESSAGES, 1000, cases[i].now_ms),
                          cases[i].messages);
        ck_assert_uint_eq(
            window_used(&history_of_three, MEASURE_OFF_DOMAIN, 1000, cases[i].now_ms),
            cases[i].off_domain);
    }
    ck_assert_uint_eq(window_used(&empty, MEASURE_MESSAGES, 1000, T0), 0);
}
END_TEST

START_TEST(test_fits)
{
    ck_assert_int_eq(window_fits(599, 1, 600), 1);
    ck_assert_int_eq(window_fits(600, 1, 600), 0);
    ck_assert_int_eq(window_fits(0, 0, 0), 1);
    ck_assert_int_eq(window_fits(0, 1, 0), 0);
    ck_assert_int_eq(window_fits(UINT32_MAX, UINT32_MAX, -1), 1);
    ck_assert_int_eq(window_fits(UINT64_C(1) << 40, 1, INT32_MAX), 0);
}
END_TEST

START_TEST(test_when_fits_at_the_edges)
{
    static const struct {
        int32_t limit;
        uint64_t cost;
        int64_t at_ms;
    } cases[] = {
        {20, 5, T0 + 300},    {20, 6, T0 + 1000}, {15, 10, T0 + 1000}, {15, 11, T0 + 1200},
        {15, 15, T0 + 1200},  {15, 16, WINDOW_NEVER}, {0, 0, T0 + 1200}, {0, 1, WINDOW_NEVER},
        {-1, 1000, T0 + 300}, {5, 0, T0 + 1000},
    };
    for (size_t i = 0; i < countof(cases); i++)
        ck_assert_int_eq(window_when_fits(&history_of_three, MEASURE_OFF_DOMAIN, 1000,
                                          cases[i].limit, cases[i].cost, T0 + 300),
                         cases[i].at_ms);
    ck_assert_int_eq(window_when_fits(&empty, MEASURE_MESSAGES, 1000, 1, 1, T0), T0);
}
END_TEST

START_TEST(test_refill_names_each_moment)
{
    struct refill steps[4];
    ck_assert_uint_eq(
        window_refill(&history_of_three, MEASURE_OFF_DOMAIN, 1000, T0 + 300, steps, 4), 2);
    ck_assert_int_eq(steps[0].at_ms, T0 + 1000);
    ck_assert_uint_eq(steps[0].count, 10);
    ck_assert_int_eq(steps[1].at_ms, T0 + 1200);
    ck_assert_uint_eq(steps[1].count, 5);
    /* one step for all: named by the last moment */
    ck_assert_uint_eq(
        window_refill(&history_of_three, MEASURE_OFF_DOMAIN, 1000, T0 + 300, steps, 1), 1);
    ck_assert_int_eq(steps[0].at_ms, T0 + 1200);
    ck_assert_uint_eq(steps[0].count, 15);
    ck_assert_uint_eq(window_refill(&empty, MEASURE_MESSAGES, 1000, T0, steps, 4), 0);
    ck_assert_uint_eq(
        window_refill(&history_of_three, MEASURE_MESSAGES, 1000, T0 + 1200, steps, 4), 0);
}
END_TEST

/* ---- random histories ----------------------------------------------------------- */

enum { ENTRIES_MAX = 24, STEPS_MAX = 8, HISTORIES = 4000 };

/* xorshift64: the same histories on every machine. */
static uint64_t random_state;

static uint64_t random_below(uint64_t end)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % end;
}

/* A case: everything a question has. */
struct trial {
    struct entry entries[ENTRIES_MAX];
    struct history history;
    enum measure measure;
    int64_t length_ms, now_ms;
    int32_t limit;
    uint64_t cost;
};

/* Times collide often and lie about one window around now, so that its edges are hit. */
static void make_trial(struct trial *trial, uint64_t seed)
{
    random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    trial->length_ms = 1 + (int64_t)random_below(40);
    trial->measure = random_below(2) == 0 ? MEASURE_MESSAGES : MEASURE_OFF_DOMAIN;
    trial->history = (struct history){trial->entries, random_below(ENTRIES_MAX + 1)};
    int64_t time_ms = T0;
    for (size_t i = 0; i < trial->history.count; i++) {
        time_ms += random_below(3) == 0 ? 0 : (int64_t)random_below(8);
        trial->entries[i] = (struct entry){.time_ms = time_ms,
                                            .off_domain = (uint32_t)random_below(6),
                                            .channel = (enum channel)random_below(2)};
    }
    trial->now_ms = time_ms + (int64_t)random_below((uint64_t)trial->length_ms * 2);
    trial->limit = (int32_t)random_below(40) - 1;
    trial->cost = random_below(20);
}

/* The definition, entry by entry: t counts in every instant of [t, t + length). */
static uint64_t count_at(const struct trial *trial, int64_t at_ms)
{
    uint64_t used = 0;
    for (size_t i = 0; i < trial->history.count; i++) {
        int64_t time_ms = trial->entries[i].time_ms;
        if (time_ms <= at_ms && at_ms < time_ms + trial->length_ms)
            used += trial->measure == MEASURE_MESSAGES ? 1 : trial->entries[i].off_domain;
    }
    return used;
}

static int fits_at(const struct trial *trial, int64_t at_ms)
{
    return trial->limit < 0 || count_at(trial, at_ms) + trial->cost <= (uint64_t)trial->limit;
}

START_TEST(test_used_is_the_count)
{
    struct trial trial;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        make_trial(&trial, seed);
        int64_t last_ms = trial.now_ms + trial.length_ms + 1;
        for (int64_t at_ms = trial.now_ms; at_ms <= last_ms; at_ms++)
            ck_assert_uint_eq(
                window_used(&trial.history, trial.measure, trial.length_ms, at_ms),
                count_at(&trial, at_ms));
    }
}
END_TEST

/* The first moment that fits, found by trying every millisecond. */
static int64_t first_fit(const struct trial *trial)
{
    for (int64_t at_ms = trial->now_ms; at_ms <= trial->now_ms + trial->length_ms; at_ms++)
        if (fits_at(trial, at_ms))
            return at_ms;
    return WINDOW_NEVER;
}

START_TEST(test_when_fits_is_the_first_moment)
{
    struct trial trial;
    int now = 0, later = 0, never = 0;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        make_trial(&trial, seed);
        int64_t at_ms = window_when_fits(&trial.history, trial.measure, trial.length_ms,
                                         trial.limit, trial.cost, trial.now_ms);
        ck_assert_int_eq(at_ms, first_fit(&trial));
        if (at_ms == WINDOW_NEVER) {
            never++;
            ck_assert_uint_gt(trial.cost, (uint64_t)trial.limit);
            continue;
        }
        ck_assert_int_eq(fits_at(&trial, at_ms), 1);
        if (at_ms == trial.now_ms) {
            now++;
        } else {
            later++;
            ck_assert_int_eq(fits_at(&trial, at_ms - 1), 0);
        }
    }
    /* the histories say something about each outcome */
    ck_assert_int_gt(now, HISTORIES / 20);
    ck_assert_int_gt(later, HISTORIES / 20);
    ck_assert_int_gt(never, HISTORIES / 20);
}
END_TEST

static void check_steps(const struct trial *trial, const struct refill *steps, size_t count)
{
    uint64_t used = count_at(trial, trial->now_ms), returned = 0;
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_gt(steps[i].count, 0);
        ck_assert_int_gt(steps[i].at_ms, i == 0 ? trial->now_ms : steps[i - 1].at_ms);
        returned += steps[i].count;
        ck_assert_uint_le(returned, used);
        /* at the named moment so much is back indeed: never too early */
        ck_assert_uint_le(count_at(trial, steps[i].at_ms), used - returned);
    }
    ck_assert_uint_eq(returned, used);
}

/* Moments after now at which something comes back. */
static size_t count_moments(const struct trial *trial)
{
    size_t moments = 0;
    for (int64_t at_ms = trial->now_ms + 1; at_ms <= trial->now_ms + trial->length_ms; at_ms++)
        moments += count_at(trial, at_ms) != count_at(trial, at_ms - 1);
    return moments;
}

START_TEST(test_refill_adds_up_and_never_promises_too_early)
{
    struct trial trial;
    int gathered = 0;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        make_trial(&trial, seed);
        for (size_t max = 1; max <= STEPS_MAX; max++) {
            struct refill steps[STEPS_MAX];
            size_t count = window_refill(&trial.history, trial.measure, trial.length_ms,
                                         trial.now_ms, steps, max);
            size_t moments = count_moments(&trial);
            ck_assert_uint_le(count, max);
            check_steps(&trial, steps, count);
            if (moments <= max) /* nothing had to be gathered: each step exactly */
                ck_assert_uint_eq(count, moments);
            else
                gathered++;
        }
    }
    ck_assert_int_gt(gathered, HISTORIES / 20);
}
END_TEST

START_TEST(test_refill_steps_are_about_equal)
{
    enum { MANY = 600, MAX = 12 };
    static struct entry entries[MANY];
    for (size_t i = 0; i < MANY; i++)
        entries[i] = (struct entry){.time_ms = T0 + (int64_t)i * 1000, .off_domain = 1};
    struct history history = {entries, MANY};
    struct refill steps[MAX];
    ck_assert_uint_eq(window_refill(&history, MEASURE_MESSAGES, DAY_MS, T0 + MANY * 1000, steps,
                                    MAX),
                      MAX);
    for (size_t i = 0; i < MAX; i++) {
        ck_assert_uint_ge(steps[i].count, MANY / MAX / 2);
        ck_assert_uint_le(steps[i].count, MANY / MAX * 2);
    }
    ck_assert_int_eq(steps[MAX - 1].at_ms, entries[MANY - 1].time_ms + DAY_MS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("window");
    TCase *cases = tcase_create("cases"), *random = tcase_create("random histories");
    tcase_add_test(cases, test_used_at_the_edges);
    tcase_add_test(cases, test_fits);
    tcase_add_test(cases, test_when_fits_at_the_edges);
    tcase_add_test(cases, test_refill_names_each_moment);
    tcase_add_test(random, test_used_is_the_count);
    tcase_add_test(random, test_when_fits_is_the_first_moment);
    tcase_add_test(random, test_refill_adds_up_and_never_promises_too_early);
    tcase_add_test(random, test_refill_steps_are_about_equal);
    tcase_set_timeout(random, 60);
    suite_add_tcase(suite, cases);
    suite_add_tcase(suite, random);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
