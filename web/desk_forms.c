#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "http/submission_json.h"
#include "web/desk_views.h"

/* What staff fill in. A form that cannot be taken comes back as it was typed,
 * with what is wrong; nothing is done before its preview was seen. */

/* ---- what was typed -------------------------------------------------------------------------- */

static bool is_frame(const char *name)
{
    static const char *const names[] = {"csrf", "confirm", "done", "also", "seen", "sure"};
    for (size_t i = 0; i < countof(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

struct json_object *desk_forms_typed(const struct exchange *exchange)
{
    struct json_object *request = json_object_new_object();
    json_object_object_foreach(exchange->request->params, name, value)
    {
        const char *text = json_object_is_type(value, json_type_string)
                               ? json_object_get_string(value)
                               : "";
        if (!is_frame(name) && *text != '\0')
            json_object_object_add(request, name, json_object_get(value));
    }
    return request;
}

void desk_forms_add_typed(struct json_object *view, struct json_object *request)
{
    struct json_object *fields = json_add_list(view, "fields");
    json_object_object_foreach(request, name, value)
    {
        struct json_object *field = json_object_new_object();
        json_add_string(field, "name", name);
        json_add_string(field, "value", json_object_get_string(value));
        json_object_array_add(fields, field);
    }
    json_add(view, "request", json_object_get(request));
}

static bool is_action(const char *name)
{
    static const char *const actions[] = {"suspend", "lift",   "reset", "extra",
                                       "limit",   "exempt", "plan",  "note"};
    for (size_t i = 0; i < countof(actions); i++)
        if (strcmp(actions[i], name) == 0)
            return true;
    return false;
}

/* A form with what was typed. "action" and "subject" are null until they are good; "subject_asked":
 * the form has a field for it. */
static struct json_object *form_view(struct json_object *request, bool subject_is_wrong)
{
    const char *action = json_string(request, "action", ""), *subject = json_string(request,
                                                                                    "subject", "");
    bool asked = subject_is_wrong || *subject == '\0';
    struct json_object *view = json_object_new_object();
    json_add_string(view, "action", is_action(action) ? action : NULL);
    json_add_string(view, "subject", asked ? NULL : subject);
    json_add_bool(view, "subject_asked", asked);
    json_add_bool(view, "of_domain", *subject == '@');
    desk_forms_add_typed(view, request);
    return view;
}

void desk_forms_add_problem(struct json_object *view, const struct problem *problem)
{
    struct json_object *wrong = json_add_object(view, "problem");
    json_add_string(wrong, "where", problem->where[0] != '\0' ? problem->where : NULL);
    json_add_string(wrong, "wrong", problem->text);
}

struct json_object *desk_forms_words(const struct exchange *exchange)
{
    struct json_object *words = json_object_new_object();
    json_object_object_foreach(exchange->request->params, name, value)
    {
        if (strcmp(name, "preview") != 0)
            json_object_object_add(words, name, json_object_get(value));
    }
    return words;
}

int desk_forms_read_preview(const struct exchange *exchange, bool *preview_r,
                            struct problem *problem)
{
    struct json_object *asked = json_member(exchange->request->params, "preview");
    *preview_r = exchange->api ? json_object_get_boolean(asked)
                               : http_request_param(exchange->request, "confirm") == NULL;
    return !exchange->api || asked == NULL || json_object_is_type(asked, json_type_boolean)
               ? 1
               : problem_set(problem, 400, "preview", "true or false was expected");
}

int desk_forms_outcome(struct exchange *exchange, int answer, bool preview,
                       struct json_object **view_r)
{
    if (answer >= 0 || preview)
        return answer;
    reply_not_known(exchange);
    *view_r = NULL;
    return 1;
}

/* The form again, with what is wrong; `faster` (taken; NULL: none): what somebody else did meanwhile. */
static int form_again(struct exchange *exchange, const char *page, struct json_object *request,
                      const struct problem *problem, struct json_object *faster,
                      struct json_object **view_r)
{
    bool of_subject = problem->status == 400 && strcmp(problem->where, "subject") == 0;
    struct json_object *view = form_view(request, of_subject);
    desk_forms_add_problem(view, problem);
    json_add(view, "faster", faster);
    reply_page(exchange, problem->status, page, view);
    *view_r = NULL;
    return 1;
}

static int form_first(const struct exchange *exchange, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *request = desk_forms_typed(exchange);
    *view_r = form_view(request, false);
    return 1;
}

/* ---- actions ------------------------------------------------------------------------------------ */

int desk_forms_action_form(struct exchange *exchange, struct json_object **view_r,
                           struct problem *problem)
{
    (void)problem;
    return form_first(exchange, view_r);
}

static void show_subject(struct exchange *exchange, struct json_object *view, const char *what)
{
    const char *subject = json_string(view, "subject", "");
    const char *done = arena_printf(exchange->request->arena, "?done=%s", what);
    if (*subject == '@')
        desk_routes_redirect(exchange, "/domains/", subject + 1, done);
    else
        desk_routes_redirect(exchange, "/mailboxes/", subject, done);
}

static bool says(const struct exchange *exchange, const char *name, const char *word)
{
    const char *value = http_request_param(exchange->request, name);
    return value != NULL && strcmp(value, word) == 0;
}

static int desk_does(struct exchange *exchange, struct json_object *request, bool preview,
                     struct json_object **view_r, struct problem *problem)
{
    return desk_action(&exchange->web->desk, &exchange->person, request, preview, exchange->now_ms,
                       view_r, problem);
}

/* The reset that goes with a lift, for the same reason. */
static struct json_object *reset_with(struct json_object *lift)
{
    struct json_object *request = json_object_new_object();
    json_add_string(request, "action", "reset");
    json_add_string(request, "subject", json_string(lift, "subject", ""));
    json_add_string(request, "note", json_string(lift, "note", ""));
    return request;
}

/* Whether the reset that would help may be done now: "reset_why_not" says why not. 1 or -1. */
static int preview_reset(struct exchange *exchange, struct json_object *request,
                         struct json_object *view)
{
    freed_by(json_put) struct json_object *reset = reset_with(request), *told = NULL;
    struct problem problem = {0};
    if (desk_does(exchange, reset, true, &told, &problem) < 0)
        return -1;
    json_add_string(view, "reset_why_not",
                    told != NULL ? json_string(told, "why_not", NULL) : problem.text);
    return 1;
}

void desk_forms_add_preview(struct json_object *view, struct json_object *request)
{
    desk_forms_add_typed(view, request);
    json_add_bool(view, "of_domain", *json_string(view, "subject", "") == '@');
    desk_page_add_used(json_member(json_member(view, "before"), "next"));
    desk_page_add_used(json_member(json_member(view, "after"), "next"));
}

static int show_preview(struct exchange *exchange, struct json_object *request,
                        struct json_object *view)
{
    desk_forms_add_preview(view, request);
    return json_is_true(view, "reset_as_well") ? preview_reset(exchange, request, view) : 1;
}

/* The lift is done, the reset is not, or nobody knows: the form for it, and what happened. */
static void show_half(struct exchange *exchange, struct json_object *reset, int answer,
                      const struct problem *problem)
{
    struct json_object *view = form_view(reset, false);
    if (answer < 0)
        reply_no_store(exchange); /* for the log and the header */
    json_add_bool(view, answer < 0 ? "reset_unknown" : "reset_failed", true);
    if (answer == 0)
        json_add_string(json_add_object(view, "problem"), "wrong", problem->text);
    reply_page(exchange, answer < 0 ? 503 : problem->status, "desk_action", view);
}

/* The lift is done: now the reset. */
static void reset_as_well(struct exchange *exchange, struct json_object *lift)
{
    freed_by(json_put) struct json_object *reset = reset_with(lift), *view = NULL;
    struct problem problem = {0};
    int answer = desk_does(exchange, reset, false, &view, &problem);
    if (answer > 0)
        show_subject(exchange, view, "both");
    else
        show_half(exchange, reset, answer, &problem);
}

/* What somebody else did about the subject since the preview was made; without one, of late. To be put;
 * NULL: nothing. 1 or -1. */
static int read_faster(struct exchange *exchange, struct json_object *request,
                       struct json_object **faster_r)
{
    const char *seen = http_request_param(exchange->request, "seen");
    return desk_done_since(&exchange->web->desk, &exchange->person,
                           json_string(request, "subject", ""),
                           seen != NULL ? strtoll(seen, NULL, 10) : -1, exchange->now_ms, faster_r);
}

/* It cannot be done: often since somebody else was faster. */
static int show_problem(struct exchange *exchange, struct json_object *request,
                        const struct problem *problem, struct json_object **view_r)
{
    struct json_object *faster = NULL;
    if (problem->status == 409 && read_faster(exchange, request, &faster) < 0)
        return -1;
    return form_again(exchange, "desk_action", request, problem, faster, view_r);
}

/* Whether it is to be looked at once more before it is done: somebody else did something about the
 * subject since the preview, or what is doubtful was not said to be meant. 1, 0, -1. */
static int needs_another_look(struct exchange *exchange, struct json_object *request,
                              struct json_object *view)
{
    struct json_object *faster = NULL;
    if (http_request_param(exchange->request, "seen") != NULL &&
        read_faster(exchange, request, &faster) < 0)
        return -1;
    json_add(view, "faster", faster);
    bool not_sure = json_is_true(view, "allowed") && json_is_true(view, "doubtful") &&
                    !says(exchange, "sure", "1");
    json_add_bool(view, "not_sure", not_sure);
    return faster != NULL || not_sure;
}

static int do_it(struct exchange *exchange, struct json_object *request,
                 struct json_object **view_r)
{
    freed_by(json_put) struct json_object *done = NULL;
    struct problem problem = {0};
    int answer = desk_does(exchange, request, false, &done, &problem);
    if (answer < 0)
        return -1;
    *view_r = NULL;
    if (answer == 0)
        return show_problem(exchange, request, &problem, view_r);
    if (json_member(done, "waits") != NULL)
        desk_approvals_redirect(exchange, "approval_ask", json_string(done, "subject", ""));
    else if (says(exchange, "also", "reset"))
        reset_as_well(exchange, request);
    else
        show_subject(exchange, done, json_string(done, "action", ""));
    return 1;
}

static int action_by_form(struct exchange *exchange, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *request = desk_forms_typed(exchange), *view = NULL;
    struct problem problem = {0};
    int answer = says(exchange, "also", "reset") &&
                         strcmp(json_string(request, "action", ""), "lift") != 0
                     ? problem_set(&problem, 400, "action", "a reset goes with a lift alone")
                     : desk_does(exchange, request, true, &view, &problem);
    if (answer < 0)
        return -1;
    if (answer == 0)
        return show_problem(exchange, request, &problem, view_r);
    int look = says(exchange, "confirm", "1") ? needs_another_look(exchange, request, view) : 1;
    if (look < 1)
        return look < 0 ? -1 : do_it(exchange, request, view_r);
    if (show_preview(exchange, request, view) < 0)
        return -1;
    *view_r = take(view);
    return 1;
}

static int action_by_api(struct exchange *exchange, struct json_object **view_r,
                         struct problem *problem)
{
    freed_by(json_put) struct json_object *request = desk_forms_words(exchange);
    bool preview;
    if (desk_forms_read_preview(exchange, &preview, problem) < 1)
        return 0;
    return desk_action(&exchange->web->desk, &exchange->person, request, preview, exchange->now_ms,
                       view_r, problem);
}

/* Whether nothing is done yet. */
static bool is_preview(const struct exchange *exchange)
{
    return exchange->api ? json_is_true(exchange->request->params, "preview")
                         : !says(exchange, "confirm", "1");
}

int desk_forms_action(struct exchange *exchange, struct json_object **view_r,
                      struct problem *problem)
{
    int answer = exchange->api ? action_by_api(exchange, view_r, problem)
                               : action_by_form(exchange, view_r);
    return desk_forms_outcome(exchange, answer, is_preview(exchange), view_r);
}

/* ---- what a message would meet --------------------------------------------------------------- */

static int read_channel(const struct exchange *exchange, enum channel *channel_r,
                        struct problem *problem)
{
    const char *name = json_string(exchange->request->params, "channel", NULL);
    if (json_member(exchange->request->params,
                    "channel") == NULL || (name != NULL && *name == '\0'))
        name = channel_names[CHANNEL_WEBMAIL];
    int channel = name != NULL ? channel_by_name(name) : -1;
    if (channel < 0)
        return problem_set(problem, 400, "channel", "webmail, smtp or forwarding was expected");
    *channel_r = (enum channel)channel;
    return 1;
}

static int set_claims(struct submission *submission, const struct submission_claims *claims,
                      struct problem *problem)
{
    if (claims->mailbox == NULL || *claims->mailbox == '\0')
        return problem_set(problem, 400, "mailbox", "is missing");
    if (submission_set_mailbox(submission, claims->mailbox, strlen(claims->mailbox), problem) < 1)
        return 0;
    if (claims->ip != NULL && *claims->ip != '\0' &&
        submission_set_ip(submission, claims->ip, strlen(claims->ip), problem) < 1)
        return 0;
    if (submission->id == NULL && submission_set_id(submission, "simulation", 10, problem) < 1)
        return 0;
    if (submission->recipient_count == 0)
        return problem_set(problem, 400, "to", "there is no recipient in to, cc or bcc");
    return 1;
}

static int read_submission(struct exchange *exchange, struct submission *submission,
                           struct problem *problem)
{
    enum channel channel = CHANNEL_WEBMAIL;
    struct submission_claims claims;
    if (read_channel(exchange, &channel, problem) < 1)
        return 0;
    submission_init(submission, exchange->request->arena, channel);
    if (submission_json_read(submission, exchange->request->params, &claims, problem) < 1)
        return 0;
    return set_claims(submission, &claims, problem);
}

int desk_forms_simulate_form(struct exchange *exchange, struct json_object **view_r,
                             struct problem *problem)
{
    (void)problem;
    return form_first(exchange, view_r);
}

int desk_forms_simulate(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem)
{
    freed_by(json_put) struct json_object *request = desk_forms_typed(exchange);
    struct submission submission;
    if (read_submission(exchange, &submission, problem) < 1)
        return exchange->api ? 0 : form_again(exchange, "desk_simulate", request, problem, NULL,
                                            view_r);
    int answer =
        desk_simulate(&exchange->web->desk, &submission, exchange->now_ms, view_r);
    if (answer > 0 && !exchange->api) {
        json_add_bool(*view_r, "simulated", true);
        desk_forms_add_typed(*view_r, request);
    }
    return answer;
}
