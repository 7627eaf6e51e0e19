/* What Redis keeps, in bytes: numbers with the most significant byte first. C reads by these
 * widths, and redis_script.c makes the scripts' forms of them. Every version keeps them.
 *
 * A history is one string: its entries (packed_entry.h), the oldest first, and behind them its
 * totals: the moment of the newest entry; of each span, the longest first, the moment of its oldest
 * entry and, by share (history_share), messages and off-domain recipients; and one byte, the
 * shape: how many spans (upper four bits) and shares (lower four) there are. The entries of a span
 * are the last ones. A decision record is an entry of a stream (record.lua). */
#ifndef SENDGUARD_REDIS_FORMAT_H
#define SENDGUARD_REDIS_FORMAT_H

#include "rules/rule.h"
#include "store/packed_entry.h"
#include "store/packed_record.h"

#define TIME_BYTES 6
#define WEIGHT_BYTES 2
#define ID_BYTES 4
#define FINGERPRINT_BYTES 2
#define MESSAGES_BYTES 3
#define SUM_BYTES 4
#define END_BYTES 5
#define TAG_BYTES 5 /* of an entry: leads to its decision */
#define NUMBER_BYTES 3 /* of a decision's id, below its time: the name of the record's field */

/* A decision's id as the list of a mailbox's refused messages has it: milliseconds since 2020, and
 * the number. */
#define SINCE_BYTES 5
enum { REFUSED_ID_BYTES = SINCE_BYTES + NUMBER_BYTES };

/* What is known again of a refused message, in two halves. */
#define ATTEMPT_BYTES 8
#define DURATION_BYTES 8
#define PAIR_LIFETIME_MS (DAY_MS * 13 / 12 + MARGIN_MS) /* its expiry moves on twelve times */
#define UNUSUAL_PACKED_BYTES 13 /* UNUSUAL_BYTES, as digits */
#define RECIPIENT_BYTES 8 /* hash; of each the pair is a field of its mailbox's (packed_pair.h) */

/* Beginnings of keys that C makes. */
#define REDIS_MAILBOX_KEY "sg:mailbox:"
#define REDIS_IP_KEY "sg:network:"
#define REDIS_DOMAIN_KEY "sg:domain:"
#define REDIS_PAIRS_KEY "sg:pairs:" /* MAILBOX */
#define REDIS_SUSPENSION_KEY "sg:suspension:"
#define REDIS_VALUE_KEY "sg:value:" /* KIND:KEY */
#define REDIS_BLOCK_KEY REDIS_VALUE_KEY "block:" /* of a domain or a mailbox */
#define REDIS_PROFILE_KEY REDIS_VALUE_KEY "profile:" /* of a mailbox */
#define REDIS_HELD_KIND "held"
#define REDIS_VALUE_KEYS "sg:value_keys:"
#define REDIS_VALUE_ENDS "sg:value_ends"

/* A versioned value: its version, its end (0: never), its bytes. */
#define VERSION_BYTES 4
enum { VALUE_HEAD_BYTES = VERSION_BYTES + TIME_BYTES };

/* Where the numbers are that the counts may not reach, in what judge.lua is given, from 1. */
enum {
    ENDS_PLACE = 1 + 2 * TIME_BYTES + 1 + TIME_BYTES + COUNTED_BYTES + COUNTED_IP_BYTES +
                 ID_BYTES + NUMBER_BYTES + RECORD_HEAD_BYTES
};

/* Bits of what a message is judged by. */
enum {
    MODE_REJECTED = 1,
    MODE_DRY_RUN = 2,
    MODE_OBSERVE = 4,
    MODE_NO_ATTEMPT = 8,
    MODE_TICKETS = 16, /* it leaves or redeems one */
    MODE_TRIM = 32,    /* records that are past go */
    MODE_RECIPIENTS = 64, /* it counts for recipients */
    MODE_EARLIER = 128, /* there may be what the version before kept; the highest */
};
/* Of what is unusual, before the queue id: limits, action, whether there is an id, recipients, `tried`. */
enum { PROFILE_TERMS_BYTES = UNUSUAL_LIMITS_BYTES + 2 + WEIGHT_BYTES + PROFILE_HASH_BITS / 8 };
/* Of the window of its recipients. */
enum { WINDOW_TOLD = 1, WINDOW_SUSPENDS = 2 };

/* In the place of a count that is never reached. */
#define REDIS_NO_END ((INT64_C(1) << 8 * END_BYTES) - 1)

/* Records of one kind, admitted or refused, are in one stream; what is judged by a clock that is
 * behind the stream's last entry by more than clocks differ goes to the next one; so many at
 * most. */
enum { RECORD_STREAMS = 32 };

/* Keys outlive their content a little: clocks differ. */
#define MARGIN_MS MINUTE_MS
enum { SENDERS_MAX = 10000 }; /* as many are read of an IP or a domain */

/* ---- the version before, still read ---- */

/* A list of entries: moment, off-domain recipients, and a tag of three bytes: the id's lower 20
 * bits, and above them by how many ms its time is before the entry's; 15: not to be found. Beside
 * it totals: newest entry, generation; of each span oldest entry, messages, recipients. A charge:
 * the entry, its generation, the fingerprint, the IP's history, '#' and the tag. A record: outcome,
 * a line feed, an entry and the totals of the mailbox and of the IP; " 3 1" behind the outcome if
 * they have other numbers of spans than the first ones. Its windows name counts from 1. */
#define EARLIER_TAG_BYTES 3
#define EARLIER_GENERATION_BYTES 4
#define EARLIER_COUNT_BYTES 4
#define EARLIER_SUM_BYTES 5
#define EARLIER_FINGERPRINT_BYTES 8
#define EARLIER_CHARGE_BYTES 16
enum {
    EARLIER_ENTRY_BYTES = TIME_BYTES + WEIGHT_BYTES,
    EARLIER_HEAD_BYTES = TIME_BYTES + EARLIER_GENERATION_BYTES,
    EARLIER_SPAN_BYTES = TIME_BYTES + EARLIER_COUNT_BYTES + EARLIER_SUM_BYTES,
    EARLIER_MAILBOX_SPANS = 2,
    EARLIER_IP_SPANS = 1,
    EARLIER_SPANS_MAX = 16, /* of both */
    EARLIER_COUNTS_MAX = 1 + 2 * EARLIER_SPANS_MAX,
    EARLIER_TAG_NONE = 15,
    EARLIER_ID_DIGITS = 16, /* of a decision's id, of base 16; the first ones are its time */
    EARLIER_ID_TIME_DIGITS = EARLIER_ID_DIGITS - 5,
};
#define EARLIER_REDEEMED (INT64_C(1) << 47) /* in a charge's time */

#endif
