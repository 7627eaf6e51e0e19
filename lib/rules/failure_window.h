/* When the mail of a domain fails so often that the domain is blocked. Pure: time is a parameter.
 *
 * A unit, a message at one recipient, enters the window of its sender's domain once, by its first
 * outcome, and counts in every instant of [t, t + window) as good or bad. The window is broken in
 * an instant in which at least `at_least` are bad, of at least `min_messages` messages, and they
 * are at least `percent` of all. That may come to be without another outcome, when a good one
 * leaves or a grace ends, so what callers keep beside the window is the first instant at which it
 * breaks if nothing more comes. From there on the domain is blocked for `block`. What made a block
 * makes no other, and outcomes of messages that were admitted before its end enter no window.
 *
 * The window's time is the latest stamp that it was told; nothing happens before that. Outcomes of
 * one instant count together, whatever their order, so a block is made when time has passed the
 * instant in which it begins. Until then, and as long as nothing more comes, it is what
 * failure_window_breaks_at says. */
#ifndef SENDGUARD_FAILURE_WINDOW_H
#define SENDGUARD_FAILURE_WINDOW_H

#include "rules/failure_names.h"
#include "rules/rule.h"

enum failure_blocks {
    FAILURE_BLOCKS_DOMAIN,
    FAILURE_BLOCKS_MAILBOX, /* a mailbox that has four fifths of what is bad, else the domain */
};

/* May change between calls; what has been decided stays. */
struct failure_settings {
    int32_t percent;       /* 1..100; LIMIT_OFF: what enters is counted and never breaks */
    int64_t at_least;      /* 1.. */
    int64_t min_messages;  /* 1.. */
    int64_t window_ms, block_ms; /* 1..DAY_MS */
    int64_t grace_ms;      /* 0..DAY_MS */
    int outage;            /* of the caller: whether it looks for outages at all */
    int blocks;            /* enum failure_blocks */
};
/* The defaults of [failures]. */
#define FAILURE_DEFAULTS                                                                     \
    {.percent = 50, .at_least = 10, .min_messages = 2, .window_ms = HOUR_MS,                 \
     .block_ms = HOUR_MS, .grace_ms = 15 * MINUTE_MS, .outage = 1,                           \
     .blocks = FAILURE_BLOCKS_DOMAIN}

/* What a failure says, as far as the rule regards it. Values keep the number. */
enum failure_kind {
    FAILURE_OTHER,           /* no outage explains it */
    FAILURE_SITE,            /* nobody there answers, or their systems are in trouble */
    FAILURE_ADDRESS_UNKNOWN,
    FAILURE_MAILBOX,         /* it is full, or off */
    FAILURE_KIND_COUNT
};

/* Why an entry is in neither number. Values keep the number. */
enum failure_left_out {
    FAILURE_COUNTS,
    FAILURE_OUTAGE, /* of the site that answered */
    FAILURE_OURS,   /* our own trouble */
    FAILURE_LEFT_OUT_COUNT
};

enum {
    FAILURE_CLASSES = 32,
    FAILURE_ENTRIES_MAX = 32768, /* of them so many that are bad or graced: */
    FAILURE_BAD_MAX = 8192,
    FAILURE_NAMES_MAX_BYTES = 64 * 1024, /* with these a packed window fits a value of the store */
    FAILURE_BLOCKS_MAX = 256,
};
#define FAILURE_LATE_MS MINUTE_MS
#define FAILURE_BLOCKS_REMEMBERED_MS (7 * DAY_MS)
#define FAILURE_NEVER INT64_MAX

enum failure_state { FAILURE_GOOD, FAILURE_BAD, FAILURE_GRACED };

struct failure_entry {
    int64_t time_ms; /* since when it is in the window; of a graced one, its first attempt */
    uint64_t unit, message; /* of a good one: 0 */
    uint32_t mailbox;       /* a name; FAILURE_NOBODY: a good one, where mailboxes do not matter */
    uint32_t site;          /* a name; of a good one FAILURE_NOBODY */
    uint32_t block;         /* the id of the block that it made; 0: none yet */
    uint8_t state, kind, class, left_out;
};

enum failure_end { FAILURE_BY_TIME, FAILURE_LIFTED, FAILURE_BY_OUTAGE, FAILURE_END_COUNT };

struct failure_block {
    uint32_t id;               /* from 1, in order */
    int64_t from_ms, until_ms; /* until: as it ended, or will end by itself */
    uint32_t mailbox; /* the one that is blocked; FAILURE_NOBODY: the domain */
    uint32_t culprit; /* the one that made four fifths of it with FAILURE_ADDRESS_UNKNOWN */
    bool suspends;    /* it is the third of its culprit in 7 days: cause `failures` */
    uint8_t ended;    /* FAILURE_BY_TIME also while it holds */
    /* Of a mailbox's block: what the other mailboxes had in the window at that moment. */
    uint32_t others_bad, others_all, others_messages;
};

struct failure_list {
    struct failure_entry *of; /* in order of time */
    size_t count, room;
};

/* Zeroed: nothing has come yet. Read by anybody, changed by the functions below. */
struct failure_window {
    int64_t time_ms;
    int64_t closed_ms; /* units of messages that were admitted before enter no more */
    struct failure_list decided; /* good and bad, also what made a block that still holds */
    struct failure_list graced;
    size_t bad_count;   /* of decided */
    size_t aside_count; /* of decided: left out, or made a block */
    struct failure_names names;
    size_t left_count; /* entries that left since names were forgotten last */
    struct failure_block *blocks; /* of the last 7 days, in order of time; room for all */
    size_t block_count;
    uint32_t last_block;
    uint32_t missed; /* outcomes that found it full and count nowhere; 0 once missed_ms has left */
    int64_t missed_ms;
};
void failure_window_free(struct failure_window *window);

enum failure_came { FAILURE_DELIVERED, FAILURE_DEFERRED, FAILURE_FAILED };

struct failure_outcome {
    uint64_t unit;       /* hash of message and recipient as admitted */
    uint64_t message;    /* its number */
    const char *mailbox; /* that sent it */
    const char *site;    /* who answered, or the recipient's domain */
    bool first;          /* no attempt had an outcome before */
    bool greylisted;     /* a first attempt, deferred as strangers are */
    enum failure_came came;
    enum failure_kind kind; /* this and the next: not of FAILURE_DELIVERED */
    uint8_t class;          /* the caller's number, below FAILURE_CLASSES: for failure_numbers */
    enum failure_left_out left_out;
    int64_t admitted_ms; /* the message */
    int64_t at_ms;       /* stamp of the line */
    int64_t read_ms;     /* when the line is read */
};

enum failure_taken {
    FAILURE_TAKEN,     /* it entered, waits for the end of its grace, or changed what had entered */
    FAILURE_NO_CHANGE, /* a retry, or of a unit that is not in the window */
    FAILURE_LATE,      /* stamp and reading are more than FAILURE_LATE_MS apart */
    FAILURE_SET_ASIDE, /* its message was admitted before a block ended */
    FAILURE_MISSED,    /* there are too many others: counted in `missed` */
};

/* Whether it enters nothing: FAILURE_LATE. */
bool failure_window_is_late(const struct failure_outcome *outcome);
/* Takes over an attempted outcome. A window whose time is ahead of read_ms by more than its length
 * was stamped by a clock that was wrong: it begins anew. Source: S3, S4. */
enum failure_taken failure_window_take(struct failure_window *window,
                                       const struct failure_settings *settings,
                                       const struct failure_outcome *outcome);

/* Time passes: blocks that begin before at_ms are in `blocks` then, and what has left is forgotten.
 * All functions that change the window let it pass first. */
void failure_window_pass(struct failure_window *window, const struct failure_settings *settings,
                         int64_t at_ms);

/* The first instant, not before the window's time, at which it breaks if nothing more comes;
 * FAILURE_NEVER. What has become a block does not break again. */
int64_t failure_window_breaks_at(const struct failure_window *window,
                                 const struct failure_settings *settings);

/* The block of the mailbox, or of the domain (NULL), that holds at the window's time, or NULL. */
const struct failure_block *failure_window_block(const struct failure_window *window,
                                                 const char *mailbox);

/* Staff ends that block, which may begin in this very instant: what the window holds of it is set
 * aside, and so is what was admitted before. 1; 0: there is none. */
int failure_window_lift(struct failure_window *window, const struct failure_settings *settings,
                        const char *mailbox, int64_t at_ms) must_check;

/* What an outage explains. */
struct failure_excuse {
    const char *site;
    const char *mailbox; /* NULL: of all mailboxes */
    uint32_t kinds;      /* bits, 1 << enum failure_kind */
};
/* Leaves out what failed there within the last hour. A block that without it would not have begun
 * ends, as failure_window_lift does it. Returns how many entries are left out anew. */
size_t failure_window_leave_out(struct failure_window *window,
                                const struct failure_settings *settings,
                                const struct failure_excuse *excuse, int64_t at_ms);

/* ---- what people are told -------------------------------------------------------------------- */

struct failure_count {
    const char *name; /* a mailbox or a site: in the window's names */
    enum failure_left_out why; /* of a site */
    uint32_t count;
};
struct failure_numbers {
    uint32_t bad, all, messages; /* messages: that the bad ones are of */
    uint32_t by_class[FAILURE_CLASSES];
    struct failure_count *by_mailbox; /* most first; of a mailbox's block, itself alone */
    size_t mailbox_count;
    struct failure_count *left_out; /* most first */
    size_t left_out_count;
};
/* The numbers that made a block of `blocks` while it holds, or (NULL) those of the window at its
 * time. */
struct failure_numbers failure_window_numbers(const struct failure_window *window,
                                              const struct failure_block *block);
void failure_window_numbers_free(struct failure_numbers *numbers);

/* ---- the packed form ------------------------------------------------------------------------- */

/* 1 format; 8 time, 8 closed; varints last block and missed, 8 when; the names; then blocks,
 * decided and graced entries, each list with its count before it, as failure_window_packed.c has
 * them. Call failure_window_pass before: it forgets what is not needed. Names that are in no use go
 * too. */
void failure_window_add(struct text *out, struct failure_window *window);
/* 1; 0: damaged, *window_r is zeroed. */
int failure_window_read(const void *bytes, size_t length,
                        struct failure_window *window_r) must_check;

#endif
