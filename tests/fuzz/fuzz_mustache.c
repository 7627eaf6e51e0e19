/* Whatever stands in a template: it is refused with a place, or it renders, always the same, and
 * as a plain text nothing of it becomes markup. The template is also its own partial "p". */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text/mustache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static const struct mustache *find(const void *context, const char *name)
{
    return strcmp(name, "p") == 0 ? context : NULL;
}

static struct mustache *parse(const uint8_t *data, size_t size, enum mustache_kind kind)
{
    struct mustache *template = NULL;
    struct problem problem = {0};
    char *copy = xmalloc(size);
    if (size > 0)
        memcpy(copy, data, size);
    bool read = mustache_parse("page", copy, size, kind, &template, &problem);
    free(copy);
    require(read == (template != NULL));
    if (!read)
        require(strncmp(problem.where, "page", 4) == 0 && problem.text[0] != '\0');
    return template;
}

static struct json_object *view(void)
{
    return json_read("{\"a\":\"<\\\"&'>\",\"b\":true,\"c\":false,\"n\":-7,\"d\":1.5,\"z\":null,"
                     "\"l\":[1,{\"a\":\"in\",\"l\":[]},[\"x\",\"y\"]],\"o\":{\"a\":{\"b\":0}}}");
}

static void note_partial(void *context, const char *name, int line)
{
    (void)context;
    require(name[0] != '\0' && line > 0);
}

static void render(const struct mustache *template, enum mustache_escape escape, struct text *out)
{
    freed_by(json_put) struct json_object *tree = view();
    const struct partials partials = {find, template};
    (void)!mustache_render(template, tree, &partials, escape, out);
    require(strlen(text_string(out)) == out->length);
}

/* What a plain text puts out can stand between tags and in an attribute. */
static void require_no_markup(const char *html)
{
    require(strpbrk(html, "<>\"'") == NULL);
    for (const char *entity = html; (entity = strchr(entity, '&')) != NULL; entity++)
        require(strncmp(entity, "&amp;", 5) == 0 || strncmp(entity, "&lt;", 4) == 0 ||
                strncmp(entity, "&gt;", 4) == 0 || strncmp(entity, "&quot;", 6) == 0 ||
                strncmp(entity, "&#39;", 5) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    freed_by(mustache_free) struct mustache *page = parse(data, size, MUSTACHE_MARKUP);
    freed_by(mustache_free) struct mustache *sentence = parse(data, size, MUSTACHE_PLAIN);
    freed_by(text_free) struct text first = {0};
    freed_by(text_free) struct text again = {0};
    require((page != NULL) == (sentence != NULL));
    if (page == NULL)
        return 0;
    mustache_each_partial(page, note_partial, NULL);
    render(page, ESCAPE_HTML, &first);
    render(page, ESCAPE_HTML, &again);
    require(first.length == again.length &&
            strcmp(text_string(&first), text_string(&again)) == 0);
    text_clear(&first);
    render(sentence, ESCAPE_HTML, &first);
    require_no_markup(text_string(&first));
    return 0;
}
