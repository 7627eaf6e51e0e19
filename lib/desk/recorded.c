/* What a kept decision tells: its facts (guard/packing.h) and the windows before it. */
#include <string.h>

#include "base/json.h"
#include "desk/recorded.h"
#include "desk/view.h"

struct recorded recorded_of(const struct context *context, const struct record *record)
{
    return (struct recorded){record, guard_read_record(context->desk->guard, context->arena,
                                                       record, context->now_ms)};
}

void recorded_end(struct recorded *recorded) { json_put(&recorded->facts); }

struct json_object *recorded_list(const struct recorded *recorded, const char *name)
{
    struct json_object *list = json_member(recorded->facts, name);
    return json_object_is_type(list, json_type_array) && json_object_array_length(list) > 0
               ? list
               : NULL;
}

/* One that would have refused the message while it is only observed is kept with the number 0. */
static bool is_observed(struct json_object *broken) { return json_int(broken, "count", 0) == 0; }

bool recorded_breaks(const struct recorded *recorded, enum rule rule)
{
    struct json_object *broken = recorded_list(recorded, "broken");
    for (size_t i = 0; broken != NULL && i < json_object_array_length(broken); i++) {
        struct json_object *one = json_object_array_get_idx(broken, i);
        if (strcmp(json_string(one, "rule", ""), rule_table[rule].name) == 0 && !is_observed(one))
            return true;
    }
    return false;
}

static bool breaks_identity(const struct recorded *recorded)
{
    for (int rule = RULE_FROM_NOT_YOURS; rule <= RULE_FROM_UNROUTABLE; rule++)
        if (recorded_breaks(recorded, (enum rule)rule))
            return true;
    return false;
}

const char *recorded_verdict(const struct recorded *recorded)
{
    switch (recorded->record->outcome) {
    case OUTCOME_REJECTED:
        return recorded_breaks(recorded, RULE_SENDER_BLOCKED) ? "sender_blocked"
               : breaks_identity(recorded)                    ? "identity"
                                                              : "message";
    case OUTCOME_OVER: return "over_time";
    case OUTCOME_SUSPENDED: return "suspended";
    case OUTCOME_BLOCKED: return "blocked";
    case OUTCOME_UNUSUAL: return "unusual";
    default: return recorded->record->unusual.action == UNUSUAL_HOLD ? "held" : "admitted";
    }
}

static bool was_judged(const struct recorded *recorded)
{
    enum outcome outcome = recorded->record->outcome;
    return outcome != OUTCOME_REPEATED && outcome != OUTCOME_REDEEMED;
}

/* Who was suspended already had no ticket looked for, and which of both it was is not kept. */
bool recorded_bypassed(const struct recorded *recorded)
{
    return json_is_true(recorded->facts, "webmail_host") && was_judged(recorded) &&
           !json_is_true(recorded->facts, "by_header") &&
           recorded->record->outcome != OUTCOME_SUSPENDED;
}

int32_t recorded_limit(const struct recorded *recorded, enum rule rule)
{
    int64_t limit = json_int(json_member(recorded->facts, "limits"), rule_table[rule].name,
                             LIMIT_OFF);
    return limit < 0 || limit > LIMIT_MAX ? LIMIT_OFF : (int32_t)limit;
}

uint32_t recorded_cost(const struct recorded *recorded, enum rule rule)
{
    int64_t off_domain = json_int(recorded->facts, "off_domain", 0);
    int64_t most = off_domain < SUBMISSION_MAX_RECIPIENTS ? off_domain : SUBMISSION_MAX_RECIPIENTS;
    return window_weight(&(struct entry){.off_domain = most > 0 ? (uint32_t)most : 0},
                        rule_table[rule].measure);
}

int64_t recorded_used_before(const struct recorded *recorded, enum rule rule)
{
    for (size_t i = 0; i < recorded->record->window_count; i++)
        if (recorded->record->windows[i].rule == rule)
            return (int64_t)recorded->record->windows[i].used_before;
    return -1;
}

bool recorded_over(const struct recorded *recorded, enum rule rule)
{
    int64_t used = recorded_used_before(recorded, rule);
    return was_judged(recorded) && used >= 0 &&
           !window_fits((uint64_t)used, recorded_cost(recorded, rule), recorded_limit(recorded,
                                                                                      rule));
}

/* ---- why it was refused ------------------------------------------------------------- */

static int field_by_name(const char *name)
{
    for (int field = 0; field < FIELD_COUNT; field++)
        if (name != NULL && strcmp(field_names[field], name) == 0)
            return field;
    return -1;
}

static void add_message_reasons(const struct recorded *recorded, struct json_object *reasons)
{
    struct json_object *broken = recorded_list(recorded, "broken");
    for (size_t i = 0; broken != NULL && i < json_object_array_length(broken); i++) {
        struct json_object *one = json_object_array_get_idx(broken, i);
        int rule = rule_named(json_string(one, "rule", ""));
        int64_t count = json_int(one, "count", 0);
        bool limited = rule < RULE_COUNT;
        if (is_observed(one) && recorded->record->outcome != OUTCOME_ADMITTED)
            continue;
        if (rule < 0 || count < 0 || count > UINT32_MAX ||
            (limited && recorded_limit(recorded, (enum rule)rule) == LIMIT_OFF))
            continue;
        json_object_array_add(
            reasons, view_reason(&(struct objection){
                         .rule = (enum rule)rule,
                         .field = field_by_name(json_string(one, "field", NULL)),
                         .domain = json_string(one, "domain", NULL),
                         .limit = limited ? (uint32_t)recorded_limit(recorded, (enum rule)rule) : 0,
                         .count = (uint32_t)count,
                     }));
    }
}

static void add_window_reasons(const struct recorded *recorded, struct json_object *reasons)
{
    for (int i = RULE_FIRST_OVER_TIME; i < RULE_COUNT; i++) {
        enum rule rule = (enum rule)i;
        if (!recorded_over(recorded, rule))
            continue;
        uint32_t cost = recorded_cost(recorded, rule);
        int32_t limit = recorded_limit(recorded, rule);
        bool never_fits = !window_fits(0, cost, limit);
        uint32_t count = cost + (never_fits ? 0 : (uint32_t)recorded_used_before(recorded, rule));
        json_object_array_add(reasons, view_reason(&(struct objection){
                                           .rule = rule, .field = -1, .limit = (uint32_t)limit,
                                           .count = count, .never_fits = never_fits,
                                       }));
    }
}

struct json_object *recorded_reasons(const struct recorded *recorded)
{
    struct json_object *reasons = json_object_new_array();
    bool observe = strcmp(json_string(recorded->facts, "mode", ""), "observe") == 0;
    if (!was_judged(recorded))
        return reasons;
    add_message_reasons(recorded, reasons);
    /* a message with faults of its own was told of them alone */
    if (json_object_array_length(reasons) == 0 || observe)
        add_window_reasons(recorded, reasons);
    return reasons;
}

/* ---- in a timeline ---------------------------------------------------------------------- */

struct json_object *recorded_rules(struct json_object *reasons)
{
    bool seen[RULE_NAMED_COUNT] = {false};
    struct json_object *rules = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(reasons); i++) {
        const char *name = json_string(json_object_array_get_idx(reasons, i), "rule", "");
        int rule = rule_named(name);
        if (rule < 0 || seen[rule])
            continue;
        seen[rule] = true;
        struct json_object *one = json_object_new_object();
        json_add_string(one, "rule", name);
        json_object_array_add(rules, one);
    }
    return rules;
}

struct json_object *recorded_entry(const struct recorded *recorded, bool of_all)
{
    struct json_object *facts = recorded->facts, *entry = json_object_new_object();
    freed_by(json_put) struct json_object *reasons = recorded_reasons(recorded);
    json_add_string(entry, "kind", "decision");
    json_add_moment(entry, "at", recorded->record->at_ms);
    json_add_decision(entry, "decision", recorded->record->decision);
    json_add_string(entry, "outcome", outcome_names[recorded->record->outcome]);
    if (recorded_bypassed(recorded))
        json_add_bool(entry, "bypassed", true);
    if (json_is_true(facts, "by_header"))
        json_add_bool(entry, "by_header", true);
    if (unusual_is(&recorded->record->unusual))
        json_add_bool(entry, "unusual", true);
    if (recorded->record->unusual.action == UNUSUAL_HOLD)
        json_add_bool(entry, "was_held", true);
    if (of_all)
        json_add_string(entry, "mailbox", json_string(facts, "mailbox", NULL));
    json_add_string(entry, "channel", json_string(facts, "channel", NULL));
    json_add_string(entry, "ip", json_string(facts, "ip", NULL));
    json_add_int(entry, "recipients", json_int(facts, "recipients", 0));
    json_add_int(entry, "off_domain", json_int(facts, "off_domain", 0));
    json_add(entry, "rules", recorded_rules(reasons));
    return entry;
}
