#include "rules/identity.h"

#include <string.h>

#include "base/packed.h"

enum { FORMAT = 1, MOMENT_BYTES = 6, ENTRY_BYTES = MOMENT_BYTES + 8 };

/* ---- whose address it is -------------------------------------------------------------------- */

/* A local part in quotation marks has no tag: what is cut off it would be half of a word. */
static const char *without_tag(struct arena *arena, const char *address, const char *at)
{
    const char *plus = memchr(address, '+', (size_t)(at - address));
    if (plus == NULL || plus == address || address[0] == '"')
        return NULL;
    return arena_printf(arena, "%.*s%s", (int)(plus - address), address, at);
}

struct identity_keys identity_keys(struct arena *arena, const char *address)
{
    const char *at = strrchr(address, '@');
    const char *untagged = without_tag(arena, address, at);
    struct identity_keys keys = {.count = 1, .of = {address}};
    if (untagged != NULL)
        keys.of[keys.count++] = untagged;
    keys.of[keys.count++] = at;
    return keys;
}

/* Where the mailbox may not write as it. */
static enum identity why_not(const char *domain, const struct identity_world *world)
{
    bool one_label = strchr(domain, '.') == NULL && domain[0] != '[';
    if (world->is_hosted(world->context, domain))
        return IDENTITY_NOT_YOURS;
    return one_label || world->is_unroutable(world->context, domain) ? IDENTITY_UNROUTABLE
                                                                     : IDENTITY_FOREIGN;
}

enum identity identity_judge(struct arena *arena, const char *mailbox, const char *address,
                             const struct identity_world *world)
{
    bool silent = false;
    const struct identity_keys keys = identity_keys(arena, address);
    for (size_t i = 0; i < keys.count; i++)
        if (strcmp(keys.of[i], mailbox) == 0)
            return IDENTITY_OK;
    for (size_t i = 0; i < keys.count; i++) {
        int may = world->may(world->context, keys.of[i]);
        if (may > 0)
            return IDENTITY_OK;
        silent = silent || may < 0;
    }
    return silent ? IDENTITY_UNKNOWN : why_not(keys.of[keys.count - 1] + 1, world);
}

/* ---- messages with a foreign From ------------------------------------------------------------ */

static bool is_same(uint64_t one, uint64_t other)
{
    return (uint32_t)one == (uint32_t)other || one >> 32 == other >> 32;
}

static void forget(struct identity_messages *messages, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < messages->count; i++)
        if (now_ms < messages->of[i].at_ms + IDENTITY_MS &&
            messages->of[i].at_ms <= now_ms + HOUR_MS)
            messages->of[kept++] = messages->of[i];
    messages->count = kept;
}

enum identity_taken identity_take(struct identity_messages *messages, uint64_t attempt,
                                  int64_t now_ms)
{
    forget(messages, now_ms);
    for (size_t i = 0; i < messages->count; i++)
        if (is_same(messages->of[i].attempt, attempt))
            return IDENTITY_KNOWN;
    if (messages->count == countof(messages->of)) {
        messages->count = 0;
        return IDENTITY_SUSPENDS;
    }
    messages->of[messages->count++] = (struct identity_message){now_ms, attempt};
    return IDENTITY_TAKEN;
}

void identity_add(struct text *out, const struct identity_messages *messages)
{
    packed_add_fixed(out, FORMAT, 1);
    for (size_t i = 0; i < messages->count; i++) {
        packed_add_fixed(out, (uint64_t)messages->of[i].at_ms, MOMENT_BYTES);
        packed_add_fixed(out, messages->of[i].attempt, 8);
    }
}

int identity_read(const void *bytes, size_t length, struct identity_messages *messages_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    size_t count = length > 0 ? (length - 1) / ENTRY_BYTES : 0;
    *messages_r = (struct identity_messages){0};
    if (packed_fixed(&rest, 1) != FORMAT || length != 1 + count * ENTRY_BYTES ||
        count > countof(messages_r->of))
        return 0;
    messages_r->count = count;
    for (size_t i = 0; i < count; i++) {
        messages_r->of[i].at_ms = (int64_t)packed_fixed(&rest, MOMENT_BYTES);
        messages_r->of[i].attempt = packed_fixed(&rest, 8);
    }
    return 1;
}
