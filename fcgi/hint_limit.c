#include "fcgi/hint_limit.h"

#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

enum { TIME_BITS = 48, ROOM_MS = HINTS_AT_ONCE * HINTS_EACH_MS };

_Static_assert(sizeof((struct hint_limit *)0)->key == crypto_shorthash_KEYBYTES, "a key for it");
_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "a number of 64 bits");

void hint_limit_init(struct hint_limit *limit) { crypto_shorthash_keygen(limit->key); }

static uint64_t hash_of(const struct hint_limit *limit, const char *mailbox)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)mailbox, strlen(mailbox),
                     limit->key);
    return hash;
}

bool hint_limit_take(struct hint_limit *limit, const char *mailbox, int64_t now_ms)
{
    uint64_t hash = hash_of(limit, mailbox), whose = hash >> TIME_BITS;
    _Atomic uint64_t *slot = &limit->slots[hash % HINT_SLOTS];
    uint64_t seen = atomic_load(slot), next;
    do {
        int64_t busy_ms = seen >> TIME_BITS == whose
                              ? (int64_t)(seen & ((UINT64_C(1) << TIME_BITS) - 1))
                              : 0;
        if (busy_ms < now_ms || busy_ms > now_ms + ROOM_MS)
            busy_ms = now_ms;
        if (busy_ms + HINTS_EACH_MS > now_ms + ROOM_MS)
            return false;
        next = whose << TIME_BITS | (uint64_t)(busy_ms + HINTS_EACH_MS);
    } while (!atomic_compare_exchange_weak(slot, &seen, next));
    return true;
}
