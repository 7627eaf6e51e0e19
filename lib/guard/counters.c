#include "guard/counters.h"

#include <stdio.h>
#include <time.h>

const int32_t counters_bounds_us[JUDGE_BOUNDS] = {250,   500,   1000,   2500,   5000,
                                                  10000, 25000, 100000, 250000, 1000000};

const char *const report_result_names[REPORT_RESULTS] = {
    [REPORT_TAKEN] = "taken",       [REPORT_SUSPENDED] = "suspended",
    [REPORT_WAS_KNOWN] = "known",   [REPORT_WITHDREW] = "withdrew",
    [REPORT_WAITS] = "waits",       [REPORT_IS_NO_COMPLAINT] = "no_complaint",
    [REPORT_IS_TOO_MUCH] = "too_much", [REPORT_IS_NONE] = "no_report"};

const char *const kick_result_names[KICK_RESULTS] = {
    [KICK_ENDED] = "ended", [KICK_NONE] = "none", [KICK_FAILED] = "failed"};

const char *const notify_way_names[NOTIFY_WAYS] = {
    [NOTIFY_BY_MAIL] = "mail", [NOTIFY_BY_WEBHOOK] = "webhook", [NOTIFY_TO_USER] = "user"};

const char *const notify_result_names[NOTIFY_RESULTS] = {
    [NOTIFY_SENT] = "sent", [NOTIFY_FAILED] = "failed", [NOTIFY_GIVEN_UP] = "given_up",
    [NOTIFY_LEFT_OUT] = "left_out"};

static const char *channel_of(size_t number) { return channel_names[number]; }
static const char *verdict_of(size_t number) { return verdict_labels[number]; }
static const char *rule_of(size_t number) { return rule_table[number].name; }
static const char *rule_over_time_of(size_t number) { return rule_of(RULE_FIRST_OVER_TIME + number); }
static const char *cause_of(size_t number) { return cause_names[number]; }
static const char *result_of(size_t number) { return report_result_names[number]; }
static const char *login_rule_of(size_t number) { return login_rule_names[number]; }
static const char *kick_of(size_t number) { return kick_result_names[number]; }
static const char *lock_by_of(size_t number)
{
    static const char *const names[LOCK_BY_COUNT] = {"guard", "user", "staff"};
    return names[number];
}
static const char *parked_of(size_t number)
{
    static const char *const names[PARKED_RESULTS] = {"parked", "sent", "refused", "cancelled"};
    return names[number];
}
static const char *way_of(size_t number) { return notify_way_names[number]; }
static const char *notified_of(size_t number) { return notify_result_names[number]; }
static const char *stage_of(size_t number) { return number == 0 ? "before" : "after"; }
static const char *bound_of(size_t number)
{
    static const char *const bounds[] = {"250",   "500",   "1000",   "2500",   "5000", "10000",
                                         "25000", "100000", "250000", "1000000", "inf"};
    return bounds[number];
}

static const struct counter_label by_channel = {"channel", CHANNEL_COUNT, channel_of};
static const struct counter_label by_verdict = {"verdict", VERDICT_LABELS, verdict_of};
static const struct counter_label by_rule = {"rule", RULE_NAMED_COUNT, rule_of};
static const struct counter_label by_rule_over_time = {"rule", OVER_TIME_COUNT, rule_over_time_of};
static const struct counter_label by_cause = {"cause", CAUSE_COUNT, cause_of};
static const struct counter_label by_result = {"result", REPORT_RESULTS, result_of};
static const struct counter_label by_login_rule = {"rule", LOGIN_RULE_COUNT, login_rule_of};
static const struct counter_label by_kick = {"result", KICK_RESULTS, kick_of};
static const struct counter_label by_who = {"by", LOCK_BY_COUNT, lock_by_of};
static const struct counter_label by_parked = {"result", PARKED_RESULTS, parked_of};
static const struct counter_label by_stage = {"stage", 2, stage_of};
static const struct counter_label by_way = {"by", NOTIFY_WAYS, way_of};
static const struct counter_label by_notified = {"result", NOTIFY_RESULTS, notified_of};
static const struct counter_label by_bound = {"le", JUDGE_BOUNDS + 1, bound_of};

#define OF(member) offsetof(struct counts, member)
const struct counter_row counters_table[COUNTER_ROWS] = {
    {"decisions", "Messages judged, by what came of it.", OF(decisions),
     {&by_channel, &by_verdict}},
    {"refusals", "Refused messages, by each rule they broke.", OF(refusals),
     {&by_channel, &by_rule}},
    {"judge_us_le", NULL, OF(judge_us_le), {&by_channel, &by_bound}},
    {"judge_us_sum", NULL, OF(judge_us_sum), {&by_channel}},
    {"store_failures", "Messages for which the store did not answer.", OF(store_failures),
     {&by_channel}},
    {"emergency_told", "Messages admitted without the store that it has counted since.", OF(told),
     {NULL}},
    {"bypassed", "Messages of the webmail's host that its own endpoint had not judged.",
     OF(bypassed), {&by_channel}},
    {"from_unknown", "Messages with a sender address that no source of owners answered for.",
     OF(from_unknown), {&by_channel}},
    {"unusual", "Messages that passed though they are unusual.", OF(unusual), {&by_channel}},
    {"shadow", "Messages that passed and that a shadow rule would have refused.", OF(shadow),
     {&by_channel, &by_rule_over_time}},
    {"suspensions", "Suspensions that messages and complaints brought.", OF(suspensions), {&by_cause}},
    {"user_locks", "Mailboxes that their own users locked on the status page.", OF(user_locks),
     {NULL}},
    {"reports", "Reports of complaints, by what came of them.", OF(reports), {&by_result}},
    {"login_blocks", "Blocks of sign-ins that wrong passwords brought, or would have.",
     OF(login_blocks), {&by_login_rule}},
    {"login_refusals", "Sign-ins that a block kept out.", OF(login_refusals), {NULL}},
    {"login_alarm_seconds", "Seconds in which wrong passwords were so many that the password "
                            "database may not answer.", OF(login_alarm_seconds), {NULL}},
    {"session_ends", "Requests to Dovecot to end the sessions of a locked mailbox, by what came of "
                     "them.", OF(kicks), {&by_kick}},
    {"login_locks", "Locks of mailboxes that began, by whom.", OF(login_locks), {&by_who}},
    {"login_lock_refusals", "Sign-ins with the right password that a lock kept out.",
     OF(login_lock_refusals), {NULL}},
    {"login_questions", "Questions of Dovecot, before a password is looked at and after it was "
                        "right.", OF(login_questions), {&by_stage}},
    {"notifications", "Notifications to support and users, by what came of them.",
     OF(notifications), {&by_way, &by_notified}},
    {"parked_messages", "Messages that wait in the webmail, by what became of them.", OF(parked),
     {&by_parked}},
};

size_t counters_values(const struct counter_row *row)
{
    size_t count = 1;
    for (size_t i = 0; i < COUNTER_LABELS_MAX && row->labels[i] != NULL; i++)
        count *= row->labels[i]->count;
    return count;
}

uint64_t *counters_of(struct counts *counts, const struct counter_row *row)
{
    return (uint64_t *)(void *)((char *)counts + row->offset);
}

const char *counters_label(const struct counter_row *row, size_t number, size_t label)
{
    const struct counter_label *last = row->labels[COUNTER_LABELS_MAX - 1];
    if (last != NULL)
        number = label == 0 ? number / last->count : number % last->count;
    return row->labels[label]->value(number);
}

void counters_name(const struct counter_row *row, size_t number, char name_r[COUNTER_NAME_SIZE])
{
    int length = snprintf(name_r, COUNTER_NAME_SIZE, "%s", row->name);
    for (size_t i = 0; i < COUNTER_LABELS_MAX && row->labels[i] != NULL; i++)
        length += snprintf(name_r + length, COUNTER_NAME_SIZE - (size_t)length, " %s=%s",
                           row->labels[i]->name, counters_label(row, number, i));
}

/* Of the row of that member, which has one label. */
static void name_of(size_t offset, size_t number, char name_r[COUNTER_NAME_SIZE])
{
    const struct counter_row *row = counters_table;
    while (row->offset != offset)
        row++;
    counters_name(row, number, name_r);
}

void counters_lock_name(enum lock_by by, char name_r[COUNTER_NAME_SIZE])
{
    name_of(OF(login_locks), by, name_r);
}

void counters_parked_name(enum parked_result result, char name_r[COUNTER_NAME_SIZE])
{
    name_of(OF(parked), result, name_r);
}

void counters_bypassed_name(int64_t now_ms, char name_r[COUNTER_NAME_SIZE])
{
    struct tm day = {0};
    time_t seconds = (time_t)(now_ms / SECOND_MS);
    gmtime_r(&seconds, &day);
    strftime(name_r, COUNTER_NAME_SIZE, "bypassed day=%Y-%m-%d", &day);
}
