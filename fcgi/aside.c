#include "fcgi/aside.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { SILENT_MS = 1000, LOOK_MS = 5 };

struct aside_thread {
    struct aside *all;
    pthread_t thread;
    bool joined;
    int fd; /* of its job; -1: it has none. `lock` guards it */
};

struct aside {
    void (*serve)(void *context, struct aside_job *job);
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t added; /* or stopping */
    struct aside_job *first, *last;
    bool stopping;
    int count;
    struct aside_thread list[];
};

/* NULL: there are no more, and none will come. */
static struct aside_job *next_job(struct aside_thread *thread)
{
    struct aside *all = thread->all;
    pthread_mutex_lock(&all->lock);
    thread->fd = -1;
    while (all->first == NULL && !all->stopping)
        pthread_cond_wait(&all->added, &all->lock);
    struct aside_job *job = all->first;
    if (job != NULL) {
        all->first = job->next;
        thread->fd = job->fd;
    }
    pthread_mutex_unlock(&all->lock);
    return job;
}

static void *work(void *argument)
{
    struct aside_thread *thread = argument;
    struct aside_job *job;
    while ((job = next_job(thread)) != NULL)
        thread->all->serve(thread->all->context, job);
    return NULL;
}

struct aside *aside_start(int threads, void (*serve)(void *context, struct aside_job *job),
                          void *context)
{
    struct aside *all = xcalloc(1, sizeof *all + (size_t)threads * sizeof all->list[0]);
    all->serve = serve;
    all->context = context;
    all->count = threads;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->added, NULL);
    for (int i = 0; i < threads; i++) {
        all->list[i].all = all;
        all->list[i].fd = -1;
        if (pthread_create(&all->list[i].thread, NULL, work, &all->list[i]) != 0) {
            log_line(LOG_ERROR_LEVEL, "cannot start a thread for large requests", NULL);
            exit(1);
        }
    }
    return all;
}

void aside_add(struct aside *aside, struct aside_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&aside->lock);
    *(aside->first != NULL ? &aside->last->next : &aside->first) = job;
    aside->last = job;
    pthread_cond_signal(&aside->added);
    pthread_mutex_unlock(&aside->lock);
}

/* Nothing more can be read of these, SHUT_RD: the others have what they need; or written as well. */
static void cut_off(struct aside *all, int how)
{
    pthread_mutex_lock(&all->lock);
    for (int i = 0; i < all->count; i++)
        if (all->list[i].fd >= 0)
            shutdown(all->list[i].fd, how);
    pthread_mutex_unlock(&all->lock);
}

static bool all_joined(struct aside *all)
{
    bool joined = true;
    for (int i = 0; i < all->count; i++) {
        struct aside_thread *thread = &all->list[i];
        thread->joined = thread->joined || pthread_tryjoin_np(thread->thread, NULL) == 0;
        joined = joined && thread->joined;
    }
    return joined;
}

int aside_stop(struct aside **aside, int timeout_ms)
{
    struct aside *all = *aside;
    int64_t began_ms = clock_monotonic_ms();
    pthread_mutex_lock(&all->lock);
    all->stopping = true;
    pthread_cond_broadcast(&all->added);
    pthread_mutex_unlock(&all->lock);
    while (!all_joined(all)) {
        int64_t took_ms = clock_monotonic_ms() - began_ms;
        if (took_ms > timeout_ms)
            return 0;
        if (took_ms > SILENT_MS)
            cut_off(all, took_ms > timeout_ms / 2 ? SHUT_RDWR : SHUT_RD);
        usleep(LOOK_MS * 1000);
    }
    pthread_mutex_destroy(&all->lock);
    pthread_cond_destroy(&all->added);
    free(all);
    *aside = NULL;
    return 1;
}
