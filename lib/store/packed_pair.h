/* What a mailbox sent to one recipient: a pair. Both databases keep of each admitted message
 * PAIR_BYTES, the oldest first and most significant byte first, up to PAIR_MESSAGES_MAX of them: 6 of
 * time and channel, 4 that name the submission's id and 2 its recipients, all as packed_entry.h has
 * them; by the last six a refund finds it. The recipient is a hash that the caller made.
 *
 * The times of a pair do not fall. A pair is for one window, PAIR_WINDOW_MS. Pure. */
#ifndef SENDGUARD_PACKED_PAIR_H
#define SENDGUARD_PACKED_PAIR_H

#include "store/judge.h"
#include "store/packed_entry.h"

enum { PAIR_TIME_BYTES = 6, PAIR_IDENTITY_BYTES = 6,
       PAIR_BYTES = PAIR_TIME_BYTES + PAIR_IDENTITY_BYTES,
       PAIR_MAX_BYTES = PAIR_MESSAGES_MAX * PAIR_BYTES };
#define PAIR_WINDOW_MS (rule_table[RULE_MESSAGES_PER_DAY_PER_RECIPIENT].window_ms)

/* Whether bytes of that number can be a pair. */
bool packed_pair_is_whole(size_t length);

/* The message `at` of a pair, from 0. */
struct entry packed_pair_entry(const uint8_t *bytes, size_t at);
/* What a counted message adds to the pair of each of its recipients. */
void packed_pair_put(const struct counted *counted, uint8_t bytes_r[PAIR_BYTES]);

/* Takes what is further ahead of now_ms than CLOCK_AHEAD_MS as of now, or of the message before when
 * that is later. Whether there was any. */
bool packed_pair_mend(uint8_t *bytes, size_t length, int64_t now_ms);
/* Bytes of those that no longer count at at_ms: the first ones. */
size_t packed_pair_past(const uint8_t *bytes, size_t length, int64_t at_ms);
/* Adds a counted message, not before the newest that is there, in the place of what is past then.
 * room: of PAIR_BYTES more than length. Returns the new length. */
size_t packed_pair_add(uint8_t *bytes, size_t length, const struct counted *counted);
/* Takes the newest message of that id and those recipients out. Returns the new length: the same when
 * there is none. */
size_t packed_pair_take_out(uint8_t *bytes, size_t length, const struct counted *counted);

/* What counts at at_ms, as a history in `arena`. */
struct history packed_pair_history(struct arena *arena, const uint8_t *bytes, size_t length,
                                   int64_t at_ms);

/* Of the pairs of a mailbox the one that was sent most; of several, the one that has room last. */
struct pair_most {
    uint64_t recipient;
    struct history history; /* in an arena */
};
/* Takes a pair if it comes before the one that is there (none: zeros). The bytes are those that count. */
void packed_pair_most(struct arena *arena, uint64_t recipient, const uint8_t *bytes, size_t length,
                      struct pair_most *most);

/* The window of a request's recipients in its result; NULL: it has none. */
struct outcome_window *packed_pair_window(struct judge_result *result);

/* Which recipient's window is told: the one that has room last. */
struct pair_told {
    size_t place;
    bool over;
    uint64_t used;
    int64_t fits_ms;
};
/* Enters what is kept of recipient `place` of a request into its result, at result->at_ms. The first one
 * comes with a pair_told of zeros and a result without any. */
void packed_pair_look(const struct judge_request *request, struct judge_result *result,
                      size_t place, const uint8_t *bytes, size_t length, struct pair_told *told);

#endif
