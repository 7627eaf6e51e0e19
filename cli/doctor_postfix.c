/* Postfix, by its effective settings: which services let users sign in, and whom each asks at which
 * stage. docs/postfix.md says how they are meant to be. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/doctor_postfix.h"
#include "daemon/listen.h"

/* ---- reading -------------------------------------------------------------------------------- */

/* The words "postconf [-c DIR] OPTION"; what it says, or NULL after the check has said why not. */
static const char *ask_postconf(struct doctor *doctor, const char *option)
{
    const char *folder = doctor->cli->given[OPTION_POSTFIX], *out, *errors;
    const char *words[] = {"postconf", option, folder != NULL ? "-c" : NULL, folder, NULL};
    int status = doctor_program(doctor->arena, words, &out, &errors);
    if (status == 0)
        return out;
    if (status < 0)
        doctor_says(doctor, DOCTOR_SKIP, "run it on the mail server",
                    "there is no Postfix here (no program postconf)");
    else
        doctor_says(doctor, DOCTOR_SKIP, "run it as root, or name the folder with --postfix DIR",
                    "postconf fails: %s", doctor_line(doctor->arena, errors));
    return NULL;
}

/* A line of master.cf, of ten fields: NAME TYPE … COMMAND ARGUMENTS. */
static void add_service(struct doctor *doctor, struct doctor_postfix *postfix, const char *line)
{
    enum { NAME, TYPE, COMMAND = 7, FIELDS };
    const char *fields[FIELDS];
    for (size_t i = 0; i < FIELDS; i++) {
        size_t length = strcspn(line, " \t");
        fields[i] = arena_strndup(doctor->arena, line, length);
        line += length;
        line += strspn(line, " \t");
    }
    if (strcmp(fields[COMMAND], "smtpd") != 0 || postfix->count == DOCTOR_SERVICES_MAX)
        return;
    postfix->services[postfix->count++] = (struct doctor_service){
        .name = fields[NAME],
        .prefix = arena_printf(doctor->arena, "%s/%s/", fields[NAME], fields[TYPE]),
        .behind_postscreen = strcmp(fields[TYPE], "pass") == 0};
}

int doctor_postfix_read(struct doctor *doctor, struct doctor_postfix *postfix_r)
{
    const char *services = ask_postconf(doctor, "-M");
    const char *of_services = services != NULL ? ask_postconf(doctor, "-Px") : NULL;
    const char *of_all = of_services != NULL ? ask_postconf(doctor, "-x") : NULL;
    if (of_all == NULL)
        return 0;
    *postfix_r = (struct doctor_postfix){.of_all = of_all, .of_services = of_services};
    for (; *services != '\0'; services += strcspn(services, "\n"), services += *services == '\n')
        add_service(doctor, postfix_r, doctor_line(doctor->arena, services));
    return 1;
}

/* The value in the line "PREFIX""NAME = VALUE"; NULL: there is no such line. */
static const char *find(struct arena *arena, const char *lines, const char *prefix,
                        const char *name)
{
    const char *begin = arena_printf(arena, "%s%s =", prefix, name);
    size_t length = strlen(begin);
    for (; *lines != '\0'; lines += strcspn(lines, "\n"), lines += *lines == '\n')
        if (strncmp(lines, begin, length) == 0)
            return doctor_line(arena, lines + length + (lines[length] == ' '));
    return NULL;
}

const char *doctor_postfix_value(struct doctor *doctor, const struct doctor_postfix *postfix,
                                 const struct doctor_service *service, const char *name)
{
    const char *own = service != NULL ? find(doctor->arena, postfix->of_services, service->prefix,
                                             name)
                                      : NULL;
    const char *value = own != NULL ? own : find(doctor->arena, postfix->of_all, "", name);
    return value != NULL ? value : "";
}

/* ---- restrictions ---------------------------------------------------------------------- */

/* Takes the next word of a list: blanks and commas stand between, braces hold one together and are
 * left out. "": there is none. */
static const char *next_word(struct arena *arena, const char **rest)
{
    const char *text = *rest + strspn(*rest, ", \t");
    size_t length = strcspn(text, ", \t"), depth = 0;
    if (*text == '{') {
        for (length = 0; text[length] != '\0'; length++) {
            depth += text[length] == '{';
            depth -= text[length] == '}';
            if (depth == 0)
                break;
        }
        *rest = text + length + (text[length] == '}');
        return arena_strndup(arena, text + 1, length > 0 ? length - 1 : 0);
    }
    *rest = text + length;
    return arena_strndup(arena, text, length);
}

static bool is_any_host(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* "HOST:PORT" in two, without the brackets of an IPv6 address. False: it is none. */
static bool split_host(struct arena *arena, const char *where, const char **host_r,
                       const char **port_r)
{
    const char *colon = strrchr(where, ':');
    if (colon == NULL)
        return false;
    bool brackets = where[0] == '[' && colon > where && colon[-1] == ']';
    *host_r = arena_strndup(arena, where + brackets, (size_t)(colon - where) - 2 * brackets);
    *port_r = colon + 1;
    return true;
}

/* Whether a client of the endpoint, as Postfix names it, reaches `listen`. The path of a socket is
 * seen from the queue directory, or from the root of a chroot there. */
static bool leads_to(struct doctor *doctor, const char *endpoint, const char *listen)
{
    const char *host, *port, *our_host, *our_port;
    size_t length = strlen(listen);
    if (strncmp(endpoint, "unix:", 5) == 0) {
        endpoint += 5 + strspn(endpoint + 5, "/");
        size_t tail = strlen(endpoint);
        return listen_is_path(listen) && tail > 0 && tail < length &&
               strcmp(listen + length - tail, endpoint) == 0 && listen[length - tail - 1] == '/';
    }
    endpoint += strncmp(endpoint, "inet:", 5) == 0 ? 5 : 0;
    if (listen_is_path(listen) || !split_host(doctor->arena, endpoint, &host, &port) ||
        !split_host(doctor->arena, listen, &our_host, &our_port))
        return false;
    return strcmp(port, our_port) == 0 &&
           (strcmp(host, our_host) == 0 || is_any_host(our_host) ||
            (listen_is_on_loopback(endpoint) && listen_is_on_loopback(listen)));
}

struct asking {
    struct doctor *doctor;
    const struct doctor_postfix *postfix;
    const struct doctor_service *service;
    const char *permit; /* the first restriction that may end the list; NULL: none yet */
};

/* A permit ends the list for those whom it permits: who has signed in, or is of this network. */
static bool ends_list(const struct asking *asking, const char *word)
{
    if (strcmp(word, "permit_mynetworks") == 0)
        return doctor_postfix_value(asking->doctor, asking->postfix, asking->service,
                                    "mynetworks")[0] != '\0';
    return strcmp(word, "permit") == 0 || strncmp(word, "permit_", strlen("permit_")) == 0;
}

/* Whether one of the list's words asks us; classes of restrictions are followed. */
static bool list_asks(struct asking *asking, const char *list, int depth)
{
    enum { DEPTH_MAX = 8 };
    struct arena *arena = asking->doctor->arena;
    for (const char *word; *(word = next_word(arena, &list)) != '\0';) {
        if (strcmp(word, "check_policy_service") == 0) {
            const char *named = next_word(arena, &list);
            if (leads_to(asking->doctor, next_word(arena, &named),
                         asking->doctor->settings->mta_listen))
                return true;
        } else if (ends_list(asking, word)) {
            asking->permit = word;
            return false;
        } else if (islower((unsigned char)*word) && depth < DEPTH_MAX) {
            const char *class = doctor_postfix_value(asking->doctor, asking->postfix,
                                                     asking->service, word);
            if (list_asks(asking, class, depth + 1))
                return true;
        }
    }
    return false;
}

static bool asks_at(struct doctor *doctor, const struct doctor_postfix *postfix,
                    const struct doctor_service *service, const char *list, const char **permit_r)
{
    struct asking asking = {.doctor = doctor, .postfix = postfix, .service = service};
    bool asks = list_asks(&asking, doctor_postfix_value(doctor, postfix, service, list), 0);
    if (permit_r != NULL)
        *permit_r = asking.permit;
    return asks;
}

/* ---- the checks ------------------------------------------------------------------------------ */

#define AT_END "smtpd_end_of_data_restrictions"
#define AT_RCPT "smtpd_recipient_restrictions"
#define AT_DATA "smtpd_data_restrictions"

static bool has_logins(struct doctor *doctor, const struct doctor_postfix *postfix,
                       const struct doctor_service *service)
{
    return strcmp(doctor_postfix_value(doctor, postfix, service, "smtpd_sasl_auth_enable"),
                  "yes") == 0;
}

/* "25", "smtp", "192.0.2.1:25", and what postscreen hands its clients to. */
static bool is_port_25(const struct doctor_service *service)
{
    const char *colon = strrchr(service->name, ':');
    const char *port = colon != NULL ? colon + 1 : service->name;
    return service->behind_postscreen || strcmp(port, "25") == 0 || strcmp(port, "smtp") == 0;
}

/* The check `port_25` tells of those that ask at no end. */
static bool is_way_round(struct doctor *doctor, const struct doctor_postfix *postfix,
                         const struct doctor_service *service)
{
    return is_port_25(service) && !asks_at(doctor, postfix, service, AT_END, NULL);
}

/* A `listen` of the settings as Postfix takes it. */
static const char *our_endpoint(struct doctor *doctor, const struct doctor_postfix *postfix,
                                const char *listen)
{
    const char *queue = doctor_postfix_value(doctor, postfix, NULL, "queue_directory");
    size_t length = strlen(queue);
    if (!listen_is_path(listen))
        return arena_printf(doctor->arena, "inet:%s", listen);
    bool inside = strncmp(listen, queue, length) == 0 && listen[length] == '/';
    return arena_printf(doctor->arena, "unix:%s", inside ? listen + length + 1 : listen);
}

/* "master.cf, below NAME: -o { LIST = … }": a line that Postfix 3.0 and newer take. */
static const char *line_to_write(struct doctor *doctor, const struct doctor_postfix *postfix,
                                 const struct doctor_service *service, const char *list)
{
    bool at_rcpt = strcmp(list, AT_RCPT) == 0;
    return arena_printf(doctor->arena,
                        "master.cf, below %s: -o { %s = %scheck_policy_service %s%s }, then: "
                        "postfix reload",
                        service->name, list,
                        at_rcpt ? "reject_non_fqdn_recipient, reject_unlisted_recipient, " : "",
                        our_endpoint(doctor, postfix, doctor->settings->mta_listen),
                        at_rcpt ? ", permit_sasl_authenticated, reject" : "");
}

/* Goes through the services at which users sign in. */
static void check_stage(struct doctor *doctor, const char *list, enum doctor_state missing,
                        const char *what_follows)
{
    struct doctor_postfix postfix;
    size_t logins = 0;
    if (!doctor_postfix_read(doctor, &postfix))
        return;
    for (size_t i = 0; i < postfix.count; i++) {
        const struct doctor_service *service = &postfix.services[i];
        const char *permit;
        if (!has_logins(doctor, &postfix, service) || is_way_round(doctor, &postfix, service))
            continue;
        logins++;
        if (asks_at(doctor, &postfix, service, list, &permit))
            doctor_says(doctor, DOCTOR_OK, NULL, "%s asks", service->name);
        else if (permit != NULL)
            doctor_says(doctor, missing,
                        arena_printf(doctor->arena, "put check_policy_service %s before it",
                                     our_endpoint(doctor, &postfix, doctor->settings->mta_listen)),
                        "%s: %s ends %s before it asks: %s", service->name, permit, list,
                        what_follows);
        else
            doctor_says(doctor, missing, line_to_write(doctor, &postfix, service, list),
                        "%s lets users sign in and does not ask at %s: %s", service->name, list,
                        what_follows);
    }
    if (logins == 0)
        doctor_says(doctor, DOCTOR_SKIP, "set smtpd_sasl_auth_enable where users hand in mail",
                    "no service of this Postfix lets users sign in");
}

void doctor_postfix_end_of_data(struct doctor *doctor)
{
    check_stage(doctor, AT_END, DOCTOR_BAD, "nothing is judged there");
}

void doctor_postfix_recipients(struct doctor *doctor)
{
    check_stage(doctor, AT_RCPT, DOCTOR_BAD,
                "every recipient counts as another one outside of the own domains");
}

/* What an earlier version judged at DATA, nobody judges now. */
static void check_data_alone(struct doctor *doctor)
{
    struct doctor_postfix postfix;
    if (!doctor_postfix_read(doctor, &postfix))
        return;
    for (size_t i = 0; i < postfix.count; i++) {
        const struct doctor_service *service = &postfix.services[i];
        if (asks_at(doctor, &postfix, service, AT_DATA, NULL) &&
            !asks_at(doctor, &postfix, service, AT_END, NULL))
            doctor_says(doctor, DOCTOR_BAD, line_to_write(doctor, &postfix, service, AT_END),
                        "%s asks at " AT_DATA " and not at " AT_END ": nothing is judged there",
                        service->name);
    }
}

void doctor_postfix_data(struct doctor *doctor)
{
    check_data_alone(doctor);
    if (doctor->state != DOCTOR_SKIP)
        check_stage(doctor, AT_DATA, DOCTOR_WARN,
                    "a complaint about a message does not lead to its mailbox");
}

/* Whether smtpd_milters names `listen`; a milter with settings of its own stands in braces. */
static bool has_milter(struct doctor *doctor, const struct doctor_postfix *postfix,
                       const struct doctor_service *service)
{
    const char *list = doctor_postfix_value(doctor, postfix, service, "smtpd_milters");
    for (const char *word; *(word = next_word(doctor->arena, &list)) != '\0';) {
        const char *named = word;
        if (leads_to(doctor, next_word(doctor->arena, &named), doctor->settings->milter_listen))
            return true;
    }
    return false;
}

/* Version 6 of the protocol, and all that a mail server may offer; the answer's length is less than
 * 256 bytes. */
static const char milter_question[] = "\0\0\0\15" "O" "\0\0\0\6" "\0\0\1\377" "\0\37\377\377";

void doctor_milter(struct doctor *doctor)
{
    struct doctor_postfix postfix;
    const char *listen = doctor->settings->milter_listen;
    if (listen[0] == '\0') {
        doctor_says(doctor, DOCTOR_OK, NULL,
                    "sendguard-milter is not used (milter.listen is not set)");
        return;
    }
    doctor_service_ask(doctor, "sendguard-milter", listen, milter_question,
                       sizeof milter_question - 1, "\0\0\0", 3);
    if (doctor->state != DOCTOR_OK || !doctor_postfix_read(doctor, &postfix))
        return;
    for (size_t i = 0; i < postfix.count; i++) {
        const struct doctor_service *service = &postfix.services[i];
        if (has_logins(doctor, &postfix, service) && !has_milter(doctor, &postfix, service))
            doctor_says(doctor, DOCTOR_BAD,
                        arena_printf(doctor->arena,
                                     "master.cf, below %s: -o smtpd_milters=%s, then: postfix "
                                     "reload", service->name, our_endpoint(doctor, &postfix, listen)),
                        "%s lets users sign in and has no headers judged (smtpd_milters): the "
                        "policy service leaves the rules that need them to the milter",
                        service->name);
    }
}

void doctor_port_25(struct doctor *doctor)
{
    struct doctor_postfix postfix;
    if (!doctor_postfix_read(doctor, &postfix))
        return;
    for (size_t i = 0; i < postfix.count; i++) {
        const struct doctor_service *service = &postfix.services[i];
        if (is_way_round(doctor, &postfix, service) && has_logins(doctor, &postfix, service))
            doctor_says(doctor, DOCTOR_BAD,
                        arena_printf(doctor->arena,
                                     "master.cf, below %s: -o smtpd_sasl_auth_enable=no, then: "
                                     "postfix reload", service->name),
                        "%s, port 25, lets users sign in and asks nobody at " AT_END,
                        service->name);
    }
    doctor_says(doctor, DOCTOR_OK, NULL, "nobody signs in on port 25 without being judged");
}

void doctor_sendmail(struct doctor *doctor)
{
    struct doctor_postfix postfix;
    if (!doctor_postfix_read(doctor, &postfix))
        return;
    const char *users = doctor_postfix_value(doctor, &postfix, NULL, "authorized_submit_users");
    if (strstr(users, "static:") != NULL)
        doctor_says(doctor, DOCTOR_BAD, "postconf -e authorized_submit_users=root",
                    "every user of this machine may send by the sendmail command, which asks no "
                    "policy service (authorized_submit_users = %s)", users);
    else
        doctor_says(doctor, DOCTOR_OK, NULL, "authorized_submit_users = %s", users);
}
