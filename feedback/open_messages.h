/* The queue ids that the mail server still has, of mail of our users: which message each is. Held in
 * memory, about 150 bytes each, and kept in the store too (VALUE_OPEN), so that a program that starts
 * anew knows them again. One thread. */
#ifndef SENDGUARD_OPEN_MESSAGES_H
#define SENDGUARD_OPEN_MESSAGES_H

#include <stdbool.h>

#include "mail/trace.h"
#include "store/values.h"

/* A million of them are held: without gaps, and in one piece with the key. */
struct open_message {
    const char *mailbox;  /* who signed in, key form; interned; NULL: not known yet */
    char *id;             /* of the submission, while it may be refunded; NULL: not any more, or … */
    uint64_t decision;    /* 0: not known yet */
    int64_t seen_ms;      /* its first line */
    uint32_t redeemed;    /* … this one is, which had counted it (value_refund); 0: none */
    uint32_t part;        /* where its trace is */
    uint32_t message_id;  /* hash of its Message-ID; 0: not seen */
    uint32_t version;     /* in the store; 0: not there */
    bool refused;         /* the mail server refused it */
    bool silent;          /* no line of it within a minute */
    bool is_unknown;      /* no record of it was there when it was in the queue; not kept */
    bool changed, removed;
    char queue_id[]; /* the key */
};

struct open_messages;

struct open_messages *open_messages_new(const char *source);
void open_messages_free(struct open_messages **messages);

/* Reads those that the store has. 1 or -1 (store_error says why). */
int open_messages_load(struct open_messages *messages, struct store *store,
                       int64_t now_ms) must_check;

/* NULL: not known. */
struct open_message *open_messages_find(const struct open_messages *messages, const char *queue_id);
/* A new one in the place of what has that id; marked as changed. */
struct open_message *open_messages_put(struct open_messages *messages, const char *queue_id,
                                       int64_t seen_ms);
/* Whose it is: makes the address one of the strings that all share. */
void open_messages_set_mailbox(struct open_messages *messages, struct open_message *message,
                              const char *mailbox);
void open_messages_changed(struct open_messages *messages, struct open_message *message);
/* It has left the queue. The pointer is of no use afterwards. */
void open_messages_remove(struct open_messages *messages, struct open_message *message);
/* Removes those without a decision that were first seen before that time. */
void open_messages_sweep(struct open_messages *messages, int64_t before_ms);
size_t open_messages_count(const struct open_messages *messages);

/* The changes since the last time, `room` of them at most, in `arena`. */
size_t open_messages_changes(struct open_messages *messages, struct arena *arena,
                             struct value_change *changes, size_t room);
size_t open_messages_change_count(const struct open_messages *messages);
/* They have been written; `versions` in their order. */
void open_messages_written(struct open_messages *messages, const uint32_t *versions);

#endif
