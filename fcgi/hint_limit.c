#include "fcgi/hint_limit.h"

#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

enum { TIME_BITS = 48, ROOM_MS = HINTS_AT_ONCE * HINTS_EACH_MS };

static uint64_t hash_of(const char *mailbox)
{
    unsigned char bytes[crypto_generichash_BYTES_MIN];
    uint64_t hash;
    crypto_generichash(bytes, sizeof bytes, (const unsigned char *)mailbox, strlen(mailbox), NULL,
                       0);
    memcpy(&hash, bytes, sizeof hash);
    return hash;
}

bool hint_limit_take(struct hint_limit *limit, const char *mailbox, int64_t now_ms)
{
    uint64_t hash = hash_of(mailbox), whose = hash >> TIME_BITS;
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
