/* sendguard-milter: judges the header of what mail programs hand in, as a program. */
#include <stdlib.h>

#include "daemon/daemon.h"
#include "daemon/listen.h"
#include "guard/from_check.h"
#include "milter/filter.h"

static const char *listens_on(const struct settings *settings, mode_t *mode_r)
{
    *mode_r = (mode_t)settings->milter_socket_mode;
    return settings->milter_listen;
}

static int requires_listen(const struct settings *settings, struct problem *problem)
{
    return settings->milter_listen[0] != '\0'
               ? 1
               : problem_set(problem, 0, "milter.listen",
                             "expected HOST:PORT or an absolute path, it is empty");
}

static void warnings(const struct settings *settings, struct faults *warnings)
{
    from_check_owners(settings, warnings);
    if (settings->milter_listen[0] != '\0' && !listen_is_path(settings->milter_listen) &&
        !listen_is_on_loopback(settings->milter_listen))
        settings_warn(warnings, "milter.listen",
                      "is on an address that others may reach: every program that can connect can "
                      "have what a mailbox sent taken back; expected 127.0.0.1, ::1 or a "
                      "socket file");
}

static void *start(const struct daemon *daemon)
{
    struct header_service *service = xcalloc(1, sizeof *service);
    *service = (struct header_service){
        .guard = daemon->guard, .store = daemon->store, .recorder = daemon->recorder};
    if (filter_start(service, daemon->settings->milter_listen,
                     (mode_t)daemon->settings->milter_socket_mode))
        return service;
    free(service);
    return NULL;
}

static int stop(void *service, int timeout_ms)
{
    if (!filter_stop(timeout_ms))
        return -1;
    free(service);
    return 1;
}

int main(int argc, char **argv)
{
    static const char *const of_start[] = {"milter.", "web.secret_file", NULL};
    static const struct daemon_program program = {
        .program = {.name = "sendguard-milter",
                    .purpose = "Judges the header of what mail programs hand in (milter).",
                    .seals_links = true,
                    .requires = requires_listen,
                    .warnings = warnings,
                    .of_start = of_start},
        .backlog = 1024,
        .opens_socket = true,
        .listen = listens_on,
        .start = start,
        .stop = stop,
    };
    return daemon_run(&program, argc, argv);
}
