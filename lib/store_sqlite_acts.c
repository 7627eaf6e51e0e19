/* What staff asks of the SQLite room, and reading. Every change and its audit
 * entry are one transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_sqlite.h"
#include "text.h"

static int find_name(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return 0;
}

static int audit(struct sqlite_room *room, const struct act *act, const char *name,
                 const char *subject, const char *detail)
{
    sqlite3_stmt *put = sqlite_take(room, SQL_AUDIT_PUT);
    sqlite3_bind_int64(put, 1, act->now_ms);
    sqlite_bind_string(put, 2, act->by);
    sqlite_bind_string(put, 3, name);
    sqlite_bind_string(put, 4, subject);
    sqlite_bind_string(put, 5, act->note);
    sqlite_bind_string(put, 6, detail);
    return sqlite_do(room, put);
}

/* ---- suspensions ------------------------------------------------------------------ */

void sqlite_read_suspension(sqlite3_stmt *statement, struct suspension *suspension_r)
{
    *suspension_r = (struct suspension){
        .id = sqlite3_column_int64(statement, 0),
        .cause = (enum cause)find_name(cause_names, CAUSE_COUNT,
                                       (const char *)sqlite3_column_text(statement, 1)),
        .since_ms = sqlite3_column_int64(statement, 2),
        .until_ms = sqlite3_column_int64(statement, 3),
        .attempts = (uint32_t)sqlite3_column_int64(statement, 4),
        .offence = (uint32_t)sqlite3_column_int64(statement, 5),
    };
    sqlite_copy_text(statement, 6, suspension_r->by, sizeof suspension_r->by);
    sqlite_copy_text(statement, 7, suspension_r->note, sizeof suspension_r->note);
}

int sqlite_suspension(struct sqlite_room *room, const char *mailbox, int64_t now_ms,
                      struct suspension *suspension_r)
{
    sqlite3_stmt *get = sqlite_take(room, SQL_SUSPENSION_GET);
    sqlite_bind_string(get, 1, mailbox);
    sqlite3_bind_int64(get, 2, now_ms);
    int found = sqlite_row(room, get);
    *suspension_r = (struct suspension){0};
    if (found > 0) {
        sqlite_read_suspension(get, suspension_r);
        sqlite3_reset(get);
    }
    return found < 0 ? -1 : 1;
}

static int count_offences(struct sqlite_room *room, const char *mailbox, enum cause cause,
                          int64_t now_ms, uint32_t *count_r)
{
    sqlite3_stmt *count = sqlite_take(room, SQL_SUSPENSION_COUNT);
    sqlite_bind_string(count, 1, mailbox);
    sqlite_bind_string(count, 2, cause_names[cause]);
    sqlite3_bind_int64(count, 3, now_ms - OFFENCES_REMEMBERED_MS);
    if (sqlite_row(room, count) < 1)
        return -1;
    *count_r = (uint32_t)sqlite3_column_int64(count, 0);
    sqlite3_reset(count);
    return 1;
}

/* Suspensions are few: those that nobody remembers go whenever one is made. */
static int forget_old_suspensions(struct sqlite_room *room, int64_t now_ms)
{
    sqlite3_stmt *sweep = sqlite_take(room, SQL_SUSPENSION_SWEEP);
    sqlite3_bind_int64(sweep, 1, now_ms);
    sqlite3_bind_int64(sweep, 2, OFFENCES_REMEMBERED_MS);
    return sqlite_do(room, sweep);
}

int sqlite_suspend(struct sqlite_room *room, const char *mailbox, enum cause cause,
                   const struct durations *durations, int64_t now_ms, const char *by,
                   const char *note, struct suspension *suspension_r)
{
    uint32_t offences;
    if (forget_old_suspensions(room, now_ms) < 0 ||
        count_offences(room, mailbox, cause, now_ms, &offences) < 0)
        return -1;
    *suspension_r = (struct suspension){
        .cause = cause, .since_ms = now_ms, .offence = offences + 1,
        .until_ms = suspension_until(durations, offences + 1, now_ms),
    };
    sqlite3_stmt *put = sqlite_take(room, SQL_SUSPENSION_PUT);
    sqlite_bind_string(put, 1, mailbox);
    sqlite_bind_string(put, 2, cause_names[cause]);
    sqlite3_bind_int64(put, 3, now_ms);
    sqlite3_bind_int64(put, 4, suspension_r->until_ms);
    sqlite3_bind_int64(put, 5, suspension_r->offence);
    sqlite_bind_string(put, 6, by);
    sqlite_bind_string(put, 7, note);
    if (sqlite_do(room, put) < 0)
        return -1;
    /* read it back, so that a text too long is what the next reader sees as well */
    return sqlite_suspension(room, mailbox, now_ms, suspension_r);
}

static int end_suspension(struct sqlite_room *room, const char *mailbox, int64_t now_ms)
{
    sqlite3_stmt *end = sqlite_take(room, SQL_SUSPENSION_END);
    sqlite_bind_string(end, 1, mailbox);
    sqlite3_bind_int64(end, 2, now_ms);
    if (sqlite_do(room, end) < 0)
        return -1;
    return sqlite3_changes(room->db) > 0;
}

static void add_suspension(struct text *text, const struct suspension *suspension)
{
    text_addf(text, "{\"id\":%lld,\"cause\":\"%s\",\"since\":", (long long)suspension->id,
              cause_names[suspension->cause]);
    text_add_char(text, '"');
    text_add_time(text, suspension->since_ms);
    text_add(text, "\",\"until\":");
    if (suspension->until_ms == UNTIL_LIFTED) {
        text_add(text, "null");
    } else {
        text_add_char(text, '"');
        text_add_time(text, suspension->until_ms);
        text_add_char(text, '"');
    }
    text_addf(text, ",\"attempts\":%u}", suspension->attempts);
}

int sqlite_act_suspend(struct room *room, const char *mailbox, enum cause cause,
                       const struct durations *durations, const struct act *act,
                       struct suspension *suspension_r)
{
    struct sqlite_room *self = sqlite_room(room);
    if (sqlite_begin(self, true) < 0)
        return -1;
    freed_by(text_free) struct text detail = {0};
    int result = end_suspension(self, mailbox, act->now_ms);
    if (result >= 0)
        result = sqlite_suspend(self, mailbox, cause, durations, act->now_ms, act->by, act->note,
                                suspension_r);
    if (result >= 0) {
        add_suspension(&detail, suspension_r);
        result = audit(self, act, "suspend", mailbox, text_string(&detail));
    }
    return sqlite_end(self, result);
}

int sqlite_act_lift(struct room *room, const char *mailbox, const struct act *act)
{
    struct sqlite_room *self = sqlite_room(room);
    struct suspension before;
    if (sqlite_begin(self, true) < 0)
        return -1;
    int result = sqlite_suspension(self, mailbox, act->now_ms, &before);
    if (result > 0 && before.id == 0)
        result = 0;
    if (result > 0)
        result = end_suspension(self, mailbox, act->now_ms);
    if (result > 0) {
        freed_by(text_free) struct text detail = {0};
        add_suspension(&detail, &before);
        result = audit(self, act, "lift", mailbox, text_string(&detail));
    }
    return sqlite_end(self, result);
}

/* ---- histories ---------------------------------------------------------------------- */

int sqlite_act_reset(struct room *room, const char *mailbox, const struct act *act)
{
    struct sqlite_room *self = sqlite_room(room);
    freed_by(arena_free) struct arena *arena = arena_new();
    struct history before;
    if (sqlite_begin(self, true) < 0)
        return -1;
    int result =
        sqlite_read_history(self, arena, SUBJECT_MAILBOX, mailbox, act->now_ms, &before);
    if (result > 0)
        result = sqlite_drop_history(self, mailbox);
    if (result > 0) {
        uint64_t off_domain =
            window_used(&before, MEASURE_OFF_DOMAIN, INT64_MAX / 2, act->now_ms);
        result = audit(self, act, "reset", mailbox,
                       arena_printf(arena, "{\"messages\":%zu,\"off_domain\":%llu}", before.count,
                                    (unsigned long long)off_domain));
    }
    return sqlite_end(self, result);
}

int sqlite_account(struct room *room, struct arena *arena, const char *mailbox, int64_t now_ms,
                   struct account *account_r)
{
    struct sqlite_room *self = sqlite_room(room);
    struct account account;
    if (sqlite_begin(self, false) < 0)
        return -1;
    int result =
        sqlite_read_history(self, arena, SUBJECT_MAILBOX, mailbox, now_ms, &account.history);
    if (result > 0)
        result = sqlite_suspension(self, mailbox, now_ms, &account.suspension);
    result = sqlite_end(self, result);
    if (result > 0)
        *account_r = account;
    return result;
}

/* ---- adjustments ---------------------------------------------------------------------- */

static int put_adjustment(struct sqlite_room *room, const struct adjustment *adjustment,
                          int64_t now_ms)
{
    sqlite3_stmt *put = sqlite_take(room, SQL_ADJUSTMENT_PUT);
    sqlite_bind_string(put, 1, adjustment->subject);
    sqlite_bind_string(put, 2, rule_table[adjustment->rule].name);
    sqlite3_bind_int64(put, 3, adjustment->kind);
    sqlite3_bind_int64(put, 4, adjustment->removed);
    sqlite3_bind_int64(put, 5, adjustment->value);
    sqlite3_bind_int64(put, 6, adjustment->until_ms);
    sqlite3_bind_int64(put, 7, now_ms);
    if (sqlite_do(room, put) < 0)
        return -1;
    sqlite3_stmt *sweep = sqlite_take(room, SQL_ADJUSTMENT_SWEEP);
    sqlite3_bind_int64(sweep, 1, now_ms);
    sqlite3_bind_int64(sweep, 2, DAY_MS);
    return sqlite_do(room, sweep);
}

int sqlite_act_adjust(struct room *room, const struct adjustment *adjustment,
                      const struct act *act)
{
    struct sqlite_room *self = sqlite_room(room);
    const char *name = adjust_kind_names[adjustment->kind];
    if (sqlite_begin(self, true) < 0)
        return -1;
    int result = put_adjustment(self, adjustment, act->now_ms);
    if (result > 0) {
        freed_by(text_free) struct text detail = {0};
        text_addf(&detail, "{\"rule\":\"%s\",\"value\":", rule_table[adjustment->rule].name);
        if (adjustment->removed)
            text_add(&detail, "null");
        else
            text_add_int(&detail, adjustment->value);
        text_add_char(&detail, '}');
        result = audit(self, act, name, adjustment->subject, text_string(&detail));
    }
    return sqlite_end(self, result);
}

/* A rule or kind that this version does not know is RULE_COUNT: it changes nothing. */
static void read_adjustment(sqlite3_stmt *list, struct adjustment *adjustment_r)
{
    int rule = rule_by_name((const char *)sqlite3_column_text(list, 2));
    int kind = sqlite3_column_int(list, 3);
    bool known = rule >= 0 && kind >= 0 && kind < ADJUST_KIND_COUNT;
    *adjustment_r = (struct adjustment){
        .change = sqlite3_column_int64(list, 0),
        .rule = known ? (enum rule)rule : RULE_COUNT,
        .kind = known ? (enum adjust_kind)kind : ADJUST_LIMIT,
        .removed = sqlite3_column_int(list, 4) != 0,
        .value = sqlite3_column_int(list, 5),
        .until_ms = sqlite3_column_int64(list, 6),
    };
    sqlite_copy_text(list, 1, adjustment_r->subject, sizeof adjustment_r->subject);
}

int sqlite_adjustments(struct room *room, int64_t after, struct adjustment *adjustments_r,
                       size_t max, size_t *count_r)
{
    struct sqlite_room *self = sqlite_room(room);
    if (sqlite_begin(self, false) < 0)
        return -1;
    sqlite3_stmt *list = sqlite_take(self, SQL_ADJUSTMENT_LIST);
    sqlite3_bind_int64(list, 1, after);
    sqlite3_bind_int64(list, 2, (sqlite3_int64)max);
    size_t count = 0;
    int more = 1;
    while ((more = sqlite_row(self, list)) > 0)
        read_adjustment(list, &adjustments_r[count++]);
    int result = sqlite_end(self, more < 0 ? -1 : 1);
    if (result > 0)
        *count_r = count;
    return result;
}

/* ---- lists and records ------------------------------------------------------------------ */

int sqlite_suspended(struct room *room, const char *after, int64_t now_ms,
                     struct suspended *suspended_r, size_t max, size_t *count_r)
{
    struct sqlite_room *self = sqlite_room(room);
    if (sqlite_begin(self, false) < 0)
        return -1;
    sqlite3_stmt *list = sqlite_take(self, SQL_SUSPENSION_LIST);
    sqlite_bind_string(list, 1, after);
    sqlite3_bind_int64(list, 2, now_ms);
    sqlite3_bind_int64(list, 3, (sqlite3_int64)max);
    size_t count = 0;
    int more = 1;
    while ((more = sqlite_row(self, list)) > 0) {
        sqlite_read_suspension(list, &suspended_r[count].suspension);
        sqlite_copy_text(list, 8, suspended_r[count].mailbox, sizeof suspended_r[count].mailbox);
        count++;
    }
    int result = sqlite_end(self, more < 0 ? -1 : 1);
    if (result > 0)
        *count_r = count;
    return result;
}

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

int sqlite_record(struct room *room, struct arena *arena, uint64_t decision, int64_t now_ms,
                  struct record *record_r)
{
    struct sqlite_room *self = sqlite_room(room);
    if (sqlite_begin(self, false) < 0)
        return -1;
    sqlite3_stmt *get = sqlite_take(self, SQL_RECORD_GET);
    sqlite3_bind_int64(get, 1, (sqlite3_int64)decision);
    int found = sqlite_row(self, get);
    if (found > 0 && sqlite3_column_int64(get, 0) + sqlite3_column_int64(get, 4) <= now_ms) {
        sqlite3_reset(get);
        found = 0;
    }
    if (found > 0) {
        *record_r = (struct record){
            .decision = decision,
            .at_ms = sqlite3_column_int64(get, 0),
            .outcome = (enum outcome)find_name(outcome_names, OUTCOME_COUNT,
                                               (const char *)sqlite3_column_text(get, 1)),
            .facts = arena_strdup(arena, (const char *)sqlite3_column_text(get, 3)),
        };
        used_parse((const char *)sqlite3_column_text(get, 2), record_r);
        sqlite3_reset(get);
    }
    return sqlite_end(self, found);
}

int sqlite_audit(struct room *room, int64_t after, struct audit *audit_r, size_t max,
                 size_t *count_r)
{
    struct sqlite_room *self = sqlite_room(room);
    if (sqlite_begin(self, false) < 0)
        return -1;
    sqlite3_stmt *list = sqlite_take(self, SQL_AUDIT_LIST);
    sqlite3_bind_int64(list, 1, after);
    sqlite3_bind_int64(list, 2, (sqlite3_int64)max);
    size_t count = 0;
    int more = 1;
    while ((more = sqlite_row(self, list)) > 0) {
        struct audit *entry = &audit_r[count++];
        *entry = (struct audit){.number = sqlite3_column_int64(list, 0),
                                .at_ms = sqlite3_column_int64(list, 1)};
        sqlite_copy_text(list, 2, entry->by, sizeof entry->by);
        sqlite_copy_text(list, 3, entry->act, sizeof entry->act);
        sqlite_copy_text(list, 4, entry->subject, sizeof entry->subject);
        sqlite_copy_text(list, 5, entry->note, sizeof entry->note);
        sqlite_copy_text(list, 6, entry->detail, sizeof entry->detail);
    }
    int result = sqlite_end(self, more < 0 ? -1 : 1);
    if (result > 0)
        *count_r = count;
    return result;
}
