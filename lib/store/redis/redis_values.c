/* Versioned values in Redis: not yet. */
#include "store/redis/redis.h"

static int change(struct backend *backend, const struct values_step *step, uint32_t first,
                  struct values_done *done_r)
{
    (void)step, (void)first, (void)done_r;
    return backend_fail(backend, "redis keeps no values yet");
}

static int get(struct backend *backend, struct arena *arena, struct value *values, size_t count,
               int64_t now_ms)
{
    (void)arena, (void)values, (void)count, (void)now_ms;
    return backend_fail(backend, "redis keeps no values yet");
}

static int list(struct backend *backend, struct arena *arena, enum value_kind kind,
                const char *after, int64_t now_ms, struct value *values_r,
                struct store_page *page)
{
    (void)arena, (void)kind, (void)after, (void)now_ms, (void)values_r, (void)page;
    return backend_fail(backend, "redis keeps no values yet");
}

const struct value_operations redis_values = {
    .change = change,
    .get = get,
    .list = list,
};
