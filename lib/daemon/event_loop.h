/* Event loops over the connections of a listening socket. The program says what to do with a
 * connection whose bytes are there; who accepts, which loop has it, what is late, and the end are
 * the same for all. The only file pair that knows epoll.
 *
 * A loop costs an idle connection nothing, and tells the program when everything that arrived in
 * one round has been told, so that it can go to the store in one step. A second loop reads and
 * writes while the first one waits for the store; the store has one writer at a time, so more of
 * them bring little.
 *
 * A connection belongs to one loop for life; the first loop accepts, and deals them out in turn.
 * When there are no more file descriptors, new connections wait until some are free. */
#ifndef SENDGUARD_EVENT_LOOP_H
#define SENDGUARD_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/base.h"

struct event_loops;
struct event_loop;

/* Deadlines: those of one line are set for the same time ahead, so that the first one set ends
 * first. A connection has one deadline at most. */
enum { EVENT_LOOP_LINES = 2, EVENT_LOOP_NO_LINE = -1 };

/* What a loop knows of a connection. The program's own structure begins with it. */
struct event_link {
    int fd;               /* -1: closed already */
    int line;             /* of its deadline; EVENT_LOOP_NO_LINE: none */
    int64_t ends_at_ms;   /* monotonic: the deadline */
    struct event_link *before, *after;           /* in the list of all of its loop */
    struct event_link *ends_before, *ends_after; /* in its line */
    struct event_link *next_in_inbox;
};

/* What a program does on its loops; static. All but `connected` and `free` are called on the
 * loop's own thread. */
struct event_loop_program {
    uint32_t events;                     /* that a new connection is watched for (epoll) */
    int64_t lines_ms[EVENT_LOOP_LINES];
    int first_line; /* of a connection that a loop gets */
    void *(*begin)(void *context, struct event_loop *loop); /* the program's own state of a loop */
    void (*end)(void *state);
    /* A new connection's structure, with zeros in its link. */
    struct event_link *(*connected)(const struct sockaddr_storage *peer);
    void (*free)(struct event_link *link);
    void (*ready)(void *state, struct event_link *link, uint32_t events);
    void (*round)(void *state); /* everything of one round has been told */
    void (*late)(void *state, struct event_link *link); /* its deadline has come: closes it */
    bool (*waits)(const struct event_link *link); /* at the end: its peer has to take something */
};

typedef int64_t event_loop_clock(void);

/* Starts `threads` loops on a listening socket, which becomes non-blocking; so do connections.
 * Signals are the caller's: the threads inherit its mask. Ends the program when there is no memory
 * for threads. Raises the limit of open files as far as the process may. Deadlines are by
 * `monotonic_ms` (clock_monotonic_ms, but in tests). `program` and `context` stay the caller's. */
struct event_loops *event_loop_start(const struct event_loop_program *program, void *context,
                                     int listen_fd, int threads, event_loop_clock *monotonic_ms);

/* No new connections; what has arrived is told, then everything is closed. 1 all threads ended, 0
 * some had not within timeout_ms; then they are left behind, and nothing may be freed. */
int event_loop_join(struct event_loops *loops, int timeout_ms) must_check;
/* After event_loop_join has returned 1. */
void event_loop_free(struct event_loops **loops);
/* Both. 1; or 0, and *loops is not freed. */
int event_loop_stop(struct event_loops **loops, int timeout_ms) must_check;

/* ---- for the program, on the loop's own thread ---- */

void event_loop_watch(struct event_loop *loop, struct event_link *link, uint32_t events);
/* In the line for its time from now on; does nothing for one that is in it already. */
void event_loop_deadline(struct event_loop *loop, struct event_link *link, int line);
void event_loop_no_deadline(struct event_loop *loop, struct event_link *link);
/* Closes the descriptor and frees the connection. */
void event_loop_close(struct event_loop *loop, struct event_link *link);
/* It is the caller's now, on whatever thread, until it gives it back, or closes its descriptor and
 * frees it. */
void event_loop_release(struct event_loop *loop, struct event_link *link);
/* On any thread, also while the loop ends: event_loop_free closes what comes too late. */
void event_loop_take(struct event_loop *loop, struct event_link *link);

#endif
