/* Mail that fails so often that it blocks its sender domain (rules/failure_window.h), as views and
 * staff actions read it. What is blocked is what judging reads (rules/failure_in_force.h); the
 * window tells what made it. Internal to lib/desk. */
#ifndef SENDGUARD_FAILING_H
#define SENDGUARD_FAILING_H

#include "base/json.h"
#include "desk/context.h"
#include "rules/failure_in_force.h"
#include "store/values.h"

/* A block that holds. */
struct failing_block {
    const char *subject; /* "@example.test" or "alice@example.test"; NULL: there is none */
    struct value value;  /* as the store has it */
    struct failure_in_force in_force;
};
/* That of a mailbox or of its sender domain, which refuses its next message; of both the one that
 * ends last. mailbox "": of a mailbox of the domain without a block of its own. 1 or -1. */
int failing_block_read(const struct context *context, const char *mailbox, const char *domain,
                       struct failing_block *block_r) must_check;
/* A value of VALUE_BLOCK as a block. false: it does not hold now, or is damaged, or the settings of
 * now do not regard it: failures.percent is off, or it is of a mailbox, and domains are blocked, or
 * the domain has another name now. */
bool failing_block_of(const struct context *context, const struct value *value,
                      struct failing_block *block_r);
/* The one that a message of the mailbox met, as its record has it; none: it met none. */
struct failing_block failing_block_met(const struct context *context, const char *mailbox,
                                       const struct failure_in_force *in_force);
/* BLOCK of desk.h; NULL of none. */
struct json_object *failing_block_view(const struct failing_block *block);

/* All that is kept of a sender domain. */
struct failing {
    const char *domain;           /* the name of its group: settings_sender_domain */
    struct value value;           /* VALUE_FAILURES as the store has it; length 0: there is none */
    struct failure_window window; /* as it is now */
    struct failing_block *blocks; /* of the domain, and of its mailboxes; to be freed */
    size_t block_count;
};
/* domain: key form. 1 or -1. To be ended also after -1. */
int failing_read(const struct context *context, const char *domain,
                 struct failing *failing_r) must_check;
void failing_end(struct failing *failing); /* for freed_by */

/* FAILURES of desk.h. */
struct json_object *failing_view(const struct context *context, const struct failing *failing);
/* What a user is told of the block that refuses his mail: OWN_BLOCK of desk.h, NULL of none. 1 or
 * -1. */
int failing_own_view(const struct context *context, const char *mailbox,
                     const struct failing_block *block, struct json_object **view_r) must_check;

/* Calls for each value of a kind that is listed; it does not live longer. 1 or -1. */
typedef void failing_found(const struct context *context, const struct value *value, void *list);
int failing_each_value(const struct context *context, enum value_kind kind, failing_found *found,
                       void *list) must_check;

/* "blocked":[BLOCK…], all that hold. 1 or -1. */
int failing_add_blocked(const struct context *context, struct json_object *view) must_check;
/* "outages":[{"destination":…,"since":moment,"domains":5}…], most domains first. 1 or -1. */
int failing_add_outages(const struct context *context, struct json_object *view) must_check;

#endif
