/* An item of the store as a person reads it who asks what is stored. Internal to lib/desk. */
#ifndef SENDGUARD_STORED_ENTRY_H
#define SENDGUARD_STORED_ENTRY_H

#include "desk/stored_match.h"

/* What the item's kind is. */
const struct stored_kind *stored_kind_of(const struct transfer_item *item);
/* The item as desk_stored tells it, to be put. It names the mailbox. Memory in `context->arena`. */
struct json_object *stored_entry(const struct context *context, const struct stored_match *match,
                                 const struct transfer_item *item);

#endif
