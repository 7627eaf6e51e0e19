/* The known recipients of a mailbox: to whom its mail went within 90 days, the last 1,000, and when
 * it last arrived there. Pure. Keyed hashes alone, of which the key changes with the year: who asks
 * brings the hash of this year and that of the last. */
#ifndef SENDGUARD_KNOWN_RECIPIENTS_H
#define SENDGUARD_KNOWN_RECIPIENTS_H

#include <stdbool.h>

#include "base/text.h"

enum { KNOWN_RECIPIENTS_MAX = 1000, KNOWN_DAYS = 90 };

struct known_recipient {
    uint64_t hash;     /* the upper 48 bits */
    int64_t written;   /* day since 1970 on which mail last went there */
    int64_t delivered; /* on which it last arrived; 0: it never did */
};
struct known_recipients {
    struct known_recipient of[KNOWN_RECIPIENTS_MAX];
    size_t count;
};

struct recipient_hashes {
    uint64_t now, last_year;
};

/* Mail of the mailbox went to the recipient on that day, and arrived. Days only go on: an earlier
 * one changes nothing. Forgets who was last written to 90 days before, and the oldest of too many. */
void known_recipients_touch(struct known_recipients *known, const struct recipient_hashes *hashes,
                            int64_t day, bool delivered);
/* NULL: not known. */
const struct known_recipient *known_recipients_find(const struct known_recipients *known,
                                                    const struct recipient_hashes *hashes,
                                                    int64_t day);

/* 1 format; of each 6 hash, 2 and 2 days since 2020. */
void known_recipients_add(struct text *out, const struct known_recipients *known);
/* 1; 0: damaged. */
int known_recipients_read(const void *bytes, size_t length,
                          struct known_recipients *known_r) must_check;

#endif
