#include "rules/rule.h"

#include <pthread.h>
#include <string.h>

const struct rule_info rule_table[RULE_NAMED_COUNT] = {
    [RULE_RECIPIENTS_PER_MESSAGE] = {.name = "recipients_per_message"},
    [RULE_RECIPIENTS_PER_FIELD] = {.name = "recipients_per_field"},
    [RULE_RECIPIENTS_PER_DOMAIN] = {.name = "recipients_per_domain"},
    [RULE_HEADER_CHARS_PER_DOMAIN] = {.name = "header_chars_per_domain"},
#define RULE_ROW(rule, name, subject, measure, window_ms) \
    [RULE_##rule] = {name, true, SUBJECT_##subject, MEASURE_##measure, window_ms},
    RULES_OVER_TIME(RULE_ROW)
    [RULE_RECIPIENT_BLOCKED] = {.name = "recipient_blocked"},
    [RULE_SENDER_BLOCKED] = {.name = "sender_blocked"},
    [RULE_FROM_NOT_YOURS] = {.name = "from_not_yours"},
    [RULE_FROM_FOREIGN] = {.name = "from_foreign"},
    [RULE_FROM_UNROUTABLE] = {.name = "from_unroutable"},
};

int rule_named(const char *name)
{
    for (int rule = 0; rule < RULE_NAMED_COUNT; rule++)
        if (strcmp(rule_table[rule].name, name) == 0)
            return rule;
    return -1;
}

int rule_by_name(const char *name)
{
    int rule = rule_named(name);
    return rule < RULE_COUNT ? rule : -1;
}

bool rule_plan_name_fits(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return name[0] >= 'a' && name[0] <= 'z' && name[length] == '\0' && length < PLAN_NAME_SIZE &&
           strcmp(name, "default") != 0;
}

/* Adds a length at its place, unless it is there. */
static void add_span(struct rule_spans *spans, int64_t length_ms)
{
    size_t at = spans->count;
    for (size_t i = 0; i < spans->count; i++)
        if (spans->length_ms[i] == length_ms)
            return;
    for (; at > 0 && spans->length_ms[at - 1] < length_ms; at--)
        spans->length_ms[at] = spans->length_ms[at - 1];
    spans->length_ms[at] = length_ms;
    spans->count++;
}

/* The table of rules does not change: asked for with each message, found once. */
static struct rule_spans spans_of[SUBJECT_COUNT];
static pthread_once_t spans_once = PTHREAD_ONCE_INIT;

static void find_spans(void)
{
    for (int rule = RULE_FIRST_OVER_TIME; rule < RULE_COUNT; rule++)
        if (rule_table[rule].subject < SUBJECT_COUNT)
            add_span(&spans_of[rule_table[rule].subject], rule_table[rule].window_ms);
}

struct rule_spans rule_spans(enum subject subject)
{
    pthread_once(&spans_once, find_spans);
    return spans_of[subject];
}

int64_t rule_longest_ms(enum subject subject) { return rule_spans(subject).length_ms[0]; }

int64_t rule_longest_of_all_ms(void)
{
    int64_t longest_ms = 0;
    for (int subject = 0; subject < SUBJECT_COUNT; subject++)
        if (rule_longest_ms((enum subject)subject) > longest_ms)
            longest_ms = rule_longest_ms((enum subject)subject);
    return longest_ms;
}
