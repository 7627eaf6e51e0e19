#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_write.h"
#include "store/audit.h"
#include "store/store.h"
#include "web/desk_views.h"

/* The audit log and the decisions as files. They may be long, so they are read page by page while they
 * are sent; the audit log oldest first, so that what is written meanwhile comes at its end. */

enum { EXPORT_PAGE = 100 };

struct export {
    struct store *store;
    struct audit_filter filter;
    void (*row)(struct text *out, const struct audit *audit, bool first);
    const char *begins, *ends;
    bool begun, ended, told; /* told: an entry */
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
    if (export->ended)
        return 0;
    if (!export->begun)
        text_add(out, export->begins);
    export->begun = true;
    for (size_t i = 0; i < export->page.count; i++) {
        if (!desk_audit_fits(&export->filter, &export->entries[i]))
            continue;
        export->row(out, &export->entries[i], !export->told);
        export->told = true;
    }
    if (export->page.more)
        return read_page(export) > 0 ? 1 : -1;
    text_add(out, export->ends);
    export->ended = true;
    return 1;
}

/* The first page is read before the answer begins: a store that is away is still a 503. */
static int begin(struct exchange *exchange, const struct export *kind, const char *type,
                 const char *disposition, struct json_object **view_r, struct problem *problem)
{
    struct audit_filter filter;
    if (!desk_logs_audit_filter(exchange, &filter, problem))
        return 0;
    struct export *export = xmalloc(sizeof *export);
    *export = *kind;
    export->filter = filter;
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
    return begin(exchange, &csv, "text/csv; charset=utf-8; header=present",
                 "attachment; filename=\"sendguard-audit.csv\"", view_r, problem);
}

int desk_exports_json(struct exchange *exchange, struct json_object **view_r,
                      struct problem *problem)
{
    const struct export json = {.row = add_json, .begins = "[", .ends = "]\n"};
    return begin(exchange, &json, "application/json",
                 "attachment; filename=\"sendguard-audit.json\"", view_r, problem);
}

/* ---- decisions ----------------------------------------------------------------------------------- */

struct decisions_export {
    struct desk desk;
    int64_t now_ms;
    struct arena *arena; /* of the words */
    struct decision_words words;
    struct json_object *view; /* the page that is at hand */
    bool begun;
};

static void free_decisions(void *context)
{
    struct decisions_export *export = context;
    json_put(&export->view);
    arena_free(&export->arena);
    free(export);
}

static void add_decision(struct text *out, struct json_object *entry)
{
    static const char *const cells[] = {"decision", "at", "mailbox", "outcome", "channel", "ip"};
    freed_by(text_free) struct text rules = {0};
    struct json_object *list = json_member(entry, "rules");
    for (size_t i = 0; i < json_object_array_length(list); i++)
        text_addf(&rules, "%s%s", i > 0 ? " " : "",
                  json_string(json_object_array_get_idx(list, i), "rule", ""));
    for (size_t i = 0; i < countof(cells); i++)
        add_cell(out, json_string(entry, cells[i], ""), ",");
    text_addf(out, "%lld,%lld,", (long long)json_int(entry, "recipients", 0),
              (long long)json_int(entry, "off_domain", 0));
    add_cell(out, text_string(&rules), "\r\n");
}

static int read_decisions(struct decisions_export *export, const char *before,
                          struct problem *problem)
{
    struct json_object *view = NULL;
    int answer = desk_decisions_found(&export->desk, &export->words, before, export->now_ms, &view,
                                      problem);
    if (answer > 0) {
        json_put(&export->view);
        export->view = view;
    }
    return answer;
}

static int next_decisions(void *context, struct text *out)
{
    struct decisions_export *export = context;
    struct problem problem;
    if (export->view == NULL)
        return 0;
    if (!export->begun)
        text_add(out, "decision,at,mailbox,outcome,channel,ip,recipients,off_domain,rules\r\n");
    export->begun = true;
    struct json_object *list = json_member(export->view, "decisions");
    for (size_t i = 0; i < json_object_array_length(list); i++)
        add_decision(out, json_object_array_get_idx(list, i));
    const char *older = json_string(export->view, "older", NULL);
    if (older == NULL)
        json_put(&export->view);
    return older == NULL || read_decisions(export, older, &problem) > 0 ? 1 : -1;
}

static const char *copied(struct arena *arena, const char *text)
{
    return text != NULL ? arena_strdup(arena, text) : NULL;
}

int desk_exports_decisions(struct exchange *exchange, struct json_object **view_r,
                           struct problem *problem)
{
    const struct decision_words words = desk_logs_decision_words(exchange);
    struct decisions_export *export = xcalloc(1, sizeof *export);
    struct arena *arena = arena_new();
    *export = (struct decisions_export){
        .desk = exchange->web->desk, .now_ms = exchange->now_ms, .arena = arena,
        .words = {copied(arena, words.mailbox), copied(arena, words.outcome),
                  copied(arena, words.channel), copied(arena, words.rule),
                  copied(arena, words.network), copied(arena, words.from),
                  copied(arena, words.until)}};
    int answer = read_decisions(export, NULL, problem);
    if (answer < 1) {
        free_decisions(export);
        return answer;
    }
    exchange->response->type = "text/csv; charset=utf-8; header=present";
    exchange->response->next_piece = next_decisions;
    exchange->response->free = free_decisions;
    exchange->response->context = export;
    http_response_header(exchange->response, "Content-Disposition",
                         "attachment; filename=\"sendguard-decisions.csv\"");
    *view_r = NULL;
    return 1;
}
