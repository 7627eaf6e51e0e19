/* What became of the mail of a mailbox and of a domain, which of some addresses it reached, and how
 * far the logs were followed. */
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "desk/context.h"
#include "desk/delivered.h"
#include "desk/failing.h"
#include "desk/input.h"
#include "guard/keyed_hash.h"
#include "mail/delivery_counts.h"
#include "message/address.h"

/* ---- sums --------------------------------------------------------------------------------------- */

/* As a member each; those of PENDING are not counted. */
static void add_outcomes(struct json_object *object, const uint64_t recipients[DELIVERY_COUNT])
{
    for (int i = DELIVERY_PENDING + 1; i < DELIVERY_COUNT; i++)
        json_add_int(object, delivery_names[i], (int64_t)recipients[i]);
}

struct ranked {
    uint64_t recipients;
    size_t of; /* class or site */
};

static int most_first(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    return (a->recipients < b->recipients) - (a->recipients > b->recipients);
}

static void add_classes(struct json_object *object, const struct delivery_counts *counts)
{
    struct ranked classes[REPLY_CLASS_COUNT];
    struct json_object *list = json_add_list(object, "classes");
    for (size_t i = 0; i < REPLY_CLASS_COUNT; i++)
        classes[i] = (struct ranked){counts->classes[i], i};
    qsort(classes, REPLY_CLASS_COUNT, sizeof *classes, most_first);
    for (size_t i = 0; i < REPLY_CLASS_COUNT && classes[i].recipients > 0; i++) {
        struct json_object *class = json_object_new_object();
        json_add_string(class, "class", reply_class_names[classes[i].of]);
        json_add_int(class, "recipients", (int64_t)classes[i].recipients);
        json_object_array_add(list, class);
    }
}

static void add_destinations(struct json_object *object, const struct delivery_counts *counts)
{
    struct ranked sites[COUNTED_SITES_MAX + 1];
    struct json_object *list = json_add_list(object, "destinations");
    for (size_t i = 0; i <= counts->site_count; i++) {
        sites[i] = (struct ranked){0, i};
        for (int j = 0; j < DELIVERY_COUNT; j++)
            sites[i].recipients += counts->sites[i].recipients[j];
    }
    qsort(sites, counts->site_count + 1, sizeof *sites, most_first);
    for (size_t i = 0; i <= counts->site_count && sites[i].recipients > 0; i++) {
        const struct site_counts *site = &counts->sites[sites[i].of];
        struct json_object *destination = json_object_new_object();
        json_add_string(destination, "site", site->site[0] != '\0' ? site->site : NULL);
        json_add_int(destination, "recipients", (int64_t)sites[i].recipients);
        add_outcomes(destination, site->recipients);
        json_object_array_add(list, destination);
    }
}

static void add_sums(struct json_object *object, const struct delivery_counts *counts)
{
    json_add_int(object, "messages", (int64_t)counts->messages);
    add_outcomes(json_add_object(object, "outcomes"), counts->recipients);
    add_classes(object, counts);
    add_destinations(object, counts);
}

/* ---- of a mailbox ---------------------------------------------------------------------------------- */

static void count_message(struct delivery_counts *counts, const struct trace_message *message,
                          const struct replies *replies)
{
    const struct counted_as unknown = {.delivery = DELIVERY_PENDING, .site = ""};
    counts->messages++;
    for (size_t i = 0; i < message->recipient_count; i++) {
        const struct trace_recipient *recipient = &message->recipients[i];
        const struct counted_as as = {recipient->delivery, recipient->class,
                                      delivered_reply(replies, recipient->reply)->site};
        delivery_counts_move(counts, &unknown, &as);
    }
}

/* A page of those decided before the mark. */
struct message_page {
    struct json_object *list;
    struct delivered_holds holds;
    uint64_t below, last, older; /* last: of the page; older: the mark of the next one, 0: none */
};

static void add_message(struct message_page *page, const char *mailbox,
                        const struct trace_message *message, const struct replies *replies)
{
    if (message->decision >= page->below || page->older != 0)
        return;
    if (json_object_array_length(page->list) == DESK_PAGE) {
        page->older = page->last;
        return;
    }
    page->last = message->decision;
    json_object_array_add(page->list, delivered_trace(mailbox, message, replies, &page->holds));
}

/* All days. 1 or -1. */
static int add_messages(const struct context *context, const struct followed_logs *logs,
                        const char *mailbox, struct delivery_counts *counts,
                        struct message_page *page)
{
    freed_by(delivered_end) struct delivered delivered = delivered_begin(context, mailbox);
    struct replies replies;
    int more;
    while ((more = delivered_next(&delivered, logs)) > 0) {
        if (delivered_replies_read(&delivered.of_day, delivered.messages, delivered.count,
                                   &replies) < 0)
            return -1;
        for (size_t i = 0; i < delivered.count; i++) {
            count_message(counts, &delivered.messages[i], &replies);
            add_message(page, mailbox, &delivered.messages[i], &replies);
        }
    }
    return more < 0 ? -1 : 1;
}

int desk_delivery(const struct desk *desk, const char *mailbox, const char *before, int64_t now_ms,
                  struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(delivered_logs_end) struct followed_logs logs = {0};
    struct message_page page = {0};
    if (!input_mailbox(&context, mailbox, "mailbox", &mailbox, problem) ||
        !input_cursor(before, &page.below, problem))
        return 0;
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct delivery_counts *counts = arena_alloc(context.arena, sizeof *counts);
    json_add_moment(view, "now", now_ms);
    json_add_string(view, "mailbox", mailbox);
    struct json_object *sums = json_add_object(view, "sums");
    page.list = json_add_list(view, "messages");
    if (delivered_logs_read(&context, &logs) < 0 ||
        delivered_holds_read(&context, mailbox, &page.holds) < 0 ||
        add_messages(&context, &logs, mailbox, counts, &page) < 0)
        return -1;
    json_add_bool(view, "followed", logs.count > 0);
    json_add_int(view, "days", DELIVERY_DAYS);
    add_sums(sums, counts);
    json_add_decision(view, "older", page.older);
    *view_r = take(view);
    return 1;
}

/* ---- of a domain -------------------------------------------------------------------------------------- */

/* What all sources have of a day. A damaged value is passed over. 1 or -1. */
static int count_day(const struct context *context, const struct followed_logs *logs,
                     const char *domain, int64_t day, struct delivery_counts *counts)
{
    struct delivery_counts *one = arena_alloc(context->arena, sizeof *one);
    for (size_t i = 0; i < logs->sources.count; i++) {
        char key[DELIVERY_KEY_SIZE];
        struct value value;
        delivery_domain_key(key, day, domain, logs->sources.of[i]);
        int found = store_value(context->desk->store, context->arena, VALUE_DOMAIN, key,
                                context->now_ms, &value);
        if (found < 0)
            return -1;
        if (found > 0 && delivery_counts_read(value.bytes, value.length, one))
            delivery_counts_sum(counts, one);
    }
    return 1;
}

static void add_day(struct json_object *days, int64_t day, const struct delivery_counts *counts)
{
    struct json_object *view = json_object_new_object();
    freed_by(text_free) struct text date = {0};
    text_add_time(&date, day * DAY_MS);
    json_object_object_add(view, "day",
                           json_object_new_string_len(text_string(&date), sizeof "2026-11-22" - 1));
    json_add_int(view, "messages", (int64_t)counts->messages);
    add_outcomes(view, counts->recipients);
    json_object_array_add(days, view);
}

int desk_delivery_domain(const struct desk *desk, const char *domain, int64_t now_ms,
                         struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(delivered_logs_end) struct followed_logs logs = {0};
    if (!input_domain(&context, domain, "domain", &domain, problem))
        return 0;
    if (delivered_logs_read(&context, &logs) < 0)
        return -1;
    freed_by(json_put) struct json_object *view = json_object_new_object();
    json_add_moment(view, "now", now_ms);
    json_add_string(view, "domain", domain);
    json_add_bool(view, "followed", logs.count > 0);
    struct delivery_counts *all = arena_alloc(context.arena, sizeof *all);
    struct json_object *sums = json_add_object(view, "sums");
    struct json_object *days = json_add_list(view, "by_day");
    for (int64_t day = now_ms / DAY_MS; day >= now_ms / DAY_MS - DELIVERY_DAYS; day--) {
        struct delivery_counts *counts = arena_alloc(context.arena, sizeof *counts);
        if (count_day(&context, &logs, domain, day, counts) < 0)
            return -1;
        delivery_counts_sum(all, counts);
        add_day(days, day, counts);
    }
    json_add_int(view, "days", DELIVERY_DAYS);
    add_sums(sums, all);
    *view_r = take(view);
    return 1;
}

/* ---- addresses ------------------------------------------------------------------------------------------ */

/* An address that was asked for, as recipients' hashes of a year have it. */
struct asked_hash {
    uint64_t hash;
    size_t address;
};
/* The addresses, and what is known of each: its newest outcome. */
struct asked_addresses {
    struct json_object *list; /* as they came, to be answered in their own words */
    const char **keys;        /* NULL: it is no address */
    size_t count;
    struct asked_hash *hashes; /* in order; of the year of now, and that of the oldest message */
    size_t hash_count;
    struct trace_recipient *newest; /* last_ms is 0: nothing */
};

static int by_hash(const void *left, const void *right)
{
    const struct asked_hash *a = left, *b = right;
    return a->hash != b->hash ? (a->hash > b->hash) - (a->hash < b->hash)
                              : (a->address > b->address) - (a->address < b->address);
}

static void make_hashes(const struct context *context, struct asked_addresses *asked)
{
    freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = context->desk->key};
    int64_t oldest_ms = context->now_ms - (DELIVERY_DAYS + 1) * DAY_MS;
    asked->hashes = arena_alloc(context->arena, 2 * asked->count * sizeof *asked->hashes);
    for (size_t i = 0; i < asked->count; i++) {
        if (asked->keys[i] == NULL)
            continue;
        asked->hashes[asked->hash_count++] = (struct asked_hash){
            keyed_hash_recipient(&keys, asked->keys[i], context->now_ms), i};
        asked->hashes[asked->hash_count++] = (struct asked_hash){
            keyed_hash_recipient(&keys, asked->keys[i], oldest_ms), i};
    }
    if (asked->hash_count > 1)
        qsort(asked->hashes, asked->hash_count, sizeof *asked->hashes, by_hash);
}

/* Several may have asked for the same address in other words. */
static void note(struct asked_addresses *asked, const struct trace_recipient *recipient)
{
    size_t low = 0, high = asked->hash_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (asked->hashes[middle].hash < recipient->hash)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < asked->hash_count && asked->hashes[low].hash == recipient->hash; low++) {
        struct trace_recipient *newest = &asked->newest[asked->hashes[low].address];
        if (recipient->last_ms > newest->last_ms)
            *newest = *recipient;
    }
}

/* 1; 0 with *problem. */
static int read_addresses(const struct context *context, struct json_object *list,
                          struct asked_addresses *asked, struct problem *problem)
{
    if (list != NULL && !json_object_is_type(list, json_type_array))
        return problem_set(problem, 400, "recipients", "expected a list of addresses");
    asked->list = list;
    asked->count = list != NULL ? json_object_array_length(list) : 0;
    if (asked->count > DESK_ADDRESSES_MAX)
        return problem_set(problem, 400, "recipients", "expected at most %d addresses",
                           DESK_ADDRESSES_MAX);
    asked->keys = arena_alloc(context->arena, asked->count * sizeof *asked->keys);
    asked->newest = arena_alloc(context->arena, asked->count * sizeof *asked->newest);
    for (size_t i = 0; i < asked->count; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        struct problem unimportant;
        if (!json_object_is_type(one, json_type_string))
            return problem_set(problem, 400, "recipients", "expected addresses as strings");
        if (!address_key(context->arena, json_object_get_string(one),
                         (size_t)json_object_get_string_len(one), &asked->keys[i], &unimportant))
            asked->keys[i] = NULL;
    }
    make_hashes(context, asked);
    return 1;
}

static void add_addresses(const struct asked_addresses *asked, bool pending,
                          const struct replies *replies, struct json_object *answers)
{
    for (size_t i = 0; i < asked->count; i++) {
        struct json_object *answer = json_object_new_object();
        bool is_address = asked->keys[i] != NULL;
        json_add(answer, "address", json_object_get(json_object_array_get_idx(asked->list, i)));
        if (asked->newest[i].last_ms != 0)
            delivered_add_outcome(answer, &asked->newest[i], replies);
        else
            json_add_string(answer, "outcome",
                            pending && is_address ? delivery_names[DELIVERY_PENDING] : NULL);
        if (!is_address)
            json_add_bool(answer, "no_address", true);
        json_object_array_add(answers, answer);
    }
}

/* 0: no Message-ID is asked for. */
static uint32_t hash_of(const struct context *context, const char *message_id)
{
    freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = context->desk->key};
    return message_id != NULL
               ? keyed_hash_message_id(&keys, message_id, strlen(message_id))
               : 0;
}

/* The messages that are meant: those with the hash of a Message-ID, or with 0 all. Adds the newest
 * DESK_PAGE of the former to the list. *unknown_r: whether somebody who is not known among their recipients may still be one of
 * them. 1 or -1. */
static int look_for_addresses(const struct context *context, const struct followed_logs *logs,
                              const char *mailbox, uint32_t message_id,
                              struct asked_addresses *asked, struct json_object *messages,
                              bool *unknown_r)
{
    freed_by(delivered_end) struct delivered delivered = delivered_begin(context, mailbox);
    struct delivered_holds holds;
    struct replies replies;
    int more;
    if (delivered_holds_read(context, mailbox, &holds) < 0)
        return -1;
    while ((more = delivered_next(&delivered, logs)) > 0)
        for (size_t i = 0; i < delivered.count; i++) {
            const struct trace_message *message = &delivered.messages[i];
            if (message_id != 0 && message->message_id != message_id)
                continue;
            for (size_t j = 0; j < message->recipient_count; j++)
                note(asked, &message->recipients[j]);
            *unknown_r = *unknown_r || (trace_unknown(message) > 0 && !message->ended);
            if (message_id == 0 || json_object_array_length(messages) == DESK_PAGE)
                continue;
            if (delivered_replies_read(&delivered.of_day, message, 1, &replies) < 0)
                return -1;
            json_object_array_add(messages, delivered_trace(mailbox, message, &replies, &holds));
        }
    return more < 0 ? -1 : 1;
}

/* What servers said of the newest outcomes. 1 or -1. */
static int read_replies(const struct context *context, const struct asked_addresses *asked,
                        struct replies *replies_r)
{
    struct trace_message newest = {.recipients = asked->newest, .recipient_count = asked->count};
    return delivered_replies_read(context, &newest, 1, replies_r);
}

/* 1; 0 with *problem. */
static int read_request(const struct context *context, struct json_object *request,
                        struct asked_addresses *asked_r, const char **message_id_r,
                        struct problem *problem)
{
    *asked_r = (struct asked_addresses){0};
    *message_id_r = json_string(request, "message_id", NULL);
    if (json_member(request, "message_id") != NULL &&
        (*message_id_r == NULL || *message_id_r[0] == '\0'))
        return problem_set(problem, 400, "message_id", "expected a Message-ID");
    if (context->desk->key == NULL)
        return problem_set(problem, 409, "web.secret_file", "it is needed, and cannot be read");
    return read_addresses(context, json_member(request, "recipients"), asked_r, problem);
}

int desk_delivery_addresses(const struct desk *desk, const char *mailbox,
                            struct json_object *request, int64_t now_ms,
                            struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(delivered_logs_end) struct followed_logs logs = {0};
    const char *message_id;
    struct replies replies;
    struct asked_addresses asked;
    bool unknown = false;
    if (!input_mailbox(&context, mailbox, "mailbox", &mailbox, problem) ||
        !read_request(&context, request, &asked, &message_id, problem))
        return 0;
    uint32_t hash = hash_of(&context, message_id);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct json_object *messages = json_add_list(view, "messages");
    if (delivered_logs_read(&context, &logs) < 0 ||
        look_for_addresses(&context, &logs, mailbox, hash, &asked, messages, &unknown) < 0 ||
        read_replies(&context, &asked, &replies) < 0)
        return -1;
    json_add_bool(view, "followed", logs.count > 0);
    add_addresses(&asked, hash != 0 && unknown, &replies, json_add_list(view, "recipients"));
    *view_r = take(view);
    return 1;
}

/* ---- how far the logs were followed ------------------------------------------------------------------------ */

static int64_t lag_of(const struct followed *log, int64_t now_ms)
{
    return now_ms > log->read_ms ? now_ms - log->read_ms : 0;
}

static void add_log(struct json_object *view, const struct followed *log, int64_t now_ms)
{
    static const char *const counts[] = {"gaps",    "lines",          "messages",  "outcomes",
                                         "refunds", "refunds_failed", "malformed", "open",
                                         "blocks",  "blocks_ended",   "outages",   "suspensions",
                                         "recipients_blocked", "recipients_opened"};
    json_add_string(view, "source", log->source);
    json_add_moment(view, "cursor_at", log->read_ms);
    json_add_moment(view, "line_at", log->log_ms);
    json_add_int(view, "lag_s", lag_of(log, now_ms) / SECOND_MS);
    json_add_moment(view, "last_gap_at", json_int(log->cursor, "gap_ms", 0));
    for (size_t i = 0; i < countof(counts); i++)
        json_add_int(view, counts[i], json_int(log->cursor, counts[i], 0));
}

int desk_feedback(const struct desk *desk, int64_t now_ms, struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(delivered_logs_end) struct followed_logs logs = {0};
    if (delivered_logs_read(&context, &logs) < 0)
        return -1;
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct json_object *list = json_object_new_array();
    const struct followed *latest = NULL;
    for (size_t i = 0; i < logs.count; i++) {
        struct json_object *source = json_object_new_object();
        add_log(source, &logs.of[i], now_ms);
        json_object_array_add(list, source);
        if (latest == NULL || lag_of(&logs.of[i], now_ms) > lag_of(latest, now_ms))
            latest = &logs.of[i];
    }
    if (latest != NULL)
        add_log(view, latest, now_ms);
    json_add(view, "sources", list);
    if (failing_add_outages(&context, view) < 0 || failing_add_blocked(&context, view) < 0)
        return -1;
    *view_r = take(view);
    return 1;
}

/* Until when a cursor is kept that nobody goes on with: its name leads to the traces. */
#define FORGOTTEN_MS ((DELIVERY_DAYS + 2) * DAY_MS)

/* Keeps the cursor until then. 1; 0: it was written in the meantime; -1. */
static int forget_cursor(struct store *store, const struct value *cursor, int64_t now_ms)
{
    struct value_change change = {.value = *cursor, .replaces = cursor->version};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = now_ms};
    change.value.until_ms = now_ms + FORGOTTEN_MS;
    return store_values_change(store, &step, NULL);
}

int desk_feedback_forget(const struct desk *desk, const char *source, const struct action *action,
                         struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, action->now_ms);
    struct value cursor;
    const struct audited audited = {"feedback_forget", source, "{}", action};
    int found = strlen(source) > ADDRESS_MAX_BYTES || source[0] == '\0'
                    ? 0
                    : store_value(desk->store, context.arena, VALUE_CURSOR, source, action->now_ms,
                                  &cursor);
    if (found < 1)
        return found < 0 ? -1 : problem_set(problem, 404, "", "no log of that name is followed: "
                                                "expected one that sendguard feedback names");
    freed_by(json_put) struct json_object *tree = json_read(cursor.bytes);
    int64_t seen_ms = json_int(tree, "read_ms", 0);
    if (seen_ms <= action->now_ms - DESK_FORGET_MS)
        found = forget_cursor(desk->store, &cursor, action->now_ms);
    else
        found = 0;
    if (found < 1)
        return found < 0 ? -1
                         : problem_set(problem, 409, "", "it is followed: its sendguard-feedback was "
                                       "seen within the last %d minutes; stop that first",
                                       (int)(DESK_FORGET_MS / MINUTE_MS));
    return store_write_audit(desk->store, &audited);
}

/* ---- in words ------------------------------------------------------------------------------------------------ */

static void add_words(struct json_object *object, const struct catalogue *catalogue,
                      struct arena *arena, const char *language)
{
    const char *class = json_string(object, "class", NULL);
    if (class == NULL)
        return;
    json_add_string(object, "title",
                    catalogue_text(catalogue, arena, language,
                                   arena_printf(arena, "delivery.title.%s", class), NULL));
    json_add_string(object, "advice",
                    catalogue_text(catalogue, arena, language,
                                   arena_printf(arena, "delivery.advice.%s", class), NULL));
}

void desk_delivery_add_words(struct json_object *view, const struct catalogue *catalogue,
                             struct arena *arena, const char *language)
{
    if (json_object_is_type(view, json_type_array))
        for (size_t i = 0; i < json_object_array_length(view); i++)
            desk_delivery_add_words(json_object_array_get_idx(view, i), catalogue, arena, language);
    if (!json_object_is_type(view, json_type_object))
        return;
    json_object_object_foreach(view, name, member)
    {
        (void)name;
        desk_delivery_add_words(member, catalogue, arena, language);
    }
    add_words(view, catalogue, arena, language);
}
