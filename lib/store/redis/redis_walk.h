/* Going through keys, for when no other program uses the database: moving a store. */
#ifndef SENDGUARD_REDIS_WALK_H
#define SENDGUARD_REDIS_WALK_H

#include "store/redis/redis.h"

/* All keys with one of some prefixes, each once: SCAN may tell one twice, so a hash of each that
 * was told is kept. */
struct redis_walk {
    struct arena *arena;
    const char *const *prefix; /* the one that is asked for; NULL behind the last */
    char cursor[24];           /* SCAN's; "": it begins */
    char *keys;                /* those told last, a NUL behind each; in the arena */
    size_t keys_length, keys_size;
    size_t at;                 /* of the next one */
    int64_t member;            /* of its sorted set the next one */
    uint8_t hash_key[IDENTITY_KEY_SIZE];
    uint64_t *told;            /* a table of hashes, 0 where none is; in the arena */
    size_t told_count, told_size;
};

/* The walk that a cursor has as its state, made when it has none: over the keys with these
 * prefixes (NULL behind the last). */
struct redis_walk *redis_walk_of(struct transfer_cursor *cursor, const char *const *prefixes);
/* Keys that are told now, at most a page of them: 1; 0 there are no more; -1. They stand in the
 * walk until the next call, which tells those again that the caller did not move walk->at behind.
 */
int redis_walk_next(struct redis_backend *backend, struct arena *arena, struct redis_walk *walk,
                    const char *keys_r[TRANSFER_PAGE], size_t *count_r) must_check;

#endif
