/* What became of mail, as the desk tells it: values as the follower of a log writes them, over both
 * stores. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/decision.h"
#include "base/json.h"
#include "guard/delivery.h"
#include "guard/keyed_hash.h"
#include "guard/reference.h"
#include "mail/delivery_counts.h"
#include "mail/kept_open.h"
#include "rules/held.h"
#include "tests/unit/desk/desk_rig.h"

#define SOURCE "mx1 journal"
#define QUEUE_ID "4dD1DN1234z9Kr" /* long: its time is found by queue_id_time */

static struct value_change changes[VALUES_AT_ONCE];
static struct values_done done;
static int64_t until_ms;

static void keep_value(enum value_kind kind, const char *key, const struct text *bytes)
{
    changes[0] = (struct value_change){
        .value = {.kind = kind, .key = key, .bytes = bytes->data, .length = bytes->length,
                  .until_ms = until_ms},
        .replaces = VALUE_ANY};
    ck_assert_int_eq(store_values_change(store, &(struct values_step){.changes = changes, .count = 1,
                                                                      .now_ms = NOW}, &done), 1);
}

static void begin(int backend)
{
    rig_begin(backend, WITH("domains.own_domains=example.test"));
    until_ms = NOW + 30 * DAY_MS;
}

/* The log was read up to that moment. */
static void follow(const char *source, int64_t read_ms)
{
    freed_by(text_free) struct text cursor = {0};
    text_addf(&cursor, "{\"place\":\"p\",\"log_ms\":%lld,\"read_ms\":%lld,\"lines\":40,\"messages\":3,"
              "\"outcomes\":5,\"refunds\":1,\"gaps\":2,\"malformed\":4,\"open\":6}",
              (long long)(read_ms - MINUTE_MS), (long long)read_ms);
    int64_t of_others_ms = until_ms;
    until_ms = UNTIL_LIFTED;
    keep_value(VALUE_CURSOR, source, &cursor);
    until_ms = of_others_ms;
}

static uint64_t say(enum reply_class class, const char *code, const char *site, const char *words)
{
    freed_by(text_free) struct text packed = {0};
    char key[DELIVERY_KEY_SIZE];
    kept_reply_add(&packed, &(struct kept_reply){class, code, site, words});
    uint64_t id = kept_reply_id(packed.data, packed.length);
    delivery_reply_key(key, id);
    keep_value(VALUE_REPLY, key, &packed);
    return id;
}

static struct trace_recipient at(const char *address, uint64_t decision, enum delivery delivery,
                                 enum reply_class class, uint64_t reply)
{
    return (struct trace_recipient){
        .hash = keyed_hash_recipient(&hash_keys, address, decision_time(decision)),
        .delivery = delivery, .class = class, .attempts = 2,
        .first_ms = decision_time(decision) + SECOND_MS,
        .last_ms = decision_time(decision) + MINUTE_MS, .reply = reply};
}

/* Writes a day of a mailbox anew. */
static void keep_trace(const char *mailbox, const char *source, int64_t day,
                       const struct trace_message *messages, size_t count)
{
    freed_by(text_free) struct text packed = {0};
    char key[DELIVERY_KEY_SIZE];
    for (size_t i = 0; i < count; i++)
        trace_add(&packed, day, &messages[i]);
    delivery_trace_key(key, day, mailbox, delivery_source(source), 0);
    keep_value(VALUE_TRACE, key, &packed);
}

static struct trace_message traced_message(uint64_t decision, const char *queue_id,
                                       struct trace_recipient *recipients, size_t count)
{
    struct trace_message message = {.decision = decision, .recipients = recipients,
                                    .recipient_count = count, .expected = (uint32_t)count};
    strcpy(message.queue_id, queue_id);
    return message;
}

/* As the policy service admits it; returns the decision. */
static uint64_t admit(enum channel channel, const char *id, const char *to)
{
    struct submission submission;
    struct problem problem;
    submission_init(&submission, arena, channel);
    ck_assert_int_eq(submission_set_id(&submission, id, strlen(id), &problem), 1);
    rig_mailbox(&submission, ALICE);
    rig_add(&submission, FIELD_TO, to);
    return rig_judge(&submission, NOW).decision;
}

static const char *shown(uint64_t decision)
{
    char text[DECISION_TEXT_SIZE];
    decision_format(decision, text);
    return arena_strdup(arena, text);
}

static struct json_object *view_trace(const char *message, int64_t now_ms)
{
    return VIEW(desk_trace(rig_desk(), message, NULL, now_ms, &made, &fault));
}

static const char *refuse_trace(const char *message, const char *mailbox, int64_t now_ms,
                                int status)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    ck_assert_int_eq(desk_trace(rig_desk(), message, mailbox, now_ms, &view, &problem), 0);
    ck_assert_ptr_null(view);
    ck_assert_int_eq(problem.status, status);
    return arena_strdup(arena, problem.text);
}

/* One message to three: arrived, refused, and nothing known of the third. */
static uint64_t three_recipients(void)
{
    uint64_t decision = admit(CHANNEL_SMTP, "4F0A11/7.0", "good@x.test, nobody@x.test, c@y.test");
    uint64_t ok = say(REPLY_OTHER, "2.0.0", "x.test", "");
    uint64_t no = say(REPLY_ADDRESS_UNKNOWN, "5.1.1", "x.test", "550 no (recipient) here");
    struct trace_recipient recipients[] = {
        at("good@x.test", decision, DELIVERY_DELIVERED, REPLY_GREYLISTED, ok),
        at("nobody@x.test", decision, DELIVERY_FAILED, REPLY_ADDRESS_UNKNOWN, no)};
    struct trace_message message = traced_message(decision, "4F0A11", recipients, 2);
    message.expected = 3;
    message.message_id = keyed_hash_message_id(&hash_keys, "m1@example.test", 15);
    follow(SOURCE, NOW + MINUTE_MS);
    keep_trace(ALICE, SOURCE, NOW / DAY_MS, &message, 1);
    return decision;
}

/* ---- of a message ----------------------------------------------------------------------------------- */

START_TEST(trace)
{
    begin(_i);
    uint64_t decision = three_recipients();
    struct json_object *view = view_trace(shown(decision), NOW + HOUR_MS);
    check_member(view, "state", "traced");
    check_member(view, "decision", shown(decision));
    check_member(view, "queue_id", "4F0A11");
    check_member(view, "mailbox", ALICE);
    check_member(view, "refunded", "false");
    check_member(view, "ended", "false");
    ck_assert_uint_eq(length_of(view, "recipients"), 3);
    check_member(view, "recipients.0.outcome", "delivered");
    ck_assert(!rig_has(rig_member(view, "recipients.0"), "class"));
    ck_assert(!rig_has(rig_member(view, "recipients.0"), "text"));
    check_member(view, "recipients.0.code", "2.0.0");
    check_member(view, "recipients.1.outcome", "failed");
    check_member(view, "recipients.1.class", "address_unknown");
    check_member(view, "recipients.1.code", "5.1.1");
    check_member(view, "recipients.1.site", "x.test");
    check_member(view, "recipients.1.attempts", "2");
    check_member(view, "recipients.1.text", "550 no (recipient) here");
    check_member(view, "recipients.2.outcome", "pending");
    check_member(view, "recipients.2.count", "1");
}
END_TEST

/* Each lack of a trace has its own reason. */
START_TEST(no_trace)
{
    begin(_i);
    uint64_t decision = admit(CHANNEL_SMTP, "4F0A12/7.0", "a@x.test, b@x.test");
    const char *id = shown(decision);
    check_member(view_trace(id, NOW), "state", "not_followed");
    follow(SOURCE, NOW + MINUTE_MS);
    struct json_object *waiting = view_trace(id, NOW + MINUTE_MS);
    check_member(waiting, "state", "waiting");
    check_member(waiting, "recipients.0.outcome", "pending");
    check_member(waiting, "recipients.0.count", "2");
    check_member(waiting, "queue_id", "4F0A12");
    follow(SOURCE, NOW + HOUR_MS);
    check_member(view_trace(id, NOW + HOUR_MS), "state", "unseen");
    follow("mx2 journal", NOW + MINUTE_MS); /* this one may have it */
    check_member(view_trace(id, NOW + HOUR_MS), "state", "waiting");
    rig_check_has(refuse_trace(shown(decision + 1), NULL, NOW, 404), "there is no message");
    rig_check_has(refuse_trace(shown(decision_floor(NOW - 3 * DAY_MS)), NULL, NOW, 404),
                  "not kept any longer");
    refuse_trace("what?", NULL, NOW, 400);
    refuse_trace("", NULL, NOW, 400);
    refuse_trace(NULL, NULL, NOW, 400);
    refuse_trace(id, "not a mailbox", NOW, 400);
    refuse_trace(id, BOB, NOW, 404); /* it is another's */
}
END_TEST

START_TEST(refused_and_forwarded)
{
    begin(_i);
    rig_reload(WITH("limits.smtp.recipients_per_message=1"));
    follow(SOURCE, NOW);
    uint64_t refused = admit(CHANNEL_SMTP, "4F0A13/7.0", "a@x.test, b@x.test");
    uint64_t forwarded = admit(CHANNEL_FORWARDING, "4F0A14/7.0", "a@x.test");
    check_member(view_trace(shown(refused), NOW), "state", "refused");
    check_member(view_trace(shown(forwarded), NOW), "state", "forwarding");
}
END_TEST

/* The webmail knows its Message-ID, the mail server's decision has the trace. */
START_TEST(of_the_webmail)
{
    begin(_i);
    uint64_t webmail = admit(CHANNEL_WEBMAIL, "<m1@example.test>.0123abcd", "good@x.test");
    uint64_t plain = admit(CHANNEL_WEBMAIL, "<m2@example.test>", "good@x.test");
    uint64_t traced = three_recipients();
    struct json_object *view = view_trace(shown(webmail), NOW);
    check_member(view, "decision", shown(traced));
    check_member(view, "webmail_decision", shown(webmail));
    check_member(view_trace(shown(plain), NOW), "state", "waiting");
    struct trace_message message = traced_message(traced, "4F0A11", NULL, 0);
    message.message_id = keyed_hash_message_id(&hash_keys, "m2@example.test", 15);
    message.ended = message.refunded = message.silent = true;
    message.expected = 1;
    keep_trace(ALICE, SOURCE, NOW / DAY_MS + 1, &message, 1); /* after midnight */
    view = view_trace(shown(plain), NOW);
    check_member(view, "refunded", "true");
    check_member(view, "silent", "true");
    check_member(view, "recipients.0.outcome", "discarded");
    struct desk desk = *rig_desk();
    struct problem problem = {0};
    desk.key = NULL;
    ck_assert_int_eq(desk_trace(&desk, shown(webmail), NULL, NOW, &view, &problem), 0);
    ck_assert_int_eq(problem.status, 409);
}
END_TEST

START_TEST(by_queue_id)
{
    begin(_i);
    freed_by(text_free) struct text packed = {0};
    char key[DELIVERY_KEY_SIZE];
    uint64_t decision = three_recipients();
    rig_check_has(refuse_trace("4F0A11", NULL, NOW, 404), "a short id does not lead to it");
    kept_open_add(&packed, &(struct kept_open){.mailbox = ALICE, .decision = decision, .seen_ms = NOW});
    delivery_open_key(key, delivery_source(SOURCE), "4F0A11");
    keep_value(VALUE_OPEN, key, &packed);
    check_member(view_trace("4F0A11", NOW), "decision", shown(decision));
    text_clear(&packed);
    kept_open_add(&packed, &(struct kept_open){.seen_ms = NOW}); /* nobody knows whose yet */
    keep_value(VALUE_OPEN, key, &packed);
    refuse_trace("4F0A11", NULL, NOW, 404);
}
END_TEST

/* Long ids tell their time, which leads to the record. */
START_TEST(by_long_queue_id)
{
    int64_t time_us;
    begin(_i);
    ck_assert_int_eq(queue_id_time(QUEUE_ID, strlen(QUEUE_ID), &time_us), 1);
    int64_t now_ms = time_us / 1000 + 3 * SECOND_MS;
    for (int i = 0; i < 150; i++) { /* more than a page of others */
        struct submission submission;
        struct problem problem;
        submission_init(&submission, arena, CHANNEL_SMTP);
        const char *id = i == 120 ? QUEUE_ID "/1.0" : arena_printf(arena, "4F%04X/1.0", i);
        ck_assert_int_eq(submission_set_id(&submission, id, strlen(id), &problem), 1);
        rig_mailbox(&submission, arena_printf(arena, "m%d@example.test", i));
        rig_add(&submission, FIELD_TO, "a@x.test");
        rig_judge(&submission, now_ms + i);
    }
    follow(SOURCE, now_ms);
    struct json_object *view = view_trace(QUEUE_ID, now_ms + SECOND_MS);
    check_member(view, "mailbox", "m120@example.test");
    check_member(view, "state", "waiting");
    check_member(view, "queue_id", QUEUE_ID);
    rig_check_has(refuse_trace(QUEUE_ID, NULL, now_ms + 3 * DAY_MS, 404), "not kept any longer");
    rig_check_has(refuse_trace("4dD1DN1234z9Ks", NULL, now_ms + SECOND_MS, 404),
                  "no admitted message");
}
END_TEST

/* What came back in a complaint, while the record is kept and later; a short queue id comes again. */
START_TEST(by_reference)
{
    begin(_i);
    uint64_t decision = three_recipients();
    const struct token_key *key = rig_desk()->key;
    const char *text = reference_make(key, arena, &(struct reference){NOW - SECOND_MS, "4F0A11", ALICE});
    check_member(view_trace(text, NOW), "decision", shown(decision));
    struct json_object *view = view_trace(text, NOW + 5 * DAY_MS);
    check_member(view, "decision", shown(decision));
    check_member(view, "recipients.1.class", "address_unknown");
    rig_check_has(refuse_trace(text, "bob@example.test", NOW, 404), "another mailbox");
    rig_check_has(refuse_trace(text, NULL, NOW + 31 * DAY_MS, 404), "not kept any longer");
    const char *again = reference_make(key, arena, &(struct reference){NOW + HOUR_MS, "4F0A11", ALICE});
    rig_check_has(refuse_trace(again, NULL, NOW + 5 * DAY_MS, 404), "not kept any longer");
    char *changed = arena_strdup(arena, text);
    changed[40] = changed[40] == 'A' ? 'B' : 'A';
    rig_check_has(refuse_trace(changed, NULL, NOW, 400), "no reference that was given here");
}
END_TEST

/* The record is gone after a day or two, the trace is there for ten. */
START_TEST(by_mailbox)
{
    begin(_i);
    const char *id = shown(three_recipients());
    int64_t later_ms = NOW + 5 * DAY_MS;
    rig_check_has(refuse_trace(id, NULL, later_ms, 404), "not kept any longer");
    struct json_object *view =
        VIEW(desk_trace(rig_desk(), id, "Alice@Example.test", later_ms, &made, &fault));
    check_member(view, "recipients.1.class", "address_unknown");
    rig_check_has(refuse_trace(id, ALICE, NOW + 31 * DAY_MS, 404), "not kept any longer");
}
END_TEST

/* ---- of a mailbox ----------------------------------------------------------------------------------- */

START_TEST(of_a_mailbox)
{
    enum { COUNT = 60 };
    static struct trace_message messages[COUNT];
    static struct trace_recipient recipients[COUNT];
    begin(_i);
    struct json_object *view = VIEW(desk_delivery(rig_desk(), ALICE, NULL, NOW, &made, &fault));
    check_member(view, "followed", "false");
    check_member(view, "sums.messages", "0");
    uint64_t full = say(REPLY_MAILBOX_FULL, "4.2.2", "y.test", "452 full");
    uint64_t ok = say(REPLY_OTHER, "2.0.0", "x.test", "");
    int64_t midnight_ms = NOW / DAY_MS * DAY_MS;
    for (int i = 0; i < COUNT; i++) {
        uint64_t decision = decision_floor(midnight_ms + i * SECOND_MS);
        recipients[i] = i < 10 ? at("f@y.test", decision, DELIVERY_DEFERRED, REPLY_MAILBOX_FULL, full)
                               : at("g@x.test", decision, DELIVERY_DELIVERED, REPLY_OTHER, ok);
        messages[i] = traced_message(decision, "4F0A15", &recipients[i], 1);
    }
    follow(SOURCE, NOW);
    follow("mx2 journal", NOW);
    keep_trace(ALICE, SOURCE, NOW / DAY_MS, messages, COUNT - 1);
    keep_trace(ALICE, "mx2 journal", NOW / DAY_MS, messages + COUNT - 1, 1);
    view = VIEW(desk_delivery(rig_desk(), ALICE, "", NOW, &made, &fault));
    check_member(view, "followed", "true");
    check_member(view, "sums.messages", "60");
    check_member(view, "sums.outcomes.delivered", "50");
    check_member(view, "sums.outcomes.deferred", "10");
    check_member(view, "sums.classes", "[{'class':'mailbox_full','recipients':10}]");
    check_member(view, "sums.destinations.0.site", "x.test");
    check_member(view, "sums.destinations.0.delivered", "50");
    check_member(view, "sums.destinations.1.site", "y.test");
    ck_assert_uint_eq(length_of(view, "sums.destinations"), 2);
    ck_assert_uint_eq(length_of(view, "messages"), 50);
    check_member(view, "messages.0.decision", shown(messages[COUNT - 1].decision));
    view = VIEW(desk_delivery(rig_desk(), ALICE, rig_text(view, "older"), NOW, &made, &fault));
    ck_assert_uint_eq(length_of(view, "messages"), 10);
    check_member(view, "messages.0.decision", shown(messages[9].decision));
    check_member(view, "older", "null");
    check_member(view, "sums.messages", "60");
}
END_TEST

/* A message that waits for the postmaster, one that he lets be deleted, and one that was tried before that. */
START_TEST(on_hold)
{
    begin(_i);
    freed_by(text_free) struct text held = {0};
    const struct unusual unusual = {.new_recipients = 41, .action = UNUSUAL_HOLD};
    struct trace_recipient tried[1];
    struct trace_message messages[2];
    struct problem problem = {0};
    for (size_t i = 0; i < countof(messages); i++) {
        uint64_t decision = decision_floor(NOW - HOUR_MS + (int64_t)i);
        const struct held_message message = {decision, 1, "4F0A15"};
        tried[0] = at("a@x.test", decision, DELIVERY_DEFERRED, REPLY_MAILBOX_FULL, 0);
        messages[i] = traced_message(decision, "4F0A15", tried, i);
        messages[i].expected = 0;
        held_add(&held, &unusual, NOW - HOUR_MS, &message, 0);
    }
    keep_value(VALUE_HELD, ALICE, &held);
    follow(SOURCE, NOW);
    keep_trace(ALICE, SOURCE, NOW / DAY_MS, messages, countof(messages));
    struct json_object *view = VIEW(desk_delivery(rig_desk(), ALICE, "", NOW, &made, &fault));
    check_member(view, "messages.0.hold", "null");
    check_member(view, "messages.1.hold", "waits");
    view = VIEW(desk_trace(rig_desk(), shown(messages[0].decision), ALICE, NOW, &made, &fault));
    check_member(view, "hold", "waits");
    view = VIEW(desk_status(rig_desk(), ALICE, 0, NULL, NOW, &made));
    check_member(view, "held.count", "2");
    check_member(view, "rejected", "null");
    (void)VIEW(desk_held_act(rig_desk(), &supporter, ALICE,
                             words_of("{'action':'reject','note':'x','by_hand':true,'seen':'2'}"),
                             false, NOW, &made, &problem));
    messages[0].ended = true;
    keep_trace(ALICE, SOURCE, NOW / DAY_MS, messages, countof(messages));
    view = VIEW(desk_delivery(rig_desk(), ALICE, "", NOW, &made, &fault));
    check_member(view, "messages.0.hold", "null");
    check_member(view, "messages.1.hold", "deleted");
    view = VIEW(desk_status(rig_desk(), ALICE, 0, NULL, NOW, &made));
    check_member(view, "held", "null");
    check_member(view, "rejected.count", "2");
}
END_TEST

START_TEST(of_a_domain)
{
    static struct delivery_counts counts;
    char key[DELIVERY_KEY_SIZE];
    begin(_i);
    follow(SOURCE, NOW);
    follow("mx2 journal", NOW);
    const struct counted_as nothing = {.delivery = DELIVERY_PENDING, .site = ""};
    for (int64_t ago = 0; ago <= 11; ago++) {
        freed_by(text_free) struct text packed = {0};
        counts.messages++;
        delivery_counts_move(&counts, &nothing,
                             &(struct counted_as){DELIVERY_FAILED, REPLY_TOO_BIG, "x.test"});
        delivery_counts_add(&packed, &counts);
        delivery_domain_key(key, NOW / DAY_MS - ago, "example.test",
                            delivery_source(ago == 1 ? "mx2 journal" : SOURCE));
        keep_value(VALUE_DOMAIN, key, &packed);
    }
    struct json_object *view =
        VIEW(desk_delivery_domain(rig_desk(), "@Example.test", NOW, &made, &fault));
    check_member(view, "domain", "example.test");
    ck_assert_uint_eq(length_of(view, "by_day"), 11);
    check_member(view, "by_day.1.messages", "2");
    check_member(view, "by_day.1.failed", "2");
    check_member(view, "sums.messages", "66"); /* 1 + 2 + … + 11 */
    check_member(view, "sums.classes", "[{'class':'too_big','recipients':66}]");
    check_member(view, "sums.destinations.0.failed", "66");
    view = VIEW(desk_delivery_domain(rig_desk(), "other.test", NOW, &made, &fault));
    check_member(view, "sums.messages", "0");
}
END_TEST

/* ---- addresses ---------------------------------------------------------------------------------------- */

static struct json_object *ask_addresses(const char *mailbox, const char *request)
{
    return VIEW(desk_delivery_addresses(rig_desk(), mailbox, words_of(request), NOW, &made, &fault));
}

START_TEST(addresses)
{
    begin(_i);
    three_recipients();
    struct json_object *view = ask_addresses(
        ALICE, "{'recipients':['Nobody@X.test','nobody@x.test','good@x.test','c@y.test','c']}");
    ck_assert_uint_eq(length_of(view, "messages"), 0);
    check_member(view, "recipients.0.address", "Nobody@X.test");
    check_member(view, "recipients.0.outcome", "failed");
    check_member(view, "recipients.0.class", "address_unknown");
    check_member(view, "recipients.1.outcome", "failed");
    check_member(view, "recipients.1.text", "550 no (recipient) here");
    check_member(view, "recipients.2.outcome", "delivered");
    check_member(view, "recipients.3", "{'address':'c@y.test','outcome':null}");
    check_member(view, "recipients.4", "{'address':'c','outcome':null,'no_address':true}");
    /* of one message: who is not known yet may still be one of it */
    view = ask_addresses(ALICE, "{'message_id':'<m1@example.test>','recipients':['c@y.test']}");
    ck_assert_uint_eq(length_of(view, "messages"), 1);
    check_member(view, "recipients.0.outcome", "pending");
    view = ask_addresses(ALICE, "{'message_id':'<m2@example.test>','recipients':['good@x.test']}");
    ck_assert_uint_eq(length_of(view, "messages"), 0);
    check_member(view, "recipients.0.outcome", "null");
    /* and never another mailbox's */
    view = ask_addresses(BOB, "{'message_id':'<m1@example.test>','recipients':['good@x.test']}");
    ck_assert_uint_eq(length_of(view, "messages"), 0);
    check_member(view, "recipients.0.outcome", "null");
}
END_TEST

/* In many parts of a day, all with one Message-ID, as their sender may choose it. What it takes grows
 * with the number of messages, not with its square. */
START_TEST(of_a_busy_mailbox)
{
    enum { PARTS = 400, OF_A_PART = 100, MEMORY_MAX_KB = 250 * 1024 };
    struct rusage before, after;
    uint64_t decision = 0;
    char key[DELIVERY_KEY_SIZE];
    begin(_i);
    follow(SOURCE, NOW);
    for (uint32_t part = 0; part < PARTS; part++) {
        freed_by(text_free) struct text packed = {0};
        for (int i = 0; i < OF_A_PART; i++) {
            decision = decision_floor(NOW / DAY_MS * DAY_MS + (int64_t)part * SECOND_MS + i);
            struct trace_recipient recipient = at(part == 0 ? "first@x.test" : "b@x.test", decision,
                                                  DELIVERY_DELIVERED, REPLY_OTHER, 0);
            struct trace_message message = traced_message(decision, "4F0A15", &recipient, 1);
            message.message_id = keyed_hash_message_id(&hash_keys, "m1@x.test", 9);
            trace_add(&packed, NOW / DAY_MS, &message);
        }
        delivery_trace_key(key, NOW / DAY_MS, ALICE, delivery_source(SOURCE), part);
        keep_value(VALUE_TRACE, key, &packed);
    }
    getrusage(RUSAGE_SELF, &before);
    struct json_object *view = VIEW(desk_delivery(rig_desk(), ALICE, "", NOW, &made, &fault));
    check_member(view, "sums.messages", "40000");
    check_member(view, "messages.0.decision", shown(decision));
    ck_assert_uint_eq(length_of(view, "messages"), DESK_PAGE);
    view = ask_addresses(ALICE, "{'message_id':'<m1@x.test>','recipients':['first@x.test']}");
    check_member(view, "recipients.0.outcome", "delivered");
    check_member(view, "messages.0.decision", shown(decision));
    ck_assert_uint_eq(length_of(view, "messages"), DESK_PAGE);
    getrusage(RUSAGE_SELF, &after);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, MEMORY_MAX_KB);
}
END_TEST

/* The key changes with the year, and the newest outcome is told. */
START_TEST(addresses_of_last_year)
{
    begin(_i);
    int64_t now_ms = INT64_C(1798934400000); /* 2027-01-03 */
    until_ms = UNTIL_LIFTED;
    uint64_t before = decision_floor(now_ms - 5 * DAY_MS), after = decision_floor(now_ms - DAY_MS);
    uint64_t no = say(REPLY_ADDRESS_UNKNOWN, "5.1.1", "x.test", "550 no");
    struct trace_recipient old = at("a@x.test", before, DELIVERY_FAILED, REPLY_ADDRESS_UNKNOWN, no);
    struct trace_recipient new = at("b@x.test", after, DELIVERY_DELIVERED, REPLY_OTHER, 0);
    struct trace_recipient both[] = {at("b@x.test", before, DELIVERY_FAILED, REPLY_OTHER, no), old};
    follow(SOURCE, NOW);
    struct trace_message messages[] = {traced_message(before, "4F0A16", both, 2),
                                       traced_message(after, "4F0A17", &new, 1)};
    keep_trace(ALICE, SOURCE, trace_day(before), &messages[0], 1);
    keep_trace(ALICE, SOURCE, trace_day(after), &messages[1], 1);
    struct json_object *view =
        VIEW(desk_delivery_addresses(rig_desk(), ALICE, words_of("{'recipients':['a@x.test','b@x.test']}"),
                                     now_ms, &made, &fault));
    check_member(view, "recipients.0.outcome", "failed");
    check_member(view, "recipients.1.outcome", "delivered");
}
END_TEST

static void refuse_addresses(const char *request, const char *where)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    ck_assert_int_eq(desk_delivery_addresses(rig_desk(), ALICE, words_of(request), NOW, &view,
                                             &problem), 0);
    ck_assert_str_eq(problem.where, where);
    ck_assert_int_eq(problem.status, 400);
}

START_TEST(wrong_addresses)
{
    begin(_i);
    refuse_addresses("{'recipients':'a@x.test'}", "recipients");
    refuse_addresses("{'recipients':[1]}", "recipients");
    refuse_addresses("{'recipients':['a@x.test',null]}", "recipients");
    refuse_addresses("{'message_id':7}", "message_id");
    refuse_addresses("{'message_id':''}", "message_id");
    freed_by(text_free) struct text many = {0};
    text_add(&many, "{'recipients':['a@x.test'");
    for (int i = 1; i < DESK_ADDRESSES_MAX; i++)
        text_add(&many, ",'a@x.test'");
    const char *most = arena_printf(arena, "%s]}", text_string(&many));
    ck_assert_uint_eq(length_of(ask_addresses(ALICE, most), "recipients"), DESK_ADDRESSES_MAX);
    text_add(&many, ",'a@x.test']}");
    refuse_addresses(text_string(&many), "recipients");
    ck_assert_uint_eq(length_of(ask_addresses(ALICE, "{}"), "recipients"), 0);
}
END_TEST

/* ---- the logs ------------------------------------------------------------------------------------------- */

START_TEST(feedback)
{
    begin(_i);
    struct json_object *view = VIEW(desk_feedback(rig_desk(), NOW, &made));
    ck_assert_uint_eq(length_of(view, "sources"), 0);
    follow(SOURCE, NOW - 7 * SECOND_MS);
    view = VIEW(desk_feedback(rig_desk(), NOW, &made));
    check_member(view, "sources.0.source", SOURCE);
    check_member(view, "sources.0.lag_s", "7");
    check_member(view, "sources.0.gaps", "2");
    check_member(view, "sources.0.lines", "40");
    check_member(view, "sources.0.messages", "3");
    check_member(view, "sources.0.outcomes", "5");
    check_member(view, "sources.0.refunds", "1");
    check_member(view, "sources.0.malformed", "4");
    check_member(view, "sources.0.open", "6");
    follow("mx0 journal", NOW - SECOND_MS);
    follow("mx2 journal", NOW - SECOND_MS);
    view = VIEW(desk_feedback(rig_desk(), NOW, &made)); /* the one behind is told */
    ck_assert_uint_eq(length_of(view, "sources"), 3);
    check_member(view, "source", SOURCE);
    check_member(view, "lag_s", "7");
    check_member(view, "gaps", "2");
}
END_TEST

static int forget(const char *source, int64_t now_ms, struct problem *problem)
{
    const struct action action = {now_ms, "ada", "out of service"};
    int answer = desk_feedback_forget(rig_desk(), source, &action, problem);
    ck_assert_msg(answer >= 0, "%s", store_error(store));
    return answer;
}

/* It is no log any more that is behind, and its traces stay; who follows it after all brings it
 * back. */
START_TEST(forgotten)
{
    struct problem problem = {0};
    struct audit audit;
    struct store_page page = {.max = 1};
    struct delivery_sources sources;
    begin(_i);
    follow(SOURCE, NOW);
    follow("mx0 journal", NOW - 9 * MINUTE_MS);
    ck_assert_int_eq(forget("mx3 journal", NOW, &problem), 0);
    ck_assert_int_eq(problem.status, 404);
    ck_assert_int_eq(forget("mx0 journal", NOW, &problem), 0);
    ck_assert_int_eq(problem.status, 409);
    ck_assert_int_eq(store_audit_newest(store, NULL, INT64_MAX, &audit, &page), 1);
    ck_assert_uint_eq(page.count, 0);
    ck_assert_int_eq(forget("mx0 journal", NOW + MINUTE_MS, &problem), 1);
    struct json_object *view = VIEW(desk_feedback(rig_desk(), NOW, &made));
    ck_assert_uint_eq(length_of(view, "sources"), 1);
    check_member(view, "source", SOURCE);
    ck_assert_int_eq(delivery_sources(store, arena, NOW + 11 * DAY_MS, &sources), 1);
    ck_assert_uint_eq(sources.count, 2);
    ck_assert_int_eq(delivery_sources(store, arena, NOW + 13 * DAY_MS, &sources), 1);
    ck_assert_uint_eq(sources.count, 1);
    ck_assert_int_eq(store_audit_newest(store, "mx0 journal", INT64_MAX, &audit, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_str_eq(audit.action, "feedback_forget");
    ck_assert_str_eq(audit.note, "out of service");
    follow("mx0 journal", NOW + 2 * MINUTE_MS);
    view = VIEW(desk_feedback(rig_desk(), NOW, &made));
    check_member(view, "sources.0.source", "mx0 journal");
}
END_TEST

/* Every class has words, and no two the same. */
START_TEST(words)
{
    static const char *const languages[] = {"en", "de", "fr", "es"};
    begin(BACKEND_SQLITE);
    freed_by(catalogue_free) struct catalogue *catalogue = rig_catalogue();
    const char *texts[2 * REPLY_CLASS_COUNT];
    size_t count = 0;
    for (int i = 0; i < REPLY_CLASS_COUNT; i++) {
        struct json_object *view = keep_view(json_object_new_array());
        struct json_object *one = json_object_new_object();
        json_add_string(one, "class", reply_class_names[i]);
        json_object_array_add(view, one);
        ck_assert_int_eq(catalogue_has_own(catalogue, languages[_i],
                                           arena_printf(arena, "delivery.title.%s",
                                                        reply_class_names[i])), 1);
        desk_delivery_add_words(view, catalogue, arena, languages[_i]);
        texts[count++] = rig_text(one, "title");
        texts[count++] = rig_text(one, "advice");
        ck_assert_uint_lt(strlen(texts[count - 2]), 60);
        for (size_t j = 0; j + 1 < count; j++)
            for (size_t k = j + 1; k < count; k++)
                ck_assert_str_ne(texts[j], texts[k]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk delivery");
    TCase *cases = desk_case(suite, "both backends");
    const TTest *const tests[] = {trace, no_trace, refused_and_forwarded, of_the_webmail, by_queue_id, by_long_queue_id, by_reference, by_mailbox, of_a_mailbox, of_a_busy_mailbox, on_hold, of_a_domain, addresses, addresses_of_last_year, wrong_addresses, feedback, forgotten};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, words, 0, 4);
    return backends_run(suite);
}
