#include "desk/forecast.h"

#include <stdlib.h>
#include <string.h>

#include "desk/context.h"
#include "guard/sending_state.h"
#include "rules/history.h"

const char *const state_names[STATE_COUNT] = {"ok", "full", "blocked", "paused", "stopped"};

static int64_t newest_of(const struct history *history)
{
    return history->count > 0 ? history->entries[history->count - 1].time_ms : 0;
}

static int64_t later(int64_t one, int64_t other) { return one > other ? one : other; }

void forecast_settle(const struct context *context, struct forecast *forecast)
{
    int64_t newest_ms =
        later(newest_of(&forecast->account.history), newest_of(&forecast->of_domain));
    forecast->at_ms =
        later(context->now_ms, later(newest_ms, newest_of(&forecast->of_recipient)));
}

const char *forecast_domain_key(const struct context *context, const char *domain)
{
    char *key = arena_alloc(context->arena, DOMAIN_KEY_SIZE);
    history_domain_key(settings_sender_domain(context->settings, domain), key);
    return key;
}

static bool is_limited(const struct forecast *forecast, enum rule rule)
{
    return forecast->limits[CHANNEL_WEBMAIL].limits.of[rule] != LIMIT_OFF ||
           forecast->limits[CHANNEL_SMTP].limits.of[rule] != LIMIT_OFF;
}

bool forecast_counts_domain(const struct forecast *forecast)
{
    return is_limited(forecast, RULE_MESSAGES_PER_HOUR_PER_DOMAIN);
}

/* Only where a limit of the domain or of a recipient looks at it: else nothing is kept. 1 or -1. */
static int read_others(const struct context *context, const char *domain,
                       struct forecast *forecast)
{
    if (forecast->mailbox[0] != '\0' &&
        is_limited(forecast, RULE_MESSAGES_PER_DAY_PER_RECIPIENT) &&
        store_history(context->desk->store, context->arena, SUBJECT_RECIPIENT, forecast->mailbox,
                      context->now_ms, &forecast->of_recipient) < 0)
        return -1;
    if (!forecast_counts_domain(forecast))
        return 1;
    return store_history(context->desk->store, context->arena, SUBJECT_DOMAIN,
                         forecast_domain_key(context, domain), context->now_ms,
                         &forecast->of_domain);
}

int forecast_read(const struct context *context, const char *mailbox, const char *domain,
                  struct forecast *forecast_r)
{
    struct forecast forecast = {.mailbox = mailbox, .domain = domain};
    for (int channel = 0; channel < CHANNEL_COUNT; channel++)
        if (guard_limits(context->desk->guard, (enum channel)channel, mailbox, domain,
                         context->now_ms,
                         &forecast.limits[channel]) < 0)
            return -1;
    if (mailbox[0] != '\0' && store_account(context->desk->store, context->arena, mailbox,
                                            context->now_ms,
                                            &forecast.account) < 0)
        return -1;
    if (!forecast.limits[CHANNEL_WEBMAIL].exempt &&
        failing_block_read(context, mailbox, domain, &forecast.block) < 0)
        return -1;
    if (read_others(context, domain, &forecast) < 0)
        return -1;
    forecast_settle(context, &forecast);
    *forecast_r = forecast;
    return 1;
}

int forecast_read_all(const struct context *context, const char *mailbox, const char *domain,
                      struct forecast *forecast_r)
{
    if (forecast_read(context, mailbox, domain, forecast_r) < 0)
        return -1;
    for (int channel = CHANNEL_WEBMAIL + 1; channel < CHANNEL_COUNT; channel++) {
        char text[HISTORY_NAME_SIZE];
        if (history_is_first(SUBJECT_MAILBOX, (enum channel)channel) &&
            store_history(context->desk->store, context->arena, SUBJECT_MAILBOX,
                          history_name(SUBJECT_MAILBOX, (enum channel)channel, mailbox, text),
                          context->now_ms, &forecast_r->others[channel]) < 0)
            return -1;
    }
    return 1;
}

const struct history *forecast_history(const struct forecast *forecast, enum channel channel)
{
    int first = CHANNEL_WEBMAIL;
    while (first < (int)channel &&
           !history_is_shared(SUBJECT_MAILBOX, (enum channel)first, channel))
        first++;
    return first == CHANNEL_WEBMAIL ? &forecast->account.history : &forecast->others[first];
}

const struct history *forecast_history_of(const struct forecast *forecast, enum rule rule,
                                          enum channel channel)
{
    switch (rule_table[rule].subject) {
    case SUBJECT_DOMAIN: return &forecast->of_domain;
    case SUBJECT_RECIPIENT: return &forecast->of_recipient;
    default: return forecast_history(forecast, channel);
    }
}

bool forecast_names(const struct context *context, const struct forecast *forecast,
                    enum channel channel)
{
    return context_uses(context, channel) || forecast_history(forecast, channel)->count > 0;
}

/* ---- the next message ---------------------------------------------------------------- */

enum { SHORTEST_ADDRESS = 6 }; /* "a@b.de": what one recipient fills of a header at least */

/* The windows of the mailbox and its domain as the next message to one recipient outside meets them.
 * Of recipients none but the one that was sent most to may have no room, unless the limit is 0. */
static size_t windows_of(const struct forecast *forecast,
                         struct outcome_window windows_r[OVER_TIME_COUNT])
{
    size_t count = 0;
    for (int i = RULE_FIRST_OVER_TIME; i < RULE_COUNT; i++) {
        const struct rule_info *rule = &rule_table[i];
        const struct history *history =
            forecast_history_of(forecast, (enum rule)i, CHANNEL_WEBMAIL);
        int32_t limit = forecast->limits[CHANNEL_WEBMAIL].limits.of[i];
        if (rule->subject == SUBJECT_IP || (rule->subject == SUBJECT_RECIPIENT && limit != 0))
            continue;
        struct outcome_window *window = &windows_r[count++];
        *window = (struct outcome_window){
            .rule = (enum rule)i,
            .limit = limit,
            .used_before = window_used(history, rule->measure, rule->window_ms, forecast->at_ms),
            .used_by_channel = window_used_by(history, CHANNEL_WEBMAIL, rule->measure,
                                              rule->window_ms, forecast->at_ms),
        };
        window->over = outcome_window_over(window, 1);
    }
    return count;
}

/* The objections of the rules over time to it, and when there is room. */
static void object_over_time(const struct forecast *forecast, const struct outcome_window *windows,
                             size_t count, struct next *next, int64_t *room_at_ms_r)
{
    int64_t room_at_ms = forecast->at_ms;
    for (const struct outcome_window *window = windows; window < windows + count; window++) {
        const struct rule_info *rule = &rule_table[window->rule];
        if (!window->over)
            continue;
        bool never_fits = !window_fits(0, 1, window->limit);
        enum can_send can_send = sending_state_when_full(window->rule);
        if (can_send > next->can_send)
            next->can_send = can_send;
        next->reasons[next->reason_count++] = (struct objection){
            .rule = window->rule, .field = -1, .limit = (uint32_t)window->limit,
            .count = never_fits ? 1 : (uint32_t)(window->used_before + 1),
            .never_fits = never_fits,
        };
        const struct history *history =
            forecast_history_of(forecast, window->rule, CHANNEL_WEBMAIL);
        int64_t fits_ms = window_when_fits(history, rule->measure, rule->window_ms, window->limit,
                                           1, forecast->at_ms);
        if (fits_ms > room_at_ms)
            room_at_ms = fits_ms; /* WINDOW_NEVER is later than all */
    }
    *room_at_ms_r = room_at_ms == WINDOW_NEVER ? 0 : room_at_ms;
}

static enum state state_of(const struct suspension *suspension, bool blocked, bool full)
{
    if (suspension->id != 0)
        return suspension->until_ms == UNTIL_LIFTED ? STATE_STOPPED : STATE_PAUSED;
    if (blocked)
        return STATE_BLOCKED;
    return full ? STATE_FULL : STATE_OK;
}

/* room_at_ms: 0, not by waiting. */
static int64_t retry_at(const struct suspension *suspension, bool rejected, int64_t block_until_ms,
                        int64_t room_at_ms)
{
    if (suspension->id == 0 && block_until_ms == 0)
        return rejected ? 0 : room_at_ms;
    if (suspension->id != 0 && suspension->until_ms == UNTIL_LIFTED)
        return 0;
    int64_t until_ms = suspension->id != 0 ? suspension->until_ms : 0;
    return later(later(until_ms, block_until_ms), room_at_ms);
}

struct next forecast_next(const struct context *context, const struct forecast *forecast)
{
    struct next next = {.block_until_ms = forecast->block.in_force.until_ms};
    const struct suspension *suspension = &forecast->account.suspensions.of[0];
    struct domain_facts domain = {.recipients = 1, .header_chars = SHORTEST_ADDRESS};
    const struct facts facts = {
        .in_field = {[FIELD_TO] = 1}, .recipients = 1, .off_domain = 1,
        .domains = &domain, .domain_count = 1,
    };
    const struct objection *rejected;
    size_t rejected_count = rules_check(context->arena, &forecast->limits[CHANNEL_WEBMAIL].limits,
                                        &facts,
                                        &rejected);
    int64_t room_at_ms;
    struct outcome_window windows[OVER_TIME_COUNT];
    size_t window_count = windows_of(forecast, windows);
    bool observe = context->settings->guard_mode == MODE_OBSERVE;
    const struct outcome_seen seen = {
        .suspended = suspension->id != 0, .blocked = next.block_until_ms != 0,
        .rejected = rejected_count > 0, .observe = observe, .off_domain = 1,
        .windows = windows, .window_count = window_count,
    };
    for (; next.reason_count < rejected_count; next.reason_count++)
        next.reasons[next.reason_count] = rejected[next.reason_count];
    object_over_time(forecast, windows, window_count, &next, &room_at_ms);
    next.state = state_of(suspension, next.block_until_ms != 0,
                          next.reason_count > rejected_count);
    if (suspension->id != 0 || next.block_until_ms != 0)
        next.can_send = CAN_SEND_NONE;
    if (observe)
        next.can_send = CAN_SEND_ALL;
    next.room_at_ms = next.state == STATE_FULL ? room_at_ms : 0;
    next.refused = !outcome_passes(outcome_decide(&seen).outcome);
    if (next.refused)
        next.retry_at_ms =
            retry_at(suspension, rejected_count > 0, next.block_until_ms, room_at_ms);
    if (rejected_count > 0 && !observe) /* it is told of its own faults alone, as the guard does */
        next.reason_count = rejected_count;
    return next;
}
