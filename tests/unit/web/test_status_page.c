/* The status page, from a request to the page: what it tells in each state, in
 * each language, and that it tells nothing to who has no link that holds. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/decision.h"
#include "base/json.h"
#include "store/adjustments.h"
#include "store/audit.h"
#include "store/observations.h"
#include "store/records.h"
#include "store/suspensions.h"
#include "guard/block_list.h"
#include "guard/logins.h"
#include "tests/unit/guard/guard_rig.h"
#include "web/web.h"

enum { LOG_BYTES = 16 * 1024 };

static struct web web;
static struct http_response response;
static struct recorder *recorder;

static void begin(int backend, const char *const *overrides)
{
    rig_begin(backend, overrides);
    recorder = recorder_start(store);
    web = (struct web){.desk = {store, guard, token_key}, .key = token_key, .recorder = recorder};
    pthread_mutex_init(&web.metrics.lock, NULL);
    response = (struct http_response){.status = 200};
}

static void end(void)
{
    http_response_free(&response);
    recorder_stop(&recorder);
    pthread_mutex_destroy(&web.metrics.lock);
}

/* ---- requests ------------------------------------------------------------------ */

static const char *link_of(const char *mailbox, int64_t expires_ms)
{
    return arena_printf(arena, "t=%s", token_make(token_key, arena,
                                   &(struct status_link){.mailbox = mailbox,
                                                         .made_ms = expires_ms - DAY_MS,
                                                         .expires_ms = expires_ms}));
}

static const char *alices(void) { return link_of(ALICE, NOW + DAY_MS); }

static void ask(struct raw_request raw, int64_t now_ms)
{
    raw.url = "/sending/status";
    raw.peer = "192.0.2.1";
    http_response_free(&response);
    web_answer(&web, &raw, NULL, arena, now_ms, &response);
}

/* A page is too long for check's messages: its heading says which it is. */
static void check_has(const char *html, const char *part)
{
    const char *heading = strstr(html, "<h1>");
    ck_assert_msg(strstr(html, part) != NULL, "no \"%s\" in: %.200s", part,
                  heading != NULL ? heading : html);
}

static void check_has_not(const char *html, const char *part)
{
    const char *found = strstr(html, part);
    ck_assert_msg(found == NULL, "%.200s", found);
}

/* The page that the link opens. */
static const char *page(const char *query, const char *language, int64_t now_ms)
{
    ask((struct raw_request){.method = "GET", .query = query, .accept = "text/html",
                             .accept_language = language},
        now_ms);
    return text_string(&response.body);
}

static const char *open_page(const char *query, int64_t now_ms)
{
    const char *html = page(query, "en", now_ms);
    ck_assert_int_eq(response.status, 200);
    return html;
}

static void post(const char *body, const char *accept, int64_t now_ms)
{
    ask((struct raw_request){.method = "POST", .body = body, .body_length = strlen(body),
                             .content_type = "application/x-www-form-urlencoded",
                             .accept = accept},
        now_ms);
}

static const char *header(const char *name)
{
    for (size_t i = 0; i < response.header_count; i++)
        if (strcmp(response.headers[i].name, name) == 0)
            return response.headers[i].value;
    return "";
}

static const char *with_decision(uint64_t decision)
{
    char text[DECISION_TEXT_SIZE];
    decision_format(decision, text);
    return arena_printf(arena, "%s&d=%s", alices(), text);
}

static struct verdict refuse(struct submission submission, enum verdict_kind kind, int64_t now_ms)
{
    struct verdict verdict = rig_judge(&submission, now_ms);
    ck_assert_int_eq(verdict.kind, kind);
    return verdict;
}

/* Two messages a day, and the third brings a pause of 24 hours from NOW on. */
#define TWO_A_DAY "limits.webmail.messages_per_day=2", "support.contact=support@example.test"
static struct verdict pause_alice(void)
{
    rig_send("sent", 2, NOW - HOUR_MS, MINUTE_MS);
    return refuse(rig_message("third", 1), VERDICT_SUSPENDED, NOW);
}

/* ---- links that do not hold ----------------------------------------------------------- */

/* One answer for all of them, with the same words, and no word about a mailbox. */
START_TEST(test_links_that_do_not_hold)
{
    begin(_i, DEFAULTS);
    char *changed = arena_strdup(arena, alices());
    size_t last = strlen(changed) - 1;
    changed[last] = changed[last] == 'A' ? 'Q' : 'A';
    const char *queries[] = {NULL, "", "t=", "t=x", changed,
                             link_of(ALICE, NOW), "d=7K3M-Q2XD-9F4A",
                             arena_printf(arena, "%sA", alices())};
    const char *first = arena_strdup(arena, page("t=none", "en", NOW));
    ck_assert_int_eq(response.status, 403);
    check_has(first, "Sending status");
    check_has_not(first, "alice");
    for (size_t i = 0; i < countof(queries); i++) {
        ck_assert_str_eq(page(queries[i], "en", NOW), first);
        ck_assert_int_eq(response.status, 403);
    }
    post("t=forged&action=lock", "text/html", NOW);
    ck_assert_int_eq(response.status, 403);
    end();
}
END_TEST

START_TEST(test_links_that_do_not_hold_as_json)
{
    begin(_i, DEFAULTS);
    ask((struct raw_request){.method = "GET", .query = link_of(ALICE, NOW),
                             .accept = "application/json"},
        NOW);
    ck_assert_int_eq(response.status, 403);
    ck_assert_str_eq(response.type, "application/problem+json");
    freed_by(json_put) struct json_object *problem =
        rig_json(response.body.data, response.body.length);
    ck_assert_int_eq(json_int(problem, "status", 0), 403);
    check_has(rig_text(problem, "detail"), "Settings");
    check_has_not(text_string(&response.body), "alice");
    end();
}
END_TEST

/* A link opens the page of its own mailbox, whatever decision is asked for. */
START_TEST(test_decision_of_another_mailbox)
{
    begin(_i, DEFAULTS);
    struct submission bobs = rig_message("b", 51);
    rig_mailbox(&bobs, BOB);
    uint64_t decision = refuse(bobs, VERDICT_MESSAGE, NOW).decision;
    const char *html = open_page(with_decision(decision), NOW);
    check_has(html, "<h1>You can send</h1>");
    check_has_not(html, "x.test");
    check_has_not(html, "51 recipients"); /* not 51 alone, which the page's own token may hold */
    check_has_not(html, "bob@");
    end();
}
END_TEST

/* ---- states ------------------------------------------------------------------------------ */

START_TEST(test_never_seen)
{
    begin(_i, DEFAULTS);
    const char *html = open_page(alices(), NOW);
    ck_assert_str_eq(response.type, "text/html; charset=utf-8");
    check_has(html, "<html lang=\"en\">");
    check_has(html, "<h1>You can send</h1>");
    check_has(html, "0 of 600 used, 600 left");
    check_has(html, "value=\"0\"");
    check_has(html, "ask for your password");
    check_has(html, "<summary>That wasn");
    check_has_not(html, "<table>");
    end();
}
END_TEST

/* The link of a refusal, when the mailbox can send again: nothing is to be explained but that message. */
START_TEST(test_refused_before)
{
    begin(_i, WITH(TWO_A_DAY));
    uint64_t decision = pause_alice().decision;
    const struct action action = {NOW + 1, "ada", "for the test"};
    check_has(open_page(with_decision(decision), NOW + 1), "<h2>Why</h2>");
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_VOLUME, &action), 1);
    rig_reload(WITH("limits.webmail.messages_per_day=9"));
    const char *html = open_page(with_decision(decision), NOW + MINUTE_MS);
    check_has(html, "<h1>You can send</h1>");
    check_has(html, "<h2>The message that was not sent</h2>");
    check_has_not(html, "<h2>Why</h2>");
    check_has_not(html, "The message that was not sent:");
    end();
}
END_TEST

START_TEST(test_too_big)
{
    begin(_i, DEFAULTS);
    struct submission submission = rig_message("big", 57);
    rig_add(&submission, FIELD_TO, "secret-friend@elsewhere.test");
    uint64_t decision = refuse(submission, VERDICT_MESSAGE, NOW).decision;
    const char *html = open_page(with_decision(decision), NOW);
    check_has(html, "<h1>This message has too many recipients</h1>");
    check_has(html, "57 recipients at x.test; the limit for one domain is 50. That is 7 too "
                        "many.");
    check_has(html, "0 of 600 used");
    check_has_not(html, "secret-friend");
    char reference[DECISION_TEXT_SIZE];
    decision_format(decision, reference);
    check_has(html, reference);
    end();
}
END_TEST

/* A recipient over its limit is not named, since others may have the link. */
START_TEST(test_recipients_full)
{
    begin(_i, WITH("limits.webmail.messages_per_day_per_recipient=1"));
    struct submission submission = rig_submission("1");
    rig_add(&submission, FIELD_TO, "secret-friend@elsewhere.test");
    ck_assert_int_eq(rig_judge(&submission, NOW).kind, VERDICT_ADMIT);
    submission = rig_submission("2");
    rig_add(&submission, FIELD_TO, "secret-friend@elsewhere.test");
    uint64_t decision = refuse(submission, VERDICT_OVER_TIME, NOW).decision;
    const char *html = open_page(with_decision(decision), NOW);
    check_has(html, "<h1>The limit for a recipient of this message is used up</h1>");
    check_has(html, "Without this recipient you can send it now.");
    check_has(html, "It would have been message 2 to one of its recipients within 24 hours; the "
                    "limit for one recipient is 1.");
    check_has(html, "A program that reports again and again");
    check_has(html, "Messages in 24 hours to one recipient");
    check_has_not(html, "secret-friend");
    end();
}
END_TEST

/* In the words of staff, which are no markup. */
START_TEST(test_sender_blocked)
{
    begin(_i, DEFAULTS);
    const struct block_entry entry = {.kind = BLOCK_SENDER, .subject = ALICE,
                                      .scope = BLOCK_SCOPE_ALL, .reason = "Pay <b>first</b>",
                                      .by = "ada", .note = "", .until_ms = UNTIL_LIFTED};
    ck_assert_int_eq(block_list_add(store, &entry, 1, &(struct action){NOW, "ada", "-"}), 1);
    guard_outdate_blocks(guard);
    const char *html = open_page(alices(), NOW);
    check_has(html, "<h1>Mail from this mailbox is not accepted</h1>");
    check_has(html, "<p>Pay &lt;b&gt;first&lt;/b&gt;.</p>");
    check_has(html, "Nothing that you send is accepted or counted.");
    check_has_not(html, "<title> ");
    end();
}
END_TEST

START_TEST(test_over_time)
{
    begin(_i, WITH("limits.webmail.off_domain_per_day=10", "on_limit.off_domain_per_day=refuse"));
    struct submission first = rig_message("first", 8);
    ck_assert_int_eq(rig_judge(&first, NOW - HOUR_MS).kind, VERDICT_ADMIT);
    uint64_t decision = refuse(rig_message("second", 5), VERDICT_OVER_TIME, NOW).decision;
    const char *html = open_page(with_decision(decision), NOW);
    check_has(html, "<h1>This message was more than your limit has left</h1>");
    check_has(html, "13 recipients outside your domain within 24 hours; the limit is 10.");
    check_has(html, "8 of 10 used, 2 left");
    check_has(html, "8 recipients: <time datetime=\"2025-11-23T04:40:00Z\">Sunday 04:40");
    end();
}
END_TEST

START_TEST(test_full)
{
    begin(_i, WITH(TWO_A_DAY, "on_limit.messages_per_day=refuse"));
    rig_send("sent", 2, NOW - HOUR_MS, MINUTE_MS);
    const char *html = open_page(alices(), NOW);
    check_has(html, "used up until <time datetime=\"2025-11-23T04:40:00Z\">Sunday 04:40</time>");
    check_has(html, "in 23 h");
    check_has(html, "Messages in 24 hours: 2 of 2 used, 0 left.");
    check_has(html, "value=\"100\"");
    end();
}
END_TEST

START_TEST(test_paused)
{
    begin(_i, WITH(TWO_A_DAY));
    uint64_t decision = pause_alice().decision;
    const char *html =
        open_page(arena_printf(arena, "%s&tz=Europe/Berlin", with_decision(decision)), NOW);
    check_has(html, "Sending is paused until <time datetime=\"2025-11-23T05:40:00Z\">Sunday "
                        "06:40</time>");
    check_has(html, "in 24 h");
    check_has(html, "Receiving, reading and writing drafts work as always.");
    check_has(html, "It would have been message 3 within 24 hours; the limit is 2.");
    check_has(html, "newsletter service");
    check_has(html, "from attempt 10 on");
    check_has(html, "href=\"mailto:support@example.test?subject=Sending%20is%20paused%3A%20"
                        "alice%40example.test%20");
    check_has(html, "Write from another mailbox");
    check_has(html, "<span class=\"zone\">Europe/Berlin</span>");
    check_has(open_page(alices(), NOW), "Sunday 05:40</time>"); /* UTC, when none is known */
    end();
}
END_TEST

START_TEST(test_attempts)
{
    begin(_i, WITH(TWO_A_DAY, "suspension.retries_before_restart=3"));
    pause_alice();
    refuse(rig_message("again", 10), VERDICT_SUSPENDED, NOW + MINUTE_MS);
    const char *html = open_page(alices(), NOW + HOUR_MS);
    check_has(html, "sending was tried once more");
    check_has(html, "from attempt 3 on");
    for (int i = 2; i <= 3; i++)
        refuse(rig_message(arena_printf(arena, "again-%d", i), 10 + i), VERDICT_SUSPENDED,
               NOW + i * MINUTE_MS);
    html = open_page(alices(), NOW + HOUR_MS);
    check_has(html, "sending was tried 3 more times");
    check_has(html, "each further message now starts the pause anew");
    check_has(html, "<time datetime=\"2025-11-23T05:43:00Z\">");
    end();
}
END_TEST

START_TEST(test_exempt)
{
    begin(_i, WITH("exempt.mailbox=" ALICE));
    const char *html = open_page(alices(), NOW);
    check_has(html, "No limits apply to this mailbox.");
    check_has_not(html, "<meter");
    end();
}
END_TEST

/* Each step is told, a few of them alone, and the last line holds all the rest. */
START_TEST(test_what_comes_back)
{
    begin(_i, DEFAULTS);
    rig_send("m", 3, NOW - HOUR_MS, 10 * MINUTE_MS);
    const char *html = open_page(alices(), NOW);
    check_has(html, "1 message: <time datetime=\"2025-11-23T05:00:00Z\">");
    check_has_not(html, "the rest");
    rig_send("n", 6, NOW - 20 * MINUTE_MS, 20 * SECOND_MS);
    html = open_page(alices(), NOW);
    check_has(html, "1 message: <time datetime=\"2025-11-23T05:00:00Z\">");
    check_has_not(html, "at <time datetime=\"2025-11-23T05:2");
    check_has(html, "the rest (6) by <time datetime=\"2025-11-23T05:21:40Z\">Sunday 05:22<");
    check_has(html, "9 of 600 used, 591 left");
    end();
}
END_TEST

/* Moments that read alike are one line. */
START_TEST(test_what_comes_back_in_a_minute)
{
    begin(_i, DEFAULTS);
    rig_send("m", 4, NOW - HOUR_MS + SECOND_MS, 10 * SECOND_MS);
    const char *html = open_page(alices(), NOW);
    check_has(html, "4 messages: <time datetime=\"2025-11-23T04:40:31Z\">Sunday 04:41<");
    check_has(html, "4 recipients: <time datetime=\"2025-11-23T04:40:31Z\">Sunday 04:41<");
    check_has_not(html, "the rest");
    end();
}
END_TEST

START_TEST(test_messages)
{
    begin(_i, DEFAULTS);
    rig_send("m", 51, NOW - HOUR_MS, SECOND_MS);
    const char *html = open_page(alices(), NOW);
    check_has(html, "<caption>");
    check_has(html, "192.0.2.0/24");
    check_has_not(html, "192.0.2.1");
    check_has(html, "webmail</td>");
    check_has(html, "And one older message.");
    check_has_not(html, "@x.test");
    end();
}
END_TEST

/* ---- "That wasn't me" --------------------------------------------------------------------- */

/* Lines that are logged from here on, until log_end gives them in `arena`. */
static int log_ends[2], log_before;
static void log_begin(void)
{
    ck_assert_int_eq(pipe2(log_ends, O_NONBLOCK | O_CLOEXEC), 0);
    log_before = log_set_fd(log_ends[1]);
}

static const char *log_end(void)
{
    char *lines = arena_alloc(arena, LOG_BYTES + 1);
    log_set_fd(log_before);
    ssize_t length = read(log_ends[0], lines, LOG_BYTES);
    lines[length > 0 ? length : 0] = '\0';
    close(log_ends[0]);
    close(log_ends[1]);
    return lines;
}

static uint64_t locks_counted(void)
{
    struct counter counters[64];
    struct store_page page = {.max = countof(counters)};
    ck_assert_int_eq(recorder_flush(recorder, clock_wall_ms()), 1);
    ck_assert_int_eq(store_counters(store, "", counters, &page), 1);
    for (size_t i = 0; i < page.count; i++)
        if (strcmp(counters[i].name, "user_locks") == 0)
            return counters[i].value;
    return 0;
}

START_TEST(test_lock)
{
    begin(_i, DEFAULTS);
    uint64_t decision = refuse(rig_message("big", 51), VERDICT_MESSAGE, NOW).decision;
    const char *plain = with_decision(decision);
    const char *query = arena_printf(arena, "%s&tz=Europe/Berlin", plain);
    const char *html = open_page(query, NOW);
    check_has(html, "name=\"action\" value=\"lock\"");
    check_has(html, "name=\"tz\" value=\"Europe/Berlin\"");

    /* the language of the webmail, not of the browser, as long as one goes on from that link */
    html = open_page(arena_printf(arena, "%s&lang=de-DE", query), NOW);
    check_has(html, "<html lang=\"de\">");
    check_has(html, "name=\"lang\" value=\"de\"");
    check_has(open_page(arena_printf(arena, "%s&lang=%%22><b>", query), NOW), "<html lang=\"en\">");

    log_begin();
    post(arena_printf(arena, "%s&action=lock", query), "text/html", NOW);
    const char *location = header("Location");
    ck_assert_int_eq(response.status, 303);
    ck_assert_str_eq(location,
                     arena_printf(arena, "/sending/status?%s&tz=Europe%%2FBerlin", plain));
    post(arena_printf(arena, "%s&lang=de&action=lock", query), "text/html", NOW + MINUTE_MS);
    ck_assert_int_eq(response.status, 303);
    ck_assert_str_eq(header("Location") + strlen(header("Location")) - 8, "&lang=de");
    const char *lines = log_end(), *line = strstr(lines, "locked by its user");
    ck_assert_msg(line != NULL && strstr(line + 1, "locked by its user") == NULL, "%s", lines);
    check_has(lines, "level=warning");
    check_has(lines, "mailbox=" ALICE);
    check_has_not(lines, arena_strndup(arena, plain + strlen("t="), 20));
    ck_assert_uint_eq(locks_counted(), 1);

    struct account account;
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW, &account), 1);
    ck_assert_int_eq(account.suspensions.of[0].cause, CAUSE_COMPROMISED);
    ck_assert_int_eq(account.suspensions.of[0].until_ms, UNTIL_LIFTED);
    html = open_page(alices(), NOW);
    check_has(html, "<h1>Sending is stopped until our support has talked to you</h1>");
    check_has(html, "Change the password");
    check_has_not(html, "value=\"lock\"");
    end();
}
END_TEST

static bool is_locked(int64_t now_ms)
{
    struct account account;
    ck_assert_int_ge(store_account(store, arena, ALICE, now_ms, &account), 0);
    return account.suspensions.of[0].id != 0;
}

/* Ten minutes, to the millisecond; afterwards the page says how to get a link that can. */
START_TEST(test_lock_needs_a_fresh_link)
{
    begin(_i, DEFAULTS);
    const char *form = arena_printf(arena, "%s&action=lock", alices());
    int64_t last_ms = NOW + 10 * MINUTE_MS;
    check_has(open_page(alices(), last_ms), "value=\"lock\"");
    const char *html = open_page(alices(), last_ms + 1);
    check_has_not(html, "value=\"lock\"");
    check_has(html, "when you open it from the webmail");
    post(form, "text/html", last_ms + 1);
    ck_assert_int_eq(response.status, 403);
    check_has(text_string(&response.body), "this needs a new link");
    post(form, "application/json", last_ms + 1);
    ck_assert_int_eq(response.status, 403);
    check_has(text_string(&response.body), "at most ten minutes ago");
    ck_assert(!is_locked(last_ms + 1));
    post(form, "text/html", last_ms);
    ck_assert_int_eq(response.status, 303);
    ck_assert(is_locked(last_ms));
    end();
}
END_TEST

/* The second step: what it means is said before, and it needs a fresh link too. */
START_TEST(test_lock_signins)
{
    begin(_i, WITH("support.contact=help@example.test"));
    const char *form = arena_printf(arena, "%s&action=lock_signins", alices());
    check_has_not(open_page(alices(), NOW), "value=\"lock_signins\"");
    post(form, "application/json", NOW);
    ck_assert_int_eq(response.status, 409);
    post(arena_printf(arena, "%s&action=lock", alices()), "text/html", NOW);
    const char *html = open_page(alices(), NOW);
    check_has(html, "value=\"lock_signins\"");
    check_has(html, "You will not be able to sign in either.");
    int64_t late_ms = NOW + 10 * MINUTE_MS + 1;
    html = open_page(alices(), late_ms);
    check_has_not(html, "value=\"lock_signins\"");
    check_has(html, "You can keep everybody out as well");
    post(form, "text/html", late_ms);
    ck_assert_int_eq(response.status, 403);
    log_begin();
    post(form, "text/html", NOW + 1);
    ck_assert_int_eq(response.status, 303);
    check_has(log_end(), "sign-ins are locked by its user");
    html = open_page(alices(), NOW + 2);
    check_has(html, "<h1>This mailbox is locked until its password was changed</h1>");
    check_has(html, "Nobody can sign in, not you either");
    check_has(html, "Nobody blames you for it.");
    check_has(html, "ask our support (<a href=\"mailto:help@example.test");
    check_has_not(html, "Receiving, reading and writing drafts work");
    check_has_not(html, "lock_signins");
    end();
}
END_TEST

/* What staff do to the lock of the mailbox; its page afterwards. */
static const char *page_after(const char *lock)
{
    static const struct person staff = {"sam", ROLE_SUPPORT};
    struct problem problem = {0};
    freed_by(json_put) struct json_object *view = NULL;
    freed_by(json_put) struct json_object *words = json_tokener_parse(lock);
    ck_assert_int_eq(desk_lock_act(&web.desk, &staff, ALICE, words, false, NOW, &view, &problem),
                     1);
    return open_page(alices(), NOW);
}

/* Locked by staff, for sending alone, for all, and closed. */
START_TEST(test_locked_by_staff)
{
    static const struct {
        const char *words, *says;
    } steps[] = {
        {"{\"action\":\"lock\",\"scope\":\"sending\",\"note\":\"x\"}",
         "It looks as if somebody else is sending"},
        {"{\"action\":\"lock\",\"note\":\"x\"}",
         "Somebody else seems to know the password of this mailbox."},
        {"{\"action\":\"close\",\"note\":\"x\"}",
         "This mailbox is closed until our support has talked to you"},
    };
    begin(_i, DEFAULTS);
    for (size_t i = 0; i < countof(steps); i++) {
        const char *html = page_after(steps[i].words);
        check_has(html, steps[i].says);
        check_has_not(html, "value=\"lock_signins\"");
    }
    end();
}
END_TEST

/* A password in a list of stolen ones, locked in the same way. */
START_TEST(test_breached)
{
    begin(_i, DEFAULTS);
    const char *html =
        page_after("{\"action\":\"lock\",\"cause\":\"breached\",\"note\":\"x\"}");
    check_has(html, "<h1>This mailbox is locked until its password was changed</h1>");
    check_has(html, "The password of this mailbox stands in a list of stolen passwords.");
    check_has(html, "You cannot do that by signing in.");
    check_has(html, "State: Nobody can sign in, and sending is stopped&#10;");
    check_has_not(html, "Receiving, reading and writing drafts work");
    end();
}
END_TEST

static const struct {
    const char *origin, *site;
    bool fits;
} sources[] = {
    {NULL, NULL, true},
    {"http://127.0.0.1:8080", "same-origin", true},
    {"https://evil.test", NULL, false},
    {"https://evil.test", "cross-site", false},
    {"null", NULL, false},
    {NULL, "cross-site", false},
    {NULL, "same-site", false},
    {NULL, "none", true},
};

START_TEST(test_lock_from_elsewhere)
{
    begin(0, DEFAULTS);
    const char *form = arena_printf(arena, "%s&action=lock", alices());
    ask((struct raw_request){.method = "POST", .body = form, .body_length = strlen(form),
                             .content_type = "application/x-www-form-urlencoded",
                             .host = "127.0.0.1:8080", .origin = sources[_i].origin,
                             .fetch_site = sources[_i].site},
        NOW);
    ck_assert_int_eq(response.status, sources[_i].fits ? 303 : 403);
    ck_assert_int_eq(is_locked(NOW), sources[_i].fits);
    end();
}
END_TEST

/* A link lives as long as the suspension and a day; while it holds, however long. */
START_TEST(test_link_of_a_suspension)
{
    struct status_link link;
    begin(_i, WITH("limits.webmail.messages_per_day=2", "suspension.volume=48h"));
    rig_send("sent", 2, NOW - HOUR_MS, MINUTE_MS);
    const char *url = refuse(rig_message("third", 1), VERDICT_SUSPENDED, NOW).status_url;
    const char *query = strchr(url, '?') + 1;
    const char *token = arena_strndup(arena, query + 2, strcspn(query, "&") - 2);
    ck_assert_int_eq(token_read(token_key, arena, token, NOW, &link), 1);
    ck_assert_int_eq(link.expires_ms, NOW + 3 * DAY_MS);
    open_page(query, NOW + 3 * DAY_MS - 1);
    page(query, "en", NOW + 3 * DAY_MS);
    ck_assert_int_eq(response.status, 403);
    struct suspension suspension; /* a later one, of which this link tells nothing */
    struct durations durations = {.count = 1, .ms = {UNTIL_LIFTED}};
    struct action action = {NOW + 4 * DAY_MS, "ada", "because"};
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_TERMS, &durations, &action, &suspension), 1);
    page(query, "en", NOW + 5 * DAY_MS);
    ck_assert_int_eq(response.status, 403);
    end();
}
END_TEST

/* One until it is lifted, which the link outlives its own end in. */
START_TEST(test_link_of_a_suspension_without_end)
{
    struct suspension suspension;
    struct durations durations = {.count = 1, .ms = {UNTIL_LIFTED}};
    struct action action = {NOW - MINUTE_MS, "ada", "because"};
    begin(_i, DEFAULTS);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_TERMS, &durations, &action, &suspension), 1);
    const char *url = refuse(rig_message("one", 1), VERDICT_SUSPENDED, NOW).status_url;
    const char *query = strchr(url, '?') + 1;
    open_page(query, NOW + 400 * DAY_MS);
    action.now_ms = NOW + 400 * DAY_MS;
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_TERMS, &action), 1);
    page(query, "en", NOW + 400 * DAY_MS);
    ck_assert_int_eq(response.status, 403);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_TERMS, &durations, &action, &suspension), 1);
    page(query, "en", NOW + 401 * DAY_MS);
    ck_assert_int_eq(response.status, 403);
    end();
}
END_TEST

static const char *ask_reference(const char *reference, const char *accept, int64_t now_ms)
{
    struct raw_request raw = {.method = "GET", .peer = "192.0.2.1", .accept = accept,
                              .url = arena_printf(arena, "/sending/r/%s", reference)};
    http_response_free(&response);
    web_answer(&web, &raw, NULL, arena, now_ms, &response);
    return arena_strdup(arena, text_string(&response.body));
}

static const char *reference_of(uint64_t decision)
{
    char *text = arena_alloc(arena, DECISION_TEXT_SIZE);
    decision_format(decision, text);
    return text;
}

static const char *page_of(uint64_t decision, int64_t now_ms)
{
    const char *html = ask_reference(reference_of(decision), "text/html", now_ms);
    ck_assert_int_eq(response.status, 200);
    /* whoever reads a log gets no name, network, number or button from it */
    static const char *const secrets[] = {"alice", "example.test", "192.0.2", "<button", "<form",
                                          "<input", "value="};
    for (size_t i = 0; i < countof(secrets); i++)
        check_has_not(html, secrets[i]);
    return html;
}

/* ---- what can still be sent ------------------------------------------------------------------ */

/* Nobody reads "You can send" while every message outside is refused. */
START_TEST(test_only_inside)
{
    begin(_i, WITH("limits.webmail.off_domain_per_day=20", "on_limit.off_domain_per_day=refuse"));
    struct submission submission = rig_message("all", 20);
    ck_assert_int_eq(rig_judge(&submission, NOW - HOUR_MS).kind, VERDICT_ADMIT);
    const char *html = open_page(alices(), NOW);
    check_has(html, "you can send only inside your own domains</h1>");
    check_has(html, "<div class=\"state state-own\">");
    check_has(html, "datetime=\"2025-11-23T04:40:00Z\"");
    check_has(html, "Mail to recipients inside your own domains can be sent now.");
    check_has_not(html, "<h1>You can send</h1>");
    struct verdict dry = rig_ask(&submission, NOW);
    ck_assert_int_eq(dry.can_send, CAN_SEND_OWN);
    ck_assert_int_eq(dry.can_send_at_ms, NOW + 23 * HOUR_MS);
    end();
}
END_TEST

/* What can never fit is split; nobody is told to wait, nor that portions are forbidden. */
START_TEST(test_split)
{
    begin(_i, WITH("limits.webmail.off_domain_per_day=20"));
    uint64_t decision = refuse(rig_message("big", 25), VERDICT_OVER_TIME, NOW).decision;
    const char *html = open_page(with_decision(decision), NOW);
    check_has(html, "<h1>This message is more than your whole limit: split it</h1>");
    check_has(html, "Split it into several messages");
    check_has_not(html, "or wait");
    check_has_not(html, "portions");
    check_has(page_of(decision, NOW), "split it");
    end();
}
END_TEST

/* "Never in portions" is said of a day's limit, not of an hour's. */
START_TEST(test_portions)
{
    begin(_i, WITH("limits.webmail.messages_per_hour=2", "limits.webmail.off_domain_per_day=20",
                   "on_limit.off_domain_per_day=refuse"));
    rig_send("sent", 2, NOW - 10 * MINUTE_MS, MINUTE_MS);
    check_has_not(open_page(alices(), NOW), "portions");
    struct submission submission = rig_message("more", 18);
    ck_assert_int_eq(rig_judge(&submission, NOW + HOUR_MS).kind, VERDICT_ADMIT);
    check_has(open_page(alices(), NOW + HOUR_MS), "Never split one mailing into portions");
    end();
}
END_TEST

/* The network's limit: its window and its moment, and not who else filled it. */
START_TEST(test_network)
{
    begin(_i, WITH("limits.webmail.off_domain_per_hour_per_ip=10"));
    struct submission bobs = rig_message("bobs", 10), mine = rig_message("mine", 1);
    bobs.mailbox = BOB;
    ck_assert_int_eq(rig_judge(&bobs, NOW - MINUTE_MS).kind, VERDICT_ADMIT);
    uint64_t decision = refuse(mine, VERDICT_OVER_TIME, NOW).decision;
    const char *queries[] = {alices(), with_decision(decision)};
    for (size_t i = 0; i < countof(queries); i++) {
        const char *html = open_page(queries[i], NOW);
        check_has(html, "you can send only inside your own domains</h1>");
        check_has(html, "datetime=\"2025-11-22T06:39:00Z\"");
        check_has(html, "10 of 10 used, 0 left");
        check_has(html, "Counted by your network: all who use the webmail");
        check_has_not(html, "bob");
    }
    check_has_not(page_of(decision, NOW), "10 of"); /* a reference may hold a 10 */
    check_has_not(page_of(decision, NOW), " 10 ");
    end();
}
END_TEST

/* By SMTP the network has a history of its own, which the webmail's users are not in. */
START_TEST(test_network_of_smtp)
{
    begin(_i, WITH("limits.smtp.off_domain_per_hour_per_ip=3"));
    struct submission first = rig_message("first", 3), over = rig_message("over", 1);
    first.channel = over.channel = CHANNEL_SMTP;
    ck_assert_int_eq(rig_judge(&first, NOW - MINUTE_MS).kind, VERDICT_ADMIT);
    uint64_t decision = refuse(over, VERDICT_OVER_TIME, NOW).decision;
    const char *html = open_page(with_decision(decision), NOW);
    check_has(html, "3 of 3 used, 0 left");
    check_has(html, "Counted by your network: all whose mail programs send from there");
    check_has_not(html, "all who use the webmail");
    check_has(open_page(alices(), NOW), "all who use the webmail");
    end();
}
END_TEST

/* ---- who says "That wasn't me" is not accused ----------------------------------------------- */

START_TEST(test_own_lock)
{
    static const char *const not_accused[][2] = {
        {"en", "Nobody blames you"}, {"de", "Niemand wirft Ihnen etwas vor"},
        {"fr", "Personne ne vous reproche"}, {"es", "Nadie le reprocha"}};
    begin(_i, DEFAULTS);
    post(arena_printf(arena, "%s&action=lock", alices()), "text/html", NOW);
    for (size_t i = 0; i < countof(not_accused); i++) {
        const char *html = page(alices(), not_accused[i][0], NOW);
        check_has(html, not_accused[i][1]);
        check_has_not(html, "terms of usage");
        check_has_not(html, "<blockquote");
    }
    struct submission submission = rig_message("x", 1);
    struct verdict verdict = rig_judge(&submission, NOW + 1);
    ck_assert_int_eq(verdict.kind, VERDICT_SUSPENDED);
    rig_check_begins(verdict.message, "Sending was stopped (2025-11-22 05:40 UTC) by ");
    rig_check_has_not(verdict.message, "terms of usage");
    ck_assert_ptr_null(verdict.sentence);
    check_has_not(page_of(verdict.decision, NOW), "terms of usage");
    end();
}
END_TEST

/* The plain sentence first, the provider's last, quoted and in its own language. */
START_TEST(test_sentence_is_quoted_last)
{
    static const char *const headings[][2] = {{"en", "Sending is paused until"},
                                              {"de", "Senden ist pausiert bis"},
                                              {"fr", "envoi est en pause"},
                                              {"es", "El env"}};
    begin(_i, WITH(TWO_A_DAY));
    const char *query = with_decision(pause_alice().decision);
    for (size_t i = 0; i < countof(headings); i++) {
        const char *html = page(query, headings[i][0], NOW);
        const char *heading = strstr(html, "<h1>"), *quoted = strstr(html, "<blockquote lang=\"en\">");
        ck_assert_msg(heading != NULL && quoted > heading, "%s", headings[i][0]);
        check_has(quoted, "Your ability to send new mail has been suspended as a high volume");
        check_has_not(quoted, "<h2>");
    }
    end();
}
END_TEST

/* ---- text for support, and the operator's links ------------------------------------------------ */

START_TEST(test_support)
{
    begin(_i, WITH(TWO_A_DAY, "support.links=Passwort <\xC3\xA4ndern> https://panel.test/pw?a=1&b=2",
                   "support.links=Newsletter https://news.test"));
    uint64_t decision = pause_alice().decision;
    const char *html = open_page(with_decision(decision), NOW);
    check_has(html, arena_printf(arena, "readonly rows=\"10\" spellcheck=\"false\">\n"
                                        "Mailbox: alice@example.test&#10;Domain: example.test&#10;"
                                        "State: Sending is paused&#10;Cause: too much mail&#10;"
                                        "Since: 2025-11-22T05:40:00Z&#10;"
                                        "Until: 2025-11-23T05:40:00Z&#10;"
                                        "Limit: Messages in 24 hours&#10;Reference: %s&#10;"
                                        "Seen: 2025-11-22T05:40:00Z</textarea>",
                                 reference_of(decision)));
    check_has(html, "<a href=\"https://panel.test/pw?a=1&amp;b=2\" rel=\"noreferrer\">Passwort "
                    "&lt;\xC3\xA4ndern&gt;</a>");
    check_has(html, "<a href=\"https://news.test\" rel=\"noreferrer\">Newsletter</a>");
    end();
}
END_TEST

/* ---- what the reference of a refusal tells ------------------------------------------------- */

START_TEST(test_reference_of_a_suspension)
{
    begin(_i, WITH("limits.webmail.messages_per_day=2"));
    uint64_t decision = pause_alice().decision;
    const char *html = page_of(decision, NOW);
    check_has(html, "<h1>Sending is paused until ");
    check_has(html, "datetime=\"2025-11-23T05:40:00Z\"");
    check_has(html, "<li>Messages in 24 hours</li>");
    check_has(html, "<blockquote lang=\"en\"><p>The message was rejected for the following reason");
    check_has(html, reference_of(decision));
    check_has(page_of(decision, NOW + DAY_MS), "that suspension has ended");
    end();
}
END_TEST

START_TEST(test_reference_of_a_block)
{
    begin(_i, DEFAULTS);
    rig_block("example.test", FAILURE_HINT_LIST);
    uint64_t decision = refuse(rig_message("a", 1), VERDICT_BLOCKED, NOW).decision;
    const char *html = page_of(decision, NOW + MINUTE_MS);
    check_has(html, "<div class=\"state state-blocked\">");
    check_has(html, "datetime=\"2025-11-22T06:40:00Z\"");
    check_has(html, "Mail of the domain that failed");
    html = page_of(decision, NOW + HOUR_MS);
    check_has(html, "too much mail failed; that has ended</h1>");
    end();
}
END_TEST

START_TEST(test_reference_of_a_message)
{
    begin(_i, WITH("limits.webmail.off_domain_per_day=60", "on_limit.off_domain_per_day=refuse"));
    uint64_t big = refuse(rig_message("big", 51), VERDICT_MESSAGE, NOW).decision;
    const char *html = page_of(big, NOW);
    check_has(html, "it is more than one message may be");
    check_has(html, "<li>Recipients at one domain</li>");
    check_has_not(html, "51");
    end();
}
END_TEST

START_TEST(test_reference_of_a_limit_over_time)
{
    begin(_i, WITH("limits.webmail.messages_per_day=2", "on_limit.messages_per_day=refuse"));
    rig_send("sent", 2, NOW - HOUR_MS, MINUTE_MS);
    uint64_t decision = refuse(rig_message("third", 1), VERDICT_OVER_TIME, NOW).decision;
    const char *html = page_of(decision, NOW);
    check_has(html, "a sending limit was reached");
    check_has(html, "datetime=\"2025-11-23T04:40:00Z\"");
    check_has(html, "will not be sent later by itself");
    check_has(page_of(decision, NOW + 23 * HOUR_MS), "There is room for it now");
    end();
}
END_TEST

static void adjust(const char *subject, enum rule rule, enum adjust_kind kind, int32_t value)
{
    struct adjustment adjustment = {
        .rule = rule, .kind = kind, .value = value, .until_ms = UNTIL_LIFTED};
    struct action action = action_at(NOW);
    snprintf(adjustment.subject, sizeof adjustment.subject, "%s", subject);
    ck_assert_int_eq(store_adjust(store, &adjustment, &action), 1);
    guard_outdate_limits(guard);
}

/* What is told is when the message fits now, by the limits of the channel it came through; what
 * the mail server was told stays as it was. */
START_TEST(test_reference_after_the_limit_changed)
{
    begin(_i, WITH("limits.webmail.messages_per_day=2", "on_limit.messages_per_day=refuse",
                   "limits.webmail.off_domain_per_day=5", "on_limit.off_domain_per_day=refuse",
                   "limits.smtp.messages_per_day=1", "limits.smtp.off_domain_per_day=5"));
    rig_send("sent", 2, NOW - HOUR_MS, MINUTE_MS);
    struct submission host = rig_message("host", 1), smtp = rig_message("smtp", 6);
    host.channel = smtp.channel = CHANNEL_SMTP;
    host.webmail_host = true;
    uint64_t third = refuse(rig_message("third", 1), VERDICT_OVER_TIME, NOW).decision;
    uint64_t by_host = refuse(host, VERDICT_OVER_TIME, NOW).decision;
    uint64_t big = refuse(smtp, VERDICT_OVER_TIME, NOW).decision;
    check_has(page_of(third, NOW), "datetime=\"2025-11-23T04:40:00Z\"");
    check_has(page_of(by_host, NOW), "datetime=\"2025-11-23T04:40:00Z\"");
    check_has(page_of(big, NOW), "split it");
    adjust("@example.test", RULE_OFF_DOMAIN_PER_DAY, ADJUST_EXTRA, 3);
    adjust(ALICE, RULE_MESSAGES_PER_DAY, ADJUST_EXTRA, 1);
    check_has(page_of(third, NOW), "There is room for it now");
    check_has(page_of(by_host, NOW), "There is room for it now");
    /* the mail server's limit is 2 now */
    check_has(page_of(big, NOW), "datetime=\"2025-11-23T04:40:00Z\"");
    check_has_not(page_of(big, NOW), "split it");
    check_has_not(page_of(big, NOW), "A mail server tries again by itself");
    adjust(ALICE, RULE_OFF_DOMAIN_PER_DAY, ADJUST_LIMIT, 0);
    adjust("@example.test", RULE_OFF_DOMAIN_PER_DAY, ADJUST_EXTRA, 0);
    check_has(page_of(third, NOW), "split it");
    end();
}
END_TEST

/* A deferred one is not said to be lost; one that fits never is not deferred. */
START_TEST(test_reference_by_smtp)
{
    begin(_i, WITH("limits.smtp.messages_per_hour=2", "limits.smtp.off_domain_per_day=5",
                   "on_limit.off_domain_per_day=refuse"));
    struct submission submission;
    for (int i = 0; i < 4; i++) {
        submission = rig_message(arena_printf(arena, "smtp%d", i), i < 3 ? 1 : 6);
        submission.channel = CHANNEL_SMTP;
        struct verdict verdict = rig_judge(&submission, NOW + i);
        ck_assert_int_eq(verdict.kind, i < 2 ? VERDICT_ADMIT : VERDICT_OVER_TIME);
        if (i < 2)
            continue;
        const char *html = page_of(verdict.decision, NOW + i);
        check_has(html, i == 2 ? "A mail server tries again by itself" : "split it");
        ck_assert((strstr(html, "will not be sent later by itself") != NULL) == (i == 3));
    }
    end();
}
END_TEST

/* Nothing, nonsense, an admitted message: one answer, so nobody learns what there is. */
START_TEST(test_reference_of_nothing)
{
    begin(_i, DEFAULTS);
    struct submission submission = rig_message("fine", 1);
    const char *queries[] = {"7K3M-Q2XD-9F4A", "x", "%3Cscript%3E", "7K3M-Q2XD-9F4A/x", "/",
                             reference_of(rig_judge(&submission, NOW).decision), ALICE};
    const char *first = NULL;
    for (size_t i = 0; i < countof(queries); i++) {
        const char *html = ask_reference(queries[i], "text/html", NOW);
        ck_assert_int_eq(response.status, 404);
        ck_assert_str_eq(html, first == NULL ? first = html : first);
        check_has(ask_reference(queries[i], "application/json", NOW), "\"status\":404");
    }
    check_has(first, "Nothing is known under this reference");
    end();
}
END_TEST

/* Opening a page changes nothing, nor does a form that does not say what it wants. */
START_TEST(test_lock_is_wanted)
{
    begin(_i, DEFAULTS);
    struct account account;
    open_page(arena_printf(arena, "%s&action=lock", alices()), NOW);
    post(alices(), "text/html", NOW);
    ck_assert_int_eq(response.status, 400);
    post(arena_printf(arena, "%s&action=unlock", alices()), "text/html", NOW);
    ck_assert_int_eq(response.status, 400);
    ask((struct raw_request){.method = "DELETE", .query = alices()}, NOW);
    ck_assert_int_eq(response.status, 405);
    ck_assert_str_eq(header("Allow"), "GET, HEAD, POST");
    ck_assert_int_ge(store_account(store, arena, ALICE, NOW, &account), 0);
    ck_assert_int_eq(account.suspensions.of[0].id, 0);
    ck_assert_uint_eq(locks_counted(), 0);
    end();
}
END_TEST

START_TEST(test_lock_as_json)
{
    begin(_i, DEFAULTS);
    post(arena_printf(arena, "%s&action=lock", alices()), "application/json", NOW);
    ck_assert_int_eq(response.status, 200);
    freed_by(json_put) struct json_object *view =
        rig_json(response.body.data, response.body.length);
    ck_assert_str_eq(rig_text(view, "state"), "stopped");
    ck_assert_str_eq(rig_text(view, "suspension.cause"), "compromised");
    end();
}
END_TEST

/* ---- JSON, languages, escaping, no store -------------------------------------------------- */

START_TEST(test_json)
{
    begin(_i, WITH(TWO_A_DAY));
    uint64_t decision = pause_alice().decision;
    ask((struct raw_request){.method = "GET", .query = with_decision(decision),
                             .accept = "application/json"},
        NOW);
    ck_assert_int_eq(response.status, 200);
    freed_by(json_put) struct json_object *view =
        rig_json(response.body.data, response.body.length);
    ck_assert_str_eq(rig_text(view, "mailbox"), ALICE);
    ck_assert_str_eq(rig_text(view, "headline"), "paused");
    ck_assert_str_eq(rig_text(view, "suspension.until"), "2025-11-23T05:40:00Z");
    ck_assert_str_eq(rig_text(view, "message.reasons.0.rule"), "messages_per_day");
    ck_assert(!rig_has(view, "token"));
    end();
}
END_TEST

static const char *const languages[] = {"en", "de", "fr", "es"};

/* No text is missing, whatever the state: nothing is empty that should say something. */
static void check_whole(const char *html, const char *language)
{
    static const char *const faults[] = {
        "<h1></h1>", "<h2></h2>", "\"></h3>", "<p></p>", "<li></li>", "{{", "()", "<title> ",
        "<caption></caption>", "></time>", "></button>", "<summary></summary>"};
    check_has(html, arena_printf(arena, "<html lang=\"%s\">", language));
    for (size_t i = 0; i < countof(faults); i++)
        check_has_not(html, faults[i]);
    const char *title = strstr(html, "<h1>");
    ck_assert_ptr_nonnull(title);
    ck_assert_ptr_null(strstr(title + 1, "<h1>"));
    ck_assert_int_gt((int)(strstr(title, "</h1>") - title), (int)strlen("<h1>…"));
}

START_TEST(test_languages)
{
    const char *language = languages[_i];
    begin(BACKEND_SQLITE, WITH(TWO_A_DAY));
    uint64_t big = refuse(rig_message("big", 51), VERDICT_MESSAGE, NOW).decision;
    const char *query = with_decision(big);
    const char *english = arena_strdup(arena, page(query, "en", NOW));
    const char *own = page(query, language, NOW);
    check_whole(own, language);
    ck_assert_int_eq(strcmp(own, english) == 0, _i == 0);
    uint64_t paused = pause_alice().decision;
    check_whole(page(with_decision(paused), language, NOW), language);
    check_whole(page("t=x", language, NOW), language);
    end();
}
END_TEST

/* A suspension of every cause says why, what to do, and has no gap in any language. */
START_TEST(test_causes)
{
    enum cause cause = (enum cause)(_i % CAUSE_COUNT);
    const char *language = languages[_i / CAUSE_COUNT];
    begin(BACKEND_SQLITE, DEFAULTS);
    for (int step = 0; step < 2; step++) {
        struct action action = action_at(NOW);
        struct durations durations = {1, {step == 0 ? 3 * HOUR_MS : UNTIL_LIFTED}};
        struct suspension suspension;
        ck_assert_int_eq(store_suspend(store, ALICE, cause, &durations, &action, &suspension), 1);
        const char *html = page(alices(), language, NOW);
        check_whole(html, language);
        check_has(html, step == 0 ? "state-paused" : "state-stopped");
        const char *steps = strstr(html, "<ul class=\"steps\">");
        ck_assert_ptr_nonnull(steps);
        ck_assert_ptr_nonnull(strstr(steps, "<li>"));
        if (strcmp(language, "en") == 0) /* what ends by itself needs nobody who ends it */
            check_has(steps, step == 0 ? "The pause ends by itself"
                                       : "Talk to our support. They open sending again.");
        if (strcmp(language, "en") == 0)
            check_has_not(steps, step == 0 ? "They open sending again"
                                           : "The pause ends by itself");
    }
    end();
}
END_TEST

/* The others in a line, on the page and in the text for support, in every language. */
START_TEST(test_several_causes)
{
    static const char *const beside[] = {"Besides this, sending is paused until <time",
                                         "Außerdem ist das Senden bis <time",
                                         "En outre, l’envoi est en pause ; fin : <time",
                                         "Además, el envío está en pausa; termina: <time"};
    struct action action = action_at(NOW);
    struct suspension suspension;
    begin(BACKEND_SQLITE, DEFAULTS);
    struct durations durations = {1, {3 * HOUR_MS}};
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_VOLUME, &durations, &action, &suspension),
                     1);
    check_has_not(page(alices(), languages[_i], NOW), beside[_i]);
    durations.ms[0] = UNTIL_LIFTED;
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_TERMS, &durations, &action, &suspension), 1);
    action.by = "user";
    ck_assert_int_eq(
        store_suspend(store, ALICE, CAUSE_COMPROMISED, &durations, &action, &suspension), 1);
    const char *html = page(alices(), languages[_i], NOW);
    check_whole(html, languages[_i]);
    check_has(html, "state-stopped");
    check_has(html, beside[_i]);
    if (_i == 0) {
        check_has(html, "Besides, until 2025-11-22T08:40:00Z: too much mail");
        check_has(html, "has talked to you (stopped with “That wasn’t me”).");
        check_has(html, "Besides, until support lifts it: stopped with “That wasn’t me”");
    }
    end();
}
END_TEST

START_TEST(test_escaping)
{
    begin(_i, WITH("support.contact=<script>alert(1)</script>"));
    const char *html = open_page(link_of("\"><script>x</script>@example.test", NOW + DAY_MS), NOW);
    check_has_not(html, "<script>");
    check_has(html, "&lt;script&gt;alert(1)");
    html = open_page(arena_printf(arena, "%s&d=<script>&tz=../<script>", alices()), NOW);
    check_has_not(html, "<script>");
    check_has_not(html, "../");
    end();
}
END_TEST

START_TEST(test_no_store)
{
    begin(BACKEND_SQLITE, DEFAULTS);
    const char *path = backend_url() + strlen("sqlite://");
    const char *aside = arena_printf(arena, "%s/aside", folder);
    const char *query = alices();
    open_page(query, NOW);
    ck_assert_int_eq(rename(path, aside), 0);
    log_begin();
    page(query, "en", NOW);
    ck_assert_int_eq(response.status, 503);
    check_has(text_string(&response.body), "Try again in a minute");
    post(arena_printf(arena, "%s&action=lock", query), "text/html", NOW);
    ck_assert_int_eq(response.status, 503);
    check_has_not(log_end(), "locked by its user");
    ck_assert_int_eq(rename(aside, path), 0);
    open_page(query, NOW);
    end();
}
END_TEST

/* ---- a password that is too old -------------------------------------------------------------- */

static void sign_in(int64_t now_ms)
{
    static const struct login_limits limits = LOGIN_DEFAULT_LIMITS;
    const struct logins_try one = {.mailbox = ALICE, .ip = "192.0.2.1", .protocol = LOGIN_IMAP};
    struct logins *logins = logins_new(token_key);
    struct logins_taken taken;
    ck_assert_int_eq(logins_report(logins, &one, true, &limits, now_ms, &taken), 1);
    ck_assert_int_eq(logins_exchange(logins, store, &limits, now_ms), 1);
    logins_free(&logins);
}

/* Warned 14 days before, in each language, and told when it is. */
START_TEST(test_password_age)
{
    static const struct {
        const char *language, *age, *warns, *ended;
    } says[] = {
        {"en", "Your password is 46 days old.", "you cannot sign in with it. Set a new one before.",
         "You can no longer sign in with it. Have a new one set: ask our support (<a href"},
        {"de", "Ihr Passwort ist 46 Tage alt.", "Setzen Sie vorher ein neues.",
         "Lassen Sie ein neues setzen, von unserem Support (<a href"},
        {"fr", "Votre mot de passe a 46 jours.", "Choisissez-en un nouveau avant.",
         "Faites-en d\xc3\xa9" "finir un nouveau par notre assistance (<a href"},
        {"es", "Su contrase\xc3\xb1" "a tiene 46 d\xc3\xad" "as.", "Ponga una nueva antes.",
         "Haga que le pongan una nueva: pregunte a nuestro equipo de ayuda (<a href"},
    };
    begin(_i, WITH("lock.password_max_age=60d", "support.contact=help@example.test"));
    sign_in(NOW - 46 * DAY_MS);
    const char *later = link_of(ALICE, NOW + 15 * DAY_MS);
    check_has_not(page(alices(), "en", NOW - 1), "days old");
    for (size_t i = 0; i < countof(says); i++) {
        const char *html = page(alices(), says[i].language, NOW);
        check_has(html, says[i].age);
        check_has(html, says[i].warns);
        check_has(html, "<time datetime=\"2025-12-06T05:40:00Z\">");
        check_has_not(html, says[i].ended);
        html = page(later, says[i].language, NOW + 14 * DAY_MS);
        check_has(html, says[i].ended);
        check_has_not(html, says[i].warns);
    }
    end();
}
END_TEST

/* What waits in the webmail is listed, and who has a fresh link takes it off. */
START_TEST(test_parked)
{
    static const char id[] = "00000000000000000000000000000001";
    struct problem problem = {0};
    struct json_object *view = NULL;
    begin(_i, DEFAULTS);
    freed_by(json_put) struct json_object *words = json_object_new_object();
    json_add_string(words, "action", "park");
    json_add_string(words, "id", id);
    json_add_moment(words, "at", NOW + 2 * HOUR_MS);
    json_add_int(words, "recipients", 12);
    check_has_not(page(alices(), "en", NOW), "wait to be sent");
    ck_assert_int_eq(desk_parked_act(&web.desk, ALICE, words, NOW, &view, &problem), 1);
    json_put(&view);
    const char *html = page(alices(), "en", NOW);
    check_has(html, "12 recipients, refused 05:40.");
    check_has(html, "May be sent from 07:40 (in 2 h).");
    check_has(html, "Do not send it");
    html = page(alices(), "en", NOW + 2 * HOUR_MS);
    check_has(html, "May be sent now");
    check_has_not(html, "Do not send it");
    check_has(html, "older than ten minutes");
    const char *body = arena_printf(arena, "%s&action=unpark&id=%s", alices(), id);
    struct raw_request raw = {.method = "POST", .body = body, .body_length = strlen(body),
                              .content_type = "application/x-www-form-urlencoded"};
    ask(raw, NOW + 10 * MINUTE_MS + 1);
    ck_assert_int_eq(response.status, 400);
    check_has(page(alices(), "de", NOW), "Nicht senden");
    ask(raw, NOW);
    ck_assert_int_eq(response.status, 303);
    check_has_not(page(alices(), "en", NOW), "wait to be sent");
    ask(raw, NOW); /* pressed twice */
    ck_assert_int_eq(response.status, 303);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status page");
    TCase *cases = rig_case(suite, "status page");
    tcase_add_loop_test(cases, test_links_that_do_not_hold, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_links_that_do_not_hold_as_json, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_decision_of_another_mailbox, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_never_seen, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refused_before, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_too_big, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_recipients_full, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_sender_blocked, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_over_time, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_full, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_paused, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_attempts, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_exempt, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_what_comes_back, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_what_comes_back_in_a_minute, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_messages, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lock, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lock_needs_a_fresh_link, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lock_signins, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_password_age, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_locked_by_staff, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_breached, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lock_from_elsewhere, 0, (int)countof(sources));
    tcase_add_loop_test(cases, test_link_of_a_suspension, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_link_of_a_suspension_without_end, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_only_inside, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_split, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_portions, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_network_of_smtp, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_network, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_own_lock, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_sentence_is_quoted_last, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_support, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reference_of_a_suspension, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reference_of_a_block, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reference_of_a_message, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reference_of_a_limit_over_time, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reference_after_the_limit_changed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reference_by_smtp, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reference_of_nothing, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lock_is_wanted, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lock_as_json, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_json, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_several_causes, 0, countof(languages));
    tcase_add_loop_test(cases, test_escaping, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_languages, 0, (int)countof(languages));
    tcase_add_loop_test(cases, test_causes, 0, CAUSE_COUNT * (int)countof(languages));
    tcase_add_loop_test(cases, test_parked, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_no_store);
    return backends_run(suite);
}
