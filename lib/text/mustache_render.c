/* Nodes into text. What was looked up stays on the C stack: depth is limited
 * while parsing for sections, and here for partials. */
#include <json-c/json.h>
#include <string.h>

#include "text/mustache_nodes.h"

/* The elements that sections went into, innermost first. */
struct scope {
    struct json_object *value;
    const struct scope *outer;
};

/* White space before each line of a partial, and of those it is in. */
struct indent {
    const char *text;
    size_t length;
    const struct indent *outer;
};

struct rendering {
    const struct partials *partials;
    enum mustache_escape escape;
    struct text *out;
    size_t begin; /* length of *out before */
    int depth, steps;
};

/* One template of the rendering: a page, or a partial in it. */
struct sheet {
    struct rendering *rendering;
    const struct mustache *template;
    const struct indent *indent;
};

static int render_nodes(const struct sheet *sheet, size_t from, size_t to,
                        const struct scope *scope) must_check;

/* ---- looking up ------------------------------------------------------------------------ */

static struct json_object *look_up(const struct node *node, const struct scope *scope)
{
    struct json_object *value = NULL;
    const char *part = node->name;
    if (node->name_parts == 0)
        return scope->value;
    while (scope != NULL && !(json_object_is_type(scope->value, json_type_object) &&
                              json_object_object_get_ex(scope->value, part, &value)))
        scope = scope->outer;
    for (size_t i = 1; i < node->name_parts; i++) {
        struct json_object *whole = value;
        part += strlen(part) + 1;
        value = NULL; /* what the first part named decides: no other is looked for */
        if (!json_object_is_type(whole, json_type_object) ||
            !json_object_object_get_ex(whole, part, &value))
            return NULL;
    }
    return value;
}

static bool is_list(struct json_object *value)
{
    return json_object_is_type(value, json_type_array);
}

static bool is_true(struct json_object *value)
{
    if (is_list(value))
        return json_object_array_length(value) > 0;
    if (json_object_is_type(value, json_type_boolean))
        return json_object_get_boolean(value);
    return value != NULL;
}

/* ---- putting out ------------------------------------------------------------------------- */

static const char *html_entity(char character)
{
    switch (character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

static void add_html(struct text *out, const char *bytes, size_t length)
{
    size_t from = 0;
    for (size_t i = 0; i < length; i++) {
        const char *entity = html_entity(bytes[i]);
        if (entity == NULL)
            continue;
        text_add_bytes(out, bytes + from, i - from);
        text_add(out, entity);
        from = i + 1;
    }
    text_add_bytes(out, bytes + from, length - from);
}

static bool is_full(const struct rendering *rendering)
{
    return rendering->out->length - rendering->begin > MUSTACHE_MAX_OUTPUT;
}

/* Nothing more once it is full: each line of one long text may be indented far. */
static void put(const struct sheet *sheet, const char *bytes, size_t length, bool escaped)
{
    if (is_full(sheet->rendering))
        return;
    if (escaped && sheet->rendering->escape == ESCAPE_HTML)
        add_html(sheet->rendering->out, bytes, length);
    else
        text_add_bytes(sheet->rendering->out, bytes, length);
}

static void put_indent(const struct sheet *sheet, const struct indent *indent)
{
    if (indent == NULL)
        return;
    put_indent(sheet, indent->outer);
    put(sheet, indent->text, indent->length, false);
}

static void put_text(const struct sheet *sheet, const struct node *node)
{
    bool escaped = sheet->template->kind == MUSTACHE_PLAIN;
    if (sheet->indent == NULL) {
        put(sheet, node->text, node->length, escaped);
        return;
    }
    const char *next = node->text, *end = node->text + node->length;
    if (node->begins_line)
        put_indent(sheet, sheet->indent);
    while (next < end) {
        const char *feed = memchr(next, '\n', (size_t)(end - next));
        const char *line_end = feed != NULL ? feed + 1 : end;
        put(sheet, next, (size_t)(line_end - next), escaped);
        if (line_end < end)
            put_indent(sheet, sheet->indent);
        next = line_end;
    }
}

static void put_value(const struct sheet *sheet, const struct node *node,
                      const struct scope *scope)
{
    struct json_object *value = look_up(node, scope);
    bool escaped = node->kind == NODE_ESCAPED || sheet->template->kind == MUSTACHE_PLAIN;
    if (value == NULL)
        return;
    if (json_object_is_type(value, json_type_string)) {
        put(sheet, json_object_get_string(value), (size_t)json_object_get_string_len(value),
            escaped);
        return;
    }
    size_t length;
    const char *json = json_object_to_json_string_length(
        value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
    if (json != NULL)
        put(sheet, json, length, escaped);
}

/* ---- sections and partials ------------------------------------------------------------------ */

static int render_section(const struct sheet *sheet, size_t at, const struct scope *scope)
{
    const struct node *node = &sheet->template->nodes[at];
    struct json_object *value = look_up(node, scope);
    if (is_true(value) == (node->kind == NODE_INVERTED))
        return 1;
    if (node->kind == NODE_INVERTED)
        return render_nodes(sheet, at + 1, node->end, scope);
    if (!is_list(value))
        return render_nodes(sheet, at + 1, node->end, &(struct scope){value, scope});
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        struct scope element = {json_object_array_get_idx(value, i), scope};
        if (!render_nodes(sheet, at + 1, node->end, &element))
            return 0;
    }
    return 1;
}

static int render_partial(const struct sheet *sheet, const struct node *node,
                          const struct scope *scope)
{
    struct rendering *rendering = sheet->rendering;
    const struct partials *partials = rendering->partials;
    const struct mustache *partial =
        partials != NULL ? partials->find(partials->context, node->name) : NULL;
    if (partial == NULL)
        return 1;
    if (rendering->depth == MUSTACHE_MAX_DEPTH)
        return 0;
    struct indent own = {node->text, node->length, sheet->indent};
    bool indented = node->standalone && (node->length > 0 || sheet->indent != NULL);
    struct sheet inner = {rendering, partial, indented ? &own : NULL};
    rendering->depth++;
    int done = render_nodes(&inner, 0, partial->count, scope);
    rendering->depth--;
    if (partial->kind == MUSTACHE_PLAIN)
        put(sheet, node->line_end, strlen(node->line_end), false);
    return done;
}

static int render_nodes(const struct sheet *sheet, size_t from, size_t to,
                        const struct scope *scope)
{
    struct rendering *rendering = sheet->rendering;
    int going = 1;
    for (size_t i = from; i < to && going; i++) {
        const struct node *node = &sheet->template->nodes[i];
        switch (node->kind) {
        case NODE_TEXT:
            put_text(sheet, node);
            break;
        case NODE_ESCAPED:
        case NODE_RAW:
            put_value(sheet, node, scope);
            break;
        case NODE_SECTION:
        case NODE_INVERTED:
            going = render_section(sheet, i, scope);
            i = node->end - 1;
            break;
        case NODE_PARTIAL:
            going = render_partial(sheet, node, scope);
            break;
        }
        if (++rendering->steps > MUSTACHE_MAX_STEPS || is_full(rendering))
            return 0;
    }
    return going;
}

int mustache_render(const struct mustache *template, struct json_object *view,
                    const struct partials *partials, enum mustache_escape escape,
                    struct text *out)
{
    struct rendering rendering = {
        .partials = partials, .escape = escape, .out = out, .begin = out->length};
    struct sheet sheet = {&rendering, template, NULL};
    return render_nodes(&sheet, 0, template->count, &(struct scope){view, NULL});
}
