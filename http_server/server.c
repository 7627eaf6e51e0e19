#include "http_server/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http_server/server_headers.h"

enum {
    SPARE_FILES = 128, /* store, log, epoll and whatever a library opens */
    PIECE_BYTES = 32 * 1024,
    QUIET_MS = 100,
    /* Of a body that is too long so much is passed over, for clients that read an answer only
     * when they have sent all. */
    DROPPED_BYTES = 3 * REQUEST_MAX_BODY,
};

struct server {
    server_answer *answer;
    void *context;
    struct MHD_Daemon *daemon;
    _Atomic bool stopping;
    _Atomic int answering;         /* requests that are whole and not answered to their end */
    _Atomic size_t bodies_bytes;   /* held of all bodies */
};

/* One request from its first line to its end. */
struct visit {
    struct server *server;
    struct arena *arena;
    char *url, *query; /* query NULL: none */
    bool begun, answering;
    int refused; /* status, when the body is not wanted; 0: it is */
    struct text body;
    size_t dropped;
    int64_t began_ms;
};

/* ---- a request comes in --------------------------------------------------------------- */

/* libmicrohttpd hands over the target as sent, before it cuts it up in its own way. */
static void *on_request_line(void *context, const char *uri, struct MHD_Connection *connection)
{
    (void)connection;
    struct visit *visit = xcalloc(1, sizeof *visit);
    visit->server = context;
    visit->began_ms = clock_monotonic_ms();
    visit->url = xstrdup(uri);
    char *mark = strchr(visit->url, '?');
    if (mark != NULL) {
        *mark = '\0';
        visit->query = mark + 1;
    }
    return visit;
}

static void drop_body(struct visit *visit)
{
    atomic_fetch_sub(&visit->server->bodies_bytes, visit->body.length);
    text_free(&visit->body);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode how)
{
    (void)context, (void)connection, (void)how;
    struct visit *visit = *request;
    if (visit == NULL)
        return;
    drop_body(visit);
    if (visit->answering)
        atomic_fetch_sub(&visit->server->answering, 1);
    arena_free(&visit->arena);
    free(visit->url);
    free(visit);
    *request = NULL;
}

static enum MHD_Result take_body(struct visit *visit, const char *bytes, size_t length)
{
    struct server *server = visit->server;
    if (clock_monotonic_ms() - visit->began_ms > SERVER_BODY_MS)
        return MHD_NO;
    if (visit->refused == 0 && visit->body.length + length > REQUEST_MAX_BODY)
        visit->refused = 413;
    if (visit->refused == 0 && atomic_load(&server->bodies_bytes) + length > SERVER_BODIES_BYTES)
        visit->refused = 503;
    if (visit->refused == 0) {
        atomic_fetch_add(&server->bodies_bytes, length);
        text_add_bytes(&visit->body, bytes, length);
        return MHD_YES;
    }
    drop_body(visit);
    visit->dropped += length;
    return visit->dropped <= DROPPED_BYTES ? MHD_YES : MHD_NO;
}

static struct raw_request raw_of(struct visit *visit, struct MHD_Connection *connection,
                                 const char *method)
{
    struct raw_request raw = {.method = method,
                              .url = visit->url,
                              .query = visit->query,
                              .body = text_string(&visit->body),
                              .body_length = visit->body.length};
    server_headers_read(connection, visit->arena, &raw);
    return raw;
}

/* ---- an answer goes out ------------------------------------------------------------------------ */

/* A body that is made while it is sent. */
struct stream {
    struct http_response response;
    struct text pending;
    size_t sent; /* of it */
    bool ended;
};

static ssize_t on_more(void *context, uint64_t position, char *buffer, size_t size)
{
    (void)position;
    struct stream *stream = context;
    while (stream->sent == stream->pending.length) {
        if (stream->ended)
            return MHD_CONTENT_READER_END_OF_STREAM;
        text_clear(&stream->pending);
        stream->sent = 0;
        int more = stream->response.next_piece(stream->response.context, &stream->pending);
        if (more < 0)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        stream->ended = more == 0;
    }
    size_t length = stream->pending.length - stream->sent;
    if (length > size)
        length = size;
    memcpy(buffer, stream->pending.data + stream->sent, length);
    stream->sent += length;
    return (ssize_t)length;
}

static void on_stream_end(void *context)
{
    struct stream *stream = context;
    http_response_free(&stream->response);
    text_free(&stream->pending);
    free(stream);
}

/* What it holds of `response` is taken. */
static struct MHD_Response *body_of(struct http_response *response)
{
    if (response->next_piece != NULL) {
        struct stream *stream = xcalloc(1, sizeof *stream);
        stream->response = *response;
        response->free = NULL;
        response->body = (struct text){0};
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, on_more, stream,
                                                 on_stream_end);
    }
    if (response->body.length == 0)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *made = MHD_create_response_from_buffer(
        response->body.length, response->body.data, MHD_RESPMEM_MUST_FREE);
    if (made != NULL)
        response->body = (struct text){0};
    return made;
}

static void add_headers(struct MHD_Response *made, const struct http_response *response,
                        bool closes)
{
    static const char policy[] =
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    MHD_add_response_header(made, "Content-Security-Policy", policy);
    MHD_add_response_header(made, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(made, "Referrer-Policy",
                            response->referrer != NULL ? response->referrer : "no-referrer");
    MHD_add_response_header(made, "Cache-Control",
                            response->cache != NULL ? response->cache : "no-store");
    if (response->type != NULL)
        MHD_add_response_header(made, "Content-Type", response->type);
    for (size_t i = 0; i < response->header_count; i++)
        MHD_add_response_header(made, response->headers[i].name, response->headers[i].value);
    if (closes)
        MHD_add_response_header(made, "Connection", "close");
}

static enum MHD_Result send_response(struct visit *visit, struct MHD_Connection *connection,
                                     struct http_response *response, bool closes)
{
    unsigned status = (unsigned)response->status;
    struct http_response kept = *response; /* its headers, when the stream has taken the rest */
    struct MHD_Response *made = body_of(response);
    if (made == NULL)
        return MHD_NO;
    add_headers(made, &kept, closes || atomic_load(&visit->server->stopping));
    enum MHD_Result queued = MHD_queue_response(connection, status, made);
    MHD_destroy_response(made);
    return queued;
}

/* ---- one request --------------------------------------------------------------------------------- */

static void refuse_body(int status, struct problem *problem)
{
    if (status == 413)
        problem_set(problem, status, "body", "a body has at most %d bytes", REQUEST_MAX_BODY);
    else
        problem_set(problem, status, "body",
                    status == 400 ? "expected one Content-Length, or Transfer-Encoding: chunked"
                                  : "there is no room for it now");
}

static void make_response(struct visit *visit, const struct raw_request *raw,
                          struct http_response *response)
{
    const struct server *server = visit->server;
    struct problem problem = {0};
    if (visit->refused != 0)
        refuse_body(visit->refused, &problem);
    server->answer(server->context, raw, visit->refused != 0 ? &problem : NULL, visit->arena,
                   clock_wall_ms(), response);
}

static void log_visit(const struct visit *visit, const char *method, int status)
{
    char status_text[12], took_text[24];
    snprintf(status_text, sizeof status_text, "%d", status);
    snprintf(took_text, sizeof took_text, "%lld",
             (long long)(clock_monotonic_ms() - visit->began_ms));
    log_line(LOG_DEBUG_LEVEL, "request", "method", method, "path", visit->url, "status",
             status_text, "took_ms", took_text, NULL);
}

static enum MHD_Result answer(struct visit *visit, struct MHD_Connection *connection,
                              const char *method, bool closes)
{
    struct http_response response = {.status = 200};
    visit->answering = true;
    atomic_fetch_add(&visit->server->answering, 1);
    visit->arena = arena_new();
    struct raw_request raw = raw_of(visit, connection, method);
    make_response(visit, &raw, &response);
    drop_body(visit);
    log_visit(visit, method, response.status);
    enum MHD_Result sent = send_response(visit, connection, &response, closes);
    http_response_free(&response);
    return sent;
}

/* The headers are there. */
static enum MHD_Result begin(struct visit *visit, struct MHD_Connection *connection,
                             const char *method, const char *version)
{
    unsigned long long length = server_headers_body_length(connection);
    visit->begun = true;
    if (length > REQUEST_MAX_BODY)
        visit->refused = 413;
    if (!server_headers_end_is_clear(connection, version))
        visit->refused = 400;
    bool at_once = length > DROPPED_BYTES || visit->refused == 400;
    return at_once ? answer(visit, connection, method, true) : MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *url, const char *method, const char *version,
                                  const char *upload, size_t *upload_size, void **request)
{
    (void)context, (void)url;
    struct visit *visit = *request;
    if (!visit->begun)
        return begin(visit, connection, method, version);
    if (*upload_size == 0)
        return answer(visit, connection, method, false);
    enum MHD_Result taken = take_body(visit, upload, *upload_size);
    *upload_size = 0;
    return taken;
}

/* ---- the daemon -------------------------------------------------------------------------------------- */

/* How many connections the limit of open files leaves. */
static unsigned connection_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return SERVER_CONNECTIONS;
    rlim_t wanted = SERVER_CONNECTIONS + SPARE_FILES;
    if (files.rlim_cur < wanted) {
        files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &files) != 0)
            getrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur >= wanted)
        return SERVER_CONNECTIONS;
    unsigned left = files.rlim_cur > 2 * SPARE_FILES ? (unsigned)files.rlim_cur - SPARE_FILES
                                                     : SPARE_FILES;
    char text[16];
    snprintf(text, sizeof text, "%u", left);
    log_line(LOG_WARNING_LEVEL, "few open files are allowed, so few connections are", "connections",
             text, NULL);
    return left;
}

/* Targets are decoded by http_request. */
static size_t leave_encoded(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context, (void)connection;
    return strlen(text);
}

/* What it tells is about clients that break off or talk nonsense, and may quote them. */
static void stay_quiet(void *context, const char *format, va_list arguments)
{
    (void)context, (void)format, (void)arguments;
}

struct server *server_start(server_answer *answers, void *context, int listen_fd, int threads,
                            size_t header_bytes)
{
    struct server *server = xcalloc(1, sizeof *server);
    server->answer = answers;
    server->context = context;
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
        server, MHD_OPTION_EXTERNAL_LOGGER, stay_quiet, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)threads, MHD_OPTION_CONNECTION_LIMIT,
        connection_limit(), MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SERVER_IDLE_S,
        /* it reads into one half; the answer's headers have to fit beside the request's */
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, 2 * header_bytes,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL,
        MHD_OPTION_URI_LOG_CALLBACK, on_request_line, server, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, server, MHD_OPTION_END);
    if (server->daemon == NULL) {
        log_line(LOG_ERROR_LEVEL, "the HTTP server cannot start", "error", strerror(errno), NULL);
        free(server);
        return NULL;
    }
    return server;
}

/* A request may be with the kernel and not yet with us, so it has to be quiet for a moment. */
static bool all_answered(struct server *server, int64_t end_ms)
{
    int64_t quiet_since = clock_monotonic_ms();
    for (int64_t now = quiet_since; now < end_ms; now = clock_monotonic_ms()) {
        if (atomic_load(&server->answering) > 0)
            quiet_since = now;
        else if (now - quiet_since >= QUIET_MS)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 5 * 1000000}, NULL);
    }
    return atomic_load(&server->answering) == 0;
}

int server_stop(struct server **server, int timeout_ms)
{
    struct server *stopped = *server;
    int64_t end_ms = clock_monotonic_ms() + timeout_ms;
    atomic_store(&stopped->stopping, true);
    MHD_quiesce_daemon(stopped->daemon);
    bool all = all_answered(stopped, end_ms);
    MHD_stop_daemon(stopped->daemon);
    free(stopped);
    *server = NULL;
    return all;
}
