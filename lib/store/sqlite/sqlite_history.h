/* A history as a row of SQLite's: found, loaded, searched, saved. Inside the
 * SQLite backend, within a transaction of its callers. All answer 1, 0 absent where
 * that can be, or -1 with backend->error. */
#ifndef SENDGUARD_SQLITE_HISTORY_H
#define SENDGUARD_SQLITE_HISTORY_H

#include "store/sqlite/packed_history.h"
#include "store/sqlite/sqlite.h"

/* The history of one mailbox or IP, as loaded. */
struct sqlite_history {
    struct sqlite_backend *backend;
    const char *key; /* NULL: there is none (a message without an IP) */
    char key_read[HISTORY_NAME_SIZE]; /* that of a row which was asked for by its id */
    int64_t id;      /* its row */
    bool exists;
    bool damaged;    /* after -1: what is kept of it cannot be read, now or later */
    struct packed_history history;
    uint64_t dropped_below; /* chunks before this number are gone already */
    int64_t latest_ms, mended_ms; /* messages in chunks later than the former are of the latter */
};

/* Where a message stands in a mailbox's history. */
struct place {
    struct counted chunk[HISTORY_CHUNK]; /* a copy of its chunk; unused for the tail */
    uint64_t chunk_number;               /* PLACE_IN_TAIL */
    size_t at;
};
#define PLACE_IN_TAIL UINT64_MAX

/* The history of a mailbox or IP, empty when it has none; key NULL: empty, and
 * not to be saved. `key` is not copied. */
int sqlite_history_load(struct sqlite_backend *backend, enum subject subject, const char *key,
                        struct sqlite_history *stored_r) must_check;
/* The history of row `id`, 0 when there is none. */
int sqlite_history_load_row(struct sqlite_backend *backend, enum subject subject, int64_t id,
                            struct sqlite_history *stored_r) must_check;
/* Writes the head, and removes the chunks that have left every window. */
int sqlite_history_save(struct sqlite_history *stored) must_check;
/* Forget the row, its pairs, and its chunks where the history has filled one. */
int sqlite_history_drop(struct sqlite_backend *backend, int64_t id, bool has_chunks) must_check;

/* What is further ahead of now_ms than CLOCK_AHEAD_MS is taken as of now, or of the message before
 * when that is later, and with `write` kept so. 1 with *ahead_ms_r, 0 nothing is, -1. */
int sqlite_history_mend(struct sqlite_history *stored, int64_t now_ms, bool write,
                        int64_t *ahead_ms_r) must_check;
int sqlite_history_advance(struct sqlite_history *stored, int64_t now_ms) must_check;
/* Count a message, and save. */
int sqlite_history_add(struct sqlite_history *stored, const struct counted *counted) must_check;

/* Count messages in an empty history, the newest moment of which is newest_ms, and save. */
int sqlite_history_put(struct sqlite_history *stored, const struct counted *counted, size_t count,
                       int64_t newest_ms) must_check;

/* The newest message counted under that id, however long ago within a day. */
int sqlite_history_find_id(struct sqlite_history *stored, uint32_t id_hash,
                           struct place *place_r) must_check;
/* The newest message of that time and weight. */
int sqlite_history_find_entry(struct sqlite_history *stored, const struct entry *entry,
                              struct place *place_r)
    must_check;
/* The message at `place`; changes become lasting by sqlite_place_save. */
struct counted *sqlite_place_counted(struct sqlite_history *stored, struct place *place);
int sqlite_place_save(struct sqlite_history *stored, const struct place *place) must_check;
/* Take it out of the windows, and save. */
int sqlite_place_refund(struct sqlite_history *stored, struct place *place) must_check;

/* What sqlite_read_history reads, with all that is kept of each message; in `arena`. */
int sqlite_read_counted(struct sqlite_backend *backend, struct arena *arena, enum subject subject,
                        const char *key, int64_t at_ms, struct counted **counted_r,
                        size_t *count_r) must_check;
/* What the longest span counts, without what has left it by at_ms (0: nothing has); in `arena`. */
int sqlite_history_counted(struct sqlite_history *stored, struct arena *arena, int64_t at_ms,
                           struct counted **counted_r, size_t *count_r) must_check;
/* All that the longest span holds at at_ms, for forecasts; in `arena`. */
int sqlite_history_entries(struct sqlite_history *stored, struct arena *arena, int64_t at_ms,
                           struct history *history_r) must_check;

#endif
