/* The audit log in SQLite. */
#include <string.h>

#include "base/text.h"
#include "store/sqlite/sqlite.h"

int sqlite_check_audited(struct sqlite_backend *backend, const struct audited *audited)
{
    static const struct audit entry;
    if (audited == NULL)
        return 1;
    if (strlen(audited->action->by) >= sizeof entry.by ||
        strlen(audited->action->note) >= sizeof entry.note ||
        strlen(audited->name) >= sizeof entry.action ||
        strlen(audited->subject) >= sizeof entry.subject ||
        strlen(audited->detail) >= sizeof entry.detail)
        return backend_fail(&backend->base, "an entry %.32s is too long for the audit log",
                            audited->name);
    return 1;
}

int sqlite_put_audit(struct sqlite_backend *backend, const struct audited *audited)
{
    sqlite3_stmt *put = sqlite_take(backend, SQL_AUDIT_PUT);
    sqlite3_bind_int64(put, 1, audited->action->now_ms);
    sqlite_bind_string(put, 2, audited->action->by);
    sqlite_bind_string(put, 3, audited->name);
    sqlite_bind_string(put, 4, audited->subject);
    sqlite_bind_string(put, 5, audited->action->note);
    sqlite_bind_string(put, 6, audited->detail);
    return sqlite_do(backend, put);
}

int sqlite_audit_action(struct sqlite_backend *backend, const struct action *action,
                        const char *name, const char *subject, const struct text *detail)
{
    return sqlite_put_audit(backend, &(struct audited){.name = name,
                                                       .subject = subject,
                                                       .action = action,
                                                       .detail = text_string(detail)});
}

static int write_audit(struct backend *backend, const struct audited *audited)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_check_audited(self, audited) < 0 || sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, sqlite_put_audit(self, audited));
}

static void read_audit(sqlite3_stmt *row, struct audit *entry_r)
{
    *entry_r = (struct audit){.number = sqlite3_column_int64(row, 0),
                              .at_ms = sqlite3_column_int64(row, 1)};
    sqlite_copy_text(row, 2, entry_r->by, sizeof entry_r->by);
    sqlite_copy_text(row, 3, entry_r->action, sizeof entry_r->action);
    sqlite_copy_text(row, 4, entry_r->subject, sizeof entry_r->subject);
    sqlite_copy_text(row, 5, entry_r->note, sizeof entry_r->note);
    sqlite_copy_text(row, 6, entry_r->detail, sizeof entry_r->detail);
}

static int read_audits(struct sqlite_backend *backend, enum sqlite_statement which, int64_t number,
                       const char *subject, struct audit *audit_r, struct store_page *page)
{
    if (sqlite_begin(backend, false) < 0)
        return -1;
    sqlite3_stmt *list = sqlite_take(backend, which);
    sqlite3_bind_int64(list, 1, number);
    sqlite3_bind_int64(list, 2, (sqlite3_int64)page->max + 1);
    if (subject != NULL)
        sqlite_bind_string(list, 3, subject);
    page->count = 0;
    int row;
    while ((row = sqlite_page_row(backend, list, page)) > 0)
        read_audit(list, &audit_r[page->count++]);
    return sqlite_end(backend, row < 0 ? -1 : 1);
}

static int audit(struct backend *backend, int64_t after, struct audit *audit_r,
                 struct store_page *page)
{
    return read_audits(sqlite_backend(backend), SQL_AUDIT_AFTER, after, NULL, audit_r, page);
}

static int audit_newest(struct backend *backend, const char *subject, int64_t before,
                        struct audit *audit_r, struct store_page *page)
{
    return read_audits(sqlite_backend(backend), subject != NULL ? SQL_AUDIT_OF : SQL_AUDIT_BEFORE,
                       before, subject, audit_r, page);
}

const struct audit_operations sqlite_audit = {
    .audit = audit,
    .audit_newest = audit_newest,
    .write_audit = write_audit,
};
