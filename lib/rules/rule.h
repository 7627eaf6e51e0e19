/* The table of rules: what each is called and, of a rule over time, whose history it looks at,
 * what it counts there and over how long. A window of another length is a row of this table. */
#ifndef SENDGUARD_RULE_H
#define SENDGUARD_RULE_H

#include <stdbool.h>

#include "rules/window.h"

/* The rules over time, a row each: name in code, name in configuration, answers and logs; whose
 * history it is held against, what it counts there, and over how long. Several rules may share a
 * length. A new row goes to the end: records name rows by number. Each subject has a rule, and a
 * mailbox's longest one lasts a day at least: submissions are known again by that history. */
#define RULES_OVER_TIME(ROW)                                                                      \
    ROW(MESSAGES_PER_DAY, "messages_per_day", MAILBOX, MESSAGES, DAY_MS)                          \
    ROW(OFF_DOMAIN_PER_DAY, "off_domain_per_day", MAILBOX, OFF_DOMAIN, DAY_MS)                    \
    ROW(OFF_DOMAIN_PER_HOUR_PER_IP, "off_domain_per_hour_per_ip", IP, OFF_DOMAIN, HOUR_MS)        \
    ROW(MESSAGES_PER_HOUR, "messages_per_hour", MAILBOX, MESSAGES, HOUR_MS)                       \
    ROW(MESSAGES_PER_HOUR_PER_DOMAIN, "messages_per_hour_per_domain", DOMAIN, MESSAGES, HOUR_MS)  \
    ROW(MESSAGES_PER_DAY_PER_RECIPIENT, "messages_per_day_per_recipient", RECIPIENT, MESSAGES,    \
        DAY_MS)                                                                                   \
    MORE_RULES_OVER_TIME(ROW)
/* tests/unit/store/more_rules.h has some, to show that a row is enough. */
#ifndef MORE_RULES_OVER_TIME
#define MORE_RULES_OVER_TIME(ROW)
#endif

enum rule {
    /* of one message */
    RULE_RECIPIENTS_PER_MESSAGE,
    RULE_RECIPIENTS_PER_FIELD,
    RULE_RECIPIENTS_PER_DOMAIN,
    RULE_HEADER_CHARS_PER_DOMAIN,
#define RULE_NUMBER(rule, name, subject, measure, window_ms) RULE_##rule,
    RULES_OVER_TIME(RULE_NUMBER)
    RULE_COUNT,
    /* without a limit: what is blocked */
    RULE_RECIPIENT_BLOCKED = RULE_COUNT,
    RULE_SENDER_BLOCKED,
    /* … and From that is not the account's */
    RULE_FROM_NOT_YOURS,
    RULE_FROM_FOREIGN,
    RULE_FROM_UNROUTABLE,
    RULE_NAMED_COUNT
};
#define RULE_FIRST_OVER_TIME RULE_MESSAGES_PER_DAY
#define OVER_TIME_COUNT (RULE_COUNT - RULE_FIRST_OVER_TIME)

/* Whose history a rule over time is held against. A recipient has none that is kept as the others
 * are: what a mailbox sends to each of its recipients is kept apart (store/packed_pair.h). */
enum subject {
    SUBJECT_MAILBOX, SUBJECT_IP, SUBJECT_DOMAIN,
    SUBJECT_COUNT,
    SUBJECT_RECIPIENT = SUBJECT_COUNT /* of a mailbox */
};

struct rule_info {
    const char *name; /* as in configuration, answers and logs */
    bool over_time;
    /* over time only: */
    enum subject subject;
    enum measure measure;
    int64_t window_ms;
};
extern const struct rule_info rule_table[RULE_NAMED_COUNT];

/* The rule with a limit of that name, or -1 when there is none. */
int rule_by_name(const char *name);
/* The same of all rules. */
int rule_named(const char *name);

/* The lengths of the windows of a subject that has histories, each once, the longest first: what a store keeps of its
 * histories. There is at least one. */
struct rule_spans {
    size_t count;
    int64_t length_ms[OVER_TIME_COUNT];
};
struct rule_spans rule_spans(enum subject subject);
/* For how long a subject's history is kept: the longest of them; of all subjects. */
int64_t rule_longest_ms(enum subject subject);
int64_t rule_longest_of_all_ms(void);

/* A limit: the highest allowed count. 0 forbids; LIMIT_OFF is not checked. */
#define LIMIT_OFF (-1)
#define LIMIT_MAX 1000000000
struct limits {
    int32_t of[RULE_COUNT];
};

/* Limits with a name, which staff gives to a mailbox or a domain. A rule that the plan says nothing
 * of has PLAN_LIMIT_NONE. */
#define PLAN_LIMIT_NONE (-2)
enum { PLAN_NAME_SIZE = 32 }; /* with its NUL */
struct plan {
    char name[PLAN_NAME_SIZE];
    struct limits limits;
};
/* Whether it can name a plan: small letters, digits and '-', the first a letter, and not
 * "default", by which staff takes a plan away. */
bool rule_plan_name_fits(const char *name);

#endif
