/* Sealed texts: what only who has the key can make, change or read (ChaCha20-Poly1305 of libsodium).
 * base64url(nonce ‖ ciphertext ‖ tag), the plain bytes padded to a multiple of 16, so that the length
 * says little about them. The nonce is random: of 2^40 texts made with one key (a thousand a second
 * for 34 years) two have the same one with a probability of 2^-17. */
#ifndef SENDGUARD_SEAL_H
#define SENDGUARD_SEAL_H

#include "base/arena.h"

enum { SEAL_KEY_BYTES = 32, SEAL_MAX_BYTES = 640 };

/* What a text is sealed for: one that was made for another purpose does not open. */
struct seal_purpose {
    const unsigned char *key; /* SEAL_KEY_BYTES */
    const char *name;
};

/* The text of these bytes, 0..SEAL_MAX_BYTES, in `arena`. */
const char *seal_make(const struct seal_purpose *purpose, struct arena *arena, const void *bytes,
                      size_t length);

/* 1 and the bytes, *length_r of them; 0 forged, changed, or for another purpose: one answer for
 * all. Any text of any length may be given. */
int seal_open(const struct seal_purpose *purpose, const char *text,
              unsigned char bytes_r[SEAL_MAX_BYTES], size_t *length_r) must_check;

#endif
