/* A fault in somebody's input. */
#ifndef SENDGUARD_PROBLEM_H
#define SENDGUARD_PROBLEM_H

#include "base/base.h"

/* What is wrong with somebody's input. `where` names the place as the sender
 * knows it ("to[3]", "mailbox", "line 7"), `text` says what was expected, as
 * one sentence without the place. Both are UTF-8, cut at a character. */
struct problem {
    int status; /* HTTP status that fits: 400, 401, 413, 415; 0 when no HTTP is near */
    char where[64];
    char text[320];
};

/* Fills *problem and returns 0 ("no"), so that a parser can `return problem_set(…)`. */
int problem_set(struct problem *problem, int status, const char *where,
                const char *format, ...) printf_like(4, 5);

#endif
