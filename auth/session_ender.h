/* The thread that ends the sessions of locked mailboxes, which Dovecot would let go on, at the Dovecot
 * of this machine (doveadm/doveadm.h). It learns of locks from what the program knows of sign-ins, so
 * of all, whichever way they were set; at the start it takes all that hold, since people may have got
 * in while the program was away. Nothing waits for it. Sessions are ended once more a little later: somebody may
 * have been signing in when the lock began. What fails is tried again, SESSION_ENDER_TRIES times,
 * later each time. */
#ifndef SENDGUARD_SESSION_ENDER_H
#define SENDGUARD_SESSION_ENDER_H

#include "daemon/daemon.h"
#include "guard/logins.h"

enum { SESSION_ENDER_TRIES = 10, SESSION_ENDER_AGAIN_MS = 5000 };

struct session_ender;

/* NULL: it cannot, with a log line. `logins` stays the caller's, who has called logins_watch_locks and
 * read the store. */
struct session_ender *session_ender_start(const struct daemon *daemon, struct logins *logins);
/* 1; or -1: the thread is still at work after timeout_ms. */
int session_ender_stop(struct session_ender **ender, int timeout_ms) must_check;

#endif
