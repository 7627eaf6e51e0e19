/* The rules of one message, as pure functions: no I/O, no clock, no globals. A rule over time is a
 * rolling window (window.h) over a history that the store keeps; outcome.h judges by both. */
#ifndef SENDGUARD_RULES_H
#define SENDGUARD_RULES_H

#include "rules/facts.h"
#include "rules/history.h"
#include "rules/rule.h"

/* What a mailbox may not write as. */
struct objection_from {
    const char *address; /* or what was read in its place */
    const char *mailbox;
    const char *const *may_use; /* some addresses that it may use, at least one */
    size_t may_use_count;
    bool is_observed; /* it is told, and refuses nothing */
};

/* One broken rule. */
struct objection {
    enum rule rule;
    int field;          /* enum field for RULE_RECIPIENTS_PER_FIELD and RULE_RECIPIENT_BLOCKED, else
                           -1 */
    const char *domain; /* for the rules of a domain, and of a blocked recipient; else NULL */
    uint32_t limit, count; /* over time: with what was sent before, unless never_fits */
    bool never_fits; /* over time: more than the limit by itself, waiting does not help */
    const char *recipient; /* that is blocked, else NULL */
    const char *reason;    /* why it or the sender is blocked, in one word; else NULL */
    const char *sentence;  /* and in a sentence; NULL: the catalogue has one for the reason */
    const char *until;     /* to be read: until when, of a block that Sendguard made; else NULL */
    const struct objection_from *from; /* of the rules of From, else NULL */
};

/* Whether it refuses the message. */
static inline bool objection_refuses(const struct objection *objection)
{
    return objection->from == NULL || !objection->from->is_observed;
}

/* All rules of one message that `facts` breaks, at once: every field, every
 * domain. Returns how many; *objections_r lives in `arena`, NULL for none. */
size_t rules_check(struct arena *arena, const struct limits *limits, const struct facts *facts,
                   const struct objection **objections_r);

#endif
