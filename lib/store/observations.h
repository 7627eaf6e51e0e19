/* Observations: indexes and counts for staff and monitoring. Programs write them in bundles beside
 * the judging (guard/recorder.h). No message is judged by them. Results, threads and ownership:
 * store.h. */
#ifndef SENDGUARD_STORE_OBSERVATIONS_H
#define SENDGUARD_STORE_OBSERVATIONS_H

#include "message/submission.h"
#include "rules/history.h"
#include "rules/rule.h"
#include "store/store.h"

/* A mailbox sent from an IP. Kept for 24 h. */
struct observed_sender {
    const char *mailbox, *domain; /* the mailbox's */
    const char *ip;               /* NULL: unknown */
    int64_t at_ms;
};
/* A window that is filled to four fifths or more. */
struct near_limit {
    enum rule rule;
    char key[HISTORY_NAME_SIZE]; /* of the mailbox or IP, as the rule's subject is: history_name */
    int64_t at_ms;               /* the last moment it was so full */
};
enum { COUNTER_NAME_SIZE = 80 };
struct counter {
    char name[COUNTER_NAME_SIZE]; /* as the recorder calls it */
    uint64_t value;               /* to add; as read: the sum */
};
struct observations {
    const struct observed_sender *senders;
    const struct near_limit *nears;
    const struct counter *counters;
    size_t sender_count, near_count, counter_count; /* 0..OBSERVATIONS_MAX each */
};
enum { OBSERVATIONS_MAX = 256 }; /* so that no message waits long for one bundle */
/* Writes all of it in one step. Returns 1 or -1. */
int store_observe(struct store *store, const struct observations *observations, int64_t now_ms)
    must_check;

enum sender_of { SENDERS_OF_IP, SENDERS_OF_DOMAIN };
struct sender {
    char mailbox[ADDRESS_MAX_BYTES + 1];
    int64_t last_ms; /* the last moment it sent, to the hour */
};
/* The mailboxes that sent from an IP, or those of a domain that sent, within the last 24 h, in
 * order of name, those after `after` ("": from the first). Returns 1 or -1. */
int store_senders(struct store *store, enum sender_of of, const char *key, const char *after,
                  int64_t now_ms, struct sender *senders_r, struct store_page *page) must_check;

/* Windows that were near their limit within their own length, the newest first; they may have
 * emptied since. Returns 1 or -1. */
int store_near(struct store *store, int64_t now_ms, struct near_limit *near_r,
               struct store_page *page) must_check;

/* All counters in order of name, those after `after` ("": from the first). Returns 1
 * or -1. */
int store_counters(struct store *store, const char *after, struct counter *counters_r,
                   struct store_page *page) must_check;

#endif
