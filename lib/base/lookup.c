#include "base/lookup.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

struct lookup {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *host;
    char port[8];
    bool done, left; /* `left`: nobody waits any more, the thread frees it */
    int error;       /* of getaddrinfo */
    struct addrinfo *addresses;
};

static void destroy(struct lookup *lookup)
{
    if (lookup->addresses != NULL)
        freeaddrinfo(lookup->addresses);
    pthread_cond_destroy(&lookup->changed);
    pthread_mutex_destroy(&lookup->lock);
    free(lookup->host);
    free(lookup);
}

static int ask(const char *host, const char *port, int flags, struct addrinfo **addresses_r)
{
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM,
                                    .ai_flags = flags | AI_NUMERICSERV};
    return getaddrinfo(host, port, &wanted, addresses_r);
}

static void *run(void *argument)
{
    struct lookup *lookup = argument;
    struct addrinfo *addresses = NULL;
    int error = ask(lookup->host, lookup->port, 0, &addresses);
    pthread_mutex_lock(&lookup->lock);
    lookup->error = error;
    lookup->addresses = addresses;
    lookup->done = true;
    bool left = lookup->left;
    pthread_cond_signal(&lookup->changed);
    pthread_mutex_unlock(&lookup->lock);
    if (left)
        destroy(lookup);
    return NULL;
}

/* NULL: no thread can be had. */
static struct lookup *start(const char *host, const char *port)
{
    pthread_t thread;
    pthread_attr_t detached;
    struct lookup *lookup = xcalloc(1, sizeof *lookup);
    lookup->host = xstrdup(host);
    snprintf(lookup->port, sizeof lookup->port, "%s", port);
    pthread_mutex_init(&lookup->lock, NULL);
    clock_condition_init(&lookup->changed);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &detached, run, lookup);
    pthread_attr_destroy(&detached);
    if (error == 0)
        return lookup;
    destroy(lookup);
    return NULL;
}

static bool wait_until(struct lookup *lookup, int64_t give_up_us)
{
    pthread_mutex_lock(&lookup->lock);
    while (!lookup->done && clock_condition_wait(&lookup->changed, &lookup->lock, give_up_us))
        ;
    bool done = lookup->done;
    pthread_mutex_unlock(&lookup->lock);
    return done;
}

int lookup_host(struct lookup **lookup, const char *host, int port, int64_t give_up_us,
                struct addrinfo **addresses_r, const char **why_r)
{
    char digits[8];
    snprintf(digits, sizeof digits, "%d", port);
    if (ask(host, digits, AI_NUMERICHOST, addresses_r) == 0)
        return 1;
    if (*lookup == NULL)
        *lookup = start(host, digits);
    if (*lookup == NULL || !wait_until(*lookup, give_up_us))
        return -1;
    *why_r = gai_strerror((*lookup)->error);
    struct addrinfo *addresses = take((*lookup)->addresses);
    lookup_free(lookup);
    if (addresses == NULL)
        return 0;
    *addresses_r = addresses;
    return 1;
}

void lookup_free(struct lookup **lookup)
{
    if (*lookup == NULL)
        return;
    pthread_mutex_lock(&(*lookup)->lock);
    bool done = (*lookup)->done;
    (*lookup)->left = true;
    pthread_mutex_unlock(&(*lookup)->lock);
    if (done)
        destroy(*lookup);
    *lookup = NULL;
}
