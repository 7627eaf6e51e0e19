#include "guard/verdict.h"

#include "base/decision.h"

const char *const verdict_labels[VERDICT_LABELS] = {
    [LABEL_ADMIT] = "admit",         [LABEL_MESSAGE] = "message",   [LABEL_OVER_TIME] = "over_time",
    [LABEL_SUSPENDED] = "suspended", [LABEL_NO_STORE] = "no_store", [LABEL_REPEATED] = "repeated",
    [LABEL_OBSERVED] = "observed",   [LABEL_UNJUDGED] = "unjudged",
    [LABEL_REDEEMED] = "redeemed",   [LABEL_BLOCKED] = "blocked",
    [LABEL_SENDER_BLOCKED] = "sender_blocked", [LABEL_IDENTITY] = "identity",
    [LABEL_UNUSUAL] = "unusual",   [LABEL_HELD] = "held",
};

const char *const can_send_names[CAN_SEND_COUNT] = {"all", "own", "none"};

enum verdict_label verdict_label(const struct verdict *verdict)
{
    static const enum verdict_label words[] = {
        [VERDICT_ADMIT] = LABEL_ADMIT,         [VERDICT_MESSAGE] = LABEL_MESSAGE,
        [VERDICT_OVER_TIME] = LABEL_OVER_TIME, [VERDICT_SUSPENDED] = LABEL_SUSPENDED,
        [VERDICT_NO_STORE] = LABEL_NO_STORE,   [VERDICT_BLOCKED] = LABEL_BLOCKED,
        [VERDICT_SENDER_BLOCKED] = LABEL_SENDER_BLOCKED, [VERDICT_IDENTITY] = LABEL_IDENTITY,
        [VERDICT_UNUSUAL] = LABEL_UNUSUAL,
    };
    return verdict->repeated   ? LABEL_REPEATED
           : verdict_waits(verdict) ? LABEL_HELD
           : verdict->redeemed ? LABEL_REDEEMED
           : verdict->observed ? LABEL_OBSERVED
           : verdict->unjudged ? LABEL_UNJUDGED
                               : words[verdict->kind];
}

const char *verdict_rule(const struct verdict *verdict)
{
    return verdict->block.in_force.until_ms != 0 ? VERDICT_RULE_OF_BLOCK
           : verdict->reason_count > 0           ? rule_table[verdict->reasons[0].objection.rule].name
                                                 : NULL;
}

const char *verdict_shadow(const struct verdict *verdict)
{
    for (size_t i = 0; i < OVER_TIME_COUNT; i++)
        if (verdict->shadow_over[i])
            return rule_table[RULE_FIRST_OVER_TIME + i].name;
    return NULL;
}

static void write_block(struct json_writer *writer, const struct verdict_block *block)
{
    json_write_object(writer, NULL);
    json_write_string(writer, "rule", VERDICT_RULE_OF_BLOCK);
    json_write_string(writer, "of", block->in_force.of_mailbox ? "mailbox" : "domain");
    json_write_string(writer, "domain", block->domain);
    json_write_int(writer, "count", block->in_force.bad);
    json_write_int(writer, "all", block->in_force.all);
    json_write_int(writer, "percent", block->percent);
    json_write_moment(writer, "since", block->in_force.from_ms);
    json_write_moment(writer, "until", block->in_force.until_ms);
    json_write_string(writer, "hint", failure_in_force_hints[block->in_force.hint]);
    json_write_string(writer, "text", block->text);
    json_write_end(writer);
}

static void write_reason(struct json_writer *writer, const struct reason *reason)
{
    const struct objection *objection = &reason->objection;
    json_write_object(writer, NULL);
    json_write_string(writer, "rule", rule_table[objection->rule].name);
    if (objection->field >= 0)
        json_write_string(writer, "field", field_names[objection->field]);
    if (objection->domain != NULL)
        json_write_string(writer, "domain", objection->domain);
    if (objection->recipient != NULL)
        json_write_string(writer, "recipient", objection->recipient);
    if (objection->reason != NULL)
        json_write_string(writer, "reason", objection->reason);
    if (objection->from != NULL) {
        json_write_string(writer, "from", objection->from->address);
        json_write_list(writer, "may_use");
        for (size_t i = 0; i < objection->from->may_use_count; i++)
            json_write_string(writer, NULL, objection->from->may_use[i]);
        json_write_end(writer);
    }
    if (objection->rule < RULE_COUNT)
        json_write_int(writer, "limit", objection->limit);
    json_write_int(writer, "count", objection->count);
    json_write_string(writer, "text", reason->text);
    json_write_end(writer);
}

static void write_window(struct json_writer *writer, const struct verdict_window *window)
{
    json_write_object(writer, NULL);
    json_write_string(writer, "rule", rule_table[window->rule].name);
    json_write_int(writer, "limit", window->limit);
    json_write_int(writer, "used", (int64_t)window->used);
    json_write_int(writer, "window_s", rule_table[window->rule].window_ms / SECOND_MS);
    json_write_list(writer, "refill");
    for (size_t i = 0; i < window->refill_count; i++) {
        json_write_object(writer, NULL);
        json_write_moment(writer, "at", window->refill[i].at_ms);
        json_write_int(writer, "count", (int64_t)window->refill[i].count);
        json_write_end(writer);
    }
    json_write_end(writer);
    json_write_end(writer);
}

/* name: NULL in a list. */
static void write_suspension(struct json_writer *writer, const char *name,
                             const struct verdict *verdict, const struct suspension *suspension)
{
    json_write_object(writer, name);
    json_write_string(writer, "cause", cause_names[suspension->cause]);
    json_write_moment(writer, "since", suspension->since_ms);
    json_write_moment(writer, "until", suspension->until_ms);
    json_write_int(writer, "attempts", suspension->attempts);
    json_write_int(writer, "retries_before_restart", verdict->retries_before_restart);
    json_write_int(writer, "offence", suspension->offence);
    json_write_bool(writer, "brought", verdict->brought);
    json_write_bool(writer, "own_lock", suspension_is_own_lock(suspension->cause, suspension->by));
    if (suspension == verdict->suspensions.of)
        json_write_string(writer, "sentence", verdict->sentence);
    json_write_end(writer);
}

static void write_suspensions(struct json_writer *writer, const struct verdict *verdict)
{
    const struct suspensions *suspensions = &verdict->suspensions;
    if (suspensions->count > 0)
        write_suspension(writer, "suspension", verdict, suspensions->of);
    else
        json_write_null(writer, "suspension");
    json_write_list(writer, "suspensions");
    for (size_t i = 0; i < suspensions->count; i++)
        write_suspension(writer, NULL, verdict, &suspensions->of[i]);
    json_write_end(writer);
}

static void write_can_send(struct json_writer *writer, const struct verdict *verdict)
{
    bool known = !verdict->unjudged && verdict->kind != VERDICT_NO_STORE;
    json_write_string(writer, "can_send", known ? can_send_names[verdict->can_send] : NULL);
    json_write_moment(writer, "can_send_at", known ? verdict->can_send_at_ms : 0);
}

static void write_if(struct json_writer *writer, const char *name, bool holds)
{
    if (holds)
        json_write_bool(writer, name, true);
}

void verdict_write(struct json_writer *writer, const struct verdict *verdict)
{
    json_write_string(writer, "verdict", verdict_waits(verdict)             ? "hold"
                                         : verdict->kind == VERDICT_ADMIT ? "admit"
                                                                          : "refuse");
    json_write_decision(writer, "decision", verdict->decision);
    json_write_string(writer, "id", verdict->submission->id);
    json_write_string(writer, "mailbox", verdict->submission->mailbox);
    json_write_list(writer, "reasons");
    if (verdict->block.in_force.until_ms != 0)
        write_block(writer, &verdict->block);
    for (size_t i = 0; i < verdict->reason_count; i++)
        write_reason(writer, &verdict->reasons[i]);
    json_write_end(writer);
    json_write_list(writer, "windows");
    for (size_t i = 0; i < verdict->window_count; i++)
        write_window(writer, &verdict->windows[i]);
    json_write_end(writer);
    write_suspensions(writer, verdict);
    write_can_send(writer, verdict);
    json_write_moment(writer, "retry_at", verdict->retry_at_ms);
    if (verdict->park_at_ms != 0)
        json_write_moment(writer, "park_at", verdict->park_at_ms);
    if (verdict->can_split > 0)
        json_write_int(writer, "can_split", verdict->can_split);
    json_write_string(writer, "message", verdict->message);
    json_write_string(writer, "status_url", verdict->status_url);
    if (verdict->shown != NULL)
        json_write_raw(writer, "shown", verdict->shown);
    write_if(writer, "observed", verdict->observed);
    write_if(writer, "dry_run", verdict->dry_run);
    write_if(writer, "repeated", verdict->repeated);
    write_if(writer, "redeemed", verdict->redeemed);
    write_if(writer, "bypassed", verdict->bypassed);
    write_if(writer, "unjudged", verdict->unjudged);
}
