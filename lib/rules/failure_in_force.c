#include "rules/failure_in_force.h"

#include "base/packed.h"

enum { MOMENT_BYTES = 6, COUNT_BYTES = 4 };

const char *const failure_in_force_hints[FAILURE_HINT_COUNT] = {
    [FAILURE_HINT_LIST] = "list", [FAILURE_HINT_FORM] = "form",
    [FAILURE_HINT_PASSWORD] = "password"};

void failure_in_force_put(uint8_t bytes_r[FAILURE_IN_FORCE_BYTES],
                          const struct failure_in_force *in_force)
{
    uint8_t *next = packed_put(bytes_r, FAILURE_IN_FORCE_FORMAT, 1);
    next = packed_put(next, (uint64_t)in_force->from_ms, MOMENT_BYTES);
    next = packed_put(next, (uint64_t)in_force->until_ms, MOMENT_BYTES);
    next = packed_put(next, in_force->block, COUNT_BYTES);
    next = packed_put(next, in_force->bad, COUNT_BYTES);
    next = packed_put(next, in_force->all, COUNT_BYTES);
    next = packed_put(next, in_force->messages, COUNT_BYTES);
    packed_put(next, in_force->hint, 1);
}

int failure_in_force_read(const void *bytes, size_t length, struct failure_in_force *in_force_r)
{
    const uint8_t *next = bytes;
    *in_force_r = (struct failure_in_force){0};
    if (length != FAILURE_IN_FORCE_BYTES || packed_get(&next, 1) != FAILURE_IN_FORCE_FORMAT ||
        next[FAILURE_IN_FORCE_BYTES - 2] >= FAILURE_HINT_COUNT)
        return 0;
    in_force_r->from_ms = (int64_t)packed_get(&next, MOMENT_BYTES);
    in_force_r->until_ms = (int64_t)packed_get(&next, MOMENT_BYTES);
    in_force_r->block = (uint32_t)packed_get(&next, COUNT_BYTES);
    in_force_r->bad = (uint32_t)packed_get(&next, COUNT_BYTES);
    in_force_r->all = (uint32_t)packed_get(&next, COUNT_BYTES);
    in_force_r->messages = (uint32_t)packed_get(&next, COUNT_BYTES);
    in_force_r->hint = (enum failure_hint)packed_get(&next, 1);
    return 1;
}
