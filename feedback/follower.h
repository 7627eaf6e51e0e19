/* Follows a mail server's log: from lines to what became of each message that was admitted. Knows
 * neither files nor journals: who reads the log gives it lines and says where it is.
 *
 * What lines say is held in memory and written to the store by follower_write, with the place in the
 * log behind the last line, in one step: each line takes effect once. A step that fails (the store is
 * away, or another follower of the same source was faster) leaves nothing; the follower is then of
 * no use, and a new one goes on from the place that the store has. One thread. */
#ifndef SENDGUARD_FOLLOWER_H
#define SENDGUARD_FOLLOWER_H

#include "guard/token.h"
#include "mail/mail_log.h"
#include "settings/settings.h"
#include "store/store.h"

struct follower;

/* An admitted message of which the log has no line for so long is a gap. */
#define FOLLOWER_GAP_MS MINUTE_MS
/* So many lines at most between two calls of follower_write. More lines in a step cost less each,
 * since some are of the same pages of the database. But messages wait while a step is written, so
 * the follower chooses how many, between these, for steps of 10 to 20 ms. */
enum { FOLLOWER_LINES_MIN = 1500, FOLLOWER_LINES_MAX = 6000 };
/* How many lines the next step takes, after one of `lines` that messages waited held_us for. */
size_t follower_lines_next(size_t lines, int64_t held_us);

/* Reads what the store has of the source (1..200 bytes). 1; -1 store_error says why. */
int follower_new(struct store *store, const struct token_key *key, const char *source,
                 int64_t now_ms, struct follower **follower_r) must_check;
void follower_free(struct follower **follower);

/* From here on outcomes enter the windows of sender domains as these settings say; the caller's, until
 * it sets others. NULL, at first: none do. */
void follower_set_settings(struct follower *follower, const struct settings *settings);

/* From here on calls `saw` with each mailbox that sent. */
void follower_tell(struct follower *follower, void (*saw)(void *self, const char *mailbox),
                   void *self);

/* The place in the log that the store has, as given to follower_write; NULL: none yet. */
const char *follower_place(const struct follower *follower);

/* Takes a line over. 1; 0: not now, since records that were written late are looked for only now and
 * then: give it again FOLLOWER_AGAIN_MS later; -1. */
#define FOLLOWER_AGAIN_MS 200
int follower_line(struct follower *follower, const struct mail_log_line *line,
                  int64_t now_ms) must_check;

/* The log was read up to the moment read_ms: what is missing until then does not come any more. Sees
 * to messages of which no line came, and to blocks that begin without one. 1 or -1. */
int follower_read_until(struct follower *follower, int64_t read_ms, int64_t now_ms) must_check;

/* Whether there is something to write, or enough to write it now. */
bool follower_has_changes(const struct follower *follower);
bool follower_is_full(const struct follower *follower);

/* Writes everything and the place in the log. 1; 0 another follower of this source has written
 * since; -1. */
int follower_write(struct follower *follower, const char *place, int64_t now_ms) must_check;

/* For the log, metrics, and a person: since the source was first followed. */
struct follower_counts {
    uint64_t lines, messages, outcomes, refunds, gaps, malformed;
    uint64_t refunds_failed; /* of the refunds: what the store has of the mailbox is damaged */
    uint64_t blocks;         /* of domains and mailboxes that began */
    uint64_t blocks_ended;   /* by an outage of a destination */
    uint64_t outages;        /* of destinations, that began */
    uint64_t recipients_blocked, recipients_opened; /* entries of block lists made, removed */
    uint64_t suspensions;    /* of who made the third block of its domain */
    int64_t log_ms; /* stamp of the newest line; 0: none */
    size_t open;    /* queue ids in the queue */
};
void follower_counts(const struct follower *follower, struct follower_counts *counts_r);

#endif
