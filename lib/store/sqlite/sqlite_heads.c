#include "store/sqlite/sqlite_heads.h"

#include <stdlib.h>
#include <string.h>

#include "base/packed.h"
#include "base/text.h"
#include "store/sqlite/sqlite.h"

enum {
    BUCKETS = 8192, /* a power of two; about as many heads as HEADS_LOG_BYTES holds */
    ID_BYTES = 8,
    LENGTH_BYTES = 2,
    FRONT_BYTES = ID_BYTES + 2 * LENGTH_BYTES,
    /* When another process writes none back, which appends little: */
    LOG_BYTES_OF_ALL = 4 * HEADS_LOG_BYTES,
};

/* A head of the log. */
struct logged {
    struct logged *next; /* of its bucket */
    int64_t id;
    int64_t row; /* of the log: where it stands last */
    uint16_t key_length, length;
    uint8_t bytes[]; /* key, data */
};

struct sqlite_heads {
    struct logged *buckets[BUCKETS];
    size_t count;
    bool fresh;      /* no other process wrote since it was looked up in this transaction */
    bool changed;    /* by this transaction, which is not committed */
    int64_t version; /* of the database, by SQLite */
    int64_t first, last;   /* rows of the log; up to the former all is in `history_head` */
    size_t bytes, own_bytes; /* of the log behind the former, and what this process appended */
    struct text appended;    /* by this transaction */
    struct text scratch;
    /* Writing back: the heads that were in the log up to row `until`, by id. */
    int64_t *to_write, until;
    size_t to_write_count, written;
};

/* ---- the log in memory ----------------------------------------------------------- */

enum { VERSION_UNKNOWN = -1 };

struct sqlite_heads *sqlite_heads_new(void)
{
    struct sqlite_heads *heads = xcalloc(1, sizeof *heads);
    heads->version = VERSION_UNKNOWN;
    return heads;
}

void sqlite_heads_free(struct sqlite_heads **heads)
{
    sqlite_heads_forget(*heads);
    text_free(&(*heads)->appended);
    text_free(&(*heads)->scratch);
    free(*heads);
    *heads = NULL;
}

/* Where the head of that id is linked, or would be; ids are hashes. */
static struct logged **find(struct sqlite_heads *heads, int64_t id)
{
    struct logged **at = &heads->buckets[(uint64_t)id >> 1 & (BUCKETS - 1)];
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static void drop(struct sqlite_heads *heads, struct logged **at)
{
    struct logged *gone = *at;
    *at = gone->next;
    free(gone);
    heads->count--;
}

/* Those that stand last in a row of up to `row`. */
static void drop_up_to(struct sqlite_heads *heads, int64_t row)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct logged **at = &heads->buckets[i]; *at != NULL;)
            if ((*at)->row <= row)
                drop(heads, at);
            else
                at = &(*at)->next;
}

static void keep(struct sqlite_heads *heads, int64_t id, int64_t row, const struct head *head)
{
    struct logged **at = find(heads, id), *old = *at;
    size_t bytes = head->key_length + head->length;
    struct logged *next = old != NULL ? old->next : NULL;
    heads->count += old == NULL;
    *at = xrealloc(old, sizeof **at + bytes);
    **at = (struct logged){next, id, row, (uint16_t)head->key_length, (uint16_t)head->length};
    memcpy((*at)->bytes, head->key, head->key_length);
    memcpy((*at)->bytes + head->key_length, head->data, head->length);
}

static struct head head_of(const struct logged *logged)
{
    return (struct head){(const char *)logged->bytes, logged->key_length,
                         logged->bytes + logged->key_length, logged->length};
}

static void write_none_back(struct sqlite_heads *heads)
{
    free(heads->to_write);
    heads->to_write = NULL;
    heads->to_write_count = heads->written = 0;
}

void sqlite_heads_forget(struct sqlite_heads *heads)
{
    drop_up_to(heads, INT64_MAX);
    write_none_back(heads);
    text_clear(&heads->appended);
    heads->fresh = heads->changed = false;
    heads->version = VERSION_UNKNOWN;
    heads->first = heads->last = 0;
    heads->bytes = heads->own_bytes = 0;
}

void sqlite_heads_begin(struct sqlite_heads *heads) { heads->fresh = heads->changed = false; }

void sqlite_heads_roll_back(struct sqlite_heads *heads)
{
    if (heads->changed)
        sqlite_heads_forget(heads);
}

/* ---- what others appended ---------------------------------------------------------- */

/* The next head of a row of the log: false when it is damaged. */
static bool read_head(const uint8_t **at, const uint8_t *end, int64_t *id_r, struct head *head_r)
{
    if (end - *at < FRONT_BYTES)
        return false;
    *id_r = (int64_t)packed_get(at, ID_BYTES);
    head_r->key_length = packed_get(at, LENGTH_BYTES);
    head_r->length = packed_get(at, LENGTH_BYTES);
    if ((size_t)(end - *at) < head_r->key_length + head_r->length)
        return false;
    head_r->key = (const char *)*at;
    head_r->data = *at + head_r->key_length;
    *at += head_r->key_length + head_r->length;
    return true;
}

static int read_row(struct sqlite_backend *backend, int64_t row, const uint8_t *at, size_t length)
{
    struct sqlite_heads *heads = backend->heads;
    const uint8_t *end = at + length;
    struct head head;
    int64_t id;
    while (at < end) {
        if (!read_head(&at, end, &id, &head))
            return backend_fail(&backend->base, "%s: head_log %lld is damaged", backend->path,
                                (long long)row);
        keep(heads, id, row, &head);
    }
    heads->bytes += length;
    heads->last = row;
    return 1;
}

/* A number that a statement without parameters yields. */
static int read_number(struct sqlite_backend *backend, enum sqlite_statement which,
                       int64_t *number_r)
{
    sqlite3_stmt *get = sqlite_take(backend, which);
    int found = sqlite_row(backend, get);
    if (found < 1)
        return -1;
    *number_r = sqlite3_column_int64(get, 0);
    sqlite3_reset(get);
    return 1;
}

/* Another process has written back. */
static void begin_at(struct sqlite_heads *heads, int64_t first)
{
    drop_up_to(heads, first);
    write_none_back(heads);
    heads->first = first;
    heads->last = heads->last > first ? heads->last : first;
    heads->bytes = heads->own_bytes = 0; /* of what stays little is left */
}

static int read_log(struct sqlite_backend *backend)
{
    struct sqlite_heads *heads = backend->heads;
    int64_t first;
    if (read_number(backend, SQL_HEAD_LOG_FIRST, &first) < 0)
        return -1;
    if (first != heads->first)
        begin_at(heads, first);
    sqlite3_stmt *rows = sqlite_take(backend, SQL_HEAD_LOG_AFTER);
    sqlite3_bind_int64(rows, 1, heads->last);
    int more;
    while ((more = sqlite_row(backend, rows)) > 0)
        if (read_row(backend, sqlite3_column_int64(rows, 0), sqlite3_column_blob(rows, 1),
                     (size_t)sqlite3_column_bytes(rows, 1)) < 0) {
            sqlite3_reset(rows);
            return -1;
        }
    return more;
}

/* SQLite's number of the database changes when another connection has committed. */
static int look(struct sqlite_backend *backend)
{
    struct sqlite_heads *heads = backend->heads;
    int64_t version;
    if (heads->fresh)
        return 1;
    if (read_number(backend, SQL_DATA_VERSION, &version) < 0)
        return -1;
    if (version != heads->version) {
        heads->changed = true; /* until all is read */
        if (read_log(backend) < 0)
            return -1;
        heads->changed = false;
        heads->version = version;
    }
    heads->fresh = true;
    return 1;
}

/* ---- reading and changing ----------------------------------------------------------- */

int sqlite_heads_over(struct sqlite_backend *backend, int64_t id, struct head *head)
{
    if (look(backend) < 0)
        return -1;
    const struct logged *logged = *find(backend->heads, id);
    if (logged != NULL)
        *head = head_of(logged);
    return head->length > 0;
}

/* A statement left open would keep the connection at an old state of the file. */
static struct head copy_row(struct sqlite_heads *heads, sqlite3_stmt *row)
{
    struct text *scratch = &heads->scratch;
    size_t key_length = (size_t)sqlite3_column_bytes(row, 0);
    size_t length = (size_t)sqlite3_column_bytes(row, 1);
    text_clear(scratch);
    text_add_bytes(scratch, (const char *)sqlite3_column_blob(row, 0), key_length);
    text_add_bytes(scratch, (const char *)sqlite3_column_blob(row, 1), length);
    return (struct head){scratch->data, key_length, (const uint8_t *)scratch->data + key_length,
                         length};
}

int sqlite_heads_get(struct sqlite_backend *backend, int64_t id, struct head *head_r)
{
    if (look(backend) < 0)
        return -1;
    const struct logged *logged = *find(backend->heads, id);
    if (logged != NULL) {
        *head_r = head_of(logged);
        return head_r->length > 0;
    }
    sqlite3_stmt *get = sqlite_take(backend, SQL_HEAD_GET);
    sqlite3_bind_int64(get, 1, id);
    int found = sqlite_row(backend, get);
    if (found < 1)
        return found;
    *head_r = copy_row(backend->heads, get);
    sqlite3_reset(get);
    return 1;
}

int sqlite_heads_put(struct sqlite_backend *backend, int64_t id, const struct head *head)
{
    struct sqlite_heads *heads = backend->heads;
    static const struct head gone = {"", 0, (const uint8_t *)"", 0};
    uint8_t front[FRONT_BYTES], *at = front;
    if (look(backend) < 0)
        return -1;
    if (head == NULL)
        head = &gone;
    at = packed_put(at, (uint64_t)id, ID_BYTES);
    at = packed_put(at, head->key_length, LENGTH_BYTES);
    packed_put(at, head->length, LENGTH_BYTES);
    text_add_bytes(&heads->appended, (const char *)front, FRONT_BYTES);
    text_add_bytes(&heads->appended, head->key, head->key_length);
    text_add_bytes(&heads->appended, (const char *)head->data, head->length);
    heads->changed = true;
    keep(heads, id, heads->last + 1, head);
    return 1;
}

/* ---- writing ------------------------------------------------------------------------ */

static int append(struct sqlite_backend *backend)
{
    struct sqlite_heads *heads = backend->heads;
    sqlite3_stmt *put = sqlite_take(backend, SQL_HEAD_LOG_PUT);
    sqlite3_bind_int64(put, 1, heads->last + 1);
    sqlite3_bind_blob(put, 2, heads->appended.data, (int)heads->appended.length, SQLITE_STATIC);
    if (sqlite_do(backend, put) < 0)
        return -1;
    heads->last++;
    heads->bytes += heads->appended.length;
    heads->own_bytes += heads->appended.length;
    text_clear(&heads->appended);
    return 1;
}

static int by_number(const void *a, const void *b)
{
    const int64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

/* Those that are in the log now, in the order of their pages. */
static void begin_to_write(struct sqlite_heads *heads)
{
    write_none_back(heads);
    heads->until = heads->last;
    heads->to_write = xcalloc(heads->count + 1, sizeof heads->to_write[0]);
    for (size_t i = 0; i < BUCKETS; i++)
        for (const struct logged *logged = heads->buckets[i]; logged != NULL; logged = logged->next)
            heads->to_write[heads->to_write_count++] = logged->id;
    qsort(heads->to_write, heads->to_write_count, sizeof heads->to_write[0], by_number);
}

static int write_back(struct sqlite_backend *backend, const struct logged *logged)
{
    struct head head = head_of(logged);
    bool gone = head.length == 0;
    sqlite3_stmt *put = sqlite_take(backend, gone ? SQL_HEAD_DROP : SQL_HEAD_PUT);
    sqlite3_bind_int64(put, 1, logged->id);
    if (!gone) {
        sqlite3_bind_text(put, 2, head.key, (int)head.key_length, SQLITE_STATIC);
        sqlite3_bind_blob(put, 3, head.data, (int)head.length, SQLITE_STATIC);
    }
    return sqlite_do(backend, put);
}

/* All up to row `until` is in `history_head`: that row stays, empty. */
static int cut_log(struct sqlite_backend *backend)
{
    struct sqlite_heads *heads = backend->heads;
    sqlite3_stmt *cut = sqlite_take(backend, SQL_HEAD_LOG_DROP);
    sqlite3_bind_int64(cut, 1, heads->until);
    if (sqlite_do(backend, cut) < 0)
        return -1;
    sqlite3_stmt *mark = sqlite_take(backend, SQL_HEAD_LOG_PUT);
    sqlite3_bind_int64(mark, 1, heads->until);
    sqlite3_bind_zeroblob(mark, 2, 0);
    if (sqlite_do(backend, mark) < 0)
        return -1;
    begin_at(heads, heads->until);
    return 1;
}

/* A head that changed since is written as it is now, which the log says too. */
static int write_some(struct sqlite_backend *backend, size_t max)
{
    struct sqlite_heads *heads = backend->heads;
    for (; max > 0 && heads->written < heads->to_write_count; max--) {
        const struct logged *logged = *find(heads, heads->to_write[heads->written++]);
        if (logged != NULL && write_back(backend, logged) < 0)
            return -1;
    }
    return heads->written < heads->to_write_count ? 1 : cut_log(backend);
}

int sqlite_heads_commit(struct sqlite_backend *backend)
{
    struct sqlite_heads *heads = backend->heads;
    if (heads->appended.length == 0)
        return 1;
    if (append(backend) < 0)
        return -1;
    if (heads->to_write == NULL &&
        (heads->own_bytes >= HEADS_LOG_BYTES || heads->bytes >= LOG_BYTES_OF_ALL))
        begin_to_write(heads);
    return heads->to_write != NULL ? write_some(backend, HEADS_WRITTEN_AT_ONCE) : 1;
}

int sqlite_heads_write_all(struct sqlite_backend *backend)
{
    struct sqlite_heads *heads = backend->heads;
    if (look(backend) < 0 || (heads->appended.length > 0 && append(backend) < 0))
        return -1;
    if (heads->last == heads->first)
        return 1;
    heads->changed = true;
    begin_to_write(heads);
    return write_some(backend, SIZE_MAX);
}
