/* sendguard-fcgi: the webmail endpoint as a program. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/listen.h"
#include "guard/from_check.h"
#include "fcgi/service.h"

struct endpoint_program {
    struct endpoint endpoint;
    struct service *service;
};

static const char *listens_on(const struct settings *settings, mode_t *mode_r)
{
    *mode_r = (mode_t)settings->fcgi_socket_mode;
    return settings->fcgi_listen;
}

static void warnings(const struct settings *settings, struct faults *warnings)
{
    from_check_owners(settings, warnings);
    if (!listen_is_path(settings->fcgi_listen))
        settings_warn(warnings, "fcgi.listen",
                      "is on TCP: every program that can connect can end this one; expected a "
                      "socket file");
}

static void *start(const struct daemon *daemon)
{
    struct endpoint_program *serving = xcalloc(1, sizeof *serving);
    serving->endpoint = (struct endpoint){
        .guard = daemon->guard, .store = daemon->store, .recorder = daemon->recorder};
    hint_limit_init(&serving->endpoint.hint_limit);
    serving->service = service_start(&serving->endpoint, daemon->listen_fd,
                                     (int)daemon->settings->fcgi_threads, clock_monotonic_ms);
    return serving;
}

static int stop(void *context, int timeout_ms)
{
    struct endpoint_program *serving = context;
    if (!service_stop(&serving->service, timeout_ms))
        return -1;
    free(serving);
    return 1;
}

int main(int argc, char **argv)
{
    static const char *const of_start[] = {"fcgi.", "web.secret_file", NULL};
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
        .stop = stop,
    };
    return daemon_run(&program, argc, argv);
}
