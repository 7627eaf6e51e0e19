#include "fcgi/workers.h"

#include <fcgiapp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { STALLS_MS = 1000 }; /* at the end: who sends nothing for so long will not finish */

struct worker {
    struct workers *all;
    pthread_t thread;
    FCGX_Request request;
    bool keeps; /* this thread counts among the kept */
    bool joined;
    _Atomic bool in_endpoint;          /* a request is being handled … */
    _Atomic bool reads;            /* … and waits for more of its body */
    _Atomic int kept_fd;           /* the connection of the last request if it was kept, or -1 */
    _Atomic int64_t silent_since;  /* monotonic ms: when it last began to wait for its peer */
    int seen_fd;                   /* of workers_watch alone: the peer at its last look */
};

struct workers {
    struct endpoint *endpoint;
    int listen_fd, count, keepalive;
    _Atomic int kept;
    _Atomic bool stopping;
    struct worker *list;
};

/* ---- one worker ----------------------------------------------------------------- */

static int read_body(void *context, char *buffer, int size)
{
    struct worker *worker = context;
    worker->silent_since = clock_monotonic_ms();
    worker->reads = true;
    int length = FCGX_GetStr(buffer, size, worker->request.in);
    worker->reads = false;
    if (length > 0)
        return length;
    return FCGX_GetError(worker->request.in) == 0 ? 0 : -1;
}

/* One request from first byte to last; false: the connection is of no more use. */
static bool serve(struct worker *worker, struct arena *arena, struct text *out)
{
    const struct body_source source = {read_body, worker};
    const char *const *params = (const char *const *)worker->request.envp;
    if (!endpoint_handle(worker->all->endpoint, params, &source, arena, clock_wall_ms(), out))
        return false;
    FCGX_PutStr(text_string(out), (int)out->length, worker->request.out);
    return true;
}

/* Whether this thread may hold its connection until the next request. */
static bool may_keep(struct worker *worker)
{
    struct workers *all = worker->all;
    if (!worker->keeps) {
        int kept = all->kept;
        while (kept < all->keepalive && !atomic_compare_exchange_weak(&all->kept, &kept, kept + 1))
            ;
        worker->keeps = kept < all->keepalive;
    }
    return worker->keeps && !all->stopping;
}

static void stop_keeping(struct worker *worker)
{
    if (worker->keeps)
        worker->all->kept--;
    worker->keeps = false;
}

/* The rest of the answer goes out. To close is our affair: libfcgi would wait up
 * to two seconds for the peer to close first, and the thread with it. */
static void finish(struct worker *worker, bool keep)
{
    worker->request.keepConnection = 1;
    FCGX_Finish_r(&worker->request);
    if (keep)
        return;
    stop_keeping(worker);
    if (worker->request.ipcFd >= 0)
        shutdown(worker->request.ipcFd, SHUT_RDWR);
    FCGX_Free(&worker->request, 1);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(text_free) struct text out = {0};
    FCGX_InitRequest(&worker->request, worker->all->listen_fd, 0);
    while (!worker->all->stopping) {
        worker->silent_since = clock_monotonic_ms();
        worker->kept_fd = worker->request.ipcFd;
        if (FCGX_Accept_r(&worker->request) < 0) {
            if (!worker->all->stopping)
                usleep(1000); /* out of file descriptors: others will give some back */
            continue;
        }
        worker->kept_fd = -1;
        worker->in_endpoint = true;
        bool good = serve(worker, arena, &out);
        bool keep = good && worker->request.keepConnection && may_keep(worker);
        finish(worker, keep);
        arena_reset(arena);
        worker->in_endpoint = false;
    }
    FCGX_Free(&worker->request, 1);
    return NULL;
}

/* ---- all of them ------------------------------------------------------------------- */

struct workers *workers_start(struct endpoint *endpoint, int listen_fd, int threads,
                              int keepalive)
{
    struct workers *all = xcalloc(1, sizeof *all);
    all->endpoint = endpoint;
    all->listen_fd = listen_fd;
    all->count = threads;
    all->keepalive = keepalive;
    all->list = xcalloc((size_t)threads, sizeof all->list[0]);
    for (int i = 0; i < threads; i++) {
        struct worker *worker = &all->list[i];
        worker->all = all;
        worker->request.ipcFd = -1;
        worker->kept_fd = -1;
        worker->seen_fd = -1;
        worker->silent_since = clock_monotonic_ms();
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            log_line(LOG_ERROR_LEVEL, "cannot start a worker thread", NULL);
            exit(1);
        }
    }
    return all;
}

/* libfcgi says which descriptor it reads, -1 while it waits for a connection. */
static int peer_of(const struct worker *worker)
{
    return *(const volatile int *)&worker->request.ipcFd;
}

/* Wakes a thread that waits for its peer. */
static void disconnect(const struct worker *worker)
{
    int fd = peer_of(worker);
    if (fd >= 0)
        shutdown(fd, SHUT_RD);
}

void workers_watch(struct workers *workers)
{
    int64_t now_ms = clock_monotonic_ms();
    for (int i = 0; i < workers->count; i++) {
        struct worker *worker = &workers->list[i];
        int fd = peer_of(worker);
        if (fd < 0 || fd != worker->seen_fd) /* nobody is there, or has been silent yet */
            worker->silent_since = now_ms;
        else if (now_ms - worker->silent_since >
                 (fd == worker->kept_fd ? WORKER_IDLE_MS : WORKER_STALL_MS))
            disconnect(worker);
        worker->seen_fd = fd;
    }
}

int workers_stop(struct workers **workers, int timeout_ms)
{
    struct workers *all = *workers;
    int running = all->count;
    all->stopping = true;
    /* accept() fails from now on, which ends the wait for a connection. Not
     * FCGX_ShutdownPending: with it libfcgi 2.4.2 never leaves its wait for the
     * first byte of a connection, and closes that descriptor over and over. */
    shutdown(all->listen_fd, SHUT_RDWR);
    for (int64_t end_ms = clock_monotonic_ms() + timeout_ms; running > 0;) {
        for (int i = 0; i < all->count; i++) {
            struct worker *worker = &all->list[i];
            if (worker->joined)
                continue;
            bool stalls = worker->reads && clock_monotonic_ms() - worker->silent_since > STALLS_MS;
            if (!worker->in_endpoint || stalls)
                disconnect(worker);
            if (pthread_tryjoin_np(worker->thread, NULL) == 0) {
                worker->joined = true;
                running--;
            }
        }
        if (running > 0 && clock_monotonic_ms() > end_ms)
            return 0;
        if (running > 0)
            usleep(5000);
    }
    free(all->list);
    free(all);
    *workers = NULL;
    return 1;
}
