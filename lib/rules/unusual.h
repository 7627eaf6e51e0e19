/* When mail goes out at an unusual rate: in an hour a mailbox writes to many people it never wrote
 * to, far more than in its busiest hour, and something else is unusual too. Pure. Inside Redis
 * profile.lua decides the same. Source: docs/unusual.md. */
#ifndef SENDGUARD_UNUSUAL_H
#define SENDGUARD_UNUSUAL_H

#include <stdbool.h>

#include "base/base.h"

/* The settings; see docs/settings.md. */
enum { UNUSUAL_NUMBER_MAX = 65535, UNUSUAL_FACTOR_MAX = 255 };
struct unusual_limits {
    uint32_t new_recipients, new_domains; /* 0..UNUSUAL_NUMBER_MAX */
    uint32_t factor;                      /* 1..UNUSUAL_FACTOR_MAX */
};

/* With less history nobody knows what is usual: such messages are noted at most. */
enum { UNUSUAL_HISTORY_DAYS = 7 };

/* What becomes of a message, or is to become of it. The databases keep the numbers. */
enum unusual_action {
    UNUSUAL_NOTE,  /* it passes */
    UNUSUAL_DEFER, /* it is refused for the time being */
    UNUSUAL_HOLD,  /* it counts, and waits until the postmaster has looked */
    UNUSUAL_ACTIONS
};
extern const char *const unusual_action_names[UNUSUAL_ACTIONS]; /* "note", "defer", "hold" */

/* What was seen of a mailbox at a message that is unusual, or that waits since another one was; all
 * zeros: neither. Of a message that waits, and was judged before, the action alone is told. */
struct unusual {
    uint32_t new_recipients; /* of the 60 minutes up to the message, with it */
    uint32_t new_domains;    /* the same: of these recipients */
    uint32_t busiest;        /* new recipients of its busiest hour on the 28 days (UTC) before */
    uint32_t history_days;   /* whole days that its mail is known; at most 255 */
    bool network_new;        /* it came from a network first seen less than 24 h ago */
    bool first;              /* no message of the hour before was unusual */
    enum unusual_action action;
    struct unusual_limits limits; /* as they were */
};

static inline bool unusual_is(const struct unusual *unusual)
{
    return unusual->new_recipients > 0;
}
static inline bool unusual_is_told(const struct unusual *unusual)
{
    return unusual_is(unusual) || unusual->action != UNUSUAL_NOTE;
}
static inline bool unusual_has_domains(const struct unusual *unusual)
{
    return unusual->new_domains > unusual->limits.new_domains;
}
static inline bool unusual_has_no_history(const struct unusual *unusual)
{
    return unusual->history_days < UNUSUAL_HISTORY_DAYS;
}

/* Whether what was seen, of a message that has new recipients itself, is unusual. */
bool unusual_decide(const struct unusual *seen);

/* Packed, behind a decision record: 2 new recipients, 2 new domains, 2 busiest hour, 1 days of history,
 * 1 flags (1 a new network, 2 the first, 4 by action); of the limits 2 new recipients, 1 factor, 2 new domains. */
enum { UNUSUAL_BYTES = 13, UNUSUAL_LIMITS_BYTES = 5, UNUSUAL_NETWORK_NEW = 1, UNUSUAL_FIRST = 2,
       UNUSUAL_BY_ACTION = 4 };
/* The limits alone. */
void unusual_put_limits(uint8_t bytes_r[UNUSUAL_LIMITS_BYTES], const struct unusual_limits *limits);
void unusual_put(uint8_t bytes_r[UNUSUAL_BYTES], const struct unusual *unusual);
void unusual_get(const uint8_t bytes[UNUSUAL_BYTES], struct unusual *unusual_r);

#endif
