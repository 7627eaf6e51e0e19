/* Versioned values in SQLite: a step is one transaction, which is undone where a version
 * is another one. A value past its end counts as absent; each step looks at some rows behind those that the
 * last one looked at, and removes those that are past. */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/sqlite/sqlite.h"

enum { OWNER_BITS = 20, KEY_BITS = 63 - OWNER_BITS }; /* of a row's number */

/* The part of a key that names a mailbox; of the kinds whose keys name none, all of it. */
static const char *owner_of(const struct value *value, size_t *length_r)
{
    const char *slash = value->kind == VALUE_TRACE ? strchr(value->key, '/') : NULL;
    const char *owner = slash != NULL ? slash + 1 : value->key;
    *length_r = slash != NULL ? strcspn(owner, "/") : strlen(owner);
    return owner;
}

/* The row of a value: a hash of the owner, so that what a mailbox has is on one page, and behind it
 * a hash of kind and key. Two values of an owner may have the same: the second one cannot be put
 * then. With a million mailboxes of 20 values each, that happens in one of 40,000 databases. */
static int64_t row_of(const struct sqlite_backend *backend, const struct value *value)
{
    char name[1 + VALUE_KEY_MAX];
    size_t length = strlen(value->key), owner_length;
    const char *owner = owner_of(value, &owner_length);
    name[0] = (char)('0' + (int)value->kind);
    memcpy(name + 1, value->key, length);
    return identity_hash(backend->hash_key, owner, owner_length) >> KEY_BITS << KEY_BITS |
           identity_hash(backend->hash_key, name, 1 + length) >> OWNER_BITS;
}

/* A statement about a value: its row is ?1, its kind ?2, its key ?3. */
static sqlite3_stmt *take_about(struct sqlite_backend *backend, enum sqlite_statement which,
                                const struct value *value)
{
    sqlite3_stmt *statement = sqlite_take(backend, which);
    sqlite3_bind_int64(statement, 1, row_of(backend, value));
    sqlite3_bind_int(statement, 2, (int)value->kind);
    sqlite_bind_string(statement, 3, value->key);
    return statement;
}

/* The row, to be reset after reading: 1, 0 there is none, -1. */
static int get_row(struct sqlite_backend *backend, const struct value *value, int64_t now_ms,
                   sqlite3_stmt **row_r)
{
    *row_r = take_about(backend, SQL_VALUE_GET, value);
    sqlite3_bind_int64(*row_r, 4, now_ms);
    return sqlite_row(backend, *row_r);
}

/* All but kind and key. */
static void read_row(sqlite3_stmt *row, struct arena *arena, struct value *value_r)
{
    value_r->version = (uint32_t)sqlite3_column_int64(row, 1);
    value_r->until_ms = sqlite3_column_int64(row, 2);
    const char *bytes = sqlite3_column_blob(row, 3);
    value_r->length = (size_t)sqlite3_column_bytes(row, 3);
    value_r->bytes = arena_strndup(arena, bytes, value_r->length);
}

int sqlite_values_block(struct sqlite_backend *backend, const char *key, int64_t now_ms,
                        struct failure_in_force *block_r, bool *damaged_r)
{
    const struct value value = {.kind = VALUE_BLOCK, .key = key};
    sqlite3_stmt *row;
    int found = get_row(backend, &value, now_ms, &row);
    if (found < 1)
        return found;
    struct failure_in_force block;
    bool whole = failure_in_force_read(sqlite3_column_blob(row, 3),
                                       (size_t)sqlite3_column_bytes(row, 3), &block);
    sqlite3_reset(row);
    *damaged_r = *damaged_r || !whole;
    if (!whole || !failure_in_force_holds(&block, now_ms))
        return 0;
    *block_r = block;
    return 1;
}

/* ---- changing ------------------------------------------------------------------------ */

/* The version that is there; 0: none is. 1 or -1. */
static int find_version(struct sqlite_backend *backend, const struct value *value, int64_t now_ms,
                        uint32_t *version_r)
{
    sqlite3_stmt *row;
    int found = get_row(backend, value, now_ms, &row);
    *version_r = found > 0 ? (uint32_t)sqlite3_column_int64(row, 1) : 0;
    sqlite3_reset(row);
    return found < 0 ? -1 : 1;
}

/* 1; 0 no row has changed; -1. */
static int do_to_one(struct sqlite_backend *backend, sqlite3_stmt *statement)
{
    return sqlite_do(backend, statement) < 0 ? -1 : sqlite3_changes(backend->db) == 1;
}

static int drop_value(struct sqlite_backend *backend, const struct value *value, uint32_t replaces,
                      int64_t now_ms)
{
    sqlite3_stmt *drop = take_about(backend, SQL_VALUE_DROP, value);
    sqlite3_bind_int64(drop, 4, replaces);
    sqlite3_bind_int64(drop, 5, now_ms);
    return do_to_one(backend, drop);
}

static sqlite3_stmt *take_to_write(struct sqlite_backend *backend, enum sqlite_statement which,
                                   const struct value *value)
{
    sqlite3_stmt *statement = take_about(backend, which, value);
    sqlite3_bind_int64(statement, 4, value->version);
    sqlite3_bind_int64(statement, 5, value->until_ms);
    sqlite3_bind_blob(statement, 6, value->bytes, (int)value->length, SQLITE_STATIC);
    return statement;
}

static int replace_value(struct sqlite_backend *backend, const struct value *value,
                         uint32_t replaces, int64_t now_ms)
{
    sqlite3_stmt *replace = take_to_write(backend, SQL_VALUE_REPLACE, value);
    sqlite3_bind_int64(replace, 7, replaces);
    sqlite3_bind_int64(replace, 8, now_ms);
    return do_to_one(backend, replace);
}

int sqlite_values_put(struct sqlite_backend *backend, const struct value *value, int64_t past_ms)
{
    uint32_t there;
    sqlite3_stmt *put = take_to_write(backend, SQL_VALUE_PUT, value);
    sqlite3_bind_int64(put, 7, past_ms);
    int done = do_to_one(backend, put);
    if (done != 0)
        return done;
    if (find_version(backend, value, past_ms, &there) < 0)
        return -1;
    return there != 0 ? 0
                      : backend_fail(&backend->base, "%s: another value has the hash of %s %.150s",
                                     backend->path, value_kind_names[value->kind], value->key);
}

/* One statement looks at the version and writes, but where the version cannot be a condition of it.
 * One that is past counts as absent, and stays for the sweep. 1 with the new version; 0 another one
 * is there; -1. */
static int change_value(struct sqlite_backend *backend, const struct value_change *change,
                        int64_t now_ms, uint32_t first, uint32_t *version_r)
{
    struct value value = change->value;
    uint32_t before = change->replaces;
    bool removed = value.length == 0 || value.until_ms <= now_ms;
    if (before == VALUE_ANY || (removed && before == 0)) {
        uint32_t there;
        if (find_version(backend, &value, now_ms, &there) < 0)
            return -1;
        if (before == 0 && there != 0)
            return 0;
        before = there;
    }
    value.version = *version_r = removed ? 0 : backend_next_version(before, first);
    if (removed)
        return before == 0 ? 1 : drop_value(backend, &value, before, now_ms);
    return before == 0 ? sqlite_values_put(backend, &value, now_ms)
                       : replace_value(backend, &value, before, now_ms);
}

/* ---- profiles -------------------------------------------------------------------------- */

/* The bytes of a value that judging changes, none where there is none, and its version and end. 1 or
 * -1. */
static int read_judged(struct sqlite_backend *backend, const struct judge_request *request,
                       struct value *value, struct text *bytes_r)
{
    sqlite3_stmt *row;
    int found = get_row(backend, value, request->now_ms, &row);
    text_clear(bytes_r);
    if (found < 1)
        return found < 0 ? -1 : 1;
    value->version = (uint32_t)sqlite3_column_int64(row, 1);
    value->until_ms = sqlite3_column_int64(row, 2);
    text_add_bytes(bytes_r, sqlite3_column_blob(row, 3), (size_t)sqlite3_column_bytes(row, 3));
    sqlite3_reset(row);
    return 1;
}

/* Where another value has the hash of this one there is none. */
static int put_judged(struct sqlite_backend *backend, const struct judge_request *request,
                      struct value *value, const struct text *bytes)
{
    value->bytes = bytes->data;
    value->length = bytes->length;
    value->version = backend_next_version(value->version,
                                          (uint32_t)(request->decision % (VALUE_ANY - 1)) + 1);
    sqlite3_stmt *put = take_to_write(backend, SQL_VALUE_PUT, value);
    sqlite3_bind_int64(put, 7, UNTIL_LIFTED);
    return sqlite_do(backend, put);
}

static struct profile_message profile_message_of(const struct judge_request *request, int64_t at_ms)
{
    const struct judge_profile *profile = request->profile;
    return (struct profile_message){at_ms, profile->recipients, profile->recipient_count,
                                    profile->network, profile->action};
}

/* Whether the profile is in the state in which the message changes nothing of it: 1, 0, -1. */
static int is_usual(struct sqlite_backend *backend, const struct judge_request *request,
                    const struct judge_result *result)
{
    const struct value value = {.kind = VALUE_PROFILE, .key = request->mailbox};
    if (result->usual_in.version == 0 || result->at_ms != request->now_ms)
        return 0;
    sqlite3_stmt *state = take_about(backend, SQL_VALUE_STATE, &value);
    int found = sqlite_row(backend, state);
    if (found < 1)
        return found;
    bool same = sqlite3_column_int64(state, 0) == result->usual_in.version &&
                sqlite3_column_int64(state, 1) == result->usual_in.until_ms;
    sqlite3_reset(state);
    return same;
}

int sqlite_values_profile(struct sqlite_backend *backend, const struct judge_request *request,
                          struct judge_result *result)
{
    const struct profile_message message = profile_message_of(request, result->at_ms);
    struct profile_told *told = &result->profile;
    struct value value = {.kind = VALUE_PROFILE, .key = request->mailbox};
    int usual = is_usual(backend, request, result);
    if (usual != 0)
        return usual;
    if (read_judged(backend, request, &value, &backend->profile) < 0)
        return -1;
    told->before = (struct profile_state){value.version, value.until_ms};
    const struct profile_change change =
        profile_add(&backend->profile, &message, &request->profile->limits, &result->unusual);
    if (change.changed && !request->dry_run) {
        value.until_ms = result->at_ms + PROFILE_KEPT_MS;
        if (put_judged(backend, request, &value, &backend->profile) < 0)
            return -1;
    }
    told->now = (struct profile_state){value.version, value.until_ms};
    told->same_until = result->at_ms == request->now_ms ? change.same_until : 0;
    return 1;
}

int sqlite_values_holds(struct sqlite_backend *backend, const struct judge_request *request, bool waited)
{
    const struct profile_message message = profile_message_of(request, request->now_ms);
    struct value value = {.kind = VALUE_PROFILE, .key = request->mailbox};
    if (read_judged(backend, request, &value, &backend->profile) < 0)
        return -1;
    return profile_holds(&backend->profile, &message, waited);
}

int sqlite_values_list_unusual(struct sqlite_backend *backend, const struct judge_request *request,
                               const struct unusual *unusual, int64_t at_ms)
{
    const struct held_message message = {request->decision, request->recipients_in_all,
                                         request->queue_id};
    struct value value = {.kind = VALUE_HELD, .key = request->mailbox};
    if (read_judged(backend, request, &value, &backend->profile) < 0)
        return -1;
    if (!held_add(&backend->profile, unusual, at_ms, request->queue_id != NULL ? &message : NULL,
                  request->profile != NULL ? request->profile->tried : 0))
        return 1;
    value.until_ms = held_until(unusual->action, at_ms);
    return put_judged(backend, request, &value, &backend->profile);
}

/* ---- removing what is past ------------------------------------------------------------ */

int sqlite_values_sweep(struct sqlite_backend *backend, int64_t after, int64_t last,
                        int64_t past_ms)
{
    sqlite3_stmt *sweep = sqlite_take(backend, SQL_VALUE_SWEEP);
    sqlite3_bind_int64(sweep, 1, after);
    sqlite3_bind_int64(sweep, 2, last);
    sqlite3_bind_int64(sweep, 3, past_ms);
    return sqlite_do(backend, sweep);
}

/* Looks at the next `rows` values, round and round the table, and removes those that are past. */
static int sweep_some(struct sqlite_backend *backend, int64_t now_ms, size_t rows)
{
    int64_t position;
    if (sqlite_get_hand(backend, HAND_VALUES, &position) < 0)
        return -1;
    sqlite3_stmt *next = sqlite_take(backend, SQL_VALUE_NEXT);
    sqlite3_bind_int64(next, 1, position);
    sqlite3_bind_int64(next, 2, (sqlite3_int64)rows);
    if (sqlite_row(backend, next) < 1)
        return -1;
    bool at_end = (size_t)sqlite3_column_int64(next, 0) < rows;
    int64_t last = at_end ? INT64_MAX : sqlite3_column_int64(next, 1);
    sqlite3_reset(next);
    /* a minute of grace: the clock of the next caller may be a little behind */
    if (sqlite_values_sweep(backend, position, last, now_ms - MINUTE_MS) < 0)
        return -1;
    return sqlite_put_hand(backend, HAND_VALUES, at_end ? -1 : last);
}

/* ---- the operations -------------------------------------------------------------------- */

/* More than the step adds, so that what is past stays a part of the table, and some anyway. */
enum { SWEPT_ANYWAY = 16 };

struct value_place {
    int64_t row;
    size_t change;
};

static int by_row(const void *left, const void *right)
{
    const struct value_place *a = left, *b = right;
    return (a->row > b->row) - (a->row < b->row);
}

/* The change at the first of the places found another version. An earlier one, which was not tried,
 * may do the same: *refused_r becomes the earliest. 0 or -1. */
static int find_refused(struct sqlite_backend *backend, const struct values_step *step,
                        const struct value_place *places, size_t count, size_t *refused_r)
{
    *refused_r = places[0].change;
    for (size_t i = 1; i < count; i++) {
        const struct value_change *change = &step->changes[places[i].change];
        uint32_t there;
        if (places[i].change > *refused_r || change->replaces == VALUE_ANY)
            continue;
        if (find_version(backend, &change->value, step->now_ms, &there) < 0)
            return -1;
        if (there != change->replaces)
            *refused_r = places[i].change;
    }
    return 0;
}

/* In the order of their rows: each page is looked for and changed once. */
static int make_changes(struct sqlite_backend *backend, const struct values_step *step,
                        uint32_t first, struct values_done *done_r)
{
    struct value_place places[VALUES_AT_ONCE];
    int result = 1;
    for (size_t i = 0; i < step->count; i++)
        places[i] = (struct value_place){row_of(backend, &step->changes[i].value), i};
    if (step->count > 0)
        qsort(places, step->count, sizeof places[0], by_row);
    for (size_t i = 0; i < step->count && result > 0; i++) {
        size_t number = places[i].change;
        result = change_value(backend, &step->changes[number], step->now_ms, first,
                              &done_r->versions[number]);
        if (result == 0)
            result = find_refused(backend, step, places + i, step->count - i, &done_r->refused);
    }
    return result;
}

/* What comes with the changes. 1 or -1. */
static int make_effects(struct sqlite_backend *backend, const struct values_step *step,
                        struct values_done *done_r)
{
    int result = 1;
    for (size_t i = 0; i < step->refund_count && result > 0; i++) {
        bool damaged;
        int refunded = sqlite_refund(backend, &step->refunds[i], step->now_ms, &damaged);
        done_r->refunded[i] = (int8_t)refunded;
        result = refunded < 0 && !damaged ? -1 : 1;
    }
    for (size_t i = 0; i < step->suspension_count && result > 0; i++) {
        const struct value_suspension *suspension = &step->suspensions[i];
        struct suspension made;
        result = sqlite_suspend(backend, suspension->mailbox, suspension->cause,
                                suspension->durations, suspension->action, &made);
    }
    for (size_t i = 0; i < step->audited_count && result > 0; i++)
        result = sqlite_put_audit(backend, &step->audited[i]);
    return result;
}

static int take_step(struct sqlite_backend *backend, const struct values_step *step,
                     uint32_t first, struct values_done *done_r)
{
    size_t added = 0;
    int result = make_changes(backend, step, first, done_r);
    for (size_t i = 0; i < step->count && result > 0; i++)
        added += done_r->versions[i] == first;
    if (result > 0)
        result = make_effects(backend, step, done_r);
    return result > 0 ? sweep_some(backend, step->now_ms, 2 * added + SWEPT_ANYWAY) : result;
}

/* Who waits for the lock looks every half millisecond. Steps one after the other would leave it free
 * for a tenth of that, and a message would wait for many of them. So the next one begins as much
 * later as the last one took: messages have half of the time, and wait for one step. */
enum { STEPS_APART_LEAST_US = 2000, STEPS_APART_MOST_US = 20000 };

static void let_others_begin(const struct sqlite_backend *backend)
{
    int64_t left_us = backend->next_step_us - clock_monotonic_us();
    if (left_us > 0)
        nanosleep(&(struct timespec){.tv_nsec = left_us * 1000}, NULL);
}

static void end_step(struct sqlite_backend *backend, int64_t held_us)
{
    int64_t apart_us = held_us;
    if (apart_us < STEPS_APART_LEAST_US)
        apart_us = STEPS_APART_LEAST_US;
    if (apart_us > STEPS_APART_MOST_US)
        apart_us = STEPS_APART_MOST_US;
    backend->next_step_us = clock_monotonic_us() + apart_us;
}

static int change(struct backend *backend, const struct values_step *step, uint32_t first,
                  struct values_done *done_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    for (size_t i = 0; i < step->audited_count; i++)
        if (sqlite_check_audited(self, &step->audited[i]) < 0)
            return -1;
    let_others_begin(self);
    if (sqlite_begin(self, true) < 0)
        return -1;
    int64_t began_us = clock_monotonic_us();
    int result = take_step(self, step, first, done_r);
    result = result == 0 ? sqlite_undo(self) : sqlite_end(self, result);
    done_r->held_us = clock_monotonic_us() - began_us;
    end_step(self, done_r->held_us);
    return result;
}

static int read_value(struct sqlite_backend *backend, struct arena *arena, int64_t now_ms,
                      struct value *value)
{
    sqlite3_stmt *row;
    int found = get_row(backend, value, now_ms, &row);
    *value = (struct value){.kind = value->kind, .key = value->key};
    if (found > 0) {
        read_row(row, arena, value);
        sqlite3_reset(row);
    }
    return found < 0 ? -1 : 1;
}

static int get(struct backend *backend, struct arena *arena, struct value *values, size_t count,
               int64_t now_ms)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, false) < 0)
        return -1;
    int result = 1;
    for (size_t i = 0; i < count && result > 0; i++)
        result = read_value(self, arena, now_ms, &values[i]);
    return sqlite_end(self, result);
}

static int list(struct backend *backend, struct arena *arena, enum value_kind kind,
                const char *after, int64_t now_ms, struct value *values_r,
                struct store_page *page)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, false) < 0)
        return -1;
    sqlite3_stmt *rows = sqlite_take(self, SQL_VALUE_LIST);
    sqlite3_bind_int(rows, 1, (int)kind);
    sqlite_bind_string(rows, 2, after);
    sqlite3_bind_int64(rows, 3, now_ms);
    sqlite3_bind_int64(rows, 4, (sqlite3_int64)page->max + 1);
    page->count = 0;
    int row;
    while ((row = sqlite_page_row(self, rows, page)) > 0) {
        struct value *value = &values_r[page->count++];
        value->kind = kind;
        value->key = arena_strdup(arena, (const char *)sqlite3_column_text(rows, 0));
        read_row(rows, arena, value);
    }
    return sqlite_end(self, row < 0 ? -1 : 1);
}

const struct value_operations sqlite_values = {
    .change = change,
    .get = get,
    .list = list,
};
