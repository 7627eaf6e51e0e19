/* Trees of facts: how each kind of fact is written, and what reading answers for what is
 * not there. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "base/json_strict.h"

#define NOW INT64_C(1763790000000) /* 2025-11-22T05:40:00Z */

static struct json_object *tree;

static void setup(void) { tree = json_object_new_object(); }
static void teardown(void) { json_put(&tree); }

static void check_tree(const char *expected)
{
    ck_assert_str_eq(json_object_to_json_string_ext(tree, JSON_C_TO_STRING_PLAIN), expected);
}

START_TEST(test_kinds)
{
    json_add_string(tree, "string", "\"<é>");
    json_add_string(tree, "none", NULL);
    json_add_int(tree, "int", INT64_MAX);
    json_add_bool(tree, "yes", true);
    json_add_bool(tree, "no", false);
    json_add_null(tree, "null");
    check_tree("{\"string\":\"\\\"<é>\",\"none\":null,\"int\":9223372036854775807,\"yes\":true,"
               "\"no\":false,\"null\":null}");
}
END_TEST

START_TEST(test_children)
{
    struct json_object *list = json_add_list(tree, "list");
    json_object_array_add(list, json_object_new_int(1));
    json_add_int(json_add_object(tree, "object"), "x", 2);
    struct json_object *given = json_object_new_string("given");
    ck_assert_ptr_eq(json_add(tree, "given", given), given);
    ck_assert_ptr_null(json_add(tree, "nothing", NULL));
    check_tree("{\"list\":[1],\"object\":{\"x\":2},\"given\":\"given\",\"nothing\":null}");
}
END_TEST

START_TEST(test_moments)
{
    json_add_moment(tree, "exact", NOW);
    json_add_moment(tree, "rounded_up", NOW + 1);
    json_add_moment(tree, "never", 0);
    json_add_moment(tree, "until_lifted", UNTIL_LIFTED);
    json_add_moment(tree, "beyond_all_calendars", UNTIL_LIFTED / 2);
    check_tree("{\"exact\":\"2025-11-22T05:40:00Z\",\"rounded_up\":\"2025-11-22T05:40:01Z\","
               "\"never\":null,\"until_lifted\":null,\"beyond_all_calendars\":null}");
}
END_TEST

START_TEST(test_decisions)
{
    json_add_decision(tree, "first", 1);
    json_add_decision(tree, "none", 0);
    check_tree("{\"first\":\"0000-0000-0001\",\"none\":null}");
}
END_TEST

/* A name that is made while running stays whole when its maker forgets it. */
START_TEST(test_names_are_copied)
{
    char name[] = "name";
    json_add_int(tree, name, 1);
    name[0] = 'g';
    check_tree("{\"name\":1}");
}
END_TEST

START_TEST(test_reading)
{
    freed_by(json_put) struct json_object *read =
        json_read("{\"s\":\"text\",\"n\":7,\"t\":true,\"f\":false,\"z\":null,\"o\":{\"x\":1}}");
    ck_assert_str_eq(json_string(read, "s", "other"), "text");
    ck_assert_int_eq(json_int(read, "n", -1), 7);
    ck_assert(json_is_true(read, "t"));
    ck_assert_int_eq(json_int(json_member(read, "o"), "x", -1), 1);
    const char *const others[] = {"n", "t", "f", "z", "o", "absent"};
    for (size_t i = 0; i < countof(others); i++) {
        ck_assert_str_eq(json_string(read, others[i], "other"), "other");
        ck_assert(json_is_true(read, others[i]) == (i == 1));
        ck_assert_int_eq(json_int(read, others[i], -1), i == 0 ? 7 : -1);
    }
    ck_assert_ptr_null(json_member(read, "z"));
    ck_assert_ptr_null(json_member(NULL, "x"));
    ck_assert_ptr_null(json_member(json_member(read, "s"), "x"));
    ck_assert_ptr_null(json_string(NULL, "x", NULL));
}
END_TEST

START_TEST(test_whole_and_strict)
{
    static const char *const wrong[] = {
        "",        "{",          "{\"a\":1} x",    "{\"a\":1}{}", "{'a':1}",       "{a:1}",
        "[1,]",    "{\"a\":1,}", "// c\n{}",       "nul",         "\"\xC3(\"",     "[01]",
        "\"\n\"",  "TRUE",       "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    };
    static const char *const right[] = {"{}", "[]", "12", "-1.5", "\"x\"", "true", " {\"a\":[1]}\n"};
    for (size_t i = 0; i < countof(wrong); i++) {
        freed_by(json_put) struct json_object *read = json_read(wrong[i]);
        ck_assert_msg(read == NULL, "%s was read", wrong[i]);
    }
    for (size_t i = 0; i < countof(right); i++) {
        freed_by(json_put) struct json_object *read = json_read(right[i]);
        ck_assert_msg(read != NULL, "%s was not read", right[i]);
    }
}
END_TEST

/* The same in every version of json-c, of which 0.18 refuses all of these by itself. */
START_TEST(test_outside_ascii)
{
    static const struct {
        const char *text, *value;
        size_t end;
        enum json_tokener_error error;
    } cases[] = {
        {"{\"v\":\"\xC3\xBC\"} ", "\xC3\xBC", 11, json_tokener_success},
        {"{\"\xC3\xBC\":1,\"v\":\"\xEF\xBF\xBF\"}", "\xEF\xBF\xBF", 18, json_tokener_success},
        {"{\"v\":\"\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF\"}", "\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF", 17,
         json_tokener_success},
        {"{\"v\":\"\\\"\xC3\xBC\\u00e9\"}", "\"\xC3\xBC\xC3\xA9", 18, json_tokener_success},
        {"{\"\xC3\xBC\":1,\"v\":x}", NULL, 12, json_tokener_error_parse_unexpected},
        {"{\"\xC3\xBC\":1,\"v\":\xC3\xBC}", NULL, 12, json_tokener_error_parse_unexpected},
        {"{\"v\":\"\xC3\xBC\xFF\"}", NULL, 8, json_tokener_error_parse_utf8_string},
        {"{\"v\":\"\xED\xA0\x80\"}", NULL, 6, json_tokener_error_parse_utf8_string},
        {"{\"v\":\"\xC3\xBC", NULL, 8, json_tokener_continue},
        /* a backslash before a character outside ASCII escapes nothing */
        {"{\"v\":\"\\\xC3\xA9\"}", NULL, 7, json_tokener_error_parse_utf8_string},
        {"{\"v\":\"\\\\\\\xF0\x90\x80\x80\"}", NULL, 9, json_tokener_error_parse_utf8_string},
        {"{\"\\\xC3\xA9\":1}", NULL, 3, json_tokener_error_parse_utf8_string},
        {"{\"v\":\"\\\\\xC3\xA9\"}", "\\\xC3\xA9", 12, json_tokener_success},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        enum json_tokener_error error;
        size_t end;
        freed_by(json_put) struct json_object *read =
            json_strict_parse(cases[i].text, strlen(cases[i].text), 2, &error, &end);
        ck_assert_msg(error == cases[i].error && end == cases[i].end, "%s: %s, at %zu",
                      cases[i].text, json_tokener_error_desc(error), end);
        ck_assert_pstr_eq(read != NULL ? json_string(read, "v", "none") : NULL, cases[i].value);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tests = tcase_create("json");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_kinds);
    tcase_add_test(tests, test_children);
    tcase_add_test(tests, test_moments);
    tcase_add_test(tests, test_decisions);
    tcase_add_test(tests, test_names_are_copied);
    tcase_add_test(tests, test_reading);
    tcase_add_test(tests, test_whole_and_strict);
    tcase_add_test(tests, test_outside_ascii);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
