/* By which a submission is known again: short hashes, keyed by the database, so that nobody can
 * look for ids or recipients that meet. Both databases give the same numbers for the same key. */
#ifndef SENDGUARD_IDENTITY_H
#define SENDGUARD_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

enum { IDENTITY_KEY_SIZE = 16 };

/* 0..INT64_MAX. */
int64_t identity_hash(const uint8_t key[IDENTITY_KEY_SIZE], const void *bytes, size_t length);

/* Of a submission's id: 1..UINT32_MAX. */
uint32_t identity_of_id(const uint8_t key[IDENTITY_KEY_SIZE], const char *id);

/* Of its recipients. */
uint16_t identity_of_recipients(const uint8_t key[IDENTITY_KEY_SIZE], uint64_t fingerprint);

/* Of an attempt while suspended (judge_request): its halves, the lower one first, each a
 * little-endian number. 0 of an attempt that is never known again. */
enum { IDENTITY_ATTEMPT_BYTES = 8 };
void identity_of_attempt(const uint8_t key[IDENTITY_KEY_SIZE], uint64_t attempt,
                         uint8_t bytes_r[IDENTITY_ATTEMPT_BYTES]);

#endif
