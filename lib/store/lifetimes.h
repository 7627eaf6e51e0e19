/* For how long the databases keep what no window counts, in ms. What windows count is kept for the
 * longest of them: rule_longest_ms. */
#ifndef SENDGUARD_LIFETIMES_H
#define SENDGUARD_LIFETIMES_H

#include "base/base.h"

/* A submission is known again, and can be refunded. */
#define COUNTED_KNOWN_MS DAY_MS
/* An adjustment that was removed or has ended is still told. */
#define CHANGE_TOLD_MS DAY_MS
/* A mailbox that was seen sending from an IP, or of a domain. */
#define SEEN_KEPT_MS DAY_MS

#endif
