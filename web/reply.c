/* Answers as the asker reads best: pages, JSON, errors. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "store/store.h"
#include "text/problem_text.h"
#include "web/web.h"

/* ---- pages -------------------------------------------------------------------------- */

static void add_person(struct exchange *exchange, struct json_object *view)
{
    const struct person *person = &exchange->person;
    bool signed_in = person->name[0] != '\0' && exchange->cookie != NULL;
    json_add_bool(view, "signed_in", signed_in);
    json_add_bool(view, "may_action", signed_in && person->role >= ROLE_SUPPORT);
    json_add_bool(view, "may_all", signed_in && person->role >= ROLE_ADMIN);
    json_add_null(view, "csrf");
    json_add_null(view, "person");
    if (!signed_in)
        return;
    char token[SECRET_TEXT_SIZE];
    staff_csrf(exchange->cookie, token);
    json_add_string(view, "csrf", token);
    struct json_object *shown = json_add_object(view, "person");
    json_add_string(shown, "name", person->name);
    json_add_string(shown, "role", staff_role_names[person->role]);
    json_add_bool(shown, "by_proxy", exchange->request->remote_user != NULL);
}

/* For how long role support may change a limit. */
static void add_max_extra_for(const struct exchange *exchange, struct json_object *view)
{
    freed_by(text_free) struct text text = {0};
    settings_duration_print(exchange->settings->desk_max_extra_for_ms, &text);
    json_add_string(view, "max_extra_for", text_string(&text));
}

/* What every page may use; who is signed in is never the view's word. */
static void add_frame(struct exchange *exchange, const char *page, struct json_object *view)
{
    json_add_string(view, "base", exchange->request->base);
    json_add_string(view, "page", page);
    json_add_string(view, "lang", exchange->reader.language);
    if (!json_object_object_get_ex(view, "contact", NULL))
        desk_add_contact(view, exchange->settings->support_contact);
    if (!json_object_object_get_ex(view, "zone", NULL))
        json_add_string(view, "zone", present_zone(&exchange->reader));
    add_person(exchange, view);
    add_max_extra_for(exchange, view);
}

void reply_page(struct exchange *exchange, int status, const char *page, struct json_object *view)
{
    struct http_response *response = exchange->response;
    freed_by(json_put) struct json_object *shown =
        view != NULL ? view : json_object_new_object();
    add_frame(exchange, page, shown);
    present(shown, &exchange->reader);
    text_clear(&response->body);
    response->status = status;
    response->type = "text/html; charset=utf-8";
    if (catalogue_page(exchange->catalogue, exchange->reader.language, page, shown,
                       &response->body) > 0)
        return;
    log_line(LOG_ERROR_LEVEL, "page cannot be rendered", "page", page, NULL);
    text_clear(&response->body);
    text_add(&response->body, "This page cannot be shown.\n");
    response->status = 500;
    response->type = "text/plain; charset=utf-8";
}

/* ---- JSON ------------------------------------------------------------------------------ */

static void send_json(struct exchange *exchange, int status, const char *type,
                      struct json_object *view)
{
    struct http_response *response = exchange->response;
    text_clear(&response->body);
    text_add(&response->body,
             json_object_to_json_string_ext(
                 view, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    text_add_char(&response->body, '\n');
    response->status = status;
    response->type = type;
    json_object_put(view);
}

void reply_json(struct exchange *exchange, int status, struct json_object *view)
{
    send_json(exchange, status, "application/json", view);
}

/* ---- errors ------------------------------------------------------------------------------ */

static const char *text_of(struct exchange *exchange, int status, const char *ending)
{
    const char *key = arena_printf(exchange->request->arena, "error.%d%s", status, ending);
    return catalogue_text(exchange->catalogue, exchange->request->arena, exchange->reader.language,
                          key, NULL);
}

static void add_members(struct json_object *view, struct json_object *more)
{
    json_object_object_foreach(more, name, value)
    {
        json_object_object_add(view, name, json_object_get(value));
    }
}

/* `more` may be NULL. */
static void send_error(struct exchange *exchange, int status, const char *where, const char *text,
                       struct json_object *more)
{
    const char *title = text_of(exchange, status, "");
    if (title == NULL)
        title = arena_printf(exchange->request->arena, "%d", status);
    if (text == NULL)
        text = text_of(exchange, status, "_text");
    struct json_object *view = json_object_new_object();
    if (exchange->api || http_request_wants_json(exchange->request)) {
        json_add_string(view, "type", "about:blank");
        json_add_string(view, "title", title);
        json_add_int(view, "status", status);
        json_add_string(view, "detail", text != NULL ? text : title);
        if (where != NULL && where[0] != '\0')
            json_add_string(view, "where", where);
        if (more != NULL)
            add_members(view, more);
        send_json(exchange, status, "application/problem+json", view);
        return;
    }
    const char *told = text == NULL ? NULL
                                    : problem_text(exchange->catalogue, exchange->request->arena,
                                                   exchange->reader.language, text);
    if (told != NULL)
        text = told;
    if (where != NULL && where[0] != '\0' && text != NULL)
        text = arena_printf(exchange->request->arena, "%s: %s", where, text);
    json_add_int(view, "status", status);
    json_add_string(view, "title_text", title);
    json_add_string(view, "text", text);
    reply_page(exchange, status, "error", view);
}

void reply_error(struct exchange *exchange, int status, const char *text)
{
    send_error(exchange, status, NULL, text, NULL);
}

void reply_problem_with(struct exchange *exchange, const struct problem *problem,
                        struct json_object *more)
{
    send_error(exchange, problem->status > 0 ? problem->status : 400, problem->where,
               problem->text[0] != '\0' ? problem->text : NULL, more);
}

void reply_problem(struct exchange *exchange, const struct problem *problem)
{
    reply_problem_with(exchange, problem, NULL);
}

static void note_no_store(struct exchange *exchange)
{
    struct web *web = exchange->web;
    if (log_changed(&web->store_away, 1))
        log_line(LOG_ERROR_LEVEL, "store does not answer", "error", store_error(web->desk.store),
                 NULL);
    http_response_header(exchange->response, "Retry-After", "10");
}

void reply_no_store(struct exchange *exchange)
{
    note_no_store(exchange);
    reply_error(exchange, 503, NULL);
}

void reply_busy(struct exchange *exchange)
{
    reply_error(exchange, 503, text_of(exchange, 503, "_busy"));
}

void reply_no_account(struct exchange *exchange)
{
    freed_by(json_put) struct json_object *values = json_object_new_object();
    json_add_string(values, "name", exchange->request->remote_user);
    reply_error(exchange, 403,
                catalogue_text(exchange->catalogue, exchange->request->arena,
                               exchange->reader.language, "error.403_no_account", values));
}

void reply_not_known(struct exchange *exchange)
{
    note_no_store(exchange);
    reply_error(exchange, 503, text_of(exchange, 503, "_not_known"));
}
