/* The recipients of messages under way. Postfix names a recipient at RCPT, and at
 * END-OF-MESSAGE their number alone, so they are gathered here by transaction until the message
 * is judged. Shared by all loops: another connection may ask for the end.
 *
 * A transaction that is not asked about for COLLECTOR_FORGET_MS is forgotten; so are the oldest
 * when memory is full, and of one transaction no more than COLLECTOR_MAX_RECIPIENTS are kept. Who is
 * forgotten is missed only by name: the number still comes from Postfix, and unnamed recipients
 * count as different ones outside the own domains. All functions: any thread. */
#ifndef SENDGUARD_COLLECTOR_H
#define SENDGUARD_COLLECTOR_H

#include <stdbool.h>

#include "message/submission.h"

struct collector;

enum { COLLECTOR_MAX_RECIPIENTS = SUBMISSION_MAX_RECIPIENTS };
#define COLLECTOR_FORGET_MS (10 * MINUTE_MS)

/* max_bytes: for all transactions together, about. */
struct collector *collector_new(size_t max_bytes);
void collector_free(struct collector **collector);

/* A transaction is what Postfix calls an instance, of one user. */
struct transaction {
    const char *instance, *user;
};

/* RCPT: one more recipient. NULL: one that cannot be read as an address. */
void collector_add(struct collector *collector, const struct transaction *transaction,
                   const char *recipient, int64_t now_ms);

struct collected {
    const char **recipients; /* in key form, each once, in order of appearance; in `arena` */
    uint32_t *times;         /* how often each was named: Postfix names a copy (another ORCPT,
                                NOTIFY or spelling) as it names a recipient twice */
    size_t count;
    size_t asked;  /* the sum of `times` */
    size_t unread; /* those that could not be read or kept */
};

/* All that is known of a transaction; nothing of one that is not known. */
void collector_look(struct collector *collector, const struct transaction *transaction,
                    struct arena *arena, int64_t now_ms, struct collected *collected_r);

/* The transaction has ended. */
void collector_forget(struct collector *collector, const struct transaction *transaction);

/* How many transactions are known, and their memory: for tests. */
size_t collector_count(struct collector *collector);
size_t collector_bytes(struct collector *collector);

/* 1 once for each time that memory came to be full (any thread), else 0: for a log line. It is full
 * until half of it is free. */
int collector_overflowed(struct collector *collector);

#endif
