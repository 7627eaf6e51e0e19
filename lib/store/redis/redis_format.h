/* What Redis keeps, in bytes: numbers with the most significant byte first. C reads by these
 * widths, and redis_script.c makes the scripts' forms of them. Every version keeps them. */
#ifndef SENDGUARD_REDIS_FORMAT_H
#define SENDGUARD_REDIS_FORMAT_H

#include "rules/rule.h"

/* An entry of a history: its moment and its off-domain recipients; behind them the tag, which leads
 * to the decision: the id's lower 20 bits, and above them by how many ms its time is before the
 * entry's; 15 says that it is not to be found. */
#define TIME_BYTES 6
#define WEIGHT_BYTES 2
#define TAG_BYTES 3
enum {
    ENTRY_BYTES = TIME_BYTES + WEIGHT_BYTES,
    TAGGED_BYTES = ENTRY_BYTES + TAG_BYTES,
    TAG_ID_BITS = 20,
    TAG_ID_MASK = (1 << TAG_ID_BITS) - 1,
    TAG_NO_ID = 15,
};

/* Totals of a history: its newest entry and its generation, which rises when it is forgotten; then
 * of each span, the longest first, its oldest entry, messages and off-domain recipients. */
#define GENERATION_BYTES 4
#define COUNT_BYTES 4
#define SUM_BYTES 5
enum {
    HEAD_BYTES = TIME_BYTES + GENERATION_BYTES,
    SPAN_BYTES = TIME_BYTES + COUNT_BYTES + SUM_BYTES,
};

/* A charge: the entry, its generation, the fingerprint of the recipients, then the IP's history and
 * '#' and the tag. In its time a bit says that the ticket was redeemed. */
#define FINGERPRINT_BYTES 8
#define REDEEMED_BIT (INT64_C(1) << 47)

/* What is known again of a refused message, in two halves. */
#define ATTEMPT_BYTES 8
#define DURATION_BYTES 8

/* A record begins with the outcome's name and a line feed, an entry and the totals of the mailbox
 * and of the IP before the message. Where they have other numbers of spans than the first ones,
 * " 3 1" behind the name says so. Its windows name counts by number: from 1, those of the mailbox's
 * spans, the longest first, messages and off-domain recipients; then those of the IP's. */
enum {
    FIRST_MAILBOX_SPANS = 2,
    FIRST_IP_SPANS = 1,
    RECORD_SPANS_MAX = 16, /* of both */
    COUNT_NONE = 0,
    COUNTS_MAX = 1 + 2 * RECORD_SPANS_MAX,
};
_Static_assert(OVER_TIME_COUNT <= RECORD_SPANS_MAX, "each rule may have a span of its own");

/* An id of a decision: digits of base 16, of which the first ones are its time. */
enum { ID_DIGITS = 16, ID_TIME_DIGITS = ID_DIGITS - TAG_ID_BITS / 4 };

/* Bits of what a message is judged by. */
enum {
    MODE_REJECTED = 1,
    MODE_DRY_RUN = 2,
    MODE_OBSERVE = 4,
    MODE_NO_ATTEMPT = 8,
    MODE_MARKED = 16, /* the name of the mailbox's history has a mark behind it */
};

/* Keys outlive their content a little: clocks differ. */
#define MARGIN_MS MINUTE_MS
enum { SENDERS_MAX = 10000 }; /* as many are read of an IP or a domain */

#endif
