/* A parked draft on its way out: whom it goes to, what it is handed to the mail server as, and what
 * is kept of it in Sent. The webmail does the same at a visit. Pure: no I/O, no clock. */
#ifndef SENDGUARD_PARKED_DRAFT_H
#define SENDGUARD_PARKED_DRAFT_H

#include "base/text.h"
#include "message/submission.h"

/* What the mail server is given; all but the texts in the submission's arena. */
struct draft {
    const char *from;      /* an address */
    const char *const *to; /* each once, as they are written */
    size_t to_count;       /* 1.. */
    struct text sent;      /* with the date of its sending, without what only drafts have, and with
                              the submission's id, by which the webmail finds it in Sent */
    struct text handed;    /* the same without Bcc and that id */
};
void draft_free(struct draft *draft); /* for freed_by */

/* Reads a whole message as IMAP gives it. Fills the submission, which has id and mailbox already.
 * 1; or 0 with *problem: it is nothing that this could send as the webmail would. Then, too,
 * *draft_r is to be freed. */
int draft_read(const char *bytes, size_t length, int64_t now_ms, struct submission *submission,
               struct draft *draft_r, struct problem *problem) must_check;

#endif
