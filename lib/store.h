/* The ledger: what was counted, who is suspended, which limits staff changed,
 * what was decided. One interface, two rooms behind it: SQLite (one machine)
 * and Redis (several). The store adds unless over, and returns what it saw; no
 * rule of sending lives here.
 *
 * Every act is atomic and answers 1 yes, 0 no, -1 don't know; after -1
 * store_error() says why. "Don't know" of an act that changes something means:
 * done once or not at all. Every call returns within about the timeout given
 * to store_open, whatever the database does, and works again by itself when
 * the database does.
 *
 * Time: callers pass now_ms. A history never runs backwards: a message judged
 * at an earlier time than its mailbox's or IP's newest entry is counted at
 * that entry's time (clocks of several machines differ by a little).
 *
 * One struct store a process; all functions may be called from any thread.
 * Messages that wait at the same moment go to the database together, in one
 * transaction or pipeline. Mailboxes, domains and IPs are in key form
 * (submission.h). Strings are copied. */
#ifndef SENDGUARD_STORE_H
#define SENDGUARD_STORE_H

#include <stdbool.h>

#include "arena.h"
#include "rules.h"

struct store;

/* sqlite:///absolute/path · redis://HOST:PORT/DB · redis+unix:///absolute/path[?db=N].
 * timeout_ms: 1..60000. 1; or 0 with *problem filled when the URL is no URL of ours.
 * A database that cannot be reached now is no error here: each act answers -1 until it can.
 * A SQLite file that does not exist is made now (mode 0660) or, if that fails,
 * at a later call; once it was there and has gone, no new one is made: acts
 * answer -1 until it is back. */
int store_open(const char *url, int timeout_ms, struct store **store_r, struct problem *problem)
    must_check;
void store_free(struct store **store);

/* Why this thread's last -1 came. Valid until its next call. */
const char *store_error(const struct store *store);
/* For a thread that takes over another's -1: makes `why` its store_error. Returns -1. */
int store_fail(struct store *store, const char *why);

/* ---- suspensions ------------------------------------------------------- */

enum cause { CAUSE_VOLUME, CAUSE_COMPLAINTS, CAUSE_FAILURES, CAUSE_COMPROMISED, CAUSE_TERMS,
             CAUSE_STAFF, CAUSE_COUNT };
extern const char *const cause_names[CAUSE_COUNT];

#define UNTIL_LIFTED INT64_MAX /* an end, or a duration, that staff decides */
enum { DURATIONS_MAX = 8 };

/* How long, by offence of the same cause in the last 30 days: the first
 * suspension takes durations_ms[0], the second [1], …, further ones the last. */
struct durations {
    size_t count; /* 1..DURATIONS_MAX */
    int64_t ms[DURATIONS_MAX];
};
#define OFFENCES_REMEMBERED_MS (30 * DAY_MS)

struct suspension {
    int64_t id; /* > 0; 0 means: there is none */
    enum cause cause;
    int64_t since_ms, until_ms; /* until_ms may be UNTIL_LIFTED */
    uint32_t attempts;          /* refused since */
    uint32_t offence;           /* 1 for the first of this cause in 30 days, 2 for the second … */
    char by[64];                /* "guard" or who of the staff */
    char note[256];             /* "messages_per_day" (the rule), or the note of the staff */
};

/* ---- one message -------------------------------------------------------- */

/* One rolling window that a message must fit into. */
struct store_window {
    enum rule rule;
    int32_t limit;        /* LIMIT_OFF: shown, not checked */
    bool suspends;        /* exceeding it suspends the mailbox (unless the message could never fit) */
    uint64_t used_before; /* result: count before this message */
    bool over;            /* result: this message would not fit */
};

/* What the store answers about one message. */
enum outcome {
    OUTCOME_ADMITTED,  /* counted in every window */
    OUTCOME_REPEATED,  /* this submission was counted before; nothing is counted again */
    OUTCOME_HELD,      /* refused before it came here; nothing is counted */
    OUTCOME_OVER,      /* a window is over; nothing is counted */
    OUTCOME_SUSPENDED, /* the mailbox is suspended, or is so from this message on */
    OUTCOME_COUNT
};
extern const char *const outcome_names[OUTCOME_COUNT];

struct store_message {
    /* given: */
    int64_t now_ms;
    const char *mailbox;
    const char *ip;             /* NULL: counted for no IP; windows of an IP are then not checked */
    const char *id;             /* the submission's id; identity is (mailbox, id, fingerprint) */
    uint64_t fingerprint;       /* of the recipients: the same id for other recipients is another
                                   submission, and replaces the older one under that id */
    uint32_t off_domain;        /* 0..SUBMISSION_MAX_RECIPIENTS */
    bool held;                  /* it breaks a rule of one message: look, log, count nothing */
    bool dry_run;               /* answer as if, leave no trace at all */
    bool observe;               /* count it although over or suspended; suspend nobody;
                                   `over` and `suspension` still say what is so */
    uint64_t decision;          /* id of the record to keep (decision.h) */
    const char *facts;          /* JSON kept with it; what was asked and the limits in force */
    int64_t keep_refused_ms, keep_admitted_ms;
    uint32_t retries_before_restart; /* from this refused attempt on each one moves the end … */
    int64_t restart_ms;              /* … to at least this long from then */
    struct durations volume;         /* for a suspension that this message brings */
    /* given and answered: */
    struct store_window windows[OVER_TIME_COUNT];
    size_t window_count;
    /* answered: */
    enum outcome outcome;
    int64_t at_ms;                /* the moment it was counted or judged at, >= now_ms */
    bool brought;                 /* the suspension begins with this message; in a dry run: would */
    struct suspension suspension; /* the one in force; id 0: none, also where one only would be */
    struct history histories[SUBJECT_COUNT]; /* refused and dry runs: what the windows hold, for
                                   forecasts; in `arena`. Empty otherwise */
    struct arena *arena;
};

/* Judge and count one message, in one atomic step over all its windows:
 *   1. counted before (same mailbox, id, fingerprint, within 24 h): REPEATED;
 *      it gets a record of its own, kept like an admitted one's.
 *   2. suspended: SUSPENDED, the attempt is counted and may move the end.
 *   3. held: HELD.
 *   4. a window is over: OVER, or, when such a window suspends and the message
 *      could fit into an empty one, the suspension is made: SUSPENDED, brought.
 *   5. else counted in the histories of the mailbox (24 h) and the IP (1 h): ADMITTED.
 * The decision record (facts, outcome, windows before, moment) is kept in the
 * same step. With `observe`, 2 to 4 count the message all the same and the
 * outcome is ADMITTED. Returns 1 with the answers set, or -1: outcome unknown,
 * and it stays uncounted unless it was counted before the database fell silent. */
int store_judge(struct store *store, struct store_message *message) must_check;

/* The send failed after all: take the message out of the windows, once.
 * 1 given back; 0 unknown, given back already, or older than 24 h. */
int store_give_back(struct store *store, const char *mailbox, const char *id, int64_t now_ms)
    must_check;

/* ---- acts of staff -------------------------------------------------------
 * `by` (1..63 bytes) and `note` (1..255 bytes) go to the audit trail in the same step. */

struct act {
    int64_t now_ms;
    const char *by, *note;
};

/* Suspend, or replace the suspension in force. *suspension_r is what holds now. 1 or -1. */
int store_suspend(struct store *store, const char *mailbox, enum cause cause,
                  const struct durations *durations, const struct act *act,
                  struct suspension *suspension_r) must_check;
/* End the suspension, keep the counts. 1 lifted, 0 was not suspended. */
int store_lift(struct store *store, const char *mailbox, const struct act *act) must_check;
/* Forget what the mailbox's windows hold, keep a suspension. 1, also when there was nothing. */
int store_reset(struct store *store, const char *mailbox, const struct act *act) must_check;

/* An adjustment changes a rule's limit for one mailbox or one domain:
 * ADJUST_LIMIT puts `value` (LIMIT_OFF: not checked) in the limit's place,
 * ADJUST_EXTRA adds `value` to it. It ends by itself at until_ms (UNTIL_LIFTED: never). */
enum adjust_kind { ADJUST_LIMIT, ADJUST_EXTRA, ADJUST_KIND_COUNT };
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
int store_adjust(struct store *store, const struct adjustment *adjustment, const struct act *act)
    must_check;

/* The adjustments changed after change number `after` (0: all in force), in
 * order of change, at most `max`; removed ones are told for a day. Returns 1 and
 * *count_r (< max means: that was all). Cheap when nothing changed: this is
 * asked twice a second. */
int store_adjustments(struct store *store, int64_t after, struct adjustment *adjustments_r,
                      size_t max, size_t *count_r) must_check;

/* ---- reading ------------------------------------------------------------- */

/* What the store knows of a mailbox; a mailbox never seen has an empty account. */
struct account {
    struct history history;       /* the last 24 h, in `arena` */
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

/* The audit trail after entry `after` (0: from the start), in order. Append-only. 1 and *count_r. */
struct audit {
    int64_t number, at_ms;
    char by[64], act[24], subject[ADDRESS_MAX_BYTES + 1], note[256];
    char detail[256]; /* what changed, as JSON */
};
int store_audit(struct store *store, int64_t after, struct audit *audit_r, size_t max,
                size_t *count_r) must_check;

/* Remove what nobody needs any longer: histories, ids, records and suspensions
 * past their time. A little of it is done with every act, so nobody has to call
 * this; tests do, to see all of it gone. 1 or -1. */
int store_sweep(struct store *store, int64_t now_ms) must_check;

#endif
