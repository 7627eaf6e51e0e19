/* Decisions and histories in SQLite. */
#include <stdio.h>
#include <string.h>

#include "base/decision.h"
#include "base/text.h"
#include "store/detail.h"
#include "store/sqlite/sqlite.h"

/* ---- one record --------------------------------------------------------------------- */

/* A record's text of the windows before its message, as used_format writes it. */
static void used_parse(const char *text, struct record *record_r)
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

/* A row of an SQL_RECORD statement. */
static void read_record(sqlite3_stmt *row, struct arena *arena, struct record *record_r)
{
    int outcome = outcome_by_name((const char *)sqlite3_column_text(row, 2));
    const char *facts = sqlite3_column_blob(row, 4);
    size_t length = (size_t)sqlite3_column_bytes(row, 4);
    *record_r = (struct record){
        .decision = (uint64_t)sqlite3_column_int64(row, 0),
        .at_ms = sqlite3_column_int64(row, 1),
        .outcome = outcome >= 0 ? (enum outcome)outcome : OUTCOME_ADMITTED,
        .facts = arena_strndup(arena, facts != NULL ? facts : "", length),
        .facts_length = length,
    };
    used_parse((const char *)sqlite3_column_text(row, 3), record_r);
}

static int64_t id_of(uint64_t decision)
{
    return decision < INT64_MAX ? (int64_t)decision : INT64_MAX;
}

static int record(struct backend *backend, struct arena *arena, uint64_t decision, int64_t now_ms,
                  struct record *record_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, false) < 0)
        return -1;
    sqlite3_stmt *get = sqlite_take(self, SQL_RECORD_GET);
    sqlite3_bind_int64(get, 1, id_of(decision));
    sqlite3_bind_int64(get, 2, now_ms);
    int found = sqlite_row(self, get);
    if (found > 0) {
        read_record(get, arena, record_r);
        sqlite3_reset(get);
    }
    return sqlite_end(self, found);
}

/* ---- many records ------------------------------------------------------------------- */

/* A record that was found before its turn has come. */
struct found {
    struct record record;
    struct found *next; /* with a smaller id */
};

/* Records, the highest id first, one after the other: of a table, or the admitted of a mailbox. */
struct source {
    int (*next)(struct source *source); /* 1 and `head`, 0 no more, -1 */
    struct sqlite_backend *backend;
    struct arena *arena;
    int there; /* 1 `head` is the next record, 0 there is none */
    struct record head;
    sqlite3_stmt *rows; /* of a table */
    /* of a mailbox: */
    const char *mailbox;
    uint64_t before;
    int64_t now_ms;
    struct history history; /* entries not looked up yet */
    struct found *found;    /* the highest id first */
};

static int next_row(struct source *source)
{
    int more = sqlite_row(source->backend, source->rows);
    if (more > 0)
        read_record(source->rows, source->arena, &source->head);
    return more;
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

/* The admitted messages of a mailbox have no index, which each of them would
 * have to pay for: its history has their moments, and ids carry moments. A
 * message that had to wait for others is counted at their moment, with an id
 * of its own one, up to this much earlier. */
#define LATE_MS (10 * SECOND_MS)

static void add_found(struct source *source, sqlite3_stmt *row)
{
    struct found *found = arena_alloc(source->arena, sizeof *found);
    read_record(row, source->arena, &found->record);
    struct found **place = &source->found;
    while (*place != NULL && (*place)->record.decision > found->record.decision)
        place = &(*place)->next;
    found->next = *place;
    *place = found;
}

/* The messages counted at at_ms whose ids were made in [from_ms, below_ms): how many, or -1. */
static int look_up(struct source *source, int64_t at_ms, int64_t from_ms, int64_t below_ms)
{
    sqlite3_stmt *rows = sqlite_take(source->backend, SQL_ADMITTED_AT);
    sqlite3_bind_int64(rows, 1, id_of(decision_floor(from_ms)));
    sqlite3_bind_int64(rows, 2, source->now_ms);
    sqlite3_bind_int64(rows, 3, id_of(decision_floor(below_ms)));
    sqlite3_bind_int64(rows, 4, at_ms);
    sqlite_bind_string(rows, 5, source->mailbox);
    int count = 0, more;
    while ((more = sqlite_row(source->backend, rows)) > 0) {
        count++;
        if ((uint64_t)sqlite3_column_int64(rows, 0) < source->before)
            add_found(source, rows);
    }
    return more < 0 ? -1 : count;
}

/* All messages of the newest moment that was not looked up yet. */
static int look_up_moment(struct source *source)
{
    struct history *history = &source->history;
    int64_t at_ms = history->entries[history->count - 1].time_ms;
    int counted = 0;
    for (; history->count > 0 && history->entries[history->count - 1].time_ms == at_ms; counted++)
        history->count--;
    int found = look_up(source, at_ms, at_ms, at_ms + 1);
    if (found >= 0 && found < counted)
        found = look_up(source, at_ms, at_ms - LATE_MS, at_ms);
    return found;
}

static int next_admitted(struct source *source)
{
    const struct history *history = &source->history;
    for (;;) {
        bool all = history->count == 0;
        if (source->found != NULL &&
            (all || source->found->record.decision >=
                        decision_floor(history->entries[history->count - 1].time_ms + 1))) {
            source->head = source->found->record;
            source->found = source->found->next;
            return 1;
        }
        if (all)
            return 0;
        if (look_up_moment(source) < 0)
            return -1;
    }
}

/* Both in order of time, in `arena`. */
static struct history merge_histories(struct arena *arena, const struct history *one,
                                      const struct history *other)
{
    struct history both = {
        .entries = arena_alloc(arena, (one->count + other->count) * sizeof both.entries[0])};
    size_t i = 0, k = 0;
    while (i < one->count || k < other->count) {
        bool first = k == other->count ||
                     (i < one->count && one->entries[i].time_ms <= other->entries[k].time_ms);
        both.entries[both.count++] = first ? one->entries[i++] : other->entries[k++];
    }
    return both;
}

/* Of all channels: a record is found by its moment, whichever history that stands in. */
static int read_histories(struct sqlite_backend *backend, struct arena *arena, const char *mailbox,
                          int64_t now_ms, struct history *history_r)
{
    *history_r = (struct history){0};
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        char text[HISTORY_NAME_SIZE];
        struct history one;
        if (!history_is_first(SUBJECT_MAILBOX, (enum channel)channel))
            continue;
        if (sqlite_read_history(backend, arena, SUBJECT_MAILBOX,
                                history_name(SUBJECT_MAILBOX, (enum channel)channel, mailbox, text),
                                now_ms, &one) < 0)
            return -1;
        *history_r = one.count > 0 ? merge_histories(arena, history_r, &one) : *history_r;
    }
    return 1;
}

static int admitted_of(struct sqlite_backend *backend, struct arena *arena, const char *mailbox,
                       uint64_t before, int64_t now_ms, struct source *source_r)
{
    *source_r = (struct source){.next = next_admitted, .backend = backend, .arena = arena,
                                .mailbox = mailbox, .before = before, .now_ms = now_ms};
    struct history *history = &source_r->history;
    if (read_histories(backend, arena, mailbox, now_ms, history) < 0)
        return -1;
    while (history->count > 0 &&
           decision_floor(history->entries[history->count - 1].time_ms - LATE_MS) >= before)
        history->count--;
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

/* ---- histories ---------------------------------------------------------------------- */

static int reset_histories(struct sqlite_backend *backend, const char *mailbox,
                           const struct action *action)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(text_free) struct text detail = {0};
    struct detail_counts counts[CHANNEL_COUNT] = {{0}};
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        char text[HISTORY_NAME_SIZE];
        struct history before;
        const char *name = history_name(SUBJECT_MAILBOX, (enum channel)channel, mailbox, text);
        if (!history_is_first(SUBJECT_MAILBOX, (enum channel)channel))
            continue;
        if (sqlite_read_history(backend, arena, SUBJECT_MAILBOX, name, action->now_ms, &before) <
                0 ||
            sqlite_drop_history(backend, name) < 0)
            return -1;
        counts[channel].messages = before.count;
        counts[channel].off_domain =
            window_used(&before, MEASURE_OFF_DOMAIN, INT64_MAX / 2, action->now_ms);
    }
    detail_add_reset(&detail, counts);
    return sqlite_audit_action(backend, action, "reset", mailbox, &detail);
}

static int reset(struct backend *backend, const char *mailbox, const struct action *action)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, reset_histories(self, mailbox, action));
}

static int history(struct backend *backend, struct arena *arena, enum subject subject,
                   const char *key, int64_t now_ms, struct history *history_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    struct history read;
    if (sqlite_begin(self, false) < 0)
        return -1;
    int result =
        sqlite_end(self, sqlite_read_history(self, arena, subject, key, now_ms, &read));
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
        result = sqlite_suspension(self, mailbox, now_ms, &read.suspension);
    result = sqlite_end(self, result);
    if (result > 0)
        *account_r = read;
    return result;
}

const struct record_operations sqlite_records = {
    .record = record,
    .decisions = decisions,
    .history = history,
    .account = account,
    .reset = reset,
};
