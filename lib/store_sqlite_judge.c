/* Judging and counting in SQLite: all messages that wait together in one
 * transaction, each as store.h says under store_judge. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "packed_history.h"
#include "store_sqlite.h"

/* ---- histories ------------------------------------------------------------------ */

/* The history of one mailbox or IP, as loaded. */
struct ledger {
    struct sqlite_room *room;
    const char *key; /* NULL: there is none (a message without an IP) */
    struct packed_history history;
    uint64_t dropped_below; /* chunks before this number are gone already */
};

/* 1 and the blob of one part, valid until the statement is used again; 0 absent; -1. */
static int get_part(struct sqlite_room *room, const char *key, int64_t part,
                    const uint8_t **bytes_r, size_t *length_r)
{
    sqlite3_stmt *get = sqlite_take(room, SQL_HISTORY_GET);
    sqlite_bind_string(get, 1, key);
    sqlite3_bind_int64(get, 2, part);
    int found = sqlite_row(room, get);
    if (found > 0) {
        *bytes_r = sqlite3_column_blob(get, 0);
        *length_r = (size_t)sqlite3_column_bytes(get, 0);
    }
    return found;
}

static int put_part(struct sqlite_room *room, const char *key, int64_t part, const uint8_t *bytes,
                    size_t length)
{
    sqlite3_stmt *put = sqlite_take(room, SQL_HISTORY_PUT);
    sqlite_bind_string(put, 1, key);
    sqlite3_bind_int64(put, 2, part);
    sqlite3_bind_blob(put, 3, bytes, (int)length, SQLITE_STATIC);
    return sqlite_do(room, put);
}

static int drop_parts(struct sqlite_room *room, const char *key, int64_t from, int64_t to)
{
    sqlite3_stmt *drop = sqlite_take(room, SQL_HISTORY_DROP);
    sqlite_bind_string(drop, 1, key);
    sqlite3_bind_int64(drop, 2, from);
    sqlite3_bind_int64(drop, 3, to);
    return sqlite_do(room, drop);
}

static int64_t part_of(uint64_t chunk) { return (int64_t)chunk + 1; }

static int read_chunk(void *context, uint64_t number, struct entry entries[HISTORY_CHUNK])
{
    struct ledger *ledger = context;
    const uint8_t *bytes;
    size_t length;
    int found = get_part(ledger->room, ledger->key, part_of(number), &bytes, &length);
    if (found < 0)
        return -1;
    if (found == 0 || length != CHUNK_BYTES)
        return room_fail(&ledger->room->room, "%s: history of %s: part %lld is missing or damaged",
                         ledger->room->path, ledger->key, (long long)part_of(number));
    entries_decode(bytes, HISTORY_CHUNK, entries);
    sqlite3_reset(ledger->room->statements[SQL_HISTORY_GET]);
    return 1;
}

static int ledger_load(struct sqlite_room *room, enum subject subject, const char *key,
                       struct ledger *ledger_r)
{
    const uint8_t *bytes;
    size_t length;
    ledger_r->room = room;
    ledger_r->key = key;
    ledger_r->dropped_below = 0;
    packed_history_init(&ledger_r->history, subject);
    if (key == NULL)
        return 1;
    int found = get_part(room, key, 0, &bytes, &length);
    if (found > 0 && packed_history_decode(&ledger_r->history, subject, bytes, length) < 1)
        return room_fail(&room->room, "%s: history of %s is damaged", room->path, key);
    uint64_t last;
    packed_history_chunks(&ledger_r->history, &ledger_r->dropped_below, &last);
    sqlite3_reset(room->statements[SQL_HISTORY_GET]);
    return found < 0 ? -1 : 1;
}

static int ledger_advance(struct ledger *ledger, int64_t now_ms)
{
    return packed_history_advance(&ledger->history, now_ms,
                                  &(struct chunk_reader){read_chunk, ledger});
}

/* Writes the head, and parts with the chunks that have left every window. */
static int ledger_save(struct ledger *ledger)
{
    uint8_t bytes[HEAD_MAX_BYTES];
    uint64_t from, to;
    packed_history_chunks(&ledger->history, &from, &to);
    if (from > ledger->dropped_below &&
        drop_parts(ledger->room, ledger->key, part_of(ledger->dropped_below), part_of(from - 1)) <
            0)
        return -1;
    ledger->dropped_below = from;
    size_t length = packed_history_encode(&ledger->history, bytes);
    return put_part(ledger->room, ledger->key, 0, bytes, length);
}

static int ledger_add(struct ledger *ledger, int64_t at_ms, uint32_t off_domain)
{
    if (ledger->key == NULL)
        return 1;
    if (packed_history_add(&ledger->history, at_ms, off_domain)) {
        uint8_t bytes[CHUNK_BYTES];
        entries_encode(ledger->history.tail, HISTORY_CHUNK, bytes);
        if (put_part(ledger->room, ledger->key,
                     part_of(ledger->history.tail_first / HISTORY_CHUNK), bytes,
                     sizeof bytes) < 0)
            return -1;
        packed_history_cut(&ledger->history);
    }
    return ledger_save(ledger);
}

/* All entries of the longest span, for forecasts. */
static int ledger_entries(struct ledger *ledger, struct arena *arena, int64_t at_ms,
                          struct history *history_r)
{
    const struct packed_history *packed = &ledger->history;
    struct entry chunk[HISTORY_CHUNK];
    uint64_t from, to;
    packed_history_chunks(packed, &from, &to);
    history_r->entries = arena_alloc(
        arena, ((size_t)(to - from) * HISTORY_CHUNK + packed->tail_count) * sizeof chunk[0]);
    history_r->count = 0;
    for (uint64_t number = from; number <= to; number++) {
        size_t count = number < to ? HISTORY_CHUNK : packed->tail_count;
        if (number < to && read_chunk(ledger, number, chunk) < 0)
            return -1;
        const struct entry *entries = number < to ? chunk : packed->tail;
        for (size_t i = 0; i < count; i++)
            if (entries[i].off_domain != ENTRY_GIVEN_BACK &&
                window_holds(entries[i].time_ms, packed->spans[packed->span_count - 1].length_ms,
                             at_ms))
                history_r->entries[history_r->count++] = entries[i];
    }
    return 1;
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

int sqlite_read_history(struct sqlite_room *room, struct arena *arena, enum subject subject,
                        const char *key, int64_t at_ms, struct history *history_r)
{
    struct ledger ledger;
    if (ledger_load(room, subject, key, &ledger) < 0)
        return -1;
    at_ms = later(at_ms, ledger.history.newest_ms);
    if (ledger_advance(&ledger, at_ms) < 0)
        return -1;
    return ledger_entries(&ledger, arena, at_ms, history_r);
}

/* ---- judging ------------------------------------------------------------------------ */

struct judging {
    struct sqlite_room *room;
    struct store_message *message;
    uint8_t key[CHARGE_KEY_SIZE];
    struct ledger ledgers[SUBJECT_COUNT];
};

/* 1 when this very submission was counted before, 0 when not, -1. */
static int counted_before(struct judging *judging)
{
    struct store_message *message = judging->message;
    charge_key(message->mailbox, message->id, judging->key);
    sqlite3_stmt *get = sqlite_take(judging->room, SQL_CHARGE_GET);
    sqlite3_bind_blob(get, 1, judging->key, sizeof judging->key, SQLITE_STATIC);
    int found = sqlite_row(judging->room, get);
    if (found > 0) {
        bool same = (uint64_t)sqlite3_column_int64(get, 2) == message->fingerprint &&
                    window_holds(sqlite3_column_int64(get, 0), DAY_MS, message->now_ms);
        message->first_decision = (uint64_t)sqlite3_column_int64(get, 3);
        sqlite3_reset(get);
        return same;
    }
    return found;
}

static uint32_t cost_of(const struct store_message *message, enum rule rule)
{
    return entry_weight(&(struct entry){.off_domain = message->off_domain},
                        rule_table[rule].measure);
}

/* Loads both histories up to the message's moment and fills its windows. */
static int look(struct judging *judging)
{
    struct store_message *message = judging->message;
    const char *keys[SUBJECT_COUNT] = {[SUBJECT_MAILBOX] = message->mailbox,
                                       [SUBJECT_IP] = message->ip};
    message->at_ms = message->now_ms;
    for (int subject = 0; subject < SUBJECT_COUNT; subject++) {
        if (ledger_load(judging->room, (enum subject)subject, keys[subject],
                        &judging->ledgers[subject]) < 0)
            return -1;
        message->at_ms =
            later(message->at_ms, judging->ledgers[subject].history.newest_ms);
    }
    for (int subject = 0; subject < SUBJECT_COUNT; subject++)
        if (ledger_advance(&judging->ledgers[subject], message->at_ms) < 0)
            return -1;
    for (size_t i = 0; i < message->window_count; i++) {
        struct store_window *window = &message->windows[i];
        const struct rule_info *rule = &rule_table[window->rule];
        const struct ledger *ledger = &judging->ledgers[rule->subject];
        window->used_before =
            packed_history_used(&ledger->history, rule->measure, rule->window_ms);
        window->over = ledger->key != NULL &&
                       !window_fits(window->used_before, cost_of(message, window->rule),
                                    window->limit);
    }
    return 1;
}

/* The first window whose overrun suspends; NULL when none does. */
static const struct store_window *suspending_window(const struct store_message *message)
{
    for (size_t i = 0; i < message->window_count; i++) {
        const struct store_window *window = &message->windows[i];
        if (window->over && window->suspends &&
            window_fits(0, cost_of(message, window->rule), window->limit))
            return window;
    }
    return NULL;
}

static bool any_over(const struct store_message *message)
{
    for (size_t i = 0; i < message->window_count; i++)
        if (message->windows[i].over)
            return true;
    return false;
}

static int count_attempt(struct judging *judging)
{
    struct store_message *message = judging->message;
    struct suspension *suspension = &message->suspension;
    suspension->attempts++;
    if (suspension->attempts >= message->retries_before_restart)
        suspension->until_ms =
            later(suspension->until_ms, message->now_ms + message->restart_ms);
    sqlite3_stmt *update = sqlite_take(judging->room, SQL_SUSPENSION_ATTEMPT);
    sqlite3_bind_int64(update, 1, suspension->id);
    sqlite3_bind_int64(update, 2, suspension->attempts);
    sqlite3_bind_int64(update, 3, suspension->until_ms);
    return sqlite_do(judging->room, update);
}

static int bring_suspension(struct judging *judging, const struct store_window *window)
{
    struct store_message *message = judging->message;
    const char *rule = rule_table[window->rule].name;
    message->brought = true;
    if (!message->dry_run)
        return sqlite_suspend(judging->room, message->mailbox, CAUSE_VOLUME, &message->volume,
                              message->at_ms, "guard", rule, &message->suspension);
    return 1;
}

static int count_message(struct judging *judging)
{
    struct store_message *message = judging->message;
    for (int subject = 0; subject < SUBJECT_COUNT; subject++)
        if (ledger_add(&judging->ledgers[subject], message->at_ms, message->off_domain) < 0)
            return -1;
    sqlite3_stmt *put = sqlite_take(judging->room, SQL_CHARGE_PUT);
    sqlite3_bind_blob(put, 1, judging->key, sizeof judging->key, SQLITE_STATIC);
    sqlite3_bind_int64(put, 2, message->at_ms);
    sqlite3_bind_int64(put, 3, message->off_domain);
    sqlite3_bind_int64(put, 4, (sqlite3_int64)message->fingerprint);
    sqlite3_bind_int64(put, 5, (sqlite3_int64)message->decision);
    sqlite_bind_string(put, 6, message->ip);
    return sqlite_do(judging->room, put);
}

static int keep_record(struct judging *judging)
{
    struct store_message *message = judging->message;
    struct sqlite_room *room = judging->room;
    bool admitted = message->outcome == OUTCOME_ADMITTED;
    char used[USED_TEXT_SIZE];
    used_format(message, used);
    room->keep_admitted_ms = message->keep_admitted_ms;
    room->keep_refused_ms = message->keep_refused_ms;
    sqlite3_stmt *put = sqlite_take(room, admitted ? SQL_ADMITTED_PUT : SQL_REFUSED_PUT);
    sqlite3_bind_int64(put, 1, (sqlite3_int64)message->decision);
    sqlite3_bind_int64(put, 2, message->at_ms);
    sqlite_bind_string(put, 3, outcome_names[message->outcome]);
    sqlite_bind_string(put, 4, used);
    sqlite_bind_string(put, 5, message->facts);
    sqlite3_bind_int64(put, 6, admitted ? message->keep_admitted_ms : message->keep_refused_ms);
    return sqlite_do(room, put);
}

/* What is to be said of it, from what was seen; no effect yet. */
static enum outcome decide(const struct store_message *message)
{
    if (message->observe)
        return OUTCOME_ADMITTED;
    if (message->suspension.id != 0)
        return OUTCOME_SUSPENDED;
    if (message->held)
        return OUTCOME_HELD;
    if (suspending_window(message) != NULL)
        return OUTCOME_SUSPENDED;
    return any_over(message) ? OUTCOME_OVER : OUTCOME_ADMITTED;
}

static int take_effect(struct judging *judging)
{
    struct store_message *message = judging->message;
    if (message->outcome == OUTCOME_SUSPENDED && message->suspension.id == 0) {
        if (bring_suspension(judging, suspending_window(message)) < 0)
            return -1;
    } else if (message->outcome == OUTCOME_SUSPENDED && !message->dry_run) {
        if (count_attempt(judging) < 0)
            return -1;
    }
    if (message->dry_run)
        return 1;
    if (message->outcome == OUTCOME_ADMITTED && count_message(judging) < 0)
        return -1;
    return keep_record(judging);
}

static int judge_one(struct sqlite_room *room, struct store_message *message)
{
    struct judging judging = {.room = room, .message = message};
    int repeated = counted_before(&judging);
    if (repeated < 0 || look(&judging) < 0 ||
        sqlite_suspension(room, message->mailbox, message->now_ms, &message->suspension) < 0)
        return -1;
    message->brought = false;
    message->outcome = repeated ? OUTCOME_REPEATED : decide(message);
    if (!repeated && take_effect(&judging) < 0)
        return -1;
    if (message->dry_run || (message->outcome != OUTCOME_ADMITTED && !repeated))
        for (int subject = 0; subject < SUBJECT_COUNT; subject++)
            if (judging.ledgers[subject].key != NULL &&
                ledger_entries(&judging.ledgers[subject], message->arena, message->at_ms,
                               &message->histories[subject]) < 0)
                return -1;
    return 1;
}

/* A little sweeping with every so many messages: more than they added. */
enum { JUDGED_BETWEEN_SWEEPS = 128 };

static int sweep_now_and_then(struct sqlite_room *room, int64_t now_ms, size_t judged)
{
    room->judged_since_sweep += judged;
    if (room->judged_since_sweep < JUDGED_BETWEEN_SWEEPS)
        return 1;
    room->judged_since_sweep = 0;
    return sqlite_sweep_some(room, now_ms, 4 * JUDGED_BETWEEN_SWEEPS);
}

void sqlite_judge(struct room *room, struct store_message *const *messages, int *results_r,
                  size_t count)
{
    struct sqlite_room *self = sqlite_room(room);
    int64_t now_ms = messages[0]->now_ms;
    int result = sqlite_begin(self, true);
    if (result > 0) {
        for (size_t i = 0; i < count && result > 0; i++) {
            result = judge_one(self, messages[i]);
            now_ms = later(now_ms, messages[i]->now_ms);
        }
        if (result > 0)
            result = sweep_now_and_then(self, now_ms, count);
        result = sqlite_end(self, result);
    }
    for (size_t i = 0; i < count; i++)
        results_r[i] = result;
}

/* ---- giving back ----------------------------------------------------------------------- */

/* Take one entry out of a history; absent (reset, or past its window) is no error. */
static int uncount(struct sqlite_room *room, enum subject subject, const char *key,
                   int64_t time_ms, uint32_t off_domain)
{
    struct ledger ledger;
    struct entry chunk[HISTORY_CHUNK];
    uint64_t from, to;
    if (ledger_load(room, subject, key, &ledger) < 0)
        return -1;
    struct packed_history *history = &ledger.history;
    if (packed_history_give_back(history, history->tail, history->tail_count, history->tail_first,
                                 time_ms, off_domain))
        return ledger_save(&ledger);
    packed_history_chunks(history, &from, &to);
    while (to-- > from) {
        if (read_chunk(&ledger, to, chunk) < 0)
            return -1;
        if (packed_history_give_back(history, chunk, HISTORY_CHUNK, to * HISTORY_CHUNK, time_ms,
                                     off_domain)) {
            uint8_t bytes[CHUNK_BYTES];
            entries_encode(chunk, HISTORY_CHUNK, bytes);
            if (put_part(room, key, part_of(to), bytes, sizeof bytes) < 0)
                return -1;
            return ledger_save(&ledger);
        }
        if (chunk[0].time_ms < time_ms)
            break;
    }
    return 1;
}

static int give_back(struct sqlite_room *room, const char *mailbox, const char *id,
                     int64_t now_ms)
{
    uint8_t key[CHARGE_KEY_SIZE];
    charge_key(mailbox, id, key);
    sqlite3_stmt *get = sqlite_take(room, SQL_CHARGE_GET);
    sqlite3_bind_blob(get, 1, key, sizeof key, SQLITE_STATIC);
    int found = sqlite_row(room, get);
    if (found < 1)
        return found;
    int64_t time_ms = sqlite3_column_int64(get, 0);
    uint32_t off_domain = (uint32_t)sqlite3_column_int64(get, 1);
    bool has_ip = sqlite3_column_type(get, 4) != SQLITE_NULL;
    char ip[64];
    sqlite_copy_text(get, 4, ip, sizeof ip);
    sqlite3_reset(get);

    if (!window_holds(time_ms, DAY_MS, now_ms))
        return 0;
    sqlite3_stmt *drop = sqlite_take(room, SQL_CHARGE_DROP);
    sqlite3_bind_blob(drop, 1, key, sizeof key, SQLITE_STATIC);
    if (sqlite_do(room, drop) < 0 ||
        uncount(room, SUBJECT_MAILBOX, mailbox, time_ms, off_domain) < 0 ||
        (has_ip && uncount(room, SUBJECT_IP, ip, time_ms, off_domain) < 0))
        return -1;
    return 1;
}

int sqlite_give_back(struct room *room, const char *mailbox, const char *id, int64_t now_ms)
{
    struct sqlite_room *self = sqlite_room(room);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, give_back(self, mailbox, id, now_ms));
}

/* ---- sweeping ----------------------------------------------------------------------------- */

static int get_hand(struct sqlite_room *room, const char *name, sqlite3_value **position_r)
{
    sqlite3_stmt *get = sqlite_take(room, SQL_HAND_GET);
    sqlite_bind_string(get, 1, name);
    int found = sqlite_row(room, get);
    *position_r = found > 0 && sqlite3_column_type(get, 0) != SQLITE_NULL
                      ? sqlite3_value_dup(sqlite3_column_value(get, 0))
                      : NULL;
    sqlite3_reset(get);
    return found;
}

static int put_hand(struct sqlite_room *room, const char *name, const sqlite3_value *position)
{
    sqlite3_stmt *put = sqlite_take(room, SQL_HAND_PUT);
    sqlite_bind_string(put, 1, name);
    if (position != NULL)
        sqlite3_bind_value(put, 2, position);
    else
        sqlite3_bind_null(put, 2);
    return sqlite_do(room, put);
}

/* Whether a row of the two tables that are swept in a round is past its time. */
static bool is_past(const char *table, sqlite3_stmt *row, int64_t now_ms)
{
    if (table[0] == 'c')
        return !window_holds(sqlite3_column_int64(row, 1), DAY_MS, now_ms);
    const char *key = (const char *)sqlite3_column_text(row, 0);
    enum subject subject = strchr(key, '@') != NULL ? SUBJECT_MAILBOX : SUBJECT_IP;
    struct packed_history history;
    if (packed_history_decode(&history, subject, sqlite3_column_blob(row, 1),
                              (size_t)sqlite3_column_bytes(row, 1)) < 1)
        return false;
    return !window_holds(history.newest_ms, history.spans[history.span_count - 1].length_ms,
                         now_ms);
}

static int drop_row(struct sqlite_room *room, const char *table, const sqlite3_value *key)
{
    sqlite3_stmt *drop =
        sqlite_take(room, table[0] == 'c' ? SQL_CHARGE_DROP : SQL_HISTORY_DROP);
    sqlite3_bind_value(drop, 1, key);
    if (table[0] != 'c') {
        sqlite3_bind_int64(drop, 2, 0);
        sqlite3_bind_int64(drop, 3, INT64_MAX);
    }
    return sqlite_do(room, drop);
}

/* Looks at the next `rows` rows from where the hand points, round and round the
 * table, and parts with those past their time. 1, 0 at the table's end, -1. */
static int sweep_round(struct sqlite_room *room, const char *table, int64_t now_ms, size_t rows)
{
    sqlite3_value **past = xcalloc(rows, sizeof *past), *position = NULL;
    size_t seen = 0, past_count = 0;
    int result = get_hand(room, table, &position);
    sqlite3_stmt *next = sqlite_take(room, table[0] == 'c' ? SQL_CHARGE_NEXT : SQL_HISTORY_NEXT);
    if (position != NULL)
        sqlite3_bind_value(next, 1, position);
    else if (table[0] == 'c')
        sqlite3_bind_zeroblob(next, 1, 0);
    else
        sqlite_bind_string(next, 1, "");
    sqlite3_bind_int64(next, 2, (sqlite3_int64)rows);
    while (result >= 0 && (result = sqlite_row(room, next)) > 0) {
        seen++;
        if (is_past(table, next, now_ms))
            past[past_count++] = sqlite3_value_dup(sqlite3_column_value(next, 0));
        if (seen == rows) {
            sqlite3_value_free(position);
            position = sqlite3_value_dup(sqlite3_column_value(next, 0));
        }
    }
    for (size_t i = 0; i < past_count; i++) {
        if (result >= 0 && drop_row(room, table, past[i]) < 0)
            result = -1;
        sqlite3_value_free(past[i]);
    }
    if (seen < rows) { /* begin again at the front */
        sqlite3_value_free(position);
        position = NULL;
    }
    if (result >= 0 && put_hand(room, table, position) < 0)
        result = -1;
    sqlite3_value_free(position);
    free(past);
    return result < 0 ? -1 : seen == rows;
}

static int sweep_records(struct sqlite_room *room, enum sqlite_statement sweep, int64_t now_ms,
                         size_t rows, int64_t keep_ms)
{
    sqlite3_stmt *statement = sqlite_take(room, sweep);
    sqlite3_bind_int64(statement, 1, now_ms);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)rows);
    sqlite3_bind_int64(statement, 3, keep_ms);
    return sqlite_do(room, statement);
}

static int sweep_small(struct sqlite_room *room, enum sqlite_statement sweep, int64_t now_ms,
                       int64_t keep_ms)
{
    sqlite3_stmt *statement = sqlite_take(room, sweep);
    sqlite3_bind_int64(statement, 1, now_ms);
    sqlite3_bind_int64(statement, 2, keep_ms);
    return sqlite_do(room, statement);
}

int sqlite_sweep_some(struct sqlite_room *room, int64_t now_ms, size_t rows)
{
    if (sweep_round(room, "charge", now_ms, rows) < 0 ||
        sweep_round(room, "history", now_ms, rows) < 0 ||
        sweep_records(room, SQL_ADMITTED_SWEEP, now_ms, rows, room->keep_admitted_ms) < 0 ||
        sweep_records(room, SQL_REFUSED_SWEEP, now_ms, rows, room->keep_refused_ms) < 0)
        return -1;
    return 1;
}

int sqlite_sweep_all(struct room *room, int64_t now_ms)
{
    enum { ROWS = 1000 };
    struct sqlite_room *self = sqlite_room(room);
    if (sqlite_begin(self, true) < 0)
        return -1;
    int result = 1;
    for (const char *const *table = (const char *const[]){"charge", "history", NULL};
         *table != NULL && result >= 0; table++) {
        result = 1;
        /* to the end from where the hand is, then once round */
        for (int ends = 0; ends < 2 && result >= 0; ends += result == 0)
            result = sweep_round(self, *table, now_ms, ROWS);
    }
    if (result < 0 ||
        sweep_records(self, SQL_ADMITTED_SWEEP, now_ms, SIZE_MAX / 2, self->keep_admitted_ms) < 0 ||
        sweep_records(self, SQL_REFUSED_SWEEP, now_ms, SIZE_MAX / 2, self->keep_refused_ms) < 0 ||
        sweep_small(self, SQL_SUSPENSION_SWEEP, now_ms, OFFENCES_REMEMBERED_MS) < 0 ||
        sweep_small(self, SQL_ADJUSTMENT_SWEEP, now_ms, DAY_MS) < 0)
        result = -1;
    return sqlite_end(self, result < 0 ? -1 : 1);
}
