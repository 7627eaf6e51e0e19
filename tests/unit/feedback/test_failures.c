/* Outcomes on their way into the windows of sender domains, over both stores: what several
 * followers bring counts once, and outages of sites are left out for all domains. */
#include <stdlib.h>
#include <string.h>

#include "feedback/failures.h"
#include "guard/block_values.h"
#include "tests/unit/store/backends.h"

enum { FOLLOWERS = 2 };
static struct failures *followers[FOLLOWERS];
static struct failure_settings settings;
static uint64_t last_unit;
#define FAR UINT64_C(0x9E3779B97F4A7C15) /* makes the hashes of recipients */
static struct values_done done;
static struct value_change changes[VALUES_AT_ONCE];

static void begin(int backend)
{
    backend_begin(backend);
    settings = (struct failure_settings)FAILURE_DEFAULTS;
    for (int i = 0; i < FOLLOWERS; i++)
        followers[i] = failures_new(store);
    last_unit = 0;
}

static void end(void)
{
    for (int i = 0; i < FOLLOWERS; i++)
        failures_free(&followers[i]);
}

/* ---- outcomes and steps ---------------------------------------------------------------------- */

static struct failures_outcome outcome(const char *domain, enum failure_came came, int64_t at_ms)
{
    last_unit++;
    return (struct failures_outcome){
        .domain = domain, .recipient = last_unit * FAR, .recipient_before = last_unit * FAR,
        .outcome = {.unit = last_unit, .message = last_unit,
                    .mailbox = arena_printf(arena, "ann@%s", domain), .site = "x.test",
                    .first = true, .came = came, .kind = FAILURE_SITE,
                    .class = REPLY_UNREACHABLE, .admitted_ms = NOW - DAY_MS, .at_ms = at_ms,
                    .read_ms = at_ms}};
}

static void come(int follower, const char *domain, enum failure_came came, int count,
                 int64_t at_ms)
{
    for (int i = 0; i < count; i++) {
        const struct failures_outcome one = outcome(domain, came, at_ms);
        failures_add(followers[follower], &one);
    }
}

/* The changes of a step that is not written yet: how many. */
static size_t prepare(int follower, int64_t now_ms)
{
    size_t count;
    ck_assert_int_eq(failures_changes(followers[follower], &settings, now_ms, changes,
                                      VALUES_AT_ONCE, &count), 1);
    ck_assert_uint_le(count, failures_change_count(followers[follower]));
    return count;
}

/* 1 written; 0 another one was first, which the follower knows now. */
static int write_step(int follower, size_t count, int64_t now_ms)
{
    const struct values_step step = {.changes = changes, .count = count, .now_ms = now_ms};
    int answer = store_values_change(store, &step, &done);
    ck_assert_int_ge(answer, 0);
    if (answer > 0)
        failures_written(followers[follower], done.versions);
    else
        failures_refused(followers[follower], done.refused);
    return answer;
}

static void write_down(int follower, int64_t now_ms)
{
    while (write_step(follower, prepare(follower, now_ms), now_ms) == 0)
        continue;
}

/* What the store has of a domain, to be freed. */
static struct failure_window window_of_domain(const char *domain, int64_t now_ms)
{
    struct value value;
    struct failure_window window = {0};
    if (store_value(store, arena, VALUE_FAILURES, domain, now_ms, &value) > 0)
        ck_assert_int_eq(failure_window_read(value.bytes, value.length, &window), 1);
    return window;
}

/* Of the domain or the mailbox; from_ms is 0 when there is none. */
static struct failure_in_force in_force(const char *key, int64_t now_ms)
{
    struct value value;
    struct failure_in_force read = {0};
    if (store_value(store, arena, VALUE_BLOCK, key, now_ms, &value) > 0) {
        ck_assert_int_eq(failure_in_force_read(value.bytes, value.length, &read), 1);
        ck_assert_int_eq(value.until_ms, read.until_ms);
    }
    return read;
}

/* What judging reads is what the window has. */
static void check_in_force(const struct failure_window *window, const char *domain, int64_t now_ms)
{
    struct block_values blocks;
    block_values_of(window, &settings, domain, &blocks);
    if (block_values_find(&blocks, domain) == NULL)
        ck_assert_int_eq(in_force(domain, now_ms).from_ms, 0);
    for (size_t i = 0; i < blocks.count; i++) {
        struct failure_in_force read = in_force(blocks.of[i].key, now_ms);
        if (blocks.of[i].in_force.until_ms <= now_ms)
            continue;
        ck_assert_int_eq(read.from_ms, blocks.of[i].in_force.from_ms);
        ck_assert_int_eq(read.until_ms, blocks.of[i].in_force.until_ms);
        ck_assert_uint_eq(read.bad, blocks.of[i].in_force.bad);
        ck_assert_uint_eq(read.block, blocks.of[i].in_force.block);
    }
    block_values_free(&blocks);
}

static void numbers_are(const char *domain, uint32_t bad, uint32_t all, size_t left_out,
                        int64_t now_ms)
{
    struct failure_window window = window_of_domain(domain, now_ms);
    struct failure_numbers numbers = failure_window_numbers(&window, NULL);
    ck_assert_uint_eq(numbers.bad, bad);
    ck_assert_uint_eq(numbers.all, all);
    ck_assert_uint_eq(numbers.left_out_count, left_out);
    failure_window_numbers_free(&numbers);
    check_in_force(&window, domain, now_ms);
    failure_window_free(&window);
}

static void breaks_at(const char *domain, int64_t breaks_ms, int64_t now_ms)
{
    struct failure_window window = window_of_domain(domain, now_ms);
    ck_assert_int_eq(failure_window_breaks_at(&window, &settings), breaks_ms);
    check_in_force(&window, domain, now_ms);
    failure_window_free(&window);
}

/* ---- windows --------------------------------------------------------------------------------- */

/* Twelve delivered at once, ten failed half an hour later, written one after the other. */
START_TEST(test_steps)
{
    begin(_i);
    for (int i = 0; i < 12; i++) {
        come(0, "d.test", FAILURE_DELIVERED, 1, NOW);
        write_down(0, NOW + 1);
    }
    for (int i = 0; i < 10; i++) {
        come(0, "d.test", FAILURE_FAILED, 1, NOW + HOUR_MS / 2);
        write_down(0, NOW + HOUR_MS / 2);
    }
    numbers_are("d.test", 10, 22, 0, NOW + HOUR_MS / 2);
    breaks_at("d.test", NOW + HOUR_MS, NOW + HOUR_MS / 2);
    come(0, "d.test", FAILURE_DELIVERED, 1, NOW + HOUR_MS + 1);
    write_down(0, NOW + HOUR_MS + 1);
    struct failure_window window = window_of_domain("d.test", NOW + HOUR_MS + 1);
    ck_assert_uint_eq(window.block_count, 1);
    ck_assert_int_eq(window.blocks[0].from_ms, NOW + HOUR_MS);
    failure_window_free(&window);
    end();
}
END_TEST

static void in_force_is(const char *key, int64_t from_ms, int64_t until_ms, int64_t now_ms)
{
    struct failure_in_force read = in_force(key, now_ms);
    ck_assert_int_eq(read.from_ms, from_ms);
    ck_assert_int_eq(read.until_ms, until_ms);
}

/* What judging reads says a block before it begins, with the numbers that it will have; it goes when a
 * deferred one is delivered after all, and at its end. */
START_TEST(test_in_force)
{
    int64_t half_ms = NOW + HOUR_MS / 2, end_ms = NOW + 2 * HOUR_MS;
    begin(_i);
    come(0, "d.test", FAILURE_DELIVERED, 12, NOW);
    come(0, "d.test", FAILURE_DEFERRED, 9, half_ms);
    write_down(0, half_ms);
    in_force_is("d.test", 0, 0, half_ms);
    come(0, "d.test", FAILURE_DEFERRED, 1, half_ms);
    write_down(0, half_ms);
    in_force_is("d.test", NOW + HOUR_MS, end_ms, half_ms);
    ck_assert_uint_eq(in_force("d.test", half_ms).bad, 10);
    ck_assert_uint_eq(in_force("d.test", half_ms).all, 10);
    ck_assert_uint_eq(in_force("d.test", half_ms).messages, 10);
    struct failures_outcome later = outcome("d.test", FAILURE_DELIVERED, half_ms);
    later.outcome.unit = --last_unit;
    later.outcome.first = false;
    failures_add(followers[0], &later);
    write_down(0, half_ms);
    in_force_is("d.test", 0, 0, half_ms);
    come(0, "d.test", FAILURE_FAILED, 1, half_ms);
    write_down(0, half_ms);
    in_force_is("d.test", NOW + HOUR_MS, end_ms, NOW + HOUR_MS - 1);
    come(0, "d.test", FAILURE_DELIVERED, 1, NOW + HOUR_MS + 1);
    write_down(0, NOW + HOUR_MS + 1);
    in_force_is("d.test", NOW + HOUR_MS, end_ms, end_ms - 1);
    ck_assert_uint_eq(in_force("d.test", end_ms - 1).block, 1);
    in_force_is("d.test", 0, 0, end_ms);
    end();
}
END_TEST

/* Mailboxes are blocked one by one, and the others' mail makes a block of its own later. */
START_TEST(test_mailbox_in_force)
{
    begin(_i);
    settings.blocks = FAILURE_BLOCKS_MAILBOX;
    come(0, "d.test", FAILURE_DELIVERED, 20, NOW - HOUR_MS / 2);
    for (int i = 0; i < 60; i++) {
        struct failures_outcome one = outcome("d.test", FAILURE_FAILED, NOW);
        one.outcome.mailbox = i < 50 ? "eve@d.test" : "bob@d.test";
        failures_add(followers[0], &one);
    }
    write_down(0, NOW);
    in_force_is("eve@d.test", NOW, NOW + HOUR_MS, NOW);
    ck_assert_uint_eq(in_force("eve@d.test", NOW).all, 80);
    in_force_is("bob@d.test", NOW + HOUR_MS / 2, NOW + 3 * HOUR_MS / 2, NOW);
    ck_assert_uint_eq(in_force("bob@d.test", NOW).all, 10);
    in_force_is("d.test", 0, 0, NOW);
    settings.blocks = FAILURE_BLOCKS_DOMAIN;
    come(0, "d.test", FAILURE_DELIVERED, 1, NOW);
    write_down(0, NOW);
    in_force_is("eve@d.test", 0, 0, NOW);
    in_force_is("bob@d.test", 0, 0, NOW);
    in_force_is("d.test", NOW, NOW + HOUR_MS, NOW);
    end();
}
END_TEST

/* What is not written has not been; the next follower applies it. */
START_TEST(test_not_written)
{
    begin(_i);
    come(0, "d.test", FAILURE_FAILED, 3, NOW);
    ck_assert_uint_gt(prepare(0, NOW), 0);
    ck_assert_uint_gt(prepare(0, NOW), 0);
    numbers_are("d.test", 0, 0, 0, NOW);
    write_down(0, NOW);
    numbers_are("d.test", 3, 3, 0, NOW);
    ck_assert_uint_eq(failures_change_count(followers[0]), 0);
    ck_assert_uint_eq(prepare(0, NOW), 0);
    end();
}
END_TEST

/* Two mail servers of one domain: the one that comes second applies the same outcomes to what the first
 * has written. */
START_TEST(test_two_followers)
{
    begin(_i);
    int refused = 0;
    for (int round = 0; round < 10; round++) {
        int64_t now_ms = NOW + round * SECOND_MS;
        come(0, "d.test", FAILURE_FAILED, 1, now_ms);
        come(1, "d.test", FAILURE_DELIVERED, 1, now_ms);
        prepare(1, now_ms);
        write_down(0, now_ms); /* between the other one's reading and writing */
        size_t count = prepare(1, now_ms);
        while (write_step(1, count, now_ms) == 0) {
            refused++;
            count = prepare(1, now_ms);
        }
        numbers_are("d.test", (uint32_t)round + 1, 2 * (uint32_t)round + 2, 0, now_ms);
    }
    ck_assert_int_ge(refused, 9); /* each time but the first */
    breaks_at("d.test", NOW + 9 * SECOND_MS, NOW + 10 * SECOND_MS);
    end();
}
END_TEST

/* A log that is read long afterwards changes nothing, and asks for nothing. */
START_TEST(test_late)
{
    begin(_i);
    struct failures_outcome late = outcome("d.test", FAILURE_FAILED, NOW);
    late.outcome.read_ms = NOW + MINUTE_MS + 1;
    failures_add(followers[0], &late);
    ck_assert_uint_eq(failures_change_count(followers[0]), 0);
    ck_assert_uint_eq(prepare(0, NOW), 0);
    end();
}
END_TEST

START_TEST(test_damaged)
{
    begin(_i);
    const struct value_change broken = {
        .value = {.kind = VALUE_FAILURES, .key = "d.test", .bytes = "\1xyz", .length = 4,
                  .until_ms = UNTIL_LIFTED}};
    ck_assert_int_eq(store_values_change(
                         store, &(struct values_step){.changes = &broken, .count = 1,
                                                      .now_ms = NOW}, &done), 1);
    come(0, "d.test", FAILURE_FAILED, 1, NOW);
    write_down(0, NOW);
    numbers_are("d.test", 1, 1, 0, NOW);
    end();
}
END_TEST

/* ---- outages --------------------------------------------------------------------------------- */

/* The site, for ten domains: a house that has not few. */
static void worked_before(void)
{
    come(0, "old.test", FAILURE_DELIVERED, 30, NOW - 5 * HOUR_MS);
    for (int i = 0; i < FAILURE_OUTAGE_DOMAINS_FEW - 1; i++)
        come(0, arena_printf(arena, "other%d.test", i), FAILURE_DELIVERED, 1, NOW - 5 * HOUR_MS);
    write_down(0, NOW - 5 * HOUR_MS);
}

/* `count` domains, one a minute, of which each has `each` outcomes. */
static void domains_fail(int count, int each)
{
    for (int i = 0; i < count; i++) {
        come(0, arena_printf(arena, "d%d.test", i), FAILURE_FAILED, each, NOW + i * MINUTE_MS);
        write_down(0, NOW + i * MINUTE_MS);
    }
}

/* The first five are blocked until the sixth one shows that it is the site. */
START_TEST(test_outage)
{
    begin(_i);
    worked_before();
    domains_fail(5, 10);
    struct failure_window window = window_of_domain("d2.test", NOW + 5 * MINUTE_MS);
    failure_window_pass(&window, &settings, NOW + 5 * MINUTE_MS);
    const struct failure_block *block = failure_window_block(&window, NULL);
    ck_assert_ptr_nonnull(block);
    ck_assert_int_eq(block->from_ms, NOW + 2 * MINUTE_MS);
    failure_window_free(&window);
    domains_fail(7, 10);
    for (int i = 0; i < 7; i++) {
        const char *domain = arena_printf(arena, "d%d.test", i);
        window = window_of_domain(domain, NOW + 7 * MINUTE_MS);
        failure_window_pass(&window, &settings, NOW + 7 * MINUTE_MS);
        ck_assert_ptr_null(failure_window_block(&window, NULL));
        if (i < 5)
            ck_assert_int_eq(window.blocks[0].ended, FAILURE_BY_OUTAGE);
        in_force_is(domain, 0, 0, NOW + 7 * MINUTE_MS);
        failure_window_free(&window);
        breaks_at(domain, FAILURE_NEVER, NOW + 7 * MINUTE_MS);
    }
    end();
}
END_TEST

/* The same for a domain that never fails there otherwise: it is told with its count. */
START_TEST(test_left_out)
{
    begin(_i);
    worked_before();
    domains_fail(6, 10);
    come(0, "late.test", FAILURE_FAILED, 4, NOW + 6 * MINUTE_MS);
    come(0, "late.test", FAILURE_DELIVERED, 2, NOW + 6 * MINUTE_MS);
    struct failures_outcome spam = outcome("late.test", FAILURE_FAILED, NOW + 6 * MINUTE_MS);
    spam.outcome.kind = FAILURE_OTHER;
    failures_add(followers[0], &spam);
    write_down(0, NOW + 6 * MINUTE_MS);
    numbers_are("late.test", 1, 3, 1, NOW + 6 * MINUTE_MS);
    settings.outage = false;
    come(0, "other.test", FAILURE_FAILED, 4, NOW + 6 * MINUTE_MS);
    write_down(0, NOW + 6 * MINUTE_MS);
    numbers_are("other.test", 4, 4, 0, NOW + 6 * MINUTE_MS);
    end();
}
END_TEST

/* More domains than are excused at once. */
START_TEST(test_many_domains)
{
    enum { DOMAINS = 2 * FAILURES_EXCUSED_AT_ONCE + 5 };
    begin(_i);
    worked_before();
    for (int i = 0; i < DOMAINS; i++)
        come(0, arena_printf(arena, "d%d.test", i), FAILURE_FAILED, 1,
             NOW + i / FAILURE_OUTAGE_SENDERS_MAX * MINUTE_MS);
    settings.outage = false;
    write_down(0, NOW + 5 * MINUTE_MS);
    settings.outage = true;
    for (int i = 0; i < 3; i++) {
        come(0, "late.test", FAILURE_FAILED, 1, NOW + (5 + i) * MINUTE_MS);
        write_down(0, NOW + (5 + i) * MINUTE_MS);
    }
    for (int i = 0; i < DOMAINS; i++)
        numbers_are(arena_printf(arena, "d%d.test", i), 0, 0, 1, NOW + 8 * MINUTE_MS);
    end();
}
END_TEST

/* Six mailboxes of one domain: refused as spam; where the site is down; and where it is down for them
 * alone in a house that has other domains, which would have seen it. */
START_TEST(test_one_domain)
{
    begin(_i);
    for (int round = 0; round < 3; round++) {
        int64_t at_ms = NOW + round * 3 * DAY_MS;
        come(0, "house.test", FAILURE_DELIVERED, 30, at_ms - 5 * HOUR_MS);
        for (int i = 0; i < FAILURE_OUTAGE_DOMAINS_FEW && round == 2; i++)
            come(0, arena_printf(arena, "other%d.test", i), FAILURE_DELIVERED, 1,
                 at_ms - 4 * HOUR_MS);
        write_down(0, at_ms - 4 * HOUR_MS);
        for (int i = 0; i < 60; i++) {
            struct failures_outcome one = outcome("house.test", FAILURE_FAILED, at_ms);
            one.outcome.mailbox = arena_printf(arena, "box%d@house.test", i % 6);
            one.outcome.kind = round == 0 ? FAILURE_OTHER : FAILURE_SITE;
            one.outcome.admitted_ms = at_ms;
            failures_add(followers[0], &one);
        }
        write_down(0, at_ms);
        breaks_at("house.test", round == 1 ? FAILURE_NEVER : at_ms, at_ms);
    }
    end();
}
END_TEST

/* ---- recipients that were reached ------------------------------------------------------------ */

enum { REACHED = 60 };

/* Mail to REACHED recipients arrives; each of them is what `hash` says. */
static void reach(uint64_t (*hash)(int), int64_t at_ms)
{
    for (int i = 0; i < REACHED; i++) {
        struct failures_outcome one = outcome(arena_printf(arena, "d%d.test", i % 12),
                                              FAILURE_DELIVERED, at_ms);
        one.recipient = one.recipient_before = hash(i);
        failures_add(followers[0], &one);
    }
    write_down(0, at_ms);
}

/* The site says of them that it does not know them: six domains, ten messages of each. */
static void are_unknown(uint64_t (*hash)(int), bool before, int64_t at_ms)
{
    for (int i = 0; i < REACHED; i++) {
        struct failures_outcome one = outcome(arena_printf(arena, "d%d.test", i % 6),
                                              FAILURE_FAILED, at_ms);
        one.recipient = hash(before ? i + REACHED : i);
        one.recipient_before = hash(i);
        one.outcome.kind = i % 2 == 0 ? FAILURE_ADDRESS_UNKNOWN : FAILURE_MAILBOX;
        one.outcome.class = REPLY_ADDRESS_UNKNOWN;
        one.outcome.admitted_ms = at_ms;
        failures_add(followers[0], &one);
    }
    write_down(0, at_ms);
    write_down(0, at_ms);
}

static uint64_t scattered(int i) { return FAR * (uint64_t)(i + 1); }
/* All are in one part, and differ in the last of the bits that are kept. */
static uint64_t near(int i) { return UINT64_C(0xABC) << 52 | (uint64_t)i << 12; }
/* Others that differ in the bits before. */
static uint64_t beside(int i) { return near(i) ^ UINT64_C(1) << 51; }

/* Gmail of December 2020: addresses that had mail yesterday are unknown. Those that nobody wrote to
 * are a list. */
START_TEST(test_reached)
{
    const int64_t days[] = {0, 30, 31};
    begin(_i);
    for (size_t i = 0; i < countof(days); i++) {
        int64_t at_ms = NOW + (int64_t)i * 100 * DAY_MS, later_ms = at_ms + days[i] * DAY_MS;
        reach(i % 2 == 0 ? scattered : near, at_ms);
        reach(beside, later_ms + 2 * HOUR_MS); /* that the site works is to be known */
        later_ms += 5 * HOUR_MS;
        are_unknown(i % 2 == 0 ? scattered : near, i == 1, later_ms);
        for (int domain = 0; domain < 6; domain++)
            breaks_at(arena_printf(arena, "d%d.test", domain),
                      days[i] <= 30 ? FAILURE_NEVER : later_ms, later_ms);
    }
    end();
}
END_TEST

/* So many that a part forgets the oldest, and what is 30 days old. */
START_TEST(test_reached_by_many)
{
    enum { MANY = 4100, BYTES = 7 };
    struct value value;
    begin(_i);
    for (int day = 0; day < 3; day++) {
        int64_t at_ms = NOW + day * 20 * DAY_MS;
        for (int i = 0; i < (day == 2 ? 1 : MANY / 2); i++) {
            struct failures_outcome one = outcome("d.test", FAILURE_DELIVERED, at_ms);
            one.recipient = one.recipient_before = near(day * MANY + i);
            failures_add(followers[0], &one);
        }
        write_down(0, at_ms);
        ck_assert_int_eq(store_value(store, arena, VALUE_REACHED, "abc", at_ms, &value), 1);
        ck_assert_uint_eq(value.length, day == 0   ? 1 + BYTES * MANY / 2
                                        : day == 1 ? 1 + BYTES * 4000
                                                   : 1 + BYTES * (MANY / 2 + 1));
    }
    end();
}
END_TEST

/* Followers of two servers change one part. */
START_TEST(test_reached_by_two)
{
    struct value value;
    begin(_i);
    for (int i = 0; i < 10; i++) {
        struct failures_outcome one = outcome("d.test", FAILURE_DELIVERED, NOW + i);
        one.recipient = one.recipient_before = near(i);
        failures_add(followers[i % 2], &one);
        prepare(1 - i % 2, NOW + i);
        write_down(i % 2, NOW + i);
    }
    ck_assert_int_eq(store_value(store, arena, VALUE_REACHED, "abc", NOW, &value), 1);
    ck_assert_uint_eq(value.length, 1 + 7 * 10);
    struct failures_outcome again = outcome("d.test", FAILURE_DELIVERED, NOW + 11);
    again.recipient = near(3);
    again.outcome.read_ms += HOUR_MS; /* a line that is read late says it too, but nothing else */
    failures_add(followers[1], &again);
    ck_assert_uint_eq(failures_change_count(followers[1]), 0);
    again.recipient = near(10);
    failures_add(followers[1], &again);
    write_down(1, NOW + HOUR_MS);
    ck_assert_int_eq(store_value(store, arena, VALUE_REACHED, "abc", NOW, &value), 1);
    ck_assert_uint_eq(value.length, 1 + 7 * 11);
    end();
}
END_TEST

/* ---- kinds ----------------------------------------------------------------------------------- */

START_TEST(test_kinds)
{
    static const struct {
        enum reply_class class;
        const char *code;
        enum failure_kind kind;
    } cases[] = {
        {REPLY_UNREACHABLE, "4.4.1", FAILURE_SITE},
        {REPLY_UNREACHABLE, "", FAILURE_SITE},
        {REPLY_OTHER, "4.3.0", FAILURE_SITE},
        {REPLY_DOMAIN_UNROUTABLE, "4.4.4", FAILURE_SITE},
        {REPLY_DOMAIN_UNROUTABLE, "5.4.4", FAILURE_OTHER},
        {REPLY_RATE, "4.3.2", FAILURE_OTHER},
        {REPLY_CONTENT_REFUSED, "4.3.0", FAILURE_OTHER},
        {REPLY_NOT_AUTHENTICATED, "4.4.0", FAILURE_OTHER},
        {REPLY_OTHER, "4.30.0", FAILURE_OTHER},
        {REPLY_ADDRESS_UNKNOWN, "5.1.1", FAILURE_ADDRESS_UNKNOWN},
        {REPLY_MAILBOX_FULL, "4.2.2", FAILURE_MAILBOX},
        {REPLY_MAILBOX_OFF, "5.2.1", FAILURE_MAILBOX},
        {REPLY_CONTENT_REFUSED, "5.7.1", FAILURE_OTHER},
    };
    for (size_t i = 0; i < countof(cases); i++)
        ck_assert_int_eq(failures_kind(cases[i].class, cases[i].code), cases[i].kind);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("failures");
    TCase *tcase = backends_case(suite, "failures");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_steps, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_in_force, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_mailbox_in_force, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_not_written, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_two_followers, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_late, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_damaged, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_outage, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_left_out, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_many_domains, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_one_domain, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_reached, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_reached_by_many, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_reached_by_two, 0, BACKEND_KINDS);
    tcase_add_test(tcase, test_kinds);
    return backends_run(suite);
}
