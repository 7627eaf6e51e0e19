/* The clocks of the machine. Whatever decides takes a moment as a parameter; only the edges ask here. */
#ifndef SENDGUARD_CLOCK_H
#define SENDGUARD_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Milliseconds since 1970, UTC. It may be set, forwards and back. */
int64_t clock_wall_ms(void);
/* For durations: it never runs back, and begins anywhere. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);

/* A condition that is waited for by the monotonic clock; pthread_cond_destroy ends it. */
void clock_condition_init(pthread_cond_t *condition_r);
/* Waits for it, with the lock held; false: until_us (clock_monotonic_us) has come. */
bool clock_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_us);

#endif
