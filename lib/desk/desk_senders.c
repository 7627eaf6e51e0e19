/* Who is behind an IP or a domain. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "desk/campaign.h"
#include "desk/context.h"
#include "desk/desk_senders.h"
#include "desk/failing.h"
#include "desk/forecast.h"
#include "desk/input.h"
#include "desk/view.h"

/* One mailbox's day. 1 or -1. */
static int add_sender(const struct context *context, const struct sender *sender,
                      struct json_object *list)
{
    struct account account;
    if (store_account(context->desk->store, context->arena, sender->mailbox, context->now_ms,
                      &account) < 0)
        return -1;
    struct json_object *view = json_object_new_object();
    json_add_string(view, "mailbox", sender->mailbox);
    json_add_moment(view, "last_at", sender->last_ms);
    json_add_int(view, "messages", (int64_t)window_used(&account.history, MEASURE_MESSAGES, DAY_MS,
                                                        context->now_ms));
    json_add_int(view, "off_domain", (int64_t)window_used(&account.history, MEASURE_OFF_DOMAIN,
                                                          DAY_MS, context->now_ms));
    json_add_bool(view, "suspended", account.suspensions.count > 0);
    json_object_array_add(list, view);
    return 1;
}

int desk_add_senders(const struct context *context, enum sender_of of, const char *key,
                     const char *after,
                     size_t max, struct json_object *list, const char **next_r)
{
    struct sender *senders = arena_alloc(context->arena, max * sizeof *senders);
    struct store_page page = {.max = max};
    if (store_senders(context->desk->store, of, key, after != NULL ? after : "", context->now_ms,
                      senders, &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count; i++)
        if (add_sender(context, &senders[i], list) < 0)
            return -1;
    *next_r = page.more ? senders[page.count - 1].mailbox : NULL;
    return 1;
}

/* A window of an IP for each channel that has a limit for it; each looks at its own history. */
static int add_ip(const struct context *context, const char *ip, struct json_object *view)
{
    const enum rule rule = RULE_OFF_DOMAIN_PER_HOUR_PER_IP;
    struct json_object *windows = json_add_list(view, "windows");
    json_add_list(view, "limits");
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        struct forecast forecast = {0};
        char text[HISTORY_NAME_SIZE];
        const char *name = history_name(SUBJECT_IP, (enum channel)channel, ip, text);
        int32_t limit = context->settings->limits[channel].of[rule];
        if (limit == LIMIT_OFF || name == NULL)
            continue;
        if (store_history(context->desk->store, context->arena, SUBJECT_IP, name, context->now_ms,
                          &forecast.account.history) < 0)
            return -1;
        forecast_settle(context, &forecast);
        json_object_array_add(windows, view_window(rule, (enum channel)channel, limit,
                                                   &forecast.account.history,
                                                   forecast.at_ms));
    }
    return 1;
}

/* Of the sender domain that it belongs to. 1 or -1. */
static int add_failures(const struct context *context, const char *domain,
                        struct json_object *view)
{
    freed_by(failing_end) struct failing failing = {0};
    if (failing_read(context, domain, &failing) < 0)
        return -1;
    json_add(view, "failures", failing_view(context, &failing));
    return 1;
}

/* Its window, for each channel that has a limit for it. 1 or -1. */
static int add_domain_window(const struct context *context, const char *domain,
                             enum channel channel, const struct effective_limits *limits,
                             struct json_object *windows, bool *near)
{
    const enum rule rule = RULE_MESSAGES_PER_HOUR_PER_DOMAIN;
    struct forecast forecast = {0};
    if (history_marks[SUBJECT_DOMAIN][channel] == NULL || limits->limits.of[rule] == LIMIT_OFF)
        return 1;
    if (store_history(context->desk->store, context->arena, SUBJECT_DOMAIN,
                      forecast_domain_key(context, domain), context->now_ms,
                      &forecast.of_domain) < 0)
        return -1;
    forecast_settle(context, &forecast);
    int32_t limit = limits->limits.of[rule];
    json_object_array_add(windows, view_window(rule, channel, limit, &forecast.of_domain,
                                               forecast.at_ms));
    *near = *near || 5 * window_used(&forecast.of_domain, MEASURE_MESSAGES, HOUR_MS,
                                     context->now_ms) >= 4 * (uint64_t)limit;
    return 1;
}

/* "campaign" where the domain is near its limit. 1 or -1. */
static int add_campaign(const struct context *context, const char *domain, bool near,
                        struct json_object *view)
{
    struct json_object *campaign = NULL;
    if (near && campaign_view(context, domain, &campaign) < 0)
        return -1;
    json_add(view, "campaign", campaign);
    return 1;
}

/* What staff adjusted for the domain, and how its mail fails. */
static int add_domain(const struct context *context, const char *domain, struct json_object *view)
{
    bool exempt = false, near = false;
    struct effective_plan plan = {0};
    struct json_object *windows = json_add_list(view, "windows");
    struct json_object *list = json_add_list(view, "limits");
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        struct effective_limits limits;
        if (guard_limits(context->desk->guard, (enum channel)channel, "", domain, context->now_ms,
                         &limits) < 0 ||
            add_domain_window(context, domain, (enum channel)channel, &limits, windows, &near) < 0)
            return -1;
        exempt = limits.exempt;
        plan = limits.plan;
        if (!forecast_names(context, &(struct forecast){0}, (enum channel)channel))
            continue;
        for (int rule = 0; rule < RULE_COUNT; rule++)
            if (limits.source[rule] != LIMIT_OF_SETTINGS || limits.extra[rule] != 0)
                json_object_array_add(
                    list, view_limit(context, (enum rule)rule, (enum channel)channel, &limits));
    }
    json_add_bool(view, "exempt", exempt);
    json_add(view, "plan", view_plan(&plan));
    return add_campaign(context, domain, near, view) < 0 ? -1
                                                         : add_failures(context, domain, view);
}

int desk_senders(const struct desk *desk, enum sender_of of, const char *key, const char *after,
                 int64_t now_ms, struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    const char *known, *next;
    if (!(of == SENDERS_OF_IP ? input_ip(&context, key, "ip", &known, problem)
                              : input_domain(&context, key, "domain", &known, problem)))
        return 0;
    json_add_string(view, "of", of == SENDERS_OF_IP ? "ip" : "domain");
    json_add_string(view, "key", known);
    if ((of == SENDERS_OF_IP ? add_ip(&context, known, view) : add_domain(&context, known,
                                                                          view)) < 0 ||
        desk_add_senders(&context, of, known, after, DESK_PAGE, json_add_list(view, "mailboxes"),
                         &next) <
            0)
        return -1;
    json_add_string(view, "next", next);
    *view_r = take(view);
    return 1;
}
