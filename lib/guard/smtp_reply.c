#include "guard/smtp_reply.h"

#include <glib.h>
#include <string.h>
#include <time.h>

#include "base/decision.h"
#include "base/json.h"
#include "guard/sending_state.h"
#include "guard/verdict_text.h"
#include "store/suspensions.h"

/* What a refusal tells, in the order in which it is read. */
enum part {
    PART_SENTENCE, PART_MOMENT, PART_OTHERS, PART_REASONS, PART_CONTACT, PART_REFERENCE,
    PART_NOT_LATER, PART_LINK, PARTS
};

struct reply_writing {
    struct arena *arena;
    const struct catalogue *catalogue;
    const char *contact;
    const char *parts[PARTS];
};

const char *smtp_reply_plain(struct arena *arena, const char *text)
{
    g_autofree char *ascii = g_str_to_ascii(text, "C");
    char *copy = arena_strdup(arena, ascii);
    for (char *at = copy; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = ' ';
    return copy;
}

/* A text of the catalogue; takes `values`, which may be NULL. */
static const char *text_of(const struct reply_writing *telling, const char *key,
                           struct json_object *values)
{
    freed_by(json_put) struct json_object *taken = values;
    const char *text = catalogue_text(telling->catalogue, telling->arena, "en", key, taken);
    return text != NULL ? smtp_reply_plain(telling->arena, text) : "";
}

/* The same with one value. */
static const char *sentence(const struct reply_writing *telling, const char *key,
                            const char *variable,
                            const char *value)
{
    struct json_object *values = json_object_new_object();
    json_add_string(values, variable, value);
    return text_of(telling, key, values);
}

/* Rounded up to the minute: who waits until then is never too early. */
static const char *moment_text(const struct reply_writing *telling, int64_t time_ms)
{
    time_t seconds = (time_t)((time_ms + MINUTE_MS - 1) / MINUTE_MS * 60);
    struct tm utc;
    char stamp[40] = "";
    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M UTC", &utc);
    return arena_strdup(telling->arena, stamp);
}

static const char *sentence_of_moment(const struct reply_writing *telling, const char *key,
                                      int64_t time_ms)
{
    return sentence(telling, key, "moment", moment_text(telling, time_ms));
}

/* As many as leave the other parts their room. */
static const char *joined_reasons(const struct reply_writing *telling,
                                  const struct verdict *verdict)
{
    enum { REASONS_MAX = 200 };
    const char *all = "";
    for (size_t i = 0; i < verdict->reason_count; i++) {
        const char *reason = smtp_reply_plain(telling->arena, verdict->reasons[i].text);
        if (i > 0 && strlen(all) + 1 + strlen(reason) > REASONS_MAX)
            break;
        all = arena_printf(telling->arena, "%s%s%s", all, i > 0 ? " " : "", reason);
    }
    return all;
}

static const char *joined(struct arena *arena, const char *one, const char *other)
{
    return arena_printf(arena, "%s%s%s", one, one[0] != '\0' && other[0] != '\0' ? " " : "", other);
}

/* "Messages in 24 hours: 601, limit 600." The provider's sentence leaves no room for more. */
static const char *short_rule(const struct reply_writing *telling, enum rule rule, uint64_t count,
                              uint64_t limit)
{
    const char *key = arena_printf(telling->arena, "rule.%s", rule_table[rule].name);
    struct json_object *values = json_object_new_object();
    json_add_string(values, "rule_text", text_of(telling, key, NULL));
    json_add_int(values, "count", (int64_t)count);
    json_add_int(values, "limit", (int64_t)limit);
    return text_of(telling, "smtp.rule", values);
}

/* The rule that brought the suspension: of this message, or of the one that it began with. Where
 * the window has room again, its numbers of now would contradict the pause, and none are told. */
static const char *rule_of_suspension(const struct reply_writing *telling,
                                      const struct verdict *verdict)
{
    const struct suspension *suspension = &verdict->suspensions.of[0];
    if (verdict->reason_count > 0) {
        const struct objection *objection = &verdict->reasons[0].objection;
        if (objection->rule >= RULE_COUNT) /* it has no numbers */
            return smtp_reply_plain(telling->arena, verdict->reasons[0].text);
        return short_rule(telling, objection->rule, objection->count, objection->limit);
    }
    int rule = strcmp(suspension->by, "guard") == 0 ? rule_by_name(suspension->note) : -1;
    for (size_t i = 0; i < verdict->window_count; i++)
        if ((int)verdict->windows[i].rule == rule &&
            !window_fits(verdict->windows[i].used, 1, verdict->windows[i].limit))
            return short_rule(telling, verdict->windows[i].rule, verdict->windows[i].used,
                              (uint64_t)verdict->windows[i].limit);
    return "";
}

/* The suspensions beside the one that is told. */
static const char *joined_others(const struct reply_writing *telling,
                                 const struct suspensions *held)
{
    const char *all = "";
    for (size_t i = 1; i < held->count; i++) {
        const struct suspension *other = &held->of[i];
        struct json_object *values = json_object_new_object();
        const char *key =
            arena_printf(telling->arena, "smtp.%s", sending_state_besides(other));
        if (other->until_ms != UNTIL_LIFTED)
            json_add_string(values, "moment", moment_text(telling, other->until_ms));
        json_add_string(values, "cause",
                        text_of(telling, sending_state_cause(other, telling->arena), NULL));
        all = joined(telling->arena, all, text_of(telling, key, values));
    }
    return all;
}

/* Until when it holds. Of a password that others may know, locked or not, it ends with a new one. */
static const char *end_of(const struct reply_writing *telling, const struct suspension *suspension)
{
    bool of_password = suspension_is_of_lock(suspension->cause);
    if (suspension->until_ms != UNTIL_LIFTED)
        return sentence_of_moment(telling, "smtp.paused", suspension->until_ms);
    return text_of(telling, of_password ? "smtp.stopped_password" : "smtp.stopped", NULL);
}

static void tell_suspension(struct reply_writing *telling, const struct verdict *verdict)
{
    const struct suspension *suspension = &verdict->suspensions.of[0];
    const char *provider = verdict_provider_sentence(telling->arena, telling->catalogue,
                                                     suspension);
    telling->parts[PART_SENTENCE] =
        provider != NULL ? smtp_reply_plain(telling->arena, provider)
                         : sentence_of_moment(telling, "smtp.own_lock", suspension->since_ms);
    telling->parts[PART_MOMENT] = end_of(telling, suspension);
    telling->parts[PART_OTHERS] = joined_others(telling, &verdict->suspensions);
    telling->parts[PART_REASONS] = rule_of_suspension(telling, verdict);
    telling->parts[PART_NOT_LATER] = text_of(telling, "smtp.not_later", NULL);
}

static void tell_block(struct reply_writing *telling, const struct verdict *verdict)
{
    struct json_object *values = json_object_new_object();
    json_add_int(values, "bad", verdict->block.in_force.bad);
    json_add_int(values, "all", verdict->block.in_force.all);
    telling->parts[PART_SENTENCE] =
        arena_printf(telling->arena, "%s.", smtp_reply_plain(telling->arena, verdict->sentence));
    telling->parts[PART_MOMENT] =
        sentence_of_moment(telling, "smtp.paused", verdict->block.in_force.until_ms);
    telling->parts[PART_REASONS] = text_of(telling, "smtp.failures", values);
    telling->parts[PART_NOT_LATER] = text_of(telling, "smtp.not_later", NULL);
}

bool smtp_reply_defers(const struct verdict *verdict)
{
    return (verdict->kind == VERDICT_OVER_TIME && verdict->retry_at_ms != 0) ||
           verdict->kind == VERDICT_UNUSUAL;
}

/* New recipients of the hour. */
static struct json_object *count_of(const struct verdict *verdict)
{
    struct json_object *values = json_object_new_object();
    if (unusual_is(&verdict->unusual))
        json_add_int(values, "count", verdict->unusual.new_recipients);
    return values;
}

static void tell_refusal(struct reply_writing *telling, const struct verdict *verdict)
{
    char decision[DECISION_TEXT_SIZE];
    if (verdict->kind == VERDICT_SUSPENDED) {
        tell_suspension(telling, verdict);
    } else if (verdict->kind == VERDICT_BLOCKED) {
        tell_block(telling, verdict);
    } else if (verdict->kind == VERDICT_UNUSUAL) {
        telling->parts[PART_SENTENCE] = text_of(telling, "smtp.not_now", NULL);
        telling->parts[PART_REASONS] = text_of(telling, "smtp.deferred", count_of(verdict));
    } else {
        /* a mail server that is deferred tries again: it is not told that nothing will come of it */
        bool deferred = smtp_reply_defers(verdict);
        telling->parts[PART_SENTENCE] =
            text_of(telling, deferred ? "smtp.not_now" : "message.not_sent", NULL);
        telling->parts[PART_REASONS] = joined_reasons(telling, verdict);
        if (deferred)
            telling->parts[PART_MOMENT] =
                sentence_of_moment(telling, "message.sendable_from", verdict->retry_at_ms);
    }
    if (telling->contact[0] != '\0')
        telling->parts[PART_CONTACT] =
            sentence(telling, "message.questions", "contact", telling->contact);
    if (verdict->status_url != NULL)
        telling->parts[PART_LINK] =
            sentence(telling, "message.details", "url", verdict->status_url);
    if (verdict->decision != 0) {
        decision_format(verdict->decision, decision);
        telling->parts[PART_REFERENCE] =
            sentence(telling, "message.reference", "decision", decision);
    }
}

/* For the log of the service that forwards, which tries again by itself. */
static void tell_deferral(struct reply_writing *telling, const struct verdict *verdict)
{
    char decision[DECISION_TEXT_SIZE];
    decision_format(verdict->decision, decision);
    telling->parts[PART_SENTENCE] = text_of(telling, "smtp.forwarded_later", NULL);
    telling->parts[PART_REASONS] = joined_reasons(telling, verdict);
    telling->parts[PART_MOMENT] =
        sentence_of_moment(telling, "message.sendable_from", verdict->retry_at_ms);
    telling->parts[PART_REFERENCE] =
        sentence(telling, "message.reference", "decision", decision);
}

/* Bytes that a part takes with the space before it. */
static size_t room_of(const char *part) { return part[0] != '\0' ? strlen(part) + 1 : 0; }

/* Keeps the part when there is room for it. */
static bool keep(const char **part, size_t *left)
{
    if (room_of(*part) > *left)
        *part = "";
    *left -= room_of(*part);
    return (*part)[0] != '\0';
}

/* The parts that fit together, the important ones first. The link comes late: it is the longest, and
 * with the reference, which always has its place, support finds the same; it has other suspensions
 * too, which come last. A long contact comes after what happened. Only the first sentence is ever cut. */
static const char *fit(struct reply_writing *telling, size_t max_bytes)
{
    enum { SENTENCE_MAX = 300, LONG_CONTACT = 100 };
    size_t left = max_bytes + 1; /* the first part has no space before it */
    const char *text = "";
    const char **parts = telling->parts;
    for (int i = 0; i < PARTS; i++)
        if (parts[i] == NULL)
            parts[i] = "";
    if (strlen(parts[PART_SENTENCE]) > SENTENCE_MAX)
        parts[PART_SENTENCE] =
            arena_printf(telling->arena, "%.*s...", SENTENCE_MAX - 3, parts[PART_SENTENCE]);
    const char *reference = parts[PART_REFERENCE];
    keep(&parts[PART_SENTENCE], &left);
    keep(&reference, &left);
    keep(&parts[PART_MOMENT], &left);
    if (strlen(parts[PART_CONTACT]) <= LONG_CONTACT)
        keep(&parts[PART_CONTACT], &left);
    keep(&parts[PART_REASONS], &left);
    keep(&parts[PART_NOT_LATER], &left);
    if (strlen(parts[PART_CONTACT]) > LONG_CONTACT)
        keep(&parts[PART_CONTACT], &left);
    if (room_of(parts[PART_LINK]) > left) { /* it ends with the reference, and may take its place */
        left += room_of(reference);
        if (keep(&parts[PART_LINK], &left))
            parts[PART_REFERENCE] = "";
        else
            left -= room_of(reference);
    } else {
        left -= room_of(parts[PART_LINK]);
    }
    keep(&parts[PART_OTHERS], &left);
    for (int i = 0; i < PARTS; i++)
        text = joined(telling->arena, text, parts[i]);
    return text;
}

const char *smtp_reply_line(struct arena *arena, const struct catalogue *catalogue,
                            const struct verdict *verdict, const char *contact, size_t max_bytes)
{
    struct reply_writing telling = {.arena = arena, .catalogue = catalogue, .contact = contact};
    if (smtp_reply_defers(verdict) && verdict->submission->channel == CHANNEL_FORWARDING)
        tell_deferral(&telling, verdict);
    else
        tell_refusal(&telling, verdict);
    return fit(&telling, max_bytes);
}

const char *smtp_reply_held(struct arena *arena, const struct catalogue *catalogue,
                            const struct verdict *verdict, size_t max_bytes)
{
    struct reply_writing telling = {.arena = arena, .catalogue = catalogue, .contact = ""};
    char decision[DECISION_TEXT_SIZE];
    decision_format(verdict->decision, decision);
    telling.parts[PART_SENTENCE] = text_of(&telling, "smtp.held", count_of(verdict));
    telling.parts[PART_REFERENCE] = sentence(&telling, "message.reference", "decision", decision);
    return fit(&telling, max_bytes);
}

struct smtp_reply_lines smtp_reply_two_lines(struct arena *arena,
                                             const struct catalogue *catalogue,
                                             const struct verdict *verdict, const char *contact,
                                             size_t max_bytes)
{
    struct reply_writing telling = {.arena = arena, .catalogue = catalogue, .contact = contact};
    tell_refusal(&telling, verdict);
    const char *place = telling.parts[PART_LINK];
    if (place == NULL || strlen(place) > max_bytes)
        place = telling.parts[PART_REFERENCE];
    telling.parts[PART_LINK] = telling.parts[PART_REFERENCE] = NULL;
    return (struct smtp_reply_lines){fit(&telling, max_bytes), place != NULL ? place : ""};
}

const char *smtp_reply_sentence(struct arena *arena, const struct catalogue *catalogue,
                                const char *sentence_alone, const char *contact, size_t max_bytes)
{
    struct reply_writing telling = {.arena = arena, .catalogue = catalogue, .contact = contact};
    telling.parts[PART_SENTENCE] = smtp_reply_plain(arena, sentence_alone);
    if (contact[0] != '\0')
        telling.parts[PART_CONTACT] = sentence(&telling, "message.questions", "contact", contact);
    return fit(&telling, max_bytes);
}
