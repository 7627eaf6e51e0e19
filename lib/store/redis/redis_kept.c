/* What programs keep in Redis for themselves, and tries: one key each, with an
 * expiry, and an index by kind. By the caller's clock it may have ended before it
 * expires, so its end is kept with the value and looked at. */
#include <stdlib.h>
#include <string.h>

#include "store/redis/redis.h"

/* Whether the key is one, and the value, if there is one, fits: 1 or -1. */
static int check_kept(struct redis_backend *backend, int64_t now_ms, const char *key,
                      const char *value)
{
    size_t length = strlen(key);
    if (length == 0 || length > KEPT_KEY_MAX)
        return backend_fail(&backend->base, "a key of %zu bytes; 1 to %d are possible", length,
                            KEPT_KEY_MAX);
    if (value != NULL && strlen(value) > KEPT_VALUE_MAX)
        return backend_fail(&backend->base, "a value of %zu bytes; %d are possible", strlen(value),
                            KEPT_VALUE_MAX);
    return redis_check_time(backend, now_ms);
}

static int keep(struct backend *backend, enum kept_kind kind, const struct kept *kept,
                enum keep_where where, const char *before, int64_t now_ms,
                const struct audited *audited)
{
    static const char *const places[] = {
        [KEEP_ANY] = "any", [KEEP_NEW] = "new", [KEEP_OVER] = "over"};
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    bool lasts = kept->until_ms == UNTIL_LIFTED;
    struct argument arguments[8 + AUDITED_ARGUMENTS] = {
        argument_string("keep"),
        argument_int(arena, now_ms),
        argument_string(kept_kind_names[kind]),
        argument_string(kept->key),
        argument_int(arena, lasts ? -1 : kept->until_ms),
        argument_string(kept->value),
        argument_string(places[where]),
        argument_string(where == KEEP_OVER ? before : ""),
    };
    if (check_kept(self, now_ms, kept->key, kept->value) < 0 ||
        (!lasts && redis_check_time(self, kept->until_ms) < 0) ||
        (audited != NULL && redis_add_audited(self, audited, arguments + 8) < 0))
        return -1;
    return redis_simple(self, SCRIPT_DESK, arguments,
                        audited != NULL ? countof(arguments) : 8);
}

static int forget(struct backend *backend, enum kept_kind kind, const char *key, int64_t now_ms,
                  const struct audited *audited)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    struct argument arguments[4 + AUDITED_ARGUMENTS] = {
        argument_string("forget"), argument_int(arena, now_ms),
        argument_string(kept_kind_names[kind]), argument_string(key)};
    if (check_kept(self, now_ms, key, NULL) < 0 ||
        (audited != NULL && redis_add_audited(self, audited, arguments + 4) < 0))
        return -1;
    return redis_simple(self, SCRIPT_DESK, arguments,
                        audited != NULL ? countof(arguments) : 4);
}

/* "ENDS\nVALUE". 1; 0 when it has ended; -1 when it has another form. */
static int read_kept(struct redis_backend *backend, struct arena *arena, const char *key,
                     const redisReply *element, int64_t now_ms, struct kept *kept_r)
{
    char *value;
    int64_t until_ms = strtoll(redis_text(element), &value, 10);
    if (*value != '\n')
        return backend_fail(&backend->base, "redis: what is kept under a key is damaged");
    if (until_ms >= 0 && until_ms <= now_ms)
        return 0;
    *kept_r = (struct kept){.key = arena_strdup(arena, key),
                            .value = arena_strdup(arena, value + 1),
                            .until_ms = until_ms < 0 ? UNTIL_LIFTED : until_ms};
    return 1;
}

static int read(struct backend *backend, struct arena *arena, enum kept_kind kind, const char *key,
                int64_t now_ms, struct kept *kept_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("kept"),
                                         argument_string(kept_kind_names[kind]),
                                         argument_string(key)};
    if (check_kept(self, now_ms, key, NULL) < 0)
        return -1;
    const redisReply *kept =
        redis_ask(self, SCRIPT_READ, arguments, countof(arguments), &reply);
    if (kept == NULL)
        return -1;
    return kept->type == REDIS_REPLY_NIL ? 0
                                         : read_kept(self, arena, key, kept, now_ms, kept_r);
}

static int list(struct backend *backend, struct arena *arena, enum kept_kind kind,
                const char *after, int64_t now_ms, struct kept *kept_r,
                struct store_page *page)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {
        argument_string("kept_list"), argument_string(kept_kind_names[kind]),
        argument_string(after), argument_int(arena, now_ms),
        argument_int(arena, (int64_t)page->max + 1)};
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    const redisReply *list =
        redis_ask_page(self, arguments, countof(arguments), 2, page, &reply);
    if (list == NULL)
        return -1;
    for (size_t i = 0; i < page->count; i++)
        if (read_kept(self, arena, redis_text(list->element[2 * i]), list->element[2 * i + 1],
                      now_ms, &kept_r[i]) != 1)
            return backend_fail(backend, "redis: what is kept under a key is damaged");
    return 1;
}

static int try_once(struct backend *backend, const char *key, int64_t now_ms, int64_t span_ms,
                    uint32_t max, uint32_t *count_r, int64_t *free_at_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("try"), argument_int(arena, now_ms),
                                         argument_string(key), argument_int(arena, span_ms),
                                         argument_int(arena, max)};
    if (check_kept(self, now_ms, key, NULL) < 0)
        return -1;
    if (max < 1 || max > TRIES_MAX || span_ms < 1 || span_ms > REDIS_TIME_MAX_MS - now_ms)
        return backend_fail(backend, "%u tries in %lld ms cannot be counted", max,
                            (long long)span_ms);
    const redisReply *tries =
        redis_ask(self, SCRIPT_DESK, arguments, countof(arguments), &reply);
    if (tries == NULL)
        return -1;
    if (tries->type != REDIS_REPLY_ARRAY || tries->elements != 2)
        return redis_unexpected(self);
    bool counted = reply->element[1]->integer == 1;
    *count_r = (uint32_t)redis_number(tries->element[0]);
    if (!counted)
        *free_at_r = redis_number(tries->element[1]);
    return counted;
}

const struct kept_operations redis_kept = {
    .keep = keep,
    .read = read,
    .forget = forget,
    .list = list,
    .try_once = try_once,
};
