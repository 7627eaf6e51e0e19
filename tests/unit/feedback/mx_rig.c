#include "tests/unit/feedback/mx_rig.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const sources[MX_SERVERS] = {"mx1 journal", "mx2 journal"};
struct follower *mx_followers[MX_SERVERS];
struct snapshot *mx_snapshot;
static int last_message;
/* Lines that are read and not written: a follower that ends then leaves them to the next one. */
static struct logged {
    int64_t at_ms, now_ms;
    const char *program, *body;
} unwritten[MX_SERVERS][MX_UNWRITTEN_MAX];
static size_t unwritten_count[MX_SERVERS];

void mx_follow(int server, int64_t now_ms)
{
    follower_free(&mx_followers[server]);
    ck_assert_int_eq(
        follower_new(store, token_key, sources[server], now_ms, &mx_followers[server]), 1);
    follower_set_settings(mx_followers[server], snapshot_settings(mx_snapshot));
}

void mx_begin_with(int backend, const char *const *overrides)
{
    rig_begin(backend, overrides);
    mx_snapshot = guard_snapshot(guard);
    last_message = 0;
    for (int i = 0; i < MX_SERVERS; i++) {
        unwritten_count[i] = 0;
        mx_follow(i, NOW);
    }
}

void mx_begin(int backend) { mx_begin_with(backend, DEFAULTS); }

void mx_end(void)
{
    for (int i = 0; i < MX_SERVERS; i++)
        follower_free(&mx_followers[i]);
    snapshot_release(&mx_snapshot);
}

/* ---- lines --------------------------------------------------------------------------------------- */

static void read_line(int server, const struct logged *logged)
{
    const struct mail_log_line one = {.stamp_us = logged->at_ms * 1000, .count = 1,
                                      .program = {logged->program, strlen(logged->program)},
                                      .body = {logged->body, strlen(logged->body)}};
    int64_t now_ms = logged->now_ms;
    int answer;
    while ((answer = follower_line(mx_followers[server], &one, now_ms)) == 0)
        now_ms += FOLLOWER_AGAIN_MS;
    ck_assert_int_eq(answer, 1);
}

int64_t mx_late_ms;

void mx_line(int server, int64_t at_ms, const char *program, const char *format, ...)
{
    char body[1000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(body, sizeof body, format, arguments);
    va_end(arguments);
    struct logged *logged = &unwritten[server][unwritten_count[server]++];
    ck_assert_uint_lt(unwritten_count[server], MX_UNWRITTEN_MAX);
    *logged = (struct logged){at_ms, at_ms + mx_late_ms, program, arena_strdup(arena, body)};
    read_line(server, logged);
}

static void judge_message(const char *queue_id, const char *mailbox, int64_t at_ms)
{
    struct submission submission;
    struct problem problem;
    submission_init(&submission, arena, CHANNEL_SMTP);
    const char *id = arena_printf(arena, "%s/0.0", queue_id);
    ck_assert_int_eq(submission_set_id(&submission, id, strlen(id), &problem), 1);
    rig_mailbox(&submission, mailbox);
    rig_add(&submission, FIELD_TO, "b@x.test");
    ck_assert_int_eq(rig_judge(&submission, at_ms).kind, VERDICT_ADMIT);
}

/* A message that is in the queue: its id. */
const char *mx_queue_message(int server, const char *mailbox, int64_t at_ms)
{
    const char *queue_id = arena_printf(arena, "E%dA%06d", server, last_message);
    last_message++;
    mx_line(server, at_ms, "smtpd", "%s: client=unknown[192.0.2.7], sasl_method=PLAIN, "
         "sasl_username=%s", queue_id, mailbox);
    judge_message(queue_id, mailbox, at_ms);
    mx_line(server, at_ms, "qmgr", "%s: from=<%s>, size=363, nrcpt=1 (queue active)", queue_id, mailbox);
    return queue_id;
}

void mx_outcome(int server, const char *queue_id, const char *to, enum came came, int64_t at_ms)
{
    static const char *const says[] = {
        [SENT] = "dsn=2.0.0, status=sent (250 2.0.0 OK)",
        [UNKNOWN] = "dsn=5.1.1, status=bounced (host mx.x.test[192.0.2.25] said: 550 5.1.1 no such "
                    "user (in reply to RCPT TO command))",
        [SPAM] = "dsn=5.7.1, status=bounced (host mx.x.test[192.0.2.25] said: 550 5.7.1 spam (in "
                 "reply to end of DATA command))",
        [DOWN] = "dsn=4.3.2, status=deferred (host mx.x.test[192.0.2.25] said: 451 4.3.0 trouble "
                 "(in reply to end of DATA command))",
        [GREY] = "dsn=4.2.0, status=deferred (host mx.x.test[192.0.2.25] said: 450 4.2.0 greylisted "
                 "(in reply to RCPT TO command))",
    };
    if (came == REFUSED)
        mx_line(server, at_ms, "smtp", "%s: to=<%s>, relay=none, delay=0.1, delays=0.01/0.01/0.04/0, "
             "dsn=4.4.1, status=deferred (connect to mx.x.test[192.0.2.25]:25: Connection refused)",
             queue_id, to);
    else
        mx_line(server, at_ms, "smtp", "%s: to=<%s>, relay=mx.x.test[192.0.2.25]:25, delay=0.1, "
             "delays=0.01/0.01/0.04/0.05, %s", queue_id, to, says[came]);
}

/* A message of its own, to one recipient. */
void mx_send_one(const char *mailbox, enum came came, int64_t at_ms)
{
    mx_outcome(0, mx_queue_message(0, mailbox, at_ms), "b@x.test", came, at_ms);
}

void mx_written(int server) { unwritten_count[server] = 0; }

void mx_write_down(int server, int64_t now_ms)
{
    ck_assert_int_eq(follower_write(mx_followers[server], "place", now_ms), 1);
    mx_written(server);
}

/* The program ends, and another one goes on where the store is. */
void mx_begin_again(int server, int64_t now_ms)
{
    mx_follow(server, now_ms);
    for (size_t i = 0; i < unwritten_count[server]; i++)
        read_line(server, &unwritten[server][i]);
}

/* The log has nothing more until then, as the follower sees it twice a second. */
void mx_rest(int server, int64_t now_ms)
{
    ck_assert_int_eq(follower_read_until(mx_followers[server], now_ms, now_ms), 1);
    if (follower_has_changes(mx_followers[server]))
        mx_write_down(server, now_ms);
}

size_t mx_entries_of(const char *action, bool of_recipients,
                     struct audit entries_r[MX_ENTRIES_MAX])
{
    struct audit *all = arena_alloc(arena, MX_ENTRIES_MAX * sizeof *all);
    struct store_page page = {.max = MX_ENTRIES_MAX};
    size_t count = 0;
    ck_assert_int_eq(store_audit(store, 0, all, &page), 1);
    for (size_t i = 0; i < page.count; i++)
        if (strcmp(all[i].action, action) == 0 &&
            (all[i].subject[0] == '(') == of_recipients)
            entries_r[count++] = all[i];
    return count;
}
