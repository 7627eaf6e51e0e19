/* A writer that rotates its log all the time, in a process of its own, and a reader that neither
 * waits for it nor knows what it does just now. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/feedback/log_folder.h"
#include "tests/unit/store/chance.h"

enum { ROTATIONS = 200, EVERYTHING = 1 << 30 };

static void rotate(enum names names)
{
    log_folder_lines(below(100));
    if (percent(30)) {
        log_folder_copytruncate(names);
        return;
    }
    log_folder_rename(names);
    log_folder_lines(below(5));
    log_folder_reload();
}

static void write_log(enum names names)
{
    for (int i = 0; i < ROTATIONS; i++) {
        rotate(names);
        log_folder_lines(below(100));
        log_folder_compress(0);
    }
}

START_TEST(test_reader_beside_a_writer)
{
    chance_state = (uint64_t)time(NULL);
    int count[2], written = 0;
    ck_assert_int_eq(pipe(count), 0);
    pid_t writer = check_fork();
    ck_assert_int_ge(writer, 0);
    if (writer == 0) {
        write_log((enum names)_i);
        written = log_folder_written();
        _exit(write(count[1], &written, sizeof written) != sizeof written);
    }
    int status = 0;
    for (int turn = 0; waitpid(writer, &status, WNOHANG) == 0; turn++) {
        log_folder_read(below(200));
        if (turn % 50 == 0)
            log_folder_reopen();
        if (turn % 4 == 0)
            log_source_wait(log_folder_source(), 5);
    }
    ck_assert_int_eq(status, 0);
    log_folder_read(EVERYTHING);
    ck_assert_int_eq(read(count[0], &written, sizeof written), sizeof written);
    ck_assert_int_eq(log_folder_was_read(), written);
    close(count[0]);
    close(count[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log_source race");
    TCase *cases = tcase_create("race");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, log_folder_begin, log_folder_end);
    tcase_add_loop_test(cases, test_reader_beside_a_writer, 0, NAMES_COUNT);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
