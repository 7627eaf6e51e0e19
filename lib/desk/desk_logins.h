/* Sign-ins within other views. Internal to lib/desk. */
#ifndef SENDGUARD_DESK_LOGINS_H
#define SENDGUARD_DESK_LOGINS_H

#include "desk/context.h"
#include "rules/login.h"

/* Adds "logins": what desk_logins_closed tells. 1 or -1. */
int desk_logins_add_closed(const struct context *context, struct json_object *view) must_check;
/* Adds "blocks": those of a mailbox that keep somebody out now, as desk_logins has them. */
void desk_logins_add_blocks(const struct context *context, const char *mailbox,
                            const struct login_mailbox *state, struct json_object *view);

/* Removes from where a mailbox signed in, and its old passwords where no lock rests on them: 1; 0
 * there is nothing that may go; -1. `preview`: says so, and removes nothing. */
int desk_logins_forget(const struct context *context, const char *mailbox, bool preview)
    must_check;

#endif
