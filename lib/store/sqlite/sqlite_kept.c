/* What programs keep in SQLite, and tries within a span of time. A text past its end counts as
 * absent; the next ones that are kept sweep it away. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite/sqlite.h"

enum { SWEPT_WITH_EACH = 8 };

static int check_kept(struct sqlite_backend *backend, const char *key, const char *value)
{
    size_t length = strlen(key);
    if (length == 0 || length > KEPT_KEY_MAX)
        return backend_fail(&backend->base, "a key to keep has %zu bytes; expected 1 to %d", length,
                            KEPT_KEY_MAX);
    length = strlen(value);
    if (length > KEPT_VALUE_MAX)
        return backend_fail(&backend->base, "a value to keep has %zu bytes; expected at most %d",
                            length,
                            KEPT_VALUE_MAX);
    return 1;
}

/* 1, or 0 when `only_new` and the key is taken. */
static int put_kept(struct sqlite_backend *backend, enum kept_kind kind, const struct kept *kept,
                    bool only_new, int64_t now_ms)
{
    if (sqlite_remove_past(backend, SQL_KEPT_SWEEP, now_ms, SWEPT_WITH_EACH) < 0)
        return -1;
    sqlite3_stmt *put = sqlite_take(backend, SQL_KEPT_PUT);
    sqlite_bind_string(put, 1, kept_kind_names[kind]);
    sqlite_bind_string(put, 2, kept->key);
    sqlite_bind_string(put, 3, kept->value);
    sqlite3_bind_int64(put, 4, kept->until_ms);
    sqlite3_bind_int(put, 5, only_new);
    sqlite3_bind_int64(put, 6, now_ms);
    if (sqlite_do(backend, put) < 0)
        return -1;
    return sqlite3_changes(backend->db) > 0;
}

/* The row, to be reset after reading. */
static int get_kept(struct sqlite_backend *backend, enum kept_kind kind, const char *key,
                    int64_t now_ms, sqlite3_stmt **row_r)
{
    *row_r = sqlite_take(backend, SQL_KEPT_GET);
    sqlite_bind_string(*row_r, 1, kept_kind_names[kind]);
    sqlite_bind_string(*row_r, 2, key);
    sqlite3_bind_int64(*row_r, 3, now_ms);
    return sqlite_row(backend, *row_r);
}

static void read_kept(sqlite3_stmt *row, struct arena *arena, struct kept *kept_r)
{
    *kept_r = (struct kept){
        .key = arena_strdup(arena, (const char *)sqlite3_column_text(row, 0)),
        .value = arena_strdup(arena, (const char *)sqlite3_column_text(row, 1)),
        .until_ms = sqlite3_column_int64(row, 2),
    };
}

static int is_kept(struct sqlite_backend *backend, enum kept_kind kind, const char *key,
                   const char *value, int64_t now_ms)
{
    sqlite3_stmt *row;
    int found = get_kept(backend, kind, key, now_ms, &row);
    if (found < 1)
        return found;
    bool same = strcmp((const char *)sqlite3_column_text(row, 1), value) == 0;
    sqlite3_reset(row);
    return same;
}

static int keep(struct backend *backend, enum kept_kind kind, const struct kept *kept,
                enum keep_where where, const char *before, int64_t now_ms,
                const struct audited *audited)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (check_kept(self, kept->key, kept->value) < 0 ||
        sqlite_check_audited(self, audited) < 0 || sqlite_begin(self, true) < 0)
        return -1;
    int result = where == KEEP_OVER ? is_kept(self, kind, kept->key, before, now_ms) : 1;
    if (result > 0)
        result = put_kept(self, kind, kept, where == KEEP_NEW, now_ms);
    if (result > 0 && audited != NULL)
        result = sqlite_put_audit(self, audited);
    return sqlite_end(self, result);
}

static int read(struct backend *backend, struct arena *arena, enum kept_kind kind, const char *key,
                int64_t now_ms, struct kept *kept_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    sqlite3_stmt *row;
    if (sqlite_begin(self, false) < 0)
        return -1;
    int found = get_kept(self, kind, key, now_ms, &row);
    if (found > 0) {
        read_kept(row, arena, kept_r);
        sqlite3_reset(row);
    }
    return sqlite_end(self, found);
}

static int forget(struct backend *backend, enum kept_kind kind, const char *key, int64_t now_ms,
                  const struct audited *audited)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_check_audited(self, audited) < 0 || sqlite_begin(self, true) < 0)
        return -1;
    sqlite3_stmt *drop = sqlite_take(self, SQL_KEPT_DROP);
    sqlite_bind_string(drop, 1, kept_kind_names[kind]);
    sqlite_bind_string(drop, 2, key);
    sqlite3_bind_int64(drop, 3, now_ms);
    int result = sqlite_do(self, drop);
    if (result > 0)
        result = sqlite3_changes(self->db) > 0;
    if (result > 0 && audited != NULL)
        result = sqlite_put_audit(self, audited);
    return sqlite_end(self, result);
}

static int list(struct backend *backend, struct arena *arena, enum kept_kind kind,
                const char *after, int64_t now_ms, struct kept *kept_r,
                struct store_page *page)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, false) < 0)
        return -1;
    sqlite3_stmt *list = sqlite_take(self, SQL_KEPT_LIST);
    sqlite_bind_string(list, 1, kept_kind_names[kind]);
    sqlite_bind_string(list, 2, after);
    sqlite3_bind_int64(list, 3, now_ms);
    sqlite3_bind_int64(list, 4, (sqlite3_int64)page->max + 1);
    page->count = 0;
    int row;
    while ((row = sqlite_page_row(self, list, page)) > 0)
        read_kept(list, arena, &kept_r[page->count++]);
    return sqlite_end(self, row < 0 ? -1 : 1);
}

/* ---- tries -------------------------------------------------------------------------- */

/* Moments of tries, the oldest first; as text, with a space between two. */
struct tries {
    int64_t at_ms[TRIES_MAX];
    size_t count;
};

/* Those of `text` within the span that ends at now_ms, but for those that a wrong clock stamped.
 * More than TRIES_MAX are never kept. */
static void tries_parse(const char *text, int64_t now_ms, int64_t span_ms, struct tries *tries_r)
{
    tries_r->count = 0;
    for (char *end; tries_r->count < TRIES_MAX; text = end) {
        int64_t at_ms = strtoll(text, &end, 10);
        if (end == text)
            return;
        if (window_holds(at_ms, span_ms, now_ms) && at_ms <= now_ms + CLOCK_AHEAD_MS)
            tries_r->at_ms[tries_r->count++] = at_ms;
    }
}

static int get_tries(struct sqlite_backend *backend, const char *key, int64_t now_ms,
                     int64_t span_ms,
                     struct tries *tries_r)
{
    sqlite3_stmt *row;
    int found = get_kept(backend, KEPT_TRIES, key, now_ms, &row);
    tries_r->count = 0;
    if (found > 0) {
        tries_parse((const char *)sqlite3_column_text(row, 1), now_ms, span_ms, tries_r);
        sqlite3_reset(row);
    }
    return found < 0 ? -1 : 1;
}

/* Tries never run backwards, as histories do not. */
static int put_try(struct sqlite_backend *backend, const char *key, int64_t now_ms, int64_t span_ms,
                   struct tries *tries)
{
    freed_by(text_free) struct text value = {0};
    int64_t newest_ms = tries->count > 0 ? tries->at_ms[tries->count - 1] : now_ms;
    int64_t at_ms = newest_ms > now_ms ? newest_ms : now_ms;
    tries->at_ms[tries->count++] = at_ms;
    for (size_t i = 0; i < tries->count; i++)
        text_addf(&value, i > 0 ? " %" PRId64 : "%" PRId64, tries->at_ms[i]);
    return put_kept(backend, KEPT_TRIES,
                    &(struct kept){.key = key, .value = text_string(&value),
                                   .until_ms = at_ms + span_ms},
                    false, now_ms);
}

static int try_once(struct backend *backend, const char *key, int64_t now_ms, int64_t span_ms,
                    uint32_t max, uint32_t *count_r, int64_t *free_at_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    struct tries tries;
    if (max < 1 || max > TRIES_MAX)
        return backend_fail(backend, "%u tries at most; expected 1 to %d", max, TRIES_MAX);
    if (check_kept(self, key, "") < 0 || sqlite_begin(self, true) < 0)
        return -1;
    int result = get_tries(self, key, now_ms, span_ms, &tries);
    bool has_room = result > 0 && tries.count < max;
    if (has_room)
        result = put_try(self, key, now_ms, span_ms, &tries);
    result = sqlite_end(self, result);
    if (result < 0)
        return -1;
    *count_r = (uint32_t)tries.count;
    if (!has_room) /* so many have to leave before one fits */
        *free_at_r = tries.at_ms[tries.count - max] + span_ms;
    return has_room;
}

const struct kept_operations sqlite_kept = {
    .keep = keep,
    .read = read,
    .forget = forget,
    .list = list,
    .try_once = try_once,
};
