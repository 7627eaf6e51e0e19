/* How far role support may raise limits. Extras of a mailbox and of its domain add
 * up, and stand on top of a limit of their own: what counts is how high a limit
 * can come in all, also when one of these ends before the others. */
#include <string.h>

#include "desk_wish.h"

/* The limits of one mailbox at one door, and what its domain has without it. */
struct sight {
    struct policy_limits mailbox, domain;
};

static int see(const struct look *look, const struct wish *wish, size_t change_count,
               enum door door, const char *mailbox, struct sight *sight_r)
{
    struct guard *guard = look->desk->guard;
    if (guard_limits_if(guard, door, mailbox, wish->domain, wish->changes, change_count,
                        look->now_ms, &sight_r->mailbox) < 0 ||
        guard_limits_if(guard, door, "", wish->domain, wish->changes, change_count, look->now_ms,
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

static int too_high(const struct look *look, enum rule rule, int64_t limit, enum door door,
                    int64_t of_settings, struct problem *problem)
{
    return problem_set(problem, 403, "",
                       "with what was given already, %s comes to %lld, which is more than the %lld "
                       "of the settings (%s) and the %lld that your role may add "
                       "(desk.max_extra); ask an administrator",
                       rule_table[rule].name, (long long)limit, (long long)of_settings,
                       door_names[door], (long long)look->settings->desk_max_extra);
}

/* What an administrator put above the cap may get an extra of its own. */
static int check_rule(const struct look *look, const struct sight *before,
                      const struct sight *after, enum rule rule, enum door door,
                      struct problem *problem)
{
    int64_t of_settings = look->settings->limits[door].of[rule];
    int64_t max = look->settings->desk_max_extra;
    if (of_settings == LIMIT_OFF) /* a limit where there is none raises nothing */
        return 1;
    int64_t base = highest(after, rule, of_settings);
    int64_t limit = base + after->mailbox.extra[rule];
    int64_t limit_before = highest(before, rule, of_settings) + before->mailbox.extra[rule];
    int64_t ceiling = (base > of_settings + max ? base : of_settings) + max;
    return limit <= ceiling || limit <= limit_before ||
           too_high(look, rule, limit, door, of_settings, problem);
}

static int check_mailbox(const struct look *look, const struct wish *wish, const char *mailbox,
                         struct problem *problem)
{
    for (int door = 0; door < DOOR_COUNT; door++) {
        struct sight before, after;
        if (see(look, wish, 0, (enum door)door, mailbox, &before) < 0 ||
            see(look, wish, wish->change_count, (enum door)door, mailbox, &after) < 0)
            return -1;
        for (size_t i = 0; i < wish->change_count; i++)
            if (!check_rule(look, &before, &after, wish->changes[i].rule, (enum door)door,
                            problem))
                return 0;
    }
    return 1;
}

/* ---- one act alone ----------------------------------------------------------------------- */

static int check_extra(const struct look *look, const struct adjustment *change,
                       struct problem *problem)
{
    int64_t max = look->settings->desk_max_extra;
    return change->value <= max ||
           problem_set(problem, 403, "",
                       "an extra of %d is more than the %lld that your role may give "
                       "(desk.max_extra); ask an administrator",
                       change->value, (long long)max);
}

/* A limit holds at both doors, so the lower setting counts. */
static int check_limit(const struct look *look, const struct adjustment *change,
                       struct problem *problem)
{
    if (change->removed)
        return 1;
    if (change->value == LIMIT_OFF)
        return problem_set(problem, 403, "",
                           "your role may not switch a limit off; ask an administrator");
    for (int door = 0; door < DOOR_COUNT; door++) {
        int64_t limit = look->settings->limits[door].of[change->rule];
        if (limit != LIMIT_OFF && change->value > limit + look->settings->desk_max_extra)
            return problem_set(problem, 403, "",
                               "%d is more than the %lld of the settings (%s) and the %lld that "
                               "your role may add (desk.max_extra); ask an administrator",
                               change->value, (long long)limit, door_names[door],
                               (long long)look->settings->desk_max_extra);
    }
    return 1;
}

int wish_within_caps(const struct look *look, const struct wish *wish, struct problem *problem)
{
    for (size_t i = 0; i < wish->change_count; i++)
        if (!(wish->changes[i].kind == ADJUST_EXTRA
                  ? check_extra(look, &wish->changes[i], problem)
                  : check_limit(look, &wish->changes[i], problem)))
            return 0;
    int result = check_mailbox(look, wish, wish->mailbox, problem);
    if (wish->mailbox[0] != '\0')
        return result;
    /* a domain: each of its mailboxes may have something of its own already */
    const char **mailboxes;
    size_t count = guard_adjusted(look->desk->guard, look->arena, wish->domain, &mailboxes);
    for (size_t i = 0; i < count && result > 0; i++)
        result = check_mailbox(look, wish, mailboxes[i], problem);
    return result;
}
