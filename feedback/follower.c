#include <glib.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "base/log.h"
#include "feedback/follower_inside.h"

/* So long a message that is in no log waits for logs that were not read so far. */
#define WAIT_FOR_OTHERS_MS (10 * MINUTE_MS)
/* Somebody who began to hand in a message and did not finish is forgotten. */
#define UNFINISHED_MS HOUR_MS
/* ---- making -------------------------------------------------------------------------------------- */

/* The counts that are kept with the cursor. */
static const struct {
    const char *name;
    size_t offset;
} kept_counts[] = {
    {"lines", offsetof(struct follower_counts, lines)},
    {"messages", offsetof(struct follower_counts, messages)},
    {"outcomes", offsetof(struct follower_counts, outcomes)},
    {"refunds", offsetof(struct follower_counts, refunds)},
    {"refunds_failed", offsetof(struct follower_counts, refunds_failed)},
    {"gaps", offsetof(struct follower_counts, gaps)},
    {"malformed", offsetof(struct follower_counts, malformed)},
    {"blocks", offsetof(struct follower_counts, blocks)},
    {"blocks_ended", offsetof(struct follower_counts, blocks_ended)},
    {"outages", offsetof(struct follower_counts, outages)},
    {"suspensions", offsetof(struct follower_counts, suspensions)},
    {"recipients_blocked", offsetof(struct follower_counts, recipients_blocked)},
    {"recipients_opened", offsetof(struct follower_counts, recipients_opened)},
};

static uint64_t *count_at(struct follower_counts *counts, size_t place)
{
    return (uint64_t *)((char *)counts + kept_counts[place].offset);
}

/* The cursor is JSON: the place in the log, how far the records of decisions were read, until when
 * nothing more will come (read_ms), how many messages are in the queue, and counts. */
static void read_cursor(struct follower *follower, const struct value *value, uint64_t *after_r,
                        uint64_t *newest_r)
{
    freed_by(json_put) struct json_object *cursor = json_read(value->bytes);
    follower->version = value->version;
    const char *place = json_string(cursor, "place", NULL);
    follower->place = place != NULL ? xstrdup(place) : NULL;
    *after_r = (uint64_t)json_int(cursor, "admitted_after", 0);
    *newest_r = (uint64_t)json_int(cursor, "admitted_newest", 0);
    follower->counts.log_ms = json_int(cursor, "log_ms", 0);
    follower->read_ms = follower->told_ms = json_int(cursor, "read_ms", 0);
    follower->gap_ms = json_int(cursor, "gap_ms", 0);
    for (size_t i = 0; i < countof(kept_counts); i++)
        *count_at(&follower->counts, i) = (uint64_t)json_int(cursor, kept_counts[i].name, 0);
}

int follower_new(struct store *store, const struct token_key *key, const char *source,
                 int64_t now_ms, struct follower **follower_r)
{
    freed_by(follower_free) struct follower *follower = xcalloc(1, sizeof *follower);
    struct value cursor;
    uint64_t after = 0;
    follower->store = store;
    follower->hash_keys.key = key;
    follower->source = xstrdup(source);
    follower->step_lines_max = FOLLOWER_LINES_MIN;
    follower->arena = arena_new();
    follower->deliveries = deliveries_new(store, &follower->hash_keys, source);
    follower->failures = failures_new(store);
    follower->recipients = recipient_failures_new(store);
    follower->open = open_messages_new(source);
    follower->strangers = follower_new_strangers();
    follower->older_strangers = follower_new_strangers();
    follower->looked_at = follower_new_looked_at();
    follower->effects = follower_new_effects();
    follower->changes = xcalloc(VALUES_AT_ONCE, sizeof *follower->changes);
    follower->done = xcalloc(1, sizeof *follower->done);
    int found = store_value(store, follower->arena, VALUE_CURSOR, source, now_ms, &cursor);
    if (found < 0)
        return -1;
    if (found > 0)
        read_cursor(follower, &cursor, &after, &follower->newest_before);
    arena_reset(follower->arena);
    follower->admitted = admitted_new(store, after, follower->newest_before);
    follower->clock_ms = follower->read_ms;
    if (open_messages_load(follower->open, store, now_ms) < 0)
        return -1;
    *follower_r = take(follower);
    return 1;
}

static void forget_refunds(struct follower *follower)
{
    for (size_t i = 0; i < follower->refund_count; i++) {
        free((char *)(uintptr_t)follower->refunds[i].mailbox);
        free((char *)(uintptr_t)follower->refunds[i].id);
    }
    follower->refund_count = 0;
}

void follower_free(struct follower **follower)
{
    if (*follower == NULL)
        return;
    forget_refunds(*follower);
    deliveries_free(&(*follower)->deliveries);
    failures_free(&(*follower)->failures);
    recipient_failures_free(&(*follower)->recipients);
    open_messages_free(&(*follower)->open);
    admitted_free(&(*follower)->admitted);
    g_hash_table_destroy((*follower)->strangers);
    g_hash_table_destroy((*follower)->older_strangers);
    g_hash_table_destroy((*follower)->looked_at);
    follower_free_effects(&(*follower)->effects);
    arena_free(&(*follower)->arena);
    keyed_hash_forget(&(*follower)->hash_keys);
    free((*follower)->changes);
    free((*follower)->done);
    free((*follower)->source);
    free((*follower)->place);
    free(*follower);
    *follower = NULL;
}

void follower_set_settings(struct follower *follower, const struct settings *settings)
{
    follower->settings = settings;
}

void follower_tell(struct follower *follower, void (*saw)(void *self, const char *mailbox),
                   void *self)
{
    follower->saw = saw;
    follower->saw_self = self;
}

const char *follower_place(const struct follower *follower) { return follower->place; }

void follower_counts(const struct follower *follower, struct follower_counts *counts_r)
{
    *counts_r = follower->counts;
    counts_r->open = open_messages_count(follower->open);
}

static size_t change_count(const struct follower *follower)
{
    return deliveries_change_count(follower->deliveries) +
           open_messages_change_count(follower->open) +
           failures_change_count(follower->failures) +
           recipient_failures_change_count(follower->recipients);
}

/* If the step has room for what it may find. 1 or -1. */
static int look_at_blocks(struct follower *follower, int64_t now_ms)
{
    enum { ROOM = 512 };
    return change_count(follower) + ROOM <= VALUES_AT_ONCE
               ? follower_look_at_blocks(follower, now_ms) : 1;
}

/* ---- gaps ----------------------------------------------------------------------------------------------- */

/* Lines may still come, much later. */
static int note_gap(struct follower *follower, const struct admitted_message *admitted,
                    int64_t now_ms)
{
    struct open_message *open = open_messages_put(follower->open, admitted->queue_id,
                                                  decision_time(admitted->decision));
    char decision[DECISION_TEXT_SIZE];
    open->silent = true;
    if (follower_link(follower, open, admitted, now_ms) < 0)
        return -1;
    decision_format(admitted->decision, decision);
    log_line(LOG_WARNING_LEVEL, "the log has no line of an admitted message", "queue_id",
             admitted->queue_id, "decision", decision, NULL);
    follower->counts.gaps++;
    follower->gap_ms = now_ms;
    follower->new_lines = true;
    admitted_remove(follower->admitted, open->queue_id);
    return 1;
}

/* Of one that may be in a log that is not read so far, its own follower knows more after a while. */
static int look_at_gap(struct follower *follower, struct elsewhere *elsewhere,
                       const struct admitted_message *admitted, int64_t now_ms)
{
    int64_t admitted_ms = decision_time(admitted->decision);
    switch (elsewhere_find(elsewhere, admitted, admitted_ms + FOLLOWER_GAP_MS)) {
    case ELSEWHERE_FAILED: return -1;
    case ELSEWHERE_NOT: return note_gap(follower, admitted, now_ms);
    case ELSEWHERE_WAIT:
        if (now_ms < admitted_ms + WAIT_FOR_OTHERS_MS)
            return 0;
        break;
    case ELSEWHERE_THEIRS: break;
    }
    admitted_remove(follower->admitted, admitted->queue_id);
    return 1;
}

/* 1 or -1. */
static int look_for_gaps(struct follower *follower, int64_t read_ms, int64_t now_ms)
{
    freed_by(elsewhere_free) struct elsewhere *elsewhere = NULL;
    const struct admitted_message *admitted;
    int answer = 1;
    while (answer > 0 && !follower_is_full(follower) &&
           (admitted = admitted_oldest(follower->admitted, read_ms - FOLLOWER_GAP_MS)) != NULL) {
        if (elsewhere == NULL && now_ms >= follower->looked_ms &&
            now_ms < follower->looked_ms + 5 * SECOND_MS)
            return 1;
        follower->looked_ms = now_ms;
        answer = elsewhere != NULL ? 1 : elsewhere_look(follower->store, follower->source, now_ms,
                                                        &elsewhere);
        if (answer > 0)
            answer = look_at_gap(follower, elsewhere, admitted, now_ms);
    }
    return answer < 0 ? -1 : 1;
}

int follower_read_until(struct follower *follower, int64_t read_ms, int64_t now_ms)
{
    if (follower->place == NULL && follower->counts.lines == 0)
        return 1; /* from the first line on */
    follower->read_ms = read_ms;
    if (follower_read_before(follower, 5 * SECOND_MS, now_ms) &&
        follower_read_again(follower, read_ms, now_ms) < 0)
        return -1;
    if (look_for_gaps(follower, read_ms, now_ms) < 0 ||
        look_at_blocks(follower, now_ms) < 0)
        return -1;
    if (now_ms >= follower->swept_ms + MINUTE_MS) {
        follower->swept_ms = now_ms;
        open_messages_sweep(follower->open, follower->counts.log_ms - UNFINISHED_MS);
    }
    return 1;
}

/* ---- writing -------------------------------------------------------------------------------------------- */

/* That nothing came is worth knowing too: who watches sees a follower that goes on. */
bool follower_has_changes(const struct follower *follower)
{
    return follower->new_lines || change_count(follower) > 0 ||
           follower->read_ms >= follower->told_ms + MINUTE_MS;
}

/* A line changes seven values at most, and one that begins a message handed back by a filter those of
 * the lines that were kept for it. What lines add takes little beside what their values had. */
bool follower_is_full(const struct follower *follower)
{
    enum { OF_A_LINE = 7 * (1 + FOLLOWER_STRANGER_LINES_MAX) };
    return follower->step_lines >= follower->step_lines_max ||
           deliveries_change_bytes(follower->deliveries) > VALUES_STEP_MAX_BYTES / 2 ||
           failures_change_bytes(follower->failures) > VALUES_STEP_MAX_BYTES / 4 ||
           recipient_failures_is_full(follower->recipients) ||
           change_count(follower) + 1 + OF_A_LINE > VALUES_AT_ONCE ||
           follower->refund_count + 1 + FOLLOWER_STRANGER_LINES_MAX > VALUES_REFUNDS_MAX;
}

size_t follower_lines_next(size_t lines, int64_t held_us)
{
    enum { LEAST_US = 10000, MOST_US = 20000 };
    if (held_us < LEAST_US)
        lines += lines / 4;
    else if (held_us > MOST_US)
        lines -= lines / 4;
    return lines < FOLLOWER_LINES_MIN   ? FOLLOWER_LINES_MIN
           : lines > FOLLOWER_LINES_MAX ? FOLLOWER_LINES_MAX
                                        : lines;
}

/* A step that ended early says nothing about one that is full. */
static void end_step(struct follower *follower)
{
    if (follower->step_lines >= follower->step_lines_max)
        follower->step_lines_max =
            follower_lines_next(follower->step_lines_max, follower->done->held_us);
    follower->step_lines = 0;
}

static void write_cursor(struct follower *follower, const char *place, struct text *out)
{
    struct json_object *cursor = json_object_new_object();
    json_add_string(cursor, "place", place);
    json_add_int(cursor, "admitted_after", (int64_t)admitted_position(follower->admitted));
    json_add_int(cursor, "admitted_newest", (int64_t)admitted_newest(follower->admitted));
    json_add_int(cursor, "log_ms", follower->counts.log_ms);
    json_add_int(cursor, "read_ms", follower->read_ms);
    json_add_int(cursor, "gap_ms", follower->gap_ms);
    json_add_int(cursor, "open", (int64_t)open_messages_count(follower->open));
    for (size_t i = 0; i < countof(kept_counts); i++)
        json_add_int(cursor, kept_counts[i].name, (int64_t)*count_at(&follower->counts, i));
    text_clear(out);
    text_add(out, json_object_to_json_string_ext(cursor, JSON_C_TO_STRING_PLAIN));
    json_object_put(cursor);
}

/* It is not tried again: a damaged history judges no message either, and who repairs it does away
 * with what it counts. */
static void note_refunds(struct follower *follower)
{
    for (size_t i = 0; i < follower->refund_count; i++) {
        if (follower->done->refunded[i] >= 0)
            continue;
        log_line(LOG_ERROR_LEVEL, "not refunded: what is kept of the mailbox is damaged", "mailbox",
                 follower->refunds[i].mailbox, NULL);
        follower->counts.refunds_failed++;
        follower->new_lines = true;
    }
    forget_refunds(follower);
}

/* Other followers change windows of sender domains and what is known of recipients too, staff and
 * judging the block lists: where one was first, the outcomes of this step are applied to what it has
 * written. The cursor is the first change. As store_values_change. */
static int write_step(struct follower *follower, const char *place, struct values_step *step)
{
    static const struct failure_settings defaults = FAILURE_DEFAULTS;
    const struct failure_settings *settings =
        follower->settings != NULL ? &follower->settings->failures : &defaults;
    enum { TRIES = 10 };
    freed_by(text_free) struct text cursor = {0};
    const struct follower_counts counts = follower->counts;
    size_t before = step->count, room = VALUES_AT_ONCE - before, of_failures;
    int answer = 0;
    room -= recipient_failures_change_count(follower->recipients);
    for (int tries = 0; tries < TRIES && answer == 0; tries++) {
        if (failures_changes(follower->failures, settings, step->now_ms,
                             follower->changes + before, room, &of_failures) < 0)
            return -1;
        step->count = before + of_failures;
        follower_add_effects(follower, &counts, step);
        if (follower_add_recipients(follower, &counts, step) < 0)
            return -1;
        write_cursor(follower, place, &cursor);
        follower->changes[0].value.bytes = cursor.data;
        follower->changes[0].value.length = cursor.length;
        answer = store_values_change(follower->store, step, follower->done);
        if (answer == 0 && follower->done->refused < before)
            return 0;
        if (answer == 0 && follower->done->refused < before + of_failures)
            failures_refused(follower->failures, follower->done->refused - before);
    }
    if (answer > 0) {
        follower_tell_effects(follower, step);
        failures_written(follower->failures, follower->done->versions + before);
        recipient_failures_written(follower->recipients);
    }
    return answer;
}

int follower_write(struct follower *follower, const char *place, int64_t now_ms)
{
    struct value_change *changes = follower->changes;
    if (look_at_blocks(follower, now_ms) < 0)
        return -1;
    if (1 + change_count(follower) > VALUES_AT_ONCE)
        return store_fail(follower->store, "too many changes at once");
    size_t of_open = open_messages_changes(follower->open, follower->arena, changes + 1,
                                           VALUES_AT_ONCE - 1);
    size_t count = 1 + of_open;
    count += deliveries_changes(follower->deliveries, changes + count, VALUES_AT_ONCE - count);
    changes[0] = (struct value_change){
        .value = {.kind = VALUE_CURSOR, .key = follower->source, .until_ms = UNTIL_LIFTED},
        .replaces = follower->version};
    struct values_step step = {.changes = changes, .count = count,
                                     .refunds = follower->refunds,
                                     .refund_count = follower->refund_count, .now_ms = now_ms};
    int answer = write_step(follower, place, &step);
    arena_reset(follower->arena);
    if (answer < 1)
        return answer;
    end_step(follower);
    follower->version = follower->done->versions[0];
    open_messages_written(follower->open, follower->done->versions + 1);
    deliveries_written(follower->deliveries, follower->done->versions + 1 + of_open);
    free(follower->place);
    follower->place = xstrdup(place);
    follower->new_lines = false;
    note_refunds(follower);
    follower->told_ms = follower->read_ms;
    return 1;
}
