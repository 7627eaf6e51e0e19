/* What is remembered of a site that said no: when it had outages within RECIPIENT_KEPT_MS, since what
 * failed then says nothing of recipients, also afterwards; and which recipients were blocked in the
 * last hour for what it said, in case it turns out to have an outage. The value VALUE_SITE of the
 * hash of its name. Pure. */
#ifndef SENDGUARD_SITE_OUTAGES_H
#define SENDGUARD_SITE_OUTAGES_H

#include "base/arena.h"
#include "rules/recipient_block.h"

enum { SITE_OUTAGES_MAX = 32, SITE_BLOCKED_MAX = 64 };
#define SITE_REACHES_BACK_MS HOUR_MS /* an outage is seen after so much of it at most */

struct site_outages {
    struct site_outage {
        int64_t from_ms, until_ms; /* both included */
    } of[SITE_OUTAGES_MAX]; /* in order, apart from each other */
    size_t count;
    struct site_blocked {
        int64_t since_ms;
        const char *key; /* of the entry of the block lists */
    } blocked[SITE_BLOCKED_MAX]; /* in order; the oldest of too many goes */
    size_t blocked_count;
};

/* It has an outage at that moment. Whether anything changed: an outage that goes on is told again
 * after a minute. */
bool site_outages_note(struct site_outages *outages, int64_t at_ms);
bool site_outages_cover(const struct site_outages *outages, int64_t at_ms);
/* An entry was made; `key` stays the caller's. */
void site_outages_blocked(struct site_outages *outages, const char *key, int64_t since_ms);
/* Forgets what is too old, and what is of a clock that was set back since. */
void site_outages_forget(struct site_outages *outages, int64_t now_ms);

/* The packed form: 1 format; varint how many outages, of each varints from and length; varint how
 * many entries, of each varint since and its key. */
void site_outages_add(struct text *out, const struct site_outages *outages);
/* Keys live in `arena`. 1; 0: damaged, *outages_r is zeroed. */
int site_outages_read(const void *bytes, size_t length, struct arena *arena,
                      struct site_outages *outages_r) must_check;

#endif
