/* The effective limits of a mailbox: the settings', changed by the plan and by what staff adjusted
 * for the mailbox or its domain. A copy of the adjustments is kept here and brought up to date
 * before a message is judged whenever it is older than EFFECTIVE_FRESH_MS, by asking the store for
 * changes only. monotonic_ms: the caller's clock_monotonic_ms. Any thread. */
#ifndef SENDGUARD_EFFECTIVE_H
#define SENDGUARD_EFFECTIVE_H

#include "rules/rules.h"
#include "settings/settings.h"
#include "store/adjustments.h"
#include "store/store.h"

enum { EFFECTIVE_FRESH_MS = 500 }; /* adjustments and their removal take effect within a second */

/* Where a limit comes from, for explanations. */
enum limit_source { LIMIT_OF_SETTINGS, LIMIT_OF_PLAN, LIMIT_OF_DOMAIN, LIMIT_OF_MAILBOX,
                    LIMIT_SOURCE_COUNT };
extern const char *const limit_source_names[LIMIT_SOURCE_COUNT]; /* "settings", "plan", … */
/* The plan that was given to the mailbox, or else to its domain. */
struct effective_plan {
    char name[PLAN_NAME_SIZE]; /* "": none */
    bool of_mailbox;
    bool is_lost;     /* the settings have no plan of that name: the settings' limits hold */
    int64_t until_ms; /* UNTIL_LIFTED: no end */
};
struct effective_limits {
    struct limits limits;
    enum limit_source source[RULE_COUNT];
    int32_t extra[RULE_COUNT]; /* part of the limit that is an extra, 0 mostly */
    int32_t without_extra[RULE_COUNT];  /* what extras are added to, also while exempt */
    int64_t until_ms[RULE_COUNT]; /* when one of a plan or of staff ends; UNTIL_LIFTED, also without */
    int64_t extra_until_ms[RULE_COUNT]; /* when the first extra ends; UNTIL_LIFTED, also without */
    struct effective_plan plan;
    bool exempt;               /* no limit holds; all of `limits` are off */
};

struct effective;

struct effective *effective_new(void);
void effective_free(struct effective **effective);

/* Bring the copy up to date if it is too old. 1, or -1: the store did not answer. */
int effective_refresh(struct effective *effective, struct store *store, int64_t monotonic_ms)
    must_check;

/* What staff changed just now shall hold at once: the next effective_refresh asks. */
void effective_outdate(struct effective *effective);

/* Brings the copy up to date, and says up to which change it is. 1 or -1. */
int effective_renew(struct effective *effective, struct store *store, int64_t monotonic_ms,
                    int64_t *newest_r) must_check;

/* The adjustment that `subject` ("alice@example.test", "@example.test") itself has, without the
 * number of its change: 1, or 0: none. */
int effective_adjustment(struct effective *effective, const char *subject, enum rule rule,
                         enum adjust_kind kind, int64_t now_ms, struct adjustment *adjustment_r);

/* The limits for `mailbox` of `domain` at now_ms, beginning with those of the channel: a limit for
 * the mailbox beats one for its domain, which beats one of the plan, which beats the settings;
 * extras of both are added. */
struct effective_limits effective_limits(struct effective *effective,
                                         const struct settings *settings, enum channel channel,
                                         const char *mailbox, const char *domain, int64_t now_ms);
/* The same as they would be with `count` adjustments made that are not. */
struct effective_limits effective_limits_if(struct effective *effective,
                                            const struct settings *settings,
                                            enum channel channel,
                                            const char *mailbox, const char *domain,
                                            const struct adjustment *changes, size_t count,
                                            int64_t now_ms);

/* The mailboxes of `domain` that have adjustments of their own, in `arena`: how many. */
size_t effective_adjusted(struct effective *effective, struct arena *arena, const char *domain,
                          const char ***mailboxes_r);

#endif
