/* A request to the webmail endpoint, as FastCGI parameters tell it: what is asked,
 * by whom, and what of the caller's word is believed. No FastCGI calls here. */
#ifndef SENDGUARD_REQUEST_H
#define SENDGUARD_REQUEST_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/problem.h"

enum asked {
    ASKED_JUDGE,    /* POST …/submissions */
    ASKED_REFUND /* DELETE …/submissions/ID */
};

struct request {
    enum asked asked;
    bool trusted;            /* SENDGUARD_TRUSTED=1: the body's mailbox and ip are believed */
    bool dry_run;            /* ?dry_run=1 */
    bool password_changed;   /* ?dry_run=1&password_changed=1, of a trusted caller */
    bool hints;              /* ?dry_run=1&hints=1: while the message is being written */
    const char *forward;     /* SENDGUARD_FORWARD: nginx location to hand admitted requests
                                to; NULL: not in gate mode */
    bool action_in_cookie;   /* a cookie may say _action, which Roundcube believes more than a
                                form: no draft is certain then */
    const char *languages;   /* in gate mode: the browser's Accept-Language, NULL when absent */
    const char *query;       /* in gate mode: as the webmail will read it; else NULL */
    const char *id;          /* ASKED_REFUND: from the path, decoded */
    const char *mailbox;     /* who is signed in (REMOTE_USER), or for a trusted refund the
                                query's mailbox; as sent, NULL when absent */
    const char *remote_addr; /* NULL when absent, or when nginx itself listens on a socket */
    const char *content_type; /* "" when absent */
    int64_t content_length;  /* 0 when absent */
};

/* `params` is "NAME=value" strings, NULL-ended. A parameter that we go by and
 * that comes twice is refused: nginx would have taken one of them from the
 * client, and nobody knows which.
 * 1; or 0 with *problem: 404 no such path, 405 (*allow_r says which methods there
 * are), 400 for a query, path or length that cannot be read. */
int request_read(const char *const *params, struct arena *arena, struct request *request_r,
                 const char **allow_r, struct problem *problem) must_check;

#endif
