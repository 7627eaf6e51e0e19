#include "mta/loops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "mta/connection.h"

enum { READ_BYTES = POLICY_REQUEST_MAX_BYTES };
enum { LINE_STALLS }; /* the one line of deadlines: others are idle */

struct loop {
    struct event_loop *loop;
    struct connection *round; /* those with something to send or to close */
    struct policy_batch *batch;
    char buffer[READ_BYTES];
};

static void log_closed(const struct connection *connection, const char *why,
                       const struct problem *problem)
{
    char bytes[24];
    snprintf(bytes, sizeof bytes, "%zu", connection->request.length);
    log_line(LOG_WARNING_LEVEL, "connection closed", "channel", channel_names[CHANNEL_SMTP],
             "client",
             connection->client, "why", why, "where", problem != NULL ? problem->where : NULL,
             "error", problem != NULL ? problem->text : NULL, "bytes", bytes, NULL);
}

static void join_round(struct loop *loop, struct connection *connection)
{
    if (connection->in_round)
        return;
    connection->in_round = true;
    connection->next_in_round = loop->round;
    loop->round = connection;
}

/* ---- one round ------------------------------------------------------------------------ */

static void answered(void *asker, const char *answer, size_t length)
{
    struct connection *connection = asker;
    text_add_bytes(&connection->out, answer, length);
}

static void answer_batch(struct loop *loop)
{
    if (policy_batch_count(loop->batch) > 0)
        policy_batch_answer(loop->batch, clock_wall_ms(), answered);
}

/* Bytes that arrived: requests go to the batch. */
static void feed(struct loop *loop, struct connection *connection, const char *bytes,
                 size_t length)
{
    struct problem problem;
    while (length > 0) {
        size_t used = 0;
        int complete = policy_request_add(&connection->request, bytes, length, &used, &problem);
        if (complete == 0)
            return;
        if (complete > 0 && policy_batch_full(loop->batch))
            answer_batch(loop);
        if (complete < 0 ||
            policy_batch_add(loop->batch, &connection->request, connection,
                             clock_wall_ms(), &problem) < 1) {
            log_closed(connection, "a wrong request", &problem);
            connection->closing = true;
            return;
        }
        policy_request_clear(&connection->request);
        event_loop_no_deadline(loop->loop, &connection->link);
        bytes += used;
        length -= used;
    }
}

static void receive(struct loop *loop, struct connection *connection)
{
    ssize_t got = recv(connection->link.fd, loop->buffer, sizeof loop->buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    join_round(loop, connection);
    if (got <= 0) {
        if (policy_request_begun(&connection->request))
            log_closed(connection, "it ended in the middle of a request", NULL);
        connection->dead = true;
        return;
    }
    feed(loop, connection, loop->buffer, (size_t)got);
    if (!connection->closing && policy_request_begun(&connection->request))
        event_loop_deadline(loop->loop, &connection->link, LINE_STALLS);
}

/* Answers go out; the connection is closed where there is nothing more to come of it. */
static void finish(struct loop *loop, struct connection *connection)
{
    connection->in_round = false;
    int sent = connection->dead ? -1 : connection_send(connection);
    if (sent < 0 || (sent > 0 && connection->closing)) {
        event_loop_close(loop->loop, &connection->link);
        return;
    }
    bool blocked = sent == 0;
    if (blocked)
        event_loop_deadline(loop->loop, &connection->link, LINE_STALLS);
    else if (!policy_request_begun(&connection->request))
        event_loop_no_deadline(loop->loop, &connection->link);
    if (blocked != connection->blocked)
        event_loop_watch(loop->loop, &connection->link, blocked ? EPOLLOUT : EPOLLIN);
    connection->blocked = blocked;
}

static void end_round(void *state)
{
    struct loop *loop = state;
    answer_batch(loop);
    while (loop->round != NULL) {
        struct connection *connection = loop->round;
        loop->round = connection->next_in_round;
        finish(loop, connection);
    }
}

static void ready(void *state, struct event_link *link, uint32_t events)
{
    struct loop *loop = state;
    struct connection *connection = (struct connection *)link;
    (void)events;
    if (connection->blocked)
        join_round(loop, connection);
    else
        receive(loop, connection);
}

static void late(void *state, struct event_link *link)
{
    const struct loop *loop = state;
    const struct connection *connection = (const struct connection *)link;
    log_closed(connection, connection->blocked ? "it does not take its answers"
                                               : "its request does not end", NULL);
    event_loop_close(loop->loop, link);
}

/* ---- all of them ------------------------------------------------------------------------ */

static void *begin_loop(void *context, struct event_loop *events)
{
    struct loop *loop = xcalloc(1, sizeof *loop);
    loop->loop = events;
    loop->batch = policy_batch_new(context);
    return loop;
}

static void end_loop(void *state)
{
    struct loop *loop = state;
    policy_batch_free(&loop->batch);
    free(loop);
}

static struct event_link *connected(const struct sockaddr_storage *peer)
{
    return &connection_new(peer)->link;
}

static void free_connection(struct event_link *link)
{
    struct connection *connection = (struct connection *)link;
    connection_free(&connection);
}

static bool waits(const struct event_link *link)
{
    return ((const struct connection *)link)->blocked;
}

struct event_loops *loops_start(struct policy_service *service, int listen_fd, int threads,
                                event_loop_clock *monotonic_ms)
{
    static const struct event_loop_program program = {
        .events = EPOLLIN,
        .lines_ms = {[LINE_STALLS] = LOOP_STALL_MS},
        .first_line = EVENT_LOOP_NO_LINE,
        .begin = begin_loop,
        .end = end_loop,
        .connected = connected,
        .free = free_connection,
        .ready = ready,
        .round = end_round,
        .late = late,
        .waits = waits,
    };
    return event_loop_start(&program, service, listen_fd, threads, monotonic_ms);
}
