/* sendguard-mta: the policy service as a program. */
#include <stdlib.h>

#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/listen.h"
#include "guard/from_check.h"
#include "mta/loops.h"

enum { COLLECTED_MAX_BYTES = 16 * 1024 * 1024 };

struct policy_program {
    struct policy_service service;
    struct event_loops *loops;
};

static const char *listens_on(const struct settings *settings, mode_t *mode_r)
{
    *mode_r = (mode_t)settings->mta_socket_mode;
    return settings->mta_listen;
}

static void warnings(const struct settings *settings, struct faults *warnings)
{
    from_check_owners(settings, warnings);
    if (settings->mta_webmail_hosts.count == 0)
        settings_warn(warnings, "mta.webmail_hosts",
                      "is not set: a message of a webmail that asks sendguard-fcgi is counted there "
                      "and here again");
    if (!listen_is_path(settings->mta_listen) && !listen_is_on_loopback(settings->mta_listen))
        settings_warn(warnings, "mta.listen",
                      "is on an address that others may reach: every program that can connect can "
                      "use up any mailbox's limits; expected 127.0.0.1, ::1 or a socket file");
}

static void *start(const struct daemon *daemon)
{
    struct policy_program *serving = xcalloc(1, sizeof *serving);
    serving->service = (struct policy_service){.guard = daemon->guard,
                                       .store = daemon->store,
                                       .recorder = daemon->recorder,
                                       .key = daemon->key,
                                       .collector = collector_new(COLLECTED_MAX_BYTES)};
    serving->loops =
        loops_start(&serving->service, daemon->listen_fd, (int)daemon->settings->mta_threads,
                    clock_monotonic_ms);
    return serving;
}

static int stop(void *context, int timeout_ms)
{
    struct policy_program *serving = context;
    if (!event_loop_stop(&serving->loops, timeout_ms))
        return -1;
    collector_free(&serving->service.collector);
    free(serving);
    return 1;
}

int main(int argc, char **argv)
{
    static const char *const of_start[] = {"mta.listen", "mta.threads", "mta.socket_mode",
                                           "web.secret_file", NULL};
    static const struct daemon_program program = {
        .program = {.name = "sendguard-mta",
                    .purpose = "Judges every message that a mail server is handed (Postfix policy "
                               "delegation).",
                    .seals_links = true,
                    .warnings = warnings,
                    .of_start = of_start},
        .backlog = 1024,
        .listen = listens_on,
        .start = start,
        .stop = stop,
    };
    return daemon_run(&program, argc, argv);
}
