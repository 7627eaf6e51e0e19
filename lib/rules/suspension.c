#include "rules/suspension.h"

#include <string.h>

const char *const cause_names[CAUSE_COUNT] = {"volume", "complaints", "failures",
                                              "compromised", "terms", "staff"};

bool suspension_is_own_lock(enum cause cause, const char *by)
{
    return cause == CAUSE_COMPROMISED && strcmp(by, "user") == 0;
}

int64_t suspension_until(const struct durations *durations, uint32_t offence, int64_t now_ms)
{
    size_t step = offence > durations->count ? durations->count - 1 : (size_t)offence - 1;
    int64_t duration_ms = durations->ms[step];
    return duration_ms == UNTIL_LIFTED ? UNTIL_LIFTED : now_ms + duration_ms;
}
