#include "daemon/rounds.h"

#include <time.h>

#include "base/clock.h"

enum { LOOK_MS = 10 };

static void look_again(void) { nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL); }

bool rounds_wait(const struct rounds *rounds, int64_t until_ms)
{
    look_again();
    return !rounds->ending && clock_monotonic_ms() < until_ms;
}

int rounds_stop(struct rounds *rounds, int timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    rounds->ending = true;
    while (!rounds->ended && clock_monotonic_ms() < until_ms)
        look_again();
    if (!rounds->ended)
        return -1;
    pthread_join(rounds->thread, NULL);
    return 1;
}
