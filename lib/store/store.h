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
 * taken as of now from then on, and the judge_result says so.
 *
 * One struct store a process; all functions may be called from any thread.
 * Messages that wait at the same moment go to the database together, in one
 * transaction or pipeline. Mailboxes, domains and IPs are in key form
 * (submission.h). Strings are copied. */
#ifndef SENDGUARD_STORE_H
#define SENDGUARD_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "base/problem.h"

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

/* Remove what nobody needs any longer: histories, ids, records and suspensions
 * past their time. A little of it is done with every operation, so nobody has to call
 * this; tests do, to see all of it gone. 1 or -1. */
int store_sweep(struct store *store, int64_t now_ms) must_check;

#endif
