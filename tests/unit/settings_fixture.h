/* What the tests of settings share: a folder of their own with a file in it,
 * the settings that were read, the problem that was found. */
#ifndef SENDGUARD_SETTINGS_FIXTURE_H
#define SENDGUARD_SETTINGS_FIXTURE_H

#include <check.h>

#include "settings.h"
#include "settings_table.h"

extern char folder[64], path[200]; /* path: the file that read_text writes */
extern struct settings *settings;
extern struct problem problem;

/* Reads a file of that content into `settings`. Results as settings_read. */
int read_bytes(const char *bytes, size_t length);
int read_text(const char *content);
void must_read(const char *content);
/* The defaults and one override. */
int read_override(const char *text);

/* A setting as it prints; valid until the next call. */
const char *value_of(const char *section, const char *key);
/* settings_write into a string, to be freed. */
char *printed(bool only_changed);

/* A test case whose tests each begin with an empty folder and end without one. */
TCase *add_settings_cases(Suite *suite, const char *name);
/* Runs it; the status for main. */
int run_suite(Suite *suite);

#endif
