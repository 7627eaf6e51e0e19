/* Lists of what was decided and of what staff did, with their filters. */
#include <string.h>

#include "base/json.h"
#include "base/zone.h"
#include "web/desk_views.h"

/* ---- what is asked for ----------------------------------------------------------------------- */

/* A moment, or a time on the clock of the page's zone, as forms have it. */
static const char *moment_param(const struct exchange *exchange, const char *name)
{
    const char *text = http_request_param(exchange->request, name);
    freed_by(zone_free) struct zone *zone = zone_open(exchange->reader.zone);
    freed_by(text_free) struct text moment = {0};
    int64_t time_ms;
    if (text == NULL || !zone_local_read(zone, text, &time_ms))
        return text;
    text_add_time(&moment, time_ms);
    return arena_strdup(exchange->request->arena, text_string(&moment));
}

struct decision_words desk_logs_decision_words(const struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    return (struct decision_words){
        .mailbox = http_request_param(request, "mailbox"),
        .outcome = http_request_param(request, "outcome"),
        .channel = http_request_param(request, "channel"),
        .rule = http_request_param(request, "rule"),
        .network = http_request_param(request, "network"),
        .from = moment_param(exchange, "from"), .until = moment_param(exchange, "until")};
}

int desk_logs_audit_filter(const struct exchange *exchange, struct audit_filter *filter_r,
                           struct problem *problem)
{
    const struct http_request *request = exchange->request;
    const struct audit_words words = {
        .subject = http_request_param(request, "subject"), .by = http_request_param(request, "by"),
        .action = http_request_param(request, "action"),
        .text = http_request_param(request, "text"), .from = moment_param(exchange, "from"),
        .until = moment_param(exchange, "until")};
    return desk_audit_filter_read(&exchange->web->desk, &words, filter_r, problem);
}

/* ---- for pages ------------------------------------------------------------------------------- */

void desk_logs_add_filter(const struct exchange *exchange, const char *const *names, size_t count,
                          struct json_object *view)
{
    freed_by(text_free) struct text url = {0};
    struct json_object *filter = json_add_object(view, "filter");
    for (size_t i = 0; i < count; i++) {
        const char *value = http_request_param(exchange->request, names[i]);
        if (value == NULL || *value == '\0')
            continue;
        json_add_string(filter, names[i], value);
        text_addf(&url, "%s=", names[i]);
        text_add_url(&url, value);
        text_add_char(&url, '&');
    }
    json_add_bool(view, "filtered", json_object_object_length(filter) > 0);
    json_add_string(view, "filter_url", text_string(&url));
}

void desk_logs_add_choices(const struct exchange *exchange, const char *list, const char *member,
                           const char *const *names, size_t count, struct json_object *view)
{
    const char *chosen = http_request_param(exchange->request, member);
    struct json_object *choices = json_add_list(view, list);
    for (size_t i = 0; i < count; i++) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, member, names[i]);
        json_add_bool(one, "chosen", chosen != NULL && strcmp(chosen, names[i]) == 0);
        json_object_array_add(choices, one);
    }
}

/* The page again with nothing in its list, and what is wrong with the filter. */
static int filter_again(struct exchange *exchange, const char *page, struct json_object *view,
                        const struct problem *problem)
{
    desk_forms_add_problem(view, problem);
    reply_page(exchange, problem->status, page, view);
    return 1;
}

static void complete_decisions(const struct exchange *exchange, struct json_object *view)
{
    static const char *const names[] = {"mailbox", "outcome", "channel", "rule",
                                        "network", "from", "until", "tz"};
    const char *rules[RULE_COUNT];
    for (int rule = 0; rule < RULE_COUNT; rule++)
        rules[rule] = rule_table[rule].name;
    desk_logs_add_filter(exchange, names, countof(names), view);
    desk_logs_add_choices(exchange, "outcomes", "outcome", outcome_names, OUTCOME_COUNT, view);
    desk_logs_add_choices(exchange, "channels", "channel", channel_names, CHANNEL_COUNT, view);
    desk_logs_add_choices(exchange, "rule_choices", "rule", rules, RULE_COUNT, view);
}

int desk_logs_decisions(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem)
{
    const struct decision_words words = desk_logs_decision_words(exchange);
    int answer = desk_decisions_found(&exchange->web->desk, &words,
                                      http_request_param(exchange->request, "before"),
                                      exchange->now_ms, view_r, problem);
    if (answer < 0 || exchange->api)
        return answer;
    if (answer == 0)
        *view_r = json_object_new_object();
    complete_decisions(exchange, *view_r);
    return answer > 0 ? 1
                      : filter_again(exchange, "desk_decisions", take(*view_r), problem);
}

static void complete_audit(const struct exchange *exchange, struct json_object *view)
{
    static const char *const names[] = {"subject", "by", "action", "text", "from", "until", "tz"};
    static const char *const actions[] = {
        "suspend", "lift", "reset", "extra", "limit", "exempt", "plan", "note", "lock", "reopen",
        "close", "open", "block", "unblock", "answer", "allow_from", "disallow_from", "logins_end",
        "held_release", "held_reject", "approval_ask", "approval_give", "approval_refuse", "undo"};
    desk_logs_add_filter(exchange, names, countof(names), view);
    desk_logs_add_choices(exchange, "choices", "action", actions, countof(actions), view);
}

int desk_logs_audit(struct exchange *exchange, struct json_object **view_r,
                    struct problem *problem)
{
    struct audit_filter filter;
    int answer = desk_logs_audit_filter(exchange, &filter, problem);
    if (answer > 0)
        answer = desk_audit_found(&exchange->web->desk, &filter,
                                  http_request_param(exchange->request, "before"), view_r,
                                  problem);
    if (answer < 0 || exchange->api)
        return answer;
    if (answer == 0)
        *view_r = json_object_new_object();
    else
        desk_undo_mark(&exchange->person, json_member(*view_r, "actions"), exchange->now_ms);
    complete_audit(exchange, *view_r);
    return answer > 0 ? 1 : filter_again(exchange, "desk_audit", take(*view_r), problem);
}
