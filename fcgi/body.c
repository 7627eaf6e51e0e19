#include "body.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "content_type.h"
#include "form.h"
#include "json_body.h"
#include "text.h"

enum member {
    MEMBER_ID,
    MEMBER_MAILBOX,
    MEMBER_IP,
    MEMBER_FROM,
    MEMBER_LANG,
    MEMBER_TO,
    MEMBER_CC,
    MEMBER_BCC,
    /* of forms alone: */
    MEMBER_DRAFT,
    MEMBER_ACTION,
    MEMBER_CHARSET,
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
    [MEMBER_ACTION] = {NULL, "_action", 64},
    [MEMBER_CHARSET] = {NULL, "_charset", 64},
};

struct body {
    struct submission *submission;
    enum content_kind kind;
    bool php_names;
    struct json_body *json;
    struct urlencoded *urlencoded;
    struct multipart *multipart;
    enum member member; /* whose value is coming */
    bool roundcube;     /* under the name that Roundcube's form has for it */
    struct text value;
    bool seen[MEMBER_COUNT];
    struct body_claims claims;
    bool draft, send; /* what _draft and _action say */
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

/* What PHP's empty() says of a string. */
static bool is_set(const char *text, size_t length)
{
    return length > 1 || (length == 1 && text[0] != '0');
}

/* Roundcube reads the recipients in this charset. */
static int check_charset(const char *text, size_t length, struct problem *problem)
{
    if (length == 0 || (length == 5 && strncasecmp(text, "utf-8", 5) == 0))
        return 1;
    return problem_set(problem, 400, "_charset", "expected UTF-8");
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
    case MEMBER_FROM: return submission_set_from(submission, text, length, problem);
    case MEMBER_LANG: return submission_set_lang(submission, text, length, problem);
    case MEMBER_DRAFT: body->draft = is_set(text, length); return 1;
    case MEMBER_ACTION: body->send = length == 4 && memcmp(text, "send", 4) == 0; return 1;
    case MEMBER_CHARSET: return check_charset(text, length, problem);
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

static bool is_name(const char *name, const char *text, size_t length)
{
    return name != NULL && strlen(name) == length && memcmp(name, text, length) == 0;
}

static enum member member_of(const char *text, size_t length, bool *roundcube_r)
{
    for (enum member member = 0; member < MEMBER_COUNT; member++) {
        *roundcube_r = is_name(members[member].roundcube, text, length);
        if (*roundcube_r || is_name(members[member].name, text, length))
            return member;
    }
    return MEMBER_COUNT;
}

/* At the gate nobody believes what a form says of its sender, and the webmail
 * behind may mean something else by these names. */
static bool is_of_gate(enum member member)
{
    return is_list(member) || member == MEMBER_DRAFT || member == MEMBER_ACTION ||
           member == MEMBER_CHARSET;
}

/* What may let a message pass unjudged counts only under its very name:
 * _action[] is an array to PHP, and no action. */
static bool is_lenient(enum member member)
{
    return member == MEMBER_DRAFT || member == MEMBER_ACTION;
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
    size_t used = body->php_names ? php_name(copy, length) : length;
    bool changed = used != length || memcmp(copy, name, length) != 0;
    body->member = whole ? member_of(copy, used, &body->roundcube) : MEMBER_COUNT;
    if (body->php_names && body->member != MEMBER_COUNT && !is_of_gate(body->member))
        body->member = MEMBER_COUNT;
    *wanted_r = body->member != MEMBER_COUNT && !(changed && is_lenient(body->member));
    text_clear(&body->value);
    return body->member == MEMBER_COUNT || see(body, body->member, problem);
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
    const char *text = text_string(&body->value);
    /* Roundcube names the sender by an identity's number, and other actions of
     * its own have a _from and a _to; it sends nothing to what has no @. */
    bool may_be_other = body->member == MEMBER_FROM || (is_list(body->member) && body->php_names);
    if (body->roundcube && may_be_other && memchr(text, '@', body->value.length) == NULL)
        return 1;
    return take_text(body, body->member, text, body->value.length, problem);
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

int body_new(struct submission *submission, const char *content_type, bool php_names,
             struct body **body_r, struct problem *problem)
{
    struct content_type type;
    if (!content_type_read(content_type, &type, problem))
        return 0;
    struct body *body = xcalloc(1, sizeof *body);
    const struct form_listener listener = {
        .context = body,
        .max_fields = php_names ? BODY_MAX_PHP_FIELDS : BODY_MAX_FIELDS,
        .begin = begin_field,
        .value = add_value,
        .end = end_field,
        .fault = fault_field,
    };
    body->submission = submission;
    body->kind = type.kind;
    body->php_names = php_names;
    if (type.kind == CONTENT_JSON)
        body->json = json_body_new(BODY_MAX_JSON_BYTES);
    else if (type.kind == CONTENT_URLENCODED)
        body->urlencoded = urlencoded_new(&listener);
    else
        body->multipart = multipart_new(&listener, type.boundary, type.boundary_length);
    *body_r = body;
    return 1;
}

int body_add(struct body *body, const char *bytes, size_t length, struct problem *problem)
{
    switch (body->kind) {
    case CONTENT_JSON: return json_body_add(body->json, bytes, length, problem);
    case CONTENT_URLENCODED: return urlencoded_add(body->urlencoded, bytes, length, problem);
    default: return multipart_add(body->multipart, bytes, length, problem);
    }
}

int body_end(struct body *body, struct body_claims *claims_r, struct problem *problem)
{
    int ended = 0;
    switch (body->kind) {
    case CONTENT_JSON: ended = end_json(body, problem); break;
    case CONTENT_URLENCODED: ended = urlencoded_end(body->urlencoded, problem); break;
    default: ended = multipart_end(body->multipart, problem); break;
    }
    if (!ended)
        return 0;
    *claims_r = body->claims;
    claims_r->draft = body->draft && body->send;
    return 1;
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
