/* Hashes by a key that each database makes for itself and keeps, so that nobody can choose a name
 * that meets another's. The functions are the same for every database: histories that move to
 * another one keep their meaning when the key moves with them. */
#ifndef SENDGUARD_KEYED_HASH_H
#define SENDGUARD_KEYED_HASH_H

#include <sodium.h>

#include "base/base.h"

enum { KEYED_HASH_KEY_BYTES = crypto_shorthash_KEYBYTES };

/* 63 bits. */
uint64_t keyed_hash(const uint8_t key[KEYED_HASH_KEY_BYTES], const void *bytes, size_t length);
/* What a history keeps of a submission's id, of which this is the keyed_hash; never 0. */
uint32_t keyed_hash_id(uint64_t hash);
/* What a history keeps of a submission's recipients. */
uint16_t keyed_hash_recipients(const uint8_t key[KEYED_HASH_KEY_BYTES], uint64_t fingerprint);

#endif
