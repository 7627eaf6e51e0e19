#include "web/logins_pages.h"

#include <string.h>

#include "base/json.h"
#include "base/zone.h"
#include "web/desk_views.h"

/* ---- beside the facts ------------------------------------------------------------------------ */

static void add_text(struct exchange *exchange, struct json_object *known)
{
    struct arena *arena = exchange->request->arena;
    struct json_object *protocols = json_member(known, "protocols");
    const char *text = "";
    for (size_t i = 0; i < json_object_array_length(protocols); i++) {
        const char *word = json_object_get_string(json_object_array_get_idx(protocols, i));
        const char *name = catalogue_text(exchange->catalogue, arena, exchange->reader.language,
                                          arena_printf(arena, "protocol.%s", word), NULL);
        text = arena_printf(arena, "%s%s%s", text, i > 0 ? ", " : "", name != NULL ? name : word);
    }
    json_add_string(known, "protocols_text", text);
}

void logins_pages_add_protocols(struct exchange *exchange, struct json_object *known)
{
    for (size_t i = 0; i < json_object_array_length(known); i++)
        add_text(exchange, json_object_array_get_idx(known, i));
}

static size_t length_of(struct json_object *view, const char *list)
{
    struct json_object *member = json_member(view, list);
    return member != NULL ? json_object_array_length(member) : 0;
}

static void complete(struct exchange *exchange, struct json_object *view)
{
    struct json_object *known = json_member(view, "known"), *last = NULL;
    int64_t ready_ms;
    if (known != NULL) {
        logins_pages_add_protocols(exchange, known);
        last = json_object_array_get_idx(known, 0);
    }
    json_add_bool(view, "observes", strcmp(json_string(view, "mode", ""), "observe") == 0);
    json_add_bool(view, "closed",
                  length_of(view, "blocks") > 0 || length_of(view, "network_blocks") > 0);
    json_add_bool(view, "ready", zone_moment_read(json_string(view, "ready_at", ""), &ready_ms) &&
                                     exchange->now_ms >= ready_ms);
    json_add(view, "last", json_object_get(last));
}

static bool is_seen(struct json_object *view)
{
    return json_member(view, "seen_since") != NULL || json_is_true(view, "closed") ||
           length_of(view, "known") > 0 || length_of(view, "wrong") > 0 ||
           json_member(view, "password") != NULL;
}

int logins_pages_add(struct exchange *exchange, const char *mailbox, const char *ip,
                     struct json_object *view)
{
    freed_by(json_put) struct json_object *signins = NULL;
    struct problem ignored;
    int answer = desk_logins(&exchange->web->desk, mailbox, ip, exchange->now_ms, &signins,
                             &ignored);
    if (answer < 1)
        return answer < 0 ? -1 : 1;
    complete(exchange, signins);
    if (is_seen(signins))
        json_add(view, "signins", take(signins));
    return 1;
}

void logins_pages_add_to_home(struct json_object *view)
{
    struct json_object *logins = json_member(view, "logins");
    json_add_bool(logins, "any", json_int(logins, "closed_mailboxes", 0) +
                                     json_int(logins, "closed_networks", 0) > 0);
}

/* ---- the page -------------------------------------------------------------------------------- */

/* What was typed into its field: the page of that mailbox or network. */
static void go_to(struct exchange *exchange, const char *typed)
{
    static const char blanks[] = " \t";
    const char *begin = typed + strspn(typed, blanks);
    const char *query = arena_strndup(exchange->request->arena, begin, strcspn(begin, blanks));
    const char *folder = query[0] == '\0'             ? "/logins"
                         : strchr(query, '@') != NULL ? "/logins?mailbox="
                                                      : "/logins?ip=";
    desk_routes_redirect(exchange, folder, query, "");
}

/* Without a subject, with what is wrong. What has no '@' went to where addresses of the network are
 * looked up (go_to), and may have been meant as a mailbox. */
static int ask_again(struct exchange *exchange, const char *query, const struct problem *problem)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "query", query);
    desk_forms_add_problem(view, problem);
    reply_page(exchange, problem->status, "desk_logins", view);
    return 1;
}

/* Of nobody's: what is closed now. */
static int view_closed(struct exchange *exchange, struct json_object **view_r)
{
    if (desk_logins_closed(&exchange->web->desk, exchange->now_ms, view_r) < 0)
        return -1;
    complete(exchange, *view_r);
    return 1;
}

static int view_page(struct exchange *exchange, struct json_object **view_r)
{
    const char *query = http_request_param(exchange->request, "q");
    const char *mailbox = http_request_param(exchange->request, "mailbox");
    const char *ip = http_request_param(exchange->request, "ip");
    const char *asked = mailbox != NULL ? mailbox : ip;
    struct problem problem = {0};
    if (query != NULL) {
        go_to(exchange, query);
        return 1;
    }
    if (asked == NULL)
        return view_closed(exchange, view_r);
    int answer = desk_logins(&exchange->web->desk, mailbox, ip, exchange->now_ms, view_r, &problem);
    if (answer == 0 && mailbox == NULL)
        (void)problem_set(&problem, 400, "", "expected a mailbox or an IP address");
    if (answer < 1)
        return answer < 0 ? -1 : ask_again(exchange, asked, &problem);
    complete(exchange, *view_r);
    json_add_string(*view_r, "query",
                    json_string(*view_r, mailbox != NULL ? "mailbox" : "network", ""));
    json_add_bool(*view_r, "found", true);
    json_add_bool(*view_r, "opened", http_request_param(exchange->request, "done") != NULL);
    return 1;
}

int logins_pages_view(struct exchange *exchange, struct json_object **view_r,
                      struct problem *problem)
{
    if (!exchange->api)
        return view_page(exchange, view_r);
    return desk_logins(&exchange->web->desk, http_request_param(exchange->request, "mailbox"),
                       http_request_param(exchange->request, "ip"), exchange->now_ms, view_r,
                       problem);
}

/* ---- ending blocks --------------------------------------------------------------------------- */

static int end_by_api(struct exchange *exchange, bool preview, struct json_object **view_r,
                      struct problem *problem)
{
    freed_by(json_put) struct json_object *words = desk_forms_words(exchange);
    return desk_logins_end(&exchange->web->desk, &exchange->person, words, preview,
                           exchange->now_ms, view_r, problem);
}

/* The page with the form again, and what is wrong. */
static int form_again(struct exchange *exchange, struct json_object *words,
                      const struct problem *problem)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "mailbox", json_string(words, "mailbox", NULL));
    json_add_string(view, "network", json_string(words, "ip", NULL));
    desk_forms_add_typed(view, words);
    desk_forms_add_problem(view, problem);
    reply_page(exchange, problem->status, "desk_logins_end", view);
    return 1;
}

/* Nothing is done before its preview was seen. */
static int end_by_form(struct exchange *exchange, bool preview, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *words = desk_forms_typed(exchange);
    struct problem problem = {0};
    int answer = desk_logins_end(&exchange->web->desk, &exchange->person, words, preview,
                                 exchange->now_ms, view_r, &problem);
    if (answer < 1)
        return answer < 0 ? -1 : form_again(exchange, words, &problem);
    if (preview) {
        complete(exchange, *view_r);
        json_add_bool(*view_r, "allowed", true);
        desk_forms_add_typed(*view_r, words);
        return 1;
    }
    const char *mailbox = json_string(*view_r, "mailbox", NULL);
    if (mailbox != NULL)
        desk_routes_redirect(exchange, "/logins?mailbox=", mailbox, "&done=1");
    else
        desk_routes_redirect(exchange, "/logins?ip=", json_string(*view_r, "network", ""),
                             "&done=1");
    json_put(view_r);
    return 1;
}

int logins_pages_end(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem)
{
    bool preview;
    if (desk_forms_read_preview(exchange, &preview, problem) < 1)
        return 0;
    int answer = exchange->api ? end_by_api(exchange, preview, view_r, problem)
                               : end_by_form(exchange, preview, view_r);
    return desk_forms_outcome(exchange, answer, preview, view_r);
}
