#include "feedback/log_source.h"

#include <stdlib.h>
#include <string.h>

#include "feedback/log_source_inside.h"

static const char *after(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

int log_source_open(const char *spec, const char *cursor, struct log_source **source_r,
                    struct problem *problem)
{
    const char *path = after(spec, "file:"), *folder = after(spec, "journal:");
    if (strcmp(spec, "journal") == 0 || (folder != NULL && *folder == '/'))
        return log_source_journal_open(folder, cursor, source_r, problem);
    if (path != NULL && *path == '/' && path[strlen(path) - 1] != '/')
        return log_source_file_open(path, cursor, source_r, problem);
    return problem_set(problem, 0, spec, "expected \"journal\" or \"file:/PATH\"");
}

void log_source_free(struct log_source **source)
{
    if (*source != NULL)
        (*source)->kind->free(take(*source));
}

int log_source_next(struct log_source *source, struct log_source_line *line_r,
                    struct problem *problem)
{
    return source->kind->next(source, line_r, problem);
}

void log_source_cursor(struct log_source *source, struct text *cursor)
{
    source->kind->cursor(source, cursor);
}

void log_source_wait(struct log_source *source, int wait_ms)
{
    source->kind->wait(source, wait_ms < SECOND_MS ? wait_ms : (int)SECOND_MS);
}

int log_source_notice(struct log_source *source, struct log_source_notice *notice_r)
{
    for (size_t i = 0; i < LOG_SOURCE_NOTICED_COUNT; i++)
        if (source->noticed[i] != 0) {
            *notice_r = (struct log_source_notice){(enum log_source_noticed)i, source->noticed[i]};
            source->noticed[i] = 0;
            return 1;
        }
    return 0;
}

const char *log_source_notice_text(enum log_source_noticed what)
{
    static const char *const texts[LOG_SOURCE_NOTICED_COUNT] = {
        [LOG_SOURCE_CURSOR_LOST] = "the place read last is not in the log any more",
        [LOG_SOURCE_FILE_MISSING] = "the file read last is missing",
        [LOG_SOURCE_FILE_SHRANK] = "the file was truncated",
        [LOG_SOURCE_FILE_DAMAGED] = "a compressed file is damaged",
        [LOG_SOURCE_SUPPRESSED] = "journald suppressed messages of the mail server",
        [LOG_SOURCE_LINES_CUT] = "lines were too long and were cut",
    };
    return texts[what];
}
