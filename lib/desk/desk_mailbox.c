/* A mailbox on one page: how it stands, what holds, and what happened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desk/desk_common.h"

enum { NOTES_SHOWN = 20, NOTES_PAGES = 4 };

/* A channel that counts with the webmail is told where its limit is another; one that counts by
 * itself where it has a limit. */
static bool tells_window(const struct look *look, const struct standing *standing, enum rule rule,
                         enum channel channel)
{
    int32_t limit = standing->limits[channel].limits.of[rule];
    if (rule_table[rule].subject != SUBJECT_MAILBOX || !standing_tells(look, standing, channel))
        return false;
    if (channel == CHANNEL_WEBMAIL)
        return true;
    return history_is_shared(SUBJECT_MAILBOX, channel, CHANNEL_WEBMAIL)
               ? limit != standing->limits[CHANNEL_WEBMAIL].limits.of[rule]
               : limit != LIMIT_OFF;
}

static void add_windows(const struct look *look, const struct standing *standing,
                        struct json_object *view)
{
    struct json_object *list = json_add_list(view, "windows");
    for (int rule = RULE_FIRST_OVER_TIME; rule < RULE_COUNT; rule++)
        for (int channel = 0; channel < CHANNEL_COUNT; channel++)
            if (tells_window(look, standing, (enum rule)rule, (enum channel)channel))
                json_object_array_add(
                    list, json_of_window((enum rule)rule, (enum channel)channel,
                                         standing->limits[channel].limits.of[rule],
                                         standing_history(standing, (enum channel)channel),
                                         standing->at_ms));
}

static void add_limits(const struct look *look, const struct standing *standing,
                       struct json_object *view)
{
    struct json_object *list = json_add_list(view, "limits");
    for (int rule = 0; rule < RULE_COUNT; rule++)
        for (int channel = 0; channel < CHANNEL_COUNT; channel++)
            if (standing_tells(look, standing, (enum channel)channel))
                json_object_array_add(list, json_of_limit(look, (enum rule)rule,
                                                          (enum channel)channel,
                                                          &standing->limits[channel]));
}

static const char *exempt_by(const struct look *look, const struct standing *standing)
{
    if (!standing->limits[CHANNEL_WEBMAIL].exempt)
        return NULL;
    return settings_exempt_mailbox(look->settings, standing->mailbox) ? "settings" : "staff";
}

/* ---- the timeline ------------------------------------------------------------------------ */

/* Where a page ends: below a decision and below an act. As text, both in hexadecimal. */
struct mark {
    uint64_t decision;
    int64_t act;
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
    unsigned long long act = strtoull(text + first + 1, NULL, 16);
    mark_r->act = act > INT64_MAX ? INT64_MAX : (int64_t)act;
    return 1;
}

/* Both streams, the newest first, merged by moment. */
struct timeline {
    struct record records[DESK_PAGE + 1];
    struct audit acts[DESK_PAGE + 1];
    size_t record_count, act_count;
};

static void merge(const struct timeline *timeline, struct mark *mark, struct json_object *view)
{
    struct json_object *list = json_add_list(view, "timeline");
    size_t record = 0, act = 0;
    while (record + act < DESK_PAGE &&
           (record < timeline->record_count || act < timeline->act_count)) {
        bool act_is_next =
            act < timeline->act_count &&
            (record == timeline->record_count ||
             timeline->acts[act].at_ms >= timeline->records[record].at_ms);
        if (act_is_next) {
            struct json_object *entry = json_of_act(&timeline->acts[act]);
            json_add_string(entry, "kind", "act");
            json_object_array_add(list, entry);
            mark->act = timeline->acts[act++].number;
        } else {
            freed_by(told_end) struct told told = told_of(&timeline->records[record]);
            json_object_array_add(list, told_entry(&told, false));
            mark->decision = timeline->records[record++].decision;
        }
    }
    char older[40];
    bool more = record < timeline->record_count || act < timeline->act_count;
    snprintf(older, sizeof older, "%llx-%llx", (unsigned long long)mark->decision,
             (unsigned long long)mark->act);
    json_add_string(view, "older", more ? older : NULL);
}

static int add_timeline(const struct look *look, const char *mailbox, struct mark mark,
                        struct json_object *view)
{
    struct timeline *timeline = arena_alloc(look->arena, sizeof *timeline);
    struct store *store = look->desk->store;
    if (store_decisions(store, look->arena, mailbox, mark.decision, look->now_ms,
                        timeline->records, DESK_PAGE + 1, &timeline->record_count) < 0 ||
        store_audit_newest(store, mailbox, mark.act, timeline->acts, DESK_PAGE + 1,
                           &timeline->act_count) < 0)
        return -1;
    merge(timeline, &mark, view);
    return 1;
}

/* Notes among the mailbox's acts; those far back are found by paging the timeline. */
static int add_notes(const struct look *look, const char *mailbox, struct json_object *view)
{
    struct audit *acts = arena_alloc(look->arena, DESK_PAGE * sizeof *acts);
    struct json_object *list = json_add_list(view, "notes");
    int64_t before = INT64_MAX;
    size_t count = DESK_PAGE;
    for (int page = 0; page < NOTES_PAGES && count == DESK_PAGE; page++) {
        if (store_audit_newest(look->desk->store, mailbox, before, acts, DESK_PAGE, &count) < 0)
            return -1;
        for (size_t i = 0; i < count; i++)
            if (strcmp(acts[i].act, "note") == 0 && json_object_array_length(list) < NOTES_SHOWN)
                json_object_array_add(list, json_of_act(&acts[i]));
        before = count > 0 ? acts[count - 1].number : before;
    }
    return 1;
}

/* ---- the view ------------------------------------------------------------------------------- */

int desk_mailbox(const struct desk *desk, const char *mailbox, const char *before, int64_t now_ms,
                 struct json_object **view_r, struct problem *problem)
{
    freed_by(look_end) struct look look = look_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct standing standing;
    struct mark mark;
    if (!read_mailbox(&look, mailbox, "mailbox", &mailbox, problem) ||
        !read_mark(before, &mark, problem))
        return 0;
    if (standing_read_all(&look, mailbox, strrchr(mailbox, '@') + 1, &standing) < 0)
        return -1;
    struct next next = next_of(&look, &standing);
    json_add_moment(view, "now", now_ms);
    json_add_string(view, "mailbox", mailbox);
    json_add_string(view, "domain", standing.domain);
    json_add_string(view, "state", state_names[next.state]);
    json_add_moment(view, "retry_at", next.room_at_ms);
    json_add(view, "suspension", json_of_suspension(&look, &standing.account.suspension, true));
    json_add_string(view, "exempt", exempt_by(&look, &standing));
    add_windows(&look, &standing, view);
    add_limits(&look, &standing, view);
    json_add(view, "next", json_of_next(&next));
    if (add_timeline(&look, mailbox, mark, view) < 0 || add_notes(&look, mailbox, view) < 0)
        return -1;
    *view_r = take(view);
    return 1;
}
