#include "suspension.h"

const char *const cause_names[CAUSE_COUNT] = {"volume", "complaints", "failures",
                                              "compromised", "terms", "staff"};

int64_t suspension_until(const struct durations *durations, uint32_t offence, int64_t now_ms)
{
    size_t step = offence > durations->count ? durations->count - 1 : (size_t)offence - 1;
    int64_t duration_ms = durations->ms[step];
    return duration_ms == UNTIL_LIFTED ? UNTIL_LIFTED : now_ms + duration_ms;
}
