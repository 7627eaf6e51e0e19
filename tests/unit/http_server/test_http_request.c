/* Requests to the web interface, out of their pieces: every part, every limit,
 * every way to be wrong. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "http_server/http_request.h"
#include "http_server/http_response.h"

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"

static struct arena *arena;
static struct settings *settings;
static struct http_request request;
static struct problem problem;
static struct raw_request raw;

#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

static void use_settings(const char *const *overrides)
{
    size_t count = 0;
    while (overrides[count] != NULL)
        count++;
    settings_free(&settings);
    ck_assert_msg(settings_read(NULL, overrides, count, &settings, &problem) == 1, "%s: %s",
                  problem.where, problem.text);
}

static void setup(void)
{
    arena = arena_new();
    use_settings(WITH(NULL));
    problem = (struct problem){0};
    request = (struct http_request){0};
    raw = (struct raw_request){.method = "GET", .url = "/status", .peer = "192.0.2.1"};
}

static void teardown(void)
{
    http_request_end(&request);
    settings_free(&settings);
    arena_free(&arena);
}

/* The body goes in as a heap block of its size, so that an overread shows. */
static int make(void)
{
    struct raw_request exact = raw;
    size_t length = raw.body != NULL ? strlen(raw.body) : 0;
    if (raw.body_length == 0)
        exact.body_length = length;
    char *block = xmalloc(exact.body_length);
    if (exact.body_length > 0)
        memcpy(block, raw.body, exact.body_length);
    exact.body = block;
    http_request_end(&request);
    int result = http_request_make(&exact, settings, arena, &request, &problem);
    free(block);
    ck_assert_ptr_nonnull(request.params);
    ck_assert_ptr_nonnull(request.path);
    ck_assert_ptr_nonnull(request.address);
    return result;
}

static void must_make(void)
{
    ck_assert_msg(make() == 1, "%d %s: %s", problem.status, problem.where, problem.text);
}

static void must_refuse(int status, const char *where)
{
    ck_assert_msg(make() == 0, "not refused: %s ?%s", raw.url, raw.query != NULL ? raw.query : "");
    ck_assert_msg(problem.status == status, "%d, not %d: %s: %s", problem.status, status,
                  problem.where, problem.text);
    ck_assert_str_eq(problem.where, where);
    ck_assert_uint_gt(strlen(problem.text), 0);
}

static char *repeated(char character, size_t count)
{
    char *text = arena_alloc(arena, count + 1);
    memset(text, character, count);
    return text;
}

/* ---- method and path ------------------------------------------------------------ */

START_TEST(methods)
{
    static const struct {
        const char *name;
        enum method method;
        bool head;
    } cases[] = {
        {"GET", METHOD_GET, false},      {"HEAD", METHOD_GET, true},
        {"POST", METHOD_POST, false},    {"PUT", METHOD_OTHER, false},
        {"DELETE", METHOD_OTHER, false}, {"get", METHOD_OTHER, false},
        {"OPTIONS", METHOD_OTHER, false},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        raw.method = cases[i].name;
        must_make();
        ck_assert_int_eq(request.method, cases[i].method);
        ck_assert_int_eq(request.head, cases[i].head);
    }
}
END_TEST

static const struct {
    const char *base_url, *url, *path, *base;
    bool https;
} paths[] = {
    {"http://h.test/sending", "/sending/status", "/status", "/sending", false},
    {"http://h.test/sending", "/status", "/status", "/sending", false},
    {"http://h.test/sending", "/sending", "/", "/sending", false},
    {"http://h.test/sending", "/sending/", "/", "/sending", false},
    {"http://h.test/sending", "/sendings/status", "/sendings/status", "/sending", false},
    {"https://h.test:8443/a/b", "/a/b/desk/", "/desk/", "/a/b", true},
    {"https://h.test", "/desk/", "/desk/", "", true},
    {"http://[2001:db8::1]:80/x", "/x/desk/", "/desk/", "/x", false},
    {"http://h.test", "/desk/mailboxes/a%2Fb%40x.test", "/desk/mailboxes/a/b@x.test", "", false},
    {"http://h.test", "/%64esk/%2e%2e/x", "/desk/../x", "", false},
    {"http://h.test", "/a+b%2Bc", "/a+b+c", "", false},
    {"http://h.test", "/m%C3%BCller", "/m\xC3\xBCller", "", false},
    {"http://h.test/s", "/%73/desk/", "/desk/", "/s", false},
};

START_TEST(a_path_is_decoded_and_below_the_base)
{
    const char *override =
        arena_printf(arena, "web.base_url=%s", paths[_i].base_url);
    use_settings(WITH(override));
    raw.url = paths[_i].url;
    must_make();
    ck_assert_str_eq(request.path, paths[_i].path);
    ck_assert_str_eq(request.base, paths[_i].base);
    ck_assert_int_eq(request.https, paths[_i].https);
}
END_TEST

START_TEST(a_path_that_cannot_be_read)
{
    static const char *const urls[] = {"",       "*",       "http://x.test/", "/%",
                                       "/%4",    "/%4g",    "/%g4",           "/%00",
                                       "/a%0d%0ab", "/%0A", "/%ff",           "/%c0%af",
                                       "/%1b",   "/%ed%a0%80", "/%\x16\x11"}; /* no digits, but with the bit of lower case */
    for (size_t i = 0; i < countof(urls); i++) {
        raw.url = urls[i];
        must_refuse(400, "path");
        ck_assert_str_eq(request.path, "/");
    }
}
END_TEST

START_TEST(a_path_has_a_limit)
{
    char *url = repeated('a', REQUEST_MAX_PATH + 1);
    url[0] = '/';
    raw.url = url;
    must_refuse(414, "path");
    url[REQUEST_MAX_PATH] = '\0';
    must_make();
}
END_TEST

/* ---- who asks ---------------------------------------------------------------------- */

static const struct {
    const char *peer, *forwarded, *address;
    bool monitoring;
} addresses[] = {
    {"192.0.2.1", NULL, "192.0.2.1", false},
    {"192.0.2.1", "198.51.100.7", "192.0.2.1", false}, /* nobody's proxy */
    {"192.0.2.1", "127.0.0.1", "192.0.2.1", false},
    {"127.0.0.1", NULL, "127.0.0.1", true},
    {"127.0.0.1", "198.51.100.7", "198.51.100.7", false},
    {"127.0.0.1", "127.0.0.1, 198.51.100.7", "198.51.100.7", false}, /* the client's word first */
    {"127.0.0.1", "198.51.100.7,127.0.0.1", "127.0.0.1", true},
    {"127.0.0.1", "198.51.100.7 , 203.0.113.9 ", "203.0.113.9", false},
    {"127.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", false},
    {"127.0.0.1", "::ffff:198.51.100.7", "198.51.100.7", false},
    {"127.0.0.1", "unknown", "127.0.0.1", false}, /* nonsense is nobody on this machine */
    {"127.0.0.1", "", "127.0.0.1", false},
    {"127.0.0.1", "198.51.100.7:443", "127.0.0.1", false},
    {"::1", "198.51.100.7", "198.51.100.7", false},
    {"::1", NULL, "::/64", true},
    {"::ffff:127.0.0.1", "198.51.100.7", "198.51.100.7", false},
    {"", "198.51.100.7", "198.51.100.7", false}, /* a UNIX socket */
    {"", NULL, "127.0.0.1", false},
    {"", "nonsense", "127.0.0.1", false},
};

START_TEST(the_address_is_the_browsers)
{
    raw.peer = addresses[_i].peer;
    raw.forwarded_for = addresses[_i].forwarded;
    must_make();
    ck_assert_str_eq(request.address, addresses[_i].address);
    ck_assert_int_eq(request.monitoring, addresses[_i].monitoring);
}
END_TEST

START_TEST(proxies_and_monitoring_are_settings)
{
    use_settings(WITH("web.trusted_proxies=192.0.2.0/24", "web.monitoring=198.51.100.0/24"));
    raw.forwarded_for = "198.51.100.7";
    must_make();
    ck_assert_str_eq(request.address, "198.51.100.7");
    ck_assert(request.monitoring);
    raw.peer = "127.0.0.1";
    must_make();
    ck_assert_str_eq(request.address, "127.0.0.1");
    ck_assert(!request.monitoring);
}
END_TEST

static const struct {
    const char *cookies, *cookie;
} cookies[] = {
    {NULL, NULL},
    {"", NULL},
    {"sendguard_session=abc", "abc"},
    {"a=b; sendguard_session=abc-_1; c=d", "abc-_1"},
    {"a=b;sendguard_session=abc ;c=d", "abc"},
    {"a=b, sendguard_session=abc", "abc"}, /* two headers */
    {"xsendguard_session=abc", NULL},
    {"sendguard_sessionx=abc", NULL},
    {"sendguard_session", NULL},
    {"sendguard_session=", NULL},
    {"sendguard_session=a b", NULL},
    {"sendguard_session=\"abc\"", NULL},
    {"sendguard_session=first; sendguard_session=second", "first"},
    {"SENDGUARD_SESSION=abc", NULL},
    {";;; ;", NULL},
    {"sendguard_session=0123456789012345678901234567890123456789012345678901234567", NULL},
};

START_TEST(the_cookie_of_the_session)
{
    raw.cookies = cookies[_i].cookies;
    must_make();
    const char *found = http_request_token_cookie(&request, "sendguard_session", 55);
    if (cookies[_i].cookie == NULL)
        ck_assert_ptr_null(found);
    else
        ck_assert_str_eq(found, cookies[_i].cookie);
}
END_TEST

START_TEST(cookies_have_a_limit)
{
    raw.cookies = repeated('x', REQUEST_MAX_COOKIES + 1);
    must_refuse(400, "Cookie");
    ck_assert_str_eq(request.path, "/status");
}
END_TEST

/* ---- parameters ---------------------------------------------------------------------- */

static void check_param(const char *name, const char *value)
{
    const char *found = http_request_param(&request, name);
    ck_assert_msg(found != NULL, "no %s", name);
    ck_assert_str_eq(found, value);
}

START_TEST(parameters_of_the_query_and_the_form)
{
    raw.method = "POST";
    raw.query = "q=a%40b.test&empty=&flag&plus=a+b%2Bc";
    raw.content_type = FORM "; charset=UTF-8";
    raw.body = "note=two%0D%0Alines&name=M%C3%BCller&%26=%3D";
    must_make();
    check_param("q", "a@b.test");
    check_param("empty", "");
    check_param("flag", "");
    check_param("plus", "a b+c");
    check_param("note", "two\r\nlines");
    check_param("name", "M\xC3\xBCller");
    check_param("&", "=");
    ck_assert_ptr_null(http_request_param(&request, "absent"));
}
END_TEST

START_TEST(parameters_of_a_json_body)
{
    raw.method = "POST";
    raw.content_type = JSON;
    raw.body = "{\"note\":\"why\",\"slash\":\"\\\\u0000\",\"messages\":7,\"preview\":true,\"to\":[\"a\"],\"none\":null}";
    must_make();
    check_param("note", "why");
    check_param("slash", "\\u0000");
    ck_assert_ptr_null(http_request_param(&request, "messages")); /* no text */
    struct json_object *number = NULL;
    ck_assert(json_object_object_get_ex(request.params, "messages", &number));
    ck_assert_int_eq(json_object_get_int(number), 7);
    ck_assert_uint_eq((size_t)json_object_object_length(request.params), 6);
}
END_TEST

START_TEST(a_get_has_no_body)
{
    raw.body = "a=b";
    raw.content_type = "text/plain";
    must_make();
    ck_assert_ptr_null(http_request_param(&request, "a"));
}
END_TEST

static const struct {
    const char *query, *type, *body;
    int status;
    const char *where;
} wrong_params[] = {
    {"a=1&a=2", NULL, NULL, 400, "a"},
    {"a=1&a", NULL, NULL, 400, "a"},
    {"a=%00", NULL, NULL, 400, "a"},
    {"a=%ff", NULL, NULL, 400, "a"},
    {"a=%1b%5B2J", NULL, NULL, 400, "a"},
    {"a=%", NULL, NULL, 400, "a"},
    {"a=%zz", NULL, NULL, 400, "a"},
    {"%00=1", NULL, NULL, 400, ""},
    {"%0d%0a=1", NULL, NULL, 400, ""},
    {"a=1", FORM, "a=2", 400, "a"},
    {"a=1", JSON, "{\"a\":2}", 400, "a"},
    {NULL, FORM, "a=1&a=1", 400, "a"},
    {NULL, FORM, "a=%00", 400, "a"},
    {NULL, JSON, "{\"a\":1,\"a\":2}", 400, "body"},
    {NULL, JSON, "{\"a\":\"\\u0000\"}", 400, "body"},
    {NULL, JSON, "{\"a\":[{\"b\":\"x\\\\\\u0000\"}]}", 400, "body"},
    {NULL, JSON, "{\"a\\u0000b\":1}", 400, "body"},
    {NULL, JSON, "{\"a\":\"\\u001b[2J\"}", 400, "a"},
    {NULL, JSON, "{\"a\":[{\"b\":\"x\\u0007\"}]}", 400, "a"},
    {NULL, JSON, "{\"a\\u001b\":1}", 400, "body"},
    {NULL, JSON, "[]", 400, "body"},
    {NULL, JSON, "{", 400, "body"},
    {NULL, JSON, "{\"a\":\"\xFF\"}", 400, "body"},
    {NULL, NULL, "a=1", 415, "Content-Type"},
    {NULL, "text/plain", "a=1", 415, "Content-Type"},
    {NULL, JSON ", " FORM, "{}", 415, "Content-Type"},
    {NULL, FORM "; charset=iso-8859-1", "a=1", 415, "Content-Type"},
    {NULL, "multipart/form-data; boundary=x", "--x--\r\n", 415, "Content-Type"},
};

START_TEST(wrong_parameters)
{
    raw.method = "POST";
    raw.query = wrong_params[_i].query;
    raw.content_type = wrong_params[_i].type;
    raw.body = wrong_params[_i].body;
    must_refuse(wrong_params[_i].status, wrong_params[_i].where);
    ck_assert_str_eq(request.path, "/status"); /* enough for an error page */
}
END_TEST

static const char *many_params(int count)
{
    struct text text = {0};
    for (int i = 0; i < count; i++)
        text_addf(&text, "%sp%d=%d", i > 0 ? "&" : "", i, i);
    const char *copy = arena_strdup(arena, text_string(&text));
    text_free(&text);
    return copy;
}

START_TEST(parameters_have_limits)
{
    raw.query = many_params(REQUEST_MAX_PARAMS);
    must_make();
    check_param("p63", "63");
    raw.query = many_params(REQUEST_MAX_PARAMS + 1);
    must_refuse(413, "body");
    raw.method = "POST"; /* together */
    raw.query = many_params(REQUEST_MAX_PARAMS);
    raw.content_type = FORM;
    raw.body = "one=more";
    must_refuse(400, "one");
    raw.query = repeated('n', 300);
    raw.body = NULL;
    must_refuse(400, "");
}
END_TEST

START_TEST(a_body_has_a_limit)
{
    char *body = repeated('a', REQUEST_MAX_BODY + 1);
    body[1] = '=';
    raw.method = "POST";
    raw.content_type = FORM;
    raw.body = body;
    must_refuse(413, "body");
    body[REQUEST_MAX_BODY] = '\0';
    must_make();
    ck_assert_uint_eq(strlen(http_request_param(&request, "a")), REQUEST_MAX_BODY - 2);
}
END_TEST

/* ---- what is wanted --------------------------------------------------------------------- */

static const struct {
    const char *accept;
    bool json;
} accepts[] = {
    {NULL, false},
    {"*/*", false},
    {"application/json", true},
    {"Application/JSON", true},
    {"application/json;q=0.5", true},
    {"application/json;q=0", false},
    {"application/problem+json", true},
    {"text/html", false},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false},
    {"application/json, text/plain, */*", true},
    {"text/html, application/json", false},
    {"text/html;q=0.8, application/json", true},
    {"text/html;q=0.8, application/json;q=0.75", false},
    {"text/html;level=1;q=0.2, application/json;q=0.25", true},
    {"application/jsonp", false},
    {"application/json-seq", false},
};

START_TEST(json_or_a_page)
{
    raw.accept = accepts[_i].accept;
    must_make();
    ck_assert_int_eq(http_request_wants_json(&request), accepts[_i].json);
}
END_TEST

/* ---- answers -------------------------------------------------------------------------------- */

static const struct {
    const char *base_url, *path, *location;
} redirects[] = {
    {"http://h.test/s", "/desk/", "/s/desk/"},
    {"http://h.test", "/desk/?a=b%20c", "/desk/?a=b%20c"},
    {"http://h.test", "//evil.test/", "/desk/"},
    {"http://h.test", "/\\evil.test/", "/desk/"},
    {"http://h.test", "https://evil.test/", "/desk/"},
    {"http://h.test", "", "/desk/"},
    {"http://h.test", "/x\r\nSet-Cookie: a=b", "/desk/"},
    {"http://h.test", "/m\xC3\xBCller \"<>", "/m%C3%BCller%20%22%3C%3E"},
};

START_TEST(a_redirect_stays_in_the_house)
{
    struct http_response response = {.status = 200};
    const char *override = arena_printf(arena, "web.base_url=%s", redirects[_i].base_url);
    use_settings(WITH(override));
    must_make();
    http_response_redirect(&response, &request, redirects[_i].path);
    ck_assert_int_eq(response.status, 303);
    ck_assert_uint_eq(response.header_count, 1);
    ck_assert_str_eq(response.headers[0].name, "Location");
    ck_assert_str_eq(response.headers[0].value, redirects[_i].location);
    http_response_free(&response);
}
END_TEST

START_TEST(headers_never_hold_line_breaks)
{
    struct http_response response = {.status = 200};
    http_response_header(&response, "X-A", "a\r\nb");
    http_response_header(&response, "X-A", "a\nb");
    http_response_header(&response, "X-A", "\x7F");
    http_response_header(&response, "X-A", NULL);
    ck_assert_uint_eq(response.header_count, 0);
    http_response_header(&response, "X-A", "fine");
    ck_assert_uint_eq(response.header_count, 1);
    http_response_free(&response);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_request");
    TCase *tests = tcase_create("http_request");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, methods);
    tcase_add_loop_test(tests, a_path_is_decoded_and_below_the_base, 0, countof(paths));
    tcase_add_test(tests, a_path_that_cannot_be_read);
    tcase_add_test(tests, a_path_has_a_limit);
    tcase_add_loop_test(tests, the_address_is_the_browsers, 0, countof(addresses));
    tcase_add_test(tests, proxies_and_monitoring_are_settings);
    tcase_add_loop_test(tests, the_cookie_of_the_session, 0, countof(cookies));
    tcase_add_test(tests, cookies_have_a_limit);
    tcase_add_test(tests, parameters_of_the_query_and_the_form);
    tcase_add_test(tests, parameters_of_a_json_body);
    tcase_add_test(tests, a_get_has_no_body);
    tcase_add_loop_test(tests, wrong_parameters, 0, countof(wrong_params));
    tcase_add_test(tests, parameters_have_limits);
    tcase_add_test(tests, a_body_has_a_limit);
    tcase_add_loop_test(tests, json_or_a_page, 0, countof(accepts));
    tcase_add_loop_test(tests, a_redirect_stays_in_the_house, 0, countof(redirects));
    tcase_add_test(tests, headers_never_hold_line_breaks);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
