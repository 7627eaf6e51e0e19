/* Why a mailbox is suspended, for how long, and which of its suspensions is told. Pure. */
#ifndef SENDGUARD_SUSPENSION_H
#define SENDGUARD_SUSPENSION_H

#include <stdbool.h>

#include "base/base.h"

enum cause { CAUSE_VOLUME, CAUSE_COMPLAINTS, CAUSE_FAILURES, CAUSE_COMPROMISED, CAUSE_BREACHED,
             CAUSE_TERMS, CAUSE_IDENTITY, CAUSE_STAFF, CAUSE_COUNT };
extern const char *const cause_names[CAUSE_COUNT];

struct suspension {
    int64_t id; /* > 0; 0 means: there is none */
    enum cause cause;
    int64_t since_ms, until_ms; /* until_ms may be UNTIL_LIFTED */
    uint32_t attempts;          /* other messages refused since */
    uint32_t offence;           /* 1 for the first of this cause in 30 days, 2 for the second … */
    char by[64];                /* "guard", or who of the staff */
    char note[256];             /* "messages_per_day" (the rule), or the note of the staff */
};

/* Those that hold of a mailbox, at most one of a cause. It may send when there is none. The first is
 * the one that is told: it ends last; of several that end together it began first, then it has the
 * lowest id. The others follow in the same order. Zeroed: none. What stands behind `count` is
 * undefined but for of[0].id, which is 0 where there is none. */
struct suspensions {
    size_t count;
    struct suspension of[CAUSE_COUNT];
};

void suspension_clear(struct suspensions *suspensions);
/* Puts one into its place; it replaces that of its cause. */
void suspension_put(struct suspensions *suspensions, const struct suspension *suspension);
/* Takes away that of the cause. False: there is none. */
bool suspension_drop(struct suspensions *suspensions, enum cause cause);
/* That of the cause, in `suspensions`; NULL: there is none. */
const struct suspension *suspension_find(const struct suspensions *suspensions, enum cause cause);
/* Whether suspensions of the cause belong to a lock: others may know the password. */
bool suspension_is_of_lock(enum cause cause);
/* Whether one of them does. */
bool suspension_has_lock(const struct suspensions *suspensions);

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

/* When offence number `offence` (from 1) that begins at now_ms ends: as its durations say, but not
 * before the suspension of the same cause that it replaces (NULL: none). */
int64_t suspension_until(const struct durations *durations, uint32_t offence, int64_t now_ms,
                         const struct suspension *replaced);

#endif
