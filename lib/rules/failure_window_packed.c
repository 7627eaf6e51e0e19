/* The packed form. Of each block: varint id, 8 from, 8 until, mailbox, culprit (places of names),
 * 1 how it ended, and whether it suspends (upper bit), varints others' bad, all, messages. Of each
 * entry: 1 flags (below), varint ms since the one before (the first: since 1970), mailbox, varint
 * block where flags say that there is one; of one that is not good: 8 unit, 8 message, site, 1
 * class. */
#include <string.h>

#include "rules/failure_window_inside.h"

enum { FORMAT = 1 };
enum { /* flags: two bits state, two kind, two left out, one block */
    KIND_SHIFT = 2,
    LEFT_OUT_SHIFT = 4,
    FLAG_BLOCK = 1 << 6,
    SUSPENDS = 1 << 7,
};
/* So far from 1970 no sum of times is out of range. */
#define TIME_MAX (INT64_MAX / 4)

static void add_block(struct text *out, const struct failure_block *block)
{
    packed_add_number(out, block->id);
    packed_add_fixed(out, (uint64_t)block->from_ms, 8);
    packed_add_fixed(out, (uint64_t)block->until_ms, 8);
    failure_names_add_place(out, block->mailbox);
    failure_names_add_place(out, block->culprit);
    text_add_char(out, (char)(block->ended | (block->suspends ? SUSPENDS : 0)));
    packed_add_number(out, block->others_bad);
    packed_add_number(out, block->others_all);
    packed_add_number(out, block->others_messages);
}

static void add_list(struct text *out, const struct failure_list *list)
{
    int64_t before_ms = 0;
    packed_add_number(out, list->count);
    for (size_t i = 0; i < list->count; i++) {
        const struct failure_entry *entry = &list->of[i];
        text_add_char(out, (char)(entry->state | entry->kind << KIND_SHIFT |
                                  entry->left_out << LEFT_OUT_SHIFT |
                                  (entry->block != 0 ? FLAG_BLOCK : 0)));
        packed_add_number(out, (uint64_t)(entry->time_ms - before_ms));
        before_ms = entry->time_ms;
        failure_names_add_place(out, entry->mailbox);
        if (entry->block != 0)
            packed_add_number(out, entry->block);
        if (entry->state == FAILURE_GOOD)
            continue;
        packed_add_fixed(out, entry->unit, 8);
        packed_add_fixed(out, entry->message, 8);
        failure_names_add_place(out, entry->site);
        text_add_char(out, (char)entry->class);
    }
}

void failure_window_add(struct text *out, struct failure_window *window)
{
    failure_window_forget_names(window);
    text_add_char(out, FORMAT);
    packed_add_fixed(out, (uint64_t)window->time_ms, 8);
    packed_add_fixed(out, (uint64_t)window->closed_ms, 8);
    packed_add_number(out, window->last_block);
    packed_add_number(out, window->missed);
    packed_add_fixed(out, (uint64_t)window->missed_ms, 8);
    failure_names_add(out, &window->names);
    packed_add_number(out, window->block_count);
    for (size_t i = 0; i < window->block_count; i++)
        add_block(out, &window->blocks[i]);
    add_list(out, &window->decided);
    add_list(out, &window->graced);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void refuse_unless(struct packed_rest *rest, bool good)
{
    if (!good)
        rest->next = NULL;
}

static int64_t read_time(struct packed_rest *rest)
{
    uint64_t time = packed_fixed(rest, 8);
    refuse_unless(rest, time <= TIME_MAX);
    return (int64_t)(time <= TIME_MAX ? time : 0);
}

static uint32_t read_small(struct packed_rest *rest)
{
    uint64_t number = packed_number(rest);
    refuse_unless(rest, number <= UINT32_MAX);
    return (uint32_t)number;
}

static void read_block(struct packed_rest *rest, struct failure_window *window)
{
    struct failure_block block = {.id = read_small(rest), .from_ms = read_time(rest)};
    block.until_ms = read_time(rest);
    block.mailbox = failure_names_read_place(rest, &window->names);
    block.culprit = failure_names_read_place(rest, &window->names);
    uint8_t ended = (uint8_t)packed_fixed(rest, 1);
    block.suspends = (ended & SUSPENDS) != 0;
    block.ended = ended & (SUSPENDS - 1);
    block.others_bad = read_small(rest);
    block.others_all = read_small(rest);
    block.others_messages = read_small(rest);
    uint32_t before = window->block_count > 0 ? window->blocks[window->block_count - 1].id : 0;
    refuse_unless(rest, rest->next == NULL ||
                            (block.id > before && block.id <= window->last_block &&
                             block.ended < FAILURE_END_COUNT));
    window->blocks[window->block_count++] = block;
}

/* What the entry says is what an entry may say. */
static bool is_sound(const struct failure_window *window, const struct failure_entry *entry,
                     bool graced)
{
    bool good = entry->state == FAILURE_GOOD;
    if (entry->state > FAILURE_GRACED || graced != (entry->state == FAILURE_GRACED) ||
        entry->kind >= FAILURE_KIND_COUNT || entry->left_out >= FAILURE_LEFT_OUT_COUNT ||
        entry->class >= FAILURE_CLASSES || (graced && entry->block != 0) ||
        ((good || graced) && entry->left_out != FAILURE_COUNTS))
        return false;
    return (good || (entry->mailbox != FAILURE_NOBODY && entry->site != FAILURE_NOBODY)) &&
           (entry->block == 0 || failure_window_block_of(window, entry->block) != NULL) &&
           entry->time_ms <= window->time_ms;
}

static void read_entry(struct packed_rest *rest, struct failure_window *window,
                       struct failure_list *list, bool graced)
{
    uint8_t flags = (uint8_t)packed_fixed(rest, 1);
    struct failure_entry entry = {.site = FAILURE_NOBODY,
                                  .state = flags & 3,
                                  .kind = flags >> KIND_SHIFT & 3,
                                  .left_out = flags >> LEFT_OUT_SHIFT & 3};
    uint64_t since = packed_number(rest);
    refuse_unless(rest, since <= TIME_MAX);
    entry.time_ms = (int64_t)(since <= TIME_MAX ? since : 0);
    if (list->count > 0)
        entry.time_ms += list->of[list->count - 1].time_ms;
    entry.mailbox = failure_names_read_place(rest, &window->names);
    if ((flags & FLAG_BLOCK) != 0)
        entry.block = read_small(rest);
    if (entry.state != FAILURE_GOOD) {
        entry.unit = packed_fixed(rest, 8);
        entry.message = packed_fixed(rest, 8);
        entry.site = failure_names_read_place(rest, &window->names);
        entry.class = (uint8_t)packed_fixed(rest, 1);
    }
    refuse_unless(rest, rest->next == NULL || is_sound(window, &entry, graced));
    list->of[list->count++] = entry;
    window->bad_count += entry.state == FAILURE_BAD;
    window->aside_count += !failure_window_is_open(&entry);
}

static void read_list(struct packed_rest *rest, struct failure_window *window,
                      struct failure_list *list, bool graced)
{
    uint64_t count = packed_number(rest);
    refuse_unless(rest, count <= FAILURE_ENTRIES_MAX);
    if (rest->next == NULL || count == 0)
        return;
    list->room = (size_t)count;
    list->of = xcalloc(list->room, sizeof *list->of);
    while (rest->next != NULL && list->count < count)
        read_entry(rest, window, list, graced);
}

int failure_window_read(const void *bytes, size_t length, struct failure_window *window_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    struct failure_window window = {0};
    refuse_unless(&rest, packed_fixed(&rest, 1) == FORMAT);
    window.time_ms = read_time(&rest);
    window.closed_ms = read_time(&rest);
    window.last_block = read_small(&rest);
    window.missed = read_small(&rest);
    window.missed_ms = read_time(&rest);
    failure_names_read(&rest, &window.names);
    uint64_t blocks = packed_number(&rest);
    refuse_unless(&rest, blocks <= FAILURE_BLOCKS_MAX);
    if (blocks > 0 && rest.next != NULL)
        window.blocks = xcalloc(FAILURE_BLOCKS_MAX, sizeof *window.blocks);
    while (rest.next != NULL && window.block_count < blocks)
        read_block(&rest, &window);
    read_list(&rest, &window, &window.decided, false);
    read_list(&rest, &window, &window.graced, true);
    int good = rest.next == rest.end;
    if (!good)
        failure_window_free(&window);
    *window_r = window;
    return good;
}
