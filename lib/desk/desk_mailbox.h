/* What the page of a mailbox tells of windows and limits. Internal to lib/desk. */
#ifndef SENDGUARD_DESK_MAILBOX_H
#define SENDGUARD_DESK_MAILBOX_H

#include "desk/forecast.h"

/* "windows"; own: those of the mailbox itself alone, not of its domain or of a recipient. */
void desk_mailbox_add_windows(const struct context *context, const struct forecast *forecast,
                              bool own, struct json_object *view);
/* "limits" */
void desk_mailbox_add_limits(const struct context *context, const struct forecast *forecast,
                             struct json_object *view);
/* "exempt", "plan" */
void desk_mailbox_add_standing(const struct context *context, const struct forecast *forecast,
                               struct json_object *view);

#endif
