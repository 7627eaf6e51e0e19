/* A history as SQLite keeps it: packed, and with running totals, so that a
 * message costs the same with one message before it as with six hundred.
 *
 * The head holds the newest messages (fewer than HISTORY_CHUNK) and, for each
 * span of time that a window may have, the totals of what is inside it, those of
 * each channel that counts in the history apart (history_share). Full chunks of
 * HISTORY_CHUNK messages are kept apart. packed_entry.h has the form of a message.
 * Until version 5 of the schema a message of a mailbox had 2 bytes more, and the
 * row of its IP's history in the place of its decision; that form is still read.
 * Pure but for the reader of chunks. */
#ifndef SENDGUARD_PACKED_HISTORY_H
#define SENDGUARD_PACKED_HISTORY_H

#include "rules/history.h"
#include "rules/rules.h"
#include "store/packed_entry.h"

enum {
    HISTORY_CHUNK = 20, /* chunks that are kept already are named by it */
    CHUNK_MAX_BYTES = HISTORY_CHUNK * COUNTED_BYTES,
    SPANS_MAX = OVER_TIME_COUNT,
    HEAD_NUMBER_BYTES = 10, /* at most */
    HEAD_MAX_BYTES =
        64 + SPANS_MAX * (2 + 2 * HISTORY_SHARES) * HEAD_NUMBER_BYTES + CHUNK_MAX_BYTES,
};

/* In the decision of a message that was read in the form until version 5: the rest of it is the row
 * of its IP's history, 0 for none. It is not written again. */
#define COUNTED_HAS_IP_ROW (UINT64_C(1) << 63)

/* The totals of a span, of one channel or of all. */
struct span_totals {
    uint64_t messages, off_domain;
};

struct span {
    int64_t length_ms;
    uint64_t first;    /* number of the oldest entry inside, counted from the first ever */
    int64_t oldest_ms; /* its time; INT64_MAX when none is inside */
    struct span_totals of[HISTORY_SHARES]; /* by history_share */
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

/* Bytes to struct and back. Decoding returns 1, or 0 for bytes that are no head. A head with
 * another number of spans is of another table of rules: each span begins with what its longest one
 * held, and packed_history_advance lets go of what has left it. */
int packed_history_decode(struct packed_history *history, enum subject subject,
                          const uint8_t *bytes, size_t length) must_check;
size_t packed_history_encode(const struct packed_history *history,
                             uint8_t bytes_r[HEAD_MAX_BYTES]);
/* Whether an encoded head has nothing left in any window; 0 for bytes that are no head. */
int packed_history_is_past(enum subject subject, const uint8_t *bytes, size_t length,
                           int64_t now_ms) must_check;
/* The same of a full chunk. */
int packed_history_decode_chunk(enum subject subject, const uint8_t *bytes, size_t length,
                                struct counted chunk_r[HISTORY_CHUNK]) must_check;
size_t packed_history_encode_chunk(enum subject subject, const struct counted chunk[HISTORY_CHUNK],
                                   uint8_t bytes_r[CHUNK_MAX_BYTES]);

/* Uncounts in each span what has left it by now_ms. 1, or -1 when a chunk could not be read. */
int packed_history_advance(struct packed_history *history, int64_t now_ms,
                           const struct chunk_reader *reader) must_check;

/* Sets moments later than latest_ms to mended_ms (at or after all others), in the head alone; the
 * caller does the same in its chunks. */
void packed_history_mend(struct packed_history *history, int64_t latest_ms, int64_t mended_ms);

/* What a span counts, after packed_history_advance: of all channels, or of one. */
struct span_totals packed_history_totals(const struct span *span);
struct span_totals packed_history_totals_of(const struct packed_history *history,
                                            const struct span *span, enum channel channel);
/* The span of that length; NULL when there is none. */
const struct span *packed_history_span(const struct packed_history *history, int64_t length_ms);

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
