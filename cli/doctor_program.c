/* Programs that checks ask: postconf, doveconf, the services' --check. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/doctor.h"

enum { OUTPUT_MAX = 4 * 1024 * 1024, NO_PROGRAM = 127 };

/* Where programs of administrators are, also for users whose PATH lacks it. */
#define MORE_PATH "/usr/local/sbin:/usr/sbin:/sbin"

/* In the new process. */
static _Noreturn void become_program(const char *const *words, int out, int errors)
{
    const char *path = getenv("PATH");
    freed_by(free_string) char *more =
        xasprintf("%s:" MORE_PATH, path != NULL ? path : "/usr/local/bin:/usr/bin:/bin");
    int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDIN_FILENO);
    dup2(out >= 0 ? out : nothing, STDOUT_FILENO);
    dup2(errors >= 0 ? errors : nothing, STDERR_FILENO);
    setenv("PATH", more, 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    signal(SIGPIPE, SIG_DFL);
    execvp(words[0], (char *const *)(uintptr_t)words);
    _exit(NO_PROGRAM);
}

/* Reads both ends until they are closed. */
static void read_both(int ends[2], struct text texts[2])
{
    while (ends[0] >= 0 || ends[1] >= 0) {
        struct pollfd waits[2] = {{.fd = ends[0], .events = POLLIN},
                                  {.fd = ends[1], .events = POLLIN}};
        if (poll(waits, 2, -1) < 0 && errno != EINTR)
            return;
        for (size_t i = 0; i < 2; i++) {
            char bytes[8192];
            if (ends[i] < 0 || (waits[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0)
                continue;
            ssize_t length = read(ends[i], bytes, sizeof bytes);
            if (length > 0 && texts[i].length < OUTPUT_MAX) {
                text_add_bytes(&texts[i], bytes, (size_t)length);
            } else if (length <= 0) {
                close(ends[i]);
                ends[i] = -1;
            }
        }
    }
}

int doctor_program(struct arena *arena, const char *const *words, const char **out_r,
                   const char **errors_r)
{
    int out[2], errors[2], status = 0;
    struct text texts[2] = {{0}, {0}};
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(errors, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        become_program(words, out[1], errors[1]);
    close(out[1]);
    close(errors[1]);
    read_both((int[]){out[0], errors[0]}, texts);
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (out_r != NULL)
        *out_r = arena_strdup(arena, text_string(&texts[0]));
    if (errors_r != NULL)
        *errors_r = arena_strdup(arena, text_string(&texts[1]));
    text_free(&texts[0]);
    text_free(&texts[1]);
    bool ended = pid > 0 && WIFEXITED(status);
    return ended && WEXITSTATUS(status) != NO_PROGRAM ? WEXITSTATUS(status) : -1;
}

const char *doctor_line(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strcspn(text, "\n"));
}
