/* The audit log in Redis: a stream, read by read.lua, written by desk.lua and, with its own
 * operations, by action.lua. */
#include <stdlib.h>
#include <string.h>

#include "store/redis/redis.h"

/* An entry of the stream: its id "7-0" and its fields in the order they were written. */
static int read_audit(const redisReply *element, struct audit *audit_r)
{
    enum { FIELDS = 6 };
    if (element->type != REDIS_REPLY_ARRAY || element->elements != 2 ||
        element->element[1]->type != REDIS_REPLY_ARRAY ||
        element->element[1]->elements != 2 * FIELDS)
        return 0;
    redisReply *const *part = element->element[1]->element;
    *audit_r = (struct audit){.number = strtoll(redis_text(element->element[0]), NULL, 10),
                              .at_ms = strtoll(redis_text(part[1]), NULL, 10)};
    redis_copy_text(part[3], audit_r->by, sizeof audit_r->by);
    redis_copy_text(part[5], audit_r->action, sizeof audit_r->action);
    redis_copy_text(part[7], audit_r->subject, sizeof audit_r->subject);
    redis_copy_text(part[9], audit_r->note, sizeof audit_r->note);
    redis_copy_text(part[11], audit_r->detail, sizeof audit_r->detail);
    return 1;
}

static int read_audits(struct redis_backend *backend, const redisReply *list, struct audit *audit_r,
                       size_t *count_r)
{
    for (size_t i = 0; i < list->elements; i++)
        if (!read_audit(list->element[i], &audit_r[i]))
            return backend_fail(&backend->base, "redis: an entry of the audit log is damaged");
    *count_r = list->elements;
    return 1;
}

static int audit(struct backend *backend, int64_t after, struct audit *audit_r, size_t max,
                 size_t *count_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("audit"),
                                         argument_int(arena, after + 1),
                                         argument_int(arena, (int64_t)max)};
    const redisReply *list =
        redis_ask_list(self, SCRIPT_READ, arguments, countof(arguments), max, &reply);
    if (list == NULL)
        return -1;
    return read_audits(self, list, audit_r, count_r);
}

static int audit_newest(struct backend *backend, const char *subject, int64_t before,
                        struct audit *audit_r, size_t max, size_t *count_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    if (before > REDIS_TIME_MAX_MS)
        before = REDIS_TIME_MAX_MS; /* as no number is, and a script's numbers are exact */
    if (before < 1)
        before = 1;
    const struct argument of_all[] = {argument_string("audit_newest"),
                                      argument_int(arena, before - 1),
                                      argument_int(arena, (int64_t)max)};
    const struct argument of_one[] = {argument_string("audit_of"),
                                      argument_string(subject != NULL ? subject : ""),
                                      argument_int(arena, before),
                                      argument_int(arena, (int64_t)max)};
    const redisReply *list =
        subject == NULL
            ? redis_ask_list(self, SCRIPT_READ, of_all, countof(of_all), max, &reply)
            : redis_ask_list(self, SCRIPT_READ, of_one, countof(of_one), max, &reply);
    return list == NULL ? -1 : read_audits(self, list, audit_r, count_r);
}

int redis_add_audited(struct redis_backend *backend, const struct audited *audited,
                      struct argument arguments_r[AUDITED_ARGUMENTS])
{
    static const struct audit fits;
    const struct action *action = audited->action;
    if (strlen(action->by) >= sizeof fits.by || strlen(action->note) >= sizeof fits.note ||
        strlen(audited->name) >= sizeof fits.action ||
        strlen(audited->subject) >= sizeof fits.subject ||
        strlen(audited->detail) >= sizeof fits.detail)
        return backend_fail(&backend->base, "an entry %.32s is too long for the audit log",
                            audited->name);
    arguments_r[0] = argument_string(action->by);
    arguments_r[1] = argument_string(action->note);
    arguments_r[2] = argument_string(audited->name);
    arguments_r[3] = argument_string(audited->subject);
    arguments_r[4] = argument_string(audited->detail);
    return 1;
}

static int write_audit(struct backend *backend, const struct audited *audited)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    struct argument arguments[2 + AUDITED_ARGUMENTS] = {
        argument_string("write_audit"), argument_int(arena, audited->action->now_ms)};
    if (redis_check_time(self, audited->action->now_ms) < 0 ||
        redis_add_audited(self, audited, arguments + 2) < 0)
        return -1;
    return redis_simple(self, SCRIPT_DESK, arguments, countof(arguments));
}

const struct audit_operations redis_audit = {
    .audit = audit,
    .audit_newest = audit_newest,
    .write_audit = write_audit,
};
