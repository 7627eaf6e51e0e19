/* Forms of both kinds, in pieces of every size and in constant memory. */
#include <check.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/unit/fcgi/body_reader.h"
#include "fcgi/multipart.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_ALLOCATOR 1
#endif
#endif

#ifdef OWN_ALLOCATOR
size_t __sanitizer_get_current_allocated_bytes(void); /* its header is clang's alone */
static size_t heap_in_use(void) { return __sanitizer_get_current_allocated_bytes(); }
#else
static size_t heap_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

#endif

#define MEGABYTE ((size_t)1024 * 1024)

static const struct good_body good[] = {
    /* urlencoded */
    {"compose form", URLENCODED,
     "_token=abc&_task=mail&_action=send&_from=1&_to=Bob+%3Cbob%40x.test%3E%2C&_cc=c%40x.test%2C&_"
     "bcc="
     "&_subject=a%26b&_draft=&_message=to=x%0D%0Acc=y",
     "to=bob@x.test cc=c@x.test "},
    {"plain names", URLENCODED,
     "id=1&mailbox=a%2Bb@x.test&ip=::1&from=a@x.test&lang=de&to=b@x.test&cc=c@x.test&bcc=d@x.test",
     "to=b@x.test cc=c@x.test bcc=d@x.test id=1 from=a@x.test lang=de mailbox=a+b@x.test ip=::1 "},
    {"repeats add up", URLENCODED, "_to=a@x.test&to=b@x.test&_to=&_to=c@x.test",
     "to=a@x.test to=b@x.test to=c@x.test "},
    {"draft", URLENCODED, "_draft=1&_to=&_action=send", "draft "},
    {"bouncing is no draft", URLENCODED, "_draft=1&_action=bounce", ""},
    {"draft of no action", URLENCODED, "_draft=1&_action=", ""},
    {"charset", URLENCODED, "_charset=utf-8&_to=a@x.test", "to=a@x.test "},
    {"identity", URLENCODED, "_from=17&_to=a@x.test", "to=a@x.test "},
    {"no draft", URLENCODED, "_draft=0&_action=send", ""},
    {"saving alone is for the URL", URLENCODED, "_saveonly=1&_action=send", ""},
    {"name in escapes", URLENCODED, "%5Ft%6f=a%40x.test", "to=a@x.test "},
    {"all hexadecimal digits", URLENCODED, "id=%30%39%4a%4A%6F%6f", "id=09JJoo "},
    {"= in a value", URLENCODED, "id=a=b&x", "id=a=b "},
    {"bad escapes of others", URLENCODED, "x=%zz&%z=1&t%6=1&%=&y=%&to=a@x.test&z=%4",
     "to=a@x.test "},
    {"nothing", URLENCODED, "", ""},
    {"no fields", URLENCODED, "&&&", ""},
    {"brackets are other names", URLENCODED, "_to[]=1&_to[=2&+_to=3&.to=4", ""},
    /* multipart */
    {"one part", MULTIPART,
     "--B\r\nContent-Disposition: form-data; name=\"_to\"\r\n\r\na@x.test\r\n--B--\r\n",
     "to=a@x.test "},
    {"line feeds alone", MULTIPART,
     "--B\nContent-Disposition: form-data; name=\"_to\"\n\na@x.test\n--B--", "to=a@x.test "},
    {"quoted boundary", "multipart/form-data; boundary=\"a b'()+_,-./:=?\"",
     "--a b'()+_,-./:=?\r\nContent-Disposition: form-data; name=to\r\n\r\na@x.test\r\n"
     "--a b'()+_,-./:=?--\r\n",
     "to=a@x.test "},
    {"files", MULTIPART,
     "--B\r\nContent-Disposition: form-data; name=\"_to\"; filename=\"x\"\r\n\r\nnobody\r\n"
     "--B\r\nContent-Disposition: form-data; name=\"_attachments[]\"; filename=\"\"\r\n"
     "Content-Type: application/octet-stream\r\n\r\n\r\n\r\r\n-\r\n--\r\n--A\n\n--\r\r\n"
     "--B\r\nContent-disposition:form-data;NAME=to;x=y\r\n\r\na@x.test\r\n--B--\r\n",
     "to=a@x.test "},
    {"filename* is no file to PHP", MULTIPART,
     "--B\r\nContent-Disposition: form-data; name=\"_to\"; filename*=UTF-8''x\r\n\r\n"
     "a@x.test\r\n--B--\r\n",
     "to=a@x.test "},
    {"encodings", MULTIPART,
     "--B\r\nContent-Disposition: form-data; name=\"to\"\r\nContent-Transfer-Encoding: 8BIT \r\n"
     "Content-Type: text/plain; charset=utf-8\r\n\r\na@x.test\r\n"
     "--B\r\nContent-Disposition: form-data; name=\"x\"\r\nContent-Transfer-Encoding: base64\r\n"
     "\r\nxyz\r\n--B--\r\n",
     "to=a@x.test "},
    {"empty value", MULTIPART,
     "--B\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\n\r\n--B--\r\n", ""},
    {"hyphens in a value", MULTIPART,
     "--B\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n--A--\r\n--B--\r\n", "id=--A-- "},
    {"no parts", MULTIPART, "--B--", ""},
    {"charset beside", "multipart/form-data; charset=utf-8; boundary=B",
     PART("_draft") "\r\n1\r\n" PART("_action") "\r\nsend\r\n--B--\r\n", "draft "},
};

START_TEST(test_good) { check_good(&good[_i]); }
END_TEST

static const struct bad_body bad[] = {
    {"bad escape", URLENCODED, "to=a%4@x.test", "to", "two hexadecimal digits"},
    {"bad escape at the end", URLENCODED, "x=1&_cc=a@x.test%", "cc", "two hexadecimal digits"},
    {"bad escape before &", URLENCODED, "id=%4&x=1", "id", "two hexadecimal digits"},
    {"NUL", URLENCODED, "_to=a@x.test%00", "to", "NUL"},
    {"invalid UTF-8", URLENCODED, "_to=%FC@x.test", "to", "UTF-8"},
    {"name alone", URLENCODED, "x&id", "id", "empty"},
    {"name alone in escapes", URLENCODED, "%69d&x=1", "id", "empty"},
    {"two ids", URLENCODED, "id=1&id=2", "id", "twice"},
    {"two froms", URLENCODED, "from=a@x.test&_from=1", "from", "twice"},
    {"other charset", URLENCODED, "_to=e%2BAEA-x.test%2BACw-me@x.test&_charset=UTF-7", "_charset",
     "UTF-8"},
    {"identity as from", URLENCODED, "from=17", "from", "no address"},
    {"recipient without @", URLENCODED, "_to=bob", "to[0]", "no @"},
    {"two drafts", URLENCODED, "_draft=&_draft=1", "_draft", "twice"},
    {"no address", URLENCODED, "_to=a@x.test,+bob", "to[1]", "\"bob\" is no address"},

    {"nothing", MULTIPART, "", "body", "before its last boundary"},
    {"no end", MULTIPART, PART("to") "\r\na@x.test\r\n--B\r\n", "body", "before its last"},
    {"end cut", MULTIPART, PART("to") "\r\na@x.test\r\n--B-", "body", "before its last"},
    {"text before", MULTIPART, "x\r\n--B--", "body", "not begin with its boundary"},
    {"text behind", MULTIPART, "--B--\r\n" PART("to") "\r\na@x.test\r\n--B--", "body",
     "behind the last"},
    {"longer boundary", MULTIPART, PART("id") "\r\n1\r\n--BB\r\n--B--", "body", "something else"},
    {"space behind boundary", MULTIPART, PART("id") "\r\n1\r\n--B \r\n--B--", "body",
     "something else"},
    {"boundary as content", MULTIPART, PART("id") "\r\n--B--\r\n", "body", "right behind"},
    {"no name", MULTIPART, "--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--", "body", "no name"},
    {"no headers", MULTIPART, "--B\r\n\r\nx\r\n--B--", "body", "no name"},
    {"two names", MULTIPART,
     "--B\r\nContent-Disposition: form-data; name=x; name=\"to\"\r\n\r\n\r\n--B--", "body",
     "two names"},
    {"two dispositions", MULTIPART,
     PART("x") "Content-Disposition: form-data; name=\"to\"\r\n\r\n\r\n--B--", "body",
     "two Content-Disposition"},
    {"two filenames", MULTIPART,
     "--B\r\nContent-Disposition: form-data; name=x; filename=a; filename=b\r\n\r\n\r\n--B--",
     "body", "two filenames"},
    {"attachment", MULTIPART,
     "--B\r\nContent-Disposition: attachment; name=\"to\"\r\n\r\n\r\n--B--", "body",
     "not form-data"},
    {"name*", MULTIPART,
     "--B\r\nContent-Disposition: form-data; name=x; name*=UTF-8''to\r\n\r\n\r\n--B--", "body",
     "name*"},
    {"single quotes", MULTIPART,
     "--B\r\nContent-Disposition: form-data; x=a'; name=y'\r\n\r\n\r\n--B--", "body",
     "no readable value"},
    {"name in single quotes", MULTIPART,
     "--B\r\nContent-Disposition: form-data; name='to'\r\n\r\n\r\n--B--", "body",
     "no readable value"},
    {"single quote in a key", MULTIPART,
     "--B\r\nContent-Disposition: form-data; x'=1; name=\"to\"; y'=1\r\n\r\n\r\n--B--", "body",
     "malformed"},
    {"backslash in a name", MULTIPART, PART("\\_to") "\r\n\r\n--B--", "body", "backslash"},
    {"escaped quote", MULTIPART,
     "--B\r\nContent-Disposition: form-data; x=\"\\\"; name=\"to\"\r\n\r\n\r\n--B--", "body",
     "escapes a quotation mark"},
    {"quote not closed", MULTIPART,
     "--B\r\nContent-Disposition: form-data; name=\"to\r\n\r\n\r\n--B--", "body", "quotation mark"},
    {"folded", MULTIPART, "--B\r\nContent-Disposition: form-data;\r\n name=\"to\"\r\n\r\n\r\n--B--",
     "body", "malformed"},
    {"folded at the start", MULTIPART,
     "--B\r\n Content-Disposition: form-data; name=\"to\"\r\n\r\n\r\n--B--", "body",
     "malformed or folded"},
    {"space before the colon", MULTIPART,
     "--B\r\nContent-Disposition : form-data; name=\"to\"\r\n\r\n\r\n--B--", "body", "malformed"},
    {"carriage return within", MULTIPART, "--B\r\nX: \rContent-Disposition: y\r\n\r\n\r\n--B--",
     "body", "control character"},
    {"base64", MULTIPART, PART("_to") "Content-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--B--",
     "to", "Content-Transfer-Encoding"},
    {"two encodings", MULTIPART,
     PART("_to") "Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: "
                 "base64\r\n\r\n\r\n--B--",
     "body", "two Content-Transfer-Encoding"},
    {"line break", MULTIPART, PART("_to") "\r\na@x.test,\r\nb@x.test\r\n--B--", "to", "line break"},
    {"twice", MULTIPART, PART("id") "\r\n1\r\n" PART("id") "\r\n1\r\n--B--", "id", "twice"},
};

START_TEST(test_bad) { check_bad(&bad[_i]); }
END_TEST

/* What PHP 8.2 makes of a field's name. */
static const struct {
    const char *name;
    bool ours;
} php_names[] = {
    {"_to", true},     {"+_to", true},      {"%20+_to", true}, {".to", true},
    {"+.to", true},    {"_to[]", true},     {"_to[x]", true},  {"_to[x]y", true},
    {"_to[x", false},  {"_to[", false},     {"[to", false},    {"[to]", false},
    {"[_to]", false},  {"_to%00x", true},   {"_to%00[", true}, {"_to+", false},
    {"_to.", false},   {"_to[%00]", false}, {"_to[[]", true},  {"_to%5B%5D", true},
    {"%5Fto", true},   {"_TO", false},      {"_to]", false},   {"%09_to", false},
    {"_to[.x]", true}, {"%00_to", false},   {"+", false},
};

START_TEST(test_php_names)
{
    struct text form = {0};
    text_addf(&form, "%s=a@x.test", php_names[_i].name);
    ck_assert_int_eq(read_in(URLENCODED, true, text_string(&form), form.length, 3), 1);
    ck_assert_msg((reading.submission.recipient_count == 1) == php_names[_i].ours, "%s",
                  php_names[_i].name);
    text_free(&form);
}
END_TEST

/* Forms of Roundcube's that pass its gate. */
START_TEST(test_gate)
{
    static const struct {
        const char *form, *read; /* NULL: refused */
    } gate[] = {
        {"_to=a@x.test&_draft=1&_action=send", "to=a@x.test draft "},
        {"_to=a@x.test&_draft[]=1&_action=send", "to=a@x.test "},
        {"_to=a@x.test&.draft=1&_action=send", "to=a@x.test "},
        {"_to=a@x.test&_draft=1&_action[]=send", "to=a@x.test "},
        {"_to=a@x.test&_draft=1&_action=send&_action[]=x", NULL},
        {"_to=a@x.test&_draft=1&_draft[]=", NULL},
        {"_to=a@x.test&_charset[]=UTF-7", NULL},
        {"_cid=7&_source=0&_to=2", ""},
        {"_uid=7&_mbox=INBOX&_from=show", ""},
        {"_to=bob,+a@x.test", NULL},
        {"to=bob", NULL},
    };
    for (size_t i = 0; i < countof(gate); i++) {
        const char *form = gate[i].form;
        int result = read_in(URLENCODED, true, form, strlen(form), 5);
        ck_assert_msg(result == (gate[i].read != NULL), "%s: %s", form, reading.problem.text);
        ck_assert_msg(!result || strcmp(describe(), gate[i].read) == 0, "%s: %s", form, describe());
    }
}
END_TEST

static void repeat(struct text *text, const char *what, size_t times)
{
    for (size_t i = 0; i < times; i++)
        text_add(text, what);
}

START_TEST(test_long_names)
{
    struct text form = {0};
    text_add(&form, "_to[");
    repeat(&form, "x", FORM_MAX_NAME_BYTES);
    text_add(&form, "]=a@x.test");
    ck_assert_int_eq(read_in(URLENCODED, false, text_string(&form), form.length, 100), 1);
    ck_assert_uint_eq(reading.submission.recipient_count, 0);
    ck_assert_int_eq(read_in(URLENCODED, true, text_string(&form), form.length, 100), 0);
    ck_assert_int_eq(reading.problem.status, 400);
    text_clear(&form);
    text_add(&form, "_to[");
    repeat(&form, "x", FORM_MAX_NAME_BYTES - 5);
    text_add(&form, "]=a@x.test");
    ck_assert_int_eq(read_in(URLENCODED, true, text_string(&form), form.length, 100), 1);
    ck_assert_uint_eq(reading.submission.recipient_count, 1);
    text_free(&form);
}
END_TEST

START_TEST(test_too_many_fields)
{
    static const struct {
        const char *type, *field, *last;
    } forms[] = {
        {URLENCODED, "x&", "_to=a@x.test"},
        {URLENCODED, "&", "_to=a@x.test"},
        {MULTIPART, PART("x") "\r\n\r\n", PART("_to") "\r\na@x.test\r\n--B--"},
        {MULTIPART, "--B\nContent-Disposition: form-data; name=x; filename=x\n\n\n",
         PART("_to") "\r\na@x.test\r\n--B--"},
    };
    struct text form = {0};
    for (size_t i = 0; i < 2 * countof(forms); i++) {
        bool php = i % 2 == 1;
        text_clear(&form);
        repeat(&form, forms[i / 2].field, (php ? BODY_MAX_PHP_FIELDS : BODY_MAX_FIELDS) - 1);
        size_t fits = form.length;
        text_add(&form, forms[i / 2].last);
        ck_assert_int_eq(read_in(forms[i / 2].type, php, form.data, form.length, 4096), 1);
        ck_assert_uint_eq(reading.submission.recipient_count, 1);
        form.length = fits;
        text_add(&form, forms[i / 2].field);
        text_add(&form, forms[i / 2].last);
        ck_assert_int_eq(read_in(forms[i / 2].type, php, form.data, form.length, 4096), 0);
        ck_assert_int_eq(reading.problem.status, 413);
    }
    text_free(&form);
}
END_TEST

START_TEST(test_too_long_headers)
{
    struct text form = {0};
    text_add(&form, PART("to"));
    size_t start = form.length;
    text_add(&form, "X: ");
    repeat(&form, "x", FORM_MAX_LINE_BYTES);
    text_add(&form, "\r\n\r\na@x.test\r\n--B--");
    ck_assert_int_eq(read_body(MULTIPART, text_string(&form)), 0);
    form.length = start;
    repeat(&form, "X: y\r\n", FORM_MAX_HEADER_BYTES / 6);
    text_add(&form, "\r\na@x.test\r\n--B--");
    ck_assert_int_eq(read_in(MULTIPART, false, text_string(&form), form.length, 1000), 0);
    ck_assert_int_eq(reading.problem.status, 400);
    ck_assert_str_eq(reading.problem.where, "body");
    form.length = start;
    repeat(&form, "X: y\r\n", FORM_MAX_HEADER_BYTES / 8);
    text_add(&form, "\r\na@x.test\r\n--B--");
    ck_assert_int_eq(read_in(MULTIPART, false, text_string(&form), form.length, 1000), 1);
    ck_assert_uint_eq(reading.submission.recipient_count, 1);
    text_free(&form);
}
END_TEST

/* Feeds 25 MB that nobody wants in pieces of odd sizes; returns by how much the
 * heap grew at most meanwhile. */
static size_t feed_much(struct body *body, const char *pattern, size_t length)
{
    size_t before = heap_in_use(), most = before;
    char *piece = malloc(4099);
    ck_assert_ptr_nonnull(piece);
    for (size_t i = 0; i < 4099; i++)
        piece[i] = pattern[i % length];
    for (size_t fed = 0, size = 1; fed < 25 * MEGABYTE; fed += size, size = size * 7 % 4099 + 1) {
        ck_assert_msg(body_add(body, piece, size, &reading.problem) == 1, "%s",
                      reading.problem.text);
        most = heap_in_use() > most ? heap_in_use() : most;
    }
    free(piece);
    return most - before;
}

START_TEST(test_memory_is_constant)
{
    static const char noise[] = "\r\n--\r\r\n--A\n\n-\r\n--\xFF%2=+&";
    static const struct {
        const char *type, *before, *behind;
        size_t noise;
    } forms[] = {
        {URLENCODED, "_message=", "&_to=a@x.test", sizeof noise - 2}, /* without its & */
        {URLENCODED, "", "&_to=a@x.test", sizeof noise - 2},          /* as a name */
        {MULTIPART, PART("_message") "\r\n", "\r\n" PART("_to") "\r\na@x.test\r\n--B--",
         sizeof noise},
        {MULTIPART, "--B\r\nContent-Disposition: form-data; name=\"_to\"; filename=x\r\n\r\n",
         "\r\n" PART("_to") "\r\na@x.test\r\n--B--", sizeof noise},
    };
    for (size_t i = 0; i < countof(forms); i++) {
        struct body *body = NULL;
        submission_init(&reading.submission, reading.arena, CHANNEL_WEBMAIL);
        ck_assert_int_eq(
            body_new(&reading.submission, forms[i].type, false, &body, &reading.problem), 1);
        ck_assert_int_eq(add_exact(body, forms[i].before, strlen(forms[i].before)), 1);
        ck_assert_uint_le(feed_much(body, noise, forms[i].noise), 8192);
        ck_assert_int_eq(add_exact(body, forms[i].behind, strlen(forms[i].behind)), 1);
        ck_assert_msg(body_end(body, &reading.claims, &reading.problem) == 1, "%s",
                      reading.problem.text);
        ck_assert_uint_eq(reading.submission.recipient_count, 1);
        body_free(&body);
    }
}
END_TEST

/* That the test above can see memory that is kept: a field of ours is. */
START_TEST(test_wanted_values_are_bounded)
{
    struct body *body = NULL;
    submission_init(&reading.submission, reading.arena, CHANNEL_WEBMAIL);
    ck_assert_int_eq(body_new(&reading.submission, URLENCODED, false, &body, &reading.problem), 1);
    ck_assert_int_eq(add_exact(body, "_to=", 4), 1);
    size_t before = heap_in_use(), fed = 0;
    while (fed <= SUBMISSION_MAX_ADDRESS_BYTES && add_exact(body, ",,,,,,,,", 8))
        fed += 8;
    ck_assert_uint_eq(fed, SUBMISSION_MAX_ADDRESS_BYTES);
    ck_assert_int_eq(reading.problem.status, 413);
    ck_assert_str_eq(reading.problem.where, "to");
    ck_assert_uint_ge(heap_in_use() - before, SUBMISSION_MAX_ADDRESS_BYTES / 2);
    ck_assert_uint_le(heap_in_use() - before, 4 * SUBMISSION_MAX_ADDRESS_BYTES);
    body_free(&body);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("form");
    TCase *cases = tcase_create("form");
    tcase_add_checked_fixture(cases, reading_setup, reading_teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, test_good, 0, (int)countof(good));
    tcase_add_loop_test(cases, test_bad, 0, (int)countof(bad));
    tcase_add_loop_test(cases, test_php_names, 0, (int)countof(php_names));
    tcase_add_test(cases, test_gate);
    tcase_add_test(cases, test_long_names);
    tcase_add_test(cases, test_too_many_fields);
    tcase_add_test(cases, test_too_long_headers);
    tcase_add_test(cases, test_memory_is_constant);
    tcase_add_test(cases, test_wanted_values_are_bounded);
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
