/* Mailboxes that send at an unusual rate: those of which messages wait for the postmaster, and what
 * he answers; those that were deferred or noted within a week. Source: docs/unusual.md. */
#ifndef SENDGUARD_HELD_LIST_H
#define SENDGUARD_HELD_LIST_H

#include "rules/held.h"
#include "store/audit.h"
#include "store/values.h"

struct held_mailbox {
    const char *mailbox;
    struct held held; /* .action == UNUSUAL_HOLD: messages wait, until held_answer */
    uint32_t version; /* of what was read */
};

/* One mailbox; texts in `arena`. 1; 0 nothing is unusual of it; -1. */
int held_read(struct store *store, struct arena *arena, const char *mailbox, int64_t now_ms,
              struct held_mailbox *held_r) must_check;
/* All, in order of name, those after `after` ("": from the first). list_r and page: as store_values. 1
 * or -1. */
int held_list(struct store *store, struct arena *arena, const char *after, int64_t now_ms,
              struct held_mailbox *list_r, struct store_page *page) must_check;

enum held_answer {
    HELD_WAS_USER,  /* it was them: what was seen is usual for a week */
    HELD_WAS_OTHER, /* it was not: what it brought is forgotten, and held_rejected knows what waited */
};
/* Ends it, in one step: the mailbox is not listed any longer, none of its messages wait from now on, and
 * its profile learns the answer; `audited` (NULL: none) with it. What becomes of the messages in the mail
 * server, and of the mailbox, is the caller's: release or delete what `held` lists before; a message
 * that has come since is told by 0. Of one that was deferred or noted the answer is the same. 1; 0,
 * nothing is changed: more has come since it was read, or somebody else has answered: read it
 * again; -1. */
int held_answer(struct store *store, const struct held_mailbox *held, enum held_answer answer,
                const struct audited *audited, int64_t now_ms) must_check;


/* Messages that waited until the postmaster said that they were somebody else's. Kept for
 * HELD_REJECTED_MS after an answer. */
enum { HELD_REJECTED_MAX = 2 * HELD_LISTED_MAX };
#define HELD_REJECTED_MS (12 * DAY_MS) /* as long as anything is known of what became of mail */
struct held_rejected {
    int64_t at_ms;             /* of the last answer */
    uint32_t count;            /* messages of that answer, of which queue ids were kept */
    const uint64_t *decisions; /* of all answers, the last HELD_REJECTED_MAX */
    size_t decision_count;
};
/* In `arena`. 1; 0 there are none; -1. */
int held_rejected(struct store *store, struct arena *arena, const char *mailbox, int64_t now_ms,
                  struct held_rejected *rejected_r) must_check;

#endif
