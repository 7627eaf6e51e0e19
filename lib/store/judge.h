/* The store's judgement of a message: one atomic step over everything that can refuse it. Answers
 * 1, 0 and -1: store/store.h. */
#ifndef SENDGUARD_STORE_JUDGE_H
#define SENDGUARD_STORE_JUDGE_H

#include "base/arena.h"
#include "message/channel.h"
#include "rules/failure_in_force.h"
#include "rules/held.h"
#include "rules/outcome.h"
#include "rules/profile.h"
#include "rules/rule.h"
#include "rules/suspension.h"
#include "rules/window.h"
#include "store/store.h"
#include "store/suspensions.h"

#define TICKET_MS (10 * MINUTE_MS)
/* Beside the number of recipients that the databases keep of a ticket: its message is to wait. */
enum { TICKET_WAITS = 0x8000 };

/* A rolling window that the message must fit into. */
struct judge_window {
    enum rule rule;
    int32_t limit; /* LIMIT_OFF: shown, not checked */
    bool suspends; /* exceeding it suspends the mailbox, unless the message could never fit */
};

/* What of a message enters the profile of its mailbox. */
struct judge_profile {
    const uint64_t *recipients; /* hashes as struct profile_message has them, rising */
    size_t recipient_count;     /* up to SUBMISSION_MAX_RECIPIENTS */
    uint64_t network;           /* 0: not known */
    struct unusual_limits limits;
    enum unusual_action action; /* when it is unusual; UNUSUAL_NOTE where `observe` is set */
    uint64_t tried; /* of UNUSUAL_DEFER: a hash, of PROFILE_HASH_BITS, by which the message is known when it
                       is tried again */
};

/* A state of a mailbox' profile, which no other one has. */
struct profile_state {
    uint32_t version; /* 0: none */
    int64_t until_ms;
};
/* What the step tells of the profile, for the process to remember (profile_memory.h): how the message
 * found it, how it is now, and profile_change's same_until. 0, the others undefined: nothing. */
struct profile_told {
    struct profile_state before, now;
    int64_t same_until;
};

/* What the record keeps of the message, as bytes that the store does not read (guard/packing.h). */
struct record_facts {
    const void *bytes;
    size_t length;          /* up to FACTS_MAX_BYTES */
    size_t admitted_length; /* of these, so many when the message passes */
};
enum { FACTS_MAX_BYTES = 65536 };

/* A message, and how it is to be judged. The caller keeps all that it points to. */
struct judge_request {
    int64_t now_ms;
    int64_t sent_ms; /* when it was sent, before now_ms: it counts as of then, and tickets as of
                        now_ms; with `observe` only. 0: it is sent now */
    const char *mailbox;
    enum channel channel; /* it came in by: says in which histories of the mailbox and of the IP it
                             counts (history_marks) */
    const char *ip;       /* NULL: counted for no IP; windows of an IP are then not checked. Not
                             NULL only where the channel counts in a history of an IP */
    const char *group;    /* history_domain_key of the sender domain that it counts for too; NULL:
                             for none; windows of a domain are then not checked. Not
                             NULL only where the channel counts in a history of a domain */
    const char *domain;   /* of the sender, whose block (VALUE_BLOCK) concerns the message; NULL: no
                             block does */
    bool mailbox_blocks;  /* a block of the mailbox concerns it too; with a domain only */
    const char *id;       /* the submission's id; identity is (mailbox, id, fingerprint) */
    uint64_t fingerprint; /* of the recipients: the same id for other recipients is another
                             submission, and replaces the older one under that id */
    const uint64_t *recipients; /* hashes of those of the message, each once: it counts for each pair of
                                   its mailbox and one of them */
    size_t recipient_count; /* 0: it counts for no pair, and a window of recipients is not checked; up
                               to SUBMISSION_MAX_RECIPIENTS; not of a channel that forwards */
    const struct judge_profile *profile; /* NULL: it changes no profile, and is never unusual */
    const char *queue_id; /* under which the mail server has it, at most HELD_QUEUE_ID_MAX bytes are
                             kept; NULL: it does not have it yet */
    uint32_t recipients_in_all; /* 0..SUBMISSION_MAX_RECIPIENTS */
    uint32_t off_domain;  /* recipients outside the sender's own domains,
                             0..SUBMISSION_MAX_RECIPIENTS */
    bool no_attempt;      /* a suspension refuses it, but does not count it as an attempt */
    bool rejected;        /* it breaks a rule of one message: the store keeps a record of it
                             and counts nothing */
    uint32_t ticket;      /* when it is admitted, leave a ticket for so many recipients under
                             (mailbox, id), for TICKET_MS; 0: none. It replaces an older one under
                             them, and says whether the message is to wait.
                             0..SUBMISSION_MAX_RECIPIENTS */
    uint32_t redeem;      /* look for a ticket of the mailbox for so many recipients; 0: do not.
                             0..SUBMISSION_MAX_RECIPIENTS */
    bool dry_run;         /* answer, change nothing */
    bool observe;         /* count it although over, blocked or suspended; suspend no mailbox; the
                             result's windows, block and suspension still say what is so */
    uint64_t decision;    /* id to keep the record under (decision.h), of judge_moment; 0: dry run */
    struct record_facts facts;
    int64_t keep_refused_ms, keep_admitted_ms; /* the record's lifetime, by outcome */
    uint64_t attempt; /* two hashes of 4 bytes; a refused message of which either is known is the
                         same attempt. 0: never the same, each counts */
    uint32_t retries_before_restart; /* of a `volume` suspension: from this attempt on each one
                                        moves the end, to as long from then as it lasted first */
    struct durations volume;         /* for a suspension that this message brings */
    struct judge_window windows[OVER_TIME_COUNT];
    size_t window_count;
    struct arena *arena; /* for the result's histories */
};

/* As of when it counts, where no history is ahead. */
static inline int64_t judge_moment(const struct judge_request *request)
{
    return request->sent_ms != 0 ? request->sent_ms : request->now_ms;
}

/* Of a pair of a mailbox and a recipient so many messages are kept, the newest; a limit of a window
 * of recipients is not higher. */
enum { PAIR_MESSAGES_MAX = 10000 };

/* A recipient whose window the message does not fit into. */
struct judge_recipient {
    size_t place;    /* in the request */
    uint64_t used;   /* before the message */
    int64_t fits_ms; /* from when on one more fits, if nothing is counted meanwhile; WINDOW_NEVER */
};

struct judge_result {
    enum outcome outcome;
    uint64_t decision; /* the id that the record is kept under: the request's, or, where the
                          database has records of later moments already, one with a later time;
                          0 in a dry run */
    int64_t at_ms;    /* the moment it was counted or judged at, >= judge_moment */
    int64_t ahead_ms; /* by so much a history was ahead of now_ms, when that was more than
                         CLOCK_AHEAD_MS; else 0 */
    bool brought;     /* the suspension begins with this message; in a dry run: would */
    struct suspensions suspensions; /* that hold, also the one that this message brought; none where
                                       one only would begin */
    struct failure_in_force block; /* that holds, of the domain or the mailbox; of both the one that
                                      ends later; zeroed: none */
    bool block_damaged; /* what is kept of a block is damaged, and blocks nobody */
    struct unusual unusual; /* of a message that is counted or deferred (in a dry run: would be), and
                               the action of one that is repeated or redeemed and waits; zeroed: it is
                               not unusual */
    struct profile_state usual_in; /* between store and database: in that state of its profile the
                                      message changes nothing of it; version 0: in none that is known */
    struct profile_told profile;   /* the same; undefined after a dry run */
    struct outcome_window windows[OVER_TIME_COUNT]; /* the request's, in its order, with what the
                                                       store saw in them */
    size_t window_count;          /* A window of recipients is that of the one which has room last; or,
                                     where all have room, which was sent most. */
    struct judge_recipient *over; /* those that have no room, in the request's order; in its arena */
    size_t over_count;
    struct history of_recipient; /* what that one window of recipients holds; as `histories` */
    struct history histories[SUBJECT_COUNT]; /* what the windows hold, for forecasts, with this
                                   message where it was counted; in the request's arena. Of refused
                                   messages, of dry runs, and, without `observe`, where a window is
                                   over, or held others before and has no room for one more after
                                   this one. Empty otherwise */
};

/* Judge and count one message, in one atomic step over all its windows:
 *   1. counted before (same mailbox, id, fingerprint, within 24 h): REPEATED;
 *      it gets a record of its own, kept like an admitted one's.
 *   2. suspended: SUSPENDED; each suspension counts an attempt that it does not know yet, which may
 *      move the end of one for `volume` (not with no_attempt).
 *   2b. a ticket is to be redeemed and there is one that holds: the oldest of them is taken
 *      away (not in a dry run): REDEEMED, with a record kept like an admitted one's.
 *   2c. a block of its domain or its mailbox holds at now_ms: BLOCKED.
 *   3. it breaks a rule of one message: REJECTED.
 *   4. a window is over: OVER, or, when such a window suspends and the message
 *      could fit into an empty one, the suspension is made: SUSPENDED, brought.
 *   4b. it is unusual, and its profile's action is UNUSUAL_DEFER: UNUSUAL.
 *   5. else counted in the histories of the mailbox (24 h), the IP and the domain (1 h), and for each
 *      of its recipients (24 h): ADMITTED. It enters the profile of its mailbox, which says whether
 *      it is unusual, and whether it waits (UNUSUAL_HOLD); a refund does not take it out of there.
 * A message that waits still does when it is repeated, and its ticket says it to the one that redeems
 * it, while the hold is on; with new recipients that one waits by itself, since tickets know their
 * number alone. What is unusual is listed (VALUE_HELD), what waits with its decision and queue id.
 * The decision record (facts, outcome, windows before, moment, what is unusual) is kept in the
 * same step. With `observe`, 2 to 4 count the message all the same and the
 * outcome is ADMITTED.
 * Returns 1; or -1, *result_r undefined: the outcome is unknown, and the message stays uncounted
 * unless it was counted before the database fell silent, or without enough replicas (store.h).
 * Source: docs/store.md, "What becomes of a message"; the decision is outcome_decide's. */
int store_judge(struct store *store, const struct judge_request *request,
                struct judge_result *result_r) must_check;

/* One of several that are judged at once. */
struct judge_task {
    const struct judge_request *request;
    struct judge_result *result_r;
    int answer; /* of store_judge_all: as store_judge returns it */
};
/* Judges several (1..JUDGE_MAX) at once, in one transaction or pipeline and in this order. */
enum { JUDGE_MAX = 64 };
void store_judge_all(struct store *store, struct judge_task *tasks, size_t count);

/* The send failed after all: take the message out of the windows, once, and its ticket away.
 * 1 refunded; 0 unknown, refunded already, older than 24 h, or its ticket was redeemed: then
 * the mail server has had a whole message for it, which must not become an uncounted one; -1. */
int store_refund(struct store *store, const char *mailbox, const char *id, int64_t now_ms)
    must_check;

#endif
