/* A file of entries of the block lists, as CSV: what desk_blocks_add_csv writes, and less. Internal
 * to lib/desk. */
#ifndef SENDGUARD_BLOCK_FILE_H
#define SENDGUARD_BLOCK_FILE_H

#include "desk/blocked.h"

enum { BLOCK_FILE_LINE_MAX_BYTES = 4096, BLOCK_FILE_FAULTS_SHOWN = 20 };

struct block_file {
    struct block_entry *entries; /* in the context's arena, by key; no key twice */
    const char **keys;           /* theirs */
    size_t count;
    size_t over;                 /* further lines whose `until` has passed */
    size_t faults;               /* lines that are wrong: then the others are not to be used */
    struct json_object *told;    /* the first BLOCK_FILE_FAULTS_SHOWN: {"line":3,"column":…,"text":…} */
};
void block_file_free(struct block_file *file); /* for freed_by */

/* Reads it. An entry that names no note has `note`; each is by `by`, from now on. */
void block_file_read(const struct context *context, const char *bytes, size_t length,
                     const char *by, const char *note, struct block_file *file_r);

#endif
