/* A channel: the way on which a message came in. */
#ifndef SENDGUARD_CHANNEL_H
#define SENDGUARD_CHANNEL_H

#include <stdbool.h>

/* CHANNEL_FORWARDING: what a mailbox's filter sends on (redirect, vacation). */
enum channel { CHANNEL_WEBMAIL, CHANNEL_SMTP, CHANNEL_FORWARDING, CHANNEL_COUNT };
extern const char *const channel_names[CHANNEL_COUNT]; /* "webmail", "smtp", "forwarding" */
/* The channel of that name, or -1 when there is none. */
int channel_by_name(const char *name);

/* Whether the mailbox's user sends what comes by that channel. What a stranger can bring about by
 * writing to the mailbox suspends nobody, and is no attempt of a suspended mailbox. */
bool channel_is_its_users(enum channel channel);

#endif
