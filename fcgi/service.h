/* The webmail endpoint on its sockets: event loops on one side, the endpoint on the other, libfcgi
 * in between. The only file pair that knows libfcgi.
 *
 * libfcgi reads a request as it comes and waits for what is missing, for ever. So a loop looks at
 * what has arrived (MSG_PEEK, framing.h), and hands a descriptor to libfcgi when a whole request is
 * there. All requests of one round are judged in one step of the store. What is guarded against:
 * - a request that is too large to wait for, or is not whole within SERVICE_REST_MS: one of
 *   SERVICE_ASIDE threads reads and answers it as its bytes come. Who is silent for
 *   SERVICE_STALL_MS then is disconnected, and has held up no loop;
 * - a connection that is idle for SERVICE_IDLE_MS: it is closed;
 * - what is no request, or two requests at once: the connection is closed, after the answer to
 *   the first;
 * - an answer that the peer does not take: it has room in the socket's buffer, and one that is too
 *   large for that goes out aside, where who takes nothing for SERVICE_STALL_MS is disconnected;
 * - it waits two seconds for a peer to close first: we close at once;
 * - a request that broke off still arrives: it is not judged (endpoint.h). */
#ifndef SENDGUARD_SERVICE_H
#define SENDGUARD_SERVICE_H

#include "daemon/event_loop.h"
#include "fcgi/endpoint.h"

enum {
    SERVICE_REST_MS = 200,
    SERVICE_STALL_MS = 10 * 1000, /* nginx has the whole request before it sends any of it */
    SERVICE_IDLE_MS = 75 * 1000,  /* longer than nginx keeps an idle connection (60 s) */
    SERVICE_ASIDE = 8,
};

struct service;

/* Starts `threads` loops, as event_loop_start. */
struct service *service_start(struct endpoint *endpoint, int listen_fd, int threads,
                              event_loop_clock *monotonic_ms);

/* No new requests; those that have arrived are answered. 1 all ended, 0 some had not within
 * timeout_ms (they are left behind, and *service is not freed). */
int service_stop(struct service **service, int timeout_ms) must_check;

#endif
