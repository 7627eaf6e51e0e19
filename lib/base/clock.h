/* The clocks of the machine. Whatever decides takes a moment as a parameter; only the edges ask here. */
#ifndef SENDGUARD_CLOCK_H
#define SENDGUARD_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970, UTC. It may be set, forwards and back. */
int64_t clock_wall_ms(void);
/* For durations: it never runs back, and begins anywhere. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);

#endif
