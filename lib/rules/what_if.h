/* Whom another limit over time of a mailbox would have stopped, from messages that were counted, one
 * after the other in order of time. A message that it would have refused would not have been counted,
 * so the window that later ones meet holds that much less than it did. As if going over the limit
 * refused the message alone and suspended nobody. Pure. */
#ifndef SENDGUARD_WHAT_IF_H
#define SENDGUARD_WHAT_IF_H

#include <stdbool.h>

#include "rules/rule.h"

struct what_if;

enum {
    WHAT_IF_MAILBOXES = 10000,  /* of so many is told, the first that were stopped */
    WHAT_IF_MESSAGES = 4000000, /* so many that it stopped are kept while they would have counted */
};

/* rule: one that looks at a mailbox. */
struct what_if *what_if_new(enum rule rule);
void what_if_free(struct what_if **what_if);

/* A message that was counted. */
struct what_if_message {
    int64_t at_ms;
    uint64_t used_before; /* what the window of the rule held before it */
    uint32_t off_domain;
    uint64_t decision;
};

/* Takes the next message of a mailbox: whether it was over that limit, the lowest that a mailbox has.
 * Else nothing stops it. */
bool what_if_concerns(struct what_if *what_if, const char *mailbox, int32_t limit,
                      const struct what_if_message *message);
/* Looks closer at a message that concerns it, by the mailbox' own limit (LIMIT_OFF: none). 1 it would
 * have been stopped; 0; -1 there is no room for it. */
int what_if_see(struct what_if *what_if, const char *mailbox, int32_t limit,
                const struct what_if_message *message);

/* A mailbox that was stopped. */
struct what_if_mailbox {
    const char *mailbox; /* the what_if's */
    int32_t limit;
    uint64_t stopped;          /* so many of its messages */
    int64_t first_ms, last_ms; /* of them */
    uint64_t first_decision;
};
/* Those that were stopped, most messages first, then by name; *count_r of them. The what_if's. */
const struct what_if_mailbox *const *what_if_list(struct what_if *what_if, size_t *count_r);

#endif
