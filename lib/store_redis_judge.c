/* Judging in Redis: every message is one call of store_judge.lua, all messages
 * that wait together are one pipeline. Numbers go to the script and come back
 * packed, since each argument costs the server about as much as a command. */
#include <stdio.h>
#include <string.h>

#include "store_redis.h"

/* ---- packing --------------------------------------------------------------- */

enum {
    /* everything below and twice what four windows and eight durations take */
    GIVEN_MAX_BYTES = 256,
    COUNT_BYTES = 6, /* a count or a moment in an answer */
};

/* Bytes, the most significant first; `end` is where the next ones go. */
struct packed {
    uint8_t bytes[GIVEN_MAX_BYTES];
    size_t length;
};

static void put(struct packed *packed, uint64_t number, size_t count)
{
    while (count-- > 0)
        packed->bytes[packed->length++] = (uint8_t)(number >> count * 8);
}

static uint64_t get(const char **bytes, size_t count)
{
    uint64_t number = 0;
    while (count-- > 0)
        number = number << 8 | (uint8_t) * (*bytes)++;
    return number;
}

/* A span of time as 6 bytes: no longer than the times themselves. */
static void put_span(struct packed *packed, int64_t span_ms)
{
    put(packed, (uint64_t)(span_ms < 0 ? 0 : span_ms > REDIS_TIME_MAX_MS ? REDIS_TIME_MAX_MS : span_ms),
        6);
}

/* The count that a window looks at, as store_judge.lua numbers them: odd ones
 * are messages, even ones off-domain recipients; 0: not kept, so not checked. */
static unsigned window_place(const struct store_message *message, const struct rule_info *rule)
{
    unsigned place = 0;
    if (rule->subject == SUBJECT_MAILBOX)
        place = rule->window_ms == DAY_MS ? 1 : rule->window_ms == HOUR_MS ? 3 : 0;
    else if (message->ip != NULL)
        place = rule->window_ms == HOUR_MS ? 5 : 0;
    return place > 0 && rule->measure == MEASURE_OFF_DOMAIN ? place + 1 : place;
}

static void pack_given(struct packed *packed, const struct store_message *message)
{
    put(packed, (uint64_t)message->now_ms, 6);
    put(packed, message->off_domain, 2);
    put(packed, message->held, 1);
    put(packed, message->dry_run, 1);
    put(packed, message->observe, 1);
    put(packed, message->fingerprint, 8);
    put_span(packed, message->keep_admitted_ms);
    put(packed, message->window_count, 1);
    for (size_t i = 0; i < message->window_count; i++) {
        const struct store_window *window = &message->windows[i];
        put(packed, window_place(message, &rule_table[window->rule]), 1);
        put(packed, window->suspends, 1);
        put(packed, (uint32_t)window->limit, 4);
    }
    put_span(packed, message->keep_refused_ms);
    put(packed, message->retries_before_restart, 4);
    put_span(packed, message->restart_ms);
    for (size_t i = 0; i < message->volume.count; i++)
        put(packed, (uint64_t)(message->volume.ms[i] == UNTIL_LIFTED ? -1 : message->volume.ms[i]),
            8);
}

/* As used_format writes it, with the counts left open: "messages_per_day=%d …". */
static void format_used(const struct store_message *message, char text_r[USED_TEXT_SIZE])
{
    size_t length = 0;
    text_r[0] = '\0';
    for (size_t i = 0; i < message->window_count && length < USED_TEXT_SIZE; i++)
        length += (size_t)snprintf(text_r + length, USED_TEXT_SIZE - length, "%s%s=%%d",
                                   i > 0 ? " " : "", rule_table[message->windows[i].rule].name);
}

static void add_message(struct redis_room *room, const struct act_time *time,
                        const struct store_message *message)
{
    struct packed given = {.length = 0};
    uint8_t charge[CHARGE_KEY_SIZE];
    char used[USED_TEXT_SIZE], decision[20];
    pack_given(&given, message);
    charge_key(message->mailbox, message->id, charge);
    snprintf(decision, sizeof decision, "%016llx", (unsigned long long)message->decision);
    format_used(message, used);
    const struct argument arguments[] = {
        {given.bytes, given.length},
        argument_string(message->mailbox),
        argument_string(message->ip != NULL ? message->ip : ""),
        {charge, sizeof charge},
        argument_string(decision),
        argument_string(used),
        argument_string(message->facts),
    };
    redis_add_call(room, time, SCRIPT_JUDGE, arguments, countof(arguments));
}

/* ---- answers ------------------------------------------------------------------ */

/* The bytes that every answer has or begins with. 1, or 0 when they are none of ours. */
static int read_counts(struct redis_room *room, const struct act_time *time,
                       const redisReply *reply, struct store_message *message)
{
    if (reply->type != REDIS_REPLY_STRING ||
        reply->len != 1 + 7 + COUNT_BYTES * (1 + message->window_count))
        return 0;
    const char *next = reply->str;
    uint64_t over = get(&next, 1);
    redis_learn_clock(room, time, (int64_t)get(&next, 7));
    message->at_ms = (int64_t)get(&next, COUNT_BYTES);
    for (size_t i = 0; i < message->window_count; i++) {
        message->windows[i].used_before = get(&next, COUNT_BYTES);
        message->windows[i].over = (over >> i & 1) != 0;
    }
    return 1;
}

/* What is not simply admitted; the elements are at the end of store_judge.lua. */
static int read_particulars(redisReply *const *elements, struct store_message *message)
{
    static const int64_t longest_ms[SUBJECT_COUNT] = {[SUBJECT_MAILBOX] = DAY_MS,
                                                      [SUBJECT_IP] = HOUR_MS};
    int outcome = OUTCOME_COUNT;
    if (elements[1]->type == REDIS_REPLY_STRING)
        for (outcome = 0; outcome < OUTCOME_COUNT; outcome++)
            if (strcmp(elements[1]->str, outcome_names[outcome]) == 0)
                break;
    if (outcome == OUTCOME_COUNT || !redis_read_suspension(elements[2], &message->suspension) ||
        elements[3]->type != REDIS_REPLY_INTEGER)
        return 0;
    message->outcome = (enum outcome)outcome;
    message->brought = elements[3]->integer == 1;
    for (size_t i = 0; i < SUBJECT_COUNT; i++)
        redis_read_history(elements[4 + i], message->arena, longest_ms[i], message->at_ms,
                           &message->histories[i]);
    return 1;
}

enum { PARTICULARS = 6 };

/* 1, or -1 when the answer is none of ours. */
static int read_answer(struct redis_room *room, const struct act_time *time,
                       const redisReply *reply, struct store_message *message)
{
    message->outcome = OUTCOME_ADMITTED;
    message->brought = false;
    message->suspension = (struct suspension){0};
    memset(message->histories, 0, sizeof message->histories);
    bool plain = reply->type == REDIS_REPLY_STRING;
    if (plain ? read_counts(room, time, reply, message)
              : reply->type == REDIS_REPLY_ARRAY && reply->elements == PARTICULARS &&
                    read_counts(room, time, reply->element[0], message) &&
                    read_particulars(reply->element, message))
        return 1;
    return room_fail(&room->room, "redis answered what no script of ours does");
}

/* ---- a batch -------------------------------------------------------------------- */

/* What the script would cut or lose is refused here, so that a caller's mistake is seen. */
static int check(struct redis_room *room, const struct store_message *message)
{
    if (message->now_ms < 0 || message->now_ms > REDIS_TIME_MAX_MS)
        return room_fail(&room->room, "the time %lld ms is none of ours",
                         (long long)message->now_ms);
    if (message->off_domain > SUBMISSION_MAX_RECIPIENTS ||
        message->window_count > OVER_TIME_COUNT || message->volume.count > DURATIONS_MAX)
        return room_fail(&room->room, "%u off-domain recipients, %zu windows or %zu durations "
                         "are too many", message->off_domain, message->window_count,
                         message->volume.count);
    return 1;
}

enum { AGAIN = 0 }; /* a result while nothing was done yet and may still be */

/* One round trip for every message that is still to be judged. */
static void judge_once(struct redis_room *room, const struct act_time *time,
                       struct store_message *const *messages, int *results_r, size_t count)
{
    bool unknown = false;
    for (size_t i = 0; i < count; i++)
        if (results_r[i] == AGAIN)
            add_message(room, time, messages[i]);
    bool lost = redis_send(room, time) < 0;
    for (size_t i = 0; i < count; i++) {
        if (results_r[i] != AGAIN)
            continue;
        freed_by(redis_free_reply) redisReply *reply = NULL;
        enum called called = lost ? CALL_LOST : redis_receive(room, time, &reply);
        lost = called == CALL_LOST;
        unknown = unknown || called == CALL_UNKNOWN;
        if (called == CALLED)
            results_r[i] = read_answer(room, time, reply, messages[i]);
        else if (called == CALL_LOST || called == CALL_REFUSED)
            results_r[i] = -1;
    }
    if (unknown && !lost && redis_load_scripts(room, time) < 0)
        for (size_t i = 0; i < count; i++)
            if (results_r[i] == AGAIN)
                results_r[i] = -1;
}

void redis_judge(struct room *room, struct store_message *const *messages, int *results_r,
                 size_t count)
{
    struct redis_room *self = redis_room(room);
    struct act_time time = redis_begin(self);
    size_t waiting = count;
    for (size_t i = 0; i < count; i++)
        results_r[i] = check(self, messages[i]) > 0 ? AGAIN : -1;
    /* A second time for what a server without our scripts, or with a clock that was set, sent back. */
    for (int round = 0; round < 2 && waiting > 0; round++) {
        if (redis_connected(self, &time) < 0)
            break;
        judge_once(self, &time, messages, results_r, count);
        waiting = 0;
        for (size_t i = 0; i < count; i++)
            waiting += results_r[i] == AGAIN;
    }
    for (size_t i = 0; i < count; i++)
        if (results_r[i] == AGAIN)
            results_r[i] = -1;
}
