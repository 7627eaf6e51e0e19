/* Moving a store from Redis and to it, in parts: redis_transfer.c writes, redis_transfer_read.c
 * reads, redis_transfer_records.c reads records. */
#ifndef SENDGUARD_REDIS_TRANSFER_H
#define SENDGUARD_REDIS_TRANSFER_H

#include "store/redis/redis.h"
#include "store/transfer_items.h"

/* A page under way. */
struct redis_reading {
    struct redis_backend *backend;
    struct arena *arena;
    int64_t now_ms;
    struct transfer_cursor *cursor;
    struct transfer_item *items;
    size_t *count;
};

/* The page's next item. */
struct transfer_item *redis_transfer_item(const struct redis_reading *reading);
/* For what has another form than the scripts give it: says so, and returns -1. */
int redis_transfer_damaged(const struct redis_reading *reading, const char *key);
int redis_transfer_read_records(const struct redis_reading *reading) must_check;
/* As transfer_operations. */
int redis_transfer_read(struct backend *backend, struct arena *arena, enum transfer_kind kind,
                        int64_t now_ms, struct transfer_cursor *cursor,
                        struct transfer_item *items_r, size_t *count_r) must_check;

/* The kind's stream of that number, from 0: record.lua. */
const char *redis_transfer_stream(struct arena *arena, bool refused, size_t place);
/* The key of the attempts that a suspension knows. */
const char *redis_transfer_tried(struct arena *arena, enum cause cause, const char *mailbox);
/* The fields of sg:numbers. */
extern const char *const redis_transfer_numbers[TRANSFER_NUMBER_COUNT];

#endif
