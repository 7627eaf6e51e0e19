/* Where a FastCGI request ends: by the heads of its records alone, of which nothing else is read
 * here. libfcgi reads a request as it comes and waits for what is missing; a loop must not wait, so
 * it asks here first. */
#ifndef SENDGUARD_FRAMING_H
#define SENDGUARD_FRAMING_H

#include <stddef.h>

#include "base/base.h"

/* The bytes that arrived on a connection since the last request. 1 they begin with a whole request,
 * of *used_r bytes, which libfcgi reads to its end without going behind it; 0 more has to come; -1
 * they begin otherwise than one request at a time does: BEGIN_REQUEST, PARAMS, STDIN, both
 * streams ended, all of one id. A web server has no reason for anything else; what it takes back
 * (ABORT_REQUEST) needs no answer. Source: FastCGI 1.0, 3.3 and 5. */
int framing_whole(const char *bytes, size_t length, size_t *used_r) must_check;

#endif
