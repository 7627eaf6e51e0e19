/* The suspended by what they have in common, and the lift of many at once. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "web/desk_views.h"

/* A form has at most REQUEST_MAX_PARAMS fields: a row's box is one. */
enum { ROWS = 50 };

static const char *const filter_names[] = {"cause", "by", "network", "name", "last",
                                           "began"};

static struct suspended_filter filter_of(const struct http_request *request)
{
    return (struct suspended_filter){
        .cause = http_request_param(request, "cause"), .by = http_request_param(request, "by"),
        .network = http_request_param(request, "network"),
        .name = http_request_param(request, "name"), .last = http_request_param(request, "last"),
        .began = http_request_param(request, "began")};
}

/* ---- the list -------------------------------------------------------------------------------- */

static void add_lasts(const struct exchange *exchange, struct json_object *view)
{
    static const struct {
        const char *last;
        int hours, days;
    } lasts[] = {{"1h", 1, 0}, {"6h", 6, 0}, {"24h", 24, 0}, {"7d", 0, 7}};
    const char *chosen = http_request_param(exchange->request, "last");
    struct json_object *list = json_add_list(view, "lasts");
    for (size_t i = 0; i < countof(lasts); i++) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "last_text", lasts[i].last);
        json_add_int(one, "hours", lasts[i].hours);
        json_add_int(one, "days", lasts[i].days);
        json_add_bool(one, "by_days", lasts[i].days > 0);
        json_add_bool(one, "chosen", chosen != NULL && strcmp(chosen, lasts[i].last) == 0);
        json_object_array_add(list, one);
    }
}

/* What leads to those of a group: "link". */
static void add_links(struct json_object *view, const char *list_name, const char *member,
                      const char *filter)
{
    struct json_object *list = json_member(view, list_name);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        freed_by(text_free) struct text link = {0};
        text_addf(&link, "%s=", filter);
        text_add_url(&link, json_string(one, member, ""));
        json_add_string(one, "link", text_string(&link));
    }
}

/* Of the rows one page, each with the name of its box; "total" of all. */
static void cut_rows(const struct exchange *exchange, struct json_object *view)
{
    const char *from = http_request_param(exchange->request, "from");
    struct json_object *all = json_member(view, "suspended"), *rows = json_object_new_array();
    size_t count = json_object_array_length(all), first = 0;
    if (from != NULL && strspn(from, "0123456789") == strlen(from) && strlen(from) < 6)
        first = strtoul(from, NULL, 10);
    for (size_t i = first; i < count && i < first + ROWS; i++) {
        struct json_object *row = json_object_get(json_object_array_get_idx(all, i));
        json_add_string(row, "box", arena_printf(exchange->request->arena, "box%zu", i - first));
        json_object_array_add(rows, row);
    }
    json_add_int(view, "total", (int64_t)count);
    json_add_string(view, "next", count > first + ROWS ? arena_printf(exchange->request->arena,
                                                                      "%zu", first + ROWS)
                                                       : NULL);
    json_add(view, "suspended", rows);
}

static void complete(const struct exchange *exchange, struct json_object *view)
{
    desk_logs_add_filter(exchange, filter_names, countof(filter_names), view);
    desk_logs_add_choices(exchange, "choices", "cause", cause_names, CAUSE_COUNT, view);
    add_lasts(exchange, view);
    add_links(view, "networks", "network", "network");
    add_links(view, "names", "name", "name");
    add_links(view, "times", "since", "began");
    add_links(view, "causes", "cause", "cause");
    add_links(view, "bys", "by", "by");
    cut_rows(exchange, view);
}

/* The list again, with what is wrong with the filter or with what was chosen. */
static int list_again(struct exchange *exchange, const struct problem *problem)
{
    struct json_object *view = NULL;
    struct problem ignored;
    const struct suspended_filter filter = filter_of(exchange->request), all = {0};
    int answer = desk_campaigns(&exchange->web->desk, &filter, exchange->now_ms, &view, &ignored);
    if (answer == 0)
        answer = desk_campaigns(&exchange->web->desk, &all, exchange->now_ms, &view, &ignored);
    if (answer < 1)
        return -1;
    complete(exchange, view);
    json_add_string(view, "note", http_request_param(exchange->request, "note"));
    desk_forms_add_problem(view, problem);
    reply_page(exchange, problem->status, "desk_suspended", view);
    return 1;
}

int desk_campaigns_view(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem)
{
    const struct suspended_filter filter = filter_of(exchange->request);
    int answer = desk_campaigns(&exchange->web->desk, &filter, exchange->now_ms, view_r, problem);
    if (answer == 0 && !exchange->api)
        return list_again(exchange, problem);
    if (answer > 0 && !exchange->api)
        complete(exchange, *view_r);
    return answer;
}

/* ---- lifts ----------------------------------------------------------------------------------- */

static void add_lines(struct json_object *list, const char *lines)
{
    while (*lines != '\0') {
        size_t length = strcspn(lines, "\r\n");
        if (length > 0)
            json_object_array_add(list, json_object_new_string_len(lines, (int)length));
        lines += length + strspn(lines + length, "\r\n");
    }
}

/* All that the list has, "alice@example.test volume" each. 1; 0 with *problem; -1. */
static int add_all(struct exchange *exchange, struct json_object *list, struct problem *problem)
{
    freed_by(json_put) struct json_object *view = NULL;
    const struct suspended_filter filter = filter_of(exchange->request);
    int answer = desk_campaigns(&exchange->web->desk, &filter, exchange->now_ms, &view, problem);
    struct json_object *rows = answer > 0 ? json_member(view, "suspended") : NULL;
    for (size_t i = 0; rows != NULL && i < json_object_array_length(rows); i++) {
        struct json_object *row = json_object_array_get_idx(rows, i);
        json_object_array_add(
            list, json_object_new_string(arena_printf(exchange->request->arena, "%s %s",
                                                      json_string(row, "mailbox", ""),
                                                      json_string(row, "cause", ""))));
    }
    return answer;
}

/* What a form chose: its boxes, the lines of its preview, or all of the list. To be put. */
static int words_of_form(struct exchange *exchange, struct json_object **words_r,
                         struct problem *problem)
{
    const struct http_request *request = exchange->request;
    const char *lines = http_request_param(request, "suspensions");
    struct json_object *words = json_object_new_object();
    struct json_object *list = json_add_list(words, "suspensions");
    *words_r = words;
    json_add_string(words, "note", http_request_param(request, "note"));
    if (lines != NULL)
        add_lines(list, lines);
    else if (http_request_param(request, "all") != NULL)
        return add_all(exchange, list, problem);
    for (int i = 0; i < ROWS && lines == NULL; i++) {
        const char *box = http_request_param(request,
                                             arena_printf(request->arena, "box%d", i));
        if (box != NULL)
            add_lines(list, box);
    }
    return 1;
}

/* "lines": what a confirmation does, one a line. */
static void add_chosen(const struct exchange *exchange, struct json_object *words,
                       struct json_object *view)
{
    freed_by(text_free) struct text lines = {0};
    struct json_object *list = json_member(words, "suspensions");
    for (size_t i = 0; i < json_object_array_length(list); i++)
        text_addf(&lines, "%s\n", json_object_get_string(json_object_array_get_idx(list, i)));
    json_add_string(view, "lines", text_string(&lines));
    json_add_string(view, "note", json_string(words, "note", NULL));
    desk_logs_add_filter(exchange, filter_names, countof(filter_names), view);
}

static int lift_by_form(struct exchange *exchange, bool preview, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *words = NULL;
    struct problem problem = {0};
    int answer = words_of_form(exchange, &words, &problem);
    if (answer > 0)
        answer = desk_lift_many(&exchange->web->desk, &exchange->person, words, preview,
                                exchange->now_ms, view_r, &problem);
    if (answer < 1)
        return answer < 0 ? -1 : list_again(exchange, &problem);
    add_chosen(exchange, words, *view_r);
    const char *batch = json_string(*view_r, "batch", NULL);
    return batch == NULL ? 1
                         : desk_undo_add_last(exchange, &(struct audit_words){.text = batch},
                                              *view_r);
}

int desk_campaigns_lift(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem)
{
    freed_by(json_put) struct json_object *words = NULL;
    bool preview;
    if (desk_forms_read_preview(exchange, &preview, problem) < 1)
        return 0;
    if (exchange->api)
        words = desk_forms_words(exchange);
    int answer = exchange->api
                     ? desk_lift_many(&exchange->web->desk, &exchange->person, words, preview,
                                      exchange->now_ms, view_r, problem)
                     : lift_by_form(exchange, preview, view_r);
    return desk_forms_outcome(exchange, answer, preview, view_r);
}
