/* The store's judgement of a message: one atomic step over everything that can refuse it. Results:
 * store/store.h. */
#ifndef SENDGUARD_STORE_JUDGE_H
#define SENDGUARD_STORE_JUDGE_H

#include "base/arena.h"
#include "rules/outcome.h"
#include "rules/rule.h"
#include "rules/suspension.h"
#include "store/store.h"
#include "store/suspensions.h"

#define TICKET_MS (10 * MINUTE_MS)

struct store_message {
    /* given: */
    int64_t now_ms;
    const char *mailbox;
    enum channel channel;          /* it came in by: says in which histories of the mailbox and of the
                                   IP it counts (history_marks) */
    const char *ip;             /* NULL: counted for no IP; windows of an IP are then not checked.
                                   Not NULL only where the channel counts in a history of an IP */
    const char *id;             /* the submission's id; identity is (mailbox, id, fingerprint) */
    uint64_t fingerprint;       /* of the recipients: the same id for other recipients is another
                                   submission, and replaces the older one under that id */
    uint32_t off_domain;        /* 0..SUBMISSION_MAX_RECIPIENTS */
    bool no_attempt;            /* while suspended: it is refused, and is no attempt */
    bool rejected;                  /* it breaks a rule of one message: look, log, count nothing */
    uint32_t ticket;            /* when it is admitted, leave a ticket for so many recipients under
                                   (mailbox, id), for TICKET_MS; 0: none. An older one under
                                   them is replaced. 0..SUBMISSION_MAX_RECIPIENTS */
    uint32_t redeem;            /* look for a ticket of the mailbox for so many recipients; 0: do
                                   not. 0..SUBMISSION_MAX_RECIPIENTS */
    bool dry_run;               /* answer as if, leave no trace at all */
    bool observe;               /* count it although over or suspended; suspend nobody;
                                   `over` and `suspension` still say what is so */
    uint64_t decision;          /* id of the record to keep (decision.h) */
    const char *facts;          /* JSON object kept with it: what was asked and the limits in
                                   force; its "mailbox" is the mailbox (store_decisions looks) */
    int64_t keep_refused_ms, keep_admitted_ms;
    uint64_t attempt;           /* by what a refused message is known again: two hashes of 4 bytes;
                                   where either is known, it is the same attempt. 0: never known
                                   again, each counts */
    uint32_t retries_before_restart; /* of a `volume` suspension: from this attempt on each one
                                        moves the end, to as long from then as it lasted first */
    struct durations volume;         /* for a suspension that this message brings */
    /* given and answered: */
    struct outcome_window windows[OVER_TIME_COUNT];
    size_t window_count;
    /* answered: */
    enum outcome outcome;
    int64_t at_ms;                /* the moment it was counted or judged at, >= now_ms */
    int64_t ahead_ms;             /* by so much a history was ahead of now_ms, when that was more
                                     than CLOCK_AHEAD_MS; else 0 */
    bool brought;                 /* the suspension begins with this message; in a dry run: would */
    struct suspension suspension; /* the one in force; id 0: none, also where one only would be */
    struct history histories[SUBJECT_COUNT]; /* what the windows hold, for forecasts, with this
                                   message where it was counted; in `arena`. Of refused messages,
                                   of dry runs, and, without `observe`, where a window is over, or
                                   held others before and has no room for one more after this
                                   one. Empty otherwise */
    struct arena *arena;
};

/* Judge and count one message, in one atomic step over all its windows:
 *   1. counted before (same mailbox, id, fingerprint, within 24 h): REPEATED;
 *      it gets a record of its own, kept like an admitted one's.
 *   2. suspended: SUSPENDED; an attempt that is not known yet is counted and may move the end (not
 *      with no_attempt).
 *   2b. a ticket is to be redeemed and there is one that holds: the oldest of them is taken
 *      away (not in a dry run): REDEEMED, with a record kept like an admitted one's.
 *   3. it breaks a rule of one message: REJECTED.
 *   4. a window is over: OVER, or, when such a window suspends and the message
 *      could fit into an empty one, the suspension is made: SUSPENDED, brought.
 *   5. else counted in the histories of the mailbox (24 h) and the IP (1 h): ADMITTED.
 * The decision record (facts, outcome, windows before, moment) is kept in the
 * same step. With `observe`, 2 to 4 count the message all the same and the
 * outcome is ADMITTED. Returns 1 with the answers set, or -1: outcome unknown,
 * and it stays uncounted unless it was counted before the database fell silent. */
int store_judge(struct store *store, struct store_message *message) must_check;

/* The same for several at once (1..JUDGE_MAX), in one transaction or pipeline and in this order;
 * results_r[i] is 1 or -1 for messages[i]. */
enum { JUDGE_MAX = 64 };
void store_judge_all(struct store *store, struct store_message *const *messages, int *results_r,
                     size_t count);

/* The send failed after all: take the message out of the windows, once, and its ticket away.
 * 1 refunded; 0 unknown, refunded already, older than 24 h, or its ticket was redeemed: then
 * the mail server has had a whole message for it, which must not become an uncounted one. */
int store_refund(struct store *store, const char *mailbox, const char *id, int64_t now_ms)
    must_check;

#endif
