/* The store: what was counted, who is suspended, which limits staff changed, what was decided. One
 * interface, two backends behind it: SQLite (one machine) and Redis (several). The store holds no
 * rule of sending. Each subject has a header: judge.h, suspensions.h, adjustments.h, records.h,
 * audit.h, kept.h, observations.h, values.h, server.h.
 *
 * Results. Every operation is atomic and returns 1 yes, 0 no, -1 don't know; each header says what
 * 0 means, where there is one. After -1 store_error() says why, and an operation that changes
 * something took effect once or not at all. Outputs (NAME_r) are set on 1, and undefined otherwise
 * unless the header says so. Every call returns within about the timeout that store_open was given,
 * whatever the database does; when the database works again, so do calls.
 *
 * Time. Callers pass now_ms, ms since 1970 by the wall clock. A history never runs backwards: a
 * message judged at an earlier time than its mailbox's or IP's newest entry is counted at that
 * entry's time (the clocks of several machines differ a little). A wrong clock stamped what is
 * further ahead than CLOCK_AHEAD_MS: the store takes it as of now from then on, and the
 * judge_result says so. Source: docs/store.md, "Time".
 *
 * Threads and ownership. One struct store a process; any thread may call any function. The store
 * judges the messages that wait at one moment together, in one transaction or pipeline. Mailboxes,
 * domains and IPs are in key form (submission.h). The store copies strings; what it returns in an
 * arena lives as long as that. */
#ifndef SENDGUARD_STORE_H
#define SENDGUARD_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "base/problem.h"

struct store;

/* One page of a list. The caller sets `max`; on 1 the operation has filled `count` entries of the
 * caller's array. When there are `more`, the next page begins behind the last of them, or below it,
 * as the operation's `after` or `before` says. */
struct store_page {
    size_t max;   /* 1 or more: so many entries at most, as the array has room for */
    size_t count; /* answered */
    bool more;    /* answered: the list goes on */
};

#define CLOCK_AHEAD_MINUTES 5 /* a bare number: it is also text in SQL */
#define CLOCK_AHEAD_MS (CLOCK_AHEAD_MINUTES * MINUTE_MS)

/* How a store is to be used; settings of the same names. */
struct store_options {
    int timeout_ms; /* of each call, 1..60000 */
    bool full_durability; /* of SQLite: the disk has what a call changed before the call answers;
                             else a power cut takes what the system had not written yet */
    int replicas; /* of Redis: so many replicas have what a call changed before the call answers;
                     each call that judges, or that a person takes for done, not what is only
                     observed. Where they do not within the timeout: -1 */
    /* of Redis too; NULL and "" are none */
    const char *user, *password_file;
    const char *tls_ca_file, *tls_cert_file, *tls_key_file;
};

/* Opens a database; store_url.h has the forms of `url`.
 * Returns 1 (*store_r: the caller's, for store_free); or 0 with *problem filled when the URL is no
 * URL of ours, or an option is none of its database. A database that does not answer now is no error
 * here: each operation returns -1 until it does. A SQLite file that does not exist is made now (mode
 * 0600) or, if that fails, at a later call; once it was there and has gone, no new one is made:
 * operations return -1 until it is back. */
int store_open(const char *url, const struct store_options *options, struct store **store_r,
               struct problem *problem) must_check;
/* The same for a program that only reads: makes no SQLite file. */
int store_open_existing(const char *url, const struct store_options *options,
                        struct store **store_r, struct problem *problem) must_check;
/* For a start. Returns 1 the database answers (*made_r: a SQLite file was made just now); 0 it will
 * not until somebody repairs it: no directory for it, no right to write, another program's
 * database, a newer version's; -1 it does not answer now. After 0 and -1 store_error says why. */
int store_examine(struct store *store, bool *made_r) must_check;
/* What store_open and store_examine would find, without a change: no file, no schema, no mode.
 * Returns as store_examine. *problem says why it is not 1; after 1 its text says what a sentinel
 * named or that the tables are of an earlier version, or nothing. */
int store_check(const char *url, const struct store_options *options,
                struct problem *problem) must_check;
/* For a program that people run beside the services, before it opens the store: 0 with *problem when
 * a program of an earlier version uses the SQLite file, which could not use it any more when its
 * tables were brought up to date; else 1. Changes nothing. */
int store_check_earlier(const char *url, const struct store_options *options,
                        struct problem *problem) must_check;
/* Accepts NULL, sets NULL. No other call may be under way. */
void store_free(struct store **store);

/* Why this thread's last -1 came. Valid until its next call. */
const char *store_error(const struct store *store);
/* For a thread that takes over another's -1: makes `why` its store_error. Returns -1. */
int store_fail(struct store *store, const char *why);

/* Removes what ended: histories, ids, records and suspensions. Judging does a little of it with
 * every message; tests call this to see all of it gone. Returns 1 or -1. */
int store_sweep(struct store *store, int64_t now_ms) must_check;

#endif
