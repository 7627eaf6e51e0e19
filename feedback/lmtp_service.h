/* The socket that reports come in by: LMTP sessions on one event loop, with a thread of its own, so
 * that the log is followed meanwhile. What is guarded against:
 * - a client that does not finish a command or a message within LMTP_SERVICE_STALL_MS, or does not
 *   take its replies for so long, is closed;
 * - more than LMTP_SERVICE_SESSIONS_MAX sessions: a further client is told to come again. */
#ifndef SENDGUARD_LMTP_SERVICE_H
#define SENDGUARD_LMTP_SERVICE_H

#include "daemon/event_loop.h"
#include "feedback/lmtp.h"

/* Postfix's default_destination_concurrency_limit is 20. */
enum { LMTP_SERVICE_SESSIONS_MAX = 20, LMTP_SERVICE_STALL_MS = 5 * 60 * 1000 };

/* Where messages go; stays the caller's. */
struct lmtp_service {
    lmtp_keep *keep;
    void *context;
    int sessions; /* 0 at first */
};

/* As event_loop_start. `keep` is called on the loop's thread. */
struct event_loops *lmtp_service_start(struct lmtp_service *service, int listen_fd,
                                       event_loop_clock *monotonic_ms);

#endif
