/* Permitted addresses within other views. Internal to lib/desk. */
#ifndef SENDGUARD_DESK_PERMISSIONS_H
#define SENDGUARD_DESK_PERMISSIONS_H

#include "desk/context.h"

/* Adds "permissions": [PERMISSION] (desk.h). 1 or -1. */
int desk_permissions_add(const struct context *context, const char *mailbox,
                         struct json_object *view) must_check;

#endif
