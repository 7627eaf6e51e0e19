/* Acts of staff: who may, and the doing. */
#include <stdio.h>
#include <string.h>

#include "desk/desk_wish.h"

enum { RESETS_PAGE = 100, RESETS_PAGES = 20 }; /* of the audit log, to count a day's resets */

/* ---- who may ---------------------------------------------------------------------------- */

static int too_many_resets(const struct look *look, struct problem *problem)
{
    return problem_set(problem, 403, "",
                       "your role may reset %lld times in 24 hours (desk.max_resets_per_day); "
                       "ask an administrator",
                       (long long)look->settings->desk_max_resets_per_day);
}

/* For a preview, which must not count as one of them: the day's resets in the audit log. */
static int any_reset_left(const struct look *look, const struct person *person,
                          struct problem *problem)
{
    struct audit *acts = arena_alloc(look->arena, RESETS_PAGE * sizeof *acts);
    int64_t before = INT64_MAX, left = look->settings->desk_max_resets_per_day;
    size_t count = RESETS_PAGE;
    for (int page = 0; page < RESETS_PAGES && count == RESETS_PAGE && left > 0; page++) {
        if (store_audit_newest(look->desk->store, NULL, before, acts, RESETS_PAGE, &count) < 0)
            return -1;
        for (size_t i = 0; i < count; i++)
            if (window_holds(acts[i].at_ms, DAY_MS, look->now_ms) &&
                strcmp(acts[i].by, person->name) == 0 &&
                strcmp(acts[i].act, act_names[ACT_RESET]) == 0)
                left--;
        if (count == 0 || !window_holds(acts[count - 1].at_ms, DAY_MS, look->now_ms))
            break;
        before = acts[count - 1].number;
    }
    return left > 0 || too_many_resets(look, problem);
}

/* One of the day's resets is taken. 1; 0 none is left; -1. */
static int take_reset(const struct look *look, const struct person *person,
                      struct problem *problem)
{
    int64_t max = look->settings->desk_max_resets_per_day, free_at_ms;
    uint32_t count;
    if (max == 0)
        return too_many_resets(look, problem);
    freed_by(free_string) char *tries = xasprintf("resets:%s", person->name);
    int taken = store_try(look->desk->store, tries, look->now_ms, DAY_MS, (uint32_t)max, &count,
                          &free_at_ms);
    return taken != 0 ? taken : too_many_resets(look, problem);
}

/* 1 the role may; 0 with *problem (403); -1. */
static int may(const struct look *look, const struct person *person, const struct wish *wish,
               bool preview, struct problem *problem)
{
    if (person->role == ROLE_ADMIN)
        return 1;
    if (person->role != ROLE_SUPPORT)
        return problem_set(problem, 403, "", "your role may look, but not act");
    switch (wish->act) {
    case ACT_EXEMPT:
        return problem_set(problem, 403, "", "your role may not exempt; ask an administrator");
    case ACT_EXTRA:
    case ACT_LIMIT: return wish_within_caps(look, wish, problem);
    case ACT_RESET: return !preview || any_reset_left(look, person, problem);
    default: return 1;
    }
}

/* ---- doing ------------------------------------------------------------------------------- */

static int not_suspended(struct problem *problem)
{
    return problem_set(problem, 409, "subject", "it is not suspended");
}

/* 1 it can be done as it stands; 0 with *problem (409). */
static int possible(const struct wish *wish, const struct standing *standing,
                    struct problem *problem)
{
    const struct policy_limits *limits = &standing->limits[CHANNEL_WEBMAIL];
    if (wish->act == ACT_LIFT && standing->account.suspension.id == 0)
        return not_suspended(problem);
    if (wish->act == ACT_LIMIT && wish->changes[0].removed &&
        limits->source[wish->changes[0].rule] !=
            (wish->mailbox[0] != '\0' ? LIMIT_OF_MAILBOX : LIMIT_OF_DOMAIN))
        return problem_set(problem, 409, "subject", "it has no %s of its own",
                           rule_table[wish->changes[0].rule].name);
    if (wish->act == ACT_EXEMPT && wish->changes[0].removed && !limits->exempt)
        return problem_set(problem, 409, "subject", "it is not exempt");
    return 1;
}

enum { ADJUST_ATTEMPTS = 20 };

/* Within the caps at the moment when it is done: what others change after it was looked at makes it
 * be looked at again. 1; 0 with *problem, and nothing is done; -1. */
static int adjust_within_caps(const struct look *look, const struct wish *wish,
                              const struct act *act, struct problem *problem)
{
    for (int attempt = 0; attempt < ADJUST_ATTEMPTS; attempt++) {
        int64_t newest;
        if (guard_renew_limits(look->desk->guard, &newest) < 0)
            return -1;
        int result = wish_within_caps(look, wish, problem);
        if (result < 1)
            return result;
        result = store_adjust_after(look->desk->store, wish->changes, wish->change_count, newest,
                                    act);
        if (result != 0)
            return result;
    }
    return problem_set(problem, 409, "", "others change limits at the same moment; try again");
}

static int adjust(const struct look *look, const struct person *person, const struct wish *wish,
                  const struct act *act, struct problem *problem)
{
    int done = person->role == ROLE_ADMIN
                   ? store_adjust_after(look->desk->store, wish->changes, wish->change_count,
                                        INT64_MAX, act)
                   : adjust_within_caps(look, wish, act, problem);
    guard_outdate_limits(look->desk->guard); /* also when it is not known whether it is done */
    return done;
}

/* 1 done; 0 with *problem; -1. *suspension: a new one. */
static int carry_out(const struct look *look, const struct person *person,
                     const struct wish *wish, struct suspension *suspension,
                     struct problem *problem)
{
    struct store *store = look->desk->store;
    const struct act act = {look->now_ms, person->name, wish->note};
    int done = 1;
    switch (wish->act) {
    case ACT_SUSPEND:
        return store_suspend(store, wish->mailbox, wish->cause, &wish->durations, &act, suspension);
    case ACT_LIFT:
        done = store_lift(store, wish->mailbox, &act);
        return done != 0 ? done : not_suspended(problem); /* it has ended meanwhile */
    case ACT_RESET:
        if (person->role != ROLE_ADMIN)
            done = take_reset(look, person, problem);
        return done < 1 ? done : store_reset(store, wish->mailbox, &act);
    case ACT_NOTE:
        return store_write_audit(store, &(struct audited){act_names[ACT_NOTE], wish->subject, "{}",
                                                          &act});
    default: return adjust(look, person, wish, &act, problem);
    }
}

int desk_act(const struct desk *desk, const struct person *person, struct json_object *words,
             bool preview, int64_t now_ms, struct json_object **view_r, struct problem *problem)
{
    freed_by(look_end) struct look look = look_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct problem why_not;
    struct wish wish;
    struct standing before, after;
    if (!wish_read(&look, words, &wish, problem))
        return 0;
    int allowed = may(&look, person, &wish, preview, &why_not);
    if (allowed < 0)
        return -1;
    if (!allowed && !preview) {
        *problem = why_not;
        return 0;
    }
    if (standing_read(&look, wish.mailbox, wish.domain, &before) < 0 ||
        wish_imagine(&look, &wish, &before, &after) < 0 || wish_concerns(&look, &wish, view) < 0)
        return -1;
    if (!possible(&wish, &before, problem))
        return 0;
    int done = preview ? 1 : carry_out(&look, person, &wish, &after.account.suspension, problem);
    if (done < 1)
        return done;
    wish_tell(&look, &wish, &before, &after, view);
    json_add_bool(view, "done", !preview);
    json_add_bool(view, "allowed", allowed > 0);
    json_add_string(view, "why_not", allowed > 0 ? NULL : why_not.text);
    json_add(view, "suspension",
             json_of_suspension(&look, preview ? &before.account.suspension
                                               : &after.account.suspension, true));
    *view_r = take(view);
    return 1;
}
