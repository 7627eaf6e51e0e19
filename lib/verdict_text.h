/* The sentences that a user reads. English now; the language is a parameter,
 * and every sentence is made here and nowhere else. */
#ifndef SENDGUARD_VERDICT_TEXT_H
#define SENDGUARD_VERDICT_TEXT_H

#include "verdict.h"

/* One broken rule: what is too much, where, by how much, and what to do. In `arena`. */
const char *reason_text(struct arena *arena, const struct objection *objection);

/* The whole message for the user, from the other members of the verdict:
 * begins with the provider's sentence for a suspension, says until when and
 * what to do, ends with the status link, the contact (may be "") and the
 * decision id. "" when admitted. In `arena`. */
const char *verdict_message(struct arena *arena, const struct verdict *verdict,
                            const char *support_contact);

#endif
