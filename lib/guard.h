/* The guard: decides on one message. Settings and adjustments give the limits,
 * rules and store the counts; out comes a verdict, and a record of it that
 * `explain` can read later. Knows no protocol. All functions: any thread. */
#ifndef SENDGUARD_GUARD_H
#define SENDGUARD_GUARD_H

#include "settings.h"
#include "store.h"
#include "token.h"
#include "verdict.h"

struct guard;

/* `store` and `key` stay the caller's and must outlive the guard; `settings` is taken. */
struct guard *guard_new(struct store *store, const struct token_key *key,
                        struct settings *settings);
void guard_free(struct guard **guard);

/* Put new settings (taken) in the place of the old; messages under judgement
 * finish with those they began with. Histories are kept: limits are no part of a key. */
void guard_reload(struct guard *guard, struct settings *settings);

/* Judge, and unless dry_run count and record. Always fills *verdict_r (in the
 * submission's arena): when the store does not answer, as store.on_failure says.
 * Returns 1, or -1 when the store did not answer (store_error() says why). */
int guard_judge(struct guard *guard, const struct submission *submission, bool dry_run,
                int64_t now_ms, struct verdict *verdict_r) must_check;

/* Give a charge back, see store_give_back. 1, 0, -1. */
int guard_give_back(struct guard *guard, const char *mailbox, const char *id, int64_t now_ms)
    must_check;

#endif
