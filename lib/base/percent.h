/* Percent-encoding, RFC 3986 section 2.1. '+' stays what it is. text_add_url encodes. */
#ifndef SENDGUARD_PERCENT_H
#define SENDGUARD_PERCENT_H

#include <stdbool.h>
#include <stddef.h>

/* The value of a hexadecimal digit, -1 of any other character. */
int percent_digit(char character);

/* Decodes `length` bytes into decoded_r, which has room for as many and a NUL, and may be `text`
 * itself. false: a '%' without two hexadecimal digits behind it, or a NUL; decoded_r is then of no
 * use. */
bool percent_decode(const char *text, size_t length, char *decoded_r);

#endif
