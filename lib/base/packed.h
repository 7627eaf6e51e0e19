/* Numbers as bytes: what databases keep. Of a fixed width the most significant byte comes first. A
 * varint has 7 bits a byte, the lowest first; the upper bit says that more follow. */
#ifndef SENDGUARD_PACKED_H
#define SENDGUARD_PACKED_H

#include "base/arena.h"
#include "base/text.h"

/* The lower `count` bytes of a number; returns where they end. */
static inline uint8_t *packed_put(uint8_t *bytes, uint64_t number, int count)
{
    for (int shift = (count - 1) * 8; shift >= 0; shift -= 8)
        *bytes++ = (uint8_t)(number >> shift);
    return bytes;
}

/* Reads `count` bytes and moves behind them. */
static inline uint64_t packed_get(const uint8_t **bytes, int count)
{
    uint64_t number = 0;
    while (count-- > 0)
        number = number << 8 | *(*bytes)++;
    return number;
}

/* Adds the lower `count` (1..8) bytes of a number, as packed_fixed reads them. */
void packed_add_fixed(struct text *out, uint64_t number, int count);
/* Adds a varint; bytes with their number as a varint before them. */
void packed_add_number(struct text *out, uint64_t number);
void packed_add_bytes(struct text *out, const void *bytes, size_t length);
void packed_add_string(struct text *out, const char *string);
/* The same of the bytes that `out` has from `first` on: puts their number before them. */
void packed_put_length(struct text *out, size_t first);

/* The bytes that are still to be read; next is NULL once something was not as it should be. */
struct packed_rest {
    const uint8_t *next, *end;
};
/* A varint; 0 where there is none. */
uint64_t packed_number(struct packed_rest *rest);
/* The next so many bytes; NULL when there are not so many. */
const uint8_t *packed_bytes(struct packed_rest *rest, size_t length);
/* What packed_add_string added, in `arena`; NULL when it is not there. */
char *packed_string(struct packed_rest *rest, struct arena *arena);
/* A number of `count` bytes; 0 where there are not so many. */
uint64_t packed_fixed(struct packed_rest *rest, int count);

#endif
