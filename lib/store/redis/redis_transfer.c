/* Moving a store to Redis: whether it may be, and writing, a pipeline a page. Keys are named as
 * redis_script.c names them for the scripts. */
#include <json-c/json.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "base/packed.h"
#include "rules/history.h"
#include "store/lifetimes.h"
#include "store/packed_pair.h"
#include "store/packed_record.h"
#include "store/redis/redis_pipeline.h"
#include "store/redis/redis_transfer.h"

/* ---- alone, empty ------------------------------------------------------------------------- */

/* The value of a field in a line of CLIENT LIST ("name=sendguard"). */
static bool has_field(const char *line, const char *field, const char *value)
{
    size_t length = strcspn(line, "\n"), before = strlen(field), behind = strlen(value);
    for (const char *at = line; (at = strstr(at, field)) != NULL && at < line + length; at++)
        if (at > line && at[-1] == ' ' && strncmp(at + before, value, behind) == 0 &&
            strchr(" \n", at[before + behind]) != NULL)
            return true;
    return false;
}

/* How many connections of ours there are to that database, this one too. */
static unsigned count_clients(const char *list, int database)
{
    char number[16];
    unsigned count = 0;
    snprintf(number, sizeof number, "%d", database);
    for (const char *line = list; *line != '\0'; line += strcspn(line, "\n") + 1) {
        count += has_field(line, "name=", REDIS_CLIENT_NAME) && has_field(line, "db=", number);
        if (strchr(line, '\n') == NULL)
            break;
    }
    return count;
}

int redis_backend_alone(struct backend *backend)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_pipeline_end) struct redis_pipeline pipeline = {0};
    if (redis_pipeline_begin(self, arena, &pipeline) < 0)
        return -1;
    ADD(&pipeline, TEXT("CLIENT"), TEXT("LIST"));
    if (redis_pipeline_run(&pipeline) < 0)
        return -1;
    unsigned count = count_clients(redis_text(pipeline.replies[0]), self->database);
    if (count <= 1)
        return 1;
    backend_fail(backend, "stop the services first: database %d of redis at %s is in use by %u "
                          "connection%s of Sendguard", self->database, self->where, count - 1,
                 count == 2 ? "" : "s");
    return 0;
}

/* The key of the hashes, which connecting makes, is no content. */
static bool is_content(const redisReply *key)
{
    return strcmp(redis_text(key), "sg:numbers") != 0;
}

enum { CURSOR_SIZE = 24 };

/* Some of our keys, as the reply of a pipeline: 1, or -1. cursor: SCAN's, "0" behind the last. */
static int scan(struct redis_backend *backend, struct arena *arena, char cursor[CURSOR_SIZE],
                struct redis_pipeline *pipeline_r, const redisReply **keys_r)
{
    if (redis_pipeline_begin(backend, arena, pipeline_r) < 0)
        return -1;
    ADD(pipeline_r, TEXT("SCAN"), TEXT(cursor), TEXT("MATCH"), TEXT("sg:*"), TEXT("COUNT"),
        TEXT("10000"));
    if (redis_pipeline_run(pipeline_r) < 0)
        return -1;
    const redisReply *reply = pipeline_r->replies[0];
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_ARRAY)
        return redis_unexpected(backend);
    redis_copy_text(reply->element[0], cursor, CURSOR_SIZE);
    *keys_r = reply->element[1];
    return 1;
}

static int is_empty(struct backend *backend)
{
    char cursor[CURSOR_SIZE] = "0";
    do {
        const redisReply *keys;
        freed_by(arena_free) struct arena *arena = arena_new();
        freed_by(redis_pipeline_end) struct redis_pipeline pipeline = {0};
        if (scan(redis_backend(backend), arena, cursor, &pipeline, &keys) < 0)
            return -1;
        for (size_t i = 0; i < keys->elements; i++)
            if (is_content(keys->element[i]))
                return 0;
    } while (strcmp(cursor, "0") != 0);
    return 1;
}

/* ---- the mark of a part -------------------------------------------------------------------- */

static int run_command(struct backend *backend, const struct argument *words, size_t count,
                       bool *is_nil_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_pipeline_end) struct redis_pipeline pipeline = {0};
    if (redis_pipeline_begin(redis_backend(backend), arena, &pipeline) < 0)
        return -1;
    redis_pipeline_add(&pipeline, words, count);
    if (redis_pipeline_run(&pipeline) < 0)
        return -1;
    *is_nil_r = pipeline.replies[0]->type == REDIS_REPLY_NIL;
    return 1;
}

/* All keys but the one with the mark: what is interrupted here is still a part. */
static int remove_part(struct redis_backend *backend)
{
    char cursor[CURSOR_SIZE] = "0";
    do {
        const redisReply *keys;
        freed_by(arena_free) struct arena *arena = arena_new();
        freed_by(redis_pipeline_end) struct redis_pipeline scanned = {0}, pipeline = {0};
        if (scan(backend, arena, cursor, &scanned, &keys) < 0 ||
            redis_pipeline_begin(backend, arena, &pipeline) < 0)
            return -1;
        for (size_t i = 0; i < keys->elements; i++)
            if (is_content(keys->element[i]))
                ADD(&pipeline, TEXT("DEL"), {keys->element[i]->str, keys->element[i]->len});
        if (redis_pipeline_run(&pipeline) < 0)
            return -1;
    } while (strcmp(cursor, "0") != 0);
    return 1;
}

static int begin(struct backend *backend)
{
    const struct argument look[] = {TEXT("HGET"), TEXT("sg:numbers"), TEXT(REDIS_MOVING)};
    const struct argument clear[] = {TEXT("DEL"), TEXT("sg:numbers")};
    const struct argument mark[] = {TEXT("HSET"), TEXT("sg:numbers"), TEXT(REDIS_MOVING),
                                    TEXT("1")};
    bool is_whole = true, nil;
    redis_backend(backend)->moves_in = true;
    int answer = run_command(backend, look, countof(look), &is_whole);
    if (answer > 0 && is_whole)
        answer = is_empty(backend);
    else if (answer > 0)
        answer = remove_part(redis_backend(backend));
    if (answer > 0)
        answer = run_command(backend, clear, countof(clear), &nil);
    return answer > 0 ? run_command(backend, mark, countof(mark), &nil) : answer;
}

static int end(struct backend *backend)
{
    const struct argument words[] = {TEXT("HDEL"), TEXT("sg:numbers"), TEXT(REDIS_MOVING)};
    bool nil;
    return run_command(backend, words, countof(words), &nil);
}

/* ---- writing ------------------------------------------------------------------------------ */

/* Adds the commands that put an item. Keys expire as the scripts have them expire. */
typedef void put_item(struct redis_pipeline *pipeline, const struct transfer_item *item,
                      int64_t now_ms);

static const char *name_key(const struct redis_pipeline *pipeline, const char *prefix,
                            const char *name)
{
    return arena_printf(pipeline->arena, "%s%s", prefix, name);
}

static void put_hash_key(struct redis_pipeline *pipeline, const struct transfer_item *item,
                         int64_t now_ms)
{
    (void)now_ms;
    char *key = arena_alloc(pipeline->arena, 2 * TRANSFER_HASH_KEY_BYTES + 1);
    sodium_bin2hex(key, 2 * TRANSFER_HASH_KEY_BYTES + 1, item->of.hash_key,
                   TRANSFER_HASH_KEY_BYTES);
    pipeline->backend->knows_hash_key = false;
    /* packed_ms 0: no earlier version kept anything in it */
    ADD(pipeline, TEXT("HSET"), TEXT("sg:numbers"), TEXT("hash_key"), TEXT(key),
        TEXT("packed_ms"), TEXT("0"));
}

static void put_number(struct redis_pipeline *pipeline, const struct transfer_item *item,
                       int64_t now_ms)
{
    (void)now_ms;
    ADD(pipeline, TEXT("HSET"), TEXT("sg:numbers"),
        TEXT(redis_transfer_numbers[item->of.number.of]), NUMBER(item->of.number.last));
}

/* The totals of a span of that length, which ends at the newest moment. */
static void add_totals(struct text *out, const struct transfer_item *item, int64_t length_ms)
{
    enum subject subject = item->of.history.subject;
    struct {
        uint64_t messages, off_domain;
    } of[HISTORY_SHARES] = {{0}};
    int64_t oldest_ms = 0;
    for (size_t i = item->of.history.count; i-- > 0;) {
        const struct entry *entry = &item->of.history.counted[i].entry;
        if (!window_holds(entry->time_ms, length_ms, item->of.history.newest_ms))
            break;
        size_t share = history_share(subject, entry->channel);
        oldest_ms = entry->time_ms;
        of[share].messages++;
        of[share].off_domain += entry->off_domain;
    }
    packed_add_fixed(out, (uint64_t)oldest_ms, TIME_BYTES);
    for (size_t share = 0; share < history_shares(subject); share++) {
        packed_add_fixed(out, of[share].messages, MESSAGES_BYTES);
        packed_add_fixed(out, of[share].off_domain, SUM_BYTES);
    }
}

static void put_history(struct redis_pipeline *pipeline, const struct transfer_item *item,
                        int64_t now_ms)
{
    enum subject subject = item->of.history.subject;
    struct rule_spans spans = rule_spans(subject);
    int64_t longest_ms = rule_longest_ms(subject), newest_ms = item->of.history.newest_ms;
    freed_by(text_free) struct text history = {0};
    for (size_t i = 0; i < item->of.history.count; i++) {
        uint8_t bytes[COUNTED_BYTES];
        packed_entry_put(subject, &item->of.history.counted[i], bytes);
        text_add_bytes(&history, (const char *)bytes, packed_entry_bytes(subject));
    }
    packed_add_fixed(&history, (uint64_t)newest_ms, TIME_BYTES);
    for (size_t span = 0; span < spans.count; span++)
        add_totals(&history, item, spans.length_ms[span]);
    packed_add_fixed(&history, spans.count << 4 | history_shares(subject), 1);
    ADD(pipeline, TEXT("SET"),
        TEXT(name_key(pipeline, redis_history_prefix(subject), item->of.history.name)),
        {history.data, history.length}, TEXT("PX"),
        NUMBER(newest_ms - now_ms + longest_ms + longest_ms / 12 + MARGIN_MS));
}

/* All of a kind come in order of time: one stream takes them. */
static void put_record(struct redis_pipeline *pipeline, const struct transfer_item *item,
                       int64_t now_ms)
{
    const char *mailbox = item->of.record.mailbox;
    uint64_t decision = item->of.record.decision, number = decision & ((1 << COUNTED_ID_BITS) - 1);
    uint8_t id[REFUSED_ID_BYTES];
    int64_t until_ms = 0;
    packed_put(id, decision >> COUNTED_ID_BITS, SINCE_BYTES);
    packed_put(id + SINCE_BYTES, number, NUMBER_BYTES);
    ADD(pipeline, TEXT("XADD"), TEXT(redis_transfer_stream(pipeline->arena, mailbox != NULL, 0)),
        TEXT(arena_printf(pipeline->arena, "%lld-*", (long long)decision_time(decision))),
        {id + SINCE_BYTES, NUMBER_BYTES}, {item->of.record.bytes, item->of.record.length});
    if (mailbox == NULL || *mailbox == '\0' ||
        !packed_record_until(item->of.record.bytes, item->of.record.length, &until_ms))
        return;
    const char *list = name_key(pipeline, "sg:refused:", mailbox);
    ADD(pipeline, TEXT("RPUSH"), TEXT(list), {id, REFUSED_ID_BYTES});
    ADD(pipeline, TEXT("PEXPIRE"), TEXT(list), NUMBER(until_ms - now_ms + MARGIN_MS));
}

static void put_ticket(struct redis_pipeline *pipeline, const struct transfer_item *item,
                       int64_t now_ms)
{
    uint8_t member[WEIGHT_BYTES + ID_BYTES];
    const char *key = name_key(pipeline, "sg:ticket:", item->of.ticket.mailbox);
    packed_put(member, item->of.ticket.recipients, WEIGHT_BYTES);
    packed_put(member + WEIGHT_BYTES, item->of.ticket.id_hash, ID_BYTES);
    ADD(pipeline, TEXT("ZADD"), TEXT(key), NUMBER(item->of.ticket.until_ms),
        {member, sizeof member});
    ADD(pipeline, TEXT("PEXPIRE"), TEXT(key),
        NUMBER(item->of.ticket.until_ms - now_ms + MARGIN_MS));
}

/* The recipient's field, and as long as any message of the mailbox can count. */
static void put_pair(struct redis_pipeline *pipeline, const struct transfer_item *item,
                     int64_t now_ms)
{
    (void)now_ms;
    uint8_t *recipient = arena_alloc(pipeline->arena, RECIPIENT_BYTES);
    const char *key = name_key(pipeline, REDIS_PAIRS_KEY, item->of.pair.mailbox);
    packed_put(recipient, item->of.pair.recipient, RECIPIENT_BYTES);
    ADD(pipeline, TEXT("HSET"), TEXT(key), {recipient, RECIPIENT_BYTES},
        {item->of.pair.bytes, item->of.pair.length});
    ADD(pipeline, TEXT("PEXPIRE"), TEXT(key), NUMBER(PAIR_LIFETIME_MS));
}

/* As suspension.lua keeps it, a line. */
static const char *suspension_text(struct arena *arena, const struct transfer_item *item)
{
    const struct suspension *suspension = &item->of.suspension.suspension;
    bool lifted = suspension->until_ms == UNTIL_LIFTED;
    freed_by(json_put) struct json_object *kept = json_object_new_object();
    json_add_int(kept, "id", suspension->id);
    json_add_string(kept, "cause", cause_names[suspension->cause]);
    json_add_int(kept, "since_ms", suspension->since_ms);
    if (!lifted)
        json_add_int(kept, "until_ms", suspension->until_ms);
    if (lifted || item->of.suspension.lasts_ms > 0)
        json_add_int(kept, "lasts_ms", lifted ? -1 : item->of.suspension.lasts_ms);
    json_add_int(kept, "attempts", suspension->attempts);
    json_add_int(kept, "offence", suspension->offence);
    json_add_string(kept, "by", suspension->by);
    json_add_string(kept, "note", suspension->note);
    return arena_printf(arena, "%s\n",
                        json_object_to_json_string_ext(kept, JSON_C_TO_STRING_PLAIN));
}

/* Those of a mailbox come in order of their ends: with the last one the keys have theirs. */
static void put_suspension(struct redis_pipeline *pipeline, const struct transfer_item *item,
                           int64_t now_ms)
{
    const char *mailbox = item->of.suspension.mailbox;
    const char *key = name_key(pipeline, "sg:suspension:", mailbox);
    const char *tried = redis_transfer_tried(pipeline->arena,
                                             item->of.suspension.suspension.cause, mailbox);
    int64_t until_ms = item->of.suspension.suspension.until_ms;
    ADD(pipeline, TEXT("APPEND"), TEXT(key), TEXT(suspension_text(pipeline->arena, item)));
    ADD(pipeline, TEXT("ZADD"), TEXT("sg:suspended"), TEXT("0"), TEXT(mailbox));
    if (item->of.suspension.tried_count > 0)
        ADD(pipeline, TEXT("SET"), TEXT(tried),
            {item->of.suspension.tried,
             item->of.suspension.tried_count * TRANSFER_ATTEMPT_BYTES});
    if (until_ms == UNTIL_LIFTED) {
        ADD(pipeline, TEXT("PERSIST"), TEXT(key));
        ADD(pipeline, TEXT("ZREM"), TEXT("sg:suspended:ends"), TEXT(mailbox));
        return;
    }
    ADD(pipeline, TEXT("PEXPIRE"), TEXT(key), NUMBER(until_ms - now_ms + MARGIN_MS));
    ADD(pipeline, TEXT("PEXPIRE"), TEXT(tried), NUMBER(until_ms - now_ms + MARGIN_MS));
    ADD(pipeline, TEXT("ZADD"), TEXT("sg:suspended:ends"), NUMBER(until_ms), TEXT(mailbox));
}

static void put_offence(struct redis_pipeline *pipeline, const struct transfer_item *item,
                        int64_t now_ms)
{
    (void)now_ms;
    const char *key = arena_printf(pipeline->arena, "sg:offences:%s:%s",
                                   cause_names[item->of.offence.cause], item->of.offence.mailbox);
    ADD(pipeline, TEXT("ZADD"), TEXT(key), NUMBER(item->of.offence.since_ms),
        NUMBER(item->of.offence.id));
    ADD(pipeline, TEXT("PEXPIRE"), TEXT(key), NUMBER(OFFENCES_REMEMBERED_MS + MARGIN_MS));
}

/* As action.lua keeps it. */
static void put_adjustment(struct redis_pipeline *pipeline, const struct transfer_item *item,
                           int64_t now_ms)
{
    (void)now_ms;
    const struct adjustment *adjustment = &item->of.adjustment;
    const char *rule = rule_table[adjustment->rule].name;
    const char *kind = adjust_kind_names[adjustment->kind];
    int64_t ends_ms = adjustment->until_ms == UNTIL_LIFTED ? -1 : adjustment->until_ms;
    const char *field = arena_printf(pipeline->arena, "%s %s %s", rule, kind, adjustment->subject);
    freed_by(text_free) struct text kept = {0};
    text_addf(&kept, "[%lld,", (long long)adjustment->change);
    text_add_json(&kept, adjustment->subject);
    text_addf(&kept, ",\"%s\",\"%s\",0,", rule, kind);
    if (adjustment->kind == ADJUST_PLAN)
        text_add_json(&kept, adjustment->plan);
    else
        text_add_int(&kept, adjustment->value);
    text_addf(&kept, ",%lld]", (long long)ends_ms);
    ADD(pipeline, TEXT("HSET"), TEXT("sg:adjustments"), TEXT(field), TEXT(text_string(&kept)));
    ADD(pipeline, TEXT("ZADD"), TEXT("sg:adjustments:changes"), NUMBER(adjustment->change),
        TEXT(field));
    if (ends_ms >= 0)
        ADD(pipeline, TEXT("ZADD"), TEXT("sg:adjustments:ends"), NUMBER(ends_ms + CHANGE_TOLD_MS),
            TEXT(field));
}

/* As audit.lua writes it; the index by subject has all of them. */
static void put_audit(struct redis_pipeline *pipeline, const struct transfer_item *item,
                      int64_t now_ms)
{
    (void)now_ms;
    const struct audit *audit = &item->of.audit;
    const char *id = arena_printf(pipeline->arena, "%lld-0", (long long)audit->number);
    ADD(pipeline, TEXT("XADD"), TEXT("sg:audit"), TEXT(id), TEXT("at_ms"), NUMBER(audit->at_ms),
        TEXT("by"), TEXT(audit->by), TEXT("act"), TEXT(audit->action), TEXT("subject"),
        TEXT(audit->subject), TEXT("note"), TEXT(audit->note), TEXT("detail"),
        TEXT(audit->detail));
    ADD(pipeline, TEXT("RPUSH"), TEXT(name_key(pipeline, "sg:audit:", audit->subject)),
        NUMBER(audit->number));
    ADD(pipeline, TEXT("HSET"), TEXT("sg:numbers"), TEXT("trail_is_indexed"), TEXT("1"));
}

static void put_value(struct redis_pipeline *pipeline, const struct transfer_item *item,
                      int64_t now_ms)
{
    const struct value *value = &item->of.value;
    const char *kind = value_kind_names[value->kind];
    const char *key = redis_values_key(pipeline->arena, value);
    ADD(pipeline, TEXT("SET"), TEXT(key), redis_values_text(pipeline->arena, value));
    if (value->until_ms != UNTIL_LIFTED)
        ADD(pipeline, TEXT("PEXPIRE"), TEXT(key), NUMBER(value->until_ms - now_ms + MARGIN_MS));
    if (!store_values_listed(value->kind))
        return;
    ADD(pipeline, TEXT("ZADD"), TEXT(name_key(pipeline, REDIS_VALUE_KEYS, kind)), TEXT("0"),
        TEXT(value->key));
    if (value->until_ms != UNTIL_LIFTED)
        ADD(pipeline, TEXT("ZADD"), TEXT(REDIS_VALUE_ENDS), NUMBER(value->until_ms),
            TEXT(arena_printf(pipeline->arena, "%s %s", kind, value->key)));
}

static int write_page(struct backend *backend, const struct transfer_item *items, size_t count,
                      int64_t now_ms)
{
    static put_item *const writers[TRANSFER_KIND_COUNT] = {
        [TRANSFER_HASH_KEY] = put_hash_key,     [TRANSFER_NUMBER] = put_number,
        [TRANSFER_HISTORY] = put_history,       [TRANSFER_RECORD] = put_record,
        [TRANSFER_TICKET] = put_ticket,         [TRANSFER_PAIR] = put_pair,
        [TRANSFER_SUSPENSION] = put_suspension, [TRANSFER_OFFENCE] = put_offence,
        [TRANSFER_ADJUSTMENT] = put_adjustment, [TRANSFER_AUDIT] = put_audit,
        [TRANSFER_VALUE] = put_value,
    };
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_pipeline_end) struct redis_pipeline pipeline = {0};
    if (redis_pipeline_begin(redis_backend(backend), arena, &pipeline) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        writers[items[i].kind](&pipeline, &items[i], now_ms);
    return redis_pipeline_run(&pipeline);
}

/* ---- removing ----------------------------------------------------------------------------- */

/* The streams that are there. 1 or -1. */
static int find_streams(struct redis_backend *backend, struct arena *arena,
                        const char *streams_r[2 * RECORD_STREAMS], size_t *count_r)
{
    freed_by(redis_pipeline_end) struct redis_pipeline there = {0};
    if (redis_pipeline_begin(backend, arena, &there) < 0)
        return -1;
    for (size_t i = 0; i < 2 * RECORD_STREAMS; i++)
        ADD((&there), TEXT("EXISTS"), TEXT(redis_transfer_stream(arena, i % 2 != 0, i / 2)));
    if (redis_pipeline_run(&there) < 0)
        return -1;
    *count_r = 0;
    for (size_t i = 0; i < 2 * RECORD_STREAMS; i++)
        if (redis_number(there.replies[i]) > 0)
            streams_r[(*count_r)++] = redis_transfer_stream(arena, i % 2 != 0, i / 2);
    return 1;
}

/* Removes of the entries of a decision's millisecond the one that has its number. */
static void remove_entry(struct redis_pipeline *pipeline, const char *stream,
                         const redisReply *entries, uint64_t decision)
{
    for (size_t i = 0; i < entries->elements; i++) {
        const redisReply *entry = entries->element[i];
        const redisReply *fields = entry->elements == 2 ? entry->element[1] : entry;
        const redisReply *number = fields->elements >= 2 ? fields->element[0] : fields;
        const uint8_t *bytes = (const uint8_t *)number->str;
        if (number->type == REDIS_REPLY_STRING && number->len == NUMBER_BYTES &&
            packed_get(&bytes, NUMBER_BYTES) == (decision & ((1 << COUNTED_ID_BITS) - 1)))
            ADD(pipeline, TEXT("XDEL"), TEXT(stream), TEXT(redis_text(entry->element[0])));
    }
}

/* What a decision has beside its entry in a stream. */
static void remove_beside(struct redis_pipeline *pipeline, const struct transfer_item *item)
{
    uint64_t decision = item->of.record.decision;
    const char *mailbox = item->of.record.mailbox;
    uint8_t *id = arena_alloc(pipeline->arena, REFUSED_ID_BYTES);
    packed_put(id, decision >> COUNTED_ID_BITS, SINCE_BYTES);
    packed_put(id + SINCE_BYTES, decision & ((1 << COUNTED_ID_BITS) - 1), NUMBER_BYTES);
    if (mailbox != NULL && *mailbox != '\0')
        ADD(pipeline, TEXT("LREM"), TEXT(name_key(pipeline, "sg:refused:", mailbox)), TEXT("0"),
            {id, REFUSED_ID_BYTES});
    ADD(pipeline, TEXT("DEL"), TEXT(arena_printf(pipeline->arena, "sg:decision:%016llx",
                                                 (unsigned long long)decision)));
}

static int remove_records(struct backend *backend, const struct transfer_item *items, size_t count)
{
    struct redis_backend *self = redis_backend(backend);
    const char *streams[2 * RECORD_STREAMS];
    size_t stream_count;
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_pipeline_end) struct redis_pipeline found = {0}, gone = {0};
    if (find_streams(self, arena, streams, &stream_count) < 0 ||
        redis_pipeline_begin(self, arena, &found) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < stream_count; k++) {
            const char *stamp = arena_printf(arena, "%lld",
                                             (long long)decision_time(items[i].of.record.decision));
            ADD((&found), TEXT("XRANGE"), TEXT(streams[k]), TEXT(stamp), TEXT(stamp));
        }
    if (redis_pipeline_run(&found) < 0 || redis_pipeline_begin(self, arena, &gone) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < stream_count; k++)
            remove_entry(&gone, streams[k], found.replies[i * stream_count + k],
                         items[i].of.record.decision);
        remove_beside(&gone, &items[i]);
    }
    return redis_pipeline_run(&gone);
}

const struct transfer_operations redis_transfer = {
    .is_empty = is_empty,
    .begin = begin,
    .end = end,
    .read = redis_transfer_read,
    .write = write_page,
    .remove_records = remove_records,
};
