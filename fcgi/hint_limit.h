/* How often hints are made for a mailbox while its user writes a message: so many at once, and one
 * more each second. In the memory of one process; above it the webmail shows none.
 *
 * A compose window asks 21 times when it is opened with 20 further identities, then after each change
 * that half a second passed behind: 1.8 times a second at most. So three windows may be opened at
 * once, and there is a minute and a half of such typing: 63 and 0.8 * 90. */
#ifndef SENDGUARD_HINT_LIMIT_H
#define SENDGUARD_HINT_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

enum { HINTS_AT_ONCE = 135, HINTS_EACH_MS = 1000, HINT_SLOTS = 4096 };

/* Two mailboxes that meet in a slot begin anew in turns, so none goes without
 * for the other. */
struct hint_limit {
    _Atomic uint64_t slots[HINT_SLOTS]; /* 16 bits of whose it is, 48 of until when it is busy */
    unsigned char key[16];              /* at random, so that nobody chooses whom he meets */
};

/* A start; `limit` is zeroed. */
void hint_limit_init(struct hint_limit *limit);

/* One question of the mailbox at now_ms (wall clock; one that was set back begins anew). Whether it
 * may be answered. Any thread. */
bool hint_limit_take(struct hint_limit *limit, const char *mailbox, int64_t now_ms) must_check;

#endif
