/* Decisions and histories in Redis. Ids of decisions have 60 bits, more than a script's numbers:
 * scripts hand out candidates, this file orders them and fetches their records. Fetching passes
 * over records that are gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/packed.h"
#include "store/packed_pair.h"
#include "store/redis/redis.h"

/* ---- a record ----------------------------------------------------------------------- */

static int parse_record(struct arena *arena, const redisReply *kept, int64_t *until_ms_r,
                        struct record *record_r)
{
    const char *ip_name;
    if (kept->len > 0 && kept->str[0] != RECORD_FORMAT)
        return redis_read_earlier_record(arena_strndup(arena, kept->str, kept->len), kept->len,
                                         record_r, until_ms_r);
    return packed_record_get(arena, (const uint8_t *)kept->str, kept->len, record_r, until_ms_r,
                             &ip_name);
}

/* 1; 0 when there is none or it is past its time; -1 when it is damaged. */
static int read_record(struct redis_backend *backend, struct arena *arena, const redisReply *kept,
                       uint64_t decision, int64_t now_ms, struct record *record_r)
{
    struct record record = {0};
    int64_t until_ms;
    if (kept->type == REDIS_REPLY_NIL)
        return 0;
    if (kept->type != REDIS_REPLY_STRING || !parse_record(arena, kept, &until_ms, &record))
        return backend_fail(&backend->base, "redis: the record of decision %016llx is damaged",
                            (unsigned long long)decision);
    record.decision = decision;
    if (until_ms <= now_ms)
        return 0;
    *record_r = record;
    return 1;
}

#define NUMBER_MASK ((UINT64_C(1) << COUNTED_ID_BITS) - 1)

/* As read.lua finds a record: the millisecond of the decision's id, and its number. */
static void put_id(struct arena *arena, uint64_t decision, struct argument arguments_r[2])
{
    uint8_t *number = arena_alloc(arena, NUMBER_BYTES);
    packed_put(number, decision & NUMBER_MASK, NUMBER_BYTES);
    arguments_r[0] = argument_int(arena, decision_time(decision));
    arguments_r[1] = (struct argument){number, NUMBER_BYTES};
}

static int record(struct backend *backend, struct arena *arena, uint64_t decision, int64_t now_ms,
                  struct record *record_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    struct argument arguments[3] = {argument_string("records")};
    put_id(arena, decision, arguments + 1);
    const redisReply *kept =
        redis_ask_list(self, SCRIPT_READ, arguments, countof(arguments), 1, &reply);
    if (kept == NULL)
        return -1;
    return kept->elements == 0 ? 0
                               : read_record(self, arena, kept->element[0], decision, now_ms,
                                             record_r);
}

/* ---- lists of decisions ------------------------------------------------------------- */

/* The page of records that is being filled: one further than `told` has room for tells that there
 * are more. */
struct page {
    struct arena *arena;
    int64_t now_ms;
    struct action_time time; /* over all its calls */
    struct record *records;
    struct store_page *told;
};

/* Candidates, put in order. */
struct ids {
    uint64_t *of;
    size_t count;
};

static int compare_ids(const void *one, const void *other)
{
    const uint64_t *a = one, *b = other;
    return *a > *b ? -1 : *a < *b;
}

/* The highest first, each once. */
static void sort_ids(struct ids *ids)
{
    size_t kept = 0;
    if (ids->count > 0)
        qsort(ids->of, ids->count, sizeof ids->of[0], compare_ids);
    for (size_t i = 0; i < ids->count; i++)
        if (kept == 0 || ids->of[i] != ids->of[kept - 1])
            ids->of[kept++] = ids->of[i];
    ids->count = kept;
}

static void add_id(uint64_t id, uint64_t before, struct ids *ids)
{
    if (id < before)
        ids->of[ids->count++] = id;
}

static uint64_t digits_id(const char *digits)
{
    char text[EARLIER_ID_DIGITS + 1] = "";
    memcpy(text, digits, EARLIER_ID_DIGITS);
    return strtoull(text, NULL, 16);
}

static uint64_t packed_id(const char *bytes)
{
    const uint8_t *next = (const uint8_t *)bytes;
    uint64_t since_ms = packed_get(&next, SINCE_BYTES);
    return since_ms << COUNTED_ID_BITS | (packed_get(&next, NUMBER_BYTES) & NUMBER_MASK);
}

/* How many ids of so many bytes a text has. */
static size_t id_count(const redisReply *text, size_t bytes)
{
    return text->type == REDIS_REPLY_STRING ? text->len / bytes : 0;
}

static void add_record(struct page *page, const struct record *record)
{
    page->told->more = page->told->count == page->told->max;
    if (!page->told->more)
        page->records[page->told->count++] = *record;
}

/* Adds what there still is of `count` records, but for damaged ones. 1 or -1. */
enum { FETCH_MAX = 1024 };
static int fetch_some(struct redis_backend *backend, const uint64_t *ids, size_t count,
                      struct page *page)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    struct argument arguments[1 + 2 * FETCH_MAX] = {argument_string("records")};
    if (redis_is_over(&page->time))
        return backend_fail(&backend->base, "the decisions were not found within %d ms",
                            backend->base.timeout_ms);
    for (size_t i = 0; i < count; i++)
        put_id(arena, ids[i], arguments + 1 + 2 * i);
    const redisReply *found =
        redis_ask_list(backend, SCRIPT_READ, arguments, 1 + 2 * count, count, &reply);
    if (found == NULL)
        return -1;
    for (size_t i = 0; i < found->elements && !page->told->more; i++) {
        struct record record;
        if (read_record(backend, page->arena, found->element[i], ids[i], page->now_ms,
                        &record) > 0)
            add_record(page, &record);
    }
    return 1;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Fills the page with the records of these ids, in their order: as many at once
 * as it can take, and more from where all have gone. 1 or -1. */
static int fetch(struct redis_backend *backend, const struct ids *ids, struct page *page)
{
    enum { AT_FIRST = 128 };
    bool all_gone = false;
    for (size_t done = 0; done < ids->count && !page->told->more;) {
        size_t before = page->told->count;
        size_t most = all_gone ? FETCH_MAX : smaller(AT_FIRST, page->told->max + 1 - before);
        size_t count = smaller(most, ids->count - done);
        if (fetch_some(backend, ids->of + done, count, page) < 0)
            return -1;
        all_gone = page->told->count == before;
        done += count;
    }
    return 1;
}

/* Of the messages in a history, those that lead to their decisions. */
static void add_admitted(const redisReply *history, int64_t at_ms, uint64_t before, struct ids *ids)
{
    size_t entries = redis_entry_count(history, SUBJECT_MAILBOX);
    for (size_t i = 0; i < entries; i++) {
        struct counted counted = redis_read_entry(history, SUBJECT_MAILBOX, i);
        if (counted.decision != 0 &&
            window_holds(counted.entry.time_ms, rule_longest_ms(SUBJECT_MAILBOX), at_ms))
            add_id(counted.decision, before, ids);
    }
}

/* Of the version before they have digits. */
static void add_refused(const redisReply *list, uint64_t before, struct ids *ids)
{
    for (size_t i = 0; i < list->elements; i++) {
        const redisReply *id = list->element[i];
        if (id->type == REDIS_REPLY_STRING && id->len == REFUSED_ID_BYTES)
            add_id(packed_id(id->str), before, ids);
        else if (id->type == REDIS_REPLY_STRING && id->len == EARLIER_ID_DIGITS)
            add_id(digits_id(id->str), before, ids);
    }
}

/* Refused ones by their list, admitted ones by the tags in the histories. */
static int mailbox_ids(struct redis_backend *backend, struct arena *arena, const char *mailbox,
                       uint64_t before, int64_t now_ms, struct ids *ids_r)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    struct argument arguments[3 + CHANNEL_COUNT] = {argument_string("ids"), argument_string(mailbox),
                                                    argument_int(arena, now_ms)};
    size_t histories = 0, entries = 0;
    for (int channel = 0; channel < CHANNEL_COUNT; channel++)
        if (history_is_first(SUBJECT_MAILBOX, (enum channel)channel))
            arguments[3 + histories++] =
                redis_argument_history_of(arena, (enum channel)channel, mailbox);
    const redisReply *found = redis_ask_list(backend, SCRIPT_READ, arguments, 3 + histories,
                                             1 + 2 * histories, &reply);
    if (found == NULL)
        return -1;
    if (found->elements != 1 + 2 * histories)
        return backend_fail(&backend->base, "redis: the decisions of %s are damaged", mailbox);
    const redisReply *refused = found->element[0];
    for (size_t i = 0; i < histories; i++)
        entries += redis_entry_count(found->element[2 + 2 * i], SUBJECT_MAILBOX);
    *ids_r = (struct ids){
        .of = arena_alloc(arena, (refused->elements + entries + 1) * sizeof ids_r->of[0])};
    add_refused(refused, before, ids_r);
    for (size_t i = 0; i < histories; i++)
        add_admitted(found->element[2 + 2 * i], redis_number(found->element[1 + 2 * i]), before,
                     ids_r);
    sort_ids(ids_r);
    return 1;
}

/* ---- of all mailboxes ---- */

/* What a look at the streams and the log of the version before has found: ids, and the moment of
 * the latest that may lie beyond what was read; 0: there is no more. */
struct look {
    struct ids ids;
    int64_t more_ms;
};

static void is_more(struct look *look, uint64_t last)
{
    if (decision_time(last) > look->more_ms)
        look->more_ms = decision_time(last);
}

/* The ids of each stream next below `before`, at most `step` of each. 1 or -1. */
static int look_at_streams(struct redis_backend *backend, struct arena *arena, uint64_t before,
                           size_t step, struct look *look)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("newest"),
                                         argument_int(arena, decision_time(before)),
                                         argument_int(arena, (int64_t)step)};
    const redisReply *found = redis_ask_list(backend, SCRIPT_READ, arguments, countof(arguments),
                                             2 * RECORD_STREAMS, &reply);
    if (found == NULL)
        return -1;
    size_t all = 0;
    for (size_t i = 0; i < found->elements; i++)
        all += id_count(found->element[i], REFUSED_ID_BYTES);
    look->ids.of = arena_alloc(arena, (all + 1) * sizeof look->ids.of[0]);
    for (size_t i = 0; i < found->elements; i++) {
        size_t count = id_count(found->element[i], REFUSED_ID_BYTES);
        const char *bytes = found->element[i]->str;
        for (size_t k = 0; k < count; k++)
            add_id(packed_id(bytes + k * REFUSED_ID_BYTES), before, &look->ids);
        if (count == step)
            is_more(look, packed_id(bytes + (count - 1) * REFUSED_ID_BYTES));
    }
    return 1;
}

/* The same of the log of the version before, LOG_STEP at most. */
enum { LOG_STEP = 2048 };
static int look_at_log(struct redis_backend *backend, struct arena *arena, uint64_t before,
                       struct look *look)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {
        argument_string("log"),
        argument_string(arena_printf(arena, "%016llx", (unsigned long long)before)),
        argument_int(arena, LOG_STEP)};
    const redisReply *found =
        redis_ask_list(backend, SCRIPT_READ, arguments, countof(arguments), 2, &reply);
    if (found == NULL)
        return -1;
    if (found->elements != 2)
        return backend_fail(&backend->base, "redis: the log of decisions is damaged");
    size_t count = id_count(found->element[1], EARLIER_ID_DIGITS);
    struct ids ids = {.of = arena_alloc(arena, (count + 1) * sizeof ids.of[0])};
    for (size_t i = 0; i < count; i++)
        add_id(digits_id(found->element[1]->str + i * EARLIER_ID_DIGITS), before, &ids);
    sort_ids(&ids);
    size_t taken = smaller(ids.count, LOG_STEP);
    if (taken > 0 && (taken < ids.count || redis_number(found->element[0]) != 1))
        is_more(look, ids.of[taken - 1]);
    uint64_t *all = arena_alloc(arena, (look->ids.count + taken + 1) * sizeof all[0]);
    memcpy(all, look->ids.of, look->ids.count * sizeof all[0]);
    memcpy(all + look->ids.count, ids.of, taken * sizeof all[0]);
    look->ids = (struct ids){all, look->ids.count + taken};
    return 1;
}

/* Steps down until the page is full or there is no more. What may lie beyond a look is looked at
 * again, further where a look brought nothing. */
static int log_page(struct redis_backend *backend, uint64_t before, struct page *page)
{
    enum { STEP = 256, STEP_MAX = 65536 };
    size_t step = STEP;
    while (!page->told->more) {
        freed_by(arena_free) struct arena *arena = arena_new();
        struct look look = {.more_ms = 0};
        if (look_at_streams(backend, arena, before, step, &look) < 0 ||
            look_at_log(backend, arena, before, &look) < 0)
            return -1;
        sort_ids(&look.ids);
        size_t safe = 0;
        while (safe < look.ids.count &&
               (look.more_ms == 0 || decision_time(look.ids.of[safe]) > look.more_ms))
            safe++;
        look.ids.count = safe;
        if (fetch(backend, &look.ids, page) < 0)
            return -1;
        if (look.more_ms == 0)
            break;
        uint64_t below = decision_floor(look.more_ms + 1);
        step = below < before ? STEP : step * 2;
        if (step > STEP_MAX)
            return backend_fail(&backend->base, "redis: too many decisions of one moment");
        before = below < before ? below : before;
    }
    return 1;
}

static int decisions(struct backend *backend, struct arena *arena, const char *mailbox,
                     uint64_t before, int64_t now_ms, struct record *records_r,
                     struct store_page *told)
{
    struct redis_backend *self = redis_backend(backend);
    struct page page = {.arena = arena, .now_ms = now_ms, .time = redis_begin(self),
                        .records = records_r, .told = told};
    struct ids ids;
    told->count = 0;
    told->more = false;
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    if (mailbox == NULL ? log_page(self, before, &page) < 0
                        : mailbox_ids(self, arena, mailbox, before, now_ms, &ids) < 0 ||
                              fetch(self, &ids, &page) < 0)
        return -1;
    return 1;
}

/* ---- those that passed ---- */

/* A record that a stream has. */
struct candidate {
    uint64_t id;
    const redisReply *record;
};

static int compare_candidates(const void *one, const void *other)
{
    const struct candidate *a = one, *b = other;
    return a->id > b->id ? 1 : -(a->id < b->id);
}

/* What all streams told, the lowest id first. *until_ms_r: what is told is all before that moment;
 * INT64_MAX: there is no more. 1, or -1 when it has another form. */
static int gather_candidates(struct redis_backend *backend, struct arena *arena,
                             const redisReply *streams, size_t step, struct candidate **all_r,
                             size_t *count_r, int64_t *until_ms_r)
{
    *all_r = arena_alloc(arena, (streams->elements * step + 1) * sizeof **all_r);
    *count_r = 0;
    *until_ms_r = INT64_MAX;
    for (size_t i = 0; i < streams->elements; i++) {
        const redisReply *told = streams->element[i];
        if (told->type != REDIS_REPLY_ARRAY || told->elements > 2 * step)
            return redis_unexpected(backend);
        for (size_t k = 0; k + 1 < told->elements; k += 2) {
            if (id_count(told->element[k], REFUSED_ID_BYTES) != 1)
                return redis_unexpected(backend);
            (*all_r)[(*count_r)++] =
                (struct candidate){packed_id(told->element[k]->str), told->element[k + 1]};
        }
        if (told->elements == 2 * step &&
            decision_time((*all_r)[*count_r - 1].id) < *until_ms_r)
            *until_ms_r = decision_time((*all_r)[*count_r - 1].id);
    }
    qsort(*all_r, *count_r, sizeof **all_r, compare_candidates);
    return 1;
}

/* Adds what is above `after` and before that moment, but for damaged records. */
static void add_candidates(struct redis_backend *backend, const struct candidate *all,
                           size_t count, uint64_t after, int64_t until_ms, struct page *page)
{
    for (size_t i = 0; i < count && !page->told->more; i++) {
        struct record record;
        if (all[i].id > after && decision_time(all[i].id) < until_ms &&
            read_record(backend, page->arena, all[i].record, all[i].id, page->now_ms, &record) > 0)
            add_record(page, &record);
    }
}

/* Steps up until the page is full or there is no more; further where a moment has more records
 * than a step. */
static int passed_page(struct redis_backend *backend, uint64_t after, struct page *page)
{
    enum { STEP_MAX = 65536 };
    size_t step = smaller(page->told->max + 1, 256);
    int64_t from_ms = decision_time(after), until_ms = 0;
    while (!page->told->more && until_ms != INT64_MAX) {
        freed_by(arena_free) struct arena *arena = arena_new();
        freed_by(redis_free_reply) redisReply *reply = NULL;
        const struct argument arguments[] = {argument_string("passed"),
                                             argument_int(arena, from_ms),
                                             argument_int(arena, (int64_t)step)};
        struct candidate *all;
        size_t count;
        if (redis_is_over(&page->time))
            return backend_fail(&backend->base, "the messages that passed were not found within "
                                                "%d ms", backend->base.timeout_ms);
        const redisReply *streams = redis_ask_list(backend, SCRIPT_READ, arguments,
                                                   countof(arguments), RECORD_STREAMS, &reply);
        if (streams == NULL ||
            gather_candidates(backend, arena, streams, step, &all, &count, &until_ms) < 0)
            return -1;
        add_candidates(backend, all, count, after, until_ms, page);
        step = until_ms > from_ms ? step : step * 2;
        if (step > STEP_MAX)
            return backend_fail(&backend->base, "redis: too many decisions of one moment");
        from_ms = until_ms;
    }
    return 1;
}

static int passed(struct backend *backend, struct arena *arena, uint64_t after, int64_t now_ms,
                  struct record *records_r, struct store_page *told)
{
    struct redis_backend *self = redis_backend(backend);
    struct page page = {.arena = arena, .now_ms = now_ms, .time = redis_begin(self),
                        .records = records_r, .told = told};
    told->count = 0;
    told->more = false;
    return redis_check_time(self, now_ms) < 0 ? -1 : passed_page(self, after, &page);
}

/* ---- histories ---------------------------------------------------------------------- */

size_t redis_entry_count(const redisReply *element, enum subject subject)
{
    return element->type == REDIS_REPLY_STRING ? element->len / packed_entry_bytes(subject) : 0;
}

struct counted redis_read_entry(const redisReply *element, enum subject subject, size_t at)
{
    struct counted counted;
    packed_entry_get(subject, (const uint8_t *)element->str + at * packed_entry_bytes(subject),
                     &counted);
    return counted;
}

void redis_read_history(const redisReply *element, struct arena *arena, enum subject subject,
                        int64_t at_ms, struct history *history_r)
{
    int64_t length_ms = rule_longest_ms(subject);
    size_t count = redis_entry_count(element, subject);
    *history_r = (struct history){0};
    if (count == 0)
        return;
    history_r->entries = arena_alloc(arena, count * sizeof history_r->entries[0]);
    for (size_t i = 0; i < count; i++) {
        struct entry entry = redis_read_entry(element, subject, i).entry;
        if (entry.time_ms > at_ms) /* a wrong clock stamped it */
            entry.time_ms = at_ms;
        if (window_holds(entry.time_ms, length_ms, at_ms))
            history_r->entries[history_r->count++] = entry;
    }
}

static int account(struct backend *backend, struct arena *arena, const char *mailbox,
                   int64_t now_ms, struct account *account_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    struct account read;
    const struct argument arguments[] = {argument_string("account"), argument_string(mailbox),
                                         argument_int(arena, now_ms)};
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    const redisReply *seen =
        redis_ask_list(self, SCRIPT_READ, arguments, countof(arguments), 3, &reply);
    if (seen == NULL)
        return -1;
    if (seen->elements != 3 || !redis_read_suspensions(seen->element[2], &read.suspensions))
        return backend_fail(backend, "redis: the account of %s is damaged", mailbox);
    redis_read_history(seen->element[1], arena, SUBJECT_MAILBOX,
                       redis_number(seen->element[0]), &read.history);
    *account_r = read;
    return 1;
}

/* Of the recipient that a mailbox sent most to. */
static int pair_history(struct redis_backend *backend, struct arena *arena, const char *mailbox,
                        int64_t now_ms, struct history *history_r)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("recipient"), argument_string(mailbox),
                                         argument_int(arena, now_ms)};
    const redisReply *seen =
        redis_ask_list(backend, SCRIPT_READ, arguments, countof(arguments), 2, &reply);
    if (seen == NULL)
        return -1;
    if (seen->elements != 2 || seen->element[1]->type != REDIS_REPLY_STRING ||
        !packed_pair_is_whole(seen->element[1]->len))
        return redis_unexpected(backend);
    *history_r = packed_pair_history(arena, (const uint8_t *)seen->element[1]->str,
                                     seen->element[1]->len, now_ms);
    return 1;
}

static int history(struct backend *backend, struct arena *arena, enum subject subject,
                   const char *key, int64_t now_ms, struct history *history_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    if (subject == SUBJECT_RECIPIENT)
        return pair_history(self, arena, key, now_ms, history_r);
    const struct argument arguments[] = {argument_string("history"),
                                         redis_argument_history(arena, subject, key),
                                         argument_int(arena, now_ms)};
    const redisReply *seen =
        redis_ask_list(self, SCRIPT_READ, arguments, countof(arguments), 2, &reply);
    if (seen == NULL)
        return -1;
    if (seen->elements != 2)
        return backend_fail(backend, "redis: the history of %s is damaged", key);
    redis_read_history(seen->element[1], arena, subject, redis_number(seen->element[0]),
                       history_r);
    return 1;
}

static int reset(struct backend *backend, const char *name, const struct action *action)
{
    enum { BEFORE = 5 };
    enum subject subject = history_subject(name, strlen(name));
    char key[DOMAIN_KEY_SIZE], text[HISTORY_NAME_SIZE];
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    struct argument arguments[BEFORE + 2 * CHANNEL_COUNT] = {
        argument_string("reset"), argument_int(arena, action->now_ms), argument_string(name),
        argument_string(action->by), argument_string(action->note)};
    size_t count = BEFORE;
    for (int channel = 0; channel < CHANNEL_COUNT; channel++)
        if (history_is_first(subject, (enum channel)channel)) {
            arguments[count++] = argument_string(channel_names[channel]);
            arguments[count++] = redis_argument_history(
                arena, subject,
                history_name(subject, (enum channel)channel, history_key_named(name, key), text));
        }
    if (redis_check_time(self, action->now_ms) < 0)
        return -1;
    return redis_simple(self, SCRIPT_ACTION, arguments, count);
}

const struct record_operations redis_records = {
    .record = record,
    .decisions = decisions,
    .passed = passed,
    .history = history,
    .account = account,
    .reset = reset,
};
