#include "rules/rule.h"

#include <string.h>

const struct rule_info rule_table[RULE_COUNT] = {
    [RULE_RECIPIENTS_PER_MESSAGE] = {.name = "recipients_per_message"},
    [RULE_RECIPIENTS_PER_FIELD] = {.name = "recipients_per_field"},
    [RULE_RECIPIENTS_PER_DOMAIN] = {.name = "recipients_per_domain"},
    [RULE_HEADER_CHARS_PER_DOMAIN] = {.name = "header_chars_per_domain"},
    [RULE_MESSAGES_PER_DAY] = {"messages_per_day", true, SUBJECT_MAILBOX, MEASURE_MESSAGES,
                               DAY_MS},
    [RULE_OFF_DOMAIN_PER_DAY] = {"off_domain_per_day", true, SUBJECT_MAILBOX, MEASURE_OFF_DOMAIN,
                                 DAY_MS},
    [RULE_OFF_DOMAIN_PER_HOUR_PER_IP] = {"off_domain_per_hour_per_ip", true, SUBJECT_IP,
                                         MEASURE_OFF_DOMAIN, HOUR_MS},
    [RULE_MESSAGES_PER_HOUR] = {"messages_per_hour", true, SUBJECT_MAILBOX, MEASURE_MESSAGES,
                                HOUR_MS},
};

int rule_by_name(const char *name)
{
    for (int rule = 0; rule < RULE_COUNT; rule++)
        if (strcmp(rule_table[rule].name, name) == 0)
            return rule;
    return -1;
}
