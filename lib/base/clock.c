#include "base/clock.h"

#include <time.h>

static int64_t read_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void) { return read_us(CLOCK_REALTIME) / 1000; }

int64_t clock_monotonic_ms(void) { return read_us(CLOCK_MONOTONIC) / 1000; }

int64_t clock_monotonic_us(void) { return read_us(CLOCK_MONOTONIC); }

void clock_condition_init(pthread_cond_t *condition_r)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition_r, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

bool clock_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_us)
{
    const struct timespec until = {.tv_sec = until_us / 1000000,
                                   .tv_nsec = until_us % 1000000 * 1000};
    return pthread_cond_timedwait(condition, lock, &until) == 0;
}
