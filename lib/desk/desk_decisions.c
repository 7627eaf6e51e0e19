/* The decisions that are kept, and which of them fit a filter. */
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "base/names.h"
#include "desk/input.h"
#include "desk/named.h"
#include "desk/recorded.h"

enum { PAGE = 100, LOOKED_AT_MAX = 5000 };

struct decision_filter {
    const char *mailbox; /* NULL: of all */
    int outcome, channel, rule; /* -1: all */
    const char *rule_name;
    struct text_list networks;  /* none: all */
    int64_t from_ms, until_ms;
};

/* ---- filters --------------------------------------------------------------------------------- */

static int read_name(const char *text, const char *where, int (*find)(const char *), int *number_r,
                     struct problem *problem)
{
    *number_r = -1;
    if (text == NULL || text[0] == '\0')
        return 1;
    *number_r = find(text);
    return *number_r >= 0 || problem_set(problem, 400, where, "there is none of that name");
}

static int find_outcome(const char *text)
{
    return names_find(outcome_names, OUTCOME_COUNT, text);
}

static int read_filter(const struct context *context, const struct decision_words *words,
                       struct decision_filter *filter_r, struct problem *problem)
{
    *filter_r = (struct decision_filter){.rule_name = words->rule};
    if (words->mailbox != NULL && words->mailbox[0] != '\0' &&
        !input_mailbox(context, words->mailbox, "mailbox", &filter_r->mailbox, problem))
        return 0;
    return read_name(words->outcome, "outcome", find_outcome, &filter_r->outcome, problem) &&
           read_name(words->channel, "channel", channel_by_name, &filter_r->channel, problem) &&
           read_name(words->rule, "rule", rule_named, &filter_r->rule, problem) &&
           named_networks(context, words->network, &filter_r->networks, problem) &&
           desk_read_span(words->from, words->until, &filter_r->from_ms, &filter_r->until_ms,
                          problem);
}

static bool breaks(struct json_object *entry, const char *rule)
{
    struct json_object *rules = json_member(entry, "rules");
    for (size_t i = 0; i < json_object_array_length(rules); i++)
        if (strcmp(json_string(json_object_array_get_idx(rules, i), "rule", ""), rule) == 0)
            return true;
    return false;
}

/* entry: as recorded_entry makes it. */
static bool fits(const struct decision_filter *filter, const struct record *record,
                 struct json_object *entry)
{
    const char *ip = json_string(entry, "ip", NULL);
    return (filter->outcome < 0 || (int)record->outcome == filter->outcome) &&
           record->at_ms >= filter->from_ms && record->at_ms < filter->until_ms &&
           (filter->channel < 0 || strcmp(json_string(entry, "channel", ""),
                                          channel_names[filter->channel]) == 0) &&
           (filter->rule < 0 || breaks(entry, filter->rule_name)) &&
           (filter->networks.count == 0 ||
            (ip != NULL && settings_network_holds(&filter->networks, ip)));
}

/* ---- the view -------------------------------------------------------------------------------- */

/* *below: as the next page begins; 0: there is none. 1 or -1. */
static int find(const struct context *context, const struct decision_filter *filter,
                uint64_t *below, struct json_object *list, bool *partial_r)
{
    struct record *records = arena_alloc(context->arena, PAGE * sizeof *records);
    struct store_page page = {.max = PAGE, .more = true};
    size_t looked_at = 0;
    *partial_r = false;
    while (page.more && looked_at < LOOKED_AT_MAX) {
        if (store_decisions(context->desk->store, context->arena, filter->mailbox, *below,
                            context->now_ms, records, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++) {
            if (json_object_array_length(list) == DESK_PAGE)
                return 1;
            freed_by(recorded_end) struct recorded recorded = recorded_of(context, &records[i]);
            freed_by(json_put) struct json_object *entry = recorded_entry(&recorded, true);
            *below = records[i].decision;
            if (fits(filter, &records[i], entry))
                json_object_array_add(list, take(entry));
            if (filter->from_ms != INT64_MIN &&
                decision_time(records[i].decision) < filter->from_ms - CLOCK_AHEAD_MS)
                page.more = false;
        }
        looked_at += page.count;
    }
    *partial_r = page.more;
    if (!page.more)
        *below = 0;
    return 1;
}

int desk_decisions_found(const struct desk *desk, const struct decision_words *words,
                         const char *before, int64_t now_ms, struct json_object **view_r,
                         struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct decision_filter filter;
    uint64_t below;
    bool partial;
    if (!read_filter(&context, words, &filter, problem) || !input_cursor(before, &below, problem))
        return 0;
    if (filter.until_ms != INT64_MAX && filter.until_ms > 0 &&
        decision_floor(filter.until_ms + CLOCK_AHEAD_MS) < below)
        below = decision_floor(filter.until_ms + CLOCK_AHEAD_MS);
    if (find(&context, &filter, &below, json_add_list(view, "decisions"), &partial) < 0)
        return -1;
    json_add_decision(view, "older", below);
    json_add_bool(view, "partial", partial);
    *view_r = take(view);
    return 1;
}

int desk_decisions(const struct desk *desk, const char *mailbox, const char *before,
                   int64_t now_ms, struct json_object **view_r, struct problem *problem)
{
    return desk_decisions_found(desk, &(struct decision_words){.mailbox = mailbox}, before, now_ms,
                                view_r, problem);
}
