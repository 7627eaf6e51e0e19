/* All that a store holds, item by item (transfer.h), while programs go on using it: for who asks
 * what is kept of one mailbox, which no database has an index of. It reads everything, a page at a
 * time, and rests behind each page for as long as that took, so that messages have half of the
 * time; no message is judged with it. What changes meanwhile comes as it was or as it is; what comes or
 * goes meanwhile may be missing. Connections of its own; one thread. */
#ifndef SENDGUARD_WHOLE_H
#define SENDGUARD_WHOLE_H

#include "store/transfer.h"

struct whole_store;

/* The store at `url`; options.timeout_ms: of each page. 1 (*whole_r: the caller's, for whole_free);
 * 0 with *problem: the URL is wrong, or there is no database. */
int whole_open(const char *url, const struct store_options *options, struct whole_store **whole_r,
               struct problem *problem) must_check;
void whole_free(struct whole_store **whole); /* accepts NULL, sets NULL */

/* The next items of a kind that hold at now_ms, TRANSFER_PAGE at most; their strings live in
 * `arena`. cursor->end: these were the last. 1 (*count_r may be 0 while it goes on) or -1. */
int whole_read(struct whole_store *whole, struct arena *arena, enum transfer_kind kind,
               int64_t now_ms, struct transfer_cursor *cursor, struct transfer_item *items_r,
               size_t *count_r) must_check;

/* Removes these decisions (TRANSFER_RECORD, as whole_read gave them), 1..TRANSFER_PAGE. One that is
 * gone already is none the less. 1 or -1: some may be removed. */
int whole_remove_records(struct whole_store *whole, const struct transfer_item *items,
                         size_t count) must_check;
/* What anybody removed leaves the files too, as far as they are ours: the write-ahead log
 * of SQLite is copied back and cut. 1; 0: a program reads an old state, and the log stays as it is;
 * -1. Of Redis always 1: its files are the server's. */
int whole_cut_log(struct whole_store *whole) must_check;

/* Why the last -1 came. Valid until the next call. */
const char *whole_error(const struct whole_store *whole);

#endif
