/* The audit log of the Redis backend, a stream. Of what a script did it has the numbers that the
 * script saw within its step, as words: they are made a detail when they are read. Entries of other
 * operations, and those that earlier versions wrote, have the detail itself. */
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "store/detail.h"
#include "store/redis/redis.h"

/* ---- what a script saw --------------------------------------------------------------- */

/* The words of a text, in turn. */
struct seen_words {
    char *next, *rest;
};

static const char *next_word(struct seen_words *words)
{
    const char *word = strtok_r(words->next, " ", &words->rest);
    words->next = NULL;
    return word != NULL ? word : "";
}

static int64_t next_number(struct seen_words *words) { return strtoll(next_word(words), NULL, 10); }

static int64_t next_end(struct seen_words *words)
{
    int64_t until_ms = next_number(words);
    return until_ms < 0 ? UNTIL_LIFTED : until_ms;
}

/* "7 volume SINCE UNTIL 3", or "-" for none (id 0). 1, or 0 when it has another form. */
static int read_suspension(struct seen_words *words, struct suspension *suspension_r)
{
    const char *id = next_word(words);
    *suspension_r = (struct suspension){.id = strtoll(id, NULL, 10)};
    if (strcmp(id, "-") == 0)
        return 1;
    int cause = names_find(cause_names, CAUSE_COUNT, next_word(words));
    suspension_r->cause = (enum cause)cause;
    suspension_r->since_ms = next_number(words);
    suspension_r->until_ms = next_end(words);
    suspension_r->attempts = (uint32_t)next_number(words);
    return suspension_r->id > 0 && cause >= 0;
}

static int add_suspensions(struct seen_words *words, struct text *detail)
{
    struct suspension before, after;
    if (!read_suspension(words, &before) || !read_suspension(words, &after))
        return 0;
    detail_add_suspensions(detail, before.id != 0 ? &before : NULL, after.id != 0 ? &after : NULL);
    return 1;
}

/* "webmail MESSAGES OFF_DOMAIN forwarding …": of each history. */
static int add_reset(struct seen_words *words, struct text *detail)
{
    struct detail_counts counts[CHANNEL_COUNT] = {{0}};
    for (const char *name = next_word(words); *name != '\0'; name = next_word(words)) {
        int channel = names_find(channel_names, CHANNEL_COUNT, name);
        if (channel < 0)
            return 0;
        counts[channel].messages = (uint64_t)next_number(words);
        counts[channel].off_domain = (uint64_t)next_number(words);
    }
    detail_add_reset(detail, counts);
    return 1;
}

/* "5 UNTIL" or "PLAN UNTIL", or "-" for none. */
static struct adjustment read_adjustment(struct seen_words *words, enum adjust_kind kind, int rule)
{
    const char *value = next_word(words);
    struct adjustment adjustment = {
        .kind = kind, .rule = (enum rule)rule, .removed = strcmp(value, "-") == 0};
    if (!adjustment.removed) {
        if (kind == ADJUST_PLAN)
            snprintf(adjustment.plan, sizeof adjustment.plan, "%s", value);
        else
            adjustment.value = (int32_t)strtol(value, NULL, 10);
        adjustment.until_ms = next_end(words);
    }
    return adjustment;
}

/* The rule, the adjustments before and after. */
static int add_adjustments(struct seen_words *words, enum adjust_kind kind, struct text *detail)
{
    int rule = rule_by_name(next_word(words));
    if (rule < 0)
        return 0;
    struct adjustment before = read_adjustment(words, kind, rule);
    struct adjustment after = read_adjustment(words, kind, rule);
    detail_add_adjustments(detail, &before, &after);
    return 1;
}

/* Makes the detail of what was seen. 1, or 0 when it has another form. */
static int read_seen(const char *seen, struct audit *audit_r)
{
    freed_by(text_free) struct text detail = {0};
    freed_by(free_string) char *copy = xstrdup(seen);
    struct seen_words words = {.next = copy};
    int kind = names_find(adjust_kind_names, ADJUST_KIND_COUNT, audit_r->action);
    int known = strcmp(audit_r->action, "reset") == 0 ? add_reset(&words, &detail)
                : kind >= 0 ? add_adjustments(&words, (enum adjust_kind)kind, &detail)
                            : add_suspensions(&words, &detail);
    if (!known || detail.length >= sizeof audit_r->detail)
        return 0;
    memcpy(audit_r->detail, text_string(&detail), detail.length + 1);
    return 1;
}

/* ---- the log ---------------------------------------------------------------------------- */

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
    if (strcmp(redis_text(part[10]), "seen") == 0)
        return read_seen(redis_text(part[11]), audit_r);
    redis_copy_text(part[11], audit_r->detail, sizeof audit_r->detail);
    return 1;
}

static int read_audits(struct redis_backend *backend, const redisReply *list, struct audit *audit_r,
                       const struct store_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        if (!read_audit(list->element[i], &audit_r[i]))
            return backend_fail(&backend->base, "redis: an entry of the audit log is damaged");
    return 1;
}

static int audit(struct backend *backend, int64_t after, struct audit *audit_r,
                 struct store_page *page)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("audit"),
                                         argument_int(arena, after + 1),
                                         argument_int(arena, (int64_t)page->max + 1)};
    const redisReply *list =
        redis_ask_page(self, arguments, countof(arguments), 1, page, &reply);
    if (list == NULL)
        return -1;
    return read_audits(self, list, audit_r, page);
}

static int audit_newest(struct backend *backend, const char *subject, int64_t before,
                        struct audit *audit_r, struct store_page *page)
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
                                      argument_int(arena, (int64_t)page->max + 1)};
    const struct argument of_one[] = {argument_string("audit_of"),
                                      argument_string(subject != NULL ? subject : ""),
                                      argument_int(arena, before),
                                      argument_int(arena, (int64_t)page->max + 1)};
    const redisReply *list =
        subject == NULL ? redis_ask_page(self, of_all, countof(of_all), 1, page, &reply)
                        : redis_ask_page(self, of_one, countof(of_one), 1, page, &reply);
    return list == NULL ? -1 : read_audits(self, list, audit_r, page);
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
    arguments_r[4] = argument_string("detail");
    arguments_r[5] = argument_string(audited->detail);
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
