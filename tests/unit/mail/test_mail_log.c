/* The lines of a mail log: how they are cut, and what each form of Postfix tells. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "mail/mail_log.h"

static const int64_t second_us = 1000000;

/* The bytes in a heap block of exactly their size, so that sanitizers see overreads. */
static char *exact(const char *text, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, length);
    return copy;
}

static int64_t moment_us(const char *rfc3339)
{
    int64_t time_ms = 0;
    ck_assert_int_eq(zone_moment_read(rfc3339, &time_ms), 1);
    return time_ms * 1000;
}

static void add_view(struct text *text, const char *name, struct mail_view view)
{
    if (view.text == NULL)
        return;
    text_addf(text, " %s=", name);
    text_add_bytes(text, view.text, view.length);
}

/* ---- split -------------------------------------------------------------------------------- */

/* "" or what the line was cut into. */
static void split(struct mail_log_clock *clock, const char *line, struct text *text)
{
    struct mail_log_line cut;
    char *copy = exact(line, strlen(line));
    text_clear(text);
    if (mail_log_split(copy, strlen(line), clock, &cut)) {
        text_add_time_ms(text, cut.stamp_us / 1000);
        text_addf(text, " %d %ld %u", (int)(cut.stamp_us % 1000), (long)cut.pid, cut.count);
        add_view(text, "by", cut.syslog_name);
        add_view(text, "program", cut.program);
        add_view(text, "body", cut.body);
    }
    free(copy);
}

static const struct {
    const char *line, *cut;
} lines[] = {
    {"Nov 28 18:09:35 mx postfix/smtp[123]: a: b",
     "2026-11-28T17:09:35.000Z 0 123 1 by=postfix program=smtp body=a: b"},
    {"Nov  8 08:09:35 mx postfix/submission/smtpd[1]: x",
     "2026-11-08T07:09:35.000Z 0 1 1 by=postfix/submission program=smtpd body=x"},
    {"Nov 08 08:09:35 mx dovecot: x", "2026-11-08T07:09:35.000Z 0 0 1 program=dovecot body=x"},
    {"2026-11-28T18:09:35.123456+01:00 mx postfix-out/qmgr[7]: ",
     "2026-11-28T17:09:35.123Z 456 7 1 by=postfix-out program=qmgr body="},
    {"2026-11-28T18:09:35.1234567-0230 mx a[7]: x",
     "2026-11-28T20:39:35.123Z 456 7 1 program=a body=x"},
    {"2024-02-29T23:59:59Z mx a[7]: x", "2024-02-29T23:59:59.000Z 0 7 1 program=a body=x"},
    {"1970-01-01T00:00:00.5Z mx a: x", "1970-01-01T00:00:00.500Z 0 0 1 program=a body=x"},
    {"Nov 28 18:09:35 mx postfix/smtp[1]: message repeated 12 times: [ a: b]c]",
     "2026-11-28T17:09:35.000Z 0 1 12 by=postfix program=smtp body=a: b]c"},
    /* no lines, and parts of lines */
    {"", ""},
    {"Nov 28 18:09:35", ""},
    {"Nov 28 18:09:35 mx", ""},
    {"Nov 28 18:09:35 mx postfix/smtp", ""},
    {"Nov 28 18:09:35 mx postfix/smtp[12", ""},
    {"Nov 28 18:09:35 mx postfix/smtp[]: x", ""},
    {"Nov 28 18:09:35 mx postfix/smtp[1x]: x", ""},
    {"Nov 28 18:09:35 mx postfix/smtp[1234567890123]: x", ""},
    {"Nov 28 18:09:35 mx postfix/smtp[12]:x", ""},
    {"Nov 28 18:09:35 mx last message repeated 3 times", ""},
    {"Nov 28 18:09:35  postfix/smtp[12]: x", ""},
    {"Nov 31 18:09:35 mx a: x", ""},
    {"Feb 30 18:09:35 mx a: x", ""},
    {"Nov  0 18:09:35 mx a: x", ""},
    {"Nov 28 24:09:35 mx a: x", ""},
    {"Nov 28 18:60:35 mx a: x", ""},
    {"Nov 28 18:09:61 mx a: x", ""},
    {"Nov 28 18:09.35 mx a: x", ""},
    {"nov 28 18:09:35 mx a: x", ""},
    {"2026-11-28T18:09:35 mx a: x", ""},
    {"2026-11-28T18:09:35.Z mx a: x", ""},
    {"2026-11-28T18:09:35+01 mx a: x", ""},
    {"2026-11-28T18:09:35+24:00 mx a: x", ""},
    {"2026-11-31T18:09:35Z mx a: x", ""},
    {"2025-02-29T18:09:35Z mx a: x", ""},
    {"1969-12-31T18:09:35Z mx a: x", ""},
    {"2026-13-28T18:09:35Z mx a: x", ""},
    {"Nov 28 18:09:35 mx a: message repeated 2 times: [ x", ""},
    {"Nov 28 18:09:35 mx a: message repeated 0 times: [ x]", ""},
    {"Nov 28 18:09:35 mx a: message repeated 99999999999 times: [ x]", ""},
    {"Nov 28 18:09:35 mx a: message repeated 2 times: [", ""},
};

START_TEST(test_split)
{
    struct zone *zone = zone_open("Europe/Berlin");
    struct mail_log_clock clock = {.zone = zone,
                                   .reference_us = moment_us("2026-11-28T20:00:00Z")};
    struct text text = {0};
    split(&clock, lines[_i].line, &text);
    ck_assert_str_eq(text_string(&text), lines[_i].cut);
    text_free(&text);
    zone_free(&zone);
}
END_TEST

static const struct {
    const char *zone, *reference, *stamp, *moment;
} stamps[] = {
    {"UTC", "2026-11-28T20:00:00Z", "Nov 28 18:09:35", "2026-11-28T18:09:35Z"},
    /* New Year */
    {"UTC", "2027-01-01T00:00:10Z", "Dec 31 23:59:59", "2026-12-31T23:59:59Z"},
    {"UTC", "2026-12-31T23:59:50Z", "Jan  1 00:00:01", "2027-01-01T00:00:01Z"},
    {"Asia/Tokyo", "2026-12-31T15:00:10Z", "Dec 31 23:59:59", "2026-12-31T14:59:59Z"},
    {"Asia/Tokyo", "2026-12-31T15:00:10Z", "Jan  1 00:00:00", "2026-12-31T15:00:00Z"},
    {"America/New_York", "2027-01-01T05:00:10Z", "Dec 31 23:59:59", "2027-01-01T04:59:59Z"},
    /* half a year away */
    {"UTC", "2026-11-28T20:00:00Z", "May 31 00:00:00", "2026-05-31T00:00:00Z"},
    {"UTC", "2026-11-28T20:00:00Z", "May 30 00:00:00", "2027-05-30T00:00:00Z"},
    /* the 29th of February */
    {"UTC", "2028-03-01T00:00:00Z", "Feb 29 12:00:00", "2028-02-29T12:00:00Z"},
    {"UTC", "2027-03-01T00:00:00Z", "Feb 29 12:00:00", "2028-02-29T12:00:00Z"},
    {"UTC", "2025-03-01T00:00:00Z", "Feb 29 12:00:00", "2024-02-29T12:00:00Z"},
    {"UTC", "2101-03-01T00:00:00Z", "Feb 29 12:00:00", "2104-02-29T12:00:00Z"},
    {"UTC", "2099-03-01T00:00:00Z", "Feb 29 12:00:00", "2096-02-29T12:00:00Z"},
    /* an hour that comes twice: 02:00 to 03:00 on 2026-10-25, first by +02:00 */
    {"Europe/Berlin", "2026-10-25T00:30:10Z", "Oct 25 02:30:00", "2026-10-25T00:30:00Z"},
    {"Europe/Berlin", "2026-10-25T01:30:10Z", "Oct 25 02:30:00", "2026-10-25T01:30:00Z"},
    {"Europe/Berlin", "2026-10-25T00:30:10Z", "Oct 25 01:59:59", "2026-10-24T23:59:59Z"},
    {"Europe/Berlin", "2026-10-25T00:30:10Z", "Oct 25 03:00:00", "2026-10-25T02:00:00Z"},
    /* an hour that is left out, 02:00 to 03:00 on 2026-03-29 */
    {"Europe/Berlin", "2026-03-29T01:00:00Z", "Mar 29 02:30:00", "2026-03-29T01:30:00Z"},
    {"Europe/Berlin", "2026-03-29T01:00:00Z", "Mar 29 01:59:59", "2026-03-29T00:59:59Z"},
    {"Europe/Berlin", "2026-03-29T01:00:00Z", "Mar 29 03:00:00", "2026-03-29T01:00:00Z"},
    /* half an hour that comes twice */
    {"Australia/Lord_Howe", "2026-04-04T14:50:00Z", "Apr  5 01:45:00", "2026-04-04T14:45:00Z"},
    {"Australia/Lord_Howe", "2026-04-04T15:16:00Z", "Apr  5 01:45:00", "2026-04-04T15:15:00Z"},
    {"Asia/Kathmandu", "2026-11-28T20:00:00Z", "Nov 28 18:09:35", "2026-11-28T12:24:35Z"},
    {"UTC", "2026-12-31T23:59:59Z", "Dec 31 23:59:60", "2027-01-01T00:00:00Z"},
};

static int64_t stamp_of(struct mail_log_clock *clock, const char *stamp)
{
    struct mail_log_line line;
    char text[80];
    snprintf(text, sizeof text, "%s mx postfix/smtp[1]: x", stamp);
    ck_assert_int_eq(mail_log_split(text, strlen(text), clock, &line), 1);
    return line.stamp_us;
}

START_TEST(test_stamp)
{
    struct zone *zone = zone_open(stamps[_i].zone);
    struct mail_log_clock clock = {.zone = zone, .reference_us = moment_us(stamps[_i].reference)};
    int64_t expected = moment_us(stamps[_i].moment);
    ck_assert_int_eq(stamp_of(&clock, stamps[_i].stamp), expected);
    ck_assert_int_eq(stamp_of(&clock, stamps[_i].stamp), expected); /* known from the line before */
    zone_free(&zone);
}
END_TEST

/* Of the hour that comes twice the line before knows which it is, whatever the time is now. */
START_TEST(test_both_hours)
{
    struct zone *zone = zone_open("Europe/Berlin");
    struct mail_log_clock clock = {.zone = zone, .reference_us = moment_us("2026-10-27T00:00:00Z")};
    int64_t moment = moment_us("2026-10-24T23:50:00Z");
    for (int minute = 0; minute < 150; minute++, moment += 60 * second_us) {
        struct wall_time wall;
        char stamp[40];
        ck_assert_int_eq(zone_wall_time(zone, moment / 1000, &wall), 1);
        snprintf(stamp, sizeof stamp, "Oct %d %02d:%02d:07", wall.day, wall.hour, wall.minute);
        ck_assert_int_eq(stamp_of(&clock, stamp), moment + 7 * second_us);
    }
    zone_free(&zone);
}
END_TEST

/* Another reference is taken over with the next line. */
START_TEST(test_reference_moves)
{
    struct zone *zone = zone_open("UTC");
    struct mail_log_clock clock = {.zone = zone, .reference_us = moment_us("2026-11-28T20:00:00Z")};
    ck_assert_int_eq(stamp_of(&clock, "Nov 28 18:09:35"), moment_us("2026-11-28T18:09:35Z"));
    clock.reference_us = moment_us("2029-11-28T20:00:00Z");
    ck_assert_int_eq(stamp_of(&clock, "Nov 28 18:09:35"), moment_us("2029-11-28T18:09:35Z"));
    zone_free(&zone);
}
END_TEST

START_TEST(test_program)
{
    ck_assert(mail_view_is(mail_log_program("postfix/submission/smtpd", 24), "smtpd"));
    ck_assert(mail_view_is(mail_log_program("postfix", 7), "postfix"));
    ck_assert(mail_view_is(mail_log_program("postfix/", 8), ""));
    ck_assert(mail_view_is(mail_log_program("", 0), ""));
}
END_TEST

/* ---- events ------------------------------------------------------------------------------- */

#define ID "4jbqC64kngz1bf1c"
#define FIELDS ", relay=mx.test[192.0.2.7]:25, delay=0.1, delays=0/0/0/0.1, "
#define SAID "(host mx.test[192.0.2.7] said: "

static void describe_outcome(const struct mail_event *event, struct text *text)
{
    static const char *const status[] = {"sent", "deferred", "bounced", "deliverable",
                                         "undeliverable"};
    static const char *const phases[] = {"", "CONNECT", "MAIL", "RCPT", "DATA", "END"};
    text_addf(text, " %s %d", status[event->status], event->code);
    add_view(text, "dsn", event->dsn);
    add_view(text, "to", event->to);
    add_view(text, "orig", event->orig_to);
    add_view(text, "host", event->relay_host);
    add_view(text, "at", event->relay_address);
    text_addf(text, " %ld %ld%s %s", (long)event->relay_port, (long)event->delay_ms,
              event->attempted ? "" : " NOT-TRIED", phases[event->phase]);
    add_view(text, "said", event->said);
}

static void describe(const struct mail_event *event, struct text *text)
{
    text_add(text, mail_event_kind_names[event->kind]);
    ck_assert(mail_view_is(event->queue_id, ID));
    add_view(text, "user", event->user);
    add_view(text, "other", event->other_id);
    add_view(text, "message-id", event->message_id);
    add_view(text, "from", event->from);
    if (event->kind == MAIL_PICKUP)
        text_addf(text, " uid=%ld", (long)event->uid);
    if (event->kind == MAIL_QUEUED)
        text_addf(text, " %ld*%ld", (long)event->size, (long)event->recipients);
    if (event->kind == MAIL_NOTICE)
        text_addf(text, " %d", (int)event->notice);
    text_add(text, event->forced ? " forced" : "");
    text_add(text, event->to_postmaster ? " postmaster" : "");
    if (event->kind == MAIL_OUTCOME)
        describe_outcome(event, text);
    add_view(text, "text", event->text);
}

/* "malformed", "" or what the body tells. */
static void read_body(const char *program, const char *body, size_t length, struct text *text)
{
    struct mail_event event;
    bool malformed = true;
    char *copy = exact(body, length);
    text_clear(text);
    struct mail_view by = {program, strlen(program)};
    if (mail_log_event(by, (struct mail_view){copy, length}, &event, &malformed)) {
        ck_assert(!malformed);
        describe(&event, text);
    } else if (malformed) {
        text_add(text, "malformed");
    }
    free(copy);
}

static const struct {
    const char *program, *body, *event;
} bodies[] = {
    /* a message begins */
    {"smtpd", "client=unknown[127.0.0.1]", "client"},
    {"smtpd", "client=a[::1], sasl_method=PLAIN, sasl_username=alice@example.test",
     "client user=alice@example.test"},
    {"smtpd", "client=a[::1], sasl_method=PLAIN, sasl_username=al, ice, sasl_sender=b@x.test",
     "client user=al, ice"},
    {"smtpd", "client=a[::1], orig_queue_id=868E3A74626, orig_client=b[192.0.2.9]",
     "client other=868E3A74626"},
    {"smtpd", "client=a[::1], sasl_username=u, orig_queue_id=868E3A74626", "client user=u "
                                                                         "other=868E3A74626"},
    {"smtpd", "client=a[::1], sasl_username=u, sasl_sender=<a, orig_queue_id=868E3A74626>",
     "client user=u"},
    {"smtpd", "client=a[::1], sasl_username=u, sasl_sender=a, sasl_username=b", "client user=u"},
    {"smtpd", "client=a[::1], sasl_username=", "malformed"},
    {"smtpd", "client=a[::1], orig_queue_id=868E3A7462g", "malformed"},
    {"pickup", "uid=0 from=<root>", "pickup from=root uid=0"},
    {"pickup", "uid=102 from=<a@x.test> orig_id=868E3A74626",
     "pickup other=868E3A74626 from=a@x.test uid=102"},
    {"pickup", "uid=0 from=<\"x> orig_id=868E3A74626\"@x.test>",
     "pickup from=\"x> orig_id=868E3A74626\"@x.test uid=0"},
    {"pickup", "uid=0 from=<x> orig_id=868E3A74626>", "malformed"},
    {"pickup", "uid=0 from=<x> more", "malformed"},
    {"pickup", "uid= from=<x>", "malformed"},
    {"cleanup", "message-id=<a@b>", "message-id message-id=<a@b>"},
    {"cleanup", "message-id=", "message-id message-id="},
    {"cleanup",
     "message-id=<m: to=<v@x.test>, relay=none, delay=0, delays=0/0/0/0, dsn=5.0.0, "
     "status=bounced (z)@c>",
     "message-id message-id=<m: to=<v@x.test>, relay=none, delay=0, delays=0/0/0/0, dsn=5.0.0, "
     "status=bounced (z)@c>"},
    {"cleanup", "resent-message-id=<a@b>", ""},
    /* the queue */
    {"qmgr", "from=<a@x.test>, size=363, nrcpt=3 (queue active)", "queued from=a@x.test 363*3"},
    {"qmgr", "from=<>, size=1, nrcpt=1 (queue active)", "queued from= 1*1"},
    {"qmgr",
     "from=<\"x>, size=1, nrcpt=99 (queue active)\"@x.test>, size=315, nrcpt=1 (queue active)",
     "queued from=\"x>, size=1, nrcpt=99 (queue active)\"@x.test 315*1"},
    {"qmgr", "from=<a@x.test>, size=363, nrcpt=3 (queue acti", "malformed"},
    {"qmgr", "from=<a@x.test>, size=99999999999999999999, nrcpt=3 (queue active)", "malformed"},
    {"qmgr", "from=<a@x.test", "malformed"},
    {"qmgr", "from=<a@x.test>, status=expired, returned to sender", "expired from=a@x.test"},
    {"qmgr", "from=<a@x.test>, status=force-expired, returned to sender",
     "expired from=a@x.test forced"},
    {"qmgr", "from=<a@x.test>, status=expired", "malformed"},
    {"qmgr", "removed", "removed"},
    {"qmgr", "removed!", ""},
    {"qmgr", "skipped, still being delivered", ""},
    {"postsuper", "removed", "deleted"},
    {"postsuper", "placed on hold", "held"},
    {"postsuper", "released from hold", ""},
    {"postsuper", "requeued", ""},
    /* notices */
    {"bounce", "sender non-delivery notification: 868E3A74626", "notice other=868E3A74626 0"},
    {"bounce", "sender delay notification: 868E3A74626", "notice other=868E3A74626 1"},
    {"bounce", "sender delivery status notification: 868E3A74626", "notice other=868E3A74626 2"},
    {"bounce", "postmaster non-delivery notification: 868E3A74626",
     "notice other=868E3A74626 0 postmaster"},
    {"bounce", "sender non-delivery notification: 868", "malformed"},
    {"bounce", "sender non-delivery notification: 868E3A74626 x", "malformed"},
    {"bounce", "sender love letter: 868E3A74626", ""},
    /* not taken after all */
    {"smtpd", "reject: END-OF-MESSAGE from a[::1]: 554 5.7.1 no; from=<a> to=<b>",
     "refused text=END-OF-MESSAGE from a[::1]: 554 5.7.1 no; from=<a> to=<b>"},
    {"smtpd", "reject: RCPT from a[::1]: 554 5.7.1 <b>: no; from=<a> to=<b>", ""},
    {"smtpd", "milter-reject: RCPT from a[::1]: 554 5.7.1 no; from=<a> to=<b>", ""},
    {"smtpd", "discard: RCPT from a[::1]: x", "discarded text=RCPT from a[::1]: x"},
    {"smtpd", "hold: END-OF-MESSAGE from a[::1]: x", "held text=END-OF-MESSAGE from a[::1]: x"},
    {"cleanup", "reject: header Subject: x from a[::1]; from=<a> to=<b>: 5.7.1 no",
     "refused text=header Subject: x from a[::1]; from=<a> to=<b>: 5.7.1 no"},
    {"cleanup", "milter-reject: END-OF-MESSAGE from a[::1]: 5.7.1 no; from=<a> to=<b>",
     "refused text=END-OF-MESSAGE from a[::1]: 5.7.1 no; from=<a> to=<b>"},
    {"cleanup", "milter-discard: END-OF-MESSAGE from a[::1]: x; from=<a>",
     "discarded text=END-OF-MESSAGE from a[::1]: x; from=<a>"},
    {"cleanup", "discard: header Subject: x from a[::1]", "discarded text=header Subject: x from "
                                                          "a[::1]"},
    {"cleanup", "milter-hold: END-OF-MESSAGE from a[::1]: x",
     "held text=END-OF-MESSAGE from a[::1]: x"},
    {"cleanup", "warning: header Subject: reject: x from a[::1]", ""},
    /* outcomes */
    {"smtp", "to=<b@x.test>" FIELDS "dsn=2.0.0, status=sent (250 2.0.0 OK)",
     "outcome sent 250 dsn=2.0.0 to=b@x.test host=mx.test at=192.0.2.7 25 100  said=250 2.0.0 OK "
     "text=250 2.0.0 OK"},
    {"smtp",
     "to=<b@x.test>, orig_to=<l@x.test>, relay=mx.test[2001:db8::1]:25, conn_use=3, delay=363074, "
     "delays=363070/0.01/4/0, dsn=4.7.1, status=deferred " SAID
     "450 4.7.1 later (in reply to RCPT TO command))",
     "outcome deferred 450 dsn=4.7.1 to=b@x.test orig=l@x.test host=mx.test at=2001:db8::1 25 "
     "363074000 RCPT said=450 4.7.1 later text=host mx.test[192.0.2.7] said: 450 4.7.1 later (in "
     "reply to RCPT TO command)"},
    {"smtp",
     "to=<b@x.test>, relay=none, delay=12, delays=12/0/0/0, dsn=4.4.1, status=deferred (connect to "
     "mx.test[192.0.2.7]:25: Connection refused)",
     "outcome deferred 0 dsn=4.4.1 to=b@x.test 0 12000 CONNECT text=connect to "
     "mx.test[192.0.2.7]:25: Connection refused"},
    {"error",
     "to=<b@x.test>, relay=none, delay=12, delays=12/0/0/0, dsn=4.4.2, status=deferred (delivery "
     "temporarily suspended: host mx.test[192.0.2.7] refused to talk to me: 421 4.7.0 later)",
     "outcome deferred 421 dsn=4.4.2 to=b@x.test 0 12000 NOT-TRIED CONNECT said=421 4.7.0 later "
     "text=delivery temporarily suspended: host mx.test[192.0.2.7] refused to talk to me: 421 "
     "4.7.0 "
     "later"},
    {"error",
     "to=<b@x.test>, relay=none, delay=1, delays=1/0/0/0, dsn=5.1.1, status=bounced (unknown)",
     "outcome bounced 0 dsn=5.1.1 to=b@x.test 0 1000  text=unknown"},
    {"lmtp",
     "to=<b@x.test>, relay=mx.test[private/dovecot-lmtp], delay=1, delays=1/0/0/0, dsn=5.2.2, "
     "status=bounced (host mx.test[private/dovecot-lmtp] said: 550 5.2.2 <b> Mailbox full (in "
     "reply "
     "to end of DATA command))",
     "outcome bounced 550 dsn=5.2.2 to=b@x.test host=mx.test 0 1000 END "
     "said=550 5.2.2 <b> Mailbox full text=host mx.test[private/dovecot-lmtp] said: 550 5.2.2 <b> "
     "Mailbox full (in reply to end of DATA command)"},
    {"pipe",
     "to=<b@x.test>, relay=dovecot, delay=0.05, delays=0/0/0/0.05, dsn=2.0.0, status=sent "
     "(delivered via dovecot service)",
     "outcome sent 0 dsn=2.0.0 to=b@x.test host=dovecot 0 50  text=delivered via dovecot service"},
    {"local",
     "to=<b@x.test>, relay=local, delay=0.05, delays=0/0/0/0.05, dsn=2.0.0, status=sent (forwarded "
     "as 868E3A74626)",
     "outcome other=868E3A74626 sent 0 dsn=2.0.0 to=b@x.test host=local 0 50  text=forwarded as "
     "868E3A74626"},
    {"discard",
     "to=<b@x.test>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (thrown away)",
     "outcome sent 0 dsn=2.0.0 to=b@x.test 0 0  text=thrown away"},
    {"virtual",
     "to=<b@x.test>, relay=virtual, delay=0, delays=0/0/0/0, dsn=4.2.2, status=SOFTBOUNCE (quota)",
     "outcome deferred 0 dsn=4.2.2 to=b@x.test host=virtual 0 0  text=quota"},
    {"smtp",
     "to=<b@x.test>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=1/0/0/0, dsn=2.0.0, "
     "status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as " ID ")",
     "outcome other=" ID " sent 250 dsn=2.0.0 to=b@x.test host=127.0.0.1 at=127.0.0.1 10024 1000  "
     "said=250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as " ID
     " text=250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as " ID},
    {"smtp",
     "to=<b@x.test>, relay=none, delay=0, delays=0/0/0/0, dsn=2.1.5, status=deliverable (x)",
     "outcome deliverable 0 dsn=2.1.5 to=b@x.test 0 0  text=x"},
    /* strangers' words that look like ours */
    {"smtp",
     "to=<\"n>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (x\"@x.test>" FIELDS
     "dsn=5.1.1, status=bounced " SAID "550 status=sent (in reply to MAIL FROM command) (in reply "
     "to RCPT TO command))",
     "outcome bounced 550 dsn=5.1.1 to=\"n>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, "
     "status=sent (x\"@x.test host=mx.test at=192.0.2.7 25 100 RCPT said=550 status=sent (in reply "
     "to MAIL FROM command) text=host mx.test[192.0.2.7] said: 550 status=sent (in reply to MAIL "
     "FROM command) (in reply to RCPT TO command)"},
    {"smtp", "to=<\"a \\\"> b\\\\\"@x.test>" FIELDS "dsn=2.0.0, status=sent (ok)",
     "outcome sent 0 dsn=2.0.0 to=\"a \\\"> b\\\\\"@x.test host=mx.test at=192.0.2.7 25 100  "
     "text=ok"},
    {"smtp", "to=<a\"b@x.test>" FIELDS "dsn=2.0.0, status=sent (ok)",
     "outcome sent 0 dsn=2.0.0 to=a\"b@x.test host=mx.test at=192.0.2.7 25 100  text=ok"},
    {"smtp",
     "to=<b@x.test>, orig_to=<\"l>, relay=none\"@x.test>" FIELDS "dsn=2.0.0, status=sent (ok)",
     "outcome sent 0 dsn=2.0.0 to=b@x.test orig=\"l>, relay=none\"@x.test host=mx.test "
     "at=192.0.2.7 "
     "25 100  text=ok"},
    {"error",
     "to=<x@a>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (x>, relay=none, "
     "delay=0, delays=0/0/0/0, dsn=5.1.3, status=bounced (bad address syntax)",
     "malformed"},
    {"smtpd", "to=<b@x.test>" FIELDS "dsn=2.0.0, status=sent (ok)", ""},
    {"cleanup", "to=<b@x.test>" FIELDS "dsn=2.0.0, status=sent (ok)", ""},
    {"qmgr", "to=<b@x.test>" FIELDS "dsn=2.0.0, status=sent (ok)", ""},
    {"bounce", "to=<b@x.test>" FIELDS "dsn=2.0.0, status=sent (ok)", ""},
    {"smtp-evil", "to=<b@x.test>" FIELDS "dsn=2.0.0, status=sent (ok)", ""},
    {"", "to=<b@x.test>" FIELDS "dsn=2.0.0, status=sent (ok)", ""},
    /* cut or impossible */
    {"smtp", "to=<b@x.test", "malformed"},
    {"smtp", "to=<\"b@x.test>" FIELDS "dsn=2.0.0, status=sent (ok", "malformed"},
    {"smtp", "to=<b@x.test>" FIELDS "dsn=2.0.0, status=sent (ok", "malformed"},
    {"smtp", "to=<b@x.test>" FIELDS "dsn=2.0.0, status=gone (ok)", "malformed"},
    {"smtp", "to=<b@x.test>" FIELDS "dsn=3.0.0, status=sent (ok)", "malformed"},
    {"smtp", "to=<b@x.test>" FIELDS "dsn=2.0, status=sent (ok)", "malformed"},
    {"smtp", "to=<b@x.test>" FIELDS "dsn=2.1000.0, status=sent (ok)", "malformed"},
    {"smtp", "to=<b@x.test>" FIELDS "status=sent (ok)", "malformed"},
    {"smtp", "to=<b@x.test>, relay=, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (ok)",
     "malformed"},
    {"smtp", "to=<b@x.test>, relay=a[b, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (ok)",
     "malformed"},
    {"smtp", "to=<b@x.test>, relay=none, delay=-1, delays=1/0/0/0, dsn=2.0.0, status=sent (ok)",
     "malformed"},
    {"smtp", "to=<b@x.test>, relay=none, delay=1., delays=1/0/0/0, dsn=2.0.0, status=sent (ok)",
     "malformed"},
    {"smtp", "to=<b@x.test>, relay=none, delay=1, delays=1/0/0, dsn=2.0.0, status=sent (ok)",
     "malformed"},
    {"smtp",
     "to=<b@x.test>, relay=none, delay=99999999999999999999, delays=1/0/0/0, dsn=2.0.0, "
     "status=sent "
     "(ok)",
     "malformed"},
};

START_TEST(test_event)
{
    struct text text = {0}, body = {0};
    text_addf(&body, ID ": %s", bodies[_i].body);
    read_body(bodies[_i].program, body.data, body.length, &text);
    ck_assert_str_eq(text_string(&text), bodies[_i].event);
    text_free(&text);
    text_free(&body);
}
END_TEST

START_TEST(test_no_event)
{
    static const char *const others[] = {
        "",
        "NOQUEUE: reject: RCPT from unknown[127.0.0.1]: 550 5.1.1 no",
        "connect from unknown[127.0.0.1]",
        "warning: " ID ": queue file size limit exceeded",
        ID,
        ID ":",
        ID ":removed",
        "removed",
        "4jbqC64kngz1bf1a: removed",
    };
    struct text text = {0};
    for (size_t i = 0; i < countof(others); i++) {
        read_body("qmgr", others[i], strlen(others[i]), &text);
        ck_assert_str_eq(text_string(&text), "");
        read_body("smtpd", others[i], strlen(others[i]), &text);
        ck_assert_str_eq(text_string(&text), "");
    }
    text_free(&text);
}
END_TEST

static const struct {
    const char *failure;
    enum mail_phase phase;
    int code;
} failures[] = {
    {"host a[::1] said: 550 no (in reply to MAIL FROM command)", MAIL_PHASE_MAIL, 550},
    {"host a[::1] said: 550 no (in reply to RCPT TO command)", MAIL_PHASE_RCPT, 550},
    {"host a[::1] said: 550 no (in reply to DATA command)", MAIL_PHASE_DATA, 550},
    {"host a[::1] said: 554 no (in reply to end of DATA command)", MAIL_PHASE_END_OF_DATA, 554},
    {"host a[::1] said: 454 no (in reply to STARTTLS command)", MAIL_PHASE_CONNECT, 454},
    {"host a[::1] said: 550 no (in reply to EHLO command)", MAIL_PHASE_CONNECT, 550},
    {"host a[::1] said: 550 no", MAIL_PHASE_UNKNOWN, 550},
    {"host a[::1] said: 5501 no", MAIL_PHASE_UNKNOWN, 0},
    {"host a[::1] said: no", MAIL_PHASE_UNKNOWN, 0},
    {"host a[::1] refused to talk to me: 554-5.7.1 (in reply to RCPT TO command)",
     MAIL_PHASE_CONNECT, 554},
    {"connect to a[::1]:25: Connection timed out", MAIL_PHASE_CONNECT, 0},
    {"delivery temporarily suspended: connect to a[::1]:25: No route to host",
     MAIL_PHASE_CONNECT, 0},
    {"conversation with a[::1] timed out while receiving the initial server greeting",
     MAIL_PHASE_CONNECT, 0},
    {"conversation with a[::1] timed out while performing the EHLO handshake",
     MAIL_PHASE_CONNECT, 0},
    {"conversation with a[::1] timed out while sending MAIL FROM", MAIL_PHASE_MAIL, 0},
    {"lost connection with a[::1] while sending RCPT TO", MAIL_PHASE_RCPT, 0},
    {"lost connection with a[::1] while sending DATA command", MAIL_PHASE_DATA, 0},
    {"conversation with a[::1] timed out while sending message body", MAIL_PHASE_END_OF_DATA, 0},
    {"conversation with a[::1] timed out while sending end of data -- message may be sent more "
     "than "
     "once",
     MAIL_PHASE_END_OF_DATA, 0},
    {"unable to look up host a.test: Name or service not known", MAIL_PHASE_UNKNOWN, 0},
    {"host", MAIL_PHASE_UNKNOWN, 0},
    {"host a", MAIL_PHASE_UNKNOWN, 0},
};

static struct mail_event outcome_of(const char *failure, struct text *body)
{
    struct mail_event event;
    bool malformed;
    text_addf(body, ID ": to=<b@x.test>" FIELDS "dsn=5.0.0, status=bounced (%s)", failure);
    ck_assert_int_eq(mail_log_event((struct mail_view){"smtp", 4},
                                    (struct mail_view){body->data, body->length}, &event,
                                    &malformed), 1);
    return event;
}

START_TEST(test_failure)
{
    struct text body = {0};
    struct mail_event event = outcome_of(failures[_i].failure, &body);
    ck_assert_int_eq(event.phase, failures[_i].phase);
    ck_assert_int_eq(event.code, failures[_i].code);
    text_free(&body);
}
END_TEST

/* Every part of every line: no overread, and no outcome without its end. */
START_TEST(test_cut_lines)
{
    struct text text = {0}, body = {0};
    for (size_t i = 0; i < countof(bodies); i++) {
        text_clear(&body);
        text_addf(&body, ID ": %s", bodies[i].body);
        for (size_t length = 0; length < body.length; length++) {
            read_body(bodies[i].program, body.data, length, &text);
            ck_assert(strncmp(text_string(&text), "outcome", 7) != 0 ||
                      body.data[length - 1] == ')');
        }
    }
    text_free(&text);
    text_free(&body);
}
END_TEST

/* What Postfix cut at its own limit is an outcome, and a phase in it is a stranger's. */
START_TEST(test_long_line)
{
    struct text body = {0}, text = {0};
    text_add(&body, ID ": to=<b@x.test>" FIELDS "dsn=5.7.1, status=bounced " SAID
                    "550 5.7.1 (in reply to MAIL FROM command) ");
    while (body.length < 2000)
        text_add_char(&body, 'x');
    read_body("smtp", body.data, 2000, &text);
    ck_assert(strncmp(text_string(&text), "outcome bounced 550 ", 20) == 0);
    ck_assert_ptr_null(strstr(text_string(&text), " MAIL said"));
    ck_assert_ptr_nonnull(strstr(text_string(&text), "said=550 5.7.1 (in reply to MAIL FROM "
                                                     "command) xx"));
    read_body("smtp", body.data, 1999, &text);
    ck_assert_str_eq(text_string(&text), "malformed");
    text_free(&body);
    text_free(&text);
}
END_TEST

/* A user of the machine chooses the sender, so that Postfix cuts off what follows an id in it. */
START_TEST(test_long_sender)
{
    struct text body = {0}, text = {0};
    text_add(&body, ID ": uid=1000 from=<a@");
    while (body.length < 2000 - strlen("> orig_id=868E3A74626"))
        text_add_char(&body, 'x');
    text_add(&body, "> orig_id=868E3A74626");
    read_body("pickup", body.data, 2000, &text);
    ck_assert_str_eq(text_string(&text), "malformed");
    text_free(&body);
    text_free(&text);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("mail_log");
    tcase_add_loop_test(tests, test_split, 0, (int)countof(lines));
    tcase_add_loop_test(tests, test_stamp, 0, (int)countof(stamps));
    tcase_add_test(tests, test_both_hours);
    tcase_add_test(tests, test_long_sender);
    tcase_add_test(tests, test_reference_moves);
    tcase_add_test(tests, test_program);
    tcase_add_loop_test(tests, test_event, 0, (int)countof(bodies));
    tcase_add_test(tests, test_no_event);
    tcase_add_loop_test(tests, test_failure, 0, (int)countof(failures));
    tcase_add_test(tests, test_cut_lines);
    tcase_add_test(tests, test_long_line);
    Suite *suite = suite_create("mail_log");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
