/* Whether a mailbox was ever seen here. Internal to lib/desk. */
#ifndef SENDGUARD_SEEN_H
#define SENDGUARD_SEEN_H

#include "desk/context.h"

/* Whether anything is kept of it: what it sent within a day, a decision, a suspension, an action of
 * staff, or a sign-in. 1, 0 or -1. */
int seen_mailbox(const struct context *context, const char *mailbox) must_check;

#endif
