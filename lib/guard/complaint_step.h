/* Complaints as the store keeps them: what a report, or staff, changes, in one step with what
 * follows from it. VALUE_COMPLAINTS has those about the messages of a mailbox (rules/complaints.h)
 * under its name, VALUE_REPORT all reports that wait for staff (mail/waiting_reports.h) under one.
 * Any thread. */
#ifndef SENDGUARD_COMPLAINT_STEP_H
#define SENDGUARD_COMPLAINT_STEP_H

#include "mail/waiting_reports.h"
#include "rules/complaints.h"
#include "settings/settings.h"
#include "store/values.h"

#define COMPLAINT_STEP_WAITING "waiting" /* the key of VALUE_REPORT */

struct complaint_step {
    const char *mailbox;               /* NULL: it changes no mailbox */
    const struct complaint *complaint; /* about one of its messages */
    bool withdraws;                    /* it takes back that of the same message and reporter */
    bool exempt;                       /* the mailbox is: shown, and suspends nobody */
    const struct waiting_report *waits; /* NULL, or one that begins to wait for staff */
    uint64_t answers;                  /* 0, or one that waits and has been dealt with */
    const struct audited *audited;     /* NULL: nothing for the audit log */
};

enum complaint_made {
    COMPLAINT_MADE_NOTHING, /* known already; or there is nothing to take back */
    COMPLAINT_MADE_CHANGE,
    COMPLAINT_MADE_SUSPENSION, /* and a suspension; never where guard.mode is observe: then the
                                  audit log has an entry "complaints" in its place */
};

/* Takes it, and suspends the mailbox for `complaints` when the rule of the settings is broken.
 * Returns 1; 0 what it answers does not wait any more, and nothing is changed; -1. What is damaged
 * begins anew. */
int complaint_step_make(struct store *store, const struct settings *settings,
                        const struct complaint_step *step, int64_t now_ms,
                        enum complaint_made *made_r) must_check;

/* What is kept; empty where there is nothing. 1 or -1. */
int complaint_step_read(struct store *store, struct arena *arena, const char *mailbox,
                        int64_t now_ms, struct complaints *complaints_r) must_check;
int complaint_step_waiting(struct store *store, struct arena *arena, int64_t now_ms,
                           struct waiting_reports *reports_r) must_check;

/* What a message is known by among complaints. */
uint64_t complaint_step_message(const char *queue_id);

#endif
