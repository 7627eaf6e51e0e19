/* What is confirmed with an action, in numbers and moments; and whether it is more than anybody is
 * likely to mean. */
#include "base/json.h"
#include "desk/context.h"
#include "desk/desk_request.h"

/* Above so many times the settings' limit it is taken for a slip first. */
enum { DOUBTED_TIMES = 10 };

/* Also while exempt. */
static int64_t limit_of(const struct effective_limits *limits, enum rule rule)
{
    int64_t limit = limits->without_extra[rule];
    return limit == LIMIT_OFF ? LIMIT_OFF : limit + limits->extra[rule];
}

/* Until when the limit or extra holds that the change would take the place of. */
static int64_t replaced_until(const struct context *context, const struct desk_request *request,
                              const struct effective_limits *before,
                              const struct adjustment *change)
{
    struct adjustment old;
    bool of_domain = change->kind == ADJUST_LIMIT &&
                     before->source[change->rule] == LIMIT_OF_DOMAIN;
    const char *subject =
        of_domain ? arena_printf(context->arena, "@%s", request->domain) : change->subject;
    return guard_adjustment(context->desk->guard, subject, change->rule, change->kind,
                            context->now_ms, &old) != 0
               ? old.until_ms
               : context->now_ms;
}

/* What comes below what holds already is none, unless it holds for longer. */
static bool is_beyond(const struct context *context, const struct desk_request *request,
                      const struct effective_limits *before, const struct effective_limits *after,
                      const struct adjustment *change, enum rule rule, enum channel channel)
{
    int64_t was = limit_of(before, rule), limit = limit_of(after, rule);
    int64_t standard = context->settings->limits[channel].of[rule];
    bool has_own = request->mailbox[0] == '\0' && change->kind == ADJUST_LIMIT &&
                   after->source[rule] == LIMIT_OF_MAILBOX;
    if (change->removed || has_own || standard == LIMIT_OFF ||
        (change->kind == ADJUST_PLAN && after->source[rule] != LIMIT_OF_PLAN) ||
        (limit != LIMIT_OFF && limit <= DOUBTED_TIMES * standard))
        return false;
    return limit == LIMIT_OFF || (was != LIMIT_OFF && limit >= was) ||
           change->until_ms > replaced_until(context, request, before, change);
}

/* A plan changes all limits that it names. */
static bool change_beyond(const struct context *context, const struct desk_request *request,
                          const struct effective_limits *before,
                          const struct effective_limits *after, const struct adjustment *change,
                          enum channel channel)
{
    if (change->kind != ADJUST_PLAN)
        return is_beyond(context, request, before, after, change, change->rule, channel);
    for (int rule = 0; rule < RULE_COUNT; rule++)
        if (is_beyond(context, request, before, after, change, (enum rule)rule, channel))
            return true;
    return false;
}

static int mailbox_beyond(const struct context *context, const struct desk_request *request,
                          const char *mailbox)
{
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        struct effective_limits before, after;
        if (!context_uses(context, (enum channel)channel))
            continue;
        if (guard_limits_if(context->desk->guard, (enum channel)channel, mailbox, request->domain,
                            request->changes, 0, context->now_ms, &before) < 0 ||
            guard_limits_if(context->desk->guard, (enum channel)channel, mailbox, request->domain,
                            request->changes, request->change_count, context->now_ms, &after) < 0)
            return -1;
        for (size_t i = 0; i < request->change_count; i++)
            if (change_beyond(context, request, &before, &after, &request->changes[i],
                              (enum channel)channel))
                return 1;
    }
    return 0;
}

int desk_request_beyond(const struct context *context, const struct desk_request *request)
{
    if (request->action != ACTION_EXTRA && request->action != ACTION_LIMIT &&
        request->action != ACTION_PLAN)
        return 0;
    int beyond = mailbox_beyond(context, request, request->mailbox);
    if (beyond != 0 || request->mailbox[0] != '\0')
        return beyond;
    const char **mailboxes;
    size_t count = guard_adjusted(context->desk->guard, context->arena, request->domain,
                                  &mailboxes);
    for (size_t i = 0; i < count && beyond == 0; i++)
        beyond = mailbox_beyond(context, request, mailboxes[i]);
    return beyond;
}

/* ---- told ------------------------------------------------------------------------------------ */

static void add_limit(struct json_object *view, const char *name, int64_t limit)
{
    if (limit == LIMIT_OFF)
        json_add_null(view, name);
    else
        json_add_int(view, name, limit);
}

/* {"channel":…,"before":…,"after":…}…; of a plan also "rule", and only those that it changes. */
static void add_limits(const struct context *context, enum rule rule, bool of_plan,
                       const struct forecast *before, const struct forecast *after,
                       struct json_object *list)
{
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        if (!context_uses(context, (enum channel)channel))
            continue;
        int64_t was = limit_of(&before->limits[channel], rule);
        int64_t limit = limit_of(&after->limits[channel], rule);
        if (of_plan && was == limit)
            continue;
        struct json_object *one = json_object_new_object();
        if (of_plan)
            json_add_string(one, "rule", rule_table[rule].name);
        json_add_string(one, "channel", channel_names[channel]);
        add_limit(one, "before", was);
        add_limit(one, "after", limit);
        json_object_array_add(list, one);
    }
}

static void add_change(const struct context *context, const struct adjustment *change,
                       const struct forecast *before, const struct forecast *after,
                       struct json_object *list)
{
    struct json_object *one = json_object_new_object();
    bool of_rule = adjust_kind_has_rule(change->kind);
    json_add_string(one, "kind", adjust_kind_names[change->kind]);
    json_add_string(one, "rule", of_rule ? rule_table[change->rule].name : NULL);
    json_add_bool(one, "removed", change->removed);
    add_limit(one, "value", of_rule && !change->removed ? change->value : LIMIT_OFF);
    json_add_string(one, "plan", change->plan[0] != '\0' ? change->plan : NULL);
    json_add_moment(one, "until", change->removed ? UNTIL_LIFTED : change->until_ms);
    struct json_object *limits = json_add_list(one, "limits");
    for (int rule = 0; rule < RULE_COUNT; rule++)
        if (of_rule ? rule == (int)change->rule : change->kind == ADJUST_PLAN)
            add_limits(context, (enum rule)rule, !of_rule, before, after, limits);
    json_object_array_add(list, one);
}

int desk_request_add_asked(const struct context *context, const struct desk_request *request,
                           const struct forecast *before, const struct forecast *after,
                           struct json_object *view)
{
    const struct suspension *made =
        request->action == ACTION_SUSPEND
            ? suspension_find(&after->account.suspensions, request->cause)
            : NULL;
    bool of_cause = made != NULL || (request->action == ACTION_LIFT && request->mailbox[0] != '\0');
    int beyond = desk_request_beyond(context, request);
    if (beyond < 0)
        return -1;
    struct json_object *asked = json_add_object(view, "asked");
    json_add_string(asked, "cause", of_cause ? cause_names[request->cause] : NULL);
    json_add_bool(asked, "suspends", made != NULL);
    json_add_moment(asked, "until", made != NULL ? made->until_ms : UNTIL_LIFTED);
    struct json_object *changes = json_add_list(asked, "changes");
    for (size_t i = 0; i < request->change_count; i++)
        add_change(context, &request->changes[i], before, after, changes);
    json_add_bool(view, "doubtful", beyond > 0);
    return 1;
}
