/* Adjustments of limits in SQLite. Each change and its entry of the audit log are one
 * transaction. */
#include "base/text.h"
#include "store/detail.h"
#include "store/lifetimes.h"
#include "store/sqlite/sqlite.h"

void sqlite_bind_adjusted(sqlite3_stmt *put, int column, const struct adjustment *adjustment)
{
    if (adjustment->kind == ADJUST_PLAN)
        sqlite_bind_string(put, column, adjustment->plan);
    else
        sqlite3_bind_int64(put, column, adjustment->value);
}

/* What sqlite_bind_adjusted put there. */
static void read_adjusted(sqlite3_stmt *row, int column, struct adjustment *adjustment)
{
    if (adjustment->kind == ADJUST_PLAN)
        sqlite_copy_text(row, column, adjustment->plan, sizeof adjustment->plan);
    else
        adjustment->value = sqlite3_column_int(row, column);
}

static int put_adjustment(struct sqlite_backend *backend, const struct adjustment *adjustment,
                          int64_t now_ms)
{
    sqlite3_stmt *put = sqlite_take(backend, SQL_ADJUSTMENT_PUT);
    sqlite_bind_string(put, 1, adjustment->subject);
    sqlite_bind_string(put, 2, rule_table[adjustment->rule].name);
    sqlite3_bind_int64(put, 3, adjustment->kind);
    sqlite3_bind_int64(put, 4, adjustment->removed);
    sqlite_bind_adjusted(put, 5, adjustment);
    sqlite3_bind_int64(put, 6, adjustment->until_ms);
    sqlite3_bind_int64(put, 7, now_ms);
    if (sqlite_do(backend, put) < 0)
        return -1;
    sqlite3_stmt *sweep = sqlite_take(backend, SQL_ADJUSTMENT_SWEEP);
    sqlite3_bind_int64(sweep, 1, now_ms);
    sqlite3_bind_int64(sweep, 2, CHANGE_TOLD_MS);
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
    *adjustment_r = (struct adjustment){.kind = like->kind, .removed = true};
    if (found > 0) {
        adjustment_r->removed = false;
        read_adjusted(get, 0, adjustment_r);
        adjustment_r->until_ms = sqlite3_column_int64(get, 1);
        sqlite3_reset(get);
    }
    return found < 0 ? -1 : 1;
}

/* audited: the entry; NULL: the usual one. */
static int adjust_one(struct sqlite_backend *backend, const struct adjustment *adjustment,
                      const struct action *action, const struct audited *audited)
{
    freed_by(text_free) struct text detail = {0};
    struct adjustment before;
    if (audited != NULL)
        return put_adjustment(backend, adjustment, action->now_ms) < 0
                   ? -1
                   : sqlite_put_audit(backend, audited);
    if (adjustment_in_force(backend, adjustment, action->now_ms, &before) < 0 ||
        put_adjustment(backend, adjustment, action->now_ms) < 0)
        return -1;
    detail_add_adjustments(&detail, &before, adjustment);
    return sqlite_audit_action(backend, action, adjust_kind_names[adjustment->kind],
                               adjustment->subject, &detail);
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

static int adjust(struct backend *backend, const struct adjustment *adjustments, size_t count,
                  int64_t newest, const struct action *action, const struct audited *audited)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    for (size_t i = 0; audited != NULL && i < count; i++)
        if (sqlite_check_audited(self, &audited[i]) < 0)
            return -1;
    if (sqlite_begin(self, true) < 0)
        return -1;
    int changed = any_change_after(self, newest);
    int result = changed < 0 ? -1 : !changed;
    for (size_t i = 0; i < count && result > 0; i++)
        result = adjust_one(self, &adjustments[i], action,
                            audited != NULL ? &audited[i] : NULL);
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
        .until_ms = sqlite3_column_int64(list, 6),
    };
    read_adjusted(list, 5, adjustment_r);
    sqlite_copy_text(list, 1, adjustment_r->subject, sizeof adjustment_r->subject);
}

static int adjustments(struct backend *backend, int64_t after, struct adjustment *adjustments_r,
                       struct store_page *page)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, false) < 0)
        return -1;
    sqlite3_stmt *list = sqlite_take(self, SQL_ADJUSTMENT_LIST);
    sqlite3_bind_int64(list, 1, after);
    sqlite3_bind_int64(list, 2, (sqlite3_int64)page->max + 1);
    page->count = 0;
    int row;
    while ((row = sqlite_page_row(self, list, page)) > 0)
        read_adjustment(list, &adjustments_r[page->count++]);
    return sqlite_end(self, row < 0 ? -1 : 1);
}

const struct adjustment_operations sqlite_adjustments = {
    .adjust = adjust,
    .adjustments = adjustments,
};
