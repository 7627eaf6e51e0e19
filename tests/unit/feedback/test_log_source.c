/* The mail server's log in files: each line once and in order, whatever becomes of the files. */
#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/feedback/log_folder.h"

START_TEST(test_specs)
{
    static const char *const bad[] = {"", "file", "file:", "file:mail.log", "file:/", "file:/var/",
                                      "journal:", "journald", "journal:x", "/var/log/mail.log"};
    for (size_t i = 0; i < countof(bad); i++) {
        struct log_source *source = NULL;
        struct problem problem = {0};
        ck_assert_int_eq(log_source_open(bad[i], NULL, &source, &problem), 0);
        ck_assert_str_eq(problem.where, bad[i]);
        ck_assert_str_eq(problem.text, "expected \"journal\" or \"file:/PATH\"");
    }
}
END_TEST

START_TEST(test_lines_while_they_are_written)
{
    log_folder_read_all();
    log_folder_lines(3);
    log_folder_read_all();
    log_folder_half();
    ck_assert_int_eq(log_folder_read(1), 0);
    log_folder_reopen();
    ck_assert_int_eq(log_folder_read(1), 0);
    log_folder_lines(1000);
    ck_assert_int_eq(log_folder_read(500), 500);
    log_folder_reopen();
    log_folder_read_all();
    log_folder_reopen();
    ck_assert_int_eq(log_folder_read(1), 0);
}
END_TEST

START_TEST(test_a_file_that_is_not_there_yet)
{
    unlink(log_folder_path(NULL));
    ck_assert_int_eq(log_folder_read(1), 0);
    log_folder_reopen();
    ck_assert_int_eq(log_folder_read(1), 0);
    log_folder_reload();
    log_folder_lines(2);
    log_folder_read_all();
}
END_TEST

/* ---- rotation ---------------------------------------------------------------------------- */

enum step { END, LINES, HALF, RENAME, CREATE, RELOAD, COPYTRUNCATE, COMPRESS, COMPRESS_2 };

static void take_step(enum step step, enum names names)
{
    switch (step) {
    case LINES: log_folder_lines(3); break;
    case HALF: log_folder_half(); break;
    case RENAME: log_folder_rename(names); break;
    case CREATE: close(open(log_folder_path(NULL), O_CREAT | O_WRONLY, 0600)); break;
    case RELOAD: log_folder_reload(); break;
    case COPYTRUNCATE: log_folder_copytruncate(names); break;
    case COMPRESS: ck_assert_int_eq(log_folder_compress(0), 1); break;
    case COMPRESS_2: ck_assert_int_eq(log_folder_compress(1), 1); break;
    case END: break;
    }
}

static const enum step rotations[][16] = {
    {RENAME, RELOAD, LINES},
    {RENAME, RELOAD, COMPRESS, LINES},
    {RENAME, LINES, RELOAD, LINES, COMPRESS, LINES},
    {RENAME, CREATE, LINES, RELOAD, LINES},
    {RENAME, HALF, LINES, RELOAD},
    {HALF, RENAME, CREATE, LINES, RELOAD, LINES},
    {RENAME, RELOAD, RENAME, RELOAD},
    {RENAME, RELOAD, LINES, RENAME, LINES, RELOAD, LINES},
    {RENAME, RELOAD, LINES, RENAME, RELOAD, COMPRESS_2, LINES, COMPRESS},
    {RENAME, CREATE, RENAME, LINES, CREATE, LINES, RELOAD, LINES},
    {RENAME, CREATE, RENAME, COMPRESS, LINES, RELOAD, LINES},
    {COPYTRUNCATE, LINES},
    {COPYTRUNCATE, COMPRESS, LINES, LINES, LINES, LINES},
    {COPYTRUNCATE, LINES, COPYTRUNCATE, LINES, COMPRESS_2, COMPRESS, LINES},
    {COPYTRUNCATE, LINES, RENAME, LINES, RELOAD, LINES, COMPRESS, COMPRESS_2},
};

/* Every rotation; the reader has read nothing, some or all before, stops or goes on, and looks at
 * the end alone or after each step. */
START_TEST(test_rotation)
{
    const enum step *steps = rotations[_i / NAMES_COUNT];
    enum names names = (enum names)(_i % NAMES_COUNT);
    for (int way = 0; way < 3 * 3 * 2; way++) {
        int before = way % 3, meanwhile = way / 3 % 3;
        if (way > 0) {
            log_folder_end();
            log_folder_begin();
        }
        log_folder_lines(9);
        if (before > 0)
            ck_assert_int_eq(log_folder_read(before == 1 ? 5 : 9), before == 1 ? 5 : 9);
        if (way / 9 == 1)
            log_folder_reopen();
        for (const enum step *step = steps; *step != END; step++) {
            take_step(*step, names);
            if (meanwhile == 1)
                log_folder_read(1 << 30);
            if (meanwhile == 2) {
                log_folder_read(2);
                log_folder_reopen();
            }
        }
        log_folder_lines(1); /* ends what is half */
        log_folder_read_all();
        log_folder_reopen();
        log_folder_lines(1);
        log_folder_read_all();
    }
}
END_TEST

/* A reader that ends after every byte that is written, before and after a rotation at this byte. */
START_TEST(test_restart_after_every_byte)
{
    static const char text[] = "first line\n\nthird, longer than the others\nx\nlast\n";
    static const char *const lines[] = {"first line", "", "third, longer than the others", "x",
                                        "last"};
    static const enum step kinds[][3] = {{END}, {RENAME}, {COPYTRUNCATE}, {COPYTRUNCATE, COMPRESS}};
    for (size_t rotated = 0; rotated < strlen(text); rotated++)
        for (size_t kind = 0; kind < countof(kinds); kind++) {
            log_folder_end();
            log_folder_begin();
            size_t seen = 0;
            for (size_t written = 0; written < strlen(text); written++) {
                /* whole lines go to one file, so a new one begins behind a line */
                bool at_line = written == 0 || text[written - 1] == '\n';
                for (int i = 0; written == rotated && at_line && kinds[kind][i] != END; i++)
                    if (written > 0)
                        take_step(kinds[kind][i], NUMBERS);
                if (at_line)
                    log_folder_reload();
                log_folder_write((char[]){text[written], '\0'});
                struct log_source_line line;
                struct problem problem = {0};
                while (log_source_next(log_folder_source(), &line, &problem) == 1) {
                    ck_assert_uint_lt(seen, countof(lines));
                    ck_assert_uint_eq(line.length, strlen(lines[seen]));
                    ck_assert_mem_eq(line.text, lines[seen], line.length);
                    seen++;
                }
                struct log_source_notice notice;
                ck_assert_int_eq(log_source_notice(log_folder_source(), &notice), 0);
                log_folder_reopen();
            }
            ck_assert_uint_eq(seen, countof(lines));
        }
}
END_TEST

/* ---- what is noticed ------------------------------------------------------------------------ */

START_TEST(test_a_rotated_file_is_missing)
{
    log_folder_lines(5);
    log_folder_read_all();
    log_folder_reopen();
    log_folder_lines(5);
    log_folder_rename(NUMBERS);
    log_folder_reload();
    log_folder_lines(5);
    log_folder_rename(NUMBERS);
    log_folder_reload();
    log_folder_lines(5);
    ck_assert_int_eq(log_folder_remove_oldest(), 1);
    log_folder_read_noticed(11, LOG_SOURCE_FILE_MISSING, 1);
    log_folder_reopen();
    log_folder_lines(1);
    log_folder_read_all();
}
END_TEST

/* Files that were read long ago are not read again. */
START_TEST(test_only_newer_files_replace_a_missing_one)
{
    log_folder_lines(5);
    log_folder_rename(NUMBERS);
    log_folder_reload();
    log_folder_lines(5);
    log_folder_read_all();
    log_folder_reopen();
    ck_assert_int_eq(rename(log_folder_path(NULL), log_folder_path("elsewhere")), 0);
    ck_assert_int_eq(log_folder_read(1), 0);
    log_folder_reload();
    ck_assert_int_eq(log_folder_read(1), 0);
    log_folder_lines(1);
    log_folder_read_noticed(11, LOG_SOURCE_FILE_MISSING, 1);
}
END_TEST

START_TEST(test_a_file_that_is_removed_while_it_is_read)
{
    log_folder_lines(5);
    ck_assert_int_eq(log_folder_read(2), 2);
    log_folder_rename(NUMBERS);
    log_folder_lines(5);
    log_folder_reload();
    log_folder_remove_oldest();
    log_folder_lines(1);
    log_folder_read_noticed(3, LOG_SOURCE_FILE_MISSING, 1);
}
END_TEST

START_TEST(test_a_truncated_file)
{
    for (int reopened = 0; reopened < 2; reopened++) {
        log_folder_lines(5);
        log_folder_read_all();
        if (reopened)
            log_folder_reopen();
        ck_assert_int_eq(truncate(log_folder_path(NULL), 0), 0);
        ck_assert_int_eq(log_folder_read(1), 0);
        /* longer than before: its size does not tell */
        log_folder_lines(30);
        log_folder_read_noticed(log_folder_written() - 29, LOG_SOURCE_FILE_SHRANK, 1);
    }
}
END_TEST

START_TEST(test_cursors_that_lead_nowhere)
{
    static const char *const cursors[] = {
        "s=b33;i=1;b=42;m=1;t=1;x=1", "file:", "file:1:1:1:0:00:00", "no cursor",
        "file:-5:1:1:0:00112233445566778899aabbccddeeff:00112233445566778899aabbccddeeff",
        "file:5:1:1:0:00112233445566778899aabbccddeeff:00112233445566778899aabbccddeef",
        "file:5:1:1:0:00112233445566778899aabbccddeeff:00112233445566778899aabbccddeefff",
    };
    char spec[128];
    snprintf(spec, sizeof spec, "file:%s", log_folder_path(NULL));
    log_folder_lines(1);
    for (size_t i = 0; i < countof(cursors); i++) {
        struct log_source *source = NULL;
        struct problem problem;
        struct log_source_line line;
        struct log_source_notice notice;
        ck_assert_int_eq(log_source_open(spec, cursors[i], &source, &problem), 1);
        ck_assert_int_eq(log_source_next(source, &line, &problem), 1);
        ck_assert_int_eq(log_source_notice(source, &notice), 1);
        ck_assert_int_eq(notice.what, LOG_SOURCE_CURSOR_LOST);
        ck_assert_int_eq(log_source_notice(source, &notice), 0);
        log_source_free(&source);
    }
}
END_TEST

START_TEST(test_a_damaged_compressed_file)
{
    log_folder_lines(2000);
    ck_assert_int_eq(log_folder_read(10), 10);
    log_folder_reopen();
    log_folder_rename(NUMBERS);
    log_folder_reload();
    ck_assert_int_eq(log_folder_compress(0), 1);
    struct stat status;
    ck_assert_int_eq(stat(log_folder_path("mail.log.1.gz"), &status), 0);
    ck_assert_int_eq(truncate(log_folder_path("mail.log.1.gz"), status.st_size / 2), 0);
    log_folder_lines(1);
    struct log_source_line line;
    struct problem problem;
    int count = 0;
    while (log_source_next(log_folder_source(), &line, &problem) == 1)
        count++;
    ck_assert_int_gt(count, 100);
    ck_assert_ptr_nonnull(memmem(line.text, line.length, "2001 ", 5));
    struct log_source_notice notice;
    ck_assert_int_eq(log_source_notice(log_folder_source(), &notice), 1);
    ck_assert_int_eq(notice.what, LOG_SOURCE_FILE_DAMAGED);
    ck_assert_int_eq(log_source_notice(log_folder_source(), &notice), 0);
}
END_TEST

/* A line is written in three parts, and the reader ends behind each. */
START_TEST(test_long_lines)
{
    static char text[LOG_SOURCE_LINE_MAX * 3];
    static const size_t firsts[] = {LOG_SOURCE_LINE_MAX - 3, LOG_SOURCE_LINE_MAX - 2,
                                    LOG_SOURCE_LINE_MAX, LOG_SOURCE_LINE_MAX + 1, sizeof text - 1};
    memset(text, 'x', sizeof text - 1);
    for (size_t i = 0; i < countof(firsts); i++) {
        const char *const parts[] = {text + sizeof text - 1 - firsts[i], "end", "\n"};
        size_t length = 0;
        bool cut = false;
        for (size_t part = 0; part < countof(parts); part++) {
            log_folder_write(parts[part]);
            length += part < 2 ? strlen(parts[part]) : 0;
            struct log_source_line line;
            struct problem problem;
            struct log_source_notice notice;
            bool cut_now = !cut && length > LOG_SOURCE_LINE_MAX;
            int lines = cut_now || (part == 2 && !cut);
            cut = cut || cut_now;
            if (lines == 1) {
                ck_assert_int_eq(log_source_next(log_folder_source(), &line, &problem), 1);
                ck_assert_uint_eq(line.length, cut ? LOG_SOURCE_LINE_MAX : length);
            }
            ck_assert_int_eq(log_source_next(log_folder_source(), &line, &problem), 0);
            ck_assert_int_eq(log_source_notice(log_folder_source(), &notice), cut_now);
            log_folder_reopen();
        }
        log_folder_lines(1);
        log_folder_read_all();
    }
}
END_TEST

/* ---- waiting, rights -------------------------------------------------------------------- */

static int64_t longer_of(int64_t one_ms, int64_t other_ms)
{
    return one_ms > other_ms ? one_ms : other_ms;
}

static int64_t waited_ms(int wait_ms)
{
    int64_t from_ms = clock_monotonic_ms();
    log_source_wait(log_folder_source(), wait_ms);
    return clock_monotonic_ms() - from_ms;
}

/* Whether each wait of 900 ms ended before. */
static bool changes_end_waits(void)
{
    log_folder_reopen();
    log_folder_read_all();
    int64_t longest_ms = waited_ms(900); /* the log may have changed before it was watched */
    log_folder_lines(1);
    longest_ms = longer_of(longest_ms, waited_ms(900));
    log_folder_read_all();
    log_folder_rename(NUMBERS);
    longest_ms = longer_of(longest_ms, waited_ms(900));
    log_folder_lines(1); /* into the renamed file */
    longest_ms = longer_of(longest_ms, waited_ms(900));
    log_folder_reload();
    longest_ms = longer_of(longest_ms, waited_ms(900));
    log_folder_read_all();
    return longest_ms < 800;
}

/* On a busy machine a wait that ended may look long: of ten tries one shows it. */
START_TEST(test_waiting_ends_when_the_log_changes)
{
    int tries = 1;
    while (!changes_end_waits())
        ck_assert_int_lt(tries++, 10);
    ck_assert_int_ge(waited_ms(20), 19);
    close(open(log_folder_path("syslog"), O_CREAT | O_WRONLY, 0600));
    ck_assert_int_ge(waited_ms(20), 19);
    ck_assert_int_lt(waited_ms(60000), 20000); /* what is on the network tells nothing */
}
END_TEST

static int open_files(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

START_TEST(test_no_descriptor_stays_open)
{
    int before = open_files();
    for (int i = 0; i < 50; i++) {
        log_folder_lines(5);
        log_folder_read_all();
        if (i % 2 == 0)
            log_folder_copytruncate(NUMBERS);
        else
            log_folder_rename(NUMBERS);
        log_folder_reload();
        if (i % 3 == 0)
            log_folder_compress(0);
    }
    log_folder_lines(1);
    log_folder_read_all();
    log_source_wait(log_folder_source(), 1);
    ck_assert_int_eq(open_files(), before + 2); /* the file and inotify */
    log_folder_reopen();
    ck_assert_int_eq(open_files(), before);
}
END_TEST

START_TEST(test_what_cannot_be_read_is_said_and_tried_again)
{
    struct log_source_line line;
    struct problem problem = {0};
    log_folder_lines(2);
    log_folder_read_all();
    log_folder_rename(NUMBERS);
    ck_assert_int_eq(mkdir(log_folder_path("mail.log.9"), 0700), 0);
    ck_assert_int_eq(symlink("mail.log", log_folder_path(NULL)), 0);
    ck_assert_int_eq(log_source_next(log_folder_source(), &line, &problem), -1);
    ck_assert_str_eq(problem.where, "mail.log");
    ck_assert_str_eq(problem.text, "cannot be examined: Too many levels of symbolic links");
    ck_assert_int_eq(unlink(log_folder_path(NULL)), 0);
    ck_assert_int_eq(rmdir(log_folder_path("mail.log.9")), 0);
    log_folder_reload();
    log_folder_lines(2);
    log_folder_read_all();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log_source");
    TCase *cases = tcase_create("file");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, log_folder_begin, log_folder_end);
    tcase_add_test(cases, test_specs);
    tcase_add_test(cases, test_lines_while_they_are_written);
    tcase_add_test(cases, test_a_file_that_is_not_there_yet);
    tcase_add_loop_test(cases, test_rotation, 0, (int)countof(rotations) * NAMES_COUNT);
    tcase_add_test(cases, test_restart_after_every_byte);
    tcase_add_test(cases, test_a_rotated_file_is_missing);
    tcase_add_test(cases, test_only_newer_files_replace_a_missing_one);
    tcase_add_test(cases, test_a_file_that_is_removed_while_it_is_read);
    tcase_add_test(cases, test_a_truncated_file);
    tcase_add_test(cases, test_cursors_that_lead_nowhere);
    tcase_add_test(cases, test_a_damaged_compressed_file);
    tcase_add_test(cases, test_long_lines);
    tcase_add_test(cases, test_waiting_ends_when_the_log_changes);
    tcase_add_test(cases, test_no_descriptor_stays_open);
    tcase_add_test(cases, test_what_cannot_be_read_is_said_and_tried_again);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
