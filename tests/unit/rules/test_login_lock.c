/* Locks: offences to the millisecond, what holds again and when, and the packed form. */
#include <check.h>

#include "rules/login.h"

#define NOON (INT64_C(20000) * DAY_MS + 12 * HOUR_MS)

enum { STOLEN = 17, NEW = 18 };

static struct login_lock lock;

static void begin(void) { lock = (struct login_lock){0}; }

START_TEST(test_offences)
{
    ck_assert(!login_lock_begin(&lock, true, STOLEN, NOON));
    ck_assert(!login_lock_begin(&lock, false, NEW, NOON + 1)); /* it holds: the scope alone */
    ck_assert_int_eq(lock.offence_ms, NOON);
    ck_assert_uint_eq(lock.fingerprint, STOLEN);
    ck_assert(!lock.keeps_out);
    login_lock_reopen(&lock, NOON + 2);
    ck_assert_int_eq(login_lock_next(&lock, NOON + LOGIN_OFFENCES_MS - 1), LOGIN_CLOSED);
    ck_assert_int_eq(login_lock_next(&lock, NOON + LOGIN_OFFENCES_MS), LOGIN_LOCKED);
    struct login_lock later = lock;
    ck_assert(login_lock_begin(&lock, true, NEW, NOON + LOGIN_OFFENCES_MS - 1));
    ck_assert_int_eq(lock.phase, LOGIN_CLOSED);
    ck_assert(!login_lock_begin(&lock, false, NEW, NOON + LOGIN_OFFENCES_MS));
    ck_assert(lock.keeps_out && lock.phase == LOGIN_CLOSED); /* locking it opens nothing */
    ck_assert(!login_lock_begin(&later, true, NEW, NOON + LOGIN_OFFENCES_MS));
    ck_assert_int_eq(later.phase, LOGIN_LOCKED);
}
END_TEST

/* A mistake leaves the offence before it. */
START_TEST(test_forgiven)
{
    login_lock_begin(&lock, true, STOLEN, NOON);
    login_lock_reopen(&lock, NOON + 1);
    login_lock_begin(&lock, true, STOLEN, NOON + DAY_MS);
    login_lock_forgive(&lock, NOON + DAY_MS + 1);
    ck_assert_int_eq(lock.offence_ms, NOON);
    ck_assert_int_eq(login_lock_next(&lock, NOON + 2 * DAY_MS), LOGIN_CLOSED);
    ck_assert(!login_lock_returns(&lock, STOLEN, NOON + 2 * DAY_MS));
    ck_assert_int_eq(login_lock_ends(&lock), NOON + LOGIN_OFFENCES_MS);
    login_lock_begin(&lock, true, STOLEN, NOON + LOGIN_OFFENCES_MS);
    login_lock_forgive(&lock, NOON + LOGIN_OFFENCES_MS + 1);
    login_lock_close(&lock, LOGIN_NO_FINGERPRINT, NOON + 2 * LOGIN_OFFENCES_MS);
    login_lock_forgive(&lock, NOON + 2 * LOGIN_OFFENCES_MS + 1);
    ck_assert_int_eq(lock.offence_ms, NOON);
}
END_TEST

/* Asked for by the user: it holds, and is an offence from the moment of a lock on. */
START_TEST(test_asked)
{
    login_lock_begin(&lock, true, NEW, NOON);
    login_lock_reopen(&lock, NOON + 1);
    login_lock_ask(&lock, STOLEN, NOON + 2);
    ck_assert(login_lock_holds(&lock) && lock.keeps_out);
    ck_assert_int_eq(login_lock_ends(&lock), UNTIL_LIFTED);
    ck_assert_int_eq(login_lock_offences(&lock, NOON + 3), 1);
    ck_assert_int_eq(login_lock_next(&lock, NOON + 3), LOGIN_CLOSED);
    struct login_lock forgiven = lock;
    login_lock_forgive(&forgiven, NOON + 3);
    ck_assert_int_eq(forgiven.offence_ms, NOON);
    login_lock_take(&lock, STOLEN, false, 0, NOON + 4);
    ck_assert(login_lock_begin(&lock, true, NEW, NOON + 5));
    ck_assert_int_eq(login_lock_offences(&lock, NOON + 5), 2);
    ck_assert_uint_eq(lock.fingerprint, STOLEN);
    ck_assert_int_eq(lock.refused_ms, NOON + 4);
}
END_TEST

/* A password in a list is no offence, and begins none; what an offence locks stays its own. */
START_TEST(test_breached)
{
    ck_assert(login_lock_breach(&lock, true, STOLEN, NOON));
    ck_assert(login_lock_holds(&lock) && lock.breached && lock.keeps_out);
    ck_assert_int_eq(login_lock_offences(&lock, NOON), 0);
    ck_assert_int_eq(login_lock_next(&lock, NOON), LOGIN_LOCKED);
    ck_assert(login_lock_breach(&lock, false, NEW, NOON + 1)); /* the scope alone */
    ck_assert(!lock.keeps_out && lock.since_ms == NOON && lock.fingerprint == STOLEN);
    login_lock_reopen(&lock, NOON + 2);
    ck_assert(login_lock_returns(&lock, STOLEN, NOON + 3));
    login_lock_return(&lock, NOON + 3);
    ck_assert(lock.breached);
    ck_assert(!login_lock_begin(&lock, true, STOLEN, NOON + 4));
    ck_assert(!lock.breached && login_lock_offences(&lock, NOON + 4) == 1);
    ck_assert(!login_lock_breach(&lock, false, STOLEN, NOON + 5));
    ck_assert(!lock.breached && lock.keeps_out);
    login_lock_reopen(&lock, NOON + 6);
    ck_assert(login_lock_breach(&lock, true, NEW, NOON + 7));
    ck_assert_int_eq(login_lock_next(&lock, NOON + 7), LOGIN_CLOSED);
    login_lock_forgive(&lock, NOON + 8);
    ck_assert(!login_lock_holds(&lock) && login_lock_offences(&lock, NOON + 8) == 1);
    login_lock_breach(&lock, true, NEW, NOON + 9);
    login_lock_close(&lock, NEW, NOON + 10);
    ck_assert(!lock.breached && lock.phase == LOGIN_CLOSED);
    ck_assert_int_eq(login_lock_offences(&lock, NOON + 10), 2);
}
END_TEST

START_TEST(test_returns)
{
    ck_assert(!login_lock_returns(&lock, 0, NOON));
    login_lock_begin(&lock, true, STOLEN, NOON);
    ck_assert(!login_lock_returns(&lock, STOLEN, NOON));
    login_lock_reopen(&lock, NOON + 1);
    ck_assert(!login_lock_holds(&lock));
    ck_assert(login_lock_returns(&lock, STOLEN, NOON + LOGIN_LOCK_WATCH_MS));
    ck_assert(!login_lock_returns(&lock, STOLEN, NOON + 1 + LOGIN_LOCK_WATCH_MS));
    ck_assert(!login_lock_returns(&lock, NEW, NOON + 2));
    ck_assert(login_lock_watches(&lock, NOON + LOGIN_LOCK_WATCH_MS));
    ck_assert(!login_lock_watches(&lock, NOON + 1 + LOGIN_LOCK_WATCH_MS));
    login_lock_return(&lock, NOON + 2);
    ck_assert(!login_lock_watches(&lock, NOON + 2)); /* it holds */
    ck_assert_int_eq(lock.phase, LOGIN_LOCKED);
    ck_assert_int_eq(lock.offence_ms, NOON);
    ck_assert_int_eq(login_lock_ends(&lock), UNTIL_LIFTED);
}
END_TEST

/* Without a fingerprint of the offence no password shows a change, and nothing holds again. */
START_TEST(test_no_fingerprint)
{
    const struct login_mailbox nobody = {0};
    login_lock_begin(&lock, true, login_last_right(&nobody), NOON);
    ck_assert(!login_lock_is_news(&lock, STOLEN, NOON + HOUR_MS));
    login_lock_take(&lock, STOLEN, true, 7, NOON + HOUR_MS);
    ck_assert_int_eq(lock.other_ms, 0);
    ck_assert_uint_eq(lock.other_network, 0);
    login_lock_reopen(&lock, NOON + HOUR_MS);
    for (int fingerprint = 0; fingerprint < LOGIN_FINGERPRINTS; fingerprint++)
        ck_assert(!login_lock_returns(&lock, (uint16_t)fingerprint, NOON + HOUR_MS + 1));
}
END_TEST

static void pack(const struct login_mailbox *mailbox, struct login_mailbox *read_r, size_t *size_r)
{
    freed_by(text_free) struct text packed = {0}, twice = {0};
    login_mailbox_add(&packed, mailbox);
    *size_r = packed.length;
    ck_assert_int_eq(login_mailbox_read(packed.data, packed.length, read_r), 1);
    login_mailbox_add(&twice, read_r);
    ck_assert_uint_eq(twice.length, packed.length);
    ck_assert_mem_eq(twice.data, packed.data, packed.length);
    for (size_t length = 0; length < packed.length; length++) {
        struct login_mailbox part;
        ck_assert_int_eq(login_mailbox_read(packed.data, length, &part), 0);
    }
}

START_TEST(test_packed)
{
    struct login_mailbox mailbox = {.time_ms = NOON}, read;
    size_t without, size;
    pack(&mailbox, &read, &without);
    login_lock_begin(&mailbox.lock, true, STOLEN, NOON);
    login_lock_take(&mailbox.lock, STOLEN, false, 7, NOON + 1);
    login_lock_take(&mailbox.lock, NEW, true, 8, NOON + 2);
    login_lock_reopen(&mailbox.lock, NOON + 3);
    login_lock_begin(&mailbox.lock, false, NEW, NOON + 4);
    login_lock_take(&mailbox.lock, STOLEN, true, 9, NOON + 5);
    pack(&mailbox, &read, &size);
    ck_assert_uint_gt(size, without);
    ck_assert_int_eq(read.lock.phase, LOGIN_CLOSED);
    ck_assert(!read.lock.keeps_out);
    ck_assert_int_eq(read.lock.since_ms, NOON + 4);
    ck_assert_int_eq(read.lock.offence_ms, NOON + 4);
    ck_assert_int_eq(read.lock.offence_before_ms, NOON);
    ck_assert_uint_eq(read.lock.fingerprint, NEW);
    ck_assert_int_eq(read.lock.other_ms, NOON + 5);
    ck_assert_uint_eq(read.lock.other_network, 9);
    ck_assert(!login_mailbox_forget(&read, NOON + 1000 * DAY_MS));
    login_lock_forgive(&mailbox.lock, NOON + 6);
    login_lock_forgive(&mailbox.lock, NOON + 6);
    login_lock_breach(&mailbox.lock, true, NEW, NOON + 7);
    pack(&mailbox, &read, &size);
    ck_assert(read.lock.phase == LOGIN_LOCKED && read.lock.keeps_out && read.lock.breached);
    login_lock_forgive(&mailbox.lock, NOON + 8);
    pack(&mailbox, &read, &size);
    ck_assert_uint_eq(size, without);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("locks");
    tcase_add_checked_fixture(tcase, begin, NULL);
    tcase_add_test(tcase, test_offences);
    tcase_add_test(tcase, test_forgiven);
    tcase_add_test(tcase, test_asked);
    tcase_add_test(tcase, test_breached);
    tcase_add_test(tcase, test_returns);
    tcase_add_test(tcase, test_no_fingerprint);
    tcase_add_test(tcase, test_packed);
    Suite *suite = suite_create("login lock");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
