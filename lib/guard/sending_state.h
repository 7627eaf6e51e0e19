/* How it stands with a mailbox, in one word, and what follows from it: the same for the status page,
 * a webmail's own pages and the text of a refusal. Pure. */
#ifndef SENDGUARD_SENDING_STATE_H
#define SENDGUARD_SENDING_STATE_H

#include "base/arena.h"
#include "guard/verdict.h"

/* What can still be sent when a window of the rule has no room: CAN_SEND_OWN or CAN_SEND_NONE. */
enum can_send sending_state_when_full(enum rule rule);

/* What a message was refused for, in the words of sending_state. All zero at the beginning. */
struct sending_reasons {
    size_t count;
    bool to_split;     /* waiting does not help, and splitting does: it is more than a whole limit,
                          which is not 0 */
    bool only_blocked; /* each is a blocked recipient */
    bool only_recipients; /* each is a recipient over its limit, which is not 0 */
};
void sending_state_add_reason(struct sending_reasons *reasons, enum rule rule, bool never_fits,
                              int64_t limit);

/* The word of the headings ("status.h.…"), of what holds now before what was decided on a message:
 * "paused"|"stopped": the suspension (id 0: none); "blocked": the kind; "own"|"full": can_send;
 * "too_big"|"blocked_recipients"|"sender_blocked"|"identity"|"split"|"recipients_full"|"over_time":
 * the kind and the reasons;
 * else "ok". */
const char *sending_state(const struct suspension *suspension, enum can_send can_send,
                          enum verdict_kind kind, const struct sending_reasons *reasons);

/* Whether a stranger has the password, as others than the user say. Signing in may be closed too. */
bool sending_state_is_stolen(const struct suspension *suspension);
/* The text "message.do_…" for somebody who is suspended. */
const char *sending_state_what_to_do(const struct suspension *suspension);

/* The texts for somebody whose mail is blocked since it fails: what probably went wrong (NULL:
 * nobody knows), and what to do. */
const char *sending_state_hint(enum failure_hint hint);
const char *sending_state_hint_to_do(enum failure_hint hint);

/* The suspension whose end attempts move, when that is of interest: the one that is told has an end.
 * NULL: none. */
const struct suspension *sending_state_moving(const struct suspensions *suspensions);

/* In what is told beside the suspension that is told: the text "cause.…" of another one, and
 * whether it has an end, "…besides_paused", or not, "…besides_stopped". */
const char *sending_state_cause(const struct suspension *suspension, struct arena *arena);
const char *sending_state_besides(const struct suspension *suspension);

#endif
