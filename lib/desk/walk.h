/* Looks at all records of messages that passed, from an id on. They are read in small pages, and between
 * two of them the database is left alone for as long as the last one took: judging waits for a page at
 * most, and has half of the time where nothing else is read. Internal to lib/desk. */
#ifndef SENDGUARD_WALK_H
#define SENDGUARD_WALK_H

#include "store/records.h"

struct walk {
    struct store *store;
    int64_t now_ms;
    uint64_t after; /* records with a higher id */
    /* What is done with each; what it leaves in `arena` goes with the page. 1 go on; 0 enough; -1. */
    int (*look)(void *closure, struct arena *arena, const struct record *record);
    void *closure;
    bool whole; /* set: there was time for all */
};

/* budget_ms: about so long at most; 0: as long as it takes. 1; 0 another one is under way in this
 * process (one at a time, so that other requests have its other threads); -1. */
#define WALK_BUSY "somebody else asks just now; try again in a moment"
int walk_passed(struct walk *walk, int64_t budget_ms) must_check;

#endif
