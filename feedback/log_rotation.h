/* The files that a log's rotation leaves: those in the log's directory whose name is the log's with
 * a number or a date behind ("mail.log.1", "mail.log-20261128", "mail.log.20261128-101500"), also
 * compressed (".gz"), and the log itself. Of a file and its compressed copy the file counts, since
 * the copy may not be whole yet. Empty files are left out: nothing is read in them. */
#ifndef SENDGUARD_LOG_ROTATION_H
#define SENDGUARD_LOG_ROTATION_H

#include <limits.h>
#include <stdbool.h>

#include "base/problem.h"

struct log_rotation_file {
    char name[NAME_MAX + 1];
    uint64_t inode;
    int64_t mtime_ns;
};
struct log_rotation {
    struct log_rotation_file *files; /* the oldest, by its last write, first; the log itself last */
    size_t count;
    bool live; /* the log itself is among them */
};

/* A list that is made while files are renamed may have one of them twice, or not at all; so what
 * follows from a list holds if a second one, made afterwards, is the same. *rotation_r: empty
 * before, to be freed. 1, -1 *problem. */
int log_rotation_list(int folder_fd, const char *name, struct log_rotation *rotation_r,
                      struct problem *problem) must_check;
bool log_rotation_same(const struct log_rotation *a, const struct log_rotation *b);
void log_rotation_free(struct log_rotation *rotation);

/* Whether a file of that name belongs to the log's. */
bool log_rotation_has_name(const char *log, const char *name);

#endif
