/* The databases behind the store: a backend for each. store.c calls one operation of a backend
 * at a time, from whichever thread, so a backend needs no lock; it groups the messages that wait
 * at one moment, so that a backend can judge them in one transaction or one pipeline.
 *
 * A table for each header of the store, a row for each operation. Operations return 1, 0 or -1 as
 * that header says of store_NAME; before -1 they write a sentence into backend->error. They return
 * within about backend->timeout_ms, and reconnect or reopen by themselves at the next call. */
#ifndef SENDGUARD_STORE_BACKEND_H
#define SENDGUARD_STORE_BACKEND_H

#include "base/arena.h"
#include "base/store_url.h"
#include "store/adjustments.h"
#include "store/audit.h"
#include "store/judge.h"
#include "store/kept.h"
#include "store/observations.h"
#include "store/records.h"
#include "store/server.h"
#include "store/store.h"
#include "store/suspensions.h"
#include "store/transfer.h"
#include "store/values.h"

struct backend;

struct judge_operations {
    /* As store_judge_all; each result has the windows of its request already. */
    void (*judge)(struct backend *backend, struct judge_task *tasks, size_t count);
    int (*refund)(struct backend *backend, const char *mailbox, const char *id, int64_t now_ms);
};

struct suspension_operations {
    int (*suspend)(struct backend *backend, const char *mailbox, enum cause cause,
                   const struct durations *durations, const struct action *action,
                   struct suspension *suspension_r);
    int (*lift)(struct backend *backend, const char *mailbox, enum cause cause,
                const struct action *action);
    int (*unlift)(struct backend *backend, enum cause cause, int64_t id, int64_t newest,
                  const struct audited *audited, enum unlift *why_r);
    int (*suspended)(struct backend *backend, const char *after, int64_t now_ms,
                     struct suspended *suspended_r, struct store_page *page);
    int (*offences)(struct backend *backend, const char *mailbox, enum cause cause, int64_t now_ms,
                    uint32_t *count_r);
};

struct adjustment_operations {
    /* As store_adjust_after; `audited` as of store_adjust_back, NULL: the usual entries. */
    int (*adjust)(struct backend *backend, const struct adjustment *adjustments, size_t count,
                  int64_t newest, const struct action *action, const struct audited *audited);
    int (*adjustments)(struct backend *backend, int64_t after, struct adjustment *adjustments_r,
                       struct store_page *page);
};

struct record_operations {
    int (*record)(struct backend *backend, struct arena *arena, uint64_t decision, int64_t now_ms,
                  struct record *record_r);
    int (*decisions)(struct backend *backend, struct arena *arena, const char *mailbox,
                     uint64_t before, int64_t now_ms, struct record *records_r,
                     struct store_page *page);
    int (*passed)(struct backend *backend, struct arena *arena, uint64_t after, int64_t now_ms,
                  struct record *records_r, struct store_page *page);
    int (*history)(struct backend *backend, struct arena *arena, enum subject subject,
                   const char *key, int64_t now_ms, struct history *history_r);
    int (*account)(struct backend *backend, struct arena *arena, const char *mailbox,
                   int64_t now_ms, struct account *account_r);
    int (*reset)(struct backend *backend, const char *name, const struct action *action);
};

struct audit_operations {
    int (*audit)(struct backend *backend, int64_t after, struct audit *audit_r,
                 struct store_page *page);
    int (*audit_newest)(struct backend *backend, const char *subject, int64_t before,
                        struct audit *audit_r, struct store_page *page);
    int (*write_audit)(struct backend *backend, const struct audited *audited);
};

enum keep_where {
    KEEP_ANY,  /* as store_keep */
    KEEP_NEW,  /* as store_keep_new */
    KEEP_OVER, /* as store_keep_over: where `before` is kept */
};
struct kept_operations {
    int (*keep)(struct backend *backend, enum kept_kind kind, const struct kept *kept,
                enum keep_where where, const char *before, int64_t now_ms,
                const struct audited *audited);
    /* store_kept */
    int (*read)(struct backend *backend, struct arena *arena, enum kept_kind kind, const char *key,
                int64_t now_ms, struct kept *kept_r);
    int (*forget)(struct backend *backend, enum kept_kind kind, const char *key, int64_t now_ms,
                  const struct audited *audited);
    /* store_kept_list */
    int (*list)(struct backend *backend, struct arena *arena, enum kept_kind kind,
                const char *after, int64_t now_ms, struct kept *kept_r,
                struct store_page *page);
    /* store_try */
    int (*try_once)(struct backend *backend, const char *key, int64_t now_ms, int64_t span_ms,
                    uint32_t max, uint32_t *count_r, int64_t *free_at_r);
};

struct value_operations {
    /* `first`: the version of a value that comes where none is. */
    int (*change)(struct backend *backend, const struct values_step *step, uint32_t first,
                  struct values_done *done_r);
    /* store_values_get */
    int (*get)(struct backend *backend, struct arena *arena, struct value *values, size_t count,
               int64_t now_ms);
    /* store_values */
    int (*list)(struct backend *backend, struct arena *arena, enum value_kind kind,
                const char *after, int64_t now_ms, struct value *values_r,
                struct store_page *page);
};

struct observation_operations {
    int (*observe)(struct backend *backend, const struct observations *observations,
                   int64_t now_ms);
    int (*senders)(struct backend *backend, enum sender_of of, const char *key, const char *after,
                   int64_t now_ms, struct sender *senders_r, struct store_page *page);
    int (*near)(struct backend *backend, int64_t now_ms, struct near_limit *near_r,
                struct store_page *page);
    int (*counters)(struct backend *backend, const char *after, struct counter *counters_r,
                    struct store_page *page);
};

/* For store/transfer.h, while no other program uses the database; reading and what removes, for
 * store/whole.h, also while they do. Reading changes nothing. */
struct transfer_operations {
    /* Whether nothing of ours is kept: 1, 0, -1. NULL: the database is a file. */
    int (*is_empty)(struct backend *backend);
    /* Before the first `write`: marks the database as one with a part of a store, which no
     * operation but these takes. Removes what is there when it has that mark already. 1; 0:
     * something of ours is kept, and nothing was changed; -1. NULL: the database is a file. */
    int (*begin)(struct backend *backend);
    int (*end)(struct backend *backend); /* takes the mark away: 1 or -1 */
    /* The next items of a kind that hold at now_ms (histories and records: what is kept), at most
     * TRANSFER_PAGE, in `arena`. cursor->end: these were the last. Each comes once; records that
     * passed come before refused ones, on other pages, and both in order of time. 1 (count may be 0
     * while it goes on) or -1. Not asked for adjustments, the audit log, what is kept, windows near
     * a limit and counters, of which the other operations have lists. */
    int (*read)(struct backend *backend, struct arena *arena, enum transfer_kind kind,
                int64_t now_ms, struct transfer_cursor *cursor, struct transfer_item *items_r,
                size_t *count_r);
    /* Puts the items of a page as they are, 1..TRANSFER_PAGE of them. 1 or -1. Not asked for what is kept, senders, windows near a limit and counters. */
    int (*write)(struct backend *backend, const struct transfer_item *items, size_t count,
                 int64_t now_ms);
    /* As whole_remove_records and whole_cut_log of store/whole.h. cut_log NULL: the backend writes no
     * log itself. */
    int (*remove_records)(struct backend *backend, const struct transfer_item *items,
                          size_t count);
    int (*cut_log)(struct backend *backend);
};

struct backend_operations {
    const struct judge_operations *judge;
    const struct suspension_operations *suspensions;
    const struct adjustment_operations *adjustments;
    const struct record_operations *records;
    const struct audit_operations *audit;
    const struct kept_operations *kept;
    const struct value_operations *values;
    const struct observation_operations *observations;
    const struct transfer_operations *transfer;
    int (*sweep)(struct backend *backend, int64_t now_ms);
    int (*examine)(struct backend *backend, bool *made_r); /* after 1 `error` as of store_check */
    /* store_server; NULL: the database is a file */
    int (*server)(struct backend *backend, struct store_server *server_r);
    void (*free)(struct backend *backend);
};

enum { BACKEND_ERROR_SIZE = 256 };

struct backend {
    const struct backend_operations *operations;
    int timeout_ms;
    char error[BACKEND_ERROR_SIZE];
};

/* Never NULL: what cannot be opened now is tried again at each operation. `path` is absolute.
 * may_make: make the file when it is not there. */
struct backend *sqlite_backend_new(const char *path, const struct store_options *options,
                                   bool may_make);
/* As store_check; why not 1 in error_r. */
int sqlite_backend_check(const char *path, const struct store_options *options,
                         char error_r[BACKEND_ERROR_SIZE]) must_check;
/* As store_check_earlier; why not in error_r. */
int sqlite_backend_check_earlier(const char *path, const struct store_options *options,
                                 char error_r[BACKEND_ERROR_SIZE]) must_check;
struct backend *redis_backend_new(const struct store_url *where,
                                  const struct store_options *options);

/* The backend of a store.url, as store_open: 1, or 0 with *problem. */
int backend_read_url(const char *url, struct store_url *where_r, struct problem *problem) must_check;
struct backend *backend_new(const struct store_url *where, const struct store_options *options,
                            bool may_make);

/* Whether no other program uses the database: 1; 0 or -1 with what is so in error_r. Ask before a
 * backend of this process has it open. */
int backend_alone(const struct store_url *where, const struct store_options *options,
                  char error_r[BACKEND_ERROR_SIZE]) must_check;
int sqlite_backend_alone(const char *path, char error_r[BACKEND_ERROR_SIZE]) must_check;
int redis_backend_alone(struct backend *backend) must_check; /* what is so in backend->error */

/* The version that a value has after `before` (0: none is there). */
uint32_t backend_next_version(uint32_t before, uint32_t first);

/* Fills backend->error and returns -1. */
int backend_fail(struct backend *backend, const char *format, ...) printf_like(2, 3);

#endif
