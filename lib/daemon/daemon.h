/* What every program does that serves until a signal: read settings and texts, open the store,
 * listen, serve, wait, end cleanly. A program brings what it serves. */
#ifndef SENDGUARD_DAEMON_H
#define SENDGUARD_DAEMON_H

#include <sys/types.h>

#include "base/log.h"
#include "daemon/program.h"
#include "guard/recorder.h"

/* What a running daemon has; all of it lives until `stop` has returned. */
struct daemon {
    const struct settings *settings; /* of the start, whatever is reloaded meanwhile */
    struct store *store;
    struct guard *guard;
    struct token_key *key; /* NULL: not of a program that has no `seals_links` */
    struct recorder *recorder;
    int listen_fd; /* stays the daemon's; -1: it listens nowhere */
};

struct daemon_program {
    struct program program;
    bool guard_links;  /* what the guard refuses names the status page */
    int backlog;       /* of the socket */
    bool opens_socket; /* `start` does it itself: listen_fd stays -1 */
    /* Where it listens, and the mode of the file if that is a path. NULL, and one that answers NULL:
     * nowhere. */
    const char *(*listen)(const struct settings *settings, mode_t *mode_r);
    /* Whether it observes alone, for the log; NULL: where guard.mode is observe. */
    bool (*observes)(const struct settings *settings);
    /* Begins to serve, on threads of its own. NULL: it cannot, and has logged why. */
    void *(*start)(const struct daemon *daemon);
    void (*each_second)(void *serving); /* NULL: nothing */
    /* What --once does, in this thread. Returns the exit status. NULL: there is no such option. */
    int (*once)(const struct daemon *daemon);
    /* No new requests; those that came in are finished. 1 all were within timeout_ms; 0 some were
     * not, and `serving` is gone all the same; -1 some threads are still at work. */
    int (*stop)(void *serving, int timeout_ms);
};

/* The whole of main(). Returns the exit status. */
int daemon_run(const struct daemon_program *daemon_program, int argc, char **argv);

#endif
