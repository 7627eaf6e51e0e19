/* When a destination has an outage, and when senders only fail there. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/failure_outage.h"

enum { MANY = FAILURE_OUTAGE_DOMAINS_FEW, FEW = MANY - 1 };
enum { SITE_BIT = 1 << FAILURE_SITE,
       ADDRESS_BITS = 1 << FAILURE_ADDRESS_UNKNOWN | 1 << FAILURE_MAILBOX };
#define NOON (20000 * DAY_MS + 12 * HOUR_MS)

static struct failure_outage outage;

static void begin(void) {}
static void end(void) { failure_outage_free(&outage); }

/* `count` outcomes of mailbox `who` of the domain of that number. */
static void come(int domain, uint32_t who, int count, bool good, enum failure_kind kind, bool known,
                 int64_t at_ms)
{
    char name[32];
    snprintf(name, sizeof name, "d%d.test", domain);
    for (int i = 0; i < count; i++)
        failure_outage_take(&outage, &(struct failure_outage_outcome){
                                         name, who, good, kind, known, at_ms});
}

static void worked(int64_t at_ms) { come(100, 0, 20, true, FAILURE_OTHER, false, at_ms); }

/* So many domains, four outcomes each. */
static void domains_fail(int count, enum failure_kind kind, bool known)
{
    for (int i = 0; i < count; i++)
        come(i, 1, 4, false, kind, known, NOON + i * MINUTE_MS);
}

static uint32_t explains(int domain, uint32_t who, uint32_t domains_of_day, int64_t now_ms)
{
    char name[32];
    snprintf(name, sizeof name, "d%d.test", domain);
    return failure_outage_explains(&outage, name, who, domains_of_day, now_ms);
}

START_TEST(test_seen)
{
    worked(NOON - 2 * HOUR_MS);
    domains_fail(5, FAILURE_SITE, false);
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 10 * MINUTE_MS), SITE_BIT);
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 59 * MINUTE_MS), SITE_BIT);
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 60 * MINUTE_MS), 0); /* the first has left */
    /* what the judged domain had is no evidence for it: the others are four, with 16 */
    ck_assert_uint_eq(explains(3, 1, MANY, NOON + 10 * MINUTE_MS), 0);
    domains_fail(6, FAILURE_SITE, false);
    ck_assert_uint_eq(explains(3, 1, MANY, NOON + 10 * MINUTE_MS), SITE_BIT);
    /* the hour is over for the first ones, then for all */
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 59 * MINUTE_MS), SITE_BIT);
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 62 * MINUTE_MS), 0);
}
END_TEST

/* Ten senders of one domain are one. */
START_TEST(test_senders)
{
    worked(NOON - 2 * HOUR_MS);
    for (uint32_t who = 0; who < 10; who++)
        come(1, who, 10, false, FAILURE_SITE, false, NOON);
    domains_fail(4, FAILURE_SITE, false);
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 5 * MINUTE_MS), 0);
    /* in a house with few domains they are ten */
    ck_assert_uint_eq(explains(50, 1, FEW, NOON + 5 * MINUTE_MS), SITE_BIT);
}
END_TEST

START_TEST(test_one_domain)
{
    worked(NOON - 2 * HOUR_MS);
    for (uint32_t who = 0; who < 5; who++)
        come(1, who, 5, false, FAILURE_SITE, false, NOON);
    ck_assert_uint_eq(explains(1, 9, 1, NOON), SITE_BIT);
    ck_assert_uint_eq(explains(1, 4, 1, NOON), 0);
    come(1, 5, 5, false, FAILURE_SITE, false, NOON);
    ck_assert_uint_eq(explains(1, 4, 1, NOON), SITE_BIT);
}
END_TEST

START_TEST(test_share)
{
    worked(NOON - 2 * HOUR_MS);
    domains_fail(5, FAILURE_SITE, false);
    come(7, 1, 5, true, FAILURE_OTHER, false, NOON + 5 * MINUTE_MS); /* 20 of 25 */
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 5 * MINUTE_MS), SITE_BIT);
    come(7, 1, 1, true, FAILURE_OTHER, false, NOON + 5 * MINUTE_MS);
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 5 * MINUTE_MS), 0);
}
END_TEST

/* A site that always fails, or that nobody knew before, has no outage. */
START_TEST(test_before)
{
    domains_fail(6, FAILURE_SITE, false);
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 10 * MINUTE_MS), 0);
    end();
    come(100, 0, 17, true, FAILURE_OTHER, false, NOON - 2 * HOUR_MS);
    come(100, 0, 4, false, FAILURE_OTHER, false, NOON - 2 * HOUR_MS); /* 4 of 21 */
    domains_fail(6, FAILURE_SITE, false);
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 10 * MINUTE_MS), SITE_BIT);
    end();
    come(100, 0, 16, true, FAILURE_OTHER, false, NOON - 2 * HOUR_MS);
    come(100, 0, 4, false, FAILURE_OTHER, false, NOON - 2 * HOUR_MS); /* a fifth */
    domains_fail(6, FAILURE_SITE, false);
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 10 * MINUTE_MS), 0);
}
END_TEST

/* The 24 hours before are those before the last 60 minutes. */
START_TEST(test_before_when)
{
    const int64_t now_ms = NOON + 10 * MINUTE_MS;
    const int64_t minutes_ago[] = {60, 60 + 24 * 60 - 1, 60 + 24 * 60, 59};
    for (size_t i = 0; i < countof(minutes_ago); i++) {
        worked(now_ms - minutes_ago[i] * MINUTE_MS);
        /* 20 more that were delivered are not too many in the last hour */
        for (int domain = 0; domain < 20; domain++)
            come(domain, 1, 5, false, FAILURE_SITE, false, now_ms - (i < 3) * MINUTE_MS);
        ck_assert_uint_eq(explains(50, 1, MANY, now_ms), i < 2 ? SITE_BIT : 0);
        end();
    }
}
END_TEST

/* What failed more than 25 hours ago is of no account, though its minute's place is used again. */
START_TEST(test_long_before)
{
    const int64_t before_ms = NOON - 2 * HOUR_MS, day_before_ms = before_ms - 25 * HOUR_MS;
    come(100, 0, 20, false, FAILURE_OTHER, false, day_before_ms);
    come(100, 0, 1, true, FAILURE_OTHER, false, before_ms - 12 * HOUR_MS);
    worked(before_ms);
    domains_fail(5, FAILURE_SITE, false);
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 5 * MINUTE_MS), SITE_BIT);
}
END_TEST

/* Six stolen mailboxes: refused as spam, or with an old list. */
START_TEST(test_stolen)
{
    worked(NOON - 2 * HOUR_MS);
    for (uint32_t who = 0; who < 6; who++)
        come((int)who, who, 50, false, FAILURE_OTHER, false, NOON);
    ck_assert_uint_eq(explains(0, 0, MANY, NOON), 0);
    ck_assert_uint_eq(explains(0, 0, FEW, NOON), 0);
    end();
    worked(NOON - 2 * HOUR_MS);
    for (uint32_t who = 0; who < 6; who++)
        come((int)who, who, 50, false, FAILURE_ADDRESS_UNKNOWN, false, NOON);
    ck_assert_uint_eq(explains(0, 0, MANY, NOON), 0);
}
END_TEST

/* As Gmail was on 14 December 2020: 5.1.1 for recipients that had been delivered to. */
START_TEST(test_known_recipients)
{
    worked(NOON - 2 * HOUR_MS);
    domains_fail(8, FAILURE_ADDRESS_UNKNOWN, true);
    come(9, 1, 8, false, FAILURE_MAILBOX, false, NOON + 8 * MINUTE_MS); /* 32 of 40 known */
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 8 * MINUTE_MS), ADDRESS_BITS);
    come(9, 1, 1, false, FAILURE_MAILBOX, false, NOON + 8 * MINUTE_MS);
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 8 * MINUTE_MS), 0);
    /* nobody answers, and a few are unknown: that explains nobody's old list */
    domains_fail(50, FAILURE_SITE, false);
    ck_assert_uint_eq(explains(90, 1, MANY, NOON + 50 * MINUTE_MS), SITE_BIT);
}
END_TEST

/* Busy sites are judged by the first senders of each minute, and stay small. */
START_TEST(test_bounds)
{
    worked(NOON - 2 * HOUR_MS);
    for (int minute = 0; minute < 200; minute++)
        for (int i = 0; i < 100; i++)
            come(i * 200 + minute, (uint32_t)i, 1, false, FAILURE_SITE, false,
                 NOON + minute * MINUTE_MS);
    ck_assert_uint_eq(outage.sender_count, FAILURE_OUTAGE_MINUTES * FAILURE_OUTAGE_SENDERS_MAX);
    freed_by(text_free) struct text packed = {0};
    failure_outage_add(&packed, &outage);
    ck_assert_uint_lt(packed.length, 128 * 1024);
    size_t place = 0;
    int domains = 0;
    while (failure_outage_domain(&outage, &place) != NULL)
        domains++;
    ck_assert_int_eq(domains, FAILURE_OUTAGE_MINUTES * FAILURE_OUTAGE_SENDERS_MAX);
    /* a clock that was wrong, and is set right */
    come(1, 1, 1, true, FAILURE_OTHER, false, NOON);
    ck_assert_uint_eq(outage.sender_count, 1);
    ck_assert_int_eq(outage.minute, NOON / MINUTE_MS);
}
END_TEST

START_TEST(test_packed)
{
    worked(NOON - 25 * HOUR_MS + 20 * MINUTE_MS);
    domains_fail(6, FAILURE_SITE, false);
    come(7, 1, 1, false, FAILURE_MAILBOX, true, NOON + 7 * MINUTE_MS);
    freed_by(text_free) struct text packed = {0}, again = {0};
    failure_outage_add(&packed, &outage);
    failure_outage_free(&outage);
    for (size_t length = 0; length < packed.length; length++) {
        char *copy = xmalloc(length + (length == 0)); /* exact, for the sanitizer */
        memcpy(copy, packed.data, length);
        ck_assert_int_eq(failure_outage_read(copy, length, &outage), 0);
        free(copy);
    }
    for (size_t i = 0; i < packed.length * 8; i++) {
        packed.data[i / 8] = (char)(packed.data[i / 8] ^ 1 << i % 8);
        if (failure_outage_read(packed.data, packed.length, &outage)) {
            worked(NOON);
            explains(1, 1, MANY, NOON);
            failure_outage_free(&outage);
        }
        packed.data[i / 8] = (char)(packed.data[i / 8] ^ 1 << i % 8);
    }
    ck_assert_int_eq(failure_outage_read(packed.data, packed.length, &outage), 1);
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 10 * MINUTE_MS), SITE_BIT | ADDRESS_BITS);
    ck_assert_uint_eq(explains(50, 1, MANY, NOON + 30 * MINUTE_MS), 0); /* too long ago */
    failure_outage_add(&again, &outage);
    ck_assert_uint_eq(again.length, packed.length);
    ck_assert_mem_eq(again.data, packed.data, packed.length);
}
END_TEST

/* What people are told. */
START_TEST(test_numbers)
{
    struct failure_outage_numbers numbers = failure_outage_numbers(&outage, NOON);
    ck_assert_int_eq(numbers.since_ms, 0);
    ck_assert_uint_eq(numbers.domains, 0);
    worked(NOON - 2 * HOUR_MS);
    come(7, 1, 3, false, FAILURE_OTHER, false, NOON - HOUR_MS); /* a bad minute, and well again */
    come(7, 1, 9, true, FAILURE_OTHER, false, NOON - 50 * MINUTE_MS);
    ck_assert_int_eq(failure_outage_numbers(&outage, NOON - 50 * MINUTE_MS).since_ms, 0);
    domains_fail(5, FAILURE_SITE, false);
    come(5, 1, 2, true, FAILURE_OTHER, false, NOON + 3 * MINUTE_MS); /* some get through */
    come(1, 2, 4, false, FAILURE_SITE, false, NOON + 90 * SECOND_MS + 5 * MINUTE_MS);
    numbers = failure_outage_numbers(&outage, NOON + 8 * MINUTE_MS);
    ck_assert_int_eq(numbers.since_ms, NOON);
    ck_assert_uint_eq(numbers.domains, 5);
    ck_assert_uint_eq(numbers.senders, 8); /* d7, d0 to d4, d5 and one more of d1 */
    numbers = failure_outage_numbers(&outage, NOON + 61 * MINUTE_MS);
    ck_assert_int_eq(numbers.since_ms, NOON); /* it goes on for longer than an hour */
    ck_assert_uint_eq(numbers.domains, 4);    /* d0 and what d1 had first are too old */
}
END_TEST

START_TEST(test_newest)
{
    freed_by(text_free) struct text packed = {0};
    worked(NOON);
    failure_outage_add(&packed, &outage);
    ck_assert_int_eq(failure_outage_newest(packed.data, packed.length), NOON / MINUTE_MS);
    ck_assert_int_eq(failure_outage_newest(packed.data, 7), NOON / MINUTE_MS);
    ck_assert_int_eq(failure_outage_newest(packed.data, 6), 0);
    ck_assert_int_eq(failure_outage_newest("\377\377\377\377\377\377\377", 7), 0);
}
END_TEST

START_TEST(test_day)
{
    uint8_t packed[2 + FAILURE_OUTAGE_DOMAINS_FEW * FAILURE_OUTAGE_DAY_HASH_BYTES] = {
        FAILURE_OUTAGE_DAY_FORMAT};
    ck_assert_uint_eq(failure_outage_domains_of_day(NULL, 0), 0);
    ck_assert_uint_eq(failure_outage_domains_of_day(packed, 1), 0);
    ck_assert_uint_eq(failure_outage_domains_of_day(packed, 13), 3);
    ck_assert_uint_eq(failure_outage_domains_of_day(packed, sizeof packed - 1),
                      FAILURE_OUTAGE_DOMAINS_FEW);
    ck_assert_uint_eq(failure_outage_domains_of_day(packed, sizeof packed), 0);
    packed[0]++;
    ck_assert_uint_eq(failure_outage_domains_of_day(packed, 13), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("failure outage");
    tcase_set_timeout(tcase, 60); /* a sanitizer, and other programs */
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_numbers);
    tcase_add_test(tcase, test_newest);
    tcase_add_test(tcase, test_day);
    tcase_add_test(tcase, test_seen);
    tcase_add_test(tcase, test_senders);
    tcase_add_test(tcase, test_one_domain);
    tcase_add_test(tcase, test_share);
    tcase_add_test(tcase, test_before);
    tcase_add_test(tcase, test_before_when);
    tcase_add_test(tcase, test_long_before);
    tcase_add_test(tcase, test_stolen);
    tcase_add_test(tcase, test_known_recipients);
    tcase_add_test(tcase, test_bounds);
    tcase_add_test(tcase, test_packed);
    Suite *suite = suite_create("failure outage");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
