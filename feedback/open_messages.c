#include "feedback/open_messages.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/delivery.h"
#include "mail/kept_open.h"

/* As long as a trace is kept: no queue keeps mail for longer. */
#define KEPT_MS ((DELIVERY_DAYS + 1) * DAY_MS)
enum { LOAD_PAGE = 1000 };

struct open_messages {
    uint32_t source;
    GHashTable *by_id;   /* queue id: open_message */
    GHashTable *names;   /* mailboxes, each once */
    GPtrArray *changed;  /* open_message */
    GHashTable *removed; /* the same of those that are in by_id no more, and in the store still */
};

static void free_message(void *pointer)
{
    struct open_message *message = pointer;
    free(message->id);
    free(message);
}

struct open_messages *open_messages_new(const char *source)
{
    struct open_messages *messages = xcalloc(1, sizeof *messages);
    messages->source = delivery_source(source);
    messages->by_id = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_message);
    messages->names = g_hash_table_new_full(g_str_hash, g_str_equal, free, NULL);
    messages->changed = g_ptr_array_new();
    messages->removed = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_message);
    return messages;
}

void open_messages_free(struct open_messages **messages)
{
    if (*messages == NULL)
        return;
    g_hash_table_destroy((*messages)->by_id);
    g_hash_table_destroy((*messages)->names);
    g_ptr_array_free((*messages)->changed, TRUE);
    g_hash_table_destroy((*messages)->removed);
    free(*messages);
    *messages = NULL;
}

struct open_message *open_messages_find(const struct open_messages *messages, const char *queue_id)
{
    return g_hash_table_lookup(messages->by_id, queue_id);
}

void open_messages_set_mailbox(struct open_messages *messages, struct open_message *message,
                              const char *mailbox)
{
    char *name = g_hash_table_lookup(messages->names, mailbox);
    if (name == NULL) {
        name = xstrdup(mailbox);
        g_hash_table_add(messages->names, name);
    }
    message->mailbox = name;
}

void open_messages_changed(struct open_messages *messages, struct open_message *message)
{
    if (!message->changed)
        g_ptr_array_add(messages->changed, message);
    message->changed = true;
}

static struct open_message *insert(struct open_messages *messages, const char *queue_id,
                                   int64_t seen_ms, uint32_t version)
{
    size_t size = strlen(queue_id) + 1;
    struct open_message *message =
        xcalloc(1, offsetof(struct open_message, queue_id) + size);
    memcpy(message->queue_id, queue_id, size);
    message->seen_ms = seen_ms;
    message->version = version;
    g_hash_table_insert(messages->by_id, message->queue_id, message);
    return message;
}

struct open_message *open_messages_put(struct open_messages *messages, const char *queue_id,
                                       int64_t seen_ms)
{
    struct open_message *before = open_messages_find(messages, queue_id);
    if (before != NULL)
        open_messages_remove(messages, before);
    before = g_hash_table_lookup(messages->removed, queue_id);
    struct open_message *message =
        insert(messages, queue_id, seen_ms, before != NULL ? before->version : 0);
    if (before != NULL)
        g_hash_table_remove(messages->removed, queue_id);
    open_messages_changed(messages, message);
    return message;
}

/* One that the store has waits until the store has it no more. */
void open_messages_remove(struct open_messages *messages, struct open_message *message)
{
    g_hash_table_steal(messages->by_id, message->queue_id);
    if (message->changed)
        g_ptr_array_remove(messages->changed, message);
    if (message->version != 0)
        g_hash_table_insert(messages->removed, message->queue_id, message);
    else
        free_message(message);
}

void open_messages_sweep(struct open_messages *messages, int64_t before_ms)
{
    GHashTableIter iterator;
    gpointer value;
    g_autoptr(GPtrArray) old = g_ptr_array_new();
    g_hash_table_iter_init(&iterator, messages->by_id);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        struct open_message *message = value;
        if (message->decision == 0 && message->seen_ms < before_ms)
            g_ptr_array_add(old, message);
    }
    for (guint i = 0; i < old->len; i++)
        open_messages_remove(messages, g_ptr_array_index(old, i));
}

size_t open_messages_count(const struct open_messages *messages)
{
    return g_hash_table_size(messages->by_id);
}

/* ---- the store -------------------------------------------------------------------------------- */

static void pack(struct text *out, const struct open_message *message)
{
    kept_open_add(out, &(struct kept_open){.mailbox = message->mailbox,
                                           .id = message->id,
                                           .redeemed = message->redeemed,
                                           .decision = message->decision,
                                           .seen_ms = message->seen_ms,
                                           .part = message->part,
                                           .message_id = message->message_id,
                                           .refused = message->refused,
                                           .silent = message->silent});
}

/* One that cannot be read is passed over: its lines lead nowhere then. */
static void unpack(struct open_messages *messages, struct arena *arena, const struct value *value)
{
    struct kept_open kept;
    const char *queue_id = strchr(value->key, '/');
    if (queue_id == NULL || !kept_open_read(arena, value->bytes, value->length, &kept))
        return;
    struct open_message *message = insert(messages, queue_id + 1, kept.seen_ms, value->version);
    message->decision = kept.decision;
    message->message_id = kept.message_id;
    message->part = kept.part;
    message->redeemed = kept.redeemed;
    message->refused = kept.refused;
    message->silent = kept.silent;
    message->id = kept.id != NULL ? xstrdup(kept.id) : NULL;
    if (kept.mailbox != NULL)
        open_messages_set_mailbox(messages, message, kept.mailbox);
}

/* The keys of a source begin with its number, and others follow. */
int open_messages_load(struct open_messages *messages, struct store *store, int64_t now_ms)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct value *values = xcalloc(LOAD_PAGE, sizeof *values);
    char after[DELIVERY_KEY_SIZE], prefix[DELIVERY_KEY_SIZE];
    struct store_page page = {.max = LOAD_PAGE, .more = true};
    int answer = 1;
    delivery_open_key(prefix, messages->source, "");
    strcpy(after, prefix);
    while (page.more && answer > 0) {
        answer = store_values(store, arena, VALUE_OPEN, after, now_ms, values, &page);
        for (size_t i = 0; answer > 0 && i < page.count; i++) {
            if (strncmp(values[i].key, prefix, strlen(prefix)) != 0) {
                page.more = false;
                break;
            }
            unpack(messages, arena, &values[i]);
            snprintf(after, sizeof after, "%s", values[i].key);
        }
        arena_reset(arena);
    }
    free(values);
    return answer;
}

size_t open_messages_change_count(const struct open_messages *messages)
{
    return messages->changed->len + g_hash_table_size(messages->removed);
}

static struct value_change change_of(const struct open_messages *messages, struct arena *arena,
                                     const struct open_message *message)
{
    char *key = arena_alloc(arena, DELIVERY_KEY_SIZE);
    delivery_open_key(key, messages->source, message->queue_id);
    return (struct value_change){.value = {.kind = VALUE_OPEN, .key = key},
                                 .replaces = message->version};
}

size_t open_messages_changes(struct open_messages *messages, struct arena *arena,
                             struct value_change *changes, size_t room)
{
    freed_by(text_free) struct text packed = {0};
    GHashTableIter iterator;
    gpointer removed;
    size_t count = 0;
    g_hash_table_iter_init(&iterator, messages->removed);
    while (count < room && g_hash_table_iter_next(&iterator, NULL, &removed))
        changes[count++] = change_of(messages, arena, removed);
    for (guint i = 0; i < messages->changed->len && count < room; i++) {
        const struct open_message *message = g_ptr_array_index(messages->changed, i);
        text_clear(&packed);
        pack(&packed, message);
        changes[count] = change_of(messages, arena, message);
        changes[count].value.bytes = arena_strndup(arena, packed.data, packed.length);
        changes[count].value.length = packed.length;
        changes[count].value.until_ms = message->seen_ms + KEPT_MS;
        count++;
    }
    return count;
}

void open_messages_written(struct open_messages *messages, const uint32_t *versions)
{
    versions += g_hash_table_size(messages->removed);
    for (guint i = 0; i < messages->changed->len; i++) {
        struct open_message *message = g_ptr_array_index(messages->changed, i);
        message->version = versions[i];
        message->changed = false;
    }
    g_ptr_array_set_size(messages->changed, 0);
    g_hash_table_remove_all(messages->removed);
}
