/* Actions of staff: who may, and the doing. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "desk/context.h"
#include "desk/desk_approval.h"
#include "desk/desk_held.h"
#include "desk/desk_lock.h"
#include "desk/desk_request.h"
#include "desk/forecast.h"
#include "desk/input.h"
#include "desk/view.h"
#include "store/kept.h"

enum { RESETS_PAGE = 100, RESETS_PAGES = 20 }; /* of the audit log, to count a day's resets */
enum { SINCE_LOOKED_AT = 20 };

/* ---- who may ---------------------------------------------------------------------------- */

static int too_many_resets(const struct context *context, struct problem *problem)
{
    return problem_set(problem, 403, "",
                       "your role may reset %lld times in 24 hours (desk.max_resets_per_day); "
                       "ask an administrator",
                       (long long)context->settings->desk_max_resets_per_day);
}

/* For a preview, which must not count as one of them: the day's resets in the audit log. */
static int any_reset_left(const struct context *context, const struct person *person,
                          struct problem *problem)
{
    struct audit *actions = arena_alloc(context->arena, RESETS_PAGE * sizeof *actions);
    int64_t before = INT64_MAX, left = context->settings->desk_max_resets_per_day;
    struct store_page page = {.max = RESETS_PAGE, .more = true};
    for (int pages = 0; pages < RESETS_PAGES && page.more && left > 0; pages++) {
        if (store_audit_newest(context->desk->store, NULL, before, actions, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++)
            if (window_holds(actions[i].at_ms, DAY_MS, context->now_ms) &&
                strcmp(actions[i].by, person->name) == 0 &&
                strcmp(actions[i].action, desk_action_name(ACTION_RESET)) == 0)
                left--;
        if (page.count == 0 ||
            !window_holds(actions[page.count - 1].at_ms, DAY_MS, context->now_ms))
            break;
        before = actions[page.count - 1].number;
    }
    return left > 0 || too_many_resets(context, problem);
}

/* One of the day's resets is taken. 1; 0 none is left; -1. */
static int take_reset(const struct context *context, const struct person *person,
                      struct problem *problem)
{
    int64_t max = context->settings->desk_max_resets_per_day, free_at_ms;
    uint32_t count;
    if (max == 0)
        return too_many_resets(context, problem);
    freed_by(free_string) char *tries = xasprintf("resets:%s", person->name);
    int taken = store_try(context->desk->store, tries, context->now_ms, DAY_MS, (uint32_t)max,
                          &count, &free_at_ms);
    return taken != 0 ? taken : too_many_resets(context, problem);
}

/* 1 the role may; 0 with *problem (403); -1. */
static int may(const struct context *context, const struct person *person,
               const struct desk_request *request, bool preview, struct problem *problem)
{
    if (person->role == ROLE_ADMIN)
        return 1;
    if (person->role != ROLE_SUPPORT)
        return problem_set(problem, 403, "", "your role may look, but not act");
    switch (request->action) {
    case ACTION_EXEMPT:
        return problem_set(problem, 403, "", "your role may not exempt; ask an administrator");
    case ACTION_PLAN:
        return problem_set(problem, 403, "", "your role may not give plans; ask an administrator");
    case ACTION_EXTRA:
    case ACTION_LIMIT: return desk_request_within_caps(context, request, problem);
    case ACTION_RESET: return !preview || any_reset_left(context, person, problem);
    default: return 1;
    }
}

/* ---- doing ------------------------------------------------------------------------------- */

/* 1 it can be done as it stands; 0 with *problem (409). */
static int possible(const struct context *context, const struct desk_request *request,
                    const struct forecast *forecast, struct problem *problem)
{
    struct adjustment own;
    const struct effective_limits *limits = &forecast->limits[CHANNEL_WEBMAIL];
    if (request->action == ACTION_LIMIT && request->changes[0].removed &&
        limits->source[request->changes[0].rule] !=
            (request->mailbox[0] != '\0' ? LIMIT_OF_MAILBOX : LIMIT_OF_DOMAIN))
        return problem_set(problem, 409, "subject", "it has no %s of its own",
                           rule_table[request->changes[0].rule].name);
    if (request->action == ACTION_RESET && request->mailbox[0] == '\0' &&
        !forecast_counts_domain(forecast))
        return problem_set(problem, 409, "subject", "no limit counts what this domain sends; name "
                           "the mailbox");
    if (request->action == ACTION_EXEMPT && request->changes[0].removed && !limits->exempt)
        return problem_set(problem, 409, "subject", "it is not exempt");
    if (request->action == ACTION_PLAN && request->changes[0].removed &&
        guard_adjustment(context->desk->guard, request->subject, 0, ADJUST_PLAN, context->now_ms,
                         &own) == 0)
        return problem_set(problem, 409, "subject", "it has no plan of its own");
    return 1;
}

enum { ADJUST_ATTEMPTS = 20 };

/* Whether it may be done as limits are now. 1; 0 with *problem; -1. */
static int may_adjust(const struct context *context, const struct person *person,
                      const struct desk_request *request, struct problem *problem)
{
    int result = person->role == ROLE_ADMIN ? 1
                                            : desk_request_within_caps(context, request, problem);
    if (result < 1)
        return result;
    int needed = desk_approval_needed(context, request);
    if (needed < 1)
        return needed == 0 ? 1 : -1;
    return problem_set(problem, 409, "", "with what others have changed just now it takes a second "
                                         "person; try again");
}

/* What others change after it was looked at makes it be looked at again. 1; 0 with *problem, and
 * nothing is done; -1. */
static int adjust_in_step(const struct context *context, const struct person *person,
                          const struct desk_request *request, const struct action *action,
                          struct problem *problem)
{
    for (int attempt = 0; attempt < ADJUST_ATTEMPTS; attempt++) {
        int64_t newest;
        if (guard_renew_limits(context->desk->guard, &newest) < 0)
            return -1;
        int result = may_adjust(context, person, request, problem);
        if (result < 1)
            return result;
        result = store_adjust_after(context->desk->store, request->changes, request->change_count,
                                    newest, action);
        if (result != 0)
            return result;
    }
    return problem_set(problem, 409, "", "others change limits at the same moment; try again");
}

static int adjust(const struct context *context, const struct person *person,
                  const struct desk_request *request, const struct action *action,
                  struct problem *problem)
{
    bool freely = person->role == ROLE_ADMIN && !context->settings->desk_second_approval;
    int done = freely ? store_adjust_after(context->desk->store, request->changes,
                                           request->change_count, INT64_MAX, action)
                      : adjust_in_step(context, person, request, action, problem);
    guard_outdate_limits(context->desk->guard); /* also when it is not known whether it is done */
    return done;
}

/* A domain of a group counts under the name of the group. */
static const char *reset_name(const struct context *context, const struct desk_request *request)
{
    return request->mailbox[0] != '\0'
               ? request->mailbox
               : arena_printf(context->arena, "@%s",
                              settings_sender_domain(context->settings, request->domain));
}

static bool is_unblock(const struct desk_request *request)
{
    return request->action == ACTION_LIFT && request->mailbox[0] == '\0';
}

/* What a lift of a mailbox tells beside: which cause, and how its lock stands. 1; 0 with *problem:
 * it is of nothing; -1. */
static int prepare_lift(const struct context *context, struct desk_request *request,
                        const struct forecast *forecast, struct json_object *view,
                        struct problem *problem)
{
    const struct suspensions *suspensions = &forecast->account.suspensions;
    if (desk_lock_add(context, request->mailbox, suspensions, view) < 0)
        return -1;
    struct json_object *lock = json_member(view, "lock");
    if (suspensions->count == 0 && json_member(lock, "scope") != NULL)
        return problem_set(problem, 409, "subject", "it is not suspended, but locked: reopen ends "
                                                    "that");
    if (!desk_request_choose_cause(context, request, suspensions, forecast->block.subject,
                                   problem))
        return 0;
    const char *cause = cause_names[request->cause];
    json_add_string(view, "cause", cause);
    json_add_bool(view, "ends_lock", json_member(lock, "scope") != NULL &&
                                         strcmp(json_string(lock, "cause", ""), cause) == 0);
    return 1;
}

/* 1 done, or (preview) it can be; 0 with *problem; -1. A new suspension is put among the others. */
static int carry_out(const struct context *context, const struct person *person,
                     const struct desk_request *request, bool preview,
                     struct suspensions *suspensions, struct json_object *view,
                     struct problem *problem)
{
    struct suspension made;
    struct store *store = context->desk->store;
    const struct action action = {context->now_ms, person->name, request->note};
    int done = 1;
    if (is_unblock(request))
        return desk_request_unblock(context, request, preview ? NULL : &action, view, problem);
    if (request->action == ACTION_LIFT)
        done = desk_lock_forgive(context, person, request->mailbox, request->cause,
                                 preview ? NULL : &action, problem);
    if (done < 1)
        return done;
    if (preview)
        return 1;
    switch (request->action) {
    case ACTION_SUSPEND:
        done = store_suspend(store, request->mailbox, request->cause, &request->durations, &action,
                             &made);
        if (done > 0)
            suspension_put(suspensions, &made);
        return done;
    case ACTION_LIFT:
        done = store_lift(store, request->mailbox, request->cause, &action);
        return done != 0 ? done
                         : problem_set(problem, 409, "cause", "the suspension has ended meanwhile");
    case ACTION_RESET:
        if (person->role != ROLE_ADMIN)
            done = take_reset(context, person, problem);
        return done < 1 ? done : store_reset(store, reset_name(context, request), &action);
    case ACTION_NOTE:
        return store_write_audit(store, &(struct audited){desk_action_name(ACTION_NOTE),
                                                          request->subject, "{}", &action});
    default: return adjust(context, person, request, &action, problem);
    }
}

/* "seen": the number of the newest entry of the audit log about it; 0: none. 1 or -1. */
static int add_seen(const struct context *context, const char *subject, struct json_object *view)
{
    struct audit newest = {0};
    struct store_page page = {.max = 1};
    if (store_audit_newest(context->desk->store, subject, INT64_MAX, &newest, &page) < 1)
        return -1;
    json_add_int(view, "seen", newest.number);
    return 1;
}

enum doing { DOING_PREVIEW, DOING_IT, DOING_APPROVED };

/* Does it, shows it, or keeps it for a second person. *done_r: it is done. 1; 0 with *problem; -1. */
static int do_or_ask(const struct context *context, const struct person *person,
                     const struct desk_request *request, struct json_object *words,
                     enum doing doing, struct suspensions *suspensions, struct json_object *view,
                     bool *done_r, struct problem *problem)
{
    int needed = desk_approval_needed(context, request);
    if (needed < 0)
        return -1;
    json_add_bool(view, "needs_approval", needed > 0);
    json_add_null(view, "waits");
    *done_r = doing != DOING_PREVIEW && needed == 0;
    if (doing == DOING_IT && needed > 0)
        return desk_approval_ask(context, person, request, words, view, problem);
    return carry_out(context, person, request, !*done_r, suspensions, view, problem);
}

static int act(const struct desk *desk, const struct person *person, struct json_object *words,
               enum doing doing, int64_t now_ms, struct json_object **view_r,
               struct problem *problem)
{
    bool preview = doing == DOING_PREVIEW, is_done;
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct problem why_not;
    struct desk_request request;
    struct forecast before, after;
    if (!desk_request_read(&context, words, &request, problem))
        return 0;
    request.approved = doing == DOING_APPROVED;
    int held = request.mailbox[0] != '\0' ? desk_held_waits(&context, request.mailbox) : 0;
    if (held < 0)
        return -1;
    int allowed = may(&context, person, &request, preview, &why_not);
    if (allowed < 0)
        return -1;
    if (!allowed && !preview) {
        *problem = why_not;
        return 0;
    }
    if (forecast_read(&context, request.mailbox, request.domain, &before) < 0)
        return -1;
    int prepared = request.action == ACTION_LIFT && !is_unblock(&request)
                       ? prepare_lift(&context, &request, &before, view, problem)
                       : 1;
    if (prepared < 1)
        return prepared;
    if (desk_request_imagine(&context, &request, &before, &after) < 0 ||
        desk_request_add_asked(&context, &request, &before, &after, view) < 0 ||
        desk_request_concerns(&context, &request, view) < 0 ||
        add_seen(&context, request.subject, view) < 0)
        return -1;
    if (!possible(&context, &request, &before, problem))
        return 0;
    int done = do_or_ask(&context, person, &request, words, doing, &after.account.suspensions, view,
                         &is_done, problem);
    if (done < 1)
        return done;
    desk_request_add(&context, &request, &before, &after, view);
    json_add_bool(view, "held", held);
    json_add_bool(view, "done", is_done);
    json_add_bool(view, "allowed", allowed > 0);
    json_add_string(view, "why_not", allowed > 0 ? NULL : why_not.text);
    view_add_suspensions(&context, &(is_done ? &after : &before)->account.suspensions, true, view);
    *view_r = take(view);
    return 1;
}

int desk_action(const struct desk *desk, const struct person *person, struct json_object *words,
                bool preview, int64_t now_ms, struct json_object **view_r, struct problem *problem)
{
    return act(desk, person, words, preview ? DOING_PREVIEW : DOING_IT, now_ms, view_r, problem);
}

int desk_action_approved(const struct desk *desk, const struct person *person,
                         struct json_object *words, int64_t now_ms, struct json_object **view_r,
                         struct problem *problem)
{
    return act(desk, person, words, DOING_APPROVED, now_ms, view_r, problem);
}

int desk_done_since(const struct desk *desk, const struct person *person, const char *subject,
                    int64_t seen, int64_t now_ms, struct json_object **entry_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct audit *entries = arena_alloc(context.arena, SINCE_LOOKED_AT * sizeof *entries);
    struct store_page page = {.max = SINCE_LOOKED_AT};
    struct problem problem;
    const char *key;
    *entry_r = NULL;
    bool of_domain = subject[0] == '@';
    if (of_domain ? !input_domain(&context, subject, "subject", &key, &problem)
                  : !input_mailbox(&context, subject, "subject", &key, &problem))
        return 1;
    if (of_domain)
        key = arena_printf(context.arena, "@%s", key);
    if (store_audit_newest(desk->store, key, INT64_MAX, entries, &page) < 1)
        return -1;
    for (size_t i = 0; i < page.count && *entry_r == NULL; i++)
        if (entries[i].number > seen && strcmp(entries[i].by, person->name) != 0 &&
            window_holds(entries[i].at_ms, seen < 0 ? HOUR_MS : DAY_MS, now_ms))
            *entry_r = view_action(&entries[i]);
    return 1;
}
