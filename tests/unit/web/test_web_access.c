/* Who gets in at the web interface, to the millisecond: sessions, tokens,
 * origins, blocks; and errors as the asker reads them. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "store/audit.h"
#include "store/store.h"
#include "tests/unit/guard/guard_rig.h"
#include "staff/staff_secret.h"
#include "web/web.h"

#define PASSWORD "correct horse battery"
#define FORM "application/x-www-form-urlencoded"
#define OUR_ORIGIN "http://127.0.0.1:8080"

static struct web web;
static struct http_response response;
static char cookie[SECRET_TEXT_SIZE];

static void begin(int backend)
{
    struct problem problem;
    struct action action = action_at(NOW);
    log_set_level(LOG_ERROR_LEVEL); /* who signs in is of no interest here */
    rig_begin(backend, DEFAULTS);
    web = (struct web){.desk = {store, guard, token_key}, .key = token_key};
    response = (struct http_response){.status = 200};
    ck_assert_int_eq(staff_add(store, "ada", ROLE_ADMIN, PASSWORD, &action, &problem), 1);
}

static void sign_in(int64_t now_ms)
{
    struct sign_in sign_in = {
        .name = "ada", .password = PASSWORD, .network = "192.0.2.1", .now_ms = now_ms};
    ck_assert_int_eq(staff_sign_in(store, &sign_in), SIGNED_IN);
    memcpy(cookie, sign_in.cookie, sizeof cookie);
}

/* ---- requests ------------------------------------------------------------------ */

static void ask(struct raw_request raw, int64_t now_ms)
{
    if (raw.method == NULL)
        raw.method = "GET";
    if (raw.peer == NULL)
        raw.peer = "192.0.2.1";
    raw.body_length = raw.body != NULL ? strlen(raw.body) : 0;
    http_response_free(&response);
    web_answer(&web, &raw, NULL, arena, now_ms, &response);
}

static const char *session(void)
{
    return arena_printf(arena, "sendguard_session=%s", cookie);
}

static const char *header(const char *name)
{
    for (size_t i = 0; i < response.header_count; i++)
        if (strcmp(response.headers[i].name, name) == 0)
            return response.headers[i].value;
    return NULL;
}

static const char *body(void) { return text_string(&response.body); }

static void check_has(const char *part)
{
    ck_assert_msg(strstr(body(), part) != NULL, "no \"%s\" in %.300s", part, body());
}

static void post(const char *path, const char *origin, const char *form, int64_t now_ms)
{
    ask((struct raw_request){.method = "POST", .url = path, .origin = origin, .body = form,
                             .content_type = FORM, .cookies = session(),
                             .host = "mail.test"},
        now_ms);
}

/* ---- sessions and tokens ----------------------------------------------------------- */

START_TEST(a_session_lasts_eight_hours)
{
    begin(_i);
    sign_in(NOW);
    struct raw_request desk = {.url = "/sending/desk/audit/export.csv", .cookies = session()};
    ask(desk, NOW + SESSION_MS - 1);
    ck_assert_int_eq(response.status, 200);
    ask(desk, NOW + SESSION_MS);
    ck_assert_int_eq(response.status, 303);
    ck_assert_str_eq(header("Location"), "/sending/desk/sign-in?next=%2Fdesk%2Faudit%2Fexport.csv");
}
END_TEST

/* What was typed comes again after signing in, with nothing done; only its reason is changed by hand. */
START_TEST(a_form_outlives_its_session)
{
    begin(_i);
    sign_in(NOW);
    int64_t later = NOW + SESSION_MS;
    post("/sending/desk/mailboxes/a%2Fb%40example.test/permissions", OUR_ORIGIN,
         "csrf=x&action=allow_from&address=x%40y.test&confirm=1&sure=1&note=%3Cb%3E+on+the+phone", later);
    ck_assert_int_eq(response.status, 403);
    check_has("name=\"kept:note\" value=\"&lt;b&gt; on the phone\"");
    check_has("name=\"kept_path\" value=\"/desk/mailboxes/a/b@example.test/permissions\"");
    ck_assert_ptr_null(strstr(body(), "confirm"));
    const char *kept = "&kept%3Aaction=allow_from&kept%3Aaddress=x%40y.test&kept%3Anote=%3Cb%3E+on+the+phone"
                       "&kept_path=/desk/mailboxes/a/b%40example.test/permissions";
    post("/sending/desk/sign-in", OUR_ORIGIN, arena_printf(arena, "name=ada&password=wrong%s", kept),
         later);
    check_has("name=\"kept:note\" value=\"&lt;b&gt; on the phone\"");
    post("/sending/desk/sign-in", OUR_ORIGIN,
         arena_printf(arena, "name=ada&password=correct+horse+battery%s", kept), later);
    ck_assert_int_eq(response.status, 200);
    ck_assert_ptr_nonnull(header("Set-Cookie"));
    check_has("action=\"/sending/desk/mailboxes/a/b%40example.test/permissions\"");
    check_has("name=\"address\" value=\"x@y.test\"");
    check_has("&lt;b&gt; on the phone</textarea>");
    struct audit audit[9];
    struct store_page page = {.max = countof(audit)};
    ck_assert_int_eq(store_audit(store, 0, audit, &page), 1);
    ck_assert_uint_eq(page.count, 1); /* the account */
    post("/sending/desk/sign-in", OUR_ORIGIN,
         "name=ada&password=correct+horse+battery&kept%3Anote=x&kept_path=/desk/../evil", later);
    ck_assert_int_eq(response.status, 303);
}
END_TEST

/* ---- signed in by a proxy --------------------------------------------------------------------------- */

/* What the desk answers to who comes from `peer` with the header; a cookie that is given is kept. */
static int come(const char *peer, const char *user, int64_t now_ms)
{
    ask((struct raw_request){.url = "/sending/desk/account", .peer = peer, .remote_user = user,
                             .cookies = cookie[0] != '\0' ? session() : NULL},
        now_ms);
    const char *given = header("Set-Cookie");
    if (given != NULL && strncmp(given, "sendguard_session=", 18) == 0)
        snprintf(cookie, sizeof cookie, "%.43s", given + 18);
    return response.status;
}

START_TEST(a_proxy_signs_in)
{
    struct problem problem;
    struct action action = action_at(NOW);
    begin(_i);
    rig_reload(WITH("web.sign_in_proxies=192.0.2.0/24"));
    ck_assert_int_eq(staff_add(store, "bo", ROLE_VIEWER, PASSWORD, &action, &problem), 1);
    cookie[0] = '\0';
    ck_assert_int_eq(come("192.0.2.9", "ada", NOW), 200);
    check_has(">ada</a>");
    check_has("The web server has signed you in, and you sign out there.");
    ck_assert_ptr_null(strstr(body(), ">Sign out</button>"));
    ask((struct raw_request){.url = "/sending/desk/sign-in", .peer = "192.0.2.9", .remote_user = "ada"},
        NOW);
    ck_assert_str_eq(header("Location"), "/sending/desk/");
    char first[SECRET_TEXT_SIZE];
    memcpy(first, cookie, sizeof first);
    ck_assert_int_eq(come("192.0.2.9", "ada", NOW + 1), 200);
    ck_assert_ptr_null(header("Set-Cookie"));
    ck_assert_int_eq(come("192.0.2.9", "ada", NOW + SESSION_MS), 200); /* a new one */
    ck_assert_str_ne(cookie, first);
    ck_assert_int_eq(come("192.0.2.9", "bo", NOW + SESSION_MS), 200); /* another one */
    check_has(">bo</a>");
    ck_assert_int_eq(come("192.0.2.9", "eve", NOW + SESSION_MS), 403);
    check_has("has signed you in as eve, and there is no account of that name");
    ck_assert_int_eq(come("192.0.2.9", "ada, bo", NOW + SESSION_MS), 403); /* two headers */
    cookie[0] = '\0';
    ck_assert_int_eq(come("192.0.2.9", "", NOW), 303); /* a proxy that knows nobody */
    ck_assert_int_eq(come("192.0.2.9", NULL, NOW), 303);
    ck_assert_int_eq(come("198.51.100.1", "ada", NOW), 303); /* no such proxy */
    ck_assert_int_eq(come("", "ada", NOW), 200); /* a socket file */
}
END_TEST

/* Programs that send no cookie back make no session with each request. */
START_TEST(a_proxy_makes_so_many_sessions)
{
    begin(_i);
    rig_reload(WITH("web.sign_in_proxies=192.0.2.0/24"));
    for (int i = 0; i <= SESSIONS_TRUSTED_MAX; i++) {
        cookie[0] = '\0';
        ck_assert_int_eq(come("192.0.2.9", "ada", NOW), 200);
        ck_assert_int_eq(cookie[0] != '\0', i < SESSIONS_TRUSTED_MAX);
    }
    ck_assert_ptr_null(strstr(body(), ">ada</a>"));
    ck_assert_int_eq(come("192.0.2.9", "ada", NOW + HOUR_MS), 200);
    ck_assert_int_ne(cookie[0], '\0');
}
END_TEST

START_TEST(nobody_is_a_proxy_by_default)
{
    begin(_i);
    cookie[0] = '\0';
    const char *peers[] = {"127.0.0.1", "::1", "192.0.2.9", ""};
    for (size_t i = 0; i < countof(peers); i++)
        ck_assert_msg(come(peers[i], "ada", NOW) == 303, "%s", peers[i]);
}
END_TEST

/* The forms of another session are not taken, and what was typed is kept. */
START_TEST(a_form_of_another_session_behind_a_proxy)
{
    begin(_i);
    rig_reload(WITH("web.sign_in_proxies=192.0.2.0/24"));
    ask((struct raw_request){.method = "POST", .url = "/sending/desk/actions", .remote_user = "ada",
                             .origin = OUR_ORIGIN, .content_type = FORM, .host = "mail.test",
                             .body = "csrf=x&action=note&subject=" ALICE "&note=typed&confirm=1"},
        NOW);
    ck_assert_int_eq(response.status, 403);
    check_has("typed</textarea>");
    struct audit audit[9];
    struct store_page page = {.max = countof(audit)};
    ck_assert_int_eq(store_audit(store, 0, audit, &page), 1);
    ck_assert_uint_eq(page.count, 1);
}
END_TEST

START_TEST(a_token_lasts_until_its_end)
{
    begin(_i);
    char token[API_TOKEN_TEXT_SIZE];
    struct problem problem;
    struct action action = action_at(NOW);
    ck_assert_int_eq(
        staff_token_add(store, "robot", ROLE_VIEWER, NOW + DAY_MS, NULL, &action, token, &problem), 1);
    struct raw_request overview = {.url = "/api/v1/overview",
                                   .authorization = arena_printf(arena, "Bearer %s", token)};
    ask(overview, NOW + DAY_MS - 1);
    ck_assert_int_eq(response.status, 200);
    ck_assert_str_eq(response.type, "application/json");
    ask(overview, NOW + DAY_MS);
    ck_assert_int_eq(response.status, 401);
    ck_assert_str_eq(response.type, "application/problem+json");
    overview.authorization = arena_printf(arena, "Bearer %s, Bearer %s", token, token);
    ask(overview, NOW); /* two headers */
    ck_assert_int_eq(response.status, 401);
}
END_TEST

/* ---- forms ---------------------------------------------------------------------------- */

static const struct {
    const char *origin;
    bool ours;
} origins[] = {
    {NULL, true},
    {OUR_ORIGIN, true},
    {"HTTP://127.0.0.1:8080", true},
    {"http://mail.test", true}, /* the Host that was asked */
    {"https://MAIL.test", true},
    {OUR_ORIGIN "/", false},
    {OUR_ORIGIN "/sending", false},
    {"http://127.0.0.1:80801", false},
    {"http://127.0.0.1", false},
    {"https://127.0.0.1:8080", false},
    {"http://mail.test.evil.test", false},
    {"http://evil.test/?http://mail.test", false},
    {"null", false},
    {"mail.test", false},
    {"", false},
    {"://", false},
    {OUR_ORIGIN ", http://evil.test", false}, /* two headers */
};

START_TEST(a_form_comes_from_our_origin)
{
    begin(BACKEND_SQLITE);
    sign_in(NOW);
    char csrf[SECRET_TEXT_SIZE];
    staff_csrf(cookie, csrf);
    const char *form =
        arena_printf(arena, "csrf=%s&action=note&subject=a@b.test&note=x&confirm=1", csrf);
    post("/desk/actions", origins[_i].origin, form, NOW);
    ck_assert_int_eq(response.status, origins[_i].ours ? 303 : 403);
    post("/desk/sign-in", origins[_i].origin, "name=ada&password=" PASSWORD, NOW);
    ck_assert_int_eq(response.status, origins[_i].ours ? 303 : 403);
    ck_assert_int_eq(header("Set-Cookie") != NULL, origins[_i].ours);
}
END_TEST

START_TEST(a_form_carries_its_sessions_token)
{
    begin(_i);
    sign_in(NOW);
    char csrf[SECRET_TEXT_SIZE];
    staff_csrf(cookie, csrf);
    sign_in(NOW); /* another session */
    const char *rest = "&action=note&subject=a@b.test&note=x&confirm=1";
    post("/desk/actions", OUR_ORIGIN, arena_printf(arena, "csrf=%s%s", csrf, rest), NOW);
    ck_assert_int_eq(response.status, 403);
    post("/desk/actions", OUR_ORIGIN, rest + 1, NOW);
    ck_assert_int_eq(response.status, 403);
    staff_csrf(cookie, csrf);
    post("/desk/actions", OUR_ORIGIN, arena_printf(arena, "csrf=%s%s", csrf, rest), NOW);
    ck_assert_int_eq(response.status, 303);
}
END_TEST

START_TEST(signing_out)
{
    begin(_i);
    sign_in(NOW);
    char csrf[SECRET_TEXT_SIZE];
    staff_csrf(cookie, csrf);
    post("/desk/sign-out", OUR_ORIGIN, arena_printf(arena, "csrf=%s", csrf), NOW);
    ck_assert_int_eq(response.status, 303);
    ck_assert_str_eq(header("Set-Cookie"), "sendguard_session=; Path=/sending/desk; Max-Age=0; "
                                           "HttpOnly; SameSite=Strict");
    ask((struct raw_request){.url = "/desk/", .cookies = session()}, NOW);
    ck_assert_int_eq(response.status, 303);
    ck_assert_str_eq(response.referrer, "same-origin");
}
END_TEST

/* ---- blocks ------------------------------------------------------------------------------- */

static int try_password(const char *password, int64_t now_ms)
{
    cookie[0] = '\0';
    post("/desk/sign-in", NULL, arena_printf(arena, "name=ada&password=%s", password), now_ms);
    return response.status;
}

START_TEST(a_wait_ends_to_the_millisecond)
{
    begin(_i);
    for (int i = 0; i < SIGN_IN_TRIES; i++)
        ck_assert_int_eq(try_password("wrong horse", NOW + i), 403);
    ck_assert_int_eq(try_password(PASSWORD, NOW + SECOND_MS), 429);
    ck_assert_ptr_null(header("Set-Cookie"));
    ck_assert_str_eq(header("Retry-After"), "30");
    check_has("<time datetime=\"2025-11-22T0");
    check_has("again in 30 s (");
    int64_t end_ms = NOW + SIGN_IN_TRIES - 1 + SIGN_IN_SLOW_MS;
    ck_assert_int_eq(try_password(PASSWORD, end_ms - 1), 429);
    ck_assert_str_eq(header("Retry-After"), "1");
    ck_assert_int_eq(try_password(PASSWORD, end_ms), 303);
}
END_TEST

/* What was typed before is not lost with a wait, and what cannot be kept is not said to be. */
START_TEST(a_wait_keeps_what_was_typed)
{
    freed_by(text_free) struct text many = {0};
    begin(_i);
    for (int i = 0; i < SIGN_IN_TRIES; i++)
        ck_assert_int_eq(try_password("wrong horse", NOW + i), 403);
    const char *fields = "name=ada&password=wrong&kept%3Anote=typed&kept_path=/desk/actions";
    post("/sending/desk/sign-in", OUR_ORIGIN, fields, NOW + SECOND_MS);
    ck_assert_int_eq(response.status, 429);
    check_has("name=\"kept:note\" value=\"typed\"");
    check_has("name=\"kept_path\" value=\"/desk/actions\"");
    for (int i = 0; i < 60; i++)
        text_addf(&many, "%sbox%d=1", i > 0 ? "&" : "", i);
    post("/sending/desk/lifts", OUR_ORIGIN, text_string(&many), NOW);
    ck_assert_int_eq(response.status, 403);
    check_has("too many fields to be kept");
    ck_assert_ptr_null(strstr(body(), "kept:"));
}
END_TEST

START_TEST(those_who_wait_for_their_turn_are_few)
{
    begin(BACKEND_SQLITE);
    for (int i = 0; i < PASSWORD_PLACES; i++)
        ck_assert(staff_password_take(false));
    ck_assert_int_eq(try_password(PASSWORD, NOW), 503);
    ck_assert_ptr_nonnull(header("Retry-After"));
    staff_password_leave(false);
    ck_assert_int_eq(try_password(PASSWORD, NOW), 303);
    ck_assert(staff_password_take(false));
    ck_assert_int_eq(try_password(PASSWORD, NOW), 303); /* the network is known now */
}
END_TEST

/* ---- errors --------------------------------------------------------------------------------- */

START_TEST(errors_in_the_askers_language_and_form)
{
    begin(BACKEND_SQLITE);
    ask((struct raw_request){.url = "/nowhere"}, NOW);
    ck_assert_int_eq(response.status, 404);
    ck_assert_str_eq(response.type, "text/html; charset=utf-8");
    check_has("<html lang=\"en\">");
    check_has("There is no such page");
    ask((struct raw_request){.url = "/nowhere", .accept_language = "fr-CH, en;q=0.5"}, NOW);
    check_has("<html lang=\"fr\">");
    ask((struct raw_request){.url = "/nowhere", .accept = "application/json"}, NOW);
    freed_by(json_put) struct json_object *problem = json_read(body());
    ck_assert_ptr_nonnull(problem);
    ck_assert_str_eq(json_string(problem, "title", ""), "There is no such page");
    ck_assert_int_eq(json_int(problem, "status", 0), 404);
    ck_assert_ptr_null(json_member(problem, "where"));
}
END_TEST

START_TEST(a_refused_request_says_where_and_is_escaped)
{
    begin(BACKEND_SQLITE);
    ask((struct raw_request){.url = "/status", .query = "%3Cb%3E=1&%3Cb%3E=2"}, NOW);
    ck_assert_int_eq(response.status, 400);
    check_has("&lt;b&gt;: it is given twice");
    ask((struct raw_request){.url = "/api/v1/overview", .query = "a=1&a=2"}, NOW);
    freed_by(json_put) struct json_object *problem = json_read(body());
    ck_assert_str_eq(json_string(problem, "where", ""), "a");
    ck_assert_str_eq(json_string(problem, "detail", ""), "it is given twice");
}
END_TEST

static const char *all_lines(int fd)
{
    char *lines = arena_alloc(arena, 64 * 1024);
    ck_assert_int_ge(pread(fd, lines, 64 * 1024 - 1, 0), 0);
    return lines;
}

START_TEST(a_silent_store_is_told_once)
{
    begin(BACKEND_SQLITE);
    sign_in(NOW);
    char path[256];
    snprintf(path, sizeof path, "%s/log", folder);
    int log_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(log_fd, 0);
    int before_fd = log_set_fd(log_fd);
    log_set_level(LOG_INFO_LEVEL);
    struct problem problem;
    struct store *away = NULL;
    /* nobody listens there */
    ck_assert_int_eq(store_open("redis+unix:///nonexistent/redis.sock",
                                &(struct store_options){.timeout_ms = 50}, &away, &problem), 1);
    struct raw_request desk = {.url = "/desk/audit/export.csv", .cookies = session()};
    web.desk.store = away;
    for (int i = 0; i < 3; i++) {
        ask(desk, NOW);
        ck_assert_int_eq(response.status, 503);
        ck_assert_str_eq(header("Retry-After"), "10");
    }
    web.desk.store = store;
    for (int i = 0; i < 3; i++) {
        ask(desk, NOW);
        ck_assert_int_eq(response.status, 200);
    }
    log_set_fd(before_fd);
    const char *lines = all_lines(log_fd), *first = strstr(lines, "store does not answer");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, "store does not answer"));
    const char *back = strstr(lines, "store answers again");
    ck_assert_ptr_nonnull(back);
    ck_assert_ptr_null(strstr(back + 1, "store answers again"));
    ck_assert_ptr_null(strstr(lines, cookie));
    close(log_fd);
    store_free(&away);
}
END_TEST

static void end(void) { http_response_free(&response); }

int main(void)
{
    staff_password_cost = (struct staff_password_cost){crypto_pwhash_OPSLIMIT_MIN,
                                                       crypto_pwhash_MEMLIMIT_MIN};
    Suite *suite = suite_create("web_access");
    TCase *tests = rig_case(suite, "web_access");
    tcase_add_checked_fixture(tests, NULL, end);
    tcase_add_loop_test(tests, a_session_lasts_eight_hours, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, a_form_outlives_its_session, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, a_proxy_signs_in, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, a_wait_keeps_what_was_typed, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, a_proxy_makes_so_many_sessions, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, nobody_is_a_proxy_by_default, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, a_form_of_another_session_behind_a_proxy, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, a_token_lasts_until_its_end, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, a_form_comes_from_our_origin, 0, countof(origins));
    tcase_add_loop_test(tests, a_form_carries_its_sessions_token, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, signing_out, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, a_wait_ends_to_the_millisecond, 0, BACKEND_KINDS);
    tcase_add_test(tests, those_who_wait_for_their_turn_are_few);
    tcase_add_test(tests, errors_in_the_askers_language_and_form);
    tcase_add_test(tests, a_refused_request_says_where_and_is_escaped);
    tcase_add_test(tests, a_silent_store_is_told_once);
    return backends_run(suite);
}
