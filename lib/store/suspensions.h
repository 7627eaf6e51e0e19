/* Suspensions of mailboxes: what staff does about them, and who is suspended. A message that
 * exceeds a limit makes one too: judge.h. Results, threads and ownership: store.h. */
#ifndef SENDGUARD_STORE_SUSPENSIONS_H
#define SENDGUARD_STORE_SUSPENSIONS_H

#include "message/submission.h"
#include "rules/suspension.h"
#include "store/audit.h"
#include "store/store.h"

struct suspension {
    int64_t id; /* > 0; 0 means: there is none */
    enum cause cause;
    int64_t since_ms, until_ms; /* until_ms may be UNTIL_LIFTED */
    uint32_t attempts;          /* other messages refused since */
    uint32_t offence;           /* 1 for the first of this cause in 30 days, 2 for the second … */
    char by[64];                /* "guard", or who of the staff */
    char note[256];             /* "messages_per_day" (the rule), or the note of the staff */
};

/* A suspension knows so many attempts; further ones are counted and do not move its end. */
enum { ATTEMPTS_KNOWN = 1000 };

/* Suspends the mailbox, or replaces the suspension in force. `durations` (1..DURATIONS_MAX of them)
 * give its length by the number of the offence. Returns 1 (*suspension_r: what holds now) or -1.
 * Source: rules/suspension.h. */
int store_suspend(struct store *store, const char *mailbox, enum cause cause,
                  const struct durations *durations, const struct action *action,
                  struct suspension *suspension_r) must_check;
/* Ends the suspension; keeps the counts. Returns 1 lifted, 0 the mailbox was not suspended, -1. */
int store_lift(struct store *store, const char *mailbox, const struct action *action) must_check;

struct suspended {
    char mailbox[ADDRESS_MAX_BYTES + 1];
    struct suspension suspension;
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
