#include "store/keyed_hash.h"

uint64_t keyed_hash(const uint8_t key[KEYED_HASH_KEY_BYTES], const void *bytes, size_t length)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, bytes, length, key);
    return hash >> 1;
}

uint32_t keyed_hash_id(uint64_t hash)
{
    uint32_t shorter = (uint32_t)hash;
    return shorter != 0 ? shorter : 1;
}

uint16_t keyed_hash_recipients(const uint8_t key[KEYED_HASH_KEY_BYTES], uint64_t fingerprint)
{
    return (uint16_t)keyed_hash(key, &fingerprint, sizeof fingerprint);
}
