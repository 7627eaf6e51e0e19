/* What the tests of settings share: a folder of their own with a file in it,
 * the settings that were read, the problem that was found. Included once by
 * each of these programs. */
#ifndef SENDGUARD_SETTINGS_FIXTURE_H
#define SENDGUARD_SETTINGS_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/problem.h"
#include "settings/settings.h"
#include "settings/settings_table.h"
#include "tests/unit/store/servers.h"

static char folder[FOLDER_SIZE], path[200]; /* path: the file that read_text writes */
static struct settings *settings;
static struct problem problem;

static inline void setup(void)
{
    folder_make(folder);
    snprintf(path, sizeof path, "%s/s.conf", folder);
}

static inline void teardown(void)
{
    settings_free(&settings);
    folder_remove(folder);
}

/* Reads a file of that content into `settings`. Results as settings_read. */
static inline int read_bytes(const char *bytes, size_t length)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    fclose(file);
    settings_free(&settings);
    problem = (struct problem){0};
    return settings_read(path, NULL, 0, &settings, &problem);
}

static inline int read_text(const char *content) { return read_bytes(content, strlen(content)); }

static inline void must_read(const char *content)
{
    ck_assert_msg(read_text(content) == 1, "%s: %s\n%s", problem.where, problem.text, content);
}

/* The defaults and one override. */
static inline int read_override(const char *text)
{
    settings_free(&settings);
    problem = (struct problem){0};
    return settings_read(NULL, &text, 1, &settings, &problem);
}

/* A setting as it prints; valid until the next call. */
static inline const char *value_of(const char *section, const char *key)
{
    static struct text text;
    const struct setting *setting = settings_table_find(section, key);
    ck_assert_msg(setting != NULL, "%s.%s", section, key);
    text_clear(&text);
    setting->type->print(setting, settings, &text);
    return text_string(&text);
}

/* settings_write into a string, to be freed. */
static inline char *printed(bool only_changed)
{
    char *bytes = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&bytes, &size);
    settings_write(settings, only_changed, out);
    fclose(out);
    return bytes;
}

/* A test case whose tests each begin with an empty folder and end without one. */
static inline TCase *add_settings_cases(Suite *suite, const char *name)
{
    TCase *cases = tcase_create(name);
    tcase_add_checked_fixture(cases, setup, teardown);
    suite_add_tcase(suite, cases);
    return cases;
}

/* Runs it; the status for main. */
static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
