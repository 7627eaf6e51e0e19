/* From reports, real and forged, to complaints and suspensions, over both stores. */
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "feedback/follower.h"
#include "feedback/reports.h"
#include "guard/complaint_step.h"
#include "guard/reference.h"
#include "store/records.h"
#include "tests/unit/guard/guard_rig.h"

#define OURS "mx.host.test"

static struct reports *reports;
static struct follower *follower;
static int64_t at_ms;
static int queue_ids;

static void begin(int backend, const char *const *overrides)
{
    rig_begin(backend, overrides);
    reports = reports_new(store, guard, token_key, NULL);
    at_ms = NOW;
    ck_assert_int_eq(follower_new(store, token_key, "mx1 journal", at_ms, &follower), 1);
}

#define USUAL                                                                          \
    WITH("complaints.authserv_id=" OURS, "complaints.loops=loop.test staff@free.test", \
         "domains.own_domains=example.test another.test", "exempt.mailbox=free@example.test")

static void end(void)
{
    follower_free(&follower);
    reports_free(&reports);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* As Postfix makes them: seconds and microseconds in base 52, an inode. */
static const char *long_queue_id(int64_t time_ms)
{
    static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
    char id[11];
    int64_t seconds = time_ms / 1000, us = time_ms % 1000 * 1000;
    for (int i = 5; i >= 0; i--, seconds /= 52)
        id[i] = digits[seconds % 52];
    for (int i = 9; i >= 6; i--, us /= 52)
        id[i] = digits[us % 52];
    id[10] = '\0';
    return arena_printf(arena, "%sz1b%c1c", id, digits[queue_ids++ % 50]);
}

static void line(const char *program, const char *text)
{
    const struct mail_log_line one = {.stamp_us = at_ms * 1000,
                                      .program = {program, strlen(program)},
                                      .body = {text, strlen(text)}, .count = 1};
    int answer;
    while ((answer = follower_line(follower, &one, at_ms)) == 0)
        at_ms += FOLLOWER_AGAIN_MS;
    ck_assert_int_eq(answer, 1);
}

static uint64_t admit(const char *queue_id, const char *mailbox)
{
    struct submission submission;
    struct problem problem;
    submission_init(&submission, arena, CHANNEL_SMTP);
    const char *id = arena_printf(arena, "%s/1.0", queue_id);
    ck_assert_int_eq(submission_set_id(&submission, id, strlen(id), &problem), 1);
    rig_mailbox(&submission, mailbox);
    rig_add(&submission, FIELD_TO, "b@x.test");
    return rig_judge(&submission, at_ms).decision;
}

/* Admitted, and told of by the log. Returns its queue id. */
static const char *send_followed(const char *mailbox, int recipients)
{
    const char *id = long_queue_id(at_ms);
    line("smtpd", arena_printf(arena, "%s: client=unknown[192.0.2.7], sasl_method=PLAIN, "
                                      "sasl_username=%s", id, mailbox));
    line("cleanup", arena_printf(arena, "%s: message-id=<%s@example.test>", id, id));
    admit(id, mailbox);
    line("qmgr", arena_printf(arena, "%s: from=<%s>, size=363, nrcpt=%d (queue active)", id,
                              mailbox, recipients));
    line("smtp", arena_printf(arena, "%s: to=<b@x.test>, relay=mx.x.test[192.0.2.25]:25, delay=0.1, "
                                     "delays=0/0/0/0, dsn=2.0.0, status=sent (250 OK)", id));
    ck_assert_int_eq(follower_write(follower, "place", at_ms), 1);
    return id;
}

static const char *reference_of(const char *mailbox, int64_t sent_ms)
{
    return reference_make(token_key, arena,
                          &(struct reference){.at_ms = sent_ms, .queue_id = long_queue_id(sent_ms),
                                              .mailbox = mailbox});
}

/* ---- reports --------------------------------------------------------------------------------- */

struct told {
    const char *domain;    /* that our server found to have sent it; NULL: none */
    const char *sender;    /* NULL: fbl@ the domain */
    const char *type;      /* NULL: abuse */
    const char *reference; /* the header's value; NULL: there is none */
    const char *queue_id;  /* in a Received field; NULL: none */
    const char *message_id; /* NULL: none */
    const char *from;      /* NULL: ALICE */
    int incidents;         /* 0: not said */
};

static const char *report_of(const struct told *told)
{
    struct text text = {0};
    const char *domain = told->domain != NULL ? told->domain : "nobody.test";
    if (told->domain != NULL)
        text_addf(&text, "Authentication-Results: " OURS ";\r\n dkim=pass header.d=%s\r\n", domain);
    text_addf(&text, "From: <%s>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; "
                     "report-type=feedback-report; boundary=b\r\n\r\n"
                     "--b\r\nContent-Type: text/plain\r\n\r\nHello.\r\n"
                     "--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: %s\r\n",
              told->sender != NULL ? told->sender : arena_printf(arena, "fbl@%s", domain),
              told->type != NULL ? told->type : "abuse");
    if (told->incidents > 0)
        text_addf(&text, "Incidents: %d\r\n", told->incidents);
    text_add(&text, "Original-Rcpt-To: b@x.test\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n");
    if (told->reference != NULL)
        text_addf(&text, REFERENCE_HEADER ": %s\r\n", told->reference);
    if (told->queue_id != NULL)
        text_addf(&text, "Received: from a by mx.host.test (Postfix) with ESMTPSA id %s; now\r\n",
                  told->queue_id);
    if (told->message_id != NULL)
        text_addf(&text, "Message-ID: <%s>\r\n", told->message_id);
    text_addf(&text, "From: Me <%s>\r\nTo: b@x.test\r\n\r\nBuy.\r\n--b--\r\n",
              told->from != NULL ? told->from : ALICE);
    const char *copy = arena_strdup(arena, text.data);
    text_free(&text);
    return copy;
}

static void take_text(const char *text)
{
    ck_assert_int_eq(reports_take(reports, text, strlen(text), at_ms), 1);
}

#define TAKE(...) take_text(report_of(&(struct told){__VA_ARGS__}))

/* ---- what is kept ---------------------------------------------------------------------------- */

static struct complaints of_mailbox;

static size_t complaints_of(const char *mailbox)
{
    ck_assert_int_eq(complaint_step_read(store, arena, mailbox, at_ms, &of_mailbox), 1);
    return of_mailbox.count;
}

static size_t counting(const char *mailbox)
{
    size_t count = 0;
    complaints_of(mailbox);
    for (size_t i = 0; i < of_mailbox.count; i++)
        count += complaints_standing(&of_mailbox, i) == COMPLAINT_COUNTS;
    return count;
}

static struct waiting_reports waiting(void)
{
    struct waiting_reports list;
    ck_assert_int_eq(complaint_step_waiting(store, arena, at_ms, &list), 1);
    return list;
}

/* NULL: not suspended for complaints. */
static const struct suspension *suspended(const char *mailbox)
{
    static struct account account;
    ck_assert_int_eq(store_account(store, arena, mailbox, at_ms, &account), 1);
    return suspension_find(&account.suspensions, CAUSE_COMPLAINTS);
}

/* ---- what counts ----------------------------------------------------------------------------- */

START_TEST(test_three_suspend)
{
    begin(_i, USUAL);
    const char *first = reference_of(ALICE, at_ms);
    TAKE(.domain = "loop.test", .reference = first);
    TAKE(.domain = "feedback.loop.test", .reference = reference_of(ALICE, at_ms + 1));
    TAKE(.domain = "loop.test", .reference = first); /* the same again */
    ck_assert_uint_eq(complaints_of(ALICE), 2);
    ck_assert_ptr_null(suspended(ALICE));
    at_ms += HOUR_MS;
    TAKE(.domain = "loop.test", .reference = reference_of(ALICE, at_ms));
    const struct suspension *suspension = suspended(ALICE);
    ck_assert_ptr_nonnull(suspension);
    ck_assert_int_eq(suspension->until_ms, at_ms + 24 * HOUR_MS);
    ck_assert_str_eq(suspension->by, "guard");
    ck_assert_uint_eq(suspension->offence, 1);
    ck_assert_ptr_null(suspended(BOB));
    end();
}
END_TEST

/* 3, 24 h, 20 more about old messages: no second one. Then three new ones: the second, 72 h. */
START_TEST(test_one_run_one_offence)
{
    const char *references[23];
    begin(_i, USUAL);
    for (int i = 0; i < 23; i++)
        references[i] = reference_of(ALICE, at_ms + i);
    at_ms += HOUR_MS;
    for (int i = 0; i < 3; i++)
        TAKE(.domain = "loop.test", .reference = references[i]);
    ck_assert_uint_eq(suspended(ALICE)->offence, 1);
    int64_t since_ms = at_ms;
    for (int i = 3; i < 13; i++)
        TAKE(.domain = "loop.test", .reference = references[i]);
    ck_assert_int_eq(suspended(ALICE)->since_ms, since_ms);
    at_ms += 25 * HOUR_MS;
    ck_assert_ptr_null(suspended(ALICE));
    for (int i = 13; i < 23; i++)
        TAKE(.domain = "loop.test", .reference = references[i]);
    ck_assert_ptr_null(suspended(ALICE));
    ck_assert_uint_eq(complaints_of(ALICE), 23);
    ck_assert_uint_eq(counting(ALICE), 0);
    for (int i = 0; i < 3; i++)
        TAKE(.domain = "loop.test", .reference = reference_of(ALICE, at_ms + i));
    ck_assert_uint_eq(suspended(ALICE)->offence, 2);
    ck_assert_int_eq(suspended(ALICE)->until_ms, at_ms + 72 * HOUR_MS);
    end();
}
END_TEST

/* The same reports again when nothing is known of the offence any more. */
START_TEST(test_replayed_much_later)
{
    const char *texts[4];
    begin(_i, USUAL);
    for (int i = 0; i < 4; i++)
        texts[i] = report_of(&(struct told){.domain = i < 3 ? "loop.test" : NULL,
                                            .reference = reference_of(ALICE, at_ms + i)});
    at_ms += HOUR_MS;
    for (int i = 0; i < 3; i++)
        take_text(texts[i]);
    ck_assert_ptr_nonnull(suspended(ALICE));
    at_ms = NOW + COMPLAINTS_KEPT_MS - DAY_MS;
    for (int i = 0; i < 3; i++)
        take_text(texts[i]);
    ck_assert_ptr_null(suspended(ALICE));
    ck_assert_uint_eq(counting(ALICE), 0);
    at_ms = NOW + 2 * COMPLAINTS_KEPT_MS;
    for (int i = 0; i < 4; i++)
        take_text(texts[i]);
    ck_assert_ptr_null(suspended(ALICE));
    ck_assert_uint_eq(complaints_of(ALICE), 0);
    ck_assert_uint_eq(waiting().count, 0);
    int64_t sent_ms = at_ms - COMPLAINTS_KEPT_MS;
    TAKE(.domain = "loop.test", .reference = reference_of(BOB, sent_ms));
    ck_assert_uint_eq(complaints_of(BOB), 0);
    TAKE(.domain = "loop.test", .reference = reference_of(BOB, sent_ms + 1));
    ck_assert_uint_eq(complaints_of(BOB), 1);
    end();
}
END_TEST

/* What a lift, or a suspension by staff, ended is over as well. */
START_TEST(test_ended_by_staff)
{
    struct suspension suspension;
    const char *references[6];
    begin(_i, USUAL);
    for (int i = 0; i < 6; i++)
        references[i] = reference_of(ALICE, at_ms + i);
    at_ms += HOUR_MS;
    const struct durations day = {1, {DAY_MS}};
    struct action action = {at_ms, "anna", "a call"};
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_COMPLAINTS, &day, &action, &suspension), 1);
    action.now_ms = at_ms += MINUTE_MS;
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_COMPLAINTS, &action), 1);
    int64_t lifted_ms = at_ms;
    action.now_ms = at_ms += MINUTE_MS; /* another cause says nothing of this one */
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_TERMS, &day, &action, &suspension), 1);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_TERMS, &action), 1);
    for (int i = 0; i < 6; i++)
        TAKE(.domain = "loop.test", .reference = references[i]);
    ck_assert_ptr_null(suspended(ALICE));
    ck_assert_uint_eq(counting(ALICE), 0);
    for (int i = 0; i < 3; i++)
        TAKE(.domain = "loop.test", .reference = reference_of(ALICE, lifted_ms + i));
    ck_assert_ptr_nonnull(suspended(ALICE));
    end();
}
END_TEST

/* A clock that was a year ahead makes no mailbox immune for a year. */
START_TEST(test_clock_set_back)
{
    begin(_i, USUAL);
    at_ms = NOW + 365 * DAY_MS;
    for (int i = 0; i < 3; i++)
        TAKE(.domain = "loop.test", .reference = reference_of(ALICE, at_ms - 3 + i));
    ck_assert_ptr_nonnull(suspended(ALICE));
    at_ms = NOW;
    const struct action action = {at_ms, "anna", "the clock was wrong"};
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_COMPLAINTS, &action), 1);
    at_ms += HOUR_MS;
    for (int i = 0; i < 3; i++)
        TAKE(.domain = "loop.test", .reference = reference_of(ALICE, at_ms - 3 + i));
    ck_assert_ptr_nonnull(suspended(ALICE));
    end();
}
END_TEST

START_TEST(test_withdrawn)
{
    begin(_i, USUAL);
    const char *first = reference_of(ALICE, at_ms), *second = reference_of(ALICE, at_ms + 1);
    TAKE(.domain = "loop.test", .reference = first);
    TAKE(.domain = "loop.test", .reference = second);
    TAKE(.domain = "stranger.test", .reference = first, .type = "not-spam"); /* not his */
    ck_assert_uint_eq(counting(ALICE), 2);
    TAKE(.domain = "loop.test", .reference = first, .type = "not-spam");
    TAKE(.domain = "loop.test", .reference = second, .type = "auth-failure");
    TAKE(.type = "not-spam");
    ck_assert_uint_eq(counting(ALICE), 1);
    TAKE(.domain = "loop.test", .reference = reference_of(ALICE, at_ms + 2));
    ck_assert_ptr_null(suspended(ALICE));
    TAKE(.domain = "loop.test", .reference = reference_of(ALICE, at_ms + 3), .type = "auth-failure");
    ck_assert_uint_eq(complaints_of(ALICE), 3);
    ck_assert_uint_eq(waiting().count, 0);
    end();
}
END_TEST

/* ---- forged ones ----------------------------------------------------------------------------- */

/* A message that many have: each of them knows its header. */
START_TEST(test_public_header)
{
    begin(_i, USUAL);
    const char *public = reference_of(ALICE, at_ms);
    for (int i = 0; i < 9; i++)
        TAKE(.domain = arena_printf(arena, "invented%d.test", i), .reference = public,
             .incidents = 1000);
    ck_assert_uint_eq(complaints_of(ALICE), 9);
    ck_assert_uint_eq(counting(ALICE), 1);
    TAKE(.domain = "a.evil.test", .reference = reference_of(ALICE, at_ms + 1));
    TAKE(.domain = "b.evil.test", .reference = reference_of(ALICE, at_ms + 2));
    TAKE(.domain = "c.evil.test", .reference = reference_of(ALICE, at_ms + 3));
    ck_assert_ptr_null(suspended(ALICE)); /* one owner of names below one */
    TAKE(.domain = "other.test", .reference = reference_of(ALICE, at_ms + 4));
    ck_assert_ptr_nonnull(suspended(ALICE)); /* three domains about three messages */
    end();
}
END_TEST

START_TEST(test_from_alone)
{
    begin(_i, USUAL);
    for (int i = 0; i < 5; i++)
        TAKE(.domain = "loop.test", .incidents = 1000 + i);
    TAKE(.domain = "loop.test", .message_id = "unknown@example.test",
         .queue_id = long_queue_id(at_ms));
    TAKE(.domain = "loop.test", .reference = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    ck_assert_uint_eq(complaints_of(ALICE), 0);
    struct waiting_reports list = waiting();
    ck_assert_uint_eq(list.count, 7);
    for (size_t i = 0; i < list.count; i++) {
        ck_assert_str_eq(list.of[i].mailbox, "");
        ck_assert_str_eq(list.of[i].domain, "example.test");
        ck_assert(list.of[i].of_loop);
    }
    TAKE(.domain = "loop.test", .from = "eve@foreign.test");
    ck_assert_str_eq(waiting().of[7].domain, "");
    end();
}
END_TEST

START_TEST(test_unknown_reporter)
{
    begin(_i, USUAL);
    const char *reference = reference_of(ALICE, at_ms);
    TAKE(.reference = reference);
    TAKE(.reference = reference, .incidents = 5); /* in other words */
    take_text(arena_printf(arena, "Authentication-Results: evil.test; dkim=pass header.d=loop.test\r\n%s",
                           report_of(&(struct told){.reference = reference_of(ALICE, at_ms + 1)})));
    ck_assert_uint_eq(complaints_of(ALICE), 0);
    struct waiting_reports list = waiting();
    ck_assert_uint_eq(list.count, 2);
    ck_assert_str_eq(list.of[0].mailbox, ALICE);
    ck_assert_int_eq(list.of[0].admitted_ms, NOW);
    ck_assert_uint_eq(list.of[0].reporter, 0);
    end();
}
END_TEST

/* A loop whose domain others write from too is named by its address. */
START_TEST(test_loop_by_address)
{
    begin(_i, USUAL);
    const struct told forged[] = {
        {.domain = "free.test", .sender = "eve@free.test"},
        {.domain = "evil.test", .sender = "staff@free.test"},
        {.domain = "free.test", .sender = "\"<staff@free.test>\" <eve@free.test"},
        {.domain = "free.test", .sender = "staff@free.test>, <eve@free.test"},
    };
    for (size_t i = 0; i < countof(forged); i++) {
        struct told told = forged[i];
        told.reference = reference_of(ALICE, at_ms + (int64_t)i);
        take_text(report_of(&told));
        complaints_of(ALICE);
        ck_assert_uint_eq(of_mailbox.count, i + 1);
        ck_assert_int_eq(of_mailbox.of[i].source, COMPLAINT_OF_DOMAIN);
    }
    TAKE(.domain = "free.test", .sender = "Staff@Free.test",
         .reference = reference_of(ALICE, at_ms + 10));
    complaints_of(ALICE);
    ck_assert_int_eq(of_mailbox.of[countof(forged)].source, COMPLAINT_OF_LOOP);
    end();
}
END_TEST

/* What counts is whose message it was, not who is named beside it. */
START_TEST(test_header_of_anothers_message)
{
    begin(_i, USUAL);
    for (int i = 0; i < 3; i++)
        TAKE(.domain = "loop.test", .reference = reference_of(BOB, at_ms + i), .from = ALICE);
    ck_assert_uint_eq(complaints_of(ALICE), 0);
    ck_assert_ptr_null(suspended(ALICE));
    ck_assert_ptr_nonnull(suspended(BOB));
    end();
}
END_TEST

/* ---- whose message --------------------------------------------------------------------------- */

START_TEST(test_incidents_of_a_loop)
{
    begin(_i, USUAL);
    const char *id = send_followed(ALICE, 2);
    const char *reference = reference_make(
        token_key, arena, &(struct reference){.at_ms = at_ms, .queue_id = id, .mailbox = ALICE});
    TAKE(.domain = "loop.test", .reference = reference, .incidents = 1000);
    complaints_of(ALICE);
    ck_assert_uint_eq(of_mailbox.of[0].incidents, 2); /* it had two recipients */
    ck_assert_ptr_null(suspended(ALICE));
    TAKE(.domain = "loop.test", .reference = reference_of(ALICE, at_ms), .incidents = 1000);
    complaints_of(ALICE);
    ck_assert_uint_eq(of_mailbox.of[1].incidents, 1); /* nobody knows how many */
    ck_assert_ptr_nonnull(suspended(ALICE));
    end();
}
END_TEST

START_TEST(test_by_queue_id)
{
    begin(_i, USUAL);
    const char *followed = send_followed(ALICE, 1);
    const char *unseen = long_queue_id(at_ms); /* the log has nothing of it */
    uint64_t decision = admit(unseen, BOB);
    TAKE(.domain = "loop.test", .queue_id = followed);
    ck_assert_uint_eq(complaints_of(ALICE), 1);
    ck_assert_uint_ne(of_mailbox.of[0].decision, 0);
    TAKE(.domain = "loop.test", .queue_id = unseen, .from = "eve@foreign.test");
    ck_assert_uint_eq(complaints_of(BOB), 1);
    ck_assert_uint_eq(of_mailbox.of[0].decision, decision);
    TAKE(.domain = "loop.test", .reference = reference_make(
             token_key, arena, &(struct reference){.at_ms = at_ms, .queue_id = followed,
                                                   .mailbox = ALICE}));
    ck_assert_uint_eq(complaints_of(ALICE), 1); /* the same message by its header */
    TAKE(.domain = "loop.test", .queue_id = "868E3A74626");
    ck_assert_uint_eq(complaints_of(ALICE), 1);
    ck_assert_uint_eq(waiting().count, 1);
    end();
}
END_TEST

START_TEST(test_by_message_id)
{
    begin(_i, USUAL);
    const char *id = send_followed(ALICE, 1);
    TAKE(.domain = "loop.test", .message_id = arena_printf(arena, "%s@example.test", id));
    ck_assert_uint_eq(complaints_of(ALICE), 1);
    TAKE(.domain = "loop.test", .from = BOB,
         .message_id = arena_printf(arena, "%s@example.test", id));
    ck_assert_uint_eq(complaints_of(BOB), 0);
    ck_assert_uint_eq(waiting().count, 1);
    end();
}
END_TEST

/* ---- who is spared --------------------------------------------------------------------------- */

static void three_about(const char *mailbox)
{
    for (int i = 0; i < 3; i++)
        TAKE(.domain = "loop.test", .reference = reference_of(mailbox, at_ms - 3 + i));
}

static bool has_entry(const char *action, const char *subject)
{
    struct audit entries[20];
    struct store_page page = {.max = 20};
    ck_assert_int_eq(store_audit_newest(store, subject, INT64_MAX, entries, &page), 1);
    for (size_t i = 0; i < page.count; i++)
        if (strcmp(entries[i].action, action) == 0)
            return true;
    return false;
}

START_TEST(test_exempt)
{
    begin(_i, USUAL);
    three_about("free@example.test");
    ck_assert_uint_eq(complaints_of("free@example.test"), 3);
    ck_assert_ptr_null(suspended("free@example.test"));
    end();
}
END_TEST

START_TEST(test_observe)
{
    begin(_i, WITH("complaints.authserv_id=" OURS, "complaints.loops=loop.test",
                   "guard.mode=observe"));
    three_about(ALICE);
    ck_assert_ptr_null(suspended(ALICE));
    ck_assert(has_entry("complaints", ALICE));
    ck_assert(!has_entry("suspend", ALICE));
    rig_reload(USUAL);
    TAKE(.domain = "loop.test", .reference = reference_of(ALICE, at_ms - 1));
    ck_assert_ptr_null(suspended(ALICE)); /* the three have been used up */
    end();
}
END_TEST

START_TEST(test_settings)
{
    begin(_i, WITH("complaints.authserv_id=" OURS, "complaints.loops=loop.test",
                   "complaints.count=2", "complaints.window=1h", "suspension.complaints=2h"));
    TAKE(.domain = "loop.test", .reference = reference_of(ALICE, at_ms));
    TAKE(.domain = "loop.test", .reference = reference_of(ALICE, at_ms + HOUR_MS));
    ck_assert_ptr_null(suspended(ALICE));
    TAKE(.domain = "loop.test", .reference = reference_of(ALICE, at_ms + 1));
    ck_assert_int_eq(suspended(ALICE)->until_ms, at_ms + 2 * HOUR_MS);
    end();
}
END_TEST

/* ---- other forms ----------------------------------------------------------------------------- */

START_TEST(test_forms)
{
    begin(_i, USUAL);
    char *cr = arena_strdup(arena, report_of(&(struct told){
                                       .domain = "loop.test", .reference = reference_of(ALICE, at_ms)}));
    size_t length = 0;
    for (const char *from = cr; *from != '\0'; from++)
        if (*from != '\n')
            cr[length++] = *from;
    cr[length] = '\0';
    take_text(cr);
    ck_assert_uint_eq(complaints_of(ALICE), 1);
    take_text(arena_printf(arena,
                           "Authentication-Results: " OURS "; dkim=pass header.d=free.test\r\n"
                           "From: staff@free.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
                           "--b\r\nContent-Type: message/rfc822\r\n\r\n"
                           "X-HmXmrOriginalRecipient: b@x.test\r\n" REFERENCE_HEADER ": %s\r\n\r\n"
                           "Buy.\r\n--b--\r\n", reference_of(ALICE, at_ms + 1)));
    ck_assert_uint_eq(complaints_of(ALICE), 2);
    const char *whole = report_of(&(struct told){.domain = "loop.test",
                                                 .reference = reference_of(ALICE, at_ms + 2)});
    for (size_t cut = 0; cut < strlen(whole); cut += 7)
        take_text(arena_strndup(arena, whole, cut)); /* broken ones suspend nobody twice */
    take_text("Subject: a question\r\n\r\nWhere are you?\r\n");
    ck_assert_uint_le(complaints_of(ALICE), 3);
    char *large = arena_alloc(arena, REPORT_BYTES_MAX + 2);
    memset(large, 'x', REPORT_BYTES_MAX + 1);
    take_text(large);
    end();
}
END_TEST

/* What staff has not dealt with is a list that ends somewhere, and is forgotten. */
START_TEST(test_many_wait)
{
    begin(_i, USUAL);
    for (int i = 0; i < WAITING_REPORTS_MAX + 3; i++)
        TAKE(.domain = "loop.test", .incidents = i + 1);
    ck_assert_uint_eq(waiting().count, WAITING_REPORTS_MAX);
    at_ms += WAITING_REPORTS_KEPT_MS;
    ck_assert_uint_eq(waiting().count, 0);
    end();
}
END_TEST

/* A damaged value begins anew. */
START_TEST(test_damaged)
{
    begin(_i, USUAL);
    static struct values_done done;
    const struct value_change changes[] = {
        {.value = {.kind = VALUE_COMPLAINTS, .key = ALICE, .bytes = "?", .length = 1,
                   .until_ms = UNTIL_LIFTED}},
        {.value = {.kind = VALUE_REPORT, .key = COMPLAINT_STEP_WAITING, .bytes = "?", .length = 1,
                   .until_ms = UNTIL_LIFTED}}};
    const struct values_step step = {.changes = changes, .count = 2, .now_ms = at_ms};
    ck_assert_int_eq(store_values_change(store, &step, &done), 1);
    ck_assert_uint_eq(complaints_of(ALICE), 0);
    ck_assert_uint_eq(waiting().count, 0);
    TAKE(.domain = "loop.test", .reference = reference_of(ALICE, at_ms));
    TAKE(.domain = "loop.test");
    ck_assert_uint_eq(complaints_of(ALICE), 1);
    ck_assert_uint_eq(waiting().count, 1);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reports");
    TCase *tcase = rig_case(suite, "reports");
    tcase_add_loop_test(tcase, test_three_suspend, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_one_run_one_offence, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_replayed_much_later, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_ended_by_staff, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_clock_set_back, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_withdrawn, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_public_header, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_from_alone, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_unknown_reporter, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_loop_by_address, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_header_of_anothers_message, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_incidents_of_a_loop, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_by_queue_id, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_by_message_id, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_exempt, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_observe, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_settings, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_forms, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_many_wait, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_damaged, 0, BACKEND_KINDS);
    return backends_run(suite);
}
