/* Blocks that begin and end in a step, and outages that are seen in it. */
#include <stdlib.h>
#include <string.h>

#include "base/json_write.h"
#include "feedback/failures_inside.h"
#include "rules/suspension.h"

void failures_forget_events(struct failures *failures)
{
    g_array_set_size(failures->events, 0);
    arena_reset(failures->event_texts);
}

const struct failures_event *failures_events(const struct failures *failures, size_t *count_r)
{
    *count_r = failures->events->len;
    return (const struct failures_event *)(void *)failures->events->data;
}

/* ---- texts ------------------------------------------------------------------------------------ */

/* "@DOMAIN", or the mailbox that is blocked. */
static const char *subject_of(struct failures *failures, const struct held_failures *held,
                              const struct failure_block *block)
{
    const char *mailbox = failure_names_at(&held->window.names, block->mailbox);
    return mailbox != NULL ? arena_strdup(failures->event_texts, mailbox)
                           : arena_printf(failures->event_texts, "@%s", held->key);
}

/* As the audit log has suspensions: what was so before and after. */
static const char *detail_of(struct failures *failures, const struct failure_block *block,
                             const struct failure_numbers *numbers, const char *site)
{
    freed_by(text_free) struct text text = {0};
    struct json_writer writer = json_write_text(&text);
    if (numbers != NULL)
        json_write_null(&writer, "before");
    json_write_object(&writer, numbers != NULL ? "after" : "before");
    json_write_int(&writer, "id", block->id);
    json_write_string(&writer, "cause", cause_names[CAUSE_FAILURES]);
    json_write_moment(&writer, "since", block->from_ms);
    json_write_moment(&writer, "until", block->until_ms);
    if (numbers != NULL) {
        json_write_int(&writer, "bad", numbers->bad);
        json_write_int(&writer, "all", numbers->all);
        json_write_int(&writer, "messages", numbers->messages);
    } else {
        json_write_string(&writer, "destination", site);
    }
    json_write_end(&writer);
    if (numbers == NULL)
        json_write_null(&writer, "after");
    json_write_end(&writer);
    return arena_strndup(failures->event_texts, text.data, text.length);
}

static void add_begun(struct failures *failures, const struct held_failures *held,
                      const struct failure_block *block)
{
    struct failure_numbers numbers = failure_window_numbers(&held->window, block);
    const char *culprit = failure_names_at(&held->window.names, block->culprit);
    const struct failures_event event = {
        .what = FAILURES_BLOCKED,
        .subject = subject_of(failures, held, block),
        .note = arena_printf(failures->event_texts, "%u of %u recipients failed or were deferred",
                             numbers.bad, numbers.all),
        .detail = detail_of(failures, block, &numbers, NULL),
        .suspends = block->suspends ? arena_strdup(failures->event_texts, culprit) : NULL};
    g_array_append_val(failures->events, event);
    failure_window_numbers_free(&numbers);
}

static void add_ended(struct failures *failures, const struct held_failures *held,
                      const struct failure_block *block, const char *site)
{
    const struct failures_event event = {
        .what = FAILURES_UNBLOCKED,
        .subject = subject_of(failures, held, block),
        .note = arena_printf(failures->event_texts, "outage of %s", site),
        .detail = detail_of(failures, block, NULL, site)};
    g_array_append_val(failures->events, event);
}

/* ---- what happens ------------------------------------------------------------------------------- */

void failures_note_begun(struct failures *failures, struct held_failures *held)
{
    const struct failure_window *window = &held->window;
    if (window->last_block < held->noted_block)
        held->noted_block = 0; /* it has begun anew */
    for (size_t i = 0; i < window->block_count; i++)
        if (window->blocks[i].id > held->noted_block)
            add_begun(failures, held, &window->blocks[i]);
    held->noted_block = window->last_block;
}

void failures_pass(struct failures *failures, struct held_failures *held, int64_t until_ms)
{
    int64_t breaks_ms;
    while ((breaks_ms = failure_window_breaks_at(&held->window, failures->settings)) < until_ms) {
        failure_window_pass(&held->window, failures->settings, breaks_ms + 1);
        failures_note_begun(failures, held);
    }
}

void failures_leave_out(struct failures *failures, struct held_failures *held,
                        const struct failure_excuse *excuse, int64_t at_ms)
{
    bool had_ended[FAILURE_BLOCKS_MAX];
    const struct failure_window *window = &held->window;
    failure_window_pass(&held->window, failures->settings, at_ms);
    failures_note_begun(failures, held);
    for (size_t i = 0; i < window->block_count; i++)
        had_ended[i] = window->blocks[i].ended == FAILURE_BY_OUTAGE;
    if (failure_window_leave_out(&held->window, failures->settings, excuse, at_ms) == 0)
        return;
    for (size_t i = 0; i < window->block_count; i++)
        if (window->blocks[i].ended == FAILURE_BY_OUTAGE && !had_ended[i])
            add_ended(failures, held, &window->blocks[i], excuse->site);
}

void failures_note_outage(struct failures *failures, const struct held_failures *site)
{
    const struct failures_event event = {
        .what = FAILURES_OUTAGE_SEEN,
        .subject = arena_strdup(failures->event_texts, site->key),
        .note = "failures there are left out"};
    g_array_append_val(failures->events, event);
}
