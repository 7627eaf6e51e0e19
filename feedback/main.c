/* sendguard-feedback: delivery feedback as a program. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "daemon/daemon.h"
#include "daemon/listen.h"
#include "feedback/lmtp_service.h"
#include "feedback/log_reader.h"
#include "feedback/log_source.h"
#include "feedback/reports.h"
#include "feedback/spf_checker.h"

enum { START_FAILED_MS = 10000 };

struct feedback_program {
    struct spf_checker *checker;
    struct log_reader *reader;
    struct lmtp_service service;
    struct event_loops *loops; /* NULL: it listens nowhere */
    struct reports *reports;
};

static const char *listens_on(const struct settings *settings, mode_t *mode_r)
{
    *mode_r = (mode_t)settings->feedback_socket_mode;
    return settings->feedback_listen[0] != '\0' ? settings->feedback_listen : NULL;
}

static void report_warnings(const struct settings *settings, struct faults *warnings)
{
    const char *listen = settings->feedback_listen;
    if (listen[0] == '\0')
        return;
    if (!listen_is_path(listen) && !listen_is_on_loopback(listen))
        settings_warn(warnings, "feedback.listen",
                      "is on an address that others may reach: every program that can connect can "
                      "say that a loop complains; expected 127.0.0.1, ::1 or a socket file");
    if (settings->complaints_authserv_id[0] == '\0')
        settings_warn(warnings, "complaints.authserv_id",
                      "is not set: of no report it is known who sent it, and all of them wait for "
                      "staff");
}

/* Postfix finds its settings by the same variable. */
static void warnings(const struct settings *settings, struct faults *warnings)
{
    const char *folder = getenv("MAIL_CONFIG");
    freed_by(free_string) char *main_cf =
        xasprintf("%s/main.cf", folder != NULL ? folder : "/etc/postfix");
    log_source_check(settings->feedback_source, main_cf, "feedback.source", warnings);
    report_warnings(settings, warnings);
}

static void *start(const struct daemon *daemon)
{
    struct feedback_program *serving = xcalloc(1, sizeof *serving);
    serving->checker = spf_checker_start(daemon);
    if (serving->checker != NULL)
        serving->reader = log_reader_start(daemon, serving->checker);
    if (serving->reader == NULL) {
        if (serving->checker == NULL || spf_checker_stop(&serving->checker, START_FAILED_MS) > 0)
            free(serving);
        return NULL;
    }
    serving->reports = reports_new(daemon->store, daemon->guard, daemon->key, daemon->recorder);
    serving->service = (struct lmtp_service){.keep = reports_keep, .context = serving->reports};
    if (daemon->listen_fd >= 0)
        serving->loops = lmtp_service_start(&serving->service, daemon->listen_fd,
                                            clock_monotonic_ms);
    return serving;
}

static int stop(void *context, int timeout_ms)
{
    struct feedback_program *serving = context;
    if ((serving->loops != NULL && !event_loop_stop(&serving->loops, timeout_ms)) ||
        log_reader_stop(&serving->reader, timeout_ms) < 0 ||
        spf_checker_stop(&serving->checker, timeout_ms) < 0)
        return -1;
    reports_free(&serving->reports);
    free(serving);
    return 1;
}

int main(int argc, char **argv)
{
    static const char *const of_start[] = {"feedback.", "spf.resolver", "web.secret_file", NULL};
    static const char *const groups[] = {"systemd-journal", "adm", NULL};
    static const struct daemon_program program = {
        .program = {.name = "sendguard-feedback",
                    .purpose = "Follows the mail server's log: what became of each message; takes "
                               "reports of complaints by LMTP, and looks at SPF records.",
                    .once = "reads what the log holds, and ends",
                    .seals_links = true,
                    .groups = groups,
                    .warnings = warnings,
                    .of_start = of_start},
        .backlog = 64,
        .listen = listens_on,
        .start = start,
        .stop = stop,
        .once = log_reader_once,
    };
    return daemon_run(&program, argc, argv);
}
