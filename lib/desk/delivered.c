#include "desk/delivered.h"

#include <stdlib.h>
#include <string.h>

#include "base/decision.h"

/* ---- the logs -------------------------------------------------------------------------------- */

static void add_log(struct followed_logs *logs, const struct value *cursor,
                    struct json_object *tree)
{
    int64_t read_ms = json_int(tree, "read_ms", 0), log_ms = json_int(tree, "log_ms", 0);
    size_t at = logs->sources.count++;
    logs->of[at] = (struct followed){.source = cursor->key, .cursor = tree, .log_ms = log_ms,
                                     .read_ms = read_ms > log_ms ? read_ms : log_ms};
    logs->sources.of[at] = delivery_source(cursor->key);
}

int delivered_logs_read(const struct context *context, struct followed_logs *logs_r)
{
    struct value cursors[DELIVERY_SOURCES_MAX];
    struct json_object *trees[DELIVERY_SOURCES_MAX];
    struct store_page page = {.max = DELIVERY_SOURCES_MAX};
    *logs_r = (struct followed_logs){0};
    if (store_values(context->desk->store, context->arena, VALUE_CURSOR, "", context->now_ms,
                     cursors, &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count; i++) {
        trees[i] = json_read(cursors[i].bytes);
        if (cursors[i].until_ms == UNTIL_LIFTED)
            add_log(logs_r, &cursors[i], trees[i]);
    }
    logs_r->count = logs_r->sources.count;
    for (size_t i = 0; i < page.count; i++)
        if (cursors[i].until_ms != UNTIL_LIFTED)
            add_log(logs_r, &cursors[i], trees[i]);
    return 1;
}

void delivered_logs_end(struct followed_logs *logs)
{
    for (size_t i = 0; i < logs->sources.count; i++)
        json_put(&logs->of[i].cursor);
}

int64_t delivered_logs_until(const struct followed_logs *logs)
{
    int64_t until_ms = INT64_MAX;
    for (size_t i = 0; i < logs->count; i++)
        if (logs->of[i].read_ms < until_ms)
            until_ms = logs->of[i].read_ms;
    return logs->count > 0 ? until_ms : 0;
}

/* ---- the messages of a mailbox ----------------------------------------------------------------- */

/* Another machine's clock may already be at the next day. */
struct delivered delivered_begin(const struct context *context, const char *mailbox)
{
    struct delivered delivered = {.of_day = *context, .mailbox = mailbox,
                                  .day = (context->now_ms + CLOCK_AHEAD_MS) / DAY_MS};
    delivered.of_day.arena = arena_new();
    return delivered;
}

void delivered_end(struct delivered *delivered) { arena_free(&delivered->of_day.arena); }

int delivered_next(struct delivered *delivered, const struct followed_logs *logs)
{
    const struct context *context = &delivered->of_day;
    if (delivered->day < context->now_ms / DAY_MS - DELIVERY_DAYS)
        return 0;
    arena_reset(context->arena);
    return delivery_messages(context->desk->store, context->arena, &logs->sources,
                             delivered->mailbox, delivered->day--, context->now_ms,
                             &delivered->messages, &delivered->count);
}

/* ---- what servers said ---------------------------------------------------------------------------- */

static int compare_ids(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static void collect(const struct trace_message *messages, size_t count, struct replies *replies)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < messages[i].recipient_count; j++)
            if (messages[i].recipients[j].reply != 0)
                replies->ids[replies->count++] = messages[i].recipients[j].reply;
    if (replies->count > 1)
        qsort(replies->ids, replies->count, sizeof *replies->ids, compare_ids);
    size_t kept = 0;
    for (size_t i = 0; i < replies->count; i++)
        if (kept == 0 || replies->ids[kept - 1] != replies->ids[i])
            replies->ids[kept++] = replies->ids[i];
    replies->count = kept;
}

static const struct kept_reply not_kept = {
    .class = REPLY_OTHER, .code = "", .site = "", .words = ""};

/* At most VALUES_AT_ONCE, from the one at `first` on. 1 or -1. */
static int read_some(const struct context *context, struct replies *replies, size_t first,
                     size_t count)
{
    struct value *values = arena_alloc(context->arena, count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        char *key = arena_alloc(context->arena, DELIVERY_KEY_SIZE);
        delivery_reply_key(key, replies->ids[first + i]);
        values[i] = (struct value){.kind = VALUE_REPLY, .key = key};
    }
    if (store_values_get(context->desk->store, context->arena, values, count,
                         context->now_ms) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct kept_reply *reply = &replies->of[first + i];
        if (values[i].length == 0 ||
            !kept_reply_read(context->arena, values[i].bytes, values[i].length, reply))
            *reply = not_kept;
    }
    return 1;
}

int delivered_replies_read(const struct context *context, const struct trace_message *messages,
                           size_t count, struct replies *replies_r)
{
    size_t most = 0;
    for (size_t i = 0; i < count; i++)
        most += messages[i].recipient_count;
    *replies_r = (struct replies){.ids = arena_alloc(context->arena,
                                                     most * sizeof *replies_r->ids)};
    collect(messages, count, replies_r);
    replies_r->of = arena_alloc(context->arena, replies_r->count * sizeof *replies_r->of);
    for (size_t first = 0; first < replies_r->count; first += VALUES_AT_ONCE) {
        size_t left = replies_r->count - first;
        if (read_some(context, replies_r, first, left < VALUES_AT_ONCE ? left : VALUES_AT_ONCE) < 0)
            return -1;
    }
    return 1;
}

const struct kept_reply *delivered_reply(const struct replies *replies, uint64_t id)
{
    const uint64_t *found =
        replies->count > 0
            ? bsearch(&id, replies->ids, replies->count, sizeof id, compare_ids)
            : NULL;
    return found != NULL ? &replies->of[found - replies->ids] : &not_kept;
}

/* ---- what waits -------------------------------------------------------------------------------------- */

int delivered_holds_read(const struct context *context, const char *mailbox,
                         struct delivered_holds *holds_r)
{
    struct held_mailbox found;
    *holds_r = (struct delivered_holds){0};
    int waits = held_read(context->desk->store, context->arena, mailbox, context->now_ms, &found);
    if (waits > 0 && found.held.action == UNUSUAL_HOLD)
        holds_r->held = found.held;
    return waits < 0 || held_rejected(context->desk->store, context->arena, mailbox,
                                      context->now_ms, &holds_r->rejected) < 0 ? -1 : 1;
}

/* A question that the mail server asked again has a decision of its own, and the same queue id. */
static bool waits(const struct held *held, const struct trace_message *message)
{
    for (size_t i = 0; i < held->listed; i++)
        if (held->messages[i].decision == message->decision ||
            (strcmp(held->messages[i].queue_id, message->queue_id) == 0 &&
             held->messages[i].decision < message->decision))
            return true;
    return false;
}

static bool was_deleted(const struct held_rejected *rejected, const struct trace_message *message)
{
    for (size_t i = 0; i < rejected->decision_count; i++)
        if (rejected->decisions[i] == message->decision)
            return true;
    return false;
}

/* NULL: it does not wait, as far as is known. */
static const char *hold_of(const struct delivered_holds *holds, const struct trace_message *message)
{
    if (message->recipient_count > 0)
        return NULL;
    if (was_deleted(&holds->rejected, message))
        return "deleted";
    return !message->ended && waits(&holds->held, message) ? "waits" : NULL;
}

/* ---- as JSON ------------------------------------------------------------------------------------------ */

static void add_if_any(struct json_object *object, const char *name, const char *text)
{
    if (text[0] != '\0')
        json_add_string(object, name, text);
}

void delivered_add_outcome(struct json_object *object, const struct trace_recipient *recipient,
                           const struct replies *replies)
{
    const struct kept_reply *reply = delivered_reply(replies, recipient->reply);
    json_add_string(object, "outcome", delivery_names[recipient->delivery]);
    if (trace_has_class(recipient->delivery))
        json_add_string(object, "class", reply_class_names[recipient->class]);
    add_if_any(object, "code", reply->code);
    add_if_any(object, "site", reply->site);
    json_add_int(object, "attempts", recipient->attempts);
    json_add_moment(object, "first_at", recipient->first_ms);
    json_add_moment(object, "last_at", recipient->last_ms);
    add_if_any(object, "text", reply->words);
}

struct json_object *delivered_trace(const char *mailbox, const struct trace_message *message,
                                    const struct replies *replies,
                                    const struct delivered_holds *holds)
{
    struct json_object *trace = json_object_new_object();
    json_add_string(trace, "state", "traced");
    json_add_decision(trace, "decision", message->decision);
    json_add_string(trace, "queue_id", message->queue_id);
    json_add_string(trace, "mailbox", mailbox);
    json_add_moment(trace, "at", decision_time(message->decision));
    json_add_bool(trace, "refunded", message->refunded);
    json_add_bool(trace, "ended", message->ended);
    json_add_bool(trace, "silent", message->silent);
    json_add_string(trace, "hold", hold_of(holds, message));
    struct json_object *recipients = json_add_list(trace, "recipients");
    for (size_t i = 0; i < message->recipient_count; i++) {
        struct json_object *recipient = json_object_new_object();
        delivered_add_outcome(recipient, &message->recipients[i], replies);
        json_object_array_add(recipients, recipient);
    }
    uint32_t unknown = trace_unknown(message);
    if (unknown > 0) {
        struct json_object *others = json_object_new_object();
        json_add_string(others, "outcome",
                        delivery_names[message->ended ? DELIVERY_DISCARDED : DELIVERY_PENDING]);
        json_add_int(others, "count", unknown);
        json_object_array_add(recipients, others);
    }
    return trace;
}
