#include "rules/suspension.h"

#include <string.h>

const char *const cause_names[CAUSE_COUNT] = {"volume", "complaints", "failures", "compromised",
                                              "breached", "terms", "identity", "staff"};

bool suspension_is_own_lock(enum cause cause, const char *by)
{
    return cause == CAUSE_COMPROMISED && strcmp(by, "user") == 0;
}

int64_t suspension_until(const struct durations *durations, uint32_t offence, int64_t now_ms,
                         const struct suspension *replaced)
{
    size_t step = offence > durations->count ? durations->count - 1 : (size_t)offence - 1;
    int64_t duration_ms = durations->ms[step];
    int64_t until_ms = duration_ms == UNTIL_LIFTED ? UNTIL_LIFTED : now_ms + duration_ms;
    return replaced != NULL && replaced->until_ms > until_ms ? replaced->until_ms : until_ms;
}

static bool is_told_before(const struct suspension *one, const struct suspension *other)
{
    if (one->until_ms != other->until_ms) /* UNTIL_LIFTED is later than all */
        return one->until_ms > other->until_ms;
    if (one->since_ms != other->since_ms)
        return one->since_ms < other->since_ms;
    return one->id < other->id;
}

void suspension_clear(struct suspensions *suspensions)
{
    suspensions->count = 0;
    suspensions->of[0].id = 0;
}

const struct suspension *suspension_find(const struct suspensions *suspensions, enum cause cause)
{
    for (size_t i = 0; i < suspensions->count; i++)
        if (suspensions->of[i].cause == cause)
            return &suspensions->of[i];
    return NULL;
}

bool suspension_drop(struct suspensions *suspensions, enum cause cause)
{
    const struct suspension *found = suspension_find(suspensions, cause);
    if (found == NULL)
        return false;
    size_t place = (size_t)(found - suspensions->of);
    suspensions->count--;
    memmove(&suspensions->of[place], &suspensions->of[place + 1],
            (suspensions->count - place) * sizeof *found);
    suspensions->of[suspensions->count].id = 0;
    return true;
}

void suspension_put(struct suspensions *suspensions, const struct suspension *suspension)
{
    const struct suspension put = *suspension; /* it may be one of them */
    suspension_drop(suspensions, put.cause);
    size_t place = suspensions->count++;
    for (; place > 0 && is_told_before(&put, &suspensions->of[place - 1]); place--)
        suspensions->of[place] = suspensions->of[place - 1];
    suspensions->of[place] = put;
}

bool suspension_is_of_lock(enum cause cause)
{
    return cause == CAUSE_COMPROMISED || cause == CAUSE_BREACHED;
}

bool suspension_has_lock(const struct suspensions *suspensions)
{
    return suspension_find(suspensions, CAUSE_COMPROMISED) != NULL ||
           suspension_find(suspensions, CAUSE_BREACHED) != NULL;
}
