#include "web/web.h"

static const char *link_mailbox(const struct exchange *exchange, bool fresh)
{
    const char *token = http_request_param(exchange->request, "t");
    struct status_link link;
    if (token == NULL || token_read(exchange->web->key, exchange->request->arena, token,
                                    exchange->now_ms, &link) != 1)
        return NULL;
    bool holds = fresh ? token_link_is_fresh(&link, exchange->now_ms)
                       : link.expires_ms > exchange->now_ms;
    return holds ? link.mailbox : NULL;
}

const char *status_post_mailbox(struct exchange *exchange, size_t max_bytes, bool fresh)
{
    const char *mailbox = link_mailbox(exchange, fresh);
    exchange->api = true; /* programs ask: errors are JSON too */
    if (!http_request_sends(exchange->request, "application/json"))
        reply_error(exchange, 415, "The body has to be application/json.");
    else if (exchange->request->body_length > max_bytes)
        reply_error(exchange, 413, NULL);
    else if (mailbox == NULL)
        reply_error(exchange, 403,
                    catalogue_text(exchange->catalogue, exchange->request->arena,
                                   exchange->reader.language, "page.link.short", NULL));
    else
        return mailbox;
    return NULL;
}
