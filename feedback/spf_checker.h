/* The thread that looks at SPF records (feedback/spf_watch.h), as spf.mode and spf.outgoing say. No
 * message waits for it. */
#ifndef SENDGUARD_SPF_CHECKER_H
#define SENDGUARD_SPF_CHECKER_H

#include "daemon/daemon.h"

struct spf_checker;

/* NULL: there is no thread, and it has logged why. */
struct spf_checker *spf_checker_start(const struct daemon *daemon);
/* 1; -1 it is still at work. */
int spf_checker_stop(struct spf_checker **checker, int timeout_ms) must_check;

/* A mailbox sent. Any thread. */
void spf_checker_saw(void *checker, const char *mailbox);

#endif
