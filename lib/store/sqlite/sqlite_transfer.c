/* Moving a store from SQLite and to it (store/transfer.h). Each page is one transaction; its
 * statements are prepared for it, since no program needs them but once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/lifetimes.h"
#include "store/sqlite/sqlite_pair.h"
#include "store/transfer_items.h"

static int fail(struct sqlite_backend *backend)
{
    return backend_fail(&backend->base, "%s: %s", backend->path, sqlite3_errmsg(backend->db));
}

/* NULL with backend->error. */
static sqlite3_stmt *prepare(struct sqlite_backend *backend, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(backend->db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail(backend);
    return statement;
}

/* For freed_by. */
static void finalize(sqlite3_stmt **statement) { sqlite3_finalize(*statement); }

/* ---- alone -------------------------------------------------------------------------------- */

/* The program's name, "" where it cannot be read. */
static void read_name(pid_t process, char name_r[32])
{
    char path[40];
    snprintf(path, sizeof path, "/proc/%ld/comm", (long)process);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(name_r, 32, file) == NULL)
        name_r[0] = '\0';
    name_r[strcspn(name_r, "\n")] = '\0';
    if (file != NULL)
        fclose(file);
}

/* Each connection has a shared lock on one byte of the index of the write-ahead log, for as long
 * as it is there. Source: SQLite's os_unix.c, UNIX_SHM_DMS. */
int sqlite_backend_alone(const char *path, char error_r[BACKEND_ERROR_SIZE])
{
    enum { UNIX_SHM_DMS = 128 };
    freed_by(free_string) char *log_index = xasprintf("%s-shm", path);
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = UNIX_SHM_DMS, .l_len = 1};
    int fd = open(log_index, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 1;
    int asked = fd < 0 ? -1 : fcntl(fd, F_GETLK, &lock);
    if (asked < 0)
        snprintf(error_r, BACKEND_ERROR_SIZE, "%s: %s", log_index, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (asked < 0 || lock.l_type == F_UNLCK)
        return asked < 0 ? -1 : 1;
    char name[32];
    read_name(lock.l_pid, name);
    snprintf(error_r, BACKEND_ERROR_SIZE,
             "stop the services first: %s is in use by process %ld%s%s", path, (long)lock.l_pid,
             *name != '\0' ? ", " : "", name);
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

struct sqlite_reading {
    struct sqlite_backend *backend;
    struct arena *arena;
    int64_t now_ms;
    struct transfer_cursor *cursor;
    struct transfer_item *items;
    size_t *count;
};

/* Behind which row a list goes on. */
struct row_place {
    int64_t id, ticket, until_ms;
    int part; /* of the tables or indexes that are read one after the other */
    char key[HISTORY_NAME_SIZE], mailbox[ADDRESS_MAX_BYTES + 1];
};

static struct row_place *place_of(const struct sqlite_reading *reading)
{
    if (reading->cursor->state == NULL)
        reading->cursor->state = arena_alloc(reading->cursor->arena, sizeof(struct row_place));
    return reading->cursor->state;
}

static const char *copy(const struct sqlite_reading *reading, sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return arena_strdup(reading->arena, text != NULL ? text : "");
}

static struct transfer_item *add_item(const struct sqlite_reading *reading)
{
    return &reading->items[(*reading->count)++];
}

/* The next row of a page: 1; 0 with the cursor's end, where there is none; -1. */
static int next_row(const struct sqlite_reading *reading, sqlite3_stmt *list)
{
    if (*reading->count == TRANSFER_PAGE)
        return 0;
    int row = sqlite_row(reading->backend, list);
    reading->cursor->end = row == 0;
    return row;
}

static int read_numbers(const struct sqlite_reading *reading)
{
    freed_by(finalize) sqlite3_stmt *get = prepare(
        reading->backend,
        "SELECT coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'suspension'), 0),"
        " coalesce((SELECT max(change) FROM adjustment), 0),"
        " coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'audit'), 0)");
    static const enum transfer_number of[] = {TRANSFER_SUSPENSIONS, TRANSFER_CHANGES,
                                              TRANSFER_AUDITS};
    if (get == NULL || sqlite_row(reading->backend, get) < 1)
        return -1;
    for (int i = 0; i < (int)countof(of); i++) {
        int64_t last = sqlite3_column_int64(get, i);
        if (last <= 0)
            continue;
        struct transfer_item *item = add_item(reading);
        item->of.number.of = of[i];
        item->of.number.last = last;
    }
    reading->cursor->end = true;
    return 1;
}

static int read_history(const struct sqlite_reading *reading, int64_t id, const char *name)
{
    struct sqlite_history stored;
    enum subject subject = history_subject(name, strlen(name));
    struct transfer_item *item = add_item(reading);
    item->of.history.subject = subject;
    item->of.history.name = name;
    if (sqlite_history_load_row(reading->backend, subject, id, &stored) < 1 ||
        sqlite_history_counted(&stored, reading->arena, 0, &item->of.history.counted,
                               &item->of.history.count) < 0)
        return -1;
    item->of.history.newest_ms = stored.history.newest_ms;
    for (size_t i = 0; i < item->of.history.count; i++) /* the decision is not known */
        if ((item->of.history.counted[i].decision & COUNTED_HAS_IP_ROW) != 0)
            item->of.history.counted[i].decision = 0;
    return 1;
}

static int read_histories(const struct sqlite_reading *reading)
{
    struct row_place *place = place_of(reading);
    freed_by(finalize) sqlite3_stmt *list =
        prepare(reading->backend, "SELECT id, key FROM history_head WHERE id > ?1 ORDER BY id");
    if (list == NULL)
        return -1;
    sqlite3_bind_int64(list, 1, place->id);
    int row;
    while ((row = next_row(reading, list)) > 0) {
        place->id = sqlite3_column_int64(list, 0);
        if (read_history(reading, place->id, copy(reading, list, 1)) < 0)
            return -1;
    }
    return row;
}

/* A row of this form, or of the one until version 5 of the schema, of which it has at_ms. */
static void read_record(const struct sqlite_reading *reading, sqlite3_stmt *row, bool passes)
{
    struct transfer_item *item = add_item(reading);
    if (sqlite3_column_type(row, 2) != SQLITE_NULL) {
        struct record older;
        sqlite_read_older(row, reading->arena, &older);
        older.decision = (uint64_t)sqlite3_column_int64(row, 0);
        transfer_items_pack(reading->arena, &older, sqlite3_column_int64(row, 5), item);
    } else {
        const char *bytes = sqlite3_column_blob(row, 1);
        item->of.record.length = (size_t)sqlite3_column_bytes(row, 1);
        item->of.record.decision = (uint64_t)sqlite3_column_int64(row, 0);
        item->of.record.bytes = (const uint8_t *)arena_strndup(
            reading->arena, bytes != NULL ? bytes : "", item->of.record.length);
    }
    item->of.record.mailbox = passes ? NULL : copy(reading, row, 6);
}

/* Those that passed, then those that were refused. */
static int read_records(const struct sqlite_reading *reading)
{
#define RECORDS(table, mailbox)                                                                   \
    "SELECT id, data, NULL, NULL, NULL, NULL, " mailbox " FROM " table " WHERE id > ?1 UNION ALL" \
    " SELECT id, facts, at_ms, outcome, used, keep_ms, " mailbox " FROM older_" table             \
    " WHERE id > ?1 ORDER BY 1"
    static const char *const parts[] = {RECORDS("admitted", "NULL"),
                                        RECORDS("refused", "mailbox")};
    struct row_place *place = place_of(reading);
    bool passes = place->part == 0;
    freed_by(finalize) sqlite3_stmt *list = prepare(reading->backend, parts[place->part]);
    if (list == NULL)
        return -1;
    sqlite3_bind_int64(list, 1, place->id);
    int row;
    while ((row = next_row(reading, list)) > 0) {
        place->id = sqlite3_column_int64(list, 0);
        read_record(reading, list, passes);
    }
    if (row == 0 && reading->cursor->end && passes) {
        *place = (struct row_place){.part = 1};
        reading->cursor->end = false;
    }
    return row;
}

static int read_tickets(const struct sqlite_reading *reading)
{
    struct row_place *place = place_of(reading);
    freed_by(finalize) sqlite3_stmt *list =
        prepare(reading->backend,
                "SELECT ticket.history, ticket.id, recipients, until_ms, key FROM ticket"
                " JOIN history_head ON history_head.id = ticket.history"
                " WHERE (ticket.history, ticket.id) > (?1, ?2) AND until_ms > ?3 ORDER BY 1, 2");
    if (list == NULL)
        return -1;
    sqlite3_bind_int64(list, 1, place->id);
    sqlite3_bind_int64(list, 2, place->ticket);
    sqlite3_bind_int64(list, 3, reading->now_ms);
    int row;
    while ((row = next_row(reading, list)) > 0) {
        struct transfer_item *item = add_item(reading);
        place->id = sqlite3_column_int64(list, 0);
        place->ticket = sqlite3_column_int64(list, 1);
        item->of.ticket.mailbox = copy(reading, list, 4);
        item->of.ticket.id_hash = (uint32_t)place->ticket;
        item->of.ticket.recipients = (uint32_t)sqlite3_column_int64(list, 2);
        item->of.ticket.until_ms = sqlite3_column_int64(list, 3);
    }
    return row;
}

static int read_pairs(const struct sqlite_reading *reading)
{
    struct row_place *place = place_of(reading);
    freed_by(finalize) sqlite3_stmt *list =
        prepare(reading->backend,
                "SELECT pair.history, recipient, pair.data, key FROM pair"
                " JOIN history_head ON history_head.id = pair.history"
                " WHERE (pair.history, recipient) > (?1, ?2) ORDER BY 1, 2");
    if (list == NULL)
        return -1;
    sqlite3_bind_int64(list, 1, place->part == 0 ? -1 : place->id);
    sqlite3_bind_int64(list, 2, place->ticket);
    int row;
    while ((row = next_row(reading, list)) > 0) {
        struct transfer_item *item = add_item(reading);
        const char *bytes = sqlite3_column_blob(list, 2);
        size_t length = (size_t)sqlite3_column_bytes(list, 2);
        place->part = 1;
        place->id = sqlite3_column_int64(list, 0);
        place->ticket = sqlite3_column_int64(list, 1);
        item->of.pair.mailbox = copy(reading, list, 3);
        item->of.pair.recipient = (uint64_t)place->ticket;
        item->of.pair.bytes = (const uint8_t *)arena_strndup(reading->arena,
                                                             length > 0 ? bytes : "", length);
        item->of.pair.length = length;
        if (!packed_pair_is_whole(length))
            return backend_fail(&reading->backend->base, "%s: what is kept of a recipient of %s "
                                "is damaged", reading->backend->path, item->of.pair.mailbox);
    }
    return row;
}

static int read_suspensions(const struct sqlite_reading *reading)
{
    struct row_place *place = place_of(reading);
    freed_by(finalize) sqlite3_stmt *list =
        prepare(reading->backend,
                "SELECT id, cause, since_ms, until_ms, attempts, offence, \"by\", note, mailbox,"
                " lasts_ms, tried FROM suspension"
                " WHERE ended_ms IS NULL AND until_ms > ?1 AND (until_ms, id) > (?2, ?3)"
                " ORDER BY until_ms, id");
    if (list == NULL)
        return -1;
    sqlite3_bind_int64(list, 1, reading->now_ms);
    sqlite3_bind_int64(list, 2, place->until_ms);
    sqlite3_bind_int64(list, 3, place->id);
    int row;
    while ((row = next_row(reading, list)) > 0) {
        struct transfer_item *item = add_item(reading);
        sqlite_read_suspension(list, &item->of.suspension.suspension);
        place->until_ms = item->of.suspension.suspension.until_ms;
        place->id = item->of.suspension.suspension.id;
        item->of.suspension.mailbox = copy(reading, list, 8);
        item->of.suspension.lasts_ms = item->of.suspension.suspension.until_ms == UNTIL_LIFTED
                                           ? UNTIL_LIFTED
                                           : sqlite3_column_int64(list, 9);
        const char *tried = sqlite3_column_blob(list, 10);
        size_t length = (size_t)sqlite3_column_bytes(list, 10);
        item->of.suspension.tried_count = length / TRANSFER_ATTEMPT_BYTES;
        if (length > 0)
            item->of.suspension.tried =
                (const uint8_t *)arena_strndup(reading->arena, tried, length);
    }
    return row;
}

static int read_offences(const struct sqlite_reading *reading)
{
    struct row_place *place = place_of(reading);
    freed_by(finalize) sqlite3_stmt *list =
        prepare(reading->backend, "SELECT id, mailbox, cause, since_ms FROM suspension"
                                  " WHERE since_ms > ?1 AND id > ?2 ORDER BY id");
    if (list == NULL)
        return -1;
    sqlite3_bind_int64(list, 1, reading->now_ms - OFFENCES_REMEMBERED_MS);
    sqlite3_bind_int64(list, 2, place->id);
    int row;
    while ((row = next_row(reading, list)) > 0) {
        struct transfer_item *item = add_item(reading);
        const char *cause = (const char *)sqlite3_column_text(list, 2);
        place->id = item->of.offence.id = sqlite3_column_int64(list, 0);
        item->of.offence.mailbox = copy(reading, list, 1);
        item->of.offence.cause = (enum cause)sqlite_find_name(cause_names, CAUSE_COUNT, cause);
        item->of.offence.since_ms = sqlite3_column_int64(list, 3);
    }
    return row;
}

static int read_values(const struct sqlite_reading *reading)
{
    struct row_place *place = place_of(reading);
    freed_by(finalize) sqlite3_stmt *list =
        prepare(reading->backend, "SELECT kind, key, version, until_ms, bytes, id FROM value"
                                  " WHERE id > ?1 AND until_ms > ?2 ORDER BY id");
    if (list == NULL)
        return -1;
    sqlite3_bind_int64(list, 1, place->id);
    sqlite3_bind_int64(list, 2, reading->now_ms);
    int row;
    while ((row = next_row(reading, list)) > 0) {
        struct value *value = &add_item(reading)->of.value;
        place->id = sqlite3_column_int64(list, 5);
        value->kind = (enum value_kind)sqlite3_column_int(list, 0);
        value->key = copy(reading, list, 1);
        value->version = (uint32_t)sqlite3_column_int64(list, 2);
        value->until_ms = sqlite3_column_int64(list, 3);
        const char *bytes = sqlite3_column_blob(list, 4);
        value->length = (size_t)sqlite3_column_bytes(list, 4);
        value->bytes = arena_strndup(reading->arena, bytes, value->length);
    }
    return row;
}

/* Those of the IPs, then those of the domains. */
static int read_senders(const struct sqlite_reading *reading)
{
    static const char *const by[] = {
        "SELECT ip, mailbox, max(at_ms) FROM sender WHERE ip IS NOT NULL AND at_ms > ?1"
        " AND (ip, mailbox) > (?2, ?3) GROUP BY ip, mailbox ORDER BY ip, mailbox",
        "SELECT domain, mailbox, max(at_ms) FROM sender WHERE at_ms > ?1"
        " AND (domain, mailbox) > (?2, ?3) GROUP BY domain, mailbox ORDER BY domain, mailbox"};
    struct row_place *place = place_of(reading);
    enum sender_of of = place->part == 1 ? SENDERS_OF_DOMAIN : SENDERS_OF_IP;
    freed_by(finalize) sqlite3_stmt *list = prepare(reading->backend, by[place->part]);
    if (list == NULL)
        return -1;
    sqlite3_bind_int64(list, 1, reading->now_ms - SEEN_KEPT_MS);
    sqlite_bind_string(list, 2, arena_strdup(reading->arena, place->key));
    sqlite_bind_string(list, 3, arena_strdup(reading->arena, place->mailbox));
    int row;
    while ((row = next_row(reading, list)) > 0) {
        struct transfer_item *item = add_item(reading);
        item->of.sender.of = of;
        item->of.sender.key = copy(reading, list, 0);
        item->of.sender.mailbox = copy(reading, list, 1);
        item->of.sender.at_ms = sqlite3_column_int64(list, 2);
        sqlite_copy_text(list, 0, place->key, sizeof place->key);
        sqlite_copy_text(list, 1, place->mailbox, sizeof place->mailbox);
    }
    if (row == 0 && reading->cursor->end && place->part == 0) {
        *place = (struct row_place){.part = 1};
        reading->cursor->end = false;
    }
    return row;
}

static int read_hash_key(const struct sqlite_reading *reading)
{
    memcpy(add_item(reading)->of.hash_key, reading->backend->hash_key, TRANSFER_HASH_KEY_BYTES);
    reading->cursor->end = true;
    return 1;
}

static int read_page(struct backend *backend, struct arena *arena, enum transfer_kind kind,
                     int64_t now_ms, struct transfer_cursor *cursor,
                     struct transfer_item *items_r, size_t *count_r)
{
    static int (*const readers[TRANSFER_KIND_COUNT])(const struct sqlite_reading *) = {
        [TRANSFER_HASH_KEY] = read_hash_key,
        [TRANSFER_NUMBER] = read_numbers,
        [TRANSFER_HISTORY] = read_histories,
        [TRANSFER_RECORD] = read_records,
        [TRANSFER_TICKET] = read_tickets,
        [TRANSFER_PAIR] = read_pairs,
        [TRANSFER_SUSPENSION] = read_suspensions,
        [TRANSFER_OFFENCE] = read_offences,
        [TRANSFER_VALUE] = read_values,
        [TRANSFER_SENDER] = read_senders,
    };
    struct sqlite_backend *self = sqlite_backend(backend);
    struct sqlite_reading reading = {self, arena, now_ms, cursor, items_r, count_r};
    if (sqlite_begin(self, true) < 0)
        return -1;
    /* lists go by the rows of the table alone */
    bool read = sqlite_heads_write_all(self) > 0 && readers[kind](&reading) >= 0;
    return sqlite_end(self, read ? 1 : -1);
}

/* ---- writing ------------------------------------------------------------------------------ */

static int put_hash_key(struct sqlite_backend *backend, sqlite3_stmt *put,
                        const struct transfer_item *item, int64_t now_ms)
{
    (void)now_ms;
    memcpy(backend->hash_key, item->of.hash_key, sizeof backend->hash_key);
    sqlite3_bind_blob(put, 1, item->of.hash_key, sizeof item->of.hash_key, SQLITE_STATIC);
    return 1;
}

static int put_history(struct sqlite_backend *backend, sqlite3_stmt *put,
                       const struct transfer_item *item, int64_t now_ms)
{
    struct sqlite_history stored;
    (void)put;
    (void)now_ms;
    if (sqlite_history_load(backend, item->of.history.subject, item->of.history.name,
                            &stored) < 0 ||
        sqlite_history_put(&stored, item->of.history.counted, item->of.history.count,
                           item->of.history.newest_ms) < 0)
        return -1;
    return 0;
}

static int put_record(struct sqlite_backend *backend, sqlite3_stmt *put,
                      const struct transfer_item *item, int64_t now_ms)
{
    (void)backend;
    (void)now_ms;
    sqlite3_bind_int64(put, 1, (int64_t)item->of.record.decision);
    sqlite3_bind_blob(put, 2, item->of.record.bytes, (int)item->of.record.length, SQLITE_STATIC);
    if (item->of.record.mailbox != NULL)
        sqlite_bind_string(put, 3, item->of.record.mailbox);
    return 1;
}

/* By the row of its mailbox's history, which has its name: it is there, also when a reset forgot what
 * was counted. */
static int put_ticket(struct sqlite_backend *backend, sqlite3_stmt *put,
                      const struct transfer_item *item, int64_t now_ms)
{
    struct sqlite_history stored;
    (void)now_ms;
    if (sqlite_history_load(backend, SUBJECT_MAILBOX, item->of.ticket.mailbox, &stored) < 0 ||
        (!stored.exists && sqlite_history_save(&stored) < 0))
        return -1;
    sqlite3_bind_int64(put, 1, stored.id);
    sqlite3_bind_int64(put, 2, item->of.ticket.id_hash);
    sqlite3_bind_int64(put, 3, item->of.ticket.recipients);
    sqlite3_bind_int64(put, 4, item->of.ticket.until_ms);
    return 1;
}

/* As put_ticket. */
static int put_pair(struct sqlite_backend *backend, sqlite3_stmt *put,
                    const struct transfer_item *item, int64_t now_ms)
{
    struct sqlite_history stored;
    (void)put;
    (void)now_ms;
    return sqlite_history_load(backend, SUBJECT_MAILBOX, item->of.pair.mailbox, &stored) < 0 ||
                   (!stored.exists && sqlite_history_save(&stored) < 0) ||
                   sqlite_pairs_put(backend, stored.id, item->of.pair.recipient,
                                    item->of.pair.bytes, item->of.pair.length) < 0
               ? -1
               : 0;
}

static int put_suspension(struct sqlite_backend *backend, sqlite3_stmt *put,
                          const struct transfer_item *item, int64_t now_ms)
{
    (void)backend;
    (void)now_ms;
    const struct suspension *suspension = &item->of.suspension.suspension;
    bool lifted = suspension->until_ms == UNTIL_LIFTED;
    sqlite3_bind_int64(put, 1, suspension->id);
    sqlite_bind_string(put, 2, item->of.suspension.mailbox);
    sqlite_bind_string(put, 3, cause_names[suspension->cause]);
    sqlite3_bind_int64(put, 4, suspension->since_ms);
    sqlite3_bind_int64(put, 5, suspension->until_ms);
    sqlite3_bind_int64(put, 6, suspension->attempts);
    sqlite3_bind_int64(put, 7, suspension->offence);
    sqlite_bind_string(put, 8, suspension->by);
    sqlite_bind_string(put, 9, suspension->note);
    sqlite3_bind_int64(put, 10, lifted ? UNTIL_LIFTED - suspension->since_ms
                                       : item->of.suspension.lasts_ms);
    sqlite3_bind_blob(put, 11,
                      item->of.suspension.tried_count > 0 ? (const void *)item->of.suspension.tried
                                                          : "",
                      (int)(item->of.suspension.tried_count * TRANSFER_ATTEMPT_BYTES),
                      SQLITE_STATIC);
    return 1;
}

static int put_offence(struct sqlite_backend *backend, sqlite3_stmt *put,
                       const struct transfer_item *item, int64_t now_ms)
{
    (void)backend;
    (void)now_ms;
    sqlite3_bind_int64(put, 1, item->of.offence.id);
    sqlite_bind_string(put, 2, item->of.offence.mailbox);
    sqlite_bind_string(put, 3, cause_names[item->of.offence.cause]);
    sqlite3_bind_int64(put, 4, item->of.offence.since_ms);
    return 1;
}

static int put_adjustment(struct sqlite_backend *backend, sqlite3_stmt *put,
                          const struct transfer_item *item, int64_t now_ms)
{
    (void)backend;
    const struct adjustment *adjustment = &item->of.adjustment;
    sqlite3_bind_int64(put, 1, adjustment->change);
    sqlite_bind_string(put, 2, adjustment->subject);
    sqlite_bind_string(put, 3, rule_table[adjustment->rule].name);
    sqlite3_bind_int64(put, 4, adjustment->kind);
    sqlite_bind_adjusted(put, 5, adjustment);
    sqlite3_bind_int64(put, 6, adjustment->until_ms);
    sqlite3_bind_int64(put, 7, now_ms);
    return 1;
}

static int put_audit(struct sqlite_backend *backend, sqlite3_stmt *put,
                     const struct transfer_item *item, int64_t now_ms)
{
    (void)backend;
    (void)now_ms;
    const struct audit *audit = &item->of.audit;
    sqlite3_bind_int64(put, 1, audit->number);
    sqlite3_bind_int64(put, 2, audit->at_ms);
    sqlite_bind_string(put, 3, audit->by);
    sqlite_bind_string(put, 4, audit->action);
    sqlite_bind_string(put, 5, audit->subject);
    sqlite_bind_string(put, 6, audit->note);
    sqlite_bind_string(put, 7, audit->detail);
    return 1;
}

static int put_value(struct sqlite_backend *backend, sqlite3_stmt *put,
                     const struct transfer_item *item, int64_t now_ms)
{
    (void)put;
    (void)now_ms;
    return sqlite_values_put(backend, &item->of.value, UNTIL_LIFTED) < 0 ? -1 : 0;
}

/* The last change may be of an adjustment that was removed: a row that changes nothing has its
 * number, until the adjustment of that number comes. */
static int put_number(struct sqlite_backend *backend, sqlite3_stmt *put,
                      const struct transfer_item *item, int64_t now_ms)
{
    static const char *const tables[] = {[TRANSFER_SUSPENSIONS] = "suspension",
                                         [TRANSFER_AUDITS] = "audit"};
    if (item->of.number.of != TRANSFER_CHANGES) {
        sqlite_bind_string(put, 1, tables[item->of.number.of]);
        sqlite3_bind_int64(put, 2, item->of.number.last);
        return 1;
    }
    freed_by(finalize) sqlite3_stmt *change =
        prepare(backend, "INSERT INTO adjustment (change, subject, rule, kind, removed, value,"
                         " until_ms, at_ms) VALUES (?1, '', '', 0, 1, 0, 0, ?2)");
    if (change == NULL)
        return -1;
    sqlite3_bind_int64(change, 1, item->of.number.last);
    sqlite3_bind_int64(change, 2, now_ms);
    return sqlite_do(backend, change) < 0 ? -1 : 0;
}

/* Binds an item to the statement of its kind: 1; 0, it is written already; -1. */
typedef int put_item(struct sqlite_backend *backend, sqlite3_stmt *put,
                     const struct transfer_item *item, int64_t now_ms);
static const struct {
    const char *sql;
    put_item *put;
} writers[TRANSFER_KIND_COUNT] = {
    [TRANSFER_HASH_KEY] = {"UPDATE hash_key SET value = ?1", put_hash_key},
    [TRANSFER_NUMBER] = {"INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", put_number},
    [TRANSFER_HISTORY] = {"SELECT 1", put_history}, /* it has several rows */
    [TRANSFER_RECORD] = {"INSERT INTO admitted (id, data) VALUES (?1, ?2)", put_record},
    [TRANSFER_TICKET] = {"INSERT INTO ticket (history, id, recipients, until_ms)"
                         " VALUES (?1, ?2, ?3, ?4)", put_ticket},
    [TRANSFER_PAIR] = {"SELECT 1", put_pair},
    [TRANSFER_SUSPENSION] = {"INSERT INTO suspension (id, mailbox, cause, since_ms, until_ms,"
                             " attempts, offence, \"by\", note, lasts_ms, tried)"
                             " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                             put_suspension},
    /* a suspension in force is one too */
    [TRANSFER_OFFENCE] = {"INSERT OR IGNORE INTO suspension (id, mailbox, cause, since_ms,"
                          " until_ms, attempts, offence, \"by\", note, ended_ms)"
                          " VALUES (?1, ?2, ?3, ?4, ?4, 0, 0, '', '', ?4)", put_offence},
    [TRANSFER_ADJUSTMENT] = {"INSERT OR REPLACE INTO adjustment (change, subject, rule, kind,"
                             " removed, value, until_ms, at_ms)"
                             " VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7)", put_adjustment},
    [TRANSFER_AUDIT] = {"INSERT INTO audit (number, at_ms, \"by\", act, subject, note, detail)"
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", put_audit},
    [TRANSFER_VALUE] = {"SELECT 1", put_value},
};

static int write_items(struct sqlite_backend *backend, const struct transfer_item *items,
                       size_t count, int64_t now_ms)
{
    bool refused = items[0].kind == TRANSFER_RECORD && items[0].of.record.mailbox != NULL;
    freed_by(finalize) sqlite3_stmt *put =
        prepare(backend, refused ? "INSERT INTO refused (id, data, mailbox) VALUES (?1, ?2, ?3)"
                                 : writers[items[0].kind].sql);
    if (put == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        int bound = writers[items[i].kind].put(backend, put, &items[i], now_ms);
        if (bound < 0 || (bound > 0 && sqlite_do(backend, put) < 0))
            return -1;
    }
    return 1;
}

static int write_page(struct backend *backend, const struct transfer_item *items, size_t count,
                      int64_t now_ms)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, true) < 0)
        return -1;
    return sqlite_end(self, write_items(self, items, count, now_ms));
}

/* ---- removing ----------------------------------------------------------------------------- */

static int remove_from(struct sqlite_backend *backend, const char *sql,
                       const struct transfer_item *items, size_t count)
{
    freed_by(finalize) sqlite3_stmt *gone = prepare(backend, sql);
    if (gone == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        sqlite3_bind_int64(gone, 1, (int64_t)items[i].of.record.decision);
        if (sqlite_do(backend, gone) < 0)
            return -1;
    }
    return 1;
}

static int remove_records(struct backend *backend, const struct transfer_item *items, size_t count)
{
    static const char *const tables[] = {
        "DELETE FROM admitted WHERE id = ?1", "DELETE FROM refused WHERE id = ?1",
        "DELETE FROM older_admitted WHERE id = ?1", "DELETE FROM older_refused WHERE id = ?1"};
    struct sqlite_backend *self = sqlite_backend(backend);
    int answer = sqlite_begin(self, true);
    if (answer < 0)
        return -1;
    for (size_t i = 0; i < countof(tables) && answer > 0; i++)
        answer = remove_from(self, tables[i], items, count);
    return sqlite_end(self, answer);
}

/* Commits wait while the log is cut: no longer than this for who reads, then again a little later. */
enum { CUT_WAITS_MS = 50, CUT_TRIES = 20 };

static int cut_log(struct backend *backend)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    if (sqlite_begin(self, false) < 0 || sqlite_end(self, 1) < 0)
        return -1;
    for (int tries = 0; tries < CUT_TRIES; tries++) {
        const struct timespec pause = {.tv_nsec = CUT_WAITS_MS * 1000 * 1000};
        /* most of it without holding anybody up */
        int answer = sqlite3_wal_checkpoint_v2(self->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
                                               NULL);
        self->give_up_us = clock_monotonic_us() + CUT_WAITS_MS * 1000;
        if (answer == SQLITE_OK)
            answer = sqlite3_wal_checkpoint_v2(self->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                               NULL);
        if (answer == SQLITE_OK)
            return 1;
        if ((answer & 0xFF) != SQLITE_BUSY)
            return fail(self);
        nanosleep(&pause, NULL);
    }
    return 0;
}

const struct transfer_operations sqlite_transfer = {
    .read = read_page,
    .write = write_page,
    .remove_records = remove_records,
    .cut_log = cut_log,
};
