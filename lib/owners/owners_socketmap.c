#include "owners/owners_socketmap.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lookup.h"
#include "owners/owners_inside.h"

enum { WHY_SIZE = 160 };

struct owners_socketmap {
    const struct owner_source *source;
    int fd; /* -1: none */
    struct lookup *lookup;
    char why[WHY_SIZE];
};

struct owners_socketmap *owners_socketmap_new(const struct owner_source *source)
{
    struct owners_socketmap *socketmap = xcalloc(1, sizeof *socketmap);
    socketmap->source = source;
    socketmap->fd = -1;
    return socketmap;
}

static void disconnect(struct owners_socketmap *socketmap)
{
    if (socketmap->fd >= 0)
        close(socketmap->fd);
    socketmap->fd = -1;
}

void owners_socketmap_free(struct owners_socketmap **socketmap)
{
    if (*socketmap == NULL)
        return;
    disconnect(*socketmap);
    lookup_free(&(*socketmap)->lookup);
    free(*socketmap);
    *socketmap = NULL;
}

/* Ends the connection. -1. */
static int fail(struct owners_socketmap *socketmap, const char *why)
{
    disconnect(socketmap);
    snprintf(socketmap->why, sizeof socketmap->why, "%s", why);
    return -1;
}

/* ---- connecting ------------------------------------------------------------------------------ */

static int wait_for(struct owners_socketmap *socketmap, short events, int64_t give_up_us)
{
    for (;;) {
        int64_t left_us = give_up_us - clock_monotonic_us();
        struct pollfd wait = {.fd = socketmap->fd, .events = events};
        struct timespec span = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
        int ready = left_us > 0 ? ppoll(&wait, 1, &span, NULL) : 0;
        if (ready > 0)
            return 1;
        if (ready == 0)
            return fail(socketmap, "no answer in time");
        if (errno != EINTR)
            return fail(socketmap, strerror(errno));
    }
}

static int connect_to(struct owners_socketmap *socketmap, const struct sockaddr *address,
                      socklen_t length, int64_t give_up_us)
{
    int error = 0;
    socklen_t size = sizeof error;
    socketmap->fd =
        socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socketmap->fd < 0)
        return fail(socketmap, strerror(errno));
    if (connect(socketmap->fd, address, length) == 0)
        return 1;
    if (errno != EINPROGRESS)
        return fail(socketmap, strerror(errno));
    if (wait_for(socketmap, POLLOUT, give_up_us) < 0)
        return -1;
    if (getsockopt(socketmap->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    return error == 0 ? 1 : fail(socketmap, strerror(error));
}

static int connect_path(struct owners_socketmap *socketmap, int64_t give_up_us)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, socketmap->source->path); /* owner_source_read: it fits */
    return connect_to(socketmap, (const struct sockaddr *)&address, sizeof address, give_up_us);
}

static int connect_host(struct owners_socketmap *socketmap, int64_t give_up_us)
{
    const struct owner_source *source = socketmap->source;
    struct addrinfo *addresses = NULL;
    const char *why = "its name is not found in time";
    int result = -1;
    if (lookup_host(&socketmap->lookup, source->host, source->port, give_up_us, &addresses,
                    &why) < 1)
        return fail(socketmap, why);
    for (const struct addrinfo *one = addresses; one != NULL && result < 0; one = one->ai_next)
        result = connect_to(socketmap, one->ai_addr, one->ai_addrlen, give_up_us);
    freeaddrinfo(addresses);
    return result;
}

/* ---- a question ------------------------------------------------------------------------------ */

int owners_socketmap_frame(const char *bytes, size_t length, size_t *begin_r, size_t *end_r)
{
    enum { DIGITS_MAX = 6 };
    size_t size = 0, digits = 0;
    for (; digits < length && bytes[digits] >= '0' && bytes[digits] <= '9'; digits++) {
        size = size * 10 + (size_t)(bytes[digits] - '0');
        if (digits == DIGITS_MAX)
            return -1;
    }
    if (digits == length)
        return 0;
    if (digits == 0 || bytes[digits] != ':' || size > OWNERS_ANSWER_MAX_BYTES)
        return -1;
    *begin_r = digits + 1;
    *end_r = *begin_r + size;
    if (length <= *end_r)
        return 0;
    return length == *end_r + 1 && bytes[*end_r] == ',' ? 1 : -1;
}

int owners_socketmap_read(const char *reply, size_t length, struct text *data_r, const char **why_r)
{
    static const char found[] = "OK ", absent[] = "NOTFOUND";
    *why_r = reply;
    if (length >= strlen(found) && memcmp(reply, found, strlen(found)) == 0) {
        text_add_bytes(data_r, reply + strlen(found), length - strlen(found));
        return 1;
    }
    return length >= strlen(absent) && memcmp(reply, absent, strlen(absent)) == 0 ? 0 : -1;
}

static int put(struct owners_socketmap *socketmap, const char *bytes, size_t length,
               int64_t give_up_us)
{
    while (length > 0) {
        ssize_t count = send(socketmap->fd, bytes, length, MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            return fail(socketmap, strerror(errno));
        if (count < 0 && wait_for(socketmap, POLLOUT, give_up_us) < 0)
            return -1;
        bytes += count > 0 ? count : 0;
        length -= count > 0 ? (size_t)count : 0;
    }
    return 1;
}

/* One reply and nothing behind it. 1; 0 the server ended the connection before it said anything;
 * -1. */
static int get(struct owners_socketmap *socketmap, struct text *bytes, int64_t give_up_us,
               size_t *begin_r, size_t *end_r)
{
    int whole = 0;
    while (whole == 0) {
        char piece[4096];
        ssize_t count = recv(socketmap->fd, piece, sizeof piece, 0);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (wait_for(socketmap, POLLIN, give_up_us) < 0)
                return -1;
            continue;
        }
        if (count <= 0) {
            fail(socketmap, count < 0 ? strerror(errno) : "it closed the connection");
            return bytes->length == 0 ? 0 : -1;
        }
        text_add_bytes(bytes, piece, (size_t)count);
        whole = owners_socketmap_frame(bytes->data, bytes->length, begin_r, end_r);
    }
    return whole > 0 ? 1 : fail(socketmap, "its answer is no netstring of at most 16 KiB");
}

/* As get. */
static int exchange(struct owners_socketmap *socketmap, const struct text *question,
                    struct text *bytes, int64_t give_up_us, size_t *begin_r, size_t *end_r)
{
    int put_all = put(socketmap, question->data, question->length, give_up_us);
    return put_all > 0 ? get(socketmap, bytes, give_up_us, begin_r, end_r)
                       : socketmap->fd < 0 && clock_monotonic_us() < give_up_us ? 0 : -1;
}

int owners_socketmap_ask(struct owners_socketmap *socketmap, const char *key, int64_t give_up_us,
                         struct text *data_r, const char **why_r)
{
    freed_by(text_free) struct text question = {0}, bytes = {0};
    const struct owner_source *source = socketmap->source;
    size_t begin = 0, end = 0;
    bool kept = socketmap->fd >= 0;
    int answered = 0;
    *why_r = socketmap->why;
    text_addf(&question, "%zu:%s %s,", strlen(source->name) + 1 + strlen(key), source->name, key);
    if (kept)
        answered = exchange(socketmap, &question, &bytes, give_up_us, &begin, &end);
    if (answered == 0) { /* there was no connection, or it was closed since */
        if ((source->path[0] != '\0' ? connect_path(socketmap, give_up_us)
                                     : connect_host(socketmap, give_up_us)) < 0)
            return -1;
        answered = exchange(socketmap, &question, &bytes, give_up_us, &begin, &end);
    }
    if (answered <= 0)
        return -1;
    bytes.data[end] = '\0';
    const char *why;
    int found = owners_socketmap_read(bytes.data + begin, end - begin, data_r, &why);
    if (found < 0)
        snprintf(socketmap->why, sizeof socketmap->why, "it answers \"%.100s\"", why);
    return found;
}
