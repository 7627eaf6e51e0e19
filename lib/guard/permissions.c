#include "guard/permissions.h"

#include <string.h>

#include "base/json.h"
#include "base/packed.h"

enum { FORMAT = 1, MOMENT_BYTES = 8, ATTEMPTS = 20 };

/* ---- the packed form: 1 format; then of each address, by, note, 8 since, 8 until ------------- */

static void pack(struct text *out, const struct permissions *permissions)
{
    packed_add_fixed(out, FORMAT, 1);
    for (size_t i = 0; i < permissions->count; i++) {
        const struct permission *one = &permissions->of[i];
        packed_add_string(out, one->address);
        packed_add_string(out, one->by);
        packed_add_string(out, one->note);
        packed_add_fixed(out, (uint64_t)one->since_ms, MOMENT_BYTES);
        packed_add_fixed(out, (uint64_t)one->until_ms, MOMENT_BYTES);
    }
}

static void unpack(const struct value *value, struct arena *arena, int64_t now_ms,
                   struct permissions *permissions_r)
{
    struct packed_rest rest = {value->bytes, (const uint8_t *)value->bytes + value->length};
    if (packed_fixed(&rest, 1) != FORMAT)
        return;
    while (rest.next != NULL && rest.next < rest.end && permissions_r->count < PERMISSIONS_MAX) {
        struct permission one;
        one.address = packed_string(&rest, arena);
        one.by = packed_string(&rest, arena);
        one.note = packed_string(&rest, arena);
        one.since_ms = (int64_t)packed_fixed(&rest, MOMENT_BYTES);
        one.until_ms = (int64_t)packed_fixed(&rest, MOMENT_BYTES);
        if (rest.next != NULL && now_ms < one.until_ms)
            permissions_r->of[permissions_r->count++] = one;
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

int permissions_read(struct store *store, struct arena *arena, const char *mailbox, int64_t now_ms,
                     struct permissions *permissions_r)
{
    struct value value;
    permissions_r->count = 0;
    permissions_r->version = 0;
    int found = store_value(store, arena, VALUE_PERMISSIONS, mailbox, now_ms, &value);
    if (found > 0) {
        permissions_r->version = value.version;
        unpack(&value, arena, now_ms, permissions_r);
    }
    return found < 0 ? -1 : 1;
}

/* The first place whose address is not before. */
static size_t place_of(const struct permissions *permissions, const char *address)
{
    size_t place = 0;
    while (place < permissions->count && strcmp(permissions->of[place].address, address) < 0)
        place++;
    return place;
}

static bool is_at(const struct permissions *permissions, size_t place, const char *address)
{
    return place < permissions->count && strcmp(permissions->of[place].address, address) == 0;
}

bool permissions_hold(const struct permissions *permissions, const char *key)
{
    return is_at(permissions, place_of(permissions, key), key);
}

/* ---- changing -------------------------------------------------------------------------------- */

static void add_permission(struct json_object *detail, const char *name, bool is,
                           const struct permission *permission)
{
    if (!is)
        json_add_null(detail, name);
    else
        json_add_moment(json_add_object(detail, name), "until", permission->until_ms);
}

static int write_all(struct store *store, struct arena *arena, const char *mailbox,
                     const struct permissions *permissions, const struct audited *audited)
{
    freed_by(text_free) struct text packed = {0};
    int64_t until_ms = 0;
    for (size_t i = 0; i < permissions->count; i++)
        if (permissions->of[i].until_ms > until_ms)
            until_ms = permissions->of[i].until_ms;
    pack(&packed, permissions);
    const struct value_change change = {
        .value = {.kind = VALUE_PERMISSIONS, .key = arena_strdup(arena, mailbox),
                  .bytes = packed.data, .length = permissions->count > 0 ? packed.length : 0,
                  .until_ms = until_ms},
        .replaces = permissions->version};
    return store_values_change(store,
                               &(struct values_step){.changes = &change, .count = 1,
                                                     .audited = audited, .audited_count = 1,
                                                     .now_ms = audited->action->now_ms},
                               NULL);
}

/* `given` NULL: it is taken away. 1; 0 another program was faster; -1; 2 there is no room, or
 * nothing to take. */
static int change_once(struct store *store, const char *mailbox, const char *address,
                       const struct permission *given, const struct action *action)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(json_put) struct json_object *detail = json_object_new_object();
    struct permissions *all = arena_alloc(arena, sizeof *all);
    if (permissions_read(store, arena, mailbox, action->now_ms, all) < 0)
        return -1;
    size_t place = place_of(all, address), from = place;
    bool there = is_at(all, place, address);
    if (given != NULL ? !there && all->count == PERMISSIONS_MAX : !there)
        return 2;
    json_add_string(detail, "address", address);
    add_permission(detail, "before", there, &all->of[place]);
    add_permission(detail, "after", given != NULL, given);
    size_t behind = all->count - place - there;
    from += there;
    memmove(&all->of[place + (given != NULL)], &all->of[from], behind * sizeof all->of[0]);
    if (given != NULL)
        all->of[place] = *given;
    all->count = place + (given != NULL) + behind;
    const struct audited audited = {given != NULL ? "allow_from" : "disallow_from", mailbox,
                                    json_object_to_json_string_ext(detail, JSON_C_TO_STRING_PLAIN),
                                    action};
    return write_all(store, arena, mailbox, all, &audited);
}

static int change(struct store *store, const char *mailbox, const char *address,
                  const struct permission *given, const struct action *action)
{
    int result = 0;
    for (int attempt = 0; attempt < ATTEMPTS && result == 0; attempt++)
        result = change_once(store, mailbox, address, given, action);
    return result == 2  ? 0
           : result == 0 ? store_fail(store, "other programs change the same permissions")
                         : result;
}

int permissions_give(struct store *store, const char *mailbox, const char *address,
                     int64_t until_ms, const struct action *action)
{
    const struct permission given = {.address = address, .by = action->by, .note = action->note,
                                     .since_ms = action->now_ms, .until_ms = until_ms};
    return change(store, mailbox, address, &given, action);
}

int permissions_take(struct store *store, const char *mailbox, const char *address,
                     const struct action *action)
{
    return change(store, mailbox, address, NULL, action);
}
