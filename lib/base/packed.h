/* Numbers as bytes, the most significant first: what databases keep. */
#ifndef SENDGUARD_PACKED_H
#define SENDGUARD_PACKED_H

#include "base/base.h"

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

#endif
