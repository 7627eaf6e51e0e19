/* The template engine, held against the public specification of Mustache: one
 * row a rule, named by the part it belongs to. Then what is ours: errors with
 * their place, limits, plain texts. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text/mustache.h"

enum { PARTIALS_MAX = 2 };
#define NONE {{NULL, NULL}}

static const struct rule_case {
    const char *name, *template, *view, *expected;
    struct {
        const char *name, *text;
    } partials[PARTIALS_MAX];
} cases[] = {
    {"comments: inline", "pre{{! to be passed over }}post", "{}", "prepost", NONE},
    {"comments: several lines", "a{{!\nfirst\n second\n}}b\n", "{}", "ab\n", NONE},
    {"comments: alone on its line", "one\n{{! gone with its line }}\ntwo\n", "{}", "one\ntwo\n",
     NONE},
    {"comments: alone, indented", "one\n \t{{! gone }} \t\ntwo\n", "{}", "one\ntwo\n", NONE},
    {"comments: alone, CRLF", "one\r\n{{! gone }}\r\ntwo\r\n", "{}", "one\r\ntwo\r\n", NONE},
    {"comments: alone, without a line before", "  {{! gone }}\ntwo", "{}", "two", NONE},
    {"comments: alone, without a line end", "one\n  {{! gone }}", "{}", "one\n", NONE},
    {"comments: several lines, alone", "one\n{{!\ngone\n}}\ntwo\n", "{}", "one\ntwo\n", NONE},
    {"comments: several lines, indented", "one\n  {{!\n    gone\n  }}\ntwo\n", "{}", "one\ntwo\n",
     NONE},
    {"comments: text beside it", "  12 {{! 34 }}\n", "{}", "  12 \n", NONE},
    {"comments: keeps white space around", "1 {{! x }} 2", "{}", "1  2", NONE},
    {"comments: its name is no variable", "{{! here }}|{{!here}}",
     "{\"here\":\"wrong\",\"! here\":\"wrong\",\"!here\":\"wrong\"}", "|", NONE},
    {"comments: two on a line", "{{! a }}{{! b }}\n", "{}", "\n", NONE},
    {"comments: holds an opening", "{{! {{ }}x", "{}", "x", NONE},
    {"interpolation: nothing to do", "Good evening, {world}!\n", "{}", "Good evening, {world}!\n",
     NONE},
    {"interpolation: a string", "Good evening, {{who}}!", "{\"who\":\"Agnes\"}",
     "Good evening, Agnes!", NONE},
    {"interpolation: not read again", "{{a}}: {{b}}", "{\"a\":\"{{b}}\",\"b\":\"x\"}", "{{b}}: x",
     NONE},
    {"interpolation: escaped", "{{x}}", "{\"x\":\"& \\\" < > '\"}", "&amp; &quot; &lt; &gt; &#39;",
     NONE},
    {"interpolation: three braces", "{{{x}}}", "{\"x\":\"& \\\" < > '\"}", "& \" < > '", NONE},
    {"interpolation: ampersand", "{{&x}}", "{\"x\":\"& \\\" < > '\"}", "& \" < > '", NONE},
    {"interpolation: an integer", "{{n}} recipients", "{\"n\":57}", "57 recipients", NONE},
    {"interpolation: an integer, raw", "{{{n}}}|{{&n}}", "{\"n\":57}", "57|57", NONE},
    {"interpolation: a large integer", "{{n}}", "{\"n\":9007199254740993}", "9007199254740993",
     NONE},
    {"interpolation: a negative integer", "{{n}}", "{\"n\":-4}", "-4", NONE},
    {"interpolation: a decimal", "{{n}}", "{\"n\":1.25}", "1.25", NONE},
    {"interpolation: true and false print", "{{t}} {{f}}", "{\"t\":true,\"f\":false}",
     "true false", NONE},
    {"interpolation: null is empty", "({{n}})({{{n}}})({{&n}})", "{\"n\":null}", "()()()", NONE},
    {"interpolation: a miss is empty", "({{n}})({{{n}}})({{&n}})", "{}", "()()()", NONE},
    {"interpolation: the empty string", "({{n}})", "{\"n\":\"\"}", "()", NONE},
    {"interpolation: a list prints as JSON", "{{{l}}}", "{\"l\":[1,\"a/b\"]}", "[1,\"a/b\"]", NONE},
    {"interpolation: dotted", "{{a.name}} {{{a.name}}} {{&a.name}}", "{\"a\":{\"name\":\"Ines\"}}",
     "Ines Ines Ines", NONE},
    {"interpolation: dotted, deep", "{{a.b.c.d.e.name}}",
     "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"name\":\"Odile\"}}}}}}", "Odile", NONE},
    {"interpolation: dotted, broken at the end", "({{a.b.c}})", "{\"a\":{}}", "()", NONE},
    {"interpolation: dotted, through a string", "({{a.b}})", "{\"a\":\"x\"}", "()", NONE},
    {"interpolation: dotted, does not start again outside", "({{a.b.c.name}})",
     "{\"a\":{\"b\":{}},\"c\":{\"name\":\"Ulf\"}}", "()", NONE},
    {"interpolation: dotted, first part from outside", "{{#a}}{{b.name}}{{/a}}",
     "{\"a\":{\"x\":1},\"b\":{\"name\":\"Odile\"}}", "Odile", NONE},
    {"interpolation: dotted, the nearest first part decides", "{{#a}}({{b.c}}){{/a}}",
     "{\"a\":{\"b\":{}},\"b\":{\"c\":\"wrong\"}}", "()", NONE},
    {"interpolation: dotted, a key with a dot is no path", "({{a.b}})", "{\"a.b\":\"wrong\"}",
     "()", NONE},
    {"interpolation: dotted, key with a dot does not hide", "{{a.b}}",
     "{\"a.b\":\"wrong\",\"a\":{\"b\":\"right\"}}", "right", NONE},
    {"interpolation: the element itself", "{{.}}", "\"sunrise\"", "sunrise", NONE},
    {"interpolation: the element itself, escaped", "{{.}}|{{{.}}}|{{&.}}", "\"<\"", "&lt;|<|<",
     NONE},
    {"interpolation: the element itself, a number", "{{.}}", "57", "57", NONE},
    {"interpolation: white space around", "| {{x}} |", "{\"x\":\"~\"}", "| ~ |", NONE},
    {"interpolation: white space around, raw", "| {{{x}}} | {{&x}} |", "{\"x\":\"~\"}",
     "| ~ | ~ |", NONE},
    {"interpolation: alone on its line stays", "  {{x}}\n", "{\"x\":\"~\"}", "  ~\n", NONE},
    {"interpolation: alone, raw, stays", "  {{{x}}}\n  {{&x}}\n", "{\"x\":\"~\"}", "  ~\n  ~\n",
     NONE},
    {"interpolation: padding inside", "|{{ x }}|{{{ x }}}|{{& x }}|", "{\"x\":\"~\"}", "|~|~|~|",
     NONE},
    {"interpolation: padding of lines inside", "|{{\n x\r\n}}|", "{\"x\":\"~\"}", "|~|", NONE},
    {"interpolation: UTF-8", "{{ü}} → {{x}}", "{\"ü\":\"ß\",\"x\":\"<é>\"}", "ß → &lt;é&gt;", NONE},
    {"interpolation: script", "{{x}}", "{\"x\":\"<script>alert(1)</script>\"}",
     "&lt;script&gt;alert(1)&lt;/script&gt;", NONE},
    {"sections: true", "\"{{#b}}shown{{/b}}\"", "{\"b\":true}", "\"shown\"", NONE},
    {"sections: false", "\"{{#b}}shown{{/b}}\"", "{\"b\":false}", "\"\"", NONE},
    {"sections: null", "\"{{#b}}shown{{/b}}\"", "{\"b\":null}", "\"\"", NONE},
    {"sections: absent", "\"{{#b}}shown{{/b}}\"", "{}", "\"\"", NONE},
    {"sections: the empty list", "\"{{#b}}shown{{/b}}\"", "{\"b\":[]}", "\"\"", NONE},
    {"sections: zero is something", "\"{{#b}}{{.}}{{/b}}\"", "{\"b\":0}", "\"0\"", NONE},
    {"sections: the empty string is something", "\"{{#b}}shown{{/b}}\"", "{\"b\":\"\"}",
     "\"shown\"", NONE},
    {"sections: the empty object is something", "\"{{#b}}shown{{/b}}\"", "{\"b\":{}}", "\"shown\"",
     NONE},
    {"sections: an object is gone into", "{{#p}}Dear {{name}},{{/p}}",
     "{\"p\":{\"name\":\"Ines\"}}", "Dear Ines,", NONE},
    {"sections: names from outside", "{{#s}}{{a}}, {{b}}, {{c.d}}{{/s}}",
     "{\"a\":\"p\",\"b\":\"wrong\",\"s\":{\"b\":\"q\"},\"c\":{\"d\":\"r\"}}", "p, q, r", NONE},
    {"sections: a string as the element", "{{#s}}{{a}} is {{.}}{{/s}}",
     "{\"s\":\"here\",\"a\":\"this\"}", "this is here", NONE},
    {"sections: deeper and deeper",
     "{{#a}}{{x}}{{#b}}{{x}}{{y}}{{#c}}{{x}}{{y}}{{z}}{{/c}}{{y}}{{/b}}{{x}}{{/a}}",
     "{\"a\":{\"x\":1},\"b\":{\"y\":2},\"c\":{\"z\":3}}", "11212321", NONE},
    {"sections: a list", "\"{{#l}}{{item}}{{/l}}\"",
     "{\"l\":[{\"item\":1},{\"item\":2},{\"item\":3}]}", "\"123\"", NONE},
    {"sections: a list of lists", "{{#l}}({{#.}}{{.}}{{/.}}){{/l}}",
     "{\"l\":[[1,2,3],[\"a\",\"b\"]]}", "(123)(ab)", NONE},
    {"sections: a list of strings", "{{#l}}({{.}}){{/l}}", "{\"l\":[\"a\",\"<\"]}", "(a)(&lt;)",
     NONE},
    {"sections: a list of strings, raw", "{{#l}}({{{.}}})({{&.}}){{/l}}", "{\"l\":[\"<\"]}",
     "(<)(<)", NONE},
    {"sections: a list of numbers", "{{#l}}({{.}}){{/l}}", "{\"l\":[1,-2,1.5]}", "(1)(-2)(1.5)",
     NONE},
    {"sections: a list with nothings", "{{#l}}({{.}}){{/l}}", "{\"l\":[null,false,\"\"]}",
     "()(false)()", NONE},
    {"sections: the whole view is a list", "{{#.}}({{v}}){{/.}}", "[{\"v\":\"a\"},{\"v\":\"b\"}]",
     "(a)(b)", NONE},
    {"sections: a list within a list",
     "{{#x}}{{#y}}{{a}}{{b}}{{#z}}{{a}}{{b}}{{c}}.{{/z}}{{/y}}{{/x}}",
     "{\"x\":[{\"a\":\"A\",\"y\":[{\"b\":\"1\",\"z\":[{\"c\":\"x\"},{\"c\":\"y\"}]}]}]}",
     "A1A1x.A1y.", NONE},
    {"sections: elements do not see each other", "{{#l}}[{{x}}]{{/l}}", "{\"l\":[{\"x\":1},{}]}",
     "[1][]", NONE},
    {"sections: null hides what is outside", "{{#p}}({{x}}){{/p}}",
     "{\"x\":\"out\",\"p\":{\"x\":null}}", "()", NONE},
    {"sections: twice on a line", "{{#b}}red{{/b}}; green; {{#b}}blue{{/b}}", "{\"b\":true}",
     "red; green; blue", NONE},
    {"sections: twice in lines", "{{#b}}\n- red\n{{/b}}\n- green\n{{#b}}\n- blue\n{{/b}}\n",
     "{\"b\":true}", "- red\n- green\n- blue\n", NONE},
    {"sections: within one of the same name", "<1 {{#b}}2 {{#b}}3{{/b}} 4{{/b}} 5>",
     "{\"b\":true}", "<1 2 3 4 5>", NONE},
    {"sections: within a false one", "<1 {{#b}}2 {{#b}}3{{/b}} 4{{/b}} 5>", "{\"b\":false}",
     "<1  5>", NONE},
    {"sections: dotted, true", "{{#a.b.c}}here{{/a.b.c}}", "{\"a\":{\"b\":{\"c\":true}}}", "here",
     NONE},
    {"sections: dotted, false", "({{#a.b.c}}here{{/a.b.c}})", "{\"a\":{\"b\":{\"c\":false}}}",
     "()", NONE},
    {"sections: dotted, broken", "({{#a.b.c}}here{{/a.b.c}})", "{\"a\":{}}", "()", NONE},
    {"sections: white space around", " ( {{#b}}\t-\t{{/b}} ) \n", "{\"b\":true}", " ( \t-\t ) \n",
     NONE},
    {"sections: white space within", " ( {{#b}} {{! x }}\n {{/b}} ) \n", "{\"b\":true}",
     " (  \n  ) \n", NONE},
    {"sections: two not alone", " {{#b}}left{{/b}}\n {{#b}}right{{/b}}\n", "{\"b\":true}",
     " left\n right\n", NONE},
    {"sections: alone in lines", ".top\n{{#b}}\n|\n{{/b}}\n.bottom\n", "{\"b\":true}",
     ".top\n|\n.bottom\n", NONE},
    {"sections: alone, indented", ".top\n  {{#b}}\n|\n  {{/b}}  \n.bottom\n", "{\"b\":true}",
     ".top\n|\n.bottom\n", NONE},
    {"sections: alone, CRLF", "|\r\n{{#b}}\r\n{{/b}}\r\n|", "{\"b\":true}", "|\r\n|", NONE},
    {"sections: alone, without a line before", "  {{#b}}\n#{{/b}}\n/", "{\"b\":true}", "#\n/",
     NONE},
    {"sections: alone, without a line end", "#{{#b}}\n/\n  {{/b}}", "{\"b\":true}", "#\n/\n", NONE},
    {"sections: padding", "|{{# b }}={{/ b }}|", "{\"b\":true}", "|=|", NONE},
    {"sections: a lone CR is no line end", "{{#b}}\rx\r{{/b}}", "{\"b\":true}", "\rx\r", NONE},
    {"inverted: false", "\"{{^b}}shown{{/b}}\"", "{\"b\":false}", "\"shown\"", NONE},
    {"inverted: true", "\"{{^b}}shown{{/b}}\"", "{\"b\":true}", "\"\"", NONE},
    {"inverted: null", "\"{{^b}}shown{{/b}}\"", "{\"b\":null}", "\"shown\"", NONE},
    {"inverted: absent", "\"{{^b}}shown{{/b}}\"", "{}", "\"shown\"", NONE},
    {"inverted: an object", "\"{{^b}}Dear {{name}},{{/b}}\"", "{\"b\":{\"name\":\"Ines\"}}",
     "\"\"", NONE},
    {"inverted: a list", "\"{{^l}}{{n}}{{/l}}\"", "{\"l\":[{\"n\":1}]}", "\"\"", NONE},
    {"inverted: the empty list", "\"{{^l}}none{{/l}}\"", "{\"l\":[]}", "\"none\"", NONE},
    {"inverted: zero", "\"{{^n}}none{{/n}}\"", "{\"n\":0}", "\"\"", NONE},
    {"inverted: in lines", "{{^b}}\n- red\n{{/b}}\n- green\n{{^b}}\n- blue\n{{/b}}\n",
     "{\"b\":false}", "- red\n- green\n- blue\n", NONE},
    {"inverted: nested, false", "<1 {{^b}}2 {{^b}}3{{/b}} 4{{/b}} 5>", "{\"b\":false}",
     "<1 2 3 4 5>", NONE},
    {"inverted: nested, true", "<1 {{^b}}2 {{^b}}3{{/b}} 4{{/b}} 5>", "{\"b\":true}", "<1  5>",
     NONE},
    {"inverted: beside a section of the same name", "{{#b}}yes{{/b}}{{^b}}no{{/b}}",
     "{\"b\":false}", "no", NONE},
    {"inverted: dotted", "{{^a.b}}none{{/a.b}}", "{\"a\":{}}", "none", NONE},
    {"inverted: dotted, true", "({{^a.b}}none{{/a.b}})", "{\"a\":{\"b\":1}}", "()", NONE},
    {"inverted: white space around", " ( {{^b}}\t-\t{{/b}} ) \n", "{\"b\":false}", " ( \t-\t ) \n",
     NONE},
    {"inverted: alone, indented", ".top\n  {{^b}}\n|\n  {{/b}}\n.bottom\n", "{\"b\":false}",
     ".top\n|\n.bottom\n", NONE},
    {"inverted: alone, CRLF", "|\r\n{{^b}}\r\n{{/b}}\r\n|", "{\"b\":false}", "|\r\n|", NONE},
    {"inverted: alone, without a line before", "  {{^b}}\n^{{/b}}\n/", "{\"b\":false}", "^\n/",
     NONE},
    {"inverted: alone, without a line end", "^{{^b}}\n/\n  {{/b}}", "{\"b\":false}", "^\n/\n",
     NONE},
    {"inverted: padding", "|{{^ b }}={{/ b }}|", "{\"b\":false}", "|=|", NONE},
    {"partials: taken in", "\"{{>p}}\"", "{}", "\"a text\"", {{"p", "a text"}}},
    {"partials: there is none", "\"{{>q}}\"", "{}", "\"\"", {{"p", "x"}}},
    {"partials: sees the names", "\"{{>p}}\"", "{\"t\":\"mail\"}", "\"*mail*\"",
     {{"p", "*{{t}}*"}}},
    {"partials: sees the element", "{{#l}}{{>p}}{{/l}}", "{\"l\":[{\"x\":1},{\"x\":2}]}", "<1><2>",
     {{"p", "<{{x}}>"}}},
    {"partials: takes itself in", "{{>p}}", "{\"c\":\"X\",\"nodes\":[{\"c\":\"Y\",\"nodes\":[]}]}",
     "X<Y<>>", {{"p", "{{c}}<{{#nodes}}{{>p}}{{/nodes}}>"}}},
    {"partials: takes in another", "{{>p}}", "{\"a\":\"up\",\"b\":\"down\"}", "*up* down!",
     {{"p", "*{{a}}* {{>q}}"}, {"q", "{{b}}!"}}},
    {"partials: white space around", "( {{>p}} )", "{}", "( \t-\t )", {{"p", "\t-\t"}}},
    {"partials: not alone: its lines are not indented", "  {{x}}  {{> p}}\n", "{\"x\":\"|\"}",
     "  |  >\n>\n", {{"p", ">\n>"}}},
    {"partials: alone, CRLF", "|\r\n{{>p}}\r\n|", "{}", "|\r\n>|", {{"p", ">"}}},
    {"partials: alone, without a line before", "  {{>p}}\n>", "{}", "  >\n  >>", {{"p", ">\n>"}}},
    {"partials: alone, without a line end", ">\n  {{>p}}", "{}", ">\n  >\n  >", {{"p", ">\n>"}}},
    {"partials: alone: its lines are indented", "head\n {{>p}}\nfoot\n", "{\"x\":\"<\\n->\"}",
     "head\n (\n <\n->\n )\nfoot\n", {{"p", "(\n{{{x}}}\n)\n"}}},
    {"partials: indented, twice over", "{{#b}}\n  {{>p}}\n{{/b}}\n", "{\"b\":true}",
     "  1\n    2\n  3\n", {{"p", "1\n  {{>q}}\n3\n"}, {"q", "2\n"}}},
    {"partials: indented, not alone inside", "  {{>p}}\n", "{}", "  1 2\n3",
     {{"p", "1 {{>q}}"}, {"q", "2\n3"}}},
    {"partials: indented, a section inside", "  {{>p}}\n", "{\"l\":[1,2]}",
     "  - 1\n  - 2\n  end\n", {{"p", "{{#l}}\n- {{.}}\n{{/l}}\nend\n"}}},
    {"partials: indented, a section in a line", "  {{>p}}\n", "{\"l\":[1,2]}", "  12\n",
     {{"p", "{{#l}}{{.}}{{/l}}\n"}}},
    {"partials: indented, false section in a line", "  {{>p}}\n", "{\"l\":[]}", "  \n",
     {{"p", "{{#l}}{{.}}{{/l}}\n"}}},
    {"partials: indented, a comment inside", "  {{>p}}\n", "{}", "  a\n  b\n",
     {{"p", "a\n{{! gone }}\nb\n"}}},
    {"partials: indented, with tabs", "\t{{>p}}\n", "{}", "\ta\n\tb\n", {{"p", "a\nb\n"}}},
    {"partials: indented, CRLF inside", " {{>p}}\r\nc", "{}", " a\r\n b\r\nc",
     {{"p", "a\r\nb\r\n"}}},
    {"partials: padding", "|{{> p }}|", "{}", "|[]|", {{"p", "[]"}}},
    {"partials: a name with a dot is one name", "{{> a.b}}", "{\"a\":{\"b\":\"wrong\"}}", "right",
     {{"a.b", "right"}}},
    {"partials: is not read again", "{{>p}}", "{\"x\":\"{{>p}}\"}", "{{&gt;p}}", {{"p", "{{x}}"}}},
    {"delimiters: changed", "{{=<% %>=}}(<%x%>)", "{\"x\":\"percent\"}", "(percent)", NONE},
    {"delimiters: of special letters", "({{=[ ]=}}[x])", "{\"x\":\"brackets\"}", "(brackets)",
     NONE},
    {"delimiters: one letter, twice the same", "{{=| |=}}|x| {{x}}", "{\"x\":\"y\"}", "y {{x}}",
     NONE},
    {"delimiters: back again", "{{=<% %>=}}<%x%><%={{ }}=%>{{x}}<%x%>", "{\"x\":\"a\"}", "aa<%x%>",
     NONE},
    {"delimiters: sections",
     "[\n{{#s}}\n  {{d}}\n  |d|\n{{/s}}\n\n{{= | | =}}\n|#s|\n  {{d}}\n  |d|\n|/s|\n]\n",
     "{\"s\":true,\"d\":\"D\"}", "[\n  D\n  |d|\n\n  {{d}}\n  D\n]\n", NONE},
    {"delimiters: inverted sections", "{{=| |=}}|^s||d|{{d}}|/s|", "{\"s\":false,\"d\":\"D\"}",
     "D{{d}}", NONE},
    {"delimiters: partials have their own", "[ {{>p}} ]{{= | | =}}[ |>p| ]", "{\"v\":\"ja\"}",
     "[ .ja. ][ .ja. ]", {{"p", ".{{v}}."}}},
    {"delimiters: a partial keeps its to itself", "[ {{>p}} ][ .{{v}}.  .|v|. ]", "{\"v\":\"ja\"}",
     "[ .ja.  .ja. ][ .ja.  .|v|. ]", {{"p", ".{{v}}. {{= | | =}} .|v|."}}},
    {"delimiters: white space around", "| {{=@ @=}} |", "{}", "|  |", NONE},
    {"delimiters: white space around, at the end", " | {{=@ @=}}\n", "{}", " | \n", NONE},
    {"delimiters: alone on its line", "above\n{{=@ @=}}\nbelow\n", "{}", "above\nbelow\n", NONE},
    {"delimiters: alone, indented", "above\n  {{=@ @=}}\nbelow\n", "{}", "above\nbelow\n", NONE},
    {"delimiters: alone, CRLF", "|\r\n{{= @ @ =}}\r\n|", "{}", "|\r\n|", NONE},
    {"delimiters: alone, without a line before", "  {{=@ @=}}\n=", "{}", "=", NONE},
    {"delimiters: alone, without a line end", "=\n  {{=@ @=}}", "{}", "=\n", NONE},
    {"delimiters: padding", "|{{=   @    @   =}}|@x@", "{\"x\":1}", "||1", NONE},
    {"delimiters: raw by ampersand", "{{=<% %>=}}<%&x%>", "{\"x\":\"<\"}", "<", NONE},
    {"delimiters: comments", "{{=<% %>=}}a<%! gone %>b", "{}", "ab", NONE},
};

/* ---- help ------------------------------------------------------------------------------- */

/* From a block of exactly its size, so that reading over its end is seen. */
static int parse(const char *source, size_t length, enum mustache_kind kind,
                 struct mustache **template_r, struct problem *problem)
{
    char *copy = xmalloc(length);
    memcpy(copy, source, length);
    int result = mustache_parse("page", copy, length, kind, template_r, problem);
    free(copy);
    return result;
}

static struct mustache *parsed(const char *source, enum mustache_kind kind)
{
    struct mustache *template = NULL;
    struct problem problem = {0};
    ck_assert_msg(parse(source, strlen(source), kind, &template, &problem) == 1, "%s: %s in %s",
                  problem.where, problem.text, source);
    return template;
}

struct known {
    const char *names[PARTIALS_MAX];
    struct mustache *templates[PARTIALS_MAX];
};

static const struct mustache *find(const void *context, const char *name)
{
    const struct known *known = context;
    for (size_t i = 0; i < PARTIALS_MAX; i++)
        if (known->names[i] != NULL && strcmp(known->names[i], name) == 0)
            return known->templates[i];
    return NULL;
}

static void check_renders(const char *what, const struct mustache *template, const char *view,
                          const struct known *known, enum mustache_escape escape,
                          const char *expected)
{
    freed_by(text_free) struct text out = {0};
    freed_by(json_put) struct json_object *tree = json_read(view);
    const struct partials partials = {find, known};
    ck_assert_msg(tree != NULL, "%s: no JSON: %s", what, view);
    text_add(&out, ">");
    ck_assert_int_eq(mustache_render(template, tree, &partials, escape, &out), 1);
    ck_assert_msg(strcmp(text_string(&out) + 1, expected) == 0 && text_string(&out)[0] == '>',
                  "%s: [%s] instead of [%s]", what, text_string(&out) + 1, expected);
}

/* ---- the specification -------------------------------------------------------------------- */

START_TEST(test_rule)
{
    const struct rule_case *rule = &cases[_i];
    freed_by(mustache_free) struct mustache *template = parsed(rule->template, MUSTACHE_MARKUP);
    struct known known = {0};
    for (size_t i = 0; i < PARTIALS_MAX && rule->partials[i].name != NULL; i++) {
        known.names[i] = rule->partials[i].name;
        known.templates[i] = parsed(rule->partials[i].text, MUSTACHE_MARKUP);
    }
    check_renders(rule->name, template, rule->view, &known, ESCAPE_HTML, rule->expected);
    for (size_t i = 0; i < PARTIALS_MAX; i++)
        mustache_free(&known.templates[i]);
}
END_TEST

/* ---- errors ------------------------------------------------------------------------------- */

static const struct {
    const char *source, *where, *text;
} wrong[] = {
    {"a\n{{x", "page:2", "not closed"},
    {"a\n{{{x}}\n", "page:2", "not closed"},
    {"{{! a", "page:1", "not closed"},
    {"{{= < > }}", "page:1", "not closed"},
    {"{{=<% %>=}}\n\n<% x }}", "page:3", "begins with <%"},
    {"\n{{#a}}\n\n", "page:2", "section a is not closed"},
    {"\n{{#a}}\n{{#b}}{{/b}}\n{{^c}}", "page:4", "section c is not closed"},
    {"\n\n{{/a}}", "page:3", "no section is open"},
    {"{{#a}}\n\n{{/b}}", "page:3", "b is closed where a of line 1 is open"},
    {"{{#a}}{{#b}}{{/a}}{{/b}}", "page:1", "a is closed where b"},
    {"{{#a.b}}{{/a}}", "page:1", "a is closed where a.b"},
    {"{{}}", "page:1", "no name"},
    {"{{# }}", "page:1", "no name"},
    {"{{{}}}", "page:1", "no name"},
    {"{{a b}}", "page:1", "white space"},
    {"{{#a b}}{{/a b}}", "page:1", "white space"},
    {"{{a..b}}", "page:1", "two dots"},
    {"{{.a}}", "page:1", "two dots"},
    {"{{a.}}", "page:1", "two dots"},
    {"{{..}}", "page:1", "two dots"},
    {"{{#a..b}}{{/a..b}}", "page:1", "two dots"},
    {"{{=<%=}}", "page:1", "two delimiters"},
    {"{{==}}", "page:1", "two delimiters"},
    {"{{=a b c=}}", "page:1", "here are more"},
    {"{{=a= b=}}", "page:1", "equals sign"},
    {"{{=12345678901234567 b=}}", "page:1", "at most 16 bytes"},
    {"{{<parent}}{{/parent}}", "page:1", "no inheritance"},
    {"{{$block}}{{/block}}", "page:1", "no inheritance"},
    {"{{>*name}}", "page:1", "it is no variable"},
    {"a\nb\n\xC3(", "page:3", "UTF-8"},
};

START_TEST(test_wrong)
{
    struct mustache *template = NULL;
    struct problem problem = {0};
    const char *source = wrong[_i].source;
    ck_assert_int_eq(parse(source, strlen(source), MUSTACHE_MARKUP, &template, &problem), 0);
    ck_assert_ptr_null(template);
    ck_assert_msg(strcmp(problem.where, wrong[_i].where) == 0 &&
                      strstr(problem.text, wrong[_i].text) != NULL,
                  "%s: %s: %s", source, problem.where, problem.text);
}
END_TEST

START_TEST(test_nul)
{
    struct mustache *template = NULL;
    struct problem problem = {0};
    ck_assert_int_eq(parse("a\n{{\0x}}", 8, MUSTACHE_MARKUP, &template, &problem), 0);
    ck_assert_str_eq(problem.where, "page:2");
}
END_TEST

/* ---- limits ------------------------------------------------------------------------------- */

/* `count` times `piece`. */
static void repeat(struct text *text, const char *piece, int count)
{
    for (int i = 0; i < count; i++)
        text_add(text, piece);
}

START_TEST(test_size)
{
    freed_by(text_free) struct text source = {0};
    freed_by(mustache_free) struct mustache *template = NULL;
    struct problem problem = {0};
    repeat(&source, "x", MUSTACHE_MAX_BYTES);
    ck_assert_int_eq(parse(source.data, source.length, MUSTACHE_MARKUP, &template, &problem), 1);
    mustache_free(&template);
    text_add(&source, "x");
    ck_assert_int_eq(parse(source.data, source.length, MUSTACHE_MARKUP, &template, &problem), 0);
    ck_assert_str_eq(problem.where, "page");
}
END_TEST

START_TEST(test_depth_of_sections)
{
    for (int depth = MUSTACHE_MAX_DEPTH; depth <= MUSTACHE_MAX_DEPTH + 1; depth++) {
        freed_by(text_free) struct text source = {0};
        freed_by(mustache_free) struct mustache *template = NULL;
        struct problem problem = {0};
        repeat(&source, "{{#a}}\n", depth);
        repeat(&source, "{{/a}}\n", depth);
        bool fits = depth == MUSTACHE_MAX_DEPTH;
        ck_assert_int_eq(parse(source.data, source.length, MUSTACHE_MARKUP, &template, &problem),
                         fits);
        ck_assert_str_eq(problem.where, fits ? "" : "page:33");
    }
}
END_TEST

static int render_with(const char *source, const char *partial, const char *view,
                       size_t *length_r)
{
    freed_by(mustache_free) struct mustache *template = parsed(source, MUSTACHE_MARKUP);
    freed_by(mustache_free) struct mustache *taken_in = parsed(partial, MUSTACHE_MARKUP);
    freed_by(text_free) struct text out = {0};
    freed_by(json_put) struct json_object *tree = json_read(view);
    const struct known known = {{"p"}, {taken_in}};
    const struct partials partials = {find, &known};
    int result = mustache_render(template, tree, &partials, ESCAPE_HTML, &out);
    *length_r = out.length;
    return result;
}

/* A view that partials walk down: {"n":{"n":{…}}}, objects within each other. */
static char *chain(int depth)
{
    freed_by(text_free) struct text text = {0};
    repeat(&text, "{\"n\":", depth);
    text_add(&text, "false");
    repeat(&text, "}", depth);
    return take(text.data);
}

START_TEST(test_depth_of_partials)
{
    size_t length;
    ck_assert_int_eq(render_with("{{>p}}", "x{{>p}}", "{}", &length), 0);
    ck_assert_uint_eq(length, MUSTACHE_MAX_DEPTH);
    ck_assert_int_eq(render_with("{{>p}}", "{{>p}}{{>p}}", "{}", &length), 0);
    freed_by(free_string) char *view = chain(20);
    ck_assert_int_eq(render_with("{{>p}}", "x{{#n}}{{>p}}{{/n}}", view, &length), 1);
    ck_assert_uint_eq(length, 20); /* in the innermost "n" is false */
}
END_TEST

START_TEST(test_output)
{
    freed_by(text_free) struct text view = {0};
    size_t length;
    text_add(&view, "{\"l\":[0");
    repeat(&view, ",0", 4095);
    text_add(&view, "]}");
    freed_by(text_free) struct text source = {0};
    text_add(&source, "{{#l}}");
    repeat(&source, "x", 1024);
    text_add(&source, "{{/l}}");
    ck_assert_int_eq(render_with(source.data, "", view.data, &length), 1);
    ck_assert_uint_eq(length, MUSTACHE_MAX_OUTPUT);
    text_add(&source, "x");
    ck_assert_int_eq(render_with(source.data, "", view.data, &length), 0);
}
END_TEST

/* One piece of text, but each of its lines is indented: the end comes within it. */
START_TEST(test_output_of_one_piece)
{
    freed_by(text_free) struct text source = {0}, partial = {0};
    size_t length;
    repeat(&source, " ", 64 * 1024);
    text_add(&source, "{{>p}}");
    repeat(&partial, "\n", 4096);
    ck_assert_int_eq(render_with(source.data, partial.data, "{}", &length), 0);
    ck_assert_uint_lt(length, MUSTACHE_MAX_OUTPUT + 2 * 64 * 1024);
}
END_TEST

/* Sections within sections multiply, also when nothing is put out. */
START_TEST(test_steps)
{
    freed_by(text_free) struct text source = {0};
    size_t length;
    repeat(&source, "{{#l}}", MUSTACHE_MAX_DEPTH);
    repeat(&source, "{{/l}}", MUSTACHE_MAX_DEPTH);
    ck_assert_int_eq(render_with(source.data, "", "{\"l\":[1,2,3]}", &length), 0);
    ck_assert_uint_eq(length, 0);
}
END_TEST

/* ---- plain texts ---------------------------------------------------------------------------- */

START_TEST(test_plain)
{
    static const struct {
        const char *page, *sentence, *html, *plain;
    } texts[] = {
        {"<p>{{> a.b}}</p>", "R&D <{{x}}>", "<p>R&amp;D &lt;&lt;i&gt;&gt;</p>",
         "<p>R&D <<i>></p>"},
        {"{{> a.b}}", "{{{x}}} {{&x}}", "&lt;i&gt; &lt;i&gt;", "<i> <i>"},
        {"<p>\n  {{> a.b}}\n  {{> a.b}}\n</p>\n", "one", "<p>\n  one\n  one\n</p>\n",
         "<p>\n  one\n  one\n</p>\n"},
        {"{{> a.b}}\r\n{{> a.b}}", "one", "one\r\none", "one\r\none"},
        {"{{> a.b}}{{> a.b}}\n", "one", "oneone\n", "oneone\n"},
    };
    for (size_t i = 0; i < countof(texts); i++) {
        freed_by(mustache_free) struct mustache *page = parsed(texts[i].page, MUSTACHE_MARKUP);
        freed_by(mustache_free) struct mustache *text = parsed(texts[i].sentence, MUSTACHE_PLAIN);
        const struct known known = {{"a.b"}, {text}};
        check_renders(texts[i].page, page, "{\"x\":\"<i>\"}", &known, ESCAPE_HTML, texts[i].html);
        check_renders(texts[i].page, page, "{\"x\":\"<i>\"}", &known, ESCAPE_NONE, texts[i].plain);
    }
}
END_TEST

/* ---- which partials --------------------------------------------------------------------------- */

static void note_partial(void *context, const char *name, int line)
{
    text_addf(context, "%s:%d ", name, line);
}

START_TEST(test_each_partial)
{
    freed_by(text_free) struct text found = {0};
    freed_by(mustache_free) struct mustache *template =
        parsed("{{> a }}\n{{#b}}\n{{> c.d}}{{/b}}\n\n{{>a}}", MUSTACHE_MARKUP);
    mustache_each_partial(template, note_partial, &found);
    ck_assert_str_eq(text_string(&found), "a:1 c.d:3 a:5 ");
}
END_TEST

START_TEST(test_nothing)
{
    freed_by(mustache_free) struct mustache *template = parsed("a{{x}}{{>p}}{{^x}}b{{/x}}",
                                                               MUSTACHE_MARKUP);
    freed_by(text_free) struct text out = {0};
    ck_assert_int_eq(mustache_render(template, NULL, NULL, ESCAPE_HTML, &out), 1);
    ck_assert_str_eq(text_string(&out), "ab");
    mustache_free(&template);
    mustache_free(&template);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mustache");
    TCase *tests = tcase_create("mustache");
    tcase_add_loop_test(tests, test_rule, 0, countof(cases));
    tcase_add_loop_test(tests, test_wrong, 0, countof(wrong));
    tcase_add_test(tests, test_nul);
    tcase_add_test(tests, test_size);
    tcase_add_test(tests, test_depth_of_sections);
    tcase_add_test(tests, test_depth_of_partials);
    tcase_add_test(tests, test_output);
    tcase_add_test(tests, test_output_of_one_piece);
    tcase_add_test(tests, test_steps);
    tcase_add_test(tests, test_plain);
    tcase_add_test(tests, test_each_partial);
    tcase_add_test(tests, test_nothing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
