/* When a recipient, for the mail of one sender domain, or for one mailbox, fails so often that mail
 * to it is refused. Pure: time is a parameter.
 *
 * Messages count, each by its first outcome of a class: a server that says the same to each retry
 * says it once. Of addresses that are unknown or off, two messages whose outcomes are at least 24
 * hours apart block the recipient for 30 days: no site errs for so long without being seen to have
 * an outage, and mail that is sent twice at once is one mistake. It follows that three mailboxes
 * whose failures are a day apart block it too; no rule of its own is needed. A full mailbox
 * blocks for 7 days after three messages within 72 hours. Noise, the mail of a program that repeats
 * what fails, blocks for 7 days one mailbox from one recipient: its last 8 outcomes, of messages by
 * their very first, are failures of whatever class, at gaps of at most 5 minutes that are alike.
 *
 * What a site's outage explains is taken out again, also afterwards. A delivery clears the
 * recipient, and the run of the mailbox. */
#ifndef SENDGUARD_RECIPIENT_BLOCK_H
#define SENDGUARD_RECIPIENT_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "base/text.h"

/* Values keep the number. */
enum recipient_why {
    RECIPIENT_ADDRESS_UNKNOWN,
    RECIPIENT_MAILBOX_OFF,
    RECIPIENT_MAILBOX_FULL,
    RECIPIENT_NOISE, /* of an outcome: none of the three */
    RECIPIENT_WHY_COUNT
};
/* As reasons of block lists have them. */
extern const char *const recipient_why_names[RECIPIENT_WHY_COUNT];
/* So long a block lasts. */
int64_t recipient_block_ms(enum recipient_why why);

enum {
    RECIPIENT_FAILURES_MAX = 16,
    RECIPIENT_RUNS_MAX = 8, /* mailboxes */
    RECIPIENT_RUN_LENGTH = 8,
};
#define RECIPIENT_KEPT_MS (30 * DAY_MS) /* a failure counts in [t, t + this) */
#define RECIPIENT_RUN_KEPT_MS HOUR_MS   /* a run that nothing was added to */
#define RECIPIENT_AHEAD_MS DAY_MS /* what is further ahead is of a clock that was set back since */

struct recipient_failure {
    uint64_t message; /* its number; messages that are admitted later have higher ones */
    int64_t at_ms;
    uint32_t site; /* hash of who answered */
    enum recipient_why why;
};
struct recipient_run {
    uint32_t mailbox; /* hash */
    uint32_t count;
    struct recipient_turn {
        int64_t at_ms;
        uint32_t site;
    } turns[RECIPIENT_RUN_LENGTH]; /* in order of time */
};

/* What has failed of one recipient for one sender domain. Zeroed: nothing. */
struct recipient_history {
    uint64_t closed; /* messages up to that one count only as they are in `failures`: an older one
                      * had to leave when there were too many */
    size_t failure_count, run_count;
    struct recipient_failure failures[RECIPIENT_FAILURES_MAX]; /* in order of time */
    struct recipient_run runs[RECIPIENT_RUNS_MAX];
};

/* A message that failed, or was deferred. */
struct recipient_outcome {
    uint64_t message;
    uint32_t mailbox, site; /* hashes */
    bool first;             /* no attempt had an outcome before */
    bool greylisted;        /* strangers are put off: nobody's failure */
    enum recipient_why why;
    int64_t at_ms;
};

/* A block that a history makes. */
struct recipient_block {
    enum recipient_why why; /* RECIPIENT_NOISE: of the mailbox's pair, else of the recipient */
    uint32_t count;         /* messages that make it … */
    int64_t over_ms;        /* … and how far the first and the last are apart */
};
enum { RECIPIENT_BLOCKS_MAX = 2 };

/* Takes over an outcome that nothing explains. Returns how many blocks it makes, 0 to
 * RECIPIENT_BLOCKS_MAX; what made one is forgotten with it, and so is all that is too old. */
size_t recipient_block_take(struct recipient_history *history,
                            const struct recipient_outcome *outcome,
                            struct recipient_block made_r[RECIPIENT_BLOCKS_MAX]);
/* A message of that mailbox was delivered. */
void recipient_block_deliver(struct recipient_history *history, uint32_t mailbox);
/* An outage of the site explains what failed there in [from_ms, until_ms]. */
void recipient_block_leave_out(struct recipient_history *history, uint32_t site,
                               int64_t from_ms, int64_t until_ms);
/* Forgets what is too old, or too far ahead. */
void recipient_block_forget(struct recipient_history *history, int64_t now_ms);
bool recipient_block_is_empty(const struct recipient_history *history);

/* What an outcome makes of a block that was there already: one that is over lets messages through
 * again, and the first that has an outcome decides. */
enum recipient_after {
    RECIPIENT_STAYS,
    RECIPIENT_AGAIN,   /* blocked again, for as long, from the outcome on */
    RECIPIENT_CLEARED, /* there is none any more */
};
/* of: why it is blocked, until end_ms. `delivered`, or it failed as `why` says, greylisting apart;
 * admitted_ms: the message. */
enum recipient_after recipient_block_after(enum recipient_why of, int64_t end_ms, bool delivered,
                                           enum recipient_why why, int64_t admitted_ms);

/* The packed form: 1 format, 8 closed, 1 how many failures, of each 8 message, 6 at, 4 site, 1 why;
 * 1 how many runs, of each 4 mailbox, 1 how many turns, of each 6 at, 4 site. */
void recipient_block_add(struct text *out, const struct recipient_history *history);
/* 1; 0: damaged, *history_r is zeroed. */
int recipient_block_read(const void *bytes, size_t length,
                         struct recipient_history *history_r) must_check;

#endif
