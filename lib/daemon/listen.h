/* Sockets that the programs wait on: a path (a UNIX socket) or HOST:PORT. */
#ifndef SENDGUARD_LISTEN_H
#define SENDGUARD_LISTEN_H

#include <sys/types.h>

#include "base/base.h"

/* Binds and listens, close-on-exec. `mode`: of the file that a path becomes. A socket
 * file that nobody listens on any more is replaced; one that answers is another's.
 * Returns the descriptor, or -1 with errno. */
int listen_on(const char *where, mode_t mode, int backlog) must_check;

/* Whether `where` is a path. */
int listen_is_path(const char *where) must_check;

/* Whether `where`, HOST:PORT, is of this machine alone. */
int listen_is_on_loopback(const char *where) must_check;

#endif
