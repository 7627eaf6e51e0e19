/* The milter protocol, by libmilter: the only file pair that knows it. libmilter's state is the
 * process's, so there is one filter in it. Callbacks run on threads of libmilter. */
#ifndef SENDGUARD_FILTER_H
#define SENDGUARD_FILTER_H

#include <sys/types.h>

#include "milter/header_message.h"

/* Listens on `where` (a path, whose file gets `mode`, or HOST:PORT) and begins to serve.
 * `service` stays the caller's. 1; or 0, and why has been logged. */
int filter_start(struct header_service *service, const char *where, mode_t mode) must_check;

/* Messages whose header has begun are judged to its end; others are answered 451 from now on, and
 * `service` is not used any more. 1; 0 some were not within timeout_ms, and `service` stays in use.
 * */
int filter_stop(int timeout_ms) must_check;

#endif
