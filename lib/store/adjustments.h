/* Adjustments of limits by staff. Results: store/store.h. */
#ifndef SENDGUARD_STORE_ADJUSTMENTS_H
#define SENDGUARD_STORE_ADJUSTMENTS_H

#include "message/submission.h"
#include "rules/rule.h"
#include "store/audit.h"
#include "store/store.h"

/* An adjustment changes a rule's limit for one mailbox or one domain:
 * ADJUST_LIMIT puts `value` (LIMIT_OFF: not checked) in the limit's place,
 * ADJUST_EXTRA adds `value` to it, ADJUST_EXEMPT (rule and value 0) takes all
 * limits away. It ends by itself at until_ms (UNTIL_LIFTED: never). */
enum adjust_kind { ADJUST_LIMIT, ADJUST_EXTRA, ADJUST_EXEMPT, ADJUST_KIND_COUNT };
extern const char *const adjust_kind_names[ADJUST_KIND_COUNT]; /* "limit", "extra", "exempt" */
struct adjustment {
    char subject[ADDRESS_MAX_BYTES + 1]; /* "alice@example.test" or "@example.test" */
    enum rule rule;
    enum adjust_kind kind;
    bool removed; /* the default holds again */
    int32_t value;
    int64_t until_ms;
    int64_t change; /* answered by store_adjustments: number of the change, rising */
};
/* Set or remove one adjustment; the newest for (subject, rule, kind) holds. 1 or -1. */
int store_adjust(struct store *store, const struct adjustment *adjustment,
                 const struct action *action)
    must_check;
/* Several (1..ADJUST_MAX) in one step, all or none of them, for who has looked at all changes up to
 * number `newest` (INT64_MAX: whatever there is): 0, and nothing is done, when there is a newer
 * one. */
enum { ADJUST_MAX = 2 };
int store_adjust_after(struct store *store, const struct adjustment *adjustments, size_t count,
                       int64_t newest, const struct action *action) must_check;

/* The adjustments changed after change number `after` (0: all in force), in
 * order of change, at most `max`; removed ones are told for a day. Returns 1 and
 * *count_r (< max means: that was all). Cheap when nothing changed: this is
 * asked twice a second. */
int store_adjustments(struct store *store, int64_t after, struct adjustment *adjustments_r,
                      size_t max, size_t *count_r) must_check;

#endif
