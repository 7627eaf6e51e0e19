#include "guard/verdict_shown.h"

#include <string.h>

#include "base/json.h"
#include "guard/refill_steps.h"
#include "guard/sending_state.h"
#include "text/present.h"

struct showing {
    struct arena *arena;
    struct reader reader;
    const struct verdict *verdict;
    struct json_object *shown; /* the answer */
};

/* ---- texts --------------------------------------------------------------------- */

/* Texts of pages have markup around moments; none of it is a user's. */
static void strip_markup(char *text)
{
    char *end = text;
    for (bool inside = false; *text != '\0'; text++) {
        if (*text == '<')
            inside = true;
        else if (*text == '>' && inside)
            inside = false;
        else if (!inside)
            *end++ = *text;
    }
    *end = '\0';
}

static const char *text_with(const struct showing *showing, const char *key,
                             struct json_object *values)
{
    const char *text = catalogue_text(showing->reader.catalogue, showing->arena,
                                      showing->reader.language, key, values);
    char *plain = arena_strndup(showing->arena, text != NULL ? text : "",
                                text != NULL ? strlen(text) : 0);
    strip_markup(plain);
    return plain;
}

static void add_line(const struct showing *showing, struct json_object *list, const char *key,
                     struct json_object *values)
{
    json_object_array_add(list, json_object_new_string(text_with(showing, key, values)));
}

/* A text "message.…" with one moment in it. */
static void add_moment_line(const struct showing *showing, struct json_object *list,
                            const char *key, int64_t time_ms)
{
    freed_by(json_put) struct json_object *values = json_object_new_object();
    json_add_string(values, "moment", present_moment(showing->arena, &showing->reader, time_ms));
    add_line(showing, list, key, values);
}

/* ---- the state ------------------------------------------------------------------- */

static bool is_suspended(const struct verdict *verdict) { return verdict->suspensions.count > 0; }

static const char *state_of(const struct verdict *verdict)
{
    struct sending_reasons reasons = {0};
    for (size_t i = 0; i < verdict->reason_count; i++) {
        const struct objection *objection = &verdict->reasons[i].objection;
        sending_state_add_reason(&reasons, objection->rule, objection->never_fits,
                                 objection->limit);
    }
    return sending_state(&verdict->suspensions.of[0], verdict->can_send, verdict->kind, &reasons);
}

/* The facts that the heading speaks of, presented. */
static struct json_object *facts_of(const struct showing *showing)
{
    const struct verdict *verdict = showing->verdict;
    const struct suspension *suspension = &verdict->suspensions.of[0];
    struct json_object *facts = json_object_new_object();
    json_add_moment(facts, "retry_at", verdict->can_send_at_ms);
    if (is_suspended(verdict)) {
        json_add_moment(facts, "until", suspension->until_ms);
        const struct suspension *moving = sending_state_moving(&verdict->suspensions);
        json_add_int(facts, "attempts", moving != NULL ? moving->attempts : suspension->attempts);
        json_add_int(facts, "retries_before_restart", verdict->retries_before_restart);
    } else if (verdict->kind == VERDICT_BLOCKED) {
        json_add_moment(facts, "until", verdict->block.in_force.until_ms);
    }
    present(facts, &showing->reader);
    return facts;
}

static void add_headline(const struct showing *showing, struct json_object *facts)
{
    const char *state = state_of(showing->verdict);
    bool waits = strcmp(state, "full") == 0 || strcmp(state, "own") == 0;
    bool for_good = waits && showing->verdict->can_send_at_ms == 0;
    const char *key = showing->verdict->kind == VERDICT_BLOCKED
                          ? "status.h.paused"
                          : arena_printf(showing->arena, "status.h.%s%s", state,
                                         for_good ? "_for_good" : "");
    json_add_string(showing->shown, "headline", text_with(showing, key, facts));
    json_add_string(showing->shown, "state", state);
}

static void add_attempts(const struct showing *showing, struct json_object *lines,
                         struct json_object *facts)
{
    const struct verdict *verdict = showing->verdict;
    const struct suspension *moving = sending_state_moving(&verdict->suspensions);
    if (moving == NULL)
        return;
    uint32_t attempts = moving->attempts;
    if (attempts > 0)
        add_line(showing, lines, attempts == 1 ? "status.tried.once" : "status.tried", facts);
    add_line(showing, lines, attempts < verdict->retries_before_restart ? "status.will_restart"
                                                                         : "status.restarts",
             facts);
}

/* The suspensions beside the one that the heading tells. */
static void add_others(const struct showing *showing, struct json_object *lines)
{
    const struct suspensions *held = &showing->verdict->suspensions;
    for (size_t i = 1; i < held->count; i++) {
        const struct suspension *other = &held->of[i];
        freed_by(json_put) struct json_object *values = json_object_new_object();
        const char *cause = sending_state_cause(other, showing->arena);
        if (other->until_ms != UNTIL_LIFTED)
            json_add_string(values, "moment",
                            present_moment(showing->arena, &showing->reader, other->until_ms));
        json_add_string(values, "cause", text_with(showing, cause, NULL));
        add_line(showing, lines,
                 arena_printf(showing->arena, "message.%s", sending_state_besides(other)), values);
    }
}

static void add_suspension_lines(const struct showing *showing, struct json_object *lines,
                                 struct json_object *facts)
{
    const struct verdict *verdict = showing->verdict;
    const struct suspension *suspension = &verdict->suspensions.of[0];
    if (suspension_is_own_lock(suspension->cause, suspension->by))
        add_moment_line(showing, lines, "message.own_lock", suspension->since_ms);
    else if (sending_state_is_stolen(suspension))
        add_line(showing, lines, "message.compromised", NULL);
    add_others(showing, lines);
    if (verdict->retry_at_ms > suspension->until_ms) /* its windows have no room before */
        add_moment_line(showing, lines, "message.this_from", verdict->retry_at_ms);
    add_line(showing, lines, sending_state_what_to_do(suspension), NULL);
    if (!sending_state_is_stolen(suspension))
        add_line(showing, lines, "status.s.works", NULL);
    add_attempts(showing, lines, facts);
}

static void add_block_lines(const struct showing *showing, struct json_object *lines)
{
    const struct verdict *verdict = showing->verdict;
    const struct failure_in_force *block = &verdict->block.in_force;
    const char *hint = sending_state_hint(block->hint);
    if (verdict->retry_at_ms > block->until_ms) /* its windows have no room before */
        add_moment_line(showing, lines, "message.this_from", verdict->retry_at_ms);
    if (hint != NULL)
        add_line(showing, lines, hint, NULL);
    add_line(showing, lines, sending_state_hint_to_do(block->hint), NULL);
    if (!block->of_mailbox)
        add_line(showing, lines, "failures.do.perhaps", NULL);
    add_line(showing, lines, "status.s.works", NULL);
}

static void add_lines(const struct showing *showing, struct json_object *facts)
{
    const struct verdict *verdict = showing->verdict;
    struct json_object *lines = json_add_list(showing->shown, "lines");
    const char *state = state_of(verdict);
    if (is_suspended(verdict)) {
        add_suspension_lines(showing, lines, facts);
        return;
    }
    if (verdict->kind == VERDICT_BLOCKED) {
        add_block_lines(showing, lines);
        return;
    }
    if (strcmp(state, "full") == 0)
        add_line(showing, lines, "status.s.works", NULL);
    else if (strcmp(state, "ok") != 0)
        add_line(showing, lines, arena_printf(showing->arena, "status.s.%s", state), NULL);
    if (verdict->kind == VERDICT_OVER_TIME && verdict->retry_at_ms != 0)
        add_moment_line(showing, lines, "message.this_from", verdict->retry_at_ms);
}

/* ---- reasons and windows ----------------------------------------------------------- */

static struct json_object *facts_of_reason(const struct objection *objection)
{
    struct json_object *facts = json_object_new_object();
    if (objection->field >= 0)
        json_add_string(facts, "field", field_names[objection->field]);
    json_add_string(facts, "domain", objection->domain);
    json_add_int(facts, "limit", objection->limit);
    json_add_int(facts, "count", objection->count);
    json_add_int(facts, "excess",
                 objection->count > objection->limit ? objection->count - objection->limit : 0);
    return facts;
}

static void add_reasons(const struct showing *showing)
{
    const struct verdict *verdict = showing->verdict;
    struct json_object *reasons = json_add_list(showing->shown, "reasons");
    if (verdict->block.text != NULL)
        json_object_array_add(reasons, json_object_new_string(verdict->block.text));
    for (size_t i = 0; i < verdict->reason_count; i++) {
        const struct objection *objection = &verdict->reasons[i].objection;
        freed_by(json_put) struct json_object *facts = facts_of_reason(objection);
        const char *key = arena_printf(showing->arena, "status.reason.%s",
                                       rule_table[objection->rule].name);
        present(facts, &showing->reader);
        bool is_named = objection->rule >= RULE_COUNT || objection->recipient != NULL;
        const char *text =
            is_named ? verdict->reasons[i].text : text_with(showing, key, facts);
        if (objection->never_fits)
            text = arena_printf(showing->arena, "%s %s", text,
                                text_with(showing, "status.reason.never_fits", NULL));
        json_object_array_add(reasons, json_object_new_string(text));
    }
}

static struct json_object *facts_of_window(const struct verdict_window *window)
{
    struct json_object *facts = json_object_new_object();
    int64_t left = window->used < (uint64_t)window->limit ? window->limit - (int64_t)window->used
                                                          : 0;
    json_add_string(facts, "rule", rule_table[window->rule].name);
    json_add_int(facts, "used", (int64_t)window->used);
    json_add_int(facts, "limit", window->limit);
    json_add_int(facts, "left", left);
    struct json_object *refill = json_add_list(facts, "refill");
    for (size_t i = 0; i < window->refill_count; i++) {
        struct json_object *step = json_object_new_object();
        json_add_moment(step, "at", window->refill[i].at_ms);
        json_add_int(step, "count", (int64_t)window->refill[i].count);
        json_object_array_add(refill, step);
    }
    refill_steps_add(facts);
    return facts;
}

static void add_steps(const struct showing *showing, const struct verdict_window *window,
                      struct json_object *facts, struct json_object *back)
{
    bool messages = rule_table[window->rule].measure == MEASURE_MESSAGES;
    struct json_object *steps = json_member(facts, "steps"), *rest = json_member(facts, "rest");
    for (size_t i = 0; i < json_object_array_length(steps); i++) {
        struct json_object *step = json_object_array_get_idx(steps, i);
        bool one = json_is_true(step, "count_one");
        add_line(showing, back,
                 messages ? (one ? "status.back.message" : "status.back.messages")
                          : (one ? "status.back.recipient" : "status.back.recipients"),
                 step);
    }
    if (rest != NULL)
        add_line(showing, back, "status.back.rest", rest);
}

static void add_windows(const struct showing *showing)
{
    const struct verdict *verdict = showing->verdict;
    struct json_object *list = json_add_list(showing->shown, "windows");
    for (size_t i = 0; i < verdict->window_count; i++) {
        const struct verdict_window *window = &verdict->windows[i];
        freed_by(json_put) struct json_object *facts = facts_of_window(window);
        struct json_object *shown = json_object_new_object();
        present(facts, &showing->reader);
        json_add_string(shown, "rule", rule_table[window->rule].name);
        json_add_string(shown, "name", json_string(facts, "rule_text", ""));
        json_add_string(shown, "used", text_with(showing, "status.used", facts));
        add_steps(showing, window, facts, json_add_list(shown, "back"));
        json_object_array_add(list, shown);
    }
    json_add_string(showing->shown, "back", text_with(showing, "status.back", NULL));
    json_add_string(showing->shown, "rolling", text_with(showing, "status.rolling", NULL));
}

/* ---- hints while it is written --------------------------------------------------------- */

/* Whether nothing, or nothing outside, can be sent: then the state says all of limits over time. */
static bool state_tells(const struct verdict *verdict)
{
    return verdict->can_send != CAN_SEND_ALL;
}

/* The field with the first recipient there; NULL: it was not found by its domain. */
static const char *field_of_domain(const struct submission *submission, const char *domain)
{
    for (size_t i = 0; i < submission->recipient_count; i++)
        if (strcmp(submission->recipients[i].domain, domain) == 0)
            return field_names[submission->recipients[i].field];
    return NULL;
}

static const char *field_of(const struct verdict *verdict, const struct objection *objection)
{
    if (objection->from != NULL)
        return "from";
    if (objection->field >= 0)
        return field_names[objection->field];
    return objection->domain != NULL ? field_of_domain(verdict->submission, objection->domain)
                                     : NULL;
}

/* In few words where there are some, else as the refusal says it. */
static const char *text_of_hint(const struct showing *showing, const struct reason *reason)
{
    const struct objection *objection = &reason->objection;
    if (objection->rule >= RULE_FIRST_OVER_TIME)
        return reason->text;
    freed_by(json_put) struct json_object *facts = facts_of_reason(objection);
    present(facts, &showing->reader);
    return text_with(showing,
                     arena_printf(showing->arena, "hint.%s", rule_table[objection->rule].name),
                     facts);
}

static void add_hint_of_reason(const struct showing *showing, struct json_object *hints,
                               const struct reason *reason)
{
    const struct objection *objection = &reason->objection;
    struct json_object *hint = json_object_new_object();
    json_add_string(hint, "text", text_of_hint(showing, reason));
    json_add_string(hint, "rule", rule_table[objection->rule].name);
    json_add_string(hint, "field", field_of(showing->verdict, objection));
    json_add_string(hint, "domain", objection->domain);
    json_add_string(hint, "recipient", objection->recipient);
    json_object_array_add(hints, hint);
}

static struct json_object *add_hint(struct json_object *hints, const char *text)
{
    struct json_object *hint = json_object_new_object();
    json_add_string(hint, "text", text);
    json_object_array_add(hints, hint);
    return hint;
}

static void add_hint_of_unread(const struct showing *showing, struct json_object *hints,
                               const struct unread_recipient *unread)
{
    freed_by(json_put) struct json_object *facts = json_object_new_object();
    json_add_string(facts, "entry", unread->quoted);
    /* as it is: a '<' in it begins no markup */
    struct json_object *hint =
        add_hint(hints, catalogue_text(showing->reader.catalogue, showing->arena,
                                       showing->reader.language, "hint.unread", facts));
    json_add_string(hint, "field", field_names[unread->field]);
    json_add_int(hint, "entry", (int64_t)unread->entry);
}

/* That there is little room, from four fifths on. */
static void add_hint_of_window(const struct showing *showing, struct json_object *hints,
                               const struct verdict_window *window)
{
    uint64_t limit = (uint64_t)window->limit;
    if (window->used >= limit || window->used * 5 < limit * 4)
        return;
    freed_by(json_put) struct json_object *facts = facts_of_window(window);
    present(facts, &showing->reader);
    add_hint(hints, text_with(showing,
                              arena_printf(showing->arena, "hint.left.%s",
                                           rule_table[window->rule].name),
                              facts));
}

static bool has_reason(const struct verdict *verdict, enum rule rule)
{
    for (size_t i = 0; i < verdict->reason_count; i++)
        if (verdict->reasons[i].objection.rule == rule)
            return true;
    return false;
}

static bool is_over_time(enum rule rule)
{
    return rule >= RULE_FIRST_OVER_TIME && rule < RULE_COUNT;
}

static void add_hints(const struct showing *showing, const char *headline)
{
    const struct verdict *verdict = showing->verdict;
    struct json_object *hints = json_add_list(showing->shown, "hints");
    if (state_tells(verdict))
        add_hint(hints, verdict->can_send == CAN_SEND_OWN
                            ? headline
                            : arena_printf(showing->arena, "%s. %s", headline,
                                           text_with(showing, "hint.drafts", NULL)));
    for (size_t i = 0; i < verdict->submission->unread_count; i++)
        add_hint_of_unread(showing, hints, &verdict->submission->unread[i]);
    for (size_t i = 0; i < verdict->reason_count && i < HINTS_MAX; i++) {
        const struct objection *objection = &verdict->reasons[i].objection;
        if (objection_refuses(objection) &&
            (!is_over_time(objection->rule) || !state_tells(verdict)))
            add_hint_of_reason(showing, hints, &verdict->reasons[i]);
    }
    for (size_t i = 0; i < verdict->window_count && !state_tells(verdict); i++)
        if (!has_reason(verdict, verdict->windows[i].rule))
            add_hint_of_window(showing, hints, &verdict->windows[i]);
}

static void add_questions(const struct showing *showing, const char *contact)
{
    freed_by(json_put) struct json_object *values = json_object_new_object();
    json_add_string(values, "contact", contact);
    json_add_string(showing->shown, "questions",
                    contact[0] != '\0' ? text_with(showing, "message.questions", values) : NULL);
}

const char *verdict_shown(struct arena *arena, const struct catalogue *catalogue,
                          const struct verdict *verdict, const char *support_contact)
{
    freed_by(json_put) struct json_object *shown = json_object_new_object(), *facts = NULL;
    const struct submission *submission = verdict->submission;
    const struct showing showing = {
        .arena = arena,
        .reader = {.catalogue = catalogue,
                   .language = catalogue_language(catalogue, submission->lang),
                   .zone = submission->zone, .now_ms = verdict->now_ms},
        .verdict = verdict,
        .shown = shown,
    };
    facts = facts_of(&showing);
    add_headline(&showing, facts);
    add_lines(&showing, facts);
    add_reasons(&showing);
    add_windows(&showing);
    add_questions(&showing, support_contact);
    if (verdict->hints)
        add_hints(&showing, json_string(shown, "headline", ""));
    if (verdict->park_at_ms != 0)
        json_add_string(shown, "park_at", present_moment(arena, &showing.reader, verdict->park_at_ms));
    json_add_string(shown, "quoted", text_with(&showing, "status.sentence", NULL));
    json_add_string(shown, "sentence", verdict->sentence);
    const char *text = json_object_to_json_string_ext(shown, JSON_C_TO_STRING_PLAIN);
    return arena_strndup(arena, text, strlen(text));
}
