/* A history as SQLite keeps it: packed, and with running totals, so that a
 * message costs the same with one message before it as with six hundred.
 *
 * The head holds the newest entries (fewer than HISTORY_CHUNK) and, for each
 * span of time that a window may have, the totals of the entries inside it.
 * Full chunks of HISTORY_CHUNK entries are kept apart; they are read only when
 * an entry in one of them leaves a span. An entry is 8 bytes: 6 of
 * milliseconds, 2 of off-domain recipients. Pure but for the reader of chunks. */
#ifndef SENDGUARD_PACKED_HISTORY_H
#define SENDGUARD_PACKED_HISTORY_H

#include <stdbool.h>

#include "rules.h"

enum {
    HISTORY_CHUNK = 64,
    ENTRY_BYTES = 8,
    CHUNK_BYTES = HISTORY_CHUNK * ENTRY_BYTES,
    SPAN_COUNT = 2, /* [0] the hour, [1] the day; an IP's history has the hour alone */
    HEAD_MAX_BYTES = 64 + SPAN_COUNT * 32 + CHUNK_BYTES,
};

/* What an entry given back weighs: nothing, in any window. */
#define ENTRY_GIVEN_BACK UINT32_MAX

struct span {
    int64_t length_ms;
    uint64_t first;    /* number of the oldest entry inside, counted from the first ever */
    int64_t oldest_ms; /* its time; INT64_MAX when none is inside */
    uint64_t messages, off_domain;
};

struct packed_history {
    size_t span_count;
    struct span spans[SPAN_COUNT];
    int64_t newest_ms;   /* INT64_MIN when nothing was ever counted */
    uint64_t tail_first; /* number of tail[0]; a multiple of HISTORY_CHUNK */
    size_t tail_count;
    struct entry tail[HISTORY_CHUNK];
};

/* Reads chunk `number` (entries number * HISTORY_CHUNK …): 1, or -1 when it cannot. */
struct chunk_reader {
    int (*read)(void *context, uint64_t number, struct entry entries[HISTORY_CHUNK]);
    void *context;
};

/* An empty history: an hour and a day for a mailbox, an hour for an IP. */
void packed_history_init(struct packed_history *history, enum subject subject);

/* Bytes to struct and back. Decoding answers 1, or 0 for bytes that are no head. */
int packed_history_decode(struct packed_history *history, enum subject subject,
                          const uint8_t *bytes, size_t length) must_check;
size_t packed_history_encode(const struct packed_history *history,
                             uint8_t bytes_r[HEAD_MAX_BYTES]);
void entries_encode(const struct entry *entries, size_t count, uint8_t *bytes_r);
void entries_decode(const uint8_t *bytes, size_t count, struct entry *entries_r);

/* Let go of what has left each span by now_ms. 1, or -1 when a chunk could not be read. */
int packed_history_advance(struct packed_history *history, int64_t now_ms,
                           const struct chunk_reader *reader) must_check;

/* What the window of that length counts, after packed_history_advance. */
uint64_t packed_history_used(const struct packed_history *history, enum measure measure,
                             int64_t length_ms);

/* Count one message at time_ms (>= newest_ms). Returns true when the tail is
 * now a full chunk: the caller keeps it apart and calls packed_history_cut. */
bool packed_history_add(struct packed_history *history, int64_t time_ms, uint32_t off_domain)
    must_check;
void packed_history_cut(struct packed_history *history);

/* Take one entry of that time and weight out of `entries` and of the totals:
 * true, or false when there is none among them. `first` is the number of entries[0]. */
bool packed_history_give_back(struct packed_history *history, struct entry *entries, size_t count,
                              uint64_t first, int64_t time_ms, uint32_t off_domain) must_check;

/* The chunks that hold entries still inside the longest span: [*from, *to). */
void packed_history_chunks(const struct packed_history *history, uint64_t *from_r,
                           uint64_t *to_r);

#endif
