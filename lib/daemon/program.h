/* What all programs have in common: options, exit status, reading settings and
 * texts, signals, and reading them again. */
#ifndef SENDGUARD_PROGRAM_H
#define SENDGUARD_PROGRAM_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "guard/guard.h"
#include "guard/token.h"
#include "settings/settings.h"
#include "store/store.h"
#include "text/catalogue.h"

enum program_exit {
    PROGRAM_OK = 0,
    PROGRAM_FAILED = 1,
    PROGRAM_USAGE = 64,  /* sysexits.h EX_USAGE */
    PROGRAM_CONFIG = 78, /* sysexits.h EX_CONFIG */
};

#define PROGRAM_DEFAULT_FILE "/etc/sendguard/sendguard.conf"
enum { PROGRAM_MAX_OVERRIDES = 64 };

struct program_secret {
    const char *(*file)(const struct settings *settings); /* NULL: these settings need none */
    int (*examine)(const char *path, struct problem *problem); /* 1; 0 with what would be wrong */
};

/* What one program is; static. */
struct program {
    const char *name;
    const char *purpose; /* one sentence, for the usage of a program that runs until a signal */
    const char *usage;   /* the whole text in the place of that; NULL: made from `purpose` */
    const char *once;    /* what --once makes it do, for the usage; NULL: there is no such option */
    bool takes_words;    /* words may follow the options; options behind the first are its own */
    bool seals_links;       /* its start reads web.secret_file */
    /* Other files with a secret that its start reads; NULL-ended (`file`). NULL: none. */
    const struct program_secret *secrets;
    /* A setting that may be empty, and that it cannot start without: 1 there is one; 0 with *problem.
     * NULL: none. */
    int (*requires)(const struct settings *settings, struct problem *problem);
    /* That its unit gives it beside those of its user (SupplementaryGroups=): --check by root looks
     * with them too. NULL-ended; NULL: none. */
    const char *const *groups;
    /* Adds (settings_warn) what is probably not intended and concerns this program alone; NULL:
     * nothing. Printed by --check, and logged at the start. */
    void (*warnings)(const struct settings *settings, struct faults *warnings);
    /* Settings that a running program does not take over, beside those of how the store is reached;
     * NULL-ended, or NULL. "fcgi." is a section. */
    const char *const *of_start;
};

struct program_options {
    const char *file; /* NULL: the default file if there is one */
    const char *overrides[PROGRAM_MAX_OVERRIDES];
    size_t override_count;
    bool check, once;
    int first_word; /* index into argv; argc: none */
};

/* -c FILE, -o section.key=value, --check, --version, --help. Returns -1: go on;
 * or the exit status, and what there is to say has been said. */
int program_options(const struct program *program, int argc, char **argv,
                    struct program_options *options_r) must_check;

/* Root becomes that user for good, with the groups of its account; without an account with `group`
 * alone; in the `count` groups `also` too. True, or false with errno. */
bool program_become(uid_t user, gid_t group, const gid_t *also, size_t count) must_check;

/* The file that they are read from; NULL: none. */
const char *program_settings_file(const struct program_options *options);
/* Settings as the options say. 1; 0 with *faults_r as settings_read_all. */
int program_settings(const struct program_options *options, struct settings **settings_r,
                     struct faults *faults_r) must_check;
/* Settings and the texts they name. 1; 0 with *faults_r, and nothing to free. */
int program_load(const struct program_options *options, struct settings **settings_r,
                 struct catalogue **catalogue_r, struct faults *faults_r) must_check;
/* A line to standard error, "NAME: …", without the control characters that a file or an option
 * brought into it. */
void program_tell(const char *name, const char *format, ...) printf_like(2, 3);
/* All of them to standard error, a line each: "sendguard-fcgi: sendguard.conf:7: …". Returns
 * PROGRAM_CONFIG. */
int program_tell_faults(const char *name, const struct faults *faults);

/* Begins a program that runs until a signal: options, settings, texts. Returns -1
 * with all three set: go on; or the exit status, also of --check. Call before any thread is there:
 * it blocks the signals that program_wait waits for, so that threads inherit it. */
int program_begin(const struct program *program, int argc, char **argv,
                  struct program_options *options_r, struct settings **settings_r,
                  struct catalogue **catalogue_r) must_check;

/* How the store is used. */
struct store_options program_store_options(const struct settings *settings);
/* What may be the reason where a store does not answer that is asked over the network, as the end of
 * a sentence; "" where it is not. */
const char *program_store_advice(const struct settings *settings);
/* Opens the secret of a program that `seals_links`, examines its other one, and opens the store. -1:
 * go on with both; or the exit status, and each reason that stands against a start has been logged.
 * A store that does not answer now is logged, and no reason. */
int program_open(const struct program *program, const struct settings *settings,
                 struct token_key **key_r, struct store **store_r) must_check;

/* Tells a service manager that the start is done, so call it when the program listens; then waits
 * until SIGTERM or SIGINT. SIGHUP reads settings and texts again into the guard; bad ones are refused
 * with a log line, and the old ones stay. each_second (may be NULL) is called about once a second. */
void program_wait(const struct program *program, const struct program_options *options,
                  struct guard *guard, void (*each_second)(void *context), void *context);

#endif
