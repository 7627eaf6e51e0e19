/* Pairs of a mailbox and a recipient: a row for each, by the history of the mailbox. A message that is
 * held against no window of recipients costs nothing here. */
#include <string.h>

#include "store/sqlite/sqlite_pair.h"

static sqlite3_stmt *of_pair(struct sqlite_backend *backend, enum sqlite_statement which,
                             int64_t history, uint64_t recipient)
{
    sqlite3_stmt *statement = sqlite_take(backend, which);
    sqlite3_bind_int64(statement, 1, history);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)recipient);
    return statement;
}

static int damaged(struct sqlite_backend *backend)
{
    return backend_fail(&backend->base, "%s: what is kept of a recipient is damaged",
                        backend->path);
}

/* backend->pair has what is kept of it as of now_ms, nothing when there is none: 1, 2 when something
 * that a wrong clock stamped was mended, -1. */
enum { MENDED = 2 };
static int load(struct sqlite_backend *backend, int64_t history, uint64_t recipient,
                int64_t now_ms)
{
    sqlite3_stmt *get = of_pair(backend, SQL_PAIR_GET, history, recipient);
    int found = sqlite_row(backend, get);
    text_clear(&backend->pair);
    if (found < 1)
        return found < 0 ? -1 : 1;
    size_t length = (size_t)sqlite3_column_bytes(get, 0);
    if (!packed_pair_is_whole(length)) {
        sqlite3_reset(get);
        return damaged(backend);
    }
    text_add_bytes(&backend->pair, sqlite3_column_blob(get, 0), length);
    sqlite3_reset(get);
    return packed_pair_mend((uint8_t *)backend->pair.data, length, now_ms) ? MENDED : 1;
}

/* Keeps what backend->pair has. 1 or -1. */
static int save(struct sqlite_backend *backend, int64_t history, uint64_t recipient)
{
    const struct text *pair = &backend->pair;
    if (pair->length == 0)
        return sqlite_do(backend, of_pair(backend, SQL_PAIR_DROP, history, recipient));
    sqlite3_stmt *put = of_pair(backend, SQL_PAIR_PUT, history, recipient);
    sqlite3_bind_int64(put, 3, packed_pair_entry((const uint8_t *)pair->data,
                                                 pair->length / PAIR_BYTES - 1).time_ms);
    sqlite3_bind_blob(put, 4, pair->data, (int)pair->length, SQLITE_STATIC);
    return sqlite_do(backend, put);
}

static const uint8_t *bytes_of(const struct text *pair)
{
    return (const uint8_t *)(pair->length > 0 ? pair->data : "");
}

int sqlite_pairs_look(struct sqlite_backend *backend, int64_t history,
                      const struct judge_request *request, struct judge_result *result,
                      struct pair_told *told_r)
{
    *told_r = (struct pair_told){0};
    result->over = NULL;
    result->over_count = 0;
    result->of_recipient = (struct history){0};
    if (packed_pair_window(result) == NULL)
        return 1;
    for (size_t i = 0; i < request->recipient_count; i++) {
        int loaded = load(backend, history, request->recipients[i], request->now_ms);
        if (loaded < 0 || (loaded == MENDED && !request->dry_run &&
                           save(backend, history, request->recipients[i]) < 0))
            return -1;
        packed_pair_look(request, result, i, bytes_of(&backend->pair), backend->pair.length,
                         told_r);
    }
    return 1;
}

int sqlite_pairs_count(struct sqlite_backend *backend, int64_t history,
                       const struct judge_request *request, const struct counted *counted)
{
    for (size_t i = 0; i < request->recipient_count; i++) {
        struct text *pair = &backend->pair;
        if (load(backend, history, request->recipients[i], request->now_ms) < 0)
            return -1;
        size_t before = pair->length;
        text_add_bytes(pair, (const char[PAIR_BYTES]){0}, PAIR_BYTES);
        pair->length = packed_pair_add((uint8_t *)pair->data, before, counted);
        if (save(backend, history, request->recipients[i]) < 0)
            return -1;
        backend->pairs_since_sweep += before == 0;
    }
    return 1;
}

int sqlite_pairs_told(struct sqlite_backend *backend, int64_t history,
                      const struct judge_request *request, struct judge_result *result,
                      const struct pair_told *told)
{
    if (packed_pair_window(result) == NULL || request->recipient_count == 0)
        return 1;
    if (load(backend, history, request->recipients[told->place], request->now_ms) < 0)
        return -1;
    result->of_recipient = packed_pair_history(request->arena, bytes_of(&backend->pair),
                                               backend->pair.length, result->at_ms);
    return 1;
}

/* ---- of a mailbox --------------------------------------------------------------------- */

int sqlite_pairs_find(struct sqlite_backend *backend, int64_t history,
                      const struct counted *counted, struct text *found, bool *damaged_r)
{
    uint8_t wanted[PAIR_BYTES];
    sqlite3_stmt *all = sqlite_take(backend, SQL_PAIR_OF);
    sqlite3_bind_int64(all, 1, history);
    packed_pair_put(counted, wanted);
    int more;
    while ((more = sqlite_row(backend, all)) > 0) {
        uint64_t recipient = (uint64_t)sqlite3_column_int64(all, 0);
        const void *bytes = sqlite3_column_blob(all, 1);
        size_t length = (size_t)sqlite3_column_bytes(all, 1);
        *damaged_r = !packed_pair_is_whole(length);
        if (*damaged_r) {
            sqlite3_reset(all);
            return damaged(backend);
        }
        if (memmem(bytes, length, wanted + PAIR_TIME_BYTES, PAIR_IDENTITY_BYTES) != NULL)
            text_add_bytes(found, (const char *)&recipient, sizeof recipient);
    }
    return more < 0 ? -1 : 1;
}

int sqlite_pairs_refund(struct sqlite_backend *backend, int64_t history,
                        const struct counted *counted, struct text *found)
{
    for (size_t at = 0; at < found->length; at += sizeof(uint64_t)) {
        uint64_t recipient;
        struct text *pair = &backend->pair;
        memcpy(&recipient, found->data + at, sizeof recipient);
        /* no message is mended: what a wrong clock stamped is, by the next message */
        if (load(backend, history, recipient, INT64_MAX / 2) < 0)
            return -1;
        pair->length = packed_pair_take_out((uint8_t *)pair->data, pair->length, counted);
        if (save(backend, history, recipient) < 0)
            return -1;
    }
    return 1;
}

int sqlite_pairs_drop(struct sqlite_backend *backend, int64_t history)
{
    sqlite3_stmt *drop = sqlite_take(backend, SQL_PAIR_DROP_OF);
    sqlite3_bind_int64(drop, 1, history);
    return sqlite_do(backend, drop);
}

int sqlite_pairs_fullest(struct sqlite_backend *backend, struct arena *arena, const char *mailbox,
                         int64_t now_ms, struct history *history_r)
{
    struct sqlite_history stored;
    struct pair_most most = {0};
    if (sqlite_history_load(backend, SUBJECT_MAILBOX, mailbox, &stored) < 0)
        return -1;
    sqlite3_stmt *all = sqlite_take(backend, SQL_PAIR_OF);
    sqlite3_bind_int64(all, 1, stored.id);
    struct text *pair = &backend->pair;
    int more;
    while ((more = sqlite_row(backend, all)) > 0) {
        size_t length = (size_t)sqlite3_column_bytes(all, 1);
        if (!packed_pair_is_whole(length))
            continue;
        text_clear(pair);
        text_add_bytes(pair, sqlite3_column_blob(all, 1), length);
        packed_pair_mend((uint8_t *)pair->data, length, now_ms);
        size_t past = packed_pair_past(bytes_of(pair), length, now_ms);
        packed_pair_most(arena, (uint64_t)sqlite3_column_int64(all, 0), bytes_of(pair) + past,
                         length - past, &most);
    }
    *history_r = most.history;
    return more < 0 ? -1 : 1;
}

/* ---- sweeping --------------------------------------------------------------------------- */

struct pair_place {
    int64_t history, recipient;
};

int sqlite_pairs_sweep(struct sqlite_backend *backend, int64_t past_ms, size_t rows)
{
    enum { PAST_MAX = 4096 };
    struct pair_place place, past[PAST_MAX];
    size_t seen = 0, count = 0;
    rows = rows < PAST_MAX ? rows : PAST_MAX;
    if (sqlite_get_hand(backend, HAND_PAIRS, &place.history) < 0 ||
        sqlite_get_hand(backend, HAND_PAIR_RECIPIENTS, &place.recipient) < 0)
        return -1;
    int64_t begin = place.history;
    sqlite3_stmt *next = sqlite_take(backend, SQL_PAIR_NEXT);
    sqlite3_bind_int64(next, 1, place.history);
    sqlite3_bind_int64(next, 2, place.recipient);
    sqlite3_bind_int64(next, 3, (sqlite3_int64)rows);
    int more;
    while ((more = sqlite_row(backend, next)) > 0) {
        place = (struct pair_place){sqlite3_column_int64(next, 0), sqlite3_column_int64(next, 1)};
        seen++;
        if (sqlite3_column_int64(next, 2) <= past_ms)
            past[count++] = place;
    }
    for (size_t i = 0; i < count && more >= 0; i++)
        more = sqlite_do(backend, of_pair(backend, SQL_PAIR_DROP, past[i].history,
                                          (uint64_t)past[i].recipient)) < 0 ? -1 : 0;
    if (more < 0)
        return -1;
    if (seen < rows && begin == -1) /* it began anew, and there is no more */
        return 0;
    if (sqlite_put_hand(backend, HAND_PAIRS, seen == rows ? place.history : -1) < 0 ||
        sqlite_put_hand(backend, HAND_PAIR_RECIPIENTS, seen == rows ? place.recipient : -1) < 0)
        return -1;
    return seen == rows;
}

/* ---- moving a store -------------------------------------------------------------------- */

int sqlite_pairs_put(struct sqlite_backend *backend, int64_t history, uint64_t recipient,
                     const uint8_t *bytes, size_t length)
{
    text_clear(&backend->pair);
    text_add_bytes(&backend->pair, (const char *)bytes, length);
    return save(backend, history, recipient);
}
