/* sendguard-parked: parked messages are sent without a visit of their users, as a program. */
#include "daemon/daemon.h"
#include "parked/mail_link.h"
#include "parked/worker.h"

static const char *password_file(const struct settings *settings)
{
    return settings->parked_password_file;
}

static void *start(const struct daemon *daemon) { return worker_start(daemon); }

static int stop(void *serving, int timeout_ms)
{
    struct worker *worker = serving;
    return worker_stop(&worker, timeout_ms);
}

static int once(const struct daemon *daemon)
{
    return worker_once(daemon) > 0 ? PROGRAM_OK : PROGRAM_FAILED;
}

int main(int argc, char **argv)
{
    static const struct program_secret secrets[] = {{password_file, mail_link_examine},
                                                    {NULL, NULL}};
    static const char *const of_start[] = {"web.secret_file", NULL};
    static const struct daemon_program program = {
        .program = {.name = "sendguard-parked",
                    .purpose = "Sends messages that wait in the drafts of users at their moment, "
                               "without a visit.",
                    .once = "sends what may go now, and ends; exit status 1: not all servers "
                            "answered",
                    .seals_links = true,
                    .secrets = secrets,
                    .requires = mail_link_requires,
                    .warnings = mail_link_warnings,
                    .of_start = of_start},
        .start = start,
        .once = once,
        .stop = stop,
    };
    return daemon_run(&program, argc, argv);
}
