/* What Postfix is told: an action of access(5), with a text for the user's mail program behind
 * it. One line of printable ASCII, since many a mail program shows nothing else. */
#ifndef SENDGUARD_POLICY_ANSWER_H
#define SENDGUARD_POLICY_ANSWER_H

#include "guard/verdict.h"
#include "text/catalogue.h"

enum {
    /* The whole of an answer, "action=" and its empty line with it. */
    POLICY_ANSWER_MAX_BYTES = 512,
    POLICY_ANSWER_SIZE = POLICY_ANSWER_MAX_BYTES + 1,
    /* Of the text: what an SMTP line has room for (512 bytes, RFC 5321 section 4.5.3.1.5) beside
     * "554 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: ", which Postfix puts before it. */
    POLICY_TEXT_MAX_BYTES = 459,
};

#define POLICY_DUNNO "action=DUNNO\n\n"

/* The answer to a verdict:
 *   admitted                                             DUNNO
 *   admitted, and waits for the postmaster               HOLD TEXT
 *   suspended, a blocked sender, a limit of one message or a blocked recipient, or one over time
 *   that waiting does not help with                      REJECT 5.7.1 TEXT
 *   From is not the account's                            553 5.7.1 TEXT
 *   a limit over time                                    DEFER_IF_PERMIT 4.7.1 TEXT
 *   an unusual rate, where unusual.mode = defer          451 4.7.1 TEXT
 *   no store, and store.on_failure = refuse              451 4.7.1 TEXT
 * The text: guard/smtp_reply.h. */
void policy_answer(struct arena *arena, const struct catalogue *catalogue,
                   const struct verdict *verdict, const char *contact,
                   char answer_r[POLICY_ANSWER_SIZE]);

/* A message that cannot be judged, told as if the store were away. `key`: of the text. */
void policy_answer_later(struct arena *arena, const struct catalogue *catalogue, const char *key,
                         char answer_r[POLICY_ANSWER_SIZE]);
/* One that will never pass. */
void policy_answer_refuse(const char *text, char answer_r[POLICY_ANSWER_SIZE]);
/* At RCPT: why the recipient is refused; `text` says it in English. What follows from the reason:
 *   unroutable                    REJECT 5.1.2  (RFC 3463)
 *   address_unknown               REJECT 5.1.1
 *   mailbox_off, mailbox_full     REJECT 5.2.1, REJECT 5.2.2; a queue does not wait for as long
 *   probe                         DEFER_IF_PERMIT 4.2.0: what it waits for is known within minutes
 *   any other                     REJECT 5.7.1 */
void policy_answer_recipient(struct arena *arena, const struct catalogue *catalogue,
                             const char *reason, const char *text, const char *contact,
                             char answer_r[POLICY_ANSWER_SIZE]);
/* At DATA: the message gets a header before its others. Nothing where it is too long. */
void policy_answer_prepend(const char *header, const char *value,
                           char answer_r[POLICY_ANSWER_SIZE]);

#endif
