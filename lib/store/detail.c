#include "store/detail.h"

/* A moment, or null for an end that staff decides. */
static void add_moment(struct text *text, int64_t time_ms)
{
    if (time_ms == UNTIL_LIFTED) {
        text_add(text, "null");
        return;
    }
    text_add_char(text, '"');
    text_add_time(text, time_ms);
    text_add_char(text, '"');
}

static void add_suspension(struct text *text, const struct suspension *suspension)
{
    if (suspension == NULL) {
        text_add(text, "null");
        return;
    }
    text_addf(text, "{\"id\":%lld,\"cause\":\"%s\",\"since\":", (long long)suspension->id,
              cause_names[suspension->cause]);
    add_moment(text, suspension->since_ms);
    text_add(text, ",\"until\":");
    add_moment(text, suspension->until_ms);
    text_addf(text, ",\"attempts\":%u}", suspension->attempts);
}

void detail_add_suspensions(struct text *text, const struct suspension *before,
                            const struct suspension *after)
{
    text_add(text, "{\"before\":");
    add_suspension(text, before);
    text_add(text, ",\"after\":");
    add_suspension(text, after);
    text_add_char(text, '}');
}

/* What users send counts in the first history; of each other one the messages have a name. */
static const char *const counts_names[CHANNEL_COUNT] = {[CHANNEL_FORWARDING] = "forwarded"};

void detail_add_reset(struct text *text, const struct detail_counts before[CHANNEL_COUNT])
{
    text_addf(text, "{\"before\":{\"messages\":%llu,\"off_domain\":%llu",
              (unsigned long long)before[0].messages, (unsigned long long)before[0].off_domain);
    for (int channel = 1; channel < CHANNEL_COUNT; channel++)
        if (counts_names[channel] != NULL && before[channel].messages > 0)
            text_addf(text, ",\"%s\":%llu", counts_names[channel],
                      (unsigned long long)before[channel].messages);
    text_add(text, "},\"after\":{\"messages\":0,\"off_domain\":0}}");
}

static void add_adjustment(struct text *text, const struct adjustment *adjustment)
{
    if (adjustment->removed) {
        text_add(text, "null");
        return;
    }
    text_add(text, "{\"value\":");
    if (adjustment->plan[0] != '\0')
        text_add_json(text, adjustment->plan);
    else if (adjustment->value == LIMIT_OFF)
        text_add(text, "null");
    else
        text_add_int(text, adjustment->value);
    text_add(text, ",\"until\":");
    add_moment(text, adjustment->until_ms);
    if (adjustment->until_ms != UNTIL_LIFTED && adjustment->until_ms % SECOND_MS != 0)
        text_addf(text, ",\"until_ms\":%lld", (long long)adjustment->until_ms);
    text_add_char(text, '}');
}

void detail_add_adjustments(struct text *text, const struct adjustment *before,
                            const struct adjustment *after)
{
    text_add_char(text, '{');
    if (adjust_kind_has_rule(after->kind))
        text_addf(text, "\"rule\":\"%s\",", rule_table[after->rule].name);
    text_add(text, "\"before\":");
    add_adjustment(text, before);
    text_add(text, ",\"after\":");
    add_adjustment(text, after);
    text_add_char(text, '}');
}
