/* Whom another limit would have stopped, by all records of messages that passed since a moment. */
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "base/when.h"
#include "desk/context.h"
#include "desk/input.h"
#include "desk/walk.h"
#include "guard/packing.h"
#include "guard/shadow.h"
#include "rules/what_if.h"

enum { MAILBOXES_SHOWN = 200 };

/* What is asked, and what was read. */
struct replay {
    const struct context *context;
    enum rule rule;
    int32_t limit;
    const char *subject; /* NULL: the settings' limit is another */
    int64_t since_ms, until_ms, read_until_ms;
    struct what_if *what_if;
    uint64_t messages, stopped;
    bool full;  /* there is no room for more */
    bool whole; /* all was read */
};

/* ---- what is asked ---------------------------------------------------------------------- */

static int read_rule(const struct desk_what_if *words, struct replay *replay,
                     struct problem *problem)
{
    int rule = words->rule != NULL ? rule_by_name(words->rule) : -1;
    int64_t limit = 0;
    if (rule < 0 || !rule_table[rule].over_time || rule_table[rule].subject != SUBJECT_MAILBOX)
        return problem_set(problem, 400, "rule",
                           "expected messages_per_day, off_domain_per_day or messages_per_hour");
    if (words->value == NULL || words->value[0] == '\0' ||
        !input_number(words->value, "value", 0, 0, &limit, problem) || limit > LIMIT_MAX)
        return problem_set(problem, 400, "value", "expected 0 to %d", LIMIT_MAX);
    replay->rule = (enum rule)rule;
    replay->limit = (int32_t)limit;
    return 1;
}

static int read_subject(const struct desk_what_if *words, struct replay *replay,
                        struct problem *problem)
{
    const struct context *context = replay->context;
    const char *domain;
    if (words->subject == NULL || words->subject[0] == '\0')
        return 1;
    if (words->subject[0] != '@')
        return input_mailbox(context, words->subject, "subject", &replay->subject, problem);
    if (!input_domain(context, words->subject, "subject", &domain, problem))
        return 0;
    replay->subject = arena_printf(context->arena, "@%s", domain);
    return 1;
}

static int read_since(const struct desk_what_if *words, struct replay *replay,
                      struct problem *problem)
{
    const struct context *context = replay->context;
    int64_t kept_ms = context->settings->keep_admitted_ms, for_ms;
    freed_by(zone_free) struct zone *utc = zone_open(NULL);
    const struct zone *zone = words->zone != NULL ? words->zone : utc;
    replay->until_ms = context->now_ms;
    replay->since_ms = context->now_ms - DAY_MS;
    if (words->since != NULL && words->since[0] != '\0') {
        if (settings_duration_read(words->since, &for_ms) && for_ms != UNTIL_LIFTED)
            replay->since_ms = context->now_ms - for_ms;
        else if (!when_read(words->since, zone, context->now_ms, &replay->since_ms))
            return problem_set(problem, 400, "since",
                               "expected a time such as 24h, or " WHEN_FORMS);
    }
    if (replay->since_ms > context->now_ms)
        return problem_set(problem, 400, "since", "expected a moment in the past");
    if (replay->since_ms < context->now_ms - kept_ms)
        return problem_set(problem, 400, "since", "messages that passed are known for %lld hours "
                                                  "(log.keep_admitted): expected no earlier moment",
                           (long long)(kept_ms / HOUR_MS));
    return 1;
}

/* ---- reading ---------------------------------------------------------------------------- */

/* The limit that the mailbox would have: 1 or -1; LIMIT_OFF where nothing would change. */
static int limit_of(const struct replay *replay, const char *mailbox, int32_t *limit_r)
{
    const struct context *context = replay->context;
    const char *at = strrchr(mailbox, '@');
    struct effective_limits limits;
    struct adjustment change = {.rule = replay->rule, .kind = ADJUST_LIMIT,
                                .value = replay->limit, .until_ms = UNTIL_LIFTED};
    size_t changes = replay->subject != NULL;
    *limit_r = LIMIT_OFF;
    if (at == NULL || (replay->subject != NULL && strcmp(replay->subject, at) != 0 &&
                       strcmp(replay->subject, mailbox) != 0))
        return 1;
    if (changes > 0)
        strncat(change.subject, replay->subject, sizeof change.subject - 1);
    if (guard_limits_if(context->desk->guard, CHANNEL_WEBMAIL, mailbox, at + 1, &change, changes,
                        context->now_ms, &limits) < 0)
        return -1;
    bool beaten = replay->subject != NULL && replay->subject[0] == '@' &&
                  limits.source[replay->rule] == LIMIT_OF_MAILBOX;
    if (replay->subject == NULL)
        *limit_r = shadow_limit_of(replay->limit, &limits, CHANNEL_WEBMAIL, replay->rule);
    else if (!beaten)
        *limit_r = limits.limits.of[replay->rule];
    return 1;
}

/* 1; 0 there is no room for it; -1. */
static int see(struct replay *replay, struct arena *arena, const struct record *record)
{
    struct packed_identity identity;
    struct what_if_message message = {.at_ms = record->at_ms, .decision = record->decision};
    int32_t limit;
    if (record->outcome != OUTCOME_ADMITTED || !record->counted ||
        !packing_identity(arena, record, &identity) || identity.exempt ||
        !channel_is_its_users(identity.channel))
        return 1;
    message.used_before = record->of_mailbox[replay->rule - RULE_FIRST_OVER_TIME];
    message.off_domain = identity.off_domain;
    replay->messages++;
    if (!what_if_concerns(replay->what_if, identity.mailbox, replay->limit, &message))
        return 1;
    if (limit_of(replay, identity.mailbox, &limit) < 0)
        return -1;
    int stopped = what_if_see(replay->what_if, identity.mailbox, limit, &message);
    replay->stopped += stopped > 0;
    return stopped >= 0;
}

static int take_passed(void *closure, struct arena *arena, const struct record *record)
{
    struct replay *replay = closure;
    if (record->at_ms < replay->since_ms)
        return 1;
    int seen = see(replay, arena, record);
    if (seen > 0)
        replay->read_until_ms = record->at_ms;
    replay->full = seen == 0;
    return seen;
}

static int read_all(struct replay *replay, int64_t budget_ms)
{
    struct walk walk = {.store = replay->context->desk->store, .now_ms = replay->context->now_ms,
                        .after = decision_floor(replay->since_ms), .look = take_passed,
                        .closure = replay};
    int result = walk_passed(&walk, budget_ms);
    replay->whole = walk.whole && !replay->full;
    return result;
}

/* ---- the view --------------------------------------------------------------------------- */

static void add_mailboxes(struct replay *replay, struct json_object *view)
{
    size_t count;
    const struct what_if_mailbox *const *list = what_if_list(replay->what_if, &count);
    struct json_object *mailboxes = json_add_list(view, "mailboxes");
    json_add_int(view, "mailboxes_total", (int64_t)count);
    json_add_int(view, "mailboxes_beyond",
                 count > MAILBOXES_SHOWN ? (int64_t)count - MAILBOXES_SHOWN : 0);
    for (size_t i = 0; i < count && i < MAILBOXES_SHOWN; i++) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "mailbox", list[i]->mailbox);
        json_add_int(one, "limit", list[i]->limit);
        json_add_int(one, "stopped", (int64_t)list[i]->stopped);
        json_add_moment(one, "first_at", list[i]->first_ms);
        json_add_moment(one, "last_at", list[i]->last_ms);
        json_add_decision(one, "decision", list[i]->first_decision);
        json_object_array_add(mailboxes, one);
    }
}

static struct json_object *view_of(struct replay *replay)
{
    const struct settings *settings = replay->context->settings;
    struct json_object *view = json_object_new_object();
    json_add_moment(view, "now", replay->context->now_ms);
    json_add_string(view, "rule", rule_table[replay->rule].name);
    json_add_int(view, "value", replay->limit);
    json_add_string(view, "subject", replay->subject);
    json_add_moment(view, "since", replay->since_ms);
    json_add_moment(view, "until", replay->whole ? replay->until_ms : replay->read_until_ms);
    json_add_bool(view, "whole", replay->whole);
    json_add_bool(view, "suspends", settings->on_limit[replay->rule - RULE_FIRST_OVER_TIME] ==
                                        ON_LIMIT_SUSPEND);
    json_add_int(view, "messages", (int64_t)replay->messages);
    json_add_int(view, "stopped", (int64_t)replay->stopped);
    add_mailboxes(replay, view);
    return view;
}

/* As walk_passed. */
static int answer(struct replay *replay, int64_t budget_ms, struct json_object **view_r)
{
    replay->what_if = what_if_new(replay->rule);
    replay->read_until_ms = replay->since_ms;
    int result = read_all(replay, budget_ms);
    if (result > 0)
        *view_r = view_of(replay);
    what_if_free(&replay->what_if);
    return result;
}

int desk_what_if(const struct desk *desk, const struct desk_what_if *words, int64_t budget_ms,
                 int64_t now_ms, struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct replay replay = {.context = &context};
    if (!read_rule(words, &replay, problem) || !read_subject(words, &replay, problem) ||
        !read_since(words, &replay, problem))
        return 0;
    int result = answer(&replay, budget_ms, view_r);
    return result != 0 ? result : problem_set(problem, 409, "", WALK_BUSY);
}
