/* The worker threads: libfcgi on one side, the endpoint on the other. The only
 * file pair that knows libfcgi. What it guards against, because libfcgi does not:
 * - a kept connection owns its thread, so only some of the connections are
 *   kept and the rest is closed after its answer: a thread is always free to accept;
 * - there is no read timeout: who falls silent in the middle of a request for
 *   WORKER_STALL_MS, or is idle on a kept connection for WORKER_IDLE_MS, is
 *   disconnected;
 * - it waits two seconds for a peer to close first: we close at once;
 * - a request that broke off still arrives: it is not judged (endpoint.h). */
#ifndef SENDGUARD_WORKER_H
#define SENDGUARD_WORKER_H

#include "fcgi/endpoint.h"

enum {
    WORKER_STALL_MS = 10 * 1000, /* nginx has the whole request before it sends any of it */
    WORKER_IDLE_MS = 75 * 1000,  /* longer than nginx keeps an idle connection (60 s) */
};

struct workers;

/* Starts `threads` workers on a listening socket; of their connections at most
 * `keepalive` (< threads) are kept open between requests. Signals are the
 * caller's: workers inherit its mask. Call FCGX_Init once before. */
struct workers *workers_start(struct endpoint *endpoint, int listen_fd, int threads,
                              int keepalive);

/* Disconnects the silent; call about once a second. */
void workers_watch(struct workers *workers);

/* No new requests; those in flight are finished. 1 all ended, 0 some had not
 * within timeout_ms (they are left behind, and *workers is not freed). */
int workers_stop(struct workers **workers, int timeout_ms) must_check;

#endif
