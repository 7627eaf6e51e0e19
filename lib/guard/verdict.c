#include "guard/verdict.h"

#include "base/decision.h"

const char *const verdict_labels[VERDICT_LABELS] = {
    [LABEL_ADMIT] = "admit",         [LABEL_MESSAGE] = "message",   [LABEL_OVER_TIME] = "over_time",
    [LABEL_SUSPENDED] = "suspended", [LABEL_NO_STORE] = "no_store", [LABEL_REPEATED] = "repeated",
    [LABEL_OBSERVED] = "observed",   [LABEL_UNJUDGED] = "unjudged",
    [LABEL_REDEEMED] = "redeemed",
};

const char *const can_send_names[CAN_SEND_COUNT] = {"all", "own", "none"};

enum verdict_label verdict_label(const struct verdict *verdict)
{
    static const enum verdict_label words[] = {
        [VERDICT_ADMIT] = LABEL_ADMIT,         [VERDICT_MESSAGE] = LABEL_MESSAGE,
        [VERDICT_OVER_TIME] = LABEL_OVER_TIME, [VERDICT_SUSPENDED] = LABEL_SUSPENDED,
        [VERDICT_NO_STORE] = LABEL_NO_STORE,
    };
    return verdict->repeated   ? LABEL_REPEATED
           : verdict->redeemed ? LABEL_REDEEMED
           : verdict->observed ? LABEL_OBSERVED
           : verdict->unjudged ? LABEL_UNJUDGED
                               : words[verdict->kind];
}

static void add_time_or_null(struct text *text, int64_t time_ms)
{
    if (time_ms == 0 || time_ms == UNTIL_LIFTED) {
        text_add(text, "null");
        return;
    }
    text_add_char(text, '"');
    text_add_time(text, time_ms);
    text_add_char(text, '"');
}

static void add_reason(struct text *text, const struct reason *reason)
{
    const struct objection *objection = &reason->objection;
    text_add(text, "{\"rule\":\"");
    text_add(text, rule_table[objection->rule].name);
    text_add_char(text, '"');
    if (objection->field >= 0) {
        text_add(text, ",\"field\":\"");
        text_add(text, field_names[objection->field]);
        text_add_char(text, '"');
    }
    if (objection->domain != NULL) {
        text_add(text, ",\"domain\":");
        text_add_json(text, objection->domain);
    }
    text_add(text, ",\"limit\":");
    text_add_int(text, objection->limit);
    text_add(text, ",\"count\":");
    text_add_int(text, objection->count);
    text_add(text, ",\"text\":");
    text_add_json(text, reason->text);
    text_add_char(text, '}');
}

static void add_window(struct text *text, const struct verdict_window *window)
{
    text_add(text, "{\"rule\":\"");
    text_add(text, rule_table[window->rule].name);
    text_add(text, "\",\"limit\":");
    text_add_int(text, window->limit);
    text_add(text, ",\"used\":");
    text_add_int(text, (int64_t)window->used);
    text_add(text, ",\"window_s\":");
    text_add_int(text, rule_table[window->rule].window_ms / SECOND_MS);
    text_add(text, ",\"refill\":[");
    for (size_t i = 0; i < window->refill_count; i++) {
        text_add(text, i > 0 ? ",{\"at\":\"" : "{\"at\":\"");
        text_add_time(text, window->refill[i].at_ms);
        text_add(text, "\",\"count\":");
        text_add_int(text, (int64_t)window->refill[i].count);
        text_add_char(text, '}');
    }
    text_add(text, "]}");
}

static void add_suspension(struct text *text, const struct verdict *verdict)
{
    const struct suspension *suspension = &verdict->suspension;
    if (suspension->id == 0) {
        text_add(text, "null");
        return;
    }
    text_add(text, "{\"cause\":\"");
    text_add(text, cause_names[suspension->cause]);
    text_add(text, "\",\"since\":");
    add_time_or_null(text, suspension->since_ms);
    text_add(text, ",\"until\":");
    add_time_or_null(text, suspension->until_ms);
    text_add(text, ",\"attempts\":");
    text_add_int(text, suspension->attempts);
    text_add(text, ",\"retries_before_restart\":");
    text_add_int(text, verdict->retries_before_restart);
    text_add(text, ",\"offence\":");
    text_add_int(text, suspension->offence);
    text_add(text, verdict->brought ? ",\"brought\":true" : ",\"brought\":false");
    text_add(text, suspension_is_own_lock(suspension->cause, suspension->by)
                       ? ",\"own_lock\":true"
                       : ",\"own_lock\":false");
    text_add(text, ",\"sentence\":");
    text_add_json(text, verdict->sentence);
    text_add_char(text, '}');
}

static void add_can_send(struct text *text, const struct verdict *verdict)
{
    bool known = !verdict->unjudged && verdict->kind != VERDICT_NO_STORE;
    text_add(text, ",\"can_send\":");
    text_add_json(text, known ? can_send_names[verdict->can_send] : NULL);
    text_add(text, ",\"can_send_at\":");
    add_time_or_null(text, known ? verdict->can_send_at_ms : 0);
}

static void add_decision(struct text *text, uint64_t decision)
{
    char id[DECISION_TEXT_SIZE];
    if (decision == 0) {
        text_add(text, "null");
        return;
    }
    decision_format(decision, id);
    text_add_char(text, '"');
    text_add(text, id);
    text_add_char(text, '"');
}

void verdict_add_json(struct text *text, const struct verdict *verdict)
{
    text_add(text, verdict->kind == VERDICT_ADMIT ? "\"verdict\":\"admit\",\"decision\":"
                                                   : "\"verdict\":\"refuse\",\"decision\":");
    add_decision(text, verdict->decision);
    text_add(text, ",\"id\":");
    text_add_json(text, verdict->submission->id);
    text_add(text, ",\"mailbox\":");
    text_add_json(text, verdict->submission->mailbox);
    text_add(text, ",\"reasons\":[");
    for (size_t i = 0; i < verdict->reason_count; i++) {
        if (i > 0)
            text_add_char(text, ',');
        add_reason(text, &verdict->reasons[i]);
    }
    text_add(text, "],\"windows\":[");
    for (size_t i = 0; i < verdict->window_count; i++) {
        if (i > 0)
            text_add_char(text, ',');
        add_window(text, &verdict->windows[i]);
    }
    text_add(text, "],\"suspension\":");
    add_suspension(text, verdict);
    add_can_send(text, verdict);
    text_add(text, ",\"retry_at\":");
    add_time_or_null(text, verdict->retry_at_ms);
    text_add(text, ",\"message\":");
    text_add_json(text, verdict->message);
    text_add(text, ",\"status_url\":");
    text_add_json(text, verdict->status_url);
    if (verdict->shown != NULL) {
        text_add(text, ",\"shown\":");
        text_add(text, verdict->shown);
    }
    if (verdict->observed)
        text_add(text, ",\"observed\":true");
    if (verdict->dry_run)
        text_add(text, ",\"dry_run\":true");
    if (verdict->repeated)
        text_add(text, ",\"repeated\":true");
    if (verdict->redeemed)
        text_add(text, ",\"redeemed\":true");
    if (verdict->bypassed)
        text_add(text, ",\"bypassed\":true");
    if (verdict->unjudged)
        text_add(text, ",\"unjudged\":true");
}
