/* When a recipient fails so often that it is blocked: edges, and against a model that remembers
 * everything. SENDGUARD_SEED repeats a run. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/recipient_block.h"
#include "tests/unit/store/chance.h"
#include "tests/unit/store/servers.h"

/* A Monday noon. */
#define NOON (INT64_C(20000) * DAY_MS + 12 * HOUR_MS)
enum { BOB = 7, EVE = 8, SITE = 1, OTHER_SITE = 2 };

static struct recipient_history history;
static struct recipient_block made[RECIPIENT_BLOCKS_MAX];

static void begin(void) { history = (struct recipient_history){0}; }

static size_t take_outcome(uint64_t message, enum recipient_why why, int64_t at_ms)
{
    return recipient_block_take(&history,
                                &(struct recipient_outcome){.message = message, .mailbox = BOB,
                                                              .site = SITE, .why = why,
                                                              .at_ms = at_ms},
                                made);
}

/* The very first outcome of a message of that mailbox. */
static size_t take_turn(uint32_t mailbox, int64_t at_ms)
{
    return recipient_block_take(&history,
                                &(struct recipient_outcome){.message = 1, .mailbox = mailbox,
                                                              .site = SITE, .first = true,
                                                              .why = RECIPIENT_NOISE,
                                                              .at_ms = at_ms},
                                made);
}

/* ---- recipients ------------------------------------------------------------------------------ */

START_TEST(test_a_day_apart)
{
    enum recipient_why why = (enum recipient_why)_i;
    ck_assert_uint_eq(take_outcome(1, why, NOON), 0);
    ck_assert_uint_eq(take_outcome(2, why, NOON + DAY_MS - 1), 0);
    ck_assert_uint_eq(take_outcome(1, why, NOON + 2 * DAY_MS), 0); /* a retry */
    ck_assert_uint_eq(take_outcome(3, why, NOON + DAY_MS), 1);
    ck_assert_int_eq(made[0].why, why);
    ck_assert_uint_eq(made[0].count, 3);
    ck_assert_int_eq(made[0].over_ms, DAY_MS);
    ck_assert(recipient_block_is_empty(&history));
    ck_assert_int_eq(recipient_block_ms(why), 30 * DAY_MS);
}
END_TEST

START_TEST(test_within_30_days)
{
    take_outcome(1, RECIPIENT_ADDRESS_UNKNOWN, NOON);
    ck_assert_uint_eq(take_outcome(2, RECIPIENT_ADDRESS_UNKNOWN, NOON + 30 * DAY_MS), 0);
    begin();
    take_outcome(1, RECIPIENT_ADDRESS_UNKNOWN, NOON);
    ck_assert_uint_eq(take_outcome(2, RECIPIENT_ADDRESS_UNKNOWN, NOON + 30 * DAY_MS - 1), 1);
}
END_TEST

/* A line of another server's log, read later. */
START_TEST(test_out_of_order)
{
    take_outcome(2, RECIPIENT_ADDRESS_UNKNOWN, NOON + DAY_MS);
    ck_assert_uint_eq(take_outcome(1, RECIPIENT_ADDRESS_UNKNOWN, NOON), 1);
}
END_TEST

/* A clock that was ahead for a while makes no two days of one. */
START_TEST(test_clock_set_back)
{
    take_outcome(1, RECIPIENT_ADDRESS_UNKNOWN, NOON + DAY_MS + 1);
    ck_assert_uint_eq(take_outcome(2, RECIPIENT_ADDRESS_UNKNOWN, NOON), 0);
    ck_assert_uint_eq(history.failure_count, 1);
    ck_assert_uint_eq(take_outcome(3, RECIPIENT_ADDRESS_UNKNOWN, NOON + DAY_MS), 1);
    for (int i = 0; i < 7; i++)
        take_turn(1, NOON + 9 * DAY_MS + i * MINUTE_MS);
    take_turn(1, NOON);
    ck_assert_uint_eq(history.run_count, 1);
    ck_assert_uint_eq(history.runs[0].count, 1);
}
END_TEST

START_TEST(test_classes_count_apart)
{
    take_outcome(1, RECIPIENT_ADDRESS_UNKNOWN, NOON);
    ck_assert_uint_eq(take_outcome(2, RECIPIENT_MAILBOX_OFF, NOON + DAY_MS), 0);
    ck_assert_uint_eq(take_outcome(3, RECIPIENT_MAILBOX_FULL, NOON + DAY_MS), 0);
    ck_assert_uint_eq(take_outcome(4, RECIPIENT_NOISE, NOON + DAY_MS), 0);
    ck_assert_uint_eq(take_outcome(1, RECIPIENT_MAILBOX_OFF, NOON + 2 * DAY_MS), 1);
}
END_TEST

START_TEST(test_full)
{
    const enum recipient_why why = RECIPIENT_MAILBOX_FULL;
    take_outcome(1, why, NOON);
    take_outcome(2, why, NOON + 1);
    ck_assert_uint_eq(take_outcome(2, why, NOON + HOUR_MS), 0); /* a retry */
    ck_assert_uint_eq(take_outcome(3, why, NOON + 72 * HOUR_MS), 0);
    ck_assert_uint_eq(take_outcome(4, why, NOON + 72 * HOUR_MS), 1);
    ck_assert_uint_eq(made[0].count, 3);
    ck_assert_int_eq(made[0].over_ms, 72 * HOUR_MS - 1);
    ck_assert_int_eq(recipient_block_ms(why), 7 * DAY_MS);
    take_outcome(1, why, NOON);
    take_outcome(2, why, NOON);
    ck_assert_uint_eq(take_outcome(3, why, NOON + 72 * HOUR_MS - 1), 1);
}
END_TEST

START_TEST(test_greylisted)
{
    struct recipient_outcome outcome = {.message = 1, .mailbox = BOB, .greylisted = true,
                                        .first = true, .why = RECIPIENT_MAILBOX_FULL,
                                        .at_ms = NOON};
    for (; outcome.message < 20; outcome.message++)
        ck_assert_uint_eq(recipient_block_take(&history, &outcome, made), 0);
    ck_assert(recipient_block_is_empty(&history));
}
END_TEST

START_TEST(test_delivered)
{
    take_outcome(1, RECIPIENT_ADDRESS_UNKNOWN, NOON);
    recipient_block_deliver(&history, EVE);
    ck_assert(recipient_block_is_empty(&history));
    ck_assert_uint_eq(take_outcome(2, RECIPIENT_ADDRESS_UNKNOWN, NOON + DAY_MS), 0);
}
END_TEST

START_TEST(test_left_out)
{
    take_outcome(1, RECIPIENT_ADDRESS_UNKNOWN, NOON);
    recipient_block_leave_out(&history, OTHER_SITE, NOON, NOON);
    recipient_block_leave_out(&history, SITE, NOON - HOUR_MS, NOON - 1);
    recipient_block_leave_out(&history, SITE, NOON + 1, NOON + HOUR_MS);
    ck_assert(!recipient_block_is_empty(&history));
    recipient_block_leave_out(&history, SITE, NOON, NOON);
    ck_assert(recipient_block_is_empty(&history));
    ck_assert_uint_eq(take_outcome(2, RECIPIENT_ADDRESS_UNKNOWN, NOON + DAY_MS), 0);
}
END_TEST

/* However many fail at once, the oldest is remembered, and no retry counts as a new message. */
START_TEST(test_too_many)
{
    const enum recipient_why why = RECIPIENT_ADDRESS_UNKNOWN;
    for (uint64_t message = 1; message <= 50; message++)
        ck_assert_uint_eq(take_outcome(message, why, NOON + (int64_t)message), 0);
    ck_assert_uint_eq(history.failure_count, RECIPIENT_FAILURES_MAX);
    for (uint64_t message = 1; message <= 50; message++)
        ck_assert_uint_eq(take_outcome(message, why, NOON + 2 * DAY_MS), 0);
    ck_assert_uint_eq(take_outcome(51, why, NOON + DAY_MS), 0); /* the first was at NOON + 1 */
    ck_assert_uint_eq(take_outcome(52, why, NOON + DAY_MS + 1), 1);
}
END_TEST

/* ---- noise ----------------------------------------------------------------------------------- */

static size_t take_run(uint32_t mailbox, int64_t from_ms, int64_t gap_ms, int count)
{
    for (int i = 0; i < count - 1; i++)
        ck_assert_uint_eq(take_turn(mailbox, from_ms + i * gap_ms), 0);
    return take_turn(mailbox, from_ms + (count - 1) * gap_ms);
}

START_TEST(test_noise)
{
    ck_assert_uint_eq(take_run(BOB, NOON, 5 * MINUTE_MS, 7), 0);
    ck_assert_uint_eq(take_turn(EVE, NOON + 35 * MINUTE_MS), 0);
    ck_assert_uint_eq(take_turn(BOB, NOON + 35 * MINUTE_MS + 10 * SECOND_MS), 1);
    ck_assert_int_eq(made[0].why, RECIPIENT_NOISE);
    ck_assert_uint_eq(made[0].count, 8);
    ck_assert_int_eq(made[0].over_ms, 35 * MINUTE_MS + 10 * SECOND_MS);
    ck_assert_uint_eq(history.run_count, 1); /* EVE's */
}
END_TEST

START_TEST(test_no_noise)
{
    ck_assert_uint_eq(take_run(BOB, NOON, 5 * MINUTE_MS + 1, 20), 0);
    begin();
    take_run(BOB, NOON, MINUTE_MS, 7);
    ck_assert_uint_eq(take_turn(BOB, NOON + 7 * MINUTE_MS + 10 * SECOND_MS + 1), 0);
    begin();
    take_run(BOB, NOON, MINUTE_MS, 7);
    ck_assert_uint_eq(take_turn(BOB, NOON + 7 * MINUTE_MS - 10 * SECOND_MS - 1), 0);
    begin();
    take_run(BOB, NOON, MINUTE_MS, 7);
    recipient_block_deliver(&history, EVE);
    ck_assert_uint_eq(history.run_count, 1);
    recipient_block_deliver(&history, BOB);
    ck_assert_uint_eq(take_run(BOB, NOON + 7 * MINUTE_MS, MINUTE_MS, 7), 0);
    ck_assert_uint_eq(take_turn(BOB, NOON + 14 * MINUTE_MS), 1);
}
END_TEST

/* A retry is no turn. */
START_TEST(test_retries_make_no_noise)
{
    for (int i = 0; i < 20; i++)
        ck_assert_uint_eq(take_outcome(1, RECIPIENT_NOISE, NOON + i * MINUTE_MS), 0);
}
END_TEST

/* Who sends more often than the room is for keeps it. */
START_TEST(test_many_mailboxes)
{
    for (uint32_t mailbox = 1; mailbox <= 20; mailbox++)
        take_turn(mailbox, NOON + mailbox);
    ck_assert_uint_eq(history.run_count, RECIPIENT_RUNS_MAX);
    recipient_block_forget(&history, NOON + HOUR_MS + 19);
    ck_assert_uint_eq(history.run_count, 1);
    recipient_block_forget(&history, NOON + HOUR_MS + 20);
    ck_assert(recipient_block_is_empty(&history));
}
END_TEST

/* ---- afterwards ------------------------------------------------------------------------------ */

START_TEST(test_after_a_block)
{
    const enum recipient_why unknown = RECIPIENT_ADDRESS_UNKNOWN, full = RECIPIENT_MAILBOX_FULL,
                             noise = RECIPIENT_NOISE;
    ck_assert_int_eq(recipient_block_after(unknown, NOON, false, full, NOON - 1), RECIPIENT_STAYS);
    ck_assert_int_eq(recipient_block_after(unknown, NOON, false, full, NOON), RECIPIENT_AGAIN);
    ck_assert_int_eq(recipient_block_after(unknown, NOON, false, noise, NOON), RECIPIENT_STAYS);
    ck_assert_int_eq(recipient_block_after(noise, NOON, false, noise, NOON), RECIPIENT_AGAIN);
    ck_assert_int_eq(recipient_block_after(noise, NOON, false, unknown, NOON), RECIPIENT_AGAIN);
    ck_assert_int_eq(recipient_block_after(unknown, NOON, true, noise, NOON - 1),
                     RECIPIENT_CLEARED);
}
END_TEST

/* ---- the packed form ------------------------------------------------------------------------- */

static bool same_run(const struct recipient_run *one, const struct recipient_run *other)
{
    bool same = one->mailbox == other->mailbox && one->count == other->count;
    for (uint32_t i = 0; same && i < one->count; i++)
        same = one->turns[i].at_ms == other->turns[i].at_ms &&
               one->turns[i].site == other->turns[i].site;
    return same;
}

static bool same(const struct recipient_history *one, const struct recipient_history *other)
{
    bool same = one->closed == other->closed && one->failure_count == other->failure_count &&
                one->run_count == other->run_count;
    for (size_t i = 0; same && i < one->failure_count; i++)
        same = one->failures[i].message == other->failures[i].message &&
               one->failures[i].at_ms == other->failures[i].at_ms &&
               one->failures[i].site == other->failures[i].site &&
               one->failures[i].why == other->failures[i].why;
    for (size_t i = 0; same && i < one->run_count; i++)
        same = same_run(&one->runs[i], &other->runs[i]);
    return same;
}

START_TEST(test_packed)
{
    static struct recipient_history read;
    freed_by(text_free) struct text packed = {0};
    for (uint64_t message = UINT64_MAX - 30; message != 0; message++)
        take_outcome(message, RECIPIENT_MAILBOX_OFF, NOON + (int64_t)(message % 1000));
    take_run(BOB, NOON, MINUTE_MS, 3);
    take_turn(EVE, NOON);
    recipient_block_add(&packed, &history);
    ck_assert_int_eq(recipient_block_read(packed.data, packed.length, &read), 1);
    ck_assert(same(&history, &read));
    for (size_t length = 0; length < packed.length; length++)
        ck_assert_int_eq(recipient_block_read(packed.data, length, &read), 0);
    text_add_char(&packed, 0);
    ck_assert_int_eq(recipient_block_read(packed.data, packed.length, &read), 0);
    ck_assert(recipient_block_is_empty(&read) && read.closed == 0);
    packed.data[9] = RECIPIENT_FAILURES_MAX + 1;
    ck_assert_int_eq(recipient_block_read(packed.data, packed.length - 1, &read), 0);
}
END_TEST

/* ---- the model ------------------------------------------------------------------------------- */

enum { SCHEDULES = SANITIZED ? 1000 : 20000, STEPS = 60, MESSAGES = 5, MAILBOXES = 3, SITES = 2 };

/* Keeps all that came. */
struct model {
    struct recipient_outcome of[STEPS];
    bool gone_failure[STEPS], gone_turn[STEPS]; /* delivered, left out, or made a block */
    int count;
};

/* The first of its class and message that counts still. */
static bool model_counts(const struct model *model, int place, int64_t now_ms)
{
    const struct recipient_outcome *one = &model->of[place];
    if (model->gone_failure[place] || one->why == RECIPIENT_NOISE || one->greylisted ||
        one->at_ms <= now_ms - 30 * DAY_MS)
        return false;
    for (int i = 0; i < place; i++)
        if (!model->gone_failure[i] && !model->of[i].greylisted && model->of[i].why == one->why &&
            model->of[i].message == one->message && model->of[i].at_ms > now_ms - 30 * DAY_MS)
            return false;
    return true;
}

static bool model_breaks(const struct model *model, enum recipient_why why, int64_t now_ms)
{
    const bool full = why == RECIPIENT_MAILBOX_FULL;
    for (int i = 0; i < model->count; i++) {
        int within = 0, apart = 0;
        if (model->of[i].why != why || !model_counts(model, i, now_ms))
            continue;
        for (int j = 0; j < model->count; j++) {
            int64_t gap_ms = model->of[j].at_ms - model->of[i].at_ms;
            if (model->of[j].why != why || !model_counts(model, j, now_ms))
                continue;
            within += gap_ms >= 0 && gap_ms < 72 * HOUR_MS;
            apart += gap_ms >= 24 * HOUR_MS;
        }
        if (full ? within >= 3 : apart >= 1)
            return true;
    }
    return false;
}

/* In the words of the rule, from the newest turn of the mailbox backwards. */
static bool model_noise(const struct model *model, uint32_t mailbox)
{
    int64_t times[8], gaps[7];
    int count = 0;
    for (int i = model->count - 1; i >= 0 && count < 8; i--)
        if (!model->gone_turn[i] && model->of[i].mailbox == mailbox && model->of[i].first &&
            !model->of[i].greylisted)
            times[count++] = model->of[i].at_ms;
    if (count < 8)
        return false;
    for (int i = 0; i < 7; i++)
        gaps[i] = times[i] - times[i + 1];
    for (int i = 0; i < 7; i++) { /* is it the median, and is all near it? */
        int lower = 0, equal = 0, near = 0;
        for (int j = 0; j < 7; j++) {
            lower += gaps[j] < gaps[i];
            equal += gaps[j] == gaps[i];
            near += llabs(gaps[j] - gaps[i]) <= 10 * SECOND_MS;
        }
        if (lower <= 3 && lower + equal > 3)
            return near == 7 && gaps[i] <= 5 * MINUTE_MS;
    }
    return false;
}

static void model_fail(struct model *model, const struct recipient_outcome *outcome)
{
    size_t expected = 0, place = 0;
    bool breaks = false, noise = false;
    model->of[model->count++] = *outcome;
    /* a retry stays one, also when the first outcome is too old */
    model->gone_failure[model->count - 1] = !model_counts(model, model->count - 1, outcome->at_ms);
    if (!outcome->greylisted) {
        breaks = outcome->why != RECIPIENT_NOISE &&
                 model_breaks(model, outcome->why, outcome->at_ms);
        noise = outcome->first && model_noise(model, outcome->mailbox);
    }
    expected = (size_t)breaks + noise;
    ck_assert_uint_eq(recipient_block_take(&history, outcome, made), expected);
    if (breaks)
        ck_assert_int_eq(made[place++].why, outcome->why);
    if (noise)
        ck_assert_int_eq(made[place++].why, RECIPIENT_NOISE);
    for (int i = 0; i < model->count; i++) {
        model->gone_failure[i] = model->gone_failure[i] || breaks;
        model->gone_turn[i] =
            model->gone_turn[i] || (noise && model->of[i].mailbox == outcome->mailbox);
    }
}

static void model_deliver(struct model *model, uint32_t mailbox)
{
    recipient_block_deliver(&history, mailbox);
    for (int i = 0; i < model->count; i++) {
        model->gone_failure[i] = true;
        model->gone_turn[i] = model->gone_turn[i] || model->of[i].mailbox == mailbox;
    }
}

/* Whether 8 newer ones of its mailbox are there: it is forgotten then. */
static bool model_is_old(const struct model *model, int place)
{
    int newer = 0;
    for (int i = place + 1; i < model->count; i++)
        newer += !model->gone_turn[i] && model->of[i].mailbox == model->of[place].mailbox &&
                 model->of[i].first && !model->of[i].greylisted;
    return newer >= 8;
}

static void model_leave_out(struct model *model, uint32_t site, int64_t from_ms, int64_t until_ms)
{
    recipient_block_leave_out(&history, site, from_ms, until_ms);
    for (int i = 0; i < model->count; i++) {
        const struct recipient_outcome *one = &model->of[i];
        bool out = one->site == site && one->at_ms >= from_ms && one->at_ms <= until_ms;
        model->gone_turn[i] = model->gone_turn[i] || out || model_is_old(model, i);
        model->gone_failure[i] = model->gone_failure[i] || out;
    }
}

static int64_t model_pause(bool fast)
{
    static const int64_t slow[] = {1, HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS - 1, 12 * HOUR_MS,
                                   24 * HOUR_MS - 1, 24 * HOUR_MS, 5 * DAY_MS};
    if (!fast)
        return slow[below((int)countof(slow))];
    return percent(5) ? 5 * MINUTE_MS + below(2) : MINUTE_MS + below(3) * 5 * SECOND_MS +
                                                       (percent(5) ? 1 : 0);
}

START_TEST(test_model)
{
    static struct recipient_history again;
    unsigned blocks = 0;
    for (int schedule = 0; schedule < SCHEDULES; schedule++) {
        struct model model = {.count = 0};
        freed_by(text_free) struct text packed = {0};
        bool fast = percent(50);
        int64_t now_ms = NOON;
        begin();
        for (int step = 0; step < STEPS; step++) {
            const struct recipient_outcome outcome = {
                .message = 1 + (uint64_t)below(MESSAGES),
                .mailbox = fast && percent(90) ? 1 : 1 + (uint32_t)below(MAILBOXES),
                .site = 1 + (uint32_t)below(SITES), .first = percent(fast ? 95 : 50),
                .greylisted = percent(5), .why = (enum recipient_why)below(RECIPIENT_WHY_COUNT),
                .at_ms = now_ms += model_pause(fast)};
            if (percent(3))
                model_deliver(&model, outcome.mailbox);
            else if (percent(3))
                model_leave_out(&model, outcome.site, now_ms - below(2) * 30 * HOUR_MS, now_ms);
            else
                model_fail(&model, &outcome);
            blocks += history.failure_count == 0;
        }
        recipient_block_add(&packed, &history);
        ck_assert_int_eq(recipient_block_read(packed.data, packed.length, &again), 1);
        ck_assert(same(&history, &again));
    }
    ck_assert_uint_gt(blocks, 0);
}
END_TEST

int main(void)
{
    chance_begin();
    TCase *tcase = tcase_create("recipient_block");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, begin, NULL);
    tcase_add_loop_test(tcase, test_a_day_apart, 0, 2);
    tcase_add_test(tcase, test_within_30_days);
    tcase_add_test(tcase, test_out_of_order);
    tcase_add_test(tcase, test_clock_set_back);
    tcase_add_test(tcase, test_classes_count_apart);
    tcase_add_test(tcase, test_full);
    tcase_add_test(tcase, test_greylisted);
    tcase_add_test(tcase, test_delivered);
    tcase_add_test(tcase, test_left_out);
    tcase_add_test(tcase, test_too_many);
    tcase_add_test(tcase, test_noise);
    tcase_add_test(tcase, test_no_noise);
    tcase_add_test(tcase, test_retries_make_no_noise);
    tcase_add_test(tcase, test_many_mailboxes);
    tcase_add_test(tcase, test_after_a_block);
    tcase_add_test(tcase, test_packed);
    tcase_add_test(tcase, test_model);
    Suite *suite = suite_create("recipient_block");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
