/* Blocks of domains whose mail fails: days that people can follow. The rest is in
 * test_failure_model.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "rules/failure_window.h"

static const struct failure_settings defaults = FAILURE_DEFAULTS;
static struct failure_window window;
static struct failure_settings settings;
static uint64_t last_unit;

static void begin(void)
{
    settings = defaults;
    last_unit = 0;
}

static void end(void) { failure_window_free(&window); }

/* 10:00 is at(10, 0). */
static int64_t at(int hour, int minute)
{
    return 20000 * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS;
}

/* One outcome of a message of its own, admitted at nine; returns its unit. */
static struct failure_outcome outcome(enum failure_came came, int64_t at_ms)
{
    last_unit++;
    return (struct failure_outcome){
        .unit = last_unit, .message = last_unit, .mailbox = "bob@d.test", .site = "x.test",
        .first = true, .came = came, .kind = FAILURE_ADDRESS_UNKNOWN, .class = 3,
        .admitted_ms = at(9, 0), .at_ms = at_ms, .read_ms = at_ms};
}

static enum failure_taken take_outcome(enum failure_came came, int64_t at_ms)
{
    const struct failure_outcome taken = outcome(came, at_ms);
    return failure_window_take(&window, &settings, &taken);
}

static void some_fail(int hour, int first_minute, int count)
{
    for (int i = 0; i < count; i++)
        take_outcome(FAILURE_FAILED, at(hour, first_minute + i));
}

/* Time passes until then; the only block is this one. */
static void one_block(int64_t now_ms, int64_t from_ms, int64_t until_ms)
{
    failure_window_pass(&window, &settings, now_ms);
    ck_assert_uint_eq(window.block_count, 1);
    ck_assert_int_eq(window.blocks[0].from_ms, from_ms);
    ck_assert_int_eq(window.blocks[0].until_ms, until_ms);
}

static void never_breaks(void)
{
    ck_assert_int_eq(failure_window_breaks_at(&window, &settings), FAILURE_NEVER);
}

/* ---- the examples ---------------------------------------------------------------------------- */

START_TEST(test_in_turn)
{
    for (int i = 0; i < 19; i++)
        take_outcome(i % 2 == 0 ? FAILURE_DELIVERED : FAILURE_FAILED, at(10, i));
    /* nine failed: the window may not break however many leave */
    never_breaks();
    take_outcome(FAILURE_FAILED, at(10, 19));
    ck_assert_int_eq(failure_window_breaks_at(&window, &settings), at(10, 19));
    settings.percent = LIMIT_OFF;
    never_breaks();
    settings.percent = 50;
    one_block(at(11, 19) - 1, at(10, 19), at(11, 19));
    ck_assert_ptr_nonnull(failure_window_block(&window, NULL));
    failure_window_pass(&window, &settings, at(11, 19));
    ck_assert_ptr_null(failure_window_block(&window, NULL));
    never_breaks();
}
END_TEST

START_TEST(test_good_ones_leave)
{
    for (int i = 0; i < 12; i++)
        take_outcome(FAILURE_DELIVERED, at(10, 0));
    for (int i = 0; i < 10; i++)
        take_outcome(FAILURE_FAILED, at(10, 30));
    ck_assert_int_eq(failure_window_breaks_at(&window, &settings), at(11, 0));
    failure_window_pass(&window, &settings, at(11, 0));
    ck_assert_uint_eq(window.block_count, 0);
    one_block(at(11, 0) + 1, at(11, 0), at(12, 0));
    never_breaks();
}
END_TEST

/* The domain is blocked once by one mailing, however long it fails. */
START_TEST(test_one_mailing)
{
    some_fail(10, 0, 10);
    some_fail(10, 20, 40);
    one_block(at(12, 0), at(10, 9), at(11, 9));
    some_fail(12, 0, 20);
    one_block(at(13, 0), at(10, 9), at(11, 9));
    never_breaks();
    /* another one, admitted at the end of the block and before it */
    for (int i = 0; i < 12; i++) {
        struct failure_outcome other = outcome(FAILURE_FAILED, at(13, i));
        other.admitted_ms = at(11, 9) - (i < 2);
        ck_assert_int_eq(failure_window_take(&window, &settings, &other),
                         i < 2 ? FAILURE_SET_ASIDE : FAILURE_TAKEN);
    }
    ck_assert_int_eq(failure_window_breaks_at(&window, &settings), at(13, 11));
}
END_TEST

START_TEST(test_lifted)
{
    some_fail(10, 0, 9);
    ck_assert_int_eq(failure_window_lift(&window, &settings, NULL, at(10, 8)), 0);
    some_fail(10, 9, 1);
    ck_assert_int_eq(failure_window_lift(&window, &settings, NULL, at(10, 15)), 1);
    ck_assert_int_eq(failure_window_lift(&window, &settings, NULL, at(10, 15)), 0);
    some_fail(10, 20, 40);
    one_block(at(12, 0), at(10, 9), at(10, 15));
    ck_assert_int_eq(window.blocks[0].ended, FAILURE_LIFTED);
    never_breaks();
}
END_TEST

START_TEST(test_greylisted)
{
    for (int i = 0; i < 10; i++) {
        struct failure_outcome first = outcome(FAILURE_DEFERRED, at(10, i));
        first.greylisted = true;
        ck_assert_int_eq(failure_window_take(&window, &settings, &first), FAILURE_TAKEN);
        for (int good = 0; i == 5 && good < 11; good++)
            take_outcome(FAILURE_DELIVERED, at(10, 5));
    }
    /* bad from 10:15 to 10:24 on: 10 of 21, until the good ones leave */
    ck_assert_int_eq(failure_window_breaks_at(&window, &settings), at(11, 5));
    settings.grace_ms = 0;
    ck_assert_int_eq(failure_window_breaks_at(&window, &settings), at(11, 5));
}
END_TEST

/* What leaves, and what comes in that instant: never ten of twenty. */
START_TEST(test_in_one_instant)
{
    for (int i = 0; i < 11; i++)
        take_outcome(FAILURE_DELIVERED, at(10, i));
    for (int i = 0; i < 10; i++)
        take_outcome(FAILURE_FAILED, at(10, 30));
    ck_assert_int_eq(failure_window_breaks_at(&window, &settings), at(11, 0));
    take_outcome(FAILURE_FAILED, at(11, 0));
    ck_assert_int_eq(failure_window_breaks_at(&window, &settings), at(11, 0));
    take_outcome(FAILURE_DELIVERED, at(11, 0));
    take_outcome(FAILURE_DELIVERED, at(11, 0));
    ck_assert_int_eq(failure_window_breaks_at(&window, &settings), at(11, 1));
    take_outcome(FAILURE_FAILED, at(11, 0) + 1);
    ck_assert_int_eq(failure_window_breaks_at(&window, &settings), at(11, 0) + 1);
    ck_assert_uint_eq(window.block_count, 0);
}
END_TEST

/* To the letter: without a grace a greylisted one is bad at once. */
START_TEST(test_no_grace)
{
    settings.grace_ms = 0;
    for (int i = 0; i < 10; i++) {
        struct failure_outcome first = outcome(FAILURE_DEFERRED, at(10, i));
        first.greylisted = true;
        ck_assert_int_eq(failure_window_take(&window, &settings, &first), FAILURE_TAKEN);
    }
    ck_assert_int_eq(failure_window_breaks_at(&window, &settings), at(10, 9));
}
END_TEST

/* ---- who, and what is told ------------------------------------------------------------------- */

START_TEST(test_one_message)
{
    for (int i = 0; i < 100; i++) {
        struct failure_outcome of_one = outcome(FAILURE_FAILED, at(10, 0));
        of_one.message = 1;
        failure_window_take(&window, &settings, &of_one);
    }
    never_breaks();
    take_outcome(FAILURE_FAILED, at(10, 30));
    ck_assert_int_eq(failure_window_breaks_at(&window, &settings), at(10, 30));
}
END_TEST

/* A block by bob, as `culprit` says with unknown addresses, of messages admitted at that time. */
static const struct failure_block *block_by_bob(int64_t begin_ms, int unknown)
{
    for (int i = 0; i < 10; i++) {
        struct failure_outcome failed = outcome(FAILURE_FAILED, begin_ms + i);
        failed.admitted_ms = begin_ms;
        failed.mailbox = i < 8 ? "bob@d.test" : "eve@d.test";
        failed.kind = i < unknown ? FAILURE_ADDRESS_UNKNOWN : FAILURE_OTHER;
        failure_window_take(&window, &settings, &failed);
    }
    failure_window_pass(&window, &settings, begin_ms + 10);
    ck_assert_uint_gt(window.block_count, 0);
    const struct failure_block *block = &window.blocks[window.block_count - 1];
    ck_assert_int_eq(block->from_ms, begin_ms + 9);
    return block;
}

START_TEST(test_third_block)
{
    const int64_t first = at(10, 0), week = 7 * DAY_MS;
    ck_assert(!block_by_bob(first, 8)->suspends);
    ck_assert(!block_by_bob(first + DAY_MS, 8)->suspends);
    ck_assert_uint_eq(block_by_bob(first + 2 * DAY_MS, 7)->culprit, FAILURE_NOBODY);
    const struct failure_block *third = block_by_bob(first + 3 * DAY_MS, 8);
    ck_assert(third->suspends);
    ck_assert_str_eq(failure_names_at(&window.names, third->culprit), "bob@d.test");
    /* two of the last 7 days are the one before this and the third */
    ck_assert(block_by_bob(first + DAY_MS + week - 1, 8)->suspends);
    failure_window_free(&window);
    block_by_bob(first, 8);
    block_by_bob(first + DAY_MS, 8);
    ck_assert(!block_by_bob(first + week, 8)->suspends);
}
END_TEST

/* A block that an outage made is none of the three. */
START_TEST(test_third_block_by_outage)
{
    block_by_bob(at(10, 0), 8);
    ck_assert_uint_eq(failure_window_leave_out(
                          &window, &settings,
                          &(struct failure_excuse){"x.test", NULL, 1U << FAILURE_ADDRESS_UNKNOWN},
                          at(10, 30)), 8);
    ck_assert_int_eq(window.blocks[0].ended, FAILURE_BY_OUTAGE);
    ck_assert_int_eq(window.blocks[0].until_ms, at(10, 30));
    block_by_bob(at(12, 0), 8);
    ck_assert(!block_by_bob(at(14, 0), 8)->suspends);
    ck_assert(block_by_bob(at(16, 0), 8)->suspends);
}
END_TEST

/* What a mailbox's block holds is no reason to think that others have enough good ones. */
START_TEST(test_two_blocks)
{
    settings.blocks = FAILURE_BLOCKS_MAILBOX;
    for (int i = 0; i < 40; i++) {
        bool bobs = i < 20, good = bobs ? i < 10 : i < 30;
        struct failure_outcome one = outcome(good ? FAILURE_DELIVERED : FAILURE_FAILED,
                                             at(10, 0) + i);
        one.mailbox = bobs && i < 18 ? "bob@d.test" : i % 2 == 0 ? "eve@d.test" : "ann@d.test";
        failure_window_take(&window, &settings, &one);
    }
    failure_window_pass(&window, &settings, at(10, 1));
    ck_assert_uint_eq(window.block_count, 2);
    ck_assert_str_eq(failure_names_at(&window.names, window.blocks[0].mailbox), "bob@d.test");
    ck_assert_uint_eq(window.blocks[1].mailbox, FAILURE_NOBODY);
    ck_assert_int_eq(window.blocks[1].from_ms, at(10, 0) + 37);
}
END_TEST

START_TEST(test_outage_of_the_last_hour)
{
    const struct failure_excuse excuse = {"x.test", NULL, 1U << FAILURE_ADDRESS_UNKNOWN};
    settings.window_ms = 2 * HOUR_MS;
    some_fail(10, 0, 10);
    /* those at 10:00…10:08 are an hour old, or older */
    ck_assert_uint_eq(failure_window_leave_out(&window, &settings, &excuse, at(11, 8)), 1);
    ck_assert_int_eq(window.blocks[0].ended, FAILURE_BY_OUTAGE);
    ck_assert_ptr_null(failure_window_block(&window, NULL));
}
END_TEST

START_TEST(test_numbers)
{
    struct failure_outcome ours = outcome(FAILURE_FAILED, at(10, 0));
    ours.left_out = FAILURE_OURS;
    ours.site = "y.test";
    failure_window_take(&window, &settings, &ours);
    take_outcome(FAILURE_DELIVERED, at(10, 0));
    for (int i = 0; i < 10; i++) {
        struct failure_outcome failed = outcome(FAILURE_FAILED, at(10, i));
        failed.mailbox = i == 4 ? "eve@d.test" : "bob@d.test";
        failed.message = i < 3 ? 7 : 8;
        failed.class = i == 9 ? 0 : 3;
        failure_window_take(&window, &settings, &failed);
    }
    for (int blocked = 0; blocked < 2; blocked++) {
        const struct failure_block *block = failure_window_block(&window, NULL);
        ck_assert_int_eq(block != NULL, blocked);
        struct failure_numbers numbers = failure_window_numbers(&window, block);
        ck_assert_uint_eq(numbers.bad, 10);
        ck_assert_uint_eq(numbers.all, 11);
        ck_assert_uint_eq(numbers.messages, 2);
        ck_assert_uint_eq(numbers.by_class[0], 1);
        ck_assert_uint_eq(numbers.by_class[3], 9);
        ck_assert_uint_eq(numbers.mailbox_count, 2);
        ck_assert_str_eq(numbers.by_mailbox[0].name, "bob@d.test");
        ck_assert_uint_eq(numbers.by_mailbox[0].count, 9);
        ck_assert_uint_eq(numbers.left_out_count, 1);
        ck_assert_str_eq(numbers.left_out[0].name, "y.test");
        ck_assert_int_eq(numbers.left_out[0].why, FAILURE_OURS);
        failure_window_numbers_free(&numbers);
        failure_window_pass(&window, &settings, at(10, 9) + 1);
    }
}
END_TEST

/* ---- clocks ---------------------------------------------------------------------------------- */

START_TEST(test_clocks)
{
    struct failure_outcome late = outcome(FAILURE_FAILED, at(10, 0));
    late.read_ms = late.at_ms + MINUTE_MS;
    ck_assert_int_eq(failure_window_take(&window, &settings, &late), FAILURE_TAKEN);
    late.read_ms++;
    ck_assert_int_eq(failure_window_take(&window, &settings, &late), FAILURE_LATE);
    late.read_ms = late.at_ms - MINUTE_MS - 1;
    ck_assert_int_eq(failure_window_take(&window, &settings, &late), FAILURE_LATE);
    /* the clock goes back half an hour: nothing is before the newest entry */
    take_outcome(FAILURE_FAILED, at(9, 30));
    ck_assert_int_eq(window.decided.of[1].time_ms, at(10, 0));
    /* and by a day: it was wrong before */
    take_outcome(FAILURE_FAILED, at(10, 0) - DAY_MS);
    ck_assert_uint_eq(window.decided.count, 1);
    ck_assert_int_eq(window.time_ms, at(10, 0) - DAY_MS);
}
END_TEST

/* ---- bounds and the packed form -------------------------------------------------------------- */

enum { VALUE_MAX_BYTES = 512 * 1024 }; /* of the store */

START_TEST(test_full)
{
    settings.percent = 100;
    settings.blocks = FAILURE_BLOCKS_MAILBOX;
    int entered = 0, missed = 0;
    for (int i = 0; i < FAILURE_ENTRIES_MAX; i++) {
        char mailbox[32];
        bool good = i % 4 != 0 || i == 0;
        int64_t at_ms = at(10, 0) + i * (59 * MINUTE_MS / FAILURE_ENTRIES_MAX);
        struct failure_outcome one = outcome(good ? FAILURE_DELIVERED : FAILURE_FAILED, at_ms);
        snprintf(mailbox, sizeof mailbox, "box%d@d.test", i % 3000);
        one.mailbox = mailbox;
        entered += failure_window_take(&window, &settings, &one) == FAILURE_TAKEN;
    }
    ck_assert_int_eq(entered, FAILURE_ENTRIES_MAX);
    freed_by(text_free) struct text packed = {0};
    failure_window_add(&packed, &window);
    ck_assert_uint_lt(packed.length, VALUE_MAX_BYTES);
    for (int i = 0; i < 3; i++)
        missed += take_outcome(FAILURE_DELIVERED, at(10, 59)) == FAILURE_MISSED;
    ck_assert_int_eq(missed, 3);
    ck_assert_uint_eq(window.missed, 3);
    /* there is room again as soon as one has left */
    ck_assert_int_eq(take_outcome(FAILURE_FAILED, at(11, 0) + 1), FAILURE_TAKEN);
    take_outcome(FAILURE_FAILED, at(11, 59));
    ck_assert_uint_eq(window.missed, 0);
}
END_TEST

/* So many bad ones that the next is missed, unless it is good. */
START_TEST(test_full_of_bad_ones)
{
    settings.min_messages = 2;
    for (int i = 0; i <= FAILURE_BAD_MAX; i++) {
        struct failure_outcome of_one = outcome(FAILURE_FAILED, at(10, 0));
        of_one.message = 1;
        ck_assert_int_eq(failure_window_take(&window, &settings, &of_one),
                         i < FAILURE_BAD_MAX ? FAILURE_TAKEN : FAILURE_MISSED);
    }
    ck_assert_int_eq(take_outcome(FAILURE_DELIVERED, at(10, 0)), FAILURE_TAKEN);
}
END_TEST

/* Names that nobody needs make room for others. */
START_TEST(test_names)
{
    char mailbox[300];
    memset(mailbox, 'x', sizeof mailbox);
    int missed = 0;
    for (int i = 0; i < 1000; i++) {
        struct failure_outcome one = outcome(FAILURE_FAILED, at(10, 0) + i * 20 * SECOND_MS);
        snprintf(mailbox + 250, 50, "%d@d.test", i);
        one.mailbox = mailbox;
        one.message = 1;
        missed += failure_window_take(&window, &settings, &one) == FAILURE_MISSED;
    }
    ck_assert_int_eq(missed, 0); /* 180 within an hour */
    for (int i = 0; i < 300; i++) {
        struct failure_outcome one = outcome(FAILURE_FAILED, window.time_ms);
        snprintf(mailbox + 250, 50, "%d@d.test", 2000 + i);
        one.mailbox = mailbox;
        one.message = 1;
        missed += failure_window_take(&window, &settings, &one) == FAILURE_MISSED;
    }
    ck_assert_int_gt(missed, 0);
    ck_assert_int_eq(take_outcome(FAILURE_DELIVERED, window.time_ms), FAILURE_TAKEN);
}
END_TEST

/* However many sites a sender writes to, what fails there counts. */
START_TEST(test_many_sites)
{
    char site[80];
    memset(site, 'x', sizeof site);
    int missed = 0;
    for (int i = 0; i < 6000; i++) {
        struct failure_outcome one = outcome(i % 3 == 0 ? FAILURE_FAILED : FAILURE_DELIVERED,
                                             at(10, 0) + i * 100);
        snprintf(site + 60, 20, "%d.test", i);
        one.site = site;
        missed += failure_window_take(&window, &settings, &one) == FAILURE_MISSED;
    }
    ck_assert_int_eq(missed, 0);
    ck_assert_uint_eq(window.bad_count, 2000);
    struct failure_outcome of_another = outcome(FAILURE_FAILED, at(10, 20));
    of_another.mailbox = "another@d.test";
    ck_assert_int_eq(failure_window_take(&window, &settings, &of_another), FAILURE_TAKEN);
    freed_by(text_free) struct text packed = {0};
    failure_window_add(&packed, &window);
    failure_window_free(&window);
    ck_assert_int_eq(failure_window_read(packed.data, packed.length, &window), 1);
    ck_assert_uint_eq(window.bad_count, 2001);
}
END_TEST

/* Whatever is cut off or changed is refused, or makes a window that works. */
START_TEST(test_damaged)
{
    settings.blocks = FAILURE_BLOCKS_MAILBOX;
    block_by_bob(at(10, 0), 8);
    struct failure_outcome first = outcome(FAILURE_DEFERRED, at(10, 1));
    first.greylisted = true;
    first.mailbox = "ann@d.test";
    failure_window_take(&window, &settings, &first);
    first.came = FAILURE_DELIVERED;
    first.unit++;
    failure_window_take(&window, &settings, &first);
    freed_by(text_free) struct text packed = {0};
    failure_window_add(&packed, &window);
    for (size_t length = 0; length < packed.length; length++) {
        char *copy = xmalloc(length + (length == 0)); /* exact, for the sanitizer */
        memcpy(copy, packed.data, length);
        struct failure_window read;
        ck_assert_int_eq(failure_window_read(copy, length, &read), 0);
        free(copy);
    }
    int refused = 0;
    for (size_t i = 0; i < packed.length * 8; i++) {
        struct failure_window read;
        packed.data[i / 8] = (char)(packed.data[i / 8] ^ 1 << i % 8);
        refused += !failure_window_read(packed.data, packed.length, &read);
        first.unit++;
        failure_window_take(&read, &settings, &first);
        failure_window_pass(&read, &settings, at(13, 0));
        struct failure_numbers numbers = failure_window_numbers(&read, NULL);
        failure_window_numbers_free(&numbers);
        failure_window_free(&read);
        packed.data[i / 8] = (char)(packed.data[i / 8] ^ 1 << i % 8);
    }
    ck_assert_int_gt(refused, 100);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("failure window");
    tcase_set_timeout(tcase, 60); /* a sanitizer, and other programs */
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_in_turn);
    tcase_add_test(tcase, test_good_ones_leave);
    tcase_add_test(tcase, test_one_mailing);
    tcase_add_test(tcase, test_lifted);
    tcase_add_test(tcase, test_greylisted);
    tcase_add_test(tcase, test_in_one_instant);
    tcase_add_test(tcase, test_no_grace);
    tcase_add_test(tcase, test_one_message);
    tcase_add_test(tcase, test_third_block);
    tcase_add_test(tcase, test_third_block_by_outage);
    tcase_add_test(tcase, test_two_blocks);
    tcase_add_test(tcase, test_outage_of_the_last_hour);
    tcase_add_test(tcase, test_numbers);
    tcase_add_test(tcase, test_clocks);
    tcase_add_test(tcase, test_full);
    tcase_add_test(tcase, test_full_of_bad_ones);
    tcase_add_test(tcase, test_names);
    tcase_add_test(tcase, test_many_sites);
    tcase_add_test(tcase, test_damaged);
    Suite *suite = suite_create("failure window");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
