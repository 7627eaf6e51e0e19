/* A verdict: what was decided on one message, every reason, every window's
 * numbers, and what happens next. Programs render it; nothing here knows HTTP or
 * SMTP beyond the JSON that both share. */
#ifndef SENDGUARD_VERDICT_H
#define SENDGUARD_VERDICT_H

#include <stdbool.h>

#include "base/json_write.h"
#include "rules/failure_in_force.h"
#include "rules/rules.h"
#include "rules/unusual.h"
#include "store/suspensions.h"

/* What kind of answer it is; the webmail endpoint's status is in the comment. */
enum verdict_kind {
    VERDICT_ADMIT,     /* 200; 202 where it waits */
    VERDICT_MESSAGE,   /* 422: breaks a rule of one message */
    VERDICT_OVER_TIME, /* 429: breaks a limit over time */
    VERDICT_SUSPENDED, /* 403 */
    VERDICT_NO_STORE,  /* 503: the store did not answer and on_failure = refuse, or `used_up` */
    VERDICT_BLOCKED,   /* 403: mail of its domain, or its mailbox, failed too often */
    VERDICT_SENDER_BLOCKED, /* 403: the sender is on a block list */
    VERDICT_IDENTITY,       /* 403: From is not the account's */
    VERDICT_UNUSUAL,       /* 429: its mailbox sends at an unusual rate */
};

/* A verdict in one word, for logs and counts: the kind, or what stands behind an admission. */
enum verdict_label {
    LABEL_ADMIT, LABEL_MESSAGE, LABEL_OVER_TIME, LABEL_SUSPENDED, LABEL_NO_STORE, /* as the kinds */
    LABEL_BLOCKED, LABEL_SENDER_BLOCKED, LABEL_IDENTITY, LABEL_REPEATED, LABEL_OBSERVED,
    LABEL_UNJUDGED, LABEL_REDEEMED, LABEL_UNUSUAL, LABEL_HELD,
    VERDICT_LABELS
};
extern const char *const verdict_labels[VERDICT_LABELS]; /* "admit", "over_time", … */

enum { REFILL_STEPS = 12, VERDICT_SPLIT_MAX = 50 };
/* What is refused for longer is not parked. */
#define PARKED_AHEAD_MS (21 * DAY_MS)

/* What the mailbox can send as things stand after a verdict. */
enum can_send {
    CAN_SEND_ALL,
    CAN_SEND_OWN, /* only inside its own domains: a window of off-domain recipients has no room */
    CAN_SEND_NONE,
    CAN_SEND_COUNT
};
extern const char *const can_send_names[CAN_SEND_COUNT]; /* "all", "own", "none" */

struct reason {
    struct objection objection;
    const char *text; /* one sentence: what is too much, where, by how much, what to do */
};

struct verdict_window {
    enum rule rule;
    int32_t limit;
    uint64_t used; /* before this message when refused or dry, after when admitted */
    struct refill refill[REFILL_STEPS];
    size_t refill_count;
};

/* The block that holds for mail that failed: the rule "domain_failures", which is none of
 * rule_table, since it has no limit of its own. */
struct verdict_block {
    struct failure_in_force in_force; /* as struct judge_result has it; zeroed: none holds */
    const char *domain;               /* of the sender; of a group of own domains its name */
    int32_t percent;                  /* the setting */
    const char *text;                 /* one sentence: so many of so many */
};

struct verdict {
    enum verdict_kind kind;
    bool observed; /* admitted only because mode = observe */
    bool dry_run;
    bool hints; /* asked for while the message is written, and what is told will be so (no observing) */
    int64_t ahead_ms; /* as struct judge_result has it: a clock was wrong */
    bool repeated; /* counted before; not counted again */
    bool redeemed; /* admitted on another channel a moment ago; not counted again */
    bool bypassed; /* came from a webmail host without a ticket: it bypassed the webmail endpoint */
    bool from_unknown; /* nobody who answered knew whether From is the account's: it passed */
    bool unjudged; /* admitted because the store did not answer and on_failure = allow */
    bool used_up; /* refused in spite of that: so many that were admitted wait to be counted */
    int64_t now_ms;
    uint64_t decision; /* 0: none was kept (dry run, no store) */
    const struct submission *submission;
    const char *domain_key; /* of the history of its sender domain; NULL: it counts in none */
    struct reason *reasons;
    size_t reason_count;
    struct verdict_window windows[OVER_TIME_COUNT];
    size_t window_count;
    struct suspensions suspensions; /* that hold; told is the first */
    struct verdict_block block;
    bool block_damaged; /* as struct judge_result has it */
    struct unusual unusual; /* the same */
    bool shadow_over[OVER_TIME_COUNT]; /* by rule - RULE_FIRST_OVER_TIME: it was counted, and the
                                          shadow rule would have refused it (guard/shadow.h) */
    bool brought;                 /* the suspension began with this message */
    uint32_t retries_before_restart;
    enum can_send can_send;
    int64_t can_send_at_ms;       /* when one more off-domain recipient passes; 0: now, or never, or
                                     when staff says so */
    int64_t retry_at_ms;          /* 0: at once after mending it, or never */
    int64_t park_at_ms;           /* from when on a webmail may send it by itself; 0: it must not */
    int32_t can_split;            /* into how many messages at most it may be split that the limits
                                     over time have room for now; 0: that helps nothing */
    const char *sentence;         /* the provider's own, for a suspension or a block; NULL: none */
    const char *message;          /* for the user; "" when admitted, unless it waits */
    const char *shown;            /* JSON, see verdict_shown.h; NULL: not asked for */
    const char *status_url;
};

/* Whether it is admitted and waits until the postmaster has looked at it. */
static inline bool verdict_waits(const struct verdict *verdict)
{
    return verdict->kind == VERDICT_ADMIT && verdict->unusual.action == UNUSUAL_HOLD;
}

enum verdict_label verdict_label(const struct verdict *verdict);

/* The name of the first rule that the message broke, or would have broken; NULL: of none. */
#define VERDICT_RULE_OF_BLOCK "domain_failures"
const char *verdict_rule(const struct verdict *verdict);

/* The name of the first shadow rule that would have refused it; NULL: none. For logs. */
const char *verdict_shadow(const struct verdict *verdict);

/* The members of the answer, into the writer's open object: verdict, decision, id, mailbox, reasons,
 * windows, suspension (the one that is told), suspensions (all), can_send, can_send_at (both null
 * when the store was silent), retry_at, park_at and can_split (where they are something), message,
 * status_url, shown (where the zone was told, see verdict_shown.h), and those of observed, dry_run,
 * repeated, redeemed, bypassed, unjudged that are true. A program writes its own (type, title,
 * status, detail) before them. */
void verdict_write(struct json_writer *writer, const struct verdict *verdict);

#endif
