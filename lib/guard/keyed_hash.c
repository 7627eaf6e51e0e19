#include "guard/keyed_hash.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rules/profile.h"

_Static_assert(sizeof ((struct keyed_hash_keys *)0)->message_ids == crypto_shorthash_KEYBYTES,
               "a key of a hash");
_Static_assert(crypto_shorthash_KEYBYTES <= SEAL_KEY_BYTES, "a key for it");

static void derive(const struct token_key *key, const char *name,
                   unsigned char bytes_r[crypto_shorthash_KEYBYTES])
{
    unsigned char derived[SEAL_KEY_BYTES];
    token_key_derive(key, name, derived);
    memcpy(bytes_r, derived, crypto_shorthash_KEYBYTES);
    sodium_memzero(derived, sizeof derived);
}

static uint64_t hash(const unsigned char *key, const void *bytes, size_t length)
{
    uint64_t number;
    _Static_assert(crypto_shorthash_BYTES == sizeof number, "a number of 64 bits");
    crypto_shorthash((unsigned char *)&number, bytes, length, key);
    return number;
}

void keyed_hash_forget(struct keyed_hash_keys *keys)
{
    sodium_memzero(keys, sizeof *keys);
}

/* From the beginning of a year, in ms. */
static int64_t year_begin(int year)
{
    struct tm first = {.tm_year = year - 1900, .tm_mday = 1};
    return timegm(&first) * INT64_C(1000);
}

static const unsigned char *key_of_year(struct keyed_hash_keys *keys, int64_t at_ms)
{
    char name[40];
    struct tm utc;
    time_t seconds = (time_t)(at_ms / SECOND_MS);
    for (size_t i = 0; i < countof(keys->years); i++)
        if (at_ms >= keys->years[i].begin_ms && at_ms < keys->years[i].end_ms)
            return keys->years[i].bytes;
    gmtime_r(&seconds, &utc);
    int number = utc.tm_year + 1900;
    struct keyed_hash_year *year = &keys->years[number % 2 != 0];
    snprintf(name, sizeof name, "sendguard recipients %d", number);
    derive(keys->key, name, year->bytes);
    year->begin_ms = year_begin(number);
    year->end_ms = year_begin(number + 1);
    return year->bytes;
}

bool keyed_hash_same_year(struct keyed_hash_keys *keys, int64_t one_ms, int64_t other_ms)
{
    return key_of_year(keys, one_ms) == key_of_year(keys, other_ms);
}

uint64_t keyed_hash_recipient(struct keyed_hash_keys *keys, const char *address, int64_t at_ms)
{
    return hash(key_of_year(keys, at_ms), address, strlen(address));
}

uint64_t keyed_hash_counted(struct keyed_hash_keys *keys, const char *address)
{
    if (!keys->has_counted)
        derive(keys->key, "sendguard counted recipients", keys->counted);
    keys->has_counted = true;
    return hash(keys->counted, address, strlen(address));
}

static uint64_t hash_for_profile(struct keyed_hash_keys *keys, const char *text, int bits)
{
    if (!keys->has_profiles)
        derive(keys->key, "sendguard profiles", keys->profiles);
    keys->has_profiles = true;
    return hash(keys->profiles, text, strlen(text)) >> (64 - bits);
}

uint64_t keyed_hash_profiled(struct keyed_hash_keys *keys, const char *address)
{
    enum { HALF = PROFILE_HASH_BITS / 2 };
    const char *at = strrchr(address, '@');
    return hash_for_profile(keys, at != NULL ? at : address, HALF) << HALF |
           hash_for_profile(keys, address, HALF);
}

uint64_t keyed_hash_profiled_network(struct keyed_hash_keys *keys, const char *ip)
{
    uint64_t number = hash_for_profile(keys, ip, PROFILE_HASH_BITS);
    return number != 0 ? number : 1;
}

uint32_t keyed_hash_message_id(struct keyed_hash_keys *keys, const char *id, size_t length)
{
    if (length >= 2 && id[0] == '<' && id[length - 1] == '>') {
        id++;
        length -= 2;
    }
    if (!keys->has_message_ids)
        derive(keys->key, "sendguard message ids", keys->message_ids);
    keys->has_message_ids = true;
    uint32_t number = (uint32_t)hash(keys->message_ids, id, length);
    return number != 0 ? number : 1;
}

uint64_t keyed_hash_reporter(struct keyed_hash_keys *keys, const char *domain)
{
    if (!keys->has_reporters)
        derive(keys->key, "sendguard reporters", keys->reporters);
    keys->has_reporters = true;
    uint64_t number = hash(keys->reporters, domain, strlen(domain));
    return number != 0 ? number : 1;
}

uint64_t keyed_hash_login(struct keyed_hash_keys *keys, const char *name)
{
    if (!keys->has_logins) { /* threads share it from then on, and only read */
        derive(keys->key, "sendguard logins", keys->logins);
        derive(keys->key, "sendguard fingerprints", keys->fingerprints);
        keys->has_logins = true;
    }
    return hash(keys->logins, name, strlen(name));
}

/* A Feistel network: a hash cut to 12 bits would make one of two. */
uint16_t keyed_hash_fingerprint(const struct keyed_hash_keys *keys, uint64_t mailbox,
                                uint16_t fingerprint)
{
    enum { ROUNDS = 6, HALF_BITS = 6, HALF = (1 << HALF_BITS) - 1 };
    unsigned left = fingerprint >> HALF_BITS & HALF, right = fingerprint & HALF;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const uint64_t what[2] = {mailbox, round << HALF_BITS | right};
        unsigned mixed = left ^ (unsigned)(hash(keys->fingerprints, what, sizeof what) & HALF);
        left = right;
        right = mixed;
    }
    return (uint16_t)(left << HALF_BITS | right);
}

uint64_t keyed_hash_forgotten(struct keyed_hash_keys *keys, const char *mailbox)
{
    if (!keys->has_forgotten)
        derive(keys->key, "sendguard forgotten", keys->forgotten);
    keys->has_forgotten = true;
    return hash(keys->forgotten, mailbox, strlen(mailbox));
}
