/* sendguard-fcgi: the webmail door as a program. Reads its settings, opens the
 * socket and the store, starts the workers, and waits for signals: SIGTERM and
 * SIGINT end it cleanly, SIGHUP reads the settings again. */
#include <errno.h>
#include <fcgiapp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/listen.h"
#include "daemon/program.h"
#include "fcgi/worker.h"

enum {
    BACKLOG = 1024,
    FINISH_MS = 10 * 1000,
};

static const char *const of_start[] = {"fcgi.", "store.url", "store.timeout", "web.secret_file",
                                       NULL};
static const struct program program = {
    .name = "sendguard-fcgi",
    .purpose = "Judges every message that a webmail is about to send (FastCGI).",
    .seals_links = true,
    .of_start = of_start,
};

static int open_socket(const struct settings *settings)
{
    const char *where = settings->fcgi_listen;
    int fd = listen_on(where, (mode_t)settings->fcgi_socket_mode, BACKLOG);
    if (fd < 0)
        log_line(LOG_ERROR_LEVEL, "cannot listen", "listen", where, "error", strerror(errno), NULL);
    else if (!listen_is_path(where))
        log_line(LOG_WARNING_LEVEL,
                 "listening on TCP: whoever can connect can end this program; prefer a socket file",
                 "listen", where, NULL);
    return fd;
}

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

static void watch(void *workers) { workers_watch(workers); }

static int serve(const struct program_options *options, const struct settings *settings,
                 struct webmail_door *door, int listen_fd)
{
    struct workers *workers = workers_start(door, listen_fd, (int)settings->fcgi_threads,
                                            kept_connections(settings));
    log_line(LOG_INFO_LEVEL, "listening", "listen", settings->fcgi_listen, "mode",
             settings->guard_mode == MODE_OBSERVE ? "observe" : "enforce", "version",
             SENDGUARD_VERSION, NULL);
    program_wait(&program, options, door->guard, watch, workers);
    log_line(LOG_INFO_LEVEL, "ending", NULL);
    /* while the name is still ours: who starts next may bind it before we have ended */
    if (listen_is_path(settings->fcgi_listen))
        unlink(settings->fcgi_listen);
    if (workers_stop(&workers, FINISH_MS))
        return PROGRAM_OK;
    log_line(LOG_ERROR_LEVEL, "requests in flight did not finish in time", NULL);
    _exit(PROGRAM_FAILED);
}

/* Settings and catalogue are taken. */
static int run(const struct program_options *options, struct settings *settings,
               struct catalogue *catalogue)
{
    freed_by(token_key_free) struct token_key *key = NULL;
    freed_by(store_free) struct store *store = NULL;
    int opened = program_open(settings, &key, &store);
    if (opened >= 0) {
        settings_free(&settings);
        catalogue_free(&catalogue);
        return opened;
    }
    freed_by(guard_free) struct guard *guard = guard_new(store, key, settings, catalogue);
    freed_by(guard_let_go) struct held_settings *at_start = guard_hold(guard);
    int listen_fd = open_socket(held_settings(at_start)), status = PROGRAM_FAILED;
    if (listen_fd >= 0) {
        freed_by(observer_stop) struct observer *observer = observer_start(store);
        struct webmail_door door = {.guard = guard, .store = store, .observer = observer};
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
    FCGX_Init(); /* takes SIGTERM for itself where nobody has it: program_begin has */
    return run(&options, settings, catalogue);
}
