#include "desk/desk_unpause.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "guard/guard.h"
#include "store/adjustments.h"
#include "store/kept.h"

enum { ATTEMPTS = 20 };

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

/* The one pause that its user ends is kept with its id and when that began, so that who comes after
 * a kill between the steps goes on, and another pause within 30 days is left alone. */
#define CLAIM "unpause:%s" /* the mailbox */
#define CLAIM_MS MINUTE_MS /* who has begun it is dead by then */

enum claimed { CLAIM_FREE, CLAIM_LEFT, CLAIM_TAKEN }; /* left: of this pause, by one that is dead */

static const char *claim_text(const struct context *context, const struct suspension *pause)
{
    return arena_printf(context->arena, "%" PRId64 " %" PRId64, pause->id, context->now_ms);
}

/* *before_r: what is kept, where it is left. 1 or -1. */
static int read_claim(const struct context *context, const char *mailbox,
                      const struct suspension *pause, enum claimed *claimed_r,
                      const char **before_r)
{
    struct kept kept;
    int64_t id, begun_ms;
    int found = store_kept(context->desk->store, context->arena, KEPT_TRIES,
                           arena_printf(context->arena, CLAIM, mailbox), context->now_ms, &kept);
    if (found < 0)
        return -1;
    bool of_this = found > 0 &&
                   sscanf(kept.value, "%" SCNd64 " %" SCNd64, &id, &begun_ms) == 2 &&
                   id == pause->id;
    *claimed_r = found == 0                                                  ? CLAIM_FREE
                 : of_this && !window_holds(begun_ms, CLAIM_MS, context->now_ms) ? CLAIM_LEFT
                                                                             : CLAIM_TAKEN;
    *before_r = of_this ? kept.value : NULL;
    return 1;
}

/* The first for volume in 30 days, which a limit brought, and no other beside it. 1, 0 or -1. */
static int may_end(const struct context *context, const char *mailbox,
                   const struct suspensions *suspensions, enum claimed *claimed_r,
                   const char **before_r)
{
    const struct suspension *only = &suspensions->of[0];
    if (context->settings->unpause_messages == LIMIT_OFF || suspensions->count != 1 ||
        only->cause != CAUSE_VOLUME || only->offence != 1 ||
        strcmp(only->by, SUSPENSION_BY_GUARD) != 0)
        return 0;
    if (read_claim(context, mailbox, only, claimed_r, before_r) < 0)
        return -1;
    return *claimed_r == CLAIM_LEFT ||
           (*claimed_r == CLAIM_FREE && !has_extra(context, mailbox));
}

int desk_unpause_add(const struct context *context, const char *mailbox,
                     const struct suspensions *suspensions, struct json_object *view)
{
    enum claimed claimed;
    const char *before;
    int may = may_end(context, mailbox, suspensions, &claimed, &before);
    if (may < 0)
        return -1;
    json_add_bool(view, "can_unpause", may > 0);
    json_add_int(view, "unpause_messages",
                 context->settings->unpause_messages == LIMIT_OFF
                     ? 0
                     : context->settings->unpause_messages);
    return 1;
}

/* value: "", it is used up. */
static struct kept claim_of(const struct context *context, const char *mailbox, const char *value)
{
    return (struct kept){.key = arena_printf(context->arena, CLAIM, mailbox), .value = value,
                         .until_ms = context->now_ms + OFFENCES_REMEMBERED_MS};
}

/* 1 it is this one's; 0 another one was first, or had it within 30 days; -1. */
static int claim(const struct context *context, const char *mailbox,
                 const struct suspensions *suspensions)
{
    enum claimed claimed;
    const char *before;
    int may = may_end(context, mailbox, suspensions, &claimed, &before);
    if (may < 1)
        return may;
    struct store *store = context->desk->store;
    const struct kept kept = claim_of(context, mailbox,
                                      claim_text(context, &suspensions->of[0]));
    return claimed == CLAIM_LEFT
               ? store_keep_over(store, KEPT_TRIES, &kept, before, context->now_ms, NULL)
               : store_keep_new(store, KEPT_TRIES, &kept, context->now_ms, NULL);
}

/* Who undoes the lift puts the same pause back, and that is not for its user to end. 1 or -1. */
static int lift(const struct context *context, const char *mailbox, const struct action *action)
{
    struct store *store = context->desk->store;
    const struct kept used_up = claim_of(context, mailbox, "");
    return store_lift(store, mailbox, CAUSE_VOLUME, action) < 0
               ? -1
               : store_keep(store, KEPT_TRIES, &used_up, context->now_ms, NULL);
}

/* The counts stay, so there is no room but what is added, and added before the pause ends. What staff
 * adds meanwhile is room as well. 1 or -1. */
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
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int64_t newest;
        if (guard_renew_limits(context->desk->guard, &newest) < 0)
            return -1;
        if (has_extra(context, mailbox))
            return 1;
        int added = store_adjust_after(context->desk->store, changes, countof(changes), newest,
                                       action);
        if (added != 0)
            return added;
    }
    return -1;
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
    int result = claim(&context, mailbox, &account.suspensions);
    if (result == 0)
        return problem_set(problem, 409, "mailbox", "there is no pause that its user may end");
    if (result > 0)
        result = add_room(&context, mailbox, &action);
    if (result > 0)
        result = lift(&context, mailbox, &action);
    guard_outdate_limits(desk->guard);
    return result < 0 ? -1 : 1;
}
