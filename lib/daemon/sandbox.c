#include "daemon/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/owner_source.h"

/* The leak detector of the address sanitizer traces its own process from another one. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

#if defined(__s390__)
enum { CLONE_FLAGS = 1 }; /* clone(2): the first two arguments change places there */
#else
enum { CLONE_FLAGS = 0 };
#endif

static bool gave_up_programs; /* of this process */

/* Another program, and another process that could run it. */
static const char *const programs[] = {"execve", "execveat", "fork", "vfork"};

/* Other processes, which of the same user this one could stop or read. */
static const char *const others[] = {"kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv",
                                     "process_vm_writev", "ptrace"};

/* What is for root, or has been a way to become root. */
static const char *const system_calls[] = {
    "acct", "add_key", "adjtimex", "bpf", "capset", "chroot", "clock_adjtime", "clock_settime",
    "delete_module", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module",
    "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kexec_file_load",
    "kexec_load", "keyctl", "mount", "mount_setattr", "move_mount", "open_by_handle_at",
    "open_tree", "perf_event_open", "pivot_root", "quotactl", "reboot", "request_key",
    "setdomainname", "setfsgid", "setfsuid", "setgid", "setgroups", "sethostname", "setns",
    "setregid", "setresgid", "setresuid", "setreuid", "settimeofday", "setuid", "swapoff",
    "swapon", "umount2", "unshare", "userfaultfd", "vhangup",
};

/* 0, or a negative errno; a call that this libseccomp or processor has not is none to give up. */
static int give_up(scmp_filter_ctx filter, const char *const *names, size_t count)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        if (number != __NR_SCMP_ERROR)
            result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
        if (result == -EDOM) /* not of this processor */
            result = 0;
    }
    return result;
}

static int give_up_programs(scmp_filter_ctx filter)
{
    int result = give_up(filter, programs, countof(programs));
    if (result == 0) /* a thread is no process */
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                  SCMP_CMP(CLONE_FLAGS, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    if (result == 0) /* its flags are in memory, where no filter looks: the C library takes clone then */
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return result;
}

/* Of sockets these stay: local ones, IP, and netlink, by which the C library looks which addresses
 * the machine has. */
static int give_up_families(scmp_filter_ctx filter)
{
    static const unsigned stay[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    int result = 0;
    for (unsigned family = 0, i = 0; family < AF_NETLINK && result == 0; family++)
        if (family == stay[i])
            i++;
        else if (family != AF_UNSPEC) /* no socket is made of it anyway */
            result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                      SCMP_A0(SCMP_CMP_EQ, family));
    return result < 0 ? result
                      : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                         SCMP_A0(SCMP_CMP_GT, AF_NETLINK));
}

static int load(scmp_filter_ctx filter, bool runs_programs)
{
    int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1); /* all threads, or none */
    if (result == 0 && !runs_programs)
        result = give_up_programs(filter);
    if (result == 0 && !SANITIZED)
        result = give_up(filter, others, countof(others));
    if (result == 0)
        result = give_up(filter, system_calls, countof(system_calls));
    if (result == 0)
        result = give_up_families(filter);
    return result < 0 ? result : seccomp_load(filter);
}

static bool want_programs(const struct settings *settings)
{
    const struct text_list *owners = &settings->identity_owners;
    for (size_t i = 0; i < owners->count; i++) {
        struct owner_source source;
        if (owner_source_read(owners->items[i], strlen(owners->items[i]), &source) == NULL &&
            source.kind == OWNERS_POSTMAP)
            return true;
    }
    return false;
}

int sandbox_enter(const struct settings *settings, struct problem *problem)
{
    bool runs_programs = SANITIZED || want_programs(settings);
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL)
        return problem_set(problem, 0, "seccomp", "cannot make a filter");
    int result = load(filter, runs_programs);
    seccomp_release(filter);
    if (result < 0)
        return problem_set(problem, 0, "seccomp", "%s", strerror(-result));
    gave_up_programs = !runs_programs;
    return 1;
}

int sandbox_permits(const struct settings *settings, struct problem *problem)
{
    if (!gave_up_programs || !want_programs(settings))
        return 1;
    return problem_set(problem, 0, "identity.owners",
                       "a table that postmap reads is the first one: a program that runs starts no "
                       "other, restart it");
}
