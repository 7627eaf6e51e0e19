/* Adjustments of limits in Redis. Each operation is one call of action.lua or read.lua. */
#include "base/names.h"
#include "store/redis/redis.h"

static int adjust(struct backend *backend, const struct adjustment *adjustments, size_t count,
                  int64_t newest, const struct action *action, const struct audited *audited)
{
    enum { BEFORE = 6, EACH = 6 + AUDITED_ARGUMENTS };
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    struct argument arguments[BEFORE + EACH * ADJUST_MAX] = {
        argument_string("adjust"),
        argument_int(arena, action->now_ms),
        argument_string(action->by),
        argument_string(action->note),
        argument_int(arena, newest == INT64_MAX ? -1 : newest),
        argument_int(arena, audited != NULL ? EACH : EACH - AUDITED_ARGUMENTS),
    };
    size_t used = BEFORE;
    for (size_t i = 0; i < count; i++) {
        const struct adjustment *one = &adjustments[i];
        struct argument *each = &arguments[used];
        each[0] = argument_string(one->subject);
        each[1] = argument_string(rule_table[one->rule].name);
        each[2] = argument_string(adjust_kind_names[one->kind]);
        each[3] = argument_int(arena, one->removed);
        each[4] = one->kind == ADJUST_PLAN ? argument_string(one->plan)
                                           : argument_int(arena, one->value);
        each[5] = argument_int(arena, one->until_ms == UNTIL_LIFTED ? -1 : one->until_ms);
        used += EACH - AUDITED_ARGUMENTS;
        if (audited == NULL)
            continue;
        if (redis_add_audited(self, &audited[i], &arguments[used]) < 0)
            return -1;
        used += AUDITED_ARGUMENTS;
    }
    if (redis_check_time(self, action->now_ms) < 0)
        return -1;
    return redis_simple(self, SCRIPT_ACTION, arguments, used);
}

/* A rule or kind that this version does not know is RULE_COUNT: it changes nothing. */
static int read_adjustment(const redisReply *element, struct adjustment *adjustment_r)
{
    if (element->type != REDIS_REPLY_ARRAY || element->elements != 7)
        return 0;
    redisReply *const *part = element->element;
    int rule = rule_by_name(redis_text(part[2]));
    int kind = names_find(adjust_kind_names, ADJUST_KIND_COUNT, redis_text(part[3]));
    *adjustment_r = (struct adjustment){
        .change = redis_number(part[0]),
        .rule = rule >= 0 && kind >= 0 ? (enum rule)rule : RULE_COUNT,
        .kind = kind >= 0 ? (enum adjust_kind)kind : ADJUST_LIMIT,
        .removed = redis_number(part[4]) != 0,
        .until_ms = redis_number(part[6]) < 0 ? UNTIL_LIFTED : redis_number(part[6]),
    };
    if (kind == ADJUST_PLAN)
        redis_copy_text(part[5], adjustment_r->plan, sizeof adjustment_r->plan);
    else
        adjustment_r->value = (int32_t)redis_number(part[5]);
    redis_copy_text(part[1], adjustment_r->subject, sizeof adjustment_r->subject);
    return adjustment_r->change > 0;
}

static int adjustments(struct backend *backend, int64_t after, struct adjustment *adjustments_r,
                       struct store_page *page)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("adjustments"),
                                         argument_int(arena, after),
                                         argument_int(arena, (int64_t)page->max + 1)};
    const redisReply *list =
        redis_ask_page(self, arguments, countof(arguments), 1, page, &reply);
    if (list == NULL)
        return -1;
    for (size_t i = 0; i < page->count; i++)
        if (!read_adjustment(list->element[i], &adjustments_r[i]))
            return backend_fail(backend, "redis: an adjustment is damaged");
    return 1;
}

const struct adjustment_operations redis_adjustments = {
    .adjust = adjust,
    .adjustments = adjustments,
};
