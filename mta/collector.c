/* A hash table of fixed size and a list by age, under one lock that is held for a few hundred
 * nanoseconds. Keys are 128-bit hashes under a key of this process, so that nobody can choose
 * transactions or recipients that collide. */
#include "mta/collector.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096, FIRST_ROOM = 8 };

struct key {
    unsigned char bytes[crypto_shorthash_siphashx24_BYTES];
};

struct underway {
    struct key key;
    struct underway *next_in_bucket;
    struct underway *older, *newer;
    int64_t touched_ms;
    uint64_t *hashes; /* of the recipients, for a quick comparison; `room` of them */
    uint32_t *ends;   /* of each recipient in `names`, behind its NUL */
    uint32_t *times;  /* how often each was named */
    char *names;
    size_t count, room, names_length, names_room;
    size_t asked, unread;
};

struct collector {
    pthread_mutex_t lock;
    unsigned char secret[crypto_shorthash_siphashx24_KEYBYTES];
    size_t max_bytes, bytes;
    bool full; /* from the first that was dropped until half of it is free again */
    _Atomic size_t count;
    _Atomic int overflowed;
    struct underway *oldest, *newest;
    struct underway *buckets[BUCKETS];
};

struct collector *collector_new(size_t max_bytes)
{
    struct collector *collector = xcalloc(1, sizeof *collector);
    pthread_mutex_init(&collector->lock, NULL);
    randombytes_buf(collector->secret, sizeof collector->secret);
    collector->max_bytes = max_bytes;
    return collector;
}

static struct key key_of(const struct collector *collector, const struct transaction *transaction)
{
    /* two hashes of hashes: no text can be taken for a part of the other */
    struct key parts[2], key;
    crypto_shorthash_siphashx24(parts[0].bytes, (const unsigned char *)transaction->instance,
                                strlen(transaction->instance), collector->secret);
    crypto_shorthash_siphashx24(parts[1].bytes, (const unsigned char *)transaction->user,
                                strlen(transaction->user), collector->secret);
    crypto_shorthash_siphashx24(key.bytes, (const unsigned char *)parts, sizeof parts,
                                collector->secret);
    return key;
}

static struct underway **bucket_of(struct collector *collector, const struct key *key)
{
    uint16_t number;
    memcpy(&number, key->bytes, sizeof number);
    return &collector->buckets[number % BUCKETS];
}

static size_t bytes_of(const struct underway *entry)
{
    size_t of_recipient = sizeof *entry->hashes + sizeof *entry->ends + sizeof *entry->times;
    return sizeof *entry + entry->room * of_recipient + entry->names_room;
}

/* ---- the list by age ----------------------------------------------------------- */

static void unlink_entry(struct collector *collector, struct underway *entry)
{
    *(entry->older != NULL ? &entry->older->newer : &collector->oldest) = entry->newer;
    *(entry->newer != NULL ? &entry->newer->older : &collector->newest) = entry->older;
    entry->older = entry->newer = NULL;
}

static void link_newest(struct collector *collector, struct underway *entry)
{
    entry->older = collector->newest;
    *(collector->newest != NULL ? &collector->newest->newer : &collector->oldest) = entry;
    collector->newest = entry;
}

static void drop(struct collector *collector, struct underway *entry)
{
    struct underway **at = bucket_of(collector, &entry->key);
    while (*at != entry)
        at = &(*at)->next_in_bucket;
    *at = entry->next_in_bucket;
    unlink_entry(collector, entry);
    collector->bytes -= bytes_of(entry);
    collector->count--;
    free(entry->hashes);
    free(entry->ends);
    free(entry->times);
    free(entry->names);
    free(entry);
}

static void drop_old(struct collector *collector, int64_t now_ms)
{
    while (collector->oldest != NULL &&
           collector->oldest->touched_ms <= now_ms - COLLECTOR_FORGET_MS)
        drop(collector, collector->oldest);
    if (collector->bytes < collector->max_bytes / 2)
        collector->full = false;
}

/* Makes room at the cost of the oldest, but never of `kept`. */
static void drop_excess(struct collector *collector, const struct underway *kept)
{
    while (collector->bytes > collector->max_bytes && collector->oldest != kept) {
        drop(collector, collector->oldest);
        if (!collector->full)
            collector->overflowed = 1;
        collector->full = true;
    }
}

void collector_free(struct collector **collector)
{
    if (*collector == NULL)
        return;
    while ((*collector)->oldest != NULL)
        drop(*collector, (*collector)->oldest);
    pthread_mutex_destroy(&(*collector)->lock);
    sodium_memzero((*collector)->secret, sizeof (*collector)->secret);
    free(*collector);
    *collector = NULL;
}

/* ---- one transaction ------------------------------------------------------------- */

static struct underway *find(struct collector *collector, const struct key *key)
{
    struct underway *entry = *bucket_of(collector, key);
    while (entry != NULL && memcmp(&entry->key, key, sizeof *key) != 0)
        entry = entry->next_in_bucket;
    return entry;
}

/* The entry, made where there is none, as the newest. */
static struct underway *touch(struct collector *collector, const struct key *key,
                                          int64_t now_ms)
{
    struct underway *entry = find(collector, key);
    if (entry == NULL) {
        struct underway **bucket = bucket_of(collector, key);
        entry = xcalloc(1, sizeof *entry);
        entry->key = *key;
        entry->next_in_bucket = *bucket;
        *bucket = entry;
        collector->bytes += sizeof *entry;
        collector->count++;
    } else {
        unlink_entry(collector, entry);
    }
    link_newest(collector, entry);
    entry->touched_ms = now_ms;
    return entry;
}

static const char *name_of(const struct underway *entry, size_t number)
{
    return entry->names + (number > 0 ? entry->ends[number - 1] : 0);
}

/* Where it stands among the recipients; their number when it does not. */
static size_t place_of(const struct underway *entry, uint64_t hash, const char *recipient)
{
    size_t i = 0;
    while (i < entry->count &&
           (entry->hashes[i] != hash || strcmp(name_of(entry, i), recipient) != 0))
        i++;
    return i;
}

static void keep_name(struct underway *entry, uint64_t hash, const char *recipient)
{
    size_t size = strlen(recipient) + 1;
    if (entry->count == entry->room) {
        entry->room = entry->room > 0 ? entry->room * 2 : FIRST_ROOM;
        entry->hashes = xrealloc(entry->hashes, entry->room * sizeof *entry->hashes);
        entry->ends = xrealloc(entry->ends, entry->room * sizeof *entry->ends);
        entry->times = xrealloc(entry->times, entry->room * sizeof *entry->times);
    }
    if (entry->names_room - entry->names_length < size) {
        entry->names_room = (entry->names_length + size) * 2;
        entry->names = xrealloc(entry->names, entry->names_room);
    }
    memcpy(entry->names + entry->names_length, recipient, size);
    entry->names_length += size;
    entry->hashes[entry->count] = hash;
    entry->times[entry->count] = 1;
    entry->ends[entry->count++] = (uint32_t)entry->names_length;
}

static void add_to(struct collector *collector, struct underway *entry,
                   const char *recipient)
{
    uint64_t hash = 0;
    if (recipient != NULL) {
        struct key whole;
        crypto_shorthash_siphashx24(whole.bytes, (const unsigned char *)recipient,
                                    strlen(recipient), collector->secret);
        memcpy(&hash, whole.bytes, sizeof hash);
        size_t place = place_of(entry, hash, recipient);
        if (place < entry->count) {
            entry->times[place]++;
            entry->asked++;
            return;
        }
    }
    if (recipient == NULL || entry->count == COLLECTOR_MAX_RECIPIENTS) {
        entry->unread++;
        return;
    }
    size_t before = bytes_of(entry);
    keep_name(entry, hash, recipient);
    entry->asked++;
    collector->bytes += bytes_of(entry) - before;
}

void collector_add(struct collector *collector, const struct transaction *transaction,
                   const char *recipient, int64_t now_ms)
{
    struct key key = key_of(collector, transaction);
    pthread_mutex_lock(&collector->lock);
    drop_old(collector, now_ms);
    struct underway *entry = touch(collector, &key, now_ms);
    add_to(collector, entry, recipient);
    drop_excess(collector, entry);
    pthread_mutex_unlock(&collector->lock);
}

static void copy_out(const struct underway *entry, struct arena *arena,
                     struct collected *collected_r)
{
    char *names = arena_strndup(arena, entry->names, entry->names_length);
    collected_r->recipients = arena_alloc(arena, entry->count * sizeof(char *));
    for (size_t i = 0; i < entry->count; i++)
        collected_r->recipients[i] = names + (i > 0 ? entry->ends[i - 1] : 0);
    collected_r->times = arena_alloc(arena, entry->count * sizeof(uint32_t));
    if (entry->count > 0)
        memcpy(collected_r->times, entry->times, entry->count * sizeof(uint32_t));
    collected_r->count = entry->count;
    collected_r->asked = entry->asked;
    collected_r->unread = entry->unread;
}

void collector_look(struct collector *collector, const struct transaction *transaction,
                    struct arena *arena, int64_t now_ms, struct collected *collected_r)
{
    *collected_r = (struct collected){0};
    if (collector->count == 0)
        return;
    struct key key = key_of(collector, transaction);
    pthread_mutex_lock(&collector->lock);
    drop_old(collector, now_ms);
    const struct underway *entry = find(collector, &key);
    if (entry != NULL)
        copy_out(entry, arena, collected_r);
    pthread_mutex_unlock(&collector->lock);
}

void collector_forget(struct collector *collector, const struct transaction *transaction)
{
    if (collector->count == 0)
        return;
    struct key key = key_of(collector, transaction);
    pthread_mutex_lock(&collector->lock);
    struct underway *entry = find(collector, &key);
    if (entry != NULL)
        drop(collector, entry);
    pthread_mutex_unlock(&collector->lock);
}

size_t collector_count(struct collector *collector) { return collector->count; }

size_t collector_bytes(struct collector *collector)
{
    pthread_mutex_lock(&collector->lock);
    size_t bytes = collector->bytes;
    pthread_mutex_unlock(&collector->lock);
    return bytes;
}

int collector_overflowed(struct collector *collector)
{
    return atomic_exchange(&collector->overflowed, 0);
}
