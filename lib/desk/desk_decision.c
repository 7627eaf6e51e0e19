/* One decision explained rule by rule, and lists of decisions. */
#include <stdio.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "desk/context.h"
#include "desk/failing.h"
#include "desk/input.h"
#include "desk/recorded.h"
#include "desk/view.h"

/* ---- rules of one message --------------------------------------------------------------- */

/* What was counted against a rule: the worst field or domain. */
struct counted_worst {
    int64_t count;
    const char *field, *domain;
};

static void worsen(struct counted_worst *worst, int64_t count, const char *field,
                   const char *domain)
{
    if (count > worst->count)
        *worst = (struct counted_worst){count, field, domain};
}

/* A domain of the record: [name, recipients, header characters, 1 if own]. */
static int64_t domain_number(struct json_object *domain, size_t index)
{
    if (!json_object_is_type(domain, json_type_array))
        return 0;
    return json_object_get_int64(json_object_array_get_idx(domain, index));
}

static const char *domain_name(struct json_object *domain)
{
    struct json_object *name = json_object_is_type(domain, json_type_array)
                                   ? json_object_array_get_idx(domain, 0)
                                   : NULL;
    return name != NULL ? json_object_get_string(name) : "";
}

static void find_worst_domain(const struct recorded *recorded, size_t index,
                              struct counted_worst *worst)
{
    struct json_object *domains = recorded_list(recorded, "domains");
    for (size_t i = 0; domains != NULL && i < json_object_array_length(domains); i++) {
        struct json_object *domain = json_object_array_get_idx(domains, i);
        if (domain_number(domain, 3) == 0)
            worsen(worst, domain_number(domain, index), NULL, domain_name(domain));
    }
}

/* The record names the domains with the most recipients; one with long names alone may be among
 * the broken rules. */
static bool find_broken(const struct recorded *recorded, enum rule rule,
                        struct counted_worst *worst)
{
    struct json_object *broken = recorded_list(recorded, "broken");
    bool found = false;
    for (size_t i = 0; broken != NULL && i < json_object_array_length(broken); i++) {
        struct json_object *one = json_object_array_get_idx(broken, i);
        if (strcmp(json_string(one, "rule", ""), rule_table[rule].name) != 0)
            continue;
        found = true;
        worsen(worst, json_int(one, "count", 0), json_string(one, "field", NULL),
               json_string(one, "domain", NULL));
    }
    return found;
}

static struct counted_worst worst_of(const struct recorded *recorded, enum rule rule)
{
    struct counted_worst worst = {-1, NULL, NULL};
    if (rule == RULE_RECIPIENTS_PER_MESSAGE)
        worst.count = json_int(recorded->facts, "recipients", 0);
    for (int field = 0; field < FIELD_COUNT && rule == RULE_RECIPIENTS_PER_FIELD; field++)
        worsen(&worst, json_int(recorded->facts, field_names[field], 0), field_names[field], NULL);
    if (rule == RULE_RECIPIENTS_PER_DOMAIN) {
        find_worst_domain(recorded, 1, &worst);
        worsen(&worst, json_int(recorded->facts, "most_in_domain", 0), NULL, NULL);
    }
    if (rule == RULE_HEADER_CHARS_PER_DOMAIN) {
        find_worst_domain(recorded, 2, &worst);
        worsen(&worst, json_int(recorded->facts, "most_chars_in_domain", 0), NULL, NULL);
    }
    return worst;
}

static void add_of_message(const struct recorded *recorded, enum rule rule,
                           struct json_object *view)
{
    struct counted_worst worst = worst_of(recorded, rule);
    bool broken = find_broken(recorded, rule, &worst);
    json_add_int(view, "count", worst.count < 0 ? 0 : worst.count);
    if (worst.field != NULL)
        json_add_string(view, "field", worst.field);
    if (worst.domain != NULL)
        json_add_string(view, "domain", worst.domain);
    json_add_null(view, "used_before");
    json_add_null(view, "cost");
    json_add_null(view, "used_after");
    json_add_bool(view, "checked", recorded_limit(recorded, rule) != LIMIT_OFF);
    json_add_bool(view, "broken", broken);
}

/* ---- rules over time -------------------------------------------------------------------- */

static void add_over_time(const struct recorded *recorded, enum rule rule, struct json_object *view)
{
    int64_t used = recorded_used_before(recorded, rule), cost = recorded_cost(recorded, rule);
    bool checked = used >= 0 && recorded_limit(recorded, rule) != LIMIT_OFF;
    json_add_null(view, "count");
    if (used >= 0) {
        bool counted = recorded->record->outcome == OUTCOME_ADMITTED;
        json_add_int(view, "used_before", used);
        json_add_int(view, "cost", cost);
        json_add_int(view, "used_after", counted ? used + cost : used);
    } else {
        json_add_null(view, "used_before");
        json_add_null(view, "cost");
        json_add_null(view, "used_after");
    }
    json_add_bool(view, "checked", checked);
    json_add_bool(view, "broken", checked && recorded_over(recorded, rule));
}

/* ---- the view ----------------------------------------------------------------------------- */

static struct json_object *json_of_rule(const struct recorded *recorded, enum rule rule)
{
    const struct rule_info *info = &rule_table[rule];
    struct json_object *adjusted =
        json_member(json_member(recorded->facts, "adjusted"), info->name);
    char setting[80];
    bool of_webmail = json_is_true(recorded->facts, "webmail_host");
    snprintf(setting, sizeof setting, "limits.%s.%s",
             of_webmail ? channel_names[CHANNEL_WEBMAIL]
                        : json_string(recorded->facts, "channel", channel_names[CHANNEL_WEBMAIL]),
             info->name);
    struct json_object *view = json_object_new_object();
    json_add_string(view, "rule", info->name);
    json_add_bool(view, "over_time", info->over_time);
    if (recorded_limit(recorded, rule) == LIMIT_OFF)
        json_add_null(view, "limit");
    else
        json_add_int(view, "limit", recorded_limit(recorded, rule));
    json_add_string(view, "source", json_string(adjusted, "limit_of", "settings"));
    json_add_string(view, "plan", json_string(adjusted, "plan", NULL));
    json_add_int(view, "extra", json_int(adjusted, "extra", 0));
    json_add_string(view, "setting", setting);
    if (info->over_time)
        add_over_time(recorded, rule, view);
    else
        add_of_message(recorded, rule, view);
    return view;
}

/* A rule without a limit, which it broke: how many recipients the record names. */
static struct json_object *json_of_blocked(const struct recorded *recorded, enum rule rule)
{
    struct json_object *view = json_object_new_object();
    struct json_object *broken = recorded_list(recorded, "broken");
    struct json_object *worst = NULL;
    int64_t count = 0;
    for (size_t i = 0; i < json_object_array_length(broken); i++) {
        struct json_object *one = json_object_array_get_idx(broken, i);
        if (strcmp(json_string(one, "rule", ""), rule_table[rule].name) != 0)
            continue;
        worst = worst != NULL ? worst : one;
        count += json_int(one, "count", 0);
    }
    json_add_string(view, "rule", rule_table[rule].name);
    json_add_bool(view, "over_time", false);
    json_add_null(view, "limit");
    json_add_string(view, "source", "settings");
    json_add_null(view, "plan");
    json_add_int(view, "extra", 0);
    json_add_null(view, "setting");
    json_add_int(view, "count", count);
    if (json_string(worst, "field", NULL) != NULL)
        json_add_string(view, "field", json_string(worst, "field", NULL));
    if (json_string(worst, "domain", NULL) != NULL)
        json_add_string(view, "domain", json_string(worst, "domain", NULL));
    json_add_null(view, "used_before");
    json_add_null(view, "cost");
    json_add_null(view, "used_after");
    json_add_bool(view, "checked", true);
    json_add_bool(view, "broken", true);
    return view;
}

static void add_domains(const struct recorded *recorded, struct json_object *view)
{
    struct json_object *domains = recorded_list(recorded, "domains");
    struct json_object *list = json_add_list(view, "domains");
    for (size_t i = 0; domains != NULL && i < json_object_array_length(domains); i++) {
        struct json_object *domain = json_object_array_get_idx(domains, i);
        struct json_object *one = json_object_new_object();
        json_add_string(one, "domain", domain_name(domain));
        json_add_int(one, "recipients", domain_number(domain, 1));
        json_add_int(one, "header_chars", domain_number(domain, 2));
        json_add_bool(one, "own", domain_number(domain, 3) != 0);
        json_object_array_add(list, one);
    }
    json_add_int(view, "more_domains", json_int(recorded->facts, "more_domains", 0));
}

static struct json_object *explain(const struct context *context, const struct recorded *recorded)
{
    static const char *const texts[] = {"mailbox", "ip", "channel", "id", "from"};
    static const char *const counts[] = {"to", "cc", "bcc", "recipients", "off_domain"};
    const struct failing_block block = failing_block_met(
        context, json_string(recorded->facts, "mailbox", ""), &recorded->record->block);
    struct json_object *view = json_object_new_object();
    json_add_decision(view, "decision", recorded->record->decision);
    json_add_moment(view, "at", recorded->record->at_ms);
    json_add_string(view, "outcome", outcome_names[recorded->record->outcome]);
    json_add_string(view, "verdict", recorded_verdict(recorded));
    if (recorded_bypassed(recorded))
        json_add_bool(view, "bypassed", true);
    if (json_is_true(recorded->facts, "by_header"))
        json_add_bool(view, "by_header", true);
    for (size_t i = 0; i < countof(texts); i++)
        json_add_string(view, texts[i], json_string(recorded->facts, texts[i], NULL));
    for (size_t i = 0; i < countof(counts); i++)
        json_add_int(view, counts[i], json_int(recorded->facts, counts[i], 0));
    add_domains(recorded, view);
    json_add_string(view, "mode", json_string(recorded->facts, "mode", "enforce"));
    json_add_bool(view, "exempt", json_is_true(recorded->facts, "exempt"));
    json_add(view, "block", failing_block_view(&block));
    json_add(view, "unusual", view_unusual(&recorded->record->unusual));
    struct json_object *rules = json_add_list(view, "rules");
    for (int rule = 0; rule < RULE_COUNT; rule++)
        json_object_array_add(rules, json_of_rule(recorded, (enum rule)rule));
    for (int rule = RULE_COUNT; rule < RULE_NAMED_COUNT; rule++)
        if (recorded_breaks(recorded, (enum rule)rule))
            json_object_array_add(rules, json_of_blocked(recorded, (enum rule)rule));
    return view;
}

int desk_decision(const struct desk *desk, const char *decision, int64_t now_ms,
                  struct json_object **view_r, struct problem *problem)
{
    uint64_t id;
    if (decision == NULL || !decision_parse(decision, &id))
        return problem_set(problem, 400, "decision",
                           "expected a decision's id such as 7K3M-Q2XD-9F4A");
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct record record;
    int found = store_record(desk->store, context.arena, id, now_ms, &record);
    if (found == 0)
        return problem_set(problem, 404, "decision", "no decision of that id is kept (any longer)");
    if (found < 0)
        return -1;
    freed_by(recorded_end) struct recorded recorded = recorded_of(&context, &record);
    *view_r = explain(&context, &recorded);
    return 1;
}
