/* A kept decision with its facts read. Internal to lib/desk. */
#ifndef SENDGUARD_RECORDED_H
#define SENDGUARD_RECORDED_H

#include "base/json.h"
#include "desk/context.h"
#include "store/records.h"

/* A kept decision with its facts read. */
struct recorded {
    const struct record *record;
    struct json_object *facts; /* an empty object when they cannot be read */
};
struct recorded recorded_of(const struct context *context, const struct record *record);
void recorded_end(struct recorded *recorded); /* for freed_by */

/* A list among the facts, an empty one as NULL. */
struct json_object *recorded_list(const struct recorded *recorded, const char *name);
/* Whether it broke the rule of one message. */
bool recorded_breaks(const struct recorded *recorded, enum rule rule);
/* "admitted", "held", "message", "sender_blocked", "identity", "over_time", "suspended", "blocked",
 * "unusual" */
const char *recorded_verdict(const struct recorded *recorded);
/* It came from the webmail's host and had not been judged by the webmail endpoint. */
bool recorded_bypassed(const struct recorded *recorded);
/* The limit that held for a rule; LIMIT_OFF also when it is not known. */
int32_t recorded_limit(const struct recorded *recorded, enum rule rule);
uint32_t recorded_cost(const struct recorded *recorded, enum rule rule);
/* What the window held before, or -1 when it was not looked at. */
int64_t recorded_used_before(const struct recorded *recorded, enum rule rule);
/* Whether the message would not have fitted into the window. */
bool recorded_over(const struct recorded *recorded, enum rule rule);
/* [{"rule":…}…] of a list of reasons, each once. */
struct json_object *recorded_rules(struct json_object *reasons);
/* [REASON…]: why it was refused; empty for an admitted one. */
struct json_object *recorded_reasons(const struct recorded *recorded);
/* An entry of a timeline, with "mailbox" if `of_all`. */
struct json_object *recorded_entry(const struct recorded *recorded, bool of_all);

#endif
