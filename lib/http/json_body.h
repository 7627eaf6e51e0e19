/* A JSON body, piece by piece. json-c builds the values at the end; what it
 * lets pass even in strict mode (NaN, names in single quotes, control
 * characters in strings, UTF-8 that is none, a name given twice) is refused by
 * a scan of our own that sees every byte as it comes and also bounds the number
 * of values, so that a small body cannot become a large tree. */
#ifndef SENDGUARD_JSON_BODY_H
#define SENDGUARD_JSON_BODY_H

#include <stdbool.h>

#include "base/base.h"
#include "base/problem.h"

enum {
    JSON_BODY_MAX_DEPTH = 8,
    JSON_BODY_MAX_VALUES = 64 * 1024, /* about 10 MB as a tree */
    JSON_BODY_MAX_NAMES = 1024, /* names of members, in all objects: they take time */
};

struct json_body;
struct json_object;

/* A reader that takes at most max_bytes (1..INT_MAX). */
struct json_body *json_body_new(size_t max_bytes);
void json_body_free(struct json_body **body);
/* Before the first piece: what strings hold in members of the object that are not wanted (the text of
 * a message, pictures in it) is not kept and does not count for max_bytes; "" is read there. A name
 * with an escape in it is taken for wanted. */
void json_body_keep_only(struct json_body *body,
                         bool (*is_wanted)(const char *name, size_t length));

/* The next piece. 1, or 0 with *problem (400; 413 when there is too much). */
int json_body_add(struct json_body *body, const char *bytes, size_t length,
                  struct problem *problem) must_check;

/* The whole, an object whose names are all different; it stays the reader's.
 * 1, or 0 with *problem. */
int json_body_end(struct json_body *body, struct json_object **object_r,
                  struct problem *problem) must_check;

#endif
