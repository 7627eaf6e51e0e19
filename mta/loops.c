#include "mta/loops.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "mta/connection.h"

enum {
    EVENTS = 256,
    READ_BYTES = POLICY_REQUEST_MAX_BYTES,
    ACCEPTS = 64,            /* in one round, so that those who are there are not kept waiting */
    NO_FILES_PAUSE_MS = 100, /* until accept is tried again when descriptors ran out */
    ENDING_MS = 1000,        /* that the last answers have to be taken in */
};

struct loop {
    struct loops *all;
    pthread_t thread;
    bool joined;
    int epoll;
    bool accepts;             /* the listening socket is in `epoll` */
    int64_t accept_again_ms;  /* 0: it is, or is not ours */
    _Atomic(struct connection *) inbox; /* dealt out to this loop, not in its list yet */
    struct connection *connections;
    struct connection *stalling, *stalling_last; /* the first ends first */
    struct connection *round; /* those with something to send or to close */
    struct policy_batch *batch;
    char buffer[READ_BYTES];
};

struct loops {
    struct policy_service *service;
    loops_clock *monotonic_ms;
    int listen_fd, stop_fd, count;
    unsigned dealt;
    _Atomic bool stopping;
    struct log_once no_files;
    struct loop *list;
};

/* ---- deadlines -------------------------------------------------------------------- */

static void clear_deadline(struct loop *loop, struct connection *connection)
{
    if (connection->stalls_at_ms == 0)
        return;
    struct connection *before = connection->stalls_before, *after = connection->stalls_after;
    *(before != NULL ? &before->stalls_after : &loop->stalling) = after;
    *(after != NULL ? &after->stalls_before : &loop->stalling_last) = before;
    connection->stalls_before = connection->stalls_after = NULL;
    connection->stalls_at_ms = 0;
}

/* From now on it has LOOP_STALL_MS; all have the same, so the last one ends last. */
static void set_deadline(struct loop *loop, struct connection *connection)
{
    if (connection->stalls_at_ms != 0)
        return;
    connection->stalls_at_ms = loop->all->monotonic_ms() + LOOP_STALL_MS;
    connection->stalls_before = loop->stalling_last;
    *(loop->stalling_last != NULL ? &loop->stalling_last->stalls_after : &loop->stalling) =
        connection;
    loop->stalling_last = connection;
}

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

/* ---- connections -------------------------------------------------------------------- */

static void take_inbox(struct loop *loop)
{
    struct connection *connection = atomic_exchange(&loop->inbox, NULL);
    while (connection != NULL) {
        struct connection *next = connection->next_in_inbox;
        connection->after = loop->connections;
        if (loop->connections != NULL)
            loop->connections->before = connection;
        loop->connections = connection;
        connection = next;
    }
}

static void close_connection(struct loop *loop, struct connection *connection)
{
    clear_deadline(loop, connection);
    *(connection->before != NULL ? &connection->before->after : &loop->connections) =
        connection->after;
    if (connection->after != NULL)
        connection->after->before = connection->before;
    connection_free(&connection);
}

static void join_round(struct loop *loop, struct connection *connection)
{
    if (connection->in_round)
        return;
    connection->in_round = true;
    connection->next_in_round = loop->round;
    loop->round = connection;
}

static void watch(struct loop *loop, struct connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, connection->fd, &event) != 0)
        connection->dead = true;
}

static void describe_peer(const struct sockaddr_storage *address, char client_r[CLIENT_SIZE])
{
    char ip[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &four->sin_addr, ip, sizeof ip);
        snprintf(client_r, CLIENT_SIZE, "%s:%u", ip, ntohs(four->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &six->sin6_addr, ip, sizeof ip);
        snprintf(client_r, CLIENT_SIZE, "[%s]:%u", ip, ntohs(six->sin6_port));
    } else {
        snprintf(client_r, CLIENT_SIZE, "unix");
    }
}

/* To the next loop in turn: first into its inbox, so that it knows of it at the first event. */
static void deal_out(struct loops *all, int fd, const struct sockaddr_storage *address)
{
    char client[CLIENT_SIZE];
    struct loop *loop = &all->list[all->dealt++ % (unsigned)all->count];
    describe_peer(address, client);
    if (address->ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct connection *connection = connection_new(fd, client);
    connection->next_in_inbox = loop->inbox;
    while (!atomic_compare_exchange_weak(&loop->inbox, &connection->next_in_inbox, connection))
        ;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        shutdown(fd, SHUT_RDWR); /* its loop closes it at the end */
}

static void stop_accepting(struct loop *loop)
{
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, loop->all->listen_fd, NULL);
    loop->accept_again_ms = 0;
    loop->accepts = false;
}

static void begin_accepting(struct loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = loop->all};
    loop->accepts = epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->all->listen_fd, &event) == 0;
    loop->accept_again_ms = 0;
}

static void accept_some(struct loop *loop)
{
    struct loops *all = loop->all;
    for (int i = 0; i < ACCEPTS; i++) {
        struct sockaddr_storage address = {.ss_family = AF_UNIX};
        socklen_t length = sizeof address;
        int fd = accept4(all->listen_fd, (struct sockaddr *)&address, &length,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            log_changed(&all->no_files, 0);
            deal_out(all, fd, &address);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            if (log_changed(&all->no_files, 1))
                log_line(LOG_ERROR_LEVEL, "cannot accept connections for now", "error",
                         strerror(errno), NULL);
            stop_accepting(loop);
            loop->accept_again_ms = loop->all->monotonic_ms() + NO_FILES_PAUSE_MS;
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
    }
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
        clear_deadline(loop, connection);
        bytes += used;
        length -= used;
    }
}

static void receive(struct loop *loop, struct connection *connection)
{
    ssize_t got = recv(connection->fd, loop->buffer, sizeof loop->buffer, MSG_DONTWAIT);
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
        set_deadline(loop, connection);
}

/* Answers go out; the connection is closed where there is nothing more to come of it. */
static void finish(struct loop *loop, struct connection *connection)
{
    connection->in_round = false;
    int sent = connection->dead ? -1 : connection_send(connection);
    if (sent < 0 || (sent > 0 && connection->closing)) {
        close_connection(loop, connection);
        return;
    }
    bool blocked = sent == 0;
    if (blocked)
        set_deadline(loop, connection);
    else if (!policy_request_begun(&connection->request))
        clear_deadline(loop, connection);
    if (blocked != connection->blocked)
        watch(loop, connection, blocked ? EPOLLOUT : EPOLLIN);
    connection->blocked = blocked;
    if (connection->dead)
        close_connection(loop, connection);
}

static void end_round(struct loop *loop)
{
    answer_batch(loop);
    while (loop->round != NULL) {
        struct connection *connection = loop->round;
        loop->round = connection->next_in_round;
        finish(loop, connection);
    }
}

static void close_stalled(struct loop *loop)
{
    int64_t now_ms = loop->stalling != NULL ? loop->all->monotonic_ms() : 0;
    while (loop->stalling != NULL && loop->stalling->stalls_at_ms <= now_ms) {
        log_closed(loop->stalling, loop->stalling->blocked ? "it does not take its answers"
                                                           : "its request does not end", NULL);
        close_connection(loop, loop->stalling);
    }
    if (loop->accept_again_ms != 0 && loop->all->monotonic_ms() >= loop->accept_again_ms)
        begin_accepting(loop);
}

static void handle(struct loop *loop, const struct epoll_event *event)
{
    if (event->data.ptr == loop->all) {
        accept_some(loop);
    } else if (event->data.ptr != NULL) { /* NULL: the end, which stop() says by itself */
        struct connection *connection = event->data.ptr;
        if (connection->blocked)
            join_round(loop, connection);
        else
            receive(loop, connection);
    }
}

static int wait_for(struct loop *loop, struct epoll_event *events, int timeout_ms)
{
    int ready = epoll_wait(loop->epoll, events, EVENTS, timeout_ms);
    take_inbox(loop);
    for (int i = 0; i < ready; i++)
        handle(loop, &events[i]);
    end_round(loop);
    close_stalled(loop);
    return ready;
}

/* Until something has to be done without anything happening. */
static int wait_ms(const struct loop *loop)
{
    int64_t at_ms = loop->stalling != NULL ? loop->stalling->stalls_at_ms : INT64_MAX;
    if (loop->accept_again_ms != 0 && loop->accept_again_ms < at_ms)
        at_ms = loop->accept_again_ms;
    if (at_ms == INT64_MAX)
        return -1;
    int64_t left_ms = at_ms - loop->all->monotonic_ms();
    return left_ms > 0 ? (int)left_ms : 0;
}

static bool any_blocked(const struct loop *loop)
{
    for (const struct connection *one = loop->connections; one != NULL; one = one->after)
        if (one->blocked)
            return true;
    return false;
}

/* What has arrived is answered, and for a moment peers may take their answers. */
static void end_loop(struct loop *loop, struct epoll_event *events)
{
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, loop->all->stop_fd, NULL);
    if (loop->accepts)
        stop_accepting(loop);
    loop->accept_again_ms = 0;
    int64_t end_ms = loop->all->monotonic_ms() + ENDING_MS;
    while ((wait_for(loop, events, 0) > 0 || any_blocked(loop)) &&
           loop->all->monotonic_ms() < end_ms)
        ;
    while (loop->connections != NULL)
        close_connection(loop, loop->connections);
}

static void *run(void *argument)
{
    struct loop *loop = argument;
    struct epoll_event events[EVENTS];
    while (!loop->all->stopping)
        wait_for(loop, events, wait_ms(loop));
    end_loop(loop, events);
    return NULL;
}

/* ---- all of them ------------------------------------------------------------------------ */

static void give_up(const char *what)
{
    log_line(LOG_ERROR_LEVEL, what, "error", strerror(errno), NULL);
    exit(1);
}

static void prepare_loop(struct loops *all, struct loop *loop)
{
    struct epoll_event stop = {.events = EPOLLIN};
    loop->all = all;
    loop->batch = policy_batch_new(all->service);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0 || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, all->stop_fd, &stop) != 0)
        give_up("cannot prepare a loop");
}

struct loops *loops_start(struct policy_service *service, int listen_fd, int threads,
                          loops_clock *monotonic_ms)
{
    struct loops *all = xcalloc(1, sizeof *all);
    all->service = service;
    all->monotonic_ms = monotonic_ms;
    all->listen_fd = listen_fd;
    all->count = threads;
    all->list = xcalloc((size_t)threads, sizeof all->list[0]);
    all->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (all->stop_fd < 0 || fcntl(listen_fd, F_SETFL, O_NONBLOCK) != 0)
        give_up("cannot prepare the loops");
    for (int i = 0; i < threads; i++)
        prepare_loop(all, &all->list[i]);
    begin_accepting(&all->list[0]);
    for (int i = 0; i < threads; i++)
        if ((errno = pthread_create(&all->list[i].thread, NULL, run, &all->list[i])) != 0)
            give_up("cannot start a loop's thread");
    return all;
}

static int join_all(struct loops *all, int timeout_ms)
{
    int64_t end_ms = clock_wall_ms() + timeout_ms;
    struct timespec end = {.tv_sec = end_ms / 1000, .tv_nsec = end_ms % 1000 * 1000000};
    for (int i = 0; i < all->count; i++)
        if (!all->list[i].joined &&
            pthread_timedjoin_np(all->list[i].thread, NULL, &end) != 0)
            return 0;
        else
            all->list[i].joined = true;
    return 1;
}

int loops_stop(struct loops **loops, int timeout_ms)
{
    struct loops *all = *loops;
    all->stopping = true;
    if (eventfd_write(all->stop_fd, 1) != 0 || !join_all(all, timeout_ms))
        return 0;
    for (int i = 0; i < all->count; i++) {
        struct loop *loop = &all->list[i];
        take_inbox(loop); /* dealt out to it when it had ended */
        while (loop->connections != NULL)
            close_connection(loop, loop->connections);
        policy_batch_free(&loop->batch);
        close(loop->epoll);
    }
    close(all->stop_fd);
    free(all->list);
    free(all);
    *loops = NULL;
    return 1;
}
