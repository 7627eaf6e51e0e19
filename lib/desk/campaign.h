/* Who is behind a sender domain that is at its limit of an hour, and what speaks for one campaign
 * that is spread over its mailboxes: names that differ by a number, and the same recipients.
 * Internal to lib/desk. */
#ifndef SENDGUARD_CAMPAIGN_H
#define SENDGUARD_CAMPAIGN_H

#include "desk/context.h"

/* Mailboxes that are told, most messages first; those that are looked at, of all that sent lately;
 * groups of names. */
enum { CAMPAIGN_MAILBOXES = 20, CAMPAIGN_LOOKED_AT = 1000, CAMPAIGN_NUMBERED = 5 };
enum { CAMPAIGN_ALIKE = 3 }; /* so many mailboxes make a group, or share a recipient */

/* CAMPAIGN of desk.h, of the group that the domain belongs to. 1 or -1. */
int campaign_view(const struct context *context, const char *domain,
                  struct json_object **view_r) must_check;

/* The name with '#' for each number in its local part: "sender#@example.test" of sender12; the name
 * itself when there is none. */
const char *campaign_name(struct arena *arena, const char *mailbox);

#endif
