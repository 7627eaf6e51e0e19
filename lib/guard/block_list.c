#include "guard/block_list.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/names.h"
#include "base/packed.h"

const char *const block_kind_names[BLOCK_KIND_COUNT] = {"recipient", "pair", "domain", "sender"};

enum { FORMAT = 1, FORMAT_HASHED = 2, FORMAT_ADVICE = 3 };
enum { NUMBER_BYTES = 8, PAGE = 64, ATTEMPTS = 20, DETAIL_MAX_BYTES = 511 };
#define NEWEST "newest" /* the key of the number; those of steps are digits */
#define TOLD_MS DAY_MS  /* how long a step is told */

/* ---- the form that is kept --------------------------------------------------------------- */

const char *block_list_key(struct arena *arena, const struct block_entry *entry)
{
    return arena_printf(arena, "%s\n%s\n%s", block_kind_names[entry->kind], entry->subject,
                        entry->scope);
}

void block_list_hashed(uint64_t hash, char subject_r[BLOCK_SUBJECT_HASH_SIZE])
{
    subject_r[0] = '#'; /* no snprintf: each recipient of a message comes here */
    for (int i = BLOCK_SUBJECT_HASH_SIZE - 2; i > 0; i--, hash >>= 4)
        subject_r[i] = "0123456789abcdef"[hash & 15];
    subject_r[BLOCK_SUBJECT_HASH_SIZE - 1] = '\0';
}

/* An address may begin with '#' too. */
bool block_list_is_hashed(const struct block_entry *entry)
{
    return entry->subject[0] == '#' && strchr(entry->subject, '@') == NULL;
}

bool block_list_is_hash(const char *text)
{
    return text[0] == '#' && strlen(text) == BLOCK_SUBJECT_HASH_SIZE - 1 &&
           strspn(text + 1, "0123456789abcdef") == BLOCK_SUBJECT_HASH_SIZE - 2;
}

const char *block_list_name(struct arena *arena, const struct block_entry *entry)
{
    if (!block_list_is_hashed(entry))
        return entry->subject;
    return entry->site == NULL ? "(recipient)"
                               : arena_printf(arena, "(recipient) at %.200s", entry->site);
}

static void put_entry(struct text *out, const struct block_entry *entry)
{
    bool hashed = block_list_is_hashed(entry);
    text_add_char(out, hashed                  ? FORMAT_HASHED
                       : entry->advice != NULL ? FORMAT_ADVICE
                                               : FORMAT);
    packed_add_number(out, (uint64_t)entry->since_ms);
    packed_add_string(out, entry->reason);
    packed_add_string(out, entry->by);
    packed_add_string(out, entry->note);
    if (!hashed && entry->advice != NULL)
        packed_add_string(out, entry->advice);
    if (!hashed)
        return;
    packed_add_number(out, (uint64_t)entry->until_ms);
    packed_add_number(out, (uint64_t)entry->probe_ms);
    packed_add_fixed(out, entry->probe_of, sizeof entry->probe_of);
    packed_add_string(out, entry->site != NULL ? entry->site : "");
}

bool block_list_known_reason(const char *reason)
{
    static const char *const known[] = {"address_unknown", "mailbox_off", "mailbox_full", "noise",
                                        BLOCK_PROBE};
    return names_find(known, countof(known), reason) >= 0;
}

struct value block_list_value(struct arena *arena, const struct block_entry *entry)
{
    freed_by(text_free) struct text bytes = {0};
    put_entry(&bytes, entry);
    bool waits = block_list_is_hashed(entry) && entry->until_ms < UNTIL_LIFTED - BLOCK_PROBE_MS;
    return (struct value){.kind = VALUE_BLOCKED, .key = block_list_key(arena, entry),
                          .bytes = arena_strndup(arena, bytes.data, bytes.length),
                          .length = bytes.length,
                          .until_ms = entry->until_ms + (waits ? BLOCK_PROBE_MS : 0)};
}

static bool read_hashed(struct packed_rest *rest, struct arena *arena, struct block_entry *entry)
{
    entry->until_ms = (int64_t)packed_number(rest);
    entry->probe_ms = (int64_t)packed_number(rest);
    entry->probe_of = packed_fixed(rest, sizeof entry->probe_of);
    entry->site = packed_string(rest, arena);
    if (entry->site == NULL)
        return false;
    entry->site = entry->site[0] != '\0' ? entry->site : NULL;
    return true;
}

int block_list_read(struct arena *arena, const struct value *value, struct block_entry *entry_r)
{
    struct packed_rest rest = {value->bytes, (const uint8_t *)value->bytes + value->length};
    struct block_entry entry = {.until_ms = value->until_ms};
    char *name = arena_strdup(arena, value->key);
    char *subject = strchr(name, '\n'), *scope = strrchr(name, '\n');
    uint64_t format = packed_fixed(&rest, 1);
    if (subject == NULL || scope == subject || format < FORMAT || format > FORMAT_ADVICE)
        return 0;
    *subject++ = *scope++ = '\0';
    int kind = names_find(block_kind_names, BLOCK_KIND_COUNT, name);
    if (kind < 0)
        return 0;
    entry.kind = (enum block_kind)kind;
    entry.subject = subject;
    entry.scope = scope;
    entry.since_ms = (int64_t)packed_number(&rest);
    entry.reason = packed_string(&rest, arena);
    entry.by = packed_string(&rest, arena);
    entry.note = packed_string(&rest, arena);
    if (format == FORMAT_ADVICE)
        entry.advice = packed_string(&rest, arena);
    if (entry.note == NULL || (format == FORMAT_HASHED && !read_hashed(&rest, arena, &entry)) ||
        (format == FORMAT_ADVICE && entry.advice == NULL))
        return 0;
    *entry_r = entry;
    return 1;
}

/* ---- networks ------------------------------------------------------------------------------ */

enum { V4_BYTES = 4, V6_BYTES = 16 };
static const int lengths_4[BLOCK_NETWORK_LENGTHS] = {32, 24, 16, 8};
static const int lengths_6[BLOCK_NETWORK_LENGTHS] = {64, 56, 48, 32};

/* The first `bits` of an address, whole bytes. */
static void write_network(int family, const uint8_t *address, int bits,
                          char network_r[BLOCK_NETWORK_SIZE])
{
    uint8_t masked[V6_BYTES] = {0};
    char text[INET6_ADDRSTRLEN];
    memcpy(masked, address, (size_t)bits / 8);
    inet_ntop(family, masked, text, sizeof text);
    if (family == AF_INET && bits == 32)
        snprintf(network_r, BLOCK_NETWORK_SIZE, "%s", text);
    else
        snprintf(network_r, BLOCK_NETWORK_SIZE, "%s/%d", text, bits);
}

/* The family of the address before a '/'; 0: it is none. An IPv4 address that is written as IPv6 is
 * IPv4, as in submissions. */
static int read_address(const char *text, uint8_t address_r[V6_BYTES])
{
    static const uint8_t mapped[V6_BYTES - V4_BYTES] = {[10] = 0xff, [11] = 0xff};
    char copy[INET6_ADDRSTRLEN];
    size_t length = strcspn(text, "/");
    if (length >= sizeof copy)
        return 0;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (inet_pton(AF_INET, copy, address_r) == 1)
        return AF_INET;
    if (inet_pton(AF_INET6, copy, address_r) != 1)
        return 0;
    if (text[length] == '/' || memcmp(address_r, mapped, sizeof mapped) != 0)
        return AF_INET6;
    memmove(address_r, address_r + sizeof mapped, V4_BYTES);
    memset(address_r + V4_BYTES, 0, sizeof mapped);
    return AF_INET;
}

int block_list_network(const char *text, char network_r[BLOCK_NETWORK_SIZE])
{
    uint8_t address[V6_BYTES] = {0}, again[V6_BYTES] = {0};
    const char *slash = strchr(text, '/');
    int family = read_address(text, address);
    const int *lengths = family == AF_INET ? lengths_4 : lengths_6;
    if (slash == NULL && family != 0) {
        write_network(family, address, lengths[0], network_r);
        return 1;
    }
    for (int i = 0; i < BLOCK_NETWORK_LENGTHS && family != 0; i++) {
        char bits[TEXT_DIGITS_SIZE], network[BLOCK_NETWORK_SIZE];
        if (strcmp(slash + 1, text_digits(bits, lengths[i])) != 0)
            continue;
        write_network(family, address, lengths[i], network);
        memset(again, 0, sizeof again);
        if (read_address(network, again) == 0 || memcmp(address, again, sizeof again) != 0)
            return 0;
        memcpy(network_r, network, sizeof network);
        return 1;
    }
    return 0;
}

size_t block_list_networks_of(const char *ip,
                              char networks_r[BLOCK_NETWORK_LENGTHS][BLOCK_NETWORK_SIZE])
{
    uint8_t address[V6_BYTES] = {0};
    int family = read_address(ip, address);
    for (int i = 0; i < BLOCK_NETWORK_LENGTHS && family != 0; i++)
        write_network(family, address, (family == AF_INET ? lengths_4 : lengths_6)[i],
                      networks_r[i]);
    return family != 0 ? BLOCK_NETWORK_LENGTHS : 0;
}

/* ---- changing ------------------------------------------------------------------------------ */

/* What is kept of an entry in the audit log: all that fits. */
static const char *detail_of(struct arena *arena, const struct block_entry *entry)
{
    freed_by(json_put) struct json_object *detail = json_object_new_object();
    json_add_string(detail, "kind", block_kind_names[entry->kind]);
    json_add_moment(detail, "until", entry->until_ms);
    const char *text = json_object_to_json_string_ext(detail, JSON_C_TO_STRING_PLAIN);
    int members = strcmp(entry->scope, BLOCK_SCOPE_ALL) != 0 ? 2 : 1;
    for (int i = 0; i < members; i++) {
        const char *before = arena_strdup(arena, text);
        json_add_string(detail, i == 0 ? "reason" : "scope", i == 0 ? entry->reason : entry->scope);
        text = json_object_to_json_string_ext(detail, JSON_C_TO_STRING_PLAIN);
        if (strlen(text) > DETAIL_MAX_BYTES)
            return before;
    }
    return arena_strdup(arena, text);
}

static const char *key_of_step(struct arena *arena, int64_t number)
{
    return arena_printf(arena, "%016" PRIx64, (uint64_t)number);
}

static int64_t number_of(const struct value *newest)
{
    struct packed_rest rest = {newest->bytes, (const uint8_t *)newest->bytes + newest->length};
    return (int64_t)packed_fixed(&rest, NUMBER_BYTES);
}

/* The number that the step gets, and what is told of it: the subjects. 1 or -1. */
static int number_it(struct store *store, struct arena *arena, const struct text *subjects,
                     int64_t now_ms, struct value_change changes_r[2])
{
    struct value newest = {0};
    int found = store_value(store, arena, VALUE_ADDED, NEWEST, now_ms, &newest);
    if (found < 0)
        return -1;
    int64_t number = 1 + (found > 0 ? number_of(&newest) : 0);
    uint8_t *bytes = arena_alloc(arena, NUMBER_BYTES);
    packed_put(bytes, (uint64_t)number, NUMBER_BYTES);
    changes_r[0] = (struct value_change){
        .value = {.kind = VALUE_ADDED, .key = NEWEST, .bytes = bytes, .length = NUMBER_BYTES,
                  .until_ms = UNTIL_LIFTED},
        .replaces = found > 0 ? newest.version : 0};
    changes_r[1] = (struct value_change){
        .value = {.kind = VALUE_ADDED, .key = key_of_step(arena, number),
                  .bytes = arena_strndup(arena, subjects->data, subjects->length),
                  .length = subjects->length, .until_ms = now_ms + TOLD_MS},
        .replaces = VALUE_ANY};
    return 1;
}

int block_list_step(struct store *store, struct arena *arena, const struct block_update *updates,
                    size_t count, const struct action *action, struct value_change *changes_r,
                    size_t *change_count_r, struct audited *audited_r, size_t *audited_count_r)
{
    freed_by(text_free) struct text subjects = {0};
    for (size_t i = 0; i < count; i++) {
        const struct block_entry *entry = &updates[i].entry;
        changes_r[i] = (struct value_change){.value = block_list_value(arena, entry),
                                             .replaces = VALUE_ANY};
        if (updates[i].removed)
            changes_r[i].value.length = 0;
        else
            packed_add_string(&subjects, entry->subject);
        audited_r[i] = (struct audited){updates[i].removed ? "unblock" : "block",
                                        block_list_name(arena, entry), detail_of(arena, entry),
                                        action};
    }
    *change_count_r = *audited_count_r = count;
    if (subjects.length == 0)
        return 1;
    *change_count_r = count + 2;
    return number_it(store, arena, &subjects, action->now_ms, changes_r + count);
}

static int add_once(struct store *store, const struct block_update *updates, size_t count,
                    const struct action *action)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct value_change *changes = arena_alloc(arena, (count + 2) * sizeof *changes);
    struct audited *audited = arena_alloc(arena, count * sizeof *audited);
    struct values_step step = {.changes = changes, .audited = audited, .now_ms = action->now_ms};
    if (block_list_step(store, arena, updates, count, action, changes, &step.count, audited,
                        &step.audited_count) < 0)
        return -1;
    return store_values_change(store, &step, NULL);
}

int block_list_add(struct store *store, const struct block_entry *entries, size_t count,
                   const struct action *action)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct block_update *updates = arena_alloc(arena, count * sizeof *updates);
    int result = 0;
    for (size_t i = 0; i < count; i++)
        updates[i] = (struct block_update){.entry = entries[i]};
    for (int attempt = 0; attempt < ATTEMPTS && result == 0; attempt++)
        result = add_once(store, updates, count, action);
    return result;
}

/* What undo puts back: the entry's end (0: none) and its bytes. In `arena`. */
static struct value removed_value(struct arena *arena, const struct value *value, int64_t now_ms)
{
    freed_by(text_free) struct text bytes = {0};
    packed_add_number(&bytes, value->until_ms == UNTIL_LIFTED ? 0 : (uint64_t)value->until_ms);
    text_add_bytes(&bytes, value->bytes, value->length);
    return (struct value){.kind = VALUE_UNDO, .key = value->key, .length = bytes.length,
                          .bytes = arena_strndup(arena, bytes.data, bytes.length),
                          .until_ms = now_ms + UNDO_MS + 1};
}

/* The entry again: 1, or 0. */
static int read_removed(struct arena *arena, const struct value *removed,
                        struct block_entry *entry_r)
{
    struct value value = *removed;
    struct packed_rest rest = {removed->bytes, (const uint8_t *)removed->bytes + removed->length};
    int64_t until_ms = (int64_t)packed_number(&rest);
    if (rest.next == NULL)
        return 0;
    value.bytes = rest.next;
    value.length = (size_t)(rest.end - rest.next);
    value.until_ms = until_ms == 0 ? UNTIL_LIFTED : until_ms;
    return block_list_read(arena, &value, entry_r);
}

/* As it is just now: 1; 0 there is none, or it was changed meanwhile (*found_r tells); -1. */
static int remove_once(struct store *store, const struct block_entry *entry,
                       const struct action *action, bool *found_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct value value;
    struct block_entry found = *entry;
    int result = store_value(store, arena, VALUE_BLOCKED, block_list_key(arena, entry),
                             action->now_ms, &value);
    *found_r = result > 0;
    if (result < 1)
        return result;
    if (block_list_read(arena, &value, &found) == 0)
        found.reason = "";
    const struct audited audited = {"unblock", block_list_name(arena, &found),
                                    detail_of(arena, &found), action};
    const struct value_change changes[] = {
        {.value = {.kind = VALUE_BLOCKED, .key = value.key}, .replaces = value.version},
        {.value = removed_value(arena, &value, action->now_ms), .replaces = VALUE_ANY}};
    return store_values_change(store,
                               &(struct values_step){.changes = changes,
                                                     .count = countof(changes),
                                                     .audited = &audited, .audited_count = 1,
                                                     .now_ms = action->now_ms},
                               NULL);
}

int block_list_remove(struct store *store, const struct block_entry *entry,
                      const struct action *action)
{
    bool found = true;
    int result = 0;
    for (int attempt = 0; attempt < ATTEMPTS && result == 0 && found; attempt++)
        result = remove_once(store, entry, action, &found);
    return result;
}

/* *found_r: it is known; *listed_r: it is on the list again. 1 put back, or (audited NULL) it can be;
 * 0 it cannot be, or others were faster; -1. */
static int put_back_once(struct store *store, const struct block_entry *like,
                         const struct audited *audited, int64_t now_ms, bool *found_r,
                         bool *listed_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    const char *key = block_list_key(arena, like);
    struct value values[] = {{.kind = VALUE_BLOCKED, .key = key}, {.kind = VALUE_UNDO, .key = key}};
    struct block_update update = {.removed = false};
    struct value_change changes[1 + 2 + 1];
    struct audited usual;
    struct values_step step = {.changes = changes, .audited = audited, .now_ms = now_ms};
    if (store_values_get(store, arena, values, countof(values), now_ms) < 0)
        return -1;
    *listed_r = values[0].length > 0;
    *found_r = !*listed_r && values[1].length > 0 &&
               read_removed(arena, &values[1], &update.entry) > 0 &&
               update.entry.until_ms > now_ms;
    if (!*found_r || audited == NULL)
        return *found_r;
    if (block_list_step(store, arena, &update, 1, audited->action, changes, &step.count, &usual,
                        &step.audited_count) < 0)
        return -1;
    changes[0].replaces = 0; /* the entry itself: whatever came meanwhile stays */
    changes[step.count++] = (struct value_change){.value = {.kind = VALUE_UNDO, .key = key},
                                                  .replaces = values[1].version};
    step.audited_count = 1;
    return store_values_change(store, &step, NULL);
}

int block_list_put_back(struct store *store, const struct block_entry *like,
                        const struct audited *audited, int64_t now_ms, bool *listed_r)
{
    bool found = true;
    int result = 0;
    for (int attempt = 0; attempt < ATTEMPTS && result == 0 && found; attempt++)
        result = put_back_once(store, like, audited, now_ms, &found, listed_r);
    return result;
}

/* ---- what is new ----------------------------------------------------------------------------- */

int block_list_newest(struct store *store, int64_t now_ms, int64_t *newest_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct value newest;
    int found = store_value(store, arena, VALUE_ADDED, NEWEST, now_ms, &newest);
    if (found < 0)
        return -1;
    *newest_r = found > 0 ? number_of(&newest) : 0;
    return 1;
}

/* 1; 0: one before it is not told any more; -1 there is no further one. */
static int tell_step(struct arena *arena, const struct value *value, int64_t next,
                     void (*added)(void *context, const char *subject), void *context)
{
    if (strcmp(value->key, NEWEST) == 0)
        return number_of(value) < next ? -1 : 0;
    if (strcmp(value->key, key_of_step(arena, next)) != 0)
        return 0;
    struct packed_rest rest = {value->bytes, (const uint8_t *)value->bytes + value->length};
    for (const char *subject; rest.next != NULL && rest.next < rest.end &&
                              (subject = packed_string(&rest, arena)) != NULL;)
        added(context, subject);
    return 1;
}

int block_list_added(struct store *store, int64_t after, int64_t now_ms,
                     void (*added)(void *context, const char *subject), void *context,
                     int64_t *newest_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct value values[PAGE];
    struct store_page page = {.max = PAGE, .more = true};
    int64_t told = after;
    const char *key = key_of_step(arena, after);
    while (page.more) {
        if (store_values(store, arena, VALUE_ADDED, key, now_ms, values, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++) {
            int next = tell_step(arena, &values[i], told + 1, added, context);
            if (next == 0)
                return 0;
            told += next > 0;
        }
        key = page.count > 0 ? values[page.count - 1].key : key;
    }
    *newest_r = told;
    return 1;
}
