/* What is said of a log before it is read. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "settings/settings.h"
#include "tests/unit/feedback/log_folder.h"

static struct faults warnings;

/* Writes main.cf; "@" in it stands for the log's path. */
static void postfix_has(const char *main_cf)
{
    FILE *file = fopen(log_folder_path("main.cf"), "we");
    ck_assert_ptr_nonnull(file);
    for (const char *at = main_cf; *at != '\0'; at++)
        fputs(*at == '@' ? log_folder_path(NULL) : (char[]){*at, '\0'}, file);
    fclose(file);
}

/* The first warning; "": none. */
static const char *check(void)
{
    char spec[512];
    snprintf(spec, sizeof spec, "file:%s", log_folder_path(NULL));
    warnings.count = 0;
    log_source_check(spec, log_folder_path("main.cf"), "feedback.source", &warnings);
    for (size_t i = 0; i < warnings.count; i++)
        ck_assert_str_eq(warnings.first[i].where, "feedback.source");
    return warnings.count == 0 ? "" : warnings.first[0].text;
}

START_TEST(test_who_writes_the_file)
{
    static const struct {
        const char *main_cf;
        bool of_postfix;
    } cases[] = {
        {"maillog_file = @\n", true},
        {"maillog_file=@", true},
        {"x = y\nmaillog_file\t=\t@ \nz = 1\n", true},
        {"maillog_file = /other\nmaillog_file = @\n", true},
        {"maillog_file = @\nmaillog_file = /other\n", false},
        {"", false},
        {"maillog_file =\n", false},
        {"#maillog_file = @\n", false},
        {"maillog_file_prefixes = @\n", false},
        {"maillog_file = @.2\n", false},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        postfix_has(cases[i].main_cf);
        const char *text = check();
        ck_assert_uint_eq(warnings.count, cases[i].of_postfix ? 0 : 1);
        ck_assert_int_eq(strstr(text, "a syslog service writes it") != NULL, !cases[i].of_postfix);
    }
}
END_TEST

static void expect(const char *expected)
{
    const char *text = check();
    ck_assert_uint_eq(warnings.count, expected == NULL ? 0 : 1);
    if (expected != NULL && strstr(text, expected) == NULL)
        ck_abort_msg("expected %s: %s", expected, text);
}

static void set_rights(mode_t folder_mode, mode_t mode, uid_t uid, gid_t gid)
{
    ck_assert_int_eq(chmod(log_folder_path("."), folder_mode), 0);
    ck_assert_int_eq(chown(log_folder_path(NULL), uid, gid), 0);
    ck_assert_int_eq(chmod(log_folder_path(NULL), mode), 0);
}

/* These two need root, who may own everything. */
START_TEST(test_who_may_change_the_file)
{
    static const struct {
        mode_t folder_mode, mode;
        uid_t uid;
        gid_t gid;
        const char *expected;
    } cases[] = {
        {0755, 0600, 0, 0, NULL},
        {0755, 0640, 0, 4, NULL},
        {0775, 0660, 0, 4, NULL},
        {0755, 0640, 0, 54321, NULL},
        {0755, 0666, 0, 0, "(root:root, mode 0666), and what they write there counts"},
        {0777, 0600, 0, 0, "(root:root, mode 0777), and what they write there counts"},
        {01777, 0600, 0, 0, "(root:root, mode 1777), and what they write there counts"},
        {0755, 0660, 0, 54321, "(root:54321, mode 0660), and"},
        {0755, 0600, 54321, 0, "(54321:root, mode 0600), and"},
    };
    postfix_has("maillog_file = @\n");
    for (size_t i = 0; i < countof(cases) && geteuid() == 0; i++) {
        set_rights(cases[i].folder_mode, cases[i].mode, cases[i].uid, cases[i].gid);
        expect(cases[i].expected);
    }
}
END_TEST

START_TEST(test_who_may_read_the_file)
{
    static const struct {
        mode_t folder_mode, mode;
        const char *expected;
    } cases[] = {
        {0755, 0644, NULL},
        {0755, 0640, "mail.log cannot be read (root:adm, mode 0640): expected "
                     "SupplementaryGroups=adm or AmbientCapabilities=CAP_DAC_READ_SEARCH in"},
        {0755, 0600, "mail.log cannot be read (root:adm, mode 0600): expected "
                     "AmbientCapabilities=CAP_DAC_READ_SEARCH in"},
        {0711, 0644, "cannot be read (root:root, mode 0711): expected "
                     "AmbientCapabilities=CAP_DAC_READ_SEARCH in"},
    };
    postfix_has("maillog_file = @\n");
    ck_assert_int_eq(chmod(log_folder_path("main.cf"), 0644), 0);
    for (size_t i = 0; i < countof(cases) && geteuid() == 0; i++) {
        set_rights(cases[i].folder_mode, cases[i].mode, 0, 4);
        ck_assert_int_eq(seteuid(65534), 0);
        expect(cases[i].expected);
        ck_assert_int_eq(seteuid(0), 0);
    }
}
END_TEST

START_TEST(test_a_file_that_is_not_there)
{
    postfix_has("maillog_file = @\n");
    ck_assert_int_eq(unlink(log_folder_path(NULL)), 0);
    expect("mail.log cannot be examined: No such file or directory");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log_source_check");
    TCase *cases = tcase_create("check");
    tcase_add_checked_fixture(cases, log_folder_begin, log_folder_end);
    tcase_add_test(cases, test_who_writes_the_file);
    tcase_add_test(cases, test_who_may_change_the_file);
    tcase_add_test(cases, test_who_may_read_the_file);
    tcase_add_test(cases, test_a_file_that_is_not_there);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
