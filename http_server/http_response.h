/* What goes back: status, headers, a body in memory or one that is made while
 * it is sent. Security headers are added by server.c to every answer:
 * Content-Security-Policy, X-Content-Type-Options, Referrer-Policy, and
 * Cache-Control: no-store unless `cache` says otherwise. Header values with CR
 * or LF never get in. */
#ifndef SENDGUARD_HTTP_RESPONSE_H
#define SENDGUARD_HTTP_RESPONSE_H

#include <stdbool.h>

#include "base/text.h"

enum { RESPONSE_HEADERS = 8 };

struct http_response {
    int status; /* 200 until set */
    const char *type;     /* Content-Type */
    const char *cache;    /* Cache-Control; NULL: no-store */
    const char *referrer; /* Referrer-Policy; NULL: no-referrer */
    struct {
        const char *name, *value; /* static or in the request's arena */
    } headers[RESPONSE_HEADERS];
    size_t header_count;
    struct text body;
    /* Not NULL: the body in pieces; each call adds some bytes to *out and answers 1, 0 at the
     * end, -1 to break off. `free` ends it in any case. */
    int (*next_piece)(void *context, struct text *out);
    void (*free)(void *context);
    void *context;
};

void http_response_free(struct http_response *response);
/* Adds a header; nothing when the value holds a control character. */
void http_response_header(struct http_response *response, const char *name, const char *value);
/* 303 to `path` (below base, begins with '/'; an open redirect is not possible). */
struct http_request;
void http_response_redirect(struct http_response *response, const struct http_request *request,
                       const char *path);

#endif
