#include "guard/keyed_hash.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t hash(const struct token_key *key, const char *name, const char *text, size_t length)
{
    unsigned char derived[SEAL_KEY_BYTES];
    uint64_t number;
    _Static_assert(crypto_shorthash_KEYBYTES <= SEAL_KEY_BYTES, "a key for it");
    _Static_assert(crypto_shorthash_BYTES == sizeof number, "a number of 64 bits");
    token_key_derive(key, name, derived);
    crypto_shorthash((unsigned char *)&number, (const unsigned char *)text, length, derived);
    sodium_memzero(derived, sizeof derived);
    return number;
}

uint64_t keyed_hash_recipient(const struct token_key *key, const char *address, int64_t at_ms)
{
    char name[40];
    struct tm utc;
    time_t seconds = (time_t)(at_ms / SECOND_MS);
    gmtime_r(&seconds, &utc);
    snprintf(name, sizeof name, "sendguard recipients %d", utc.tm_year + 1900);
    return hash(key, name, address, strlen(address));
}

uint32_t keyed_hash_message_id(const struct token_key *key, const char *id, size_t length)
{
    if (length >= 2 && id[0] == '<' && id[length - 1] == '>') {
        id++;
        length -= 2;
    }
    uint32_t number = (uint32_t)hash(key, "sendguard message ids", id, length);
    return number != 0 ? number : 1;
}
