/* Sends one parked message as the webmail does at a visit (lib/parked.php of its plugin): read,
 * judged again, claimed in the store, handed to the mail server, kept in Sent, taken out of the
 * drafts, taken off the list. docs/parked.md says what becomes of it when this ends between two
 * steps: it is handed over at most once. */
#ifndef SENDGUARD_PARKED_SENDER_H
#define SENDGUARD_PARKED_SENDER_H

#include <stdbool.h>

#include "desk/desk.h"

enum sender_result {
    SENDER_SENT,
    SENDER_REFUSED, /* it waits for another moment, or is an ordinary draft from now on */
    SENDER_OTHERS,  /* another one has claimed it, or it was taken off the list */
    SENDER_LEFT,    /* for a visit of its user: it is not what was parked, or cannot be read here */
    SENDER_UNKNOWN, /* it may have been sent; its user reads that, and nobody sends it again */
    SENDER_AWAY     /* Dovecot, Postfix or the store does not answer; nothing was done */
};

/* Logs what it did, and why not. *ending may be NULL; when it is set, it gives up. */
enum sender_result sender_send(const struct desk *desk, const struct desk_parked_draft *draft,
                               const _Atomic bool *ending);

#endif
