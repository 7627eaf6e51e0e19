/* --check: whether a program would start, asked without starting it. What stops a start is told
 * as the start tells it and ends in PROGRAM_CONFIG; what is only unlikely to be meant, or could
 * not be looked at, is a warning. */
#include "base/path.h"
#include "daemon/program_check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/store_url.h"

#define SERVICES_USER "sendguard" /* the user of the units */

struct checking {
    const struct program *program;
    const struct program_options *options;
    const char *file; /* of settings; NULL: none */
    bool is_pipe;     /* or another file that can be read only once */
    const struct settings *settings;
    const char *database; /* path of the SQLite file; NULL: another store */
    bool as_services;     /* what we may not do, the services may not do either */
    int status;
};

printf_like(2, 3) static void warn(const struct checking *checking, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    program_tell(checking->program->name, "warning: %s", text);
}

static void refuse(struct checking *checking, const char *where, const char *why)
{
    program_tell(checking->program->name, "%s: %s", where, why);
    checking->status = PROGRAM_CONFIG;
}

/* ---- the settings file ------------------------------------------------------------ */

/* "base_url = https://user:word@host/": whether a URL of that line holds more than a host. A '@'
 * behind the host means something in a URL of the store alone. */
static bool line_holds_password(const char *line)
{
    line += strspn(line, " \t");
    if (*line == '#' || *line == ';')
        return false;
    for (const char *colon = line; (colon = strstr(colon, "://")) != NULL; colon += 3) {
        const char *scheme = colon;
        while (scheme > line && strchr("abcdefghijklmnopqrstuvwxyz+", scheme[-1]) != NULL)
            scheme--;
        size_t length = (size_t)(colon - scheme) + 3;
        bool of_store = strncmp(scheme, "redis", strlen("redis")) == 0;
        length += strcspn(scheme + length, of_store ? " \t\r\n" : "/?#; \t\r\n");
        freed_by(free_string) char *host = xasprintf("%.*s", (int)length, scheme);
        if (store_url_may_hold_password(host))
            return true;
    }
    return false;
}

static bool file_holds_password(const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    bool holds = false;
    while (file != NULL && !holds && getline(&line, &size, file) >= 0)
        holds = line_holds_password(line);
    free(line);
    if (file != NULL)
        fclose(file);
    return holds;
}

static void check_settings_file(struct checking *checking)
{
    struct stat file;
    if (checking->file == NULL || stat(checking->file, &file) != 0)
        return;
    checking->is_pipe = !S_ISREG(file.st_mode);
    if (checking->is_pipe)
        return;
    unsigned mode = file.st_mode & 07777;
    if ((mode & S_IWOTH) != 0)
        warn(checking, "%s: everybody can write it (mode %04o): expected 0640", checking->file,
             mode);
    if ((mode & S_IROTH) != 0 && file_holds_password(checking->file))
        warn(checking, "%s: everybody can read it (mode %04o), and it holds a password: expected "
                       "0640, and the group of the services", checking->file, mode);
}

static void warn_of_settings(const struct checking *checking,
                             void (*add)(const struct settings *settings, struct faults *warnings))
{
    struct faults warnings = {.count = 0};
    if (add == NULL)
        return;
    add(checking->settings, &warnings);
    for (size_t i = 0; i < warnings.count; i++)
        warn(checking, "%s: %s", warnings.first[i].where, warnings.first[i].text);
}

/* ---- who asks --------------------------------------------------------------------- */

/* Reads into *status_r what stands at the i-th of the places whose owner is the services' user:
 * the database, the secret, and the directories of both. */
static bool stat_place(const struct checking *checking, int i, struct stat *status_r)
{
    const char *path = i < 2 ? checking->database : checking->settings->web_secret_file;
    if (path == NULL)
        return false;
    freed_by(free_string) char *folder = path_folder(path);
    return stat(i % 2 == 0 ? path : folder, status_r) == 0;
}

enum { PLACES = 4, GROUPS_MAX = 8 };

/* The program's groups that this machine has. */
static size_t groups_of(const struct program *program, gid_t groups_r[GROUPS_MAX])
{
    size_t count = 0;
    for (const char *const *name = program->groups; name != NULL && *name != NULL; name++) {
        const struct group *group = getgrnam(*name);
        if (group != NULL && count < GROUPS_MAX)
            groups_r[count++] = group->gr_gid;
    }
    return count;
}

/* Root may read everything, and the services may not: root looks as their user. A file of root's
 * in a directory of theirs is one that root left there. Whether we are another one now. */
static bool become_services(struct checking *checking)
{
    struct stat place;
    gid_t groups[GROUPS_MAX];
    size_t count = groups_of(checking->program, groups);
    if (geteuid() != 0)
        return false;
    for (int i = 0; i < PLACES; i++)
        if (stat_place(checking, i, &place) && place.st_uid != 0) {
            if (program_become(place.st_uid, place.st_gid, groups, count))
                return true;
            refuse(checking, "--check", "cannot become the user of the services: expected root "
                                        "with the right to, or that user");
            return false;
        }
    if (getpwnam(SERVICES_USER) != NULL && stat_place(checking, checking->database ? 1 : 3, &place))
        warn(checking, "%s: it and its directory belong to root: expected " SERVICES_USER
                       ", the user of the services",
             checking->database != NULL ? checking->database : checking->settings->web_secret_file);
    return false;
}

static bool is_services_user(const struct checking *checking)
{
    struct stat place;
    const struct passwd *account = getpwuid(geteuid());
    if (geteuid() == 0 || (account != NULL && strcmp(account->pw_name, SERVICES_USER) == 0))
        return true;
    for (int i = 0; i < PLACES; i++)
        if (stat_place(checking, i, &place) && place.st_uid == geteuid())
            return true;
    return false;
}

static bool may(const char *path, int mode)
{
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0;
}

/* Whether it says nothing about a start that we may not use that file (mode as access(2)). Who may
 * make files beside it is as good as the services. */
static bool is_not_for_us(const struct checking *checking, const char *path, int mode)
{
    freed_by(free_string) char *folder = path_folder(path);
    if (checking->as_services || may(folder, W_OK | X_OK))
        return false;
    bool folder_refuses = errno == EACCES;
    return !may(path, mode) && (errno == EACCES || (errno == ENOENT && folder_refuses));
}

static void warn_unchecked(const struct checking *checking, const char *path)
{
    warn(checking, "%s: could not be checked: %s: expected root or " SERVICES_USER
                   ", the user of the services", path, strerror(EACCES));
}

/* ---- secret and store --------------------------------------------------------------- */

static void check_secret(struct checking *checking, const char *path,
                         int (*examine)(const char *path, struct problem *problem))
{
    struct problem problem;
    if (is_not_for_us(checking, path, R_OK))
        warn_unchecked(checking, path);
    else if (examine(path, &problem) < 1)
        refuse(checking, path, problem.text);
}

/* The start closes a file of its own. */
static void check_database_rights(const struct checking *checking)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    struct stat file;
    for (size_t i = 0; i < countof(endings); i++) {
        freed_by(free_string) char *path = xasprintf("%s%s", checking->database, endings[i]);
        if (lstat(path, &file) == 0 && S_ISREG(file.st_mode) && (file.st_mode & 077) != 0)
            warn(checking, "%s: it is open to others (mode %04o): expected 0600%s", path,
                 (unsigned)(file.st_mode & 07777),
                 file.st_uid == geteuid() ? ", as the next start makes it" : "");
    }
}

/* What the store is entered by, and is not for us; NULL: nothing. */
static const char *find_forbidden(const struct checking *checking)
{
    const char *const secrets[] = {checking->settings->store_password_file,
                                   checking->settings->store_tls_key_file};
    if (checking->database != NULL)
        return is_not_for_us(checking, checking->database, R_OK | W_OK) ? checking->database : NULL;
    for (size_t i = 0; i < countof(secrets); i++)
        if (secrets[i][0] != '\0' && is_not_for_us(checking, secrets[i], R_OK))
            return secrets[i];
    return NULL;
}

static void check_store(struct checking *checking)
{
    struct problem problem;
    const struct settings *settings = checking->settings;
    const char *forbidden = find_forbidden(checking);
    if (checking->database != NULL)
        check_database_rights(checking);
    if (forbidden != NULL) {
        warn_unchecked(checking, forbidden);
        return;
    }
    const struct store_options options = program_store_options(settings);
    int answer = store_check(settings->store_url, &options, &problem);
    if (answer == 0)
        refuse(checking, problem.where, problem.text);
    else if (answer < 0)
        warn(checking, "%s: does not answer now: %s%s", problem.where, problem.text,
             program_store_advice(settings));
    else if (problem.text[0] != '\0')
        program_tell(checking->program->name, "%s: %s", problem.where, problem.text);
}

/* ---- all of it ------------------------------------------------------------------------ */

/* Settings and texts again, as the services read them. */
static int check_reading(const struct checking *checking)
{
    freed_by(settings_free) struct settings *settings = NULL;
    freed_by(catalogue_free) struct catalogue *catalogue = NULL;
    struct faults faults;
    if (program_load(checking->options, &settings, &catalogue, &faults) == 1)
        return PROGRAM_OK;
    for (size_t i = 0; i < faults.count && i < FAULTS_MAX; i++) {
        size_t length = strlen(faults.first[i].text);
        snprintf(faults.first[i].text + length, sizeof faults.first[i].text - length,
                 " (as user id %u, whose the store is)", (unsigned)geteuid());
    }
    return program_tell_faults(checking->program->name, &faults);
}

static void check_surroundings(struct checking *checking)
{
    freed_by(free_string) char *database = store_url_sqlite_path(checking->settings->store_url);
    checking->database = database;
    if (become_services(checking) && !checking->is_pipe)
        checking->status = check_reading(checking);
    checking->as_services = is_services_user(checking);
    warn_of_settings(checking, checking->program->warnings);
    if (checking->status != PROGRAM_OK)
        return;
    const struct program *program = checking->program;
    struct problem problem;
    if (program->requires != NULL && program->requires(checking->settings, &problem) < 1)
        refuse(checking, problem.where, problem.text);
    if (program->seals_links)
        check_secret(checking, checking->settings->web_secret_file, token_key_examine);
    for (const struct program_secret *secret = program->secrets;
         secret != NULL && secret->file != NULL; secret++) {
        const char *file = secret->file(checking->settings);
        if (file != NULL)
            check_secret(checking, file, secret->examine);
    }
    check_store(checking);
}

int program_check(const struct program *program, const struct program_options *options)
{
    freed_by(settings_free) struct settings *settings = NULL;
    freed_by(catalogue_free) struct catalogue *catalogue = NULL;
    struct faults faults;
    struct checking checking = {.program = program, .options = options, .status = PROGRAM_OK,
                                .file = program_settings_file(options)};
    check_settings_file(&checking);
    if (program_load(options, &settings, &catalogue, &faults) < 1)
        return program_tell_faults(program->name, &faults);
    checking.settings = settings;
    warn_of_settings(&checking, settings_warnings);
    check_surroundings(&checking);
    return checking.status;
}
