/* What a mail program shows of a refusal by SMTP: printable ASCII in English, since many a mail
 * program shows nothing else. All texts live in `arena`. */
#ifndef SENDGUARD_SMTP_REPLY_H
#define SENDGUARD_SMTP_REPLY_H

#include "guard/verdict.h"
#include "text/catalogue.h"

/* Whether the mail server is to try again by itself: over a limit over time, and fits later; or
 * deferred since its mailbox sends at an unusual rate. */
bool smtp_reply_defers(const struct verdict *verdict);

/* A message that was judged and is not admitted. The text says, in this order: the provider's
 * sentence or that the message was not sent (a deferred one: not now), until when, the rule with
 * its numbers, whom to ask (`contact`; "" for nobody), the reference, that it will not be sent
 * later by itself, and the link, which has no token: mail servers log it all. What does not fit
 * into max_bytes is left out: first the reference, which the link ends with, then the contact, then
 * that it is not sent later, then the rule. A link that does not fit beside the first two leaves
 * its place to the reference. What is forwarded and deferred has no link: the service that forwards
 * reads it, and tries again. */
const char *smtp_reply_line(struct arena *arena, const struct catalogue *catalogue,
                            const struct verdict *verdict, const char *contact, size_t max_bytes);

/* What the mail server's log says of a message that is put on hold: why, and the reference. */
const char *smtp_reply_held(struct arena *arena, const struct catalogue *catalogue,
                            const struct verdict *verdict, size_t max_bytes);

/* A refusal in two lines: `place` is the link, or the reference where there is none or it has no
 * room; "" where there is neither. Each of them fits into max_bytes. */
struct smtp_reply_lines {
    const char *text, *place;
};
struct smtp_reply_lines smtp_reply_two_lines(struct arena *arena,
                                             const struct catalogue *catalogue,
                                             const struct verdict *verdict, const char *contact,
                                             size_t max_bytes);

/* A sentence of its own, and whom to ask if that fits too. */
const char *smtp_reply_sentence(struct arena *arena, const struct catalogue *catalogue,
                                const char *sentence_alone, const char *contact, size_t max_bytes);

/* Printable ASCII in one line: letters with accents lose them, line breaks become spaces, what has
 * no likeness becomes a question mark. */
const char *smtp_reply_plain(struct arena *arena, const char *text);

#endif
