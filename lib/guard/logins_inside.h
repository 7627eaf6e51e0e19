/* What the files of logins share. */
#ifndef SENDGUARD_LOGINS_INSIDE_H
#define SENDGUARD_LOGINS_INSIDE_H

#include <pthread.h>

#include "guard/keyed_hash.h"
#include "guard/logins.h"
#include "guard/logins_table.h"
#include "rules/login_outage.h"

/* A try that is not in the store yet. */
struct logins_event {
    struct logins_entry *mailbox, *network;
    int64_t at_ms;
    uint16_t fingerprint;
    uint8_t rests; /* enum login_rests */
    uint8_t begun; /* blocks that it began here: 1 << enum login_rule */
    uint8_t protocol; /* enum login_protocol */
    bool right, webmail_host;
    bool locked; /* right, and a lock keeps it out, or holds again by it */
    bool too_old; /* right, and as logins_too_old */
    bool breached, keeps_out; /* no try: as logins_breach */
    char *begins; /* where a lock begins by it, the name of the mailbox, to be freed; else NULL */
};

struct logins {
    struct keyed_hash_keys keys;
    pthread_mutex_t lock; /* guards what follows */
    struct logins_table mailboxes, networks;
    struct login_outage outage;
    struct logins_event *events; /* in order */
    size_t event_count, event_room;
    uint64_t unwritten_lost, no_room, begun[LOGIN_RULE_COUNT];
    bool is_urgent;
    bool watches_locks;
    uint64_t *locks; /* of mailboxes, not handed out yet */
    size_t lock_count, lock_room;
    /* of who calls logins_exchange; `place` of entries too */
    bool is_loaded;
    int64_t number; /* of the newest step that is known */
    size_t at_once; /* tries of a step */
};

/* Notes that the mailbox is locked now, if that is watched and keeps people out as it did not before;
 * the caller has the lock. */
void logins_note_lock(struct logins *logins, uint64_t mailbox, const struct login_lock *before,
                      const struct login_lock *after);

/* Takes it over into those two, of which one may be a copy. */
enum login_taken logins_apply(const struct logins_event *event, struct login_mailbox *mailbox,
                              struct login_network *network, const struct login_limits *limits,
                              unsigned *begun_r);

#endif
