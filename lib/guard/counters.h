/* What is counted for monitoring: one row a counter. The recorder counts and flushes by this table,
 * /metrics prints by it; docs/monitoring.md names the same, which a test holds against what is
 * served. A new counter is a member of struct counts, a row, and where it happens a `++`. */
#ifndef SENDGUARD_COUNTERS_H
#define SENDGUARD_COUNTERS_H

#include "guard/verdict.h"
#include "rules/login.h"
#include "store/observations.h"

enum { JUDGE_BOUNDS = 10 };
extern const int32_t counters_bounds_us[JUDGE_BOUNDS]; /* rising */

/* What came of a report of a complaint. */
enum report_result {
    REPORT_TAKEN,     /* a complaint that was not known */
    REPORT_SUSPENDED, /* the same, and it suspends its mailbox */
    REPORT_WAS_KNOWN, /* the same complaint again */
    REPORT_WITHDREW,  /* took one back */
    REPORT_WAITS,     /* for staff */
    REPORT_IS_NO_COMPLAINT,
    REPORT_IS_TOO_MUCH, /* larger or deeper than is read */
    REPORT_IS_NONE,   /* mail of another kind */
    REPORT_RESULTS
};
extern const char *const report_result_names[REPORT_RESULTS];

/* What came of ending the sessions of a locked mailbox. */
enum kick_result { KICK_ENDED, KICK_NONE, KICK_FAILED, KICK_RESULTS };
extern const char *const kick_result_names[KICK_RESULTS];

/* Who began a lock of a mailbox: Sendguard does again where the old password works. */
enum lock_by { LOCK_BY_GUARD, LOCK_BY_USER, LOCK_BY_STAFF, LOCK_BY_COUNT };

/* What became of messages that wait in the webmail: parked; sent; refused too often at their moment;
 * taken back by their user. */
enum parked_result { PARKED_PARKED, PARKED_SENT, PARKED_REFUSED, PARKED_CANCELLED, PARKED_RESULTS };

/* How notifications go (notify/notify_state.h), and what came of one: that it was tried in vain
 * and will be again; that it was given up; and what nobody was told by name, since too much
 * happened. */
enum notify_way { NOTIFY_BY_MAIL, NOTIFY_BY_WEBHOOK, NOTIFY_TO_USER, NOTIFY_WAYS };
enum notify_result { NOTIFY_SENT, NOTIFY_FAILED, NOTIFY_GIVEN_UP, NOTIFY_LEFT_OUT, NOTIFY_RESULTS };
extern const char *const notify_way_names[NOTIFY_WAYS];
extern const char *const notify_result_names[NOTIFY_RESULTS];

struct counts {
    uint64_t decisions[CHANNEL_COUNT][VERDICT_LABELS];     /* exactly one label each */
    uint64_t refusals[CHANNEL_COUNT][RULE_NAMED_COUNT];    /* one for each rule that a refusal names */
    uint64_t judge_us_le[CHANNEL_COUNT][JUDGE_BOUNDS + 1]; /* took so long or less; the last: all */
    uint64_t judge_us_sum[CHANNEL_COUNT];
    uint64_t store_failures[CHANNEL_COUNT];
    uint64_t told; /* messages that were admitted without the store, and counted when it answered */
    uint64_t unusual[CHANNEL_COUNT];  /* of the decisions, those on messages that are unusual */
    uint64_t shadow[CHANNEL_COUNT][OVER_TIME_COUNT]; /* of the decisions, those on messages that a
                                                        shadow rule would have refused */
    uint64_t bypassed[CHANNEL_COUNT]; /* of the decisions, those on what bypassed the webmail endpoint */
    uint64_t from_unknown[CHANNEL_COUNT]; /* of the decisions, those where nobody knew whose From is */
    uint64_t suspensions[CAUSE_COUNT]; /* those that messages and reports brought */
    uint64_t user_locks;
    uint64_t reports[REPORT_RESULTS];
    uint64_t login_blocks[LOGIN_RULE_COUNT];
    uint64_t login_refusals;
    uint64_t login_alarm_seconds; /* login_outage_alarms */
    uint64_t kicks[KICK_RESULTS];
    uint64_t login_locks[LOCK_BY_COUNT];
    uint64_t login_lock_refusals;
    uint64_t notifications[NOTIFY_WAYS][NOTIFY_RESULTS];
    uint64_t parked[PARKED_RESULTS];
    uint64_t login_questions[2]; /* before the password was looked at, and after it was right */
};

/* By what a counter is divided: the label's name, and its values by number. */
struct counter_label {
    const char *name;
    size_t count;
    const char *(*value)(size_t number);
};

enum { COUNTER_LABELS_MAX = 2 };
struct counter_row {
    const char *name;   /* the metric is sendguard_NAME_total */
    const char *help;   /* NULL: printed as part of the histogram judge_seconds */
    size_t offset;      /* in struct counts */
    const struct counter_label *labels[COUNTER_LABELS_MAX]; /* NULL behind the last */
};
enum { COUNTER_ROWS = 22 };
extern const struct counter_row counters_table[COUNTER_ROWS];

/* How many values the row has, and where they stand in counts: the last label's values are
 * neighbours. */
size_t counters_values(const struct counter_row *row);
uint64_t *counters_of(struct counts *counts, const struct counter_row *row);
/* The value of its label `label` in the row's value number `number`. */
const char *counters_label(const struct counter_row *row, size_t number, size_t label);
/* As the store keeps it: "decisions channel=webmail verdict=admit". */
void counters_name(const struct counter_row *row, size_t number, char name_r[COUNTER_NAME_SIZE]);

/* The counter of locks, which the desk counts without a recorder too. */
void counters_lock_name(enum lock_by by, char name_r[COUNTER_NAME_SIZE]);
void counters_parked_name(enum parked_result result, char name_r[COUNTER_NAME_SIZE]);
/* Dovecot's questions when a password was right; the counter of the others follows it in order of
 * name. */
#define COUNTER_ASKED_AFTER "login_questions stage=after"
/* Beside the table, for the desk: those that bypassed, by day, UTC ("bypassed day=2026-11-22"). */
void counters_bypassed_name(int64_t now_ms, char name_r[COUNTER_NAME_SIZE]);

#endif
