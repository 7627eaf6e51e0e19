/* POST /status/delivery: who may ask, and what of. What the answer says: test_desk_delivery.c. */
#include <string.h>

#include "base/json.h"
#include "guard/delivery.h"
#include "tests/unit/guard/guard_rig.h"
#include "web/web.h"

static struct web web;
static struct http_response response;

static void begin(int backend)
{
    rig_begin(backend, DEFAULTS);
    web = (struct web){.desk = {store, guard, token_key}, .key = token_key};
}

static void end(void) { http_response_free(&response); }

static const char *link_of(int64_t expires_ms, bool while_suspended)
{
    const struct status_link link = {.mailbox = ALICE, .made_ms = NOW - DAY_MS,
                                     .expires_ms = expires_ms,
                                     .while_suspended = while_suspended};
    return arena_printf(arena, "t=%s", token_make(token_key, arena, &link));
}

static const char *alices(void) { return link_of(NOW + 1, false); }

#define BODY "{\"recipients\":[\"nobody@x.test\"]}"

/* The status of a request that differs from a good one in what `raw` says. */
static int ask(struct raw_request raw, const char *query)
{
    raw.url = "/sending/status/delivery";
    raw.peer = "192.0.2.1";
    raw.query = query;
    raw.method = raw.method != NULL ? raw.method : "POST";
    raw.content_type = raw.content_type != NULL ? raw.content_type : "application/json";
    raw.body = raw.body != NULL ? raw.body : BODY;
    raw.body_length = strlen(raw.body);
    http_response_free(&response);
    response = (struct http_response){.status = 200};
    web_answer(&web, &raw, NULL, arena, NOW, &response);
    return response.status;
}

static void check_problem(int status)
{
    freed_by(json_put) struct json_object *problem =
        rig_json(response.body.data, response.body.length);
    ck_assert_str_eq(response.type, "application/problem+json");
    ck_assert_int_eq(json_int(problem, "status", 0), status);
}

static void refuse(struct raw_request raw, const char *query, int status)
{
    ck_assert_int_eq(ask(raw, query), status);
    check_problem(status);
    rig_check_has_not(text_string(&response.body), "nobody");
}

START_TEST(answers_its_user)
{
    begin(_i);
    ck_assert_int_eq(ask((struct raw_request){.accept = "text/html"}, alices()), 200);
    ck_assert_str_eq(response.type, "application/json");
    ck_assert_str_eq(text_string(&response.body),
                     "{\"messages\":[],\"followed\":false,\"recipients\":"
                     "[{\"address\":\"nobody@x.test\",\"outcome\":null}]}\n");
    ck_assert_int_eq(ask((struct raw_request){.body = "{}"}, alices()), 200);
}
END_TEST

START_TEST(nobody_else_asks)
{
    begin(_i);
    refuse((struct raw_request){0}, NULL, 403);
    refuse((struct raw_request){0}, "t=", 403);
    refuse((struct raw_request){0}, arena_printf(arena, "%sA", alices()), 403);
    refuse((struct raw_request){0}, link_of(NOW, false), 403);
    refuse((struct raw_request){0}, link_of(NOW, true), 403); /* it opens the page, and no more */
    ck_assert_int_eq(ask((struct raw_request){.origin = "https://elsewhere.test"}, alices()), 403);
    ck_assert_int_eq(ask((struct raw_request){.fetch_site = "cross-site"}, alices()), 403);
}
END_TEST

START_TEST(other_requests)
{
    begin(_i);
    ck_assert_int_eq(ask((struct raw_request){.method = "GET"}, alices()), 405);
    ck_assert_int_eq(ask((struct raw_request){.method = "DELETE"}, alices()), 405);
    refuse((struct raw_request){.content_type = "application/x-www-form-urlencoded",
                                .body = "recipients=nobody%40x.test"}, alices(), 415);
    refuse((struct raw_request){.body = "{\"recipients\":\"nobody@x.test\"}"}, alices(), 400);
    freed_by(text_free) struct text body = {0};
    text_addf(&body, "{\"recipients\":[\"%*s\"]}", 64 * 1024 - 19, "x");
    ck_assert_uint_eq(body.length, 64 * 1024);
    ck_assert_int_eq(ask((struct raw_request){.body = body.data}, alices()), 200);
    text_add_char(&body, ' ');
    refuse((struct raw_request){.body = body.data}, alices(), 413);
}
END_TEST

START_TEST(store_away)
{
    struct problem problem;
    const struct store_options options = {.timeout_ms = 100};
    begin(BACKEND_SQLITE);
    ck_assert_int_eq(store_open("redis+unix:///nonexistent/redis.sock", &options, &web.desk.store,
                                &problem), 1);
    ck_assert_int_eq(ask((struct raw_request){0}, alices()), 503);
    check_problem(503);
    store_free(&web.desk.store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status delivery");
    TCase *cases = rig_case(suite, "status delivery");
    tcase_add_checked_fixture(cases, NULL, end);
    tcase_add_loop_test(cases, answers_its_user, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, nobody_else_asks, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, other_requests, 0, BACKEND_KINDS);
    tcase_add_test(cases, store_away);
    return backends_run(suite);
}
