/* Reports of complaints: from a message that somebody's server sent to what the store has of it.
 * Whose message it is about says our own header with its seal in the attached original; else a
 * long queue id in one of its Received fields, or its Message-ID, of a message that was admitted.
 * Who sends it says the mail server's Authentication-Results. Where one of both is not known the
 * report waits for staff. Nothing of a recipient is kept or logged. One thread.
 * Source: docs/complaints.md. */
#ifndef SENDGUARD_REPORTS_H
#define SENDGUARD_REPORTS_H

#include "guard/guard.h"
#include "guard/recorder.h"

struct reports;

/* All stay the caller's. recorder NULL: nothing is counted. */
struct reports *reports_new(struct store *store, struct guard *guard, const struct token_key *key,
                            struct recorder *recorder);
void reports_free(struct reports **reports);

/* Takes a message over, as lmtp_keep: whatever it is, it takes effect once. 1; -1 the store did not
 * answer: it is to come again. */
int reports_keep(void *reports, const char *message, size_t length) must_check;
/* The same at another time. */
int reports_take(struct reports *reports, const char *message, size_t length,
                 int64_t now_ms) must_check;

#endif
