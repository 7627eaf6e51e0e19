/* Which complaints count, and when they suspend a mailbox; against a model that looks at every
 * instant. SENDGUARD_SEED repeats a run. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/complaints.h"
#include "tests/unit/store/chance.h"
#include "tests/unit/store/servers.h"

static const struct complaint_rule usual = {.count = 3, .window_ms = 7 * DAY_MS};
/* A Monday noon. */
#define NOON (INT64_C(20000) * DAY_MS + 12 * HOUR_MS)

static struct complaints of_mailbox;

static void begin(void) { of_mailbox = (struct complaints){0}; }

static bool add(uint64_t message, uint64_t reporter, enum complaint_source source,
                int64_t admitted_ms)
{
    return complaints_take(&of_mailbox, &(struct complaint){
                                            .message = message, .reporter = reporter,
                                            .admitted_ms = admitted_ms,
                                            .at_ms = admitted_ms + HOUR_MS, .incidents = 1,
                                            .source = source});
}

/* ---- examples -------------------------------------------------------------------------------- */

START_TEST(test_three_of_a_loop)
{
    ck_assert(add(1, 1, COMPLAINT_OF_LOOP, NOON));
    ck_assert(add(2, 1, COMPLAINT_OF_LOOP, NOON + 1));
    ck_assert(!complaints_break(&of_mailbox, &usual));
    ck_assert(!add(2, 1, COMPLAINT_OF_LOOP, NOON + 1)); /* the same again */
    ck_assert(!complaints_break(&of_mailbox, &usual));
    ck_assert(add(2, 2, COMPLAINT_OF_LOOP, NOON + 1));
    ck_assert(complaints_break(&of_mailbox, &usual));
}
END_TEST

START_TEST(test_window)
{
    add(1, 1, COMPLAINT_OF_LOOP, NOON);
    add(2, 1, COMPLAINT_OF_LOOP, NOON + DAY_MS);
    add(3, 1, COMPLAINT_OF_LOOP, NOON + 7 * DAY_MS);
    ck_assert(!complaints_break(&of_mailbox, &usual));
    ck_assert_uint_eq(complaints_number(&of_mailbox, &usual), 2);
    add(4, 1, COMPLAINT_OF_LOOP, NOON + 7 * DAY_MS - 1);
    ck_assert(complaints_break(&of_mailbox, &usual));
}
END_TEST

START_TEST(test_incidents)
{
    struct complaint many = {.message = 1, .reporter = 1, .admitted_ms = NOON, .at_ms = NOON,
                             .incidents = 2, .source = COMPLAINT_OF_LOOP};
    ck_assert(complaints_take(&of_mailbox, &many));
    ck_assert_uint_eq(complaints_number(&of_mailbox, &usual), 2);
    many.incidents = 3;
    ck_assert(complaints_take(&of_mailbox, &many));
    ck_assert(complaints_break(&of_mailbox, &usual));
    begin();
    many.incidents = 1000;
    many.source = COMPLAINT_OF_DOMAIN;
    complaints_take(&of_mailbox, &many);
    ck_assert_uint_eq(complaints_number(&of_mailbox, &usual), 1);
}
END_TEST

START_TEST(test_strangers_alone)
{
    for (uint64_t reporter = 1; reporter <= 9; reporter++)
        add(1, reporter, COMPLAINT_OF_DOMAIN, NOON); /* many domains, one message */
    ck_assert_uint_eq(complaints_number(&of_mailbox, &usual), 1);
    ck_assert_int_eq(complaints_standing(&of_mailbox, 0), COMPLAINT_COUNTS);
    ck_assert_int_eq(complaints_standing(&of_mailbox, 1), COMPLAINT_SAME_MESSAGE);
    for (uint64_t message = 2; message <= 9; message++)
        add(message, 1, COMPLAINT_OF_DOMAIN, NOON); /* one domain, many messages */
    ck_assert_uint_eq(complaints_number(&of_mailbox, &usual), 1);
    add(20, 20, COMPLAINT_OF_DOMAIN, NOON);
    ck_assert(!complaints_break(&of_mailbox, &usual));
    add(21, 21, COMPLAINT_OF_DOMAIN, NOON);
    ck_assert(complaints_break(&of_mailbox, &usual));
}
END_TEST

START_TEST(test_strangers_beside_a_loop)
{
    add(1, 1, COMPLAINT_OF_DOMAIN, NOON);
    add(2, 1, COMPLAINT_OF_DOMAIN, NOON);
    add(2, 5, COMPLAINT_OF_DOMAIN, NOON);
    ck_assert_uint_eq(complaints_number(&of_mailbox, &usual), 1);
    add(3, 9, COMPLAINT_OF_STAFF, NOON);
    ck_assert(complaints_break(&of_mailbox, &usual));
}
END_TEST

START_TEST(test_withdrawn)
{
    for (uint64_t message = 1; message <= 3; message++)
        add(message, 1, COMPLAINT_OF_LOOP, NOON);
    ck_assert(!complaints_withdraw(&of_mailbox, 3, 2));
    ck_assert(complaints_withdraw(&of_mailbox, 3, 1));
    ck_assert(!complaints_withdraw(&of_mailbox, 3, 1));
    ck_assert(!complaints_break(&of_mailbox, &usual));
    ck_assert(!add(3, 1, COMPLAINT_OF_LOOP, NOON)); /* a report that is sent again */
    ck_assert(!complaints_break(&of_mailbox, &usual));
    begin();
    add(1, 1, COMPLAINT_OF_DOMAIN, NOON);
    add(1, 2, COMPLAINT_OF_DOMAIN, NOON);
    complaints_withdraw(&of_mailbox, 1, 1);
    ck_assert_int_eq(complaints_standing(&of_mailbox, 1), COMPLAINT_COUNTS);
}
END_TEST

/* One run of spam: three complaints, a suspension, twenty more about the same days. */
START_TEST(test_one_run_one_offence)
{
    for (uint64_t message = 1; message <= 3; message++)
        add(message, 1, COMPLAINT_OF_LOOP, NOON);
    ck_assert(complaints_break(&of_mailbox, &usual));
    complaints_settle(&of_mailbox, NOON + HOUR_MS);
    for (uint64_t message = 4; message <= 23; message++)
        add(message, 1, COMPLAINT_OF_LOOP, NOON + HOUR_MS - 1);
    ck_assert_uint_eq(complaints_number(&of_mailbox, &usual), 0);
    ck_assert_int_eq(complaints_standing(&of_mailbox, 22), COMPLAINT_SETTLED);
    complaints_settle(&of_mailbox, NOON); /* never back */
    ck_assert_uint_eq(complaints_number(&of_mailbox, &usual), 0);
    for (uint64_t message = 31; message <= 33; message++)
        add(message, 1, COMPLAINT_OF_LOOP, NOON + HOUR_MS);
    ck_assert(complaints_break(&of_mailbox, &usual));
}
END_TEST

START_TEST(test_forgotten)
{
    add(1, 1, COMPLAINT_OF_LOOP, NOON);
    add(2, 1, COMPLAINT_OF_LOOP, NOON + 1);
    complaints_forget(&of_mailbox, NOON + HOUR_MS + COMPLAINTS_KEPT_MS);
    ck_assert_uint_eq(of_mailbox.count, 1);
    ck_assert_uint_eq(of_mailbox.of[0].message, 2);
}
END_TEST

/* What does not count makes room for what does. */
START_TEST(test_no_room)
{
    for (uint64_t message = 1; message <= 3; message++)
        add(message, 1, COMPLAINT_OF_LOOP, NOON);
    for (uint64_t reporter = 2; reporter <= 2000; reporter++)
        add(7, reporter, COMPLAINT_OF_DOMAIN, NOON);
    ck_assert_uint_eq(of_mailbox.count, COMPLAINTS_MAX);
    ck_assert(complaints_break(&of_mailbox, &usual));
    for (uint64_t message = 100; message < 100 + COMPLAINTS_MAX; message++)
        add(message, 1, COMPLAINT_OF_LOOP, NOON);
    ck_assert_uint_eq(of_mailbox.count, COMPLAINTS_MAX);
    ck_assert_uint_eq(of_mailbox.of[0].message, 100);
}
END_TEST

/* ---- the packed form ------------------------------------------------------------------------- */

START_TEST(test_packed)
{
    static struct complaints read;
    freed_by(text_free) struct text packed = {0};
    add(UINT64_MAX, 7, COMPLAINT_OF_LOOP, NOON);
    add(2, UINT64_MAX - 1, COMPLAINT_OF_STAFF, NOON + 5);
    of_mailbox.of[1].withdrawn = true;
    of_mailbox.of[1].type = 6;
    of_mailbox.of[1].decision = 99;
    of_mailbox.of[0].incidents = COMPLAINT_INCIDENTS_MAX;
    complaints_settle(&of_mailbox, NOON + 1);
    complaints_add(&packed, &of_mailbox);
    ck_assert_int_eq(complaints_read(packed.data, packed.length, &read), 1);
    ck_assert_uint_eq(read.count, 2);
    ck_assert_int_eq(read.settled_ms, NOON + 1);
    for (size_t i = 0; i < 2; i++) {
        const struct complaint *one = &read.of[i], *other = &of_mailbox.of[i];
        ck_assert_uint_eq(one->message, other->message);
        ck_assert_uint_eq(one->reporter, other->reporter);
        ck_assert_uint_eq(one->decision, other->decision);
        ck_assert_int_eq(one->admitted_ms, other->admitted_ms);
        ck_assert_int_eq(one->at_ms, other->at_ms);
        ck_assert_uint_eq(one->incidents, other->incidents);
        ck_assert_int_eq(one->source, other->source);
        ck_assert_int_eq(one->type, other->type);
        ck_assert_int_eq(one->withdrawn, other->withdrawn);
    }
    for (size_t length = 0; length < packed.length; length++) {
        bool whole = (packed.length - length) % ((packed.length - 9) / 2) == 0 && length >= 9;
        ck_assert_int_eq(complaints_read(packed.data, length, &read), whole);
    }
    packed.data[packed.length - 2] = 5; /* no source */
    ck_assert_int_eq(complaints_read(packed.data, packed.length, &read), 0);
    ck_assert_uint_eq(read.count, 0);
}
END_TEST

/* ---- the model ------------------------------------------------------------------------------- */

enum { SCHEDULES = SANITIZED ? 2000 : 50000, STEPS = 24, MESSAGES = 6, REPORTERS = 4, SPAN = 40 };

/* Keeps all that came, and finds out anew whom it believes. */
struct model {
    struct complaint of[STEPS];
    int count, settled;
};

static struct complaint *model_find(struct model *model, uint64_t message, uint64_t reporter)
{
    for (int i = 0; i < model->count; i++)
        if (model->of[i].message == message && model->of[i].reporter == reporter)
            return &model->of[i];
    return NULL;
}

/* In [at, at + window) the number that the words of the rule give. */
static uint32_t model_number(const struct model *model, int64_t window_ms, int at)
{
    uint32_t believed = 0, messages = 0, domains = 0;
    bool seen_message[MESSAGES] = {false}, seen_domain[REPORTERS] = {false};
    for (int i = 0; i < model->count; i++) {
        const struct complaint *one = &model->of[i];
        int64_t admitted_ms = one->admitted_ms - NOON;
        if (one->withdrawn || admitted_ms < model->settled || admitted_ms < at ||
            admitted_ms >= at + window_ms)
            continue;
        if (one->source != COMPLAINT_OF_DOMAIN) {
            believed += one->source == COMPLAINT_OF_LOOP ? one->incidents : 1;
        } else if (!seen_message[one->message]) {
            seen_message[one->message] = true;
            messages++;
            domains += !seen_domain[one->reporter];
            seen_domain[one->reporter] = true;
        }
    }
    return believed > 0 ? believed + messages : domains;
}

static void model_step(struct model *model)
{
    /* a message has one moment, a reporter one kind */
    uint64_t message = (uint64_t)below(MESSAGES), reporter = (uint64_t)below(REPORTERS);
    int what = below(20), settled = below(SPAN);
    struct complaint *known = model_find(model, message, reporter);
    struct complaint one = {.message = message, .reporter = reporter, .incidents = 1,
                            .admitted_ms = NOON + (int64_t)(message * 7 % SPAN), .at_ms = NOON,
                            .source = reporter == 0 ? COMPLAINT_OF_LOOP : COMPLAINT_OF_DOMAIN};
    if (what == 0) {
        complaints_settle(&of_mailbox, NOON + settled);
        model->settled = settled > model->settled ? settled : model->settled;
    } else if (what <= 2) {
        ck_assert_int_eq(complaints_withdraw(&of_mailbox, message, reporter),
                         known != NULL && !known->withdrawn);
        if (known != NULL)
            known->withdrawn = true;
    } else {
        one.incidents = 1 + (uint32_t)below(2);
        complaints_take(&of_mailbox, &one);
        if (known == NULL)
            model->of[model->count++] = one;
        else if (one.incidents > known->incidents)
            known->incidents = one.incidents;
    }
}

START_TEST(test_model)
{
    for (int schedule = 0; schedule < SCHEDULES; schedule++) {
        struct model model = {.count = 0};
        struct complaint_rule rule = {.count = 1 + (uint32_t)below(5), .window_ms = 1 + below(SPAN)};
        begin();
        for (int step = 0; step < STEPS; step++) {
            uint32_t highest = 0;
            model_step(&model);
            for (int at = -SPAN; at < SPAN; at++) {
                uint32_t number = model_number(&model, rule.window_ms, at);
                highest = number > highest ? number : highest;
            }
            ck_assert_uint_eq(complaints_number(&of_mailbox, &rule), highest);
            ck_assert_int_eq(complaints_break(&of_mailbox, &rule), highest >= rule.count);
        }
    }
}
END_TEST

int main(void)
{
    chance_begin();
    TCase *tcase = tcase_create("complaints");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, begin, NULL);
    tcase_add_test(tcase, test_three_of_a_loop);
    tcase_add_test(tcase, test_window);
    tcase_add_test(tcase, test_incidents);
    tcase_add_test(tcase, test_strangers_alone);
    tcase_add_test(tcase, test_strangers_beside_a_loop);
    tcase_add_test(tcase, test_withdrawn);
    tcase_add_test(tcase, test_one_run_one_offence);
    tcase_add_test(tcase, test_forgotten);
    tcase_add_test(tcase, test_no_room);
    tcase_add_test(tcase, test_packed);
    tcase_add_test(tcase, test_model);
    Suite *suite = suite_create("complaints");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
