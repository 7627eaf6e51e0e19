/* One request, whole and parsed, made from the pieces that the server hands over
 * or that a test makes up. Every part has a limit. Strings live in the arena. */
#ifndef SENDGUARD_HTTP_REQUEST_H
#define SENDGUARD_HTTP_REQUEST_H

#include <json-c/json.h>

#include "base/arena.h"
#include "base/problem.h"
#include "settings/settings.h"

enum method { METHOD_GET, METHOD_POST, METHOD_OTHER }; /* HEAD is a GET without a body */

enum {
    REQUEST_MAX_PATH = 2048,
    REQUEST_MAX_BODY = 1024 * 1024,
    REQUEST_MAX_PARAMS = 64,
    REQUEST_MAX_COOKIES = 4096,
};

struct http_request {
    struct arena *arena;
    enum method method;
    bool head;
    const char *path;   /* percent-decoded, below the path of web.base_url, begins with '/' */
    const char *base;   /* the path of web.base_url, "/sending" or "": links begin with it */
    bool https;         /* web.base_url is https */
    const char *address;         /* of the browser, IP in key form: the peer's, or behind a trusted
                                    proxy what it says */
    const char *remote_user;     /* X-Remote-User, of a peer that web.sign_in_proxies names; or NULL */
    bool monitoring;             /* `address` is in web.monitoring */
    const char *accept, *accept_language, *authorization, *content_type, *origin, *host,
        *if_none_match, *fetch_site; /* or NULL */
    const char *cookies;         /* as sent, or NULL; see http_request_token_cookie */
    size_t body_length;
    const char *csv; /* of a POST of text/csv the body, body_length bytes as they came; or NULL */
    struct json_object *params;  /* those of the query and of the body (form or JSON object):
                                    strings, of a JSON body also other kinds; never NULL */
};

/* What the server hands over, header by header; NULL is absent. */
struct raw_request {
    const char *method, *url, *query; /* url as sent, without the query */
    const char *peer;                 /* address of the connection as text; "" for a UNIX socket */
    const char *accept, *accept_language, *authorization, *content_type, *cookies, *origin,
        *forwarded_for, *remote_user, *host,
        *if_none_match, *fetch_site; /* Sec-Fetch-Site; one that is given twice: both, ", " between */
    const char *body;
    size_t body_length;
};

/* 1; or 0 with *problem: 400, 413, 414, 415. The fields that do not depend on what is wrong are
 * filled all the same, so that an error page can be made. A parameter that is given twice, a name
 * or value that is no UTF-8 or holds NUL: 400. http_request_end puts the params. */
int http_request_make(const struct raw_request *raw, const struct settings *settings,
                 struct arena *arena, struct http_request *request_r, struct problem *problem)
    must_check;
void http_request_end(struct http_request *request);

/* A parameter as text, NULL when absent or no string; `otherwise` never is needed for forms. */
const char *http_request_param(const struct http_request *request, const char *name);
/* The value of a cookie that is a token: 1 to max_length characters of base64url. Of several with
 * that name the first, which has the longest path (RFC 6265 section 5.4). NULL: there is none, or
 * it is no token. */
const char *http_request_token_cookie(const struct http_request *request, const char *name,
                                      size_t max_length);
/* Whether Content-Type is that one, "application/json". */
bool http_request_sends(const struct http_request *request, const char *type);
/* Whether the client would rather have JSON than HTML (Accept). */
bool http_request_wants_json(const struct http_request *request);

#endif
