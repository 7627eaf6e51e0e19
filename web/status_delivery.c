/* What became of the mail of a status link's mailbox: for the webmail, beside a message that was
 * sent, and for who asks about addresses. Nothing is told of other mailboxes, and a link that does
 * not hold gets one answer, whatever is wrong with it. */
#include "base/json.h"
#include "web/web.h"

enum { BODY_MAX_BYTES = 64 * 1024 };

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
    const char *mailbox = status_post_mailbox(exchange, BODY_MAX_BYTES, false);
    if (mailbox != NULL)
        answer(exchange, mailbox);
}
