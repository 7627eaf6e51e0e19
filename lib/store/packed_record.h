/* A decision record as both databases keep it under the decision's id, most significant byte first:
 *
 *   1 format, 1 outcome, and RECORD_UNUSUAL where something unusual is told, 6 moment, 4 lifetime in
 *   seconds;
 *   1 spans: how many totals follow of the mailbox (upper four bits), and of the IP, the sender
 *   domain and, where the message was held against that window, one recipient behind it (lower
 *   four);
 *   of each span, the longest first, 3 messages and 4 off-domain recipients that it held before;
 *   1 how many windows the message was held against, and of each 1 row of RULES_OVER_TIME and
 *   1 number of its count among those totals, from 0 (packed_record_count);
 *   1 length and the name of the IP's history that the message counted in, and, where it counted in
 *   one of a domain, a line feed and the name of that; none when it is 0. What
 *   counts in none has in its place: a redeemed one '#' and in base 16 the hash of the id
 *   (packed_entry.h) under which the message counts that left the ticket; a blocked one '!' where
 *   its domain was, '?' where its mailbox was, and in base 16 the block (rules/failure_in_force.h);
 *   the facts, up to the end, or up to the last UNUSUAL_BYTES (rules/unusual.h) where something
 *   unusual is told.
 *
 * SQLite writes it by packed_record_put. In Redis judge.lua does, from what packed_record_tail made. */
#ifndef SENDGUARD_PACKED_RECORD_H
#define SENDGUARD_PACKED_RECORD_H

#include "base/arena.h"
#include "base/text.h"
#include "store/judge.h"
#include "store/records.h"

enum {
    RECORD_FORMAT = 1,
    RECORD_OUTCOME_AT = 1, /* places of what the scripts write */
    RECORD_UNUSUAL = 0x80,
    RECORD_HEAD_BYTES = 13, /* up to the totals */
    RECORD_MESSAGES_BYTES = 3,
    RECORD_OFF_DOMAIN_BYTES = 4,
    RECORD_SPANS_MAX = 15, /* of each subject */
    RECORD_KEEP_MAX_S = 2147483647,
};

/* The totals of a history before the message, by span, the longest first. */
struct record_totals {
    size_t count;
    struct {
        uint64_t messages, off_domain;
    } of[RECORD_SPANS_MAX];
};

/* Subjects of which a record has totals: those with histories, and a recipient. */
enum { RECORD_SUBJECTS = SUBJECT_RECIPIENT + 1 };

/* How many totals there are before those of a subject. */
size_t packed_record_spans_before(enum subject subject);
/* The number of the count that a rule over time looks at. */
size_t packed_record_count(enum rule rule);

/* The names of both histories as a record has them; NULL for none. */
enum { RECORD_NAMES_SIZE = 256 };
const char *packed_record_names(const char *ip_name, const char *domain_name,
                                char names_r[RECORD_NAMES_SIZE]);
/* The domain's of these, NULL for none; the text ends then behind the IP's. */
const char *packed_record_cut_names(char *names);

/* Adds all that stands behind the totals; `passes` says how much of the facts is kept. */
void packed_record_tail(struct text *out, const struct judge_request *request, const char *ip_name,
                        bool passes);

/* What stands in the place of an IP, as C strings. */
#define RECORD_OF_DOMAIN "!" /* a block */
#define RECORD_OF_MAILBOX "?"
#define RECORD_BLOCK_MARKS RECORD_OF_DOMAIN RECORD_OF_MAILBOX
enum { RECORD_LINK_SIZE = 1 + 2 * FAILURE_IN_FORCE_BYTES + 1 };
void packed_record_link(uint32_t id_hash, char link_r[RECORD_LINK_SIZE]);
void packed_record_block(const struct failure_in_force *block, char link_r[RECORD_LINK_SIZE]);

/* Adds the record of a message that was judged so. ip_name: of packed_record_names, what stands
 * in their place, or NULL. unusual: NULL as one of zeros. */
void packed_record_put(struct text *out, const struct judge_request *request,
                       enum outcome outcome, int64_t at_ms,
                       const struct record_totals totals[RECORD_SUBJECTS], const char *ip_name,
                       const struct unusual *unusual);

/* The number that stands for a lifetime: whole seconds, rounded up. */
uint32_t packed_record_keep(int64_t keep_ms);

/* Reads one: its end, and in `arena` the record but for its id, and the names ("": none). 1, or
 * 0 when it has another form. */
int packed_record_get(struct arena *arena, const uint8_t *bytes, size_t length,
                      struct record *record_r, int64_t *until_ms_r,
                      const char **ip_name_r) must_check;
/* Its end alone. 1, or 0 when it has another form. */
int packed_record_until(const uint8_t *bytes, size_t length, int64_t *until_ms_r) must_check;

#endif
