/* What the files of failures.h share. */
#ifndef SENDGUARD_FAILURES_INSIDE_H
#define SENDGUARD_FAILURES_INSIDE_H

#include <glib.h>

#include "feedback/failures.h"
#include "guard/block_values.h"

/* One of the store's values, and what it is to be. */
struct held_failures {
    enum value_kind kind;
    char *key;
    uint32_t version; /* 0: the store has none */
    struct text packed, next;
    bool in_use; /* by the step that is made; then it is unpacked: */
    struct failure_window window;
    struct failure_outage *outage;
    uint32_t noted_block; /* of a window: the last one that is in events, or was there before */
    bool had_outage;      /* of a site: it was seen before this step */
    size_t excused; /* of a site: so many of its domains were excused, the next ones follow */
    bool is_told;   /* of a window: told is what the store has of its blocks */
    struct block_values told, tells; /* as it is, and as it is to be */
    bool tells_all; /* the step has all that leads from one to the other */
};

struct failures {
    struct store *store;
    struct arena *arena;   /* for reading */
    struct arena *names;   /* of what was added */
    GArray *added;         /* of struct failures_outcome */
    GHashTable *about[VALUE_KIND_COUNT]; /* the keys of the values that these are about */
    size_t about_bytes;    /* that they had, as far as they are held */
    GHashTable *held[VALUE_KIND_COUNT]; /* by key; of the three kinds */
    size_t bytes;          /* packed, of all that is held */
    GArray *reached;       /* of struct reached_recipient */
    GPtrArray *due;        /* of struct due_block: in which time is to pass */
    /* Of the step that is made: */
    const struct failure_settings *settings;
    int64_t newest_ms; /* the newest outcome of all */
    uint32_t domains_of_day; /* up to FAILURE_OUTAGE_DOMAINS_FEW; today or yesterday */
    GPtrArray *changed;    /* of held, in the order of the changes */
    GArray *events;        /* of struct failures_event */
    struct arena *event_texts;
};

/* Mail was delivered there. */
struct reached_recipient {
    uint64_t hash;
    int64_t day;
};

/* A value VALUE_BLOCK whose window is to be looked at. */
struct due_block {
    const char *domain, *key;
    uint8_t bytes[FAILURE_IN_FORCE_BYTES]; /* that it has; zeroed: damaged */
};

/* ---- failures_held.c --------------------------------------------------------------------------- */

void failures_begin_held(struct failures *failures);
void failures_end_held(struct failures *failures);

/* Values to be read, each once, that are not held. */
struct wanted_failures {
    struct value *values;
    size_t count;
    GHashTable *named[VALUE_KIND_COUNT];
};
struct wanted_failures failures_new_wanted(size_t room);
void failures_want(const struct failures *failures, struct wanted_failures *wanted,
                   enum value_kind kind, const char *key);
/* Reads what is wanted, and ends it. 1 or -1. */
int failures_read_wanted(struct failures *failures, struct wanted_failures *wanted,
                         int64_t now_ms) must_check;

/* Unpacked, to be changed; NULL: it is not held. What is damaged begins anew. */
struct held_failures *failures_use(struct failures *failures, enum value_kind kind,
                                   const char *key);
/* What was unpacked for a step that is not written, or has been, is as it was packed. */
void failures_put_back(struct failures *failures);
/* The same for the one that came last. */
void failures_put_back_last(struct failures *failures);
/* All, when it is much. */
void failures_forget_some(struct failures *failures);
void failures_forget(struct failures *failures, struct held_failures *held);

/* ---- failures_events.c ------------------------------------------------------------------------- */

void failures_forget_events(struct failures *failures);
/* Blocks that have begun in the window since it was unpacked. */
void failures_note_begun(struct failures *failures, struct held_failures *held);
/* Time passes over all instants before then in which a block begins; each is noted while its numbers
 * are known. */
void failures_pass(struct failures *failures, struct held_failures *held, int64_t until_ms);
/* As failure_window_leave_out; what begins and ends is noted. */
void failures_leave_out(struct failures *failures, struct held_failures *held,
                        const struct failure_excuse *excuse, int64_t at_ms);
void failures_note_outage(struct failures *failures, const struct held_failures *site);

/* ---- failures_reached.c ------------------------------------------------------------------------- */

/* The key of the part that the recipient is in. */
enum { FAILURES_REACHED_KEY_SIZE = 4 };
const char *failures_reached_key(char key_r[FAILURES_REACHED_KEY_SIZE], uint64_t hash);
/* Whether mail was delivered there within 30 days before that one; or on that day or later. false
 * too: the part is not held. */
bool failures_has_reached(const struct failures *failures, uint64_t hash, int64_t day);
bool failures_reached_that_day(const struct failures *failures, uint64_t hash, int64_t day);
/* Mail was delivered there on that day. */
void failures_reach(struct failures *failures, uint64_t hash, int64_t day);

/* ---- failures_held.c: days ----------------------------------------------------------------------- */

/* Wants what add_to_day needs. */
void failures_want_days(const struct failures *failures, struct wanted_failures *wanted,
                        int64_t now_ms);
/* The domains of what was added come to the day. Returns how many it has then, or the day before,
 * which is over. */
uint32_t failures_add_to_day(struct failures *failures, int64_t now_ms);

#endif
