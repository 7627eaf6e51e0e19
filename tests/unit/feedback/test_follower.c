/* From lines of a mail server's log to what became of admitted messages, over both stores. */
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "feedback/deliveries.h"
#include "feedback/follower.h"
#include "guard/delivery.h"
#include "guard/keyed_hash.h"
#include "mail/delivery_counts.h"
#include "mail/known_recipients.h"
#include "rules/failure_window.h"
#include "store/records.h"
#include "tests/unit/guard/guard_rig.h"

#define SOURCE "mx1 journal"

static struct follower *follower;
static int64_t at_ms; /* of the next line */
static int64_t behind_ms; /* so much later it is read */

static struct snapshot *snapshot;

static void begin_follower(void)
{
    ck_assert_int_eq(follower_new(store, token_key, SOURCE, at_ms, &follower), 1);
    if (snapshot != NULL)
        follower_set_settings(follower, snapshot_settings(snapshot));
}

static void begin(int backend)
{
    rig_begin(backend, WITH("domains.own_domains=example.test another.test",
                            "exempt.mailbox=free@example.test"));
    snapshot = guard_snapshot(guard);
    at_ms = NOW;
    behind_ms = 0;
    begin_follower();
}

static void end(void)
{
    follower_free(&follower);
    snapshot_release(&snapshot);
}

/* As if the program had ended here: only what was written is known. */
static void restart(void)
{
    follower_free(&follower);
    begin_follower();
}

/* ---- the log and the messages ----------------------------------------------------------------------- */

static void line(const char *program, const char *format, ...) printf_like(2, 3);
static void line(const char *program, const char *format, ...)
{
    char body[2000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(body, sizeof body, format, arguments);
    va_end(arguments);
    const struct mail_log_line one = {.stamp_us = at_ms * 1000,
                                      .program = {program, strlen(program)},
                                      .body = {body, strlen(body)},
                                      .count = 1};
    int answer;
    while ((answer = follower_line(follower, &one, at_ms + behind_ms)) == 0)
        at_ms += FOLLOWER_AGAIN_MS;
    ck_assert_int_eq(answer, 1);
    at_ms += 10;
}

static void write_down(void)
{
    ck_assert_int_eq(follower_write(follower, "place", at_ms), 1);
}

/* Judged as the policy service does it; `host`: it comes from the webmail's host. */
static int instances;
static struct verdict ask(const char *queue_id, const char *mailbox, bool host)
{
    struct submission submission;
    struct problem problem;
    submission_init(&submission, arena, CHANNEL_SMTP);
    const char *id = arena_printf(arena, "%s/%d.0", queue_id, instances++);
    ck_assert_int_eq(submission_set_id(&submission, id, strlen(id), &problem), 1);
    rig_mailbox(&submission, mailbox);
    rig_add(&submission, FIELD_TO, "b@x.test");
    submission.webmail_host = host;
    struct verdict verdict = rig_judge(&submission, at_ms);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    return verdict;
}

static uint64_t admit(const char *queue_id, const char *mailbox)
{
    return ask(queue_id, mailbox, false).decision;
}

/* The webmail endpoint admits a message, and the policy service redeems its ticket. */
static uint64_t redeem(const char *queue_id, const char *id)
{
    struct submission submission = rig_message(id, 1);
    ck_assert_int_eq(rig_judge(&submission, at_ms).kind, VERDICT_ADMIT);
    struct verdict verdict = ask(queue_id, ALICE, true);
    ck_assert(verdict.redeemed);
    return verdict.decision;
}

static void client(const char *queue_id, const char *user)
{
    line("smtpd", "%s: client=unknown[192.0.2.7], sasl_method=PLAIN, sasl_username=%s", queue_id,
         user);
}

static void message_id(const char *queue_id)
{
    line("cleanup", "%s: message-id=<%s@example.test>", queue_id, queue_id);
}

static void queued(const char *queue_id, int recipients)
{
    line("qmgr", "%s: from=<alice@example.test>, size=363, nrcpt=%d (queue active)", queue_id,
         recipients);
}

static void removed(const char *queue_id) { line("qmgr", "%s: removed", queue_id); }

static void outcome(const char *queue_id, const char *to, const char *dsn, const char *status)
{
    line("smtp", "%s: to=<%s>, relay=mx.site.test[192.0.2.25]:25, delay=0.1, "
         "delays=0.01/0.01/0.04/0.05, dsn=%s, status=%s (host mx.site.test[192.0.2.25] said: %c50 %s "
         "words (in reply to RCPT TO command))", queue_id, to, dsn, status, dsn[0], dsn);
}

static void sent(const char *queue_id, const char *to)
{
    line("smtp", "%s: to=<%s>, relay=mx.site.test[192.0.2.25]:25, delay=0.1, "
         "delays=0.01/0.01/0.04/0.05, dsn=2.0.0, status=sent (250 2.0.0 OK)", queue_id, to);
}

/* From the connection to the queue. */
static uint64_t hand_in(const char *queue_id, int recipients)
{
    client(queue_id, ALICE);
    message_id(queue_id);
    uint64_t decision = admit(queue_id, ALICE);
    queued(queue_id, recipients);
    return decision;
}

/* ---- what is kept --------------------------------------------------------------------------------- */

static struct trace_message *messages_of(const char *mailbox, size_t *count_r)
{
    struct delivery_sources sources;
    struct trace_message *messages = NULL;
    ck_assert_int_eq(delivery_sources(store, arena, at_ms, &sources), 1);
    ck_assert_int_eq(delivery_messages(store, arena, &sources, mailbox, NOW / DAY_MS, at_ms,
                                       &messages, count_r), 1);
    return messages;
}

static const struct trace_message *traced(uint64_t decision)
{
    size_t count;
    const struct trace_message *messages = messages_of(ALICE, &count);
    for (size_t i = 0; i < count; i++)
        if (messages[i].decision == decision)
            return &messages[i];
    return NULL;
}

static const struct trace_recipient *recipient_of(uint64_t decision, const char *address)
{
    const struct trace_message *message = traced(decision);
    uint64_t hash = keyed_hash_recipient(&hash_keys, address, decision_time(decision));
    ck_assert_ptr_nonnull(message);
    for (size_t i = 0; i < message->recipient_count; i++)
        if (message->recipients[i].hash == hash)
            return &message->recipients[i];
    return NULL;
}

static void check(uint64_t decision, const char *address, enum delivery delivery)
{
    const struct trace_recipient *recipient = recipient_of(decision, address);
    ck_assert_msg(recipient != NULL, "%s is not known", address);
    ck_assert_msg(recipient->delivery == delivery, "%s is %s", address,
                  delivery_names[recipient->delivery]);
}

static struct follower_counts counts(void)
{
    struct follower_counts now;
    follower_counts(follower, &now);
    return now;
}

/* At a moment far enough from the last time that late records are looked for. */
static void read_until(int64_t read_ms)
{
    at_ms += 6000;
    ck_assert_int_eq(follower_read_until(follower, read_ms, at_ms), 1);
}

/* ---- tests ------------------------------------------------------------------------------------------- */

START_TEST(test_three_recipients)
{
    begin(_i);
    uint64_t decision = hand_in("E1AAAAAAAA", 3);
    sent("E1AAAAAAAA", "good@x.test");
    outcome("E1AAAAAAAA", "later@x.test", "4.2.0", "deferred");
    outcome("E1AAAAAAAA", "nobody@x.test", "5.1.1", "bounced");
    write_down();
    check(decision, "good@x.test", DELIVERY_DELIVERED);
    check(decision, "later@x.test", DELIVERY_DEFERRED);
    check(decision, "nobody@x.test", DELIVERY_FAILED);
    ck_assert_str_eq(traced(decision)->queue_id, "E1AAAAAAAA");
    ck_assert_uint_eq(traced(decision)->expected, 3);
    ck_assert_uint_eq(traced(decision)->message_id,
                      keyed_hash_message_id(&hash_keys, "E1AAAAAAAA@example.test", 23));
    ck_assert(!traced(decision)->ended);
    struct kept_reply reply;
    ck_assert_int_eq(delivery_reply(store, arena, recipient_of(decision, "nobody@x.test")->reply,
                                    at_ms, &reply), 1);
    ck_assert_str_eq(reply.code, "5.1.1");
    ck_assert_int_eq(reply.class, REPLY_ADDRESS_UNKNOWN);
    ck_assert_str_eq(reply.site, "site.test");

    restart();
    ck_assert_uint_eq(counts().open, 1);
    at_ms += 5 * MINUTE_MS;
    queued("E1AAAAAAAA", 3);
    sent("E1AAAAAAAA", "later@x.test");
    removed("E1AAAAAAAA");
    write_down();
    check(decision, "later@x.test", DELIVERY_DELIVERED);
    ck_assert_uint_eq(recipient_of(decision, "later@x.test")->attempts, 2);
    ck_assert(traced(decision)->ended);
    restart();
    ck_assert_uint_eq(counts().open, 0);
    ck_assert_uint_eq(counts().outcomes, 4);
    ck_assert_uint_eq(counts().messages, 1);
    ck_assert_str_eq(follower_place(follower), "place");
    end();
}
END_TEST

static struct delivery_counts domain_counts(const char *domain)
{
    char key[DELIVERY_KEY_SIZE];
    struct value value;
    struct delivery_counts read;
    delivery_domain_key(key, NOW / DAY_MS, domain, delivery_source(SOURCE));
    ck_assert_int_eq(store_value(store, arena, VALUE_DOMAIN, key, at_ms, &value), 1);
    ck_assert_int_eq(delivery_counts_read(value.bytes, value.length, &read), 1);
    return read;
}

START_TEST(test_counts_of_a_domain)
{
    begin(_i);
    hand_in("E1AAAAAAAA", 2);
    outcome("E1AAAAAAAA", "later@x.test", "4.2.2", "deferred");
    outcome("E1AAAAAAAA", "nobody@x.test", "5.1.1", "bounced");
    write_down();
    struct delivery_counts of_domain = domain_counts("example.test");
    ck_assert_uint_eq(of_domain.messages, 1);
    ck_assert_uint_eq(of_domain.recipients[DELIVERY_DEFERRED], 1);
    ck_assert_uint_eq(of_domain.classes[REPLY_MAILBOX_FULL], 1);
    restart();
    sent("E1AAAAAAAA", "later@x.test");
    write_down();
    of_domain = domain_counts("example.test");
    ck_assert_uint_eq(of_domain.recipients[DELIVERY_DEFERRED], 0);
    ck_assert_uint_eq(of_domain.recipients[DELIVERY_DELIVERED], 1);
    ck_assert_uint_eq(of_domain.recipients[DELIVERY_FAILED], 1);
    ck_assert_uint_eq(of_domain.classes[REPLY_MAILBOX_FULL], 0);
    ck_assert_str_eq(of_domain.sites[0].site, "site.test");
    ck_assert_uint_eq(of_domain.sites[0].recipients[DELIVERY_DELIVERED], 1);
    end();
}
END_TEST

START_TEST(test_known_recipients)
{
    struct value value;
    struct known_recipients known;
    begin(_i);
    hand_in("E1AAAAAAAA", 2);
    sent("E1AAAAAAAA", "good@x.test");
    outcome("E1AAAAAAAA", "nobody@x.test", "5.1.1", "bounced");
    line("error", "E1AAAAAAAA: to=<unasked@y.test>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.2, "
         "status=deferred (delivery temporarily suspended: lost connection)");
    write_down();
    ck_assert_int_eq(store_value(store, arena, VALUE_KNOWN, ALICE, at_ms, &value), 1);
    ck_assert_int_eq(known_recipients_read(value.bytes, value.length, &known), 1);
    ck_assert_uint_eq(known.count, 2);
    ck_assert_int_eq(known.of[0].delivered, NOW / DAY_MS);
    ck_assert_int_eq(known.of[1].written, NOW / DAY_MS);
    ck_assert_int_eq(known.of[1].delivered, 0);
    end();
}
END_TEST

/* Bounces, forwards, cron: no decision, nothing kept. */
START_TEST(test_mail_of_nobody)
{
    size_t count;
    begin(_i);
    line("pickup", "E1AAAAAAAA: uid=0 from=<root>");
    queued("E1AAAAAAAA", 1);
    sent("E1AAAAAAAA", "x@x.test");
    removed("E1AAAAAAAA");
    client("E2AAAAAAAA", ALICE); /* begun, and never judged */
    queued("E2AAAAAAAA", 1);
    sent("E2AAAAAAAA", "x@x.test");
    line("smtpd", "E3AAAAAAAA: client=unknown[192.0.2.9]");
    queued("E3AAAAAAAA", 1);
    sent("E3AAAAAAAA", "x@x.test");
    write_down();
    messages_of(ALICE, &count);
    ck_assert_uint_eq(count, 0);
    ck_assert_uint_eq(counts().outcomes, 0);
    end();
}
END_TEST

/* What was read and not written is read again by the next one. */
START_TEST(test_once_each)
{
    begin(_i);
    uint64_t decision = hand_in("E1AAAAAAAA", 1);
    outcome("E1AAAAAAAA", "later@x.test", "4.2.0", "deferred");
    write_down();
    outcome("E1AAAAAAAA", "later@x.test", "4.2.0", "deferred");
    restart();
    ck_assert_uint_eq(recipient_of(decision, "later@x.test")->attempts, 1);
    outcome("E1AAAAAAAA", "later@x.test", "4.2.0", "deferred");
    write_down();
    ck_assert_uint_eq(recipient_of(decision, "later@x.test")->attempts, 2);
    ck_assert_uint_eq(counts().outcomes, 2);
    end();
}
END_TEST

START_TEST(test_two_followers)
{
    struct follower *other;
    begin(_i);
    uint64_t decision = hand_in("E1AAAAAAAA", 1);
    write_down();
    ck_assert_int_eq(follower_new(store, token_key, SOURCE, at_ms, &other), 1);
    struct follower *first = follower;
    sent("E1AAAAAAAA", "good@x.test");
    write_down();
    follower = other;
    sent("E1AAAAAAAA", "good@x.test");
    ck_assert_int_eq(follower_write(other, "elsewhere", at_ms), 0);
    ck_assert_uint_eq(recipient_of(decision, "good@x.test")->attempts, 1);
    follower_free(&other);
    follower = first;
    removed("E1AAAAAAAA");
    write_down();
    end();
}
END_TEST

/* The mail server refuses it after it was counted: cleanup, before or after the judgement. */
START_TEST(test_refused_later)
{
    begin(_i);
    client("E1AAAAAAAA", ALICE);
    message_id("E1AAAAAAAA");
    uint64_t decision = admit("E1AAAAAAAA", ALICE);
    line("cleanup", "E1AAAAAAAA: milter-reject: END-OF-MESSAGE from unknown[192.0.2.7]: 5.7.1 no; "
         "from=<alice@example.test> to=<b@x.test> proto=ESMTP helo=<c>");
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, at_ms), 1);
    write_down();
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, at_ms), 0);
    ck_assert(traced(decision)->refunded);
    restart();
    client("E2AAAAAAAA", ALICE);
    line("cleanup", "E2AAAAAAAA: reject: header Subject: x from unknown[192.0.2.7]; "
         "from=<alice@example.test> to=<b@x.test> proto=ESMTP helo=<c>: 5.7.1 no");
    write_down();
    restart();
    decision = admit("E2AAAAAAAA", ALICE);
    read_until(at_ms + 6000);
    write_down();
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, at_ms), 0);
    ck_assert(traced(decision)->refunded);
    ck_assert_uint_eq(counts().refunds, 2);
    end();
}
END_TEST

/* The same of a message that the webmail endpoint had counted: whether the webmail asks for a refund
 * before, afterwards or, killed, never, it is refunded once. */
START_TEST(test_refused_message_of_the_webmail)
{
    bool before = _i / BACKEND_KINDS == 1, never = _i / BACKEND_KINDS == 2;
    rig_begin(_i % BACKEND_KINDS,
              WITH("domains.own_domains=example.test", "mta.webmail_hosts=127.0.0.1"));
    at_ms = NOW;
    begin_follower();
    redeem("E0AAAAAAAA", "<kept>");
    client("E1AAAAAAAA", ALICE);
    uint64_t decision = redeem("E1AAAAAAAA", "<1>");
    line("cleanup", "E1AAAAAAAA: reject: header Subject: x from unknown[192.0.2.7]; "
         "from=<alice@example.test> to=<b@x.test> proto=ESMTP helo=<c>: 5.7.1 no");
    if (before)
        ck_assert_int_eq(guard_refund(guard, ALICE, "<1>", at_ms), 0);
    write_down();
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, at_ms), 1);
    ck_assert(traced(decision)->refunded);
    if (!before && !never)
        ck_assert_int_eq(guard_refund(guard, ALICE, "<1>", at_ms), 0);
    restart();
    line("cleanup", "E1AAAAAAAA: milter-reject: END-OF-MESSAGE from unknown[192.0.2.7]: 5.7.1 no; "
         "from=<alice@example.test> to=<b@x.test> proto=ESMTP helo=<c>");
    write_down();
    ck_assert_uint_eq(counts().refunds, 1);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, at_ms), 1);
    end();
}
END_TEST

/* One that the mail server has taken stays counted. */
START_TEST(test_taken_message_of_the_webmail)
{
    rig_begin(_i, WITH("domains.own_domains=example.test", "mta.webmail_hosts=127.0.0.1"));
    at_ms = NOW;
    begin_follower();
    client("E1AAAAAAAA", ALICE);
    redeem("E1AAAAAAAA", "<1>");
    queued("E1AAAAAAAA", 1);
    write_down();
    restart();
    line("cleanup", "E1AAAAAAAA: reject: header Subject: x from unknown[192.0.2.7]; "
         "from=<alice@example.test> to=<b@x.test> proto=ESMTP helo=<c>: 5.7.1 no");
    write_down();
    ck_assert_uint_eq(counts().refunds, 0);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, at_ms), 1);
    end();
}
END_TEST

/* What counts the message cannot be read: the follower goes on without the refund, and says so. */
START_TEST(test_refund_of_a_damaged_history)
{
    begin(BACKEND_REDIS);
    client("E1AAAAAAAA", ALICE);
    uint64_t decision = admit("E1AAAAAAAA", ALICE);
    redis_server_ask(&redis, (const char *const[]){"DEL", "sg:mailbox:" ALICE}, 2);
    redis_server_ask(&redis, (const char *const[]){"SETRANGE", "sg:mailbox:" ALICE, "0", "x"}, 4);
    line("cleanup", "E1AAAAAAAA: milter-reject: END-OF-MESSAGE from unknown[192.0.2.7]: 5.7.1 no; "
         "from=<alice@example.test> to=<b@x.test> proto=ESMTP helo=<c>");
    write_down();
    ck_assert_uint_eq(counts().refunds_failed, 1);
    ck_assert(follower_has_changes(follower)); /* the count */
    ck_assert(traced(decision)->ended);
    sent("E2AAAAAAAA", "good@x.test");
    write_down();
    restart();
    ck_assert_uint_eq(counts().refunds_failed, 1);
    ck_assert_uint_eq(counts().refunds, 1);
    end();
}
END_TEST

/* Once in the queue nothing is refunded, whatever a line says. */
START_TEST(test_refused_after_the_queue)
{
    begin(_i);
    hand_in("E1AAAAAAAA", 1);
    line("cleanup", "E1AAAAAAAA: milter-reject: END-OF-MESSAGE from unknown[192.0.2.7]: 5.7.1 no; "
         "from=<alice@example.test> to=<b@x.test> proto=ESMTP helo=<c>");
    write_down();
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, at_ms), 1);
    end();
}
END_TEST

START_TEST(test_requeued)
{
    begin(_i);
    uint64_t decision = hand_in("E1AAAAAAAA", 1);
    outcome("E1AAAAAAAA", "later@x.test", "4.2.0", "deferred");
    line("postsuper", "E1AAAAAAAA: requeued");
    line("pickup", "E2AAAAAAAA: uid=102 from=<alice@example.test> orig_id=E1AAAAAAAA");
    message_id("E2AAAAAAAA");
    queued("E2AAAAAAAA", 1);
    sent("E2AAAAAAAA", "later@x.test");
    removed("E2AAAAAAAA");
    write_down();
    check(decision, "later@x.test", DELIVERY_DELIVERED);
    ck_assert(traced(decision)->ended);
    restart();
    ck_assert_uint_eq(counts().open, 0);
    end();
}
END_TEST

/* A filter hands the message back: it says the old id by XFORWARD, or only the answer to the hop
 * says the new one, after its first lines. */
START_TEST(test_content_filter)
{
    bool says = _i / BACKEND_KINDS > 0;
    begin(_i % BACKEND_KINDS);
    uint64_t decision = hand_in("E1AAAAAAAA", 2);
    line("smtpd", "E2AAAAAAAA: client=localhost[127.0.0.1]%s",
         says ? ", orig_queue_id=E1AAAAAAAA, orig_client=unknown[192.0.2.7]" : "");
    queued("E2AAAAAAAA", 2);
    sent("E2AAAAAAAA", "good@x.test");
    for (int i = 0; i < 2; i++)
        line("smtp", "E1AAAAAAAA: to=<%s@x.test>, relay=%s, delay=0.1, "
             "delays=0.01/0.01/0.04/0.05, dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:"
             "[127.0.0.1]:10025): 250 2.0.0 Ok: queued as E2AAAAAAAA)", i ? "nobody" : "good",
             says ? "10.1.2.3[10.1.2.3]:25" : "127.0.0.1[127.0.0.1]:10024");
    removed("E1AAAAAAAA");
    outcome("E2AAAAAAAA", "nobody@x.test", "5.1.1", "bounced");
    removed("E2AAAAAAAA");
    write_down();
    check(decision, "good@x.test", DELIVERY_DELIVERED);
    check(decision, "nobody@x.test", DELIVERY_FAILED);
    ck_assert_uint_eq(recipient_of(decision, "good@x.test")->attempts, 1);
    ck_assert_uint_eq(traced(decision)->recipient_count, 2);
    end();
}
END_TEST

/* Who signed in hands in a message of his own, whatever he says of an older id. */
START_TEST(test_no_filter_signs_in)
{
    begin(_i);
    uint64_t first = hand_in("E1AAAAAAAA", 1);
    line("smtpd", "E2AAAAAAAA: client=unknown[192.0.2.9], sasl_method=PLAIN, sasl_username=" BOB
         ", orig_queue_id=E1AAAAAAAA, orig_client=unknown[192.0.2.7]");
    queued("E2AAAAAAAA", 1);
    outcome("E2AAAAAAAA", "nobody@x.test", "5.1.1", "bounced");
    write_down();
    ck_assert_uint_eq(traced(first)->recipient_count, 0);
    end();
}
END_TEST

/* Another server's answer names one of its own queue ids: that is a delivery. */
START_TEST(test_queued_elsewhere)
{
    begin(_i);
    uint64_t decision = hand_in("E1AAAAAAAA", 1);
    line("smtp", "E1AAAAAAAA: to=<good@x.test>, relay=mx.x.test[192.0.2.25]:25, delay=0.1, "
         "delays=0.01/0.01/0.04/0.05, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 9AAAAAAAAA)");
    write_down();
    check(decision, "good@x.test", DELIVERY_DELIVERED);
    end();
}
END_TEST

/* A server that sent a message here knows its queue id, and one that got one too. What it says of
 * them is a delivery, and what becomes of its message is nobody's here. */
START_TEST(test_queue_id_of_a_stranger)
{
    begin(_i);
    uint64_t first = hand_in("E1AAAAAAAA", 1), second = hand_in("E2AAAAAAAA", 1);
    line("smtpd", "E3AAAAAAAA: client=mx.x.test[192.0.2.25]");
    queued("E3AAAAAAAA", 1);
    outcome("E3AAAAAAAA", "nobody@x.test", "5.1.1", "bounced");
    line("smtp", "E1AAAAAAAA: to=<good@x.test>, relay=mx.x.test[192.0.2.25]:25, delay=0.1, "
         "delays=0.01/0.01/0.04/0.05, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as E3AAAAAAAA)");
    line("smtp", "E2AAAAAAAA: to=<good@x.test>, relay=mx.x.test[2001:db8::25]:25, delay=0.1, "
         "delays=0.01/0.01/0.04/0.05, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as E1AAAAAAAA)");
    write_down();
    check(first, "good@x.test", DELIVERY_DELIVERED);
    check(second, "good@x.test", DELIVERY_DELIVERED);
    ck_assert_uint_eq(traced(first)->recipient_count, 1);
    end();
}
END_TEST

START_TEST(test_aliases)
{
    begin(_i);
    uint64_t decision = hand_in("E1AAAAAAAA", 1);
    line("smtp", "E1AAAAAAAA: to=<one@x.test>, orig_to=<List@Example.Test>, relay=none, delay=1, "
         "delays=1/0/0/0, dsn=5.4.4, status=bounced (unable to look up host x.test)");
    line("smtp", "E1AAAAAAAA: to=<two@y.test>, orig_to=<list@example.test>, relay=mx.y.test[192.0.2.1]:25, "
         "delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (250 ok)");
    write_down();
    check(decision, "list@example.test", DELIVERY_DELIVERED);
    ck_assert_uint_eq(traced(decision)->recipient_count, 1);
    end();
}
END_TEST

/* ---- windows of sender domains ---------------------------------------------------------------------- */

static struct failure_window failures_of(const char *domain)
{
    struct value value;
    struct failure_window window = {0};
    if (store_value(store, arena, VALUE_FAILURES, domain, at_ms, &value) > 0)
        ck_assert_int_eq(failure_window_read(value.bytes, value.length, &window), 1);
    return window;
}

static void numbers_are(uint32_t bad, uint32_t all, size_t graced, size_t left_out)
{
    struct failure_window window = failures_of("another.test"); /* the first one by name */
    struct failure_numbers numbers = failure_window_numbers(&window, NULL);
    ck_assert_uint_eq(numbers.bad, bad);
    ck_assert_uint_eq(numbers.all, all);
    ck_assert_uint_eq(window.graced.count, graced);
    ck_assert_uint_eq(numbers.left_out_count, left_out);
    failure_window_numbers_free(&numbers);
    failure_window_free(&window);
}

START_TEST(test_failures)
{
    begin(_i);
    hand_in("E1AAAAAAAA", 8);
    write_down();
    for (int time = 0; time < 2; time++) { /* what is not written has not been */
        restart();
        sent("E1AAAAAAAA", "good@x.test");
        outcome("E1AAAAAAAA", "nobody@x.test", "5.1.1", "bounced");
        outcome("E1AAAAAAAA", "nobody@x.test", "5.1.1", "bounced"); /* a copy */
        outcome("E1AAAAAAAA", "later@x.test", "4.2.0", "deferred");
        outcome("E1AAAAAAAA", "home@example.test", "5.1.1", "bounced");
        outcome("E1AAAAAAAA", "home@another.test", "5.1.1", "bounced");
        outcome("E1AAAAAAAA", "abroad%y.test@example.test", "5.1.1", "bounced");
        line("smtp", "E1AAAAAAAA: to=<us@z.test>, relay=mx.z.test[192.0.2.26]:25, delay=1, "
             "delays=0/0/0/1, dsn=5.7.1, status=bounced (host mx.z.test[192.0.2.26] said: 550 5.7.1 "
             "listed at spamhaus (in reply to MAIL FROM command))");
        line("error", "E1AAAAAAAA: to=<wait@x.test>, relay=none, delay=1, delays=0/0/0/1, "
             "dsn=4.4.1, status=deferred (delivery temporarily suspended: connect to x.test)");
    }
    write_down();
    numbers_are(2, 3, 1, 1);
    restart();
    at_ms += 5 * MINUTE_MS;
    outcome("E1AAAAAAAA", "wait@x.test", "4.4.1", "deferred"); /* its first attempt */
    outcome("E1AAAAAAAA", "nobody@x.test", "5.1.1", "bounced");
    write_down();
    numbers_are(3, 4, 1, 1);
    at_ms += 20 * MINUTE_MS;
    sent("E1AAAAAAAA", "later@x.test"); /* its grace was over */
    outcome("E1AAAAAAAA", "wait@x.test", "5.4.1", "bounced");
    write_down();
    numbers_are(3, 5, 0, 1);
    end();
}
END_TEST

START_TEST(test_failures_of_nobody)
{
    begin(_i);
    client("E1AAAAAAAA", "free@example.test");
    admit("E1AAAAAAAA", "free@example.test");
    queued("E1AAAAAAAA", 2);
    outcome("E1AAAAAAAA", "nobody@x.test", "5.1.1", "bounced");
    follower_set_settings(follower, NULL);
    hand_in("E2AAAAAAAA", 1);
    outcome("E2AAAAAAAA", "nobody@x.test", "5.1.1", "bounced");
    write_down();
    numbers_are(0, 0, 0, 0);
    end();
}
END_TEST

/* The followers of two mail servers have mail of one domain at the same time. */
START_TEST(test_failures_of_two_servers)
{
    begin(_i);
    struct follower *one = follower, *other;
    ck_assert_int_eq(follower_new(store, token_key, "mx2 journal", at_ms, &other), 1);
    follower_set_settings(other, snapshot_settings(snapshot));
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 2; i++) {
            const char *queue_id = arena_printf(arena, "E%dAAAAAA%dA", round, i);
            const char *mailbox = i == 0 ? ALICE : BOB;
            follower = i == 0 ? one : other;
            client(queue_id, mailbox);
            admit(queue_id, mailbox);
            queued(queue_id, 1);
            outcome(queue_id, "nobody@x.test", "5.1.1", "bounced");
        }
        for (int i = 0; i < 2; i++) {
            follower = i == 0 ? one : other;
            write_down();
        }
        numbers_are(2 * (uint32_t)round, 2 * (uint32_t)round, 0, 0);
    }
    follower = one;
    follower_free(&other);
    end();
}
END_TEST

START_TEST(test_expired_and_deleted)
{
    begin(_i);
    uint64_t expired = hand_in("E1AAAAAAAA", 2), deleted = hand_in("E2AAAAAAAA", 1);
    outcome("E1AAAAAAAA", "later@x.test", "4.2.0", "deferred");
    sent("E1AAAAAAAA", "good@x.test");
    outcome("E2AAAAAAAA", "later@x.test", "4.2.0", "deferred");
    write_down();
    restart();
    line("qmgr", "E1AAAAAAAA: from=<alice@example.test>, status=expired, returned to sender");
    line("bounce", "E1AAAAAAAA: sender non-delivery notification: E9AAAAAAAA");
    removed("E1AAAAAAAA");
    line("postsuper", "E2AAAAAAAA: removed");
    write_down();
    check(expired, "later@x.test", DELIVERY_EXPIRED);
    check(expired, "good@x.test", DELIVERY_DELIVERED);
    check(deleted, "later@x.test", DELIVERY_DISCARDED);
    ck_assert(traced(deleted)->ended);
    end();
}
END_TEST

/* Short queue ids come again within seconds. */
START_TEST(test_short_ids_again)
{
    begin(_i);
    uint64_t first = hand_in("868E3A74626", 1);
    outcome("868E3A74626", "a@x.test", "5.1.1", "bounced");
    removed("868E3A74626");
    uint64_t second = hand_in("868E3A74626", 1);
    ck_assert_uint_ne(first, second);
    sent("868E3A74626", "b@x.test");
    write_down();
    restart();
    removed("868E3A74626");
    uint64_t third = hand_in("868E3A74626", 1); /* in the step that removes the one before */
    sent("868E3A74626", "c@x.test");
    write_down();
    check(first, "a@x.test", DELIVERY_FAILED);
    check(second, "b@x.test", DELIVERY_DELIVERED);
    check(third, "c@x.test", DELIVERY_DELIVERED);
    ck_assert_uint_eq(traced(first)->recipient_count, 1);
    end();
}
END_TEST

/* Admitted, and for a minute no line: told once, and lines that come after all are taken. */
START_TEST(test_gap)
{
    begin(_i);
    hand_in("E1AAAAAAAA", 1); /* a log has to begin somewhere */
    write_down();
    uint64_t decision = admit("E2AAAAAAAA", ALICE);
    int64_t admitted_ms = decision_time(decision);
    read_until(admitted_ms + MINUTE_MS);
    ck_assert_uint_eq(counts().gaps, 0);
    restart(); /* knows it still */
    read_until(admitted_ms + MINUTE_MS);
    ck_assert_uint_eq(counts().gaps, 0);
    read_until(admitted_ms + MINUTE_MS + 1);
    ck_assert_uint_eq(counts().gaps, 1);
    read_until(admitted_ms + DAY_MS);
    write_down();
    restart();
    read_until(admitted_ms + DAY_MS);
    ck_assert_uint_eq(counts().gaps, 1);
    ck_assert(traced(decision)->silent);
    sent("E2AAAAAAAA", "good@x.test");
    write_down();
    check(decision, "good@x.test", DELIVERY_DELIVERED);
    end();
}
END_TEST

/* A message of which the log says everything is no gap, also to a follower that starts anew. */
START_TEST(test_no_gap)
{
    begin(_i);
    for (int i = 0; i < 5; i++) {
        const char *queue_id = arena_printf(arena, "E%dAAAAAAAA", i);
        hand_in(queue_id, 1);
        sent(queue_id, "good@x.test");
        removed(queue_id);
        write_down();
        restart();
    }
    read_until(at_ms + DAY_MS);
    ck_assert_uint_eq(counts().gaps, 0);
    ck_assert_uint_eq(counts().messages, 5);
    end();
}
END_TEST

/* Decisions of an hour that comes twice are lower than those that were read before: each message is
 * found, and counts once, also for a follower that starts anew. */
START_TEST(test_clock_set_back)
{
    size_t count;
    begin(_i / 2);
    for (int i = 0; i < 3; i++) {
        const char *queue_id = arena_printf(arena, "E%dAAAAAAAA", i);
        uint64_t decision = hand_in(queue_id, 1);
        sent(queue_id, "good@x.test");
        removed(queue_id);
        read_until(at_ms);
        write_down();
        check(decision, "good@x.test", DELIVERY_DELIVERED);
        at_ms += i == 0 ? -HOUR_MS : MINUTE_MS;
        if (_i % 2 == 1)
            restart();
    }
    for (int i = 0; i < 200; i++, at_ms += MINUTE_MS)
        read_until(at_ms);
    write_down();
    messages_of(ALICE, &count);
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(counts().messages, 3);
    ck_assert_uint_eq(counts().gaps, 0);
    ck_assert_uint_eq(counts().outcomes, 3);
    end();
}
END_TEST

/* Of two mail servers each follows its own log, and both know what was admitted: what is in the other's
 * log is no gap. What is in neither is told once, by the first, when the other was read so far. */
START_TEST(test_two_servers)
{
    size_t count;
    begin(_i);
    hand_in("E1AAAAAAAA", 1);
    write_down();
    struct follower *first = follower;
    ck_assert_int_eq(follower_new(store, token_key, "mx2 journal", at_ms, &follower), 1);
    hand_in("E2AAAAAAAA", 1); /* at the second one */
    write_down();
    struct follower *second = follower;
    int64_t lost_ms = decision_time(admit("E3AAAAAAAA", ALICE));
    for (int i = 0; i < 10; i++) {
        bool second_is_late = i < 5;
        follower = first;
        read_until(lost_ms + 2 * MINUTE_MS + i);
        write_down();
        ck_assert_uint_eq(counts().gaps, i > 5);
        follower = second;
        read_until(lost_ms + (second_is_late ? 0 : 2 * MINUTE_MS) + i);
        write_down();
        ck_assert_uint_eq(counts().gaps, 0);
    }
    messages_of(ALICE, &count);
    ck_assert_uint_eq(count, 3);
    follower_free(&first);
    end();
}
END_TEST

/* Who has a server fills the store no further: of what comes then class and code are kept. */
START_TEST(test_a_server_that_says_too_much)
{
    static const char *const words[] = {"450 4.2.0 no 1999", "", "450 4.2.0 no 2001"};
    struct kept_reply reply;
    begin(_i);
    uint64_t decision = hand_in("E1AAAAAAAA", 1);
    for (int i = 0; i <= DELIVERIES_WORDS_MAX + 1; i++) {
        at_ms += i == DELIVERIES_WORDS_MAX + 1 ? DAY_MS : 0;
        line("smtp", "E1AAAAAAAA: to=<b@x.test>, relay=mx.site.test[192.0.2.25]:25, delay=0.1, "
             "delays=0.01/0.01/0.04/0.05, dsn=4.2.0, status=deferred (host mx.site.test[192.0.2.25] "
             "said: 450 4.2.0 no %d (in reply to RCPT TO command))", i);
        if (i % 100 == 0 || i >= DELIVERIES_WORDS_MAX - 1)
            write_down();
        if (i < DELIVERIES_WORDS_MAX - 1)
            continue;
        const char *wanted = words[i - (DELIVERIES_WORDS_MAX - 1)];
        ck_assert_int_eq(delivery_reply(store, arena, recipient_of(decision, "b@x.test")->reply, at_ms,
                                        &reply), 1);
        ck_assert_ptr_nonnull(strstr(reply.words, wanted));
        ck_assert_int_eq(wanted[0] == '\0', reply.words[0] == '\0');
        ck_assert_str_eq(reply.code, "4.2.0");
        ck_assert_str_eq(reply.site, "site.test");
    }
    end();
}
END_TEST

/* Asked about twice, as after a restart of the policy service: one message, and no gap. */
START_TEST(test_asked_again)
{
    size_t count;
    begin(_i);
    uint64_t decision = hand_in("E1AAAAAAAA", 1);
    instances--;
    admit("E1AAAAAAAA", ALICE);
    sent("E1AAAAAAAA", "good@x.test");
    read_until(at_ms + DAY_MS);
    write_down();
    check(decision, "good@x.test", DELIVERY_DELIVERED);
    messages_of(ALICE, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(counts().gaps, 0);
    end();
}
END_TEST

/* Decided before, and written after, a record that was read already: its outcomes count. */
START_TEST(test_written_late)
{
    begin(_i);
    client("E1AAAAAAAA", ALICE);
    int64_t decided_ms = at_ms;
    hand_in("E2AAAAAAAA", 1);
    int64_t written_ms = at_ms;
    at_ms = decided_ms;
    uint64_t decision = admit("E1AAAAAAAA", ALICE);
    at_ms = written_ms;
    queued("E1AAAAAAAA", 1);
    sent("E1AAAAAAAA", "good@x.test");
    write_down();
    check(decision, "good@x.test", DELIVERY_DELIVERED);
    end();
}
END_TEST

/* Records are looked for again a few times a second, however much comes that nobody judged. */
START_TEST(test_mail_that_nobody_judged)
{
    begin(_i);
    int64_t began_ms = at_ms;
    for (int i = 0; i < 3; i++) {
        const char *queue_id = arena_printf(arena, "E%dAAAAAAAA", i);
        client(queue_id, ALICE);
        queued(queue_id, 1);
        sent(queue_id, "good@x.test");
    }
    ck_assert_int_ge(at_ms - began_ms, 2 * FOLLOWER_AGAIN_MS);
    ck_assert_int_lt(at_ms - began_ms, 3 * FOLLOWER_AGAIN_MS + 100);
    ck_assert_uint_eq(counts().lines, 9);
    ck_assert_uint_eq(counts().outcomes, 0);
    end();
}
END_TEST

/* The first lines are lost: the others are taken all the same. */
START_TEST(test_begins_in_the_middle)
{
    begin(_i);
    line("smtpd", "connect from unknown[192.0.2.7]");
    uint64_t decision = admit("E1AAAAAAAA", ALICE);
    read_until(at_ms + 1000);
    sent("E1AAAAAAAA", "good@x.test");
    write_down();
    check(decision, "good@x.test", DELIVERY_DELIVERED);
    end();
}
END_TEST

/* More than a part has room for. */
START_TEST(test_many_messages_of_a_day)
{
    enum { MESSAGES = 500 };
    uint64_t decisions[MESSAGES];
    size_t count;
    begin(_i);
    for (int i = 0; i < MESSAGES; i++) {
        const char *queue_id = arena_printf(arena, "E%dAAAAAAAA", i);
        decisions[i] = hand_in(queue_id, 4);
        for (int j = 0; j < 4; j++)
            sent(queue_id, arena_printf(arena, "r%d@d%d.test", j, i));
        if (i % 100 == 99) {
            write_down();
            restart();
        }
    }
    const struct trace_message *messages = messages_of(ALICE, &count);
    ck_assert_uint_eq(count, MESSAGES);
    for (int i = 0; i < MESSAGES; i++)
        ck_assert_uint_eq(messages[MESSAGES - 1 - i].decision, decisions[i]);
    check(decisions[3], "r3@d3.test", DELIVERY_DELIVERED);
    end();
}
END_TEST

/* That nothing comes is told once a minute, with until when the log was read. */
START_TEST(test_told_while_nothing_comes)
{
    struct value cursor;
    begin(_i);
    read_until(at_ms); /* no line yet: the log is not followed from anywhere */
    ck_assert(!follower_has_changes(follower));
    hand_in("E1AAAAAAAA", 1);
    int64_t read_ms = at_ms;
    read_until(read_ms);
    write_down();
    ck_assert(!follower_has_changes(follower));
    read_until(read_ms + MINUTE_MS - 1);
    ck_assert(!follower_has_changes(follower));
    read_until(read_ms + MINUTE_MS);
    ck_assert(follower_has_changes(follower));
    write_down();
    ck_assert(!follower_has_changes(follower));
    ck_assert_int_eq(store_value(store, arena, VALUE_CURSOR, SOURCE, at_ms, &cursor), 1);
    freed_by(json_put) struct json_object *told = json_read(cursor.bytes);
    ck_assert_int_eq(json_int(told, "read_ms", 0), read_ms + MINUTE_MS);
    ck_assert_int_eq(json_int(told, "open", 0), 1);
    restart();
    ck_assert(!follower_has_changes(follower));
}
END_TEST

/* A log that is read an hour later: a page of records is read once, and serves many messages. */
START_TEST(test_catching_up)
{
    enum { MESSAGES = 600 };
    uint64_t decisions[MESSAGES];
    size_t count;
    begin(_i);
    int64_t first_ms = at_ms;
    for (int i = 0; i < MESSAGES; i++, at_ms += SECOND_MS)
        decisions[i] = admit(arena_printf(arena, "E%dAAAAAAAA", i), ALICE);
    at_ms = first_ms;
    behind_ms = HOUR_MS;
    for (int i = 0; i < MESSAGES; i++) {
        const char *queue_id = arena_printf(arena, "E%dAAAAAAAA", i);
        at_ms = first_ms + i * SECOND_MS;
        client(queue_id, ALICE);
        queued(queue_id, 1);
        sent(queue_id, "b@x.test");
        removed(queue_id);
        if (i % 250 == 249)
            ck_assert_int_eq(follower_write(follower, "place", at_ms + behind_ms), 1);
    }
    ck_assert_int_eq(follower_write(follower, "place", at_ms + behind_ms), 1);
    const struct trace_message *messages = messages_of(ALICE, &count);
    ck_assert_uint_eq(count, MESSAGES);
    for (int i = 0; i < MESSAGES; i++) {
        ck_assert_uint_eq(messages[MESSAGES - 1 - i].decision, decisions[i]);
        ck_assert(messages[i].ended);
    }
    end();
}
END_TEST

/* ---- how much a step is ------------------------------------------------------------------------- */

START_TEST(test_lines_of_a_step)
{
    static const struct {
        size_t lines, next;
        int64_t held_us;
    } rows[] = {
        {FOLLOWER_LINES_MIN, FOLLOWER_LINES_MIN, 500000},
        {FOLLOWER_LINES_MIN, FOLLOWER_LINES_MIN * 5 / 4, 9999},
        {FOLLOWER_LINES_MAX, FOLLOWER_LINES_MAX, 9999},
        {FOLLOWER_LINES_MAX - 4, FOLLOWER_LINES_MAX, 0},
        {4000, 4000, 10000},
        {4000, 4000, 20000},
        {4000, 3000, 20001},
    };
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_uint_eq(follower_lines_next(rows[i].lines, rows[i].held_us), rows[i].next);
    begin(BACKEND_SQLITE);
    for (int i = 0; i < FOLLOWER_LINES_MIN; i++) {
        ck_assert(!follower_is_full(follower));
        line("smtpd", "connect from unknown[192.0.2.7]");
    }
    ck_assert(follower_is_full(follower));
    write_down();
    ck_assert(!follower_is_full(follower));
    end();
}
END_TEST

/* A step takes so many bytes at most, and few lines may change long values: the counts of a domain
 * are some thousand bytes. */
START_TEST(test_bytes_of_a_step)
{
    enum { MESSAGES = 1200 };
    int lines = 0;
    begin(BACKEND_SQLITE);
    for (int i = 0; i < MESSAGES; i++)
        admit(arena_printf(arena, "E%dAAAAAAAA", i), arena_printf(arena, "a@d%d.test", i));
    line("smtpd", "connect from unknown[192.0.2.7]");
    read_until(at_ms += 10 * SECOND_MS); /* their records */
    while (lines < MESSAGES && !follower_is_full(follower))
        queued(arena_printf(arena, "E%dAAAAAAAA", lines++), 1);
    ck_assert_int_gt(lines, 500);
    ck_assert_int_lt(lines, MESSAGES);
    write_down();
    ck_assert(!follower_is_full(follower));
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("follower");
    TCase *cases = rig_case(suite, "follower");
    tcase_add_loop_test(cases, test_three_recipients, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_counts_of_a_domain, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_known_recipients, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_mail_of_nobody, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_once_each, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_two_followers, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refused_later, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_refund_of_a_damaged_history);
    tcase_add_loop_test(cases, test_refused_message_of_the_webmail, 0, 3 * BACKEND_KINDS);
    tcase_add_loop_test(cases, test_taken_message_of_the_webmail, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refused_after_the_queue, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_requeued, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_content_filter, 0, BACKEND_KINDS * 2);
    tcase_add_loop_test(cases, test_no_filter_signs_in, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_queued_elsewhere, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_queue_id_of_a_stranger, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_aliases, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_failures, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_failures_of_nobody, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_failures_of_two_servers, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_expired_and_deleted, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_short_ids_again, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_gap, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_no_gap, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_told_while_nothing_comes, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_clock_set_back, 0, BACKEND_KINDS * 2);
    tcase_add_loop_test(cases, test_two_servers, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_a_server_that_says_too_much, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_asked_again, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_begins_in_the_middle, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_written_late, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_mail_that_nobody_judged, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many_messages_of_a_day, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_catching_up, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_lines_of_a_step);
    tcase_add_test(cases, test_bytes_of_a_step);
    return backends_run(suite);
}
