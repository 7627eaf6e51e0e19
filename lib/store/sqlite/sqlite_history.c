#include "store/sqlite/sqlite_history.h"

#include <stdio.h>
#include <string.h>

#include "store/sqlite/sqlite_pair.h"

static int read_chunk(void *context, uint64_t number, struct counted chunk_r[HISTORY_CHUNK])
{
    struct sqlite_history *stored = context;
    sqlite3_stmt *get = sqlite_take(stored->backend, SQL_CHUNK_GET);
    sqlite3_bind_int64(get, 1, stored->id);
    sqlite3_bind_int64(get, 2, (sqlite3_int64)number);
    int found = sqlite_row(stored->backend, get);
    if (found < 0)
        return -1;
    stored->damaged =
        found == 0 ||
        !packed_history_decode_chunk(stored->history.subject, sqlite3_column_blob(get, 0),
                                     (size_t)sqlite3_column_bytes(get, 0), chunk_r);
    if (stored->damaged)
        return backend_fail(&stored->backend->base,
                            "%s: history %lld: chunk %llu is missing or damaged",
                            stored->backend->path, (long long)stored->id, (unsigned long long)number);
    sqlite3_reset(get);
    for (size_t i = 0; i < HISTORY_CHUNK; i++)
        if (chunk_r[i].entry.time_ms > stored->latest_ms)
            chunk_r[i].entry.time_ms = stored->mended_ms;
    return 1;
}

static int write_chunk(struct sqlite_history *stored, uint64_t number, const struct counted *chunk)
{
    uint8_t bytes[CHUNK_MAX_BYTES];
    size_t length = packed_history_encode_chunk(stored->history.subject, chunk, bytes);
    sqlite3_stmt *put = sqlite_take(stored->backend, SQL_CHUNK_PUT);
    sqlite3_bind_int64(put, 1, stored->id);
    sqlite3_bind_int64(put, 2, (sqlite3_int64)number);
    sqlite3_bind_blob(put, 3, bytes, (int)length, SQLITE_STATIC);
    return sqlite_do(stored->backend, put);
}

static int drop_chunks(struct sqlite_backend *backend, int64_t id, uint64_t from, uint64_t below)
{
    sqlite3_stmt *drop = sqlite_take(backend, SQL_CHUNK_DROP);
    sqlite3_bind_int64(drop, 1, id);
    sqlite3_bind_int64(drop, 2, (sqlite3_int64)from);
    sqlite3_bind_int64(drop, 3, (sqlite3_int64)below);
    return sqlite_do(backend, drop);
}

/* ---- ids of full chunks ------------------------------------------------------------ */

/* Whether an id is new has to be known for every message, and the chunks are
 * too much to read for it: the ids of all stand together in one row. */
enum { ID_BYTES = 4, CHUNK_IDS_BYTES = HISTORY_CHUNK * ID_BYTES };

/* 1 and the row, valid until let_ids_go; 0 absent; -1. */
static int get_ids(struct sqlite_history *stored, uint64_t *first_r, const uint8_t **hashes_r,
                   size_t *length_r)
{
    sqlite3_stmt *get = sqlite_take(stored->backend, SQL_IDS_GET);
    sqlite3_bind_int64(get, 1, stored->id);
    int found = sqlite_row(stored->backend, get);
    if (found > 0) {
        *first_r = (uint64_t)sqlite3_column_int64(get, 0);
        *hashes_r = sqlite3_column_blob(get, 1);
        *length_r = (size_t)sqlite3_column_bytes(get, 1);
    }
    return found;
}

/* A statement left open would keep the connection at an old state of the file. */
static void let_ids_go(struct sqlite_history *stored)
{
    sqlite3_reset(stored->backend->statements[SQL_IDS_GET]);
}

static void put_id(struct text *hashes, uint32_t id_hash)
{
    text_add_bytes(hashes, (const char *)&id_hash, ID_BYTES);
}

/* Adds the tail, which becomes chunk `number`, without entries that are past. */
static int keep_ids(struct sqlite_history *stored, uint64_t number)
{
    freed_by(text_free) struct text hashes = {0};
    uint64_t from, to, first;
    const uint8_t *old;
    size_t length;
    packed_history_chunks(&stored->history, &from, &to);
    int found = get_ids(stored, &first, &old, &length);
    if (found < 0)
        return -1;
    if (found > 0 && from > first) {
        size_t past = (size_t)(from - first) * CHUNK_IDS_BYTES;
        past = past < length ? past : length;
        old += past;
        length -= past;
    }
    if (found > 0)
        text_add_bytes(&hashes, (const char *)old, length);
    let_ids_go(stored);
    for (size_t i = 0; i < HISTORY_CHUNK; i++)
        put_id(&hashes, stored->history.tail[i].id_hash);
    sqlite3_stmt *put = sqlite_take(stored->backend, SQL_IDS_PUT);
    sqlite3_bind_int64(put, 1, stored->id);
    sqlite3_bind_int64(put, 2, (sqlite3_int64)(number + 1 - hashes.length / CHUNK_IDS_BYTES));
    sqlite3_bind_blob(put, 3, hashes.data, (int)hashes.length, SQLITE_STATIC);
    return sqlite_do(stored->backend, put);
}

/* The newest chunk below `below` that may hold the id: 1, 0, -1. */
static int find_chunk(struct sqlite_history *stored, uint32_t id_hash, uint64_t below,
                      uint64_t *number_r)
{
    uint64_t first;
    const uint8_t *hashes;
    size_t length;
    int found = get_ids(stored, &first, &hashes, &length);
    if (found < 1)
        return found;
    uint32_t hash;
    found = 0;
    for (size_t i = length / ID_BYTES; i-- > 0 && found == 0;) {
        memcpy(&hash, hashes + i * ID_BYTES, ID_BYTES);
        *number_r = first + i / HISTORY_CHUNK;
        found = hash == id_hash && *number_r < below;
    }
    let_ids_go(stored);
    return found;
}

int sqlite_history_drop(struct sqlite_backend *backend, int64_t id, bool has_chunks)
{
    if (sqlite_heads_put(backend, id, NULL) < 0 || sqlite_pairs_drop(backend, id) < 0)
        return -1;
    if (!has_chunks)
        return 1;
    sqlite3_stmt *ids = sqlite_take(backend, SQL_IDS_DROP);
    sqlite3_bind_int64(ids, 1, id);
    return sqlite_do(backend, ids) < 0 ? -1 : drop_chunks(backend, id, 0, INT64_MAX);
}

/* Loads row stored->id: 1; 0 absent, or another key's; -1. */
static int read_row(struct sqlite_history *stored, enum subject subject)
{
    struct head head;
    int found = sqlite_heads_get(stored->backend, stored->id, &head);
    if (found < 1)
        return found;
    stored->exists = true;
    bool ours = stored->key == NULL || (strlen(stored->key) == head.key_length &&
                                        memcmp(head.key, stored->key, head.key_length) == 0);
    if (stored->key == NULL) {
        snprintf(stored->key_read, sizeof stored->key_read, "%.*s", (int)head.key_length, head.key);
        stored->key = stored->key_read;
    }
    stored->damaged =
        ours && !packed_history_decode(&stored->history, subject, head.data, head.length);
    if (stored->damaged)
        return backend_fail(&stored->backend->base, "%s: history %lld is damaged",
                            stored->backend->path,
                            (long long)stored->id);
    return ours;
}

#define ROW_MASK ((INT64_C(1) << 56) - 1)

static int64_t row_of(const struct sqlite_backend *backend, const char *key)
{
    return (identity_hash(backend->hash_key, key, strlen(key)) & ROW_MASK) | 1;
}

/* Its row is named by the hash of its key, or by the next number when another
 * key has that hash already. */
int sqlite_history_load(struct sqlite_backend *backend, enum subject subject, const char *key,
                        struct sqlite_history *stored_r)
{
    uint64_t end;
    int found = 0;
    stored_r->backend = backend;
    stored_r->key = key;
    stored_r->id = 0;
    stored_r->exists = false;
    stored_r->latest_ms = INT64_MAX;
    if (key != NULL)
        for (stored_r->id = row_of(backend, key);;
             stored_r->id++) {
            stored_r->exists = false;
            found = read_row(stored_r, subject);
            if (found != 0 || !stored_r->exists)
                break;
        }
    if (found < 1)
        packed_history_init(&stored_r->history, subject);
    packed_history_chunks(&stored_r->history, &stored_r->dropped_below, &end);
    return found < 0 ? -1 : 1;
}

int sqlite_history_load_row(struct sqlite_backend *backend, enum subject subject, int64_t id,
                            struct sqlite_history *stored_r)
{
    uint64_t end;
    stored_r->backend = backend;
    stored_r->key = NULL;
    stored_r->id = id;
    stored_r->exists = false;
    stored_r->latest_ms = INT64_MAX;
    int found = read_row(stored_r, subject);
    if (found > 0)
        packed_history_chunks(&stored_r->history, &stored_r->dropped_below, &end);
    return found;
}

/* The newest message that is not later than latest_ms, among the last ones; the chunks behind its
 * own are [*ahead_from_r, …). INT64_MIN when there is none. */
static int find_newest(struct sqlite_history *stored, int64_t latest_ms, int64_t *newest_r,
                       uint64_t *ahead_from_r)
{
    const struct packed_history *history = &stored->history;
    struct counted chunk[HISTORY_CHUNK];
    uint64_t from, number;
    packed_history_chunks(history, &from, &number);
    const struct counted *counted = history->tail;
    size_t count = history->tail_count;
    for (;;) {
        *ahead_from_r = number;
        for (size_t i = count; i-- > 0;)
            if (counted[i].entry.time_ms <= latest_ms) {
                *newest_r = counted[i].entry.time_ms;
                return 1;
            }
        *newest_r = INT64_MIN;
        if (number == from)
            return 1;
        if (read_chunk(stored, --number, chunk) < 0)
            return -1;
        counted = chunk;
        count = HISTORY_CHUNK;
    }
}

int sqlite_history_mend(struct sqlite_history *stored, int64_t now_ms, bool write,
                        int64_t *ahead_ms_r)
{
    struct packed_history *history = &stored->history;
    struct counted chunk[HISTORY_CHUNK];
    int64_t latest_ms = now_ms + CLOCK_AHEAD_MS, newest_ms;
    uint64_t number, from, to;
    if (history->newest_ms <= latest_ms)
        return 0;
    *ahead_ms_r = history->newest_ms - now_ms;
    if (find_newest(stored, latest_ms, &newest_ms, &number) < 0)
        return -1;
    stored->latest_ms = latest_ms;
    stored->mended_ms = newest_ms > now_ms ? newest_ms : now_ms;
    packed_history_mend(history, latest_ms, stored->mended_ms);
    if (!write)
        return 1;
    packed_history_chunks(history, &from, &to);
    for (; number < to; number++)
        if (read_chunk(stored, number, chunk) < 0 || write_chunk(stored, number, chunk) < 0)
            return -1;
    return sqlite_history_save(stored);
}

int sqlite_history_advance(struct sqlite_history *stored, int64_t now_ms)
{
    return packed_history_advance(&stored->history, now_ms,
                                  &(struct chunk_reader){read_chunk, stored});
}

_Static_assert((int)HEAD_MAX_BYTES <= (int)HEADS_LENGTH_MAX &&
                   (int)HISTORY_NAME_SIZE <= (int)HEADS_LENGTH_MAX, "the log takes any head");

int sqlite_history_save(struct sqlite_history *stored)
{
    struct sqlite_backend *backend = stored->backend;
    uint8_t bytes[HEAD_MAX_BYTES];
    uint64_t from, to;
    packed_history_chunks(&stored->history, &from, &to);
    if (from > stored->dropped_below &&
        drop_chunks(backend, stored->id, stored->dropped_below, from) < 0)
        return -1;
    stored->dropped_below = from;
    size_t length = packed_history_encode(&stored->history, bytes);
    backend->histories_since_sweep += !stored->exists;
    stored->exists = true;
    return sqlite_heads_put(backend, stored->id, &(struct head){stored->key, strlen(stored->key),
                                                                bytes, length});
}

/* Counts a message; the head is not saved. */
static int add_counted(struct sqlite_history *stored, const struct counted *counted)
{
    if (!packed_history_add(&stored->history, counted))
        return 1;
    uint64_t number = stored->history.tail_first / HISTORY_CHUNK;
    if (write_chunk(stored, number, stored->history.tail) < 0 ||
        (stored->history.subject == SUBJECT_MAILBOX && keep_ids(stored, number) < 0))
        return -1;
    packed_history_cut(&stored->history);
    return 1;
}

int sqlite_history_add(struct sqlite_history *stored, const struct counted *counted)
{
    return add_counted(stored, counted) < 0 ? -1 : sqlite_history_save(stored);
}

int sqlite_history_put(struct sqlite_history *stored, const struct counted *counted, size_t count,
                       int64_t newest_ms)
{
    for (size_t i = 0; i < count; i++)
        if (add_counted(stored, &counted[i]) < 0)
            return -1;
    if (stored->history.newest_ms < newest_ms)
        stored->history.newest_ms = newest_ms;
    return sqlite_history_advance(stored, newest_ms) < 0 ? -1 : sqlite_history_save(stored);
}

int sqlite_drop_history(struct sqlite_backend *backend, enum subject subject, const char *key)
{
    struct sqlite_history stored;
    if (sqlite_history_load(backend, subject, key, &stored) < 0)
        return -1;
    return stored.exists
               ? sqlite_history_drop(backend, stored.id, stored.history.tail_first > 0)
               : 1;
}

/* ---- finding a message -------------------------------------------------------------- */

/* A search for the newest entry that matches. */
struct wanted {
    bool (*matches)(const struct wanted *wanted, const struct counted *counted);
    uint32_t id_hash;
    struct entry entry;
    bool by_channel; /* several channels count there */
};

static bool id_matches(const struct wanted *wanted, const struct counted *counted)
{
    return counted->id_hash == wanted->id_hash && counted->entry.off_domain != REFUNDED;
}

static bool entry_matches(const struct wanted *wanted, const struct counted *counted)
{
    return counted->entry.time_ms == wanted->entry.time_ms &&
           counted->entry.off_domain == wanted->entry.off_domain &&
           (!wanted->by_channel || counted->entry.channel == wanted->entry.channel);
}

static bool find_among(const struct counted *counted, size_t count, const struct wanted *wanted,
                       size_t *at_r)
{
    for (size_t i = count; i-- > 0;)
        if (wanted->matches(wanted, &counted[i])) {
            *at_r = i;
            return true;
        }
    return false;
}

static int find_in_chunk(struct sqlite_history *stored, uint64_t number,
                         const struct wanted *wanted,
                         struct place *place_r)
{
    if (read_chunk(stored, number, place_r->chunk) < 0)
        return -1;
    place_r->chunk_number = number;
    return find_among(place_r->chunk, HISTORY_CHUNK, wanted, &place_r->at);
}

static bool find_in_tail(struct sqlite_history *stored, const struct wanted *wanted,
                         struct place *place_r)
{
    place_r->chunk_number = PLACE_IN_TAIL;
    return find_among(stored->history.tail, stored->history.tail_count, wanted, &place_r->at);
}

int sqlite_history_find_id(struct sqlite_history *stored, uint32_t id_hash, struct place *place_r)
{
    const struct wanted wanted = {.matches = id_matches, .id_hash = id_hash};
    uint64_t from, to;
    packed_history_chunks(&stored->history, &from, &to);
    if (find_in_tail(stored, &wanted, place_r))
        return 1;
    int found = 0;
    /* the entry found may be refunded, and an older one of the same id stand before it */
    while (found == 0 && from < to) {
        int there = find_chunk(stored, id_hash, to, &to);
        if (there < 1 || to < from)
            return there < 0 ? -1 : 0;
        found = find_in_chunk(stored, to, &wanted, place_r);
    }
    return found;
}

int sqlite_history_find_entry(struct sqlite_history *stored, const struct entry *entry,
                              struct place *place_r)
{
    const struct wanted wanted = {.matches = entry_matches, .entry = *entry,
                                  .by_channel = stored->history.subject == SUBJECT_DOMAIN};
    uint64_t from, to;
    packed_history_chunks(&stored->history, &from, &to);
    int found = find_in_tail(stored, &wanted, place_r);
    while (found == 0 && to-- > from)
        found = find_in_chunk(stored, to, &wanted, place_r);
    return found;
}

struct counted *sqlite_place_counted(struct sqlite_history *stored, struct place *place)
{
    return place->chunk_number == PLACE_IN_TAIL ? &stored->history.tail[place->at]
                                                : &place->chunk[place->at];
}

int sqlite_place_save(struct sqlite_history *stored, const struct place *place)
{
    if (place->chunk_number != PLACE_IN_TAIL &&
        write_chunk(stored, place->chunk_number, place->chunk) < 0)
        return -1;
    return sqlite_history_save(stored);
}

int sqlite_place_refund(struct sqlite_history *stored, struct place *place)
{
    bool in_tail = place->chunk_number == PLACE_IN_TAIL;
    packed_history_refund(&stored->history, in_tail ? stored->history.tail : place->chunk,
                          place->at,
                          in_tail ? stored->history.tail_first
                                     : place->chunk_number * HISTORY_CHUNK);
    return sqlite_place_save(stored, place);
}

/* ---- reading it whole ------------------------------------------------------------------ */

/* What left the longest window stays away, also when a clock that was wrong by days had taken the
 * window past it and its moment is mended now: totals and entries say the same. */
int sqlite_history_counted(struct sqlite_history *stored, struct arena *arena, int64_t at_ms,
                           struct counted **counted_r, size_t *count_r)
{
    const struct packed_history *packed = &stored->history;
    const struct span *longest = &packed->spans[packed->span_count - 1];
    struct counted chunk[HISTORY_CHUNK];
    uint64_t from, to;
    packed_history_chunks(packed, &from, &to);
    *counted_r = arena_alloc(arena, ((size_t)(to - from) * HISTORY_CHUNK + packed->tail_count) *
                                        sizeof (*counted_r)[0]);
    *count_r = 0;
    for (uint64_t number = from; number <= to; number++) {
        size_t count = number < to ? HISTORY_CHUNK : packed->tail_count;
        if (number < to && read_chunk(stored, number, chunk) < 0)
            return -1;
        const struct counted *counted = number < to ? chunk : packed->tail;
        for (size_t i = 0; i < count; i++)
            if (counted[i].entry.off_domain != REFUNDED &&
                number * HISTORY_CHUNK + i >= longest->first &&
                window_holds(counted[i].entry.time_ms, longest->length_ms, at_ms))
                (*counted_r)[(*count_r)++] = counted[i];
    }
    return 1;
}

static struct history entries_of(struct arena *arena, const struct counted *counted, size_t count)
{
    struct history history = {arena_alloc(arena, count * sizeof history.entries[0]), count};
    for (size_t i = 0; i < count; i++)
        history.entries[i] = counted[i].entry;
    return history;
}

int sqlite_history_entries(struct sqlite_history *stored, struct arena *arena, int64_t at_ms,
                           struct history *history_r)
{
    struct counted *counted;
    size_t count;
    if (sqlite_history_counted(stored, arena, at_ms, &counted, &count) < 0)
        return -1;
    *history_r = entries_of(arena, counted, count);
    return 1;
}

int sqlite_read_counted(struct sqlite_backend *backend, struct arena *arena, enum subject subject,
                        const char *key, int64_t at_ms, struct counted **counted_r,
                        size_t *count_r)
{
    struct sqlite_history stored;
    if (sqlite_history_load(backend, subject, key, &stored) < 0)
        return -1;
    int64_t ahead_ms;
    if (sqlite_history_mend(&stored, at_ms, false, &ahead_ms) < 0)
        return -1;
    if (at_ms < stored.history.newest_ms)
        at_ms = stored.history.newest_ms;
    if (sqlite_history_advance(&stored, at_ms) < 0)
        return -1;
    return sqlite_history_counted(&stored, arena, at_ms, counted_r, count_r);
}

int sqlite_read_history(struct sqlite_backend *backend, struct arena *arena, enum subject subject,
                        const char *key, int64_t at_ms, struct history *history_r)
{
    struct counted *counted;
    size_t count;
    if (sqlite_read_counted(backend, arena, subject, key, at_ms, &counted, &count) < 0)
        return -1;
    *history_r = entries_of(arena, counted, count);
    return 1;
}
