/* What programs saw, for staff and monitoring: which mailbox sent from where, which
 * windows are nearly full, and counts of everything. Noted in memory, told to
 * the store in small bundles once a second by a thread of its own, so that judging
 * does no more work and waits for one bundle at most. When the store is silent, counts are
 * kept until it answers; sightings of more than RECORDER_CAPACITY mailboxes are
 * dropped (the next hour's message brings them again).
 *
 * Counters, as the store keeps them ("NAME LABEL=VALUE LABEL=VALUE"):
 *   decisions channel=webmail verdict=admit|message|over_time|suspended|no_store|unjudged
 *             (|repeated|observed|redeemed; exactly one of them each)
 *   refusals channel=webmail rule=RULE    one for each rule that a refusal names
 *   judge_us_le channel=webmail le=BOUND  judgements that took so many microseconds or less, for each
 *             of recorder_bounds_us and le=inf;  judge_us_sum channel=webmail  their sum
 *   store_failures channel=webmail
 *   bypassed channel=smtp                of the decisions, those on what bypassed the webmail endpoint
 *   bypassed day=2026-11-22           the same by day, UTC (recorder_bypassed_name)
 *   suspensions cause=volume           those that messages brought */
#ifndef SENDGUARD_RECORDER_H
#define SENDGUARD_RECORDER_H

#include "guard/verdict.h"
#include "store/observations.h"
#include "store/store.h"

struct recorder;

enum { RECORDER_CAPACITY = 16 * 1024, RECORDER_BOUNDS = 10 };
extern const int32_t recorder_bounds_us[RECORDER_BOUNDS]; /* rising */

/* `store` stays the caller's. */
struct recorder *recorder_start(struct store *store);
/* Tells what is left, waits for the thread's end. */
void recorder_stop(struct recorder **recorder);

/* After each judgement that is no dry run. answered: as guard_judge returned. Any thread. */
void recorder_judged(struct recorder *recorder, const struct verdict *verdict, int answered,
                     int64_t took_us);
/* The name of the counter of the day of `now_ms`. */
void recorder_bypassed_name(int64_t now_ms, char name_r[COUNTER_NAME_SIZE]);

/* One more of a counter of another name. Any thread. */
void recorder_count(struct recorder *recorder, const char *name, uint64_t more);

/* Tell it all now: for tests. 1 or -1. */
int recorder_flush(struct recorder *recorder) must_check;

#endif
