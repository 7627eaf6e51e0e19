/* The server: libmicrohttpd, known here and in server_headers.c alone, on one
 * side, a program's function that answers on the other. What it guards against:
 * - idle and slow clients: they cost memory, no thread, and go after
 *   SERVER_IDLE_S of silence; a body that is not there after SERVER_BODY_MS ends
 *   its connection;
 * - bodies: at most REQUEST_MAX_BODY each, and SERVER_BODIES_BYTES together;
 * - requests whose end is not clear: refused, and their connection closed;
 * - a slow store or password check: other threads go on. */
#ifndef SENDGUARD_SERVER_H
#define SENDGUARD_SERVER_H

#include "base/problem.h"
#include "http_server/http_request.h"
#include "http_server/http_response.h"

enum {
    SERVER_CONNECTIONS = 16384,
    SERVER_IDLE_S = 15,
    SERVER_BODY_MS = 60 * 1000,
    SERVER_BODIES_BYTES = 128 * 1024 * 1024,
};

struct server;

/* Answers one request, on one of the server's threads. `refused` (may be NULL): why its body was
 * not taken in; then that has to be the answer. `response` has status 200 and is empty. */
typedef void server_answer(void *context, const struct raw_request *raw,
                           const struct problem *refused, struct arena *arena, int64_t now_ms,
                           struct http_response *response);

/* Serves on a listening socket, which stays the caller's, with so many threads. A request's line and
 * headers have at most header_bytes; a connection takes twice that, which is wiped for each request.
 * NULL: it cannot be started, with a log line. Signals are the caller's: threads inherit its mask. */
struct server *server_start(server_answer *answers, void *context, int listen_fd, int threads,
                            size_t header_bytes);

/* No new connections; requests that are here as a whole are answered. 1 all were, 0 some
 * were not sent within timeout_ms. */
int server_stop(struct server **server, int timeout_ms) must_check;

#endif
