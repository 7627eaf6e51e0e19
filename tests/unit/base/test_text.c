/* The small things everything stands on: growing texts, complaints, the arena. */
#include <check.h>
#include <json-c/json.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/csv.h"
#include "base/json_strict.h"
#include "base/problem.h"
#include "base/text.h"

static struct text text;
static struct arena *arena;

static void setup(void)
{
    text = (struct text){0};
    arena = arena_new();
}

static void teardown(void)
{
    text_free(&text);
    arena_free(&arena);
}

/* ---- text -------------------------------------------------------------------- */

START_TEST(test_text_grows)
{
    ck_assert_str_eq(text_string(&text), "");
    text_add(&text, "");
    ck_assert_str_eq(text_string(&text), "");
    for (int i = 0; i < 5000; i++)
        text_add_char(&text, (char)('a' + i % 26));
    ck_assert_uint_eq(text.length, 5000);
    ck_assert_uint_eq(strlen(text_string(&text)), 5000);
    for (int i = 0; i < 5000; i++)
        ck_assert_int_eq(text.data[i], 'a' + i % 26);
    char *memory = text.data;
    text_clear(&text);
    ck_assert_uint_eq(text.length, 0);
    ck_assert_str_eq(text_string(&text), "");
    text_add(&text, "again");
    ck_assert_ptr_eq(text.data, memory);
    ck_assert_str_eq(text_string(&text), "again");
    text_free(&text);
    ck_assert_ptr_null(text.data);
    text_free(&text);
}
END_TEST

START_TEST(test_text_pieces)
{
    text_add_bytes(&text, "abcdef", 3);
    text_add_bytes(&text, NULL, 0);
    text_addf(&text, "-%d-%s", 7, "x");
    ck_assert_str_eq(text_string(&text), "abc-7-x");
    text_addf(&text, "%1000s", "y"); /* longer than what was there */
    ck_assert_uint_eq(text.length, 1007);
    ck_assert_str_eq(text_string(&text) + 1005, " y");
    text_addf(&text, "%s", "");
    ck_assert_uint_eq(text.length, 1007);
}
END_TEST

START_TEST(test_text_int)
{
    static const struct {
        int64_t number;
        const char *digits;
    } cases[] = {{0, "0"},
                 {7, "7"},
                 {-1, "-1"},
                 {1000000, "1000000"},
                 {INT64_MAX, "9223372036854775807"},
                 {INT64_MIN, "-9223372036854775808"}};
    for (size_t i = 0; i < countof(cases); i++) {
        text_clear(&text);
        text_add_int(&text, cases[i].number);
        ck_assert_str_eq(text_string(&text), cases[i].digits);
    }
}
END_TEST

START_TEST(test_text_json)
{
    static const struct {
        const char *string, *json;
    } cases[] = {
        {NULL, "null"},
        {"", "\"\""},
        {"plain text", "\"plain text\""},
        {"a\"b\\c/d", "\"a\\\"b\\\\c/d\""},
        {"\b\t\n\f\r\v\x01\x1F\x7F", "\"\\b\\t\\n\\f\\r\\u000b\\u0001\\u001f\\u007f\""},
        {"b\xC3\xBC" "cher \xE2\x82\xAC \xF0\x9F\x98\x80",
         "\"b\xC3\xBC" "cher \xE2\x82\xAC \xF0\x9F\x98\x80\""},
        {"\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF",
         "\"\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\""},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        text_clear(&text);
        text_add_json(&text, cases[i].string);
        ck_assert_str_eq(text_string(&text), cases[i].json);
    }
}
END_TEST

#define ODD "\xEF\xBF\xBD" /* U+FFFD */

START_TEST(test_text_json_of_bad_utf8)
{
    static const struct {
        const char *string, *json;
    } cases[] = {
        {"\x80", "\"" ODD "\""},                     /* a middle without a beginning */
        {"\xC3", "\"" ODD "\""},                     /* a beginning without an end */
        {"\xC3(", "\"" ODD "(\""},                   /* what follows stays */
        {"\xC0\xAF", "\"" ODD ODD "\""},             /* overlong '/' */
        {"\xE0\x80\xAF", "\"" ODD ODD ODD "\""},     /* overlong */
        {"\xED\xA0\x80", "\"" ODD ODD ODD "\""},     /* half of a surrogate pair */
        {"\xF4\x90\x80\x80", "\"" ODD ODD ODD ODD "\""}, /* beyond U+10FFFF */
        {"\xF8\x88\x80\x80\x80", "\"" ODD ODD ODD ODD ODD "\""},
        {"\xE2\x82", "\"" ODD ODD "\""},
        {"\xF0\x9F\x98", "\"" ODD ODD ODD "\""},
        {"\xE2\x82\"", "\"" ODD ODD "\\\"\""},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        size_t size = strlen(cases[i].string) + 1;
        char *exact = memcpy(malloc(size), cases[i].string, size);
        text_clear(&text);
        text_add_json(&text, exact);
        free(exact);
        ck_assert_str_eq(text_string(&text), cases[i].json);
    }
}
END_TEST

/* Whatever the bytes are, json-c in its strict mode takes the outcome and reads it back. */
START_TEST(test_text_json_is_json)
{
    uint64_t state = 88172645463325252u;
    for (int round = 0; round < 5000; round++) {
        char bytes[12] = "";
        for (size_t i = 0; i < sizeof bytes - 1; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes[i] = (char)(state >> 40);
        }
        text_clear(&text);
        text_add_json(&text, bytes);
        enum json_tokener_error error;
        size_t end;
        json_object *object =
            json_strict_parse(text_string(&text), text.length + 1, 1, &error, &end);
        ck_assert_msg(object != NULL, "%s", text_string(&text));
        ck_assert_int_eq(json_object_get_type(object), json_type_string);
        json_object_put(object);
    }
}
END_TEST

static const struct {
    int64_t time_ms;
    const char *rounded_up, *exact;
} times[] = {
    {0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"},
    {1, "1970-01-01T00:00:01Z", "1970-01-01T00:00:00.001Z"},
    {1000, "1970-01-01T00:00:01Z", "1970-01-01T00:00:01.000Z"},
    {1001, "1970-01-01T00:00:02Z", "1970-01-01T00:00:01.001Z"},
    {INT64_C(1795356300000), "2026-11-22T14:05:00Z", "2026-11-22T14:05:00.000Z"},
    {INT64_C(1795356299001), "2026-11-22T14:05:00Z", "2026-11-22T14:04:59.001Z"},
    {INT64_C(951782399999), "2000-02-29T00:00:00Z", "2000-02-28T23:59:59.999Z"},
    {INT64_C(253402300799000), "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"},
    {INT64_C(253402300799999), "", "9999-12-31T23:59:59.999Z"}, /* RFC 3339 ends here */
    {INT64_C(253402300800000), "", ""},
};

START_TEST(test_text_time)
{
    text_add_time(&text, times[_i].time_ms);
    ck_assert_str_eq(text_string(&text), times[_i].rounded_up);
    text_clear(&text);
    text_add_time_ms(&text, times[_i].time_ms);
    ck_assert_str_eq(text_string(&text), times[_i].exact);
}
END_TEST

/* ---- problems ------------------------------------------------------------------- */

START_TEST(test_problem)
{
    struct problem problem;
    ck_assert_int_eq(problem_set(&problem, 413, "to[3]", "%d are too many", 9), 0);
    ck_assert_int_eq(problem.status, 413);
    ck_assert_str_eq(problem.where, "to[3]");
    ck_assert_str_eq(problem.text, "9 are too many");
}
END_TEST

/* Behind `before` bytes a text of two-, three- and four-byte characters is cut between them. */
START_TEST(test_problem_is_cut_at_a_character)
{
    static const char *const characters[] = {"x", "\xC3\xBC", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    size_t size = strlen(characters[_i]);
    for (size_t before = 0; before < 4; before++) {
        struct problem problem;
        text_clear(&text);
        for (size_t i = 0; i < before; i++)
            text_add_char(&text, '.');
        for (int i = 0; i < 400; i++)
            text_add(&text, characters[_i]);
        problem_set(&problem, 0, text_string(&text), "%s", text_string(&text));
        size_t room = sizeof problem.text - 1;
        ck_assert_uint_eq(strlen(problem.text), before + (room - before) / size * size);
        room = sizeof problem.where - 1;
        ck_assert_uint_eq(strlen(problem.where), before + (room - before) / size * size);
        ck_assert_int_eq(memcmp(problem.text, text.data, strlen(problem.text)), 0);
    }
}
END_TEST

START_TEST(test_problem_keeps_whole_characters)
{
    struct problem problem;
    problem_set(&problem, 0, "\xC3\xBC", "%s", "\xF0\x9F\x98\x80");
    ck_assert_str_eq(problem.where, "\xC3\xBC");
    ck_assert_str_eq(problem.text, "\xF0\x9F\x98\x80");
    problem_set(&problem, 0, "", "%s", "");
    ck_assert_str_eq(problem.text, "");
}
END_TEST

/* ---- memory ----------------------------------------------------------------------- */

START_TEST(test_helpers)
{
    char *string = xasprintf("%d-%s", 5, "x"), *copy = xstrdup(string);
    ck_assert_str_eq(copy, "5-x");
    char *taken = take(copy);
    ck_assert_ptr_null(copy);
    ck_assert_str_eq(taken, string);
    free_string(&copy);
    free_string(&taken);
    free_string(&string);
    ck_assert_ptr_null(taken);
    int *zeroes = xcalloc(0, sizeof *zeroes);
    zeroes = xrealloc(zeroes, 0);
    free(zeroes);
    free(xmalloc(0));
}
END_TEST

static bool all_are(const unsigned char *bytes, size_t size, unsigned char expected)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != expected)
            return false;
    return true;
}

START_TEST(test_arena_pieces)
{
    enum { PIECES = 3000 };
    unsigned char *pieces[PIECES];
    size_t sizes[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        sizes[i] = i % 97 == 0 ? 40000 : i % 61;
        pieces[i] = arena_alloc(arena, sizes[i]);
        ck_assert_uint_eq((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        ck_assert(all_are(pieces[i], sizes[i], 0));
        memset(pieces[i], (int)(i & 0xFF), sizes[i]);
    }
    for (size_t i = 0; i < PIECES; i++) /* nobody wrote into another's piece */
        ck_assert(all_are(pieces[i], sizes[i], (unsigned char)(i & 0xFF)));
}
END_TEST

START_TEST(test_arena_reset)
{
    for (int round = 0; round < 50; round++) {
        unsigned char *small = arena_alloc(arena, 100), *large = arena_alloc(arena, 100000);
        ck_assert(small[0] == 0 && small[99] == 0 && large[0] == 0 && large[99999] == 0);
        memset(small, 0xAA, 100);
        memset(large, 0xAA, 100000);
        arena_reset(arena);
    }
    arena_reset(arena);
    arena_free(&arena);
    ck_assert_ptr_null(arena);
    arena_free(&arena);
    arena = arena_new();
}
END_TEST

START_TEST(test_arena_strings)
{
    ck_assert_str_eq(arena_strdup(arena, "whole"), "whole");
    ck_assert_str_eq(arena_strdup(arena, ""), "");
    ck_assert_str_eq(arena_strndup(arena, "whole", 2), "wh");
    ck_assert_str_eq(arena_strndup(arena, NULL, 0), "");
    ck_assert_str_eq(arena_printf(arena, "%s-%d", "x", 3), "x-3");
    ck_assert_str_eq(arena_printf(arena, "%s", ""), "");
    char *long_one = arena_printf(arena, "%50000d", 1);
    ck_assert_uint_eq(strlen(long_one), 50000);
}
END_TEST

static const struct {
    const char *value, *cell;
} cells[] = {
    {"", "\"\""},
    {"plain, with a comma", "\"plain, with a comma\""},
    {"a \"quoted\" word", "\"a \"\"quoted\"\" word\""},
    {"=1+1", "\"'=1+1\""},
    {"@example.test", "\"'@example.test\""},
    {"\ttab", "\"'\ttab\""},
    {"1+1=2", "\"1+1=2\""},
    {"wait; then lift", "\"wait; then lift\""},
    {"x;=1+1;y", "\"x;'=1+1;y\""},
    {"x; \"=1+1\"", "\"x;' \"\"=1+1\"\"\""},
    {"x;;-1;", "\"x;;'-1;\""},
    {"'=1", "\"''=1\""},
    {"'plain'", "\"'plain'\""},
    {"x;' =1;'y", "\"x;'' =1;'y\""},

};

START_TEST(test_text_csv)
{
    text_add_csv(&text, cells[_i].value);
    ck_assert_str_eq(text_string(&text), cells[_i].cell);
}
END_TEST

/* A cell that was written is read as what it was. */
START_TEST(test_csv_comes_back)
{
    struct problem problem = {0};
    char *read[2];
    size_t count;
    text_add_csv(&text, cells[_i].value);
    text_add(&text, ",x\"y");
    ck_assert_int_eq(csv_line_read(arena, text_string(&text), text.length - 2, read, 2, &count,
                                   &problem), 1);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(read[0], cells[_i].value);
    ck_assert_str_eq(read[1], "x");
}
END_TEST

static const struct {
    const char *line, *where; /* NULL: it is good */
} csv_lines[] = {
    {"a,b", NULL},
    {"", NULL},
    {",", NULL},
    {"\"a,\"\"b\"\"\",\"\"", NULL},
    {"a,\"b", "cell 2"},
    {"\"a\"\"", "cell 1"},
    {"\"a\" ,b", "cell 1"},
    {"a, \"b\"", "cell 2"},
    {"a\"b", "cell 1"},
    {"a,b,c", "cell 3"},
};

START_TEST(test_csv_line)
{
    struct problem problem = {0};
    char *read[2];
    size_t count;
    int good = csv_line_read(arena, csv_lines[_i].line, strlen(csv_lines[_i].line), read, 2, &count,
                             &problem);
    ck_assert_int_eq(good, csv_lines[_i].where == NULL);
    ck_assert_str_eq(problem.where, csv_lines[_i].where != NULL ? csv_lines[_i].where : "");
    ck_assert_int_eq(csv_line_read(arena, "a,b\0c", 5, read, 2, &count, &problem), 0);
    ck_assert_str_eq(problem.where, "cell 2");
}
END_TEST

static TCase *text_cases(void)
{
    TCase *cases = tcase_create("text");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_text_grows);
    tcase_add_test(cases, test_text_pieces);
    tcase_add_test(cases, test_text_int);
    tcase_add_test(cases, test_text_json);
    tcase_add_test(cases, test_text_json_of_bad_utf8);
    tcase_add_test(cases, test_text_json_is_json);
    tcase_add_loop_test(cases, test_text_csv, 0, (int)countof(cells));
    tcase_add_loop_test(cases, test_csv_comes_back, 0, (int)countof(cells));
    tcase_add_loop_test(cases, test_csv_line, 0, (int)countof(csv_lines));
    tcase_add_loop_test(cases, test_text_time, 0, (int)countof(times));
    return cases;
}

static TCase *base_cases(void)
{
    TCase *cases = tcase_create("base");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_problem);
    tcase_add_loop_test(cases, test_problem_is_cut_at_a_character, 0, 4);
    tcase_add_test(cases, test_problem_keeps_whole_characters);
    tcase_add_test(cases, test_helpers);
    tcase_add_test(cases, test_arena_pieces);
    tcase_add_test(cases, test_arena_reset);
    tcase_add_test(cases, test_arena_strings);
    return cases;
}

int main(void)
{
    Suite *suite = suite_create("text");
    suite_add_tcase(suite, text_cases());
    suite_add_tcase(suite, base_cases());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
