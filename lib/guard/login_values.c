#include "guard/login_values.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/packed.h"

#define NEWEST "newest" /* no key of a step: those are digits */
#define CLOSED "closed" /* too */
enum { NUMBER_BYTES = 8, MOMENT_BYTES = 8, NEWEST_BYTES = NUMBER_BYTES + 2 * MOMENT_BYTES };
enum { ID_BYTES = 8, TOLD_BYTES = 1 + ID_BYTES };

static const char *key_of(struct arena *arena, uint64_t number)
{
    return arena_printf(arena, "%016" PRIx64, number);
}

struct value login_values_of(struct arena *arena, enum value_kind kind, uint64_t id)
{
    return (struct value){.kind = kind, .key = key_of(arena, id)};
}

void login_values_mailbox(const struct value *value, struct login_mailbox *mailbox_r)
{
    *mailbox_r = (struct login_mailbox){0};
    if (value->length > 0 && login_mailbox_read(value->bytes, value->length, mailbox_r) == 0)
        *mailbox_r = (struct login_mailbox){0};
}

void login_values_network(const struct value *value, struct login_network *network_r)
{
    *network_r = (struct login_network){0};
    if (value->length > 0 && login_network_read(value->bytes, value->length, network_r) == 0)
        *network_r = (struct login_network){0};
}

static struct value_change change_of(struct arena *arena, const struct value *before,
                                     const struct text *packed, int64_t ends_ms, int64_t now_ms)
{
    struct value_change change = {
        .value = {.kind = before->kind, .key = before->key, .until_ms = ends_ms},
        .replaces = before->version};
    if (ends_ms > now_ms) {
        change.value.bytes = arena_strndup(arena, packed->data, packed->length);
        change.value.length = packed->length;
    }
    return change;
}

struct value_change login_values_mailbox_change(struct arena *arena, const struct value *before,
                                                const struct login_mailbox *after,
                                                int64_t now_ms)
{
    freed_by(text_free) struct text packed = {0};
    login_mailbox_add(&packed, after);
    return change_of(arena, before, &packed, login_mailbox_ends(after), now_ms);
}

struct value_change login_values_network_change(struct arena *arena, const struct value *before,
                                                const struct login_network *after,
                                                int64_t now_ms)
{
    freed_by(text_free) struct text packed = {0};
    login_network_add(&packed, after);
    return change_of(arena, before, &packed, login_network_ends(after), now_ms);
}

/* ---- steps ----------------------------------------------------------------------------------- */

struct value login_values_newest(void)
{
    return (struct value){.kind = VALUE_LOGIN_NEWS, .key = NEWEST};
}

int64_t login_values_number(const struct value *newest)
{
    struct packed_rest rest = {newest->bytes, (const uint8_t *)newest->bytes + newest->length};
    return newest->length > 0 ? (int64_t)packed_fixed(&rest, NUMBER_BYTES) : 0;
}

int64_t login_values_since(const struct value *newest, int64_t now_ms)
{
    const uint8_t *next = (const uint8_t *)newest->bytes + NUMBER_BYTES;
    if (newest->length < NEWEST_BYTES)
        return 0;
    int64_t since_ms = (int64_t)packed_get(&next, MOMENT_BYTES);
    int64_t last_ms = (int64_t)packed_get(&next, MOMENT_BYTES);
    return now_ms - last_ms < LOGIN_VALUES_GAP_MS ? since_ms : 0;
}

/* In `arena`. */
static const uint8_t *newest_of(struct arena *arena, const struct value *before, int64_t now_ms)
{
    int64_t since_ms = login_values_since(before, now_ms);
    uint8_t *bytes = arena_alloc(arena, NEWEST_BYTES);
    uint8_t *next = packed_put(bytes, (uint64_t)login_values_number(before) + 1, NUMBER_BYTES);
    next = packed_put(next, (uint64_t)(since_ms != 0 ? since_ms : now_ms), MOMENT_BYTES);
    packed_put(next, (uint64_t)now_ms, MOMENT_BYTES);
    return bytes;
}

struct value login_values_step(struct arena *arena, int64_t number)
{
    return (struct value){.kind = VALUE_LOGIN_NEWS, .key = key_of(arena, (uint64_t)number)};
}

void login_values_tell(struct arena *arena, const struct value *newest,
                       struct value_change *changes, size_t count, int64_t now_ms)
{
    int64_t number = login_values_number(newest) + 1;
    uint8_t *told = arena_alloc(arena, count * TOLD_BYTES + 1), *next = told;
    for (size_t i = 0; i < count; i++) {
        next = packed_put(next, changes[i].value.kind == VALUE_LOGIN_NETWORK, 1);
        next = packed_put(next, strtoull(changes[i].value.key, NULL, 16), ID_BYTES);
    }
    changes[count] = (struct value_change){.value = *newest, .replaces = newest->version};
    changes[count].value.bytes = newest_of(arena, newest, now_ms);
    changes[count].value.length = NEWEST_BYTES;
    changes[count].value.until_ms = UNTIL_LIFTED;
    changes[count + 1] = (struct value_change){.value = login_values_step(arena, number),
                                               .replaces = VALUE_ANY};
    changes[count + 1].value.bytes = told;
    changes[count + 1].value.length = (size_t)(next - told);
    changes[count + 1].value.until_ms = now_ms + LOGIN_VALUES_TOLD_MS;
}

size_t login_values_told(struct arena *arena, const struct value *step, struct value **values_r)
{
    struct packed_rest rest = {step->bytes, (const uint8_t *)step->bytes + step->length};
    size_t count = step->length / TOLD_BYTES;
    struct value *values = arena_alloc(arena, (count + 1) * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        bool is_network = packed_fixed(&rest, 1) != 0;
        values[i] = login_values_of(arena, is_network ? VALUE_LOGIN_NETWORK : VALUE_LOGINS,
                                    packed_fixed(&rest, ID_BYTES));
    }
    *values_r = values;
    return count;
}

/* ---- what is closed ------------------------------------------------------------------------------ */

enum { CLOSED_BYTES = 1 + ID_BYTES + MOMENT_BYTES };

struct value login_values_closed(void)
{
    return (struct value){.kind = VALUE_LOGIN_NEWS, .key = CLOSED};
}

size_t login_values_closed_read(struct arena *arena, const struct value *value, int64_t now_ms,
                                struct login_closed **closed_r)
{
    struct packed_rest rest = {value->bytes, (const uint8_t *)value->bytes + value->length};
    size_t count = value->length / CLOSED_BYTES, kept = 0;
    *closed_r = arena_alloc(arena, (count + 1) * sizeof **closed_r);
    for (size_t i = 0; i < count; i++) {
        struct login_closed one = {.is_network = packed_fixed(&rest, 1) != 0};
        one.id = packed_fixed(&rest, ID_BYTES);
        one.until_ms = (int64_t)packed_fixed(&rest, MOMENT_BYTES);
        if (one.until_ms > now_ms)
            (*closed_r)[kept++] = one;
    }
    return kept;
}

static bool is_among(const struct login_closed *all, size_t count, const struct login_closed *one)
{
    for (size_t i = 0; i < count; i++)
        if (all[i].id == one->id && all[i].is_network == one->is_network)
            return true;
    return false;
}

static void put_closed(struct text *out, const struct login_closed *one, int64_t now_ms,
                       int64_t *last_ms)
{
    if (one->until_ms <= now_ms)
        return;
    packed_add_fixed(out, one->is_network, 1);
    packed_add_fixed(out, one->id, ID_BYTES);
    packed_add_fixed(out, (uint64_t)one->until_ms, MOMENT_BYTES);
    *last_ms = one->until_ms > *last_ms ? one->until_ms : *last_ms;
}

struct value_change login_values_closed_change(struct arena *arena, const struct value *before,
                                               const struct login_closed *changed, size_t count,
                                               int64_t now_ms)
{
    freed_by(text_free) struct text packed = {0};
    struct login_closed *old;
    size_t old_count = login_values_closed_read(arena, before, now_ms, &old);
    int64_t last_ms = 0;
    for (size_t i = 0; i < old_count; i++)
        if (!is_among(changed, count, &old[i]))
            put_closed(&packed, &old[i], now_ms, &last_ms);
    for (size_t i = 0; i < count; i++)
        put_closed(&packed, &changed[i], now_ms, &last_ms);
    size_t most = LOGIN_VALUES_CLOSED_MAX * CLOSED_BYTES;
    size_t over = packed.length > most ? packed.length - most : 0;
    struct value_change change = {.value = *before, .replaces = before->version};
    change.value.bytes = packed.length > 0
                             ? arena_strndup(arena, packed.data + over, packed.length - over)
                             : NULL;
    change.value.length = packed.length - over;
    change.value.until_ms = last_ms;
    return change;
}
