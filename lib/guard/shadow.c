#include "guard/shadow.h"

int32_t shadow_limit(const struct settings *settings, const struct effective_limits *limits,
                     enum channel channel, enum rule rule)
{
    return shadow_limit_of(settings->shadow.of[rule], limits, channel, rule);
}

int32_t shadow_limit_of(int32_t limit, const struct effective_limits *limits, enum channel channel,
                        enum rule rule)
{
    if (limit == LIMIT_OFF || limits->exempt || !channel_is_its_users(channel) ||
        limits->source[rule] != LIMIT_OF_SETTINGS)
        return LIMIT_OFF;
    int64_t sum = (int64_t)limit + limits->extra[rule];
    return sum > LIMIT_MAX ? LIMIT_MAX : sum < 0 ? 0 : (int32_t)sum;
}
