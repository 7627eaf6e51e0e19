/* Which subjects may be on a block list (block_list.h): a copy in each process' memory, of hashes
 * alone, 16 to 32 bytes an entry. It is brought up to date twice a second by asking the store what is
 * new, and read anew, a page at a time, twice a day, when the subjects leave that were removed or
 * are over. Any thread. */
#ifndef SENDGUARD_BLOCK_FILTER_H
#define SENDGUARD_BLOCK_FILTER_H

#include <stdbool.h>

#include "store/store.h"

enum { BLOCK_FILTER_FRESH_MS = 500 }; /* a new entry takes effect within a second */

struct block_filter;

struct block_filter *block_filter_new(void);
void block_filter_free(struct block_filter **filter);

/* Brings the copy up to date if it is too old. 1: it is as of BLOCK_FILTER_FRESH_MS ago at most,
 * or, where the store did not answer, of before; -1: it has never been read. */
int block_filter_refresh(struct block_filter *filter, struct store *store, int64_t now_ms,
                         int64_t monotonic_ms) must_check;
/* What was changed just now shall hold at once: the next block_filter_refresh asks. */
void block_filter_outdate(struct block_filter *filter);

/* Whether there is nothing on any list. */
bool block_filter_is_empty(struct block_filter *filter);
/* Whether a subject is the hash of a recipient. */
bool block_filter_has_hashed(struct block_filter *filter);
/* Sets hits_r[i] to whether subjects[i] may be blocked, of NULL to false; true by chance for one of
 * 2^40 others. Returns how many are true. */
size_t block_filter_hits(struct block_filter *filter, const char *const *subjects, size_t count,
                         bool *hits_r);

/* Hashes that are kept, and the bytes they take: for tests and measurements. */
size_t block_filter_count(struct block_filter *filter);
size_t block_filter_bytes(struct block_filter *filter);

#endif
