/* The counters that notifications are made of, as sums. */
#ifndef SENDGUARD_NOTIFY_NUMBERS_H
#define SENDGUARD_NOTIFY_NUMBERS_H

#include "rules/login.h"
#include "store/store.h"

enum notify_number {
    NUMBER_WEBMAIL,     /* messages that were judged, by channel */
    NUMBER_SMTP,
    NUMBER_FORWARDED,
    NUMBER_REFUSED,     /* of all these */
    NUMBER_SUSPENSIONS, /* that messages and complaints brought */
    NUMBER_OWN_LOCKS,
    NUMBER_COMPLAINTS,
    NUMBER_BYPASSED,
    NUMBER_UNUSUAL,     /* messages at an unusual rate */
    NUMBER_LOGINS_REFUSED, /* sign-ins that a block kept out */
    NUMBER_LOGIN_BLOCKS,
    NUMBER_COUNT
};
extern const char *const notify_number_names[NUMBER_COUNT];

struct notify_numbers {
    int64_t of[NUMBER_COUNT];
    int64_t login_blocks[LOGIN_RULE_COUNT];
};
/* Their sums since the store was made. 1 or -1. */
int notify_numbers_read(struct store *store, struct notify_numbers *numbers_r) must_check;

#endif
