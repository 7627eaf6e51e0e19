#include "fcgi/service.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "fcgi/aside.h"
#include "fcgi/framing.h"

enum {
    PEEK_BYTES = 32 * 1024, /* a larger request is read aside; less than any socket's buffer */
    OUT_KEPT_BYTES = 16 * 1024,
    OUT_AT_ONCE_BYTES = 32 * 1024, /* a larger answer may need its peer to take some of it first */
};
enum { LINE_REST, LINE_IDLE };

struct service {
    struct endpoint *endpoint;
    struct event_loops *loops;
    struct aside *aside;
};

/* A connection of the web server. */
struct peer {
    struct event_link link;
    struct aside_job job; /* while a thread aside has it */
    struct slot *judged;  /* the request whose answer is to go out there; NULL: one is to be read */
    struct event_loop *loop;
};

/* One request, from its first byte to its answer. */
struct slot {
    FCGX_Request request;
    struct peer *peer;
    struct arena *arena;
    struct text out;
    bool whole, keep;
};

/* What a loop has: the requests of one round. */
struct round {
    struct service *service;
    struct event_loop *loop;
    size_t count;
    struct slot *slots[JUDGE_MAX];
    struct endpoint_exchange *to_judge[JUDGE_MAX]; /* of the first `count` slots */
    char peeked[PEEK_BYTES];
};

/* ---- one request -------------------------------------------------------------------- */

static struct slot *new_slot(void)
{
    struct slot *slot = xcalloc(1, sizeof *slot);
    FCGX_InitRequest(&slot->request, -1, 0); /* libfcgi has no socket to accept from */
    slot->arena = arena_new();
    return slot;
}

static void free_slot(struct slot *slot)
{
    arena_free(&slot->arena);
    text_free(&slot->out);
    free(slot);
}

static int read_body(void *context, char *buffer, int size)
{
    FCGX_Stream *in = context;
    int length = FCGX_GetStr(buffer, size, in);
    if (length > 0)
        return length;
    return FCGX_GetError(in) == 0 ? 0 : -1;
}

/* False: libfcgi found no request, and has closed the descriptor. `detached`: without waiting for
 * the peer to close first. */
static bool begin_request(struct slot *slot, struct peer *peer)
{
    slot->peer = peer;
    slot->request.ipcFd = peer->link.fd;
    slot->request.keepConnection = 1;
    slot->request.detached = 1;
    if (FCGX_Accept_r(&slot->request) == 0)
        return true;
    peer->link.fd = -1;
    return false;
}

/* The exchange that is to be judged, or NULL: it needs no more than to be finished. */
static struct endpoint_exchange *read_request(struct slot *slot, struct endpoint *endpoint)
{
    const struct body_source source = {read_body, slot->request.in};
    const char *const *params = (const char *const *)slot->request.envp;
    struct endpoint_exchange *to_judge = NULL;
    slot->whole = endpoint_read(endpoint, params, &source, slot->arena, clock_wall_ms(),
                                &slot->out, &to_judge);
    slot->keep = slot->whole && slot->request.keepConnection;
    return to_judge;
}

/* The answer goes out. True: the connection is kept; else it is to be closed. */
static bool finish_request(struct slot *slot)
{
    FCGX_Request *request = &slot->request;
    if (slot->whole)
        FCGX_PutStr(text_string(&slot->out), (int)slot->out.length, request->out);
    request->keepConnection = 1; /* to close is our affair */
    FCGX_Finish_r(request);
    slot->peer->link.fd = request->ipcFd; /* -1: it did not go out */
    request->ipcFd = -1;
    arena_reset(slot->arena);
    if (slot->out.capacity > OUT_KEPT_BYTES)
        text_free(&slot->out);
    return slot->keep && slot->peer->link.fd >= 0;
}

/* ---- aside ----------------------------------------------------------------------------- */

static void free_peer(struct event_link *link) { free(link); }

static void set_blocking(int fd, bool blocking)
{
    const struct timeval stall = {.tv_sec = SERVICE_STALL_MS / 1000};
    fcntl(fd, F_SETFL, blocking ? 0 : O_NONBLOCK);
    if (!blocking)
        return;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof stall);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof stall);
}

/* False: the connection is not kept, and may be closed already. */
static bool read_and_answer(struct service *service, struct slot *slot, struct peer *peer)
{
    if (!begin_request(slot, peer))
        return false;
    struct endpoint_exchange *to_judge = read_request(slot, service->endpoint);
    if (to_judge != NULL)
        endpoint_judge(service->endpoint, &to_judge, 1, clock_wall_ms());
    return finish_request(slot);
}

static void serve_aside(void *context, struct aside_job *job)
{
    struct peer *peer = (struct peer *)((char *)job - offsetof(struct peer, job));
    struct slot *judged = peer->judged, *slot = judged != NULL ? judged : new_slot();
    peer->judged = NULL;
    set_blocking(peer->link.fd, true);
    bool keep = judged != NULL ? finish_request(slot) : read_and_answer(context, slot, peer);
    free_slot(slot);
    if (keep) {
        set_blocking(peer->link.fd, false);
        event_loop_take(peer->loop, &peer->link);
    } else {
        if (peer->link.fd >= 0)
            close(peer->link.fd);
        free_peer(&peer->link);
    }
}

static void go_aside(struct round *round, struct peer *peer)
{
    event_loop_release(round->loop, &peer->link);
    peer->loop = round->loop;
    peer->job.fd = peer->link.fd;
    aside_add(round->service->aside, &peer->job);
}

/* ---- one round ---------------------------------------------------------------------------- */

static void finish(struct round *round, size_t at)
{
    struct slot *slot = round->slots[at];
    if (slot->whole && slot->out.length > OUT_AT_ONCE_BYTES) {
        slot->peer->judged = slot;
        round->slots[at] = new_slot();
        go_aside(round, slot->peer);
    } else if (!finish_request(slot)) {
        event_loop_close(round->loop, &slot->peer->link);
    }
}

static void end_round(void *state)
{
    struct round *round = state;
    if (round->count > 0)
        endpoint_judge(round->service->endpoint, round->to_judge, round->count, clock_wall_ms());
    for (size_t i = 0; i < round->count; i++)
        finish(round, i);
    round->count = 0;
}

/* A whole request is there; `more`: and something behind it, which libfcgi may have read too. */
static void take_request(struct round *round, struct peer *peer, bool more)
{
    if (round->count == JUDGE_MAX)
        end_round(round);
    struct slot *slot = round->slots[round->count];
    event_loop_no_deadline(round->loop, &peer->link);
    event_loop_deadline(round->loop, &peer->link, LINE_IDLE);
    if (!begin_request(slot, peer)) {
        event_loop_close(round->loop, &peer->link);
        return;
    }
    struct endpoint_exchange *to_judge = read_request(slot, round->service->endpoint);
    slot->keep = slot->keep && !more;
    if (to_judge != NULL)
        round->to_judge[round->count++] = to_judge;
    else
        finish(round, round->count);
}

static void wait_for_rest(struct round *round, struct peer *peer, bool gone, bool large)
{
    if (gone)
        event_loop_close(round->loop, &peer->link);
    else if (large)
        go_aside(round, peer);
    else
        event_loop_deadline(round->loop, &peer->link, LINE_REST);
}

static void ready(void *state, struct event_link *link, uint32_t events)
{
    struct round *round = state;
    struct peer *peer = (struct peer *)link;
    size_t used = 0;
    ssize_t got = recv(link->fd, round->peeked, PEEK_BYTES, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    int whole = got > 0 ? framing_whole(round->peeked, (size_t)got, &used) : -1;
    if (whole > 0)
        take_request(round, peer, used < (size_t)got);
    else if (whole == 0)
        wait_for_rest(round, peer, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0,
                      got == PEEK_BYTES);
    else
        event_loop_close(round->loop, link);
}

/* Idle too long; or the rest of a request does not come, and perhaps cannot: of many small pieces
 * the buffer of a socket does not hold all until the first are read. */
static void late(void *state, struct event_link *link)
{
    struct round *round = state;
    if (link->line == LINE_REST)
        go_aside(round, (struct peer *)link);
    else
        event_loop_close(round->loop, link);
}

/* ---- all of them --------------------------------------------------------------------------- */

static void *begin_loop(void *context, struct event_loop *loop)
{
    struct round *round = xcalloc(1, sizeof *round);
    round->service = context;
    round->loop = loop;
    for (int i = 0; i < JUDGE_MAX; i++)
        round->slots[i] = new_slot();
    return round;
}

static void end_loop(void *state)
{
    struct round *round = state;
    for (int i = 0; i < JUDGE_MAX; i++)
        free_slot(round->slots[i]);
    free(round);
}

static struct event_link *connected(const struct sockaddr_storage *peer)
{
    (void)peer;
    struct peer *fresh = xcalloc(1, sizeof *fresh);
    return &fresh->link;
}

/* Answers go out at once. */
static bool waits(const struct event_link *link)
{
    (void)link;
    return false;
}

struct service *service_start(struct endpoint *endpoint, int listen_fd, int threads,
                              event_loop_clock *monotonic_ms)
{
    static const struct event_loop_program program = {
        .events = EPOLLIN | EPOLLRDHUP | EPOLLET, /* what is only looked at stays there */
        .lines_ms = {[LINE_REST] = SERVICE_REST_MS, [LINE_IDLE] = SERVICE_IDLE_MS},
        .first_line = LINE_IDLE,
        .begin = begin_loop,
        .end = end_loop,
        .connected = connected,
        .free = free_peer,
        .ready = ready,
        .round = end_round,
        .late = late,
        .waits = waits,
    };
    struct service *service = xcalloc(1, sizeof *service);
    FCGX_Init(); /* takes SIGTERM for itself where nobody has it */
    service->endpoint = endpoint;
    service->aside = aside_start(SERVICE_ASIDE, serve_aside, service);
    service->loops = event_loop_start(&program, service, listen_fd, threads, monotonic_ms);
    return service;
}

int service_stop(struct service **service, int timeout_ms)
{
    struct service *all = *service;
    int64_t end_ms = clock_monotonic_ms() + timeout_ms;
    if (!event_loop_join(all->loops, timeout_ms) || /* adds to what is aside until it has ended */
        !aside_stop(&all->aside, (int)(end_ms - clock_monotonic_ms())))
        return 0;
    event_loop_free(&all->loops);
    free(all);
    *service = NULL;
    return 1;
}
