/* What a user sees of his own mailbox, and his own lock. */
#include <string.h>

#include "base/json.h"
#include "guard/block_list.h"
#include "guard/spf_block.h"
#include "store/audit.h"
#include "store/store.h"
#include "tests/unit/desk/desk_rig.h"

#define LATER (NOW + HOUR_MS)

START_TEST(unknown_mailbox)
{
    rig_begin(_i, WITH(SMALL, "support.contact=help@example.test"));
    struct json_object *view = view_status("nobody@example.test", 0, NOW);
    check_member(view, "now", "2025-11-22T05:40:00Z");
    check_member(view, "mailbox", "nobody@example.test");
    check_member(view, "state", "ok");
    check_member(view, "headline", "ok");
    check_member(view, "retry_at", "null");
    check_member(view, "suspension", "null");
    check_member(view, "exempt", "false");
    check_member(view, "message", "null");
    check_member(view, "messages", "[]");
    check_member(view, "messages_total", "0");
    check_member(view, "more_messages", "0");
    check_member(view, "contact", "help@example.test");
    check_member(view, "contact_is_mail", "true");
    check_member(view, "can_lock", "true");
    check_member(view, "windows",
                 "[{'rule':'messages_per_day','channel':'webmail','limit':5,'used':0,'left':5,"
                 "'percent':0,'full':false,'window_s':86400,'messages':true,'refill':[]},"
                 "{'rule':'off_domain_per_day','channel':'webmail','limit':20,'used':0,'left':20,"
                 "'percent':0,'full':false,'window_s':86400,'messages':false,'refill':[]}]");
}
END_TEST

START_TEST(budget)
{
    rig_begin(_i, WITH(SMALL));
    send_one("a", 4, NOW);
    send_one("b", 7, NOW + MINUTE_MS);
    send_one("c", 7, NOW + MINUTE_MS);
    struct json_object *view = view_status(ALICE, 0, LATER);
    check_member(view, "state", "ok");
    check_member(view, "windows.0.used", "3");
    check_member(view, "windows.0.left", "2");
    check_member(view, "windows.0.percent", "60");
    check_member(view, "windows.0.refill", "[{'at':'2025-11-23T05:40:00Z','count':1},"
                                           "{'at':'2025-11-23T05:41:00Z','count':2}]");
    check_member(view, "windows.1.used", "18");
    check_member(view, "windows.1.left", "2");
    check_member(view, "windows.1.percent", "90");
    check_member(view, "windows.1.refill", "[{'at':'2025-11-23T05:40:00Z','count':4},"
                                           "{'at':'2025-11-23T05:41:00Z','count':14}]");
    /* gone when it leaves, to the millisecond */
    view = view_status(ALICE, 0, NOW + DAY_MS - 1);
    check_member(view, "windows.1.used", "18");
    view = view_status(ALICE, 0, NOW + DAY_MS);
    check_member(view, "windows.1.used", "14");
    check_member(view, "messages_total", "2");
}
END_TEST

START_TEST(full)
{
    rig_begin(_i, WITH(SMALL));
    for (int i = 0; i < 5; i++)
        send_one(arena_printf(arena, "%d", i), 1, NOW + i * MINUTE_MS);
    struct json_object *view = view_status(ALICE, 0, LATER);
    check_member(view, "state", "full");
    check_member(view, "headline", "full");
    check_member(view, "retry_at", "2025-11-23T05:40:00Z");
    check_member(view, "windows.0.full", "true");
    check_member(view, "windows.0.percent", "100");
    check_member(view, "windows.1.full", "false");
    check_member(view, "can_lock", "true");
}
END_TEST

/* The reader's own messages are told from those of another connection; one that is new, with since
 * when. Where nobody knows who reads, nothing is said. */
START_TEST(whose_connection)
{
    rig_begin(_i, WITH(SMALL));
    const struct submission usual = rig_message("1", 1);
    ck_assert_int_eq(rig_judge(&usual, NOW).kind, VERDICT_ADMIT);
    struct submission other = rig_message("2", 1);
    struct problem problem;
    ck_assert_int_eq(submission_set_ip(&other, "198.51.100.9", 12, &problem), 1);
    ck_assert_int_eq(rig_judge(&other, NOW + 20 * HOUR_MS).kind, VERDICT_ADMIT);
    struct json_object *view =
        VIEW(desk_status(rig_desk(), ALICE, 0, "192.0.2.1", NOW + 20 * HOUR_MS + 1, &made));
    check_member(view, "messages.0.connection", "new");
    check_member(view, "messages.0.network_first_at", "2025-11-23T01:40:00Z");
    check_member(view, "messages.0.id", "2");
    check_member(view, "messages.1.connection", "here");
    check_member(view, "messages.1.network_first_at", "null");
    view = VIEW(desk_status(rig_desk(), ALICE, 0, "203.0.113.1", NOW + 20 * HOUR_MS + 1, &made));
    check_member(view, "messages.1.connection", "new");
    const struct submission again = rig_message("3", 1);
    ck_assert_int_eq(rig_judge(&again, NOW + 25 * HOUR_MS).kind, VERDICT_ADMIT);
    view = VIEW(desk_status(rig_desk(), ALICE, 0, "203.0.113.1", NOW + 25 * HOUR_MS, &made));
    check_member(view, "messages.0.connection", "other");
    check_member(view, "messages.0.network_first_at", "null");
    check_member(view_status(ALICE, 0, NOW + 25 * HOUR_MS), "messages.0.connection", "null");
}
END_TEST

/* Where nothing is refused, the page says as the webmail does that all can be sent. */
START_TEST(full_observed)
{
    rig_begin(_i, WITH(SMALL, "guard.mode=observe"));
    for (int i = 0; i < 6; i++)
        send_one(arena_printf(arena, "%d", i), 1, NOW + i * MINUTE_MS);
    struct submission submission = rig_message("next", 1);
    struct problem problem;
    ck_assert_int_eq(submission_set_zone(&submission, "UTC", 3, &problem), 1);
    freed_by(json_put) struct json_object *shown = json_read(rig_ask(&submission, LATER).shown);
    struct json_object *view = view_status(ALICE, 0, LATER);
    check_member(view, "state", "full");
    check_member(view, "can_send", "all");
    check_member(view, "headline", json_string(shown, "state", "none"));
    check_member(view, "headline", "ok");
}
END_TEST

START_TEST(paused)
{
    rig_begin(_i, WITH(SMALL));
    for (int i = 0; i < 5; i++)
        send_one(arena_printf(arena, "%d", i), 1, NOW + i * MINUTE_MS);
    uint64_t decision = send_one("one too many", 3, NOW + HOUR_MS).decision;
    send_one("again", 1, NOW + HOUR_MS + 1);
    send_one("and again", 2, NOW + HOUR_MS + 2);
    struct json_object *view = view_status(ALICE, decision, NOW + 2 * HOUR_MS);
    check_member(view, "state", "paused");
    check_member(view, "headline", "paused");
    check_member(view, "suspension.cause", "volume");
    check_member(view, "suspension.since", "2025-11-22T06:40:00Z");
    check_member(view, "suspension.until", "2025-11-23T06:40:00Z");
    check_member(view, "suspension.attempts", "2");
    check_member(view, "suspension.retries_before_restart", "10");
    check_member(view, "suspension.attempts_left", "8");
    check_member(view, "suspension.offence", "1");
    check_member(view, "suspension.rule", "messages_per_day");
    ck_assert(!rig_has(rig_member(view, "suspension"), "by"));
    ck_assert(!rig_has(rig_member(view, "suspension"), "note"));
    check_member(view, "message.at", "2025-11-22T06:40:00Z");
    check_member(view, "message.verdict", "suspended");
    check_member(view, "message.recipients", "3");
    check_member(view, "message.off_domain", "3");
    check_member(view, "message.reasons",
                 "[{'rule':'messages_per_day','count':6,'limit':5,'excess':1,"
                 "'never_fits':false}]");
    check_member(view, "messages_total", "5");
    /* over, to the millisecond */
    check_member(view_status(ALICE, 0, NOW + HOUR_MS + DAY_MS - 1), "state", "paused");
    check_member(view_status(ALICE, 0, NOW + HOUR_MS + DAY_MS), "state", "ok");
}
END_TEST

START_TEST(attempts_run_out)
{
    rig_begin(_i, WITH(SMALL, "suspension.retries_before_restart=2"));
    for (int i = 0; i < 9; i++)
        send_one(arena_printf(arena, "%d", i), i < 5 ? 1 : i, NOW + i * MINUTE_MS);
    struct json_object *view = view_status(ALICE, 0, LATER);
    check_member(view, "suspension.attempts", "3");
    check_member(view, "suspension.attempts_left", "0");
    check_member(view, "suspension.until", "2025-11-23T05:48:00Z"); /* moved by the last one */
}
END_TEST

START_TEST(too_big)
{
    rig_begin(_i, WITH(SMALL, "limits.webmail.recipients_per_domain=2",
                       "limits.webmail.recipients_per_field=4"));
    struct submission submission = rig_submission("big");
    for (int i = 0; i < 5; i++)
        rig_add(&submission, FIELD_TO, arena_printf(arena, "r%d@x.test", i));
    uint64_t decision = rig_judge(&submission, NOW).decision;
    struct json_object *view = view_status(ALICE, decision, LATER);
    check_member(view, "state", "ok");
    check_member(view, "headline", "too_big");
    check_member(view, "message.verdict", "message");
    check_member(view, "message.reasons",
                 "[{'rule':'recipients_per_field','field':'to','count':5,'limit':4,'excess':1,"
                 "'never_fits':false},{'rule':'recipients_per_domain','domain':'x.test','count':5,"
                 "'limit':2,'excess':3,'never_fits':false}]");
    check_member(view, "messages", "[]");
}
END_TEST

/* One recipient has had enough: others can be written to. The window is that of the one that was sent
 * most, and no page names it. */
START_TEST(recipients_full)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day_per_recipient=2"));
    struct submission submission = rig_submission("other");
    rig_add(&submission, FIELD_TO, "quiet@x.test");
    ck_assert_int_eq(rig_judge(&submission, NOW).kind, VERDICT_ADMIT);
    uint64_t decision = 0;
    for (int i = 0; i < 3; i++) {
        submission = rig_submission(arena_printf(arena, "%d", i));
        rig_add(&submission, FIELD_TO, "pager@x.test");
        decision = rig_judge(&submission, NOW + i).decision;
    }
    struct json_object *view = view_status(ALICE, decision, LATER);
    check_member(view, "state", "ok");
    check_member(view, "can_send", "all");
    check_member(view, "headline", "recipients_full");
    check_member(view, "message.verdict", "over_time");
    check_member(view, "message.reasons",
                 "[{'rule':'messages_per_day_per_recipient','count':3,'limit':2,'excess':1,"
                 "'never_fits':false}]");
    struct json_object *windows = rig_member(view, "windows");
    struct json_object *window =
        json_object_array_get_idx(windows, json_object_array_length(windows) - 1);
    check_member(window, "rule", "messages_per_day_per_recipient");
    check_member(window, "used", "2");
    check_member(window, "full", "true");
    check_member(window, "refill.0.at", "2025-11-23T05:40:00Z");
    ck_assert_ptr_null(strstr(json_object_to_json_string(view), "pager"));
    view = view_mailbox(ALICE, LATER);
    check_member(view, "next.verdict", "admit");
    ck_assert_ptr_nonnull(strstr(json_object_to_json_string_ext(rig_member(view, "windows"), 0),
                                 "messages_per_day_per_recipient"));
    view = view_decision(decision, LATER);
    ck_assert_ptr_null(strstr(json_object_to_json_string(view), "pager"));
    do_action(&supporter, "{'action':'reset','subject':'" ALICE "','note':'agreed'}", LATER);
    check_member(view_status(ALICE, 0, LATER), "headline", "ok");
    submission = rig_submission("again");
    rig_add(&submission, FIELD_TO, "pager@x.test");
    ck_assert_int_eq(rig_judge(&submission, LATER + 1).kind, VERDICT_ADMIT);
}
END_TEST

static void block_sender(const char *subject)
{
    const struct block_entry entry = {.kind = BLOCK_SENDER, .subject = subject,
                                      .scope = BLOCK_SCOPE_ALL, .reason = "You did not pay",
                                      .by = "ada", .note = "ticket 12", .until_ms = UNTIL_LIFTED};
    const struct action action = {NOW, "ada", "ticket 12"};
    ck_assert_int_eq(block_list_add(store, &entry, 1, &action), 1);
    guard_outdate_blocks(guard);
}

static void unblock_sender(const char *subject)
{
    const struct block_entry entry = {.kind = BLOCK_SENDER, .subject = subject,
                                      .scope = BLOCK_SCOPE_ALL};
    const struct action action = {NOW, "ada", "paid"};
    ck_assert_int_eq(block_list_remove(store, &entry, &action), 1);
}

static struct json_object *status_from(const char *ip, uint64_t decision)
{
    return VIEW(desk_status(rig_desk(), ALICE, decision, ip, LATER, &made));
}

/* Why, in the words of staff, also without a refusal; and no more once it is over. */
START_TEST(sender_blocked)
{
    rig_begin(_i, WITH(SMALL));
    check_member(view_status(ALICE, 0, NOW), "sender_sentence", "null");
    block_sender("@example.test");
    struct json_object *view = view_status(ALICE, 0, NOW);
    check_member(view, "headline", "sender_blocked");
    check_member(view, "sender_sentence", "You did not pay.");
    check_member(view, "can_send", "none");
    check_member(view_status("bob@other.test", 0, NOW), "headline", "ok");
    uint64_t decision = send_one("a", 1, NOW).decision;
    check_member(view_status(ALICE, decision, LATER), "headline", "sender_blocked");
    unblock_sender("@example.test");
    view = view_status(ALICE, decision, LATER);
    check_member(view, "headline", "ok");
    check_member(view, "sender_sentence", "null");
    check_member(view, "message.verdict", "sender_blocked");
    block_sender("203.0.113.0/24");
    check_member(status_from("203.0.113.9", 0), "headline", "sender_blocked");
    check_member(status_from("203.0.114.9", 0), "headline", "ok");
    check_member(status_from(NULL, 0), "headline", "ok");
}
END_TEST

/* The page has a section of its own for it, in its reader's language. */
START_TEST(sender_blocked_for_spf)
{
    freed_by(json_put) struct json_object *kept = json_object_new_object();
    rig_begin(_i, WITH(SMALL));
    json_add_string(kept, "domain", "example.test");
    const struct block_entry entry = spf_block_entry(arena, kept, NOW);
    ck_assert_int_eq(block_list_add(store, &entry, 1, &(struct action){NOW, "guard", "x"}), 1);
    guard_outdate_blocks(guard);
    struct json_object *view = view_status(ALICE, 0, NOW);
    check_member(view, "headline", "sender_blocked");
    check_member(view, "sender_sentence", "null");
    check_member(view, "can_send", "none");
}
END_TEST

/* By staff, of which the settings do not know. */
START_TEST(sender_blocked_exempt)
{
    rig_begin(_i, WITH(SMALL));
    block_sender("@example.test");
    do_action(&admin, "{'action':'exempt','subject':'" ALICE "','note':'n'}", NOW);
    check_member(view_status(ALICE, 0, NOW), "headline", "ok");
    check_member(view_status(ALICE, 0, NOW), "sender_sentence", "null");
    check_member(view_status(ALICE, 0, NOW), "can_send", "all");
}
END_TEST

START_TEST(sender_blocked_observed)
{
    rig_begin(_i, WITH(SMALL, "guard.mode=observe"));
    block_sender(ALICE);
    check_member(view_status(ALICE, 0, NOW), "headline", "ok");
    check_member(view_status(ALICE, 0, NOW), "sender_sentence", "null");
}
END_TEST

/* A message that is deferred; of one that waits nothing is refused. */
START_TEST(unusual_rate)
{
    rig_begin(_i, WITH("unusual.mode=defer", "unusual.new_recipients=3", "unusual.new_domains=0"));
    send_one("a", 1, NOW - 8 * DAY_MS);
    struct submission submission = rig_submission("b");
    rig_add_many(&submission, 4, "stranger", "y.test");
    uint64_t decision = rig_judge(&submission, NOW).decision;
    struct json_object *view = view_status(ALICE, decision, LATER);
    check_member(view, "headline", "unusual");
    check_member(view, "message.verdict", "unusual");
    rig_reload(WITH("unusual.mode=hold", "unusual.new_recipients=3", "unusual.new_domains=0",
                    "mta.webmail_hosts=127.0.0.0/8"));
    submission = rig_submission("c");
    rig_add_many(&submission, 4, "stranger", "y.test");
    decision = rig_judge(&submission, NOW).decision;
    view = view_status(ALICE, decision, LATER);
    check_member(view, "headline", "ok");
    check_member(view, "message.verdict", "held");
}
END_TEST

START_TEST(over_time_headline)
{
    rig_begin(_i, WITH(SMALL));
    uint64_t decision = send_one("never", 21, NOW).decision;
    struct json_object *view = view_status(ALICE, decision, LATER);
    check_member(view, "headline", "split");
    check_member(view, "message.reasons.0.never_fits", "true");
    check_member(view, "message.reasons.0.count", "21");
    decision = send_one("fine", 2, NOW).decision;
    check_member(view_status(ALICE, decision, LATER), "headline", "admitted");
    check_member(view_status(ALICE, decision, LATER), "message.reasons", "[]");
}
END_TEST

/* Nothing of it, not even that there is such a decision. */
START_TEST(decision_of_another)
{
    rig_begin(_i, WITH(SMALL));
    struct submission submission = rig_submission("never");
    rig_mailbox(&submission, BOB);
    rig_add_many(&submission, 21, "r", "x.test");
    uint64_t decision = rig_judge(&submission, NOW).decision;
    struct json_object *with = view_status(ALICE, decision, LATER),
                       *without = view_status(ALICE, 0, LATER),
                       *unknown = view_status(ALICE, decision + 1, LATER);
    ck_assert_str_eq(json_object_to_json_string(with), json_object_to_json_string(without));
    ck_assert_str_eq(json_object_to_json_string(with), json_object_to_json_string(unknown));
    check_member(view_status(BOB, decision, LATER), "headline", "split");
}
END_TEST

START_TEST(messages)
{
    rig_begin(_i, WITH(SMALL));
    uint64_t first = send_one("a", 4, NOW).decision;
    struct submission submission = rig_submission("b");
    submission.ip = "2001:db8:1:2::/64";
    submission.channel = CHANNEL_SMTP;
    rig_add(&submission, FIELD_TO, "x@x.test, y@example.test");
    uint64_t second = rig_judge(&submission, NOW + SECOND_MS).decision;
    send_one("never", 21, NOW + 2 * SECOND_MS); /* refused: fills nothing */
    struct json_object *view = view_status(ALICE, 0, LATER), *expected = json_object_new_object();
    json_add_decision(expected, "first", first);
    json_add_decision(expected, "second", second);
    ck_assert_uint_eq(length_of(view, "messages"), 2);
    check_member(view, "messages.0.at", "2025-11-22T05:40:01Z");
    check_member(view, "messages.0.off_domain", "1");
    check_member(view, "messages.0.recipients", "2");
    check_member(view, "messages.0.channel", "smtp");
    check_member(view, "messages.0.network", "2001:db8:1::/48");
    check_member(view, "messages.0.decision", rig_text(expected, "second"));
    check_member(view, "messages.1.recipients", "4");
    check_member(view, "messages.1.channel", "webmail");
    check_member(view, "messages.1.network", "192.0.2.0/24");
    check_member(view, "messages.1.decision", rig_text(expected, "first"));
    json_put(&expected);
    rig_check_has_not(json_object_to_json_string(view), "192.0.2.1");
    rig_check_has_not(json_object_to_json_string(view), "x.test");
}
END_TEST

/* A message refunded has a record, but fills nothing; one whose record tells nothing counts. */
START_TEST(messages_and_records)
{
    rig_begin(_i, WITH(SMALL));
    send_messages(ALICE, "of another version", 1, NOW, 0);
    send_one("a", 1, NOW + 2 * HOUR_MS);
    send_one("b", 1, NOW + 2 * HOUR_MS);
    ck_assert_int_eq(guard_refund(guard, ALICE, "b", NOW + 2 * HOUR_MS), 1);
    struct json_object *view = view_status(ALICE, 0, NOW + 2 * HOUR_MS + 1);
    ck_assert_uint_eq(length_of(view, "messages"), 2);
    check_member(view, "messages.0.recipients", "1");
    check_member(view, "messages.1.off_domain", "1");
    check_member(view, "messages.1.recipients", "null");
    check_member(view, "messages.1.decision", "null");
}
END_TEST

START_TEST(many_messages)
{
    rig_begin(_i, WITH("limits.webmail.off_domain_per_hour_per_ip=off"));
    rig_send("m", 60, NOW, SECOND_MS);
    for (int i = 0; i < 130; i++) /* refused ones between them and now */
        send_one(arena_printf(arena, "never%d", i), 301, NOW + 2 * MINUTE_MS + i);
    struct json_object *view = view_status(ALICE, 0, LATER);
    check_member(view, "messages_total", "60");
    check_member(view, "more_messages", "10");
    ck_assert_uint_eq(length_of(view, "messages"), 50);
    check_member(view, "messages.0.at", "2025-11-22T05:40:59Z");
    check_member(view, "messages.49.at", "2025-11-22T05:40:10Z");
    check_member(view, "messages.49.recipients", "1");
    ck_assert_uint_eq(length_of(view, "windows.0.refill"), 12);
    int64_t sum = 0;
    for (int i = 0; i < 12; i++)
        sum += json_object_get_int64(
            rig_member(view, arena_printf(arena, "windows.0.refill.%d.count", i)));
    ck_assert_int_eq(sum, 60);
}
END_TEST

START_TEST(exempt)
{
    rig_begin(_i, WITH(SMALL, "exempt.mailbox=" ALICE, "support.contact=https://help.test/a@b"));
    struct json_object *view = view_status(ALICE, 0, NOW);
    check_member(view, "exempt", "true");
    check_member(view, "windows", "[]");
    check_member(view, "state", "ok");
    check_member(view, "contact_is_mail", "false");
    rig_reload(WITH(SMALL));
    check_member(view_status(ALICE, 0, NOW), "contact", "null");
}
END_TEST

/* ---- "That wasn't me" ------------------------------------------------------------- */

static size_t count_actions(void)
{
    struct audit actions[20];
    struct store_page page = {.max = 20};
    ck_assert_int_eq(store_audit(store, 0, actions, &page), 1);
    return page.count;
}

START_TEST(lock)
{
    rig_begin(_i, WITH(SMALL));
    struct json_object *view = VIEW(desk_lock(rig_desk(), ALICE, NOW, &made));
    check_member(view, "state", "stopped");
    check_member(view, "headline", "stopped");
    check_member(view, "suspension.cause", "compromised");
    check_member(view, "suspension.until", "null");
    check_member(view, "suspension.rule", "null");
    check_member(view, "can_lock", "false");
    ck_assert_int_eq(send_one("x", 1, NOW + 1).kind, VERDICT_SUSPENDED);
    view = view_mailbox(ALICE, NOW + 1);
    check_member(view, "suspension.by", "user");
    check_member(view, "timeline.1.action", "suspend");
    check_member(view, "timeline.1.by", "user");
}
END_TEST

/* The lock comes beside it, once, and nobody fills the audit log by clicking. */
START_TEST(lock_of_stopped)
{
    rig_begin(_i, WITH(SMALL));
    do_action(&admin, "{'action':'suspend','subject':'" ALICE "','cause':'terms','for':'permanent',"
                   "'note':'as agreed'}", NOW);
    struct json_object *view = NULL;
    for (int i = 0; i < 6; i++)
        view = VIEW(desk_lock(rig_desk(), ALICE, NOW + i, &made));
    check_member(view, "suspension.cause", "terms");
    check_member(view, "suspensions.1.own_lock", "true");
    check_member(view_mailbox(ALICE, NOW + 9), "suspension.note", "as agreed");
    ck_assert_uint_eq(count_actions(), 2 + 3);
    check_member(view_mailbox(ALICE, NOW + 9), "notes.0.by", "user");
    view = VIEW(desk_lock(rig_desk(), ALICE, NOW + 1 + DAY_MS, &made));
    ck_assert_uint_eq(count_actions(), 2 + 4);
    /* it holds when staff has lifted the other one */
    do_action(&admin, "{'action':'lift','subject':'" ALICE "','cause':'terms','note':'n'}",
              NOW + 2 * DAY_MS);
    check_member(view_status(ALICE, 0, NOW + 2 * DAY_MS), "suspension.own_lock", "true");
}
END_TEST

START_TEST(lock_of_paused)
{
    rig_begin(_i, WITH(SMALL));
    do_action(&admin, "{'action':'suspend','subject':'" ALICE "','for':'1h','note':'for a while'}",
              NOW);
    check_member(view_status(ALICE, 0, NOW), "can_lock", "true");
    struct json_object *view = VIEW(desk_lock(rig_desk(), ALICE, NOW + 1, &made));
    check_member(view, "suspension.cause", "compromised");
    check_member(view, "state", "stopped");
}
END_TEST

/* With a short lock by the settings, the link does not shorten what staff has ordered. */
START_TEST(lock_is_no_way_out)
{
    rig_begin(_i, WITH(SMALL, "suspension.compromised=1h, permanent"));
    struct json_object *view = do_action(
        &admin, "{'action':'suspend','subject':'" ALICE "','for':'30d','note':'for long'}", NOW);
    const char *until = json_string(json_member(view, "suspension"), "until", "");
    view = VIEW(desk_lock(rig_desk(), ALICE, NOW + 1, &made));
    check_member(view, "suspension.cause", "staff");
    check_member(view, "suspension.until", until);
    check_member(view, "suspensions.1.cause", "compromised");
    check_member(view, "suspensions.1.until", "2025-11-22T06:40:01Z");
}
END_TEST

/* With an end by the settings, a second click makes no second offence. */
START_TEST(lock_twice)
{
    rig_begin(_i, WITH(SMALL, "suspension.compromised=1h, permanent"));
    struct json_object *view = VIEW(desk_lock(rig_desk(), ALICE, NOW, &made));
    view = VIEW(desk_lock(rig_desk(), ALICE, NOW + 1, &made));
    check_member(view, "state", "paused");
    check_member(view, "suspension.offence", "1");
    check_member(view, "suspension.until", "2025-11-22T06:40:00Z");
}
END_TEST

START_TEST(store_away)
{
    rig_begin(_i, WITH(SMALL));
    struct store *away = backend_open("redis+unix:///nowhere/redis.sock", 200);
    const struct desk desk = {away, guard, token_key};
    struct json_object *view = NULL;
    ck_assert_int_eq(desk_status(&desk, ALICE, 1, NULL, NOW, &view), -1);
    ck_assert_int_eq(desk_lock(&desk, ALICE, NOW, &view), -1);
    ck_assert_ptr_null(view);
    ck_assert_str_ne(store_error(away), "");
    store_free(&away);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk status");
    TCase *cases = desk_case(suite, "both backends");
    const TTest *const tests[] = {
        unknown_mailbox, budget, full, whose_connection, full_observed, paused, attempts_run_out,
        recipients_full, too_big,
        sender_blocked, sender_blocked_for_spf, sender_blocked_exempt, sender_blocked_observed,
        unusual_rate,
        over_time_headline,
        decision_of_another, messages, messages_and_records, many_messages, exempt, lock,
        lock_of_stopped, lock_of_paused, lock_is_no_way_out, lock_twice, store_away,
    };
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    return backends_run(suite);
}
