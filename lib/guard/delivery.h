/* Under which keys the store's values (store/values.h) keep what became of mail, and for how long. The
 * program that follows a log writes them; views read them. Several logs are followed side by side,
 * one of each mail server, so most keys name the source too, by a short hash. */
#ifndef SENDGUARD_DELIVERY_VALUES_H
#define SENDGUARD_DELIVERY_VALUES_H

#include "base/arena.h"
#include "mail/kept_reply.h"
#include "mail/trace.h"
#include "store/values.h"

/* So many days a trace is kept beside the day of the decision: mail waits for five, and five to ask. */
enum { DELIVERY_DAYS = 10, DELIVERY_KEY_SIZE = VALUE_KEY_MAX + 1 };
#define DELIVERY_KNOWN_MS (91 * DAY_MS)
#define DELIVERY_REPLY_MS ((DELIVERY_DAYS + 2) * DAY_MS)

uint32_t delivery_source(const char *name);

/* VALUE_TRACE: a part of the messages of a mailbox on a day; parts count from 0. */
void delivery_trace_key(char key_r[DELIVERY_KEY_SIZE], int64_t day, const char *mailbox,
                        uint32_t source, uint32_t part);
/* VALUE_DOMAIN */
void delivery_domain_key(char key_r[DELIVERY_KEY_SIZE], int64_t day, const char *domain,
                         uint32_t source);
/* VALUE_REPLY */
void delivery_reply_key(char key_r[DELIVERY_KEY_SIZE], uint64_t reply);
/* VALUE_OPEN */
void delivery_open_key(char key_r[DELIVERY_KEY_SIZE], uint32_t source, const char *queue_id);
/* When what is kept of a day ends. */
int64_t delivery_day_end(int64_t day);

/* What a server said. 1; 0: nothing, or it is not kept any more; -1. */
int delivery_reply(struct store *store, struct arena *arena, uint64_t reply, int64_t now_ms,
                   struct kept_reply *reply_r) must_check;

/* The sources that are or were followed, at most DELIVERY_SOURCES_MAX. Returns 1 or -1. */
enum { DELIVERY_SOURCES_MAX = 64 };
struct delivery_sources {
    uint32_t of[DELIVERY_SOURCES_MAX];
    size_t count;
};
int delivery_sources(struct store *store, struct arena *arena, int64_t now_ms,
                     struct delivery_sources *sources_r) must_check;

/* The messages of a mailbox that were decided on a day, the newest first, from all sources. Returns
 * 1 (*count_r may be 0) or -1. */
int delivery_messages(struct store *store, struct arena *arena,
                      const struct delivery_sources *sources, const char *mailbox, int64_t day,
                      int64_t now_ms, struct trace_message **messages_r,
                      size_t *count_r) must_check;

#endif
