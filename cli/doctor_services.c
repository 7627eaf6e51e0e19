/* The services: what --check says of each, whether each answers, who may connect. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/path.h"
#include "cli/doctor.h"
#include "daemon/listen.h"

/* ---- settings -------------------------------------------------------------------------- */

/* Those that listen come first. */
static const char *const services[] = {"sendguard-fcgi", "sendguard-web", "sendguard-mta",
                                       "sendguard-feedback"};

/* The program beside this one, or in the folder sbin beside this one's, else of that name. */
static const char *find_service(struct arena *arena, const char *name)
{
    static const char *const places[] = {"", "../sbin/"};
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0)
        return name;
    self[length] = '\0';
    freed_by(free_string) char *folder = path_folder(self);
    for (size_t i = 0; i < countof(places); i++) {
        const char *path = arena_printf(arena, "%s/%s%s", folder, places[i], name);
        if (access(path, X_OK) == 0)
            return path;
    }
    return name;
}

/* "NAME -c FILE -o … --check", as this command was called. */
static const char **check_words(const struct doctor *doctor, const char *name)
{
    const struct program_options *options = &doctor->cli->options;
    const char **words = arena_alloc(doctor->arena,
                                     (5 + 2 * options->override_count) * sizeof *words);
    size_t count = 0;
    words[count++] = find_service(doctor->arena, name);
    if (options->file != NULL) {
        words[count++] = "-c";
        words[count++] = options->file;
    }
    for (size_t i = 0; i < options->override_count; i++) {
        words[count++] = "-o";
        words[count++] = options->overrides[i];
    }
    words[count] = "--check";
    return words;
}

int doctor_service_check(const struct doctor *doctor, const char *name, const char **errors_r)
{
    return doctor_program(doctor->arena, check_words(doctor, name), NULL, errors_r);
}

/* Services say most of it alike; once is enough. */
static void tell_lines(struct doctor *doctor, const char *name, int status, const char *lines)
{
    static const char warning[] = "warning: ";
    while (*lines != '\0') {
        const char *line = doctor_line(doctor->arena, lines);
        lines += strcspn(lines, "\n");
        lines += *lines == '\n';
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            line += strlen(name) + 2;
        bool warns = strncmp(line, warning, strlen(warning)) == 0;
        line += warns ? strlen(warning) : 0;
        bool of_log = strncmp(line, "feedback.source", strlen("feedback.source")) == 0;
        if ((!warns && status == PROGRAM_OK) || (warns && of_log) || /* the check log_source's */
            strstr(text_string(&doctor->found), line) != NULL)
            continue;
        doctor_says(doctor, warns ? DOCTOR_WARN : DOCTOR_BAD,
                    arena_printf(doctor->arena, "change the settings, then: %s --check", name),
                    "%s", line);
    }
}

void doctor_settings(struct doctor *doctor)
{
    struct stat file;
    const char *path = program_settings_file(&doctor->cli->options);
    const char *said;
    size_t found = 0;
    if (path != NULL && stat(path, &file) == 0 && !S_ISREG(file.st_mode)) {
        doctor_says(doctor, DOCTOR_SKIP, "name a file with -c", "%s can be read only once", path);
        return;
    }
    for (size_t i = 0; i < countof(services); i++) {
        int status = doctor_service_check(doctor, services[i], &said);
        if (status < 0)
            continue;
        found++;
        tell_lines(doctor, services[i], status, said);
    }
    if (found == 0)
        doctor_says(doctor, DOCTOR_SKIP, "make install", "none of the services is installed here");
    doctor_says(doctor, DOCTOR_OK, NULL, "%s: every service would start with it",
                path != NULL ? path : "the built-in defaults");
}

void doctor_tickets(struct doctor *doctor)
{
    if (doctor->settings->mta_webmail_hosts.count == 0)
        doctor_says(doctor, DOCTOR_WARN,
                    "where a webmail asks sendguard-fcgi, write below [mta]: webmail_hosts = "
                    "ADDRESS OF THE WEBMAIL",
                    "mta.webmail_hosts is not set: a message of the webmail is counted twice");
    else
        doctor_says(doctor, DOCTOR_OK, NULL, "mta.webmail_hosts names %zu network%s",
                    doctor->settings->mta_webmail_hosts.count,
                    doctor->settings->mta_webmail_hosts.count == 1 ? "" : "s");
}

/* ---- sockets ----------------------------------------------------------------------------- */

enum { ANSWER_MS = 3000, ANSWER_BYTES = 32 };

/* One that waits ANSWER_MS at most, to connect too. The process is short: nobody closes it. */
static int patient_socket(int family)
{
    const struct timeval patience = {.tv_sec = ANSWER_MS / 1000};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

/* A connection, or -1 with errno. */
static int connect_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = patient_socket(AF_UNIX);
    return connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

/* "HOST:PORT" as settings have it. */
static int connect_host(const char *where)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    freed_by(free_string) char *host = xstrdup(where);
    char *colon = strrchr(host, ':'), *name = host;
    *colon = '\0';
    if (*name == '[') {
        colon[-1] = '\0';
        name++;
    }
    errno = EADDRNOTAVAIL;
    if (getaddrinfo(name, colon + 1, &hints, &found) != 0)
        return -1;
    int fd = patient_socket(found->ai_family);
    int connected = connect(fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return connected == 0 ? fd : -1;
}

/* Sends a question; whether the answer begins with `expected` (at most ANSWER_BYTES). */
static bool answers(int fd, const char *question, size_t length, const char *expected,
                    size_t expected_length)
{
    char answer[ANSWER_BYTES];
    size_t got = 0;
    int64_t until_ms = clock_monotonic_ms() + ANSWER_MS;
    if (send(fd, question, length, MSG_NOSIGNAL) != (ssize_t)length)
        return false;
    while (got < expected_length) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int64_t left_ms = until_ms - clock_monotonic_ms();
        if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) <= 0)
            return false;
        ssize_t read_now = recv(fd, answer + got, expected_length - got, 0);
        if (read_now <= 0)
            return false;
        got += (size_t)read_now;
    }
    return memcmp(answer, expected, expected_length) == 0;
}

/* GET is no method of the webmail endpoint, so nothing is judged. Source: FastCGI 1.0, 3.3. */
static const char fcgi_question[] = "\1\1\0\1\0\10\0\0" "\0\1\0\0\0\0\0\0"       /* BEGIN_REQUEST */
                                    "\1\4\0\1\0\23\0\0" "\16\3REQUEST_METHODGET"  /* PARAMS */
                                    "\1\4\0\1\0\0\0\0"  "\1\5\0\1\0\0\0\0";       /* ends of both */
static const char web_question[] = "GET /healthz HTTP/1.0\r\n\r\n";
/* At a stage at which the policy service neither judges nor keeps anything. */
static const char mta_question[] = "request=smtpd_access_policy\nprotocol_state=CONNECT\n\n";

static int connect_to(const char *where)
{
    return listen_is_path(where) ? connect_path(where) : connect_host(where);
}

bool doctor_service_answers(const char *where, const char *question, size_t length,
                            const char *expected, size_t expected_length)
{
    int fd = connect_to(where);
    bool good = fd >= 0 && answers(fd, question, length, expected, expected_length);
    if (fd >= 0)
        close(fd);
    return good;
}

void doctor_service_ask(struct doctor *doctor, const char *name, const char *where,
                        const char *question, size_t length, const char *expected,
                        size_t expected_length)
{
    const char *start = arena_printf(doctor->arena, "systemctl start %s", name);
    int fd = connect_to(where);
    if (fd < 0 && errno == EACCES)
        doctor_says(doctor, DOCTOR_SKIP, "run it as root", "%s: %s", where, strerror(errno));
    else if (fd < 0)
        doctor_says(doctor, DOCTOR_BAD, start, "%s does not answer at %s: %s", name, where,
                    strerror(errno));
    else if (!answers(fd, question, length, expected, expected_length))
        doctor_says(doctor, DOCTOR_BAD,
                    arena_printf(doctor->arena, "systemctl restart %s, and read its log", name),
                    "%s: what listens there does not answer as %s", where, name);
    else
        doctor_says(doctor, DOCTOR_OK, NULL, "%s answers at %s", name, where);
    if (fd >= 0)
        close(fd);
}

/* Whether every user of this machine may pass all folders down to the file. */
static bool is_open_to_all(const char *path)
{
    struct stat status;
    freed_by(free_string) char *folder = path_folder(path);
    while (strcmp(folder, "/") != 0) {
        if (stat(folder, &status) != 0 || (status.st_mode & S_IXOTH) == 0)
            return false;
        char *above = path_folder(folder);
        free(folder);
        folder = above;
    }
    return true;
}

/* A program that connects can say that any mailbox has sent, or is complained about. */
static void check_rights(struct doctor *doctor, const char *where)
{
    struct stat status;
    if (!listen_is_path(where) || stat(where, &status) != 0)
        return;
    if ((status.st_mode & S_IWOTH) != 0 && is_open_to_all(where))
        doctor_says(doctor, DOCTOR_BAD,
                    arena_printf(doctor->arena, "chmod 0660 %s, and socket_mode = 0660 in the "
                                                "settings", where),
                    "%s: every user of this machine may connect (mode %04o)", where,
                    (unsigned)(status.st_mode & 07777));
}

void doctor_sockets(struct doctor *doctor)
{
    const struct settings *settings = doctor->settings;
    const char *const wheres[] = {settings->fcgi_listen, settings->web_listen,
                                  settings->mta_listen};
    doctor_service_ask(doctor, services[0], wheres[0], fcgi_question, sizeof fcgi_question - 1,
                       "\1\6", 2);
    doctor_service_ask(doctor, services[1], wheres[1], web_question, sizeof web_question - 1,
                       "HTTP/1.", 7);
    doctor_service_ask(doctor, services[2], wheres[2], mta_question, sizeof mta_question - 1,
                "action=DUNNO", 12);
    for (size_t i = 0; i < countof(wheres); i++)
        check_rights(doctor, wheres[i]);
}

/* ---- complaints -------------------------------------------------------------------------- */

static void check_believed(struct doctor *doctor)
{
    const struct settings *settings = doctor->settings;
    if (settings->complaints_authserv_id[0] == '\0')
        doctor_says(doctor, DOCTOR_WARN,
                    "below [complaints]: authserv_id = NAME IN Authentication-Results OF THIS MAIL "
                    "SERVER",
                    "complaints.authserv_id is not set: all reports wait for staff");
    if (settings->complaints_loops.count == 0)
        doctor_says(doctor, DOCTOR_WARN, "below [complaints]: loops = DOMAIN OR ADDRESS OF EACH LOOP",
                    "complaints.loops names no feedback loop");
}

void doctor_complaints(struct doctor *doctor)
{
    static const char question[] = "QUIT\r\n", greeting[] = "220 sendguard-feedback LMTP\r\n";
    const char *where = doctor->settings->feedback_listen;
    if (where[0] == '\0') {
        doctor_says(doctor, DOCTOR_OK, NULL, "no reports are taken (feedback.listen is not set)");
        return;
    }
    doctor_service_ask(doctor, services[3], where, question, sizeof question - 1, greeting,
                sizeof greeting - 1);
    check_rights(doctor, where);
    check_believed(doctor);
}
