/* Where a FastCGI request ends, in bytes that came in any pieces. */
#include <check.h>
#include <fastcgi.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/framing.h"
#include "tests/unit/fcgi/records.h"

static struct text bytes;

#define BEGIN RECORDS_BEGIN

/* One request, as nginx sends it. */
static void add_request(int id, size_t body)
{
    freed_by(free_string) char *content = xcalloc(1, body + 1);
    records_add(&bytes, FCGI_BEGIN_REQUEST, id, BEGIN, 8, 0);
    records_add(&bytes, FCGI_PARAMS, id, "\1\1AB", 4, 4);
    records_add(&bytes, FCGI_PARAMS, id, "", 0, 0);
    records_add_body(&bytes, id, content, body);
}

/* In a block of that size exactly, so that a read behind it is seen. */
static int whole(size_t length, size_t *used)
{
    char *copy = xmalloc(length + (length == 0));
    if (length > 0)
        memcpy(copy, bytes.data, length);
    int result = framing_whole(copy, length, used);
    free(copy);
    return result;
}

START_TEST(test_every_piece_of_a_request)
{
    static const size_t bodies[] = {0, 1, 40, 31000};
    size_t used = 99, body = bodies[_i];
    text_clear(&bytes);
    add_request(_i == 0 ? 1 : 0x1234, body);
    for (size_t i = 0; i < bytes.length; i += i < 200 || i + 100 > bytes.length ? 1 : 777)
        ck_assert_int_eq(whole(i, &used), 0);
    ck_assert_uint_eq(used, 99);
    ck_assert_int_eq(whole(bytes.length, &used), 1);
    ck_assert_uint_eq(used, bytes.length);
    size_t first = bytes.length;
    add_request(1, 5);
    ck_assert_int_eq(whole(bytes.length, &used), 1);
    ck_assert_uint_eq(used, first);
    ck_assert_int_eq(whole(first + 1, &used), 1);
    ck_assert_uint_eq(used, first);
}
END_TEST

/* Bytes that look like the end of a request, but stand inside a record. */
START_TEST(test_an_end_that_is_content)
{
    static const char end[] = {FCGI_VERSION_1, FCGI_STDIN, 0, 1, 0, 0, 0, 0};
    size_t used;
    text_clear(&bytes);
    records_add(&bytes, FCGI_BEGIN_REQUEST, 1, BEGIN, 8, 0);
    records_add(&bytes, FCGI_PARAMS, 1, end, sizeof end, 0);
    records_add(&bytes, FCGI_PARAMS, 1, "", 0, 0);
    records_add(&bytes, FCGI_STDIN, 1, end, sizeof end, 0);
    ck_assert_int_eq(whole(bytes.length, &used), 0);
    records_add(&bytes, FCGI_STDIN, 1, "", 0, 3);
    ck_assert_int_eq(whole(bytes.length - 1, &used), 0);
    ck_assert_int_eq(whole(bytes.length, &used), 1);
}
END_TEST

struct piece {
    int type, id;
    const char *content;
    size_t length;
};

enum { NO_REQUESTS = 13 };

START_TEST(test_what_is_no_request)
{
    static const struct piece cases[NO_REQUESTS][4] = {
        {{FCGI_STDIN, 1, "x", 1}},
        {{FCGI_PARAMS, 1, "", 0}},
        {{FCGI_GET_VALUES, 0, "", 0}},
        {{FCGI_BEGIN_REQUEST, 0, BEGIN, 8}},
        {{FCGI_BEGIN_REQUEST, 1, BEGIN, 8}, {FCGI_BEGIN_REQUEST, 1, BEGIN, 8}},
        {{FCGI_BEGIN_REQUEST, 1, BEGIN, 8}, {FCGI_PARAMS, 2, "", 0}},
        {{FCGI_BEGIN_REQUEST, 1, BEGIN, 8}, {FCGI_PARAMS, 0, "", 0}},
        {{FCGI_BEGIN_REQUEST, 1, BEGIN, 8}, {FCGI_ABORT_REQUEST, 1, "", 0}},
        {{FCGI_BEGIN_REQUEST, 1, BEGIN, 8}, {FCGI_STDIN, 1, "", 0}},
        {{FCGI_BEGIN_REQUEST, 1, BEGIN, 8}, {FCGI_PARAMS, 1, "", 0}, {FCGI_PARAMS, 1, "", 0}},
        {{FCGI_BEGIN_REQUEST, 1, BEGIN, 8}, {FCGI_PARAMS, 1, "", 0}, {FCGI_STDIN, 2, "", 0}},
        {{FCGI_BEGIN_REQUEST, 1, BEGIN, 8}, {FCGI_PARAMS, 1, "", 0}, {FCGI_DATA, 1, "", 0}},
        {{FCGI_BEGIN_REQUEST, 1, BEGIN, 8}, {FCGI_PARAMS, 1, "", 0}, {FCGI_STDIN, 1, "x", 1},
         {FCGI_ABORT_REQUEST, 1, "", 0}},
    };
    size_t used;
    text_clear(&bytes);
    for (size_t i = 0; i < 4 && cases[_i][i].type != 0; i++)
        records_add(&bytes, cases[_i][i].type, cases[_i][i].id, cases[_i][i].content,
                    cases[_i][i].length, 0);
    ck_assert_int_eq(whole(bytes.length, &used), -1);
}
END_TEST

START_TEST(test_another_version)
{
    size_t used;
    text_clear(&bytes);
    add_request(1, 3);
    bytes.data[0] = 2;
    ck_assert_int_eq(whole(bytes.length, &used), -1);
}
END_TEST

static void teardown(void) { text_free(&bytes); }

int main(void)
{
    Suite *suite = suite_create("framing");
    TCase *cases = tcase_create("framing");
    tcase_add_checked_fixture(cases, NULL, teardown);
    tcase_add_loop_test(cases, test_every_piece_of_a_request, 0, 4);
    tcase_add_test(cases, test_an_end_that_is_content);
    tcase_add_loop_test(cases, test_what_is_no_request, 0, NO_REQUESTS);
    tcase_add_test(cases, test_another_version);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
