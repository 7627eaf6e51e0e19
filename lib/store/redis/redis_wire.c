#include "store/redis/redis_wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lookup.h"

/* ---- closing ----------------------------------------------------------------- */

void redis_wire_close(struct redis_wire *wire)
{
    if (wire->tls != NULL)
        SSL_free(wire->tls);
    if (wire->fd >= 0)
        close(wire->fd);
    if (wire->reader != NULL)
        redisReaderFree(wire->reader);
    wire->tls = NULL;
    wire->reader = NULL;
    wire->fd = -1;
}

int redis_wire_fail(struct redis_wire *wire, const char *why)
{
    if (why != wire->why) /* first: it may be the reader's own text */
        snprintf(wire->why, sizeof wire->why, "%s", why);
    redis_wire_close(wire);
    return -1;
}

int redis_wire_fail_for_good(struct redis_wire *wire, const char *why)
{
    wire->for_good = true;
    return redis_wire_fail(wire, why);
}

static int fail_late(struct redis_wire *wire)
{
    char why[96];
    bool shaking = wire->tls != NULL && !SSL_is_init_finished(wire->tls);
    snprintf(why, sizeof why, "no answer%s within %d ms%s", shaking ? " by TLS" : "",
             wire->timeout_ms, shaking ? ": it may speak none (redis)" : "");
    return redis_wire_fail(wire, why);
}

/* ---- waiting, reading, writing ------------------------------------------------ */

static int wait_for(struct redis_wire *wire, short events, int64_t give_up_us)
{
    for (;;) {
        int64_t left_us = give_up_us - clock_monotonic_us();
        struct pollfd wait = {.fd = wire->fd, .events = events};
        struct timespec span = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
        int ready = left_us > 0 ? ppoll(&wait, 1, &span, NULL) : 0;
        if (ready > 0)
            return 1;
        if (ready < 0 && errno != EINTR)
            return redis_wire_fail(wire, strerror(errno));
        if (ready == 0)
            return fail_late(wire);
    }
}

static bool is_local(int fd)
{
    int domain = AF_UNIX;
    socklen_t size = sizeof domain;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain == AF_UNIX;
}

/* A server that does not accept our certificate says so after the handshake as we see it, and often
 * only by the end. One that wants TLS ends the connection at the first word without it. */
static int fail_ended(struct redis_wire *wire, const char *why)
{
    char text[REDIS_WHY_SIZE];
    if (wire->answered ||
        (wire->tls != NULL ? !SSL_is_init_finished(wire->tls) : is_local(wire->fd)))
        return redis_wire_fail(wire, why);
    snprintf(text, sizeof text, "%.60s %s", why,
             wire->tls != NULL
                 ? "after TLS began: it may want another certificate (store.tls_cert_file)"
                 : "before an answer: it may want TLS (rediss)");
    return redis_wire_fail(wire, text);
}

/* take_result reads what the operation leaves in both. */
static void begin_tls(void)
{
    ERR_clear_error();
    errno = 0;
}

/* What an operation of TLS came to: 1 done, 0 when what *events_r names has happened, or -1. */
static int take_result(struct redis_wire *wire, int result, short *events_r)
{
    int saved = errno;
    if (result > 0)
        return 1;
    switch (SSL_get_error(wire->tls, result)) {
    case SSL_ERROR_WANT_READ:
        *events_r = POLLIN;
        return 0;
    case SSL_ERROR_WANT_WRITE:
        *events_r = POLLOUT;
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return fail_ended(wire, "it closed the connection");
    case SSL_ERROR_SYSCALL:
        return fail_ended(wire, saved != 0 ? strerror(saved) : "it closed the connection");
    default:
        redis_tls_explain(wire->tls, wire->why);
        return redis_wire_fail_for_good(wire, wire->why);
    }
}

/* The same of a system call that gave `count`. */
static int take_count(struct redis_wire *wire, ssize_t count, short events, short *events_r)
{
    if (count > 0)
        return 1;
    if (count < 0 && errno != EAGAIN && errno != EINTR)
        return fail_ended(wire, strerror(errno));
    if (count == 0)
        return fail_ended(wire, "it closed the connection");
    *events_r = errno == EINTR ? 0 : events;
    return 0;
}

static int put_some(struct redis_wire *wire, const char *bytes, size_t length, size_t *count_r,
                    short *events_r)
{
    if (wire->tls != NULL) {
        begin_tls();
        return take_result(wire, SSL_write_ex(wire->tls, bytes, length, count_r), events_r);
    }
    ssize_t count = send(wire->fd, bytes, length, MSG_NOSIGNAL);
    *count_r = count > 0 ? (size_t)count : 0;
    return take_count(wire, count, POLLOUT, events_r);
}

static int get_some(struct redis_wire *wire, char *bytes_r, size_t size, size_t *count_r,
                    short *events_r)
{
    if (wire->tls != NULL) {
        begin_tls();
        return take_result(wire, SSL_read_ex(wire->tls, bytes_r, size, count_r), events_r);
    }
    ssize_t count = recv(wire->fd, bytes_r, size, 0);
    *count_r = count > 0 ? (size_t)count : 0;
    return take_count(wire, count, POLLIN, events_r);
}

int redis_wire_send(struct redis_wire *wire, const char *bytes, size_t length, int64_t give_up_us)
{
    size_t sent = 0;
    while (sent < length) {
        size_t count = 0;
        short events = 0;
        int answer = put_some(wire, bytes + sent, length - sent, &count, &events);
        if (answer < 0 || (answer == 0 && events != 0 && wait_for(wire, events, give_up_us) < 0))
            return -1;
        sent += answer > 0 ? count : 0;
    }
    return 1;
}

/* Longer than any of ours. The longest is the list of what a mailbox was refused, which is read when
 * the store moves. */
enum { REPLY_BYTES_MAX = 64 << 20, REPLY_ELEMENTS_MAX = 4 << 20, REPLY_DEPTH_MAX = 8 };

#if HIREDIS_MAJOR >= 1
typedef size_t array_length;
#else
typedef int array_length;
#endif

/* hiredis makes room for as many as the server says will come, and walks over all of it to free it. */
static void *make_array(const redisReadTask *task, array_length length)
{
    struct redis_wire *wire = task->privdata;
    int depth = 0;
    for (const redisReadTask *one = task; one != NULL; one = one->parent)
        depth++;
    if (depth > REPLY_DEPTH_MAX || (size_t)length > REPLY_ELEMENTS_MAX - wire->elements)
        return NULL;
    wire->elements += (size_t)length;
    return wire->standard->createArray(task, length);
}

static int make_reader(struct redis_wire *wire)
{
    wire->reader = redisReaderCreate();
    if (wire->reader == NULL)
        return redis_wire_fail(wire, "out of memory");
    wire->standard = wire->reader->fn;
    wire->bounded = *wire->standard;
    wire->bounded.createArray = make_array;
    wire->reader->fn = &wire->bounded;
    wire->reader->privdata = wire;
    return 1;
}

static int fail_reading(struct redis_wire *wire)
{
    return redis_wire_fail(wire, wire->reader->err == REDIS_ERR_OOM ? "its answer is too long"
                                                                    : wire->reader->errstr);
}

int redis_wire_read(struct redis_wire *wire, int64_t give_up_us, redisReply **reply_r)
{
    char bytes[16 * 1024];
    wire->elements = 0;
    for (size_t taken = 0;;) {
        void *reply = NULL;
        size_t count = 0;
        short events = 0;
        if (redisReaderGetReply(wire->reader, &reply) != REDIS_OK)
            return fail_reading(wire);
        if (reply != NULL) {
            *reply_r = reply;
            return 1;
        }
        if (taken > REPLY_BYTES_MAX)
            return redis_wire_fail(wire, "its answer is too long");
        if (taken > 0 && clock_monotonic_us() >= give_up_us) /* it need never wait */
            return fail_late(wire);
        int answer = get_some(wire, bytes, sizeof bytes, &count, &events);
        wire->answered = wire->answered || answer > 0;
        if (answer < 0 || (answer == 0 && events != 0 && wait_for(wire, events, give_up_us) < 0))
            return -1;
        if (answer > 0 && redisReaderFeed(wire->reader, bytes, count) != REDIS_OK)
            return fail_reading(wire);
        taken += count;
    }
}

bool redis_wire_is_quiet(struct redis_wire *wire)
{
    char byte;
    size_t count;
    if (wire->fd < 0)
        return false;
    if (wire->tls != NULL) {
        begin_tls(); /* what is of TLS alone, such as a session's ticket, is taken here */
        return SSL_get_error(wire->tls, SSL_peek_ex(wire->tls, &byte, 1, &count)) ==
               SSL_ERROR_WANT_READ;
    }
    ssize_t peeked = recv(wire->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return peeked < 0 && (errno == EAGAIN || errno == EINTR);
}

/* ---- commands ------------------------------------------------------------------ */

void redis_free_reply(redisReply **reply)
{
    if (*reply != NULL)
        freeReplyObject(*reply);
    *reply = NULL;
}

void redis_wire_begin_command(struct text *out, size_t count)
{
    text_add_char(out, '*');
    text_add_int(out, (int64_t)count);
    text_add(out, "\r\n");
}

void redis_wire_add_argument(struct text *out, const struct argument *argument)
{
    text_add_char(out, '$');
    text_add_int(out, (int64_t)argument->length);
    text_add(out, "\r\n");
    text_add_bytes(out, argument->bytes, argument->length);
    text_add(out, "\r\n");
}

int redis_wire_ask(struct redis_wire *wire, int64_t give_up_us, const char *const *words,
                   size_t count, redisReply **reply_r)
{
    freed_by(text_free) struct text out = {0};
    redis_free_reply(reply_r);
    redis_wire_begin_command(&out, count);
    for (size_t i = 0; i < count; i++) {
        struct argument argument = argument_string(words[i]);
        redis_wire_add_argument(&out, &argument);
    }
    int sent = redis_wire_send(wire, out.data, out.length, give_up_us);
    sodium_memzero(out.data, out.length); /* it may be a password */
    return sent < 0 ? -1 : redis_wire_read(wire, give_up_us, reply_r);
}

/* ---- connecting ---------------------------------------------------------------- */

/* Until the socket is connected or it is clear that it will not be. */
static int connect_socket(struct redis_wire *wire, const struct sockaddr *address,
                          socklen_t length, int64_t give_up_us)
{
    int error = 0, on = 1;
    socklen_t size = sizeof error;
    wire->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (wire->fd < 0)
        return redis_wire_fail(wire, strerror(errno));
    if (connect(wire->fd, address, length) != 0) {
        if (errno != EINPROGRESS)
            return redis_wire_fail(wire, strerror(errno));
        if (wait_for(wire, POLLOUT, give_up_us) < 0)
            return -1;
        if (getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
            return redis_wire_fail(wire, strerror(error != 0 ? error : errno));
    }
    if (address->sa_family != AF_UNIX)
        setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return 1;
}

static int connect_path(struct redis_wire *wire, const char *path, int64_t give_up_us)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return redis_wire_fail_for_good(wire, "its path is too long for a socket");
    memcpy(address.sun_path, path, strlen(path));
    return connect_socket(wire, (const struct sockaddr *)&address, sizeof address, give_up_us);
}

/* Its addresses in turn. Each has its share of the time, so that one that does not answer leaves
 * some for the others. */
static int connect_host(struct redis_wire *wire, struct redis_place *place, int64_t give_up_us)
{
    struct addrinfo *addresses;
    const char *why = NULL;
    int found = lookup_host(&place->lookup, place->host, place->port, give_up_us, &addresses, &why);
    if (found < 0)
        return redis_wire_fail(wire, "no answer of the name server in time");
    if (found == 0)
        return redis_wire_fail(wire, why);
    int64_t left = 0;
    for (const struct addrinfo *one = addresses; one != NULL; one = one->ai_next)
        left++;
    int answer = -1;
    for (const struct addrinfo *one = addresses; one != NULL && answer < 0; one = one->ai_next) {
        int64_t now_us = clock_monotonic_us();
        answer = connect_socket(wire, one->ai_addr, one->ai_addrlen,
                                now_us + (give_up_us - now_us) / left--);
    }
    freeaddrinfo(addresses);
    return answer;
}

static int shake_hands(struct redis_wire *wire, int64_t give_up_us)
{
    for (;;) {
        short events = 0;
        begin_tls();
        int answer = take_result(wire, SSL_connect(wire->tls), &events);
        if (answer != 0)
            return answer;
        if (wait_for(wire, events, give_up_us) < 0)
            return -1;
    }
}

int redis_wire_open(struct redis_wire *wire, struct redis_place *place,
                    const struct redis_access *access, int64_t give_up_us)
{
    wire->for_good = wire->answered = false;
    int answer = place->host != NULL ? connect_host(wire, place, give_up_us)
                                     : connect_path(wire, place->path, give_up_us);
    if (answer < 0)
        return -1;
    if (make_reader(wire) < 0)
        return -1;
    if (!access->by_tls)
        return 1;
    wire->tls = redis_tls_new(access, place, wire->fd, wire->why);
    return wire->tls != NULL ? shake_hands(wire, give_up_us)
                             : redis_wire_fail_for_good(wire, wire->why);
}
