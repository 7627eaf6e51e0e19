#include "web/failure_pages.h"

#include <string.h>

#include "base/json.h"

static int most_first(const void *left, const void *right)
{
    struct json_object *const *a = left, *const *b = right;
    int64_t a_count = json_int(*a, "recipients", 0), b_count = json_int(*b, "recipients", 0);
    return (a_count < b_count) - (a_count > b_count);
}

static void add_classes(struct exchange *exchange, struct json_object *failures)
{
    struct json_object *list = json_add_list(failures, "classes");
    struct json_object *counts = json_member(failures, "by_class");
    if (counts == NULL)
        return;
    json_object_object_foreach(counts, class, count)
    {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "class", class);
        json_add_int(one, "recipients", json_object_get_int64(count));
        json_object_array_add(list, one);
    }
    json_object_array_sort(list, most_first);
    json_object_object_del(failures, "by_class");
    desk_delivery_add_words(list, exchange->catalogue, exchange->request->arena,
                            exchange->reader.language);
}

static void add_reasons(struct json_object *left_out)
{
    for (size_t i = 0; i < json_object_array_length(left_out); i++) {
        struct json_object *one = json_object_array_get_idx(left_out, i);
        bool outage = strcmp(json_string(one, "reason", ""), "outage") == 0;
        json_add_bool(one, "outage", outage);
        json_add_bool(one, "ours", !outage);
    }
}

static void cut_mailboxes(struct json_object *failures)
{
    struct json_object *list = json_member(failures, "by_mailbox");
    size_t count = list != NULL ? json_object_array_length(list) : 0;
    size_t more = count > FAILURE_PAGES_MAILBOXES ? count - FAILURE_PAGES_MAILBOXES : 0;
    if (more > 0)
        json_object_array_del_idx(list, FAILURE_PAGES_MAILBOXES, more);
    json_add_int(failures, "more_mailboxes", (int64_t)more);
}

void failure_pages_add(struct exchange *exchange, struct json_object *failures)
{
    if (failures == NULL)
        return;
    json_add_int(failures, "window_minutes", json_int(failures, "window_s", 0) / 60);
    add_classes(exchange, failures);
    add_reasons(json_member(failures, "left_out"));
    cut_mailboxes(failures);
}

void failure_pages_add_to_domain(struct exchange *exchange, struct json_object *view)
{
    struct json_object *failures = json_member(view, "failures");
    failure_pages_add(exchange, failures);
    json_add_bool(failures, "grouped",
                  strcmp(json_string(failures, "sender_domain", ""),
                         json_string(view, "key", "")) != 0);
    json_add_bool(view, "liftable",
                  json_member(failures, "block") != NULL ||
                      json_object_array_length(json_member(failures, "mailbox_blocks")) > 0);
}
