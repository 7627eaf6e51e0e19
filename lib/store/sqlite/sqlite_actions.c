/* What staff does in the SQLite backend, and what it asks before. Every change and
 * its audit entry are one transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/sqlite/sqlite.h"

static int audit(struct sqlite_backend *backend, const struct action *action, const char *name,
                 const char *subject, const struct text *detail)
{
    return sqlite_put_audit(backend, &(struct audited){.name = name, .subject = subject,
                            .action = action,
                                                    .detail = text_string(detail)});
}

/* A moment, or null for an end that staff decides. */
static void add_moment(struct text *text, int64_t time_ms)
{
    if (time_ms == UNTIL_LIFTED) {
        text_add(text, "null");
        return;
    }
    text_add_char(text, '"');
    text_add_time(text, time_ms);
    text_add_char(text, '"');
}

/* ---- suspensions ------------------------------------------------------------------ */

void sqlite_read_suspension(sqlite3_stmt *statement, struct suspension *suspension_r)
{
    *suspension_r = (struct suspension){
        .id = sqlite3_column_int64(statement, 0),
        .cause = (enum cause)sqlite_find_name(cause_names, CAUSE_COUNT,
                                              (const char *)sqlite3_column_text(statement, 1)),
        .since_ms = sqlite3_column_int64(statement, 2),
        .until_ms = sqlite3_column_int64(statement, 3),
        .attempts = (uint32_t)sqlite3_column_int64(statement, 4),
        .offence = (uint32_t)sqlite3_column_int64(statement, 5),
    };
    sqlite_copy_text(statement, 6, suspension_r->by, sizeof suspension_r->by);
    sqlite_copy_text(statement, 7, suspension_r->note, sizeof suspension_r->note);
}

int sqlite_suspension(struct sqlite_backend *backend, const char *mailbox, int64_t now_ms,
                      struct suspension *suspension_r)
{
    sqlite3_stmt *get = sqlite_take(backend, SQL_SUSPENSION_GET);
    sqlite_bind_string(get, 1, mailbox);
    sqlite3_bind_int64(get, 2, now_ms);
    int found = sqlite_row(backend, get);
    *suspension_r = (struct suspension){0};
    if (found > 0) {
        sqlite_read_suspension(get, suspension_r);
        sqlite3_reset(get);
    }
    return found < 0 ? -1 : 1;
}

static int count_offences(struct sqlite_backend *backend, const char *mailbox, enum cause cause,
                          int64_t now_ms, uint32_t *count_r)
{
    sqlite3_stmt *count = sqlite_take(backend, SQL_SUSPENSION_COUNT);
    sqlite_bind_string(count, 1, mailbox);
    sqlite_bind_string(count, 2, cause_names[cause]);
    sqlite3_bind_int64(count, 3, now_ms - OFFENCES_REMEMBERED_MS);
    if (sqlite_row(backend, count) < 1)
        return -1;
    *count_r = (uint32_t)sqlite3_column_int64(count, 0);
    sqlite3_reset(count);
    return 1;
}

int sqlite_offences(struct backend *backend, const char *mailbox, enum cause cause, int64_t now_ms,
                    uint32_t *count_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    uint32_t count = 0;
    if (sqlite_begin(self, false) < 0)
        return -1;
    int result = sqlite_end(self, count_offences(self, mailbox, cause, now_ms, &count));
    if (result > 0)
        *count_r = count;
    return result;
}

/* Suspensions are few: those that nobody remembers go whenever one is made. */
static int forget_old_suspensions(struct sqlite_backend *backend, int64_t now_ms)
{
    sqlite3_stmt *sweep = sqlite_take(backend, SQL_SUSPENSION_SWEEP);
    sqlite3_bind_int64(sweep, 1, now_ms);
    sqlite3_bind_int64(sweep, 2, OFFENCES_REMEMBERED_MS);
    return sqlite_do(backend, sweep);
}

/* Ends those that were made before, and takes offences that a wrong clock stamped as of now. */
static int make_way(struct sqlite_backend *backend, const char *mailbox, enum cause cause,
                    int64_t now_ms)
{
    sqlite3_stmt *replace = sqlite_take(backend, SQL_SUSPENSION_REPLACE);
    sqlite_bind_string(replace, 1, mailbox);
    sqlite3_bind_int64(replace, 2, now_ms);
    if (sqlite_do(backend, replace) < 0)
        return -1;
    sqlite3_stmt *mend = sqlite_take(backend, SQL_OFFENCES_MEND);
    sqlite_bind_string(mend, 1, mailbox);
    sqlite3_bind_int64(mend, 2, now_ms);
    sqlite_bind_string(mend, 3, cause_names[cause]);
    return sqlite_do(backend, mend);
}

int sqlite_suspend(struct sqlite_backend *backend, const char *mailbox, enum cause cause,
                   const struct durations *durations, int64_t now_ms, const char *by,
                   const char *note, struct suspension *suspension_r)
{
    uint32_t offences;
    if (forget_old_suspensions(backend, now_ms) < 0 || make_way(backend, mailbox, cause,
                                                                now_ms) < 0 ||
        count_offences(backend, mailbox, cause, now_ms, &offences) < 0)
        return -1;
    *suspension_r = (struct suspension){
        .cause = cause, .since_ms = now_ms, .offence = offences + 1,
        .until_ms = suspension_until(durations, offences + 1, now_ms),
    };
    sqlite3_stmt *put = sqlite_take(backend, SQL_SUSPENSION_PUT);
    sqlite_bind_string(put, 1, mailbox);
    sqlite_bind_string(put, 2, cause_names[cause]);
    sqlite3_bind_int64(put, 3, now_ms);
    sqlite3_bind_int64(put, 4, suspension_r->until_ms);
    sqlite3_bind_int64(put, 5, suspension_r->offence);
    sqlite_bind_string(put, 6, by);
    sqlite_bind_string(put, 7, note);
    if (sqlite_do(backend, put) < 0)
        return -1;
    /* read it back, so that a text too long is what the next reader sees as well */
    return sqlite_suspension(backend, mailbox, now_ms, suspension_r);
}

static int end_suspension(struct sqlite_backend *backend, const char *mailbox, int64_t now_ms)
{
    sqlite3_stmt *end = sqlite_take(backend, SQL_SUSPENSION_END);
    sqlite_bind_string(end, 1, mailbox);
    sqlite3_bind_int64(end, 2, now_ms);
    if (sqlite_do(backend, end) < 0)
        return -1;
    return sqlite3_changes(backend->db) > 0;
}

static void add_suspension(struct text *text, const struct suspension *suspension)
{
    if (suspension->id == 0) {
        text_add(text, "null");
        return;
    }
    text_addf(text, "{\"id\":%lld,\"cause\":\"%s\",\"since\":", (long long)suspension->id,
              cause_names[suspension->cause]);
    add_moment(text, suspension->since_ms);
    text_add(text, ",\"until\":");
    add_moment(text, suspension->until_ms);
    text_addf(text, ",\"attempts\":%u}", suspension->attempts);
}

static int audit_suspension(struct sqlite_backend *backend, const struct action *action,
                            const char *name,
                            const char *mailbox, const struct suspension *before,
                            const struct suspension *after)
{
    freed_by(text_free) struct text detail = {0};
    text_add(&detail, "{\"before\":");
    add_suspension(&detail, before);
    text_add(&detail, ",\"after\":");
    add_suspension(&detail, after);
    text_add_char(&detail, '}');
    return audit(backend, action, name, mailbox, &detail);
}

static int suspend(struct sqlite_backend *backend, const char *mailbox, enum cause cause,
                   const struct durations *durations, const struct action *action,
                   struct suspension *suspension_r)
{
    struct suspension before;
    if (sqlite_suspension(backend, mailbox, action->now_ms, &before) < 0 ||
        sqlite_suspend(backend, mailbox, cause, durations, action->now_ms, action->by, action->note,
                       suspension_r) < 0)
        return -1;
    return audit_suspension(backend, action, "suspend", mailbox, &before, suspension_r);
}

int sqlite_action_suspend(struct backend *backend, const char *mailbox, enum cause cause,
                          const struct durations *durations, const struct action *action,
                          struct suspension *suspension_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, suspend(self, mailbox, cause, durations, action, suspension_r));
}

static int lift(struct sqlite_backend *backend, const char *mailbox, const struct action *action)
{
    static const struct suspension none = {0};
    struct suspension before;
    if (sqlite_suspension(backend, mailbox, action->now_ms, &before) < 0)
        return -1;
    if (before.id == 0)
        return 0;
    if (end_suspension(backend, mailbox, action->now_ms) < 0)
        return -1;
    return audit_suspension(backend, action, "lift", mailbox, &before, &none);
}

int sqlite_action_lift(struct backend *backend, const char *mailbox, const struct action *action)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, lift(self, mailbox, action));
}

/* ---- histories ---------------------------------------------------------------------- */

static int reset(struct sqlite_backend *backend, const char *mailbox, const struct action *action)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(text_free) struct text detail = {0};
    struct history before[CHANNEL_COUNT] = {{0}};
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        char text[HISTORY_NAME_SIZE];
        const char *name = history_name(SUBJECT_MAILBOX, (enum channel)channel, mailbox, text);
        if (history_is_first(SUBJECT_MAILBOX, (enum channel)channel) &&
            (sqlite_read_history(backend, arena, SUBJECT_MAILBOX, name, action->now_ms,
                                 &before[channel]) < 0 ||
             sqlite_drop_history(backend, name) < 0))
            return -1;
    }
    const struct history *sent = &before[CHANNEL_WEBMAIL], *forwarded = &before[CHANNEL_FORWARDING];
    uint64_t off_domain = window_used(sent, MEASURE_OFF_DOMAIN, INT64_MAX / 2, action->now_ms);
    text_addf(&detail, "{\"before\":{\"messages\":%zu,\"off_domain\":%llu", sent->count,
              (unsigned long long)off_domain);
    if (forwarded->count > 0)
        text_addf(&detail, ",\"forwarded\":%zu", forwarded->count);
    text_add(&detail, "},\"after\":{\"messages\":0,\"off_domain\":0}}");
    return audit(backend, action, "reset", mailbox, &detail);
}

int sqlite_action_reset(struct backend *backend, const char *mailbox, const struct action *action)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, reset(self, mailbox, action));
}

int sqlite_history(struct backend *backend, struct arena *arena, enum subject subject,
                   const char *key,
                   int64_t now_ms, struct history *history_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    struct history history;
    if (sqlite_begin(self, false) < 0)
        return -1;
    int result =
        sqlite_end(self, sqlite_read_history(self, arena, subject, key, now_ms, &history));
    if (result > 0)
        *history_r = history;
    return result;
}

int sqlite_account(struct backend *backend, struct arena *arena, const char *mailbox,
                   int64_t now_ms,
                   struct account *account_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
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

static int put_adjustment(struct sqlite_backend *backend, const struct adjustment *adjustment,
                          int64_t now_ms)
{
    sqlite3_stmt *put = sqlite_take(backend, SQL_ADJUSTMENT_PUT);
    sqlite_bind_string(put, 1, adjustment->subject);
    sqlite_bind_string(put, 2, rule_table[adjustment->rule].name);
    sqlite3_bind_int64(put, 3, adjustment->kind);
    sqlite3_bind_int64(put, 4, adjustment->removed);
    sqlite3_bind_int64(put, 5, adjustment->value);
    sqlite3_bind_int64(put, 6, adjustment->until_ms);
    sqlite3_bind_int64(put, 7, now_ms);
    if (sqlite_do(backend, put) < 0)
        return -1;
    sqlite3_stmt *sweep = sqlite_take(backend, SQL_ADJUSTMENT_SWEEP);
    sqlite3_bind_int64(sweep, 1, now_ms);
    sqlite3_bind_int64(sweep, 2, DAY_MS);
    return sqlite_do(backend, sweep);
}

/* The adjustment that holds now for the same subject, rule and kind; `removed` when none does. */
static int adjustment_in_force(struct sqlite_backend *backend, const struct adjustment *like,
                               int64_t now_ms, struct adjustment *adjustment_r)
{
    sqlite3_stmt *get = sqlite_take(backend, SQL_ADJUSTMENT_GET);
    sqlite_bind_string(get, 1, like->subject);
    sqlite_bind_string(get, 2, rule_table[like->rule].name);
    sqlite3_bind_int64(get, 3, like->kind);
    sqlite3_bind_int64(get, 4, now_ms);
    int found = sqlite_row(backend, get);
    *adjustment_r = (struct adjustment){.removed = true};
    if (found > 0) {
        adjustment_r->removed = false;
        adjustment_r->value = sqlite3_column_int(get, 0);
        adjustment_r->until_ms = sqlite3_column_int64(get, 1);
        sqlite3_reset(get);
    }
    return found < 0 ? -1 : 1;
}

static void add_adjustment(struct text *text, const struct adjustment *adjustment)
{
    if (adjustment->removed) {
        text_add(text, "null");
        return;
    }
    text_add(text, "{\"value\":");
    if (adjustment->value == LIMIT_OFF)
        text_add(text, "null");
    else
        text_add_int(text, adjustment->value);
    text_add(text, ",\"until\":");
    add_moment(text, adjustment->until_ms);
    text_add_char(text, '}');
}

static int adjust(struct sqlite_backend *backend, const struct adjustment *adjustment,
                  const struct action *action)
{
    freed_by(text_free) struct text detail = {0};
    struct adjustment before;
    if (adjustment_in_force(backend, adjustment, action->now_ms, &before) < 0 ||
        put_adjustment(backend, adjustment, action->now_ms) < 0)
        return -1;
    text_add_char(&detail, '{');
    if (adjustment->kind != ADJUST_EXEMPT) /* an exemption is from all rules */
        text_addf(&detail, "\"rule\":\"%s\",", rule_table[adjustment->rule].name);
    text_add(&detail, "\"before\":");
    add_adjustment(&detail, &before);
    text_add(&detail, ",\"after\":");
    add_adjustment(&detail, adjustment);
    text_add_char(&detail, '}');
    return audit(backend, action, adjust_kind_names[adjustment->kind], adjustment->subject,
                 &detail);
}

static int any_change_after(struct sqlite_backend *backend, int64_t change)
{
    sqlite3_stmt *list = sqlite_take(backend, SQL_ADJUSTMENT_LIST);
    sqlite3_bind_int64(list, 1, change);
    sqlite3_bind_int64(list, 2, 1);
    int found = sqlite_row(backend, list);
    if (found > 0)
        sqlite3_reset(list);
    return found;
}

int sqlite_action_adjust(struct backend *backend, const struct adjustment *adjustments,
                         size_t count,
                         int64_t newest, const struct action *action)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, true) < 0)
        return -1;
    int changed = any_change_after(self, newest);
    int result = changed < 0 ? -1 : !changed;
    for (size_t i = 0; i < count && result > 0; i++)
        result = adjust(self, &adjustments[i], action);
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

int sqlite_adjustments(struct backend *backend, int64_t after, struct adjustment *adjustments_r,
                       size_t max, size_t *count_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
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

/* ---- who is suspended ------------------------------------------------------------------- */

int sqlite_suspended(struct backend *backend, const char *after, int64_t now_ms,
                     struct suspended *suspended_r, size_t max, size_t *count_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
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
