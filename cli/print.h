/* Text for people. What comes from outside is shown without its control
 * characters, so that nobody's note writes on a terminal but as text. */
#ifndef SENDGUARD_CLI_PRINT_H
#define SENDGUARD_CLI_PRINT_H

#include <json-c/json.h>
#include <stdio.h>

#include "base/arena.h"

/* The text with a replacement character for each control character, line or
 * direction mark, and byte that is no UTF-8; in `arena`. NULL becomes "". */
const char *print_plain(struct arena *arena, const char *text);
/* A member's text so, or `otherwise` when it is absent or no string. */
const char *print_member(struct arena *arena, struct json_object *object, const char *name,
                         const char *otherwise);
/* An integer member; `otherwise` when it is absent or null. */
const char *print_number(struct arena *arena, struct json_object *object, const char *name,
                         const char *otherwise);

/* A member that is a moment as views have it ("2026-11-22T14:05:00Z"): */
/* "2026-11-22 14:05" in the local time zone, `otherwise` when the member is null; with
 * now_ms > 0 also the distance: "2026-11-22 14:05 (in 3 h 20 min)". What is to come is rounded up to the minute. */
const char *print_moment(struct arena *arena, struct json_object *object, const char *name,
                         int64_t now_ms, const char *otherwise);

/* Aligned columns: rows of texts that live until the table is printed. */
enum { TABLE_COLUMNS = 8 };
struct print_table {
    const char *(*rows)[TABLE_COLUMNS];
    size_t count, columns;
    unsigned right; /* bit of each column that is aligned to the right */
};
void print_table_begin(struct print_table *table, size_t columns, unsigned right);
/* Exactly `columns` texts. */
void print_table_row(struct print_table *table, ...);
/* Prints with two spaces before each row, and frees. */
void print_table_end(struct print_table *table, FILE *out);

/* The tree as JSON, indented; control characters beyond ASCII escaped. */
void print_json(struct json_object *tree, FILE *out);
/* The same in one line. */
void print_json_line(struct json_object *tree, FILE *out);

#endif
