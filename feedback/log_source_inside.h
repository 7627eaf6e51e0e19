/* What the kinds of sources have in common. Internal to log_source*.c. */
#ifndef SENDGUARD_LOG_SOURCE_INSIDE_H
#define SENDGUARD_LOG_SOURCE_INSIDE_H

#include "feedback/log_source.h"

/* The functions of log_source.h, without the notices. */
struct log_source_kind {
    int (*next)(struct log_source *source, struct log_source_line *line_r,
                struct problem *problem);
    void (*cursor)(struct log_source *source, struct text *cursor);
    void (*wait)(struct log_source *source, int wait_ms);
    void (*free)(struct log_source *source);
};

/* The first member of each kind's own struct. */
struct log_source {
    const struct log_source_kind *kind;
    int64_t noticed[LOG_SOURCE_NOTICED_COUNT]; /* how much of each is not taken yet */
};

/* `path`, `folder`: absolute; NULL: the machine's journal. As log_source_open. */
int log_source_file_open(const char *path, const char *cursor, struct log_source **source_r,
                         struct problem *problem) must_check;
int log_source_journal_open(const char *folder, const char *cursor, struct log_source **source_r,
                            struct problem *problem) must_check;
/* What is wrong with the machine's journal for this process, static; NULL: nothing. */
const char *log_source_journal_fault(void);

#endif
