/* Versioned values in SQLite: a step is one transaction, which looks at all versions before it
 * writes. A value past its end counts as absent; each step looks at some rows behind those that the
 * last one looked at, and removes those that are past. */
#include <string.h>

#include "store/sqlite/sqlite.h"

/* The row, to be reset after reading: 1, 0 there is none, -1. */
static int get_row(struct sqlite_backend *backend, const struct value *value, int64_t now_ms,
                   sqlite3_stmt **row_r)
{
    *row_r = sqlite_take(backend, SQL_VALUE_GET);
    sqlite3_bind_int(*row_r, 1, (int)value->kind);
    sqlite_bind_string(*row_r, 2, value->key);
    sqlite3_bind_int64(*row_r, 3, now_ms);
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

static int drop_value(struct sqlite_backend *backend, enum value_kind kind, const char *key)
{
    sqlite3_stmt *drop = sqlite_take(backend, SQL_VALUE_DROP);
    sqlite3_bind_int(drop, 1, (int)kind);
    sqlite_bind_string(drop, 2, key);
    return sqlite_do(backend, drop);
}

static int put_value(struct sqlite_backend *backend, const struct value *value, uint32_t version)
{
    sqlite3_stmt *put = sqlite_take(backend, SQL_VALUE_PUT);
    sqlite3_bind_int(put, 1, (int)value->kind);
    sqlite_bind_string(put, 2, value->key);
    sqlite3_bind_int64(put, 3, version);
    sqlite3_bind_int64(put, 4, value->until_ms);
    sqlite3_bind_blob(put, 5, value->bytes, (int)value->length, SQLITE_STATIC);
    return sqlite_do(backend, put);
}

/* *version: before and after the change. */
static int change_value(struct sqlite_backend *backend, const struct value *value, int64_t now_ms,
                        uint32_t first, uint32_t *version)
{
    if (value->length == 0 || value->until_ms <= now_ms) {
        *version = 0;
        return drop_value(backend, value->kind, value->key);
    }
    *version = *version == 0 ? first : *version == VALUE_ANY - 1 ? 1 : *version + 1;
    return put_value(backend, value, *version);
}

/* ---- removing what is past ------------------------------------------------------------ */

/* The row behind which the next sweep goes on; kept in the table "hand". */
static int get_hand(struct sqlite_backend *backend, struct arena *arena, int *kind_r,
                    const char **key_r)
{
    sqlite3_stmt *get = sqlite_take(backend, SQL_VALUE_HAND_GET);
    int found = sqlite_row(backend, get);
    *kind_r = -1;
    *key_r = "";
    if (found > 0) {
        *kind_r = sqlite3_column_int(get, 0);
        *key_r = arena_strdup(arena, (const char *)sqlite3_column_text(get, 1));
        sqlite3_reset(get);
    }
    return found < 0 ? -1 : 1;
}

static int put_hand(struct sqlite_backend *backend, int kind, const char *key)
{
    sqlite3_stmt *put = sqlite_take(backend, SQL_VALUE_HAND_PUT);
    sqlite3_bind_int(put, 1, kind);
    sqlite_bind_string(put, 2, key);
    return sqlite_do(backend, put);
}

/* A row that was looked at. */
struct swept {
    int kind;
    const char *key;
    bool past;
};

/* Looks at the next `rows` values, round and round the table, and removes those that are past. */
static int sweep_values(struct sqlite_backend *backend, int64_t now_ms, size_t rows)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct swept *seen = arena_alloc(arena, rows * sizeof *seen);
    int kind, more;
    const char *key;
    size_t count = 0;
    if (get_hand(backend, arena, &kind, &key) < 0)
        return -1;
    sqlite3_stmt *next = sqlite_take(backend, SQL_VALUE_NEXT);
    sqlite3_bind_int(next, 1, kind);
    sqlite_bind_string(next, 2, key);
    sqlite3_bind_int64(next, 3, (sqlite3_int64)rows);
    while ((more = sqlite_row(backend, next)) > 0)
        seen[count++] = (struct swept){
            .kind = sqlite3_column_int(next, 0),
            .key = arena_strdup(arena, (const char *)sqlite3_column_text(next, 1)),
            /* a minute of grace: the clock of the next caller may be a little behind */
            .past = sqlite3_column_int64(next, 2) <= now_ms - MINUTE_MS,
        };
    for (size_t i = 0; i < count && more >= 0; i++)
        if (seen[i].past)
            more = drop_value(backend, (enum value_kind)seen[i].kind, seen[i].key) < 0 ? -1 : 0;
    bool at_end = count < rows;
    if (more < 0)
        return -1;
    return put_hand(backend, at_end ? -1 : seen[rows - 1].kind, at_end ? "" : seen[rows - 1].key);
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
        const struct value_refund *refund = &step->refunds[i];
        int refunded = sqlite_refund(backend, refund->mailbox, refund->id, step->now_ms);
        done_r->refunded[i] = refunded > 0;
        result = refunded < 0 ? -1 : 1;
    }
    return result > 0 ? sweep_values(backend, step->now_ms, 2 * added + SWEPT_ANYWAY) : result;
}

static int change(struct backend *backend, const struct values_step *step, uint32_t first,
                  struct values_done *done_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, take_step(self, step, first, done_r));
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
