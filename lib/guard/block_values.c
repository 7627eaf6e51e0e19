#include "guard/block_values.h"

#include <stdlib.h>
#include <string.h>

#include "guard/failure_hint.h"

static void *copy_bytes(const void *bytes, size_t length)
{
    return length > 0 ? memcpy(xmalloc(length), bytes, length) : NULL;
}

static struct failure_list copy_list(const struct failure_list *list)
{
    return (struct failure_list){copy_bytes(list->of, list->count * sizeof *list->of),
                                 list->count, list->count};
}

static struct failure_window copy_window(const struct failure_window *window)
{
    struct failure_window copy = *window;
    copy.decided = copy_list(&window->decided);
    copy.graced = copy_list(&window->graced);
    copy.names = (struct failure_names){0};
    text_add_bytes(&copy.names.bytes, text_string(&window->names.bytes),
                   window->names.bytes.length);
    if (window->blocks != NULL)
        copy.blocks = copy_bytes(window->blocks, FAILURE_BLOCKS_MAX * sizeof *window->blocks);
    return copy;
}

static struct block_values_one *make_room(struct block_values *blocks)
{
    blocks->of = xrealloc(blocks->of, (blocks->count + 1) * sizeof *blocks->of);
    return &blocks->of[blocks->count++];
}

static void add(struct block_values *blocks, const struct failure_window *window,
                const struct failure_block *block, const char *domain)
{
    const char *mailbox = failure_names_at(&window->names, block->mailbox);
    struct failure_numbers numbers = failure_window_numbers(window, block);
    struct block_values_one *one = make_room(blocks);
    *one = (struct block_values_one){
        .key = xstrdup(mailbox != NULL ? mailbox : domain),
        .in_force = {.from_ms = block->from_ms, .until_ms = block->until_ms, .block = block->id,
                     .bad = numbers.bad, .all = numbers.all, .messages = numbers.messages,
                     .hint = failure_hint(&numbers)}};
    failure_in_force_put(one->bytes, &one->in_force);
    failure_window_numbers_free(&numbers);
}

/* Those that hold, and began after number `last`. */
static void add_all(struct block_values *blocks, const struct failure_window *window,
                    uint32_t last, const char *domain)
{
    for (size_t i = 0; i < window->block_count; i++)
        if (window->blocks[i].id > last && window->time_ms < window->blocks[i].until_ms)
            add(blocks, window, &window->blocks[i], domain);
}

/* What one block leaves of the window may make another one later. */
static void add_coming(struct block_values *blocks, const struct failure_window *window,
                       const struct failure_settings *settings, int64_t breaks_ms,
                       const char *domain)
{
    struct failure_window copy = copy_window(window);
    for (; breaks_ms != FAILURE_NEVER; breaks_ms = failure_window_breaks_at(&copy, settings)) {
        uint32_t last = copy.last_block;
        failure_window_pass(&copy, settings, breaks_ms + 1);
        add_all(blocks, &copy, last, domain);
    }
    failure_window_free(&copy);
}

void block_values_of(const struct failure_window *window, const struct failure_settings *settings,
                     const char *domain, struct block_values *blocks_r)
{
    int64_t breaks_ms = failure_window_breaks_at(window, settings);
    *blocks_r = (struct block_values){0};
    add_all(blocks_r, window, 0, domain);
    if (breaks_ms != FAILURE_NEVER)
        add_coming(blocks_r, window, settings, breaks_ms, domain);
}

void block_values_free(struct block_values *blocks)
{
    for (size_t i = 0; i < blocks->count; i++)
        free(blocks->of[i].key);
    free(blocks->of);
    *blocks = (struct block_values){0};
}

const struct block_values_one *block_values_find(const struct block_values *blocks,
                                                 const char *key)
{
    for (size_t i = 0; i < blocks->count; i++)
        if (strcmp(blocks->of[i].key, key) == 0)
            return &blocks->of[i];
    return NULL;
}

void block_values_put(struct block_values *blocks, const char *key,
                      const uint8_t bytes[FAILURE_IN_FORCE_BYTES])
{
    const struct block_values_one *there = block_values_find(blocks, key);
    struct block_values_one *one = there != NULL ? &blocks->of[there - blocks->of]
                                                 : make_room(blocks);
    if (there == NULL)
        *one = (struct block_values_one){.key = xstrdup(key)};
    memcpy(one->bytes, bytes, sizeof one->bytes);
}

size_t block_values_changes(const struct block_values *before, const struct block_values *after,
                            struct value_change *changes, size_t room)
{
    size_t count = 0;
    for (size_t i = 0; i < after->count && count < room; i++) {
        const struct block_values_one *one = &after->of[i];
        const struct block_values_one *was = block_values_find(before, one->key);
        if (was == NULL || memcmp(was->bytes, one->bytes, sizeof one->bytes) != 0)
            changes[count++] = (struct value_change){
                .value = {.kind = VALUE_BLOCK, .key = one->key, .bytes = one->bytes,
                          .length = sizeof one->bytes, .until_ms = one->in_force.until_ms},
                .replaces = VALUE_ANY};
    }
    for (size_t i = 0; i < before->count && count < room; i++)
        if (block_values_find(after, before->of[i].key) == NULL)
            changes[count++] = (struct value_change){
                .value = {.kind = VALUE_BLOCK, .key = before->of[i].key, .until_ms = UNTIL_LIFTED},
                .replaces = VALUE_ANY};
    return count;
}
