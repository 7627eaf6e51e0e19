/* Preloaded into a program by test_sandbox.py: at SIGUSR1 it tries, from inside, what somebody who took
 * the program over would try, and writes a line for each to the file that FORBIDDEN_LOG names. Where
 * a call were not forbidden it would fail in another way, or change nothing: tests run as root. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int out;

static void tell(const char *what, long result)
{
    dprintf(out, "%s %s\n", what, result < 0 ? strerrorname_np(errno) : "done");
}

static void try_programs(void)
{
    char *const words[] = {"", NULL};
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    tell("fork", child);
    if (child > 0)
        waitpid(child, NULL, 0);
    child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    tell("clone", child);
    if (child > 0)
        waitpid(child, NULL, 0);
    tell("execve", execve("", words, environ));
}

static void try_all(int signal)
{
    (void)signal;
    char byte;
    try_programs();
    tell("ptrace", ptrace(PTRACE_ATTACH, INT_MAX, NULL, NULL));
    tell("process_vm_readv", syscall(SYS_process_vm_readv, INT_MAX, NULL, 0, NULL, 0, 0));
    tell("unshare", unshare(0));
    tell("mount", syscall(SYS_mount, NULL, NULL, NULL, 0, NULL));
    tell("bpf", syscall(SYS_bpf, 0, NULL, 0));
    tell("io_uring_setup", syscall(SYS_io_uring_setup, 1, &byte));
    tell("packets", socket(AF_PACKET, SOCK_RAW, 0));
    tell("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
    tell("setuid", setuid((uid_t)-1));
    tell("ip", socket(AF_INET, SOCK_STREAM, 0));
    tell("end", 0);
    close(out);
}

__attribute__((constructor)) static void begin(void)
{
    out = open(getenv("FORBIDDEN_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    signal(SIGUSR1, try_all);
}
