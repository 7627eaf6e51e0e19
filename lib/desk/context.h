/* The request context of a view or an action: the settings of its moment, and memory for as long
 * as it takes. Internal to lib/desk. */
#ifndef SENDGUARD_CONTEXT_H
#define SENDGUARD_CONTEXT_H

#include "desk/desk.h"

/* One view under way: the settings of its moment, and memory for as long as it takes. */
struct context {
    const struct desk *desk;
    struct snapshot *snapshot;
    const struct settings *settings;
    struct arena *arena;
    int64_t now_ms;
};
struct context context_begin(const struct desk *desk, int64_t now_ms);
void context_end(struct context *context); /* for freed_by */

/* Whether messages come in through the channel: by forwarding only from configured networks. */
bool context_uses(const struct context *context, enum channel channel);

#endif
