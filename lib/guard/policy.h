/* Which limits hold for a mailbox now: the settings', changed by what staff
 * adjusted for the mailbox or its domain. A copy of the adjustments is kept
 * here and brought up to date before a message is judged whenever it is older
 * than POLICY_FRESH_MS, by asking the store for changes only. Any thread. */
#ifndef SENDGUARD_POLICY_H
#define SENDGUARD_POLICY_H

#include "rules/rules.h"
#include "store/adjustments.h"
#include "store/store.h"

enum { POLICY_FRESH_MS = 500 }; /* adjustments and their removal action within a second */

/* Where a limit comes from, for explanations. */
enum limit_source { LIMIT_OF_SETTINGS, LIMIT_OF_DOMAIN, LIMIT_OF_MAILBOX };
struct policy_limits {
    struct limits limits;
    enum limit_source source[RULE_COUNT];
    int32_t extra[RULE_COUNT]; /* part of the limit that is an extra, 0 mostly */
    int32_t without_extra[RULE_COUNT];  /* what extras are added to, also while exempt */
    int64_t until_ms[RULE_COUNT];       /* when an adjusted limit ends; UNTIL_LIFTED, also without */
    int64_t extra_until_ms[RULE_COUNT]; /* when the first extra ends; UNTIL_LIFTED, also without */
    bool exempt;               /* no limit holds; all of `limits` are off */
};

struct policy;

struct policy *policy_new(void);
void policy_free(struct policy **policy);

/* Bring the copy up to date if it is too old. 1, or -1: the store did not answer. */
int policy_refresh(struct policy *policy, struct store *store) must_check;

/* What staff changed just now shall hold at once: the next policy_refresh asks. */
void policy_outdate(struct policy *policy);

/* Brings the copy up to date, and says up to which change it is. 1 or -1. */
int policy_renew(struct policy *policy, struct store *store, int64_t *newest_r) must_check;

/* The adjustment that `subject` ("alice@example.test", "@example.test") itself has, without the
 * number of its change: 1, or 0: none. */
int policy_adjustment(struct policy *policy, const char *subject, enum rule rule,
                      enum adjust_kind kind, int64_t now_ms, struct adjustment *adjustment_r);

/* The limits for `mailbox` of `domain` at now_ms, beginning with `defaults`: a limit
 * for the mailbox beats one for its domain, which beats the settings; extras
 * of both are added. */
struct policy_limits policy_limits(struct policy *policy, const struct limits *defaults,
                                   const char *mailbox, const char *domain, int64_t now_ms);
/* The same as they would be with `count` adjustments made that are not. */
struct policy_limits policy_limits_if(struct policy *policy, const struct limits *defaults,
                                      const char *mailbox, const char *domain,
                                      const struct adjustment *changes, size_t count,
                                      int64_t now_ms);

/* The mailboxes of `domain` that have adjustments of their own, in `arena`: how many. */
size_t policy_adjusted(struct policy *policy, struct arena *arena, const char *domain,
                       const char ***mailboxes_r);

#endif
