#include "fcgi/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/percent.h"
#include "message/submission.h"

/* The parameters that we go by. */
enum param {
    PARAM_METHOD, PARAM_URI, PARAM_QUERY, PARAM_CONTENT_TYPE, PARAM_CONTENT_LENGTH,
    PARAM_REMOTE_USER, PARAM_REMOTE_ADDR, PARAM_TRUSTED, PARAM_FORWARD, PARAM_LANGUAGES,
    PARAM_COUNT
};
static const struct {
    const char *name;
    size_t length;
} param_names[PARAM_COUNT] = {
#define NAME(text) {text, sizeof text - 1}
    [PARAM_METHOD] = NAME("REQUEST_METHOD"),
    [PARAM_URI] = NAME("REQUEST_URI"),
    [PARAM_QUERY] = NAME("QUERY_STRING"),
    [PARAM_CONTENT_TYPE] = NAME("CONTENT_TYPE"),
    [PARAM_CONTENT_LENGTH] = NAME("CONTENT_LENGTH"),
    [PARAM_REMOTE_USER] = NAME("REMOTE_USER"),
    [PARAM_REMOTE_ADDR] = NAME("REMOTE_ADDR"),
    [PARAM_TRUSTED] = NAME("SENDGUARD_TRUSTED"),
    [PARAM_FORWARD] = NAME("SENDGUARD_FORWARD"),
    [PARAM_LANGUAGES] = NAME("HTTP_ACCEPT_LANGUAGE"),
};

/* One pass over all of them. */
static int read_params(const char *const *params, const char *values[PARAM_COUNT],
                       struct request *request, struct problem *problem)
{
    static const char cookie[] = "HTTP_COOKIE=";
    for (; *params != NULL; params++) {
        size_t length = strcspn(*params, "=");
        if (strncmp(*params, cookie, sizeof cookie - 1) == 0 && strstr(*params, "action") != NULL)
            request->action_in_cookie = true; /* nginx before 1.23 passes each cookie field */
        for (enum param param = 0; param < PARAM_COUNT; param++) {
            if (length != param_names[param].length ||
                memcmp(*params, param_names[param].name, length) != 0)
                continue;
            if (values[param] != NULL && param != PARAM_LANGUAGES)
                return problem_set(problem, 400, param_names[param].name,
                                   "comes twice; nginx must set it once (its fastcgi_params "
                                   "may set it already)");
            values[param] = *params + length + ((*params)[length] == '=');
        }
    }
    return 1;
}

/* NULL: percent_decode says no. */
static const char *decoded(struct arena *arena, const char *text, size_t length)
{
    char *result = arena_alloc(arena, length + 1);
    return percent_decode(text, length, result) ? result : NULL;
}

/* What a query says, each part decoded. */
struct query {
    const char *dry_run, *mailbox, *password_changed, *hints; /* NULL when absent */
};

static int read_part(const char *part, size_t length, struct arena *arena, struct query *query,
                     struct problem *problem)
{
    size_t name_length = strnlen(part, length);
    const char *equals = memchr(part, '=', length);
    if (equals != NULL)
        name_length = (size_t)(equals - part);
    const char *name = decoded(arena, part, name_length);
    const char *value = equals != NULL
                            ? decoded(arena, equals + 1, length - name_length - 1)
                            : "";
    if (name == NULL || value == NULL)
        return problem_set(problem, 400, name != NULL ? name : "query",
                           "has a %% that is not followed by two hexadecimal digits, or a NUL");
    const char **known = strcmp(name, "dry_run") == 0            ? &query->dry_run
                         : strcmp(name, "mailbox") == 0          ? &query->mailbox
                         : strcmp(name, "password_changed") == 0 ? &query->password_changed
                         : strcmp(name, "hints") == 0            ? &query->hints
                                                                 : NULL;
    if (known == NULL)
        return problem_set(problem, 400, "query",
                           "expected dry_run, hints, mailbox or password_changed, found "
                           "\"%.60s\"", name);
    if (*known != NULL)
        return problem_set(problem, 400, name, "is given twice");
    *known = value;
    return 1;
}

static int read_query(const char *text, struct arena *arena, struct request *request,
                      const char **mailbox_r, struct problem *problem)
{
    struct query query = {0};
    while (*text != '\0') {
        size_t length = strcspn(text, "&");
        if (length > 0 && read_part(text, length, arena, &query, problem) < 1)
            return 0;
        text += length + (text[length] == '&');
    }
    if (query.dry_run != NULL && strcmp(query.dry_run, "0") != 0 &&
        strcmp(query.dry_run, "1") != 0)
        return problem_set(problem, 400, "dry_run", "is 1 or 0, or left out");
    request->dry_run = query.dry_run != NULL && query.dry_run[0] == '1';
    if (query.password_changed != NULL &&
        (strcmp(query.password_changed, "1") != 0 || !request->dry_run || !request->trusted))
        return problem_set(problem, 400, "password_changed",
                           "is 1, of a trusted caller's dry run, or left out");
    if (query.hints != NULL && (strcmp(query.hints, "1") != 0 || !request->dry_run))
        return problem_set(problem, 400, "hints", "is 1, of a dry run, or left out");
    request->password_changed = query.password_changed != NULL;
    request->hints = query.hints != NULL;
    *mailbox_r = query.mailbox;
    return 1;
}

/* The path as it was asked for, before nginx decodes it: an id may hold "%2F". */
static int read_path(const char *uri, struct arena *arena, struct request *request,
                     bool *is_item_r, struct problem *problem)
{
    static const char collection[] = "/submissions";
    size_t length = strcspn(uri, "?#");
    const char *path = arena_strndup(arena, uri, length);
    const char *found = NULL;
    for (const char *next = path; (next = strstr(next, collection)) != NULL; next++)
        if (next[sizeof collection - 1] == '\0' || next[sizeof collection - 1] == '/') {
            found = next + sizeof collection - 1;
            break;
        }
    if (found == NULL)
        return problem_set(problem, 404, "path", "there is nothing here but …/submissions");
    *is_item_r = found[0] == '/' && found[1] != '\0';
    if (!*is_item_r)
        return 1;
    request->id = decoded(arena, found + 1, strlen(found + 1));
    if (request->id == NULL || strlen(request->id) > SUBMISSION_MAX_ID_BYTES)
        return problem_set(problem, 400, "path", "the id is no percent-encoded text of at most "
                                                 "%d bytes", SUBMISSION_MAX_ID_BYTES);
    return 1;
}

static int read_length(const char *text, int64_t *length_r, struct problem *problem)
{
    *length_r = 0;
    if (text == NULL || *text == '\0')
        return 1;
    char *end;
    unsigned long long length = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || length > INT64_MAX)
        return problem_set(problem, 400, "Content-Length", "is no number");
    *length_r = (int64_t)length;
    return 1;
}

static const char *copy(struct arena *arena, const char *value)
{
    return value != NULL && *value != '\0' ? arena_strdup(arena, value) : NULL;
}

int request_read(const char *const *params, struct arena *arena, struct request *request_r,
                 const char **allow_r, struct problem *problem)
{
    struct request request = {0};
    const char *values[PARAM_COUNT] = {0}, *query_mailbox = NULL;
    bool is_item = false;
    *allow_r = NULL;
    if (read_params(params, values, &request, problem) < 1)
        return 0;
    const char *method = values[PARAM_METHOD], *remote_addr = values[PARAM_REMOTE_ADDR];
    request.trusted = values[PARAM_TRUSTED] != NULL && strcmp(values[PARAM_TRUSTED], "1") == 0;
    request.forward = copy(arena, values[PARAM_FORWARD]);
    request.mailbox = copy(arena, values[PARAM_REMOTE_USER]);
    if (remote_addr != NULL && strncmp(remote_addr, "unix:", 5) != 0)
        request.remote_addr = copy(arena, remote_addr);
    request.content_type = copy(arena, values[PARAM_CONTENT_TYPE]);
    if (request.content_type == NULL)
        request.content_type = "";
    if (method == NULL || values[PARAM_URI] == NULL)
        return problem_set(problem, 400, "request", "REQUEST_METHOD and REQUEST_URI are missing; "
                                                    "nginx's fastcgi_params has them");
    if (read_length(values[PARAM_CONTENT_LENGTH], &request.content_length, problem) < 1)
        return 0;
    /* In gate mode path and query are the webmail's own. */
    if (request.forward != NULL) {
        request.query = copy(arena, values[PARAM_QUERY]);
        request.languages = copy(arena, values[PARAM_LANGUAGES]);
    } else if (read_path(values[PARAM_URI], arena, &request, &is_item, problem) < 1) {
        return 0;
    }
    if (strcmp(method, is_item ? "DELETE" : "POST") != 0) {
        *allow_r = is_item ? "DELETE" : "POST";
        return problem_set(problem, 405, "method", "only %s is possible here", *allow_r);
    }
    if (request.forward == NULL && values[PARAM_QUERY] != NULL &&
        read_query(values[PARAM_QUERY], arena, &request, &query_mailbox, problem) < 1)
        return 0;
    if (is_item && request.dry_run)
        return problem_set(problem, 400, "dry_run", "is for judging; a refund is no dry run");
    if (!is_item && query_mailbox != NULL)
        return problem_set(problem, 400, "mailbox",
                           "is for refunds; a submission names its mailbox in the body");
    request.asked = is_item ? ASKED_REFUND : ASKED_JUDGE;
    if (request.trusted)
        request.mailbox = query_mailbox;
    *request_r = request;
    return 1;
}
