/* The appeals of a mailbox within other views. Internal to lib/desk. */
#ifndef SENDGUARD_DESK_APPEAL_H
#define SENDGUARD_DESK_APPEAL_H

#include "desk/context.h"
#include "rules/suspension.h"

/* Adds "appeals":[APPEAL…] (desk.h), the newest first, and "can_appeal":[{"about":…,"cause":…}…]:
 * what holds of the mailbox, and has no appeal that waits. To the user those that wait, and for
 * DESK_APPEAL_SHOWN_MS those that were answered. 1 or -1. */
#define DESK_APPEAL_SHOWN_MS (30 * DAY_MS)
int desk_appeal_add(const struct context *context, const char *mailbox,
                const struct suspensions *suspensions, bool staff,
                struct json_object *view) must_check;

/* Adds "appeals" and "appeals_waiting": of all mailboxes those that wait (desk_appeals). 1 or -1. */
int desk_appeal_add_waiting(const struct context *context, struct json_object *view) must_check;

#endif
