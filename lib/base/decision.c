#include "base/decision.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

enum { COUNTER_BITS = 20, TIME_BITS = 40, SYMBOL_BITS = 5, SYMBOLS = 12, GROUP = 4 };

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#define EPOCH_MS INT64_C(1577836800000) /* 2020-01-01T00:00:00Z */
#define TIME_MAX ((INT64_C(1) << TIME_BITS) - 1)
#define COUNTER_MASK ((UINT64_C(1) << COUNTER_BITS) - 1)

static _Atomic uint32_t counter;
static pthread_once_t counter_once = PTHREAD_ONCE_INIT;

/* Several machines and processes count in the same milliseconds: each begins somewhere else. */
static void counter_start(void) { atomic_store(&counter, randombytes_random()); }

uint64_t decision_floor(int64_t time_ms)
{
    int64_t since_ms = time_ms > EPOCH_MS ? time_ms - EPOCH_MS : 0;
    return (uint64_t)(since_ms < TIME_MAX ? since_ms : TIME_MAX) << COUNTER_BITS;
}

int64_t decision_time(uint64_t decision)
{
    return (int64_t)(decision >> COUNTER_BITS) + EPOCH_MS;
}

uint64_t decision_new(int64_t now_ms)
{
    pthread_once(&counter_once, counter_start);
    return decision_floor(now_ms) | (atomic_fetch_add(&counter, 1) & COUNTER_MASK);
}

void decision_format(uint64_t decision, char text_r[DECISION_TEXT_SIZE])
{
    char *next = text_r;
    for (int symbol = 0; symbol < SYMBOLS; symbol++) {
        if (symbol > 0 && symbol % GROUP == 0)
            *next++ = '-';
        *next++ = alphabet[decision >> (SYMBOL_BITS * (SYMBOLS - 1 - symbol)) & 31];
    }
    *next = '\0';
}

/* The value of a symbol, -1 for what is none. */
static int symbol_value(char symbol)
{
    char upper = symbol >= 'a' && symbol <= 'z' ? (char)(symbol - 'a' + 'A') : symbol;
    if (upper == 'O')
        upper = '0';
    if (upper == 'I' || upper == 'L')
        upper = '1';
    const char *found = upper != '\0' ? strchr(alphabet, upper) : NULL;
    return found != NULL ? (int)(found - alphabet) : -1;
}

/* Bytes of the hyphen or space at `text`, 0 when there is none: also those that mail programs
 * and telephones put in the place of a plain one (U+2010 to U+2015, U+2212, U+00A0). */
static size_t separator_length(const char *text)
{
    if (*text == '-' || *text == ' ' || *text == '\t')
        return 1;
    if (strncmp(text, "\xC2\xA0", 2) == 0)
        return 2;
    if (strncmp(text, "\xE2\x88\x92", 3) == 0)
        return 3;
    if (strncmp(text, "\xE2\x80", 2) == 0 && (unsigned char)text[2] >= 0x90 &&
        (unsigned char)text[2] <= 0x95)
        return 3;
    return 0;
}

int decision_parse(const char *text, uint64_t *decision_r)
{
    uint64_t decision = 0;
    int symbols = 0;
    while (*text != '\0') {
        size_t separator = separator_length(text);
        if (separator > 0) {
            text += separator;
            continue;
        }
        int value = symbol_value(*text++);
        if (value < 0 || ++symbols > SYMBOLS)
            return 0;
        decision = decision << SYMBOL_BITS | (uint64_t)value;
    }
    if (symbols != SYMBOLS)
        return 0;
    *decision_r = decision;
    return 1;
}
