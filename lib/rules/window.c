#include "rules/window.h"

uint32_t window_weight(const struct entry *entry, enum measure measure)
{
    return measure == MEASURE_MESSAGES ? 1 : entry->off_domain;
}

/* Index of the oldest entry that still counts. */
static size_t first_inside(const struct history *history, int64_t length_ms, int64_t now_ms)
{
    size_t low = 0, high = history->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (window_holds(history->entries[middle].time_ms, length_ms, now_ms))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

uint64_t window_used(const struct history *history, enum measure measure, int64_t length_ms,
                     int64_t now_ms)
{
    uint64_t used = 0;
    for (size_t i = first_inside(history, length_ms, now_ms); i < history->count; i++)
        used += window_weight(&history->entries[i], measure);
    return used;
}

uint64_t window_used_by(const struct history *history, enum channel channel, enum measure measure,
                        int64_t length_ms, int64_t now_ms)
{
    uint64_t used = 0;
    for (size_t i = first_inside(history, length_ms, now_ms); i < history->count; i++)
        if (history->entries[i].channel == channel)
            used += window_weight(&history->entries[i], measure);
    return used;
}

int64_t window_when_fits(const struct history *history, enum measure measure, int64_t length_ms,
                         int32_t limit, uint64_t cost, int64_t now_ms)
{
    if (limit >= 0 && cost > (uint64_t)limit)
        return WINDOW_NEVER;
    uint64_t used = window_used(history, measure, length_ms, now_ms);
    if (window_fits(used, cost, limit))
        return now_ms;
    for (size_t i = first_inside(history, length_ms, now_ms); i < history->count; i++) {
        used -= window_weight(&history->entries[i], measure);
        if (window_fits(used, cost, limit))
            return history->entries[i].time_ms + length_ms;
    }
    return WINDOW_NEVER; /* not reached: an emptied window holds any cost up to the limit */
}

size_t window_refill(const struct history *history, enum measure measure, int64_t length_ms,
                     int64_t now_ms, struct refill *steps, size_t max)
{
    uint64_t used = window_used(history, measure, length_ms, now_ms), returned = 0;
    size_t moments = 0, first = first_inside(history, length_ms, now_ms), count = 0;
    for (size_t i = first; i < history->count; i++)
        if (window_weight(&history->entries[i], measure) > 0 &&
            (i + 1 == history->count ||
             history->entries[i + 1].time_ms != history->entries[i].time_ms))
            moments++;
    for (size_t i = first; i < history->count; i++) {
        uint64_t weight = window_weight(&history->entries[i], measure);
        int64_t at_ms = history->entries[i].time_ms + length_ms;
        if (weight == 0)
            continue;
        /* a step is full when it has brought its share of the whole */
        int same_moment = count > 0 && steps[count - 1].at_ms == at_ms;
        int step_is_full = moments <= max || returned * max >= used * count;
        if (count > 0 && (same_moment || !step_is_full || count == max)) {
            steps[count - 1].at_ms = at_ms;
            steps[count - 1].count += weight;
        } else {
            steps[count++] = (struct refill){.at_ms = at_ms, .count = weight};
        }
        returned += weight;
    }
    return count;
}
