/* Judging and counting: what store/judge.h says of one message, in both backends. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "store/records.h"
#include "store/suspensions.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"
#define BOB "bob@example.test"

/* ---- windows --------------------------------------------------------------- */

static const enum rule rules_over_time[] = {RULE_MESSAGES_PER_DAY, RULE_OFF_DOMAIN_PER_DAY,
                                            RULE_OFF_DOMAIN_PER_HOUR_PER_IP,
                                            RULE_MESSAGES_PER_HOUR};
enum { BOTH_ROOMS_ALL_RULES = BACKEND_KINDS * countof(rules_over_time) };

/* A message to one window alone. */
static struct message message_under(enum rule rule, int32_t limit, const char *id,
                                          int64_t now_ms)
{
    struct message message = message_of(ALICE, id, now_ms);
    message.request.windows[0] = (struct judge_window){.rule = rule, .limit = limit};
    message.request.window_count = 1;
    return message;
}

START_TEST(test_limit)
{
    enum rule rule = rules_over_time[_i / BACKEND_KINDS];
    backend_begin(_i % BACKEND_KINDS);
    for (int i = 0; i < 5; i++) {
        struct message message =
            message_under(rule, 5, arena_printf(arena, "%d", i), NOW + i);
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
        ck_assert_uint_eq(message.result.windows[0].used_before, (unsigned)i);
        ck_assert(!message.result.windows[0].over);
    }
    struct message over = message_under(rule, 5, "one more", NOW + 5);
    ck_assert_int_eq(judge(&over), OUTCOME_OVER);
    ck_assert_uint_eq(over.result.windows[0].used_before, 5);
    ck_assert(over.result.windows[0].over);
    ck_assert_int_eq(over.result.suspensions.of[0].id, 0);
    over.request.windows[0].limit = 6;
    ck_assert_int_eq(judge(&over), OUTCOME_ADMITTED);
}
END_TEST

static struct message message_by(enum channel channel, enum rule rule, const char *id)
{
    struct message message = message_under(rule, 3, id, NOW);
    message.request.channel = channel;
    message.request.facts = facts_of("{\"mailbox\":\"" ALICE "\"}");
    return message;
}

/* What mail programs send from an IP leaves the webmail's window of it empty, and the other way; a
 * mailbox has one history for both. */
START_TEST(test_channels_of_an_ip)
{
    static const enum channel channels[] = {CHANNEL_SMTP, CHANNEL_WEBMAIL};
    backend_begin(_i);
    for (size_t i = 0; i < countof(channels); i++) {
        for (int k = 0; k < 3; k++) {
            struct message message =
                message_by(channels[i], RULE_OFF_DOMAIN_PER_HOUR_PER_IP,
                           arena_printf(arena, "%zu-%d", i, k));
            ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
            ck_assert_uint_eq(message.result.windows[0].used_before, (unsigned)k);
        }
        struct message over =
            message_by(channels[i], RULE_OFF_DOMAIN_PER_HOUR_PER_IP, "over");
        ck_assert_int_eq(judge(&over), OUTCOME_OVER);
        ck_assert_uint_eq(over.result.histories[SUBJECT_IP].count, 3);
        struct message same =
            message_by(channels[i], RULE_OFF_DOMAIN_PER_HOUR_PER_IP,
                       arena_printf(arena, "%zu-0", i));
        ck_assert_int_eq(judge(&same), OUTCOME_REPEATED);
    }
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), 6);
    ck_assert_int_eq(store_refund(store, ALICE, "0-1", NOW), 1);
    struct message smtp =
        message_by(CHANNEL_SMTP, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, "smtp");
    struct message webmail =
        message_by(CHANNEL_WEBMAIL, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, "webmail");
    ck_assert_int_eq(judge(&webmail), OUTCOME_OVER);
    ck_assert_int_eq(judge(&smtp), OUTCOME_ADMITTED);
    ck_assert_int_eq(store_sweep(store, NOW + 2 * DAY_MS), 1);
    webmail.request.now_ms = NOW + 2 * DAY_MS;
    ck_assert_int_eq(judge(&webmail), OUTCOME_ADMITTED);
    ck_assert_uint_eq(webmail.result.windows[0].used_before, 0);
}
END_TEST

/* What is forwarded has a history of its own, and what does not suspend leaves no attempt. */
START_TEST(test_forwarding)
{
    static const struct durations day = {1, {DAY_MS}};
    struct record records[16];
    struct store_page page = {.max = countof(records)};
    backend_begin(_i);
    for (int i = 0; i < 3; i++) {
        struct message message =
            message_by(CHANNEL_FORWARDING, RULE_MESSAGES_PER_DAY, arena_printf(arena, "f%d", i));
        message.request.ip = NULL;
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
        ck_assert_uint_eq(message.result.windows[0].used_before, (unsigned)i);
        struct message again =
            message_by(CHANNEL_FORWARDING, RULE_MESSAGES_PER_DAY, arena_printf(arena, "f%d", i));
        ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    }
    struct message over = message_by(CHANNEL_FORWARDING, RULE_MESSAGES_PER_DAY, "over");
    over.request.ip = NULL;
    over.request.no_attempt = true;
    ck_assert_int_eq(judge(&over), OUTCOME_OVER);
    ck_assert_uint_eq(over.result.histories[SUBJECT_MAILBOX].count, 3);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), 0);
    struct message own = message_by(CHANNEL_SMTP, RULE_MESSAGES_PER_DAY, "own");
    ck_assert_int_eq(judge(&own), OUTCOME_ADMITTED);
    ck_assert_uint_eq(own.result.windows[0].used_before, 0);
    ck_assert_int_eq(store_decisions(store, arena, ALICE, UINT64_MAX, NOW, records, &page), 1);
    ck_assert_uint_eq(page.count, 5); /* the repeated ones stand in nobody's list */
    struct action action = action_at(NOW);
    struct suspension suspension;
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_VOLUME, &day, &action, &suspension), 1);
    for (int i = 0; i < 20; i++) {
        struct message refused = message_by(CHANNEL_FORWARDING, RULE_MESSAGES_PER_DAY,
                                                  arena_printf(arena, "r%d", i));
        refused.request.ip = NULL;
        refused.request.no_attempt = true;
        refused.request.now_ms = NOW + HOUR_MS;
        ck_assert_int_eq(judge(&refused), OUTCOME_SUSPENDED);
        ck_assert_uint_eq(refused.result.suspensions.of[0].attempts, 0);
        ck_assert_int_eq(refused.result.suspensions.of[0].until_ms, NOW + DAY_MS);
    }
    struct account account;
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW + HOUR_MS, &account), 1);
    ck_assert_uint_eq(account.suspensions.of[0].attempts, 0);
    ck_assert_uint_eq(account.history.count, 1);
    struct message after =
        message_by(CHANNEL_FORWARDING, RULE_MESSAGES_PER_DAY, "after");
    after.request.ip = NULL;
    after.request.now_ms = NOW + DAY_MS;
    ck_assert_int_eq(judge(&after), OUTCOME_ADMITTED);
    ck_assert_uint_eq(after.result.windows[0].used_before, 0);
}
END_TEST

START_TEST(test_edges_of_window)
{
    enum rule rule = rules_over_time[_i / BACKEND_KINDS];
    int64_t length_ms = rule_table[rule].window_ms;
    backend_begin(_i % BACKEND_KINDS);
    struct message first = message_under(rule, 1, "first", NOW);
    ck_assert_int_eq(judge(&first), OUTCOME_ADMITTED);
    struct message same_moment = message_under(rule, 1, "same", NOW);
    ck_assert_int_eq(judge(&same_moment), OUTCOME_OVER);
    struct message last_moment = message_under(rule, 1, "last", NOW + length_ms - 1);
    ck_assert_int_eq(judge(&last_moment), OUTCOME_OVER);
    ck_assert_uint_eq(last_moment.result.windows[0].used_before, 1);
    struct message after = message_under(rule, 1, "after", NOW + length_ms);
    ck_assert_int_eq(judge(&after), OUTCOME_ADMITTED);
    ck_assert_uint_eq(after.result.windows[0].used_before, 0);
}
END_TEST

/* What a refusal saw must not be what the next message, at an earlier time, sees. */
START_TEST(test_refusal_moves_no_window)
{
    backend_begin(_i);
    struct message counted = message_under(RULE_MESSAGES_PER_DAY, 1, "1", NOW);
    ck_assert_int_eq(judge(&counted), OUTCOME_ADMITTED);
    struct message refused = message_under(RULE_MESSAGES_PER_DAY, 0, "2", NOW + DAY_MS);
    ck_assert_int_eq(judge(&refused), OUTCOME_OVER);
    ck_assert_uint_eq(refused.result.windows[0].used_before, 0);
    struct message earlier = message_under(RULE_MESSAGES_PER_DAY, 1, "3", NOW + DAY_MS - 1);
    ck_assert_int_eq(judge(&earlier), OUTCOME_OVER);
    ck_assert_uint_eq(earlier.result.windows[0].used_before, 1);
}
END_TEST

START_TEST(test_windows_are_apart)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 3, NOW, 10);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + HOUR_MS + 10), 3);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_HOUR, NOW + HOUR_MS + 10), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + HOUR_MS + 10), 1);
    ck_assert_uint_eq(used_of(BOB, RULE_MESSAGES_PER_DAY, NOW + 30), 0);
    ck_assert_uint_eq(used_of(BOB, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 30), 3);
}
END_TEST

/* More than a full day's history, so that whatever is kept in pieces is crossed. */
START_TEST(test_long_history)
{
    backend_begin(_i);
    for (int i = 0; i < 700; i++) {
        struct message message =
            message_of(ALICE, arena_printf(arena, "%d", i), NOW + i * 4 * MINUTE_MS);
        message.request.off_domain = (uint32_t)i % 3;
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
        int in_day = i < 360 ? i : 359, in_hour = i < 15 ? i : 14;
        ck_assert_uint_eq(seen_of(&message, RULE_MESSAGES_PER_DAY)->used_before,
                          (unsigned)in_day);
        ck_assert_uint_eq(seen_of(&message, RULE_MESSAGES_PER_HOUR)->used_before,
                          (unsigned)in_hour);
        unsigned off_domain = 0;
        for (int k = i - in_day; k < i; k++)
            off_domain += (unsigned)k % 3;
        ck_assert_uint_eq(seen_of(&message, RULE_OFF_DOMAIN_PER_DAY)->used_before, off_domain);
    }
    struct account account;
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW + 699 * 4 * MINUTE_MS, &account), 1);
    ck_assert_uint_eq(account.history.count, 360);
    ck_assert_int_eq(account.history.entries[359].time_ms, NOW + 699 * 4 * MINUTE_MS);
    ck_assert_int_eq(account.history.entries[0].time_ms, NOW + 340 * 4 * MINUTE_MS);
}
END_TEST

START_TEST(test_time_never_runs_backwards)
{
    backend_begin(_i);
    struct message ahead = message_of(ALICE, "1", NOW + 900);
    ck_assert_int_eq(judge(&ahead), OUTCOME_ADMITTED);
    ck_assert_int_eq(ahead.result.at_ms, NOW + 900);
    struct message behind = message_of(ALICE, "2", NOW);
    behind.request.ip = NULL;
    ck_assert_int_eq(judge(&behind), OUTCOME_ADMITTED);
    ck_assert_int_eq(behind.result.at_ms, NOW + 900);
    struct message same_ip = message_of(BOB, "3", NOW + 1);
    ck_assert_int_eq(judge(&same_ip), OUTCOME_ADMITTED);
    ck_assert_int_eq(same_ip.result.at_ms, NOW + 900);
    struct message later = message_of(BOB, "4", NOW + 901);
    ck_assert_int_eq(judge(&later), OUTCOME_ADMITTED);
    ck_assert_int_eq(later.result.at_ms, NOW + 901);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 900 + DAY_MS - 1), 2);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 900 + DAY_MS), 0);
}
END_TEST

START_TEST(test_all_or_nothing)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 2, NOW, 1);
    struct message over_ip = message_of(ALICE, "x", NOW + 2);
    over_ip.request.windows[2].limit = 2;
    ck_assert_int_eq(judge(&over_ip), OUTCOME_OVER);
    ck_assert(seen_of(&over_ip, RULE_OFF_DOMAIN_PER_HOUR_PER_IP)->over);
    ck_assert(!seen_of(&over_ip, RULE_MESSAGES_PER_DAY)->over);
    struct message over_day = message_of(ALICE, "x", NOW + 2);
    over_day.request.windows[0] = (struct judge_window){.rule = RULE_MESSAGES_PER_DAY, .limit = 2};
    ck_assert_int_eq(judge(&over_day), OUTCOME_OVER);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 2), 2);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW + 2), 2);
    ck_assert_uint_eq(used_of(BOB, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 2), 2);
}
END_TEST

START_TEST(test_limits_change)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 5, NOW, 1);
    struct message lower = message_under(RULE_MESSAGES_PER_DAY, 3, "x", NOW + 5);
    ck_assert_int_eq(judge(&lower), OUTCOME_OVER);
    ck_assert_uint_eq(lower.result.windows[0].used_before, 5);
    struct message off = message_under(RULE_MESSAGES_PER_DAY, LIMIT_OFF, "x", NOW + 5);
    ck_assert_int_eq(judge(&off), OUTCOME_ADMITTED);
    ck_assert_uint_eq(off.result.windows[0].used_before, 5);
    ck_assert(!off.result.windows[0].over);
    struct message none = message_of(ALICE, "y", NOW + 5);
    none.request.window_count = 0;
    ck_assert_int_eq(judge(&none), OUTCOME_ADMITTED);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 5), 7);
}
END_TEST

START_TEST(test_without_ip)
{
    backend_begin(_i);
    struct message message = message_of(ALICE, "1", NOW);
    message.request.ip = NULL;
    window_of(&message, RULE_OFF_DOMAIN_PER_HOUR_PER_IP)->limit = 0;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_uint_eq(seen_of(&message, RULE_OFF_DOMAIN_PER_HOUR_PER_IP)->used_before, 0);
    ck_assert(!seen_of(&message, RULE_OFF_DOMAIN_PER_HOUR_PER_IP)->over);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "1", NOW), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW), 0);
}
END_TEST

START_TEST(test_largest_message)
{
    backend_begin(_i);
    struct message message = message_of(ALICE, "1", NOW);
    message.request.off_domain = SUBMISSION_MAX_RECIPIENTS;
    for (size_t i = 0; i < message.request.window_count; i++)
        message.request.windows[i].limit = LIMIT_MAX;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW), SUBMISSION_MAX_RECIPIENTS);
}
END_TEST

/* ---- rejected, dry run, observe ----------------------------------------------- */

START_TEST(test_rejected)
{
    struct record record;
    backend_begin(_i);
    send_messages(ALICE, "a", 2, NOW, 1);
    struct message message = message_of(ALICE, "x", NOW + 2);
    message.request.rejected = true;
    window_of(&message, RULE_MESSAGES_PER_DAY)->limit = 2;
    ck_assert_int_eq(judge(&message), OUTCOME_REJECTED);
    ck_assert(seen_of(&message, RULE_MESSAGES_PER_DAY)->over);
    ck_assert_uint_eq(message.result.histories[SUBJECT_MAILBOX].count, 2);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 2), 2);
    ck_assert_int_eq(store_record(store, arena, message.request.decision, NOW + 2, &record), 1);
    ck_assert_int_eq(record.outcome, OUTCOME_REJECTED);
    message.request.rejected = false;
    window_of(&message, RULE_MESSAGES_PER_DAY)->limit = 3;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
}
END_TEST

/* `suspensions`: those of ALICE that were there before. */
static void assert_no_trace(const struct message *message, size_t suspensions)
{
    struct record record;
    struct account account;
    ck_assert_int_eq(store_record(store, arena, message->request.decision, NOW + 2, &record), 0);
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW + 2, &account), 1);
    ck_assert_uint_eq(account.history.count, 2);
    ck_assert_uint_eq(account.suspensions.count, suspensions);
    for (size_t i = 0; i < suspensions; i++)
        ck_assert_uint_eq(account.suspensions.of[i].attempts, 0);
}

START_TEST(test_dry_run)
{
    struct suspension suspension;
    struct action action = action_at(NOW);
    backend_begin(_i);
    send_messages(ALICE, "a", 2, NOW, 1);
    struct message message = message_of(ALICE, "x", NOW + 2);
    message.request.dry_run = true;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_uint_eq(message.result.histories[SUBJECT_MAILBOX].count, 2);
    ck_assert_uint_eq(message.result.histories[SUBJECT_IP].count, 2);
    assert_no_trace(&message, 0);
    message.request.windows[0].limit = 2;
    ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
    ck_assert(message.result.brought);
    ck_assert_int_eq(message.result.suspensions.of[0].id, 0); /* none was made */
    assert_no_trace(&message, 0);
    message.request.windows[0].suspends = false;
    ck_assert_int_eq(judge(&message), OUTCOME_OVER);
    assert_no_trace(&message, 0);
    message.request.rejected = true;
    ck_assert_int_eq(judge(&message), OUTCOME_REJECTED);
    assert_no_trace(&message, 0);
    ck_assert_int_eq(
        store_suspend(store, ALICE, CAUSE_TERMS, &message.request.volume, &action, &suspension), 1);
    ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
    ck_assert_int_eq(message.result.suspensions.of[0].id, suspension.id);
    assert_no_trace(&message, 1);
    message.request.id = "a-0";
    ck_assert_int_eq(judge(&message), OUTCOME_REPEATED);
    assert_no_trace(&message, 1);
}
END_TEST

START_TEST(test_observe)
{
    struct suspension suspension;
    struct account account;
    struct action action = action_at(NOW);
    backend_begin(_i);
    for (int i = 0; i < 4; i++) {
        struct message message = message_of(ALICE, arena_printf(arena, "%d", i), NOW + i);
        message.request.observe = true;
        message.request.rejected = i == 0;
        message.request.windows[0].limit = 2;
        if (i == 3)
            ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_TERMS, &message.request.volume,
                                           &action, &suspension), 1);
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
        ck_assert_uint_eq(message.result.windows[0].used_before, (unsigned)i);
        ck_assert_int_eq(message.result.windows[0].over, i >= 2);
        ck_assert(!message.result.brought);
        ck_assert_int_eq(message.result.suspensions.of[0].id, i == 3 ? suspension.id : 0);
    }
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW + 4, &account), 1);
    ck_assert_uint_eq(account.history.count, 4);
    ck_assert_uint_eq(account.suspensions.of[0].attempts, 0);
}
END_TEST

/* ---- one submission, once ------------------------------------------------------ */

START_TEST(test_repeated)
{
    struct record record;
    backend_begin(_i);
    struct message first = message_of(ALICE, "<1@x>", NOW);
    ck_assert_int_eq(judge(&first), OUTCOME_ADMITTED);
    struct message again = message_of(ALICE, "<1@x>", NOW + 5);
    again.request.windows[0].limit = 1;
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    ck_assert_uint_eq(again.result.windows[0].used_before, 1);
    ck_assert_int_eq(store_record(store, arena, again.request.decision, NOW + 5, &record), 1);
    ck_assert_int_eq(record.outcome, OUTCOME_REPEATED);
    struct message other_mailbox = message_of(BOB, "<1@x>", NOW + 5);
    ck_assert_int_eq(judge(&other_mailbox), OUTCOME_ADMITTED);
    struct message last_moment = message_of(ALICE, "<1@x>", NOW + DAY_MS - 1);
    ck_assert_int_eq(judge(&last_moment), OUTCOME_REPEATED);
    struct message next_day = message_of(ALICE, "<1@x>", NOW + DAY_MS);
    ck_assert_int_eq(judge(&next_day), OUTCOME_ADMITTED);
    ck_assert_uint_eq(next_day.result.windows[0].used_before, 0);
}
END_TEST

/* Comes before a suspension: who was admitted stays so. */
START_TEST(test_repeated_while_suspended)
{
    struct suspension suspension;
    struct durations durations = {.count = 1, .ms = {DAY_MS}};
    struct action action = action_at(NOW + 1);
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW, 0);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_TERMS, &durations, &action, &suspension), 1);
    struct message again = message_of(ALICE, "a-0", NOW + 2);
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    ck_assert_int_eq(again.result.suspensions.of[0].id, suspension.id);
    ck_assert_uint_eq(again.result.suspensions.of[0].attempts, 0);
}
END_TEST

START_TEST(test_same_id_other_recipients)
{
    backend_begin(_i);
    struct message first = message_of(ALICE, "draft", NOW);
    first.request.off_domain = 7;
    ck_assert_int_eq(judge(&first), OUTCOME_ADMITTED);
    struct message other = message_of(ALICE, "draft", NOW + 1);
    other.request.fingerprint++;
    ck_assert_int_eq(judge(&other), OUTCOME_ADMITTED);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW + 2), 8);
    ck_assert_int_eq(judge(&other), OUTCOME_REPEATED);
    /* the newer one has replaced the older one under that id */
    ck_assert_int_eq(store_refund(store, ALICE, "draft", NOW + 3), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW + 3), 7);
    ck_assert_int_eq(store_refund(store, ALICE, "draft", NOW + 3), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW + 3), 7);
}
END_TEST

START_TEST(test_refund)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 3, NOW, 1);
    ck_assert_int_eq(store_refund(store, ALICE, "unknown", NOW + 3), 0);
    ck_assert_int_eq(store_refund(store, BOB, "a-1", NOW + 3), 0);
    ck_assert_int_eq(store_refund(store, ALICE, "a-1", NOW + 3), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "a-1", NOW + 3), 0);
    for (size_t i = 0; i < countof(rules_over_time); i++)
        ck_assert_uint_eq(used_of(ALICE, rules_over_time[i], NOW + 3), 2);
    struct message again = message_of(ALICE, "a-1", NOW + 4);
    ck_assert_int_eq(judge(&again), OUTCOME_ADMITTED);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 4), 3);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + DAY_MS), 2);
}
END_TEST

START_TEST(test_refund_in_its_time)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 3, NOW, 1);
    ck_assert_int_eq(store_refund(store, ALICE, "a-0", NOW + DAY_MS), 0);
    ck_assert_int_eq(store_refund(store, ALICE, "a-1", NOW + DAY_MS), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + DAY_MS), 1);
    /* its hour is over, so only the day changes */
    send_messages(BOB, "b", 2, NOW + 10, 0);
    send_messages(BOB, "c", 1, NOW + 10 + HOUR_MS, 0);
    ck_assert_int_eq(store_refund(store, BOB, "b-0", NOW + 11 + HOUR_MS), 1);
    ck_assert_uint_eq(used_of(BOB, RULE_MESSAGES_PER_DAY, NOW + 11 + HOUR_MS), 2);
    ck_assert_uint_eq(used_of(BOB, RULE_MESSAGES_PER_HOUR, NOW + 11 + HOUR_MS), 1);
    ck_assert_uint_eq(used_of(BOB, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 11 + HOUR_MS), 1);
}
END_TEST

/* What was counted before a reset cannot be taken out of what is counted after it. */
START_TEST(test_refund_after_reset)
{
    struct action action = action_at(NOW);
    backend_begin(_i);
    send_messages(ALICE, "a", 2, NOW, 0);
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    send_messages(ALICE, "b", 2, NOW, 0);
    ck_assert_int_eq(store_refund(store, ALICE, "a-0", NOW), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), 2);
    ck_assert_int_eq(store_refund(store, ALICE, "b-0", NOW), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), 1);
    struct message forgotten = message_of(ALICE, "a-1", NOW);
    ck_assert_int_eq(judge(&forgotten), OUTCOME_ADMITTED);
}
END_TEST

/* ---- forecasts ------------------------------------------------------------------------ */

START_TEST(test_histories)
{
    backend_begin(_i);
    for (uint32_t i = 0; i < 3; i++) {
        struct message message =
            message_of(ALICE, arena_printf(arena, "%u", i), NOW + i * HOUR_MS);
        message.request.off_domain = 10 + i;
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
        ck_assert_uint_eq(message.result.histories[SUBJECT_MAILBOX].count, 0);
    }
    struct message over = message_under(RULE_MESSAGES_PER_DAY, 3, "x", NOW + DAY_MS - 1);
    ck_assert_int_eq(judge(&over), OUTCOME_OVER);
    const struct history *history = &over.result.histories[SUBJECT_MAILBOX];
    ck_assert_uint_eq(history->count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_int_eq(history->entries[i].time_ms, NOW + i * HOUR_MS);
        ck_assert_uint_eq(history->entries[i].off_domain, 10 + i);
    }
    ck_assert_uint_eq(over.result.histories[SUBJECT_IP].count, 0);
    struct message rejected = message_of(ALICE, "y", NOW + DAY_MS + HOUR_MS);
    rejected.request.rejected = true;
    ck_assert_int_eq(judge(&rejected), OUTCOME_REJECTED);
    ck_assert_uint_eq(rejected.result.histories[SUBJECT_MAILBOX].count, 1);
}
END_TEST

/* An admitted message gets the history when its window has no room any longer. */
START_TEST(test_histories_of_a_full_window)
{
    backend_begin(_i);
    for (uint32_t i = 0; i < 5; i++) {
        struct message message = message_under(RULE_MESSAGES_PER_DAY, 5,
                                                     arena_printf(arena, "%u", i), NOW + i);
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
        const struct history *history = &message.result.histories[SUBJECT_MAILBOX];
        ck_assert_uint_eq(history->count, i < 4 ? 0 : 5);
        for (uint32_t k = 0; k < history->count; k++)
            ck_assert_int_eq(history->entries[k].time_ms, NOW + k);
    }
    struct message repeated = message_under(RULE_MESSAGES_PER_DAY, 5, "4", NOW + 9);
    ck_assert_int_eq(judge(&repeated), OUTCOME_REPEATED);
    ck_assert_uint_eq(repeated.result.histories[SUBJECT_MAILBOX].count, 5);
    struct message zero = message_under(RULE_OFF_DOMAIN_PER_DAY, 0, "zero", NOW + 9);
    zero.request.mailbox = BOB;
    zero.request.off_domain = 0; /* a window that never has room holds nothing to wait for */
    ck_assert_int_eq(judge(&zero), OUTCOME_ADMITTED);
    ck_assert_uint_eq(zero.result.histories[SUBJECT_MAILBOX].count, 0);
}
END_TEST

/* ---- several at once ----------------------------------------------------------------- */

START_TEST(test_several_in_order)
{
    struct message messages[JUDGE_MAX];
    int results[JUDGE_MAX];
    backend_begin(_i);
    for (int i = 0; i < JUDGE_MAX; i++) {
        messages[i] = message_under(RULE_MESSAGES_PER_DAY, JUDGE_MAX - 2,
                                    arena_printf(arena, "%d", i == 1 ? 0 : i), NOW);
    }
    judge_all(store, messages, results, JUDGE_MAX);
    for (int i = 0; i < JUDGE_MAX; i++) {
        ck_assert_int_eq(results[i], 1);
        ck_assert_int_eq(messages[i].result.outcome, i == 1               ? OUTCOME_REPEATED
                                              : i == JUDGE_MAX - 1 ? OUTCOME_OVER
                                                                   : OUTCOME_ADMITTED);
        ck_assert_uint_eq(messages[i].result.windows[0].used_before, (unsigned)(i > 1 ? i - 1 : i));
    }
}
END_TEST

enum { SIDE_BY_SIDE = 8, BUNDLES = 40, LAST_PLACES = 500 };

struct bundler {
    pthread_t thread;
    int number, bundle; /* messages at once */
    int admitted, over;
};

static void *send_bundles(void *argument)
{
    struct bundler *bundler = argument;
    struct arena *own = arena_new();
    for (int i = 0; i < BUNDLES; i++) {
        struct message messages[JUDGE_MAX];
        int results[JUDGE_MAX];
        for (int j = 0; j < bundler->bundle; j++) {
            messages[j] =
                message_under(RULE_MESSAGES_PER_DAY, LAST_PLACES,
                              arena_printf(own, "%d %d %d", bundler->number, i, j), NOW);
            messages[j].request.arena = own;
            /* each to others: of so many ids two may have one hash */
            messages[j].request.fingerprint =
                (uint64_t)bundler->number << 32 | (uint64_t)i << 16 | (uint64_t)j;
        }
        judge_all(store, messages, results, (size_t)bundler->bundle);
        for (int j = 0; j < bundler->bundle; j++) {
            bundler->admitted += results[j] > 0 && messages[j].result.outcome == OUTCOME_ADMITTED;
            bundler->over += results[j] > 0 && messages[j].result.outcome == OUTCOME_OVER;
        }
    }
    arena_free(&own);
    return NULL;
}

/* Bundles of all sizes meet in the queue; each message is judged once. */
START_TEST(test_bundles_side_by_side)
{
    static const int sizes[] = {1, 64, 3, 63, 1, 17, 40, 2};
    struct bundler senders[SIDE_BY_SIDE];
    int admitted = 0, over = 0, sent = 0;
    backend_begin(_i);
    for (int i = 0; i < SIDE_BY_SIDE; i++) {
        senders[i] = (struct bundler){.number = i, .bundle = sizes[i]};
        ck_assert_int_eq(pthread_create(&senders[i].thread, NULL, send_bundles, &senders[i]), 0);
    }
    for (int i = 0; i < SIDE_BY_SIDE; i++) {
        pthread_join(senders[i].thread, NULL);
        admitted += senders[i].admitted;
        over += senders[i].over;
        sent += sizes[i] * BUNDLES;
    }
    ck_assert_int_eq(admitted, LAST_PLACES);
    ck_assert_int_eq(admitted + over, sent);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), LAST_PLACES);
}
END_TEST

START_TEST(test_several_without_store)
{
    struct message messages[2];
    int results[] = {1, 1};
    backend_begin(_i);
    struct store *nowhere =
        backend_open(_i == BACKEND_SQLITE ? "sqlite:///nonexistent/folder/x.db"
                                    : "redis+unix:///nonexistent/socket", TEST_TIMEOUT_MS);
    for (size_t i = 0; i < countof(messages); i++)
        messages[i] = message_of(ALICE, "id", NOW);
    judge_all(nowhere, messages, results, countof(messages));
    for (size_t i = 0; i < countof(messages); i++)
        ck_assert_int_eq(results[i], -1);
    ck_assert_ptr_ne(strstr(store_error(nowhere), "nonexistent"), NULL);
    store_free(&nowhere);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store");
    TCase *cases = backends_case(suite, "judge");
    tcase_set_tags(cases, "one_thread");
    tcase_add_loop_test(cases, test_channels_of_an_ip, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_forwarding, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_limit, 0, BOTH_ROOMS_ALL_RULES);
    tcase_add_loop_test(cases, test_edges_of_window, 0, BOTH_ROOMS_ALL_RULES);
    tcase_add_loop_test(cases, test_refusal_moves_no_window, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_windows_are_apart, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_long_history, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_time_never_runs_backwards, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_all_or_nothing, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_limits_change, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_without_ip, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_largest_message, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_rejected, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_dry_run, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_observe, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_repeated, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_repeated_while_suspended, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_same_id_other_recipients, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refund, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refund_in_its_time, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refund_after_reset, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_histories, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_histories_of_a_full_window, 0, BACKEND_KINDS);
    TCase *several = backends_case(suite, "several at once");
    tcase_add_loop_test(several, test_several_in_order, 0, BACKEND_KINDS);
    tcase_add_loop_test(several, test_bundles_side_by_side, 0, BACKEND_KINDS);
    tcase_add_loop_test(several, test_several_without_store, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
