#include "daemon/event_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    EVENTS = 256,
    ACCEPTS = 64,            /* in one round, so that those who are there are not kept waiting */
    NO_FILES_PAUSE_MS = 100, /* until accept is tried again when descriptors ran out */
    ENDING_MS = 1000,        /* that the last answers have to be taken in */
};

struct line {
    struct event_link *first, *last; /* the first ends first */
};

struct event_loop {
    struct event_loops *all;
    pthread_t thread;
    bool joined;
    int epoll;
    bool accepts;             /* the listening socket is in `epoll` */
    int64_t accept_again_ms;  /* 0: it is, or is not ours */
    _Atomic(struct event_link *) inbox; /* dealt out to this loop, not in its list yet */
    struct event_link *links;
    struct line lines[EVENT_LOOP_LINES];
    void *state; /* the program's */
};

struct event_loops {
    const struct event_loop_program *program;
    event_loop_clock *monotonic_ms;
    int listen_fd, stop_fd, count;
    unsigned dealt;
    _Atomic bool stopping;
    struct log_once no_files;
    struct event_loop *list;
};

/* ---- deadlines -------------------------------------------------------------------- */

void event_loop_no_deadline(struct event_loop *loop, struct event_link *link)
{
    if (link->line == EVENT_LOOP_NO_LINE)
        return;
    struct line *line = &loop->lines[link->line];
    struct event_link *before = link->ends_before, *after = link->ends_after;
    *(before != NULL ? &before->ends_after : &line->first) = after;
    *(after != NULL ? &after->ends_before : &line->last) = before;
    link->ends_before = link->ends_after = NULL;
    link->line = EVENT_LOOP_NO_LINE;
}

/* Its deadline is later than almost all that are in the line. */
static void join_line(struct event_loop *loop, struct event_link *link, int line)
{
    struct line *its = &loop->lines[line];
    struct event_link *before = its->last, *after = NULL;
    while (before != NULL && before->ends_at_ms > link->ends_at_ms) {
        after = before;
        before = before->ends_before;
    }
    link->line = line;
    link->ends_before = before;
    link->ends_after = after;
    *(before != NULL ? &before->ends_after : &its->first) = link;
    *(after != NULL ? &after->ends_before : &its->last) = link;
}

static int64_t ends_at_ms(const struct event_loops *all, int line)
{
    return all->monotonic_ms() + all->program->lines_ms[line];
}

void event_loop_deadline(struct event_loop *loop, struct event_link *link, int line)
{
    if (link->line == line)
        return;
    event_loop_no_deadline(loop, link);
    link->ends_at_ms = ends_at_ms(loop->all, line);
    join_line(loop, link, line);
}

/* The moment of the next thing that is due without anything happening; INT64_MAX: nothing is. */
static int64_t due_at_ms(const struct event_loop *loop)
{
    int64_t at_ms = loop->accept_again_ms != 0 ? loop->accept_again_ms : INT64_MAX;
    for (int i = 0; i < EVENT_LOOP_LINES; i++)
        if (loop->lines[i].first != NULL && loop->lines[i].first->ends_at_ms < at_ms)
            at_ms = loop->lines[i].first->ends_at_ms;
    return at_ms;
}

/* ---- connections -------------------------------------------------------------------- */

static void take_inbox(struct event_loop *loop)
{
    int first_line = loop->all->program->first_line;
    struct event_link *link = atomic_exchange(&loop->inbox, NULL);
    while (link != NULL) {
        struct event_link *next = link->next_in_inbox;
        link->before = NULL;
        link->after = loop->links;
        if (loop->links != NULL)
            loop->links->before = link;
        loop->links = link;
        if (first_line != EVENT_LOOP_NO_LINE)
            join_line(loop, link, first_line);
        link = next;
    }
}

static void unlink_from(struct event_loop *loop, struct event_link *link)
{
    event_loop_no_deadline(loop, link);
    *(link->before != NULL ? &link->before->after : &loop->links) = link->after;
    if (link->after != NULL)
        link->after->before = link->before;
}

void event_loop_close(struct event_loop *loop, struct event_link *link)
{
    unlink_from(loop, link);
    if (link->fd >= 0)
        close(link->fd);
    loop->all->program->free(link);
}

void event_loop_release(struct event_loop *loop, struct event_link *link)
{
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, link->fd, NULL);
    unlink_from(loop, link);
}

/* First into its inbox, so that the loop knows of it at the first event. */
void event_loop_take(struct event_loop *loop, struct event_link *link)
{
    int fd = link->fd, first_line = loop->all->program->first_line;
    struct epoll_event event = {.events = loop->all->program->events, .data.ptr = link};
    link->line = EVENT_LOOP_NO_LINE;
    if (first_line != EVENT_LOOP_NO_LINE)
        link->ends_at_ms = ends_at_ms(loop->all, first_line);
    link->next_in_inbox = loop->inbox;
    while (!atomic_compare_exchange_weak(&loop->inbox, &link->next_in_inbox, link))
        ;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        shutdown(fd, SHUT_RDWR); /* its loop closes it at the end */
}

void event_loop_watch(struct event_loop *loop, struct event_link *link, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = link};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, link->fd, &event) != 0)
        shutdown(link->fd, SHUT_RDWR);
}

static void deal_out(struct event_loops *all, int fd, const struct sockaddr_storage *peer)
{
    if (peer->ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct event_link *link = all->program->connected(peer);
    link->fd = fd;
    event_loop_take(&all->list[all->dealt++ % (unsigned)all->count], link);
}

static void stop_accepting(struct event_loop *loop)
{
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, loop->all->listen_fd, NULL);
    loop->accept_again_ms = 0;
    loop->accepts = false;
}

static void begin_accepting(struct event_loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = loop->all};
    loop->accepts = epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->all->listen_fd, &event) == 0;
    loop->accept_again_ms = 0;
}

static void accept_some(struct event_loop *loop)
{
    struct event_loops *all = loop->all;
    for (int i = 0; i < ACCEPTS; i++) {
        struct sockaddr_storage peer = {.ss_family = AF_UNIX};
        socklen_t length = sizeof peer;
        int fd = accept4(all->listen_fd, (struct sockaddr *)&peer, &length,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            log_changed(&all->no_files, 0);
            deal_out(all, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            if (log_changed(&all->no_files, 1))
                log_line(LOG_ERROR_LEVEL, "cannot accept connections for now", "error",
                         strerror(errno), NULL);
            stop_accepting(loop);
            loop->accept_again_ms = all->monotonic_ms() + NO_FILES_PAUSE_MS;
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
    }
}

/* ---- one round ------------------------------------------------------------------------ */

static void do_what_is_due(struct event_loop *loop)
{
    if (due_at_ms(loop) == INT64_MAX)
        return;
    int64_t now_ms = loop->all->monotonic_ms();
    for (int i = 0; i < EVENT_LOOP_LINES; i++)
        while (loop->lines[i].first != NULL && loop->lines[i].first->ends_at_ms <= now_ms)
            loop->all->program->late(loop->state, loop->lines[i].first);
    if (loop->accept_again_ms != 0 && now_ms >= loop->accept_again_ms)
        begin_accepting(loop);
}

static int wait_for(struct event_loop *loop, struct epoll_event *events, int timeout_ms)
{
    const struct event_loop_program *program = loop->all->program;
    int ready = epoll_wait(loop->epoll, events, EVENTS, timeout_ms);
    take_inbox(loop);
    for (int i = 0; i < ready; i++)
        if (events[i].data.ptr == loop->all)
            accept_some(loop);
        else if (events[i].data.ptr != NULL) /* NULL: the end, which join says by itself */
            program->ready(loop->state, events[i].data.ptr, events[i].events);
    program->round(loop->state);
    do_what_is_due(loop);
    return ready;
}

static int wait_ms(const struct event_loop *loop)
{
    int64_t at_ms = due_at_ms(loop);
    if (at_ms == INT64_MAX)
        return -1;
    int64_t left_ms = at_ms - loop->all->monotonic_ms();
    return left_ms > 0 ? (int)left_ms : 0;
}

static bool any_waits(const struct event_loop *loop)
{
    for (const struct event_link *one = loop->links; one != NULL; one = one->after)
        if (loop->all->program->waits(one))
            return true;
    return false;
}

/* What has arrived is answered, and for a moment peers may take their answers. */
static void end_loop(struct event_loop *loop, struct epoll_event *events)
{
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, loop->all->stop_fd, NULL);
    if (loop->accepts)
        stop_accepting(loop);
    loop->accept_again_ms = 0;
    int64_t end_ms = loop->all->monotonic_ms() + ENDING_MS;
    while ((wait_for(loop, events, 0) > 0 || any_waits(loop)) &&
           loop->all->monotonic_ms() < end_ms)
        ;
    while (loop->links != NULL)
        event_loop_close(loop, loop->links);
}

static void *run(void *argument)
{
    struct event_loop *loop = argument;
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

/* As many connections as the system lets us. */
static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max)
        return;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        log_line(LOG_WARNING_LEVEL, "cannot raise the number of open files", "error",
                 strerror(errno), NULL);
}

static void prepare_loop(struct event_loops *all, struct event_loop *loop, void *context)
{
    struct epoll_event stop = {.events = EPOLLIN};
    loop->all = all;
    loop->state = all->program->begin(context, loop);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0 || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, all->stop_fd, &stop) != 0)
        give_up("cannot prepare a loop");
}

struct event_loops *event_loop_start(const struct event_loop_program *program, void *context,
                                     int listen_fd, int threads, event_loop_clock *monotonic_ms)
{
    struct event_loops *all = xcalloc(1, sizeof *all);
    raise_file_limit();
    all->program = program;
    all->monotonic_ms = monotonic_ms;
    all->listen_fd = listen_fd;
    all->count = threads;
    all->list = xcalloc((size_t)threads, sizeof all->list[0]);
    all->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (all->stop_fd < 0 || fcntl(listen_fd, F_SETFL, O_NONBLOCK) != 0)
        give_up("cannot prepare the loops");
    for (int i = 0; i < threads; i++)
        prepare_loop(all, &all->list[i], context);
    begin_accepting(&all->list[0]);
    for (int i = 0; i < threads; i++)
        if ((errno = pthread_create(&all->list[i].thread, NULL, run, &all->list[i])) != 0)
            give_up("cannot start a loop's thread");
    return all;
}

int event_loop_join(struct event_loops *all, int timeout_ms)
{
    int64_t end_ms = clock_wall_ms() + timeout_ms;
    struct timespec end = {.tv_sec = end_ms / 1000, .tv_nsec = end_ms % 1000 * 1000000};
    all->stopping = true;
    if (eventfd_write(all->stop_fd, 1) != 0)
        return 0;
    for (int i = 0; i < all->count; i++)
        if (!all->list[i].joined &&
            pthread_timedjoin_np(all->list[i].thread, NULL, &end) != 0)
            return 0;
        else
            all->list[i].joined = true;
    return 1;
}

void event_loop_free(struct event_loops **loops)
{
    struct event_loops *all = *loops;
    for (int i = 0; i < all->count; i++) {
        struct event_loop *loop = &all->list[i];
        take_inbox(loop); /* dealt out to it when it had ended */
        while (loop->links != NULL)
            event_loop_close(loop, loop->links);
        all->program->end(loop->state);
        close(loop->epoll);
    }
    close(all->stop_fd);
    free(all->list);
    free(all);
    *loops = NULL;
}

int event_loop_stop(struct event_loops **loops, int timeout_ms)
{
    if (!event_loop_join(*loops, timeout_ms))
        return 0;
    event_loop_free(loops);
    return 1;
}
