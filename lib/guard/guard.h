/* The guard: decides on one message. Settings and adjustments give the limits,
 * rules and store the counts; out comes a verdict, and a record of it that
 * `explain` can read later. Knows no protocol. All functions: any thread. */
#ifndef SENDGUARD_GUARD_H
#define SENDGUARD_GUARD_H

#include <json-c/json.h>

#include "guard/effective.h"
#include "guard/token.h"
#include "guard/verdict.h"
#include "settings/settings.h"
#include "settings/snapshot.h"
#include "store/records.h"
#include "text/catalogue.h"

struct guard;

/* `store` and `key` stay the caller's and must outlive the guard; settings and catalogue
 * (loaded from settings->web_templates) are taken. key NULL: verdicts on the webmail's messages name
 * no status page; those on the mail server's need none. */
struct guard *guard_new(struct store *store, const struct token_key *key,
                        struct settings *settings, struct catalogue *catalogue);
void guard_free(struct guard **guard);
/* The key (stays the caller's) by which recipients are hashed that Sendguard itself has blocked;
 * without one they are not found. That of guard_new if it was not NULL. Before the first message. */
void guard_hash_by(struct guard *guard, const struct token_key *key);

/* Put new settings and texts (taken) in the place of the old; messages under judgement
 * finish with those they began with. Histories are kept: limits are no part of a key. */
void guard_reload(struct guard *guard, struct settings *settings, struct catalogue *catalogue);

/* The settings and texts in force; to be released soon. */
struct snapshot *guard_snapshot(struct guard *guard);

/* The limits in force for a mailbox and a channel, adjustments and exemptions
 * counted in. 1, or -1: the store did not answer. */
int guard_limits(struct guard *guard, enum channel channel, const char *mailbox, const char *domain,
                 int64_t now_ms, struct effective_limits *limits_r) must_check;

/* The same as they would be with `count` adjustments made that are not. */
int guard_limits_if(struct guard *guard, enum channel channel, const char *mailbox,
                    const char *domain,
                    const struct adjustment *changes, size_t count, int64_t now_ms,
                    struct effective_limits *limits_r) must_check;
/* The same by other adjustments than those in force: those that `effective` has, and `changes`. */
struct effective_limits guard_limits_by(struct effective *effective,
                                        const struct settings *settings, enum channel channel,
                                        const char *mailbox, const char *domain,
                                        const struct adjustment *changes, size_t count,
                                        int64_t now_ms);
/* Knows of all changes up to *newest_r from now on (store_adjust_after). 1 or -1. */
int guard_renew_limits(struct guard *guard, int64_t *newest_r) must_check;
/* As effective_adjustment; as of the last judgement or look at limits. */
int guard_adjustment(struct guard *guard, const char *subject, enum rule rule,
                     enum adjust_kind kind, int64_t now_ms, struct adjustment *adjustment_r);
/* Of a domain, as effective_adjusted tells them; as of the last judgement or look at limits. */
size_t guard_adjusted(struct guard *guard, struct arena *arena, const char *domain,
                      const char ***mailboxes_r);
/* After an adjustment: this guard knows of it with its next message. */
void guard_outdate_limits(struct guard *guard);

/* Judge, and unless dry_run count and record. Always fills *verdict_r (in the
 * submission's arena): when the store does not answer, as store.on_failure and store.emergency say.
 * Returns 1, or -1 when the store did not answer (store_error() says why). */
int guard_judge(struct guard *guard, const struct submission *submission, bool dry_run,
                int64_t now_ms, struct verdict *verdict_r) must_check;

/* What was admitted while the store was silent (guard/emergency.h) is counted, as far as it answers; to
 * be called each second by one thread. 1 all is, 0 some waits, -1 the store did not answer. */
struct emergency_told;
int guard_tell(struct guard *guard, int64_t now_ms, struct emergency_told *told_r) must_check;
/* How many messages wait for it. */
size_t guard_untold(struct guard *guard);

/* What the settings say of domains and recipients; valid as long as they are. */
struct recipient_classes guard_recipient_classes(const struct settings *settings);

/* Judges several (1..JUDGE_MAX) at once, in this order and in one step of the store: verdicts_r[i]
 * and results_r[i] as guard_judge for submissions[i], dry_runs[i] (NULL: none is one). Each
 * submission has an arena of its own. */
void guard_judge_all(struct guard *guard, const struct submission *const *submissions,
                     const bool *dry_runs, struct verdict *verdicts_r, int *results_r,
                     size_t count, int64_t now_ms);

/* The mail server's own of a message: its queue id, and when MAIL was said. */
struct mail_transaction {
    const char *queue_id;
    int64_t began_ms;
};

/* The header of a message of CHANNEL_SMTP, which comes when the policy service has counted the
 * message already: the rules of one message that need its fields (recipients_per_field and
 * header_chars_per_domain), as the limits in force are; and whether the mailbox may write as each
 * address in From. The submission is `by_header`.
 * guard_header_matters: what of it is judged for its mailbox; of the submission channel, mailbox and
 * webmail_host are read. Where the store is silent: as it was when it last answered.
 * guard_judge_header always fills *verdict_r. Before a refusal is recorded, what the policy
 * service counted of the transaction is taken back, once; a message that the webmail endpoint had
 * admitted is redeemed, and refused for its From alone. Records no message that passes; mode observe
 * refuses and records nothing. 1; or -1 the store did not answer: what breaks a rule is refused
 * all the same, without record, and stays counted. */
struct header_matters {
    bool fields; /* To, Cc, and with them the envelope */
    bool from, from_refuses; /* From; and whether it is refused, not observed alone */
};
struct header_matters guard_header_matters(struct guard *guard,
                                           const struct submission *submission, int64_t now_ms);
int guard_judge_header(struct guard *guard, const struct submission *submission,
                       const struct mail_transaction *transaction, int64_t now_ms,
                       struct verdict *verdict_r) must_check;
/* The same step alone, for a header that cannot be read: 1 nothing of the transaction is counted
 * any longer; 0 the webmail endpoint had admitted it, and `ticket_excuses` it; -1 the store did not
 * answer. */
int guard_take_back(struct guard *guard, const struct submission *submission,
                    const struct mail_transaction *transaction, bool ticket_excuses,
                    int64_t now_ms) must_check;

/* Before a message is judged, of its only recipient so far: 1 it is blocked, *reason_r is why, as
 * an objection has it, and *text_r says so to its sender, both in the submission's arena; 0; -1 the
 * store did not answer. Of the submission channel, mailbox and recipient are read. Counts and
 * records nothing; also in mode observe. */
int guard_recipient_blocked(struct guard *guard, const struct submission *submission,
                            int64_t now_ms, const char **reason_r, const char **text_r)
    must_check;
/* The same of its sender, mailbox and ip (NULL: not known): *sentence_r is what the sender reads of
 * it, as staff wrote it; NULL of the reason SPF_BLOCK_REASON, which has texts of its own. */
int guard_sender_blocked(struct guard *guard, const struct submission *submission, int64_t now_ms,
                         const char **sentence_r) must_check;
/* After a change of the block lists: this guard knows of it with its next message. */
void guard_outdate_blocks(struct guard *guard);

/* What a decision record keeps, as packing_read gives it, to be put. `arena` for as long as the call
 * takes. */
struct json_object *guard_read_record(struct guard *guard, struct arena *arena,
                                      const struct record *record, int64_t now_ms);

/* The id under which the store counts a message of that channel and id: for refunds. In `arena`. */
const char *guard_counted_id(struct arena *arena, enum channel channel, const char *id);

/* Give the charge of a message of the webmail back, see store_refund; also of one that waits to be
 * counted. 1, 0, -1. */
int guard_refund(struct guard *guard, const char *mailbox, const char *id, int64_t now_ms)
    must_check;
/* The same of a message of the mailbox that came by SMTP, by its decision; what the webmail endpoint
 * counted for it, if it did. 1; 0 it was given back before, or is not known any longer; -1. */
int guard_refund_decision(struct guard *guard, struct arena *arena, const char *mailbox,
                          uint64_t decision, int64_t now_ms) must_check;

#endif
