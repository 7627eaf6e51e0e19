#include "policy_answer.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "decision.h"
#include "json.h"

/* What a refusal tells, in the order in which it is read. */
enum part { PART_SENTENCE, PART_MOMENT, PART_REASONS, PART_LINK, PART_REFERENCE, PARTS };

struct telling {
    struct arena *arena;
    const struct catalogue *catalogue;
    const char *parts[PARTS];
};

/* Printable ASCII in one line: letters with accents lose them, line breaks become spaces, what
 * has no likeness becomes a question mark. */
static const char *plain(struct arena *arena, const char *text)
{
    g_autofree char *ascii = g_str_to_ascii(text, "C");
    char *copy = arena_strdup(arena, ascii);
    for (char *at = copy; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = ' ';
    return copy;
}

/* The text "message.NAME" with one value. */
static const char *sentence(const struct telling *telling, const char *name, const char *variable,
                            const char *value)
{
    freed_by(json_put) struct json_object *values = json_object_new_object();
    if (variable != NULL)
        json_add_string(values, variable, value);
    const char *key = arena_printf(telling->arena, "message.%s", name);
    const char *text = catalogue_text(telling->catalogue, telling->arena, "en", key, values);
    return text != NULL ? plain(telling->arena, text) : "";
}

/* Rounded up to the minute: who waits until then is never too early. */
static const char *sentence_of_moment(const struct telling *telling, const char *name,
                                      int64_t time_ms)
{
    time_t seconds = (time_t)((time_ms + MINUTE_MS - 1) / MINUTE_MS * 60);
    struct tm utc;
    char stamp[40];
    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M UTC", &utc) == 0)
        return "";
    return sentence(telling, name, "moment", stamp);
}

static const char *joined_reasons(const struct telling *telling, const struct verdict *verdict)
{
    const char *all = "";
    for (size_t i = 0; i < verdict->reason_count; i++) {
        const char *reason = plain(telling->arena, verdict->reasons[i].text);
        if (strlen(all) + 1 + strlen(reason) > POLICY_TEXT_MAX_BYTES)
            break;
        all = arena_printf(telling->arena, "%s%s%s", all, i > 0 ? " " : "", reason);
    }
    return all;
}

static const char *joined(struct arena *arena, const char *one, const char *other)
{
    return arena_printf(arena, "%s%s%s", one, one[0] != '\0' && other[0] != '\0' ? " " : "", other);
}

static void tell_suspension(struct telling *telling, const struct verdict *verdict)
{
    const struct suspension *suspension = &verdict->suspension;
    bool volume = suspension->cause == CAUSE_VOLUME || suspension->cause == CAUSE_FAILURES;
    const char *until = suspension->until_ms == UNTIL_LIFTED
                            ? sentence(telling, "stopped", NULL, NULL)
                            : sentence_of_moment(telling, "paused", suspension->until_ms);
    telling->parts[PART_SENTENCE] = sentence(telling, volume ? "volume" : "terms", NULL, NULL);
    telling->parts[PART_REASONS] =
        joined(telling->arena, joined_reasons(telling, verdict), until);
}

static void tell_refusal(struct telling *telling, const struct verdict *verdict)
{
    char decision[DECISION_TEXT_SIZE];
    if (verdict->ruling == RULING_SUSPENDED) {
        tell_suspension(telling, verdict);
    } else {
        telling->parts[PART_SENTENCE] = sentence(telling, "not_sent", NULL, NULL);
        telling->parts[PART_REASONS] = joined_reasons(telling, verdict);
        if (verdict->ruling == RULING_OVER_TIME && verdict->retry_at_ms != 0)
            telling->parts[PART_MOMENT] =
                sentence_of_moment(telling, "sendable_from", verdict->retry_at_ms);
    }
    if (verdict->status_url != NULL)
        telling->parts[PART_LINK] = sentence(telling, "details", "url", verdict->status_url);
    if (verdict->decision != 0) {
        decision_format(verdict->decision, decision);
        telling->parts[PART_REFERENCE] = sentence(telling, "reference", "decision", decision);
    }
}

/* Bytes that a part takes with the space before it. */
static size_t room_of(const char *part) { return part[0] != '\0' ? strlen(part) + 1 : 0; }

/* The link names the decision too: where both are too long, it stands for both. */
static size_t make_room_for_link(const char **parts, size_t left)
{
    bool named = strstr(parts[PART_LINK], "&d=") != NULL;
    if (!named || room_of(parts[PART_LINK]) <= left ||
        room_of(parts[PART_LINK]) > left + room_of(parts[PART_REFERENCE]))
        return left;
    left += room_of(parts[PART_REFERENCE]);
    parts[PART_REFERENCE] = "";
    return left;
}

/* The parts that fit together, the important ones first. Only the provider's sentence is ever
 * cut, so that the reference fits behind it. */
static const char *fit(struct telling *telling)
{
    static const enum part by_importance[PARTS] = {PART_SENTENCE, PART_MOMENT, PART_REFERENCE,
                                                   PART_LINK, PART_REASONS};
    enum { SENTENCE_MAX = 300 };
    size_t left = POLICY_TEXT_MAX_BYTES + 1; /* the first part has no space before it */
    const char *text = "";
    const char **parts = telling->parts;
    if (strlen(parts[PART_SENTENCE]) > SENTENCE_MAX)
        parts[PART_SENTENCE] =
            arena_printf(telling->arena, "%.*s...", SENTENCE_MAX - 3, parts[PART_SENTENCE]);
    for (int i = 0; i < PARTS; i++) {
        const char **part = &parts[by_importance[i]];
        if (*part == NULL)
            *part = "";
        if (by_importance[i] == PART_LINK)
            left = make_room_for_link(parts, left);
        if (room_of(*part) > left)
            *part = "";
        left -= room_of(*part);
    }
    for (int i = 0; i < PARTS; i++)
        text = joined(telling->arena, text, parts[i]);
    return text;
}

static void put(char answer_r[POLICY_ANSWER_SIZE], const char *action, const char *text)
{
    snprintf(answer_r, POLICY_ANSWER_SIZE, "action=%s %.*s\n\n", action,
             (int)POLICY_TEXT_MAX_BYTES, text);
}

void policy_answer(struct arena *arena, const struct catalogue *catalogue,
                   const struct verdict *verdict, char answer_r[POLICY_ANSWER_SIZE])
{
    struct telling telling = {.arena = arena, .catalogue = catalogue, .parts = {""}};
    switch (verdict->ruling) {
    case RULING_ADMIT:
        strcpy(answer_r, POLICY_DUNNO);
        return;
    case RULING_NO_STORE:
        policy_answer_later(arena, catalogue, "message.no_store", answer_r);
        return;
    default:
        tell_refusal(&telling, verdict);
        put(answer_r,
            verdict->ruling == RULING_OVER_TIME && verdict->retry_at_ms != 0
                ? "DEFER_IF_PERMIT 4.7.1"
                : "REJECT 5.7.1",
            fit(&telling));
    }
}

void policy_answer_later(struct arena *arena, const struct catalogue *catalogue, const char *key,
                         char answer_r[POLICY_ANSWER_SIZE])
{
    const char *text = catalogue_text(catalogue, arena, "en", key, NULL);
    put(answer_r, "451 4.7.1", plain(arena, text != NULL ? text : "Please try again later."));
}

void policy_answer_refuse(const char *text, char answer_r[POLICY_ANSWER_SIZE])
{
    put(answer_r, "REJECT 5.7.1", text);
}
