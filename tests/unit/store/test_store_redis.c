/* What is particular to the Redis backend: data of earlier versions, how a history
 * leads to decisions, the bounds of the lists of ids, expiries. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "store/kept.h"
#include "store/observations.h"
#include "store/records.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"
#define BOB "bob@example.test"
#define IP "192.0.2.1"

static long long run_script(const char *script)
{
    return redis_server_ask(&redis, (const char *const[]){"EVAL", script, "0"}, 3);
}

static long long length_of(const char *list)
{
    return redis_server_ask(&redis, (const char *const[]){"LLEN", list}, 2);
}

static uint64_t send(const char *mailbox, const char *id, int64_t now_ms)
{
    struct message message = message_of(mailbox, id, now_ms);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    return message.request.decision;
}

static uint64_t send_refused(const char *mailbox, const char *id, int64_t now_ms)
{
    struct message message = message_of(mailbox, id, now_ms);
    message.request.rejected = true;
    ck_assert_int_eq(judge(&message), OUTCOME_REJECTED);
    return message.request.decision;
}

/* Compares a page of decisions with `ids`, of which there are `count`. */
static void check_decisions(const char *mailbox, uint64_t before, const uint64_t *ids,
                            size_t count, size_t max)
{
    static struct record records[64];
    struct store_page page = {.max = max};
    ck_assert_uint_le(max, countof(records));
    ck_assert_msg(store_decisions(store, arena, mailbox, before, NOW, records, &page) == 1,
                  "%s", store_error(store));
    ck_assert_uint_eq(page.count, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(records[i].decision, ids[i]);
}

/* ---- earlier versions -------------------------------------------------------------------- */

/* Entries had no tag, charges neither. */
static void make_old(void)
{
    run_script("for _, key in ipairs(redis.call('KEYS', 'sg:history:*')) do"
               "  for i, entry in ipairs(redis.call('LRANGE', key, 0, -1)) do"
               "    redis.call('LSET', key, i - 1, string.sub(entry, 1, 8))"
               "  end "
               "end "
               "for _, key in ipairs(redis.call('KEYS', 'sg:charge:*')) do"
               "  redis.call('SET', key, string.sub(redis.call('GET', key), 1, -5), 'KEEPTTL') "
               "end "
               "redis.call('DEL', 'sg:log') return 1");
}

START_TEST(test_old_history)
{
    backend_begin(BACKEND_REDIS);
    send_messages(ALICE, "old", 3, NOW - 10, 1);
    make_old();
    uint64_t ids[] = {0, send(ALICE, "new-0", NOW - 5), send(ALICE, "new-1", NOW - 4)};
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), 5);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW), 5);
    static const int64_t times_ms[] = {NOW - 10, NOW - 9, NOW - 8, NOW - 5, NOW - 4};
    struct history histories[2];
    static const char *const keys[] = {ALICE, IP};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(store_history(store, arena, i == 0 ? SUBJECT_MAILBOX : SUBJECT_IP,
                                       keys[i], NOW, &histories[i]), 1);
        ck_assert_uint_eq(histories[i].count, countof(times_ms));
        for (size_t k = 0; k < countof(times_ms); k++) {
            ck_assert_int_eq(histories[i].entries[k].time_ms, times_ms[k]);
            ck_assert_uint_eq(histories[i].entries[k].off_domain, 1);
        }
    }
    ids[0] = ids[2]; /* old entries lead to no decision, new ones do */
    check_decisions(ALICE, UINT64_MAX, ids, 2, 8);
    struct message again = message_of(ALICE, "old-1", NOW);
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    ck_assert_int_eq(store_refund(store, ALICE, "old-1", NOW), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "new-1", NOW), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "new-1", NOW), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), 3);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW), 3);
    check_decisions(ALICE, UINT64_MAX, &ids[1], 1, 8);
}
END_TEST

/* A machine that is not brought up to date yet writes between those that are. */
START_TEST(test_mixed_history)
{
    struct history history;
    backend_begin(BACKEND_REDIS);
    uint64_t ids[] = {send(ALICE, "new-0", NOW - 5), send(ALICE, "old", NOW - 4),
                      send(ALICE, "new-1", NOW - 3)};
    run_script("local key = 'sg:history:" ALICE "' "
               "return redis.call('LSET', key, 1,"
               " string.sub(redis.call('LINDEX', key, 1), 1, 8)) and 1");
    ck_assert_int_eq(store_history(store, arena, SUBJECT_MAILBOX, ALICE, NOW, &history), 1);
    ck_assert_uint_eq(history.count, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(history.entries[i].time_ms, NOW - 5 + i);
    ids[1] = ids[0];
    ids[0] = ids[2];
    check_decisions(ALICE, UINT64_MAX, ids, 2, 8);
}
END_TEST

START_TEST(test_old_audit_log)
{
    struct audit audit[4];
    struct store_page page = {.max = 4};
    struct action action = action_at(NOW);
    backend_begin(BACKEND_REDIS);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    run_script("redis.call('HDEL', 'sg:numbers', 'trail_is_indexed')"
               " return redis.call('DEL', 'sg:audit:" ALICE "')");
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    ck_assert_int_eq(store_reset(store, BOB, &action), 1);
    ck_assert_int_eq(store_audit_newest(store, ALICE, INT64_MAX, audit, &page), 1);
    ck_assert_uint_eq(page.count, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(audit[i].number, 3 - i);
    page.max = 1;
    ck_assert_int_eq(store_audit_newest(store, ALICE, 3, audit, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_int_eq(audit[0].number, 2);
}
END_TEST

/* Suspensions kept neither how long they lasted first nor what was tried. The 10th attempt moved the
 * end: before it the length can be seen, from it on it is taken as a day at most. */
START_TEST(test_old_suspension)
{
    static const struct {
        int64_t lasted_ms;
        int attempts;
        uint32_t then;
        int64_t until_ms; /* beside NOW */
    } cases[] = {{3 * DAY_MS, 8, 9, 3 * DAY_MS},
                 {3 * DAY_MS, 9, 10, 3 * DAY_MS + HOUR_MS},
                 {3 * DAY_MS, 12, 13, 3 * DAY_MS}, /* not shortened */
                 {HOUR_MS * 2, 12, 13, 3 * HOUR_MS}};
    for (size_t i = 0; i < countof(cases); i++) {
        if (i > 0)
            backend_end();
        backend_begin(BACKEND_REDIS);
        char script[512];
        snprintf(script, sizeof script,
                 "redis.call('ZADD', 'sg:suspended', 0, '" ALICE "')"
                 " return redis.call('SET', 'sg:suspension:" ALICE "', '{\"id\":7,"
                 "\"cause\":\"volume\",\"since_ms\":%lld,\"until_ms\":%lld,\"attempts\":%d,"
                 "\"offence\":1,\"by\":\"guard\",\"note\":\"messages_per_day\"}') and 1",
                 (long long)NOW, (long long)(NOW + cases[i].lasted_ms), cases[i].attempts);
        ck_assert_int_eq(run_script(script), 1);
        struct account account;
        ck_assert_int_eq(store_account(store, arena, ALICE, NOW + 1, &account), 1);
        ck_assert_int_eq(account.suspension.id, 7);
        ck_assert_int_eq(account.suspension.until_ms, NOW + cases[i].lasted_ms);
        for (int again = 0; again < 2; again++) { /* the same attempt */
            struct message message = message_of(ALICE, "x", NOW + HOUR_MS);
            message.request.attempt = 5;
            ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
            ck_assert_uint_eq(message.result.suspension.attempts, cases[i].then);
            ck_assert_int_eq(message.result.suspension.until_ms, NOW + cases[i].until_ms);
        }
    }
}
END_TEST

/* All that judging keeps, byte by byte as it was kept before the scripts had their forms from C: a
 * message of 5 off-domain recipients an hour and a minute ago, one of 2 a second ago. */
static void store_by_hand(void)
{
    run_script(arena_printf(arena,
        "local now, pack, call = %lld, struct.pack, redis.call "
        "local old = pack('>I6I2', now - 3660000, 5) .. '\\1\\2\\3'"
        "local new = pack('>I6I2', now - 1000, 2) .. '\\0\\0\\7'"
        "call('RPUSH', 'sg:history:" ALICE "', old, new)"
        "call('RPUSH', 'sg:history:" IP "', new)"
        "local totals = pack('>I6I4I6I4I5I6I4I5', now - 1000, 3, now - 3660000, 2, 7, now - 1000, 1, 2)"
        "local of_ip = pack('>I6I4I6I4I5', now - 1000, 0, now - 1000, 1, 2)"
        "call('SET', 'sg:totals:" ALICE "', totals)"
        "call('SET', 'sg:totals:" IP "', of_ip)"
        "call('SET', 'sg:decision:%016llx', 'admitted\\n' .. pack('>I6I2', now - 1000, 2) .. totals"
        " .. of_ip .. '172800000 2592000000 messages_per_day=1 off_domain_per_hour_per_ip=6 \\n{}')"
        "call('HINCRBY', 'sg:numbers', 'audit', 1)"
        "call('XADD', 'sg:audit', '1-0', 'at_ms', now, 'by', 'agnes', 'act', 'lift', 'subject',"
        " '" ALICE "', 'note', 'n', 'detail', '{\"before\":null,\"after\":null}')"
        "return call('RPUSH', 'sg:audit:" ALICE "', 1)",
        (long long)NOW, (unsigned long long)(decision_floor(NOW - 1000) | 7)));
}

START_TEST(test_stored_before)
{
    struct record record;
    struct audit audit[2];
    struct store_page page = {.max = 2};
    struct action action = action_at(NOW);
    backend_begin(BACKEND_REDIS);
    store_by_hand();
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), 2);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW), 7);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_HOUR, NOW), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW), 2);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW - 3660000 + DAY_MS), 2);
    ck_assert_int_eq(store_record(store, arena, decision_floor(NOW - 1000) | 7, NOW, &record), 1);
    ck_assert_int_eq(record.at_ms, NOW - 1000);
    ck_assert_uint_eq(record.window_count, 2);
    ck_assert_int_eq(record.windows[1].rule, RULE_OFF_DOMAIN_PER_HOUR_PER_IP);
    ck_assert_uint_eq(record.windows[0].used_before, 2);
    ck_assert_uint_eq(record.windows[1].used_before, 2);
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    ck_assert_int_eq(store_audit_newest(store, ALICE, INT64_MAX, audit, &page), 1);
    ck_assert_uint_eq(page.count, 2);
    ck_assert_str_eq(audit[1].detail, "{\"before\":null,\"after\":null}");
    ck_assert_str_eq(audit[0].detail, "{\"before\":{\"messages\":2,\"off_domain\":7},"
                                      "\"after\":{\"messages\":0,\"off_domain\":0}}");
}
END_TEST

/* An entry that no version of ours wrote is an error, and nothing worse. */
START_TEST(test_damaged_audit_log)
{
    static const char *const seen[] = {"", "7", "7 volume", "7 nothing 1 2 3 -", "x y", "- 7 volume"};
    static const char *const actions[] = {"suspend", "reset", "extra"};
    struct audit audit;
    struct store_page page = {.max = 1};
    backend_begin(BACKEND_REDIS);
    for (size_t i = 0; i < countof(seen) * countof(actions); i++) {
        run_script(arena_printf(arena, "redis.call('DEL', 'sg:audit') redis.call('XADD', 'sg:audit',"
                                " '1-0', 'at_ms', 5, 'by', 'b', 'act', '%s', 'subject', 's', 'note',"
                                " 'n', 'seen', '%s') return 1", actions[i % countof(actions)],
                                seen[i / countof(actions)]));
        int read = store_audit(store, 0, &audit, &page);
        ck_assert_msg(read == -1 || audit.detail[0] == '{', "%zu: %s", i, audit.detail);
    }
}
END_TEST

/* ---- from a history to its decisions --------------------------------------------------------- */

/* A message that is counted later than its own clock says is still found, if not by much. */
START_TEST(test_clocks_differ)
{
    backend_begin(BACKEND_REDIS);
    static const int64_t behind_ms[] = {0, 1, 14, 15, 16, CLOCK_AHEAD_MS};
    uint64_t ids[countof(behind_ms)];
    for (size_t i = 0; i < countof(behind_ms); i++)
        ids[i] = send(ALICE, arena_printf(arena, "%zu", i), NOW - behind_ms[i]);
    check_decisions(ALICE, UINT64_MAX, ids, 3, 8);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), countof(behind_ms));
    for (size_t i = 0; i < countof(behind_ms); i++)
        ck_assert_int_eq(store_refund(store, ALICE, arena_printf(arena, "%zu", i), NOW), 1);
    check_decisions(ALICE, UINT64_MAX, ids, 0, 8);
}
END_TEST

/* An id whose time is not the message's is not looked for. */
START_TEST(test_id_of_another_time)
{
    backend_begin(BACKEND_REDIS);
    uint64_t first = send(ALICE, "a", NOW - 1);
    struct message message = message_of(ALICE, "b", NOW);
    message.request.decision = decision_new(NOW - HOUR_MS);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    check_decisions(ALICE, UINT64_MAX, &first, 1, 8);
}
END_TEST

/* ---- bounds of the lists -------------------------------------------------------------------------- */

/* Ids without records, in the order of the millisecond `at_ms` and those that follow. */
static void push_dead(const char *list, int64_t at_ms, int count)
{
    run_script(arena_printf(arena,
                            "for i = 0, %d do redis.call('RPUSH', '%s',"
                            " string.format('0%%010x%%05x', %lld + i, 7)) end return 1",
                            count - 1, list,
                            (long long)(decision_floor(at_ms) >> 20)));
}

/* What has gone between the kept ones is stepped over, however much it is. */
START_TEST(test_log_with_gaps)
{
    backend_begin(BACKEND_REDIS);
    uint64_t first = send(ALICE, "a", NOW - HOUR_MS);
    push_dead("sg:log", NOW - HOUR_MS + 1, 5000);
    uint64_t second = send(BOB, "b", NOW - MINUTE_MS);
    push_dead("sg:log", NOW - MINUTE_MS + 1, 3000);
    uint64_t third = send_refused(ALICE, "c", NOW);
    check_decisions(NULL, UINT64_MAX, (const uint64_t[]){third, second, first}, 3, 8);
    check_decisions(NULL, third, (const uint64_t[]){second}, 1, 1);
    check_decisions(NULL, second, (const uint64_t[]){first}, 1, 8);
    check_decisions(NULL, first, NULL, 0, 8);
    check_decisions(ALICE, UINT64_MAX, (const uint64_t[]){third, first}, 2, 8);
}
END_TEST

/* Those that run side by side reach the log in another order than their ids'. */
START_TEST(test_log_out_of_order)
{
    enum { MESSAGES = 1500, PAGE = 64 };
    static uint64_t ids[MESSAGES];
    backend_begin(BACKEND_REDIS);
    for (int i = 0; i < MESSAGES; i++) { /* each ten backwards */
        int turned = i / 10 * 10 + 9 - i % 10;
        ids[MESSAGES - 1 - turned] =
            send_refused(ALICE, arena_printf(arena, "%d", i), NOW - MESSAGES + turned);
    }
    uint64_t before = UINT64_MAX;
    for (size_t done = 0; done < MESSAGES; done += PAGE) {
        size_t left = MESSAGES - done, count = left < PAGE ? left : PAGE;
        check_decisions(NULL, before, ids + done, count, PAGE);
        before = ids[done + count - 1];
    }
}
END_TEST

START_TEST(test_log_bound)
{
    backend_begin(BACKEND_REDIS);
    push_dead("sg:log", NOW - 200000, 101000);
    send(ALICE, "a", NOW);
    ck_assert_int_eq(length_of("sg:log"), 100000);
    send(ALICE, "b", NOW);
    ck_assert_int_eq(length_of("sg:log"), 100001); /* trimmed now and then, not with each */
    push_dead("sg:refused:" ALICE, NOW - 2000, 1000);
    uint64_t newest = send_refused(ALICE, "c", NOW);
    ck_assert_int_eq(length_of("sg:refused:" ALICE), 1000);
    check_decisions(ALICE, UINT64_MAX, &newest, 1, 1);
}
END_TEST

/* Ids of what has gone leave the log's beginning, with the bundles of the channels. */
START_TEST(test_log_lets_go)
{
    backend_begin(BACKEND_REDIS);
    push_dead("sg:log", NOW - HOUR_MS, 300);
    send(ALICE, "a", NOW);
    push_dead("sg:log", NOW + 1, 10);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(store_observe(store, &(struct observations){0}, NOW), 1);
    ck_assert_int_eq(length_of("sg:log"), 11);
}
END_TEST

/* ---- expiries ------------------------------------------------------------------------------------------ */

static void check_expiry(const char *key, int64_t span_ms)
{
    long long left_ms = redis_server_ask(&redis, (const char *const[]){"PTTL", key}, 2);
    ck_assert_msg(left_ms >= span_ms && left_ms <= span_ms + MINUTE_MS, "%s: %lld", key, left_ms);
}

START_TEST(test_expiries)
{
    struct kept kept = {.key = "k", .value = "v", .until_ms = NOW + HOUR_MS};
    struct observed_sender observed = {
        .mailbox = ALICE, .domain = "example.test", .ip = IP, .at_ms = NOW};
    uint32_t count;
    int64_t free_at_ms;
    backend_begin(BACKEND_REDIS);
    send_refused(ALICE, "a", NOW);
    ck_assert_int_eq(store_keep(store, KEPT_TOKEN, &kept, NOW, NULL), 1);
    ck_assert_int_eq(store_try(store, "k", NOW, HOUR_MS, 5, &count, &free_at_ms), 1);
    ck_assert_int_eq(store_observe(store,
                                   &(struct observations){.senders = &observed,
                                                          .sender_count = 1}, NOW), 1);
    check_expiry("sg:refused:" ALICE, 30 * DAY_MS);
    check_expiry("sg:kept:token:k", HOUR_MS);
    check_expiry("sg:kept:tries:k", HOUR_MS);
    check_expiry("sg:from:" IP, DAY_MS);
    check_expiry("sg:of:example.test", DAY_MS);
}
END_TEST

/* ---- what is kept, and its entry of the audit log ------------------------------------------------ */

START_TEST(test_both_or_none)
{
    struct action action = action_at(NOW);
    struct kept kept = {.key = "k", .value = "v", .until_ms = UNTIL_LIFTED};
    struct audit audit;
    char long_name[sizeof audit.action + 1];
    struct store_page page = {.max = 1};
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    struct audited too_long = {long_name, "bert", "{}", &action};
    backend_begin(BACKEND_REDIS);
    ck_assert_int_eq(store_keep(store, KEPT_STAFF, &kept, NOW, &too_long), -1);
    ck_assert_int_eq(store_write_audit(store, &too_long), -1);
    ck_assert_int_eq(store_kept(store, arena, KEPT_STAFF, "k", NOW, &kept), 0);
    ck_assert_int_eq(store_audit(store, 0, &audit, &page), 1);
    ck_assert_uint_eq(page.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store redis");
    TCase *cases = backends_case(suite, "redis");
    tcase_add_test(cases, test_old_history);
    tcase_add_test(cases, test_mixed_history);
    tcase_add_test(cases, test_old_audit_log);
    tcase_add_test(cases, test_old_suspension);
    tcase_add_test(cases, test_stored_before);
    tcase_add_test(cases, test_damaged_audit_log);
    tcase_add_test(cases, test_clocks_differ);
    tcase_add_test(cases, test_id_of_another_time);
    tcase_add_test(cases, test_log_with_gaps);
    tcase_add_test(cases, test_log_out_of_order);
    tcase_add_test(cases, test_log_bound);
    tcase_add_test(cases, test_log_lets_go);
    tcase_add_test(cases, test_expiries);
    tcase_add_test(cases, test_both_or_none);
    return backends_run(suite);
}
