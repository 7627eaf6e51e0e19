/* Pairs in SQLite (store/packed_pair.h): a row for each, by the row of its mailbox's history, which
 * is there as long as it. Inside the SQLite backend, within a transaction of its callers. */
#ifndef SENDGUARD_SQLITE_PAIR_H
#define SENDGUARD_SQLITE_PAIR_H

#include "store/packed_pair.h"
#include "store/sqlite/sqlite_history.h"

/* Looks at the pairs of a message where it has a window of recipients: fills that window and `over` of
 * the result at result->at_ms. What a wrong clock stamped is mended, and kept so but in a dry run.
 * *told_r: whose window is told. 1 or -1. */
int sqlite_pairs_look(struct sqlite_backend *backend, int64_t history,
                      const struct judge_request *request, struct judge_result *result,
                      struct pair_told *told_r) must_check;
/* Counts a message for each of its recipients. 1 or -1. */
int sqlite_pairs_count(struct sqlite_backend *backend, int64_t history,
                       const struct judge_request *request,
                       const struct counted *counted) must_check;
/* Fills what the window that is told holds now. 1 or -1. */
int sqlite_pairs_told(struct sqlite_backend *backend, int64_t history,
                      const struct judge_request *request, struct judge_result *result,
                      const struct pair_told *told) must_check;

/* Adds to `found` the recipients of a message that was counted: 1; -1, and *damaged_r says whether
 * something is damaged. */
int sqlite_pairs_find(struct sqlite_backend *backend, int64_t history,
                      const struct counted *counted, struct text *found,
                      bool *damaged_r) must_check;
/* Takes it out of the pairs that were found. 1 or -1. */
int sqlite_pairs_refund(struct sqlite_backend *backend, int64_t history,
                        const struct counted *counted, struct text *found) must_check;

/* Forgets all of a mailbox. 1 or -1. */
int sqlite_pairs_drop(struct sqlite_backend *backend, int64_t history) must_check;
/* What the pair of the mailbox with the most messages holds; in `arena`. 1 or -1. */
int sqlite_pairs_fullest(struct sqlite_backend *backend, struct arena *arena, const char *mailbox,
                         int64_t now_ms, struct history *history_r) must_check;
/* Looks at the next `rows`, at most 4096, round and round the table, and removes those whose newest
 * message is not later than past_ms. 1, 0 at the table's end, -1. */
int sqlite_pairs_sweep(struct sqlite_backend *backend, int64_t past_ms, size_t rows) must_check;
/* Puts a pair as it is. 1 or -1. */
int sqlite_pairs_put(struct sqlite_backend *backend, int64_t history, uint64_t recipient,
                     const uint8_t *bytes, size_t length) must_check;

#endif
