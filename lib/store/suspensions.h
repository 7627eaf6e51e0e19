/* Suspensions of mailboxes: what staff does about them, and who is suspended. A message that
 * exceeds a limit makes one too: judge.h. Results, threads and ownership: store.h. */
#ifndef SENDGUARD_STORE_SUSPENSIONS_H
#define SENDGUARD_STORE_SUSPENSIONS_H

#include "message/submission.h"
#include "rules/suspension.h"
#include "store/audit.h"
#include "store/store.h"

/* A suspension knows so many attempts; further ones are counted and do not move its end. */
enum { ATTEMPTS_KNOWN = 1000 };

/* Suspends the mailbox for that cause, beside what holds for others. One of the same cause is
 * replaced, and the new one does not end before it. `durations` (1..DURATIONS_MAX of them) give its
 * length by the number of the offence. Returns 1 (*suspension_r: the new one) or -1.
 * Source: rules/suspension.h. */
int store_suspend(struct store *store, const char *mailbox, enum cause cause,
                  const struct durations *durations, const struct action *action,
                  struct suspension *suspension_r) must_check;
/* Ends the suspension of that cause; keeps the counts and the others. Returns 1 lifted, 0 there was
 * none of that cause, -1. */
int store_lift(struct store *store, const char *mailbox, enum cause cause,
               const struct action *action) must_check;
/* Puts a suspension that was lifted at most UNDO_MS before back as it was. `newest`: number of the
 * newest entry of the audit log about the mailbox, as the caller has read it. Returns 1; 0 with
 * *why_r, and nothing is done; -1. The entry that is written is the caller's. */
enum unlift {
    UNLIFT_CHANGED,  /* there is a newer entry about the mailbox: read the log again */
    UNLIFT_REPLACED, /* another suspension of the cause began since */
    UNLIFT_ENDED,    /* it would have ended by itself meanwhile */
    UNLIFT_GONE      /* it is not known any more, or is none that was lifted */
};
int store_unlift(struct store *store, enum cause cause, int64_t id, int64_t newest,
                 const struct audited *audited, enum unlift *why_r) must_check;

struct suspended {
    char mailbox[ADDRESS_MAX_BYTES + 1];
    struct suspensions suspensions;
};
/* The mailboxes suspended at now_ms, in order of name, those after `after` ("": from the first).
 * Returns 1 or -1. */
int store_suspended(struct store *store, const char *after, int64_t now_ms,
                    struct suspended *suspended_r, struct store_page *page) must_check;

/* Counts the suspensions of that cause that began within the last 30 days, ended ones too: the next
 * is offence number *count_r + 1. Returns 1 or -1. */
int store_offences(struct store *store, const char *mailbox, enum cause cause, int64_t now_ms,
                   uint32_t *count_r) must_check;

#endif
