/* The loops: sockets on one side, the policy service on the other.
 *
 * Each Postfix process that receives mail keeps a connection of its own, idle almost always, so
 * there are hundreds of them and few requests: event_loop.h says what that asks for. What
 * arrived in one round goes to the store in one step, which is what makes many connections cheaper
 * for each message than one is. What is guarded against:
 * - a request that does not become complete within LOOP_STALL_MS, or answers that nobody takes
 *   for so long: the connection is closed, nothing is judged. Idle ones may stay;
 * - requests without end before the first answer is taken: nothing more is read until it is;
 * - a request that is wrong: the connection is closed, as nothing behind it can be trusted. */
#ifndef SENDGUARD_LOOPS_H
#define SENDGUARD_LOOPS_H

#include "daemon/event_loop.h"
#include "mta/policy_batch.h"

enum { LOOP_STALL_MS = 100 * 1000 }; /* smtpd_policy_service_timeout of Postfix */

/* Starts `threads` loops, as event_loop_start. After event_loop_stop what has arrived is judged and
 * answered. */
struct event_loops *loops_start(struct policy_service *service, int listen_fd, int threads,
                                event_loop_clock *monotonic_ms);

#endif
