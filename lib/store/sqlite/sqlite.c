/* The SQLite backend's connection. One connection a process, so that its page
 * cache stays warm: a second one that writes would make SQLite drop it. WAL: what was
 * committed survives the end of this process at any moment. With synchronous=FULL each
 * commit syncs the log, so it survives a power cut too; with NORMAL that may take the
 * last moments. */
#include "base/names.h"
#include "base/path.h"
#include "store/sqlite/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The steps from each version of the schema to the next. A new file takes all of them. */
static const char *const schema_steps[] = {
    /* random, for the hashes that name rows */
    "CREATE TABLE hash_key (value BLOB NOT NULL); INSERT INTO hash_key VALUES (randomblob(16));"
    /* packed entries and totals of a mailbox or IP, see packed_history.h; id is a hash of key */
    "CREATE TABLE history (id INTEGER PRIMARY KEY, key TEXT NOT NULL, data BLOB NOT NULL);"
    "CREATE TABLE chunk (history INTEGER NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL,"
    " PRIMARY KEY (history, number)) WITHOUT ROWID;"
    /* the hash of each submission id in the chunks of a mailbox, from chunk `first` on */
    "CREATE TABLE chunk_ids (history INTEGER PRIMARY KEY, first INTEGER NOT NULL,"
    " hashes BLOB NOT NULL);"
    /* decisions; ids rise with time, so new rows go to the end and old ones leave at the front */
    "CREATE TABLE admitted (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL,"
    " outcome TEXT NOT NULL, used TEXT NOT NULL, facts TEXT NOT NULL, keep_ms INTEGER NOT NULL);"
    "CREATE TABLE refused (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL,"
    " outcome TEXT NOT NULL, used TEXT NOT NULL, facts TEXT NOT NULL, keep_ms INTEGER NOT NULL);"
    "CREATE VIEW decision AS SELECT id, at_ms, outcome, used, facts, keep_ms FROM admitted"
    " UNION ALL SELECT id, at_ms, outcome, used, facts, keep_ms FROM refused;"
    "CREATE TABLE suspension (id INTEGER PRIMARY KEY AUTOINCREMENT, mailbox TEXT NOT NULL,"
    " cause TEXT NOT NULL, since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, offence INTEGER NOT NULL, \"by\" TEXT NOT NULL,"
    " note TEXT NOT NULL, ended_ms INTEGER);"
    "CREATE INDEX suspension_mailbox ON suspension (mailbox);"
    "CREATE TABLE adjustment (change INTEGER PRIMARY KEY, subject TEXT NOT NULL,"
    " rule TEXT NOT NULL, kind INTEGER NOT NULL, removed INTEGER NOT NULL,"
    " value INTEGER NOT NULL, until_ms INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
    " UNIQUE (subject, rule, kind));"
    "CREATE TABLE audit (number INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL,"
    " \"by\" TEXT NOT NULL, act TEXT NOT NULL, subject TEXT NOT NULL, note TEXT NOT NULL,"
    " detail TEXT NOT NULL);"
    "CREATE TRIGGER audit_keeps BEFORE UPDATE ON audit"
    " BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;"
    "CREATE TRIGGER audit_stays BEFORE DELETE ON audit"
    " BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;"
    /* where the sweep goes on */
    "CREATE TABLE hand (id INTEGER PRIMARY KEY, position INTEGER NOT NULL);"
    "PRAGMA user_version = 1;",

    /* the refused of a mailbox; the admitted are found by its history */
    "ALTER TABLE refused ADD COLUMN mailbox TEXT NOT NULL DEFAULT '';"
    "UPDATE refused SET mailbox = coalesce(json_extract(facts, '$.mailbox'), '')"
    " WHERE json_valid(facts);"
    "CREATE INDEX refused_mailbox ON refused (mailbox, id);"
    /* of the suspensions of a month, those that may be in force */
    "CREATE INDEX suspension_open ON suspension (mailbox, until_ms) WHERE ended_ms IS NULL;"
    "CREATE INDEX audit_subject ON audit (subject, number);"
    /* texts that programs keep; tries are moments in order */
    "CREATE TABLE kept (kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    " until_ms INTEGER NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;"
    "CREATE INDEX kept_until ON kept (until_ms);"
    /* a mailbox sent from an IP; old rows leave at the front */
    "CREATE TABLE sender (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, mailbox TEXT NOT NULL,"
    " domain TEXT NOT NULL, ip TEXT);"
    "CREATE INDEX sender_ip ON sender (ip, mailbox, at_ms);"
    "CREATE INDEX sender_domain ON sender (domain, mailbox, at_ms);"
    /* windows that were nearly full */
    "CREATE TABLE near (key TEXT NOT NULL, rule TEXT NOT NULL, at_ms INTEGER NOT NULL,"
    " PRIMARY KEY (key, rule)) WITHOUT ROWID;"
    "CREATE INDEX near_at ON near (at_ms);"
    "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "PRAGMA user_version = 2;",

    /* admitted on one channel, and to be asked about by another; `history` is the mailbox's row, id a
     * hash of the submission's */
    "CREATE TABLE ticket (history INTEGER NOT NULL, id INTEGER NOT NULL,"
    " recipients INTEGER NOT NULL, until_ms INTEGER NOT NULL, PRIMARY KEY (history, id))"
    " WITHOUT ROWID;"
    "PRAGMA user_version = 3;",

    /* how long a suspension lasted first, and hashes of the messages that were refused since; at
     * the row's end, since it is long and rarely read */
    "ALTER TABLE suspension ADD COLUMN lasts_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE suspension ADD COLUMN tried BLOB NOT NULL DEFAULT x'';"
    /* 0: attempts may have moved its end, so it is unknown */
    "UPDATE suspension SET lasts_ms = until_ms - since_ms WHERE attempts < 10;"
    "PRAGMA user_version = 4;",

    /* a record is packed (packed_record.h), and an admitted one is found by the id that its history
     * has; what is there is not written anew, and read until it is past */
    "DROP VIEW decision;"
    "ALTER TABLE admitted RENAME TO older_admitted; ALTER TABLE refused RENAME TO older_refused;"
    "CREATE TABLE admitted (id INTEGER PRIMARY KEY, data BLOB NOT NULL);"
    "CREATE TABLE refused (id INTEGER PRIMARY KEY, data BLOB NOT NULL, mailbox TEXT NOT NULL);"
    "CREATE INDEX refused_of ON refused (mailbox, id);"
    "PRAGMA user_version = 5;",

    /* sqlite_heads.h; the other name stops a program of an earlier version that still runs */
    "ALTER TABLE history RENAME TO history_head;"
    "CREATE TABLE head_log (id INTEGER PRIMARY KEY, data BLOB NOT NULL, until INTEGER NOT NULL,"
    " written INTEGER NOT NULL);"
    "INSERT INTO head_log VALUES (0, x'', 0, -1);"
    "PRAGMA user_version = 6;",

    /* versioned values; id is a hash of kind and key, of which the kinds that are listed have an
     * index (with kind and key as the primary key, whole values would be in the tree's inner pages,
     * which then has twice the depth) */
    "CREATE TABLE value (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, key TEXT NOT NULL,"
    " version INTEGER NOT NULL, until_ms INTEGER NOT NULL, bytes BLOB NOT NULL);"
    "CREATE INDEX value_listed ON value (kind, key) WHERE kind <= 1;"
    "PRAGMA user_version = 7;",

    "DROP INDEX value_listed;"
    "CREATE INDEX value_listed ON value (kind, key) WHERE " SQL_VALUE_LISTED ";"
    "PRAGMA user_version = 8;",

    /* what a mailbox, by the row of its history, sent to a recipient: packed_pair.h */
    "CREATE TABLE pair (history INTEGER NOT NULL, recipient INTEGER NOT NULL,"
    " newest_ms INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (history, recipient))"
    " WITHOUT ROWID;"
    "PRAGMA user_version = 9;",

    /* one more kind of values is listed */
    "DROP INDEX value_listed;"
    "CREATE INDEX value_listed ON value (kind, key) WHERE " SQL_VALUE_LISTED ";"
    "PRAGMA user_version = 10;",

    /* one more */
    "DROP INDEX value_listed;"
    "CREATE INDEX value_listed ON value (kind, key) WHERE " SQL_VALUE_LISTED ";"
    "PRAGMA user_version = 11;",
};
enum { SCHEMA_VERSION = countof(schema_steps) };

/* ---- statements --------------------------------------------------------------- */

static int fail_with_sqlite(struct sqlite_backend *backend)
{
    return backend_fail(&backend->base, "%s: %s", backend->path, sqlite3_errmsg(backend->db));
}

sqlite3_stmt *sqlite_take(struct sqlite_backend *backend, enum sqlite_statement which)
{
    sqlite3_reset(backend->statements[which]);
    return backend->statements[which];
}

int sqlite_row(struct sqlite_backend *backend, sqlite3_stmt *statement)
{
    int answer = sqlite3_step(statement);
    if (answer == SQLITE_ROW)
        return 1;
    if (answer != SQLITE_DONE)
        fail_with_sqlite(backend);
    sqlite3_reset(statement);
    return answer == SQLITE_DONE ? 0 : -1;
}

int sqlite_page_row(struct sqlite_backend *backend, sqlite3_stmt *statement,
                    struct store_page *page)
{
    int row = sqlite_row(backend, statement);
    page->more = row > 0 && page->count == page->max;
    if (!page->more)
        return row;
    sqlite3_reset(statement);
    return 0;
}

int sqlite_do(struct sqlite_backend *backend, sqlite3_stmt *statement)
{
    return sqlite_row(backend, statement) < 0 ? -1 : 1;
}

int sqlite_remove_past(struct sqlite_backend *backend, enum sqlite_statement which, int64_t past_ms,
                       int64_t rows)
{
    sqlite3_stmt *remove = sqlite_take(backend, which);
    sqlite3_bind_int64(remove, 1, past_ms);
    sqlite3_bind_int64(remove, 2, rows);
    return sqlite_do(backend, remove);
}

int sqlite_find_name(const char *const *names, int count, const char *name)
{
    int found = names_find(names, count, name);
    return found >= 0 ? found : 0;
}

void sqlite_bind_string(sqlite3_stmt *statement, int index, const char *string)
{
    sqlite3_bind_text(statement, index, string, -1, SQLITE_STATIC);
}

void sqlite_copy_text(sqlite3_stmt *statement, int column, char *text_r, size_t size)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    snprintf(text_r, size, "%s", text != NULL ? (const char *)text : "");
}

/* ---- waiting --------------------------------------------------------------------- */

/* SQLite's own waiting grows to 100 ms at a time; meanwhile the other connection takes the lock
 * many times again. By the clock, since a sleep may take much longer than it should. */
int sqlite_wait_for_lock(void *until_us, int asked)
{
    (void)asked;
    if (clock_monotonic_us() >= *(const int64_t *)until_us)
        return 0;
    nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    return 1;
}

/* An operation begins. */
static void set_deadline(struct sqlite_backend *backend)
{
    backend->give_up_us = clock_monotonic_us() + backend->base.timeout_ms * INT64_C(1000);
}

/* ---- opening --------------------------------------------------------------------- */

static void close_database(struct sqlite_backend *backend)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        sqlite3_finalize(backend->statements[i]);
        backend->statements[i] = NULL;
    }
    sqlite3_close(backend->db);
    backend->db = NULL;
    if (backend->heads != NULL)
        sqlite_heads_forget(backend->heads);
}

static int fail_to_make(struct sqlite_backend *backend)
{
    backend->unusable = errno != ENOSPC && errno != EDQUOT && errno != EIO && errno != EMFILE &&
                     errno != ENFILE && errno != EINTR;
    return backend_fail(&backend->base, "%s: cannot be made: %s", backend->path,
                        errno == ENOENT ? "its directory does not exist" : strerror(errno));
}

/* The store holds who sent when, and the audit log: the file is its owner's alone. SQLite gives
 * -wal and -shm the same mode. */
static int make_file(struct sqlite_backend *backend)
{
    int fd = open(backend->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return 1;
    if (fd < 0)
        return fail_to_make(backend);
    backend->was_made = true;
    close(fd);
    return 1;
}

static int fail_for_good(struct sqlite_backend *backend, const char *what)
{
    backend->unusable = true;
    return backend_fail(&backend->base, "%s: %s", backend->path, what);
}

/* Those that another user made, SQLite would only call "unable to open database file". */
static int check_log_files(struct sqlite_backend *backend)
{
    static const char *const endings[] = {"-wal", "-shm"};
    for (size_t i = 0; i < countof(endings); i++) {
        freed_by(free_string) char *path = xasprintf("%s%s", backend->path, endings[i]);
        if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) != 0 && errno != ENOENT) {
            backend->unusable = errno == EACCES || errno == EROFS || errno == EPERM;
            return backend_fail(&backend->base, "%s: cannot be written: %s", path, strerror(errno));
        }
    }
    return 1;
}

/* SQLite would open what it may only read, and writes files beside it. */
static int check_file(struct sqlite_backend *backend)
{
    struct stat file;
    freed_by(free_string) char *folder = path_folder(backend->path);
    if (stat(backend->path, &file) == 0 && !S_ISREG(file.st_mode))
        return fail_for_good(backend, "is no file");
    const char *which = faccessat(AT_FDCWD, backend->path, R_OK | W_OK, AT_EACCESS) != 0 ? "" :
                        faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0
                            ? "its directory "
                            : NULL;
    if (which == NULL)
        return check_log_files(backend);
    backend->unusable = errno == EACCES || errno == EROFS || errno == EPERM;
    return backend_fail(&backend->base, "%s: %scannot be written: %s", backend->path, which,
                        strerror(errno));
}

/* Earlier versions gave their group access. A file of another user keeps its mode. */
static void close_to_others(const struct sqlite_backend *backend)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < countof(endings); i++) {
        freed_by(free_string) char *path = xasprintf("%s%s", backend->path, endings[i]);
        struct stat file;
        if (lstat(path, &file) == 0 && S_ISREG(file.st_mode) && file.st_uid == geteuid() &&
            (file.st_mode & 077) != 0)
            chmod(path, 0600);
    }
}

static int read_number(struct sqlite_backend *backend, const char *sql, int64_t *number_r)
{
    sqlite3_stmt *statement = NULL;
    int result = -1;
    if (sqlite3_prepare_v2(backend->db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        *number_r = sqlite3_column_int64(statement, 0);
        result = 1;
    } else {
        fail_with_sqlite(backend);
    }
    sqlite3_finalize(statement);
    return result;
}

/* Nothing is written to what another program made. */
static int check_ours(struct sqlite_backend *backend)
{
    int64_t tables, ours, version;
    if (read_number(backend, "PRAGMA user_version", &version) < 0 ||
        read_number(backend, "SELECT count(*) FROM sqlite_master", &tables) < 0 ||
        read_number(backend, "SELECT count(*) FROM sqlite_master WHERE name = 'hash_key'", &ours) <
            0) {
        int error = sqlite3_errcode(backend->db) & 0xFF;
        if (error == SQLITE_NOTADB)
            return fail_for_good(backend, "is no SQLite database");
        backend->unusable = error == SQLITE_CANTOPEN || error == SQLITE_READONLY ||
                         error == SQLITE_PERM || error == SQLITE_AUTH;
        return -1;
    }
    if (tables > 0 && ours == 0)
        return fail_for_good(backend, "is a database of another program");
    backend->is_earlier = ours > 0 && version < SCHEMA_VERSION;
    backend->unusable = version > SCHEMA_VERSION;
    if (backend->unusable)
        return backend_fail(&backend->base,
                            "%s was made by a newer sendguard (schema %lld, ours is %d)",
                            backend->path, (long long)version, SCHEMA_VERSION);
    return 1;
}

/* Two processes may come here at once: the schema is made, or brought up to date, under
 * the write lock, by one. */
static int make_schema(struct sqlite_backend *backend)
{
    int64_t version = 0;
    if (read_number(backend, "PRAGMA user_version", &version) < 0)
        return -1;
    if (version == SCHEMA_VERSION)
        return 1;
    if (sqlite3_exec(backend->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return fail_with_sqlite(backend);
    int result = read_number(backend, "PRAGMA user_version", &version);
    for (; result > 0 && version < SCHEMA_VERSION; version++)
        if (sqlite3_exec(backend->db, schema_steps[version], NULL, NULL, NULL) != SQLITE_OK)
            result = fail_with_sqlite(backend);
    if (sqlite3_exec(backend->db, result > 0 ? "COMMIT" : "ROLLBACK", NULL, NULL,
                     NULL) != SQLITE_OK)
        result = fail_with_sqlite(backend);
    return result;
}

static int read_hash_key(struct sqlite_backend *backend)
{
    sqlite3_stmt *statement = NULL;
    int result = -1;
    if (sqlite3_prepare_v2(backend->db, "SELECT value FROM hash_key", -1, &statement, NULL) ==
            SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW &&
        sqlite3_column_bytes(statement, 0) == sizeof backend->hash_key) {
        memcpy(backend->hash_key, sqlite3_column_blob(statement, 0),
               sizeof backend->hash_key);
        result = 1;
    } else {
        fail_with_sqlite(backend);
    }
    sqlite3_finalize(statement);
    return result;
}

static int prepare_all(struct sqlite_backend *backend)
{
#define SQLITE_STATEMENT_SQL(name, sql) sql,
    static const char *const sql[SQL_COUNT] = {SQLITE_STATEMENTS(SQLITE_STATEMENT_SQL)};
    if (sqlite_add_record_until(backend->db) != SQLITE_OK)
        return fail_with_sqlite(backend);
    for (size_t i = 0; i < SQL_COUNT; i++)
        if (sqlite3_prepare_v3(backend->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &backend->statements[i], NULL) != SQLITE_OK)
            return fail_with_sqlite(backend);
    return 1;
}

static int open_database(struct sqlite_backend *backend)
{
    struct stat file;
    backend->unusable = backend->was_made = false;
    if (make_file(backend) < 0 || check_file(backend) < 0)
        return -1;
    close_to_others(backend);
    if (sqlite3_open_v2(backend->path, &backend->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        fail_with_sqlite(backend);
        close_database(backend);
        return -1;
    }
    sqlite3_busy_handler(backend->db, sqlite_wait_for_lock, &backend->give_up_us);
    if (check_ours(backend) < 0) {
        close_database(backend);
        return -1;
    }
    if (sqlite3_exec(backend->db,
                     /* a message changes a few hundred bytes on each page it touches, and pages are
                      * logged whole */
                     "PRAGMA page_size = 2048; PRAGMA journal_mode = WAL;"
                     /* what a log that grew gives back when it begins anew */
                     "PRAGMA journal_size_limit = 31457280;"
                     /* no more: after a page split SQLite looks through all of it */
                     "PRAGMA cache_size = -2000;",
                     NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(backend->db,
                     backend->full_durability ? "PRAGMA synchronous = FULL"
                                              : "PRAGMA synchronous = NORMAL",
                     NULL, NULL, NULL) != SQLITE_OK ||
        stat(backend->path, &file) != 0) {
        fail_with_sqlite(backend);
        close_database(backend);
        return -1;
    }
    if (make_schema(backend) < 0 || read_hash_key(backend) < 0 || prepare_all(backend) < 0) {
        close_database(backend);
        return -1;
    }
    sqlite3_wal_hook(backend->db, sqlite_checkpoint_after_commit, backend->checkpointer);
    /* a message that gives its connection up must not wait for all of the log */
    sqlite3_db_config(backend->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    backend->was_there = true;
    backend->device = file.st_dev;
    backend->inode = file.st_ino;
    return 1;
}

/* Opens the file; again when it was removed or replaced. Call after set_deadline. */
static int ensure_open(struct sqlite_backend *backend)
{
    struct stat file;
    if (backend->db == NULL && !backend->was_there)
        return open_database(backend);
    if (stat(backend->path, &file) != 0)
        return backend_fail(&backend->base,
                            "%s: %s (put it back, or restart sendguard to begin with an empty database)",
                            backend->path, strerror(errno));
    if (backend->db != NULL && file.st_dev == backend->device && file.st_ino == backend->inode)
        return 1;
    close_database(backend);
    return open_database(backend);
}

/* After an error: nothing of the transaction stays. A lock or a full disk
 * passes; after anything else the next operation begins with a new connection. */
static int give_up(struct sqlite_backend *backend)
{
    int error = sqlite3_errcode(backend->db) & 0xFF;
    if (!sqlite3_get_autocommit(backend->db))
        sqlite3_step(sqlite_take(backend, SQL_ROLLBACK));
    sqlite_heads_roll_back(backend->heads);
    if (error != SQLITE_BUSY && error != SQLITE_FULL)
        close_database(backend);
    sqlite_checkpoint_leave(backend->checkpointer);
    if (error == SQLITE_FULL || error == SQLITE_IOERR)
        sqlite_checkpoint_want(backend->checkpointer);
    return -1;
}

int sqlite_begin(struct sqlite_backend *backend, bool to_write)
{
    set_deadline(backend);
    if (sqlite_checkpoint_enter(backend->checkpointer, to_write, backend->give_up_us) < 0)
        return backend_fail(&backend->base, "%s: copying the write-ahead log back takes over %d ms",
                            backend->path, backend->base.timeout_ms);
    if (ensure_open(backend) < 0) {
        sqlite_checkpoint_leave(backend->checkpointer);
        return -1;
    }
    sqlite_heads_begin(backend->heads);
    if (sqlite_do(backend, sqlite_take(backend, to_write ? SQL_BEGIN_WRITE : SQL_BEGIN_READ)) < 0)
        return give_up(backend);
    return 1;
}

int sqlite_end(struct sqlite_backend *backend, int result)
{
    if (result >= 0 && (sqlite_heads_commit(backend) < 0 ||
                        sqlite_do(backend, sqlite_take(backend, SQL_COMMIT)) < 0))
        result = -1;
    if (result < 0)
        return give_up(backend);
    sqlite_checkpoint_leave(backend->checkpointer);
    return result;
}

int sqlite_undo(struct sqlite_backend *backend)
{
    if (sqlite_do(backend, sqlite_take(backend, SQL_ROLLBACK)) < 0)
        return give_up(backend);
    sqlite_heads_roll_back(backend->heads);
    sqlite_checkpoint_leave(backend->checkpointer);
    return 0;
}

static int sqlite_examine(struct backend *backend, bool *made_r)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    set_deadline(self);
    int result = ensure_open(self);
    if (result < 0)
        close_database(self);
    *made_r = self->was_made;
    return result < 0 && self->unusable ? 0 : result;
}

static void sqlite_free(struct backend *backend)
{
    struct sqlite_backend *self = sqlite_backend(backend);
    sqlite_checkpoint_stop(&self->checkpointer);
    if (self->db != NULL) /* no operation waits any longer: the last program copies the log back */
        sqlite3_db_config(self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    close_database(self);
    text_free(&self->record);
    text_free(&self->pair);
    text_free(&self->profile);
    sqlite_heads_free(&self->heads);
    free(self->path);
    free(self);
}

static const struct backend_operations sqlite_operations = {
    .judge = &sqlite_judge,
    .suspensions = &sqlite_suspensions,
    .adjustments = &sqlite_adjustments,
    .records = &sqlite_records,
    .audit = &sqlite_audit,
    .kept = &sqlite_kept,
    .values = &sqlite_values,
    .observations = &sqlite_observations,
    .transfer = &sqlite_transfer,
    .sweep = sqlite_sweep_all,
    .examine = sqlite_examine,
    .free = sqlite_free,
};

struct backend *sqlite_backend_new(const char *path, const struct store_options *options,
                                   bool may_make)
{
    struct sqlite_backend *backend = xcalloc(1, sizeof *backend);
    /* nobody reads the counters that each allocation would keep; refused, and right, once a
     * connection was made */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    backend->base.operations = &sqlite_operations;
    backend->base.timeout_ms = options->timeout_ms;
    backend->full_durability = options->full_durability;
    backend->path = xstrdup(path);
    backend->heads = sqlite_heads_new();
    backend->was_there = !may_make;
    backend->checkpointer = sqlite_checkpoint_start(path);
    /* Open now, so that the file is there when the service is; trouble shows at the first operation. */
    set_deadline(backend);
    if (ensure_open(backend) < 0)
        close_database(backend);
    return &backend->base;
}

/* ---- checking ------------------------------------------------------------------------ */

/* A URI of the file for a connection that makes and changes nothing beside it either. With a log
 * and its index there, it reads both as they are; else the file alone: no program has it open. */
static char *uri_to_look(const struct sqlite_backend *backend)
{
    struct stat file;
    struct text uri = {0};
    freed_by(free_string) char *log = xasprintf("%s-wal", backend->path);
    freed_by(free_string) char *log_index = xasprintf("%s-shm", backend->path);
    bool logs = stat(log, &file) == 0 && stat(log_index, &file) == 0;
    text_add(&uri, "file:");
    text_add_url(&uri, backend->path);
    text_add(&uri, logs ? "?mode=ro&readonly_shm=1" : "?mode=ro&immutable=1");
    char *copy = xstrdup(text_string(&uri));
    text_free(&uri);
    return copy;
}

static int look_into(struct sqlite_backend *backend)
{
    freed_by(free_string) char *uri = uri_to_look(backend);
    int result = -1;
    if (sqlite3_open_v2(uri, &backend->db,
                        SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI,
                        NULL) == SQLITE_OK) {
        sqlite3_busy_handler(backend->db, sqlite_wait_for_lock, &backend->give_up_us);
        sqlite3_db_config(backend->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        result = check_ours(backend);
    } else {
        fail_with_sqlite(backend);
    }
    close_database(backend);
    return result;
}

/* Whether make_file could. */
static int check_can_make(struct sqlite_backend *backend)
{
    freed_by(free_string) char *folder = path_folder(backend->path);
    freed_by(free_string) char *inside = xasprintf("%s/.", folder); /* ENOTDIR of a file */
    return faccessat(AT_FDCWD, inside, W_OK | X_OK, AT_EACCESS) == 0 ? 1 : fail_to_make(backend);
}

static struct sqlite_backend *new_to_look(const char *path, const struct store_options *options)
{
    struct sqlite_backend *backend = xcalloc(1, sizeof *backend);
    backend->base.timeout_ms = options->timeout_ms;
    backend->path = xstrdup(path);
    set_deadline(backend);
    return backend;
}

static void free_to_look(struct sqlite_backend *backend)
{
    free(backend->path);
    free(backend);
}

int sqlite_backend_check_earlier(const char *path, const struct store_options *options,
                                 char error_r[BACKEND_ERROR_SIZE])
{
    char used[BACKEND_ERROR_SIZE];
    if (sqlite_backend_alone(path, used) != 0)
        return 1;
    struct sqlite_backend *backend = new_to_look(path, options);
    bool refused = look_into(backend) > 0 && backend->is_earlier;
    if (refused)
        snprintf(error_r, BACKEND_ERROR_SIZE, "has tables of an earlier version: %.200s", used);
    free_to_look(backend);
    return !refused;
}

int sqlite_backend_check(const char *path, const struct store_options *options,
                         char error_r[BACKEND_ERROR_SIZE])
{
    struct stat file;
    struct sqlite_backend *backend = new_to_look(path, options);
    int result = lstat(path, &file) != 0 ? check_can_make(backend)
                 : check_file(backend) < 0  ? -1
                                         : look_into(backend);
    bool unusable = backend->unusable;
    if (result > 0 && backend->is_earlier)
        backend_fail(&backend->base, "has tables of an earlier version, which the next start "
                                     "brings up to date");
    memcpy(error_r, backend->base.error, BACKEND_ERROR_SIZE);
    free_to_look(backend);
    return result < 0 && unusable ? 0 : result;
}
