/* The block lists as a file: written page by page while it is sent, and read from the body of a
 * request or from lines that staff pasted into a form. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "web/desk_views.h"

/* ---- written ------------------------------------------------------------------------------- */

struct block_export {
    const struct desk *desk;
    char *query, *after; /* after: where the next page begins; NULL: there is none */
    int64_t now_ms;
    struct json_object *page; /* that is at hand */
    bool begun;
};

static void free_export(void *context)
{
    struct block_export *export = context;
    json_put(&export->page);
    free(export->query);
    free(export->after);
    free(export);
}

static int read_page(struct block_export *export)
{
    json_put(&export->page);
    int answer = desk_blocks(export->desk, export->query, export->after, export->now_ms,
                             &export->page);
    free_string(&export->after);
    const char *next = answer > 0 ? json_string(export->page, "next", NULL) : NULL;
    export->after = next != NULL ? xstrdup(next) : NULL;
    return answer;
}

static int next_piece(void *context, struct text *out)
{
    struct block_export *export = context;
    if (!export->begun)
        text_add(out, desk_blocks_csv_header);
    export->begun = true;
    if (export->page == NULL)
        return 0;
    struct json_object *list = json_member(export->page, "blocks");
    for (size_t i = 0; i < json_object_array_length(list); i++)
        desk_blocks_add_csv(out, json_object_array_get_idx(list, i));
    if (export->after != NULL)
        return read_page(export) > 0 ? 1 : -1;
    json_put(&export->page);
    return 1;
}

/* The first page is read before the answer begins: a store that is away is still a 503. */
int desk_block_files_export(struct exchange *exchange, struct json_object **view_r,
                            struct problem *problem)
{
    const char *query = http_request_param(exchange->request, "q");
    struct block_export *export = xcalloc(1, sizeof *export);
    (void)problem;
    *export = (struct block_export){.desk = &exchange->web->desk,
                                    .query = query != NULL ? xstrdup(query) : NULL,
                                    .now_ms = exchange->now_ms};
    if (read_page(export) < 1) {
        free_export(export);
        return -1;
    }
    exchange->response->type = "text/csv; charset=utf-8; header=present";
    exchange->response->next_piece = next_piece;
    exchange->response->free = free_export;
    exchange->response->context = export;
    http_response_header(exchange->response, "Content-Disposition",
                         "attachment; filename=\"sendguard-blocks.csv\"");
    *view_r = NULL;
    return 1;
}

/* ---- read: by the API ------------------------------------------------------------------------ */

static int reads(const struct exchange *exchange, const struct blocks_import *import,
                 struct json_object **view_r, struct problem *problem)
{
    return desk_blocks_import(&exchange->web->desk, &exchange->person, import, exchange->now_ms,
                              view_r, problem);
}

/* The query: a word that nobody knows may have been meant for "preview". */
static int read_query(const struct exchange *exchange, struct blocks_import *import,
                      struct problem *problem)
{
    json_object_object_foreach(exchange->request->params, name, value)
    {
        const char *text = json_object_get_string(value);
        bool is_preview = strcmp(name, "preview") == 0, is_true = strcmp(text, "true") == 0;
        if (is_preview && !is_true && strcmp(text, "false") != 0)
            return problem_set(problem, 400, name, "true or false was expected");
        if (is_preview)
            import->preview = is_true;
        else if (strcmp(name, "note") == 0)
            import->note = text;
        else if (strcmp(name, "seen") == 0)
            import->seen = text;
        else
            return problem_set(problem, 400, name, "expected note, preview and seen alone");
    }
    return 1;
}

static int import_by_api(struct exchange *exchange, struct json_object **view_r,
                         struct problem *problem)
{
    struct blocks_import import = {.csv = exchange->request->csv,
                                   .length = exchange->request->body_length};
    if (!read_query(exchange, &import, problem))
        return 0;
    int answer = reads(exchange, &import, view_r, problem);
    if (answer < 0 && !import.preview) {
        reply_not_known(exchange);
        return 1;
    }
    if (answer < 1)
        return answer;
    long long wrong = (long long)json_int(*view_r, "wrong", 0);
    freed_by(json_put) struct json_object *more = json_object_new_object();
    json_add(more, "wrong", json_object_get(json_member(*view_r, "wrong")));
    json_add(more, "faults", json_object_get(json_member(*view_r, "faults")));
    json_object_object_del(*view_r, "wrong");
    json_object_object_del(*view_r, "faults");
    if (wrong == 0)
        return 1;
    json_put(view_r);
    (void)problem_set(problem, 422, "body", "%lld lines are wrong; nothing is imported", wrong);
    reply_problem_with(exchange, problem, more);
    return 1;
}

/* ---- read: at the desk ----------------------------------------------------------------------- */

static const char *typed(const struct exchange *exchange, const char *name)
{
    const char *text = http_request_param(exchange->request, name);
    return text != NULL ? text : "";
}

/* With what was typed. */
static struct json_object *form_view(const struct exchange *exchange)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "csv", typed(exchange, "csv"));
    json_add_string(view, "note", typed(exchange, "note"));
    return view;
}

int desk_block_files_form(struct exchange *exchange, struct json_object **view_r,
                          struct problem *problem)
{
    (void)problem;
    *view_r = form_view(exchange);
    return 1;
}

void desk_block_files_again(struct exchange *exchange, int status)
{
    struct json_object *view = form_view(exchange);
    json_add_bool(view, "again", true);
    reply_page(exchange, status, "desk_blocks_import", view);
}

/* The preview, or the form with the lines that are wrong. */
static void show_preview(struct exchange *exchange, struct json_object *found, bool changed)
{
    struct json_object *view = form_view(exchange);
    bool good = json_int(found, "wrong", 0) == 0;
    json_object_object_foreach(found, name, value)
    {
        json_object_object_add(view, name, json_object_get(value));
    }
    size_t told = json_object_array_length(json_member(found, "faults"));
    json_add_int(view, "more_wrong", json_int(found, "wrong", 0) - (int64_t)told);
    json_add_bool(view, "good", good);
    json_add_bool(view, "writes", json_int(found, "new", 0) + json_int(found, "replaced", 0) > 0);
    json_add_bool(view, "changed", changed);
    reply_page(exchange, good ? 200 : 422, "desk_blocks_import", view);
}

static void show_problem(struct exchange *exchange, const struct problem *problem)
{
    struct json_object *view = form_view(exchange);
    desk_forms_add_problem(view, problem);
    reply_page(exchange, problem->status, "desk_blocks_import", view);
}

/* The store did not answer: what was typed stays, and a second time does no harm. */
static void show_no_store(struct exchange *exchange, bool confirmed)
{
    struct json_object *view = form_view(exchange);
    reply_no_store(exchange); /* for the log and the header */
    json_add_bool(view, confirmed ? "not_known" : "no_store", true);
    reply_page(exchange, 503, "desk_blocks_import", view);
}

static void show_done(struct exchange *exchange, struct json_object *done)
{
    desk_routes_redirect(exchange, "/blocks", "",
                         arena_printf(exchange->request->arena,
                                      "?done=import&new=%lld&replaced=%lld&same=%lld",
                                      (long long)json_int(done, "new", 0),
                                      (long long)json_int(done, "replaced", 0),
                                      (long long)json_int(done, "same", 0)));
}

static void import_by_form(struct exchange *exchange)
{
    freed_by(json_put) struct json_object *found = NULL;
    bool confirmed = http_request_param(exchange->request, "confirm") != NULL, changed = false;
    struct problem problem = {0};
    struct blocks_import import = {.csv = typed(exchange, "csv"),
                                   .length = strlen(typed(exchange, "csv")),
                                   .note = typed(exchange, "note"),
                                   .seen = typed(exchange, "seen"),
                                   .preview = !confirmed};
    int answer = reads(exchange, &import, &found, &problem);
    if (answer == 0 && strcmp(problem.where, "seen") == 0) {
        changed = import.preview = true;
        answer = reads(exchange, &import, &found, &problem);
    }
    if (answer < 0)
        show_no_store(exchange, confirmed && !changed);
    else if (answer == 0)
        show_problem(exchange, &problem);
    else if (json_is_true(found, "done"))
        show_done(exchange, found);
    else
        show_preview(exchange, found, changed);
}

int desk_block_files_act(struct exchange *exchange, struct json_object **view_r,
                         struct problem *problem)
{
    if (exchange->api)
        return import_by_api(exchange, view_r, problem);
    if (http_request_param(exchange->request, "change") != NULL)
        return desk_block_files_form(exchange, view_r, problem);
    import_by_form(exchange);
    return 1;
}
