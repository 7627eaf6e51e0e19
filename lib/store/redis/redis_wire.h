/* A connection to a server that speaks Redis' protocol: a socket, TLS over it or not, and the
 * parsing of replies by hiredis. Waiting is done here, since an operation has one deadline over all
 * its reads and writes. A write raises no SIGPIPE; with TLS only where the program ignores it, as
 * all of ours do. One thread at a time. */
#ifndef SENDGUARD_REDIS_WIRE_H
#define SENDGUARD_REDIS_WIRE_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "store/redis/redis_access.h"

struct ssl_st;

/* One argument of a command. */
struct argument {
    const void *bytes;
    size_t length;
};
static inline struct argument argument_string(const char *string)
{
    return (struct argument){.bytes = string, .length = strlen(string)};
}

enum { REDIS_WHY_SIZE = 200 };

/* It stays in its place while it is open. */
struct redis_wire {
    int fd;             /* -1: closed */
    struct ssl_st *tls; /* NULL: in the clear */
    redisReader *reader;
    const redisReplyObjectFunctions *standard; /* how hiredis makes replies */
    redisReplyObjectFunctions bounded;         /* how the reader does */
    size_t elements; /* of all arrays in the reply that is read */
    bool answered;   /* something was read */
    int timeout_ms; /* what `why` says when there was no answer */
    char why[REDIS_WHY_SIZE]; /* what came between */
    bool for_good; /* that stays until somebody repairs the server or the settings */
};

/* What a wire is before it is opened. */
#define REDIS_WIRE_CLOSED(ms) ((struct redis_wire){.fd = -1, .timeout_ms = (ms)})

/* All return 1; or -1 with `why`, and closed. give_up_us: when to stop waiting, monotonic clock. */
int redis_wire_open(struct redis_wire *wire, struct redis_place *place,
                    const struct redis_access *access, int64_t give_up_us) must_check;
int redis_wire_send(struct redis_wire *wire, const char *bytes, size_t length, int64_t give_up_us)
    must_check;
/* One whole reply, whatever it says, unless it is longer than any of ours may be. */
int redis_wire_read(struct redis_wire *wire, int64_t give_up_us, redisReply **reply_r) must_check;
/* A command of `count` words, and its reply, in the place of what *reply_r is. */
int redis_wire_ask(struct redis_wire *wire, int64_t give_up_us, const char *const *words,
                   size_t count, redisReply **reply_r) must_check;
#define REDIS_WIRE_ASK(wire, give_up_us, reply_r, ...)                        \
    redis_wire_ask(wire, give_up_us, (const char *const[]){__VA_ARGS__},      \
                   countof(((const char *const[]){__VA_ARGS__})), reply_r)
/* Closes it with that `why`. Returns -1. */
int redis_wire_fail(struct redis_wire *wire, const char *why);
/* The same where it is for good. */
int redis_wire_fail_for_good(struct redis_wire *wire, const char *why);
/* Whether it is open and nothing waits to be read: neither the end nor an answer to no request. */
bool redis_wire_is_quiet(struct redis_wire *wire);
void redis_wire_close(struct redis_wire *wire);

/* Puts TLS over a connected socket, which the certificate of place->host is expected behind; still
 * to be shaken hands. NULL with `why`. By redis_tls.c. */
struct ssl_st *redis_tls_new(const struct redis_access *access, const struct redis_place *place,
                             int fd, char why_r[REDIS_WHY_SIZE]) must_check;
/* Why a handshake, reading or writing failed. */
void redis_tls_explain(struct ssl_st *tls, char why_r[REDIS_WHY_SIZE]);

/* A command as Redis reads it: how many arguments it has, then each. */
void redis_wire_begin_command(struct text *out, size_t count);
void redis_wire_add_argument(struct text *out, const struct argument *argument);

void redis_free_reply(redisReply **reply);

#endif
