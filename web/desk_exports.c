#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_write.h"
#include "store/audit.h"
#include "store/store.h"
#include "web/desk_views.h"

/* The audit log as a file. It may be long, so it is read page by page while it
 * is sent, oldest first; what is written meanwhile comes at its end. */

enum { EXPORT_PAGE = 100 };

struct export {
    struct store *store;
    void (*row)(struct text *out, const struct audit *audit, bool first);
    const char *begins, *ends;
    bool begun, ended;
    int64_t after;
    struct store_page page; /* that is at hand */
    struct audit entries[EXPORT_PAGE];
};

/* ---- one entry ---------------------------------------------------------------------------- */

static void add_cell(struct text *out, const char *value, const char *end)
{
    text_add_csv(out, value);
    text_add(out, end);
}

static void add_csv(struct text *out, const struct audit *audit, bool first)
{
    (void)first;
    text_add_int(out, audit->number);
    text_add_char(out, ',');
    text_add_time_ms(out, audit->at_ms);
    text_add_char(out, ',');
    add_cell(out, audit->by, ",");
    add_cell(out, audit->action, ",");
    add_cell(out, audit->subject, ",");
    add_cell(out, audit->note, ",");
    add_cell(out, audit->detail, "\r\n");
}

static void add_json(struct text *out, const struct audit *audit, bool first)
{
    freed_by(json_put) struct json_object *detail = json_read(audit->detail);
    freed_by(text_free) struct text at = {0};
    text_add_time_ms(&at, audit->at_ms);
    text_add(out, first ? "" : ",\n");
    struct json_writer writer = json_write_text(out);
    json_write_int(&writer, "number", audit->number);
    json_write_string(&writer, "at", text_string(&at));
    json_write_string(&writer, "by", audit->by);
    json_write_string(&writer, "action", audit->action);
    json_write_string(&writer, "subject", audit->subject);
    json_write_string(&writer, "note", audit->note);
    json_write_raw(&writer, "detail", detail != NULL ? audit->detail : "{}");
    json_write_end(&writer);
}

/* ---- the file ------------------------------------------------------------------------------- */

static int read_page(struct export *export)
{
    export->page.max = EXPORT_PAGE;
    int answer = store_audit(export->store, export->after, export->entries, &export->page);
    if (answer > 0 && export->page.more)
        export->after = export->entries[export->page.count - 1].number;
    return answer;
}

static int next_piece(void *context, struct text *out)
{
    struct export *export = context;
    bool first = !export->begun;
    if (export->ended)
        return 0;
    if (first)
        text_add(out, export->begins);
    export->begun = true;
    for (size_t i = 0; i < export->page.count; i++)
        export->row(out, &export->entries[i], first && i == 0);
    if (export->page.more)
        return read_page(export) > 0 ? 1 : -1;
    text_add(out, export->ends);
    export->ended = true;
    return 1;
}

/* The first page is read before the answer begins: a store that is away is still a 503. */
static int begin(struct exchange *exchange, const struct export *kind, const char *type,
                 const char *disposition, struct json_object **view_r)
{
    struct export *export = xmalloc(sizeof *export);
    *export = *kind;
    export->store = exchange->web->desk.store;
    if (read_page(export) < 1) {
        free(export);
        return -1;
    }
    exchange->response->type = type;
    exchange->response->next_piece = next_piece;
    exchange->response->free = free;
    exchange->response->context = export;
    http_response_header(exchange->response, "Content-Disposition", disposition);
    *view_r = NULL;
    return 1;
}

int desk_exports_csv(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem)
{
    const struct export csv = {
        .row = add_csv, .begins = "number,at,by,action,subject,note,detail\r\n", .ends = ""};
    (void)problem;
    return begin(exchange, &csv, "text/csv; charset=utf-8; header=present",
                 "attachment; filename=\"sendguard-audit.csv\"", view_r);
}

int desk_exports_json(struct exchange *exchange, struct json_object **view_r,
                      struct problem *problem)
{
    const struct export json = {.row = add_json, .begins = "[", .ends = "]\n"};
    (void)problem;
    return begin(exchange, &json, "application/json",
                 "attachment; filename=\"sendguard-audit.json\"", view_r);
}
