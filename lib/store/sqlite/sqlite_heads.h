/* The rows of histories (their heads, packed_history.h), written behind. Every message changes the
 * heads of its mailbox and of its IP, which lie anywhere in the table `history_head`: to write these
 * pages with each message would be most of what it costs. So a transaction appends the heads that it
 * changed to the table `head_log`, in one row, and the table `history_head` follows later, some heads
 * with each transaction and in the order of their pages.
 *
 * What is true is `history_head` with the log over it. A process holds the log in memory and reads
 * what others have added when SQLite says that they wrote. Both tables change in the same transaction
 * as all else, so a process that is killed, or a power cut, leaves them as they belong together.
 *
 * head_log: rows of rising id. The first is empty: up to it all is in `history_head`. The data of a
 * row is a sequence of heads: id of 8 bytes, lengths of 2 bytes of key and data, both; no data: the
 * history is gone. Of one head the last in the log counts.
 *
 * Heads are written back in rounds, one at a time, which all programs share: who appends, writes
 * the next ones. The last row says where the round is: all that rows up to `until` have is to be
 * written, and is, where its id is at most `written`. When nothing is left, the log is cut up to
 * `until`. No round: `until` is at most the first row's id.
 *
 * Within a transaction of its callers, by its thread. */
#ifndef SENDGUARD_SQLITE_HEADS_H
#define SENDGUARD_SQLITE_HEADS_H

#include <sqlite3.h>

#include "base/base.h"

struct sqlite_backend;
struct sqlite_heads;

enum {
    /* So long the log becomes before a round begins. More is rarely faster, and a program that starts
     * reads it first. */
    HEADS_LOG_BYTES = 2 * 1024 * 1024,
    /* With one transaction, which must not last; twice as many as it appends, where that is more. */
    HEADS_WRITTEN_AT_ONCE = 256,
    HEADS_LENGTH_MAX = UINT16_MAX, /* of a key, or of data */
};

/* A head. What the calls here answer is valid until the next one. */
struct head {
    const char *key;     /* key_length bytes, without an end */
    size_t key_length;
    const uint8_t *data;
    size_t length;
};

struct sqlite_heads *sqlite_heads_new(void);
void sqlite_heads_free(struct sqlite_heads **heads);
/* A transaction begins: others may have written. */
void sqlite_heads_begin(struct sqlite_heads *heads);
/* It did not take place: what it put is forgotten. */
void sqlite_heads_roll_back(struct sqlite_heads *heads);
/* The connection is closed: nothing is known. */
void sqlite_heads_forget(struct sqlite_heads *heads);

/* 1, 0 there is none, -1. */
int sqlite_heads_get(struct sqlite_backend *backend, int64_t id, struct head *head_r) must_check;
/* The same for a row of `history_head` that its caller has read: 1 with what is true instead (as
 * given, where the log has none), 0 it is gone, -1. */
int sqlite_heads_over(struct sqlite_backend *backend, int64_t id, struct head *head) must_check;
/* The head of that row, whose id is positive; NULL: the history is gone. 1 or -1. */
int sqlite_heads_put(struct sqlite_backend *backend, int64_t id, const struct head *head)
    must_check;

/* Before a transaction that writes commits: appends what it put, and writes some heads back when it
 * is time. 1 or -1. */
int sqlite_heads_commit(struct sqlite_backend *backend) must_check;
/* Writes all back: `history_head` alone is true then. 1 or -1. */
int sqlite_heads_write_all(struct sqlite_backend *backend) must_check;

#endif
