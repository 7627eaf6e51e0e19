/* What the store knows of messages: the records of decisions, and the histories that windows count
 * in. Results, threads and ownership: store.h. */
#ifndef SENDGUARD_STORE_RECORDS_H
#define SENDGUARD_STORE_RECORDS_H

#include "base/arena.h"
#include "rules/failure_in_force.h"
#include "rules/outcome.h"
#include "rules/rule.h"
#include "rules/unusual.h"
#include "rules/window.h"
#include "store/audit.h"
#include "store/store.h"
#include "store/suspensions.h"

struct record {
    uint64_t decision;
    int64_t at_ms;
    enum outcome outcome;
    size_t window_count; /* windows in the order the message was judged */
    struct {
        enum rule rule;
        uint64_t used_before;
    } windows[OVER_TIME_COUNT];
    /* What the mailbox had counted before by the rules over time that look at a mailbox (by rule -
     * RULE_FIRST_OVER_TIME; of the others 0), also by those that the message was not held against.
     * counted false: not known, of an earlier version. */
    bool counted;
    uint64_t of_mailbox[OVER_TIME_COUNT];
    /* As the judge_request had them, with a NUL behind; in `arena`. Of earlier versions: JSON. */
    const char *facts;
    size_t facts_length;
    uint32_t redeemed; /* of one that was redeemed: names the message that had left the ticket, for
                          a refund (values.h); 0: not known */
    struct failure_in_force block; /* of one that was blocked; zeroed: not known */
    struct unusual unusual; /* zeroed: it was not */
};
/* The record of a decision. Returns 1; 0 there is none, or it is past its lifetime; -1. */
int store_record(struct store *store, struct arena *arena, uint64_t decision, int64_t now_ms,
                 struct record *record_r) must_check;

/* The records of decisions, the newest first, those with an id below `before` (UINT64_MAX: from the
 * newest). Of one mailbox: the refused messages as long as they are kept, the admitted ones as long
 * as they count (24 h). mailbox NULL: of all (Redis remembers the order of the last 100,000).
 * Returns 1 or -1. Source: docs/store.md, "What is kept, and for how long". */
int store_decisions(struct store *store, struct arena *arena, const char *mailbox,
                    uint64_t before, int64_t now_ms, struct record *records_r,
                    struct store_page *page) must_check;

/* The records of messages that passed (repeated and redeemed ones too), of all mailboxes, the oldest
 * first: in order of id, those with an id above `after` (0: from the oldest). An id is made before
 * its message is judged, by the judging machine's clock, so one may appear below those that were
 * read: who must see all asks again from a moment earlier. Redis passes over what the version
 * before kept. Returns 1 or -1. */
int store_passed(struct store *store, struct arena *arena, uint64_t after, int64_t now_ms,
                 struct record *records_r, struct store_page *page) must_check;

/* What the windows of a mailbox (24 h) or an IP (1 h) hold, in `arena`; empty when nothing was
 * counted. name: history_name. Of SUBJECT_RECIPIENT name is a mailbox, and this is what it sent to
 * the recipient that it sent most to (24 h), of several the one that has room last. Returns 1 or -1. */
int store_history(struct store *store, struct arena *arena, enum subject subject,
                  const char *name, int64_t now_ms, struct history *history_r) must_check;

struct account {
    struct history history;       /* the last 24 h of what the mailbox's user sent, in `arena` */
    struct suspensions suspensions; /* that hold at now_ms */
};
/* What the store knows of a mailbox; of one never seen the account is empty. Returns 1 or -1. */
int store_account(struct store *store, struct arena *arena, const char *mailbox, int64_t now_ms,
                  struct account *account_r) must_check;

/* Empties the windows of a mailbox, of every channel, and keeps a suspension; or those of a sender
 * domain, "@example.test". Returns 1, also when they were empty, or -1. */
int store_reset(struct store *store, const char *name, const struct action *action) must_check;

#endif
