/* Which history of a mailbox, network or sender domain a channel counts in, and the name under which the store
 * keeps it. */
#ifndef SENDGUARD_HISTORY_H
#define SENDGUARD_HISTORY_H

#include "message/submission.h"
#include "rules/rule.h"

/* Channels that count together share a history of a subject; what one that counts by itself counts
 * has the mark of its row behind the subject's key. NULL: the channel counts in none. A new channel
 * is a new column. What is kept of recipients has the name of their mailbox. */
extern const char *const history_marks[SUBJECT_RECIPIENT + 1][CHANNEL_COUNT];

enum { HISTORY_NAME_SIZE = ADDRESS_MAX_BYTES + 16 }; /* a mark has at most 14 bytes */

/* The name under which the store keeps the history of `key` that a channel counts in: the key
 * itself, or text in name_r; NULL when it counts in none or `key` is NULL. */
const char *history_name(enum subject subject, enum channel channel, const char *key,
                         char name_r[HISTORY_NAME_SIZE]);
/* The key of a sender domain: '@' and the domain; of one longer than DOMAIN_KEPT '@', '#' and a
 * hash. No mailbox begins with '@', and no network has one. */
enum { DOMAIN_KEPT = 150, DOMAIN_KEY_SIZE = DOMAIN_KEPT + 2 };
void history_domain_key(const char *domain, char key_r[DOMAIN_KEY_SIZE]);
/* The key of who is named as staff do: a mailbox itself, of "@DOMAIN" history_domain_key in key_r. */
const char *history_key_named(const char *name, char key_r[DOMAIN_KEY_SIZE]);
/* Whose history has that name, of `length` bytes. */
enum subject history_subject(const char *name, size_t length);
/* The other way: the first channel that counts in the history of that name, and its key. */
enum channel history_channel(enum subject subject, const char *name, char key_r[HISTORY_NAME_SIZE]);
/* Whether both channels count in the same history. */
bool history_is_shared(enum subject subject, enum channel one, enum channel other);
/* The place of a channel among those that count in its history, from 0: what a store keeps the
 * totals of each by. At most HISTORY_SHARES of a history. */
enum { HISTORY_SHARES = 2 };
size_t history_share(enum subject subject, enum channel channel);
/* How many channels count in a history of that subject at most. */
size_t history_shares(enum subject subject);
/* Whether it is the first of those that count in its history: who goes through all channels meets
 * each history once. */
bool history_is_first(enum subject subject, enum channel channel);

#endif
