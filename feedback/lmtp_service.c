#include "feedback/lmtp_service.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"

enum { READ_BYTES = 64 * 1024 };
enum { LINE_STALLS }; /* the one line of deadlines */

struct lmtp_loop {
    struct event_loop *loop;
    struct lmtp_service *service;
    char buffer[READ_BYTES];
};

struct lmtp_connection {
    struct event_link link;
    struct lmtp session;
    bool begun, counted; /* counted: one of the sessions */
    bool blocked;        /* replies wait until the peer takes them; nothing is read meanwhile */
    size_t sent;         /* so much of the replies */
};

/* 1 all of it is out, 0 the peer has to take some first, -1 it has gone. */
static int send_replies(struct lmtp_connection *connection)
{
    struct text *out = &connection->session.out;
    while (connection->sent < out->length) {
        ssize_t sent = send(connection->link.fd, out->data + connection->sent,
                            out->length - connection->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
        connection->sent += (size_t)sent;
    }
    connection->sent = 0;
    text_clear(out);
    return 1;
}

static void close_connection(struct lmtp_loop *loop, struct lmtp_connection *connection)
{
    if (connection->counted)
        loop->service->sessions--;
    event_loop_close(loop->loop, &connection->link);
}

static void send_or_close(struct lmtp_loop *loop, struct lmtp_connection *connection)
{
    int sent = send_replies(connection);
    if (sent < 0 || (sent > 0 && connection->session.state == LMTP_ENDED)) {
        close_connection(loop, connection);
        return;
    }
    connection->blocked = sent == 0;
    event_loop_watch(loop->loop, &connection->link, connection->blocked ? EPOLLOUT : EPOLLIN);
}

static void begin_session(struct lmtp_loop *loop, struct lmtp_connection *connection)
{
    connection->begun = true;
    connection->counted = loop->service->sessions < LMTP_SERVICE_SESSIONS_MAX;
    if (connection->counted) {
        loop->service->sessions++;
        lmtp_begin(&connection->session, loop->service->keep, loop->service->context);
    } else {
        lmtp_refuse(&connection->session);
    }
}

static void receive(struct lmtp_loop *loop, struct lmtp_connection *connection)
{
    ssize_t got = recv(connection->link.fd, loop->buffer, sizeof loop->buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        close_connection(loop, connection);
        return;
    }
    uint64_t done = connection->session.done;
    lmtp_take(&connection->session, loop->buffer, (size_t)got);
    if (connection->session.done != done) { /* it gets on: its time begins anew */
        event_loop_no_deadline(loop->loop, &connection->link);
        event_loop_deadline(loop->loop, &connection->link, LINE_STALLS);
    }
    send_or_close(loop, connection);
}

static void ready(void *state, struct event_link *link, uint32_t events)
{
    struct lmtp_loop *loop = state;
    struct lmtp_connection *connection = (struct lmtp_connection *)link;
    (void)events;
    if (connection->begun && !connection->blocked) {
        receive(loop, connection);
        return;
    }
    if (!connection->begun)
        begin_session(loop, connection);
    send_or_close(loop, connection);
}

static void late(void *state, struct event_link *link)
{
    struct lmtp_connection *connection = (struct lmtp_connection *)link;
    log_line(LOG_WARNING_LEVEL, "connection closed", "channel", "lmtp", "why",
             connection->blocked ? "it does not take its replies" : "it does not get on", NULL);
    close_connection(state, connection);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void *begin_loop(void *context, struct event_loop *events)
{
    struct lmtp_loop *loop = xcalloc(1, sizeof *loop);
    loop->loop = events;
    loop->service = context;
    return loop;
}

static void end_loop(void *state) { free(state); }

static struct event_link *connected(const struct sockaddr_storage *peer)
{
    (void)peer;
    return &((struct lmtp_connection *)xcalloc(1, sizeof(struct lmtp_connection)))->link;
}

static void free_connection(struct event_link *link)
{
    lmtp_end(&((struct lmtp_connection *)link)->session);
    free(link);
}

static void end_round(void *state) { (void)state; }

static bool waits(const struct event_link *link)
{
    return ((const struct lmtp_connection *)link)->blocked;
}

struct event_loops *lmtp_service_start(struct lmtp_service *service, int listen_fd,
                                       event_loop_clock *monotonic_ms)
{
    static const struct event_loop_program program = {
        .events = EPOLLOUT, /* the server speaks first */
        .lines_ms = {[LINE_STALLS] = LMTP_SERVICE_STALL_MS},
        .first_line = LINE_STALLS,
        .begin = begin_loop,
        .end = end_loop,
        .connected = connected,
        .free = free_connection,
        .ready = ready,
        .round = end_round,
        .late = late,
        .waits = waits,
    };
    return event_loop_start(&program, service, listen_fd, 1, monotonic_ms);
}
