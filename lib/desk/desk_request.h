/* A staff action as it is asked for: read from words, checked, imagined. Internal
 * to desk_request.c, desk_asked.c, desk_caps.c, desk_preview.c, desk_unblock.c and desk_action.c. */
#ifndef SENDGUARD_DESK_REQUEST_H
#define SENDGUARD_DESK_REQUEST_H

#include "base/problem.h"
#include "desk/context.h"
#include "desk/forecast.h"
#include "store/adjustments.h"

enum action_kind {
    ACTION_SUSPEND, ACTION_LIFT, ACTION_RESET, ACTION_EXTRA, ACTION_LIMIT, ACTION_EXEMPT,
    ACTION_PLAN, ACTION_NOTE,
    ACTION_COUNT
};
const char *desk_action_name(enum action_kind action);

struct desk_request {
    enum action_kind action;
    const char *subject;          /* "alice@example.test" or "@example.test", key form */
    const char *mailbox, *domain; /* mailbox "": of a domain */
    const char *note;
    enum cause cause;             /* suspend, lift; CAUSE_COUNT: a lift names none, or is of a domain */
    struct durations durations;   /* suspend */
    struct adjustment changes[ADJUST_MAX]; /* extra, limit, exempt, plan */
    size_t change_count;
    bool approved;                /* by a second person */
};

/* desk_action's words. 1; 0 with *problem (400, where = the member). Strings live in context->arena. */
int desk_request_read(const struct context *context, struct json_object *words,
                      struct desk_request *request_r, struct problem *problem) must_check;

/* A lift that names no cause is of the only suspension there is. 1; 0 with *problem (409) when there is
 * none of the cause, or no cause is named and there are several. blocked: what else refuses the
 * mailbox's mail, "@example.test", which *problem names; or NULL. */
int desk_request_choose_cause(const struct context *context, struct desk_request *request,
                              const struct suspensions *suspensions, const char *blocked,
                              struct problem *problem) must_check;

/* A lift whose subject is a domain ends its block for mail that failed and those of its mailboxes;
 * action NULL: nothing is done. Adds "lifted" and "breaks_at". 1; 0 with *problem (409): nothing
 * holds, or the domain's mail is counted all the time; -1. */
int desk_request_unblock(const struct context *context, const struct desk_request *request,
                         const struct action *action, struct json_object *view,
                         struct problem *problem) must_check;

/* Whether role support may change limits (extra, limit) so far. 1; 0 with *problem (403); -1. */
int desk_request_within_caps(const struct context *context, const struct desk_request *request,
                             struct problem *problem) must_check;

/* The forecast with the action done; nothing is done. 1 or -1. */
int desk_request_imagine(const struct context *context, const struct desk_request *request,
                         const struct forecast *before, struct forecast *after_r) must_check;

/* Whether changes of limits (extra, limit, plan) make one come, in all, above ten times the
 * settings', or switch one off that the settings have; of a domain, also for a mailbox with
 * adjustments of its own. What comes below what holds already, and lasts no longer, does not. 1, 0,
 * -1. Asked before they are made. */
int desk_request_beyond(const struct context *context, const struct desk_request *request)
    must_check;
/* "asked" and "doubtful": what is confirmed. `after`: the suspension that is made among the others.
 * 1 or -1. Asked before anything is done. */
int desk_request_add_asked(const struct context *context, const struct desk_request *request,
                           const struct forecast *before, const struct forecast *after,
                           struct json_object *view) must_check;

/* "mailboxes" and "more_mailboxes": who is concerned. 1 or -1. */
int desk_request_concerns(const struct context *context, const struct desk_request *request,
                          struct json_object *view) must_check;
/* "action", "subject", "before", "after", "reset_as_well". */
void desk_request_add(const struct context *context, const struct desk_request *request,
                      const struct forecast *before, const struct forecast *after,
                      struct json_object *view);

#endif
