/* A verdict for a webmail that shows it in pages of its own, in the words of the status page: the
 * same texts of the catalogue, moments said in the same way. Beside the bare facts of the answer:
 *
 * {"headline":…,           the state, as the status page's heading says it
 *  "state":"ok"|"own"|"full"|"blocked"|"paused"|"stopped"|"too_big"|"split"|"over_time",
 *  "lines":[…],            what follows from it, a sentence or two each
 *  "reasons":[…],          the rules that this message broke
 *  "windows":[{"rule":…,"name":…,"used":…,"back":[…]},…],
 *  "back":…,"rolling":…,   what stands before each "back", and below all windows
 *  "questions":…,          whom to ask; null
 *  "quoted":…,             what stands before the sentence
 *  "sentence":…,           the provider's own, in English; null
 *  "park_at":…,            where the verdict has one: that moment
 *  "hints":[…]}            where verdict->hints: what to say beside a message that is being written
 *
 * A hint is {"text":…}, and of a rule that the message breaks also "rule", "field" (the one to mend,
 * or "from"), "domain" and "recipient" (key form) where it has one. Of recipients HINTS_MAX at most.
 * Of an entry that is no address it has "field" and "entry", its place in that list, from 0.
 *
 * All of it is plain text. */
#ifndef SENDGUARD_VERDICT_SHOWN_H
#define SENDGUARD_VERDICT_SHOWN_H

#include "guard/verdict.h"
#include "text/catalogue.h"

enum { HINTS_MAX = 50 };

/* The object as JSON text in `arena`, in the language and time zone of the verdict's submission
 * (whose zone is set). support_contact may be "". */
const char *verdict_shown(struct arena *arena, const struct catalogue *catalogue,
                          const struct verdict *verdict, const char *support_contact);

#endif
