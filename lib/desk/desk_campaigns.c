/* The suspended as one looks at them when many call at once: which, and what they have in common. */
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "base/names.h"
#include "base/zone.h"
#include "desk/campaign.h"
#include "desk/desk_lock.h"
#include "desk/input.h"
#include "desk/named.h"
#include "desk/recorded.h"
#include "desk/view.h"

enum {
    PAGE = 100, LOOKED_AT_MAX = 10000,
    NETWORKS_MAX = 500, /* a read of the store for each */
    RECORDS_LOOKED_AT = 3,
    GROUPS_MAX = 10,
};

struct campaign_found {
    const char *mailbox, *name; /* name: as campaign_name */
    struct suspension suspension;
    const char *network; /* where its last message came from; NULL: not known */
};
struct campaign_finding {
    const struct context *context;
    int cause; /* -1: all */
    const char *by, *name;
    struct text_list networks; /* none: all */
    int64_t since_ms, until_ms; /* began from then, and before then */
    struct campaign_found *of;
    size_t count, room, looked_at;
    bool more;
};

/* ---- what is asked for ----------------------------------------------------------------------- */

static const char *or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static int read_hour(const char *text, struct campaign_finding *finding, struct problem *problem)
{
    int64_t began_ms;
    finding->until_ms = INT64_MAX;
    if (text == NULL)
        return 1;
    if (!zone_moment_read(text, &began_ms))
        return problem_set(problem, 400, "began", "expected a moment such as "
                           "2026-11-22T14:00:00Z");
    if (began_ms > finding->since_ms)
        finding->since_ms = began_ms;
    finding->until_ms = began_ms + HOUR_MS;
    return 1;
}

static int read_filter(const struct suspended_filter *filter, struct campaign_finding *finding,
                       struct problem *problem)
{
    const char *cause = or_null(filter->cause), *last = or_null(filter->last);
    int64_t last_ms = 0;
    finding->cause = cause != NULL ? names_find(cause_names, CAUSE_COUNT, cause) : -1;
    if (cause != NULL && finding->cause < 0)
        return problem_set(problem, 400, "cause", "expected the name of a cause, such as volume");
    if (last != NULL && (!settings_duration_read(last, &last_ms) || last_ms == UNTIL_LIFTED))
        return problem_set(problem, 400, "last", "expected 1s to 3650d, such as 30m, 24h or 7d");
    finding->since_ms = last != NULL ? finding->context->now_ms - last_ms : INT64_MIN;
    finding->by = or_null(filter->by);
    finding->name = or_null(filter->name);
    return read_hour(or_null(filter->began), finding, problem) &&
           named_networks(finding->context, filter->network, &finding->networks, problem);
}

static bool fits(const struct campaign_finding *finding, const struct campaign_found *one)
{
    const struct suspension *suspension = &one->suspension;
    if ((finding->cause >= 0 && (int)suspension->cause != finding->cause) ||
        suspension->since_ms < finding->since_ms || suspension->since_ms >= finding->until_ms ||
        (finding->by != NULL && strcmp(finding->by, suspension->by) != 0))
        return false;
    if (finding->name == NULL)
        return true;
    return strchr(finding->name, '#') != NULL ? strcmp(finding->name, one->name) == 0
                                              : strstr(one->mailbox, finding->name) != NULL;
}

/* ---- which ----------------------------------------------------------------------------------- */

static void add(struct campaign_finding *finding, const struct campaign_found *one)
{
    if (finding->count == finding->room) {
        finding->room = finding->room > 0 ? 2 * finding->room : PAGE;
        finding->of = xrealloc(finding->of, finding->room * sizeof *finding->of);
    }
    finding->of[finding->count++] = *one;
}

static void look_at(struct campaign_finding *finding, const struct suspended *suspended)
{
    struct arena *arena = finding->context->arena;
    const char *mailbox = arena_strdup(arena, suspended->mailbox);
    struct campaign_found one = {.mailbox = mailbox, .name = campaign_name(arena, mailbox)};
    for (size_t i = 0; i < suspended->suspensions.count; i++) {
        one.suspension = suspended->suspensions.of[i];
        if (fits(finding, &one))
            add(finding, &one);
    }
}

static int newest_first(const void *left, const void *right)
{
    const struct campaign_found *a = left, *b = right;
    if (a->suspension.since_ms != b->suspension.since_ms)
        return a->suspension.since_ms < b->suspension.since_ms ? 1 : -1;
    int order = strcmp(a->mailbox, b->mailbox);
    return order != 0 ? order : (int)a->suspension.cause - (int)b->suspension.cause;
}

/* 1 or -1. */
static int find(struct campaign_finding *finding)
{
    const struct context *context = finding->context;
    struct suspended *some = arena_alloc(context->arena, PAGE * sizeof *some);
    struct store_page page = {.max = PAGE, .more = true};
    const char *after = "";
    while (page.more && finding->looked_at < LOOKED_AT_MAX) {
        if (store_suspended(context->desk->store, after, context->now_ms, some, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++)
            look_at(finding, &some[i]);
        finding->looked_at += page.count;
        if (page.count > 0)
            after = arena_strdup(context->arena, some[page.count - 1].mailbox);
    }
    finding->more = page.more;
    if (finding->count > 1)
        qsort(finding->of, finding->count, sizeof *finding->of, newest_first);
    return 1;
}

/* ---- where from ------------------------------------------------------------------------------ */

/* Of the last message up to the suspension, or the ones that it has refused since where none is
 * kept. 1 or -1. */
static int find_network(const struct context *context, struct campaign_found *one)
{
    struct record records[RECORDS_LOOKED_AT];
    const uint64_t moments[] = {decision_floor(one->suspension.since_ms + SECOND_MS), UINT64_MAX};
    for (size_t moment = 0; moment < countof(moments) && one->network == NULL; moment++) {
        struct store_page page = {.max = RECORDS_LOOKED_AT};
        if (store_decisions(context->desk->store, context->arena, one->mailbox, moments[moment],
                            context->now_ms, records, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count && one->network == NULL; i++) {
            freed_by(recorded_end) struct recorded recorded = recorded_of(context, &records[i]);
            const char *ip = json_string(recorded.facts, "ip", NULL);
            one->network = ip != NULL ? arena_strdup(context->arena, ip) : NULL;
        }
    }
    return 1;
}

/* Of the newest ones; then those of other networks are left out. 1 or -1. */
static int find_networks(struct campaign_finding *finding)
{
    size_t kept = 0;
    if (finding->count > NETWORKS_MAX) {
        finding->count = NETWORKS_MAX;
        finding->more = true;
    }
    for (size_t i = 0; i < finding->count; i++) {
        struct campaign_found *one = &finding->of[i];
        if (find_network(finding->context, one) < 0)
            return -1;
        if (finding->networks.count == 0 ||
            (one->network != NULL && settings_network_holds(&finding->networks, one->network)))
            finding->of[kept++] = *one;
    }
    finding->count = kept;
    return 1;
}

/* ---- what they have in common ---------------------------------------------------------------- */

struct campaign_group {
    const char *name;
    int64_t count;
};

static int most_first(const void *left, const void *right)
{
    const struct campaign_group *a = left, *b = right;
    return a->count != b->count ? (a->count < b->count ? 1 : -1) : strcmp(a->name, b->name);
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static const char *network_of(struct arena *arena, const struct campaign_found *one)
{
    (void)arena;
    return one->network;
}

static const char *pattern_of(struct arena *arena, const struct campaign_found *one)
{
    (void)arena;
    return strchr(one->name, '#') != NULL ? one->name : NULL;
}

static const char *cause_of(struct arena *arena, const struct campaign_found *one)
{
    (void)arena;
    return cause_names[one->suspension.cause];
}

static const char *by_of(struct arena *arena, const struct campaign_found *one)
{
    (void)arena;
    return one->suspension.by;
}

/* The hour in which it began, in UTC. */
static const char *hour_of(struct arena *arena, const struct campaign_found *one)
{
    freed_by(text_free) struct text text = {0};
    text_add_time(&text, one->suspension.since_ms / HOUR_MS * HOUR_MS);
    return arena_strdup(arena, text_string(&text));
}

/* [{member:…,"count":…}…] of what at least `least` of them share, the most first. */
static void add_groups(const struct campaign_finding *finding, const char *list_name, const char *member,
                       const char *(*of)(struct arena *, const struct campaign_found *), int64_t least,
                       struct json_object *view)
{
    struct arena *arena = finding->context->arena;
    const char **names = arena_alloc(arena, (finding->count + 1) * sizeof *names);
    struct campaign_group *groups = arena_alloc(arena, (finding->count + 1) * sizeof *groups);
    struct json_object *list = json_add_list(view, list_name);
    size_t named = 0, count = 0;
    for (size_t i = 0; i < finding->count; i++)
        if ((names[named] = of(arena, &finding->of[i])) != NULL)
            named++;
    if (named > 1)
        qsort(names, named, sizeof *names, compare_names);
    for (size_t i = 0; i < named; i++) {
        if (count == 0 || strcmp(groups[count - 1].name, names[i]) != 0)
            groups[count++] = (struct campaign_group){.name = names[i]};
        groups[count - 1].count++;
    }
    if (count > 1)
        qsort(groups, count, sizeof *groups, most_first);
    for (size_t i = 0; i < count && i < GROUPS_MAX && groups[i].count >= least; i++) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, member, groups[i].name);
        json_add_int(one, "count", groups[i].count);
        json_object_array_add(list, one);
    }
}

/* ---- the view -------------------------------------------------------------------------------- */

static int add_rows(const struct campaign_finding *finding, struct json_object *view)
{
    struct json_object *list = json_add_list(view, "suspended");
    for (size_t i = 0; i < finding->count; i++) {
        const struct campaign_found *one = &finding->of[i];
        struct json_object *row = view_suspension(finding->context, &one->suspension, true);
        json_add_string(row, "mailbox", one->mailbox);
        json_add_string(row, "network", one->network);
        json_object_array_add(list, row);
        if (desk_lock_add_to_row(finding->context, one->mailbox, &one->suspension, row) < 0)
            return -1;
    }
    return 1;
}

static void free_found(struct campaign_finding *finding) { free(finding->of); }

int desk_campaigns(const struct desk *desk, const struct suspended_filter *filter, int64_t now_ms,
                   struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    freed_by(free_found) struct campaign_finding finding = {.context = &context};
    if (!read_filter(filter, &finding, problem))
        return 0;
    if (find(&finding) < 0 || find_networks(&finding) < 0)
        return -1;
    json_add_moment(view, "now", now_ms);
    if (add_rows(&finding, view) < 0)
        return -1;
    json_add_bool(view, "more", finding.more);
    add_groups(&finding, "networks", "network", network_of, 2, view);
    add_groups(&finding, "names", "name", pattern_of, 2, view);
    add_groups(&finding, "times", "since", hour_of, 2, view);
    add_groups(&finding, "causes", "cause", cause_of, 1, view);
    add_groups(&finding, "bys", "by", by_of, 1, view);
    *view_r = take(view);
    return 1;
}
