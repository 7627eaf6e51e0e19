#include "guard/delivery.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* Most mailboxes have one part for a day. */
enum { PARTS_AT_ONCE = 8 };

uint32_t delivery_source(const char *name)
{
    uint32_t hash = UINT32_C(2166136261); /* FNV-1a */
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * UINT32_C(16777619);
    return hash;
}

/* Keys are made several times for each line of a log, which snprintf would take a sixth of the time
 * for. Both leave a NUL at the end that they return; what has no room is left out. */
static char *add_string(char *to, const char *end, const char *string)
{
    size_t length = strnlen(string, (size_t)(end - to));
    memcpy(to, string, length);
    to[length] = '\0';
    return to + length;
}

static inline char *add_digits(char *to, const char *end, uint64_t number, unsigned base, int least)
{
    char digits[TEXT_DIGITS_SIZE];
    char *first = digits + sizeof digits;
    *--first = '\0';
    for (; number > 0 || least > 0; number /= base, least--)
        *--first = "0123456789abcdef"[number % base];
    return add_string(to, end, first);
}

/* "DAY/OWNER/SOURCE" */
static char *add_day_key(char *to, const char *end, int64_t day, const char *owner, uint32_t source)
{
    to = add_digits(to, end, (uint64_t)day, 10, 5);
    to = add_string(to, end, "/");
    to = add_string(to, end, owner);
    to = add_string(to, end, "/");
    return add_digits(to, end, source, 16, 8);
}

void delivery_trace_key(char key_r[DELIVERY_KEY_SIZE], int64_t day, const char *mailbox,
                        uint32_t source, uint32_t part)
{
    const char *end = key_r + VALUE_KEY_MAX;
    char *to = add_day_key(key_r, end, day, mailbox, source);
    add_digits(add_string(to, end, "/"), end, part, 10, 1);
}

void delivery_domain_key(char key_r[DELIVERY_KEY_SIZE], int64_t day, const char *domain,
                         uint32_t source)
{
    add_day_key(key_r, key_r + VALUE_KEY_MAX, day, domain, source);
}

void delivery_reply_key(char key_r[DELIVERY_KEY_SIZE], uint64_t reply)
{
    add_digits(key_r, key_r + VALUE_KEY_MAX, reply, 16, 12);
}

void delivery_open_key(char key_r[DELIVERY_KEY_SIZE], uint32_t source, const char *queue_id)
{
    const char *end = key_r + VALUE_KEY_MAX;
    char *to = add_string(add_digits(key_r, end, source, 16, 8), end, "/");
    add_string(to, end, queue_id);
}

int64_t delivery_day_end(int64_t day) { return (day + 1 + DELIVERY_DAYS) * DAY_MS; }

int delivery_reply(struct store *store, struct arena *arena, uint64_t reply, int64_t now_ms,
                   struct kept_reply *reply_r)
{
    char key[DELIVERY_KEY_SIZE];
    struct value value;
    if (reply == 0)
        return 0;
    delivery_reply_key(key, reply);
    int found = store_value(store, arena, VALUE_REPLY, key, now_ms, &value);
    if (found < 1)
        return found;
    return kept_reply_read(arena, value.bytes, value.length, reply_r);
}

int delivery_sources(struct store *store, struct arena *arena, int64_t now_ms,
                     struct delivery_sources *sources_r)
{
    struct value cursors[DELIVERY_SOURCES_MAX];
    struct store_page page = {.max = DELIVERY_SOURCES_MAX};
    if (store_values(store, arena, VALUE_CURSOR, "", now_ms, cursors, &page) < 0)
        return -1;
    sources_r->count = page.count;
    for (size_t i = 0; i < page.count; i++)
        sources_r->of[i] = delivery_source(cursors[i].key);
    return 1;
}

struct gathered {
    struct trace_message *messages;
    size_t count, room;
};

static void gather(struct arena *arena, struct gathered *gathered,
                   const struct trace_message *messages, size_t count)
{
    size_t size = sizeof *messages, all = gathered->count + count;
    if (all > gathered->room) {
        struct trace_message *more = arena_alloc(arena, 2 * all * size);
        if (gathered->count > 0)
            memcpy(more, gathered->messages, gathered->count * size);
        gathered->messages = more;
        gathered->room = 2 * all;
    }
    if (count > 0)
        memcpy(gathered->messages + gathered->count, messages, count * size);
    gathered->count = all;
}

/* Those from part `first` on. A damaged part is passed over: the others are worth reading. 1 there
 * may be more; 0 these were the last; -1. */
static int gather_some(struct store *store, struct arena *arena, uint32_t source,
                       const char *mailbox, int64_t day, uint32_t first, int64_t now_ms,
                       struct gathered *gathered)
{
    char keys[PARTS_AT_ONCE][DELIVERY_KEY_SIZE];
    struct value parts[PARTS_AT_ONCE];
    struct trace_message *messages;
    size_t count;
    for (uint32_t i = 0; i < PARTS_AT_ONCE; i++) {
        delivery_trace_key(keys[i], day, mailbox, source, first + i);
        parts[i] = (struct value){.kind = VALUE_TRACE, .key = keys[i]};
    }
    if (store_values_get(store, arena, parts, PARTS_AT_ONCE, now_ms) < 0)
        return -1;
    for (uint32_t i = 0; i < PARTS_AT_ONCE; i++) {
        if (parts[i].length == 0)
            return 0;
        if (trace_read(arena, day, parts[i].bytes, parts[i].length, &messages, &count))
            gather(arena, gathered, messages, count);
    }
    return 1;
}

/* All parts of one source. 0 or -1. */
static int gather_parts(struct store *store, struct arena *arena, uint32_t source,
                        const char *mailbox, int64_t day, int64_t now_ms,
                        struct gathered *gathered)
{
    int more = 1;
    for (uint32_t first = 0; more > 0; first += PARTS_AT_ONCE)
        more = gather_some(store, arena, source, mailbox, day, first, now_ms, gathered);
    return more;
}

static int newer_first(const void *left, const void *right)
{
    const struct trace_message *a = left, *b = right;
    return (a->decision < b->decision) - (a->decision > b->decision);
}

int delivery_messages(struct store *store, struct arena *arena,
                      const struct delivery_sources *sources, const char *mailbox, int64_t day,
                      int64_t now_ms, struct trace_message **messages_r, size_t *count_r)
{
    struct gathered gathered = {0};
    for (size_t i = 0; i < sources->count; i++)
        if (gather_parts(store, arena, sources->of[i], mailbox, day, now_ms, &gathered) < 0)
            return -1;
    if (gathered.count > 1)
        qsort(gathered.messages, gathered.count, sizeof *gathered.messages, newer_first);
    *messages_r = gathered.messages;
    *count_r = gathered.count;
    return 1;
}
