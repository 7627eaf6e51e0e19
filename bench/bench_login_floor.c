/* The floor of a login policy: an HTTP server that decides nothing. One thread, one epoll; to each
 * request it says that the sign-in may go on, in as many bytes as sendguard-auth. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, REQUEST_MAX = 8 * 1024 };

static const char answer[] =
    "HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 21\r\n"
    "Date: Fri, 27 Nov 2026 23:21:09 GMT\r\nContent-Security-Policy: default-src 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\n"
    "Content-Type: application/json\r\n\r\n{\"status\":0,\"msg\":\"\"}";

struct connection {
    size_t got;
    char request[REQUEST_MAX + 1];
};
static struct connection connections[CONNECTIONS_MAX]; /* by file descriptor */

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench_login_floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static bool is_whole(const struct connection *connection)
{
    static const char name[] = "\r\nContent-Length: ";
    const char *end = strstr(connection->request, "\r\n\r\n");
    const char *length = strcasestr(connection->request, name);
    return end != NULL && length != NULL &&
           strlen(end + 4) >= strtoul(length + strlen(name), NULL, 10);
}

static void receive(int fd)
{
    struct connection *connection = &connections[fd];
    ssize_t got = recv(fd, connection->request + connection->got, REQUEST_MAX - connection->got, 0);
    if (got <= 0) {
        close(fd);
        return;
    }
    connection->got += (size_t)got;
    connection->request[connection->got] = '\0';
    if (!is_whole(connection))
        return;
    connection->got = 0;
    if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
        close(fd);
}

static void admit(int epoll, int listens)
{
    int one = 1, fd = accept4(listens, NULL, NULL, SOCK_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0 || fd >= CONNECTIONS_MAX || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connections[fd].got = 0;
}

int main(int count, char **values)
{
    int one = 1, listens = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), epoll = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listens}, events[64];
    if (count != 2) {
        fputs("usage: bench_login_floor PORT\n", stderr);
        return 64;
    }
    address.sin_port = htons((uint16_t)atoi(values[1]));
    setsockopt(listens, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listens, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listens, SOMAXCONN) < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listens, &event) < 0)
        fail("listen");
    for (;;) {
        int ready = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listens)
                admit(epoll, listens);
            else
                receive(events[i].data.fd);
        }
    }
}
