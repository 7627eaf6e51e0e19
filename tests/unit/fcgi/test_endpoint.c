/* The webmail endpoint, whole: parameters and a body from memory in, an answer out. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fcgi/endpoint.h"
#include "tests/unit/guard/guard_rig.h"

static struct endpoint endpoint;
static struct text out;
static int log_fd = -1;

static void begin_endpoint(int backend, const char *const *overrides)
{
    rig_begin(backend, overrides);
    endpoint = (struct endpoint){.guard = guard, .store = store};
    log_fd = memfd_create("log", MFD_CLOEXEC);
    log_set_fd(log_fd);
}

static void end_endpoint(void)
{
    log_set_fd(STDERR_FILENO);
    close(log_fd);
    text_free(&out);
}

/* What was logged so far. */
static const char *logged(void)
{
    off_t length = lseek(log_fd, 0, SEEK_END);
    char *lines = arena_alloc(arena, (size_t)length + 1);
    ck_assert_int_eq(pread(log_fd, lines, (size_t)length, 0), length);
    return lines;
}

static int lines_with(const char *part)
{
    int count = 0;
    for (const char *next = logged(); (next = strstr(next, part)) != NULL; next++)
        count++;
    return count;
}

/* ---- a request ----------------------------------------------------------------- */

struct call {
    const char *method, *uri, *type; /* POST, /submissions, application/json when left out */
    const char *param[4];            /* more parameters */
    const char *body;
    size_t length; /* of the body; 0: it is a string */
    int piece;     /* bytes a read gives at most; 0: as many as fit */
    int64_t breaks_at; /* the peer goes away behind so many bytes; 0: never */
    int breaks_with;   /* what read answers then: -1, or 0 for an end that is too early */
};

struct memory {
    const struct call *call;
    size_t length, at;
    bool ended;
};

static int read_memory(void *context, char *buffer, int size)
{
    struct memory *memory = context;
    size_t rest = memory->length - memory->at;
    size_t count = rest < (size_t)size ? rest : (size_t)size;
    ck_assert_msg(!memory->ended, "read behind the end");
    if (memory->call->piece > 0 && count > (size_t)memory->call->piece)
        count = (size_t)memory->call->piece;
    if (memory->call->breaks_at > 0 && memory->at + count > (size_t)memory->call->breaks_at) {
        count = (size_t)memory->call->breaks_at - memory->at;
        if (count == 0)
            memory->ended = true;
        if (count == 0 && memory->call->breaks_with < 0)
            return -1;
    }
    memory->ended = memory->ended || count == 0;
    memcpy(buffer, memory->call->body + memory->at, count);
    memory->at += count;
    return (int)count;
}

/* The answer's status, 0 when the request was incomplete. The body is always read to its end. */
static int handle_at(const struct call *call, int64_t now_ms)
{
    const char *params[16], *body = call->body != NULL ? call->body : "";
    struct call copy = *call;
    struct memory memory = {.call = &copy, .length = call->length};
    struct body_source source = {read_memory, &memory};
    copy.body = body;
    if (memory.length == 0)
        memory.length = strlen(body);
    const char *uri = call->uri != NULL ? call->uri : "/sendguard/submissions";
    const char *query = strchr(uri, '?');
    size_t count = 0;
    params[count++] = arena_printf(arena, "REQUEST_METHOD=%s",
                                   call->method != NULL ? call->method : "POST");
    params[count++] = arena_printf(arena, "REQUEST_URI=%s", uri);
    params[count++] = arena_printf(arena, "QUERY_STRING=%s", query != NULL ? query + 1 : "");
    params[count++] = arena_printf(arena, "CONTENT_TYPE=%s",
                                   call->type != NULL ? call->type : "application/json");
    params[count++] = arena_printf(arena, "CONTENT_LENGTH=%zu", memory.length);
    for (size_t i = 0; i < countof(call->param) && call->param[i] != NULL; i++)
        params[count++] = call->param[i];
    params[count] = NULL;
    struct endpoint_exchange *to_judge;
    int answered = endpoint_read(&endpoint, params, &source, arena, now_ms, &out, &to_judge);
    if (answered > 0 && to_judge != NULL)
        endpoint_judge(&endpoint, &to_judge, 1, now_ms);
    ck_assert_msg(memory.ended, "%zu of %zu bytes were read", memory.at, memory.length);
    if (answered == 0)
        return 0;
    return strncmp(out.data, "Status: ", 8) == 0 ? atoi(out.data + 8) : -1; /* -1: forwarded */
}

static int handle(const struct call *call) { return handle_at(call, NOW); }

static struct json_object *answer(void)
{
    const char *begin = strstr(out.data, "\r\n\r\n") + 4;
    return rig_json(begin, strlen(begin));
}

/* A member of the answer as text. */
static const char *told(const char *path)
{
    struct json_object *json = answer();
    const char *text = arena_strdup(arena, rig_text(json, path));
    json_object_put(json);
    return text;
}

#define SIGNED_IN "REMOTE_USER=" ALICE, "REMOTE_ADDR=192.0.2.1"
#define TRUSTED "SENDGUARD_TRUSTED=1"
#define FORWARD "SENDGUARD_FORWARD=@webmail"
#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"

static uint64_t messages_used(void) { return rig_used(RULE_MESSAGES_PER_DAY, NOW); }

/* ---- judging ------------------------------------------------------------------- */

START_TEST(test_signed_in)
{
    begin_endpoint(_i, DEFAULTS);
    struct call call = {.param = {SIGNED_IN},
                        .body = "{\"id\":\"1\",\"mailbox\":\"bob@example.test\","
                                "\"ip\":\"203.0.113.7\",\"to\":[\"Zoe <zoe@x.test>\"]}"};
    ck_assert_int_eq(handle(&call), 200);
    ck_assert_str_eq(told("verdict"), "admit");
    ck_assert_str_eq(told("id"), "1");
    ck_assert_str_eq(told("mailbox"), ALICE); /* not what the body says */
    ck_assert_uint_eq(messages_used(), 1);
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW), 1);
    ck_assert_int_eq(handle(&call), 200);
    ck_assert_str_eq(told("repeated"), "true");
}
END_TEST

START_TEST(test_trusted)
{
    begin_endpoint(_i, DEFAULTS);
    struct call call = {.param = {TRUSTED, "REMOTE_USER=bob@example.test", "REMOTE_ADDR=10.0.0.1"},
                        .body = "{\"mailbox\":\"ALICE@Example.Test\",\"ip\":\"192.0.2.1\","
                                "\"to\":\"zoe@x.test\"}"};
    ck_assert_int_eq(handle(&call), 200);
    ck_assert_str_eq(told("mailbox"), ALICE);
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW), 1);
    call.body = "{\"mailbox\":\"alice@example.test\",\"to\":\"zoe@x.test\"}"; /* no IP: of nobody */
    ck_assert_int_eq(handle(&call), 200);
    ck_assert_uint_eq(messages_used(), 2);
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW), 1);
}
END_TEST

START_TEST(test_made_id)
{
    begin_endpoint(_i, DEFAULTS);
    struct call call = {.param = {SIGNED_IN}, .body = "{\"to\":\"zoe@x.test\"}"};
    ck_assert_int_eq(handle(&call), 200);
    const char *first = told("id");
    ck_assert_uint_eq(strlen(first), 24);
    ck_assert_int_eq(handle(&call), 200);
    ck_assert_str_ne(told("id"), first);
    ck_assert_uint_eq(messages_used(), 2);
    struct call back = {.method = "DELETE", .param = {SIGNED_IN},
                        .uri = arena_printf(arena, "/submissions/%s", first)};
    ck_assert_int_eq(handle(&back), 200);
    ck_assert_uint_eq(messages_used(), 1);
}
END_TEST

START_TEST(test_dry_run)
{
    begin_endpoint(_i, DEFAULTS);
    struct call call = {.uri = "/submissions?dry_run=1", .param = {SIGNED_IN},
                        .body = "{\"to\":\"zoe@x.test\"}"};
    ck_assert_int_eq(handle(&call), 200);
    ck_assert_str_eq(told("dry_run"), "true");
    ck_assert_str_eq(told("decision"), "null");
    ck_assert_uint_eq(messages_used(), 0);
    ck_assert_str_eq(logged(), "");
}
END_TEST

/* Nobody is named yet: a message is refused for it, and a question is not. */
START_TEST(test_no_recipient_yet)
{
    begin_endpoint(_i, WITH("limits.webmail.messages_per_day=5"));
    rig_send("sent", 4, NOW - SECOND_MS, 1);
    struct call call = {.uri = "/submissions?dry_run=1&hints=1", .param = {SIGNED_IN},
                        .body = "{\"tz\":\"UTC\",\"to\":[]}"};
    ck_assert_int_eq(handle(&call), 200);
    ck_assert_str_eq(told("shown.hints.0.text"), "1 message left today");
    for (size_t i = 0; i < 2; i++) {
        call.uri = i == 0 ? "/submissions" : "/submissions?dry_run=1";
        ck_assert_int_eq(handle(&call), 400);
        ck_assert_str_eq(told("where"), "to");
    }
    ck_assert_uint_eq(messages_used(), 4);
}
END_TEST

/* While it is typed, an entry that is no address is named, and the others are told of all the same. */
START_TEST(test_hints_beside_an_unreadable_entry)
{
    begin_endpoint(_i, WITH("limits.webmail.recipients_per_field=1"));
    struct call call = {
        .uri = "/submissions?dry_run=1&hints=1", .param = {SIGNED_IN},
        .body = "{\"tz\":\"UTC\",\"lang\":\"de\",\"to\":[\"zoe@x.test\",\"a@b..c\","
                "\"yan@x.test\"],\"cc\":[\"Bob <bob@>\"]}"};
    ck_assert_int_eq(handle(&call), 422);
    ck_assert_str_eq(told("shown.hints.0.text"), "\"a@b..c\" ist keine Adresse");
    ck_assert_str_eq(told("shown.hints.0.field"), "to");
    ck_assert_str_eq(told("shown.hints.0.entry"), "1");
    ck_assert_str_eq(told("shown.hints.1.text"), "\"Bob <bob@>\" ist keine Adresse");
    ck_assert_str_eq(told("shown.hints.1.field"), "cc");
    ck_assert_str_eq(told("shown.hints.1.entry"), "0");
    ck_assert_str_eq(told("shown.hints.2.rule"), "recipients_per_field");
    ck_assert_str_eq(told("shown.hints.2.field"), "to");
    call.uri = "/submissions?dry_run=1";
    ck_assert_int_eq(handle(&call), 400);
    ck_assert_str_eq(told("where"), "to[1]");
}
END_TEST

/* Of very many, some are named. */
START_TEST(test_hints_beside_many_unreadable_entries)
{
    begin_endpoint(_i, DEFAULTS);
    freed_by(text_free) struct text body = {0};
    text_add(&body, "{\"tz\":\"UTC\",\"to\":[\"x\"");
    for (int i = 0; i < 1000; i++)
        text_add(&body, ",\"@\"");
    text_add(&body, "]}");
    struct call call = {.uri = "/submissions?dry_run=1&hints=1", .param = {SIGNED_IN},
                        .body = text_string(&body)};
    ck_assert_int_eq(handle(&call), 200);
    ck_assert_str_eq(told("shown.hints.19.entry"), "19");
    ck_assert_ptr_null(strstr(out.data, "\"entry\":20"));
}
END_TEST

/* Hints are limited; all else of the mailbox, and hints of others, are not. */
START_TEST(test_hints_asked_too_often)
{
    begin_endpoint(_i, DEFAULTS);
    struct call call = {.uri = "/submissions?dry_run=1&hints=1", .param = {SIGNED_IN},
                        .body = "{\"tz\":\"UTC\",\"to\":\"zoe@x.test\"}"};
    for (int i = 0; i < HINTS_AT_ONCE; i++)
        ck_assert_int_eq(handle(&call), 200);
    ck_assert_int_eq(handle(&call), 429);
    ck_assert_str_eq(told("where"), "hints");
    ck_assert_int_eq(handle_at(&call, NOW + HINTS_EACH_MS), 200);
    ck_assert_int_eq(handle_at(&call, NOW + HINTS_EACH_MS), 429);
    call.uri = "/submissions?dry_run=1";
    ck_assert_int_eq(handle(&call), 200);
    ck_assert_ptr_null(strstr(out.data, "\"hints\""));
    call.uri = "/submissions";
    ck_assert_int_eq(handle(&call), 200);
    struct call of_bob = {.uri = "/submissions?dry_run=1&hints=1", .body = call.body,
                          .param = {"REMOTE_USER=" BOB, "REMOTE_ADDR=192.0.2.1"}};
    ck_assert_int_eq(handle(&of_bob), 200);
}
END_TEST

START_TEST(test_refusals)
{
    begin_endpoint(_i, WITH("limits.webmail.messages_per_hour=1",
                            "limits.webmail.messages_per_day=2",
                            "limits.webmail.recipients_per_domain=2"));
    struct call call = {.param = {SIGNED_IN},
                        .body = "{\"to\":[\"a@x.test\",\"b@x.test\",\"c@x.test\"]}"};
    ck_assert_int_eq(handle(&call), 422);
    ck_assert_str_eq(told("reasons.0.domain"), "x.test");
    ck_assert_str_eq(told("detail"), told("message"));
    call.body = "{\"to\":\"zoe@x.test\"}";
    ck_assert_int_eq(handle(&call), 200);
    ck_assert_int_eq(handle(&call), 429);
    ck_assert_ptr_nonnull(strstr(out.data, "\r\nRetry-After: 3600\r\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "\r\nRateLimit: "));
    ck_assert_int_eq(handle_at(&call, NOW + HOUR_MS), 200);
    ck_assert_int_eq(handle_at(&call, NOW + 2 * HOUR_MS), 403);
    ck_assert_str_eq(told("suspension.brought"), "true");
    ck_assert_ptr_nonnull(strstr(out.data, "\r\nRetry-After: 86400\r\n"));
    ck_assert_int_eq(lines_with("status=422"), 1);
    ck_assert_int_eq(lines_with("verdict=over_time status=429"), 1);
    ck_assert_int_eq(lines_with("rule=messages_per_day"), 1);
    ck_assert_int_eq(lines_with("verdict=admit"), 2);
}
END_TEST

/* ---- what is wrong with a request ---------------------------------------------- */

static const struct {
    const char *name;
    struct call call;
    int status;
    const char *where;
} faults[] = {
    {"nobody signed in", {.body = "{\"to\":\"zoe@x.test\"}"}, 401, "mailbox"},
    {"nobody signed in, a mailbox in the body",
     {.body = "{\"mailbox\":\"alice@example.test\",\"to\":\"zoe@x.test\"}"}, 401, "mailbox"},
    {"empty sign-in", {.param = {"REMOTE_USER="}, .body = "{\"to\":\"zoe@x.test\"}"}, 401,
     "mailbox"},
    {"trusted without a mailbox",
     {.param = {TRUSTED, SIGNED_IN}, .body = "{\"to\":\"zoe@x.test\"}"}, 401, "mailbox"},
    {"trusted with an empty mailbox",
     {.param = {TRUSTED}, .body = "{\"mailbox\":\"\",\"to\":\"zoe@x.test\"}"}, 401, "mailbox"},
    {"signed in without a domain",
     {.param = {"REMOTE_USER=alice"}, .body = "{\"to\":\"zoe@x.test\"}"}, 400, "mailbox"},
    {"trusted with a bad IP",
     {.param = {TRUSTED},
      .body = "{\"mailbox\":\"alice@example.test\",\"ip\":\"x\",\"to\":\"zoe@x.test\"}"}, 400,
     "ip"},
    {"no recipient", {.param = {SIGNED_IN}, .body = "{\"to\":[],\"cc\":\"\"}"}, 400, "to"},
    {"no JSON", {.param = {SIGNED_IN}, .body = "{\"to\":"}, 400, "body"},
    {"no body", {.param = {SIGNED_IN}}, 400, "body"},
    {"bad recipient", {.param = {SIGNED_IN}, .body = "{\"to\":[\"zoe@x.test\",\"bob\"]}"}, 400,
     "to[1]"},
    {"empty id", {.param = {SIGNED_IN}, .body = "{\"id\":\"\",\"to\":\"zoe@x.test\"}"}, 400, "id"},
    {"another type", {.param = {SIGNED_IN}, .type = "text/plain", .body = "zoe@x.test"}, 415,
     "Content-Type"},
    {"no type", {.param = {SIGNED_IN}, .type = "", .body = "zoe@x.test"}, 415, "Content-Type"},
    {"multipart without boundary",
     {.param = {SIGNED_IN}, .type = "multipart/form-data", .body = "x"}, 400, "Content-Type"},
    {"bad form",
     {.param = {SIGNED_IN}, .type = FORM, .body = "subject=%zz&to=zoe%4&cc=b@x.test"}, 400, "to"},
    {"another path", {.uri = "/x", .param = {SIGNED_IN}, .body = "zoe@x.test"}, 404, "path"},
    {"another method", {.method = "PUT", .param = {SIGNED_IN}, .body = "zoe@x.test"}, 405,
     "method"},
    {"bad query",
     {.uri = "/submissions?dry_run=x", .param = {SIGNED_IN}, .body = "{\"to\":\"zoe@x.test\"}"},
     400, "dry_run"},
    {"refund by nobody", {.method = "DELETE", .uri = "/submissions/1", .body = "zoe@x.test"},
     401, "mailbox"},
    {"trusted refund for nobody",
     {.method = "DELETE", .uri = "/submissions/1", .param = {TRUSTED, SIGNED_IN}}, 401,
     "mailbox"},
    {"refund for no mailbox",
     {.method = "DELETE", .uri = "/submissions/1?mailbox=x", .param = {TRUSTED}}, 400, "mailbox"},
    {"refund of no id",
     {.method = "DELETE", .uri = "/submissions/%00", .param = {SIGNED_IN}, .body = "zoe@x.test"},
     400, "path"},
    {"refund of what is not there",
     {.method = "DELETE", .uri = "/submissions/1", .param = {SIGNED_IN}, .body = "zoe@x.test"},
     404, "id"},
};

static void check_fault(size_t number, int piece)
{
    struct call call = faults[number].call;
    call.piece = piece;
    int status = handle(&call);
    ck_assert_msg(status == faults[number].status, "%s: %d: %s", faults[number].name, status,
                  out.data);
    ck_assert_msg(strcmp(told("where"), faults[number].where) == 0, "%s: %s",
                  faults[number].name, told("where"));
    ck_assert_int_eq(atoi(told("status")), faults[number].status);
}

START_TEST(test_faults)
{
    begin_endpoint(BACKEND_SQLITE, DEFAULTS);
    for (size_t i = 0; i < countof(faults); i++) {
        check_fault(i, 0);
        check_fault(i, 1);
    }
    ck_assert_uint_eq(messages_used(), 0);
    ck_assert_str_eq(logged(), ""); /* what is wrong with a request is its sender's affair */
}
END_TEST

/* Far more than is kept, and refused early: still read to its end. */
START_TEST(test_too_large)
{
    enum { LENGTH = 6 * 1024 * 1024 };
    begin_endpoint(BACKEND_SQLITE, DEFAULTS);
    char *body = malloc(LENGTH);
    ck_assert_ptr_nonnull(body);
    memset(body, ' ', LENGTH);
    memcpy(body, "{\"to\":\"zoe@x.test\"", 18);
    body[LENGTH - 1] = '}';
    struct call call = {.param = {SIGNED_IN}, .body = body, .length = LENGTH};
    ck_assert_int_eq(handle(&call), 413);
    ck_assert_uint_eq(messages_used(), 0);
    free(body);
}
END_TEST

/* ---- bodies that break off ----------------------------------------------------- */

static const struct call broken[] = {
    {.param = {SIGNED_IN}, .body = "{\"to\":\"zoe@x.test\"}   "},
    {.param = {SIGNED_IN}, .type = FORM, .body = "to=zoe@x.test&cc=bob@x.test"},
    {.param = {SIGNED_IN, FORWARD}, .type = FORM, .body = "_to=zoe@x.test&_message=hello"},
    {.param = {SIGNED_IN}, .type = FORM, .body = "to=%zz&cc=bob@x.test&subject=hello"},
};

/* Behind every byte but the last: no answer, nothing counted, nothing said. */
START_TEST(test_breaks_off)
{
    struct call call = broken[_i];
    begin_endpoint(BACKEND_SQLITE, DEFAULTS);
    for (call.breaks_with = -1; call.breaks_with <= 0; call.breaks_with++)
        for (call.breaks_at = 1; call.breaks_at < (int64_t)strlen(call.body); call.breaks_at++)
            ck_assert_msg(handle(&call) == 0, "behind byte %d", (int)call.breaks_at);
    ck_assert_uint_eq(messages_used(), 0);
    ck_assert_str_eq(logged(), "");
}
END_TEST

START_TEST(test_breaks_off_where_no_body_counts)
{
    static const struct call calls[] = {
        {.uri = "/x", .body = "zoe@x.test"},
        {.type = "text/plain", .param = {SIGNED_IN}, .body = "zoe@x.test"},
        {.method = "DELETE", .uri = "/submissions/1", .param = {SIGNED_IN}, .body = "zoe@x.test"},
    };
    begin_endpoint(BACKEND_SQLITE, DEFAULTS);
    struct call sent = {.param = {SIGNED_IN}, .body = "{\"id\":\"1\",\"to\":\"zoe@x.test\"}"};
    ck_assert_int_eq(handle(&sent), 200);
    for (size_t i = 0; i < countof(calls); i++) {
        struct call call = calls[i];
        call.breaks_at = 3;
        call.breaks_with = -1;
        ck_assert_int_eq(handle(&call), 0);
    }
    ck_assert_uint_eq(messages_used(), 1); /* nor was it refunded */
}
END_TEST

/* ---- the gate ------------------------------------------------------------------ */

static const struct {
    const char *name, *type, *body;
    int status; /* -1: forwarded */
    uint64_t used;
    const char *query; /* NULL: "?_task=mail&dry_run=1" */
} gates[] = {
    {"a send", FORM, "_task=mail&_action=send&_to=zoe@x.test&_message=hello", -1, 1, NULL},
    {"a send in parts", "multipart/form-data; boundary=b",
     "--b\r\nContent-Disposition: form-data; name=\"_to\"\r\n\r\nzoe@x.test\r\n"
     "--b\r\nContent-Disposition: form-data; name=\"_message\"\r\n\r\nhello\r\n--b--\r\n",
     -1, 1, NULL},
    {"a draft", FORM, "_task=mail&_action=send&_draft=1&_to=zoe@x.test", -1, 0, NULL},
    {"no draft", FORM, "_task=mail&_action=send&_draft=&_to=zoe@x.test", -1, 1, NULL},
    {"a sign-in", FORM, "_task=login&_user=alice&_pass=secret", -1, 0, NULL},
    {"too many", FORM, "_action=send&_to=a@x.test,b@x.test,c@x.test", 422, 0, NULL},
    {"no address", FORM, "_action=send&_to=a@b@c", 400, 0, NULL},
    {"recipients in the query", FORM, "_message=hello", -1, 1, "?to=zoe@x.test"},
    {"more of them there", FORM, "_to=a@x.test,b@x.test", 422, 0, "?_to=c@x.test"},
    {"JSON, with more that the webmail's means", JSON,
     "{\"from\":7,\"id\":[],\"to\":[\"Zoe <zoe@x.test>\"],\"cc\":null,\"lang\":{}}", -1, 1, NULL},
    {"a name with an address in it", JSON,
     "{\"to\":[\"zoe@x.test\",\"\\\"<eve@y.test>\\\" <zoe@x.test>\"]}", 400, 0, NULL},
    {"a comment with an address in it", JSON, "{\"to\":[\"zoe@x.test (<eve@y.test>)\"]}", 400, 0,
     NULL},
    {"JSON without recipients", JSON, "{\"to\":[],\"cc\":null}", -1, 0, NULL},
    {"a sender's word", FORM, "_to=a@x.test&mailbox=1&ip=x&id=&lang=de_DE&from=Alice", -1, 1, NULL},
};

START_TEST(test_gate)
{
    begin_endpoint(BACKEND_SQLITE, WITH("limits.webmail.recipients_per_domain=2"));
    const char *query = gates[_i].query != NULL ? gates[_i].query : "?_task=mail&dry_run=1";
    freed_by(free_string) char *uri = xasprintf("/roundcube/%s", query);
    struct call call = {.uri = uri, .type = gates[_i].type,
                        .param = {SIGNED_IN, FORWARD}, .body = gates[_i].body};
    int status = handle(&call);
    ck_assert_msg(status == gates[_i].status, "%s: %d: %s", gates[_i].name, status, out.data);
    if (status == -1)
        ck_assert_str_eq(text_string(&out), "X-Accel-Redirect: @webmail\r\n\r\n");
    ck_assert_uint_eq(messages_used(), gates[_i].used);
}
END_TEST

/* The id comes from the sender's own browser, who could send all day under one. */
START_TEST(test_gate_believes_no_id)
{
    begin_endpoint(BACKEND_SQLITE, DEFAULTS);
    struct call call = {.type = FORM, .param = {SIGNED_IN, FORWARD}, .body = "id=1&_to=zoe@x.test"};
    struct call json = {.param = {SIGNED_IN, FORWARD},
                        .body = "{\"id\":\"1\",\"to\":\"zoe@x.test\"}"};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(handle(&call), -1);
        ck_assert_int_eq(handle(&json), -1);
    }
    ck_assert_uint_eq(messages_used(), 6);
}
END_TEST

/* A webmail without a plugin shows the message as it is. */
START_TEST(test_gate_speaks_the_browsers_language)
{
    begin_endpoint(BACKEND_SQLITE, WITH("limits.webmail.recipients_per_domain=2"));
    struct call call = {
        .param = {SIGNED_IN, FORWARD, "HTTP_ACCEPT_LANGUAGE=tlh, de-AT;q=0.9, en;q=0.5"},
        .body = "{\"to\":[\"a@x.test\",\"b@x.test\",\"c@x.test\"]}"};
    ck_assert_int_eq(handle(&call), 422);
    ck_assert_ptr_nonnull(strstr(told("message"), "nicht gesendet"));
    call.body = "{\"to\":[\"a@x.test\",\"b@x.test\",\"c@x.test\"],\"locale\":\"fr\"}";
    ck_assert_int_eq(handle(&call), 422);
    ck_assert_ptr_nonnull(strstr(told("message"), "pas \303\251t\303\251 envoy"));
    call.body = "{\"to\":[\"a@x.test\",\"b@x.test\",\"c@x.test\"],\"locale\":\"fr_FR\"}";
    ck_assert_int_eq(handle(&call), 422);
    ck_assert_ptr_nonnull(strstr(told("message"), "nicht gesendet"));
    call.body = "{\"to\":[\"a@b@c\"]}";
    ck_assert_int_eq(handle(&call), 400);
    ck_assert_ptr_nonnull(strstr(told("message"), "An, "));
    call.body = "{";
    ck_assert_int_eq(handle(&call), 400);
    ck_assert_str_eq(told("message"), "body: expected a JSON object, but it is cut off");
}
END_TEST

START_TEST(test_gate_needs_a_sign_in)
{
    begin_endpoint(BACKEND_SQLITE, DEFAULTS);
    struct call call = {.type = FORM, .param = {FORWARD}, .body = "_to=zoe@x.test"};
    ck_assert_int_eq(handle(&call), 401);
    call.body = "_user=alice";
    ck_assert_int_eq(handle(&call), -1);
}
END_TEST

/* ---- refunds --------------------------------------------------------------- */

START_TEST(test_refund)
{
    begin_endpoint(_i, DEFAULTS);
    struct call send = {.param = {SIGNED_IN},
                        .body = "{\"id\":\"<a/b@x>\",\"to\":\"zoe@x.test\"}"};
    struct call by_other = {.method = "DELETE", .uri = "/submissions/%3Ca%2Fb@x%3E",
                            .param = {"REMOTE_USER=" BOB}};
    struct call by_alice = {.method = "DELETE", .uri = "/submissions/%3Ca%2Fb@x%3E",
                            .param = {SIGNED_IN}};
    struct call trusted = {.method = "DELETE", .param = {TRUSTED},
                           .uri = "/submissions/%3Ca%2Fb@x%3E?mailbox=Alice%40example.test"};
    ck_assert_int_eq(handle(&send), 200);
    ck_assert_int_eq(handle(&by_other), 404);
    ck_assert_uint_eq(messages_used(), 1);
    ck_assert_int_eq(handle(&by_alice), 200);
    ck_assert_str_eq(told("refunded"), "true");
    ck_assert_uint_eq(messages_used(), 0);
    ck_assert_int_eq(handle(&by_alice), 404);
    ck_assert_int_eq(handle(&send), 200);
    ck_assert_int_eq(handle(&trusted), 200);
    ck_assert_uint_eq(messages_used(), 0);
    ck_assert_int_eq(lines_with("refunded"), 2);
}
END_TEST

/* ---- a silent store, and the log ----------------------------------------------- */

static int log_lines(void) { return lines_with("\n"); }

/* Told once when it falls silent and once when it is back, with how many went unanswered. */
START_TEST(test_silent_store)
{
    begin_endpoint(BACKEND_SQLITE, DEFAULTS);
    struct call send = {.param = {SIGNED_IN}, .body = "{\"to\":\"zoe@x.test\"}"};
    struct call back = {.method = "DELETE", .uri = "/submissions/1", .param = {SIGNED_IN}};
    ck_assert_int_eq(handle(&send), 200);
    const char *path = backend_url() + strlen("sqlite://");
    const char *aside = arena_printf(arena, "%s.aside", path);
    ck_assert_int_eq(rename(path, aside), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(handle(&send), 503);
    ck_assert_ptr_nonnull(strstr(out.data, "\r\nRetry-After: 30\r\n"));
    ck_assert_str_eq(told("verdict"), "refuse");
    ck_assert_int_eq(handle(&back), 503);
    ck_assert_str_eq(told("where"), "store");
    ck_assert_int_eq(lines_with("msg=\"store does not answer\""), 1);
    ck_assert_int_eq(rename(aside, path), 0);
    ck_assert_int_eq(handle(&send), 200);
    ck_assert_int_eq(lines_with("msg=\"store answers again\" unanswered=4"), 1);
    ck_assert_int_eq(log_lines(), 4);
}
END_TEST

/* A line for each decision, with what support asks for and without any recipient. */
START_TEST(test_log)
{
    begin_endpoint(_i, WITH("guard.mode=observe", "limits.webmail.recipients_per_message=2"));
    struct call call = {.param = {SIGNED_IN},
                        .body = "{\"id\":\"1\",\"to\":\"Zoe <zoe@x.test>, yan@y.test\","
                                "\"bcc\":\"max@example.test\",\"from\":\"alias@example.test\"}"};
    ck_assert_int_eq(handle(&call), 200);
    ck_assert_str_eq(told("observed"), "true");
    const char *first = told("decision");
    ck_assert_int_eq(handle(&call), 200); /* repeated */
    ck_assert_int_eq(log_lines(), 2);
    ck_assert_int_eq(lines_with("mailbox=" ALICE " ip=192.0.2.1 recipients=3"), 2);
    ck_assert_int_eq(lines_with(arena_printf(arena, "msg=decision decision=%s verdict=observed "
                                                    "status=200 ", first)), 1);
    ck_assert_int_eq(lines_with("verdict=repeated status=200 "), 1);
    ck_assert_int_eq(lines_with("rule=recipients_per_message\n"), 1);
    static const char *const private[] = {"zoe", "Zoe", "yan", "max", "y.test", "alias"};
    for (size_t i = 0; i < countof(private); i++)
        ck_assert_msg(lines_with(private[i]) == 0, "%s", logged());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("endpoint");
    TCase *cases = rig_case(suite, "endpoint");
    tcase_add_checked_fixture(cases, NULL, end_endpoint);
    tcase_add_loop_test(cases, test_signed_in, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_trusted, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_made_id, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_dry_run, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_no_recipient_yet, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hints_asked_too_often, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hints_beside_an_unreadable_entry, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hints_beside_many_unreadable_entries, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refusals, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_faults);
    tcase_add_test(cases, test_too_large);
    tcase_add_loop_test(cases, test_breaks_off, 0, countof(broken));
    tcase_add_test(cases, test_breaks_off_where_no_body_counts);
    tcase_add_loop_test(cases, test_gate, 0, countof(gates));
    tcase_add_test(cases, test_gate_believes_no_id);
    tcase_add_test(cases, test_gate_speaks_the_browsers_language);
    tcase_add_test(cases, test_gate_needs_a_sign_in);
    tcase_add_loop_test(cases, test_refund, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_silent_store);
    tcase_add_loop_test(cases, test_log, 0, BACKEND_KINDS);
    return backends_run(suite);
}
