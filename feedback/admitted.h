/* Messages that the policy service admitted, as their records say, until the log names their queue
 * ids. One thread. */
#ifndef SENDGUARD_ADMITTED_H
#define SENDGUARD_ADMITTED_H

#include "store/records.h"

struct admitted_message {
    const char *queue_id; /* the key */
    uint64_t decision;
    const char *mailbox, *id; /* id: of the submission */
    bool counted; /* by this decision; false: another had counted it */
    uint32_t redeemed; /* the one that had, as its record says; 0: not known */
};

struct admitted;

/* Those decided after `after` are read. newest: of an earlier one, admitted_newest; 0: none. */
struct admitted *admitted_new(struct store *store, uint64_t after, uint64_t newest);
void admitted_free(struct admitted **admitted);

/* Reads the records of messages that were decided until until_ms, as far as they are there at
 * now_ms, and calls `found` for each that the policy service admitted and that was not given before;
 * 1 of `found`: it is settled; 0: keep it; -1: stop. Nothing is read that is known to be read
 * already, but with `again` for records that were written late. Returns 1 or -1. */
int admitted_read(struct admitted *admitted, int64_t until_ms, bool again, int64_t now_ms,
                  int (*found)(void *context, const struct admitted_message *message),
                  void *context) must_check;

/* The clock was set back to now_ms: what is decided from now on has lower decisions than what was
 * read. Decisions from then on are read once more, and given again. */
void admitted_rewind(struct admitted *admitted, int64_t now_ms);

/* Those that were decided before that time are not looked for. */
void admitted_begin(struct admitted *admitted, int64_t time_ms);

/* NULL: none with that queue id is kept. */
const struct admitted_message *admitted_find(const struct admitted *admitted,
                                             const char *queue_id);
/* The one that was read next, of those that are kept; NULL: none. */
const struct admitted_message *admitted_next(const struct admitted_message *message);
/* It is settled. */
void admitted_remove(struct admitted *admitted, const char *queue_id);
/* The oldest that was decided before that time; NULL: none. */
const struct admitted_message *admitted_oldest(const struct admitted *admitted, int64_t before_ms);
/* From where on a new one has to read to know the same; and the newest decision that was read. */
uint64_t admitted_position(const struct admitted *admitted);
uint64_t admitted_newest(const struct admitted *admitted);

#endif
