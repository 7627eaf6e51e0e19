/* Why a mailbox is suspended, and for how long. Pure. */
#ifndef SENDGUARD_SUSPENSION_H
#define SENDGUARD_SUSPENSION_H

#include <stdbool.h>

#include "base/base.h"

enum cause { CAUSE_VOLUME, CAUSE_COMPLAINTS, CAUSE_FAILURES, CAUSE_COMPROMISED, CAUSE_TERMS,
             CAUSE_STAFF, CAUSE_COUNT };
extern const char *const cause_names[CAUSE_COUNT];

enum { DURATIONS_MAX = 8 };

/* How long, by offence of the same cause in the last 30 days: the first
 * suspension takes durations_ms[0], the second [1], …, further ones the last. */
struct durations {
    size_t count; /* 1..DURATIONS_MAX */
    int64_t ms[DURATIONS_MAX];
};
#define OFFENCES_REMEMBERED_MS (30 * DAY_MS)
/* Who suspends when a window is over. */
#define SUSPENSION_BY_GUARD "guard"
/* As long as this at most one lasted first that an earlier version kept without its length. */
#define SUSPENSION_UNKNOWN_LENGTH_MS DAY_MS
/* Whether it is a lock that the mailbox's own user set ("That wasn't me"). `by`: who set it. */
bool suspension_is_own_lock(enum cause cause, const char *by);

/* When offence number `offence` (from 1) that begins at now_ms ends. */
int64_t suspension_until(const struct durations *durations, uint32_t offence, int64_t now_ms);

#endif
