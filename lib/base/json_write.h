/* Writes JSON member by member: into a text, or as a json-c tree for who goes on working with it.
 * Commas, quotation marks and brackets are its affair. `name` is a literal without what JSON would
 * escape; NULL inside a list. A text stays as it is: what was in it before stands before. */
#ifndef SENDGUARD_JSON_WRITE_H
#define SENDGUARD_JSON_WRITE_H

#include <json-c/json.h>
#include <stdbool.h>

#include "base/text.h"

enum { JSON_WRITE_DEPTH = 8 }; /* of objects and lists in one another; more is a fault of ours */

struct json_writer {
    struct text *text;                          /* NULL: a tree is made */
    struct json_object *tree[JSON_WRITE_DEPTH]; /* what is open, the outermost first */
    char closing[JSON_WRITE_DEPTH];             /* the bracket that ends it */
    int depth;
    bool comma; /* something stands before in the innermost */
};

/* Begins with an open object: it is closed by json_write_end. The text stays the caller's. */
struct json_writer json_write_text(struct text *text);
/* The same as a tree: once closed it is tree[0], to be put. */
struct json_writer json_write_tree(void);

void json_write_object(struct json_writer *writer, const char *name);
void json_write_list(struct json_writer *writer, const char *name);
/* Closes the innermost object or list. */
void json_write_end(struct json_writer *writer);

/* NULL becomes null. In a text, bytes that are no UTF-8 become U+FFFD; a tree wants UTF-8. */
void json_write_string(struct json_writer *writer, const char *name, const char *value);
void json_write_int(struct json_writer *writer, const char *name, int64_t value);
void json_write_bool(struct json_writer *writer, const char *name, bool value);
void json_write_null(struct json_writer *writer, const char *name);
/* RFC 3339 in UTC, whole seconds rounded up; 0 and UNTIL_LIFTED become null. */
void json_write_moment(struct json_writer *writer, const char *name, int64_t time_ms);
/* "7K3M-Q2XD-9F4A"; null for 0. */
void json_write_decision(struct json_writer *writer, const char *name, uint64_t decision);
/* What is JSON already. */
void json_write_raw(struct json_writer *writer, const char *name, const char *json);

#endif
