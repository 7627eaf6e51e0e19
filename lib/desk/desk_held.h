/* Messages that Postfix holds within other views. Internal to lib/desk. */
#ifndef SENDGUARD_DESK_HELD_H
#define SENDGUARD_DESK_HELD_H

#include "desk/context.h"

/* Whether mail of the mailbox waits. 1, 0, -1. */
int desk_held_waits(const struct context *context, const char *mailbox) must_check;
/* Adds "held": HELD (desk.h) of the mailbox, null where none of its messages waits. 1 or -1. */
int desk_held_add(const struct context *context, const char *mailbox,
                  struct json_object *view) must_check;
/* For its user "held" and "rejected" of desk_status. 1 or -1. */
int desk_held_add_own(const struct context *context, const char *mailbox,
                      struct json_object *view) must_check;

#endif
