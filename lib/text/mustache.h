/* Mustache templates: comments, interpolation ({{x}} escaped, {{{x}}} and {{&x}}
 * not), sections, inverted sections, partials and set delimiters, as the public
 * specification has them; no lambdas, no inheritance, no dynamic names. The view
 * is a JSON tree. A parsed template never changes: any number of threads may render it. */
#ifndef SENDGUARD_MUSTACHE_H
#define SENDGUARD_MUSTACHE_H

#include "base/problem.h"
#include "base/text.h"

struct json_object;
struct mustache;

enum mustache_kind {
    MUSTACHE_MARKUP, /* its literal text goes out as it is */
    MUSTACHE_PLAIN,  /* a sentence: its literal text is plain, and escaped where values are, and so
                        is {{{x}}}; taken in on a line of its own, that line keeps its end */
};
enum mustache_escape { ESCAPE_HTML, ESCAPE_NONE };

enum {
    MUSTACHE_MAX_BYTES = 256 * 1024, /* of a template */
    MUSTACHE_MAX_DEPTH = 32,         /* sections within sections, and partials within partials */
    MUSTACHE_MAX_OUTPUT = 4 * 1024 * 1024,
    MUSTACHE_MAX_STEPS = 4 * 1024 * 1024, /* tags and pieces of text gone through: sections within
                                             sections multiply, also when they put out nothing */
};

/* Parses `length` bytes of UTF-8. 1; or 0 with *problem: where = "NAME:LINE". A section that is
 * open at the end is told at the line where it begins. */
int mustache_parse(const char *name, const char *source, size_t length, enum mustache_kind kind,
                   struct mustache **template_r, struct problem *problem) must_check;
void mustache_free(struct mustache **template);

/* Where {{> name}} is looked up; NULL: there is none, which renders nothing. */
struct partials {
    const struct mustache *(*find)(const void *context, const char *name);
    const void *context;
};

/* Adds the rendered text to *out. A name is looked up from the innermost
 * section outwards, "a.b" goes into a's member b, "." is the element itself.
 * False, null, absent and the empty list are falsy; "" and 0 are true, as the
 * specification has it for what is no list and not false. Objects and lists print
 * as JSON. Partials deeper than MUSTACHE_MAX_DEPTH, output over MUSTACHE_MAX_OUTPUT and more
 * steps than MUSTACHE_MAX_STEPS end it: 0 (*out has a part of it), else 1. */
int mustache_render(const struct mustache *template, struct json_object *view,
                    const struct partials *partials, enum mustache_escape escape,
                    struct text *out) must_check;

/* Calls for every {{> name}} in the template: for checks that all are there. */
void mustache_each_partial(const struct mustache *template,
                           void (*found)(void *context, const char *name, int line),
                           void *context);

#endif
