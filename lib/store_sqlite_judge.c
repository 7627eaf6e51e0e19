/* Judging and counting in SQLite: all messages that wait together in one
 * transaction, each as store.h says under store_judge. */
#include <string.h>

#include "packed_history.h"
#include "store_sqlite.h"

/* ---- histories ------------------------------------------------------------------ */

/* The history of one mailbox or IP, as loaded. */
struct ledger {
    struct sqlite_room *room;
    const char *key; /* NULL: there is none (a message without an IP) */
    int64_t id;      /* its row */
    bool exists;
    struct packed_history history;
    uint64_t dropped_below; /* chunks before this number are gone already */
};

static int64_t hash_of(const struct sqlite_room *room, const char *bytes, size_t length)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)bytes, length,
                     room->hash_key);
    return (int64_t)(hash >> 1);
}

static int read_chunk(void *context, uint64_t number, struct counted chunk_r[HISTORY_CHUNK])
{
    struct ledger *ledger = context;
    enum subject subject = ledger->history.subject;
    sqlite3_stmt *get = sqlite_take(ledger->room, SQL_CHUNK_GET);
    sqlite3_bind_int64(get, 1, ledger->id);
    sqlite3_bind_int64(get, 2, (sqlite3_int64)number);
    int found = sqlite_row(ledger->room, get);
    if (found < 0)
        return -1;
    if (found == 0 ||
        (size_t)sqlite3_column_bytes(get, 0) != HISTORY_CHUNK * counted_bytes(subject))
        return room_fail(&ledger->room->room, "%s: history %lld: chunk %llu is missing or damaged",
                         ledger->room->path, (long long)ledger->id, (unsigned long long)number);
    counted_decode(subject, sqlite3_column_blob(get, 0), HISTORY_CHUNK, chunk_r);
    sqlite3_reset(get);
    return 1;
}

static int write_chunk(struct ledger *ledger, uint64_t number, const struct counted *chunk)
{
    enum subject subject = ledger->history.subject;
    uint8_t bytes[CHUNK_MAX_BYTES];
    counted_encode(subject, chunk, HISTORY_CHUNK, bytes);
    sqlite3_stmt *put = sqlite_take(ledger->room, SQL_CHUNK_PUT);
    sqlite3_bind_int64(put, 1, ledger->id);
    sqlite3_bind_int64(put, 2, (sqlite3_int64)number);
    sqlite3_bind_blob(put, 3, bytes, (int)(HISTORY_CHUNK * counted_bytes(subject)),
                      SQLITE_STATIC);
    return sqlite_do(ledger->room, put);
}

static int drop_chunks(struct sqlite_room *room, int64_t id, uint64_t from, uint64_t below)
{
    sqlite3_stmt *drop = sqlite_take(room, SQL_CHUNK_DROP);
    sqlite3_bind_int64(drop, 1, id);
    sqlite3_bind_int64(drop, 2, (sqlite3_int64)from);
    sqlite3_bind_int64(drop, 3, (sqlite3_int64)below);
    return sqlite_do(room, drop);
}

static int drop_history(struct sqlite_room *room, int64_t id)
{
    sqlite3_stmt *drop = sqlite_take(room, SQL_HISTORY_DROP);
    sqlite3_bind_int64(drop, 1, id);
    if (sqlite_do(room, drop) < 0)
        return -1;
    return drop_chunks(room, id, 0, INT64_MAX);
}

/* Loads row ledger->id: 1; 0 absent, or another key's; -1. */
static int ledger_read(struct ledger *ledger, enum subject subject)
{
    sqlite3_stmt *get = sqlite_take(ledger->room, SQL_HISTORY_GET);
    sqlite3_bind_int64(get, 1, ledger->id);
    int found = sqlite_row(ledger->room, get);
    if (found < 1)
        return found;
    ledger->exists = true;
    int good = packed_history_decode(&ledger->history, subject, sqlite3_column_blob(get, 1),
                                     (size_t)sqlite3_column_bytes(get, 1));
    bool ours = ledger->key == NULL ||
                strcmp((const char *)sqlite3_column_text(get, 0), ledger->key) == 0;
    sqlite3_reset(get);
    if (!good)
        return room_fail(&ledger->room->room, "%s: history %lld is damaged", ledger->room->path,
                         (long long)ledger->id);
    return ours;
}

/* The history of a mailbox or IP, empty when it has none. Its row is named by
 * the hash of its key, or by the next number when another key has that hash. */
static int ledger_load(struct sqlite_room *room, enum subject subject, const char *key,
                       struct ledger *ledger_r)
{
    uint64_t end;
    int found = 0;
    *ledger_r = (struct ledger){.room = room, .key = key};
    if (key != NULL)
        for (ledger_r->id = hash_of(room, key, strlen(key)) | 1;; ledger_r->id++) {
            ledger_r->exists = false;
            found = ledger_read(ledger_r, subject);
            if (found != 0 || !ledger_r->exists)
                break;
        }
    if (found < 1)
        packed_history_init(&ledger_r->history, subject);
    packed_history_chunks(&ledger_r->history, &ledger_r->dropped_below, &end);
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
    struct sqlite_room *room = ledger->room;
    uint8_t bytes[HEAD_MAX_BYTES];
    uint64_t from, to;
    packed_history_chunks(&ledger->history, &from, &to);
    if (from > ledger->dropped_below &&
        drop_chunks(room, ledger->id, ledger->dropped_below, from) < 0)
        return -1;
    ledger->dropped_below = from;
    size_t length = packed_history_encode(&ledger->history, bytes);
    sqlite3_stmt *put = sqlite_take(room, ledger->exists ? SQL_HISTORY_SET : SQL_HISTORY_PUT);
    sqlite3_bind_int64(put, 1, ledger->id);
    if (!ledger->exists)
        sqlite_bind_string(put, 2, ledger->key);
    sqlite3_bind_blob(put, ledger->exists ? 2 : 3, bytes, (int)length, SQLITE_STATIC);
    ledger->exists = true;
    return sqlite_do(room, put);
}

static int ledger_add(struct ledger *ledger, const struct counted *counted)
{
    if (packed_history_add(&ledger->history, counted)) {
        uint64_t number = ledger->history.tail_first / HISTORY_CHUNK;
        if (write_chunk(ledger, number, ledger->history.tail) < 0)
            return -1;
        packed_history_cut(&ledger->history);
    }
    return ledger_save(ledger);
}

int sqlite_drop_history(struct sqlite_room *room, const char *key)
{
    struct ledger ledger;
    if (ledger_load(room, SUBJECT_MAILBOX, key, &ledger) < 0)
        return -1;
    return ledger.exists ? drop_history(room, ledger.id) : 1;
}

/* All entries of the longest span, for forecasts. */
static int ledger_entries(struct ledger *ledger, struct arena *arena, int64_t at_ms,
                          struct history *history_r)
{
    const struct packed_history *packed = &ledger->history;
    struct counted chunk[HISTORY_CHUNK];
    uint64_t from, to;
    packed_history_chunks(packed, &from, &to);
    history_r->entries =
        arena_alloc(arena, ((size_t)(to - from) * HISTORY_CHUNK + packed->tail_count) *
                               sizeof history_r->entries[0]);
    history_r->count = 0;
    for (uint64_t number = from; number <= to; number++) {
        size_t count = number < to ? HISTORY_CHUNK : packed->tail_count;
        if (number < to && read_chunk(ledger, number, chunk) < 0)
            return -1;
        const struct counted *counted = number < to ? chunk : packed->tail;
        for (size_t i = 0; i < count; i++)
            if (counted[i].entry.off_domain != GIVEN_BACK &&
                window_holds(counted[i].entry.time_ms,
                             packed->spans[packed->span_count - 1].length_ms, at_ms))
                history_r->entries[history_r->count++] = counted[i].entry;
    }
    return 1;
}

/* Where a message stands in a mailbox's history. */
struct place {
    struct counted chunk[HISTORY_CHUNK]; /* a copy of its chunk; unused for the tail */
    uint64_t chunk_number;               /* UINT64_MAX: in the tail */
    size_t at;
};

static bool find_among(const struct counted *counted, size_t count, uint64_t id_hash,
                       size_t *at_r)
{
    for (size_t i = count; i-- > 0;)
        if (counted[i].id_hash == id_hash && counted[i].entry.off_domain != GIVEN_BACK) {
            *at_r = i;
            return true;
        }
    return false;
}

/* The newest message counted under that id, however long ago within a day.
 * 1, 0 there is none, -1. */
static int ledger_find(struct ledger *ledger, uint64_t id_hash, struct place *place_r)
{
    const struct packed_history *history = &ledger->history;
    uint64_t from, to;
    place_r->chunk_number = UINT64_MAX;
    if (find_among(history->tail, history->tail_count, id_hash, &place_r->at))
        return 1;
    packed_history_chunks(history, &from, &to);
    while (to-- > from) {
        if (read_chunk(ledger, to, place_r->chunk) < 0)
            return -1;
        place_r->chunk_number = to;
        if (find_among(place_r->chunk, HISTORY_CHUNK, id_hash, &place_r->at))
            return 1;
    }
    return 0;
}

static const struct counted *place_counted(const struct ledger *ledger, const struct place *place)
{
    return place->chunk_number == UINT64_MAX ? &ledger->history.tail[place->at]
                                             : &place->chunk[place->at];
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
    uint64_t id_hash;
    bool replaces; /* another message was counted under this id, at `place` */
    struct place place;
    struct ledger ledgers[SUBJECT_COUNT];
};

enum { NO_ID = 0 };

static uint64_t id_hash_of(const struct sqlite_room *room, const char *id)
{
    uint64_t hash = (uint64_t)hash_of(room, id, strlen(id)) & COUNTED_ID_MASK;
    return hash != NO_ID ? hash : 1;
}

/* Keyed by the database, so that nobody can look for recipients that meet. */
static uint32_t fingerprint_of(const struct sqlite_room *room, uint64_t fingerprint)
{
    return (uint32_t)hash_of(room, (const char *)&fingerprint, sizeof fingerprint) &
           COUNTED_FINGERPRINT_MASK;
}

/* 1 when this very submission was counted before, 0 when not, -1. */
static int counted_before(struct judging *judging)
{
    const struct store_message *message = judging->message;
    struct ledger *ledger = &judging->ledgers[SUBJECT_MAILBOX];
    judging->id_hash = id_hash_of(judging->room, message->id);
    int found = ledger_find(ledger, judging->id_hash, &judging->place);
    if (found < 1)
        return found;
    const struct counted *counted = place_counted(ledger, &judging->place);
    bool same = counted->fingerprint == fingerprint_of(judging->room, message->fingerprint) &&
                window_holds(counted->entry.time_ms, DAY_MS, message->at_ms);
    judging->replaces = !same;
    return same;
}

/* The older message stays counted, but has no id any longer. */
static int forget_id(struct judging *judging)
{
    struct ledger *ledger = &judging->ledgers[SUBJECT_MAILBOX];
    struct place *place = &judging->place;
    if (place->chunk_number == UINT64_MAX) {
        ledger->history.tail[place->at].id_hash = NO_ID;
        return 1;
    }
    place->chunk[place->at].id_hash = NO_ID;
    return write_chunk(ledger, place->chunk_number, place->chunk);
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
    struct ledger *mailbox = &judging->ledgers[SUBJECT_MAILBOX];
    struct ledger *ip = &judging->ledgers[SUBJECT_IP];
    struct counted counted = {.entry = {message->at_ms, message->off_domain}};
    if (judging->replaces && forget_id(judging) < 0)
        return -1;
    if (ip->key != NULL && ledger_add(ip, &counted) < 0)
        return -1;
    counted.id_hash = judging->id_hash;
    counted.fingerprint = fingerprint_of(judging->room, message->fingerprint);
    counted.ip = ip->key != NULL ? ip->id : 0;
    return ledger_add(mailbox, &counted);
}

static int keep_record(struct judging *judging)
{
    struct store_message *message = judging->message;
    struct sqlite_room *room = judging->room;
    bool admitted =
        message->outcome == OUTCOME_ADMITTED || message->outcome == OUTCOME_REPEATED;
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

/* Who is refused or only asks wants a forecast. */
static int tell_histories(struct judging *judging)
{
    struct store_message *message = judging->message;
    bool admitted =
        message->outcome == OUTCOME_ADMITTED || message->outcome == OUTCOME_REPEATED;
    for (int subject = 0; subject < SUBJECT_COUNT; subject++) {
        message->histories[subject] = (struct history){0};
        if ((message->dry_run || !admitted) && judging->ledgers[subject].key != NULL &&
            ledger_entries(&judging->ledgers[subject], message->arena, message->at_ms,
                           &message->histories[subject]) < 0)
            return -1;
    }
    return 1;
}

static int judge_one(struct sqlite_room *room, struct store_message *message)
{
    struct judging judging = {.room = room, .message = message};
    if (look(&judging) < 0 ||
        sqlite_suspension(room, message->mailbox, message->now_ms, &message->suspension) < 0)
        return -1;
    int repeated = counted_before(&judging);
    if (repeated < 0)
        return -1;
    message->brought = false;
    message->outcome = repeated ? OUTCOME_REPEATED : decide(message);
    if (tell_histories(&judging) < 0)
        return -1;
    return take_effect(&judging);
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

/* Take one message of that time and weight out of an IP's history; that it is
 * past its hour is no error. */
static int uncount_ip(struct sqlite_room *room, int64_t id, const struct entry *entry)
{
    struct ledger ledger = {.room = room, .id = id};
    struct counted chunk[HISTORY_CHUNK];
    uint64_t from, to;
    int found = ledger_read(&ledger, SUBJECT_IP);
    if (found < 1)
        return found < 0 ? -1 : 1;
    struct packed_history *history = &ledger.history;
    packed_history_chunks(history, &from, &to);
    ledger.dropped_below = from;
    for (uint64_t number = to + 1; number-- > from;) {
        struct counted *counted = number == to ? history->tail : chunk;
        size_t count = number == to ? history->tail_count : HISTORY_CHUNK;
        if (number < to && read_chunk(&ledger, number, chunk) < 0)
            return -1;
        for (size_t at = 0; at < count; at++) {
            if (counted[at].entry.time_ms != entry->time_ms ||
                counted[at].entry.off_domain != entry->off_domain)
                continue;
            packed_history_give_back(history, counted, at, number * HISTORY_CHUNK);
            if (number < to && write_chunk(&ledger, number, chunk) < 0)
                return -1;
            return ledger_save(&ledger);
        }
    }
    return 1;
}

static int give_back(struct sqlite_room *room, const char *mailbox, const char *id,
                     int64_t now_ms)
{
    struct ledger ledger;
    struct place place;
    if (ledger_load(room, SUBJECT_MAILBOX, mailbox, &ledger) < 0)
        return -1;
    int found = ledger_find(&ledger, id_hash_of(room, id), &place);
    if (found < 1)
        return found;
    struct counted counted = *place_counted(&ledger, &place);
    if (!window_holds(counted.entry.time_ms, DAY_MS, now_ms))
        return 0;
    bool in_tail = place.chunk_number == UINT64_MAX;
    packed_history_give_back(&ledger.history, in_tail ? ledger.history.tail : place.chunk,
                             place.at,
                             in_tail ? ledger.history.tail_first
                                     : place.chunk_number * HISTORY_CHUNK);
    if (!in_tail && write_chunk(&ledger, place.chunk_number, place.chunk) < 0)
        return -1;
    if (ledger_save(&ledger) < 0 ||
        (counted.ip != 0 && uncount_ip(room, counted.ip, &counted.entry) < 0))
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

static bool history_is_past(sqlite3_stmt *row, int64_t now_ms)
{
    const char *key = (const char *)sqlite3_column_text(row, 1);
    enum subject subject = strchr(key, '@') != NULL ? SUBJECT_MAILBOX : SUBJECT_IP;
    struct packed_history history;
    if (packed_history_decode(&history, subject, sqlite3_column_blob(row, 2),
                              (size_t)sqlite3_column_bytes(row, 2)) < 1)
        return false;
    return !window_holds(history.newest_ms, history.spans[history.span_count - 1].length_ms,
                         now_ms);
}

/* The hand points at the row after which the next sweep goes on. */
static int get_hand(struct sqlite_room *room, int64_t *position_r)
{
    sqlite3_stmt *get = sqlite_take(room, SQL_HAND_GET);
    int found = sqlite_row(room, get);
    *position_r = -1;
    if (found > 0) {
        *position_r = sqlite3_column_int64(get, 0);
        sqlite3_reset(get);
    }
    return found < 0 ? -1 : 1;
}

static int put_hand(struct sqlite_room *room, int64_t position)
{
    sqlite3_stmt *put = sqlite_take(room, SQL_HAND_PUT);
    sqlite3_bind_int64(put, 1, position);
    return sqlite_do(room, put);
}

enum { SWEEP_MAX_ROWS = 1024 };

/* Looks at the next `rows` histories, round and round the table, and parts with
 * those that have left every window. 1, 0 at the table's end, -1. */
static int sweep_histories(struct sqlite_room *room, int64_t now_ms, size_t rows)
{
    int64_t past[SWEEP_MAX_ROWS], position;
    size_t seen = 0, past_count = 0;
    int more = get_hand(room, &position);
    if (more < 0)
        return -1;
    sqlite3_stmt *next = sqlite_take(room, SQL_HISTORY_NEXT);
    sqlite3_bind_int64(next, 1, position);
    sqlite3_bind_int64(next, 2, (sqlite3_int64)rows);
    while ((more = sqlite_row(room, next)) > 0) {
        position = sqlite3_column_int64(next, 0);
        seen++;
        if (history_is_past(next, now_ms))
            past[past_count++] = position;
    }
    for (size_t i = 0; i < past_count && more >= 0; i++)
        more = drop_history(room, past[i]) < 0 ? -1 : 0;
    if (more < 0 || put_hand(room, seen == rows ? position : -1) < 0)
        return -1;
    return seen == rows;
}

static int sweep_records(struct sqlite_room *room, enum sqlite_statement sweep, int64_t now_ms,
                         int64_t rows, int64_t keep_ms)
{
    sqlite3_stmt *statement = sqlite_take(room, sweep);
    sqlite3_bind_int64(statement, 1, now_ms);
    sqlite3_bind_int64(statement, 2, rows);
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
    if (sweep_histories(room, now_ms, rows) < 0 ||
        sweep_records(room, SQL_ADMITTED_SWEEP, now_ms, (int64_t)rows, room->keep_admitted_ms) <
            0 ||
        sweep_records(room, SQL_REFUSED_SWEEP, now_ms, (int64_t)rows, room->keep_refused_ms) < 0)
        return -1;
    return 1;
}

static int sweep_all(struct sqlite_room *room, int64_t now_ms)
{
    /* to the end from where the hand is, then once round */
    for (int ends = 0, more; ends < 2; ends += more == 0)
        if ((more = sweep_histories(room, now_ms, SWEEP_MAX_ROWS)) < 0)
            return -1;
    if (sweep_records(room, SQL_ADMITTED_SWEEP, now_ms, INT64_MAX, room->keep_admitted_ms) < 0 ||
        sweep_records(room, SQL_REFUSED_SWEEP, now_ms, INT64_MAX, room->keep_refused_ms) < 0 ||
        sweep_small(room, SQL_SUSPENSION_SWEEP, now_ms, OFFENCES_REMEMBERED_MS) < 0 ||
        sweep_small(room, SQL_ADJUSTMENT_SWEEP, now_ms, DAY_MS) < 0)
        return -1;
    return 1;
}

int sqlite_sweep_all(struct room *room, int64_t now_ms)
{
    struct sqlite_room *self = sqlite_room(room);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, sweep_all(self, now_ms));
}
