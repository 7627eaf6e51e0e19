/* Exact rolling windows. A message admitted at t counts in every instant of
 * [t, t+length) and not at t+length: no calendar days, no decay, no bursts.
 * Pure arithmetic over a history; `now_ms` is a parameter. The stores keep
 * running totals to answer the common case without reading a history; these
 * functions are what those totals must equal, and they answer what totals
 * cannot: when a message would fit, and what comes back when. */
#ifndef SENDGUARD_WINDOW_H
#define SENDGUARD_WINDOW_H

#include "base/base.h"
#include "message/channel.h"

/* One counted message. */
struct entry {
    int64_t time_ms;     /* ms since 1970 */
    uint32_t off_domain; /* its off-domain recipients */
    enum channel channel; /* it came in by; CHANNEL_WEBMAIL where earlier versions kept none */
};

/* A history: entries in order of time, the oldest first. */
struct history {
    struct entry *entries;
    size_t count;
};

enum measure { MEASURE_MESSAGES, MEASURE_OFF_DOMAIN };

/* What one entry weighs: 1, or its off-domain recipients. */
uint32_t window_weight(const struct entry *entry, enum measure measure);

/* Whether an entry of `time_ms` still counts at `now_ms`. */
static inline int window_holds(int64_t time_ms, int64_t length_ms, int64_t now_ms)
{
    return time_ms > now_ms - length_ms;
}

/* The count of the window that ends at now_ms. Entries later than now_ms count too. */
uint64_t window_used(const struct history *history, enum measure measure, int64_t length_ms,
                     int64_t now_ms);

/* How much of it came by `channel`. */
uint64_t window_used_by(const struct history *history, enum channel channel, enum measure measure,
                        int64_t length_ms, int64_t now_ms);

/* Whether `cost` more fits beside `used`; limit < 0 is off and fits everything. */
static inline int window_fits(uint64_t used, uint64_t cost, int32_t limit)
{
    return limit < 0 || used + cost <= (uint64_t)limit;
}

#define WINDOW_NEVER INT64_MAX
/* The first moment, now_ms or later, at which `cost` fits if nothing else is
 * counted meanwhile; WINDOW_NEVER when it is more than the limit by itself. */
int64_t window_when_fits(const struct history *history, enum measure measure, int64_t length_ms,
                         int32_t limit, uint64_t cost, int64_t now_ms);

/* One step of a forecast: by `at_ms`, `count` more than by the step before has come back. */
struct refill {
    int64_t at_ms;
    uint64_t count;
};

/* What comes back when, in order of time. At most `max` (>= 1) steps: more
 * entries than that are gathered in steps of about equal count, each named by
 * its last moment, so no step promises too early. The counts add up to the
 * window's used. Returns the number of steps. */
size_t window_refill(const struct history *history, enum measure measure, int64_t length_ms,
                     int64_t now_ms, struct refill *steps, size_t max);

#endif
