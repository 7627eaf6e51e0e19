/* The pages of the support desk, from a request to the page: what they show, in all
 * languages, to whom, and that nobody's words become markup. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "guard/complaint_step.h"
#include "guard/logins.h"
#include "store/audit.h"
#include "store/observations.h"
#include "staff/staff_own.h"
#include "staff/staff_secret.h"
#include "tests/unit/desk/desk_rig.h"
#include "web/web.h"

#define SCRIPT "<script>alert(1)</script>"
#define ESCAPED "&lt;script&gt;alert(1)&lt;/script&gt;"

enum { MAX_IDS = 200, MAX_DEPTH = 40 };

static const char *const languages[] = {"en", "de", "fr", "es"};

static struct web web;
static struct http_response response;
static char cookie[SECRET_TEXT_SIZE];

static void begin(int backend, enum role role, const char *const *overrides)
{
    const struct action action = {NOW - HOUR_MS, "root (shell)", "begins"};
    struct problem problem = {0};
    struct sign_in sign_in = {.name = "sam", .password = "correct horse", .network = "192.0.2.7",
                              .now_ms = NOW - MINUTE_MS};
    rig_begin(backend, overrides);
    web = (struct web){.desk = {store, guard, token_key}, .key = token_key};
    pthread_mutex_init(&web.metrics.lock, NULL);
    response = (struct http_response){.status = 200};
    ck_assert_int_eq(staff_add(store, "sam", role, "correct horse", &action, &problem), 1);
    ck_assert_int_eq(staff_sign_in(store, &sign_in), SIGNED_IN);
    memcpy(cookie, sign_in.cookie, sizeof cookie);
}

static void end(void)
{
    http_response_free(&response);
    pthread_mutex_destroy(&web.metrics.lock);
}

/* ---- requests -------------------------------------------------------------------------------- */

static const char *ask(struct raw_request raw)
{
    raw.peer = "192.0.2.7";
    raw.accept = "text/html";
    raw.cookies = arena_printf(arena, "sendguard_session=%s", cookie);
    http_response_free(&response);
    response = (struct http_response){.status = 200};
    web_answer(&web, &raw, NULL, arena, NOW, &response);
    return text_string(&response.body);
}

/* `path` below /desk, with its query. */
static const char *get_in(const char *path, const char *language)
{
    char *url = arena_printf(arena, "/sending/desk%s", path), *query = strchr(url, '?');
    if (query != NULL)
        *query++ = '\0';
    return ask((struct raw_request){.method = "GET", .url = url, .query = query,
                                    .accept_language = language});
}

static const char *get(const char *path)
{
    const char *html = get_in(path, "en");
    ck_assert_msg(response.status == 200, "%s: %d", path, response.status);
    return html;
}

static const char *post_in(const char *path, const char *fields, const char *language)
{
    char token[SECRET_TEXT_SIZE];
    staff_csrf(cookie, token);
    const char *body = arena_printf(arena, "csrf=%s&%s", token, fields);
    return ask((struct raw_request){.method = "POST",
                                    .url = arena_printf(arena, "/sending/desk%s", path),
                                    .body = body, .body_length = strlen(body),
                                    .content_type = "application/x-www-form-urlencoded",
                                    .accept_language = language});
}

static const char *post(const char *fields) { return post_in("/actions", fields, "en"); }

static const char *location(void)
{
    for (size_t i = 0; i < response.header_count; i++)
        if (strcmp(response.headers[i].name, "Location") == 0)
            return response.headers[i].value;
    return "";
}

/* ---- what a page has to be ------------------------------------------------------------------- */

/* The value of the attribute that begins at `start`, behind its quote. */
static const char *value_at(const char *start)
{
    return arena_strndup(arena, start, strcspn(start, "\""));
}

static size_t read_ids(const char *html, const char *ids[MAX_IDS])
{
    size_t count = 0;
    for (const char *at = html; (at = strstr(at, " id=\"")) != NULL; at++) {
        ck_assert_uint_lt(count, MAX_IDS);
        ids[count++] = value_at(at + strlen(" id=\""));
        for (size_t i = 0; i + 1 < count; i++)
            ck_assert_msg(strcmp(ids[i], ids[count - 1]) != 0, "id %s twice", ids[i]);
    }
    return count;
}

/* What points at ids points at some that are there. */
static void check_pointers(const char *html, const char *attribute)
{
    const char *ids[MAX_IDS], *name;
    size_t count = read_ids(html, ids);
    for (const char *at = html; (at = strstr(at, attribute)) != NULL; at++) {
        char *names = arena_strdup(arena, value_at(at + strlen(attribute)));
        while ((name = strsep(&names, " ")) != NULL) {
            size_t i = 0;
            while (i < count && strcmp(ids[i], name) != 0)
                i++;
            ck_assert_msg(i < count, "%s%s\" points nowhere", attribute, name);
        }
    }
}

static bool is_void(const char *tag)
{
    static const char *const names[] = {"!doctype", "meta", "link", "input", "br", "wbr"};
    for (size_t i = 0; i < countof(names); i++)
        if (strcmp(names[i], tag) == 0)
            return true;
    return false;
}

/* Tags are closed in the order that they were opened; attributes hold no '<' or '>'. */
static void check_nesting(const char *html)
{
    const char *open[MAX_DEPTH];
    size_t depth = 0;
    for (const char *at = html; (at = strchr(at, '<')) != NULL; at++) {
        bool closes = at[1] == '/';
        const char *tag = at + 1 + closes, *over = strchr(at, '>');
        tag = arena_strndup(arena, tag, strcspn(tag, " >\n"));
        ck_assert_msg(over != NULL && *tag != '\0', "a lonely < at: %.40s", at);
        if (closes) {
            ck_assert_msg(depth > 0 && strcmp(open[depth - 1], tag) == 0, "</%s> closes %s", tag,
                          depth > 0 ? open[depth - 1] : "nothing");
            depth--;
        } else if (!is_void(tag) && over[-1] != '/') {
            ck_assert_uint_lt(depth, MAX_DEPTH);
            open[depth++] = tag;
        }
    }
    ck_assert_uint_eq(depth, 0);
}

static void check_page(const char *html)
{
    rig_check_begins(html, "<!doctype html>\n");
    rig_check_has_not(html, "{{");
    rig_check_has_not(html, "<h1></h1>");
    rig_check_has_not(html, "<title> ");
    rig_check_has_not(html, "undefined");
    check_nesting(html);
    check_pointers(html, " for=\"");
    check_pointers(html, " aria-describedby=\"");
    check_pointers(html, " aria-labelledby=\"");
    const char *script = strstr(html, "<script");
    ck_assert_ptr_nonnull(script);
    ck_assert_ptr_null(strstr(script + 1, "<script"));
}

/* ---- a provider with everything in it ----------------------------------------------------------- */

/* Of a loop, of somebody else, and two reports that wait: about a message of Alice, and about nobody's. */
static void fill_complaints(void)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(guard);
    const struct waiting_report waiting[] = {
        {.id = 0xA1, .at_ms = NOW - HOUR_MS, .type = REPORT_OPT_OUT, .mailbox = ALICE,
         .queue_id = "4jbqC64kngz1bf1c", .domain = "", .admitted_ms = NOW - DAY_MS, .decision = 7},
        {.id = 0xA2, .at_ms = NOW - MINUTE_MS, .type = REPORT_ABUSE, .reporter = 9, .mailbox = "",
         .queue_id = "4jbqC64kngz1bf1d", .domain = "example.test"}};
    const struct complaint complaints[] = {
        {.message = 1, .reporter = keyed_hash_reporter(&hash_keys, "loop.test"), .decision = 7,
         .admitted_ms = NOW - DAY_MS, .at_ms = NOW - HOUR_MS, .incidents = 2},
        {.message = 1, .reporter = 5, .admitted_ms = NOW - DAY_MS, .at_ms = NOW - HOUR_MS,
         .incidents = 1, .source = COMPLAINT_OF_DOMAIN}};
    for (size_t i = 0; i < countof(waiting); i++) {
        const struct complaint_step steps[] = {
            {.waits = &waiting[i]}, {.mailbox = ALICE, .complaint = &complaints[i], .exempt = true}};
        enum complaint_made made;
        for (size_t k = 0; k < countof(steps); k++)
            ck_assert_int_eq(complaint_step_make(store, snapshot_settings(snapshot), &steps[k], NOW,
                                                 &made), 1);
    }
}

/* Ten wrong passwords of Alice from GUESSER, which is closed to her, and an old one by POP3; of BOB a
 * hundred, which close him to everywhere. */
#define GUESSER "203.0.113.5"
static void fill_logins(void)
{
    static const struct login_limits limits = LOGIN_DEFAULT_LIMITS;
    struct logins *logins = logins_new(token_key);
    struct logins_taken taken;
    struct logins_try one = {.mailbox = ALICE, .ip = "192.0.2.1", .protocol = LOGIN_IMAP};
    for (one.fingerprint = 1; one.fingerprint <= 2; one.fingerprint++)
        ck_assert_int_eq(logins_report(logins, &one, true, &limits, NOW - HOUR_MS, &taken), 1);
    one = (struct logins_try){ALICE, "192.0.2.1", false, 1, LOGIN_POP3};
    ck_assert_int_eq(logins_report(logins, &one, false, &limits, NOW - HOUR_MS, &taken), 1);
    for (uint16_t i = 0; i < 110; i++) {
        const char *ip = i < 10 ? GUESSER : arena_printf(arena, "198.51.100.%u", i);
        one = (struct logins_try){i < 10 ? ALICE : BOB, ip, false, (uint16_t)(100 + i), LOGIN_SMTP};
        ck_assert_int_eq(logins_report(logins, &one, false, &limits, NOW - MINUTE_MS, &taken), 1);
    }
    ck_assert_int_eq(logins_exchange(logins, store, &limits, NOW - MINUTE_MS), 1);
    logins_free(&logins);
}

/* Alice is paused, Bob locked himself, Carol has limits of her own; two decisions to explain. */
static struct verdict fill(void)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    fill_complaints();
    fill_logins();
    rig_send("a", 5, NOW - 2 * HOUR_MS, MINUTE_MS);
    struct verdict verdict = send_one("over", 1, NOW - HOUR_MS);
    ck_assert_int_eq(verdict.kind, VERDICT_SUSPENDED);
    ck_assert_int_eq(desk_lock(rig_desk(), BOB, NOW - HOUR_MS, &view), 1);
    json_put(&view);
    do_action(&admin, "{'action':'limit','subject':'carol@example.test','rule':'messages_per_day',"
                   "'value':'50','for':'7d','note':'" SCRIPT "'}", NOW - HOUR_MS);
    do_action(&admin,
              "{'action':'extra','subject':'carol@example.test','messages':7,'note':'news'}",
              NOW - HOUR_MS);
    do_action(&admin, "{'action':'note','subject':'" ALICE "','note':'" SCRIPT "'}", NOW - HOUR_MS);
    do_action(&admin,
              "{'action':'limit','subject':'@example.test','rule':'messages_per_hour','value':3,"
                   "'note':'" SCRIPT "'}", NOW - HOUR_MS);
    guard_outdate_limits(guard);
    ck_assert_int_eq(desk_lock_act(rig_desk(), &admin, "dave@example.test",
                                   words_of("{'action':'lock','note':'x'}"), false, NOW, &view,
                                   &problem),
                     1);
    json_put(&view);
    return verdict;
}

static const char *decision_path(const struct verdict *verdict)
{
    char text[DECISION_TEXT_SIZE];
    decision_format(verdict->decision, text);
    return arena_printf(arena, "/decisions/%s", text);
}

START_TEST(test_every_page)
{
    begin(_i, ROLE_ADMIN, WITH(SMALL));
    struct verdict verdict = fill();
    const char *paths[] = {"/", "/suspended", "/near", "/mailboxes/" ALICE, "/mailboxes/" BOB,
                           "/mailboxes/carol@example.test", "/mailboxes/nobody@example.test",
                           "/mailboxes/" ALICE "/delivery", "/mailboxes/" ALICE "/complaints",
                           "/mailboxes/" BOB "/complaints", "/complaints", "/complaints?done=1",
                           "/logins", "/logins?mailbox=" ALICE, "/logins?mailbox=" BOB,
                           "/logins?mailbox=nobody@example.test", "/logins?ip=" GUESSER,
                           "/ips/" GUESSER, "/appeals", "/held", "/blocks", "/blocks/import", "/decisions",
                           "/decisions?mailbox=" ALICE, decision_path(&verdict),
                           "/ips/192.0.2.1", "/domains/example.test", "/audit",
                           "/audit?subject=" ALICE, "/mailboxes/dave@example.test",
                           "/simulate", "/account", "/approvals", "/actions", "/search?q=x%20y",
                           "/actions?action=lift", "/actions?action=limit&subject=" BOB};
    for (size_t i = 0; i < countof(paths); i++) {
        const char *first = NULL;
        for (size_t k = 0; k < countof(languages); k++) {
            const char *html = get_in(paths[i], languages[k]);
            ck_assert_msg(response.status == 200, "%s: %d", paths[i], response.status);
            check_page(html);
            rig_check_has(html, arena_printf(arena, "<html lang=\"%s\">", languages[k]));
            if (first != NULL)
                ck_assert_msg(strcmp(html, first) != 0, "%s is not translated", paths[i]);
            first = first != NULL ? first : arena_strdup(arena, html);
        }
    }
    end();
}
END_TEST

START_TEST(test_reports_that_wait)
{
    begin(_i, ROLE_SUPPORT, WITH("complaints.loops=loop.test"));
    fill_complaints();
    rig_check_has(get("/mailboxes/" ALICE "/complaints"), "loop.test");
    rig_check_has(get("/"), "2 reports of complaints wait");
    const char *html = get("/complaints");
    rig_check_has(html, "Wants no more mail");
    rig_check_has(html, "4jbqC64kngz1bf1d");
    post_in("/complaints/00000000000000a2", "action=drop&note=", "en");
    ck_assert_int_eq(response.status, 400);
    post_in("/complaints/00000000000000a2", "action=drop&note=made+up&mailbox=&message=", "en");
    ck_assert_int_eq(response.status, 303);
    rig_check_has(location(), "/desk/complaints?done=1");
    post_in("/complaints/00000000000000a1", "action=count&note=seen&message=", "en");
    ck_assert_int_eq(response.status, 303);
    html = get("/complaints?done=1");
    rig_check_has(html, "No report waits.");
    rig_check_has(html, "role=\"status\"");
    rig_check_has(get("/mailboxes/" ALICE "/complaints"), "counted by staff");
    rig_check_has(get("/audit"), "report of a complaint dropped");
    end();
}
END_TEST

START_TEST(test_a_viewer_deals_with_no_report)
{
    begin(_i, ROLE_VIEWER, DEFAULTS);
    fill_complaints();
    rig_check_has_not(get("/complaints"), "<form method=\"post\" action=\"/sending/desk/complaints");
    post_in("/complaints/00000000000000a2", "action=drop&note=x", "en");
    ck_assert_int_eq(response.status, 403);
    end();
}
END_TEST

/* A lock: its form, the preview, what holds, and how it is opened again. */
static const char *post_lock(const char *fields)
{
    return post_in("/mailboxes/" ALICE "/lock", fields, "en");
}

START_TEST(test_lock)
{
    begin(_i, ROLE_SUPPORT, DEFAULTS);
    rig_check_has(get("/mailboxes/" ALICE), "Lock: a stranger has the password");
    rig_check_has(get("/mailboxes/" ALICE), "A lock keeps nobody from signing in yet");
    const char *html = post_lock("action=lock&scope=login&note=spam");
    ck_assert_int_eq(response.status, 200);
    check_page(html);
    rig_check_has(html, "nobody can sign in, and nothing is sent. This is the first offence");
    rig_check_has_not(get("/mailboxes/" ALICE), "nobody can sign in");
    post_lock("action=lock&scope=login&note=spam&confirm=1");
    ck_assert_int_eq(response.status, 303);
    rig_check_has(location(), "/desk/mailboxes/alice%40example.test?done=lock");
    html = get("/mailboxes/" ALICE "?done=lock");
    check_page(html);
    rig_check_has(html, "The mailbox is locked.");
    rig_check_has(html, "<p>Which password the stranger had is not known");
    rig_check_has(html, "<strong>locked</strong> <span class=\"muted\">by ");
    rig_check_has_not(html, "</span> · locked");
    rig_check_has(html, "Ends the lock as our own mistake");
    rig_check_has(html, "<h1>Locked until the password was changed</h1>");
    rig_check_has(html, "<summary>Lift: the lock was our mistake</summary>");
    rig_check_has(get("/suspended"), "until the password was changed "
                                     "<span class=\"muted\">(signing in and sending)");
    html = post("action=lift&subject=" ALICE "&note=x");
    check_page(html);
    rig_check_has(html, "<h1>Lift: the lock was our mistake</h1>");
    rig_check_has(html, "Ends the lock as our own mistake");
    html = post_lock("action=reopen&note=changed&check_password=1&check_rules=1&check_device=1&confirm=1");
    ck_assert_int_eq(response.status, 400);
    check_page(html);
    rig_check_has(html, "expected all four");
    rig_check_has(html, "name=\"check_rules\" value=\"1\" required checked");
    post_lock("action=open&note=x&check_password=1&check_rules=1&check_sessions=1&check_device=1");
    ck_assert_int_eq(response.status, 403);
    const char *all = "action=reopen&note=changed&check_password=1&check_rules=1&check_sessions=1"
                      "&check_device=1";
    html = post_lock(all);
    check_page(html);
    ck_assert_int_eq(response.status, 200);
    rig_check_has(html, "<p>Signing in and sending are possible again.</p>");
    post("action=suspend&subject=" ALICE "&note=terms&confirm=1");
    html = post_lock(all);
    check_page(html);
    rig_check_has(html, "stays when the lock ends: sending is suspended for another cause.");
    rig_check_has_not(html, "are possible again.</p>");
    post_lock(arena_printf(arena, "%s&confirm=1", all));
    ck_assert_int_eq(response.status, 303);
    rig_check_has(get("/mailboxes/" ALICE "?done=reopen"), "Which password the stranger had is not known");
    rig_check_has(get("/audit"), "opened again; all four points confirmed");
    end();
}
END_TEST

/* After the second offence support closes and locks, and an administrator opens. */
START_TEST(test_closed)
{
    begin(_i, ROLE_ADMIN, DEFAULTS);
    post_lock("action=close&note=again&confirm=1");
    ck_assert_int_eq(response.status, 303);
    const char *html = get("/mailboxes/" ALICE "?done=close");
    check_page(html);
    rig_check_has(html, "only an administrator does");
    rig_check_has(html, "name=\"action\" value=\"open\"");
    rig_check_has_not(html, "name=\"action\" value=\"reopen\"");
    post_lock("action=open&note=seen&check_password=1&check_rules=1&check_sessions=1&check_device=1"
              "&confirm=1");
    ck_assert_int_eq(response.status, 303);
    rig_check_has(get("/mailboxes/" ALICE), "Can send");
    end();
}
END_TEST

START_TEST(test_support_opens_nothing_closed)
{
    begin(_i, ROLE_SUPPORT, DEFAULTS);
    post_lock("action=close&note=again&confirm=1");
    rig_check_has_not(get("/mailboxes/" ALICE), "name=\"action\" value=\"open\"");
    end();
}
END_TEST

/* What was put on the lists, until when, why and for whose mail. */
START_TEST(test_audit_of_blocks)
{
    begin(_i, ROLE_SUPPORT, DEFAULTS);
    post_in("/blocks", "action=block&subject=bob@x.test&scope=example.test&reason=No+mail+there."
                       "&for=30d&note=n&confirm=1", "en");
    ck_assert_int_eq(response.status, 303);
    post_in("/blocks", "action=block&subject=%40other.test&kind=sender&reason=No.&note=n&confirm=1",
            "en");
    const char *html = get("/audit");
    check_page(html);
    rig_check_has(html, "<td class=\"words\">No mail there. (example.test), until ");
    rig_check_has(html, "<td class=\"words\">No.</td>");
    end();
}
END_TEST

START_TEST(test_wrong_filters)
{
    static const char *const paths[] = {"/audit?from=soon", "/decisions?from=soon",
                                        "/suspended?cause=fate", "/what-if?rule=fate"};
    begin(0, ROLE_SUPPORT, DEFAULTS);
    for (size_t i = 0; i < countof(paths); i++) {
        check_page(get_in(paths[i], "en"));
        ck_assert_int_eq(response.status, 400);
    }
    end();
}
END_TEST

START_TEST(test_outcomes_to_choose)
{
    begin(0, ROLE_VIEWER, DEFAULTS);
    const char *html = get("/decisions");
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
        rig_check_has(html, arena_printf(arena, "<option value=\"%s\">", outcome_names[outcome]));
    end();
}
END_TEST

START_TEST(test_words_of_others)
{
    static const char *const paths[] = {"/", ("/mailboxes/" ALICE), "/audit",
                                        "/domains/example.test", "/mailboxes/carol@example.test"};
    begin(_i, ROLE_SUPPORT, WITH(SMALL));
    fill();
    for (size_t i = 0; i < countof(paths); i++) {
        const char *html = get(paths[i]);
        check_page(html);
        if (i < 3)
            rig_check_has(html, ESCAPED);
    }
    rig_check_has(get("/search?q=%3Cscript%3Ealert(1)%3C/script%3E"), ESCAPED);
    rig_check_has(get("/audit?subject=%3Cscript%3Ealert(1)%3C/script%3E"), ESCAPED);
    rig_check_has_not(get("/mailboxes/" ALICE "?done=%3Cscript%3E"), "role=\"status\"");
    end();
}
END_TEST

/* ---- sign-ins ---------------------------------------------------------------------------------- */

static void check_leads_to(const char *path, const char *place)
{
    get_in(path, "en");
    ck_assert_int_eq(response.status, 303);
    ck_assert_str_eq(location(), place);
}

/* The answer to "I cannot sign in" stands on the mailbox's page. */
START_TEST(test_signins)
{
    begin(_i, ROLE_SUPPORT, WITH("logins.mode=enforce"));
    rig_check_has_not(get("/mailboxes/" ALICE), "id=\"signins\"");
    fill_logins();
    const char *html = get("/mailboxes/" ALICE);
    rig_check_has(html, "Closed to " GUESSER " until");
    rig_check_has(html, "in 59 min");
    rig_check_has(html, "A program (POP3) at 192.0.2.1 uses an old password, which was right until about");
    rig_check_has(html, "1 try since");
    rig_check_has(html, "from 192.0.2.1 by IMAP.");
    rig_check_has(html, "Open sign-ins again");
    rig_check_has(get("/mailboxes/" BOB), "to all networks that are not known");
    rig_check_has(get("/"), "Closed now for wrong passwords: 2 mailboxes, 0 networks.");
    rig_check_has(get("/logins"), "Closed now for wrong passwords: 2 mailboxes, 0 networks.");
    check_leads_to("/logins?q=+Alice@Example.test+",
                   "/sending/desk/logins?mailbox=Alice%40Example.test");
    check_leads_to("/logins?q=2001:db8::1", "/sending/desk/logins?ip=2001%3Adb8%3A%3A1");
    check_leads_to("/logins?q=", "/sending/desk/logins");
    html = get("/logins?mailbox=" ALICE);
    rig_check_has(html, "/desk/logins?ip=" GUESSER);
    rig_check_has(html, "<td>IMAP</td>");
    rig_check_has_not(html, "only observed");
    rig_check_has_not(html, "While nobody has signed in for ten minutes");
    html = get("/logins?ip=" GUESSER);
    rig_check_has(html, "This network is not closed as a whole; single mailboxes may be closed to it.");
    rig_check_has(html, "While nobody has signed in for ten minutes");
    html = get_in("/logins?ip=nothing", "en");
    ck_assert_int_eq(response.status, 400);
    check_page(html);
    rig_check_has(html, "value=\"nothing\"");
    rig_check_has(html, "expected a mailbox or an IP address");
    end();
}
END_TEST

/* The audit log names the address that was permitted, and until when. */
START_TEST(test_permission_in_audit)
{
    begin(_i, ROLE_SUPPORT, DEFAULTS);
    post_in("/mailboxes/" ALICE "/permissions",
            "action=allow_from&address=boss@bank.test&for=2h&note=agency&confirm=1", "en");
    ck_assert_int_eq(response.status, 303);
    post_in("/mailboxes/" ALICE "/permissions",
            "action=disallow_from&address=boss@bank.test&note=over&confirm=1", "en");
    ck_assert_int_eq(response.status, 303);
    const char *html = get("/audit");
    check_page(html);
    rig_check_has(html, "boss@bank.test, until");
    rig_check_has(html, "boss@bank.test</td>");
    rig_check_has_not(html, " off</td>");
    end();
}
END_TEST

/* A password that is nearly too old, and one that is, in each language. */
START_TEST(test_password_age)
{
    static const char *const says[] = {"for 30 days at least", "mindestens 30 Tagen",
                                       "au moins 30 jours", "al menos 30 d\xc3\xad" "as"};
    static const struct login_limits limits = LOGIN_DEFAULT_LIMITS;
    const struct logins_try one = {.mailbox = ALICE, .ip = "192.0.2.1", .protocol = LOGIN_IMAP};
    struct logins_taken taken;
    bool ended = _i >= BACKEND_KINDS;
    begin(_i % BACKEND_KINDS, ROLE_VIEWER,
          WITH(ended ? "lock.password_max_age=30d" : "lock.password_max_age=40d"));
    struct logins *logins = logins_new(token_key);
    ck_assert_int_eq(logins_report(logins, &one, true, &limits, NOW - 30 * DAY_MS, &taken), 1);
    ck_assert_int_eq(logins_exchange(logins, store, &limits, NOW - 30 * DAY_MS), 1);
    logins_free(&logins);
    const char *until = ended ? "<time datetime=\"2025-11-22T" : "<time datetime=\"2025-12-02T";
    for (size_t i = 0; i < countof(languages); i++) {
        rig_check_has(get_in("/mailboxes/" ALICE, languages[i]), says[i]);
        const char *html = get_in("/logins?mailbox=" ALICE, languages[i]);
        rig_check_has(html, says[i]);
        rig_check_has(html, until);
    }
    end();
}
END_TEST

/* Nothing ends before its preview was seen. */
START_TEST(test_signins_opened)
{
    begin(_i, ROLE_SUPPORT, WITH("logins.mode=enforce"));
    fill_logins();
    const char *html = post_in("/logins", "mailbox=" ALICE "&note=", "en");
    ck_assert_int_eq(response.status, 400);
    check_page(html);
    html = post_in("/logins", "mailbox=" BOB "&note=by+telephone", "en");
    ck_assert_int_eq(response.status, 200);
    check_page(html);
    rig_check_has(html, "This ends");
    rig_check_has(html, "wrong passwords from many places do not close the mailbox");
    rig_check_has(get("/mailboxes/" BOB), "to all networks that are not known");
    post_in("/logins", "mailbox=" BOB "&note=by+telephone&confirm=1", "en");
    ck_assert_int_eq(response.status, 303);
    ck_assert_str_eq(location(), "/sending/desk/logins?mailbox=bob%40example.test&done=1");
    html = get("/logins?mailbox=" BOB "&done=1");
    rig_check_has(html, "role=\"status\"");
    rig_check_has(html, "/mailboxes/bob%40example.test\">Whether it is locked stands on the");
    rig_check_has(html, "Wrong passwords keep nobody out.");
    rig_check_has(get("/audit"), "by telephone");
    html = post_in("/logins", "mailbox=" BOB "&note=again&confirm=1", "en");
    ck_assert_int_eq(response.status, 409);
    check_page(html);
    end();
}
END_TEST

START_TEST(test_signins_of_a_viewer)
{
    begin(_i, ROLE_VIEWER, DEFAULTS);
    fill_logins();
    const char *html = get("/mailboxes/" ALICE);
    rig_check_has(html, "only observed: they keep nobody out. To enforce (logins.mode), wait until");
    rig_check_has(html, "seen for seven days. With enforcement this would hold:</p>");
    rig_check_has_not(html, "Open sign-ins again");
    post_in("/logins", "mailbox=" ALICE "&note=x&confirm=1", "en");
    ck_assert_int_eq(response.status, 403);
    end();
}
END_TEST

/* ---- every string, on every page ------------------------------------------------------------- */

/* What the program itself says, by which templates choose. */
static bool is_ours(const char *key)
{
    static const char *const keys[] = {"rule", "cause", "channel", "state", "verdict", "outcome",
                                       "action", "source", "kind", "field", "mode", "of", "where",
                                       "at", "since", "until", "retry_at", "last_at",
                                       "extra_until"};
    for (size_t i = 0; i < countof(keys); i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static struct json_object *poisoned(const char *key, struct json_object *value)
{
    struct json_object *copy;
    switch (json_object_get_type(value)) {
    case json_type_string:
        return json_object_new_string(is_ours(key) ? json_object_get_string(value) : SCRIPT "\"'");
    case json_type_object:
        copy = json_object_new_object();
        json_object_object_foreach(value, name, member)
        {
            json_object_object_add(copy, name, poisoned(name, member));
        }
        return copy;
    case json_type_array:
        copy = json_object_new_array();
        for (size_t i = 0; i < json_object_array_length(value); i++)
            json_object_array_add(copy, poisoned(key, json_object_array_get_idx(value, i)));
        return copy;
    default:
        return json_object_get(value);
    }
}

static void check_poisoned(const struct catalogue *catalogue, const char *page,
                           struct json_object *view)
{
    for (size_t i = 0; i < countof(languages); i++) {
        freed_by(json_put) struct json_object *shown = poisoned("", view);
        freed_by(text_free) struct text html = {0};
        json_add_string(shown, "base", "/sending");
        json_add_string(shown, "lang", languages[i]);
        json_add_bool(shown, "signed_in", true);
        json_add_bool(shown, "may_action", true);
        json_add_bool(shown, "may_all", true);
        present(shown, &(struct reader){catalogue, languages[i], NULL, NOW});
        ck_assert_int_eq(catalogue_page(catalogue, languages[i], page, shown, &html), 1);
        check_nesting(text_string(&html));
        const char *script = strstr(text_string(&html), "<script");
        ck_assert_msg(strstr(script + 1, "<script") == NULL, "%s: %.80s", page,
                      strstr(script + 1, "<script"));
        rig_check_has(text_string(&html), ESCAPED);
    }
}

START_TEST(test_every_string)
{
    begin(_i, ROLE_ADMIN, WITH(SMALL));
    struct verdict verdict = fill();
    struct problem problem;
    const struct desk *desk = rig_desk();
    freed_by(catalogue_free) struct catalogue *catalogue = rig_catalogue();
    struct json_object *view = NULL;
    ck_assert_int_eq(desk_home(desk, NOW, &view), 1);
    check_poisoned(catalogue, "desk_home", view);
    json_put(&view);
    ck_assert_int_eq(desk_suspended(desk, "", NOW, &view), 1);
    check_poisoned(catalogue, "desk_suspended", view);
    json_put(&view);
    ck_assert_int_eq(desk_decisions(desk, NULL, NULL, NOW, &view, &problem), 1);
    check_poisoned(catalogue, "desk_decisions", view);
    json_put(&view);
    ck_assert_int_eq(desk_audit(desk, NULL, NULL, &view, &problem), 1);
    check_poisoned(catalogue, "desk_audit", view);
    json_put(&view);
    check_poisoned(catalogue, "desk_mailbox", view_mailbox(ALICE, NOW));
    check_poisoned(catalogue, "desk_decision", view_decision(verdict.decision, NOW));
    view = preview_action(&admin, "{'action':'lift','subject':'" ALICE "','note':'x'}", NOW);
    json_add(view, "fields", json_read("[{\"name\":\"x\",\"value\":\"x\"}]"));
    json_add(view, "request", json_read("{\"note\":\"x\"}"));
    json_add_string(view, "reset_why_not", "x");
    json_add(view, "problem", json_read("{\"where\":\"note\",\"text\":\"x\"}"));
    check_poisoned(catalogue, "desk_action", view);
    end();
}
END_TEST

/* ---- one mailbox ----------------------------------------------------------------------------- */

static void check_order(const char *html, const char *earlier, const char *later)
{
    const char *first = strstr(html, earlier), *second = strstr(html, later);
    ck_assert_msg(first != NULL, "no %s", earlier);
    ck_assert_msg(second != NULL, "no %s", later);
    ck_assert_msg(first < second, "%s is behind %s", earlier, later);
}

#define OPEN "<details class=\"action\" open>\n<summary>"

START_TEST(test_likely_action)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL));
    rig_send("a", 5, NOW - 2 * HOUR_MS, MINUTE_MS);
    const char *html = get("/mailboxes/" ALICE);
    rig_check_has(html, "A limit is used up");
    rig_check_has(html, "Messages in 24 hours: 5 of 5 used");
    rig_check_has(html, OPEN "Give an extra allowance");
    rig_check_has_not(html, "value=\"lift\"");
    send_one("over", 1, NOW - HOUR_MS);
    html = get("/mailboxes/" ALICE);
    rig_check_has(html, "Cause: too much mail (Messages in 24 hours). Since ");
    rig_check_has(html, "by Sendguard.");
    rig_check_has(html, OPEN "Lift the suspension");
    check_order(html, "Lift the suspension</summary>", "Reset the counts</summary>");
    html = get("/mailboxes/" BOB);
    rig_check_has(html, "would be sent.");
    rig_check_has_not(html, OPEN);
    rig_check_has_not(html, "Exempt from all limits"); /* for administrators */
    end();
}
END_TEST

START_TEST(test_limits_of_ones_own)
{
    begin(_i, ROLE_VIEWER, WITH(SMALL));
    fill();
    const char *html = get("/mailboxes/carol@example.test");
    check_order(html, "57<br><span class=\"muted\">set for the mailbox, until ",
                "details class=\"more\"");
    check_order(html, ", instead of 5", "7 extra until ");
    check_order(html, "3<br><span class=\"muted\">set for the domain", "details class=\"more\"");
    check_order(html, "details class=\"more\"", "recipients_per_field");
    html = get("/mailboxes/" ALICE "?done=extra");
    rig_check_has(html, "The extra allowance is given.");
    rig_check_has_not(html, "The exemption is changed.");
    html = get("/domains/example.test");
    rig_check_has(html, "set for the domain");
    rig_check_has_not(html, "recipients_per_field");
    end();
}
END_TEST

START_TEST(test_viewer)
{
    begin(_i, ROLE_VIEWER, WITH(SMALL));
    fill();
    rig_check_has_not(get("/mailboxes/" ALICE), "/desk/actions");
    rig_check_has_not(get("/domains/example.test"), "/desk/actions");
    get_in("/actions?action=lift", "en");
    ck_assert_int_eq(response.status, 403);
    post("action=lift&subject=" ALICE "&note=x&confirm=1");
    ck_assert_int_eq(response.status, 403);
    rig_check_has(get("/mailboxes/" ALICE), "Suspended until");
    end();
}
END_TEST

/* ---- actions ------------------------------------------------------------------------------------ */

static size_t audited(const char *action, const char *note)
{
    struct audit audit[50];
    struct store_page page = {.max = 50};
    size_t found = 0;
    ck_assert_int_eq(store_audit(store, 0, audit, &page), 1);
    for (size_t i = 0; i < page.count; i++)
        found += strcmp(audit[i].action, action) == 0 && strcmp(audit[i].note, note) == 0 &&
                 strcmp(audit[i].by, "sam") == 0;
    return found;
}

#define LIFT "action=lift&subject=" ALICE "&note=talked+to+her"
#define BOTH_BUTTON "name=\"also\" value=\"reset\""

static void pause_alice(void)
{
    rig_send("a", 5, NOW - 2 * HOUR_MS, MINUTE_MS);
    ck_assert_int_eq(send_one("over", 1, NOW - HOUR_MS).kind, VERDICT_SUSPENDED);
}

START_TEST(test_lift_alone)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL));
    pause_alice();
    const char *html = post(LIFT);
    ck_assert_int_eq(response.status, 200);
    check_page(html);
    check_order(html, ">Now</h2>", ">Afterwards</h2>");
    rig_check_has(html, "Messages in 24 hours: 5 of 5 used");
    rig_check_has(html, "Sending is possible again from <time");
    rig_check_has(html, "<em>talked to her</em>");
    rig_check_has(html, BOTH_BUTTON);
    ck_assert_uint_eq(audited("lift", "talked to her"), 0);
    post(LIFT "&confirm=1");
    ck_assert_int_eq(response.status, 303);
    ck_assert_str_eq(location(), "/sending/desk/mailboxes/alice%40example.test?done=lift");
    ck_assert_uint_eq(audited("lift", "talked to her"), 1);
    ck_assert_uint_eq(audited("reset", "talked to her"), 0);
    html = get("/mailboxes/" ALICE "?done=lift");
    rig_check_has(html, "The suspension is lifted.");
    rig_check_has(html, "A limit is used up");
    end();
}
END_TEST

START_TEST(test_lift_and_reset)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL));
    pause_alice();
    post(LIFT "&confirm=1&also=reset");
    ck_assert_int_eq(response.status, 303);
    ck_assert_str_eq(location(), "/sending/desk/mailboxes/alice%40example.test?done=both");
    ck_assert_uint_eq(audited("lift", "talked to her"), 1);
    ck_assert_uint_eq(audited("reset", "talked to her"), 1);
    const char *html = get("/mailboxes/" ALICE "?done=both");
    rig_check_has(html, "The suspension is lifted and the counts are forgotten.");
    rig_check_has(html, "<h1>Can send</h1>");
    ck_assert_int_eq(send_one("again", 1, NOW).kind, VERDICT_ADMIT);
    end();
}
END_TEST

/* Nothing else carries a reset along. */
START_TEST(test_reset_with_a_lift_alone)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL));
    rig_send("a", 5, NOW - HOUR_MS, MINUTE_MS);
    post("action=note&subject=" ALICE "&note=x&confirm=1&also=reset");
    ck_assert_int_eq(response.status, 400);
    ck_assert_uint_eq(audited("note", "x"), 0);
    ck_assert_uint_eq(audited("reset", "x"), 0);
    end();
}
END_TEST

/* The cap is told before; who tries all the same reads what is done and what is not. */
START_TEST(test_reset_is_used_up)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL, "desk.max_resets_per_day=0"));
    pause_alice();
    const char *html = post(LIFT);
    check_page(html);
    rig_check_has_not(html, BOTH_BUTTON);
    rig_check_has(html, "your role may reset 0 times in 24 hours");
    html = post_in("/actions", LIFT "&confirm=1&also=reset", "de");
    ck_assert_int_eq(response.status, 403);
    check_page(html);
    rig_check_has(html, "Die Sperre ist aufgehoben, aber die Zähler sind nicht zurückgesetzt.");
    rig_check_has(html, "Ihre Rolle darf in 24 Stunden 0-mal zurücksetzen (desk.max_resets_per_day)");
    rig_check_has(html, "name=\"action\" value=\"reset\"");
    rig_check_has(html, "value=\"talked to her\"");
    ck_assert_uint_eq(audited("lift", "talked to her"), 1);
    ck_assert_uint_eq(audited("reset", "talked to her"), 0);
    end();
}
END_TEST

/* What a form has no way to say stays English. */
static const struct {
    const char *fields, *marked, *label, *told, *kept;
} wrong[] = {
    {"action=lift&subject=" ALICE, "lift-note", "Grund", "Geben Sie den Grund an", ""},
    {"action=suspend&subject=" ALICE "&note=n&for=<soon>", "suspend-for", "Für wie lange",
     "Geben Sie 1s bis 3650d an, etwa 30m", "&lt;soon&gt;"},
    {"action=suspend&subject=" ALICE "&note=n&cause=fun", "suspend-cause", "Ursache",
     "<span lang=\"en\">expected volume", NULL},
    {"action=extra&subject=" ALICE "&note=n", "extra-messages", "Zusätzliche Nachrichten am Tag",
     "Geben Sie an, wie viele Nachrichten", ""},
    {"action=extra&subject=" ALICE "&note=n&off_domain=-1", "extra-off_domain",
     "Zusätzliche externe Empfänger am Tag", "Geben Sie eine Zahl an, 0 oder mehr", "-1"},
    {"action=limit&subject=" ALICE "&note=n&rule=none&value=1", "limit-rule", "Regel",
     "<span lang=\"en\">expected a rule", NULL},
    {"action=limit&subject=" ALICE "&note=n&rule=messages_per_day&value=many", "limit-value",
     "Neues Limit", "Geben Sie 0 bis ", "many"},
    {"action=note&subject=nonsense&note=n", "subject", "Postfach oder @Domain",
     "Geben Sie eine Adresse wie name@example.org an", "nonsense"},
    {"action=suspend&subject=@example.test&note=n", "subject", "Postfach oder @Domain",
     "suspend gilt für ein Postfach, nicht für eine Domain", "@example.test"},
};

/* The field is named in the page's words and marked, and what was typed is still there. */
START_TEST(test_wrong_input)
{
    begin(0, ROLE_ADMIN, WITH(SMALL));
    const char *html = post_in("/actions", wrong[_i].fields, "de");
    ck_assert_int_eq(response.status, 400);
    check_page(html);
    rig_check_has(html, arena_printf(arena, "id=\"problem\" role=\"alert\"><strong>%s</strong>: %s",
                                     wrong[_i].label, wrong[_i].told));
    const char *field = strstr(html, arena_printf(arena, " id=\"%s\"", wrong[_i].marked));
    ck_assert_ptr_nonnull(field);
    field = arena_strndup(arena, field, strcspn(field, ">"));
    rig_check_has(field, " aria-invalid=\"true\"");
    rig_check_has(field, " aria-describedby=\"problem");
    if (wrong[_i].kept != NULL)
        rig_check_has(field, arena_printf(arena, "value=\"%s\"", wrong[_i].kept));
    const char *invalid = strstr(html, "aria-invalid");
    ck_assert_ptr_null(strstr(invalid + 1, "aria-invalid"));
    end();
}
END_TEST

START_TEST(test_forms_half_filled)
{
    begin(0, ROLE_SUPPORT, WITH(SMALL));
    const char *html = get("/actions");
    rig_check_has(html, "No action chosen");
    rig_check_has_not(html, "/desk/actions\"");
    rig_check_has(get("/actions?action=dance&subject=" ALICE), "To the page of " ALICE);
    html = get("/actions?action=extra&messages=7");
    rig_check_has(html, "<input id=\"subject\"");
    rig_check_has(html, "value=\"7\"");
    html = post("action=dance&subject=" ALICE "&note=n");
    ck_assert_int_eq(response.status, 400);
    check_page(html);
    rig_check_has(html, "<strong>Action</strong>");
    end();
}
END_TEST

/* What the role may not is said, with the form to ask for less; nothing is to be confirmed. */
START_TEST(test_not_allowed)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL, "desk.max_extra=10"));
    const char *html = post_in("/actions", "action=extra&subject=" BOB "&messages=11&note=big",
                               "fr");
    ck_assert_int_eq(response.status, 200);
    check_page(html);
    rig_check_has(html, "Votre rôle ne le permet pas : Votre rôle permet de donner 10 de plus, non 11");
    rig_check_has_not(html, "name=\"confirm\"");
    rig_check_has(html, "value=\"11\"");
    post("action=extra&subject=" BOB "&messages=11&note=big&confirm=1");
    ck_assert_int_eq(response.status, 403);
    ck_assert_uint_eq(audited("extra", "big"), 0);
    end();
}
END_TEST

/* ---- what is confirmed --------------------------------------------------------------------------- */

START_TEST(test_what_is_confirmed)
{
    begin(_i, ROLE_ADMIN, WITH(SMALL));
    const char *html = post("action=extra&subject=" BOB "&messages=7&for=30m&note=n");
    check_page(html);
    rig_check_has(html, "<dt>Messages in 24 hours</dt><dd>7 more</dd>\n<dt>Until</dt><dd><time");
    rig_check_has(html, "in 30 min</span>)</dd>");
    rig_check_has(html, "webmail: 5 → <strong>12</strong><br>mail program: 5 → <strong>12</strong>");
    rig_check_has_not(html, "name=\"sure\"");
    html = post("action=limit&subject=" BOB "&rule=messages_per_day&value=9&note=n");
    rig_check_has(html, "<dd>9</dd>\n<dt>Until</dt><dd>without an end</dd>");
    html = post("action=suspend&subject=" BOB "&cause=terms&for=2h&note=n");
    rig_check_has(html, "<dt>Cause</dt><dd>against the terms of use</dd>");
    rig_check_has(html, "in 2 h</span>)</dd>");
    html = post("action=exempt&subject=@example.test&for=7d&note=n");
    rig_check_has(html, "<dt>All limits</dt><dd>no limit applies</dd>");
    end();
}
END_TEST

/* Ten times the limit passes, more is asked about, and so is no limit at all. */
START_TEST(test_doubt)
{
    begin(_i, ROLE_ADMIN, WITH(SMALL));
    rig_check_has_not(post("action=extra&subject=" BOB "&messages=45&note=n"), "name=\"sure\"");
    rig_check_has(post("action=extra&subject=" BOB "&messages=46&note=n"), "name=\"sure\"");
    rig_check_has(post("action=limit&subject=" BOB "&rule=messages_per_day&value=off&note=n"),
                  "name=\"sure\"");
    post("action=extra&subject=" BOB "&messages=45&note=first&confirm=1");
    ck_assert_int_eq(response.status, 303);
    do_action(&admin, "{'action':'extra','subject':'" ALICE "','messages':45,'note':'x'}", NOW);
    rig_check_has(post("action=extra&subject=@example.test&messages=1&note=n"), "name=\"sure\"");
    const char *html = post("action=limit&subject=" BOB "&rule=messages_per_day&value=51&note=typo"
                            "&confirm=1");
    ck_assert_int_eq(response.status, 200);
    check_page(html);
    rig_check_has(html, "Nothing is done yet: confirm below");
    ck_assert_uint_eq(audited("limit", "typo"), 0);
    post("action=limit&subject=" BOB "&rule=messages_per_day&value=51&note=meant&confirm=1&sure=1");
    ck_assert_int_eq(response.status, 303);
    ck_assert_uint_eq(audited("limit", "meant"), 1);
    end();
}
END_TEST

static const char *seen_in(const char *html)
{
    const char *at = strstr(html, "name=\"seen\" value=\"");
    ck_assert_ptr_nonnull(at);
    return value_at(at + strlen("name=\"seen\" value=\""));
}

/* Who confirms what he saw is told what a colleague did meanwhile, and decides anew. */
START_TEST(test_a_colleague_was_faster)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL));
    const char *extra = "action=extra&subject=" BOB "&messages=2&for=1h&note=mine";
    const char *confirmed = arena_printf(arena, "%s&confirm=1&seen=%s", extra,
                                         seen_in(post(extra)));
    do_action(&admin, "{'action':'note','subject':'" BOB "','note':'on the phone with him'}",
              NOW - MINUTE_MS);
    const char *html = post(confirmed);
    ck_assert_int_eq(response.status, 200);
    check_page(html);
    rig_check_has(html, "Nothing is done: meanwhile somebody else did something here. <time");
    rig_check_has(html, "by ada");
    rig_check_has(html, "on the phone with him");
    ck_assert_uint_eq(audited("extra", "mine"), 0);
    post(arena_printf(arena, "%s&confirm=1&seen=%s", extra, seen_in(html)));
    ck_assert_int_eq(response.status, 303);
    ck_assert_uint_eq(audited("extra", "mine"), 1);
    end();
}
END_TEST

START_TEST(test_lifted_by_a_colleague)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL));
    pause_alice();
    const char *confirmed = arena_printf(arena, LIFT "&confirm=1&seen=%s", seen_in(post(LIFT)));
    do_action(&admin, "{'action':'lift','subject':'" ALICE "','note':'i know her'}", NOW);
    const char *html = post(confirmed);
    ck_assert_int_eq(response.status, 409);
    check_page(html);
    rig_check_has(html, "it is not suspended");
    rig_check_has(html, "i know her");
    rig_check_has_not(post("action=lift&subject=" BOB "&note=n"), "meanwhile");
    end();
}
END_TEST

/* ---- a second person ----------------------------------------------------------------------------- */

START_TEST(test_second_approval)
{
    begin(_i, ROLE_ADMIN, WITH(SMALL, "desk.second_approval=yes"));
    const char *exempt = "action=exempt&subject=@example.test&note=contract+7";
    const char *html = post(exempt);
    check_page(html);
    rig_check_has(html, "A second person has to agree before it is done.");
    rig_check_has(html, ">Ask a second person</button>");
    post(arena_printf(arena, "%s&confirm=1", exempt));
    ck_assert_int_eq(response.status, 303);
    ck_assert_str_eq(location(), "/sending/desk/approvals?done=approval_ask&about=%40example.test");
    ck_assert_uint_eq(audited("exempt", "contract 7"), 0);
    for (size_t i = 0; i < countof(languages); i++)
        check_page(get_in("/approvals?done=approval_ask", languages[i]));
    rig_check_has(get("/"), "1 action waits for a second person");
    html = get("/approvals");
    const char *link = strstr(html, "href=\"/sending/desk/approvals/");
    ck_assert_ptr_nonnull(link);
    const char *own = value_at(link + strlen("href=\"/sending/desk"));
    for (size_t i = 0; i < countof(languages); i++)
        check_page(get_in(own, languages[i]));
    html = get(own);
    rig_check_has(html, "You asked for it yourself");
    rig_check_has_not(html, "value=\"approve\"");
    html = post_in(own, "answer=approve&note=me", "en");
    ck_assert_int_eq(response.status, 403);
    check_page(html);
    end();
}
END_TEST

/* Of whom nothing is known is not shown as one who can send. */
START_TEST(test_never_seen)
{
    begin(_i, ROLE_SUPPORT, DEFAULTS);
    const char *html = get("/mailboxes/nobody@elsewhere.test");
    check_page(html);
    rig_check_has(html, "Nothing is known of this mailbox");
    rig_check_has_not(html, "state-ok");
    rig_send("sent", 1, NOW, 0);
    rig_check_has(get("/mailboxes/" ALICE), "state-ok");
    end();
}
END_TEST

/* The page behind an action leads to undo, which shows what comes back before it is done. */
START_TEST(test_undo)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL, "desk.max_extra=50"));
    do_action(&admin, "{'action':'suspend','subject':'" BOB "','note':'n'}", NOW);
    post("action=lift&subject=" BOB "&note=" SCRIPT "&confirm=1");
    const char *html = get("/mailboxes/" BOB "?done=lift");
    const char *link = strstr(html, "The suspension is lifted. <a href=\"/sending/desk/audit/");
    ck_assert_ptr_nonnull(link);
    const char *path = value_at(strstr(link, "/audit/"));
    rig_check_has(get("/mailboxes/" BOB "?done=note"), "The note is written.</p>");
    rig_check_has(get("/audit"), arena_printf(arena, "desk%s\">Undo</a>", path));
    rig_check_has(get("/"), arena_printf(arena, "desk%s\">Undo</a>", path));
    for (size_t i = 0; i < countof(languages); i++)
        check_page(get_in(path, languages[i]));
    html = get(path);
    rig_check_has(html, ESCAPED);
    rig_check_has(html, "stay sent");
    rig_check_has(html, "<span class=\"badge badge-bad\">paused</span>");
    post_in(path, "note=the+other+bob", "en");
    ck_assert_int_eq(response.status, 303);
    ck_assert_str_eq(location(), "/sending/desk/mailboxes/bob%40example.test?done=undo");
    ck_assert_uint_eq(audited("undo", "the other bob"), 1);
    html = get("/mailboxes/" BOB "?done=undo");
    check_page(html);
    rig_check_has(html, "It is undone.");
    rig_check_has_not(html, ">Undo</a>");
    html = post_in(path, "note=again", "en");
    ck_assert_int_eq(response.status, 409);
    check_page(html);
    rig_check_has(html, "sam has undone it already");
    end();
}
END_TEST

START_TEST(test_undo_of_a_block_list)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL));
    post_in("/blocks", "action=block&subject=t@x.test&reason=No.&note=n&confirm=1", "en");
    post_in("/blocks", "action=unblock&subject=t@x.test&note=n&confirm=1", "en");
    const char *link = strstr(get("/audit"), "/audit/");
    while (link != NULL && strstr(value_at(link), "/undo") == NULL)
        link = strstr(link + 1, "/audit/");
    ck_assert_ptr_nonnull(link);
    const char *path = value_at(link), *html = get(path);
    check_page(html);
    rig_check_has(html, "block ended");
    post_in(path, "note=", "en");
    ck_assert_int_eq(response.status, 303);
    ck_assert_str_eq(location(), "/sending/desk/audit");
    check_page(get("/audit"));
    rig_check_has(get("/blocks"), "t@x.test");
    end();
}
END_TEST

START_TEST(test_undo_of_many)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL));
    do_action(&admin, "{'action':'suspend','subject':'" BOB "','note':'n'}", NOW);
    do_action(&admin, "{'action':'suspend','subject':'" ALICE "','note':'n'}", NOW);
    const char *html = post_in("/lifts", "suspensions=" BOB "%0A" ALICE "&note=n&confirm=1", "en");
    ck_assert_int_eq(response.status, 200);
    const char *link = strstr(html, "/audit/");
    while (link != NULL && strstr(value_at(link), "/undo") == NULL)
        link = strstr(link + 1, "/audit/");
    ck_assert_ptr_nonnull(link);
    const char *path = value_at(link);
    for (size_t i = 0; i < countof(languages); i++)
        check_page(get_in(path, languages[i]));
    html = post_in(arena_strndup(arena, path, strcspn(path, "?")), "all=1&note=", "en");
    ck_assert_int_eq(response.status, 200);
    check_page(html);
    rig_check_has(html, "2 undone.");
    html = get("/audit");
    rig_check_has(html, "suspension lifted</td>");
    rig_check_has_not(html, ">Undo</a>");
    end();
}
END_TEST

START_TEST(test_second_person)
{
    begin(_i, ROLE_ADMIN, WITH(SMALL, "desk.second_approval=yes"));
    struct json_object *asked =
        VIEW(desk_action(rig_desk(), &admin,
                         words_of("{'action':'limit','subject':'" BOB "','rule':'messages_per_day',"
                                  "'value':'off','note':'" SCRIPT "'}"),
                         false, NOW, &made, &fault));
    const char *path = arena_printf(arena, "/approvals/%s", rig_text(asked, "waits"));
    const char *html = get(path);
    check_page(html);
    rig_check_has(html, "Asked for by ada at <time");
    rig_check_has(html, ESCAPED);
    rig_check_has(html, "webmail: 5 → <strong>off</strong>");
    html = post_in(path, "answer=approve&note=", "en");
    ck_assert_int_eq(response.status, 400);
    check_page(html);
    post_in(path, "answer=approve&note=i+called+them", "en");
    ck_assert_int_eq(response.status, 303);
    ck_assert_str_eq(location(), "/sending/desk/approvals?done=approval_give&about=bob%40example.test");
    rig_check_has(get("/approvals?done=approval_give&about=bob%40example.test"),
                  "Approved and done. <a href=\"/sending/desk/search?q=bob%40example.test\">");
    ck_assert_uint_eq(audited("limit", SCRIPT), 1);
    ck_assert_uint_eq(audited("approval_give", "i called them"), 1);
    html = post_in(path, "answer=approve&note=again", "en");
    ck_assert_int_eq(response.status, 404);
    check_page(html);
    rig_check_has(get("/audit"), ">approved</td>");
    end();
}
END_TEST

/* ---- the own account ----------------------------------------------------------------------------- */

static const char *cookie_given(void)
{
    for (size_t i = 0; i < response.header_count; i++)
        if (strcmp(response.headers[i].name, "Set-Cookie") == 0 &&
            strncmp(response.headers[i].value, "sendguard_session=", 18) == 0)
            return arena_strndup(arena, response.headers[i].value + 18,
                                 strcspn(response.headers[i].value + 18, ";"));
    ck_abort_msg("no session");
}

START_TEST(test_own_account)
{
    begin(_i, ROLE_VIEWER, DEFAULTS);
    check_page(get("/account"));
    rig_check_has(get("/"), "<a href=\"/sending/desk/account\">sam</a>");
    const char *html = post_in("/account", "action=password&password=wrong&new_password=a+new+password"
                               "&again=a+new+password", "en");
    ck_assert_int_eq(response.status, 403);
    check_page(html);
    rig_check_has_not(html, "a new password");
    post_in("/account", "action=password&password=correct+horse&new_password=a+new+password"
            "&again=another+password", "en");
    ck_assert_int_eq(response.status, 400);
    post_in("/account", "action=password&password=correct+horse&new_password=a+new+password"
            "&again=a+new+password", "en");
    ck_assert_int_eq(response.status, 303);
    snprintf(cookie, sizeof cookie, "%s", cookie_given());
    rig_check_has(get("/account?done=own_password"), "The password is changed.");
    ck_assert_uint_eq(audited("staff_password", "own account, at the desk"), 1);
    end();
}
END_TEST

static const char *field_in(const char *html, const char *name)
{
    const char *begins = arena_printf(arena, "name=\"%s\" value=\"", name);
    const char *at = strstr(html, begins);
    ck_assert_msg(at != NULL, "no %s", begins);
    return value_at(at + strlen(begins));
}

static const char *code_of(const char *secret)
{
    char *code = arena_alloc(arena, TOTP_DIGITS + 1);
    unsigned char bytes[TOTP_SECRET_BYTES];
    ck_assert(totp_secret_read(secret, bytes));
    totp_code(bytes, totp_step(NOW) + 1, code);
    return code;
}

/* A form may say anything of its secret: the page has no code of what fits into none. */
START_TEST(test_secret_that_fits_into_no_code)
{
    enum { TOO_LONG = 4000 };
    begin(_i, ROLE_SUPPORT, DEFAULTS);
    char *secret = arena_alloc(arena, TOO_LONG + 1);
    memset(secret, 'A', TOO_LONG);
    secret[TOO_LONG] = '\0';
    const char *html = post_in("/account", arena_printf(arena, "action=codes_on&code=1&secret=%s",
                                                        secret), "en");
    ck_assert_int_eq(response.status, 400);
    check_page(html);
    rig_check_has_not(html, "<svg class=\"qr\"");
    end();
}
END_TEST

/* Switched on, signed in with, and off again; in all languages. */
START_TEST(test_codes_of_an_app)
{
    static const char *const names[] = {"Your recovery codes", "Ihre Ersatzcodes",
                                        "Vos codes de secours", "Sus códigos de recuperación"};
    begin(_i, ROLE_SUPPORT, DEFAULTS);
    for (size_t i = 0; i < countof(languages); i++) {
        const char *html = post_in("/account", "action=codes", languages[i]);
        check_page(html);
        const char *secret = field_in(html, "secret"), *code = code_of(secret);
        rig_check_has(html, arena_printf(arena, "otpauth://totp/Sendguard:sam?secret=%s", secret));
        rig_check_has(html, "<svg class=\"qr\"");
        html = post_in("/account", arena_printf(arena, "action=codes_on&secret=%s&code=000000"
                                                "&password=correct+horse", secret), languages[i]);
        ck_assert_int_eq(response.status, 400);
        check_page(html);
        ck_assert_str_eq(field_in(html, "secret"), secret);
        html = post_in("/account", arena_printf(arena, "action=codes_on&secret=%s&code=%s"
                                                "&password=correct+horse", secret, code),
                       languages[i]);
        ck_assert_int_eq(response.status, 200);
        check_page(html);
        rig_check_has(html, names[i]);
        const char *recovery = strstr(html, "<li><code>");
        ck_assert_ptr_nonnull(recovery);
        recovery = arena_strndup(arena, recovery + strlen("<li><code>"), RECOVERY_CODE_CHARS);
        snprintf(cookie, sizeof cookie, "%s", cookie_given());
        html = post_in("/sign-in", "name=sam&password=correct+horse&next=/desk/audit"
                       "&kept:note=why&kept_path=/desk/actions", languages[i]);
        ck_assert_int_eq(response.status, 200);
        check_page(html);
        const char *second = arena_printf(arena, "waiting=%s&next=%s&kept:note=%s&kept_path=%s",
                                          field_in(html, "waiting"), field_in(html, "next"),
                                          field_in(html, "kept:note"), field_in(html, "kept_path"));
        html = post_in("/sign-in", arena_printf(arena, "%s&code=%s", second, code), languages[i]);
        ck_assert_int_eq(response.status, 403); /* it was used to switch codes on */
        check_page(html);
        html = post_in("/sign-in", arena_printf(arena, "%s&code=%s", second, recovery),
                       languages[i]);
        ck_assert_int_eq(response.status, 200);
        rig_check_has(html, "why</textarea>");
        snprintf(cookie, sizeof cookie, "%s", cookie_given());
        html = get_in("/account", languages[i]);
        check_page(html);
        rig_check_has(html, "9 ");
        html = post_in("/account", "action=codes_off&password=correct+horse", languages[i]);
        ck_assert_msg(response.status == 303, "%d %s", response.status, html);
        snprintf(cookie, sizeof cookie, "%s", cookie_given());
    }
    end();
}
END_TEST

/* What a domain's action would touch is shown before. */
START_TEST(test_domain)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL));
    const char *html = post("action=extra&subject=@example.test&messages=2&note=n");
    ck_assert_int_eq(response.status, 200);
    check_page(html);
    rig_check_has(html, "name=\"confirm\" value=\"1\"");
    post("action=extra&subject=@example.test&messages=2&note=n&confirm=1");
    ck_assert_str_eq(location(), "/sending/desk/domains/example.test?done=extra");
    rig_check_has(get("/domains/example.test?done=extra"), "2 extra until ");
    end();
}
END_TEST

/* The counts of a domain that a limit looks at can be forgotten, and no others. */
START_TEST(test_reset_of_a_domain)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL, "limits.smtp.messages_per_hour_per_domain=2"));
    const char *html = get("/domains/example.test");
    check_page(html);
    rig_check_has(html, "name=\"action\" value=\"reset\"");
    rig_check_has(html, "The counts of its mailboxes stay.");
    html = post("action=reset&subject=@example.test&note=n");
    ck_assert_int_eq(response.status, 200);
    check_page(html);
    rig_check_has(html, "name=\"confirm\" value=\"1\"");
    post("action=reset&subject=@example.test&note=n&confirm=1");
    ck_assert_str_eq(location(), "/sending/desk/domains/example.test?done=reset");
    rig_check_has(get("/domains/example.test?done=reset"), "The counts are forgotten.");
    rig_reload(WITH(SMALL));
    rig_check_has_not(get("/domains/example.test"), "name=\"action\" value=\"reset\"");
    end();
}
END_TEST

/* A form that the role may not send is not offered. */
START_TEST(test_limits_of_a_domain_are_for_administrators)
{
    enum role role = _i / BACKEND_KINDS == 0 ? ROLE_SUPPORT : ROLE_ADMIN;
    begin(_i % BACKEND_KINDS, role, WITH(SMALL));
    const char *html = get("/domains/example.test");
    check_page(html);
    ck_assert((strstr(html, "name=\"action\" value=\"limit\"") != NULL) == (role == ROLE_ADMIN));
    rig_check_has(html, "name=\"action\" value=\"extra\"");
    html = get("/mailboxes/" BOB);
    rig_check_has(html, "name=\"action\" value=\"limit\"");
    ck_assert((strstr(html, "at most 7d. Only the value default needs no end.") != NULL) ==
              (role == ROLE_SUPPORT));
    post("action=limit&subject=@example.test&rule=messages_per_day&value=0&note=n&confirm=1");
    ck_assert_int_eq(response.status, role == ROLE_ADMIN ? 303 : 403);
    end();
}
END_TEST

/* ---- held mail -------------------------------------------------------------------------------- */

static const char *answer(const char *mailbox, const char *fields)
{
    return post_in(arena_printf(arena, "/mailboxes/%s/held", mailbox), fields, "en");
}

/* Whose messages wait, and whose were noted or deferred: each is asked for in the same way. */
START_TEST(test_held)
{
    static const char carol[] = "carol@example.test";
    begin(_i, ROLE_SUPPORT, WITH(SMALL));
    rig_wait_since(ALICE, UNUSUAL_HOLD, NOW - HOUR_MS);
    rig_wait_since(BOB, UNUSUAL_NOTE, NOW - HOUR_MS);
    rig_wait_since(carol, UNUSUAL_DEFER, NOW - MINUTE_MS);
    for (size_t k = 0; k < countof(languages); k++) {
        check_page(get_in("/held", languages[k]));
        ck_assert_int_eq(response.status, 200);
    }
    const char *html = get("/held");
    rig_check_has(html, "1 message has passed since");
    rig_check_has(html, "1 message was refused for the time being since");
    rig_check_has(html, "id=\"held-note-3\"");
    html = answer(BOB, "action=release&note=rang");
    check_page(html);
    rig_check_has(html, "For a week it is usual of the mailbox to write to 41 new people");
    rig_check_has_not(html, "The messages are released");
    answer(BOB, "action=release&note=rang&confirm=1&seen=1");
    ck_assert_int_eq(response.status, 303);
    rig_check_has(location(), "/held?done=usual");
    html = answer(carol, "action=reject&note=rang");
    rig_check_has(html, "The mailbox is locked, since a stranger has the password");
    rig_check_has_not(html, "The messages are deleted");
    answer(carol, "action=reject&note=rang&confirm=1&seen=1");
    rig_check_has(location(), "/held?done=locked");
    html = get("/held?done=locked");
    rig_check_has(html, "The mailbox is locked.");
    rig_check_has_not(html, "within a week, and not held");
    html = answer(ALICE, "action=reject&note=rang");
    rig_check_has(html, "The messages are deleted for good");
    html = post("action=note&subject=" ALICE "&note=rang");
    rig_check_has(html, "with a new recipient it would wait too");
    end();
}
END_TEST

/* ---- what a message would meet --------------------------------------------------------------- */

START_TEST(test_simulate)
{
    begin(_i, ROLE_VIEWER, WITH(SMALL));
    const char *html = post_in("/simulate", "mailbox=" BOB "&to=x@y.test&lang=de", "de");
    ck_assert_int_eq(response.status, 200);
    check_page(html);
    rig_check_has(html, "würde gesendet");
    html = post_in("/simulate", "mailbox=" BOB "&lang=de&bcc=a@x.test,b@x.test,c@x.test,d@x.test,"
                                "e@x.test,f@x.test,g@x.test,h@x.test,i@x.test,j@x.test,k@x.test,"
                                "l@x.test,m@x.test,n@x.test,o@x.test,p@x.test,q@x.test,r@x.test,"
                                "s@x.test,t@x.test,u@x.test", "de");
    rig_check_has(html, "würde abgelehnt");
    rig_check_has(html, "Was der Nutzer lesen würde");
    rig_check_has(html, "u@x.test</textarea>");
    rig_reload(WITH(SMALL, "unusual.new_recipients=1"));
    html = post_in("/simulate", "mailbox=" BOB "&to=new@x.test,newer@x.test", "en");
    rig_check_has(html, "would be sent");
    rig_check_has(html, "wrote to 2 people that it had not written to in 90 days");
    rig_check_has(html, "The mailbox was known for 0 days");
    html = post_in("/simulate", "mailbox=<nobody>&to=" SCRIPT, "de");
    ck_assert_int_eq(response.status, 400);
    check_page(html);
    rig_check_has(html, ESCAPED "</textarea>");
    end();
}
END_TEST

START_TEST(test_search_is_there_once)
{
    begin(_i, ROLE_VIEWER, DEFAULTS);
    rig_check_has_not(get("/"), "id=\"bar-q\"");
    rig_check_has(get("/audit"), "id=\"bar-q\"");
    end();
}
END_TEST

/* A number of messages and what is wrong, before all else, in each language. */
START_TEST(test_bypassed_comes_first)
{
    static const char *const said[] = {"plugin is missing", "Plugin des Webmails fehlt",
                                       "plugin du webmail manque", "plugin del correo web falta"};
    begin(_i, ROLE_VIEWER, WITH("mta.webmail_hosts=127.0.0.1"));
    struct counter counter = {.name = "bypassed day=2025-11-22", .value = 601};
    rig_check_has_not(get("/"), "id=\"bypassed\"");
    ck_assert_int_eq(
        store_observe(store, &(struct observations){.counters = &counter, .counter_count = 1}, NOW),
        1);
    for (size_t i = 0; i < countof(languages); i++) {
        const char *html = get_in("/", languages[i]);
        const char *note = strstr(html, "id=\"bypassed\"");
        rig_check_has(html, said[i]);
        rig_check_has(html, "601");
        ck_assert_ptr_nonnull(note);
        ck_assert(note < strstr(html, "id=\"q\""));
        check_nesting(html);
    }
    struct submission submission = rig_submission("smtp-1");
    submission.channel = CHANNEL_SMTP;
    submission.webmail_host = true;
    submission.unnamed = 1;
    rig_judge(&submission, NOW);
    rig_check_has(get("/decisions"), "not judged in the webmail");
    rig_check_has(get("/mailboxes/" ALICE), "not judged in the webmail");
    send_one("ticketed", 1, NOW);
    submission.id = "smtp-2";
    struct verdict redeemed = rig_judge(&submission, NOW);
    ck_assert(redeemed.redeemed);
    char decision[DECISION_TEXT_SIZE];
    decision_format(redeemed.decision, decision);
    rig_check_has(get("/decisions"), "let through: counted in the webmail already");
    rig_check_has(get(arena_printf(arena, "/decisions/%s", decision)),
                  "let through: counted in the webmail already");
    end();
}
END_TEST

static void appeal(int number)
{
    const struct action action = {NOW, "ada", "seen"};
    const struct durations durations = {1, {DAY_MS}};
    const char *mailbox = arena_printf(arena, "user%03d@example.test", number);
    struct suspension suspension;
    struct problem problem = {0};
    ck_assert_int_eq(store_suspend(store, mailbox, CAUSE_TERMS, &durations, &action, &suspension),
                     1);
    const char *about = arena_printf(arena, "suspension-%lld", (long long)suspension.id);
    ck_assert_int_eq(desk_appeal(rig_desk(), mailbox, about, "Not me.", NOW, &problem), 1);
}

START_TEST(test_hundreds_of_appeals)
{
    begin(_i, ROLE_SUPPORT, WITH(SMALL));
    rig_check_has(get("/appeals"), "Nobody waits for an answer.");
    for (int i = 0; i < 10; i++)
        appeal(i);
    ck_assert_ptr_null(strstr(get("/"), "/desk/appeals"));
    for (int i = 10; i < 201; i++)
        appeal(i);
    const char *html = get("/");
    rig_check_has(html, "<a href=\"/sending/desk/appeals\">Show all 201</a>");
    size_t shown = 0;
    for (const char *at = html; (at = strstr(at, "written\">Not me.")) != NULL; at++)
        shown++;
    ck_assert_uint_eq(shown, 10);
    rig_check_has(get("/appeals"), "One more came later; it stands here when");
    appeal(201);
    rig_check_has(get_in("/appeals", "fr"), "2 autres sont arrivées plus tard");
    end();
}
END_TEST

int main(void)
{
    staff_password_cost = (struct staff_password_cost){crypto_pwhash_OPSLIMIT_MIN,
                                                       crypto_pwhash_MEMLIMIT_MIN};
    Suite *suite = suite_create("desk pages");
    TCase *cases = desk_case(suite, "desk pages");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, test_lock, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_closed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_support_opens_nothing_closed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_every_page, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reports_that_wait, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_a_viewer_deals_with_no_report, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_audit_of_blocks, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_wrong_filters);
    tcase_add_test(cases, test_outcomes_to_choose);
    tcase_add_loop_test(cases, test_words_of_others, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_signins, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_signins_opened, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_permission_in_audit, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_password_age, 0, 2 * BACKEND_KINDS);
    tcase_add_loop_test(cases, test_signins_of_a_viewer, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_every_string);
    tcase_add_loop_test(cases, test_likely_action, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_limits_of_ones_own, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_viewer, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lift_alone, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lift_and_reset, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_reset_with_a_lift_alone);
    tcase_add_loop_test(cases, test_reset_is_used_up, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_wrong_input, 0, (int)countof(wrong));
    tcase_add_test(cases, test_forms_half_filled);
    tcase_add_test(cases, test_not_allowed);
    tcase_add_loop_test(cases, test_what_is_confirmed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_doubt, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_a_colleague_was_faster, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lifted_by_a_colleague, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_second_approval, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_second_person, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_own_account, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_codes_of_an_app, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_secret_that_fits_into_no_code, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_domain, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reset_of_a_domain, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_limits_of_a_domain_are_for_administrators, 0,
                        2 * BACKEND_KINDS);
    tcase_add_loop_test(cases, test_never_seen, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_undo, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_undo_of_a_block_list, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_undo_of_many, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hundreds_of_appeals, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_held, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_simulate);
    tcase_add_test(cases, test_search_is_there_once);
    tcase_add_loop_test(cases, test_bypassed_comes_first, 0, BACKEND_KINDS);
    return backends_run(suite);
}
