/* Suspensions in SQLite. Each change and its entry of the audit log are one transaction. */
#include "base/text.h"
#include "store/detail.h"
#include "store/sqlite/sqlite.h"

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

/* Suspensions are few: whenever one is made, those that no longer count as offences are removed. */
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

int sqlite_make_suspension(struct sqlite_backend *backend, const char *mailbox, enum cause cause,
                   const struct durations *durations, int64_t now_ms, const char *by,
                   const char *note, struct suspension *suspension_r)
{
    uint32_t offences;
    if (forget_old_suspensions(backend, now_ms) < 0 ||
        make_way(backend, mailbox, cause, now_ms) < 0 ||
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

static int audit_suspension(struct sqlite_backend *backend, const struct action *action,
                            const char *name, const char *mailbox, const struct suspension *before,
                            const struct suspension *after)
{
    freed_by(text_free) struct text detail = {0};
    detail_add_suspensions(&detail, before, after);
    return sqlite_audit_action(backend, action, name, mailbox, &detail);
}

static int suspend_mailbox(struct sqlite_backend *backend, const char *mailbox, enum cause cause,
                           const struct durations *durations, const struct action *action,
                           struct suspension *suspension_r)
{
    struct suspension before;
    if (sqlite_suspension(backend, mailbox, action->now_ms, &before) < 0 ||
        sqlite_make_suspension(backend, mailbox, cause, durations, action->now_ms, action->by,
                               action->note, suspension_r) < 0)
        return -1;
    return audit_suspension(backend, action, "suspend", mailbox, &before, suspension_r);
}

static int suspend(struct backend *backend, const char *mailbox, enum cause cause,
                   const struct durations *durations, const struct action *action,
                   struct suspension *suspension_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, suspend_mailbox(self, mailbox, cause, durations, action, suspension_r));
}

static int lift_suspension(struct sqlite_backend *backend, const char *mailbox,
                           const struct action *action)
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

static int lift(struct backend *backend, const char *mailbox, const struct action *action)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, lift_suspension(self, mailbox, action));
}

static int suspended(struct backend *backend, const char *after, int64_t now_ms,
                     struct suspended *suspended_r, struct store_page *page)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, false) < 0)
        return -1;
    sqlite3_stmt *list = sqlite_take(self, SQL_SUSPENSION_LIST);
    sqlite_bind_string(list, 1, after);
    sqlite3_bind_int64(list, 2, now_ms);
    sqlite3_bind_int64(list, 3, (sqlite3_int64)page->max + 1);
    page->count = 0;
    int row;
    while ((row = sqlite_page_row(self, list, page)) > 0) {
        struct suspended *suspended = &suspended_r[page->count++];
        sqlite_read_suspension(list, &suspended->suspension);
        sqlite_copy_text(list, 8, suspended->mailbox, sizeof suspended->mailbox);
    }
    return sqlite_end(self, row < 0 ? -1 : 1);
}

static int offences(struct backend *backend, const char *mailbox, enum cause cause, int64_t now_ms,
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

const struct suspension_operations sqlite_suspensions = {
    .suspend = suspend,
    .lift = lift,
    .suspended = suspended,
    .offences = offences,
};
