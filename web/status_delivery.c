/* What became of the mail of a status link's mailbox: for the webmail, beside a message that was
 * sent, and for who asks about addresses. Nothing is told of other mailboxes, and a link that does
 * not hold gets one answer, whatever is wrong with it. */
#include "base/json.h"
#include "web/web.h"

enum { BODY_MAX_BYTES = 64 * 1024 };

static const char *link_mailbox(const struct exchange *exchange)
{
    const char *token = http_request_param(exchange->request, "t");
    struct status_link link;
    if (token == NULL || token_read(exchange->web->key, exchange->request->arena, token,
                                    exchange->now_ms, &link) != 1)
        return NULL;
    return link.expires_ms > exchange->now_ms ? link.mailbox : NULL;
}

static void answer(struct exchange *exchange, const char *mailbox)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    int found = desk_delivery_addresses(&exchange->web->desk, mailbox, exchange->request->params,
                                        exchange->now_ms, &view, &problem);
    if (found < 0) {
        reply_no_store(exchange);
    } else if (found == 0) {
        reply_problem(exchange, &problem);
    } else {
        desk_delivery_add_words(view, exchange->catalogue, exchange->request->arena,
                                exchange->reader.language);
        reply_json(exchange, 200, view);
    }
}

void status_delivery_handle(struct exchange *exchange)
{
    const char *mailbox = link_mailbox(exchange);
    exchange->api = true; /* programs ask: errors are JSON too */
    if (!http_request_sends(exchange->request, "application/json"))
        reply_error(exchange, 415, "The body has to be application/json.");
    else if (exchange->request->body_length > BODY_MAX_BYTES)
        reply_error(exchange, 413, NULL);
    else if (mailbox == NULL)
        reply_error(exchange, 403,
                    catalogue_text(exchange->catalogue, exchange->request->arena,
                                   exchange->reader.language, "page.link.short", NULL));
    else
        answer(exchange, mailbox);
}
