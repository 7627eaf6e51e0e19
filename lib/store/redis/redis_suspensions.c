/* Suspensions in Redis. Each operation is one call of action.lua or read.lua. */
#include "base/names.h"
#include "store/redis/redis.h"

int redis_read_suspension(const redisReply *element, struct suspension *suspension_r)
{
    *suspension_r = (struct suspension){0};
    if (element->type != REDIS_REPLY_ARRAY || element->elements != 8)
        return 0;
    redisReply *const *part = element->element;
    int cause = names_find(cause_names, CAUSE_COUNT, redis_text(part[1]));
    if (redis_number(part[0]) <= 0 || cause < 0)
        return 0;
    suspension_r->id = redis_number(part[0]);
    suspension_r->cause = (enum cause)cause;
    suspension_r->since_ms = redis_number(part[2]);
    suspension_r->until_ms = redis_number(part[3]) < 0 ? UNTIL_LIFTED : redis_number(part[3]);
    suspension_r->attempts = (uint32_t)redis_number(part[4]);
    suspension_r->offence = (uint32_t)redis_number(part[5]);
    redis_copy_text(part[6], suspension_r->by, sizeof suspension_r->by);
    redis_copy_text(part[7], suspension_r->note, sizeof suspension_r->note);
    return 1;
}

int redis_read_suspensions(const redisReply *element, struct suspensions *suspensions_r)
{
    struct suspension one;
    suspension_clear(suspensions_r);
    if (element->type != REDIS_REPLY_ARRAY || element->elements > CAUSE_COUNT)
        return 0;
    for (size_t i = 0; i < element->elements; i++) {
        if (!redis_read_suspension(element->element[i], &one))
            return 0;
        suspension_put(suspensions_r, &one);
    }
    return 1;
}

int redis_add_suspension(struct redis_backend *backend, struct arena *arena,
                         const struct value_suspension *suspension,
                         struct argument arguments_r[SUSPENSION_ARGUMENTS])
{
    const struct durations *durations = suspension->durations;
    size_t count = 0;
    if (durations->count == 0 || durations->count > DURATIONS_MAX)
        return backend_fail(&backend->base, "%zu durations; 1 to %d are possible",
                            durations->count, DURATIONS_MAX);
    arguments_r[count++] = argument_string(suspension->mailbox);
    arguments_r[count++] = argument_string(suspension->action->by);
    arguments_r[count++] = argument_string(suspension->action->note);
    arguments_r[count++] = argument_string(cause_names[suspension->cause]);
    arguments_r[count++] = argument_int(arena, (int64_t)durations->count);
    for (size_t i = 0; i < durations->count; i++)
        arguments_r[count++] =
            argument_int(arena, durations->ms[i] == UNTIL_LIFTED ? -1 : durations->ms[i]);
    return (int)count;
}

static int suspend(struct backend *backend, const char *mailbox, enum cause cause,
                   const struct durations *durations, const struct action *action,
                   struct suspension *suspension_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    struct argument arguments[2 + SUSPENSION_ARGUMENTS] = {argument_string("suspend"),
                                                           argument_int(arena, action->now_ms)};
    if (redis_check_time(self, action->now_ms) < 0)
        return -1;
    int added = redis_add_suspension(
        self, arena, &(struct value_suspension){mailbox, cause, durations, action}, arguments + 2);
    if (added < 0)
        return -1;
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const redisReply *made =
        redis_ask(self, SCRIPT_ACTION, arguments, 2 + (size_t)added, &reply);
    if (made == NULL)
        return -1;
    return redis_read_suspension(made, suspension_r) ? 1 : redis_unexpected(self);
}

static int lift(struct backend *backend, const char *mailbox, enum cause cause,
                const struct action *action)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    const struct argument arguments[] = {
        argument_string("lift"), argument_int(arena, action->now_ms), argument_string(mailbox),
        argument_string(action->by), argument_string(action->note),
        argument_string(cause_names[cause])};
    if (redis_check_time(self, action->now_ms) < 0)
        return -1;
    return redis_simple(self, SCRIPT_ACTION, arguments, countof(arguments));
}

static int unlift(struct backend *backend, enum cause cause, int64_t id, int64_t newest,
                  const struct audited *audited, enum unlift *why_r)
{
    enum { BEFORE = 5 };
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    struct argument arguments[BEFORE + AUDITED_ARGUMENTS] = {
        argument_string("unlift"), argument_int(arena, audited->action->now_ms),
        argument_string(cause_names[cause]), argument_int(arena, id),
        argument_int(arena, newest)};
    if (redis_check_time(self, audited->action->now_ms) < 0 ||
        redis_add_audited(self, audited, arguments + BEFORE) < 0)
        return -1;
    const redisReply *why =
        redis_ask(self, SCRIPT_ACTION, arguments, countof(arguments), &reply);
    if (why == NULL)
        return -1;
    *why_r = (enum unlift)redis_number(why);
    return redis_number(reply->element[1]) == 1;
}

static int suspended(struct backend *backend, const char *after, int64_t now_ms,
                     struct suspended *suspended_r, struct store_page *page)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("suspended"), argument_string(after),
                                         argument_int(arena, now_ms),
                                         argument_int(arena, (int64_t)page->max + 1)};
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    const redisReply *list =
        redis_ask_page(self, arguments, countof(arguments), 2, page, &reply);
    if (list == NULL)
        return -1;
    for (size_t i = 0; i < page->count; i++) {
        if (!redis_read_suspensions(list->element[2 * i + 1], &suspended_r[i].suspensions))
            return backend_fail(backend, "redis: a suspension is damaged");
        redis_copy_text(list->element[2 * i], suspended_r[i].mailbox,
                        sizeof suspended_r[i].mailbox);
    }
    return 1;
}

static int offences(struct backend *backend, const char *mailbox, enum cause cause, int64_t now_ms,
                    uint32_t *count_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("offences"), argument_string(mailbox),
                                         argument_string(cause_names[cause]),
                                         argument_int(arena, now_ms)};
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    const redisReply *count =
        redis_ask(self, SCRIPT_READ, arguments, countof(arguments), &reply);
    if (count == NULL)
        return -1;
    *count_r = (uint32_t)redis_number(count);
    return 1;
}

const struct suspension_operations redis_suspensions = {
    .suspend = suspend,
    .lift = lift,
    .unlift = unlift,
    .suspended = suspended,
    .offences = offences,
};
