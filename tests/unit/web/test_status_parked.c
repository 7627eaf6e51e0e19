/* POST /status/parked: who may ask, and what for. What becomes of it: test_desk_parked.c. */
#include <string.h>

#include "base/json.h"
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

static const char *link_of(int64_t made_ms)
{
    const struct status_link link = {.mailbox = ALICE, .made_ms = made_ms,
                                     .expires_ms = made_ms + DAY_MS};
    return arena_printf(arena, "t=%s", token_make(token_key, arena, &link));
}

static const char *alices(void) { return link_of(NOW); }

#define BODY                                                                               \
    "{\"action\":\"park\",\"id\":\"00000000000000000000000000000001\",\"recipients\":3," \
    "\"at\":\"2025-11-22T07:40:00Z\"}"

/* The status of a request that differs from a good one in what `raw` says. */
static int ask(struct raw_request raw, const char *query)
{
    raw.url = "/sending/status/parked";
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

START_TEST(answers_the_webmail)
{
    begin(_i);
    ck_assert_int_eq(ask((struct raw_request){0}, alices()), 200);
    ck_assert_str_eq(text_string(&response.body),
                     "{\"now\":\"2025-11-22T05:40:00Z\",\"at_most\":20,\"parked\":[{"
                     "\"id\":\"00000000000000000000000000000001\",\"state\":\"waiting\","
                     "\"may_go\":true,\"at\":\"2025-11-22T07:40:00Z\","
                     "\"parked_at\":\"2025-11-22T05:40:00Z\",\"recipients\":3,\"tries\":0,"
                     "\"submission_id\":\"parked.00000000000000000000000000000001."
                     "1763790000000.0\","
                     "\"decision\":null}]}\n");
    ck_assert_int_eq(ask((struct raw_request){0}, alices()), 409);
    ck_assert_str_eq(response.type, "application/problem+json");
    ck_assert_int_eq(ask((struct raw_request){.body = "{\"action\":\"list\"}"}, alices()), 200);
}
END_TEST

START_TEST(nobody_else_asks)
{
    begin(_i);
    ck_assert_int_eq(ask((struct raw_request){0}, NULL), 403);
    ck_assert_int_eq(ask((struct raw_request){0}, arena_printf(arena, "%sA", alices())), 403);
    ck_assert_int_eq(ask((struct raw_request){0}, link_of(NOW - 10 * MINUTE_MS - 1)), 403);
    ck_assert_int_eq(ask((struct raw_request){.origin = "https://elsewhere.test"}, alices()), 403);
    ck_assert_int_eq(ask((struct raw_request){0}, link_of(NOW - 10 * MINUTE_MS)), 200);
}
END_TEST

START_TEST(other_requests)
{
    begin(_i);
    ck_assert_int_eq(ask((struct raw_request){.method = "GET"}, alices()), 405);
    ck_assert_int_eq(ask((struct raw_request){.content_type = "application/x-www-form-urlencoded",
                                              .body = "action=list"}, alices()), 415);
    const char *body = arena_printf(arena, "{\"action\":\"list\",\"id\":\"%4096s\"}", "x");
    ck_assert_int_eq(ask((struct raw_request){.body = body}, alices()), 413);
    ck_assert_int_eq(ask((struct raw_request){.body = "{}"}, alices()), 400);
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
    store_free(&web.desk.store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status parked");
    TCase *cases = rig_case(suite, "status parked");
    tcase_add_checked_fixture(cases, NULL, end);
    tcase_add_loop_test(cases, answers_the_webmail, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, nobody_else_asks, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, other_requests, 0, BACKEND_KINDS);
    tcase_add_test(cases, store_away);
    return backends_run(suite);
}
