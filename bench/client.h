/* What the load clients have in common: where they connect to, the clock, and
 * numbers as options. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)

struct target {
    struct sockaddr_storage address;
    socklen_t length; /* 0: not given */
};

static inline uint64_t now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * SECOND_NS + (uint64_t)at.tv_nsec;
}

/* "/path/of/socket" or "IPV4:PORT". False when it is neither. */
static inline bool target_read(const char *text, struct target *target)
{
    struct sockaddr_un *local = (struct sockaddr_un *)&target->address;
    struct sockaddr_in *remote = (struct sockaddr_in *)&target->address;
    char host[INET_ADDRSTRLEN];
    unsigned port;
    if (text[0] == '/' && strlen(text) < sizeof local->sun_path) {
        local->sun_family = AF_UNIX;
        strcpy(local->sun_path, text);
        target->length = sizeof *local;
        return true;
    }
    if (sscanf(text, "%15[0-9.]:%5u", host, &port) != 2 || port > UINT16_MAX ||
        inet_pton(AF_INET, host, &remote->sin_addr) != 1)
        return false;
    remote->sin_family = AF_INET;
    remote->sin_port = htons((uint16_t)port);
    target->length = sizeof *remote;
    return true;
}

/* A connected socket, or -1 with errno. */
static inline int target_connect(const struct target *target)
{
    int one = 1, fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&target->address, target->length) < 0)
        return -1; /* whoever cannot connect ends */
    if (target->address.ss_family == AF_INET)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* False when `text` is no number, or out of range. */
static inline bool number_read(const char *text, double least, double most, double *number_r)
{
    char *end;
    double given = strtod(text, &end);
    if (end == text || *end != '\0' || !(given >= least && given <= most))
        return false;
    *number_r = given;
    return true;
}

#endif
