/* Messages of other mail servers: all of them admit into the same store, and each has a log and a
 * follower of its own. What the log of this one never names may be in another. One thread. */
#ifndef SENDGUARD_ELSEWHERE_H
#define SENDGUARD_ELSEWHERE_H

#include "feedback/admitted.h"

struct elsewhere;

/* Of which logs besides `source` the store knows, and that are not forgotten. 1 or -1. */
int elsewhere_look(struct store *store, const char *source, int64_t now_ms,
                   struct elsewhere **elsewhere_r) must_check;
void elsewhere_free(struct elsewhere **elsewhere);

enum elsewhere_found {
    ELSEWHERE_FAILED = -1, /* store_error says why */
    ELSEWHERE_NOT,         /* no other log has it, and all were read up to then: this one tells */
    ELSEWHERE_WAIT,        /* another log was not read so far */
    ELSEWHERE_THEIRS,      /* another log has it, or that one's follower tells that none has */
};
/* Where a message is of which this log has no line, when all logs were read up to until_ms. */
enum elsewhere_found elsewhere_find(struct elsewhere *elsewhere,
                                    const struct admitted_message *message, int64_t until_ms);

#endif
