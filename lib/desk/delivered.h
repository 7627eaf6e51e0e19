/* What became of mail, as views read it: the logs that are followed, the messages of a mailbox, and
 * what servers said of them. Internal to lib/desk. */
#ifndef SENDGUARD_DELIVERED_H
#define SENDGUARD_DELIVERED_H

#include "base/json.h"
#include "desk/context.h"
#include "guard/delivery.h"
#include "guard/held.h"

/* A log that is followed, as its cursor says. */
struct followed {
    const char *source;
    int64_t read_ms;            /* the log was read up to then; 0: not at all */
    int64_t log_ms;             /* its newest line; 0: none */
    struct json_object *cursor; /* the counts are members */
};
struct followed_logs {
    struct followed of[DELIVERY_SOURCES_MAX]; /* first those that are not forgotten */
    size_t count;                             /* of those */
    struct delivery_sources sources; /* all of them, in the same order */
};
/* 1 or -1. To be ended also after -1. */
int delivered_logs_read(const struct context *context, struct followed_logs *logs_r) must_check;
void delivered_logs_end(struct followed_logs *logs); /* for freed_by */
/* Up to when all of them were read that are not forgotten; 0: there are none. */
int64_t delivered_logs_until(const struct followed_logs *logs);

/* The messages of a mailbox, day by day, the newest first. A day may have very many: its memory is
 * given back for the next one. */
struct delivered {
    struct context of_day; /* with an arena of its own: for what is read of the messages */
    const char *mailbox;
    struct trace_message *messages;
    size_t count;
    int64_t day; /* the next one */
};
struct delivered delivered_begin(const struct context *context, const char *mailbox);
void delivered_end(struct delivered *delivered); /* for freed_by */
/* 1 with the messages of a day, of which there may be none; 0 there are no more days; -1. */
int delivered_next(struct delivered *delivered, const struct followed_logs *logs) must_check;

/* What servers said to the recipients of some messages. */
struct replies {
    uint64_t *ids; /* in order */
    struct kept_reply *of;
    size_t count;
};
/* Reads them at once. Those that are not kept any more are "" throughout. 1 or -1. */
int delivered_replies_read(const struct context *context, const struct trace_message *messages,
                           size_t count, struct replies *replies_r) must_check;
/* Never NULL. */
const struct kept_reply *delivered_reply(const struct replies *replies, uint64_t id);

/* Adds to an object "outcome", and as far as they apply "class", "code", "site", "attempts",
 * "first_at", "last_at", "text". */
void delivered_add_outcome(struct json_object *object, const struct trace_recipient *recipient,
                           const struct replies *replies);
/* Messages of a mailbox that wait for the postmaster, or waited and were deleted. */
struct delivered_holds {
    struct held held; /* zeroed: none waits */
    struct held_rejected rejected;
};
/* 1 or -1. */
int delivered_holds_read(const struct context *context, const char *mailbox,
                         struct delivered_holds *holds_r) must_check;

/* TRACE of desk.h, of a message that is traced. */
struct json_object *delivered_trace(const char *mailbox, const struct trace_message *message,
                                    const struct replies *replies,
                                    const struct delivered_holds *holds);

#endif
