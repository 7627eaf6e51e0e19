/* The values VALUE_BLOCK of a window of failures: what judging reads of it (rules/failure_in_force.h).
 * Of each block that holds at the window's time there is one, and of each that comes if nothing more
 * comes: under the window's own key, or under the mailbox that is blocked. Who changes a window
 * writes them in the same step:
 *
 *     block_values_of(window as read, …, &before), block_values_of(as it is to be, …, &after),
 *     block_values_changes(&before, &after, …)
 *
 * The window's own version says whether another one was first, so these changes name none. */
#ifndef SENDGUARD_BLOCK_VALUES_H
#define SENDGUARD_BLOCK_VALUES_H

#include "rules/failure_in_force.h"
#include "store/values.h"

struct block_values {
    struct block_values_one {
        char *key;
        struct failure_in_force in_force;
        uint8_t bytes[FAILURE_IN_FORCE_BYTES];
    } *of;
    size_t count;
};
/* `domain`: the key of the window. To be freed. */
void block_values_of(const struct failure_window *window, const struct failure_settings *settings,
                     const char *domain, struct block_values *blocks_r);
void block_values_free(struct block_values *blocks);
/* The store has this one under the key, whatever the window says. */
void block_values_put(struct block_values *blocks, const char *key,
                      const uint8_t bytes[FAILURE_IN_FORCE_BYTES]);
/* That of the key, or NULL. */
const struct block_values_one *block_values_find(const struct block_values *blocks,
                                                 const char *key);

/* The changes that lead from one to the other, `room` of them at most; they refer to both. Returns
 * how many there are. */
size_t block_values_changes(const struct block_values *before, const struct block_values *after,
                            struct value_change *changes, size_t room) must_check;

#endif
