#include "rules/unusual.h"

#include "base/packed.h"

const char *const unusual_action_names[UNUSUAL_ACTIONS] = {
    [UNUSUAL_NOTE] = "note", [UNUSUAL_DEFER] = "defer", [UNUSUAL_HOLD] = "hold"};

bool unusual_decide(const struct unusual *seen)
{
    const struct unusual_limits *limits = &seen->limits;
    return seen->new_recipients > limits->new_recipients &&
           seen->new_recipients > limits->factor * seen->busiest &&
           (seen->network_new || unusual_has_domains(seen) || unusual_has_no_history(seen));
}

void unusual_put_limits(uint8_t bytes_r[UNUSUAL_LIMITS_BYTES], const struct unusual_limits *limits)
{
    uint8_t *next = packed_put(bytes_r, limits->new_recipients, 2);
    next = packed_put(next, limits->factor, 1);
    packed_put(next, limits->new_domains, 2);
}

void unusual_put(uint8_t bytes_r[UNUSUAL_BYTES], const struct unusual *unusual)
{
    uint8_t *next = packed_put(bytes_r, unusual->new_recipients, 2);
    next = packed_put(next, unusual->new_domains, 2);
    next = packed_put(next, unusual->busiest, 2);
    next = packed_put(next, unusual->history_days, 1);
    next = packed_put(next, (unusual->network_new ? UNUSUAL_NETWORK_NEW : 0u) |
                                (unusual->first ? UNUSUAL_FIRST : 0u) |
                                UNUSUAL_BY_ACTION * (unsigned)unusual->action, 1);
    unusual_put_limits(next, &unusual->limits);
}

void unusual_get(const uint8_t bytes[UNUSUAL_BYTES], struct unusual *unusual_r)
{
    const uint8_t *next = bytes;
    unusual_r->new_recipients = (uint32_t)packed_get(&next, 2);
    unusual_r->new_domains = (uint32_t)packed_get(&next, 2);
    unusual_r->busiest = (uint32_t)packed_get(&next, 2);
    unusual_r->history_days = (uint32_t)packed_get(&next, 1);
    uint64_t flags = packed_get(&next, 1);
    unusual_r->network_new = (flags & UNUSUAL_NETWORK_NEW) != 0;
    unusual_r->first = (flags & UNUSUAL_FIRST) != 0;
    uint64_t action = flags / UNUSUAL_BY_ACTION;
    unusual_r->action = action < UNUSUAL_ACTIONS ? (enum unusual_action)action : UNUSUAL_NOTE;
    unusual_r->limits.new_recipients = (uint32_t)packed_get(&next, 2);
    unusual_r->limits.factor = (uint32_t)packed_get(&next, 1);
    unusual_r->limits.new_domains = (uint32_t)packed_get(&next, 2);
}
