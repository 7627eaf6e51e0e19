/* Observations in SQLite: who sent from where, windows near their limit, counters. */
#include <string.h>

#include "store/lifetimes.h"
#include "store/sqlite/sqlite.h"

/* ---- writing ------------------------------------------------------------------------ */

static sqlite3_stmt *with_sender(struct sqlite_backend *backend, enum sqlite_statement which,
                                 const struct observed_sender *observed)
{
    sqlite3_stmt *statement = sqlite_take(backend, which);
    sqlite3_bind_int64(statement, 1, observed->at_ms);
    sqlite_bind_string(statement, 2, observed->mailbox);
    sqlite_bind_string(statement, 3, observed->domain);
    sqlite_bind_string(statement, 4, observed->ip);
    return statement;
}

static int put_sender(struct sqlite_backend *backend, const struct observed_sender *observed)
{
    sqlite3_stmt *find = with_sender(backend, SQL_SENDER_FIND, observed);
    int found = sqlite_row(backend, find);
    if (found > 0)
        sqlite3_reset(find);
    return found != 0 ? found : sqlite_do(backend, with_sender(backend, SQL_SENDER_PUT, observed));
}

static int put_near(struct sqlite_backend *backend, const struct near_limit *near)
{
    sqlite3_stmt *put = sqlite_take(backend, SQL_NEAR_PUT);
    sqlite_bind_string(put, 1, near->key);
    sqlite_bind_string(put, 2, rule_table[near->rule].name);
    sqlite3_bind_int64(put, 3, near->at_ms);
    return sqlite_do(backend, put);
}

static int add_counter(struct sqlite_backend *backend, const struct counter *counter)
{
    sqlite3_stmt *add = sqlite_take(backend, SQL_COUNTER_ADD);
    sqlite_bind_string(add, 1, counter->name);
    sqlite3_bind_int64(add, 2, (sqlite3_int64)counter->value);
    return sqlite_do(backend, add);
}

/* Removes more old rows than new ones came, so that none stay. */
static int sweep_seen(struct sqlite_backend *backend, const struct observations *seen,
                      int64_t now_ms)
{
    if (sqlite_remove_past(backend, SQL_SENDER_SWEEP, now_ms - SEEN_KEPT_MS,
                           2 * (int64_t)seen->sender_count + 8) < 0)
        return -1;
    return sqlite_remove_past(backend, SQL_NEAR_SWEEP, now_ms - rule_longest_of_all_ms(),
                              2 * (int64_t)seen->near_count + 8);
}

static int put_all(struct sqlite_backend *backend, const struct observations *seen)
{
    int result = 1;
    for (size_t i = 0; i < seen->sender_count && result > 0; i++)
        result = put_sender(backend, &seen->senders[i]);
    for (size_t i = 0; i < seen->near_count && result > 0; i++)
        result = put_near(backend, &seen->nears[i]);
    for (size_t i = 0; i < seen->counter_count && result > 0; i++)
        result = add_counter(backend, &seen->counters[i]);
    return result;
}

static int observe(struct backend *backend, const struct observations *observations, int64_t now_ms)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (observations->sender_count > OBSERVATIONS_MAX ||
        observations->near_count > OBSERVATIONS_MAX ||
        observations->counter_count > OBSERVATIONS_MAX)
        return backend_fail(backend, "more than %d observations of a kind at once",
                            OBSERVATIONS_MAX);
    if (sqlite_begin(self, true) < 0)
        return -1;
    int result = put_all(self, observations);
    if (result > 0)
        result = sweep_seen(self, observations, now_ms);
    return sqlite_end(self, result);
}

/* ---- reading ------------------------------------------------------------------------ */

static int senders(struct backend *backend, enum sender_of of, const char *key, const char *after,
                   int64_t now_ms, struct sender *senders_r, struct store_page *page)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, false) < 0)
        return -1;
    sqlite3_stmt *list =
        sqlite_take(self, of == SENDERS_OF_IP ? SQL_SENDER_OF_IP : SQL_SENDER_OF_DOMAIN);
    sqlite_bind_string(list, 1, key);
    sqlite_bind_string(list, 2, after);
    sqlite3_bind_int64(list, 3, now_ms - SEEN_KEPT_MS);
    sqlite3_bind_int64(list, 4, (sqlite3_int64)page->max + 1);
    page->count = 0;
    int row;
    while ((row = sqlite_page_row(self, list, page)) > 0) {
        struct sender *sender = &senders_r[page->count++];
        sqlite_copy_text(list, 0, sender->mailbox, sizeof sender->mailbox);
        sender->last_ms = sqlite3_column_int64(list, 1);
    }
    return sqlite_end(self, row < 0 ? -1 : 1);
}

/* 1, or 0 when the window has emptied since, or this version does not know its rule. */
static int read_near(sqlite3_stmt *row, int64_t now_ms, struct near_limit *near_r)
{
    int rule = rule_by_name((const char *)sqlite3_column_text(row, 1));
    int64_t at_ms = sqlite3_column_int64(row, 2);
    if (rule < RULE_FIRST_OVER_TIME || !window_holds(at_ms, rule_table[rule].window_ms, now_ms))
        return 0;
    *near_r = (struct near_limit){.rule = (enum rule)rule, .at_ms = at_ms};
    sqlite_copy_text(row, 0, near_r->key, sizeof near_r->key);
    return 1;
}

static int near(struct backend *backend, int64_t now_ms, struct near_limit *near_r,
                struct store_page *page)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, false) < 0)
        return -1;
    sqlite3_stmt *list = sqlite_take(self, SQL_NEAR_LIST);
    sqlite3_bind_int64(list, 1, now_ms - rule_longest_of_all_ms());
    struct near_limit near;
    page->count = 0;
    page->more = false;
    int row = 1;
    while (!page->more && (row = sqlite_row(self, list)) > 0) {
        if (!read_near(list, now_ms, &near))
            continue;
        page->more = page->count == page->max;
        if (!page->more)
            near_r[page->count++] = near;
    }
    sqlite3_reset(list);
    return sqlite_end(self, row < 0 ? -1 : 1);
}

static int counters(struct backend *backend, const char *after, struct counter *counters_r,
                    struct store_page *page)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, false) < 0)
        return -1;
    sqlite3_stmt *list = sqlite_take(self, SQL_COUNTER_LIST);
    sqlite_bind_string(list, 1, after);
    sqlite3_bind_int64(list, 2, (sqlite3_int64)page->max + 1);
    page->count = 0;
    int row;
    while ((row = sqlite_page_row(self, list, page)) > 0) {
        struct counter *counter = &counters_r[page->count++];
        sqlite_copy_text(list, 0, counter->name, sizeof counter->name);
        counter->value = (uint64_t)sqlite3_column_int64(list, 1);
    }
    return sqlite_end(self, row < 0 ? -1 : 1);
}

const struct observation_operations sqlite_observations = {
    .observe = observe,
    .senders = senders,
    .near = near,
    .counters = counters,
};
