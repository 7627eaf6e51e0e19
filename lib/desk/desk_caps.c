/* How far role support may change limits, and for how long.
 *
 * Extras of a mailbox and of its domain add up, and stand on top of a limit of their own:
 * what counts is how high a limit can come in all, also when one of these ends before the
 * others. Down it goes no further than to what holds for the mailbox without a limit of its
 * own. A domain's limit is for administrators, and so is what only they can have made: what
 * lasts longer, adds more, or is lower than role support may. Limits of forwarding count only
 * where something forwards. */
#include <string.h>

#include "desk/context.h"
#include "desk/desk_request.h"

/* The limits of one mailbox for one channel, and what its domain has without it. */
struct sight {
    struct effective_limits mailbox, domain;
};

static int see(const struct context *context, const struct desk_request *request,
               size_t change_count,
               enum channel channel, const char *mailbox, struct sight *sight_r)
{
    struct guard *guard = context->desk->guard;
    if (guard_limits_if(guard, channel, mailbox, request->domain, request->changes, change_count,
                        context->now_ms, &sight_r->mailbox) < 0 ||
        guard_limits_if(guard, channel, "", request->domain, request->changes, change_count,
                        context->now_ms,
                        &sight_r->domain) < 0)
        return -1;
    return 1;
}

/* The highest limit without extras: the settings', the domain's or the mailbox's. */
static int64_t highest(const struct sight *sight, enum rule rule, int64_t of_settings)
{
    int64_t high = of_settings;
    if (sight->domain.without_extra[rule] > high)
        high = sight->domain.without_extra[rule];
    if (sight->mailbox.without_extra[rule] > high)
        high = sight->mailbox.without_extra[rule];
    return high;
}

static int too_high(const struct context *context, enum rule rule, int64_t limit,
                    enum channel channel,
                    int64_t start, struct problem *problem)
{
    return problem_set(problem, 403, "",
                       "with what was given already, %s comes to %lld, which is more than the %lld "
                       "of the %s (%s) and the %lld that your role may add "
                       "(desk.max_extra); ask an administrator",
                       rule_table[rule].name, (long long)limit, (long long)start,
                       context->settings->limits[channel].of[rule] == LIMIT_OFF ? "administrators"
                                                                          : "settings",
                       channel_names[channel], (long long)context->settings->desk_max_extra);
}

/* What the role's addition stands on: the settings' limit; where they have none, the domain's or
 * else the mailbox's own, which an administrator set. LIMIT_OFF: none. */
static int64_t starting_point(const struct context *context, const struct sight *before,
                              enum rule rule,
                              enum channel channel)
{
    int64_t limit = context->settings->limits[channel].of[rule];
    if (limit == LIMIT_OFF)
        limit = before->domain.without_extra[rule];
    return limit != LIMIT_OFF ? limit : before->mailbox.without_extra[rule];
}

/* What an administrator put above the cap may get an extra of its own. */
static int check_rule(const struct context *context, const struct sight *before,
                      const struct sight *after, enum rule rule, enum channel channel,
                      struct problem *problem)
{
    int64_t start = starting_point(context, before, rule, channel);
    int64_t max = context->settings->desk_max_extra;
    if (start == LIMIT_OFF) /* a limit where there is none raises nothing */
        return 1;
    int64_t base = highest(after, rule, start);
    int64_t limit = base + after->mailbox.extra[rule];
    int64_t limit_before = highest(before, rule, start) + before->mailbox.extra[rule];
    bool by_administrator = base > start + max && base <= highest(before, rule, start);
    int64_t ceiling = (by_administrator ? base : start) + max;
    return limit <= ceiling || limit <= limit_before ||
           too_high(context, rule, limit, channel, start, problem);
}

/* How low a limit of the mailbox's own may be: what would hold without one. Webmail and SMTP count
 * together, so there it is the lower limit; forwarding counts apart and has to be met as well.
 * LIMIT_OFF: there is no limit. 1, -1. */
static int lowest_without(const struct context *context, const char *mailbox, const char *domain,
                          enum rule rule, int64_t *lowest_r)
{
    struct adjustment none = {.rule = rule, .kind = ADJUST_LIMIT, .removed = true};
    int64_t lowest = LIMIT_OFF, forwarded = LIMIT_OFF;
    strcpy(none.subject, mailbox);
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        struct effective_limits limits;
        if (!context_uses(context, (enum channel)channel))
            continue;
        if (guard_limits_if(context->desk->guard, (enum channel)channel, mailbox, domain, &none, 1,
                            context->now_ms, &limits) < 0)
            return -1;
        int64_t limit = limits.without_extra[rule];
        if (channel == CHANNEL_FORWARDING)
            forwarded = limit;
        else if (limit != LIMIT_OFF && (lowest == LIMIT_OFF || limit < lowest))
            lowest = limit;
    }
    *lowest_r = forwarded > lowest ? forwarded : lowest; /* LIMIT_OFF is lower than all */
    return 1;
}

/* What an administrator lowered for a mailbox stays so: role support can lower nothing, so a limit
 * below what holds without it is an administrator's. */
static int check_stays_lowered(const struct context *context, const struct desk_request *request,
                               const char *mailbox, const struct adjustment *change,
                               struct problem *problem)
{
    struct adjustment own;
    int64_t lowest;
    if (guard_adjustment(context->desk->guard, mailbox, change->rule, ADJUST_LIMIT, context->now_ms,
                         &own) == 0 || own.value == LIMIT_OFF)
        return 1;
    if (lowest_without(context, mailbox, request->domain, change->rule, &lowest) < 0)
        return -1;
    bool adds = change->kind != ADJUST_EXTRA || change->value > 0;
    return own.value >= lowest || !adds ||
           problem_set(problem, 403, "",
                       "the %s of %s now is %d, lower than the %lld that hold without it, so an "
                       "administrator set it; ask an administrator",
                       rule_table[change->rule].name, mailbox, own.value, (long long)lowest);
}

static int check_mailbox(const struct context *context, const struct desk_request *request,
                         const char *mailbox,
                         struct problem *problem)
{
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        struct sight before, after;
        if (!context_uses(context, (enum channel)channel))
            continue;
        if (see(context, request, 0, (enum channel)channel, mailbox, &before) < 0 ||
            see(context, request, request->change_count, (enum channel)channel, mailbox,
                &after) < 0)
            return -1;
        for (size_t i = 0; i < request->change_count; i++)
            if (!check_rule(context, &before, &after, request->changes[i].rule,
                            (enum channel)channel,
                            problem))
                return 0;
    }
    int result = 1;
    for (size_t i = 0; i < request->change_count && result > 0 && mailbox[0] != '\0'; i++)
        result = check_stays_lowered(context, request, mailbox, &request->changes[i], problem);
    return result;
}

/* ---- one action alone ----------------------------------------------------------------------- */

static const char *duration_text(const struct context *context, int64_t ms)
{
    freed_by(text_free) struct text text = {0};
    settings_duration_print(ms, &text);
    return arena_strndup(context->arena, text_string(&text), text.length);
}

static int64_t latest_end(const struct context *context)
{
    return context->now_ms + context->settings->desk_max_extra_for_ms;
}

static int check_time(const struct context *context, const struct adjustment *change,
                      struct problem *problem)
{
    if (change->removed || change->until_ms <= latest_end(context))
        return 1;
    return problem_set(problem, 403, "",
                       "%s longer than the %s that your role may change limits for "
                       "(desk.max_extra_for); say for how long, or ask an administrator",
                       change->until_ms == UNTIL_LIFTED ? "without an end it is" : "it is",
                       duration_text(context, context->settings->desk_max_extra_for_ms));
}

static int check_extra(const struct context *context, const struct adjustment *change,
                       struct problem *problem)
{
    int64_t max = context->settings->desk_max_extra;
    return change->value <= max ||
           problem_set(problem, 403, "",
                       "an extra of %d is more than the %lld that your role may give "
                       "(desk.max_extra); ask an administrator",
                       change->value, (long long)max);
}

static int check_lowered(const struct context *context, const struct desk_request *request,
                         const struct adjustment *change, struct problem *problem)
{
    int64_t lowest;
    if (lowest_without(context, request->mailbox, request->domain, change->rule, &lowest) < 0)
        return -1;
    if (lowest == LIMIT_OFF)
        return problem_set(problem, 403, "",
                           "there is no %s here, and your role may not set one; ask an "
                           "administrator, or suspend the mailbox",
                           rule_table[change->rule].name);
    return change->value >= lowest ||
           problem_set(problem, 403, "",
                       "%d is less than the %lld that hold without a limit of its own, and your "
                       "role may not lower them; ask an administrator, or suspend the mailbox",
                       change->value, (long long)lowest);
}

/* A limit holds on every channel, so the lowest setting counts. */
static int check_raised(const struct context *context, const struct adjustment *change,
                        struct problem *problem)
{
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        int64_t limit = context->settings->limits[channel].of[change->rule];
        if (context_uses(context, (enum channel)channel) && limit != LIMIT_OFF &&
            change->value > limit + context->settings->desk_max_extra)
            return problem_set(problem, 403, "",
                               "%d is more than the %lld of the settings (%s) and the %lld that "
                               "your role may add (desk.max_extra); ask an administrator",
                               change->value, (long long)limit, channel_names[channel],
                               (long long)context->settings->desk_max_extra);
    }
    return 1;
}

/* A limit higher than the role may set is not lowered by it. */
static int check_replaced_limit(const struct context *context, const struct adjustment *change,
                                const struct adjustment *old, struct problem *problem)
{
    struct problem too_high;
    bool by_administrator =
        old->value == LIMIT_OFF || !check_raised(context, old, &too_high);
    bool lowers = change->removed || old->value == LIMIT_OFF || change->value < old->value;
    return !by_administrator || !lowers ||
           problem_set(problem, 403, "",
                       "the %s set for it now is higher than your role may set (desk.max_extra), "
                       "so an administrator set it; ask an administrator",
                       rule_table[change->rule].name);
}

/* What this one would take the place of. */
static int check_replaced(const struct context *context, const struct adjustment *change,
                          struct problem *problem)
{
    struct adjustment old;
    if (guard_adjustment(context->desk->guard, change->subject, change->rule, change->kind,
                         context->now_ms, &old) == 0)
        return 1;
    if (old.until_ms > latest_end(context))
        return problem_set(problem, 403, "",
                           "the %s of %s now lasts longer than the %s that your role may change "
                           "limits for (desk.max_extra_for), so an administrator set it; ask an "
                           "administrator",
                           adjust_kind_names[change->kind], rule_table[change->rule].name,
                           duration_text(context, context->settings->desk_max_extra_for_ms));
    if (change->kind == ADJUST_LIMIT)
        return check_replaced_limit(context, change, &old, problem);
    return old.value <= context->settings->desk_max_extra || change->value >= old.value ||
           problem_set(problem, 403, "",
                       "the extra of %d for %s is more than the %lld that your role may give "
                       "(desk.max_extra), so an administrator set it; ask an administrator",
                       old.value, rule_table[change->rule].name,
                       (long long)context->settings->desk_max_extra);
}

static int check_limit(const struct context *context, const struct desk_request *request,
                       const struct adjustment *change, struct problem *problem)
{
    if (request->mailbox[0] == '\0')
        return problem_set(problem, 403, "",
                           "your role may not change a limit of a whole domain; ask an "
                           "administrator, or give an extra");
    int64_t left = change->value;
    if (change->removed && lowest_without(context, request->mailbox, request->domain,
                                          change->rule, &left) < 0)
        return -1;
    if (left == LIMIT_OFF)
        return problem_set(problem, 403, "",
                           "your role may not switch a limit off; ask an administrator");
    if (change->removed)
        return 1;
    int result = check_raised(context, change, problem);
    return result < 1 ? result : check_lowered(context, request, change, problem);
}

static int check_change(const struct context *context, const struct desk_request *request,
                        const struct adjustment *change, struct problem *problem)
{
    int result = change->kind == ADJUST_EXTRA ? check_extra(context, change, problem)
                                              : check_limit(context, request, change, problem);
    if (result > 0)
        result = check_time(context, change, problem);
    return result < 1 ? result : check_replaced(context, change, problem);
}

int desk_request_within_caps(const struct context *context, const struct desk_request *request,
                             struct problem *problem)
{
    /* which asks for changes, too */
    int result = check_mailbox(context, request, request->mailbox, problem);
    for (size_t i = 0; i < request->change_count && result >= 0; i++) {
        struct problem of_it;
        int alone = check_change(context, request, &request->changes[i], &of_it);
        if (alone == 0) /* says more than what it comes to in all */
            *problem = of_it;
        if (alone < 1)
            return alone;
    }
    if (request->mailbox[0] != '\0')
        return result;
    /* a domain: each of its mailboxes may have something of its own already */
    const char **mailboxes;
    size_t count = guard_adjusted(context->desk->guard, context->arena, request->domain,
                                  &mailboxes);
    for (size_t i = 0; i < count && result > 0; i++)
        result = check_mailbox(context, request, mailboxes[i], problem);
    return result;
}
