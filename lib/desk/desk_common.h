/* What the parts of the desk share: a look at one mailbox, what its next message
 * would meet, and the common shapes of desk.h as JSON. Internal to desk_*.c. */
#ifndef SENDGUARD_DESK_COMMON_H
#define SENDGUARD_DESK_COMMON_H

#include "base/json.h"
#include "base/problem.h"
#include "desk/desk.h"
#include "store/audit.h"
#include "store/records.h"
#include "store/suspensions.h"

/* One view under way: the settings of its moment, and memory for as long as it takes. */
struct context {
    const struct desk *desk;
    struct snapshot *snapshot;
    const struct settings *settings;
    struct arena *arena;
    int64_t now_ms;
};
struct context context_begin(const struct desk *desk, int64_t now_ms);
void context_end(struct context *context); /* for freed_by */

/* How it stands with a mailbox, as the store and the guard say, or as it would be. */
struct forecast {
    const char *mailbox, *domain;
    struct account account;
    struct policy_limits limits[CHANNEL_COUNT];
    struct history forwarded; /* what its filter sent on; only where forecast_read_all was asked */
    int64_t at_ms; /* the moment a message would be judged at: a history never runs backwards */
};
/* mailbox: key form, lives longer than the forecast; "" (of a domain): one that sent nothing. */
int forecast_read(const struct context *context, const char *mailbox, const char *domain,
                  struct forecast *forecast_r) must_check;
/* With what its filter sent on. */
int forecast_read_all(const struct context *context, const char *mailbox, const char *domain,
                      struct forecast *forecast_r) must_check;
/* The history of the mailbox that a channel counts in. */
const struct history *forecast_history(const struct forecast *forecast, enum channel channel);
/* Whether messages come in through the channel: by forwarding only from configured networks. */
bool channel_is_used(const struct context *context, enum channel channel);
/* Whether the channel is told of: one that is used, or was within the window. */
bool forecast_tells(const struct context *context, const struct forecast *forecast,
                    enum channel channel);
/* at_ms anew, after a change of the history. */
void forecast_settle(const struct context *context, struct forecast *forecast);

/* In words: "ok", "full", "paused", "stopped". */
enum state { STATE_OK, STATE_FULL, STATE_PAUSED, STATE_STOPPED, STATE_COUNT };
extern const char *const state_names[STATE_COUNT];

/* What the next message to one off-domain recipient would meet at the webmail endpoint, by the guard's
 * own arithmetic. */
struct next {
    bool refused;
    enum state state;
    enum can_send can_send;
    int64_t room_at_ms;  /* full: the first room for one more, 0 never; else 0 */
    int64_t retry_at_ms; /* 0: at once, or never, or when staff says so */
    struct objection reasons[2 * RULE_COUNT];
    size_t reason_count;
};
struct next next_of(const struct context *context, const struct forecast *forecast);

/* ---- shapes of desk.h ------------------------------------------------------------------- */

/* staff: with `by` and `note`. */
struct json_object *json_of_suspension(const struct context *context,
                                       const struct suspension *suspension,
                                       bool staff);
struct json_object *json_of_window(enum rule rule, enum channel channel, int32_t limit,
                                   const struct history *history, int64_t at_ms);
struct json_object *json_of_reason(const struct objection *objection);
struct json_object *json_of_next(const struct next *next);
struct json_object *json_of_action(const struct audit *audit);
/* One row of "limits". */
struct json_object *json_of_limit(const struct context *context, enum rule rule,
                                  enum channel channel,
                                  const struct policy_limits *limits);
int percent_of(uint64_t used, int32_t limit); /* 0..100; limit >= 0 */

/* Up to `max` entries of a list of mailboxes with their use; see desk_senders.
 * *next_r: the last mailbox when there are more (in context->arena), else NULL. 1 or -1. */
int add_senders(const struct context *context, enum sender_of of, const char *key,
                const char *after,
                size_t max, struct json_object *list, const char **next_r) must_check;

/* ---- records ------------------------------------------------------------------------------- */

/* A kept decision with its facts read. */
struct told {
    const struct record *record;
    struct json_object *facts; /* an empty object when they cannot be read */
};
struct told told_of(const struct record *record);
void told_end(struct told *told); /* for freed_by */

/* A list among the facts, an empty one as NULL. */
struct json_object *told_list(const struct told *told, const char *name);
/* "admitted", "message", "over_time", "suspended" */
const char *told_verdict(const struct told *told);
/* It came from the webmail's host and had not been judged by the webmail endpoint. */
bool told_bypassed(const struct told *told);
/* The limit that held for a rule; LIMIT_OFF also when it is not known. */
int32_t told_limit(const struct told *told, enum rule rule);
uint32_t told_cost(const struct told *told, enum rule rule);
/* What the window held before, or -1 when it was not looked at. */
int64_t told_used_before(const struct told *told, enum rule rule);
/* Whether the message would not have fitted into the window. */
bool told_over(const struct told *told, enum rule rule);
/* [{"rule":…}…] of a list of reasons, each once. */
struct json_object *rules_of_reasons(struct json_object *reasons);
/* [REASON…]: why it was refused; empty for an admitted one. */
struct json_object *told_reasons(const struct told *told);
/* An entry of a timeline, with "mailbox" if `of_all`. */
struct json_object *told_entry(const struct told *told, bool of_all);

/* ---- what comes from outside ------------------------------------------------------------ */

/* A mailbox in key form, in the arena. 1; 0 with *problem (400, where = `where`). */
int read_mailbox(const struct context *context, const char *text, const char *where,
                 const char **mailbox_r, struct problem *problem) must_check;
/* A domain, with or without '@' before it. */
int read_domain(const struct context *context, const char *text, const char *where,
                const char **domain_r, struct problem *problem) must_check;
/* An IP address in key form; the key of an IPv6 network as it is. */
int read_ip(const struct context *context, const char *text, const char *where, const char **ip_r,
            struct problem *problem) must_check;
/* A whole number from `min` to INT64_MAX - 1; NULL and "" are `otherwise`. */
int read_number(const char *text, const char *where, int64_t min, int64_t otherwise,
                int64_t *number_r, struct problem *problem) must_check;
/* A page's decision cursor; NULL and "" are UINT64_MAX. */
int read_cursor(const char *text, uint64_t *decision_r, struct problem *problem) must_check;

#endif
