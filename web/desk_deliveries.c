/* What the desk shows of delivery: on the pages of a mailbox, a domain and a decision, on the first
 * one, and on a page of its own. */
#include "base/json.h"
#include "base/zone.h"
#include "web/delivery_pages.h"
#include "web/desk_views.h"

enum { ON_A_MAILBOX = 5 };
/* So far behind, a log counts as not followed: as in docs/alerts.yml. */
enum { LAG_SECONDS = 5 * 60 };

int desk_deliveries_add_to_mailbox(struct exchange *exchange, struct json_object *view,
                                   struct problem *problem)
{
    struct json_object *delivery = NULL;
    int answer = desk_delivery(&exchange->web->desk, json_string(view, "mailbox", ""), NULL,
                               exchange->now_ms, &delivery, problem);
    if (answer > 0) {
        delivery_pages_sums(exchange, delivery, ON_A_MAILBOX);
        json_add(view, "delivery", delivery);
    }
    return answer;
}

int desk_deliveries_add_to_domain(struct exchange *exchange, struct json_object *view,
                                  struct problem *problem)
{
    struct json_object *delivery = NULL;
    int answer = desk_delivery_domain(&exchange->web->desk, json_string(view, "key", ""),
                                      exchange->now_ms, &delivery, problem);
    if (answer > 0) {
        delivery_pages_sums(exchange, delivery, 0);
        json_add(view, "delivery", delivery);
    }
    return answer;
}

/* One that is not kept, or cannot be looked up, is a state for people, and no error. */
int desk_deliveries_add_to_decision(struct exchange *exchange, struct json_object *view)
{
    struct json_object *trace = NULL;
    struct problem problem = {0};
    int answer = desk_trace(&exchange->web->desk, exchange->variable, NULL, exchange->now_ms,
                            &trace, &problem);
    if (answer < 0)
        return -1;
    if (answer == 0) {
        trace = json_object_new_object();
        json_add_string(trace, "state", problem.status == 409 ? "no_key" : "gone");
        json_add_list(trace, "recipients");
    }
    delivery_pages_trace(exchange, trace);
    json_add(view, "trace", trace);
    return 1;
}

/* An old gap asks for nothing any more. */
static bool has_gap_lately(struct json_object *source, int64_t now_ms)
{
    int64_t gap_ms;
    const char *moment = json_string(source, "last_gap_at", NULL);
    return moment != NULL && zone_moment_read(moment, &gap_ms) && gap_ms > now_ms - DAY_MS;
}

int desk_deliveries_add_to_home(struct exchange *exchange, struct json_object *view)
{
    freed_by(json_put) struct json_object *feedback = NULL;
    if (desk_feedback(&exchange->web->desk, exchange->now_ms, &feedback) < 0)
        return -1;
    struct json_object *log = json_add_object(view, "log");
    struct json_object *sources = json_member(feedback, "sources");
    struct json_object *late = json_add_list(log, "late"), *gaps = json_add_list(log, "gaps");
    size_t count = json_object_array_length(sources);
    for (size_t i = 0; i < count; i++) {
        struct json_object *source = json_object_array_get_idx(sources, i);
        if (json_int(source, "lag_s", 0) > LAG_SECONDS)
            json_object_array_add(late, json_object_get(source));
        if (has_gap_lately(source, exchange->now_ms))
            json_object_array_add(gaps, json_object_get(source));
    }
    json_add_bool(log, "not_followed", count == 0);
    json_add_bool(log, "wrong",
                  count == 0 || json_object_array_length(late) > 0 ||
                      json_object_array_length(gaps) > 0);
    return 1;
}

/* ---- a page of its own -------------------------------------------------------------------------- */

int desk_deliveries_page(struct exchange *exchange, struct json_object **view_r,
                         struct problem *problem)
{
    int answer = desk_delivery(&exchange->web->desk, exchange->variable,
                               http_request_param(exchange->request, "before"), exchange->now_ms,
                               view_r, problem);
    if (answer > 0)
        delivery_pages_sums(exchange, *view_r, DESK_PAGE);
    return answer;
}

int desk_deliveries_ask(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem)
{
    const char *pasted = http_request_param(exchange->request, "addresses");
    freed_by(json_put) struct json_object *asked = NULL;
    int answer = delivery_pages_asked(exchange, exchange->variable, pasted, &asked, problem);
    if (answer > 0)
        answer = desk_deliveries_page(exchange, view_r, problem);
    if (answer < 1)
        return answer;
    json_add_string(*view_r, "pasted", pasted);
    json_add(*view_r, "asked", take(asked));
    return 1;
}
