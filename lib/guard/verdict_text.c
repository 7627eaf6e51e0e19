#include "guard/verdict_text.h"

#include <time.h>

#include "base/decision.h"
#include "base/json.h"
#include "guard/block_list.h"
#include "guard/sending_state.h"
#include "text/present.h"

/* ---- reasons ---------------------------------------------------------------- */

/* Which sentence: of its rule, or why it fits never, however long one waits. */
static const char *reason_key(struct arena *arena, const struct objection *objection)
{
    const struct rule_info *rule = &rule_table[objection->rule];
    if (objection->rule == RULE_RECIPIENT_BLOCKED && objection->sentence == NULL &&
        block_list_known_reason(objection->reason))
        return arena_printf(arena, "reason.blocked_%s", objection->reason);
    if (!objection->never_fits)
        return arena_printf(arena, "reason.%s", rule->name);
    if (rule->measure == MEASURE_MESSAGES) /* one is always too many: the limit is 0 */
        return "reason.messages_forbidden";
    if (objection->limit == 0)
        return "reason.off_domain_forbidden";
    return arena_printf(arena, "reason.%s_too_big", rule->name);
}

static const char *joined(struct arena *arena, const char *const *words, size_t count)
{
    freed_by(text_free) struct text all = {0};
    for (size_t i = 0; i < count; i++)
        text_addf(&all, "%s%s", i > 0 ? ", " : "", words[i]);
    return arena_strdup(arena, text_string(&all));
}

const char *verdict_reason_text(struct arena *arena, const struct catalogue *catalogue,
                                const char *language, const struct objection *objection)
{
    freed_by(json_put) struct json_object *values = json_object_new_object();
    json_add_int(values, "count", objection->count);
    json_add_bool(values, "count_one", objection->count == 1);
    json_add_int(values, "limit", objection->limit);
    if (objection->count > objection->limit)
        json_add_int(values, "excess", objection->count - objection->limit);
    json_add_string(values, "domain", objection->domain);
    json_add_string(values, "recipient", objection->recipient);
    json_add_string(values, "sentence", objection->sentence);
    json_add_string(values, "until", objection->until);
    if (objection->from != NULL) {
        json_add_string(values, "from", objection->from->address);
        json_add_string(values, "mailbox", objection->from->mailbox);
        json_add_string(values, "may_use", joined(arena, objection->from->may_use,
                                                  objection->from->may_use_count));
    }
    if (objection->field >= 0) {
        const char *key = arena_printf(arena, "field.%s", field_names[objection->field]);
        json_add_string(values, "field", catalogue_text(catalogue, arena, language, key, NULL));
    }
    const char *text =
        catalogue_text(catalogue, arena, language, reason_key(arena, objection), values);
    return text != NULL ? text : "";
}

const char *verdict_block_text(struct arena *arena, const struct catalogue *catalogue,
                               const char *language, const struct verdict_block *block)
{
    freed_by(json_put) struct json_object *values = json_object_new_object();
    json_add_int(values, "bad", block->in_force.bad);
    json_add_int(values, "all", block->in_force.all);
    json_add_string(values, "domain", block->domain);
    const char *text = catalogue_text(catalogue, arena, language,
                                      block->in_force.of_mailbox ? "reason.mailbox_failures"
                                                                 : "reason.domain_failures",
                                      values);
    return text != NULL ? text : "";
}

const char *verdict_block_sentence(struct arena *arena, const struct catalogue *catalogue,
                                   const char *domain)
{
    freed_by(json_put) struct json_object *values = json_object_new_object();
    json_add_string(values, "domain", domain);
    return catalogue_text(catalogue, arena, "en", "message.failures", values);
}

const char *verdict_provider_sentence(struct arena *arena, const struct catalogue *catalogue,
                                      const struct suspension *suspension)
{
    if (suspension_is_own_lock(suspension->cause, suspension->by))
        return NULL;
    return catalogue_text(catalogue, arena, "en",
                          suspension->cause == CAUSE_VOLUME ? "message.volume" : "message.terms",
                          NULL);
}

/* ---- the message --------------------------------------------------------------- */

struct verdict_writing {
    struct arena *arena;
    const struct catalogue *catalogue;
    const char *language;
    const struct verdict *verdict;
    struct text *text;
};

/* Sentences have a space between them. */
static void tell(const struct verdict_writing *telling, const char *sentence)
{
    if (sentence == NULL || sentence[0] == '\0')
        return;
    if (telling->text->length > 0)
        text_add_char(telling->text, ' ');
    text_add(telling->text, sentence);
}

/* A text of that key as it is; NULL: none. */
static void tell_text(const struct verdict_writing *telling, const char *key)
{
    if (key != NULL)
        tell(telling, catalogue_text(telling->catalogue, telling->arena, telling->language, key,
                                     NULL));
}

/* The text "message.NAME"; takes `values`. */
static void tell_with(const struct verdict_writing *telling, const char *name,
                      struct json_object *values)
{
    freed_by(json_put) struct json_object *taken = values;
    const char *key = arena_printf(telling->arena, "message.%s", name);
    tell(telling, catalogue_text(telling->catalogue, telling->arena, telling->language, key, taken));
}

static void tell_string(const struct verdict_writing *telling, const char *name,
                        const char *variable,
                        const char *value)
{
    struct json_object *values = json_object_new_object();
    json_add_string(values, variable, value);
    tell_with(telling, name, values);
}

const char *verdict_moment_text(struct arena *arena, const struct catalogue *catalogue,
                                const struct submission *submission, int64_t now_ms,
                                int64_t time_ms)
{
    const struct reader reader = {catalogue, catalogue_language(catalogue, submission->lang),
                                  submission->zone, now_ms};
    if (reader.zone != NULL)
        return present_moment(arena, &reader, time_ms);
    time_t seconds = (time_t)((time_ms + MINUTE_MS - 1) / MINUTE_MS * 60);
    struct tm utc;
    char stamp[40] = "";
    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M UTC", &utc);
    return arena_strdup(arena, stamp);
}

static const char *moment_text(const struct verdict_writing *telling, int64_t time_ms)
{
    return verdict_moment_text(telling->arena, telling->catalogue, telling->verdict->submission,
                               telling->verdict->now_ms, time_ms);
}

static void tell_moment(const struct verdict_writing *telling, const char *name, int64_t time_ms)
{
    tell_string(telling, name, "moment", moment_text(telling, time_ms));
}

static void tell_reasons(const struct verdict_writing *telling, const struct verdict *verdict)
{
    tell(telling, verdict->block.text);
    for (size_t i = 0; i < verdict->reason_count; i++)
        tell(telling, verdict->reasons[i].text);
}

static void tell_attempts(const struct verdict_writing *telling, const struct verdict *verdict)
{
    const struct suspension *moving = sending_state_moving(&verdict->suspensions);
    if (moving == NULL || moving->attempts == 0)
        return;
    struct json_object *values = json_object_new_object();
    json_add_int(values, "attempts", moving->attempts);
    json_add_int(values, "restart", verdict->retries_before_restart);
    tell_with(telling, "attempts", values);
}

/* The state and its end, whether the guard, staff or the user set it. */
static void tell_state(const struct verdict_writing *telling, const struct suspension *suspension)
{
    if (suspension_is_own_lock(suspension->cause, suspension->by))
        tell_moment(telling, "own_lock", suspension->since_ms);
    else if (sending_state_is_stolen(suspension))
        tell_with(telling, "compromised", NULL);
    if (suspension->until_ms == UNTIL_LIFTED)
        tell_with(telling, "stopped", NULL);
    else
        tell_moment(telling, "paused", suspension->until_ms);
}

/* The suspensions beside the one that is told. */
static void tell_others(const struct verdict_writing *telling, const struct suspensions *held)
{
    for (size_t i = 1; i < held->count; i++) {
        const struct suspension *other = &held->of[i];
        struct json_object *values = json_object_new_object();
        if (other->until_ms != UNTIL_LIFTED)
            json_add_string(values, "moment", moment_text(telling, other->until_ms));
        json_add_string(values, "cause",
                        catalogue_text(telling->catalogue, telling->arena, telling->language,
                                       sending_state_cause(other, telling->arena), NULL));
        tell_with(telling, sending_state_besides(other), values);
    }
}

static void tell_suspension(const struct verdict_writing *telling, const struct verdict *verdict)
{
    const struct suspension *suspension = &verdict->suspensions.of[0];
    if (suspension->id == 0) { /* a dry run: it would be suspended */
        tell_with(telling, "would_suspend", NULL);
        tell_reasons(telling, verdict);
        return;
    }
    tell_state(telling, suspension);
    tell_others(telling, &verdict->suspensions);
    tell_with(telling, "not_sent", NULL);
    tell_reasons(telling, verdict);
    if (verdict->retry_at_ms > suspension->until_ms) /* its windows have no room before */
        tell_moment(telling, "this_from", verdict->retry_at_ms);
    tell_text(telling, sending_state_what_to_do(suspension));
    if (!sending_state_is_stolen(suspension))
        tell_with(telling, "reading", NULL);
    tell_attempts(telling, verdict);
}

static void tell_block(const struct verdict_writing *telling, const struct verdict *verdict)
{
    const struct failure_in_force *block = &verdict->block.in_force;
    tell_moment(telling, "paused", block->until_ms);
    tell_reasons(telling, verdict);
    tell_with(telling, "not_sent", NULL);
    if (verdict->retry_at_ms > block->until_ms) /* its windows have no room before */
        tell_moment(telling, "this_from", verdict->retry_at_ms);
    tell_text(telling, sending_state_hint(block->hint));
    tell_text(telling, sending_state_hint_to_do(block->hint));
    if (!block->of_mailbox)
        tell_text(telling, "failures.do.perhaps");
    tell_with(telling, "reading", NULL);
}

/* Why a message waits or is deferred: the numbers where they are its own. */
static void tell_unusual(const struct verdict_writing *telling, const struct unusual *unusual)
{
    struct json_object *values = json_object_new_object();
    json_add_int(values, "count", unusual->new_recipients);
    tell_with(telling, unusual_decide(unusual) ? "unusual_hour" : "unusual", values);
}

/* A message that was taken, and waits; in a dry run: would. */
static void tell_held(const struct verdict_writing *telling, const struct verdict *verdict)
{
    tell_with(telling, verdict->dry_run ? "would_hold" : "held", NULL);
    tell_unusual(telling, &verdict->unusual);
    tell_with(telling, "held_do", NULL);
}

static void tell_ending(const struct verdict_writing *telling, const struct verdict *verdict,
                        const char *contact)
{
    char decision[DECISION_TEXT_SIZE];
    if (verdict->status_url != NULL)
        tell_string(telling, "details", "url", verdict->status_url);
    if (contact[0] != '\0')
        tell_string(telling, "questions", "contact", contact);
    if (verdict->decision != 0) {
        decision_format(verdict->decision, decision);
        tell_string(telling, "reference", "decision", decision);
    }
}

static void tell_kind(const struct verdict_writing *telling, const struct verdict *verdict)
{
    if (verdict->kind == VERDICT_SUSPENDED) {
        tell_suspension(telling, verdict);
        return;
    }
    if (verdict->kind == VERDICT_BLOCKED) {
        tell_block(telling, verdict);
        return;
    }
    if (verdict->kind == VERDICT_UNUSUAL) {
        tell_with(telling, "not_sent", NULL);
        tell_unusual(telling, &verdict->unusual);
        tell_with(telling, "deferred_do", NULL);
        return;
    }
    tell_with(telling, "not_sent", NULL);
    tell_reasons(telling, verdict);
    if (verdict->kind == VERDICT_OVER_TIME && verdict->retry_at_ms != 0)
        tell_moment(telling, "sendable_from", verdict->retry_at_ms);
}

const char *verdict_message(struct arena *arena, const struct catalogue *catalogue,
                            const struct verdict *verdict, const char *support_contact)
{
    if (verdict->kind == VERDICT_ADMIT && !verdict_waits(verdict))
        return "";
    freed_by(text_free) struct text text = {0};
    const struct verdict_writing telling = {
        arena, catalogue, catalogue_language(catalogue, verdict->submission->lang), verdict,
        &text};
    if (verdict->kind == VERDICT_NO_STORE) {
        tell_with(&telling, "no_store", NULL);
    } else {
        if (verdict_waits(verdict))
            tell_held(&telling, verdict);
        else
            tell_kind(&telling, verdict);
        tell_ending(&telling, verdict, support_contact);
        if (verdict->sentence != NULL)
            tell_string(&telling, "quoted", "sentence", verdict->sentence);
    }
    return arena_strndup(arena, text_string(&text), text.length);
}
