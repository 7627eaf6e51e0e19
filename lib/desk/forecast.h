/* How things stand with a mailbox, and what its next message would meet, by the guard's own
 * arithmetic. Internal to lib/desk. */
#ifndef SENDGUARD_FORECAST_H
#define SENDGUARD_FORECAST_H

#include "desk/context.h"
#include "desk/failing.h"
#include "store/records.h"
#include "store/suspensions.h"

/* How it stands with a mailbox, as the store and the guard say, or as it would be. */
struct forecast {
    const char *mailbox, *domain;
    struct account account;
    struct failing_block block; /* that refuses it for mail that failed; none of an exempt one */
    struct effective_limits limits[CHANNEL_COUNT];
    /* Histories beside it, such as what its filter sent on, each at the first channel that counts
     * in it; only where forecast_read_all was asked. */
    struct history others[CHANNEL_COUNT];
    struct history of_domain; /* of its sender domain, where a limit looks at it */
    struct history of_recipient; /* of the recipient that it sent most to; the same */
    int64_t at_ms; /* the moment a message would be judged at: a history never runs backwards */
};
/* Whether a limit looks at what the domain sends. */
bool forecast_counts_domain(const struct forecast *forecast);
/* mailbox: key form, lives longer than the forecast; "" (of a domain): one that sent nothing. */
int forecast_read(const struct context *context, const char *mailbox, const char *domain,
                  struct forecast *forecast_r) must_check;
/* With what its filter sent on. */
int forecast_read_all(const struct context *context, const char *mailbox, const char *domain,
                      struct forecast *forecast_r) must_check;
/* The key of the history of a domain's sender domain; in context->arena. */
const char *forecast_domain_key(const struct context *context, const char *domain);
/* The history that a rule of the mailbox, of its domain or of a recipient looks at. */
const struct history *forecast_history_of(const struct forecast *forecast, enum rule rule,
                                          enum channel channel);
/* The history of the mailbox that a channel counts in. */
const struct history *forecast_history(const struct forecast *forecast, enum channel channel);
/* Whether the channel is told of: one that is used, or was within the window. */
bool forecast_names(const struct context *context, const struct forecast *forecast,
                    enum channel channel);
/* at_ms anew, after a change of the history. */
void forecast_settle(const struct context *context, struct forecast *forecast);

/* In words: "ok", "full", "blocked" for mail that failed, "paused", "stopped". */
enum state { STATE_OK, STATE_FULL, STATE_BLOCKED, STATE_PAUSED, STATE_STOPPED, STATE_COUNT };
extern const char *const state_names[STATE_COUNT];

/* What the next message to one off-domain recipient would meet at the webmail endpoint, by the guard's
 * own arithmetic. */
struct next {
    bool refused;
    enum state state;
    enum can_send can_send;
    int64_t block_until_ms; /* of the block for mail that failed; 0: none */
    int64_t room_at_ms;  /* full: the first room for one more, 0 never; else 0 */
    int64_t retry_at_ms; /* 0: at once, or never, or when staff says so */
    struct objection reasons[2 * RULE_COUNT];
    size_t reason_count;
};
struct next forecast_next(const struct context *context, const struct forecast *forecast);

#endif
