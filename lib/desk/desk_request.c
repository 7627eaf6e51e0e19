/* An action's words, as forms, API and command line bring them. */
#include "desk/desk_request.h"

#include <stdio.h>
#include <string.h>

#include "base/names.h"
#include "desk/context.h"
#include "desk/input.h"
#include "message/address.h"

enum part { PART_ACTION, PART_SUBJECT, PART_NOTE, PART_CAUSE, PART_FOR, PART_MESSAGES,
            PART_OFF_DOMAIN, PART_RULE, PART_VALUE, PART_COUNT };
static const char *const part_names[PART_COUNT] = {
    "action", "subject", "note", "cause", "for", "messages", "off_domain", "rule", "value"};

enum { NOTE_MAX_BYTES = 255 };

#define MAY(word) (1U << (word))
/* Every staff action: what it takes beside action, subject and note, and whether a domain may be its
 * subject. A test holds API, forms, command line and completion against it. */
static const struct {
    const char *name;
    unsigned words;
    bool of_domain;
} actions[ACTION_COUNT] = {
    [ACTION_SUSPEND] = {"suspend", MAY(PART_CAUSE) | MAY(PART_FOR), false},
    [ACTION_LIFT] = {"lift", MAY(PART_CAUSE), true},
    [ACTION_RESET] = {"reset", 0, true},
    [ACTION_EXTRA] = {"extra", MAY(PART_MESSAGES) | MAY(PART_OFF_DOMAIN) | MAY(PART_FOR), true},
    [ACTION_LIMIT] = {"limit", MAY(PART_RULE) | MAY(PART_VALUE) | MAY(PART_FOR), true},
    [ACTION_EXEMPT] = {"exempt", MAY(PART_VALUE) | MAY(PART_FOR), true},
    [ACTION_PLAN] = {"plan", MAY(PART_VALUE) | MAY(PART_FOR), true},
    [ACTION_NOTE] = {"note", 0, false},
};

const char *desk_action_name(enum action_kind action) { return actions[action].name; }

struct words {
    const char *of[PART_COUNT]; /* NULL: left out */
};

/* ---- words ----------------------------------------------------------------------------- */

/* A form sends its empty fields too: they are left out. */
static int read_word(const struct context *context, const char *name, struct json_object *value,
                     const char **word_r, struct problem *problem)
{
    if (value != NULL && !json_object_is_type(value, json_type_string) &&
        !json_object_is_type(value, json_type_int))
        return problem_set(problem, 400, name, "expected a string or a whole number");
    return input_word(context, value, name, word_r, problem);
}

static int read_words(const struct context *context, struct json_object *object,
                      struct words *words_r,
                      struct problem *problem)
{
    *words_r = (struct words){0};
    if (!json_object_is_type(object, json_type_object))
        return problem_set(problem, 400, "body", "expected an object");
    json_object_object_foreach(object, name, value) {
        int word = 0;
        while (word < PART_COUNT && strcmp(part_names[word], name) != 0)
            word++;
        if (word == PART_COUNT) {
            const char *fault = address_text_fault(name, strlen(name));
            return problem_set(problem, 400, fault == NULL ? name : "body",
                               "an action has no member of this name");
        }
        if (!read_word(context, name, value, &words_r->of[word], problem))
            return 0;
    }
    return 1;
}

/* "volume, terms or staff". */
static const char *named(const struct context *context, const char *const *names, size_t count)
{
    const char *text = "";
    for (size_t i = 0; i < count; i++)
        text = arena_printf(context->arena, "%s%s%s", text,
                            i == 0 ? "" : i == count - 1 ? " or " : ", ", names[i]);
    return text;
}

static int read_action(const struct context *context, const struct words *words,
                       enum action_kind *action_r, struct problem *problem)
{
    const char *name = words->of[PART_ACTION];
    for (int action = 0; name != NULL && action < ACTION_COUNT; action++) {
        if (strcmp(actions[action].name, name) != 0)
            continue;
        *action_r = (enum action_kind)action;
        for (int word = PART_CAUSE; word < PART_COUNT; word++)
            if (words->of[word] != NULL && (actions[action].words & MAY(word)) == 0)
                return problem_set(problem, 400, part_names[word], "%s does not take it", name);
        return 1;
    }
    const char *names[ACTION_COUNT];
    for (int action = 0; action < ACTION_COUNT; action++)
        names[action] = actions[action].name;
    return problem_set(problem, 400, "action", "expected %s",
                       named(context, names, ACTION_COUNT));
}

static int read_subject(const struct context *context, const struct words *words,
                        struct desk_request *request,
                        struct problem *problem)
{
    const char *text = words->of[PART_SUBJECT];
    if (text != NULL && text[0] == '@' && actions[request->action].of_domain) {
        if (!input_domain(context, text, "subject", &request->domain, problem))
            return 0;
        request->mailbox = "";
        request->subject = arena_printf(context->arena, "@%s", request->domain);
        return 1;
    }
    if (text != NULL && text[0] != '\0' && strchr(text, '@') == NULL &&
        actions[request->action].of_domain)
        return problem_set(problem, 400, "subject", "it has no @: expected a mailbox such as "
                           "name@example.org, or a domain such as @example.org");
    if (text != NULL && text[0] == '@')
        return problem_set(problem, 400, "subject", "%s is for one mailbox, not for a domain",
                           desk_action_name(request->action));
    if (!input_mailbox(context, text, "subject", &request->mailbox, problem))
        return 0;
    request->domain = strrchr(request->mailbox, '@') + 1;
    request->subject = request->mailbox;
    return 1;
}

static int read_note(const struct words *words, struct desk_request *request,
                     struct problem *problem)
{
    request->note = words->of[PART_NOTE];
    if (request->note == NULL)
        return problem_set(problem, 400, "note", "expected the reason for this action");
    return strlen(request->note) <= NOTE_MAX_BYTES ||
           problem_set(problem, 400, "note", "it has at most %d bytes", NOTE_MAX_BYTES);
}

/* ---- values ------------------------------------------------------------------------------ */

static int read_for(const struct words *words, int64_t otherwise_ms, int64_t *for_ms_r,
                    struct problem *problem)
{
    *for_ms_r = otherwise_ms;
    return words->of[PART_FOR] == NULL || settings_duration_read(words->of[PART_FOR], for_ms_r) ||
           problem_set(problem, 400, "for",
                       "expected 1s to 3650d, such as 30m, 24h or 7d, or permanent");
}

static int read_until(const struct context *context, const struct words *words,
                      int64_t otherwise_ms,
                      int64_t *until_ms_r, struct problem *problem)
{
    int64_t for_ms;
    if (!read_for(words, otherwise_ms, &for_ms, problem))
        return 0;
    *until_ms_r = for_ms == UNTIL_LIFTED ? UNTIL_LIFTED : context->now_ms + for_ms;
    return 1;
}

static struct adjustment *add_change(struct desk_request *request, enum rule rule,
                                     enum adjust_kind kind,
                                     int64_t until_ms)
{
    struct adjustment *change = &request->changes[request->change_count++];
    *change = (struct adjustment){.rule = rule, .kind = kind, .until_ms = until_ms};
    snprintf(change->subject, sizeof change->subject, "%s", request->subject);
    return change;
}

static int read_cause(const struct context *context, const struct words *words,
                      enum cause otherwise, struct desk_request *request, struct problem *problem)
{
    const char *name = words->of[PART_CAUSE];
    int cause = name != NULL ? names_find(cause_names, CAUSE_COUNT, name) : (int)otherwise;
    if (cause < 0)
        return problem_set(problem, 400, "cause", "expected %s",
                           named(context, cause_names, CAUSE_COUNT));
    request->cause = (enum cause)cause;
    return 1;
}

int desk_request_choose_cause(const struct context *context, struct desk_request *request,
                              const struct suspensions *suspensions, const char *blocked,
                              struct problem *problem)
{
    const char *names[CAUSE_COUNT];
    for (size_t i = 0; i < suspensions->count; i++)
        names[i] = cause_names[suspensions->of[i].cause];
    if (suspensions->count == 0 && blocked != NULL)
        return problem_set(problem, 409, "subject", "it is not suspended, but %s is blocked: "
                           "expected @%s, to lift that", blocked, request->domain);
    if (suspensions->count == 0)
        return problem_set(problem, 409, "subject", "it is not suspended");
    if (request->cause == CAUSE_COUNT && suspensions->count > 1)
        return problem_set(problem, 409, "cause", "it is suspended more than once: expected %s",
                           named(context, names, suspensions->count));
    if (request->cause == CAUSE_COUNT)
        request->cause = suspensions->of[0].cause;
    return suspension_find(suspensions, request->cause) != NULL ||
           problem_set(problem, 409, "cause", "it is not suspended for %s: expected %s",
                       cause_names[request->cause], named(context, names, suspensions->count));
}

/* A domain is blocked for one reason alone. */
static int read_lift(const struct context *context, const struct words *words,
                     struct desk_request *request, struct problem *problem)
{
    if (request->mailbox[0] == '\0' && words->of[PART_CAUSE] != NULL)
        return problem_set(problem, 400, "cause", "a lift of a domain does not take it");
    return read_cause(context, words, CAUSE_COUNT, request, problem);
}

static int read_suspend(const struct context *context, const struct words *words,
                        struct desk_request *request,
                        struct problem *problem)
{
    if (!read_cause(context, words, CAUSE_STAFF, request, problem))
        return 0;
    request->durations = context->settings->durations[request->cause];
    if (words->of[PART_FOR] == NULL)
        return 1;
    request->durations.count = 1;
    return read_for(words, 0, &request->durations.ms[0], problem);
}

static int read_extra(const struct context *context, const struct words *words,
                      struct desk_request *request,
                      struct problem *problem)
{
    static const struct {
        enum part word;
        enum rule rule;
    } extras[] = {{PART_MESSAGES, RULE_MESSAGES_PER_DAY},
                  {PART_OFF_DOMAIN, RULE_OFF_DOMAIN_PER_DAY}};
    int64_t until_ms, number;
    if (!read_until(context, words, DAY_MS, &until_ms, problem))
        return 0;
    if (until_ms == UNTIL_LIFTED)
        return problem_set(problem, 400, "for", "an extra ends by itself; for longer set a limit");
    for (size_t i = 0; i < countof(extras); i++) {
        const char *name = part_names[extras[i].word];
        if (!input_number(words->of[extras[i].word], name, 0, 0, &number, problem))
            return 0;
        if (number > LIMIT_MAX)
            return problem_set(problem, 400, name, "expected at most %d", LIMIT_MAX);
        if (number > 0)
            add_change(request, extras[i].rule, ADJUST_EXTRA, until_ms)->value = (int32_t)number;
    }
    return request->change_count > 0 ||
           problem_set(problem, 400, "messages",
                       "expected a number of messages or of recipients (off_domain) above 0");
}

static int read_limit(const struct context *context, const struct words *words,
                      struct desk_request *request,
                      struct problem *problem)
{
    const char *value = words->of[PART_VALUE];
    int rule = words->of[PART_RULE] != NULL ? rule_by_name(words->of[PART_RULE]) : -1;
    int64_t until_ms, number = LIMIT_OFF;
    if (rule < 0)
        return problem_set(problem, 400, "rule", "expected a rule's name, such as %s",
                           rule_table[RULE_MESSAGES_PER_DAY].name);
    bool standard = value != NULL && strcmp(value, "default") == 0;
    bool off = value != NULL && strcmp(value, "off") == 0;
    if (value == NULL ||
        (!standard && !off &&
         (!input_number(value, "value", 0, 0, &number, problem) || number > LIMIT_MAX)))
        return problem_set(problem, 400, "value", "expected 0 to %d, off or default", LIMIT_MAX);
    if (!read_until(context, words, UNTIL_LIFTED, &until_ms, problem))
        return 0;
    struct adjustment *change = add_change(request, (enum rule)rule, ADJUST_LIMIT, until_ms);
    change->value = standard ? 0 : (int32_t)number;
    change->removed = standard;
    return 1;
}

static int read_exempt(const struct context *context, const struct words *words,
                       struct desk_request *request,
                       struct problem *problem)
{
    const char *value = words->of[PART_VALUE];
    int64_t until_ms;
    if (value != NULL && strcmp(value, "default") != 0)
        return problem_set(problem, 400, "value", "expected default, which ends an exemption");
    if (!read_until(context, words, UNTIL_LIFTED, &until_ms, problem))
        return 0;
    add_change(request, 0, ADJUST_EXEMPT, until_ms)->removed = value != NULL;
    return 1;
}

static int read_plan(const struct context *context, const struct words *words,
                     struct desk_request *request, struct problem *problem)
{
    const struct settings *settings = context->settings;
    const char *value = words->of[PART_VALUE], *names[PLANS_MAX];
    bool removed = value != NULL && strcmp(value, "default") == 0;
    int64_t until_ms;
    for (size_t i = 0; i < settings->plan_count; i++)
        names[i] = settings->plans[i].name;
    if (settings->plan_count == 0 && !removed)
        return problem_set(problem, 400, "value", "the settings have no plan ([plan.NAME])");
    if (value == NULL || (!removed && settings_plan(settings, value) == NULL))
        return problem_set(problem, 400, "value", "expected a plan of the settings, or default, "
                           "which takes it away; they have %s",
                           named(context, names, settings->plan_count));
    if (!read_until(context, words, UNTIL_LIFTED, &until_ms, problem))
        return 0;
    struct adjustment *change = add_change(request, 0, ADJUST_PLAN, until_ms);
    change->removed = removed;
    if (!removed)
        snprintf(change->plan, sizeof change->plan, "%s", value);
    return 1;
}

int desk_request_read(const struct context *context, struct json_object *object,
                      struct desk_request *request_r,
                      struct problem *problem)
{
    struct words words;
    struct desk_request request = {0};
    if (!read_words(context, object, &words, problem) ||
        !read_action(context, &words, &request.action, problem) ||
        !read_subject(context, &words, &request, problem) || !read_note(&words, &request, problem))
        return 0;
    int good = 1;
    switch (request.action) {
    case ACTION_SUSPEND: good = read_suspend(context, &words, &request, problem); break;
    case ACTION_LIFT: good = read_lift(context, &words, &request, problem); break;
    case ACTION_EXTRA: good = read_extra(context, &words, &request, problem); break;
    case ACTION_LIMIT: good = read_limit(context, &words, &request, problem); break;
    case ACTION_EXEMPT: good = read_exempt(context, &words, &request, problem); break;
    case ACTION_PLAN: good = read_plan(context, &words, &request, problem); break;
    default: break;
    }
    if (good)
        *request_r = request;
    return good;
}
