/* Messages that wait in the webmail of a status link's mailbox: the webmail parks, claims and sends
 * them, by a link that was made for this. */
#include <string.h>

#include "base/json.h"
#include "web/web.h"

enum { BODY_MAX_BYTES = 4 * 1024 };

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

/* A fresh link: an older one others may have by now. */
void status_parked_handle(struct exchange *exchange)
{
    const char *mailbox = status_post_mailbox(exchange, BODY_MAX_BYTES, true);
    if (mailbox != NULL)
        act(exchange, mailbox);
}
