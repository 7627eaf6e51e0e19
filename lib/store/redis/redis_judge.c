/* Judging in Redis: messages that wait together are one call of judge.lua, an argument each.
 * Numbers go to the script and come back packed, since each argument costs the server about as much as a
 * small command. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/packed.h"
#include "store/packed_pair.h"
#include "store/redis/redis.h"

/* ---- packing --------------------------------------------------------------- */

/* An IPv6 address as text takes 45. */
enum { IP_MAX_BYTES = 64 };

enum { COUNTS_MAX = 2 * SUBJECT_COUNT * RECORD_SPANS_MAX };

/* Bytes with their length before them. */
static void put_string(struct text *out, const void *bytes, size_t length, int length_bytes)
{
    packed_add_fixed(out, length, length_bytes);
    text_add_bytes(out, bytes, length);
}

static void put_key(struct text *out, const char *prefix, const char *name)
{
    packed_add_fixed(out, name != NULL ? strlen(prefix) + strlen(name) : 0, 2);
    if (name != NULL) {
        text_add(out, prefix);
        text_add(out, name);
    }
}

static int64_t bounded(int64_t span_ms)
{
    return span_ms < 0 ? 0 : span_ms > REDIS_TIME_MAX_MS ? REDIS_TIME_MAX_MS : span_ms;
}

int redis_record_shape(void)
{
    return (int)(rule_spans(SUBJECT_MAILBOX).count << 4 |
                 (rule_spans(SUBJECT_IP).count + rule_spans(SUBJECT_DOMAIN).count));
}

/* ---- windows ------------------------------------------------------------------ */

/* Whether the rule looks at a history, and the message counts there. */
static bool counts_for(const struct judge_request *request, enum rule rule)
{
    switch (rule_table[rule].subject) {
    case SUBJECT_IP: return request->ip != NULL;
    case SUBJECT_DOMAIN: return request->group != NULL;
    case SUBJECT_RECIPIENT: return false;
    default: return true;
    }
}

/* The lowest count at which the message does not fit: a script needs no more of a limit. */
static uint64_t window_end(const struct judge_request *request, const struct judge_window *window)
{
    uint32_t cost = outcome_cost(window->rule, request->off_domain);
    if (window->limit < 0)
        return REDIS_NO_END;
    return cost > (uint32_t)window->limit ? 0 : (uint32_t)window->limit - cost + 1;
}

static unsigned mode_of(struct redis_backend *backend, const struct judge_request *request)
{
    bool tickets = request->ticket > 0 || request->redeem > 0;
    bool trims = ++backend->judged_since_trim >= 128;
    if (trims)
        backend->judged_since_trim = 0;
    return (request->rejected ? MODE_REJECTED : 0u) | (request->dry_run ? MODE_DRY_RUN : 0u) |
           (request->observe ? MODE_OBSERVE : 0u) | (request->no_attempt ? MODE_NO_ATTEMPT : 0u) |
           (tickets ? MODE_TICKETS : 0u) |
           (request->recipient_count > 0 ? MODE_RECIPIENTS : 0u) | (trims ? MODE_TRIM : 0u) |
           (redis_looks_for_earlier(backend) ? MODE_EARLIER : 0u);
}

/* The entry of an admitted message, that of an IP's history and the hash of its id once more; its
 * decision's number; the record's first bytes. */
static void put_counted(struct redis_backend *backend, struct text *given,
                        const struct judge_request *request)
{
    uint8_t entry[COUNTED_BYTES];
    const struct counted counted = {
        .entry = {.time_ms = judge_moment(request), .off_domain = request->off_domain,
                  .channel = request->channel},
        .id_hash = identity_of_id(backend->hash_key, request->id),
        .fingerprint = identity_of_recipients(backend->hash_key, request->fingerprint),
        .decision = request->decision};
    packed_entry_put(SUBJECT_MAILBOX, &counted, entry);
    text_add_bytes(given, (const char *)entry, sizeof entry);
    text_add_bytes(given, (const char *)entry, COUNTED_IP_BYTES);
    text_add_bytes(given, (const char *)entry + COUNTED_IP_BYTES, ID_BYTES);
    packed_add_fixed(given, request->decision & ((1 << COUNTED_ID_BITS) - 1), NUMBER_BYTES);
    packed_add_fixed(given, RECORD_FORMAT, 1);
    packed_add_fixed(given, OUTCOME_ADMITTED, 1);
    packed_add_fixed(given, (uint64_t)judge_moment(request), TIME_BYTES);
    packed_add_fixed(given, packed_record_keep(request->keep_admitted_ms), 4);
    packed_add_fixed(given, (uint64_t)redis_record_shape(), 1);
}

/* By the numbers of the counts the ends, and what the message adds to each share. */
static void put_ends(struct text *given, const struct judge_request *request)
{
    size_t counts = 2 * packed_record_spans_before(SUBJECT_COUNT);
    uint64_t ends[COUNTS_MAX];
    for (size_t i = 0; i < counts; i++)
        ends[i] = REDIS_NO_END;
    for (size_t i = 0; i < request->window_count; i++)
        if (counts_for(request, request->windows[i].rule))
            ends[packed_record_count(request->windows[i].rule)] =
                window_end(request, &request->windows[i]);
    for (size_t i = 0; i < counts; i++)
        packed_add_fixed(given, ends[i], END_BYTES);
    for (int subject = 0; subject < SUBJECT_COUNT; subject++) {
        size_t own = history_share((enum subject)subject, request->channel);
        for (size_t share = 0; share < history_shares((enum subject)subject); share++) {
            packed_add_fixed(given, share == own, 1);
            packed_add_fixed(given, share == own ? request->off_domain : 0, WEIGHT_BYTES);
        }
    }
}

static void put_names(struct text *given, const struct judge_request *request, const char *ip,
                      const char *domain)
{
    char mailbox_name[HISTORY_NAME_SIZE], stamp[32];
    put_key(given, REDIS_MAILBOX_KEY,
            history_name(SUBJECT_MAILBOX, request->channel, request->mailbox, mailbox_name));
    put_key(given, REDIS_SUSPENSION_KEY, request->mailbox);
    put_key(given, REDIS_BLOCK_KEY, request->domain);
    put_key(given, REDIS_BLOCK_KEY,
            request->domain != NULL && request->mailbox_blocks ? request->mailbox : NULL);
    put_key(given, REDIS_IP_KEY, ip);
    put_key(given, REDIS_DOMAIN_KEY, domain);
    int length = snprintf(stamp, sizeof stamp, "%lld-*",
                          (long long)decision_time(request->decision));
    put_string(given, stamp, (size_t)length, 1);
}

/* What stands behind the record's totals when the message passes. */
static void put_tail(struct text *given, const struct judge_request *request, const char *ip,
                     const char *domain)
{
    char names[RECORD_NAMES_SIZE];
    size_t before = given->length;
    packed_add_fixed(given, 0, 3);
    packed_record_tail(given, request, packed_record_names(ip, domain, names), true);
    packed_put((uint8_t *)given->data + before, given->length - before - 3, 3);
}

/* What is unusual, what then becomes of the message, and what is listed of it: PROFILE_TERMS_FORM, what
 * it is known by when it is tried again, the queue id; and 1 whether there is one. */
static void put_terms(struct text *given, const struct judge_request *request,
                      const struct judge_profile *profile)
{
    uint8_t limits[UNUSUAL_LIMITS_BYTES];
    size_t id_length = request->queue_id != NULL ? strlen(request->queue_id) : 0;
    id_length = id_length < HELD_QUEUE_ID_MAX ? id_length : HELD_QUEUE_ID_MAX;
    unusual_put_limits(limits, &profile->limits);
    packed_add_fixed(given, PROFILE_TERMS_BYTES + id_length, 1);
    text_add_bytes(given, (const char *)limits, sizeof limits);
    packed_add_fixed(given, profile->action, 1);
    packed_add_fixed(given, request->queue_id != NULL, 1);
    packed_add_fixed(given, request->recipients_in_all, WEIGHT_BYTES);
    packed_add_fixed(given, profile->tried, PROFILE_HASH_BITS / 8);
    text_add_bytes(given, request->queue_id, id_length);
}

/* What enters the profile of its mailbox. */
static void put_profile(struct text *given, const struct judge_request *request,
                        const struct profile_state *usual_in)
{
    static const struct judge_profile none;
    const struct judge_profile *profile = request->profile != NULL ? request->profile : &none;
    uint8_t network[PROFILE_HASH_BITS / 8];
    packed_put(network, profile->network, sizeof network);
    put_key(given, REDIS_PROFILE_KEY, request->profile != NULL ? request->mailbox : NULL);
    packed_add_fixed(given, usual_in->version != 0 ? VALUE_HEAD_BYTES : 0, 1);
    if (usual_in->version != 0) {
        packed_add_fixed(given, usual_in->version, VERSION_BYTES);
        packed_add_fixed(given, (uint64_t)usual_in->until_ms, TIME_BYTES);
    }
    put_string(given, network, profile->network != 0 ? sizeof network : 0, 1);
    put_terms(given, request, profile);
    packed_add_fixed(given, profile->recipient_count * sizeof network, 3);
    for (size_t i = 0; i < profile->recipient_count; i++)
        packed_add_fixed(given, profile->recipients[i], sizeof network);
}

static void charge_key(const char *mailbox, const char *id, uint8_t key_r[EARLIER_CHARGE_BYTES])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, EARLIER_CHARGE_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)mailbox, strlen(mailbox) + 1);
    crypto_generichash_update(&state, (const unsigned char *)id, strlen(id));
    crypto_generichash_final(&state, key_r, EARLIER_CHARGE_BYTES);
}

/* Of windows that suspend their counts and rules; what could never fit does not suspend. */
static void put_suspending(struct text *given, const struct judge_request *request)
{
    uint8_t suspending[2 * OVER_TIME_COUNT];
    size_t length = 0;
    for (size_t i = 0; i < request->window_count; i++) {
        const struct judge_window *window = &request->windows[i];
        if (!window->suspends || !counts_for(request, window->rule) ||
            window_end(request, window) == 0)
            continue;
        suspending[length++] = (uint8_t)packed_record_count(window->rule);
        suspending[length++] = (uint8_t)window->rule;
    }
    put_string(given, suspending, length, 1);
}

/* Its recipients, and their window. */
static void put_recipients(struct text *given, const struct judge_request *request)
{
    unsigned flags = 0;
    uint64_t limit = REDIS_NO_END;
    for (size_t i = 0; i < request->window_count; i++) {
        const struct judge_window *window = &request->windows[i];
        if (rule_table[window->rule].subject != SUBJECT_RECIPIENT || request->recipient_count == 0)
            continue;
        flags = WINDOW_TOLD | (window->suspends ? WINDOW_SUSPENDS : 0u);
        limit = window->limit < 0 ? REDIS_NO_END : (uint64_t)window->limit;
    }
    packed_add_fixed(given, flags, 1);
    packed_add_fixed(given, limit, END_BYTES);
    packed_add_fixed(given, request->recipient_count * RECIPIENT_BYTES, 3);
    for (size_t i = 0; i < request->recipient_count; i++)
        packed_add_fixed(given, request->recipients[i], RECIPIENT_BYTES);
}

/* What the script needs of a message that is not simply admitted: PARTICULAR_FORM, REFUSED_FORM and
 * the durations. */
static void put_particulars(struct redis_backend *backend, struct text *given,
                        const struct judge_request *request)
{
    const struct record_facts *facts = &request->facts;
    if (redis_looks_for_earlier(backend)) {
        uint8_t charge[EARLIER_CHARGE_BYTES + EARLIER_FINGERPRINT_BYTES];
        charge_key(request->mailbox, request->id, charge);
        packed_put(charge + EARLIER_CHARGE_BYTES, request->fingerprint, EARLIER_FINGERPRINT_BYTES);
        put_string(given, charge, sizeof charge, 1);
    } else {
        packed_add_fixed(given, 0, 1);
    }
    packed_add_fixed(given, packed_record_keep(request->keep_admitted_ms), 4);
    packed_add_fixed(given, packed_record_keep(request->keep_refused_ms), 4);
    packed_add_fixed(given, request->ticket, WEIGHT_BYTES);
    packed_add_fixed(given, request->redeem, WEIGHT_BYTES);
    put_string(given, (const char *)facts->bytes + facts->admitted_length,
               facts->length - facts->admitted_length, 3);
    put_recipients(given, request);
    for (int subject = 0; subject < SUBJECT_COUNT; subject++)
        packed_add_fixed(given, history_share((enum subject)subject, request->channel), 1);
    put_suspending(given, request);
    packed_add_fixed(given, request->retries_before_restart, 4);
    uint8_t attempt[ATTEMPT_BYTES];
    identity_of_attempt(backend->hash_key, request->attempt, attempt);
    text_add_bytes(given, (const char *)attempt, sizeof attempt);
    packed_add_fixed(given, request->volume.count, 1);
    for (size_t i = 0; i < request->volume.count; i++)
        packed_add_fixed(given, (uint64_t)(request->volume.ms[i] == UNTIL_LIFTED
                                  ? -1 : bounded(request->volume.ms[i])), DURATION_BYTES);
}

/* One argument of judge.lua: GIVEN_FORM, and what put_particulars adds. */
static void add_message(struct redis_backend *backend, const struct judge_task *task)
{
    const struct judge_request *request = task->request;
    struct text *given = &backend->given;
    char ip_name[HISTORY_NAME_SIZE], domain_name[HISTORY_NAME_SIZE];
    const char *domain = history_name(SUBJECT_DOMAIN, request->channel, request->group,
                                      domain_name);
    const char *ip = history_name(SUBJECT_IP, request->channel, request->ip, ip_name);
    text_clear(given);
    packed_add_fixed(given, (uint64_t)request->now_ms, TIME_BYTES);
    packed_add_fixed(given, (uint64_t)judge_moment(request), TIME_BYTES);
    packed_add_fixed(given, mode_of(backend, request), 1);
    packed_add_fixed(given, (uint64_t)decision_time(request->decision), TIME_BYTES);
    put_counted(backend, given, request);
    put_ends(given, request);
    put_names(given, request, ip, domain);
    put_tail(given, request, ip, domain);
    put_profile(given, request, &task->result_r->usual_in);
    put_particulars(backend, given, request);
    redis_add_argument(backend, &(struct argument){given->data, given->length});
}

/* ---- answers ------------------------------------------------------------------ */

static size_t told_bytes(void)
{
    size_t totals = 0;
    for (int subject = 0; subject < SUBJECT_COUNT; subject++)
        totals += rule_spans((enum subject)subject).count * history_shares((enum subject)subject);
    return 2 * TIME_BYTES + totals * (MESSAGES_BYTES + SUM_BYTES);
}

/* What the windows held before, by the number of the count: of all channels, and of the message's
 * own. */
struct window_counts {
    uint64_t all[COUNTS_MAX], own[COUNTS_MAX];
};

static void read_totals(const uint8_t *bytes, enum channel channel, struct window_counts *held_r)
{
    size_t count = 0;
    for (int subject = 0; subject < SUBJECT_COUNT; subject++) {
        size_t own = history_share((enum subject)subject, channel);
        for (size_t i = 0; i < rule_spans((enum subject)subject).count; i++, count += 2) {
            held_r->all[count] = held_r->all[count + 1] = 0;
            for (size_t share = 0; share < history_shares((enum subject)subject); share++)
                for (size_t measure = 0; measure < 2; measure++) {
                    uint64_t some = packed_get(&bytes, measure == 0 ? MESSAGES_BYTES : SUM_BYTES);
                    held_r->all[count + measure] += some;
                    if (share == own)
                        held_r->own[count + measure] = some;
                }
        }
    }
}

/* How the message found the profile, how it is now, same_until. */
enum { DAY_BYTES = 2, PROFILE_TOLD_BYTES = 2 * VALUE_HEAD_BYTES + DAY_BYTES };

static struct profile_state read_state(const uint8_t **bytes)
{
    uint32_t version = (uint32_t)packed_get(bytes, VERSION_BYTES);
    return (struct profile_state){version, (int64_t)packed_get(bytes, TIME_BYTES)};
}

/* What every answer has: when it was counted, the millisecond of its decision's id, what the
 * windows held before, what is told of the profile, and, where something is unusual, that. 1, or 0
 * when it has another form. */
static int read_told(const redisReply *reply, const struct judge_task *task)
{
    const struct judge_request *request = task->request;
    struct judge_result *result = task->result_r;
    struct window_counts held;
    size_t length = told_bytes() + PROFILE_TOLD_BYTES;
    bool noted = reply->len == length + UNUSUAL_BYTES;
    if (reply->type != REDIS_REPLY_STRING || (!noted && reply->len != length))
        return 0;
    const uint8_t *bytes = (const uint8_t *)reply->str, *of_profile = bytes + told_bytes();
    if (noted)
        unusual_get(bytes + length, &result->unusual);
    result->profile.before = read_state(&of_profile);
    result->profile.now = read_state(&of_profile);
    result->profile.same_until = (int64_t)packed_get(&of_profile, DAY_BYTES);
    uint64_t number = request->decision & ((1 << COUNTED_ID_BITS) - 1);
    result->at_ms = (int64_t)packed_get(&bytes, TIME_BYTES);
    uint64_t floor = decision_floor((int64_t)packed_get(&bytes, TIME_BYTES));
    result->decision = request->dry_run ? request->decision : floor | number;
    read_totals(bytes, request->channel, &held);
    for (size_t i = 0; i < request->window_count; i++) {
        struct outcome_window *window = &result->windows[i];
        size_t count = packed_record_count(window->rule);
        if (rule_table[window->rule].subject == SUBJECT_RECIPIENT)
            continue; /* of a message that is not simply admitted */
        window->used_before = held.all[count];
        window->used_by_channel = held.own[count];
        window->over = counts_for(request, window->rule) &&
                       outcome_window_over(window, request->off_domain);
    }
    return 1;
}

/* A block as particular.lua tells it: its mark and its bytes; nothing: none; another mark: one that
 * is damaged, and blocks nobody. 1, or 0 when it has another form. */
static int read_block(const redisReply *element, struct judge_result *result)
{
    if (element->type != REDIS_REPLY_STRING)
        return 0;
    const char *mark = element->len > 0 ? strchr(RECORD_BLOCK_MARKS, element->str[0]) : NULL;
    result->block_damaged = element->len > 0 && mark == NULL;
    if (mark == NULL)
        return 1;
    if (!failure_in_force_read(element->str + 1, element->len - 1, &result->block))
        return 0;
    result->block.of_mailbox = element->str[0] == RECORD_BLOCK_MARKS[1];
    return 1;
}

enum { OVER_BYTES = WEIGHT_BYTES + MESSAGES_BYTES + TIME_BYTES };

/* The window of recipients: RECIPIENT_FORM, and OVER_FORM of each that has no room; nothing where it
 * is not told. 1, or 0 when it has another form. */
static int read_recipients(const redisReply *element, const struct judge_task *task)
{
    struct judge_result *result = task->result_r;
    struct outcome_window *window = packed_pair_window(result);
    if (element->type != REDIS_REPLY_STRING)
        return 0;
    if (element->len == 0)
        return 1;
    size_t over = (element->len - 2 * MESSAGES_BYTES) / OVER_BYTES;
    if (window == NULL || element->len != 2 * MESSAGES_BYTES + over * OVER_BYTES ||
        over > task->request->recipient_count)
        return 0;
    const uint8_t *bytes = (const uint8_t *)element->str;
    window->used_before = packed_get(&bytes, MESSAGES_BYTES);
    window->used_by_channel = packed_get(&bytes, MESSAGES_BYTES);
    window->over = over > 0;
    result->over_count = over;
    result->over = arena_alloc(task->request->arena, over * sizeof result->over[0]);
    for (size_t i = 0; i < over; i++) {
        result->over[i].place = packed_get(&bytes, WEIGHT_BYTES);
        result->over[i].used = packed_get(&bytes, MESSAGES_BYTES);
        result->over[i].fits_ms = (int64_t)packed_get(&bytes, TIME_BYTES);
        if (result->over[i].place >= task->request->recipient_count)
            return 0;
        if (window->limit == 0)
            result->over[i].fits_ms = WINDOW_NEVER;
    }
    return 1;
}

/* What that window holds. 1, or 0 when it has another form. */
static int read_pair(const redisReply *element, const struct judge_task *task)
{
    if (element->type != REDIS_REPLY_STRING || !packed_pair_is_whole(element->len))
        return 0;
    task->result_r->of_recipient =
        packed_pair_history(task->request->arena, (const uint8_t *)element->str, element->len,
                            task->result_r->at_ms);
    return 1;
}

/* What is not simply admitted; the elements are at the end of particular.lua. */
enum { PARTICULARS = 8 + SUBJECT_COUNT };
static int read_particulars(redisReply *const *elements, const struct judge_task *task)
{
    struct judge_result *result = task->result_r;
    int64_t outcome = redis_number(elements[2]);
    if (elements[1]->type != REDIS_REPLY_INTEGER || elements[2]->type != REDIS_REPLY_INTEGER ||
        outcome < 0 || outcome >= OUTCOME_COUNT ||
        !redis_read_suspensions(elements[3], &result->suspensions) ||
        elements[4]->type != REDIS_REPLY_INTEGER || !read_block(elements[5], result))
        return 0;
    result->ahead_ms = redis_number(elements[1]);
    result->outcome = (enum outcome)outcome;
    result->brought = redis_number(elements[4]) == 1;
    for (size_t i = 0; i < SUBJECT_COUNT; i++)
        redis_read_history(elements[6 + i], task->request->arena, (enum subject)i, result->at_ms,
                           &result->histories[i]);
    return read_recipients(elements[6 + SUBJECT_COUNT], task) &&
           read_pair(elements[7 + SUBJECT_COUNT], task);
}

/* 1, or -1 when the message failed or the reply is unexpected. */
static int read_answer(struct redis_backend *backend, const redisReply *reply,
                       const struct judge_task *task)
{
    struct judge_result *result = task->result_r;
    result->outcome = OUTCOME_ADMITTED;
    result->ahead_ms = 0;
    result->brought = false;
    result->block = (struct failure_in_force){0};
    result->block_damaged = false;
    result->unusual = (struct unusual){0};
    suspension_clear(&result->suspensions);
    memset(result->histories, 0, sizeof result->histories);
    if (reply->type == REDIS_REPLY_ERROR)
        return backend_fail(&backend->base, "redis at %s: %s", backend->where, reply->str);
    if (reply->type == REDIS_REPLY_STRING
            ? read_told(reply, task)
            : reply->type == REDIS_REPLY_ARRAY && reply->elements == PARTICULARS &&
                  read_told(reply->element[0], task) && read_particulars(reply->element, task))
        return 1;
    return redis_unexpected(backend);
}

/* ---- a batch -------------------------------------------------------------------- */

/* What the script would cut or lose is refused here, so that a caller's mistake is seen. */
static int check(struct redis_backend *backend, const struct judge_request *request)
{
    if (redis_check_time(backend, request->now_ms) < 0)
        return -1;
    size_t profiled = request->profile != NULL ? request->profile->recipient_count : 0;
    size_t recipients = request->recipient_count > profiled ? request->recipient_count : profiled;
    if (recipients > SUBMISSION_MAX_RECIPIENTS)
        return backend_fail(&backend->base, "%zu recipients: expected at most %d", recipients,
                            SUBMISSION_MAX_RECIPIENTS);
    if (request->off_domain > SUBMISSION_MAX_RECIPIENTS ||
        request->ticket > SUBMISSION_MAX_RECIPIENTS ||
        request->redeem > SUBMISSION_MAX_RECIPIENTS ||
        request->window_count > OVER_TIME_COUNT || request->volume.count > DURATIONS_MAX)
        return backend_fail(&backend->base, "%u off-domain recipients, tickets for %u and %u, %zu "
                            "windows or %zu durations are too many", request->off_domain,
                            request->ticket, request->redeem, request->window_count,
                            request->volume.count);
    if (request->group != NULL && strlen(request->group) >= DOMAIN_KEY_SIZE)
        return backend_fail(&backend->base, "a domain of %zu bytes: expected below %d",
                            strlen(request->group), DOMAIN_KEY_SIZE);
    if (request->ip != NULL && strlen(request->ip) > IP_MAX_BYTES)
        return backend_fail(&backend->base, "an IP of %zu bytes: expected at most %d",
                            strlen(request->ip), IP_MAX_BYTES);
    return 1;
}

enum { AGAIN = 0 }; /* an answer while nothing was done yet and may still be */

/* Sends every message that is still to be judged. 1 or -1. */
static int send_messages(struct redis_backend *backend, const struct action_time *time,
                         const struct judge_task *tasks, size_t count)
{
    size_t waiting = 0;
    bool changes = false;
    for (size_t i = 0; i < count; i++)
        waiting += tasks[i].answer == AGAIN;
    redis_begin_call(backend, time, SCRIPT_JUDGE, waiting);
    for (size_t i = 0; i < count; i++)
        if (tasks[i].answer == AGAIN) {
            add_message(backend, &tasks[i]);
            changes = changes || !tasks[i].request->dry_run;
        }
    if (changes)
        redis_add_wait(backend, time);
    return redis_send(backend, time);
}

static void answer_all(struct judge_task *tasks, size_t count, int answer)
{
    for (size_t i = 0; i < count; i++)
        if (tasks[i].answer == AGAIN)
            tasks[i].answer = answer;
}

/* An element for each message behind the server's time. */
static void read_answers(struct redis_backend *backend, const struct action_time *time,
                         const redisReply *reply, struct judge_task *tasks, size_t count)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        reply->element[0]->type != REDIS_REPLY_INTEGER) {
        answer_all(tasks, count, redis_unexpected(backend));
        return;
    }
    redis_learn_clock(backend, time, reply->element[0]->integer);
    for (size_t i = 0, next = 1; i < count; i++) {
        if (tasks[i].answer != AGAIN)
            continue;
        tasks[i].answer = next < reply->elements
                              ? read_answer(backend, reply->element[next], &tasks[i])
                              : redis_unexpected(backend);
        next++;
    }
}

/* One round trip for every message that is still to be judged. */
static void judge_once(struct redis_backend *backend, const struct action_time *time,
                       struct judge_task *tasks, size_t count)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    enum called called = send_messages(backend, time, tasks, count) < 0
                             ? CALL_LOST : redis_receive(backend, time, &reply);
    if (called == CALL_UNCONFIRMED)
        for (size_t i = 0; i < count; i++)
            if (!tasks[i].request->dry_run)
                tasks[i].answer = -1;
    if (called == CALLED || called == CALL_UNCONFIRMED)
        read_answers(backend, time, reply, tasks, count);
    else if (called == CALL_LOST || called == CALL_REFUSED ||
             (called == CALL_UNKNOWN && redis_load_scripts(backend, time) < 0))
        answer_all(tasks, count, -1);
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
        if (redis_connected(self, &time) < 0 || redis_find_hash_key(self, &time) < 0)
            break;
        judge_once(self, &time, tasks, count);
        waiting = 0;
        for (size_t i = 0; i < count; i++)
            waiting += tasks[i].answer == AGAIN;
    }
    answer_all(tasks, count, -1);
}

/* ---- refunds ------------------------------------------------------------------------ */

void redis_add_refund(const struct redis_backend *backend, struct arena *arena,
                      const struct value_refund *refund,
                      struct argument arguments_r[REFUND_ARGUMENTS])
{
    uint8_t *hash = arena_alloc(arena, ID_BYTES + EARLIER_CHARGE_BYTES);
    bool redeemed = refund->id == NULL;
    packed_put(hash, redeemed ? refund->redeemed : identity_of_id(backend->hash_key, refund->id),
               ID_BYTES);
    if (!redeemed)
        charge_key(refund->mailbox, refund->id, hash + ID_BYTES);
    arguments_r[0] = argument_string(refund->mailbox);
    arguments_r[1] = (struct argument){hash, ID_BYTES};
    arguments_r[2] = (struct argument){hash + ID_BYTES, redeemed ? 0 : EARLIER_CHARGE_BYTES};
}

static int refund(struct backend *backend, const char *mailbox, const char *id, int64_t now_ms)
{
    struct redis_backend *self = redis_backend(backend);
    freed_by(arena_free) struct arena *arena = arena_new();
    struct action_time time = redis_begin(self);
    struct argument arguments[2 + REFUND_ARGUMENTS] = {argument_string("refund"),
                                                       argument_int(arena, now_ms)};
    if (redis_check_time(self, now_ms) < 0 || redis_connected(self, &time) < 0 ||
        redis_find_hash_key(self, &time) < 0)
        return -1;
    const struct value_refund one = {.mailbox = mailbox, .id = id};
    redis_add_refund(self, arena, &one, arguments + 2);
    return redis_simple(self, SCRIPT_ACTION, arguments, countof(arguments));
}

const struct judge_operations redis_judge = {
    .judge = judge,
    .refund = refund,
};
