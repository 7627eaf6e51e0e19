/* The sentences that a user reads with a refusal, in his language: what is told,
 * and in which order. The sentences themselves are texts of the catalogue,
 * "reason.…" and "message.…" (templates/LANGUAGE/refusal.json). */
#ifndef SENDGUARD_VERDICT_TEXT_H
#define SENDGUARD_VERDICT_TEXT_H

#include "guard/verdict.h"
#include "settings/settings.h"
#include "text/catalogue.h"

/* One broken rule: what is too much, where, by how much, and what to do. In `arena`;
 * `language` is one of the catalogue's. */
const char *verdict_reason_text(struct arena *arena, const struct catalogue *catalogue,
                                const char *language, const struct objection *objection);

/* A moment for the sender of the submission to read: minutes, rounded up, as pages say it where the
 * time zone is known. In `arena`. */
const char *verdict_moment_text(struct arena *arena, const struct catalogue *catalogue,
                                const struct submission *submission, int64_t now_ms,
                                int64_t time_ms);

/* Why a block holds, in one sentence. In `arena`. */
const char *verdict_block_text(struct arena *arena, const struct catalogue *catalogue,
                               const char *language, const struct verdict_block *block);

/* The provider's own sentence for a block of the domain or a mailbox of it. In `arena`. */
const char *verdict_block_sentence(struct arena *arena, const struct catalogue *catalogue,
                                   const char *domain);

/* The provider's own sentence for a suspension, English in every language, since users search for
 * it; NULL for a lock by the mailbox's own user, who is not to be accused. In `arena`. */
const char *verdict_provider_sentence(struct arena *arena, const struct catalogue *catalogue,
                                      const struct suspension *suspension);

/* The whole message for the user, from the other members of the verdict:
 * begins with the state and its end, says what was too much and what to do, then the
 * status link, the contact (may be "") and the decision id; last, quoted, the provider's
 * sentence. In the language of its submission but for that one. "" when admitted. In `arena`. */
const char *verdict_message(struct arena *arena, const struct catalogue *catalogue,
                            const struct verdict *verdict, const char *support_contact);

#endif
