/* The trace of a message: what became of it at each of its recipients, and the form in which it is
 * kept. Pure. A recipient is known by a keyed hash of its address alone.
 *
 * The messages of a mailbox on one day (UTC, of their decisions) are kept together, as packed bytes:
 *   1 format; then of each message
 *   varint: how many bytes follow of it;
 *   6 its decision's id, less the smallest of the day;
 *   1 flags; varint and bytes: queue id (packed where flags say so);
 *   4 hash of the Message-ID, where flags say that there is one;
 *   varint: how many recipients the mail server queued it for; varint: how many follow; of each
 *   8 hash, 1 outcome (lower three bits) and class (upper five), varint attempts,
 *   varint seconds from the decision to the first outcome, varint seconds from that to the last,
 *   6 what the server said (reply id; 0: nothing). */
#ifndef SENDGUARD_TRACE_H
#define SENDGUARD_TRACE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/text.h"
#include "mail/queue_id.h"
#include "mail/reply.h"

/* What became of a message at a recipient. Traces keep the number: a new one goes to the end. */
enum delivery {
    DELIVERY_PENDING,   /* nothing is known yet, or no attempt was made yet */
    DELIVERY_DELIVERED, /* another server took it, or it is in a mailbox here */
    DELIVERY_DEFERRED,  /* the last attempt failed, another one follows */
    DELIVERY_FAILED,    /* refused for good: it came back to the sender */
    DELIVERY_EXPIRED,   /* tried for days, then given up: it came back to the sender */
    DELIVERY_DISCARDED, /* deleted from the queue by the mail server's staff */
    DELIVERY_COUNT
};
extern const char *const delivery_names[DELIVERY_COUNT];

enum { TRACE_RECIPIENTS_MAX = 10000 };

struct trace_recipient {
    uint64_t hash; /* of the recipient as it was admitted */
    enum delivery delivery;
    enum reply_class class; /* of the last outcome that was none of success */
    uint32_t attempts;
    int64_t first_ms, last_ms; /* outcomes, also of a deferral without an attempt */
    uint64_t reply;            /* what the server said; 0: not kept */
};

struct trace_message {
    uint64_t decision;
    char queue_id[QUEUE_ID_MAX + 1]; /* the one it was admitted with */
    uint32_t message_id; /* keyed hash of the Message-ID; 0: not known */
    uint32_t expected;   /* recipients that it was queued for; 0: not known */
    bool refunded;       /* the mail server refused it after it was counted */
    bool ended;          /* it has left the queue */
    bool silent;         /* the log had no line of it for a minute */
    struct trace_recipient *recipients; /* TRACE_RECIPIENTS_MAX at most */
    size_t recipient_count, recipient_room;
};

/* What an attempt came to. */
struct trace_outcome {
    uint64_t recipient;
    enum delivery delivery; /* DELIVERED, DEFERRED or FAILED */
    enum reply_class class; /* not of DELIVERED */
    bool attempted;         /* false: deferred without an attempt, the destination was given up */
    bool expanded;          /* one of several addresses that the recipient stands for */
    int64_t at_ms;
    uint64_t reply;
};

/* Takes over an outcome. Of several addresses that a recipient stands for, and of copies, the best
 * outcome counts: what is delivered stays so. Returns the recipient; *before_r: as it was until now
 * (delivery PENDING: not known at all). NULL: there are TRACE_RECIPIENTS_MAX others. The array of
 * recipients is the caller's (malloc). */
struct trace_recipient *trace_take_outcome(struct trace_message *message,
                                           const struct trace_outcome *outcome,
                                           struct trace_recipient *before_r);

/* The message is given up: what was deferred becomes `delivery` (EXPIRED or DISCARDED). Calls `changed`
 * for each recipient that does. */
void trace_give_up(struct trace_message *message, enum delivery delivery, int64_t at_ms,
                   void (*changed)(void *context, const struct trace_recipient *before,
                                   const struct trace_recipient *after),
                   void *context);

/* Whether such an outcome has a class: why it is none of success, or not yet. */
bool trace_has_class(enum delivery delivery);

/* Recipients that it was queued for and of which nothing is known yet. */
uint32_t trace_unknown(const struct trace_message *message);

/* The day of a decision, since 1970. */
int64_t trace_day(uint64_t decision);

/* Adds the packed form of a message of that day; the first one adds the format too (out empty). */
void trace_add(struct text *out, int64_t day, const struct trace_message *message);
/* How many bytes the message takes there at most. */
size_t trace_bytes(const struct trace_message *message);
/* The messages of a packed day, in `arena` (recipients too: not to be grown). 1; 0: damaged. */
int trace_read(struct arena *arena, int64_t day, const void *bytes, size_t length,
               struct trace_message **messages_r, size_t *count_r) must_check;

#endif
