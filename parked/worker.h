/* The thread that sends parked messages at their moment: every few seconds it looks at what is due.
 * Several may run over one store, beside each other and beside visits of users: each message is
 * claimed before it is sent. */
#ifndef SENDGUARD_PARKED_WORKER_H
#define SENDGUARD_PARKED_WORKER_H

#include "daemon/daemon.h"

struct worker;

/* NULL: there is no thread, and it has logged why. */
struct worker *worker_start(const struct daemon *daemon);
/* 1; or -1: the thread is still at work after timeout_ms. */
int worker_stop(struct worker **worker, int timeout_ms) must_check;

/* Sends what is due now, in this thread. 1; -1: some could not be tried. */
int worker_once(const struct daemon *daemon) must_check;

#endif
