#include "desk/context.h"

#include "rules/history.h"

struct context context_begin(const struct desk *desk, int64_t now_ms)
{
    struct snapshot *snapshot = guard_snapshot(desk->guard);
    return (struct context){desk, snapshot, snapshot_settings(snapshot), arena_new(), now_ms};
}

void context_end(struct context *context)
{
    snapshot_release(&context->snapshot);
    arena_free(&context->arena);
}

bool context_uses(const struct context *context, enum channel channel)
{
    return channel != CHANNEL_FORWARDING || context->settings->mta_forwarding_networks.count > 0;
}
