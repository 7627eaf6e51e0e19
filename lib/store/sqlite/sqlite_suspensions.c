/* Suspensions in SQLite. Each change and its entry of the audit log are one transaction. */
#include <string.h>

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

static void put_row(sqlite3_stmt *row, struct suspensions *suspensions)
{
    struct suspension one;
    sqlite_read_suspension(row, &one);
    suspension_put(suspensions, &one);
}

int sqlite_suspensions_held(struct sqlite_backend *backend, const char *mailbox, int64_t now_ms,
                            struct suspensions *suspensions_r)
{
    sqlite3_stmt *get = sqlite_take(backend, SQL_SUSPENSION_GET);
    sqlite_bind_string(get, 1, mailbox);
    sqlite3_bind_int64(get, 2, now_ms);
    int row;
    suspension_clear(suspensions_r);
    while ((row = sqlite_row(backend, get)) > 0)
        put_row(get, suspensions_r);
    return row < 0 ? -1 : 1;
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

/* Ends that of the cause which was made before, and takes offences that a wrong clock stamped as of
 * now. */
static int make_way(struct sqlite_backend *backend, const char *mailbox, enum cause cause,
                    int64_t now_ms)
{
    sqlite3_stmt *replace = sqlite_take(backend, SQL_SUSPENSION_REPLACE);
    sqlite_bind_string(replace, 1, mailbox);
    sqlite3_bind_int64(replace, 2, now_ms);
    sqlite_bind_string(replace, 3, cause_names[cause]);
    if (sqlite_do(backend, replace) < 0)
        return -1;
    sqlite3_stmt *mend = sqlite_take(backend, SQL_OFFENCES_MEND);
    sqlite_bind_string(mend, 1, mailbox);
    sqlite3_bind_int64(mend, 2, now_ms);
    sqlite_bind_string(mend, 3, cause_names[cause]);
    return sqlite_do(backend, mend);
}

int sqlite_make_suspension(struct sqlite_backend *backend, const char *mailbox, enum cause cause,
                   const struct durations *durations, const struct suspension *replaced,
                   const struct action *action, struct suspensions *suspensions_r)
{
    uint32_t offences;
    int64_t now_ms = action->now_ms;
    if (forget_old_suspensions(backend, now_ms) < 0 ||
        make_way(backend, mailbox, cause, now_ms) < 0 ||
        count_offences(backend, mailbox, cause, now_ms, &offences) < 0)
        return -1;
    sqlite3_stmt *put = sqlite_take(backend, SQL_SUSPENSION_PUT);
    sqlite_bind_string(put, 1, mailbox);
    sqlite_bind_string(put, 2, cause_names[cause]);
    sqlite3_bind_int64(put, 3, now_ms);
    sqlite3_bind_int64(put, 4, suspension_until(durations, offences + 1, now_ms, replaced));
    sqlite3_bind_int64(put, 5, (int64_t)offences + 1);
    sqlite_bind_string(put, 6, action->by);
    sqlite_bind_string(put, 7, action->note);
    if (sqlite_do(backend, put) < 0)
        return -1;
    /* read it back, so that a text too long is what the next reader sees as well */
    return sqlite_suspensions_held(backend, mailbox, now_ms, suspensions_r);
}

static int end_suspension(struct sqlite_backend *backend, const char *mailbox, enum cause cause,
                          int64_t now_ms)
{
    sqlite3_stmt *end = sqlite_take(backend, SQL_SUSPENSION_END);
    sqlite_bind_string(end, 1, mailbox);
    sqlite3_bind_int64(end, 2, now_ms);
    sqlite_bind_string(end, 3, cause_names[cause]);
    return sqlite_do(backend, end);
}

/* before, after: NULL: none. */
static int audit_suspension(struct sqlite_backend *backend, const struct action *action,
                            const char *name, const char *mailbox, const struct suspension *before,
                            const struct suspension *after)
{
    freed_by(text_free) struct text detail = {0};
    detail_add_suspensions(&detail, before, after);
    return sqlite_audit_action(backend, action, name, mailbox, &detail);
}

int sqlite_suspend(struct sqlite_backend *backend, const char *mailbox, enum cause cause,
                   const struct durations *durations, const struct action *action,
                   struct suspension *suspension_r)
{
    struct suspensions held, holding;
    if (sqlite_suspensions_held(backend, mailbox, action->now_ms, &held) < 0)
        return -1;
    const struct suspension *replaced = suspension_find(&held, cause);
    if (sqlite_make_suspension(backend, mailbox, cause, durations, replaced, action, &holding) < 0)
        return -1;
    *suspension_r = *suspension_find(&holding, cause);
    return audit_suspension(backend, action, "suspend", mailbox, replaced, suspension_r);
}

static int suspend(struct backend *backend, const char *mailbox, enum cause cause,
                   const struct durations *durations, const struct action *action,
                   struct suspension *suspension_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, sqlite_suspend(self, mailbox, cause, durations, action, suspension_r));
}

static int lift_suspension(struct sqlite_backend *backend, const char *mailbox, enum cause cause,
                           const struct action *action)
{
    struct suspensions held;
    if (sqlite_suspensions_held(backend, mailbox, action->now_ms, &held) < 0)
        return -1;
    const struct suspension *before = suspension_find(&held, cause);
    if (before == NULL)
        return 0;
    if (end_suspension(backend, mailbox, cause, action->now_ms) < 0)
        return -1;
    return audit_suspension(backend, action, "lift", mailbox, before, NULL);
}

static int lift(struct backend *backend, const char *mailbox, enum cause cause,
                const struct action *action)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, lift_suspension(self, mailbox, cause, action));
}

/* ---- putting one back ----------------------------------------------------------- */

/* 1 it is the newest entry about the mailbox; 0; -1. */
static int is_newest(struct sqlite_backend *backend, const char *mailbox, int64_t number)
{
    sqlite3_stmt *get = sqlite_take(backend, SQL_AUDIT_NUMBER);
    sqlite_bind_string(get, 1, mailbox);
    if (sqlite_row(backend, get) < 1)
        return -1;
    bool is_newest = sqlite3_column_int64(get, 0) == number;
    sqlite3_reset(get);
    return is_newest;
}

/* A statement about one: its id is ?1, its mailbox ?2, its cause ?3. */
static sqlite3_stmt *take_lifted(struct sqlite_backend *backend, enum sqlite_statement which,
                                 int64_t id, const char *mailbox, enum cause cause)
{
    sqlite3_stmt *statement = sqlite_take(backend, which);
    sqlite3_bind_int64(statement, 1, id);
    sqlite_bind_string(statement, 2, mailbox);
    sqlite_bind_string(statement, 3, cause_names[cause]);
    return statement;
}

/* 1 it can be put back; 0 with *why_r; -1. */
static int may_unlift(struct sqlite_backend *backend, enum cause cause, int64_t id,
                      const char *mailbox, int64_t now_ms, enum unlift *why_r)
{
    sqlite3_stmt *later = take_lifted(backend, SQL_SUSPENSION_LATER, id, mailbox, cause);
    sqlite3_bind_int64(later, 4, now_ms);
    int found = sqlite_row(backend, later);
    sqlite3_reset(later);
    *why_r = UNLIFT_REPLACED;
    if (found != 0)
        return found < 0 ? -1 : 0;
    sqlite3_stmt *lifted = take_lifted(backend, SQL_SUSPENSION_LIFTED, id, mailbox, cause);
    found = sqlite_row(backend, lifted);
    bool ended = found > 0 && sqlite3_column_int64(lifted, 0) <= now_ms;
    sqlite3_reset(lifted);
    *why_r = ended ? UNLIFT_ENDED : UNLIFT_GONE;
    return ended ? 0 : found;
}

static int unlift_suspension(struct sqlite_backend *backend, enum cause cause, int64_t id,
                             int64_t newest, const struct audited *audited, enum unlift *why_r)
{
    int result = is_newest(backend, audited->subject, newest);
    *why_r = UNLIFT_CHANGED;
    if (result > 0)
        result = may_unlift(backend, cause, id, audited->subject, audited->action->now_ms, why_r);
    if (result < 1)
        return result;
    sqlite3_stmt *put = sqlite_take(backend, SQL_SUSPENSION_UNLIFT);
    sqlite3_bind_int64(put, 1, id);
    return sqlite_do(backend, put) < 0 ? -1 : sqlite_put_audit(backend, audited);
}

static int unlift(struct backend *backend, enum cause cause, int64_t id, int64_t newest,
                  const struct audited *audited, enum unlift *why_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_check_audited(self, audited) < 0 || sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, unlift_suspension(self, cause, id, newest, audited, why_r));
}

/* ---- lists ---------------------------------------------------------------------- */

/* Rows of the list, those of a mailbox one after the other. 1 or -1. */
static int read_suspended(struct sqlite_backend *backend, sqlite3_stmt *list,
                          struct suspended *suspended_r, struct store_page *page)
{
    char mailbox[sizeof suspended_r->mailbox];
    int row;
    page->count = 0;
    page->more = false;
    while ((row = sqlite_row(backend, list)) > 0) {
        sqlite_copy_text(list, 8, mailbox, sizeof mailbox);
        if (page->count == 0 || strcmp(suspended_r[page->count - 1].mailbox, mailbox) != 0) {
            page->more = page->count == page->max;
            if (page->more)
                break;
            memcpy(suspended_r[page->count].mailbox, mailbox, sizeof mailbox);
            suspension_clear(&suspended_r[page->count++].suspensions);
        }
        put_row(list, &suspended_r[page->count - 1].suspensions);
    }
    sqlite3_reset(list);
    return row < 0 ? -1 : 1;
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
    return sqlite_end(self, read_suspended(self, list, suspended_r, page));
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
    .unlift = unlift,
    .suspended = suspended,
    .offences = offences,
};
