/* Decisions and histories in Redis. Ids of decisions have 60 bits, more than a script's numbers:
 * scripts hand out candidates, this file orders them and fetches their records. Fetching passes
 * over records that are gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/redis/redis.h"

/* ---- a record ----------------------------------------------------------------------- */

/* The windows of a record, "messages_per_day=1 …": which count each one looked at. */
static void read_windows(char *text, const struct seen *seen, struct record *record_r)
{
    char *rest, *word = strtok_r(text, " ", &rest);
    for (; word != NULL && record_r->window_count < OVER_TIME_COUNT;
         word = strtok_r(NULL, " ", &rest)) {
        char *count_text = strchr(word, '=');
        if (count_text == NULL)
            continue;
        *count_text++ = '\0';
        int rule = rule_by_name(word);
        unsigned long count = strtoul(count_text, NULL, 10);
        if (rule < 0 || count >= COUNTS_MAX)
            continue;
        record_r->windows[record_r->window_count].rule = (enum rule)rule;
        record_r->windows[record_r->window_count++].used_before = seen->counts[count];
    }
}

/* The shape of its totals, behind the outcome's name: 1, or 0 when it has another form. */
static int read_shape(const char *text, struct seen_spans *spans_r)
{
    unsigned of_mailbox = FIRST_MAILBOX_SPANS, of_ip = FIRST_IP_SPANS;
    if (*text != '\0' && sscanf(text, " %2u %2u", &of_mailbox, &of_ip) != 2)
        return 0;
    *spans_r = (struct seen_spans){{[SUBJECT_MAILBOX] = of_mailbox, [SUBJECT_IP] = of_ip}};
    return of_mailbox + of_ip <= RECORD_SPANS_MAX;
}

/* "admitted\n", the counts as bytes, "KEEP_ADMITTED KEEP_REFUSED messages_per_day=1 …\n",
 * facts. 1, or 0 when it is no record of ours. */
static int parse_record(char *text, size_t length, int64_t *until_ms_r, struct record *record_r)
{
    struct seen_spans spans;
    char *counts = memchr(text, '\n', length);
    if (counts == NULL)
        return 0;
    *counts++ = '\0';
    char *shape = text + strcspn(text, " ");
    if (!read_shape(shape, &spans) ||
        length - (size_t)(counts - text) < redis_seen_bytes(&spans))
        return 0;
    *shape = '\0';
    char *keep = counts + redis_seen_bytes(&spans), *facts = strchr(keep, '\n'), *windows;
    int outcome = outcome_by_name(text);
    if (facts == NULL || outcome < 0)
        return 0;
    *facts++ = '\0';
    struct seen seen = redis_read_seen(counts, &spans);
    int64_t keep_admitted_ms = strtoll(keep, &windows, 10);
    int64_t keep_refused_ms = strtoll(windows, &windows, 10);
    bool passes = outcome_passes((enum outcome)outcome);
    read_windows(windows, &seen, record_r);
    *until_ms_r = seen.at_ms + (passes ? keep_admitted_ms : keep_refused_ms);
    record_r->at_ms = seen.at_ms;
    record_r->outcome = (enum outcome)outcome;
    record_r->facts = facts;
    record_r->facts_length = length - (size_t)(facts - text);
    return 1;
}

static struct argument argument_id(struct arena *arena, uint64_t decision)
{
    return argument_string(arena_printf(arena, "%016llx", (unsigned long long)decision));
}

/* 1; 0 when there is none or it is past its time; -1 when it is damaged. */
static int read_record(struct redis_backend *backend, struct arena *arena, const redisReply *kept,
                       uint64_t decision, int64_t now_ms, struct record *record_r)
{
    struct record record = {.decision = decision};
    int64_t until_ms;
    if (kept->type == REDIS_REPLY_NIL)
        return 0;
    if (kept->type != REDIS_REPLY_STRING ||
        !parse_record(arena_strndup(arena, kept->str, kept->len), kept->len, &until_ms, &record))
        return backend_fail(&backend->base, "redis: the record of decision %016llx is damaged",
                            (unsigned long long)decision);
    if (until_ms <= now_ms)
        return 0;
    *record_r = record;
    return 1;
}

static int record(struct backend *backend, struct arena *arena, uint64_t decision, int64_t now_ms,
                  struct record *record_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("record"), argument_id(arena, decision)};
    const redisReply *kept =
        redis_ask(self, SCRIPT_READ, arguments, countof(arguments), &reply);
    return kept == NULL ? -1 : read_record(self, arena, kept, decision, now_ms, record_r);
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

/* The ids in a text, 16 digits each, that are below `before`. */
static void add_ids(const redisReply *text, uint64_t before, struct ids *ids)
{
    const char *next = redis_text(text);
    char digits[ID_DIGITS + 1] = "";
    for (size_t left = strlen(next) / ID_DIGITS; left > 0; left--, next += ID_DIGITS) {
        memcpy(digits, next, ID_DIGITS);
        uint64_t id = strtoull(digits, NULL, 16);
        if (id < before)
            ids->of[ids->count++] = id;
    }
}

static size_t id_count(const redisReply *text) { return strlen(redis_text(text)) / ID_DIGITS; }

static void add_record(struct page *page, const struct record *record)
{
    page->told->more = page->told->count == page->told->max;
    if (!page->told->more)
        page->records[page->told->count++] = *record;
}

/* Adds what there still is of `count` records. 1 or -1. */
enum { FETCH_MAX = 1024 };
static int fetch_some(struct redis_backend *backend, const uint64_t *ids, size_t count,
                      struct page *page)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    struct argument arguments[1 + FETCH_MAX] = {argument_string("records")};
    if (redis_is_over(&page->time))
        return backend_fail(&backend->base, "the decisions were not found within %d ms",
                            backend->base.timeout_ms);
    for (size_t i = 0; i < count; i++)
        arguments[1 + i] = argument_id(arena, ids[i]);
    const redisReply *found =
        redis_ask_list(backend, SCRIPT_READ, arguments, 1 + count, count, &reply);
    if (found == NULL)
        return -1;
    for (size_t i = 0; i < found->elements && !page->told->more; i++) {
        struct record record;
        int read = read_record(backend, page->arena, found->element[i], ids[i], page->now_ms,
                               &record);
        if (read < 0)
            return -1;
        if (read == 1)
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
    size_t entries = redis_entry_count(history);
    for (size_t i = 0; i < entries; i++) {
        uint64_t decision;
        struct entry entry = redis_read_entry(history, i, &decision);
        if (decision != 0 && decision < before && window_holds(entry.time_ms, rule_longest_ms(SUBJECT_MAILBOX), at_ms))
            ids->of[ids->count++] = decision;
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
                redis_argument_history(arena, (enum channel)channel, mailbox);
    const redisReply *found = redis_ask_list(backend, SCRIPT_READ, arguments, 3 + histories,
                                             1 + 2 * histories, &reply);
    if (found == NULL)
        return -1;
    if (found->elements != 1 + 2 * histories)
        return backend_fail(&backend->base, "redis: the decisions of %s are damaged", mailbox);
    const redisReply *refused = found->element[0];
    for (size_t i = 0; i < histories; i++)
        entries += redis_entry_count(found->element[2 + 2 * i]);
    *ids_r = (struct ids){
        .of = arena_alloc(arena, (id_count(refused) + entries + 1) * sizeof ids_r->of[0])};
    add_ids(refused, before, ids_r);
    for (size_t i = 0; i < histories; i++)
        add_admitted(found->element[2 + 2 * i], redis_number(found->element[1 + 2 * i]), before,
                     ids_r);
    sort_ids(ids_r);
    return 1;
}

/* The ids of all mailboxes next below `before`, at most LOG_STEP. 1 when nothing lies
 * beyond them, 0 when something may, or -1. */
enum { LOG_STEP = 2048 };
static int log_ids(struct redis_backend *backend, struct arena *arena, uint64_t before,
                   struct ids *ids_r)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("log"), argument_id(arena, before),
                                         argument_int(arena, LOG_STEP)};
    const redisReply *found =
        redis_ask_list(backend, SCRIPT_READ, arguments, countof(arguments), 2, &reply);
    if (found == NULL)
        return -1;
    if (found->elements != 2)
        return backend_fail(&backend->base, "redis: the log of decisions is damaged");
    bool all = redis_number(found->element[0]) == 1;
    *ids_r = (struct ids){
        .of = arena_alloc(arena, (id_count(found->element[1]) + 1) * sizeof ids_r->of[0])};
    add_ids(found->element[1], before, ids_r);
    sort_ids(ids_r);
    if (ids_r->count > LOG_STEP) {
        ids_r->count = LOG_STEP;
        all = false;
    }
    return all || ids_r->count == 0;
}

/* Steps through the log until the page is full or the log ends. */
static int log_page(struct redis_backend *backend, uint64_t before, struct page *page)
{
    int at_end = 0;
    while (at_end == 0 && !page->told->more) {
        freed_by(arena_free) struct arena *arena = arena_new();
        struct ids ids;
        at_end = log_ids(backend, arena, before, &ids);
        if (at_end < 0 || fetch(backend, &ids, page) < 0)
            return -1;
        if (ids.count > 0)
            before = ids.of[ids.count - 1];
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

/* ---- histories ---------------------------------------------------------------------- */

void redis_read_history(const redisReply *element, struct arena *arena, enum subject subject,
                        int64_t at_ms, struct history *history_r)
{
    int64_t length_ms = rule_longest_ms(subject);
    size_t count = redis_entry_count(element);
    *history_r = (struct history){0};
    if (count == 0)
        return;
    history_r->entries = arena_alloc(arena, count * sizeof history_r->entries[0]);
    for (size_t i = 0; i < count; i++) {
        uint64_t decision;
        struct entry entry = redis_read_entry(element, i, &decision);
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
    if (seen->elements != 3 || !redis_read_suspension(seen->element[2], &read.suspension))
        return backend_fail(backend, "redis: the account of %s is damaged", mailbox);
    redis_read_history(seen->element[1], arena, SUBJECT_MAILBOX,
                       redis_number(seen->element[0]), &read.history);
    *account_r = read;
    return 1;
}

static int history(struct backend *backend, struct arena *arena, enum subject subject,
                   const char *key, int64_t now_ms, struct history *history_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("history"), argument_string(key),
                                         argument_int(arena, now_ms)};
    if (redis_check_time(self, now_ms) < 0)
        return -1;
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

static int reset(struct backend *backend, const char *mailbox, const struct action *action)
{
    enum { BEFORE = 5 };
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    struct argument arguments[BEFORE + 2 * CHANNEL_COUNT] = {
        argument_string("reset"), argument_int(arena, action->now_ms), argument_string(mailbox),
        argument_string(action->by), argument_string(action->note)};
    size_t count = BEFORE;
    for (int channel = 0; channel < CHANNEL_COUNT; channel++)
        if (history_is_first(SUBJECT_MAILBOX, (enum channel)channel)) {
            arguments[count++] = argument_string(channel_names[channel]);
            arguments[count++] = redis_argument_history(arena, (enum channel)channel, mailbox);
        }
    if (redis_check_time(self, action->now_ms) < 0)
        return -1;
    return redis_simple(self, SCRIPT_ACTION, arguments, count);
}

const struct record_operations redis_records = {
    .record = record,
    .decisions = decisions,
    .history = history,
    .account = account,
    .reset = reset,
};
