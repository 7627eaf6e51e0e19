/* What most likely went wrong where much mail fails, for the sentence that says what to do. Pure. */
#ifndef SENDGUARD_FAILURE_HINT_H
#define SENDGUARD_FAILURE_HINT_H

#include "rules/failure_in_force.h"

/* Of the numbers of a block or a window whose classes are enum reply_class.
 * FAILURE_HINT_PASSWORD: most was refused for what it says, or for coming too fast.
 * Else, where most went to addresses that take no mail: FAILURE_HINT_FORM, nearly each of them got a
 * message of its own, and one mailbox sent four fifths; FAILURE_HINT_LIST, at least two to a
 * message. FAILURE_HINT_NONE: none of these. */
enum failure_hint failure_hint(const struct failure_numbers *numbers);

#endif
