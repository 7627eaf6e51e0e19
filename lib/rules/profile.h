/* What is usual of a mailbox: the recipients that it wrote to and the networks that it wrote from
 * lately, and to how many new recipients in its busiest hours. Pure. Keyed hashes alone. Both
 * databases keep it as one value (VALUE_PROFILE), which judging reads and changes; inside Redis
 * profile.lua does what is here. Source: docs/unusual.md.
 *
 * Packed, most significant byte first: of each known recipient 3 bytes of a hash of its domain, 3 of
 * its own and 2 of the day (UTC, since 1970) on which mail went there; then the head:
 *   1 networks; of each 6 hash, 6 moment when it was first seen, 2 day when it was last;
 *   6 moment of the first message; 6 of the last one that was unusual, 0: none was; 6 since when
 *   messages to new recipients wait, 0: they do not; 6 until when 2 new recipients of an hour are
 *   usual, since the postmaster said so, 0: he did not;
 *   1 days; of each, in their order, 2 day, 2 new recipients of its busiest hour that is over;
 *   1 entries; of each message of the last hour that had new recipients, the oldest first, 6 moment,
 *   2 new recipients, 2 new domains, 2 new recipients of the hour up to it, 0 of one
 *   that waits;
 *   2 bytes of the head with these and the next one; 1 format. */
#ifndef SENDGUARD_PROFILE_H
#define SENDGUARD_PROFILE_H

#include "base/text.h"
#include "rules/unusual.h"

enum {
    PROFILE_FORMAT = 2,
    PROFILE_RECIPIENTS_MAX = 1000, /* then the oldest go, so many that there is room again: */
    PROFILE_RECIPIENTS_LEFT = 900,
    PROFILE_NETWORKS_MAX = 16, /* then the one that was not used for the longest goes */
    PROFILE_ENTRIES_MAX = 40, /* then two neighbours become one, at the moment of the later */
    PROFILE_BUSY_DAYS = 28,
    /* A day is kept anew when it is a week old, so that most messages write nothing: */
    PROFILE_RENEW_DAYS = 7,
    PROFILE_RECIPIENT_DAYS = 90 + PROFILE_RENEW_DAYS,
    PROFILE_NETWORK_DAYS = 30 + PROFILE_RENEW_DAYS,
    PROFILE_NUMBER_MAX = 65535, /* of what is counted; more count as so many */
    PROFILE_HASH_BITS = 48, /* of a recipient and a network; the upper half of a recipient's is of its
                               domain */
    PROFILE_RECIPIENT_BYTES = 8, PROFILE_NETWORK_BYTES = 14, PROFILE_DAY_BYTES = 4,
    PROFILE_ENTRY_BYTES = 12, PROFILE_TAIL_BYTES = 3,
};
/* Who sends nothing for so long is not known any longer; each change moves it. */
#define PROFILE_KEPT_MS (PROFILE_RECIPIENT_DAYS * DAY_MS)
/* What the postmaster said to be usual is so for so long. */
#define PROFILE_USUAL_MS (7 * DAY_MS)

struct profile_message {
    int64_t at_ms; /* what is ahead of it in a profile was written by a clock that is ahead, and
                      counts as of it */
    const uint64_t *recipients; /* off-domain, each once, rising */
    size_t count;
    uint64_t network; /* 0: not known */
    enum unusual_action action; /* when it is unusual */
};

/* What has become of a profile by a message. */
struct profile_change {
    bool changed; /* and is to be kept */
    int64_t same_until; /* Before that day (UTC, since 1970), and not before that of the message, one
                           to any of these recipients, from its network, changes nothing and is not
                           unusual while the profile stays as it is or others enter it that
                           have a same_until too. 0: this is not said */
};

/* Adds a message that is counted to a profile (empty, or what cannot be read: there is none yet),
 * and says whether it is unusual, and what becomes of it; else *unusual_r is zeroed. From the first one
 * that is to wait, all that have new recipients do, until the postmaster has answered. Recipients of a
 * message that waits or is deferred do not become known, nor do they enter the busiest hour; one that
 * is deferred does not enter the hour either, nor makes its network known. */
struct profile_change profile_add(struct text *profile, const struct profile_message *message,
                                  const struct unusual_limits *limits, struct unusual *unusual_r);

/* Whether the message, which was counted before, waits: others do, and it has new recipients, or
 * `waited`: it was to wait before. */
bool profile_holds(const struct text *profile, const struct profile_message *message, bool waited);

/* The postmaster's answers. Messages do not wait any longer. It was its user: for PROFILE_USUAL_MS so
 * many new recipients in an hour are usual, and no network that is known now is new. It was
 * somebody else: what messages that waited brought is forgotten, and networks that were first seen
 * later than a day before do not stay. False: nothing changes. */
bool profile_was_user(struct text *profile, uint32_t new_recipients, int64_t at_ms);
bool profile_was_other(struct text *profile);

/* When mail came first from that network (its hash), as far as a profile knows; 0: it does not. */
int64_t profile_network_first_ms(const void *profile, size_t length, uint64_t network);

/* What is usual, for people to read. */
struct profile_usual {
    int64_t begin_ms; /* since when its mail is known; 0: there is no profile that can be read */
    uint32_t busiest; /* new recipients of its busiest hour on the days before */
    size_t network_count;
    struct {
        uint64_t hash;
        int64_t first_ms; /* when it was first seen */
    } networks[PROFILE_NETWORKS_MAX];
};
/* bytes: a profile; NULL, with length 0: there is none. */
void profile_usual(const void *bytes, size_t length, int64_t now_ms,
                   struct profile_usual *usual_r);

#endif
