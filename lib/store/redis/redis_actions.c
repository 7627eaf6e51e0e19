/* What staff asks of the Redis backend, refunds, and what a mailbox's page
 * shows. Each is one call of action.lua or read.lua. */
#include <stdlib.h>
#include <string.h>

#include "store/redis/redis.h"

/* ---- reading answers ------------------------------------------------------------- */

int redis_read_suspension(const redisReply *element, struct suspension *suspension_r)
{
    *suspension_r = (struct suspension){0};
    if (element->type == REDIS_REPLY_NIL)
        return 1;
    if (element->type != REDIS_REPLY_ARRAY || element->elements != 8)
        return 0;
    redisReply *const *part = element->element;
    int cause = redis_find_name(cause_names, CAUSE_COUNT, redis_text(part[1]));
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

void redis_read_history(const redisReply *element, struct arena *arena, int64_t length_ms,
                        int64_t at_ms, struct history *history_r)
{
    size_t count = redis_entry_count(element);
    *history_r = (struct history){0};
    if (count == 0)
        return;
    history_r->entries = arena_alloc(arena, count * sizeof history_r->entries[0]);
    for (size_t i = 0; i < count; i++) {
        uint64_t decision;
        struct entry entry = redis_read_entry(element, i, &decision);
        if (entry.time_ms > at_ms) /* a wrong clock stamped it */
            entry.time_ms = at_ms;
        if (window_holds(entry.time_ms, length_ms, at_ms))
            history_r->entries[history_r->count++] = entry;
    }
}

/* ---- operations --------------------------------------------------------------------------- */

int redis_refund(struct backend *backend, const char *mailbox, const char *id, int64_t now_ms)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    uint8_t charge[CHARGE_KEY_SIZE];
    charge_key(mailbox, id, charge);
    const struct argument arguments[] = {argument_string("refund"), argument_int(arena, now_ms),
                                         argument_string(mailbox), {charge, sizeof charge}};
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    return redis_simple(self, SCRIPT_ACTION, arguments, countof(arguments));
}

int redis_suspend(struct backend *backend, const char *mailbox, enum cause cause,
                  const struct durations *durations, const struct action *action,
                  struct suspension *suspension_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    struct argument arguments[6 + DURATIONS_MAX] = {
        argument_string("suspend"), argument_int(arena, action->now_ms), argument_string(mailbox),
        argument_string(action->by), argument_string(action->note), argument_string(cause_names[cause])};
    if (redis_check_time(self, action->now_ms) < 0)
        return -1;
    if (durations->count == 0 || durations->count > DURATIONS_MAX)
        return backend_fail(backend, "%zu durations; 1 to %d are possible", durations->count,
                            DURATIONS_MAX);
    for (size_t i = 0; i < durations->count; i++)
        arguments[6 + i] =
            argument_int(arena, durations->ms[i] == UNTIL_LIFTED ? -1 : durations->ms[i]);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const redisReply *made =
        redis_ask(self, SCRIPT_ACTION, arguments, 6 + durations->count, &reply);
    if (made == NULL)
        return -1;
    return redis_read_suspension(made, suspension_r) && suspension_r->id > 0
               ? 1
               : backend_fail(backend, "redis answered what no script of ours does");
}

int redis_lift(struct backend *backend, const char *mailbox, const struct action *action)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    const struct argument arguments[] = {
        argument_string("lift"), argument_int(arena, action->now_ms), argument_string(mailbox),
        argument_string(action->by), argument_string(action->note)};
    if (redis_check_time(self, action->now_ms) < 0)
        return -1;
    return redis_simple(self, SCRIPT_ACTION, arguments, countof(arguments));
}

int redis_reset(struct backend *backend, const char *mailbox, const struct action *action)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    char name[HISTORY_NAME_SIZE];
    const struct argument arguments[] = {
        argument_string("reset"), argument_int(arena, action->now_ms), argument_string(mailbox),
        argument_string(action->by), argument_string(action->note),
        argument_string(history_name(SUBJECT_MAILBOX, CHANNEL_FORWARDING, mailbox, name))};
    if (redis_check_time(self, action->now_ms) < 0)
        return -1;
    return redis_simple(self, SCRIPT_ACTION, arguments, countof(arguments));
}

/* ---- adjustments ------------------------------------------------------------------------ */

int redis_adjust(struct backend *backend, const struct adjustment *adjustments, size_t count,
                 int64_t newest, const struct action *action)
{
    enum { BEFORE = 5, EACH = 6 };
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    struct argument arguments[BEFORE + EACH * ADJUST_MAX] = {
        argument_string("adjust"),
        argument_int(arena, action->now_ms),
        argument_string(action->by),
        argument_string(action->note),
        argument_int(arena, newest == INT64_MAX ? -1 : newest),
    };
    for (size_t i = 0; i < count; i++) {
        const struct adjustment *one = &adjustments[i];
        struct argument *each = &arguments[BEFORE + EACH * i];
        each[0] = argument_string(one->subject);
        each[1] = argument_string(rule_table[one->rule].name);
        each[2] = argument_string(adjust_kind_names[one->kind]);
        each[3] = argument_int(arena, one->removed);
        each[4] = argument_int(arena, one->value);
        each[5] = argument_int(arena, one->until_ms == UNTIL_LIFTED ? -1 : one->until_ms);
    }
    if (redis_check_time(self, action->now_ms) < 0)
        return -1;
    return redis_simple(self, SCRIPT_ACTION, arguments, BEFORE + EACH * count);
}

/* A rule or kind that this version does not know is RULE_COUNT: it changes nothing. */
static int read_adjustment(const redisReply *element, struct adjustment *adjustment_r)
{
    if (element->type != REDIS_REPLY_ARRAY || element->elements != 7)
        return 0;
    redisReply *const *part = element->element;
    int rule = rule_by_name(redis_text(part[2]));
    int kind = redis_find_name(adjust_kind_names, ADJUST_KIND_COUNT, redis_text(part[3]));
    *adjustment_r = (struct adjustment){
        .change = redis_number(part[0]),
        .rule = rule >= 0 && kind >= 0 ? (enum rule)rule : RULE_COUNT,
        .kind = kind >= 0 ? (enum adjust_kind)kind : ADJUST_LIMIT,
        .removed = redis_number(part[4]) != 0,
        .value = (int32_t)redis_number(part[5]),
        .until_ms = redis_number(part[6]) < 0 ? UNTIL_LIFTED : redis_number(part[6]),
    };
    redis_copy_text(part[1], adjustment_r->subject, sizeof adjustment_r->subject);
    return adjustment_r->change > 0;
}

int redis_adjustments(struct backend *backend, int64_t after, struct adjustment *adjustments_r,
                      size_t max, size_t *count_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("adjustments"),
                                         argument_int(arena, after),
                                         argument_int(arena, (int64_t)max)};
    const redisReply *list =
        redis_ask_list(self, SCRIPT_READ, arguments, countof(arguments), max, &reply);
    if (list == NULL)
        return -1;
    for (size_t i = 0; i < list->elements; i++)
        if (!read_adjustment(list->element[i], &adjustments_r[i]))
            return backend_fail(backend, "redis: an adjustment is damaged");
    *count_r = list->elements;
    return 1;
}

/* ---- lists and records ---------------------------------------------------------------------- */

int redis_account(struct backend *backend, struct arena *arena, const char *mailbox, int64_t now_ms,
                  struct account *account_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    struct account account;
    const struct argument arguments[] = {argument_string("account"), argument_string(mailbox),
                                         argument_int(arena, now_ms)};
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    const redisReply *seen =
        redis_ask_list(self, SCRIPT_READ, arguments, countof(arguments), 3, &reply);
    if (seen == NULL)
        return -1;
    if (seen->elements != 3 || !redis_read_suspension(seen->element[2], &account.suspension))
        return backend_fail(backend, "redis: the account of %s is damaged", mailbox);
    redis_read_history(seen->element[1], arena, DAY_MS, redis_number(seen->element[0]),
                       &account.history);
    *account_r = account;
    return 1;
}

int redis_history(struct backend *backend, struct arena *arena, enum subject subject,
                  const char *key,
                  int64_t now_ms, struct history *history_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("history"), argument_string(key),
                                         argument_int(arena, now_ms)};
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    const redisReply *seen =
        redis_ask_list(self, SCRIPT_READ, arguments, countof(arguments), 2, &reply);
    if (seen == NULL)
        return -1;
    if (seen->elements != 2)
        return backend_fail(backend, "redis: the history of %s is damaged", key);
    redis_read_history(seen->element[1], arena, subject == SUBJECT_IP ? HOUR_MS : DAY_MS,
                       redis_number(seen->element[0]), history_r);
    return 1;
}

int redis_suspended(struct backend *backend, const char *after, int64_t now_ms,
                    struct suspended *suspended_r, size_t max, size_t *count_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("suspended"), argument_string(after),
                                         argument_int(arena, now_ms),
                                         argument_int(arena, (int64_t)max)};
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    const redisReply *list =
        redis_ask_list(self, SCRIPT_READ, arguments, countof(arguments), 2 * max, &reply);
    if (list == NULL)
        return -1;
    for (size_t i = 0; i < list->elements / 2; i++) {
        if (!redis_read_suspension(list->element[2 * i + 1], &suspended_r[i].suspension))
            return backend_fail(backend, "redis: a suspension is damaged");
        redis_copy_text(list->element[2 * i], suspended_r[i].mailbox,
                        sizeof suspended_r[i].mailbox);
    }
    *count_r = list->elements / 2;
    return 1;
}

int redis_offences(struct backend *backend, const char *mailbox, enum cause cause, int64_t now_ms,
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

/* Piece by piece while there is time. Everything expires by itself, so this is
 * for clocks that were wrong, and for tests. */
int redis_sweep(struct backend *backend, int64_t now_ms)
{
    struct redis_backend *self = redis_backend(backend);
    struct action_time time = redis_begin(self);
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    do {
        freed_by(arena_free) struct arena *arena = arena_new();
        freed_by(redis_free_reply) redisReply *reply = NULL;
        const char *cursor = self->sweep_cursor[0] != '\0' ? self->sweep_cursor : "0";
        const struct argument arguments[] = {argument_string("sweep"),
                                             argument_int(arena, now_ms), argument_string(cursor)};
        if (redis_is_over(&time))
            return backend_fail(backend,
                                "the sweep was not done within %d ms; the next one goes on",
                                backend->timeout_ms);
        const redisReply *next = redis_ask(self, SCRIPT_ACTION, arguments, countof(arguments),
                                           &reply);
        if (next == NULL)
            return -1;
        redis_copy_text(next, self->sweep_cursor, sizeof self->sweep_cursor);
    } while (strcmp(self->sweep_cursor, "0") != 0);
    return 1;
}
