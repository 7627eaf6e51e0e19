/* Actions that wait for a second person. Internal to lib/desk; what staff sees of them: desk.h. */
#ifndef SENDGUARD_DESK_APPROVAL_H
#define SENDGUARD_DESK_APPROVAL_H

#include "desk/desk_request.h"

/* Whether the settings want a second person for it who has not approved it yet: an exemption of a
 * domain, and a limit that comes above ten times the settings' (desk_request_beyond). 1, 0, -1. */
int desk_approval_needed(const struct context *context, const struct desk_request *request)
    must_check;
/* Keeps what was asked for (`words`), and adds "waits", its id. 1; 0 with *problem (409): the same waits, or
 * too many do; -1. */
int desk_approval_ask(const struct context *context, const struct person *person,
                      const struct desk_request *request, struct json_object *words,
                      struct json_object *view, struct problem *problem) must_check;

/* desk_action() of what a second person has agreed to. */
int desk_action_approved(const struct desk *desk, const struct person *person,
                         struct json_object *words, int64_t now_ms, struct json_object **view_r,
                         struct problem *problem) must_check;

#endif
