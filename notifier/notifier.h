/* The thread that tells support and users what has happened: every few seconds it looks at the
 * store (notify/notify_look.h), and sends what is due. Of several over one store one works, the
 * others wait for it to fall silent. Nobody waits for the thread. */
#ifndef SENDGUARD_NOTIFIER_H
#define SENDGUARD_NOTIFIER_H

#include "daemon/daemon.h"

struct notifier;

/* NULL: there is no thread, and it has logged why. */
struct notifier *notifier_start(const struct daemon *daemon);
/* 1; or -1: the thread is still at work after timeout_ms. */
int notifier_stop(struct notifier **notifier, int timeout_ms) must_check;

#endif
