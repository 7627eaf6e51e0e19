/* From must match the account: whether a mailbox may write as an address, and how many messages
 * with a foreign one suspend it. Pure: whose an address is, is asked by functions of the caller. */
#ifndef SENDGUARD_IDENTITY_H
#define SENDGUARD_IDENTITY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/text.h"

enum identity {
    IDENTITY_OK,
    IDENTITY_UNKNOWN,    /* passes: who might say yes does not answer, and nobody else does */
    IDENTITY_NOT_YOURS,  /* at a domain whose addresses are somebody's here */
    IDENTITY_FOREIGN,    /* at any other domain */
    IDENTITY_UNROUTABLE, /* at a domain of one label, to which no answer leads */
    IDENTITY_COUNT
};

/* What is looked up for an address in key form, in this order: the address; without what stands
 * behind the first '+' of its local part; "@domain". */
enum { IDENTITY_KEYS_MAX = 3 };
struct identity_keys {
    size_t count;
    const char *of[IDENTITY_KEYS_MAX]; /* in `arena`, or the address itself */
};
struct identity_keys identity_keys(struct arena *arena, const char *address);

struct identity_world {
    /* Whether the mailbox may write as what a key names: 1, 0; -1: nobody answers. */
    int (*may)(void *context, const char *key);
    /* Whether addresses of that domain are somebody's here, and whether no mail leads to it. */
    bool (*is_hosted)(void *context, const char *domain);
    bool (*is_unroutable)(void *context, const char *domain);
    void *context;
};

/* Whether `mailbox` may write as `address`, both in key form. Its own address it always may, with
 * any tag, whatever owners say. Nobody is refused from ignorance. Source: docs/identity.md, "Which
 * addresses". */
enum identity identity_judge(struct arena *arena, const char *mailbox, const char *address,
                             const struct identity_world *world);

/* ---- messages with a foreign From ----------------------------------------------------------- */

/* So many different messages within that time suspend: each counts at t in [t, t + IDENTITY_MS). */
enum { IDENTITY_MESSAGES = 3 };
#define IDENTITY_MS DAY_MS

/* A refused message; `attempt` as struct judge_request has it: two hashes of 4 bytes, and a message
 * that shares one of them with another is the same one tried again. */
struct identity_message {
    int64_t at_ms;
    uint64_t attempt;
};
/* Of a mailbox; zeroed: none. */
struct identity_messages {
    size_t count;
    struct identity_message of[IDENTITY_MESSAGES - 1];
};

enum identity_taken { IDENTITY_KNOWN, IDENTITY_TAKEN, IDENTITY_SUSPENDS };
/* Takes a refused message over. SUSPENDS: it is the last of so many, and all are used up. What is
 * more than an hour ahead was noted by a clock that was wrong, and is forgotten. */
enum identity_taken identity_take(struct identity_messages *messages, uint64_t attempt,
                                  int64_t now_ms);

/* The packed form: 1 format; then of each 6 at, 8 attempt. */
void identity_add(struct text *out, const struct identity_messages *messages);
/* 1; 0: damaged, *messages_r is zeroed. */
int identity_read(const void *bytes, size_t length, struct identity_messages *messages_r)
    must_check;

#endif
