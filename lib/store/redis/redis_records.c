/* Decisions and the audit log of the Redis backend. Ids of decisions have 60 bits,
 * more than a script's numbers: scripts hand out candidates, here they are put in
 * order and their records fetched. Fetching passes over what has gone since. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/redis/redis.h"

/* ---- a record ------------------------------------------------------------------ */

/* The windows of a record, "messages_per_day=1 …": which count each one looked at. */
static void read_windows(char *text, const struct seen *seen, struct record *record_r)
{
    char *rest, *word = strtok_r(text, " ", &rest);
    for (; word != NULL && record_r->window_count < OVER_TIME_COUNT;
         word = strtok_r(NULL, " ", &rest)) {
        char *place_text = strchr(word, '=');
        if (place_text == NULL)
            continue;
        *place_text++ = '\0';
        int rule = rule_by_name(word);
        unsigned long place = strtoul(place_text, NULL, 10);
        if (rule < 0 || place >= COUNT_PLACES)
            continue;
        record_r->windows[record_r->window_count].rule = (enum rule)rule;
        record_r->windows[record_r->window_count++].used_before = seen->counts[place];
    }
}

/* "admitted\n", the counts as bytes, "KEEP_ADMITTED KEEP_REFUSED messages_per_day=1 …\n",
 * facts. 1, or 0 when it is no record of ours. */
static int parse_record(char *text, size_t length, int64_t *until_ms_r, struct record *record_r)
{
    char *counts = memchr(text, '\n', length);
    if (counts == NULL || length - (size_t)(++counts - text) < SEEN_BYTES)
        return 0;
    counts[-1] = '\0';
    char *keep = counts + SEEN_BYTES, *facts = strchr(keep, '\n'), *windows;
    int outcome = outcome_by_name(text);
    if (facts == NULL || outcome < 0)
        return 0;
    *facts++ = '\0';
    struct seen seen = redis_read_seen(counts);
    int64_t keep_admitted_ms = strtoll(keep, &windows, 10);
    int64_t keep_refused_ms = strtoll(windows, &windows, 10);
    bool admitted = outcome == OUTCOME_ADMITTED || outcome == OUTCOME_REPEATED ||
                    outcome == OUTCOME_REDEEMED;
    read_windows(windows, &seen, record_r);
    *until_ms_r = seen.at_ms + (admitted ? keep_admitted_ms : keep_refused_ms);
    record_r->at_ms = seen.at_ms;
    record_r->outcome = (enum outcome)outcome;
    record_r->facts = facts;
    return 1;
}

enum { ID_DIGITS = 16 };

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

int redis_record(struct backend *backend, struct arena *arena, uint64_t decision, int64_t now_ms,
                 struct record *record_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("record"), argument_id(arena, decision)};
    const redisReply *kept =
        redis_ask(self, SCRIPT_READ, arguments, countof(arguments), &reply);
    return kept == NULL ? -1 : read_record(self, arena, kept, decision, now_ms, record_r);
}

/* ---- lists of decisions ------------------------------------------------------------ */

/* The page of records that is being filled. */
struct page {
    struct arena *arena;
    int64_t now_ms;
    struct action_time time; /* over all its calls */
    struct record *records;
    size_t count, max;
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
    for (size_t i = 0; i < found->elements && page->count < page->max; i++) {
        int read = read_record(backend, page->arena, found->element[i], ids[i], page->now_ms,
                               &page->records[page->count]);
        if (read < 0)
            return -1;
        page->count += read == 1;
    }
    return 1;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Fills the page with the records of these ids, in their order: as many at once
 * as it has room for, and more from where all have gone. 1 or -1. */
static int fetch(struct redis_backend *backend, const struct ids *ids, struct page *page)
{
    enum { AT_FIRST = 128 };
    bool all_gone = false;
    for (size_t done = 0; done < ids->count && page->count < page->max;) {
        size_t before = page->count;
        size_t most = all_gone ? FETCH_MAX : smaller(AT_FIRST, page->max - before);
        size_t count = smaller(most, ids->count - done);
        if (fetch_some(backend, ids->of + done, count, page) < 0)
            return -1;
        all_gone = page->count == before;
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
        if (decision != 0 && decision < before && window_holds(entry.time_ms, DAY_MS, at_ms))
            ids->of[ids->count++] = decision;
    }
}

/* Refused ones by their list, admitted ones by the tags in the histories. */
static int mailbox_ids(struct redis_backend *backend, struct arena *arena, const char *mailbox,
                       uint64_t before, int64_t now_ms, struct ids *ids_r)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    char name[HISTORY_NAME_SIZE];
    const struct argument arguments[] = {
        argument_string("ids"), argument_string(mailbox), argument_int(arena, now_ms),
        argument_string(history_name(SUBJECT_MAILBOX, CHANNEL_FORWARDING, mailbox, name))};
    const redisReply *found =
        redis_ask_list(backend, SCRIPT_READ, arguments, countof(arguments), 5, &reply);
    if (found == NULL)
        return -1;
    if (found->elements != 5)
        return backend_fail(&backend->base, "redis: the decisions of %s are damaged", mailbox);
    const redisReply *refused = found->element[0];
    size_t entries =
        redis_entry_count(found->element[2]) + redis_entry_count(found->element[4]);
    *ids_r = (struct ids){
        .of = arena_alloc(arena, (id_count(refused) + entries + 1) * sizeof ids_r->of[0])};
    add_ids(refused, before, ids_r);
    for (int of = 1; of < 5; of += 2)
        add_admitted(found->element[of + 1], redis_number(found->element[of]), before, ids_r);
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
    while (at_end == 0 && page->count < page->max) {
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

int redis_decisions(struct backend *backend, struct arena *arena, const char *mailbox,
                    uint64_t before,
                    int64_t now_ms, struct record *records_r, size_t max, size_t *count_r)
{
    struct redis_backend *self = redis_backend(backend);
    struct page page = {.arena = arena, .now_ms = now_ms, .time = redis_begin(self),
                        .records = records_r, .max = max};
    struct ids ids;
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    if (mailbox == NULL ? log_page(self, before, &page) < 0
                        : mailbox_ids(self, arena, mailbox, before, now_ms, &ids) < 0 ||
                              fetch(self, &ids, &page) < 0)
        return -1;
    *count_r = page.count;
    return 1;
}

/* ---- the audit log ---------------------------------------------------------------- */

/* An entry of the stream: its id "7-0" and its fields in the order they were written. */
static int read_audit(const redisReply *element, struct audit *audit_r)
{
    enum { FIELDS = 6 };
    if (element->type != REDIS_REPLY_ARRAY || element->elements != 2 ||
        element->element[1]->type != REDIS_REPLY_ARRAY ||
        element->element[1]->elements != 2 * FIELDS)
        return 0;
    redisReply *const *part = element->element[1]->element;
    *audit_r = (struct audit){.number = strtoll(redis_text(element->element[0]), NULL, 10),
                              .at_ms = strtoll(redis_text(part[1]), NULL, 10)};
    redis_copy_text(part[3], audit_r->by, sizeof audit_r->by);
    redis_copy_text(part[5], audit_r->action, sizeof audit_r->action);
    redis_copy_text(part[7], audit_r->subject, sizeof audit_r->subject);
    redis_copy_text(part[9], audit_r->note, sizeof audit_r->note);
    redis_copy_text(part[11], audit_r->detail, sizeof audit_r->detail);
    return 1;
}

static int read_audits(struct redis_backend *backend, const redisReply *list, struct audit *audit_r,
                      size_t *count_r)
{
    for (size_t i = 0; i < list->elements; i++)
        if (!read_audit(list->element[i], &audit_r[i]))
            return backend_fail(&backend->base, "redis: an entry of the audit log is damaged");
    *count_r = list->elements;
    return 1;
}

int redis_audit(struct backend *backend, int64_t after, struct audit *audit_r, size_t max,
                size_t *count_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("audit"),
                                         argument_int(arena, after + 1),
                                         argument_int(arena, (int64_t)max)};
    const redisReply *list =
        redis_ask_list(self, SCRIPT_READ, arguments, countof(arguments), max, &reply);
    if (list == NULL)
        return -1;
    return read_audits(self, list, audit_r, count_r);
}

int redis_audit_newest(struct backend *backend, const char *subject, int64_t before,
                       struct audit *audit_r, size_t max, size_t *count_r)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    if (before > REDIS_TIME_MAX_MS)
        before = REDIS_TIME_MAX_MS; /* as no number is, and a script's numbers are exact */
    if (before < 1)
        before = 1;
    const struct argument of_all[] = {argument_string("audit_newest"),
                                      argument_int(arena, before - 1),
                                      argument_int(arena, (int64_t)max)};
    const struct argument of_one[] = {argument_string("audit_of"),
                                      argument_string(subject != NULL ? subject : ""),
                                      argument_int(arena, before),
                                      argument_int(arena, (int64_t)max)};
    const redisReply *list =
        subject == NULL
            ? redis_ask_list(self, SCRIPT_READ, of_all, countof(of_all), max, &reply)
            : redis_ask_list(self, SCRIPT_READ, of_one, countof(of_one), max, &reply);
    return list == NULL ? -1 : read_audits(self, list, audit_r, count_r);
}

int redis_add_audited(struct redis_backend *backend, const struct audited *audited,
                      struct argument arguments_r[AUDITED_ARGUMENTS])
{
    static const struct audit fits;
    const struct action *action = audited->action;
    if (strlen(action->by) >= sizeof fits.by || strlen(action->note) >= sizeof fits.note ||
        strlen(audited->name) >= sizeof fits.action ||
        strlen(audited->subject) >= sizeof fits.subject ||
        strlen(audited->detail) >= sizeof fits.detail)
        return backend_fail(&backend->base, "an entry %.32s is too long for the audit log",
                            audited->name);
    arguments_r[0] = argument_string(action->by);
    arguments_r[1] = argument_string(action->note);
    arguments_r[2] = argument_string(audited->name);
    arguments_r[3] = argument_string(audited->subject);
    arguments_r[4] = argument_string(audited->detail);
    return 1;
}

int redis_write_audit(struct backend *backend, const struct audited *audited)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    struct argument arguments[2 + AUDITED_ARGUMENTS] = {
        argument_string("write_audit"), argument_int(arena, audited->action->now_ms)};
    if (redis_check_time(self, audited->action->now_ms) < 0 ||
        redis_add_audited(self, audited, arguments + 2) < 0)
        return -1;
    return redis_simple(self, SCRIPT_DESK, arguments, countof(arguments));
}
