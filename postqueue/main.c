/* sendguard-postqueue: releases, deletes and lists messages of Postfix' hold queue, and can do
 * nothing else. It runs as root, a process for each connection to the socket of its systemd unit,
 * answers one request (mailqueue_protocol.h) and ends. Postfix's own commands do the work: there is
 * no shell, and nothing of a request reaches them but queue ids and one of three verbs. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/program.h"
#include "mailqueue/mailqueue_protocol.h"
#include "message/address.h"

enum { LINK = STDIN_FILENO, READ_MS = 5000, GIVE_UP_S = 12 };

static const struct program program = {
    .name = "sendguard-postqueue",
    .usage = "usage: sendguard-postqueue [-c FILE] [-o section.key=value]... [--check]\n"
             "       sendguard-postqueue --version | --help\n"
             "\n"
             "Releases, deletes and lists messages that Postfix holds, for the support desk.\n"
             "\n"
             "  -c FILE               settings (default " PROGRAM_DEFAULT_FILE ";\n"
             "                        without that file the built-in defaults)\n"
             "  -o section.key=value  one setting, overrides the file; may be repeated\n"
             "  --check               say what would stop it, and end\n"
             "\n"
             "It runs as root, behind sendguard-postqueue.socket: a process for each connection,\n"
             "which has it as standard input. It answers one request of a process of root, or\n"
             "of the group of the socket file, and ends. Exit status: 0 answered, 1 failed,\n"
             "64 usage, 78 settings.\n",
};

/* ---- Postfix's commands -------------------------------------------------------------------- */

/* Whether root alone decides what is run. */
static bool is_roots(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && status.st_uid == 0 &&
           (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int check(const struct settings *settings)
{
    static const char *const names[] = {"", "/postsuper", "/postqueue"};
    for (size_t i = 0; i < countof(names); i++) {
        freed_by(free_string) char *path =
            xasprintf("%s%s", settings->postqueue_command_directory, names[i]);
        if (!is_roots(path)) {
            program_tell(program.name, "postqueue.command_directory: %s: expected it to be there, "
                                       "and that root alone may change it", path);
            return PROGRAM_CONFIG;
        }
    }
    return PROGRAM_OK;
}

/* Runs one of them, with an environment and descriptors of its own: what it writes to `stream`
 * (STDOUT_FILENO, STDERR_FILENO) is read from the answer. NULL: it cannot be started. */
static FILE *run(const struct settings *settings, char *name, char *const words[], int stream,
                 pid_t *child_r)
{
    static char search[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", language[] = "LC_ALL=C";
    static char *const environment[] = {search, language, NULL};
    freed_by(free_string) char *path =
        xasprintf("%s/%s", settings->postqueue_command_directory, name);
    char *all[8] = {name, (char[]){"-c"}, settings->postqueue_config_directory};
    posix_spawn_file_actions_t files;
    int ends[2];
    for (size_t i = 0; words[i] != NULL && i + 4 < countof(all); i++)
        all[3 + i] = words[i];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return NULL;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], stream);
    int error = posix_spawn(child_r, path, &files, NULL, all, environment);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
    if (error == 0)
        return fdopen(ends[0], "r");
    close(ends[0]);
    program_tell(program.name, "%s: %s", path, strerror(error));
    return NULL;
}

static bool has_ended_well(FILE *output, pid_t child)
{
    int status;
    fclose(output);
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* postsuper moves what it releases to the deferred queue, into which Postfix looks every few
 * minutes: this asks for it now. Where that fails the message goes all the same, later. */
static void deliver_now(const struct settings *settings, char *id)
{
    char *const words[] = {(char[]){"-i"}, id, NULL};
    pid_t child;
    FILE *output = run(settings, (char[]){"postqueue"}, words, STDOUT_FILENO, &child);
    if (output != NULL && !has_ended_well(output, child))
        program_tell(program.name, "postqueue -i %s: it fails", id);
}

/* One message with postsuper: 1 it was in the hold queue; 0 it is not there; -1. */
static int act(const struct settings *settings, enum mailqueue_verb verb, char *id)
{
    char *const release[] = {(char[]){"-H"}, id, NULL};
    char *const remove[] = {(char[]){"-d"}, id, (char[]){"hold"}, NULL};
    char said[1024];
    size_t count = 0;
    pid_t child;
    FILE *errors = run(settings, (char[]){"postsuper"},
                       verb == MAILQUEUE_RELEASE ? release : remove, STDERR_FILENO, &child);
    if (errors == NULL)
        return -1;
    said[fread(said, 1, sizeof said - 1, errors)] = '\0';
    if (has_ended_well(errors, child) && mailqueue_protocol_acted(said, verb, &count))
        return count > 0;
    program_tell(program.name, "postsuper: %s", said);
    return -1;
}

/* Shows each message of all queues: 1; 0 `look` has seen enough; -1. */
static int look_at_all(const struct settings *settings,
                       bool (*look)(void *context, const struct mailqueue_message *message),
                       void *context)
{
    char *const words[] = {(char[]){"-j"}, NULL};
    char line[512];
    bool begins = true, goes_on = true, known = true;
    pid_t child;
    FILE *output = run(settings, (char[]){"postqueue"}, words, STDOUT_FILENO, &child);
    while (output != NULL && goes_on && known && fgets(line, sizeof line, output) != NULL) {
        struct mailqueue_message message;
        known = !begins || mailqueue_protocol_queued(line, &message);
        goes_on = known && (!begins || look(context, &message));
        begins = strchr(line, '\n') != NULL;
    }
    if (output == NULL || (!has_ended_well(output, child) && goes_on) || !known) {
        program_tell(program.name, "postqueue -j: %s",
                     known ? "it fails" : "expected the output of Postfix 3.1 or later");
        return -1;
    }
    return goes_on;
}

/* ---- answers ------------------------------------------------------------------------------- */

static bool list_one(void *context, const struct mailqueue_message *message)
{
    size_t *listed = context;
    if (!message->held)
        return true;
    if (++*listed > MAILQUEUE_LISTED_MAX)
        return false;
    printf("%s %lld %lld\n", message->id, (long long)(message->arrived_ms / SECOND_MS),
           (long long)message->size);
    return true;
}

static void list(const struct settings *settings)
{
    size_t listed = 0;
    int all = look_at_all(settings, list_one, &listed);
    puts(all > 0 ? "end" : all == 0 ? "more" : "error");
}

/* What postsuper did not find in the hold queue. */
struct missing {
    const struct mailqueue_request *request;
    enum mailqueue_result results[MAILQUEUE_IDS_MAX];
};

static bool find_missing(void *context, const struct mailqueue_message *message)
{
    struct missing *missing = context;
    for (size_t i = 0; i < missing->request->count; i++)
        if (missing->results[i] == MAILQUEUE_NO_SUCH &&
            strcmp(missing->request->ids[i], message->id) == 0)
            missing->results[i] = message->held ? MAILQUEUE_FAILED : MAILQUEUE_NOT_HELD;
    return true;
}

static void say_result(const char *id, enum mailqueue_result result)
{
    printf("%s %s\n", id, mailqueue_result_names[result]);
}

static void act_on_all(const struct settings *settings, struct mailqueue_request *request)
{
    struct missing missing = {.request = request};
    bool some = false;
    for (size_t i = 0; i < request->count; i++) {
        int acted = act(settings, request->verb, request->ids[i]);
        missing.results[i] = acted == 0                           ? MAILQUEUE_NO_SUCH
                             : acted < 0                          ? MAILQUEUE_FAILED
                             : request->verb == MAILQUEUE_RELEASE ? MAILQUEUE_RELEASED
                                                                  : MAILQUEUE_DELETED;
        some = some || acted == 0;
        if (acted > 0 && request->verb == MAILQUEUE_RELEASE)
            deliver_now(settings, request->ids[i]);
        if (acted != 0)
            say_result(request->ids[i], missing.results[i]);
    }
    struct missing before = missing;
    int looked = some ? look_at_all(settings, find_missing, &missing) : 1;
    for (size_t i = 0; i < request->count; i++)
        if (before.results[i] == MAILQUEUE_NO_SUCH)
            say_result(request->ids[i], looked > 0 ? missing.results[i] : MAILQUEUE_FAILED);
    puts("end");
}

/* ---- the connection ------------------------------------------------------------------------ */

/* Whether who connected is root or of the group of the socket file, whatever the file's mode. */
static bool is_permitted(void)
{
    struct ucred peer;
    struct sockaddr_un own = {0};
    struct stat file;
    socklen_t peer_size = sizeof peer, own_size = sizeof own - 1;
    return getsockopt(LINK, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) == 0 &&
           getsockname(LINK, (struct sockaddr *)&own, &own_size) == 0 &&
           own.sun_family == AF_UNIX && own.sun_path[0] == '/' &&
           stat(own.sun_path, &file) == 0 && (peer.uid == 0 || peer.gid == file.st_gid);
}

/* Reads the line of the request. False: it does not come, or is none. */
static bool read_request(struct mailqueue_request *request_r)
{
    char line[MAILQUEUE_REQUEST_MAX];
    size_t length = 0;
    struct pollfd wait = {.fd = LINK, .events = POLLIN};
    while (length < sizeof line && poll(&wait, 1, READ_MS) > 0) {
        ssize_t count = recv(LINK, line + length, sizeof line - length, 0);
        if (count <= 0)
            return false;
        length += (size_t)count;
        if (line[length - 1] == '\n')
            return mailqueue_protocol_request(line, length - 1, request_r) > 0;
    }
    return false;
}

static int serve(const struct settings *settings)
{
    struct mailqueue_request request;
    bool permitted = is_permitted();
    alarm(GIVE_UP_S); /* the client reads that the answer has no end */
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    /* Read in any case: a connection that is closed with unread bytes loses the answer. */
    if (dup2(LINK, STDOUT_FILENO) < 0 || !read_request(&request) || !permitted) {
        puts(permitted ? "error" : "forbidden");
        program_tell(program.name, "%s",
                     permitted ? "expected list, release ID... or delete ID..."
                               : "refused: expected a process of root, or of the group of the "
                                 "socket file, to be connected to standard input");
        return PROGRAM_FAILED;
    }
    if (request.verb == MAILQUEUE_LIST)
        list(settings);
    else
        act_on_all(settings, &request);
    return ferror(stdout) == 0 ? PROGRAM_OK : PROGRAM_FAILED;
}

int main(int argc, char **argv)
{
    struct program_options options;
    struct faults faults;
    freed_by(settings_free) struct settings *settings = NULL;
    int status = program_options(&program, argc, argv, &options);
    if (status >= 0)
        return status;
    address_init();
    if (program_settings(&options, &settings, &faults) < 1)
        return program_tell_faults(program.name, &faults);
    status = check(settings);
    return status != PROGRAM_OK || options.check ? status : serve(settings);
}
