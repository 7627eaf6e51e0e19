#include "mta/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { OUT_KEPT_BYTES = 4 * 1024 };

static void describe_peer(const struct sockaddr_storage *address, char client_r[CLIENT_SIZE])
{
    char ip[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &four->sin_addr, ip, sizeof ip);
        snprintf(client_r, CLIENT_SIZE, "%s:%u", ip, ntohs(four->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &six->sin6_addr, ip, sizeof ip);
        snprintf(client_r, CLIENT_SIZE, "[%s]:%u", ip, ntohs(six->sin6_port));
    } else {
        snprintf(client_r, CLIENT_SIZE, "unix");
    }
}

struct connection *connection_new(const struct sockaddr_storage *peer)
{
    struct connection *connection = xcalloc(1, sizeof *connection);
    describe_peer(peer, connection->client);
    return connection;
}

void connection_free(struct connection **connection)
{
    if (*connection == NULL)
        return;
    policy_request_free(&(*connection)->request);
    text_free(&(*connection)->out);
    free(*connection);
    *connection = NULL;
}

int connection_send(struct connection *connection)
{
    struct text *out = &connection->out;
    while (connection->out_at < out->length) {
        ssize_t sent = send(connection->link.fd, out->data + connection->out_at,
                            out->length - connection->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
        connection->out_at += (size_t)sent;
    }
    connection->out_at = 0;
    if (out->capacity > OUT_KEPT_BYTES)
        text_free(out);
    else
        text_clear(out);
    return 1;
}
