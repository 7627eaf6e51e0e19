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
};

/* A head of the log. */
struct logged {
    struct logged *next; /* of its bucket */
    int64_t id;
    int64_t row; /* of the log: where it stands last */
    uint16_t key_length, length;
    uint8_t bytes[]; /* key, data */
};

/* What a transaction has done to what is known, and a rollback does to it. */
enum change { UNCHANGED, TO_UNDO, TO_FORGET };

/* Where the log stands, and writing back, as the last row of the log says. */
struct log_state {
    int64_t last;       /* row of the log */
    size_t bytes;       /* of the log behind its first row */
    int64_t until, written;
    size_t bytes_until; /* how long it was when the round began */
    size_t next;        /* of to_write */
};

/* A head before the transaction that changed it; NULL: it was not in the log. */
struct undone {
    int64_t id;
    struct logged *before;
};

struct sqlite_heads {
    struct logged *buckets[BUCKETS];
    size_t count;
    bool fresh; /* no other process wrote since it was looked up in this transaction */
    enum change change;
    struct undone *undo;
    size_t undo_count, undo_room;
    int64_t version, schema; /* of the database, by SQLite */
    int64_t first; /* row of the log: up to it all is in `history_head` */
    struct log_state now, found; /* the latter as the transaction found it */
    bool found_listed;           /* to_write was there */
    struct text appended; /* by this transaction */
    size_t appended_count;
    struct text scratch;
    /* What this process knows is to be written in the round of `until`; NULL: it has not looked */
    int64_t *to_write;
    size_t to_write_count;
};

/* ---- the log in memory ----------------------------------------------------------- */

enum { VERSION_UNKNOWN = -1, NONE_WRITTEN = -1 };

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
    free((*heads)->undo);
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

static void forget_to_write(struct sqlite_heads *heads)
{
    free(heads->to_write);
    heads->to_write = NULL;
    heads->to_write_count = heads->now.next = 0;
}

/* A head is about to change: what it was is kept for a rollback. */
static void remember(struct sqlite_heads *heads, int64_t id)
{
    struct logged **at = find(heads, id), *before = *at;
    if (before != NULL && before->row > heads->found.last)
        return; /* of this transaction */
    if (heads->undo_count == heads->undo_room) {
        heads->undo_room = 2 * heads->undo_room + 64;
        heads->undo = xrealloc(heads->undo, heads->undo_room * sizeof heads->undo[0]);
    }
    heads->undo[heads->undo_count++] = (struct undone){id, before};
    if (before == NULL)
        return;
    *at = before->next;
    heads->count--;
}

static void forget_undo(struct sqlite_heads *heads)
{
    while (heads->undo_count > 0)
        free(heads->undo[--heads->undo_count].before);
    heads->change = UNCHANGED;
}

static void forget_appended(struct sqlite_heads *heads)
{
    text_clear(&heads->appended);
    heads->appended_count = 0;
}

static void undo(struct sqlite_heads *heads)
{
    while (heads->undo_count > 0) {
        struct undone *undone = &heads->undo[--heads->undo_count];
        struct logged **at = find(heads, undone->id);
        if (*at != NULL)
            drop(heads, at);
        if (undone->before != NULL) {
            undone->before->next = *at;
            *at = undone->before;
            heads->count++;
        }
    }
    if (!heads->found_listed || heads->now.until != heads->found.until)
        forget_to_write(heads);
    heads->now = heads->found;
    forget_appended(heads);
    heads->change = UNCHANGED;
}

void sqlite_heads_forget(struct sqlite_heads *heads)
{
    forget_undo(heads);
    drop_up_to(heads, INT64_MAX);
    forget_to_write(heads);
    forget_appended(heads);
    heads->fresh = false;
    heads->version = heads->schema = VERSION_UNKNOWN;
    heads->first = heads->now.last = heads->now.until = 0;
    heads->now.bytes = 0;
}

void sqlite_heads_begin(struct sqlite_heads *heads)
{
    heads->fresh = false;
    forget_undo(heads);
}

void sqlite_heads_roll_back(struct sqlite_heads *heads)
{
    if (heads->change == TO_UNDO)
        undo(heads);
    else if (heads->change == TO_FORGET)
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

/* A round of writing back begins; all that was appended so far takes part. */
static void begin_round(struct sqlite_heads *heads, int64_t until)
{
    forget_to_write(heads);
    heads->now.until = until;
    heads->now.written = NONE_WRITTEN;
    heads->now.bytes_until = heads->now.bytes;
}

static int read_row(struct sqlite_backend *backend, sqlite3_stmt *statement)
{
    struct sqlite_heads *heads = backend->heads;
    int64_t row = sqlite3_column_int64(statement, 0), id;
    size_t length = (size_t)sqlite3_column_bytes(statement, 1);
    const uint8_t *at = sqlite3_column_blob(statement, 1), *end = at + length;
    struct head head;
    if (sqlite3_column_int64(statement, 2) != heads->now.until)
        begin_round(heads, sqlite3_column_int64(statement, 2));
    heads->now.written = sqlite3_column_int64(statement, 3);
    while (at < end) {
        if (!read_head(&at, end, &id, &head))
            return backend_fail(&backend->base, "%s: head_log %lld is damaged", backend->path,
                                (long long)row);
        keep(heads, id, row, &head);
    }
    heads->now.bytes += length;
    heads->now.last = row;
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

/* A round has ended: the log was cut. */
static void begin_at(struct sqlite_heads *heads, int64_t first)
{
    drop_up_to(heads, first);
    forget_to_write(heads);
    heads->now.bytes -= first == heads->now.until ? heads->now.bytes_until : heads->now.bytes;
    heads->first = first;
    heads->now.last = heads->now.last > first ? heads->now.last : first;
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
    sqlite3_bind_int64(rows, 1, heads->now.last);
    int more;
    while ((more = sqlite_row(backend, rows)) > 0)
        if (read_row(backend, rows) < 0) {
            sqlite3_reset(rows);
            return -1;
        }
    return more;
}

/* Another connection has committed. When that was another state of the whole file (`.restore`),
 * SQLite gives the schema another number too. */
static int look_anew(struct sqlite_backend *backend)
{
    struct sqlite_heads *heads = backend->heads;
    int64_t schema;
    if (read_number(backend, SQL_SCHEMA_VERSION, &schema) < 0)
        return -1;
    if (schema != heads->schema)
        sqlite_heads_forget(heads);
    heads->schema = schema;
    heads->change = TO_FORGET; /* until all is read */
    if (read_log(backend) < 0)
        return -1;
    heads->change = UNCHANGED;
    return 1;
}

/* SQLite's number of the database changes when another connection has committed. */
static int look(struct sqlite_backend *backend)
{
    struct sqlite_heads *heads = backend->heads;
    int64_t version;
    if (heads->fresh)
        return 1;
    if (read_number(backend, SQL_DATA_VERSION, &version) < 0 ||
        (version != heads->version && look_anew(backend) < 0))
        return -1;
    heads->version = version;
    heads->fresh = true;
    heads->found = heads->now;
    heads->found_listed = heads->to_write != NULL;
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
    heads->appended_count++;
    if (heads->change == UNCHANGED)
        heads->change = TO_UNDO;
    remember(heads, id);
    keep(heads, id, heads->now.last + 1, head);
    return 1;
}

/* ---- writing ------------------------------------------------------------------------ */

static int append(struct sqlite_backend *backend)
{
    struct sqlite_heads *heads = backend->heads;
    sqlite3_stmt *put = sqlite_take(backend, SQL_HEAD_LOG_PUT);
    sqlite3_bind_int64(put, 1, heads->now.last + 1);
    sqlite3_bind_blob(put, 2, heads->appended.data, (int)heads->appended.length, SQLITE_STATIC);
    sqlite3_bind_int64(put, 3, heads->now.until);
    sqlite3_bind_int64(put, 4, heads->now.written);
    if (sqlite_do(backend, put) < 0)
        return -1;
    heads->now.last++;
    heads->now.bytes += heads->appended.length;
    forget_appended(heads);
    return 1;
}

static int by_number(const void *a, const void *b)
{
    const int64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

/* Those of the log that the round has not come to, in the order of their pages. That some came
 * behind row `until` does no harm. */
static void list_to_write(struct sqlite_heads *heads)
{
    heads->to_write = xcalloc(heads->count + 1, sizeof heads->to_write[0]);
    for (size_t i = 0; i < BUCKETS; i++)
        for (const struct logged *logged = heads->buckets[i]; logged != NULL; logged = logged->next)
            if (logged->id > heads->now.written)
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

/* A head that changed since is written as it is now, which the log says too. 1 all of the round are
 * written, 0, -1. */
static int write_some(struct sqlite_backend *backend, size_t max)
{
    struct sqlite_heads *heads = backend->heads;
    if (heads->to_write == NULL)
        list_to_write(heads);
    for (; max > 0 && heads->now.next < heads->to_write_count; heads->now.next++) {
        int64_t id = heads->to_write[heads->now.next];
        if (id <= heads->now.written) /* by another process */
            continue;
        if (write_back(backend, *find(heads, id)) < 0)
            return -1;
        heads->now.written = id;
        max--;
    }
    return heads->now.next == heads->to_write_count;
}

/* All up to row `until` is in `history_head`: that row stays, empty. */
static int cut_log(struct sqlite_backend *backend)
{
    struct sqlite_heads *heads = backend->heads;
    sqlite3_stmt *cut = sqlite_take(backend, SQL_HEAD_LOG_DROP);
    sqlite3_bind_int64(cut, 1, heads->now.until);
    if (sqlite_do(backend, cut) < 0)
        return -1;
    sqlite3_stmt *mark = sqlite_take(backend, SQL_HEAD_LOG_PUT);
    sqlite3_bind_int64(mark, 1, heads->now.until);
    sqlite3_bind_zeroblob(mark, 2, 0);
    sqlite3_bind_int64(mark, 3, heads->now.until);
    sqlite3_bind_int64(mark, 4, NONE_WRITTEN);
    if (sqlite_do(backend, mark) < 0)
        return -1;
    heads->change = TO_FORGET;
    begin_at(heads, heads->now.until);
    return 1;
}

/* Twice as many as it appends, so that the log becomes shorter however much that is. */
static size_t write_at_once(const struct sqlite_heads *heads)
{
    size_t twice = 2 * heads->appended_count;
    return twice > HEADS_WRITTEN_AT_ONCE ? twice : HEADS_WRITTEN_AT_ONCE;
}

int sqlite_heads_commit(struct sqlite_backend *backend)
{
    struct sqlite_heads *heads = backend->heads;
    if (heads->appended.length == 0)
        return 1;
    if (heads->now.until <= heads->first && heads->now.bytes >= HEADS_LOG_BYTES)
        begin_round(heads, heads->now.last);
    int ended = heads->now.until > heads->first ? write_some(backend, write_at_once(heads)) : 0;
    if (ended < 0 || append(backend) < 0)
        return -1;
    return ended > 0 ? cut_log(backend) : 1;
}

int sqlite_heads_write_all(struct sqlite_backend *backend)
{
    struct sqlite_heads *heads = backend->heads;
    if (look(backend) < 0 || (heads->appended.length > 0 && append(backend) < 0))
        return -1;
    if (heads->now.last == heads->first)
        return 1;
    heads->change = TO_FORGET;
    begin_round(heads, heads->now.last);
    return write_some(backend, SIZE_MAX) < 0 ? -1 : cut_log(backend);
}
