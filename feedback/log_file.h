/* One file of a log, plain or compressed by gzip, read line by line while it grows. */
#ifndef SENDGUARD_LOG_FILE_H
#define SENDGUARD_LOG_FILE_H

#include <stdbool.h>

#include "base/problem.h"
#include "feedback/log_place.h"

struct log_file;

/* Opens `name` in the directory `folder_fd`, compressed if it ends in ".gz", at its start, or
 * behind *place where that is not NULL. Returns 1 with *file_r; 0 the place is not in it, or it is
 * empty or not there; -1 it cannot be read: *problem. */
int log_file_open(int folder_fd, const char *name, const struct log_place *place,
                  struct log_file **file_r, struct problem *problem) must_check;
void log_file_free(struct log_file **file);

/* The next line, without its end, valid until the next call: 1; 0 there is none now; -1 an error:
 * *problem. A line longer than LOG_SOURCE_LINE_MAX is cut there: *cut_r is then true.
 * After 0, log_file_state says whether more may come. */
int log_file_line(struct log_file *file, const char **text_r, size_t *length_r, bool *cut_r,
                  struct problem *problem) must_check;
enum log_file_state {
    LOG_FILE_AT_END,
    LOG_FILE_CHANGED, /* what was read is not in it any more: it was truncated */
    LOG_FILE_DAMAGED, /* the compressed data ends too early, or is wrong */
};
enum log_file_state log_file_state(const struct log_file *file);

/* Nothing more will be written to it: a last line without its end is a line. */
void log_file_finish(struct log_file *file);
bool log_file_finished(const struct log_file *file);

uint64_t log_file_inode(const struct log_file *file);
/* Behind the last line that was returned; its offset is 0 before the first. */
struct log_place log_file_place(const struct log_file *file);

#endif
