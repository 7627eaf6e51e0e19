/* sendguard-auth: the login policy as a program. */
#include <stdlib.h>

#include "auth/login_exchanger.h"
#include "auth/login_policy.h"
#include "daemon/daemon.h"
#include "daemon/listen.h"
#include "http_server/server.h"

enum { THREADS = 2, START_FAILED_MS = 10000 };

struct login_program {
    struct login_policy policy;
    struct login_exchanger *exchanger;
    struct server *server;
};

static const char *listens_on(const struct settings *settings, mode_t *mode_r)
{
    *mode_r = (mode_t)settings->auth_socket_mode;
    return settings->auth_listen;
}

static const char *secret_file(const struct settings *settings) { return settings->auth_key_file; }

static bool observes(const struct settings *settings) { return !settings_enforces_logins(settings); }

static void warnings(const struct settings *settings, struct faults *warnings)
{
    if (!listen_is_path(settings->auth_listen) && !listen_is_on_loopback(settings->auth_listen))
        settings_warn(warnings, "auth.listen",
                      "is on an address that others may reach: names of mailboxes and the key "
                      "travel readable; expected 127.0.0.1, ::1 or a socket file");
}

static void end(struct login_program *serving)
{
    logins_free(&serving->policy.logins);
    free(serving);
}

static void *start(const struct daemon *daemon)
{
    struct login_program *serving = xcalloc(1, sizeof *serving);
    struct problem problem;
    serving->policy.guard = daemon->guard;
    serving->policy.recorder = daemon->recorder;
    if (login_key_read(daemon->settings->auth_key_file, &serving->policy.key, &problem) < 1) {
        log_line(LOG_ERROR_LEVEL, "cannot start", "where", problem.where, "error", problem.text,
                 NULL);
        end(serving);
        return NULL;
    }
    serving->policy.logins = logins_new(daemon->key);
    serving->exchanger = login_exchanger_start(daemon, serving->policy.logins);
    if (serving->exchanger != NULL)
        serving->server =
            server_start(login_policy_answer, &serving->policy, daemon->listen_fd, THREADS);
    if (serving->server == NULL) {
        if (serving->exchanger == NULL ||
            login_exchanger_stop(&serving->exchanger, START_FAILED_MS) > 0)
            end(serving);
        return NULL;
    }
    return serving;
}

static void each_second(void *context)
{
    struct login_program *serving = context;
    login_exchanger_tell(serving->exchanger);
}

static int stop(void *context, int timeout_ms)
{
    struct login_program *serving = context;
    int all = server_stop(&serving->server, timeout_ms);
    if (login_exchanger_stop(&serving->exchanger, timeout_ms) < 0)
        return -1;
    end(serving);
    return all;
}

int main(int argc, char **argv)
{
    static const char *const of_start[] = {"auth.", "web.secret_file", NULL};
    static const struct daemon_program program = {
        .program = {.name = "sendguard-auth",
                    .purpose = "Keeps out who tries wrong passwords (Dovecot's auth policy).",
                    .seals_links = true,
                    .secret_file = secret_file,
                    .secret_examine = login_key_examine,
                    .warnings = warnings,
                    .of_start = of_start},
        .backlog = 1024,
        .listen = listens_on,
        .observes = observes,
        .start = start,
        .each_second = each_second,
        .stop = stop,
    };
    return daemon_run(&program, argc, argv);
}
