#include "base/seal.h"

#include <sodium.h>
#include <string.h>

enum {
    NONCE_BYTES = crypto_aead_chacha20poly1305_ietf_NPUBBYTES,
    TAG_BYTES = crypto_aead_chacha20poly1305_ietf_ABYTES,
    PADDING_BYTES = 16,
    PLAIN_MAX_BYTES = SEAL_MAX_BYTES + PADDING_BYTES,
    SEALED_MAX_BYTES = NONCE_BYTES + PLAIN_MAX_BYTES + TAG_BYTES,
    TEXT_MAX_BYTES = (SEALED_MAX_BYTES * 4 + 2) / 3,
};
_Static_assert((int)SEAL_KEY_BYTES == (int)crypto_aead_chacha20poly1305_ietf_KEYBYTES, "one size");

const char *seal_make(const struct seal_purpose *purpose, struct arena *arena, const void *bytes,
                      size_t length)
{
    unsigned char plain[PLAIN_MAX_BYTES], sealed[SEALED_MAX_BYTES];
    unsigned long long sealed_length;
    size_t plain_length;
    memcpy(plain, bytes, length);
    sodium_pad(&plain_length, plain, length, PADDING_BYTES, sizeof plain);
    randombytes_buf(sealed, NONCE_BYTES);
    crypto_aead_chacha20poly1305_ietf_encrypt(
        sealed + NONCE_BYTES, &sealed_length, plain, plain_length,
        (const unsigned char *)purpose->name, strlen(purpose->name) + 1, NULL, sealed,
        purpose->key);
    size_t whole = NONCE_BYTES + (size_t)sealed_length;
    size_t room = sodium_base64_encoded_len(whole, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return sodium_bin2base64(arena_alloc(arena, room), room, sealed, whole,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

int seal_open(const struct seal_purpose *purpose, const char *text,
              unsigned char bytes_r[SEAL_MAX_BYTES], size_t *length_r)
{
    unsigned char sealed[SEALED_MAX_BYTES], plain[PLAIN_MAX_BYTES];
    unsigned long long plain_length;
    size_t text_length = strnlen(text, TEXT_MAX_BYTES + 1), whole;
    if (text_length > TEXT_MAX_BYTES ||
        sodium_base642bin(sealed, sizeof sealed, text, text_length, NULL, &whole, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        whole < NONCE_BYTES + TAG_BYTES ||
        crypto_aead_chacha20poly1305_ietf_decrypt(
            plain, &plain_length, NULL, sealed + NONCE_BYTES, whole - NONCE_BYTES,
            (const unsigned char *)purpose->name, strlen(purpose->name) + 1, sealed,
            purpose->key) != 0 ||
        sodium_unpad(length_r, plain, (size_t)plain_length, PADDING_BYTES) != 0 ||
        *length_r > SEAL_MAX_BYTES)
        return 0;
    memcpy(bytes_r, plain, *length_r);
    return 1;
}
