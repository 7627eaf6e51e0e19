#include "base/json.h"

#include <string.h>

#include "base/decision.h"
#include "base/json_strict.h"
#include "base/text.h"

struct json_object *json_add(struct json_object *object, const char *name,
                             struct json_object *child)
{
    json_object_object_add(object, name, child);
    return child;
}

void json_add_string(struct json_object *object, const char *name, const char *value)
{
    json_object_object_add(object, name, value != NULL ? json_object_new_string(value) : NULL);
}

void json_add_int(struct json_object *object, const char *name, int64_t value)
{
    json_object_object_add(object, name, json_object_new_int64(value));
}

void json_add_bool(struct json_object *object, const char *name, bool value)
{
    json_object_object_add(object, name, json_object_new_boolean(value));
}

void json_add_null(struct json_object *object, const char *name)
{
    json_object_object_add(object, name, NULL);
}

void json_add_moment(struct json_object *object, const char *name, int64_t time_ms)
{
    if (time_ms == 0 || time_ms == UNTIL_LIFTED) {
        json_add_null(object, name);
        return;
    }
    freed_by(text_free) struct text text = {0};
    text_add_time(&text, time_ms);
    json_add_string(object, name, text.length > 0 ? text.data : NULL);
}

void json_add_decision(struct json_object *object, const char *name, uint64_t decision)
{
    char text[DECISION_TEXT_SIZE];
    if (decision != 0)
        decision_format(decision, text);
    json_add_string(object, name, decision != 0 ? text : NULL);
}

struct json_object *json_add_object(struct json_object *object, const char *name)
{
    return json_add(object, name, json_object_new_object());
}

struct json_object *json_add_list(struct json_object *object, const char *name)
{
    return json_add(object, name, json_object_new_array());
}

/* ---- reading -------------------------------------------------------------------- */

struct json_object *json_member(struct json_object *object, const char *name)
{
    struct json_object *member = NULL;
    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, name, &member))
        return NULL;
    return member;
}

const char *json_string(struct json_object *object, const char *name, const char *otherwise)
{
    struct json_object *member = json_member(object, name);
    return json_object_is_type(member, json_type_string) ? json_object_get_string(member)
                                                         : otherwise;
}

int64_t json_int(struct json_object *object, const char *name, int64_t otherwise)
{
    struct json_object *member = json_member(object, name);
    return json_object_is_type(member, json_type_int) ? json_object_get_int64(member) : otherwise;
}

bool json_is_true(struct json_object *object, const char *name)
{
    struct json_object *member = json_member(object, name);
    return json_object_is_type(member, json_type_boolean) && json_object_get_boolean(member);
}

/* What json-c reads in its strict mode too, and is no JSON: names between single quotation
 * marks, NaN and Infinity, none of whose letters belongs outside of strings; and control
 * characters within strings. */
static bool all_letters_belong(const char *text)
{
    for (const char *next = text; *next != '\0';) {
        next += strspn(next, " \t\r\n{}[]:,+-.0123456789eEtrufalsn");
        if (*next == '\0')
            return true;
        if (*next++ != '"')
            return false;
        while ((unsigned char)*next >= ' ' && *next != '"')
            next += *next == '\\' && next[1] != '\0' ? 2 : 1;
        if (*next++ != '"')
            return false;
    }
    return true;
}

struct json_object *json_read(const char *text)
{
    size_t length = strlen(text);
    if (!all_letters_belong(text))
        return NULL;
    enum json_tokener_error error;
    size_t end;
    /* with the NUL behind it: only so is a bare number known to be complete */
    freed_by(json_put) struct json_object *tree =
        json_strict_parse(text, length + 1, JSON_TOKENER_DEFAULT_DEPTH, &error, &end);
    if (error != json_tokener_success || end < length)
        return NULL;
    return take(tree);
}

void json_put(struct json_object **object)
{
    json_object_put(*object);
    *object = NULL;
}
