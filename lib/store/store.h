/* The store: what was counted, who is suspended, which limits staff changed,
 * what was decided. One interface, two backends behind it: SQLite (one machine)
 * and Redis (several). The store adds unless over, and returns what it saw; no
 * rule of sending lives here.
 *
 * Every operation is atomic and answers 1 yes, 0 no, -1 don't know; after -1
 * store_error() says why. "Don't know" of an operation that changes something means:
 * done once or not at all. Every call returns within about the timeout given
 * to store_open, whatever the database does, and works again by itself when
 * the database does.
 *
 * Time: callers pass now_ms. A history never runs backwards: a message judged
 * at an earlier time than its mailbox's or IP's newest entry is counted at
 * that entry's time (clocks of several machines differ by a little). What is
 * further ahead than CLOCK_AHEAD_MS was stamped by a clock that was wrong: it is
 * taken as of now from then on, and message->ahead_ms says so.
 *
 * One struct store a process; all functions may be called from any thread.
 * Messages that wait at the same moment go to the database together, in one
 * transaction or pipeline. Mailboxes, domains and IPs are in key form
 * (submission.h). Strings are copied. */
#ifndef SENDGUARD_STORE_H
#define SENDGUARD_STORE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/problem.h"
#include "rules/outcome.h"
#include "rules/rules.h"
#include "rules/suspension.h"

struct store;

#define CLOCK_AHEAD_MINUTES 5 /* a bare number: it is also text in SQL */
#define CLOCK_AHEAD_MS (CLOCK_AHEAD_MINUTES * MINUTE_MS)

/* sqlite:///absolute/path · redis://HOST:PORT/DB · redis+unix:///absolute/path[?db=N].
 * timeout_ms: 1..60000. 1; or 0 with *problem filled when the URL is no URL of ours.
 * A database that cannot be reached now is no error here: each operation answers -1 until it can.
 * A SQLite file that does not exist is made now (mode 0600) or, if that fails,
 * at a later call; once it was there and has gone, no new one is made: operations
 * answer -1 until it is back. */
int store_open(const char *url, int timeout_ms, struct store **store_r, struct problem *problem)
    must_check;
/* The same for somebody who only looks: makes no SQLite file. */
int store_open_existing(const char *url, int timeout_ms, struct store **store_r,
                        struct problem *problem) must_check;
/* For a start: 1 the database answers (*made_r: a SQLite file was made just now); 0 it will not
 * before somebody mends it: no directory for it, no right to write, another program's database, a
 * newer version's; -1 it does not answer now. store_error says why. */
int store_examine(struct store *store, bool *made_r) must_check;
/* For who only asks what a start would find: store_examine's answer after store_open, but makes and
 * changes nothing: no file, no schema, no mode. *problem says why it is not 1. */
int store_check(const char *url, int timeout_ms, struct problem *problem) must_check;
void store_free(struct store **store);

/* Why this thread's last -1 came. Valid until its next call. */
const char *store_error(const struct store *store);
/* For a thread that takes over another's -1: makes `why` its store_error. Returns -1. */
int store_fail(struct store *store, const char *why);

/* ---- suspensions ------------------------------------------------------- */

struct suspension {
    int64_t id; /* > 0; 0 means: there is none */
    enum cause cause;
    int64_t since_ms, until_ms; /* until_ms may be UNTIL_LIFTED */
    uint32_t attempts;          /* other messages refused since */
    uint32_t offence;           /* 1 for the first of this cause in 30 days, 2 for the second … */
    char by[64];                /* "guard" or who of the staff */
    char note[256];             /* "messages_per_day" (the rule), or the note of the staff */
};

/* ---- one message -------------------------------------------------------- */

#define TICKET_MS (10 * MINUTE_MS)
enum { ATTEMPTS_KNOWN = 1000 }; /* of a suspension; what comes beyond is counted and moves nothing */

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

/* ---- actions of staff -------------------------------------------------------
 * `by` (1..63 bytes) and `note` (1..255 bytes) go to the audit log in the same step. */

struct action {
    int64_t now_ms;
    const char *by, *note;
};

/* Suspend, or replace the suspension in force. *suspension_r is what holds now. 1 or -1. */
int store_suspend(struct store *store, const char *mailbox, enum cause cause,
                  const struct durations *durations, const struct action *action,
                  struct suspension *suspension_r) must_check;
/* End the suspension, keep the counts. 1 lifted, 0 was not suspended. */
int store_lift(struct store *store, const char *mailbox, const struct action *action) must_check;
/* Forget what the mailbox's windows hold, of every channel, keep a suspension. 1, also when there
 * was nothing. */
int store_reset(struct store *store, const char *mailbox, const struct action *action) must_check;

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
 * number `newest` (INT64_MAX: whatever there is): 0, and nothing is done, when there is a newer one. */
enum { ADJUST_MAX = 2 };
int store_adjust_after(struct store *store, const struct adjustment *adjustments, size_t count,
                       int64_t newest, const struct action *action) must_check;

/* The adjustments changed after change number `after` (0: all in force), in
 * order of change, at most `max`; removed ones are told for a day. Returns 1 and
 * *count_r (< max means: that was all). Cheap when nothing changed: this is
 * asked twice a second. */
int store_adjustments(struct store *store, int64_t after, struct adjustment *adjustments_r,
                      size_t max, size_t *count_r) must_check;

/* ---- reading ------------------------------------------------------------- */

/* What the store knows of a mailbox; a mailbox never seen has an empty account. */
struct account {
    struct history history;       /* the last 24 h of what its user sent, in `arena` */
    struct suspension suspension; /* in force at now_ms; id 0: none */
};
int store_account(struct store *store, struct arena *arena, const char *mailbox, int64_t now_ms,
                  struct account *account_r) must_check;

/* The mailboxes suspended at now_ms, in order of name, after `after` ("" for
 * the first page). 1 and *count_r. */
struct suspended {
    char mailbox[ADDRESS_MAX_BYTES + 1];
    struct suspension suspension;
};
int store_suspended(struct store *store, const char *after, int64_t now_ms,
                    struct suspended *suspended_r, size_t max, size_t *count_r) must_check;

/* The suspensions of that cause within the last 30 days, ended ones too: the next
 * is offence number *count_r + 1. 1 or -1. */
int store_offences(struct store *store, const char *mailbox, enum cause cause, int64_t now_ms,
                   uint32_t *count_r) must_check;

/* A kept decision: 1, or 0 when there is none (any longer). */
struct record {
    uint64_t decision;
    int64_t at_ms;
    enum outcome outcome;
    size_t window_count; /* windows in the order the message was judged */
    struct {
        enum rule rule;
        uint64_t used_before;
    } windows[OVER_TIME_COUNT];
    const char *facts; /* in `arena` */
};
int store_record(struct store *store, struct arena *arena, uint64_t decision, int64_t now_ms,
                 struct record *record_r) must_check;

/* Kept decisions, the newest first, those with an id below `before` (UINT64_MAX:
 * from the newest), at most `max`. Of one mailbox: the refused ones as long as
 * they are kept, the admitted ones as long as they count (24 h). mailbox NULL:
 * of all (Redis remembers the order of the last 100,000). 1 and *count_r. */
int store_decisions(struct store *store, struct arena *arena, const char *mailbox,
                    uint64_t before, int64_t now_ms, struct record *records_r, size_t max,
                    size_t *count_r) must_check;

/* What the windows of a mailbox (24 h) or an IP (1 h) hold, in `arena`. name: history_name. */
int store_history(struct store *store, struct arena *arena, enum subject subject,
                  const char *name, int64_t now_ms, struct history *history_r) must_check;

/* ---- the audit log: append-only --------------------------------------------- */

struct audit {
    int64_t number, at_ms;
    char by[64], action[24], subject[ADDRESS_MAX_BYTES + 1], note[256];
    char detail[512]; /* what was so before and after, a JSON object; {} when there is nothing:
                         suspend {"before":null or suspension,"after":suspension},
                         lift {"before":suspension,"after":null},
                         reset {"before":{"messages":3,"off_domain":7,"forwarded":2 (absent when
                         0)},"after":{…0}},
                         limit and extra {"rule":…,"before":null or {"value":5 or null,"until":null
                         or moment},"after":…}, value null: off, the whole null: none; exempt
                         {"before":…,"after":…}. A suspension is
                         {"id":1,"cause":…,"since":moment,"until":moment or null,"attempts":0} */
};
/* After entry `after` (0: from the start), in order. 1 and *count_r. */
int store_audit(struct store *store, int64_t after, struct audit *audit_r, size_t max,
                size_t *count_r) must_check;
/* The newest first, below number `before` (INT64_MAX: from the newest); of one
 * subject, or of all with NULL. 1 and *count_r. */
int store_audit_newest(struct store *store, const char *subject, int64_t before,
                       struct audit *audit_r, size_t max, size_t *count_r) must_check;

/* An entry about something that is no operation on the store: a note on a mailbox,
 * a change of staff. detail is JSON, at most 511 bytes. */
struct audited {
    const char *name, *subject, *detail; /* name 1..23 bytes, subject as in struct audit */
    const struct action *action;
};
int store_write_audit(struct store *store, const struct audited *audited) must_check;

/* ---- what programs keep for themselves ------------------------------------------ */

/* Texts under a key, each kind for itself: accounts of staff, tokens, sessions.
 * They end at until_ms (UNTIL_LIFTED: never). key: 1..KEPT_KEY_MAX bytes;
 * value: at most KEPT_VALUE_MAX bytes. */
enum kept_kind { KEPT_STAFF, KEPT_TOKEN, KEPT_SESSION, KEPT_BLOCK, KEPT_TRIES, KEPT_KNOWN,
                 KEPT_KIND_COUNT };
extern const char *const kept_kind_names[KEPT_KIND_COUNT];
enum { KEPT_KEY_MAX = 360, KEPT_VALUE_MAX = 16 * 1024 };
struct kept {
    const char *key, *value; /* in `arena` */
    int64_t until_ms;
};
/* Put, or replace. `audited` (NULL: none) is written in the same step. 1 or -1. */
int store_keep(struct store *store, enum kept_kind kind, const struct kept *kept, int64_t now_ms,
               const struct audited *audited) must_check;
/* Put where nothing is yet: 1, or 0 when the key is taken (nothing is written). */
int store_keep_new(struct store *store, enum kept_kind kind, const struct kept *kept,
                   int64_t now_ms, const struct audited *audited) must_check;
/* Put where `before` is what is kept: 1, or 0 when it is not so (any longer). */
int store_keep_over(struct store *store, enum kept_kind kind, const struct kept *kept,
                    const char *before, int64_t now_ms, const struct audited *audited) must_check;
int store_kept(struct store *store, struct arena *arena, enum kept_kind kind, const char *key,
               int64_t now_ms, struct kept *kept_r) must_check; /* 1, 0 none, -1 */
int store_forget(struct store *store, enum kept_kind kind, const char *key, int64_t now_ms,
                 const struct audited *audited) must_check; /* 1, 0 was not there, -1 */
/* By key, after `after` ("" for the first page). 1 and *count_r. */
int store_kept_list(struct store *store, struct arena *arena, enum kept_kind kind,
                    const char *after, int64_t now_ms, struct kept *kept_r, size_t max,
                    size_t *count_r) must_check;

/* One try of something that may be tried `max` times (1..TRIES_MAX) in any
 * span_ms, atomically: 1 it is counted, *count_r tries with it; 0 there were so
 * many already, nothing is counted, *free_at_r is when the oldest leaves. Tries further
 * ahead than CLOCK_AHEAD_MS are forgotten.
 * store_forget(…, KEPT_TRIES, key, …) forgets them all. */
int store_try(struct store *store, const char *key, int64_t now_ms, int64_t span_ms, uint32_t max,
              uint32_t *count_r, int64_t *free_at_r) must_check;

/* ---- what the programs saw ------------------------------------------------------------
 * Indexes and counts for staff and monitoring, told in bundles beside the
 * judging (recorder.h); nothing is judged by them. */

struct sighting { /* a mailbox sent from an IP; kept for 24 h */
    const char *mailbox, *domain; /* the mailbox's */
    const char *ip;               /* NULL: unknown */
    int64_t at_ms;
};
struct near_limit { /* a window that is filled to four fifths or more */
    enum rule rule;
    char key[HISTORY_NAME_SIZE]; /* of the mailbox or IP, as the rule's subject is: history_name */
    int64_t at_ms;                   /* when that was seen last */
};
enum { COUNTER_NAME_SIZE = 80 };
struct counter {
    char name[COUNTER_NAME_SIZE]; /* as the recorder calls it */
    uint64_t value;               /* to add; as read: the sum */
};
struct observations {
    const struct sighting *sightings;
    const struct near_limit *nears;
    const struct counter *counters;
    size_t sighting_count, near_count, counter_count;
};
enum { OBSERVATIONS_MAX = 192 }; /* of each kind in one call, so that nobody waits long for it */
/* All of it in one step: 1 or -1. */
int store_observe(struct store *store, const struct observations *observations, int64_t now_ms)
    must_check;

/* The mailboxes that sent from an IP, or those of a domain that sent, within
 * the last 24 h, by name, after `after`. 1 and *count_r. */
enum sender_of { SENDERS_OF_IP, SENDERS_OF_DOMAIN };
struct sender {
    char mailbox[ADDRESS_MAX_BYTES + 1];
    int64_t last_ms; /* seen last, to the hour */
};
int store_senders(struct store *store, enum sender_of of, const char *key, const char *after,
                  int64_t now_ms, struct sender *senders_r, size_t max, size_t *count_r)
    must_check;

/* Windows seen near their limit within their length, the newest first; they may
 * have emptied since. 1 and *count_r. */
int store_near(struct store *store, int64_t now_ms, struct near_limit *near_r, size_t max,
               size_t *count_r) must_check;

/* All counters, by name, after `after`. 1 and *count_r. */
int store_counters(struct store *store, const char *after, struct counter *counters_r, size_t max,
                   size_t *count_r) must_check;

/* Remove what nobody needs any longer: histories, ids, records and suspensions
 * past their time. A little of it is done with every operation, so nobody has to call
 * this; tests do, to see all of it gone. 1 or -1. */
int store_sweep(struct store *store, int64_t now_ms) must_check;

#endif
