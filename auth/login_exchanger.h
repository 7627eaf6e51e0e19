/* The thread that exchanges what is known of sign-ins with the store (logins_exchange), and logs
 * whether that works. */
#ifndef SENDGUARD_LOGIN_EXCHANGER_H
#define SENDGUARD_LOGIN_EXCHANGER_H

#include "daemon/daemon.h"
#include "guard/logins.h"

struct login_exchanger;

/* Exchanges once, so that what the store has is known when it returns, and then four times a
 * second. `logins` stays the caller's. NULL: there is no thread, with a log line. */
struct login_exchanger *login_exchanger_start(const struct daemon *daemon, struct logins *logins);
/* Exchanges a last time. 1; or -1: the thread is still at work after timeout_ms. */
int login_exchanger_stop(struct login_exchanger **exchanger, int timeout_ms) must_check;
/* Logs and counts what staff has to know; each second. */
void login_exchanger_tell(struct login_exchanger *exchanger);

#endif
