/* What is particular to the Redis backend: data of earlier versions, how a history leads to
 * decisions, the streams of records, bounds, expiries. */
#include <sodium.h>
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

static long long ask_of(const char *command, const char *key)
{
    return redis_server_ask(&redis, (const char *const[]){command, key}, 2);
}

static long long length_of(const char *list) { return ask_of("LLEN", list); }

static void check_record(uint64_t decision, int64_t now_ms, int expected)
{
    struct record record;
    int found = store_record(store, arena, decision, now_ms, &record);
    ck_assert_msg(found == expected, "decision %llx: %d", (unsigned long long)decision, found);
    if (found == 1)
        ck_assert_uint_eq(record.decision, decision);
}

static uint64_t send(const char *mailbox, const char *id, int64_t now_ms)
{
    struct message message = message_of(mailbox, id, now_ms);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    return message.result.decision;
}

static uint64_t send_refused(const char *mailbox, const char *id, int64_t now_ms)
{
    struct message message = message_of(mailbox, id, now_ms);
    message.request.rejected = true;
    ck_assert_int_eq(judge(&message), OUTCOME_REJECTED);
    return message.result.decision;
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

/* The key of a charge, as digits of base 16. */
static const char *charge_of(const char *mailbox, const char *id)
{
    unsigned char key[16];
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof key);
    crypto_generichash_update(&state, (const unsigned char *)mailbox, strlen(mailbox) + 1);
    crypto_generichash_update(&state, (const unsigned char *)id, strlen(id));
    crypto_generichash_final(&state, key, sizeof key);
    char *digits = arena_alloc(arena, 2 * sizeof key + 1);
    return sodium_bin2hex(digits, 2 * sizeof key + 1, key, sizeof key);
}

enum { OLD = 4 };

static uint64_t old_decision(int number) { return decision_floor(NOW - 10 + number) | (7 + (unsigned)number); }

/* Four messages of ALICE, ids "old-0" to "old-3", byte by byte as the version before kept them; the
 * ticket of the last one was redeemed. */
static void keep_old(bool tagged)
{
    run_script(arena_printf(arena,
        "local now, pack, call = %lld, struct.pack, redis.call "
        "local function bytes(digits)"
        "  return (digits:gsub('..', function(two) return string.char(tonumber(two, 16)) end)) end "
        "local last = now - 10 + %d "
        "local totals = pack('>I6I4I6I4I5I6I4I5', last, 3, now - 10, 4, 4, now - 10, 4, 4)"
        "local of_ip = pack('>I6I4I6I4I5', last, 0, now - 10, 4, 4)"
        "for i, charge in ipairs({'%s', '%s', '%s', '%s'}) do"
        "  local entry = pack('>I6I2', now - 11 + i, 1)"
        "  local tag = %s and pack('>I3', 6 + i) or ''"
        "  call('RPUSH', 'sg:history:" ALICE "', entry .. tag)"
        "  call('RPUSH', 'sg:history:" IP "', entry .. tag)"
        "  local kept = (i == 4 and pack('>I6I2', now - 11 + i + 2^47, 1) or entry) .. pack('>I4', 3)"
        "    .. bytes('fedcba9876543210') .. '" IP "' .. (tag ~= '' and '#' .. tag or '')"
        "  call('SET', 'sg:charge:' .. bytes(charge), kept, 'PX', 86400000)"
        "  local id = string.format('0%%010x%%05x', now - 11 + i - %lld, 6 + i)"
        "  call('SET', 'sg:decision:' .. id, 'admitted\\n' .. entry .. totals .. of_ip"
        "    .. '172800000 2592000000 messages_per_day=1 \\n{}', 'PX', 172800000)"
        "  call('RPUSH', 'sg:log', id) "
        "end "
        "call('SET', 'sg:totals:" ALICE "', totals, 'PX', 90000000)"
        "call('SET', 'sg:totals:" IP "', of_ip, 'PX', 4000000) return 1",
        (long long)NOW, OLD - 1, charge_of(ALICE, "old-0"), charge_of(ALICE, "old-1"),
        charge_of(ALICE, "old-2"), charge_of(ALICE, "old-3"), tagged ? "true" : "false",
        (long long)decision_time(0)));
}

static void check_old_history(int64_t now_ms, size_t count)
{
    static const char *const names[] = {[SUBJECT_MAILBOX] = ALICE, [SUBJECT_IP] = IP};
    for (int subject = 0; subject < (int)countof(names); subject++) {
        struct history history;
        ck_assert_int_eq(store_history(store, arena, (enum subject)subject, names[subject], now_ms,
                                       &history), 1);
        ck_assert_uint_eq(history.count, count);
        for (size_t i = 0; i < OLD && i < count; i++) {
            ck_assert_int_eq(history.entries[i].time_ms, NOW - 10 + (int64_t)i);
            ck_assert_uint_eq(history.entries[i].off_domain, 1);
        }
    }
}

/* What the version before counted counts on, is known again, refunded and listed, and takes this
 * version's form with the first message. */
START_TEST(test_old_history)
{
    backend_begin(BACKEND_REDIS);
    keep_old(true);
    check_old_history(NOW, OLD);
    struct record record;
    struct store_page page = {.max = 1};
    ck_assert_int_eq(store_passed(store, arena, 0, NOW, &record, &page), 1);
    ck_assert_uint_eq(page.count, 0);
    ck_assert_int_eq(ask_of("EXISTS", "sg:totals:" ALICE), 1); /* reading changes nothing */
    struct message again = message_of(ALICE, "old-1", NOW);
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    ck_assert_uint_eq(seen_of(&again, RULE_MESSAGES_PER_DAY)->used_before, OLD);
    ck_assert_uint_eq(seen_of(&again, RULE_MESSAGES_PER_HOUR)->used_before, OLD);
    ck_assert_uint_eq(seen_of(&again, RULE_OFF_DOMAIN_PER_HOUR_PER_IP)->used_before, OLD);
    static const char *const gone[] = {"sg:totals:" ALICE, "sg:history:" ALICE, "sg:totals:" IP,
                                       "sg:history:" IP};
    for (size_t i = 0; i < countof(gone); i++)
        ck_assert_int_eq(ask_of("EXISTS", gone[i]), 0);
    ck_assert_int_gt(ask_of("PTTL", "sg:mailbox:" ALICE), DAY_MS);
    uint64_t fresh = send(ALICE, "new-0", NOW + 1);
    check_old_history(NOW + 1, OLD + 1);
    uint64_t ids[] = {fresh, old_decision(3), old_decision(2), old_decision(1), old_decision(0)};
    check_decisions(ALICE, UINT64_MAX, ids, countof(ids), 8);
    uint64_t all[] = {fresh, again.result.decision, ids[1], ids[2], ids[3], ids[4]};
    check_decisions(NULL, UINT64_MAX, all, countof(all), 8);
    check_decisions(NULL, ids[1], all + 3, 2, 2);

    ck_assert_int_eq(store_refund(store, ALICE, "old-3", NOW + 1), 0); /* it was redeemed */
    ck_assert_int_eq(store_refund(store, ALICE, "old-0", NOW + 1), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "old-0", NOW + 1), 0);
    struct message other = message_of(ALICE, "old-2", NOW + 2); /* takes the id */
    other.request.fingerprint++;
    ck_assert_int_eq(judge(&other), OUTCOME_ADMITTED);
    ck_assert_uint_eq(seen_of(&other, RULE_MESSAGES_PER_DAY)->used_before, OLD);
    ck_assert_uint_eq(seen_of(&other, RULE_OFF_DOMAIN_PER_HOUR_PER_IP)->used_before, OLD);
    ck_assert_int_eq(judge(&other), OUTCOME_REPEATED);
    ck_assert_int_eq(store_refund(store, ALICE, "old-2", NOW + 3), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "old-2", NOW + 3), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 3), OLD);

    struct action action = action_at(NOW + 4);
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "old-1", NOW + 5), 0);
    ck_assert_int_eq(store_sweep(store, NOW + 3 * DAY_MS), 1);
    ck_assert_int_eq(run_script("local left = 0 for _, what in ipairs({'history', 'totals', 'charge',"
                                " 'decision', 'log', 'mailbox', 'network', 'admitted'}) do"
                                " left = left + #redis.call('KEYS', 'sg:' .. what .. '*') end"
                                " return left"), 0);
}
END_TEST

/* An older version's entries had no tag, its charges neither: they lead to no decision. */
START_TEST(test_old_history_without_tags)
{
    backend_begin(BACKEND_REDIS);
    keep_old(false);
    uint64_t fresh = send(ALICE, "new-0", NOW);
    check_old_history(NOW, OLD + 1);
    check_decisions(ALICE, UINT64_MAX, &fresh, 1, 8);
    struct message again = message_of(ALICE, "old-1", NOW);
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    ck_assert_int_eq(store_refund(store, ALICE, "old-1", NOW), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), OLD);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW), OLD);
}
END_TEST

/* Refused ones of the version before stay in the list of their mailbox, behind those of now. */
START_TEST(test_old_refused)
{
    uint64_t old = decision_floor(NOW - 10) | 7;
    backend_begin(BACKEND_REDIS);
    run_script(arena_printf(arena,
        "local pack, call = struct.pack, redis.call "
        "local entry = pack('>I6I2', %lld, 1) .. pack('>I6I4I6I4I5I6I4I5', 0, 0, 0, 0, 0, 0, 0, 0)"
        " .. pack('>I6I4I6I4I5', 0, 0, 0, 0, 0)"
        "call('SET', 'sg:decision:%016llx', 'rejected\\n' .. entry .. '172800000 2592000000 \\n{}')"
        "return call('RPUSH', 'sg:refused:" ALICE "', '%016llx')",
        (long long)(NOW - 10), (unsigned long long)old, (unsigned long long)old));
    uint64_t ids[] = {send_refused(ALICE, "a", NOW), old};
    check_decisions(ALICE, UINT64_MAX, ids, 2, 8);
    ck_assert_int_eq(store_sweep(store, NOW + 30 * DAY_MS + 2 * MINUTE_MS), 1);
    ck_assert_int_eq(length_of("sg:refused:" ALICE), 0);
}
END_TEST

/* Another table of rules had three spans: its longer totals are written anew, not over. */
START_TEST(test_history_of_another_table)
{
    backend_begin(BACKEND_REDIS);
    run_script(arena_printf(arena,
        "local pack, now = struct.pack, %lld "
        "local span = pack('>I6I3I4I3I4', now - 10, 1, 5, 0, 0) "
        "return redis.call('SET', 'sg:mailbox:" ALICE "', pack('>I6I2', now - 10, 5)"
        " .. string.rep('\\0', 11) .. pack('>I6', now - 10) .. span .. span .. span"
        " .. string.char(3 * 16 + 2)) and 1", (long long)NOW));
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW), 5);
    for (int i = 0; i < 3; i++) {
        send(ALICE, arena_printf(arena, "%d", i), NOW + i);
        ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW + i), 6u + (unsigned)i);
    }
    ck_assert_int_eq(ask_of("STRLEN", "sg:mailbox:" ALICE), 4 * 19 + 47);
}
END_TEST

/* A new database has nothing of the version before, and is not asked for it, whatever comes first. */
START_TEST(test_nothing_old)
{
    struct action action = action_at(NOW);
    backend_begin(BACKEND_REDIS);
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    keep_old(true);
    struct message message = message_of(ALICE, "old-1", NOW);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_uint_eq(seen_of(&message, RULE_MESSAGES_PER_DAY)->used_before, 0);
    ck_assert_int_eq(ask_of("EXISTS", "sg:totals:" ALICE), 1);
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
        ck_assert_int_eq(account.suspensions.of[0].id, 7);
        ck_assert_int_eq(account.suspensions.of[0].until_ms, NOW + cases[i].lasted_ms);
        for (int again = 0; again < 2; again++) { /* the same attempt */
            struct message message = message_of(ALICE, "x", NOW + HOUR_MS);
            message.request.attempt = 5;
            ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
            ck_assert_uint_eq(message.result.suspensions.of[0].attempts, cases[i].then);
            ck_assert_int_eq(message.result.suspensions.of[0].until_ms, NOW + cases[i].until_ms);
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

/* A message that is counted later than its own clock says is still found. */
START_TEST(test_clocks_differ)
{
    backend_begin(BACKEND_REDIS);
    static const int64_t behind_ms[] = {0, 1, 14, 15, MINUTE_MS, CLOCK_AHEAD_MS};
    uint64_t ids[countof(behind_ms)];
    for (size_t i = 0; i < countof(behind_ms); i++) {
        ids[countof(ids) - 1 - i] = send(ALICE, arena_printf(arena, "%zu", i), NOW - behind_ms[i]);
        ck_assert_int_eq(decision_time(ids[countof(ids) - 1 - i]), NOW);
    }
    check_decisions(ALICE, UINT64_MAX, ids, countof(ids), 8);
    check_decisions(NULL, UINT64_MAX, ids, countof(ids), 8);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), countof(behind_ms));
    for (size_t i = 0; i < countof(behind_ms); i++)
        ck_assert_int_eq(store_refund(store, ALICE, arena_printf(arena, "%zu", i), NOW), 1);
    check_decisions(ALICE, UINT64_MAX, ids, 0, 8);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW), 0);
}
END_TEST

/* An id whose time is too far from the message's is not looked for. */
START_TEST(test_id_of_another_time)
{
    backend_begin(BACKEND_REDIS);
    struct message message = message_of(ALICE, "b", NOW);
    message.request.decision = decision_new(NOW - HOUR_MS);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    uint64_t second = send(ALICE, "a", NOW);
    check_decisions(ALICE, UINT64_MAX, &second, 1, 8);
    check_record(message.result.decision, NOW, 1);
}
END_TEST

/* ---- streams of records ---------------------------------------------------------------------- */

/* The id of what is late says the moment of the record before it. */
START_TEST(test_late_record)
{
    backend_begin(BACKEND_REDIS);
    uint64_t first = send(ALICE, "a", NOW);
    struct message message = message_of(BOB, "b", NOW - 3 * SECOND_MS);
    message.request.ip = NULL;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_int_eq(message.result.at_ms, NOW - 3 * SECOND_MS);
    ck_assert_int_eq(decision_time(message.result.decision), NOW);
    check_record(message.request.decision, NOW, 0);
    uint64_t ids[] = {message.result.decision, first};
    check_decisions(NULL, UINT64_MAX, ids, 2, 8);
    check_decisions(BOB, UINT64_MAX, ids, 1, 8);
    ck_assert_int_eq(store_refund(store, BOB, "b", NOW), 1);
}
END_TEST

/* What a wrong clock wrote does not take those with it that a right one judges: they keep their
 * moments, all are found and listed, also when clocks were wrong often. */
START_TEST(test_records_of_the_future)
{
    enum { TIMES = 5 };
    uint64_t ids[2 * TIMES], refused[2 * TIMES];
    backend_begin(BACKEND_REDIS);
    for (int i = 0; i < TIMES; i++) {
        const char *wrong = arena_printf(arena, "wrong%d@example.test", i);
        int64_t wrong_ms = NOW + (400 - i) * DAY_MS;
        ids[i] = send(wrong, "a", wrong_ms);
        refused[i] = send_refused(wrong, "r", wrong_ms);
        ids[2 * TIMES - 1 - i] = send(ALICE, arena_printf(arena, "%d", i), NOW + i);
        refused[2 * TIMES - 1 - i] = send_refused(ALICE, arena_printf(arena, "r%d", i), NOW + i);
        ck_assert_int_eq(decision_time(ids[2 * TIMES - 1 - i]), NOW + i);
        ck_assert_int_eq(decision_time(ids[i]), wrong_ms);
    }
    for (int i = 0; i < 2 * TIMES; i++) {
        check_record(ids[i], NOW, 1);
        check_record(refused[i], NOW, 1);
    }
    static struct record records[4 * TIMES];
    struct store_page page = {.max = countof(records)};
    ck_assert_int_eq(store_decisions(store, arena, NULL, UINT64_MAX, NOW, records, &page), 1);
    ck_assert_uint_eq(page.count, 4 * TIMES);
    for (size_t i = 1; i < page.count; i++)
        ck_assert_uint_lt(records[i].decision, records[i - 1].decision);
    page.max = countof(records);
    ck_assert_int_eq(store_decisions(store, arena, ALICE, UINT64_MAX, NOW + 9, records, &page), 1);
    ck_assert_uint_eq(page.count, 2 * TIMES);
    for (int i = 0; i < TIMES; i++)
        ck_assert_int_eq(store_refund(store, ALICE, arena_printf(arena, "%d", i), NOW + 9), 1);
    /* of the IP's others each let go of those before */
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 9), 1);
    /* their time comes, and passes */
    uint64_t then = send(BOB, "then", NOW + 400 * DAY_MS - MINUTE_MS);
    ck_assert_int_eq(decision_time(then), NOW + 400 * DAY_MS);
    ck_assert_int_eq(store_sweep(store, NOW + 440 * DAY_MS), 1);
    ck_assert_int_eq(run_script("return #redis.call('KEYS', 'sg:admitted*')"
                                " + #redis.call('KEYS', 'sg:refused*')"), 0);
}
END_TEST

/* Many late ones do not crowd in one millisecond, and each is found and listed once. */
START_TEST(test_crowd)
{
    enum { CROWD = 1280 };
    static uint64_t ids[CROWD];
    backend_begin(BACKEND_REDIS);
    send(BOB, "first", NOW + SECOND_MS);
    for (int i = 0; i < CROWD; i += JUDGE_MAX) {
        struct message messages[JUDGE_MAX];
        int answers[JUDGE_MAX];
        for (int k = 0; k < JUDGE_MAX; k++) {
            messages[k] = message_of(ALICE, "refused", NOW);
            messages[k].request.rejected = true;
        }
        if (i == 0)
            send_refused(BOB, "second", NOW + SECOND_MS);
        judge_all(store, messages, answers, JUDGE_MAX);
        for (int k = 0; k < JUDGE_MAX; k++) {
            ck_assert_int_eq(answers[k], 1);
            ids[i + k] = messages[k].result.decision;
            ck_assert_int_ge(decision_time(ids[i + k]), NOW + SECOND_MS);
            ck_assert_int_le(decision_time(ids[i + k]), NOW + SECOND_MS + 1);
        }
    }
    ck_assert_int_eq(decision_time(ids[CROWD - 1]), NOW + SECOND_MS + 1);
    for (int i = 0; i < CROWD; i += 100)
        check_record(ids[i], NOW, 1);
    static struct record records[64];
    struct store_page page = {.max = 64, .more = true};
    size_t seen = 0;
    for (uint64_t before = UINT64_MAX; page.more; before = records[page.count - 1].decision) {
        ck_assert_int_eq(store_decisions(store, arena, NULL, before, NOW, records, &page), 1);
        seen += page.count;
    }
    ck_assert_uint_eq(seen, CROWD + 2);
}
END_TEST

/* Records that are past leave with the messages that follow; what counts keeps its record. */
START_TEST(test_records_go)
{
    enum { MESSAGES = 400 };
    backend_begin(BACKEND_REDIS);
    for (int day = 0; day < 4; day++)
        for (int i = 0; i < MESSAGES; i++) {
            struct message message = message_of(ALICE, arena_printf(arena, "%d-%d", day, i),
                                                NOW + day * DAY_MS + i);
            message.request.keep_admitted_ms = HOUR_MS;
            message.request.keep_refused_ms = HOUR_MS;
            message.request.rejected = i % 2 == 0;
            judge(&message);
        }
    long long admitted = ask_of("XLEN", "sg:admitted"), refused = ask_of("XLEN", "sg:refused");
    ck_assert_int_ge(admitted, MESSAGES / 2);
    ck_assert_int_le(admitted, MESSAGES * 3 / 2);
    ck_assert_int_ge(refused, MESSAGES / 2);
    ck_assert_int_le(refused, MESSAGES);
    ck_assert_int_eq(store_refund(store, ALICE, "3-1", NOW + 4 * DAY_MS - HOUR_MS), 1);
    ck_assert_int_eq(store_sweep(store, NOW + 5 * DAY_MS), 1);
    ck_assert_int_eq(ask_of("EXISTS", "sg:admitted") + ask_of("EXISTS", "sg:refused"), 0);
}
END_TEST

/* Another process knows a submission by the same hashes. */
START_TEST(test_one_hash_key)
{
    backend_begin(BACKEND_REDIS);
    send(ALICE, "a", NOW);
    struct store *other = backend_open(backend_url(), TEST_TIMEOUT_MS);
    struct message again = message_of(ALICE, "a", NOW + 1);
    ck_assert_int_eq(store_judge(other, &again.request, &again.result), 1);
    ck_assert_int_eq(again.result.outcome, OUTCOME_REPEATED);
    store_free(&other);
}
END_TEST

/* ---- bounds of the lists -------------------------------------------------------------------------- */

/* Ids of the version before without records, in the order of the millisecond `at_ms` and those that
 * follow. */
static void push_dead(const char *list, int64_t at_ms, int count)
{
    run_script(arena_printf(arena,
                            "for i = 0, %d do redis.call('RPUSH', '%s',"
                            " string.format('0%%010x%%05x', %lld + i, 7)) end return 1",
                            count - 1, list,
                            (long long)(decision_floor(at_ms) >> 20)));
}

/* What has gone of the version before's log is stepped over, however much it is. */
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

static int by_newest(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return a < b ? 1 : a > b ? -1 : 0;
}

/* Those that run side by side reach the streams in another order than their ids'. */
START_TEST(test_out_of_order)
{
    enum { MESSAGES = 1500, PAGE = 64 };
    static uint64_t ids[MESSAGES];
    backend_begin(BACKEND_REDIS);
    for (int i = 0; i < MESSAGES; i++) { /* each ten backwards */
        int turned = i / 10 * 10 + 9 - i % 10;
        ids[i] = send_refused(ALICE, arena_printf(arena, "%d", i), NOW - MESSAGES + turned);
    }
    qsort(ids, MESSAGES, sizeof ids[0], by_newest);
    uint64_t before = UINT64_MAX;
    for (size_t done = 0; done < MESSAGES; done += PAGE) {
        size_t left = MESSAGES - done, count = left < PAGE ? left : PAGE;
        check_decisions(NULL, before, ids + done, count, PAGE);
        before = ids[done + count - 1];
    }
}
END_TEST

START_TEST(test_refused_bound)
{
    backend_begin(BACKEND_REDIS);
    push_dead("sg:refused:" ALICE, NOW - 2000, 1000);
    uint64_t newest = send_refused(ALICE, "c", NOW);
    ck_assert_int_eq(length_of("sg:refused:" ALICE), 1000);
    check_decisions(ALICE, UINT64_MAX, &newest, 1, 1);
}
END_TEST

/* Ids of what has gone leave the version before's log, with the bundles of the channels. */
START_TEST(test_log_lets_go)
{
    backend_begin(BACKEND_REDIS);
    push_dead("sg:log", NOW - HOUR_MS, 1200);
    keep_old(true);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(store_observe(store, &(struct observations){0}, NOW), 1);
    ck_assert_int_eq(length_of("sg:log"), OLD);
}
END_TEST

/* ---- expiries ------------------------------------------------------------------------------------------ */

static void check_expiry(const char *key, int64_t span_ms)
{
    long long left_ms = redis_server_ask(&redis, (const char *const[]){"PTTL", key}, 2);
    ck_assert_msg(left_ms >= span_ms && left_ms <= span_ms + MINUTE_MS, "%s: %lld", key, left_ms);
}

/* The record of that decision is `kept` bytes long from now on, whatever it was. */
static void cut_record(uint64_t decision, size_t kept)
{
    run_script(arena_printf(arena,
        "local call, name = redis.call, 'sg:admitted' "
        "local all = call('XRANGE', name, '-', '+') call('DEL', name) "
        "for _, one in ipairs(all) do local record = one[2][2] "
        "if string.match(one[1], '^%%d+') == '%lld' then record = string.sub(record, 1, %zu) end "
        "call('XADD', name, one[1], one[2][1], record) end return 1",
        (long long)decision_time(decision), kept));
}

/* A record that is damaged costs nothing but itself: lists, its message's refund and what is past
 * go on without it. */
START_TEST(test_damaged_record)
{
    static const size_t lengths[] = {0, 3, 12, 13, 14, 40};
    struct record record;
    for (size_t i = 0; i < countof(lengths); i++) {
        if (i > 0)
            backend_end();
        backend_begin(BACKEND_REDIS);
        uint64_t damaged = send(ALICE, "a", NOW), whole = send(ALICE, "b", NOW + 1);
        cut_record(damaged, lengths[i]);
        check_decisions(ALICE, UINT64_MAX, &whole, 1, 8);
        check_decisions(NULL, UINT64_MAX, &whole, 1, 8);
        ck_assert_int_eq(store_record(store, arena, damaged, NOW + 1, &record), -1);
        ck_assert_int_eq(store_refund(store, ALICE, "a", NOW + 1), 1);
        ck_assert_int_eq(store_refund(store, ALICE, "a", NOW + 1), 0);
        ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 1), 1);
        send_messages(BOB, "c", 300, NOW + 40 * DAY_MS, 1);
        check_record(whole, NOW + 1, 0);
        ck_assert_int_eq((int)ask_of("XLEN", "sg:admitted"), 300);
    }
}
END_TEST

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
    tcase_add_test(cases, test_old_history_without_tags);
    tcase_add_test(cases, test_old_refused);
    tcase_add_test(cases, test_history_of_another_table);
    tcase_add_test(cases, test_nothing_old);
    tcase_add_test(cases, test_old_audit_log);
    tcase_add_test(cases, test_old_suspension);
    tcase_add_test(cases, test_stored_before);
    tcase_add_test(cases, test_damaged_audit_log);
    tcase_add_test(cases, test_clocks_differ);
    tcase_add_test(cases, test_id_of_another_time);
    tcase_add_test(cases, test_late_record);
    tcase_add_test(cases, test_records_of_the_future);
    tcase_add_test(cases, test_crowd);
    tcase_add_test(cases, test_records_go);
    tcase_add_test(cases, test_one_hash_key);
    tcase_add_test(cases, test_log_with_gaps);
    tcase_add_test(cases, test_out_of_order);
    tcase_add_test(cases, test_refused_bound);
    tcase_add_test(cases, test_log_lets_go);
    tcase_add_test(cases, test_damaged_record);
    tcase_add_test(cases, test_expiries);
    tcase_add_test(cases, test_both_or_none);
    return backends_run(suite);
}
