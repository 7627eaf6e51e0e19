/* One counted message as both databases keep it in a history, most significant byte first.
 *
 * Of a mailbox's history, COUNTED_BYTES: 6 of time, 2 of off-domain recipients, 4 that name the
 * submission's id and 2 its recipients, by which a repetition is known, and 5 that lead to the
 * decision. Of an IP's, COUNTED_IP_BYTES: the first 8 alone. The time has 44 bits of milliseconds,
 * above them 3 for the channel and one that says that the message's ticket was redeemed. The last
 * five bytes are the lower 20 bits of the decision's id, above them by how many milliseconds the
 * id's time is later than the message's, plus COUNTED_NEAR_MS; 0: no decision is known. */
#ifndef SENDGUARD_PACKED_ENTRY_H
#define SENDGUARD_PACKED_ENTRY_H

#include <stdbool.h>

#include "rules/rule.h"

enum {
    COUNTED_BYTES = 19,
    COUNTED_IP_BYTES = 8,
    COUNTED_TIME_BITS = 44,
    COUNTED_CHANNEL_BITS = 3,
    COUNTED_NEAR_MS = 1 << 19, /* an id whose time is further from the message's is not found */
    COUNTED_ID_BITS = 20,      /* of the decision's id, below its time */
};

struct counted {
    struct entry entry;   /* off_domain 0..SUBMISSION_MAX_RECIPIENTS, or REFUNDED */
    uint32_t id_hash;     /* 0: the submission's id is not known again; here and below of a
                             mailbox's history alone */
    uint16_t fingerprint; /* of its recipients */
    uint64_t decision;    /* 0: not known */
    bool redeemed;        /* the mail server has had the whole message: no refund any longer */
};
#define REFUNDED UINT32_MAX /* weighs nothing in any window */

/* Bytes of one message in a history of that subject. */
size_t packed_entry_bytes(enum subject subject);
void packed_entry_put(enum subject subject, const struct counted *counted, uint8_t *bytes_r);
void packed_entry_get(enum subject subject, const uint8_t *bytes, struct counted *counted_r);

#endif
