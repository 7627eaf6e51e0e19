/* The first instant at which a window is broken. */
#include <stdlib.h>

#include "rules/failure_window_inside.h"
#include "rules/window.h"

static int64_t later(int64_t one, int64_t other) { return one > other ? one : other; }

/* How many are counted; the bad ones by their message, in a hash table. */
struct failure_tally {
    uint32_t bad, all, messages;
    struct of_message {
        uint64_t message;
        uint32_t bad;
        bool used;
    } *table;
    size_t mask;
};

static struct failure_tally tally_new(size_t bad_max)
{
    size_t size = 16;
    while (size < 2 * bad_max)
        size *= 2;
    return (struct failure_tally){.table = xcalloc(size, sizeof(struct of_message)),
                                  .mask = size - 1};
}

static struct of_message *of_message(struct failure_tally *tally, uint64_t message)
{
    size_t at = (size_t)((message * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & tally->mask;
    while (tally->table[at].used && tally->table[at].message != message)
        at = (at + 1) & tally->mask;
    tally->table[at].used = true;
    tally->table[at].message = message;
    return &tally->table[at];
}

static void tally_join(struct failure_tally *tally, const struct failure_entry *entry)
{
    tally->all++;
    if (entry->state == FAILURE_GOOD)
        return;
    tally->bad++;
    tally->messages += of_message(tally, entry->message)->bad++ == 0;
}

static void tally_leave(struct failure_tally *tally, const struct failure_entry *entry)
{
    tally->all--;
    if (entry->state == FAILURE_GOOD)
        return;
    tally->bad--;
    tally->messages -= --of_message(tally, entry->message)->bad == 0;
}

static bool is_broken(const struct failure_settings *settings, uint32_t bad, uint32_t all,
                      uint32_t messages)
{
    return settings->percent != LIMIT_OFF && bad >= settings->at_least &&
           messages >= settings->min_messages &&
           (uint64_t)bad * 100 >= (uint64_t)settings->percent * all;
}

int64_t failure_window_grace_end(const struct failure_window *window,
                                 const struct failure_settings *settings,
                                 const struct failure_entry *entry)
{
    return later(entry->time_ms + settings->grace_ms, window->time_ms);
}

/* Goes through the instants in which something changes by itself: what has been decided leaves, a
 * grace ends, what it made bad leaves. */
static int64_t sweep(const struct failure_window *window, const struct failure_settings *settings,
                     struct failure_tally *tally)
{
    const struct failure_list *decided = &window->decided, *graced = &window->graced;
    size_t left = 0, turned = 0, turned_left = 0;
    for (size_t i = 0; i < decided->count; i++)
        if (failure_window_is_open(&decided->of[i]))
            tally_join(tally, &decided->of[i]);
    for (int64_t at_ms = window->time_ms;;) {
        int64_t next_ms = FAILURE_NEVER, end_ms;
        for (; turned < graced->count; turned++) {
            end_ms = failure_window_grace_end(window, settings, &graced->of[turned]);
            if (end_ms > at_ms) {
                next_ms = end_ms;
                break;
            }
            tally_join(tally, &graced->of[turned]);
        }
        for (; left < decided->count; left++) {
            end_ms = decided->of[left].time_ms + settings->window_ms;
            if (failure_window_is_open(&decided->of[left]) && end_ms > at_ms) {
                next_ms = end_ms < next_ms ? end_ms : next_ms;
                break;
            }
            if (failure_window_is_open(&decided->of[left]))
                tally_leave(tally, &decided->of[left]);
        }
        for (; turned_left < turned; turned_left++) {
            end_ms = failure_window_grace_end(window, settings, &graced->of[turned_left]) +
                     settings->window_ms;
            if (end_ms > at_ms) {
                next_ms = end_ms < next_ms ? end_ms : next_ms;
                break;
            }
            tally_leave(tally, &graced->of[turned_left]);
        }
        if (is_broken(settings, tally->bad, tally->all, tally->messages))
            return at_ms;
        if (next_ms == FAILURE_NEVER)
            return FAILURE_NEVER;
        at_ms = next_ms;
    }
}

int64_t failure_window_breaks_at(const struct failure_window *window,
                                 const struct failure_settings *settings)
{
    size_t bad_max = window->bad_count + window->graced.count;
    if (settings->percent == LIMIT_OFF || bad_max < (size_t)settings->at_least)
        return FAILURE_NEVER;
    struct failure_tally tally = tally_new(bad_max);
    int64_t breaks_ms = sweep(window, settings, &tally);
    free(tally.table);
    return breaks_ms;
}

/* More entries stay than so many bad ones are a share of. */
bool failure_window_may_break(const struct failure_window *window,
                              const struct failure_settings *settings, int64_t at_ms)
{
    size_t bad_max = window->bad_count + window->graced.count;
    if (settings->percent == LIMIT_OFF || bad_max < (size_t)settings->at_least)
        return false;
    size_t broken_max = bad_max * 100 / (size_t)settings->percent + window->aside_count;
    return window->decided.count <= broken_max ||
           !window_holds(window->decided.of[window->decided.count - 1 - broken_max].time_ms,
                         settings->window_ms, at_ms);
}

/* ---- of blocks ------------------------------------------------------------------------------- */

/* What of a block, or (0) of what made none, is not left out. */
static struct failure_tally tally_of(const struct failure_window *window, uint32_t block)
{
    struct failure_tally tally = tally_new(window->bad_count);
    for (size_t i = 0; i < window->decided.count; i++) {
        const struct failure_entry *entry = &window->decided.of[i];
        if (entry->block == block && entry->left_out == FAILURE_COUNTS)
            tally_join(&tally, entry);
    }
    free(take(tally.table));
    return tally;
}

void failure_window_count_others(const struct failure_window *window, struct failure_block *block)
{
    struct failure_tally others = tally_of(window, 0);
    block->others_bad = others.bad;
    block->others_all = others.all;
    block->others_messages = others.messages;
}

bool failure_window_made(const struct failure_window *window,
                         const struct failure_settings *settings,
                         const struct failure_block *block)
{
    struct failure_tally own = tally_of(window, block->id);
    return is_broken(settings, own.bad + block->others_bad, own.all + block->others_all,
                     own.messages + block->others_messages);
}
