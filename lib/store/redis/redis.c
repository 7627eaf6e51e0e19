/* The Redis backend's connection. Every operation is one script, called by its hash, so
 * it is atomic, and one round trip, also for a batch of messages. */
#include "store/redis/redis.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- time ---------------------------------------------------------------- */

struct action_time redis_begin(const struct redis_backend *backend)
{
    int64_t now_us = clock_monotonic_us();
    return (struct action_time){.began_us = now_us,
                             .give_up_us = now_us + (int64_t)backend->base.timeout_ms * 1000};
}

bool redis_is_over(const struct action_time *time)
{
    return clock_monotonic_us() >= time->give_up_us;
}

/* An eighth of the time is left for the answer's way back. */
static int64_t server_deadline_us(const struct redis_backend *backend,
                                  const struct action_time *time)
{
    int64_t way_back_us = (int64_t)backend->base.timeout_ms * 1000 / 8;
    return time->give_up_us - way_back_us + backend->clock_offset_us;
}

/* The server read its clock between the operation's begin and now, so the offset lies
 * between two bounds. The lower one is kept, because it gives up too early
 * rather than too late; the highest lower bound that was seen is the best. */
void redis_learn_clock(struct redis_backend *backend, const struct action_time *time,
                       int64_t server_us)
{
    if (server_us < 0 || server_us > REDIS_TIME_MAX_MS * 1000) /* no clock says so */
        return;
    int64_t low = server_us - clock_monotonic_us(), high = server_us - time->began_us;
    if (backend->clock_offset_us < low || backend->clock_offset_us > high)
        backend->clock_offset_us = low;
}

/* ---- the wire -------------------------------------------------------------- */

static void disconnect(struct redis_backend *backend)
{
    redis_wire_close(&backend->wire);
    backend->knows_hash_key = false;
}

static int fail(struct redis_backend *backend, const char *why)
{
    return backend_fail(&backend->base, "redis at %s: %s", backend->where, why);
}

/* The wire says why. */
static int lost(struct redis_backend *backend)
{
    backend->knows_hash_key = false;
    return fail(backend, backend->wire.why);
}

static int drop(struct redis_backend *backend, const char *why)
{
    redis_wire_fail(&backend->wire, why);
    return lost(backend);
}

int redis_send(struct redis_backend *backend, const struct action_time *time)
{
    if (redis_wire_send(&backend->wire, backend->out.data, backend->out.length,
                        time->give_up_us) < 0)
        return lost(backend);
    text_clear(&backend->out);
    return 1;
}

int redis_read_reply(struct redis_backend *backend, const struct action_time *time,
                     redisReply **reply_r)
{
    return redis_wire_read(&backend->wire, time->give_up_us, reply_r) < 0 ? lost(backend) : 1;
}

void redis_add_command(struct redis_backend *backend, const struct argument *arguments, size_t count)
{
    redis_wire_begin_command(&backend->out, count);
    for (size_t i = 0; i < count; i++)
        redis_wire_add_argument(&backend->out, &arguments[i]);
}

/* ---- scripts ------------------------------------------------------------------ */

int redis_load_scripts(struct redis_backend *backend, const struct action_time *time)
{
    text_clear(&backend->out);
    for (size_t i = 0; i < SCRIPT_COUNT; i++) {
        freed_by(text_free) struct text script = {0};
        redis_script_add(&script, (enum script)i);
        const struct argument words[] = {argument_string("SCRIPT"), argument_string("LOAD"),
                                         {script.data, script.length}};
        redis_add_command(backend, words, countof(words));
    }
    if (redis_send(backend, time) < 0)
        return -1;
    for (size_t i = 0; i < SCRIPT_COUNT; i++) {
        freed_by(redis_free_reply) redisReply *reply = NULL;
        if (redis_read_reply(backend, time, &reply) < 0)
            return -1;
        if (reply->type != REDIS_REPLY_STRING || reply->len != SHA1_HEX_SIZE - 1)
            return drop(backend, reply->type == REDIS_REPLY_ERROR ? reply->str
                                                                  : "it does not load scripts");
        memcpy(backend->hashes[i], reply->str, SHA1_HEX_SIZE);
    }
    return 1;
}

void redis_add_argument(struct redis_backend *backend, const struct argument *argument)
{
    redis_wire_add_argument(&backend->out, argument);
}

void redis_begin_call(struct redis_backend *backend, const struct action_time *time,
                      enum script script, size_t count)
{
    char deadline[24];
    backend->waits = false;
    snprintf(deadline, sizeof deadline, "%lld", (long long)server_deadline_us(backend, time));
    const char *const fixed[] = {"EVALSHA", backend->hashes[script], "0", deadline};
    redis_wire_begin_command(&backend->out, countof(fixed) + count);
    for (size_t i = 0; i < countof(fixed); i++) {
        struct argument argument = argument_string(fixed[i]);
        redis_wire_add_argument(&backend->out, &argument);
    }
}

void redis_add_call(struct redis_backend *backend, const struct action_time *time,
                    enum script script, const struct argument *arguments, size_t count)
{
    redis_begin_call(backend, time, script, count);
    for (size_t i = 0; i < count; i++)
        redis_add_argument(backend, &arguments[i]);
}

/* redis-server looks for waits that are over ten times a second, so one may last so much longer. */
enum { WAIT_LATE_US = 125000 };

void redis_add_wait(struct redis_backend *backend, const struct action_time *time)
{
    char replicas[16], wait_ms[24];
    if (backend->replicas == 0)
        return;
    int64_t left_us = time->give_up_us - clock_monotonic_us();
    int64_t wait_us = left_us > 2 * WAIT_LATE_US ? left_us - WAIT_LATE_US : left_us / 2;
    snprintf(replicas, sizeof replicas, "%d", backend->replicas);
    snprintf(wait_ms, sizeof wait_ms, "%lld", /* 0: for ever */
             (long long)(wait_us > 1000 ? wait_us / 1000 : 1));
    const struct argument words[] = {argument_string("WAIT"), argument_string(replicas),
                                     argument_string(wait_ms)};
    redis_add_command(backend, words, countof(words));
    backend->waits = true;
}

/* The answer to WAIT: 1 enough replicas have it, 0 not, -1 lost. */
static int receive_wait(struct redis_backend *backend, const struct action_time *time)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    if (redis_read_reply(backend, time, &reply) < 0)
        return -1;
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer >= backend->replicas)
        return 1;
    if (reply->type == REDIS_REPLY_ERROR)
        fail(backend, reply->str);
    else
        backend_fail(&backend->base, "redis at %s: %lld of %d replicas acknowledge in time",
                     backend->where, reply->integer, backend->replicas);
    backend->moved = backend->sentinels != NULL; /* it may be cut off, and another the master */
    return 0;
}

/* A server answers so that has become a replica, or that has lost its own. */
static bool leads_elsewhere(const char *error)
{
    static const char *const errors[] = {"READONLY", "NOREPLICAS", "MASTERDOWN"};
    for (size_t i = 0; i < countof(errors); i++)
        if (strncmp(error, errors[i], strlen(errors[i])) == 0)
            return true;
    return false;
}

/* The next reply, to a call of a script. */
static enum called receive_answer(struct redis_backend *backend, const struct action_time *time,
                                  redisReply **reply_r)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    if (redis_read_reply(backend, time, &reply) < 0)
        return CALL_LOST;
    if (reply->type == REDIS_REPLY_INTEGER) {
        redis_learn_clock(backend, time, reply->integer);
        fail(backend, "it was too late when the request was read");
        return CALL_LATE;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        fail(backend, reply->str);
        backend->moved = backend->moved || leads_elsewhere(reply->str);
        return strncmp(reply->str, "NOSCRIPT", 8) == 0 ? CALL_UNKNOWN : CALL_REFUSED;
    }
    *reply_r = take(reply);
    return CALLED;
}

enum called redis_receive(struct redis_backend *backend, const struct action_time *time,
                          redisReply **reply_r)
{
    enum called called = receive_answer(backend, time, reply_r);
    if (!backend->waits || called == CALL_LOST)
        return called;
    char error[BACKEND_ERROR_SIZE];
    memcpy(error, backend->base.error, sizeof error);
    int confirmed = receive_wait(backend, time);
    if (confirmed < 0)
        redis_free_reply(reply_r);
    if (confirmed >= 0 && called != CALLED) /* there was nothing to confirm */
        memcpy(backend->base.error, error, sizeof error);
    return confirmed < 0                        ? CALL_LOST
           : confirmed == 0 && called == CALLED ? CALL_UNCONFIRMED
                                                : called;
}

/* ---- connecting ---------------------------------------------------------------- */

#define NO_SERVER "it does not speak as a redis-server"

/* One command by its words, answered: 1 with *reply_r, which may be an error; -1. */
static int ask(struct redis_backend *backend, const struct action_time *time,
               const char *const *words, size_t count, redisReply **reply_r)
{
    return redis_wire_ask(&backend->wire, time->give_up_us, words, count, reply_r) < 0
               ? lost(backend)
               : 1;
}
#define ASK(backend, time, reply_r, ...)                          \
    ask(backend, time, (const char *const[]){__VA_ARGS__},        \
        countof(((const char *const[]){__VA_ARGS__})), reply_r)

/* What an error means where nothing but the settings is wrong. */
static const char *explain(const char *error)
{
    if (strncmp(error, "ERR unknown command", strlen("ERR unknown command")) == 0)
        return NO_SERVER ", perhaps a sentinel: expected redis+sentinel:// for one";
    return strncmp(error, "NOAUTH", strlen("NOAUTH")) == 0
               ? "NOAUTH: it wants a password: expected store.password_file, and store.user of ACLs"
               : error;
}

static int choose_database(struct redis_backend *backend, const struct action_time *time)
{
    char number[16];
    freed_by(redis_free_reply) redisReply *reply = NULL;
    snprintf(number, sizeof number, "%d", backend->database);
    if (ASK(backend, time, &reply, "SELECT", number) < 0)
        return -1;
    return reply->type == REDIS_REPLY_ERROR ? drop(backend, explain(reply->str)) : 1;
}

/* So that CLIENT LIST, and who moves the store, sees what uses the database. A server that allows no
 * name is used all the same. */
static int tell_name(struct redis_backend *backend, const struct action_time *time)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    return ASK(backend, time, &reply, "CLIENT", "SETNAME", REDIS_CLIENT_NAME);
}

static int read_clock(struct redis_backend *backend, const struct action_time *time)
{
    struct action_time asked = {.began_us = clock_monotonic_us(), .give_up_us = time->give_up_us};
    freed_by(redis_free_reply) redisReply *reply = NULL;
    if (ASK(backend, time, &reply, "TIME") < 0)
        return -1;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return drop(backend, reply->type == REDIS_REPLY_ERROR ? explain(reply->str)
                                                              : "unexpected reply to TIME");
    int64_t seconds = strtoll(reply->element[0]->str, NULL, 10);
    int64_t more_us = strtoll(reply->element[1]->str, NULL, 10);
    if (seconds < 0 || seconds >= REDIS_TIME_MAX_MS / 1000 || more_us < 0 || more_us > 999999)
        return drop(backend, "unexpected reply to TIME");
    backend->clock_offset_us = INT64_MIN; /* another server may be another clock */
    redis_learn_clock(backend, &asked, seconds * 1000000 + more_us);
    return 1;
}

/* ---- the key of the hashes ---- */

#define NUMBERS "sg:numbers"
enum { HASH_KEY_HEX_SIZE = 2 * IDENTITY_KEY_SIZE + 1 };

/* Without a store's suspensions, say, its suspended mailboxes would send. */
static int refuse_part(struct redis_backend *backend)
{
    return fail(backend, REDIS_PART ", because sendguard store migrate did not end: repeat that");
}

/* 1 known, 0 the database has none, -1, also where the database has a part of a store. Beside it the
 * database keeps when the first process of this version came, in ms; 0: it was empty. */
static int read_hash_key(struct redis_backend *backend, const struct action_time *time)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    if (ASK(backend, time, &reply, "HMGET", NUMBERS, "hash_key", "packed_ms", REDIS_MOVING) < 0)
        return -1;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return drop(backend, reply->type == REDIS_REPLY_ERROR ? reply->str
                                                              : "unexpected reply to HMGET");
    if (reply->element[2]->type != REDIS_REPLY_NIL && !backend->moves_in)
        return refuse_part(backend);
    const redisReply *key = reply->element[0];
    size_t length;
    if (key->type != REDIS_REPLY_STRING ||
        sodium_hex2bin(backend->hash_key, sizeof backend->hash_key, key->str, key->len, NULL,
                       &length, NULL) != 0 || length != sizeof backend->hash_key)
        return 0;
    int64_t packed_ms = strtoll(redis_text(reply->element[1]), NULL, 10);
    backend->earlier_until_us =
        packed_ms > 0 ? (packed_ms + 2 * rule_longest_of_all_ms()) * 1000 : 0;
    backend->knows_hash_key = backend->offers_hash_key = true;
    return 1;
}

/* Who has a key already gives that to a database that has lost its own. */
static int give_hash_key(struct redis_backend *backend, const struct action_time *time)
{
    char key[HASH_KEY_HEX_SIZE], now[24];
    freed_by(redis_free_reply) redisReply *reply = NULL;
    int64_t now_us = clock_monotonic_us() + backend->clock_offset_us;
    if (!backend->offers_hash_key)
        randombytes_buf(backend->hash_key, sizeof backend->hash_key);
    backend->offers_hash_key = true;
    sodium_bin2hex(key, sizeof key, backend->hash_key, sizeof backend->hash_key);
    if (ASK(backend, time, &reply, "DBSIZE") < 0)
        return -1;
    bool is_new = reply->type == REDIS_REPLY_INTEGER && reply->integer == 0;
    snprintf(now, sizeof now, "%lld", is_new ? 0LL : (long long)(now_us / 1000));
    if (ASK(backend, time, &reply, "HSETNX", NUMBERS, "packed_ms", now) < 0)
        return -1;
    if (reply->type != REDIS_REPLY_ERROR &&
        ASK(backend, time, &reply, "HSETNX", NUMBERS, "hash_key", key) < 0)
        return -1;
    return reply->type == REDIS_REPLY_ERROR ? fail(backend, reply->str) : 1;
}

int redis_find_hash_key(struct redis_backend *backend, const struct action_time *time)
{
    if (backend->knows_hash_key)
        return 1;
    int known = read_hash_key(backend, time);
    if (known == 0) {
        if (give_hash_key(backend, time) < 0)
            return -1;
        known = read_hash_key(backend, time);
    }
    if (known == 0)
        return fail(backend, "it keeps no key for hashes");
    text_clear(&backend->out);
    return known;
}

bool redis_looks_for_earlier(const struct redis_backend *backend)
{
    return clock_monotonic_us() + backend->clock_offset_us < backend->earlier_until_us;
}

static void name_place(struct redis_backend *backend)
{
    const struct redis_place *place = &backend->place;
    free(backend->where);
    if (place->path != NULL)
        backend->where = xstrdup(place->path);
    else if (backend->sentinels == NULL)
        backend->where = xasprintf("%s:%d", place->host, place->port);
    else if (place->host == NULL)
        backend->where = xasprintf("master %s", backend->sentinels->master);
    else
        backend->where = xasprintf("%s:%d, master %s", place->host, place->port,
                                   backend->sentinels->master);
}

/* 1, or -1 and the wire says why. */
static int reach_server(struct redis_backend *backend, const struct action_time *time)
{
    if (redis_wire_open(&backend->wire, &backend->place, &backend->access, time->give_up_us) < 0)
        return -1;
    return redis_access_sign_in(&backend->wire, &backend->access, time->give_up_us);
}

/* The same, by way of the sentinels. */
static int reach_master(struct redis_backend *backend, const struct action_time *time)
{
    if (redis_sentinel_find(backend->sentinels, &backend->access, time->give_up_us,
                            &backend->place, &backend->wire) < 0)
        return -1;
    backend->wire.timeout_ms = backend->base.timeout_ms;
    name_place(backend);
    if (reach_server(backend, time) > 0 &&
        redis_sentinel_confirm(backend->sentinels, &backend->wire, time->give_up_us) > 0)
        return 1;
    redis_sentinel_doubt(backend->sentinels);
    return -1;
}

static int connect_anew(struct redis_backend *backend, const struct action_time *time)
{
    backend->moved = false;
    if ((backend->sentinels != NULL ? reach_master : reach_server)(backend, time) < 0)
        return lost(backend);
    if (backend->database != 0 && choose_database(backend, time) < 0)
        return -1;
    if (tell_name(backend, time) < 0 || read_clock(backend, time) < 0)
        return -1;
    return redis_load_scripts(backend, time);
}

int redis_connected(struct redis_backend *backend, const struct action_time *time)
{
    text_clear(&backend->out);
    if (redis_wire_is_quiet(&backend->wire) && !backend->moved)
        return 1;
    disconnect(backend);
    return connect_anew(backend, time);
}

/* Errors that stay until somebody repairs the server or the settings. */
static bool refuses_for_good(const char *error)
{
    static const char *const errors[] = {"NOAUTH", "WRONGPASS", "NOPERM",
                                         "ERR DB index is out of range", NO_SERVER, REDIS_PART};
    for (size_t i = 0; i < countof(errors); i++)
        if (strstr(error, errors[i]) != NULL)
            return true;
    return false;
}

/* Whether it takes changes: 1, -1. Sentinels were asked already, where there are some. */
static int find_role(struct redis_backend *backend, const struct action_time *time)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    if (backend->sentinels != NULL)
        return 1;
    if (ASK(backend, time, &reply, "ROLE") < 0)
        return -1;
    return reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                   strcmp(redis_text(reply->element[0]), "slave") == 0
               ? fail(backend, "it is a replica, which takes no changes: expected its master")
               : 1;
}

/* Whether replicas are there, each of which has all that there is: 1, 0, -1. */
static int find_replicas(struct redis_backend *backend, const struct action_time *time)
{
    if (backend->replicas == 0)
        return 1;
    text_clear(&backend->out);
    redis_add_wait(backend, time);
    return redis_send(backend, time) < 0 ? -1 : receive_wait(backend, time);
}

static int redis_examine(struct backend *backend, bool *made_r)
{
    struct redis_backend *self = redis_backend(backend);
    struct action_time time = redis_begin(self);
    *made_r = false;
    if (redis_connected(self, &time) > 0 && find_role(self, &time) > 0 &&
        find_replicas(self, &time) > 0 &&
        (self->knows_hash_key || read_hash_key(self, &time) >= 0)) {
        freed_by(free_string) char *asked =
            self->sentinels != NULL ? redis_sentinel_asked(self->sentinels) : NULL;
        backend->error[0] = '\0';
        if (asked != NULL)
            backend_fail(backend, "the sentinel at %s names %s", asked, self->where);
        return 1;
    }
    return self->wire.for_good || refuses_for_good(backend->error) ? 0 : -1;
}

static void redis_free(struct backend *backend)
{
    struct redis_backend *self = redis_backend(backend);
    disconnect(self);
    text_free(&self->out);
    text_free(&self->given);
    redis_place_free(&self->place);
    redis_sentinel_free(&self->sentinels);
    redis_access_free(&self->access);
    free(self->where);
    free(self);
}

static const struct backend_operations redis_operations = {
    .judge = &redis_judge,
    .suspensions = &redis_suspensions,
    .adjustments = &redis_adjustments,
    .records = &redis_records,
    .audit = &redis_audit,
    .kept = &redis_kept,
    .values = &redis_values,
    .observations = &redis_observations,
    .transfer = &redis_transfer,
    .sweep = redis_sweep,
    .examine = redis_examine,
    .server = redis_server,
    .free = redis_free,
};

struct backend *redis_backend_new(const struct store_url *where,
                                  const struct store_options *options)
{
    struct redis_backend *backend = xcalloc(1, sizeof *backend);
    backend->base.operations = &redis_operations;
    backend->base.timeout_ms = options->timeout_ms;
    backend->replicas = options->replicas;
    backend->access = redis_access_of(where, options);
    backend->wire = REDIS_WIRE_CLOSED(options->timeout_ms);
    backend->place = redis_place_of(where);
    if (where->kind == STORE_REDIS_SENTINEL)
        backend->sentinels = redis_sentinel_new(where);
    name_place(backend);
    backend->database = where->database;
    return &backend->base;
}
