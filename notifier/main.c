/* sendguard-notify: notifications to support and users, as a program. */
#include <string.h>

#include "daemon/daemon.h"
#include "notifier/notifier.h"
#include "notify/notify_send.h"

static const char *key_file(const struct settings *settings)
{
    return settings->notify_webhook[0] != '\0' ? settings->notify_webhook_key_file : NULL;
}

static void warnings(const struct settings *settings, struct faults *warnings)
{
    if (settings->notify_mail_to.count == 0 && settings->notify_webhook[0] == '\0' &&
        settings->notify_user_languages[0] == '\0')
        settings_warn(warnings, "notify.mail_to",
                      "is not set, nor are webhook and user_languages: nobody is told of anything");
    if (notify_send_is_forwarded(settings))
        settings_warn(warnings, "notify.smtp", NOTIFY_SEND_FORWARDED);
}

static void *start(const struct daemon *daemon) { return notifier_start(daemon); }

static int stop(void *serving, int timeout_ms)
{
    struct notifier *notifier = serving;
    return notifier_stop(&notifier, timeout_ms);
}

int main(int argc, char **argv)
{
    static const struct program_secret secrets[] = {{key_file, notify_send_examine_key},
                                                    {NULL, NULL}};
    static const struct daemon_program program = {
        .program = {.name = "sendguard-notify",
                    .purpose = "Tells support by mail and webhook, and users by mail, what has "
                               "happened to mailboxes.",
                    .secrets = secrets,
                    .requires = notify_send_requires,
                    .warnings = warnings},
        .start = start,
        .stop = stop,
    };
    return daemon_run(&program, argc, argv);
}
