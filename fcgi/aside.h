/* A few threads for requests that a loop must not wait for. */
#ifndef SENDGUARD_ASIDE_H
#define SENDGUARD_ASIDE_H

#include "base/base.h"

struct aside;

/* A request's connection; the caller's structure begins with it. */
struct aside_job {
    int fd;
    struct aside_job *next;
};

/* Starts `threads` threads. `serve` handles one request; afterwards the job is the caller's again.
 * Ends the program when there is no memory for threads. */
struct aside *aside_start(int threads, void (*serve)(void *context, struct aside_job *job),
                          void *context);

/* In turn; any thread may call it. */
void aside_add(struct aside *aside, struct aside_job *job);

/* After the last aside_add: what was added is served; who is silent for a second will not finish and
 * is cut off, and who takes no answer is after half of the time. 1 all ended, 0 some had not within
 * timeout_ms (then *aside is not freed). */
int aside_stop(struct aside **aside, int timeout_ms) must_check;

#endif
