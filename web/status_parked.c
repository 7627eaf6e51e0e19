/* Messages that wait in the webmail of a status link's mailbox: the webmail parks, claims and sends
 * them, by a link that was made for this. */
#include <string.h>

#include "base/json.h"
#include "web/web.h"

enum { BODY_MAX_BYTES = 4 * 1024 };

/* NULL: the link does not hold, or is not fresh: others may have it by now. */
static const char *link_mailbox(const struct exchange *exchange)
{
    const char *token = http_request_param(exchange->request, "t");
    struct status_link link;
    bool good = token != NULL && token_read(exchange->web->key, exchange->request->arena, token,
                                            exchange->now_ms, &link) == 1;
    return good && token_link_is_fresh(&link, exchange->now_ms) ? link.mailbox : NULL;
}

static void act(struct exchange *exchange, const char *mailbox)
{
    struct json_object *words = exchange->request->params, *view = NULL;
    struct problem problem = {0};
    int done = desk_parked_act(&exchange->web->desk, mailbox, words, exchange->now_ms, &view,
                               &problem);
    if (done < 0)
        reply_not_known(exchange);
    else if (done == 0)
        reply_problem(exchange, &problem);
    else {
        const char *action = json_string(words, "action", "");
        if (strcmp(action, "list") != 0)
            log_line(LOG_INFO_LEVEL, "parked message", "mailbox", mailbox, "action", action, NULL);
        reply_json(exchange, 200, view);
    }
}

void status_parked_handle(struct exchange *exchange)
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
        act(exchange, mailbox);
}
