/* Versioned values: bytes under keys, of which several are changed in one step, and only if each is
 * still as the caller has read it (compare-and-set). A program that follows a log keeps here what it
 * knows and how far it is: its cursor is one of the values, so a step has effects and moves the
 * cursor, or does neither. Results, threads and ownership: store.h. */
#ifndef SENDGUARD_STORE_VALUES_H
#define SENDGUARD_STORE_VALUES_H

#include "base/arena.h"
#include "store/suspensions.h"

/* The databases keep the numbers and the names (letters alone): new ones go to the end. */
enum value_kind {
    VALUE_CURSOR, /* of a source that is read */
    VALUE_OPEN,   /* a message that the mail server still has */
    VALUE_TRACE,  /* messages of a mailbox on a day; the key begins with the day */
    VALUE_KNOWN,  /* recipients that a mailbox knows */
    VALUE_DOMAIN, /* deliveries to a domain on a day */
    VALUE_REPLY,  /* what a server said, by its hash */
    VALUE_FAILURES, /* outcomes of a sender domain's mail, and its blocks */
    VALUE_OUTAGE, /* outcomes at a site, of all senders */
    VALUE_DAY,    /* sender domains that had outcomes on a day, the first few */
    VALUE_BLOCK,  /* of a sender domain or a mailbox: rules/failure_in_force.h */
    VALUE_REACHED, /* recipients that mail was delivered to lately, a part of all by hash */
    VALUE_COMPLAINTS, /* about the messages of a mailbox */
    VALUE_REPORT, /* of somebody, about no message that is known */
    VALUE_APPEAL, /* of a user, against a block or a suspension */
    VALUE_SPF,    /* what a sender domain's record says of our hosts */
    VALUE_BLOCKED, /* an entry of the block lists */
    VALUE_ADDED,  /* which entries of the block lists are new */
    VALUE_LOGINS, /* of a mailbox, by a hash of its name: rules/login.h; and */
    VALUE_LOGIN_NETWORK, /* of a network */
    VALUE_LOGIN_NEWS,    /* which of both changed */
    VALUE_RECIPIENT, /* what failed of one, for a sender domain: rules/recipient_block.h */
    VALUE_SITE,   /* its outages within a month, and whom it made be blocked lately */
    VALUE_PERMISSIONS, /* addresses that staff lets a mailbox write as: guard/permissions.h */
    VALUE_IDENTITY, /* messages of a mailbox with a foreign From: rules/identity.h */
    VALUE_PROFILE, /* what is usual of a mailbox: rules/profile.h. Judging changes it, and */
    VALUE_HELD,    /* what it sends at an unusual rate: rules/held.h */
    VALUE_NOTIFY, /* of sendguard-notify: notify/notify_state.h */
    VALUE_PARKED, /* messages of a mailbox that wait in the webmail: desk/desk_parked.c */
    VALUE_UNDO,   /* an entry of the block lists that was removed lately */
    VALUE_REJECTED, /* messages of a mailbox that waited, and were deleted: guard/held.h */
    VALUE_KIND_COUNT
};
extern const char *const value_kind_names[VALUE_KIND_COUNT];

enum {
    VALUE_KEY_MAX = 400,
    VALUE_MAX_BYTES = 512 * 1024,
    VALUES_AT_ONCE = 4096,               /* changes of a step; values read at once */
    VALUES_STEP_MAX_BYTES = 16 * 1024 * 1024, /* of all values of a step */
    VALUES_REFUNDS_MAX = 256,
    VALUES_SUSPENSIONS_MAX = 64,
    VALUES_AUDITED_MAX = 256,
};
#define VALUE_ANY UINT32_MAX /* no version */

/* Versions differ: 1..VALUE_ANY - 1. A value that comes where none is begins with one by chance, so
 * a caller does not take it for one that was there before. */
struct value {
    enum value_kind kind;
    const char *key;   /* 1..VALUE_KEY_MAX bytes */
    const void *bytes; /* as read: in `arena`, with a NUL behind */
    size_t length;     /* 1..VALUE_MAX_BYTES; 0: there is none */
    uint32_t version;  /* as read; 0: there is none */
    int64_t until_ms;  /* from then on it is absent; UNTIL_LIFTED: never */
};

struct value_change {
    struct value value; /* as it is to be, but for its version; length 0 or past its end: removed */
    uint32_t replaces;  /* the version that is there; 0: none is; VALUE_ANY: whatever is */
};
/* As store_refund does it; or, where id is NULL, of the message that left a ticket which was
 * redeemed, when the mail server has not taken the message for which it was: once. */
struct value_refund {
    const char *mailbox, *id;
    uint32_t redeemed; /* as the record of the redeemed one says */
};

/* As store_suspend does it. The moment of an action is the step's. */
struct value_suspension {
    const char *mailbox;
    enum cause cause;
    const struct durations *durations;
    const struct action *action;
};

struct values_step {
    const struct value_change *changes; /* no kind and key twice */
    size_t count;                       /* 0..VALUES_AT_ONCE */
    const struct value_refund *refunds; /* in this order */
    size_t refund_count;                /* 0..VALUES_REFUNDS_MAX */
    const struct value_suspension *suspensions; /* in this order */
    size_t suspension_count;                    /* 0..VALUES_SUSPENSIONS_MAX */
    const struct audited *audited;              /* entries of the audit log, in this order, behind
                                                   those of the suspensions */
    size_t audited_count;                       /* 0..VALUES_AUDITED_MAX */
    int64_t now_ms;
};
struct values_done {
    size_t refused;                   /* on 0: the first change that found another version */
    uint32_t versions[VALUES_AT_ONCE]; /* on 1: of each value now; 0: it is absent */
    int8_t refunded[VALUES_REFUNDS_MAX]; /* on 1: 1 or 0 as store_refund; -1: what is kept of its
                                            mailbox or its IP is damaged, and stays */
    int64_t held_us; /* on 1: messages waited so long for it at most */
};

/* Makes all changes, refunds, suspensions and entries, if each value has the version that its change
 * replaces. Returns 1; 0, nothing is changed: one has another version; -1, also for a step that is
 * larger than above, has a key twice or a text that is too long. *done_r is undefined after -1: read
 * the values again then. NULL: nothing of it is wanted. */
int store_values_change(struct store *store, const struct values_step *step,
                        struct values_done *done_r) must_check;

/* Reads one. Returns 1; 0 there is none, *value_r undefined; -1. */
int store_value(struct store *store, struct arena *arena, enum value_kind kind, const char *key,
                int64_t now_ms, struct value *value_r) must_check;
/* Reads several (0..VALUES_AT_ONCE), of which kind and key are given, at one moment. From Redis at
 * most 64 MB. Returns 1, also when some are absent; -1, `values` undefined. */
int store_values_get(struct store *store, struct arena *arena, struct value *values, size_t count,
                     int64_t now_ms) must_check;
/* Whether there is an order of all values of that kind. */
bool store_values_listed(enum value_kind kind);
/* All of a kind that is listed, in order of key, those after `after` ("": from the
 * first). From Redis at most 64 MB a page. Returns 1 or -1. */
int store_values(struct store *store, struct arena *arena, enum value_kind kind, const char *after,
                 int64_t now_ms, struct value *values_r, struct store_page *page) must_check;

#endif
