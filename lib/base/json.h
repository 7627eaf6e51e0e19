/* Building JSON trees with json-c in a line each. A NULL string, and a moment
 * that is 0 or UNTIL_LIFTED, become null. Names are literals. */
#ifndef SENDGUARD_JSON_H
#define SENDGUARD_JSON_H

#include <json-c/json.h>
#include <stdbool.h>

#include "base/base.h"

void json_add_string(struct json_object *object, const char *name, const char *value);
void json_add_int(struct json_object *object, const char *name, int64_t value);
void json_add_bool(struct json_object *object, const char *name, bool value);
void json_add_null(struct json_object *object, const char *name);
/* RFC 3339 in UTC, whole seconds rounded up. */
void json_add_moment(struct json_object *object, const char *name, int64_t time_ms);
/* "7K3M-Q2XD-9F4A"; null for 0. */
void json_add_decision(struct json_object *object, const char *name, uint64_t decision);
/* Takes `child`; NULL becomes null. Returns it. */
struct json_object *json_add(struct json_object *object, const char *name,
                             struct json_object *child);
struct json_object *json_add_object(struct json_object *object, const char *name);
struct json_object *json_add_list(struct json_object *object, const char *name);

/* Reading: the member's value, or what is given when it is absent, null or of another kind. */
const char *json_string(struct json_object *object, const char *name, const char *otherwise);
int64_t json_int(struct json_object *object, const char *name, int64_t otherwise);
bool json_is_true(struct json_object *object, const char *name);
struct json_object *json_member(struct json_object *object, const char *name); /* or NULL */

/* The tree that `text` is, strictly and whole; NULL when it is none. To be put. */
struct json_object *json_read(const char *text);
/* For freed_by. */
void json_put(struct json_object **object);

#endif
