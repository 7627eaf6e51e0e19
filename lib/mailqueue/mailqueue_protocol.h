/* What sendguard-postqueue is asked and answers, and what it reads of Postfix's commands. Pure.
 *
 * A connection is one request, a line: "list", "release ID ID..." or "delete ID ID...". The answer
 * is lines. About each id of a release or delete one, "ID RESULT"; about each message of the hold
 * queue one, "ID ARRIVED SIZE" (seconds since 1970, bytes); at last "end", or "more" where the hold
 * queue has more than MAILQUEUE_LISTED_MAX, or "forbidden", or "error". */
#ifndef SENDGUARD_MAILQUEUE_PROTOCOL_H
#define SENDGUARD_MAILQUEUE_PROTOCOL_H

#include <stdbool.h>

#include "base/base.h"
#include "mail/queue_id.h"

enum {
    MAILQUEUE_IDS_MAX = 64, /* of one request: a second of Postfix's work */
    MAILQUEUE_REQUEST_MAX = 16 + MAILQUEUE_IDS_MAX * (QUEUE_ID_MAX + 1), /* bytes */
    MAILQUEUE_LINE_MAX = 256,
    MAILQUEUE_LISTED_MAX = 20000,
};

enum mailqueue_verb { MAILQUEUE_LIST, MAILQUEUE_RELEASE, MAILQUEUE_DELETE, MAILQUEUE_VERBS };
extern const char *const mailqueue_verb_names[MAILQUEUE_VERBS];

/* What became of one message. */
enum mailqueue_result {
    MAILQUEUE_NOT_KNOWN, /* no answer says: ask again, it can be done twice */
    MAILQUEUE_RELEASED,
    MAILQUEUE_DELETED,
    MAILQUEUE_NOT_HELD, /* Postfix has it, in another queue: nothing was done */
    MAILQUEUE_NO_SUCH,  /* Postfix has no message of that id */
    MAILQUEUE_FAILED,
    MAILQUEUE_RESULTS
};
extern const char *const mailqueue_result_names[MAILQUEUE_RESULTS];

struct mailqueue_request {
    enum mailqueue_verb verb;
    size_t count; /* of a list 0 */
    char ids[MAILQUEUE_IDS_MAX][QUEUE_ID_MAX + 1];
};

/* A message of a queue. */
struct mailqueue_message {
    char id[QUEUE_ID_MAX + 1];
    bool held;
    int64_t arrived_ms, size; /* bytes */
};

/* Reads a whole request, without the end of its line. 1; 0: it is none, *request_r is of no use. */
int mailqueue_protocol_request(const char *line, size_t length,
                               struct mailqueue_request *request_r) must_check;

/* Reads the beginning of a line of `postqueue -j`, in the order in which Postfix 3.1 and later
 * write it; the rest of it, which names people, is of no interest. 1; 0: it is none, *message_r is
 * as it was. */
int mailqueue_protocol_queued(const char *line, struct mailqueue_message *message_r) must_check;

/* Finds in what postsuper says how many messages it has acted on ("Released from hold: 1
 * message"). 1; 0: it does not say. */
int mailqueue_protocol_acted(const char *said, enum mailqueue_verb verb,
                             size_t *count_r) must_check;

/* Reads a line of an answer, without its end: of a release or delete. 1; 0: it is none. */
int mailqueue_protocol_result(const char *line, char id_r[QUEUE_ID_MAX + 1],
                              enum mailqueue_result *result_r) must_check;
/* The same of a list; `held` is true. */
int mailqueue_protocol_listed(const char *line, struct mailqueue_message *message_r) must_check;

#endif
