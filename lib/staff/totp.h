/* Codes of an authenticator app: RFC 6238 with what all apps know, SHA-1, 30 seconds, 6 digits; the
 * secret as they take it, base32 (RFC 4648) of 20 bytes. Pure. */
#ifndef SENDGUARD_TOTP_H
#define SENDGUARD_TOTP_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TOTP_SECRET_BYTES = 20, /* RFC 4226 section 4, R6 */
    TOTP_SECRET_CHARS = 32,
    TOTP_DIGITS = 6,
    TOTP_STEP_MS = 30 * 1000,
};

/* Which step the moment is in. */
int64_t totp_step(int64_t now_ms);
void totp_code(const unsigned char secret[TOTP_SECRET_BYTES], int64_t step,
               char code_r[TOTP_DIGITS + 1]);
/* The step that the code (digits; blanks among them are left out) is of: this one, the one before or
 * the next, as clocks differ (RFC 6238 section 6), but none up to `last`, which was used (section 5.2).
 * -1: of none. */
int64_t totp_step_of(const unsigned char secret[TOTP_SECRET_BYTES], const char *code, int64_t last,
                     int64_t now_ms);

void totp_secret_write(const unsigned char secret[TOTP_SECRET_BYTES],
                       char text_r[TOTP_SECRET_CHARS + 1]);
/* false: it is none. */
bool totp_secret_read(const char *text, unsigned char secret_r[TOTP_SECRET_BYTES]);

#endif
