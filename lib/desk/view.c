#include "desk/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "desk/context.h"
#include "desk/forecast.h"
#include "guard/verdict_text.h"

struct json_object *view_suspension(const struct context *context,
                                    const struct suspension *suspension, bool staff)
{
    if (suspension->id == 0)
        return NULL;
    int64_t retries = context->settings->retries_before_restart;
    bool by_guard = strcmp(suspension->by, "guard") == 0;
    struct json_object *view = json_object_new_object();
    json_add_int(view, "id", suspension->id);
    json_add_string(view, "cause", cause_names[suspension->cause]);
    json_add_moment(view, "since", suspension->since_ms);
    json_add_moment(view, "until", suspension->until_ms);
    json_add_int(view, "attempts", suspension->attempts);
    json_add_int(view, "retries_before_restart", retries);
    json_add_int(view, "attempts_left",
                 suspension->attempts < retries ? retries - suspension->attempts : 0);
    json_add_int(view, "offence", suspension->offence);
    json_add_string(view, "rule",
                    by_guard && rule_by_name(suspension->note) >= 0 ? suspension->note : NULL);
    json_add_bool(view, "own_lock", suspension_is_own_lock(suspension->cause, suspension->by));
    if (staff) {
        json_add_string(view, "by", suspension->by);
        json_add_string(view, "note", suspension->note);
    } else {
        json_add_string(view, "sentence",
                        verdict_provider_sentence(context->arena,
                                                  snapshot_catalogue(context->snapshot),
                                                  suspension));
    }
    return view;
}

void view_add_suspensions(const struct context *context, const struct suspensions *suspensions,
                          bool staff, struct json_object *view)
{
    json_add(view, "suspension", view_suspension(context, &suspensions->of[0], staff));
    struct json_object *list = json_add_list(view, "suspensions");
    for (size_t i = 0; i < suspensions->count; i++)
        json_object_array_add(list, view_suspension(context, &suspensions->of[i], staff));
}

int view_percent(uint64_t used, int32_t limit)
{
    if (used >= (uint64_t)limit)
        return 100;
    return (int)(used * 100 / (uint64_t)limit);
}

static void add_refill(struct json_object *view, const struct rule_info *rule,
                       const struct history *history, int64_t at_ms)
{
    struct refill steps[REFILL_STEPS];
    size_t count =
        window_refill(history, rule->measure, rule->window_ms, at_ms, steps, REFILL_STEPS);
    struct json_object *list = json_add_list(view, "refill");
    for (size_t i = 0; i < count; i++) {
        struct json_object *step = json_object_new_object();
        json_add_moment(step, "at", steps[i].at_ms);
        json_add_int(step, "count", (int64_t)steps[i].count);
        json_object_array_add(list, step);
    }
}

struct json_object *view_window(enum rule rule, enum channel channel, int32_t limit,
                                const struct history *history, int64_t at_ms)
{
    const struct rule_info *info = &rule_table[rule];
    uint64_t used = window_used(history, info->measure, info->window_ms, at_ms);
    struct json_object *view = json_object_new_object();
    json_add_string(view, "rule", info->name);
    json_add_string(view, "channel", channel_names[channel]);
    if (limit == LIMIT_OFF)
        json_add_null(view, "limit");
    else
        json_add_int(view, "limit", limit);
    json_add_int(view, "used", (int64_t)used);
    if (limit == LIMIT_OFF)
        json_add_null(view, "left");
    else
        json_add_int(view, "left", used < (uint64_t)limit ? limit - (int64_t)used : 0);
    json_add_int(view, "percent", limit == LIMIT_OFF ? 0 : view_percent(used, limit));
    json_add_bool(view, "full", !window_fits(used, 1, limit));
    json_add_int(view, "window_s", info->window_ms / SECOND_MS);
    json_add_bool(view, "messages", info->measure == MEASURE_MESSAGES);
    add_refill(view, info, history, at_ms);
    return view;
}

struct json_object *view_reason(const struct objection *objection)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "rule", rule_table[objection->rule].name);
    if (objection->field >= 0)
        json_add_string(view, "field", field_names[objection->field]);
    if (objection->domain != NULL)
        json_add_string(view, "domain", objection->domain);
    json_add_int(view, "count", objection->count);
    if (objection->rule >= RULE_COUNT)
        return view;
    json_add_int(view, "limit", objection->limit);
    json_add_int(view, "excess", (int64_t)objection->count - objection->limit);
    json_add_bool(view, "never_fits", objection->never_fits);
    return view;
}

struct json_object *view_action(const struct audit *audit)
{
    struct json_object *view = json_object_new_object();
    json_add_int(view, "number", audit->number);
    json_add_moment(view, "at", audit->at_ms);
    json_add_string(view, "by", audit->by);
    json_add_string(view, "action", audit->action);
    json_add_string(view, "subject", audit->subject);
    json_add_string(view, "note", audit->note);
    struct json_object *detail = json_read(audit->detail);
    json_add(view, "detail", detail != NULL ? detail : json_object_new_object());
    return view;
}

static void add_limit(struct json_object *view, const char *name, int32_t limit)
{
    if (limit == LIMIT_OFF)
        json_add_null(view, name);
    else
        json_add_int(view, name, limit);
}

struct json_object *view_limit(const struct context *context, enum rule rule,
                               enum channel channel,
                               const struct effective_limits *limits)
{
    char setting[80];
    snprintf(setting, sizeof setting, "limits.%s.%s", channel_names[channel],
             rule_table[rule].name);
    struct json_object *view = json_object_new_object();
    json_add_string(view, "rule", rule_table[rule].name);
    json_add_string(view, "channel", channel_names[channel]);
    add_limit(view, "limit", limits->limits.of[rule]);
    add_limit(view, "default", context->settings->limits[channel].of[rule]);
    json_add_string(view, "source", limit_source_names[limits->source[rule]]);
    json_add_string(view, "plan",
                    limits->source[rule] == LIMIT_OF_PLAN ? limits->plan.name : NULL);
    json_add_int(view, "extra", limits->extra[rule]);
    json_add_moment(view, "until", limits->until_ms[rule]);
    json_add_moment(view, "extra_until", limits->extra_until_ms[rule]);
    json_add_string(view, "setting", setting);
    return view;
}

struct json_object *view_plan(const struct effective_plan *plan)
{
    if (plan->name[0] == '\0')
        return NULL;
    struct json_object *view = json_object_new_object();
    json_add_string(view, "name", plan->name);
    json_add_string(view, "of", plan->of_mailbox ? "mailbox" : "domain");
    json_add_bool(view, "lost", plan->is_lost);
    json_add_moment(view, "until", plan->until_ms);
    return view;
}

struct json_object *view_next(const struct next *next)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "verdict", next->refused ? "refuse" : "admit");
    json_add_string(view, "state", state_names[next->state]);
    json_add_moment(view, "retry_at", next->retry_at_ms);
    if (next->block_until_ms != 0)
        json_add_moment(view, "blocked_until", next->block_until_ms);
    struct json_object *reasons = json_add_list(view, "reasons");
    for (size_t i = 0; i < next->reason_count; i++)
        json_object_array_add(reasons, view_reason(&next->reasons[i]));
    return view;
}

const char *view_network(struct arena *arena, const char *ip)
{
    char text[INET6_ADDRSTRLEN] = "", shown[INET6_ADDRSTRLEN];
    struct in_addr four;
    struct in6_addr six;
    size_t length = ip != NULL ? strcspn(ip, "/") : 0;
    if (length == 0 || length >= sizeof text)
        return NULL;
    memcpy(text, ip, length);
    if (inet_pton(AF_INET, text, &four) == 1) {
        four.s_addr &= htonl(0xFFFFFF00);
        return arena_printf(arena, "%s/24", inet_ntop(AF_INET, &four, shown, sizeof shown));
    }
    if (inet_pton(AF_INET6, text, &six) != 1)
        return NULL;
    memset(six.s6_addr + 6, 0, sizeof six.s6_addr - 6);
    return arena_printf(arena, "%s/48", inet_ntop(AF_INET6, &six, shown, sizeof shown));
}

struct json_object *view_unusual(const struct unusual *unusual)
{
    if (!unusual_is(unusual))
        return NULL;
    struct json_object *view = json_object_new_object();
    json_add_int(view, "new_recipients", unusual->new_recipients);
    json_add_int(view, "new_domains", unusual->new_domains);
    json_add_int(view, "busiest_hour", unusual->busiest);
    json_add_int(view, "history_days", unusual->history_days);
    json_add_bool(view, "new_network", unusual->network_new);
    json_add_bool(view, "many_domains", unusual_has_domains(unusual));
    json_add_bool(view, "no_history", unusual_has_no_history(unusual));
    json_add_int(view, "limit", unusual->limits.new_recipients);
    json_add_int(view, "factor", unusual->limits.factor);
    json_add_int(view, "domains_limit", unusual->limits.new_domains);
    json_add_string(view, "action", unusual_action_names[unusual->action]);
    return view;
}
