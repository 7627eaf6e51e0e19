/* The items of a transfer: reading them from a database, putting them into another, and a digest
 * by which two stores are compared. What the store's operations list and write, goes by them; the
 * rest by the transfer_operations of the backend. */
#ifndef SENDGUARD_TRANSFER_ITEMS_H
#define SENDGUARD_TRANSFER_ITEMS_H

#include "store/backend.h"

/* As transfer_operations, for every kind. */
int transfer_items_read(struct backend *backend, struct arena *arena, enum transfer_kind kind,
                        int64_t now_ms, struct transfer_cursor *cursor,
                        struct transfer_item *items_r, size_t *count_r) must_check;
int transfer_items_write(struct backend *backend, const struct transfer_item *items, size_t count,
                         int64_t now_ms) must_check;

/* For a backend's reading of a record that an earlier version kept in another form: fills an item
 * with what a packed one says. */
void transfer_items_pack(struct arena *arena, const struct record *record, int64_t keep_ms,
                         struct transfer_item *item_r);

/* Adds an item to what its store holds. */
void transfer_items_add(struct transfer_report *report, const struct transfer_item *item);

#endif
