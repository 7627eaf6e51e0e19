/* Observations in Redis: observe.lua writes them in bundles, read.lua reads them. Senders and
 * counters come unordered; this file sorts and pages them, since a script would sort by the
 * server's locale. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/lifetimes.h"
#include "store/redis/redis.h"

/* ---- writing ------------------------------------------------------------------- */

#define COUNTED_MAX (UINT64_C(1) << 53)

/* Refuses before it begins what the script would cut or stop at. 1 or -1. */
static int check(struct redis_backend *backend, const struct observations *seen, int64_t now_ms)
{
    if (seen->sender_count > OBSERVATIONS_MAX || seen->near_count > OBSERVATIONS_MAX ||
        seen->counter_count > OBSERVATIONS_MAX)
        return backend_fail(&backend->base, "more than %d observations of a kind",
                            OBSERVATIONS_MAX);
    for (size_t i = 0; i < seen->sender_count; i++)
        if (redis_check_time(backend, seen->senders[i].at_ms) < 0)
            return -1;
    for (size_t i = 0; i < seen->near_count; i++)
        if (redis_check_time(backend, seen->nears[i].at_ms) < 0)
            return -1;
    for (size_t i = 0; i < seen->counter_count; i++)
        if (seen->counters[i].value > COUNTED_MAX)
            return backend_fail(&backend->base, "%llu is too much to count at once",
                                (unsigned long long)seen->counters[i].value);
    return redis_check_time(backend, now_ms);
}

static int observe(struct backend *backend, const struct observations *observations, int64_t now_ms)
{
    enum { PER_SENDER = 4, PER_NEAR = 2, PER_COUNTER = 2 };
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    if (check(self, observations, now_ms) < 0)
        return -1;
    size_t count = 3 + PER_SENDER * observations->sender_count +
                   PER_NEAR * observations->near_count +
                   PER_COUNTER * observations->counter_count;
    struct argument *arguments = arena_alloc(arena, count * sizeof *arguments), *next = arguments;
    *next++ = argument_int(arena, now_ms);
    *next++ = argument_int(arena, (int64_t)observations->sender_count);
    *next++ = argument_int(arena, (int64_t)observations->near_count);
    for (size_t i = 0; i < observations->sender_count; i++) {
        const struct observed_sender *one = &observations->senders[i];
        *next++ = argument_string(one->ip != NULL ? one->ip : "");
        *next++ = argument_string(one->domain);
        *next++ = argument_string(one->mailbox);
        *next++ = argument_int(arena, one->at_ms);
    }
    for (size_t i = 0; i < observations->near_count; i++) {
        const struct near_limit *one = &observations->nears[i];
        *next++ = argument_string(
            arena_printf(arena, "%s %s", rule_table[one->rule].name, one->key));
        *next++ = argument_int(arena, one->at_ms);
    }
    for (size_t i = 0; i < observations->counter_count; i++) {
        *next++ = argument_string(observations->counters[i].name);
        *next++ = argument_int(arena, (int64_t)observations->counters[i].value);
    }
    freed_by(redis_free_reply) redisReply *reply = NULL;
    return redis_call(self, SCRIPT_OBSERVE, arguments, count, &reply);
}

/* ---- reading ------------------------------------------------------------------- */

/* Names with a number each, as Redis lists them: in turn, both as text. */
struct named {
    const char *name;
    const char *number;
};

static int compare_names(const void *one, const void *other)
{
    const struct named *a = one, *b = other;
    return strcmp(a->name, b->name);
}

/* The page of those after `after`, in order of name; in `arena`, pointing into the answer. */
static struct named *sort_named(struct arena *arena, const redisReply *list, const char *after,
                                struct store_page *page)
{
    struct named *named = arena_alloc(arena, (list->elements / 2 + 1) * sizeof *named);
    size_t count = 0;
    for (size_t i = 0; i + 1 < list->elements; i += 2) {
        const char *name = redis_text(list->element[i]);
        if (strcmp(name, after) > 0)
            named[count++] =
                (struct named){.name = name, .number = redis_text(list->element[i + 1])};
    }
    if (count > 0)
        qsort(named, count, sizeof *named, compare_names);
    page->more = count > page->max;
    page->count = page->more ? page->max : count;
    return named;
}

static int senders(struct backend *backend, enum sender_of of, const char *key, const char *after,
                   int64_t now_ms, struct sender *senders_r, struct store_page *page)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {
        argument_string("senders"), argument_string(of == SENDERS_OF_IP ? "ip" : "domain"),
        argument_string(key), argument_int(arena, now_ms - SEEN_KEPT_MS)};
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    const redisReply *list =
        redis_ask_list(self, SCRIPT_READ, arguments, countof(arguments), 2 * SENDERS_MAX, &reply);
    if (list == NULL)
        return -1;
    const struct named *named = sort_named(arena, list, after, page);
    for (size_t i = 0; i < page->count; i++) {
        snprintf(senders_r[i].mailbox, sizeof senders_r[i].mailbox, "%s", named[i].name);
        senders_r[i].last_ms = strtoll(named[i].number, NULL, 10);
    }
    return 1;
}

static int counters(struct backend *backend, const char *after, struct counter *counters_r,
                    struct store_page *page)
{
    enum { COUNTERS_MAX = 100000 };
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("counters")};
    const redisReply *list =
        redis_ask_list(self, SCRIPT_READ, arguments, countof(arguments), COUNTERS_MAX, &reply);
    if (list == NULL)
        return -1;
    const struct named *named = sort_named(arena, list, after, page);
    for (size_t i = 0; i < page->count; i++) {
        snprintf(counters_r[i].name, sizeof counters_r[i].name, "%s", named[i].name);
        counters_r[i].value = strtoull(named[i].number, NULL, 10);
    }
    return 1;
}

static int near(struct backend *backend, int64_t now_ms, struct near_limit *near_r,
                struct store_page *page)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    struct argument arguments[3 + 2 * OVER_TIME_COUNT] = {
        argument_string("near"), argument_int(arena, now_ms),
        argument_int(arena, (int64_t)page->max + 1)};
    size_t count = 3;
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    for (int rule = RULE_FIRST_OVER_TIME; rule < RULE_COUNT; rule++) {
        arguments[count++] = argument_string(rule_table[rule].name);
        arguments[count++] = argument_int(arena, rule_table[rule].window_ms);
    }
    const redisReply *list = redis_ask_page(self, arguments, count, 3, page, &reply);
    if (list == NULL)
        return -1;
    for (size_t i = 0; i < page->count; i++) {
        redisReply *const *part = list->element + 3 * i;
        int rule = rule_by_name(redis_text(part[0]));
        if (rule < 0)
            return backend_fail(backend, "redis: a window near its limit is damaged");
        near_r[i] = (struct near_limit){.rule = (enum rule)rule,
                                        .at_ms = strtoll(redis_text(part[2]), NULL, 10)};
        redis_copy_text(part[1], near_r[i].key, sizeof near_r[i].key);
    }
    return 1;
}

const struct observation_operations redis_observations = {
    .observe = observe,
    .senders = senders,
    .near = near,
    .counters = counters,
};
