/* Queue ids of Postfix. A short one is made of upper case hexadecimal digits: 5 of microseconds,
 * and the inode. A long one has 6 characters of seconds since 1970 and 4 of microseconds in base
 * 52, a "z", and the inode in base 51. The digits of base 52 are 0 to 9 and all letters but the
 * vowels, upper case first; base 51 lacks the "z". Short ids come again within seconds, long ones
 * do not. Pure; any thread. Source: postconf(5), enable_long_queue_ids; ids of Postfix 3.7. */
#ifndef SENDGUARD_QUEUE_ID_H
#define SENDGUARD_QUEUE_ID_H

#include <stdbool.h>

#include "base/base.h"

enum {
    QUEUE_ID_MAX = 23,        /* bytes: a long id with an inode of 64 bits */
    QUEUE_ID_PACKED_MAX = 12, /* bytes; usually 7 or 8 */
};

/* Whether the text is a queue id, short or long. */
bool queue_id_is(const char *text, size_t length);

/* When the message of a long id arrived, in microseconds since 1970. 1; 0: it is no long id. */
int queue_id_time(const char *text, size_t length, int64_t *time_us_r) must_check;

/* A long id as few bytes, relative to a moment within 35 minutes of its time. Returns how many;
 * 0: this one does not pack (a short id, another time, or not as Postfix writes it). */
size_t queue_id_pack(const char *text, size_t length, int64_t moment_ms,
                     uint8_t packed_r[QUEUE_ID_PACKED_MAX]);

/* The id of packed bytes, relative to the same moment, with a NUL. Returns its length; 0: the bytes
 * are none of queue_id_pack. */
size_t queue_id_unpack(const uint8_t *packed, size_t length, int64_t moment_ms,
                       char text_r[QUEUE_ID_MAX + 1]);

#endif
