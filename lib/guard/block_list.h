/* The block lists: recipients, domains of recipients, and senders whose mail is refused, each for a
 * reason that its sender reads. An entry is a versioned value (store/values.h), so that it changes
 * in one step with its entry of the audit log, and whatever follows a log can do the same in the
 * step that moves its cursor.
 *
 * Each process keeps in memory which subjects may be blocked (block_filter.h), and reads the
 * entries themselves only where it finds one. What was added is told in numbered values; what was
 * removed is not, since the entries are read anyway. */
#ifndef SENDGUARD_BLOCK_LIST_H
#define SENDGUARD_BLOCK_LIST_H

#include "store/audit.h"
#include "store/values.h"

/* The names are part of the keys in the database. */
enum block_kind {
    BLOCK_RECIPIENT, /* an address: bob@x.test */
    BLOCK_PAIR,      /* an address, for the one mailbox that is the scope */
    BLOCK_DOMAIN,    /* all recipients at a domain: x.test */
    BLOCK_SENDER,    /* a mailbox, "@example.test" or a network: all its mail */
    BLOCK_KIND_COUNT
};
extern const char *const block_kind_names[BLOCK_KIND_COUNT];

/* Reasons as people see them, beside the names of settings blocks_reasons. */
#define BLOCK_UNROUTABLE "unroutable" /* without an entry: settings_unroutable */
#define BLOCK_BY_STAFF "staff"        /* for a sentence of its own */
#define BLOCK_SCOPE_ALL "*" /* of senders too */
enum { BLOCK_REASON_MAX_BYTES = 200, BLOCK_NETWORK_SIZE = 56, BLOCK_NETWORK_LENGTHS = 4 };

struct block_entry {
    enum block_kind kind;
    const char *subject; /* key form; of a hashed recipient as block_list_hashed writes it */
    const char *scope;   /* whose mail: BLOCK_SCOPE_ALL, a settings_sender_domain, or
                            the mailbox of a pair */
    const char *reason;  /* a name of settings blocks_reasons, or what the sender reads */
    const char *by, *note;
    int64_t since_ms;
    int64_t until_ms; /* UNTIL_LIFTED: staff ends it */
    const char *advice; /* of a domain that its SPF record blocks: what has to be changed
                           (spf_view_advice); else NULL */
    const char *site; /* of a hashed recipient: who answered; NULL: not known, or of others */
    int64_t probe_ms; /* of a hashed one: when a message was let through behind its end; 0: none */
    uint64_t probe_of; /* which message: a hash; with probe_ms */
};

/* An entry that Sendguard makes of itself keeps no recipient, but its keyed hash
 * (keyed_hash_recipient): kinds recipient and pair. It is there for BLOCK_PROBE_MS behind its end,
 * while one message may be on its way to show whether mail arrives again. */
enum { BLOCK_SUBJECT_HASH_SIZE = 18 };
#define BLOCK_PROBE_MS (30 * DAY_MS)
#define BLOCK_PROBE_WAITS_MS (5 * DAY_MS) /* others wait so long for what becomes of it */
/* Moments of theirs that are further ahead are of a clock that was set back since. */
#define BLOCK_AHEAD_MS HOUR_MS
#define BLOCK_PROBE "probe" /* the reason that they read */
void block_list_hashed(uint64_t hash, char subject_r[BLOCK_SUBJECT_HASH_SIZE]);
bool block_list_is_hashed(const struct block_entry *entry);
/* Whether the reason is one that Sendguard has sentences of its own for: address_unknown,
 * mailbox_off, mailbox_full, noise, probe. */
bool block_list_known_reason(const char *reason);
/* The value that keeps the entry, in `arena`. */
struct value block_list_value(struct arena *arena, const struct block_entry *entry);
/* Whether a text is what block_list_hashed writes. */
bool block_list_is_hash(const char *text);
/* The subject as people read it: of a hashed recipient "(recipient) at SITE", in `arena`. */
const char *block_list_name(struct arena *arena, const struct block_entry *entry);

/* Its key, in `arena`: kind, subject, scope, a line feed between two of them. More than
 * VALUE_KEY_MAX bytes are too long for the store. */
const char *block_list_key(struct arena *arena, const struct block_entry *entry);
/* What a value is: 1 and an entry that lives as long as the value's bytes and `arena`; 0: no entry
 * of this version. */
int block_list_read(struct arena *arena, const struct value *value, struct block_entry *entry_r)
    must_check;

/* A network in the form that entries have: ADDRESS or ADDRESS/BITS, of 8, 16, 24 or 32 bits (IPv6:
 * 32, 48, 56 or 64), no bit set behind them; an IPv6 address is its /64, but ::ffff:192.0.2.1 is
 * 192.0.2.1. 1, or 0: it is none. */
int block_list_network(const char *text, char network_r[BLOCK_NETWORK_SIZE]) must_check;
/* The networks of these lengths that an IP of a submission lies in, the smallest first. How many:
 * BLOCK_NETWORK_LENGTHS, or 0 when it is no IP. */
size_t block_list_networks_of(const char *ip,
                              char networks_r[BLOCK_NETWORK_LENGTHS][BLOCK_NETWORK_SIZE]);

/* What the additions of one step are told as. */
enum { BLOCK_STEP_MAX = 200 }; /* entries changed at once */

struct block_update {
    struct block_entry entry; /* of one that is removed: kind, subject, scope, site, and as read */
    bool removed;
};
/* For a step of the caller's: what changes when these entries (0..BLOCK_STEP_MAX, no kind, subject
 * and scope twice) are added or removed, whatever is there, and what the audit log has of it.
 * `arena`, entries and action as long as the step; changes_r has room for count + 2, audited_r for
 * count. A step that is refused is prepared anew. 1 or -1. */
int block_list_step(struct store *store, struct arena *arena, const struct block_update *updates,
                    size_t count, const struct action *action, struct value_change *changes_r,
                    size_t *change_count_r, struct audited *audited_r, size_t *audited_count_r)
    must_check;

/* Adds 1 to BLOCK_STEP_MAX entries, no kind, subject and scope twice; one that is there is
 * replaced. Each is in the audit log as "block". All or none: 1; 0: others added at the same
 * moments again and again; -1. */
int block_list_add(struct store *store, const struct block_entry *entries, size_t count,
                   const struct action *action) must_check;
/* Removes the entry of that kind, subject and scope; "unblock" in the audit log. 1; 0 there is
 * none; -1. */
int block_list_remove(struct store *store, const struct block_entry *entry,
                      const struct action *action) must_check;

/* Whether an entry that was removed UNDO_MS before at most can be put back as it was; only where nothing
 * is there in its place. With `audited`, which is written, it is. 1; 0 with *listed_r: it is on the
 * list again, else it is not known any more, or would have ended meanwhile; -1. */
int block_list_put_back(struct store *store, const struct block_entry *like,
                        const struct audited *audited, int64_t now_ms, bool *listed_r) must_check;

/* ---- what is new ---------------------------------------------------------------------------- */

/* The number of the newest step that added something; 0: none did. 1 or -1. */
int block_list_newest(struct store *store, int64_t now_ms, int64_t *newest_r) must_check;
/* Calls `added` with each subject that was added by the steps behind number `after` up to
 * *newest_r. 1; 0: some of them are not told any more (they are for a day); -1. */
int block_list_added(struct store *store, int64_t after, int64_t now_ms,
                     void (*added)(void *context, const char *subject), void *context,
                     int64_t *newest_r) must_check;

#endif
