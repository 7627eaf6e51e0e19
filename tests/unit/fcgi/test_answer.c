/* What the webmail endpoint answers: header fields and JSON, whatever the texts hold. */
#include <string.h>

#include "fcgi/answer.h"
#include "tests/unit/guard/guard_rig.h"

static struct text out;
static struct submission submission;

static void setup(void)
{
    arena = arena_new();
    submission = rig_submission("<1@webmail.example.test>");
}

static void teardown(void)
{
    text_free(&out);
    arena_free(&arena);
}

/* ---- taking an answer apart ------------------------------------------------------- */

/* The value of a header field, NULL when it is not there; fails when it is there twice. */
static const char *field(const char *name)
{
    const char *found = NULL, *line = out.data, *end = strstr(out.data, "\r\n\r\n");
    ck_assert_ptr_nonnull(end);
    while (line < end) {
        size_t length = strcspn(line, "\r");
        const char *colon = memchr(line, ':', length);
        ck_assert_msg(colon != NULL && line[length + 1] == '\n', "no header: %s", out.data);
        if ((size_t)(colon - line) == strlen(name) && strncmp(line, name, strlen(name)) == 0) {
            ck_assert_msg(found == NULL, "%s twice", name);
            ck_assert_int_eq(colon[1], ' ');
            found = arena_strndup(arena, colon + 2, length - (size_t)(colon + 2 - line));
        }
        line += length + 2;
    }
    return found;
}

static struct json_object *body(void)
{
    const char *begin = strstr(out.data, "\r\n\r\n") + 4;
    return rig_json(begin, strlen(begin));
}

static void check_field(const char *name, const char *value)
{
    const char *is = field(name);
    ck_assert_msg(is != NULL && strcmp(is, value) == 0, "%s: %s", name, is != NULL ? is : "none");
}

/* ---- judged messages ----------------------------------------------------------------- */

static const struct {
    enum verdict_kind kind;
    int status;
    const char *line, *type, *title;
} kinds[] = {
    {VERDICT_ADMIT, 200, "200 OK", NULL, NULL},
    {VERDICT_MESSAGE, 422, "422 Unprocessable Content", "urn:sendguard:limits-of-one-message",
     "The message has too many recipients"},
    {VERDICT_OVER_TIME, 429, "429 Too Many Requests", "urn:sendguard:limit-over-time",
     "A sending limit is reached"},
    {VERDICT_SUSPENDED, 403, "403 Forbidden", "urn:sendguard:suspended", "Sending is suspended"},
    {VERDICT_BLOCKED, 403, "403 Forbidden", "urn:sendguard:blocked",
     "Too much mail could not be delivered"},
    {VERDICT_UNUSUAL, 429, "429 Too Many Requests", "urn:sendguard:unusual-rate",
     "Far more mail than usual"},
    {VERDICT_NO_STORE, 503, "503 Service Unavailable", "urn:sendguard:store-unavailable",
     "Sending limits cannot be checked now"},
};

START_TEST(test_ruling)
{
    struct verdict verdict = {.kind = kinds[_i].kind, .submission = &submission,
                              .now_ms = NOW, .message = "To read.", .decision = 1};
    text_add(&out, "what was there before");
    ck_assert_int_eq(answer_verdict(&out, &verdict), kinds[_i].status);
    check_field("Status", kinds[_i].line);
    check_field("Cache-Control", "no-store");
    check_field("Content-Type", kinds[_i].status == 200 ? "application/json"
                                                          : "application/problem+json");
    ck_assert_ptr_null(field("RateLimit"));
    ck_assert_ptr_null(field("RateLimit-Policy"));
    struct json_object *json = body();
    ck_assert_str_eq(rig_text(json, "id"), "<1@webmail.example.test>");
    ck_assert_str_eq(rig_text(json, "verdict"), kinds[_i].status == 200 ? "admit" : "refuse");
    if (kinds[_i].type != NULL) {
        ck_assert_str_eq(rig_text(json, "type"), kinds[_i].type);
        ck_assert_str_eq(rig_text(json, "title"), kinds[_i].title);
        ck_assert_str_eq(rig_text(json, "detail"), "To read.");
        ck_assert_int_eq(json_object_get_int(rig_member(json, "status")), kinds[_i].status);
    } else {
        ck_assert(!rig_has(json, "type") && !rig_has(json, "detail") && !rig_has(json, "status"));
    }
    json_object_put(json);
}
END_TEST

START_TEST(test_held)
{
    struct verdict verdict = {.kind = VERDICT_ADMIT, .submission = &submission, .now_ms = NOW,
                              .message = "To read.", .unusual = {.action = UNUSUAL_HOLD}};
    ck_assert_int_eq(answer_verdict(&out, &verdict), 202);
    check_field("Status", "202 Accepted");
    check_field("Content-Type", "application/json");
    struct json_object *json = body();
    ck_assert_str_eq(rig_text(json, "verdict"), "hold");
    ck_assert_str_eq(rig_text(json, "message"), "To read.");
    ck_assert(!rig_has(json, "type"));
    json_object_put(json);
}
END_TEST

static const struct {
    enum verdict_kind kind;
    int64_t wait_ms;
    const char *secs; /* NULL: no Retry-After */
} waits[] = {
    {VERDICT_OVER_TIME, 1, "1"},          {VERDICT_OVER_TIME, 999, "1"},
    {VERDICT_OVER_TIME, 1000, "1"},       {VERDICT_OVER_TIME, 1001, "2"},
    {VERDICT_SUSPENDED, DAY_MS, "86400"}, {VERDICT_OVER_TIME, DAY_MS - 1, "86400"},
    {VERDICT_OVER_TIME, 0, NULL},         {VERDICT_OVER_TIME, -1, NULL},
    {VERDICT_OVER_TIME, -NOW, NULL},      /* retry_at 0: never */
    {VERDICT_SUSPENDED, -NOW, NULL},      /* until lifted */
    {VERDICT_MESSAGE, -NOW, NULL},        {VERDICT_ADMIT, 1000, NULL},
    {VERDICT_NO_STORE, -NOW, "30"},
};

/* Rounded up: who comes back after so many seconds is not too early. */
START_TEST(test_retry_after)
{
    struct verdict verdict = {.kind = waits[_i].kind, .submission = &submission,
                              .now_ms = NOW, .retry_at_ms = NOW + waits[_i].wait_ms,
                              .message = ""};
    answer_verdict(&out, &verdict);
    if (waits[_i].secs != NULL)
        check_field("Retry-After", waits[_i].secs);
    else
        ck_assert_ptr_null(field("Retry-After"));
}
END_TEST

START_TEST(test_rate_limits)
{
    struct verdict verdict = {
        .kind = VERDICT_ADMIT, .submission = &submission, .now_ms = NOW, .message = "",
        .windows = {{.rule = RULE_MESSAGES_PER_DAY, .limit = 600, .used = 412,
                     .refill = {{NOW + 59001, 12}, {NOW + DAY_MS, 400}}, .refill_count = 2},
                    {.rule = RULE_OFF_DOMAIN_PER_DAY, .limit = 1000},
                    {.rule = RULE_OFF_DOMAIN_PER_HOUR_PER_IP, .limit = 0},
                    {.rule = RULE_MESSAGES_PER_HOUR, .limit = 5, .used = 7,
                     .refill = {{NOW - 5, 7}}, .refill_count = 1}},
        .window_count = 4,
    };
    answer_verdict(&out, &verdict);
    check_field("RateLimit-Policy",
                "\"messages_per_day\";q=600;w=86400, \"off_domain_per_day\";q=1000;w=86400, "
                "\"off_domain_per_hour_per_ip\";q=0;w=3600, \"messages_per_hour\";q=5;w=3600");
    check_field("RateLimit",
                "\"messages_per_day\";r=188;t=60, \"off_domain_per_day\";r=1000, "
                "\"off_domain_per_hour_per_ip\";r=0, \"messages_per_hour\";r=0;t=0");
}
END_TEST

/* ---- problems ---------------------------------------------------------------------------- */

static const struct {
    int status;
    const char *line, *type;
} problems[] = {
    {400, "400 Bad Request", "urn:sendguard:bad-request"},
    {401, "401 Unauthorized", "urn:sendguard:bad-request"},
    {404, "404 Not Found", "urn:sendguard:bad-request"},
    {405, "405 Method Not Allowed", "urn:sendguard:bad-request"},
    {413, "413 Content Too Large", "urn:sendguard:bad-request"},
    {415, "415 Unsupported Media Type", "urn:sendguard:bad-request"},
    {503, "503 Service Unavailable", "urn:sendguard:store-unavailable"},
};

START_TEST(test_problem)
{
    struct problem problem;
    problem_set(&problem, problems[_i].status, "to[3]", "\"bob\" is no address: it has no @");
    const char *allow = problems[_i].status == 405 ? "POST" : NULL;
    ck_assert_int_eq(answer_problem(&out, &problem, NULL, allow), problems[_i].status);
    check_field("Status", problems[_i].line);
    check_field("Content-Type", "application/problem+json");
    check_field("Cache-Control", "no-store");
    if (allow != NULL)
        check_field("Allow", "POST");
    else
        ck_assert_ptr_null(field("Allow"));
    if (problems[_i].status == 503)
        check_field("Retry-After", "30");
    else
        ck_assert_ptr_null(field("Retry-After"));
    struct json_object *json = body();
    ck_assert_str_eq(rig_text(json, "type"), problems[_i].type);
    ck_assert_str_eq(rig_text(json, "title"), problems[_i].line + 4);
    ck_assert_int_eq(json_object_get_int(rig_member(json, "status")), problems[_i].status);
    ck_assert_str_eq(rig_text(json, "detail"), "to[3]: \"bob\" is no address: it has no @");
    ck_assert_str_eq(rig_text(json, "where"), "to[3]");
    json_object_put(json);
}
END_TEST

/* What a sender wrote comes back in texts alone: never as a header, never as JSON of its own. */
START_TEST(test_hostile_texts)
{
    static const char *const texts[] = {
        "\"}, \"status\": 200, {\"",          "\\", "a\r\n\r\nX: 1", "\r\nSet-Cookie: a=b",
        "\x01\x02\x1F\x7F",                   "\xFF\xC3", "\xE2\x80\xA8\xF0\x9F\x98\x80",
        "</script><script>alert(1)</script>", "%s%n",
    };
    for (size_t i = 0; i < countof(texts); i++) {
        struct problem problem = {.status = 400};
        strcpy(problem.where, texts[i]);
        strcpy(problem.text, texts[i]);
        answer_problem(&out, &problem, NULL, NULL);
        ck_assert_ptr_null(field("X"));
        ck_assert_ptr_null(field("Set-Cookie"));
        struct json_object *json = body();
        ck_assert_str_eq(rig_text(json, "status"), "400");
        ck_assert_int_eq(json_object_object_length(json), 5);
        json_object_put(json);
        struct verdict verdict = {.kind = VERDICT_MESSAGE, .submission = &submission,
                                  .now_ms = NOW, .message = texts[i]};
        submission.id = texts[i];
        answer_verdict(&out, &verdict);
        ck_assert_ptr_null(field("Set-Cookie"));
        json = body();
        ck_assert_str_eq(rig_text(json, "status"), "422");
        json_object_put(json);
    }
}
END_TEST

/* The longest that a problem can be is told whole. */
START_TEST(test_longest_problem)
{
    struct problem problem = {.status = 400};
    memset(problem.where, 'w', sizeof problem.where - 1);
    memset(problem.text, 't', sizeof problem.text - 1);
    answer_problem(&out, &problem, NULL, NULL);
    struct json_object *json = body();
    ck_assert_uint_eq(strlen(rig_text(json, "detail")),
                      strlen(problem.where) + 2 + strlen(problem.text));
    json_object_put(json);
}
END_TEST

/* ---- the other answers ---------------------------------------------------------------------- */

START_TEST(test_forward)
{
    text_add(&out, "what was there before");
    ck_assert_int_eq(answer_forward(&out, "@webmail"), 200);
    ck_assert_str_eq(text_string(&out), "X-Accel-Redirect: @webmail\r\n\r\n");
}
END_TEST

START_TEST(test_refunded)
{
    ck_assert_int_eq(answer_refunded(&out), 200);
    check_field("Status", "200 OK");
    check_field("Content-Type", "application/json");
    check_field("Cache-Control", "no-store");
    struct json_object *json = body();
    ck_assert_int_eq(json_object_get_type(rig_member(json, "refunded")), json_type_boolean);
    ck_assert_str_eq(rig_text(json, "refunded"), "true");
    json_object_put(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("answer");
    TCase *cases = tcase_create("answer");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, test_ruling, 0, countof(kinds));
    tcase_add_test(cases, test_held);
    tcase_add_loop_test(cases, test_retry_after, 0, countof(waits));
    tcase_add_test(cases, test_rate_limits);
    tcase_add_loop_test(cases, test_problem, 0, countof(problems));
    tcase_add_test(cases, test_hostile_texts);
    tcase_add_test(cases, test_longest_problem);
    tcase_add_test(cases, test_forward);
    tcase_add_test(cases, test_refunded);
    suite_add_tcase(suite, cases);
    return backends_run(suite);
}
