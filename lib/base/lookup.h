/* The addresses of a host, without waiting for its name server longer than one wants. getaddrinfo
 * waits as long as the resolver is set to, so a thread of its own calls it for a name. */
#ifndef SENDGUARD_LOOKUP_H
#define SENDGUARD_LOOKUP_H

#include <netdb.h>

#include "base/base.h"

/* A look-up under way. Where one went on beyond its caller's time, the next call takes its result,
 * so that a name server that does not answer holds one thread for each. */
struct lookup;

/* Until give_up_us of the monotonic clock. An address needs no thread and no time. *lookup: NULL at
 * first; always for the same host and port. Returns 1 with *addresses_r, for freeaddrinfo; 0 there
 * are none: *why_r, static; -1 not yet. */
int lookup_host(struct lookup **lookup, const char *host, int port, int64_t give_up_us,
                struct addrinfo **addresses_r, const char **why_r) must_check;
/* Accepts NULL inside, sets NULL. What is under way ends by itself. */
void lookup_free(struct lookup **lookup);

#endif
