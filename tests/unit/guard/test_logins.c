/* What processes know of sign-ins: each of its own, and all of them through the store. The moments
 * are parameters. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "guard/keyed_hash.h"
#include "guard/login_values.h"
#include "guard/logins.h"
#include "guard/logins_table.h"
#include "rules/rule.h"
#include "store/records.h"
#include "tests/unit/store/backends.h"
#include "tests/unit/store/chance.h"

#define ALICE "alice@example.test"
#define HERE "192.0.2.1"
#define ELSEWHERE "198.51.100.7"

static struct login_limits limits = LOGIN_DEFAULT_LIMITS;
static struct token_key *key;
static struct logins *one, *other; /* two processes on one store */

static void begin(int backend)
{
    char path[FOLDER_SIZE + 16];
    struct problem problem = {0};
    backend_begin(backend);
    snprintf(path, sizeof path, "%s/secret", folder);
    ck_assert_msg(token_key_load(path, &key, &problem) == 1, "%s", problem.text);
    one = logins_new(key);
    other = logins_new(key);
}

static void begin_alone(void) { begin(BACKEND_SQLITE); }

static void end(void)
{
    logins_free(&one);
    logins_free(&other);
    token_key_free(&key);
}

static struct logins_try try_of(const char *mailbox, const char *ip, int password)
{
    return (struct logins_try){.mailbox = mailbox, .ip = ip, .fingerprint = (uint16_t)password};
}

static struct logins_taken wrong(struct logins *logins, const char *mailbox, const char *ip,
                                 int password, int64_t now_ms)
{
    struct logins_taken taken;
    const struct logins_try attempt = try_of(mailbox, ip, password);
    ck_assert_int_eq(logins_report(logins, &attempt, false, &limits, now_ms, &taken), 1);
    return taken;
}

static void right(struct logins *logins, const char *mailbox, const char *ip, int password,
                  int64_t now_ms)
{
    struct logins_taken taken;
    const struct logins_try attempt = try_of(mailbox, ip, password);
    ck_assert_int_eq(logins_report(logins, &attempt, true, &limits, now_ms, &taken), 1);
}

/* When what keeps it out ends; 0: nothing does. */
static int64_t blocked(struct logins *logins, const char *mailbox, const char *ip, int64_t now_ms)
{
    struct login_block block;
    const struct logins_try attempt = try_of(mailbox, ip, 0);
    return logins_allow(logins, &attempt, now_ms, &block) ? 0 : block.until_ms;
}

static void exchange(struct logins *logins, int64_t now_ms)
{
    ck_assert_msg(logins_exchange(logins, store, &limits, now_ms) == 1, "%s", store_error(store));
}

/* Somebody signs in, so that the rules of networks count. */
static void wake(struct logins *logins, int64_t now_ms)
{
    right(logins, "somebody@example.test", "203.0.113.9", 1, now_ms);
}

/* ---- one process ----------------------------------------------------------------------------- */

/* The tenth wrong one blocks at once, and without a store, to the millisecond for an hour. */
START_TEST(test_ten_wrong_ones)
{
    for (int i = 0; i < 9; i++)
        ck_assert_uint_eq(wrong(one, ALICE, HERE, i, NOW + i).begun, 0);
    ck_assert_int_eq(blocked(one, ALICE, HERE, NOW + 9), 0);
    struct logins_taken taken = wrong(one, ALICE, HERE, 9, NOW + 9);
    ck_assert_uint_eq(taken.begun, 1U << LOGIN_WRONG_PER_MAILBOX_AND_IP);
    ck_assert_int_eq(taken.until_ms, NOW + 9 + HOUR_MS);
    ck_assert_str_eq(taken.network, HERE);
    ck_assert_int_eq(blocked(one, ALICE, HERE, NOW + 9), NOW + 9 + HOUR_MS);
    ck_assert_int_eq(blocked(one, ALICE, ELSEWHERE, NOW + 9), 0);
    ck_assert_int_eq(blocked(one, "bob@example.test", HERE, NOW + 9), 0);
    ck_assert_int_eq(wrong(one, ALICE, HERE, 10, NOW + 10).taken, LOGIN_KEPT_OUT);
    ck_assert_int_eq(blocked(one, ALICE, HERE, NOW + 8 + HOUR_MS), NOW + 9 + HOUR_MS);
    ck_assert_int_eq(blocked(one, ALICE, HERE, NOW + 9 + HOUR_MS), 0);
}
END_TEST

/* Of a webmail that says no address, or of none at all, the mailbox's own rule alone counts. */
START_TEST(test_no_address)
{
    struct logins_taken taken;
    for (int i = 0; i < 99; i++) {
        struct logins_try attempt = try_of(ALICE, i % 2 == 0 ? HERE : "", i);
        attempt.webmail_host = true;
        ck_assert_int_eq(logins_report(one, &attempt, false, &limits, NOW, &taken), 1);
        ck_assert_uint_eq(taken.begun, 0);
    }
    ck_assert_uint_eq(wrong(one, ALICE, "no address", 99, NOW).begun,
                      1U << LOGIN_WRONG_PER_MAILBOX);
}
END_TEST

/* Everybody's right password is called wrong: nobody is blocked, and somebody is told. */
static void check_broken(bool is_known, int count)
{
    char name[32], ip[32];
    for (int i = 0; i < count && is_known; i++) {
        snprintf(name, sizeof name, "m%d@example.test", i);
        snprintf(ip, sizeof ip, "192.0.2.%d", i % 4);
        right(one, name, ip, i, NOW - DAY_MS);
    }
    for (int64_t at_ms = NOW; at_ms < NOW + 5 * MINUTE_MS; at_ms += 30 * SECOND_MS)
        for (int i = 0; i < count; i++) {
            snprintf(name, sizeof name, "m%d@example.test", i);
            snprintf(ip, sizeof ip, "192.0.2.%d", i % 4);
            ck_assert_uint_eq(wrong(one, name, ip, i, at_ms + i).begun, 0);
        }
    ck_assert(logins_state(one, NOW + 5 * MINUTE_MS - 1).alarm);
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "m%d@example.test", i);
        snprintf(ip, sizeof ip, "192.0.2.%d", i % 4);
        ck_assert_int_eq(blocked(one, name, ip, NOW + 5 * MINUTE_MS), 0);
    }
}
START_TEST(test_broken_passdb)
{
    check_broken(_i > 0, 200);
}
END_TEST

/* ---- several, and the store ------------------------------------------------------------------ */

/* What keeps somebody out is not to wait for its turn. */
START_TEST(test_urgent)
{
    begin(_i);
    for (int i = 0; i < 9; i++)
        wrong(one, ALICE, HERE, i, NOW);
    right(one, "bob@example.test", HERE, 1, NOW);
    ck_assert(!logins_is_urgent(one));
    wrong(one, ALICE, HERE, 9, NOW);
    ck_assert(logins_is_urgent(one));
    exchange(one, NOW);
    ck_assert(!logins_is_urgent(one));
}
END_TEST

/* In a quiet night networks count, once sign-ins have been seen for a week; before they may be people
 * whose password database does not answer. */
START_TEST(test_quiet_night)
{
    char name[32];
    begin(_i);
    for (int64_t day = 8; day > 0; day -= 2) {
        right(one, ALICE, HERE, 1, NOW - day * DAY_MS);
        exchange(one, NOW - day * DAY_MS);
    }
    for (int i = 1; i <= 10; i++) {
        snprintf(name, sizeof name, "m%d@example.test", i);
        wrong(other, name, HERE, i, NOW);
    }
    ck_assert_int_eq(blocked(other, "bob@example.test", HERE, NOW), 0);
    exchange(one, NOW);
    for (int i = 1; i <= 10; i++) {
        snprintf(name, sizeof name, "m%d@example.test", i);
        wrong(one, name, HERE, i, NOW);
    }
    ck_assert_int_eq(blocked(one, "bob@example.test", HERE, NOW), NOW + HOUR_MS);
}
END_TEST

START_TEST(test_known_elsewhere)
{
    begin(_i);
    exchange(other, NOW);
    for (int i = 0; i < 10; i++)
        wrong(one, ALICE, HERE, i, NOW);
    exchange(one, NOW);
    ck_assert_int_eq(blocked(other, ALICE, HERE, NOW), 0);
    exchange(other, NOW);
    ck_assert_int_eq(blocked(other, ALICE, HERE, NOW), NOW + HOUR_MS);
    /* and to one that starts */
    struct logins *third = logins_new(key);
    exchange(third, NOW);
    ck_assert_int_eq(blocked(third, ALICE, HERE, NOW), NOW + HOUR_MS);
    ck_assert_int_eq(blocked(third, ALICE, ELSEWHERE, NOW), 0);
    logins_free(&third);
}
END_TEST

/* Tries add up, whichever process they come to, and each counts once. */
START_TEST(test_adds_up)
{
    begin(_i);
    for (int i = 0; i < 9; i++) {
        wrong(i % 2 == 0 ? one : other, ALICE, HERE, i, NOW + i);
        if (i % 3 == 0)
            exchange(one, NOW + i);
        if (i % 4 == 0)
            exchange(other, NOW + i);
    }
    for (int i = 0; i < 3; i++) {
        exchange(one, NOW + 9);
        exchange(other, NOW + 9);
    }
    ck_assert_int_eq(blocked(one, ALICE, HERE, NOW + 9), 0);
    ck_assert_int_eq(blocked(other, ALICE, HERE, NOW + 9), 0);
    ck_assert_int_eq(wrong(other, ALICE, HERE, 4, NOW + 9).taken, LOGIN_REPEATED);
    ck_assert_uint_eq(wrong(one, ALICE, HERE, 9, NOW + 10).begun,
                      1U << LOGIN_WRONG_PER_MAILBOX_AND_IP);
    exchange(one, NOW + 10);
    exchange(other, NOW + 10);
    ck_assert_int_eq(blocked(other, ALICE, HERE, NOW + 10), NOW + 10 + HOUR_MS);
}
END_TEST

/* The tenth in all comes to one that knows of five: it learns of the block as it writes. */
START_TEST(test_begun_by_all)
{
    begin(_i);
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(wrong(i < 5 ? one : other, ALICE, HERE, i, NOW + i).begun, 0);
    exchange(one, NOW + 10);
    ck_assert_int_eq(blocked(other, ALICE, HERE, NOW + 10), 0);
    exchange(other, NOW + 10);
    ck_assert_int_eq(blocked(other, ALICE, HERE, NOW + 10), NOW + 9 + HOUR_MS);
    exchange(one, NOW + 10);
    ck_assert_int_eq(blocked(one, ALICE, HERE, NOW + 10), NOW + 9 + HOUR_MS);
    ck_assert_uint_eq(logins_state(one, NOW).begun[LOGIN_WRONG_PER_MAILBOX_AND_IP], 0);
    ck_assert_uint_eq(logins_state(other, NOW).begun[LOGIN_WRONG_PER_MAILBOX_AND_IP], 1);
    for (int i = 0; i < 10; i++)
        wrong(other, "bob@example.test", HERE, i, NOW + i);
    exchange(other, NOW + 10);
    ck_assert_uint_eq(logins_state(other, NOW).begun[LOGIN_WRONG_PER_MAILBOX_AND_IP], 1);
}
END_TEST

/* A process that was away for longer than steps are told reads all anew; so does one whose store
 * is another. */
START_TEST(test_reads_anew)
{
    const int64_t later = NOW + LOGIN_VALUES_TOLD_MS;
    begin(_i);
    wake(one, NOW - 1);
    exchange(one, NOW - 1);
    exchange(other, NOW - 1);
    for (int i = 0; i < 10; i++)
        wrong(one, ALICE, HERE, i, NOW);
    exchange(one, NOW);
    wake(one, later + HOUR_MS / 2);
    exchange(one, later);
    exchange(other, later);
    ck_assert_int_eq(blocked(other, ALICE, HERE, later), NOW + HOUR_MS);
    for (int i = 0; i < 10; i++)
        wrong(one, "bob@example.test", HERE, i, later);
    backend_end();
    backend_begin(_i);
    exchange(one, later);
    exchange(other, later);
    ck_assert_int_eq(blocked(other, "bob@example.test", HERE, later), later + HOUR_MS);
    ck_assert_int_eq(blocked(other, ALICE, HERE, later), NOW + HOUR_MS);
}
END_TEST

/* What is known of a mailbox is found again after a start: its old passwords, and known pairs, whom
 * a network's block does not keep out. */
START_TEST(test_after_a_start)
{
    begin(_i);
    right(one, ALICE, HERE, 77, NOW - 2 * DAY_MS);
    right(one, ALICE, HERE, 78, NOW - DAY_MS);
    exchange(one, NOW - DAY_MS);
    exchange(other, NOW);
    wake(other, NOW);
    ck_assert_int_eq(wrong(other, ALICE, HERE, 77, NOW).taken, LOGIN_OLD_PASSWORD);
    for (int i = 0; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof name, "m%d@example.test", i);
        wrong(other, name, HERE, 5, NOW + i);
    }
    ck_assert_int_eq(blocked(other, "new@example.test", HERE, NOW + 9), NOW + 9 + HOUR_MS);
    ck_assert_int_eq(blocked(other, ALICE, HERE, NOW + 9), 0);
    exchange(other, NOW + 10);
    exchange(one, NOW + 10);
    ck_assert_int_eq(blocked(one, "new@example.test", HERE, NOW + 10), NOW + 9 + HOUR_MS);
    ck_assert_int_eq(blocked(one, ALICE, HERE, NOW + 10), 0);
}
END_TEST

/* Nobody can read from the store who signs in. */
START_TEST(test_no_name_is_kept)
{
    begin(_i);
    right(one, ALICE, HERE, 77, NOW);
    exchange(one, NOW);
    struct value values[8];
    struct store_page page = {.max = countof(values)};
    ck_assert_int_eq(store_values(store, arena, VALUE_LOGINS, "", NOW, values, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_uint_eq(strlen(values[0].key), 16);
    ck_assert(memmem(values[0].bytes, values[0].length, "alice", strlen("alice")) == NULL);
    ck_assert_int_eq(values[0].until_ms, NOW + LOGIN_OLD_MS);
    ck_assert_int_eq(store_values(store, arena, VALUE_LOGIN_NETWORK, "", NOW, values, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_int_eq(values[0].until_ms, NOW + LOGIN_KNOWN_MS);
}
END_TEST

/* Fingerprints stand there keyed: all are told apart, and others stand for those of another mailbox. */
START_TEST(test_fingerprints)
{
    static bool seen[LOGIN_FINGERPRINTS];
    struct keyed_hash_keys keys = {.key = key};
    const uint64_t alice = keyed_hash_login(&keys, ALICE);
    int kept = 0, same = 0;
    for (int i = 0; i < LOGIN_FINGERPRINTS; i++) {
        uint16_t keyed = keyed_hash_fingerprint(&keys, alice, (uint16_t)i);
        ck_assert_uint_lt(keyed, LOGIN_FINGERPRINTS);
        ck_assert(!seen[keyed]);
        seen[keyed] = true;
        kept += keyed == i;
        same += keyed == keyed_hash_fingerprint(&keys, alice + 1, (uint16_t)i);
    }
    ck_assert_int_lt(kept, 20); /* by chance one each */
    ck_assert_int_lt(same, 20);
    for (int i = 0; i < 8; i++)
        right(one, ALICE, HERE, i, NOW + i);
    exchange(one, NOW);
    struct value value = login_values_of(arena, VALUE_LOGINS, alice);
    ck_assert_int_eq(store_values_get(store, arena, &value, 1, NOW), 1);
    struct login_mailbox mailbox;
    login_values_mailbox(&value, &mailbox);
    ck_assert_uint_eq(login_last_right(&mailbox), keyed_hash_fingerprint(&keys, alice, 7));
    login_mailbox_free(&mailbox);
    keyed_hash_forget(&keys);
}
END_TEST

/* A right sign-in that says nothing new is written once an hour. */
START_TEST(test_clicks)
{
    begin(_i);
    for (int i = 0; i < 100; i++)
        right(one, ALICE, HERE, 77, NOW + i);
    ck_assert_uint_eq(logins_state(one, NOW).unwritten, 1);
    exchange(one, NOW);
    right(one, ALICE, HERE, 77, NOW + HOUR_MS);
    ck_assert_uint_eq(logins_state(one, NOW).unwritten, 1);
}
END_TEST

/* ---- trouble --------------------------------------------------------------------------------- */

START_TEST(test_store_away)
{
    begin(_i);
    exchange(one, NOW);
    exchange(other, NOW);
    struct store *here = store;
    struct problem problem = {0};
    char url[2 * FOLDER_SIZE];
    snprintf(url, sizeof url, "redis+unix://%s/nobody.sock", folder);
    const struct store_options options = {.timeout_ms = 50};
    struct store *away = NULL;
    ck_assert_int_eq(store_open(url, &options, &away, &problem), 1);
    for (int i = 0; i < 10; i++) {
        wrong(one, ALICE, HERE, i, NOW + i);
        ck_assert_int_eq(logins_exchange(one, away, &limits, NOW + i), -1);
    }
    ck_assert_int_eq(blocked(one, ALICE, HERE, NOW + 9), NOW + 9 + HOUR_MS);
    ck_assert_uint_eq(logins_state(one, NOW).unwritten, 10);
    store_free(&away);
    store = here;
    exchange(one, NOW + 10);
    ck_assert_uint_eq(logins_state(one, NOW).unwritten, 0);
    exchange(other, NOW + 10);
    ck_assert_int_eq(blocked(other, ALICE, HERE, NOW + 10), NOW + 9 + HOUR_MS);
}
END_TEST

/* What waits for the store has a bound. */
START_TEST(test_bound)
{
    char name[32];
    for (int i = 0; i < LOGINS_UNWRITTEN_MAX + 3; i++) {
        snprintf(name, sizeof name, "m%d@example.test", i % 50000);
        wrong(one, name, "", i % LOGIN_FINGERPRINTS, NOW);
    }
    struct logins_state state = logins_state(one, NOW);
    ck_assert_uint_eq(state.unwritten, LOGINS_UNWRITTEN_MAX);
    ck_assert_uint_eq(state.unwritten_lost, 3);
}
END_TEST

/* What stands for a fingerprint of alice. */
static uint16_t kept_as(int password)
{
    struct keyed_hash_keys keys = {.key = key};
    uint64_t alice = keyed_hash_login(&keys, ALICE);
    return keyed_hash_fingerprint(&keys, alice, (uint16_t)password);
}

/* Somebody else locks alice's mailbox, or opens it. */
static void lock_elsewhere(bool keeps_out, int64_t now_ms)
{
    struct value values[2] = {login_values_of(arena, VALUE_LOGINS, logins_mailbox(one, ALICE)),
                              login_values_newest()};
    struct value_change changes[1 + LOGIN_VALUES_EXTRA];
    struct login_mailbox mailbox;
    ck_assert_int_eq(store_values_get(store, arena, values, 2, now_ms), 1);
    login_values_mailbox(&values[0], &mailbox);
    if (keeps_out)
        login_lock_begin(&mailbox.lock, true, kept_as(1), now_ms);
    else
        login_lock_reopen(&mailbox.lock, now_ms);
    changes[0] = login_values_mailbox_change(arena, &values[0], &mailbox, now_ms);
    login_values_tell(arena, &values[1], changes, 1, now_ms);
    const struct values_step step = {.changes = changes, .count = countof(changes), .now_ms = now_ms};
    ck_assert_int_eq(store_values_change(store, &step, NULL), 1);
    login_mailbox_free(&mailbox);
}

static size_t noted(struct logins *logins)
{
    uint64_t mailboxes[4];
    size_t count = logins_next_locks(logins, mailboxes, countof(mailboxes));
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(mailboxes[i], logins_mailbox(logins, ALICE));
    return count;
}

/* A lock is noted once: that others tell of, also where a try of the mailbox waits to be written;
 * that holds at the start; and that holds again by the old password. */
START_TEST(test_locks_are_noted)
{
    struct logins_lock lock;
    const struct logins_try attempt = try_of(ALICE, HERE, 1);
    begin(_i);
    logins_watch_locks(one);
    exchange(one, NOW);
    lock_elsewhere(true, NOW);
    exchange(one, NOW);
    ck_assert(noted(one) == 1 && logins_keeps_out(one, logins_mailbox(one, ALICE)));
    exchange(one, NOW + 1);
    ck_assert_uint_eq(noted(one), 0);
    lock_elsewhere(false, NOW + 2);
    exchange(one, NOW + 2);
    ck_assert(noted(one) == 0 && !logins_keeps_out(one, logins_mailbox(one, ALICE)));
    ck_assert(logins_unlocked(one, &attempt, NOW + 3, &lock) == 0 && lock.again);
    ck_assert_uint_eq(noted(one), 1);
    exchange(one, NOW + 3);
    ck_assert_uint_eq(noted(one), 0);
    logins_watch_locks(other);
    exchange(other, NOW + 4);
    ck_assert_uint_eq(noted(other), 1);
    lock_elsewhere(false, NOW + 5);
    exchange(other, NOW + 5);
    wrong(other, ALICE, HERE, 2, NOW + 6);
    lock_elsewhere(true, NOW + 7);
    exchange(other, NOW + 7);
    ck_assert_uint_eq(noted(other), 1);
}
END_TEST

/* A password in a list of stolen ones locks its mailbox here at once, and elsewhere after an exchange,
 * with the suspension; where one holds already nothing changes. */
START_TEST(test_breached)
{
    struct logins_lock lock;
    const struct logins_try attempt = try_of(ALICE, HERE, 1);
    struct account account;
    begin(_i);
    logins_watch_locks(one);
    exchange(one, NOW);
    exchange(other, NOW);
    ck_assert_int_eq(logins_breach(one, ALICE, true, NOW), 1);
    ck_assert(logins_unlocked(one, &attempt, NOW, &lock) == 0 && lock.breached && !lock.closed);
    ck_assert_uint_eq(noted(one), 1);
    ck_assert_int_eq(logins_breach(one, ALICE, false, NOW + 1), 0);
    exchange(one, NOW + 2);
    exchange(other, NOW + 3);
    ck_assert(logins_unlocked(other, &attempt, NOW + 3, &lock) == 0 && lock.breached);
    ck_assert_int_eq(logins_breach(other, ALICE, true, NOW + 3), 0);
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW + 4, &account), 1);
    ck_assert_uint_eq(account.suspensions.count, 1);
    ck_assert_int_eq(account.suspensions.of[0].cause, CAUSE_BREACHED);
    ck_assert_str_eq(account.suspensions.of[0].by, SUSPENSION_BY_GUARD);
    ck_assert_str_eq(account.suspensions.of[0].note, LOGINS_BREACHED_NOTE);
}
END_TEST

static bool is_too_old(struct logins *logins, int password, int64_t now_ms)
{
    const struct logins_try attempt = try_of(ALICE, HERE, password);
    return logins_too_old(logins, &attempt, 100 * DAY_MS, now_ms);
}

/* From the millisecond on, here and elsewhere; for as long as somebody goes on trying it, and until
 * there is another. */
START_TEST(test_too_old)
{
    int64_t ends_ms = NOW + 100 * DAY_MS;
    begin(_i);
    exchange(other, NOW);
    ck_assert(!is_too_old(one, 1, NOW));
    right(one, ALICE, HERE, 1, NOW);
    right(one, ALICE, HERE, 1, NOW + 50 * DAY_MS);
    exchange(one, NOW + 50 * DAY_MS);
    exchange(other, NOW + 50 * DAY_MS);
    ck_assert(!is_too_old(one, 1, ends_ms - 1) && !is_too_old(other, 1, ends_ms - 1));
    ck_assert(is_too_old(one, 1, ends_ms) && is_too_old(other, 1, ends_ms));
    ck_assert_uint_eq(logins_state(one, ends_ms).unwritten, 1);
    ck_assert(is_too_old(one, 1, ends_ms + HOUR_MS - 1)); /* no news */
    ck_assert_uint_eq(logins_state(one, ends_ms).unwritten, 1);
    ck_assert(!is_too_old(one, 2, ends_ms));
    exchange(one, ends_ms);
    exchange(other, ends_ms);
    ck_assert(is_too_old(other, 1, ends_ms + LOGIN_OLD_MS - 1));
    right(one, ALICE, HERE, 2, ends_ms + DAY_MS);
    exchange(one, ends_ms + DAY_MS);
    exchange(other, ends_ms + DAY_MS);
    ck_assert(!is_too_old(other, 2, ends_ms + DAY_MS) && is_too_old(other, 1, ends_ms + DAY_MS));
    ck_assert(is_too_old(other, 2, ends_ms + 101 * DAY_MS));
}
END_TEST

/* Values that somebody damaged block nobody, and are replaced. */
START_TEST(test_damaged)
{
    begin(_i);
    for (int i = 0; i < 10; i++)
        wrong(one, ALICE, HERE, i, NOW);
    exchange(one, NOW);
    struct value values[2];
    struct store_page page = {.max = 1};
    ck_assert_int_eq(store_values(store, arena, VALUE_LOGINS, "", NOW, values, &page), 1);
    struct value_change change = {.value = values[0], .replaces = VALUE_ANY};
    change.value.length--;
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = NOW};
    ck_assert_int_eq(store_values_change(store, &step, NULL), 1);
    exchange(other, NOW);
    ck_assert_int_eq(blocked(other, ALICE, HERE, NOW), 0);
    for (int i = 0; i < 10; i++)
        wrong(other, ALICE, HERE, i, NOW + 1);
    exchange(other, NOW + 1);
    exchange(one, NOW + 1);
    ck_assert_int_eq(blocked(one, ALICE, HERE, NOW + 1), NOW + 1 + HOUR_MS);
}
END_TEST

/* ---- all at once ----------------------------------------------------------------------------- */

enum { THREADS = 4, EACH = 3000, NAMES = 40, PASSWORDS = 100 };

struct worker {
    struct logins *logins;
    uint64_t seed;
};

static void next_try(uint64_t *seed, int *name_r, int *password_r)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1;
    *name_r = (int)(*seed >> 40) % NAMES;
    *password_r = (int)(*seed >> 33) % PASSWORDS;
}

static void *report_many(void *context)
{
    struct worker *worker = context;
    uint64_t seed = worker->seed;
    for (int i = 0; i < EACH; i++) {
        int number, password;
        char name[32];
        next_try(&seed, &number, &password);
        snprintf(name, sizeof name, "m%d@example.test", number);
        wrong(worker->logins, name, HERE, password, NOW);
    }
    return NULL;
}

/* Different passwords of that mailbox among all tries. */
static size_t count_tried(const struct worker *workers, int wanted)
{
    bool tried[PASSWORDS] = {false};
    size_t count = 0;
    for (int i = 0; i < THREADS; i++) {
        uint64_t seed = workers[i].seed;
        for (int k = 0; k < EACH; k++) {
            int number, password;
            next_try(&seed, &number, &password);
            count += number == wanted && !tried[password];
            tried[password] |= number == wanted;
        }
    }
    return count;
}

/* Threads report to both processes while those exchange: afterwards the store has each
 * password that was tried, at whichever, once. */
START_TEST(test_at_once)
{
    begin(_i);
    limits.of[LOGIN_WRONG_PER_MAILBOX_AND_IP] = LIMIT_OFF;
    limits.of[LOGIN_WRONG_PER_MAILBOX] = LIMIT_OFF;
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){i % 2 == 0 ? one : other, (uint64_t)i + 1};
        pthread_create(&threads[i], NULL, report_many, &workers[i]);
    }
    for (int i = 0; i < 20; i++) {
        exchange(one, NOW);
        exchange(other, NOW);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        exchange(one, NOW);
        exchange(other, NOW);
    }
    struct value values[NAMES];
    struct store_page page = {.max = NAMES};
    ck_assert_int_eq(store_values(store, arena, VALUE_LOGINS, "", NOW, values, &page), 1);
    ck_assert_uint_eq(page.count, NAMES);
    size_t kept = 0, tried = 0;
    for (int i = 0; i < NAMES; i++) {
        struct login_mailbox mailbox;
        login_values_mailbox(&values[i], &mailbox);
        kept += mailbox.tries.count;
        tried += count_tried(workers, i);
        login_mailbox_free(&mailbox);
    }
    ck_assert_uint_eq(kept, tried);
    limits = (struct login_limits)LOGIN_DEFAULT_LIMITS;
}
END_TEST

/* ---- the table ------------------------------------------------------------------------------- */

/* Against a plain array. */
/* What is closed stands in one value, the last LOGIN_VALUES_CLOSED_MAX; what ends leaves it. */
START_TEST(test_closed)
{
    enum { MOST = LOGIN_VALUES_CLOSED_MAX, ALL = MOST + 2 };
    struct value value = login_values_closed();
    struct login_closed all[ALL], *read;
    for (int i = 0; i < ALL; i++)
        all[i] = (struct login_closed){(uint64_t)i, NOW + HOUR_MS + i, i % 2 == 1};
    struct value_change change = login_values_closed_change(arena, &value, all, ALL, NOW);
    ck_assert_int_eq(change.value.until_ms, NOW + HOUR_MS + ALL - 1);
    ck_assert_uint_eq(login_values_closed_read(arena, &change.value, NOW, &read), MOST);
    ck_assert_uint_eq(read[0].id, 2);
    ck_assert(read[1].is_network && !read[2].is_network);
    ck_assert_uint_eq(login_values_closed_read(arena, &change.value, NOW + HOUR_MS + 2, &read),
                      MOST - 1);
    const struct login_closed changed[] = {{.id = 3, .is_network = true},
                                           {.id = 4, .is_network = true, .until_ms = NOW + 1}};
    change = login_values_closed_change(arena, &change.value, changed, 2, NOW);
    ck_assert_uint_eq(login_values_closed_read(arena, &change.value, NOW, &read), MOST);
    ck_assert(read[1].id == 4 && !read[1].is_network && read[MOST - 1].is_network);
    ck_assert_int_eq(read[MOST - 1].until_ms, NOW + 1);
    change = login_values_closed_change(arena, &change.value, NULL, 0, NOW + 2 * HOUR_MS);
    ck_assert_uint_eq(change.value.length, 0);
}
END_TEST

START_TEST(test_table)
{
    enum { IDS = 500, STEPS = 20000 };
    static bool there[IDS];
    struct logins_table table = {.seed = 1};
    chance_state = 1;
    for (int step = 0; step < STEPS; step++) {
        uint64_t id = (uint64_t)below(IDS);
        if (percent(60)) {
            struct logins_entry *entry = logins_table_get(&table, id, IDS);
            entry->of.mailbox.open_until_ms = percent(50) ? NOW + 1 : NOW;
            there[id] = true;
        } else {
            size_t before = table.count, dropped = 0;
            logins_table_sweep(&table, (size_t)below(40), NOW);
            for (int i = 0; i < IDS; i++) {
                bool is = logins_table_find(&table, (uint64_t)i) != NULL;
                ck_assert(there[i] || !is);
                dropped += there[i] && !is;
                there[i] = is;
            }
            ck_assert_uint_eq(before - table.count, dropped);
        }
        ck_assert((logins_table_find(&table, id) != NULL) == there[id]);
    }
    ck_assert(logins_table_get(&table, IDS, table.count) == NULL);
    logins_table_free(&table);
}
END_TEST

/* Who makes more networks than there is room for guesses no further at one mailbox. */
START_TEST(test_too_many_networks)
{
    char ip[sizeof "2001:db80:ffff::1"];
    right(one, ALICE, HERE, 1, NOW);
    for (unsigned i = 0; i < LOGINS_MAX; i++) {
        snprintf(ip, sizeof ip, "2001:%x:%x::1", 0xdb80 + (i >> 16), i & 0xffff);
        wrong(one, "nobody@example.test", ip, 2, NOW);
    }
    ck_assert_uint_eq(logins_state(one, NOW).networks, LOGINS_MAX + 1);
    ck_assert_uint_eq(logins_state(one, NOW).no_room, 1);
    for (int i = 0; i < 99; i++)
        wrong(one, ALICE, ELSEWHERE, 10 + i, NOW);
    ck_assert_int_eq(blocked(one, ALICE, ELSEWHERE, NOW), 0);
    ck_assert_uint_eq(wrong(one, ALICE, "198.51.100.8", 9, NOW).begun, 1U << LOGIN_WRONG_PER_MAILBOX);
    ck_assert_int_eq(blocked(one, ALICE, ELSEWHERE, NOW), NOW + HOUR_MS);
    ck_assert_int_eq(blocked(one, ALICE, HERE, NOW), 0);
    ck_assert_uint_eq(logins_state(one, NOW).networks, LOGINS_MAX + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("logins");
    TCase *cases = backends_case(suite, "store");
    tcase_add_checked_fixture(cases, NULL, end);
    tcase_add_loop_test(cases, test_urgent, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_quiet_night, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_known_elsewhere, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_adds_up, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_begun_by_all, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reads_anew, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_after_a_start, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_no_name_is_kept, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_clicks, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_store_away, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_locks_are_noted, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_breached, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_too_old, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_damaged, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_at_once, 0, BACKEND_KINDS);
    TCase *alone = backends_case(suite, "memory");
    tcase_add_checked_fixture(alone, begin_alone, end);
    tcase_add_test(alone, test_ten_wrong_ones);
    tcase_add_test(alone, test_no_address);
    tcase_add_loop_test(alone, test_broken_passdb, 0, 2);
    tcase_add_test(alone, test_fingerprints);
    tcase_add_test(alone, test_bound);
    tcase_add_test(alone, test_closed);
    tcase_add_test(alone, test_table);
    tcase_add_test(alone, test_too_many_networks);
    return backends_run(suite);
}
