/* One connection of Postfix: what came in and is not complete, what goes out and is not taken. */
#ifndef SENDGUARD_CONNECTION_H
#define SENDGUARD_CONNECTION_H

#include <stdbool.h>

#include "base/text.h"
#include "daemon/event_loop.h"
#include "mta/policy_request.h"

enum { CLIENT_SIZE = 64 };

struct connection {
    struct event_link link;
    bool closing;  /* when the answers are out */
    bool dead;     /* nobody is there any longer */
    bool in_round; /* something of it waits for the end of the round */
    bool blocked;  /* answers wait until the peer takes them; nothing is read meanwhile */
    struct policy_request request;
    struct text out;
    size_t out_at; /* so much of it has been sent */
    struct connection *next_in_round;
    char client[CLIENT_SIZE]; /* "192.0.2.1:4711", or "unix" */
};

/* `peer`: its address. */
struct connection *connection_new(const struct sockaddr_storage *peer);
/* In no list any longer; its descriptor is closed already. */
void connection_free(struct connection **connection);

/* Sends what waits. 1 all of it is out, 0 the peer has to take some first, -1 it has gone. */
int connection_send(struct connection *connection) must_check;

#endif
