/* Inside the SQLite backend: its connection, statements and transactions.
 * sqlite.c opens and repairs, sqlite_judge.c judges messages,
 * sqlite_heads.c reads and writes rows of histories, sqlite_ticket.c leaves and redeems tickets,
 * sqlite_pair.c counts for recipients,
 * sqlite_sweep.c removes what ended,
 * sqlite_checkpoint.c copies the write-ahead log back beside them. Every other file implements the
 * header of lib/store that has its name. */
#ifndef SENDGUARD_STORE_SQLITE_H
#define SENDGUARD_STORE_SQLITE_H

#include <sqlite3.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/backend.h"
#include "store/identity.h"
#include "store/sqlite/sqlite_heads.h"

/* Records of a table, of this form and of the one until version 5 of the schema, that are kept at
 * ?2; `condition` chooses the rows. record_until: sqlite_records.c. */
#define SQL_RECORDS(table, condition)                                                             \
    "SELECT id, data, NULL, NULL, NULL FROM " table " WHERE " condition                           \
    " AND record_until(data) > ?2 UNION ALL SELECT id, facts, at_ms, outcome, used FROM older_"   \
    table " WHERE " condition " AND at_ms + keep_ms > ?2"
#define SQL_RECORDS_BEFORE(table) SQL_RECORDS(table, "id < ?1") " ORDER BY 1 DESC"
/* Of the first ?2 rows those that are past at ?1. Ids rise with time: while the first row is kept,
 * no other is looked at, unless ?2 is -1, for all rows. */
#define SQL_RECORDS_SWEEP(table, until)                                                           \
    "DELETE FROM " table " WHERE id IN (SELECT id FROM (SELECT * FROM " table                     \
    " ORDER BY id LIMIT iif(?2 < 0 OR (SELECT " until " FROM " table " ORDER BY id LIMIT 1) <= ?1,"\
    " ?2, 0)) WHERE " until " <= ?1)"
/* The kinds of values of store_values_listed, by number. */
#define SQL_VALUE_LISTED "kind IN (0, 1, 7, 9, 11, 12, 13, 14, 15, 16, 17, 18, 25, 27)"
#define SQL_AUDIT "SELECT number, at_ms, \"by\", act, subject, note, detail FROM audit WHERE "

/* Of a suspension at ?2: one whose beginning, or the attempt that moved its end, is further ahead
 * than CLOCK_AHEAD_MS, was stamped by a wrong clock. It begins now. */
#define SQL_TEXT(number) #number
#define SQL_NUMBER(number) SQL_TEXT(number)
#define SQL_AHEAD "+ " SQL_NUMBER(CLOCK_AHEAD_MINUTES) " * 60000 "
#define SQL_SINCE "iif(since_ms > ?2 " SQL_AHEAD ", ?2, since_ms)"
#define SQL_LASTS "iif(lasts_ms = 0, until_ms - since_ms, lasts_ms)"
#define SQL_IS_AHEAD "max(since_ms, iif(until_ms < 9223372036854775807, until_ms - " SQL_LASTS ", 0))" \
                     " > ?2 " SQL_AHEAD
#define SQL_UNTIL "iif(until_ms < 9223372036854775807 AND " SQL_IS_AHEAD                            \
                  ", ?2 + " SQL_LASTS ", until_ms)"

/* Every statement, prepared once a connection: name, SQL. */
#define SQLITE_STATEMENTS(S)                                                                      \
    S(BEGIN_READ, "BEGIN")                                                                        \
    S(BEGIN_WRITE, "BEGIN IMMEDIATE")                                                             \
    S(COMMIT, "COMMIT")                                                                           \
    S(ROLLBACK, "ROLLBACK")                                                                       \
    S(DATA_VERSION, "PRAGMA data_version")                                                        \
    S(SCHEMA_VERSION, "PRAGMA schema_version")                                                    \
    S(HEAD_GET, "SELECT key, data FROM history_head WHERE id = ?1")                               \
    S(HEAD_PUT, "INSERT INTO history_head (id, key, data) VALUES (?1, ?2, ?3)"                    \
                " ON CONFLICT (id) DO UPDATE SET key = excluded.key, data = excluded.data")       \
    S(HEAD_DROP, "DELETE FROM history_head WHERE id = ?1")                                        \
    S(HEAD_NEXT, "SELECT id, key, data FROM history_head WHERE id > ?1 ORDER BY id LIMIT ?2")     \
    S(HEAD_LOG_FIRST, "SELECT min(id) FROM head_log")                                             \
    S(HEAD_LOG_AFTER, "SELECT id, data, until, written FROM head_log WHERE id > ?1 ORDER BY id")  \
    S(HEAD_LOG_PUT, "INSERT INTO head_log (id, data, until, written) VALUES (?1, ?2, ?3, ?4)")    \
    S(HEAD_LOG_DROP, "DELETE FROM head_log WHERE id <= ?1")                                       \
    S(CHUNK_GET, "SELECT data FROM chunk WHERE history = ?1 AND number = ?2")                     \
    S(CHUNK_PUT, "INSERT OR REPLACE INTO chunk (history, number, data) VALUES (?1, ?2, ?3)")      \
    S(CHUNK_DROP, "DELETE FROM chunk WHERE history = ?1 AND number >= ?2 AND number < ?3")        \
    S(IDS_GET, "SELECT first, hashes FROM chunk_ids WHERE history = ?1")                          \
    S(IDS_PUT, "INSERT OR REPLACE INTO chunk_ids (history, first, hashes) VALUES (?1, ?2, ?3)")   \
    S(IDS_DROP, "DELETE FROM chunk_ids WHERE history = ?1")                                       \
    S(ADMITTED_PUT, "INSERT OR REPLACE INTO admitted (id, data) VALUES (?1, ?2)")                 \
    S(REFUSED_PUT, "INSERT OR REPLACE INTO refused (id, data, mailbox) VALUES (?1, ?2, ?3)")      \
    S(ADMITTED_GET, "SELECT data FROM admitted WHERE id = ?1")                                    \
    S(RECORD_GET, SQL_RECORDS("admitted", "id = ?1") " UNION ALL "                     \
                  SQL_RECORDS("refused", "id = ?1"))                                   \
    S(ADMITTED_BEFORE, SQL_RECORDS_BEFORE("admitted"))                                            \
    S(REFUSED_BEFORE, SQL_RECORDS_BEFORE("refused"))                                              \
    S(REFUSED_OF, SQL_RECORDS("refused", "mailbox = ?3 AND id < ?1") " ORDER BY 1 DESC")          \
    S(PASSED_AFTER, SQL_RECORDS("admitted", "id > ?1") " ORDER BY 1")                             \
    S(OLDER_AT, "SELECT id FROM older_admitted WHERE id >= ?1 AND id < ?2 AND at_ms = ?3"         \
                " AND outcome = 'admitted'"                                                       \
                " AND iif(json_valid(facts), json_extract(facts, '$.mailbox'), '') = ?4")         \
    S(ADMITTED_SWEEP, SQL_RECORDS_SWEEP("admitted", "record_until(data)"))                        \
    S(REFUSED_SWEEP, SQL_RECORDS_SWEEP("refused", "record_until(data)"))                          \
    S(OLDER_ADMITTED_SWEEP, SQL_RECORDS_SWEEP("older_admitted", "at_ms + keep_ms"))               \
    S(OLDER_REFUSED_SWEEP, SQL_RECORDS_SWEEP("older_refused", "at_ms + keep_ms"))                 \
    S(SUSPENSION_GET, "SELECT id, cause, " SQL_SINCE ", " SQL_UNTIL ", attempts, offence, \"by\","  \
                      " note"                                                                      \
                      " FROM suspension INDEXED BY suspension_open WHERE mailbox = ?1"            \
                      " AND ended_ms IS NULL AND until_ms > ?2")                                  \
    S(SUSPENSION_PUT, "INSERT INTO suspension (mailbox, cause, since_ms, until_ms, attempts,"     \
                      " offence, \"by\", note, lasts_ms)"                                         \
                      " VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?4 - ?3)")                         \
    S(SUSPENSION_TRIED, "SELECT lasts_ms, tried FROM suspension WHERE id = ?1")                   \
    S(SUSPENSION_ATTEMPT, "UPDATE suspension SET attempts = ?2, until_ms = ?3, tried = ?4"        \
                          " WHERE id = ?1")                                                       \
    S(SUSPENSION_END, "UPDATE suspension SET ended_ms = ?2 WHERE mailbox = ?1 AND cause = ?3"     \
                      " AND ended_ms IS NULL AND until_ms > ?2")                                  \
    /* also one that is over at ?2: it must not come back when the clock goes back */              \
    S(SUSPENSION_REPLACE, "UPDATE suspension SET ended_ms = ?2 WHERE mailbox = ?1 AND cause = ?3" \
                          " AND ended_ms IS NULL")                                                \
    S(OFFENCES_MEND, "UPDATE suspension SET since_ms = ?2 WHERE mailbox = ?1 AND cause = ?3"      \
                     " AND since_ms > ?2 " SQL_AHEAD)                                             \
    S(SUSPENSION_COUNT, "SELECT count(*) FROM suspension WHERE mailbox = ?1 AND cause = ?2"       \
                        " AND since_ms > ?3")                                                     \
    S(SUSPENSION_MEND, "UPDATE suspension SET since_ms = " SQL_SINCE ", until_ms = " SQL_UNTIL    \
                       " WHERE mailbox = ?1 AND ended_ms IS NULL AND " SQL_IS_AHEAD)               \
    S(SUSPENSION_LIST, "SELECT id, cause, " SQL_SINCE ", " SQL_UNTIL ", attempts, offence, \"by\"," \
                       " note, mailbox FROM suspension WHERE ended_ms IS NULL AND until_ms > ?2"        \
                       " AND mailbox > ?1 ORDER BY mailbox")                                      \
    S(SUSPENSION_SWEEP, "DELETE FROM suspension WHERE since_ms <= ?1 - ?2"                        \
                        " AND (ended_ms < ?1 - " SQL_NUMBER(UNDO_MINUTES) " * 60000"              \
                        " OR until_ms <= ?1)")                                                    \
    S(SUSPENSION_LIFTED, "SELECT until_ms FROM suspension WHERE id = ?1 AND mailbox = ?2"         \
                         " AND cause = ?3 AND ended_ms IS NOT NULL")                              \
    S(SUSPENSION_LATER, "SELECT 1 FROM suspension WHERE mailbox = ?2 AND cause = ?3"              \
                        " AND (id > ?1 OR ended_ms IS NULL AND until_ms > ?4) LIMIT 1")           \
    S(SUSPENSION_UNLIFT, "UPDATE suspension SET ended_ms = NULL WHERE id = ?1")                   \
    S(ADJUSTMENT_PUT, "INSERT OR REPLACE INTO adjustment (change, subject, rule, kind, removed,"  \
                      " value, until_ms, at_ms) VALUES ((SELECT coalesce(max(change), 0) + 1"     \
                      " FROM adjustment), ?1, ?2, ?3, ?4, ?5, ?6, ?7)")                           \
    S(ADJUSTMENT_GET, "SELECT value, until_ms FROM adjustment WHERE subject = ?1 AND rule = ?2"   \
                      " AND kind = ?3 AND NOT removed AND until_ms > ?4")                         \
    S(ADJUSTMENT_LIST, "SELECT change, subject, rule, kind, removed, value, until_ms"             \
                       " FROM adjustment WHERE change > ?1 ORDER BY change LIMIT ?2")             \
    S(ADJUSTMENT_SWEEP, "DELETE FROM adjustment WHERE change < (SELECT max(change)"               \
                        " FROM adjustment)"                                                       \
                        " AND CASE WHEN removed THEN at_ms ELSE until_ms END <= ?1 - ?2")         \
    S(AUDIT_PUT, "INSERT INTO audit (at_ms, \"by\", act, subject, note, detail)"                  \
                 " VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                                              \
    S(AUDIT_AFTER, SQL_AUDIT "number > ?1 ORDER BY number LIMIT ?2")                              \
    S(AUDIT_BEFORE, SQL_AUDIT "number < ?1 ORDER BY number DESC LIMIT ?2")                        \
    S(AUDIT_NUMBER, "SELECT coalesce(max(number), 0) FROM audit WHERE subject = ?1")              \
    S(AUDIT_OF, SQL_AUDIT "number < ?1 AND subject = ?3 ORDER BY number DESC LIMIT ?2")           \
    /* ?5: only where nothing is */                                                               \
    S(KEPT_PUT, "INSERT INTO kept (kind, key, value, until_ms) VALUES (?1, ?2, ?3, ?4)"           \
                " ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value,"                  \
                " until_ms = excluded.until_ms WHERE NOT ?5 OR until_ms <= ?6")                   \
    S(KEPT_GET, "SELECT key, value, until_ms FROM kept WHERE kind = ?1 AND key = ?2"              \
                " AND until_ms > ?3")                                                             \
    S(KEPT_LIST, "SELECT key, value, until_ms FROM kept WHERE kind = ?1 AND key > ?2"             \
                 " AND until_ms > ?3 ORDER BY key LIMIT ?4")                                      \
    S(KEPT_DROP, "DELETE FROM kept WHERE kind = ?1 AND key = ?2 AND until_ms > ?3")               \
    S(KEPT_SWEEP, "DELETE FROM kept WHERE (kind, key) IN (SELECT kind, key FROM kept"             \
                  " WHERE until_ms <= ?1 ORDER BY until_ms LIMIT ?2)")                            \
    S(VALUE_GET, "SELECT key, version, until_ms, bytes FROM value WHERE id = ?1 AND kind = ?2"    \
                 " AND key = ?3 AND until_ms > ?4")                                               \
    S(VALUE_STATE, "SELECT version, until_ms FROM value WHERE id = ?1 AND kind = ?2 AND key = ?3") \
    S(VALUE_PUT, "INSERT INTO value (id, kind, key, version, until_ms, bytes)"                    \
                 " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET"                \
                 " version = excluded.version, until_ms = excluded.until_ms,"                     \
                 " bytes = excluded.bytes WHERE kind = excluded.kind AND key = excluded.key"      \
                 " AND until_ms <= ?7")                                                           \
    S(VALUE_REPLACE, "UPDATE value SET version = ?4, until_ms = ?5, bytes = ?6 WHERE id = ?1"     \
                     " AND kind = ?2 AND key = ?3 AND version = ?7 AND until_ms > ?8")            \
    S(VALUE_DROP, "DELETE FROM value WHERE id = ?1 AND kind = ?2 AND key = ?3 AND version = ?4"   \
                  " AND until_ms > ?5")                                                           \
    S(VALUE_LIST, "SELECT key, version, until_ms, bytes FROM value WHERE kind = ?1"               \
                  " AND " SQL_VALUE_LISTED " AND key > ?2 AND until_ms > ?3 ORDER BY key LIMIT ?4")                        \
    S(VALUE_NEXT, "SELECT count(*), max(id) FROM"                                                 \
                  " (SELECT id FROM value WHERE id > ?1 ORDER BY id LIMIT ?2)")                   \
    S(VALUE_SWEEP, "DELETE FROM value WHERE id > ?1 AND id <= ?2 AND until_ms <= ?3")             \
    /* once an hour of the clock is enough; a condition of the INSERT on its own table would make \
     * SQLite build a temporary one for each row */                                               \
    S(SENDER_FIND, "SELECT 1 FROM sender WHERE ip IS ?4 AND mailbox = ?2"                         \
                   " AND at_ms >= ?1 - ?1 % 3600000")                                             \
    S(SENDER_PUT, "INSERT INTO sender (at_ms, mailbox, domain, ip) VALUES (?1, ?2, ?3, ?4)")      \
    S(SENDER_OF_IP, "SELECT mailbox, max(at_ms) FROM sender WHERE ip = ?1 AND mailbox > ?2"       \
                    " AND at_ms > ?3 GROUP BY mailbox ORDER BY mailbox LIMIT ?4")                 \
    S(SENDER_OF_DOMAIN, "SELECT mailbox, max(at_ms) FROM sender WHERE domain = ?1"                \
                        " AND mailbox > ?2 AND at_ms > ?3 GROUP BY mailbox ORDER BY mailbox"      \
                        " LIMIT ?4")                                                              \
    S(SENDER_SWEEP, "DELETE FROM sender WHERE id IN (SELECT id FROM (SELECT id, at_ms"            \
                    " FROM sender ORDER BY id LIMIT ?2) WHERE at_ms <= ?1)")                      \
    S(NEAR_PUT, "INSERT INTO near (key, rule, at_ms) VALUES (?1, ?2, ?3)"                         \
                " ON CONFLICT (key, rule) DO UPDATE SET at_ms = max(at_ms, excluded.at_ms)")      \
    S(NEAR_LIST, "SELECT key, rule, at_ms FROM near WHERE at_ms > ?1 ORDER BY at_ms DESC, key")   \
    S(NEAR_SWEEP, "DELETE FROM near WHERE (key, rule) IN (SELECT key, rule FROM near"             \
                  " WHERE at_ms <= ?1 ORDER BY at_ms LIMIT ?2)")                                  \
    S(COUNTER_ADD, "INSERT INTO counter (name, value) VALUES (?1, ?2)"                            \
                   " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value")            \
    S(COUNTER_LIST, "SELECT name, value FROM counter WHERE name > ?1 ORDER BY name LIMIT ?2")     \
    /* ended ones of the mailbox */                                                               \
    S(TICKET_TIDY, "DELETE FROM ticket WHERE history = ?1 AND (until_ms <= ?2 OR until_ms > ?3)") \
    S(TICKET_PUT, "INSERT OR REPLACE INTO ticket (history, id, recipients, until_ms)"             \
                  " VALUES (?1, ?2, ?3, ?4)")                                                     \
    S(TICKET_GET, "SELECT id, recipients FROM ticket WHERE history = ?1"                          \
                  " AND recipients & 32767 = ?2"                                                  \
                  " AND until_ms > ?3 AND until_ms <= ?4 ORDER BY until_ms, id LIMIT 1")          \
    /* until version 5 of the schema an id had upper bits too */                                  \
    S(TICKET_DROP, "DELETE FROM ticket WHERE history = ?1 AND id & 4294967295 = ?2")              \
    S(TICKET_SWEEP, "DELETE FROM ticket WHERE history > ?1 AND history <= ?2 AND until_ms <= ?3") \
    S(PAIR_GET, "SELECT data FROM pair WHERE history = ?1 AND recipient = ?2")                    \
    S(PAIR_OF, "SELECT recipient, data FROM pair WHERE history = ?1")                             \
    S(PAIR_PUT, "INSERT INTO pair (history, recipient, newest_ms, data) VALUES (?1, ?2, ?3, ?4)"  \
                " ON CONFLICT (history, recipient) DO UPDATE SET newest_ms = excluded.newest_ms,"  \
                " data = excluded.data")                                                          \
    S(PAIR_DROP, "DELETE FROM pair WHERE history = ?1 AND recipient = ?2")                        \
    S(PAIR_DROP_OF, "DELETE FROM pair WHERE history = ?1")                                        \
    S(PAIR_NEXT, "SELECT history, recipient, newest_ms FROM pair"                                 \
                 " WHERE (history, recipient) > (?1, ?2) ORDER BY history, recipient LIMIT ?3")    \
    S(HAND_GET, "SELECT position FROM hand WHERE id = ?1")                                        \
    S(HAND_PUT, "INSERT OR REPLACE INTO hand (id, position) VALUES (?1, ?2)")

#define SQLITE_STATEMENT_NAME(name, sql) SQL_##name,
enum sqlite_statement { SQLITE_STATEMENTS(SQLITE_STATEMENT_NAME) SQL_COUNT };

/* Copies the write-ahead log back in the background, while transactions of this
 * process go on but for short moments. */
struct sqlite_checkpointer;
struct sqlite_checkpointer *sqlite_checkpoint_start(const char *path);
void sqlite_checkpoint_stop(struct sqlite_checkpointer **checkpointer);
/* Around each transaction, one at a time. 1, or -1 when it may not begin before give_up_us (of
 * clock_monotonic_us): do not leave then. */
int sqlite_checkpoint_enter(struct sqlite_checkpointer *checkpointer, bool to_write,
                            int64_t give_up_us) must_check;
void sqlite_checkpoint_leave(struct sqlite_checkpointer *checkpointer);
/* Copy the log although it is short: the disk is full, and the log may begin anew. */
void sqlite_checkpoint_want(struct sqlite_checkpointer *checkpointer);
/* For sqlite3_wal_hook, with the checkpointer as argument. */
int sqlite_checkpoint_after_commit(void *checkpointer, sqlite3 *db, const char *name, int frames);

/* For sqlite3_busy_handler: another connection has the lock. Waits until *until_us, an int64_t of
 * clock_monotonic_us. */
int sqlite_wait_for_lock(void *until_us, int asked);

struct sqlite_backend {
    struct backend base;
    struct sqlite_checkpointer *checkpointer;
    char *path;
    bool full_durability;
    sqlite3 *db;  /* NULL: not open now */
    int64_t give_up_us; /* of the operation under way: until then it waits for locks */
    bool was_made;   /* by this opening */
    bool is_earlier; /* it has tables of an earlier version */
    bool unusable;   /* the last opening failed until somebody repairs the file or its rights */
    bool was_there; /* the file was seen once: no new one is made when it goes */
    dev_t device;
    ino_t inode;
    uint8_t hash_key[IDENTITY_KEY_SIZE]; /* names rows */
    sqlite3_stmt *statements[SQL_COUNT];
    struct text record; /* scratch */
    struct text pair;   /* the same: what is kept of a pair */
    struct text profile; /* the same */
    struct sqlite_heads *heads;
    int64_t next_step_us; /* of values: the next one begins no earlier; clock_monotonic_us */
    size_t judged_since_sweep, histories_since_sweep; /* messages; new rows of histories */
    size_t pairs_since_sweep; /* new rows */
};

static inline struct sqlite_backend *sqlite_backend(struct backend *backend)
{
    return (struct sqlite_backend *)(void *)backend;
}

/* Open when need be and begin: 1 or -1. */
int sqlite_begin(struct sqlite_backend *backend, bool to_write) must_check;
/* Commit when result >= 0, else roll back. Returns result, or -1 when the commit failed. */
int sqlite_end(struct sqlite_backend *backend, int result) must_check;
/* Roll back without an error. 0 or -1. */
int sqlite_undo(struct sqlite_backend *backend) must_check;

/* A statement ready for its parameters. */
sqlite3_stmt *sqlite_take(struct sqlite_backend *backend, enum sqlite_statement which);
/* 1 a row, 0 no (further) row, -1 with backend->error. After 0 and -1 the statement is reset. */
int sqlite_row(struct sqlite_backend *backend, sqlite3_stmt *statement) must_check;
/* The same for a page of a list, whose statement yields page->max + 1 rows at most. 1 a row for the
 * place page->count, which the caller then raises; 0 with page->more; -1. */
int sqlite_page_row(struct sqlite_backend *backend, sqlite3_stmt *statement,
                    struct store_page *page) must_check;
/* For statements without rows: 1 or -1. */
int sqlite_do(struct sqlite_backend *backend, sqlite3_stmt *statement) must_check;

void sqlite_bind_string(sqlite3_stmt *statement, int index, const char *string);
/* The place of a name in a table of names, 0 when it is none of them. */
int sqlite_find_name(const char *const *names, int count, const char *name);
/* A text column, cut to `size`. */
void sqlite_copy_text(sqlite3_stmt *statement, int column, char *text_r, size_t size);

/* The suspensions that hold at now_ms. 1 or -1. */
int sqlite_suspensions_held(struct sqlite_backend *backend, const char *mailbox, int64_t now_ms,
                            struct suspensions *suspensions_r) must_check;
void sqlite_read_suspension(sqlite3_stmt *statement, struct suspension *suspension_r);
/* Make one, in the place of `replaced` (NULL: none of its cause holds): the offences of the last 30
 * days choose the duration. *suspensions_r: what holds then. 1 or -1. */
int sqlite_make_suspension(struct sqlite_backend *backend, const char *mailbox, enum cause cause,
                           const struct durations *durations, const struct suspension *replaced,
                           const struct action *action,
                           struct suspensions *suspensions_r) must_check;

/* As store_suspend, within a transaction. */
int sqlite_suspend(struct sqlite_backend *backend, const char *mailbox, enum cause cause,
                   const struct durations *durations, const struct action *action,
                   struct suspension *suspension_r) must_check;

/* Whether an entry that a caller wrote fits into the audit log (NULL does): 1 or -1. Call before a
 * transaction begins. */
int sqlite_check_audited(struct sqlite_backend *backend, const struct audited *audited) must_check;
/* Writes an entry of the audit log. 1 or -1. */
int sqlite_put_audit(struct sqlite_backend *backend, const struct audited *audited) must_check;
/* The same for an operation of the store: `name` of what, on `subject`. 1 or -1. */
int sqlite_audit_action(struct sqlite_backend *backend, const struct action *action,
                        const char *name, const char *subject,
                        const struct text *detail) must_check;

/* The row behind which a sweep of a table goes on, -1 from the first; kept in the table "hand".
 * 1 or -1. */
enum sqlite_hand { HAND_HISTORIES = 1, HAND_VALUES = 2, HAND_PAIRS = 3, HAND_PAIR_RECIPIENTS = 4 };
int sqlite_get_hand(struct sqlite_backend *backend, enum sqlite_hand hand, int64_t *position_r)
    must_check;
int sqlite_put_hand(struct sqlite_backend *backend, enum sqlite_hand hand, int64_t position)
    must_check;
/* Remove at most `rows` rows of at or before past_ms. 1 or -1. */
int sqlite_remove_past(struct sqlite_backend *backend, enum sqlite_statement which, int64_t past_ms,
                       int64_t rows) must_check;

/* A refund of a step (values.h), inside a transaction. After -1 *damaged_r says that a history is damaged, which
 * only a repair changes; no history is changed then. */
int sqlite_refund(struct sqlite_backend *backend, const struct value_refund *refund,
                  int64_t now_ms, bool *damaged_r) must_check;

/* Put a value as it is, version and all, in the place of none, or of one that is past at past_ms
 * (UNTIL_LIFTED: of any). 1; 0 another one is there; -1. */
int sqlite_values_put(struct sqlite_backend *backend, const struct value *value,
                      int64_t past_ms) must_check;
/* Looks whether the block of a domain or a mailbox, whichever `key` is, holds. 1; 0 no, and
 * *damaged_r says when what is kept is damaged; -1. */
int sqlite_values_block(struct sqlite_backend *backend, const char *key, int64_t now_ms,
                        struct failure_in_force *block_r, bool *damaged_r) must_check;
/* Adds a message that would be counted, at result->at_ms, to the profile of its mailbox; fills what is
 * unusual of it, and what is told of the profile. 1 or -1. */
int sqlite_values_profile(struct sqlite_backend *backend, const struct judge_request *request,
                          struct judge_result *result) must_check;
/* Whether a message that was counted before waits, as profile_holds. 1, 0, -1. */
int sqlite_values_holds(struct sqlite_backend *backend, const struct judge_request *request, bool waited)
    must_check;
/* Lists a message that is unusual. 1 or -1. */
int sqlite_values_list_unusual(struct sqlite_backend *backend, const struct judge_request *request,
                               const struct unusual *unusual, int64_t at_ms) must_check;
/* Remove values of the rows behind `after` up to `last` that are past at past_ms. 1 or -1. */
int sqlite_values_sweep(struct sqlite_backend *backend, int64_t after, int64_t last,
                        int64_t past_ms) must_check;

/* Forget a history whole. 1 or -1. */
int sqlite_drop_history(struct sqlite_backend *backend, enum subject subject, const char *key)
    must_check;

/* Tickets, by sqlite_ticket.c; a mailbox by its history's row. Leave one for the message
 * that was just counted, at at_ms; `waits`: it is to. 1 or -1. */
int sqlite_leave_ticket(struct sqlite_backend *backend, int64_t history,
                        const struct judge_request *request, bool waits, int64_t at_ms) must_check;
/* Take the oldest that holds at at_ms for request->redeem recipients, in a dry run only look:
 * 1, 0 there is none, -1. *id_hash_r: identity_of_id of its submission; *waits_r: it is to. */
int sqlite_redeem_ticket(struct sqlite_backend *backend, int64_t history,
                         const struct judge_request *request, int64_t at_ms, uint32_t *id_hash_r,
                         bool *waits_r) must_check;
/* Remove the ticket of that submission, if there is one. 1 or -1. */
int sqlite_drop_ticket(struct sqlite_backend *backend, int64_t history, const char *id) must_check;
/* Remove ended tickets of the histories behind `after` up to `last`. 1 or -1. */
int sqlite_sweep_tickets(struct sqlite_backend *backend, int64_t after, int64_t last,
                         int64_t now_ms)
    must_check;

/* What a mailbox's or IP's history holds at at_ms or its newest entry, whichever
 * is later; in `arena`. 1 or -1. */
int sqlite_read_history(struct sqlite_backend *backend, struct arena *arena, enum subject subject,
                        const char *key, int64_t at_ms, struct history *history_r) must_check;

/* Adds record_until to the connection: when the record in a blob is past, 0 where it is none. */
int sqlite_add_record_until(sqlite3 *db);

/* A record that was kept until version 5 of the schema: id, facts, at_ms, outcome, used. */
void sqlite_read_older(sqlite3_stmt *row, struct arena *arena, struct record *record_r);

/* The operations, by file. */
extern const struct judge_operations sqlite_judge;
extern const struct suspension_operations sqlite_suspensions;
extern const struct adjustment_operations sqlite_adjustments;
/* Its value, or the name of its plan: the column takes a text too. */
void sqlite_bind_adjusted(sqlite3_stmt *put, int column, const struct adjustment *adjustment);
extern const struct record_operations sqlite_records;
extern const struct audit_operations sqlite_audit;
extern const struct kept_operations sqlite_kept;
extern const struct value_operations sqlite_values;
extern const struct observation_operations sqlite_observations;
extern const struct transfer_operations sqlite_transfer;
int sqlite_sweep_all(struct backend *backend, int64_t now_ms);
/* Remove some of what ended: at most so many rows of each table of records, and among the next so
 * many histories. 1 or -1. */
int sqlite_sweep_some(struct sqlite_backend *backend, int64_t now_ms, size_t records,
                      size_t histories) must_check;

#endif
