/* Pages and texts: the built-in ones in all their languages, an operator's folder with
 * everything that can be wrong in it, and whose language is chosen. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "tests/unit/store/servers.h"
#include "text/embedded.h"
#include "text/mustache.h"

#include "text/catalogue.h"

static char folder[FOLDER_SIZE];
static struct arena *arena;
static struct catalogue *catalogue;

static void setup(void)
{
    folder_make(folder);
    arena = arena_new();
}

static void teardown(void)
{
    catalogue_free(&catalogue);
    arena_free(&arena);
    folder_remove(folder);
}

static const char *path_of(const char *name) { return arena_printf(arena, "%s/%s", folder, name); }

static void put_bytes(const char *name, const char *bytes, size_t length)
{
    const char *slash = strchr(name, '/');
    if (slash != NULL)
        mkdir(path_of(arena_strndup(arena, name, (size_t)(slash - name))), 0700);
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
    close(fd);
}

static void put_file(const char *name, const char *content)
{
    put_bytes(name, content, strlen(content));
}

static void load(void)
{
    struct problem problem = {0};
    catalogue_free(&catalogue);
    ck_assert_msg(catalogue_load(folder, &catalogue, &problem) == 1, "%s: %s", problem.where,
                  problem.text);
}

static void check_refused(const char *where, const char *text)
{
    struct problem problem = {0};
    struct catalogue *loaded = NULL;
    ck_assert_int_eq(catalogue_load(folder, &loaded, &problem), 0);
    ck_assert_ptr_null(loaded);
    ck_assert_str_eq(problem.where, where);
    ck_assert_msg(strstr(problem.text, text) != NULL, "%s", problem.text);
}

static const char *text_of(const char *language, const char *key)
{
    return catalogue_text(catalogue, arena, language, key, NULL);
}

static void check_page(const char *language, const char *page, const char *view,
                       const char *expected)
{
    freed_by(text_free) struct text out = {0};
    freed_by(json_put) struct json_object *tree = view != NULL ? json_read(view) : NULL;
    ck_assert_int_eq(catalogue_page(catalogue, language, page, tree, &out), 1);
    ck_assert_str_eq(text_string(&out), expected);
}

/* ---- the built-in ones, in all languages ---------------------------------------------------- */

static const char *const translations[] = {"de", "fr", "es"};

/* All texts of a language, from its files. */
static struct json_object *texts_of(const char *language)
{
    struct json_object *all = json_object_new_object();
    size_t length = strlen(language);
    for (const struct embedded *file = embedded_templates; file->name != NULL; file++) {
        if (strncmp(file->name, language, length) != 0 || file->name[length] != '/')
            continue;
        freed_by(json_put) struct json_object *texts = json_read((const char *)file->bytes);
        ck_assert_msg(texts != NULL, "%s is no JSON", file->name);
        json_object_object_foreach(texts, key, value)
            json_add(all, key, json_object_get(value));
    }
    return all;
}

static int by_name(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* The names that a text uses, in order, each once, but for those that help with a plural
 * (…_one): languages differ in what they need. */
static const char *variables_of(const char *text)
{
    const char *names[32];
    size_t count = 0;
    for (const char *tag = strstr(text, "{{"); tag != NULL; tag = strstr(tag, "{{")) {
        tag += 2 + strspn(tag + 2, "{#^/& ");
        size_t length = strcspn(tag, "} ");
        if (length >= 4 && strncmp(tag + length - 4, "_one", 4) == 0)
            continue;
        if (*tag == '>')
            length = strcspn(tag, "}");
        ck_assert_uint_lt(count, countof(names));
        names[count++] = arena_strndup(arena, tag, length);
    }
    qsort(names, count, sizeof names[0], by_name);
    const char *list = "";
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            list = arena_printf(arena, "%s %s", list, names[i]);
    return list;
}

static void check_same_texts(const char *language, struct json_object *english,
                             struct json_object *theirs)
{
    const char *wrong = "";
    json_object_object_foreach(english, key, value)
    {
        const char *text = json_string(theirs, key, NULL);
        const char *expected = variables_of(json_object_get_string(value));
        if (text == NULL)
            wrong = arena_printf(arena, "%s\n%s lacks %s", wrong, language, key);
        else if (strcmp(variables_of(text), expected) != 0)
            wrong = arena_printf(arena, "%s\n%s: %s uses%s, but English%s", wrong, language, key,
                                 variables_of(text), expected);
    }
    json_object_object_foreach(theirs, their_key, their_value)
    {
        (void)their_value;
        if (!json_object_object_get_ex(english, their_key, NULL))
            wrong = arena_printf(arena, "%s\nonly %s has %s", wrong, language, their_key);
    }
    ck_assert_msg(wrong[0] == '\0', "%s", wrong);
}

START_TEST(test_languages_are_complete)
{
    freed_by(json_put) struct json_object *english = texts_of("en");
    freed_by(json_put) struct json_object *theirs = texts_of(translations[_i]);
    ck_assert_int_gt(json_object_object_length(english), 100);
    check_same_texts(translations[_i], english, theirs);
    load();
    json_object_object_foreach(english, key, value)
    {
        (void)value;
        ck_assert(catalogue_has_own(catalogue, "en", key));
        ck_assert(catalogue_has_own(catalogue, translations[_i], key));
    }
}
END_TEST

/* The test above is no test if this one fails. */
START_TEST(test_variables)
{
    ck_assert_str_eq(variables_of("{{b}} {{{a}}} {{#c_one}}x{{/c_one}}{{^d}}{{> e.f}}{{/d}} {{b}}"),
                     " > e.f a b d");
    ck_assert_str_eq(variables_of("none"), "");
}
END_TEST

START_TEST(test_built_in)
{
    const char *languages[8];
    struct problem problem = {0};
    ck_assert_int_eq(catalogue_load(NULL, &catalogue, &problem), 1);
    ck_assert_uint_eq(catalogue_languages(catalogue, languages, countof(languages)), 4);
    ck_assert_str_eq(languages[0], "de");
    ck_assert_str_eq(languages[1], "en");
    ck_assert_str_eq(languages[2], "es");
    ck_assert_str_eq(languages[3], "fr");
    ck_assert_uint_eq(catalogue_languages(catalogue, languages, 1), 4);
    catalogue_free(&catalogue);
    ck_assert_int_eq(catalogue_load("", &catalogue, &problem), 1);
    ck_assert_str_eq(text_of("de", "weekday.1"), "Montag");
    ck_assert_str_eq(text_of("DE", "weekday.1"), "Montag");
    ck_assert_str_eq(text_of("tlh", "weekday.1"), "Monday");
    ck_assert_ptr_null(text_of("en", "no.such_text"));
    ck_assert_ptr_null(text_of("en", "head"));
}
END_TEST

/* ---- an operator's folder ------------------------------------------------------------------- */

START_TEST(test_own_pages_and_texts)
{
    put_file("provider.mustache", "<p title=\"{{> provider.name}}\">{{> provider.sign}}</p>{{> channel}}\n");
    put_file("channel.mustache", "<i>{{x}}</i>");
    put_file("en/provider.json", "{\"provider.name\": \"\\\"R&D\\\"\", \"provider.sign\": \"Room {{x}}\"}");
    put_file("de/provider.json", "{\"provider.sign\": \"Raum {{x}}\", \"weekday.1\": \"Moin-Tag\"}");
    put_file("nds/anything.json", "{\"weekday.2\": \"Dingsdag\"}");
    put_file(".hidden", "{{");
    put_file("provider.mustache~", "{{");
    put_file("de/provider.json~", "{{");
    load();
    const char *view = "{\"x\":\"<1>\"}";
    check_page("en", "provider", view,
               "<p title=\"&quot;R&amp;D&quot;\">Room &lt;1&gt;</p><i>&lt;1&gt;</i>\n");
    check_page("de", "provider", view,
               "<p title=\"&quot;R&amp;D&quot;\">Raum &lt;1&gt;</p><i>&lt;1&gt;</i>\n");
    ck_assert_str_eq(text_of("de", "weekday.1"), "Moin-Tag");
    ck_assert_str_eq(text_of("de", "weekday.2"), "Dienstag");
    ck_assert_str_eq(text_of("nds", "weekday.2"), "Dingsdag");
    ck_assert_str_eq(text_of("nds", "weekday.1"), "Monday");
    ck_assert(!catalogue_has_own(catalogue, "nds", "weekday.1"));
    ck_assert(!catalogue_has_own(catalogue, "tlh", "weekday.1"));
    freed_by(json_put) struct json_object *values = json_read(view);
    ck_assert_str_eq(catalogue_text(catalogue, arena, "de", "provider.sign", values), "Raum <1>");
}
END_TEST

START_TEST(test_page_instead)
{
    put_file("error.mustache", "our own: {{status}}");
    load();
    check_page("fr", "error", "{\"status\":404}", "our own: 404");
    freed_by(text_free) struct text out = {0};
    ck_assert_int_eq(catalogue_page(catalogue, "en", "none", NULL, &out), 0);
    ck_assert_int_eq(catalogue_page(catalogue, "en", "weekday.1", NULL, &out), 0);
    ck_assert_str_eq(text_string(&out), "");
}
END_TEST

/* A text takes in texts of its own language, and small pages. */
START_TEST(test_texts_within_texts)
{
    put_file("bold.mustache", "<b>{{x}}</b>");
    put_file("en/own.json", "{\"own.a\": \"<{{> own.b}}> {{> bold}}\", \"own.b\": \"one\"}");
    put_file("de/own.json", "{\"own.b\": \"eins\"}");
    put_file("own.mustache", "{{> own.a}}");
    load();
    check_page("de", "own", "{\"x\":\"&\"}", "&lt;eins&gt; <b>&amp;</b>");
}
END_TEST

START_TEST(test_too_large_a_page)
{
    put_file("endless.mustache", "{{> endless}}");
    load();
    freed_by(text_free) struct text out = {0};
    ck_assert_int_eq(catalogue_page(catalogue, "en", "endless", NULL, &out), 0);
}
END_TEST

/* ---- what is wrong with it ------------------------------------------------------------------- */

static const struct {
    const char *file, *content, *where, *text;
} wrong[] = {
    {"notes.txt", "", "notes.txt", "expected a name"},
    {"Page.mustache", "", "Page.mustache", "expected a name"},
    {"a-b.mustache", "", "a-b.mustache", "expected a name"},
    {"a.b.mustache", "", "a.b.mustache", "expected a name"},
    {"de/own.txt", "{}", "de/own.txt", "expected a name"},
    {"de/own.mustache", "x", "de/own.mustache", "expected a name"},
    {"de/Own.json", "{}", "de/Own.json", "expected a name"},
    {"de_DE/own.json", "{}", "de_DE", "named by a language"},
    {"x/own.json", "{}", "x", "named by a language"},
    {"de-/own.json", "{}", "de-", "named by a language"},
    {"deutschland/own.json", "{}", "deutschland", "named by a language"},
    {"own.mustache", "a\n{{#b}}\n", "own.mustache:2", "section b is not closed"},
    {"own.mustache", "a\n\n{{> nowhere}}", "own.mustache:3", "there is no page nowhere"},
    {"own.mustache", "a\n{{> no.where}}", "own.mustache:2", "there is no text no.where"},
    {"de/own.json", "{\n\"own.a\": \"x\",\n\"own.b\": \"{{> no.where}}\"}", "de/own.json:3",
     "there is no text no.where"},
    {"de/own.json", "{\n\"own.a\": \"x\",\n\"own.b\": \"{{> nowhere}}\"}", "de/own.json:3",
     "there is no page nowhere"},
    {"de/own.json", "{\n\"own.a\": \"x\",\n\"own.b\": \"{{x\"}", "de/own.json:3",
     "own.b: the tag that begins with {{ is not closed"},
    {"de/own.json", "{\"own.a\": \"x\",\n\n\"own.a\": \"y\"}", "de/own.json:3", "twice"},
    {"de/own.json", "{\"own.a\": \"\\\"own.a\\\":\",\n\"own.b\": 3}", "de/own.json:2",
     "own.b: expected a string"},
    {"de/own.json", "{\"own.a\": null}", "de/own.json:1", "expected a string"},
    {"de/own.json", "{\"own\": \"x\"}", "de/own.json:1", "own: expected a key"},
    {"de/own.json", "{\"own..a\": \"x\"}", "de/own.json:1", "expected a key"},
    {"de/own.json", "{\"Own.a\": \"x\"}", "de/own.json:1", "expected a key"},
    {"de/own.json", "{\"own.\\u0061\": \"x\"}", "de/own.json:1", "expected a key"},
    {"de/own.json", "[]", "de/own.json:1", "expected an object"},
    {"de/own.json", "\"x\"", "de/own.json:1", "expected an object"},
    {"de/own.json", "", "de/own.json:1", "ends too early"},
    {"de/own.json", "{\"own.a\":\n\n\"x\"", "de/own.json:3", "ends too early"},
    {"de/own.json", "{\n\"own.a\":\n}", "de/own.json:3", "no JSON"},
    {"de/own.json", "{\"own.a\": \"x\"}\n\nx", "de/own.json:3", "no JSON"},
    {"de/own.json", "{\"own.a\": \"\xFF\"}", "de/own.json:1", "no JSON"},
};

START_TEST(test_wrong)
{
    put_file(wrong[_i].file, wrong[_i].content);
    check_refused(wrong[_i].where, wrong[_i].text);
}
END_TEST

START_TEST(test_same_key_in_two_files)
{
    put_file("de/one.json", "{\"own.a\": \"x\"}");
    put_file("de/two.json", "{\n\"own.a\": \"y\"}");
    check_refused("de/two.json:2", "own.a is in de/one.json too");
}
END_TEST

START_TEST(test_no_json_by_other_quotation_marks)
{
    put_file("de/one.json", "{'own.a': \"x\"}");
    check_refused("de/one.json:1", "double quotation marks");
}
END_TEST

/* Nothing outside of the folder is read, whatever lies in it. */
START_TEST(test_links_and_other_things)
{
    put_file("page.mustache", "inside");
    ck_assert_int_eq(symlink(path_of("page.mustache"), path_of("link.mustache")), 0);
    check_refused("link.mustache", "symbolic link");
    unlink(path_of("link.mustache"));
    ck_assert_int_eq(symlink("/etc", path_of("de")), 0);
    check_refused("de", "symbolic link");
    unlink(path_of("de"));
    ck_assert_int_eq(mkfifo(path_of("pipe.mustache"), 0600), 0);
    check_refused("pipe.mustache", "no file");
    unlink(path_of("pipe.mustache"));
    put_file("de/own.json", "{}");
    ck_assert_int_eq(mkdir(path_of("de/more"), 0700), 0);
    check_refused("de/more", "no folders");
}
END_TEST

START_TEST(test_size)
{
    freed_by(text_free) struct text page = {0};
    while (page.length < MUSTACHE_MAX_BYTES)
        text_add_char(&page, 'x');
    put_bytes("page.mustache", page.data, page.length);
    load();
    text_add_char(&page, 'x');
    put_bytes("page.mustache", page.data, page.length);
    check_refused("page.mustache", "more than 262144 bytes");
}
END_TEST

START_TEST(test_no_folder)
{
    struct problem problem = {0};
    const char *path = path_of("nowhere");
    ck_assert_int_eq(catalogue_load(path, &catalogue, &problem), 0);
    ck_assert_msg(strstr(problem.text, "cannot be opened") != NULL, "%s", problem.text);
}
END_TEST

/* ---- whose language ----------------------------------------------------------------------------- */

static const struct {
    const char *accept, *language;
} accepted[] = {
    {NULL, "en"},
    {"", "en"},
    {"de", "de"},
    {"DE", "de"},
    {"de-CH", "de"},
    {"de-Latn-CH-1996", "de"},
    {"de-x-private", "de"},
    {"deu", "en"},
    {"pt-BR", "pt-BR"},
    {"pt-br", "pt-BR"},
    {"pt", "en"},
    {"fr, de", "fr"},
    {"fr;q=0.5, de", "de"},
    {"fr;q=0.5,de;q=0.501", "de"},
    {"fr;q=0.5,de;q=0.5", "fr"},
    {"tlh, es;q=0.1", "es"},
    {"de;q=0, fr;q=0.001", "fr"},
    {"de;q=0", "en"},
    {"*", "en"},
    {"*, de;q=0.5", "en"},
    {"tlh, *;q=0.5", "en"},
    {" de ; q=0.2 ,\tfr ;q=0.3", "fr"},
    {",,de,", "de"},
    {"de;level=1", "en"},
    {"de;q=x, fr;q=0.1", "fr"},
    {"de;q=2, fr;q=0.1", "fr"},
    {"../../etc/passwd", "en"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, de", "de"},
    {"-", "en"},
    {"de-", "de"},
};

START_TEST(test_accepted)
{
    put_file("pt-BR/own.json", "{\"weekday.1\": \"segunda-feira\"}");
    load();
    for (size_t i = 0; i < countof(accepted); i++)
        ck_assert_msg(strcmp(catalogue_language(catalogue, accepted[i].accept),
                             accepted[i].language) == 0,
                      "%s: %s", accepted[i].accept,
                      catalogue_language(catalogue, accepted[i].accept));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("catalogue");
    TCase *tests = tcase_create("catalogue");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_languages_are_complete, 0, countof(translations));
    tcase_add_test(tests, test_variables);
    tcase_add_test(tests, test_built_in);
    tcase_add_test(tests, test_own_pages_and_texts);
    tcase_add_test(tests, test_page_instead);
    tcase_add_test(tests, test_texts_within_texts);
    tcase_add_test(tests, test_too_large_a_page);
    tcase_add_loop_test(tests, test_wrong, 0, countof(wrong));
    tcase_add_test(tests, test_same_key_in_two_files);
    tcase_add_test(tests, test_no_json_by_other_quotation_marks);
    tcase_add_test(tests, test_links_and_other_things);
    tcase_add_test(tests, test_size);
    tcase_add_test(tests, test_no_folder);
    tcase_add_test(tests, test_accepted);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
