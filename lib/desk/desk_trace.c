/* What became of one message: found by its decision, its queue id or its reference. */
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "desk/context.h"
#include "desk/delivered.h"
#include "desk/input.h"
#include "guard/keyed_hash.h"
#include "guard/message_search.h"
#include "guard/packing.h"
#include "guard/reference.h"

/* Behind a decision the first line of its message may be so far. */
#define LINES_BEHIND_MS (2 * MINUTE_MS)
/* No queue id is so long, and no reference so short. */
enum { REFERENCE_MIN = 64 };

/* Which message is asked for, and by what it is known again among those of its mailbox. */
struct asked {
    uint64_t decision;
    bool is_near; /* that decision is only the least that it may be */
    const char *mailbox;
    const char *queue_id; /* NULL: not known */
    uint32_t message_id;  /* of the webmail's decision; 0: it is another */
    int64_t recipients;   /* 0: not known */
    const char *state;    /* NULL: it may be traced; else why it is not */
};

static int no_longer_kept(struct problem *problem)
{
    return problem_set(problem, 404, "message",
                       "it is not kept any longer; the list of its mailbox has the messages of %d days",
                       DELIVERY_DAYS);
}

static int no_record(const struct context *context, uint64_t decision, struct problem *problem)
{
    if (decision_time(decision) < context->now_ms - context->settings->keep_admitted_ms)
        return no_longer_kept(problem);
    return problem_set(problem, 404, "message", "there is no message of that decision");
}

/* A long id tells its time. */
static int no_queue_id(const struct context *context, const char *queue_id,
                       struct problem *problem)
{
    int64_t time_us;
    if (!queue_id_time(queue_id, strlen(queue_id), &time_us))
        return problem_set(problem, 404, "message",
                           "no message in the queue has that id, and once it has left the queue a "
                           "short id does not lead to it: ask by its mailbox");
    if (time_us / 1000 < context->now_ms - context->settings->keep_admitted_ms)
        return no_longer_kept(problem);
    return problem_set(problem, 404, "message", "no admitted message has that queue id");
}

static int no_key(struct problem *problem)
{
    return problem_set(problem, 409, "web.secret_file",
                       "it is needed to find this message, and cannot be read");
}

/* ---- by its decision -------------------------------------------------------------------------- */

/* The webmail's id is its Message-ID, from Roundcube with a dot behind and what makes each try
 * another one. */
static int read_webmail(const struct context *context, const char *id, struct asked *asked,
                        struct problem *problem)
{
    const char *dot = strrchr(id, '.');
    size_t length = strlen(id);
    if (dot != NULL && id[length - 1] != '>')
        length = (size_t)(dot - id);
    if (context->desk->key == NULL)
        return no_key(problem);
    freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = context->desk->key};
    asked->message_id = keyed_hash_message_id(&keys, id, length);
    return 1;
}

static int read_record(const struct context *context, const struct record *record,
                       struct asked *asked_r, struct problem *problem)
{
    struct packed_identity identity;
    if (!packing_identity(context->arena, record, &identity))
        return problem_set(problem, 404, "message", "an earlier version decided on it");
    freed_by(json_put) struct json_object *facts =
        guard_read_record(context->desk->guard, context->arena, record, context->now_ms);
    *asked_r = (struct asked){.decision = record->decision, .mailbox = identity.mailbox,
                              .recipients = json_int(facts, "recipients", 0)};
    if (!outcome_passes(record->outcome))
        asked_r->state = "refused";
    else if (identity.channel == CHANNEL_FORWARDING)
        asked_r->state = "forwarding";
    else if (identity.channel == CHANNEL_WEBMAIL)
        return read_webmail(context, identity.id, asked_r, problem);
    if (identity.channel != CHANNEL_WEBMAIL)
        asked_r->queue_id = arena_strndup(context->arena, identity.id, strcspn(identity.id, "/"));
    return 1;
}

/* 1, 0 with *problem, -1. */
static int ask_by_decision(const struct context *context, uint64_t decision, const char *mailbox,
                           struct asked *asked_r, struct problem *problem)
{
    struct record record;
    int found = store_record(context->desk->store, context->arena, decision, context->now_ms,
                             &record);
    if (found < 0)
        return -1;
    if (found == 0 && mailbox == NULL)
        return no_record(context, decision, problem);
    if (found == 0) {
        *asked_r = (struct asked){.decision = decision, .mailbox = mailbox};
        return 1;
    }
    if (!read_record(context, &record, asked_r, problem))
        return 0;
    return mailbox == NULL || strcmp(mailbox, asked_r->mailbox) == 0 ||
           problem_set(problem, 404, "message", "it is of another mailbox");
}

/* ---- by its queue id ------------------------------------------------------------------------------ */

/* It is in the queue. 1, 0, -1. */
static int find_open(const struct message_search *search, const char *queue_id,
                     struct asked *asked_r)
{
    struct kept_open open;
    int found = message_search_open(search, queue_id, &open);
    if (found > 0)
        *asked_r = (struct asked){.decision = open.decision, .mailbox = open.mailbox,
                                  .queue_id = queue_id};
    return found;
}

/* Of a message that began then. 1, 0, -1. */
static int find_record(const struct context *context, const struct message_search *search,
                       const char *queue_id, int64_t began_ms, struct asked *asked_r,
                       struct problem *problem)
{
    struct record record;
    int found = message_search_record(search, queue_id, began_ms, &record);
    return found > 0 ? read_record(context, &record, asked_r, problem) : found;
}

static int ask_by_queue_id(const struct context *context, const struct message_search *search,
                           const char *queue_id, struct asked *asked_r, struct problem *problem)
{
    if (queue_id == NULL || !queue_id_is(queue_id, strlen(queue_id)))
        return problem_set(problem, 400, "message",
                           "expected a decision's id such as 7K3M-Q2XD-9F4A, a queue id, or the "
                           "value of X-Sendguard-Ref");
    int64_t time_us; /* a long id tells it */
    int found = find_open(search, queue_id, asked_r);
    if (found == 0 && queue_id_time(queue_id, strlen(queue_id), &time_us))
        found = find_record(context, search, queue_id, time_us / 1000, asked_r, problem);
    return found != 0 ? found : no_queue_id(context, queue_id, problem);
}

/* ---- by its reference ------------------------------------------------------------------------------ */

/* The record is gone after a day or two; the trace is found without it. */
static int ask_by_reference(const struct context *context, const struct message_search *search,
                            const char *text, const char *mailbox, struct asked *asked_r,
                            struct problem *problem)
{
    struct reference reference;
    if (context->desk->key == NULL)
        return no_key(problem);
    if (!reference_read(context->desk->key, context->arena, text, &reference))
        return problem_set(problem, 400, "message", "it is no reference that was given here");
    if (mailbox != NULL && strcmp(mailbox, reference.mailbox) != 0)
        return problem_set(problem, 404, "message", "it is of another mailbox");
    int found = find_record(context, search, reference.queue_id, reference.at_ms, asked_r, problem);
    if (found < 0 || (found > 0 && strcmp(asked_r->mailbox, reference.mailbox) == 0))
        return found;
    *asked_r = (struct asked){.decision = decision_floor(reference.at_ms - MESSAGE_SEARCH_BEFORE_MS),
                              .is_near = true, .mailbox = reference.mailbox,
                              .queue_id = reference.queue_id};
    return 1;
}

/* ---- one of them ------------------------------------------------------------------------------------ */

/* Some queue ids look like the id of a decision. */
static int ask(const struct context *context, const struct message_search *search,
               const char *message, const char *mailbox, struct asked *asked_r,
               struct problem *problem)
{
    uint64_t decision;
    if (message != NULL && strlen(message) >= REFERENCE_MIN)
        return ask_by_reference(context, search, message, mailbox, asked_r, problem);
    if (message != NULL && decision_parse(message, &decision)) {
        int found = ask_by_decision(context, decision, mailbox, asked_r, problem);
        if (found != 0 || !queue_id_is(message, strlen(message)))
            return found;
    }
    return ask_by_queue_id(context, search, message, asked_r, problem);
}

/* ---- its trace --------------------------------------------------------------------------------------- */

/* A question that the mail server asked again has a decision of its own, and the same queue id. A
 * short queue id comes again. */
static bool is_asked(const struct asked *asked, const struct trace_message *message)
{
    if (asked->message_id != 0)
        return message->message_id == asked->message_id;
    if (asked->is_near && (message->decision < asked->decision ||
                           decision_time(message->decision) >
                               decision_time(asked->decision) + MESSAGE_SEARCH_BEFORE_MS +
                               MESSAGE_SEARCH_AFTER_MS))
        return false;
    return message->decision == asked->decision ||
           (asked->queue_id != NULL && strcmp(message->queue_id, asked->queue_id) == 0);
}

/* The webmail's decision may be of the day before. 1, 0, -1. */
static int find_message(const struct context *context, const struct followed_logs *logs,
                        const struct asked *asked, const struct trace_message **message_r)
{
    for (int64_t day = trace_day(asked->decision); day <= trace_day(asked->decision) + 1; day++) {
        struct trace_message *messages;
        size_t count;
        if (delivery_messages(context->desk->store, context->arena, &logs->sources, asked->mailbox,
                              day, context->now_ms, &messages, &count) < 0)
            return -1;
        for (size_t i = 0; i < count; i++)
            if (is_asked(asked, &messages[i])) {
                *message_r = &messages[i];
                return 1;
            }
    }
    return 0;
}

static const char *why_untraced(const struct asked *asked, const struct followed_logs *logs)
{
    if (asked->state != NULL)
        return asked->state;
    if (logs->count == 0)
        return "not_followed";
    return delivered_logs_until(logs) < decision_time(asked->decision) + LINES_BEHIND_MS ? "waiting"
                                                                                   : "unseen";
}

static struct json_object *untraced(const struct asked *asked, const char *state)
{
    struct json_object *trace = json_object_new_object();
    json_add_string(trace, "state", state);
    json_add_decision(trace, "decision", asked->decision);
    json_add_string(trace, "queue_id", asked->queue_id);
    json_add_string(trace, "mailbox", asked->mailbox);
    json_add_moment(trace, "at", decision_time(asked->decision));
    json_add_bool(trace, "refunded", false);
    struct json_object *recipients = json_add_list(trace, "recipients");
    if (strcmp(state, "waiting") == 0 && asked->recipients > 0) {
        struct json_object *all = json_object_new_object();
        json_add_string(all, "outcome", delivery_names[DELIVERY_PENDING]);
        json_add_int(all, "count", asked->recipients);
        json_object_array_add(recipients, all);
    }
    return trace;
}

int desk_trace(const struct desk *desk, const char *message, const char *mailbox, int64_t now_ms,
               struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(delivered_logs_end) struct followed_logs logs = {0};
    const struct trace_message *traced = NULL;
    struct asked asked;
    struct replies replies;
    struct delivered_holds holds;
    const char *of = NULL;
    if (mailbox != NULL && mailbox[0] != '\0' &&
        !input_mailbox(&context, mailbox, "mailbox", &of, problem))
        return 0;
    if (delivered_logs_read(&context, &logs) < 0)
        return -1;
    const struct message_search search = {desk->store, context.arena, &logs.sources, now_ms};
    int found = ask(&context, &search, message, of, &asked, problem);
    if (found < 1)
        return found;
    found = asked.state == NULL ? find_message(&context, &logs, &asked, &traced) : 0;
    if (found < 0 || (found > 0 && (delivered_replies_read(&context, traced, 1, &replies) < 0 ||
                                    delivered_holds_read(&context, asked.mailbox, &holds) < 0)))
        return -1;
    if (found == 0 && (asked.is_near || now_ms >= delivery_day_end(trace_day(asked.decision))))
        return no_longer_kept(problem);
    *view_r = found > 0 ? delivered_trace(asked.mailbox, traced, &replies, &holds)
                        : untraced(&asked, why_untraced(&asked, &logs));
    if (asked.message_id != 0)
        json_add_decision(*view_r, "webmail_decision", asked.decision);
    return 1;
}
