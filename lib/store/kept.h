/* What programs keep for themselves. Results: store/store.h. */
#ifndef SENDGUARD_STORE_KEPT_H
#define SENDGUARD_STORE_KEPT_H

#include "base/arena.h"
#include "store/audit.h"
#include "store/store.h"

/* Texts under a key, each kind for itself: accounts of staff, tokens, sessions.
 * They end at until_ms (UNTIL_LIFTED: never). key: 1..KEPT_KEY_MAX bytes;
 * value: at most KEPT_VALUE_MAX bytes. */
enum kept_kind { KEPT_STAFF, KEPT_TOKEN, KEPT_SESSION, KEPT_BLOCK, KEPT_TRIES, KEPT_KNOWN,
                 KEPT_KIND_COUNT };
extern const char *const kept_kind_names[KEPT_KIND_COUNT];
enum { KEPT_KEY_MAX = 360, KEPT_VALUE_MAX = 16 * 1024 };
struct kept {
    const char *key, *value; /* in `arena` */
    int64_t until_ms;
};
/* Put, or replace. `audited` (NULL: none) is written in the same step. 1 or -1. */
int store_keep(struct store *store, enum kept_kind kind, const struct kept *kept, int64_t now_ms,
               const struct audited *audited) must_check;
/* Put where nothing is yet: 1, or 0 when the key is taken (nothing is written). */
int store_keep_new(struct store *store, enum kept_kind kind, const struct kept *kept,
                   int64_t now_ms, const struct audited *audited) must_check;
/* Put where `before` is what is kept: 1, or 0 when it is not so (any longer). */
int store_keep_over(struct store *store, enum kept_kind kind, const struct kept *kept,
                    const char *before, int64_t now_ms, const struct audited *audited) must_check;
int store_kept(struct store *store, struct arena *arena, enum kept_kind kind, const char *key,
               int64_t now_ms, struct kept *kept_r) must_check; /* 1, 0 none, -1 */
int store_forget(struct store *store, enum kept_kind kind, const char *key, int64_t now_ms,
                 const struct audited *audited) must_check; /* 1, 0 was not there, -1 */
/* By key, after `after` ("" for the first page). 1 and *count_r. */
int store_kept_list(struct store *store, struct arena *arena, enum kept_kind kind,
                    const char *after, int64_t now_ms, struct kept *kept_r, size_t max,
                    size_t *count_r) must_check;

/* One try of something that may be tried `max` times (1..TRIES_MAX) in any
 * span_ms, atomically: 1 it is counted, *count_r tries with it; 0 there were so
 * many already, nothing is counted, *free_at_r is when the oldest leaves. Tries further
 * ahead than CLOCK_AHEAD_MS are forgotten.
 * store_forget(…, KEPT_TRIES, key, …) forgets them all. */
int store_try(struct store *store, const char *key, int64_t now_ms, int64_t span_ms, uint32_t max,
              uint32_t *count_r, int64_t *free_at_r) must_check;

#endif
