#include "daemon/program.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "daemon/program_check.h"
#include "daemon/sandbox.h"
#include "message/address.h"

/* ---- options --------------------------------------------------------------------- */

static void print_usage(const struct program *program, FILE *out)
{
    if (program->usage != NULL) {
        fputs(program->usage, out);
        return;
    }
    fprintf(out,
            "usage: %s [-c FILE] [-o section.key=value]... [--check%s]\n"
            "       %s --version | --help\n"
            "\n"
            "%s\n"
            "\n"
            "  -c FILE               settings (default " PROGRAM_DEFAULT_FILE ";\n"
            "                        without that file the built-in defaults)\n"
            "  -o section.key=value  one setting, overrides the file; may be repeated\n"
            "  --check               say what would stop a start, and warn of values that are probably\n"
            "                        not meant: settings, rights of files, the secret, the store; and end\n"
            "%s%s%s"
            "\n"
            "Signals: TERM ends it when requests in flight are answered, HUP reads the\n"
            "settings again. Exit status: 0 ended, 1 failed, 64 usage, 78 settings.\n",
            program->name, program->once != NULL ? " | --once" : "", program->name,
            program->purpose, program->once != NULL ? "  --once                " : "",
            program->once != NULL ? program->once : "", program->once != NULL ? "\n" : "");
}

static int add_override(const struct program *program, struct program_options *options,
                        const char *override)
{
    if (options->override_count == PROGRAM_MAX_OVERRIDES) {
        fprintf(stderr, "%s: more than %d times -o\n", program->name, PROGRAM_MAX_OVERRIDES);
        return PROGRAM_USAGE;
    }
    options->overrides[options->override_count++] = override;
    return -1;
}

static int take_option(const struct program *program, int option, struct program_options *options)
{
    switch (option) {
    case 'c':
        options->file = optarg;
        return -1;
    case 'o':
        return add_override(program, options, optarg);
    case 'k':
        options->check = true;
        return -1;
    case '1':
        options->once = true;
        return -1;
    case 'v':
        printf("%s %s\n", program->name, SENDGUARD_VERSION);
        return PROGRAM_OK;
    case 'h':
        print_usage(program, stdout);
        return PROGRAM_OK;
    default:
        print_usage(program, stderr);
        return PROGRAM_USAGE;
    }
}

int program_options(const struct program *program, int argc, char **argv,
                    struct program_options *options_r)
{
    const struct option longs[] = {
        {"check", no_argument, NULL, 'k'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {program->once != NULL ? "once" : NULL, no_argument, NULL, '1'},
        {NULL, 0, NULL, 0},
    };
    const char *shorts = program->takes_words ? "+c:o:" : "c:o:";
    *options_r = (struct program_options){0};
    for (int option; (option = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        int status = take_option(program, option, options_r);
        if (status >= 0)
            return status;
    }
    options_r->first_word = optind;
    if (optind < argc && !program->takes_words) {
        fprintf(stderr, "%s: unexpected \"%s\"\n", program->name, argv[optind]);
        print_usage(program, stderr);
        return PROGRAM_USAGE;
    }
    return -1;
}

/* ---- settings and texts ------------------------------------------------------------- */

static int add_groups(const gid_t *also, size_t also_count)
{
    int count = getgroups(0, NULL);
    if (count < 0)
        return -1;
    gid_t *groups = xcalloc((size_t)count + also_count, sizeof *groups);
    count = getgroups(count, groups);
    int answer = -1;
    if (count >= 0) {
        memcpy(groups + count, also, also_count * sizeof *groups);
        answer = setgroups((size_t)count + also_count, groups);
    }
    free(groups);
    return answer;
}

bool program_become(uid_t user, gid_t group, const gid_t *also, size_t count)
{
    const struct passwd *account = getpwuid(user);
    int grouped = account != NULL ? initgroups(account->pw_name, account->pw_gid)
                                  : setgroups(0, NULL);
    if (grouped == 0 && count > 0)
        grouped = add_groups(also, count);
    return grouped == 0 && setgid(account != NULL ? account->pw_gid : group) == 0 &&
           setuid(user) == 0;
}

const char *program_settings_file(const struct program_options *options)
{
    if (options->file == NULL && (access(PROGRAM_DEFAULT_FILE, F_OK) == 0 || errno != ENOENT))
        return PROGRAM_DEFAULT_FILE;
    return options->file;
}

int program_settings(const struct program_options *options, struct settings **settings_r,
                     struct faults *faults_r)
{
    return settings_read_all(program_settings_file(options), options->overrides,
                             options->override_count, settings_r, faults_r);
}

int program_load(const struct program_options *options, struct settings **settings_r,
                 struct catalogue **catalogue_r, struct faults *faults_r)
{
    freed_by(settings_free) struct settings *settings = NULL;
    if (program_settings(options, &settings, faults_r) < 1)
        return 0;
    if (catalogue_load(settings->web_templates, catalogue_r, &faults_r->first[0]) < 1) {
        faults_r->count = 1;
        return 0;
    }
    *settings_r = take(settings);
    return 1;
}

void program_tell(const char *name, const char *format, ...)
{
    freed_by(text_free) struct text line = {0};
    char said[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(said, sizeof said, format, arguments);
    va_end(arguments);
    text_add_plain(&line, said);
    fprintf(stderr, "%s: %s\n", name, text_string(&line));
}

static size_t kept_faults(const struct faults *faults)
{
    return faults->count < FAULTS_MAX ? faults->count : FAULTS_MAX;
}

int program_tell_faults(const char *name, const struct faults *faults)
{
    size_t kept = kept_faults(faults);
    for (size_t i = 0; i < kept; i++)
        program_tell(name, "%s: %s", faults->first[i].where, faults->first[i].text);
    size_t more = faults->count - kept;
    if (more > 0)
        program_tell(name, "and %zu more fault%s", more, more == 1 ? "" : "s");
    return PROGRAM_CONFIG;
}

static sigset_t awaited(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    return signals;
}

int program_begin(const struct program *program, int argc, char **argv,
                  struct program_options *options_r, struct settings **settings_r,
                  struct catalogue **catalogue_r)
{
    struct faults faults;
    int status = program_options(program, argc, argv, options_r);
    if (status >= 0)
        return status;
    address_init();
    if (options_r->check)
        return program_check(program, options_r);
    if (program_load(options_r, settings_r, catalogue_r, &faults) < 1)
        return program_tell_faults(program->name, &faults);
    sigset_t signals = awaited();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return -1;
}

static int refuse_start(const char *where, const char *error)
{
    log_line(LOG_ERROR_LEVEL, "cannot start", "where", where, "error", error, NULL);
    return PROGRAM_CONFIG;
}

const char *program_store_advice(const struct settings *settings)
{
    const char *url = settings->store_url;
    bool by_network = strncmp(url, "redis", strlen("redis")) == 0 &&
                      strncmp(url, "redis+unix", strlen("redis+unix")) != 0;
    return by_network ? "; a public address has to be among IPAddressAllow= of the unit" : "";
}

struct store_options program_store_options(const struct settings *settings)
{
    return (struct store_options){
        .timeout_ms = (int)settings->store_timeout_ms,
        .full_durability = settings->store_durability == DURABILITY_FULL,
        .replicas = (int)settings->store_replicas,
        .user = settings->store_user,
        .password_file = settings->store_password_file,
        .tls_ca_file = settings->store_tls_ca_file,
        .tls_cert_file = settings->store_tls_cert_file,
        .tls_key_file = settings->store_tls_key_file};
}

int program_open(const struct program *program, const struct settings *settings,
                 struct token_key **key_r, struct store **store_r)
{
    struct problem problem;
    const struct store_options options = program_store_options(settings);
    bool made = false;
    int status = -1;
    if (program->requires != NULL && program->requires(settings, &problem) < 1)
        status = refuse_start(problem.where, problem.text);
    if (program->seals_links && token_key_load(settings->web_secret_file, key_r, &problem) < 1)
        status = refuse_start(problem.where, problem.text);
    for (const struct program_secret *secret = program->secrets;
         secret != NULL && secret->file != NULL; secret++) {
        const char *file = secret->file(settings);
        if (file != NULL && secret->examine(file, &problem) < 1)
            status = refuse_start(problem.where, problem.text);
    }
    if (store_open(settings->store_url, &options, store_r, &problem) < 1)
        return refuse_start(problem.where, problem.text);
    int answer = store_examine(*store_r, &made);
    if (answer == 0)
        return refuse_start("store.url", store_error(*store_r));
    if (answer < 0) {
        freed_by(free_string) char *error =
            xasprintf("%s%s", store_error(*store_r), program_store_advice(settings));
        log_line(LOG_ERROR_LEVEL, "store does not answer at the start", "error", error, NULL);
    }
    if (made)
        log_line(LOG_INFO_LEVEL, "new and empty database", "url", settings->store_url, NULL);
    return status;
}

/* ---- running ---------------------------------------------------------------------------- */

static bool is_of_start(const struct program *program, const char *name)
{
    if (strncmp(name, "store.", strlen("store.")) == 0 && strcmp(name, "store.on_failure") != 0 &&
        strcmp(name, "store.emergency") != 0)
        return true;
    const char *const *of_start = program->of_start;
    for (; of_start != NULL && *of_start != NULL; of_start++) {
        size_t length = strlen(*of_start);
        bool section = (*of_start)[length - 1] == '.';
        if (section ? strncmp(name, *of_start, length) == 0 : strcmp(name, *of_start) == 0)
            return true;
    }
    return false;
}

static void tell_differences(const struct program *program, const struct settings *before,
                             const struct settings *after)
{
    enum { MAX_NAMES = 128 };
    const char *names[MAX_NAMES];
    size_t count = settings_differences(before, after, names, MAX_NAMES);
    for (size_t i = 0; i < count; i++) {
        bool restart = is_of_start(program, names[i]);
        log_line(restart ? LOG_WARNING_LEVEL : LOG_INFO_LEVEL,
                 restart ? "setting changed, needs a restart" : "setting changed", "setting",
                 names[i], NULL);
    }
}

/* As program_load. */
static int load_again(const struct program_options *options, struct settings **settings_r,
                      struct catalogue **catalogue_r, struct faults *faults_r)
{
    if (program_load(options, settings_r, catalogue_r, faults_r) < 1)
        return 0;
    if (sandbox_permits(*settings_r, &faults_r->first[0]) == 1)
        return 1;
    faults_r->count = 1;
    settings_free(settings_r);
    catalogue_free(catalogue_r);
    return 0;
}

static void reload(const struct program *program, const struct program_options *options,
                   struct guard *guard)
{
    struct settings *settings = NULL;
    struct catalogue *catalogue = NULL;
    struct faults faults;
    if (load_again(options, &settings, &catalogue, &faults) < 1) {
        for (size_t i = 0; i < kept_faults(&faults); i++)
            log_line(LOG_ERROR_LEVEL, "settings are refused, the old ones stay", "where",
                     faults.first[i].where, "error", faults.first[i].text, NULL);
        return;
    }
    freed_by(snapshot_release) struct snapshot *before = guard_snapshot(guard);
    tell_differences(program, snapshot_settings(before), settings);
    guard_reload(guard, settings, catalogue);
    log_line(LOG_INFO_LEVEL, "settings read again", "file", options->file, NULL);
}

/* For units of Type=notify (sd_notify(3)): a start that fails is told to who asked for it. */
static void tell_ready(void)
{
    static const char ready[] = "READY=1";
    struct sockaddr_un manager = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || strlen(path) >= sizeof manager.sun_path)
        return;
    size_t length = strlen(path);
    memcpy(manager.sun_path, path, length);
    if (path[0] == '@') /* an abstract socket */
        manager.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sendto(fd, ready, strlen(ready), MSG_NOSIGNAL, (const struct sockaddr *)&manager,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
        log_line(LOG_WARNING_LEVEL, "the service manager is not told of the start", "error",
                 strerror(errno), NULL);
    if (fd >= 0)
        close(fd);
}

void program_wait(const struct program *program, const struct program_options *options,
                  struct guard *guard, void (*each_second)(void *context), void *context)
{
    sigset_t signals = awaited();
    tell_ready();
    for (;;) {
        int got = sigtimedwait(&signals, NULL, &(struct timespec){.tv_sec = 1});
        if (got == SIGTERM || got == SIGINT)
            return;
        if (got == SIGHUP)
            reload(program, options, guard);
        if (each_second != NULL)
            each_second(context);
    }
}
