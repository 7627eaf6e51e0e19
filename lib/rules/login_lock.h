/* A lock of a mailbox whose password a stranger has, or whose password stands in a list of stolen
 * ones (breached): that is no offence, and all else is the same. Pure: time is a parameter.
 *
 * It keeps everybody out who has the right password (*keeps_out*), or it keeps mail from being sent
 * alone; the suspension of cause compromised or breached that does that stands elsewhere. It holds
 * until somebody says that the password was changed. The second offence within LOGIN_OFFENCES_MS closes the
 * mailbox: then only who may do everything opens it. The fingerprint (login.h) that was right last
 * when the lock began is kept. It proves nothing: what it shows is told to staff. But where it is
 * right again within LOGIN_LOCK_WATCH_MS after the mailbox was opened, the password was not changed,
 * and the lock holds again; that is no offence. Source: S1. */
#ifndef SENDGUARD_LOGIN_LOCK_H
#define SENDGUARD_LOGIN_LOCK_H

#include <stdbool.h>

#include "base/base.h"

/* Databases keep the numbers: new ones go to the end. */
enum login_lock_phase { LOGIN_LOCK_NONE, LOGIN_LOCKED, LOGIN_CLOSED, LOGIN_REOPENED, LOGIN_ASKED,
                        LOGIN_LOCK_PHASE_COUNT };
extern const char *const login_lock_phase_names[LOGIN_LOCK_PHASE_COUNT];

#define LOGIN_LOCK_WATCH_MS (30 * DAY_MS)
#define LOGIN_OFFENCES_MS (365 * DAY_MS)
#define LOGIN_NO_FINGERPRINT UINT16_MAX

/* Zeroed: there was none. */
struct login_lock {
    enum login_lock_phase phase;
    bool keeps_out;          /* also from signing in, while it holds */
    bool breached;           /* what holds, or is watched, is no offence */
    int64_t since_ms;        /* of the phase */
    int64_t offence_ms;      /* the last that counts; 0: none */
    int64_t offence_before_ms; /* the one before */
    uint16_t fingerprint;    /* of the password of the offence; or LOGIN_NO_FINGERPRINT */
    int64_t refused_ms;      /* since when that one is wrong; 0: it is not known to be */
    int64_t other_ms;        /* when another was right last since the lock; 0: none was; and where: */
    uint64_t other_network;
};

bool login_lock_holds(const struct login_lock *lock);
/* The mailbox's own user asks for it: it holds, but is no offence until login_lock_begin. None may
 * hold. */
void login_lock_ask(struct login_lock *lock, uint16_t fingerprint, int64_t at_ms);
/* Locks it. One that holds for an offence gets the scope alone, and a closed one that keeps people
 * out goes on doing so: that is not opened by locking it. Else it is an offence: true, it is the
 * second and closes the mailbox. */
bool login_lock_begin(struct login_lock *lock, bool keeps_out, uint16_t fingerprint,
                      int64_t at_ms);
/* Locks it as breached; one that is so already gets the scope alone. False: another one holds, and
 * stays as it is. */
bool login_lock_breach(struct login_lock *lock, bool keeps_out, uint16_t fingerprint,
                       int64_t at_ms);
/* What it is after the next login_lock_begin: LOGIN_LOCKED or LOGIN_CLOSED. */
enum login_lock_phase login_lock_next(const struct login_lock *lock, int64_t at_ms);
/* How many count at that moment: 0, 1 or 2. */
int login_lock_offences(const struct login_lock *lock, int64_t at_ms);
/* As after a second offence. */
void login_lock_close(struct login_lock *lock, uint16_t fingerprint, int64_t at_ms);
/* The password was changed, or who may do so says it: what holds holds no more. */
void login_lock_reopen(struct login_lock *lock, int64_t at_ms);
/* It was a mistake: as before the last offence, where it is one. */
void login_lock_forgive(struct login_lock *lock, int64_t at_ms);

/* Whether it kept people out for an offence, and may do so again. */
bool login_lock_watches(const struct login_lock *lock, int64_t at_ms);
/* Whether a right one makes it hold again; and that it does. */
bool login_lock_returns(const struct login_lock *lock, uint16_t fingerprint, int64_t at_ms);
void login_lock_return(struct login_lock *lock, int64_t at_ms);
/* A right or wrong password while it holds, or while the mailbox is watched. Where the password of the
 * offence is not known none shows a change. */
void login_lock_take(struct login_lock *lock, uint16_t fingerprint, bool right, uint64_t network,
                     int64_t at_ms);
/* Whether login_lock_take of a right one that is kept out says more than was said within an hour. */
bool login_lock_is_news(const struct login_lock *lock, uint16_t fingerprint, int64_t at_ms);

/* From when on it can change nothing; 0: nothing is left; UNTIL_LIFTED. */
int64_t login_lock_ends(const struct login_lock *lock);

#endif
