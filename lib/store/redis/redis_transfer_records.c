/* Reading the decision records of a store that is moved from Redis: those that passed, then
 * refused ones, in order of time. */
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/packed.h"
#include "store/packed_entry.h"
#include "store/redis/redis_pipeline.h"
#include "store/redis/redis_transfer.h"
#include "store/redis/redis_walk.h"

/* Whose a refused message was, which only the lists of the mailboxes say. */
struct owner {
    uint64_t decision;
    const char *mailbox;
};

/* The records of one part, those that passed or refused ones: first those of an earlier version,
 * then the streams, merged. */
struct record_places {
    bool refused;
    bool begun; /* this part */
    struct owner *owners; /* in order of decisions */
    size_t owner_count, owner_size;
    uint64_t *earlier; /* decisions of both parts, in order */
    size_t earlier_count, earlier_size, earlier_at;
    char last[RECORD_STREAMS][48]; /* ids in the streams */
};

static int compare_decisions(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

/* Room for one more of `each` bytes, in `arena`. */
static void *grow(struct arena *arena, void *all, size_t count, size_t *size, size_t each)
{
    if (count < *size)
        return all;
    *size = *size > 0 ? 2 * *size : 256;
    void *grown = arena_alloc(arena, *size * each);
    if (count > 0)
        memcpy(grown, all, count * each);
    return grown;
}

/* As the list of a mailbox's refused messages has it, of an earlier version too; 0 when it is
 * none. */
static uint64_t listed_decision(const redisReply *element)
{
    const uint8_t *bytes = (const uint8_t *)element->str;
    if (element->type != REDIS_REPLY_STRING)
        return 0;
    if (element->len == EARLIER_ID_DIGITS)
        return strtoull(element->str, NULL, 16);
    if (element->len != REFUSED_ID_BYTES)
        return 0;
    uint64_t since = packed_get(&bytes, SINCE_BYTES);
    return since << COUNTED_ID_BITS | packed_get(&bytes, NUMBER_BYTES);
}

static int find_owners(const struct redis_reading *reading, struct record_places *places)
{
    static const char *const prefixes[] = {"sg:refused:*@", NULL};
    struct arena *lasting = reading->cursor->arena;
    struct transfer_cursor cursor = {.arena = lasting};
    struct redis_walk *walk = redis_walk_of(&cursor, prefixes);
    const char *keys[TRANSFER_PAGE];
    size_t count;
    int more;
    while ((more = redis_walk_next(reading->backend, reading->arena, walk, keys, &count)) > 0) {
        freed_by(redis_pipeline_end) struct redis_pipeline pipeline = {0};
        if (redis_pipeline_begin(reading->backend, reading->arena, &pipeline) < 0)
            return -1;
        for (size_t i = 0; i < count; i++)
            ADD((&pipeline), TEXT("LRANGE"), TEXT(keys[i]), TEXT("0"), TEXT("-1"));
        if (redis_pipeline_run(&pipeline) < 0)
            return -1;
        for (size_t i = 0; i < count; i++) {
            const char *mailbox = arena_strdup(lasting, keys[i] + strlen("sg:refused:"));
            walk->at += strlen(keys[i]) + 1;
            for (size_t k = 0; k < pipeline.replies[i]->elements; k++) {
                places->owners = grow(lasting, places->owners, places->owner_count,
                                      &places->owner_size, sizeof places->owners[0]);
                places->owners[places->owner_count++] = (struct owner){
                    listed_decision(pipeline.replies[i]->element[k]), mailbox};
            }
        }
    }
    if (places->owner_count > 0)
        qsort(places->owners, places->owner_count, sizeof places->owners[0], compare_decisions);
    return more;
}

static const char *owner_of(const struct record_places *places, uint64_t decision)
{
    const struct owner *owner =
        places->owner_count > 0 ? bsearch(&decision, places->owners, places->owner_count,
                                          sizeof places->owners[0], compare_decisions)
                                : NULL;
    return owner != NULL ? owner->mailbox : "";
}

static int find_earlier(const struct redis_reading *reading, struct record_places *places)
{
    static const char *const prefixes[] = {"sg:decision:", NULL};
    struct transfer_cursor cursor = {.arena = reading->cursor->arena};
    struct redis_walk *walk = redis_walk_of(&cursor, prefixes);
    const char *keys[TRANSFER_PAGE];
    size_t count;
    int more;
    while ((more = redis_walk_next(reading->backend, reading->arena, walk, keys, &count)) > 0)
        for (size_t i = 0; i < count; i++) {
            walk->at += strlen(keys[i]) + 1;
            places->earlier = grow(cursor.arena, places->earlier, places->earlier_count,
                                   &places->earlier_size, sizeof places->earlier[0]);
            places->earlier[places->earlier_count++] =
                strtoull(keys[i] + strlen("sg:decision:"), NULL, 16);
        }
    if (places->earlier_count > 0)
        qsort(places->earlier, places->earlier_count, sizeof places->earlier[0],
              compare_decisions);
    return more;
}

static void add_record(const struct redis_reading *reading, const struct record_places *places,
                       struct transfer_item *item)
{
    item->of.record.mailbox =
        places->refused ? owner_of(places, item->of.record.decision) : NULL;
    *redis_transfer_item(reading) = *item;
}

/* The next ones that an earlier version kept. */
static int read_earlier(const struct redis_reading *reading, struct record_places *places)
{
    size_t first = places->earlier_at, count = places->earlier_count - first;
    freed_by(redis_pipeline_end) struct redis_pipeline pipeline = {0};
    if (redis_pipeline_begin(reading->backend, reading->arena, &pipeline) < 0)
        return -1;
    count = count < TRANSFER_PAGE ? count : TRANSFER_PAGE;
    for (size_t i = 0; i < count; i++)
        ADD((&pipeline), TEXT("GET"),
            TEXT(arena_printf(reading->arena, "sg:decision:%016llx",
                              (unsigned long long)places->earlier[first + i])));
    if (redis_pipeline_run(&pipeline) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct record record = {0};
        struct transfer_item item = {0};
        int64_t until_ms;
        redisReply *text = pipeline.replies[i];
        record.decision = places->earlier[first + i];
        if (text->type != REDIS_REPLY_STRING ||
            !redis_read_earlier_record(text->str, text->len, &record, &until_ms) ||
            outcome_passes(record.outcome) == places->refused)
            continue;
        record.decision = places->earlier[first + i];
        transfer_items_pack(reading->arena, &record, until_ms - record.at_ms, &item);
        add_record(reading, places, &item);
    }
    places->earlier_at += count;
    return 1;
}

/* An entry of a stream: its id begins with the decision's millisecond; a field with the number as
 * its name and the record as its value. 1, or 0 when it has another form. */
static int read_entry(const struct redis_reading *reading, const redisReply *entry,
                      struct transfer_item *item_r)
{
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        entry->element[1]->type != REDIS_REPLY_ARRAY || entry->element[1]->elements < 2)
        return 0;
    const redisReply *number = entry->element[1]->element[0];
    const redisReply *record = entry->element[1]->element[1];
    if (number->type != REDIS_REPLY_STRING || number->len != NUMBER_BYTES ||
        record->type != REDIS_REPLY_STRING)
        return 0;
    const uint8_t *bytes = (const uint8_t *)number->str;
    int64_t stamp_ms = strtoll(redis_text(entry->element[0]), NULL, 10);
    item_r->of.record.decision = decision_floor(stamp_ms) | packed_get(&bytes, NUMBER_BYTES);
    item_r->of.record.bytes =
        (const uint8_t *)arena_strndup(reading->arena, record->str, record->len);
    item_r->of.record.length = record->len;
    return 1;
}

const char *redis_transfer_stream(struct arena *arena, bool refused, size_t place)
{
    const char *kind = refused ? "sg:refused" : "sg:admitted";
    return place == 0 ? kind : arena_printf(arena, "%s/%zu", kind, place + 1);
}

/* The stream whose next entry has the lowest id; RECORD_STREAMS when there is none. */
static size_t lowest(redisReply *const lists[RECORD_STREAMS], const size_t at[RECORD_STREAMS])
{
    size_t found = RECORD_STREAMS;
    int64_t least_ms = INT64_MAX;
    for (size_t place = 0; place < RECORD_STREAMS; place++)
        if (at[place] < lists[place]->elements) {
            const redisReply *entry = lists[place]->element[at[place]];
            int64_t stamp_ms = entry->elements > 0
                                   ? strtoll(redis_text(entry->element[0]), NULL, 10) : 0;
            if (stamp_ms < least_ms) {
                least_ms = stamp_ms;
                found = place;
            }
        }
    return found;
}

/* The next ones of the streams; 1, 0 there are no more, -1. */
static int read_streams(const struct redis_reading *reading, struct record_places *places)
{
    size_t at[RECORD_STREAMS] = {0}, place;
    freed_by(redis_pipeline_end) struct redis_pipeline pipeline = {0};
    if (redis_pipeline_begin(reading->backend, reading->arena, &pipeline) < 0)
        return -1;
    for (place = 0; place < RECORD_STREAMS; place++)
        ADD((&pipeline), TEXT("XRANGE"),
            TEXT(redis_transfer_stream(reading->arena, places->refused, place)),
            TEXT(*places->last[place] != '\0'
                     ? arena_printf(reading->arena, "(%s", places->last[place]) : "-"),
            TEXT("+"), TEXT("COUNT"), argument_int(reading->arena, TRANSFER_PAGE));
    if (redis_pipeline_run(&pipeline) < 0)
        return -1;
    while (*reading->count < TRANSFER_PAGE &&
           (place = lowest(pipeline.replies, at)) < RECORD_STREAMS) {
        struct transfer_item item = {0};
        const redisReply *entry = pipeline.replies[place]->element[at[place]++];
        if (!read_entry(reading, entry, &item))
            return redis_transfer_damaged(reading, redis_transfer_stream(reading->arena,
                                                                         places->refused, place));
        redis_copy_text(entry->element[0], places->last[place], sizeof places->last[place]);
        add_record(reading, places, &item);
    }
    return *reading->count > 0;
}

int redis_transfer_read_records(const struct redis_reading *reading)
{
    struct record_places *places = reading->cursor->state;
    if (places == NULL) {
        places = reading->cursor->state = arena_alloc(reading->cursor->arena, sizeof *places);
        if (find_owners(reading, places) < 0 || find_earlier(reading, places) < 0)
            return -1;
    }
    if (places->earlier_at < places->earlier_count)
        return read_earlier(reading, places);
    int more = read_streams(reading, places);
    if (more != 0)
        return more;
    reading->cursor->end = places->refused;
    places->refused = true;
    places->earlier_at = 0;
    memset(places->last, 0, sizeof places->last);
    return 1;
}
