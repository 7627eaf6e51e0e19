/* A history as SQLite keeps it: packed, and with running totals, so that a
 * message costs the same with one message before it as with six hundred.
 *
 * The head holds the newest messages (fewer than HISTORY_CHUNK) and, for each
 * span of time that a window may have, the totals of what is inside it. Full
 * chunks of HISTORY_CHUNK messages are kept apart. A message is 8 bytes in an
 * IP's history: 6 of milliseconds, 2 of off-domain recipients. In a mailbox's
 * it is 21: 4 more that name its submission id and 2 its recipients (both
 * hashes), by which a repetition is known, and 7 that name its IP, for the
 * refund. The uppermost bit of the milliseconds, which no date before 6429
 * needs, says that the ticket of the message was redeemed. Pure but for the
 * reader of chunks. */
#ifndef SENDGUARD_PACKED_HISTORY_H
#define SENDGUARD_PACKED_HISTORY_H

#include <stdbool.h>

#include "rules/rules.h"

enum {
    HISTORY_CHUNK = 20, /* 420 bytes: what SQLite keeps in a page of 2 KB without overflow */
    COUNTED_MAX_BYTES = 21,
    CHUNK_MAX_BYTES = HISTORY_CHUNK * COUNTED_MAX_BYTES,
    SPANS_MAX = OVER_TIME_COUNT,
    HEAD_MAX_BYTES = 64 + SPANS_MAX * 32 + CHUNK_MAX_BYTES,
};

/* What a refunded message weighs: nothing, in any window. */
#define REFUNDED UINT32_MAX

/* One counted message; all but the entry is 0 in an IP's history. */
struct counted {
    struct entry entry; /* off_domain may be REFUNDED; time_ms below 2^47 */
    uint64_t id_hash;   /* COUNTED_ID_MASK of a hash of its submission id */
    uint32_t fingerprint; /* COUNTED_FINGERPRINT_MASK of a hash of its recipients */
    int64_t ip;         /* row of its IP's history (COUNTED_IP_MASK), 0 for none */
    bool redeemed;      /* the mail server has had the whole message: no refund any longer */
};
#define COUNTED_ID_MASK UINT64_C(0xFFFFFFFF)
#define COUNTED_FINGERPRINT_MASK 0xFFFFU
#define COUNTED_IP_MASK ((INT64_C(1) << 56) - 1)

struct span {
    int64_t length_ms;
    uint64_t first;    /* number of the oldest entry inside, counted from the first ever */
    int64_t oldest_ms; /* its time; INT64_MAX when none is inside */
    uint64_t messages, off_domain;
};

struct packed_history {
    enum subject subject;
    size_t span_count;
    struct span spans[SPANS_MAX]; /* as rule_spans, but the longest last */
    int64_t newest_ms;   /* INT64_MIN when nothing was ever counted */
    uint64_t tail_first; /* number of tail[0]; a multiple of HISTORY_CHUNK */
    size_t tail_count;
    struct counted tail[HISTORY_CHUNK];
};

/* Reads chunk `number` (messages number * HISTORY_CHUNK …): 1, or -1 when it cannot. */
struct chunk_reader {
    int (*read)(void *context, uint64_t number, struct counted chunk_r[HISTORY_CHUNK]);
    void *context;
};

/* An empty history, with the spans of the table of rules. */
void packed_history_init(struct packed_history *history, enum subject subject);

/* Bytes to struct and back. Decoding returns 1, or 0 for bytes that are no head. A head with another
 * number of spans is of another table of rules: each span begins with what its longest one held, and
 * packed_history_advance lets go of what has left it. */
int packed_history_decode(struct packed_history *history, enum subject subject,
                          const uint8_t *bytes, size_t length) must_check;
size_t packed_history_encode(const struct packed_history *history,
                             uint8_t bytes_r[HEAD_MAX_BYTES]);
/* Whether an encoded head has nothing left in any window; 0 for bytes that are no head. */
int packed_history_is_past(enum subject subject, const uint8_t *bytes, size_t length,
                           int64_t now_ms) must_check;
/* Bytes of one message; messages to bytes and back, `count` of them. */
size_t packed_history_each(enum subject subject);
void packed_history_put(enum subject subject, const struct counted *counted, size_t count,
                        uint8_t *bytes_r);
void packed_history_get(enum subject subject, const uint8_t *bytes, size_t count,
                        struct counted *counted_r);

/* Uncounts in each span what has left it by now_ms. 1, or -1 when a chunk could not be read. */
int packed_history_advance(struct packed_history *history, int64_t now_ms,
                           const struct chunk_reader *reader) must_check;

/* Sets moments later than latest_ms to mended_ms (at or after all others), in the head alone; the
 * caller does the same in its chunks. */
void packed_history_mend(struct packed_history *history, int64_t latest_ms, int64_t mended_ms);

/* What the window of that length counts, after packed_history_advance. */
uint64_t packed_history_used(const struct packed_history *history, enum measure measure,
                             int64_t length_ms);

/* Count one message (entry.time_ms >= newest_ms). Returns true when the tail is
 * now a full chunk: the caller keeps it apart and calls packed_history_cut. */
bool packed_history_add(struct packed_history *history, const struct counted *counted) must_check;
void packed_history_cut(struct packed_history *history);

/* Take counted[at] out of its totals; counted[0] is message number `first`. */
void packed_history_refund(struct packed_history *history, struct counted *counted, size_t at,
                           uint64_t first);

/* The chunks that hold messages still inside the longest span: [*from, *to). */
void packed_history_chunks(const struct packed_history *history, uint64_t *from_r,
                           uint64_t *to_r);

#endif
