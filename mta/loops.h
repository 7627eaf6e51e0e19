/* The loops: sockets on one side, the policy service on the other. The only file pair that knows epoll.
 *
 * Each Postfix process that receives mail keeps a connection of its own, idle almost always, so
 * there are hundreds of them and few requests. A thread for each would cost memory and two
 * switches a request; a loop costs an idle connection nothing, and hands everything that arrived
 * in one round to the store in one step, which is what makes many connections cheaper for each
 * message than one is. A second loop reads and writes while the first one waits for the store;
 * the store has one writer at a time, so more of them bring little.
 *
 * A connection belongs to one loop for life; the first loop accepts, and deals them out in turn.
 * What is guarded against:
 * - a request that does not become complete within LOOP_STALL_MS, or answers that nobody takes
 *   for so long: the connection is closed, nothing is judged. Idle ones may stay;
 * - requests without end before the first answer is taken: nothing more is read until it is;
 * - a request that is wrong: the connection is closed, as nothing behind it can be trusted;
 * - no more file descriptors: new connections wait until some are free. */
#ifndef SENDGUARD_LOOPS_H
#define SENDGUARD_LOOPS_H

#include "mta/policy_batch.h"

enum { LOOP_STALL_MS = 100 * 1000 }; /* smtpd_policy_service_timeout of Postfix */

struct loops;

typedef int64_t loops_clock(void);

/* Starts `threads` loops on a listening socket, which becomes non-blocking. Signals are the
 * caller's: the threads inherit its mask. Ends the program when there is no memory for threads.
 * Deadlines are by `monotonic_ms` (clock_monotonic_ms, but in tests). */
struct loops *loops_start(struct policy_service *service, int listen_fd, int threads,
                          loops_clock *monotonic_ms);

/* No new connections; what has arrived is judged and answered, then everything is closed.
 * 1 all ended, 0 some had not within timeout_ms (they are left behind, and *loops is not freed). */
int loops_stop(struct loops **loops, int timeout_ms) must_check;

#endif
