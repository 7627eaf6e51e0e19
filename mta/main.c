/* sendguard-mta: the mail server's door as a program. Reads its settings, opens the socket and
 * the store, starts the loops, and waits for signals: SIGTERM and SIGINT end it cleanly, SIGHUP
 * reads the settings again. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/listen.h"
#include "daemon/program.h"
#include "mta/loop.h"

enum {
    BACKLOG = 1024,
    FINISH_MS = 10 * 1000,
    COLLECTED_MAX_BYTES = 16 * 1024 * 1024,
};

static const char *const of_start[] = {"mta.listen", "mta.threads", "mta.socket_mode", "store.url",
                                       "store.timeout", NULL};
static const struct program program = {
    .name = "sendguard-mta",
    .purpose = "Judges every message that a mail server is handed (Postfix policy delegation).",
    .of_start = of_start,
};

static int open_socket(const struct settings *settings)
{
    const char *where = settings->mta_listen;
    int fd = listen_on(where, (mode_t)settings->mta_socket_mode, BACKLOG);
    if (fd < 0)
        log_line(LOG_ERROR_LEVEL, "cannot listen", "listen", where, "error", strerror(errno), NULL);
    return fd;
}

/* Every process of Postfix that receives mail has a connection: as many as the system lets us. */
static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max)
        return;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        log_line(LOG_WARNING_LEVEL, "cannot raise the number of open files", "error",
                 strerror(errno), NULL);
}

static void warn_of_counting_twice(const struct settings *settings)
{
    if (settings->mta_webmail_hosts.count == 0)
        log_line(LOG_WARNING_LEVEL,
                 "mta.webmail_hosts is not set: what a guarded webmail sends is counted there and "
                 "here again",
                 NULL);
}

static int serve(const struct program_options *options, const struct settings *settings,
                 struct mail_door *door, int listen_fd)
{
    struct loops *loops = loops_start(door, listen_fd, (int)settings->mta_threads);
    log_line(LOG_INFO_LEVEL, "listening", "listen", settings->mta_listen, "mode",
             settings->guard_mode == MODE_OBSERVE ? "observe" : "enforce", "version",
             SENDGUARD_VERSION, NULL);
    warn_of_counting_twice(settings);
    program_wait(&program, options, door->guard, NULL, NULL);
    log_line(LOG_INFO_LEVEL, "ending", NULL);
    /* while the name is still ours: who starts next may bind it before we have ended */
    if (listen_is_path(settings->mta_listen))
        unlink(settings->mta_listen);
    if (loops_stop(&loops, FINISH_MS))
        return PROGRAM_OK;
    log_line(LOG_ERROR_LEVEL, "requests in flight did not finish in time", NULL);
    _exit(PROGRAM_FAILED);
}

/* Settings and catalogue are taken. */
static int run(const struct program_options *options, struct settings *settings,
               struct catalogue *catalogue)
{
    freed_by(store_free) struct store *store = NULL;
    int opened = program_open(settings, NULL, &store);
    if (opened >= 0) {
        settings_free(&settings);
        catalogue_free(&catalogue);
        return opened;
    }
    freed_by(guard_free) struct guard *guard = guard_new(store, NULL, settings, catalogue);
    freed_by(guard_let_go) struct held_settings *at_start = guard_hold(guard);
    int listen_fd = open_socket(held_settings(at_start)), status = PROGRAM_FAILED;
    if (listen_fd >= 0) {
        freed_by(observer_stop) struct observer *observer = observer_start(store);
        freed_by(collector_free) struct collector *collector = collector_new(COLLECTED_MAX_BYTES);
        struct mail_door door = {
            .guard = guard, .store = store, .observer = observer, .collector = collector};
        status = serve(options, held_settings(at_start), &door, listen_fd);
        close(listen_fd);
    }
    return status;
}

int main(int argc, char **argv)
{
    struct program_options options;
    struct settings *settings = NULL;
    struct catalogue *catalogue = NULL;
    int status = program_begin(&program, argc, argv, &options, &settings, &catalogue);
    if (status >= 0)
        return status;
    raise_file_limit();
    return run(&options, settings, catalogue);
}
