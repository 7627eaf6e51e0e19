/* sendguard-auth: the login policy as a program. */
#include <stdlib.h>
#include <string.h>

#include "auth/login_exchanger.h"
#include "auth/login_policy.h"
#include "auth/session_ender.h"
#include "daemon/daemon.h"
#include "daemon/listen.h"
#include "doveadm/doveadm.h"
#include "http_server/server.h"

enum { THREADS = 2, HEADER_BYTES = 4 * 1024, START_FAILED_MS = 10000 };

struct login_program {
    struct login_policy policy;
    struct login_exchanger *exchanger;
    struct session_ender *ender; /* or NULL */
    struct server *server;
};

static const char *listens_on(const struct settings *settings, mode_t *mode_r)
{
    *mode_r = (mode_t)settings->auth_socket_mode;
    return settings->auth_listen;
}

static const char *key_file(const struct settings *settings) { return settings->auth_key_file; }

static const char *doveadm_key_file(const struct settings *settings)
{
    return settings->dovecot_doveadm_url[0] != '\0' ? settings->dovecot_doveadm_key_file : NULL;
}

static bool observes(const struct settings *settings) { return !settings_enforces_logins(settings); }

static void warnings(const struct settings *settings, struct faults *warnings)
{
    static const char plain[] = "http://";
    if (!listen_is_path(settings->auth_listen) && !listen_is_on_loopback(settings->auth_listen))
        settings_warn(warnings, "auth.listen",
                      "is on an address that others may reach: names of mailboxes and the key "
                      "travel readable; expected 127.0.0.1, ::1 or a socket file");
    if (settings->mta_webmail_hosts.count == 0)
        settings_warn(warnings, "mta.webmail_hosts",
                      "is not set: where a webmail does not tell Dovecot the browser's address, "
                      "all its users are one network, and one of them can close it to all");
    if (settings->auth_range_dir[0] != '\0' && access(settings->auth_range_dir, R_OK | X_OK) != 0)
        settings_warn(warnings, "auth.range_dir",
                      "cannot be read: which passwords are in lists of stolen ones is not known");
    if (strncmp(settings->dovecot_doveadm_url, plain, strlen(plain)) == 0 &&
        !listen_is_on_loopback(settings->dovecot_doveadm_url + strlen(plain)))
        settings_warn(warnings, "dovecot.doveadm_url",
                      "is on another machine: the key, with which all mailboxes can be read and "
                      "deleted, travels readable; expected https, 127.0.0.1 or ::1");
}

static void end(struct login_program *serving)
{
    logins_free(&serving->policy.logins);
    free(serving);
}

static bool begin_threads(struct login_program *serving, const struct daemon *daemon)
{
    struct logins *logins = serving->policy.logins;
    bool ends_sessions = daemon->settings->dovecot_doveadm_url[0] != '\0';
    if (ends_sessions)
        logins_watch_locks(logins);
    serving->exchanger = login_exchanger_start(daemon, logins);
    if (serving->exchanger != NULL && ends_sessions)
        serving->ender = session_ender_start(daemon, logins);
    if (serving->exchanger != NULL && (serving->ender != NULL || !ends_sessions))
        serving->server =
            server_start(login_policy_answer, &serving->policy, daemon->listen_fd, THREADS,
                         HEADER_BYTES);
    return serving->server != NULL;
}

/* 1; -1 some are still at work. */
static int end_threads(struct login_program *serving, int timeout_ms)
{
    int ended = serving->ender != NULL ? session_ender_stop(&serving->ender, timeout_ms) : 1;
    return ended > 0 && serving->exchanger != NULL
               ? login_exchanger_stop(&serving->exchanger, timeout_ms)
               : ended;
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
    if (begin_threads(serving, daemon))
        return serving;
    if (end_threads(serving, START_FAILED_MS) > 0)
        end(serving);
    return NULL;
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
    if (end_threads(serving, timeout_ms) < 0)
        return -1;
    end(serving);
    return all;
}

int main(int argc, char **argv)
{
    static const char *const of_start[] = {"auth.listen", "auth.socket_mode", "auth.key_file",
                                           "dovecot.", "web.secret_file", NULL};
    static const struct program_secret secrets[] = {{key_file, login_key_examine},
                                                    {doveadm_key_file, doveadm_examine_key},
                                                    {NULL, NULL}};
    static const struct daemon_program program = {
        .program = {.name = "sendguard-auth",
                    .purpose = "Keeps out who tries wrong passwords (Dovecot's auth policy).",
                    .seals_links = true,
                    .secrets = secrets,
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
