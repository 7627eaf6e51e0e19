/* json-c's strict mode, the same in every version of json-c. Version 0.18 (in Debian 13) takes
 * each byte outside ASCII for a control character there (json-c issue 892), so characters outside
 * ASCII are handed to it as \uXXXX, which means the same. */
#ifndef SENDGUARD_JSON_STRICT_H
#define SENDGUARD_JSON_STRICT_H

#include <json-c/json.h>

#include "base/base.h"

/* Reads the value at the beginning of `bytes`, at most max_depth levels deep, in the modes
 * JSON_TOKENER_STRICT and JSON_TOKENER_VALIDATE_UTF8. Returns the tree, to be put; NULL for null
 * and for what is none. *error_r: what json-c says of it, json_tokener_error_size for more than
 * INT_MAX / 6 bytes.
 * A whole number beyond 64 bits is refused by json-c 0.18, and the nearest of 64 bits before.
 * *end_r: where in `bytes` it stopped, behind the value or at the fault. */
struct json_object *json_strict_parse(const char *bytes, size_t length, int max_depth,
                                      enum json_tokener_error *error_r, size_t *end_r) must_check;

#endif
