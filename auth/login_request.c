#include "auth/login_request.h"

#include <string.h>

#include "base/json.h"
#include "http/json_body.h"
#include "message/address.h"

#define COMMAND "command="

/* ---- which one it is ------------------------------------------------------------------------- */

static const char *const commands[LOGIN_COMMAND_COUNT] = {"allow", "report", "breached"};

/* Dovecot puts "?command=allow" behind its URL, or "command=allow" where that ends in '&'. */
static int read_command(const char *query, struct login_request *request, struct problem *problem)
{
    const char *next = query != NULL ? query : "";
    while (strncmp(next, COMMAND, strlen(COMMAND)) != 0) {
        next += strcspn(next, "&");
        if (*next == '\0')
            return problem_set(problem, 404, "command", "expected allow or report");
        next++;
    }
    next += strlen(COMMAND);
    size_t length = strcspn(next, "&");
    for (int i = 0; i < LOGIN_COMMAND_COUNT; i++)
        if (length == strlen(commands[i]) && strncmp(next, commands[i], length) == 0) {
            request->command = (enum login_command)i;
            return 1;
        }
    return problem_set(problem, 404, "command", "expected allow or report");
}

/* ---- what it says ---------------------------------------------------------------------------- */

/* As the desk looks it up: a name that is no address is one of a system's own users. Such a one can be
 * kept out for an hour, but not be locked: nobody could name it to open it again. */
static int read_name(struct arena *arena, const char *login, struct login_request *request,
                     struct problem *problem)
{
    if (address_key(arena, login, strlen(login), &request->mailbox, problem) > 0)
        return 1;
    if (request->command == LOGIN_BREACHED)
        return problem_set(problem, 400, "login", "a name that is no address cannot be locked");
    char *name = arena_strdup(arena, login);
    for (char *next = name; *next != '\0'; next++)
        if (*next >= 'A' && *next <= 'Z')
            *next = (char)(*next | 0x20);
    request->mailbox = name;
    return 1;
}

static int read_login(struct json_object *object, struct arena *arena,
                      struct login_request *request, struct problem *problem)
{
    struct json_object *login = json_member(object, "login");
    if (!json_object_is_type(login, json_type_string) || json_object_get_string_len(login) == 0)
        return problem_set(problem, 400, "login", "expected the name of a mailbox");
    const char *name = json_object_get_string(login);
    if (strlen(name) != (size_t)json_object_get_string_len(login))
        return problem_set(problem, 400, "login", "holds a NUL");
    return read_name(arena, name, request, problem);
}

static int digit_of(char character)
{
    static const char digits[] = "0123456789abcdef";
    const char *place = character != '\0' ? strchr(digits, character | 0x20) : NULL;
    return place != NULL ? (int)(place - digits) : -1;
}

/* Its last three hexadecimal digits: with auth_policy_hash_truncate = 12, as by default, all. */
static int read_fingerprint(const char *hash, uint16_t *fingerprint_r, struct problem *problem)
{
    size_t length = strlen(hash);
    unsigned number = 0;
    for (size_t i = length > 3 ? length - 3 : 0; i < length; i++) {
        int digit = digit_of(hash[i]);
        if (digit < 0)
            return problem_set(problem, 400, "pwhash", "expected hexadecimal digits");
        number = number << 4 | (unsigned)digit;
    }
    *fingerprint_r = (uint16_t)number;
    return 1;
}

/* Dovecot 2.4 says why; 2.3 calls it a wrong password when the database does not answer. */
static bool is_wrong_password(const char *fail_type)
{
    static const char *const others[] = {"internal", "policy", "disabled", "expired"};
    for (size_t i = 0; i < countof(others); i++)
        if (strcmp(fail_type, others[i]) == 0)
            return false;
    return true;
}

static int read_scope(const char *scope, struct login_request *request, struct problem *problem)
{
    request->sending_alone = strcmp(scope, "sending") == 0;
    return request->sending_alone || strcmp(scope, "login") == 0 ||
           problem_set(problem, 400, "scope", "expected login or sending");
}

static int read_object(struct json_object *object, struct arena *arena,
                       struct login_request *request, struct problem *problem)
{
    if (!read_login(object, arena, request, problem) ||
        !read_fingerprint(json_string(object, "pwhash", ""), &request->fingerprint, problem))
        return 0;
    request->ip = arena_strdup(arena, json_string(object, "remote", ""));
    request->protocol = login_protocol_of(json_string(object, "protocol", ""));
    request->after = json_string(object, "stage", "")[0] != '\0';
    request->right = json_is_true(object, "success");
    request->counts = !json_is_true(object, "policy_reject") &&
                      is_wrong_password(json_string(object, "fail_type", ""));
    if (request->command == LOGIN_REPORT && json_member(object, "success") == NULL)
        return problem_set(problem, 400, "success", "expected true or false");
    return request->command != LOGIN_BREACHED ||
           read_scope(json_string(object, "scope", "login"), request, problem);
}

int login_request_read(const struct raw_request *raw, struct arena *arena,
                       struct login_request *request_r, struct problem *problem)
{
    struct json_body *body = json_body_new(LOGIN_REQUEST_MAX_BODY);
    struct json_object *object;
    *request_r = (struct login_request){0};
    int good = strcmp(raw->method, "POST") == 0
                   ? read_command(raw->query, request_r, problem)
                   : problem_set(problem, 405, "method", "expected POST");
    good = good && json_body_add(body, raw->body, raw->body_length, problem) &&
           json_body_end(body, &object, problem) &&
           read_object(object, arena, request_r, problem);
    json_body_free(&body);
    return good;
}
