/* Inside the Redis backend: its connection, scripts and deadlines. redis.c signs in, sends and
 * receives, over redis_wire.c; redis_sentinel.c finds the server; redis_script.c makes the scripts;
 * redis_judge.c judges messages. Every other file implements the header of lib/store that has its
 * name, with one call of a script an operation, by redis_ask.c. */
#ifndef SENDGUARD_STORE_REDIS_H
#define SENDGUARD_STORE_REDIS_H

#include "base/clock.h"
#include "base/text.h"
#include "store/backend.h"
#include "store/identity.h"
#include "store/redis/redis_format.h"
#include "store/redis/redis_sentinel.h"

enum script { SCRIPT_JUDGE, SCRIPT_ACTION, SCRIPT_DESK, SCRIPT_OBSERVE, SCRIPT_VALUES,
              SCRIPT_READ, SCRIPT_COUNT };
enum { SHA1_HEX_SIZE = 41 };
#define REDIS_CLIENT_NAME "sendguard" /* of each connection, in CLIENT LIST */
/* The field of sg:numbers that marks a database with a part of a store; what is said of one. */
#define REDIS_MOVING "moving"
#define REDIS_PART "it has only a part of a store"

struct redis_backend {
    struct backend base;
    struct redis_place place;
    struct redis_sentinels *sentinels; /* who says where `place` is now; NULL: store.url does */
    char *where; /* the same, for error texts */
    bool moved;  /* the server said that it is not, or no more, the one to write to */
    int database;
    struct redis_access access;
    struct redis_wire wire;
    char hashes[SCRIPT_COUNT][SHA1_HEX_SIZE]; /* under which the server knows the scripts */
    int replicas; /* have to have what changed before it is told */
    bool waits;   /* what is sent ends with a WAIT for them */
    struct text out;                           /* commands to send */
    struct text given;                         /* scratch: what judge.lua is given of a message */
    int64_t clock_offset_us; /* server's clock minus ours, at least */
    uint8_t hash_key[IDENTITY_KEY_SIZE]; /* of the database */
    bool knows_hash_key, offers_hash_key; /* this is the database's; what it would be given */
    int64_t earlier_until_us; /* the server's clock: until then there may be what the version before
                                 kept */
    bool moves_in;           /* fills the database: it may have only a part */
    unsigned judged_since_trim;
    char sweep_cursor[24];   /* where the next sweep goes on; "" from the start */
};

static inline struct redis_backend *redis_backend(struct backend *backend)
{
    return (struct redis_backend *)(void *)backend;
}

/* Times in the past or for which an entry has no bits are no times of ours. */
#define REDIS_TIME_MAX_MS INT64_C(17000000000000)

/* A number as text, in `arena`. */
static inline struct argument argument_int(struct arena *arena, int64_t number)
{
    return argument_string(arena_printf(arena, "%lld", (long long)number));
}
/* The key of a history of that name; of the mailbox's history that a channel counts in. */
/* Before the name of a history of that subject in its key. */
const char *redis_history_prefix(enum subject subject);
struct argument redis_argument_history(struct arena *arena, enum subject subject,
                                       const char *name);
struct argument redis_argument_history_of(struct arena *arena, enum channel channel,
                                          const char *mailbox);

/* An operation's time: it begins here and is over at `give_up_us`, our monotonic
 * clock. What is sent carries the same moment in the server's clock, so that a
 * server that wakes up later changes nothing any more. */
struct action_time {
    int64_t began_us, give_up_us;
};
struct action_time redis_begin(const struct redis_backend *backend);
bool redis_is_over(const struct action_time *time);

/* A connection that can be used: the one that is there, or a new one with all
 * scripts loaded. 1 or -1. */
int redis_connected(struct redis_backend *backend, const struct action_time *time) must_check;

/* Makes sure that the key of the hashes by which submissions are known is the database's: gives it
 * one where it has none. 1 or -1. */
int redis_find_hash_key(struct redis_backend *backend, const struct action_time *time) must_check;
/* Whether there may be what the version before kept. */
bool redis_looks_for_earlier(const struct redis_backend *backend);

/* Put a call of a script into backend->out; its first argument is the deadline. begin_call: `count`
 * arguments are to follow. */
void redis_begin_call(struct redis_backend *backend, const struct action_time *time,
                      enum script script, size_t count);
void redis_add_argument(struct redis_backend *backend, const struct argument *argument);
void redis_add_call(struct redis_backend *backend, const struct action_time *time,
                    enum script script,
                    const struct argument *arguments, size_t count);
/* The same of a plain command, for when no other program uses the database. */
void redis_add_command(struct redis_backend *backend, const struct argument *arguments,
                       size_t count);
/* Put a wait for the replicas behind the call, where the settings want any: redis_receive then says
 * whether they have all that the call, or one before it, has changed. It ends early enough for the
 * answer. */
void redis_add_wait(struct redis_backend *backend, const struct action_time *time);
/* Send backend->out. 1, or -1 with the connection dropped. */
int redis_send(struct redis_backend *backend, const struct action_time *time) must_check;

/* What became of a call. */
enum called {
    CALLED,        /* *reply_r is the script's answer */
    CALL_UNCONFIRMED, /* the same, but too few replicas have said in time that they have what was
                         changed; backend->error says so */
    CALL_REFUSED,  /* an error of the server's, in backend->error; nothing was changed */
    CALL_UNKNOWN,  /* the script is not loaded; nothing was changed */
    CALL_LATE,     /* it came past its deadline; nothing was changed */
    CALL_LOST,     /* no answer; the connection is dropped */
};
/* The next answer; the caller frees *reply_r (set with CALLED and CALL_UNCONFIRMED). */
enum called redis_receive(struct redis_backend *backend, const struct action_time *time,
                          redisReply **reply_r) must_check;
/* One whole reply, whatever it says: to a plain command. 1, or -1 with the connection dropped. */
int redis_read_reply(struct redis_backend *backend, const struct action_time *time,
                     redisReply **reply_r) must_check;
/* Every answer has the server's time; called with it, deadlines stay exact while clocks drift or
 * are set. */
void redis_learn_clock(struct redis_backend *backend, const struct action_time *time,
                       int64_t server_us);
/* Load the scripts again. 1 or -1. */
int redis_load_scripts(struct redis_backend *backend, const struct action_time *time) must_check;

/* ---- one call, by redis_ask.c ---- */

/* Calls until it is clear what became of it, twice at most; what SCRIPT_ACTION, SCRIPT_DESK and
 * SCRIPT_VALUES do waits for the replicas, also to find that there is nothing to do. 1 with *reply_r,
 * which begins with this server's time and a result, or -1. */
int redis_call(struct redis_backend *backend, enum script script, const struct argument *arguments,
               size_t count, redisReply **reply_r) must_check;
/* For a reply that has another form than the script gives it: says so, and returns -1. */
int redis_unexpected(struct redis_backend *backend);
/* An operation that answers yes or no and nothing else: 1, 0, -1. */
int redis_simple(struct redis_backend *backend, enum script script,
                 const struct argument *arguments, size_t count) must_check;
/* An operation that answers more than yes or no: the answer's third element, valid while *reply_r
 * is; NULL with backend->error. */
const redisReply *redis_ask(struct redis_backend *backend, enum script script,
                            const struct argument *arguments, size_t count,
                            redisReply **reply_r) must_check;
/* As redis_ask, for a list of at most `max` elements. */
const redisReply *redis_ask_list(struct redis_backend *backend, enum script script,
                                 const struct argument *arguments, size_t count, size_t max,
                                 redisReply **reply_r) must_check;
/* Asks read.lua for a page of a list whose entries take `width` elements each; the arguments ask
 * for page->max + 1 entries, one further than told. The list, of which the first page->count
 * entries are the page's; NULL with backend->error. */
const redisReply *redis_ask_page(struct redis_backend *backend, const struct argument *arguments,
                                 size_t count, size_t width, struct store_page *page,
                                 redisReply **reply_r) must_check;
/* 1, or -1 when it is no time of ours. */
int redis_check_time(struct redis_backend *backend, int64_t now_ms) must_check;

/* An element as a number, 0 when it is none; as a string, "" when it is none. */
int64_t redis_number(const redisReply *element);
const char *redis_text(const redisReply *element);
/* Cut to `size`: who wrote it may be another version. */
void redis_copy_text(const redisReply *element, char *text_r, size_t size);

/* What scripts write into the audit log beside their operation: its last arguments.
 * 1, or -1 when something is longer than struct audit has room for. */
enum { AUDITED_ARGUMENTS = 6 };
int redis_add_audited(struct redis_backend *backend, const struct audited *audited,
                      struct argument arguments_r[AUDITED_ARGUMENTS]) must_check;

/* What refund.lua is told of a message, by the key of the hashes: its last arguments. */
enum { REFUND_ARGUMENTS = 3 };
void redis_add_refund(const struct redis_backend *backend, struct arena *arena,
                      const struct value_refund *refund,
                      struct argument arguments_r[REFUND_ARGUMENTS]);

/* A suspension as suspend.lua reads it. Returns how many arguments it is, or -1. */
enum { SUSPENSION_ARGUMENTS = 5 + DURATIONS_MAX };
int redis_add_suspension(struct redis_backend *backend, struct arena *arena,
                         const struct value_suspension *suspension,
                         struct argument arguments_r[SUSPENSION_ARGUMENTS]) must_check;

/* ---- what answers hold ---- */

/* The suspension in an answer's element. 1, or 0 when it has another form. */
int redis_read_suspension(const redisReply *element, struct suspension *suspension_r) must_check;
/* The same of a list of those that hold. */
int redis_read_suspensions(const redisReply *element, struct suspensions *suspensions_r) must_check;
/* The entries of a history, by place. */
size_t redis_entry_count(const redisReply *element, enum subject subject);
struct counted redis_read_entry(const redisReply *element, enum subject subject, size_t at);
/* Decode a subject's entries into `arena`, without those before its longest window. */
void redis_read_history(const redisReply *element, struct arena *arena, enum subject subject,
                        int64_t at_ms, struct history *history_r);

/* What a record says of the totals that it has; packed_record.h. */
int redis_record_shape(void);
/* The record of the version before: 1, or 0 when it is none. `text` is changed. */
int redis_read_earlier_record(char *text, size_t length, struct record *record_r,
                              int64_t *until_ms_r) must_check;

/* Values, as values.lua keeps them: whether a kind has an index; a value's key and its text, in
 * `arena`. */
const char *redis_values_key(struct arena *arena, const struct value *value);
struct argument redis_values_text(struct arena *arena, const struct value *value);
/* The same back, all but kind and key: 1; 0, with nothing but them, when there is none or it has
 * ended; -1 when it has another form. */
int redis_values_read(struct redis_backend *backend, struct arena *arena,
                      const redisReply *element, int64_t now_ms, struct value *value) must_check;

/* The script, as Redis gets it. */
void redis_script_add(struct text *out, enum script script);

/* The operations, by file. */
extern const struct judge_operations redis_judge;
extern const struct suspension_operations redis_suspensions;
extern const struct adjustment_operations redis_adjustments;
extern const struct record_operations redis_records;
extern const struct audit_operations redis_audit;
extern const struct kept_operations redis_kept;
extern const struct value_operations redis_values;
extern const struct observation_operations redis_observations;
extern const struct transfer_operations redis_transfer;
int redis_sweep(struct backend *backend, int64_t now_ms);
int redis_server(struct backend *backend, struct store_server *server_r);

#endif
