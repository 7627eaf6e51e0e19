/* What the store has of domains, sites and days, as far as it is held. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "feedback/failures_inside.h"
#include "guard/delivery.h"

/* What is not in use is forgotten when so much is held. */
enum { HELD_MAX_BYTES = 16 * 1024 * 1024 };

static const enum value_kind kinds[] = {VALUE_FAILURES, VALUE_OUTAGE, VALUE_DAY, VALUE_REACHED};

static void repack(struct held_failures *held)
{
    failure_window_free(&held->window);
    if (held->outage != NULL)
        failure_outage_free(held->outage);
    free(take(held->outage));
    block_values_free(&held->tells);
    held->in_use = false;
}

static void free_held(void *pointer)
{
    struct held_failures *held = pointer;
    repack(held);
    block_values_free(&held->told);
    text_free(&held->packed);
    text_free(&held->next);
    free(held->key);
    free(held);
}

void failures_begin_held(struct failures *failures)
{
    for (size_t i = 0; i < countof(kinds); i++)
        failures->held[kinds[i]] =
            g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_held);
}

void failures_end_held(struct failures *failures)
{
    for (size_t i = 0; i < countof(kinds); i++)
        g_hash_table_destroy(failures->held[kinds[i]]);
}

/* ---- what the store has ---------------------------------------------------------------------- */

void failures_want(const struct failures *failures, struct wanted_failures *wanted,
                   enum value_kind kind, const char *key)
{
    GHashTable *named = wanted->named[kind];
    if (key[0] == '\0' || g_hash_table_contains(failures->held[kind], key) ||
        !g_hash_table_add(named, (void *)(uintptr_t)key))
        return;
    wanted->values[wanted->count++] = (struct value){.kind = kind, .key = key};
}

struct wanted_failures failures_new_wanted(size_t room)
{
    struct wanted_failures wanted = {.values = xcalloc(room + 1, sizeof(struct value))};
    for (size_t i = 0; i < countof(kinds); i++)
        wanted.named[kinds[i]] = g_hash_table_new(g_str_hash, g_str_equal);
    return wanted;
}

int failures_read_wanted(struct failures *failures, struct wanted_failures *wanted, int64_t now_ms)
{
    int answer = 1;
    for (size_t done = 0; done < wanted->count && answer > 0; done += VALUES_AT_ONCE) {
        size_t left = wanted->count - done;
        answer = store_values_get(failures->store, failures->arena, wanted->values + done,
                                  left < VALUES_AT_ONCE ? left : VALUES_AT_ONCE, now_ms);
    }
    for (size_t i = 0; i < wanted->count && answer > 0; i++) {
        const struct value *value = &wanted->values[i];
        struct held_failures *held = xcalloc(1, sizeof *held);
        held->kind = value->kind;
        held->key = xstrdup(value->key);
        held->version = value->version;
        text_add_bytes(&held->packed, value->length > 0 ? value->bytes : "", value->length);
        failures->bytes += sizeof *held + value->length;
        g_hash_table_insert(failures->held[held->kind], held->key, held);
    }
    arena_reset(failures->arena);
    for (size_t i = 0; i < countof(kinds); i++)
        g_hash_table_destroy(wanted->named[kinds[i]]);
    free(wanted->values);
    return answer;
}

struct held_failures *failures_use(struct failures *failures, enum value_kind kind, const char *key)
{
    struct held_failures *held = g_hash_table_lookup(failures->held[kind], key);
    if (held == NULL || held->in_use)
        return held;
    const char *bytes = text_string(&held->packed);
    held->in_use = true;
    g_ptr_array_add(failures->changed, held);
    if (kind == VALUE_OUTAGE)
        held->outage = xcalloc(1, sizeof *held->outage);
    bool good = kind == VALUE_OUTAGE
                    ? failure_outage_read(bytes, held->packed.length, held->outage)
                    : failure_window_read(bytes, held->packed.length, &held->window);
    if (!good && held->packed.length > 0)
        log_line(LOG_ERROR_LEVEL, "what is kept of failures is damaged, and begins anew", "kind",
                 value_kind_names[kind], "key", key, NULL);
    if (kind == VALUE_FAILURES && !held->is_told)
        block_values_of(&held->window, failures->settings, key, &held->told);
    held->is_told = true;
    held->noted_block = held->window.last_block;
    held->had_outage = kind == VALUE_OUTAGE &&
                       failure_outage_explains(held->outage, "", 0, failures->domains_of_day,
                                               held->outage->minute * MINUTE_MS) != 0;
    return held;
}

void failures_put_back(struct failures *failures)
{
    for (guint i = 0; i < failures->changed->len; i++)
        repack(g_ptr_array_index(failures->changed, i));
    g_ptr_array_set_size(failures->changed, 0);
}

void failures_put_back_last(struct failures *failures)
{
    repack(g_ptr_array_index(failures->changed, failures->changed->len - 1));
    g_ptr_array_set_size(failures->changed, (int)failures->changed->len - 1);
}

void failures_forget(struct failures *failures, struct held_failures *held)
{
    failures->bytes -= sizeof *held + held->packed.length;
    g_hash_table_remove(failures->held[held->kind], held->key);
}

void failures_forget_some(struct failures *failures)
{
    if (failures->bytes <= HELD_MAX_BYTES)
        return;
    for (size_t i = 0; i < countof(kinds); i++)
        g_hash_table_remove_all(failures->held[kinds[i]]);
    failures->bytes = 0;
}

/* ---- days ------------------------------------------------------------------------------------ */

enum { DAY_SIZE = 24 };

static void day_key(char key_r[DAY_SIZE], int64_t time_ms)
{
    snprintf(key_r, DAY_SIZE, "%lld", (long long)(time_ms / DAY_MS));
}

void failures_want_days(const struct failures *failures, struct wanted_failures *wanted,
                        int64_t now_ms)
{
    for (int ago = 0; ago < 2; ago++) {
        char *key = arena_alloc(failures->names, DAY_SIZE);
        day_key(key, now_ms - ago * DAY_MS);
        failures_want(failures, wanted, VALUE_DAY, key);
    }
}

enum { DAY_FORMAT = FAILURE_OUTAGE_DAY_FORMAT, HASH_BYTES = FAILURE_OUTAGE_DAY_HASH_BYTES };

static uint32_t domains_of(const struct text *day)
{
    return failure_outage_domains_of_day(day->data, day->length);
}

static bool has_domain(const struct text *day, const uint8_t hash[HASH_BYTES])
{
    for (uint32_t i = 0; i < domains_of(day); i++)
        if (memcmp(day->data + 1 + i * HASH_BYTES, hash, HASH_BYTES) == 0)
            return true;
    return false;
}

static void add_domain(struct failures *failures, struct held_failures *day, const char *domain)
{
    uint8_t hash[HASH_BYTES];
    const struct text *now = day->in_use ? &day->next : &day->packed;
    packed_put(hash, delivery_source(domain), HASH_BYTES);
    if (domains_of(now) == FAILURE_OUTAGE_DOMAINS_FEW || has_domain(now, hash))
        return;
    if (!day->in_use) {
        day->in_use = true;
        g_ptr_array_add(failures->changed, day);
        text_clear(&day->next);
        text_add_char(&day->next, DAY_FORMAT);
        if (domains_of(now) > 0)
            text_add_bytes(&day->next, now->data + 1, now->length - 1);
    }
    text_add_bytes(&day->next, (const char *)hash, HASH_BYTES);
}

uint32_t failures_add_to_day(struct failures *failures, int64_t now_ms)
{
    char key[DAY_SIZE], key_before[DAY_SIZE];
    day_key(key, now_ms);
    day_key(key_before, now_ms - DAY_MS);
    struct held_failures *day = g_hash_table_lookup(failures->held[VALUE_DAY], key);
    const struct held_failures *before =
        g_hash_table_lookup(failures->held[VALUE_DAY], key_before);
    for (guint i = 0; i < failures->added->len && day != NULL; i++)
        add_domain(failures, day,
                   g_array_index(failures->added, struct failures_outcome, i).domain);
    uint32_t today = day != NULL ? domains_of(day->in_use ? &day->next : &day->packed) : 0;
    uint32_t yesterday = before != NULL ? domains_of(&before->packed) : 0;
    return today > yesterday ? today : yesterday;
}
