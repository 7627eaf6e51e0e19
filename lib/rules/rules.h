/* The rules of sending, as a table and as pure functions: no I/O, no clock, no
 * globals. A rule of one message looks at that message alone; a rule over time
 * is a rolling window whose history the store keeps (window.h, store.h). */
#ifndef SENDGUARD_RULES_H
#define SENDGUARD_RULES_H

#include <stdbool.h>

#include "base/arena.h"
#include "message/submission.h"
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

/* Channels that count together share a history of a subject; what one that counts by itself counts
 * has the mark of its row behind the subject's key. NULL: the channel counts in none. A new channel
 * is a new column. */
extern const char *const history_marks[SUBJECT_COUNT][CHANNEL_COUNT];

enum { HISTORY_NAME_SIZE = ADDRESS_MAX_BYTES + 16 }; /* a mark has at most 14 bytes */

/* The name under which the store keeps the history of `key` that a channel counts in: the key
 * itself, or text in name_r; NULL when it counts in none or `key` is NULL. */
const char *history_name(enum subject subject, enum channel channel, const char *key,
                         char name_r[HISTORY_NAME_SIZE]);
/* The other way: the first channel that counts in the history of that name, and its key. */
enum channel history_channel(enum subject subject, const char *name, char key_r[HISTORY_NAME_SIZE]);
/* Whether both channels count in the same history. */
bool history_is_shared(enum subject subject, enum channel one, enum channel other);
/* Whether it is the first of those that count in its history: who goes through all channels meets
 * each history once. */
bool history_is_first(enum subject subject, enum channel channel);

/* Whether the mailbox's user sends what comes by that channel. What a stranger can bring about by
 * writing to the mailbox suspends nobody, and is no attempt of a suspended mailbox. */
bool channel_is_its_users(enum channel channel);

/* A limit: the highest allowed count. 0 forbids; LIMIT_OFF is not checked. */
#define LIMIT_OFF (-1)
#define LIMIT_MAX 1000000000
struct limits {
    int32_t of[RULE_COUNT];
};

/* What the rules count in one message. Distinct: by SMTP each recipient that the mail server
 * accepted is one, also a copy of the same address (another ORCPT, NOTIFY or spelling). */
struct domain_facts {
    const char *domain;    /* A-label, lower case */
    uint32_t recipients;   /* distinct over all fields */
    uint32_t header_chars; /* Unicode characters of its recipients as written, joined by ", " */
    bool own;              /* the mailbox's domain or one of its equals */
};
struct facts {
    uint32_t in_field[FIELD_COUNT]; /* distinct recipients of each field; unnamed ones in To */
    uint32_t recipients;            /* their sum */
    uint32_t off_domain;            /* distinct recipients outside the own domains */
    struct domain_facts *domains;   /* most recipients first, then by name */
    size_t domain_count;
};

/* What the provider says of domains and addresses; `context` is handed through. */
struct recipient_policy {
    bool (*own_domain)(const void *context, const char *mailbox_domain, const char *domain);
    bool (*exempt)(const void *context, const char *target); /* counted by no rule */
    const void *context;
};

/* Counts a parsed submission. Never fails: its size was limited while it was
 * parsed. O(n log n) in recipients. The result lives in `arena`. */
struct facts facts_count(struct arena *arena, const struct submission *submission,
                         const struct recipient_policy *policy);

/* Where mail to a recipient ends up. Under an own domain a local part can lead elsewhere:
 * victim%x.test@own, x.test!victim@own and "victim@x.test"@own are at x.test, repeatedly and also
 * through own domains and names without a dot; where no domain with a dot is found it stays. One
 * that leads on more than 16 times is at the domain "invalid".
 * Any other address is at the domain behind its last '@'. `address` in key form. Returns it, or
 * LOCAL@DOMAIN in `arena` with DOMAIN in key form and LOCAL as it is there, not quoted anew. */
const char *recipient_target(struct arena *arena, const char *address, const char *mailbox_domain,
                             const struct recipient_policy *policy);

/* How many recipients a mail server has of it: those of all fields, each address as written once,
 * also the exempt ones; and the unnamed. Where the mail server itself says it: what it says. At
 * most LIMIT_MAX. */
uint32_t recipients_handed_over(struct arena *arena, const struct submission *submission);

/* One broken rule. */
struct objection {
    enum rule rule;
    int field;          /* enum field for RULE_RECIPIENTS_PER_FIELD, else -1 */
    const char *domain; /* for the rules of a domain, else NULL */
    uint32_t limit, count; /* over time: with what was sent before, unless never_fits */
    bool never_fits; /* over time: more than the limit by itself, waiting does not help */
};

/* All rules of one message that `facts` breaks, at once: every field, every
 * domain. Returns how many; *objections_r lives in `arena`, NULL for none. */
size_t rules_check(struct arena *arena, const struct limits *limits, const struct facts *facts,
                   const struct objection **objections_r);

#endif
