/* What Dovecot is answered. A question is answered from memory (guard/logins.h): whom a block keeps
 * out is refused before the password is looked at, with one line that says until when, the same for
 * right and wrong passwords and for mailboxes that there are not. Where the block began
 * after that, it is refused without a word, as a wrong password is. Who has the right password of a
 * mailbox that is locked, or one that is too old, reads what to do; nobody else learns of it.
 * GET /range/ABCDE is answered without the key too, LOGIN_RANGES_A_SECOND times a second
 * (auth/stolen_range.h). */
#ifndef SENDGUARD_LOGIN_POLICY_H
#define SENDGUARD_LOGIN_POLICY_H

#include "auth/login_key.h"
#include "base/log.h"
#include "guard/guard.h"
#include "guard/logins.h"
#include "guard/recorder.h"
#include "http_server/http_request.h"
#include "http_server/http_response.h"

enum { LOGIN_RANGES_A_SECOND = 20 };

/* What all requests share. */
struct login_policy {
    struct logins *logins;
    struct guard *guard; /* for its settings */
    struct recorder *recorder; /* or NULL */
    struct login_key key;
    _Atomic int64_t told_key_ms, told_request_ms, told_webmail_ms, told_stage_ms,
        told_range_ms, told_age_ms; /* when the log had it last */
    _Atomic int64_t range_second; /* and how many ranges were asked for in it without the key: */
    _Atomic unsigned ranges;
};

/* As server_answer wants it; `policy` is a struct login_policy. */
void login_policy_answer(void *policy, const struct raw_request *raw,
                         const struct problem *refused, struct arena *arena, int64_t now_ms,
                         struct http_response *response);

#endif
