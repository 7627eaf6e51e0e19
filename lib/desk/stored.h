/* What the store keeps of one mailbox: told whole, for a person who asks, and removed as far as
 * that gets round no limit, lock or suspension. For the command line; the desk offers neither. Both
 * read the whole store (store/whole.h). Source: docs/operate.md, "What is stored about a person".
 */
#ifndef SENDGUARD_STORED_H
#define SENDGUARD_STORED_H

#include "desk/desk.h"
#include "store/kept.h"
#include "store/transfer.h"
#include "store/values.h"

/* What becomes of a kind when a mailbox is forgotten. */
enum stored_fate {
    STORED_OF_NOBODY, /* it names no mailbox; what does after all is told, and stays */
    STORED_GOES,
    STORED_STAYS,
};

/* A kind of what is stored, in plain words, for the person whose it is. */
struct stored_kind {
    const char *name; /* in the document that is told */
    const char *what; /* it is, in a sentence that goes on behind "N " */
    const char *until; /* how long it is kept */
    const char *why;   /* it is kept; and of STORED_STAYS why it stays */
    enum stored_fate fate;
};
/* Of each item of the store there is one of these: of what is kept and of versioned values by their
 * own kinds. */
extern const struct stored_kind stored_items[TRANSFER_KIND_COUNT];
extern const struct stored_kind stored_kept[KEPT_KIND_COUNT];
extern const struct stored_kind stored_values[VALUE_KIND_COUNT];
enum { STORED_KINDS = TRANSFER_KIND_COUNT + KEPT_KIND_COUNT + VALUE_KIND_COUNT };

/* Where to look: store.url and its options, with a timeout of each page. */
struct stored_source {
    const char *url;
    struct store_options options;
};

/* Hears of each that is kept of the mailbox: `entry` stays the teller's. False: to stop there. */
typedef bool stored_hear(void *context, const struct stored_kind *kind, struct json_object *entry);

/* Tells all that is kept of `mailbox`, in the memory of a page, of Redis also 16 to 32 bytes for each
 * key or refused message. `entry` has "kind" and "until" (null: it has no end of its own), and what
 * is known; hashes are named so, and of what several mailboxes are in it has what is about this one.
 * Who of staff did what is left out. 1; 0 with *problem, also where the secret is missing (409),
 * without which what is kept under its hashes is not found; -1. */
int desk_stored(const struct desk *desk, const struct stored_source *source, const char *mailbox,
                int64_t now_ms, stored_hear *hear, void *context, struct problem *problem)
    must_check;

/* Removes what is stored of `mailbox` and may go, step by step: after a failure some is gone, and the
 * same again goes on. Messages are judged meanwhile, and programs that keep something of it in memory
 * see that it is gone. `action` NULL: only says what would go. Its note may not name the mailbox.
 * *view_r: {"mailbox":…,"done":bool,"goes":[KIND…],"stays":[KIND…],
 *  "subject":"forgotten:HASH", of the entry in the audit log, which names it nowhere else,
 *  "before":[{"number":5,"at":moment}…], when it was forgotten before, the newest ten,
 *  "log_cut":bool}, false: whole_cut_log;
 * KIND: {"kind":…,"count":3,"what":…,"kept":…,"why":…}. 1, 0 with *problem as desk_stored, -1. */
int desk_forget(const struct desk *desk, const struct stored_source *source, const char *mailbox,
                const struct action *action, int64_t now_ms, struct json_object **view_r,
                struct problem *problem) must_check;
#define DESK_FORGOTTEN "forgotten:"

#endif
