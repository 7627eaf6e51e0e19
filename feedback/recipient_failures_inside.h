/* What the files of recipient_failures share: what a step reads of the store, and changes. */
#ifndef SENDGUARD_RECIPIENT_FAILURES_INSIDE_H
#define SENDGUARD_RECIPIENT_FAILURES_INSIDE_H

#include <glib.h>

#include "feedback/recipient_failures.h"
#include "feedback/site_outages.h"
#include "guard/block_list.h"

/* Of a step: so many failures, histories and sites that change, and entries. What finds no room is
 * passed over: a failure counts when it comes again, a delivery clears when it comes again. */
enum { FAILED_MAX = 400, KEPT_MAX = 800, ENTRIES_MAX = BLOCK_STEP_MAX,
       CHANGES_MAX = KEPT_MAX + ENTRIES_MAX + 2, YEARS = 2 };

struct entry_read {
    struct block_entry of;
    const char *key;
    uint32_t version; /* 0: there is none */
    bool readable;    /* one that is damaged blocks nobody, and is replaced */
};
/* A recipient or a pair on the block lists, by the hash of this year and of the one before. */
struct block_place {
    struct entry_read years[YEARS];
    enum then { AS_IT_IS, REMOVED, MADE } then;
    struct block_entry next;
    const char *note; /* why it was removed */
};
enum { SITE_KEY_SIZE = 9 };
struct site {
    char key[SITE_KEY_SIZE]; /* of VALUE_SITE */
    struct site_outages outages;
    uint32_t version;
    bool changed;
};
/* What is known of a recipient for a sender domain. */
struct about {
    const char *keys[YEARS], *domain;
    char subjects[YEARS][BLOCK_SUBJECT_HASH_SIZE]; /* the second "": the same hash */
    struct recipient_history history;
    struct block_place *place;   /* of the recipient; NULL: nothing there is read */
    int64_t until_ms;
    uint32_t version;
    bool found, has_failed, changed;
};

struct recipient_failures {
    struct store *store;
    struct arena *texts; /* of what was added */
    GArray *added;       /* of struct recipient_failures_outcome */
    size_t failed;
    /* Of the step that is made: */
    struct arena *arena;
    struct about **about; /* of each of `added` */
    bool blocks;
    int64_t now_ms;
    GHashTable *abouts; /* by key: struct about */
    GHashTable *before; /* the same by the key of the year before, where that is another */
    GHashTable *places; /* by key of an entry, of both years: struct block_place */
    GHashTable *sites;  /* by key: struct site */
    GPtrArray *in_order; /* places that change, each by up to YEARS entries */
    size_t places_max;
    size_t kept; /* histories and sites that change */
    bool passed_over;
};

const struct recipient_failures_outcome *
recipient_failures_at(const struct recipient_failures *failures, guint number);

/* Reads what the store has of all that was added; fills about, abouts, before, places and sites.
 * 1 or -1. */
int recipient_failures_read(struct recipient_failures *failures) must_check;
/* Reads, into places, what this site made somebody be blocked for in the last hour. 1 or -1. */
int recipient_failures_read_blocked(struct recipient_failures *failures,
                                    const struct site *site) must_check;

/* Of a recipient, or with a mailbox of a pair; NULL: it is not read. */
struct block_place *recipient_failures_place(const struct recipient_failures *failures,
                                             const struct about *about, const char *mailbox);
struct block_place *recipient_failures_place_of(const struct recipient_failures *failures,
                                                const char *domain);
/* Where it failed. */
struct site *recipient_failures_site(const struct recipient_failures *failures,
                                     const struct recipient_failures_outcome *outcome);

#endif
