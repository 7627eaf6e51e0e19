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
#include "store/store.h"
#include "store/suspensions.h"
#include "store/values.h"

/* In the order in which they are moved. */
enum transfer_kind {
    TRANSFER_HASH_KEY,
    TRANSFER_NUMBER,
    TRANSFER_HISTORY,
    TRANSFER_RECORD,
    TRANSFER_TICKET,
    TRANSFER_PAIR,
    TRANSFER_SUSPENSION,
    TRANSFER_OFFENCE,
    TRANSFER_ADJUSTMENT,
    TRANSFER_AUDIT,
    TRANSFER_KEPT,
    TRANSFER_VALUE,
    TRANSFER_SENDER,
    TRANSFER_NEAR,
    TRANSFER_COUNTER,
    TRANSFER_KIND_COUNT
};
/* As people read them: "histories", "decisions" … */
extern const char *const transfer_kind_names[TRANSFER_KIND_COUNT];

struct counted; /* store/packed_entry.h */

enum { TRANSFER_HASH_KEY_BYTES = 16, TRANSFER_ATTEMPT_BYTES = 8 };
/* What has numbers that never come back. */
enum transfer_number { TRANSFER_SUSPENSIONS, TRANSFER_CHANGES, TRANSFER_AUDITS,
                       TRANSFER_NUMBER_COUNT };

/* Strings and arrays live in the arena of the read that gave the item. */
struct transfer_item {
    enum transfer_kind kind;
    union {
        /* by which ids and recipients are hashed: one item always */
        uint8_t hash_key[TRANSFER_HASH_KEY_BYTES];
        struct {
            enum transfer_number of;
            int64_t last; /* > 0; the next has a higher one */
        } number;
        struct {
            enum subject subject;
            const char *name; /* history_name */
            int64_t newest_ms; /* the newest moment that was ever counted in it */
            struct counted *counted; /* what its longest span holds, without what was refunded */
            size_t count;
        } history;
        struct {
            uint64_t decision;
            const uint8_t *bytes; /* packed_record.h */
            size_t length;
            const char *mailbox; /* of a refused message, "": not known; NULL: it passed */
        } record;
        struct {
            const char *mailbox;
            uint32_t id_hash;
            uint32_t recipients;
            int64_t until_ms;
        } ticket;
        struct {
            const char *mailbox;
            uint64_t recipient; /* hash */
            const uint8_t *bytes; /* packed_pair.h: what its window holds */
            size_t length;
        } pair;
        struct {
            const char *mailbox;
            struct suspension suspension;
            int64_t lasts_ms; /* how long it was made for; 0: not known; UNTIL_LIFTED where its end
                                 is */
            const uint8_t *tried; /* hashes of the attempts, TRANSFER_ATTEMPT_BYTES each, keyed by
                                     hash_key; of which each half is a little-endian number */
            size_t tried_count;
        } suspension; /* in force, as it is kept: also by a wrong clock; those of a mailbox in order
                         of their ends */
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
        struct value value;
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

/* Where a list of items goes on. It begins with state NULL. */
struct transfer_cursor {
    struct arena *arena; /* lives as long as the cursor */
    void *state;         /* the reader's own, in that arena */
    bool end;            /* answered: nothing follows */
};

enum { TRANSFER_PAGE = OBSERVATIONS_MAX };

/* What a store holds. */
struct transfer_report {
    struct {
        uint64_t items;
        uint64_t digest[4]; /* of all of them, in whatever order */
    } of[TRANSFER_KIND_COUNT];
};

/* Hears of each page: how many items of the kind there were so far. False: to stop here. */
typedef bool transfer_progress(void *context, enum transfer_kind kind, uint64_t items);

struct transfer_order {
    const char *from_url, *to_url;
    struct store_options options; /* of both; timeout_ms: of each step */
    int64_t now_ms;
    transfer_progress *progress; /* NULL: nobody wants to know */
    void *context;
};

/* Moves everything that the store at from_url holds to the one at to_url, then reads both again
 * and compares. FROM has to be there. Of SQLite the file TO must not be there: it is made under
 * another name, which it gets when all was right. Of Redis TO must hold nothing of ours but a part
 * that an earlier attempt left, which is removed; no store opens on a part. Returns
 * 1, *report_r saying what both hold; 0 with *problem: a URL is wrong, a store is in use, is
 * missing, cannot be used or is not empty, both differ afterwards, or progress stopped it; -1 with
 * *problem: a database does not answer. *part_left_r, always set: Redis has a part of it now. */
int transfer_all(const struct transfer_order *order, struct transfer_report *report_r,
                 bool *part_left_r, struct problem *problem) must_check;

#endif
