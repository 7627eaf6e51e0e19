/* Windows of other lengths, each one row of another table of rules (more_rules.h): in both databases
 * they count to the millisecond, also what was kept by the usual table, and history is kept for as
 * long as the longest of them. */
#include <check.h>

#include "store/audit.h"
#include "store/records.h"
#include "store/sqlite/packed_history.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"
#define IP "192.0.2.1"
#define WEEK_MS (7 * DAY_MS)
#define QUARTER_MS (15 * MINUTE_MS)

static const uint64_t recipients[] = {7};

/* The same with windows of all rules over time. */
static struct message message_with_all(const char *id, int64_t now_ms)
{
    struct message message = message_of(ALICE, id, now_ms);
    size_t count = 0;
    message.request.group = "@example.test";
    message.request.recipients = recipients;
    message.request.recipient_count = countof(recipients);
    for (int rule = RULE_FIRST_OVER_TIME; rule < RULE_COUNT; rule++)
        message.request.windows[count++] =
            (struct judge_window){.rule = (enum rule)rule, .limit = LIMIT_OFF};
    message.request.window_count = count;
    return message;
}

static void send(const char *id, int64_t now_ms)
{
    struct message message = message_with_all(id, now_ms);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
}

/* What each window counts, as a question and in the record of a message that is refused. */
static void check_used(int64_t now_ms, const uint64_t used[OVER_TIME_COUNT])
{
    struct message asked = message_with_all("asked", now_ms);
    asked.request.rejected = true;
    ck_assert_int_eq(judge(&asked), OUTCOME_REJECTED);
    struct record record;
    ck_assert_int_eq(store_record(store, arena, asked.request.decision, now_ms, &record), 1);
    ck_assert_uint_eq(record.window_count, OVER_TIME_COUNT);
    for (int i = 0; i < OVER_TIME_COUNT; i++) {
        enum rule rule = (enum rule)(RULE_FIRST_OVER_TIME + i);
        ck_assert_msg(seen_of(&asked, rule)->used_before == used[i], "%s: %llu",
                      rule_table[rule].name,
                      (unsigned long long)seen_of(&asked, rule)->used_before);
        ck_assert_int_eq(record.windows[i].rule, rule);
        ck_assert_uint_eq(record.windows[i].used_before, used[i]);
    }
}

START_TEST(test_edges)
{
    backend_begin(_i);
    send("a", NOW);
    static const struct {
        int64_t at_ms;
        uint64_t used[OVER_TIME_COUNT]; /* day, day, IP's hour, hour, domain's hour, recipient's day, week, quarter, IP's day */
    } cases[] = {
        {NOW, {1, 1, 1, 1, 1, 1, 1, 1, 1}},
        {NOW + QUARTER_MS - 1, {1, 1, 1, 1, 1, 1, 1, 1, 1}}, {NOW + QUARTER_MS, {1, 1, 1, 1, 1, 1, 1, 0, 1}},
        {NOW + HOUR_MS - 1, {1, 1, 1, 1, 1, 1, 1, 0, 1}},    {NOW + HOUR_MS, {1, 1, 0, 0, 0, 1, 1, 0, 1}},
        {NOW + DAY_MS - 1, {1, 1, 0, 0, 0, 1, 1, 0, 1}},     {NOW + DAY_MS, {0, 0, 0, 0, 0, 0, 1, 0, 0}},
        {NOW + WEEK_MS - 1, {0, 0, 0, 0, 0, 0, 1, 0, 0}},    {NOW + WEEK_MS, {0, 0, 0, 0, 0, 0, 0, 0, 0}},
    };
    for (size_t i = 0; i < countof(cases); i++)
        check_used(cases[i].at_ms, cases[i].used);
}
END_TEST

/* Of two hundred messages, one an hour: what is counted, kept for forecasts, and refused. */
START_TEST(test_over_the_week)
{
    struct history history;
    backend_begin(_i);
    for (int i = 0; i < 200; i++)
        send(arena_printf(arena, "%d", i), NOW + i * HOUR_MS);
    int64_t last_ms = NOW + 199 * HOUR_MS;
    check_used(last_ms, (const uint64_t[OVER_TIME_COUNT]){24, 24, 1, 1, 1, 24, 168, 1, 24});
    struct message over = message_with_all("over", last_ms);
    *window_of(&over, RULE_OTHER_PER_WEEK) =
        (struct judge_window){.rule = RULE_OTHER_PER_WEEK, .limit = 168, .suspends = true};
    ck_assert_int_eq(judge(&over), OUTCOME_SUSPENDED);
    ck_assert_str_eq(over.result.suspensions.of[0].note, "other_per_week");
    ck_assert_uint_eq(over.result.histories[SUBJECT_MAILBOX].count, 168);
    ck_assert_uint_eq(over.result.histories[SUBJECT_IP].count, 24);
    ck_assert_int_eq(store_history(store, arena, SUBJECT_MAILBOX, ALICE, last_ms, &history), 1);
    ck_assert_uint_eq(history.count, 168);
    ck_assert_int_eq(window_when_fits(&history, MEASURE_MESSAGES, WEEK_MS, 168, 1, last_ms),
                     NOW + 32 * HOUR_MS + WEEK_MS);
    ck_assert_int_eq(store_refund(store, ALICE, "199", last_ms), 1);
    ck_assert_int_eq(store_sweep(store, last_ms + WEEK_MS - HOUR_MS - 1), 1);
    ck_assert_int_eq(store_history(store, arena, SUBJECT_MAILBOX, ALICE,
                                   last_ms + WEEK_MS - HOUR_MS - 1, &history), 1);
    ck_assert_uint_eq(history.count, 1);
    ck_assert_int_eq(store_sweep(store, last_ms + WEEK_MS + MINUTE_MS), 1);
    ck_assert_int_eq(store_history(store, arena, SUBJECT_MAILBOX, ALICE, last_ms, &history), 1);
    ck_assert_uint_eq(history.count, 0);
}
END_TEST

/* What a domain has counted is forgotten, and nothing of its mailboxes; of a very long name too. */
START_TEST(test_reset_of_a_domain)
{
    const struct action action = {NOW + 2, "ada", "a good reason"};
    struct audit audit[2];
    struct store_page page = {.max = countof(audit)};
    char key[DOMAIN_KEY_SIZE];
    backend_begin(_i);
    send("a", NOW);
    send("b", NOW + 1);
    ck_assert_int_eq(store_reset(store, "@example.test", &action), 1);
    check_used(NOW + 2, (const uint64_t[OVER_TIME_COUNT]){2, 2, 2, 2, 0, 2, 2, 2, 2});
    ck_assert_int_eq(store_audit_newest(store, "@example.test", INT64_MAX, audit, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_str_eq(audit[0].action, "reset");
    ck_assert_ptr_nonnull(strstr(audit[0].detail, "\"before\":{\"messages\":2,"));
    send("c", NOW + 2);
    check_used(NOW + 2, (const uint64_t[OVER_TIME_COUNT]){3, 3, 3, 3, 1, 3, 3, 3, 3});
    ck_assert_int_eq(store_refund(store, ALICE, "a", NOW + 2), 1); /* which it has no more */
    check_used(NOW + 2, (const uint64_t[OVER_TIME_COUNT]){2, 2, 2, 2, 1, 2, 2, 2, 2});
    ck_assert_int_eq(store_reset(store, "@nobody.test", &action), 1);

    const char *name = arena_printf(arena, "@%0200d.test", 0);
    struct message message = message_with_all("d", NOW + 3);
    history_domain_key(name + 1, key);
    message.request.group = key;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    struct history history;
    ck_assert_int_eq(store_history(store, arena, SUBJECT_DOMAIN, key, NOW + 3, &history), 1);
    ck_assert_uint_eq(history.count, 1);
    ck_assert_int_eq(store_reset(store, name, &action), 1);
    ck_assert_int_eq(store_history(store, arena, SUBJECT_DOMAIN, key, NOW + 3, &history), 1);
    ck_assert_uint_eq(history.count, 0);
}
END_TEST

/* Keys expire when the longest window has let go of the newest message. */
START_TEST(test_expiry)
{
    static const struct {
        const char *key;
        int64_t length_ms;
    } keys[] = {{"sg:mailbox:" ALICE, WEEK_MS}, {"sg:network:" IP, DAY_MS}};
    backend_begin(BACKEND_REDIS);
    send("a", NOW);
    for (size_t i = 0; i < countof(keys); i++) {
        long long left_ms =
            redis_server_ask(&redis, (const char *const[]){"PTTL", keys[i].key}, 2);
        ck_assert_msg(left_ms >= keys[i].length_ms - MINUTE_MS &&
                      left_ms <= keys[i].length_ms * 13 / 12 + MINUTE_MS, "%s: %lld", keys[i].key,
                      left_ms);
    }
}
END_TEST

/* The same as this version keeps it: entries, behind them totals of two spans and two shares. */
START_TEST(test_history_of_the_usual_table)
{
    backend_begin(BACKEND_REDIS);
    redis_server_ask(&redis, (const char *const[]){"EVAL", arena_printf(arena,
        "local pack, call = struct.pack, redis.call "
        "local old, new = pack('>I6I2', %lld, 5), pack('>I6I2', %lld + 2^44, 2)" /* by SMTP */
        "local none = string.rep('\\0', 11)"
        "call('SET', 'sg:mailbox:" ALICE "', old .. none .. new .. none .. pack("
        "'>I6I6I3I4I3I4I6I3I4I3I4B', %lld, %lld, 1, 5, 1, 2, %lld, 0, 0, 1, 2, 2 * 16 + 2))"
        "call('SET', 'sg:network:" IP "', pack('>I6I2I6I6I3I4B', %lld, 2, %lld, %lld, 1, 2, 16 + 1))"
        "return 1", (long long)(NOW - 2 * HOUR_MS), (long long)(NOW - 1000), (long long)(NOW - 1000),
        (long long)(NOW - 2 * HOUR_MS), (long long)(NOW - 1000), (long long)(NOW - 1000),
        (long long)(NOW - 1000), (long long)(NOW - 1000)), "0"}, 3);
    check_used(NOW, (const uint64_t[OVER_TIME_COUNT]){2, 7, 2, 1, 0, 0, 2, 2, 1});
    struct message sent = message_with_all("a", NOW);
    ck_assert_int_eq(judge(&sent), OUTCOME_ADMITTED);
    ck_assert_uint_eq(seen_of(&sent, RULE_OFF_DOMAIN_PER_DAY)->used_by_channel, 5);
    ck_assert_uint_eq(seen_of(&sent, RULE_MESSAGES_PER_HOUR)->used_by_channel, 0);
    check_used(NOW, (const uint64_t[OVER_TIME_COUNT]){3, 8, 3, 2, 1, 1, 3, 3, 2});
    check_used(NOW + DAY_MS - 1, (const uint64_t[OVER_TIME_COUNT]){1, 1, 0, 0, 0, 1, 3, 0, 1});
}
END_TEST

/* What the usual table of the version before kept: totals of a day and an hour, and a record. */
START_TEST(test_kept_by_the_usual_table)
{
    struct record record;
    backend_begin(BACKEND_REDIS);
    redis_server_ask(&redis, (const char *const[]){"EVAL", arena_printf(arena,
        "local pack, call = struct.pack, redis.call "
        "local old, new = pack('>I6I2', %lld, 5) .. '\\240\\0\\0', pack('>I6I2', %lld, 2) .. '\\0\\0\\7'"
        "call('RPUSH', 'sg:history:" ALICE "', old, new)"
        "call('RPUSH', 'sg:history:" IP "', new)"
        "local totals = pack('>I6I4I6I4I5I6I4I5', %lld, 0, %lld, 2, 7, %lld, 1, 2)"
        "local of_ip = pack('>I6I4I6I4I5', %lld, 0, %lld, 1, 2)"
        "call('SET', 'sg:totals:" ALICE "', totals) call('SET', 'sg:totals:" IP "', of_ip)"
        "call('SET', 'sg:decision:0000000000000007', 'over\\n' .. new:sub(1, 8) .. totals .. of_ip"
        " .. '172800000 2592000000 messages_per_day=1 off_domain_per_hour_per_ip=6 \\n{}')"
        "return 1", (long long)(NOW - 2 * HOUR_MS), (long long)(NOW - 1000), (long long)(NOW - 1000),
        (long long)(NOW - 2 * HOUR_MS), (long long)(NOW - 1000), (long long)(NOW - 1000),
        (long long)(NOW - 1000)), "0"}, 3);
    check_used(NOW, (const uint64_t[OVER_TIME_COUNT]){2, 7, 2, 1, 0, 0, 2, 2, 1});
    send("a", NOW);
    check_used(NOW, (const uint64_t[OVER_TIME_COUNT]){3, 8, 3, 2, 1, 1, 3, 3, 2});
    check_used(NOW + DAY_MS - 1, (const uint64_t[OVER_TIME_COUNT]){1, 1, 0, 0, 0, 1, 3, 0, 1});
    ck_assert_int_eq(store_record(store, arena, 7, NOW, &record), 1);
    ck_assert_uint_eq(record.window_count, 2);
    ck_assert_uint_eq(record.windows[0].used_before, 2);
    ck_assert_uint_eq(record.windows[1].used_before, 2);
    ck_assert_int_eq(store_sweep(store, NOW), 1);
    ck_assert_int_eq(store_record(store, arena, 7, NOW, &record), 1);
}
END_TEST

static void put(uint8_t **bytes, int64_t number, int count)
{
    for (int shift = (count - 1) * 8; shift >= 0; shift -= 8)
        *(*bytes)++ = (uint8_t)(number >> shift);
}

static int no_chunk(void *context, uint64_t number, struct counted chunk_r[HISTORY_CHUNK])
{
    (void)context, (void)number, (void)chunk_r;
    return -1;
}

/* The same in SQLite: the head of a history with the spans of an hour and of a day. */
START_TEST(test_head_of_the_usual_table)
{
    static const struct {
        enum measure measure;
        int64_t length_ms;
        uint64_t used;
    } cases[] = {{MEASURE_MESSAGES, WEEK_MS, 2}, {MEASURE_OFF_DOMAIN, DAY_MS, 7},
                 {MEASURE_MESSAGES, HOUR_MS, 1}, {MEASURE_OFF_DOMAIN, QUARTER_MS, 2}};
    uint8_t bytes[HEAD_MAX_BYTES], *next = bytes;
    struct packed_history history;
    backend_begin(BACKEND_SQLITE);
    put(&next, 1, 1);
    put(&next, NOW - 1000, 8);
    put(&next, 0, 6);
    for (int span = 0; span < 2; span++) {
        put(&next, span == 0, 6);
        put(&next, span == 0 ? NOW - 1000 : NOW - 2 * HOUR_MS, 8);
        put(&next, span + 1, 5);
        put(&next, span == 0 ? 2 : 7, 6);
    }
    for (int message = 0; message < 2; message++) {
        put(&next, message == 0 ? NOW - 2 * HOUR_MS : NOW - 1000, 6);
        put(&next, message == 0 ? 5 : 2, 2);
        for (int part = 0; part < 13; part++) /* id, recipients and the row of the IP's history */
            put(&next, 0, 1);
    }
    for (int again = 0; again < 2; again++) { /* and as it is kept then */
        size_t length = again ? packed_history_encode(&history, bytes) : (size_t)(next - bytes);
        ck_assert_int_eq(packed_history_decode(&history, SUBJECT_MAILBOX, bytes, length), 1);
        ck_assert_int_eq(packed_history_advance(&history, NOW, &(struct chunk_reader){no_chunk, NULL}),
                         1);
        for (size_t i = 0; i < countof(cases); i++) {
            struct span_totals totals =
                packed_history_totals(packed_history_span(&history, cases[i].length_ms));
            ck_assert_uint_eq(cases[i].measure == MEASURE_MESSAGES ? totals.messages
                                                                   : totals.off_domain,
                              cases[i].used);
        }
        ck_assert_int_eq(packed_history_is_past(SUBJECT_MAILBOX, bytes, length,
                                                NOW - 1001 + WEEK_MS), 0);
        ck_assert_int_eq(packed_history_is_past(SUBJECT_MAILBOX, bytes, length,
                                                NOW - 1000 + WEEK_MS), 1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store windows");
    TCase *cases = backends_case(suite, "windows");
    tcase_add_loop_test(cases, test_edges, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_over_the_week, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reset_of_a_domain, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_expiry);
    tcase_add_test(cases, test_history_of_the_usual_table);
    tcase_add_test(cases, test_kept_by_the_usual_table);
    tcase_add_test(cases, test_head_of_the_usual_table);
    return backends_run(suite);
}
