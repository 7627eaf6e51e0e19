/* The web interface without its process and its HTTP library: a request in, a
 * response out. web_answer() finds out which part is asked:
 *
 *   /status                user, by signed link           status.c
 *   /status/delivery       user, by signed link           status_delivery.c
 *   /status/parked         webmail, by a fresh one        status_parked.c
 *   /r/DECISION            who has a refusal's reference  reference.c
 *   /desk/…                staff, by session cookie       signin.c, desk_routes.c
 *   /api/v1/…              programs, by bearer token      api.c, desk_routes.c
 *   /metrics /healthz /readyz  monitoring, by address     metrics.c
 *   /assets/…              style and script               assets.c
 *
 * The desk and the API are two faces of one table of routes. */
#ifndef SENDGUARD_WEB_H
#define SENDGUARD_WEB_H

#include <pthread.h>

#include "base/log.h"
#include "base/problem.h"
#include "desk/desk.h"
#include "guard/recorder.h"
#include "guard/token.h"
#include "text/present.h"
#include "http_server/http_request.h"
#include "http_server/http_response.h"

/* What is dear to count, counted once a second at most (metrics.c). All zero at the start. */
struct metrics_memory {
    pthread_mutex_t lock;
    int64_t read_at_ms;
    uint32_t suspended[CAUSE_COUNT], near[OVER_TIME_COUNT];
    uint64_t busiest_milli[OVER_TIME_COUNT]; /* 1/1000 of the limit */
};

/* What all requests share. */
struct web {
    struct desk desk;
    const struct token_key *key;
    struct recorder *recorder;
    struct log_once store_away;
    _Atomic int asking; /* requests in a part that asks the store */
    struct metrics_memory metrics;
};

/* One request on its way. */
struct exchange {
    struct web *web;
    const struct settings *settings;   /* held while the request lasts */
    const struct catalogue *catalogue; /* of the same moment */
    const struct http_request *request;
    struct http_response *response;
    struct reader reader; /* language and zone of who asks */
    int64_t now_ms;
    const char *cookie;   /* of the session, or NULL */
    struct person person; /* desk and API: who asks */
    bool api;             /* asked through the API */
    const char *variable; /* what stood for {name} in the route's pattern, decoded; or NULL */
};

/* What the server calls (server_answer); `web` is a struct web. */
void web_answer(void *web, const struct raw_request *raw, const struct problem *refused,
                struct arena *arena, int64_t now_ms, struct http_response *response);

/* ---- the parts; each fills the response ------------------------------------------------ */

void status_handle(struct exchange *exchange);  /* GET, POST /status */
void status_delivery_handle(struct exchange *exchange); /* POST /status/delivery */
void status_parked_handle(struct exchange *exchange);   /* POST /status/parked */
/* The mailbox of the status link ("t") that a program posts JSON with, of max_bytes at most; fresh: the
 * link has to be (token_link_is_fresh). NULL: no, and that is answered. */
const char *status_post_mailbox(struct exchange *exchange, size_t max_bytes, bool fresh);
void reference_handle(struct exchange *exchange); /* GET /r/DECISION */
void signin_handle(struct exchange *exchange);  /* /desk/sign-in, /desk/sign-out */
/* A form came when its session had ended: the form for signing in, which carries along what was typed. */
void signin_keep_form(struct exchange *exchange);
/* The browser's session is another one from now on. */
void signin_give_cookie(struct exchange *exchange, const char *cookie);
void desk_routes_handle(struct exchange *exchange);    /* all else below /desk/; access is checked */
void api_handle(struct exchange *exchange);     /* below /api/v1/ */
void metrics_handle(struct exchange *exchange); /* /metrics, /healthz, /readyz */
void assets_handle(struct exchange *exchange);  /* /assets/NAME */

#define STAFF_CODES_KEY "staff codes" /* token_key_derive() of what staff_own.h seals with */
#define SESSION_COOKIE "sendguard_session"
#define BROWSER_COOKIE "sendguard_browser"

/* ---- access ------------------------------------------------------------------------------ */

/* Whose session the cookie is: 1 with exchange->person, 0 nobody's, -1. */
int access_by_session(struct exchange *exchange) must_check;
/* The same where a proxy may have signed somebody in (web.sign_in_proxies): who that is counts, and gets a
 * session; 0 also: there is no account of that name. */
int access_by_proxy(struct exchange *exchange) must_check;
/* The same by "Authorization: Bearer …". */
int access_by_token(struct exchange *exchange) must_check;
/* Whether a POST of the desk carries its session's CSRF token (parameter "csrf"). */
bool access_csrf_fits(const struct exchange *exchange);
/* Whether a request's Origin, when it has one, is ours: scheme and host of web.base_url, or the
 * Host that was asked. "null" is not. Nor does it fit when Sec-Fetch-Site names another site. */
bool access_origin_fits(const struct exchange *exchange);

/* ---- one table for desk and API ------------------------------------------------------------- */

struct route {
    enum method method;
    const char *api;  /* pattern below /api/v1, "/mailboxes/{mailbox}" or, one variable at most,
                         "/mailboxes/{mailbox}/delivery"; NULL: desk only */
    const char *desk; /* pattern below /desk; NULL: API only */
    const char *page; /* template that shows the view at the desk; NULL: `view` fills the
                         response itself there */
    enum role role;   /* needed at least */
    /* 1 with *view_r, which goes out as JSON or as the page; or with *view_r NULL: the response
     * is filled already. 0 with *problem, -1 the store. */
    int (*view)(struct exchange *exchange, struct json_object **view_r, struct problem *problem);
};
extern const struct route desk_routes[];
extern const size_t desk_routes_count;
/* The route for a path below /desk or /api/v1; NULL: none. Of several patterns the one that says
 * most of the path. *allowed_r: it has the path, maybe with another method alone. Sets
 * exchange->variable. */
const struct route *route_find(struct exchange *exchange, const char *path, bool *allowed_r);

/* ---- answers ---------------------------------------------------------------------------------- */

/* Renders a page of the catalogue. The view (taken; may be NULL) is presented (present.h) and gets
 * what every page may use: "base" (link prefix), "page" (its name), "lang", "contact",
 * "contact_is_mail", "signed_in", "person" {name, role, role_is}, "may_action", "may_all" (admin),
 * "csrf", "max_extra_for" (as settings have it). */
void reply_page(struct exchange *exchange, int status, const char *page, struct json_object *view);
/* JSON (taken). */
void reply_json(struct exchange *exchange, int status, struct json_object *view);
/* An error as the asker reads best: a page ("error" with "status", "title_text", "text"), or
 * problem+json for the API and who accepts JSON. Titles are texts "error.403" …; `text` NULL: the
 * text "error.403_text". */
void reply_error(struct exchange *exchange, int status, const char *text);
/* The store does not answer: 503, logged once until it does. Nothing was changed. */
void reply_no_store(struct exchange *exchange);
/* A proxy signs in somebody who has no account: 403, and what to do. */
void reply_no_account(struct exchange *exchange);
/* Too many people sign in at the same moment: 503, and what to do. */
void reply_busy(struct exchange *exchange);
/* The store did not answer when something may have been changed: it says that nobody knows. */
void reply_not_known(struct exchange *exchange);
/* status and text of *problem, with where. */
void reply_problem(struct exchange *exchange, const struct problem *problem);
/* The same; as problem+json it has the members of `more`, an object, too. */
void reply_problem_with(struct exchange *exchange, const struct problem *problem,
                        struct json_object *more);

#endif
