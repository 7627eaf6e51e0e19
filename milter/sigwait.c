/* libmilter has a thread that waits for SIGHUP, SIGTERM and SIGINT, and ends the process' service
 * at each of them. Signals are program_wait's business here, so the wait of libmilter, which is the
 * only caller of sigwait(3) in the process, has no end. */
#include <signal.h>
#include <unistd.h>

int sigwait(const sigset_t *restrict set, int *restrict signal_r)
{
    (void)set;
    (void)signal_r;
    for (;;)
        pause();
}
