/* Versioned values in Redis: one key each, with an expiry; those of the kinds that are listed are
 * in an index. By the caller's clock a value may have ended before it expires, so its end is kept
 * with it and looked at. */
#include <string.h>

#include "base/packed.h"
#include "store/redis/redis.h"

/* ---- changing ------------------------------------------------------------------------ */

enum { CHANGE_ARGUMENTS = 4 }; /* and the key */

const char *redis_values_key(struct arena *arena, const struct value *value)
{
    return arena_printf(arena, REDIS_VALUE_KEY "%s:%s", value_kind_names[value->kind], value->key);
}

struct argument redis_values_text(struct arena *arena, const struct value *value)
{
    uint8_t *text = arena_alloc(arena, VALUE_HEAD_BYTES + value->length);
    packed_put(text, value->version, VERSION_BYTES);
    packed_put(text + VERSION_BYTES,
               value->until_ms == UNTIL_LIFTED ? 0 : (uint64_t)value->until_ms, TIME_BYTES);
    memcpy(text + VALUE_HEAD_BYTES, value->bytes, value->length);
    return (struct argument){text, VALUE_HEAD_BYTES + value->length};
}

/* As values.lua has it. 1 or -1. */
static int add_change(struct redis_backend *backend, struct arena *arena,
                      const struct value_change *change, int64_t now_ms, uint32_t first,
                      struct argument arguments_r[CHANGE_ARGUMENTS])
{
    static const struct argument none = {"", 0};
    struct value value = change->value;
    bool lasts = value.until_ms == UNTIL_LIFTED, any = change->replaces == VALUE_ANY;
    bool removed = value.length == 0 || value.until_ms <= now_ms;
    if (!removed && !lasts && redis_check_time(backend, value.until_ms) < 0)
        return -1;
    value.version = any ? 0 : backend_next_version(change->replaces, first);
    arguments_r[0] = any ? none : argument_int(arena, change->replaces);
    arguments_r[1] = removed ? none : redis_values_text(arena, &value);
    arguments_r[2] =
        removed || lasts ? none : argument_int(arena, value.until_ms - now_ms + MARGIN_MS);
    arguments_r[3] =
        store_values_listed(value.kind) ? argument_string(value_kind_names[value.kind]) : none;
    return 1;
}

/* What the answer tells of a step that was done: 1, or 0 when it has another form. */
static int read_done(const redisReply *told, const struct values_step *step,
                     struct values_done *done_r)
{
    if (told->type != REDIS_REPLY_ARRAY || told->elements != step->count + step->refund_count)
        return 0;
    for (size_t i = 0; i < step->count; i++)
        done_r->versions[i] = (uint32_t)redis_number(told->element[i]);
    for (size_t i = 0; i < step->refund_count; i++)
        done_r->refunded[i] = (int8_t)redis_number(told->element[step->count + i]);
    return 1;
}

/* The key of the hashes is needed for refunds. */
static int find_hash_key(struct redis_backend *backend)
{
    struct action_time time = redis_begin(backend);
    return redis_connected(backend, &time) < 0 ? -1 : redis_find_hash_key(backend, &time);
}

/* At most. */
static size_t arguments_of(const struct values_step *step)
{
    return 6 + (1 + CHANGE_ARGUMENTS) * step->count + REFUND_ARGUMENTS * step->refund_count +
           SUSPENSION_ARGUMENTS * step->suspension_count +
           AUDITED_ARGUMENTS * step->audited_count;
}

static int change(struct backend *backend, const struct values_step *step, uint32_t first,
                  struct values_done *done_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    size_t count = 0;
    struct argument *arguments = arena_alloc(arena, arguments_of(step) * sizeof *arguments);
    if (redis_check_time(self, step->now_ms) < 0 ||
        (step->refund_count > 0 && find_hash_key(self) < 0))
        return -1;
    arguments[count++] = argument_string("change");
    arguments[count++] = argument_int(arena, step->now_ms);
    arguments[count++] = argument_int(arena, first);
    arguments[count++] = argument_int(arena, (int64_t)step->count);
    arguments[count++] = argument_int(arena, (int64_t)step->refund_count);
    arguments[count++] = argument_int(arena, (int64_t)step->suspension_count);
    for (size_t i = 0; i < step->count; i++)
        arguments[count++] = argument_string(redis_values_key(arena, &step->changes[i].value));
    for (size_t i = 0; i < step->count; i++, count += CHANGE_ARGUMENTS)
        if (add_change(self, arena, &step->changes[i], step->now_ms, first, arguments + count) < 0)
            return -1;
    for (size_t i = 0; i < step->refund_count; i++, count += REFUND_ARGUMENTS)
        redis_add_refund(self, arena, &step->refunds[i], arguments + count);
    for (size_t i = 0; i < step->suspension_count; i++) {
        int added = redis_add_suspension(self, arena, &step->suspensions[i], arguments + count);
        if (added < 0)
            return -1;
        count += (size_t)added;
    }
    for (size_t i = 0; i < step->audited_count; i++, count += AUDITED_ARGUMENTS)
        if (redis_add_audited(self, &step->audited[i], arguments + count) < 0)
            return -1;
    int64_t began_us = clock_monotonic_us();
    const redisReply *told = redis_ask(self, SCRIPT_VALUES, arguments, count, &reply);
    done_r->held_us = clock_monotonic_us() - began_us;
    if (told == NULL)
        return -1;
    if (redis_number(reply->element[1]) == 1)
        return read_done(told, step, done_r) ? 1 : redis_unexpected(self);
    done_r->refused = (size_t)redis_number(told);
    return 0;
}

/* ---- reading ------------------------------------------------------------------------- */

int redis_values_read(struct redis_backend *backend, struct arena *arena,
                      const redisReply *element, int64_t now_ms, struct value *value)
{
    *value = (struct value){.kind = value->kind, .key = value->key};
    if (element->type == REDIS_REPLY_NIL)
        return 0;
    if (element->type != REDIS_REPLY_STRING || element->len <= VALUE_HEAD_BYTES)
        return backend_fail(&backend->base, "redis: the value %s %.150s is damaged",
                            value_kind_names[value->kind], value->key);
    const uint8_t *next = (const uint8_t *)element->str;
    uint32_t version = (uint32_t)packed_get(&next, VERSION_BYTES);
    int64_t until_ms = (int64_t)packed_get(&next, TIME_BYTES);
    if (until_ms != 0 && until_ms <= now_ms)
        return 0;
    value->version = version;
    value->until_ms = until_ms == 0 ? UNTIL_LIFTED : until_ms;
    value->length = element->len - VALUE_HEAD_BYTES;
    value->bytes = arena_strndup(arena, (const char *)next, value->length);
    return 1;
}

static int get(struct backend *backend, struct arena *arena, struct value *values, size_t count,
               int64_t now_ms)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *own = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    struct argument *arguments = arena_alloc(own, (1 + count) * sizeof *arguments);
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    if (count == 0)
        return 1;
    arguments[0] = argument_string("values");
    for (size_t i = 0; i < count; i++)
        arguments[1 + i] = argument_string(redis_values_key(own, &values[i]));
    const redisReply *list =
        redis_ask_list(self, SCRIPT_READ, arguments, 1 + count, count, &reply);
    if (list == NULL)
        return -1;
    if (list->elements != count)
        return redis_unexpected(self);
    for (size_t i = 0; i < count; i++)
        if (redis_values_read(self, arena, list->element[i], now_ms, &values[i]) < 0)
            return -1;
    return 1;
}

static int list(struct backend *backend, struct arena *arena, enum value_kind kind,
                const char *after, int64_t now_ms, struct value *values_r,
                struct store_page *page)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {
        argument_string("value_list"), argument_string(value_kind_names[kind]),
        argument_string(after), argument_int(arena, now_ms),
        argument_int(arena, (int64_t)page->max + 1)};
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    const redisReply *found =
        redis_ask_page(self, arguments, countof(arguments), 2, page, &reply);
    if (found == NULL)
        return -1;
    for (size_t i = 0; i < page->count; i++) {
        values_r[i].kind = kind;
        values_r[i].key = arena_strdup(arena, redis_text(found->element[2 * i]));
        if (redis_values_read(self, arena, found->element[2 * i + 1], now_ms, &values_r[i]) != 1)
            return redis_unexpected(self);
    }
    return 1;
}

const struct value_operations redis_values = {
    .change = change,
    .get = get,
    .list = list,
};
