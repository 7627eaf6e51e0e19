/* Sign-ins within other views. Internal to lib/desk. */
#ifndef SENDGUARD_DESK_LOGINS_H
#define SENDGUARD_DESK_LOGINS_H

#include "desk/context.h"

/* Adds "logins": what desk_logins_closed tells. 1 or -1. */
int desk_logins_add_closed(const struct context *context, struct json_object *view) must_check;

#endif
