#include "store/packed_pair.h"

#include <string.h>

#include "base/clock.h"
#include "base/packed.h"

#define TIME_MASK ((UINT64_C(1) << COUNTED_TIME_BITS) - 1)
#define CHANNEL_MASK ((UINT64_C(1) << COUNTED_CHANNEL_BITS) - 1)

bool packed_pair_is_whole(size_t length)
{
    return length % PAIR_BYTES == 0 && length <= PAIR_MAX_BYTES;
}

struct entry packed_pair_entry(const uint8_t *bytes, size_t at)
{
    const uint8_t *next = bytes + at * PAIR_BYTES;
    uint64_t time = packed_get(&next, PAIR_TIME_BYTES);
    uint64_t channel = time >> COUNTED_TIME_BITS & CHANNEL_MASK;
    return (struct entry){
        .time_ms = (int64_t)(time & TIME_MASK),
        .channel = channel < CHANNEL_COUNT ? (enum channel)channel : CHANNEL_WEBMAIL};
}

static void put_time(uint8_t *bytes, const struct entry *entry)
{
    packed_put(bytes, ((uint64_t)entry->time_ms & TIME_MASK) |
                          (uint64_t)entry->channel << COUNTED_TIME_BITS, PAIR_TIME_BYTES);
}

void packed_pair_put(const struct counted *counted, uint8_t bytes_r[PAIR_BYTES])
{
    put_time(bytes_r, &counted->entry);
    packed_put(packed_put(bytes_r + PAIR_TIME_BYTES, counted->id_hash, 4), counted->fingerprint, 2);
}

bool packed_pair_mend(uint8_t *bytes, size_t length, int64_t now_ms)
{
    size_t count = length / PAIR_BYTES, first = count;
    while (first > 0 && packed_pair_entry(bytes, first - 1).time_ms > now_ms + CLOCK_AHEAD_MS)
        first--;
    int64_t before_ms = first > 0 ? packed_pair_entry(bytes, first - 1).time_ms : 0;
    for (size_t i = first; i < count; i++) {
        struct entry entry = packed_pair_entry(bytes, i);
        entry.time_ms = before_ms > now_ms ? before_ms : now_ms;
        put_time(bytes + i * PAIR_BYTES, &entry);
    }
    return first < count;
}

size_t packed_pair_past(const uint8_t *bytes, size_t length, int64_t at_ms)
{
    size_t low = 0, high = length / PAIR_BYTES;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (window_holds(packed_pair_entry(bytes, middle).time_ms, PAIR_WINDOW_MS, at_ms))
            high = middle;
        else
            low = middle + 1;
    }
    return low * PAIR_BYTES;
}

size_t packed_pair_add(uint8_t *bytes, size_t length, const struct counted *counted)
{
    struct counted added = *counted;
    if (length > 0) {
        int64_t newest_ms = packed_pair_entry(bytes, length / PAIR_BYTES - 1).time_ms;
        if (newest_ms > added.entry.time_ms)
            added.entry.time_ms = newest_ms;
    }
    size_t past = packed_pair_past(bytes, length, added.entry.time_ms);
    if (length - past == PAIR_MAX_BYTES)
        past += PAIR_BYTES;
    memmove(bytes, bytes + past, length - past);
    packed_pair_put(&added, bytes + length - past);
    return length - past + PAIR_BYTES;
}

size_t packed_pair_take_out(uint8_t *bytes, size_t length, const struct counted *counted)
{
    uint8_t wanted[PAIR_BYTES];
    packed_pair_put(counted, wanted);
    for (size_t at = length; at > 0; at -= PAIR_BYTES)
        if (memcmp(bytes + at - PAIR_IDENTITY_BYTES, wanted + PAIR_TIME_BYTES,
                   PAIR_IDENTITY_BYTES) == 0) {
            memmove(bytes + at - PAIR_BYTES, bytes + at, length - at);
            return length - PAIR_BYTES;
        }
    return length;
}

struct history packed_pair_history(struct arena *arena, const uint8_t *bytes, size_t length,
                                   int64_t at_ms)
{
    size_t past = packed_pair_past(bytes, length, at_ms);
    struct history history = {.count = (length - past) / PAIR_BYTES};
    history.entries = arena_alloc(arena, history.count * sizeof history.entries[0]);
    for (size_t i = 0; i < history.count; i++)
        history.entries[i] = packed_pair_entry(bytes + past, i);
    return history;
}

static int64_t oldest_of(const struct history *history) { return history->entries[0].time_ms; }

static int64_t newest_of(const struct history *history)
{
    return history->entries[history->count - 1].time_ms;
}

void packed_pair_most(struct arena *arena, uint64_t recipient, const uint8_t *bytes, size_t length,
                      struct pair_most *most)
{
    const struct history *before = &most->history;
    size_t count = length / PAIR_BYTES;
    if (count == 0 || count < before->count)
        return;
    int64_t oldest_ms = packed_pair_entry(bytes, 0).time_ms;
    int64_t newest_ms = packed_pair_entry(bytes, count - 1).time_ms;
    bool comes = count > before->count                   ? true
                 : oldest_ms != oldest_of(before) ? oldest_ms > oldest_of(before)
                 : newest_ms != newest_of(before) ? newest_ms > newest_of(before)
                                                   : recipient > most->recipient;
    if (comes)
        *most = (struct pair_most){recipient, packed_pair_history(arena, bytes, length, 0)};
}

struct outcome_window *packed_pair_window(struct judge_result *result)
{
    for (size_t i = 0; i < result->window_count; i++)
        if (rule_table[result->windows[i].rule].subject == SUBJECT_RECIPIENT)
            return &result->windows[i];
    return NULL;
}

static bool comes_before(const struct pair_told *told, const struct pair_told *other)
{
    return told->over != other->over           ? told->over
           : told->fits_ms != other->fits_ms ? told->fits_ms > other->fits_ms
                                             : told->used > other->used;
}

static void add_over(const struct judge_request *request, struct judge_result *result,
                     const struct pair_told *one)
{
    if (result->over == NULL)
        result->over =
            arena_alloc(request->arena, request->recipient_count * sizeof result->over[0]);
    result->over[result->over_count++] =
        (struct judge_recipient){one->place, one->used, one->fits_ms};
}

void packed_pair_look(const struct judge_request *request, struct judge_result *result,
                      size_t place, const uint8_t *bytes, size_t length, struct pair_told *told)
{
    struct outcome_window *window = packed_pair_window(result);
    if (window == NULL)
        return;
    size_t past = packed_pair_past(bytes, length, result->at_ms);
    struct pair_told one = {.place = place, .used = (length - past) / PAIR_BYTES};
    one.over = !window_fits(one.used, 1, window->limit);
    if (one.over) {
        uint64_t by_channel = 0;
        size_t leaves = one.used - (size_t)window->limit; /* the last that has to leave */
        one.fits_ms = window->limit == 0
                          ? WINDOW_NEVER
                          : packed_pair_entry(bytes + past, leaves).time_ms + PAIR_WINDOW_MS;
        for (size_t i = 0; i < one.used; i++)
            by_channel += packed_pair_entry(bytes + past, i).channel == request->channel;
        if (by_channel > window->used_by_channel)
            window->used_by_channel = by_channel;
        window->over = true;
        add_over(request, result, &one);
    }
    if (comes_before(&one, told)) {
        *told = one;
        window->used_before = one.used;
    }
}
