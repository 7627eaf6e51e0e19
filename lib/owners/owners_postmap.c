#include "owners/owners_postmap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "owners/owners_inside.h"

extern char **environ;

enum { OUT, ERR, STREAMS };

struct process {
    pid_t id;
    int fds[STREAMS]; /* -1: ended */
    struct text *texts[STREAMS];
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* postmap, its standard output and standard error into the two descriptors: 0, or an error. */
static int spawn(const char *table, const char *key, const int writes[STREAMS], pid_t *id_r)
{
    char *const words[] = {(char[]){"postmap"}, (char[]){"-q"}, strdupa(key), strdupa(table), NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, writes[OUT], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, writes[ERR], STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    int error = posix_spawnp(id_r, words[0], &files, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

static int start(const char *table, const char *key, struct process *process, struct text *why_r)
{
    int pipes[STREAMS][2] = {{-1, -1}, {-1, -1}};
    int error = pipe2(pipes[OUT], O_CLOEXEC | O_NONBLOCK) < 0 ||
                        pipe2(pipes[ERR], O_CLOEXEC | O_NONBLOCK) < 0
                    ? errno
                    : 0;
    if (error == 0)
        error = spawn(table, key, (const int[STREAMS]){pipes[OUT][1], pipes[ERR][1]}, &process->id);
    for (int i = 0; i < STREAMS; i++) {
        close_fd(&pipes[i][1]);
        if (error != 0)
            close_fd(&pipes[i][0]);
        process->fds[i] = pipes[i][0];
    }
    if (error != 0)
        text_addf(why_r, "postmap cannot be started: %s", strerror(error));
    return error == 0 ? 1 : -1;
}

/* Reads what is there. False: it is too much. */
static bool get(struct process *process, int stream)
{
    char piece[4096];
    ssize_t count = read(process->fds[stream], piece, sizeof piece);
    if (count > 0)
        text_add_bytes(process->texts[stream], piece, (size_t)count);
    else if (count == 0 || (errno != EAGAIN && errno != EINTR))
        close_fd(&process->fds[stream]);
    return process->texts[stream]->length <= OWNERS_ANSWER_MAX_BYTES;
}

/* All that it says. NULL, or why that is not had. */
static const char *read_all(struct process *process, int64_t give_up_us)
{
    while (process->fds[OUT] >= 0 || process->fds[ERR] >= 0) {
        struct pollfd waits[STREAMS] = {{.fd = process->fds[OUT], .events = POLLIN},
                                        {.fd = process->fds[ERR], .events = POLLIN}};
        int64_t left_us = give_up_us - clock_monotonic_us();
        struct timespec span = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
        int ready = left_us > 0 ? ppoll(waits, STREAMS, &span, NULL) : 0;
        if (ready == 0)
            return "postmap does not answer in time";
        for (int i = 0; i < STREAMS && ready > 0; i++)
            if (waits[i].revents != 0 && !get(process, i))
                return "postmap's answer is over 16 KiB";
    }
    return NULL;
}

/* Its status; a process that closed its output and stays is ended at the end of the time. */
static int end(const struct process *process, bool kills, int64_t give_up_us)
{
    int status = 0;
    pid_t ended = 0;
    while (!kills && (ended = waitpid(process->id, &status, WNOHANG)) == 0 &&
           clock_monotonic_us() < give_up_us)
        poll(NULL, 0, 1);
    if (ended == process->id)
        return status;
    kill(process->id, SIGKILL);
    while (waitpid(process->id, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

int owners_postmap_ask(const char *table, const char *key, int64_t give_up_us, struct text *data_r,
                       struct text *why_r)
{
    freed_by(text_free) struct text out = {0}, err = {0};
    struct process process = {.fds = {-1, -1}, .texts = {&out, &err}};
    if (start(table, key, &process, why_r) < 0)
        return -1;
    const char *fault = read_all(&process, give_up_us);
    close_fd(&process.fds[OUT]);
    close_fd(&process.fds[ERR]);
    int status = end(&process, fault != NULL, give_up_us);
    if (fault == NULL && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        text_add_bytes(data_r, text_string(&out), out.length);
        return 1;
    }
    if (fault == NULL && WIFEXITED(status) && WEXITSTATUS(status) == 1 && err.length == 0)
        return 0;
    text_add(why_r, fault != NULL     ? fault
                    : err.length == 0 ? "postmap ended without an answer"
                                      : "");
    if (fault == NULL)
        text_add_bytes(why_r, text_string(&err), strcspn(text_string(&err), "\n"));
    return -1;
}
