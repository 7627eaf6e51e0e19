/* Complaints: those about a mailbox's messages, for staff and for its user, and reports that wait
 * for staff. Who complains is known by a hash; a loop is named as the settings name it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "base/zone.h"
#include "desk/context.h"
#include "desk/desk_complaints.h"
#include "desk/input.h"
#include "desk/view.h"
#include "guard/complaint_step.h"
#include "guard/keyed_hash.h"

enum { REPORT_ID_SIZE = 17 };

/* 1 or -1. */
static int read_both(const struct context *context, const char *mailbox,
                           struct complaints *complaints, struct waiting_reports *waiting)
{
    return complaint_step_read(context->desk->store, context->arena, mailbox, context->now_ms,
                               complaints) < 0 ||
                   complaint_step_waiting(context->desk->store, context->arena, context->now_ms,
                                          waiting) < 0
               ? -1
               : 1;
}

/* The loop of the settings whose hash that is; NULL: none. */
static const char *loop_name(const struct context *context, uint64_t reporter)
{
    const struct text_list *loops = &context->settings->complaints_loops;
    const char *name = NULL;
    if (context->desk->key == NULL)
        return NULL;
    freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = context->desk->key};
    for (size_t i = 0; i < loops->count && name == NULL; i++)
        if (keyed_hash_reporter(&keys, loops->items[i]) == reporter)
            name = loops->items[i];
    return name;
}

static void add_decision(struct json_object *view, uint64_t decision)
{
    if (decision != 0)
        json_add_decision(view, "decision", decision);
    else
        json_add_null(view, "decision");
}

/* As words of ours are written: "opt_out". */
static void add_type(const struct context *context, struct json_object *view, unsigned type)
{
    char *name = arena_strdup(context->arena,
                              report_type_names[type < REPORT_TYPES ? type : REPORT_OTHER]);
    for (char *at = name; *at != '\0'; at++)
        if (*at == '-')
            *at = '_';
    json_add_string(view, "type", name);
}

/* ---- those of a mailbox ---------------------------------------------------------------------- */

static const char *why_not(enum complaint_standing standing, bool exempt)
{
    if (standing != COMPLAINT_COUNTS)
        return complaint_standing_names[standing];
    return exempt ? "exempt" : NULL;
}

static struct json_object *complaint_view(const struct context *context,
                                          const struct complaints *complaints, size_t place,
                                          bool exempt)
{
    const struct complaint *complaint = &complaints->of[place];
    const char *why = why_not(complaints_standing(complaints, place), exempt);
    const char *loop = complaint->source == COMPLAINT_OF_LOOP
                           ? loop_name(context, complaint->reporter)
                           : NULL;
    struct json_object *view = json_object_new_object();
    json_add_moment(view, "at", complaint->at_ms);
    json_add_moment(view, "sent_at", complaint->admitted_ms);
    add_decision(view, complaint->decision);
    json_add_string(view, "source", complaint_source_names[complaint->source]);
    if (loop != NULL)
        json_add_string(view, "loop", loop);
    add_type(context, view, complaint->type);
    json_add_int(view, "incidents", complaint->incidents);
    json_add_bool(view, "counted", why == NULL);
    json_add_string(view, "why", why);
    return view;
}

static void format_id(uint64_t id, char text_r[REPORT_ID_SIZE])
{
    snprintf(text_r, REPORT_ID_SIZE, "%016llx", (unsigned long long)id);
}

/* One that waits; of a mailbox's list it tells why it does not count. */
static struct json_object *waiting_view(const struct context *context,
                                        const struct waiting_report *report)
{
    char id[REPORT_ID_SIZE];
    const char *loop = report->of_loop ? loop_name(context, report->reporter) : NULL;
    struct json_object *view = json_object_new_object();
    format_id(report->id, id);
    json_add_string(view, "report", id);
    json_add_moment(view, "at", report->at_ms);
    if (report->admitted_ms != 0)
        json_add_moment(view, "sent_at", report->admitted_ms);
    add_decision(view, report->decision);
    json_add_string(view, "source", report->reporter == 0 ? "unknown"
                                    : report->of_loop     ? "loop"
                                                          : "authenticated");
    if (loop != NULL)
        json_add_string(view, "loop", loop);
    add_type(context, view, report->type);
    json_add_bool(view, "counted", false);
    json_add_string(view, "why", report->mailbox[0] == '\0' ? "unknown_message"
                                                            : "unknown_reporter");
    json_add_string(view, "mailbox", report->mailbox[0] != '\0' ? report->mailbox : NULL);
    json_add_string(view, "queue_id", report->queue_id[0] != '\0' ? report->queue_id : NULL);
    json_add_string(view, "from_domain", report->domain[0] != '\0' ? report->domain : NULL);
    return view;
}

/* The newest first, those that wait for staff among them. */
static void add_all(const struct context *context, const char *mailbox, bool exempt,
                    const struct complaints *complaints, const struct waiting_reports *waiting,
                    struct json_object *list)
{
    size_t left = complaints->count, waiting_left = waiting->count;
    while (left > 0 || waiting_left > 0) {
        const struct waiting_report *report =
            waiting_left > 0 ? &waiting->of[waiting_left - 1] : NULL;
        if (report != NULL && strcmp(report->mailbox, mailbox) != 0) {
            waiting_left--;
        } else if (report == NULL ||
                   (left > 0 && complaints->of[left - 1].at_ms >= report->at_ms)) {
            left--;
            json_object_array_add(list, complaint_view(context, complaints, left, exempt));
        } else {
            waiting_left--;
            json_object_array_add(list, waiting_view(context, report));
        }
    }
}

int desk_complaints(const struct desk *desk, const char *mailbox, int64_t now_ms,
                    struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct complaints *complaints = arena_alloc(context.arena, sizeof *complaints);
    struct waiting_reports waiting;
    struct effective_limits limits;
    const char *of;
    if (!input_mailbox(&context, mailbox, "mailbox", &of, problem))
        return 0;
    if (read_both(&context, of, complaints, &waiting) < 0 ||
        guard_limits(desk->guard, CHANNEL_SMTP, of, strrchr(of, '@') + 1, now_ms, &limits) < 0)
        return -1;
    const struct complaint_rule rule = {.count = (uint32_t)context.settings->complaints_count,
                                        .window_ms = context.settings->complaints_window_ms};
    struct json_object *view = json_object_new_object();
    json_add_moment(view, "now", now_ms);
    json_add_string(view, "mailbox", of);
    json_add_int(view, "number", complaints_number(complaints, &rule));
    json_add_int(view, "count", rule.count);
    json_add_int(view, "window_s", rule.window_ms / SECOND_MS);
    json_add_bool(view, "exempt", limits.exempt);
    add_all(&context, of, limits.exempt, complaints, &waiting, json_add_list(view, "complaints"));
    *view_r = view;
    return 1;
}

/* ---- for the mailbox's user ------------------------------------------------------------------ */

/* Of the message of that complaint: how many, of which kind. */
static struct json_object *message_view(const struct complaints *complaints, size_t place)
{
    const struct complaint *first = &complaints->of[place];
    int64_t loops = 0, others = 0;
    for (size_t i = place; i < complaints->count; i++) {
        const struct complaint *complaint = &complaints->of[i];
        if (complaint->message != first->message || complaint->withdrawn)
            continue;
        bool of_loop = complaint->source == COMPLAINT_OF_LOOP;
        loops += of_loop ? complaint->incidents : 0;
        others += !of_loop;
    }
    struct json_object *view = json_object_new_object();
    json_add_moment(view, "sent_at", first->admitted_ms);
    add_decision(view, first->decision);
    json_add_int(view, "by_loops", loops);
    json_add_int(view, "by_others", others);
    return view;
}

static bool is_first_of_message(const struct complaints *complaints, size_t place)
{
    for (size_t i = 0; i < place; i++)
        if (complaints->of[i].message == complaints->of[place].message &&
            !complaints->of[i].withdrawn)
            return false;
    return !complaints->of[place].withdrawn;
}

int desk_complaints_own(const struct context *context, const char *mailbox,
                        struct json_object **view_r)
{
    struct complaints *complaints = arena_alloc(context->arena, sizeof *complaints);
    if (complaint_step_read(context->desk->store, context->arena, mailbox, context->now_ms,
                            complaints) < 0)
        return -1;
    struct json_object *view = json_object_new_object();
    json_add_int(view, "count", context->settings->complaints_count);
    json_add_int(view, "days",
                 (context->settings->complaints_window_ms + DAY_MS - 1) / DAY_MS);
    struct json_object *list = json_add_list(view, "messages");
    for (size_t i = 0; i < complaints->count; i++)
        if (is_first_of_message(complaints, i))
            json_object_array_add(list, message_view(complaints, i));
    *view_r = json_object_array_length(list) > 0 ? view : NULL;
    if (*view_r == NULL)
        json_put(&view);
    return 1;
}

/* ---- reports that wait ----------------------------------------------------------------------- */

int desk_complaints_waiting(const struct desk *desk, int64_t now_ms, struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct waiting_reports waiting;
    if (complaint_step_waiting(desk->store, context.arena, now_ms, &waiting) < 0)
        return -1;
    struct json_object *view = json_object_new_object();
    json_add_moment(view, "now", now_ms);
    struct json_object *list = json_add_list(view, "reports");
    for (size_t i = waiting.count; i-- > 0;)
        json_object_array_add(list, waiting_view(&context, &waiting.of[i]));
    *view_r = view;
    return 1;
}

static int not_waiting(struct problem *problem)
{
    return problem_set(problem, 404, "report", "no such report waits (any longer)");
}

static int read_note(struct json_object *request, const char **note_r, struct problem *problem)
{
    *note_r = json_string(request, "note", "");
    size_t length = strlen(*note_r);
    return (length > 0 && length <= 255) ||
           problem_set(problem, 400, "note", "expected why, 1 to 255 bytes");
}

/* The message that staff names, or that the report does. 1, 0 with *problem, -1. */
static int find_message(const struct context *context, const struct waiting_report *report,
                        const char *message, const char *mailbox, struct complaint *complaint,
                        struct problem *problem)
{
    freed_by(json_put) struct json_object *trace = NULL;
    bool named = message != NULL && message[0] != '\0';
    bool same = strcmp(mailbox, report->mailbox) == 0;
    complaint->message = !named && same ? complaint_step_message(report->queue_id) : report->id;
    complaint->admitted_ms = !named && same ? report->admitted_ms : report->at_ms;
    complaint->decision = !named && same ? report->decision : 0;
    if (!named)
        return 1;
    int found = desk_trace(context->desk, message, mailbox, context->now_ms, &trace, problem);
    if (found < 1)
        return found;
    const char *queue_id = json_string(trace, "queue_id", NULL);
    complaint->message = complaint_step_message(queue_id != NULL ? queue_id : message);
    if (!decision_parse(json_string(trace, "decision", ""), &complaint->decision) ||
        !zone_moment_read(json_string(trace, "at", ""), &complaint->admitted_ms))
        return problem_set(problem, 404, "message", "its moment is not known");
    return 1;
}

/* 1, 0 with *problem, -1. */
static int count_report(const struct context *context, const struct waiting_report *report,
                        struct json_object *request, const struct action *action,
                        struct json_object *view, struct problem *problem)
{
    const char *mailbox, *named = json_string(request, "mailbox", "");
    char id[REPORT_ID_SIZE], detail[64];
    struct effective_limits limits;
    enum complaint_made made;
    struct complaint complaint = {
        .reporter = report->reporter != 0 ? report->reporter : report->id,
        .at_ms = report->at_ms, .incidents = 1, .source = COMPLAINT_OF_STAFF,
        .type = (uint8_t)report->type};
    if (!input_mailbox(context, named[0] != '\0' ? named : report->mailbox, "mailbox", &mailbox,
                       problem))
        return 0;
    int found = find_message(context, report, json_string(request, "message", NULL), mailbox,
                             &complaint, problem);
    if (found < 1)
        return found;
    if (guard_limits(context->desk->guard, CHANNEL_SMTP, mailbox, strrchr(mailbox, '@') + 1,
                     context->now_ms, &limits) < 0)
        return -1;
    format_id(report->id, id);
    snprintf(detail, sizeof detail, "{\"report\":\"%s\"}", id);
    const struct audited audited = {"complaint_count", mailbox, detail, action};
    const struct complaint_step step = {.mailbox = mailbox, .complaint = &complaint,
                                        .exempt = limits.exempt, .answers = report->id,
                                        .audited = &audited};
    found = complaint_step_make(context->desk->store, context->settings, &step, context->now_ms,
                                &made);
    json_add_string(view, "mailbox", mailbox);
    json_add_bool(view, "suspended", found > 0 && made == COMPLAINT_MADE_SUSPENSION);
    return found != 0 ? found : not_waiting(problem);
}

static int drop_report(const struct context *context, const struct waiting_report *report,
                       const struct action *action, struct problem *problem)
{
    char id[REPORT_ID_SIZE], detail[64];
    enum complaint_made made;
    format_id(report->id, id);
    snprintf(detail, sizeof detail, "{\"report\":\"%s\"}", id);
    const struct audited audited = {"complaint_drop",
                                    report->mailbox[0] != '\0' ? report->mailbox : id, detail,
                                    action};
    const struct complaint_step step = {.answers = report->id, .audited = &audited};
    int done = complaint_step_make(context->desk->store, context->settings, &step,
                                   context->now_ms, &made);
    return done != 0 ? done : not_waiting(problem);
}

int desk_complaints_answer(const struct desk *desk, const char *by, const char *report,
                           struct json_object *request, int64_t now_ms,
                           struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    const char *what = json_string(request, "action", ""), *note;
    struct waiting_reports waiting;
    char *end;
    bool drops = strcmp(what, "drop") == 0;
    if (!drops && strcmp(what, "count") != 0)
        return problem_set(problem, 400, "action", "expected count or drop");
    if (!read_note(request, &note, problem))
        return 0;
    if (complaint_step_waiting(desk->store, context.arena, now_ms, &waiting) < 0)
        return -1;
    const struct waiting_report *found = waiting_reports_find(&waiting, strtoull(report, &end, 16));
    if (found == NULL || *end != '\0')
        return not_waiting(problem);
    const struct action action = {now_ms, by, note};
    json_add_string(view, "report", report);
    json_add_string(view, "action", what);
    int answer = drops ? drop_report(&context, found, &action, problem)
                       : count_report(&context, found, request, &action, view, problem);
    if (answer > 0)
        *view_r = take(view);
    return answer;
}
