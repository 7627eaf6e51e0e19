/* The audit log: what staff did, and why. Append-only; every operation of staff writes its entry in
 * the same step. Results: store/store.h. */
#ifndef SENDGUARD_STORE_AUDIT_H
#define SENDGUARD_STORE_AUDIT_H

#include "message/submission.h"
#include "store/store.h"

/* Who of the staff acts, when and why: `by` is 1..63 bytes, `note` 1..255 bytes. */
struct action {
    int64_t now_ms;
    const char *by, *note;
};

struct audit {
    int64_t number, at_ms;
    char by[64], action[24], subject[ADDRESS_MAX_BYTES + 1], note[256];
    char detail[512]; /* what was so before and after, a JSON object; {} when there is nothing:
                         suspend {"before":null or suspension,"after":suspension},
                         lift {"before":suspension,"after":null},
                         reset {"before":{"messages":3,"off_domain":7,"forwarded":2 (absent when
                         0)},"after":{…0}},
                         limit and extra {"rule":…,"before":null or {"value":5 or null,"until":null
                         or moment},"after":…}, value null: off, the whole null: none; exempt
                         {"before":…,"after":…}. A suspension is
                         {"id":1,"cause":…,"since":moment,"until":moment or null,"attempts":0} */
};
/* After entry `after` (0: from the start), in order. 1 and *count_r. */
int store_audit(struct store *store, int64_t after, struct audit *audit_r, size_t max,
                size_t *count_r) must_check;
/* The newest first, below number `before` (INT64_MAX: from the newest); of one
 * subject, or of all with NULL. 1 and *count_r. */
int store_audit_newest(struct store *store, const char *subject, int64_t before,
                       struct audit *audit_r, size_t max, size_t *count_r) must_check;

/* An entry about something that is no operation on the store: a note on a mailbox,
 * a change of staff. detail is JSON, at most 511 bytes. */
struct audited {
    const char *name, *subject, *detail; /* name 1..23 bytes, subject as in struct audit */
    const struct action *action;
};
int store_write_audit(struct store *store, const struct audited *audited) must_check;

#endif
