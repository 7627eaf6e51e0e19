#include "store/identity.h"

#include <endian.h>
#include <sodium.h>
#include <string.h>

_Static_assert(IDENTITY_KEY_SIZE == crypto_shorthash_KEYBYTES, "crypto_shorthash takes the key");
_Static_assert(sizeof(uint64_t) == crypto_shorthash_BYTES, "a hash is a number");

int64_t identity_hash(const uint8_t key[IDENTITY_KEY_SIZE], const void *bytes, size_t length)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, bytes, length, key);
    return (int64_t)(hash >> 1);
}

uint32_t identity_of_id(const uint8_t key[IDENTITY_KEY_SIZE], const char *id)
{
    uint32_t hash = (uint32_t)identity_hash(key, id, strlen(id));
    return hash != 0 ? hash : 1;
}

uint16_t identity_of_recipients(const uint8_t key[IDENTITY_KEY_SIZE], uint64_t fingerprint)
{
    return (uint16_t)identity_hash(key, &fingerprint, sizeof fingerprint);
}

void identity_of_attempt(const uint8_t key[IDENTITY_KEY_SIZE], uint64_t attempt,
                         uint8_t bytes_r[IDENTITY_ATTEMPT_BYTES])
{
    memset(bytes_r, 0, IDENTITY_ATTEMPT_BYTES);
    for (unsigned half = 0; half < 2 && attempt != 0; half++) {
        uint32_t given = htole32((uint32_t)(attempt >> 32 * half));
        uint32_t hash = htole32((uint32_t)identity_hash(key, &given, sizeof given));
        memcpy(bytes_r + 4 * half, &hash, sizeof hash);
    }
}
