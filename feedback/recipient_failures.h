/* Outcomes on their way into what is known of recipients (rules/recipient_block.h), and from there
 * into the block lists: of each sender domain and recipient, by its keyed hash, a value
 * VALUE_RECIPIENT, which is there at least as long as an entry that it has made.
 *
 * As in failures.h outcomes are collected while lines are read, and applied when a step is written,
 * to what the store has then: staff and messages that are probes change entries too. What a site
 * says while it has an outage, and in the hour before it was seen, does not count (site_outages.h).
 * In January what is known by the key of the year before is taken over.
 *
 * A domain with a null MX (RFC 7505) takes no mail of anybody: it is on the lists as unroutable for
 * RECIPIENT_NULL_MX_MS, unless staff has put it there.
 *
 * Functions return 1, 0 or -1 as store.h says. One thread. */
#ifndef SENDGUARD_RECIPIENT_FAILURES_H
#define SENDGUARD_RECIPIENT_FAILURES_H

#include "feedback/failures.h"
#include "rules/recipient_block.h"
#include "store/audit.h"

#define RECIPIENT_NULL_MX_MS DAY_MS

struct recipient_failures;

/* `store` stays the caller's. */
struct recipient_failures *recipient_failures_new(struct store *store);
void recipient_failures_free(struct recipient_failures **failures);

/* What an outcome is to a recipient: a reply that is not final says nothing of the address. */
enum recipient_why recipient_failures_why(enum reply_class class, bool final);

struct recipient_failures_outcome {
    const char *domain;  /* of the sender, as settings_sender_domain */
    const char *mailbox; /* of the sender */
    const char *site;    /* who answered; "": nobody */
    /* the keyed hash, and what it was KEYED_HASH_LOOKS_BACK_MS before if that is another */
    uint64_t recipient, recipient_before;
    uint64_t message;
    bool delivered;
    bool first, greylisted; /* as struct recipient_outcome */
    bool left_out; /* our own trouble, or read so late that nobody knows of outages */
    enum recipient_why why;
    const char *null_mx; /* the recipient's domain, whose DNS says that it takes no mail; NULL */
    int64_t at_ms, admitted_ms;
};
/* Copies the texts. */
void recipient_failures_add(struct recipient_failures *failures,
                            const struct recipient_failures_outcome *outcome);

/* For how many changes recipient_failures_changes needs room; whether one more outcome may find
 * none. */
size_t recipient_failures_change_count(const struct recipient_failures *failures);
bool recipient_failures_is_full(const struct recipient_failures *failures);

/* What the step does to the lists, for the audit log and for counts. */
struct recipient_failures_effects {
    struct audited *audited; /* room for audited_room of them */
    size_t audited_room, audited_count;
    uint64_t blocked, opened; /* entries made, and removed */
};
/* Applies what was added. `changes` has room for recipient_failures_change_count; they and the
 * effects live until the next call. `sites`: its changes have been made for the same step. Without
 * `blocks` no entry is made. 1 or -1. */
int recipient_failures_changes(struct recipient_failures *failures, const struct failures *sites,
                               bool blocks, int64_t now_ms, struct value_change *changes,
                               size_t *count_r,
                               struct recipient_failures_effects *effects) must_check;
/* They have been written. */
void recipient_failures_written(struct recipient_failures *failures);

#endif
