/* Locks of mailboxes within other views and actions. Internal to lib/desk. */
#ifndef SENDGUARD_DESK_LOCK_H
#define SENDGUARD_DESK_LOCK_H

#include "desk/context.h"
#include "rules/suspension.h"

/* Adds "lock": LOCK (desk.h), or null where the key is missing. 1 or -1. */
int desk_lock_add(const struct context *context, const char *mailbox,
                  const struct suspensions *suspensions, struct json_object *view) must_check;

/* For the status page, of a mailbox that is suspended for cause compromised or breached:
 * "lock":{"scope":"login"|"sending", "closed":bool}; else null; and "can_lock_signins": desk_lock_signins would do something.
 * 1 or -1. */
int desk_lock_add_own(const struct context *context, const char *mailbox,
                      const struct suspensions *suspensions, struct json_object *view) must_check;

/* "lock" as above, of the row of one suspension; null where it belongs to no lock. 1 or -1. */
int desk_lock_add_to_row(const struct context *context, const char *mailbox,
                         const struct suspension *suspension,
                         struct json_object *view) must_check;

/* Staff lift the suspension that belongs to a lock: it was a mistake, and no offence. One as
 * breached comes again where that suspension still holds. action NULL: nothing is done. 1, also
 * where no lock of that cause holds; 0 with *problem (403: it is closed); -1. */
int desk_lock_forgive(const struct context *context, const struct person *person,
                      const char *mailbox, enum cause cause, const struct action *action,
                      struct problem *problem) must_check;

#endif
