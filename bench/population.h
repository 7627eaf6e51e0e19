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

#endif
