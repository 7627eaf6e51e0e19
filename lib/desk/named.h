/* What a text that was typed or pasted names. Internal to lib/desk. */
#ifndef SENDGUARD_NAMED_H
#define SENDGUARD_NAMED_H

#include "desk/context.h"

/* In words: "nothing", "mailbox", "domain", "ip", "network", "decision". */
enum named_kind { NAMED_NOTHING, NAMED_MAILBOX, NAMED_DOMAIN, NAMED_IP, NAMED_NETWORK,
                  NAMED_DECISION, NAMED_KIND_COUNT };
extern const char *const named_kinds[NAMED_KIND_COUNT];

struct named_thing {
    enum named_kind kind;
    const char *key; /* in key form, in the arena */
};

/* The text as a whole, without blanks around it; a network is "203.0.113.0/24", "203.0.113." or
 * "203.0.113.*". NAMED_NOTHING: it is none of these. */
struct named_thing named_whole(const struct context *context, const char *text);

/* The filter "network" of a list, an IP address or a network, as settings_network_holds takes it: none
 * where the text is NULL or empty. In the arena. 1; 0 and a problem: it is neither. */
int named_networks(const struct context *context, const char *text, struct text_list *networks_r,
                   struct problem *problem) must_check;

/* What stands in a longer text, each once: addresses, IP addresses, ids of decisions, and links of
 * ours: to a decision, and to the status page of a mailbox. Returns how many, `max` at most. */
size_t named_within(const struct context *context, const char *text, struct named_thing *named_r,
                    size_t max);

#endif
