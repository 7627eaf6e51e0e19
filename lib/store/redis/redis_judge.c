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

/* More than all windows and durations take. */
enum {
    GIVEN_MAX_BYTES =
        64 + OVER_TIME_COUNT * (2 * SUM_BYTES + 2) + DURATIONS_MAX * DURATION_BYTES
};

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

struct seen_spans redis_spans(void)
{
    struct seen_spans spans;
    for (int subject = 0; subject < SUBJECT_COUNT; subject++)
        spans.of[subject] = rule_spans((enum subject)subject).count;
    return spans;
}

size_t redis_seen_bytes(const struct seen_spans *spans)
{
    size_t bytes = ENTRY_BYTES;
    for (int subject = 0; subject < SUBJECT_COUNT; subject++)
        bytes += HEAD_BYTES + spans->of[subject] * SPAN_BYTES;
    return bytes;
}

struct seen redis_read_seen(const char *bytes, const struct seen_spans *spans)
{
    struct seen seen = {.at_ms = (int64_t)get(bytes, TIME_BYTES)};
    size_t count = COUNT_NONE + 1;
    bytes += ENTRY_BYTES;
    for (int subject = 0; subject < SUBJECT_COUNT; subject++) {
        bytes += HEAD_BYTES;
        for (size_t i = 0; i < spans->of[subject]; i++, bytes += SPAN_BYTES) {
            seen.counts[count++] = get(bytes + TIME_BYTES, COUNT_BYTES);
            seen.counts[count++] = get(bytes + TIME_BYTES + COUNT_BYTES, SUM_BYTES);
        }
    }
    return seen;
}

const char *redis_record_shape(char shape_r[RECORD_SHAPE_SIZE])
{
    struct seen_spans spans = redis_spans();
    if (spans.of[SUBJECT_MAILBOX] == FIRST_MAILBOX_SPANS && spans.of[SUBJECT_IP] == FIRST_IP_SPANS)
        return "\n";
    snprintf(shape_r, RECORD_SHAPE_SIZE, " %zu %zu\n", spans.of[SUBJECT_MAILBOX],
             spans.of[SUBJECT_IP]);
    return shape_r;
}

size_t redis_entry_count(const redisReply *element)
{
    return element->type == REDIS_REPLY_STRING ? element->len / TAGGED_BYTES : 0;
}

struct entry redis_read_entry(const redisReply *element, size_t at, uint64_t *decision_r)
{
    const char *bytes = element->str + at * TAGGED_BYTES;
    struct entry entry = {.time_ms = (int64_t)get(bytes, TIME_BYTES),
                          .off_domain = (uint32_t)get(bytes + TIME_BYTES, WEIGHT_BYTES)};
    uint64_t tag = get(bytes + ENTRY_BYTES, TAG_BYTES), behind_ms = tag >> TAG_ID_BITS;
    *decision_r = behind_ms == TAG_NO_ID ? 0
                                         : decision_floor(entry.time_ms - (int64_t)behind_ms) |
                                               (tag & TAG_ID_MASK);
    return entry;
}

/* ---- windows ------------------------------------------------------------------ */

size_t redis_count_of(const struct rule_info *rule)
{
    struct rule_spans spans = rule_spans(rule->subject);
    size_t at = 0, before = rule->subject == SUBJECT_IP ? rule_spans(SUBJECT_MAILBOX).count : 0;
    while (at + 1 < spans.count && spans.length_ms[at] != rule->window_ms)
        at++;
    return COUNT_NONE + 1 + 2 * (before + at) + (rule->measure == MEASURE_OFF_DOMAIN);
}

/* COUNT_NONE when the message counts for no IP. */
static size_t window_count(const struct redis_backend *backend, const struct judge_request *request,
                           enum rule rule)
{
    bool of_no_ip = rule_table[rule].subject == SUBJECT_IP && request->ip == NULL;
    return of_no_ip ? COUNT_NONE : backend->count_of[rule];
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

static unsigned mode_of(const struct judge_request *request)
{
    bool marked = history_marks[SUBJECT_MAILBOX][request->channel][0] != '\0';
    return (request->rejected ? MODE_REJECTED : 0u) | (request->dry_run ? MODE_DRY_RUN : 0u) |
           (request->observe ? MODE_OBSERVE : 0u) | (request->no_attempt ? MODE_NO_ATTEMPT : 0u) |
           (marked ? MODE_MARKED : 0u);
}

/* As of the message's own time; the script knows by how much it is counted later. */
static uint64_t tag_of(const struct judge_request *request)
{
    bool timed = (request->decision & ~(uint64_t)TAG_ID_MASK) == decision_floor(request->now_ms);
    return timed ? request->decision & TAG_ID_MASK : (uint64_t)TAG_NO_ID << TAG_ID_BITS;
}

/* What the script needs of a message that it refuses: REFUSED_FORM and the durations. Of windows
 * that suspend their counts and rules; what could never fit does not suspend. */
static void pack_refused(const struct redis_backend *backend, struct packed *packed,
                         const struct judge_request *request)
{
    struct packed suspending = {.length = 0};
    for (size_t i = 0; i < request->window_count; i++) {
        const struct judge_window *window = &request->windows[i];
        size_t count = window_count(backend, request, window->rule);
        if (!window->suspends || count == COUNT_NONE || window_end(request, window) == 0)
            continue;
        put(&suspending, count, 1);
        put(&suspending, window->rule, 1);
    }
    put(packed, suspending.length, 1);
    memcpy(packed->bytes + packed->length, suspending.bytes, suspending.length);
    packed->length += suspending.length;
    put(packed, request->retries_before_restart, 4);
    put(packed, request->attempt, ATTEMPT_BYTES);
    put(packed, request->volume.count, 1);
    for (size_t i = 0; i < request->volume.count; i++)
        put(packed, (uint64_t)(request->volume.ms[i] == UNTIL_LIFTED ? -1 : request->volume.ms[i]),
            DURATION_BYTES);
}

static void pack_given(const struct redis_backend *backend, struct packed *packed,
                       const struct judge_request *request)
{
    size_t spans = backend->spans.of[SUBJECT_MAILBOX] + backend->spans.of[SUBJECT_IP];
    size_t counts = COUNT_NONE + 1 + 2 * spans;
    uint64_t ends[COUNTS_MAX];
    for (size_t i = 0; i < counts; i++)
        ends[i] = NO_END;
    for (size_t i = 0; i < request->window_count; i++)
        ends[window_count(backend, request, request->windows[i].rule)] =
            window_end(request, &request->windows[i]);
    put(packed, (uint64_t)request->now_ms, TIME_BYTES);
    put(packed, request->off_domain, WEIGHT_BYTES);
    put(packed, mode_of(request), 1);
    put(packed, tag_of(request), TAG_BYTES);
    for (size_t i = COUNT_NONE + 1; i < counts; i++)
        put(packed, ends[i], SUM_BYTES);
    pack_refused(backend, packed, request);
}

/* What a record keeps beside the counts, as redis_record reads it: for how long
 * when admitted and when refused, which window looks at which count, the facts. */
static void add_kept(const struct redis_backend *backend, struct text *kept,
                     const struct judge_request *request)
{
    text_add_int(kept, bounded(request->keep_admitted_ms));
    text_add_char(kept, ' ');
    text_add_int(kept, bounded(request->keep_refused_ms));
    text_add_char(kept, ' ');
    for (size_t i = 0; i < request->window_count; i++) {
        text_add(kept, rule_table[request->windows[i].rule].name);
        text_add_char(kept, '=');
        text_add_int(kept, (int64_t)window_count(backend, request, request->windows[i].rule));
        text_add_char(kept, ' ');
    }
    text_add_char(kept, '\n');
    text_add_bytes(kept, request->facts.bytes, request->facts.length);
}

static void format_lifetime(int64_t keep_ms, char text_r[24])
{
    snprintf(text_r, 24, "%lld", (long long)(bounded(keep_ms) + MARGIN_MS));
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
    pack_given(backend, &given, request);
    backend_charge_key(request->mailbox, request->id, charge);
    snprintf(decision, sizeof decision, "%016llx", (unsigned long long)request->decision);
    put(&charged, request->fingerprint, FINGERPRINT_BYTES);
    memcpy(charged.bytes + charged.length, ip, strlen(ip));
    charged.length += strlen(ip);
    text_clear(&backend->kept);
    add_kept(backend, &backend->kept, request);
    format_lifetime(request->keep_admitted_ms, admitted);
    format_lifetime(request->keep_refused_ms, refused);
    put(&tickets, request->ticket, WEIGHT_BYTES);
    put(&tickets, request->redeem, WEIGHT_BYTES);
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
 * and " MILLISECONDS" when a history was ahead. 1, or 0 when they have another form. */
static int read_counts(struct redis_backend *backend, const struct action_time *time,
                       const redisReply *reply, const struct judge_task *task)
{
    size_t bytes = redis_seen_bytes(&backend->spans);
    if (reply->type != REDIS_REPLY_STRING || reply->len < bytes)
        return 0;
    struct judge_result *result = task->result_r;
    const struct judge_request *request = task->request;
    char *micros;
    int64_t seconds = strtoll(reply->str + bytes, &micros, 10);
    if (*micros++ != '.')
        return 0;
    redis_learn_clock(backend, time, seconds * 1000000 + strtoll(micros, &micros, 10));
    result->ahead_ms = *micros == ' ' ? strtoll(micros, NULL, 10) : 0;
    struct seen seen = redis_read_seen(reply->str, &backend->spans);
    result->at_ms = seen.at_ms;
    for (size_t i = 0; i < request->window_count; i++) {
        struct outcome_window *window = &result->windows[i];
        size_t count = window_count(backend, request, window->rule);
        window->used_before = seen.counts[count];
        window->over = count != COUNT_NONE && outcome_window_over(window, request->off_domain);
    }
    return 1;
}

/* What is not simply admitted; the elements are at the end of judge.lua. */
static int read_particulars(redisReply *const *elements, const struct judge_task *task)
{
    struct judge_result *result = task->result_r;
    int outcome = outcome_by_name(redis_text(elements[1]));
    if (outcome < 0 || !redis_read_suspension(elements[2], &result->suspension) ||
        elements[3]->type != REDIS_REPLY_INTEGER)
        return 0;
    result->outcome = (enum outcome)outcome;
    result->brought = elements[3]->integer == 1;
    for (size_t i = 0; i < SUBJECT_COUNT; i++)
        redis_read_history(elements[4 + i], task->request->arena, (enum subject)i, result->at_ms,
                           &result->histories[i]);
    return 1;
}

enum { PARTICULARS = 6 };

/* 1, or -1 when the reply is unexpected. */
static int read_answer(struct redis_backend *backend, const struct action_time *time,
                       const redisReply *reply, const struct judge_task *task)
{
    struct judge_result *result = task->result_r;
    result->outcome = OUTCOME_ADMITTED;
    result->brought = false;
    result->decision = task->request->decision;
    result->suspension = (struct suspension){0};
    memset(result->histories, 0, sizeof result->histories);
    bool plain = reply->type == REDIS_REPLY_STRING;
    if (plain ? read_counts(backend, time, reply, task)
              : reply->type == REDIS_REPLY_ARRAY && reply->elements == PARTICULARS &&
                    read_counts(backend, time, reply->element[0], task) &&
                    read_particulars(reply->element, task))
        return 1;
    return redis_unexpected(backend);
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
    if (request->ip != NULL && strlen(request->ip) > IP_MAX_BYTES)
        return backend_fail(&backend->base, "an IP of %zu bytes: expected at most %d",
                            strlen(request->ip), IP_MAX_BYTES);
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
