#include "guard/block_filter.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "guard/block_list.h"

enum { SLOTS_LEAST = 64, PAGE = 500 };

/* Open addressing, at most half full; 0 is a free slot. */
struct table {
    uint64_t *slots;
    size_t size, count; /* size: a power of two, or 0 */
    bool hashed;        /* a subject is the hash of a recipient */
};

struct block_filter {
    unsigned char key[crypto_shorthash_KEYBYTES]; /* so that nobody chooses what falls together */
    pthread_rwlock_t lock; /* guards `table` */
    struct table table;
    pthread_mutex_t refreshing; /* guards what follows; held while the store is asked */
    bool loaded, building;
    struct table fresh; /* while `building`: what was read so far, up to `after` */
    char after[VALUE_KEY_MAX + 1];
    int64_t newest;     /* the step that `table` is of */
    int64_t whole_until_ms;
    _Atomic int64_t fresh_until_ms; /* monotonic */
};

struct block_filter *block_filter_new(void)
{
    struct block_filter *filter = xcalloc(1, sizeof *filter);
    randombytes_buf(filter->key, sizeof filter->key);
    pthread_rwlock_init(&filter->lock, NULL);
    pthread_mutex_init(&filter->refreshing, NULL);
    filter->fresh_until_ms = INT64_MIN;
    return filter;
}

void block_filter_free(struct block_filter **filter)
{
    if (*filter == NULL)
        return;
    free((*filter)->table.slots);
    free((*filter)->fresh.slots);
    pthread_rwlock_destroy(&(*filter)->lock);
    pthread_mutex_destroy(&(*filter)->refreshing);
    free(*filter);
    *filter = NULL;
}

/* ---- the table --------------------------------------------------------------------------- */

static uint64_t hash_of(const struct block_filter *filter, const char *subject)
{
    uint64_t hash;
    _Static_assert(crypto_shorthash_BYTES == sizeof hash, "a number of 64 bits");
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)subject, strlen(subject),
                     filter->key);
    return hash != 0 ? hash : 1;
}

/* The slot that has the hash, or the free one where it belongs. */
static uint64_t *slot_of(const struct table *table, uint64_t hash)
{
    size_t place = hash & (table->size - 1);
    while (table->slots[place] != 0 && table->slots[place] != hash)
        place = (place + 1) & (table->size - 1);
    return &table->slots[place];
}

static void grow(struct table *table)
{
    struct table larger = {.size = table->size > 0 ? 2 * table->size : SLOTS_LEAST,
                           .count = table->count, .hashed = table->hashed};
    larger.slots = xcalloc(larger.size, sizeof *larger.slots);
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i] != 0)
            *slot_of(&larger, table->slots[i]) = table->slots[i];
    free(table->slots);
    *table = larger;
}

static void put(struct table *table, const char *subject, uint64_t hash)
{
    const struct block_entry entry = {.subject = subject};
    table->hashed = table->hashed || block_list_is_hashed(&entry);
    if (2 * (table->count + 1) > table->size)
        grow(table);
    uint64_t *slot = slot_of(table, hash);
    table->count += *slot == 0;
    *slot = hash;
}

static bool has(const struct table *table, uint64_t hash)
{
    return table->count > 0 && *slot_of(table, hash) != 0;
}

/* ---- bringing up to date -------------------------------------------------------------------- */

static void add_new(void *context, const char *subject)
{
    struct block_filter *filter = context;
    uint64_t hash = hash_of(filter, subject);
    pthread_rwlock_wrlock(&filter->lock);
    put(&filter->table, subject, hash);
    pthread_rwlock_unlock(&filter->lock);
    if (filter->building)
        put(&filter->fresh, subject, hash);
}

static void begin_building(struct block_filter *filter)
{
    free(filter->fresh.slots);
    filter->fresh = (struct table){0};
    filter->after[0] = '\0';
    filter->building = true;
}

static void end_building(struct block_filter *filter, int64_t monotonic_ms)
{
    pthread_rwlock_wrlock(&filter->lock);
    free(filter->table.slots);
    filter->table = filter->fresh;
    pthread_rwlock_unlock(&filter->lock);
    filter->fresh = (struct table){0};
    filter->building = false;
    filter->loaded = true;
    filter->whole_until_ms = monotonic_ms + DAY_MS / 2;
}

/* The next page of entries. 1 or -1. */
static int build(struct block_filter *filter, struct store *store, int64_t now_ms,
                 int64_t monotonic_ms)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct value *values = arena_alloc(arena, PAGE * sizeof *values);
    struct store_page page = {.max = PAGE};
    struct block_entry entry;
    if (store_values(store, arena, VALUE_BLOCKED, filter->after, now_ms, values, &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count; i++)
        if (block_list_read(arena, &values[i], &entry) > 0)
            put(&filter->fresh, entry.subject, hash_of(filter, entry.subject));
    if (page.more)
        strcpy(filter->after, values[page.count - 1].key);
    else
        end_building(filter, monotonic_ms);
    return 1;
}

/* All of it at once. What is added meanwhile has a higher number than the one that is read first.
 */
static int read_all(struct block_filter *filter, struct store *store, int64_t now_ms,
                    int64_t monotonic_ms)
{
    int64_t newest;
    if (block_list_newest(store, now_ms, &newest) < 0)
        return -1;
    begin_building(filter);
    while (filter->building)
        if (build(filter, store, now_ms, monotonic_ms) < 0)
            return -1;
    filter->newest = newest;
    return 1;
}

/* 1; 0: all has to be read anew, since it is another store, or steps are not told any more; -1. */
static int read_new(struct block_filter *filter, struct store *store, int64_t now_ms)
{
    int64_t newest;
    if (block_list_newest(store, now_ms, &newest) < 0)
        return -1;
    if (newest <= filter->newest)
        return newest == filter->newest;
    return block_list_added(store, filter->newest, now_ms, add_new, filter, &filter->newest);
}

static int ask(struct block_filter *filter, struct store *store, int64_t now_ms,
               int64_t monotonic_ms)
{
    int result = filter->loaded ? read_new(filter, store, now_ms) : 0;
    if (result == 0)
        return read_all(filter, store, now_ms, monotonic_ms);
    if (result > 0 && monotonic_ms >= filter->whole_until_ms) {
        if (!filter->building)
            begin_building(filter);
        result = build(filter, store, now_ms, monotonic_ms);
    }
    return result;
}

int block_filter_refresh(struct block_filter *filter, struct store *store, int64_t now_ms,
                         int64_t monotonic_ms)
{
    if (monotonic_ms < filter->fresh_until_ms)
        return 1;
    pthread_mutex_lock(&filter->refreshing);
    if (monotonic_ms >= filter->fresh_until_ms) { /* not asked while we waited */
        bool answers = ask(filter, store, now_ms, monotonic_ms) > 0;
        if (answers || filter->loaded)
            filter->fresh_until_ms = monotonic_ms + BLOCK_FILTER_FRESH_MS;
    }
    int result = filter->loaded ? 1 : -1;
    pthread_mutex_unlock(&filter->refreshing);
    return result;
}

void block_filter_outdate(struct block_filter *filter)
{
    pthread_mutex_lock(&filter->refreshing);
    filter->fresh_until_ms = INT64_MIN;
    pthread_mutex_unlock(&filter->refreshing);
}

/* ---- asking ---------------------------------------------------------------------------------- */

bool block_filter_is_empty(struct block_filter *filter) { return block_filter_count(filter) == 0; }

bool block_filter_has_hashed(struct block_filter *filter)
{
    pthread_rwlock_rdlock(&filter->lock);
    bool hashed = filter->table.hashed;
    pthread_rwlock_unlock(&filter->lock);
    return hashed;
}

size_t block_filter_hits(struct block_filter *filter, const char *const *subjects, size_t count,
                         bool *hits_r)
{
    size_t found = 0;
    pthread_rwlock_rdlock(&filter->lock);
    for (size_t i = 0; i < count; i++) {
        hits_r[i] = subjects[i] != NULL && has(&filter->table, hash_of(filter, subjects[i]));
        found += hits_r[i];
    }
    pthread_rwlock_unlock(&filter->lock);
    return found;
}

size_t block_filter_count(struct block_filter *filter)
{
    pthread_rwlock_rdlock(&filter->lock);
    size_t count = filter->table.count;
    pthread_rwlock_unlock(&filter->lock);
    return count;
}

size_t block_filter_bytes(struct block_filter *filter)
{
    pthread_rwlock_rdlock(&filter->lock);
    size_t bytes = filter->table.size * sizeof *filter->table.slots;
    pthread_rwlock_unlock(&filter->lock);
    return bytes;
}
