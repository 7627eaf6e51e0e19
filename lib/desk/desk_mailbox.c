/* A mailbox on one page: how it stands, what holds, and what happened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "desk/desk_appeal.h"
#include "desk/desk_held.h"
#include "desk/desk_lock.h"
#include "desk/desk_mailbox.h"
#include "desk/desk_parked.h"
#include "desk/desk_permissions.h"
#include "desk/context.h"
#include "desk/forecast.h"
#include "desk/input.h"
#include "desk/recorded.h"
#include "desk/seen.h"
#include "desk/view.h"
#include "guard/shadow.h"

enum { NOTES_SHOWN = 20, NOTES_PAGES = 4 };

/* A channel that counts with the webmail is told where its limit is another; one that counts by
 * itself where it has a limit. */
static bool tells_window(const struct context *context, const struct forecast *forecast,
                         enum rule rule,
                         enum channel channel)
{
    int32_t limit = forecast->limits[channel].limits.of[rule];
    enum subject subject = rule_table[rule].subject;
    if (subject == SUBJECT_IP || history_marks[subject][channel] == NULL ||
        ((subject == SUBJECT_DOMAIN || subject == SUBJECT_RECIPIENT) && limit == LIMIT_OFF) ||
        !forecast_names(context, forecast, channel))
        return false;
    if (channel == CHANNEL_WEBMAIL)
        return true;
    return history_is_shared(SUBJECT_MAILBOX, channel, CHANNEL_WEBMAIL)
               ? limit != forecast->limits[CHANNEL_WEBMAIL].limits.of[rule]
               : limit != LIMIT_OFF;
}

/* A window, and beside it what its shadow rule would say to the next message. */
static struct json_object *window_view(const struct context *context,
                                       const struct forecast *forecast, enum rule rule,
                                       enum channel channel)
{
    const struct effective_limits *limits = &forecast->limits[channel];
    struct json_object *view = view_window(rule, channel, limits->limits.of[rule],
                                           forecast_history_of(forecast, rule, channel),
                                           forecast->at_ms);
    int32_t shadow = shadow_limit(context->settings, limits, channel, rule);
    if (shadow != LIMIT_OFF) {
        struct json_object *tried = json_object_new_object();
        json_add_int(tried, "limit", shadow);
        json_add_bool(tried, "full", !window_fits((uint64_t)json_int(view, "used", 0), 1, shadow));
        json_add(view, "shadow", tried);
    }
    return view;
}

void desk_mailbox_add_windows(const struct context *context, const struct forecast *forecast,
                              bool own, struct json_object *view)
{
    struct json_object *list = json_add_list(view, "windows");
    for (int rule = RULE_FIRST_OVER_TIME; rule < RULE_COUNT; rule++)
        for (int channel = 0; channel < CHANNEL_COUNT; channel++)
            if ((!own || rule_table[rule].subject == SUBJECT_MAILBOX) &&
                tells_window(context, forecast, (enum rule)rule, (enum channel)channel))
                json_object_array_add(list, window_view(context, forecast, (enum rule)rule,
                                                        (enum channel)channel));
}

void desk_mailbox_add_limits(const struct context *context, const struct forecast *forecast,
                             struct json_object *view)
{
    struct json_object *list = json_add_list(view, "limits");
    for (int rule = 0; rule < RULE_COUNT; rule++)
        for (int channel = 0; channel < CHANNEL_COUNT; channel++)
            if (forecast_names(context, forecast, (enum channel)channel))
                json_object_array_add(list, view_limit(context, (enum rule)rule,
                                                       (enum channel)channel,
                                                       &forecast->limits[channel]));
}

void desk_mailbox_add_standing(const struct context *context, const struct forecast *forecast,
                               struct json_object *view)
{
    bool by_settings = settings_exempt_mailbox(context->settings, forecast->mailbox);
    json_add_string(view, "exempt", !forecast->limits[CHANNEL_WEBMAIL].exempt ? NULL
                                    : by_settings                             ? "settings"
                                                                              : "staff");
    json_add(view, "plan", view_plan(&forecast->limits[CHANNEL_WEBMAIL].plan));
}

/* ---- the timeline ------------------------------------------------------------------------ */

/* Where a page ends: below a decision and below an action. As text, both in hexadecimal. */
struct mark {
    uint64_t decision;
    int64_t action;
};

static int read_mark(const char *text, struct mark *mark_r, struct problem *problem)
{
    *mark_r = (struct mark){UINT64_MAX, INT64_MAX};
    if (text == NULL || text[0] == '\0')
        return 1;
    static const char digits[] = "0123456789abcdef";
    size_t first = strspn(text, digits);
    size_t second = text[first] == '-' ? strspn(text + first + 1, digits) : 0;
    if (first == 0 || first > 16 || second == 0 || second > 16 ||
        text[first + 1 + second] != '\0')
        return problem_set(problem, 400, "before",
                           "expected the mark of a page that was told before");
    mark_r->decision = strtoull(text, NULL, 16);
    unsigned long long action = strtoull(text + first + 1, NULL, 16);
    mark_r->action = action > INT64_MAX ? INT64_MAX : (int64_t)action;
    return 1;
}

/* Both streams, the newest first, merged by moment. */
struct timeline {
    struct record records[DESK_PAGE];
    struct audit actions[DESK_PAGE];
    struct store_page record_page, action_page;
};

static void merge(const struct context *context, const struct timeline *timeline,
                  struct mark *mark, struct json_object *view)
{
    struct json_object *list = json_add_list(view, "timeline");
    size_t record = 0, action = 0;
    while (record + action < DESK_PAGE &&
           (record < timeline->record_page.count || action < timeline->action_page.count)) {
        bool action_is_next =
            action < timeline->action_page.count &&
            (record == timeline->record_page.count ||
             timeline->actions[action].at_ms >= timeline->records[record].at_ms);
        if (action_is_next) {
            struct json_object *entry = view_action(&timeline->actions[action]);
            json_add_string(entry, "kind", "action");
            json_object_array_add(list, entry);
            mark->action = timeline->actions[action++].number;
        } else {
            freed_by(recorded_end) struct recorded recorded =
                recorded_of(context, &timeline->records[record]);
            json_object_array_add(list, recorded_entry(&recorded, false));
            mark->decision = timeline->records[record++].decision;
        }
    }
    char older[40];
    bool more = record < timeline->record_page.count || timeline->record_page.more ||
                action < timeline->action_page.count || timeline->action_page.more;
    snprintf(older, sizeof older, "%llx-%llx", (unsigned long long)mark->decision,
             (unsigned long long)mark->action);
    json_add_string(view, "older", more ? older : NULL);
}

static int add_timeline(const struct context *context, const char *mailbox, struct mark mark,
                        struct json_object *view)
{
    struct timeline *timeline = arena_alloc(context->arena, sizeof *timeline);
    struct store *store = context->desk->store;
    timeline->record_page = timeline->action_page = (struct store_page){.max = DESK_PAGE};
    if (store_decisions(store, context->arena, mailbox, mark.decision, context->now_ms,
                        timeline->records, &timeline->record_page) < 0 ||
        store_audit_newest(store, mailbox, mark.action, timeline->actions,
                           &timeline->action_page) < 0)
        return -1;
    merge(context, timeline, &mark, view);
    return 1;
}

/* Notes among the mailbox's actions; those far back are found by paging the timeline. */
static int add_notes(const struct context *context, const char *mailbox, struct json_object *view)
{
    struct audit *actions = arena_alloc(context->arena, DESK_PAGE * sizeof *actions);
    struct json_object *list = json_add_list(view, "notes");
    int64_t before = INT64_MAX;
    struct store_page page = {.max = DESK_PAGE, .more = true};
    for (int pages = 0; pages < NOTES_PAGES && page.more; pages++) {
        if (store_audit_newest(context->desk->store, mailbox, before, actions, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++)
            if (strcmp(actions[i].action,
                       "note") == 0 && json_object_array_length(list) < NOTES_SHOWN)
                json_object_array_add(list, view_action(&actions[i]));
        before = page.count > 0 ? actions[page.count - 1].number : before;
    }
    return 1;
}

/* ---- the view ------------------------------------------------------------------------------- */

int desk_mailbox(const struct desk *desk, const char *mailbox, const char *before, int64_t now_ms,
                 struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct forecast forecast;
    struct mark mark;
    if (!input_mailbox(&context, mailbox, "mailbox", &mailbox, problem) ||
        !read_mark(before, &mark, problem))
        return 0;
    if (forecast_read_all(&context, mailbox, strrchr(mailbox, '@') + 1, &forecast) < 0)
        return -1;
    struct next next = forecast_next(&context, &forecast);
    json_add_moment(view, "now", now_ms);
    json_add_string(view, "mailbox", mailbox);
    json_add_string(view, "domain", forecast.domain);
    json_add_string(view, "state", state_names[next.state]);
    json_add_moment(view, "retry_at", next.room_at_ms);
    view_add_suspensions(&context, &forecast.account.suspensions, true, view);
    json_add(view, "block", failing_block_view(&forecast.block));
    desk_mailbox_add_standing(&context, &forecast, view);
    desk_mailbox_add_windows(&context, &forecast, false, view);
    desk_mailbox_add_limits(&context, &forecast, view);
    json_add(view, "next", view_next(&next));
    int seen = seen_mailbox(&context, mailbox);
    if (seen < 0 || add_timeline(&context, mailbox, mark, view) < 0 ||
        add_notes(&context, mailbox, view) < 0 ||
        desk_appeal_add(&context, mailbox, &forecast.account.suspensions, true, view) < 0 ||
        desk_lock_add(&context, mailbox, &forecast.account.suspensions, view) < 0 ||
        desk_permissions_add(&context, mailbox, view) < 0 ||
        desk_held_add(&context, mailbox, view) < 0 ||
        desk_parked_add_sums(&context, mailbox, view) < 0)
        return -1;
    json_add_bool(view, "seen", seen > 0);
    *view_r = take(view);
    return 1;
}
