#include "rules/login_lock.h"

const char *const login_lock_phase_names[LOGIN_LOCK_PHASE_COUNT] = {"none", "locked", "closed",
                                                                     "reopened", "asked"};

bool login_lock_holds(const struct login_lock *lock)
{
    return lock->phase == LOGIN_LOCKED || lock->phase == LOGIN_CLOSED ||
           lock->phase == LOGIN_ASKED;
}

/* Whether a lock would be an offence of its own. */
static bool is_free(const struct login_lock *lock)
{
    return !login_lock_holds(lock) || lock->phase == LOGIN_ASKED || lock->breached;
}

static void begin_phase(struct login_lock *lock, enum login_lock_phase phase, int64_t at_ms)
{
    lock->phase = phase;
    lock->since_ms = at_ms;
}

static void forget_seen(struct login_lock *lock, uint16_t fingerprint)
{
    lock->fingerprint = fingerprint;
    lock->refused_ms = lock->other_ms = 0;
    lock->other_network = 0;
}

/* What was seen since the user asked for it goes on. */
static void offend(struct login_lock *lock, uint16_t fingerprint, int64_t at_ms)
{
    lock->offence_before_ms = lock->offence_ms;
    lock->offence_ms = at_ms;
    if (lock->phase != LOGIN_ASKED)
        forget_seen(lock, fingerprint);
    lock->breached = false;
}

void login_lock_ask(struct login_lock *lock, uint16_t fingerprint, int64_t at_ms)
{
    forget_seen(lock, fingerprint);
    lock->keeps_out = true;
    lock->breached = false;
    begin_phase(lock, LOGIN_ASKED, at_ms);
}

static bool counts(int64_t offence_ms, int64_t at_ms)
{
    return offence_ms != 0 && at_ms - offence_ms < LOGIN_OFFENCES_MS;
}

int login_lock_offences(const struct login_lock *lock, int64_t at_ms)
{
    return counts(lock->offence_ms, at_ms) + counts(lock->offence_before_ms, at_ms);
}

enum login_lock_phase login_lock_next(const struct login_lock *lock, int64_t at_ms)
{
    if (!is_free(lock))
        return lock->phase;
    return counts(lock->offence_ms, at_ms) ? LOGIN_CLOSED : LOGIN_LOCKED;
}

bool login_lock_begin(struct login_lock *lock, bool keeps_out, uint16_t fingerprint, int64_t at_ms)
{
    bool offends = is_free(lock);
    enum login_lock_phase next = login_lock_next(lock, at_ms);
    lock->keeps_out = keeps_out || (lock->phase == LOGIN_CLOSED && lock->keeps_out);
    if (offends) {
        offend(lock, fingerprint, at_ms);
        begin_phase(lock, next, at_ms);
    }
    return offends && next == LOGIN_CLOSED;
}

bool login_lock_breach(struct login_lock *lock, bool keeps_out, uint16_t fingerprint, int64_t at_ms)
{
    bool holds = login_lock_holds(lock);
    if (holds && !lock->breached)
        return false;
    lock->keeps_out = keeps_out;
    if (!holds) {
        lock->breached = true;
        forget_seen(lock, fingerprint);
        begin_phase(lock, LOGIN_LOCKED, at_ms);
    }
    return true;
}

void login_lock_close(struct login_lock *lock, uint16_t fingerprint, int64_t at_ms)
{
    if (is_free(lock))
        offend(lock, fingerprint, at_ms);
    lock->keeps_out = true;
    begin_phase(lock, LOGIN_CLOSED, at_ms);
}

void login_lock_reopen(struct login_lock *lock, int64_t at_ms)
{
    begin_phase(lock, LOGIN_REOPENED, at_ms);
}

void login_lock_forgive(struct login_lock *lock, int64_t at_ms)
{
    if (lock->phase != LOGIN_ASKED && !lock->breached) {
        lock->offence_ms = lock->offence_before_ms;
        lock->offence_before_ms = 0;
    }
    lock->breached = false;
    forget_seen(lock, LOGIN_NO_FINGERPRINT);
    begin_phase(lock, LOGIN_LOCK_NONE, at_ms);
}

static bool is_watched(const struct login_lock *lock, int64_t at_ms)
{
    return lock->phase == LOGIN_REOPENED && at_ms - lock->since_ms < LOGIN_LOCK_WATCH_MS;
}

bool login_lock_watches(const struct login_lock *lock, int64_t at_ms)
{
    return is_watched(lock, at_ms) && lock->keeps_out && !lock->breached;
}

bool login_lock_returns(const struct login_lock *lock, uint16_t fingerprint, int64_t at_ms)
{
    return is_watched(lock, at_ms) && lock->fingerprint == fingerprint;
}

void login_lock_return(struct login_lock *lock, int64_t at_ms)
{
    lock->refused_ms = 0;
    begin_phase(lock, LOGIN_LOCKED, at_ms);
}

void login_lock_take(struct login_lock *lock, uint16_t fingerprint, bool right, uint64_t network,
                     int64_t at_ms)
{
    if (lock->phase == LOGIN_LOCK_NONE || lock->fingerprint == LOGIN_NO_FINGERPRINT)
        return;
    bool same = fingerprint == lock->fingerprint;
    if (same && right) {
        lock->refused_ms = 0;
    } else if (same && lock->refused_ms == 0) {
        lock->refused_ms = at_ms;
    } else if (!same && right) {
        lock->other_ms = at_ms;
        lock->other_network = network;
    }
}

bool login_lock_is_news(const struct login_lock *lock, uint16_t fingerprint, int64_t at_ms)
{
    if (lock->fingerprint == LOGIN_NO_FINGERPRINT)
        return false;
    return fingerprint == lock->fingerprint ? lock->refused_ms != 0
                                            : at_ms - lock->other_ms >= HOUR_MS;
}

int64_t login_lock_ends(const struct login_lock *lock)
{
    if (login_lock_holds(lock))
        return UNTIL_LIFTED;
    int64_t watched_ms = lock->phase == LOGIN_REOPENED ? lock->since_ms + LOGIN_LOCK_WATCH_MS : 0;
    int64_t offences_ms = lock->offence_ms != 0 ? lock->offence_ms + LOGIN_OFFENCES_MS : 0;
    return watched_ms > offences_ms ? watched_ms : offences_ms;
}
