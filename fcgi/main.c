/* sendguard-fcgi: the webmail endpoint as a program. */
#include <fcgiapp.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/daemon.h"
#include "daemon/listen.h"
#include "fcgi/workers.h"

struct endpoint_program {
    struct endpoint endpoint;
    struct workers *workers;
};

static const char *listens_on(const struct settings *settings, mode_t *mode_r)
{
    *mode_r = (mode_t)settings->fcgi_socket_mode;
    return settings->fcgi_listen;
}

static void warnings(const struct settings *settings, struct faults *warnings)
{
    if (!listen_is_path(settings->fcgi_listen))
        settings_warn(warnings, "fcgi.listen",
                      "is on TCP: every program that can connect can end this one; expected a "
                      "socket file");
    if (settings->fcgi_keepalive >= settings->fcgi_threads)
        settings_warn(warnings, "fcgi.keepalive",
                      "does not fit: a kept connection holds a thread; expected fewer than "
                      "fcgi.threads, here and in nginx");
}

/* A thread must stay free to accept: connections beyond are closed after each answer. */
static int kept_connections(const struct settings *settings)
{
    return (int)(settings->fcgi_keepalive < settings->fcgi_threads ? settings->fcgi_keepalive
                                                                   : settings->fcgi_threads - 1);
}

static void *start(const struct daemon *daemon)
{
    struct endpoint_program *serving = xcalloc(1, sizeof *serving);
    FCGX_Init(); /* takes SIGTERM for itself where nobody has it: the daemon has */
    serving->endpoint = (struct endpoint){
        .guard = daemon->guard, .store = daemon->store, .recorder = daemon->recorder};
    serving->workers = workers_start(&serving->endpoint, daemon->listen_fd,
                                     (int)daemon->settings->fcgi_threads,
                                     kept_connections(daemon->settings));
    return serving;
}

static void each_second(void *context)
{
    struct endpoint_program *serving = context;
    workers_watch(serving->workers);
}

static int stop(void *context, int timeout_ms)
{
    struct endpoint_program *serving = context;
    if (!workers_stop(&serving->workers, timeout_ms))
        return -1;
    free(serving);
    return 1;
}

int main(int argc, char **argv)
{
    static const char *const of_start[] = {"fcgi.", "store.url", "store.timeout",
                                           "web.secret_file", NULL};
    static const struct daemon_program program = {
        .program = {.name = "sendguard-fcgi",
                    .purpose = "Judges every message that a webmail is about to send (FastCGI).",
                    .seals_links = true,
                    .warnings = warnings,
                    .of_start = of_start},
        .guard_links = true,
        .backlog = 1024,
        .listen = listens_on,
        .start = start,
        .each_second = each_second,
        .stop = stop,
    };
    return daemon_run(&program, argc, argv);
}
