/* The reader of INI files: what each form of a line is, and the limits. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "settings/ini.h"
#include "tests/unit/settings/settings_fixture.h"

/* Adds each line as "1[section] 2name=value 3+more 4!fault ". The reader gets a heap block with
 * nothing behind its NUL. */
static void read_ini(const char *bytes, size_t length, bool continues, struct text *text)
{
    struct ini ini;
    char *copy = xmalloc(length + 1);
    memcpy(copy, bytes, length);
    copy[length] = '\0';
    ini_begin(&ini, copy, length);
    ini.continues = continues;
    while (ini_next(&ini)) {
        text_addf(text, "%d", ini.line);
        if (ini.fault != NULL) {
            ck_assert_str_eq(ini.name, "");
            ck_assert_str_eq(ini.value, "");
            text_addf(text, "%s!%s ", ini.kind == INI_SECTION ? "[]" : "", ini.fault);
        } else if (ini.kind == INI_SECTION) {
            text_addf(text, "[%s] ", ini.name);
        } else {
            text_addf(text, ini.kind == INI_MORE ? "%s+%s " : "%s=%s ", ini.name, ini.value);
        }
    }
    ck_assert_int_eq(ini_next(&ini), 0);
    free(copy);
}

static const struct {
    const char *name, *content, *expected;
} forms[] = {
    {"nothing", "", ""},
    {"blank lines", "\n\n  \n\t\n\r\n", ""},
    {"no line feed at the end", "a = 1", "1a=1 "},
    {"CRLF", "[s]\r\na = 1\r\n", "1[s] 2a=1 "},
    {"CR alone", "a = 1\rb = 2\n", "1!it holds a line break "},
    {"CR before CRLF", "a = 1\r\r\n", "1!it holds a line break "},
    {"byte order mark", "\xEF\xBB\xBF[s]\n", "1[s] "},
    {"byte order mark alone", "\xEF\xBB\xBF", ""},
    {"a part of a byte order mark", "\xEF\xBB", "1!it is no valid UTF-8 "},
    {"byte order mark twice", "\xEF\xBB\xBF\xEF\xBB\xBF; =", "1\xEF\xBB\xBF;= "},
    {"byte order mark in the second line", "\n\xEF\xBB\xBF[s]\n",
     "2!is no setting; expected key = value "},
    {"comments", "# a = 1\n; a = 1\n  # [s]\n\t; b\n#\n;", ""},
    {"white space", " \t a \t = \t b  c \t \n", "1a=b  c "},
    {"no white space", "a=1", "1a=1 "},
    {"colon", "a: 1\nb : c=d\ne = f:g\n", "1a=1 2b=c=d 3e=f:g "},
    {"value empty", "a =\nb = \nc = ; d\n", "1a= 2b= 3c= "},
    {"name empty", "= 1\n", "1=1 "},
    {"name with white space", "a b = 1\n", "1a b=1 "},
    {"quotation marks are no syntax", "a = \"b ; c\"\n", "1a=\"b "},
    {"backslashes are no syntax", "a = b\\\nc = d\\n\n", "1a=b\\ 2c=d\\n "},
    {"comment behind a value", "a = 1 ; b\nb = 2\t;; c\n", "1a=1 2b=2 "},
    {"a ';' without white space before it", "a = 1;2\nb =;c\n", "1a=1;2 2b=;c "},
    {"a '#' behind a value", "a = 1 # b\n", "1a=1 # b "},
    {"comment before the '='", "a ; = 1\n", "1!is no setting; expected key = value "},
    {"no '='", "a\n", "1!is no setting; expected key = value "},
    {"section with white space", "  [s]\n\t[t] \t\n", "1[s] 2[t] "},
    {"section with white space in it", "[ s ]\n", "1[ s ] "},
    {"section empty", "[]\n", "1[] "},
    {"section and comment", "[s] ; a\n[t]# b\n[u];c\n[v] # d\n", "1[s] 2[t] 3[u] 4[v] "},
    {"section without ']'", "[s\n[t ; ]\n",
     "1[]!a section without its ']' 2[]!a section without its ']' "},
    {"section and more", "[s] a = 1\n[t]]\n",
     "1[]!something stands behind the section's ']' 2[]!something stands behind the section's ']' "},
    {"control character", "a = \x01\n# \x1B\nb = 2\n",
     "1!it holds a control character 2!it holds a control character 3b=2 "},
    {"no UTF-8", "a = \xC3\x28\n", "1!it is no valid UTF-8 "},
    {"UTF-8", "a = \xC3\xBC\n", "1a=\xC3\xBC "},
};

START_TEST(test_forms)
{
    freed_by(text_free) struct text text = {0};
    read_ini(forms[_i].content, strlen(forms[_i].content), false, &text);
    ck_assert_msg(strcmp(text_string(&text), forms[_i].expected) == 0, "%s: \"%s\"", forms[_i].name,
                  text_string(&text));
}
END_TEST

/* Only where the caller allows it. */
START_TEST(test_continuing_lines)
{
    static const struct {
        const char *content, *continues, *stands_alone;
    } cases[] = {
        {" b", "1+b ", "1!is no setting; expected key = value "},
        {"\tb c  ; d = e", "1+b c ", "1!is no setting; expected key = value "},
        {" b: c", "1b=c ", "1b=c "},
        {" b = c", "1b=c ", "1b=c "},
        {"b", "1!is no setting; expected key = value ", "1!is no setting; expected key = value "},
        {" [b]", "1[b] ", "1[b] "},
        {"  ; b", "", ""},
        {"  # b\n  b", "2+b ", "2!is no setting; expected key = value "},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        freed_by(text_free) struct text more = {0}, alone = {0};
        read_ini(cases[i].content, strlen(cases[i].content), true, &more);
        ck_assert_str_eq(text_string(&more), cases[i].continues);
        read_ini(cases[i].content, strlen(cases[i].content), false, &alone);
        ck_assert_str_eq(text_string(&alone), cases[i].stands_alone);
    }
}
END_TEST

START_TEST(test_nul)
{
    static const char content[] = "a = 1\0b\nc\0 = 1\n# \0\n\0\n[s\0]\nd = 2\0";
    freed_by(text_free) struct text text = {0};
    read_ini(content, sizeof content - 1, true, &text);
    ck_assert_str_eq(text_string(&text), "1!it holds a NUL 2!it holds a NUL 3!it holds a NUL "
                                         "4!it holds a NUL 5!it holds a NUL 6!it holds a NUL ");
}
END_TEST

/* The white space around a line does not count, nor does a comment. */
START_TEST(test_longest_line)
{
    static const struct {
        const char *begin, *behind;
        bool continues;
    } cases[] = {{"a = ", "", false}, {" \t a = ", " \t ; comment", false}, {" ", " ;", true}};
    for (size_t i = 0; i < countof(cases); i++) {
        for (size_t over = 0; over <= 1; over++) {
            freed_by(text_free) struct text content = {0}, text = {0};
            size_t indent = strspn(cases[i].begin, " \t");
            text_add(&content, cases[i].begin);
            while (content.length < indent + INI_LINE_MAX_BYTES + over)
                text_add_char(&content, 'x');
            text_addf(&content, "%s\nb = 2\n", cases[i].behind);
            read_ini(content.data, content.length, cases[i].continues, &text);
            bool refused = strcmp(text.data, "1!the line is longer than 65536 bytes 2b=2 ") == 0;
            ck_assert_uint_eq(refused, over);
        }
    }
    freed_by(text_free) struct text comment = {0}, text = {0};
    while (comment.length < 2 * INI_LINE_MAX_BYTES)
        text_add_char(&comment, '#');
    text_add(&comment, "\na = 1");
    read_ini(comment.data, comment.length, false, &text);
    ck_assert_str_eq(text_string(&text), "2a=1 ");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ini");
    TCase *cases = tcase_create("lines");
    suite_add_tcase(suite, cases);
    tcase_add_loop_test(cases, test_forms, 0, (int)countof(forms));
    tcase_add_test(cases, test_continuing_lines);
    tcase_add_test(cases, test_nul);
    tcase_add_test(cases, test_longest_line);
    return run_suite(suite);
}
