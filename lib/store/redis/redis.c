/* The Redis backend's connection. Every operation is one script, called by its hash, so
 * it is atomic, and one round trip, also for a batch of messages.
 * hiredis connects and parses; waiting is done here, since an operation has one
 * deadline over all its reads and writes, and a write must not raise SIGPIPE. */
#include "store/redis/redis.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

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
    int64_t low = server_us - clock_monotonic_us(), high = server_us - time->began_us;
    if (backend->clock_offset_us < low || backend->clock_offset_us > high)
        backend->clock_offset_us = low;
}

/* ---- the wire -------------------------------------------------------------- */

static void disconnect(struct redis_backend *backend)
{
    if (backend->connection != NULL)
        redisFree(backend->connection);
    backend->connection = NULL;
    backend->knows_hash_key = false;
}

static int fail(struct redis_backend *backend, const char *why)
{
    return backend_fail(&backend->base, "redis at %s: %s", backend->where, why);
}

static int lost(struct redis_backend *backend, const char *why)
{
    fail(backend, why); /* first: `why` may be the connection's own text */
    disconnect(backend);
    return -1;
}

/* Until the socket can be read or written: 1, or -1 when time is up. */
static int wait_for(struct redis_backend *backend, const struct action_time *time, short events)
{
    for (;;) {
        int64_t left_us = time->give_up_us - clock_monotonic_us();
        struct pollfd wait = {.fd = backend->connection->fd, .events = events};
        struct timespec span = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
        int ready = left_us > 0 ? ppoll(&wait, 1, &span, NULL) : 0;
        if (ready > 0)
            return 1;
        if (ready < 0 && errno != EINTR)
            return lost(backend, strerror(errno));
        if (ready == 0) {
            char why[48];
            snprintf(why, sizeof why, "no answer within %d ms", backend->base.timeout_ms);
            return lost(backend, why);
        }
    }
}

int redis_send(struct redis_backend *backend, const struct action_time *time)
{
    size_t sent = 0;
    while (sent < backend->out.length) {
        ssize_t count = send(backend->connection->fd, backend->out.data + sent,
                             backend->out.length - sent,
                             MSG_NOSIGNAL);
        if (count > 0)
            sent += (size_t)count;
        else if (errno == EAGAIN && wait_for(backend, time, POLLOUT) < 0)
            return -1;
        else if (errno != EAGAIN && errno != EINTR)
            return lost(backend, strerror(errno));
    }
    text_clear(&backend->out);
    return 1;
}

int redis_read_reply(struct redis_backend *backend, const struct action_time *time,
                     redisReply **reply_r)
{
    char bytes[16 * 1024];
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(backend->connection->reader, &reply) != REDIS_OK)
            return lost(backend, backend->connection->reader->errstr);
        if (reply != NULL) {
            *reply_r = reply;
            return 1;
        }
        ssize_t count = recv(backend->connection->fd, bytes, sizeof bytes, 0);
        if (count == 0)
            return lost(backend, "it closed the connection");
        if (count > 0) {
            if (redisReaderFeed(backend->connection->reader, bytes, (size_t)count) != REDIS_OK)
                return lost(backend, backend->connection->reader->errstr);
        } else if (errno == EAGAIN) {
            if (wait_for(backend, time, POLLIN) < 0)
                return -1;
        } else if (errno != EINTR) {
            return lost(backend, strerror(errno));
        }
    }
}

void redis_free_reply(redisReply **reply)
{
    if (*reply != NULL)
        freeReplyObject(*reply);
    *reply = NULL;
}

static void begin_command(struct text *out, size_t count)
{
    text_add_char(out, '*');
    text_add_int(out, (int64_t)count);
    text_add(out, "\r\n");
}

static void add_argument(struct text *out, const struct argument *argument)
{
    text_add_char(out, '$');
    text_add_int(out, (int64_t)argument->length);
    text_add(out, "\r\n");
    text_add_bytes(out, argument->bytes, argument->length);
    text_add(out, "\r\n");
}

void redis_add_command(struct redis_backend *backend, const struct argument *arguments, size_t count)
{
    begin_command(&backend->out, count);
    for (size_t i = 0; i < count; i++)
        add_argument(&backend->out, &arguments[i]);
}

static void add_command(struct text *out, const char *const *words, size_t count)
{
    begin_command(out, count);
    for (size_t i = 0; i < count; i++) {
        struct argument argument = argument_string(words[i]);
        add_argument(out, &argument);
    }
}

/* ---- scripts ------------------------------------------------------------------ */

int redis_load_scripts(struct redis_backend *backend, const struct action_time *time)
{
    text_clear(&backend->out);
    for (size_t i = 0; i < SCRIPT_COUNT; i++) {
        freed_by(text_free) struct text script = {0};
        redis_script_add(&script, (enum script)i);
        add_command(&backend->out,
                    (const char *const[]){"SCRIPT", "LOAD", text_string(&script)}, 3);
    }
    if (redis_send(backend, time) < 0)
        return -1;
    for (size_t i = 0; i < SCRIPT_COUNT; i++) {
        freed_by(redis_free_reply) redisReply *reply = NULL;
        if (redis_read_reply(backend, time, &reply) < 0)
            return -1;
        if (reply->type != REDIS_REPLY_STRING || reply->len != SHA1_HEX_SIZE - 1)
            return lost(backend, reply->type == REDIS_REPLY_ERROR ? reply->str
                                                               : "it does not load scripts");
        memcpy(backend->hashes[i], reply->str, SHA1_HEX_SIZE);
    }
    return 1;
}

void redis_add_argument(struct redis_backend *backend, const struct argument *argument)
{
    add_argument(&backend->out, argument);
}

void redis_begin_call(struct redis_backend *backend, const struct action_time *time,
                      enum script script, size_t count)
{
    char deadline[24];
    snprintf(deadline, sizeof deadline, "%lld", (long long)server_deadline_us(backend, time));
    const char *const fixed[] = {"EVALSHA", backend->hashes[script], "0", deadline};
    begin_command(&backend->out, countof(fixed) + count);
    for (size_t i = 0; i < countof(fixed); i++) {
        struct argument argument = argument_string(fixed[i]);
        add_argument(&backend->out, &argument);
    }
}

void redis_add_call(struct redis_backend *backend, const struct action_time *time,
                    enum script script, const struct argument *arguments, size_t count)
{
    redis_begin_call(backend, time, script, count);
    for (size_t i = 0; i < count; i++)
        redis_add_argument(backend, &arguments[i]);
}

enum called redis_receive(struct redis_backend *backend, const struct action_time *time,
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
        return strncmp(reply->str, "NOSCRIPT", 8) == 0 ? CALL_UNKNOWN : CALL_REFUSED;
    }
    *reply_r = take(reply);
    return CALLED;
}

/* ---- connecting ---------------------------------------------------------------- */

/* One command by its words, answered: 1 with *reply_r, which may be an error; -1. */
static int ask(struct redis_backend *backend, const struct action_time *time,
               const char *const *words, size_t count, redisReply **reply_r)
{
    redis_free_reply(reply_r);
    text_clear(&backend->out);
    add_command(&backend->out, words, count);
    return redis_send(backend, time) < 0 ? -1 : redis_read_reply(backend, time, reply_r);
}
#define ASK(backend, time, reply_r, ...)                          \
    ask(backend, time, (const char *const[]){__VA_ARGS__},        \
        countof(((const char *const[]){__VA_ARGS__})), reply_r)

static int choose_database(struct redis_backend *backend, const struct action_time *time)
{
    char number[16];
    freed_by(redis_free_reply) redisReply *reply = NULL;
    snprintf(number, sizeof number, "%d", backend->database);
    if (ASK(backend, time, &reply, "SELECT", number) < 0)
        return -1;
    return reply->type == REDIS_REPLY_ERROR ? lost(backend, reply->str) : 1;
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
        return lost(backend, reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply to TIME");
    backend->clock_offset_us = INT64_MIN; /* another server may be another clock */
    redis_learn_clock(backend, &asked, strtoll(reply->element[0]->str, NULL, 10) * 1000000 +
                                        strtoll(reply->element[1]->str, NULL, 10));
    return 1;
}

/* ---- the key of the hashes ---- */

#define NUMBERS "sg:numbers"
enum { HASH_KEY_HEX_SIZE = 2 * IDENTITY_KEY_SIZE + 1 };

/* 1 known, 0 the database has none, -1. Beside it the database keeps when the first process of this
 * version came, in ms; 0: it was empty. */
static int read_hash_key(struct redis_backend *backend, const struct action_time *time)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    if (ASK(backend, time, &reply, "HMGET", NUMBERS, "hash_key", "packed_ms") < 0)
        return -1;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return lost(backend, reply->type == REDIS_REPLY_ERROR ? reply->str
                                                              : "unexpected reply to HMGET");
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

static int connect_anew(struct redis_backend *backend, const struct action_time *time)
{
    int64_t left_us = time->give_up_us - clock_monotonic_us();
    if (left_us < 1000)
        left_us = 1000;
    struct timeval span = {.tv_sec = left_us / 1000000, .tv_usec = left_us % 1000000};
    backend->connection = backend->host != NULL
                           ? redisConnectWithTimeout(backend->host, backend->port, span)
                           : redisConnectUnixWithTimeout(backend->path, span);
    if (backend->connection == NULL)
        return lost(backend, "out of memory");
    if (backend->connection->err != 0)
        return lost(backend, backend->connection->errstr);
    int flags = fcntl(backend->connection->fd, F_GETFL);
    if (flags < 0 || fcntl(backend->connection->fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(backend->connection->fd, F_SETFD, FD_CLOEXEC) < 0)
        return lost(backend, strerror(errno));
    if (backend->database != 0 && choose_database(backend, time) < 0)
        return -1;
    if (tell_name(backend, time) < 0 || read_clock(backend, time) < 0)
        return -1;
    return redis_load_scripts(backend, time);
}

int redis_connected(struct redis_backend *backend, const struct action_time *time)
{
    if (backend->connection != NULL) {
        /* Nothing may wait to be read: neither the end nor an answer to no request. */
        char byte;
        ssize_t count = recv(backend->connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (count >= 0 || (errno != EAGAIN && errno != EINTR))
            disconnect(backend);
    }
    text_clear(&backend->out);
    return backend->connection != NULL ? 1 : connect_anew(backend, time);
}

/* Errors that stay until somebody repairs the server or the settings. */
static bool refuses_for_good(const char *error)
{
    static const char *const errors[] = {"NOAUTH", "WRONGPASS", "NOPERM",
                                         "ERR DB index is out of range"};
    for (size_t i = 0; i < countof(errors); i++)
        if (strstr(error, errors[i]) != NULL)
            return true;
    return false;
}

static int redis_examine(struct backend *backend, bool *made_r)
{
    struct redis_backend *self = redis_backend(backend);
    struct action_time time = redis_begin(self);
    *made_r = false;
    if (redis_connected(self, &time) > 0)
        return 1;
    return refuses_for_good(backend->error) ? 0 : -1;
}

static void redis_free(struct backend *backend)
{
    struct redis_backend *self = redis_backend(backend);
    disconnect(self);
    text_free(&self->out);
    text_free(&self->given);
    free(self->host);
    free(self->path);
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
    .observations = &redis_observations,
    .transfer = &redis_transfer,
    .sweep = redis_sweep,
    .examine = redis_examine,
    .free = redis_free,
};

struct backend *redis_backend_new(const char *host, int port, const char *path, int database,
                                  const struct store_options *options)
{
    struct redis_backend *backend = xcalloc(1, sizeof *backend);
    backend->base.operations = &redis_operations;
    backend->base.timeout_ms = options->timeout_ms;
    backend->host = host != NULL ? xstrdup(host) : NULL;
    backend->path = path != NULL ? xstrdup(path) : NULL;
    backend->port = port;
    backend->where = host != NULL ? xasprintf("%s:%d", host, port) : xstrdup(path);
    backend->database = database;
    return &backend->base;
}
