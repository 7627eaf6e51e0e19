#include "http_server/http_params.h"

#include <string.h>

#include "base/text.h"
#include "http/content_type.h"
#include "http/form.h"
#include "http/json_body.h"
#include "message/address.h"

/* A form under way. */
struct params_reading {
    struct http_request *request;
    char name[FORM_MAX_NAME_BYTES + 1];
    struct text value;
};

/* Text areas have line breaks; nothing has other control characters. */
static const char *value_fault(const char *value, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t line = 0;
        while (at + line < length && value[at + line] != '\n' && value[at + line] != '\r')
            line++;
        const char *fault = address_text_fault(value + at, line);
        if (fault != NULL)
            return fault;
        at += line + 1;
    }
    return NULL;
}

/* Takes `value`. */
static int add_param(struct http_request *request, const char *name, struct json_object *value,
                     struct problem *problem)
{
    const char *fault = NULL;
    if (json_object_object_get_ex(request->params, name, NULL))
        fault = "it is given twice";
    else if (json_object_object_length(request->params) == REQUEST_MAX_PARAMS)
        fault = "there are too many parameters";
    if (fault != NULL) {
        json_object_put(value);
        return problem_set(problem, 400, name, "%s", fault);
    }
    json_object_object_add(request->params, name, value);
    return 1;
}

/* ---- forms and the query -------------------------------------------------------------- */

static int begin_param(void *context, const char *name, size_t length, bool whole,
                       bool *wanted_r, struct problem *problem)
{
    struct params_reading *reading = context;
    const char *fault = whole ? address_text_fault(name, length) : "it is too long";
    if (fault != NULL)
        return problem_set(problem, 400, "", "the name of a parameter is refused: %s", fault);
    memcpy(reading->name, name, length);
    reading->name[length] = '\0';
    *wanted_r = true;
    return 1;
}

static int add_value(void *context, const char *bytes, size_t length, struct problem *problem)
{
    struct params_reading *reading = context;
    (void)problem; /* the whole is limited */
    text_add_bytes(&reading->value, bytes, length);
    return 1;
}

static int refuse_value(void *context, const char *text, struct problem *problem)
{
    struct params_reading *reading = context;
    return problem_set(problem, 400, reading->name, "%s", text);
}

static int end_param(void *context, struct problem *problem)
{
    struct params_reading *reading = context;
    const char *fault = value_fault(text_string(&reading->value), reading->value.length);
    if (fault != NULL)
        return refuse_value(reading, fault, problem);
    struct json_object *value = json_object_new_string_len(text_string(&reading->value),
                                                           (int)reading->value.length);
    text_clear(&reading->value);
    return add_param(reading->request, reading->name, value, problem);
}

static int read_form(const char *bytes, size_t length, struct http_request *request,
                     struct problem *problem)
{
    struct params_reading reading = {.request = request};
    const struct form_listener listener = {.context = &reading,
                                           .max_fields = REQUEST_MAX_PARAMS,
                                           .begin = begin_param,
                                           .value = add_value,
                                           .end = end_param,
                                           .fault = refuse_value};
    freed_by(form_urlencoded_free) struct urlencoded *form = form_urlencoded_new(&listener);
    int good = form_urlencoded_add(form, bytes, length, problem) && form_urlencoded_end(form, problem);
    text_free(&reading.value);
    return good;
}

/* ---- JSON -------------------------------------------------------------------------------- */

/* What is wrong with a string anywhere in the tree; json_body.h bounds its depth. */
static const char *tree_fault(struct json_object *value)
{
    const char *fault = NULL;
    if (json_object_is_type(value, json_type_string)) {
        fault = value_fault(json_object_get_string(value),
                            (size_t)json_object_get_string_len(value));
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value) && fault == NULL; i++)
            fault = tree_fault(json_object_array_get_idx(value, i));
    } else if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, name, member)
        {
            (void)name;
            if (fault == NULL)
                fault = tree_fault(member);
        }
    }
    return fault;
}

/* json-c ends a member's name at a NUL and would read another one. Backslashes stand in strings
 * alone. */
static bool has_escaped_nul(const char *bytes, size_t length)
{
    static const char nul[] = "\\u0000";
    const size_t nul_length = sizeof nul - 1;
    for (size_t at = 0; at + nul_length <= length; at++) {
        if (bytes[at] != '\\')
            continue;
        if (memcmp(bytes + at, nul, nul_length) == 0)
            return true;
        at++; /* what is escaped */
    }
    return false;
}

static int read_json(const char *bytes, size_t length, struct http_request *request,
                     struct problem *problem)
{
    freed_by(json_body_free) struct json_body *body = json_body_new(REQUEST_MAX_BODY);
    struct json_object *object = NULL;
    if (!json_body_add(body, bytes, length, problem) || !json_body_end(body, &object, problem))
        return 0;
    if (has_escaped_nul(bytes, length))
        return problem_set(problem, 400, "body", "it holds a NUL");
    json_object_object_foreach(object, name, value)
    {
        const char *fault = address_text_fault(name, strlen(name));
        if (fault != NULL)
            return problem_set(problem, 400, "body", "the name of a member is refused: %s", fault);
        fault = tree_fault(value);
        if (fault != NULL)
            return problem_set(problem, 400, name, "%s", fault);
        if (!add_param(request, name, json_object_get(value), problem))
            return 0;
    }
    return 1;
}

/* ---- both ----------------------------------------------------------------------------------- */

static int read_body(const struct raw_request *raw, struct http_request *request,
                     struct problem *problem)
{
    struct content_type type;
    if (raw->body_length > REQUEST_MAX_BODY)
        return problem_set(problem, 413, "body", "a body has at most %d bytes", REQUEST_MAX_BODY);
    if (http_request_sends(request, "text/csv")) {
        request->csv = raw->body_length > 0 ? raw->body : "";
        return 1;
    }
    if (raw->body_length == 0)
        return 1;
    if (!content_type_read(raw->content_type, &type, problem))
        return 0;
    if (type.kind == CONTENT_MULTIPART)
        return problem_set(problem, 415, "Content-Type",
                           "expected application/json or application/x-www-form-urlencoded");
    return (type.kind == CONTENT_JSON ? read_json : read_form)(raw->body, raw->body_length,
                                                               request, problem);
}

int http_params_read(const struct raw_request *raw, struct http_request *request,
                     struct problem *problem)
{
    const char *query = raw->query != NULL ? raw->query : "";
    return read_form(query, strlen(query), request, problem) &&
           (request->method != METHOD_POST || read_body(raw, request, problem));
}
