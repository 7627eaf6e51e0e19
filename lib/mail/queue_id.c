#include "mail/queue_id.h"

#include <string.h>

#include "base/packed.h"

enum {
    SECONDS_LENGTH = 6,
    MICROSECONDS_LENGTH = 4,
    SEPARATOR_AT = SECONDS_LENGTH + MICROSECONDS_LENGTH,
    SHORT_MICROSECONDS_LENGTH = 5,
    SHORT_MAX = SHORT_MICROSECONDS_LENGTH + 16,
    TIME_BYTES = 4, /* of the packed form; the inode follows without zeros before it */
    INODE_BYTES = 8,
};
static const int64_t second_us = 1000000;

static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

struct long_id {
    int64_t time_us;
    uint64_t inode;
};

/* The value of each digit of base 52, and 1 more; 0: it is none. */
static const uint8_t values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['B'] = 11, ['C'] = 12, ['D'] = 13, ['F'] = 14, ['G'] = 15, ['H'] = 16,
    ['J'] = 17, ['K'] = 18, ['L'] = 19, ['M'] = 20, ['N'] = 21, ['P'] = 22, ['Q'] = 23, ['R'] = 24,
    ['S'] = 25, ['T'] = 26, ['V'] = 27, ['W'] = 28, ['X'] = 29, ['Y'] = 30, ['Z'] = 31, ['b'] = 32,
    ['c'] = 33, ['d'] = 34, ['f'] = 35, ['g'] = 36, ['h'] = 37, ['j'] = 38, ['k'] = 39, ['l'] = 40,
    ['m'] = 41, ['n'] = 42, ['p'] = 43, ['q'] = 44, ['r'] = 45, ['s'] = 46, ['t'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52,
};

static bool read_number(const char *text, size_t length, unsigned base, uint64_t *number_r)
{
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned value = values[(unsigned char)text[i]];
        if (value == 0 || value > base || __builtin_mul_overflow(number, base, &number) ||
            __builtin_add_overflow(number, value - 1, &number))
            return false;
    }
    *number_r = number;
    return length > 0;
}

static bool read_long(const char *text, size_t length, struct long_id *id_r)
{
    uint64_t seconds, microseconds, inode;
    if (length <= SEPARATOR_AT + 1 || length > QUEUE_ID_MAX || text[SEPARATOR_AT] != 'z' ||
        !read_number(text, SECONDS_LENGTH, 52, &seconds) ||
        !read_number(text + SECONDS_LENGTH, MICROSECONDS_LENGTH, 52, &microseconds) ||
        !read_number(text + SEPARATOR_AT + 1, length - SEPARATOR_AT - 1, 51, &inode) ||
        microseconds >= (uint64_t)second_us)
        return false;
    *id_r = (struct long_id){(int64_t)seconds * second_us + (int64_t)microseconds, inode};
    return true;
}

static bool is_short(const char *text, size_t length)
{
    if (length <= SHORT_MICROSECONDS_LENGTH || length > SHORT_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'F')))
            return false;
    return memcmp(text, "F423F", SHORT_MICROSECONDS_LENGTH) <= 0; /* 999,999 us */
}

bool queue_id_is(const char *text, size_t length)
{
    struct long_id id;
    return is_short(text, length) || read_long(text, length, &id);
}

int queue_id_time(const char *text, size_t length, int64_t *time_us_r)
{
    struct long_id id;
    if (!read_long(text, length, &id))
        return 0;
    *time_us_r = id.time_us;
    return 1;
}

static size_t write_long(struct long_id id, char text_r[QUEUE_ID_MAX + 1])
{
    char inode[INODE_BYTES * 2];
    char *first = inode + sizeof inode;
    int64_t seconds = id.time_us / second_us, microseconds = id.time_us % second_us;
    for (int i = SECONDS_LENGTH; i-- > 0; seconds /= 52)
        text_r[i] = digits[seconds % 52];
    for (int i = SEPARATOR_AT; i-- > SECONDS_LENGTH; microseconds /= 52)
        text_r[i] = digits[microseconds % 52];
    do
        *--first = digits[id.inode % 51];
    while ((id.inode /= 51) > 0);
    size_t length = (size_t)(inode + sizeof inode - first);
    text_r[SEPARATOR_AT] = 'z';
    memcpy(text_r + SEPARATOR_AT + 1, first, length);
    text_r[SEPARATOR_AT + 1 + length] = '\0';
    return SEPARATOR_AT + 1 + length;
}

/* From the moment to the id's time. false: the packed form has no room for it. */
static bool is_near(int64_t time_us, int64_t moment_ms, int32_t *apart_us_r)
{
    int64_t moment_us;
    return !__builtin_mul_overflow(moment_ms, 1000, &moment_us) &&
           !__builtin_sub_overflow(time_us, moment_us, &moment_us) &&
           !__builtin_add_overflow(moment_us, 0, apart_us_r);
}

size_t queue_id_pack(const char *text, size_t length, int64_t moment_ms,
                     uint8_t packed_r[QUEUE_ID_PACKED_MAX])
{
    struct long_id id;
    char again[QUEUE_ID_MAX + 1];
    int32_t apart_us;
    if (!read_long(text, length, &id) || !is_near(id.time_us, moment_ms, &apart_us) ||
        write_long(id, again) != length || memcmp(again, text, length) != 0)
        return 0;
    int bytes = 1;
    while (bytes < INODE_BYTES && id.inode >> (bytes * 8) != 0)
        bytes++;
    packed_put(packed_put(packed_r, (uint32_t)apart_us, TIME_BYTES), id.inode, bytes);
    return TIME_BYTES + (size_t)bytes;
}

size_t queue_id_unpack(const uint8_t *packed, size_t length, int64_t moment_ms,
                       char text_r[QUEUE_ID_MAX + 1])
{
    static const int64_t end_us = INT64_C(52) * 52 * 52 * 52 * 52 * 52 * 1000000;
    struct long_id id;
    if (length <= TIME_BYTES || length > QUEUE_ID_PACKED_MAX ||
        __builtin_mul_overflow(moment_ms, 1000, &id.time_us))
        return 0;
    int32_t apart_us = (int32_t)packed_get(&packed, TIME_BYTES);
    if (__builtin_add_overflow(id.time_us, apart_us, &id.time_us) || id.time_us < 0 ||
        id.time_us >= end_us)
        return 0;
    id.inode = packed_get(&packed, (int)length - TIME_BYTES);
    return write_long(id, text_r);
}
