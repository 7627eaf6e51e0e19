/* What Postfix has in its hold queue, by sendguard-postqueue, which alone may touch it: its client.
 * Any thread. */
#ifndef SENDGUARD_MAILQUEUE_H
#define SENDGUARD_MAILQUEUE_H

#include "base/problem.h"
#include "mailqueue/mailqueue_protocol.h"

enum { MAILQUEUE_TIMEOUT_MS = 15000 }; /* of one request; the helper itself gives up before */

enum mailqueue_answer {
    MAILQUEUE_DONE,
    MAILQUEUE_ABSENT,    /* nobody listens at that path: it is not set up */
    MAILQUEUE_FORBIDDEN, /* our user may not ask */
    MAILQUEUE_BROKEN,    /* it did not answer, or not to the end */
};

/* Releases or deletes `count` messages, in that order, where they are in the hold queue; what is
 * not there is left alone. `path`: postqueue.socket. Each results_r[i] says what became of ids[i],
 * MAILQUEUE_NOT_KNOWN where no answer came. Everything but DONE comes with *problem, and may have
 * been done in part; asked again, it goes on. */
enum mailqueue_answer mailqueue_act(const char *path, enum mailqueue_verb verb,
                                    const char *const *ids, size_t count,
                                    enum mailqueue_result *results_r,
                                    struct problem *problem) must_check;

struct mailqueue_list {
    struct mailqueue_message *messages; /* as Postfix tells them, in no order */
    size_t count;
    bool more; /* than these */
};

/* All of the hold queue. *list_r is to be freed, and empty with another answer than DONE. */
enum mailqueue_answer mailqueue_held(const char *path, struct mailqueue_list *list_r,
                                     struct problem *problem) must_check;
void mailqueue_list_free(struct mailqueue_list *list);

#endif
