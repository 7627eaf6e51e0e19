/* What a command works with: settings, store, guard and desk; who runs it; and
 * how errors are told. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/path.h"
#include "base/store_url.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "store/store.h"

struct open_command {
    struct settings *settings; /* until the guard has them */
    struct snapshot *snapshot;
    struct guard *guard;
    struct store *store;
};

void cli_ending_signals(sigset_t *signals_r)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(signals_r);
    for (size_t i = 0; i < countof(ending); i++) {
        struct sigaction action;
        /* a blocked signal arrives even where it is ignored */
        if (sigaction(ending[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(signals_r, ending[i]);
    }
}

/* ---- errors --------------------------------------------------------------------- */

printf_like(2, 0) static void complain(const struct cli *cli, const char *format,
                                        va_list arguments)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, arguments);
    freed_by(free_string) char *name = xasprintf("sendguard %s", cli->command->name);
    program_tell(name, "%s", text);
}

int cli_usage_error(const struct cli *cli, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(cli, format, arguments);
    va_end(arguments);
    fprintf(stderr, "Try 'sendguard help %s'.\n", cli->command->name);
    return PROGRAM_USAGE;
}

int cli_failed(const struct cli *cli, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(cli, format, arguments);
    va_end(arguments);
    return PROGRAM_FAILED;
}

int cli_no_store(const struct cli *cli)
{
    return cli_failed(cli, "the store does not answer: %s", store_error(cli->desk.store));
}

/* Members of an action that are given as options. */
static bool is_option(const char *where)
{
    static const char *const names[] = {"note", "for",        "cause",  "messages",
                                        "role", "off_domain", "expires"};
    for (size_t i = 0; i < countof(names); i++)
        if (strcmp(where, names[i]) == 0)
            return true;
    return false;
}

int cli_problem(const struct cli *cli, const struct problem *problem)
{
    char where[sizeof problem->where + 4] = "";
    if (problem->where[0] != '\0')
        snprintf(where, sizeof where, "%s%s: ", is_option(problem->where) ? "--" : "",
                 problem->where);
    for (char *underscore = where; (underscore = strchr(underscore, '_')) != NULL;)
        *underscore = '-';
    return problem->status == 400 ? cli_usage_error(cli, "%s%s", where, problem->text)
                                  : cli_failed(cli, "%s%s", where, problem->text);
}

int cli_answer(const struct cli *cli, int answer, const struct problem *problem)
{
    return answer == 1 ? -1 : answer == 0 ? cli_problem(cli, problem) : cli_no_store(cli);
}

int cli_end_output(const struct cli *cli)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return PROGRAM_OK;
    return errno == EPIPE ? PROGRAM_OK /* who reads has enough */
                          : cli_failed(cli, "cannot write: %s", strerror(errno));
}

/* ---- who runs it -------------------------------------------------------------------- */

/* The login name, also behind sudo. What stands in the environment is only as good as who
 * may write the store anyway. */
static void read_person(struct person *person)
{
    const char *login = getenv("SUDO_USER");
    const struct passwd *account = getpwuid(getuid());
    char number[24];
    if (login == NULL || *login == '\0')
        login = account != NULL ? account->pw_name : NULL;
    snprintf(number, sizeof number, "uid %lu", (unsigned long)getuid());
    freed_by(arena_free) struct arena *arena = arena_new();
    snprintf(person->name, sizeof person->name, "%.50s (shell)",
             print_plain(arena, login != NULL ? login : number));
    person->role = ROLE_ADMIN;
}

/* Root works as the owner of the database's file or its folder: a store that root has made, the
 * services could not write. */
int cli_become_owner(const struct cli *cli, const char *database, const char *socket)
{
    struct stat status, of_socket;
    if (geteuid() != 0 || database == NULL)
        return -1;
    freed_by(free_string) char *folder = path_folder(database);
    if (stat(database, &status) != 0 && stat(folder, &status) != 0)
        return -1; /* the store will say */
    const gid_t *also = socket != NULL && stat(socket, &of_socket) == 0 ? &of_socket.st_gid : NULL;
    if (status.st_uid == 0 || program_become(status.st_uid, status.st_gid, also, also != NULL))
        return -1;
    return cli_failed(cli, "cannot become the owner of %s: %s", database, strerror(errno));
}

int cli_become_let_in(const struct cli *cli, const struct settings *settings, const char *url)
{
    freed_by(store_url_free) struct store_url where = {0};
    const char *secret = settings->store_password_file[0] != '\0' ? settings->store_password_file
                                                                  : settings->store_tls_key_file;
    bool socket = store_url_read(url, &where) == NULL && where.kind == STORE_REDIS_UNIX;
    return secret[0] != '\0' ? cli_become_owner(cli, secret, socket ? where.path : NULL) : -1;
}

/* ---- opening ---------------------------------------------------------------------------- */

/* What to do about a file that the person may not use (mode as access(2)), "" for any other. */
static const char *whom_to_be(const char *path, int mode)
{
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS) != 0 && errno == EACCES
               ? "; run it as root or as sendguard, the user of the services"
               : "";
}

int cli_refuse_settings(const struct cli *cli, const struct faults *faults)
{
    const char *file = cli->options.file != NULL ? cli->options.file : PROGRAM_DEFAULT_FILE;
    const char *advice = whom_to_be(file, R_OK);
    struct faults shown = *faults;
    for (size_t i = 0; i < shown.count && i < FAULTS_MAX; i++)
        snprintf(shown.first[i].text, sizeof shown.first[i].text, "%s%s", faults->first[i].text,
                 advice);
    return program_tell_faults("sendguard", &shown);
}

/* Before the store says it of every action: a file that is another's. */
static int check_rights(const struct cli *cli, const char *database)
{
    const char *advice = database != NULL ? whom_to_be(database, R_OK | W_OK) : "";
    if (*advice == '\0')
        return -1;
    return cli_failed(cli, "%s: %s%s", database, strerror(EACCES), advice);
}

static int open_store(struct cli *cli, struct open_command *opened)
{
    struct problem problem;
    const struct settings *settings = opened->settings;
    read_person(&cli->person);
    freed_by(free_string) char *database = store_url_sqlite_path(settings->store_url);
    int status = database != NULL ? cli_become_owner(cli, database, NULL)
                                  : cli_become_let_in(cli, settings, settings->store_url);
    if (status < 0)
        status = check_rights(cli, database);
    if (status >= 0)
        return status;
    bool looks = (cli->command->takes & TAKES(OPTION_NOTE)) == 0 ||
                 cli->given[OPTION_PREVIEW] != NULL;
    bool made;
    if (looks && database != NULL && access(database, F_OK) != 0 && errno == ENOENT)
        return cli_failed(cli, "there is no database at %s (store.url); the services make it when "
                               "they start", database);
    const struct store_options options = program_store_options(settings);
    if (store_check_earlier(settings->store_url, &options, &problem) < 1)
        return cli_problem(cli, &problem);
    int good = (looks ? store_open_existing : store_open)(settings->store_url, &options,
                                                          &opened->store, &problem);
    if (good < 1)
        return cli_problem(cli, &problem);
    if (store_examine(opened->store, &made) == 0)
        return cli_failed(cli, "store.url: %s", store_error(opened->store));
    cli->desk.store = opened->store;
    return -1;
}

struct token_key *cli_open_key(struct cli *cli)
{
    const char *file = cli->settings->web_secret_file;
    struct token_key *key = NULL;
    struct problem unimportant;
    return access(file, R_OK) == 0 && token_key_load(file, &key, &unimportant) == 1 ? key : NULL;
}

int cli_with_key(struct cli *cli, int (*run)(struct cli *cli))
{
    freed_by(token_key_free) struct token_key *key = cli_open_key(cli);
    cli->desk.key = key;
    guard_hash_by(cli->desk.guard, key);
    int status = run(cli);
    guard_hash_by(cli->desk.guard, NULL);
    cli->desk.key = NULL;
    return status;
}

/* No key: the command line makes no links, and few commands look for the secret. */
static int open_desk(struct cli *cli, struct open_command *opened)
{
    struct faults faults;
    freed_by(catalogue_free) struct catalogue *catalogue = NULL;
    if (program_load(&cli->options, &opened->settings, &catalogue, &faults) < 1)
        return cli_refuse_settings(cli, &faults);
    int status = open_store(cli, opened);
    if (status >= 0)
        return status;
    opened->guard = guard_new(opened->store, NULL, take(opened->settings), take(catalogue));
    opened->snapshot = guard_snapshot(opened->guard);
    cli->settings = snapshot_settings(opened->snapshot);
    cli->desk.guard = opened->guard;
    return -1;
}

static enum cli_needs needs_of(const struct cli *cli)
{
    bool lists = (cli->command->takes & LISTS) != 0 && cli->word_count == 0;
    return lists ? NEEDS_DESK : cli->command->needs;
}

int cli_open(struct cli *cli, struct open_command **opened_r)
{
    struct faults faults;
    struct open_command *opened = *opened_r = xcalloc(1, sizeof *opened);
    enum cli_needs needs = needs_of(cli);
    if (needs == NEEDS_NOTHING)
        return -1;
    if (needs == NEEDS_DESK)
        return open_desk(cli, opened);
    if (program_settings(&cli->options, &opened->settings, &faults) < 1)
        return cli_refuse_settings(cli, &faults);
    cli->settings = opened->settings;
    return needs == NEEDS_STORE ? open_store(cli, opened) : -1;
}

void cli_close(struct open_command **opened)
{
    if (*opened == NULL)
        return;
    snapshot_release(&(*opened)->snapshot);
    guard_free(&(*opened)->guard);
    store_free(&(*opened)->store);
    settings_free(&(*opened)->settings);
    free(*opened);
    *opened = NULL;
}
