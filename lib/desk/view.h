/* The common shapes of desk.h as JSON. Internal to lib/desk. */
#ifndef SENDGUARD_VIEW_H
#define SENDGUARD_VIEW_H

#include "base/json.h"
#include "desk/forecast.h"
#include "store/audit.h"

/* staff: with `by` and `note`; NULL of none. */
struct json_object *view_suspension(const struct context *context,
                                    const struct suspension *suspension,
                                    bool staff);
/* "suspension", the one that is told, null when none holds, and "suspensions", all, that one first. */
void view_add_suspensions(const struct context *context, const struct suspensions *suspensions,
                          bool staff, struct json_object *view);
struct json_object *view_window(enum rule rule, enum channel channel, int32_t limit,
                                const struct history *history, int64_t at_ms);
struct json_object *view_reason(const struct objection *objection);
/* What is unusual; NULL: nothing is. */
struct json_object *view_unusual(const struct unusual *unusual);
struct json_object *view_next(const struct next *next);
struct json_object *view_action(const struct audit *audit);
/* One row of "limits". */
struct json_object *view_limit(const struct context *context, enum rule rule,
                               enum channel channel,
                               const struct effective_limits *limits);
/* {"name":…,"of":"mailbox"|"domain" that it was given to,"lost":bool (the settings have none of that
 *  name),"until":moment|null}; NULL: none was given. */
struct json_object *view_plan(const struct effective_plan *plan);
/* Enough of an address (or a network that begins with one) to know one's own home by, and no more:
 * /24 or /48. NULL: it is none. In `arena`. */
const char *view_network(struct arena *arena, const char *ip);
int view_percent(uint64_t used, int32_t limit); /* 0..100; limit >= 0 */

#endif
