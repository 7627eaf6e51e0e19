/* What became of mail, as the follower holds it in memory: the store's values that it works on, and
 * which of them have changed. Values are read when they are first needed, changed here, and written
 * all at once together with the cursor of the log (deliveries_changes), or not at all: then the whole
 * is thrown away and made anew.
 *
 * Functions return 1, 0 or -1 as store.h says; after -1 the store's error says why. One thread. */
#ifndef SENDGUARD_DELIVERIES_H
#define SENDGUARD_DELIVERIES_H

#include "guard/keyed_hash.h"
#include "mail/kept_reply.h"
#include "mail/trace.h"
#include "store/values.h"

/* So many different words of a site are kept a day, by each run of the program: each takes up to 600
 * bytes for 12 days, and who has a server can say something else each time. */
enum { DELIVERIES_WORDS_MAX = 2000 };

struct deliveries;

/* `store` and `keys` stay the caller's. source: of the cursor, by which its values are told apart. */
struct deliveries *deliveries_new(struct store *store, struct keyed_hash_keys *keys,
                                  const char *source);
void deliveries_free(struct deliveries **deliveries);

/* Where a message is kept. */
struct delivery_place {
    uint64_t decision;
    const char *mailbox; /* key form */
    uint32_t part;
};

/* The message is looked at next, or soon: what is kept of its mailbox is read together with the next
 * value, since a question to the store costs more than a value. Whether more may be expected: false
 * when the first one is held already, and when there are enough. */
bool deliveries_expect(struct deliveries *deliveries, uint64_t decision,
                       const char *mailbox) must_check;

/* Begins the trace of an admitted message, with what *message says, and counts it in its domain.
 * *place_r: part of it is answered. 1; 0 it is there already, at *place_r; -1. */
int deliveries_begin(struct deliveries *deliveries, const struct trace_message *message,
                     const char *mailbox, int64_t now_ms, struct delivery_place *place_r) must_check;

/* Where a message is kept, if it is: 1, 0 or -1. */
int deliveries_find(struct deliveries *deliveries, uint64_t decision, const char *mailbox,
                    int64_t now_ms, struct delivery_place *place_r) must_check;

/* The message at a place, to be changed until the next call: it will be written. 1; 0 it is not
 * kept any more; -1. */
int deliveries_message(struct deliveries *deliveries, const struct delivery_place *place,
                       int64_t now_ms, struct trace_message **message_r) must_check;

/* An outcome at one recipient, an address in key form. `reply`: what the server said. */
struct delivery_outcome {
    const char *recipient;
    enum delivery delivery;
    bool attempted, expanded;
    int64_t at_ms; /* of the line */
    struct kept_reply reply;
};
/* The message at that recipient, as the trace has it. */
struct delivery_unit {
    uint64_t recipient; /* hash */
    bool first;         /* no attempt had an outcome before */
};
/* 1, and *unit_r; 0 the message is not kept any more, or has too many recipients; -1. */
int deliveries_outcome(struct deliveries *deliveries, const struct delivery_place *place,
                       const struct delivery_outcome *outcome, int64_t now_ms,
                       struct delivery_unit *unit_r) must_check;

/* The message has left the queue. `given_up`: DELIVERY_EXPIRED or DELIVERY_DISCARDED for what was
 * deferred; DELIVERY_DELIVERED: it went the usual way. 1; 0 it is not kept any more; -1. */
int deliveries_end(struct deliveries *deliveries, const struct delivery_place *place,
                   enum delivery given_up, int64_t at_ms, int64_t now_ms) must_check;

/* The changes since the last time, `room` of them at most; they live until the next call of another
 * function. */
size_t deliveries_changes(struct deliveries *deliveries, struct value_change *changes, size_t room);
size_t deliveries_change_count(const struct deliveries *deliveries);
/* About how many bytes they have, but for what came since a value was first changed. */
size_t deliveries_change_bytes(const struct deliveries *deliveries);
/* They have been written; `versions` in their order. */
void deliveries_written(struct deliveries *deliveries, const uint32_t *versions);

#endif
