/* What the files of failure_window.h share. */
#ifndef SENDGUARD_FAILURE_WINDOW_INSIDE_H
#define SENDGUARD_FAILURE_WINDOW_INSIDE_H

#include "rules/failure_window.h"

/* Whether an entry may be counted at all, in some instant. */
static inline bool failure_window_is_open(const struct failure_entry *entry)
{
    return entry->block == 0 && entry->left_out == FAILURE_COUNTS;
}

/* When a graced entry turns bad, not before the window's time. */
int64_t failure_window_grace_end(const struct failure_window *window,
                                 const struct failure_settings *settings,
                                 const struct failure_entry *entry);

/* A quick look: false, it breaks in no instant until at_ms. */
bool failure_window_may_break(const struct failure_window *window,
                              const struct failure_settings *settings, int64_t at_ms);

/* What is left in the window at the moment at which the block of a mailbox begins. */
void failure_window_count_others(const struct failure_window *window, struct failure_block *block);
/* Whether what is not left out of a block would have made it. */
bool failure_window_made(const struct failure_window *window,
                         const struct failure_settings *settings,
                         const struct failure_block *block);

/* Leaves out names that are in no use. */
void failure_window_forget_names(struct failure_window *window);
/* The record of a block; NULL: it is forgotten. */
const struct failure_block *failure_window_block_of(const struct failure_window *window,
                                                    uint32_t id);

#endif
