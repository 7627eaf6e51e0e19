#include "tests/unit/feedback/log_folder.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/unit/store/servers.h"

enum { ROTATED_MAX = 256, EVERY_LINE = 1 << 30 };

static char folder[FOLDER_SIZE];
static int writer, written, half, read_so_far;
static struct log_source *source;
static struct text cursor;
/* The rotated files' names, the newest first. */
static char rotated[ROTATED_MAX][64];
static int last_line[ROTATED_MAX]; /* of each */
static int writes_to;
static int rotated_count, rotations;

void log_folder_begin(void)
{
    folder_make(folder);
    written = half = read_so_far = rotated_count = rotations = 0;
    writer = writes_to = -1;
    text_clear(&cursor);
    log_folder_reload();
}

void log_folder_end(void)
{
    log_source_free(&source);
    close(writer);
    folder_remove(folder);
    text_free(&cursor);
}

const char *log_folder_path(const char *name)
{
    static char paths[4][400];
    static int turn;
    char *path = paths[turn = (turn + 1) % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name == NULL ? "mail.log" : name);
    return path;
}

void log_folder_reload(void)
{
    if (writer >= 0)
        close(writer);
    if (writes_to >= 0)
        last_line[writes_to] = written;
    writes_to = -1;
    writer = open(log_folder_path(NULL), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(writer, 0);
}

void log_folder_write(const char *text)
{
    ck_assert_int_eq(write(writer, text, strlen(text)), (ssize_t)strlen(text));
}

/* Some are short, some longer than what a place is known by. */
static void line_of(int number, char line_r[1024])
{
    snprintf(line_r, 1024, "%d 2026-11-28T10:00:00 mail postfix/smtp[4711]: %.*s", number,
             number % 7 == 0 ? 700 : number % 50,
             "........................................................................"
             "........................................................................"
             "........................................................................"
             "........................................................................"
             "........................................................................"
             "........................................................................"
             "........................................................................"
             "........................................................................"
             "........................................................................");
}

void log_folder_lines(int count)
{
    for (; count > 0; count--) {
        char line[1024];
        line_of(++written, line);
        log_folder_write(line + half);
        log_folder_write("\n");
        half = 0;
    }
}

void log_folder_half(void)
{
    char line[1024];
    line_of(written + 1, line);
    if (half > 0)
        return;
    half = (int)strlen(line) / 2;
    line[half] = '\0';
    log_folder_write(line);
}

int log_folder_written(void)
{
    return written;
}

static void move(const char *from, const char *to)
{
    ck_assert_int_eq(rename(log_folder_path(from), log_folder_path(to)), 0);
}

static const char *packed_end(const char *name)
{
    return strstr(name, ".gz") != NULL ? ".gz" : "";
}

/* Makes room for a rotated file, the newest, and returns its name. */
static const char *next_name(enum names names)
{
    ck_assert_int_lt(rotated_count, ROTATED_MAX);
    for (int i = rotated_count; i-- > 0;) {
        char name[64];
        snprintf(name, sizeof name, "mail.log.%d%s", i + 2, packed_end(rotated[i]));
        if (names == NUMBERS)
            move(rotated[i], name);
        snprintf(rotated[i + 1], sizeof rotated[0], "%s", names == NUMBERS ? name : rotated[i]);
        last_line[i + 1] = last_line[i];
    }
    last_line[0] = written;
    rotated_count++;
    rotations++;
    snprintf(rotated[0], sizeof rotated[0],
             names == NUMBERS ? "mail.log.1"
             : names == DATES ? "mail.log-2026%04d"
                              : "mail.log.20261128-10%04d",
             rotations);
    return rotated[0];
}

void log_folder_rename(enum names names)
{
    move("mail.log", next_name(names));
    writes_to++;
}

int log_folder_writes_to(void)
{
    return writes_to;
}

static void copy(const char *from, const char *to, const char *mode)
{
    static char bytes[1 << 20];
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    gzFile out = gzopen(to, mode);
    ck_assert(fd >= 0 && out != NULL);
    for (ssize_t got; (got = read(fd, bytes, sizeof bytes)) > 0;)
        ck_assert_int_eq(gzwrite(out, bytes, (unsigned)got), got);
    close(fd);
    ck_assert_int_eq(gzclose(out), Z_OK);
}

void log_folder_copytruncate(enum names names)
{
    copy(log_folder_path(NULL), log_folder_path(next_name(names)), "wT");
    ck_assert_int_eq(truncate(log_folder_path(NULL), 0), 0);
}

int log_folder_compress(int which)
{
    if (which >= rotated_count || *packed_end(rotated[which]) != '\0')
        return 0;
    const char *from = log_folder_path(rotated[which]);
    struct stat status;
    ck_assert_int_eq(stat(from, &status), 0);
    strcat(rotated[which], ".gz");
    const char *to = log_folder_path(rotated[which]);
    copy(from, to, "w1");
    struct timespec times[] = {status.st_atim, status.st_mtim};
    ck_assert_int_eq(utimensat(AT_FDCWD, to, times, 0), 0);
    ck_assert_int_eq(unlink(from), 0);
    return 1;
}

int log_folder_remove_oldest(void)
{
    return rotated_count > 0 && unlink(log_folder_path(rotated[--rotated_count])) == 0;
}

bool log_folder_oldest_was_read(void)
{
    return rotated_count > 0 && writes_to != rotated_count - 1 &&
           last_line[rotated_count - 1] < read_so_far;
}

int log_folder_rotated(void)
{
    return rotated_count;
}

struct log_source *log_folder_source(void)
{
    struct problem problem = {0};
    char spec[128];
    snprintf(spec, sizeof spec, "file:%s", log_folder_path(NULL));
    if (source == NULL && log_source_open(spec, text_string(&cursor), &source, &problem) != 1)
        ck_abort_msg("%s: %s", problem.where, problem.text);
    return source;
}

/* The next line must be number `number`: 1; 0 there is none. */
static int read_one(int number)
{
    struct problem problem = {0};
    struct log_source_line line;
    int got = log_source_next(log_folder_source(), &line, &problem);
    if (got < 0)
        ck_abort_msg("%s: %s", problem.where, problem.text);
    if (got == 0)
        return 0;
    char expected[1024];
    line_of(number, expected);
    if (line.length != strlen(expected) || memcmp(line.text, expected, line.length) != 0)
        ck_abort_msg("expected line %d, got: %.*s", number, (int)line.length, line.text);
    read_so_far = number;
    return 1;
}

static void expect_nothing_noticed(void)
{
    struct log_source_notice notice;
    if (log_source_notice(log_folder_source(), &notice))
        ck_abort_msg("noticed behind line %d: %s", read_so_far,
                     log_source_notice_text(notice.what));
}

int log_folder_read(int count)
{
    int done = 0;
    while (done < count && read_one(read_so_far + 1))
        done++;
    expect_nothing_noticed();
    return done;
}

int log_folder_was_read(void)
{
    return read_so_far;
}

void log_folder_read_all(void)
{
    log_folder_read(EVERY_LINE);
    ck_assert_int_eq(read_so_far, written);
}

void log_folder_reopen(void)
{
    struct log_source *reader = log_folder_source();
    text_clear(&cursor);
    log_source_cursor(reader, &cursor);
    ck_assert_uint_le(cursor.length, LOG_SOURCE_CURSOR_MAX);
    log_source_free(&source);
}

void log_folder_read_noticed(int from, enum log_source_noticed what, int64_t count)
{
    while (read_one(from))
        from++;
    ck_assert_int_eq(from - 1, written);
    struct log_source_notice notice = {0};
    ck_assert_int_eq(log_source_notice(log_folder_source(), &notice), 1);
    ck_assert_str_eq(log_source_notice_text(notice.what), log_source_notice_text(what));
    ck_assert_int_eq(notice.count, count);
    read_so_far = written;
    expect_nothing_noticed();
}
