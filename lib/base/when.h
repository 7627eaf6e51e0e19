/* A moment in the past as a person types it. */
#ifndef SENDGUARD_WHEN_H
#define SENDGUARD_WHEN_H

#include "base/zone.h"

/* What when_read takes, for messages. */
#define WHEN_FORMS \
    "a moment such as 14:00, yesterday 14:00, 2026-11-22 14:00 or 2026-11-22T14:00:00Z"

/* Reads one of these: "HH:MM" or "today HH:MM", "yesterday HH:MM", "YYYY-MM-DD HH:MM" (also with a T
 * between), each in `zone`, or RFC 3339. Nothing else stands around it but blanks; each number has as
 * many digits as here. 1; 0 for other text and for a minute that the zone does not have. */
int when_read(const char *text, const struct zone *zone, int64_t now_ms, int64_t *time_ms_r)
    must_check;

#endif
