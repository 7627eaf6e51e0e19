/* What programs keep for themselves: texts under keys, each kind by itself. Results, threads and
 * ownership: store.h. */
#ifndef SENDGUARD_STORE_KEPT_H
#define SENDGUARD_STORE_KEPT_H

#include "base/arena.h"
#include "store/audit.h"
#include "store/store.h"

enum kept_kind { KEPT_STAFF, KEPT_TOKEN, KEPT_SESSION, KEPT_BLOCK, KEPT_TRIES, KEPT_KNOWN,
                 KEPT_TERMS, KEPT_LOOKED, KEPT_APPROVAL, KEPT_KIND_COUNT };
extern const char *const kept_kind_names[KEPT_KIND_COUNT];
enum { KEPT_KEY_MAX = 360, KEPT_VALUE_MAX = 16 * 1024 };
struct kept {
    const char *key;   /* 1..KEPT_KEY_MAX bytes; as read: in `arena` */
    const char *value; /* 0..KEPT_VALUE_MAX bytes; as read: in `arena` */
    int64_t until_ms;  /* from then on it counts as absent; UNTIL_LIFTED: never */
};

/* Puts it, or replaces what is there. `audited` (NULL: none) is written to the audit log in the
 * same step, here and below. Returns 1 or -1. */
int store_keep(struct store *store, enum kept_kind kind, const struct kept *kept, int64_t now_ms,
               const struct audited *audited) must_check;
/* Puts it where nothing is. Returns 1; 0, nothing written, when the key is taken; -1. */
int store_keep_new(struct store *store, enum kept_kind kind, const struct kept *kept,
                   int64_t now_ms, const struct audited *audited) must_check;
/* Puts it where the value is `before`. Returns 1; 0, nothing written, when it is not; -1. */
int store_keep_over(struct store *store, enum kept_kind kind, const struct kept *kept,
                    const char *before, int64_t now_ms, const struct audited *audited) must_check;
/* Reads it. Returns 1, 0 there is none, -1. */
int store_kept(struct store *store, struct arena *arena, enum kept_kind kind, const char *key,
               int64_t now_ms, struct kept *kept_r) must_check;
/* Removes it. Returns 1; 0, nothing written, when there was none; -1. */
int store_forget(struct store *store, enum kept_kind kind, const char *key, int64_t now_ms,
                 const struct audited *audited) must_check;
/* All of a kind in order of key, those after `after` ("": from the first). Returns 1 or -1. */
int store_kept_list(struct store *store, struct arena *arena, enum kept_kind kind,
                    const char *after, int64_t now_ms, struct kept *kept_r,
                    struct store_page *page) must_check;

/* Counts one try of something that may be tried `max` times (1..TRIES_MAX) in any span_ms. Returns
 * 1 it is counted (*count_r: tries with it); 0 there were so many already, nothing is counted
 * (*count_r: they, *free_at_r: when the oldest leaves the span); -1. Tries further ahead than
 * CLOCK_AHEAD_MS are forgotten. store_forget(…, KEPT_TRIES, key, …) forgets them all. */
int store_try(struct store *store, const char *key, int64_t now_ms, int64_t span_ms, uint32_t max,
              uint32_t *count_r, int64_t *free_at_r) must_check;

#endif
