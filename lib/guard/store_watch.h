/* Whether the store answers, as the log tells it: once when it falls silent, and
 * once when it answers again, with how many messages went without. Zeroed is a
 * start; what the threads of one program share. Any thread. */
#ifndef SENDGUARD_STORE_WATCH_H
#define SENDGUARD_STORE_WATCH_H

#include "base/log.h"
#include "store/store.h"

struct store_watch {
    struct log_once away;
    _Atomic uint64_t unanswered; /* since it fell silent */
    _Atomic int64_t told_ahead_ms; /* when it was told last that a clock was wrong */
    _Atomic int64_t told_damaged_ms; /* … that a block is damaged */
    _Atomic int64_t told_used_up_ms; /* … that a message was refused without the store */
};

/* After each operation: `answer` as the store gave it, -1 when it was silent. */
void store_watch_saw(struct store_watch *watch, const struct store *store, int answer);
/* After each judgement: by how much the store was ahead, 0: it was not. Told once an hour. */
void store_watch_ahead(struct store_watch *watch, int64_t ahead_ms, int64_t now_ms);
/* After each judgement that met what is kept of a block and is damaged. Told once an hour. */
void store_watch_damaged(struct store_watch *watch, const char *mailbox, int64_t now_ms);
/* After a judgement that refused what store.emergency does not admit. Told once an hour. */
void store_watch_used_up(struct store_watch *watch, const char *mailbox, int64_t now_ms);

#endif
