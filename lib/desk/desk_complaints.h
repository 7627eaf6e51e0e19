/* Complaints about a mailbox, as its own user may know them. Internal to lib/desk. */
#ifndef SENDGUARD_DESK_COMPLAINTS_H
#define SENDGUARD_DESK_COMPLAINTS_H

#include "desk/context.h"

/* OWN_COMPLAINTS of desk.h; NULL: there are none. 1 or -1. */
int desk_complaints_own(const struct context *context, const char *mailbox,
                        struct json_object **view_r) must_check;

#endif
