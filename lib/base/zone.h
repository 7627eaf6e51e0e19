/* Moments on a clock on somebody's wall. The only place that knows a library of time zones. */
#ifndef SENDGUARD_ZONE_H
#define SENDGUARD_ZONE_H

#include <stdbool.h>

#include "base/base.h"

enum { ZONE_NAME_MAX = 64 };

struct zone;

/* Whether it is a time zone that this machine knows. Never opens a file outside
 * of the zones' folder. */
int zone_exists(const char *name);

/* The zone of that IANA name; UTC when it is NULL or none of this machine's. Never NULL. */
struct zone *zone_open(const char *name);
/* The zone of this machine, in which its programs log. Never NULL. */
struct zone *zone_open_local(void);
void zone_free(struct zone **zone);

/* A moment there: minutes are cut off. `day_number` counts days since some day long ago. */
struct wall_time {
    int year, month, day, weekday, hour, minute; /* month 1..12, weekday 1 Monday .. 7 Sunday */
    int64_t day_number;
};
/* 1; 0: it is not within the years 1 to 9999. */
int zone_wall_time(const struct zone *zone, int64_t time_ms, struct wall_time *time_r) must_check;

/* Reads the time on a clock there, "2026-11-22T14:05" or with seconds; of one that comes twice the first.
 * 1, or 0 when it is none. */
int zone_local_read(const struct zone *zone, const char *text, int64_t *time_ms_r) must_check;

/* Reads RFC 3339 ("2026-11-22T14:05:00Z"). 1, or 0 when it is none. */
int zone_moment_read(const char *text, int64_t *time_ms_r) must_check;

#endif
