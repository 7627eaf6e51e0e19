#include "feedback/elsewhere.h"

#include <glib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "guard/delivery.h"

struct elsewhere {
    struct store *store;
    int64_t now_ms;
    struct delivery_sources others;
    int64_t read_ms;   /* all others were read up to then */
    bool is_first;     /* of all sources by name: one of them tells */
    struct arena *arena;
    GHashTable *read;  /* "DAY/MAILBOX" */
    GHashTable *known; /* decisions of those that were read; in `arena` */
};

static void add_other(struct elsewhere *elsewhere, const char *source, const struct value *cursor)
{
    freed_by(json_put) struct json_object *tree = json_read(cursor->bytes);
    int64_t read_ms = json_int(tree, "read_ms", 0);
    elsewhere->others.of[elsewhere->others.count++] = delivery_source(cursor->key);
    if (read_ms < elsewhere->read_ms)
        elsewhere->read_ms = read_ms;
    if (strcmp(cursor->key, source) < 0)
        elsewhere->is_first = false;
}

int elsewhere_look(struct store *store, const char *source, int64_t now_ms,
                   struct elsewhere **elsewhere_r)
{
    freed_by(elsewhere_free) struct elsewhere *elsewhere = xcalloc(1, sizeof *elsewhere);
    struct value cursors[DELIVERY_SOURCES_MAX];
    struct store_page page = {.max = DELIVERY_SOURCES_MAX};
    *elsewhere = (struct elsewhere){.store = store, .now_ms = now_ms, .read_ms = INT64_MAX,
                                    .is_first = true, .arena = arena_new()};
    elsewhere->read = g_hash_table_new(g_str_hash, g_str_equal);
    elsewhere->known = g_hash_table_new(g_int64_hash, g_int64_equal);
    if (store_values(store, elsewhere->arena, VALUE_CURSOR, "", now_ms, cursors, &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count; i++)
        if (strcmp(cursors[i].key, source) != 0 && cursors[i].until_ms == UNTIL_LIFTED)
            add_other(elsewhere, source, &cursors[i]);
    *elsewhere_r = take(elsewhere);
    return 1;
}

void elsewhere_free(struct elsewhere **elsewhere)
{
    if (*elsewhere == NULL)
        return;
    g_hash_table_destroy((*elsewhere)->read);
    g_hash_table_destroy((*elsewhere)->known);
    arena_free(&(*elsewhere)->arena);
    free(*elsewhere);
    *elsewhere = NULL;
}

/* What the others have of that mailbox and day. 1 or -1. */
static int read_day(struct elsewhere *elsewhere, const char *mailbox, int64_t day)
{
    struct trace_message *messages;
    size_t count;
    const char *key = arena_printf(elsewhere->arena, "%lld/%s", (long long)day, mailbox);
    if (g_hash_table_contains(elsewhere->read, key))
        return 1;
    if (delivery_messages(elsewhere->store, elsewhere->arena, &elsewhere->others, mailbox, day,
                          elsewhere->now_ms, &messages, &count) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        g_hash_table_add(elsewhere->known, &messages[i].decision);
    g_hash_table_add(elsewhere->read, (gpointer)(uintptr_t)key);
    return 1;
}

enum elsewhere_found elsewhere_find(struct elsewhere *elsewhere,
                                    const struct admitted_message *message, int64_t until_ms)
{
    if (elsewhere->others.count == 0)
        return ELSEWHERE_NOT;
    if (!elsewhere->is_first)
        return ELSEWHERE_THEIRS;
    if (read_day(elsewhere, message->mailbox, trace_day(message->decision)) < 0)
        return ELSEWHERE_FAILED;
    if (g_hash_table_contains(elsewhere->known, &message->decision))
        return ELSEWHERE_THEIRS;
    return elsewhere->read_ms < until_ms ? ELSEWHERE_WAIT : ELSEWHERE_NOT;
}
