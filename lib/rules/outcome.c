#include "rules/outcome.h"

#include <string.h>

#include "base/names.h"

const char *const outcome_names[OUTCOME_COUNT] = {
    [OUTCOME_ADMITTED] = "admitted", [OUTCOME_REPEATED] = "repeated",
    [OUTCOME_REJECTED] = "rejected", [OUTCOME_OVER] = "over",
    [OUTCOME_SUSPENDED] = "suspended", [OUTCOME_REDEEMED] = "redeemed",
    [OUTCOME_BLOCKED] = "blocked", [OUTCOME_UNUSUAL] = "unusual",
};

int outcome_by_name(const char *name)
{
    if (strcmp(name, "held") == 0) /* so before version 0.2 */
        return OUTCOME_REJECTED;
    return names_find(outcome_names, OUTCOME_COUNT, name);
}

bool outcome_passes(enum outcome outcome)
{
    return outcome == OUTCOME_ADMITTED || outcome == OUTCOME_REPEATED ||
           outcome == OUTCOME_REDEEMED;
}

uint32_t outcome_cost(enum rule rule, uint32_t off_domain)
{
    return window_weight(&(struct entry){.off_domain = off_domain}, rule_table[rule].measure);
}

bool outcome_window_over(const struct outcome_window *window, uint32_t off_domain)
{
    return !window_fits(window->used_before, outcome_cost(window->rule, off_domain),
                        window->limit);
}

/* A message that is more than the whole limit suspends nobody: its sender did not send too much,
 * but wants to. Nor does one that would fit beside what came by its own channel: each channel has a
 * limit of its own for the sum of both. */
static bool is_suspending(const struct outcome_seen *seen, const struct outcome_window *window)
{
    uint32_t cost = outcome_cost(window->rule, seen->off_domain);
    return window->over && window->suspends && window_fits(0, cost, window->limit) &&
           !window_fits(window->used_by_channel, cost, window->limit);
}

static int suspending_window(const struct outcome_seen *seen)
{
    for (size_t i = 0; i < seen->window_count; i++)
        if (is_suspending(seen, &seen->windows[i]))
            return (int)i;
    return -1;
}

static int window_over(const struct outcome_seen *seen)
{
    for (size_t i = 0; i < seen->window_count; i++)
        if (seen->windows[i].over)
            return (int)i;
    return -1;
}

bool outcome_wants_ticket(const struct outcome_seen *seen)
{
    return !seen->counted_before && (!seen->suspended || seen->observe);
}

/* The steps, in order: the first that applies is the outcome. */
static struct outcome_judged decide(const struct outcome_seen *seen)
{
    struct outcome_judged judged = {.outcome = OUTCOME_ADMITTED, .window = -1};
    if (seen->counted_before) {
        judged.outcome = OUTCOME_REPEATED;
    } else if (seen->ticket && outcome_wants_ticket(seen)) {
        judged.outcome = OUTCOME_REDEEMED;
    } else if (seen->observe) {
        judged.outcome = OUTCOME_ADMITTED;
    } else if (seen->suspended) {
        judged.outcome = OUTCOME_SUSPENDED;
    } else if (seen->blocked) {
        judged.outcome = OUTCOME_BLOCKED;
    } else if (seen->rejected) {
        judged.outcome = OUTCOME_REJECTED;
    } else if ((judged.window = suspending_window(seen)) >= 0) {
        judged.outcome = OUTCOME_SUSPENDED;
        judged.brought = true;
    } else if ((judged.window = window_over(seen)) >= 0) {
        judged.outcome = OUTCOME_OVER;
    } else if (seen->deferred) {
        judged.outcome = OUTCOME_UNUSUAL;
    }
    return judged;
}

struct outcome_judged outcome_decide(const struct outcome_seen *seen)
{
    struct outcome_judged judged = decide(seen);
    bool effects = !seen->dry_run;
    judged.suspends = effects && judged.brought;
    judged.attempt = effects && judged.outcome == OUTCOME_SUSPENDED && !judged.brought &&
                     !seen->no_attempt;
    judged.redeems = effects && judged.outcome == OUTCOME_REDEEMED;
    judged.counts = effects && judged.outcome == OUTCOME_ADMITTED;
    return judged;
}
