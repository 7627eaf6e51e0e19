/* What doors saw, for staff and monitoring: which mailbox sent from where, which
 * windows are nearly full, and counts of everything. Noted in memory, told to
 * the store in small bundles once a second by a thread of its own, so that judging
 * does no more work and waits for one bundle at most. When the store is silent, counts are
 * kept until it answers; sightings of more than OBSERVER_ROOM mailboxes are
 * dropped (the next hour's message brings them again).
 *
 * Counters, as the store keeps them ("NAME LABEL=VALUE LABEL=VALUE"):
 *   decisions door=webmail verdict=admit|message|over_time|suspended|no_store|unjudged
 *             (|repeated|observed|redeemed; exactly one of them each)
 *   refusals door=webmail rule=RULE    one for each rule that a refusal names
 *   judge_us_le door=webmail le=BOUND  judgements that took so many microseconds or less, for each
 *             of observer_bounds_us and le=inf;  judge_us_sum door=webmail  their sum
 *   store_failures door=webmail
 *   unguarded door=smtp                of the decisions, those on what went round the webmail's door
 *   unguarded day=2026-11-22           the same by day, UTC (observer_unguarded_name)
 *   suspensions cause=volume           those that messages brought */
#ifndef SENDGUARD_OBSERVER_H
#define SENDGUARD_OBSERVER_H

#include "guard/verdict.h"
#include "store/store.h"

struct observer;

enum { OBSERVER_ROOM = 16 * 1024, OBSERVER_BOUNDS = 10 };
extern const int32_t observer_bounds_us[OBSERVER_BOUNDS]; /* rising */

/* `store` stays the caller's. */
struct observer *observer_start(struct store *store);
/* Tells what is left, waits for the thread's end. */
void observer_stop(struct observer **observer);

/* After each judgement that is no dry run. answered: as guard_judge returned. Any thread. */
void observer_saw(struct observer *observer, const struct verdict *verdict, int answered,
                  int64_t took_us);
/* The name of the counter of the day of `now_ms`. */
void observer_unguarded_name(int64_t now_ms, char name_r[COUNTER_NAME_SIZE]);

/* One more of a counter of another name. Any thread. */
void observer_count(struct observer *observer, const char *name, uint64_t more);

/* Tell it all now: for tests. 1 or -1. */
int observer_tell(struct observer *observer) must_check;

#endif
