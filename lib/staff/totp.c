#include "staff/totp.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

int64_t totp_step(int64_t now_ms) { return now_ms / TOTP_STEP_MS; }

/* RFC 4226 section 5.3. */
void totp_code(const unsigned char secret[TOTP_SECRET_BYTES], int64_t step,
               char code_r[TOTP_DIGITS + 1])
{
    unsigned char counter[8], hash[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    for (int i = 7; i >= 0; i--, step >>= 8)
        counter[i] = (unsigned char)(step & 0xFF);
    if (HMAC(EVP_sha1(), secret, TOTP_SECRET_BYTES, counter, sizeof counter, hash, &length) == NULL) {
        fputs("sendguard: libcrypto makes no HMAC\n", stderr);
        abort();
    }
    const unsigned char *at = hash + (hash[length - 1] & 0xF);
    uint32_t number = (uint32_t)(at[0] & 0x7F) << 24 | (uint32_t)at[1] << 16 |
                      (uint32_t)at[2] << 8 | at[3];
    snprintf(code_r, TOTP_DIGITS + 1, "%06u", number % 1000000);
}

static bool read_digits(const char *text, char code_r[TOTP_DIGITS + 1])
{
    size_t length = 0;
    for (; *text != '\0'; text++) {
        if (*text == ' ')
            continue;
        if (*text < '0' || *text > '9' || length == TOTP_DIGITS)
            return false;
        code_r[length++] = *text;
    }
    code_r[length] = '\0';
    return length == TOTP_DIGITS;
}

int64_t totp_step_of(const unsigned char secret[TOTP_SECRET_BYTES], const char *text, int64_t last,
                     int64_t now_ms)
{
    char typed[TOTP_DIGITS + 1], code[TOTP_DIGITS + 1];
    int64_t now = totp_step(now_ms), found = -1;
    if (!read_digits(text, typed))
        return -1;
    for (int64_t step = now - 1; step <= now + 1; step++) {
        totp_code(secret, step, code);
        if (sodium_memcmp(code, typed, TOTP_DIGITS) == 0 && step > last)
            found = step;
    }
    return found;
}

void totp_secret_write(const unsigned char secret[TOTP_SECRET_BYTES],
                       char text_r[TOTP_SECRET_CHARS + 1])
{
    for (size_t i = 0; i < TOTP_SECRET_CHARS; i++) {
        size_t bit = 5 * i, byte = bit / 8;
        unsigned two = (unsigned)secret[byte] << 8 |
                       (byte + 1 < TOTP_SECRET_BYTES ? secret[byte + 1] : 0U);
        text_r[i] = base32[two >> (11 - bit % 8) & 31];
    }
    text_r[TOTP_SECRET_CHARS] = '\0';
}

bool totp_secret_read(const char *text, unsigned char secret_r[TOTP_SECRET_BYTES])
{
    memset(secret_r, 0, TOTP_SECRET_BYTES);
    if (strnlen(text, TOTP_SECRET_CHARS + 1) != TOTP_SECRET_CHARS)
        return false;
    for (size_t i = 0; i < TOTP_SECRET_CHARS; i++) {
        const char *found = strchr(base32, text[i]);
        if (found == NULL)
            return false;
        size_t bit = 5 * i, byte = bit / 8;
        unsigned two = (unsigned)(found - base32) << (11 - bit % 8);
        secret_r[byte] |= (unsigned char)(two >> 8);
        if (byte + 1 < TOTP_SECRET_BYTES)
            secret_r[byte + 1] |= (unsigned char)(two & 0xFF);
    }
    return true;
}
