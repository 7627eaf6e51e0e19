/* The page behind the link in a refusal of the mail server: for everybody who has the reference, so it
 * tells little (desk_reference), and what is not there looks all alike. */
#include <string.h>

#include "base/json.h"
#include "web/web.h"

static void not_there(struct exchange *exchange)
{
    if (http_request_wants_json(exchange->request))
        reply_error(exchange, 404, NULL);
    else
        reply_page(exchange, 404, "refusal_none", NULL);
}

void reference_handle(struct exchange *exchange)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    int found = desk_reference(&exchange->web->desk, exchange->request->path + strlen("/r/"),
                               exchange->now_ms, &view, &problem);
    if (found < 0) {
        reply_no_store(exchange);
    } else if (found == 0) {
        not_there(exchange);
    } else if (http_request_wants_json(exchange->request)) {
        reply_json(exchange, 200, view);
    } else {
        const char *zone = exchange->reader.zone;
        json_add_string(view, "zone", zone == NULL ? "UTC" : zone);
        reply_page(exchange, 200, "refusal", view);
    }
}
