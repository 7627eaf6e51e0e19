/* The one judgement: what becomes of a message, from what was seen of it. Pure, as the rules are.
 * SQLite calls it within its transaction, the support desk for its forecasts. Inside Redis
 * judge.lua takes the same steps, and tests/unit/store/test_store_outcomes.c compares them for
 * every combination of what can be seen. */
#ifndef SENDGUARD_OUTCOME_H
#define SENDGUARD_OUTCOME_H

#include "rules/rules.h"

/* What becomes of a message. Records keep the number: a new one goes to the end. */
enum outcome {
    OUTCOME_ADMITTED,  /* counted in every window */
    OUTCOME_REPEATED,  /* this submission was counted before; nothing is counted again */
    OUTCOME_REJECTED,      /* it breaks a rule of one message; nothing is counted */
    OUTCOME_OVER,      /* a window is over; nothing is counted */
    OUTCOME_SUSPENDED, /* the mailbox is suspended, or is so from this message on */
    OUTCOME_REDEEMED,  /* another channel admitted it a moment ago and left a ticket; nothing is
                          counted again */
    OUTCOME_BLOCKED,   /* its domain, or its mailbox, is blocked since its mail fails too often;
                          nothing is counted */
    OUTCOME_UNUSUAL,  /* its mailbox sends at an unusual rate, and it is to come again later;
                          nothing is counted */
    OUTCOME_COUNT
};
extern const char *const outcome_names[OUTCOME_COUNT];
/* -1 when it is none. */
int outcome_by_name(const char *name);

/* Whether the message goes on to its recipients. */
bool outcome_passes(enum outcome outcome);

/* A rolling window that a message must fit into. */
struct outcome_window {
    enum rule rule;
    int32_t limit;        /* LIMIT_OFF: shown, not checked */
    bool suspends;        /* exceeding it by this channel alone suspends the mailbox (unless the
                             message could never fit) */
    uint64_t used_before; /* seen: the count before this message */
    uint64_t used_by_channel; /* seen: how much of it came by the message's own channel */
    bool over;            /* seen: this message would not fit; see outcome_window_over */
};

/* What a message with so many off-domain recipients adds to the window of a rule over time. */
uint32_t outcome_cost(enum rule rule, uint32_t off_domain);

/* Whether such a message does not fit into the window. What counts in no history of the window's
 * subject is over nothing: the caller knows. */
bool outcome_window_over(const struct outcome_window *window, uint32_t off_domain);

/* All that the judgement depends on. */
struct outcome_seen {
    bool counted_before; /* this very submission, within 24 h */
    bool suspended;      /* a suspension is in force */
    bool blocked;        /* a block of its domain or its mailbox is in force */
    bool ticket;         /* there is a ticket for it; look for one where outcome_wants_ticket */
    bool rejected;           /* it breaks a rule of one message */
    bool deferred;       /* it is unusual, and such messages are deferred; looked at of what would
                            be admitted */
    bool observe;        /* count it although suspended, blocked, rejected or over; suspend
                            nobody */
    bool dry_run;        /* nothing takes effect */
    bool no_attempt;     /* refused because of a suspension, it is no attempt */
    uint32_t off_domain;
    const struct outcome_window *windows;
    size_t window_count;
};

struct outcome_judged {
    enum outcome outcome;
    /* The window that decides: SUSPENDED by this message: the first that is over and suspends;
     * OVER: the first that is over. -1: none does. */
    int window;
    bool brought; /* the suspension begins with this message; in a dry run: would */
    /* What takes effect; nothing in a dry run. */
    bool suspends; /* the mailbox is suspended now */
    bool attempt;  /* it counts as an attempt of the suspension in force, unless it is known */
    bool redeems;  /* its ticket is taken away */
    bool counts;   /* in every window */
};

/* Whether a ticket is of interest: not for what was counted before, nor while suspended. */
bool outcome_wants_ticket(const struct outcome_seen *seen);

/* Source: docs/store.md, "What becomes of a message". */
struct outcome_judged outcome_decide(const struct outcome_seen *seen);

#endif
