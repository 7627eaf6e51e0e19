/* Adjustments: limits that staff changed for one mailbox or one domain. Results, threads and
 * ownership: store.h. */
#ifndef SENDGUARD_STORE_ADJUSTMENTS_H
#define SENDGUARD_STORE_ADJUSTMENTS_H

#include "message/submission.h"
#include "rules/rule.h"
#include "store/audit.h"
#include "store/store.h"

enum adjust_kind {
    ADJUST_LIMIT,  /* `value` (LIMIT_OFF: not checked) takes the limit's place */
    ADJUST_EXTRA,  /* `value` is added to the limit */
    ADJUST_EXEMPT, /* no limit holds; rule and value are 0 */
    ADJUST_PLAN,   /* the limits of `plan` hold; the same */
    ADJUST_KIND_COUNT
};
extern const char *const adjust_kind_names[ADJUST_KIND_COUNT]; /* "limit", "extra", "exempt", … */
/* Whether it is about one rule: an exemption and a plan are about all. */
static inline bool adjust_kind_has_rule(enum adjust_kind kind)
{
    return kind == ADJUST_LIMIT || kind == ADJUST_EXTRA;
}
struct adjustment {
    char subject[ADDRESS_MAX_BYTES + 1]; /* "alice@example.test" or "@example.test" */
    enum rule rule;
    enum adjust_kind kind;
    bool removed; /* the default holds again */
    int32_t value;
    char plan[PLAN_NAME_SIZE]; /* of a plan; the stores keep it in the value's place */
    int64_t until_ms; /* it ends by itself; UNTIL_LIFTED: never */
    int64_t change;   /* set by store_adjustments: number of the change, rising */
};

/* Sets or removes one adjustment; the newest for (subject, rule, kind) holds. Returns 1 or -1. */
int store_adjust(struct store *store, const struct adjustment *adjustment,
                 const struct action *action) must_check;
/* Sets several (1..ADJUST_MAX), all or none, for a caller that knows of all changes up to number
 * `newest` (INT64_MAX: whatever there is). Returns 1; 0, nothing done, when there is a newer
 * change; -1. */
enum { ADJUST_MAX = 2 };
int store_adjust_after(struct store *store, const struct adjustment *adjustments, size_t count,
                       int64_t newest, const struct action *action) must_check;
/* The same, for a caller that writes its own entries into the audit log: audited[i] of
 * adjustments[i]. */
int store_adjust_back(struct store *store, const struct adjustment *adjustments, size_t count,
                      int64_t newest, const struct audited *audited) must_check;

/* The adjustments changed after change number `after` (0: all in force), in order of change; a
 * removed one is listed for a day. Returns 1 or -1. Cheap when nothing changed: each process asks
 * twice a second. A rule or kind of a newer version comes as RULE_COUNT, and changes nothing. */
int store_adjustments(struct store *store, int64_t after, struct adjustment *adjustments_r,
                      struct store_page *page) must_check;

#endif
