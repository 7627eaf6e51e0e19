/* Parked messages of a mailbox within other views and actions. Internal to lib/desk. */
#ifndef SENDGUARD_DESK_PARKED_H
#define SENDGUARD_DESK_PARKED_H

#include "desk/context.h"

/* Adds "parked":[PARKED…] (desk.h), the one that was parked first first. 1 or -1. */
int desk_parked_add(const struct context *context, const char *mailbox,
                    struct json_object *view) must_check;
/* For staff: adds "parked": null, or {"count":2 that wait,"at":moment of the first}. 1 or -1. */
int desk_parked_add_sums(const struct context *context, const char *mailbox,
                         struct json_object *view) must_check;
/* Nothing of the mailbox is parked any longer. 1 or -1. */
int desk_parked_forget(const struct context *context, const char *mailbox) must_check;

#endif
