/* Decisions and histories in SQLite. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/text.h"
#include "store/detail.h"
#include "store/packed_record.h"
#include "store/sqlite/sqlite_pair.h"

/* ---- one record --------------------------------------------------------------------- */

static void record_until(sqlite3_context *context, int count, sqlite3_value **values)
{
    int64_t until_ms = 0;
    const void *bytes = sqlite3_value_blob(values[0]);
    (void)count;
    if (!packed_record_until(bytes, (size_t)sqlite3_value_bytes(values[0]), &until_ms))
        until_ms = 0;
    sqlite3_result_int64(context, until_ms);
}

int sqlite_add_record_until(sqlite3 *db)
{
    return sqlite3_create_function_v2(db, "record_until", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
                                      NULL, record_until, NULL, NULL, NULL);
}

/* The text of the windows before a message, as version 4 of the schema has it:
 * "messages_per_day=412 off_domain_per_day=900". */
static void parse_used(const char *text, struct record *record_r)
{
    char name[64];
    unsigned long long used;
    int length;
    record_r->window_count = 0;
    while (record_r->window_count < OVER_TIME_COUNT &&
           sscanf(text, " %63[a-z_]=%llu%n", name, &used, &length) == 2) {
        int rule = rule_by_name(name);
        if (rule >= 0) {
            record_r->windows[record_r->window_count].rule = (enum rule)rule;
            record_r->windows[record_r->window_count++].used_before = used;
        }
        text += length;
    }
}

/* One that was kept until version 5 of the schema. */
void sqlite_read_older(sqlite3_stmt *row, struct arena *arena, struct record *record_r)
{
    int outcome = outcome_by_name((const char *)sqlite3_column_text(row, 3));
    const char *facts = sqlite3_column_blob(row, 1);
    size_t length = (size_t)sqlite3_column_bytes(row, 1);
    *record_r = (struct record){
        .at_ms = sqlite3_column_int64(row, 2),
        .outcome = outcome >= 0 ? (enum outcome)outcome : OUTCOME_ADMITTED,
        .facts = arena_strndup(arena, facts != NULL ? facts : "", length),
        .facts_length = length,
    };
    parse_used((const char *)sqlite3_column_text(row, 4), record_r);
}

/* The next row of SQL_RECORDS that is a record: 1, 0 there is none, -1. */
static int next_record(struct sqlite_backend *backend, sqlite3_stmt *rows, struct arena *arena,
                       struct record *record_r)
{
    int64_t until_ms;
    const char *ip_name;
    int more, good = 0;
    while (!good && (more = sqlite_row(backend, rows)) > 0) {
        good = 1;
        if (sqlite3_column_type(rows, 2) != SQLITE_NULL)
            sqlite_read_older(rows, arena, record_r);
        else
            good = packed_record_get(arena, sqlite3_column_blob(rows, 1),
                                     (size_t)sqlite3_column_bytes(rows, 1), record_r, &until_ms,
                                     &ip_name);
    }
    if (good)
        record_r->decision = (uint64_t)sqlite3_column_int64(rows, 0);
    return more;
}

static int64_t id_of(uint64_t decision)
{
    return decision < INT64_MAX ? (int64_t)decision : INT64_MAX;
}

/* 1, 0 there is none that is kept at now_ms, -1. */
static int find_record(struct sqlite_backend *backend, struct arena *arena, uint64_t decision,
                       int64_t now_ms, struct record *record_r)
{
    sqlite3_stmt *get = sqlite_take(backend, SQL_RECORD_GET);
    sqlite3_bind_int64(get, 1, id_of(decision));
    sqlite3_bind_int64(get, 2, now_ms);
    int found = next_record(backend, get, arena, record_r);
    sqlite3_reset(get);
    return found;
}

static int record(struct backend *backend, struct arena *arena, uint64_t decision, int64_t now_ms,
                  struct record *record_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    struct record read;
    if (sqlite_begin(self, false) < 0)
        return -1;
    int found = sqlite_end(self, find_record(self, arena, decision, now_ms, &read));
    if (found > 0)
        *record_r = read;
    return found;
}

/* ---- many records ------------------------------------------------------------------- */

/* Records, the highest id first, one after the other: of a table, or the admitted of a mailbox. */
struct source {
    int (*next)(struct source *source); /* 1 and `head`, 0 no more, -1 */
    struct sqlite_backend *backend;
    struct arena *arena;
    int there; /* 1 `head` is the next record, 0 there is none */
    struct record head;
    sqlite3_stmt *rows; /* of a table */
    /* of a mailbox: */
    int64_t now_ms;
    uint64_t *ids; /* not looked up yet, the highest last */
    size_t count;
};

static int next_row(struct source *source)
{
    return next_record(source->backend, source->rows, source->arena, &source->head);
}

static struct source source_of(struct sqlite_backend *backend, struct arena *arena,
                               enum sqlite_statement which, uint64_t bound, int64_t now_ms)
{
    struct source source = {
        .next = next_row, .backend = backend, .arena = arena, .rows = sqlite_take(backend, which)};
    sqlite3_bind_int64(source.rows, 1, id_of(bound));
    sqlite3_bind_int64(source.rows, 2, now_ms);
    return source;
}

/* The admitted messages of a mailbox have no index, which each of them would have to pay for: its
 * history has their ids. */
static int next_admitted(struct source *source)
{
    int found = 0;
    while (found == 0 && source->count > 0)
        found = find_record(source->backend, source->arena, source->ids[--source->count],
                            source->now_ms, &source->head);
    return found;
}

/* Ids of records, in an arena. */
struct id_list {
    uint64_t *all;
    size_t count, space;
};

static void add_id(struct arena *arena, struct id_list *ids, uint64_t id)
{
    if (ids->count == ids->space) {
        uint64_t *before = ids->all;
        ids->space = 2 * ids->space + 64;
        ids->all = arena_alloc(arena, ids->space * sizeof ids->all[0]);
        if (ids->count > 0)
            memcpy(ids->all, before, ids->count * sizeof ids->all[0]);
    }
    ids->all[ids->count++] = id;
}

/* Until version 5 of the schema a history had the moments of its messages alone; ids carry moments.
 * A message that had to wait for others is counted at their moment, with an id of its own one, up
 * to this much earlier. */
#define LATE_MS (10 * SECOND_MS)

/* Adds the older messages counted at at_ms whose ids were made in [from_ms, below_ms): how many, or
 * -1. */
static int look_up(struct sqlite_backend *backend, struct arena *arena, const char *mailbox,
                   int64_t at_ms, int64_t from_ms, int64_t below_ms, struct id_list *ids)
{
    sqlite3_stmt *rows = sqlite_take(backend, SQL_OLDER_AT);
    sqlite3_bind_int64(rows, 1, id_of(decision_floor(from_ms)));
    sqlite3_bind_int64(rows, 2, id_of(decision_floor(below_ms)));
    sqlite3_bind_int64(rows, 3, at_ms);
    sqlite_bind_string(rows, 4, mailbox);
    int count = 0, more;
    while ((more = sqlite_row(backend, rows)) > 0) {
        count++;
        add_id(arena, ids, (uint64_t)sqlite3_column_int64(rows, 0));
    }
    return more < 0 ? -1 : count;
}

static bool has_decision(const struct counted *counted)
{
    return counted->decision != 0 && (counted->decision & COUNTED_HAS_IP_ROW) == 0;
}

/* Adds the ids of what one history counted. */
static int add_ids(struct sqlite_backend *backend, struct arena *arena, const char *mailbox,
                   const struct counted *counted, size_t count, struct id_list *ids)
{
    for (size_t i = 0; i < count; i++) {
        int64_t at_ms = counted[i].entry.time_ms;
        int same = 1, found;
        if (has_decision(&counted[i])) {
            add_id(arena, ids, counted[i].decision);
            continue;
        }
        for (; i + 1 < count && counted[i + 1].entry.time_ms == at_ms &&
               !has_decision(&counted[i + 1]); same++)
            i++;
        if ((found = look_up(backend, arena, mailbox, at_ms, at_ms, at_ms + 1, ids)) < 0 ||
            (found < same &&
             look_up(backend, arena, mailbox, at_ms, at_ms - LATE_MS, at_ms, ids) < 0))
            return -1;
    }
    return 1;
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left > right ? 1 : left < right ? -1 : 0;
}

/* Of all channels. The same moment may stand in the histories of several, and its older messages
 * are found for each. */
static int read_ids(struct sqlite_backend *backend, struct arena *arena, const char *mailbox,
                    int64_t now_ms, struct id_list *ids)
{
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        char text[HISTORY_NAME_SIZE];
        const char *name = history_name(SUBJECT_MAILBOX, (enum channel)channel, mailbox, text);
        struct counted *counted;
        size_t count;
        if (history_is_first(SUBJECT_MAILBOX, (enum channel)channel) &&
            (sqlite_read_counted(backend, arena, SUBJECT_MAILBOX, name, now_ms, &counted,
                                 &count) < 0 ||
             add_ids(backend, arena, mailbox, counted, count, ids) < 0))
            return -1;
    }
    size_t different = 0;
    if (ids->count > 0)
        qsort(ids->all, ids->count, sizeof ids->all[0], by_number);
    for (size_t i = 0; i < ids->count; i++)
        if (i == 0 || ids->all[i] != ids->all[i - 1])
            ids->all[different++] = ids->all[i];
    ids->count = different;
    return 1;
}

static int admitted_of(struct sqlite_backend *backend, struct arena *arena, const char *mailbox,
                       uint64_t before, int64_t now_ms, struct source *source_r)
{
    struct id_list ids = {0};
    if (read_ids(backend, arena, mailbox, now_ms, &ids) < 0)
        return -1;
    while (ids.count > 0 && ids.all[ids.count - 1] >= before)
        ids.count--;
    *source_r = (struct source){.next = next_admitted, .backend = backend, .arena = arena,
                                .now_ms = now_ms, .ids = ids.all, .count = ids.count};
    return 1;
}

/* The source whose head is next; NULL when both are at their end. */
static struct source *nearer(struct source *a, struct source *b)
{
    if (!a->there || !b->there)
        return a->there ? a : b->there ? b : NULL;
    return a->head.decision > b->head.decision ? a : b;
}

/* Two sources as one, the highest id first. */
static int merge(struct source *a, struct source *b, struct record *records_r,
                 struct store_page *page)
{
    struct source *next;
    page->count = 0;
    if ((a->there = a->next(a)) < 0 || (b->there = b->next(b)) < 0)
        return -1;
    while ((next = nearer(a, b)) != NULL && page->count < page->max) {
        records_r[page->count++] = next->head;
        if ((next->there = next->next(next)) < 0)
            return -1;
    }
    page->more = next != NULL;
    return 1;
}

static int decisions(struct backend *backend, struct arena *arena, const char *mailbox,
                     uint64_t before, int64_t now_ms, struct record *records_r,
                     struct store_page *page)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    struct source admitted, refused;
    if (sqlite_begin(self, false) < 0)
        return -1;
    if (mailbox == NULL) {
        admitted = source_of(self, arena, SQL_ADMITTED_BEFORE, before, now_ms);
        refused = source_of(self, arena, SQL_REFUSED_BEFORE, before, now_ms);
    } else {
        if (admitted_of(self, arena, mailbox, before, now_ms, &admitted) < 0)
            return sqlite_end(self, -1);
        refused = source_of(self, arena, SQL_REFUSED_OF, before, now_ms);
        sqlite_bind_string(refused.rows, 3, mailbox);
    }
    int result = merge(&admitted, &refused, records_r, page);
    sqlite3_reset(admitted.rows);
    sqlite3_reset(refused.rows);
    return sqlite_end(self, result);
}

static int passed(struct backend *backend, struct arena *arena, uint64_t after, int64_t now_ms,
                  struct record *records_r, struct store_page *page)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    struct record next;
    if (sqlite_begin(self, false) < 0)
        return -1;
    struct source rows = source_of(self, arena, SQL_PASSED_AFTER, after, now_ms);
    int more;
    page->count = 0;
    while ((more = next_record(self, rows.rows, arena, &next)) > 0 && page->count < page->max)
        records_r[page->count++] = next;
    page->more = more > 0;
    sqlite3_reset(rows.rows);
    return sqlite_end(self, more < 0 ? -1 : 1);
}

/* ---- histories ---------------------------------------------------------------------- */

static int reset_histories(struct sqlite_backend *backend, const char *reset,
                           const struct action *action)
{
    enum subject subject = history_subject(reset, strlen(reset));
    char key[DOMAIN_KEY_SIZE];
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(text_free) struct text detail = {0};
    struct detail_counts counts[CHANNEL_COUNT] = {{0}};
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        char text[HISTORY_NAME_SIZE];
        struct history before;
        const char *name = history_name(subject, (enum channel)channel,
                                        history_key_named(reset, key), text);
        if (!history_is_first(subject, (enum channel)channel))
            continue;
        if (sqlite_read_history(backend, arena, subject, name, action->now_ms, &before) < 0 ||
            sqlite_drop_history(backend, subject, name) < 0)
            return -1;
        counts[channel].messages = before.count;
        counts[channel].off_domain =
            window_used(&before, MEASURE_OFF_DOMAIN, INT64_MAX / 2, action->now_ms);
    }
    detail_add_reset(&detail, counts);
    return sqlite_audit_action(backend, action, "reset", reset, &detail);
}

static int reset(struct backend *backend, const char *name, const struct action *action)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, reset_histories(self, name, action));
}

static int history(struct backend *backend, struct arena *arena, enum subject subject,
                   const char *key, int64_t now_ms, struct history *history_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    struct history read;
    if (sqlite_begin(self, false) < 0)
        return -1;
    int found = subject == SUBJECT_RECIPIENT
                    ? sqlite_pairs_fullest(self, arena, key, now_ms, &read)
                    : sqlite_read_history(self, arena, subject, key, now_ms, &read);
    int result = sqlite_end(self, found);
    if (result > 0)
        *history_r = read;
    return result;
}

static int account(struct backend *backend, struct arena *arena, const char *mailbox,
                   int64_t now_ms, struct account *account_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    struct account read;
    if (sqlite_begin(self, false) < 0)
        return -1;
    int result =
        sqlite_read_history(self, arena, SUBJECT_MAILBOX, mailbox, now_ms, &read.history);
    if (result > 0)
        result = sqlite_suspensions_held(self, mailbox, now_ms, &read.suspensions);
    result = sqlite_end(self, result);
    if (result > 0)
        *account_r = read;
    return result;
}

const struct record_operations sqlite_records = {
    .record = record,
    .decisions = decisions,
    .passed = passed,
    .history = history,
    .account = account,
    .reset = reset,
};
