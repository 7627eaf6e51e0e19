/* Outcomes on their way into the windows of sender domains (rules/failure_window.h) and into what
 * is known of sites (rules/failure_outage.h), as the store keeps them for all programs that follow a
 * log.
 *
 * Outcomes are collected while lines are read, and applied when a step is written: what is kept of
 * a domain is changed by the followers of other mail servers too, and where one of them was first,
 * it is read anew and the same outcomes are applied again. With the step, which moves the cursor,
 * each takes effect once.
 *
 * Functions return 1, 0 or -1 as store.h says. One thread. */
#ifndef SENDGUARD_FAILURES_H
#define SENDGUARD_FAILURES_H

#include "mail/reply.h"
#include "rules/failure_outage.h"
#include "store/values.h"

struct failures;

/* `store` stays the caller's. */
struct failures *failures_new(struct store *store);
void failures_free(struct failures **failures);

/* What a failure of that class and enhanced code ("4.4.1") is to the rule. */
enum failure_kind failures_kind(enum reply_class class, const char *code);

/* An outcome of a unit that counts: off-domain, of a mailbox that is not exempt. */
struct failures_outcome {
    const char *domain; /* of the sender, in key form; of a group of own domains one */
    /* the keyed hash of the recipient, and what it was 30 days before if that is another year */
    uint64_t recipient, recipient_before;
    struct failure_outcome outcome; /* left_out: FAILURE_OURS or FAILURE_COUNTS */
};
/* Copies the names. That mail was delivered there is known for 30 days: an outage explains that such
 * addresses are unknown. */
void failures_add(struct failures *failures, const struct failures_outcome *outcome);

/* For how many changes failures_changes needs room at least, and how many bytes they had when
 * they were written last. */
size_t failures_change_count(const struct failures *failures);
size_t failures_change_bytes(const struct failures *failures);
/* Applies what was added to what the store has. The changes, `room` of them at most and not fewer
 * than failures_change_count; they live until the next call. With a window comes what judging reads
 * of it (guard/block_values.h). While a site has an outage, what failed there is left out of the
 * windows of up to FAILURES_EXCUSED_AT_ONCE more domains of it. 1 or -1. */
enum { FAILURES_EXCUSED_AT_ONCE = 64 };
int failures_changes(struct failures *failures, const struct failure_settings *settings,
                     int64_t now_ms, struct value_change *changes, size_t room, size_t *count_r) must_check;
/* A value VALUE_BLOCK as the store has it, of the window of `domain`. The next failures_changes lets
 * time pass there, up to FAILURES_LOOK_BACK_MS ago, so that a block that has begun by itself is among
 * what happens, and makes the value what the window says. */
#define FAILURES_LOOK_BACK_MS SECOND_MS
void failures_look_at(struct failures *failures, const char *domain, const struct value *value);

/* What happens by the changes that were made last: who writes them writes this with them. */
struct failures_event {
    enum failures_what {
        FAILURES_BLOCKED,
        FAILURES_UNBLOCKED,  /* an outage ends the block */
        FAILURES_OUTAGE_SEEN /* of the destination `subject` */
    } what;
    const char *subject; /* "@DOMAIN" or a mailbox */
    const char *note, *detail; /* for the audit log; an outage has no detail */
    const char *suspends; /* the mailbox whose third block it is, or NULL */
};
const struct failures_event *failures_events(const struct failures *failures, size_t *count_r);

/* When the site was seen to have an outage, by the changes that were made last: the moment of the
 * newest outcome of the step. 0: it has none, or no outcome of the step is of that site. */
int64_t failures_outage_ms(const struct failures *failures, const char *site);

/* They have been written; `versions` in their order. */
void failures_written(struct failures *failures, const uint32_t *versions);
/* The store refused the step since that one of the changes (its place) met another version: it is
 * read anew by the next failures_changes, which applies the same outcomes. */
void failures_refused(struct failures *failures, size_t place);

#endif
