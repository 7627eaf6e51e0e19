/* Who sends in a benchmark: mailbox number n and its address on the network.
 * Fixed width, so that a request once rendered is made somebody else's by
 * writing digits into it. Filler and load client name the same mailboxes. */
#ifndef BENCH_POPULATION_H
#define BENCH_POPULATION_H

#include <stdint.h>
#include <string.h>

#define POPULATION_MAILBOX "user0000000@bench.test"
#define POPULATION_IP "10.100.100.100"
#define POPULATION_MAX 1000000u /* one address each */
enum { MAILBOX_DIGITS_AT = 4, MAILBOX_DIGITS = 7, IP_OCTETS_AT = 3 };

/* `number` in decimal, with leading zeros; digits beyond `width` are dropped. */
static inline void digits_put(char *at, unsigned width, uint32_t number)
{
    while (width > 0) {
        at[--width] = (char)('0' + number % 10);
        number /= 10;
    }
}

/* Turns POPULATION_MAILBOX, at `text`, into the mailbox of that number. */
static inline void mailbox_put(char *text, uint32_t number)
{
    digits_put(text + MAILBOX_DIGITS_AT, MAILBOX_DIGITS, number);
}

/* Turns POPULATION_IP, at `text`, into the address of mailbox `number`: 10.1xx.1xx.1xx. */
static inline void ip_put(char *text, uint32_t number)
{
    digits_put(text + IP_OCTETS_AT + 1, 2, number / 10000);
    digits_put(text + IP_OCTETS_AT + 5, 2, number / 100);
    digits_put(text + IP_OCTETS_AT + 9, 2, number);
}

/* xorshift64*: cheap, and good enough to choose who sends. The state is never 0. */
static inline uint32_t random_below(uint64_t *state, uint32_t bound)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    uint64_t high = (*state * UINT64_C(2685821657736338717)) >> 32;
    return (uint32_t)((high * bound) >> 32);
}

/* `number` in hexadecimal, with leading zeros. */
static inline void hex_put(char *at, unsigned width, uint64_t number)
{
    for (; width > 0; number >>= 4)
        at[--width] = "0123456789abcdef"[number & 15];
}

#endif
