/* Signing in to the desk and out of it. A foreign page cannot sign somebody in
 * as somebody else: web.c lets no POST from another origin through. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "web/desk_views.h"

/* A segment . or .. of a path, as browsers know them: %2e is a dot. */
static bool has_dot_segment(const char *path)
{
    for (const char *slash = path; slash != NULL; slash = strpbrk(slash + 1, "/\\"))
        if (slash[1] == '.' || strncasecmp(slash + 1, "%2e", 3) == 0)
            return true;
    return false;
}

/* Below the desk, and not here again. */
static bool is_desk_path(const char *path)
{
    return strncmp(path, "/desk/", 6) == 0 && !has_dot_segment(path) &&
           strncmp(path, "/desk/sign-", 11) != 0 && strlen(path) <= REQUEST_MAX_PATH;
}

/* Where to go on. */
static const char *next_of(const struct http_request *request)
{
    const char *next = http_request_param(request, "next");
    return next != NULL && is_desk_path(next) ? next : NULL;
}

/* NULL: it has none. */
static const char *browser_of(const struct http_request *request)
{
    const char *cookie = http_request_token_cookie(request, BROWSER_COOKIE, SECRET_TEXT_SIZE - 1);
    return cookie != NULL && staff_browser_well_formed(cookie) ? cookie : NULL;
}

#define KEPT "kept:" /* begins the names of what was typed into a form when its session had ended */

static void add_kept_field(struct json_object *list, const char *name, const char *value)
{
    struct json_object *field = json_object_new_object();
    json_add_string(field, "name", name);
    json_add_string(field, "value", value);
    json_object_array_add(list, field);
}

/* With the fields of signing in, a form has REQUEST_MAX_PARAMS at most. */
enum { KEPT_MAX = REQUEST_MAX_PARAMS - 8 };

/* "kept":[{"name":…,"value":…}…]: of a form that came when its session had ended, its path and what was
 * typed; or, when signing in failed, the same again. "kept_lost": it had too many fields. */
static void add_kept(const struct exchange *exchange, struct json_object *view)
{
    const struct http_request *request = exchange->request;
    struct json_object *list = json_add_list(view, "kept");
    bool again = strcmp(request->path, "/desk/sign-in") == 0;
    freed_by(json_put) struct json_object *typed =
        again ? json_object_get(request->params) : desk_forms_typed(exchange);
    json_object_object_foreach(typed, name, value)
    {
        if (!again)
            name = arena_printf(request->arena, KEPT "%s", name);
        if (json_object_is_type(value, json_type_string) && strncmp(name, KEPT, strlen(KEPT)) == 0)
            add_kept_field(list, name, json_object_get_string(value));
    }
    const char *path = again ? http_request_param(request, "kept_path") : request->path;
    if (path != NULL && json_object_array_length(list) > 0)
        add_kept_field(list, "kept_path", path);
    bool lost = json_object_array_length(list) > KEPT_MAX;
    json_add_bool(view, "kept_lost", lost);
    if (lost)
        json_object_array_del_idx(list, 0, json_object_array_length(list));
}

/* The form that was kept, for who has signed in again: false, there is none. */
static bool show_kept(struct exchange *exchange)
{
    const struct http_request *signing_in = exchange->request;
    const char *path = http_request_param(signing_in, "kept_path");
    if (path == NULL || !is_desk_path(path) || access_by_session(exchange) < 1)
        return false;
    freed_by(json_put) struct json_object *typed = json_object_new_object();
    json_object_object_foreach(signing_in->params, name, value)
    {
        if (strncmp(name, KEPT, strlen(KEPT)) == 0)
            json_object_object_add(typed, name + strlen(KEPT), json_object_get(value));
    }
    struct http_request kept = *signing_in;
    kept.path = path;
    kept.params = typed;
    exchange->request = &kept;
    desk_routes_again(exchange, 200);
    exchange->request = signing_in;
    return true;
}

/* Why the form comes again; FIRST: it does not. */
enum again { FIRST, FAILED, LATE };

static void show_form(struct exchange *exchange, int status, enum again again)
{
    struct json_object *view = json_object_new_object();
    json_add_bool(view, "failed", again == FAILED);
    json_add_bool(view, "late", again == LATE);
    json_add_string(view, "next", next_of(exchange->request));
    add_kept(exchange, view);
    reply_page(exchange, status, "signin", view);
}

/* The second step. */
static void show_code_form(struct exchange *exchange, const char *waiting, bool failed)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "waiting", waiting);
    json_add_bool(view, "failed", failed);
    json_add_string(view, "next", next_of(exchange->request));
    add_kept(exchange, view);
    reply_page(exchange, failed ? 403 : 200, "signin_code", view);
}

static void show_blocked(struct exchange *exchange, int64_t free_at_ms)
{
    struct arena *arena = exchange->request->arena;
    int64_t seconds = (free_at_ms - exchange->now_ms + SECOND_MS - 1) / SECOND_MS;
    if (seconds < 1)
        seconds = 1;
    struct json_object *view = json_object_new_object();
    json_add_moment(view, "blocked_until", free_at_ms);
    json_add_int(view, "blocked_seconds", seconds);
    json_add_string(view, "next", next_of(exchange->request));
    add_kept(exchange, view);
    http_response_header(exchange->response, "Retry-After",
                         arena_printf(arena, "%lld", (long long)seconds));
    reply_page(exchange, 429, "blocked", view);
}

/* The browser's own cookie, by which staff_sign_in() knows it again. It comes with the empty form and
 * is of no use before somebody has signed in with it. Lax: who follows a link to the desk
 * from a mail comes here too, and is not to be taken for a new browser. */
static void name_browser(struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    char fresh[SECRET_TEXT_SIZE];
    const char *cookie = browser_of(request);
    if (cookie == NULL) {
        staff_new_browser(fresh);
        cookie = fresh;
    }
    http_response_header(
        exchange->response, "Set-Cookie",
        arena_printf(request->arena,
                     BROWSER_COOKIE "=%s; Path=%s/desk/sign-in; Max-Age=%lld; HttpOnly; "
                     "SameSite=Lax%s",
                     cookie, request->base, (long long)(SIGN_IN_KNOWN_MS / SECOND_MS),
                     request->https ? "; Secure" : ""));
}

static const char *cookie_header(const struct http_request *request, const char *cookie,
                                 int64_t lifetime_ms)
{
    return arena_printf(request->arena,
                        SESSION_COOKIE "=%s; Path=%s/desk; Max-Age=%lld; HttpOnly; "
                        "SameSite=Strict%s",
                        cookie, request->base, (long long)(lifetime_ms / SECOND_MS),
                        request->https ? "; Secure" : "");
}

void signin_give_cookie(struct exchange *exchange, const char *cookie)
{
    exchange->cookie = arena_strdup(exchange->request->arena, cookie);
    http_response_header(exchange->response, "Set-Cookie",
                         cookie_header(exchange->request, cookie, SESSION_MS));
}

static void welcome(struct exchange *exchange, const char *name, const char *cookie)
{
    const char *next = next_of(exchange->request);
    log_line(LOG_INFO_LEVEL, "signed in", "name", name, "ip", exchange->request->address, NULL);
    signin_give_cookie(exchange, cookie);
    if (!show_kept(exchange))
        http_response_redirect(exchange->response, exchange->request,
                               next != NULL ? next : "/desk/");
}

void signin_keep_form(struct exchange *exchange)
{
    name_browser(exchange);
    show_form(exchange, 403, FIRST);
}

/* A cookie that came with the request is ended, since another may have put it into the browser. 1, -1. */
static int end_session_before(struct exchange *exchange)
{
    const char *cookie = exchange->cookie;
    return cookie == NULL ? 1
                          : staff_sign_out(exchange->web->desk.store, cookie, exchange->now_ms);
}

/* `name` or `address` is NULL where it does not matter which. */
static void log_slowed(bool begins, const char *name, const char *address)
{
    if (begins)
        log_line(LOG_WARNING_LEVEL, "too many failed sign-ins: slowed down for an hour", "name",
                 name, "ip", address, NULL);
}

/* The name of a failed try is not logged: people type passwords there. Nobody does so with the
 * same one until it is slowed down; and such names have nothing but a-z 0-9 . _ - in them. */
static void refuse(struct exchange *exchange, const struct sign_in *sign_in)
{
    log_line(LOG_WARNING_LEVEL, "sign-in failed", "ip", sign_in->network, NULL);
    log_slowed(sign_in->pair_slowed, sign_in->name, sign_in->network);
    log_slowed(sign_in->name_slowed, sign_in->name, NULL);
    log_slowed(sign_in->network_slowed, NULL, sign_in->network);
    show_form(exchange, 403, FAILED);
}

static void let_in(struct exchange *exchange, const char *name, const char *cookie)
{
    if (end_session_before(exchange) < 1)
        reply_no_store(exchange);
    else
        welcome(exchange, name, cookie);
}

/* The code of who has given the password. */
static void sign_in_code(struct exchange *exchange, const char *waiting)
{
    const char *code = http_request_param(exchange->request, "code");
    unsigned char key[SEAL_KEY_BYTES];
    token_key_derive(exchange->web->key, STAFF_CODES_KEY, key);
    struct sign_in_code second = {.waiting = waiting, .code = code != NULL ? code : "", .key = key};
    struct sign_in sign_in = {.network = exchange->request->address,
                              .browser = browser_of(exchange->request),
                              .now_ms = exchange->now_ms};
    switch (staff_sign_in_code(exchange->web->desk.store, &sign_in, &second)) {
    case SIGNED_IN: let_in(exchange, second.name, sign_in.cookie); break;
    case SIGN_IN_WRONG:
        log_line(LOG_WARNING_LEVEL, "code of a sign-in is wrong", "name", second.name, "ip",
                 sign_in.network, NULL);
        show_code_form(exchange, waiting, true);
        break;
    case SIGN_IN_BLOCKED: show_blocked(exchange, sign_in.free_at_ms); break;
    case SIGN_IN_LATE: show_form(exchange, 403, LATE); break;
    default: reply_no_store(exchange);
    }
}

static void sign_in(struct exchange *exchange)
{
    const char *name = http_request_param(exchange->request, "name"),
               *password = http_request_param(exchange->request, "password");
    struct sign_in sign_in = {.name = name != NULL ? name : "",
                              .password = password != NULL ? password : "",
                              .network = exchange->request->address,
                              .browser = browser_of(exchange->request),
                              .now_ms = exchange->now_ms};
    switch (staff_sign_in(exchange->web->desk.store, &sign_in)) {
    case SIGNED_IN: let_in(exchange, name, sign_in.cookie); break;
    case SIGN_IN_CODE: show_code_form(exchange, sign_in.cookie, false); break;
    case SIGN_IN_WRONG: refuse(exchange, &sign_in); break;
    case SIGN_IN_BLOCKED: show_blocked(exchange, sign_in.free_at_ms); break;
    case SIGN_IN_BUSY:
        http_response_header(exchange->response, "Retry-After", "2");
        reply_busy(exchange);
        break;
    default: reply_no_store(exchange);
    }
}

static void sign_out(struct exchange *exchange)
{
    int known = access_by_session(exchange);
    if (known > 0 && !access_csrf_fits(exchange)) {
        reply_error(exchange, 403, NULL);
    } else if (known < 0) {
        reply_no_store(exchange);
    } else if (known > 0 && staff_sign_out(exchange->web->desk.store, exchange->cookie,
                                           exchange->now_ms) < 1) {
        reply_not_known(exchange);
    } else {
        http_response_header(exchange->response, "Set-Cookie", cookie_header(exchange->request, "",
                                                                             0));
        http_response_redirect(exchange->response, exchange->request, "/desk/sign-in");
    }
}

void signin_handle(struct exchange *exchange)
{
    if (strcmp(exchange->request->path, "/desk/sign-out") == 0) {
        sign_out(exchange);
    } else if (exchange->request->method == METHOD_POST) {
        const char *waiting = http_request_param(exchange->request, "waiting");
        if (waiting != NULL)
            sign_in_code(exchange, waiting);
        else
            sign_in(exchange);
    } else if (exchange->request->remote_user != NULL) { /* by the web server in front */
        http_response_redirect(exchange->response, exchange->request, "/desk/");
    } else {
        name_browser(exchange);
        show_form(exchange, 200, FIRST);
    }
}
