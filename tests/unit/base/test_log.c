/* Log lines, read back through a pipe. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { CAPTURE_BYTES = 60000 };

static int ends[2], fd_before;
static char captured[CAPTURE_BYTES + 1];

static void setup(void)
{
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    fd_before = log_set_fd(ends[1]);
    log_set_level(LOG_INFO_LEVEL);
}

static void teardown(void)
{
    log_set_fd(fd_before);
    close(ends[0]);
    close(ends[1]);
}

/* What was written since the last call. */
static const char *capture(void)
{
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], captured + length, CAPTURE_BYTES - length)) > 0)
        length += (size_t)got;
    captured[length] = '\0';
    return captured;
}

/* The line behind its time, which is checked for its shape. */
static const char *capture_behind_time(void)
{
    static const char shape[] = "time=0000-00-00T00:00:00.000Z ";
    const char *line = capture();
    for (size_t i = 0; shape[i] != '\0'; i++) {
        if (shape[i] == '0')
            ck_assert_msg(line[i] >= '0' && line[i] <= '9', "%s", line);
        else
            ck_assert_msg(line[i] == shape[i], "%s", line);
    }
    return line + sizeof shape - 1;
}

START_TEST(test_pairs)
{
    log_line(LOG_INFO_LEVEL, "listening", "path", "/run/x.sock", "left_out", NULL, "threads", "16",
             NULL);
    ck_assert_str_eq(capture_behind_time(),
                     "level=info msg=listening path=/run/x.sock threads=16\n");
    log_line(LOG_ERROR_LEVEL, "two words", NULL);
    ck_assert_str_eq(capture_behind_time(), "level=error msg=\"two words\"\n");
    log_line(LOG_WARNING_LEVEL, "", NULL);
    ck_assert_str_eq(capture_behind_time(), "level=warning msg=\"\"\n");
}
END_TEST

START_TEST(test_time_is_now)
{
    time_t before = time(NULL);
    log_line(LOG_INFO_LEVEL, "x", NULL);
    int64_t after = clock_wall_ms() / SECOND_MS; /* time() is some milliseconds behind the log */
    struct tm utc = {0};
    ck_assert_ptr_nonnull(strptime(capture(), "time=%Y-%m-%dT%H:%M:%S", &utc));
    time_t logged = timegm(&utc);
    ck_assert_int_ge(logged, before);
    ck_assert_int_le(logged, after);
}
END_TEST

START_TEST(test_values_cannot_forge)
{
    static const struct {
        const char *value, *written;
    } cases[] = {
        {"plain-1.2:3/4@x", "plain-1.2:3/4@x"},
        {"a b", "\"a b\""},
        {"a=b", "\"a=b\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"x\nlevel=error", "\"x\\nlevel=error\""},
        {"x\r\ty", "\"x\\r\\ty\""},
        {"\x1B[31m", "\"\\u001b[31m\""},
        {"\x7F", "\"\\u007f\""},
        {"\xC2\x9B" "31m", "\"\xC2\xBF" "31m\""},
        {"\xC2\xA9", "\"\xC2\xA9\""},
        {"b\xC3\xBC" "cher", "\"b\xC3\xBC" "cher\""},
        {"\xFF", "\"\xEF\xBF\xBD\""},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        char expected[200];
        log_line(LOG_INFO_LEVEL, "m", "k", cases[i].value, "end", "1", NULL);
        snprintf(expected, sizeof expected, "level=info msg=m k=%s end=1\n", cases[i].written);
        ck_assert_str_eq(capture_behind_time(), expected);
    }
}
END_TEST

START_TEST(test_long_value_is_cut_between_characters)
{
    char value[3000], expected[3100];
    memset(value, 'x', sizeof value);
    value[1024] = '\0';
    log_line(LOG_INFO_LEVEL, "m", "k", value, NULL);
    snprintf(expected, sizeof expected, "level=info msg=m k=%s\n", value);
    ck_assert_str_eq(capture_behind_time(), expected);

    memset(value, 'x', sizeof value);
    memcpy(value + 1023, "\xC3\xBC", 2); /* would be cut in two at 1024 */
    value[sizeof value - 1] = '\0';
    log_line(LOG_INFO_LEVEL, "m", "k", value, NULL);
    value[1023] = '\0';
    snprintf(expected, sizeof expected, "level=info msg=m k=\"%s\xE2\x80\xA6\"\n", value);
    ck_assert_str_eq(capture_behind_time(), expected);
}
END_TEST

START_TEST(test_long_line_is_cut_between_pairs)
{
    char value[1021];
    memset(value, '\n', sizeof value - 1); /* doubles when it is written */
    value[sizeof value - 1] = '\0';
    log_line(LOG_INFO_LEVEL, "m", "a", value, "b", value, "c", "3", NULL);
    const char *line = capture();
    size_t length = strlen(line);
    ck_assert_uint_le(length, 4096);
    ck_assert_ptr_null(strstr(line, " b="));
    ck_assert_ptr_nonnull(strstr(line, " a="));
    ck_assert_str_eq(line + length - strlen(" cut=true\n"), " cut=true\n");
    ck_assert_ptr_eq(strchr(line, '\n'), line + length - 1);
}
END_TEST

START_TEST(test_levels)
{
    log_line(LOG_DEBUG_LEVEL, "quiet", NULL);
    ck_assert_str_eq(capture(), "");
    log_set_level(LOG_DEBUG_LEVEL);
    log_line(LOG_DEBUG_LEVEL, "loud", NULL);
    ck_assert_str_eq(capture_behind_time(), "level=debug msg=loud\n");
    log_set_level(LOG_ERROR_LEVEL);
    log_line(LOG_WARNING_LEVEL, "quiet", NULL);
    ck_assert_str_eq(capture(), "");
}
END_TEST

START_TEST(test_errno_is_kept)
{
    int closed = dup(ends[1]);
    close(closed);
    log_set_fd(closed);
    errno = ENOENT;
    log_line(LOG_INFO_LEVEL, "into nothing", NULL);
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

enum { WRITERS = 4, LINES = 60 };

static void *write_lines(void *name)
{
    char value[101];
    memset(value, *(const char *)name, sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < LINES; i++)
        log_line(LOG_INFO_LEVEL, "m", "k", value, NULL);
    return NULL;
}

/* Lines wait for each other until they fill what a pipe takes whole, or are released; none is lost,
 * cut or out of order. */
START_TEST(test_gathered_lines)
{
    char number[24], *at = captured;
    log_gather();
    log_line(LOG_INFO_LEVEL, "first", NULL);
    ck_assert_str_eq(capture(), "");
    log_release();
    ck_assert_str_eq(capture_behind_time(), "level=info msg=first\n");
    log_gather();
    for (int i = 0; i < 200; i++) {
        snprintf(number, sizeof number, "%d", i);
        log_line(LOG_INFO_LEVEL, "many", "number", number, NULL);
    }
    log_release();
    capture();
    for (int i = 0; i < 200; i++) {
        snprintf(number, sizeof number, "number=%d\n", i);
        at = strchr(at, '\n');
        ck_assert_ptr_nonnull(at);
        at++;
        ck_assert(strncmp(at - strlen(number), number, strlen(number)) == 0);
    }
    ck_assert_str_eq(at, "");
    log_line(LOG_INFO_LEVEL, "at once", NULL);
    ck_assert_str_eq(capture_behind_time(), "level=info msg=\"at once\"\n");
}
END_TEST


START_TEST(test_threads_do_not_mix)
{
    char names[WRITERS] = {'a', 'b', 'c', 'd'};
    pthread_t threads[WRITERS];
    for (size_t i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, &names[i]), 0);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    int lines = 0;
    const char *line = capture();
    for (; *line != '\0'; line = strchr(line, '\n') + 1, lines++) {
        const char *value = strstr(line, " k=");
        ck_assert(strncmp(line, "time=", 5) == 0 && value != NULL);
        size_t length = 0;
        while (value[3 + length] == value[3])
            length++;
        ck_assert_uint_eq(length, 100);
        ck_assert(value[103] == '\n');
    }
    ck_assert_int_eq(lines, WRITERS * LINES);
}
END_TEST

static _Atomic int changes_seen;

static void *see_change(void *once)
{
    atomic_fetch_add(&changes_seen, log_changed(once, 1));
    return NULL;
}

START_TEST(test_a_change_is_told_once)
{
    struct log_once once = {0};
    ck_assert_int_eq(log_changed(&once, 0), 0);
    ck_assert_int_eq(log_changed(&once, 1), 1);
    ck_assert_int_eq(log_changed(&once, 1), 0);
    ck_assert_int_eq(log_changed(&once, 0), 1);

    pthread_t threads[WRITERS];
    atomic_store(&changes_seen, 0);
    for (size_t i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, see_change, &once), 0);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&changes_seen), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *cases = tcase_create("log");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_pairs);
    tcase_add_test(cases, test_time_is_now);
    tcase_add_test(cases, test_values_cannot_forge);
    tcase_add_test(cases, test_long_value_is_cut_between_characters);
    tcase_add_test(cases, test_long_line_is_cut_between_pairs);
    tcase_add_test(cases, test_levels);
    tcase_add_test(cases, test_errno_is_kept);
    tcase_add_test(cases, test_gathered_lines);
    tcase_add_test(cases, test_threads_do_not_mix);
    tcase_add_test(cases, test_a_change_is_told_once);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
