/* Messages that Postfix holds since their mailbox sent at an unusual rate, and what the postmaster
 * answers: it was its user, and they are released in the order in which they came; or it was not,
 * and they are deleted.
 *
 * The answer is kept last, in the step that ends the hold, and only if no message has come since:
 * what is interrupted stands on the list as before, and is done again. Each step may be done twice:
 * a mailbox that is locked is locked, a refund is made once, and what Postfix does not hold any more
 * is left alone. */
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "desk/context.h"
#include "desk/desk_held.h"
#include "desk/input.h"
#include "desk/view.h"
#include "guard/held.h"
#include "mailqueue/mailqueue.h"

enum {
    ATTEMPTS = 10, /* more messages come meanwhile */
    NOTE_MAX_BYTES = 255,
    VALUES_PAGE = 64,
    LISTED_MESSAGES = 100, /* of each mailbox in the list of all */
    AUDIT_LOOKED_AT = 20,
};
/* What Postfix does not hold so soon after it was judged may be on its way there. */
#define ARRIVES_MS MINUTE_MS
/* So far may the clock of Postfix' machine be ahead. */
#define CLOCKS_MS MINUTE_MS

static const char release_name[] = "release", reject_name[] = "reject";

/* ---- what there is -------------------------------------------------------------------------- */

static const char *sentence_of(struct arena *arena, const struct unusual *unusual)
{
    static const char network[] = " It was sent from a network that was first used less than 24 "
                                  "hours before.";
    static const char no_history[] = " The mailbox was known for less than 7 days.";
    return arena_printf(arena,
                        "Within an hour this mailbox wrote to %u people that it had not written to "
                        "in 90 days, at %u new domain%s; its busiest hour on the 28 days before "
                        "had %u.%s%s",
                        (unsigned)unusual->new_recipients, (unsigned)unusual->new_domains,
                        unusual->new_domains == 1 ? "" : "s", (unsigned)unusual->busiest,
                        unusual->network_new ? network : "",
                        unusual_is(unusual) && unusual_has_no_history(unusual) ? no_history : "");
}

static void add_messages(const struct held *held, size_t max, struct json_object *view)
{
    struct json_object *list = json_add_list(view, "messages");
    int64_t recipients = 0;
    for (size_t i = 0; i < held->listed; i++) {
        recipients += held->messages[i].recipients;
        if (i >= max)
            continue;
        struct json_object *one = json_object_new_object();
        json_add_string(one, "queue_id", held->messages[i].queue_id);
        json_add_decision(one, "decision", held->messages[i].decision);
        json_add_moment(one, "at", decision_time(held->messages[i].decision));
        json_add_int(one, "recipients", held->messages[i].recipients);
        json_object_array_add(list, one);
    }
    json_add_int(view, "recipients", recipients);
}

/* That wait, beyond those of which queue ids are kept. */
static int64_t unlisted(const struct held *held)
{
    return held->action == UNUSUAL_HOLD ? held->count - (int64_t)held->listed : 0;
}

static struct json_object *view_of(const struct context *context, const struct held_mailbox *one,
                                   size_t max)
{
    const struct held *held = &one->held;
    struct json_object *view = json_object_new_object();
    json_add_string(view, "mailbox", one->mailbox);
    json_add_string(view, "action", unusual_action_names[held->action]);
    json_add_moment(view, "since", held->since_ms);
    json_add_moment(view, "last_at", held->last_ms);
    json_add_string(view, "sentence", sentence_of(context->arena, &held->unusual));
    json_add(view, "unusual", view_unusual(&held->unusual));
    json_add_int(view, "most", held->most);
    json_add_int(view, "count", held->count);
    json_add_int(view, "unlisted", unlisted(held));
    add_messages(held, max, view);
    return view;
}

struct held_sums {
    int64_t mailboxes, messages, oldest_ms; /* 0: none waits */
};

static void add_sums(struct held_sums *sums, const struct held *held)
{
    sums->mailboxes++;
    sums->messages += held->count;
    if (sums->oldest_ms == 0 || held->since_ms < sums->oldest_ms)
        sums->oldest_ms = held->since_ms;
}

/* Those that stand there the longest, the oldest first; or those that came last, the newest
 * first. */
struct held_row {
    const struct held_mailbox *of[DESK_HELD_MAX];
    size_t count;
    bool newest_first;
};

static bool comes_before(const struct held_row *row, const struct held *one,
                         const struct held *other)
{
    return row->newest_first ? one->last_ms > other->last_ms : one->since_ms < other->since_ms;
}

static void add_to_row(struct held_row *row, const struct held_mailbox *one)
{
    size_t at = row->count;
    while (at > 0 && comes_before(row, &one->held, &row->of[at - 1]->held))
        at--;
    if (at == DESK_HELD_MAX)
        return;
    row->count += row->count < DESK_HELD_MAX;
    memmove(row->of + at + 1, row->of + at, (row->count - at - 1) * sizeof row->of[0]);
    row->of[at] = one;
}

/* All, by pages: those of which messages wait, and in `lately` the others. NULL: none of them. 1 or
 * -1. */
static int each_held(const struct context *context, struct held_row *waiting,
                     struct held_row *lately, struct held_sums *sums)
{
    const char *after = "";
    struct store_page page = {.max = VALUES_PAGE, .more = true};
    while (page.more) {
        struct held_mailbox *list = arena_alloc(context->arena, VALUES_PAGE * sizeof *list);
        if (held_list(context->desk->store, context->arena, after, context->now_ms, list,
                      &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++) {
            bool waits = list[i].held.action == UNUSUAL_HOLD;
            struct held_row *of = waits ? waiting : lately;
            if (waits)
                add_sums(sums, &list[i].held);
            if (of != NULL)
                add_to_row(of, &list[i]);
        }
        if (page.count > 0)
            after = list[page.count - 1].mailbox;
    }
    return 1;
}

static void add_views(const struct context *context, const struct held_row *row, const char *name,
                      struct json_object *view)
{
    struct json_object *list = json_add_list(view, name);
    for (size_t i = 0; i < row->count; i++)
        json_object_array_add(list, view_of(context, row->of[i], LISTED_MESSAGES));
}

static void add_the_sums(const struct held_sums *sums, struct json_object *view)
{
    json_add_int(view, "mailboxes", sums->mailboxes);
    json_add_int(view, "messages", sums->messages);
    json_add_moment(view, "oldest_since", sums->oldest_ms);
}

int desk_held_sums(const struct desk *desk, int64_t now_ms, struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct held_sums sums = {0};
    if (each_held(&context, NULL, NULL, &sums) < 0)
        return -1;
    *view_r = json_object_new_object();
    add_the_sums(&sums, *view_r);
    return 1;
}

int desk_held(const struct desk *desk, int64_t now_ms, struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct held_sums sums = {0};
    struct held_row waiting = {.count = 0}, lately = {.newest_first = true};
    json_add_moment(view, "now", now_ms);
    if (each_held(&context, &waiting, &lately, &sums) < 0)
        return -1;
    add_views(&context, &waiting, "held", view);
    add_views(&context, &lately, "lately", view);
    add_the_sums(&sums, view);
    *view_r = take(view);
    return 1;
}

int desk_held_waits(const struct context *context, const char *mailbox)
{
    struct held_mailbox one;
    int found = held_read(context->desk->store, context->arena, mailbox, context->now_ms, &one);
    return found > 0 ? one.held.action == UNUSUAL_HOLD : found;
}

int desk_held_add(const struct context *context, const char *mailbox, struct json_object *view)
{
    struct held_mailbox one;
    int found = held_read(context->desk->store, context->arena, mailbox, context->now_ms, &one);
    json_add(view, "held", found > 0 && one.held.action == UNUSUAL_HOLD
                               ? view_of(context, &one, LISTED_MESSAGES)
                               : NULL);
    return found < 0 ? -1 : 1;
}

static void add_own(struct json_object *view, const char *name, bool any, uint32_t count,
                    const char *moment, int64_t moment_ms)
{
    if (!any) {
        json_add_null(view, name);
        return;
    }
    struct json_object *own = json_add_object(view, name);
    json_add_int(own, "count", count);
    json_add_moment(own, moment, moment_ms);
}

int desk_held_add_own(const struct context *context, const char *mailbox, struct json_object *view)
{
    struct held_mailbox one = {0};
    struct held_rejected rejected = {0};
    int found = held_read(context->desk->store, context->arena, mailbox, context->now_ms, &one);
    if (found < 0 || held_rejected(context->desk->store, context->arena, mailbox, context->now_ms,
                                   &rejected) < 0)
        return -1;
    add_own(view, "held", found > 0 && one.held.action == UNUSUAL_HOLD, one.held.count, "since",
            one.held.since_ms);
    add_own(view, "rejected", rejected.count > 0, rejected.count, "at", rejected.at_ms);
    return 1;
}

/* ---- an answer ------------------------------------------------------------------------------ */

struct answering {
    const struct context *context;
    const struct person *person;
    const char *mailbox, *note;
    bool releases, by_hand;
    bool locks; /* the mailbox was locked for it */
    int64_t seen; /* messages that were shown, of by_hand; -1: none were */
    struct held_mailbox found;
    size_t acted; /* of its messages, the first ones */
    size_t counts[MAILQUEUE_RESULTS];
    size_t refunded;
    struct json_object *results;
};

static enum mailqueue_verb verb_of(const struct answering *answering)
{
    return answering->releases ? MAILQUEUE_RELEASE : MAILQUEUE_DELETE;
}

/* Else its messages were deferred or noted: there is nothing to act on in Postfix. */
static bool waits(const struct answering *answering)
{
    return answering->found.held.action == UNUSUAL_HOLD;
}

/* The names of the actions in the audit log, of a rejection and of a release. */
static const char *const action_names[] = {"held_reject", "held_release"};

static const char *name_of(const struct answering *answering)
{
    return action_names[answering->releases];
}

static bool has_id(const struct held_message *message)
{
    return queue_id_is(message->queue_id, strlen(message->queue_id));
}

/* Why there is nothing to answer: who was faster is named. 0 with *problem, or -1. */
static int tell_none(const struct answering *answering, struct problem *problem)
{
    const struct context *context = answering->context;
    struct audit *newest = arena_alloc(context->arena, AUDIT_LOOKED_AT * sizeof newest[0]);
    struct store_page page = {.max = AUDIT_LOOKED_AT};
    const char *locked = answering->locks ? ". The mailbox is locked now" : "";
    if (store_audit_newest(context->desk->store, answering->mailbox, INT64_MAX, newest, &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count; i++) {
        bool released = strcmp(newest[i].action, action_names[1]) == 0;
        if ((released || strcmp(newest[i].action, action_names[0]) == 0) &&
            newest[i].at_ms > context->now_ms - DAY_MS)
            return problem_set(problem, 409, "mailbox",
                               "no message of it waits for an answer: %s has answered that it was %s%s",
                               newest[i].by, released ? "its user" : "somebody else", locked);
    }
    return problem_set(problem, 409, "mailbox", "no message of it waits for an answer%s", locked);
}

/* 1; 0 with *problem: nothing of it waits, or does any more, nor was deferred or noted; -1. */
static int read_found(struct answering *answering, struct problem *problem)
{
    const struct context *context = answering->context;
    int found = held_read(context->desk->store, context->arena, answering->mailbox,
                          context->now_ms, &answering->found);
    return found != 0 ? found : tell_none(answering, problem);
}

static int unreachable(enum mailqueue_answer answer, const struct problem *of_helper,
                       struct problem *problem)
{
    return problem_set(problem, 409, answer == MAILQUEUE_ABSENT ? "by_hand" : "",
                       "%s %s: %s. What was done stays, and is not done again; do it again, or by "
                       "hand and say so (by_hand)", of_helper->where,
                       answer == MAILQUEUE_ABSENT      ? "is not there"
                       : answer == MAILQUEUE_FORBIDDEN ? "may not be asked"
                                                       : "failed",
                       of_helper->text);
}

static void note_result(struct answering *answering, const struct held_message *message,
                        enum mailqueue_result result)
{
    struct json_object *one = json_object_new_object();
    json_add_string(one, "queue_id", message->queue_id);
    json_add_string(one, "result", mailqueue_result_names[result]);
    json_object_array_add(answering->results, one);
    answering->counts[result]++;
}

static bool may_arrive(const struct answering *answering, const struct held_message *message)
{
    return decision_time(message->decision) > answering->context->now_ms - ARRIVES_MS;
}

/* What Postfix made of each, in order. 1; 0 with *problem: one is not settled. */
static int settle(struct answering *answering, const struct held_message *messages, size_t count,
                  const enum mailqueue_result *results, struct problem *problem)
{
    for (size_t i = 0; i < count; i++) {
        bool absent = results[i] == MAILQUEUE_NO_SUCH || results[i] == MAILQUEUE_NOT_HELD;
        if (absent && may_arrive(answering, &messages[i]))
            return problem_set(problem, 409, "", "message %s came a moment ago, and is not in the "
                               "hold queue yet: do it again in a minute", messages[i].queue_id);
        if (results[i] == MAILQUEUE_FAILED || results[i] == MAILQUEUE_NOT_KNOWN)
            return problem_set(problem, 409, "", "Postfix fails at message %s; the log of "
                               "sendguard-postqueue says why. Do it again", messages[i].queue_id);
        note_result(answering, &messages[i], results[i]);
        answering->acted++;
    }
    return 1;
}

/* Not another message that has the same queue id and came later: short ids come again. */
static bool is_among(const struct mailqueue_list *list, const struct held_message *message)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->messages[i].id, message->queue_id) == 0)
            return list->messages[i].arrived_ms <= decision_time(message->decision) + CLOCKS_MS;
    return false;
}

/* What is not on hold any more is not asked for: so a Postfix that is too slow for all of them at once
 * is done with some more each time. list: what it holds. */
static bool is_asked_for(const struct mailqueue_list *list, const struct held_message *message)
{
    return has_id(message) && (list->more || is_among(list, message));
}

/* Releases or deletes the messages that were not yet. 1; 0 with *problem. */
static int act_on_messages(struct answering *answering, const struct mailqueue_list *list,
                           struct problem *problem)
{
    const struct context *context = answering->context;
    const struct held *held = &answering->found.held;
    const struct held_message *messages = held->messages + answering->acted;
    size_t count = held->listed - answering->acted, asked = 0;
    const char **ids = arena_alloc(context->arena, (count + 1) * sizeof *ids);
    enum mailqueue_result *results = arena_alloc(context->arena, (count + 1) * sizeof *results);
    enum mailqueue_result *of_all = arena_alloc(context->arena, (count + 1) * sizeof *of_all);
    struct problem of_helper;
    for (size_t i = 0; i < count; i++)
        if (is_asked_for(list, &messages[i]))
            ids[asked++] = messages[i].queue_id;
    enum mailqueue_answer answer = mailqueue_act(context->settings->postqueue_socket,
                                                 verb_of(answering), ids, asked, results,
                                                 &of_helper);
    if (answer != MAILQUEUE_DONE)
        return unreachable(answer, &of_helper, problem);
    for (size_t i = 0, next = 0; i < count; i++)
        of_all[i] = is_asked_for(list, &messages[i]) ? results[next++] : MAILQUEUE_NO_SUCH;
    return settle(answering, messages, count, of_all, problem);
}

/* What is to be deleted is given back before: so it is not forgotten, and it is done once. `list`:
 * what Postfix holds; NULL, or not whole: all are taken for held. 1 or -1. */
static int refund_those(struct answering *answering, const struct mailqueue_list *list)
{
    const struct context *context = answering->context;
    const struct held *held = &answering->found.held;
    for (size_t i = answering->acted; i < held->listed; i++) {
        if (list != NULL && !list->more && !is_among(list, &held->messages[i]))
            continue;
        int refunded = guard_refund_decision(context->desk->guard, context->arena,
                                             answering->mailbox, held->messages[i].decision,
                                             context->now_ms);
        if (refunded < 0)
            return -1;
        answering->refunded += refunded > 0;
    }
    return 1;
}

/* In Postfix, once; what is deleted is given back before. 1; 0 with *problem; -1. */
static int act_in_postfix(struct answering *answering, struct problem *problem)
{
    struct mailqueue_list list;
    struct problem of_helper;
    enum mailqueue_answer answer =
        mailqueue_held(answering->context->settings->postqueue_socket, &list, &of_helper);
    if (answer != MAILQUEUE_DONE)
        return unreachable(answer, &of_helper, problem);
    int done = answering->releases ? 1 : refund_those(answering, &list);
    if (done > 0)
        done = act_on_messages(answering, &list, problem);
    mailqueue_list_free(&list);
    return done;
}

/* Somebody has done it. 1 or -1. */
static int note_by_hand(struct answering *answering)
{
    int done = answering->releases ? 1 : refund_those(answering, NULL);
    answering->acted = answering->found.held.listed;
    return done;
}

/* As the lock of somebody whose password a stranger has; it is one already: nothing is to be done. */
static int lock(struct answering *answering, bool preview, struct json_object **view_r,
                struct problem *problem)
{
    freed_by(json_put) struct json_object *words = json_object_new_object();
    json_add_string(words, "action", "lock");
    json_add_string(words, "note", answering->note);
    return desk_lock_act(answering->context->desk, answering->person, answering->mailbox, words,
                         preview, answering->context->now_ms, view_r, problem);
}

static const char *detail_of(const struct answering *answering)
{
    const size_t *counts = answering->counts;
    return arena_printf(answering->context->arena,
                        "{\"was\":\"%s\",\"messages\":%lld,\"%s\":%zu,\"gone\":%zu,"
                        "\"refunded\":%zu,\"by_hand\":%s}",
                        unusual_action_names[answering->found.held.action],
                        (long long)answering->found.held.count,
                        answering->releases ? "released" : "deleted",
                        counts[answering->releases ? MAILQUEUE_RELEASED : MAILQUEUE_DELETED],
                        counts[MAILQUEUE_NO_SUCH] + counts[MAILQUEUE_NOT_HELD],
                        answering->refunded, answering->by_hand ? "true" : "false");
}

/* Reads it, and compares it with what was shown: nobody releases more than he has seen. 1; 0 with
 * *problem; -1. */
static int read_shown(struct answering *answering, struct problem *problem)
{
    if (answering->by_hand && answering->seen < 0)
        return problem_set(problem, 400, "seen", "expected `seen` of the preview, with by_hand");
    int read = read_found(answering, problem);
    bool compares = answering->by_hand || (answering->releases && answering->seen >= 0);
    if (read > 0 && compares && answering->found.held.count != answering->seen)
        return problem_set(problem, 409, "seen", "more messages came since they were shown: look "
                                                 "again");
    return read;
}

/* 1; 0 with *problem, or (status 0) more has come meanwhile; -1. */
static int answer_once(struct answering *answering, struct problem *problem)
{
    const struct context *context = answering->context;
    const struct action action = {context->now_ms, answering->person->name, answering->note};
    int read = read_shown(answering, problem);
    if (read < 1)
        return read;
    int done = !waits(answering)    ? 1
               : answering->by_hand ? note_by_hand(answering)
                                    : act_in_postfix(answering, problem);
    if (done < 1)
        return done;
    const struct audited audited = {name_of(answering), answering->mailbox, detail_of(answering),
                                    &action};
    return held_answer(context->desk->store, &answering->found,
                       answering->releases ? HELD_WAS_USER : HELD_WAS_OTHER, &audited,
                       context->now_ms);
}

static int carry_out(struct answering *answering, struct problem *problem)
{
    freed_by(json_put) struct json_object *locked = NULL;
    int answer = read_shown(answering, problem); /* who was answered already is not locked */
    if (answer > 0 && !answering->releases)
        answer = lock(answering, false, &locked, problem);
    if (answer < 1)
        return answer;
    answering->locks = !answering->releases;
    problem->status = 0;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        answer = answer_once(answering, problem);
        if (answer != 0 || problem->status != 0)
            return answer;
    }
    return problem_set(problem, 409, "", "messages come all the time; do it again");
}

/* ---- what would be done --------------------------------------------------------------------- */

/* What somebody types where the helper cannot be asked. */
static void add_commands(const struct answering *answering, struct json_object *view)
{
    const struct held *held = &answering->found.held;
    const char *config = answering->context->settings->postqueue_config_directory;
    freed_by(text_free) struct text first = {0};
    struct json_object *commands = json_add_list(view, "commands");
    text_add(&first, "printf '%s\\n'");
    for (size_t i = 0; i < held->listed; i++)
        if (has_id(&held->messages[i]))
            text_addf(&first, " %s", held->messages[i].queue_id);
    text_addf(&first, " | postsuper -c %s %s", config, answering->releases ? "-H -" : "-d - hold");
    json_object_array_add(commands, json_object_new_string(text_string(&first)));
    if (!answering->releases)
        return;
    text_clear(&first);
    text_addf(&first, "postqueue -c %s -f", config);
    json_object_array_add(commands, json_object_new_string(text_string(&first)));
}

static const char *const helper_names[] = {
    [MAILQUEUE_DONE] = "ready", [MAILQUEUE_ABSENT] = "absent",
    [MAILQUEUE_FORBIDDEN] = "forbidden", [MAILQUEUE_BROKEN] = "broken"};

/* Asks the helper: which of the messages are there. */
static void add_helper(const struct answering *answering, struct json_object *view)
{
    const struct held *held = &answering->found.held;
    struct mailqueue_list list = {0};
    struct problem problem;
    int64_t gone = 0;
    enum mailqueue_answer answer = MAILQUEUE_DONE;
    if (waits(answering))
        answer = mailqueue_held(answering->context->settings->postqueue_socket, &list, &problem);
    json_add_string(view, "helper", helper_names[answer]);
    for (size_t i = 0; i < held->listed && answer == MAILQUEUE_DONE && !list.more; i++)
        gone += !is_among(&list, &held->messages[i]);
    json_add_int(view, "gone", gone);
    mailqueue_list_free(&list);
    if (answer != MAILQUEUE_DONE)
        add_commands(answering, view);
}

/* 1; 0 with *problem; -1. */
static int preview_of(struct answering *answering, struct json_object *view,
                      struct problem *problem)
{
    freed_by(json_put) struct json_object *locked = NULL;
    int read = read_found(answering, problem);
    if (read < 1)
        return read;
    int answer = answering->releases ? 1 : lock(answering, true, &locked, problem);
    if (answer < 1)
        return answer;
    json_add_string(view, "lock", json_string(locked, "was", NULL));
    json_add(view, "held", view_of(answering->context, &answering->found, LISTED_MESSAGES));
    json_add_int(view, "seen", answering->found.held.count);
    add_helper(answering, view);
    return 1;
}

static void add_done(const struct answering *answering, struct json_object *view)
{
    const size_t *counts = answering->counts;
    json_add_int(view, "released", (int64_t)counts[MAILQUEUE_RELEASED]);
    json_add_int(view, "deleted", (int64_t)counts[MAILQUEUE_DELETED]);
    json_add_int(view, "gone",
                 (int64_t)(counts[MAILQUEUE_NO_SUCH] + counts[MAILQUEUE_NOT_HELD]));
    json_add_int(view, "refunded", (int64_t)answering->refunded);
    json_add_int(view, "unlisted", unlisted(&answering->found.held));
    json_add(view, "results", json_object_get(answering->results));
}

/* ---- words ---------------------------------------------------------------------------------- */

static int read_by_hand(struct answering *answering, struct json_object *value,
                        struct problem *problem)
{
    answering->by_hand = json_object_get_boolean(value);
    return json_object_is_type(value, json_type_boolean) ||
           problem_set(problem, 400, "by_hand", "expected true or false");
}

static int read_words(struct json_object *words, struct answering *answering,
                      struct problem *problem)
{
    const char *action = NULL, *seen = NULL;
    json_object_object_foreach(words, name, value)
    {
        if (strcmp(name, "by_hand") == 0) {
            if (!read_by_hand(answering, value, problem))
                return 0;
            continue;
        }
        const char **word_r = strcmp(name, "action") == 0 ? &action
                              : strcmp(name, "seen") == 0 ? &seen
                              : strcmp(name, "note") == 0 ? &answering->note
                                                          : NULL;
        if (word_r == NULL)
            return problem_set(problem, 400, name, "there is no such member");
        if (!input_word(answering->context, value, name, word_r, problem))
            return 0;
    }
    answering->releases = action != NULL && strcmp(action, release_name) == 0;
    if (!answering->releases && (action == NULL || strcmp(action, reject_name) != 0))
        return problem_set(problem, 400, "action", "expected %s or %s", release_name, reject_name);
    if (answering->note == NULL || strlen(answering->note) > NOTE_MAX_BYTES)
        return problem_set(problem, 400, "note", "expected 1 to %d bytes: why", NOTE_MAX_BYTES);
    return input_number(seen, "seen", 0, -1, &answering->seen, problem);
}

int desk_held_act(const struct desk *desk, const struct person *person, const char *mailbox,
                  struct json_object *words, bool preview, int64_t now_ms,
                  struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    freed_by(json_put) struct json_object *results = json_object_new_array();
    struct answering answering = {.context = &context, .person = person, .results = results};
    if (!input_mailbox(&context, mailbox, "mailbox", &answering.mailbox, problem) ||
        !read_words(words, &answering, problem))
        return 0;
    if (person->role < ROLE_SUPPORT)
        return problem_set(problem, 403, "", "your role may look, but not act");
    int answer = preview ? preview_of(&answering, view, problem) : carry_out(&answering, problem);
    if (answer < 1)
        return answer;
    json_add_moment(view, "now", now_ms);
    json_add_string(view, "mailbox", answering.mailbox);
    json_add_string(view, "action", answering.releases ? release_name : reject_name);
    json_add_string(view, "was", unusual_action_names[answering.found.held.action]);
    json_add_bool(view, "done", !preview);
    if (!preview)
        add_done(&answering, view);
    *view_r = take(view);
    return 1;
}
