/* The table of rules: what each is called and, of a rule over time, whose history it looks at,
 * what it counts there and over how long. A window of another length is a row of this table. */
#ifndef SENDGUARD_RULE_H
#define SENDGUARD_RULE_H

#include <stdbool.h>

#include "rules/window.h"

enum rule {
    /* of one message */
    RULE_RECIPIENTS_PER_MESSAGE,
    RULE_RECIPIENTS_PER_FIELD,
    RULE_RECIPIENTS_PER_DOMAIN,
    RULE_HEADER_CHARS_PER_DOMAIN,
    /* over time */
    RULE_MESSAGES_PER_DAY,
    RULE_OFF_DOMAIN_PER_DAY,
    RULE_OFF_DOMAIN_PER_HOUR_PER_IP,
    RULE_MESSAGES_PER_HOUR,
    RULE_COUNT
};
#define RULE_FIRST_OVER_TIME RULE_MESSAGES_PER_DAY
#define OVER_TIME_COUNT (RULE_COUNT - RULE_FIRST_OVER_TIME)

/* Whose history a rule over time is held against. */
enum subject { SUBJECT_MAILBOX, SUBJECT_IP, SUBJECT_COUNT };

struct rule_info {
    const char *name; /* as in configuration, answers and logs */
    bool over_time;
    /* over time only: */
    enum subject subject;
    enum measure measure;
    int64_t window_ms;
};
extern const struct rule_info rule_table[RULE_COUNT];

/* The rule of that name, or -1 when there is none. */
int rule_by_name(const char *name);

/* A limit: the highest allowed count. 0 forbids; LIMIT_OFF is not checked. */
#define LIMIT_OFF (-1)
#define LIMIT_MAX 1000000000
struct limits {
    int32_t of[RULE_COUNT];
};

#endif
