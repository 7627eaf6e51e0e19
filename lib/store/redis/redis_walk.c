#include "store/redis/redis_walk.h"

#include <sodium.h>

#include "store/redis/redis_pipeline.h"

struct redis_walk *redis_walk_of(struct transfer_cursor *cursor, const char *const *prefixes)
{
    struct redis_walk *walk = cursor->state;
    if (walk != NULL)
        return walk;
    walk = cursor->state = arena_alloc(cursor->arena, sizeof *walk);
    walk->arena = cursor->arena;
    walk->prefix = prefixes;
    randombytes_buf(walk->hash_key, sizeof walk->hash_key);
    return walk;
}

static bool put_told(uint64_t *told, size_t size, uint64_t hash)
{
    size_t at = hash & (size - 1);
    for (; told[at] != 0; at = (at + 1) & (size - 1))
        if (told[at] == hash)
            return false;
    told[at] = hash;
    return true;
}

/* Whether it is told for the first time. */
static bool is_new(struct redis_walk *walk, const void *bytes, size_t length)
{
    uint64_t hash = (uint64_t)identity_hash(walk->hash_key, bytes, length);
    if (2 * (walk->told_count + 1) > walk->told_size) {
        size_t size = walk->told_size > 0 ? 2 * walk->told_size : 1024;
        uint64_t *table = arena_alloc(walk->arena, size * sizeof *table);
        for (size_t i = 0; i < walk->told_size; i++)
            if (walk->told[i] != 0)
                put_told(table, size, walk->told[i]);
        walk->told = table;
        walk->told_size = size;
    }
    bool first = put_told(walk->told, walk->told_size, hash != 0 ? hash : 1);
    walk->told_count += first;
    return first;
}

static void add_key(struct redis_walk *walk, const redisReply *key)
{
    if (key->type != REDIS_REPLY_STRING || !is_new(walk, key->str, key->len))
        return;
    if (walk->keys_length + key->len + 1 > walk->keys_size) {
        char *before = walk->keys;
        walk->keys_size = 2 * (walk->keys_size + key->len + 1);
        walk->keys = arena_alloc(walk->arena, walk->keys_size);
        if (walk->keys_length > 0)
            memcpy(walk->keys, before, walk->keys_length);
    }
    memcpy(walk->keys + walk->keys_length, key->str, key->len + 1);
    walk->keys_length += key->len + 1;
}

/* The next keys in the place of those that were told: 1; 0 there are no more; -1. */
static int scan(struct redis_backend *backend, struct arena *arena, struct redis_walk *walk)
{
    walk->keys_length = walk->at = 0;
    while (walk->keys_length == 0 && *walk->prefix != NULL) {
        freed_by(redis_pipeline_end) struct redis_pipeline pipeline = {0};
        if (redis_pipeline_begin(backend, arena, &pipeline) < 0)
            return -1;
        ADD(&pipeline, TEXT("SCAN"), TEXT(walk->cursor[0] != '\0' ? walk->cursor : "0"),
            TEXT("MATCH"), TEXT(arena_printf(arena, "%s*", *walk->prefix)), TEXT("COUNT"),
            TEXT("1000"));
        if (redis_pipeline_run(&pipeline) < 0)
            return -1;
        const redisReply *reply = pipeline.replies[0];
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
            reply->element[1]->type != REDIS_REPLY_ARRAY)
            return redis_unexpected(backend);
        for (size_t i = 0; i < reply->element[1]->elements; i++)
            add_key(walk, reply->element[1]->element[i]);
        redis_copy_text(reply->element[0], walk->cursor, sizeof walk->cursor);
        if (strcmp(walk->cursor, "0") == 0) {
            walk->prefix++;
            walk->cursor[0] = '\0';
        }
    }
    return walk->keys_length > 0;
}

int redis_walk_next(struct redis_backend *backend, struct arena *arena, struct redis_walk *walk,
                    const char *keys_r[TRANSFER_PAGE], size_t *count_r)
{
    if (walk->at == walk->keys_length) {
        int more = scan(backend, arena, walk);
        if (more < 1)
            return more;
    }
    size_t at = walk->at;
    for (*count_r = 0; *count_r < TRANSFER_PAGE && at < walk->keys_length; (*count_r)++) {
        keys_r[*count_r] = walk->keys + at;
        at += strlen(walk->keys + at) + 1;
    }
    return 1;
}
