/* Removing what ended: some of it with every so many messages, so that the work stays in proportion
 * to theirs. */
#include <string.h>

#include "store/lifetimes.h"
#include "store/sqlite/sqlite_pair.h"

struct past {
    int64_t id;
    bool has_chunks;
};

/* Whether the history of a row is past: 1, 0, -1. */
static int history_is_past(struct sqlite_backend *backend, sqlite3_stmt *row, int64_t now_ms,
                           struct past *past_r)
{
    struct packed_history history;
    struct head head = {(const char *)sqlite3_column_text(row, 1),
                        (size_t)sqlite3_column_bytes(row, 1), sqlite3_column_blob(row, 2),
                        (size_t)sqlite3_column_bytes(row, 2)};
    past_r->id = sqlite3_column_int64(row, 0);
    int there = sqlite_heads_over(backend, past_r->id, &head);
    if (there < 1)
        return there;
    enum subject subject = history_subject(head.key, head.key_length);
    /* a minute of grace: the clock of the next caller may be a little behind */
    if (!packed_history_is_past(subject, head.data, head.length, now_ms - MINUTE_MS))
        return 0;
    past_r->has_chunks = !packed_history_decode(&history, subject, head.data, head.length) ||
                         history.tail_first > 0;
    return 1;
}

int sqlite_get_hand(struct sqlite_backend *backend, enum sqlite_hand hand, int64_t *position_r)
{
    sqlite3_stmt *get = sqlite_take(backend, SQL_HAND_GET);
    sqlite3_bind_int(get, 1, (int)hand);
    int found = sqlite_row(backend, get);
    *position_r = -1;
    if (found > 0) {
        *position_r = sqlite3_column_int64(get, 0);
        sqlite3_reset(get);
    }
    return found < 0 ? -1 : 1;
}

int sqlite_put_hand(struct sqlite_backend *backend, enum sqlite_hand hand, int64_t position)
{
    sqlite3_stmt *put = sqlite_take(backend, SQL_HAND_PUT);
    sqlite3_bind_int(put, 1, (int)hand);
    sqlite3_bind_int64(put, 2, position);
    return sqlite_do(backend, put);
}

enum { SWEEP_MAX_ROWS = 1024 };

/* Looks at the next `rows` histories, round and round the table, and removes those that have left
 * every window, and tickets that ended. 1, 0 at the table's end, -1. */
static int sweep_histories(struct sqlite_backend *backend, int64_t now_ms, size_t rows)
{
    struct past past[SWEEP_MAX_ROWS];
    int64_t position, begin;
    size_t seen = 0, past_count = 0;
    int more = sqlite_get_hand(backend, HAND_HISTORIES, &position);
    if (more < 0)
        return -1;
    begin = position;
    sqlite3_stmt *next = sqlite_take(backend, SQL_HEAD_NEXT);
    sqlite3_bind_int64(next, 1, position);
    sqlite3_bind_int64(next, 2, (sqlite3_int64)rows);
    while ((more = sqlite_row(backend, next)) > 0) {
        position = sqlite3_column_int64(next, 0);
        seen++;
        int is_past = history_is_past(backend, next, now_ms, &past[past_count]);
        if (is_past < 0)
            return -1;
        past_count += (size_t)is_past;
    }
    for (size_t i = 0; i < past_count && more >= 0; i++)
        more = sqlite_history_drop(backend, past[i].id, past[i].has_chunks) < 0 ? -1 : 0;
    if (more < 0 || sqlite_put_hand(backend, HAND_HISTORIES, seen == rows ? position : -1) < 0 ||
        sqlite_sweep_tickets(backend, begin, seen == rows ? position : INT64_MAX,
                             now_ms - MINUTE_MS) < 0)
        return -1;
    return seen == rows;
}

static int sweep_records(struct sqlite_backend *backend, int64_t now_ms, int64_t rows)
{
    static const enum sqlite_statement sweeps[] = {SQL_ADMITTED_SWEEP, SQL_REFUSED_SWEEP,
                                                   SQL_OLDER_ADMITTED_SWEEP,
                                                   SQL_OLDER_REFUSED_SWEEP};
    for (size_t i = 0; i < countof(sweeps); i++)
        if (sqlite_remove_past(backend, sweeps[i], now_ms, rows) < 0)
            return -1;
    return 1;
}

static int sweep_small(struct sqlite_backend *backend, enum sqlite_statement sweep, int64_t now_ms,
                       int64_t keep_ms)
{
    sqlite3_stmt *statement = sqlite_take(backend, sweep);
    sqlite3_bind_int64(statement, 1, now_ms);
    sqlite3_bind_int64(statement, 2, keep_ms);
    return sqlite_do(backend, statement);
}

int sqlite_sweep_some(struct sqlite_backend *backend, int64_t now_ms, size_t records,
                      size_t histories)
{
    return sweep_histories(backend, now_ms,
                           histories < SWEEP_MAX_ROWS ? histories : SWEEP_MAX_ROWS) < 0
               ? -1
               : sweep_records(backend, now_ms, (int64_t)records);
}

static int sweep_all(struct sqlite_backend *backend, int64_t now_ms)
{
    if (sqlite_heads_write_all(backend) < 0)
        return -1;
    /* to the end of the table from where the last one stopped, then once round */
    for (int ends = 0, more; ends < 2; ends += more == 0)
        if ((more = sweep_histories(backend, now_ms, SWEEP_MAX_ROWS)) < 0)
            return -1;
    for (int ends = 0, more; ends < 2; ends += more == 0)
        if ((more = sqlite_pairs_sweep(backend, now_ms - PAIR_WINDOW_MS - MINUTE_MS,
                                       SWEEP_MAX_ROWS)) < 0)
            return -1;
    if (sweep_records(backend, now_ms, -1) < 0 ||
        sweep_small(backend, SQL_SUSPENSION_SWEEP, now_ms, OFFENCES_REMEMBERED_MS) < 0 ||
        sweep_small(backend, SQL_ADJUSTMENT_SWEEP, now_ms, CHANGE_TOLD_MS) < 0 ||
        sqlite_remove_past(backend, SQL_KEPT_SWEEP, now_ms, INT64_MAX) < 0 ||
        sqlite_values_sweep(backend, -1, INT64_MAX, now_ms) < 0 ||
        sqlite_remove_past(backend, SQL_SENDER_SWEEP, now_ms - SEEN_KEPT_MS, INT64_MAX) < 0 ||
        sqlite_remove_past(backend, SQL_NEAR_SWEEP, now_ms - rule_longest_of_all_ms(), INT64_MAX) < 0)
        return -1;
    return sqlite_heads_write_all(backend);
}

int sqlite_sweep_all(struct backend *backend, int64_t now_ms)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, sweep_all(self, now_ms));
}
