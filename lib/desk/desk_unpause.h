/* A user ends the pause of the own mailbox: once, on the status page, where the operator lets users.
 * Internal to lib/desk. */
#ifndef SENDGUARD_DESK_UNPAUSE_H
#define SENDGUARD_DESK_UNPAUSE_H

#include "desk/context.h"
#include "store/suspensions.h"

/* "can_unpause": whether desk_unpause would end what holds, unless another one was first; and
 * "unpause_messages": how much can be sent then. 1 or -1. */
int desk_unpause_add(const struct context *context, const char *mailbox,
                     const struct suspensions *suspensions, struct json_object *view) must_check;

#endif
