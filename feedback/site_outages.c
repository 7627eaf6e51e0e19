#include "feedback/site_outages.h"

#include <string.h>

#include "base/packed.h"

enum { FORMAT = 1 };

static void remove_outage(struct site_outages *outages)
{
    outages->count--;
    memmove(&outages->of[0], &outages->of[1], outages->count * sizeof outages->of[0]);
}

static void remove_blocked(struct site_outages *outages)
{
    outages->blocked_count--;
    memmove(&outages->blocked[0], &outages->blocked[1],
            outages->blocked_count * sizeof outages->blocked[0]);
}

bool site_outages_note(struct site_outages *outages, int64_t at_ms)
{
    int64_t from_ms = at_ms - SITE_REACHES_BACK_MS;
    struct site_outage *last = outages->count > 0 ? &outages->of[outages->count - 1] : NULL;
    if (last != NULL && at_ms < last->until_ms + MINUTE_MS)
        return false;
    if (last != NULL && from_ms <= last->until_ms) {
        last->until_ms = at_ms;
        return true;
    }
    if (outages->count == SITE_OUTAGES_MAX)
        remove_outage(outages);
    outages->of[outages->count++] = (struct site_outage){from_ms, at_ms};
    return true;
}

bool site_outages_cover(const struct site_outages *outages, int64_t at_ms)
{
    for (size_t i = 0; i < outages->count; i++)
        if (at_ms >= outages->of[i].from_ms && at_ms <= outages->of[i].until_ms)
            return true;
    return false;
}

void site_outages_blocked(struct site_outages *outages, const char *key, int64_t since_ms)
{
    if (outages->blocked_count == SITE_BLOCKED_MAX)
        remove_blocked(outages);
    outages->blocked[outages->blocked_count++] = (struct site_blocked){since_ms, key};
}

void site_outages_forget(struct site_outages *outages, int64_t now_ms)
{
    while (outages->count > 0 && outages->of[0].until_ms <= now_ms - RECIPIENT_KEPT_MS)
        remove_outage(outages);
    while (outages->count > 0 && outages->of[outages->count - 1].from_ms > now_ms)
        outages->count--;
    while (outages->blocked_count > 0 &&
           outages->blocked[0].since_ms <= now_ms - SITE_REACHES_BACK_MS)
        remove_blocked(outages);
}

/* ---- the packed form ------------------------------------------------------------------------- */

void site_outages_add(struct text *out, const struct site_outages *outages)
{
    text_add_char(out, FORMAT);
    packed_add_number(out, outages->count);
    for (size_t i = 0; i < outages->count; i++) {
        packed_add_number(out, (uint64_t)outages->of[i].from_ms);
        packed_add_number(out, (uint64_t)(outages->of[i].until_ms - outages->of[i].from_ms));
    }
    packed_add_number(out, outages->blocked_count);
    for (size_t i = 0; i < outages->blocked_count; i++) {
        packed_add_number(out, (uint64_t)outages->blocked[i].since_ms);
        packed_add_string(out, outages->blocked[i].key);
    }
}

static bool read_outages(struct packed_rest *rest, struct site_outages *outages)
{
    outages->count = packed_number(rest);
    if (outages->count > SITE_OUTAGES_MAX)
        return false;
    for (size_t i = 0; i < outages->count; i++) {
        outages->of[i].from_ms = (int64_t)packed_number(rest);
        outages->of[i].until_ms = outages->of[i].from_ms + (int64_t)packed_number(rest);
    }
    return true;
}

static bool read_blocked(struct packed_rest *rest, struct arena *arena,
                         struct site_outages *outages)
{
    outages->blocked_count = packed_number(rest);
    if (outages->blocked_count > SITE_BLOCKED_MAX)
        return false;
    for (size_t i = 0; i < outages->blocked_count; i++) {
        outages->blocked[i].since_ms = (int64_t)packed_number(rest);
        outages->blocked[i].key = packed_string(rest, arena);
        if (outages->blocked[i].key == NULL)
            return false;
    }
    return true;
}

int site_outages_read(const void *bytes, size_t length, struct arena *arena,
                      struct site_outages *outages_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    *outages_r = (struct site_outages){0};
    bool good = packed_fixed(&rest, 1) == FORMAT && read_outages(&rest, outages_r) &&
                read_blocked(&rest, arena, outages_r) && rest.next != NULL &&
                rest.next == rest.end;
    if (!good)
        *outages_r = (struct site_outages){0};
    return good;
}
