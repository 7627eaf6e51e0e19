/* Lists of mailboxes with their use. Internal to lib/desk. */
#ifndef SENDGUARD_DESK_SENDERS_H
#define SENDGUARD_DESK_SENDERS_H

#include "desk/context.h"
#include "store/observations.h"

/* Up to `max` entries of a list of mailboxes with their use; see desk_senders.
 * *next_r: the last mailbox when there are more (in context->arena), else NULL. 1 or -1. */
int desk_add_senders(const struct context *context, enum sender_of of, const char *key,
                     const char *after,
                     size_t max, struct json_object *list, const char **next_r) must_check;

#endif
