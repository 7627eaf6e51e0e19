/* What is blocked now, and which destinations have an outage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desk/failing.h"
#include "rules/failure_outage.h"

enum { VALUES_PAGE = 256 };

int failing_each_value(const struct context *context, enum value_kind kind,
                       failing_found *found, void *list)
{
    struct value *values = arena_alloc(context->arena, VALUES_PAGE * sizeof *values);
    freed_by(arena_free) struct arena *of_page = arena_new();
    freed_by(free_string) char *after = xstrdup("");
    struct store_page page = {.max = VALUES_PAGE, .more = true};
    while (page.more) {
        if (store_values(context->desk->store, of_page, kind, after, context->now_ms, values,
                         &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++)
            found(context, &values[i], list);
        if (page.count == 0)
            break;
        free(after);
        after = xstrdup(values[page.count - 1].key);
        arena_reset(of_page);
    }
    return 1;
}

/* ---- blocked ------------------------------------------------------------------------------------ */

static void add_block(const struct context *context, const struct value *value, void *list)
{
    struct failing_block block;
    if (failing_block_of(context, value, &block))
        json_object_array_add(list, failing_block_view(&block));
}

int failing_add_blocked(const struct context *context, struct json_object *view)
{
    return failing_each_value(context, VALUE_BLOCK, add_block, json_add_list(view, "blocked"));
}

/* ---- outages ------------------------------------------------------------------------------------ */

/* Sender domains that had outcomes today or yesterday, whichever are more: today may have just
 * begun. As the follower counts them. 1 or -1. */
static int count_domains(const struct context *context, uint32_t *count_r)
{
    struct value days[2];
    *count_r = 0;
    for (size_t i = 0; i < countof(days); i++)
        days[i] = (struct value){
            .kind = VALUE_DAY,
            .key = arena_printf(context->arena, "%lld",
                                (long long)(context->now_ms / DAY_MS) - (long long)i)};
    if (store_values_get(context->desk->store, context->arena, days, countof(days),
                         context->now_ms) < 0)
        return -1;
    for (size_t i = 0; i < countof(days); i++) {
        uint32_t count = failure_outage_domains_of_day(days[i].bytes, days[i].length);
        if (count > *count_r)
            *count_r = count;
    }
    return 1;
}

struct outages {
    struct json_object *list;
    struct failure_outage *site; /* of the one that is looked at */
    uint32_t domains_of_day;
};

/* As a sender sees it who has no part in it. */
static void add_outage(const struct context *context, const struct value *value, void *pointer)
{
    struct outages *outages = pointer;
    int64_t newest = failure_outage_newest(value->bytes, value->length);
    if (newest + FAILURE_OUTAGE_MINUTES < context->now_ms / MINUTE_MS) /* nothing came since */
        return;
    if (!failure_outage_read(value->bytes, value->length, outages->site))
        return;
    if (failure_outage_explains(outages->site, "", 0, outages->domains_of_day,
                                context->now_ms) != 0) {
        struct failure_outage_numbers numbers =
            failure_outage_numbers(outages->site, context->now_ms);
        struct json_object *one = json_object_new_object();
        json_add_string(one, "destination", value->key);
        json_add_moment(one, "since", numbers.since_ms);
        json_add_int(one, "domains", numbers.domains);
        json_object_array_add(outages->list, one);
    }
    failure_outage_free(outages->site);
}

static int most_domains_first(const void *left, const void *right)
{
    struct json_object *const *a = left, *const *b = right;
    int64_t a_domains = json_int(*a, "domains", 0), b_domains = json_int(*b, "domains", 0);
    return (a_domains < b_domains) - (a_domains > b_domains);
}

int failing_add_outages(const struct context *context, struct json_object *view)
{
    struct outages outages = {.list = json_add_list(view, "outages")};
    if (!context->settings->failures.outage)
        return 1;
    outages.site = arena_alloc(context->arena, sizeof *outages.site);
    if (count_domains(context, &outages.domains_of_day) < 0 ||
        failing_each_value(context, VALUE_OUTAGE, add_outage, &outages) < 0)
        return -1;
    json_object_array_sort(outages.list, most_domains_first);
    return 1;
}
