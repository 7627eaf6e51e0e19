/* What anybody may know who has the reference of a refusal: mail servers write it to their logs. */
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "desk/context.h"
#include "desk/failing.h"
#include "desk/forecast.h"
#include "desk/recorded.h"
#include "desk/view.h"
#include "message/address.h"

static int not_there(struct problem *problem)
{
    return problem_set(problem, 404, "reference", "no refusal of that reference is kept");
}

/* ---- a suspension ---------------------------------------------------------------------- */

/* Of the suspensions that the decision met the one that is told now; NULL: they have ended since. */
static const struct suspension *that_holds(const struct suspensions *suspensions,
                                           const struct record *record)
{
    for (size_t i = 0; i < suspensions->count; i++)
        if (suspensions->of[i].since_ms <= record->at_ms)
            return &suspensions->of[i];
    return NULL;
}

static int add_suspended(const struct context *context, const struct recorded *recorded,
                         struct json_object *view)
{
    struct account account;
    if (store_account(context->desk->store, context->arena, json_string(recorded->facts, "mailbox",
                                                                        ""),
                      context->now_ms, &account) < 0)
        return -1;
    const struct suspension *holds = that_holds(&account.suspensions, recorded->record);
    if (holds == NULL) {
        json_add_string(view, "state", "ended");
        return 1;
    }
    freed_by(json_put) struct json_object *suspension = view_suspension(context, holds, false);
    const char *rule = json_string(suspension, "rule", NULL);
    struct json_object *rules = json_member(view, "rules");
    bool stopped = holds->until_ms == UNTIL_LIFTED;
    json_add_string(view, "state", state_names[stopped ? STATE_STOPPED : STATE_PAUSED]);
    json_add_moment(view, "until", holds->until_ms);
    json_add_string(view, "sentence", json_string(suspension, "sentence", NULL));
    if (rule != NULL && json_object_array_length(rules) == 0) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "rule", rule);
        json_object_array_add(rules, one);
    }
    return 1;
}

/* ---- a block for mail that failed --------------------------------------------------------------- */

/* The provider's sentence names the domain, so it is not told. */
static int add_blocked(const struct context *context, const struct recorded *recorded,
                       struct json_object *view)
{
    const char *mailbox = json_string(recorded->facts, "mailbox", ""), *at = strrchr(mailbox, '@');
    struct failing_block block;
    if (failing_block_read(context, mailbox, at != NULL ? at + 1 : "", &block) < 0)
        return -1;
    struct json_object *one = json_object_new_object();
    json_add_string(one, "rule", VERDICT_RULE_OF_BLOCK);
    json_object_array_add(json_member(view, "rules"), one);
    if (block.subject == NULL) {
        json_add_string(view, "state", "ended");
        return 1;
    }
    json_add_string(view, "state", state_names[STATE_BLOCKED]);
    json_add_moment(view, "until", block.in_force.until_ms);
    return 1;
}

/* ---- a limit over time -------------------------------------------------------------------- */

static enum channel channel_of(const struct recorded *recorded)
{
    int channel = channel_by_name(json_string(recorded->facts, "channel", ""));
    return channel >= 0 ? (enum channel)channel : CHANNEL_WEBMAIL;
}

/* As they are now: they may have been changed since. Those of the guard for such a message. */
static int limits_of_now(const struct context *context, const struct recorded *recorded,
                         struct limits *limits_r)
{
    struct effective_limits limits;
    const char *mailbox = json_string(recorded->facts, "mailbox", "");
    const char *at = strrchr(mailbox, '@');
    bool of_webmail = json_is_true(recorded->facts, "webmail_host");
    if (guard_limits(context->desk->guard, of_webmail ? CHANNEL_WEBMAIL : channel_of(recorded),
                     mailbox,
                     at != NULL ? at + 1 : "", context->now_ms, &limits) < 0)
        return -1;
    *limits_r = limits.limits;
    return 1;
}

/* When the message fits into the window of one rule; WINDOW_NEVER. 1 or -1. */
static int when_fits(const struct context *context, const struct recorded *recorded, enum rule rule,
                     int32_t limit, int64_t *fits_ms_r)
{
    const struct rule_info *info = &rule_table[rule];
    const char *key =
        json_string(recorded->facts, info->subject == SUBJECT_IP ? "ip" : "mailbox", "");
    if (info->subject == SUBJECT_DOMAIN)
        key = forecast_domain_key(context, address_domain(key));
    char room[HISTORY_NAME_SIZE];
    const char *name = history_name(info->subject, channel_of(recorded), key, room);
    struct history history = {0};
    if (name != NULL && key[0] != '\0' &&
        store_history(context->desk->store, context->arena, info->subject, name, context->now_ms,
                      &history) < 0)
        return -1;
    *fits_ms_r = window_when_fits(&history, info->measure, info->window_ms,
                                  limit, recorded_cost(recorded, rule), context->now_ms);
    return 1;
}

/* Whether the mail server was told to try again: not when a limit of then was less than the
 * message. */
static bool was_deferred(const struct recorded *recorded)
{
    for (int i = RULE_FIRST_OVER_TIME; i < RULE_COUNT; i++) {
        enum rule rule = (enum rule)i;
        if (recorded_over(recorded, rule) &&
            !window_fits(0, recorded_cost(recorded, rule), recorded_limit(recorded, rule)))
            return false;
    }
    return channel_of(recorded) != CHANNEL_WEBMAIL;
}

static int add_over_time(const struct context *context, const struct recorded *recorded,
                         struct json_object *view)
{
    int64_t latest_ms = context->now_ms, fits_ms;
    struct limits limits;
    if (limits_of_now(context, recorded, &limits) < 0)
        return -1;
    for (int rule = RULE_FIRST_OVER_TIME; rule < RULE_COUNT; rule++) {
        if (recorded_used_before(recorded, (enum rule)rule) < 0)
            continue;
        if (when_fits(context, recorded, (enum rule)rule, limits.of[rule], &fits_ms) < 0)
            return -1;
        if (fits_ms > latest_ms)
            latest_ms = fits_ms;
    }
    json_add_string(view, "state", "over");
    json_add_bool(view, "never_fits", latest_ms == WINDOW_NEVER);
    json_add_bool(view, "deferred", was_deferred(recorded));
    if (latest_ms > context->now_ms && latest_ms != WINDOW_NEVER)
        json_add_moment(view, "retry_at", latest_ms);
    return 1;
}

/* ---- the view ------------------------------------------------------------------------------ */

static struct json_object *begin_view(const struct context *context,
                                      const struct recorded *recorded)
{
    struct json_object *view = json_object_new_object();
    freed_by(json_put) struct json_object *reasons = recorded_reasons(recorded);
    json_add_moment(view, "now", context->now_ms);
    json_add_decision(view, "decision", recorded->record->decision);
    json_add_moment(view, "at", recorded->record->at_ms);
    json_add_string(view, "verdict", recorded_verdict(recorded));
    json_add_string(view, "state", "refused");
    json_add_null(view, "until");
    json_add_null(view, "retry_at");
    json_add_bool(view, "never_fits", false);
    json_add_bool(view, "deferred", false);
    json_add(view, "rules", recorded_rules(reasons));
    json_add_null(view, "sentence");
    return view;
}

int desk_reference(const struct desk *desk, const char *decision, int64_t now_ms,
                   struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct record record;
    uint64_t id;
    if (!decision_parse(decision, &id))
        return not_there(problem);
    int found = store_record(desk->store, context.arena, id, now_ms, &record);
    if (found < 1)
        return found < 0 ? -1 : not_there(problem);
    if (outcome_passes(record.outcome))
        return not_there(problem);
    freed_by(recorded_end) struct recorded recorded = recorded_of(&context, &record);
    freed_by(json_put) struct json_object *view = begin_view(&context, &recorded);
    int added = record.outcome == OUTCOME_SUSPENDED ? add_suspended(&context, &recorded, view)
                : record.outcome == OUTCOME_BLOCKED ? add_blocked(&context, &recorded, view)
                : record.outcome == OUTCOME_OVER    ? add_over_time(&context, &recorded, view)
                                                    : 1;
    if (added < 0)
        return -1;
    *view_r = take(view);
    return 1;
}
