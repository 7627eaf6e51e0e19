/* Versioned values in SQLite: a step is one transaction, which looks at all versions before it
 * writes. A value past its end counts as absent; each step looks at some rows behind those that the
 * last one looked at, and removes those that are past. */
#include <stdio.h>
#include <time.h>

#include "store/sqlite/sqlite.h"

/* The row of a value. Two values may have the same hash, with a million of them in one of 18 million
 * databases: the second one cannot be put then. */
static int64_t row_of(const struct sqlite_backend *backend, const struct value *value)
{
    char name[2 + VALUE_KEY_MAX];
    int length = snprintf(name, sizeof name, "%c%s", '0' + (int)value->kind, value->key);
    return identity_hash(backend->hash_key, name, (size_t)length);
}

/* The row, to be reset after reading: 1, 0 there is none, -1. */
static int get_row(struct sqlite_backend *backend, const struct value *value, int64_t now_ms,
                   sqlite3_stmt **row_r)
{
    *row_r = sqlite_take(backend, SQL_VALUE_GET);
    sqlite3_bind_int64(*row_r, 1, row_of(backend, value));
    sqlite3_bind_int(*row_r, 2, (int)value->kind);
    sqlite_bind_string(*row_r, 3, value->key);
    sqlite3_bind_int64(*row_r, 4, now_ms);
    return sqlite_row(backend, *row_r);
}

/* All but kind and key. */
static void read_row(sqlite3_stmt *row, struct arena *arena, struct value *value_r)
{
    value_r->version = (uint32_t)sqlite3_column_int64(row, 1);
    value_r->until_ms = sqlite3_column_int64(row, 2);
    const char *bytes = sqlite3_column_blob(row, 3);
    value_r->length = (size_t)sqlite3_column_bytes(row, 3);
    value_r->bytes = arena_strndup(arena, bytes, value_r->length);
}

/* ---- changing ------------------------------------------------------------------------ */

/* Whether each value has the version that its change replaces: 1 with the versions, 0, -1. */
static int check_versions(struct sqlite_backend *backend, const struct values_step *step,
                          struct values_done *done_r)
{
    for (size_t i = 0; i < step->count; i++) {
        const struct value_change *change = &step->changes[i];
        sqlite3_stmt *row;
        int found = get_row(backend, &change->value, step->now_ms, &row);
        if (found < 0)
            return -1;
        done_r->versions[i] = found > 0 ? (uint32_t)sqlite3_column_int64(row, 1) : 0;
        sqlite3_reset(row);
        if (change->replaces != VALUE_ANY && change->replaces != done_r->versions[i]) {
            done_r->refused = i;
            return 0;
        }
    }
    return 1;
}

static int drop_value(struct sqlite_backend *backend, const struct value *value)
{
    sqlite3_stmt *drop = sqlite_take(backend, SQL_VALUE_DROP);
    sqlite3_bind_int64(drop, 1, row_of(backend, value));
    return sqlite_do(backend, drop);
}

int sqlite_values_put(struct sqlite_backend *backend, const struct value *value)
{
    sqlite3_stmt *put = sqlite_take(backend, SQL_VALUE_PUT);
    sqlite3_bind_int64(put, 1, row_of(backend, value));
    sqlite3_bind_int(put, 2, (int)value->kind);
    sqlite_bind_string(put, 3, value->key);
    sqlite3_bind_int64(put, 4, value->version);
    sqlite3_bind_int64(put, 5, value->until_ms);
    sqlite3_bind_blob(put, 6, value->bytes, (int)value->length, SQLITE_STATIC);
    if (sqlite_do(backend, put) < 0)
        return -1;
    return sqlite3_changes(backend->db) == 1
               ? 1
               : backend_fail(&backend->base, "%s: another value has the hash of %s %.150s",
                              backend->path, value_kind_names[value->kind], value->key);
}

/* *version: before and after the change. One that is past counts as absent, and stays for the
 * sweep. */
static int change_value(struct sqlite_backend *backend, const struct value *to, int64_t now_ms,
                        uint32_t first, uint32_t *version)
{
    struct value value = *to;
    bool was_there = *version != 0;
    if (to->length == 0 || to->until_ms <= now_ms) {
        *version = 0;
        return was_there ? drop_value(backend, to) : 1;
    }
    value.version = *version = backend_next_version(*version, first);
    return sqlite_values_put(backend, &value);
}

/* ---- removing what is past ------------------------------------------------------------ */

int sqlite_values_sweep(struct sqlite_backend *backend, int64_t after, int64_t last,
                        int64_t past_ms)
{
    sqlite3_stmt *sweep = sqlite_take(backend, SQL_VALUE_SWEEP);
    sqlite3_bind_int64(sweep, 1, after);
    sqlite3_bind_int64(sweep, 2, last);
    sqlite3_bind_int64(sweep, 3, past_ms);
    return sqlite_do(backend, sweep);
}

/* Looks at the next `rows` values, round and round the table, and removes those that are past. */
static int sweep_some(struct sqlite_backend *backend, int64_t now_ms, size_t rows)
{
    int64_t position;
    if (sqlite_get_hand(backend, HAND_VALUES, &position) < 0)
        return -1;
    sqlite3_stmt *next = sqlite_take(backend, SQL_VALUE_NEXT);
    sqlite3_bind_int64(next, 1, position);
    sqlite3_bind_int64(next, 2, (sqlite3_int64)rows);
    if (sqlite_row(backend, next) < 1)
        return -1;
    bool at_end = (size_t)sqlite3_column_int64(next, 0) < rows;
    int64_t last = at_end ? INT64_MAX : sqlite3_column_int64(next, 1);
    sqlite3_reset(next);
    /* a minute of grace: the clock of the next caller may be a little behind */
    if (sqlite_values_sweep(backend, position, last, now_ms - MINUTE_MS) < 0)
        return -1;
    return sqlite_put_hand(backend, HAND_VALUES, at_end ? -1 : last);
}

/* ---- the operations -------------------------------------------------------------------- */

/* More than the step adds, so that what is past stays a part of the table, and some anyway. */
enum { SWEPT_ANYWAY = 16 };

static int take_step(struct sqlite_backend *backend, const struct values_step *step,
                     uint32_t first, struct values_done *done_r)
{
    size_t added = 0;
    int result = check_versions(backend, step, done_r);
    for (size_t i = 0; i < step->count && result > 0; i++) {
        added += done_r->versions[i] == 0;
        result = change_value(backend, &step->changes[i].value, step->now_ms, first,
                              &done_r->versions[i]);
    }
    for (size_t i = 0; i < step->refund_count && result > 0; i++) {
        bool damaged;
        int refunded = sqlite_refund(backend, &step->refunds[i], step->now_ms, &damaged);
        done_r->refunded[i] = (int8_t)refunded;
        result = refunded < 0 && !damaged ? -1 : 1;
    }
    return result > 0 ? sweep_some(backend, step->now_ms, 2 * added + SWEPT_ANYWAY) : result;
}

/* Who waits for the lock looks every half millisecond. Steps one after the other would leave it free
 * for a tenth of that, and a message would wait for many of them. So the next one begins as much
 * later as the last one took: messages have half of the time, and wait for one step. */
enum { STEPS_APART_LEAST_US = 2000, STEPS_APART_MOST_US = 20000 };

static void let_others_begin(const struct sqlite_backend *backend)
{
    int64_t left_us = backend->next_step_us - clock_monotonic_us();
    if (left_us > 0)
        nanosleep(&(struct timespec){.tv_nsec = left_us * 1000}, NULL);
}

static void end_step(struct sqlite_backend *backend, int64_t began_us)
{
    int64_t now_us = clock_monotonic_us(), apart_us = now_us - began_us;
    if (apart_us < STEPS_APART_LEAST_US)
        apart_us = STEPS_APART_LEAST_US;
    if (apart_us > STEPS_APART_MOST_US)
        apart_us = STEPS_APART_MOST_US;
    backend->next_step_us = now_us + apart_us;
}

static int change(struct backend *backend, const struct values_step *step, uint32_t first,
                  struct values_done *done_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    let_others_begin(self);
    if (sqlite_begin(self, true) < 0)
        return -1;
    int64_t began_us = clock_monotonic_us();
    int result = sqlite_end(self, take_step(self, step, first, done_r));
    end_step(self, began_us);
    return result;
}

static int read_value(struct sqlite_backend *backend, struct arena *arena, int64_t now_ms,
                      struct value *value)
{
    sqlite3_stmt *row;
    int found = get_row(backend, value, now_ms, &row);
    *value = (struct value){.kind = value->kind, .key = value->key};
    if (found > 0) {
        read_row(row, arena, value);
        sqlite3_reset(row);
    }
    return found < 0 ? -1 : 1;
}

static int get(struct backend *backend, struct arena *arena, struct value *values, size_t count,
               int64_t now_ms)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, false) < 0)
        return -1;
    int result = 1;
    for (size_t i = 0; i < count && result > 0; i++)
        result = read_value(self, arena, now_ms, &values[i]);
    return sqlite_end(self, result);
}

static int list(struct backend *backend, struct arena *arena, enum value_kind kind,
                const char *after, int64_t now_ms, struct value *values_r,
                struct store_page *page)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, false) < 0)
        return -1;
    sqlite3_stmt *rows = sqlite_take(self, SQL_VALUE_LIST);
    sqlite3_bind_int(rows, 1, (int)kind);
    sqlite_bind_string(rows, 2, after);
    sqlite3_bind_int64(rows, 3, now_ms);
    sqlite3_bind_int64(rows, 4, (sqlite3_int64)page->max + 1);
    page->count = 0;
    int row;
    while ((row = sqlite_page_row(self, rows, page)) > 0) {
        struct value *value = &values_r[page->count++];
        value->kind = kind;
        value->key = arena_strdup(arena, (const char *)sqlite3_column_text(rows, 0));
        read_row(rows, arena, value);
    }
    return sqlite_end(self, row < 0 ? -1 : 1);
}

const struct value_operations sqlite_values = {
    .change = change,
    .get = get,
    .list = list,
};
