/* Moving a store from one database to another: everything that one holds, item by item, and how
 * both are compared afterwards. While it runs no program uses either.
 *
 * An item is a row or key as both databases can hold it; what has ended at now_ms, and what only
 * speeds up one database, is none. */
#ifndef SENDGUARD_TRANSFER_H
#define SENDGUARD_TRANSFER_H

#include "base/arena.h"
#include "store/adjustments.h"
#include "store/audit.h"
#include "store/kept.h"
#include "store/observations.h"
#include "store/records.h"
#include "store/suspensions.h"

/* In the order in which they are moved. */
enum transfer_kind {
    TRANSFER_HASH_KEY,
    TRANSFER_HISTORY,
    TRANSFER_RECORD,
    TRANSFER_TICKET,
    TRANSFER_SUSPENSION,
    TRANSFER_OFFENCE,
    TRANSFER_ADJUSTMENT,
    TRANSFER_AUDIT,
    TRANSFER_KEPT,
    TRANSFER_SENDER,
    TRANSFER_NEAR,
    TRANSFER_COUNTER,
    TRANSFER_KIND_COUNT
};
/* As people read them: "histories", "decisions" … */
extern const char *const transfer_kind_names[TRANSFER_KIND_COUNT];

struct counted; /* store/packed_entry.h */

enum { TRANSFER_HASH_KEY_BYTES = 16 };

/* Strings and arrays live in the arena of the read that gave the item. */
struct transfer_item {
    enum transfer_kind kind;
    union {
        /* by which ids and recipients are hashed: one item always */
        uint8_t hash_key[TRANSFER_HASH_KEY_BYTES];
        struct {
            enum subject subject;
            const char *name; /* history_name */
            int64_t newest_ms; /* the newest moment that was ever counted in it */
            const struct counted *counted; /* what its longest span holds, without what was refunded */
            size_t count;
        } history;
        struct {
            struct record record;
            int64_t until_ms;
            const char *ip_name; /* of the IP's history that it counted in; "": none */
            const char *mailbox; /* of a refused message; "" else */
        } record;
        struct {
            const char *mailbox;
            uint32_t id_hash;
            uint32_t recipients;
            int64_t until_ms;
        } ticket;
        struct {
            const char *mailbox;
            struct suspension suspension;
            int64_t lasts_ms; /* how long it was made for; 0: not known; UNTIL_LIFTED */
            const uint8_t *tried; /* hashes of the attempts, 8 bytes each, keyed by hash_key */
            size_t tried_count;
        } suspension; /* in force */
        struct {
            const char *mailbox;
            enum cause cause;
            int64_t id, since_ms; /* of the suspension that it was */
        } offence; /* of the last 30 days, also one that is in force */
        struct adjustment adjustment; /* in force */
        struct audit audit;
        struct {
            enum kept_kind kind;
            struct kept kept;
        } kept;
        struct {
            enum sender_of of;
            const char *key; /* IP or domain */
            const char *mailbox;
            int64_t at_ms; /* the last moment */
        } sender;
        struct near_limit near;
        struct counter counter;
    } of;
};

/* Where a list of items goes on: its beginning when it is all zero. Each backend has its own. */
struct transfer_cursor {
    char at[400];
    int64_t number;
    bool end; /* answered: nothing follows */
};

enum { TRANSFER_PAGE = 256 };

/* What it came to. */
struct transfer_report {
    struct {
        uint64_t items;
        uint64_t digest[4]; /* of all of them, in whatever order */
    } of[TRANSFER_KIND_COUNT];
};

/* Hears of each page: how many items of the kind there were so far. */
typedef void transfer_progress(void *context, enum transfer_kind kind, uint64_t items);

/* Moves everything that the store at from_url holds at now_ms to the one at to_url, which has to be
 * empty, then reads the other one and compares: *from_r and *to_r say what both hold. progress may
 * be NULL. Returns 1; 0 with *problem: a URL is wrong, a store is in use or cannot be used, the
 * other is not empty, or both differ afterwards; -1 with *problem: a database does not answer. What
 * was written by then is in the other store. */
int transfer_all(const char *from_url, const char *to_url, int timeout_ms, int64_t now_ms,
                 transfer_progress *progress, void *context, struct transfer_report *from_r,
                 struct transfer_report *to_r, struct problem *problem) must_check;

#endif
