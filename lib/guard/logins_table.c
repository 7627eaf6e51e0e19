#include "guard/logins_table.h"

#include <stdlib.h>

enum { SIZE_FIRST = 64 };

void logins_entry_empty(struct logins_entry *entry)
{
    if (entry->is_network)
        login_network_free(&entry->of.network);
    else
        login_mailbox_free(&entry->of.mailbox);
}

void logins_table_free(struct logins_table *table)
{
    for (size_t i = 0; i < table->size; i++) {
        if (table->slots[i] != NULL)
            logins_entry_empty(table->slots[i]);
        free(table->slots[i]);
    }
    free(table->slots);
    *table = (struct logins_table){0};
}

/* The finalizer of splitmix64. */
static size_t home_of(const struct logins_table *table, uint64_t id)
{
    uint64_t mixed = id ^ table->seed;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (size_t)(mixed ^ mixed >> 31) & (table->size - 1);
}

/* The slot that has it, or the empty one where it would be. */
static size_t slot_of(const struct logins_table *table, uint64_t id)
{
    size_t slot = home_of(table, id);
    while (table->slots[slot] != NULL && table->slots[slot]->id != id)
        slot = (slot + 1) & (table->size - 1);
    return slot;
}

struct logins_entry *logins_table_find(const struct logins_table *table, uint64_t id)
{
    return table->size > 0 ? table->slots[slot_of(table, id)] : NULL;
}

static void grow(struct logins_table *table)
{
    struct logins_entry **before = table->slots;
    size_t size = table->size;
    table->size = size > 0 ? 2 * size : SIZE_FIRST;
    table->slots = xcalloc(table->size, sizeof *table->slots);
    for (size_t i = 0; i < size; i++)
        if (before[i] != NULL)
            table->slots[slot_of(table, before[i]->id)] = before[i];
    free(before);
}

struct logins_entry *logins_table_get(struct logins_table *table, uint64_t id, size_t max)
{
    struct logins_entry *found = logins_table_find(table, id);
    if (found != NULL || table->count >= max)
        return found;
    if (4 * (table->count + 1) > 3 * table->size)
        grow(table);
    struct logins_entry *made = xcalloc(1, sizeof *made);
    made->id = id;
    made->is_network = table->of_networks;
    table->slots[slot_of(table, id)] = made;
    table->count++;
    return made;
}

/* Those behind it move up, as far as their way from home leads over it. */
static void drop(struct logins_table *table, size_t slot)
{
    size_t mask = table->size - 1, empty = slot;
    logins_entry_empty(table->slots[slot]);
    free(table->slots[slot]);
    table->slots[slot] = NULL;
    table->count--;
    for (size_t next = (slot + 1) & mask; table->slots[next] != NULL; next = (next + 1) & mask) {
        size_t home = home_of(table, table->slots[next]->id);
        if (((next - home) & mask) < ((next - empty) & mask))
            continue;
        table->slots[empty] = table->slots[next];
        table->slots[next] = NULL;
        empty = next;
    }
}

static bool is_nothing(struct logins_entry *entry, int64_t now_ms)
{
    return entry->unwritten == 0 && (entry->is_network
                                         ? login_network_forget(&entry->of.network, now_ms)
                                         : login_mailbox_forget(&entry->of.mailbox, now_ms));
}

void logins_table_sweep(struct logins_table *table, size_t slots, int64_t now_ms)
{
    for (size_t i = 0; i < slots && table->size > 0; i++) {
        size_t slot = table->next & (table->size - 1);
        if (table->slots[slot] != NULL && is_nothing(table->slots[slot], now_ms))
            drop(table, slot); /* another may stand there now */
        else
            table->next = slot + 1;
    }
}
