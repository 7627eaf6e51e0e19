/* Reading a store that is moved from Redis, by plain commands, one or two pipelines a page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/names.h"
#include "base/packed.h"
#include "store/lifetimes.h"
#include "store/packed_pair.h"
#include "store/redis/redis_pipeline.h"
#include "store/redis/redis_transfer.h"
#include "store/redis/redis_walk.h"

struct transfer_item *redis_transfer_item(const struct redis_reading *reading)
{
    return &reading->items[(*reading->count)++];
}

int redis_transfer_damaged(const struct redis_reading *reading, const char *key)
{
    return backend_fail(&reading->backend->base, "redis at %s: %.150s is damaged",
                        reading->backend->where, key);
}

/* A member of a sorted set and its score. `reading` gets an item of it, or none when it has ended:
 * 1, or 0 when it has another form. */
typedef int read_member(const struct redis_reading *reading, const char *key,
                        const redisReply *member, int64_t score);

/* Asks for the members of the first keys, as many as make a page. *whole_r: the last key's are
 * asked for up to its end. 1 or -1. */
static int ask_members(struct redis_pipeline *pipeline, const struct redis_walk *walk,
                       const char *const *keys, size_t *count, bool *whole_r)
{
    freed_by(redis_pipeline_end) struct redis_pipeline sizes = {0};
    if (redis_pipeline_begin(pipeline->backend, pipeline->arena, &sizes) < 0)
        return -1;
    for (size_t i = 0; i < *count; i++)
        ADD((&sizes), TEXT("ZCARD"), TEXT(keys[i]));
    if (redis_pipeline_run(&sizes) < 0)
        return -1;
    int64_t left = TRANSFER_PAGE, first = walk->member;
    size_t asked = 0;
    for (; asked < *count && left > 0; asked++, first = 0) {
        int64_t behind = redis_number(sizes.replies[asked]);
        *whole_r = behind <= first + left;
        behind = *whole_r ? behind : first + left;
        left -= behind > first ? behind - first : 0;
        ADD(pipeline, TEXT("ZRANGE"), TEXT(keys[asked]), NUMBER(behind > first ? first : 1),
            NUMBER(behind > first ? behind - 1 : 0), TEXT("WITHSCORES"));
    }
    *count = asked;
    return 1;
}

/* The next members of all sorted sets whose keys have these prefixes. */
static int read_members(const struct redis_reading *reading, const char *const *prefixes,
                        read_member *read)
{
    struct redis_walk *walk = redis_walk_of(reading->cursor, prefixes);
    const char *keys[TRANSFER_PAGE];
    size_t count;
    bool whole = true;
    int more = redis_walk_next(reading->backend, reading->arena, walk, keys, &count);
    reading->cursor->end = more == 0;
    if (more < 1)
        return more;
    freed_by(redis_pipeline_end) struct redis_pipeline pipeline = {0};
    if (redis_pipeline_begin(reading->backend, reading->arena, &pipeline) < 0 ||
        ask_members(&pipeline, walk, keys, &count, &whole) < 0 ||
        redis_pipeline_run(&pipeline) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        const redisReply *members = pipeline.replies[i];
        bool done = i + 1 < count || whole;
        for (size_t k = 0; k + 1 < members->elements; k += 2)
            if (!read(reading, keys[i], members->element[k],
                      strtoll(redis_text(members->element[k + 1]), NULL, 10)))
                return redis_transfer_damaged(reading, keys[i]);
        walk->member = done ? 0 : walk->member + (int64_t)members->elements / 2;
        walk->at += done ? strlen(keys[i]) + 1 : 0;
    }
    return 1;
}

static int read_hash_key(const struct redis_reading *reading)
{
    struct action_time time = redis_begin(reading->backend);
    if (redis_connected(reading->backend, &time) < 0 ||
        redis_find_hash_key(reading->backend, &time) < 0)
        return -1;
    memcpy(redis_transfer_item(reading)->of.hash_key, reading->backend->hash_key,
           TRANSFER_HASH_KEY_BYTES);
    reading->cursor->end = true;
    return 1;
}

/* ---- histories ---- */

/* What a history's totals take: redis_format.h. */
static size_t totals_bytes(size_t spans, size_t shares)
{
    return TIME_BYTES + spans * (TIME_BYTES + shares * (MESSAGES_BYTES + SUM_BYTES)) + 1;
}

/* The entries that the longest span counts are the last ones: 1, or 0 when it has another form. */
static int read_history(const struct redis_reading *reading, enum subject subject,
                        const redisReply *text, struct transfer_item *item_r)
{
    const uint8_t *bytes = (const uint8_t *)text->str;
    size_t each = packed_entry_bytes(subject), count = 0;
    size_t shape = text->len > 0 ? bytes[text->len - 1] : 0, spans = shape >> 4,
           shares = shape & 15;
    size_t behind = totals_bytes(spans, shares);
    if (spans == 0 || shares == 0 || text->len < behind || (text->len - behind) % each != 0)
        return 0;
    const uint8_t *totals = bytes + text->len - behind, *next = totals;
    item_r->of.history.newest_ms = (int64_t)packed_get(&next, TIME_BYTES);
    next += TIME_BYTES;
    for (size_t share = 0; share < shares; share++, next += SUM_BYTES)
        count += packed_get(&next, MESSAGES_BYTES);
    if (count > (text->len - behind) / each)
        return 0;
    item_r->of.history.subject = subject;
    item_r->of.history.count = count;
    item_r->of.history.counted =
        arena_alloc(reading->arena, count * sizeof item_r->of.history.counted[0]);
    for (size_t i = 0; i < count; i++)
        packed_entry_get(subject, totals - (count - i) * each, &item_r->of.history.counted[i]);
    return 1;
}

/* What an earlier version kept is not moved: it is there for a day. */
static bool is_earlier(const char *key)
{
    return strncmp(key, "sg:totals:", 10) == 0 || strncmp(key, "sg:charge:", 10) == 0;
}

static enum subject subject_of_key(const char *key)
{
    int subject = 0;
    while (subject + 1 < SUBJECT_COUNT &&
           strncmp(key, redis_history_prefix((enum subject)subject),
                   strlen(redis_history_prefix((enum subject)subject))) != 0)
        subject++;
    return (enum subject)subject;
}

static int read_histories(const struct redis_reading *reading)
{
    static const char *const prefixes[] = {REDIS_MAILBOX_KEY, REDIS_IP_KEY, REDIS_DOMAIN_KEY,
                                           "sg:totals:", "sg:charge:", NULL};
    struct redis_walk *walk = redis_walk_of(reading->cursor, prefixes);
    const char *keys[TRANSFER_PAGE];
    size_t count;
    int more = redis_walk_next(reading->backend, reading->arena, walk, keys, &count);
    reading->cursor->end = more == 0;
    if (more < 1)
        return more;
    freed_by(redis_pipeline_end) struct redis_pipeline pipeline = {0};
    if (redis_pipeline_begin(reading->backend, reading->arena, &pipeline) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (is_earlier(keys[i]))
            return backend_fail(
                &reading->backend->base,
                "redis at %s has messages that an earlier version counted: start the "
                "services, and move the store a day later",
                reading->backend->where);
        ADD((&pipeline), TEXT("GET"), TEXT(keys[i]));
        walk->at += strlen(keys[i]) + 1;
    }
    if (redis_pipeline_run(&pipeline) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        enum subject subject = subject_of_key(keys[i]);
        struct transfer_item *item = redis_transfer_item(reading);
        item->of.history.name = arena_strdup(
            reading->arena, keys[i] + strlen(redis_history_prefix(subject)));
        if (pipeline.replies[i]->type == REDIS_REPLY_NIL) /* it has expired by now */
            (*reading->count)--;
        else if (pipeline.replies[i]->type != REDIS_REPLY_STRING ||
                 !read_history(reading, subject, pipeline.replies[i], item))
            return redis_transfer_damaged(reading, keys[i]);
    }
    return 1;
}

/* ---- the rest ---- */

/* "sg:ticket:MAILBOX": recipients and the hash of the id, and when it ends. An earlier version's
 * have another length, and end in minutes. */
static int read_ticket(const struct redis_reading *reading, const char *key,
                       const redisReply *member, int64_t score)
{
    if (member->type != REDIS_REPLY_STRING)
        return 0;
    if (score <= reading->now_ms || member->len != WEIGHT_BYTES + ID_BYTES)
        return 1;
    const uint8_t *bytes = (const uint8_t *)member->str;
    struct transfer_item *item = redis_transfer_item(reading);
    item->of.ticket.mailbox = arena_strdup(reading->arena, key + strlen("sg:ticket:"));
    item->of.ticket.recipients = (uint32_t)packed_get(&bytes, WEIGHT_BYTES);
    item->of.ticket.id_hash = (uint32_t)packed_get(&bytes, ID_BYTES);
    item->of.ticket.until_ms = score;
    return 1;
}

static int read_tickets(const struct redis_reading *reading)
{
    static const char *const prefixes[] = {"sg:ticket:", NULL};
    return read_members(reading, prefixes, read_ticket);
}

/* "sg:pairs:MAILBOX": a field for each recipient, of which `walk->member` says how many were told;
 * as many as the page has room for. 1; 0 when one has another form. */
static int read_fields(const struct redis_reading *reading, struct redis_walk *walk,
                       const char *key, const redisReply *fields)
{
    size_t at = 2 * (size_t)walk->member;
    for (; at + 1 < fields->elements && *reading->count < TRANSFER_PAGE; at += 2) {
        const redisReply *name = fields->element[at], *pair = fields->element[at + 1];
        if (name->len != RECIPIENT_BYTES || !packed_pair_is_whole(pair->len))
            return 0;
        const uint8_t *bytes = (const uint8_t *)name->str;
        struct transfer_item *item = redis_transfer_item(reading);
        item->of.pair.mailbox = arena_strdup(reading->arena, key + strlen(REDIS_PAIRS_KEY));
        item->of.pair.recipient = packed_get(&bytes, RECIPIENT_BYTES);
        item->of.pair.bytes = (const uint8_t *)arena_strndup(reading->arena, pair->str, pair->len);
        item->of.pair.length = pair->len;
    }
    walk->member = (int64_t)at / 2;
    if (at + 1 < fields->elements)
        return 1;
    walk->member = 0;
    walk->at += strlen(key) + 1;
    return 1;
}

/* A mailbox after the other. */
static int read_pairs(const struct redis_reading *reading)
{
    static const char *const prefixes[] = {REDIS_PAIRS_KEY, NULL};
    struct redis_walk *walk = redis_walk_of(reading->cursor, prefixes);
    const char *keys[TRANSFER_PAGE];
    size_t count;
    int more = redis_walk_next(reading->backend, reading->arena, walk, keys, &count);
    reading->cursor->end = more == 0;
    if (more < 1)
        return more;
    freed_by(redis_pipeline_end) struct redis_pipeline pipeline = {0};
    if (redis_pipeline_begin(reading->backend, reading->arena, &pipeline) < 0)
        return -1;
    ADD((&pipeline), TEXT("HGETALL"), TEXT(keys[0]));
    if (redis_pipeline_run(&pipeline) < 0)
        return -1;
    return pipeline.replies[0]->type == REDIS_REPLY_ARRAY &&
                   read_fields(reading, walk, keys[0], pipeline.replies[0])
               ? 1
               : redis_transfer_damaged(reading, keys[0]);
}

const char *const redis_transfer_numbers[TRANSFER_NUMBER_COUNT] = {
    [TRANSFER_SUSPENSIONS] = "suspension", [TRANSFER_CHANGES] = "change",
    [TRANSFER_AUDITS] = "audit"};

static int read_numbers(const struct redis_reading *reading)
{
    freed_by(redis_pipeline_end) struct redis_pipeline pipeline = {0};
    if (redis_pipeline_begin(reading->backend, reading->arena, &pipeline) < 0)
        return -1;
    for (int i = 0; i < TRANSFER_NUMBER_COUNT; i++)
        ADD((&pipeline), TEXT("HGET"), TEXT("sg:numbers"), TEXT(redis_transfer_numbers[i]));
    if (redis_pipeline_run(&pipeline) < 0)
        return -1;
    for (int i = 0; i < TRANSFER_NUMBER_COUNT; i++) {
        int64_t last = strtoll(redis_text(pipeline.replies[i]), NULL, 10);
        if (last <= 0)
            continue;
        struct transfer_item *item = redis_transfer_item(reading);
        item->of.number.of = (enum transfer_number)i;
        item->of.number.last = last;
    }
    reading->cursor->end = true;
    return 1;
}

/* How long a suspension was made for; 0: not known. When an earlier version did not keep it and
 * moved no end, it is plain. */
static int64_t lasts_of(struct json_object *kept, const struct suspension *suspension)
{
    int64_t lasts_ms = json_int(kept, "lasts_ms", 0);
    if (suspension->until_ms == UNTIL_LIFTED)
        return UNTIL_LIFTED;
    if (lasts_ms == 0 && suspension->attempts < 10)
        return suspension->until_ms - suspension->since_ms;
    return lasts_ms;
}

const char *redis_transfer_tried(struct arena *arena, enum cause cause, const char *mailbox)
{
    return arena_printf(arena, "sg:tried:%s:%s", cause_names[cause], mailbox);
}

/* As suspension.lua keeps it. 1; 0 when it has another form. */
static int read_suspension(const struct redis_reading *reading, const char *mailbox,
                           const char *text)
{
    freed_by(json_put) struct json_object *kept = json_read(text);
    int cause = names_find(cause_names, CAUSE_COUNT, json_string(kept, "cause", ""));
    int64_t until_ms = json_int(kept, "until_ms", UNTIL_LIFTED);
    if (kept == NULL || cause < 0)
        return 0;
    if (until_ms <= reading->now_ms)
        return 1;
    struct transfer_item *item = redis_transfer_item(reading);
    struct suspension *suspension = &item->of.suspension.suspension;
    *suspension = (struct suspension){.id = json_int(kept, "id", 0),
                                      .cause = (enum cause)cause,
                                      .since_ms = json_int(kept, "since_ms", 0),
                                      .until_ms = until_ms,
                                      .attempts = (uint32_t)json_int(kept, "attempts", 0),
                                      .offence = (uint32_t)json_int(kept, "offence", 0)};
    snprintf(suspension->by, sizeof suspension->by, "%s", json_string(kept, "by", ""));
    snprintf(suspension->note, sizeof suspension->note, "%s", json_string(kept, "note", ""));
    item->of.suspension.mailbox = mailbox;
    item->of.suspension.lasts_ms = lasts_of(kept, suspension);
    return suspension->id > 0;
}

/* "sg:value:KIND:KEY". 1; 0 when it has another form. */
static int read_value(const struct redis_reading *reading, const char *key, const redisReply *kept)
{
    const char *kind = key + strlen(REDIS_VALUE_KEY), *name = strchr(kind, ':');
    if (name == NULL)
        return 0;
    int known = names_find(value_kind_names, VALUE_KIND_COUNT,
                           arena_strndup(reading->arena, kind, (size_t)(name - kind)));
    if (known < 0)
        return 0;
    struct value *value = &redis_transfer_item(reading)->of.value;
    *value = (struct value){.kind = (enum value_kind)known,
                            .key = arena_strdup(reading->arena, name + 1)};
    int there = redis_values_read(reading->backend, reading->arena, kept, reading->now_ms, value);
    if (there == 0)
        (*reading->count)--;
    return there >= 0;
}

static int read_values(const struct redis_reading *reading)
{
    static const char *const prefixes[] = {REDIS_VALUE_KEY, NULL};
    struct redis_walk *walk = redis_walk_of(reading->cursor, prefixes);
    const char *keys[TRANSFER_PAGE];
    size_t count;
    int more = redis_walk_next(reading->backend, reading->arena, walk, keys, &count);
    reading->cursor->end = more == 0;
    if (more < 1)
        return more;
    freed_by(redis_pipeline_end) struct redis_pipeline pipeline = {0};
    if (redis_pipeline_begin(reading->backend, reading->arena, &pipeline) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        ADD((&pipeline), TEXT("GET"), TEXT(keys[i]));
        walk->at += strlen(keys[i]) + 1;
    }
    if (redis_pipeline_run(&pipeline) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (!read_value(reading, keys[i], pipeline.replies[i]))
            return redis_transfer_damaged(reading, keys[i]);
    return 1;
}

static int by_end(const void *left, const void *right)
{
    const struct transfer_item *a = left, *b = right;
    int64_t a_ms = a->of.suspension.suspension.until_ms;
    int64_t b_ms = b->of.suspension.suspension.until_ms;
    return (a_ms > b_ms) - (a_ms < b_ms);
}

/* All of a mailbox, a line each. 1; 0 when one has another form. */
static int read_lines(const struct redis_reading *reading, const char *mailbox, const char *text)
{
    char *lines = arena_strdup(reading->arena, text), *rest = NULL;
    struct transfer_item *first = reading->items + *reading->count;
    size_t found = 0;
    for (char *line = strtok_r(lines, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest), found++)
        if (found == CAUSE_COUNT || !read_suspension(reading, mailbox, line))
            return 0;
    qsort(first, (size_t)(reading->items + *reading->count - first), sizeof *first, by_end);
    return 1;
}

/* What the items of the page know of attempts. 1 or -1. */
static int read_tried(const struct redis_reading *reading)
{
    freed_by(redis_pipeline_end) struct redis_pipeline tried = {0};
    if (redis_pipeline_begin(reading->backend, reading->arena, &tried) < 0)
        return -1;
    for (size_t i = 0; i < *reading->count; i++)
        ADD((&tried), TEXT("GET"),
            TEXT(redis_transfer_tried(reading->arena,
                                      reading->items[i].of.suspension.suspension.cause,
                                      reading->items[i].of.suspension.mailbox)));
    if (redis_pipeline_run(&tried) < 0)
        return -1;
    for (size_t i = 0; i < *reading->count; i++) {
        const redisReply *bytes = tried.replies[i];
        if (bytes->type != REDIS_REPLY_STRING || bytes->len == 0)
            continue;
        reading->items[i].of.suspension.tried_count = bytes->len / TRANSFER_ATTEMPT_BYTES;
        reading->items[i].of.suspension.tried =
            (const uint8_t *)arena_strndup(reading->arena, bytes->str, bytes->len);
    }
    return 1;
}

/* Behind which name of an index a list goes on. */
struct name_place {
    char name[ADDRESS_MAX_BYTES + 1];
};

/* By their index, in order of name; as many mailboxes as a page has room for. */
static int read_suspensions(const struct redis_reading *reading)
{
    enum { MAILBOXES = TRANSFER_PAGE / CAUSE_COUNT };
    if (reading->cursor->state == NULL)
        reading->cursor->state = arena_alloc(reading->cursor->arena, sizeof(struct name_place));
    struct name_place *place = reading->cursor->state;
    freed_by(redis_pipeline_end) struct redis_pipeline names = {0}, kept = {0};
    if (redis_pipeline_begin(reading->backend, reading->arena, &names) < 0)
        return -1;
    const char *after = *place->name != '\0' ? arena_printf(reading->arena, "(%s", place->name)
                                             : "-";
    ADD((&names), TEXT("ZRANGEBYLEX"), TEXT("sg:suspended"), TEXT(after), TEXT("+"),
        TEXT("LIMIT"), TEXT("0"), argument_int(reading->arena, MAILBOXES));
    if (redis_pipeline_run(&names) < 0 ||
        redis_pipeline_begin(reading->backend, reading->arena, &kept) < 0)
        return -1;
    const redisReply *list = names.replies[0];
    for (size_t i = 0; i < list->elements; i++)
        ADD((&kept), TEXT("GET"), TEXT(arena_printf(reading->arena, "sg:suspension:%s",
                                                    redis_text(list->element[i]))));
    if (redis_pipeline_run(&kept) < 0)
        return -1;
    for (size_t i = 0; i < list->elements; i++) {
        const redisReply *text = kept.replies[i];
        redis_copy_text(list->element[i], place->name, sizeof place->name);
        if (text->type == REDIS_REPLY_STRING &&
            !read_lines(reading, arena_strdup(reading->arena, place->name), text->str))
            return redis_transfer_damaged(reading, place->name);
    }
    reading->cursor->end = list->elements < MAILBOXES;
    return read_tried(reading);
}

/* "sg:offences:CAUSE:MAILBOX": the id, and when it began. */
static int read_offence(const struct redis_reading *reading, const char *key,
                        const redisReply *member, int64_t score)
{
    const char *cause = key + strlen("sg:offences:"), *mailbox = strchr(cause, ':');
    if (mailbox == NULL)
        return 0;
    char *name = arena_strndup(reading->arena, cause, (size_t)(mailbox - cause));
    int known = names_find(cause_names, CAUSE_COUNT, name);
    int64_t id = strtoll(redis_text(member), NULL, 10);
    if (known < 0 || id <= 0)
        return 0;
    if (score <= reading->now_ms - OFFENCES_REMEMBERED_MS)
        return 1;
    struct transfer_item *item = redis_transfer_item(reading);
    item->of.offence.mailbox = arena_strdup(reading->arena, mailbox + 1);
    item->of.offence.cause = (enum cause)known;
    item->of.offence.id = id;
    item->of.offence.since_ms = score;
    return 1;
}

static int read_offences(const struct redis_reading *reading)
{
    static const char *const prefixes[] = {"sg:offences:", NULL};
    return read_members(reading, prefixes, read_offence);
}

/* "sg:from:IP", "sg:of:DOMAIN": a mailbox, and when it was seen last. */
static int read_sender(const struct redis_reading *reading, const char *key,
                       const redisReply *member, int64_t score)
{
    bool of_ip = strncmp(key, "sg:from:", 8) == 0;
    if (score <= reading->now_ms - SEEN_KEPT_MS)
        return 1;
    struct transfer_item *item = redis_transfer_item(reading);
    item->of.sender.of = of_ip ? SENDERS_OF_IP : SENDERS_OF_DOMAIN;
    item->of.sender.key = arena_strdup(reading->arena, key + (of_ip ? 8 : 6));
    item->of.sender.mailbox = arena_strdup(reading->arena, redis_text(member));
    item->of.sender.at_ms = score;
    return 1;
}

static int read_senders(const struct redis_reading *reading)
{
    static const char *const prefixes[] = {"sg:from:", "sg:of:", NULL};
    return read_members(reading, prefixes, read_sender);
}

int redis_transfer_read(struct backend *backend, struct arena *arena, enum transfer_kind kind,
                        int64_t now_ms, struct transfer_cursor *cursor,
                        struct transfer_item *items_r, size_t *count_r)
{
    static int (*const readers[TRANSFER_KIND_COUNT])(const struct redis_reading *) = {
        [TRANSFER_HASH_KEY] = read_hash_key,
        [TRANSFER_NUMBER] = read_numbers,
        [TRANSFER_HISTORY] = read_histories,
        [TRANSFER_RECORD] = redis_transfer_read_records,
        [TRANSFER_TICKET] = read_tickets,
        [TRANSFER_PAIR] = read_pairs,
        [TRANSFER_SUSPENSION] = read_suspensions,
        [TRANSFER_OFFENCE] = read_offences,
        [TRANSFER_VALUE] = read_values,
        [TRANSFER_SENDER] = read_senders,
    };
    const struct redis_reading reading = {redis_backend(backend), arena, now_ms, cursor, items_r,
                                    count_r};
    return readers[kind](&reading);
}
