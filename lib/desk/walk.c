#include "desk/walk.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

enum { PAGE = 64 };

static void pause_for(int64_t us)
{
    const struct timespec pause = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

/* The next page: 1 there are more; 0 that was enough; -1. */
static int walk_page(struct walk *walk, struct record *records)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct store_page page = {.max = PAGE};
    if (store_passed(walk->store, arena, walk->after, walk->now_ms, records, &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count; i++) {
        int taken = walk->look(walk->closure, arena, &records[i]);
        walk->after = records[i].decision;
        if (taken < 1)
            return taken;
    }
    return page.more;
}

static int walk_all(struct walk *walk, int64_t budget_ms)
{
    struct record *records = xcalloc(PAGE, sizeof *records);
    int64_t begin_us = clock_monotonic_us();
    int more = 1;
    while (more > 0 && (budget_ms == 0 || clock_monotonic_us() - begin_us < budget_ms * 1000)) {
        int64_t page_us = clock_monotonic_us();
        more = walk_page(walk, records);
        if (more > 0)
            pause_for(clock_monotonic_us() - page_us);
    }
    walk->whole = more == 0;
    free(records);
    return more < 0 ? -1 : 1;
}

static pthread_mutex_t walking = PTHREAD_MUTEX_INITIALIZER;

int walk_passed(struct walk *walk, int64_t budget_ms)
{
    if (pthread_mutex_trylock(&walking) != 0)
        return 0;
    int result = walk_all(walk, budget_ms);
    pthread_mutex_unlock(&walking);
    return result;
}
