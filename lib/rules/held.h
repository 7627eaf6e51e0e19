/* What a mailbox sends at an unusual rate: messages that wait until the postmaster has looked, or
 * that were deferred or noted lately. Pure. Both databases keep it as one value of a kind that is listed
 * (VALUE_HELD), which judging writes in the step that decides; inside Redis profile.lua does what is
 * here. Source: docs/unusual.md.
 *
 * Packed, most significant byte first: 1 format, 1 action, 6 since, 6 last, UNUSUAL_BYTES of the
 * message that began it, 2 the most new recipients of an hour, 4 messages; of each that is listed,
 * in the order in which they came, 5 and 3 of its decision (milliseconds since 2020, number), 2
 * recipients, 1 length and the queue id; of each that was deferred HELD_TRIED_BYTES by which it is
 * known when it is tried again. */
#ifndef SENDGUARD_HELD_H
#define SENDGUARD_HELD_H

#include "base/arena.h"
#include "base/text.h"
#include "rules/unusual.h"

enum {
    HELD_FORMAT = 1,
    HELD_LISTED_MAX = 1000, /* messages; further ones are counted alone, of those that are deferred
                               each try */
    HELD_QUEUE_ID_MAX = 40,
    HELD_HEAD_BYTES = 20 + UNUSUAL_BYTES,
    HELD_COUNT_AT = HELD_HEAD_BYTES - 4,
    HELD_MESSAGE_BYTES = 11, /* without the queue id */
    HELD_TRIED_BYTES = 6,
};
/* What was noted or deferred is shown for so long; what waits, without an end. */
#define HELD_SHOWN_MS (7 * DAY_MS)

struct held_message {
    uint64_t decision;
    uint32_t recipients;
    const char *queue_id; /* "": not known */
};

struct held {
    enum unusual_action action; /* of all of it; UNUSUAL_HOLD: messages wait */
    int64_t since_ms, last_ms;  /* moments of the first and of the last message */
    struct unusual unusual;     /* of the first one */
    uint32_t most;              /* new recipients of an hour, the most that was seen since */
    uint32_t count;             /* messages; of those that wait: that the mail server has; one that is
                                   deferred again is the same one */
    size_t listed;              /* of these, those that wait: up to HELD_LISTED_MAX, the first ones */
    const struct held_message *messages;
};

/* Reads one; texts and messages in `arena`. 1, or 0 when it has another form. */
int held_get(struct arena *arena, const void *bytes, size_t length, struct held *held_r) must_check;

/* Adds a message to what is kept (empty, or what cannot be read: nothing is). A message that was only
 * noted changes nothing of those that were deferred, nor one of these of those that wait; the other
 * way round it begins anew. `message` NULL: of one that is to wait, but has not come to the mail
 * server yet. `tried`: of one that is deferred, as struct judge_profile has it. Whether `kept` has
 * changed. */
bool held_add(struct text *kept, const struct unusual *unusual, int64_t at_ms,
              const struct held_message *message, uint64_t tried);

/* When it is shown no longer; UNTIL_LIFTED where messages wait. */
int64_t held_until(enum unusual_action action, int64_t at_ms);

#endif
