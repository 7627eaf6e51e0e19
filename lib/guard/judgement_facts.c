/* What the decision record keeps. The support desk reads it (desk/recorded.c). */
#include "base/json_write.h"
#include "guard/judgement.h"

enum { RECORD_DOMAINS = 20 }; /* a record names so many domains and rules, the rest is counted */

static void write_domains(struct json_writer *writer, const struct facts *facts)
{
    json_write_list(writer, "domains");
    for (size_t i = 0; i < facts->domain_count && i < RECORD_DOMAINS; i++) {
        json_write_list(writer, NULL);
        json_write_string(writer, NULL, facts->domains[i].domain);
        json_write_int(writer, NULL, facts->domains[i].recipients);
        json_write_int(writer, NULL, facts->domains[i].header_chars);
        if (facts->domains[i].own)
            json_write_int(writer, NULL, 1);
        json_write_end(writer);
    }
    json_write_end(writer);
    if (facts->domain_count > RECORD_DOMAINS)
        json_write_int(writer, "more_domains", (int64_t)(facts->domain_count - RECORD_DOMAINS));
}

static void write_limits(struct json_writer *writer, const struct effective_limits *limits)
{
    static const char *const sources[] = {"settings", "domain", "mailbox"};
    json_write_object(writer, "limits");
    for (int rule = 0; rule < RULE_COUNT; rule++)
        if (limits->limits.of[rule] == LIMIT_OFF)
            json_write_null(writer, rule_table[rule].name);
        else
            json_write_int(writer, rule_table[rule].name, limits->limits.of[rule]);
    json_write_end(writer);
    bool adjusted = false;
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        if (limits->source[rule] == LIMIT_OF_SETTINGS && limits->extra[rule] == 0)
            continue;
        if (!adjusted)
            json_write_object(writer, "adjusted");
        adjusted = true;
        json_write_object(writer, rule_table[rule].name);
        json_write_string(writer, "limit_of", sources[limits->source[rule]]);
        json_write_int(writer, "extra", limits->extra[rule]);
        json_write_end(writer);
    }
    if (adjusted)
        json_write_end(writer);
}

static void write_broken(struct json_writer *writer, const struct judgement *judgement)
{
    json_write_list(writer, "broken");
    for (size_t i = 0; i < judgement->objection_count && i < RECORD_DOMAINS; i++) {
        const struct objection *objection = &judgement->objections[i];
        json_write_object(writer, NULL);
        json_write_string(writer, "rule", rule_table[objection->rule].name);
        json_write_int(writer, "count", objection->count);
        if (objection->field >= 0)
            json_write_string(writer, "field", field_names[objection->field]);
        if (objection->domain != NULL)
            json_write_string(writer, "domain", objection->domain);
        json_write_end(writer);
    }
    json_write_end(writer);
    if (judgement->objection_count > RECORD_DOMAINS)
        json_write_int(writer, "more_broken",
                       (int64_t)(judgement->objection_count - RECORD_DOMAINS));
}

const char *judgement_facts(const struct judgement *judgement)
{
    const struct submission *submission = judgement->submission;
    const struct facts *facts = &judgement->facts;
    freed_by(text_free) struct text text = {0};
    struct json_writer writer = json_write_text(&text);
    json_write_string(&writer, "channel", channel_names[submission->channel]);
    json_write_string(&writer, "mailbox", submission->mailbox);
    json_write_string(&writer, "ip", submission->ip);
    json_write_string(&writer, "id", submission->id);
    json_write_string(&writer, "from", submission->from);
    for (int field = 0; field < FIELD_COUNT; field++)
        json_write_int(&writer, field_names[field], facts->in_field[field]);
    json_write_int(&writer, "recipients", facts->recipients);
    json_write_int(&writer, "off_domain", facts->off_domain);
    write_domains(&writer, facts);
    write_limits(&writer, &judgement->limits);
    if (judgement->limits.exempt)
        json_write_bool(&writer, "exempt", true);
    if (submission->webmail_host)
        json_write_bool(&writer, "webmail_host", true);
    if (judgement->objection_count > 0)
        write_broken(&writer, judgement);
    json_write_string(&writer, "mode", judgement->request.observe ? "observe" : "enforce");
    json_write_end(&writer);
    return arena_strdup(judgement->arena, text_string(&text));
}
