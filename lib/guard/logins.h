/* What a process knows of sign-ins: all mailboxes and networks of which the store has something
 * (guard/login_values.h), and the tries that came since. Who asks whether a sign-in may go on
 * is answered from memory; the store is read and written by logins_exchange alone, which a thread
 * calls a few times a second. A try counts here at once. It counts in the store when it is applied
 * again to what is there by then, and so for other processes; what they told meanwhile takes the
 * place of what is here.
 *
 * While the store does not answer nothing changes, but that the last LOGINS_UNWRITTEN_MAX tries
 * wait for it; those beyond that count here alone, until the store has others of that mailbox.
 * Any thread. */
#ifndef SENDGUARD_LOGINS_H
#define SENDGUARD_LOGINS_H

#include "guard/token.h"
#include "rules/login.h"
#include "store/store.h"

enum {
    LOGINS_MAX = 500 * 1000, /* mailboxes, and networks. A mailbox beyond counts nowhere, a network
                                as a webmail host's */
    LOGINS_UNWRITTEN_MAX = 100 * 1000,
};

struct logins;

/* `key` stays the caller's. */
struct logins *logins_new(const struct token_key *key);
void logins_free(struct logins **logins);

struct logins_try {
    const char *mailbox;  /* the name, in the form in which it is looked up */
    const char *ip;       /* "", or none: as from a webmail host */
    bool webmail_host;    /* struct login_from */
    uint16_t fingerprint; /* below LOGIN_FINGERPRINTS; kept keyed (guard/keyed_hash.h) */
    enum login_protocol protocol;
};

/* 1: it may go on; 0: that block keeps it out. Asks no store. */
int logins_allow(struct logins *logins, const struct logins_try *attempt, int64_t now_ms,
                 struct login_block *block_r) must_check;

/* How a mailbox is locked (rules/login_lock.h). */
struct logins_lock {
    bool closed;   /* only an administrator opens it */
    bool breached;
    bool again;    /* it holds again by this very password */
};
/* The same of one whose password was found right; 0: a lock keeps it out. A password by which a lock
 * holds again is told to the store, which gets the suspension too. */
int logins_unlocked(struct logins *logins, const struct logins_try *attempt, int64_t now_ms,
                    struct logins_lock *lock_r) must_check;
/* Whether a password that was found right is known to be right for max_age_ms or longer; the store
 * is told that it is still used. */
bool logins_too_old(struct logins *logins, const struct logins_try *attempt, int64_t max_age_ms,
                    int64_t now_ms);
/* The password with which somebody signs in just now is in a list of stolen ones: unless the
 * mailbox is locked already, it is from now on, for sending alone or (keeps_out) for all: for all too
 * where it did so for an offence (login_lock_watches), since the password may be that one. The store
 * is told in the same way. 1; 0: it is locked, or there is no room for it. */
int logins_breach(struct logins *logins, const char *mailbox, bool keeps_out, int64_t now_ms)
    must_check;
#define LOGINS_BREACHED_NOTE "the password is in a list of stolen ones"
#define LOGINS_AGAIN_NOTE "the password of the offence was right again"

/* Locks that keep people out, for who ends the sessions that are open: from now on it is noted
 * which began, and once the store has been read which hold. By the hash of the mailbox
 * (keyed_hash_login). */
void logins_watch_locks(struct logins *logins);
/* Hands out what was noted, at most `max`: how many. Whether one of them keeps people out still. */
size_t logins_next_locks(struct logins *logins, uint64_t *mailboxes_r, size_t max);
bool logins_keeps_out(struct logins *logins, uint64_t mailbox);
/* The hash of a name. */
uint64_t logins_mailbox(struct logins *logins, const char *name);

/* What a try led to. */
struct logins_taken {
    enum login_taken taken; /* of a wrong password */
    unsigned begun;         /* blocks, as login_take_wrong says it; and their end: */
    int64_t until_ms;
    char network[LOGIN_NETWORK_SIZE]; /* "" where it is not known */
};
/* A right or wrong password, that nothing kept out. 1; 0: there is no room for its mailbox. */
int logins_report(struct logins *logins, const struct logins_try *attempt, bool right,
                  const struct login_limits *limits, int64_t now_ms,
                  struct logins_taken *taken_r) must_check;

/* Writes what came since the last time, and reads what other processes wrote. One thread at a time.
 * 1; -1 the store does not answer, and nothing is lost. */
int logins_exchange(struct logins *logins, struct store *store,
                    const struct login_limits *limits, int64_t now_ms) must_check;

/* Whether a block or a lock has begun here since logins_exchange was called last: the sooner the store
 * has it, the less is forgotten when the process is killed. */
bool logins_is_urgent(struct logins *logins);

struct logins_state {
    size_t mailboxes, networks, unwritten;
    uint64_t unwritten_lost, no_room; /* tries, since the start */
    uint64_t begun[LOGIN_RULE_COUNT]; /* blocks since the start, that no try here has told of: tries
                                         that came to others count in them, and reached the number
                                         with ours */
    bool alarm;                       /* login_outage_alarms */
};
struct logins_state logins_state(struct logins *logins, int64_t now_ms);

#endif
