/* How often hints are made for a mailbox while its user writes a message: so many at once, and one
 * more each second. In the memory of one process; above it the webmail shows none. */
#ifndef SENDGUARD_HINT_LIMIT_H
#define SENDGUARD_HINT_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

enum { HINTS_AT_ONCE = 60, HINTS_EACH_MS = 1000, HINT_SLOTS = 4096 };

/* Zeroed is a start. Two mailboxes that meet in a slot begin anew in turns, so none goes without
 * for the other. */
struct hint_limit {
    _Atomic uint64_t slots[HINT_SLOTS]; /* 16 bits of whose it is, 48 of until when it is busy */
};

/* One question of the mailbox at now_ms (wall clock; one that was set back begins anew). Whether it
 * may be answered. Any thread. */
bool hint_limit_take(struct hint_limit *limit, const char *mailbox, int64_t now_ms) must_check;

#endif
