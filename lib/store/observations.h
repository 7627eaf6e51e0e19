/* What programs observed: indexes and counts for staff and monitoring, written in bundles beside
 * the judging (guard/recorder.h). No message is judged by them. Results: store/store.h. */
#ifndef SENDGUARD_STORE_OBSERVATIONS_H
#define SENDGUARD_STORE_OBSERVATIONS_H

#include "message/submission.h"
#include "rules/history.h"
#include "rules/rule.h"
#include "store/store.h"

struct sighting { /* a mailbox sent from an IP; kept for 24 h */
    const char *mailbox, *domain; /* the mailbox's */
    const char *ip;               /* NULL: unknown */
    int64_t at_ms;
};
struct near_limit { /* a window that is filled to four fifths or more */
    enum rule rule;
    char key[HISTORY_NAME_SIZE]; /* of the mailbox or IP, as the rule's subject is: history_name */
    int64_t at_ms;                   /* when that was seen last */
};
enum { COUNTER_NAME_SIZE = 80 };
struct counter {
    char name[COUNTER_NAME_SIZE]; /* as the recorder calls it */
    uint64_t value;               /* to add; as read: the sum */
};
struct observations {
    const struct sighting *sightings;
    const struct near_limit *nears;
    const struct counter *counters;
    size_t sighting_count, near_count, counter_count;
};
enum { OBSERVATIONS_MAX = 192 }; /* of each kind in one call, so that nobody waits long for it */
/* All of it in one step: 1 or -1. */
int store_observe(struct store *store, const struct observations *observations, int64_t now_ms)
    must_check;

/* The mailboxes that sent from an IP, or those of a domain that sent, within
 * the last 24 h, by name, after `after`. 1 and *count_r. */
enum sender_of { SENDERS_OF_IP, SENDERS_OF_DOMAIN };
struct sender {
    char mailbox[ADDRESS_MAX_BYTES + 1];
    int64_t last_ms; /* seen last, to the hour */
};
int store_senders(struct store *store, enum sender_of of, const char *key, const char *after,
                  int64_t now_ms, struct sender *senders_r, size_t max, size_t *count_r)
    must_check;

/* Windows seen near their limit within their length, the newest first; they may
 * have emptied since. 1 and *count_r. */
int store_near(struct store *store, int64_t now_ms, struct near_limit *near_r, size_t max,
               size_t *count_r) must_check;

/* All counters, by name, after `after`. 1 and *count_r. */
int store_counters(struct store *store, const char *after, struct counter *counters_r, size_t max,
                   size_t *count_r) must_check;

#endif
