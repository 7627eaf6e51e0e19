/* Dovecot's filters (Sieve), whose mail the owner of a mailbox does not send; and whom it asks
 * before a sign-in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "doveadm/doveadm.h"

/* The value of a setting outside of all blocks, in `arena`; "": it is not set. */
static const char *value_of(struct arena *arena, const char *lines, const char *name)
{
    size_t length = strlen(name);
    for (; *lines != '\0'; lines += strcspn(lines, "\n"), lines += *lines == '\n')
        if (strncmp(lines, name, length) == 0 && strncmp(lines + length, " = ", 3) == 0)
            return doctor_line(arena, lines + length + 3);
    return "";
}

/* The value of auth_policy_NAME; 2.4 prints it as NAME in a block auth_policy, and other settings
 * of that block beside it. */
static const char *value_of_policy(struct arena *arena, const char *lines, const char *name)
{
    const char *alone = value_of(arena, lines, arena_printf(arena, "auth_policy_%s", name));
    const char *block = strstr(lines, "\nauth_policy {\n");
    const char *end = block != NULL ? strstr(block, "\n}") : NULL;
    if (alone[0] != '\0' || end == NULL)
        return alone;
    return value_of(arena, arena_strndup(arena, block, (size_t)(end - block)),
                    arena_printf(arena, "  %s", name));
}

/* "mail_plugins = … sieve", or in 2.4 "sieve = yes" in a block of that name. */
static bool runs_filters(struct arena *arena, const char *lines)
{
    bool in_plugins = false;
    for (; *lines != '\0'; lines += strcspn(lines, "\n"), lines += *lines == '\n') {
        const char *line = doctor_line(arena, lines + strspn(lines, " "));
        bool plugins = strncmp(line, "mail_plugins", strlen("mail_plugins")) == 0;
        if ((plugins && strstr(line, "sieve") != NULL) ||
            (in_plugins && strcmp(line, "sieve = yes") == 0))
            return true;
        in_plugins = plugins || (in_plugins && strchr(line, '}') == NULL);
    }
    return false;
}

/* What doveconf prints, in `arena`; NULL: nothing, and the check says why. */
static const char *read_configuration(struct doctor *doctor)
{
    const char *file = doctor->cli->given[OPTION_DOVECOT], *lines, *errors;
    const char *words[] = {"doveconf", "-n", file != NULL ? "-c" : NULL, file, NULL};
    int status = doctor_program(doctor->arena, words, &lines, &errors);
    if (status == 0)
        return lines;
    if (status < 0)
        doctor_says(doctor, DOCTOR_SKIP, "run it on the server of the mailboxes",
                    "there is no Dovecot here (no program doveconf)");
    else
        doctor_says(doctor, DOCTOR_SKIP, "run it as root, or name the file with --dovecot FILE",
                    "doveconf fails: %s", doctor_line(doctor->arena, errors));
    return NULL;
}

void doctor_sieve(struct doctor *doctor)
{
    const char *lines = read_configuration(doctor);
    if (lines == NULL)
        return;
    if (!runs_filters(doctor->arena, lines)) {
        doctor_says(doctor, DOCTOR_OK, NULL, "mailboxes have no filters (no plugin sieve)");
    } else if (value_of(doctor->arena, lines, "submission_host")[0] == '\0') {
        doctor_says(doctor, DOCTOR_BAD, "dovecot.conf: submission_host = 127.0.0.1:10588",
                    "filters hand in by the sendmail command, which asks no policy service");
    } else if (doctor->settings->mta_forwarding_networks.count == 0) {
        doctor_says(doctor, DOCTOR_BAD, "below [mta]: forwarding_networks = ADDRESS OF DOVECOT",
                    "filters send by %s, and mta.forwarding_networks is not set: what they send "
                    "is not judged",
                    value_of(doctor->arena, lines, "submission_host"));
    } else {
        doctor_says(doctor, DOCTOR_OK, NULL, "filters hand in at %s",
                    value_of(doctor->arena, lines, "submission_host"));
    }
}

/* ---- sign-ins ------------------------------------------------------------------------------- */

enum { TIMEOUT_MAX_MS = 1000, TRUSTED_MAX = 64 };

/* Whether that is what sendguard-auth listens at: http://HOST:PORT, and a path. */
static bool is_ours(const char *url, const char *listen)
{
    static const char scheme[] = "http://";
    size_t length = strlen(listen);
    return strncmp(url, scheme, strlen(scheme)) == 0 &&
           strncmp(url + strlen(scheme), listen, length) == 0 &&
           strchr("/?", url[strlen(scheme) + length]) != NULL;
}

static bool is_long(const char *timeout, bool is_2_3)
{
    char *unit;
    long number = strtol(timeout, &unit, 10);
    unit += strspn(unit, " ");
    return timeout[0] == '\0' ||
           (is_2_3 || unit[0] == 'm' ? number > TIMEOUT_MAX_MS : number > TIMEOUT_MAX_MS / 1000);
}

/* Password databases that do not say when they have found a password right. */
static size_t count_silent(struct arena *arena, const char *lines)
{
    size_t count = 0;
    bool in_block = false, says = false;
    for (; *lines != '\0'; lines += strcspn(lines, "\n"), lines += *lines == '\n') {
        const char *line = doctor_line(arena, lines);
        if (strncmp(line, "passdb", strlen("passdb")) == 0) {
            in_block = true;
            says = false;
        }
        says |= in_block && (strstr(line, "sendguard=") != NULL || /* in 2.4: */
                             strstr(line, "    sendguard = ") == line ||
                             strcmp(line, "  master = yes") == 0); /* of these nobody asks */
        if (line[0] == '}') {
            count += in_block && !says;
            in_block = false;
        }
    }
    return count;
}

/* A host of the webmail that Dovecot does not believe the browser's address from; NULL: none. */
static const char *distrusted_webmail(struct arena *arena, const struct settings *settings,
                                      const char *lines)
{
    char *words[TRUSTED_MAX], *rest = NULL;
    struct text_list trusted = {.items = words};
    char *list = arena_strdup(arena, value_of(arena, lines, "login_trusted_networks"));
    for (char *word = strtok_r(list, " ,", &rest); word != NULL && trusted.count < TRUSTED_MAX;
         word = strtok_r(NULL, " ,", &rest))
        words[trusted.count++] = word;
    for (size_t i = 0; i < settings->mta_webmail_hosts.count; i++) {
        const char *host = settings->mta_webmail_hosts.items[i];
        if (!settings_network_holds(&trusted, arena_strndup(arena, host, strcspn(host, "/"))))
            return host;
    }
    return NULL;
}

/* As Dovecot asks, with what it shows; of a mailbox that there is not. Whether it answers at all is
 * asked where it takes no key (STOLEN_RANGE_PATH), so that its log tells of no intruder. */
static void ask_as_dovecot(struct doctor *doctor, const char *header)
{
    static const char stranger[] = "GET /range/ HTTP/1.0\r\n\r\n";
    static const char body[] = "{\"login\":\"doctor\"}";
    const char *where = doctor->settings->auth_listen;
    const char *question = arena_printf(
        doctor->arena, "POST /?command=allow HTTP/1.0\r\n%s\r\nContent-Length: %zu\r\n\r\n%s",
        header[0] != '\0' ? header : "X-No-Key: 1", sizeof body - 1, body);
    doctor_service_ask(doctor, "sendguard-auth", where, stranger, sizeof stranger - 1, "HTTP/1.",
                       7);
    if (doctor->state == DOCTOR_OK &&
        !doctor_service_answers(where, question, strlen(question), "HTTP/1.1 200", 12))
        doctor_says(doctor, DOCTOR_BAD,
                    "dovecot.conf: auth_policy_server_api_header = Authorization: Bearer KEY, with "
                    "what auth.key_file holds",
                    "sendguard-auth does not know the key that Dovecot shows: everybody may try "
                    "passwords");
}

static void check_policy(struct doctor *doctor, const char *lines)
{
    bool is_2_3 = strncmp(lines, "# 2.3", strlen("# 2.3")) == 0;
    const char *timeout =
        value_of_policy(doctor->arena, lines, is_2_3 ? "server_timeout_msecs"
                                                     : "http_client_request_absolute_timeout");
    size_t silent = count_silent(doctor->arena, lines);
    if (is_long(timeout, is_2_3))
        doctor_says(doctor, DOCTOR_WARN,
                    is_2_3 ? "dovecot.conf: auth_policy_server_timeout_msecs = 500"
                           : "dovecot.conf: auth_policy { http_client_request_absolute_timeout = "
                             "500ms }",
                    "each sign-in waits 4 s and more when sendguard-auth hangs");
    if (silent > 0)
        doctor_says(doctor, DOCTOR_WARN,
                    is_2_3 ? "dovecot.conf, in each passdb: override_fields = sendguard=1"
                           : "dovecot.conf, in each passdb: fields { sendguard = 1 }",
                    "%zu of Dovecot's password databases do not say when a password was right",
                    silent);
    if (strstr(lines, is_2_3 ? " stage=%{passdb:sendguard" : " stage = %{passdb:sendguard") == NULL)
        doctor_says(doctor, DOCTOR_WARN,
                    "dovecot.conf: auth_policy_request_attributes with stage=%{passdb:sendguard}",
                    "Dovecot does not say whether it asks before or after the password was found "
                    "right: who is locked signs in");
    const char *webmail = distrusted_webmail(doctor->arena, doctor->settings, lines);
    if (webmail != NULL)
        doctor_says(doctor, DOCTOR_WARN,
                    arena_printf(doctor->arena, "dovecot.conf: login_trusted_networks = %s",
                                 webmail),
                    "Dovecot does not believe the webmail at %s (mta.webmail_hosts) where the "
                    "browser is: its users count as one network", webmail);
    if (strstr(lines, "anvil-auth-penalty {") == NULL)
        doctor_says(doctor, DOCTOR_WARN,
                    "dovecot.conf: service anvil { unix_listener anvil-auth-penalty { mode = 0 } }",
                    "Dovecot's own delays slow down everybody behind one address");
    if (doctor->settings->logins_mode == MODE_OBSERVE)
        doctor_says(doctor, DOCTOR_OK, NULL, "logins.mode is observe: nobody is kept out");
}

/* As sendguard-auth does. The key belongs to the user of the services. */
static void check_doveadm(struct doctor *doctor)
{
    const struct settings *settings = doctor->settings;
    const char *key_file = settings->dovecot_doveadm_key_file;
    freed_by(doveadm_free) struct doveadm *doveadm = NULL;
    struct problem problem;
    if (settings->dovecot_doveadm_url[0] == '\0')
        return;
    if (cli_become_owner(doctor->cli, key_file, NULL) >= 0 ||
        (access(key_file, R_OK) != 0 && errno == EACCES)) {
        doctor_says(doctor, DOCTOR_SKIP, "run it as root", "%s: %s", key_file, strerror(EACCES));
    } else if (!doveadm_new(settings->dovecot_doveadm_url, key_file, NULL, &doveadm, &problem)) {
        doctor_says(doctor, DOCTOR_BAD, "write doveadm_api_key of dovecot.conf into it, mode 0600, "
                    "as the user of the services", "%s: %s", key_file, problem.text);
    } else if (doveadm_kick(doveadm, NULL, 0, NULL, &problem) < 1) {
        doctor_says(doctor, DOCTOR_BAD,
                    "dovecot.conf: service doveadm { inet_listener http { … } }, and doveadm_api_key "
                    "with what dovecot.doveadm_key_file holds",
                    "%s %s: a locked mailbox's sessions go on", settings->dovecot_doveadm_url,
                    problem.text);
    }
}

void doctor_logins(struct doctor *doctor)
{
    const char *lines = read_configuration(doctor);
    const struct settings *settings = doctor->settings;
    if (lines == NULL)
        return;
    const char *url = value_of_policy(doctor->arena, lines, "server_url");
    if (url[0] == '\0' && access(settings->auth_key_file, F_OK) == 0) {
        doctor_says(doctor, DOCTOR_WARN,
                    arena_printf(doctor->arena, "dovecot.conf: auth_policy_server_url = http://%s/",
                                 settings->auth_listen),
                    "Dovecot does not ask sendguard-auth (auth_policy_server_url is not set)");
    } else if (url[0] == '\0') {
        doctor_says(doctor, DOCTOR_OK, NULL, "sendguard-auth is not used");
    } else if (!is_ours(url, settings->auth_listen)) {
        doctor_says(doctor, DOCTOR_SKIP, "run it where that listens", "Dovecot asks %s, and "
                    "auth.listen is %s", url, settings->auth_listen);
    } else {
        ask_as_dovecot(doctor,
                       value_of_policy(doctor->arena, lines, "server_api_header"));
        check_policy(doctor, lines);
        check_doveadm(doctor);
    }
}
