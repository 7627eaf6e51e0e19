/* The sentences that a user reads with a refusal, in his language: what is told,
 * and in which order. The sentences themselves are texts of the catalogue,
 * "reason.…" and "message.…" (templates/LANGUAGE/refusal.json). */
#ifndef SENDGUARD_VERDICT_TEXT_H
#define SENDGUARD_VERDICT_TEXT_H

#include "catalogue.h"
#include "verdict.h"

/* One broken rule: what is too much, where, by how much, and what to do. In `arena`;
 * `language` is one of the catalogue's. */
const char *reason_text(struct arena *arena, const struct catalogue *catalogue,
                        const char *language, const struct objection *objection);

/* The whole message for the user, from the other members of the verdict:
 * begins with the provider's sentence for a suspension, says until when and
 * what to do, ends with the status link, the contact (may be "") and the
 * decision id. In the language of its submission; the provider's two sentences are English in
 * every language, since users search for them. "" when admitted. In `arena`. */
const char *verdict_message(struct arena *arena, const struct catalogue *catalogue,
                            const struct verdict *verdict, const char *support_contact);

#endif
