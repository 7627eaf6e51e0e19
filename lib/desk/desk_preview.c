/* What would be so: a submission that is only asked about, an action that is only previewed. */
#include <stdio.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "desk/context.h"
#include "desk/desk_request.h"
#include "desk/desk_senders.h"
#include "desk/forecast.h"
#include "desk/view.h"

enum { MAILBOXES_SHOWN = 20 };

int desk_simulate(const struct desk *desk, const struct submission *submission, int64_t now_ms,
                  struct json_object **view_r)
{
    struct submission asked = *submission;
    struct verdict verdict;
    if (asked.id == NULL) /* one that no message has had, so that none is taken for repeated */
        asked.id = arena_printf(asked.arena, "simulated-%llx@sendguard.invalid",
                                (unsigned long long)decision_new(now_ms));
    if (guard_judge(desk->guard, &asked, true, now_ms, &verdict) < 0)
        return -1;
    struct json_writer writer = json_write_tree();
    verdict_write(&writer, &verdict);
    json_write_end(&writer);
    json_add(writer.tree[0], "unusual", view_unusual(&verdict.unusual));
    *view_r = writer.tree[0];
    return 1;
}

/* ---- an action imagined -------------------------------------------------------------------- */

static int imagine_suspension(const struct context *context, const struct desk_request *request,
                              struct suspensions *suspensions)
{
    uint32_t offences;
    if (store_offences(context->desk->store, request->mailbox, request->cause, context->now_ms,
                       &offences) < 0)
        return -1;
    const struct suspension imagined = {
        .id = INT64_MAX, /* it gets a higher one than all have */
        .cause = request->cause,
        .since_ms = context->now_ms,
        .until_ms = suspension_until(&request->durations, offences + 1, context->now_ms,
                                     suspension_find(suspensions, request->cause)),
        .offence = offences + 1,
    };
    suspension_put(suspensions, &imagined);
    return 1;
}

int desk_request_imagine(const struct context *context, const struct desk_request *request,
                         const struct forecast *before,
                         struct forecast *after_r)
{
    struct forecast after = *before;
    if (request->action == ACTION_SUSPEND &&
        imagine_suspension(context, request, &after.account.suspensions) < 0)
        return -1;
    if (request->action == ACTION_LIFT && request->mailbox[0] == '\0')
        after.block = (struct failing_block){0};
    else if (request->action == ACTION_LIFT)
        suspension_drop(&after.account.suspensions, request->cause);
    if (request->action == ACTION_RESET) {
        if (request->mailbox[0] != '\0')
            after.account.history = after.of_recipient = (struct history){0};
        else
            after.of_domain = (struct history){0};
    }
    for (int channel = 0; channel < CHANNEL_COUNT && request->change_count > 0; channel++)
        if (guard_limits_if(context->desk->guard, (enum channel)channel, request->mailbox,
                            request->domain,
                            request->changes, request->change_count, context->now_ms,
                            &after.limits[channel]) < 0)
            return -1;
    forecast_settle(context, &after);
    *after_r = after;
    return 1;
}

/* ---- the answer ---------------------------------------------------------------------------- */

static void add_side(struct json_object *view, const char *name, const struct forecast *forecast,
                     const struct next *next)
{
    const struct suspensions *suspensions = &forecast->account.suspensions;
    struct json_object *side = json_add_object(view, name);
    json_add_string(side, "state", state_names[next->state]);
    json_add(side, "next", view_next(next));
    struct json_object *list = json_add_list(side, "suspensions");
    for (size_t i = 0; i < suspensions->count; i++) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "cause", cause_names[suspensions->of[i].cause]);
        json_add_moment(one, "until", suspensions->of[i].until_ms);
        json_object_array_add(list, one);
    }
}

/* Whether the counts alone stand in the way of the next message. */
static bool reset_helps(const struct context *context, const struct forecast *forecast)
{
    struct forecast emptied = *forecast;
    emptied.account.history = emptied.of_recipient = (struct history){0};
    forecast_settle(context, &emptied);
    return forecast_next(context, forecast).refused && !forecast_next(context, &emptied).refused;
}

int desk_request_concerns(const struct context *context, const struct desk_request *request,
                          struct json_object *view)
{
    const char *more = NULL;
    struct json_object *mailboxes = json_add_list(view, "mailboxes");
    if (request->mailbox[0] == '\0' &&
        desk_add_senders(context, SENDERS_OF_DOMAIN, request->domain, NULL, MAILBOXES_SHOWN,
                         mailboxes,
                         &more) < 0)
        return -1;
    json_add_bool(view, "more_mailboxes", more != NULL);
    return 1;
}

void desk_request_add(const struct context *context, const struct desk_request *request,
                       const struct forecast *before,
                       const struct forecast *after, struct json_object *view)
{
    struct next next_before = forecast_next(context, before), next_after = forecast_next(context,
                                                                                         after);
    json_add_string(view, "action", desk_action_name(request->action));
    json_add_string(view, "subject", request->subject);
    add_side(view, "before", before, &next_before);
    add_side(view, "after", after, &next_after);
    json_add_bool(view, "reset_as_well", request->action == ACTION_LIFT && reset_helps(context,
                                                                                       after));
}
