/* Whether the SPF records of the domains that send name the hosts that mail leaves from. Looks when a
 * domain first sends and then as often as the TTL of its records says, as long as it goes on sending,
 * and keeps what it found, and how it goes, in the store (feedback/spf_keep.h). A look-up that fails
 * changes nothing of what is kept but "again". */
#ifndef SENDGUARD_SPF_WATCH_H
#define SENDGUARD_SPF_WATCH_H

#include "mail/spf_hosts.h"
#include "settings/settings.h"
#include "store/store.h"

/* How long what is found holds. */
#define SPF_WATCH_MIN_MS (5 * MINUTE_MS)
#define SPF_WATCH_MAX_MS DAY_MS
/* So long after it last sent a domain is looked at. One that users are told of is looked at every
 * SPF_WATCH_MIN_MS, as long as what is known of it is kept (SPF_VIEW_KEPT_MS) or its mail refused. */
#define SPF_WATCH_SENDING_MS (8 * DAY_MS)
/* The state's value ends so long after it was told, with who tells it. */
#define SPF_WATCH_STATE_MS (10 * MINUTE_MS)

struct spf_watch;

/* host: the name of this machine. Both live longer. */
struct spf_watch *spf_watch_new(struct store *store, const char *host);
void spf_watch_free(struct spf_watch **watch);

/* A mailbox sent: of its domain. Any thread; the others one at a time. */
void spf_watch_saw(struct spf_watch *watch, const char *mailbox, int64_t now_ms);

/* Where names are looked up, and how long what was found since the last call of `begin` holds. */
struct spf_watch_names {
    struct spf_resolver resolver;
    void (*begin)(void *self, bool fresh); /* fresh: no answer of before is good enough */
    int64_t (*ttl_ms)(void *self);
};
/* Ends for one domain what the mode (spf_block_mode) does not allow: that its mail is refused, or a
 * notice of it. The mode holds for what follows. 1; 0 there is none; -1 the store does not answer.
 */
int spf_watch_settle(struct spf_watch *watch, enum spf_mode mode, int64_t now_ms) must_check;
/* Looks at the domain that has waited longest; behind spf_watch_settle. 1; 0 none is due; -1 the
 * store does not answer. */
int spf_watch_check(struct spf_watch *watch, const struct text_list *outgoing,
                    const struct spf_watch_names *names, int64_t now_ms) must_check;

/* Writes how it goes. 1 or -1. */
int spf_watch_tell(struct spf_watch *watch, bool dns_answers, int64_t now_ms) must_check;

#endif
