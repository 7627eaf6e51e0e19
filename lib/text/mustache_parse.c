/* Templates into nodes, in one pass: text up to the next tag, then the tag.
 * Whether a tag is alone on its line is seen in the source around it. */
#include <ctype.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/mustache_nodes.h"

enum { DELIMITER_MAX = 16 };

struct delimiter {
    char bytes[DELIMITER_MAX];
    size_t length;
};

struct parser {
    const char *name, *source; /* the source stays as it is, the template's copy does not */
    size_t length, at;
    size_t line_seen; /* up to here lines are counted */
    int line;
    struct delimiter open, close;
    size_t sections[MUSTACHE_MAX_DEPTH]; /* nodes of those that are open */
    size_t depth;
    struct mustache *template;
    size_t room;
    struct problem *problem;
};

/* A tag as it stands in the source. */
struct tag {
    char sigil; /* '\0': none */
    size_t from, to;           /* with its delimiters */
    size_t content, content_end; /* without sigil and white space around */
};

static int fail(struct parser *parser, int line, const char *format, ...) printf_like(3, 4);
static int fail(struct parser *parser, int line, const char *format, ...)
{
    char text[sizeof parser->problem->text], where[sizeof parser->problem->where];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(where, sizeof where, "%s:%d", parser->name, line);
    return problem_set(parser->problem, 0, where, "%s", text);
}

/* The line of a place that is not before the last one asked for. */
static int line_of(struct parser *parser, size_t place)
{
    for (; parser->line_seen < place; parser->line_seen++)
        parser->line += parser->source[parser->line_seen] == '\n';
    return parser->line;
}

static bool blank(char character) { return character == ' ' || character == '\t'; }
static bool space(char character)
{
    return blank(character) || character == '\n' || character == '\r';
}

/* ---- nodes ------------------------------------------------------------------------ */

static struct node *add_node(struct parser *parser, enum node_kind kind, int line)
{
    struct mustache *template = parser->template;
    if (template->count == parser->room) {
        parser->room = parser->room > 0 ? parser->room * 2 : 16;
        template->nodes = xrealloc(template->nodes, parser->room * sizeof template->nodes[0]);
    }
    struct node *node = &template->nodes[template->count++];
    *node = (struct node){.kind = kind, .line = line, .text = "", .line_end = "", .name = ""};
    return node;
}

static bool line_begins(const struct parser *parser, size_t place)
{
    return place == 0 || parser->source[place - 1] == '\n';
}

/* An empty one stands before a tag that begins a line: indentation belongs there. */
static void add_text(struct parser *parser, size_t from, size_t to)
{
    struct node *node = add_node(parser, NODE_TEXT, parser->line);
    node->text = parser->template->text + from;
    node->length = to - from;
    node->begins_line = line_begins(parser, from);
}

/* Splits the name where it stands. Behind a name comes white space or a delimiter,
 * never text, so there is room for a NUL. */
static int set_name(struct parser *parser, struct node *node, const struct tag *tag, bool split)
{
    char *name = parser->template->text + tag->content;
    name[tag->content_end - tag->content] = '\0';
    node->name = name;
    if (split && strcmp(name, ".") == 0)
        return 1;
    node->name_parts = 1;
    for (char *dot = split ? strchr(name, '.') : NULL; dot != NULL; dot = strchr(dot + 1, '.')) {
        if (dot == name || dot[-1] == '\0' || dot[1] == '\0')
            return fail(parser, node->line, "a name has no part between two dots");
        *dot = '\0';
        node->name_parts++;
    }
    return 1;
}

/* ---- tags --------------------------------------------------------------------------- */

static size_t find(const struct parser *parser, size_t from, const char *bytes, size_t length)
{
    const char *found = memmem(parser->source + from, parser->length - from, bytes, length);
    return found != NULL ? (size_t)(found - parser->source) : SIZE_MAX;
}

/* Where the tag's content ends: before its sigil's own end ("}" and "=") and the delimiter. */
static size_t find_close(const struct parser *parser, const struct tag *tag)
{
    char close[DELIMITER_MAX + 1];
    size_t extra = tag->sigil == '{' || tag->sigil == '=' ? 1 : 0;
    if (extra > 0)
        close[0] = tag->sigil == '{' ? '}' : '=';
    memcpy(close + extra, parser->close.bytes, parser->close.length);
    return find(parser, tag->content, close, parser->close.length + extra);
}

static int read_tag(struct parser *parser, size_t from, struct tag *tag_r)
{
    const char *source = parser->source;
    struct tag tag = {.from = from, .content = from + parser->open.length};
    int line = line_of(parser, from);
    while (tag.content < parser->length && space(source[tag.content]))
        tag.content++;
    if (tag.content < parser->length && strchr("#^/>!=&{<$", source[tag.content]) != NULL)
        tag.sigil = source[tag.content++];
    tag.content_end = find_close(parser, &tag);
    if (tag.content_end == SIZE_MAX)
        return fail(parser, line, "the tag that begins with %.*s is not closed",
                    (int)parser->open.length, parser->open.bytes);
    tag.to = tag.content_end + parser->close.length +
             (tag.sigil == '{' || tag.sigil == '=' ? 1 : 0);
    while (tag.content < tag.content_end && space(source[tag.content]))
        tag.content++;
    while (tag.content_end > tag.content && space(source[tag.content_end - 1]))
        tag.content_end--;
    *tag_r = tag;
    return 1;
}

static int check_name(struct parser *parser, const struct tag *tag)
{
    if (tag->sigil == '<' || tag->sigil == '$')
        return fail(parser, parser->line, "a name cannot begin with %c: there is no inheritance",
                    tag->sigil);
    if (tag->content == tag->content_end)
        return fail(parser, parser->line, "a tag has no name");
    if (tag->sigil == '>' && parser->source[tag->content] == '*')
        return fail(parser, parser->line, "a partial's name cannot begin with *: it is no variable");
    for (size_t i = tag->content; i < tag->content_end; i++)
        if (space(parser->source[i]) || iscntrl((unsigned char)parser->source[i]))
            return fail(parser, parser->line, "a name cannot hold white space");
    return 1;
}

/* When the tag is alone on its line: takes the line's beginning and end to the tag. */
static bool take_line(const struct parser *parser, const struct tag *tag, size_t *from_r,
                      size_t *to_r)
{
    const char *source = parser->source;
    size_t from = tag->from, to = tag->to;
    if (tag->sigil == '\0' || tag->sigil == '{' || tag->sigil == '&')
        return false;
    while (from > 0 && blank(source[from - 1]))
        from--;
    while (to < parser->length && blank(source[to]))
        to++;
    if (!line_begins(parser, from))
        return false;
    if (to + 1 < parser->length && source[to] == '\r' && source[to + 1] == '\n')
        to += 2;
    else if (to < parser->length && source[to] == '\n')
        to++;
    else if (to < parser->length)
        return false;
    *from_r = from;
    *to_r = to;
    return true;
}

/* ---- what tags do --------------------------------------------------------------------- */

static int open_section(struct parser *parser, const struct tag *tag)
{
    if (parser->depth == countof(parser->sections))
        return fail(parser, parser->line, "more than %d sections within sections",
                    MUSTACHE_MAX_DEPTH);
    parser->sections[parser->depth++] = parser->template->count;
    struct node *node = add_node(parser, tag->sigil == '#' ? NODE_SECTION : NODE_INVERTED,
                                 parser->line);
    /* its name is split at the section's end, which has to bear the same */
    node->text = parser->source + tag->content;
    node->length = tag->content_end - tag->content;
    return 1;
}

static int close_section(struct parser *parser, const struct tag *tag)
{
    size_t length = tag->content_end - tag->content;
    const char *name = parser->source + tag->content;
    if (parser->depth == 0)
        return fail(parser, parser->line, "%.*s is closed, but no section is open", (int)length,
                    name);
    struct node *node = &parser->template->nodes[parser->sections[--parser->depth]];
    if (node->length != length || memcmp(node->text, name, length) != 0)
        return fail(parser, parser->line, "%.*s is closed where %.*s of line %d is open",
                    (int)length, name, (int)node->length, node->text, node->line);
    node->end = parser->template->count;
    size_t begin = (size_t)(node->text - parser->source);
    const struct tag opening = {.content = begin, .content_end = begin + length};
    node->text = "";
    node->length = 0;
    return set_name(parser, node, &opening, true);
}

static int set_delimiter(struct parser *parser, struct delimiter *delimiter, size_t from,
                         size_t to)
{
    const char *bytes = parser->source + from;
    if (from == to || to - from > DELIMITER_MAX || memchr(bytes, '=', to - from) != NULL)
        return fail(parser, parser->line,
                    "expected two delimiters of at most %d bytes, without an equals sign",
                    DELIMITER_MAX);
    memcpy(delimiter->bytes, bytes, to - from);
    delimiter->length = to - from;
    return 1;
}

static int change_delimiters(struct parser *parser, const struct tag *tag)
{
    const char *source = parser->source;
    size_t middle = tag->content, next;
    while (middle < tag->content_end && !space(source[middle]))
        middle++;
    for (next = middle; next < tag->content_end && space(source[next]);)
        next++;
    for (size_t i = next; i < tag->content_end; i++)
        if (space(source[i]))
            return fail(parser, parser->line, "expected two delimiters, here are more");
    return set_delimiter(parser, &parser->open, tag->content, middle) &&
           set_delimiter(parser, &parser->close, next, tag->content_end);
}

/* `indent` .. tag->from is white space; `to`: where the text goes on. */
static int add_partial(struct parser *parser, const struct tag *tag, bool standalone,
                       size_t indent, size_t to)
{
    struct node *node = add_node(parser, NODE_PARTIAL, parser->line);
    node->standalone = standalone;
    if (standalone) {
        node->text = parser->template->text + indent;
        node->length = tag->from - indent;
        if (parser->source[to - 1] == '\n')
            node->line_end = parser->source[to - 2] == '\r' ? "\r\n" : "\n";
    }
    return set_name(parser, node, tag, false);
}

static int add_value(struct parser *parser, const struct tag *tag)
{
    enum node_kind kind = tag->sigil == '\0' ? NODE_ESCAPED : NODE_RAW;
    return set_name(parser, add_node(parser, kind, parser->line), tag, true);
}

/* Adds the text before the tag and what the tag is; goes on behind it. */
static int take_tag(struct parser *parser, const struct tag *tag)
{
    size_t text_end = tag->from, next = tag->to;
    if (tag->sigil != '!' && tag->sigil != '=' && !check_name(parser, tag))
        return 0;
    bool standalone = take_line(parser, tag, &text_end, &next);
    if (parser->at < text_end)
        add_text(parser, parser->at, text_end);
    if (!standalone && line_begins(parser, tag->from))
        add_text(parser, tag->from, tag->from);
    parser->at = next;
    switch (tag->sigil) {
    case '!':
        return 1;
    case '=':
        return change_delimiters(parser, tag);
    case '#':
    case '^':
        return open_section(parser, tag);
    case '/':
        return close_section(parser, tag);
    case '>':
        return add_partial(parser, tag, standalone, text_end, next);
    default:
        return add_value(parser, tag);
    }
}

static int parse_all(struct parser *parser)
{
    struct tag tag = {0};
    size_t from;
    while ((from = find(parser, parser->at, parser->open.bytes, parser->open.length)) != SIZE_MAX)
        if (!read_tag(parser, from, &tag) || !take_tag(parser, &tag))
            return 0;
    if (parser->at < parser->length)
        add_text(parser, parser->at, parser->length);
    if (parser->depth > 0) {
        const struct node *open = &parser->template->nodes[parser->sections[parser->depth - 1]];
        return fail(parser, open->line, "section %.*s is not closed", (int)open->length,
                    open->text);
    }
    return 1;
}

int mustache_parse(const char *name, const char *source, size_t length, enum mustache_kind kind,
                   struct mustache **template_r, struct problem *problem)
{
    if (length > MUSTACHE_MAX_BYTES)
        return problem_set(problem, 0, name, "it has more than %d bytes", MUSTACHE_MAX_BYTES);
    freed_by(mustache_free) struct mustache *template = xcalloc(1, sizeof *template);
    template->kind = kind;
    template->text = xmalloc(length + 1);
    memcpy(template->text, source, length);
    template->text[length] = '\0';
    struct parser parser = {
        .name = name,
        .source = source,
        .length = length,
        .line = 1,
        .open = {"{{", 2},
        .close = {"}}", 2},
        .template = template,
        .problem = problem,
    };
    const char *bad;
    if (!g_utf8_validate(source, (gssize)length, &bad))
        return fail(&parser, line_of(&parser, (size_t)(bad - source)), "it is no valid UTF-8");
    if (!parse_all(&parser))
        return 0;
    *template_r = take(template);
    return 1;
}

void mustache_free(struct mustache **template)
{
    if (*template == NULL)
        return;
    free((*template)->nodes);
    free((*template)->text);
    free(*template);
    *template = NULL;
}

void mustache_each_partial(const struct mustache *template,
                           void (*found)(void *context, const char *name, int line),
                           void *context)
{
    for (size_t i = 0; i < template->count; i++)
        if (template->nodes[i].kind == NODE_PARTIAL)
            found(context, template->nodes[i].name, template->nodes[i].line);
}
