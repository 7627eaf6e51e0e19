/* What was decided and done, as staff reads it: in order, in pages, as long as
 * it is kept. Both backends. */
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/text.h"
#include "store/kept.h"
#include "store/observations.h"
#include "store/records.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"
#define BOB "bob@example.test"

enum { PAGE = 64 };
static struct record page[PAGE];

/* A message whose facts name its mailbox, as those of the guard do. */
static struct message message_with_facts(const char *mailbox, const char *id,
                                               int64_t now_ms)
{
    struct message message = message_of(mailbox, id, now_ms);
    freed_by(text_free) struct text facts = {0};
    text_add(&facts, "{\"mailbox\":");
    text_add_json(&facts, mailbox);
    text_add(&facts, ",\"id\":");
    text_add_json(&facts, id);
    text_add_char(&facts, '}');
    message.request.facts = facts_of(arena_strdup(arena, text_string(&facts)));
    return message;
}

/* Judges one; returns its decision. */
static uint64_t decide(const char *mailbox, const char *id, bool held, int64_t now_ms)
{
    struct message message = message_with_facts(mailbox, id, now_ms);
    message.request.rejected = held;
    ck_assert_int_eq(judge(&message), held ? OUTCOME_REJECTED : OUTCOME_ADMITTED);
    return message.result.decision;
}

static size_t decisions(const char *mailbox, uint64_t before, int64_t now_ms, size_t max)
{
    struct store_page told = {.max = max};
    ck_assert_msg(store_decisions(store, arena, mailbox, before, now_ms, page, &told) == 1,
                  "%s", store_error(store));
    ck_assert_uint_le(told.count, max);
    return told.count;
}

static void assert_decisions(const char *mailbox, int64_t now_ms, const uint64_t *expected,
                             size_t expected_count)
{
    size_t count = decisions(mailbox, UINT64_MAX, now_ms, PAGE);
    ck_assert_uint_eq(count, expected_count);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(page[i].decision, expected[i]);
}

/* ---- order and content ------------------------------------------------------------------- */

START_TEST(test_order)
{
    backend_begin(_i);
    ck_assert_uint_eq(decisions(ALICE, UINT64_MAX, NOW, PAGE), 0);
    ck_assert_uint_eq(decisions(NULL, UINT64_MAX, NOW, PAGE), 0);
    uint64_t a1 = decide(ALICE, "1", false, NOW);
    uint64_t b1 = decide(BOB, "1", false, NOW + 1);
    uint64_t a2 = decide(ALICE, "2", true, NOW + 2);
    uint64_t b2 = decide(BOB, "2", true, NOW + 3);
    uint64_t a3 = decide(ALICE, "3", false, NOW + 4);
    assert_decisions(ALICE, NOW + 5, (const uint64_t[]){a3, a2, a1}, 3);
    ck_assert_int_eq(page[0].outcome, OUTCOME_ADMITTED);
    ck_assert_int_eq(page[1].outcome, OUTCOME_REJECTED);
    ck_assert_int_eq(page[2].outcome, OUTCOME_ADMITTED);
    ck_assert_int_eq(page[0].at_ms, NOW + 4);
    ck_assert_int_eq(page[1].at_ms, NOW + 2);
    ck_assert_str_eq(page[0].facts, "{\"mailbox\":\"alice@example.test\",\"id\":\"3\"}");
    ck_assert_uint_eq(page[0].window_count, 4);
    ck_assert_int_eq(page[0].windows[0].rule, RULE_MESSAGES_PER_DAY);
    ck_assert_uint_eq(page[0].windows[0].used_before, 1);
    ck_assert_uint_eq(page[2].windows[0].used_before, 0);
    assert_decisions(BOB, NOW + 5, (const uint64_t[]){b2, b1}, 2);
    assert_decisions(NULL, NOW + 5, (const uint64_t[]){a3, b2, a2, b1, a1}, 5);
    ck_assert_uint_eq(decisions("carol@example.test", UINT64_MAX, NOW + 5, PAGE), 0);
    ck_assert_uint_eq(decisions(ALICE, UINT64_MAX, NOW + 5, 0), 0);
    ck_assert_uint_eq(decisions(NULL, UINT64_MAX, NOW + 5, 0), 0);
}
END_TEST

/* Others send in the same millisecond, and so does the mailbox itself. */
START_TEST(test_same_millisecond)
{
    uint64_t mine[6];
    backend_begin(_i);
    for (size_t i = 0; i < countof(mine); i++) {
        decide(BOB, arena_printf(arena, "b-%zu", i), i % 2 == 0, NOW);
        mine[i] = decide(ALICE, arena_printf(arena, "a-%zu", i), i % 3 == 0, NOW);
        decide("alice@example.test.example.org", arena_printf(arena, "c-%zu", i), false, NOW);
    }
    ck_assert_uint_eq(decisions(ALICE, UINT64_MAX, NOW, PAGE), countof(mine));
    for (size_t i = 0; i < countof(mine); i++) {
        bool found = false;
        for (size_t j = 0; j < countof(mine) && !found; j++)
            found = page[j].decision == mine[i];
        ck_assert_msg(found, "decision %zu is missing", i);
    }
}
END_TEST

/* A message that waited for others is counted at their moment. Its id is of its own, in Redis of
 * theirs when their records are there already. */
START_TEST(test_late)
{
    const int64_t late_ms = CLOCK_AHEAD_MS;
    backend_begin(_i);
    uint64_t first = decide(ALICE, "first", false, NOW);
    int64_t last_ms = NOW + 2 * late_ms;
    uint64_t second = decide(ALICE, "second", false, last_ms);
    uint64_t late = decide(ALICE, "late", false, last_ms - late_ms);
    ck_assert_int_eq(decision_time(late), _i == BACKEND_REDIS ? last_ms : last_ms - late_ms);
    uint64_t newest = second > late ? second : late, older = second > late ? late : second;
    assert_decisions(ALICE, last_ms, (const uint64_t[]){newest, older, first}, 3);
    ck_assert_int_eq(page[0].at_ms, last_ms);
    ck_assert_int_eq(page[1].at_ms, last_ms);
    ck_assert_uint_eq(decisions(ALICE, newest, last_ms, 1), 1);
    ck_assert_uint_eq(page[0].decision, older);
    ck_assert_uint_eq(decisions(ALICE, older, last_ms, PAGE), 1);
    ck_assert_uint_eq(page[0].decision, first);
}
END_TEST

/* ---- pages: all of it, once, whatever comes in whichever order -------------------------------- */

enum { MODEL_MESSAGES = 300, MODEL_MAILBOXES = 3 };

static int by_newest(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? 1 : left > right ? -1 : 0;
}

static void assert_pages(const char *mailbox, int64_t now_ms, uint64_t *expected, size_t count,
                         size_t size)
{
    uint64_t before = UINT64_MAX;
    size_t seen = 0, got;
    qsort(expected, count, sizeof expected[0], by_newest);
    do {
        got = decisions(mailbox, before, now_ms, size);
        for (size_t i = 0; i < got; i++, seen++) {
            ck_assert_uint_lt(seen, count);
            ck_assert_uint_eq(page[i].decision, expected[seen]);
            before = page[i].decision;
        }
    } while (got == size);
    ck_assert_uint_eq(seen, count);
}

START_TEST(test_pages)
{
    static const size_t sizes[] = {1, 7, PAGE};
    uint64_t all[MODEL_MESSAGES], of[MODEL_MAILBOXES][MODEL_MESSAGES];
    size_t counts[MODEL_MAILBOXES] = {0};
    int64_t now_ms = NOW;
    uint32_t random = 20251122;
    backend_begin(_i);
    for (size_t i = 0; i < MODEL_MESSAGES; i++) {
        random = random * 1664525 + 1013904223;
        size_t who = (random >> 16) % MODEL_MAILBOXES;
        now_ms += (random >> 20) % 3;                          /* several in a millisecond */
        int64_t late_ms = (random >> 24) % 5 == 0 ? 4 : 0; /* and some behind the others */
        all[i] = decide(arena_printf(arena, "%zu@example.test", who),
                        arena_printf(arena, "%zu", i), (random >> 28) % 3 == 0, now_ms - late_ms);
        of[who][counts[who]++] = all[i];
    }
    for (size_t i = 0; i < countof(sizes); i++) {
        assert_pages(NULL, now_ms, all, MODEL_MESSAGES, sizes[i]);
        for (size_t who = 0; who < MODEL_MAILBOXES; who++)
            assert_pages(arena_printf(arena, "%zu@example.test", who), now_ms, of[who],
                         counts[who], sizes[i]);
    }
}
END_TEST

/* ---- how long ------------------------------------------------------------------------------- */

START_TEST(test_refunded)
{
    backend_begin(_i);
    uint64_t first = decide(ALICE, "1", false, NOW);
    uint64_t second = decide(ALICE, "2", false, NOW + 1);
    uint64_t third = decide(ALICE, "3", true, NOW + 2);
    ck_assert_int_eq(store_refund(store, ALICE, "1", NOW + 3), 1);
    assert_decisions(ALICE, NOW + 3, (const uint64_t[]){third, second}, 2);
    struct record record; /* what was decided then is found all the same */
    ck_assert_int_eq(store_record(store, arena, first, NOW + 3, &record), 1);
    struct action action = action_at(NOW + 4);
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    assert_decisions(ALICE, NOW + 4, (const uint64_t[]){third}, 1);
}
END_TEST

START_TEST(test_keep_times)
{
    backend_begin(_i);
    uint64_t admitted = decide(ALICE, "1", false, NOW);
    uint64_t refused = decide(ALICE, "2", true, NOW);
    uint64_t newest = admitted > refused ? admitted : refused;
    uint64_t oldest = admitted > refused ? refused : admitted;
    assert_decisions(ALICE, NOW + DAY_MS - 1, (const uint64_t[]){newest, oldest}, 2);
    assert_decisions(ALICE, NOW + DAY_MS, (const uint64_t[]){refused}, 1);
    assert_decisions(NULL, NOW + 2 * DAY_MS - 1, (const uint64_t[]){newest, oldest}, 2);
    assert_decisions(NULL, NOW + 2 * DAY_MS, (const uint64_t[]){refused}, 1);
    assert_decisions(ALICE, NOW + 30 * DAY_MS - 1, (const uint64_t[]){refused}, 1);
    assert_decisions(ALICE, NOW + 30 * DAY_MS, NULL, 0);
    assert_decisions(NULL, NOW + 30 * DAY_MS, NULL, 0);
}
END_TEST

/* Records that are kept for less than a day end before the message does. */
START_TEST(test_kept_shortly)
{
    backend_begin(_i);
    struct message message = message_with_facts(ALICE, "1", NOW);
    message.request.keep_admitted_ms = HOUR_MS;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    uint64_t later = decide(ALICE, "2", false, NOW + MINUTE_MS);
    assert_decisions(ALICE, NOW + HOUR_MS - 1, (const uint64_t[]){later, message.request.decision},
                     2);
    assert_decisions(ALICE, NOW + HOUR_MS, (const uint64_t[]){later}, 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + HOUR_MS), 2);
}
END_TEST

/* Names as hard as they come. */
START_TEST(test_hard_names)
{
    static const char *const names[] = {"o'\"b\\r%_*?[@example.test", "$.mailbox@example.test",
                                        "{}[],:@example.test", "j\u00fcrgen@example.test"};
    uint64_t of[countof(names)][2];
    backend_begin(_i);
    for (size_t i = 0; i < countof(names); i++)
        for (size_t held = 0; held < 2; held++)
            of[i][1 - held] = decide(names[i], held ? "held" : "admitted", held != 0,
                                     NOW + (int64_t)held);
    for (size_t i = 0; i < countof(names); i++)
        assert_decisions(names[i], NOW + 1, of[i], 2);
}
END_TEST

/* ---- histories ------------------------------------------------------------------------------- */

START_TEST(test_history)
{
    struct history history;
    backend_begin(_i);
    ck_assert_int_eq(store_history(store, arena, SUBJECT_IP, "192.0.2.1", NOW, &history), 1);
    ck_assert_uint_eq(history.count, 0);
    send_messages(ALICE, "a", 30, NOW, MINUTE_MS);
    send_messages(BOB, "b", 5, NOW + 30 * MINUTE_MS, MINUTE_MS);
    int64_t last_ms = NOW + 34 * MINUTE_MS;
    ck_assert_int_eq(store_history(store, arena, SUBJECT_MAILBOX, ALICE, last_ms, &history), 1);
    ck_assert_uint_eq(history.count, 30);
    ck_assert_int_eq(history.entries[0].time_ms, NOW);
    ck_assert_int_eq(history.entries[29].time_ms, NOW + 29 * MINUTE_MS);
    ck_assert_uint_eq(history.entries[7].off_domain, 1);
    ck_assert_int_eq(store_history(store, arena, SUBJECT_IP, "192.0.2.1", last_ms, &history), 1);
    ck_assert_uint_eq(history.count, 35);
    ck_assert_int_eq(store_history(store, arena, SUBJECT_IP, "192.0.2.1", NOW + HOUR_MS - 1,
                                   &history), 1);
    ck_assert_uint_eq(history.count, 35);
    ck_assert_int_eq(store_history(store, arena, SUBJECT_IP, "192.0.2.1", NOW + HOUR_MS, &history),
                     1);
    ck_assert_uint_eq(history.count, 34);
    ck_assert_int_eq(history.entries[0].time_ms, NOW + MINUTE_MS);
    ck_assert_int_eq(store_history(store, arena, SUBJECT_MAILBOX, BOB, NOW + 2 * HOUR_MS, &history),
                     1);
    ck_assert_uint_eq(history.count, 5);
    ck_assert_int_eq(store_history(store, arena, SUBJECT_IP, "192.0.2.2", last_ms, &history), 1);
    ck_assert_uint_eq(history.count, 0);
}
END_TEST

/* ---- the audit log, the newest first ------------------------------------------------------- */

static void write_note(const char *subject, const char *detail, int64_t now_ms)
{
    struct action action = action_at(now_ms);
    struct audited audited = {.name = "note", .subject = subject, .detail = detail, .action = &action};
    ck_assert_msg(store_write_audit(store, &audited) == 1, "%s", store_error(store));
}

START_TEST(test_audit_newest)
{
    struct audit log[16];
    struct store_page told = {.max = 16};
    backend_begin(_i);
    ck_assert_int_eq(store_audit_newest(store, NULL, INT64_MAX, log, &told), 1);
    ck_assert_uint_eq(told.count, 0);
    for (int i = 0; i < 10; i++)
        write_note(i % 3 == 0 ? ALICE : BOB, arena_printf(arena, "{\"n\":%d}", i), NOW + i);
    ck_assert_int_eq(store_audit_newest(store, NULL, INT64_MAX, log, &told), 1);
    ck_assert_uint_eq(told.count, 10);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(log[i].at_ms, NOW + 9 - i);
        ck_assert_str_eq(log[i].detail, arena_printf(arena, "{\"n\":%d}", 9 - i));
        ck_assert_str_eq(log[i].action, "note");
        ck_assert_str_eq(log[i].by, "agnes");
        ck_assert_str_eq(log[i].note, "asked by telephone");
    }
    told.max = 3;
    ck_assert_int_eq(store_audit_newest(store, NULL, log[3].number, log, &told), 1);
    ck_assert_uint_eq(told.count, 3);
    ck_assert_int_eq(log[0].at_ms, NOW + 5);
    ck_assert_int_eq(store_audit_newest(store, ALICE, INT64_MAX, log, &told), 1);
    ck_assert_uint_eq(told.count, 3);
    ck_assert_int_eq(log[0].at_ms, NOW + 9);
    ck_assert_int_eq(log[2].at_ms, NOW + 3);
    ck_assert_int_eq(store_audit_newest(store, ALICE, log[2].number, log, &told), 1);
    ck_assert_uint_eq(told.count, 1);
    ck_assert_int_eq(log[0].at_ms, NOW);
    ck_assert_str_eq(log[0].subject, ALICE);
    ck_assert_int_eq(store_audit_newest(store, ALICE, log[0].number, log, &told), 1);
    ck_assert_uint_eq(told.count, 0);
    ck_assert_int_eq(store_audit_newest(store, "carol@x.test", INT64_MAX, log, &told), 1);
    ck_assert_uint_eq(told.count, 0);
}
END_TEST

/* ---- beside others ---------------------------------------------------------------------------- */

static void read_everything(struct store *reader, uint64_t decision)
{
    struct record records[2];
    struct record record;
    struct kept kept;
    struct near_limit near;
    struct sender sender;
    struct counter counter;
    struct audit log;
    struct history history;
    struct store_page told = {.max = 1};
    ck_assert_int_eq(
        store_decisions(reader, arena, ALICE, UINT64_MAX, NOW + 50, records, &told), 1);
    told.max = 2;
    ck_assert_int_eq(
        store_decisions(reader, arena, NULL, UINT64_MAX, NOW + 50, records, &told), 1);
    ck_assert_int_eq(store_record(reader, arena, decision, NOW + 50, &record), 1);
    ck_assert_int_eq(store_history(reader, arena, SUBJECT_MAILBOX, ALICE, NOW + 50, &history), 1);
    told.max = 1;
    ck_assert_int_eq(store_audit_newest(reader, ALICE, INT64_MAX, &log, &told), 1);
    ck_assert_int_eq(store_audit_newest(reader, NULL, INT64_MAX, &log, &told), 1);
    ck_assert_int_eq(store_kept(reader, arena, KEPT_STAFF, "agnes", NOW, &kept), 1);
    ck_assert_int_eq(store_kept_list(reader, arena, KEPT_STAFF, "", NOW, &kept, &told), 1);
    ck_assert_int_eq(store_near(reader, NOW, &near, &told), 1);
    ck_assert_int_eq(
        store_senders(reader, SENDERS_OF_DOMAIN, "example.test", "", NOW, &sender, &told), 1);
    ck_assert_int_eq(store_counters(reader, "", &counter, &told), 1);
}

static void put_one_of_each(struct store *writer, int64_t now_ms)
{
    static const struct counter counters[] = {{"a", 1}, {"b", 2}};
    struct action action = action_at(now_ms);
    struct kept kept = {"agnes", "value", UNTIL_LIFTED}, other = {"bert", "value", UNTIL_LIFTED};
    struct audited audited = {"staff", "agnes", "{}", &action};
    struct observed_sender observed[] = {{ALICE, "example.test", "192.0.2.1", now_ms},
                                   {BOB, "example.test", NULL, now_ms}};
    struct near_limit nears[] = {{RULE_MESSAGES_PER_DAY, ALICE, now_ms},
                                 {RULE_MESSAGES_PER_DAY, BOB, now_ms}};
    struct observations seen = {observed, nears, counters, 2, 2, 2};
    uint32_t tries;
    int64_t free_at_ms;
    ck_assert_int_eq(store_keep(writer, KEPT_STAFF, &kept, now_ms, &audited), 1);
    ck_assert_int_eq(store_keep(writer, KEPT_STAFF, &other, now_ms, NULL), 1);
    ck_assert_int_eq(store_observe(writer, &seen, now_ms), 1);
    ck_assert_int_eq(
        store_try(writer, "sign-in", now_ms, HOUR_MS, 10, &tries, &free_at_ms), 1);
}

/* Who read the first page of something holds up nobody, and sees what came after it. */
START_TEST(test_nothing_stays_open)
{
    backend_begin(_i);
    struct store *other = backend_open(backend_url(), TEST_TIMEOUT_MS);
    uint64_t decision = 0;
    for (int i = 0; i < 50; i++)
        decision = decide(ALICE, arena_printf(arena, "%d", i), i % 2 == 0, NOW + i);
    write_note(ALICE, "{}", NOW);
    write_note(ALICE, "{}", NOW);
    for (int64_t i = 0; i < 2; i++) {
        put_one_of_each(store, NOW + i);
        put_one_of_each(other, NOW + i);
        read_everything(store, decision);
        read_everything(other, decision);
    }
    struct counter counters[2];
    struct store_page told = {.max = 2};
    ck_assert_int_eq(store_counters(store, "", counters, &told), 1);
    ck_assert_uint_eq(counters[0].value, 4);
    ck_assert_uint_eq(counters[1].value, 8);
    store_free(&other);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store decisions");
    TCase *cases = backends_case(suite, "decisions");
    tcase_add_loop_test(cases, test_order, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_same_millisecond, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_late, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_pages, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refunded, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_keep_times, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_kept_shortly, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hard_names, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_history, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_audit_newest, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_nothing_stays_open, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
