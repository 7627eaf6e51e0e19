/* The JSON writer: commas, brackets and nulls; text and tree say the same. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_write.h"

#define NOW INT64_C(1763790000000) /* 2025-11-22T05:40:00Z */

static void write_all(struct json_writer *writer)
{
    json_write_string(writer, "string", "\"<é>");
    json_write_string(writer, "none", NULL);
    json_write_list(writer, "empty");
    json_write_end(writer);
    json_write_list(writer, "list");
    json_write_int(writer, NULL, -1);
    json_write_object(writer, NULL);
    json_write_end(writer);
    json_write_object(writer, NULL);
    json_write_bool(writer, "yes", true);
    json_write_bool(writer, "no", false);
    json_write_end(writer);
    json_write_list(writer, NULL);
    json_write_null(writer, NULL);
    json_write_string(writer, NULL, "x");
    json_write_end(writer);
    json_write_end(writer);
    json_write_moment(writer, "rounded_up", NOW + 1);
    json_write_moment(writer, "never", 0);
    json_write_moment(writer, "until_lifted", UNTIL_LIFTED);
    json_write_decision(writer, "undecided", 0);
    json_write_raw(writer, "raw", "{\"a\":[1]}");
    json_write_int(writer, "last", INT64_MAX);
    json_write_end(writer);
}

static const char expected[] =
    "{\"string\":\"\\\"<é>\",\"none\":null,\"empty\":[],\"list\":[-1,{},{\"yes\":true,\"no\":false},"
    "[null,\"x\"]],\"rounded_up\":\"2025-11-22T05:40:01Z\",\"never\":null,\"until_lifted\":null,"
    "\"undecided\":null,\"raw\":{\"a\":[1]},\"last\":9223372036854775807}";

START_TEST(test_text)
{
    freed_by(text_free) struct text text = {0};
    text_add(&text, "before ");
    struct json_writer writer = json_write_text(&text);
    write_all(&writer);
    ck_assert_mem_eq(text_string(&text), "before ", 7);
    ck_assert_str_eq(text_string(&text) + 7, expected);
}
END_TEST

START_TEST(test_tree)
{
    struct json_writer writer = json_write_tree();
    write_all(&writer);
    freed_by(json_put) struct json_object *tree = writer.tree[0];
    ck_assert_str_eq(json_object_to_json_string_ext(tree, JSON_C_TO_STRING_PLAIN), expected);
}
END_TEST

START_TEST(test_bytes_that_are_no_utf8)
{
    freed_by(text_free) struct text text = {0};
    struct json_writer writer = json_write_text(&text);
    json_write_string(&writer, "a", "x\xFFy");
    json_write_end(&writer);
    ck_assert_str_eq(text_string(&text), "{\"a\":\"x\xEF\xBF\xBDy\"}");
}
END_TEST

START_TEST(test_deeper_than_it_goes)
{
    struct json_writer writer = json_write_tree();
    for (int depth = 1; depth <= JSON_WRITE_DEPTH; depth++)
        json_write_list(&writer, depth == 1 ? "a" : NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_write");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, test_text);
    tcase_add_test(cases, test_tree);
    tcase_add_test(cases, test_bytes_that_are_no_utf8);
    tcase_add_test_raise_signal(cases, test_deeper_than_it_goes, SIGABRT);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
