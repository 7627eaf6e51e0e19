/* Tickets: messages that one channel admitted and another will ask about in a moment. A row for
 * each, by the history of its mailbox; a message without a ticket costs nothing here. */
#include <string.h>

#include "store/sqlite/sqlite_history.h"

/* One that ends later was left by a clock that was wrong, and stands for no message. */
static int64_t latest_end(int64_t at_ms) { return at_ms + TICKET_MS + CLOCK_AHEAD_MS; }

/* A minute of grace, as in the sweep: the clock of the next caller may be a little behind. */
static int tidy(struct sqlite_backend *backend, int64_t history, int64_t at_ms)
{
    sqlite3_stmt *drop = sqlite_take(backend, SQL_TICKET_TIDY);
    sqlite3_bind_int64(drop, 1, history);
    sqlite3_bind_int64(drop, 2, at_ms - MINUTE_MS);
    sqlite3_bind_int64(drop, 3, latest_end(at_ms));
    return sqlite_do(backend, drop);
}

static int drop_ticket(struct sqlite_backend *backend, int64_t history, uint32_t id_hash)
{
    sqlite3_stmt *drop = sqlite_take(backend, SQL_TICKET_DROP);
    sqlite3_bind_int64(drop, 1, history);
    sqlite3_bind_int64(drop, 2, id_hash);
    return sqlite_do(backend, drop);
}

int sqlite_leave_ticket(struct sqlite_backend *backend, int64_t history,
                        const struct judge_request *request, bool waits, int64_t at_ms)
{
    if (tidy(backend, history, at_ms) < 0)
        return -1;
    sqlite3_stmt *put = sqlite_take(backend, SQL_TICKET_PUT);
    sqlite3_bind_int64(put, 1, history);
    sqlite3_bind_int64(put, 2, identity_of_id(backend->hash_key, request->id));
    sqlite3_bind_int64(put, 3, request->ticket | (waits ? TICKET_WAITS : 0u));
    sqlite3_bind_int64(put, 4, at_ms + TICKET_MS);
    return sqlite_do(backend, put);
}

int sqlite_redeem_ticket(struct sqlite_backend *backend, int64_t history,
                         const struct judge_request *request, int64_t at_ms, uint32_t *id_hash_r,
                         bool *waits_r)
{
    sqlite3_stmt *get = sqlite_take(backend, SQL_TICKET_GET);
    sqlite3_bind_int64(get, 1, history);
    sqlite3_bind_int64(get, 2, request->redeem);
    sqlite3_bind_int64(get, 3, at_ms);
    sqlite3_bind_int64(get, 4, latest_end(at_ms));
    int found = sqlite_row(backend, get);
    if (found < 1)
        return found;
    *id_hash_r = (uint32_t)sqlite3_column_int64(get, 0);
    *waits_r = (sqlite3_column_int64(get, 1) & TICKET_WAITS) != 0;
    sqlite3_reset(get);
    return request->dry_run ? 1 : drop_ticket(backend, history, *id_hash_r);
}

int sqlite_drop_ticket(struct sqlite_backend *backend, int64_t history, const char *id)
{
    return drop_ticket(backend, history, identity_of_id(backend->hash_key, id));
}

int sqlite_sweep_tickets(struct sqlite_backend *backend, int64_t after, int64_t last,
                         int64_t now_ms)
{
    sqlite3_stmt *sweep = sqlite_take(backend, SQL_TICKET_SWEEP);
    sqlite3_bind_int64(sweep, 1, after);
    sqlite3_bind_int64(sweep, 2, last);
    sqlite3_bind_int64(sweep, 3, now_ms);
    return sqlite_do(backend, sweep);
}
