/* A question or a report of Dovecot's auth policy (lib-auth/auth-policy.c of Dovecot 2.3 and 2.4):
 * a POST of a JSON object to /?command=allow or /?command=report. And of a script in Dovecot that
 * the password which was right is in a list of stolen ones: /?command=breached. */
#ifndef SENDGUARD_LOGIN_REQUEST_H
#define SENDGUARD_LOGIN_REQUEST_H

#include "base/arena.h"
#include "http_server/http_request.h"
#include "rules/login_protocol.h"

enum { LOGIN_REQUEST_MAX_BODY = 16 * 1024 };

enum login_command { LOGIN_ALLOW, LOGIN_REPORT, LOGIN_BREACHED, LOGIN_COMMAND_COUNT };

struct login_request {
    enum login_command command;
    bool sending_alone;   /* breached: with "scope" sending */
    const char *mailbox;  /* an address in key form, or another name in lower case */
    const char *ip;       /* "" where Dovecot knows none */
    uint16_t fingerprint; /* the last 12 bits of its hash; 0 where there is none */
    enum login_protocol protocol;
    bool after;           /* asked when the password was found right: `stage` is not empty */
    bool right;           /* reported: the password was */
    bool counts;          /* reported: if it was not, it was wrong; not that another fault, or we,
                             kept it out */
};

/* Strings live in `arena`. 1; or 0 with *problem: 400, 404, 405, 413. */
int login_request_read(const struct raw_request *raw, struct arena *arena,
                       struct login_request *request_r, struct problem *problem) must_check;

#endif
