/* Random schedules of what may become of a log in files, held against the numbers of its lines:
 * each line once, in order, and nothing noticed, since nothing is missing. SENDGUARD_SEED repeats
 * one. */
#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/feedback/log_folder.h"
#include "tests/unit/store/chance.h"
#include "tests/unit/store/servers.h"

enum { STEPS = 60, EVERYTHING = 1 << 30 };

static enum names names;
static bool there; /* a file has the log's name */
static int schedules;

static void rotate(void)
{
    if (there)
        log_folder_rename(names);
    there = percent(40);
    if (there)
        close(open(log_folder_path(NULL), O_CREAT | O_WRONLY, 0600));
}

static void end_half_a_line(void) { log_folder_lines(1); }

/* Nothing is written between copy and truncation: no file has such lines afterwards. */
static void copytruncate(void)
{
    if (log_folder_writes_to() >= 0)
        return;
    end_half_a_line();
    log_folder_copytruncate(names);
}

static void reload(void)
{
    end_half_a_line();
    log_folder_reload();
    there = true;
}

static void compress(void)
{
    int which = log_folder_rotated() > 0 ? below(log_folder_rotated()) : 0;
    if (which != log_folder_writes_to())
        log_folder_compress(which);
}

static void remove_oldest(void)
{
    if (log_folder_oldest_was_read())
        log_folder_remove_oldest();
}

static void step(void)
{
    switch (below(12)) {
    case 0: rotate(); break;
    case 1: copytruncate(); break;
    case 2:
    case 3: reload(); break;
    case 4: compress(); break;
    case 5: log_folder_half(); break;
    case 6: log_folder_read(EVERYTHING); break;
    case 7: log_folder_read(below(20)); break;
    case 8: log_folder_reopen(); break;
    case 9: remove_oldest(); break;
    default: log_folder_lines(below(percent(5) ? 500 : 10)); break;
    }
}

static void run(uint64_t seed)
{
    chance_state = seed;
    names = (enum names)below(NAMES_COUNT);
    there = true;
    for (int i = 0; i < STEPS; i++)
        step();
    reload();
    log_folder_lines(1);
    log_folder_read_all();
}

/* The first half of them are the same each time. */
START_TEST(test_schedule)
{
    static uint64_t chosen;
    const char *repeated = getenv("SENDGUARD_SEED");
    uint64_t seed = (uint64_t)_i;
    if (repeated != NULL)
        seed = strtoull(repeated, NULL, 10);
    else if (_i >= schedules / 2)
        seed = chosen = (uint64_t)time(NULL) * 1000 + seed;
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    run(seed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log_source model");
    TCase *cases = tcase_create("model");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, log_folder_begin, log_folder_end);
    schedules = getenv("SENDGUARD_SEED") != NULL ? 1 : times(1000);
    tcase_add_loop_test(cases, test_schedule, 0, schedules);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
