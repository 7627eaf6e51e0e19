/* log_reader SPEC CURSOR [--time | --until TEXT]: prints the lines that a log has, from the cursor
 * in the file CURSOR if it is there, and keeps the new one in it. A line each: "line IDENTIFIER PID
 * TIME TEXT", "noticed WHAT COUNT". --time: only how many and how fast; --until: waits for a line
 * that ends in that text, and ends with it. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "feedback/log_source.h"

static int fail(const struct problem *problem)
{
    fprintf(stderr, "%s: %s\n", problem->where, problem->text);
    return EXIT_FAILURE;
}

static void read_cursor(const char *path, char *cursor_r, size_t size)
{
    FILE *file = fopen(path, "re");
    size_t length = file == NULL ? 0 : fread(cursor_r, 1, size - 1, file);
    cursor_r[length] = '\0';
    if (file != NULL)
        fclose(file);
}

static int write_cursor(struct log_source *source, const char *path)
{
    struct text cursor = {0};
    log_source_cursor(source, &cursor);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return EXIT_FAILURE;
    fputs(text_string(&cursor), file);
    text_free(&cursor);
    return fclose(file) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void print(const struct log_source_line *line)
{
    printf("line %s %d %" PRId64 " %.*s\n", line->identifier == NULL ? "-" : line->identifier,
           (int)line->pid, line->at_us, (int)line->length, line->text);
}

/* Reads what there is, or until a line ends in `last`. Returns what log_source_next did in the end. */
static int read_lines(struct log_source *source, const char *last, bool quiet, int64_t *count_r,
                      struct problem *problem)
{
    for (;;) {
        struct log_source_line line;
        int got = log_source_next(source, &line, problem);
        if (got < 0 || (got == 0 && last == NULL))
            return got;
        if (got == 0) {
            log_source_wait(source, SECOND_MS);
            continue;
        }
        ++*count_r;
        if (!quiet)
            print(&line);
        size_t length = last == NULL ? 0 : strlen(last);
        if (last != NULL && line.length >= length &&
            memcmp(line.text + line.length - length, last, length) == 0)
            return 0;
    }
}

int main(int argc, char **argv)
{
    char cursor[LOG_SOURCE_CURSOR_MAX + 1];
    struct log_source *source = NULL;
    struct problem problem;
    if (argc < 3)
        return EXIT_FAILURE;
    read_cursor(argv[2], cursor, sizeof cursor);
    if (log_source_open(argv[1], cursor, &source, &problem) != 1)
        return fail(&problem);
    bool timed = argc == 4;
    int64_t from_us = clock_monotonic_us(), count = 0;
    int got = read_lines(source, argc > 4 ? argv[4] : NULL, timed, &count, &problem);
    if (timed)
        printf("%" PRId64 " lines, %" PRId64 " a second\n", count,
               count * 1000000 / (clock_monotonic_us() - from_us + 1));
    struct log_source_notice notice;
    while (log_source_notice(source, &notice))
        printf("noticed %d %" PRId64 "\n", (int)notice.what, notice.count);
    int status = got < 0 ? fail(&problem) : write_cursor(source, argv[2]);
    log_source_free(&source);
    return status;
}
