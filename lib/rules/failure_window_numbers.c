/* The numbers of a window, or of what made a block. */
#include <stdlib.h>
#include <string.h>

#include "rules/failure_window_inside.h"

static int by_number(const void *one, const void *other)
{
    const uint64_t *a = one, *b = other;
    return *a < *b ? -1 : *a > *b;
}

static uint32_t distinct(uint64_t *numbers, size_t count)
{
    uint32_t distinct = count > 0;
    qsort(numbers, count, sizeof *numbers, by_number);
    for (size_t i = 1; i < count; i++)
        distinct += numbers[i] != numbers[i - 1];
    return distinct;
}

static int most_first(const void *one, const void *other)
{
    const struct failure_count *a = one, *b = other;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (int)a->why - (int)b->why;
}

/* Counts by the place of a name, and for sites by why they are left out. */
struct name_counts {
    uint32_t *of[FAILURE_LEFT_OUT_COUNT];
    size_t places;
};

/* The list of what is counted for the reasons from..to, and frees the counts of these. */
static struct failure_count *list_of(const struct failure_window *window,
                                     struct name_counts *counts, int from, int to,
                                     size_t *count_r)
{
    size_t count = 0;
    for (int why = from; why <= to; why++)
        for (size_t i = 0; i < counts->places; i++)
            count += counts->of[why][i] > 0;
    struct failure_count *list = xcalloc(count + 1, sizeof *list);
    *count_r = count;
    count = 0;
    for (int why = from; why <= to; why++) {
        for (size_t i = 0; i < counts->places; i++)
            if (counts->of[why][i] > 0)
                list[count++] = (struct failure_count){
                    .name = failure_names_at(&window->names, (uint32_t)i),
                    .why = (enum failure_left_out)why, .count = counts->of[why][i]};
        free(counts->of[why]);
    }
    qsort(list, count, sizeof *list, most_first);
    return list;
}

struct failure_numbers failure_window_numbers(const struct failure_window *window,
                                              const struct failure_block *block)
{
    struct failure_numbers numbers = {0};
    struct name_counts counts = {.places = window->names.bytes.length};
    uint64_t *messages = xcalloc(window->bad_count + 1, sizeof *messages);
    for (size_t why = 0; why < FAILURE_LEFT_OUT_COUNT; why++)
        counts.of[why] = xcalloc(counts.places + 1, sizeof *counts.of[why]);
    for (size_t i = 0; i < window->decided.count; i++) {
        const struct failure_entry *entry = &window->decided.of[i];
        if (entry->block != (block != NULL ? block->id : 0))
            continue;
        numbers.all += entry->left_out == FAILURE_COUNTS;
        if (entry->state == FAILURE_GOOD)
            continue;
        bool left_out = entry->left_out != FAILURE_COUNTS;
        counts.of[entry->left_out][left_out ? entry->site : entry->mailbox]++;
        if (left_out)
            continue;
        messages[numbers.bad++] = entry->message;
        numbers.by_class[entry->class]++;
    }
    numbers.messages = distinct(messages, numbers.bad);
    free(messages);
    numbers.by_mailbox = list_of(window, &counts, FAILURE_COUNTS, FAILURE_COUNTS,
                                 &numbers.mailbox_count);
    numbers.left_out = list_of(window, &counts, FAILURE_COUNTS + 1, FAILURE_LEFT_OUT_COUNT - 1,
                               &numbers.left_out_count);
    if (block != NULL) {
        numbers.bad += block->others_bad;
        numbers.all += block->others_all;
        numbers.messages += block->others_messages;
    }
    return numbers;
}

void failure_window_numbers_free(struct failure_numbers *numbers)
{
    free(numbers->by_mailbox);
    free(numbers->left_out);
    *numbers = (struct failure_numbers){0};
}
