/* What needs attention: suspended mailboxes, windows that are nearly full. */
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "desk/desk_appeal.h"
#include "desk/desk_lock.h"
#include "desk/desk_logins.h"
#include "desk/context.h"
#include "desk/failing.h"
#include "desk/forecast.h"
#include "desk/input.h"
#include "desk/view.h"
#include "guard/counters.h"

enum {
    HOME_ROWS = 20, HOME_ACTS = 10, ACTS_PAGE = 50, ACTS_PAGES = 5,
    SUSPENDED_LOOKED_AT = 1000, SUSPENDED_PAGE = 100,
    NEAR_LOOKED_AT = 100, NEAR_MAX = 200,
    NEAR_PERCENT = 80,
};

/* ---- suspended mailboxes ---------------------------------------------------------------- */

static int add_row(const struct context *context, const char *mailbox,
                   const struct suspension *suspension, struct json_object *list)
{
    struct json_object *view = view_suspension(context, suspension, true);
    json_add_string(view, "mailbox", mailbox);
    json_object_array_add(list, view);
    return desk_lock_add_to_row(context, mailbox, suspension, view);
}

static int add_rows_of(const struct context *context, const struct suspended *suspended,
                       struct json_object *list)
{
    for (size_t i = 0; i < suspended->suspensions.count; i++)
        if (add_row(context, suspended->mailbox, &suspended->suspensions.of[i], list) < 0)
            return -1;
    return 1;
}

int desk_suspended(const struct desk *desk, const char *after, int64_t now_ms,
                   struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct suspended *suspended = arena_alloc(context.arena, DESK_PAGE * sizeof *suspended);
    struct store_page page = {.max = DESK_PAGE};
    if (store_suspended(desk->store, after != NULL ? after : "", now_ms, suspended, &page) < 0)
        return -1;
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct json_object *list = json_add_list(view, "suspended");
    for (size_t i = 0; i < page.count; i++)
        if (add_rows_of(&context, &suspended[i], list) < 0)
            return -1;
    json_add_string(view, "next", page.more ? suspended[page.count - 1].mailbox : NULL);
    *view_r = take(view);
    return 1;
}

struct suspended_row {
    const char *mailbox;
    struct suspension suspension;
};

static int newest_first(const void *left, const void *right)
{
    const struct suspended_row *a = left, *b = right;
    int64_t a_ms = a->suspension.since_ms, b_ms = b->suspension.since_ms;
    if (a_ms != b_ms)
        return a_ms < b_ms ? 1 : -1;
    int order = strcmp(a->mailbox, b->mailbox);
    return order != 0 ? order : (int)a->suspension.cause - (int)b->suspension.cause;
}

/* A row for each suspension, while there is room. Returns how many. */
static size_t add_suspended_rows(const struct context *context, const struct suspended *suspended,
                                 struct suspended_row *rows, size_t room)
{
    const char *mailbox = arena_strdup(context->arena, suspended->mailbox);
    size_t count = suspended->suspensions.count < room ? suspended->suspensions.count : room;
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct suspended_row){mailbox, suspended->suspensions.of[i]};
    return count;
}

/* Up to SUSPENDED_LOOKED_AT of them, the newest first. 1 or -1. */
static int read_suspended(const struct context *context, struct suspended_row **all_r,
                          size_t *count_r)
{
    struct suspended_row *all = arena_alloc(context->arena, SUSPENDED_LOOKED_AT * sizeof *all);
    struct suspended *some = arena_alloc(context->arena, SUSPENDED_PAGE * sizeof *some);
    size_t total = 0;
    struct store_page page = {.max = SUSPENDED_PAGE, .more = true};
    while (page.more && total < SUSPENDED_LOOKED_AT) {
        const char *after = total > 0 ? all[total - 1].mailbox : "";
        if (store_suspended(context->desk->store, after, context->now_ms, some, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++)
            total += add_suspended_rows(context, &some[i], all + total,
                                        SUSPENDED_LOOKED_AT - total);
    }
    if (total > 1)
        qsort(all, total, sizeof *all, newest_first);
    *all_r = all;
    *count_r = total;
    return 1;
}

static int add_suspended(const struct context *context, struct json_object *view)
{
    struct suspended_row *all;
    size_t count, shown = 0;
    if (read_suspended(context, &all, &count) < 0)
        return -1;
    struct json_object *locked = json_add_list(view, "locked_by_users");
    for (size_t i = 0; i < count && shown < DESK_PAGE; i++) {
        const struct suspension *suspension = &all[i].suspension;
        if (suspension_is_own_lock(suspension->cause, suspension->by)) {
            if (add_row(context, all[i].mailbox, suspension, locked) < 0)
                return -1;
            shown++;
        }
    }
    struct json_object *list = json_add_list(view, "suspended");
    for (size_t i = 0; i < count && i < HOME_ROWS; i++)
        if (add_row(context, all[i].mailbox, &all[i].suspension, list) < 0)
            return -1;
    json_add_bool(view, "more_suspended", count > HOME_ROWS);
    return 1;
}

/* ---- windows near their limit -------------------------------------------------------------- */

struct near_row {
    const struct near_limit *seen;
    const char *key; /* mailbox, IP or sender domain */
    enum channel channel;
    int32_t limit;
    uint64_t used;
    int64_t retry_at_ms; /* when full: the first room for one more; 0 never */
};

/* Of the channels that count in the same history as `one`, that with the lowest limit;
 * CHANNEL_COUNT when the rule is off for all of them. */
static enum channel tightest_channel(const int32_t (*limit_of)[RULE_COUNT], enum rule rule,
                                     enum channel one)
{
    enum channel tightest = CHANNEL_COUNT;
    for (int channel = 0; channel < CHANNEL_COUNT; channel++)
        if (limit_of[channel][rule] != LIMIT_OFF &&
            history_is_shared(rule_table[rule].subject, one, (enum channel)channel) &&
            (tightest == CHANNEL_COUNT || limit_of[channel][rule] < limit_of[tightest][rule]))
            tightest = (enum channel)channel;
    return tightest;
}

/* The history that was seen, and the limits of its mailbox, IP or domain, `key`. 1 or -1. */
static int read_subject(const struct context *context, const struct near_limit *seen,
                        const char *key,
                        struct history *history_r, int32_t (*limit_of_r)[RULE_COUNT],
                        int64_t *at_ms_r)
{
    struct forecast forecast = {.at_ms = context->now_ms};
    const char *at = strrchr(key, '@');
    enum subject subject = rule_table[seen->rule].subject;
    if (subject != SUBJECT_IP &&
        forecast_read(context, subject == SUBJECT_DOMAIN ? "" : key, at != NULL ? at + 1 : "",
                      &forecast) < 0)
        return -1;
    if (store_history(context->desk->store, context->arena, subject, seen->key, context->now_ms,
                      &forecast.account.history) < 0)
        return -1;
    forecast_settle(context, &forecast);
    *history_r = forecast.account.history;
    *at_ms_r = forecast.at_ms;
    for (int channel = 0; channel < CHANNEL_COUNT; channel++)
        memcpy(limit_of_r[channel],
               subject != SUBJECT_IP ? forecast.limits[channel].limits.of
                                     : context->settings->limits[channel].of,
               sizeof limit_of_r[channel]);
    return 1;
}

/* How full it is now. 1 near; 0 no longer; -1. */
static int look_again(const struct context *context, const struct near_limit *seen,
                      struct near_row *row_r)
{
    const struct rule_info *rule = &rule_table[seen->rule];
    int32_t limit_of[CHANNEL_COUNT][RULE_COUNT];
    struct history history;
    int64_t at_ms;
    char *key = arena_alloc(context->arena, HISTORY_NAME_SIZE);
    enum channel first = history_channel(rule->subject, seen->key, key);
    if (read_subject(context, seen, key, &history, limit_of, &at_ms) < 0)
        return -1;
    enum channel channel = tightest_channel(limit_of, seen->rule, first);
    if (channel == CHANNEL_COUNT)
        return 0;
    int32_t limit = limit_of[channel][seen->rule];
    *row_r = (struct near_row){
        .seen = seen, .key = key, .channel = channel, .limit = limit,
        .used = window_used(&history, rule->measure, rule->window_ms, at_ms),
    };
    if (!window_fits(row_r->used, 1, limit)) {
        int64_t fits_ms =
            window_when_fits(&history, rule->measure, rule->window_ms, limit, 1, at_ms);
        row_r->retry_at_ms = fits_ms == WINDOW_NEVER ? 0 : fits_ms;
    }
    return row_r->used > 0 && view_percent(row_r->used, limit) >= NEAR_PERCENT;
}

static int fullest_first(const void *left, const void *right)
{
    const struct near_row *a = left, *b = right;
    int a_percent = view_percent(a->used, a->limit), b_percent = view_percent(b->used, b->limit);
    if (a_percent != b_percent)
        return b_percent - a_percent;
    int order = strcmp(a->key, b->key);
    return order != 0 ? order : (int)a->channel - (int)b->channel;
}

static struct json_object *json_of_near(const struct near_row *row)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "key", row->key[0] == '@' ? row->key + 1 : row->key);
    json_add_string(view, "rule", rule_table[row->seen->rule].name);
    json_add_string(view, "channel", channel_names[row->channel]);
    json_add_int(view, "limit", row->limit);
    json_add_int(view, "used", (int64_t)row->used);
    json_add_int(view, "percent", view_percent(row->used, row->limit));
    json_add_bool(view, "full", !window_fits(row->used, 1, row->limit));
    json_add_moment(view, "retry_at", row->retry_at_ms);
    return view;
}

static void add_rows(struct json_object *view, const char *name, struct near_row *rows,
                     size_t count)
{
    struct json_object *list = json_add_list(view, name);
    if (count > 1)
        qsort(rows, count, sizeof *rows, fullest_first);
    for (size_t i = 0; i < count; i++)
        json_object_array_add(list, json_of_near(&rows[i]));
}

/* "near", "ips" and "domains": of the `looked_at` windows seen last, at most `max` of each. 1 or -1. */
static int add_near(const struct context *context, size_t looked_at, size_t max,
                    struct json_object *view)
{
    struct near_limit *seen = arena_alloc(context->arena, looked_at * sizeof *seen);
    struct near_row *rows[SUBJECT_COUNT];
    size_t counts[SUBJECT_COUNT] = {0};
    struct store_page page = {.max = looked_at};
    if (store_near(context->desk->store, context->now_ms, seen, &page) < 0)
        return -1;
    for (int subject = 0; subject < SUBJECT_COUNT; subject++)
        rows[subject] = arena_alloc(context->arena, max * sizeof *rows[subject]);
    for (size_t i = 0; i < page.count; i++) {
        if (seen[i].rule < RULE_FIRST_OVER_TIME || seen[i].rule >= RULE_COUNT)
            continue;
        enum subject subject = rule_table[seen[i].rule].subject;
        if (subject == SUBJECT_RECIPIENT) /* which one it is, nobody knows */
            subject = SUBJECT_MAILBOX;
        struct near_row row;
        int near = counts[subject] < max ? look_again(context, &seen[i], &row) : 0;
        if (near < 0)
            return -1;
        if (near > 0)
            rows[subject][counts[subject]++] = row;
    }
    add_rows(view, "near", rows[SUBJECT_MAILBOX], counts[SUBJECT_MAILBOX]);
    add_rows(view, "ips", rows[SUBJECT_IP], counts[SUBJECT_IP]);
    add_rows(view, "domains", rows[SUBJECT_DOMAIN], counts[SUBJECT_DOMAIN]);
    return 1;
}

int desk_near(const struct desk *desk, int64_t now_ms, struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    if (add_near(&context, NEAR_MAX, NEAR_MAX, view) < 0)
        return -1;
    *view_r = take(view);
    return 1;
}

/* Messages that bypassed the webmail endpoint today and yesterday, UTC. 1 or -1. */
static int add_bypassed(const struct context *context, struct json_object *view)
{
    enum { DAYS = 2 };
    char after[COUNTER_NAME_SIZE], days[DAYS][COUNTER_NAME_SIZE];
    struct counter counters[DAYS];
    uint64_t total = 0;
    struct store_page page = {.max = DAYS};
    counters_bypassed_name(context->now_ms - DAYS * DAY_MS, after);
    for (int day = 0; day < DAYS; day++)
        counters_bypassed_name(context->now_ms - day * DAY_MS, days[day]);
    if (store_counters(context->desk->store, after, counters, &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count; i++)
        for (int day = 0; day < DAYS; day++)
            if (strcmp(counters[i].name, days[day]) == 0)
                total += counters[i].value;
    json_add_int(view, "bypassed_today", (int64_t)total);
    return 1;
}

/* Whether `list` has the same that was done together with it. */
static bool has_batch(struct json_object *list, const char *action, const char *batch)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *other = json_object_array_get_idx(list, i);
        if (strcmp(json_string(other, "batch", ""), batch) == 0 &&
            strcmp(json_string(other, "action", ""), action) == 0)
            return true;
    }
    return false;
}

/* "actions". Of what was done together the newest alone: one step is not to fill the list. 1 or
 * -1. */
static int add_actions(const struct context *context, struct json_object *view)
{
    struct audit *entries = arena_alloc(context->arena, ACTS_PAGE * sizeof *entries);
    struct store_page page = {.max = ACTS_PAGE, .more = true};
    struct json_object *list = json_add_list(view, "actions");
    int64_t before = INT64_MAX;
    for (int pages = 0; pages < ACTS_PAGES && page.more; pages++) {
        if (store_audit_newest(context->desk->store, NULL, before, entries, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++) {
            const char *batch = desk_batch_of(context->arena, entries[i].note);
            before = entries[i].number;
            if (batch != NULL && has_batch(list, entries[i].action, batch))
                continue;
            struct json_object *action = view_action(&entries[i]);
            json_add_string(action, "batch", batch);
            json_object_array_add(list, action);
            if (json_object_array_length(list) == HOME_ACTS)
                return 1;
        }
    }
    return 1;
}

int desk_home(const struct desk *desk, int64_t now_ms, struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    json_add_moment(view, "now", now_ms);
    if (desk_appeal_add_waiting(&context, view) < 0 || add_bypassed(&context, view) < 0 ||
        add_suspended(&context, view) < 0 || desk_logins_add_closed(&context, view) < 0 ||
        failing_add_blocked(&context, view) < 0 || failing_add_outages(&context, view) < 0 ||
        add_near(&context, NEAR_LOOKED_AT, HOME_ROWS, view) < 0 ||
        add_actions(&context, view) < 0)
        return -1;
    *view_r = take(view);
    return 1;
}
