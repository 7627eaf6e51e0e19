#include "desk/desk_unpause.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "guard/guard.h"
#include "store/adjustments.h"
#include "store/kept.h"

static const enum rule rules[] = {RULE_MESSAGES_PER_DAY, RULE_OFF_DOMAIN_PER_DAY};

/* What staff added already is staff's to judge: nothing is put in its place. */
static bool has_extra(const struct context *context, const char *mailbox)
{
    struct adjustment unimportant;
    for (size_t i = 0; i < countof(rules); i++)
        if (guard_adjustment(context->desk->guard, mailbox, rules[i], ADJUST_EXTRA, context->now_ms,
                             &unimportant) != 0)
            return true;
    return false;
}

/* The first for volume in 30 days, which a limit brought, and no other beside it. */
static bool may_end(const struct context *context, const char *mailbox,
                    const struct suspensions *suspensions)
{
    const struct suspension *only = &suspensions->of[0];
    return context->settings->unpause_messages != LIMIT_OFF && suspensions->count == 1 &&
           only->cause == CAUSE_VOLUME && only->offence == 1 &&
           strcmp(only->by, SUSPENSION_BY_GUARD) == 0 && !has_extra(context, mailbox);
}

void desk_unpause_add(const struct context *context, const char *mailbox,
                      const struct suspensions *suspensions, struct json_object *view)
{
    json_add_bool(view, "can_unpause", may_end(context, mailbox, suspensions));
    json_add_int(view, "unpause_messages",
                 context->settings->unpause_messages == LIMIT_OFF
                     ? 0
                     : context->settings->unpause_messages);
}

/* 1 it is this one's; 0 another one had it within 30 days; -1. */
static int claim(const struct context *context, const char *mailbox)
{
    freed_by(free_string) char *tries = xasprintf("unpause:%s", mailbox);
    uint32_t count;
    int64_t free_at_ms;
    return store_try(context->desk->store, tries, context->now_ms, OFFENCES_REMEMBERED_MS, 1, &count,
                     &free_at_ms);
}

/* The counts stay, so there is no room but what is added, and added before the pause ends. */
static int add_room(const struct context *context, const char *mailbox,
                    const struct action *action)
{
    struct adjustment changes[countof(rules)] = {0};
    for (size_t i = 0; i < countof(rules); i++) {
        changes[i] = (struct adjustment){.rule = rules[i], .kind = ADJUST_EXTRA,
                                         .value = context->settings->unpause_messages,
                                         .until_ms = context->now_ms + DAY_MS};
        snprintf(changes[i].subject, sizeof changes[i].subject, "%s", mailbox);
    }
    return store_adjust_after(context->desk->store, changes, countof(changes), INT64_MAX, action);
}

int desk_unpause(const struct desk *desk, const char *mailbox, int64_t now_ms,
                 struct problem *problem)
{
    const struct action action = {now_ms, "user", "The user ends the first pause on the status page."};
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct account account;
    int64_t unimportant;
    if (guard_renew_limits(desk->guard, &unimportant) < 0 ||
        store_account(desk->store, context.arena, mailbox, now_ms, &account) < 0)
        return -1;
    int result = may_end(&context, mailbox, &account.suspensions) ? claim(&context, mailbox) : 0;
    if (result == 0)
        return problem_set(problem, 409, "mailbox", "there is no pause that its user may end");
    if (result > 0)
        result = add_room(&context, mailbox, &action);
    if (result > 0)
        result = store_lift(desk->store, mailbox, CAUSE_VOLUME, &action);
    guard_outdate_limits(desk->guard);
    return result < 0 ? -1 : 1;
}
