/* What has happened since the last round, read from where it stands anyway: suspensions, the audit
 * log, windows near their limit, counters, complaints and the places in mail servers' logs.
 * Nothing is written for it, and nobody who judges waits for it. */
#ifndef SENDGUARD_NOTIFY_LOOK_H
#define SENDGUARD_NOTIFY_LOOK_H

#include "notify/notify_state.h"

/* Mailboxes whose mail waits, of which it is known that they were told; others are told when some of
 * these were answered. */
enum { NOTIFY_HELD_MAX = 500 };

struct notify_look {
    struct store *store;
    struct arena *arena; /* of this round */
    const struct settings *settings;
    int64_t now_ms;
    int64_t users_left_out; /* answered: users who get no mail, since too many do */
};

/* What is new is added to the state, as far as the settings want it told. The first time, and
 * after NOTIFY_STALE_MS without a round, it only notes how far everything is. 1; -1 the store does
 * not answer: what was added before stays, and what was not comes with the next round. */
int notify_look(struct notify_look *look, struct notify_state *state) must_check;

#endif
