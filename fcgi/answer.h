/* What the webmail endpoint answers: a CGI header and a JSON body. Refusals and
 * errors are application/problem+json (RFC 9457). */
#ifndef SENDGUARD_ANSWER_H
#define SENDGUARD_ANSWER_H

#include "base/problem.h"
#include "guard/verdict.h"

/* The answer to a judged message, with Retry-After and the RateLimit fields
 * (draft-ietf-httpapi-ratelimit-headers-10). Returns the HTTP status. */
int answer_verdict(struct text *out, const struct verdict *verdict);

/* An admitted request of gate mode: nginx hands the original on to `location`. */
int answer_forward(struct text *out, const char *location);

/* The charge was refunded. */
int answer_refunded(struct text *out);

/* Where a problem is, as people read it ("To, 1st recipient"): in English, and in the language of
 * the user. NULL where there is no such place. */
struct answer_place {
    const char *english, *told;
    bool shown; /* a webmail that knows no plugin shows the `message`: it is there in any case */
};

/* The request itself is wrong, or cannot be answered now (503). `place` may be NULL; with it the
 * answer may have a `message` for the user. `allow`: for 405, else NULL. */
int answer_problem(struct text *out, const struct problem *problem,
                   const struct answer_place *place,
                   const char *allow);

#endif
