/* The detail of what the store itself writes into the audit log: struct audit in audit.h says what
 * it looks like. Both backends make it here. */
#ifndef SENDGUARD_DETAIL_H
#define SENDGUARD_DETAIL_H

#include "base/text.h"
#include "message/channel.h"
#include "store/adjustments.h"
#include "store/suspensions.h"

/* NULL: none. */
void detail_add_suspensions(struct text *text, const struct suspension *before,
                            const struct suspension *after);

/* What a mailbox's histories held, each at the first channel that counts in it. */
struct detail_counts {
    uint64_t messages, off_domain;
};
void detail_add_reset(struct text *text, const struct detail_counts before[CHANNEL_COUNT]);

/* removed: none. Rule and kind are those of `after`. */
void detail_add_adjustments(struct text *text, const struct adjustment *before,
                            const struct adjustment *after);

#endif
