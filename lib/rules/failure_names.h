/* Names that packed values refer to by their place: each once, with a NUL behind it. Pure. */
#ifndef SENDGUARD_FAILURE_NAMES_H
#define SENDGUARD_FAILURE_NAMES_H

#include <stdbool.h>

#include "base/packed.h"

#define FAILURE_NOBODY UINT32_MAX /* the place of no name */

/* Zeroed: none. `bytes` is the memory of these names. */
struct failure_names {
    struct text bytes;
};
void failure_names_free(struct failure_names *names);

/* The place of a name; FAILURE_NOBODY: it is none of them. */
uint32_t failure_names_find(const struct failure_names *names, const char *name);
/* The same, and adds the name if it is none of them; FAILURE_NOBODY: they would be more than
 * max_bytes. */
uint32_t failure_names_put(struct failure_names *names, const char *name, size_t max_bytes);
/* The name at a place; NULL at FAILURE_NOBODY. */
const char *failure_names_at(const struct failure_names *names, uint32_t place);

/* Leaves out the names that are in no use: begin, keep each place that is (it becomes the new one),
 * end. */
struct failure_names_kept {
    struct failure_names *names;
    struct text fresh;
    uint32_t *moved;
};
struct failure_names_kept failure_names_begin(struct failure_names *names);
void failure_names_keep(struct failure_names_kept *kept, uint32_t *place);
void failure_names_end(struct failure_names_kept *kept);

/* varint: how many bytes; the names. */
void failure_names_add(struct text *out, const struct failure_names *names);
/* rest->next is NULL when they are damaged. */
void failure_names_read(struct packed_rest *rest, struct failure_names *names_r);
/* The place of a name as a varint: 0 is FAILURE_NOBODY. rest->next is NULL when there is none. */
void failure_names_add_place(struct text *out, uint32_t place);
uint32_t failure_names_read_place(struct packed_rest *rest, const struct failure_names *names);

#endif
