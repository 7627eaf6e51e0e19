/* A thread that does its work again and again, until it is told to end. It looks every few
 * milliseconds whether it is, and may take so long for what it is at. */
#ifndef SENDGUARD_ROUNDS_H
#define SENDGUARD_ROUNDS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { ROUNDS_MS = 250 }; /* what lies between two, as a rule */

struct rounds {
    pthread_t thread;
    _Atomic bool ending, ended; /* told to; and by the thread, as the last it does */
};

/* Waits a little. True: go on waiting, neither has until_ms (clock_monotonic_ms) come nor is it to
 * end. */
bool rounds_wait(const struct rounds *rounds, int64_t until_ms);
/* 1; -1: it is still at work. */
int rounds_stop(struct rounds *rounds, int timeout_ms);

#endif
