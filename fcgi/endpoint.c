#include "fcgi/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/decision.h"
#include "base/text.h"
#include "fcgi/answer.h"
#include "fcgi/body.h"
#include "fcgi/request.h"
#include "guard/problem_place.h"

enum { PIECE_BYTES = 16 * 1024 };

struct endpoint_exchange {
    struct endpoint *endpoint;
    struct request request;
    const struct body_source *source;
    struct arena *arena;
    int64_t now_ms;
    struct text *out;
    struct submission submission;
    struct body_claims claims;
    bool to_judge;
};

/* ---- the body ------------------------------------------------------------------ */

/* 1 all of it was there, 0 the peer went away. */
static int drain(const struct body_source *source)
{
    char piece[PIECE_BYTES];
    int length;
    while ((length = source->read(source->context, piece, sizeof piece)) > 0)
        ;
    return length == 0;
}

/* Feeds the whole body. 1 read, 0 with *problem (complete, but wrong), -1 incomplete. */
static int feed(struct body *body, const struct body_source *source, int64_t expected,
                struct problem *problem)
{
    char piece[PIECE_BYTES];
    int length, good = 1;
    int64_t seen = 0;
    while ((length = source->read(source->context, piece, sizeof piece)) > 0) {
        seen += length;
        if (good > 0)
            good = body_add(body, piece, (size_t)length, problem);
    }
    return length < 0 || seen < expected ? -1 : good;
}

static int read_body(struct endpoint_exchange *exchange, struct problem *problem)
{
    freed_by(body_free) struct body *body = NULL;
    const struct request *request = &exchange->request;
    if (body_new(&exchange->submission, request->content_type, request->forward != NULL, &body,
                 problem) < 1)
        return drain(exchange->source) ? 0 : -1;
    int good = feed(body, exchange->source, request->content_length, problem);
    return good < 1 ? good : body_end(body, &exchange->claims, problem);
}

/* At the gate: many a webmail takes recipients from the query as well, so they count too. */
static int read_gate_query(struct endpoint_exchange *exchange, struct problem *problem)
{
    freed_by(body_free) struct body *body = NULL;
    struct body_claims claims;
    const char *query = exchange->request.query;
    if (query == NULL)
        return 1;
    if (body_new(&exchange->submission, "application/x-www-form-urlencoded", true, &body,
                 problem) < 1 ||
        body_add(body, query, strlen(query), problem) < 1)
        return 0;
    return body_end(body, &claims, problem);
}

/* ---- who sends ------------------------------------------------------------------- */

static int no_mailbox(const struct request *request, struct problem *problem)
{
    return problem_set(problem, 401, "mailbox",
                       request->trusted ? "is missing; a trusted caller names it"
                                        : "nobody is signed in (REMOTE_USER is empty)");
}

static int set_sender(struct endpoint_exchange *exchange, struct problem *problem)
{
    const struct request *request = &exchange->request;
    const char *mailbox = request->trusted ? exchange->claims.mailbox : request->mailbox;
    const char *ip = request->trusted ? exchange->claims.ip : request->remote_addr;
    if (mailbox == NULL || *mailbox == '\0')
        return no_mailbox(request, problem);
    if (submission_set_mailbox(&exchange->submission, mailbox, strlen(mailbox), problem) < 1)
        return 0;
    if (ip != NULL && *ip != '\0')
        return submission_set_ip(&exchange->submission, ip, strlen(ip), problem);
    return 1;
}

/* In gate mode the id would come from the sender's own browser, who could send under one id all day:
 * it is not believed. */
static void set_id(struct endpoint_exchange *exchange)
{
    if (exchange->submission.id == NULL || exchange->request.forward != NULL)
        submission_make_id(&exchange->submission);
}

/* At the gate: the language of the texts is the browser's, unless the body says another one. */
static int set_lang(struct endpoint_exchange *exchange, struct problem *problem)
{
    if (exchange->request.languages == NULL)
        return 1;
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(exchange->endpoint->guard);
    const char *lang = catalogue_language(snapshot_catalogue(snapshot), exchange->request.languages);
    return submission_set_lang(&exchange->submission, lang, strlen(lang), problem);
}

/* ---- logging ------------------------------------------------------------------------ */

static void log_verdict(const struct verdict *verdict, int status)
{
    char decision[DECISION_TEXT_SIZE], recipients[TEXT_DIGITS_SIZE], code[TEXT_DIGITS_SIZE];
    char unusual[TEXT_DIGITS_SIZE];
    if (verdict->dry_run || verdict->decision == 0)
        return;
    decision_format(verdict->decision, decision);
    bool ordinary = verdict->kind == VERDICT_ADMIT && !verdict->unusual.first;
    log_line(ordinary ? LOG_INFO_LEVEL : LOG_WARNING_LEVEL, "decision",
             "decision", decision, "verdict", verdict_labels[verdict_label(verdict)], "status",
             text_digits(code, status), "mailbox", verdict->submission->mailbox, "ip",
             verdict->submission->ip, "recipients",
             text_digits(recipients, (int64_t)verdict->submission->recipient_count), "rule",
             verdict_rule(verdict), "shadow", verdict_shadow(verdict), "unusual",
             unusual_is(&verdict->unusual) ? text_digits(unusual, verdict->unusual.new_recipients)
                                           : NULL,
             NULL);
}

/* ---- the two things that can be asked ---------------------------------------------------- */

/* Everything that comes before the guard: 1 it is to be judged, or answered already. */
static int read_submission(struct endpoint_exchange *exchange, struct problem *problem)
{
    const struct request *request = &exchange->request;
    submission_init(&exchange->submission, exchange->arena, CHANNEL_WEBMAIL);
    exchange->submission.password_changed = request->password_changed;
    exchange->submission.hints = request->hints;
    if (!set_lang(exchange, problem))
        return drain(exchange->source) ? 0 : -1;
    int good = read_body(exchange, problem);
    if (good > 0)
        good = read_gate_query(exchange, problem);
    if (good < 1)
        return good;
    /* Sign-ins, uploads and drafts pass the gate too; only a send is judged. */
    bool draft = exchange->claims.draft && !request->action_in_cookie;
    if (request->forward != NULL && (draft || exchange->submission.recipient_count == 0)) {
        answer_forward(exchange->out, request->forward);
        return 1;
    }
    if (set_sender(exchange, problem) < 1)
        return 0;
    if (request->hints && !hint_limit_take(&exchange->endpoint->hint_limit,
                                           exchange->submission.mailbox, exchange->now_ms))
        return problem_set(problem, 429, "hints", "are asked for too often, for this mailbox");
    set_id(exchange);
    if (exchange->submission.recipient_count == 0 && !request->hints)
        return problem_set(problem, 400, "to", "there is no recipient in to, cc or bcc");
    exchange->to_judge = true;
    return 1;
}

static void answer_judged(const struct endpoint_exchange *exchange, const struct verdict *verdict)
{
    const char *forward = exchange->request.forward;
    int status = verdict->kind == VERDICT_ADMIT && forward != NULL
                     ? answer_forward(exchange->out, forward)
                     : answer_verdict(exchange->out, verdict);
    log_verdict(verdict, status);
}

void endpoint_judge(struct endpoint *endpoint, struct endpoint_exchange *const *exchanges,
                    size_t count, int64_t now_ms)
{
    const struct submission *submissions[JUDGE_MAX];
    struct verdict verdicts[JUDGE_MAX];
    int results[JUDGE_MAX];
    bool dry_runs[JUDGE_MAX];
    for (size_t i = 0; i < count; i++) {
        submissions[i] = &exchanges[i]->submission;
        dry_runs[i] = exchanges[i]->request.dry_run;
    }
    int64_t began_us = clock_monotonic_us();
    guard_judge_all(endpoint->guard, submissions, dry_runs, verdicts, results, count, now_ms);
    int64_t took_us = clock_monotonic_us() - began_us;
    log_gather();
    for (size_t i = 0; i < count; i++) {
        if (endpoint->recorder != NULL && !dry_runs[i])
            recorder_judged(endpoint->recorder, &verdicts[i], results[i], took_us);
        store_watch_saw(&endpoint->store_watch, endpoint->store, results[i]);
        store_watch_ahead(&endpoint->store_watch, verdicts[i].ahead_ms, now_ms);
        if (verdicts[i].block_damaged)
            store_watch_damaged(&endpoint->store_watch, verdicts[i].submission->mailbox, now_ms);
        if (verdicts[i].used_up)
            store_watch_used_up(&endpoint->store_watch, verdicts[i].submission->mailbox, now_ms);
        answer_judged(exchanges[i], &verdicts[i]);
    }
    log_release();
}

static int refund(struct endpoint_exchange *exchange, struct problem *problem)
{
    const struct request *request = &exchange->request;
    const char *mailbox;
    if (!drain(exchange->source))
        return -1;
    if (request->mailbox == NULL || *request->mailbox == '\0')
        return no_mailbox(request, problem);
    if (address_key(exchange->arena, request->mailbox, strlen(request->mailbox), &mailbox,
                    problem) < 1) {
        snprintf(problem->where, sizeof problem->where, "mailbox");
        return 0;
    }
    int answer =
        guard_refund(exchange->endpoint->guard, mailbox, request->id, exchange->now_ms);
    store_watch_saw(&exchange->endpoint->store_watch, exchange->endpoint->store, answer);
    if (answer < 0)
        return problem_set(problem, 503, "store", "does not answer; nothing is known to be given "
                                                  "back, please try again");
    if (answer == 0)
        return problem_set(problem, 404, "id", "no message of this mailbox that can be refunded "
                                               "is counted under it");
    log_line(LOG_INFO_LEVEL, "refunded", "mailbox", mailbox, NULL);
    answer_refunded(exchange->out);
    return 1;
}

static void tell_problem(struct endpoint_exchange *exchange, const struct problem *problem,
                         const char *allow)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(exchange->endpoint->guard);
    const struct catalogue *catalogue = snapshot_catalogue(snapshot);
    const char *asked = exchange->submission.lang; /* NULL when nothing was read */
    const struct answer_place place = {
        .english = problem_place_text(catalogue, exchange->arena, "en", problem->where),
        .told = problem_place_text(catalogue, exchange->arena, catalogue_language(catalogue, asked),
                                   problem->where),
        .shown = exchange->request.forward != NULL,
    };
    answer_problem(exchange->out, problem, &place, allow);
}

int endpoint_read(struct endpoint *endpoint, const char *const *params,
                  const struct body_source *source, struct arena *arena, int64_t now_ms,
                  struct text *out, struct endpoint_exchange **to_judge_r)
{
    struct endpoint_exchange *exchange = arena_alloc(arena, sizeof *exchange);
    *exchange = (struct endpoint_exchange){
        .endpoint = endpoint, .source = source, .arena = arena, .now_ms = now_ms, .out = out};
    struct problem problem = {0};
    const char *allow = NULL;
    int good;
    *to_judge_r = NULL;
    if (request_read(params, arena, &exchange->request, &allow, &problem) < 1)
        good = drain(source) ? 0 : -1;
    else if (exchange->request.asked == ASKED_REFUND)
        good = refund(exchange, &problem);
    else
        good = read_submission(exchange, &problem);
    if (good < 0)
        return 0;
    if (good == 0)
        tell_problem(exchange, &problem, allow);
    else if (exchange->to_judge)
        *to_judge_r = exchange;
    return 1;
}
