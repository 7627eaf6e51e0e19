/* The metrics recorder: what programs observe, for staff and monitoring: which mailbox sent from
 * where, which windows are nearly full, and counts (counters.h). Noted in memory, flushed to the
 * store in small batches once a second by a thread of its own, so that judging does no more work and
 * waits for one batch at most. When the store is silent, counts are kept until it answers;
 * observations of more than RECORDER_CAPACITY mailboxes are dropped (the next hour's message brings
 * them again). */
#ifndef SENDGUARD_RECORDER_H
#define SENDGUARD_RECORDER_H

#include "guard/counters.h"
#include "guard/verdict.h"
#include "store/observations.h"
#include "store/store.h"

struct recorder;

enum { RECORDER_CAPACITY = 16 * 1024 };

/* `store` stays the caller's. */
struct recorder *recorder_start(struct store *store);
/* Flushes what is left, waits for the thread's end. */
void recorder_stop(struct recorder **recorder);

/* After each judgement that is no dry run. answered: as guard_judge returned. Any thread. */
void recorder_judged(struct recorder *recorder, const struct verdict *verdict, int answered,
                     int64_t took_us);

/* So many messages that had been admitted without the store were counted. Any thread. */
void recorder_told(struct recorder *recorder, uint64_t count);

/* A recipient was refused before its message was judged. Any thread. */
void recorder_recipient_blocked(struct recorder *recorder, enum channel channel);

/* A user locked a mailbox on the status page. Any thread. */
void recorder_user_locked(struct recorder *recorder);

/* A report of a complaint was taken over. Any thread. */
void recorder_reported(struct recorder *recorder, enum report_result result);

/* A block of sign-ins began, or would have. Any thread. */
void recorder_login_blocked(struct recorder *recorder, enum login_rule rule);
/* A block kept somebody from signing in. Any thread. */
void recorder_login_refused(struct recorder *recorder);
/* A second in which staff had to be told (login_outage_alarms). Any thread. */
void recorder_login_alarm(struct recorder *recorder);
/* Sessions of a locked mailbox were to be ended. Any thread. */
void recorder_kicked(struct recorder *recorder, enum kick_result result);
/* Dovecot asks: `after` the password was found right, or before. */
void recorder_login_asked(struct recorder *recorder, bool after);
/* A lock holds again, since the old password works, or begins, since it is in a list of stolen
 * ones; and a lock kept out a right password. Any thread. */
void recorder_guard_locked(struct recorder *recorder);
void recorder_lock_refused(struct recorder *recorder);

/* Something came of `count` notifications. Any thread. */
void recorder_notified(struct recorder *recorder, enum notify_way way, enum notify_result result,
                       uint64_t count);

/* Flushes all, as of now_ms: 1 or -1. */
int recorder_flush(struct recorder *recorder, int64_t now_ms) must_check;

#endif
