/* Judging in Redis: every message is one call of judge.lua, all messages
 * that wait together are one pipeline. Numbers go to the script and come back
 * packed, since each argument costs the server about as much as a command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "store/redis/redis.h"

/* ---- packing --------------------------------------------------------------- */

/* An IPv6 address as text takes 45. */
enum { IP_MAX_BYTES = 64 };

/* More than four windows and eight durations take. */
enum { GIVEN_MAX_BYTES = 512 };

/* An entry of a history: 6 bytes of time, 2 of off-domain recipients, 3 of tag.
 * The tag leads to the decision: the id's lower 20 bits, and above them by how
 * many ms its time is before the entry's; 15 says that it is not to be found. */
enum { ENTRY_BYTES = 11, TAG_ID_BITS = 20, TAG_ID_MASK = (1 << TAG_ID_BITS) - 1, TAG_NO_ID = 15 };

/* Bytes, the most significant first; `length` is where the next ones go. */
struct packed {
    char bytes[GIVEN_MAX_BYTES];
    size_t length;
};

static void put(struct packed *packed, uint64_t number, size_t count)
{
    while (count-- > 0)
        packed->bytes[packed->length++] = (char)(number >> count * 8);
}

static uint64_t get(const char *bytes, size_t count)
{
    uint64_t number = 0;
    while (count-- > 0)
        number = number << 8 | (uint8_t)*bytes++;
    return number;
}

static int64_t bounded(int64_t span_ms)
{
    return span_ms < 0 ? 0 : span_ms > REDIS_TIME_MAX_MS ? REDIS_TIME_MAX_MS : span_ms;
}

struct seen redis_read_seen(const char bytes[SEEN_BYTES])
{
    const char *mailbox = bytes + SEEN_ENTRY_BYTES, *ip = mailbox + SEEN_MAILBOX_BYTES;
    return (struct seen){
        .at_ms = (int64_t)get(bytes, 6),
        .counts = {[COUNT_DAY_MESSAGES] = get(mailbox + 16, 4),
                   [COUNT_DAY_OFF_DOMAIN] = get(mailbox + 20, 5),
                   [COUNT_HOUR_MESSAGES] = get(mailbox + 31, 4),
                   [COUNT_HOUR_OFF_DOMAIN] = get(mailbox + 35, 5),
                   [COUNT_IP_MESSAGES] = get(ip + 16, 4),
                   [COUNT_IP_OFF_DOMAIN] = get(ip + 20, 5)},
    };
}

size_t redis_entry_count(const redisReply *element)
{
    return element->type == REDIS_REPLY_STRING ? element->len / ENTRY_BYTES : 0;
}

struct entry redis_read_entry(const redisReply *element, size_t at, uint64_t *decision_r)
{
    const char *bytes = element->str + at * ENTRY_BYTES;
    struct entry entry = {.time_ms = (int64_t)get(bytes, 6),
                          .off_domain = (uint32_t)get(bytes + 6, 2)};
    uint64_t tag = get(bytes + 8, 3), behind_ms = tag >> TAG_ID_BITS;
    *decision_r = behind_ms == TAG_NO_ID ? 0
                                         : decision_floor(entry.time_ms - (int64_t)behind_ms) |
                                               (tag & TAG_ID_MASK);
    return entry;
}

/* ---- windows ------------------------------------------------------------------ */

/* The count that a window looks at; COUNT_NONE when the message counts for no
 * IP. A rule over a length that is not kept would be COUNT_NONE as well: check
 * refuses it. */
static enum count_place window_place(const struct judge_request *request, enum rule of)
{
    const struct rule_info *rule = &rule_table[of];
    bool messages = rule->measure == MEASURE_MESSAGES;
    if (rule->subject == SUBJECT_IP)
        return request->ip == NULL || rule->window_ms != HOUR_MS ? COUNT_NONE
               : messages                                        ? COUNT_IP_MESSAGES
                                                                 : COUNT_IP_OFF_DOMAIN;
    if (rule->window_ms == DAY_MS)
        return messages ? COUNT_DAY_MESSAGES : COUNT_DAY_OFF_DOMAIN;
    if (rule->window_ms == HOUR_MS)
        return messages ? COUNT_HOUR_MESSAGES : COUNT_HOUR_OFF_DOMAIN;
    return COUNT_NONE;
}

/* The lowest count at which the message does not fit: a script needs no more of a limit. */
#define NO_END ((UINT64_C(1) << 40) - 1)
static uint64_t window_end(const struct judge_request *request, const struct judge_window *window)
{
    uint32_t cost = outcome_cost(window->rule, request->off_domain);
    if (window->limit < 0)
        return NO_END;
    return cost > (uint32_t)window->limit ? 0 : (uint32_t)window->limit - cost + 1;
}

/* Held, dry run, observe, no attempt, and whether the name of the mailbox's history has a mark, in
 * one number. */
static unsigned mode_of(const struct judge_request *request)
{
    bool marked = history_marks[SUBJECT_MAILBOX][request->channel][0] != '\0';
    return (request->rejected ? 1u : 0) + (request->dry_run ? 2u : 0) +
           (request->observe ? 4u : 0) + (request->no_attempt ? 8u : 0) + (marked ? 16u : 0);
}

/* As of the message's own time; the script knows by how much it is counted later. */
static uint64_t tag_of(const struct judge_request *request)
{
    bool timed = (request->decision & ~(uint64_t)TAG_ID_MASK) == decision_floor(request->now_ms);
    return timed ? request->decision & TAG_ID_MASK : (uint64_t)TAG_NO_ID << TAG_ID_BITS;
}

static void pack_given(struct packed *packed, const struct judge_request *request)
{
    uint64_t ends[COUNT_PLACES];
    for (size_t i = 0; i < COUNT_PLACES; i++)
        ends[i] = NO_END;
    for (size_t i = 0; i < request->window_count; i++)
        ends[window_place(request, request->windows[i].rule)] =
            window_end(request, &request->windows[i]);
    put(packed, (uint64_t)request->now_ms, 6);
    put(packed, request->off_domain, 2);
    put(packed, mode_of(request), 1);
    for (size_t i = COUNT_NONE + 1; i < COUNT_PLACES; i++)
        put(packed, ends[i], 5);
    put(packed, tag_of(request), 3);
    /* the rest is for who is refused */
    put(packed, request->retries_before_restart, 4);
    put(packed, request->attempt, 8);
    put(packed, request->volume.count, 1);
    for (size_t i = 0; i < request->volume.count; i++)
        put(packed, (uint64_t)(request->volume.ms[i] == UNTIL_LIFTED ? -1 : request->volume.ms[i]),
            8);
    for (size_t i = 0; i < request->window_count; i++) {
        const struct judge_window *window = &request->windows[i];
        enum count_place place = window_place(request, window->rule);
        if (!window->suspends || place == COUNT_NONE || window_end(request, window) == 0)
            continue; /* what could never fit does not suspend */
        const char *name = rule_table[window->rule].name;
        size_t length = strlen(name);
        put(packed, place, 1);
        put(packed, window_end(request, window), 5);
        put(packed, length, 1);
        memcpy(packed->bytes + packed->length, name, length);
        packed->length += length;
    }
}

/* What a record keeps beside the counts, as redis_record reads it: for how long
 * when admitted and when refused, which window looks at which count, the facts. */
static void add_kept(struct text *kept, const struct judge_request *request)
{
    text_add_int(kept, bounded(request->keep_admitted_ms));
    text_add_char(kept, ' ');
    text_add_int(kept, bounded(request->keep_refused_ms));
    text_add_char(kept, ' ');
    for (size_t i = 0; i < request->window_count; i++) {
        text_add(kept, rule_table[request->windows[i].rule].name);
        text_add_char(kept, '=');
        text_add_int(kept, window_place(request, request->windows[i].rule));
        text_add_char(kept, ' ');
    }
    text_add_char(kept, '\n');
    text_add(kept, request->facts);
}

/* For how long the server keeps a record: a minute more, since clocks differ. */
static void format_lifetime(int64_t keep_ms, char text_r[24])
{
    snprintf(text_r, 24, "%lld", (long long)(bounded(keep_ms) + MINUTE_MS));
}

static void add_message(struct redis_backend *backend, const struct action_time *time,
                        const struct judge_request *request)
{
    struct packed given = {.length = 0}, charged = {.length = 0}, tickets = {.length = 0};
    uint8_t charge[BACKEND_CHARGE_KEY_SIZE];
    char decision[20], admitted[24], refused[24];
    char mailbox_name[HISTORY_NAME_SIZE], ip_name[HISTORY_NAME_SIZE];
    const char *ip = history_name(SUBJECT_IP, request->channel, request->ip, ip_name);
    if (ip == NULL)
        ip = "";
    pack_given(&given, request);
    backend_charge_key(request->mailbox, request->id, charge);
    snprintf(decision, sizeof decision, "%016llx", (unsigned long long)request->decision);
    put(&charged, request->fingerprint, 8);
    memcpy(charged.bytes + charged.length, ip, strlen(ip));
    charged.length += strlen(ip);
    text_clear(&backend->kept);
    add_kept(&backend->kept, request);
    format_lifetime(request->keep_admitted_ms, admitted);
    format_lifetime(request->keep_refused_ms, refused);
    put(&tickets, request->ticket, 2);
    put(&tickets, request->redeem, 2);
    const struct argument arguments[] = {
        {given.bytes, given.length},
        argument_string(history_name(SUBJECT_MAILBOX, request->channel, request->mailbox,
                                     mailbox_name)),
        argument_string(ip),
        {charge, sizeof charge},
        argument_string(decision),
        {backend->kept.data, backend->kept.length},
        {charged.bytes, charged.length},
        argument_string(admitted),
        argument_string(refused),
        {tickets.bytes, tickets.length},
    };
    bool with_tickets = request->ticket > 0 || request->redeem > 0;
    redis_add_call(backend, time, SCRIPT_JUDGE, arguments,
                   with_tickets ? countof(arguments) : countof(arguments) - 1);
}

/* ---- answers ------------------------------------------------------------------ */

/* The bytes that every answer has or begins with: the counts, behind them "SECONDS.MICROSECONDS",
 * and " MILLISECONDS" when a history was ahead. 1, or 0 when they are none of ours. */
static int read_counts(struct redis_backend *backend, const struct action_time *time,
                       const redisReply *reply, const struct judge_task *task)
{
    if (reply->type != REDIS_REPLY_STRING || reply->len < SEEN_BYTES)
        return 0;
    struct judge_result *result = task->result_r;
    const struct judge_request *request = task->request;
    char *micros;
    int64_t seconds = strtoll(reply->str + SEEN_BYTES, &micros, 10);
    if (*micros++ != '.')
        return 0;
    redis_learn_clock(backend, time, seconds * 1000000 + strtoll(micros, &micros, 10));
    result->ahead_ms = *micros == ' ' ? strtoll(micros, NULL, 10) : 0;
    struct seen seen = redis_read_seen(reply->str);
    result->at_ms = seen.at_ms;
    for (size_t i = 0; i < request->window_count; i++) {
        struct outcome_window *window = &result->windows[i];
        enum count_place place = window_place(request, window->rule);
        window->used_before = seen.counts[place];
        window->over = place != COUNT_NONE && outcome_window_over(window, request->off_domain);
    }
    return 1;
}

/* What is not simply admitted; the elements are at the end of judge.lua. */
static int read_particulars(redisReply *const *elements, const struct judge_task *task)
{
    struct judge_result *result = task->result_r;
    static const int64_t longest_ms[SUBJECT_COUNT] = {[SUBJECT_MAILBOX] = DAY_MS,
                                                      [SUBJECT_IP] = HOUR_MS};
    int outcome = outcome_by_name(redis_text(elements[1]));
    if (outcome < 0 || !redis_read_suspension(elements[2], &result->suspension) ||
        elements[3]->type != REDIS_REPLY_INTEGER)
        return 0;
    result->outcome = (enum outcome)outcome;
    result->brought = elements[3]->integer == 1;
    for (size_t i = 0; i < SUBJECT_COUNT; i++)
        redis_read_history(elements[4 + i], task->request->arena, longest_ms[i], result->at_ms,
                           &result->histories[i]);
    return 1;
}

enum { PARTICULARS = 6 };

/* 1, or -1 when the answer is none of ours. */
static int read_answer(struct redis_backend *backend, const struct action_time *time,
                       const redisReply *reply, const struct judge_task *task)
{
    struct judge_result *result = task->result_r;
    result->outcome = OUTCOME_ADMITTED;
    result->brought = false;
    result->suspension = (struct suspension){0};
    memset(result->histories, 0, sizeof result->histories);
    bool plain = reply->type == REDIS_REPLY_STRING;
    if (plain ? read_counts(backend, time, reply, task)
              : reply->type == REDIS_REPLY_ARRAY && reply->elements == PARTICULARS &&
                    read_counts(backend, time, reply->element[0], task) &&
                    read_particulars(reply->element, task))
        return 1;
    return backend_fail(&backend->base, "redis answered what no script of ours does");
}

/* ---- a batch -------------------------------------------------------------------- */

/* What the script would cut or lose is refused here, so that a caller's mistake is seen. */
static int check(struct redis_backend *backend, const struct judge_request *request)
{
    if (redis_check_time(backend, request->now_ms) < 0)
        return -1;
    if (request->off_domain > SUBMISSION_MAX_RECIPIENTS ||
        request->ticket > SUBMISSION_MAX_RECIPIENTS ||
        request->redeem > SUBMISSION_MAX_RECIPIENTS ||
        request->window_count > OVER_TIME_COUNT || request->volume.count > DURATIONS_MAX)
        return backend_fail(&backend->base, "%u off-domain recipients, tickets for %u and %u, %zu "
                            "windows or %zu durations are too many", request->off_domain,
                            request->ticket, request->redeem, request->window_count,
                            request->volume.count);
    for (size_t i = 0; i < request->window_count; i++) {
        const struct rule_info *rule = &rule_table[request->windows[i].rule];
        bool of_no_ip = rule->subject == SUBJECT_IP && request->ip == NULL;
        if (!of_no_ip && window_place(request, request->windows[i].rule) == COUNT_NONE)
            return backend_fail(&backend->base, "no counts are kept for %s", rule->name);
    }
    if (request->ip != NULL && strlen(request->ip) > IP_MAX_BYTES)
        return backend_fail(&backend->base, "an IP of %zu bytes is none of ours",
                            strlen(request->ip));
    return 1;
}

enum { AGAIN = 0 }; /* an answer while nothing was done yet and may still be */

/* One round trip for every message that is still to be judged. */
static void judge_once(struct redis_backend *backend, const struct action_time *time,
                       struct judge_task *tasks, size_t count)
{
    bool unknown = false;
    for (size_t i = 0; i < count; i++)
        if (tasks[i].answer == AGAIN)
            add_message(backend, time, tasks[i].request);
    bool lost = redis_send(backend, time) < 0;
    for (size_t i = 0; i < count; i++) {
        if (tasks[i].answer != AGAIN)
            continue;
        freed_by(redis_free_reply) redisReply *reply = NULL;
        enum called called = lost ? CALL_LOST : redis_receive(backend, time, &reply);
        lost = called == CALL_LOST;
        unknown = unknown || called == CALL_UNKNOWN;
        if (called == CALLED)
            tasks[i].answer = read_answer(backend, time, reply, &tasks[i]);
        else if (called == CALL_LOST || called == CALL_REFUSED)
            tasks[i].answer = -1;
    }
    if (unknown && !lost && redis_load_scripts(backend, time) < 0)
        for (size_t i = 0; i < count; i++)
            if (tasks[i].answer == AGAIN)
                tasks[i].answer = -1;
}

static void judge(struct backend *backend, struct judge_task *tasks, size_t count)
{
    struct redis_backend *self = redis_backend(backend);
    struct action_time time = redis_begin(self);
    size_t waiting = count;
    for (size_t i = 0; i < count; i++)
        tasks[i].answer = check(self, tasks[i].request) > 0 ? AGAIN : -1;
    /* A second time for what a server without our scripts, or with a clock that was set, sent back. */
    for (int round = 0; round < 2 && waiting > 0; round++) {
        if (redis_connected(self, &time) < 0)
            break;
        judge_once(self, &time, tasks, count);
        waiting = 0;
        for (size_t i = 0; i < count; i++)
            waiting += tasks[i].answer == AGAIN;
    }
    for (size_t i = 0; i < count; i++)
        if (tasks[i].answer == AGAIN)
            tasks[i].answer = -1;
}

/* ---- refunds ------------------------------------------------------------------------ */

static int refund(struct backend *backend, const char *mailbox, const char *id, int64_t now_ms)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    uint8_t charge[BACKEND_CHARGE_KEY_SIZE];
    backend_charge_key(mailbox, id, charge);
    const struct argument arguments[] = {argument_string("refund"), argument_int(arena, now_ms),
                                         argument_string(mailbox), {charge, sizeof charge}};
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    return redis_simple(self, SCRIPT_ACTION, arguments, countof(arguments));
}

const struct judge_operations redis_judge = {
    .judge = judge,
    .refund = refund,
};
