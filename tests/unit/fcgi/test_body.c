/* Kinds of bodies, JSON, and the limits of values. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/unit/fcgi/body_reader.h"
#include "http/json_body.h"

static const struct good_body good[] = {
    {"everything", JSON,
     "{\"id\":\"<1@x>\",\"mailbox\":\"Alice@x.test\",\"ip\":\"203.0.113.7\",\"from\":\"A "
     "<a@x.test>\","
     "\"lang\":\"de\",\"to\":[\"Bob <bob@x.test>\",\"c@x.test\"],\"cc\":[\"d@x.test\"],\"bcc\":[]}",
     "to=bob@x.test to=c@x.test cc=d@x.test id=<1@x> from=a@x.test lang=de mailbox=Alice@x.test "
     "ip=203.0.113.7 "},
    {"string as typed", JSON, "{\"to\":\"a@x.test; T: b@x.test, c@x.test;\"}",
     "to=a@x.test to=b@x.test to=c@x.test "},
    {"empty object", JSON, " {} \r\n\t", ""},
    {"null is absent", JSON,
     "{\"id\":null,\"mailbox\":null,\"ip\":null,\"from\":null,\"lang\":null,\"to\":null}", ""},
    {"other members", JSON, "{\"x\":{\"to\":[1,[2]]},\"y\":-1.5e3,\"to\":\"a@x.test\",\"z\":true}",
     "to=a@x.test "},
    {"form names are others", JSON, "{\"_to\":1,\"_draft\":\"1\"}", ""},
    {"escapes", JSON, "{\"to\":\"\\\"B\\u00fc\\\" <a\\u0040x.test>\",\"\\u0063c\":\"b@x.test\"}",
     "to=a@x.test cc=b@x.test "},
    {"UTF-8", JSON, "{\"\xC3\xBC\":\"\xE2\x82\xAC\xF0\x9F\x98\x80\",\"to\":\"\xC3\xBC@x.test\"}",
     "to=\xC3\xBC@x.test "},
    {"UTF-8 behind backslashes", JSON,
     "{\"\\\\\xC3\xBC:\":\"\\\"\xC3\xBC\",\"to\":\"a@x.test\"}", "to=a@x.test "},
    {"colons in strings", JSON, "{\"a:\":\"b:\\\":\",\"to\":\"a@x.test\",\"o\":{\"p\":1,\"q\":2}}",
     "to=a@x.test "},
    {"eight levels", JSON, "{\"a\":[[[[[[[1]]]]]]]}", ""},
    {"empty entries", JSON, "{\"to\":[\"\",\"a@x.test\"],\"from\":\"\"}", "to=a@x.test "},
    {"charset", JSON "; charset=UTF-8", "{\"to\":\"a@x.test\"}", "to=a@x.test "},
};

START_TEST(test_good) { check_good(&good[_i]); }
END_TEST

static const struct bad_body bad[] = {
    {"empty", JSON, "", "body", "empty"},
    {"cut off", JSON, "{\"to\":\"a@x.test\"", "body", "cut off"},
    {"cut off in a string", JSON, "{\"to\":\"a@", "body", "cut off"},
    {"array", JSON, "[]", "body", "no object"},
    {"string", JSON, "\"to\"", "body", "no object"},
    {"text behind", JSON, "{} x", "body", "behind its end"},
    {"two objects", JSON, "{}{}", "body", "behind its end"},
    {"byte order mark", JSON, "\xEF\xBB\xBF{}", "body", "no object"},
    {"comment", JSON, "{/**/\"to\":\"\"}", "body", "does not have there"},
    {"NaN", JSON, "{\"x\":NaN}", "body", "does not have there"},
    {"single quotes", JSON, "{'to':\"a@x.test\"}", "body", "does not have there"},
    {"trailing comma", JSON, "{\"to\":\"\",}", "body", "malformed"},
    {"no colon", JSON, "{\"to\"}", "body", "malformed"},
    {"wrong bracket", JSON, "{\"to\":[}]", "body", "malformed"},
    {"leading zero", JSON, "{\"x\":01}", "body", "a number"},
    {"leading zero behind a minus", JSON, "{\"x\":-012}", "body", "a number"},
    {"minus alone", JSON, "{\"x\":[-]}", "body", "a number"},
    {"point last", JSON, "{\"x\":1.}", "body", "a number"},
    {"point without digits", JSON, "{\"x\":2.e3}", "body", "a number"},
    {"point first", JSON, "{\"x\":.5}", "body", "a number"},
    {"plus", JSON, "{\"x\":+1}", "body", "a number"},
    {"exponent without digits", JSON, "{\"x\":1e+}", "body", "a number"},
    {"exponent with a point", JSON, "{\"x\":1e2.5}", "body", "a number"},
    {"two points", JSON, "{\"x\":1.2.3}", "body", "a number"},
    {"number with a letter", JSON, "{\"x\":1u}", "body", "a number"},
    {"literal cut", JSON, "{\"x\":tru}", "body", "a word"},
    {"literal too long", JSON, "{\"x\":truee}", "body", "a word"},
    {"literal in capitals", JSON, "{\"x\":E}", "body", "a word"},
    {"too deep", JSON, "{\"a\":[[[[[[[[1]]]]]]]]}", "body", "too deeply"},
    {"overlong UTF-8", JSON, "{\"x\":\"\xC0\xAF\"}", "body", "UTF-8"},
    {"surrogate", JSON, "{\"x\":\"\xED\xA0\x80\"}", "body", "UTF-8"},
    {"cut UTF-8", JSON, "{\"x\":\"\xE2\x82\"}", "body", "UTF-8"},
    {"escaped UTF-8", JSON, "{\"to\":\"\\\xC3\xA9\"}", "body", "an escape"},
    {"name with escaped UTF-8", JSON, "{\"\\\xC3\xA9\":1,\"to\":\"a@x.test\"}", "body", "an escape"},
    {"escaped letter", JSON, "{\"to\":\"\\x\"}", "body", "malformed"},
    {"cut \\u", JSON, "{\"to\":\"\\u00\xC3\xA9\"}", "body", "malformed"},
    {"control character", JSON, "{\"x\":\"a\nb\"}", "body", "control"},
    {"escaped NUL", JSON, "{\"to\":\"a@x.test\\u0000\"}", "to", "NUL"},
    {"escaped line feed", JSON, "{\"id\":\"a\\nb\"}", "id", "line break"},
    {"mailbox with NUL", JSON, "{\"mailbox\":\"a@x.test\\u0000\"}", "mailbox", "control"},
    {"twice", JSON, "{\"to\":[\"a@x.test\"],\"to\":[]}", "body", "twice"},
    {"twice by escape", JSON, "{\"to\":[\"a@x.test\"],\"\\u0074o\":[]}", "body", "twice"},
    {"twice by NUL", JSON, "{\"to\":[\"a@x.test\"],\"to\\u0000\":[]}", "body", "U+0000"},
    {"name with NUL", JSON, "{\"to\\u0000x\":[\"a@x.test\"]}", "body", "U+0000"},
    {"number", JSON, "{\"to\":1}", "to", "array of strings or one string"},
    {"object", JSON, "{\"cc\":{}}", "cc", "array of strings or one string"},
    {"number in array", JSON, "{\"bcc\":[\"a@x.test\",7]}", "bcc[1]", "a string"},
    {"null in array", JSON, "{\"to\":[null]}", "to[0]", "a string"},
    {"two in an entry", JSON, "{\"to\":[\"\",\"a@x.test, b@x.test\"]}", "to[1]", "more than one"},
    {"bad entry", JSON, "{\"to\":[\"a@x.test\",\"\",\"bob\"]}", "to[2]", "\"bob\" is no address"},
    {"id of wrong type", JSON, "{\"id\":1}", "id", "a string"},
    {"ip of wrong type", JSON, "{\"ip\":[]}", "ip", "a string"},
    {"mailbox of wrong type", JSON, "{\"mailbox\":true}", "mailbox", "a string"},
    {"bad lang", JSON, "{\"lang\":\"d e\"}", "lang", "language tag"},
    {"bad from", JSON, "{\"from\":\"17\"}", "from", "no address"},
};

START_TEST(test_bad) { check_bad(&bad[_i]); }
END_TEST

static const struct {
    const char *type;
    int status; /* 0: taken */
} types[] = {
    {"application/json", 0},
    {"Application/JSON ; Charset=\"utf-8\"", 0},
    {"application/json;", 0},
    {"application/json; x=y", 0},
    {"application/json; charset=iso-8859-1", 415},
    {"application/json; charset", 400},
    {"application/json, text/plain", 415},
    {"application/jsonp", 415},
    {"application/x-www-form-urlencoded; charset=UTF-8", 0},
    {"text/plain", 415},
    {"", 415},
    {NULL, 415},
    {"multipart/form-data", 400},
    {"multipart/mixed; boundary=B", 415},
    {"multipart/form-data; boundary=B", 0},
    {"multipart/form-data; BOUNDARY=\"B\"; charset=utf-8", 0},
    {"multipart/form-data; boundary=", 400},
    {"multipart/form-data; boundary=\"\"", 400},
    {"multipart/form-data; boundary=\"B", 400},
    {"multipart/form-data; boundary=\"B \"", 400},
    {"multipart/form-data; boundary=\"B\\\"\"", 400},
    {"multipart/form-data; boundary=B,C", 400},
    {"multipart/form-data; boundary = B", 400},
    {"multipart/form-data; boundary=B; boundary=C", 400},
    {"multipart/form-data; xboundary=C; boundary=B", 400},
    {"multipart/form-data; boundary=B\xC3\xBC", 400},
    {"multipart/form-data; "
     "boundary=1234567890123456789012345678901234567890123456789012345678901234567890",
     0},
    {"multipart/form-data; "
     "boundary=12345678901234567890123456789012345678901234567890123456789012345678901",
     400},
};

START_TEST(test_types)
{
    struct body *body = NULL;
    submission_init(&reading.submission, reading.arena, CHANNEL_WEBMAIL);
    int result = body_new(&reading.submission, types[_i].type, false, &body, &reading.problem);
    ck_assert_msg(result == (types[_i].status == 0), "%s: %s", types[_i].type,
                  reading.problem.text);
    ck_assert_ptr_eq(result ? NULL : body, NULL);
    if (!result) {
        ck_assert_msg(reading.problem.status == types[_i].status, "%s: %d", types[_i].type,
                      reading.problem.status);
        ck_assert_str_eq(reading.problem.where, "Content-Type");
    }
    body_free(&body);
}
END_TEST

static void repeat(struct text *text, const char *what, size_t times)
{
    for (size_t i = 0; i < times; i++)
        text_add(text, what);
}

START_TEST(test_limits_of_values)
{
    static const struct {
        const char *name;
        size_t fits;
    } limits[] = {{"id", SUBMISSION_MAX_ID_BYTES}, {"mailbox", ADDRESS_MAX_BYTES}, {"ip", 64}};
    struct text form = {0};
    for (size_t i = 0; i < countof(limits); i++) {
        text_clear(&form);
        text_addf(&form, "%s=", limits[i].name);
        repeat(&form, "1", limits[i].fits);
        ck_assert_int_eq(read_in(URLENCODED, false, text_string(&form), form.length, 100), 1);
        text_add(&form, "1");
        ck_assert_int_eq(read_in(URLENCODED, false, text_string(&form), form.length, 100), 0);
        ck_assert_int_eq(reading.problem.status, 413);
        ck_assert_str_eq(reading.problem.where, limits[i].name);
    }
    text_clear(&form);
    text_add(&form, "{\"mailbox\":\"");
    repeat(&form, "1", ADDRESS_MAX_BYTES + 1);
    text_add(&form, "\"}");
    ck_assert_int_eq(read_body(JSON, text_string(&form)), 0);
    ck_assert_int_eq(reading.problem.status, 413);
    text_free(&form);
}
END_TEST

/* At the gate a text with pictures in it passes by. */
START_TEST(test_json_that_a_webmail_reads_too)
{
    struct text json = {0};
    text_add(&json, "{\"subject\":\"to\",\"text\" : \"");
    repeat(&json, "<img \\\" \\u00e9>", BODY_MAX_JSON_BYTES / 8);
    text_add(&json, "\",\"list\":[{\"to\":[\"eve@x.test\"]},\"cc\"],\"to\":[\"zoe@x.test\"],\"from\":1,"
                    "\"\\u0063c\":[\"ann@x.test\"]}");
    for (size_t piece = 1; piece < 100000; piece = piece * 7 + 3) {
        ck_assert_msg(read_in(JSON, true, text_string(&json), json.length, piece) == 1, "%s",
                      reading.problem.text);
        ck_assert_str_eq(describe(), "to=zoe@x.test cc=ann@x.test ");
    }
    ck_assert_int_eq(read_in(JSON, false, text_string(&json), json.length, 65536), 0);
    ck_assert_int_eq(reading.problem.status, 413);

    text_clear(&json);
    text_add(&json, "{\"to\":[\"");
    repeat(&json, "a", BODY_MAX_JSON_BYTES);
    text_add(&json, "\"]}");
    ck_assert_int_eq(read_in(JSON, true, text_string(&json), json.length, 65536), 0);
    ck_assert_int_eq(reading.problem.status, 413);
    text_free(&json);

    const char *const malformed[] = {"{\"x\":\"a\" \"to\":[\"zoe@x.test\"]}", "{\"to\" \"x\":1}", "{\"x\":\"\x01\"}",
                                     "{\"x\":1,\"x\":2}", "{\"to\":[\"a@x.test\"],\"to\":[]}", "{\"x\":\"\xff\"}", "{\"x\":[}"};
    for (size_t i = 0; i < countof(malformed); i++) {
        ck_assert_msg(!read_in(JSON, true, malformed[i], strlen(malformed[i]), 1), "%s", malformed[i]);
        ck_assert_int_eq(reading.problem.status, 400);
    }
}
END_TEST

START_TEST(test_limits_of_json)
{
    struct text json = {0};
    text_add(&json, "{\"x\":\"");
    repeat(&json, "x", BODY_MAX_JSON_BYTES - 8);
    text_add(&json, "\"}");
    ck_assert_int_eq(read_in(JSON, false, text_string(&json), json.length, 65536), 1);
    text_add(&json, " ");
    ck_assert_int_eq(read_in(JSON, false, text_string(&json), json.length, 65536), 0);
    ck_assert_int_eq(reading.problem.status, 413);
    text_clear(&json);
    text_add(&json, "{\"x\":[");
    repeat(&json, "1,", JSON_BODY_MAX_VALUES - 2);
    size_t fits = json.length;
    text_add(&json, "1]}");
    ck_assert_int_eq(read_in(JSON, false, text_string(&json), json.length, 65536), 1);
    json.length = fits;
    text_add(&json, "1,1]}");
    ck_assert_int_eq(read_in(JSON, false, text_string(&json), json.length, 65536), 0);
    ck_assert_int_eq(reading.problem.status, 413);
    text_free(&json);
}
END_TEST

/* {"x":[{"n":0},{"n":0}, …]}: as many objects as there may be names, but one. */
START_TEST(test_limit_of_names)
{
    struct text json = {0};
    text_add(&json, "{\"x\":[");
    repeat(&json, "{\"n\":0},", JSON_BODY_MAX_NAMES - 2);
    size_t fits = json.length;
    text_add(&json, "{\"n\":0}]}");
    ck_assert_int_eq(read_in(JSON, false, text_string(&json), json.length, 65536), 1);
    json.length = fits;
    text_add(&json, "{\"n\":0},{\"n\":0}]}");
    ck_assert_int_eq(read_in(JSON, false, text_string(&json), json.length, 65536), 0);
    ck_assert_int_eq(reading.problem.status, 413);
    text_free(&json);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("body");
    TCase *cases = tcase_create("body");
    tcase_add_checked_fixture(cases, reading_setup, reading_teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, test_good, 0, (int)countof(good));
    tcase_add_loop_test(cases, test_bad, 0, (int)countof(bad));
    tcase_add_loop_test(cases, test_types, 0, (int)countof(types));
    tcase_add_test(cases, test_limits_of_values);
    tcase_add_test(cases, test_limits_of_json);
    tcase_add_test(cases, test_json_that_a_webmail_reads_too);
    tcase_add_test(cases, test_limit_of_names);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
