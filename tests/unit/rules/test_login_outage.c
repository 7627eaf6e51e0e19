/* A password database that does not answer, with a full and with an empty store: none is blocked. */
#include <check.h>
#include <stdlib.h>

#include "rules/login_outage.h"

#define NOON (INT64_C(20000) * DAY_MS + 12 * HOUR_MS)

enum { MAILBOXES = 200 };

static struct login_outage outage;
static struct login_mailbox mailboxes[MAILBOXES];
static struct login_network office;
static const struct login_limits limits = LOGIN_DEFAULT_LIMITS;

static void begin(void)
{
    outage = (struct login_outage){0};
    for (int i = 0; i < MAILBOXES; i++)
        login_mailbox_free(&mailboxes[i]);
    login_network_free(&office);
}

static struct login_from from(int mailbox)
{
    return (struct login_from){.mailbox = (uint64_t)mailbox + 1, .network = 1};
}

static void right(int mailbox, int64_t at_ms)
{
    const struct login_from who = from(mailbox);
    login_take_right(&mailboxes[mailbox], &office, &who, (uint16_t)mailbox, at_ms);
    login_outage_take(&outage, who.mailbox, true, LOGIN_COUNTED, at_ms);
}

static enum login_taken wrong(int mailbox, int password, int64_t at_ms)
{
    const struct login_from who = from(mailbox);
    unsigned begun;
    enum login_taken taken =
        login_take_wrong(&mailboxes[mailbox], &office, &limits, &who, (uint16_t)password,
                         login_outage_rests(&outage, at_ms), at_ms, &begun);
    ck_assert_uint_eq(begun, 0);
    login_outage_take(&outage, who.mailbox, false, taken, at_ms);
    return taken;
}

/* For five minutes each right password is refused, ten times a minute. */
static void break_database(int64_t at_ms, enum login_taken expected)
{
    for (int i = 0; i < 50 * MAILBOXES; i++) {
        enum login_taken taken = wrong(i % MAILBOXES, i % MAILBOXES, at_ms + i * 30);
        ck_assert_int_eq(taken, i < MAILBOXES || expected != LOGIN_COUNTED ? expected
                                                                          : LOGIN_REPEATED);
    }
    ck_assert(login_outage_alarms(&outage, at_ms + 5 * MINUTE_MS));
}

START_TEST(test_full_store)
{
    for (int i = 0; i < MAILBOXES; i++)
        right(i, NOON - HOUR_MS);
    right(0, NOON - 1);
    ck_assert(!login_outage_alarms(&outage, NOON));
    break_database(NOON, LOGIN_OLD_PASSWORD);
    ck_assert_int_eq(login_outage_rests(&outage, NOON + 5 * MINUTE_MS), LOGIN_RESTS);
    ck_assert_int_eq(wrong(1, 4000, NOON + 5 * MINUTE_MS), LOGIN_RESTED);
    right(1, NOON + 10 * MINUTE_MS);
    ck_assert_int_eq(login_outage_rests(&outage, NOON + 10 * MINUTE_MS), LOGIN_RESTS_NOT);
    ck_assert_int_eq(wrong(1, 4000, NOON + 10 * MINUTE_MS), LOGIN_COUNTED);
}
END_TEST

START_TEST(test_empty_store)
{
    ck_assert_int_eq(login_outage_rests(&outage, NOON), LOGIN_RESTS_NETWORKS);
    ck_assert(!login_outage_alarms(&outage, NOON));
    break_database(NOON, LOGIN_COUNTED);
    ck_assert_int_eq(login_outage_rests(&outage, NOON + 5 * MINUTE_MS), LOGIN_RESTS_NETWORKS);
    for (int i = 0; i < MAILBOXES; i++) { /* it is mended */
        const struct login_from who = from(i);
        ck_assert(login_blocked(&mailboxes[i], &office, &who, NOON + 5 * MINUTE_MS) == NULL);
    }
}
END_TEST

START_TEST(test_number)
{
    for (int i = 0; i < MAILBOXES; i++)
        right(i, NOON - HOUR_MS);
    right(0, NOON - MINUTE_MS);
    for (int i = 1; i <= 19; i++)
        wrong(i, i, NOON + i);
    for (int i = 0; i < 30; i++)
        wrong(1, 1, NOON + 20); /* no other mailbox */
    ck_assert_int_eq(login_outage_rests(&outage, NOON + 20), LOGIN_RESTS_NOT);
    wrong(20, 20, NOON + 20);
    ck_assert_int_eq(login_outage_rests(&outage, NOON + 20), LOGIN_RESTS);
    ck_assert_int_eq(login_outage_rests(&outage, NOON + 59 * SECOND_MS), LOGIN_RESTS);
    ck_assert_int_eq(login_outage_rests(&outage, NOON + 60 * SECOND_MS), LOGIN_RESTS_NOT);
}
END_TEST

START_TEST(test_more_than_half)
{
    right(0, NOON - MINUTE_MS);
    for (int i = 0; i < 20; i++) {
        login_outage_take(&outage, (uint64_t)i + 1, false, LOGIN_OLD_PASSWORD, NOON);
        login_outage_take(&outage, (uint64_t)i + 100, false, LOGIN_COUNTED, NOON);
    }
    ck_assert_int_eq(login_outage_rests(&outage, NOON), LOGIN_RESTS_NOT);
    login_outage_take(&outage, 1, false, LOGIN_OLD_PASSWORD, NOON);
    ck_assert_int_eq(login_outage_rests(&outage, NOON), LOGIN_RESTS);
}
END_TEST

/* Somebody tries old passwords of mailboxes of his own, while others sign in. */
START_TEST(test_others_sign_in)
{
    right(0, NOON);
    for (int i = 0; i < 1000; i++)
        login_outage_take(&outage, (uint64_t)i % 50 + 1, false, LOGIN_OLD_PASSWORD, NOON + i);
    ck_assert_int_eq(login_outage_rests(&outage, NOON + MINUTE_MS - 1), LOGIN_RESTS_NOT);
    ck_assert(!login_outage_alarms(&outage, NOON + MINUTE_MS - 1));
    login_outage_take(&outage, 1, false, LOGIN_OLD_PASSWORD, NOON + MINUTE_MS);
    ck_assert_int_eq(login_outage_rests(&outage, NOON + MINUTE_MS), LOGIN_RESTS_NOT); /* the minute */
    for (int i = 0; i < 20; i++)
        login_outage_take(&outage, (uint64_t)i + 1, false, LOGIN_OLD_PASSWORD, NOON + MINUTE_MS);
    ck_assert_int_eq(login_outage_rests(&outage, NOON + MINUTE_MS), LOGIN_RESTS);
    right(0, NOON + MINUTE_MS);
    ck_assert_int_eq(login_outage_rests(&outage, NOON + MINUTE_MS), LOGIN_RESTS_NOT);
}
END_TEST

START_TEST(test_silence)
{
    right(1, NOON);
    ck_assert_int_eq(login_outage_rests(&outage, NOON + LOGIN_SILENCE_MS - 1), LOGIN_RESTS_NOT);
    ck_assert_int_eq(login_outage_rests(&outage, NOON + LOGIN_SILENCE_MS), LOGIN_RESTS_NETWORKS);
    ck_assert(!login_outage_alarms(&outage, NOON + LOGIN_SILENCE_MS));
}
END_TEST

/* A quiet night, once the right passwords are known. */
START_TEST(test_silence_of_later)
{
    right(1, NOON);
    outage.ready_ms = NOON + HOUR_MS;
    ck_assert_int_eq(login_outage_rests(&outage, NOON + HOUR_MS - 1), LOGIN_RESTS_NETWORKS);
    ck_assert_int_eq(login_outage_rests(&outage, NOON + HOUR_MS), LOGIN_RESTS_NOT);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("login_outage");
    tcase_add_checked_fixture(tcase, begin, begin);
    tcase_add_test(tcase, test_full_store);
    tcase_add_test(tcase, test_empty_store);
    tcase_add_test(tcase, test_number);
    tcase_add_test(tcase, test_more_than_half);
    tcase_add_test(tcase, test_others_sign_in);
    tcase_add_test(tcase, test_silence);
    tcase_add_test(tcase, test_silence_of_later);
    Suite *suite = suite_create("login_outage");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
