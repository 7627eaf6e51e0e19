#include "mta/connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OUT_KEPT_BYTES = 4 * 1024 };

struct connection *connection_new(int fd, const char *client)
{
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->fd = fd;
    snprintf(connection->client, sizeof connection->client, "%s", client);
    return connection;
}

void connection_free(struct connection **connection)
{
    if (*connection == NULL)
        return;
    close((*connection)->fd);
    policy_request_free(&(*connection)->request);
    text_free(&(*connection)->out);
    free(*connection);
    *connection = NULL;
}

int connection_send(struct connection *connection)
{
    struct text *out = &connection->out;
    while (connection->out_at < out->length) {
        ssize_t sent = send(connection->fd, out->data + connection->out_at,
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
