#include "body.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "form.h"
#include "json_body.h"
#include "text.h"

enum kind { KIND_JSON, KIND_URLENCODED, KIND_MULTIPART };

enum member {
    MEMBER_ID,
    MEMBER_MAILBOX,
    MEMBER_IP,
    MEMBER_FROM,
    MEMBER_LANG,
    MEMBER_TO,
    MEMBER_CC,
    MEMBER_BCC,
    MEMBER_DRAFT,
    MEMBER_COUNT,
};

/* One row a member: its name, what Roundcube's form calls it, and how long its
 * text may be before submission.h looks closer. */
static const struct {
    const char *name, *roundcube;
    size_t max_bytes;
} members[MEMBER_COUNT] = {
    [MEMBER_ID] = {"id", NULL, SUBMISSION_MAX_ID_BYTES},
    [MEMBER_MAILBOX] = {"mailbox", NULL, ADDRESS_MAX_BYTES},
    [MEMBER_IP] = {"ip", NULL, 64},
    [MEMBER_FROM] = {"from", "_from", 8 * 1024},
    [MEMBER_LANG] = {"lang", NULL, 64},
    [MEMBER_TO] = {"to", "_to", SUBMISSION_MAX_ADDRESS_BYTES},
    [MEMBER_CC] = {"cc", "_cc", SUBMISSION_MAX_ADDRESS_BYTES},
    [MEMBER_BCC] = {"bcc", "_bcc", SUBMISSION_MAX_ADDRESS_BYTES},
    [MEMBER_DRAFT] = {NULL, "_draft", 64},
};

struct body {
    struct submission *submission;
    enum kind kind;
    bool php_names;
    struct json_body *json;
    struct urlencoded *urlencoded;
    struct multipart *multipart;
    enum member member; /* whose value is coming */
    struct text value;
    bool seen[MEMBER_COUNT];
    struct body_claims claims;
};

static bool is_list(enum member member)
{
    return member == MEMBER_TO || member == MEMBER_CC || member == MEMBER_BCC;
}

static enum field field_of(enum member list)
{
    return list == MEMBER_TO ? FIELD_TO : list == MEMBER_CC ? FIELD_CC : FIELD_BCC;
}

static const char *member_name(enum member member)
{
    return members[member].name != NULL ? members[member].name : members[member].roundcube;
}

/* A member may come once; only recipients add up. */
static int see(struct body *body, enum member member, struct problem *problem)
{
    if (body->seen[member] && !is_list(member))
        return problem_set(problem, 400, member_name(member), "it is given twice");
    body->seen[member] = true;
    return 1;
}

static int too_long(enum member member, struct problem *problem)
{
    return problem_set(problem, 413, member_name(member), "it has at most %zu bytes",
                       members[member].max_bytes);
}

/* Strings that the door reads with C's functions. */
static int set_claim(struct body *body, enum member member, const char *text, size_t length,
                     const char **claim_r, struct problem *problem)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
            return problem_set(problem, 400, member_name(member), "it holds a control character");
    *claim_r = arena_strndup(body->submission->arena, text, length);
    return 1;
}

/* Roundcube's form names the sender by the number of an identity. */
static bool is_identity(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

/* What PHP's empty() says of a string. */
static bool is_set(const char *text, size_t length)
{
    return length > 1 || (length == 1 && text[0] != '0');
}

/* A member's text is complete. */
static int take_text(struct body *body, enum member member, const char *text, size_t length,
                     struct problem *problem)
{
    struct submission *submission = body->submission;
    if (length > members[member].max_bytes)
        return too_long(member, problem);
    switch (member) {
    case MEMBER_ID: return submission_set_id(submission, text, length, problem);
    case MEMBER_MAILBOX:
        return set_claim(body, member, text, length, &body->claims.mailbox, problem);
    case MEMBER_IP: return set_claim(body, member, text, length, &body->claims.ip, problem);
    case MEMBER_FROM:
        if (body->kind != KIND_JSON && is_identity(text, length))
            return 1;
        return submission_set_from(submission, text, length, problem);
    case MEMBER_LANG: return submission_set_lang(submission, text, length, problem);
    case MEMBER_DRAFT: body->claims.draft = is_set(text, length); return 1;
    default: return submission_add_recipients(submission, field_of(member), text, length, problem);
    }
}

/* The name as PHP registers it: without leading spaces, ended by a NUL; what
 * stands before the '[' of a closed pair, or with the characters that no
 * variable has replaced. Returns its new length, 0 for a field that PHP drops. */
static size_t php_name(char *name, size_t length)
{
    size_t blank = 0;
    while (blank < length && name[blank] == ' ')
        blank++;
    length = strnlen(name + blank, length - blank);
    memmove(name, name + blank, length);
    const char *open = memchr(name, '[', length);
    if (open == name)
        return 0;
    if (open != NULL && memchr(open, ']', length - (size_t)(open - name)) != NULL)
        length = (size_t)(open - name);
    for (size_t i = 0; i < length; i++)
        if (name[i] == ' ' || name[i] == '.' || name[i] == '[')
            name[i] = '_';
    return length;
}

static enum member member_of(const char *name, size_t length, bool form)
{
    for (enum member member = 0; member < MEMBER_COUNT; member++) {
        const char *names[] = {members[member].name, form ? members[member].roundcube : NULL};
        for (size_t i = 0; i < countof(names); i++)
            if (names[i] != NULL && strlen(names[i]) == length &&
                memcmp(names[i], name, length) == 0)
                return member;
    }
    return MEMBER_COUNT;
}

static int begin_field(void *context, const char *name, size_t length, bool whole, bool *wanted_r,
                       struct problem *problem)
{
    struct body *body = context;
    char copy[FORM_MAX_NAME_BYTES];
    if (!whole && body->php_names)
        return problem_set(problem, 400, "body", "the name of a field has at most %d bytes",
                           FORM_MAX_NAME_BYTES);
    memcpy(copy, name, length);
    if (body->php_names)
        length = php_name(copy, length);
    body->member = whole ? member_of(copy, length, true) : MEMBER_COUNT;
    *wanted_r = body->member != MEMBER_COUNT;
    text_clear(&body->value);
    return !*wanted_r || see(body, body->member, problem);
}

static int add_value(void *context, const char *bytes, size_t length, struct problem *problem)
{
    struct body *body = context;
    if (length > members[body->member].max_bytes - body->value.length)
        return too_long(body->member, problem);
    text_add_bytes(&body->value, bytes, length);
    return 1;
}

static int end_field(void *context, struct problem *problem)
{
    struct body *body = context;
    return take_text(body, body->member, text_string(&body->value), body->value.length, problem);
}

static int fault_field(void *context, const char *text, struct problem *problem)
{
    const struct body *body = context;
    return problem_set(problem, 400, member_name(body->member), "%s", text);
}

/* One entry of an array: one recipient. */
static int take_entry(struct body *body, enum member member, struct json_object *entry,
                      size_t index, struct problem *problem)
{
    char where[32];
    snprintf(where, sizeof where, "%s[%zu]", members[member].name, index);
    if (!json_object_is_type(entry, json_type_string))
        return problem_set(problem, 400, where, "expected a string with one recipient");
    const char *text = json_object_get_string(entry);
    int taken = submission_add_recipient(body->submission, field_of(member), text,
                                         (size_t)json_object_get_string_len(entry), problem);
    if (!taken && problem->status == 400)
        snprintf(problem->where, sizeof problem->where, "%s", where);
    return taken;
}

static int take_json(struct body *body, enum member member, struct json_object *value,
                     struct problem *problem)
{
    if (json_object_is_type(value, json_type_string))
        return take_text(body, member, json_object_get_string(value),
                         (size_t)json_object_get_string_len(value), problem);
    if (!is_list(member))
        return problem_set(problem, 400, member_name(member), "expected a string");
    if (!json_object_is_type(value, json_type_array))
        return problem_set(problem, 400, member_name(member),
                           "expected an array of strings or one string");
    for (size_t i = 0; i < json_object_array_length(value); i++)
        if (!take_entry(body, member, json_object_array_get_idx(value, i), i, problem))
            return 0;
    return 1;
}

static int end_json(struct body *body, struct problem *problem)
{
    struct json_object *object = NULL;
    if (!json_body_end(body->json, &object, problem))
        return 0;
    for (enum member member = 0; member < MEMBER_COUNT; member++) {
        struct json_object *value = NULL;
        if (members[member].name != NULL &&
            json_object_object_get_ex(object, members[member].name, &value) && value != NULL &&
            !take_json(body, member, value, problem))
            return 0;
    }
    return 1;
}

/* A parameter of a Content-Type: name=value or name="value"; *at is behind the ';'. */
struct parameter {
    const char *name, *value;
    size_t name_length, value_length;
};

static bool next_parameter(const char **at, struct parameter *parameter_r)
{
    const char *next = *at + strspn(*at, " \t");
    parameter_r->name = next;
    parameter_r->name_length = strcspn(next, "=; \t\"");
    next += parameter_r->name_length;
    if (parameter_r->name_length == 0 || *next++ != '=')
        return false;
    bool quoted = *next == '"';
    parameter_r->value = next += quoted;
    parameter_r->value_length = strcspn(next, quoted ? "\"\\" : "; \t\",");
    next += parameter_r->value_length;
    if (quoted && *next++ != '"')
        return false;
    next += strspn(next, " \t");
    *at = next;
    return *next == ';' || *next == '\0';
}

static bool is_word(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && strncasecmp(text, word, length) == 0;
}

static bool is_boundary(const char *text, size_t length)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "'()+_,-./:=? ";
    return length > 0 && length <= FORM_MAX_BOUNDARY_BYTES && strspn(text, allowed) >= length &&
           text[length - 1] != ' ';
}

/* Reads the parameters; *boundary_r stays NULL when there is none. Other
 * parameters than charset are refused beside a boundary: PHP looks for the
 * word boundary anywhere. */
static int read_parameters(const char *at, enum kind kind, struct parameter *boundary_r,
                           struct problem *problem)
{
    while (*at == ';') {
        struct parameter parameter;
        at++;
        if (at[strspn(at, " \t")] == '\0')
            break;
        if (!next_parameter(&at, &parameter))
            return problem_set(problem, 400, "Content-Type", "a parameter is malformed");
        if (is_word(parameter.name, parameter.name_length, "charset")) {
            if (!is_word(parameter.value, parameter.value_length, "utf-8"))
                return problem_set(problem, 415, "Content-Type", "the charset must be utf-8");
        } else if (kind == KIND_MULTIPART) {
            if (!is_word(parameter.name, parameter.name_length, "boundary") ||
                boundary_r->value != NULL)
                return problem_set(problem, 400, "Content-Type",
                                   "expected one boundary and nothing else but a charset");
            *boundary_r = parameter;
        }
    }
    return 1;
}

static int read_content_type(const char *type, enum kind *kind_r, struct parameter *boundary_r,
                             struct problem *problem)
{
    static const char *const types[] = {
        [KIND_JSON] = "application/json",
        [KIND_URLENCODED] = "application/x-www-form-urlencoded",
        [KIND_MULTIPART] = "multipart/form-data",
    };
    size_t length = strcspn(type, "; \t"), kind = 0;
    const char *behind = type + length + strspn(type + length, " \t");
    while (kind < countof(types) && !is_word(type, length, types[kind]))
        kind++;
    if (kind == countof(types) || (*behind != ';' && *behind != '\0'))
        return problem_set(problem, 415, "Content-Type", "expected %s, %s or %s", types[0],
                           types[1], types[2]);
    *kind_r = (enum kind)kind;
    if (!read_parameters(behind, *kind_r, boundary_r, problem))
        return 0;
    if (kind == KIND_MULTIPART &&
        (boundary_r->value == NULL || !is_boundary(boundary_r->value, boundary_r->value_length)))
        return problem_set(problem, 400, "Content-Type",
                           "expected a boundary of 1 to %d characters", FORM_MAX_BOUNDARY_BYTES);
    return 1;
}

int body_new(struct submission *submission, const char *content_type, bool php_names,
             struct body **body_r, struct problem *problem)
{
    enum kind kind = KIND_JSON;
    struct parameter boundary = {0};
    if (!read_content_type(content_type != NULL ? content_type : "", &kind, &boundary, problem))
        return 0;
    struct body *body = xcalloc(1, sizeof *body);
    const struct form_listener listener = {body, begin_field, add_value, end_field, fault_field};
    body->submission = submission;
    body->kind = kind;
    body->php_names = php_names;
    if (kind == KIND_JSON)
        body->json = json_body_new(BODY_MAX_JSON_BYTES);
    else if (kind == KIND_URLENCODED)
        body->urlencoded = urlencoded_new(&listener);
    else
        body->multipart = multipart_new(&listener, boundary.value, boundary.value_length);
    *body_r = body;
    return 1;
}

int body_add(struct body *body, const char *bytes, size_t length, struct problem *problem)
{
    switch (body->kind) {
    case KIND_JSON: return json_body_add(body->json, bytes, length, problem);
    case KIND_URLENCODED: return urlencoded_add(body->urlencoded, bytes, length, problem);
    default: return multipart_add(body->multipart, bytes, length, problem);
    }
}

int body_end(struct body *body, struct body_claims *claims_r, struct problem *problem)
{
    int ended = 0;
    switch (body->kind) {
    case KIND_JSON: ended = end_json(body, problem); break;
    case KIND_URLENCODED: ended = urlencoded_end(body->urlencoded, problem); break;
    default: ended = multipart_end(body->multipart, problem); break;
    }
    if (ended)
        *claims_r = body->claims;
    return ended;
}

void body_free(struct body **body)
{
    if (*body == NULL)
        return;
    json_body_free(&(*body)->json);
    urlencoded_free(&(*body)->urlencoded);
    multipart_free(&(*body)->multipart);
    text_free(&(*body)->value);
    free(*body);
    *body = NULL;
}
