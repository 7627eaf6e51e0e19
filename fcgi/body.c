#include "fcgi/body.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "fcgi/multipart.h"
#include "http/content_type.h"
#include "http/json_body.h"
#include "http/submission_json.h"

/* A form's members: those of every submission, and more of its own. */
enum {
    MEMBER_DRAFT = SUBMISSION_MEMBERS,
    MEMBER_ACTION,
    MEMBER_CHARSET,
    MEMBER_COUNT,
};
enum { MAX_OTHER_BYTES = 64 };

/* What Roundcube's form calls them. */
static const char *const roundcube_names[MEMBER_COUNT] = {
    [MEMBER_FROM] = "_from",   [MEMBER_TO] = "_to",         [MEMBER_CC] = "_cc",
    [MEMBER_BCC] = "_bcc",     [MEMBER_DRAFT] = "_draft",   [MEMBER_ACTION] = "_action",
    [MEMBER_CHARSET] = "_charset",
};

struct body {
    struct submission *submission;
    enum content_kind kind;
    bool php_names;
    struct json_body *json;
    struct urlencoded *urlencoded;
    struct multipart *multipart;
    int member;         /* whose value is coming */
    bool roundcube;     /* under the name that Roundcube's form has for it */
    struct text value;
    bool seen[MEMBER_COUNT];
    struct submission_claims claims;
    bool draft, send; /* what _draft and _action say */
};

static bool is_of_submission(int member) { return member < SUBMISSION_MEMBERS; }

static bool is_list(int member)
{
    return is_of_submission(member) && submission_json_is_list((enum submission_member)member);
}

/* Without Roundcube's name for it; NULL when it has none but that. */
static const char *plain_name(int member)
{
    return is_of_submission(member) ? submission_json_members[member].name : NULL;
}

static const char *member_name(int member)
{
    return is_of_submission(member) ? plain_name(member) : roundcube_names[member];
}

static size_t max_bytes(int member)
{
    return is_of_submission(member) ? submission_json_members[member].max_bytes : MAX_OTHER_BYTES;
}

/* A member may come once; only recipients add up. */
static int see(struct body *body, int member, struct problem *problem)
{
    if (body->seen[member] && !is_list(member))
        return problem_set(problem, 400, member_name(member), "it is given twice");
    body->seen[member] = true;
    return 1;
}

static int too_long(int member, struct problem *problem)
{
    return problem_set(problem, 413, member_name(member), "it has at most %zu bytes",
                       max_bytes(member));
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
static int take_text(struct body *body, int member, const char *text, size_t length,
                     struct problem *problem)
{
    switch (member) {
    case MEMBER_DRAFT: body->draft = is_set(text, length); return 1;
    case MEMBER_ACTION: body->send = length == 4 && memcmp(text, "send", 4) == 0; return 1;
    case MEMBER_CHARSET: return check_charset(text, length, problem);
    default:
        return submission_json_set(body->submission, (enum submission_member)member, text,
                                   length, &body->claims, problem);
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

static int member_of(const char *text, size_t length, bool *roundcube_r)
{
    for (int member = 0; member < MEMBER_COUNT; member++) {
        *roundcube_r = is_name(roundcube_names[member], text, length);
        if (*roundcube_r || is_name(plain_name(member), text, length))
            return member;
    }
    return MEMBER_COUNT;
}

/* At the gate nobody believes what a form says of its sender, and the webmail
 * behind may mean something else by these names. */
static bool is_of_gate(int member)
{
    return is_list(member) || member == MEMBER_DRAFT || member == MEMBER_ACTION ||
           member == MEMBER_CHARSET;
}

/* What may let a message pass unjudged counts only under its very name:
 * _action[] is an array to PHP, and no action. */
static bool is_lenient(int member)
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
    if (length > max_bytes(body->member) - body->value.length)
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

static int end_json(struct body *body, struct problem *problem)
{
    struct json_object *object = NULL;
    if (!json_body_end(body->json, &object, problem))
        return 0;
    return body->php_names
               ? submission_json_read_recipients(body->submission, object, problem)
               : submission_json_read(body->submission, object, &body->claims, problem);
}

/* What counts of a JSON body at the gate. */
static bool is_read_of_json(const char *name, size_t length)
{
    bool roundcube;
    int member = member_of(name, length, &roundcube);
    return (is_list(member) && !roundcube) || is_name("locale", name, length);
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
    submission->form = type.kind != CONTENT_JSON;
    body->kind = type.kind;
    body->php_names = php_names;
    if (type.kind == CONTENT_JSON) {
        body->json = json_body_new(BODY_MAX_JSON_BYTES);
        if (php_names)
            json_body_keep_only(body->json, is_read_of_json);
    } else if (type.kind == CONTENT_URLENCODED) {
        body->urlencoded = form_urlencoded_new(&listener);
    } else {
        body->multipart = multipart_new(&listener, type.boundary, type.boundary_length);
    }
    *body_r = body;
    return 1;
}

int body_add(struct body *body, const char *bytes, size_t length, struct problem *problem)
{
    switch (body->kind) {
    case CONTENT_JSON: return json_body_add(body->json, bytes, length, problem);
    case CONTENT_URLENCODED: return form_urlencoded_add(body->urlencoded, bytes, length, problem);
    default: return multipart_add(body->multipart, bytes, length, problem);
    }
}

int body_end(struct body *body, struct body_claims *claims_r, struct problem *problem)
{
    int ended = 0;
    switch (body->kind) {
    case CONTENT_JSON: ended = end_json(body, problem); break;
    case CONTENT_URLENCODED: ended = form_urlencoded_end(body->urlencoded, problem); break;
    default: ended = multipart_end(body->multipart, problem); break;
    }
    if (!ended)
        return 0;
    *claims_r = (struct body_claims){
        .mailbox = body->claims.mailbox,
        .ip = body->claims.ip,
        .draft = body->draft && body->send,
    };
    return 1;
}

void body_free(struct body **body)
{
    if (*body == NULL)
        return;
    json_body_free(&(*body)->json);
    form_urlencoded_free(&(*body)->urlencoded);
    multipart_free(&(*body)->multipart);
    text_free(&(*body)->value);
    free(*body);
    *body = NULL;
}
