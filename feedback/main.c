/* sendguard-feedback: delivery feedback as a program. */
#include <stdlib.h>

#include "base/text.h"
#include "daemon/daemon.h"
#include "feedback/log_reader.h"
#include "feedback/log_source.h"

/* Postfix finds its settings by the same variable. */
static void warnings(const struct settings *settings, struct faults *warnings)
{
    const char *folder = getenv("MAIL_CONFIG");
    freed_by(free_string) char *main_cf =
        xasprintf("%s/main.cf", folder != NULL ? folder : "/etc/postfix");
    log_source_check(settings->feedback_source, main_cf, "feedback.source", warnings);
}

static void *start(const struct daemon *daemon) { return log_reader_start(daemon); }

static int stop(void *context, int timeout_ms)
{
    struct log_reader *reader = context;
    return log_reader_stop(&reader, timeout_ms);
}

int main(int argc, char **argv)
{
    static const char *const of_start[] = {"feedback.source", "web.secret_file", NULL};
    static const char *const groups[] = {"systemd-journal", "adm", NULL};
    static const struct daemon_program program = {
        .program = {.name = "sendguard-feedback",
                    .purpose = "Follows the mail server's log: what became of each message.",
                    .once = "reads what the log holds, and ends",
                    .seals_links = true,
                    .groups = groups,
                    .warnings = warnings,
                    .of_start = of_start},
        .start = start,
        .stop = stop,
        .once = log_reader_once,
    };
    return daemon_run(&program, argc, argv);
}
