/* Which part of the web interface a request is for. */
#include "web/web.h"

#include <stdatomic.h>
#include <string.h>

#include "base/zone.h"

struct web_part {
    const char *path;  /* ends with '/': all that begins with it */
    const char *allow; /* methods besides which nothing gets in; NULL: the part says */
    void (*handle)(struct exchange *exchange);
    bool asks_store;
};

/* While the store is known to be away so many requests still try it, for its whole timeout each;
 * the others are told at once, and threads stay free for what needs no store. */
enum { TRYING_MAX = 2 };

/* The first that fits. */
static const struct web_part parts[] = {
    {"/status", "GET, HEAD, POST", status_handle, true},
    {"/status/delivery", "POST", status_delivery_handle, true},
    {"/status/parked", "POST", status_parked_handle, true},
    {"/r/", "GET, HEAD", reference_handle, true},
    {"/desk/sign-in", "GET, HEAD, POST", signin_handle, true},
    {"/desk/sign-out", "POST", signin_handle, true},
    {"/desk", NULL, desk_routes_handle, true},
    {"/desk/", NULL, desk_routes_handle, true},
    {"/api/v1/", NULL, api_handle, true},
    {"/assets/", "GET, HEAD", assets_handle, false},
    {"/metrics", NULL, metrics_handle, false},
    {"/healthz", NULL, metrics_handle, false},
    {"/readyz", NULL, metrics_handle, false},
};

static bool begins(const char *path, const char *beginning)
{
    return strncmp(path, beginning, strlen(beginning)) == 0;
}

static const struct web_part *part_of(const char *path)
{
    for (size_t i = 0; i < countof(parts); i++) {
        const char *name = parts[i].path;
        if (name[strlen(name) - 1] == '/' ? begins(path, name) : strcmp(path, name) == 0)
            return &parts[i];
    }
    return NULL;
}

static bool is_allowed(const struct web_part *part, enum method method)
{
    static const char *const words[] = {[METHOD_GET] = "GET", [METHOD_POST] = "POST"};
    return part->allow == NULL ||
           (method != METHOD_OTHER && strstr(part->allow, words[method]) != NULL);
}

static void handle(struct exchange *exchange, const struct web_part *part)
{
    struct web *web = exchange->web;
    if (!part->asks_store) {
        part->handle(exchange);
        return;
    }
    int asking = atomic_fetch_add(&web->asking, 1);
    if (asking >= TRYING_MAX && atomic_load(&web->store_away.state) != 0)
        reply_no_store(exchange);
    else
        part->handle(exchange);
    atomic_fetch_sub(&web->asking, 1);
}

static void run(struct exchange *exchange)
{
    const char *path = exchange->request->path;
    const struct web_part *part = part_of(path);
    if (part == NULL) {
        reply_error(exchange, 404, NULL);
    } else if (!is_allowed(part, exchange->request->method)) {
        http_response_header(exchange->response, "Allow", part->allow);
        reply_error(exchange, 405, NULL);
    } else if (exchange->request->csv != NULL && !exchange->api) {
        reply_error(exchange, 415, NULL);
    } else if ((begins(path, "/desk") || part->handle == status_handle ||
                part->handle == status_delivery_handle || part->handle == status_parked_handle) &&
               exchange->request->method == METHOD_POST &&
               !access_origin_fits(exchange)) {
        reply_error(exchange, 403, NULL);
    } else {
        handle(exchange, part);
    }
}

/* The store has answered when it knew somebody, or how it stands with a mailbox. */
static void note_store(const struct exchange *exchange)
{
    bool answered = exchange->response->status < 500 &&
                    (exchange->person.name[0] != '\0' ||
                     ((strcmp(exchange->request->path, "/status") == 0 ||
                       begins(exchange->request->path, "/status/") ||
                       begins(exchange->request->path, "/r/")) &&
                      exchange->response->status == 200));
    if (answered && log_changed(&exchange->web->store_away, 0))
        log_line(LOG_INFO_LEVEL, "store answers again", NULL);
}

static struct exchange begin(struct web *web, const struct http_request *request,
                             const struct snapshot *snapshot, int64_t now_ms,
                             struct http_response *response)
{
    const char *zone = http_request_param(request, "tz");
    struct exchange exchange = {.web = web,
                                .settings = snapshot_settings(snapshot),
                                .catalogue = snapshot_catalogue(snapshot),
                                .request = request,
                                .response = response,
                                .now_ms = now_ms,
                                .cookie = http_request_token_cookie(request, SESSION_COOKIE,
                                                                    SECRET_TEXT_SIZE - 1),
                                .api = begins(request->path, "/api/")};
    exchange.reader = (struct reader){
        .catalogue = exchange.catalogue,
        .language = catalogue_language(exchange.catalogue, request->accept_language),
        .zone = zone != NULL && zone_exists(zone) ? zone : exchange.settings->web_time_zone,
        .now_ms = now_ms};
    response->status = 200;
    /* with no-referrer a browser would not say where the desk's own forms come from */
    if (begins(request->path, "/desk"))
        response->referrer = "same-origin";
    /* nor where the form of the status page comes from, whose address nobody else may learn */
    if (strcmp(request->path, "/status") == 0)
        response->referrer = "strict-origin";
    return exchange;
}

void web_answer(void *context, const struct raw_request *raw, const struct problem *refused,
                struct arena *arena, int64_t now_ms, struct http_response *response)
{
    struct web *web = context;
    struct http_request request;
    struct problem problem = {0};
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(web->desk.guard);
    bool good = http_request_make(raw, snapshot_settings(snapshot), arena, &request, &problem) > 0;
    struct exchange exchange = begin(web, &request, snapshot, now_ms, response);
    if (!good || refused != NULL) {
        reply_problem(&exchange, good ? refused : &problem);
    } else {
        run(&exchange);
        note_store(&exchange);
    }
    http_request_end(&request);
}
