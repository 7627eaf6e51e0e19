/* Questions and reports of Dovecot's auth policy, one a line: a query, and from the first brace on a
 * body. They come to a program that knows nothing yet. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/login_policy.h"
#include "auth/login_request.h"
#include "base/json.h"

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define NOW_MS (INT64_C(1763790000) * SECOND_MS)
enum { LINES_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct token_key *secret;

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* A file that is both the secret and the key that Dovecot shows. */
static void read_keys(struct login_policy *policy)
{
    char path[] = "/tmp/sendguard-fuzz-login.XXXXXX";
    struct problem problem;
    int fd = mkstemp(path);
    require(fd >= 0 && write(fd, KEY "\n", sizeof KEY) == sizeof KEY && close(fd) == 0);
    require(token_key_load(path, &secret, &problem) == 1);
    require(login_key_read(path, &policy->key, &problem) == 1);
    unlink(path);
}

static struct login_policy *the_policy(void)
{
    static struct login_policy policy;
    static const char *const overrides[] = {"logins.mode=enforce",
                                            "logins.wrong_passwords_per_mailbox_and_ip=2",
                                            "mta.webmail_hosts=192.0.2.0/24"};
    struct settings *settings = NULL;
    struct catalogue *catalogue = NULL;
    struct problem problem;
    if (policy.guard == NULL) {
        log_set_level(LOG_ERROR_LEVEL + 1);
        require(settings_read(NULL, overrides, countof(overrides), &settings, &problem) == 1);
        require(catalogue_load(NULL, &catalogue, &problem) == 1);
        policy.guard = guard_new(NULL, NULL, settings, catalogue);
        read_keys(&policy);
    }
    return &policy;
}

static void check_reading(const struct raw_request *raw, struct arena *arena)
{
    struct login_request request;
    struct problem problem = {0};
    if (login_request_read(raw, arena, &request, &problem)) {
        require(request.mailbox[0] != '\0' && request.ip != NULL);
        require(strlen(request.mailbox) <= LOGIN_REQUEST_MAX_BODY);
        require(request.fingerprint < LOGIN_FINGERPRINTS);
        require(strpbrk(request.mailbox, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL);
        return;
    }
    require(problem.status == 400 || problem.status == 404 || problem.status == 413);
    require(problem.where[0] != '\0' && problem.text[0] != '\0');
}

/* One line of ASCII, as it ends up in logs of mail servers. */
static void check_answer(const struct http_response *response)
{
    const char *answer = text_string(&response->body);
    for (const char *next = answer; *next != '\0'; next++)
        require(response->status != 200 || (*next >= ' ' && *next <= '~'));
    struct json_object *object = json_tokener_parse(answer);
    struct json_object *status = json_member(object, "status");
    require(object != NULL);
    if (response->status == 200)
        require(json_object_is_type(status, json_type_int) && json_object_get_int(status) <= 0);
    else
        require(status == NULL && json_string(object, "error", NULL) != NULL);
    json_object_put(object);
}

/* The body in a heap block of its own size. */
static void ask(struct login_policy *policy, const uint8_t *line, size_t length)
{
    struct arena *arena = arena_new();
    struct http_response response = {.status = 200};
    const uint8_t *brace = memchr(line, '{', length);
    size_t query_length = brace != NULL ? (size_t)(brace - line) : length;
    char *body = xmalloc(length - query_length);
    if (brace != NULL)
        memcpy(body, brace, length - query_length);
    const struct raw_request raw = {
        .method = "POST", .url = "/", .peer = "127.0.0.1", .authorization = "Bearer " KEY,
        .query = arena_strndup(arena, (const char *)line, query_length),
        .body = body, .body_length = length - query_length};
    check_reading(&raw, arena);
    login_policy_answer(policy, &raw, NULL, arena, NOW_MS, &response);
    check_answer(&response);
    http_response_free(&response);
    free(body);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct login_policy *policy = the_policy();
    policy->logins = logins_new(secret);
    for (int lines = 0; lines < LINES_MAX && size > 0; lines++) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end != NULL ? (size_t)(end - data) : size;
        ask(policy, data, length);
        length += end != NULL;
        data += length;
        size -= length;
    }
    logins_free(&policy->logins);
    return 0;
}
