/* A place in a log that consists of files: behind a line of one of them, known again by what stands
 * before it. So a renamed, copied or decompressed file is still the same, and another one with the
 * same inode is not. */
#ifndef SENDGUARD_LOG_PLACE_H
#define SENDGUARD_LOG_PLACE_H

#include <stdbool.h>

#include "base/text.h"

/* As many bytes of the file's beginning, and before the place, are looked at: a few lines with
 * times and process ids. */
enum { LOG_PLACE_MARK = 512 };

struct log_place {
    int64_t offset;    /* in bytes, of the decompressed file; 0: before all files */
    uint64_t inode;    /* where to look first */
    int64_t mtime_ns;  /* of the file when it was read: what is older was read before it */
    bool inside_line;  /* the line was cut here, and the rest of it is to be left out */
    uint8_t head[16], tail[16]; /* hashes of min(offset, LOG_PLACE_MARK) bytes: the first of the
                                 * file, and those before the place */
};

void log_place_hash(const char *bytes, size_t length, uint8_t hash_r[16]);

/* As text, and back; false: the text is no place. */
void log_place_write(const struct log_place *place, struct text *text);
bool log_place_read(const char *text, struct log_place *place_r);

#endif
