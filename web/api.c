#include <string.h>

#include "text/embedded.h"
#include "web/desk_views.h"

/* The desk for programs: the same routes, asked with a bearer token (RFC 6750),
 * answered in JSON; errors are problem+json (RFC 9457). */

#define ROOT "/api/v1"

static void send_document(struct exchange *exchange)
{
    const struct embedded *file = embedded_assets;
    if (exchange->request->method != METHOD_GET) {
        http_response_header(exchange->response, "Allow", "GET, HEAD");
        reply_error(exchange, 405, NULL);
        return;
    }
    while (file->name != NULL && strcmp(file->name, "openapi.json") != 0)
        file++;
    if (file->name == NULL) {
        reply_error(exchange, 404, NULL);
        return;
    }
    exchange->response->type = "application/json";
    text_add_bytes(&exchange->response->body, (const char *)file->bytes, file->length);
}

/* RFC 6750 section 3: without a token there is no error to name. */
static void ask_for_token(struct exchange *exchange)
{
    http_response_header(exchange->response, "WWW-Authenticate",
                         exchange->request->authorization == NULL
                    ? "Bearer realm=\"sendguard\""
                    : "Bearer realm=\"sendguard\", error=\"invalid_token\"");
    reply_error(exchange, 401, "A bearer token that holds is needed.");
}

void api_handle(struct exchange *exchange)
{
    const char *path = exchange->request->path + strlen(ROOT);
    exchange->api = true;
    if (strcmp(path, "/openapi.json") == 0) {
        send_document(exchange);
        return;
    }
    int known = access_by_token(exchange);
    if (known < 0)
        reply_no_store(exchange);
    else if (known == 0)
        ask_for_token(exchange);
    else
        desk_routes_answer(exchange, path);
}
