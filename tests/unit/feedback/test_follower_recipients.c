/* From lines of a mail server's log to entries of the block lists, over both stores: recipients that
 * keep failing, pairs that are noise, probes, outages that explain it, two servers, the turn of the
 * year. The rule itself is tested in rules/test_recipient_block. */
#include <stdlib.h>
#include <string.h>

#include "guard/block_list.h"
#include "guard/delivery.h"
#include "tests/unit/feedback/mx_rig.h"

#define TEN (NOW + 260 * MINUTE_MS) /* 10:00 */
#define UNKNOWN_TEXT                                                                                 \
    "dsn=5.1.1, status=bounced (host mx.x.test[192.0.2.25] said: 550 5.1.1 no such user (in reply "  \
    "to RCPT TO command))"
#define FULL_TEXT                                                                                    \
    "dsn=4.2.2, status=deferred (host mx.x.test[192.0.2.25] said: 452 4.2.2 mailbox full (in reply " \
    "to RCPT TO command))"
#define MAYBE_TEXT                                                                                   \
    "dsn=4.1.1, status=deferred (host mx.x.test[192.0.2.25] said: 450 4.1.1 cannot verify (in "      \
    "reply to RCPT TO command))"
#define SENT_TEXT "dsn=2.0.0, status=sent (250 2.0.0 OK)"

/* What mx.x.test says to a message at one recipient. */
static void say(int server, const char *queue_id, const char *to, const char *text, int64_t at_ms)
{
    mx_line(server, at_ms, "smtp", "%s: to=<%s>, relay=mx.x.test[192.0.2.25]:25, delay=0.1, "
            "delays=0.01/0.01/0.04/0.05, %s", queue_id, to, text);
}

/* A message of its own from ann@d.test, and what becomes of it, written down. */
static void send_to(const char *to, const char *text, int64_t at_ms)
{
    say(0, mx_queue_message(0, "ann@d.test", at_ms), to, text, at_ms);
    mx_write_down(0, at_ms);
}

/* The entry of a recipient, or with a mailbox of the pair; false: there is none. */
static bool find_entry(const char *to, const char *mailbox, int64_t now_ms, int64_t hashed_ms,
                       struct block_entry *entry_r)
{
    char subject[BLOCK_SUBJECT_HASH_SIZE];
    block_list_hashed(keyed_hash_recipient(&hash_keys, to, hashed_ms), subject);
    const struct block_entry wanted = {.kind = mailbox != NULL ? BLOCK_PAIR : BLOCK_RECIPIENT,
                                       .subject = subject,
                                       .scope = mailbox != NULL ? mailbox : "d.test"};
    struct value value;
    int found = store_value(store, arena, VALUE_BLOCKED, block_list_key(arena, &wanted), now_ms,
                            &value);
    ck_assert_int_ge(found, 0);
    if (found > 0)
        ck_assert_int_eq(block_list_read(arena, &value, entry_r), 1);
    return found > 0;
}

static bool is_blocked(const char *to, const char *mailbox, int64_t now_ms)
{
    struct block_entry entry;
    return find_entry(to, mailbox, now_ms, now_ms, &entry);
}

static void entry_is(const char *to, const char *mailbox, const char *reason, int64_t since_ms,
                     int64_t until_ms)
{
    struct block_entry entry;
    ck_assert(find_entry(to, mailbox, since_ms, since_ms, &entry));
    ck_assert_str_eq(entry.reason, reason);
    ck_assert_str_eq(entry.by, "guard");
    ck_assert_str_eq(entry.site, "x.test");
    ck_assert_int_eq(entry.since_ms, since_ms);
    ck_assert_int_eq(entry.until_ms, until_ms);
    ck_assert_int_eq(entry.probe_ms, 0);
}

static void notes_are(const char *action, size_t count, const char *last)
{
    static struct audit entries[MX_ENTRIES_MAX];
    ck_assert_uint_eq(mx_entries_of(action, true, entries), count);
    if (count > 0)
        ck_assert_str_eq(entries[count - 1].note, last);
}

/* ---- what blocks ----------------------------------------------------------------------------- */

START_TEST(test_unknown_twice)
{
    struct follower_counts counts;
    mx_begin(_i);
    send_to("u@x.test", UNKNOWN_TEXT, TEN);
    send_to("u@x.test", UNKNOWN_TEXT, TEN + DAY_MS - 1);
    ck_assert(!is_blocked("u@x.test", NULL, TEN + DAY_MS - 1));
    send_to("u@x.test", UNKNOWN_TEXT, TEN + DAY_MS);
    entry_is("u@x.test", NULL, "address_unknown", TEN + DAY_MS, TEN + 31 * DAY_MS);
    notes_are("block", 1, "3 messages failed, the first and the last 24 hours apart");
    follower_counts(mx_followers[0], &counts);
    ck_assert_uint_eq(counts.recipients_blocked, 1);
    ck_assert_uint_eq(counts.recipients_opened, 0);
    ck_assert(!is_blocked("v@x.test", NULL, TEN + DAY_MS));
    mx_end();
}
END_TEST

/* A server that cannot tell yet says nothing of the address. */
START_TEST(test_what_does_not_count)
{
    static const char gone[] = "dsn=5.7.1, status=bounced (host mx.x.test[192.0.2.25] said: 550 "
                               "5.7.1 spam (in reply to end of DATA command))";
    mx_begin(_i);
    for (int day = 0; day < 4; day++) {
        send_to("u@x.test", MAYBE_TEXT, TEN + day * DAY_MS);
        send_to("v@x.test", gone, TEN + day * DAY_MS);
    }
    ck_assert(!is_blocked("u@x.test", NULL, TEN + 3 * DAY_MS));
    ck_assert(!is_blocked("v@x.test", NULL, TEN + 3 * DAY_MS));
    mx_end();
}
END_TEST

START_TEST(test_full_three_times)
{
    mx_begin(_i);
    for (int i = 0; i < 3; i++) {
        ck_assert(!is_blocked("f@x.test", NULL, TEN + i * HOUR_MS));
        send_to("f@x.test", FULL_TEXT, TEN + i * HOUR_MS);
    }
    entry_is("f@x.test", NULL, "mailbox_full", TEN + 2 * HOUR_MS, TEN + 2 * HOUR_MS + 7 * DAY_MS);
    mx_end();
}
END_TEST

START_TEST(test_noise)
{
    mx_begin(_i);
    for (int i = 0; i < 8; i++) {
        ck_assert(!is_blocked("n@x.test", "ann@d.test", TEN + i * MINUTE_MS));
        send_to("n@x.test", UNKNOWN_TEXT, TEN + i * MINUTE_MS);
    }
    entry_is("n@x.test", "ann@d.test", "noise", TEN + 7 * MINUTE_MS,
             TEN + 7 * MINUTE_MS + 7 * DAY_MS);
    ck_assert(!is_blocked("n@x.test", NULL, TEN + 7 * MINUTE_MS));
    notes_are("block", 1, "8 messages failed in a row within 7 minutes");
    send_to("n@x.test", SENT_TEXT, TEN + HOUR_MS);
    ck_assert(!is_blocked("n@x.test", "ann@d.test", TEN + HOUR_MS));
    mx_end();
}
END_TEST

/* A domain whose DNS says that it takes no mail, in Postfix' own words; not what a server says. */
START_TEST(test_null_mx)
{
    static const char ours[] = "dsn=5.1.10, status=bounced (Domain Null.test does not accept mail "
                               "(nullMX))";
    static const char theirs[] = "dsn=5.1.10, status=bounced (host mx.x.test[192.0.2.25] said: 550 "
                                 "5.1.10 Domain x.test does not accept mail (nullMX) (in reply to "
                                 "RCPT TO command))";
    const struct block_entry wanted = {.kind = BLOCK_DOMAIN, .subject = "null.test", .scope = "*"};
    struct block_entry entry;
    struct value value;
    mx_begin(_i);
    send_to("a@x.test", theirs, TEN);
    for (int i = 0; i < 2; i++) {
        int64_t at_ms = TEN + i * HOUR_MS;
        mx_line(0, at_ms, "smtp", "%s: to=<a@null.test>, relay=none, delay=0.1, "
                "delays=0.01/0.01/0.04/0, %s", mx_queue_message(0, "ann@d.test", at_ms), ours);
        mx_write_down(0, at_ms);
    }
    ck_assert_int_eq(store_value(store, arena, VALUE_BLOCKED, block_list_key(arena, &wanted),
                                 TEN + DAY_MS - 1, &value), 1);
    ck_assert_int_eq(block_list_read(arena, &value, &entry), 1);
    ck_assert_str_eq(entry.reason, BLOCK_UNROUTABLE);
    ck_assert_int_eq(entry.since_ms, TEN);
    ck_assert_int_eq(entry.until_ms, TEN + DAY_MS);
    struct block_entry of_site = wanted;
    of_site.subject = "x.test";
    ck_assert_int_eq(store_value(store, arena, VALUE_BLOCKED, block_list_key(arena, &of_site),
                                 TEN, &value), 0);
    mx_end();
}
END_TEST

/* ---- what opens ------------------------------------------------------------------------------ */

START_TEST(test_delivered)
{
    struct follower_counts counts;
    mx_begin(_i);
    const char *slow = mx_queue_message(0, "bob@d.test", TEN);
    send_to("u@x.test", UNKNOWN_TEXT, TEN);
    send_to("u@x.test", UNKNOWN_TEXT, TEN + DAY_MS);
    ck_assert(is_blocked("u@x.test", NULL, TEN + DAY_MS));
    say(0, slow, "u@x.test", SENT_TEXT, TEN + 2 * DAY_MS);
    mx_write_down(0, TEN + 2 * DAY_MS);
    ck_assert(!is_blocked("u@x.test", NULL, TEN + 2 * DAY_MS));
    notes_are("unblock", 1, "delivered");
    follower_counts(mx_followers[0], &counts);
    ck_assert_uint_eq(counts.recipients_opened, 1);
    send_to("u@x.test", UNKNOWN_TEXT, TEN + 2 * DAY_MS + HOUR_MS); /* the first one again */
    ck_assert(!is_blocked("u@x.test", NULL, TEN + 2 * DAY_MS + HOUR_MS));
    mx_end();
}
END_TEST

/* A message that was admitted before the end says nothing; one admitted since does. */
START_TEST(test_probe)
{
    const int64_t end_ms = TEN + 31 * DAY_MS;
    mx_begin(_i);
    send_to("u@x.test", UNKNOWN_TEXT, TEN);
    send_to("u@x.test", UNKNOWN_TEXT, TEN + DAY_MS);
    const char *before = mx_queue_message(0, "ann@d.test", end_ms - 1);
    say(0, before, "u@x.test", UNKNOWN_TEXT, end_ms + HOUR_MS);
    mx_write_down(0, end_ms + HOUR_MS);
    notes_are("block", 1, "2 messages failed, the first and the last 24 hours apart");
    const char *probe = mx_queue_message(0, "ann@d.test", end_ms);
    say(0, probe, "u@x.test", UNKNOWN_TEXT, end_ms + 2 * HOUR_MS);
    mx_write_down(0, end_ms + 2 * HOUR_MS);
    entry_is("u@x.test", NULL, "address_unknown", end_ms + 2 * HOUR_MS,
             end_ms + 2 * HOUR_MS + 30 * DAY_MS);
    notes_are("block", 2, "failed again after the end");
    mx_end();
}
END_TEST

/* ---- outages --------------------------------------------------------------------------------- */

/* Mail of senders who have nothing to do with each other fails there, from that moment on; before, it
 * arrived. */
static void lead_up_to_outage(int64_t at_ms)
{
    for (int i = 0; i < 25; i++) {
        const char *mailbox = arena_printf(arena, "m@s%d.test", i % 7);
        say(0, mx_queue_message(0, mailbox, at_ms - 2 * HOUR_MS), "b@x.test", SENT_TEXT,
            at_ms - 2 * HOUR_MS);
    }
    mx_write_down(0, at_ms - 2 * HOUR_MS);
}

static void fail_for_all(int64_t at_ms)
{
    static const char down[] = "dsn=4.3.2, status=deferred (host mx.x.test[192.0.2.25] said: 451 "
                               "4.3.0 trouble (in reply to end of DATA command))";
    for (int i = 0; i < 25; i++) {
        const char *mailbox = arena_printf(arena, "m@s%d.test", i % 7);
        say(0, mx_queue_message(0, mailbox, at_ms), arena_printf(arena, "b%d@x.test", i), down,
            at_ms);
    }
    mx_write_down(0, at_ms);
}

/* What was blocked before anybody could see the outage is opened. */
START_TEST(test_outage_seen_later)
{
    mx_begin(_i);
    send_to("u@x.test", UNKNOWN_TEXT, TEN);
    send_to("w@x.test", UNKNOWN_TEXT, TEN);
    lead_up_to_outage(TEN + DAY_MS);
    send_to("u@x.test", UNKNOWN_TEXT, TEN + DAY_MS);
    ck_assert(is_blocked("u@x.test", NULL, TEN + DAY_MS));
    fail_for_all(TEN + DAY_MS + MINUTE_MS);
    ck_assert(!is_blocked("u@x.test", NULL, TEN + DAY_MS + MINUTE_MS));
    notes_are("unblock", 1, "outage of x.test");
    send_to("w@x.test", UNKNOWN_TEXT, TEN + DAY_MS + MINUTE_MS); /* while it lasts */
    ck_assert(!is_blocked("w@x.test", NULL, TEN + DAY_MS + MINUTE_MS));
    mx_end();
}
END_TEST

/* A failure of which it turned out later that the site had an outage is none on another day. */
START_TEST(test_outage_a_day_before)
{
    mx_begin(_i);
    lead_up_to_outage(TEN);
    send_to("u@x.test", UNKNOWN_TEXT, TEN);
    fail_for_all(TEN + 10 * MINUTE_MS);
    mx_begin_again(0, TEN + DAY_MS);
    send_to("u@x.test", UNKNOWN_TEXT, TEN + DAY_MS + HOUR_MS);
    ck_assert(!is_blocked("u@x.test", NULL, TEN + DAY_MS + HOUR_MS));
    send_to("u@x.test", UNKNOWN_TEXT, TEN + 2 * DAY_MS + HOUR_MS);
    ck_assert(is_blocked("u@x.test", NULL, TEN + 2 * DAY_MS + HOUR_MS));
    mx_end();
}
END_TEST

/* ---- who else writes ------------------------------------------------------------------------- */

START_TEST(test_two_servers)
{
    mx_begin(_i);
    for (int server = 0; server < MX_SERVERS; server++)
        say(server,
            mx_queue_message(server, server == 0 ? "ann@d.test" : "bob@d.test",
                             TEN + server * DAY_MS),
            "u@x.test", UNKNOWN_TEXT, TEN + server * DAY_MS);
    mx_write_down(1, TEN + DAY_MS);
    mx_write_down(0, TEN + DAY_MS);
    ck_assert(is_blocked("u@x.test", NULL, TEN + DAY_MS));
    notes_are("block", 1, "2 messages failed, the first and the last 24 hours apart");
    mx_end();
}
END_TEST

/* A follower that ends between reading and writing leaves it to the next one: once. */
START_TEST(test_once)
{
    mx_begin(_i);
    for (int i = 0; i < 3; i++) {
        say(0, mx_queue_message(0, "ann@d.test", TEN + i * HOUR_MS), "f@x.test", FULL_TEXT,
            TEN + i * HOUR_MS);
        mx_begin_again(0, TEN + i * HOUR_MS);
    }
    mx_write_down(0, TEN + 2 * HOUR_MS);
    notes_are("block", 1, "3 messages failed, the first and the last 2 hours apart");
    mx_begin_again(0, TEN + 3 * HOUR_MS);
    ck_assert(is_blocked("f@x.test", NULL, TEN + 3 * HOUR_MS));
    mx_end();
}
END_TEST

/* Staff has opened it: the next failure is a first one. */
START_TEST(test_opened_by_staff)
{
    struct block_entry entry;
    mx_begin(_i);
    send_to("u@x.test", UNKNOWN_TEXT, TEN);
    send_to("u@x.test", UNKNOWN_TEXT, TEN + DAY_MS);
    ck_assert(find_entry("u@x.test", NULL, TEN + DAY_MS, TEN + DAY_MS, &entry));
    ck_assert_int_eq(block_list_remove(store, &entry,
                                       &(struct action){TEN + DAY_MS, "staff:sue", "typed wrong"}),
                     1);
    send_to("u@x.test", UNKNOWN_TEXT, TEN + 2 * DAY_MS);
    ck_assert(!is_blocked("u@x.test", NULL, TEN + 2 * DAY_MS));
    send_to("u@x.test", UNKNOWN_TEXT, TEN + 3 * DAY_MS);
    ck_assert(is_blocked("u@x.test", NULL, TEN + 3 * DAY_MS));
    mx_end();
}
END_TEST

START_TEST(test_observe)
{
    mx_begin_with(_i, WITH("guard.mode=observe"));
    for (int day = 0; day < 4; day++)
        send_to("u@x.test", UNKNOWN_TEXT, TEN + day * DAY_MS);
    ck_assert(!is_blocked("u@x.test", NULL, TEN + 3 * DAY_MS));
    notes_are("block", 0, NULL);
    mx_end();
}
END_TEST

/* Many at once: a step takes what it has room for, and all are blocked in the end. */
START_TEST(test_many)
{
    enum { MANY = 150 };
    struct follower_counts counts;
    mx_begin_with(_i, WITH("failures.percent=off"));
    for (int day = 0; day < 2; day++)
        for (int i = 0; i < MANY; i++) {
            int64_t at_ms = TEN + day * DAY_MS + i * SECOND_MS;
            say(0, mx_queue_message(0, arena_printf(arena, "m%d@d.test", i), at_ms),
                arena_printf(arena, "u%d@x.test", i), UNKNOWN_TEXT, at_ms);
            if (i % 50 == 49)
                mx_write_down(0, at_ms);
        }
    for (int i = 0; i < MANY; i++)
        ck_assert(is_blocked(arena_printf(arena, "u%d@x.test", i), NULL, TEN + DAY_MS + HOUR_MS));
    follower_counts(mx_followers[0], &counts);
    ck_assert_uint_eq(counts.recipients_blocked, MANY);
    mx_end();
}
END_TEST

/* ---- the turn of the year --------------------------------------------------------------------- */

#define NEW_YEAR INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

START_TEST(test_failed_in_both_years)
{
    struct block_entry entry;
    mx_begin(_i);
    send_to("u@x.test", UNKNOWN_TEXT, NEW_YEAR - HOUR_MS);
    send_to("u@x.test", UNKNOWN_TEXT, NEW_YEAR + DAY_MS);
    ck_assert(find_entry("u@x.test", NULL, NEW_YEAR + DAY_MS, NEW_YEAR + DAY_MS, &entry));
    mx_end();
}
END_TEST

START_TEST(test_delivered_in_the_next_year)
{
    struct block_entry entry;
    const int64_t blocked_ms = NEW_YEAR - 10 * DAY_MS;
    mx_begin(_i);
    send_to("u@x.test", UNKNOWN_TEXT, blocked_ms - DAY_MS);
    send_to("u@x.test", UNKNOWN_TEXT, blocked_ms);
    ck_assert(find_entry("u@x.test", NULL, NEW_YEAR + DAY_MS, blocked_ms, &entry));
    send_to("u@x.test", SENT_TEXT, NEW_YEAR + DAY_MS);
    ck_assert(!find_entry("u@x.test", NULL, NEW_YEAR + DAY_MS, blocked_ms, &entry));
    mx_end();
}
END_TEST

/* Blocked again by the key of the year that is. */
START_TEST(test_blocked_again_in_the_next_year)
{
    struct block_entry entry;
    const int64_t blocked_ms = NEW_YEAR - 25 * DAY_MS, again_ms = blocked_ms + 30 * DAY_MS;
    mx_begin(_i);
    send_to("u@x.test", UNKNOWN_TEXT, blocked_ms - DAY_MS);
    send_to("u@x.test", UNKNOWN_TEXT, blocked_ms);
    send_to("u@x.test", UNKNOWN_TEXT, again_ms);
    ck_assert(find_entry("u@x.test", NULL, again_ms, again_ms, &entry));
    ck_assert_int_eq(entry.until_ms, again_ms + 30 * DAY_MS);
    ck_assert(!find_entry("u@x.test", NULL, again_ms, blocked_ms, &entry));
    mx_end();
}
END_TEST

/* A block of the last minutes of a year, that an outage opens in the first ones of the next while a
 * message arrives there. */
START_TEST(test_opened_twice_in_the_next_year)
{
    struct block_entry entry;
    const int64_t blocked_ms = NEW_YEAR - 10 * MINUTE_MS, seen_ms = NEW_YEAR + 10 * MINUTE_MS;
    mx_begin(_i);
    send_to("u@x.test", UNKNOWN_TEXT, blocked_ms - DAY_MS);
    lead_up_to_outage(blocked_ms);
    send_to("u@x.test", UNKNOWN_TEXT, blocked_ms);
    ck_assert(find_entry("u@x.test", NULL, blocked_ms, blocked_ms, &entry));
    say(0, mx_queue_message(0, "ann@d.test", seen_ms), "u@x.test", SENT_TEXT, seen_ms);
    say(0, mx_queue_message(0, "ann@d.test", seen_ms), "u@x.test", MAYBE_TEXT, seen_ms);
    fail_for_all(seen_ms);
    ck_assert(!find_entry("u@x.test", NULL, seen_ms, blocked_ms, &entry));
    mx_end();
}
END_TEST

START_TEST(test_delivered_in_both_years)
{
    struct block_entry entry;
    const int64_t blocked_ms = NEW_YEAR - 10 * DAY_MS;
    mx_begin(_i);
    send_to("u@x.test", UNKNOWN_TEXT, blocked_ms - DAY_MS);
    send_to("u@x.test", UNKNOWN_TEXT, blocked_ms);
    for (int i = 0; i < 2; i++) {
        int64_t at_ms = NEW_YEAR - SECOND_MS + i * 2 * SECOND_MS;
        say(0, mx_queue_message(0, "ann@d.test", at_ms), "u@x.test", SENT_TEXT, at_ms);
    }
    mx_write_down(0, NEW_YEAR + SECOND_MS);
    ck_assert(!find_entry("u@x.test", NULL, NEW_YEAR + DAY_MS, blocked_ms, &entry));
    notes_are("unblock", 1, "delivered");
    mx_end();
}
END_TEST

/* ---- what is damaged --------------------------------------------------------------------------- */

static void damage(enum value_kind kind, const char *key, int64_t now_ms)
{
    const struct value_change change = {
        .value = {.kind = kind, .key = key, .bytes = "?", .length = 1, .until_ms = UNTIL_LIFTED},
        .replaces = VALUE_ANY};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = now_ms};
    ck_assert_int_eq(store_values_change(store, &step, NULL), 1);
}

/* A value that nobody can read holds nothing up: it is replaced. */
START_TEST(test_damaged)
{
    char subject[BLOCK_SUBJECT_HASH_SIZE];
    mx_begin(_i);
    block_list_hashed(keyed_hash_recipient(&hash_keys, "u@x.test", TEN), subject);
    damage(VALUE_BLOCKED, arena_printf(arena, "recipient\n%s\nd.test", subject), TEN);
    damage(VALUE_RECIPIENT, arena_printf(arena, "d.test\n%s", subject), TEN);
    damage(VALUE_SITE, arena_printf(arena, "%08x", delivery_source("x.test")), TEN);
    send_to("u@x.test", UNKNOWN_TEXT, TEN);
    send_to("u@x.test", UNKNOWN_TEXT, TEN + DAY_MS);
    entry_is("u@x.test", NULL, "address_unknown", TEN + DAY_MS, TEN + 31 * DAY_MS);
    damage(VALUE_BLOCKED, arena_printf(arena, "recipient\n%s\nd.test", subject), TEN + DAY_MS);
    send_to("u@x.test", SENT_TEXT, TEN + DAY_MS + HOUR_MS);
    send_to("u@x.test", UNKNOWN_TEXT, TEN + 2 * DAY_MS);
    send_to("u@x.test", UNKNOWN_TEXT, TEN + 3 * DAY_MS);
    entry_is("u@x.test", NULL, "address_unknown", TEN + 3 * DAY_MS, TEN + 33 * DAY_MS);
    mx_end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("follower's recipients");
    TCase *cases = rig_case(suite, "recipients");
    tcase_add_loop_test(cases, test_unknown_twice, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_what_does_not_count, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_full_three_times, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_noise, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_null_mx, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_delivered, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_probe, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_outage_seen_later, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_outage_a_day_before, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_two_servers, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_once, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_opened_by_staff, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_observe, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_failed_in_both_years, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_delivered_in_the_next_year, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_blocked_again_in_the_next_year, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_damaged, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_opened_twice_in_the_next_year, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_delivered_in_both_years, 0, BACKEND_KINDS);
    return backends_run(suite);
}
