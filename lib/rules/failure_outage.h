/* Whether a site, the destination of mail, has an outage: it fails for senders who have nothing to
 * do with each other, and did not before. Pure: time is a parameter. Whole minutes of first
 * outcomes.
 *
 * A site has one, as a sender domain sees it, when in the last 60 minutes there were at least 20
 * first outcomes of at least 5 other sender domains, and four fifths or more of them failed by what
 * an outage explains; and in the 24 hours before there were at least 20, of which less than a fifth
 * failed by whatever it was. Where fewer than 10 domains sent that day, 5 other mailboxes are
 * enough, and what is judged is a mailbox. An outage explains that nobody there answers or that
 * their systems are in trouble; and that addresses are unknown, full or off, if four fifths of
 * these recipients had been delivered to lately. It explains nothing else that fails: a site that
 * refuses what thieves send has none.
 * Source: S4; Gmail answered 550 5.1.1 for existing users on 14 and 15 December 2020. */
#ifndef SENDGUARD_FAILURE_OUTAGE_H
#define SENDGUARD_FAILURE_OUTAGE_H

#include "rules/failure_window.h"

enum {
    FAILURE_OUTAGE_MINUTES = 60,
    FAILURE_OUTAGE_MINUTES_BEFORE = 24 * 60,
    /* Of a minute so many senders are told apart. Of a site that has more each minute is judged by
     * those that came first. */
    FAILURE_OUTAGE_SENDERS_MAX = 32,
    FAILURE_OUTAGE_NAMES_MAX_BYTES = 64 * 1024, /* as many bytes of the names of sender domains */
    FAILURE_OUTAGE_DOMAINS_FEW = 10, /* so many domains that sent that day are not few */
};

/* First outcomes of a mailbox in one minute. */
struct failure_outage_sender {
    int64_t minute;  /* since 1970 */
    uint32_t domain; /* a name */
    uint32_t mailbox; /* hash */
    uint32_t all;
    uint32_t site;   /* failed by FAILURE_SITE */
    uint32_t address; /* failed by FAILURE_ADDRESS_UNKNOWN or FAILURE_MAILBOX, of these … */
    uint32_t known;   /* … recipients that had been delivered to within 30 days */
};

/* Of one site. Zeroed: nothing has come yet. */
struct failure_outage {
    int64_t minute; /* the newest */
    struct failure_outage_total {
        uint32_t all, bad;
    } totals[FAILURE_OUTAGE_MINUTES + FAILURE_OUTAGE_MINUTES_BEFORE]; /* by minute, around */
    struct failure_outage_sender senders[FAILURE_OUTAGE_MINUTES * FAILURE_OUTAGE_SENDERS_MAX];
    size_t sender_count; /* in order of minute */
    struct failure_names domains;
};
void failure_outage_free(struct failure_outage *outage);

struct failure_outage_outcome {
    const char *domain; /* of the sender */
    uint32_t mailbox;   /* hash of the sender */
    bool good;
    enum failure_kind kind; /* of one that is not good */
    bool known;             /* anybody here had mail delivered to the recipient within 30 days */
    int64_t at_ms;          /* what is older than the newest minute counts in that */
};
/* A unit's first outcome, also one that is left out or set aside in its domain's window, but none
 * of a greylisted one. A site whose newest minute is an hour ahead of at_ms was stamped
 * by a clock that was wrong: it begins anew. */
void failure_outage_take(struct failure_outage *outage,
                         const struct failure_outage_outcome *outcome);

/* The kinds of failures (bits, 1 << enum failure_kind) of that mailbox that an outage explains now;
 * 0: there is none. domains_of_day: how many sender domains had outcomes that day, at any site. */
uint32_t failure_outage_explains(const struct failure_outage *outage, const char *domain,
                                 uint32_t mailbox, uint32_t domains_of_day, int64_t now_ms);

/* How many sender domains had outcomes on a day, as far as its packed value tells: 1 format; 4 hash
 * of each, of the first FAILURE_OUTAGE_DOMAINS_FEW that came. Also of a value that is damaged: 0. */
enum { FAILURE_OUTAGE_DAY_FORMAT = 1, FAILURE_OUTAGE_DAY_HASH_BYTES = 4 };
uint32_t failure_outage_domains_of_day(const void *bytes, size_t length);

/* What people are told of a site. */
struct failure_outage_numbers {
    int64_t since_ms; /* the minute since which it has failed, by all that is known; 0: it has not */
    uint32_t domains; /* sender domains whose mail failed there in the last 60 minutes */
    uint32_t senders; /* mailboxes that had outcomes there in the last 60 minutes */
};
struct failure_outage_numbers failure_outage_numbers(const struct failure_outage *outage,
                                                     int64_t now_ms);

/* A sender domain with outcomes in the last 60 minutes: the one at *place, which moves on. Begin
 * with 0; NULL: no other. */
const char *failure_outage_domain(const struct failure_outage *outage, size_t *place);

/* 1 format; 6 newest minute; the names; varint how many totals, of each varint minutes before the
 * newest, all, bad; varint how many senders, of each varint minutes before the newest, domain
 * (place of a name), 4 mailbox, varints all, site, address, known. What is too old is left out. */
void failure_outage_add(struct text *out, struct failure_outage *outage);
/* The newest minute of a packed one, without the rest; 0: damaged. */
int64_t failure_outage_newest(const void *bytes, size_t length);
/* 1; 0: damaged, *outage_r is zeroed. */
int failure_outage_read(const void *bytes, size_t length,
                        struct failure_outage *outage_r) must_check;

#endif
