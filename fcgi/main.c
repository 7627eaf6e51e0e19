/* sendguard-fcgi: the webmail door as a program. Reads its settings, opens the
 * socket and the store, starts the workers, and waits for signals: SIGTERM and
 * SIGINT end it cleanly, SIGHUP reads the settings again. */
#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "settings.h"
#include "worker.h"

#define DEFAULT_FILE "/etc/sendguard/sendguard.conf"

enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 64,  /* sysexits.h EX_USAGE */
    EXIT_CONFIG = 78, /* sysexits.h EX_CONFIG */
    BACKLOG = 1024,
    FINISH_MS = 10 * 1000,
    MAX_OVERRIDES = 64,
};

static const char usage[] =
    "usage: sendguard-fcgi [-c FILE] [-o section.key=value]... [--check]\n"
    "       sendguard-fcgi --version | --help\n"
    "\n"
    "Judges every message that a webmail is about to send (FastCGI).\n"
    "\n"
    "  -c FILE               settings (default " DEFAULT_FILE ";\n"
    "                        without that file the built-in defaults)\n"
    "  -o section.key=value  one setting, stronger than the file; may be repeated\n"
    "  --check               read the settings, say what is wrong with them, and end\n"
    "\n"
    "Signals: TERM ends it when requests in flight are answered, HUP reads the\n"
    "settings again. Exit status: 0 ended, 1 failed, 64 usage, 78 settings.\n";

struct options {
    const char *file; /* NULL: the default file if there is one */
    const char *overrides[MAX_OVERRIDES];
    size_t override_count;
    bool check;
};

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {
        {"check", no_argument, NULL, 'k'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "c:o:", longs, NULL)) != -1;) {
        switch (option) {
        case 'c':
            options->file = optarg;
            break;
        case 'o':
            if (options->override_count == MAX_OVERRIDES) {
                fprintf(stderr, "sendguard-fcgi: more than %d times -o\n", MAX_OVERRIDES);
                return EXIT_USAGE;
            }
            options->overrides[options->override_count++] = optarg;
            break;
        case 'k':
            options->check = true;
            break;
        case 'v':
            puts("sendguard-fcgi " SENDGUARD_VERSION);
            return EXIT_OK;
        case 'h':
            fputs(usage, stdout);
            return EXIT_OK;
        default:
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "sendguard-fcgi: unexpected \"%s\"\n%s", argv[optind], usage);
        return EXIT_USAGE;
    }
    return -1;
}

static int read_settings(const struct options *options, struct settings **settings_r,
                         struct problem *problem)
{
    const char *file = options->file;
    if (file == NULL && access(DEFAULT_FILE, F_OK) == 0)
        file = DEFAULT_FILE;
    return settings_read(file, options->overrides, options->override_count, settings_r,
                         problem);
}

/* ---- the socket --------------------------------------------------------------------- */

/* A socket that nobody listens on any more is left from a program that was
 * killed; one that answers is another's. */
static int remove_stale(const struct sockaddr_un *address)
{
    struct stat file;
    if (lstat(address->sun_path, &file) != 0)
        return errno == ENOENT ? 1 : 0;
    if (!S_ISSOCK(file.st_mode)) {
        errno = EEXIST;
        return 0;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    if (fd >= 0)
        close(fd);
    if (answers) {
        errno = EADDRINUSE;
        return 0;
    }
    return unlink(address->sun_path) == 0;
}

static int listen_unix(const char *path, mode_t mode)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    if (!remove_stale(&address))
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t before = umask(0777 & ~mode); /* no moment at which others could connect */
    int failed = fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
                 listen(fd, BACKLOG) != 0;
    umask(before);
    return failed ? -1 : fd;
}

static int listen_tcp(const char *listen_on)
{
    freed_by(free_string) char *host = xstrdup(listen_on);
    char *colon = strrchr(host, ':');
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM}, *found = NULL;
    if (colon == NULL) {
        errno = EINVAL;
        return -1;
    }
    *colon = '\0';
    char *name = host;
    if (*name == '[' && colon > name && colon[-1] == ']') {
        colon[-1] = '\0';
        name++;
    }
    if (getaddrinfo(name, colon + 1, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
                    bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static int open_socket(const struct settings *settings)
{
    const char *where = settings->fcgi_listen;
    int fd = where[0] == '/' ? listen_unix(where, (mode_t)settings->fcgi_socket_mode)
                             : listen_tcp(where);
    if (fd < 0)
        log_line(LOG_ERROR_LEVEL, "cannot listen", "listen", where, "error", strerror(errno), NULL);
    else if (where[0] != '/')
        log_line(LOG_WARNING_LEVEL,
                 "listening on TCP: whoever can connect can end this program; prefer a socket file",
                 "listen", where, NULL);
    return fd;
}

/* ---- running -------------------------------------------------------------------------- */

/* A thread must stay free to accept: connections beyond are closed after each answer. */
static int kept_connections(const struct settings *settings)
{
    if (settings->fcgi_keepalive < settings->fcgi_threads)
        return (int)settings->fcgi_keepalive;
    char keepalive[24], threads[24];
    snprintf(keepalive, sizeof keepalive, "%lld", (long long)settings->fcgi_keepalive);
    snprintf(threads, sizeof threads, "%lld", (long long)settings->fcgi_threads);
    log_line(LOG_WARNING_LEVEL,
             "fcgi.keepalive does not fit: a kept connection holds a thread; raise fcgi.threads, "
             "or lower keepalive here and in nginx",
             "keepalive", keepalive, "threads", threads, NULL);
    return (int)settings->fcgi_threads - 1;
}

static bool is_of_start(const char *name)
{
    return strncmp(name, "fcgi.", 5) == 0 || strcmp(name, "store.url") == 0 ||
           strcmp(name, "store.timeout") == 0 || strcmp(name, "web.secret_file") == 0;
}

/* `settings` in force are compared with those read now; returns what is in force. */
static void reload(const struct options *options, struct guard *guard,
                   struct settings **in_force)
{
    enum { MAX_NAMES = 128 };
    struct settings *fresh = NULL, *again = NULL;
    struct problem problem;
    const char *names[MAX_NAMES];
    /* read twice: one for the guard, one to compare with the next time */
    if (read_settings(options, &fresh, &problem) < 1 ||
        read_settings(options, &again, &problem) < 1) {
        log_line(LOG_ERROR_LEVEL, "settings are refused, the old ones stay", "where",
                 problem.where, "error", problem.text, NULL);
        settings_free(&fresh);
        return;
    }
    size_t count = settings_differences(*in_force, again, names, MAX_NAMES);
    for (size_t i = 0; i < count; i++)
        log_line(is_of_start(names[i]) ? LOG_WARNING_LEVEL : LOG_INFO_LEVEL,
                 is_of_start(names[i]) ? "setting changed, needs a restart" : "setting changed",
                 "setting", names[i], NULL);
    guard_reload(guard, fresh);
    settings_free(in_force);
    *in_force = again;
    log_line(LOG_INFO_LEVEL, "settings read again", "file", options->file, NULL);
}

/* Until SIGTERM or SIGINT. */
static void wait_for_signals(const sigset_t *signals, const struct options *options,
                             struct guard *guard, struct settings **in_force,
                             struct workers *workers)
{
    for (;;) {
        int got = sigtimedwait(signals, NULL, &(struct timespec){.tv_sec = 1});
        if (got == SIGTERM || got == SIGINT)
            return;
        if (got == SIGHUP)
            reload(options, guard, in_force);
        workers_watch(workers);
    }
}

static int run(const struct options *options, struct settings **in_force, struct settings *settings,
               const sigset_t *signals)
{
    struct token_key *key = NULL;
    struct store *store = NULL;
    struct problem problem;
    if (token_key_load(settings->web_secret_file, &key, &problem) < 1 ||
        store_open(settings->store_url, (int)settings->store_timeout_ms, &store, &problem) < 1) {
        log_line(LOG_ERROR_LEVEL, "cannot start", "where", problem.where, "error", problem.text,
                 NULL);
        token_key_free(&key);
        settings_free(&settings);
        return EXIT_FAILED;
    }
    int listen_fd = open_socket(settings), status = EXIT_FAILED;
    int threads = (int)settings->fcgi_threads, keepalive = kept_connections(settings);
    struct guard *guard = guard_new(store, key, settings);
    if (listen_fd >= 0) {
        struct webmail_door door = {.guard = guard, .store = store};
        struct workers *workers = workers_start(&door, listen_fd, threads, keepalive);
        log_line(LOG_INFO_LEVEL, "listening", "listen", (*in_force)->fcgi_listen, "mode",
                 (*in_force)->guard_mode == MODE_OBSERVE ? "observe" : "enforce", "version",
                 SENDGUARD_VERSION, NULL);
        wait_for_signals(signals, options, guard, in_force, workers);
        log_line(LOG_INFO_LEVEL, "ending", NULL);
        /* while the name is still ours: who starts next may bind it before we have ended */
        if ((*in_force)->fcgi_listen[0] == '/')
            unlink((*in_force)->fcgi_listen);
        if (workers_stop(&workers, FINISH_MS)) {
            status = EXIT_OK;
        } else {
            log_line(LOG_ERROR_LEVEL, "requests in flight did not finish in time", NULL);
            _exit(EXIT_FAILED);
        }
        close(listen_fd);
    }
    guard_free(&guard);
    store_free(&store);
    token_key_free(&key);
    return status;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct settings *settings = NULL, *in_force = NULL;
    struct problem problem;
    int status = read_options(argc, argv, &options);
    if (status >= 0)
        return status;
    address_init();
    if (read_settings(&options, &settings, &problem) < 1 ||
        read_settings(&options, &in_force, &problem) < 1) {
        fprintf(stderr, "sendguard-fcgi: %s: %s\n", problem.where, problem.text);
        settings_free(&settings);
        return EXIT_CONFIG;
    }
    if (options.check) {
        settings_free(&settings);
        settings_free(&in_force);
        return EXIT_OK;
    }
    /* Before FCGX_Init, which takes SIGTERM for itself where nobody has it; and
     * before any thread is there, so that this one alone receives signals. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    FCGX_Init();
    status = run(&options, &in_force, settings, &signals);
    settings_free(&in_force);
    return status;
}
