/* Chance that a seed repeats: splitmix64, small, and the same everywhere for one seed. */
#ifndef SENDGUARD_TESTS_CHANCE_H
#define SENDGUARD_TESTS_CHANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The seed, and where chance stands now. */
static uint64_t chance_state;

static inline uint64_t chance(void)
{
    uint64_t mixed = chance_state += UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ mixed >> 31;
}

/* What SENDGUARD_SEED says, so that a run is repeated; else another one each time. */
static inline uint64_t chance_seed(void)
{
    const char *given = getenv("SENDGUARD_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return given != NULL ? strtoull(given, NULL, 10)
                         : (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Begins with that seed, and says it. */
static inline void chance_begin(void)
{
    chance_state = chance_seed();
    fprintf(stderr, "SENDGUARD_SEED=%llu\n", (unsigned long long)chance_state);
}

static inline int below(int bound) { return (int)(chance() % (uint64_t)bound); }
static inline bool percent(int share) { return below(100) < share; }

#endif
