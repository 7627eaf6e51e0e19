/* What a process admits by itself while the store is silent and store.on_failure = allow: of each
 * mailbox at most store.emergency messages (of those that count together: what is forwarded counts
 * by itself), nothing that the mailbox' limits would refuse if it had sent nothing before, and of
 * all mailboxes together EMERGENCY_MESSAGES or EMERGENCY_BYTES. Each message waits here until the store
 * has counted it, and holds its place of the budget until then. So at no moment more than that is
 * admitted that the store does not count, however often it comes and goes. What waits ends with the
 * process. Any thread; emergency_tell one thread at a time. */
#ifndef SENDGUARD_EMERGENCY_H
#define SENDGUARD_EMERGENCY_H

#include "store/judge.h"

struct emergency;

enum { EMERGENCY_MESSAGES = 32768, EMERGENCY_BYTES = 32 * 1024 * 1024 };

struct emergency *emergency_new(void);
void emergency_free(struct emergency **emergency);

/* Whether a message that would be judged by that request is admitted; it waits then. So many of a
 * mailbox may wait: `each`. */
bool emergency_admit(struct emergency *emergency, const struct judge_request *request,
                     uint32_t each) must_check;

/* It was not sent after all: whether it waited, under that id, and is gone. */
bool emergency_refund(struct emergency *emergency, const char *mailbox, const char *id) must_check;

size_t emergency_waiting(struct emergency *emergency);

/* What one call has told. */
struct emergency_told {
    size_t counted; /* the store has them */
    size_t past;    /* older than what the store counts: forgotten */
};
/* Tells the store of some thousand messages that wait, the oldest first; to be called each second.
 * They are counted as of when they were sent, whatever the limits say, and suspend nobody. A lost
 * answer does no harm, since the store counts an id once. What redeems a ticket of another program
 * is told EMERGENCY_REDEEM_MS after the store answers again, when that program has told. 1 nothing
 * waits; 0 something does; -1 the store did not answer. */
#define EMERGENCY_REDEEM_MS (10 * SECOND_MS)
int emergency_tell(struct emergency *emergency, struct store *store, int64_t now_ms,
                   struct emergency_told *told_r) must_check;

#endif
