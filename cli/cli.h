/* The command line: one table of commands (main.c), one of options (options.c);
 * a command gets its words and options, the desk, and who runs it, and answers
 * an exit status. */
#ifndef SENDGUARD_CLI_H
#define SENDGUARD_CLI_H

#include <signal.h>

#include "base/problem.h"
#include "base/text.h"
#include "daemon/program.h"
#include "desk/desk.h"

enum cli_option {
    OPTION_JSON,
    OPTION_NOTE,
    OPTION_PREVIEW,
    OPTION_FROM,
    OPTION_FORGET,
    OPTION_FOR,
    OPTION_CAUSE,
    OPTION_MESSAGES,
    OPTION_OFF_DOMAIN,
    OPTION_END,
    OPTION_ROLE,
    OPTION_IP,
    OPTION_EXPIRES,
    OPTION_CSV,
    OPTION_MAX,
    OPTION_FOLLOW,
    OPTION_CHANGED,
    OPTION_DEFAULTS,
    OPTION_POSTFIX,
    OPTION_DOVECOT,
    OPTION_RECORDS,
    OPTION_COUNT_REPORT,
    OPTION_DROP,
    OPTION_MESSAGE,
    OPTION_REASON,
    OPTION_SCOPE,
    OPTION_SENDER,
    OPTION_IMPORT,
    OPTION_TEST,
    OPTION_SINCE,
    OPTION_AT,
    OPTION_BY_HAND,
    OPTION_ALL,
    OPTION_NETWORK,
    OPTION_BY,
    OPTION_OWNER,
    OPTION_COUNT
};
#define TAKES(option) (UINT64_C(1) << (option))
#define WAITS (UINT64_C(1) << 63) /* the command itself awaits the signals that end it */
#define LISTS (UINT64_C(1) << 62) /* without words it needs the desk, whatever it needs with them */

/* What of it a command needs. */
enum cli_needs { NEEDS_NOTHING, NEEDS_SETTINGS, NEEDS_STORE, NEEDS_DESK };

/* What an action is done to. */
struct cli_subject {
    const char *name;
    const char *where; /* for errors: "names.txt:3: bob@x.test", "bob@x.test"; NULL: it is the only one */
};
enum { CLI_SUBJECTS_MAX = 1000 };
/* For what reads or writes the whole store: pages of a busy database come later than the services
 * would wait. */
enum { CLI_WHOLE_STORE_MS = 60 * 1000 };

struct cli {
    const struct command *command;
    struct program_options options;
    const char *given[OPTION_COUNT]; /* NULL: not given; a flag's is "" */
    char **words;                    /* behind the command's name */
    int word_count;
    struct cli_subject *subjects; /* of a command that takes --from: the words, then its lines */
    size_t subject_count;
    const char *batch; /* joins what is done to several in the audit log; NULL: there is one */
    struct text imported; /* the file of --import */
    struct arena *arena;
    int64_t now_ms;
    struct person person;
    const struct settings *settings; /* NULL below NEEDS_SETTINGS */
    struct desk desk;                /* its store from NEEDS_STORE on */
};

struct command {
    const char *name;    /* "staff add": two words */
    const char *words;   /* as the usage shows them */
    int min_words, max_words;
    uint64_t takes;      /* of TAKES(), WAITS and LISTS */
    enum cli_needs needs;
    int (*run)(struct cli *cli);
    const char *summary; /* one line */
    const char *more;    /* what `help COMMAND` says besides, or NULL */
};
extern const struct command cli_commands[];
extern const size_t cli_command_count;
/* What actions, then staff and tokens, are made of; NULL: none of that name. */
const struct command *cli_command_find(const char *first, const char *second, int *name_words_r);

/* ---- options.c ---------------------------------------------------------------------- */

/* Reads the words behind the command's name. -1: go on; else the exit status. */
int cli_read_options(struct cli *cli, int argc, char **argv) must_check;
/* --max, 0 to `max`; *most_r stays when it is not given. -1: go on; else the exit status. */
int cli_read_max(const struct cli *cli, size_t max, size_t *most_r) must_check;
/* The note that is given, for an action of the person: -1 with it; else the exit status. */
int cli_read_note(const struct cli *cli, struct action *action_r) must_check;
void cli_print_usage(FILE *out);
void cli_print_help(const struct command *command, FILE *out);

/* ---- subjects.c --------------------------------------------------------------------- */

/* Fills cli->subjects, 1 to CLI_SUBJECTS_MAX, before rights are given up. -1: go on; else the exit
 * status. */
int cli_read_subjects(struct cli *cli) must_check;
/* Fills cli->imported, also before that. -1: go on; else the exit status. */
int cli_read_imported(struct cli *cli) must_check;

/* ---- open.c -------------------------------------------------------------------------- */

/* Opens what the command needs. -1: go on; else the exit status. */
struct open_command;
int cli_open(struct cli *cli, struct open_command **opened_r) must_check;
void cli_close(struct open_command **opened);
/* The key that the services have, for cli->desk.key, if we may read it; NULL. The caller frees it. */
struct token_key *cli_open_key(struct cli *cli);
/* Runs it with that key at the desk and its guard. */
int cli_with_key(struct cli *cli, int (*run)(struct cli *cli));
/* Root goes on as the owner of a SQLite file or its folder, in the group of `socket` (NULL: none)
 * too; database NULL: it is not SQLite. -1: go on; else the exit status. */
int cli_become_owner(const struct cli *cli, const char *database, const char *socket) must_check;
/* The same as the owner of what lets the services into the Redis at `url`: its password, or the key
 * of their certificate. */
int cli_become_let_in(const struct cli *cli, const struct settings *settings, const char *url)
    must_check;
/* SIGINT, SIGTERM, SIGHUP, but for those that we were started to ignore (by nohup; SIGINT by a
 * shell's background). Blocked before any thread is there when a command waits for them. */
void cli_ending_signals(sigset_t *signals_r);

/* Errors to standard error, each with its exit status. "sendguard lift: …" */
int cli_usage_error(const struct cli *cli, const char *format, ...) printf_like(2, 3);
int cli_failed(const struct cli *cli, const char *format, ...) printf_like(2, 3);
int cli_no_store(const struct cli *cli);
int cli_refuse_settings(const struct cli *cli, const struct faults *faults);
/* A problem of the desk: 400 is usage, others failed; where is an option's name. */
int cli_problem(const struct cli *cli, const struct problem *problem);
/* The status of a view that a function of the desk answered: -1 go on. */
int cli_answer(const struct cli *cli, int answer, const struct problem *problem);
/* Standard output took everything: PROGRAM_OK or PROGRAM_FAILED. */
int cli_end_output(const struct cli *cli);

/* ---- the commands ------------------------------------------------------------------------ */

int cli_run_help(struct cli *cli);
int cli_run_show(struct cli *cli);
int cli_run_search(struct cli *cli);
int cli_run_suspended(struct cli *cli);
int cli_run_appeals(struct cli *cli);
int cli_run_answer(struct cli *cli);
int cli_run_near(struct cli *cli);
int cli_run_senders(struct cli *cli);
int cli_run_action(struct cli *cli);
int cli_run_blocks(struct cli *cli);
int cli_run_block(struct cli *cli);
int cli_run_explain(struct cli *cli);
int cli_run_trace(struct cli *cli);
int cli_run_feedback(struct cli *cli);
int cli_run_complaints(struct cli *cli);
int cli_run_logins(struct cli *cli);
int cli_run_lock(struct cli *cli);
int cli_run_held(struct cli *cli);
int cli_run_release(struct cli *cli);
int cli_run_allow_from(struct cli *cli);
int cli_run_log(struct cli *cli);
int cli_run_simulate(struct cli *cli);
int cli_run_what_if(struct cli *cli);
int cli_run_undo(struct cli *cli);
int cli_run_audit(struct cli *cli);
int cli_run_export(struct cli *cli);
int cli_run_forget(struct cli *cli);
int cli_run_config(struct cli *cli);
int cli_run_migrate(struct cli *cli);
int cli_run_doctor(struct cli *cli);
int cli_run_notify(struct cli *cli);
int cli_run_spf(struct cli *cli);
int cli_run_staff_add(struct cli *cli);
int cli_run_staff_remove(struct cli *cli);
int cli_run_staff_list(struct cli *cli);
int cli_run_staff_password(struct cli *cli);
int cli_run_staff_role(struct cli *cli);
int cli_run_staff_nocodes(struct cli *cli);
int cli_run_staff_unlock(struct cli *cli);
int cli_run_token_add(struct cli *cli);
int cli_run_token_remove(struct cli *cli);
int cli_run_token_list(struct cli *cli);

#endif
