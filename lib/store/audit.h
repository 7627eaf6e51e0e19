/* The audit log: what staff did, when and why. It only grows; every operation of staff writes its
 * entry in the same step. Results, threads and ownership: store.h. */
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
                         limit and extra {"rule":…,"before":null or {"value":5 or null,
                         "until":null or moment,"until_ms":its end in ms (absent: the moment is no
                         rounded one)},"after":…}, value null: off, whole null: none;
                         exempt {"before":…,"after":…};
                         undo {"of":number of what was undone,"action":…,"rule":…,"before":…,
                         "after":…} as of that, the other way round. A suspension is
                         {"id":1,"cause":…,"since":moment,"until":moment or null,"attempts":0} */
};
/* The entries after number `after` (0: from the start), in order. Returns 1 or -1. */
int store_audit(struct store *store, int64_t after, struct audit *audit_r,
                struct store_page *page) must_check;
/* The entries below number `before` (INT64_MAX: from the newest), the newest first; of one
 * subject, or of all with NULL. Returns 1 or -1. */
int store_audit_newest(struct store *store, const char *subject, int64_t before,
                       struct audit *audit_r, struct store_page *page) must_check;

/* An entry to write: name 1..23 bytes, subject as in struct audit, detail a JSON object of at most
 * 511 bytes. */
struct audited {
    const char *name, *subject, *detail;
    const struct action *action;
};
/* So long what staff took away can be put back: store_unlift, store_adjust_back. */
#define UNDO_MINUTES 10 /* a bare number: it is also text in SQL */
#define UNDO_MS (UNDO_MINUTES * MINUTE_MS)
/* Writes an entry about what is no operation of the store: a note on a mailbox, a change of staff.
 * Returns 1 or -1 (also when a text is too long). */
int store_write_audit(struct store *store, const struct audited *audited) must_check;

#endif
