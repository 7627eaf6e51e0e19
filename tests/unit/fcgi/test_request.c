/* Requests as FastCGI parameters tell them: what is asked, by whom, and every
 * way to be wrong. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/request.h"
#include "message/submission.h"

static struct arena *arena;
static struct request request;
static struct problem problem;
static const char *allow;

static void setup(void)
{
    arena = arena_new();
    request = (struct request){0};
    problem = (struct problem){0};
    allow = NULL;
}

static void teardown(void) { arena_free(&arena); }

/* "NAME=value" strings after the method and the URI, NULL-ended. */
#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ALONE WITH(NULL)

/* The query goes beside the URI too, as nginx does it. Everything is copied into heap blocks of
 * its size, and freed before anybody looks: nothing may be kept. */
static int read_request(const char *method, const char *uri, const char *const *more)
{
    char *params[16] = {NULL};
    size_t count = 0;
    const char *query = strchr(uri, '?');
    params[count++] = xasprintf("REQUEST_METHOD=%s", method);
    params[count++] = xasprintf("REQUEST_URI=%s", uri);
    params[count++] = xasprintf("QUERY_STRING=%s", query != NULL ? query + 1 : "");
    while (*more != NULL)
        params[count++] = xstrdup(*more++);
    int result =
        request_read((const char *const *)params, arena, &request, &allow, &problem);
    for (size_t i = 0; i < count; i++)
        free(params[i]);
    return result;
}

static void must_read(const char *method, const char *uri, const char *const *more)
{
    ck_assert_msg(read_request(method, uri, more) == 1, "%s %s: %s: %s", method, uri,
                  problem.where, problem.text);
}

/* ---- parameters ---------------------------------------------------------------- */

/* One of them would be nginx's, the other the client's. */
static const char *const once_only[] = {
    "REMOTE_USER=victim@example.test", "REMOTE_ADDR=192.0.2.1", "SENDGUARD_TRUSTED=1",
    "SENDGUARD_FORWARD=@webmail", "CONTENT_TYPE=application/json", "CONTENT_LENGTH=1",
    "REQUEST_METHOD=POST", "REQUEST_URI=/submissions", "QUERY_STRING=",
};

START_TEST(test_comes_twice)
{
    const char *param = once_only[_i];
    size_t name = strcspn(param, "=");
    ck_assert_int_eq(read_request("POST", "/submissions", WITH(param, param)), 0);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_int_eq(strncmp(problem.where, param, name), 0);
    ck_assert_str_eq(problem.where + name, "");
}
END_TEST

START_TEST(test_names_are_whole)
{
    must_read("POST", "/submissions", WITH("XREMOTE_USER=a", "REMOTE_USERX=b", "REMOTE_USE=c"));
    ck_assert_ptr_null(request.mailbox);
}
END_TEST

/* nginx before 1.23 passes each Cookie field on its own. */
START_TEST(test_cookies)
{
    must_read("POST", "/submissions", WITH("HTTP_COOKIE=a=b", "HTTP_COOKIE=c=d"));
    ck_assert(!request.action_in_cookie);
    must_read("POST", "/submissions", WITH("HTTP_COOKIE=a=b", "HTTP_COOKIE=_action=bounce"));
    ck_assert(request.action_in_cookie);
}
END_TEST

/* ---- judging ------------------------------------------------------------------- */

START_TEST(test_judge)
{
    static const char *const uris[] = {"/sendguard/submissions", "/submissions", "/submissions/",
                                       "/a/b/submissions?dry_run=0", "/submissions#f",
                                       "http://mail.example.test/sendguard/submissions",
                                       "/submissionsx/submissions"};
    for (size_t i = 0; i < countof(uris); i++) {
        must_read("POST", uris[i], ALONE);
        ck_assert_int_eq(request.asked, ASKED_JUDGE);
        ck_assert(!request.trusted);
        ck_assert(!request.dry_run);
        ck_assert_ptr_null(request.forward);
        ck_assert_ptr_null(request.id);
        ck_assert_ptr_null(request.mailbox);
        ck_assert_ptr_null(request.remote_addr);
        ck_assert_str_eq(request.content_type, "");
        ck_assert_int_eq(request.content_length, 0);
    }
}
END_TEST

START_TEST(test_parameters_are_copied)
{
    must_read("POST", "/submissions",
              WITH("REMOTE_USER=alice@example.test", "REMOTE_ADDR=192.0.2.1",
                   "CONTENT_TYPE=application/json; charset=utf-8", "CONTENT_LENGTH=123"));
    ck_assert_str_eq(request.mailbox, "alice@example.test");
    ck_assert_str_eq(request.remote_addr, "192.0.2.1");
    ck_assert_str_eq(request.content_type, "application/json; charset=utf-8");
    ck_assert_int_eq(request.content_length, 123);
    must_read("POST", "/submissions", WITH("REMOTE_USER=", "REMOTE_ADDR=unix:"));
    ck_assert_ptr_null(request.mailbox);
    ck_assert_ptr_null(request.remote_addr);
}
END_TEST

START_TEST(test_dry_run)
{
    static const struct {
        const char *uri;
        int dry_run; /* -1: refused */
    } queries[] = {
        {"/submissions?dry_run=1", 1},       {"/submissions?dry_run=0", 0},
        {"/submissions?dry%5frun=1", 1},     {"/submissions?%64ry_run=%31", 1},
        {"/submissions?dry%5frun=%30", 0},   {"/submissions?dry%5Frun=2", -1},
        {"/submissions?&&dry_run=1&&", 1},   {"/submissions?dry_run", -1},
        {"/submissions?dry_run=", -1},       {"/submissions?dry_run=true", -1},
        {"/submissions?dry_run=11", -1},     {"/submissions?dry_run=2", -1},
        {"/submissions?dry_run=1&dry_run=1", -1}, {"/submissions?", 0},
        {"/submissions?dry_run=1&dry%5frun=1", -1}, {"/submissions?dry_run=%", -1},
    };
    for (size_t i = 0; i < countof(queries); i++) {
        int result = read_request("POST", queries[i].uri, ALONE);
        ck_assert_msg(result == (queries[i].dry_run >= 0), "%s", queries[i].uri);
        if (result == 1)
            ck_assert_msg(request.dry_run == (queries[i].dry_run == 1), "%s", queries[i].uri);
        else
            ck_assert_int_eq(problem.status, 400);
    }
    ck_assert_str_eq(problem.where, "dry_run");
}
END_TEST

/* Of a trusted caller alone, and never beside a message that counts. */
START_TEST(test_password_changed)
{
    static const struct {
        const char *uri;
        bool trusted, good;
    } queries[] = {
        {"/submissions?dry_run=1&password_changed=1", true, true},
        {"/submissions?password_changed=1&dry_run=1", true, true},
        {"/submissions?dry_run=1&password_changed=1", false, false},
        {"/submissions?dry_run=0&password_changed=1", true, false},
        {"/submissions?password_changed=1", true, false},
        {"/submissions?dry_run=1&password_changed=0", true, false},
        {"/submissions?dry_run=1&password_changed", true, false},
        {"/submissions?dry_run=1&password_changed=1&password_changed=1", true, false},
    };
    for (size_t i = 0; i < countof(queries); i++) {
        int result = queries[i].trusted ? read_request("POST", queries[i].uri, WITH("SENDGUARD_TRUSTED=1"))
                                        : read_request("POST", queries[i].uri, ALONE);
        ck_assert_msg(result == queries[i].good, "%s", queries[i].uri);
        if (result == 1)
            ck_assert(request.password_changed && request.dry_run);
    }
    ck_assert_int_eq(read_request("POST", "/submissions?dry_run=1", WITH("SENDGUARD_TRUSTED=1")), 1);
    ck_assert(!request.password_changed);
}
END_TEST

/* Beside a dry run alone; whose it is the endpoint knows. */
START_TEST(test_hints)
{
    static const struct {
        const char *uri;
        bool good;
    } queries[] = {
        {"/submissions?dry_run=1&hints=1", true},  {"/submissions?hints=1&dry_run=1", true},
        {"/submissions?hints=1", false},           {"/submissions?dry_run=0&hints=1", false},
        {"/submissions?dry_run=1&hints=0", false}, {"/submissions?dry_run=1&hints", false},
        {"/submissions?dry_run=1&hints=1&hints=1", false},
    };
    for (size_t i = 0; i < countof(queries); i++) {
        int result = read_request("POST", queries[i].uri, ALONE);
        ck_assert_msg(result == queries[i].good, "%s", queries[i].uri);
        if (result == 1)
            ck_assert(request.hints && request.dry_run);
        else
            ck_assert_str_eq(problem.where, "hints");
    }
    ck_assert_int_eq(read_request("POST", "/submissions?dry_run=1", ALONE), 1);
    ck_assert(!request.hints);
}
END_TEST

/* What is not known is not passed over: it may be what was meant, misspelt. */
START_TEST(test_unknown_parameters)
{
    static const struct {
        const char *method, *uri, *where, *says;
    } queries[] = {
        {"POST", "/submissions?dry_runs=1", "query", "found \"dry_runs\""},
        {"POST", "/submissions?dry-run=1&dry_run=1", "query", "found \"dry-run\""},
        {"POST", "/submissions?dry_run=1&a", "query", "found \"a\""},
        {"POST", "/submissions?Dry_Run=1", "query", "found \"Dry_Run\""},
        {"POST", "/submissions?=1", "query", "found \"\""},
        {"POST", "/submissions?%zz=1", "query", "hexadecimal"},
        {"POST", "/submissions?dry_run%00=1", "query", "NUL"},
        {"POST", "/submissions?mailbox=a@x.test", "mailbox", "in the body"},
        {"DELETE", "/submissions/1?mail=a@x.test", "query", "found \"mail\""},
    };
    for (size_t i = 0; i < countof(queries); i++) {
        ck_assert_msg(read_request(queries[i].method, queries[i].uri, ALONE) == 0, "%s",
                      queries[i].uri);
        ck_assert_int_eq(problem.status, 400);
        ck_assert_str_eq(problem.where, queries[i].where);
        ck_assert_msg(strstr(problem.text, queries[i].says) != NULL, "%s: %s", queries[i].uri,
                      problem.text);
    }
}
END_TEST

/* ---- who is believed ----------------------------------------------------------- */

START_TEST(test_trusted)
{
    static const struct {
        const char *param;
        bool trusted;
    } values[] = {
        {"SENDGUARD_TRUSTED=1", true},      {"SENDGUARD_TRUSTED=0", false},
        {"SENDGUARD_TRUSTED=", false},      {"SENDGUARD_TRUSTED=11", false},
        {"SENDGUARD_TRUSTED=yes", false},   {"SENDGUARD_TRUSTED= 1", false},
        {"HTTP_SENDGUARD_TRUSTED=1", false}, {"sendguard_trusted=1", false},
    };
    for (size_t i = 0; i < countof(values); i++) {
        must_read("DELETE", "/submissions/1?mailbox=bob@example.test",
                  WITH(values[i].param, "REMOTE_USER=alice@example.test"));
        ck_assert_msg(request.trusted == values[i].trusted, "%s", values[i].param);
        ck_assert_str_eq(request.mailbox,
                         values[i].trusted ? "bob@example.test" : "alice@example.test");
    }
    must_read("DELETE", "/submissions/1", WITH("SENDGUARD_TRUSTED=1", "REMOTE_USER=a@x.test"));
    ck_assert_ptr_null(request.mailbox); /* a trusted caller's own sign-in is nobody's mailbox */
}
END_TEST

static const struct {
    const char *query, *mailbox; /* NULL: refused */
} mailboxes[] = {
    {"mailbox=alice%40example.test", "alice@example.test"},
    {"mailbox=alice+tag@example.test", "alice+tag@example.test"},
    {"mailbox=alice%2Btag@example.test", "alice+tag@example.test"},
    {"mailb%6Fx=j%C3%BCrgen@example.test&", "j\xC3\xBCrgen@example.test"},
    {"mailbox=", ""},
    {"mailbox", ""},
    {"mailbox=a@x.test&mailbo%78=a@x.test", NULL},
    {"mailbox=%", NULL},
    {"mailbox=%4", NULL},
    {"mailbox=a%4&0=1", NULL},
    {"mailbox=%GG", NULL},
    {"mailbox=%-1", NULL},
    {"mailbox=alice%00@example.test", NULL},
};

START_TEST(test_mailbox_of_the_query)
{
    const char *uri = arena_printf(arena, "/submissions/1?%s", mailboxes[_i].query);
    int result = read_request("DELETE", uri, WITH("SENDGUARD_TRUSTED=1"));
    ck_assert_int_eq(result, mailboxes[_i].mailbox != NULL);
    if (result == 1) {
        ck_assert_str_eq(request.mailbox, mailboxes[_i].mailbox);
    } else {
        ck_assert_int_eq(problem.status, 400);
        ck_assert_str_eq(problem.where, "mailbox");
    }
}
END_TEST

/* ---- refunds --------------------------------------------------------------- */

static const struct {
    const char *path, *id; /* NULL: refused */
} ids[] = {
    {"/submissions/1", "1"},
    {"/sendguard/submissions/%3C1%40x%3E", "<1@x>"},
    {"/submissions/%3c1%40x%3e", "<1@x>"},
    {"/submissions/a%2Fb", "a/b"},
    {"/submissions/a%252Fb", "a%2Fb"},
    {"/submissions/a/b", "a/b"},
    {"/submissions/submissions", "submissions"},
    {"/submissions/a+b", "a+b"},
    {"/submissions/a%20b", "a b"},
    {"/submissions/%C3%BC", "\xC3\xBC"},
    {"/submissions/a?mailbox=b", "a"},
    {"/submissions/a%3Fb", "a?b"},
    {"/submissions/%00", NULL},
    {"/submissions/a%00b", NULL},
    {"/submissions/%", NULL},
    {"/submissions/a%4", NULL},
    {"/submissions/%zz", NULL},
    {"/submissions/% 4", NULL},
    {"/submissions/%4?1", NULL},
};

START_TEST(test_id)
{
    int result = read_request("DELETE", ids[_i].path, ALONE);
    ck_assert_int_eq(result, ids[_i].id != NULL);
    if (result == 1) {
        ck_assert_int_eq(request.asked, ASKED_REFUND);
        ck_assert_str_eq(request.id, ids[_i].id);
    } else {
        ck_assert_int_eq(problem.status, 400);
        ck_assert_str_eq(problem.where, "path");
        ck_assert_ptr_null(allow);
    }
}
END_TEST

START_TEST(test_long_id)
{
    for (int encoded = 0; encoded < 2; encoded++) {
        const char *one = encoded ? "%61" : "a";
        char *path = arena_alloc(arena, 20 + 3 * (SUBMISSION_MAX_ID_BYTES + 1));
        strcpy(path, "/submissions/");
        for (int i = 0; i < SUBMISSION_MAX_ID_BYTES; i++)
            strcat(path, one);
        must_read("DELETE", path, ALONE);
        ck_assert_uint_eq(strlen(request.id), SUBMISSION_MAX_ID_BYTES);
        strcat(path, one);
        ck_assert_int_eq(read_request("DELETE", path, ALONE), 0);
        ck_assert_int_eq(problem.status, 400);
    }
}
END_TEST

/* ---- what is wrong ------------------------------------------------------------- */

static const struct {
    const char *method, *uri, *param;
    int status;
    const char *where, *allow;
} faults[] = {
    {"POST", "/", NULL, 404, "path", NULL},
    {"POST", "", NULL, 404, "path", NULL},
    {"POST", "/submission", NULL, 404, "path", NULL},
    {"POST", "/submissionsx", NULL, 404, "path", NULL},
    {"POST", "/x?y=/submissions", NULL, 404, "path", NULL},
    {"DELETE", "/Submissions/1", NULL, 404, "path", NULL},
    {"GET", "/submissions", NULL, 405, "method", "POST"},
    {"HEAD", "/submissions", NULL, 405, "method", "POST"},
    {"post", "/submissions", NULL, 405, "method", "POST"},
    {"DELETE", "/submissions", NULL, 405, "method", "POST"},
    {"DELETE", "/submissions/", NULL, 405, "method", "POST"},
    {"POST", "/submissions/1", NULL, 405, "method", "DELETE"},
    {"GET", "/submissions/1", NULL, 405, "method", "DELETE"},
    {"POST", "/submissions", "CONTENT_LENGTH=-1", 400, "Content-Length", NULL},
    {"POST", "/submissions", "CONTENT_LENGTH=1x", 400, "Content-Length", NULL},
    {"POST", "/submissions", "CONTENT_LENGTH= 1", 400, "Content-Length", NULL},
    {"POST", "/submissions", "CONTENT_LENGTH=+1", 400, "Content-Length", NULL},
    {"POST", "/submissions", "CONTENT_LENGTH=9223372036854775808", 400, "Content-Length", NULL},
    {"POST", "/submissions", "CONTENT_LENGTH=99999999999999999999999", 400, "Content-Length",
     NULL},
};

START_TEST(test_fault)
{
    ck_assert_int_eq(read_request(faults[_i].method, faults[_i].uri, WITH(faults[_i].param)), 0);
    ck_assert_int_eq(problem.status, faults[_i].status);
    ck_assert_str_eq(problem.where, faults[_i].where);
    ck_assert_str_ne(problem.text, "");
    if (faults[_i].allow != NULL)
        ck_assert_str_eq(allow, faults[_i].allow);
    else
        ck_assert_ptr_null(allow);
}
END_TEST

START_TEST(test_no_parameters)
{
    const char *const none[] = {NULL}, *const only_method[] = {"REQUEST_METHOD=POST", NULL};
    ck_assert_int_eq(request_read(none, arena, &request, &allow, &problem), 0);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_int_eq(request_read(only_method, arena, &request, &allow, &problem), 0);
    ck_assert_int_eq(problem.status, 400);
    const char *const no_query[] = {"REQUEST_METHOD=POST", "REQUEST_URI=/submissions", NULL};
    ck_assert_int_eq(request_read(no_query, arena, &request, &allow, &problem), 1);
}
END_TEST

START_TEST(test_largest_length)
{
    must_read("POST", "/submissions", WITH("CONTENT_LENGTH=9223372036854775807"));
    ck_assert_int_eq(request.content_length, INT64_MAX);
    must_read("POST", "/submissions", WITH("CONTENT_LENGTH="));
    ck_assert_int_eq(request.content_length, 0);
}
END_TEST

/* ---- gate mode ----------------------------------------------------------------- */

/* The path and the query are the webmail's own, whatever they hold. */
START_TEST(test_forward)
{
    must_read("POST", "/roundcube/?_task=mail&_action=send&dry_run=1&mailbox=%",
              WITH("SENDGUARD_FORWARD=@webmail", "REMOTE_USER=alice@example.test"));
    ck_assert_int_eq(request.asked, ASKED_JUDGE);
    ck_assert_str_eq(request.forward, "@webmail");
    ck_assert(!request.dry_run);
    ck_assert_str_eq(request.mailbox, "alice@example.test");
    ck_assert_ptr_null(request.id);
    ck_assert_int_eq(read_request("GET", "/", WITH("SENDGUARD_FORWARD=@webmail")), 0);
    ck_assert_int_eq(problem.status, 405);
    ck_assert_int_eq(read_request("POST", "/", WITH("SENDGUARD_FORWARD=")), 0);
    ck_assert_int_eq(problem.status, 404); /* set to nothing is not set */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("request");
    TCase *cases = tcase_create("request");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, test_comes_twice, 0, (int)countof(once_only));
    tcase_add_test(cases, test_names_are_whole);
    tcase_add_test(cases, test_cookies);
    tcase_add_test(cases, test_judge);
    tcase_add_test(cases, test_parameters_are_copied);
    tcase_add_test(cases, test_dry_run);
    tcase_add_test(cases, test_password_changed);
    tcase_add_test(cases, test_hints);
    tcase_add_test(cases, test_unknown_parameters);
    tcase_add_test(cases, test_trusted);
    tcase_add_loop_test(cases, test_mailbox_of_the_query, 0, countof(mailboxes));
    tcase_add_loop_test(cases, test_id, 0, countof(ids));
    tcase_add_test(cases, test_long_id);
    tcase_add_loop_test(cases, test_fault, 0, countof(faults));
    tcase_add_test(cases, test_no_parameters);
    tcase_add_test(cases, test_largest_length);
    tcase_add_test(cases, test_forward);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
