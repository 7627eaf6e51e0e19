/* Goes through all that the store keeps of one mailbox. Internal to lib/desk. */
#ifndef SENDGUARD_STORED_WALK_H
#define SENDGUARD_STORED_WALK_H

#include "desk/stored_match.h"
#include "store/whole.h"

struct stored_walk {
    struct context context; /* with an arena of its own, for a page of items */
    const struct stored_match *match;
    struct whole_store *whole;
};
/* Hears the items of one page that name the mailbox, all of one kind. 1 go on; 0 stop; -1. */
typedef int stored_page(void *closure, const struct stored_walk *walk,
                        const struct transfer_item *const *items, size_t count);

/* 1 all was read, 0 somebody stopped it, -1: store_error() of the desk's store says why. */
int stored_walk(const struct context *context, const struct stored_match *match,
                struct whole_store *whole, stored_page *hear, void *closure) must_check;

#endif
