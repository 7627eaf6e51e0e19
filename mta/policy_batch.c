#include "mta/policy_batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/decision.h"
#include "base/text.h"
#include "guard/reference.h"
#include "mta/policy_answer.h"
#include "mta/policy_message.h"

/* One request and its answer. */
struct question {
    void *asker;
    struct arena *arena;
    struct submission submission;
    bool judged;
    enum policy_message_stage stage;
    struct transaction transaction; /* in `arena` */
    uint32_t count;                 /* accepted recipients */
    char answer[POLICY_ANSWER_SIZE];
};

struct policy_batch {
    struct policy_service *service;
    size_t count, to_judge;
    struct question questions[POLICY_BATCH_MAX];
    /* of those to be judged, in order: */
    const struct submission *submissions[POLICY_BATCH_MAX];
    struct verdict verdicts[POLICY_BATCH_MAX];
    int results[POLICY_BATCH_MAX];
};

struct policy_batch *policy_batch_new(struct policy_service *service)
{
    struct policy_batch *batch = xcalloc(1, sizeof *batch);
    batch->service = service;
    for (int i = 0; i < POLICY_BATCH_MAX; i++)
        batch->questions[i].arena = arena_new();
    return batch;
}

void policy_batch_free(struct policy_batch **batch)
{
    if (*batch == NULL)
        return;
    for (int i = 0; i < POLICY_BATCH_MAX; i++)
        arena_free(&(*batch)->questions[i].arena);
    free(*batch);
    *batch = NULL;
}

int policy_batch_full(const struct policy_batch *batch) { return batch->count == POLICY_BATCH_MAX; }

size_t policy_batch_count(const struct policy_batch *batch) { return batch->count; }

/* ---- logging ------------------------------------------------------------------- */

static void log_passed(const struct policy_request *request, const char *why)
{
    log_line(LOG_INFO_LEVEL, "not judged", "channel", channel_names[CHANNEL_SMTP], "why", why,
             "client",
             policy_request_value(request, POLICY_CLIENT_ADDRESS), "queue_id",
             policy_request_value(request, POLICY_QUEUE_ID), "user",
             policy_request_value(request, POLICY_SASL_USERNAME), NULL);
}

/* Once for each client, and for so many of them as there is room for: a misconfigured server is
 * seen at once, and a log full of the same helps nobody. */
static void log_unnamed(struct policy_service *service, const struct policy_request *request)
{
    const char *client = policy_request_value(request, POLICY_CLIENT_ADDRESS);
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (const char *at = client; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * UINT64_C(1099511628211);
    int told = service->unnamed_told;
    for (int i = 0; i < told && i < (int)countof(service->unnamed_clients); i++)
        if (service->unnamed_clients[i] == hash)
            return;
    if (told >= (int)countof(service->unnamed_clients) ||
        (told = service->unnamed_told++) >= (int)countof(service->unnamed_clients))
        return;
    service->unnamed_clients[told] = hash;
    log_line(LOG_INFO_LEVEL,
             "recipients are not named: all count as outside the own domains; ask this service in "
             "smtpd_recipient_restrictions too",
             "channel", channel_names[CHANNEL_SMTP], "client", client, NULL);
}

static void log_verdict(const struct verdict *verdict, const char *answer)
{
    char decision[DECISION_TEXT_SIZE], recipients[TEXT_DIGITS_SIZE], unnamed[TEXT_DIGITS_SIZE];
    char unusual[TEXT_DIGITS_SIZE];
    const struct submission *submission = verdict->submission;
    if (verdict->decision == 0)
        return;
    decision_format(verdict->decision, decision);
    const char *action = answer + strlen("action=");
    action = arena_strndup(submission->arena, action, strcspn(action, " \n"));
    bool ordinary = verdict->kind == VERDICT_ADMIT && !verdict->bypassed && !verdict->unusual.first;
    log_line(ordinary ? LOG_INFO_LEVEL : LOG_WARNING_LEVEL, "decision", "channel",
             channel_names[submission->channel], "decision", decision, "verdict",
             verdict_labels[verdict_label(verdict)], "action", action, "mailbox",
             submission->mailbox, "ip", submission->ip, "recipients",
             text_digits(recipients, (int64_t)submission->recipient_count + submission->unnamed),
             "unnamed", submission->unnamed > 0 ? text_digits(unnamed, submission->unnamed) : NULL,
             "rule",
             verdict_rule(verdict),
             "shadow", verdict_shadow(verdict),
             "unusual",
             unusual_is(&verdict->unusual) ? text_digits(unusual, verdict->unusual.new_recipients)
                                           : NULL,
             "bypassed", verdict->bypassed ? "1" : NULL, NULL);
}

/* ---- one request ------------------------------------------------------------------ */

static void collect(struct policy_service *service, const struct policy_request *request,
                    struct question *question, int64_t now_ms)
{
    if (policy_request_length(request, POLICY_INSTANCE) == 0)
        return; /* nothing to find them by later */
    collector_add(service->collector, &question->transaction,
                  policy_message_recipient(request, question->arena), now_ms);
    if (collector_overflowed(service->collector))
        log_line(LOG_WARNING_LEVEL,
                 "too many messages at once: recipients of the oldest are forgotten and count as "
                 "outside the own domains",
                 "channel", channel_names[CHANNEL_SMTP], NULL);
}

/* RCPT: 1 the recipient is refused, 0 it is not, also when that cannot be found out: the whole message
 * is judged at its end. What comes from the webmail's host is judged by the ticket that it has. */
static int refuse_recipient(struct policy_service *service, const struct policy_request *request,
                            struct snapshot *snapshot, struct question *question, int64_t now_ms)
{
    const struct settings *settings = snapshot_settings(snapshot);
    struct submission *submission = &question->submission;
    struct problem unimportant; /* told at END-OF-MESSAGE */
    const char *recipient = policy_message_recipient(request, question->arena);
    const char *reason, *text;
    if (recipient == NULL || policy_message_forwards(request, settings))
        return 0;
    submission_init(submission, question->arena, CHANNEL_SMTP);
    if (policy_message_sender(request, settings, submission, &unimportant) < 1 ||
        submission->webmail_host ||
        submission_add_key(submission, FIELD_TO, recipient, &unimportant) < 1 ||
        guard_recipient_blocked(service->guard, submission, now_ms, &reason, &text) < 1)
        return 0;
    bool refused = settings->guard_mode == MODE_ENFORCE;
    log_line(LOG_WARNING_LEVEL, "blocked recipient", "channel", channel_names[CHANNEL_SMTP],
             "mailbox", submission->mailbox, "queue_id",
             policy_request_value(request, POLICY_QUEUE_ID), "observed", refused ? NULL : "1", NULL);
    if (!refused)
        return 0;
    if (service->recorder != NULL)
        recorder_recipient_blocked(service->recorder, CHANNEL_SMTP);
    policy_answer_recipient(question->arena, snapshot_catalogue(snapshot), reason, text,
                            settings->support_contact, question->answer);
    return 1;
}

/* Whose mailbox "alice" is would be a guess, and everybody's way round the guard. */
static void refuse_user(const struct policy_request *request, const struct settings *settings,
                        const struct catalogue *catalogue, const struct problem *problem,
                        struct question *question)
{
    bool refuse = settings->store_on_failure == ON_FAILURE_REFUSE &&
                  settings->guard_mode == MODE_ENFORCE;
    log_line(LOG_ERROR_LEVEL, "cannot tell whose message it is", "channel",
             channel_names[CHANNEL_SMTP],
             "user", policy_request_value(request, POLICY_SASL_USERNAME), "where", problem->where,
             "error", problem->text, "client",
             policy_request_value(request, POLICY_CLIENT_ADDRESS), "admitted",
             refuse ? NULL : "1", NULL);
    if (refuse)
        policy_answer_later(question->arena, catalogue, "message.no_store", question->answer);
}

/* Nothing is lost: the filter that hands it in keeps it in the mailbox. Passed, it would be a way
 * round for any number. */
static void refuse_forwarder(const struct policy_request *request, const struct settings *settings,
                             const struct problem *problem, struct question *question)
{
    bool refuse = settings->guard_mode == MODE_ENFORCE;
    log_line(LOG_ERROR_LEVEL, "cannot tell whose message is forwarded", "channel",
             channel_names[CHANNEL_FORWARDING], "sender", policy_request_value(request,
                                                                               POLICY_SENDER),
             "where", problem->where, "error", problem->text, "client",
             policy_request_value(request, POLICY_CLIENT_ADDRESS), "admitted",
             refuse ? NULL : "1", NULL);
    if (refuse)
        policy_answer_refuse("Not forwarded: the sender address does not name the mailbox that "
                             "forwards it.", question->answer);
}

/* A message that is larger than what can be counted. Where no limit holds it passes as the
 * largest that can. 1 refused, 0 goes on. */
static int refuse_huge(struct policy_service *service, const struct settings *settings,
                       const struct submission *submission, struct question *question,
                       int64_t now_ms)
{
    struct effective_limits limits;
    if (question->count <= SUBMISSION_MAX_RECIPIENTS)
        return 0;
    question->count = SUBMISSION_MAX_RECIPIENTS;
    if (settings->guard_mode == MODE_OBSERVE ||
        (guard_limits(service->guard, submission->channel, submission->mailbox, submission->domain, now_ms,
                      &limits) > 0 &&
         limits.exempt))
        return 0;
    log_line(LOG_WARNING_LEVEL, "refused: more recipients than can be counted", "channel",
             channel_names[submission->channel], "mailbox", submission->mailbox, NULL);
    policy_answer_refuse("A message has at most 10000 recipients. Split it.", question->answer);
    return 1;
}

/* Postfix asks at DATA alone, as it might for an earlier version: nothing is judged. */
static void watch_for_end(struct policy_service *service)
{
    enum { SURE = 10, AGAIN = 1000 };
    int asked = service->ended ? 0 : ++service->data_asked;
    if (asked == SURE || (asked > 0 && asked % AGAIN == 0))
        log_line(LOG_ERROR_LEVEL,
                 "messages are not judged: this service is asked at DATA and never at "
                 "END-OF-MESSAGE; expected it in smtpd_end_of_data_restrictions",
                 "channel", channel_names[CHANNEL_SMTP], NULL);
}

/* DATA: the message gets its reference. What is forwarded was written by a stranger. */
static void refer(struct policy_service *service, const struct policy_request *request,
                  const struct settings *settings, struct question *question, int64_t now_ms)
{
    struct submission *submission = &question->submission;
    struct problem unimportant; /* told at END-OF-MESSAGE */
    watch_for_end(service);
    if (service->key == NULL || policy_request_length(request, POLICY_QUEUE_ID) == 0 ||
        policy_message_forwards(request, settings))
        return;
    submission_init(submission, question->arena, CHANNEL_SMTP);
    if (policy_message_sender(request, settings, submission, &unimportant) < 1)
        return;
    const struct reference reference = {
        .at_ms = now_ms,
        .queue_id = policy_request_value(request, POLICY_QUEUE_ID),
        .mailbox = submission->mailbox,
    };
    policy_answer_prepend(REFERENCE_HEADER, reference_make(service->key, question->arena,
                                                           &reference), question->answer);
}

/* END-OF-MESSAGE of a message that is to be judged. */
static int ask_guard(struct policy_batch *batch, const struct policy_request *request,
                     struct snapshot *snapshot, struct question *question, int64_t now_ms,
                     struct problem *problem)
{
    const struct settings *settings = snapshot_settings(snapshot);
    struct submission *submission = &question->submission;
    struct collected collected;
    batch->service->ended = true;
    collector_look(batch->service->collector, &question->transaction, question->arena, now_ms,
                   &collected);
    if (policy_message_count(request, &collected, &question->count, problem) < 1)
        return 0;
    bool forwards = policy_message_forwards(request, settings);
    submission_init(submission, question->arena, forwards ? CHANNEL_FORWARDING : CHANNEL_SMTP);
    if (policy_message_sender(request, settings, submission, problem) < 1) {
        if (forwards)
            refuse_forwarder(request, settings, problem, question);
        else
            refuse_user(request, settings, snapshot_catalogue(snapshot), problem, question);
        return 1;
    }
    if (refuse_huge(batch->service, settings, submission, question, now_ms))
        return 1;
    policy_message_recipients(request, settings, &collected, question->count, submission);
    policy_message_size(request, submission);
    if (submission->unnamed > 1 && collected.asked + collected.unread == 0)
        log_unnamed(batch->service, request);
    question->judged = true;
    return 1;
}

static int ask(struct policy_batch *batch, const struct policy_request *request,
               struct question *question, int64_t now_ms, struct problem *problem)
{
    if (policy_message_stage(request, &question->stage, problem) < 1)
        return 0;
    if (question->stage == STAGE_OTHER)
        return 1;
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(batch->service->guard);
    const char *passes = policy_message_passes(request, snapshot_settings(snapshot));
    if (passes != NULL) {
        if (question->stage == STAGE_END)
            log_passed(request, passes);
        return 1;
    }
    question->transaction = (struct transaction){
        .instance = arena_strdup(question->arena, policy_request_value(request, POLICY_INSTANCE)),
        .user = arena_strdup(question->arena, policy_request_value(request, POLICY_SASL_USERNAME)),
    };
    if (question->stage == STAGE_END)
        return ask_guard(batch, request, snapshot, question, now_ms, problem);
    if (question->stage == STAGE_RCPT &&
        refuse_recipient(batch->service, request, snapshot, question, now_ms) == 0)
        collect(batch->service, request, question, now_ms);
    if (question->stage == STAGE_DATA)
        refer(batch->service, request, snapshot_settings(snapshot), question, now_ms);
    return 1;
}

int policy_batch_add(struct policy_batch *batch, const struct policy_request *request,
                     void *asker, int64_t now_ms, struct problem *problem)
{
    struct question *question = &batch->questions[batch->count];
    *question = (struct question){.asker = asker, .arena = question->arena};
    strcpy(question->answer, POLICY_DUNNO);
    if (ask(batch, request, question, now_ms, problem) < 1) {
        arena_reset(question->arena);
        return 0;
    }
    batch->count++;
    if (question->judged)
        batch->submissions[batch->to_judge++] = &question->submission;
    return 1;
}

/* ---- the whole batch ------------------------------------------------------------------ */

static void judge(struct policy_batch *batch, int64_t now_ms)
{
    struct policy_service *service = batch->service;
    int64_t began_us = clock_monotonic_us();
    guard_judge_all(service->guard, batch->submissions, NULL, batch->verdicts, batch->results,
                    batch->to_judge, now_ms);
    int64_t took_us = clock_monotonic_us() - began_us;
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(service->guard);
    size_t next = 0;
    log_gather();
    for (size_t i = 0; i < batch->count; i++) {
        struct question *question = &batch->questions[i];
        if (!question->judged)
            continue;
        const struct verdict *verdict = &batch->verdicts[next];
        int result = batch->results[next++];
        if (service->recorder != NULL)
            recorder_judged(service->recorder, verdict, result, took_us);
        store_watch_saw(&service->store_watch, service->store, result);
        store_watch_ahead(&service->store_watch, verdict->ahead_ms, now_ms);
        if (verdict->block_damaged)
            store_watch_damaged(&service->store_watch, verdict->submission->mailbox, now_ms);
        if (verdict->used_up)
            store_watch_used_up(&service->store_watch, verdict->submission->mailbox, now_ms);
        policy_answer(question->arena, snapshot_catalogue(snapshot), verdict,
                      snapshot_settings(snapshot)->support_contact, question->answer);
        log_verdict(verdict, question->answer);
        if (question->transaction.instance[0] != '\0')
            collector_forget(service->collector, &question->transaction);
    }
    log_release();
}

void policy_batch_answer(struct policy_batch *batch, int64_t now_ms,
                         void (*answered)(void *asker, const char *answer, size_t length))
{
    if (batch->to_judge > 0)
        judge(batch, now_ms);
    for (size_t i = 0; i < batch->count; i++) {
        struct question *question = &batch->questions[i];
        answered(question->asker, question->answer, strlen(question->answer));
        arena_reset(question->arena);
    }
    batch->count = batch->to_judge = 0;
}
