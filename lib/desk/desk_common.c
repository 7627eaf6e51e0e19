/* A look at one mailbox, its next message, and the shapes that views share. */
#include "desk/desk_common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "guard/sending_state.h"
#include "guard/verdict_text.h"
#include "message/address.h"

const char *const state_names[STATE_COUNT] = {"ok", "full", "paused", "stopped"};

struct context context_begin(const struct desk *desk, int64_t now_ms)
{
    struct snapshot *snapshot = guard_snapshot(desk->guard);
    return (struct context){desk, snapshot, snapshot_settings(snapshot), arena_new(), now_ms};
}

void context_end(struct context *context)
{
    snapshot_release(&context->snapshot);
    arena_free(&context->arena);
}

/* ---- forecast ---------------------------------------------------------------------- */

void forecast_settle(const struct context *context, struct forecast *forecast)
{
    const struct history *history = &forecast->account.history;
    forecast->at_ms = context->now_ms;
    if (history->count > 0 && history->entries[history->count - 1].time_ms > context->now_ms)
        forecast->at_ms = history->entries[history->count - 1].time_ms;
}

int forecast_read(const struct context *context, const char *mailbox, const char *domain,
                  struct forecast *forecast_r)
{
    struct forecast forecast = {.mailbox = mailbox, .domain = domain};
    for (int channel = 0; channel < CHANNEL_COUNT; channel++)
        if (guard_limits(context->desk->guard, (enum channel)channel, mailbox, domain,
                         context->now_ms,
                         &forecast.limits[channel]) < 0)
            return -1;
    if (mailbox[0] != '\0' && store_account(context->desk->store, context->arena, mailbox,
                                            context->now_ms,
                                            &forecast.account) < 0)
        return -1;
    forecast_settle(context, &forecast);
    *forecast_r = forecast;
    return 1;
}

int forecast_read_all(const struct context *context, const char *mailbox, const char *domain,
                      struct forecast *forecast_r)
{
    char text[HISTORY_NAME_SIZE];
    if (forecast_read(context, mailbox, domain, forecast_r) < 0)
        return -1;
    return store_history(context->desk->store, context->arena, SUBJECT_MAILBOX,
                         history_name(SUBJECT_MAILBOX, CHANNEL_FORWARDING, mailbox, text),
                         context->now_ms, &forecast_r->forwarded);
}

const struct history *forecast_history(const struct forecast *forecast, enum channel channel)
{
    return history_is_shared(SUBJECT_MAILBOX, channel, CHANNEL_FORWARDING) ? &forecast->forwarded
                                                                     : &forecast->account.history;
}

bool channel_is_used(const struct context *context, enum channel channel)
{
    return channel != CHANNEL_FORWARDING || context->settings->mta_forwarding_networks.count > 0;
}

bool forecast_tells(const struct context *context, const struct forecast *forecast,
                    enum channel channel)
{
    return channel_is_used(context, channel) || forecast->forwarded.count > 0;
}

/* ---- the next message ---------------------------------------------------------------- */

enum { SHORTEST_ADDRESS = 6 }; /* "a@b.de": what one recipient fills of a header at least */

/* The mailbox's windows as the next message to one recipient outside meets them. */
static size_t windows_of(const struct forecast *forecast,
                         struct outcome_window windows_r[OVER_TIME_COUNT])
{
    size_t count = 0;
    for (int i = RULE_FIRST_OVER_TIME; i < RULE_COUNT; i++) {
        const struct rule_info *rule = &rule_table[i];
        if (rule->subject != SUBJECT_MAILBOX)
            continue;
        struct outcome_window *window = &windows_r[count++];
        *window = (struct outcome_window){
            .rule = (enum rule)i,
            .limit = forecast->limits[CHANNEL_WEBMAIL].limits.of[i],
            .used_before = window_used(&forecast->account.history, rule->measure, rule->window_ms,
                                       forecast->at_ms),
        };
        window->over = outcome_window_over(window, 1);
    }
    return count;
}

/* The objections of the rules over time to it, and when there is room. */
static void object_over_time(const struct forecast *forecast, const struct outcome_window *windows,
                             size_t count, struct next *next, int64_t *room_at_ms_r)
{
    const struct history *history = &forecast->account.history;
    int64_t room_at_ms = forecast->at_ms;
    for (const struct outcome_window *window = windows; window < windows + count; window++) {
        const struct rule_info *rule = &rule_table[window->rule];
        if (!window->over)
            continue;
        bool never_fits = !window_fits(0, 1, window->limit);
        enum can_send can_send = sending_state_when_full(window->rule);
        if (can_send > next->can_send)
            next->can_send = can_send;
        next->reasons[next->reason_count++] = (struct objection){
            .rule = window->rule, .field = -1, .limit = (uint32_t)window->limit,
            .count = never_fits ? 1 : (uint32_t)(window->used_before + 1),
            .never_fits = never_fits,
        };
        int64_t fits_ms = window_when_fits(history, rule->measure, rule->window_ms, window->limit,
                                           1, forecast->at_ms);
        if (fits_ms > room_at_ms)
            room_at_ms = fits_ms; /* WINDOW_NEVER is later than all */
    }
    *room_at_ms_r = room_at_ms == WINDOW_NEVER ? 0 : room_at_ms;
}

static enum state state_of(const struct suspension *suspension, bool full)
{
    if (suspension->id != 0)
        return suspension->until_ms == UNTIL_LIFTED ? STATE_STOPPED : STATE_PAUSED;
    return full ? STATE_FULL : STATE_OK;
}

static int64_t retry_at(const struct suspension *suspension, bool rejected, int64_t room_at_ms)
{
    if (suspension->id == 0)
        return rejected ? 0 : room_at_ms;
    if (suspension->until_ms == UNTIL_LIFTED)
        return 0;
    return suspension->until_ms > room_at_ms ? suspension->until_ms : room_at_ms;
}

struct next next_of(const struct context *context, const struct forecast *forecast)
{
    struct next next = {0};
    const struct suspension *suspension = &forecast->account.suspension;
    struct domain_facts domain = {.recipients = 1, .header_chars = SHORTEST_ADDRESS};
    const struct facts facts = {
        .in_field = {[FIELD_TO] = 1}, .recipients = 1, .off_domain = 1,
        .domains = &domain, .domain_count = 1,
    };
    const struct objection *rejected;
    size_t rejected_count = rules_check(context->arena, &forecast->limits[CHANNEL_WEBMAIL].limits,
                                        &facts,
                                        &rejected);
    int64_t room_at_ms;
    struct outcome_window windows[OVER_TIME_COUNT];
    size_t window_count = windows_of(forecast, windows);
    bool observe = context->settings->guard_mode == MODE_OBSERVE;
    const struct outcome_seen seen = {
        .suspended = suspension->id != 0, .rejected = rejected_count > 0, .observe = observe,
        .off_domain = 1, .windows = windows, .window_count = window_count,
    };
    for (; next.reason_count < rejected_count; next.reason_count++)
        next.reasons[next.reason_count] = rejected[next.reason_count];
    object_over_time(forecast, windows, window_count, &next, &room_at_ms);
    next.state = state_of(suspension, next.reason_count > rejected_count);
    if (suspension->id != 0)
        next.can_send = CAN_SEND_NONE;
    if (observe)
        next.can_send = CAN_SEND_ALL;
    next.room_at_ms = next.state == STATE_FULL ? room_at_ms : 0;
    next.refused = !outcome_passes(outcome_decide(&seen).outcome);
    if (next.refused)
        next.retry_at_ms = retry_at(suspension, rejected_count > 0, room_at_ms);
    if (rejected_count > 0 && !observe) /* it is told of its own faults alone, as the guard does */
        next.reason_count = rejected_count;
    return next;
}

struct json_object *json_of_next(const struct next *next)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "verdict", next->refused ? "refuse" : "admit");
    json_add_string(view, "state", state_names[next->state]);
    json_add_moment(view, "retry_at", next->retry_at_ms);
    struct json_object *reasons = json_add_list(view, "reasons");
    for (size_t i = 0; i < next->reason_count; i++)
        json_object_array_add(reasons, json_of_reason(&next->reasons[i]));
    return view;
}

/* ---- shapes ----------------------------------------------------------------------------- */

struct json_object *json_of_suspension(const struct context *context,
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

int percent_of(uint64_t used, int32_t limit)
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

struct json_object *json_of_window(enum rule rule, enum channel channel, int32_t limit,
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
    json_add_int(view, "percent", limit == LIMIT_OFF ? 0 : percent_of(used, limit));
    json_add_bool(view, "full", !window_fits(used, 1, limit));
    json_add_int(view, "window_s", info->window_ms / SECOND_MS);
    json_add_bool(view, "messages", info->measure == MEASURE_MESSAGES);
    add_refill(view, info, history, at_ms);
    return view;
}

struct json_object *json_of_reason(const struct objection *objection)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "rule", rule_table[objection->rule].name);
    if (objection->field >= 0)
        json_add_string(view, "field", field_names[objection->field]);
    if (objection->domain != NULL)
        json_add_string(view, "domain", objection->domain);
    json_add_int(view, "count", objection->count);
    json_add_int(view, "limit", objection->limit);
    json_add_int(view, "excess", (int64_t)objection->count - objection->limit);
    json_add_bool(view, "never_fits", objection->never_fits);
    return view;
}

struct json_object *json_of_action(const struct audit *audit)
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

struct json_object *json_of_limit(const struct context *context, enum rule rule,
                                  enum channel channel,
                                  const struct policy_limits *limits)
{
    static const char *const sources[] = {"settings", "domain", "mailbox"};
    char setting[80];
    snprintf(setting, sizeof setting, "limits.%s.%s", channel_names[channel],
             rule_table[rule].name);
    struct json_object *view = json_object_new_object();
    json_add_string(view, "rule", rule_table[rule].name);
    json_add_string(view, "channel", channel_names[channel]);
    add_limit(view, "limit", limits->limits.of[rule]);
    add_limit(view, "default", context->settings->limits[channel].of[rule]);
    json_add_string(view, "source", sources[limits->source[rule]]);
    json_add_int(view, "extra", limits->extra[rule]);
    json_add_moment(view, "until", limits->until_ms[rule]);
    json_add_moment(view, "extra_until", limits->extra_until_ms[rule]);
    json_add_string(view, "setting", setting);
    return view;
}

/* ---- what comes from outside ---------------------------------------------------------- */

static int at_where(struct problem *problem, const char *where)
{
    problem->status = 400;
    snprintf(problem->where, sizeof problem->where, "%s", where);
    return 0;
}

int read_mailbox(const struct context *context, const char *text, const char *where,
                 const char **mailbox_r, struct problem *problem)
{
    if (text == NULL || text[0] == '\0')
        return problem_set(problem, 400, where, "expected a mailbox, local@domain");
    return address_key(context->arena, text, strlen(text), mailbox_r, problem) ||
           at_where(problem, where);
}

int read_domain(const struct context *context, const char *text, const char *where,
                const char **domain_r, struct problem *problem)
{
    if (text != NULL && text[0] == '@')
        text++;
    if (text == NULL || text[0] == '\0')
        return problem_set(problem, 400, where, "expected a domain");
    return address_domain_key(context->arena, text, strlen(text), domain_r, problem) ||
           at_where(problem, where);
}

int read_ip(const struct context *context, const char *text, const char *where, const char **ip_r,
            struct problem *problem)
{
    if (text == NULL || text[0] == '\0')
        return problem_set(problem, 400, where, "expected an IP address");
    size_t length = strlen(text);
    if (length > 3 && strcmp(text + length - 3, "/64") == 0 && strchr(text, ':') != NULL)
        length -= 3;
    struct submission submission;
    submission_init(&submission, context->arena, CHANNEL_WEBMAIL);
    if (!submission_set_ip(&submission, text, length, problem))
        return at_where(problem, where);
    *ip_r = submission.ip;
    return 1;
}

int read_number(const char *text, const char *where, int64_t min, int64_t otherwise,
                int64_t *number_r, struct problem *problem)
{
    *number_r = otherwise;
    if (text == NULL || text[0] == '\0')
        return 1;
    size_t digits = strspn(text, "0123456789");
    if (text[digits] != '\0' || digits > 18 || strtoll(text, NULL, 10) < min)
        return problem_set(problem, 400, where, "expected a number, %lld or more", (long long)min);
    *number_r = strtoll(text, NULL, 10);
    return 1;
}

int read_cursor(const char *text, uint64_t *decision_r, struct problem *problem)
{
    *decision_r = UINT64_MAX;
    if (text == NULL || text[0] == '\0')
        return 1;
    return decision_parse(text, decision_r) ||
           problem_set(problem, 400, "before", "expected the mark of a page that was told before");
}
